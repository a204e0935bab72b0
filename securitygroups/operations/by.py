"""Who makes a change, for whom and why: what every operation is told and writes on record."""

from dataclasses import dataclass, replace
from typing import Any, Self

from django.core.exceptions import ValidationError

from securitygroups.firewall.texts import clean
from securitygroups.firewall.values import description_problem
from securitygroups.models import ApiToken, User

PANEL = "karenpanel"
"""The name on record where no person acted."""


@dataclass(frozen=True, slots=True)
class By:
    """`user` is None where the panel itself acts. `staff` says that it is done for the platform, not as a member of
    the project: the customer's record shows the difference. `reason` is one line of up to 255 characters, or empty. `token` is
    what a program showed that acts for the person, or for the project of whose service account it is. `host` is the name of
    the host of whose report it follows.
    """

    user: User | None = None
    staff: bool = False
    reason: str = ""
    token: ApiToken | None = None
    host: str = ""

    def __post_init__(self) -> None:
        # It goes on record in more than one place: as it is kept in all of them.
        object.__setattr__(self, "reason", clean(self.reason))

    @property
    def name(self) -> str:
        """As the record says it: names of people may change, what is on record does not."""
        return self.user.get_username() if self.user else PANEL

    @property
    def columns(self) -> dict[str, Any]:
        """Who, for the row of a revision or an event."""
        return {
            "actor": self.user,
            "actor_name": self.name,
            "by_staff": self.staff,
            "token": self.token,
            "via": self.via,
        }

    @property
    def via(self) -> str:
        """What it came by, in words; empty for what a person did in the panel."""
        if self.token:
            return f"API token “{self.token.name}”"
        return f"host “{self.host}”" if self.host else ""

    def because(self, reason: str) -> Self:
        """The same person, with this reason."""
        return replace(self, reason=reason)

    def noting(self, words: str) -> Self:
        """The same person, with these words before a reason of their own."""
        return self.because(f"{words} {self.reason}".strip()[:255])

    def check(self) -> None:
        """Raises ValidationError where the reason is no line of text that can go on record."""
        problem = description_problem(self.reason)
        if problem:
            raise ValidationError({"reason": problem.message})
