"""Mails: when they go, and what becomes of those that the server does not take at once.

No request waits for a mail server. What a web process sends goes into its outbox, and two threads of it deliver; so
neither a slow server nor the time of an answer tells whether a mail was sent. Commands deliver at once, and fail loudly.
In both, nothing goes out before the transaction around it is committed.
"""

import atexit
import heapq
import os
import smtplib
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from threading import Condition, Thread
from typing import Any

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend
from django.db import transaction

from karenpanel import demo_mails

WORKERS = 2
# Seconds before the second and the third try: a server that is restarted, then one that makes unknown senders wait.
PAUSES = (10.0, 120.0)
# More mails than this do not wait: the memory of a web process is not a store for what a dead server does not take.
MOST_WAITING = 1_000
# How long a process that ends goes on delivering; less than what web servers give their workers.
LAST_SECONDS = 20.0

logger = structlog.get_logger()


class Backend(BaseEmailBackend):
    """What `EMAIL_BACKEND` names."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """The number of mails that are on their way. Raises BadHeaderError for line breaks where a header would be.

        In a command also OSError and SMTPException, when the server did not take a mail.
        """
        for message in email_messages:
            # Here and not in another thread: whoever wrote the mail shall hear of it.
            message.message()
        for message in email_messages:
            send = partial(_outbox.put if _outbox else deliver, message)
            # A request whose work is committed does not fail because of a mail.
            transaction.on_commit(send, robust=_outbox is not None)
        return len(email_messages)


def deliver(message: EmailMessage) -> None:
    """Hand one mail to the server, or to the demo's folder. Raises OSError, SMTPException (a kind of OSError)."""
    if settings.DEMO_MAILS:
        demo_mails.keep(message)
    elif settings.MAIL_SERVER:
        server = EmailBackend(**settings.MAIL_SERVER)
        try:
            server.send_messages([message])
        finally:
            # Django leaves the connection open on which signing in failed.
            with suppress(OSError):
                server.close()
    else:
        # Not even its subject: whoever reads logs is not who the mail is for.
        logger.warning("No mail server is set, so a mail was dropped: set EMAIL_URL")


@dataclass(order=True)
class _Waiting:
    """A mail in the outbox, in the order in which they are due."""

    due: float
    number: int
    message: EmailMessage = field(compare=False)
    context: dict[str, Any] = field(compare=False)
    tries: int = field(compare=False, default=0)

    def log(self, level: str, event: str, **more: Any) -> None:
        """Whom it is for and which request it comes from, and nothing of what it says."""
        to = self.message.recipients()
        getattr(logger, level)(event, **self.context, to=to, tries=self.tries, **more)


class Outbox:
    """Mails of one process that wait for the server, and the threads that deliver them.

    A mail that waits for its next try holds no thread. The threads start with the first mail: a web server may fork
    after it has loaded the panel, and threads do not survive that.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._waiting: list[_Waiting] = []
        self._threads: list[Thread] = []
        self._numbers = count()
        self._ending = False

    def put(self, message: EmailMessage) -> None:
        """Take a mail and return at once. What is too much is dropped, and the log says so."""
        new = _Waiting(time.monotonic(), next(self._numbers), message, structlog.contextvars.get_contextvars())
        with self._changed:
            if self._ending or len(self._waiting) >= MOST_WAITING:
                new.log("error", "Mail dropped: too many wait, or the process ends")
                return
            self._add(new)
            if not self._threads:
                self._threads = [Thread(target=self._work, name=f"mail-{n}", daemon=True) for n in range(WORKERS)]
                for thread in self._threads:
                    thread.start()

    def finish(self, seconds: float) -> int:
        """Try all that waits without pauses, for that long at most. Returns how many mails were left."""
        until = time.monotonic() + seconds
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        with self._changed:
            return len(self._waiting)

    def _add(self, mail: _Waiting) -> None:
        heapq.heappush(self._waiting, mail)
        self._changed.notify()

    def _next(self) -> _Waiting | None:
        """The next mail that is due, when it is; None when the process ends and there is no more."""
        with self._changed:
            while True:
                pause = self._waiting[0].due - time.monotonic() if self._waiting else None
                if pause is not None and (pause <= 0 or self._ending):
                    return heapq.heappop(self._waiting)
                if pause is None and self._ending:
                    return None
                self._changed.wait(pause)

    def _work(self) -> None:
        while mail := self._next():
            mail.tries += 1
            try:
                deliver(mail.message)
            # Whatever it is, the thread has to live on for the mails after this one.
            except Exception as error:
                self._failed(mail, error)
            else:
                mail.log("info", "Mail sent")

    def _failed(self, mail: _Waiting, error: Exception) -> None:
        about = {"error": type(error).__name__, "said": str(error)[:200]}
        if is_final(error) or mail.tries > len(PAUSES):
            mail.log("error", "Mail not sent", **about)
            return
        mail.log("warning", "Mail not sent yet", **about)
        mail.due = time.monotonic() + PAUSES[mail.tries - 1]
        with self._changed:
            self._add(mail)


def is_final(error: Exception) -> bool:
    """Whether the server said no for good (5xx), or the mail cannot be sent at all: trying again would not help."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code >= 500
    return not isinstance(error, OSError)


_outbox: Outbox | None = None


def use_outbox() -> None:
    """This process answers requests: from here on its mails wait in an outbox, which is emptied before it ends."""
    global _outbox
    if _outbox is None:
        _outbox = Outbox()


def _forked() -> None:
    """What waited is the parent's to deliver."""
    global _outbox
    if _outbox:
        _outbox = Outbox()


def _finish() -> None:
    if _outbox and (left := _outbox.finish(LAST_SECONDS)):
        logger.error("Mails not sent: the process ended", number=left)


os.register_at_fork(after_in_child=_forked)
# Runs when threads of requests have ended, and before ours are.
atexit.register(_finish)
