"""The web processes' role in the database: what it cannot do, whatever is sent through it; what it is given; who looks.

The attacks come over a connection of that role's own, as from a web process in which somebody runs code of theirs.
"""

from collections.abc import Iterator
from typing import Any

import pgtrigger
import psycopg
import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import connection, connections, models
from django.test import Client
from psycopg.errors import InsufficientPrivilege
from psycopg.sql import SQL, Identifier

from karenpanel import checks, database, roles
from securitygroups import operations
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet
from securitygroups.models import (
    AccountEvent,
    CaseNote,
    CasePacket,
    CaseStep,
    Event,
    GroupRevision,
    MachineRevision,
    Project,
    ReviewedGroup,
    ReviewedRule,
    SecurityGroup,
    SignedReview,
    SupportCase,
    SupportVisit,
    User,
    VirtualMachine,
    VisitEnd,
)
from tests.conftest import SignIn
from tests.factories import PASSWORD, reviewed
from tests.rights import may_switch, web_settings

RECORDS: list[type[models.Model]] = [
    GroupRevision, MachineRevision, Event, SupportVisit, VisitEnd, SupportCase, CaseNote, CasePacket,
    CaseStep, AccountEvent, LogEntry, SignedReview, ReviewedGroup, ReviewedRule,
]  # fmt: skip
TABLES = [model._meta.db_table for model in RECORDS]
WEB, OWNER = settings.DATABASE_WEB_ROLE, settings.DATABASES["default"]["USER"]
needs_two_roles = pytest.mark.skipif(not WEB, reason="DATABASE_OWNER_URL is not set, so there is one role for all")
committed = pytest.mark.django_db(transaction=True)

ON_A_RECORD = (
    "UPDATE {table} SET id = id",
    "DELETE FROM {table}",
    "TRUNCATE {table} CASCADE",
    "DROP TABLE {table} CASCADE",
    "SELECT * FROM {table} FOR UPDATE",
    "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
    "MERGE INTO {table} t USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
    "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "ALTER TABLE {table} DISABLE TRIGGER USER",
    "ALTER TABLE {table} RENAME TO away",
    "ALTER TABLE {table} ADD COLUMN more text",
    "ALTER TABLE {table} OWNER TO {web}",
    "ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
    "CREATE RULE silent AS ON INSERT TO {table} DO INSTEAD NOTHING",
    "CREATE TRIGGER mine BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE INDEX mine ON {table} (id)",
    "COPY {table} FROM '/etc/passwd'",
)
ON_THE_SERVER = (
    "SET ROLE {owner}",
    "SET SESSION AUTHORIZATION {owner}",
    "GRANT {owner} TO {web}",
    "ALTER ROLE {web} SUPERUSER",
    "ALTER ROLE {owner} PASSWORD 'mine'",
    "CREATE ROLE mine",
    "SET session_replication_role = replica",
    "ALTER SYSTEM SET session_replication_role = replica",
    "ALTER ROLE {web} SET session_replication_role = replica",
    "CREATE TABLE mine (id int)",
    "CREATE TEMPORARY TABLE securitygroups_accountevent (id int)",
    "CREATE VIEW mine AS SELECT 1",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION _pgtrigger_should_ignore(trigger_name name) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "DROP FUNCTION _pgtrigger_should_ignore CASCADE",
    "CREATE SCHEMA mine",
    "DROP SCHEMA public CASCADE",
    "CREATE DATABASE mine",
    "DROP OWNED BY {owner}",
    "UPDATE pg_trigger SET tgenabled = 'D'",
    "DELETE FROM pg_authid",
    "SELECT rolpassword FROM pg_authid",
    "INSERT INTO django_migrations (app, name, applied) VALUES ('a', 'b', now())",
    "DELETE FROM django_migrations",
    "SELECT setval('securitygroups_event_id_seq', 1)",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/mine'",
    "COPY securitygroups_project FROM PROGRAM 'true'",
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT pg_ls_dir('.')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(lo_creat(-1), '/tmp/mine')",
    "SELECT pg_reload_conf()",
)


@pytest.fixture
def web() -> Iterator["psycopg.Connection[Any]"]:
    """A connection of the web's role, to the database of the tests."""
    with psycopg.connect(**database.parameters(web_settings()), autocommit=True) as direct:
        yield direct


@pytest.fixture
def switchable(db: None) -> None:
    """The owner may act as the web's role."""
    if not may_switch():
        pytest.skip(f"{OWNER} may not act as {WEB}: GRANT {WEB} TO {OWNER}")


