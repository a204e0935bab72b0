"""A group's list as a file for a host: nft takes it, whatever kinds of rules and names are in it."""

from itertools import product
from random import Random

from securitygroups.enforcement.host import PLACEHOLDER, group_ruleset
from securitygroups.firewall.nftables import Tap, machine_ruleset
from securitygroups.firewall.platform import Target
from securitygroups.firewall.protocols import PROTOCOLS, Action, Direction
from securitygroups.firewall.values import Rule, RuleList, parse_network
from securitygroups.models import SecurityGroup
from tests.firewall.strategies import random_list
from tests.kernel.conftest import KERNEL
from tests.kernel.host import Host

pytestmark = KERNEL

NETWORKS = (None, "0.0.0.0/0", "203.0.113.7/32", "198.51.100.0/24", "::/0", "2001:db8::1/128", "2001:db8::/32")
PORTS = ((None, None), (0, 0), (22, 22), (0, 65535), (8000, 8010), (65535, 65535))
NAME = "we\"b'; flush ruleset # \\ {日本} $x `y` @z"


def every_kind() -> RuleList:
    """Each protocol in each direction with each of its fields, on and off."""
    found: list[Rule] = []
    for action, direction, protocol in product(Action, Direction, PROTOCOLS.values()):
        sources = NETWORKS if "source" in protocol.columns else (None,)
        destinations = NETWORKS if "destination" in protocol.columns else (None,)
        for source, destination, ports in product(sources, destinations, PORTS if protocol.has_ports else PORTS[:1]):
            first, last = (parse_network(end) if end else None for end in (source, destination))
            rule = Rule(action, direction, protocol.name, first, last, ports[0], ports[1], NAME, len(found) % 7 != 0)
            if not rule.problems():
                found.append(rule)
    return tuple(found)


def exported(target: Target, rules: RuleList, name: str = "web") -> str:
    """As the page gives it, which is for a bridge; for other hosts the same list of the same VM."""
    group = SecurityGroup(public_id="sg-0123456789ab", name=name, revision=3)
    if target is Target.BRIDGE:
        return group_ruleset(group, rules)
    return machine_ruleset(Tap(group.public_id, PLACEHOLDER, name), rules, target)


def test_nft_takes_the_export_of_every_kind_of_rule(host: Host, target: Target) -> None:
    rules = every_kind()
    assert {(rule.protocol, rule.direction) for rule in rules} == set(product(PROTOCOLS, Direction))

    host.run("nft -c -f -", text=exported(target, rules, NAME))
    host.run("nft -c -f -", text=exported(target, ()))
    for seed in range(10):
        host.run("nft -c -f -", text=exported(target, tuple(random_list(Random(seed)))))
