"""Rule lists as files: strict in, byte-stable out."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from securitygroups.firewall.formats.strict import (
    MAX_COUNTED,
    BadDocument,
    Fault,
    bad,
    check_keys,
    choice,
    decode,
    load_json,
    no_constant,
    port_number,
    unique_keys,
)
from securitygroups.firewall.protocols import PROTOCOLS, Action, Direction, Problem, shown
from securitygroups.firewall.texts import clean, text_problem, visible
from securitygroups.firewall.values import (
    MAX_DESCRIPTION,
    Refused,
    Rule,
    RuleList,
    parse_network,
)

FORMAT = "karenpanel.group/1"
MAX_NAME = 100
MAX_DOCUMENT_BYTES = 8 * 1024 * 1024
MAX_LOCATED = 200_000
RULE_KEYS = (
    "action",
    "direction",
    "protocol",
    "source",
    "destination",
    "port_start",
    "port_end",
    "description",
    "enabled",
)
GROUP_KEYS = ("format", "name", "description", "rules")


@dataclass(frozen=True, slots=True)
class GroupDocument:
    """A security group as a file holds it."""

    name: str
    description: str
    rules: tuple[Rule, ...]


def _text(value: Any, longest: int) -> str | Problem:
    if not isinstance(value, str):
        return Problem("Write a text in quotes.")
    text = clean(value)
    return text_problem(text, longest) or text


def _network(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, str):
        return Problem('Write an address in quotes, such as "203.0.113.0/24", or null for any.')
    if not value.strip():
        return Problem("Write null for any address.")
    try:
        return parse_network(value)
    except Refused as refusal:
        return refusal.problem


def _protocol(value: Any) -> str | Problem:
    return value if isinstance(value, str) else Problem(f"Write one of {', '.join(PROTOCOLS)}, in quotes.")


def rule_from_json(value: Any, where: str = "") -> Rule:
    """A rule from its JSON object. Raises BadDocument with every fault of it, each at its field."""
    faults = list(check_keys(value, RULE_KEYS, ("action", "direction", "protocol"), where))
    if faults:
        raise BadDocument(faults)
    fields = _rule_fields(value)
    problems = {name: field for name, field in fields.items() if isinstance(field, Problem)}
    if not problems:
        rule = Rule(**_with_one_port(fields))
        problems = rule.problems()
        if not problems:
            return rule
    prefix = f"{where}." if where else ""
    raise BadDocument([Fault(prefix + name, problem) for name, problem in problems.items()])


def _rule_fields(value: Mapping[str, Any]) -> dict[str, Any]:
    """The rule's fields as values, or why each cannot be one."""
    fields: dict[str, Any] = {
        "action": choice(value["action"], Action),
        "direction": choice(value["direction"], Direction),
        "protocol": _protocol(value["protocol"]),
        "source": _network(value.get("source")),
        "destination": _network(value.get("destination")),
        "port_start": port_number(value.get("port_start")),
        "port_end": port_number(value.get("port_end")),
        "description": _text(value.get("description", ""), MAX_DESCRIPTION),
        "enabled": value.get("enabled", True),
    }
    if not isinstance(fields["enabled"], bool):
        fields["enabled"] = Problem("Write true or false.")
    return fields


def _with_one_port(fields: dict[str, Any]) -> dict[str, Any]:
    """A start alone means that one port, where the protocol has ports."""
    known = PROTOCOLS.get(fields["protocol"])
    if fields["port_end"] is None and known and "port_end" in known.columns:
        return fields | {"port_end": fields["port_start"]}
    return fields


def rule_to_json(rule: Rule) -> dict[str, Any]:
    """The rule's JSON object, keys in the order of the format."""
    return {
        "action": rule.action.value,
        "direction": rule.direction.value,
        "protocol": rule.protocol,
        "source": None if rule.source is None else str(rule.source),
        "destination": None if rule.destination is None else str(rule.destination),
        "port_start": rule.port_start,
        "port_end": rule.port_end,
        "description": rule.description,
        "enabled": rule.enabled,
    }


def rules_from_json(values: Any, where: str = "rules") -> tuple[Rule, ...]:
    """A list of rules. Raises BadDocument with the faults of all of them."""
    if not isinstance(values, list):
        raise bad(where, "Write a list in brackets: […].")
    rules: list[Rule] = []
    faults: list[Fault] = []
    for place, value in enumerate(values):
        try:
            rules.append(rule_from_json(value, f"{where}[{place}]"))
        except BadDocument as error:
            faults += error.faults
            if len(faults) >= MAX_COUNTED:
                break
    if faults:
        raise BadDocument(faults)
    return tuple(rules)


