"""Whoever is slow waits alone: heads, bodies and readers of answers that take their time hold nobody else up."""

import os
import resource
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from securitygroups.models import SecurityGroup, User
from tests.conftest import SignIn
from tests.load import clients
from tests.server import Server, all_of, running
from tests.test_uploads import HEAD, MIB, TAIL, cookies, post, status_of

PAGE = clients.get("/sign-in/", keep=False)
LOG = HEAD + b"x" * MIB + TAIL
LogHead = Callable[..., bytes]


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


@pytest.fixture
def log_head(transactional_db: None, group: SecurityGroup, alice: User, sign_in: SignIn) -> LogHead:
    """What comes before a long body that a member sends to a view which takes files."""

    def head(length: int = len(LOG), **headers: str) -> bytes:
        return post(f"{group.get_absolute_url()}replay/", str(length), Cookie=cookies(sign_in(alice)), **headers)

    return head


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


def wait_for_files(server: Server, count: int) -> None:
    """Until so many long bodies are being kept, in files that have no name."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        links = [link for one in processes(server) for link in Path(f"/proc/{one.pid}/fd").iterdir()]
        # One that is closed meanwhile leads to itself.
        files = [os.path.realpath(link) for link in links]
        # gunicorn has one of its own there for each process.
        if sum(file.startswith(f"{server.temporary}/") and "gunicorn" not in file for file in files) >= count:
            return
        time.sleep(0.01)
    raise AssertionError("No long body is kept.")


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


def test_long_bodies_of_members_hold_nobody_up_and_arrive(server: Server, log_head: LogHead) -> None:
    head = log_head(Connection="close")
    lines = [server.connect() for _ in range(20)]
    for line in lines:
        line.sendall(head + LOG[: MIB // 2])

    assert status_of(server.send(PAGE)) == 200
    for line in lines:
        line.sendall(LOG[MIB // 2 :])
        answer = all_of(line)
        assert status_of(answer) == 403, "the form has no token, and was read to its end to find that out"
        line.close()


def test_whoever_asks_whether_to_send_is_told(server: Server, log_head: LogHead) -> None:
    with server.connect() as line:
        line.sendall(log_head(Connection="close", Expect="100-continue"))
        assert line.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(LOG)

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


def test_a_long_body_that_takes_too_long_is_ended_in_words(hasty: Server, log_head: LogHead) -> None:
    with hasty.connect() as line:
        line.sendall(log_head(MIB) + HEAD)

        assert status_of(all_of(line)) == 408


def test_a_long_body_that_stands_still_is_ended_before_all_of_its_time(tmp_path: Path, log_head: LogHead) -> None:
    # The whole body would have half an hour.
    with running(tmp_path, GRACE_SECONDS=0.2, RATE=10_000) as server, server.connect() as line:
        line.sendall(log_head(20 * MIB) + HEAD)

        assert status_of(all_of(line)) == 408


def test_a_head_without_end_is_refused(server: Server) -> None:
    answer = server.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-Long: aaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 5000)

    assert status_of(answer) == 431


def test_more_long_bodies_than_there_is_room_for_are_refused_in_words(tmp_path: Path, log_head: LogHead) -> None:
    request = log_head(MIB) + HEAD
    with running(tmp_path, LONG_BODIES=0) as server:
        answer = server.send(request)

    assert status_of(answer) == 503
    assert b"Retry-After: 60\r\n" in answer


def test_whoever_sends_least_of_a_long_body_makes_room_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_head: LogHead
) -> None:
    monkeypatch.setenv("WEB_WORKERS", "1")
    request = log_head(Connection="close")
    with running(tmp_path, LONG_BODIES=2) as server:
        busy, *idle = lines = [server.connect() for _ in range(4)]
        busy.sendall(request + LOG[: MIB // 2])
        wait_for_files(server, 1)
        idle[0].sendall(request + HEAD)
        wait_for_files(server, 2)
        idle[1].sendall(request + HEAD)
        assert status_of(all_of(idle[0])) == 503
        idle[2].sendall(request + HEAD)
        assert status_of(all_of(idle[1])) == 503

        assert is_open(idle[2])
        busy.sendall(LOG[MIB // 2 :])
        assert status_of(all_of(busy)) == 403, "the form has no token, and was read to its end to find that out"
        for line in lines:
            line.close()


def test_a_body_behind_another_request_has_the_time_of_a_body(
    transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_WORKERS", "1")
    with running(tmp_path, HEAD_SECONDS=0.1) as server, server.connect() as line:
        line.sendall(clients.get("/healthz") + post("/sign-in/", "5") + b"a=b")
        assert clients.answer(line).endswith(b"ok\n")
        # Long enough for heads to be ended, which are looked at each half second when something happens.
        time.sleep(0.7)
        server.send(clients.get("/healthz", keep=False))
        line.sendall(b"&c")

        assert status_of(clients.answer(line)) == 403


# ── Nothing of one client ends a process ──────────────────────────────────────


def processes(server: Server) -> list[psutil.Process]:
    return sorted(psutil.Process(server.process.pid).children(), key=lambda process: int(process.pid))


@pytest.mark.parametrize("trouble", ["no folder", "full disk"])
def test_a_long_body_that_can_be_kept_nowhere_is_refused_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str, log_head: LogHead
) -> None:
    monkeypatch.setenv("WEB_WORKERS", "1")
    head = log_head()
    with running(tmp_path) as server:
        before = processes(server)
        if trouble == "no folder":
            server.temporary.rename(tmp_path / "gone")
        else:
            for process in before:
                # Writing beyond it fails as it does on a full disk.
                process.rlimit(psutil.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        answer = server.send(head, LOG)

        assert status_of(answer) == 503
        assert b"There is no room for more files just now." in answer
        assert status_of(server.send(PAGE)) == 200
        assert processes(server) == before


def test_a_connection_that_was_being_answered_does_not_hold_up_the_end(
    transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was told that it stays, before anybody knew; so it is waited for, and not for as long as at other times."""
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--graceful-timeout 60 --keep-alive 60")
    with running(tmp_path, STOP_KEEPALIVE_LINGER=0.2) as server, server.connect() as line:
        line.sendall(clients.get("/busy/?0.5"))
        time.sleep(0.2)
        server.stop()

        assert status_of(clients.answer(line)) == 200


