"""What programs outside see: the settings of the database, and the command that looks after the embedded server."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from karenpanel import database


def test_settings_of_the_embedded_server_are_only_paths() -> None:
    found = database.settings("")
    assert found["HOST"].startswith("/")
    assert database.is_embedded(found)
    assert found["CONN_MAX_AGE"] > 0
    assert found["CONN_HEALTH_CHECKS"]


def test_a_url_means_what_it_means_to_the_postgresql_library() -> None:
    found = database.settings(
        "postgresql://ann:p%40ss%2F@db.example.com:6432/panel?sslmode=verify-full&connect_timeout=3"
    )
    assert {key: found[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")} == {
        "NAME": "panel",
        "USER": "ann",
        "PASSWORD": "p@ss/",
        "HOST": "db.example.com",
        "PORT": "6432",
    }
    assert found["OPTIONS"] == database.GIVEN_UP | {"sslmode": "verify-full", "connect_timeout": "3"}
    assert found["CONN_MAX_AGE"] > 0
    assert found["CONN_HEALTH_CHECKS"]
    assert not database.is_embedded(found)
    assert database.parameters(found)["password"] == "p@ss/"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://ann:secret@host/panel", "has to name a PostgreSQL database"),
        ("sqlite:///panel.db", "has to name a PostgreSQL database"),
        ("host=db password=secret", "has to name a PostgreSQL database"),
        ("postgresql://ann:secret@host", "names no database"),
        ("postgresql://ann:secret%zz@host/panel", "special characters"),
        ("postgresql://ann:secret@host/panel?colour=red", "cannot be read"),
    ],
)
def test_any_other_url_is_refused_in_words_without_the_password(url: str, words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=words) as refused:
        database.settings(url)
    assert "secret" not in str(refused.value)


def test_a_server_that_does_not_answer_is_named() -> None:
    with pytest.raises(database.StartError, match=r"cannot be reached: .*127\.0\.0\.1.*port 1 "):
        database.reach(database.settings("postgresql://ann:secret@127.0.0.1:1/panel"))


def test_the_command_says_what_runs_and_stops_nothing_that_is_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(database, "is_embedded", lambda chosen: True)
    monkeypatch.setattr(database, "status", lambda: database.Status(4711, used=True))
    monkeypatch.setattr(database, "stop", lambda: False)
    call_command("database", "status")
    assert "running, process 4711" in capsys.readouterr().out
    with pytest.raises(CommandError, match="in use"):
        call_command("database", "stop")
    monkeypatch.setattr(database, "is_embedded", lambda chosen: False)
    with pytest.raises(CommandError, match="DATABASE_URL names"):
        call_command("database", "start")
