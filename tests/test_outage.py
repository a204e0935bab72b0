"""The database away, full, closed to writing: what people are told, what is kept, and that the panel is whole again after."""

import logging
import re
import time
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from karenpanel import outage
from karenpanel.logs import Calm
from karenpanel.outage import Trouble
from securitygroups.models import Event, Project, User
from tests.factories import sign_in_at
from tests.web.pages import HTMX, Page

committed = pytest.mark.django_db(transaction=True)
FORM = "/p/shop/groups/new/"
SECRET = "correct horse battery staple"


@pytest.fixture
def browser(project: Project, alice: User) -> Client:
    """Alice's, which gets the page of what broke, and whose forms are looked at for their token."""
    found = Client(raise_request_exception=False, enforce_csrf_checks=True)
    sign_in_at(found, alice)
    found.cookies["csrftoken"] = "a" * 32
    return found


@pytest.fixture
def stop() -> Iterator[Callable[[], None]]:
    """Stops the database for this process: its address leads nowhere until the test ends, or `back` is called."""
    before = connection.settings_dict["HOST"]

    def away() -> None:
        connection.close()
        connection.settings_dict["HOST"] = "/nowhere"

    yield away
    back(before)


def back(host: str) -> None:
    connection.settings_dict["HOST"] = host
    until = time.monotonic() + 30
    while outage.watch.away() and time.monotonic() < until:
        time.sleep(0.05)
    assert not outage.watch.away()


def sent(browser: Client, address: str, **fields: str) -> Any:
    return browser.post(address, {"csrfmiddlewaretoken": "a" * 32, **fields})


def until_known() -> None:
    """Until the process knows that the database is away, and asks it no more."""
    until = time.monotonic() + 30
    while not outage.watch.away() and time.monotonic() < until:
        time.sleep(0.05)
    assert outage.watch.away()


@committed
def test_while_it_is_away_pages_say_so_and_what_was_typed_is_sent_again(
    browser: Client, project: Project, stop: Callable[[], None]
) -> None:
    host = connection.settings_dict["HOST"]
    stop()

    for known in (False, True):
        if known:
            until_known()
        page = browser.get("/p/shop/groups/")
        assert (page.status_code, page["Retry-After"]) == (503, "3")
        assert "cannot reach its database" in Page(page).text
        answer = sent(browser, FORM, name="<web>", description="first\nsecond")
        assert answer.status_code == 503
        text = Page(answer).text
        assert "Nothing was changed. What you typed is kept" in text
        assert page["X-Request-ID"] not in text
    kept = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', answer.content.decode()))
    assert kept == {"csrfmiddlewaretoken": "a" * 32, "name": "&lt;web&gt;", "description": "first\nsecond"}
    assert browser.get("/healthz").status_code == 200

    back(host)

    assert browser.get("/p/shop/groups/").status_code == 200
    answer = browser.post(FORM, {name: unescape(value) for name, value in kept.items()} | {"description": "one line"})
    assert answer.status_code == 302
    assert project.groups.get().name == "<web>"


@committed
def test_no_secret_and_no_strangers_form_is_kept(browser: Client, stop: Callable[[], None]) -> None:
    stop()

    secret = sent(browser, "/sign-in/", login="alice", password=SECRET)
    stranger = browser.post(FORM, {"csrfmiddlewaretoken": "b" * 32, "name": "not typed by alice"})
    large = sent(browser, FORM, name="web", description="x" * 70_000)

    for answer in (secret, stranger, large):
        assert answer.status_code == 503
        assert "Send it again" not in answer.content.decode()
        assert "Go back and try again" in Page(answer).text
    assert SECRET not in secret.content.decode()
    assert "not typed by alice" not in stranger.content.decode()


@committed
def test_a_part_for_htmx_is_a_sentence_and_the_form_stays(browser: Client, stop: Callable[[], None]) -> None:
    stop()

    answer = browser.post(FORM, {"csrfmiddlewaretoken": "a" * 32, "name": "web"}, headers=HTMX)

    assert (answer.status_code, answer["Content-Type"]) == (503, "text/plain; charset=utf-8")
    assert answer.content.decode().endswith(
        "Nothing was changed: what you typed is still here, send it again in a moment."
    )


