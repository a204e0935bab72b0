"""What a change would do, in words: newly allowed, newly denied, on which VMs, which rules become dead, what to ask about."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from django.db.models import Count

from securitygroups.firewall.analysis.difference import Change, Difference, changed_places, difference
from securitygroups.firewall.analysis.findings import Mend, RuleFindings, dead_rules, findings, fixes
from securitygroups.firewall.analysis.overlaps import Area, area
from securitygroups.firewall.analysis.products import AddressRange
from securitygroups.firewall.analysis.reach import LARGE, share
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.services import SERVICES, Service
from securitygroups.firewall.values import PACKET_PROTOCOLS, Packet, Refused, Rule, RuleList, parse_address
from securitygroups.models import Attachment, SecurityGroup, VirtualMachine, values
from securitygroups.models import Rule as RuleRow
from securitygroups.words.findings import dead_sentence, findings_summary, fix_sentence, remarks
from securitygroups.words.traffic import Name, change_sentence, joined

MAX_LINES = 12
"""Sentences shown on each side; the rest is counted."""
MANY_MACHINES = 10
"""Denying what so many VMs accept now is asked about once more."""
MAX_COMPARED = 300_000
"""Rules in the different lists of VMs that one change is compared on: some two seconds. Most VMs first."""
REMOTE_PORTS = {22: "SSH", 3389: "RDP"}
DEAD_WORK = 4_000
"""Rules of VMs' lists that are looked through, one combination of groups after the other, for those that become dead."""
MET_ONE_BY_ONE = 40
"""With so many rules all others are compared one by one; with more the whole list is looked at."""


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
    """Everything a person is told before a change. `alarms` are asked about once more, in words.

    `newly_dead` is about the list itself and about the VMs' effective lists; on `dead_unseen` VMs nobody looked for
    those, and on `unseen` VMs for nothing.
    """

    effects: tuple[Effect, ...]
    machine_count: int
    unaffected: int
    unseen: int = 0
    newly_dead: tuple[str, ...] = ()
    dead_unseen: int = 0
    alarms: tuple[str, ...] = ()
    decides_same: bool = False
    attached: bool = True

    @property
    def changes_traffic(self) -> bool:
        return not self.decides_same or bool(self.unseen)

    @property
    def worth_a_look(self) -> bool:
        """Whether to show it before the change is made: what passes changes, or a rule never acts."""
        return self.changes_traffic or bool(self.newly_dead)


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


