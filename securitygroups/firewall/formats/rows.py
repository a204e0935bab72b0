"""One row of a list of rules, by what its columns mean: the rules that it says, or what is wrong with each of its cells."""

from collections.abc import Mapping, Sequence
from typing import Any

from securitygroups.firewall.formats.columns import (
    Opening,
    Ranges,
    action,
    direction,
    in_parts,
    made,
    networks,
    openings,
    ports,
    switch,
)
from securitygroups.firewall.formats.sheets import Made
from securitygroups.firewall.protocols import PROTOCOLS, Problem
from securitygroups.firewall.several import PortsRefused, combined
from securitygroups.firewall.texts import clean, shown
from securitygroups.firewall.values import Network, Refused, Rule

MOST_TEXT = 2_000
"""Characters of a cell other than the description."""
_UNSEEN = "\u200b\u2060\ufeff"
"""What is not seen, and comes along where a cell was copied from a page."""
_COMBINED = ("source", "destination", "port_start", "port_end")


class RowRefused(ValueError):
    """What is wrong with one row, by key of its column; "row" for all of it."""

    def __init__(self, problems: dict[str, Problem]) -> None:
        super().__init__()
        self.problems = problems


def check_parts(said: Mapping[str, Sequence[str]], sign: str) -> None:
    """Of a text with this sign between its fields. Raises RowRefused where a number may be two."""
    ports = {key: said[key][0].strip() for key in ("port_start", "port_end", "ports") if said.get(key)}
    if problems := {key: problem for key, text in ports.items() if (problem := in_parts(text, sign))}:
        raise RowRefused(problems)


def rules_of(said: Mapping[str, Sequence[str]], ticked: bool) -> list[Rule]:
    """What one row says. Raises RowRefused with every fault of it."""
    texts = _texts(said)
    plain: dict[str, Any] = {
        "action": action(texts["action"]),
        "direction": direction(texts["direction"]),
        "description": _description(said.get("description", [])),
        "enabled": _enabled(texts, ticked),
    }
    problems = {key: value for key, value in plain.items() if isinstance(value, Problem)}
    lists = _lists(texts, problems)
    rules = [Rule(**plain, **each) for each in lists] if not problems else []
    for rule in rules:
        problems |= rule.problems()
    if problems:
        raise RowRefused(problems)
    return rules


def _texts(said: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Each cell as text, but the description. Raises RowRefused where one is not what was typed, or no cell of a list."""
    texts: dict[str, str] = {}
    problems: dict[str, Problem] = {}
    for key, cells in said.items():
        cell = cells[0] if cells else ""
        if key == "description":
            lost = next((cell for cell in cells if isinstance(cell, Made) and not cell.plain), None)
            problems |= {key: made(lost)} if lost else {}
        else:
            texts[key] = cell.strip().strip(_UNSEEN).strip().removeprefix("'")
            if wrong := _not_typed(cell):
                problems[key] = wrong
    if problems:
        raise RowRefused(problems)
    return texts


def _not_typed(cell: str) -> Problem | None:
    """Of a cell that a spreadsheet made, or that has more than one rule's worth of text."""
    if isinstance(cell, Made):
        return made(cell)
    if len(cell) > MOST_TEXT:
        return Problem(f"This has {len(cell):,} characters, {MOST_TEXT:,} are the most: make several rows of it.")
    return None


def _description(cells: Sequence[str]) -> str:
    """A name and a remark are one description."""
    words = dict.fromkeys(clean(cell.plain if isinstance(cell, Made) else cell) for cell in cells)
    return ": ".join(word for word in words if word)


def _enabled(texts: Mapping[str, str], ticked: bool) -> bool | Problem:
    key = "enabled" if "enabled" in texts else "disabled" if "disabled" in texts else ""
    if not key:
        return True
    if ticked and key == "enabled":
        return bool(texts[key])
    said = switch(texts[key])
    if said is not None:
        return said if key == "enabled" else not said
    what = f"“{shown(texts[key])}” says neither on nor off: write" if texts[key] else "Write"
    return Problem(f"{what} true or false.")


def _lists(texts: Mapping[str, str], problems: dict[str, Problem]) -> list[dict[str, Any]]:
    """The fields of each rule that a row's lists make together; what is wrong goes to `problems`."""
    found: dict[str, Any] = {}
    for key, read in (("protocol", openings), ("source", networks), ("destination", networks)):
        try:
            found[key] = read(_without_dash(key, texts.get(key, ""), found.get("protocol", ())))
        except Refused as refusal:
            problems[key] = refusal.problem
    if len(found) < 3:
        return []
    made_of: list[dict[str, Any]] = []
    for opening in found["protocol"]:
        try:
            sources = _of_family(found["source"], opening)
            each = combined(sources, found["destination"], _ranges(texts, opening))
            made_of += [{"protocol": opening[0], **dict(zip(_COMBINED, fields, strict=True))} for fields in each]
        except PortsRefused as refusal:
            problems[refusal.field] = refusal.problem
        except Refused as refusal:
            problems["row"] = refusal.problem
    return made_of


def _without_dash(column: str, text: str, found: Sequence[Opening]) -> str:
    """The pages write a dash where a protocol has no such field; elsewhere nobody could tell what it means."""
    none = found and not any(column in PROTOCOLS[opening[0]].columns for opening in found)
    return "" if none and text in ("-", "–", "—") else text


def _of_family(sources: tuple[Network | None, ...], opening: Opening) -> tuple[Network | None, ...]:
    """ICMPv6 is ICMP of one family, and a rule tells it by its source."""
    family = opening[2]
    if not family:
        return sources
    if sources == (None,):
        return networks("any ipv6" if family == 6 else "any ipv4")
    if any(source is None or source.version != family for source in sources):
        raise Refused(
            Problem(f"ICMP over IPv{family} has IPv{family} sources alone: write one, or ICMP as the protocol.")
        )
    return sources


def _ranges(texts: Mapping[str, str], opening: Opening) -> Ranges:
    """What the columns of ports and the service say. Raises PortsRefused, Refused."""
    protocol, service, _ = opening
    start, end, both = (texts.get(key, "") for key in ("port_start", "port_end", "ports"))
    if both and (start or end):
        raise PortsRefused("ports", Problem("The start port says it, too: leave one of them empty."))
    typed = ports(both or start, end, protocol)
    if not service:
        return typed
    named = ports(service, "", protocol)
    if typed not in (((None, None),), named):
        why = f"The service is {PROTOCOLS[protocol].label} {service}, and the port another one: write one of them."
        raise PortsRefused("port_start", Problem(why))
    return named
