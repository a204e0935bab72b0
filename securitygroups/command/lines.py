"""A list as people edit it in a terminal: one rule a line, in the order in which they decide."""

from collections.abc import Iterable, Sequence
from difflib import unified_diff
from typing import Any

from securitygroups.firewall.formats.documents import rule_from_json, rule_to_json
from securitygroups.firewall.notation import rule
from securitygroups.firewall.protocols import PROTOCOLS, Problem
from securitygroups.firewall.values import Refused, Rule

OFF = "off"
NOTE = "#"
MARK = "#?"
"""What begins a line that says what is wrong with the one above it."""
HELP = (
    "One rule a line; the first that matches decides, and no match is denied. Move lines to change the order.",
    f"accept|drop in|out {'|'.join(PROTOCOLS)} [PORT or PORT-PORT] [from NETWORK] [to NETWORK]  # description",
    "“off” in front of a rule switches it off. Delete everything to change nothing.",
)


class Faults(ValueError):
    """What is wrong with a text: by line from 1, why."""

    def __init__(self, by_line: dict[int, str]) -> None:
        super().__init__("\n".join(f"line {line}: {why}" for line, why in by_line.items()))
        self.by_line = by_line


def line_of(document: dict[str, Any]) -> str:
    """A rule, as the document has it, as a line without its description."""
    one = rule_from_json({name: value for name, value in document.items() if name != "id"})
    words = [*([] if one.enabled else [OFF]), one.action.value, one.direction.value, one.protocol]
    if one.port_start is not None:
        end = one.port_start if one.port_end is None else one.port_end
        words.append(f"{one.port_start}" if end == one.port_start else f"{one.port_start}-{end}")
    words += ["from", str(one.source)] if one.source else []
    words += ["to", str(one.destination)] if one.destination else []
    return " ".join(words)


def text_of(rules: Sequence[dict[str, Any]]) -> str:
    """The list as text, the descriptions below each other."""
    wide = min(max((len(line_of(one)) for one in rules), default=0), 60)
    return "".join(f"{_with_description(one, wide)}\n" for one in rules)


def _with_description(one: dict[str, Any], wide: int = 0) -> str:
    return f"{line_of(one):{wide}}  {NOTE} {one['description']}" if one["description"] else line_of(one)


def rules_of(text: str) -> list[dict[str, Any]]:
    """The documents of the rules. Lines that are empty or begin with # are none. Raises Faults with every line's."""
    rules, wrong = list[dict[str, Any]](), dict[int, str]()
    for number, line in enumerate(text.splitlines(), 1):
        words, _, description = line.partition(NOTE)
        if not words.strip():
            continue
        try:
            rules.append(rule_to_json(_read(words, description.strip())))
        except Refused as refusal:
            wrong[number] = _whole(refusal.problem.message, refusal.problem.suggestions)
    if wrong:
        raise Faults(wrong)
    return rules


def marked(text: str, by_line: dict[int, str]) -> str:
    """The text with what is wrong below each of these lines, for numbers are other ones in an editor."""
    lines = text.splitlines()
    return "".join(
        f"{line}\n{MARK} {by_line[number]}\n" if number in by_line else f"{line}\n"
        for number, line in enumerate(lines, 1)
    )


def _read(words: str, description: str) -> Rule:
    first, _, rest = words.strip().partition(" ")
    on = first != OFF
    read = rule(words if on else rest, description, enabled=on)
    if problems := read.problems():
        raise Refused(Problem(" ".join(_whole(one.message, one.suggestions) for one in problems.values())))
    return read


def _whole(message: str, suggestions: Iterable[str]) -> str:
    instead = ", ".join(suggestions)
    return f"{message} Instead: {instead}." if instead else message


def difference(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> list[str]:
    """The lines that go (“- …”) and come (“+ …”), with three others around them; a moved rule goes and comes."""
    old, new = ([_with_description(one) for one in rules] for rules in (before, after))
    return [line for line in unified_diff(old, new, lineterm="", n=3) if not line.startswith(("---", "+++"))]
