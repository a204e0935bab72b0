"""A VM's effective list as an nftables ruleset: fails closed, one transaction for each change, equal bytes for equal input.

Statements and their meaning: nft(8) of nftables 1.0.6, the oldest version that these rulesets were loaded with.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from securitygroups.firewall.platform import NEW_MARK, REPLY_MARK, Target, platform_lines
from securitygroups.firewall.protocols import MAX_PORT, PROTOCOLS, Action, Direction, shown
from securitygroups.firewall.values import Refused, Rule, RuleList, description_problem, parse_address

TABLE = "karenpanel"
TAP_PATTERN = "tap*"
MAX_TAP_NAME = 15
"""Characters of a network interface's name: IFNAMSIZ of Linux without its closing zero byte."""

_TAP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,13}\*")
_ID = re.compile(r"[A-Za-z0-9_-]{1,48}")
_TRANSPORT = {6: "tcp", 17: "udp", 132: "sctp"}
# nft looks for the protocol behind these IPv6 headers, so a packet's l4proto is never one of them.
_EXTENSION_HEADERS = frozenset({0, 43, 44, 51, 60, 135, 139, 140})


class Unenforceable(ValueError):
    """What cannot be said exactly in the target; the message names it and says why. Nothing is compiled then."""


@dataclass(frozen=True, slots=True)
class Tap:
    """A VM on a host. `uid` names its chains and counters, `tap` is its interface; name and addresses are only shown."""

    uid: str
    tap: str
    name: str = ""
    ipv4: str | None = None
    ipv6: str | None = None


def rule_counter(machine: Tap, place: int, rule: Rule) -> str:
    """The name of the rule's counter: by its identity, so that it survives moves; by its place where it has none."""
    return f"hit.{machine.uid}.rule.{rule.uid}" if rule.uid else f"hit.{machine.uid}.place.{place}"


def platform_counter(machine: Tap, direction: Direction, what: str) -> str:
    """The name of the counter of a platform line; `what` is "none" for packets that no rule matched."""
    return f"hit.{machine.uid}.{direction}.{what}"


def _check_machine(machine: Tap, tap_pattern: str) -> None:
    if not _ID.fullmatch(machine.uid):
        raise Unenforceable(
            f"The VM's identity “{shown(machine.uid)}” cannot name a chain: 1 to 48 of A–Z, a–z, 0–9, - and _."
        )
    named = f"VM {machine.uid}"
    if not machine.tap:
        raise Unenforceable(f"{named} has no tap interface: nothing would be enforced.")
    if not _TAP.fullmatch(machine.tap):
        raise Unenforceable(
            f"{named}: “{shown(machine.tap)}” is not an interface name: "
            f"1 to {MAX_TAP_NAME} of A–Z, a–z, 0–9, -, _ and ., starting with a letter or digit."
        )
    _check_pattern(tap_pattern)
    if not machine.tap.startswith(tap_pattern[:-1]):
        raise Unenforceable(
            f"{named}: the tap {machine.tap} is not one of {tap_pattern}, so all of its packets would pass "
            "while its chains are not loaded."
        )
    if description_problem(machine.name):
        raise Unenforceable(f"{named}: its name is not one short line of text.")
    for version, address in ((4, machine.ipv4), (6, machine.ipv6)):
        if address is None:
            continue
        try:
            right = parse_address(address)[0] == version
        except Refused:
            right = False
        if not right:
            raise Unenforceable(f"{named}: “{shown(address)}” is not an IPv{version} address.")


def _check_pattern(tap_pattern: str) -> None:
    if not _PATTERN.fullmatch(tap_pattern):
        raise Unenforceable(
            f"“{shown(tap_pattern)}” is not a tap pattern: write what all taps of the host, and nothing else, "
            "begin with, and a * behind it, such as tap* or vnet*."
        )


def _check_rule(place: int, rule: Rule) -> None:
    for problem in rule.problems().values():
        raise Unenforceable(f"Rule {place}: {problem}")
    numbers = {*(PROTOCOLS[rule.protocol].numbers or {}).values()}
    for number in numbers & _EXTENSION_HEADERS:
        raise Unenforceable(f"Rule {place}: protocol {number} is an IPv6 extension header, which nft looks through.")
    if rule.port_start is not None and not numbers <= _TRANSPORT.keys():
        raise Unenforceable(f"Rule {place}: nft knows no ports of the protocol {rule.protocol}.")
    if rule.uid and not _ID.fullmatch(rule.uid):
        raise Unenforceable(
            f"Rule {place}: its identity “{shown(rule.uid)}” cannot name a counter: 1 to 48 of A–Z, a–z, 0–9, - and _."
        )


def _check_rules(rules: RuleList) -> None:
    for place, rule in enumerate(rules, 1):
        _check_rule(place, rule)


