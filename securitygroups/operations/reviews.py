"""A review of a project's rules: decisions are collected, and become changes when somebody signs it off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Exists, Max, OuterRef, Sum
from django.utils import timezone

from securitygroups.firewall.formats.documents import rule_to_json
from securitygroups.firewall.values import RuleList
from securitygroups.models import (
    DecidedRule,
    Project,
    Review,
    ReviewedGroup,
    ReviewedRule,
    Rule,
    SecurityGroup,
    SignedReview,
    Verdict,
)
from securitygroups.operations.by import By
from securitygroups.operations.groups import commit_lists
from securitygroups.operations.projects import still_manages
from securitygroups.operations.records import Conflict, Verb, count, lock_project, one_more, record

BATCH = 1_000
MONTHS = (1, 3, 6, 12, 24)
"""How often a project may be reviewed."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody decides about a rule: none where `verdict` is empty.

    `revision` is the group's that they looked at, `version` that of the decision that they saw, 0 where there was none.
    """

    group: int
    uid: str
    verdict: str
    revision: int
    version: int
    narrowed: dict[str, Any] | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Passed:
    """A wish that was not taken: somebody has changed the rule since, or decided about it."""

    wish: Wish
    decided: DecidedRule | None


@transaction.atomic
def decide(*, project: Project, wishes: Sequence[Wish], by: By) -> list[Passed]:
    """Write down what was decided; nothing of the rules changes. The first decision starts the review.

    Returns the wishes that others were quicker than. Raises ValidationError where there are too many decisions.
    """
    locked = lock_project(project)
    review = _running(locked, by)
    there, stored = _standing(review, wishes)
    passed: list[Passed] = []
    made: list[DecidedRule] = []
    kept: list[DecidedRule] = []
    gone: list[int] = []
    for wish in wishes:
        key = wish.group, wish.uid
        held = stored.get(key)
        if late := _passed(wish, held, there.get(key)):
            passed.append(late)
        elif held and not wish.verdict:
            gone.append(held.pk)
        elif wish.verdict:
            (kept if held else made).append(_decision(held or DecidedRule(review=review, version=0), wish, by))
    _room(review, len(made))
    review.decisions.filter(pk__in=gone).delete()
    DecidedRule.objects.bulk_create(made, batch_size=BATCH)
    columns = ["verdict", "narrowed", "remark", "revision", "version", "by", "by_name", "at"]
    DecidedRule.objects.bulk_update(kept, columns, batch_size=BATCH)
    return passed


def _running(locked: Project, by: By) -> Review:
    review, started = Review.objects.get_or_create(
        project=locked, defaults={"started_by": by.user, "started_name": by.name}
    )
    if started:
        record(locked, Verb.REVIEW_STARTED, "Started a review of the rules.", by=by)
    return review


def _standing(
    review: Review, wishes: Sequence[Wish]
) -> tuple[dict[tuple[int, str], int], dict[tuple[int, str], DecidedRule]]:
    """Of the rules that are decided about: the revisions that changed them last, and what was decided (two queries)."""
    ids = {wish.group for wish in wishes}
    uids = {wish.uid for wish in wishes}
    rows = Rule.objects.filter(group__in=ids, group__project=review.project_id, group__deleted_at=None, uid__in=uids)
    there = {(pk, uid): number for pk, uid, number in rows.values_list("group", "uid", "changed_in")}
    stored = {(one.group_id, one.uid): one for one in review.decisions.filter(group__in=ids, uid__in=uids)}
    return there, stored


def _passed(wish: Wish, held: DecidedRule | None, changed_in: int | None) -> Passed | None:
    """Whether others were quicker: what they decided counts only where the rule is still the one that was looked at."""
    if changed_in is None or changed_in > wish.revision:
        return Passed(wish, None)
    version = held.version if held else 0
    return Passed(wish, held) if version != wish.version else None


def _decision(one: DecidedRule, wish: Wish, by: By) -> DecidedRule:
    one.group_id, one.uid = wish.group, wish.uid
    one.verdict, one.narrowed, one.remark = wish.verdict, wish.narrowed, wish.remark
    one.revision, one.version = wish.revision, one.version + 1
    one.by, one.by_name, one.at = by.user, by.name, timezone.now()
    one.clean_fields(exclude=["review", "group", "by", "narrowed"])
    return one


def _room(review: Review, more: int) -> None:
    most = settings.MAX_DECISIONS_PER_REVIEW
    if more and review.decisions.count() + more > most:
        raise ValidationError(
            f"A review has at most {count(most, 'decision')}: sign it off, and go on in the next one.", code="quota"
        )


@transaction.atomic
def drop_review(*, project: Project, by: By) -> None:
    """Forget all that was decided since the last review. Raises Conflict where none is going on."""
    locked = lock_project(project)
    review = Review.objects.filter(project=locked).first()
    if review is None:
        raise Conflict(None)
    decided = review.decisions.count()
    review.delete()
    record(locked, Verb.REVIEW_DROPPED, f"Dropped the review with its {count(decided, 'decision')}.", by=by)


@transaction.atomic
def set_review_interval(*, project: Project, months: int | None, by: By) -> None:
    """How often the project's rules shall be reviewed; None: whenever somebody does. Raises ValidationError."""
    if months is not None and months not in MONTHS:
        raise ValidationError(f"Choose one of {', '.join(map(str, MONTHS))} months.")
    locked = lock_project(project)
    still_manages(locked, by)
    if locked.review_months == months:
        return
    locked.review_months = months
    locked.save(update_fields=["review_months"])
    words = (
        f"A review is due every {count(months, 'month')}." if months else "A review is not due at any time any more."
    )
    record(locked, Verb.PROJECT_CHANGED, words, by=by)


