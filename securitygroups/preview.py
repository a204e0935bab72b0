"""What a change would do, in words: newly allowed, newly denied, on which VMs, which rules become dead, what to ask about.

Imports models, firewall, reports and words. Called by views before anything is written.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from securitygroups import reports
from securitygroups.firewall.difference import Change, Difference, changed_places, difference
from securitygroups.firewall.findings import Mend, RuleFindings, dead_rules, findings, fixes
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.services import SERVICES, Service
from securitygroups.firewall.values import PACKET_PROTOCOLS, Packet, Refused, Rule, RuleList, parse_address
from securitygroups.models import Attachment, SecurityGroup, VirtualMachine, values
from securitygroups.models import Rule as RuleRow

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
class Note:
    """One thing to say about a rule. `covers` are the places of the rules that cover it; `fix` is "remove" or "up"."""

    level: str
    kind: str
    text: str
    covers: tuple[int, ...] = ()
    fix: str = ""
    fix_text: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """The findings of a list as the page shows them: notes by place, and a line for the whole."""

    notes: Mapping[int, tuple[Note, ...]]
    summary: str
    dead: int
    loud: int

    @property
    def remarkable(self) -> bool:
        return bool(self.dead or self.loud or self.notes)


# What a badge of the row says already, and what is meant more often than not, would only be noise at every rule.
_QUIET = frozenset({"open", "correlated", "generalisation"})
FIX_NAMES = {Mend.REMOVE: "remove", Mend.MOVE_UP: "up"}


def _notes(
    one: RuleFindings, offers: Mapping[int, list[tuple[str, str]]], name: reports.Name | None
) -> tuple[Note, ...]:
    notes = [
        Note(
            remark.level,
            remark.kind,
            remark.text,
            one.covered_by if one.dead and remark.kind != "open-sensitive" else (),
        )
        for remark in reports.remarks(one, name)
        if remark.kind not in _QUIET and remark.kind != "behind-all"
    ]
    for fix, text in offers.get(one.place, []):
        notes.append(Note("info", "fix", "", (), fix, text))
    return tuple(notes)


def _worth_saying(one: RuleFindings) -> RuleFindings:
    """A drop that only repeats the default is meant: it says so in writing, and another group may come after it."""
    if one.removable and one.dead is None and one.rule.action is Action.DROP:
        return replace(one, removable=False)
    return one


def findings_of(rules: RuleList, name: reports.Name | None = None) -> Shown:
    """Findings of each rule in words. `name` says a place of a VM's effective list as group and rule."""
    found = findings(rules)
    found = replace(found, rules=tuple(_worth_saying(one) for one in found.rules))
    offers: dict[int, list[tuple[str, str]]] = {}
    for fix in fixes(rules, found):
        if len(fix.places) == 1:
            offers.setdefault(fix.places[0], []).append((FIX_NAMES[fix.mend], reports.fix_sentence(fix, name)))
    notes = {one.place: _notes(one, offers, name) for one in found.rules if one.rule.enabled}
    return Shown(
        notes={place: texts for place, texts in notes.items() if texts},
        summary=reports.findings_summary(found),
        dead=len(found.dead),
        loud=sum(bool(one.opening and one.opening.services) for one in found.rules),
    )


