"""What has to be right before Django's settings are imported, which pytest-django does before any conftest.

Loaded by `-p tests.plugin` (see pyproject.toml). The environment is set here, for the test workers and for the commands
that tests start. The process that began the run starts the embedded database, and stops it at the end unless somebody
else uses it.
"""

import gc
import os

import pytest

from karenpanel import database

os.environ |= {
    "DEBUG": "0",
    "SECRET_KEY": "only-for-tests-" + "0123456789abcdef" * 4,
    "INSECURE_HTTP": "1",
    "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
    "CSRF_TRUSTED_ORIGINS": "",
    "PROXY_COUNT": "0",
    "STAFF_SECOND_FACTOR": "1",
    "EMAIL_URL": "",
    "EMAIL_FROM": "",
    "DEMO_MAILS": "",
    "OIDC_URL": "",
    "OIDC_CLIENT_ID": "",
    "OIDC_CLIENT_SECRET": "",
    "LOG_LEVEL": "WARNING",
}
# Databases are made and emptied here. Browsers get the rights of the web: see rights.py.
database.use_for(database.Purpose.SCHEMA)
# Runs at the same time, in two terminals, share the embedded server but not their databases.
os.environ.setdefault("KARENPANEL_TEST_RUN", str(os.getpid()))


def pytest_configure(config: pytest.Config) -> None:
    """Settings that only tests have, and the database for the workers to find."""
    from django.conf import settings

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # Static files come from their sources, under their own names; test_demo has the collected ones.
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.WHITENOISE_USE_FINDERS = settings.WHITENOISE_AUTOREFRESH = True
    chosen = settings.DATABASES["default"]
    if not database.is_embedded(chosen):
        return
    chosen.setdefault("TEST", {})["NAME"] = f"test_{os.environ['KARENPANEL_TEST_RUN']}"
    if is_first(config):
        try:
            database.start()
        except database.StartError as error:
            pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
        remove_databases_of_dead_runs()


def pytest_collection_finish() -> None:
    """What has been imported by now stays to the end: no search for garbage goes through it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The seed of the order, so that the same order can be had again; the head that says it is left out by -q."""
    seed = config.getoption("randomly_seed", None)
    if isinstance(seed, int) and config.getoption("randomly_reorganize", default=False):
        terminalreporter.write_line(f"The order of these tests: --randomly-seed={seed}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """By now the workers have ended."""
    from django.conf import settings

    if is_first(config) and database.is_embedded(settings.DATABASES["default"]):
        database.leave()


def is_first(config: pytest.Config) -> bool:
    """Whether this is the process that began the run, and not one of its workers."""
    return not hasattr(config, "workerinput")


def remove_databases_of_dead_runs() -> None:
    """Drop what runs that were killed left on the embedded server. The number in a name is the run's process."""
    import psutil
    import psycopg
    from django.conf import settings
    from psycopg.sql import SQL, Identifier

    to = database.parameters(settings.DATABASES["default"]) | {"dbname": "postgres"}
    with psycopg.connect(**to, autocommit=True) as direct:
        for (name,) in direct.execute("SELECT datname FROM pg_database WHERE datname ~ '^test_[0-9]+'").fetchall():
            if not psutil.pid_exists(int(name.split("_")[1])):
                direct.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
