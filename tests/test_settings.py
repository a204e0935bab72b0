"""The settings fail closed, and every system check of the panel speaks."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.conf import settings as current
from django.core.checks import run_checks
from django.test import Client

import manage
from karenpanel import database
from securitygroups.apps import check_limits, check_transport, check_way_to_database

ROOT = Path(__file__).parents[1]
KEY = "production-" + "Zb4" * 20
PRODUCTION = {
    "SECRET_KEY": KEY,
    "ALLOWED_HOSTS": "panel.example.com",
    "EMAIL_URL": "submission://panel:secret@mail.example.com",
}
PROVIDER = {"OIDC_URL": "https://login.example.net/", "OIDC_CLIENT_ID": "panel", "OIDC_CLIENT_SECRET": "secret"}
OURS = (
    "DEBUG SECRET_KEY SECRET_KEY_FALLBACKS ALLOWED_HOSTS CSRF_TRUSTED_ORIGINS INSECURE_HTTP PROXY_COUNT DATABASE_URL "
    "DATABASE_OWNER_URL HSTS_SECONDS HSTS_PRELOAD STATIC_ROOT MAX_GROUPS_PER_PROJECT MAX_RULES_PER_GROUP "
    "MAX_MACHINES_PER_PROJECT MAX_GROUPS_PER_MACHINE MAX_TEMPLATES_PER_PROJECT MAX_CASES_PER_PROJECT "
    "MAX_NOTES_PER_CASE MAX_PACKETS_PER_CASE MAX_REVIEWS_PER_PROJECT MAX_DECISIONS_PER_REVIEW MAX_MEMBERS_PER_PROJECT "
    "MAX_INVITATIONS_PER_PROJECT WEB_WORKERS WEB_THREADS DEAR_AT_ONCE DATABASE_STATEMENT_SECONDS DATABASE_LOCK_SECONDS DATABASE_IDLE_SECONDS "
    "METRICS_NETWORKS PAGE_SIZE LOG_LEVEL EMAIL_URL EMAIL_FROM DEMO_MAILS "
    "OIDC_URL OIDC_CLIENT_ID OIDC_CLIENT_SECRET OIDC_NAME OIDC_SIGN_UP OIDC_SECOND_FACTOR"
)


def run(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """The command in an environment that has these variables of ours and no other."""
    # A browser's test in the same process lets itself use the database beside a loop of events.
    other = (*OURS.split(), "DJANGO_ALLOW_ASYNC_UNSAFE")
    clean = {name: value for name, value in os.environ.items() if name not in other}
    return subprocess.run(
        [sys.executable, *command],
        env=clean | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def shown(*names: str, **environment: str) -> Any:
    """Settings as a process has them that starts with this environment."""
    script = (
        "import json, os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'karenpanel.settings';"
        "from django.conf import settings;"
        "print(json.dumps({name: getattr(settings, name, None) for name in sys.argv[1:]}, default=str))"
    )
    done = run("-c", script, *names, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(autouse=True)
def no_file() -> None:
    if (ROOT / ".env").exists():
        pytest.skip("a .env file says what is to be tried without one")


def test_in_production_everything_that_protects_is_on() -> None:
    found = shown(
        "DEBUG", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY", "CSRF_COOKIE_HTTPONLY",
        "SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME", "SESSION_COOKIE_SAMESITE", "CSRF_COOKIE_SAMESITE",
        "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS", "SECURE_HSTS_INCLUDE_SUBDOMAINS", "SECURE_HSTS_PRELOAD",
        "SECURE_CONTENT_TYPE_NOSNIFF",
        "X_FRAME_OPTIONS", "SECURE_PROXY_SSL_HEADER", "SESSION_COOKIE_DOMAIN",
        **PRODUCTION,
    )  # fmt: skip

    assert found == {
        "DEBUG": False,
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "SESSION_COOKIE_HTTPONLY": True,
        "CSRF_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_NAME": "__Host-session",
        "CSRF_COOKIE_NAME": "__Host-csrftoken",
        "SESSION_COOKIE_SAMESITE": "Lax",
        "CSRF_COOKIE_SAMESITE": "Lax",
        "SECURE_SSL_REDIRECT": True,
        "SECURE_HSTS_SECONDS": 31_536_000,
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": True,
        # No browser keeps to HTTPS for longer than it was told: a place in its own list is asked for by hand.
        "SECURE_HSTS_PRELOAD": False,
        "SECURE_CONTENT_TYPE_NOSNIFF": True,
        "X_FRAME_OPTIONS": "DENY",
        # Nobody stands in front unless it is said: a client could write this header itself.
        "SECURE_PROXY_SSL_HEADER": None,
        "SESSION_COOKIE_DOMAIN": None,
    }


def test_a_key_of_before_reads_what_it_signed_and_signs_nothing_more() -> None:
    script = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "karenpanel.settings"
import django
django.setup()
from django.core.signing import BadSignature, dumps, loads
if len(sys.argv) < 2:
    print(dumps("alice"))
else:
    try:
        print(loads(sys.argv[1]))
    except BadSignature:
        print("refused")
"""
    new = PRODUCTION | {"SECRET_KEY": "another-" + KEY}

    before, after = run("-c", script, **PRODUCTION).stdout.strip(), run("-c", script, **new).stdout.strip()

    both = new | {"SECRET_KEY_FALLBACKS": KEY}
    assert run("-c", script, before, **both).stdout == run("-c", script, after, **both).stdout == "alice\n"
    assert run("-c", script, before, **new).stdout == "refused\n"
    fresh = run("-c", script, **both).stdout.strip()
    assert run("-c", script, fresh, **PRODUCTION).stdout == "refused\n"


