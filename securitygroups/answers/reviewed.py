"""Reviews that were signed off: when the last one was and the next is due, and what one of them says, as a file."""

import csv
import io
import json
from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from securitygroups.answers.review import narrowed_rule
from securitygroups.firewall.formats.documents import RULE_KEYS, rules_from_stored
from securitygroups.firewall.formats.spreadsheet import guarded
from securitygroups.firewall.values import Rule as RuleValue
from securitygroups.models import Project, ReviewedRule, Rule, SecurityGroup, SignedReview
from securitygroups.words.rules import rule_sentence

FORMAT = "karenpanel.review/1"
SOON = 14
"""Days before a review is due from which on it is said."""
COLUMNS = ("group", "group_name", "rule", *RULE_KEYS, "decision", "becomes", "remark", "by", "at")


@dataclass(frozen=True, slots=True)
class Standing:
    """The last review of a project, and the day on which the next one is due; None where there is none."""

    last: SignedReview | None
    due: date | None
    today: date

    @property
    def overdue(self) -> bool:
        return self.due is not None and self.due <= self.today

    @property
    def soon(self) -> bool:
        return self.due is not None and (self.due - self.today).days <= SOON


def standing(project: Project) -> Standing:
    """When the project was reviewed last, and when it has to be again (one query)."""
    last = SignedReview.objects.filter(project=project).order_by("-number").first()
    since = timezone.localtime(last.at if last else project.created_at).date()
    months = project.review_months
    return Standing(last, months_later(since, months) if months else None, timezone.localdate())


def months_later(day: date, months: int) -> date:
    """The same day so many months later, or the last one of that month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


class Mark(NamedTuple):
    """That a rule was reviewed and is still the one that it was then: by whom and when, and in which review."""

    by: str
    at: datetime
    number: int


def marks(group: SecurityGroup, uids: Iterable[str]) -> dict[str, Mark]:
    """Those of the rules that were decided about in a signed review and not changed since (one query)."""
    same = Rule.objects.filter(group=group, uid=OuterRef("uid"), changed_in__lte=OuterRef("revision"))
    rows = (
        ReviewedRule.objects.filter(Exists(same), group=group, uid__in=list(uids))
        .order_by("uid", "-pk")
        .distinct("uid")
    )
    found = rows.values_list("uid", "by_name", "review__at", "review__number")
    return {uid: Mark(by, at, number) for uid, by, at, number in found}


@dataclass(frozen=True, slots=True)
class Told:
    """A line of the record: the rule as it was, and what it became, "" where it stayed or went."""

    line: ReviewedRule
    group_name: str
    rule: RuleValue
    becomes: str


def names_then(review: SignedReview) -> dict[int, str]:
    """What the groups were called when the review was signed, by key (one query)."""
    return dict(review.groups.values_list("group", "name"))


def told(line: ReviewedRule, names: Mapping[int, str]) -> Told:
    """The line with its rule in words."""
    [rule] = rules_from_stored([{**line.rule, "uid": line.uid}])
    becomes = rule_sentence(narrowed_rule(rule, line.narrowed)) if line.narrowed else ""
    return Told(line, names.get(line.group_id, ""), rule, becomes)


def lines(review: SignedReview) -> QuerySet[ReviewedRule]:
    """What was decided, in the order of the groups' names and of their rules."""
    return ReviewedRule.objects.filter(review=review).select_related("group").order_by("pk")


def as_json(review: SignedReview) -> Iterator[str]:
    """The record as a document, piece by piece: it may have many thousand lines."""
    head: dict[str, Any] = {
        "format": FORMAT,
        "project": review.project.slug,
        "number": review.number,
        "started_at": review.started_at.isoformat(),
        "signed_at": review.at.isoformat(),
        "signed_by": review.actor_name,
        "name": review.signature,
        "remark": review.remark,
        "rules": review.rules,
        "decided": review.decided,
        "groups": [
            {
                "group": one.group.public_id,
                "name": one.name,
                "reviewed_revision": one.found,
                "revision": one.revision,
                "rules": one.rules,
                "decided": one.decided,
            }
            for one in review.groups.select_related("group")
        ],
    }
    yield json.dumps(head, ensure_ascii=False, indent=2)[: -len("\n}")] + ',\n  "decisions": ['
    for number, line in enumerate(lines(review).iterator(chunk_size=1_000)):
        yield f"{',' if number else ''}\n    {json.dumps(_line(line), ensure_ascii=False)}"
    yield "\n  ]\n}\n"


def _line(line: ReviewedRule) -> dict[str, Any]:
    return {
        "group": line.group.public_id,
        "place": line.place,
        "rule": line.rule,
        "decision": line.verdict,
        "narrowed": line.narrowed,
        "remark": line.remark,
        "by": line.by_name,
        "at": line.at.isoformat(),
    }


def as_csv(review: SignedReview) -> Iterator[str]:
    """What was decided, for spreadsheets: a line for each rule."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    names = names_then(review)
    for line in lines(review).iterator(chunk_size=1_000):
        fields = {**line.rule, "enabled": str(line.rule["enabled"]).lower()}
        one = told(line, names)
        said = [line.group.public_id, one.group_name, line.place, *(fields[key] for key in RULE_KEYS)]
        said += [line.verdict, one.becomes, line.remark, line.by_name, line.at.isoformat()]
        writer.writerow([guarded(text) if isinstance(text, str) else text for text in said])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()
