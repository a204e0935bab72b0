"""What is inside a workbook, looked at before a library opens it: its size, its sheets, and the cells whose value is not there.

The library trusts what the file says of itself, and lets rooms for as many cells as it says. So all parts are unpacked
here within limits, and packed again from what was looked at.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from xml.parsers import expat

from securitygroups.firewall.formats.strict import BadDocument, bad
from securitygroups.firewall.networks import whole_number
from securitygroups.firewall.texts import shown

MOST_UNPACKED = 32 * 2**20
MOST_PARTS = 1_000
MOST_CELLS = 250_000
MOST_TAGS = 6 * MOST_CELLS
"""Of all parts: a cell has two or three elements, each of which begins and ends."""
MOST_ROWS = 99_999_999
MOST_AREA = 4_000_000
"""Cells between the first and the last one, empty ones too: the library keeps room for each."""
_LONGEST_FORMAT = 255
_MOST_STYLES = 65_536
"""Excel has no more."""
MOST_BLANK = 20_000
MOST_TEXT = 40_000_000
"""Characters of all cells; a workbook keeps equal texts once, and the library each time."""
SAVE_AS = "save the sheet with the rules alone as CSV UTF-8 and import that"

_NO_WORKBOOKS = {
    "Index/": "an Apple Numbers document: choose File, Export To, and Excel or CSV there",
    "word/": "a Word document: copy its table into a spreadsheet, and save that as .xlsx or CSV",
    "ppt/": "a presentation: copy its table into a spreadsheet, and save that as .xlsx or CSV",
}
"""Other programs' documents, by a folder in their archive."""
NEVER_RECKONED = "a formula that was never reckoned"
IN_PARTS = "a number that is shown in two parts, such as 22,443, and may be two"

Cell = tuple[int, int]
"""Row and column, from 0."""

_PARTS = re.compile(
    r"\[Content_Types\]\.xml|(?:_rels|META-INF)/[^/]+"
    r"|xl/(?:_rels/)?(?:workbook|sharedStrings|styles)[^/]*|xl/worksheets/[^/]+\.xml|content\.xml|mimetype",
    re.I,
)
_LONG = re.compile(rb"<[^<]{1048576}")
"""A tag, or the text behind it, of more than 1 MiB. A cell has 32,767 letters at the most."""
# The formats of numbers that every workbook has, and those of its own, which put something between the digits.
_BUILT_IN_PARTS = frozenset({3, 4, *range(37, 45)})
_IN_PARTS = re.compile(r"[0#?](?:\\?[^0#?;.%Ee\\\"]|\"[^\"]*\")+[0#?]")
_MAY_BE_TWO = re.compile(r"([1-9]\d?)([1-9]\d\d)(?:\.0*)?")
"""A port that with a sign between its thousands may be two: 22,443, and not 8,080."""
_REFERENCE = re.compile(r"\$?([A-Za-z]{1,3})\$?([0-9]{1,7})")


@dataclass(slots=True)
class Scanned:
    """Of one sheet: the cells whose value cannot be told, and why; the ranges that are merged into one cell; the rows with
    cells that are hidden, from 0.
    """

    name: str = ""
    blank: dict[Cell, str] = field(default_factory=dict)
    merged: list[tuple[Cell, Cell]] = field(default_factory=list)
    hidden: set[int] = field(default_factory=set)

    def lose(self, at: Cell, why: str) -> None:
        self.blank[at] = why
        if len(self.blank) > MOST_BLANK:
            raise bad("", f"More than {MOST_BLANK:,} cells of the workbook have {why}: {SAVE_AS}.")


@dataclass(slots=True)
class _Room:
    """How much a sheet takes."""

    cells: int = 0
    text: int = 0
    first: Cell | None = None
    last: Cell = (0, 0)

    def take(self, at: Cell, cells: int = 1, length: int = 0) -> None:
        self.cells += cells
        self.text += length
        first = self.first or at
        self.first = min(first[0], at[0]), min(first[1], at[1])
        self.last = max(self.last[0], at[0]), max(self.last[1], at[1])
        if self.cells > MOST_CELLS or self.text > MOST_TEXT:
            raise _too_much()

    def check(self, name: str) -> None:
        first = self.first or (0, 0)
        if (self.last[0] - first[0] + 1) * (self.last[1] - first[1] + 1) > MOST_AREA:
            where = f"sheet {shown(name)}, cell {cell_name(self.last)}" if name else f"cell {cell_name(self.last)}"
            raise bad(
                where, "The sheet reaches to here, far beyond its rules: delete what is in the last rows and columns."
            )


