"""A support case read again: the frozen answer, and the same packet against the list as it is now."""

from dataclasses import dataclass

from securitygroups.answers.way import Stop, way
from securitygroups.effective import Home, Placed, of_group, of_machine, rules_of
from securitygroups.firewall.decide import Decision, decide
from securitygroups.firewall.formats.documents import rules_from_stored
from securitygroups.firewall.formats.packets import packet_from_json
from securitygroups.firewall.values import Packet
from securitygroups.models import SupportCase


@dataclass(frozen=True, slots=True)
class Reread:
    """What a case says. `now` is None where there is nothing to ask any more: deleted, or moved to another project."""

    packet: Packet
    decision: Decision
    way: list[Stop]
    now: Decision | None
    moved: bool


def frozen_list(case: SupportCase) -> list[Placed]:
    """The list as it was when the case was opened, and where each rule stood."""
    listed = []
    for stored, rule in zip(case.rules, rules_from_stored(case.rules), strict=True):
        group = stored["group"]
        # The row's key is not on record and not asked for: what is frozen is read, never compared.
        listed.append(Placed(rule, Home(0, group["id"], group["name"]), group["place"]))
    return listed


def look_again(case: SupportCase) -> Reread:
    """The case's own answer, and today's."""
    packet, listed = packet_from_json(case.packet), frozen_list(case)
    decision = decide(rules_of(listed), packet)
    # A VM that was moved to another project since is another customer's: neither its name nor its rules are told.
    moved = bool(case.machine and case.machine.project_id != case.project_id)
    about = None if moved else case.machine or case.group
    today = None
    if about and about.deleted_at is None:
        today = of_machine(case.machine) if case.machine else of_group(case.group) if case.group else None
    now = None if today is None else decide(rules_of(today), packet)
    return Reread(packet, decision, list(way(decision, listed)), now, moved)
