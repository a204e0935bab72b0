"""Which PostgreSQL server the panel talks to: the one of `DATABASE_URL`, or the embedded one that it runs itself.

This is the face of both. Nobody outside needs to know the rooms behind it: the embedded server is started, left, stopped
and looked at from here.

Two roles share the work: one owns the tables, the other serves the web and owns nothing (see roles.py). A process says
what it is for before the settings are read, and gets the role for that; who says nothing gets the embedded server's owner,
or the role of `DATABASE_URL`.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from karenpanel.embedded.place import NAME, PORT, ROLE, SERVER_USER, WEB_ROLE, Place, StartError, place, private_folder
from karenpanel.embedded.server import Status, leave, start, status, stop

__all__ = [
    "NAME",
    "ROLE",
    "SERVER_USER",
    "WEB_ROLE",
    "Patience",
    "Place",
    "Purpose",
    "StartError",
    "Status",
    "is_embedded",
    "leave",
    "parameters",
    "place",
    "private_folder",
    "reach",
    "settings",
    "start",
    "status",
    "stop",
    "use_for",
    "used_for",
    "web_role",
]

# Each thread that answers requests keeps a connection for so many seconds, and looks before each request whether it is still
# good. So there are as many as there are threads, a refusal is known at once with the server's own words, and nobody waits
# for a pool to notice that the server is back.
KEPT_SECONDS = 600
# A server that neither answers nor refuses, as behind a broken network, is given up after a few seconds.
GIVEN_UP = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "2",
    "tcp_user_timeout": "5000",
}


class Purpose(Enum):
    """What a process uses the database for."""

    ORDINARY = "commands that read and write rows"
    SCHEMA = "commands that make, change and empty tables"
    WEB = "answering requests"


@dataclass(frozen=True, slots=True)
class Patience:
    """How many seconds the server gives a statement, a wait for a lock, and a transaction that does nothing; 0 is for ever.

    Set for each session when it begins, as the server would have it in its own configuration.
    """

    statement: float = 0
    lock: float = 0
    idle: float = 0

    def options(self) -> str:
        """As the server takes them in the connection's `options`."""
        seconds = {
            "statement_timeout": self.statement,
            "lock_timeout": self.lock,
            "idle_in_transaction_session_timeout": self.idle,
        }
        return " ".join(f"-c {name}={round(value * 1000)}" for name, value in seconds.items())


# Kept in the process and not in its environment: the children of a command are for something of their own.
_purpose = Purpose.ORDINARY


def use_for(purpose: Purpose) -> None:
    """Say what this process is for. Call it before the settings are read."""
    global _purpose
    _purpose = purpose


def used_for() -> Purpose:
    """What this process is for."""
    return _purpose


def settings(url: str, owner_url: str = "", patience: Patience | None = None) -> dict[str, Any]:
    """Django's settings of the database that `url` names, or of the embedded server when it is empty.

    Where this process works on the schema it is `owner_url` that counts, unless that is empty. Only the web has but so
    much patience. Starts nothing, writes nothing. Raises ImproperlyConfigured for anything but a PostgreSQL URL with a
    database name.
    """
    found = _settings(url, owner_url)
    if patience and _purpose is Purpose.WEB:
        options = found["OPTIONS"]
        # What the address says of it comes last, and so it counts.
        options["options"] = f"{patience.options()} {options.get('options', '')}".strip()
    return found


def _settings(url: str, owner_url: str) -> dict[str, Any]:
    common = {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": KEPT_SECONDS,
        "CONN_HEALTH_CHECKS": True,
    }
    if owner_url and not url:
        raise ImproperlyConfigured(
            "DATABASE_OWNER_URL is set, so DATABASE_URL has to name the role of the web processes"
        )
    if owner_url and _purpose is Purpose.SCHEMA:
        return common | _from_url(owner_url, "DATABASE_OWNER_URL")
    if url:
        return common | _from_url(url)
    here = place()
    role = WEB_ROLE if _purpose is Purpose.WEB else ROLE
    options = {"connect_timeout": GIVEN_UP["connect_timeout"]}
    if here.user:
        # Whoever else manages to put a socket there is not talked to.
        options["requirepeer"] = here.user
    return common | {"NAME": NAME, "USER": role, "HOST": str(here.socket), "PORT": PORT, "OPTIONS": options}


def web_role(url: str, owner_url: str) -> str:
    """The role of the web processes, empty where they use the owner's. Raises ImproperlyConfigured where it has no name."""
    if not url:
        return WEB_ROLE
    if not owner_url:
        return ""
    role: str = _from_url(url)["USER"]
    if not role:
        raise ImproperlyConfigured(
            "DATABASE_URL names no user, and beside DATABASE_OWNER_URL it has to name the role of the web processes: "
            "postgresql://user:password@host:5432/name"
        )
    return "" if role == _from_url(owner_url, "DATABASE_OWNER_URL")["USER"] else role


def is_embedded(database: dict[str, Any]) -> bool:
    """Whether these Django settings of a database are those of the embedded server."""
    return bool(database.get("HOST") == str(place().socket))


def parameters(database: dict[str, Any]) -> dict[str, Any]:
    """These Django settings of a database as psycopg.connect() takes them."""
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    main = {ours: database[key] for key, ours in names.items() if database.get(key)}
    return {**main, **database.get("OPTIONS", {})}


def reach(database: dict[str, Any]) -> None:
    """Connect once to the database of these Django settings, and close. Raises StartError with the server's own words."""
    import psycopg

    try:
        psycopg.connect(**parameters(database)).close()
    except psycopg.OperationalError as error:
        raise StartError(f"The database cannot be reached: {str(error).strip()}") from None


def _from_url(url: str, variable: str = "DATABASE_URL") -> dict[str, Any]:
    # The library that will connect reads the address too, so every form it understands means the same here.
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    if not url.startswith(("postgresql://", "postgres://")):
        raise ImproperlyConfigured(
            f"{variable} has to name a PostgreSQL database: postgresql://user:password@host:5432/name"
        )
    try:
        parts = {key: str(value) for key, value in conninfo_to_dict(url).items()}
    except ProgrammingError:
        # Its message may hold a piece of the password, so it is not shown.
        raise ImproperlyConfigured(
            f"{variable} cannot be read: postgresql://user:password@host:5432/name is its form, "
            "and special characters in the user or the password are written as %XX (/ is %2F, @ is %40, % is %25)"
        ) from None
    name = parts.pop("dbname", "")
    if not name:
        raise ImproperlyConfigured(f"{variable} names no database: postgresql://user:password@host:5432/name")
    main = {key: parts.pop(key.lower(), "") for key in ("USER", "PASSWORD", "HOST", "PORT")}
    return {"NAME": name, **main, "OPTIONS": {**GIVEN_UP, **parts}}
