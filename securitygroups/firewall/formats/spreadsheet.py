"""Rule lists as spreadsheets, and files whose kind is told by how they begin."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from securitygroups.firewall.formats.columns import (
    KNOWN,
    MARKS,
    PASSED_OVER,
    action,
    column_of,
    direction,
    no_column,
)
from securitygroups.firewall.formats.documents import (
    MAX_DOCUMENT_BYTES,
    RULE_KEYS,
    GroupDocument,
    read_group,
    rule_to_json,
)
from securitygroups.firewall.formats.foreign import MOST_RULES
from securitygroups.firewall.formats.packed import cell_name
from securitygroups.firewall.formats.reading import Note, ReadGroup, Reading, Taken
from securitygroups.firewall.formats.rows import RowRefused, check_parts, rules_of
from securitygroups.firewall.formats.sheets import Grid, Made, grids, write_workbook
from securitygroups.firewall.formats.strict import MAX_COUNTED, BadDocument, Fault, bad
from securitygroups.firewall.protocols import PROTOCOLS, Problem
from securitygroups.firewall.texts import clean, shown
from securitygroups.firewall.values import Action, Direction, Rule, RuleList

_LINE = re.compile(r"\s*(?::?-+:?)?\s*")
"""A cell of the line below the head of a table in Markdown."""
_START = 200_000
_LOOKED_FOR = 40
"""Rows in which the names of the columns are looked for."""
_TICKS = MARKS | {""}
_CAPITALS = frozenset(("TCP", "UDP", "ICMP", "ICMPV6", "SCTP", "IP", "ANY", "ALL"))
"""What else a rule that is switched off with a # may begin with."""
_PLACE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,3}")
"""A number of a row, or one of a chapter, such as 1.10."""
_NEEDED = ("action", "direction", "protocol")
_TELLING = frozenset({*_NEEDED, "source", "destination", "ports", "port_start"})
# Spreadsheets take a cell for a formula that begins with one of these, in other widths too, whatever blanks and quotation
# marks come first; where a file is split at other signs than commas, a cell begins in the middle of a text. An apostrophe
# before it makes it text: one more is put there, one taken off.
_CELL = r"(?:\A|[;|\t\n\r])(?:[^\S\t\n\r]|[\"'\ufeff\u200b-\u200f\u2060\u00ad])*"
_STARTS = "[=+@\\-\u207a-\u207c\u208a-\u208c\ufb29\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20]"
_FORMULA, _GUARDED = re.compile(f"({_CELL})(?={_STARTS})"), re.compile(f"({_CELL})'(?={_STARTS})")


def guarded(text: str) -> str:
    """The text of a cell, fit for spreadsheets: none takes it, or a part of it, for a formula."""
    return _FORMULA.sub(r"\1'", text)


def unguarded(text: str) -> str:
    """The inverse of guarded."""
    return _GUARDED.sub(r"\1", text)


def write_csv(rules: RuleList) -> str:
    """The rules under a header of the document's keys; an empty field is "any". Equal input gives equal text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(RULE_KEYS)
    for rule in rules:
        fields = rule_to_json(rule)
        fields["enabled"] = str(rule.enabled).lower()
        fields["description"] = guarded(rule.description)
        writer.writerow(["" if fields[key] is None else fields[key] for key in RULE_KEYS])
    return text.getvalue()


@dataclass(frozen=True, slots=True)
class _Head:
    """The row that names the columns: its number, its cells, and the columns of each key."""

    number: int
    cells: list[str]
    places: dict[str, list[int]]

    def named(self, key: str) -> str:
        return self.cells[self.places[key][0]].strip() if key in self.places else key


def _head_of(grid: Grid) -> _Head | None:
    try:
        for looked, (number, cells) in enumerate(grid.rows(_START)):
            places: dict[str, list[int]] = {}
            for place, cell in enumerate(cells):
                places.setdefault(column_of(cell), []).append(place)
            if len(_TELLING & places.keys()) >= 2:
                return _Head(number, cells, places)
            # A rule above the names would be passed over: then there are none.
            if looked == _LOOKED_FOR or _says_a_rule(cells):
                return None
    except BadDocument:
        return None
    return None


def _is_error(cell: str) -> bool:
    """Whether it is what a spreadsheet writes in place of a value, in any language: capital letters behind a #, which are none
    of a rule's words."""
    word = cell.lstrip("#")
    if not any(map(str.isalpha, word)) or word != word.upper() or " " in word:
        return False
    return not isinstance(action(word), Action) and not isinstance(direction(word), Direction) and word not in _CAPITALS


