"""What a change would do, in words: newly allowed, newly denied, on which VMs, which rules become dead, what to ask about.

Imports models, firewall, reports and words. Called by views before anything is written.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from securitygroups.firewall.difference import Change, Difference, difference
from securitygroups.firewall.findings import dead_rules, findings
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.services import SERVICES
from securitygroups.firewall.values import Packet, Refused, Rule, RuleList, parse_address
from securitygroups.models import Attachment, SecurityGroup, VirtualMachine, values
from securitygroups.models import Rule as RuleRow


class reports:  # noqa: N801 – until the words of traffic are there
    class FindingLine:
        level = "info"
        places = ()

        def __init__(self, text: str) -> None:
            self.text = text

    @staticmethod
    def change_sentence(change: Change) -> str:
        return str(change.product)

    @staticmethod
    def finding_lines(found):
        return [reports.FindingLine(found.dead.value)] if found.dead else []


MAX_LINES = 12
"""Sentences shown on each side; the rest is counted."""
MANY_MACHINES = 10
"""Denying what so many VMs accept now is asked about once more."""
REMOTE_PORTS = {22: "SSH", 3389: "RDP"}


@dataclass(frozen=True, slots=True)
class Effect:
    """What changes on some VMs (or in the list itself where `machines` is empty), in sentences."""

    allowed: tuple[str, ...]
    denied: tuple[str, ...]
    more: int
    too_fine: bool
    machines: tuple[VirtualMachine, ...] = ()

    @property
    def count(self) -> int:
        return len(self.machines)


@dataclass(frozen=True, slots=True)
class Preview:
    """Everything a person is told before a change. `alarms` are asked about once more, in words."""

    effects: tuple[Effect, ...]
    machine_count: int
    unaffected: int
    newly_dead: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    decides_same: bool = False
    attached: bool = True

    @property
    def changes_traffic(self) -> bool:
        return not self.decides_same


@dataclass(frozen=True, slots=True)
class Shown:
    """The findings of a list as the page shows them: lines by place, and counts for the summary."""

    lines: Mapping[int, tuple[reports.FindingLine, ...]]
    dead: int
    open_rules: int
    alarming: int
    too_fine: bool


def findings_of(rules: RuleList) -> Shown:
    """Findings of each rule in words."""
    found = findings(rules)
    lines = {rule.place: tuple(reports.finding_lines(rule)) for rule in found.rules}
    return Shown(
        lines={place: texts for place, texts in lines.items() if texts},
        dead=len(found.dead),
        open_rules=sum(rule.opening is not None for rule in found.rules),
        alarming=sum(bool(rule.opening and rule.opening.services) for rule in found.rules),
        too_fine=found.too_fine,
    )


def _effect(change: Difference, machines: Sequence[VirtualMachine] = ()) -> Effect:
    allowed = [reports.change_sentence(line) for line in change.newly_allowed]
    denied = [reports.change_sentence(line) for line in change.newly_denied]
    hidden = max(0, len(allowed) - MAX_LINES) + max(0, len(denied) - MAX_LINES)
    return Effect(
        allowed=tuple(allowed[:MAX_LINES]),
        denied=tuple(denied[:MAX_LINES]),
        more=hidden + change.omitted_allowed + change.omitted_denied,
        too_fine=bool(change.unknown),
        machines=tuple(machines),
    )


@dataclass(slots=True)
class _Sequence:
    """VMs that have the same groups in the same order."""

    group_ids: tuple[int, ...]
    machines: list[VirtualMachine] = field(default_factory=list)


def _sequences(group: SecurityGroup) -> list[_Sequence]:
    """The distinct sequences of groups in which this one stands, each with its VMs (two queries)."""
    machines = {
        machine.pk: machine
        for machine in VirtualMachine.objects.live().filter(attachments__group=group).order_by("name")
    }
    for machine in machines.values():
        machine.project = group.project
    order: dict[int, list[int]] = {pk: [] for pk in machines}
    rows = Attachment.objects.filter(machine__in=machines).order_by("machine", "position")
    for machine_id, group_id in rows.values_list("machine_id", "group_id"):
        order[machine_id].append(group_id)
    found: dict[tuple[int, ...], _Sequence] = {}
    for pk, machine in machines.items():
        found.setdefault(tuple(order[pk]), _Sequence(tuple(order[pk]))).machines.append(machine)
    return list(found.values())


def rules_of_groups(group_ids: Iterable[int]) -> dict[int, tuple[Rule, ...]]:
    """The rule lists of some groups (one query)."""
    rows: dict[int, list[RuleRow]] = {pk: [] for pk in group_ids}
    for row in RuleRow.objects.filter(group__in=rows).in_order():
        rows[row.group_id].append(row)
    return {pk: values(found) for pk, found in rows.items()}


def preview_rules(group: SecurityGroup, old: RuleList, new: RuleList, *, address: str = "") -> Preview:
    """What it means to replace the group's list `old` by `new`, on each VM that has the group.

    `address` is where the person asking is connected from, for the lockout warning.
    """
    own = difference(old, new)
    sequences = _sequences(group)
    others = rules_of_groups({pk for sequence in sequences for pk in sequence.group_ids} - {group.pk})
    compared: list[tuple[Difference, list[VirtualMachine]]] = []
    alarms: list[str] = []
    for sequence in sequences:
        before = _effective(sequence.group_ids, others | {group.pk: tuple(old)})
        after = _effective(sequence.group_ids, others | {group.pk: tuple(new)})
        change = difference(before, after)
        compared.append((change, sequence.machines))
        alarms += _lockout(change, sequence.machines, address)
    effects, unaffected = _merged(compared)
    if not sequences and not own.decides_same:
        effects = (_effect(own),)
    total = sum(len(sequence.machines) for sequence in sequences)
    alarms += _alarms([change for change, _ in compared] or [own], compared)
    return Preview(
        effects=effects,
        machine_count=total,
        unaffected=unaffected,
        newly_dead=_newly_dead(old, new),
        alarms=tuple(dict.fromkeys(alarms)),
        decides_same=own.decides_same and all(change.decides_same for change, _ in compared),
        attached=bool(sequences),
    )


def preview_lists(old: RuleList, new: RuleList) -> Preview:
    """Two lists compared by themselves, whatever VMs they are on."""
    change = difference(old, new)
    effects = () if change.decides_same else (_effect(change),)
    return Preview(effects=effects, machine_count=0, unaffected=0, decides_same=change.decides_same)


def preview_groups(
    machine: VirtualMachine, before: Sequence[SecurityGroup], after: Sequence[SecurityGroup], *, address: str = ""
) -> Preview:
    """What it means to replace the VM's ordered groups."""
    lists = rules_of_groups({group.pk for group in (*before, *after)})
    change = difference(
        _effective([group.pk for group in before], lists), _effective([group.pk for group in after], lists)
    )
    alarms = _lockout(change, [machine], address) + _alarms([change], [(change, [machine])])
    return Preview(
        effects=() if change.decides_same else (_effect(change, [machine]),),
        machine_count=1,
        unaffected=int(change.decides_same),
        alarms=tuple(dict.fromkeys(alarms)),
        decides_same=change.decides_same,
    )