def _effect(change: Difference, before: reports.Name | None = None, after: reports.Name | None = None) -> Effect:
    allowed = [reports.change_sentence(line, True, before, after) for line in change.newly_allowed[:MAX_LINES]]
    denied = [reports.change_sentence(line, False, before, after) for line in change.newly_denied[:MAX_LINES]]
    hidden = max(0, len(change.newly_allowed) - MAX_LINES) + max(0, len(change.newly_denied) - MAX_LINES)
    return Effect(
        allowed=tuple(allowed),
        denied=tuple(denied),
        more=hidden + change.omitted_allowed + change.omitted_denied,
        too_fine=bool(change.unknown),
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
    sequences = _sequences(group)
    others = rules_of_groups({pk for sequence in sequences for pk in sequence.group_ids} - {group.pk})
    compared: list[tuple[Difference, list[VirtualMachine]]] = []
    alarms: list[str] = []
    names = dict(SecurityGroup.objects.filter(pk__in=[*others, group.pk]).values_list("pk", "name"))
    effects: list[tuple[Effect, list[VirtualMachine]]] = []
    for sequence in sequences:
        lists = [others | {group.pk: tuple(rules)} for rules in (old, new)]
        change = difference(*(_effective(sequence.group_ids, rules) for rules in lists))
        compared.append((change, sequence.machines))
        if not change.decides_same:
            effects.append(
                (_effect(change, *(_namer(sequence.group_ids, rules, names) for rules in lists)), sequence.machines)
            )
        alarms += _lockout(change, sequence.machines, address)
    if not sequences:
        # On no VM: what it would mean on one that has this group alone.
        own = difference(old, new)
        alarms = _alarms([own], [])
        return replace(_alone(own), newly_dead=_newly_dead(old, new), alarms=tuple(alarms), attached=False)
    total = sum(len(sequence.machines) for sequence in sequences)
    touched = sum(len(machines) for _, machines in effects)
    alarms += _alarms([change for change, _ in compared], compared)
    return Preview(
        effects=_merged(effects),
        machine_count=total,
        unaffected=total - touched,
        newly_dead=_newly_dead(old, new),
        alarms=tuple(dict.fromkeys(alarms)),
        decides_same=not effects,
    )


def preview_lists(old: RuleList, new: RuleList) -> Preview:
    """Two lists compared by themselves, whatever VMs they are on."""
    return _alone(difference(old, new))


def _alone(change: Difference) -> Preview:
    effects = () if change.decides_same else (_effect(change),)
    return Preview(effects=effects, machine_count=0, unaffected=0, decides_same=change.decides_same)


def preview_groups(
    machine: VirtualMachine, before: Sequence[SecurityGroup], after: Sequence[SecurityGroup], *, address: str = ""
) -> Preview:
    """What it means to replace the VM's ordered groups."""
    lists = rules_of_groups({group.pk for group in (*before, *after)})
    names = {group.pk: group.name for group in (*before, *after)}
    ids = [[group.pk for group in groups] for groups in (before, after)]
    change = difference(*(_effective(group_ids, lists) for group_ids in ids))
    alarms = _lockout(change, [machine], address) + _alarms([change], [(change, [machine])])
    return Preview(
        effects=()
        if change.decides_same
        else (replace(_effect(change, *(_namer(group_ids, lists, names) for group_ids in ids)), machines=(machine,)),),
        machine_count=1,
        unaffected=int(change.decides_same),
        alarms=tuple(dict.fromkeys(alarms)),
        decides_same=change.decides_same,
    )


def _effective(group_ids: Iterable[int], lists: Mapping[int, RuleList]) -> tuple[Rule, ...]:
    return tuple(rule for pk in group_ids for rule in lists[pk])


def _namer(group_ids: Sequence[int], lists: Mapping[int, RuleList], names: Mapping[int, str]) -> reports.Name:
    """Names the places of an effective list: "web rule 2"."""

    def name(place: int) -> str:
        for pk in group_ids:
            if place <= len(lists[pk]):
                return f"{names[pk]} rule {place}"
            place -= len(lists[pk])
        raise LookupError("The effective list is shorter than that.")

    return name


def _merged(effects: list[tuple[Effect, list[VirtualMachine]]]) -> tuple[Effect, ...]:
    """One effect for all VMs on which the same sentences hold, most VMs first."""
    same: dict[Effect, list[VirtualMachine]] = {}
    for effect, machines in effects:
        same.setdefault(effect, []).extend(machines)
    merged = [replace(effect, machines=tuple(machines)) for effect, machines in same.items()]
    return tuple(sorted(merged, key=lambda effect: -effect.count))


def _newly_dead(old: RuleList, new: RuleList) -> tuple[str, ...]:
    """Sentences on the rules of the new list that no packet reaches and that acted before, or are new."""
    dead = [] if changed_places(old, new) == (frozenset(), frozenset()) else list(dead_rules(new))
    if dead:
        before = {old[place - 1].uid for place in dead_rules(old)}
        dead = [place for place in dead if not new[place - 1].uid or new[place - 1].uid not in before][:MAX_LINES]
    if not dead:
        return ()
    # Rules further down take no packet from these.
    found = findings(new[: dead[-1]]).rules
    return tuple(f"Rule {place}: {reports.dead_sentence(found[place - 1])}" for place in dead)


_INTERNET = {4: (0, (1 << 32) - 1), 6: (0x2 << 124, (0x4 << 124) - 1)}
"""Where addresses of the internet are: 0.0.0.0/0 and 2000::/3."""


def _openness(changes: Iterable[Change]) -> str:
    """How much of the internet the changes let in: "every address on", "most of", or "" where it is less than half.

    Their sources are put together: an earlier rule for one host cuts the world into two ranges.
    """
    best = ""
    for version, (first, last) in _INTERNET.items():
        spans = sorted(
            (max(span.first, first), min(span.last, last))
            for change in changes
            for span in change.product.sources
            if span.version == version and span.first <= last and span.last >= first
        )
        covered, reached = 0, first - 1
        for start, end in spans:
            covered += max(0, end - max(start, reached + 1) + 1)
            reached = max(reached, end)
        if covered == last - first + 1:
            return "every address on"
        if covered * 2 > last - first:
            best = "most of"
    return best


def _with_service(changes: Iterable[Change], service: Service) -> list[Change]:
    """The changes that have packets to the service."""
    return [
        change
        for change in changes
        if PACKET_PROTOCOLS[service.protocol] in change.product.protocols
        and any(first <= service.port <= last for first, last in change.product.ports)
    ]


def _alarms(changes: Iterable[Difference], compared: list[tuple[Difference, list[VirtualMachine]]]) -> list[str]:
    alarms = []
    for change in changes:
        opened: dict[str, list[str]] = {}
        inbound = [line for line in change.newly_allowed if line.product.direction is Direction.IN]
        for service in SERVICES if inbound else ():
            if service.sensitive and (much := _openness(_with_service(inbound, service))):
                opened.setdefault(much, []).append(f"{service.name} ({service.protocol.upper()} {service.port})")
        for much, names in opened.items():
            more = f" and {len(names) - 4} more" if len(names) > 4 else ""
            alarms.append(f"This opens {', '.join(names[:4])}{more} to {much} the internet.")
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
    if version == 6 and number >> 32 == 0xFFFF:
        version, number = 4, number & 0xFFFFFFFF  # how a server that listens on IPv6 names its IPv4 clients
    denied = [
        line.product
        for line in change.newly_denied
        if 6 in line.product.protocols
        and any(span.version == version and span.first <= number <= span.last for span in line.product.sources)
    ]
    cut: dict[str, list[str]] = {}
    for machine in machines if denied else ():
        own = machine.ipv4 if version == 4 else machine.ipv6
        if not own:
            continue
        for port, name in REMOTE_PORTS.items():
            packet = Packet(Direction.IN, version, 6, number, parse_address(own)[1], port)
            if any(packet in product for product in denied):
                cut.setdefault(name, []).append(machine.name)
    return [
        f"You are connected from {address}. This would cut {name} from there to {', '.join(names[:5])}"
        f"{f' and {len(names) - 5} more' if len(names) > 5 else ''}, which it can reach now."
        for name, names in cut.items()
    ]
