"""gunicorn's worker with threads, in which no client holds a thread: only whole requests reach one.

Its loop waits for requests to arrive and for answers to be taken; threads do nothing but compute. What a request says is
still for gunicorn's parser to find out: the loop hands it the bytes as they came, from the first.
"""

import errno
import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from operator import attrgetter
from typing import Any

from gunicorn.http import RequestParser
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from karenpanel.server.connection import HEAD, SMALL, Connection, NoRoom, NotYet

# Seconds for the head of a request once it has begun, for anything longer before its rate counts, and for the end.
HEAD_SECONDS = 15.0
GRACE_SECONDS = 20.0
LINGER_SECONDS = 5.0
SWEEP_SECONDS = 0.5
# Bytes a second that a client sends and takes at the least, 128 kbit/s.
RATE = 16 * 2**10
# Of each process: long bodies that arrive at the same time, on its disk, and bytes of answers that nobody takes.
LONG_BODIES = 32
UNSENT = 64 * 2**20

# Answered beside all others, by threads that have nothing else to do. Whoever watches the panel learns in time: nothing
# else goes with these two, as whatever is more than these words may ask for more than an answer at once. Agents ask every few
# seconds on hundreds of hosts, and wait for each other: people have their threads for themselves.
APART = re.compile(rb"(?:GET|HEAD) (?P<health>/healthz|/readyz) |(?:GET|POST) (?P<agents>/agent/)")
APART_THREADS = {b"/healthz": 1, b"/readyz": 1, b"/agent/": 2}

REFUSALS = {
    408: ("Request Timeout", "This took too long to arrive. Try again, over a faster connection if you can."),
    431: ("Request Header Fields Too Large", "The address or the cookies are too long. Delete this site's cookies."),
    503: ("Service Unavailable", "There is no room for more files just now. Try again in a minute."),
}

Reaction = Callable[[Connection, socket.socket], None]


