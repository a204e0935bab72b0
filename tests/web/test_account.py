"""Sign in, sign out, change the password. What attackers try there is in tests/test_security.py."""

import pytest
from django.test import Client

from securitygroups.models import Project, User
from tests.factories import NEW_PASSWORD, PASSWORD
from tests.web.pages import HTMX, Page


@pytest.mark.parametrize("login", ["alice", "ALICE", "alice@example.com", "Alice@Example.com", " alice "])
def test_signing_in_with_the_name_or_the_address(login: str, alice: User, client: Client) -> None:
    form = Page(client.get("/sign-in/")).form_with("password")
    assert form.send(client, login=login, password=PASSWORD)["Location"] == "/"


def test_a_wrong_password_is_told_and_the_name_stays(alice: User, client: Client) -> None:
    response = client.post("/sign-in/", {"login": "alice", "password": "wrong"})
    page = Page(response)
    assert response.status_code == 422
    assert page.title.startswith("Error:")
    assert "There is a problem" in page.text
    form = page.form_with("password")
    assert (form.fields["login"], form.fields["password"]) == (["alice"], [""])


def test_missing_fields_are_named(db: None, client: Client) -> None:
    page = Page(client.post("/sign-in/", {}))
    assert set(page.errors) == {"login", "password"}


def test_the_page_says_where_accounts_come_from(client: Client) -> None:
    assert "An owner of your project or your platform's support can invite you" in Page(client.get("/sign-in/")).text


def test_signing_in_by_htmx_moves_the_whole_page(alice: User, client: Client) -> None:
    response = client.post("/sign-in/", {"login": "alice", "password": PASSWORD}, headers=HTMX)
    assert (response.status_code, response["HX-Redirect"]) == (204, "/")
    assert client.get("/").status_code == 200


def test_signing_out(as_alice: Client, project: Project) -> None:
    page = Page(as_alice.get("/sign-out/"))
    assert "Sign out?" in page.text
    forms = [form for form in page.forms if form.method == "post"]
    browser = Client()
    browser.cookies = as_alice.cookies
    assert forms[-1].send(browser)["Location"] == "/sign-in/"
    assert browser.get("/p/shop/").status_code == 302


def test_changing_the_password(as_alice: Client, alice: User) -> None:
    form = Page(as_alice.get("/password/")).form_with("oldpassword")
    assert form.send(as_alice, oldpassword=PASSWORD, password1=NEW_PASSWORD, password2=NEW_PASSWORD).status_code == 302
    alice.refresh_from_db()
    assert alice.check_password(NEW_PASSWORD)


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"oldpassword": "wrong"}, "oldpassword"),
        ({"password2": "another staple 9"}, "password2"),
        ({"password1": "12345678", "password2": "12345678"}, "password1"),
        ({"password1": "short", "password2": "short"}, "password1"),
        ({"password1": "alice@example.com", "password2": "alice@example.com"}, "password1"),
    ],
)
def test_a_bad_new_password_is_told_at_its_field(
    sent: dict[str, str], field: str, as_alice: Client, alice: User
) -> None:
    good = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    response = as_alice.post("/password/", good | sent)
    assert response.status_code == 422
    assert field in Page(response).errors
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


def test_the_password_is_asked_again_where_it_has_to_be(as_alice: Client) -> None:
    form = Page(as_alice.get("/sign-in/again/")).form_with("password")
    assert form.send(as_alice, password="wrong").status_code == 422
    assert form.send(as_alice, password=PASSWORD).status_code == 302
