"""The app and its system checks: a configuration that would be dangerous says so with an id and a hint."""

import re
from ipaddress import ip_network
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured


class SecurityGroupsConfig(AppConfig):
    name = "securitygroups"
    verbose_name = "Security groups"

    def ready(self) -> None:
        from securitygroups.accounts import record, standing  # noqa: F401 (their receivers)

        register(check_limits)
        register(check_webhooks)
        register(check_agent_key, Tags.security)
        register(check_transport, Tags.security)
        register(check_secret_key, Tags.security)
        register(check_way_to_database, Tags.security, deploy=True)


def check_limits(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The product's limits are numbers that leave it usable."""
    names = (
        "MAX_GROUPS_PER_PROJECT",
        "MAX_RULES_PER_GROUP",
        "MAX_MACHINES_PER_PROJECT",
        "MAX_GROUPS_PER_MACHINE",
        "MAX_TEMPLATES_PER_PROJECT",
        "MAX_CASES_PER_PROJECT",
        "MAX_NOTES_PER_CASE",
        "MAX_PACKETS_PER_CASE",
        "MAX_REVIEWS_PER_PROJECT",
        "MAX_DECISIONS_PER_REVIEW",
        "MAX_MEMBERS_PER_PROJECT",
        "MAX_INVITATIONS_PER_PROJECT",
        "MAX_WEBHOOKS_PER_PROJECT",
        "PAGE_SIZE",
        "DEAR_AT_ONCE",
        "WEB_WORKERS",
        "WEB_THREADS",
        "WEBHOOK_THREADS",
    )
    return [
        Error(
            f"{name} is {getattr(settings, name)}.", hint=f"Set {name} to a whole number from 1.", id="karenpanel.E001"
        )
        for name in names
        if getattr(settings, name) < 1
    ]


def check_webhooks(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Where webhooks may go is said in networks and ports that there are."""
    problems: list[CheckMessage] = []
    for text in settings.WEBHOOK_NETWORKS_ALLOWED:
        try:
            ip_network(text)
        except ValueError as error:
            hint = "Write networks as 10.20.0.0/16 or 2001:db8::/32, with commas between them."
            problems.append(Error(f"WEBHOOK_NETWORKS_ALLOWED: {error}.", hint=hint, id="karenpanel.E004"))
    if not all(0 < port < 65536 for port in settings.WEBHOOK_PORTS):
        problems.append(
            Error("WEBHOOK_PORTS names a port that there is not.", hint="Ports are 1 to 65535.", id="karenpanel.E005")
        )
    return problems


def check_agent_key(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """What answers to hosts are signed with is a key: better not to start than to answer all of them with an error."""
    if not settings.AGENT_KEY or re.fullmatch(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", settings.AGENT_KEY):
        return []
    command = 'python -c "import secrets; print(secrets.token_urlsafe(32))"'
    return [
        Error("AGENT_KEY is no key.", hint=f"Set AGENT_KEY to 32 bytes in base64url: {command}", id="karenpanel.E006")
    ]


def check_transport(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Plain HTTP is for loopback names alone: elsewhere the password would travel in the open."""
    loopback = {"localhost", "127.0.0.1", "[::1]", "testserver", ".localhost"}
    if settings.INSECURE_HTTP and not set(settings.ALLOWED_HOSTS) <= loopback:
        return [
            Error(
                "INSECURE_HTTP is on for hosts that are not this machine.",
                hint="Remove INSECURE_HTTP and serve over HTTPS, or keep ALLOWED_HOSTS to localhost, 127.0.0.1 and [::1].",
                id="karenpanel.E002",
            )
        ]
    return []


def check_secret_key(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Without a key nobody could sign in: better not to start than to answer every request with an error."""
    try:
        empty = not settings.SECRET_KEY
    except ImproperlyConfigured:
        empty = True
    if not empty:
        return []
    command = 'python -c "import secrets; print(secrets.token_urlsafe(50))"'
    return [
        Error("SECRET_KEY is empty.", hint=f"Set SECRET_KEY to a long random text: {command}", id="karenpanel.E003")
    ]


def check_way_to_database(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A database on another machine is spoken to in private, and only when it proves to be the one that is meant.

    By itself the PostgreSQL client takes what it can get: no encryption, or that of whoever answers.
    """
    here = ("localhost", "127.0.0.1", "::1")
    return [
        Warning(
            f"The database at {database['HOST']} may be spoken to in the open, or be another one.",
            hint="Add ?sslmode=verify-full to DATABASE_URL, and sslrootcert= where its certificate is of an authority of yours.",
            id="karenpanel.W001",
        )
        for database in settings.DATABASES.values()
        if database.get("HOST", "") not in ("", *here)
        and not database["HOST"].startswith("/")
        # With the system's authorities the client insists on verify-full by itself.
        and database.get("OPTIONS", {}).get("sslmode") != "verify-full"
        and database.get("OPTIONS", {}).get("sslrootcert") != "system"
    ]
