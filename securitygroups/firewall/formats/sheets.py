"""Tables of files as people save them: CSV of any spelling, and workbooks. Bytes in, rows of cells out, each cell with a
name by which a person finds it.

What a cell says is for who knows what the columns mean; here only what is no text any more is told from what is: a date
that a spreadsheet made out of something else, an error, a formula without a value.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import python_calamine
import xlsxwriter
from charset_normalizer import from_bytes

from securitygroups.firewall.formats.packed import IN_PARTS, SAVE_AS, Scanned, cell_name, damaged, locked, looked_at
from securitygroups.firewall.formats.strict import BadDocument, bad
from securitygroups.firewall.texts import shown

SIGNS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""What fields of a text are separated by."""
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_NO_TABLES = {
    b"\x1f\x8b": "packed with gzip: unpack it, and import what is in it",
    b"BZh": "packed with bzip2: unpack it, and import what is in it",
    b"\xfd7zXZ": "packed with xz: unpack it, and import what is in it",
    b"(\xb5/\xfd": "packed with zstd: unpack it, and import what is in it",
    b"Rar!": "a RAR archive: unpack it, and import what is in it",
    b"7z\xbc\xaf": "a 7z archive: unpack it, and import what is in it",
    b"PAR1": "a Parquet file: write the table as CSV where it was made",
    b"SQLite format 3": "an SQLite database: export the table as CSV",
    b"ID;P": "a SYLK file: open it in a spreadsheet, and save it as .xlsx or CSV UTF-8",
    b"MIME-Version:": "a web archive: open it in a spreadsheet, and save it as .xlsx or CSV UTF-8",
    b"<?xml": "XML, which is no table that is read here: export the list as CSV or .xlsx where it was made",
    b"%PDF": "a PDF, which has no cells: export the list as CSV or .xlsx where it was made",
    b"\x89PNG": "a picture: export the list as CSV or .xlsx where it was made",
    b"\xff\xd8\xff": "a picture: export the list as CSV or .xlsx where it was made",
    b"{\\rtf": "a text document: save the table as CSV or .xlsx",
}
_HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|table|meta)\b(?s:.)*?<table\b|\s*<table\b")
MOST_LINES = 500_000
_SAMPLE = 20_000
"""Bytes that a charset is told by."""
# The charsets of spreadsheets that save CSV without Unicode, each by its name for people.
_CHARSETS = {
    "cp1252": "Windows-1252", "cp1250": "Windows-1250", "cp1251": "Windows-1251", "cp1253": "Windows-1253",
    "cp1254": "Windows-1254", "cp1255": "Windows-1255", "cp1256": "Windows-1256", "cp1257": "Windows-1257",
    "cp932": "Shift JIS", "gb18030": "GB 18030", "big5": "Big5", "cp949": "Korean (949)", "mac_roman": "Mac Roman",
}  # fmt: skip
_ALL = tuple(charset for charset in _CHARSETS if charset != "mac_roman")
_ALPHABETS = ("cp1251", "cp1253", "cp1255", "cp1256", "cp1250", "cp1252")
_FEW, _ENOUGH = 12, 40
"""Bytes of other letters than English ones: with fewer a charset is a guess; with more one of Western Europe can be told
from one of its neighbours."""
_WESTERN = frozenset(
    "".join(map(chr, range(128)))
    + "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝÞŒŠàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿœšžß"
    + "\u00a0€„“”‘’–—…·°§±¿¡«»ªº®™©£´½¼²³¹µ•"
)
# A sign inside of a word, and a capital behind a small letter, are letters of another charset.
_UNLIKELY = re.compile("[a-zß-ÿ][À-Þ]|[A-Za-zÀ-ÿ][°§±¿¡ªº£²³¹µ•®©](?=[a-zß-ÿ])")
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


class Made(str):
    """A cell of which a spreadsheet made something else than what was typed, in words: "the date 2026-01-02". `plain` is
    what a remark would say of it, empty where there is no value.
    """

    plain: str

    def __new__(cls, what: str, plain: str = "") -> "Made":
        made = super().__new__(cls, what)
        made.plain = plain
        return made


Row = tuple[int, list[str]]
"""Its number as a person counts it, and its cells."""


@dataclass(frozen=True, slots=True)
class Grid:
    """One table: `kind` is what it was read as, `sheet` its sheet, "" of a text. Rows without any cell are left out."""

    kind: str
    text: str = ""
    sign: str = ""
    sheet: str = ""
    kept: list[Row] = field(default_factory=list)
    merged: list[tuple[tuple[int, int], tuple[int, int]]] = field(default_factory=list)
    hidden: frozenset[int] = frozenset()
    """Rows of a sheet that are not shown, by their numbers."""
    is_hidden: bool = False
    """Whether that is the whole sheet."""

    def rows(self, most: int | None = None) -> Iterator[Row]:
        """Of the text, or of its first `most` characters. Raises BadDocument where it is no CSV."""
        if not self.sign:
            yield from self.kept
            return
        reader = csv.reader(
            io.StringIO(self.text[:most], newline=""), delimiter=self.sign, strict=True, skipinitialspace=True
        )
        # The reader counts to a record's last line; what is wrong is told at its first.
        number = 1
        try:
            for cells in reader:
                if any(cells):
                    yield number, cells
                number = reader.line_num + 1
        except csv.Error as error:
            raise bad(f"line {reader.line_num}", f"This is not CSV ({error}).") from None

    def row_name(self, number: int) -> str:
        return f"sheet {shown(self.sheet)}, row {number}" if self.sheet else f"line {number}"

    def cell_name(self, number: int, column: int, head: str) -> str:
        if self.sheet:
            return f"sheet {shown(self.sheet)}, cell {cell_name((number - 1, column))}"
        return f"line {number}, {shown(head)}" if head else f"line {number}, field {column + 1}"


