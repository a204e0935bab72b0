"""What comes with a request as a file or as pasted text, how it goes along to the next page, and what a page says of it."""

import csv
import io
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.forms import BoundField
from django.http import HttpRequest, HttpResponse, QueryDict

from karenpanel.turns import NoTurn, weigh
from securitygroups.answers.preview import Preview
from securitygroups.brought import Brought, BroughtGroup
from securitygroups.firewall.formats.documents import MAX_DOCUMENT_BYTES
from securitygroups.firewall.formats.packed import MOST_CELLS
from securitygroups.firewall.formats.reading import Note, ReadGroup, Reading, Taken
from securitygroups.firewall.formats.sheets import as_text, is_workbook
from securitygroups.firewall.formats.spreadsheet import guarded
from securitygroups.firewall.formats.strict import BadDocument, Fault
from securitygroups.firewall.formats.systems import OWN, read_file
from securitygroups.firewall.protocols import Problem
from securitygroups.firewall.texts import visible
from securitygroups.firewall.values import Rule, RuleList
from securitygroups.forms import PickForm
from securitygroups.web.pages import resend
from securitygroups.words.rules import rule_sentence

SHORTEST_RULE = 100
"""Bytes that a rule has in a document, or more: so a document's length tells how dear it is before it is read."""
LONGEST_TEXT = 100_000
"""Bytes of a refused file that come back as text, to be mended in the form."""
FIELD = "brought"
"""The form field in which a file goes along from a question to its answer: as it came, so that it is read as it was."""
LONGEST_NAME, SHOWN_NAME = 200, 60
MOST_LINES, FEWEST_LINES = 300, 3
"""Lines of a report that one page shows, over all groups, and of each group at least."""
MOST_RULES_OF_A_LINE = 3
MANY, SENTENCES, FEW_SENTENCES = 50, 12, 4
"""Of a file with many groups, each says less of what it lets through."""
OPEN, LOST_OPEN = 3, 30
"""So many groups are laid open at once; of more those with lines that are not here as they were, if these are so few."""


@dataclass(frozen=True, slots=True)
class File:
    """What was brought; `name` is empty where it was pasted."""

    data: bytes
    name: str = ""

    @property
    def text(self) -> str | None:
        """The file as text, None where it is none."""
        return None if is_workbook(self.data) else as_text(self.data) or None

    def packed(self) -> str:
        name = self.name[:LONGEST_NAME].encode(errors="replace")
        return urlsafe_b64encode(zlib.compress(name + b"\0" + self.data)).decode()


def _unpacked(text: str) -> File | None:
    """What was packed; None where it is nothing that we have packed. No more is unpacked than a file may be long."""
    with suppress(ValueError, zlib.error):
        whole = zlib.decompressobj()
        found = whole.decompress(urlsafe_b64decode(text.encode()), MAX_DOCUMENT_BYTES + LONGEST_NAME + 2)
        name, mark, data = found.partition(b"\0")
        return File(data, name.decode(errors="replace")) if mark else None
    return None


def brought(request: HttpRequest) -> File:
    """What was uploaded, what goes along with a question, or what was pasted, in this order."""
    upload = request.FILES.get("file")
    if upload is not None:
        return File(bytes(upload.read(MAX_DOCUMENT_BYTES + 1)), str(upload.name or ""))
    along = request.POST.get(FIELD, "")
    if along and (found := _unpacked(along)):
        return found
    return File(request.POST.get("text", "").replace("\r\n", "\n").encode(errors="surrogatepass"))


def with_text(request: HttpRequest, file: File) -> QueryDict:
    """What was sent, with the file as text: a browser forgets the chosen file when its form comes back."""
    longest = MAX_DOCUMENT_BYTES if FIELD in request.POST else LONGEST_TEXT
    if not file.data or len(file.data) > longest or file.text is None:
        return request.POST
    data = request.POST.copy()
    data["text"] = file.text
    return data


