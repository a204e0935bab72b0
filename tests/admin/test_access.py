"""Who gets into the admin, and how."""

from collections.abc import Callable
from urllib.parse import unquote

import pytest
from django.contrib import admin as site
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.test import Client, RequestFactory

from securitygroups.models import GroupTemplate, Membership, Project, Rule, SecurityGroup, User, VirtualMachine
from tests.admin.pages import MODELS, fresh, url
from tests.factories import PASSWORD, make_user, sign_in_at


def test_the_way_into_the_admin_is_the_panels_own_sign_in_page(client: Client, admin: User) -> None:
    response = client.get("/admin/", follow=True)
    assert unquote(response.redirect_chain[-1][0]) == "/sign-in/?next=/admin/"
    assert "account/login.html" in [template.name for template in response.templates]

    response = client.post("/sign-in/?next=/admin/", {"login": "admin", "password": PASSWORD, "next": "/admin/"})
    assert (response.status_code, response["Location"]) == (302, "/admin/")
    # Without a second factor staff come no further than to where it is set up.
    assert client.get("/admin/")["Location"] == "/account/factors/"


def test_a_wrong_password_opens_nothing(client: Client, admin: User) -> None:
    response = client.post("/sign-in/", {"login": "admin", "password": "wrong"})

    assert response.status_code == 422
    assert client.get("/admin/").status_code == 302


@pytest.mark.parametrize("who", ["as_alice", "as_bob", "as_charlie"])
def test_customers_are_told_that_the_admin_is_not_theirs(
    request: pytest.FixtureRequest, group: SecurityGroup, who: str
) -> None:
    browser: Client = request.getfixturevalue(who)

    for address in ("/admin/", url(Rule), url(SecurityGroup, "change", group.pk)):
        assert browser.get(address, follow=True).status_code == 403
    browser.post(url(SecurityGroup, "delete", group.pk), {"post": "yes"}, follow=True)
    group.refresh_from_db()
    assert group.deleted_at is None


def test_support_staff_see_nothing_in_the_admin_without_its_permissions(as_staff: Client, group: SecurityGroup) -> None:
    assert as_staff.get("/admin/").status_code == 200
    assert as_staff.get(url(Rule)).status_code == 403
    assert as_staff.get(url(SecurityGroup, "change", group.pk)).status_code == 403