def is_workbook(data: bytes) -> bool:
    return data.startswith((_ZIP, _OLE))


def text_of(data: bytes) -> tuple[str, str]:
    """(text, charset in words); the charset is "" for UTF-8. Raises BadDocument for what is no text at all."""
    for mark, charset in _MARKS:
        if data.startswith(mark):
            return _decoded(data, charset), "" if charset == "utf-8-sig" else charset.upper()
    if guess := _two_bytes(data):
        return _decoded(data, guess), "UTF-16"
    try:
        return data.decode(), ""
    except UnicodeDecodeError:
        pass
    if b"\0" in data:
        raise bad("", "This is no text and no workbook that is read here: save the list as .xlsx or as CSV UTF-8.")
    charset = _legacy(data)
    return data.decode(charset, "replace"), _CHARSETS[charset]


def as_text(data: bytes) -> str:
    """What a file says, fit for a box in which it is mended or sent again; a workbook as the text of its first sheet."""
    try:
        if not is_workbook(data):
            return text_of(data)[0].replace("\0", "\ufffd")
        text = io.StringIO()
        for grid in [grid for grid in grids(data) if not grid.is_hidden][:1]:
            csv.writer(text, lineterminator="\n").writerows(cells for _, cells in grid.rows())
        return text.getvalue()
    except BadDocument:
        return ""


def _decoded(data: bytes, charset: str) -> str:
    try:
        return data.decode(charset)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        name = charset.removesuffix("-sig").upper()
        raise bad(f"line {line}", f"Byte {error.start + 1} of the file is not {name}: save it as CSV UTF-8.") from None


def _two_bytes(data: bytes) -> str:
    """UTF-16 without a mark: every other byte of English letters is zero."""
    start = data[:400]
    if len(start) < 4 or len(data) % 2:
        return ""
    even, odd = start[::2].count(0), start[1::2].count(0)
    enough = len(start) // 2 * 0.6
    return "utf-16-le" if odd > enough and not even else "utf-16-be" if even > enough and not odd else ""


def _legacy(data: bytes) -> str:
    """The charset of a text that is not Unicode, told by its lines that have other letters than English ones. Raises
    BadDocument where they are too few to tell.
    """
    sample = b"\n".join(line for line in data[: _SAMPLE * 20].splitlines() if not line.isascii())[:_SAMPLE]
    strange = set(re.findall(rb"[\x80-\xff]+", sample))
    if b"\r" in data and b"\n" not in data:
        # Excel for Mac ends lines so, and writes its own charset with it.
        return "mac_roman"
    letters = sum(map(len, strange))
    if not strange or _is_western(sample, strange):
        western = ("cp1252", "cp1250", "cp1257", "cp1254")
        return _likeliest(sample, western) if letters > _ENOUGH else "cp1252"
    if letters < _FEW:
        why = "The file is not UTF-8, and has too few other letters to tell what it is: save it as CSV UTF-8."
        raise bad(f"line {_line_of(data)}", why)
    only_letters = min(map(min, strange)) >= 0xC0
    return _likeliest(sample, _ALPHABETS if only_letters else _ALL)


def _line_of(data: bytes) -> int:
    """The first line with a letter that is not English."""
    return next(number for number, line in enumerate(data.splitlines(), 1) if not line.isascii())


def _is_western(sample: bytes, strange: set[bytes]) -> bool:
    """Whether it can be the charset of Western Europe: single letters among English ones, and signs beside words."""
    text = sample.decode("cp1252", "replace")
    return all(len(run) <= 2 for run in strange) and _WESTERN.issuperset(text) and not _UNLIKELY.search(text)


def _likeliest(sample: bytes, among: tuple[str, ...]) -> str:
    best = from_bytes(sample, cp_isolation=list(among), preemptive_behaviour=False).best()
    guess = best.encoding if best and best.encoding in among else among[0]
    return "cp1252" if sample.decode(guess, "replace") == sample.decode("cp1252", "replace") else guess


