"""Mails go to a real server, whatever that server does, and no request waits for it."""

import json
import os
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import BadHeaderError, EmailMessage, get_connection, send_mail
from django.core.management import call_command
from django.db import transaction

from karenpanel import mail, mailserver
from tests import mailbox
from tests.mailbox import Mailbox

ROOT = Path(__file__).parents[1]
TO = "bob@example.com"


@pytest.fixture
def outbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[mail.Outbox]:
    """As in a web process, with pauses that a test can wait for."""
    made = mail.Outbox()
    monkeypatch.setattr(mail, "_outbox", made)
    monkeypatch.setattr(mail, "PAUSES", (0.1, 0.2))
    yield made
    made.finish(10)


def send(subject: str = "Hello", to: str = TO, text: str = "A line.\n") -> None:
    send_mail(subject, text, None, [to])


@pytest.mark.django_db(transaction=True)
def test_a_mail_arrives_as_it_was_written(smtp: Mailbox) -> None:
    send("Grüße", "Bob Ünal <bob@example.com>", "One line\n.\nFrom here\n")

    [message] = smtp.messages(TO)
    assert (message["Subject"], message["From"]) == ("Grüße", "karenpanel@localhost")
    assert message["To"].addresses[0].display_name == "Bob Ünal"
    assert message.get_content().splitlines() == ["One line", ".", "From here"]


# ── Waiting, trying again, giving up ──────────────────────────────────────────


@pytest.mark.django_db(transaction=True)
def test_a_slow_server_holds_nobody(smtp: Mailbox, outbox: mail.Outbox) -> None:
    smtp.fault = "slow"

    began = time.monotonic()
    send()
    took = time.monotonic() - began

    assert took < 0.5
    assert smtp.messages(TO) == []
    assert len(smtp.messages(TO, wait=10)) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fault", ["later", "gone"])
def test_what_is_not_taken_at_once_is_tried_again(fault: str, smtp: Mailbox, outbox: mail.Outbox) -> None:
    smtp.fault = fault

    send()
    for _ in range(100):
        if smtp.tries:
            break
        time.sleep(0.02)
    smtp.fault = "" if fault == "gone" else fault

    assert len(smtp.messages(TO, wait=10)) == 1
    assert smtp.tries in (2, 3)