def condition(rule: Rule, target: Target) -> str:
    """What the rule matches, apart from its direction, as nft reads it; "" matches every frame."""
    protocol = PROTOCOLS[rule.protocol]
    words: list[str] = []
    for network, field in ((rule.source, "saddr"), (rule.destination, "daddr")):
        if network is not None:
            family = "ip" if network.version == 4 else "ip6"
            words.append(f"{family} {field} {network}")
    if protocol.numbers is not None:
        words.append(_transport(rule, protocol.numbers, target))
    elif protocol.only_ip and not words:
        words.append("meta nfproto { ipv4, ipv6 }" if target is Target.INET else "meta protocol { ip, ip6 }")
    return " ".join(words)


def _transport(rule: Rule, numbers: Mapping[int, int], target: Target) -> str:
    """The rule's protocol, which has these numbers over each family, and its ports."""
    if len({*numbers.values()}) == 1:
        number = numbers[4]
        return _ports(rule, number) or f"meta l4proto {number}"
    if rule.source is not None:
        return f"meta l4proto {numbers[rule.source.version]}"
    # Each number belongs to one family: ICMP over IPv6 is nothing that the rule covers.
    key, names = ("nfproto", {4: "ipv4", 6: "ipv6"}) if target is Target.INET else ("protocol", {4: "ip", 6: "ip6"})
    pairs = ", ".join(f"{names[version]} . {number}" for version, number in numbers.items())
    return f"meta {key} . meta l4proto {{ {pairs} }}"


def _ports(rule: Rule, number: int) -> str:
    start, end = rule.port_start, rule.port_end
    if start is None or (start, end) == (0, MAX_PORT):
        return ""
    return f"{_TRANSPORT[number]} dport {start}" + (f"-{end}" if end != start else "")


def _line(matches: str, counter: str, action: Action) -> str:
    return f'\t\t{matches}{" " if matches else ""}counter name "{counter}" {action}\n'


def _chain(machine: Tap, rules: RuleList, direction: Direction, target: Target) -> Iterator[str]:
    """The lines of one of the VM's chains: what the platform adds, the rules in order, the drop of everything else."""
    for line in platform_lines(target):
        if line.direction is direction:
            yield _line(line.condition, platform_counter(machine, direction, line.what), line.action)
    for place, rule in enumerate(rules, 1):
        if rule.direction == direction:
            note = f"{place} {rule.description}".rstrip()
            if rule.enabled:
                yield f"\t\t# {note}\n"
                yield _line(condition(rule, target), rule_counter(machine, place, rule), rule.action)
            else:
                yield f"\t\t# switched off: {note}\n"
    yield _line("", platform_counter(machine, direction, "none"), Action.DROP)


def _chain_name(machine: Tap, direction: Direction) -> str:
    return f"vm.{machine.uid}.{direction}"


def _rule_counters(machine: Tap, rules: RuleList) -> list[str]:
    """The counters of the rules that are on, each once, in order."""
    return list(dict.fromkeys(rule_counter(machine, place, r) for place, r in enumerate(rules, 1) if r.enabled))


def _platform_counters(machine: Tap, target: Target) -> list[str]:
    names = [platform_counter(machine, line.direction, line.what) for line in platform_lines(target)]
    return names + [platform_counter(machine, direction, "none") for direction in Direction]


def _state_table() -> str:
    """For kernels whose bridge family cannot ask for the state: two bits of the packet's mark tell it.

    Bridged packets get them in prerouting, where br_netfilter shows them to this family; what the host itself sends
    or routes into a bridge gets them in postrouting. Mangle (-150) comes behind connection tracking (-200).
    """
    table, hooks = f"inet {TABLE}_state", (("bridged", "prerouting", "iifkind"), ("sent", "postrouting", "oifkind"))
    text = ""
    for chain, hook, kind in hooks:
        text += f"add table {table}\n"
        text += f"add chain {table} {chain} {{ type filter hook {hook} priority -150; policy accept; }}\n"
        text += f"flush chain {table} {chain}\ntable {table} {{\n\tchain {chain} {{\n"
        text += f'\t\tmeta {kind} "bridge" meta mark set meta mark & {0xFFFFFFFF ^ REPLY_MARK ^ NEW_MARK:#x}\n'
        text += f'\t\tmeta {kind} "bridge" ct state established,related meta mark set meta mark | {REPLY_MARK | NEW_MARK:#x}\n'
        text += f'\t\tmeta {kind} "bridge" ct state {{ new, untracked }} meta mark set meta mark | {NEW_MARK:#x}\n\t}}\n}}\n'
    return text


