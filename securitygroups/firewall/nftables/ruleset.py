"""A VM's effective list as an nftables ruleset: fails closed, one transaction for each change, equal bytes for equal input.

Statements and their meaning: nft(8) of nftables 1.0.6, the oldest version that these rulesets were loaded with.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from securitygroups.firewall.guests import SLOTS, slot
from securitygroups.firewall.nftables.conditions import answering, conditions
from securitygroups.firewall.nftables.dispatch import Listed, Part, divided
from securitygroups.firewall.nftables.loaded import Loaded
from securitygroups.firewall.nftables.skeleton import skeleton
from securitygroups.firewall.nftables.taps import (
    TABLE,
    TAP_PATTERN,
    Tap,
    Unenforceable,
    check_machine,
    check_rules,
    platform_counter,
    rule_counter,
    rule_name,
)
from securitygroups.firewall.platform import BACK_MARK, NEW_MARK, REPLY_MARK, Target, platform_lines
from securitygroups.firewall.protocols import Action, Direction, shown
from securitygroups.firewall.values import Rule, RuleList

TEXT_VERSION = 2
"""Of what is compiled: another one means that equal rules have become another text."""
# What is told to NFLOG: of a drop by each reason, and of what opened a connection.
_TOLD_DROPS, _TOLD_OPENINGS = "limit rate 5/second burst 20 packets", "limit rate 2/second burst 20 packets"
_SNAPLEN = 96

_OPENED = ("ok",)
_NOWHERE = ("none",)
_BACK, _ANSWERED = ("back",), ("answered",)


class _Chains:
    """A VM's chains of one direction, by what stands behind their common name, each with its lines."""

    def __init__(self, machine: Tap, rules: RuleList, direction: Direction, target: Target) -> None:
        self.machine, self.direction, self.target = machine, direction, target
        self.lines: dict[tuple[str, ...], list[str]] = {}
        listed = [(place, rule) for place, rule in enumerate(rules, 1) if rule.enabled and rule.direction == direction]
        off = [(place, rule) for place, rule in enumerate(rules, 1) if rule.direction == direction and not rule.enabled]
        self._open(_OPENED, direction)
        if target is Target.BRIDGE_MARK and direction is Direction.OUT:
            self._answer([rule for rule in rules if rule.enabled and rule.direction is Direction.IN])
        root, *parts = divided(listed, target)
        if parts:
            self.lines[_NOWHERE] = self._denied()
        for part in parts:
            self.lines[part.name] = [*self._part(part)]
        self.lines[()] = [*self._above(), *self._root(root, off if not parts else [])]

    def name(self, more: tuple[str, ...]) -> str:
        return self.machine.chain(self.direction, *more)

    def _told(self, what: str, rate: str) -> str:
        """The statement that tells NFLOG, "" where nothing is told."""
        if self.machine.log is None:
            return ""
        prefix = f"{self.machine.uid}.{self.direction}.{what}"
        return f'{rate} log prefix "{prefix}" group {self.machine.log} snaplen {_SNAPLEN}'

    def _line(self, matches: str, counter: str, verdict: str, told: str = "") -> Iterator[str]:
        space = " " if matches else ""
        # The limit ends the line that it stands in, so that it has one of its own.
        if told:
            yield f"{matches}{space}{told}"
        yield f'{matches}{space}counter name "{counter}" {verdict}'

    def _dropped(self, matches: str, counter: str, what: str) -> Iterator[str]:
        return self._line(matches, counter, "drop", self._told(what, _TOLD_DROPS))

    def _denied(self) -> list[str]:
        return [*self._dropped("", platform_counter(self.machine, self.direction, "none"), "none")]

    def _open(self, name: tuple[str, ...], accepted: Direction) -> None:
        """The chain that accepts what opens a connection: whose list did is kept in the connection's mark."""
        marked = slot(accepted, self.machine.guest.tag)
        others = 0xFFFFFFFF ^ SLOTS[accepted]
        key = "meta mark" if self.target is Target.BRIDGE_MARK else "ct mark"
        new = f"meta mark & {REPLY_MARK:#x} == 0x0" if self.target is Target.BRIDGE_MARK else "ct state new"
        told = self._told("accept", _TOLD_OPENINGS) if name == _OPENED else ""
        # What has no connection leaves the second line where it asks for the mark, and is accepted by the last.
        self.lines[name] = [
            *([f"{new} {told}"] if told else []),
            f"{key} set {key} & {others:#x} | {marked:#x}",
            "accept",
        ]

    def _answer(self, rules: RuleList) -> None:
        """What the VM answers to a connection that its In rules would open.

        What the host itself sends into a bridge is accepted there where the connection's mark cannot be set any more: it
        is when the answer comes by.
        """
        self._open(_ANSWERED, Direction.IN)
        self.lines[_BACK] = [
            f"{matches} {self._verdict(rule, _ANSWERED)}".lstrip()
            for rule in rules
            for matches in answering(rule, self.target)
        ]

    def _verdict(self, rule: Rule, opened: tuple[str, ...]) -> str:
        if rule.action is Action.ACCEPT:
            return f"goto {self.name(opened)}"
        return "return" if opened == _ANSWERED else "drop"

    def _above(self) -> Iterator[str]:
        """What the platform adds, before the rules."""
        machine, key = self.machine, "iifname" if self.direction is Direction.OUT else "oifname"
        # A tap that was the VM's before, and whose map still leads here, passes nothing.
        yield f'{key} != "{machine.tap}" counter name "{platform_counter(machine, self.direction, "tap")}" drop'
        for line in platform_lines(self.target, machine.guest):
            if line.direction is not self.direction:
                continue
            if line.what == "invalid" and _BACK in self.lines:
                bits = REPLY_MARK | NEW_MARK | BACK_MARK
                yield f"meta mark & {bits:#x} == {bits:#x} jump {self.name(_BACK)}"
            counter = platform_counter(machine, self.direction, line.what)
            if line.action is Action.DROP:
                yield from self._dropped(line.condition, counter, line.what)
            else:
                yield from self._line(line.condition, counter, line.action)

    def _root(self, root: Part, off: list[Listed]) -> Iterator[str]:
        yield from self._part(root, off)
        if self.lines.get(_NOWHERE) is None:
            yield from self._denied()

    def _part(self, part: Part, off: Sequence[Listed] = ()) -> Iterator[str]:
        """The lines of a part. `off` are rules that are switched off, each said where it stands."""
        for matches, to in part.leads:
            yield f"{matches} goto {self.name(to)}".lstrip()
        for place, rule in sorted([*part.rules, *off], key=lambda one: one[0]):
            note = f"{place} {rule.description}".rstrip()
            if not rule.enabled:
                yield f"# switched off: {note}"
                continue
            yield f"# {note}"
            yield from self._rule(place, rule)
        if self.lines.get(_NOWHERE) is not None:
            yield f"goto {self.name(_NOWHERE)}"

    def _rule(self, place: int, rule: Rule) -> Iterator[str]:
        counter = rule_counter(self.machine, place, rule)
        for matches in conditions(rule, self.target):
            if rule.action is Action.DROP:
                yield from self._dropped(matches, counter, rule_name(place, rule))
            else:
                yield from self._line(matches, counter, self._verdict(rule, _OPENED))


