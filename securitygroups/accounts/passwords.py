"""Passwords that others would guess: known from breaches, built by habit, or made of what is known about the person.

Nothing is asked of any server: the lists lie in the packages zxcvbn and Django.
"""

import re

from django.core.exceptions import ValidationError
from zxcvbn import zxcvbn  # type: ignore[import-untyped]

from securitygroups.models import Project, User

LEAST = 10**9
"""Guesses that somebody would need who knows how people choose: with a slow hash, years."""
JUDGED = 64
"""Characters that are looked at: the time grows with the square, and no more are needed to be sure."""
CONTEXT = ("karenpanel", "security", "group", "firewall", "admin", "support")


class NotGuessed:
    """Refuses what zxcvbn would guess soon, being told whose password it is and where."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Raises ValidationError."""
        found = zxcvbn(password[:JUDGED], user_inputs=_known_of(user))
        if found["guesses"] >= LEAST:
            return
        why = found["feedback"]["warning"]
        words = ["This password would be guessed soon.", f"{why.rstrip('.')}." if why else "", self.get_help_text()]
        raise ValidationError(" ".join(filter(None, words)), code="guessed")

    def get_help_text(self) -> str:
        return "Take three or four words that have nothing to do with each other."


def _known_of(user: User | None) -> list[str]:
    """What somebody who knows the person and the place would try."""
    texts = [*CONTEXT]
    if user is not None:
        # A form whose user name was refused has none by now.
        texts += [text for text in (user.username, user.email, user.first_name, user.last_name) if text]
        if user.pk:
            texts += Project.objects.visible_to(user).values_list("name", flat=True)[:20]
    return [part for text in texts for part in {text, *re.split(r"[\W_]+", text)} if len(part) > 2]
