"""The pages of webhooks: who sees what, the secret that is shown once, and what became of what was sent."""

import html
import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from securitygroups import operations
from securitygroups.delivering import Deliverer
from securitygroups.models import Delivery, Project, User, Webhook
from securitygroups.operations import By
from securitygroups.webhooks.answer import Answer
from tests.conftest import SignIn
from tests.factories import make_delivery
from tests.web.pages import Page, form_at

pytestmark = pytest.mark.usefixtures("project")
URL = "/p/shop/webhooks/"
FIELDS = {"name": "Tickets", "url": "https://hooks.example/key-of-the-receiver", "kinds": ["rules.changed"]}


def create(client: Client, **fields: Any) -> Any:
    return client.post(f"{URL}new/", FIELDS | fields)


def test_without_any_the_page_says_what_they_are_for(as_alice: Client) -> None:
    page = Page(as_alice.get(URL))

    assert "Have a program of yours told at once when rules change" in page.text
    assert "webhooks/" in as_alice.get("/p/shop/members/").content.decode()


def test_who_creates_one_sees_its_secret_and_nobody_later(
    as_alice: Client, alice: User, sign_in: SignIn, project: Project
) -> None:
    answer = create(as_alice)
    webhook = Webhook.objects.get()
    address = f"{URL}{webhook.pk}/secret/"
    assert answer["Location"] == address

    secret = re.findall(r"whsec_[A-Za-z0-9+/=]{44}", as_alice.get(address).content.decode())
    assert len(set(secret)) == 1
    # Another browser of the same person, and this one later.
    assert sign_in(alice).get(address)["Location"] == f"{URL}{webhook.pk}/"
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        assert as_alice.get(address)["Location"] == f"{URL}{webhook.pk}/"
    for page in (URL, f"{URL}{webhook.pk}/", f"{URL}{webhook.pk}/edit/", "/p/shop/activity/"):
        assert secret[0] not in as_alice.get(page).content.decode()


def test_the_secret_of_one_shows_no_other(as_alice: Client, alice: User, project: Project) -> None:
    other = make_delivery(project, alice).webhook
    create(as_alice)

    assert as_alice.get(f"{URL}{other.pk}/secret/")["Location"] == f"{URL}{other.pk}/"


def test_a_second_click_on_create_makes_no_second_webhook(as_alice: Client) -> None:
    form = form_at(as_alice, f"{URL}new/")
    first, second = (form.send(as_alice, **FIELDS) for _ in range(2))

    assert first["Location"] == second["Location"]
    assert Webhook.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "", "Type a name"),
        ("url", "", "Type the address of your receiver"),
        ("url", "http://hooks.example/", "begins with https://"),
        ("url", "https://10.0.0.1/", "Only public addresses"),
        ("url", "https://100%/", "This is no name of a machine"),
        ("kinds", ["nonsense"], "Select a valid choice"),
    ],
)
def test_what_cannot_be_taken_is_told_at_its_field_and_the_rest_stays(
    as_alice: Client, field: str, value: Any, words: str
) -> None:
    answer = create(as_alice, **{field: value})
    page = Page(answer)

    assert answer.status_code == 422
    assert words in page.errors.get(field, page.text)
    assert not Webhook.objects.exists()
    if field != "url":
        assert "key-of-the-receiver" in answer.content.decode()


def test_an_unattended_browser_makes_no_webhook_and_shows_no_secret(
    as_alice: Client, alice: User, project: Project
) -> None:
    pk = make_delivery(project, alice).webhook_id
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        for address in ("new/", f"{pk}/edit/", f"{pk}/rotate/"):
            answer = as_alice.post(URL + address, FIELDS)
            assert answer.status_code == 302
            assert "/secret/" not in answer["Location"]
            assert "webhooks" in parse_qs(urlsplit(answer["Location"]).query)["next"][0]
    webhook = Webhook.objects.get()

    assert (webhook.name, webhook.old_secret) == ("Tickets", "")
    assert webhook.url == "https://hooks.example/"


