"""How a text log is laid out, told by its first lines: what separates its fields, and what they are called."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from securitygroups.firewall.flows.columns import (
    CSV,
    NEEDED,
    VPC,
    VPC_COLUMNS,
    WINDOWS,
    ZEEK,
    Traits,
    known,
    looks_like_vpc,
    standing_for,
    traits_of,
)
from securitygroups.firewall.formats.strict import BadDocument, bad

_BLANK = " "
_SEPARATORS = (",", ";", "\t", "|")
_NOTHING = " \t,;|\r"
_MOST_LINES = 1000
_ESCAPED = re.compile(r"\\x([0-9a-fA-F]{2})")
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:T[\d:.]+Z?)?\Z|\d\d:\d\d:[\d.]+\Z|\d{13}\Z")
_MOST_BEFORE, _MOST_BEHIND = 4, 4  # words beside a record
_GATEWAY = re.compile(r"tgw-[0-9a-f]{8,}\Z")
_FILTERED = VPC._replace(trailer=b"SEARCHEDLOGSTREAMS")
"""As aws logs filter-log-events has them, too, which ends with the streams that it looked through."""
_VPC_WORDS = {"ACCEPT", "REJECT", "NODATA", "SKIPDATA"}
_PACKET_LIST = {"no.", "time", "source", "destination", "protocol", "length", "info"}
_OF_WIRESHARK = (
    "This is the list of packets that Wireshark shows, whose ports stand in a remark: "
    "save the packets themselves (File, Export Specified Packets) as pcapng, and take that."
)
_ADDRESS = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}\Z|[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*\Z")


@dataclass(frozen=True, slots=True)
class Layout:
    """A table's `separator`, what each column stands for ("" where it is passed over), the number of the line with which
    its records begin, and the header, which is no record where it comes again."""

    traits: Traits
    separator: str
    names: tuple[str, ...]
    line: int
    header: bytes = b""

    def header_words(self) -> list[str]:
        return split_line(decoded(self.header), self.separator, 1) if self.header else []


def decoded(line: bytes) -> str:
    """A line of UTF-8, or of Latin-1 where it is none."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def split_line(line: str, separator: str, number: int) -> list[str]:
    """The fields of one line, spaces around them dropped. Raises BadDocument for a quote that does not end."""
    if separator == _BLANK:
        return line.split()
    try:
        return [field.strip() for field in next(csv.reader([line], delimiter=separator, strict=True), [])]
    except csv.Error as error:
        if line.count('"') % 2:
            why = "This is not a line of CSV: a field in quotation marks does not end in it. Write each record in one line."
            raise bad(f"line {number}", why) from None
        raise bad(f"line {number}", f"This is not a line of CSV ({error}).") from None


class _Head:
    """What the lines before the first record say."""

    def __init__(self) -> None:
        self.separator, self.traits = "", CSV
        self.names: list[str] = []
        self.remark: list[str] = []

    def take(self, line: str) -> bool:
        """Whether the line says something of the table, or nothing at all, and is no record."""
        if not line.strip(_NOTHING):
            return True
        if sign := re.match(r"(?i)\"?sep=([^\"\r])\"?\s*\Z", line):
            self.separator = sign[1]
            return True
        if not line.startswith("#"):
            return False
        self._remark(line)
        return True

    def _remark(self, line: str) -> None:
        word = re.match(r"#\s*(\w+):?\s*", line)
        if not word:
            self._header_behind_a_mark(line)
            return
        rest = line[word.end() :]
        match word[1].lower():
            case "separator":
                self.separator = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), rest)[:1] or "\t"
            case "fields" if "\t" in line:
                self.traits, self.separator = ZEEK, self.separator or "\t"
                self.names = rest.rstrip("\r").split(self.separator)
            case "fields" if ":" in line:
                self.names, self.separator = rest.split(), _BLANK
                self._of_windows()
            case "fields" if self.separator:
                self.traits, self.names = ZEEK, rest.lstrip(self.separator).split(self.separator)
            case _:
                self._header_behind_a_mark(line)

    def _of_windows(self) -> None:
        """Its path says whether the packet was sent or received, and its lines stand in the order of their time."""
        if "path" in self.names:
            self.traits = WINDOWS
            self.names = ["direction" if name == "path" else name for name in self.names]
            self.names = ["" if name in ("date", "time") else name for name in self.names]

    def _header_behind_a_mark(self, line: str) -> None:
        separator, names = _best(line.lstrip("# "), self.separator, 1)
        if known(names) >= len(NEEDED):
            self.remark, self.separator = names, separator