def _says_a_rule(cells: Sequence[str]) -> bool:
    words = [cell.strip() for cell in cells[:50]]
    return any(isinstance(action(word), Action) for word in words) and any(
        isinstance(direction(word), Direction) for word in words
    )


def read_table(data: bytes) -> Reading:
    """The rules of a CSV text or a workbook, with the groups that it names. Raises BadDocument with every fault by its cell."""
    found = [(grid, head) for grid in grids(data) if (head := _head_of(grid))]
    shown_ones = [one for one in found if not one[0].is_hidden]
    if not shown_ones:
        raise _no_head(found[0][0].sheet if found else "")
    if found[0][0].sheet:
        return _of_sheet(shown_ones[0], [grid for grid, _ in found if grid is not shown_ones[0][0]])
    grid, head = max(found, key=lambda each: len(each[1].places))
    return Reading(grid.kind, _groups(_Rows(grid, head).read()))


def _no_head(hidden: str) -> BadDocument:
    if hidden:
        return bad(f"sheet {shown(hidden)}", "The rules are on a sheet that is hidden: show it, and save the workbook.")
    how = f"such as action,direction,protocol,source,port. Known are {KNOWN}"
    return bad("line 1", f"No row names the columns of a list of rules: write one above the rules, {how}.")


def _of_sheet(found: tuple[Grid, _Head], others: Sequence[Grid]) -> Reading:
    """The first sheet with rules; that others have some too is told."""
    grid, head = found
    rows = _Rows(grid, head)
    groups = _groups(rows.read())
    only = f"The rules are read from one sheet, {grid.sheet}: import this one by itself."
    unseen = "The sheet is hidden, and was left out: show it, and import it by itself, if its rules are meant."
    notes = tuple(
        Note(f"sheet {other.sheet}", "", Taken.NOT_TAKEN, unseen if other.is_hidden else only) for other in others
    )
    hidden = f", {rows.hidden:,} hidden row{'' if rows.hidden == 1 else 's'} with it" if rows.hidden else ""
    return Reading(f"{grid.kind}, sheet {grid.sheet}{hidden}", groups, notes)


def _groups(found: Mapping[str, Sequence[Rule]]) -> tuple[ReadGroup, ...]:
    return tuple(ReadGroup(name, "", tuple(rules)) for name, rules in found.items())