def skeleton(target: Target, tap_pattern: str = TAP_PATTERN) -> str:
    """What a host loads first, before its VMs start, and keeps: an interface of the pattern without a VM passes nothing.

    Loading it again changes nothing. Raises Unenforceable.
    """
    _check_pattern(tap_pattern)
    table = f"{target.family} {TABLE}"
    # Routed: the VM's Out is judged before the host translates destinations (-100), its In behind that.
    before = -150 if target is Target.INET else 10
    chains = (
        ("from_vm", "prerouting", before, "iifname", "vm_out", "unknown.out"),
        ("to_vm", "postrouting", -10, "oifname", "vm_in", "unknown.in"),
    )
    text = _state_table() if target is Target.BRIDGE_MARK else ""
    text += f"table {table} {{\n"
    for chain, hook, priority, _, verdicts, counter in chains:
        text += f"\tmap {verdicts} {{ type ifname : verdict; }}\n\tcounter {counter} {{ }}\n"
        text += f"\tchain {chain} {{ type filter hook {hook} priority {priority}; policy accept; }}\n"
    text += "}\n" + "".join(f"flush chain {table} {chain[0]}\n" for chain in chains) + f"table {table} {{\n"
    for chain, _, _, key, verdicts, counter in chains:
        # The map jumps, it does not go to: whatever falls out of a VM's chain comes back here and is dropped.
        text += f"\tchain {chain} {{\n\t\t{key} vmap @{verdicts}\n"
        text += f'\t\t{key} "{tap_pattern}" counter name "{counter}" drop\n\t}}\n'
    return text + "}\n"


def swap(
    machine: Tap, rules: RuleList, target: Target, *, before: RuleList = (), tap_pattern: str = TAP_PATTERN
) -> str:
    """The VM's chains with `rules`, whether it is new on the host or not: one transaction over a loaded skeleton.

    `before` is the list that is loaded now: counters of rules that are gone are deleted, those of the others go on
    counting. nft refuses the whole text when `before` is not what is loaded, or when the tap is another VM's.
    Raises Unenforceable.
    """
    _check_machine(machine, tap_pattern)
    _check_rules(rules)
    table = f"{target.family} {TABLE}"
    chains = [(direction, _chain_name(machine, direction)) for direction in Direction]
    about = ", ".join(filter(None, (machine.name, machine.ipv4, machine.ipv6)))
    text = f"# VM {machine.uid}{f' ({about})' if about else ''}\n"
    text += "".join(f"add chain {table} {name}\nflush chain {table} {name}\n" for _, name in chains)
    # Counters come before the chains that name them, elements behind the chains that they jump to.
    counters = _rule_counters(machine, rules)
    text += f"table {table} {{\n"
    text += "".join(f"\tcounter {name} {{ }}\n" for name in _platform_counters(machine, target) + counters)
    for direction, name in chains:
        text += f"\tchain {name} {{\n{''.join(_chain(machine, rules, direction, target))}\t}}\n"
    text += "}\n"
    for direction, name in chains:
        text += f'add element {table} vm_{direction} {{ "{machine.tap}" : jump {name} }}\n'
    kept = frozenset(counters)
    gone = [name for name in _rule_counters(machine, before) if name not in kept]
    return text + "".join(f"delete counter {table} {name}\n" for name in gone)


def remove(machine: Tap, rules: RuleList, target: Target, *, tap_pattern: str = TAP_PATTERN) -> str:
    """The VM taken off the host, in one transaction: its tap passes nothing from then on.

    `rules` is the list that is loaded now. Raises Unenforceable.
    """
    _check_machine(machine, tap_pattern)
    _check_rules(rules)
    table = f"{target.family} {TABLE}"
    names = [(direction, _chain_name(machine, direction)) for direction in Direction]
    text = "".join(f'delete element {table} vm_{direction} {{ "{machine.tap}" }}\n' for direction, _ in names)
    text += "".join(f"flush chain {table} {name}\ndelete chain {table} {name}\n" for _, name in names)
    counters = _platform_counters(machine, target) + _rule_counters(machine, rules)
    return text + "".join(f"delete counter {table} {name}\n" for name in counters)


def machine_ruleset(machine: Tap, rules: RuleList, target: Target, tap_pattern: str = TAP_PATTERN) -> str:
    """All that one VM needs, the skeleton with it: a file that can be read, checked and loaded. Raises Unenforceable."""
    return host_ruleset([(machine, rules)], target, tap_pattern)


def host_ruleset(machines: Iterable[tuple[Tap, Sequence[Rule]]], target: Target, tap_pattern: str = TAP_PATTERN) -> str:
    """The whole host in one transaction: after it these VMs pass what their rules accept, every other tap nothing.

    Raises Unenforceable, also when two VMs share an identity or a tap.
    """
    listed = list(machines)
    for what, values in (("identity", [m.uid for m, _ in listed]), ("tap", [m.tap for m, _ in listed])):
        for value, times in Counter(values).items():
            if times > 1:
                raise Unenforceable(f"{times} VMs have the {what} “{shown(value)}”: one chain cannot serve both.")
    table = f"{target.family} {TABLE}"
    # The maps are emptied first: a VM that is not listed any more passes nothing.
    text = skeleton(target, tap_pattern) + "".join(f"flush map {table} vm_{direction}\n" for direction in Direction)
    return text + "".join(swap(machine, rules, target, tap_pattern=tap_pattern) for machine, rules in listed)