def test_a_proxy_is_believed_only_when_there_is_one() -> None:
    found = shown("SECURE_PROXY_SSL_HEADER", "PROXY_COUNT", **PRODUCTION, PROXY_COUNT="2")

    assert found == {"SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"], "PROXY_COUNT": 2}


def test_plain_http_takes_the_flags_off_that_would_lock_everybody_out() -> None:
    found = shown(
        "SESSION_COOKIE_SECURE", "SESSION_COOKIE_NAME", "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS", "DEBUG",
        SECRET_KEY=KEY, INSECURE_HTTP="1",
    )  # fmt: skip

    assert list(found.values()) == [False, "session", False, 0, False]


def test_a_place_in_the_browsers_own_list_is_asked_for_by_name_alone() -> None:
    asked = shown("SECURE_HSTS_PRELOAD", "SILENCED_SYSTEM_CHECKS", **PRODUCTION, HSTS_PRELOAD="1")
    over_http = shown("SECURE_HSTS_PRELOAD", SECRET_KEY=KEY, INSECURE_HTTP="1", HSTS_PRELOAD="1")

    assert asked == {"SECURE_HSTS_PRELOAD": True, "SILENCED_SYSTEM_CHECKS": ["security.W021"]}
    assert over_http == {"SECURE_HSTS_PRELOAD": False}


def test_an_empty_environment_allows_nobody_in() -> None:
    script = "from karenpanel import settings; print([settings.SECRET_KEY, settings.ALLOWED_HOSTS, settings.DEBUG])"

    assert run("-c", script).stdout == "['', [], False]\n"


def test_e003_without_a_secret_key_the_check_fails() -> None:
    done = run("manage.py", "check", ALLOWED_HOSTS="panel.example.com")

    assert done.returncode != 0
    assert "karenpanel.E003" in done.stderr
    assert "HINT: Set SECRET_KEY" in done.stderr


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"ALLOWED_HOSTS": "panel.example.com"}, "SECRET_KEY is empty."),
        ({"ALLOWED_HOSTS": "panel.example.com", "SECRET_KEY": KEY, "INSECURE_HTTP": "1"}, "INSECURE_HTTP is on"),
    ],
)
def test_a_web_server_does_not_start_where_the_checks_fail(named: dict[str, str], words: str) -> None:
    done = run("-W", "ignore", "-c", "import karenpanel.wsgi", **named)

    assert done.returncode != 0
    assert words in done.stderr
    assert "HINT: " in done.stderr


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "testserver", ""])
def test_a_host_that_is_not_allowed_is_refused(db: None, settings: Any, host: str) -> None:
    settings.ALLOWED_HOSTS = ["panel.example.com"]

    assert Client().get("/sign-in/", headers={"host": host or "a b"}).status_code == 400
    assert Client().get("/sign-in/", headers={"host": "panel.example.com"}).status_code == 200


def test_without_allowed_hosts_the_deployment_check_fails() -> None:
    done = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", SECRET_KEY=KEY)

    assert done.returncode != 0
    assert "security.W020" in done.stderr