@dataclass(slots=True)
class _Rows:
    """The rows of one table while they are read."""

    grid: Grid
    head: _Head
    faults: list[Fault] = field(default_factory=list)
    groups: dict[str, list[Rule]] = field(default_factory=dict)
    last: dict[tuple[str, int], tuple[int, ...]] = field(default_factory=dict)
    hidden: int = 0
    """Rows with rules that the spreadsheet does not show."""
    ticked: bool | None = None
    """Whether rules are switched on by a mark, and off by none; None while nobody asked."""

    def read(self) -> dict[str, list[Rule]]:
        self._pass_over_index()
        self._check_head()
        count, strange = 0, frozenset(self.head.places.get("", ()))
        for number, cells in self.grid.rows():
            if self._is_none(number, cells):
                continue
            # A row with lists in its cells is several rules.
            if len(self.faults) >= MAX_COUNTED or count > MOST_RULES:
                break
            try:
                self._check_width(number, cells)
                strange = self._check_strange(cells, strange)
                count += self._take(cells)
                self.hidden += number in self.grid.hidden
            except RowRefused as refused:
                # Both ends of a range of ports may stand in one cell: its fault is one.
                found = (Fault(self._where(number, key), problem) for key, problem in refused.problems.items())
                self.faults += dict.fromkeys(found)
        return self._found(count)

    def _found(self, count: int) -> dict[str, list[Rule]]:
        if self.faults:
            raise BadDocument(self.faults)
        if count > MOST_RULES:
            raise bad("", f"The file has more than {MOST_RULES:,} rules: split it.")
        if not self.groups and tuple(self.head.cells) not in (RULE_KEYS, tuple(_HEAD)):
            raise bad(self.grid.row_name(self.head.number), "There are no rules below the names of the columns.")
        return self.groups or {"": []}

    def _is_none(self, number: int, cells: list[str]) -> bool:
        """Whether the row is no rule: what stands above the names or is them again, an empty row, a remark."""
        above = number <= self.head.number or cells == self.head.cells
        return above or self._is_comment(cells) or (self.grid.sign == "|" and all(map(_LINE.fullmatch, cells)))

    def _where(self, number: int, key: str) -> str:
        key, _, nth = key.partition(" ")
        key = key if key in self.head.places else "ports" if key.startswith("port_") else key
        if key not in self.head.places:
            return self.grid.row_name(number)
        column = self.head.places[key][int(nth or 0)]
        return self.grid.cell_name(number, column, self.head.cells[column].strip() if nth else self.head.named(key))

    def _check_head(self) -> None:
        places = self.head.places
        where = self.grid.row_name(self.head.number)
        faults = [
            Fault(where, Problem(f"There is no column for the {key}: add one, and call it “{key}”."))
            for key in _NEEDED
            if key not in places
        ]
        faults += [
            self._doubled(key, columns)
            for key, columns in places.items()
            if len(columns) > 1 and key not in ("", PASSED_OVER, "description", "place")
        ]
        if faults:
            strange = [column for column in places.get("", ()) if self.head.cells[column].strip()]
            raise BadDocument(faults + [self._no_column(column) for column in strange])
        self._check_merged()

    def _doubled(self, key: str, columns: list[int]) -> Fault:
        first, second = (shown(self.head.cells[column].strip()) for column in columns[:2])
        where = self.grid.cell_name(self.head.number, columns[1], second)
        return Fault(where, Problem(f"“{first}” and “{second}” both say the {key}: keep one of them."))

    def _check_merged(self) -> None:
        used = {column for columns in self.head.places.values() for column in columns}
        for (top, left), (bottom, right) in self.grid.merged:
            if bottom + 1 >= self.head.number and not used.isdisjoint(range(left, min(right, max(used)) + 1)):
                where = self.grid.cell_name(max(top + 1, self.head.number), left, "")
                why = "Cells are merged here, and only the first has the value: split them, and write it into each."
                raise bad(where, why)

    def _is_ticked(self) -> bool:
        column, seen = self.head.places["enabled"][0], set[str]()
        for number, cells in self.grid.rows():
            if number > self.head.number and not self._is_comment(cells):
                seen.add(cells[column].strip().lower() if column < len(cells) else "")
                if len(seen) > len(MARKS) + 1:
                    return False
        return bool(seen & MARKS) and seen <= _TICKS

    def _is_comment(self, cells: Sequence[str]) -> bool:
        """A remark alone in its row, or a rule with a # before it, in a column where none can be."""
        place = next((place for place, cell in enumerate(cells) if cell and not cell.isspace()), -1)
        if place < 0:
            return True
        if not cells[place].lstrip().startswith(("#", "//")):
            return False
        alone = not any(cell.strip() for cell in cells[place + 1 :])
        # What a formula that failed leaves in a CSV is no remark.
        return alone or (
            not _is_error(cells[place].strip()) and any(place in self.head.places.get(key, ()) for key in _TELLING)
        )

    def _check_width(self, number: int, cells: Sequence[str]) -> None:
        """A text in which a field is missing, or one too many, may be cut or have lost a quotation mark."""
        width = len(self.head.cells)
        if self.grid.sheet:
            self._check_beside(number, cells)
        short = range(len(cells), width) if self.grid.sign else range(0)
        lost = {key for key, columns in self.head.places.items() if not set(columns).isdisjoint(short)}
        # Excel leaves empty fields out at the end of some rows; what has no meaning there may be missing.
        if any(cell.strip() for cell in cells[width:]) or lost - {"", PASSED_OVER, "description"}:
            raise RowRefused({"row": Problem(f"This has {len(cells)} fields instead of {width}.")})

    def _check_beside(self, number: int, cells: Sequence[str]) -> None:
        beside = next((column for column in range(len(self.head.cells), len(cells)) if cells[column].strip()), None)
        if beside is not None:
            name = cell_name((number - 1, beside))
            raise RowRefused(
                {"row": Problem(f"{name} stands beside the columns that have names: delete what is in it.")}
            )

    def _pass_over_index(self) -> None:
        """A first column without a name that counts the rows, as libraries write one, says nothing of a rule."""
        strange = self.head.places.get("", [])
        if strange[:1] != [0] or self.head.cells[0].strip():
            return
        counted = [cells[0].strip() for number, cells in self.grid.rows() if number > self.head.number]
        if (
            counted
            and counted[0] in ("0", "1")
            and counted == [str(int(counted[0]) + at) for at in range(len(counted))]
        ):
            strange.remove(0)

    def _check_strange(self, cells: Sequence[str], strange: frozenset[int]) -> frozenset[int]:
        """What a row has in columns that mean nothing here is told once for each; those of which it was not told yet."""
        wrong = {column for column in strange if column < len(cells) and cells[column].strip()}
        self.faults += map(self._no_column, sorted(wrong))
        return strange - wrong

    def _no_column(self, column: int) -> Fault:
        name = self.head.cells[column].strip()
        return Fault(self.grid.cell_name(self.head.number, column, name), no_column(name))

    def _take(self, cells: Sequence[str]) -> int:
        """The row's rules to those of its group; how many they are. Raises RowRefused."""
        said = self._said(cells)
        if self.grid.sign:
            check_parts(said, self.grid.sign)
        if self.ticked is None and said.get("enabled") and said["enabled"][0].strip().lower() in _TICKS:
            self.ticked = self._is_ticked()
        rules = rules_of(said, bool(self.ticked))
        name = self._name_of(said)
        self._keep_order(name, said)
        self.groups.setdefault(name, []).extend(rules)
        return len(rules)

    def _said(self, cells: Sequence[str]) -> dict[str, list[str]]:
        """What the row has of each field, in the order of its columns."""
        said = {
            key: [cells[column] for column in columns if column < len(cells)]
            for key, columns in self.head.places.items()
            if key and key != PASSED_OVER
        }
        remarks = said.get("description", ())
        said["description"] = [cell if isinstance(cell, Made) else unguarded(cell) for cell in remarks]
        return said

    def _name_of(self, said: Mapping[str, Sequence[str]]) -> str:
        name = clean("".join(said.get("group", ())))
        if "group" in said and not name:
            raise RowRefused({"group": Problem("Write the name of the rule's group.")})
        return name

    def _keep_order(self, name: str, said: Mapping[str, Sequence[str]]) -> None:
        """Rules are tried from top to bottom: rows that were sorted by something else would be another list."""
        for column, cell in enumerate(said.get("place", ())):
            place = cell.strip().removesuffix(".").replace(",", ".")
            if not _PLACE.fullmatch(place):
                continue
            at = tuple(map(int, place.split(".")))
            if at < self.last.get((name, column), ()):
                why = (
                    "The rows do not stand in the order that this column tells: sort them by it, or delete the column."
                )
                raise RowRefused({f"place {column}": Problem(why)})
            self.last[name, column] = at


