"""Sending what webhooks are due, in a process of its own: no page waits for a receiver, and the web processes need no way to
the internet.

One thread speaks to the database, and hands out what is due; others have nothing but a request to send. So a receiver that
takes its time holds one of them, and no connection and no lock.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from securitygroups import operations
from securitygroups.models import Delivery
from securitygroups.stream import settled_up_to
from securitygroups.webhooks.addresses import Reach, Resolver, reach, resolve
from securitygroups.webhooks.answer import Answer
from securitygroups.webhooks.keys import Unreadable, unseal
from securitygroups.webhooks.message import body_of, headers_of, identity_of
from securitygroups.webhooks.post import post

logger = structlog.get_logger()

LOOK_AGAIN = 1.0
"""Seconds between two looks at what is due."""
PATIENCE = 0.5
"""Seconds to wait for transactions that write events: answers that come in meanwhile have to be written too."""
OWN_ADDRESSES = 60.0
"""Seconds after which it is asked anew by which addresses the panel is reached."""
QUIET, LONGEST_QUIET = 5.0, 300.0
"""Seconds in which a host that failed is left alone: first, and at most."""
MOST_QUIET = 10_000
NO_SECRET = Answer(error="Its secret cannot be read with today's SECRET_KEY: give it a new one.")

Send = Callable[[str, Mapping[str, str], bytes, Reach, Resolver], Answer]


@dataclass(slots=True)
class Quiet:
    """Hosts that failed and are left alone for a while, longer each time, so that others are not kept waiting by them."""

    until: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Of each host: until when, and for how long."""
    clock: Callable[[], float] = time.monotonic

    def hosts(self) -> list[str]:
        now = self.clock()
        return [host for host, (until, _) in self.until.items() if until > now]

    def note(self, host: str, answer: Answer) -> None:
        _, before = self.until.pop(host, (0.0, QUIET / 2))
        if answer.taken or answer.gone:
            return
        if len(self.until) >= MOST_QUIET:
            self.until.pop(next(iter(self.until)))
        for_now = min(before * 2, LONGEST_QUIET)
        self.until[host] = (self.clock() + for_now, for_now)


class Deliverer:
    """One of any number that send beside each other."""

    def __init__(self, *, threads: int = 0, resolver: Resolver = resolve, send: Send = post) -> None:
        self.room = threads or settings.WEBHOOK_THREADS
        self.resolver, self.send = resolver, send
        self.pool = ThreadPoolExecutor(self.room, thread_name_prefix="deliver")
        self.under_way: dict[Future[Answer], Delivery] = {}
        self.quiet = Quiet()
        self._to: tuple[float, Reach] | None = None

    def run(self, stop: threading.Event) -> None:
        """Send until `stop` is set; then what is under way is waited for, and written down."""
        while not stop.is_set():
            try:
                busy = self.step()
            except (DatabaseError, InterfaceError) as error:
                # What was sent meanwhile stays in hand, and is written down once the database is back.
                logger.warning("deliver: the database is away", error=str(error).strip()[:300])
                connection.close()
                stop.wait(2)
                continue
            if not busy:
                self._wait(stop)
        self.finish()

    def once(self) -> int:
        """Send what is due now, and say how many were sent."""
        sent = 0
        while True:
            more, number = self._read(), self._send()
            sent += number
            if not (more or number or self.under_way):
                return sent
            wait(self.under_way, timeout=LOOK_AGAIN, return_when=FIRST_COMPLETED)
            self._settle()

    def step(self) -> bool:
        """Write down what has come back, read what is new, send what is due. Whether there may be more to do at once."""
        self._settle()
        more = self._read()
        return bool(self._send()) or more

    def finish(self) -> None:
        wait(self.under_way)
        self._settle()
        self.pool.shutdown()

    def _wait(self, stop: threading.Event) -> None:
        if self.under_way:
            wait(self.under_way, timeout=LOOK_AGAIN, return_when=FIRST_COMPLETED)
        else:
            stop.wait(LOOK_AGAIN)

    def _read(self) -> bool:
        """Make deliveries of new events; whether there are more."""
        position = operations.reading_from()
        if position is None:
            return False
        settled = settled_up_to(position, PATIENCE)
        return settled > position and operations.hand_on(settled) < settled

    def _settle(self) -> None:
        for future in [each for each in self.under_way if each.done()]:
            delivery, answer = self.under_way[future], _answer(future)
            operations.settle(delivery, answer)
            del self.under_way[future]
            self.quiet.note(delivery.webhook.host, answer)
            logger.info(
                "delivered" if answer.taken else "not delivered",
                webhook=delivery.webhook_id,
                project=delivery.event.project.slug,
                delivery=delivery.pk,
                attempt=delivery.attempts,
                status=answer.status,
                error=answer.error,
                ms=answer.milliseconds,
            )

    def _send(self) -> int:
        free = self.room - len(self.under_way)
        if free <= 0:
            return 0
        busy = Counter(delivery.event.project_id for delivery in self.under_way.values())
        due = operations.take_due(free, quiet=self.quiet.hosts(), under_way=busy)
        for delivery in due:
            self.under_way[self._sending(delivery)] = delivery
        return len(due)

    def _sending(self, delivery: Delivery) -> Future[Answer]:
        hook, at = delivery.webhook, timezone.now()
        try:
            keys = [unseal(sealed) for sealed in hook.sealed]
        except Unreadable:
            told: Future[Answer] = Future()
            told.set_result(NO_SECRET)
            return told
        body = body_of(delivery.event)
        headers = headers_of(identity_of(delivery.event, hook.pk), keys, at, body)
        return self.pool.submit(self.send, hook.url, headers, body, self._where(), self.resolver)

    def _where(self) -> Reach:
        now = time.monotonic()
        if self._to is None or now - self._to[0] > OWN_ADDRESSES:
            self._to = now, reach(self.resolver)
        return self._to[1]


def _answer(sent: Future[Answer]) -> Answer:
    try:
        return sent.result()
    except Exception:
        # What nobody thought of must not end the process, which would then meet it again and again.
        logger.exception("deliver: a receiver was too much")
        return Answer(error="It could not be sent.")