@pytest.fixture
def recorded(machine: VirtualMachine, group: SecurityGroup, staff: User, alice: User) -> None:
    """A line of each record."""
    visit = operations.open_visit(project=machine.project, staff=staff, reason="Asked", ticket="T-1")
    operations.leave(project=machine.project, staff=staff, visits=[visit])
    case = operations.open_case(about=machine, packet=Packet(Direction.IN), staff=staff, note="Look")
    operations.add_packet(case=case, about=machine, packet=Packet(Direction.OUT), staff=staff)
    operations.take_case(case=case, staff=staff)
    reviewed(group, alice)
    AccountEvent.objects.create(verb=AccountEvent.Verb.SIGNED_IN, user=alice)
    LogEntry.objects.create(
        user=staff, content_type=ContentType.objects.get_for_model(group), object_id=str(group.pk), action_flag=2
    )


def rows() -> dict[str, list[dict[str, Any]]]:
    return {model._meta.db_table: list(model._default_manager.order_by("pk").values()) for model in RECORDS}


def written(statement: str, table: str = "nothing") -> Any:
    return SQL(statement).format(table=Identifier(table), web=Identifier(WEB), owner=Identifier(OWNER))


def triggers() -> list[tuple[str, str]]:
    """(name, table) of every trigger that can be told to be ignored."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE 'pgtrigger%'")
        found: list[tuple[str, str]] = cursor.fetchall()
    return found


# ── Attacks ───────────────────────────────────────────────────────────────────


@needs_two_roles
@committed
@pytest.mark.parametrize("ignoring", [False, True], ids=["", "with the triggers ignored"])
def test_nothing_on_record_is_changed_by_the_web(
    recorded: None, web: "psycopg.Connection[Any]", *, ignoring: bool
) -> None:
    before = rows()
    assert all(before.values())
    if ignoring:
        web.execute(
            "SELECT set_config('pgtrigger.ignore', %s, false)", ["{" + ",".join(name for name, _ in triggers()) + "}"]
        )

    for table in TABLES:
        for statement in ON_A_RECORD:
            with pytest.raises(InsufficientPrivilege), web.transaction():
                web.execute(written(statement, table))
    assert len(triggers()) == 2 * len(TABLES)
    for name, table in triggers():
        with pytest.raises(InsufficientPrivilege):
            web.execute(SQL("DROP TRIGGER {} ON {}").format(Identifier(name), Identifier(table)))
    with pytest.raises(InsufficientPrivilege):
        web.execute(
            "INSERT INTO django_admin_log SELECT * FROM django_admin_log ON CONFLICT (id) DO UPDATE SET object_repr = ''"
        )

    assert rows() == before


@needs_two_roles
@pytest.mark.django_db
def test_triggers_alone_would_not_hold(recorded: None) -> None:
    """What makes the test above worth something: with the owner's rights the same statement goes through."""
    with pgtrigger.ignore():
        assert Event.objects.update(summary="Nothing happened")

    assert {event["summary"] for event in rows()["securitygroups_event"]} == {"Nothing happened"}


