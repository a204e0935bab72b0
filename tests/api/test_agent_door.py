"""The door for agents: whose requests are taken, that each answer is signed, and what it costs. With real signatures."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver
from django.utils import timezone

from karenpanel import outage
from securitygroups import operations
from securitygroups.api.agent import gate, views
from securitygroups.enforcement import desired, keys
from securitygroups.models import AccountEvent, Host, HostNonce, SecurityGroup, VirtualMachine
from securitygroups.operations import By
from tests.enforcement.test_desired import commit
from tests.factories import make_machine, place
from tests.hosts import Agent, enrolled, nonce

Pair = tuple[Host, Agent]
DOORS = (("GET", "state"), ("POST", "report"))


@pytest.fixture
def pair(machine: VirtualMachine) -> Pair:
    """A host with “web-1” on it, and its agent."""
    host, agent = enrolled()
    place(machine, host, "tap0")
    return host, agent


def code(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def untouched() -> tuple[Any, ...]:
    """What a refused request may not have changed."""
    hosts = Host.objects.order_by("pk").values_list("pk", "key", "seen_at", "agent", "state", "inventory", "revoked_at")
    return list(hosts), HostNonce.objects.count()


def test_every_address_of_the_door_is_tried_here() -> None:
    _, resolver = get_resolver().namespace_dict["agent"]

    assert {getattr(entry, "name", "") for entry in resolver.url_patterns} == {"enrol", *(name for _, name in DOORS)}


# ── Enrolment ─────────────────────────────────────────────────────────────────


def test_a_line_enrols_its_host_once(db: None) -> None:
    host, secret = operations.make_host(fields={"name": "kvm-1"}, by=By())
    agent, thief = (Agent(host.public_id, keys.public()) for _ in range(2))

    answer = agent.enrol(secret)

    assert (answer.status_code, answer.json()) == (200, {"host": host.public_id, "name": "kvm-1"})
    assert agent.state().status_code == 200
    for again in (thief, agent):
        assert code(again.enrol(secret)) == (403, "token")
    host.refresh_from_db()
    assert host.key == agent.public
    line = AccountEvent.objects.get(verb="host.enrolled")
    assert (line.address, line.detail["version"]) == ("127.0.0.1", "0.1.0")


def test_a_line_is_good_for_an_hour_and_for_its_host_alone(db: None) -> None:
    host, secret = operations.make_host(fields={"name": "kvm-1"}, by=By())
    other, _ = operations.make_host(fields={"name": "kvm-2"}, by=By())

    for where in (other.public_id, "host-0000000000"):
        assert code(Agent(where, keys.public()).enrol(secret)) == (403, "token")
    for wrong in ("", secret[:-1], secret + "A", secret.swapcase()):
        assert code(Agent(host.public_id, keys.public()).enrol(wrong)) == (403, "token")
    with time_machine.travel(timezone.now() + timedelta(minutes=60)):
        assert code(Agent(host.public_id, keys.public()).enrol(secret)) == (403, "token")

    assert not Host.objects.exclude(key="").exists()


def test_whoever_brings_a_key_shows_that_they_have_it(db: None) -> None:
    host, secret = operations.make_host(fields={"name": "kvm-1"}, by=By())
    agent, other = (Agent(host.public_id, keys.public()) for _ in range(2))

    assert code(agent.enrol(secret, sent={"key": other.public})) == (401, "unknown-key")
    assert code(agent.enrol(secret, time=int(time.time()) - 301)) == (401, "clock")
    for key in ("", "A" * 42, "A" * 44, "A" * 42 + "="):
        assert code(agent.enrol(secret, sent={"key": key})) == (422, "invalid")

    assert agent.enrol(secret).status_code == 200


def test_a_key_that_another_host_has_is_refused_and_the_line_stays_good(db: None) -> None:
    _, agent = enrolled()
    host, secret = operations.make_host(fields={"name": "copy"}, by=By())
    copy = Agent(host.public_id, agent.panel_key, agent.private)

    assert code(copy.enrol(secret)) == (422, "invalid")
    assert Agent(host.public_id, agent.panel_key).enrol(secret).status_code == 200


def test_wrong_lines_are_limited_for_each_network_and_right_ones_are_not(db: None) -> None:
    host, _ = operations.make_host(fields={"name": "kvm-1"}, by=By())
    agent = Agent(host.public_id, keys.public())

    with time_machine.travel(timezone.now(), tick=False):
        answers = [agent.enrol("wrong").status_code for _ in range(views.BURST + 2)]
        limited = agent.enrol("wrong")
    assert answers == [403] * views.BURST + [429, 429]
    assert limited["Retry-After"] == str(views.EVERY)
    assert AccountEvent.objects.filter(verb="host.refused").count() == 1, "on record once a minute"
    assert AccountEvent.objects.get(verb="host.refused").detail["host"] == host.public_id

    cache.clear()
    for number in range(views.BURST + 5):
        enrolled(f"many-{number}")


# ── Whose requests are taken ──────────────────────────────────────────────────

WRONG: dict[str, Callable[[Agent, Agent], dict[str, Any]]] = {
    "another host's ID": lambda agent, other: {"host": other.host},
    "nobody's ID": lambda agent, other: {"host": "host-0000000000"},
    "no ID": lambda agent, other: {"host": ""},
    "another path": lambda agent, other: {"path": "/agent/v1/other"},
    "a query": lambda agent, other: {"path": "/agent/v1/state?x=1"},
    "another method": lambda agent, other: {"method": "PUT"},
    "another body": lambda agent, other: {"body": b"{}"},
    "a short nonce": lambda agent, other: {"nonce": "A" * 21},
    "a long nonce": lambda agent, other: {"nonce": "A" * 23},
    "padding": lambda agent, other: {"nonce": "A" * 22 + "=="},
    "no nonce": lambda agent, other: {"nonce": ""},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize(("method", "name"), DOORS)
def test_what_was_signed_otherwise_than_it_was_sent_is_refused(
    pair: Pair, method: str, name: str, wrong: Callable[[Agent, Agent], dict[str, Any]]
) -> None:
    _, agent = pair
    _, other = enrolled("kvm-2")
    before = untouched()
    path = f"/agent/v1/{name}"

    headers = agent.headers(method, path, **wrong(agent, other))
    answer = agent.send(method, path, b"", headers)

    assert code(answer) == (401, "unknown-key")
    assert untouched() == before
    assert answer.has_header("Karenpanel-Signature") == (len(headers["Karenpanel-Nonce"]) == 22)


@pytest.mark.parametrize(
    "part", ["Karenpanel-Time", "Karenpanel-Nonce", "Karenpanel-Host", "Karenpanel-Signature", "path", "body"]
)
def test_a_request_that_somebody_changed_on_the_way_is_refused(pair: Pair, part: str) -> None:
    _, agent = pair
    _, other = enrolled("kvm-2")
    body = b'{"format": "karenpanel-report/1"}'
    headers = agent.headers("POST", "/agent/v1/report", body)
    changed = {
        "Karenpanel-Time": str(int(headers["Karenpanel-Time"]) + 1),
        "Karenpanel-Nonce": nonce(),
        "Karenpanel-Host": other.host,
        "Karenpanel-Signature": other.headers("POST", "/agent/v1/report", body)["Karenpanel-Signature"],
    }
    before = untouched()

    sent = headers | ({part: changed[part]} if part in changed else {})
    path = "/agent/v1/report?x=1" if part == "path" else "/agent/v1/report"
    answer = agent.send("POST", path, body + b" " if part == "body" else body, sent)

    assert code(answer) == (401, "unknown-key")
    assert untouched() == before
    assert agent.send("POST", "/agent/v1/report", body, headers).status_code == 200


@pytest.mark.parametrize(("method", "name"), DOORS)
def test_what_was_sent_before_is_refused_for_as_long_as_its_time_is_believed(
    pair: Pair, method: str, name: str
) -> None:
    _, agent = pair
    body = b'{"format": "karenpanel-report/1"}' if name == "report" else b""
    path, start = f"/agent/v1/{name}", timezone.now()
    # As early as it is believed.
    headers = agent.headers(method, path, body, time=int(start.timestamp()) + 299)
    with time_machine.travel(start, tick=False):
        assert agent.send(method, path, body, headers).status_code == 200

    for seconds, why in ((0, "replayed"), (1, "replayed"), (590, "replayed"), (601, "clock"), (86_400, "clock")):
        with time_machine.travel(start + timedelta(seconds=seconds), tick=False):
            for _ in range(3):
                # Others come meanwhile, and take away what was sent long ago.
                assert agent.ask(method, name, {"format": "karenpanel-report/1"} if body else None).status_code == 200
            answer = agent.send(method, path, body, headers)
            assert code(answer) == (401, why), seconds
            assert agent.believes(answer, headers["Karenpanel-Nonce"])


@pytest.mark.parametrize("seconds", [-301, 301, -86_400, 10**11])
def test_another_time_is_told_with_the_panels_own_to_whoever_has_the_key(pair: Pair, seconds: int) -> None:
    _, agent = pair
    _, other = enrolled("kvm-2")
    other.host = agent.host
    before = untouched()

    at = int(time.time()) + seconds
    answer = agent.ask("GET", "state", time=at)

    assert code(answer) == (401, "clock")
    assert abs(answer.json()["time"] - time.time()) < 5
    assert code(other.ask("GET", "state", time=at)) == (401, "unknown-key")
    assert untouched() == before


def test_a_clock_that_is_a_little_off_is_no_matter(pair: Pair) -> None:
    _, agent = pair

    for seconds in (-290, 290):
        assert agent.ask("GET", "state", time=int(time.time()) + seconds).status_code == 200


def test_a_revoked_host_is_told_so_and_nothing_else_from_its_next_question_on(pair: Pair) -> None:
    host, agent = pair
    etag = agent.state()["ETag"]
    operations.revoke_host(host=host, by=By())
    before = untouched()

    for answer in (agent.state(), agent.state(etag), agent.report()):
        assert code(answer) == (401, "revoked")

    assert untouched() == before


def test_the_key_of_before_is_nobodys_once_a_host_is_enrolled_anew(pair: Pair) -> None:
    host, agent = pair
    newer = Agent(host.public_id, agent.panel_key)
    operations.revoke_host(host=host, by=By())
    assert newer.enrol(operations.offer_enrolment(host=host, by=By())).status_code == 200

    assert code(agent.state()) == (401, "unknown-key")
    assert newer.state().status_code == 200


def test_an_agent_reads_its_own_vms_and_nothing_else(pair: Pair, machine: VirtualMachine) -> None:
    _, agent = pair
    stranger, other = enrolled("kvm-2")
    mine = make_machine(machine.project, "mine")
    place(mine, stranger, "tap0")

    assert [vm["name"] for vm in agent.state().json()["vms"]] == ["web-1"]
    told = other.state()
    assert ([vm["name"] for vm in told.json()["vms"]], told.json()["groups"]) == (["mine"], [])
    assert machine.public_id not in told.content.decode()


def test_hosts_that_have_never_come_have_no_agent(db: None) -> None:
    host, _ = operations.make_host(fields={"name": "kvm-1"}, by=By())

    assert code(Agent(host.public_id, keys.public()).state()) == (401, "unknown-key")


def test_neither_a_session_nor_a_token_is_of_any_use_here(pair: Pair, as_admin: Client) -> None:
    for method, name in (*DOORS, ("POST", "enrol")):
        answer = as_admin.generic(method, f"/agent/v1/{name}", b"", headers={"Authorization": f"Bearer kp_{'a' * 43}"})
        assert answer.status_code in (401, 400)
        assert "Karenpanel-Signature" not in answer, "there was no question to answer to"


# ── Each answer is signed ─────────────────────────────────────────────────────


def test_whatever_is_answered_is_signed(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ask` makes sure of it each time."""
    _, agent = pair
    etag = agent.state()["ETag"]

    assert agent.state(etag).status_code == 304
    assert code(agent.ask("GET", "nothing")) == (404, "not-found")
    assert code(agent.ask("DELETE", "state")) == (405, "method")
    assert code(agent.ask("GET", "report")) == (405, "method")
    assert code(agent.ask("POST", "report", "x")) == (422, "invalid")
    assert code(agent.ask("POST", "report", {"format": "other"})) == (422, "invalid")
    assert code(agent.ask("POST", "enrol", {"token": "x" * 5000})) == (413, "too-large")
    monkeypatch.setattr(gate, "LARGEST", 100)
    assert code(agent.ask("POST", "report", {"x": "x" * 200})) == (413, "too-large")
    monkeypatch.setattr(desired, "LARGEST", 100)
    assert code(agent.state()) == (507, "too-long")
    monkeypatch.setattr(desired, "state", lambda host: 1 / 0)
    assert code(agent.state()) == (500, "fault")
    monkeypatch.setattr(outage.watch, "away", lambda: True)
    assert code(agent.state()) == (503, "unavailable")


