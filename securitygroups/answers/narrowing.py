"""What a rule could be narrowed to, by what was seen of it: few networks, and the ports from the first to the last."""

from datetime import datetime, timedelta
from urllib.parse import urlencode

from securitygroups.answers.hits import Coverage
from securitygroups.answers.seen import Peers
from securitygroups.firewall.networks import Refused, parse_network
from securitygroups.firewall.protocols import PROTOCOLS, Action, Direction
from securitygroups.firewall.values import Network, Rule

LEAST = timedelta(days=7)
"""For so long its VMs have to be counted before a rule is said to be wider than what it is used for."""


def may_narrow(coverage: Coverage, now: datetime) -> bool:
    """Whether enough is known of all VMs of the group."""
    return coverage.is_full and coverage.since is not None and now - coverage.since >= LEAST


def narrower(rule: Rule, peers: Peers) -> dict[str, str] | None:
    """What to type into the rule's form, by field, so that it takes what was seen and less besides; None where nothing is to be
    gained, or where not all samples were read."""
    if rule.action is not Action.ACCEPT or not rule.enabled or not peers.number or peers.is_cut:
        return None
    columns = PROTOCOLS[rule.protocol].columns
    found: dict[str, str] = {}
    name = "source" if rule.direction is Direction.IN else "destination"
    if name in columns and (text := _networks(getattr(rule, name), peers)):
        found[name] = text
    if "port_start" in columns and peers.ports and _fewer(rule, peers.ports):
        found["port_start"] = str(peers.ports[0])
        found["port_end"] = str(peers.ports[-1]) if peers.ports[-1] != peers.ports[0] else ""
    return found or None


def query(fields: dict[str, str]) -> str:
    """The same as parameters of the form's address."""
    return urlencode({"narrow": "1", **fields})


def _networks(now: Network | None, peers: Peers) -> str:
    try:
        seen = [parse_network(text) for text in peers.networks]
    except Refused:
        # Not every address that a packet can have is one that a rule may be typed with.
        return ""
    if now is not None and (now in seen or any(one.version != now.version for one in seen)):
        return ""
    # A network that peers were joined in may be wider than the rule: then there is nothing to gain.
    if now is not None and not all(now.first <= one.first and one.last <= now.last for one in seen):
        return ""
    return "" if any(one.is_everything for one in seen) else ", ".join(peers.networks)


def _fewer(rule: Rule, ports: tuple[int, ...]) -> bool:
    return rule.port_start is None or rule.port_start < ports[0] or ports[-1] < (rule.port_end or rule.port_start)