def test_one_is_changed(as_alice: Client, alice: User, project: Project) -> None:
    pk = make_delivery(project, alice).webhook_id
    form = form_at(as_alice, f"{URL}{pk}/edit/")
    assert (form.fields["name"], form.fields["url"]) == (["Tickets"], ["https://hooks.example/"])
    answer = form.send(as_alice, name="Chat", kinds=["group.created", "rules.changed"])

    assert answer["Location"] == f"{URL}{pk}/"
    page = Page(as_alice.get(f"{URL}{pk}/"))
    assert "Group created, Rules changed" in page.text
    assert "The webhook Chat was saved." in page.text


def test_it_is_paused_and_goes_on(as_alice: Client, alice: User, project: Project) -> None:
    pk = make_delivery(project, alice).webhook_id
    as_alice.post(f"{URL}{pk}/switch/", {"on": "no"})
    assert "Paused: what happens meanwhile is not sent" in Page(as_alice.get(f"{URL}{pk}/")).text
    assert not Webhook.objects.get().is_on
    as_alice.post(f"{URL}{pk}/switch/", {"on": "yes"})
    assert Webhook.objects.get().is_on


def test_a_new_secret_is_asked_about_and_then_shown(as_alice: Client, alice: User, project: Project) -> None:
    pk = make_delivery(project, alice).webhook_id
    address = f"{URL}{pk}/rotate/"
    assert "For 24 hours both secrets sign" in Page(as_alice.get(address)).text
    assert not Webhook.objects.get().old_secret
    answer = as_alice.post(address, follow=True)

    assert "whsec_" in answer.content.decode()
    assert "the secret of before signs along" in Page(answer).text


def test_one_is_deleted_after_a_question(as_alice: Client, alice: User, project: Project) -> None:
    pk = make_delivery(project, alice).webhook_id
    assert "hooks.example" in Page(as_alice.get(f"{URL}{pk}/delete/")).text
    assert Webhook.objects.exists()

    answer = as_alice.post(f"{URL}{pk}/delete/", follow=True)
    assert "The webhook Tickets was deleted." in Page(answer).text
    assert as_alice.get(f"{URL}{pk}/").status_code == 404


def test_a_test_leads_to_what_becomes_of_it(as_alice: Client, alice: User, project: Project) -> None:
    webhook = make_delivery(project, alice).webhook
    Delivery.objects.all().delete()
    address = as_alice.post(f"{URL}{webhook.pk}/test/")["Location"]
    waiting = as_alice.get(address).content.decode()
    assert "Waiting" in waiting
    assert 'hx-trigger="every 1s"' in waiting
    assert "Look again" in waiting

    deliverer = Deliverer(send=lambda *_: Answer(503, "", 41), resolver=lambda *_: [])
    deliverer.once()
    deliverer.finish()

    part = as_alice.get(address, headers={"HX-Request": "true"})
    page = Page(as_alice.get(address))
    for text in (Page(part).text, page.text):
        assert "Given up" in text
        assert "503 after 41 ms" in text
    assert "hx-trigger" not in part.content.decode()
    assert "<html" not in part.content.decode()
    body = json.loads(
        html.unescape(re.findall(r'<pre id="body"[^>]*>(.*?)</pre>', as_alice.get(address).content.decode())[0])
    )
    assert body["type"] == "webhook.tested"


def test_what_was_sent_is_sent_again(as_alice: Client, alice: User, project: Project) -> None:
    delivery = make_delivery(project, alice)
    Delivery.objects.update(state="given up", asked=False, attempts=10, last_error="There was no answer in time.")
    at = f"{URL}{delivery.webhook_id}/"
    assert "There was no answer in time." in Page(as_alice.get(at)).text
    answer = as_alice.post(f"{at}deliveries/{delivery.pk}/again/")

    assert answer["Location"] == f"{at}deliveries/{delivery.pk}/"
    assert Delivery.objects.get().state == "waiting"


