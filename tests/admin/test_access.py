"""Who gets into the admin, and how."""

from collections.abc import Callable

import pytest
from django.db.models import Model
from django.test import Client

from securitygroups.models import Project, Rule, SecurityGroup, User
from tests.admin.pages import MODELS, url
from tests.factories import PASSWORD, make_user


def test_the_way_into_the_admin_is_the_panels_own_sign_in_page(client: Client, admin: User) -> None:
    response = client.get("/admin/", follow=True)
    assert response.redirect_chain[-1][0].startswith("/sign-in/?next=%2Fadmin%2F")
    assert "account/login.html" in [template.name for template in response.templates]

    response = client.post("/sign-in/?next=/admin/", {"login": "admin", "password": PASSWORD, "next": "/admin/"})
    assert (response.status_code, response["Location"]) == (302, "/admin/")
    assert client.get("/admin/").status_code == 200


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


def test_staff_who_may_only_look_can_look_at_everything(
    everything: dict[type[Model], Model], sign_in: Callable[[User], Client]
) -> None:
    looker = make_user("looker", *(f"view_{model._meta.model_name}" for model in MODELS), is_staff=True)
    browser = sign_in(looker)

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