def before_each_event(body: str, timing: str = "BEFORE INSERT", kind: str = "TRIGGER", when: str = "") -> None:
    """Let the database do this whenever something is put on record."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
            f" AS $$ BEGIN {body} RETURN NEW; END $$"
        )
        cursor.execute(
            f"CREATE {kind} fault {timing} ON {Event._meta.db_table} {when} FOR EACH ROW EXECUTE FUNCTION fault()"
        )


@pytest.fixture
def mended() -> Iterator[None]:
    yield
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER fault ON {Event._meta.db_table}")


@committed
@pytest.mark.usefixtures("mended")
@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("disk_full", "run out of room"),
        ("too_many_connections", "Too many people"),
        ("read_only_sql_transaction", "can only be read"),
        ("query_canceled", "too busy"),
        ("deadlock_detected", "too busy"),
        ("crash_shutdown", "cannot reach its database"),
    ],
)
def test_what_the_server_refuses_is_a_503_and_nothing_is_half_written(
    state: str, words: str, browser: Client, project: Project
) -> None:
    before_each_event(f"RAISE {state};")

    answer = sent(browser, FORM, name="web")

    assert answer.status_code == 503
    assert words in Page(answer).text
    assert not project.groups.exists()


@committed
@pytest.mark.usefixtures("mended")
def test_a_commit_whose_answer_was_lost_is_not_called_unchanged(browser: Client, project: Project) -> None:
    # At the very end of the transaction, where the session of a server that is shut down ends too.
    before_each_event(
        "PERFORM pg_terminate_backend(pg_backend_pid());",
        "AFTER INSERT",
        "CONSTRAINT TRIGGER",
        "DEFERRABLE INITIALLY DEFERRED",
    )

    page, part = (
        sent(browser, FORM, name="web"),
        browser.post(FORM, {"csrfmiddlewaretoken": "a" * 32, "name": "web"}, headers=HTMX),
    )

    assert (page.status_code, part.status_code) == (503, 503)
    assert "It cannot be said whether your change was saved" in Page(page).text
    assert "It cannot be said whether your change was saved" in part.content.decode()
    for answer in (page, part):
        assert "Nothing was changed" not in answer.content.decode()
    # The next request has a connection of its own.
    connection.close()
    assert browser.get("/p/shop/groups/").status_code == 200


@committed
def test_a_session_that_cannot_be_kept_is_no_session_that_has_ended(browser: Client, project: Project) -> None:
    """After the commit, when the message for the next page is put into the session."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE disk_full; END $$"
        )
        cursor.execute("CREATE TRIGGER fault BEFORE UPDATE ON django_session FOR EACH ROW EXECUTE FUNCTION fault()")
    try:
        answer = sent(browser, FORM, name="web")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER fault ON django_session")

    assert answer.status_code == 503
    assert "It cannot be said whether your change was saved" in Page(answer).text
    assert project.groups.exists()


@pytest.mark.django_db
def test_a_mistake_of_ours_is_no_trouble_of_the_database() -> None:
    for statement in ("SELECT no_such_column", "SELECT 1/0", "INSERT INTO securitygroups_project DEFAULT VALUES"):
        with pytest.raises(DatabaseError) as raised, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
        assert outage.trouble(raised.value) is None
    assert outage.trouble(ValueError("a")) is None
    with pytest.raises(DatabaseError) as raised, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DO $$ BEGIN RAISE admin_shutdown; END $$")
    assert outage.trouble(raised.value) is Trouble.AWAY


def test_of_many_refusals_one_line_a_second_is_logged_without_traceback() -> None:
    calm, lines = Calm(), []
    for number in range(50):
        record = logging.LogRecord("django.request", logging.ERROR, "", 0, "Service Unavailable: %s", ("/p/",), None)
        record.status_code = 503
        record.exc_info = (OSError, OSError(f"refused {number}"), None)
        if calm.filter(record):
            lines.append(record)

    assert [line.getMessage() for line in lines][:1] == ["Service Unavailable: /p/ (OSError: refused 0)"]
    assert len(lines) <= 2
    assert lines[0].exc_info is None
    other = logging.LogRecord("django.request", logging.ERROR, "", 0, "Internal Server Error: %s", ("/p/",), None)
    assert calm.filter(other)
