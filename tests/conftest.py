"""The named cast, what they work on, and their browsers.

alice owns the project, erin edits, bob views; charlie is a stranger with a project of his own; staff may look into any
project; admin may do everything in the Django admin.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pgtrigger
import pytest
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations
from django.db.models import Model
from django.test import Client
from django.test.client import ClientHandler
from hypothesis import HealthCheck, settings
from pytest_django import DjangoDbBlocker
from zeal import zeal_context  # type: ignore[import-untyped]

from karenpanel import mailserver
from securitygroups import operations
from securitygroups.models import Asked, Project, Role, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests import mailbox
from tests.factories import make_group, make_machine, make_project, make_user, rule, sign_in_at
from tests.rights import with_web_rights

# What a machine does beside the tests must not fail them: no deadlines for single examples.
settings.register_profile(
    "panel", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("panel")


def pytest_configure() -> None:
    from django.conf import settings as django_settings
    from zeal.constants import initialize_app_registry  # type: ignore[import-untyped]
    from zeal.patch import patch  # type: ignore[import-untyped]

    # A lock and a second look are two get() of the same line; rows that are fetched one by one come otherwise.
    django_settings.ZEAL_ALLOWLIST = [{"model": "*", "field": "get()"}]
    initialize_app_registry()
    patch()
    Asked.one = as_single(Asked.one)  # type: ignore[method-assign]
    ClientHandler.__call__ = with_web_rights(ClientHandler.__call__)  # type: ignore[method-assign]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests first: a file of few long ones that came last would be waited for."""
    items.sort(key=lambda item: "browser" not in item.path.parts)


def as_single(one: Callable[..., Any]) -> Callable[..., Any]:
    """Says of what `Asked.one` finds, as of what get() finds, that it is a single row and none of many."""
    from zeal.listeners import n_plus_one_listener  # type: ignore[import-untyped]
    from zeal.patch import get_instance_key

    def found(self: Asked, **given: Any) -> Any:
        row = one(self, **given)
        if isinstance(row, Model):
            n_plus_one_listener.ignore(get_instance_key(row))
        return row

    return found


class WatchedClient(Client):
    """A test client whose requests fail when a view asks the database the same thing row by row (N+1)."""

    def request(self, **request: Any) -> Any:
        with zeal_context():
            return super().request(**request)


SignIn = Callable[[User], Client]

# TRUNCATE makes new files for a hundred tables and all of their indexes, of which a test fills ten. The names of what is
# there (permissions, migrations) stay. The caches are in tables that are no model's.
EMPTY = """
DO $$
DECLARE
    one regclass;
    filled boolean;
BEGIN
    SET CONSTRAINTS ALL DEFERRED;
    FOR one IN
        SELECT oid FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        AND relname NOT IN ('django_migrations', 'django_content_type', 'auth_permission')
    LOOP
        EXECUTE 'SELECT EXISTS (SELECT FROM ' || one || ')' INTO filled;
        IF filled THEN
            EXECUTE 'DELETE FROM ' || one;
        END IF;
    END LOOP;
END $$
"""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Tests with transaction=True empty all tables, which the append-only ones refuse: no triggers for that one statement."""
    flush = DatabaseOperations.execute_sql_flush

    def without_triggers(self: DatabaseOperations, statements: Iterable[str]) -> None:
        with pgtrigger.ignore():
            flush(self, [EMPTY])

    # On the class, for a browser's event loop gives the tests after it connection objects of their own.
    DatabaseOperations.execute_sql_flush = without_triggers  # type: ignore[method-assign,assignment]
    yield
    DatabaseOperations.execute_sql_flush = flush  # type: ignore[method-assign]
    # A browser's event loop leaves connections behind that nobody here can reach any more, and a database that somebody
    # is connected to is not dropped. It is this worker's own.
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


@pytest.fixture
def client() -> Client:
    """A browser that nobody is signed in at."""
    return WatchedClient()


@pytest.fixture
def sign_in() -> SignIn:
    """A new browser that the person is signed in at."""

    def browser(user: User) -> Client:
        client = WatchedClient()
        sign_in_at(client, user)
        return client

    return browser


@pytest.fixture(autouse=True)
def mails_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a test has imported the web server's entry, which gives the process an outbox."""
    monkeypatch.setattr("karenpanel.mail._outbox", None)


@pytest.fixture
def smtp(tmp_path: Path, settings: Any) -> Iterator[mailbox.Mailbox]:
    """A mail server, and the panel's own backend sending to it; at once, as commands do."""
    with mailbox.running(tmp_path / "mailbox") as server:
        settings.EMAIL_BACKEND = "karenpanel.mail.Backend"
        settings.MAIL_SERVER = mailserver.settings(server.url)
        yield server


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def project(alice: User) -> Project:
    """Owned by alice; who else is asked for becomes a member."""
    return make_project(alice, "Shop")


@pytest.fixture
def erin(project: Project, alice: User) -> User:
    user = make_user("erin")
    operations.add_member(project=project, user=user, role=Role.EDITOR, by=By(alice))
    return user


@pytest.fixture
def bob(project: Project, alice: User) -> User:
    user = make_user("bob")
    operations.add_member(project=project, user=user, role=Role.VIEWER, by=By(alice))
    return user


@pytest.fixture
def charlie(db: None) -> User:
    """A stranger to alice's project, with one of his own."""
    user = make_user("charlie")
    make_project(user, "Bakery")
    return user


@pytest.fixture
def bakery(charlie: User) -> Project:
    """Charlie's project."""
    return Project.objects.get(slug="bakery")


@pytest.fixture
def staff(db: None) -> User:
    return make_user("staff", "support", is_staff=True)


@pytest.fixture
def admin(db: None) -> User:
    return make_user("admin", is_staff=True, is_superuser=True)


@pytest.fixture
def group(project: Project) -> SecurityGroup:
    """“web”: 1 Drop IP from one host, 2 Accept TCP 443, 3 Accept TCP 22 from a network, 4 an IPv6 rule that is off, 5 Accept out."""
    return make_group(
        project,
        "web",
        [
            rule("drop in ip from 192.0.2.66", "Abuse"),
            rule("accept in tcp 443", "Public HTTPS"),
            rule("accept in tcp 22 from 203.0.113.0/24", "Office SSH"),
            rule("accept in tcp 8000-8010 from 2001:db8::/32", "Not yet", enabled=False),
            rule("accept out all", "Everything out"),
        ],
        description="Public web servers",
    )


@pytest.fixture
def machine(project: Project, group: SecurityGroup) -> VirtualMachine:
    """“web-1”, with “web” and then “outbound”."""
    outbound = make_group(project, "outbound", ["accept out tcp 443", "drop out udp"])
    return make_machine(project, "web-1", [group, outbound], ipv4="10.0.1.11", ipv6="2001:db8:10:1::11")


@pytest.fixture
def as_alice(sign_in: SignIn, alice: User) -> Client:
    return sign_in(alice)


@pytest.fixture
def as_erin(sign_in: SignIn, erin: User) -> Client:
    return sign_in(erin)


@pytest.fixture
def as_bob(sign_in: SignIn, bob: User) -> Client:
    return sign_in(bob)


@pytest.fixture
def as_charlie(sign_in: SignIn, charlie: User) -> Client:
    return sign_in(charlie)


@pytest.fixture
def as_staff(sign_in: SignIn, staff: User) -> Client:
    return sign_in(staff)


@pytest.fixture
def as_admin(sign_in: SignIn, admin: User) -> Client:
    return sign_in(admin)