def sent_again_as_field(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Where there is no turn for the view, an upload is among what can be sent again: a browser forgets the file."""

    @wraps(view)
    def kept(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except NoTurn:
            if upload := request.FILES.get("file"):
                upload.seek(0)
                file = brought(request)
                resend(request, **({FIELD: file.packed()} if file.text is None else {"text": file.text}))
                request.FILES.clear()
            raise

    return kept


def read(file: File) -> Reading:
    """What the file says. Raises BadDocument."""
    # Packed, a hundred thousand cells are a few kilobytes.
    weigh(MOST_CELLS if is_workbook(file.data) else len(file.data) // SHORTEST_RULE)
    reading = read_file(file.data, file.name)
    if not reading.groups:
        why = f"This is {reading.system}, and there is no group in it: choose a file that has one."
        raise BadDocument([Fault("", Problem(why))])
    weigh(sum(len(group.rules) for group in reading.groups))
    return reading


def is_plain(reading: Reading) -> bool:
    """One group of a file of ours: it says what it says, and goes along as its document."""
    return len(reading.groups) == 1 and not any(True for _ in reading.all_notes())


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file, and the rules that it became, each with its place; `more` of them are not shown."""

    where: str
    text: str
    taken: str
    looks: str
    how: str
    rules: tuple[tuple[int, Rule], ...]
    more: int


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a group's lines: first those that are not here as they were. `counts` has all three kinds."""

    counts: tuple[tuple[str, str, int], ...]
    lost: tuple[Line, ...]
    lost_more: int
    exact: tuple[Line, ...]
    exact_more: int


_ORDER = (Taken.NOT_TAKEN, Taken.NARROWED, Taken.EXACT)
_LOOKS = {Taken.NOT_TAKEN: "drop", Taken.NARROWED: "warning", Taken.EXACT: "accept"}


def report(notes: Sequence[Note], rules: RuleList, among: int = 1) -> Report | None:
    """For a page with so many reports; None of a file of ours, of whose lines there is nothing to say."""
    if not notes:
        return None
    by_kind = {kind: [note for note in notes if note.taken is kind] for kind in _ORDER}
    lost, exact = [*by_kind[Taken.NOT_TAKEN], *by_kind[Taken.NARROWED]], by_kind[Taken.EXACT]
    most = max(FEWEST_LINES, MOST_LINES // among)
    most_exact = most // 2 if among <= MANY else 0
    return Report(
        counts=tuple((kind.value, _LOOKS[kind], len(by_kind[kind])) for kind in _ORDER if by_kind[kind]),
        lost=tuple(_line(note, rules) for note in lost[:most]),
        lost_more=max(0, len(lost) - most),
        exact=tuple(_line(note, rules) for note in exact[:most_exact]),
        exact_more=max(0, len(exact) - most_exact),
    )


def _line(note: Note, rules: RuleList) -> Line:
    places = [place for place in note.places if 0 < place <= len(rules)]
    shown = tuple((place, rules[place - 1]) for place in places[:MOST_RULES_OF_A_LINE])
    looks, more = _LOOKS[note.taken], len(places) - len(shown)
    return Line(visible(note.where), visible(note.text), note.taken.value, looks, visible(note.how), shown, more)


def group_report(reading: Reading, one: ReadGroup, among: int = 1) -> Report | None:
    """Of one group; where it is the file's only one, with the lines that belong to none."""
    notes = one.notes if len(reading.groups) > 1 else tuple(reading.all_notes())
    return report(notes, one.rules, among)


@dataclass(frozen=True, slots=True)
class Alike:
    """Faults of a file of which the same is to be said, each with its place."""

    problem: Problem
    places: tuple[str, ...]


def alike(faults: Sequence[Fault]) -> list[Alike]:
    found: dict[Problem, list[str]] = {}
    for fault in faults:
        found.setdefault(fault.problem, []).append(fault.where)
    return [Alike(problem, tuple(filter(None, places))) for problem, places in found.items()]


@dataclass(frozen=True, slots=True)
class Row:
    """One group of several, as a page shows it: what it lets through in sentences, and how many are not shown."""

    one: BroughtGroup
    name: BoundField
    take: BoundField
    preview: Preview
    report: Report | None
    allowed: tuple[str, ...]
    unlisted: int
    opened: bool

    @property
    def box(self) -> str:
        return self.take.html_name

    @property
    def ticked(self) -> bool:
        return bool(self.take.value()) and not self.one.refused


def rows_of(proposal: Brought, form: PickForm) -> list[Row]:
    among = len(proposal.groups)
    most = FEW_SENTENCES if among > MANY else SENTENCES
    lost = sum(note.taken is not Taken.EXACT for note in proposal.reading.all_notes())
    # What is not here as it was stands open where that is no long page.
    opened = [among <= OPEN or (lost <= LOST_OPEN and has_lost(one.read)) for one in proposal.groups]
    return [_row(proposal, form, one, (most, at_once)) for one, at_once in zip(proposal.groups, opened, strict=True)]


def has_lost(one: ReadGroup) -> bool:
    return any(note.taken is not Taken.EXACT for note in one.notes)


@dataclass(frozen=True, slots=True)
class Alarm:
    """What some of the groups would open, if they are imported."""

    text: str
    rows: tuple[Row, ...]

    @property
    def raised(self) -> bool:
        return any(row.ticked for row in self.rows)

    @property
    def boxes(self) -> str:
        """The names of the boxes that raise it."""
        return " ".join(row.box for row in self.rows)


def alarms_of(rows: Sequence[Row]) -> list[Alarm]:
    """Each alarm once, with the groups that would raise it: first those of which one is ticked."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        for alarm in () if row.one.refused else row.preview.alarms:
            found.setdefault(alarm, []).append(row)
    return sorted((Alarm(text, tuple(its)) for text, its in found.items()), key=lambda alarm: not alarm.raised)


def _row(proposal: Brought, form: PickForm, one: BroughtGroup, shown: tuple[int, bool]) -> Row:
    most, opened = shown
    preview = one.preview(proposal.project)
    allowed = [line for effect in preview.effects for line in effect.allowed]
    unlisted = sum(effect.more for effect in preview.effects) + max(0, len(allowed) - most)
    told = group_report(proposal.reading, one.read, len(proposal.groups))
    return Row(
        one, form[f"name-{one.at}"], form[f"take-{one.at}"], preview, told, tuple(allowed[:most]), unlisted, opened
    )


def read_as(reading: Reading) -> str:
    """What the file was read as: "AWS security groups, 3 groups"; empty for one group of ours."""
    if is_plain(reading) and reading.system == OWN:
        return ""
    system = "a file of this panel" if reading.system == OWN else reading.system
    number = len(reading.groups)
    return f"{system}, {number} group{'' if number == 1 else 's'}"


def origin(file: File) -> str:
    """Before what is said of a file: "From rules-2026.xlsx. "; empty where it was pasted."""
    name = visible(file.name.strip())
    return f"From {name if len(name) <= SHOWN_NAME else name[: SHOWN_NAME - 1] + '…'}. " if name else ""


def whole_report(reading: Reading) -> HttpResponse:
    """The report of every line, as a file for spreadsheets."""
    # With a mark at its start: without it spreadsheets take other letters than English ones for something else.
    text = io.StringIO("\ufeff")
    text.seek(0, io.SEEK_END)
    write = csv.writer(text, lineterminator="\r\n").writerow
    write(("Group", "Where", "Line", "Taken", "How", "Rules"))
    for row in _rows(reading):
        write([guarded(visible(cell)) for cell in row])
    headers = {"Content-Disposition": 'attachment; filename="import-report.csv"'}
    return HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)


def _rows(reading: Reading) -> Iterator[tuple[str, ...]]:
    yield from _told("", reading.notes, ())
    for group in reading.groups:
        yield from _told(group.name, group.notes, group.rules)


def _told(name: str, notes: Iterable[Note], rules: RuleList) -> Iterator[tuple[str, ...]]:
    for note in notes:
        places = [place for place in note.places if 0 < place <= len(rules)]
        sentences = "; ".join(f"{place}. {rule_sentence(rules[place - 1])}" for place in places)
        yield (name, note.where, note.text, note.taken.value, note.how, sentences)
