"""One request to a real receiver over real TLS, and every way in which it can go wrong."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from securitygroups.webhooks.addresses import reach
from securitygroups.webhooks.answer import LONGEST_WAIT, Answer, wait_of
from securitygroups.webhooks.post import MOST_READ, SECONDS, post
from tests.webhooks.conftest import here
from tests.webhooks.receivers import NAME, Receiver, receiving


def send(url: str, body: bytes = b"{}", resolver: Any = here) -> Answer:
    return post(url, {"Content-Type": "application/json", "webhook-id": "evt_1_1"}, body, reach(here), resolver)


def test_it_arrives_as_it_was_sent(receiver: Receiver) -> None:
    answer = send(receiver.url(path="/hook?key=1"), b'{"type":"x"}')

    assert answer.taken
    assert (answer.status, answer.error) == (204, "")
    [got] = receiver.got
    assert (got.path, got.body, got.server_name) == ("/hook?key=1", b'{"type":"x"}', NAME)
    assert got.headers["Host"] == f"{NAME}:{receiver.port}"
    assert got.headers["webhook-id"] == "evt_1_1"


def test_the_port_of_https_is_not_named_in_the_request(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers that sign or route by Host know themselves without it."""
    port = receiver.port
    monkeypatch.setattr(
        "securitygroups.webhooks.post.create_connection",
        lambda to, timeout: socket.create_connection((to[0], port if to[1] == 443 else to[1]), timeout),
    )

    assert send(f"https://{NAME}/hook").taken
    assert receiver.got[0].headers["Host"] == NAME


def test_an_address_of_numbers_needs_no_name(receiver: Receiver) -> None:
    assert send(receiver.url("127.0.0.1"), resolver=lambda *_: pytest.fail("nothing is looked up")).taken


def test_the_next_address_is_tried_where_the_first_refuses(receiver: Receiver) -> None:
    answer = send(receiver.url(), resolver=lambda *_: ["127.0.0.2", "127.0.0.1"])

    assert answer.taken


def test_a_proxy_of_the_environment_sees_nothing(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert os.environ["HTTPS_PROXY"]
    assert send(receiver.url()).taken


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    for status in (301, 302, 303, 307, 308):
        receiver.status = status
        answer = send(receiver.url())

        assert not answer.taken
        assert answer.status == status
        assert "not followed" in answer.error
    assert {got.path for got in receiver.got} == {"/hook"}
    assert len(receiver.got) == 5


@pytest.mark.parametrize("status", [200, 202, 299])
def test_every_answer_from_200_to_299_is_a_yes(receiver: Receiver, status: int) -> None:
    receiver.status = status

    assert send(receiver.url()).taken


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
def test_every_other_answer_is_a_no(receiver: Receiver, status: int) -> None:
    receiver.status = status
    answer = send(receiver.url())

    assert (answer.taken, answer.gone, answer.status) == (False, status == 410, status)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("9" * 5000, LONGEST_WAIT),
        ("Fri, 27 Nov 2026 08:02:00 GMT", 120),
        ("Fri, 27 Nov 2026 07:00:00 GMT", 0),
        ("Fri, 27 Nov 9999 07:00:00 GMT", LONGEST_WAIT),
        ("Fri, 27 Nov 2026 08:02:00 -0000", 120),
        ("-5", 0),
        ("١٢٠", 0),
        ("soon", 0),
        ("", 0),
    ],
)
def test_a_receiver_says_how_long_it_wants_to_be_left_alone(text: str, seconds: int) -> None:
    assert wait_of(text, lambda: datetime(2026, 11, 27, 8, tzinfo=UTC)) == seconds