def test_the_deployment_check_is_clean_with_the_settings_of_production() -> None:
    done = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)

    assert (done.returncode, done.stderr) == (0, "")
    assert "no issues" in done.stdout


@pytest.mark.parametrize(
    ("wrong", "identities"),
    [
        ({"SECRET_KEY": "short", "HSTS_SECONDS": "0", "MAX_RULES_PER_GROUP": "0", "EMAIL_FROM": "The panel"},
         "security.W009 security.W004 karenpanel.E001 karenpanel.E010"),
        ({"DEBUG": "1", "PAGE_SIZE": "-1", "DATABASE_URL": "postgres://panel@db.internal/panel", "DEMO_MAILS": "/somewhere"},
         "security.W018 karenpanel.E001 karenpanel.W001 karenpanel.E011"),
        ({"INSECURE_HTTP": "1", "EMAIL_URL": "", "OIDC_URL": "https://login.example.net"},
         "karenpanel.E002 karenpanel.W010 karenpanel.E020"),
        ({"INSECURE_HTTP": "1", "ALLOWED_HOSTS": "*", **PROVIDER, "OIDC_URL": "login.example.net"},
         "karenpanel.E002 karenpanel.E021"),
        ({**PROVIDER, "OIDC_URL": "http://login.example.net", "EMAIL_URL": "smtp://panel:secret@mail.example.com"},
         "karenpanel.E022 karenpanel.W011"),
    ],
)  # fmt: skip
def test_each_wrong_setting_is_named_by_the_deployment_check(wrong: dict[str, str], identities: str) -> None:
    """Several at once, for each is told; with the settings of production none is."""
    done = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION | wrong)

    assert done.returncode != 0
    for identity in identities.split():
        (told,) = [part for part in done.stderr.split("\n?:")[1:] if identity in part] or [""]
        assert "HINT" in told or (told and identity.startswith("security.")), (identity, done.stderr)


@pytest.mark.parametrize(
    "name",
    [
        "MAX_GROUPS_PER_PROJECT", "MAX_RULES_PER_GROUP", "MAX_MACHINES_PER_PROJECT", "MAX_GROUPS_PER_MACHINE", "PAGE_SIZE",
        "MAX_TEMPLATES_PER_PROJECT", "MAX_CASES_PER_PROJECT", "MAX_NOTES_PER_CASE", "MAX_PACKETS_PER_CASE", "MAX_MEMBERS_PER_PROJECT",
        "MAX_INVITATIONS_PER_PROJECT", "MAX_REVIEWS_PER_PROJECT", "MAX_DECISIONS_PER_REVIEW",
        "WEB_WORKERS", "WEB_THREADS",
    ],
)  # fmt: skip
def test_e001_a_limit_below_one_is_an_error_with_a_hint(settings: Any, name: str) -> None:
    setattr(settings, name, 0)
    [problem] = check_limits(None)

    assert (problem.id, problem.is_serious(), problem.msg) == ("karenpanel.E001", True, f"{name} is 0.")
    assert problem.hint == f"Set {name} to a whole number from 1."
    assert problem in run_checks()


@pytest.mark.parametrize(
    "hosts", [["panel.example.com"], ["*"], [".example.com"], ["localhost", "10.0.0.1"], ["0.0.0.0"]]
)
def test_e002_plain_http_is_for_this_machine_alone(settings: Any, hosts: list[str]) -> None:
    settings.INSECURE_HTTP, settings.ALLOWED_HOSTS = True, hosts
    [problem] = check_transport(None)

    assert (problem.id, problem.is_serious()) == ("karenpanel.E002", True)
    assert "Remove INSECURE_HTTP" in str(problem.hint)
    assert problem in run_checks(tags=["security"])
    settings.INSECURE_HTTP = False
    assert check_transport(None) == []