def test_nobody_has_much_sent_within_an_hour(as_alice: Client, alice: User, project: Project, settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, "webhook": "1/h/user"}
    delivery = make_delivery(project, alice)
    at = f"{URL}{delivery.webhook_id}/"
    as_alice.post(f"{at}test/")
    answer = as_alice.post(f"{at}test/", follow=True)

    assert "You had much sent within an hour" in Page(answer).text
    assert Delivery.objects.count() == 2


def test_it_is_said_where_nobody_sends(as_alice: Client, alice: User, project: Project) -> None:
    delivery = make_delivery(project, alice)
    pages = (URL, f"{URL}{delivery.webhook_id}/", f"{URL}{delivery.webhook_id}/deliveries/{delivery.pk}/")
    for page in pages:
        assert "the platform's sender does not run" not in html.unescape(as_alice.get(page).content.decode())
    Delivery.objects.update(next_at=timezone.now() - timedelta(minutes=2))
    for page in pages:
        assert "the platform's sender does not run" in html.unescape(as_alice.get(page).content.decode())


def test_what_was_switched_off_says_why(as_alice: Client, alice: User, project: Project) -> None:
    pk = make_delivery(project, alice).webhook_id
    Webhook.objects.update(disabled_at=timezone.now(), disabled_why="its receiver says that it is gone (410).")
    page = Page(as_alice.get(f"{URL}{pk}/"))

    assert "its receiver says that it is gone (410). Mend the receiver, send a test, then let it go on." in page.text
    assert "Switched off" in Page(as_alice.get(URL)).text


def test_nobody_but_owners_sees_the_address(
    as_erin: Client, as_bob: Client, as_alice: Client, alice: User, project: Project, sign_in: SignIn, staff: User
) -> None:
    fields = FIELDS | {"kinds": []}
    operations.create_webhook(project=project, fields=fields, by=By(alice))
    operations.open_visit(project=project, staff=staff, reason="Asked", ticket="T-1")
    for client in (as_erin, as_bob, sign_in(staff)):
        assert client.get(URL).status_code == 403
        for page in ("/p/shop/members/", "/p/shop/activity/", "/p/shop/"):
            assert "key-of-the-receiver" not in client.get(page).content.decode()


def test_what_is_another_projects_is_not_there(as_alice: Client, charlie: User, bakery: Project) -> None:
    delivery = make_delivery(bakery, charlie)
    for address in ("", "edit/", "secret/", "rotate/", "delete/", f"deliveries/{delivery.pk}/"):
        assert as_alice.get(f"{URL}{delivery.webhook_id}/{address}").status_code == 404


def test_what_was_sent_to_another_webhook_is_not_found_at_this_one(
    as_alice: Client, alice: User, project: Project
) -> None:
    first, second = make_delivery(project, alice), make_delivery(project, alice)

    assert as_alice.get(f"{URL}{first.webhook_id}/deliveries/{second.pk}/").status_code == 404
    assert as_alice.post(f"{URL}{first.webhook_id}/deliveries/{second.pk}/again/").status_code == 404


def test_the_lines_on_the_page_verify_what_is_sent(as_alice: Client, alice: User, project: Project) -> None:
    """As somebody copies them from there, in a program of its own."""
    answer = create(as_alice, kinds=[])
    page = html.unescape(as_alice.get(answer["Location"]).content.decode())
    code = re.findall(r'<pre id="verify"[^>]*>(.*?)</pre>', page, re.DOTALL)[0]
    secret = re.findall(r'<pre id="secret"[^>]*>(.*?)</pre>', page)[0]
    sent: list[Any] = []

    def receive(url: str, headers: Any, body: bytes, *rest: Any) -> Answer:
        sent.append((headers, body))
        return Answer(200)

    as_alice.post(f"{URL}{Webhook.objects.get().pk}/test/")
    deliverer = Deliverer(send=receive, resolver=lambda *_: [])
    deliverer.once()
    deliverer.finish()
    names: dict[str, Any] = {}
    exec(code, names)

    [(headers, body), *_] = sent
    assert names["is_genuine"](secret, headers, body)
    assert not names["is_genuine"](secret, headers, body + b" ")
    assert not names["is_genuine"]("whsec_AAAA", headers, body)