def test_how_long_it_wants_to_be_left_alone_is_read_from_its_answer(receiver: Receiver) -> None:
    def busy(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(503)
        handler.send_header("Retry-After", "90")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    receiver.answers = busy

    assert (send(receiver.url()).status, send(receiver.url()).wait) == (503, 90)


# ── TLS ───────────────────────────────────────────────────────────────────────


def test_a_certificate_of_an_unknown_authority_is_not_taken(receiver: Receiver, settings: Any) -> None:
    settings.WEBHOOK_CA_FILE = ""
    answer = send(receiver.url())

    assert answer.status is None
    assert answer.error.startswith("Its certificate is not taken: ")
    assert receiver.got == []


def test_a_certificate_for_another_name_is_not_taken(receiver: Receiver) -> None:
    answer = send(receiver.url("other.example"))

    assert answer.error.startswith("Its certificate is not taken: ")
    assert receiver.got == []


@contextmanager
def answering(settings: Any, talk: Any) -> Iterator[int]:
    """A plain socket that does something with each connection, until the test ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        settings.WEBHOOK_NETWORKS_ALLOWED, settings.WEBHOOK_PORTS = ["127.0.0.0/8"], [port]

        def serve() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=talk, args=[connection], daemon=True).start()
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        yield port
        server.shutdown(socket.SHUT_RDWR)


def test_a_receiver_without_tls_is_told_of_in_words(settings: Any) -> None:
    def plain(connection: socket.socket) -> None:
        with connection:
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with answering(settings, plain) as port:
        assert send(f"https://{NAME}:{port}/").error == "It speaks no TLS that is taken: 1.2 or newer is."


def test_nobody_there_is_told_of_in_words(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings.WEBHOOK_NETWORKS_ALLOWED, settings.WEBHOOK_PORTS = ["127.0.0.0/8"], [port]

    assert send(f"https://{NAME}:{port}/").error == "It refuses connections at this port."


def test_a_connection_that_breaks_is_told_of_in_words(settings: Any) -> None:
    def hangs_up(connection: socket.socket) -> None:
        connection.recv(100)
        connection.close()

    with answering(settings, hangs_up) as port:
        assert send(f"https://{NAME}:{port}/").error in (
            "The connection broke, or came to nothing.",
            "It speaks no TLS that is taken: 1.2 or newer is.",
        )


# ── Time and size ─────────────────────────────────────────────────────────────


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> float:
    """A second instead of ten."""
    monkeypatch.setattr("securitygroups.webhooks.post.SECONDS", 1.0)
    return 1.0


def _late(answer: Answer, soon: float) -> bool:
    return answer.error == "There was no answer in time." and answer.milliseconds < 1000 * (soon + 4)


def test_ten_seconds_are_the_most() -> None:
    assert SECONDS == 10


def test_a_receiver_that_never_answers_is_given_up(receiver: Receiver, soon: float) -> None:
    done = threading.Event()
    receiver.answers = lambda _: done.wait(30)

    assert _late(send(receiver.url()), soon)
    done.set()


def test_a_receiver_that_never_shakes_hands_is_given_up(settings: Any, soon: float) -> None:
    held: list[socket.socket] = []
    with answering(settings, held.append) as port:
        assert _late(send(f"https://{NAME}:{port}/"), soon)
    for connection in held:
        connection.close()


def test_a_handshake_drop_by_drop_is_given_up(settings: Any, soon: float) -> None:
    def drips(connection: socket.socket) -> None:
        # The head of a record of 16,000 bytes, which come one by one.
        with connection, suppress(OSError):
            connection.sendall(b"\x16\x03\x03\x3e\x80\x02\x00\x3e\x7c")
            while True:
                time.sleep(0.1)
                connection.sendall(b"\0")

    with answering(settings, drips) as port:
        answer = send(f"https://{NAME}:{port}/")

    assert answer.status is None
    assert answer.milliseconds < 5000


def test_an_answer_drop_by_drop_is_given_up(receiver: Receiver, soon: float) -> None:
    def drips(handler: BaseHTTPRequestHandler) -> None:
        for sign in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 500:
            handler.wfile.write(bytes([sign]))
            time.sleep(0.05)

    receiver.answers = drips

    assert _late(send(receiver.url()), soon)


def test_a_body_drop_by_drop_holds_up_nobody_for_the_status_says_all(receiver: Receiver) -> None:
    def drips(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
        for _ in range(500):
            handler.wfile.write(b"a")
            time.sleep(0.05)

    receiver.answers = drips
    answer = send(receiver.url())

    assert answer.taken
    assert answer.milliseconds < 5000


def test_of_an_answer_without_an_end_only_so_much_is_read(receiver: Receiver) -> None:
    written = []

    def floods(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for _ in range(4000):
            handler.wfile.write(b"a" * 16_384)
            written.append(16_384)

    receiver.answers = floods

    assert send(receiver.url()).taken
    time.sleep(0.2)
    # What the two sides' buffers hold, and not 64 MB.
    assert sum(written) < 32_000_000


@pytest.mark.parametrize(
    "head", [b"X-Long: " + b"a" * 2 * MOST_READ, b"X-Many: a\r\n" * 20_000, b"HTTP/1.1 100 Go on\r\n\r\n" * 9000]
)
def test_a_head_without_an_end_is_no_answer(receiver: Receiver, head: bytes) -> None:
    def floods(handler: BaseHTTPRequestHandler) -> None:
        start = b"" if head.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\n"
        handler.wfile.write(start + head)

    receiver.answers = floods
    answer = send(receiver.url())

    assert answer.status is None
    assert answer.error in ("It answered with more than is read.", "It answered with something that is no HTTP.")


@pytest.mark.parametrize(
    "nonsense", [b"\0" * 100, b"SSH-2.0-x\r\n", b"HTTP/9.9 abc\r\n\r\n", b"HTTP/1.1 20 OK\r\n\r\n", b""]
)
def test_what_is_no_http_is_told_of_in_words(receiver: Receiver, nonsense: bytes) -> None:
    receiver.answers = lambda handler: handler.wfile.write(nonsense)
    answer = send(receiver.url())

    assert answer.status is None
    assert answer.error in ("It answered with something that is no HTTP.", "The connection broke, or came to nothing.")


def test_nothing_that_a_receiver_writes_is_kept(receiver: Receiver) -> None:
    def answers(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 500 <b>secret\r\nLocation: secret\r\nContent-Length: 6\r\n\r\nsecret")

    receiver.answers = answers
    answer = send(receiver.url())

    assert answer.status == 500
    assert "secret" not in repr(answer)


def test_a_name_that_takes_forever_to_find_holds_nobody_up(receiver: Receiver, soon: float) -> None:
    done = threading.Event()

    def hangs(host: str, port: int) -> list[str]:
        done.wait(30)
        return ["127.0.0.1"]

    url, to = receiver.url(), reach(here)
    answer = post(url, {}, b"", to, hangs)
    done.set()

    assert answer.error == f"{NAME} stands for no public address."
    assert answer.milliseconds < 5000
    assert receiver.got == []


def test_a_receiver_that_speaks_ipv6_is_sent_to_by_its_address(certificates: tuple[Path, Path], settings: Any) -> None:
    authority, certificate = certificates
    try:
        probe = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    probe.close()
    settings.WEBHOOK_CA_FILE, settings.WEBHOOK_NETWORKS_ALLOWED = str(authority), ["::1/128"]
    with receiving(certificate, "::1") as started:
        settings.WEBHOOK_PORTS = [started.port]

        assert send(started.url("[::1]")).taken
        assert started.got[0].headers["Host"] == f"[::1]:{started.port}"