class Worker(ThreadWorker):  # type: ignore[misc]
    def init_process(self) -> None:
        # All that the loop waits for, those on which nothing has happened for longest first.
        self.watched: dict[Connection, None] = {}
        self.swept = 0.0
        # How many requests are with each pool's threads, or wait for one.
        self.computing: Counter[Executor] = Counter()
        self.apart = {path: ThreadPoolExecutor(number) for path, number in APART_THREADS.items()}
        super().init_process()

    def run(self) -> None:
        super().run()
        for pool in self.apart.values():
            pool.shutdown(wait=False)

    # ── A request arrives ─────────────────────────────────────────────────────

    def accept(self, listener: socket.socket) -> None:
        try:
            line, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self.make_room()
            elif error.errno in (errno.EBADF, errno.EINVAL, errno.ENOTSOCK):
                raise
            # All others are of the client that would have been accepted.
            return
        self.nr_conns += 1
        if self.nr_conns >= self.worker_connections:
            self.make_room()
        self.guarded(self.listen, Connection(line, client, listener.getsockname()))

    def make_room(self) -> None:
        """The one on which nothing has happened for longest goes. Files of members are few, and dear to send again: they
        go last. Half-sent heads and forms are anybody's, and worth no more than a connection that has just come."""
        if self.watched:
            self.end(next((one for one in self.watched if not one.later), next(iter(self.watched))))

    def listen(self, connection: Connection) -> None:
        """Wait for a request, of which a part may be there."""
        connection.arriving = True
        if connection.is_whole():
            self.enqueue_req(connection)
        else:
            self.watch(connection, selectors.EVENT_READ, self.on_arriving, self.seconds_until_more(connection))

    def seconds_until_more(self, connection: Connection) -> float:
        if connection.wanted:
            connection.since = time.monotonic()
            return seconds_for(connection.length)
        if connection.received:
            return HEAD_SECONDS
        # A worker that stops waits only for what may be on its way.
        return float(self.cfg.keepalive if self.alive else min(self.cfg.keepalive, STOP_KEEPALIVE_LINGER))

    def on_arriving(self, connection: Connection, line: socket.socket) -> None:
        began, had_head = bool(connection.received), bool(connection.wanted)
        try:
            goes_on = connection.receive()
        except OSError:
            goes_on = False
        if not goes_on:
            self.end(connection)
        elif connection.is_whole():
            self.unwatch(connection)
            self.enqueue_req(connection)
        elif connection.wanted:
            if not had_head:
                connection.since = time.monotonic()
            connection.until = connection.since + seconds_for(connection.length)
        elif len(connection.received) > HEAD:
            self.refuse(connection, 431)
        elif not began:
            connection.until = time.monotonic() + HEAD_SECONDS

    # ── A thread answers ──────────────────────────────────────────────────────

    def enqueue_req(self, connection: Connection) -> None:
        apart = APART.match(connection.received)
        connection.pool = pool = self.apart[apart["health"] or apart["agents"]] if apart else self.tpool
        future = pool.submit(self.handle, connection)
        self.computing[pool] += 1
        finish = partial(self.method_queue.defer, self.guarded, self.finish_request, connection)
        future.add_done_callback(finish)

    def handle(self, connection: Connection) -> bool | None:
        """In a thread. Returns whether the connection stays, or None where the application has to be asked again."""
        connection.parser = RequestParser(self.cfg, connection.pieces(), connection.client)
        try:
            keep = bool(super().handle(connection))
        except NotYet:
            return None
        connection.flush()
        return keep

    def handle_request(self, request: Any, connection: Connection) -> bool:
        if self.computing[connection.pool] > self.cfg.threads:
            # The client comes again, and may find a process that has less to do.
            request.force_close()
        return bool(super().handle_request(request, connection))

    def _keepalive_after(self, connection: Connection, keepalive: bool) -> bool:
        try:
            return bool(super()._keepalive_after(connection, keepalive))
        except NotYet:
            # A body that nobody reads, and that is not there: what follows it could not be told from it.
            return False

    def finish_request(self, connection: Connection, future: "Future[bool | None]") -> None:
        """In the loop again."""
        self.computing[connection.pool] -= 1
        if future.cancelled() or future.exception():
            self.end(connection)
        elif (keep := future.result()) is None:
            self.await_all(connection)
        else:
            connection.keep = keep
            connection.drop()
            self.send(connection)

    def await_all(self, connection: Connection) -> None:
        if connection.want_all() <= 0:
            self.end(connection)
            return
        if connection.is_long():
            self.make_room_for_file()
            connection.store()
        self.watch(connection, selectors.EVENT_READ, self.on_arriving, self.seconds_until_more(connection))

    def make_room_for_file(self) -> None:
        """Where one has to go, whoever sends least is told to come again. Raises NoRoom."""
        files = [one for one in self.watched if one.later]
        if len(files) >= LONG_BODIES:
            if not files:
                raise NoRoom
            # Each byte that arrives gives more time.
            self.refuse(min(files, key=attrgetter("until")), 503)

    # ── The client takes the answer ───────────────────────────────────────────

    def send(self, connection: Connection) -> None:
        connection.arriving = False
        if not self.flushed(connection):
            if connection.unsent:
                self.watch(connection, selectors.EVENT_WRITE, self.on_room, seconds_for(len(connection.unsent)))
                self.bound_unsent()
        elif connection.keep:
            connection.next()
            self.listen(connection)
        else:
            self.linger(connection)

    def bound_unsent(self) -> None:
        kept = {one: len(one.unsent) for one in self.watched if one.unsent}
        for one in list(kept):
            if sum(kept.values()) <= UNSENT:
                return
            self.end(one)
            del kept[one]

    def flushed(self, connection: Connection) -> bool:
        try:
            return connection.flush()
        except OSError:
            connection.unsent.clear()
            self.end(connection)
            return False

    def on_room(self, connection: Connection, line: socket.socket) -> None:
        before = len(connection.unsent)
        if self.flushed(connection):
            self.unwatch(connection)
            self.send(connection)
        elif 0 < len(connection.unsent) < before:
            # It is taken, if slowly: others make room before it.
            self.watched[connection] = self.watched.pop(connection)

    def refuse(self, connection: Connection, status: int) -> None:
        reason, words = REFUSALS[status]
        more = "Retry-After: 60\r\n" if status == 503 else ""
        self.unwatch(connection)
        connection.forget()
        connection.keep = False
        connection.unsent += (
            f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Cache-Control: no-store\r\n{more}X-Content-Type-Options: nosniff\r\n"
            f"Content-Length: {len(words) + 1}\r\n\r\n{words}\n"
        ).encode()
        self.send(connection)

    def linger(self, connection: Connection) -> None:
        """Ended at once, a connection on which the client still sends would take the answer along."""
        try:
            connection.line.shutdown(socket.SHUT_WR)
        except OSError:
            self.end(connection)
        else:
            connection.forget()
            connection.received.clear()
            self.watch(connection, selectors.EVENT_READ, self.on_lingering, LINGER_SECONDS)

    def on_lingering(self, connection: Connection, line: socket.socket) -> None:
        try:
            if connection.line.recv(HEAD + SMALL):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.end(connection)

    # ── What the loop waits for ───────────────────────────────────────────────

    def watch(self, connection: Connection, event: int, react: Reaction, seconds: float) -> None:
        self.poller.register(connection.line, event, partial(self.on_event, react, connection))
        connection.until = time.monotonic() + seconds
        connection.react = react
        self.watched[connection] = None

    def on_event(self, react: Reaction, connection: Connection, line: socket.socket) -> None:
        # In the same turn of the loop it may have been ended, or refused, to make room for another.
        if connection.react == react:
            self.guarded(react, connection, line)

    def guarded(self, act: Callable[..., None], connection: Connection, *more: Any) -> None:
        """Whatever happens to one connection happens to it alone: an error that left the loop would end the process."""
        try:
            try:
                act(connection, *more)
            except NoRoom as error:
                self.log.warning("No room for a long body: %s", error.__cause__ or "none may arrive")
                self.refuse(connection, 503)
        except Exception:
            self.log.exception("A connection has failed.")
            self.end(connection)

    def unwatch(self, connection: Connection) -> None:
        if connection in self.watched:
            del self.watched[connection]
            connection.react = None
            self.poller.unregister(connection.line)

    def end(self, connection: Connection) -> None:
        if connection.line.fileno() < 0:
            # It is counted once.
            return
        self.nr_conns -= 1
        try:
            self.unwatch(connection)
        finally:
            connection.close()

    def murder_keepalived(self, force: bool = False) -> None:
        """What gunicorn's loop calls each time it has turned: end what has taken too long."""
        now = time.monotonic()
        if not force and now < self.swept + SWEEP_SECONDS:
            return
        self.swept = now
        for connection in [one for one in self.watched if force or one.until <= now]:
            if connection not in self.watched:
                # The answer to one before it took its room.
                continue
            if connection.arriving and connection.received and not force:
                self.guarded(self.refuse, connection, 408)
            else:
                self.end(connection)

    def _cap_keepalive(self, deadline: float) -> None:
        """The worker stops: connections on which nothing comes need not be waited for."""
        for connection in self.watched:
            if connection.arriving and not connection.received:
                connection.until = min(connection.until, deadline)


def seconds_for(size: int) -> float:
    """How long so many bytes may take, in either direction. Of a body they are those that have arrived."""
    return GRACE_SECONDS + size / RATE
