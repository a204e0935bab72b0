"""Pages of what went wrong, for people with and without an account, and in parts of pages."""

import socket
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from karenpanel import ready
from securitygroups.firewall.formats.documents import MAX_DOCUMENT_BYTES
from securitygroups.models import Project, SecurityGroup
from tests.web.pages import HTMX, Page


def test_what_is_not_there_says_what_may_be_the_reason(as_alice: Client, client: Client) -> None:
    for browser in (as_alice, client):
        response = browser.get("/nowhere/")
        assert response.status_code == 404
        page = Page(response)
        assert page.title == "There is nothing here – karenpanel"
        assert "mistyped" in page.text
        assert "Go to your projects" in page.text


def test_a_viewer_is_told_what_to_do_next(as_bob: Client, group: SecurityGroup) -> None:
    response = as_bob.get(f"{group.get_absolute_url()}rules/new/")
    assert response.status_code == 403
    assert "Ask an owner for the editor role." in Page(response).text


def test_a_request_that_cannot_be_understood_is_a_400_in_words(as_alice: Client) -> None:
    response = as_alice.get("/help/?q=%00")
    assert response.status_code == 400
    assert "Nothing was changed" in Page(response).text


def test_too_many_fields_are_refused_and_nothing_is_kept(as_alice: Client, project: Project) -> None:
    response = as_alice.post("/p/shop/groups/new/", {"name": "web", "x": ["1"] * 6_000})
    assert response.status_code == 400
    assert not project.groups.exists()


def test_an_error_for_htmx_is_no_part_that_could_be_swapped(as_alice: Client, project: Project) -> None:
    response = as_alice.get("/p/shop/groups/sg-none/", headers=HTMX)
    assert response.status_code == 404
    config = as_alice.get("/p/shop/").content.decode()
    assert '{"code": "[45]..", "swap": false, "error": true}' in config


def test_an_address_without_its_slash_leads_to_the_page(as_alice: Client, project: Project) -> None:
    response = as_alice.get("/p/shop/groups?q=a")
    assert (response.status_code, response["Location"]) == (301, "/p/shop/groups/?q=a")


def test_the_health_page_needs_nobody_and_says_nothing(client: Client) -> None:
    # By the machine's address, as load balancers ask.
    for response in (
        client.get("/healthz"),
        client.head("/healthz"),
        client.get("/healthz", HTTP_HOST="10.0.0.7:8000"),
    ):
        assert response.status_code == 200
    assert response.content == b"ok\n"
    assert client.post("/healthz").status_code == 404


def test_the_page_of_readiness_says_whether_the_database_is_reached(
    client: Client, db: None, settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ready, "reached", ready.Asker().reached)
    here = client.get("/readyz", HTTP_HOST="10.0.0.7:8000")

    monkeypatch.setitem(settings.DATABASES, "default", settings.DATABASES["default"] | {"HOST": "/nowhere"})
    monkeypatch.setattr(ready, "reached", ready.Asker().reached)
    gone = client.get("/readyz")

    assert (here.status_code, here.content) == (200, b"ready\n")
    assert (gone.status_code, gone.content) == (503, b"This process does not reach its database.\n")
    assert gone["Retry-After"] == "5"
    assert caplog.records == [], "who asks every few seconds knows it already"
    assert client.post("/readyz").status_code == 404


def test_a_database_that_does_not_answer_is_not_waited_for(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready, "reached", ready.Asker().reached)
    monkeypatch.setattr(ready, "WAIT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        there = {"HOST": "127.0.0.1", "PORT": deaf.getsockname()[1], "OPTIONS": {}}
        monkeypatch.setitem(settings.DATABASES, "default", settings.DATABASES["default"] | there)

        answers = [client.get("/readyz").status_code for _ in range(3)]
        deaf.settimeout(5)
        deaf.accept()[0].close()
        deaf.settimeout(0.1)

        assert answers == [503, 503, 503]
        with pytest.raises(TimeoutError):
            # They all asked for the one attempt.
            deaf.accept()


def test_a_body_beyond_the_largest_upload_is_refused_unread(client: Client) -> None:
    response = client.post("/sign-in/", b"", content_type="text/plain", CONTENT_LENGTH=str(10**9))

    assert response.status_code == 413
    page = Page(response)
    assert page.title == "This is too much at once – karenpanel"
    for words in (
        "Nothing was changed",
        "20 MiB",
        "compress it with gzip",
        "manage.py replay",
        "8 MiB",
        "several groups",
    ):
        assert words in page.text
    assert response["X-Request-ID"] in page.text


def test_a_form_beyond_what_a_document_may_have_says_so(as_alice: Client, project: Project, settings: Any) -> None:
    assert settings.DOCUMENT_MAX_MB * 2**20 == MAX_DOCUMENT_BYTES
    for text, status, words in (
        ("x" * (MAX_DOCUMENT_BYTES + 1), 422, "larger than 8 MiB"),
        ("x" * (MAX_DOCUMENT_BYTES + 2**22), 413, "A list of rules may have 8 MiB"),
    ):
        response = as_alice.post("/p/shop/groups/import/", {"text": text})
        assert (response.status_code, words in response.content.decode()) == (status, True)
    assert not project.groups.exists()


def test_a_length_that_is_no_number_is_a_400(client: Client) -> None:
    response = client.post("/sign-in/", b"", content_type="text/plain", CONTENT_LENGTH="many")
    assert response.status_code == 400
    assert "could not be understood" in response.content.decode()


def test_an_address_that_only_takes_forms_says_so(as_alice: Client, group: SecurityGroup) -> None:
    response = as_alice.get(f"{group.get_absolute_url()}rules/drop/")
    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert Page(response).title.startswith("This address only takes a form")


@pytest.mark.parametrize(
    ("headers", "back"),
    [
        ({"Referer": "http://testserver/p/shop/groups/#x"}, "/p/shop/groups/"),
        ({"Referer": "https://evil.example/p/shop/"}, ""),
        ({"HX-Current-URL": "//evil.example/"}, ""),
        ({}, ""),
    ],
)
def test_after_the_session_has_ended_a_form_leads_back_to_its_page(
    headers: dict[str, str], back: str, client: Client, group: SecurityGroup
) -> None:
    form = f"{group.get_absolute_url()}rules/drop/"
    response = client.post(form, headers=headers)
    assert response["Location"] == f"/sign-in/?next={quote(back or form)}"


def test_after_the_session_has_ended_a_part_leaves_its_page_as_it_is(client: Client, group: SecurityGroup) -> None:
    """Something may be typed into it: the way to sign in is another tab."""
    uid, page = group.rules.in_order()[0].uid, f"{group.get_absolute_url()}?q=tcp"
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{page}"}
    response = client.get(f"{group.get_absolute_url()}rules/{uid}/menu/", headers=headers)
    assert (response.status_code, response["Sign-In"]) == (401, "/sign-in/?next=/signed-in/")
    assert "HX-Redirect" not in response
