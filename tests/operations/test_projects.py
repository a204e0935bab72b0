"""Projects and their members come, change and go, on record; a refusal writes nothing."""

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError

from securitygroups import operations
from securitygroups.models import Membership, Project, User
from securitygroups.operations import By, Conflict
from tests.operations.state import newest, nothing_written


def test_a_project_is_created_with_owner_quotas_and_event(alice: User) -> None:
    project = operations.create_project(
        name="Shop", slug="shop", by=By(None, staff=True), owner=alice, quotas={"max_rules": 5}
    )

    assert [(m.user, m.role) for m in project.memberships.all()] == [(alice, "owner")]
    assert project.rule_quota == 5
    events = project.events.order_by("pk")
    assert [(event.verb, event.summary, event.actor_name, event.by_staff) for event in events] == [
        ("project.created", "Created the project Shop.", "karenpanel", True),
        ("member.added", "Added alice as owner.", "karenpanel", True),
    ]


@pytest.mark.parametrize(
    ("name", "slug", "field"),
    [("", "x", "name"), ("a\nb", "x", "name"), ("x", "", "slug"), ("x", "a b", "slug"), ("x", "shop", "slug")],
)
def test_a_project_needs_a_name_and_a_free_slug(project: Project, name: str, slug: str, field: str) -> None:
    with nothing_written(), pytest.raises(ValidationError) as refusal:
        operations.create_project(name=name, slug=slug, by=By())
    assert list(refusal.value.message_dict) == [field]


def test_name_and_quotas_of_a_project_are_changed_and_recorded(project: Project, admin: User) -> None:
    project.name, project.max_groups = "Shop 2", 0
    operations.update_project(project=project, by=By(admin, staff=True))

    project.refresh_from_db()
    assert (project.name, project.max_groups, project.slug) == ("Shop 2", 0, "shop")
    assert (newest().verb, newest().by_staff) == ("project.changed", True)
    assert newest().summary == "Changed name: Shop 2, max groups: 0."
    with nothing_written():
        operations.update_project(project=project, by=By(admin))


def test_members_come_change_and_go_on_record(project: Project, alice: User, charlie: User) -> None:
    member = operations.add_member(project=project, user=charlie, role="viewer", by=By(alice))
    operations.change_role(member=member, role="owner", by=By(alice))
    operations.remove_member(member=project.memberships.get(user=alice), by=By(charlie))
    operations.add_member(project=project, user=alice, role="owner", by=By(charlie))
    operations.remove_member(member=member, by=By(charlie))

    assert [(e.verb, e.summary) for e in project.events.order_by("pk")][2:] == [
        ("member.added", "Added charlie as viewer."),
        ("member.changed", "Made charlie owner."),
        ("member.removed", "Removed alice."),
        ("member.added", "Added alice as owner."),
        ("member.removed", "charlie left."),
    ]
    assert [(m.user, m.role) for m in project.memberships.all()] == [(alice, "owner")]


def test_the_last_owner_stays(project: Project, alice: User, bob: User) -> None:
    owner = project.memberships.get(user=alice)

    leaving: list[Callable[[], object]] = [
        lambda: operations.remove_member(member=owner, by=By(alice)),
        lambda: operations.change_role(member=owner, role="viewer", by=By(alice)),
    ]
    for leave in leaving:
        with nothing_written(), pytest.raises(ValidationError, match="last owner"):
            leave()


def test_an_owner_who_cannot_sign_in_does_not_count(project: Project, alice: User, bob: User) -> None:
    operations.change_role(member=project.memberships.get(user=bob), role="owner", by=By(alice))
    User.objects.filter(pk=bob.pk).update(is_active=False)

    with nothing_written(), pytest.raises(ValidationError, match="last owner"):
        operations.remove_member(member=project.memberships.get(user=alice), by=By(alice))


def test_a_member_is_added_once_and_with_a_role_that_exists(
    project: Project, alice: User, bob: User, charlie: User
) -> None:
    with nothing_written(), pytest.raises(ValidationError, match="member already"):
        operations.add_member(project=project, user=bob, role="owner", by=By(alice))
    with nothing_written(), pytest.raises(ValidationError) as refusal:
        operations.add_member(project=project, user=charlie, role="king", by=By(alice))
    assert list(refusal.value.message_dict) == ["role"]
    with nothing_written(), pytest.raises(ValidationError):
        operations.change_role(member=project.memberships.get(user=bob), role="king", by=By(alice))


def test_a_role_that_is_the_same_is_not_a_change(project: Project, bob: User, alice: User) -> None:
    with nothing_written():
        operations.change_role(member=project.memberships.get(user=bob), role="viewer", by=By(alice))


def test_a_member_who_is_gone_is_a_conflict(project: Project, bob: User, alice: User) -> None:
    member = project.memberships.get(user=bob)
    Membership.objects.filter(pk=member.pk).delete()

    with nothing_written(), pytest.raises(Conflict):
        operations.change_role(member=member, role="owner", by=By(alice))
    with nothing_written(), pytest.raises(Conflict):
        operations.remove_member(member=member, by=By(alice))
