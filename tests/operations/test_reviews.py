"""A review of the rules: decisions change nothing until it is signed, and what was signed stays as it is."""

from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import ProgrammingError, transaction

from securitygroups import operations
from securitygroups.answers.review import lists_after, progress
from securitygroups.models import (
    DecidedRule,
    Event,
    Project,
    Review,
    ReviewedRule,
    Rule,
    SecurityGroup,
    SignedReview,
    User,
    VirtualMachine,
)
from securitygroups.operations import By, Conflict, Signature, Wish
from securitygroups.proposals import NewReview, propose_review
from tests.factories import make_group, rule


def wish(group: SecurityGroup, place: int, verdict: str, version: int = 0, **more: Any) -> Wish:
    row = group.rules.get(position=place)
    return Wish(group.pk, row.uid, verdict, group.revision, version, **more)


def decide(group: SecurityGroup, user: User, *wishes: Wish) -> list[operations.Passed]:
    return operations.decide(project=group.project, wishes=wishes, by=By(user))


def proposal_of(project: Project) -> tuple[Review, NewReview, tuple[str, str]]:
    review = Review.objects.select_related("project").get(project=project)
    proposal = propose_review(review)
    return review, proposal, (proposal.decided, proposal.mark)


def sign(project: Project, user: User, about: tuple[Review, NewReview, tuple[str, str]] | None = None) -> SignedReview:
    review, proposal, seen = about or proposal_of(project)
    return operations.sign_review(
        review=review,
        lists={group: new for group, _, new in proposal.changes},
        seen=seen,
        signature=Signature("Alice Smith", "All looked at"),
        by=By(user),
    )


def words(group: SecurityGroup) -> list[tuple[str, bool]]:
    return list(group.rules.in_order().values_list("description", "enabled"))


def test_a_decision_starts_the_review_and_changes_no_rule(group: SecurityGroup, alice: User, erin: User) -> None:
    before = words(group)
    assert decide(group, alice, wish(group, 1, "remove"), wish(group, 2, "keep", remark="Our shop")) == []
    assert decide(group, erin, wish(group, 3, "off")) == []

    review = Review.objects.get(project=group.project)
    assert (review.started_name, words(group)) == ("alice", before)
    assert dict(review.decisions.values_list("verdict", "by_name")) == {
        "remove": "alice",
        "keep": "alice",
        "off": "erin",
    }
    assert progress(review, 5).counts == [("Keep", 1), ("Switch off", 1), ("Remove", 1)]
    assert [e.verb for e in Event.objects.filter(verb__startswith="review")] == ["review.started"]


def test_a_decision_is_changed_and_taken_back_by_who_saw_it(group: SecurityGroup, alice: User, erin: User) -> None:
    decide(group, alice, wish(group, 1, "keep"))
    assert decide(group, erin, wish(group, 1, "remove", version=1)) == []
    assert DecidedRule.objects.get().by_name == "erin"

    [passed] = decide(group, alice, wish(group, 1, "off", version=1))

    assert passed.decided is not None
    assert (passed.decided.verdict, DecidedRule.objects.get().verdict) == ("remove", "remove")
    assert decide(group, alice, wish(group, 1, "", version=2)) == []
    assert not DecidedRule.objects.exists()


def test_a_rule_that_was_changed_since_it_was_looked_at_is_not_decided_about(group: SecurityGroup, alice: User) -> None:
    mine = wish(group, 2, "keep"), wish(group, 1, "keep")
    [_, *rest] = (row.as_value() for row in group.rules.in_order())
    changed = rule("drop in ip from 192.0.2.66", "Another word")
    first = group.rules.get(position=1)
    operations.commit_rules(group=group, rules=[replace(changed, uid=first.uid), *rest], base=1, by=By(alice))

    [passed] = decide(group, alice, *mine)

    assert (passed.wish.uid, passed.decided) == (first.uid, None)
    assert DecidedRule.objects.get().uid == mine[0].uid


def test_a_decision_is_void_once_its_rule_was_changed_but_not_when_it_was_moved(
    group: SecurityGroup, alice: User
) -> None:
    decide(group, alice, wish(group, 1, "remove"), wish(group, 2, "keep"))
    one, two, *rest = (row.as_value() for row in group.rules.in_order())
    operations.commit_rules(group=group, rules=[two, *rest, one], base=1, by=By(alice))
    assert DecidedRule.objects.all().holding(group.project_id).count() == 2

    off = replace(one, enabled=False)
    operations.commit_rules(group=group, rules=[two, *rest, off], base=2, by=By(alice))

    review = Review.objects.get()
    assert (progress(review, 5).done, progress(review, 5).void) == (1, 1)
    assert lists_after(review) == []