@needs_two_roles
@committed
@pytest.mark.parametrize("statement", ON_THE_SERVER)
def test_the_web_becomes_nobody_else_and_makes_nothing(web: "psycopg.Connection[Any]", statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        web.execute(written(statement))


@needs_two_roles
@committed
def test_what_a_record_tells_of_is_not_deleted_under_it(recorded: None, web: "psycopg.Connection[Any]") -> None:
    before = rows()

    for model in (Project, SecurityGroup, VirtualMachine, User):
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            web.execute(written("DELETE FROM {table}", model._meta.db_table))

    assert rows() == before


@needs_two_roles
@committed
def test_the_web_gives_its_rights_to_nobody(web: "psycopg.Connection[Any]") -> None:
    """PostgreSQL only warns, since the role has some rights there."""
    before = {table: given(table) for table in TABLES}

    for table in TABLES:
        web.execute(written("GRANT ALL ON {table} TO PUBLIC, {web}", table))

    assert {table: given(table) for table in TABLES} == before
    with connection.cursor() as cursor:
        assert checks.look(cursor, WEB) == []


@pytest.mark.django_db
def test_no_foreign_key_deletes_or_changes_by_itself() -> None:
    """It would do so with the rights of the tables' owner."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT confdeltype, confupdtype FROM pg_constraint WHERE contype = 'f'")

        assert cursor.fetchall() == [("a", "a")]


# ── What it is given ──────────────────────────────────────────────────────────


def given(table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(roles.GIVEN, {"role": WEB})
        return set(dict(cursor.fetchall()).get(table, ()))


@needs_two_roles
@pytest.mark.django_db
def test_every_table_has_the_rights_that_its_triggers_leave() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE 'pgtrigger_append_only%'")
        guarded = {table for (table,) in cursor.fetchall()}
        there = set(connection.introspection.table_names(cursor))
    assert guarded == {*TABLES}

    assert roles.wanted().keys() == there
    for table in there:
        read = {"django_migrations": {"SELECT"}}
        added_to = {name: {"SELECT", "INSERT"} for name in TABLES}
        assert given(table) == (read | added_to).get(table, {"SELECT", "INSERT", "UPDATE", "DELETE"}), table


@needs_two_roles
@pytest.mark.django_db
def test_migrate_gives_what_is_missing_and_takes_what_is_too_much() -> None:
    with connection.cursor() as cursor:
        for statement in (
            "GRANT TRUNCATE, UPDATE ON securitygroups_event TO {web}",
            "GRANT UPDATE (summary) ON securitygroups_grouprevision TO {web}",
            "REVOKE INSERT ON securitygroups_project FROM {web}",
            "REVOKE USAGE ON SCHEMA public FROM PUBLIC",
            "CREATE TABLE stray (id int)",
            "GRANT ALL ON stray TO {web}",
        ):
            cursor.execute(written(statement))
        assert given("securitygroups_grouprevision") == {"SELECT", "INSERT", "a column"}

        call_command("migrate", verbosity=0)

        assert given("securitygroups_event") == given("securitygroups_grouprevision") == {"SELECT", "INSERT"}
        assert given("securitygroups_project") == {"SELECT", "INSERT", "UPDATE", "DELETE"}
        assert given("stray") == set()
        assert checks.look(cursor, WEB) == []


@needs_two_roles
@pytest.mark.django_db
def test_the_table_of_the_cache_is_given_when_it_is_made() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE cache")
    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0, dry_run=True)

    call_command("createcachetable", verbosity=0)

    assert given("cache") == {"SELECT", "INSERT", "UPDATE", "DELETE"}


@pytest.mark.django_db
def test_a_role_that_does_not_exist_is_named(settings: Any) -> None:
    settings.DATABASE_WEB_ROLE = "nobody_here"
    with pytest.raises(CommandError, match=r"no role nobody_here.*CREATE ROLE nobody_here LOGIN"):
        roles.grant()


@needs_two_roles
@pytest.mark.usefixtures("switchable")
def test_who_is_not_the_owner_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with connection.cursor() as cursor:
        cursor.execute("REVOKE INSERT ON securitygroups_project FROM " + WEB)
        cursor.execute("SET LOCAL ROLE " + WEB)
        with pytest.raises(CommandError, match=r"by the owner of the tables alone.*GRANT DELETE, INSERT"):
            roles.grant()
        monkeypatch.setattr(database, "used_for", lambda: database.Purpose.SCHEMA)
        [problem] = run_checks(databases=["default"])

    assert (problem.id, problem.msg) == (
        "karenpanel.E030",
        f"The role {WEB} may not make tables, so it cannot migrate.",
    )
    assert "DATABASE_OWNER_URL" in str(problem.hint)


def test_with_one_role_nothing_is_given(settings: Any) -> None:
    settings.DATABASE_WEB_ROLE = ""

    # Without a database: this test has none.
    roles.grant()


# ── The panel with these rights ───────────────────────────────────────────────


@needs_two_roles
@pytest.mark.usefixtures("switchable")
def test_the_browsers_of_all_tests_are_answered_with_the_rights_of_the_web(as_alice: Client, project: Project) -> None:
    seen = set()

    def note(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        seen.add(context["connection"].connection.execute("SELECT current_user").fetchone()[0])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        assert as_alice.get(f"/p/{project.slug}/").status_code == 200

    assert seen == {WEB}
    assert connection.connection.execute("SELECT current_user").fetchone()[0] == OWNER


@pytest.fixture
def signed_in_as_the_web() -> Iterator[None]:
    """All that the test asks of the database comes over a connection of the web's role."""

    def reconnect(chosen: dict[str, Any]) -> None:
        connection.close()
        connection.settings_dict.update({key: chosen[key] for key in ("USER", "PASSWORD") if key in chosen})

    before = dict(connection.settings_dict)
    reconnect(web_settings())
    yield
    reconnect(before)


@needs_two_roles
@committed
def test_a_day_of_the_panel_over_a_connection_of_the_web(
    client: Client, sign_in: SignIn, admin: User, staff: User, bob: User, machine: VirtualMachine,
    signed_in_as_the_web: None, settings: Any,
) -> None:  # fmt: skip
    settings.ZEAL_ALLOWLIST = [{"model": "sessions.Session"}]
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT session_user::text")
        assert cursor.fetchone() == (WEB,)

    def post(address: str, browser: Client = client, **data: Any) -> str:
        answer = browser.post(address, data)
        assert answer.status_code == 302, answer.content.decode()[:3000]
        return str(answer["Location"])

    assert client.post("/sign-in/", {"login": "alice", "password": "wrong"}).status_code == 422
    post("/sign-in/", login="alice", password=PASSWORD)
    group = post("/p/shop/groups/new/", name="db", description="Databases")
    post(f"{group}rules/new/", base=1, action="accept", direction="in", protocol="tcp", port_start="5432", place=1)
    post(f"{group}edit/", base=2, name="databases", description="")
    post(f"{group}delete/", base=2)
    post("/p/shop/machines/new/", name="db-1", ipv4="10.0.1.20", ipv6="")
    desk = sign_in(staff)
    post("/support/shop/", desk, reason="They asked", ticket="T-9")
    assert desk.get(f"/p/shop/machines/{machine.public_id}/").status_code == 200
    site = sign_in(admin)
    post("/admin/auth/group/add/", site, name="Helpers")
    post("/admin/securitygroups/user/add/", site, username="new", email="new@example.com")
    post("/sign-out/")
    call_command("clearsessions")
    cache.set("kept", 1)
    cache.delete("kept")

    assert Event.objects.filter(verb=Event.Verb.SUPPORT_LOOK).exists()
    # A group, an account, and the link that was sent to it.
    assert LogEntry.objects.count() == 3
    # The third is of the one who signed out, whose next page says so.
    assert Session.objects.count() == 3


# ── Who looks ─────────────────────────────────────────────────────────────────


def said(role: str = WEB) -> list[tuple[str | None, str]]:
    with connection.cursor() as cursor:
        return [(found.id, found.msg) for found in checks.look(cursor, role)]


@pytest.mark.django_db
def test_the_owner_is_no_role_for_the_web() -> None:
    [(name, words)] = said("")

    assert name == "karenpanel.W030"
    assert words.startswith(f"The role {OWNER} of the web processes may do more in the database than they need: ")
    assert "it owns account_emailaddress, " in words
    assert "can empty them and switch their triggers off" in words


@pytest.mark.django_db
def test_a_superuser_is_told_of_in_one_word() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolsuper")
        superuser = cursor.fetchall()[0][0]

    assert "it has CREATEROLE and BYPASSRLS and REPLICATION and SUPERUSER; it owns" in said(superuser)[0][1]


@needs_two_roles
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        ("GRANT UPDATE ON securitygroups_event TO {web}", "W030", "it may UPDATE securitygroups_event."),
        ("GRANT UPDATE (at) ON securitygroups_event TO {web}", "W030", "it may UPDATE securitygroups_event."),
        ("GRANT DELETE ON securitygroups_event TO PUBLIC", "W030", "it may DELETE securitygroups_event."),
        ("GRANT TRIGGER ON django_session TO {web}", "W030", "it may TRIGGER django_session."),
        ("GRANT TRUNCATE ON ALL TABLES IN SCHEMA public TO {web}", "W030", "it may TRUNCATE account_emailaddress, "),
        ("GRANT CREATE ON SCHEMA public TO PUBLIC", "W030", "it may make tables and functions in the schema."),
        ("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {web}", "W031", "lacks rights on account_emailaddress, "),
        ("REVOKE INSERT ON cache FROM {web}", "W031", "lacks rights on cache."),
    ],
)
def test_what_the_web_may_do_beyond_its_needs_and_what_it_lacks_is_said(
    change: str, name: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "used_for", lambda: database.Purpose.ORDINARY)
    assert said() == []
    with connection.cursor() as cursor:
        cursor.execute(written(change))

    [(found, text)] = said()

    assert found == f"karenpanel.{name}"
    assert words in text


@needs_two_roles
@pytest.mark.django_db
def test_before_it_gives_the_rights_migrate_does_not_complain_that_they_are_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(written("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {web}"))
    monkeypatch.setattr(database, "used_for", lambda: database.Purpose.SCHEMA)

    assert said() == []


@pytest.mark.django_db
def test_the_check_runs_where_the_database_is_asked_and_names_a_role_that_is_missing(settings: Any) -> None:
    settings.DATABASE_WEB_ROLE = "nobody_here"

    assert "W031" not in str(run_checks())
    [problem] = [found for found in run_checks(databases=["default"]) if found.id == "karenpanel.W031"]

    assert problem.msg == "The database has no role nobody_here, which web processes use."
    assert "CREATE ROLE nobody_here LOGIN" in str(problem.hint)


@pytest.mark.django_db
def test_the_embedded_server_of_an_earlier_version_is_to_be_started_again(settings: Any) -> None:
    settings.DATABASE_WEB_ROLE = database.WEB_ROLE
    if not database.is_embedded(settings.DATABASES["default"]):
        pytest.skip("DATABASE_URL names another server")

    assert "manage.py database stop" in roles.absent_hint(database.WEB_ROLE)