def cell_name(at: Cell) -> str:
    """As a workbook calls it: C5."""
    row, column = at
    letters, column = "", column + 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row + 1}"


def _cell(reference: str) -> Cell | None:
    found = _REFERENCE.fullmatch(reference)
    if not found:
        return None
    column = 0
    for letter in found[1].upper():
        column = column * 26 + ord(letter) - 64
    return int(found[2]) - 1, column - 1


def looked_at(data: bytes) -> tuple[bytes, list[Scanned]]:
    """(the workbook as it can be opened, its sheets in order). Raises BadDocument."""
    parts = _unpacked(data)
    if b"encryption-data" in parts.get("META-INF/manifest.xml", b""):
        raise locked()
    try:
        sheets = _scan_ods(parts["content.xml"]) if "content.xml" in parts else _scan_xlsx(parts)
    except BadDocument:
        raise
    except (expat.ExpatError, LookupError, ValueError):  # the last two of an encoding that is none, or is not read
        raise damaged() from None
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, part in parts.items():
            archive.writestr(zipfile.ZipInfo(name), part)
    return packed.getvalue(), sheets


def damaged() -> BadDocument:
    return bad("", "The file is a workbook, but it is damaged: save it once more as .xlsx, or as CSV UTF-8.")


def _too_much() -> BadDocument:
    return bad("", f"The workbook has more than {MOST_CELLS:,} cells, or too long texts in them: {SAVE_AS}.")


def locked() -> BadDocument:
    return bad("", "The workbook is protected with a password: open it, save it without one, and import that.")


def _unpacked(data: bytes) -> dict[str, bytes]:
    """The parts that hold sheets, by name."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if len(infos) > MOST_PARTS:
                raise bad(
                    "", f"The file is an archive of {len(infos):,} files, and no workbook that is read: {SAVE_AS}."
                )
            for start, what in _NO_WORKBOOKS.items():
                if any(info.filename.startswith(start) for info in infos):
                    raise bad("", f"This is {what}.")
            return _parts(archive, [info for info in infos if _PARTS.fullmatch(info.filename)])
    except BadDocument:
        raise
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError, ValueError):
        raise damaged() from None


def _parts(archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo]) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    room, tags = MOST_UNPACKED, 0
    for info in infos:
        if info.flag_bits & 1:
            raise locked()
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise damaged()
        with archive.open(info) as part:
            parts[info.filename] = part.read(room + 1)
        room -= len(parts[info.filename])
        if room < 0:
            raise bad("", f"The workbook has more than {MOST_UNPACKED // 2**20} MiB unpacked: {SAVE_AS}.")
        tags += parts[info.filename].count(b"<")
        if tags > MOST_TAGS or _LONG.search(parts[info.filename]):
            raise _too_much()
    return parts


Start = Callable[[str, dict[str, str]], None]


def _parse(
    xml: bytes, start: Start, end: Callable[[str], None] | None = None, text: Callable[[str], None] | None = None
) -> None:
    """Every element by its name without what its namespace is called."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = lambda name, attributes: start(name.rpartition(":")[2], attributes)
    parser.StartDoctypeDeclHandler = _no_doctype
    if end:
        parser.EndElementHandler = lambda name: end(name.rpartition(":")[2])
    if text:
        parser.CharacterDataHandler = text
    parser.Parse(xml, True)


def _no_doctype(*_: object) -> None:
    raise damaged()