def test_signing_makes_one_change_a_group_and_keeps_every_decision(
    group: SecurityGroup, machine: VirtualMachine, alice: User, erin: User
) -> None:
    other = make_group(group.project, "db", [rule("accept in tcp 5432"), rule("accept in tcp 22")])
    narrowed = {"source": "10.0.0.0/8", "port_start": 5432, "port_end": 5432}
    decide(group, erin, wish(group, 1, "remove"), wish(group, 2, "keep", remark="Our shop"), wish(group, 3, "off"))
    decide(other, alice, wish(other, 1, "narrow", narrowed=narrowed))

    signed = sign(group.project, alice)

    assert words(group) == [
        *(("Public HTTPS", True), ("Office SSH", False), ("Not yet", False), ("Everything out", True)),
    ]
    assert str(other.rules.get(position=1).source) == "10.0.0.0/8"
    group.refresh_from_db()
    other.refresh_from_db()
    assert (group.revision, other.revision) == (2, 2)
    reason = f"Review of {signed.at:%-d %B %Y}"
    assert {group.revisions.get(number=2).reason, other.revisions.get(number=2).reason} == {reason}
    assert (signed.number, signed.signature, signed.rules, signed.decided, signed.changed) == (
        *(1, "Alice Smith"),
        *(9, 4, 3),
    )
    assert list(signed.groups.values_list("name", "found", "revision", "rules", "decided")) == [
        ("db", 1, 2, 2, 1),
        ("outbound", 1, 1, 2, 0),
        ("web", 1, 2, 5, 3),
    ]
    told = list(signed.reviewed.values_list("group__name", "place", "verdict", "remark", "by_name", "revision"))
    assert told == [
        ("db", 1, "narrow", "", "alice", 2),
        ("web", 1, "remove", "", "erin", 2),
        ("web", 2, "keep", "Our shop", "erin", 2),
        ("web", 3, "off", "", "erin", 2),
    ]
    assert signed.reviewed.all()[1].rule["source"] == "192.0.2.66/32"
    assert not Review.objects.exists()
    event = Event.objects.get(verb="review.signed")
    assert event.summary == "Signed off review 1: decided about 4 of 9 rules, with changes in 2 groups."


def test_what_was_signed_cannot_be_changed_or_deleted(group: SecurityGroup, alice: User) -> None:
    decide(group, alice, wish(group, 1, "keep"))
    signed = sign(group.project, alice)

    for rows in (SignedReview.objects.all(), signed.groups.all(), ReviewedRule.objects.all()):
        field = "remark" if hasattr(rows[0], "remark") else "name"
        with pytest.raises(ProgrammingError, match="Cannot update or delete"), transaction.atomic():
            rows.update(**{field: "Better"})
        with pytest.raises(ProgrammingError, match="Cannot update or delete"), transaction.atomic():
            rows._raw_delete(rows.db)


def test_nothing_is_signed_that_is_not_what_was_looked_at(
    group: SecurityGroup, machine: VirtualMachine, alice: User, erin: User
) -> None:
    decide(group, alice, wish(group, 1, "remove"))
    looked_at = proposal_of(group.project)
    decide(group, erin, wish(group, 2, "keep"))
    with pytest.raises(Conflict):
        sign(group.project, alice, looked_at)

    looked_at = proposal_of(group.project)
    operations.attach_groups(machine=machine, groups=[group], base=machine.revision, by=By(erin))
    with pytest.raises(Conflict):
        sign(group.project, alice, looked_at)

    assert (SignedReview.objects.count(), Rule.objects.filter(group=group).count()) == (0, 5)
    assert Review.objects.exists()
    sign(group.project, alice)
    with pytest.raises(Conflict):
        sign(group.project, alice, looked_at)


def test_a_review_can_be_dropped_with_its_decisions(group: SecurityGroup, alice: User) -> None:
    decide(group, alice, wish(group, 1, "remove"), wish(group, 2, "keep"))

    operations.drop_review(project=group.project, by=By(alice))

    assert not Review.objects.exists()
    assert group.rules.count() == 5
    assert Event.objects.get(verb="review.dropped").summary == "Dropped the review with its 2 decisions."
    with pytest.raises(Conflict):
        operations.drop_review(project=group.project, by=By(alice))


def test_only_so_many_decisions_and_signed_reviews(group: SecurityGroup, alice: User, settings: Any) -> None:
    settings.MAX_DECISIONS_PER_REVIEW, settings.MAX_REVIEWS_PER_PROJECT = 2, 1
    with pytest.raises(ValidationError, match="at most 2 decisions: sign it off"):
        decide(group, alice, *(wish(group, place, "keep") for place in (1, 2, 3)))
    assert not Review.objects.exists()
    decide(group, alice, wish(group, 1, "keep"), wish(group, 2, "keep"))
    decide(group, alice, wish(group, 2, "off", version=1))
    sign(group.project, alice)

    decide(group, alice, Wish(group.pk, group.rules.get(position=1).uid, "keep", 2, 0))
    with pytest.raises(ValidationError, match="has its 1 signed review already: ask whoever"):
        sign(group.project, alice)


def test_only_an_owner_says_how_often_a_review_is_due(project: Project, alice: User, erin: User) -> None:
    operations.set_review_interval(project=project, months=6, by=By(alice))
    project.refresh_from_db()
    assert project.review_months == 6
    assert Event.objects.first().summary == "A review is due every 6 months."  # type: ignore[union-attr]
    with pytest.raises(PermissionDenied):
        operations.set_review_interval(project=project, months=None, by=By(erin))
    with pytest.raises(ValidationError, match="Choose one of"):
        operations.set_review_interval(project=project, months=5, by=By(alice))


def test_rules_of_another_project_are_not_decided_about(group: SecurityGroup, bakery: Project, alice: User) -> None:
    oven = make_group(bakery, "oven", [rule("accept in all")])

    [passed] = decide(group, alice, wish(oven, 1, "remove"))

    assert passed.wish.group == oven.pk
    assert not DecidedRule.objects.exists()
