"""Projects: home, overview, activity, members, help."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from securitygroups import operations
from securitygroups.models import Membership, Project, Role, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.conftest import SignIn
from tests.factories import make_machine, make_project, make_user
from tests.web.pages import Page, messages, part_and_page

MEMBERS = "/p/shop/members/"


def role_of(project: Project, name: str) -> str | None:
    return project.memberships.filter(user__username=name).values_list("role", flat=True).first()


# ── Home and overview ─────────────────────────────────────────────────────────


def test_with_one_project_home_is_that_project(as_alice: Client, project: Project) -> None:
    assert as_alice.get("/")["Location"] == "/p/shop/"


def test_with_several_home_lists_them_with_what_is_in_them(
    as_alice: Client, alice: User, machine: VirtualMachine
) -> None:
    make_project(alice, "Cafe")
    operations.delete_group(group=SecurityGroup.objects.get(name="web"), base=1, by=By(alice))
    text = Page(as_alice.get("/")).text
    assert "Shop 1 1" in text
    assert "Cafe 0 0" in text


def test_many_projects_come_in_pages_and_the_menu_leads_there(as_alice: Client, alice: User, project: Project) -> None:
    Project.objects.bulk_create(Project(name=f"A {n:03}", slug=f"a-{n:03}") for n in range(60))
    Membership.objects.bulk_create(
        Membership(project=each, user=alice, role=Role.OWNER) for each in Project.objects.filter(slug__startswith="a-")
    )
    first, second = (as_alice.get(f"/?page={number}").content.decode() for number in (1, 2))
    assert "1–50 of 61" in " ".join(first.split())
    assert "All projects" in first
    assert '<th scope="row" class="main"><a href="/p/shop/">' not in first
    assert '<th scope="row" class="main"><a href="/p/shop/">' in second


def test_without_a_project_home_says_whom_to_ask(sign_in: SignIn, db: None) -> None:
    text = Page(sign_in(make_user("new")).get("/")).text
    assert "You are in no project yet" in text
    assert "they need your e-mail address, new@example.com ." in text


def test_home_shows_nobody_elses_project(as_charlie: Client, project: Project) -> None:
    assert b"Shop" not in as_charlie.get("/", follow=True).content


def test_the_overview_counts_and_names_what_is_without_effect(as_bob: Client, machine: VirtualMachine) -> None:
    make_machine(machine.project, "closed")
    text = Page(as_bob.get("/p/shop/")).text
    assert "2 Security Groups" in text
    assert "2 Virtual Machines" in text
    assert "1 VMs without a group" in text or "1 VM without a group" in text


# ── Activity ──────────────────────────────────────────────────────────────────


def test_activity_tells_who_did_what_and_can_be_narrowed(as_bob: Client, machine: VirtualMachine) -> None:
    part, page = part_and_page(as_bob, "/p/shop/activity/")
    for shown in (part, page):
        assert re.search(r"Today .*Created web\. alice · \d\d:\d\d · web ", shown.text)
        assert "Added bob as viewer." in shown.text
    assert part.ids[0] == "activity"
    members = Page(as_bob.get("/p/shop/activity/", {"what": "member.added", "who": "ALI"})).text
    assert "Added bob as viewer." in members
    assert "Created web." not in members
    assert "Nothing of this kind." in Page(as_bob.get("/p/shop/activity/", {"who": "<b>nobody</b>"})).text


@pytest.mark.parametrize(
    "query", [{"what": "nonsense"}, {"page": "-1"}, {"page": "9" * 5000}, {"who": "%"}, {"who": "x" * 9999}]
)
def test_odd_filters_of_the_activity_do_no_harm(query: dict[str, str], as_bob: Client, group: SecurityGroup) -> None:
    assert as_bob.get("/p/shop/activity/", query).status_code == 200


def test_a_deleted_group_stays_in_the_record_without_a_link(
    as_alice: Client, alice: User, group: SecurityGroup
) -> None:
    operations.delete_group(group=group, base=1, by=By(alice))
    page = as_alice.get("/p/shop/activity/")
    assert "web (deleted)" in Page(page).text
    assert group.get_absolute_url() not in page.content.decode()


# ── Members ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("role", ["", "admin", "OWNER", "superuser", "<script>"])
def test_a_role_that_is_none_is_not_given(
    role: str, as_alice: Client, project: Project, bob: User, charlie: User
) -> None:
    assert as_alice.post(MEMBERS, {"email": "charlie@example.com", "role": role}).status_code == 422
    pk = project.memberships.get(user=bob).pk
    as_alice.post(f"{MEMBERS}{pk}/role/", {"role": role})
    assert "Choose owner, editor or viewer." in messages(as_alice)
    assert (role_of(project, "bob"), role_of(project, "charlie")) == (Role.VIEWER, None)


def test_changing_a_role(as_alice: Client, project: Project, bob: User) -> None:
    pk = project.memberships.get(user=bob).pk
    form = next(form for form in Page(as_alice.get(MEMBERS)).forms if form.action == f"{MEMBERS}{pk}/role/")
    assert form.fields["role"] == ["viewer"]
    form.send(as_alice, role="owner")
    assert role_of(project, "bob") == Role.OWNER


def test_the_last_owner_stays(as_alice: Client, alice: User, project: Project, bob: User) -> None:
    pk = project.memberships.get(user=alice).pk
    for url, sent in ((f"{MEMBERS}{pk}/role/", {"role": "viewer"}), (f"{MEMBERS}{pk}/remove/", {})):
        as_alice.post(url, sent)
        assert "This is the last owner" in messages(as_alice)
    assert role_of(project, "alice") == Role.OWNER


def test_removing_a_member(as_alice: Client, project: Project, bob: User) -> None:
    pk = project.memberships.get(user=bob).pk
    assert "bob will not see Shop any more" in Page(as_alice.get(f"{MEMBERS}{pk}/remove/")).text
    assert [as_alice.post(f"{MEMBERS}{pk}/remove/").status_code for _ in range(2)] == [302, 404]
    assert role_of(project, "bob") is None


def test_two_owners_at_the_same_member_at_once(as_alice: Client, project: Project, bob: User) -> None:
    """bob is removed after the page has found him and before the operation has locked the project.

    Both happen on one connection here, so that what is taken back takes bob's removal back with it.
    """
    pk = project.memberships.get(user=bob).pk

    def quicker(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "FOR NO KEY UPDATE" in sql:
            Membership.objects.filter(pk=pk).delete()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(quicker):
        assert as_alice.post(f"{MEMBERS}{pk}/role/", {"role": "owner"}).status_code == 302
    assert "bob was removed in the meantime." in messages(as_alice)
    with connection.execute_wrapper(quicker):
        assert as_alice.post(f"{MEMBERS}{pk}/remove/").status_code == 302
    assert "bob was removed." in messages(as_alice)


def test_leaving(as_bob: Client, project: Project, bob: User) -> None:
    pk = project.memberships.get(user=bob).pk
    assert "Leave Shop?" in Page(as_bob.get(f"{MEMBERS}{pk}/remove/")).text
    assert as_bob.post(f"{MEMBERS}{pk}/remove/")["Location"] == "/"
    assert "You left Shop." in messages(as_bob)


def test_a_viewer_sees_the_members_and_cannot_change_them(as_bob: Client, project: Project) -> None:
    page = as_bob.get(MEMBERS)
    assert "alice" in Page(page).text
    assert b"Add a member" not in page.content
    assert f"{MEMBERS}{project.memberships.get(user__username='alice').pk}/" not in page.content.decode()


def test_help_names_every_protocol(as_bob: Client) -> None:
    text = Page(as_bob.get("/help/")).text
    for name in ("TCP", "UDP", "SCTP", "ICMP", "IP", "All"):
        assert name in text