def find_layout(data: bytes, *, directions_known: bool, no_direction: str) -> Layout | None:
    """The layout of a table that begins with these bytes; None where it is no table with names of columns.

    Raises BadDocument where one is named or missing that must not be.
    """
    head, number = _Head(), 0
    layout = None
    for number, raw in enumerate(data.split(b"\n", _MOST_LINES)[:_MOST_LINES], 1):
        line = decoded(raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw).rstrip("\r")
        if not head.take(line):
            layout = _begun(head, line, number, raw)
            break
    else:
        # No record follows.
        names = head.names or head.remark
        layout = _layout(head.traits, head.separator, names, number + 1) if names else None
    if layout is not None:
        _check(layout, number, directions_known, no_direction)
    return layout


def _begun(head: _Head, line: str, number: int, raw: bytes) -> Layout | None:
    """The layout by the first line that is not a remark."""
    if head.names:
        return _layout(head.traits, head.separator, head.names, number)
    if vpc := _vpc_records(line, number):
        return vpc
    separator, names = _best(line, head.separator, number)
    if known(names) >= 2 and (separator != _BLANK or _are_all(names)):
        traits = VPC if separator == _BLANK and looks_like_vpc(names) else traits_of(names)
        return _layout(traits, separator, names, number + 1, raw.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r"))
    if head.remark:
        return _layout(traits_of(head.remark), head.separator, head.remark, number)
    return None


def _are_all(names: Sequence[str]) -> bool:
    return set(NEEDED) <= set(standing_for(names))


def _layout(traits: Traits, separator: str, names: Sequence[str], line: int, header: bytes = b"") -> Layout:
    return Layout(traits, separator or ",", tuple(standing_for(names)), line, header)


def _best(line: str, separator: str, number: int) -> tuple[str, list[str]]:
    """The separator by which the line names most of what is read, and the names."""
    if separator:
        return separator, split_line(line, separator, number)
    found = []
    for mark in _SEPARATORS:
        if mark in line:
            try:
                found.append((mark, split_line(line, mark, number)))
            except BadDocument:
                continue
    # Blanks also split what others do: they are the last that is thought of.
    return max([*found, (_BLANK, line.split())], key=lambda each: known(each[1]))


def _vpc_records(line: str, number: int) -> Layout | None:
    """The layout of records without a header: the default format, also as CloudWatch exports it."""
    words = line.split()
    more = len(words) - len(VPC_COLUMNS)
    # A time may stand before a record, and the names of a group and a stream before or behind it, as CloudWatch writes them.
    for before in range(min(more, _MOST_BEFORE), -1, -1):
        behind = more - before
        if behind <= _MOST_BEHIND and _is_default(words[before : before + len(VPC_COLUMNS)]):
            return Layout(_FILTERED, _BLANK, ("",) * before + tuple(standing_for(VPC_COLUMNS)) + ("",) * behind, number)
    fields = words[next((at for at, word in enumerate(words[:3]) if not _TIME.match(word)), 0) :]
    if _is_custom(fields):
        raise bad(
            f"line {number}",
            "This is a record of a VPC flow log in a custom format: only its header line tells what its fields are. "
            "Put the names of the format’s fields before it, as they stand at the beginning of each file in S3.",
        )
    return None


def _is_default(fields: Sequence[str]) -> bool:
    if fields[0] != "2" or not _VPC_WORDS.intersection(fields[-2:]):
        return False
    return all(end == "-" or _ADDRESS.match(end) for end in fields[3:5])


def _is_custom(fields: Sequence[str]) -> bool:
    ends = sum(bool(_ADDRESS.match(field)) for field in fields)
    told = bool(_VPC_WORDS.intersection(fields))
    of_gateway = any(_GATEWAY.match(field) for field in fields)
    named = of_gateway or any(field.startswith("eni-") for field in fields)
    told = told or of_gateway
    return len(fields) >= 5 and not any("=" in field for field in fields) and told and (ends >= 2 or named)


def _check(layout: Layout, number: int, directions_known: bool, no_direction: str) -> None:
    missing = [name for name in NEEDED if name not in layout.names]
    if missing:
        if {word.lower() for word in layout.header_words()} >= _PACKET_LIST:
            raise bad(f"line {number}", _OF_WIRESHARK)
        hint = "direction, protocol, source, destination, port"
        raise bad(f"line {number}", f"There is no column {missing[0]}: the first line names the columns, {hint}.")
    if "direction" not in layout.names and not directions_known:
        raise bad(f"line {number}", no_direction)
