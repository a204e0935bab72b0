"""A VM on a host as a ruleset names it, and what keeps it from being said there."""

import re
from dataclasses import dataclass

from securitygroups.firewall.guests import Guest, Own, tag_of
from securitygroups.firewall.protocols import PROTOCOLS, Direction, shown
from securitygroups.firewall.values import Refused, Rule, RuleList, description_problem, parse_address

TABLE = "karenpanel"
TAP_PATTERN = "tap*"
MAX_TAP_NAME = 15
"""Characters of a network interface's name: IFNAMSIZ of Linux without its closing zero byte."""
TRANSPORT = {6: "tcp", 17: "udp", 132: "sctp"}

_TAP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,13}\*")
_ID = re.compile(r"[A-Za-z0-9_-]{1,48}")
# nft looks for the protocol behind these IPv6 headers, so a packet's l4proto is never one of them.
_EXTENSION_HEADERS = frozenset({0, 43, 44, 51, 60, 135, 139, 140})
_MOST_GROUPS = 65_535


class Unenforceable(ValueError):
    """What cannot be said exactly in the target; the message names it and says why. Nothing is compiled then."""


@dataclass(frozen=True, slots=True)
class Tap:
    """A VM on a host. `uid` names its chains and counters, `tap` is its interface; name and addresses are shown.

    `own` is what it may send as; without it the VM is not held to anything. `log` is the group of NFLOG that is told what
    becomes of some of its packets, None where nothing is told.
    """

    uid: str
    tap: str
    name: str = ""
    ipv4: str | None = None
    ipv6: str | None = None
    own: Own | None = None
    log: int | None = None

    @property
    def guest(self) -> Guest:
        """As the platform's lines see it."""
        shown_as = Own(addresses=tuple(filter(None, (self.ipv4, self.ipv6))))
        return Guest(tag_of(self.uid), self.own or shown_as, self.own is not None)

    def chain(self, direction: Direction, *more: str) -> str:
        """The name of one of its chains: where its packets of the direction come in, or a part of that."""
        return ".".join(("vm", self.uid, direction, *more))


def rule_counter(machine: Tap, place: int, rule: Rule) -> str:
    """The name of the rule's counter: by its identity, so that it survives moves; by its place where it has none."""
    return f"hit.{machine.uid}.{rule_name(place, rule)}"


def rule_name(place: int, rule: Rule) -> str:
    """What counters and logs call the rule."""
    return f"rule.{rule.uid}" if rule.uid else f"place.{place}"


def platform_counter(machine: Tap, direction: Direction, what: str) -> str:
    """The name of the counter of a platform line; `what` is "none" for packets that no rule matched."""
    return f"hit.{machine.uid}.{direction}.{what}"


def check_pattern(tap_pattern: str) -> None:
    """Raises Unenforceable where the pattern is none."""
    if not _PATTERN.fullmatch(tap_pattern):
        raise Unenforceable(
            f"“{shown(tap_pattern)}” is not a tap pattern: write what all taps of the host, and nothing else, "
            "begin with, and a * behind it, such as tap* or vnet*."
        )


def check_machine(machine: Tap, tap_pattern: str) -> None:
    """Raises Unenforceable where the VM cannot be said on a host whose taps are these."""
    if not _ID.fullmatch(machine.uid):
        raise Unenforceable(
            f"The VM's identity “{shown(machine.uid)}” cannot name a chain: 1 to 48 of A–Z, a–z, 0–9, - and _."
        )
    named = f"VM {machine.uid}"
    _check_tap(named, machine.tap, tap_pattern)
    if description_problem(machine.name):
        raise Unenforceable(f"{named}: its name is not one short line of text.")
    for version, address in ((4, machine.ipv4), (6, machine.ipv6)):
        if address is not None and not _is_address(address, version):
            raise Unenforceable(f"{named}: “{shown(address)}” is not an IPv{version} address.")
    if machine.own is not None and (problem := machine.own.problem()):
        raise Unenforceable(f"{named}: {problem}")
    if machine.log is not None and not 0 <= machine.log <= _MOST_GROUPS:
        raise Unenforceable(f"{named}: {machine.log} is no group of NFLOG: a number from 0 to {_MOST_GROUPS}.")


def _check_tap(named: str, tap: str, tap_pattern: str) -> None:
    if not tap:
        raise Unenforceable(f"{named} has no tap interface: nothing would be enforced.")
    if not _TAP.fullmatch(tap):
        raise Unenforceable(
            f"{named}: “{shown(tap)}” is not an interface name: "
            f"1 to {MAX_TAP_NAME} of A–Z, a–z, 0–9, -, _ and ., starting with a letter or digit."
        )
    check_pattern(tap_pattern)
    if not tap.startswith(tap_pattern[:-1]):
        raise Unenforceable(
            f"{named}: the tap {tap} is not one of {tap_pattern}, so all of its packets would pass "
            "while its chains are not loaded."
        )


def _is_address(text: str, version: int) -> bool:
    try:
        return parse_address(text)[0] == version
    except Refused:
        return False


def check_rules(rules: RuleList) -> None:
    """Raises Unenforceable at the first rule that cannot be said exactly."""
    for place, rule in enumerate(rules, 1):
        _check_rule(place, rule)


def _check_rule(place: int, rule: Rule) -> None:
    for problem in rule.problems().values():
        raise Unenforceable(f"Rule {place}: {problem}")
    numbers = {*(PROTOCOLS[rule.protocol].numbers or {}).values()}
    for number in numbers & _EXTENSION_HEADERS:
        raise Unenforceable(f"Rule {place}: protocol {number} is an IPv6 extension header, which nft looks through.")
    if rule.port_start is not None and not numbers <= TRANSPORT.keys():
        raise Unenforceable(f"Rule {place}: nft knows no ports of the protocol {rule.protocol}.")
    if rule.uid and not _ID.fullmatch(rule.uid):
        raise Unenforceable(
            f"Rule {place}: its identity “{shown(rule.uid)}” cannot name a counter: 1 to 48 of A–Z, a–z, 0–9, - and _."
        )