def test_plain_http_on_loopback_names_is_no_problem(settings: Any) -> None:
    settings.INSECURE_HTTP, settings.ALLOWED_HOSTS = True, ["localhost", "127.0.0.1", "[::1]"]

    assert check_transport(None) == []
    assert check_limits(None) == []


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("postgres://panel@db.internal/panel", True),
        ("postgres://panel@db.internal/panel?sslmode=require", True),
        ("postgres://panel@10.0.0.9/panel?sslmode=prefer", True),
        ("postgres://panel@db.internal/panel?sslmode=verify-full", False),
        ("postgres://panel@db.internal/panel?sslrootcert=system", False),
        ("postgres://panel@localhost/panel", False),
        ("postgres://panel@/panel?host=/run/postgresql", False),
        ("", False),
    ],
)
def test_w001_a_database_elsewhere_has_to_prove_who_it_is(
    monkeypatch: pytest.MonkeyPatch, url: str, warned: bool
) -> None:
    # In place: Django warns of a whole new dictionary of databases.
    monkeypatch.setitem(current.DATABASES, "default", database.settings(url))

    found = check_way_to_database(None)

    assert [problem.id for problem in found] == ["karenpanel.W001"] * warned
    assert all("sslmode=verify-full" in str(problem.hint) for problem in found)


@pytest.mark.parametrize("url", ["sqlite:///x.db", "mysql://u:p@h/db", "garbage", "postgres://", "postgresql://host"])
def test_a_database_that_is_not_postgresql_is_refused_in_words(url: str) -> None:
    done = run("manage.py", "check", **PRODUCTION, DATABASE_URL=url)

    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "ImproperlyConfigured" in last or "DATABASE_URL" in last
    assert "DATABASE_URL" in done.stderr
    assert "postgres" in last.lower()


def test_a_password_in_a_database_url_is_not_repeated_in_the_refusal() -> None:
    done = run("manage.py", "check", **PRODUCTION, DATABASE_URL="mysql://user:hunter2secret@host/db")

    assert "hunter2secret" not in done.stderr + done.stdout


def test_single_sign_on_lets_in_whom_the_panel_knows_unless_more_is_said() -> None:
    names = ("OIDC_URL", "OIDC_NAME", "OIDC_SIGN_UP", "OIDC_SECOND_FACTOR", "SOCIALACCOUNT_STORE_TOKENS")

    assert list(shown(*names, **PRODUCTION, **PROVIDER).values()) == [
        "https://login.example.net", "single sign-on", False, False, False,
    ]  # fmt: skip
    assert shown("SOCIALACCOUNT_PROVIDERS", **PRODUCTION) == {"SOCIALACCOUNT_PROVIDERS": {}}


def test_mails_come_from_whom_the_environment_says() -> None:
    assert shown("DEFAULT_FROM_EMAIL", **PRODUCTION) == {"DEFAULT_FROM_EMAIL": "karenpanel@panel.example.com"}

    found = shown("DEFAULT_FROM_EMAIL", "SERVER_EMAIL", "EMAIL_TIMEOUT", **PRODUCTION, EMAIL_FROM="P <p@example.net>")

    assert list(found.values()) == ["P <p@example.net>", "P <p@example.net>", 10]


def test_a_password_in_an_email_url_is_not_repeated_in_the_refusal() -> None:
    done = run("manage.py", "check", **PRODUCTION | {"EMAIL_URL": "smtp://user:hunter2secret/x@host"})

    assert done.returncode != 0
    assert "EMAIL_URL cannot be read: submission://" in done.stderr
    assert "hunter2secret" not in done.stderr + done.stdout


TWO = {
    "DATABASE_URL": "postgresql://web:a@127.0.0.1:1/panel",
    "DATABASE_OWNER_URL": "postgresql://owner:b@127.0.0.1:1/panel",
}
WHO = (
    "from django.conf import settings; print(settings.DATABASES['default']['USER'], settings.DATABASE_WEB_ROLE or '-')"
)


def test_a_web_process_never_uses_the_owners_address_and_starts_while_the_database_is_down() -> None:
    done = run("-c", f"import karenpanel.wsgi; {WHO}", **PRODUCTION, **TWO)

    assert (done.returncode, done.stdout) == (0, "web web\n"), done.stderr
    assert "The rights of the database's role could not be looked at." in done.stderr


def test_a_web_process_says_where_its_role_is_the_owner() -> None:
    embedded = current.DATABASES["default"]
    if not embedded["HOST"].startswith("/"):
        pytest.skip("DATABASE_URL names another server")
    names = {"host": embedded["HOST"], "user": embedded["USER"], "dbname": embedded["NAME"]}
    url = "postgresql://?" + urlencode(names, quote_via=quote)
    done = run("-c", f"import karenpanel.wsgi; {WHO}", **PRODUCTION, DATABASE_URL=url)

    assert (done.returncode, done.stdout) == (0, "karenpanel -\n"), done.stderr
    assert '"id": "karenpanel.W030"' in done.stderr
    assert "DATABASE_OWNER_URL the one that owns" in done.stderr