def _scan_xlsx(parts: Mapping[str, bytes]) -> list[Scanned]:
    """The sheets in the workbook's order; the parts that they are in are told by its relations."""
    targets: dict[str, str] = {}
    sheets: list[tuple[str, str]] = []

    def relation(name: str, said: dict[str, str]) -> None:
        if name == "Relationship":
            targets[said.get("Id", "")] = said.get("Target", "").removeprefix("/xl/").removeprefix("/")

    def sheet(name: str, said: dict[str, str]) -> None:
        if name == "sheet":
            number = next((value for key, value in said.items() if key.rpartition(":")[2] == "id"), "")
            sheets.append((said.get("name", ""), number))

    found = {name.lower(): part for name, part in parts.items()}
    if "xl/workbook.bin" in found:
        raise bad("", f"This is a binary workbook (.xlsb), which is not read here: save it as .xlsx, or {SAVE_AS}.")
    if "xl/workbook.xml" not in found:
        raise bad("", "This is a zip archive, and no workbook: unpack it, and import the file that is in it.")
    if "xl/_rels/workbook.xml.rels" not in found:
        raise damaged()
    _parse(found["xl/_rels/workbook.xml.rels"], relation)
    _parse(found["xl/workbook.xml"], sheet)
    known = _lengths(found.get("xl/sharedstrings.xml", b"")), _styles_in_parts(found.get("xl/styles.xml", b""))
    scanned = {name: _scan_sheet(part, *known) for name, part in found.items() if name.startswith("xl/worksheets/")}
    listed = []
    for name, number in sheets:
        one = scanned.get(f"xl/{targets.get(number, '').lower()}", Scanned())
        listed.append(replace(one, name=name))
    return listed


def _lengths(xml: bytes) -> list[int]:
    """Of each of the texts that cells share, its length."""
    lengths: list[int] = []

    def start(name: str, _: dict[str, str]) -> None:
        if name == "si":
            lengths.append(0)

    def text(some: str) -> None:
        if lengths:
            lengths[-1] += len(some)

    if xml:
        _parse(xml, start, text=text)
    return lengths


def _styles_in_parts(xml: bytes) -> frozenset[str]:
    """The numbers of the styles that show something between the digits of a number."""
    formats: set[str] = set(map(str, _BUILT_IN_PARTS))
    styles: list[str] = []
    inside: list[str] = []

    def start(name: str, said: dict[str, str]) -> None:
        inside.append(name)
        if name == "numFmt" and _IN_PARTS.search(said.get("formatCode", "")[:_LONGEST_FORMAT]):
            formats.add(said.get("numFmtId", ""))
        elif name == "xf" and "cellXfs" in inside:
            styles.append(said.get("numFmtId", ""))
            if len(styles) > _MOST_STYLES:
                raise damaged()

    if xml:
        _parse(xml, start, lambda _: inside.__delitem__(-1))
    return frozenset(str(place) for place, number in enumerate(styles) if number in formats)


class _Sheet:
    """One sheet of an xlsx workbook while it is read."""

    def __init__(self, lengths: list[int], in_parts: frozenset[str]) -> None:
        self.lengths, self.in_parts, self.room, self.found = lengths, in_parts, _Room(), Scanned()
        self.row, self.column = -1, -1
        self.kind, self.inside, self.said, self.style = "", "", "", ""
        self.row_hidden = self.open_formula = False
        """Whether the cell has a formula, of which no value was seen yet."""

    def start(self, name: str, said: dict[str, str]) -> None:
        self.inside = name
        if name == "c":
            self._cell(said)
        elif name == "row":
            number = whole_number(said.get("r", ""), MOST_ROWS)
            self.row, self.column = number - 1 if number else self.row + 1, -1
            self.row_hidden = said.get("hidden") in ("1", "true")
        elif name == "f":
            self.open_formula = True
        elif name in ("v", "is"):
            # A text may be empty; of all else an empty value is none. Some programs write it so, to let Excel reckon.
            self.open_formula, self.said = self.open_formula and self.kind != "str", ""
        elif name == "mergeCell":
            self._merged(said.get("ref", ""))

    def _merged(self, reference: str) -> None:
        ends = [end for end in map(_cell, reference.split(":")) if end]
        if len(ends) == 2:
            self.found.merged.append((ends[0], ends[1]))

    def _cell(self, said: dict[str, str]) -> None:
        self.close()
        at = _cell(said.get("r", ""))
        self.row, self.column = at or (max(self.row, 0), self.column + 1)
        self.room.take((self.row, self.column))
        if self.row_hidden:
            self.found.hidden.add(self.row)
        self.kind, self.style = said.get("t", ""), said.get("s", "")
        if self.kind == "e":
            self.found.lose((self.row, self.column), "an error instead of a value")

    def close(self) -> None:
        """A formula whose cell ended without a value."""
        if self.open_formula:
            self.found.lose((self.row, self.column), NEVER_RECKONED)
        self.open_formula = False

    def end(self, name: str) -> None:
        if name == "v" and self.kind == "s":
            place = whole_number(self.said.strip(), len(self.lengths) - 1) if self.lengths else None
            self.room.take((self.row, self.column), 0, 0 if place is None else self.lengths[place])
        elif name == "v" and self.style in self.in_parts and _MAY_BE_TWO.fullmatch(self.said.strip()):
            self.found.lose((self.row, self.column), IN_PARTS)
        self.inside = ""

    def text(self, some: str) -> None:
        if self.inside == "v" and not some.isspace():
            self.open_formula = False
        if self.inside == "v" and self.kind in ("", "n", "s"):
            self.said = (self.said + some)[:20]
        elif self.inside == "t":
            self.room.take((max(self.row, 0), max(self.column, 0)), 0, len(some))


