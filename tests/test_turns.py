"""Turns for dear work: one a person, few over all processes, and given back whatever happens."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError, connection, transaction
from django.test import Client

from karenpanel import database, turns
from karenpanel.turns import NoTurn, may_take, take, weigh
from securitygroups.firewall.formats.documents import write_group
from securitygroups.firewall.formats.spreadsheet import write_xlsx
from securitygroups.models import Project, Rule, SecurityGroup, User, VirtualMachine
from tests.factories import ports
from tests.web.pages import Page

pytestmark = pytest.mark.django_db(transaction=True)
ALL_PLACES = [(turns.PLACE, 0), (turns.PLACE, 1)]


@pytest.fixture(autouse=True)
def two_places(settings: Any) -> None:
    """Whatever number of processors this machine has."""
    settings.DEAR_AT_ONCE = len(ALL_PLACES)


@pytest.fixture(autouse=True)
def in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for what the test keeps."""
    monkeypatch.setattr(turns, "WAIT", 0.2)


@pytest.fixture
def everything_is_dear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "DEAR", 1)


@contextmanager
def elsewhere(*locks: tuple[int, int]) -> Iterator[psycopg.Connection]:
    """Another process has these."""
    with psycopg.connect(**database.parameters(connection.settings_dict), autocommit=True) as other:
        for lock in locks:
            assert other.execute("SELECT pg_try_advisory_lock(%s, %s)", lock).fetchone() == (True,)
        number = other.info.backend_pid
        yield other
    # Its session ends a moment after the connection, and its locks with it.
    with psycopg.connect(**database.parameters(connection.settings_dict), autocommit=True) as watching:
        while watching.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [number]).fetchone():
            time.sleep(0.01)


def locks() -> int:
    """How many turns are taken, over all sessions."""
    with psycopg.connect(**database.parameters(connection.settings_dict)) as other:
        row = other.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = ANY(%s)"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [[turns.PERSON, turns.WAITER, turns.PLACE]],
        ).fetchone()
    return int(row[0]) if row else 0


def refused(person: int) -> NoTurn:
    with may_take(person), pytest.raises(NoTurn) as refusal:
        take()
    return refusal.value


# ── Who gets one ──────────────────────────────────────────────────────────────


def test_a_turn_is_taken_once_and_given_back() -> None:
    with may_take(7):
        assert locks() == 0
        take()
        weigh(turns.DEAR + 1)
        assert locks() == 2

    assert locks() == 0


def test_small_work_and_commands_take_none() -> None:
    take()
    with may_take(7):
        weigh(turns.DEAR)
        assert locks() == 0


def test_the_same_person_has_one_turn_over_all_processes() -> None:
    with elsewhere((turns.PERSON, 7)):
        assert refused(7).own
        with may_take(8):
            take()

    assert locks() == 0


def test_of_one_persons_requests_one_waits() -> None:
    with elsewhere((turns.PERSON, 7), (turns.WAITER, 7)), may_take(7) as turn, pytest.raises(NoTurn):
        turn._be_the_only_one(float("inf"))

    assert locks() == 0


def test_there_are_so_many_turns_over_all_processes() -> None:
    with elsewhere(ALL_PLACES[0]), may_take(7):
        take()
    with elsewhere(*ALL_PLACES):
        assert not refused(7).own

    assert locks() == 0


def test_who_waits_gets_the_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "WAIT", 30)
    with elsewhere(*ALL_PLACES) as other, may_take(7):
        threading.Timer(0.2, other.execute, ["SELECT pg_advisory_unlock(%s, %s)", ALL_PLACES[1]]).start()
        take()

    assert locks() == 0


def in_thread(deed: Callable[[], Any]) -> threading.Thread:
    """A request of another thread, with a connection of its own."""

    def run() -> None:
        try:
            deed()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_one_process_works_on_one_and_one_waits_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "WAIT", 30)
    begun, ended, done = threading.Event(), threading.Event(), list[int]()

    def work(person: int) -> None:
        with may_take(person):
            take()
            begun.set()
            ended.wait(30)
            done.append(person)

    first = in_thread(lambda: work(1))
    assert begun.wait(30)
    second = in_thread(lambda: work(2))
    while not turns._entry.locked():
        ended.wait(0.01)
    # Answered at once, although it could wait for 30 seconds.
    assert not refused(3).own
    ended.set()
    first.join(30)
    second.join(30)

    assert done == [1, 2]
    assert locks() == 0


# ── Given back ────────────────────────────────────────────────────────────────


def test_a_turn_is_given_back_after_an_error_in_a_transaction() -> None:
    with suppress(DatabaseError), may_take(7), transaction.atomic():
        take()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")

    assert locks() == 0