def _places(text: str) -> Iterator[tuple[str, int]]:
    """Where each value and each rule of a group document begins, such as ("rules[2]", 310).

    Raises what reading a value raises, and ends at a key that stands twice: the last place is then the bad one.
    """
    read = json.JSONDecoder(object_pairs_hook=unique_keys, parse_constant=no_constant).raw_decode

    def past(sign: re.Pattern[str], at: int) -> int:
        """The place behind `sign` and the space around it; `sign` may be missing."""
        found = sign.match(text, at)
        return found.end() if found else at

    open_brace, open_bracket, colon, comma = (
        re.compile(rf"\s*{sign}?\s*", re.ASCII) for sign in (r"\{", r"\[", ":", ",")
    )
    at, seen = past(open_brace, 0), set[str]()
    while text.startswith('"', at):
        key, at = read(text, at)
        at = past(colon, at)
        yield shown(key), at
        if key in seen:
            return
        seen.add(key)
        if key == "rules" and text.startswith("[", at):
            at, place = past(open_bracket, at), 0
            while not text.startswith("]", at):
                yield f"rules[{place}]", at
                at, place = past(comma, read(text, at)[1]), place + 1
            at = past(comma, at + 1)
        else:
            at = past(comma, read(text, at)[1])


def _with_lines(text: str, faults: list[Fault]) -> list[Fault]:
    """The faults of a group document with their lines, which parsed JSON does not tell any more."""
    if faults[0].where.startswith("line "):
        return faults
    offsets, last = {"document": 0}, ""
    wanted = {fault.where.partition(".")[0] for fault in faults} - offsets.keys()
    # A fault without a place is raised again on the way, and stands at the last place before that.
    with suppress(ValueError, RecursionError):
        for last, offset in _places(text):
            offsets[last] = offset
            if wanted <= offsets.keys() or len(offsets) > MAX_LOCATED:
                last = ""
                break
    located = []
    for fault in faults:
        where = fault.where or last
        line = text.count("\n", 0, offsets.get(where.partition(".")[0], 0)) + 1
        located.append(Fault(f"line {line}, {where}", fault.problem) if where else fault)
    return located


def read_group(data: bytes) -> GroupDocument:
    """A group document. Raises BadDocument; nothing of a bad file is taken."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise bad("", f"The file is larger than {MAX_DOCUMENT_BYTES // 2**20} MiB: split the list into several groups.")
    text = decode(data)
    try:
        return _group_from_json(load_json(text))
    except BadDocument as error:
        raise BadDocument(_with_lines(text, error.faults), error.total) from None


def _group_from_json(value: Any) -> GroupDocument:
    faults = list(check_keys(value, GROUP_KEYS, ("format", "name", "rules"), "document"))
    if faults:
        raise BadDocument(faults)
    if value["format"] != FORMAT:
        raise bad("format", f"Write “{FORMAT}”.")
    return group_fields(value)


def group_fields(value: Mapping[str, Any]) -> GroupDocument:
    """A group from its keys. Raises BadDocument with every fault of it, each at its field."""
    name, description = _text(value["name"], MAX_NAME), _text(value.get("description", ""), MAX_DESCRIPTION)
    if name == "":
        name = Problem("Write a name.")
    faults = [Fault(k, v) for k, v in (("name", name), ("description", description)) if isinstance(v, Problem)]
    try:
        rules = rules_from_json(value["rules"])
    except BadDocument as error:
        raise BadDocument(faults + error.faults, len(faults) + error.total) from None
    if isinstance(name, Problem) or isinstance(description, Problem):
        raise BadDocument(faults)
    return GroupDocument(name, description, rules)


def write_group(name: str, description: str, rules: RuleList) -> str:
    """The group document, one rule a line so that differences of files read well; equal input gives equal bytes."""
    return f'{{"format": {_line(FORMAT)},\n {write_group_fields(name, description, rules)}}}\n'


def write_group_fields(name: str, description: str, rules: RuleList) -> str:
    """The keys of a group, without the braces around them."""
    lines = ",\n".join("  " + _line(rule_to_json(rule)) for rule in rules)
    body = f"[\n{lines}\n ]" if rules else "[]"
    return f'"name": {_line(name)},\n "description": {_line(description)},\n "rules": {body}'


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def stored_rules(rules: RuleList) -> list[dict[str, Any]]:
    """The list as a revision keeps it: the document's rules, each with its identity."""
    return [{**rule_to_json(rule), "uid": rule.uid} for rule in rules]


def rules_from_stored(values: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """The inverse of stored_rules, and of rule_to_json for rules that were kept without an identity.

    What is kept is never refused: a character that today's rule of texts would refuse has a mark in its place.
    """
    return tuple(_from_stored(value) for value in values)


def _from_stored(value: Mapping[str, Any]) -> Rule:
    kept = {key: value[key] for key in RULE_KEYS if key in value}
    return replace(
        rule_from_json({**kept, "description": visible(value.get("description", ""))}), uid=value.get("uid", "")
    )