def test_an_owners_address_that_a_web_process_can_read_is_told_of() -> None:
    embedded = current.DATABASES["default"]
    if not embedded["HOST"].startswith("/"):
        pytest.skip("DATABASE_URL names another server")
    names = {"host": embedded["HOST"], "dbname": embedded["NAME"]}
    web, owner = (
        "postgresql://?" + urlencode(names | {"user": user}, quote_via=quote)
        for user in ("karenpanel_web", "karenpanel")
    )
    done = run("-c", f"import karenpanel.wsgi; {WHO}", **PRODUCTION, DATABASE_URL=web, DATABASE_OWNER_URL=owner)

    assert (done.returncode, done.stdout) == (0, "karenpanel_web karenpanel_web\n"), done.stderr
    assert "karenpanel.W032" in done.stderr
    assert "karenpanel.W030" not in done.stderr


@pytest.mark.parametrize(
    ("command", "purpose"),
    [
        ("migrate", "SCHEMA"), ("createcachetable", "SCHEMA"), ("flush", "SCHEMA"), ("demo", "SCHEMA"),
        ("runserver", "WEB"), ("check", "ORDINARY"), ("shell", "ORDINARY"), ("createsuperuser", "ORDINARY"), ("", "ORDINARY"),
    ],
)  # fmt: skip
def test_a_command_says_whether_it_works_on_the_schema(command: str, purpose: str) -> None:
    assert manage.purpose([command, "migrate"] if command else []).name == purpose


@pytest.mark.parametrize(
    ("urls", "purpose", "user", "web"),
    [
        (TWO, "SCHEMA", "owner", "web"),
        (TWO, "ORDINARY", "web", "web"),
        (TWO, "WEB", "web", "web"),
        ({"DATABASE_URL": TWO["DATABASE_URL"]}, "SCHEMA", "web", "-"),
        ({"DATABASE_URL": TWO["DATABASE_URL"], "DATABASE_OWNER_URL": TWO["DATABASE_URL"]}, "WEB", "web", "-"),
        ({}, "ORDINARY", "karenpanel", "karenpanel_web"),
        ({}, "SCHEMA", "karenpanel", "karenpanel_web"),
        ({}, "WEB", "karenpanel_web", "karenpanel_web"),
    ],
)
def test_what_a_process_is_for_decides_its_role(urls: dict[str, str], purpose: str, user: str, web: str) -> None:
    script = f"from karenpanel import database; database.use_for(database.Purpose.{purpose}); from karenpanel import settings;"
    shown = run(
        "-c", f"{script} print(settings.DATABASES['default']['USER'], settings.DATABASE_WEB_ROLE or '-')", **urls
    )

    assert shown.stdout == f"{user} {web}\n", shown.stderr


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"DATABASE_URL": ""}, "DATABASE_OWNER_URL is set, so DATABASE_URL has to name"),
        ({"DATABASE_URL": "postgresql://127.0.0.1/panel"}, "DATABASE_URL names no user"),
        ({"DATABASE_OWNER_URL": "mysql://owner:hunter2secret@host/db"}, "DATABASE_OWNER_URL has to name a PostgreSQL"),
        ({"DATABASE_OWNER_URL": "postgresql://owner:hunter2secret@host"}, "DATABASE_OWNER_URL names no database"),
    ],
)
def test_two_addresses_that_do_not_fit_are_refused_in_words(wrong: dict[str, str], words: str) -> None:
    done = run("-c", "import karenpanel.settings", **PRODUCTION, **TWO | wrong)

    assert done.returncode != 0
    assert words in done.stderr.strip().splitlines()[-1]
    assert "hunter2secret" not in done.stderr


@pytest.mark.parametrize("wrong", [{"DEBUG": "maybe"}, {"PROXY_COUNT": "one"}, {"MAX_RULES_PER_GROUP": "many"}])
def test_a_setting_that_cannot_be_read_stops_the_start_by_its_name(wrong: dict[str, str]) -> None:
    done = run("manage.py", "check", **PRODUCTION | wrong)

    assert done.returncode != 0
    assert next(iter(wrong)) in done.stderr


def test_the_tests_themselves_do_not_run_in_debug_mode() -> None:
    assert current.DEBUG is False
    assert current.PASSWORD_HASHERS == ["django.contrib.auth.hashers.MD5PasswordHasher"]