def test_a_turn_ends_with_its_session_where_it_cannot_be_given_back() -> None:
    with suppress(DatabaseError), transaction.atomic(), may_take(7):
        take()
        with suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")
    connection.close()

    assert locks() == 0
    with may_take(7):
        take()


def test_a_killed_process_keeps_no_turn() -> None:
    script = f"""
import time
from django.conf import settings
settings.DATABASES["default"]["NAME"] = {connection.settings_dict["NAME"]!r}
import django
django.setup()
from karenpanel.turns import may_take, take
with may_take(7):
    take()
    print("taken", flush=True)
    time.sleep(600)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "karenpanel.settings"},
        cwd=Path(__file__).parents[1],
    )
    with process:
        assert process.stdout
        assert process.stdout.readline() == b"taken\n"
        assert refused(7).own

        process.send_signal(signal.SIGKILL)
        process.wait()

    with may_take(7) as turn:
        turns.WAIT = 10  # until the server has noticed; put back by the fixture
        turn.take()


# ── What people see ───────────────────────────────────────────────────────────


def test_a_page_that_gets_no_turn_says_so_and_when_to_come_again(
    everything_is_dear: None, as_bob: Client, bob: User, machine: VirtualMachine
) -> None:
    url = machine.get_absolute_url()
    with elsewhere((turns.PERSON, bob.pk)):
        own, part = as_bob.get(url), as_bob.get(url, headers={"HX-Request": "true"})
    with elsewhere(*ALL_PLACES):
        others = as_bob.get(url)

    assert (own.status_code, own["Retry-After"]) == (429, "5")
    assert "Another page of yours is still being worked out." in own.content.decode()
    assert f'href="{url}"' in own.content.decode()
    assert (part.status_code, part["Content-Type"]) == (429, "text/plain; charset=utf-8")
    assert part.content.decode().endswith("so that there is room for everybody. Try again in a few seconds.")
    assert (others.status_code, others["Retry-After"]) == (503, "5")
    assert "Other people's large lists" in others.content.decode()
    assert as_bob.get(url).status_code == 200
    assert locks() == 0


def test_small_things_are_never_refused(as_bob: Client, bob: User, machine: VirtualMachine) -> None:
    group = machine.groups.all()[0].get_absolute_url()
    pages = [machine.get_absolute_url(), group, "/p/shop/", "/p/shop/exposure/", "/p/shop/exposure/?show=between"]
    with elsewhere((turns.PERSON, bob.pk), *ALL_PLACES):
        assert [as_bob.get(page).status_code for page in pages] == [200] * len(pages)


def test_what_was_typed_can_be_sent_again(
    everything_is_dear: None, as_alice: Client, alice: User, group: SecurityGroup, machine: VirtualMachine
) -> None:
    url = f"{group.get_absolute_url()}rules/new/"
    typed = {
        "action": "accept",
        "direction": "in",
        "protocol": "tcp",
        "port_start": "8443",
        "base": "1",
        "place": "2",
    }
    with elsewhere(*ALL_PLACES):
        response = as_alice.post(url, {**typed, "description": "“Ours” & <theirs>"})
    assert response.status_code == 503
    assert "What you sent is kept in this page" in Page(response).text
    assert SecurityGroup.objects.get(pk=group.pk).revision == 1

    answer = Page(response).form_with("place").send(as_alice)

    assert answer.status_code in (200, 302)
    if answer.status_code == 200:  # what passes changes, so it is asked about
        answer = Page(answer).form_with("sure").send(as_alice)
    assert group.rules.get(position=2).description == "“Ours” & <theirs>"


def test_a_preview_waits_for_its_turn_without_a_complaint(
    everything_is_dear: None, as_alice: Client, alice: User, group: SecurityGroup, machine: VirtualMachine
) -> None:
    url = f"{group.get_absolute_url()}rules/new/"
    fields = {"action": "accept", "direction": "in", "protocol": "tcp", "port_start": "8443", "base": "1", "place": "2"}
    document = write_group("", "", ports(*range(1, 60)))
    with elsewhere((turns.PERSON, alice.pk)):
        form = as_alice.post(url, {**fields, "preview": "1"}, headers={"HX-Request": "true"})
        pasted = as_alice.post(
            "/p/shop/groups/import/", {"text": document, "preview": "1"}, headers={"HX-Request": "true"}
        )

    for answer, address in ((form, url), (pasted, "/p/shop/groups/import/")):
        assert answer.status_code == 200
        part = Page(answer)
        assert "Another page of yours is still being worked out." in part.text
        assert f'hx-post="{address}"' in answer.content.decode()
        assert 'name="seen"' not in answer.content.decode()


def test_an_uploaded_list_can_be_sent_again(everything_is_dear: None, as_alice: Client, project: Project) -> None:
    document = write_group("from a file", "", ports(*range(1, 60)))
    with elsewhere(*ALL_PLACES):
        upload = {"file": SimpleUploadedFile("a.json", document.encode()), "name": "Typed"}
        response = as_alice.post("/p/shop/groups/import/", upload)
    assert response.status_code == 503

    answer = Page(response).form_with("text").send(as_alice)
    Page(answer).form_with("sure").send(as_alice)

    assert SecurityGroup.objects.get(name="Typed").rules.count() == 59


def test_a_workbook_takes_a_turn_however_few_bytes_it_is(as_alice: Client, alice: User, project: Project) -> None:
    upload = {"file": SimpleUploadedFile("a.xlsx", write_xlsx(ports(22), datetime(2026, 1, 1, tzinfo=UTC)))}
    with elsewhere((turns.PERSON, alice.pk)):
        response = as_alice.post("/p/shop/groups/import/", upload)
        small = as_alice.post("/p/shop/groups/import/", {"text": write_group("small", "", ports(22))})

    assert (response.status_code, small.status_code) == (429, 200)


def test_a_log_without_a_turn_stays_in_its_form(as_bob: Client, bob: User, group: SecurityGroup) -> None:
    log = b"direction,protocol,source,destination,port\nin,tcp,198.51.100.7,10.0.1.11,443\n"
    with elsewhere((turns.PERSON, bob.pk)):
        response = as_bob.post(
            f"{group.get_absolute_url()}replay/", {"log": SimpleUploadedFile("a.csv", log), "local": "10.0.1.11"}
        )

    assert response.status_code == 429
    assert "Another page of yours is still being worked out" in response.content.decode()
    assert ">\n10.0.1.11" in response.content.decode()


# ── The database's patience ───────────────────────────────────────────────────


def test_the_web_has_patience_and_commands_have_no_end_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    patience = database.Patience(statement=15, lock=5, idle=0.25)
    shown = {}
    for purpose in (database.Purpose.WEB, database.Purpose.ORDINARY):
        monkeypatch.setattr(database, "_purpose", purpose)
        made = database.settings("", "", patience)
        to = database.parameters(connection.settings_dict) | {"options": made["OPTIONS"].get("options", "")}
        with psycopg.connect(**to) as direct:
            names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
            shown[purpose] = [direct.execute(f"SHOW {name}").fetchone() for name in names]

    assert shown[database.Purpose.WEB] == [("15s",), ("5s",), ("250ms",)]
    assert shown[database.Purpose.ORDINARY] == [("0",)] * 3


def test_the_address_has_the_last_word_on_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_purpose", database.Purpose.WEB)
    url = "postgresql://u@h/n?options=-c%20lock_timeout%3D7s"

    made = database.settings(url, "", database.Patience(lock=5))

    assert made["OPTIONS"]["options"].endswith("-c lock_timeout=7s")


@contextmanager
def impatient(name: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(f"SET {name} = '100ms'")
        try:
            yield
        finally:
            cursor.execute(f"RESET {name}")


def test_no_password_comes_back_from_where_the_database_had_no_time(client: Client, alice: User) -> None:
    client.raise_request_exception = False
    with elsewhere() as other, impatient("lock_timeout"):
        other.execute("BEGIN")
        other.execute("LOCK TABLE securitygroups_user")
        response = client.post("/sign-in/", {"login": "alice", "password": "the one of alice"})

    assert response.status_code == 503
    assert "the one of alice" not in response.content.decode()


@pytest.mark.parametrize("name", ["lock_timeout", "statement_timeout"])
def test_a_change_that_waits_too_long_is_told_and_nothing_of_it_is_written(
    name: str, as_alice: Client, group: SecurityGroup
) -> None:
    uid = group.rules.get(position=2).uid
    # It is answered as where the error would end in a traceback, which the client would raise.
    as_alice.raise_request_exception = False
    with elsewhere() as other, impatient(name):
        other.execute("BEGIN")
        other.execute("SELECT 1 FROM securitygroups_securitygroup WHERE id = %s FOR UPDATE", [group.pk])
        response = as_alice.post(f"{group.get_absolute_url()}edit/", {"name": "web", "description": "Typed for long"})

    assert (response.status_code, response["Retry-After"]) == (503, "3")
    assert "too busy to finish this" in response.content.decode()
    assert SecurityGroup.objects.get(pk=group.pk).description == "Public web servers"
    assert Rule.objects.filter(uid=uid).exists()
    Page(response).form_with("description").send(as_alice)
    assert SecurityGroup.objects.get(pk=group.pk).description == "Typed for long"
