"""/metrics: who may read it, what it counts, and that it is the same whichever process is asked."""

import time
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from karenpanel import metrics, scrapers, turns
from securitygroups import operations
from securitygroups.models import Event, Project, SecurityGroup, User
from tests.conftest import SignIn
from tests.load import clients
from tests.server import Server, running

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(autouse=True)
def open_to_this_machine(settings: Any) -> None:
    settings.METRICS_NETWORKS = scrapers.networks(["127.0.0.0/8", "2001:db8::/32"])


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "installation", metrics.Installation())


def read(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def figures(client: Client, **headers: str) -> Samples:
    response = client.get("/metrics", **headers)  # type: ignore[arg-type]
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain; version=")
    return read(response.content.decode())


def counted(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, tuple(sorted(labels.items()))), 0)


# ── Who may read it ─────────────────────────────────────────────────────────


def test_without_networks_there_is_no_such_address(db: None, settings: Any) -> None:
    settings.METRICS_NETWORKS = []

    assert Client().get("/metrics").status_code == 404


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "status"),
    [
        (0, "127.0.0.1", None, 200),
        (0, "::ffff:127.0.0.1", None, 200),
        (0, "2001:db8::7", None, 200),
        (0, "192.0.2.7", None, 404),
        (0, "", None, 404),
        (0, "192.0.2.7", "127.0.0.1", 404),
        (1, "127.0.0.1", "192.0.2.7", 404),
        (1, "127.0.0.1", "127.0.0.1, 192.0.2.7", 404),
        (1, "192.0.2.7", "192.0.2.9, 127.0.0.1", 200),
        (1, "127.0.0.1", "", 404),
        (1, "127.0.0.1", None, 200),
        (1, "192.0.2.7", None, 404),
        (2, "127.0.0.1", "127.0.0.1", 404),
    ],
)
def test_it_is_read_from_the_networks_alone(
    db: None, settings: Any, proxies: int, peer: str, forwarded: str | None, status: int
) -> None:
    settings.PROXY_COUNT = proxies
    more = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}

    assert Client().get("/metrics", REMOTE_ADDR=peer, **more).status_code == status  # type: ignore[arg-type]


def test_it_needs_no_host_name_no_session_and_takes_no_form(db: None) -> None:
    client = Client()

    assert client.get("/metrics", HTTP_HOST="10.0.0.7:8000").status_code == 200
    assert client.head("/metrics").status_code == 200
    assert client.post("/metrics").status_code == 404
    assert not client.cookies
    assert client.get("/metrics")["Cache-Control"] == "no-store"


def test_a_network_that_is_none_is_refused_in_words() -> None:
    assert scrapers.networks([" 10.0.5.0/24", "2001:db8::7"]) == [ip_network("10.0.5.0/24"), ip_network("2001:db8::7")]
    for wrong in ("10.0.5.1/24", "here", ""):
        with pytest.raises(ImproperlyConfigured, match="METRICS_NETWORKS cannot be read"):
            scrapers.networks([wrong])


@pytest.mark.parametrize(
    ("network", "warned"), [("0.0.0.0/0", True), ("::/0", True), ("10.0.0.0/8", False), ("192.0.2.7", False)]
)
def test_a_deployment_is_warned_of_figures_for_everybody(settings: Any, network: str, warned: bool) -> None:
    settings.METRICS_NETWORKS = scrapers.networks([network])

    assert [message.id for message in scrapers.check(None)] == ["karenpanel.W040"] * warned


# ── What it says ────────────────────────────────────────────────────────────


def test_requests_are_counted_by_view_method_and_status(sign_in: SignIn, alice: User, project: Project) -> None:
    client = sign_in(alice)
    before = figures(client)

    client.get("/p/shop/")
    client.get("/p/bakery/")
    client.post("/healthz")
    client.generic("BREW", "/nowhere/")

    after = figures(client)
    for view, method, status in (
        ("overview", "GET", "2xx"), ("overview", "GET", "4xx"), ("none", "POST", "4xx"), ("none", "other", "4xx")
    ):  # fmt: skip
        labels = {"view": view, "method": method, "status": status}
        name = "karenpanel_requests_total"
        assert counted(after, name, **labels) - counted(before, name, **labels) == 1, labels
    name = "karenpanel_request_seconds_count"
    assert counted(after, name, view="overview") - counted(before, name, view="overview") == 2