def test_staff_who_may_only_look_can_look_at_everything(everything: dict[type[Model], Model]) -> None:
    looker = make_user("looker", *(f"view_{model._meta.model_name}" for model in MODELS), is_staff=True)
    browser = fresh(looker)

    for model in MODELS:
        address = url(model, "change", everything[model].pk)
        assert browser.get(url(model)).status_code == 200
        assert browser.get(address).status_code == 200
        assert browser.post(address, {"name": "x"}).status_code == 403
        assert browser.post(url(model, "delete", everything[model].pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("method", ["TRACE", "PUT", "DELETE", "OPTIONS", "NONSENSE"])
def test_the_admin_answers_no_method_that_its_pages_are_not_made_for(
    method: str, as_admin: Client, project: Project
) -> None:
    for path in ("", "securitygroups/project/", f"securitygroups/project/{project.pk}/change/", "nowhere/"):
        response = as_admin.generic(method, f"/admin/{path}")
        assert (response.status_code, response["Allow"]) == (405, "GET, HEAD, POST")


# ── Doors of Django's own ─────────────────────────────────────────────────────


def test_the_way_to_any_object_leads_nowhere_for_anybody(
    as_admin: Client, as_staff: Client, group: SecurityGroup
) -> None:
    kind = ContentType.objects.get_for_model(SecurityGroup).pk
    for browser in (as_admin, as_staff):
        for address in (f"{kind}/{group.pk}", f"{kind}/{2**40}", f"{2**40}/1", "x/y"):
            assert browser.get(f"/admin/r/{address}/").status_code == 404
    assert "/admin/r/" not in as_admin.get(url(SecurityGroup, "change", group.pk)).content.decode()


def test_the_admin_takes_no_names_and_passwords(as_staff: Client, as_alice: Client, client: Client) -> None:
    """Django's own sign-in page asks nobody how often they have tried."""
    tried = {"username": "alice", "password": PASSWORD, "next": "/admin/"}

    for browser, status, to in ((as_staff, 302, "/admin/"), (as_alice, 403, ""), (client, 302, "/sign-in/")):
        for response in (browser.post("/admin/login/", tried), browser.get("/admin/login/")):
            assert (response.status_code, response.get("Location", "").partition("?")[0]) == (status, to)
    assert as_staff.get("/admin/").context["user"].username == "staff"
    assert client.get("/help/").status_code == 302


def test_the_password_is_changed_on_the_panels_page_alone(as_staff: Client, staff: User) -> None:
    typed = {
        "old_password": PASSWORD,
        "new_password1": "another horse entirely",
        "new_password2": "another horse entirely",
    }

    for address in ("/admin/password_change/", "/admin/password_change/done/"):
        for response in (as_staff.post(address, typed), as_staff.get(address)):
            assert (response.status_code, response["Location"]) == (302, "/password/")
    staff.refresh_from_db()
    assert staff.check_password(PASSWORD)


def test_signing_out_in_the_admin_is_signing_out_of_the_panel(staff: User) -> None:
    browser = Client()
    sign_in_at(browser, staff)

    response = browser.post("/admin/logout/")
    assert (response.status_code, response["Location"]) == (307, "/sign-out/")
    browser.post("/admin/logout/", follow=True)

    assert browser.get("/help/").status_code == 302


def test_what_is_chosen_by_typing_takes_the_permission_to_look_at_it(
    sign_in: Callable[[User], Client], group: SecurityGroup, alice: User
) -> None:
    """Each of them is asked from a page that the person may change."""
    asked = {"project": "rule", "group": "rule", "user": "membership"}
    browser = sign_in(
        make_user("changer", "change_rule", "add_rule", "change_project", "add_membership", is_staff=True)
    )
    of = {"app_label": "securitygroups", "term": ""}

    for field, model in asked.items():
        response = browser.get("/admin/autocomplete/", of | {"model_name": model, "field_name": field})
        assert response.status_code == 403, field
        assert "alice" not in response.content.decode()
        assert "web" not in response.content.decode()
    other = {"app_label": "account", "model_name": "emailaddress", "field_name": "user"}
    assert browser.get("/admin/autocomplete/", other | {"term": ""}).status_code == 403
    looker = sign_in(make_user("looker", "view_securitygroup", is_staff=True))
    found = looker.get("/admin/autocomplete/", of | {"model_name": "rule", "field_name": "group"}).json()["results"]
    assert found == [{"id": str(group.pk), "text": f"web – {group.public_id} – Shop"}]
    assert (
        looker.get("/admin/autocomplete/", of | {"model_name": "membership", "field_name": "user"}).status_code == 403
    )


def test_what_a_filter_asks_of_other_rows_is_refused(as_admin: Client, project: Project) -> None:
    """Letter by letter it would read what no page shows."""
    for model, lookup in (
        (Membership, "user__password__startswith"), (Project, "memberships__user__password__regex"),
        (User, "password__startswith"), (User, "groups__user__password__startswith"),
        (User, "authenticator__data__contains"), (User, "usersession__session_key__startswith"),
    ):  # fmt: skip
        assert as_admin.get(url(model), {lookup: "m"}).status_code == 400, lookup


def test_nothing_but_what_operations_delete_can_be_deleted(as_admin: Client, admin: User) -> None:
    """A person takes the lines of the admin's own history along, so that nobody is deleted."""
    request = RequestFactory().get("/")
    request.user = admin

    can = {model for model, each in site.site._registry.items() if each.has_delete_permission(request)}

    assert can == {Group, GroupTemplate, Membership, Rule, SecurityGroup, VirtualMachine}
