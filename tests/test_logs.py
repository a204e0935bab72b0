"""What is logged: JSON lines that stay lines, whatever is in them, and no secrets."""

import json
import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import structlog
from django.test import Client
from structlog.stdlib import ProcessorFormatter

from karenpanel.logs import HIDDEN, redacted
from securitygroups.models import User
from tests.effort import at_most
from tests.factories import PASSWORD, make_user

SECRET = "3-s3cr3t_T0ken"


class Lines:
    """What goes to standard error, from the loggers as the settings have them."""

    def __init__(self) -> None:
        self.stream = StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (json.loads(line) for line in self.text.splitlines())


@pytest.fixture
def lines() -> Iterator[Lines]:
    lines = Lines()
    root = logging.getLogger()
    # The one that the settings made; the tests run with WARNING, and here comes by what an installation would write.
    (ours,) = (one.formatter for one in root.handlers if isinstance(one.formatter, ProcessorFormatter))
    handler = logging.StreamHandler(lines.stream)
    handler.setFormatter(ours)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


# ── Secrets ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        f"/invitation/{SECRET}/",
        f"/password/new/{SECRET}/",
        f"/account/address/{SECRET}/",
        f"/password/reset/key/{SECRET}/",
        f"/PASSWORD/RESET/KEY/{SECRET}",
        f"/confirm-email/{SECRET}/",
        f"https://panel.example.com/invitation/{SECRET}/?a=b",
        f"/sign-in/?next=/invitation/{SECRET}/",
        f"/sign-in/?next=%2Finvitation%2F{SECRET}%2F",
        f"/sign-in/?next=%252fpassword%252freset%252fkey%252f{SECRET}%252f&x=1",
        f"/sign-on/callback/?code={SECRET}&state={SECRET}",
        f"/x/?a=b&access_token={SECRET}",
        f"/x/?next=%2Fy%3Fclient_secret%3D{SECRET}",
        f"/x/#id_token={SECRET}",
        f"Internal Server Error: /invitation/{SECRET}/",
        f"/invitation/%0a{SECRET}/",
    ],
)
def test_what_lets_its_reader_in_is_taken_out_of_addresses(text: str) -> None:
    assert SECRET not in redacted(text)
    assert HIDDEN in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "/p/shop/groups/sg-0123456789/test/?test=1&source=203.0.113.9&port=22",
        "/p/shop/members/invitations/7/end/",
        "/account/address/",
        "/password/new/",
        "/sign-in/?next=/p/shop/",
        "/password/reset/",
        "/support/?q=10.0.0.1&codes=1",
        "nothing of an address",
        "",
    ],
)
def test_all_else_stays_as_it_is(text: str) -> None:
    assert redacted(text) == text


def test_a_secret_is_known_by_its_name_too_however_deep(lines: Lines) -> None:
    structlog.get_logger("test").info(
        "line", password=SECRET, about_token=SECRET, sent={"Cookie": SECRET, "rows": [{"client_secret": SECRET}]}
    )

    assert SECRET not in lines.text
    (line,) = lines
    assert line["sent"] == {"Cookie": HIDDEN, "rows": [{"client_secret": HIDDEN}]}
    assert (line["event"], line["password"]) == ("line", HIDDEN)


def test_tracebacks_and_other_peoples_lines_hold_none_either(lines: Lines) -> None:
    class Request:
        def __str__(self) -> str:
            return f"<Request /invitation/{SECRET}/>"

    try:
        raise ValueError(f"/password/reset/key/{SECRET}/")
    except ValueError:
        logging.getLogger("library").exception("failed at %s", f"/invitation/{SECRET}/")
    structlog.get_logger("test").info("line", request=Request())

    assert SECRET not in lines.text
    assert "ValueError" in next(iter(lines))["exception"]


def test_an_address_without_end_is_looked_at_in_no_time() -> None:
    for piece in ("&a", "%25", "/invitation", "/invitation/", "&code=", "aaaa", "%2F"):
        with at_most(1):
            redacted("&" + piece * (200_000 // len(piece)))


def test_signing_in_tells_the_log_no_password_and_no_key(lines: Lines, db: None) -> None:
    make_user("alice")
    client = Client()
    for login, password in (("alice", "hunter22 wrong"), ("hunter22 typed as name", "x"), ("alice", PASSWORD)):
        client.post("/sign-in/", {"login": login, "password": password})

    assert client.session["_auth_user_id"] == str(User.objects.get().pk)
    for secret in ("hunter22", PASSWORD, str(client.session.session_key), client.cookies["csrftoken"].value):
        assert secret not in lines.text


# ── One line each ─────────────────────────────────────────────────────────────

NASTY = 'a\nb\r\n{"event": "forged"}\x1b[2J\x1b]0;title\x07\x9b31m\u2028\u202e\x7f\x00'


def test_a_line_stays_one_whatever_is_in_it(lines: Lines) -> None:
    structlog.get_logger("test").info("line", name=NASTY, path={NASTY: [NASTY]})
    logging.getLogger("django.server").warning('"GET %s HTTP/1.1" 404', NASTY)
    logging.getLogger("library").warning(NASTY)

    first, second, third = lines
    assert first["name"] == NASTY
    assert first["path"] == {NASTY: [NASTY]}
    assert second["event"] == f'"GET {NASTY} HTTP/1.1" 404'
    assert third["event"] == NASTY
    assert lines.text.isascii()
    assert not [char for char in lines.text if not char.isprintable() and char != "\n"]


def test_no_logger_of_django_writes_past_ours() -> None:
    loggers = [logging.getLogger(name) for name in ("django", *logging.Logger.manager.loggerDict)]
    ours = [logger for logger in loggers if logger.name.partition(".")[0] == "django"]

    assert len(ours) > 3
    assert {logger.name: logger.handlers for logger in ours if logger.handlers} == {}
    assert [logger.name for logger in ours if not logger.propagate] == []
