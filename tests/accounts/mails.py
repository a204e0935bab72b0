"""What was sent, as the person who gets it reads it."""

import re
from typing import Any
from urllib.parse import urlsplit

from django.core import mail


def link_in(message: Any) -> str:
    """The path that the one link in a message leads to."""
    (found,) = re.findall(r"https?://\S+", message.body)
    return str(urlsplit(found).path)


def subjects(to: str) -> list[str]:
    """Of all that was sent to an address, the oldest first."""
    return [str(message.subject) for message in mail.outbox if message.to == [to]]


def last_to(address: str) -> Any:
    """The newest message to an address. Raises IndexError where there is none."""
    return [message for message in mail.outbox if message.to == [address]][-1]
