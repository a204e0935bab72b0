"""What stored things have in common: ids, names, and lists without what was deleted."""

import secrets
from collections.abc import Collection
from typing import Any, ClassVar, Self

from django.db import connection, models
from django.db.models import Q

from securitygroups.firewall.texts import mended
from securitygroups.firewall.values import Refused, address_text, parse_address


# Public ids are random: an address in the panel tells nobody how many groups, VMs or cases there are.
# The migrations know these functions, and one_line of fields, by the name securitygroups.models.*.
def new_group_id() -> str:
    return f"sg-{secrets.token_hex(5)}"


def new_machine_id() -> str:
    return f"vm-{secrets.token_hex(5)}"


def new_rule_id() -> str:
    return secrets.token_hex(6)


def new_case_id() -> str:
    return f"case-{secrets.token_hex(5)}"


def new_host_id() -> str:
    return f"host-{secrets.token_hex(5)}"


class SameName(models.Func):
    """What two names have to differ in: not in case, in width or other shapes of the same letters (NFKC), nor in what joins
    or colours them unseen.
    """

    template = (
        "lower(translate(normalize(%(expressions)s, NFKC), "
        r"U&'\180B\180C\180D\180E\180F\200B\200C\200D\FE0E\FE0F', ''))"
    )
    output_field: ClassVar[models.Field[Any, Any]] = models.TextField()


def same_names(names: Collection[str]) -> dict[str, str]:
    """What SameName makes of each of these texts; the database alone knows (one query)."""
    if not names:
        return {}
    same = SameName.template % {"expressions": "name"}
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT name, {same} FROM unnest(%s::text[]) AS name", [list(names)])  # noqa: S608
        return dict(cursor.fetchall())


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

    def named_like(self, text: str, *, also: str = "") -> Self:
        """Name, description, public id, (of VMs) an address, the external ID or the column `also` has the text; all when it
        is empty."""
        text = mended(text)
        if not text:
            return self
        found = Q(name__icontains=text) | Q(description__icontains=text) | Q(public_id__iexact=text)
        if also:
            found |= Q(**{f"{also}__icontains": text})
        if hasattr(self.model, "ipv4"):
            found |= Q(external_id=text)
            if address := _address(text):
                found |= Q(**{"ipv6" if ":" in address else "ipv4": address})
        return self.filter(found)