def _chains(machine: Tap, rules: RuleList, target: Target) -> dict[str, list[str]]:
    """All chains of the VM, each behind those that it leads to."""
    named: dict[str, list[str]] = {}
    for direction in Direction:
        made = _Chains(machine, rules, direction, target)
        named |= {made.name(more): lines for more, lines in made.lines.items()}
    return named


def _rule_counters(machine: Tap, rules: RuleList) -> list[str]:
    """The counters of the rules that are on, each once, in order."""
    return list(dict.fromkeys(rule_counter(machine, place, r) for place, r in enumerate(rules, 1) if r.enabled))


def _platform_counters(machine: Tap, target: Target) -> list[str]:
    lines = platform_lines(target, machine.guest)
    names = [platform_counter(machine, direction, "tap") for direction in Direction]
    names += [platform_counter(machine, line.direction, line.what) for line in lines]
    names += [platform_counter(machine, direction, "none") for direction in Direction]
    return list(dict.fromkeys(names))


def as_loaded(machine: Tap, rules: RuleList, target: Target) -> Loaded:
    """What is loaded of a VM whose list was compiled from these rules."""
    counters = (*_platform_counters(machine, target), *_rule_counters(machine, rules))
    taps = {direction: {machine.tap: machine.uid} for direction in Direction}
    return Loaded(taps, {machine.uid: tuple(_chains(machine, rules, target))}, {machine.uid: counters})


def _before(machine: Tap, before: RuleList | Loaded, target: Target) -> Loaded:
    if isinstance(before, Loaded):
        return before
    loaded = as_loaded(machine, before, target)
    # A list does not tell whether its VM is loaded at all: an element that is not there cannot be deleted.
    return Loaded({}, loaded.chains, loaded.counters) if before else Loaded()