def test_an_answer_that_somebody_changed_is_not_believed(pair: Pair) -> None:
    _, agent = pair
    headers = agent.headers("GET", "/agent/v1/state")
    answer, asked = agent.send("GET", "/agent/v1/state", b"", headers), headers["Karenpanel-Nonce"]
    assert agent.believes(answer, asked)

    body = answer.content.replace(b'"accept"', b'"drop"', 1)
    assert body != answer.content
    for changed in ({"body": body}, {"status": 304}, {"etag": '"other"'}, {"etag": ""}, {"body": b""}):
        assert not agent.believes(answer, asked, **changed)
    assert not agent.believes(answer, nonce()), "the answer to another question"
    assert not agent.believes(answer, asked, "host-0000000000"), "the answer to another host"


def test_another_panels_answer_is_not_believed(pair: Pair, settings: Any) -> None:
    _, agent = pair
    settings.AGENT_KEY = "A" * 43

    headers = agent.headers("GET", "/agent/v1/state")
    answer = agent.send("GET", "/agent/v1/state", b"", headers)

    assert answer.status_code == 200
    assert not agent.believes(answer, headers["Karenpanel-Nonce"])


def test_answers_are_sent_as_they_were_signed(pair: Pair) -> None:
    _, agent = pair
    headers = agent.headers("GET", "/agent/v1/state") | {"Accept-Encoding": "gzip, br"}

    answer = agent.send("GET", "/agent/v1/state", b"", headers)

    assert not answer.has_header("Content-Encoding")
    assert "no-store" in answer["Cache-Control"]
    assert not answer.cookies


