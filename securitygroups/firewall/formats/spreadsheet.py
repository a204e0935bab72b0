"""Rule lists as CSV, for spreadsheets, and files whose kind is told by how they begin."""

import csv
import io
import re
from typing import Any

from securitygroups.firewall.formats.documents import (
    MAX_DOCUMENT_BYTES,
    RULE_KEYS,
    GroupDocument,
    read_group,
    rule_from_json,
    rule_to_json,
)
from securitygroups.firewall.formats.strict import MAX_COUNTED, BadDocument, Fault, decode
from securitygroups.firewall.protocols import Problem
from securitygroups.firewall.values import Rule, RuleList, whole_number

_MOST = 999_999_999
"""Far beyond any port, so that the document's own refusal can name the number."""
_SWITCH = {"true": True, "false": False}
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


def _value(key: str, text: str) -> Any:
    """A field as JSON would have it; what is none stays text, for the document's own refusal."""
    if key == "description":
        return unguarded(text)
    text = text.strip()
    if key == "enabled":
        return _SWITCH.get(text.lower(), text)
    if text == "":
        return None
    if key in ("port_start", "port_end"):
        number = whole_number(text.removeprefix("-"), _MOST)
        if number is None:
            return text
        return -number if text.startswith("-") else number
    return text


def read_csv(data: bytes) -> tuple[Rule, ...]:
    """The rules of a CSV file with exactly the header that write_csv writes. Raises BadDocument with line and field."""
    text = decode(data)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rules: list[Rule] = []
    faults: list[Fault] = []
    try:
        header = next(reader, [])
        if header != list(RULE_KEYS):
            raise BadDocument([Fault("line 1", Problem(f"The header must be exactly: {','.join(RULE_KEYS)}"))])
        # The reader counts to a record's last line; what is wrong is told at its first.
        line = reader.line_num + 1
        for row in reader:
            where, line = f"line {line}", reader.line_num + 1
            if len(faults) >= MAX_COUNTED:
                break
            try:
                rules += _rules_of(row, where)
            except BadDocument as error:
                faults += error.faults
    except csv.Error as error:
        raise BadDocument([Fault(f"line {reader.line_num}", Problem(f"This is not CSV ({error})."))]) from None
    if faults:
        raise BadDocument(faults)
    return tuple(rules)


def _rules_of(row: list[str], where: str) -> list[Rule]:
    """The rule of a row, none of an empty line. Raises BadDocument with every fault of it."""
    if not row:
        return []
    if len(row) != len(RULE_KEYS):
        raise BadDocument([Fault(where, Problem(f"This has {len(row)} fields instead of {len(RULE_KEYS)}."))])
    try:
        return [rule_from_json({key: _value(key, field) for key, field in zip(RULE_KEYS, row, strict=True)})]
    except BadDocument as error:
        raise BadDocument([Fault(f"{where}, {fault.where}", fault.problem) for fault in error.faults]) from None


def read_any(data: bytes) -> GroupDocument:
    """A group document or a CSV file (which has no name). Raises BadDocument; nothing of a bad file is taken."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise BadDocument([Fault("", Problem(f"The file is larger than {MAX_DOCUMENT_BYTES // 2**20} MiB."))])
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if not start:
        raise BadDocument([Fault("", Problem("There is nothing in it: choose a file, or paste a document."))])
    # UTF-16 is handed on as well: the document's reader says what to do about it.
    if start in (b"{", b"[") or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return read_group(data)
    return GroupDocument("", "", read_csv(data))