def swap(
    machine: Tap,
    rules: RuleList,
    target: Target,
    *,
    before: RuleList | Loaded = (),
    tap_pattern: str = TAP_PATTERN,
) -> str:
    """The VM's chains with `rules`, whether it is new on the host or not: one transaction over a loaded skeleton.

    `before` is what is loaded now, as it was read from the host, or the list alone: what is gone is deleted, counters of
    rules that stay go on counting. As it was read, another tap of the VM and another VM on its tap are taken away too. nft
    refuses the whole text when `before` is not what is loaded. Raises Unenforceable.
    """
    check_machine(machine, tap_pattern)
    check_rules(rules)
    table = f"{target.family} {TABLE}"
    loaded = _before(machine, before, target)
    about = ", ".join(filter(None, (machine.name, machine.ipv4, machine.ipv6)))
    text = f"# VM {machine.uid}{f' ({about})' if about else ''}\n"
    chains = _chains(machine, rules, target)
    text += "".join(f"add chain {table} {name}\nflush chain {table} {name}\n" for name in chains)
    # Counters come before the chains that name them, elements behind the chains that they jump to.
    counters = _platform_counters(machine, target) + _rule_counters(machine, rules)
    text += f"table {table} {{\n"
    text += "".join(f"\tcounter {name} {{ }}\n" for name in counters)
    for name, lines in chains.items():
        text += f"\tchain {name} {{\n" + "".join(f"\t\t{line}\n" for line in lines) + "\t}\n"
    text += "}\n" + _moved(machine, loaded, table)
    for direction in Direction:
        text += f'add element {table} vm_{direction} {{ "{machine.tap}" : jump {machine.chain(direction)} }}\n'
    return text + _taken_away(machine.uid, loaded, table, chains, frozenset(counters))


def _moved(machine: Tap, loaded: Loaded, table: str) -> str:
    """Elements of the maps that are not what they were: other taps of this VM, and other VMs on its tap."""
    gone = [
        (direction, tap)
        for direction, taps in loaded.taps.items()
        for tap, uid in taps.items()
        if (uid == machine.uid) != (tap == machine.tap)
    ]
    return "".join(f'delete element {table} vm_{direction} {{ "{tap}" }}\n' for direction, tap in gone)


def _taken_away(uid: str, loaded: Loaded, table: str, chains: Mapping[str, object], counters: frozenset[str]) -> str:
    """Chains and counters of the VM that are loaded and stay no longer; chains are emptied first, for they lead to others."""
    old = [name for name in loaded.chains.get(uid, ()) if name not in chains]
    text = "".join(f"flush chain {table} {name}\n" for name in old)
    text += "".join(f"delete chain {table} {name}\n" for name in old)
    gone = [name for name in loaded.counters.get(uid, ()) if name not in counters]
    return text + "".join(f"delete counter {table} {name}\n" for name in gone)


def remove(machine: Tap, before: RuleList | Loaded, target: Target, *, tap_pattern: str = TAP_PATTERN) -> str:
    """The VM taken off the host, in one transaction: its tap passes nothing from then on.

    `before` is what is loaded now: as it was read from the host, or the VM's list. Raises Unenforceable.
    """
    check_machine(machine, tap_pattern)
    loaded = before if isinstance(before, Loaded) else as_loaded(machine, before, target)
    return remove_loaded(machine.uid, loaded, target)


def remove_loaded(uid: str, loaded: Loaded, target: Target) -> str:
    """Whatever is loaded of a VM taken off the host, in one transaction."""
    table = f"{target.family} {TABLE}"
    text = "".join(
        f'delete element {table} vm_{direction} {{ "{tap}" }}\n'
        for direction, taps in loaded.taps.items()
        for tap, whose in taps.items()
        if whose == uid
    )
    return text + _taken_away(uid, loaded, table, {}, frozenset())


def machine_ruleset(machine: Tap, rules: RuleList, target: Target, tap_pattern: str = TAP_PATTERN) -> str:
    """All that one VM needs, the skeleton with it: a file that can be read, checked and loaded. Raises Unenforceable."""
    return host_ruleset([(machine, rules)], target, tap_pattern)


def host_ruleset(
    machines: Iterable[tuple[Tap, Sequence[Rule]]],
    target: Target,
    tap_pattern: str = TAP_PATTERN,
    *,
    before: Loaded | None = None,
) -> str:
    """The whole host in one transaction: after it these VMs pass what their rules accept, every other tap nothing.

    With `before`, what was read from the host, nothing stays of a VM that is not listed any more, nor of a rule that is
    gone. Raises Unenforceable, also when two VMs share an identity or a tap.
    """
    listed = list(machines)
    for what, values in (("identity", [m.uid for m, _ in listed]), ("tap", [m.tap for m, _ in listed])):
        for value, times in Counter(values).items():
            if times > 1:
                raise Unenforceable(f"{times} VMs have the {what} “{shown(value)}”: one chain cannot serve both.")
    table = f"{target.family} {TABLE}"
    # The maps are emptied first: a VM that is not listed any more passes nothing.
    text = skeleton(target, tap_pattern) + "".join(f"flush map {table} vm_{direction}\n" for direction in Direction)
    left = Loaded() if before is None else Loaded({}, before.chains, before.counters)
    text += "".join(swap(machine, rules, target, before=left, tap_pattern=tap_pattern) for machine, rules in listed)
    gone = sorted(left.machines - {machine.uid for machine, _ in listed})
    return text + "".join(remove_loaded(uid, left, target) for uid in gone)