# ── States ────────────────────────────────────────────────────────────────────


def test_the_state_is_told_once_and_again_when_it_is_another(pair: Pair, group: SecurityGroup) -> None:
    host, agent = pair
    first = agent.state()
    assert first["ETag"] == f'"{desired.etag(host)}"'
    assert first.json() == json.loads(desired.state(host)[1])

    assert agent.state(first["ETag"]).status_code == 304
    commit(group, 22)
    second = agent.state(first["ETag"])

    assert second.status_code == 200
    assert second["ETag"] != first["ETag"]
    assert agent.state(second["ETag"]).content == b""


def costs(ask: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as queries:
        ask()
    return len([query for query in queries if "SAVEPOINT" not in query["sql"]])


def test_questions_cost_the_same_few_queries_however_many_vms_there_are(pair: Pair, machine: VirtualMachine) -> None:
    host, agent = pair

    def all_of_them() -> list[int]:
        etag = agent.state()["ETag"]
        told = agent.state().json()["vms"]
        vms = [{"id": one["id"], "vector": one["vector"], "since": 1} for one in told]
        hits = [[one["id"], "in", "none", 1, 60] for one in told]
        taps = [{"tap": one["tap"], "vm": one["id"], "mac": "", "addresses": []} for one in told]
        agent.report(vms=vms, taps=taps)
        return [
            costs(lambda: agent.state(etag)),
            costs(agent.state),
            costs(agent.report),
            costs(lambda: agent.report(vms=vms, counters=hits, taps=taps)),
        ]

    few = all_of_them()
    for number in range(1, 31):
        place(make_machine(machine.project, groups=list(machine.groups.all())), host, f"tap{number}")

    assert all_of_them() == few
    assert few == [2, 3, 4, 9]


def test_a_host_that_asks_all_the_time_is_written_every_fifteen_seconds(pair: Pair) -> None:
    host, agent = pair
    start = timezone.now() + timedelta(minutes=1)
    seen = []
    for seconds in (0, 5, 10, 16):
        with time_machine.travel(start + timedelta(seconds=seconds), tick=False):
            agent.state()
            host.refresh_from_db()
            seen.append(host.seen_at)

    assert seen == [start, start, start, start + timedelta(seconds=16)]


# ── Nobody is kept from their own ─────────────────────────────────────────────


def test_what_anybody_may_send_is_short(db: None) -> None:
    agent = Agent("host-0000000000", keys.public())

    assert code(agent.ask("POST", "report", {"x": "x" * 2**20})) == (401, "unknown-key"), "nothing of it was read"
    assert code(agent.enrol("x" * 10_000)) == (413, "too-large")


def test_a_body_in_pieces_is_refused(pair: Pair) -> None:
    _, agent = pair
    headers = agent.headers("POST", "/agent/v1/report") | {"Transfer-Encoding": "chunked"}

    assert code(agent.send("POST", "/agent/v1/report", b"", headers)) == (411, "length")