def test_where_no_room_is_left_the_longest_waiting_makes_it_and_files_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_head: LogHead
) -> None:
    monkeypatch.setenv("WEB_WORKERS", "1")
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--worker-connections 20")
    head = log_head(Connection="close")
    with running(tmp_path) as server, server.connect() as file:
        file.sendall(head)
        file.sendall(LOG[:MIB])
        wait_for_files(server, 1)
        lines = [server.connect() for _ in range(60)]
        for line in lines:
            clients.half_head(line)

        assert status_of(server.send(PAGE)) == 200
        assert not is_open(lines[0])
        assert is_open(lines[-1])
        file.sendall(LOG[MIB:])
        assert status_of(all_of(file)) == 403, "the form has no token, and was read to its end to find that out"
        for line in lines:
            line.close()


# ── Whoever watches ───────────────────────────────────────────────────────────


def test_an_answer_in_pieces_arrives_piece_by_piece(server: Server) -> None:
    with server.connect() as line:
        began = time.monotonic()
        line.sendall(clients.get("/pieces/?2", keep=False))
        while b"piece" not in line.recv(65_536):
            pass
        first = time.monotonic() - began
        line.settimeout(20)
        while line.recv(65_536):
            pass

        assert first < 1.5 < 2 <= time.monotonic() - began


def test_who_no_longer_waits_for_the_next_piece_ends_its_making(server: Server) -> None:
    with server.connect() as line:
        line.sendall(clients.get("/pieces/?60", keep=False))
        while b"piece" not in line.recv(65_536):
            pass
    until = time.monotonic() + 10
    while b"ended" not in server.checked.read_bytes() and time.monotonic() < until:
        time.sleep(0.05)

    assert b"ended" in server.checked.read_bytes()


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


def test_pages_come_however_many_agents_ask(transactional_db: None, tmp_path: Path) -> None:
    with running(tmp_path) as server:
        lines = [server.connect() for _ in range(20)]
        for line, method in zip(lines, ("GET", "POST") * 10, strict=True):
            asked = clients.get("/agent/busy/?60").replace(b"GET", method.encode(), 1)
            line.sendall(asked.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n"))

        assert [status_of(server.send(PAGE)) for _ in range(8)] == [200] * 8

        for line in lines:
            line.setblocking(False)
            with pytest.raises(BlockingIOError):
                line.recv(1)
            line.close()


def test_what_only_looks_like_a_question_for_health_waits_as_all_others_do(
    transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_WORKERS", "1")
    health = clients.get("/healthz", keep=False)
    with running(tmp_path) as server:
        lines = [server.connect() for _ in range(12)]
        for line in lines[:8]:
            line.sendall(clients.get("/busy/?60"))
        server.send(health)
        for line, like in zip(
            lines[8:], ("POST /healthz", "GET /healthz?x", "get /healthz", "GET  /readyz"), strict=True
        ):
            line.sendall(like.encode() + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")

        assert status_of(server.send(health.replace(b"GET", b"HEAD"))) == 200
        for line in lines:
            line.setblocking(False)
            with pytest.raises(BlockingIOError):
                # It waits for a thread still.
                line.recv(1)
            line.close()
