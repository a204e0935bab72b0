"""What stored things have in common: ids, one line of text, and lists without what was deleted."""

import secrets
from typing import Any, Self

from django.db import models
from django.db.models import Q

from securitygroups.fields import refusal
from securitygroups.firewall.values import Refused, address_text, description_problem, parse_address


# Public ids are random: an address in the panel tells nobody how many groups, VMs or cases there are.
# The migrations know these functions, and one_line, by the name securitygroups.models.*.
def new_group_id() -> str:
    return f"sg-{secrets.token_hex(5)}"


def new_machine_id() -> str:
    return f"vm-{secrets.token_hex(5)}"


def new_rule_id() -> str:
    return secrets.token_hex(6)


def new_case_id() -> str:
    return f"case-{secrets.token_hex(5)}"


def one_line(text: str) -> None:
    """Validator: one line of plain text. Raises ValidationError."""
    problem = description_problem(text, longest=10_000)
    if problem:
        raise refusal(problem)


def _address(text: str) -> str | None:
    """The text as the database writes an address, None where it is none."""
    try:
        return address_text(*parse_address(text))
    except Refused:
        return None


class LiveQuerySet(models.QuerySet[Any]):
    """Groups and VMs: a deleted one keeps its row, for its history and its cases, and leaves every list."""

    # Asked for by name and not the manager's default: history, cases and what is brought back reach the deleted rows too.
    def live(self) -> Self:
        return self.filter(deleted_at=None)

    def visible_to(self, user: Any) -> Self:
        return self.live().filter(project__memberships__user=user)

    def named_like(self, text: str) -> Self:
        """Name, description, public id or (of VMs) an address has the text; all when it is empty."""
        if not text:
            return self
        found = Q(name__icontains=text) | Q(description__icontains=text) | Q(public_id__iexact=text.strip())
        address = _address(text)
        if address and hasattr(self.model, "ipv4"):
            found |= Q(**{"ipv6" if ":" in address else "ipv4": address})
        return self.filter(found)