@pytest.mark.django_db(transaction=True)
def test_a_server_that_hangs_up_each_time_is_tried_three_times(
    smtp: Mailbox, outbox: mail.Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    smtp.fault = "gone"

    send("Secret subject", text="Secret link")
    left = outbox.finish(10)

    assert (left, smtp.tries, smtp.messages()) == (0, 3, [])
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "ERROR"]
    assert "Mail not sent" in caplog.text
    assert TO in caplog.text
    assert "Secret" not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_refusal_for_good_is_not_tried_again(
    smtp: Mailbox, outbox: mail.Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    smtp.fault = "never"

    send()
    outbox.finish(10)

    assert (smtp.tries, smtp.messages()) == (1, [])
    assert "Not wanted here" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_mail_that_waits_for_its_next_try_holds_up_no_other(
    smtp: Mailbox, outbox: mail.Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "PAUSES", (600.0, 600.0))
    smtp.fault = "later"
    for number in range(mail.WORKERS * 3):
        send(to=f"somebody{number}@example.com")
    while smtp.tries < mail.WORKERS * 3:
        time.sleep(0.02)
    smtp.fault = ""

    send()

    assert len(smtp.messages(TO, wait=5)) == 1
    assert len(smtp.messages()) == 1
    assert outbox.finish(10) == 0, "at the end nobody waits for the pause to be over"
    assert len(smtp.messages()) == 1 + mail.WORKERS * 3


@pytest.mark.django_db(transaction=True)
def test_the_outbox_has_an_end(
    smtp: Mailbox, outbox: mail.Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mail, "MOST_WAITING", 3)
    smtp.fault = "slow"

    for _ in range(10):
        send()
    outbox.finish(30)

    assert 3 <= len(smtp.messages()) <= 3 + mail.WORKERS
    assert caplog.text.count("Mail dropped: too many wait") == 10 - len(smtp.messages())


@pytest.mark.django_db(transaction=True)
def test_nothing_is_mailed_about_what_is_rolled_back(smtp: Mailbox, outbox: mail.Outbox) -> None:
    with transaction.atomic():
        send("Never")
        transaction.set_rollback(True)
    with transaction.atomic():
        send("After the commit")
        time.sleep(0.3)
        assert smtp.tries == 0

    assert [message["Subject"] for message in smtp.messages(wait=5)] == ["After the commit"]


@pytest.mark.django_db(transaction=True)
def test_a_command_hears_at_once_that_a_mail_was_not_sent(smtp: Mailbox) -> None:
    call_command("sendtestemail", TO)
    assert len(smtp.messages(TO)) == 1
    smtp.fault = "never"

    with pytest.raises(smtplib.SMTPDataError, match="Not wanted here"):
        call_command("sendtestemail", TO)


def test_without_a_server_nothing_is_sent_and_no_secret_logged(
    db: None, settings: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.EMAIL_BACKEND, settings.MAIL_SERVER = "karenpanel.mail.Backend", {}

    mail.deliver(EmailMessage("Secret subject", "Secret link", to=[TO]))

    assert "set EMAIL_URL" in caplog.text
    assert "Secret" not in caplog.text + "".join(capsys.readouterr())


# ── TLS and passwords ─────────────────────────────────────────────────────────


@pytest.fixture
def secure(tmp_path: Path, settings: Any) -> Iterator[Mailbox]:
    with mailbox.running(tmp_path / "secure", secure=True) as server:
        settings.EMAIL_BACKEND, settings.MAIL_SERVER = "karenpanel.mail.Backend", mailserver.settings(server.url)
        yield server


@pytest.mark.django_db(transaction=True)
def test_a_server_that_wants_tls_and_a_password(secure: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(secure.certificate))

    send()

    assert len(secure.messages(TO)) == 1


@pytest.mark.django_db(transaction=True)
def test_a_server_with_a_certificate_that_nobody_vouches_for_gets_neither_mail_nor_password(secure: Mailbox) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        send()

    assert secure.tries == 0


@pytest.mark.django_db(transaction=True)
def test_a_wrong_password_is_said_and_not_repeated(
    secure: Mailbox, settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(secure.certificate))
    settings.MAIL_SERVER = settings.MAIL_SERVER | {"password": "hunter2secret"}

    with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        send()

    assert "hunter2secret" not in str(refused.value) + caplog.text
    assert secure.tries == 0


# ── What people write into headers ────────────────────────────────────────────


@pytest.mark.parametrize("ending", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("where", ["subject", "to", "from", "reply_to", "header"])
def test_a_line_break_never_becomes_a_header(where: str, ending: str, db: None, smtp: Mailbox) -> None:
    evil = f"Bob{ending}Bcc: everybody@example.com"
    message = EmailMessage("Hello", "Text", "panel@example.com", [TO])
    if where == "subject":
        message.subject = evil
    elif where == "to":
        message.to = [f"{evil} <bob@example.com>"]
    elif where == "from":
        message.from_email = f"{evil} <panel@example.com>"
    elif where == "reply_to":
        message.reply_to = [evil]
    else:
        message.extra_headers = {"X-Project": evil}

    with pytest.raises(BadHeaderError):
        message.send()

    assert smtp.tries == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("to", "reached"),
    [
        ('"Bob, of Shop; <evil@example.com>" <bob@example.com>', "bob@example.com"),
        ('"b o b"@example.com', '"b o b"@example.com'),
        ("bob+firewall@example.com", "bob+firewall@example.com"),
        ("bob@exämple.com", "bob@xn--exmple-cua.com"),
        ("'bob'|x@example.com", "'bob'|x@example.com"),
    ],
)
def test_an_odd_address_reaches_one_person_and_the_right_one(to: str, reached: str, smtp: Mailbox) -> None:
    send(to=to)

    [message] = smtp.messages()
    assert message["X-RcptTo"] == reached


# ── EMAIL_URL ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "host", "port", "starttls", "tls"),
    [
        ("smtp://mail.example.net", "mail.example.net", 25, False, False),
        ("smtp://mail.example.net:2525/", "mail.example.net", 2525, False, False),
        ("smtp://u:p@mail.example.net:587?tls=1", "mail.example.net", 587, True, False),
        ("smtp://u:p@mail.example.net:587/?tls=True", "mail.example.net", 587, True, False),
        ("submission://u:p@mail.example.net", "mail.example.net", 587, True, False),
        ("smtps://u:p@mail.example.net", "mail.example.net", 465, False, True),
        ("smtp://[::1]:465?ssl=on", "::1", 465, False, True),
    ],
)
def test_the_forms_of_email_url(url: str, host: str, port: int, starttls: bool, tls: bool) -> None:
    found = mailserver.settings(url)

    assert (found["host"], found["port"], found["use_tls"], found["use_ssl"]) == (host, port, starttls, tls)
    assert get_connection("django.core.mail.backends.smtp.EmailBackend", **found)


def test_a_password_may_have_any_character() -> None:
    found = mailserver.settings(f"smtps://{mailbox.QUOTED_USER}:{mailbox.QUOTED_PASSWORD}@mail.example.net")

    assert (found["username"], found["password"]) == (mailbox.USER, mailbox.PASSWORD)


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.net", "http://mail.example.net", "smtp://", "smtp://u:hunter2/x@host", "smtp://u:hunter2#x@host",
        "smtp://u:hunter2?x@host", "smtp://u:12#hunter2@host", "smtp://host:99999", "smtp://host:hunter2",
        "smtp://host?tls=maybe", "smtp://host?timeout=5", "smtp://host/path", "smtp://[::1", "file:///tmp", "console:",
    ],
)  # fmt: skip
def test_an_email_url_that_cannot_be_read_is_refused_in_words_without_its_password(url: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        mailserver.settings(url)

    assert "submission://user:password@mail.example.net:587 is its form" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("hosts", "address"),
    [
        ([], "karenpanel@localhost"),
        (["*"], "karenpanel@localhost"),
        (["127.0.0.1", "[::1]"], "karenpanel@localhost"),
        (["10.0.0.1", "panel.example.net", "other.example.net"], "karenpanel@panel.example.net"),
        ([".example.net"], "karenpanel@example.net"),
    ],
)
def test_mails_come_from_the_panels_own_host_where_nothing_else_is_set(hosts: list[str], address: str) -> None:
    assert mailserver.sender(hosts) == address