def grids(data: bytes) -> list[Grid]:
    """Every way in which the file is a table: the sheets of a workbook, or a text with each sign between its fields. Raises
    BadDocument.
    """
    for start, what in _NO_TABLES.items():
        if data.startswith(start):
            raise bad("", f"The file is {what}.")
    if _HTML.match(data[:_SAMPLE].lower()):
        # Many programs call a page with a table .xls.
        raise bad(
            "", "The file is a web page with a table: open it in a spreadsheet, and save it as .xlsx or CSV UTF-8."
        )
    if is_workbook(data):
        return list(_sheets(data))
    text, charset = text_of(data)
    if text.count("\n") + text.count("\r") > 2 * MOST_LINES:
        raise bad("", f"The file has more than {MOST_LINES:,} lines: delete the empty ones, or split it.")
    said, text = _sign_line(text)
    kind = f", {charset}" if charset else ""
    return [
        Grid(f"CSV, fields separated by {SIGNS[sign]}{kind}", text, sign) for sign in SIGNS if not said or sign == said
    ]


def _sign_line(text: str) -> tuple[str, str]:
    """What Excel's “sep=” line says, and the text with that line emptied, so that lines keep their numbers."""
    line = text[:20].splitlines()[0] if text[:1] not in "\r\n" else ""
    bare = line.strip().strip('"')
    if bare[:4].lower() != "sep=":
        return "", text
    sign = line.strip('" \r\n')[4:5] or "\t"
    return sign if sign in SIGNS else "", text[len(line) :]


# ── Workbooks ─────────────────────────────────────────────────────────────────


def _sheets(data: bytes) -> Iterator[Grid]:
    """Those with cells, in their order."""
    if data.startswith(_OLE):
        _refuse_old(data)
    packed, scanned = looked_at(data)
    kind = "Excel workbook" if b"xl/workbook" in packed else "OpenDocument workbook"
    try:
        with python_calamine.load_workbook(io.BytesIO(packed)) as book:
            for place, one in enumerate(book.sheets_metadata):
                if one.typ is not python_calamine.SheetTypeEnum.WorkSheet:
                    continue
                about = next((each for each in scanned if each.name == one.name), Scanned())
                yield _grid(kind, one, book.get_sheet_by_index(place), about)
    except python_calamine.PasswordError:
        raise locked() from None
    except BadDocument:
        raise
    except (python_calamine.CalamineError, ValueError, OSError):
        raise damaged() from None


def _grid(kind: str, one: python_calamine.SheetMetadata, sheet: python_calamine.CalamineSheet, about: Scanned) -> Grid:
    return Grid(
        kind,
        sheet=one.name or "1",
        kept=list(_rows(sheet, about)),
        merged=about.merged,
        hidden=frozenset(row + 1 for row in about.hidden),
        is_hidden=one.visible is not python_calamine.SheetVisibleEnum.Visible,
    )


def _refuse_old(data: bytes) -> None:
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise locked()
    raise bad(
        "", f"This is a workbook of Excel 97–2003 (.xls), which is not read here: save it as .xlsx, or {SAVE_AS}."
    )


def _rows(sheet: python_calamine.CalamineSheet, about: Scanned) -> Iterator[Row]:
    down, right = sheet.start or (0, 0)
    blank: dict[int, dict[int, str]] = {}
    for (row, column), why in about.blank.items():
        blank.setdefault(row, {})[column] = why
    for number, values in enumerate(sheet.to_python(), down):
        cells = [""] * right + [_cell(value) for value in values]
        for column, why in blank.get(number, {}).items():
            cells += [""] * (column + 1 - len(cells))
            cells[column] = Made(why, cells[column] if why == IN_PARTS else "")
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield number + 1, cells


def _cell(value: Any) -> str:
    """A cell as it would be typed."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, int):
        return str(value)
    return Made(f"the {'date' if hasattr(value, 'year') else 'time'} {value}", str(value))


LONGEST_CELL = 32_767
"""Characters of a cell that Excel opens."""


def write_workbook(
    name: str, head: Sequence[str], rows: Iterable[Sequence[Any]], widths: Sequence[int], made: Any
) -> bytes:
    """A workbook of one sheet: its head stays in sight, texts are texts and never formulas, moments are dates, which know of
    no time zone: give them as UTC, and say so in the head. `made` is the moment that it bears. Equal input gives equal bytes.
    """
    file = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(file, options) as book:
        book.set_properties({"created": made})
        sheet = book.add_worksheet(name)
        bold, plain = book.add_format({"bold": True}), book.add_format({"num_format": "@"})
        counted, dated = book.add_format({"num_format": "0"}), book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        for column, width in enumerate(widths):
            # As text: what is typed there later stays what was typed, and 1-2 is no date.
            sheet.set_column(column, column, width, plain)
        sheet.freeze_panes(1, 0)
        sheet.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})
        for column, word in enumerate(head):
            sheet.write_string(0, column, word, bold)
        for row, values in enumerate(rows, 1):
            for column, value in enumerate(values):
                if isinstance(value, bool):
                    sheet.write_string(row, column, "Yes" if value else "No", plain)
                elif isinstance(value, int):
                    sheet.write_number(row, column, value, counted)
                elif hasattr(value, "tzinfo"):
                    sheet.write_datetime(row, column, value.replace(tzinfo=None, microsecond=0), dated)
                elif value:
                    sheet.write_string(row, column, str(value)[:LONGEST_CELL], plain)
    return file.getvalue()
