"""Findings in sentences: why a rule is dead, what else there is to say, what a fix does.

Where rules of an effective list are named, the caller gives `name`, which turns a place into words such as "web, rule 2".
"""

from typing import NamedTuple

from securitygroups.firewall.analysis.findings import Dead, Findings, Fix, Mend, Opening, RuleFindings
from securitygroups.words.traffic import Name, count_text, joined, places_text, some


def dead_sentence(one: RuleFindings, name: Name | None = None) -> str:
    """Why no packet reaches a rule: "No packet reaches this rule: rules 1 and 4 together take all of it, …"."""
    if one.dead is Dead.COVERED:
        return "No packet reaches this rule: too many rules before it take its packets to name them."
    if not one.covered_by:
        return "No packet can match this rule."
    several = len(one.covered_by) > 1
    taken = f"{places_text(one.covered_by, name)} {'together take' if several else 'takes'} all of it"
    other = "drop" if one.rule.action.value == "accept" else "accept"
    with_it = {
        Dead.REDUNDANT: f"and {'do' if several else 'does'} the same with it",
        Dead.SHADOWED: f"and {other if several else other + 's'} it",
        Dead.PARTLY_SHADOWED: f"and {other} a part of it",
    }[one.dead or Dead.REDUNDANT]
    return f"No packet reaches this rule: {taken}, {with_it}."


class Remark(NamedTuple):
    """One thing to say about a rule. `level` is "danger", "warning" or "info"; `kind` is stable, for styles and tests."""

    level: str
    kind: str
    text: str


def remarks(one: RuleFindings, name: Name | None = None) -> list[Remark]:
    """What there is to say about one rule, the gravest first; empty for a rule that is on and unremarkable."""
    found: list[Remark] = []
    if one.unknown:
        found.append(Remark("info", "unknown", "The list is too fine to tell whether any packet reaches this rule."))
    if one.opening is not None:
        found.append(_open_remark(one.opening))
    if one.dead is not None:
        found += _dead_remarks(one, name)
    elif one.removable:
        text = "The list decides the same without this rule: later rules or the default do what it does."
        found.append(Remark("info", "removable", text))
    if one.correlated:
        found.append(Remark("info", "correlated", _overlap_sentence(one, name)))
    if one.generalises:
        make = "makes an exception" if one.generalises == 1 else "make exceptions"
        text = f"{count_text(one.generalises, 'rule', 'rules')} before it {make} to it."
        found.append(Remark("info", "generalisation", text))
    return found


def _overlap_sentence(one: RuleFindings, name: Name | None) -> str:
    others = (one.correlated or 0) - 1
    more = f" and {count_text(others, 'more rule', 'more rules')}" if others else ""
    do = "do" if others else "does"
    return f"Order matters: it partly overlaps {places_text((one.overlaps,), name)}{more}, which {do} the opposite."


def _open_remark(opening: Opening) -> Remark:
    families = "anywhere" if opening.versions == (4, 6) else f"any IPv{opening.versions[0]} address"
    if not opening.services:
        return Remark("info", "open", f"Open to the world: {families} gets in.")
    names = some([f"{s.name} ({s.told})" for s in opening.services], "services")
    return Remark("danger", "open-sensitive", f"Open to the world: {families} reaches {names}.")


def _dead_remarks(one: RuleFindings, name: Name | None) -> list[Remark]:
    dead = one.dead or Dead.REDUNDANT
    level = "info" if dead is Dead.REDUNDANT else "warning"
    found = [Remark(level, dead.value.replace(" ", "-"), dead_sentence(one, name))]
    if one.behind_all is not None:
        text = f"It comes after {places_text((one.behind_all,), name)}, which takes everything of its direction."
        found.append(Remark("info", "behind-all", text))
    return found


def findings_summary(findings: Findings) -> str:
    """A list's findings in a line: "2 rules that no packet reaches, 1 rule that opens SSH or the like to the world."."""
    parts = [
        (
            sum(bool(one.opening and one.opening.services) for one in findings.rules),
            "rule that opens a management or database port to the world",
            "rules that open management or database ports to the world",
        ),
        (len(findings.dead), "rule that no packet reaches", "rules that no packet reaches"),
        (findings.spare, "rule that changes nothing", "rules of which each alone changes nothing"),
    ]
    texts = [count_text(number, one, many) for number, one, many in parts if number]
    if not texts:
        unsettled = "Nothing to remark in what could be settled. Some rules are too fine to settle."
        return unsettled if findings.too_fine else "Nothing to remark."
    rest = " Some rules are too fine to settle." if findings.too_fine else ""
    return f"{joined(texts)}.{rest}"


def fix_sentence(fix: Fix, name: Name | None = None) -> str:
    """What a fix does: "Remove rule 4: every packet is decided as before."."""
    rules = places_text(fix.places, name)
    if fix.mend is Mend.REMOVE:
        return f"Remove {rules}: every packet is decided as before."
    return f"Move {rules} above {places_text((fix.to,), name)}, which hides it."
