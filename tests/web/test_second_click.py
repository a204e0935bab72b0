"""A form is answered once: the second click is sent where the first went."""

import threading
import time
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connections
from django.test import Client

from karenpanel import marks, once
from securitygroups import operations
from securitygroups.models import Project, SecurityGroup, User
from tests.conftest import SignIn
from tests.factories import sign_in_at
from tests.web.pages import Page, form_at


def test_the_second_click_is_sent_where_the_first_went(as_alice: Client, project: Project) -> None:
    form = form_at(as_alice, "/p/shop/groups/new/")
    first, second = (form.send(as_alice, name="once only") for _ in range(2))
    assert (
        (first.status_code, first["Location"]) == (second.status_code, second["Location"]) == (302, first["Location"])
    )
    assert project.groups.count() == 1
    assert "once only was created." in Page(as_alice.get(first["Location"])).text


def test_another_name_from_the_same_page_is_another_click(as_alice: Client, project: Project) -> None:
    form = form_at(as_alice, "/p/shop/groups/new/")
    for name in ("a", "b"):
        assert form.send(as_alice, name=name).status_code == 302
    assert form.send(as_alice, name="").status_code == 422
    assert form.send(as_alice, name="").status_code == 422
    assert project.groups.count() == 2


def test_the_same_fields_from_a_page_that_was_opened_again_are_another_click(
    as_alice: Client, project: Project
) -> None:
    for status in (302, 422):
        assert form_at(as_alice, "/p/shop/groups/new/").send(as_alice, name="twice").status_code == status


@pytest.mark.django_db(transaction=True)
def test_of_many_clicks_at_once_one_is_done_and_the_last_is_answered_like_it(
    alice: User, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser shows the answer to the last alone, and those between would hold up the pages of everybody else."""
    made = operations.create_group_on

    def slowly(**given: Any) -> SecurityGroup:
        time.sleep(2)
        return made(**given)

    monkeypatch.setattr(operations, "create_group_on", slowly)
    browsers = [Client() for _ in range(6)]
    sign_in_at(browsers[0], alice)
    for browser in browsers[1:]:
        browser.cookies = browsers[0].cookies
    form = form_at(browsers[0], "/p/shop/groups/new/")
    answers: dict[int, tuple[Any, float]] = {}

    def click(at: int) -> None:
        began = time.monotonic()
        try:
            answers[at] = form.send(browsers[at], name="crowd"), time.monotonic() - began
        finally:
            connections.close_all()

    threads = [threading.Thread(target=click, args=[at]) for at in range(6)]
    for thread in threads:
        thread.start()
        time.sleep(0.2)
    for thread in threads:
        thread.join()
    assert [answers[at][0].status_code for at in range(6)] == [302, 429, 429, 429, 429, 302]
    assert answers[0][0]["Location"] == answers[5][0]["Location"] == project.groups.get().get_absolute_url()
    for at in range(1, 5):
        answer, took = answers[at]
        assert took < 1.5
        page = Page(answer)
        assert "Your first click is still being worked on." in page.text
        assert "Nothing was changed" not in page.text
        assert page.form_with("name").send(browsers[at])["Location"] == answers[0][0]["Location"]
    assert project.groups.count() == 1


def test_a_click_whose_process_died_is_waited_for_and_then_told(
    as_alice: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "PATIENCE", 0.1)
    monkeypatch.setattr(once, "_name", lambda request, text: "once:held")
    cache.add("once:held", "", 60)
    form = form_at(as_alice, "/p/shop/groups/new/")
    answer = form.send(as_alice, name="held")
    assert answer.status_code == 429
    assert "Your first click is still being worked on." in answer.content.decode()
    assert not project.groups.exists()
    cache.delete("once:held")
    assert form.send(as_alice, name="held").status_code == 302


def test_what_was_drawn_for_one_person_is_not_taken_from_another(
    as_alice: Client, sign_in: SignIn, erin: User, project: Project
) -> None:
    form = form_at(as_alice, "/p/shop/groups/new/")
    answer = form.send(sign_in(erin), name="alice's")
    assert answer.status_code == 403
    assert "This page was open for too long" in answer.content.decode()
    assert "alice&#x27;s" not in answer.content.decode()
    assert not project.groups.exists()


def test_a_mark_that_somebody_made_up_is_none(as_alice: Client, project: Project) -> None:
    assert marks.drawn_for("abc:1:xyz") is None
    assert marks.drawn_for("") is None
    assert as_alice.post("/p/shop/groups/new/", {"name": "forged", "once": "abc:1:xyz"}).status_code == 403


def test_an_import_an_invitation_a_template_a_rule_and_a_vm_are_made_once_too(
    as_alice: Client, project: Project, group: SecurityGroup
) -> None:
    """Each of them twice: what is counted then is one more than before."""
    at = group.get_absolute_url()
    document = as_alice.get(f"{at}export.json").content.decode()
    asked = Page(as_alice.post("/p/shop/groups/import/", {"text": document, "name": "brought"}))
    rule = Page(form_at(as_alice, f"{at}rules/new/").send(as_alice, port_start="2222")).form_with("sure")
    for form, sent, count in (
        (asked.form_with("sure"), {}, project.groups.count),
        (form_at(as_alice, "/p/shop/members/"), {"email": "dora@example.com"}, project.invitations.count),
        (form_at(as_alice, f"{at}template/"), {"name": "kept"}, project.templates.count),
        (rule, {}, group.rules.count),
        (form_at(as_alice, "/p/shop/machines/new/"), {"name": "web-9"}, project.machines.count),
    ):
        before = count()
        first, second = (form.send(as_alice, **sent) for _ in range(2))
        assert first.status_code == second.status_code == 302, form.action
        assert first["Location"] == second["Location"]
        assert count() == before + 1, form.action
