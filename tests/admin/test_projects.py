"""Projects and their members, changed in one form and on record."""

from typing import Any

from django.test import Client

from securitygroups.models import Project, User
from tests.admin.pages import changes, newest, refused, url


def member_forms(project: Project) -> dict[str, Any]:
    members = list(project.memberships.order_by("pk"))
    data: dict[str, Any] = {"name": project.name}
    data |= {"memberships-TOTAL_FORMS": len(members), "memberships-INITIAL_FORMS": len(members)}
    for number, member in enumerate(members):
        data |= {
            f"memberships-{number}-id": member.pk,
            f"memberships-{number}-project": project.pk,
            f"memberships-{number}-user": member.user_id,
            f"memberships-{number}-role": member.role,
        }
    return data


def test_members_are_added_changed_and_removed_on_record(
    as_admin: Client, project: Project, bob: User, erin: User, charlie: User
) -> None:
    places = {member.user.username: n for n, member in enumerate(project.memberships.order_by("pk"))}
    data = member_forms(project)
    data[f"memberships-{places['bob']}-role"] = "editor"
    data[f"memberships-{places['erin']}-DELETE"] = "on"
    data |= {"memberships-TOTAL_FORMS": 4, "memberships-3-user": charlie.pk, "memberships-3-role": "viewer"}

    assert as_admin.post(url(Project, "change", project.pk), data).status_code == 302

    assert {m.user.username: m.role for m in project.memberships.all()} == {
        "alice": "owner", "bob": "editor", "charlie": "viewer",
    }  # fmt: skip
    last = list(project.events.order_by("-pk")[:3])
    assert {(e.verb, e.by_staff) for e in last} == {
        ("member.added", True), ("member.changed", True), ("member.removed", True),
    }  # fmt: skip


def test_the_last_owner_stays_and_nothing_else_of_that_form_is_saved(
    as_admin: Client, project: Project, bob: User
) -> None:
    data = member_forms(project) | {"name": "Renamed", "memberships-0-DELETE": "on"}
    before = changes().count()

    response = as_admin.post(url(Project, "change", project.pk), data, follow=True)

    assert "last owner" in refused(response)
    project.refresh_from_db()
    assert (project.name, project.memberships.count(), changes().count()) == ("Shop", 2, before)


def test_ownership_is_handed_over_in_one_form(as_admin: Client, project: Project, bob: User) -> None:
    data = member_forms(project) | {"memberships-0-role": "viewer", "memberships-1-role": "owner"}

    assert as_admin.post(url(Project, "change", project.pk), data).status_code == 302
    assert {m.user.username: m.role for m in project.memberships.all()} == {"alice": "viewer", "bob": "owner"}


def test_a_membership_is_not_passed_on_to_another_person(
    as_admin: Client, project: Project, bob: User, charlie: User
) -> None:
    data = member_forms(project) | {"memberships-1-user": charlie.pk}

    response = as_admin.post(url(Project, "change", project.pk), data, follow=True)

    assert "add the other person" in refused(response)
    assert {m.user for m in project.memberships.all()} == {project.memberships.get(role="owner").user, bob}


def test_a_project_is_created_with_its_first_owner(as_admin: Client, charlie: User) -> None:
    data = {
        "name": "New", "slug": "new", "max_rules": "7",
        "memberships-TOTAL_FORMS": 1, "memberships-INITIAL_FORMS": 0,
        "memberships-0-user": charlie.pk, "memberships-0-role": "owner",
    }  # fmt: skip
    assert as_admin.post(url(Project, "add"), data).status_code == 302

    project = Project.objects.get(slug="new")
    assert (project.rule_quota, project.memberships.get().user) == (7, charlie)
    assert {e.by_staff for e in project.events.all()} == {True}
    assert as_admin.post(url(Project, "delete", project.pk), {"post": "yes"}).status_code == 403


def test_that_members_need_a_second_factor_is_set_on_record(as_admin: Client, project: Project) -> None:
    for ticked, words in (({"second_factor": "on"}, "need a second factor."), ({}, "need no second factor any more.")):
        assert as_admin.post(url(Project, "change", project.pk), member_forms(project) | ticked).status_code == 302
        project.refresh_from_db()
        assert project.second_factor == bool(ticked)
        assert (newest().summary, newest().by_staff) == (f"Members {words}", True)
    new = {
        "name": "New",
        "slug": "new",
        "second_factor": "on",
        "memberships-TOTAL_FORMS": 0,
        "memberships-INITIAL_FORMS": 0,
    }
    assert as_admin.post(url(Project, "add"), new).status_code == 302
    assert Project.objects.get(slug="new").second_factor
