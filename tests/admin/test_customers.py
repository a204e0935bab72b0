"""A new customer: one page, one transaction, and whoever owns the project first is in it or asked into it."""

from typing import Any

import pytest
from django.core import mail
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from securitygroups.models import Event, Invitation, Project, Role, User
from tests.admin.pages import fresh, refused, said, url
from tests.factories import make_user

Commit = Any
NEW = {"name": "Büro Nord", "slug": "", "email": "new@example.com"}


@pytest.fixture
def commit(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Commit:
    return lambda: django_capture_on_commit_callbacks(execute=True)


def made(browser: Client, commit: Commit, **typed: Any) -> Any:
    with commit():
        return browser.post(url(Project, "add"), NEW | typed, follow=True)


def test_the_start_page_leads_there_with_its_first_button(as_admin: Client, as_staff: Client) -> None:
    link = f'href="{url(Project, "add")}"'
    page = as_admin.get("/admin/").content.decode()
    assert "New customer" in page
    assert page.index(link) < page.index(f'href="{url(Project)}">Projects</a>', page.index("<main"))
    assert "New customer" not in as_staff.get("/admin/").content.decode()


def test_an_unknown_address_is_invited_to_own_the_project(as_admin: Client, admin: User, commit: Commit) -> None:
    page = made(as_admin, commit, max_rules="7", second_factor="on")

    project = Project.objects.get(slug="buro-nord")
    assert (project.name, project.rule_quota, project.second_factor) == ("Büro Nord", 7, True)
    assert (project.group_quota, project.max_groups) == (1000, None)
    invitation = project.invitations.get()
    assert (invitation.email, invitation.role, invitation.by) == ("new@example.com", Role.OWNER, admin)
    assert page.redirect_chain[-1][0] == url(Project, "change", project.pk)
    assert "An invitation to own the project was sent to new@example.com." in said(page)
    assert "waits until" in page.content.decode()
    assert 'href="/p/buro-nord/"' in page.content.decode()
    [message] = mail.outbox
    assert (message.to, "/invitation/" in str(message.body)) == (["new@example.com"], True)
    on_record = Event.objects.filter(project=project).exclude(verb=Event.Verb.SUPPORT_LOOK)
    assert {event.by_staff for event in on_record} == {True}
    assert {"project.created", "member.invited"} <= {event.verb for event in on_record}


def test_the_link_of_that_invitation_leads_into_the_project(as_admin: Client, commit: Commit) -> None:
    made(as_admin, commit)
    link = next(word for word in str(mail.outbox[0].body).split() if "/invitation/" in word)

    page = Client().get("/invitation/" + link.partition("/invitation/")[2]).content.decode()

    assert "Büro Nord" in page


def test_somebody_who_has_an_account_owns_the_project_at_once(as_admin: Client, charlie: User, commit: Commit) -> None:
    made(as_admin, commit, email="Charlie@Example.com")

    project = Project.objects.get(slug="buro-nord")
    assert [(each.user, each.role) for each in project.memberships.all()] == [(charlie, "owner")]
    assert not Invitation.objects.exists()


def test_a_slug_that_is_taken_is_counted_on_and_one_that_was_typed_is_refused(
    as_admin: Client, project: Project, commit: Commit
) -> None:
    made(as_admin, commit, name="Shop")
    assert Project.objects.filter(slug="shop-2", name="Shop").exists()

    assert "already exists" in refused(made(as_admin, commit, name="Shop", slug="shop"))
    assert "Type a slug" in refused(made(as_admin, commit, name="商店"))
    assert Project.objects.filter(name="商店").count() == 0


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"email": ""}, "Type the e-mail address of the person who will manage the project."),
        ({"email": "nobody"}, "Enter a valid email address."),
        ({"email": "off@example.com"}, "is switched off"),
        ({"email": "ä@example.com"}, "e-mail"),
        ({"name": ""}, "required"),
        ({"max_rules": "-1"}, "greater than or equal to 0"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(
    as_admin: Client, commit: Commit, typed: dict[str, str], words: str
) -> None:
    make_user("off", is_active=False)

    page = made(as_admin, commit, **typed)

    assert words in refused(page) or "mail" in refused(page).lower()
    assert (Project.objects.count(), Invitation.objects.count(), Event.objects.count(), mail.outbox) == (0, 0, 0, [])
    assert page.context["adminform"].form["name"].value() == typed.get("name", NEW["name"])


def test_a_missing_name_is_one_fault_and_a_slug_is_in_small_letters(as_admin: Client, commit: Commit) -> None:
    assert "slug" not in refused(made(as_admin, commit, name=""))

    made(as_admin, commit, slug="Buro")

    assert Project.objects.get().slug == "buro"
    assert "already exists" in refused(made(as_admin, commit, slug="BURO"))


def test_it_takes_the_rights_to_make_projects_and_members(db: None, commit: Commit) -> None:
    for right in ("add_project", "add_membership"):
        browser = fresh(make_user(f"only-{right.replace('_', '-')}", right, is_staff=True))
        with commit():
            assert browser.post(url(Project, "add"), NEW).status_code == 403
    both = fresh(make_user("both", "add_project", "add_membership", is_staff=True))
    with commit():
        assert both.post(url(Project, "add"), NEW).status_code == 302
    assert Project.objects.get().slug == "buro-nord"


def test_an_unattended_browser_is_not_enough(admin: User) -> None:
    browser = fresh(admin, seconds_ago=100_000)

    assert browser.post(url(Project, "add"), NEW)["Location"].startswith("/sign-in/again/")
    assert not Project.objects.exists()
