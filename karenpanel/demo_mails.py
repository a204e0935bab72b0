"""The mails of `manage.py demo`: it sends none, but keeps them in a folder and shows them at /mails/.

There only where DEMO_MAILS names the folder, which `karenpanel.local` does, and no installation may (see mailserver.py).
Nobody has to sign in to read them: one has to read the mail before one can sign in.
"""

import os
import re
import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.mail import EmailMessage
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import now
from django.views.decorators.http import require_safe

MOST_KEPT = 500
MOST_SHOWN = 100
# Without the signs that end a sentence.
ADDRESS = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)]")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that was kept. `number` begins with the time in nanoseconds, so numbers sort as the mails came."""

    number: str
    to: str
    sender: str
    subject: str
    text: str
    at: datetime


def keep(message: EmailMessage) -> None:
    """Put a mail into the folder, whole or not at all, and let the oldest go. Raises OSError."""
    folder = Path(settings.DEMO_MAILS)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    number = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
    new = folder / f"{number}.new"
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(message.message().as_bytes())
    new.rename(folder / f"{number}.eml")
    for old in numbers()[MOST_KEPT:]:
        # The other web process may be as quick.
        (folder / f"{old}.eml").unlink(missing_ok=True)


def numbers() -> list[str]:
    """Of all that is kept, the newest first."""
    return sorted((file.stem for file in Path(settings.DEMO_MAILS).glob("*.eml")), reverse=True)


def read(number: str) -> Mail:
    """Raises OSError where there is no such mail (any more)."""
    file = Path(settings.DEMO_MAILS) / f"{number}.eml"
    message = message_from_bytes(file.read_bytes(), policy=default)
    body = message.get_body(("plain",))
    return Mail(
        number=number,
        to=str(message["To"]),
        sender=str(message["From"]),
        subject=str(message["Subject"]),
        text=body.get_content() if body else "",
        at=datetime.fromtimestamp(int(number[:20]) / 1e9, now().tzinfo),
    )


def with_links(text: str, host: str) -> SafeString:
    """The text for a page, in which the addresses on this host can be followed, and no others."""
    found, here = [], 0
    for match in ADDRESS.finditer(text):
        try:
            ours = urlsplit(match[0]).netloc == host
        except ValueError:
            continue
        if ours:
            found += [text[here : match.start()], format_html('<a href="{0}">{0}</a>', match[0])]
            here = match.end()
    return format_html_join("", "{}", ((piece,) for piece in [*found, text[here:]]))


def link(request: HttpRequest) -> dict[str, bool]:
    """For templates: whether pages that nobody is signed in on lead to the mails."""
    return {"demo_mails": bool(settings.DEMO_MAILS)}


@login_not_required
@require_safe
def mails_page(request: HttpRequest) -> HttpResponse:
    """The newest mails, each with whom it is for, its subject, and when."""
    if not settings.DEMO_MAILS:
        raise Http404
    shown = []
    for number in numbers()[:MOST_SHOWN]:
        try:
            shown.append(read(number))
        except OSError:
            continue  # the oldest, which has just been let go
    return render(request, "mails/list.html", {"mails": shown, "kept": MOST_KEPT, "shown": MOST_SHOWN})


@login_not_required
@require_safe
def mail_page(request: HttpRequest, number: str) -> HttpResponse:
    """One mail as text."""
    if not settings.DEMO_MAILS:
        raise Http404
    try:
        mail = read(number)
    except OSError:
        raise Http404 from None
    return render(request, "mails/mail.html", {"mail": mail, "text": with_links(mail.text, request.get_host())})
