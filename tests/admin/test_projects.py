"""Projects and their members, changed one by one and on record."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from securitygroups import operations
from securitygroups.models import Membership, Project, Role, User
from securitygroups.operations import By
from tests.admin.pages import changes, fresh, newest, refused, said, sent, url
from tests.factories import make_user


def member(project: Project, user: User) -> Membership:
    return project.memberships.get(user=user)


def roles(project: Project) -> dict[str, str]:
    return {each.user.username: each.role for each in project.memberships.select_related("user")}


def test_members_are_added_changed_and_removed_on_record(
    as_admin: Client, project: Project, bob: User, erin: User, charlie: User
) -> None:
    there = url(Project, "change", project.pk)
    new = {"project": "shop", "person": "Charlie@Example.com", "role": "viewer"}

    for answer in (
        as_admin.post(url(Membership, "add"), new),
        as_admin.post(url(Membership, "change", member(project, bob).pk), {"role": "editor"}),
    ):
        assert (answer.status_code, answer["Location"]) == (302, there)
    as_admin.post(url(Membership, "delete", member(project, erin).pk), {"post": "yes"})

    assert roles(project) == {"alice": "owner", "bob": "editor", "charlie": "viewer"}
    last = list(changes().filter(project=project).order_by("-pk")[:3])
    assert {(e.verb, e.by_staff) for e in last} == {
        ("member.added", True), ("member.changed", True), ("member.removed", True),
    }  # fmt: skip


def test_the_last_owner_stays(as_admin: Client, project: Project, alice: User, bob: User) -> None:
    mine, before = member(project, alice), changes().count()

    made = as_admin.post(url(Membership, "change", mine.pk), {"role": "viewer"})
    gone = as_admin.post(url(Membership, "delete", mine.pk), {"post": "yes"}, follow=True)
    all_of_them = {"action": "delete_selected", "_selected_action": [mine.pk, member(project, bob).pk], "post": "yes"}
    chosen = as_admin.post(url(Membership), all_of_them, follow=True)

    assert "last owner" in refused(made)
    assert "last owner" in said(gone)[0]
    assert "last owner" in said(chosen)[0]
    assert (roles(project), changes().count()) == ({"alice": "owner", "bob": "viewer"}, before)


def test_a_membership_is_not_passed_on_to_another_person_or_project(
    as_admin: Client, project: Project, bob: User, charlie: User, bakery: Project
) -> None:
    mine = member(project, bob)

    as_admin.post(url(Membership, "change", mine.pk), {"role": "editor", "user": charlie.pk, "project": bakery.pk})

    mine.refresh_from_db()
    assert (mine.user, mine.project, mine.role) == (bob, project, "editor")


def test_who_is_a_member_is_not_added_again(as_admin: Client, project: Project, bob: User) -> None:
    answer = as_admin.post(url(Membership, "add"), {"project": "shop", "person": "bob", "role": "owner"})

    assert "This person is a member already." in refused(answer)
    assert roles(project)["bob"] == "viewer"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"person": "nobody@example.com"}, "Nobody has this name or address"),
        ({"person": "mixed"}, "type the other of the two"),
        ({"project": "nowhere"}, "There is no project of this slug"),
        ({"role": "king"}, "king is not one of the available choices"),
    ],
)
def test_who_or_what_is_not_there_is_told_at_its_field(
    as_admin: Client, project: Project, typed: dict[str, str], words: str
) -> None:
    make_user("mixed")
    User.objects.filter(pk=make_user("other").pk).update(email="mixed")

    answer = as_admin.post(url(Membership, "add"), {"project": "shop", "person": "mixed", "role": "viewer"} | typed)

    assert words in refused(answer)
    assert set(roles(project)) == {"alice"}


def test_the_link_to_add_a_member_brings_the_project_along(as_admin: Client, project: Project) -> None:
    for key, slug in ((str(project.pk), "shop"), ("x", "x"), ("9" * 30, "9" * 30), ("0", None)):
        form = as_admin.get(url(Membership, "add"), {"project": key}).context["adminform"].form
        assert form["project"].value() == slug


@pytest.mark.parametrize("right", ["add_membership", "change_membership", "delete_membership"])
def test_members_take_the_right_to_change_the_project_too(project: Project, bob: User, right: str) -> None:
    browser = fresh(make_user("lone", right, "view_membership", is_staff=True))
    mine = member(project, bob)

    browser.post(url(Membership, "add"), {"project": "shop", "person": "bob", "role": "owner"})
    browser.post(url(Membership, "change", mine.pk), {"role": "owner"})
    browser.post(url(Membership, "delete", mine.pk), {"post": "yes"})

    assert roles(project) == {"alice": "owner", "bob": "viewer"}


def test_the_page_of_a_project_shows_the_first_members_and_leads_to_all(as_admin: Client, project: Project) -> None:
    def costs() -> int:
        with CaptureQueriesContext(connection) as queries:
            page = as_admin.get(url(Project, "change", project.pk)).content.decode()
        assert page.count('aria-label="Change person') == min(20, project.memberships.count() - 1)
        return len(queries)

    def more(number: int) -> None:
        for _ in range(number):
            person = make_user(f"person{User.objects.count()}")
            operations.add_member(project=project, user=person, role=Role.VIEWER, by=By())

    more(2)
    costs()
    few = costs()
    more(30)
    page = as_admin.get(url(Project, "change", project.pk)).content.decode()

    assert "All 33 members" in page
    assert as_admin.get(url(Membership), {"project__id__exact": project.pk}).context["cl"].result_count == 33
    with CaptureQueriesContext(connection) as queries:
        as_admin.get(url(Project, "change", project.pk))
    assert len(queries) == few


def test_that_members_need_a_second_factor_is_set_on_record(as_admin: Client, project: Project) -> None:
    address = url(Project, "change", project.pk)
    for ticked, words in (({"second_factor": "on"}, "need a second factor."), ({}, "need no second factor any more.")):
        form = {name: value for name, value in sent(as_admin, address).items() if name != "second_factor"}
        assert as_admin.post(address, form | ticked).status_code == 302
        project.refresh_from_db()
        assert project.second_factor == bool(ticked)
        assert (newest().summary, newest().by_staff) == (f"Members {words}", True)
