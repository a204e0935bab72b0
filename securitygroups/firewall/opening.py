"""To open a port: the rules for it, what is open already, and where in a list a rule acts."""

from collections.abc import Iterable, Sequence

from securitygroups.firewall.analysis.overlaps import contains, meets
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.services import SERVICES
from securitygroups.firewall.several import MOST, Opening
from securitygroups.firewall.texts import Problem
from securitygroups.firewall.values import Network, Refused, Rule, RuleList


def opening_rules(services: Sequence[Opening], sources: Sequence[Network | None]) -> tuple[Rule, ...]:
    """A rule for each service from each source. Raises Refused where they are too many."""
    many = len(services) * len(sources)
    if many > MOST:
        raise Refused(Problem(f"These are {many} rules, and {MOST} at once is the most: type fewer."))
    return tuple(
        Rule(Action.ACCEPT, Direction.IN, protocol, source, None, start, end, _called(protocol, start, end))
        for source in sources
        for protocol, start, end in services
    )


def _called(protocol: str, start: int | None, end: int | None) -> str:
    if start != end:
        return ""
    return next((one.name for one in SERVICES if (one.protocol, one.port) == (protocol, start)), "")


def opened_by(rules: RuleList, wanted: Rule) -> int | None:
    """The place, from 1, of the rule by which all that is wanted passes already; None where some of it does not, or by
    more than one rule."""
    for place, rule in enumerate(rules, 1):
        if not rule.enabled:
            continue
        if rule.action is Action.ACCEPT and contains(rule, wanted):
            return place
        if rule.action is Action.DROP and meets(rule, wanted):
            return None
    return None


def closed_at(rules: RuleList, wanted: Iterable[Rule]) -> int:
    """How many rules stand above the first that drops all of something wanted: below it that would never act."""
    for place, rule in enumerate(rules):
        if rule.enabled and rule.action is Action.DROP and any(contains(rule, each) for each in wanted):
            return place
    return len(rules)


def with_opened(rules: RuleList, wanted: Sequence[Rule]) -> tuple[Rule, ...]:
    """The list with what is wanted as low as it acts: what only drops a part of it, such as known attackers, stays above."""
    at = closed_at(rules, wanted)
    return (*rules[:at], *wanted, *rules[at:])