def _effective(group_ids: Iterable[int], lists: Mapping[int, RuleList]) -> tuple[Rule, ...]:
    return tuple(rule for pk in group_ids for rule in lists[pk])


def _merged(compared: list[tuple[Difference, list[VirtualMachine]]]) -> tuple[tuple[Effect, ...], int]:
    """One effect for all VMs on which the same traffic changes, and the number of VMs on which none does."""
    same: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[Effect, list[VirtualMachine]]] = {}
    unaffected = 0
    for change, machines in compared:
        if change.decides_same:
            unaffected += len(machines)
            continue
        effect = _effect(change)
        same.setdefault((effect.allowed, effect.denied), (effect, []))[1].extend(machines)
    merged = [
        Effect(effect.allowed, effect.denied, effect.more, effect.too_fine, tuple(machines))
        for effect, machines in same.values()
    ]
    return tuple(sorted(merged, key=lambda effect: -effect.count)), unaffected


def _newly_dead(old: RuleList, new: RuleList) -> tuple[str, ...]:
    """Sentences on the rules of the new list that no packet reaches and that acted before, or are new."""
    before = {old[place - 1].uid for place in dead_rules(old)}
    dead = [place for place in dead_rules(new) if not new[place - 1].uid or new[place - 1].uid not in before]
    if not dead:
        return ()
    found = findings(new).rules
    return tuple(
        f"Rule {place}: {line.text}"
        for place in dead[:MAX_LINES]
        for line in reports.finding_lines(found[place - 1])[:1]
    )


def _world(change: Change) -> bool:
    """Whether the change lets in every address of a family."""
    return change.product.direction is Direction.IN and any(
        span.first == 0 and span.last >= (1 << (32 if span.version == 4 else 128)) - 1
        for span in change.product.sources
    )


_PROTOCOL_NUMBERS = {"tcp": 6, "udp": 17}


def _alarms(changes: Iterable[Difference], compared: list[tuple[Difference, list[VirtualMachine]]]) -> list[str]:
    alarms = []
    for change in changes:
        for line in change.newly_allowed:
            if not _world(line):
                continue
            opened = [
                f"{service.name} ({service.protocol.upper()} {service.port})"
                for service in SERVICES
                if service.sensitive
                and _PROTOCOL_NUMBERS[service.protocol] in line.product.protocols
                and any(first <= service.port <= last for first, last in line.product.ports)
            ]
            if opened:
                names = ", ".join(opened[:4]) + (f" and {len(opened) - 4} more" if len(opened) > 4 else "")
                alarms.append(f"This opens {names} to every address on the internet.")
    denied = sum(len(machines) for change, machines in compared if change.newly_denied)
    if denied >= MANY_MACHINES:
        alarms.append(f"This denies what {denied} virtual machines accept now.")
    return alarms


def _lockout(change: Difference, machines: Sequence[VirtualMachine], address: str) -> list[str]:
    """Whether the person's own way to SSH or RDP of a VM would be cut."""
    try:
        version, number = parse_address(address)
    except Refused:
        return []
    cut: dict[str, list[str]] = {}
    for machine in machines:
        own = machine.ipv4 if version == 4 else machine.ipv6
        if not own:
            continue
        for port, name in REMOTE_PORTS.items():
            packet = Packet(Direction.IN, version, 6, number, parse_address(own)[1], port)
            if any(packet in line.product for line in change.newly_denied):
                cut.setdefault(name, []).append(machine.name)
    return [
        f"You are connected from {address}. This would cut {name} from there to {', '.join(names[:5])}"
        f"{f' and {len(names) - 5} more' if len(names) > 5 else ''}, which it can reach now."
        for name, names in cut.items()
    ]
