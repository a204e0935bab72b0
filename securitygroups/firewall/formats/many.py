"""Several groups in one file of ours: a document of group documents, strict in and byte-stable out."""

import json
from collections.abc import Iterable
from typing import Any

from securitygroups.firewall.formats.documents import (
    GROUP_KEYS,
    GroupDocument,
    group_fields,
    write_group_fields,
)
from securitygroups.firewall.formats.strict import MAX_COUNTED, BadDocument, Fault, bad, check_keys, decode, load_json

FORMAT = "karenpanel.groups/1"
KEYS = ("format", "groups")
_ONE = GROUP_KEYS[1:]


def is_many(value: Any) -> bool:
    """Whether a JSON value is such a document, or was meant to be one."""
    return isinstance(value, dict) and value.get("format") == FORMAT


def read_groups(data: bytes) -> tuple[GroupDocument, ...]:
    """The groups, in order. Raises BadDocument with the faults of all of them; nothing of a bad file is taken."""
    value = load_json(decode(data))
    faults = list(check_keys(value, KEYS, KEYS, "document"))
    if faults:
        raise BadDocument(faults)
    if not isinstance(value["groups"], list):
        raise bad("groups", "Write a list in brackets: […].")
    found: list[GroupDocument] = []
    for place, one in enumerate(value["groups"]):
        if len(faults) >= MAX_COUNTED:
            break
        where = f"groups[{place}]"
        wrong = list(check_keys(one, _ONE, ("name", "rules"), where))
        try:
            if not wrong:
                found.append(group_fields(one))
        except BadDocument as error:
            wrong = [Fault(f"{where}.{fault.where}", fault.problem) for fault in error.faults]
        faults += wrong
    if faults:
        raise BadDocument(faults)
    return tuple(found)


def write_groups(groups: Iterable[GroupDocument]) -> str:
    """The document, one rule a line; equal input gives equal bytes."""
    written = ",\n".join(f" {{{write_group_fields(one.name, one.description, one.rules)}}}" for one in groups)
    body = f"[\n{written}]" if written else "[]"
    return f'{{"format": {json.dumps(FORMAT)},\n "groups": {body}}}\n'
