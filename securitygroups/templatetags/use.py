"""What use is made of rules, as pages tell it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone

from securitygroups.answers.hits import Coverage, Hit, Hits
from securitygroups.answers.narrowing import LEAST, may_narrow
from securitygroups.answers.seen import Peers
from securitygroups.answers.seen_again import Other, SeenAgain
from securitygroups.templatetags.standings import near
from securitygroups.words import use as words

register = template.Library()


def day(moment: datetime) -> str:
    """The day of a moment, in the reader's zone."""
    local, now = timezone.localtime(moment), timezone.localtime()
    return f"{local:%-d %B}" if local.year == now.year else f"{local:%-d %B %Y}"


def hour(moment: datetime) -> str:
    """An hour that is told by its beginning: hits are kept by the hour."""
    return f"after {near(moment)}"


@register.filter
def coverage_words(coverage: Coverage) -> str:
    """For how much of what is said of hits there is a count."""
    if coverage.too_many:
        return words.too_many(coverage.machines)
    if coverage.since is None:
        return words.not_counted(coverage.machines)
    return words.counted(coverage.counted, coverage.machines, day(coverage.since))


@register.filter
def hits_words(hits: Hits | None, uid: str) -> str:
    """Of a rule in a list; nothing where nothing is known."""
    if hits is None or hits.coverage.since is None:
        return ""
    hit = hits.of.get(uid)
    return words.hits(hit.packets, near(hit.last)) if hit else "no hits"


@register.filter
def peer_words(peers: Peers) -> str:
    """From where a rule was met: the addresses themselves while they are few."""
    return words.peers(peers.number, peers.networks, is_cut=peers.is_cut)


@register.filter
def of_rule(known: Mapping[Any, Any], key: Any) -> Any:
    """What is known of a rule or a group, by its key; None where nothing is."""
    return known.get(key)


@register.filter
def hit_words(hit: Hit) -> str:
    return words.used(hit.packets, hour(hit.last), hit.machines)


@register.filter
def never_words(since: datetime, machines: int) -> str:
    return words.never_used(day(since), machines)


@register.filter
def counted_for_review(hits: Hits | None) -> str:
    """For how much of a group there is a count, and what is not said of its rules therefore."""
    if hits is None:
        return ""
    its = coverage_words(hits.coverage)
    if not hits.coverage.is_full:
        return f"{its} {words.not_all()}"
    return its if may_narrow(hits.coverage, timezone.now()) else f"{its} {words.not_long(LEAST.days)}"


@register.filter
def seen_words(seen: SeenAgain) -> str:
    return words.seen_again(seen.times, seen.dropped.times, seen.accepted.times)


@register.filter
def seen_lists(seen: SeenAgain) -> list[tuple[Other, str, str]]:
    """Both lists that have something in them, each with how it looks and its head."""
    both = ((seen.dropped, "removed", "Which would be dropped"), (seen.accepted, "added", "Which would be accepted"))
    return [(other, kind, head) for other, kind, head in both if other.times]


@register.filter
def use_words(hits: Hits, uid: str) -> str:
    """Of a rule by itself."""
    hit: Hit | None = hits.of.get(uid)
    if hit:
        return words.used(hit.packets, hour(hit.last), hit.machines)
    return words.unused() if hits.coverage.since else ""
