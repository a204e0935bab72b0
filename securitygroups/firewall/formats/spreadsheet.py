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
# Spreadsheets take such text for a formula unless an apostrophe stands before it; one more is put there, one taken off.
_FORMULA, _QUOTED = re.compile("'*[=+@-]"), re.compile("'+[=+@-]")


def write_csv(rules: RuleList) -> str:
    """The rules under a header of the document's keys; an empty field is "any". Equal input gives equal text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(RULE_KEYS)
    for rule in rules:
        fields = rule_to_json(rule)
        fields["enabled"] = str(rule.enabled).lower()
        if _FORMULA.match(rule.description):
            fields["description"] = f"'{rule.description}"
        writer.writerow(["" if fields[key] is None else fields[key] for key in RULE_KEYS])
    return text.getvalue()


def _value(key: str, text: str) -> Any:
    """A field as JSON would have it; what is none stays text, for the document's own refusal."""
    if key == "description":
        return text[1:] if _QUOTED.match(text) else text
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