def test_e010_a_sender_that_is_no_address_is_an_error(settings: Any) -> None:
    settings.DEFAULT_FROM_EMAIL = "The panel"
    assert [problem.id for problem in mailserver.check(None)] == ["karenpanel.E010"]
    settings.DEFAULT_FROM_EMAIL = "The panel <panel@example.net>"
    assert mailserver.check(None) == []


def test_e011_no_installation_shows_its_mails_to_everybody(settings: Any) -> None:
    settings.DEMO_MAILS, settings.INSECURE_HTTP = "/somewhere", False
    assert [problem.id for problem in mailserver.check(None)] == ["karenpanel.E011"]
    settings.INSECURE_HTTP = True
    assert mailserver.check(None) == []


@pytest.mark.parametrize(
    ("url", "problems"),
    [
        ("", ["karenpanel.W010"]),
        ("smtp://u:p@mail.example.net", ["karenpanel.W011"]),
        ("smtp://mail.example.net", []),
        ("smtp://u:p@127.0.0.1", []),
        ("submission://u:p@mail.example.net", []),
        ("smtps://u:p@mail.example.net", []),
    ],
)
def test_installations_are_told_of_a_missing_server_and_of_an_open_password(
    url: str, problems: list[str], settings: Any
) -> None:
    settings.MAIL_SERVER = mailserver.settings(url)

    assert [problem.id for problem in mailserver.check_server(None)] == problems


# ── Processes ─────────────────────────────────────────────────────────────────

PROGRAM = """
import json, os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "karenpanel.settings"
import karenpanel.wsgi
from karenpanel import mail
from django.core.mail import EmailMessage
mail._outbox.put(EmailMessage("From the parent", "", to=["parent@example.com"]))
if not os.fork():
    mail._outbox.put(EmailMessage("From the child", "", to=["child@example.com"]))
    sys.exit()
os.wait()
"""


def environment(url: str) -> dict[str, str]:
    return os.environ | {"EMAIL_URL": url, "LOG_LEVEL": "INFO"}


def test_a_process_ends_after_its_mails_and_a_fork_sends_none_of_its_parents(smtp: Mailbox) -> None:
    smtp.fault = "slow"

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        env=environment(smtp.url), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert sorted(message["X-RcptTo"] for message in smtp.messages()) == ["child@example.com", "parent@example.com"]
    said = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    # What else a web process says when it starts is about its database.
    assert [line["event"] for line in said if line["logger"] == "karenpanel.mail"] == ["Mail sent"] * 2


APPLICATION = """
import django.db.transaction
from karenpanel.wsgi import application as panel
from django.core.mail import send_mail
def application(environ, start_response):
    send_mail("From a worker", "", None, ["bob@example.com"])
    start_response("200 OK", [])
    return [b"sent"]
"""


def test_a_worker_of_the_web_server_answers_first_and_finishes_its_mails_when_it_is_stopped(
    smtp: Mailbox, tmp_path: Path
) -> None:
    smtp.fault = "slow"
    (tmp_path / "mailing.py").write_text(APPLICATION)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        command = [sys.executable, "-W", "ignore", "-m", "gunicorn", "-c", "python:karenpanel.serving", "mailing"]
        command += ["--bind", f"fd://{listener.fileno()}", "--workers", "1", "--threads", "2"]
        command += ["--pythonpath", f"{tmp_path},{ROOT}", "--log-level", "error"]
        server = subprocess.Popen(command, env=environment(smtp.url), cwd=ROOT, pass_fds=[listener.fileno()])
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    try:
        browser = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for _ in range(200):
            try:
                assert browser.open(address, timeout=20).read() == b"sent"
                break
            except OSError:
                time.sleep(0.1)
        before = smtp.messages()
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.wait()

    assert (before, len(smtp.messages(TO))) == ([], 1)