def test_no_label_has_a_name_of_a_customers(sign_in: SignIn, alice: User, group: SecurityGroup) -> None:
    client = sign_in(alice)
    client.get(group.get_absolute_url())

    labels = {value for _, pairs in figures(client) for _, value in pairs}

    assert "group" in labels
    assert not labels & {"shop", "Shop", "alice", "web", group.public_id}


def test_work_that_got_no_turn_is_counted(sign_in: SignIn, alice: User, project: Project, monkeypatch: Any) -> None:
    def none(*args: object, **kwargs: object) -> None:
        raise turns.NoTurn(own=True)

    client = sign_in(alice)
    before = figures(client)
    monkeypatch.setattr("securitygroups.web.views.exposure.enter", none)

    assert client.get("/p/shop/exposure/").status_code == 429

    name = "karenpanel_turns_refused_total"
    assert counted(figures(client), name, because="own") - counted(before, name, because="own") == 1


def test_of_the_installation_it_says_what_was_written_and_how_far_behind_readers_are(
    group: SecurityGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = Event.objects.latest("pk").pk
    operations.set_cursors({"forward:main:activity": newest, "forward:main:accounts": 0, "forward:late:activity": 0})
    Event.objects.first()

    samples = figures(Client())

    assert counted(samples, "karenpanel_database_reached") == 1
    assert counted(samples, "karenpanel_record_ids_total", record="activity") == newest
    assert counted(samples, "karenpanel_record_ids_total", record="rules") > 0
    behind = {labels: value for (name, labels), value in samples.items() if name == "karenpanel_forward_behind_seconds"}
    assert behind[("name", "main"), ("record", "activity")] == 0
    assert behind[("name", "late"), ("record", "activity")] > 0


def test_the_database_is_asked_once_in_fifteen_seconds_and_counts_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr("karenpanel.metrics.time.monotonic", lambda: now)
    client = Client()
    queries: list[str] = []

    def noted(execute: Any, sql: str, *rest: Any) -> Any:
        queries.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(noted):
        figures(client)
        first = len(queries)
        figures(client)
        assert len(queries) == first
        now += 16
        figures(client)

    assert len(queries) == 2 * first
    assert not [sql for sql in queries if "count(" in sql.lower()]


def test_while_the_database_is_away_it_says_so_and_no_old_figure(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    figures(client)
    monkeypatch.setattr("karenpanel.ready.reached", lambda: False)

    samples = figures(client)

    assert counted(samples, "karenpanel_database_reached") == 0
    assert not [name for name, _ in samples if name.startswith(("karenpanel_record", "karenpanel_rows"))]


# ── Several processes ───────────────────────────────────────────────────────


@pytest.fixture
def server(transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("METRICS_NETWORKS", "127.0.0.1")
    monkeypatch.setenv("WEB_WORKERS", "3")
    with running(tmp_path) as server:
        yield server


def test_whichever_process_is_asked_says_the_same_of_all(server: Server) -> None:
    for _ in range(30):
        server.send(clients.get("/sign-in/", keep=False))

    said = set()
    for _ in range(12):
        body = server.send(clients.get("/metrics", keep=False)).partition(b"\r\n\r\n")[2].decode()
        said.add(counted(read(body), "karenpanel_requests_total", view="account_login", method="GET", status="2xx"))
    folders = list(server.temporary.glob("karenpanel-metrics-*/counter_*.db"))
    server.stop()

    assert said == {30}
    assert len(folders) > 1, "several processes have answered"
    assert not list(server.temporary.glob("karenpanel-metrics-*"))