def _scan_sheet(xml: bytes, lengths: list[int], in_parts: frozenset[str]) -> Scanned:
    sheet = _Sheet(lengths, in_parts)
    _parse(xml, sheet.start, sheet.end, sheet.text)
    sheet.close()
    sheet.room.check("")
    return sheet.found


class _Tables:
    """The sheets of an ods workbook while they are read."""

    def __init__(self) -> None:
        self.sheets: list[Scanned] = []
        self.rooms: list[_Room] = []
        self.row = self.rows = self.column = self.columns = 0
        self.filled, self.length, self.row_hidden = -1, 0, False
        self.cells = 0
        """Of all sheets, as the file has them: empty ones too, and those that repeat once."""
        self.value, self.shown = "", ""
        """Of the cell, where it is a number."""

    def start(self, name: str, said: dict[str, str]) -> None:
        if name in ("table-cell", "covered-table-cell") and self.sheets:
            self._cell(_unprefixed(said))
        elif name == "table":
            self.sheets.append(Scanned(_unprefixed(said).get("name", "")))
            self.rooms.append(_Room())
            self.row = 0
        elif name == "table-row":
            self.rows = _times(_unprefixed(said), "number-rows-repeated")
            self.column, self.filled, self.length = 0, -1, 0
            self.row_hidden = not {"collapse", "filter"}.isdisjoint(said.values())
        elif name == "p":
            self.filled = max(self.filled, self.column + self.columns - 1)

    def _cell(self, said: dict[str, str]) -> None:
        self.cells += 1
        if self.cells > MOST_CELLS:
            raise _too_much()
        self.columns = _times(said, "number-columns-repeated")
        if "value-type" in said or "formula" in said:
            self.filled = max(self.filled, self.column + self.columns - 1)
        if "formula" in said and "value-type" not in said:
            self.sheets[-1].lose((self.row, self.column), NEVER_RECKONED)
        self.value, self.shown = said.get("value", ""), ""
        down, right = _times(said, "number-rows-spanned"), _times(said, "number-columns-spanned")
        if down > 1 or right > 1:
            at = self.row, self.column
            self.sheets[-1].merged.append((at, (at[0] + down - 1, at[1] + right - 1)))

    def end(self, name: str) -> None:
        if name in ("table-cell", "covered-table-cell"):
            if _MAY_BE_TWO.fullmatch(self.value) and re.search(r"\d\D+\d", self.shown):
                self.sheets[-1].lose((self.row, self.column), IN_PARTS)
            self.column += self.columns
        elif name == "table-row" and self.rooms:
            if self.filled >= 0:
                room = self.rooms[-1]
                room.take((self.row, 0), self.rows * (self.filled + 1), self.rows * self.length)
                room.take((self.row + self.rows - 1, self.filled), 0)
                if self.row_hidden:
                    self.sheets[-1].hidden.update(range(self.row, self.row + self.rows))
            self.row += self.rows

    def text(self, some: str) -> None:
        self.length += len(some) * max(self.columns, 1)
        if self.value:
            self.shown = (self.shown + some)[:40]


def _unprefixed(said: dict[str, str]) -> dict[str, str]:
    """Attributes without what their namespaces are called; of two that are then alike, the first."""
    return {key.rpartition(":")[2]: value for key, value in reversed(said.items())}


def _times(said: dict[str, str], what: str) -> int:
    """How often a cell or row is meant, which is said once where it repeats."""
    text = said.get(what)
    return 1 if text is None else whole_number(text, MOST_ROWS) or 1


def _scan_ods(xml: bytes) -> list[Scanned]:
    tables = _Tables()
    _parse(xml, tables.start, tables.end, tables.text)
    for sheet, room in zip(tables.sheets, tables.rooms, strict=True):
        room.check(sheet.name)
    return tables.sheets
