"""A list of rules for a ticket or a mail: in words, with what stands behind it."""

import re

from securitygroups.firewall.values import RuleList
from securitygroups.words.rules import rule_sentence

_DENIED = "What no rule matches is denied."


def group_as_text(name: str, public_id: str, revision: int, rules: RuleList) -> str:
    """One line a rule."""
    head = f"{name} ({public_id}), revision {revision}\n"
    lines = "".join(
        f"{place:4}. {rule_sentence(rule)}{f'  # {rule.description}' if rule.description else ''}\n"
        for place, rule in enumerate(rules, 1)
    )
    return f"{head}{lines}      {_DENIED}\n"


def group_as_markdown(name: str, public_id: str, revision: int, rules: RuleList) -> str:
    """A table, as most trackers draw it. What people wrote is code in it: no markup, no link, nobody is mentioned."""
    lines = [f"### Security Group {_code(name)}", "", f"{_code(public_id)}, revision {revision}", ""]
    lines += ["| # | Rule | Description |", "| --: | --- | --- |"]
    for place, rule in enumerate(rules, 1):
        lines.append(f"| {place} | {rule_sentence(rule)} | {_cell(rule.description)} |")
    return "\n".join([*lines, "", _DENIED, ""])


def _cell(text: str) -> str:
    """As code in a cell, which a bar would end. A backslash and a bar are two pieces, as trackers do not agree about which
    of them the next backslash is for.
    """
    return " ".join(_code(part).replace("|", "\\|") for part in re.split(r"(?<=\\)(?=\|)", text))


def _code(text: str) -> str:
    """In more backquotes than it has in a row."""
    if not text:
        return ""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    room = " " if "`" in (text[0], text[-1]) else ""
    return f"{fence}{room}{text}{room}{fence}"
