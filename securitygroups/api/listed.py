"""Two lists that are compared: each said as rules, or as a group of the project and one of its revisions."""

from typing import Any

from django.http import Http404

from securitygroups.access import Access, find_group
from securitygroups.effective import rules_at, rules_of_group
from securitygroups.firewall.formats.documents import GROUP_KEYS, rules_from_json
from securitygroups.firewall.formats.strict import BadDocument, Fault, bad, check_keys
from securitygroups.firewall.values import RuleList
from securitygroups.models import GroupRevision

MOST_RULES = 2_000
"""Of one list that is sent: twice what a group has by default."""
DEARER = 4
"""To compare two lists takes so much longer than to look at them once."""

_SENT = {
    "type": "object",
    "properties": {
        "rules": {"type": "array", "items": {"$ref": "#/components/schemas/Rule"}, "maxItems": MOST_RULES},
        "format": {"type": "string"},
        "name": {"type": "string"},
        "description": {"type": "string"},
    },
    "required": ["rules"],
    "additionalProperties": False,
}
_OF_GROUP = {
    "type": "object",
    "properties": {
        "group": {"type": "string", "description": "The group's id"},
        "revision": {"type": "integer", "minimum": 1, "description": "Left out: the newest"},
    },
    "required": ["group"],
    "additionalProperties": False,
}
# By name: what is in a schema twice would be two things for programs that are made of it.
COMPONENTS = {"ListOfRules": _SENT, "ListOfGroup": _OF_GROUP}
_EITHER = {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in COMPONENTS]}
TWO = {
    "type": "object",
    "properties": {"before": _EITHER, "after": _EITHER},
    "required": ["before", "after"],
    "additionalProperties": False,
}


def read_two(access: Access, sent: dict[str, Any]) -> tuple[RuleList, RuleList]:
    """The lists “before” and “after”. Raises BadDocument, each fault at its place."""
    if faults := list(check_keys(sent, ("before", "after"), ("before", "after"), "")):
        raise BadDocument(faults)
    return _list(access, sent["before"], "before"), _list(access, sent["after"], "after")


def _list(access: Access, value: Any, where: str) -> RuleList:
    if isinstance(value, dict) and "group" in value:
        return _of_group(access, value, where)
    if faults := list(check_keys(value, GROUP_KEYS, ("rules",), where)):
        raise BadDocument(faults)
    if wrong := [name for name in GROUP_KEYS if name != "rules" and not isinstance(value.get(name, ""), str)]:
        raise bad(f"{where}.{wrong[0]}", "Write a text in quotes.")
    rules = value["rules"]
    if isinstance(rules, list) and len(rules) > MOST_RULES:
        raise bad(f"{where}.rules", f"Lists of {MOST_RULES:,} rules at most are compared.")
    try:
        return rules_from_json(rules)
    except BadDocument as error:
        at = [Fault(f"{where}.{fault.where}" if fault.where else where, fault.problem) for fault in error.faults]
        raise BadDocument(at, error.total) from None


def _of_group(access: Access, value: dict[str, Any], where: str) -> RuleList:
    if faults := list(check_keys(value, ("group", "revision"), ("group",), where)):
        raise BadDocument(faults)
    group, number = value["group"], value.get("revision")
    if not isinstance(group, str):
        raise bad(f"{where}.group", "Write the group's id in quotes, such as “sg-…”.")
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 2**31):
        raise bad(f"{where}.revision", "Write the number of a revision without quotes.")
    try:
        found = find_group(access, group)
    except Http404:
        raise bad(f"{where}.group", "The project has no such group.") from None
    try:
        return rules_of_group(found) if number is None else rules_at(found, number)
    except GroupRevision.DoesNotExist:
        raise bad(f"{where}.revision", "The group has no such revision.") from None