def read_any(data: bytes) -> GroupDocument:
    """A group document, or a table with the rules of one group. Raises BadDocument; nothing of a bad file is taken."""
    if is_document(data):
        return read_group(data)
    groups = read_table(data).groups
    if len(groups) > 1:
        names = ", ".join(shown(group.name) for group in groups[:5])
        raise bad("", f"The file has the rules of {len(groups)} groups ({names}): leave the rows of one in it.")
    return GroupDocument(groups[0].name, "", groups[0].rules)


def is_document(data: bytes) -> bool:
    """Whether it is JSON, ours or none. Raises BadDocument for what is nothing, or too much."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise bad("", f"The file is larger than {MAX_DOCUMENT_BYTES // 2**20} MiB.")
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n\0")[:1]
    if not start or data in (b"\xff\xfe", b"\xfe\xff"):
        raise bad("", "There is nothing in it: choose a file, or paste a document.")
    # UTF-16 is handed on as well: the document's reader says what to do about it.
    return start in (b"{", b"[") or (data[:2] in (b"\xff\xfe", b"\xfe\xff") and data[2:4].strip(b"\0") in (b"{", b"["))


_HEAD = {
    "Action": 9, "Direction": 10, "Protocol": 10, "Source IP Address": 28, "Destination IP Address": 28, "Start port": 10,
    "End port": 10, "Description": 50, "On": 7,
}  # fmt: skip
"""The columns of a workbook, in the words of the form and in the order of the document's keys, and how wide they are."""


def write_xlsx(rules: RuleList, made_at: Any) -> bytes:
    """The rules as a workbook in the words of the screen. `made_at` is the moment that it bears."""
    return write_workbook("Rules", list(_HEAD), _lines(rules), list(_HEAD.values()), made_at)


def _lines(rules: RuleList) -> Iterator[list[str]]:
    for rule in rules:
        said = [rule.action.label, rule.direction.label, PROTOCOLS[rule.protocol].label]
        # Ports as text, as they are typed: a start port that becomes 80-90 is no date.
        fields = (rule.source, rule.destination, rule.port_start, rule.port_end)
        said += ["" if value is None else str(value) for value in fields]
        yield [*said, guarded(rule.description), "Yes" if rule.enabled else "No"]