def _notes(one: RuleFindings, offers: Mapping[int, list[tuple[str, str]]], name: Name | None) -> tuple[Note, ...]:
    notes = [
        Note(
            remark.level,
            remark.kind,
            remark.text,
            one.covered_by if one.dead and remark.kind != "open-sensitive" else (),
        )
        for remark in remarks(one, name)
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


def findings_of(rules: RuleList, name: Name | None = None) -> Shown:
    """Findings of each rule in words. `name` says a place of a VM's effective list as group and rule."""
    found = findings(rules)
    found = replace(found, rules=tuple(_worth_saying(one) for one in found.rules))
    offers: dict[int, list[tuple[str, str]]] = {}
    for fix in fixes(rules, found):
        if len(fix.places) == 1:
            offers.setdefault(fix.places[0], []).append((FIX_NAMES[fix.mend], fix_sentence(fix, name)))
    notes = {one.place: _notes(one, offers, name) for one in found.rules if one.rule.enabled}
    return Shown(
        notes={place: texts for place, texts in notes.items() if texts},
        summary=findings_summary(found),
        dead=len(found.dead),
        loud=sum(bool(one.opening and one.opening.services) for one in found.rules),
    )


def _effect(change: Difference, before: Name | None = None, after: Name | None = None) -> Effect:
    allowed = [change_sentence(line, True, before, after) for line in change.newly_allowed[:MAX_LINES]]
    denied = [change_sentence(line, False, before, after) for line in change.newly_denied[:MAX_LINES]]
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
    return sorted(found.values(), key=lambda sequence: -len(sequence.machines))


def _affordable(sequences: Sequence[_Sequence], group: SecurityGroup) -> list[_Sequence]:
    """As many of the sequences as are compared for one page, from the first on (one query)."""
    others = {pk for sequence in sequences for pk in sequence.group_ids} - {group.pk}
    counted = RuleRow.objects.filter(group__in=others).order_by().values_list("group").annotate(Count("pk"))
    sizes = dict(counted)
    chosen: list[_Sequence] = []
    work = 0
    for sequence in sequences:
        work += sum(sizes.get(pk, 0) for pk in sequence.group_ids)
        if chosen and work > MAX_COMPARED:
            break
        chosen.append(sequence)
    return chosen


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
    all_sequences = _sequences(group)
    sequences = _affordable(all_sequences, group)
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
    dying, changed = _Dying(), changed_places(old, new) != (frozenset(), frozenset())
    if not sequences:
        # On no VM: what it would mean on one that has this group alone.
        own = difference(old, new)
        alarms = _alarms([own], [])
        if changed:
            dying.look(_Listed.own(group, old), _Listed.own(group, new), [])
        return replace(_alone(own), newly_dead=dying.sentences(), alarms=tuple(alarms), attached=False)
    total, seen = (sum(len(one.machines) for one in some) for some in (all_sequences, sequences))
    touched = sum(len(machines) for _, machines in effects)
    alarms += _alarms([change for change, _ in compared], compared)
    if changed:
        dying.look(_Listed.own(group, old), _Listed.own(group, new), [])
        # The combinations that most VMs have come first. On a VM with this group alone the list itself is the answer.
        for sequence in sequences:
            if len(sequence.group_ids) > 1:
                was, now = (
                    _Listed.of(sequence.group_ids, others | {group.pk: tuple(rules)}, names) for rules in (old, new)
                )
                dying.look(was, now, sequence.machines)
    return Preview(
        effects=_merged(effects),
        machine_count=total,
        unaffected=seen - touched,
        unseen=total - seen,
        newly_dead=dying.sentences(),
        dead_unseen=dying.unseen,
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
    dying = _Dying()
    if ids[0] != ids[1]:
        was, now = (_Listed.of(group_ids, lists, names) for group_ids in ids)
        dying.look(was, now, [machine], only=True)
    return Preview(
        effects=()
        if change.decides_same
        else (replace(_effect(change, *(_namer(group_ids, lists, names) for group_ids in ids)), machines=(machine,)),),
        machine_count=1,
        unaffected=int(change.decides_same),
        newly_dead=dying.sentences(),
        dead_unseen=dying.unseen,
        alarms=tuple(dict.fromkeys(alarms)),
        decides_same=change.decides_same,
    )


def _effective(group_ids: Iterable[int], lists: Mapping[int, RuleList]) -> tuple[Rule, ...]:
    return tuple(rule for pk in group_ids for rule in lists[pk])


def _namer(group_ids: Sequence[int], lists: Mapping[int, RuleList], names: Mapping[int, str]) -> Name:
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


@dataclass(frozen=True, slots=True)
class _Listed:
    """A list with each rule's group and place in it, and what the list's places are called."""

    rules: tuple[Rule, ...]
    owners: tuple[tuple[int, int], ...]
    name: Name | None

    @classmethod
    def own(cls, group: SecurityGroup, rules: RuleList) -> "_Listed":
        """A group's own list: its rules are called by their place."""
        return cls(tuple(rules), tuple((group.pk, place) for place in range(1, len(rules) + 1)), None)

    @classmethod
    def of(cls, group_ids: Sequence[int], lists: Mapping[int, RuleList], names: Mapping[int, str]) -> "_Listed":
        """A VM's effective list."""
        owners = tuple((pk, place) for pk in group_ids for place in range(1, len(lists[pk]) + 1))
        return cls(_effective(group_ids, lists), owners, _namer(group_ids, lists, names))

    def identity(self, place: int) -> tuple[int, str]:
        """Stays the same from one list to the other. A rule that is new has none yet: its place in its group then."""
        group, at = self.owners[place - 1]
        return group, self.rules[place - 1].uid or f"at {at}"


def _dead_among(rules: Sequence[Rule], around: Sequence[int], asked: Collection[int]) -> list[int]:
    """Which of the asked places no packet reaches; `around` are the places that meet them."""
    dead = {around[at - 1] for at in dead_rules([rules[place - 1] for place in around])}
    return sorted(dead & set(asked))


class _Meeting:
    """Which rules of a list share packets with others, as far as their fields alone tell: never too few."""

    def __init__(self) -> None:
        # By identity of the objects: the lists of many VMs are made of the same ones.
        self._areas: dict[int, tuple[Rule, Area]] = {}

    def _area(self, rule: Rule) -> Area:
        held = self._areas.get(id(rule))
        if held is None:
            held = self._areas[id(rule)] = rule, area(rule)
        return held[1]

    def those(self, rules: Sequence[Rule], places: Collection[int], start: int = 1) -> list[int]:
        """The places from `start` on whose rules are on and meet one of these, themselves included."""
        if len(places) > MET_ONE_BY_ONE:
            return [place for place, rule in enumerate(rules, 1) if place >= start and rule.enabled]
        asked = [(rules[place - 1].direction, self._area(rules[place - 1])) for place in places]
        return [
            place
            for place, rule in enumerate(rules[start - 1 :], start)
            if rule.enabled
            and any(rule.direction is direction and _meet(self._area(rule), one) for direction, one in asked)
        ]


def _meet(one: Area, other: Area) -> bool:
    return bool(one[0] & other[0]) and all(
        one[at] <= other[at + 1] and other[at] <= one[at + 1]
        for at in (5, 1, 3)  # sources tell most rules apart
    )


@dataclass(slots=True)
class _Dying:
    """The rules that no packet reaches after a change and that acted before it, or are new; found list by list.

    What is dead in a group's own list is dead on every VM, so that is said once. Work on the VMs' lists is bounded;
    `unseen` counts the VMs that it did not suffice for.
    """

    unseen: int = 0
    _work: int = 0
    _lines: dict[tuple[str, str], list[VirtualMachine]] = field(default_factory=dict)
    _told: set[tuple[int, str]] = field(default_factory=set)
    _unsaid: set[tuple[int, str]] = field(default_factory=set)
    _alone: set[tuple[int, str]] = field(default_factory=set)
    _meeting: _Meeting = field(default_factory=_Meeting)

    def look(self, before: _Listed, after: _Listed, machines: Sequence[VirtualMachine], *, only: bool = False) -> None:
        """Look at one list. `only`: it is the only one, so it is looked at however long it is, and its VM needs no name."""
        own = after.name is None
        _, changed = changed_places(before.rules, after.rules)
        if not changed:
            return
        # A rule that is the same and stands where it stood loses packets to changed ones before it, and to no others.
        # What is dead in the group's own list was so before, or is told there.
        asked = [
            place
            for place in self._meeting.those(after.rules, changed, min(changed))
            if after.identity(place) not in self._alone
        ]
        around = self._meeting.those(after.rules, asked)
        if not own and not only:
            if self._work + len(around) > DEAD_WORK:
                self.unseen += len(machines)
                return
            self._work += len(around)
        dead = {place: after.identity(place) for place in _dead_among(after.rules, around, asked)}
        if own:
            self._alone = set(dead.values())
        ones = set(dead.values())
        was = {one: place for place in range(1, len(before.rules) + 1) if (one := before.identity(place)) in ones}
        if was:
            around = self._meeting.those(before.rules, set(was.values()))
            self._work += len(around)
            gone = {before.identity(place) for place in _dead_among(before.rules, around, set(was.values()))}
            dead = {place: one for place, one in dead.items() if one not in gone}
        # Those that have a line already get these VMs added to it.
        room = MAX_LINES - len(self._lines)
        new = [place for place, one in dead.items() if one not in self._told][: max(0, room)]
        shown = sorted([*new, *(place for place, one in dead.items() if one in self._told)])
        for place, why in self._reasons(after, shown):
            line = after.name(place) if after.name else f"Rule {place}", why
            self._lines.setdefault(line, []).extend([] if only else machines)
            self._told.add(dead[place])
        self._unsaid |= {one for one in dead.values() if one not in self._told}

    def _reasons(self, listed: _Listed, places: Sequence[int]) -> Iterator[tuple[int, str]]:
        """Why no packet reaches these."""
        if not places:
            return
        # Rules further down take no packet from these, nor do those that share none with them.
        kept = [place for place in self._meeting.those(listed.rules, places) if place <= places[-1]]

        found = findings([listed.rules[place - 1] for place in kept]).rules
        for place, one in zip(kept, found, strict=True):
            if place in places:
                here = replace(one, covered_by=tuple(kept[by - 1] for by in one.covered_by))
                yield place, dead_sentence(here, listed.name)

    def sentences(self) -> tuple[str, ...]:
        """As many as can be read, and how many more there are."""
        said = []
        for (name, why), machines in list(self._lines.items())[:MAX_LINES]:
            where = [machine.name for machine in machines[:3]]
            if len(machines) > len(where):
                where.append(f"{len(machines) - len(where)} more")
            said.append(f"{name}{f' on {joined(where)}' if where else ''}: {why}")
        more = len(self._lines) - len(said) + len(self._unsaid - self._told)
        if more:
            said.append(f"No packet reaches {more} more {'rule' if more == 1 else 'rules'}.")
        return tuple(said)


def _openness(changes: Iterable[Change]) -> str:
    """How much of the internet the changes let in: "every address on", "most of", "a large part of", or "" for less.

    Their sources are put together: an earlier rule for one host cuts the world into two ranges.
    """
    spans = sorted({(s.version, s.first, s.last) for change in changes for s in change.product.sources})
    apart: list[AddressRange] = []
    for version, first, last in spans:
        if apart and apart[-1].version == version and first <= apart[-1].last:
            first = apart[-1].last + 1
        if first <= last:
            apart.append(AddressRange(version, first, last))
    part = max(share(apart, version) for version in (4, 6))
    return "every address on" if part == 1 else "most of" if part > 0.5 else "a large part of" if part >= LARGE else ""


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
