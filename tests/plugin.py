"""What has to be right before Django's settings are imported, which pytest-django does before any conftest.

Loaded by `-p tests.plugin` (see pyproject.toml). The environment is set here, for the test workers and for the commands
that tests start; the embedded database is started by the process that began the run, and stopped by it at the end
unless somebody else uses it.
"""

import os
from contextlib import suppress

import pytest

from karenpanel import database

os.environ |= {
    "DEBUG": "0",
    "SECRET_KEY": "only-for-tests-" + "0123456789abcdef" * 4,
    "INSECURE_HTTP": "1",
    "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
    "CSRF_TRUSTED_ORIGINS": "",
    "PROXY_COUNT": "0",
    "LOG_LEVEL": "WARNING",
}
# Runs at the same time, in two terminals, share the embedded server but not their databases.
os.environ.setdefault("KARENPANEL_TEST_RUN", str(os.getpid()))


def pytest_configure(config: pytest.Config) -> None:
    """Settings that only tests have, and the database for the workers to find."""
    from django.conf import settings

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # Static files come from their sources, under their own names; test_demo has the collected ones.
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.WHITENOISE_USE_FINDERS = settings.WHITENOISE_AUTOREFRESH = True
    if embedded() and not hasattr(config, "workerinput") and not config.option.collectonly:
        # Where it cannot run, the tests that need it say so; the others run.
        with suppress(database.StartError):
            database.start()


def pytest_unconfigure(config: pytest.Config) -> None:
    """By now the workers have ended, and with them their hold."""
    if embedded() and not hasattr(config, "workerinput"):
        database.leave()


def embedded() -> bool:
    """Whether the tests run on the embedded server."""
    from django.conf import settings

    return database.is_embedded(settings.DATABASES["default"])


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """A database for this run and this worker, on a server that is there."""
    from django.db import connection

    if not embedded():
        return
    database.start()
    names = connection.settings_dict["TEST"]
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    names["NAME"] = f"test_{os.environ['KARENPANEL_TEST_RUN']}_{worker}"
    if worker in ("main", "gw0"):
        remove_databases_of_dead_runs()


def remove_databases_of_dead_runs() -> None:
    """Drop what runs that were killed left on the embedded server. The number in a name is the run's process."""
    import psutil
    import psycopg
    from django.db import connection
    from psycopg.sql import SQL, Identifier

    to = database.parameters(connection.settings_dict) | {"dbname": "postgres"}
    with psycopg.connect(**to, autocommit=True) as direct:
        for (name,) in direct.execute("SELECT datname FROM pg_database WHERE datname ~ '^test_[0-9]+_'").fetchall():
            if not psutil.pid_exists(int(name.split("_")[1])):
                direct.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
