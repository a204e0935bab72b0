"""What use was made of the rules of a review's page, beside the decisions about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils import timezone

from securitygroups.access import Access
from securitygroups.answers.hits import Hit, Hits, hits_of_groups
from securitygroups.answers.narrowing import may_narrow, narrower, query
from securitygroups.answers.review import Line, Part
from securitygroups.answers.seen import Peers, peers_in
from securitygroups.enforcement import applied


@dataclass(frozen=True, slots=True)
class Use:
    """Of one rule: how often it was met, or since when it is known never to have been; from where; and the way to its form,
    filled in with what was seen."""

    hit: Hit | None
    never: datetime | None
    machines: int
    peers: Peers | None
    narrow: str = ""


@dataclass(frozen=True, slots=True)
class Uses:
    """By identity of the rule, and by key of the group for how much of it there is a count."""

    of: Mapping[str, Use]
    groups: Mapping[int, Hits]


def uses_of(access: Access, parts: Sequence[Part]) -> Uses | None:
    """None where no host has ever had an agent. A few queries, however many rules there are."""
    groups = [part.group.pk for part in parts if part.machines]
    if not groups or not applied.in_use():
        return None
    hits = hits_of_groups(groups)
    seen = peers_in(access.project.pk, groups) if access.sees_traffic else None
    uses = {}
    for part in parts:
        if part.group.pk in hits:
            for line in part.lines:
                uses[line.row.uid] = _use(access, part, line, hits[part.group.pk], (seen or {}).get(line.row.uid))
    return Uses(uses, hits)


def _use(access: Access, part: Part, line: Line, hits: Hits, peers: Peers | None) -> Use:
    uid = line.row.uid
    hit = hits.of.get(uid)
    never = hits.never_since(uid, line.added.at if line.added else None)
    narrow = ""
    if not line.rule.enabled:
        never = None
    # A rule that was changed since may never have had what was seen of it before.
    if hit and peers and access.can_edit and may_narrow(hits.coverage, timezone.now()):
        fields = narrower(line.rule, peers)
        at = reverse("rule_edit", args=[access.project.slug, part.group.public_id, uid])
        narrow = f"{at}?{query(fields)}" if fields else ""
    return Use(hit, never, hits.coverage.machines, peers, narrow)
