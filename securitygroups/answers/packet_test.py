"""What becomes of a packet: on a group's list, on a VM, between two VMs; now, or as of an earlier time."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from securitygroups.answers.platform import Condition, platform_before
from securitygroups.answers.way import Stop, way
from securitygroups.effective import Listed, Placed, of_group, of_machine, revision_at, rules_of
from securitygroups.firewall.decide import Decision, decide
from securitygroups.firewall.flows.batch import of_packets
from securitygroups.firewall.flows.compiled import NO_RULE, CompiledList
from securitygroups.firewall.guests import Guest
from securitygroups.firewall.needs import Need, what_accept_needs
from securitygroups.firewall.platform import PlatformLine, barred
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Packet, address_text
from securitygroups.models import SecurityGroup, VirtualMachine, guest_of
from securitygroups.words.platform import barred_why


@dataclass(frozen=True, slots=True)
class Traced:
    """A decision with where its rules stand.

    `absent` names a VM that was not in the project at the time asked about; `before` are the platform's lines that may
    decide the packet before any rule of a VM does, each with its condition. `barred` is the line of the platform that
    drops the packet whatever the rules say: the decision is what they would, if they were asked.
    """

    title: str
    decision: Decision
    packet: Packet
    listed: Listed
    need: Need | None
    absent: str = ""
    before: list[Condition] = field(default_factory=list)
    barred: PlatformLine | None = None

    @property
    def passes(self) -> bool:
        return self.barred is None and self.decision.action is Action.ACCEPT

    @property
    def way(self) -> list[Stop]:
        return list(way(self.decision, self.listed))

    @property
    def deciding(self) -> Placed | None:
        return self.listed[self.decision.rule - 1] if self.decision.rule else None


@dataclass(frozen=True, slots=True)
class Overall:
    """What becomes of a packet between two VMs of the project."""

    passes: bool
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One trace, or for two VMs of the project the sender's Out list, then the receiver's In list, and what follows."""

    traces: list[Traced]
    overall: Overall | None = None


def trace(listed: Listed, packet: Packet, title: str = "") -> Traced:
    """The evaluator's answer, with what an accept would need where it is no."""
    rules = rules_of(listed)
    decision = decide(rules, packet)
    need = what_accept_needs(rules, packet, decision.rule) if decision.action is Action.DROP else None
    return Traced(title, decision, packet, listed, need)


def ask_group(group: SecurityGroup, packet: Packet, at: datetime | None = None) -> Answer:
    """The packet against the group's list."""
    return Answer([trace(of_group(group, at), packet)])


def ask_machine(machine: VirtualMachine, packet: Packet, at: datetime | None = None) -> Answer:
    """The packet against the VM's effective list. Between two VMs of the project both lists are asked."""
    other = other_end(machine, packet)
    if other is None:
        return Answer([_on(machine, packet, at)])
    # The packet is the same; each of the two sees it from its own side.
    inbound = packet.direction is Direction.IN
    sender, receiver = (other, machine) if inbound else (machine, other)
    both = [
        _on(vm, replace(packet, direction=direction), at, f"{direction.label} of {vm.name}")
        for direction, vm in ((Direction.OUT, sender), (Direction.IN, receiver))
    ]
    return Answer(both, overall(sender, receiver, both))


def each(listed: Listed, packets: Sequence[Packet], guest: Guest | None = None) -> list[tuple[Action, int | None]]:
    """What becomes of many packets on one list: the verdict of each, and the place of the rule that decides it. On a VM,
    `guest`, none decides what no host passes."""
    accepted, places = CompiledList(rules_of(listed)).judge(of_packets(packets))
    found = zip(accepted.tolist(), places.tolist(), strict=True)
    answers = [(Action.ACCEPT if passes else Action.DROP, None if rule == NO_RULE else rule) for passes, rule in found]
    if guest is None:
        return answers
    both = zip(packets, answers, strict=True)
    return [(Action.DROP, None) if barred(packet, guest) else answer for packet, answer in both]


def _on(vm: VirtualMachine, packet: Packet, at: datetime | None, title: str = "") -> Traced:
    absent = vm.name if at and revision_at(vm, at) is None else ""
    guest = guest_of(vm, at)
    found, stops = trace(of_machine(vm, at), packet, title), barred(packet, guest)
    before = [] if stops else platform_before(packet, guest)
    need = None if stops else found.need
    return replace(found, absent=absent, before=before, barred=stops, need=need)


def other_end(machine: VirtualMachine, packet: Packet) -> VirtualMachine | None:
    """The project's VM at the other end of the packet, if there is one."""
    inbound = packet.direction is Direction.IN
    found = at_ends(
        machine.project_id, packet.version, *((packet.source, None) if inbound else (None, packet.destination))
    )
    return next((vm for vm in found if vm and vm.pk != machine.pk), None)


def at_ends(
    project: int, version: int | None, source: int | None, destination: int | None
) -> tuple[VirtualMachine | None, VirtualMachine | None]:
    """The project's VMs that have these addresses: who sends, and who receives."""
    ends = [address_text(version, end) if version and end is not None else "" for end in (source, destination)]
    if not any(ends):
        return None, None
    column = f"ipv{version}"
    rows = VirtualMachine.objects.live().filter(project=project, **{f"{column}__in": [end for end in ends if end]})
    rows = rows.select_related("placement")
    found = {getattr(vm, column): vm for vm in rows}
    return found.get(ends[0]), found.get(ends[1])


def overall(sender: VirtualMachine, receiver: VirtualMachine, both: list[Traced]) -> Overall:
    """The two answers in one sentence."""
    out, into = (one.passes for one in both)
    if stops := both[0].barred:
        text = f"The platform drops it before any rule is asked. {barred_why(stops)}"
    elif out and into:
        text = f"The Out list of {sender.name} lets it out, and the In list of {receiver.name} lets it in."
    elif out:
        text = f"It leaves {sender.name}, but the In list of {receiver.name} denies it."
    else:
        text = (
            f"The Out list of {sender.name} denies it, so it never reaches {receiver.name}. "
            f"What {receiver.name} would answer is shown for information."
        )
    return Overall(out and into, text)


def stranger(machine: VirtualMachine, packet: Packet, at: datetime | None = None) -> str:
    """The packet's address on the VM's side where it is none of the VM's, as far as that is not why it is dropped."""
    own = packet.destination if packet.direction is Direction.IN else packet.source
    if packet.version is None or own is None or not machine.addresses:
        return ""
    text, guest = address_text(packet.version, own), guest_of(machine, at)
    return "" if text in (*machine.addresses, *guest.own.addresses) or barred(packet, guest) else text
