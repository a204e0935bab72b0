"""Whoever is slow waits alone: heads, bodies and readers of answers that take their time hold nobody else up."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from securitygroups.models import SecurityGroup, User
from tests.conftest import SignIn
from tests.load import clients
from tests.server import Server, all_of, running
from tests.test_uploads import HEAD, MIB, TAIL, cookies, post, status_of

PAGE = clients.get("/sign-in/", keep=False)


@pytest.fixture(scope="module")
def server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def hasty(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same server with little patience."""
    limits = {"HEAD_SECONDS": 0.5, "GRACE_SECONDS": 0.5, "LINGER_SECONDS": 0.5, "RATE": 10**9}
    with running(tmp_path_factory.mktemp("hasty"), **limits) as server:
        yield server


def is_open(line: socket.socket) -> bool:
    line.setblocking(False)
    try:
        while line.recv(65_536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


# ── Nobody waits for them ─────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "begin", [clients.half_head, clients.half_body, clients.half_long_body, clients.idle, clients.unread("/sign-in/")]
)
def test_slow_clients_hold_nobody_up(begin: Callable[[socket.socket], None], server: Server) -> None:
    with clients.slow(server.port, begin) as lines:
        answer = server.send(PAGE)

        assert status_of(answer) == 200
        if begin in (clients.half_head, clients.half_body):
            assert all(is_open(line) for line in lines), "they are still there, and still wait"


def test_who_lets_the_server_end_a_connection_and_stays_holds_nobody_up(server: Server) -> None:
    lines = []
    for _ in range(20):
        line = server.connect()
        lines.append(line)
        line.sendall(PAGE)
        clients.answer(line)

    assert status_of(server.send(PAGE)) == 200
    for line in lines:
        line.close()


def test_long_bodies_of_members_hold_nobody_up_and_arrive(
    transactional_db: None, server: Server, group: SecurityGroup, alice: User, sign_in: SignIn
) -> None:
    url, cookie = f"{group.get_absolute_url()}replay/", cookies(sign_in(alice))
    body = HEAD + b"x" * MIB + TAIL
    head = post(url, str(len(body)), Cookie=cookie, Connection="close")
    lines = [server.connect() for _ in range(20)]
    for line in lines:
        line.sendall(head + body[: MIB // 2])

    assert status_of(server.send(PAGE)) == 200
    for line in lines:
        line.sendall(body[MIB // 2 :])
        answer = all_of(line)
        assert status_of(answer) == 403, "the form has no token, and was read to its end to find that out"
        line.close()


def test_whoever_asks_whether_to_send_is_told(
    transactional_db: None, server: Server, group: SecurityGroup, alice: User, sign_in: SignIn
) -> None:
    url, cookie = f"{group.get_absolute_url()}replay/", cookies(sign_in(alice))
    body = HEAD + b"x" * MIB + TAIL
    with server.connect() as line:
        line.sendall(post(url, str(len(body)), Cookie=cookie, Connection="close", Expect="100-continue"))
        assert line.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(body)

        assert status_of(all_of(line)) == 403


def test_an_answer_that_is_taken_late_arrives_whole(server: Server) -> None:
    whole = server.send(PAGE)
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        line.settimeout(20)
        line.connect(("127.0.0.1", server.port))
        line.sendall(PAGE)
        server.send(PAGE)

        assert len(all_of(line)) == len(whole)


# ── What belongs together stays together ──────────────────────────────────────


def test_a_request_may_be_cut_anywhere(server: Server) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with server.connect() as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(request)):
            line.sendall(request[:cut])
            time.sleep(0.001)
            line.sendall(request[cut:])

            assert clients.answer(line).endswith(b"ok\n"), cut


def test_requests_that_come_together_are_answered_in_their_order(server: Server) -> None:
    small = post("/sign-in/", "5") + b"a=b&c"
    answers = server.send(
        clients.get("/healthz") + small + clients.get("/nowhere/") + clients.get("/healthz", keep=False)
    )

    assert [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]] == [200, 403, 404, 200]


# ── They are told ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("begin", [clients.half_head, clients.half_body])
def test_who_takes_too_long_to_ask_is_told_so(begin: Callable[[socket.socket], None], hasty: Server) -> None:
    with hasty.connect() as line:
        begin(line)
        answer = all_of(line)

    assert status_of(answer) == 408
    assert b"This took too long to arrive." in answer


def test_a_long_body_that_takes_too_long_is_ended_in_words(
    transactional_db: None, hasty: Server, group: SecurityGroup, alice: User, sign_in: SignIn
) -> None:
    url, cookie = f"{group.get_absolute_url()}replay/", cookies(sign_in(alice))
    with hasty.connect() as line:
        line.sendall(post(url, str(MIB), Cookie=cookie) + HEAD)

        assert status_of(all_of(line)) == 408


def test_a_head_without_end_is_refused(server: Server) -> None:
    answer = server.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-Long: aaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 5000)

    assert status_of(answer) == 431


def test_more_long_bodies_than_there_is_room_for_are_refused_in_words(
    transactional_db: None, tmp_path: Path, group: SecurityGroup, alice: User, sign_in: SignIn
) -> None:
    request = post(f"{group.get_absolute_url()}replay/", str(MIB), Cookie=cookies(sign_in(alice))) + HEAD
    with running(tmp_path, LONG_BODIES=0) as server:
        answer = server.send(request)

    assert status_of(answer) == 503
    assert b"Retry-After: 60\r\n" in answer


def test_where_no_room_is_left_the_longest_waiting_makes_it(
    transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--worker-connections 20")
    with running(tmp_path) as server:
        lines = [server.connect() for _ in range(60)]
        for line in lines:
            clients.half_head(line)

        assert status_of(server.send(PAGE)) == 200
        assert not is_open(lines[0])
        assert is_open(lines[-1])
        for line in lines:
            line.close()


# ── Whoever watches ───────────────────────────────────────────────────────────


def test_health_is_told_while_every_thread_computes(transactional_db: None, tmp_path: Path) -> None:
    with running(tmp_path) as server:
        lines = [server.connect() for _ in range(20)]
        for line in lines:
            line.sendall(clients.get("/busy/?60"))

        answers = [server.send(clients.get(path, keep=False)) for path in ("/healthz", "/readyz") for _ in range(3)]

        assert [status_of(answer) for answer in answers[:3]] == [200] * 3
        assert all(answer.endswith((b"ready\n", b"does not reach its database.\n")) for answer in answers[3:])
        for line in lines:
            line.setblocking(False)
            with pytest.raises(BlockingIOError):
                # It computes still, or waits for a thread.
                line.recv(1)
            line.close()
