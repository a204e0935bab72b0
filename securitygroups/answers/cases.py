"""A support case read again: each packet's frozen answer, and the same packet against the list as it is now."""

from collections.abc import Iterator
from dataclasses import dataclass

from securitygroups.effective import Home, Listed, Placed, of_group, of_machine, rules_of
from securitygroups.firewall.decide import Decision, decide
from securitygroups.firewall.formats.documents import rules_from_stored
from securitygroups.firewall.formats.packets import packet_from_json
from securitygroups.firewall.guests import Guest
from securitygroups.firewall.platform import PlatformLine, barred
from securitygroups.firewall.protocols import Action
from securitygroups.firewall.values import Packet
from securitygroups.models import CasePacket, SecurityGroup, SupportCase, VirtualMachine, guests_of


@dataclass(frozen=True, slots=True)
class Reread:
    """What a case says of one packet. `now` is None where there is nothing to ask any more: deleted, or moved to another
    project. `about` is what it was tested on, None where that was moved: what was another customer's since is not named.
    `verdict` and `rule` are the answer of the day, as it was kept; `barred` is the line of the platform that drops the packet by what is
    known now, whatever the rules say.
    """

    packet: Packet
    machine: VirtualMachine | None
    group: SecurityGroup | None
    decision: Decision
    listed: Listed
    now: Decision | None
    moved: bool
    barred: PlatformLine | None
    verdict: str
    rule: int | None

    @property
    def word_then(self) -> str:
        return self.verdict

    @property
    def word_now(self) -> str:
        """What becomes of the packet today: the action's word."""
        return Action.DROP.value if self.barred or self.now is None else self.now.action.value

    @property
    def stopped_then(self) -> bool:
        """Whether no rule was said to drop it on that day, but the platform before any."""
        by_none = self.verdict == Action.DROP and self.rule is None
        return by_none and (self.barred is not None or self.decision.rule is not None)

    @property
    def passed_by_rules_alone(self) -> bool:
        """Whether it was said to be accepted, while hosts drop it before any rule."""
        return self.barred is not None and self.verdict == Action.ACCEPT


def frozen_list(stored_rules: list[dict[str, object]]) -> list[Placed]:
    """A list as it was when it was kept, and where each rule stood."""
    listed = []
    for stored, rule in zip(stored_rules, rules_from_stored(stored_rules), strict=True):
        group: dict[str, object] = stored["group"]  # type: ignore[assignment]
        # The row's key is not on record and not asked for: what is frozen is read, never compared.
        listed.append(Placed(rule, Home(0, str(group["id"]), str(group["name"])), int(str(group["place"]))))
    return listed


class Today:
    """The lists as they are now, each read once however many packets are asked of it."""

    def __init__(self, project: int) -> None:
        self.project = project
        self.known: dict[VirtualMachine | SecurityGroup, Listed] = {}

    def moved(self, one: SupportCase | CasePacket) -> bool:
        # A VM that was moved to another project since is another customer's: neither its name nor its rules are told.
        return bool(one.machine and one.machine.project_id != self.project)

    def of(self, one: SupportCase | CasePacket) -> Listed | None:
        about = one.machine or one.group
        if about is None or about.deleted_at is not None or self.moved(one):
            return None
        if about not in self.known:
            self.known[about] = of_machine(about) if isinstance(about, VirtualMachine) else of_group(about)
        return self.known[about]


def look_again(case: SupportCase) -> Iterator[Reread]:
    """Of each packet the case's own answer, and today's."""
    today, own = Today(case.project_id), frozen_list(case.rules)
    kept: list[SupportCase | CasePacket] = [case, *case.packets.select_related("machine", "group")]
    guests = guests_of({one.machine_id for one in kept if one.machine_id})
    for one in kept:
        listed = own if isinstance(one, SupportCase) or one.rules is None else frozen_list(one.rules)
        packet = packet_from_json(one.packet)
        decision, now = decide(rules_of(listed), packet), today.of(one)
        # Of a VM that is another's by now, or none's, nothing more is told.
        guest = Guest() if now is None else guests.get(one.machine_id or 0, Guest())
        yield Reread(
            packet,
            one.machine,
            one.group,
            decision,
            listed,
            None if now is None else decide(rules_of(now), packet),
            today.moved(one),
            barred(packet, guest),
            one.verdict,
            one.rule,
        )