def decided_mark(review: Review) -> str:
    """Stands for what was decided and still holds (one query)."""
    found = review.decisions.holding(review.project_id).aggregate(n=Count("pk"), versions=Sum("version"), at=Max("at"))
    return f"{review.pk} {found['n']} {found['versions']} {found['at']}"


@dataclass(frozen=True, slots=True)
class Signature:
    """The name that somebody signs with, and what they say to it."""

    name: str
    remark: str = ""


@transaction.atomic
def sign_review(
    *, review: Review, lists: Mapping[SecurityGroup, RuleList], seen: tuple[str, str], signature: Signature, by: By
) -> SignedReview:
    """Make the changes that were decided, and put on record what was decided about which rule, and what was left.

    `lists` are the new lists of the groups that change, `seen` the decided_mark and the groups_mark that they were looked
    at with. Raises Conflict where these are others by now, and as commit_rules does; then nothing is written.
    """
    project = lock_project(review.project)
    one_more(
        project.signed_reviews.count(),
        settings.MAX_REVIEWS_PER_PROJECT,
        "signed review",
        "ask whoever runs the panel for more",
    )
    held = Review.objects.filter(pk=review.pk).first()
    groups = list(project.groups.filter(deleted_at=None).order_by("pk").select_for_update(no_key=True))
    decided, attached = seen
    if held is None or decided_mark(held) != decided:
        raise Conflict(None)
    found = _found(held)
    rules = _counts(Rule.objects.filter(group__in=groups))
    now = timezone.now()
    signed = SignedReview(
        project=project,
        number=project.signed_reviews.count() + 1,
        started_at=held.started_at,
        at=now,
        actor=by.user,
        actor_name=by.name,
        signature=signature.name,
        remark=signature.remark,
        rules=sum(rules.values()),
        decided=len(found),
        changed=sum(one.verdict != Verdict.KEEP for one, _ in found),
    )
    signed.full_clean(exclude=["project", "actor"], validate_unique=False, validate_constraints=False)
    if lists:
        reason = f"Review of {timezone.localtime(now):%-d %B %Y}"
        commit_lists(lists=lists, seen=attached, by=by.because(reason))
    signed.save(force_insert=True)
    _write(signed, groups, rules, found)
    held.delete()
    words = f"Signed off review {signed.number}: decided about {signed.decided:,} of {count(signed.rules, 'rule')}"
    words += f", with changes in {count(len(lists), 'group')}." if lists else ", without a change."
    record(project, Verb.REVIEW_SIGNED, words, by=by, detail={"review": signed.number})
    return signed


def _found(review: Review) -> list[tuple[DecidedRule, Rule]]:
    """What was decided and still holds, each with its rule as it is now."""
    held = {(one.group_id, one.uid): one for one in review.decisions.holding(review.project_id)}
    mine = DecidedRule.objects.filter(review=review, group=OuterRef("group"), uid=OuterRef("uid"))
    rows = Rule.objects.filter(Exists(mine)).order_by("group__name", "group_id", "position")
    return [(held[row.group_id, row.uid], row) for row in rows if (row.group_id, row.uid) in held]


def _counts(rows: Any) -> dict[int, int]:
    return dict(rows.order_by().values_list("group").annotate(Count("pk")))


def _write(
    signed: SignedReview,
    groups: Sequence[SecurityGroup],
    rules: Mapping[int, int],
    found: Sequence[tuple[DecidedRule, Rule]],
) -> None:
    now = dict(SecurityGroup.objects.filter(pk__in=[group.pk for group in groups]).values_list("pk", "revision"))
    decided: dict[int, int] = {}
    for one, _ in found:
        decided[one.group_id] = decided.get(one.group_id, 0) + 1
    ReviewedGroup.objects.bulk_create(
        (
            ReviewedGroup(
                review=signed,
                group=group,
                name=group.name,
                found=group.revision,
                revision=now[group.pk],
                rules=rules.get(group.pk, 0),
                decided=decided.get(group.pk, 0),
            )
            for group in groups
        ),
        batch_size=BATCH,
    )
    ReviewedRule.objects.bulk_create(
        (
            ReviewedRule(
                review=signed,
                group_id=one.group_id,
                uid=one.uid,
                place=row.position,
                rule=rule_to_json(row.as_value()),
                verdict=one.verdict,
                narrowed=one.narrowed,
                remark=one.remark,
                by_name=one.by_name,
                at=one.at,
                revision=now[one.group_id],
            )
            for one, row in found
        ),
        batch_size=BATCH,
    )
