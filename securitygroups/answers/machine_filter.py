"""Which VMs of a project a filter finds. It stands in the address bar, so that it can be kept, sent and come back to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

from django.db.models import Q, QuerySet

from securitygroups.answers.addresses import spans
from securitygroups.firewall.texts import clean, visible
from securitygroups.models import Project, VirtualMachine

LONGEST, MOST_WORDS = 200, 12


def query_text(query: Mapping[str, Any], name: str) -> str:
    """What was typed into a search box: fit to be looked for, and to be shown again."""
    return visible(clean(str(query.get(name, ""))[:LONGEST]))


@dataclass(frozen=True, slots=True)
class MachineFilter:
    """All of it must hold. `q` are words; each is found in a name, a description, an ID or among the addresses."""

    q: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, Any]) -> Self:
        """What the parameters of an address say; whatever is none of ours, or makes no sense, filters nothing."""
        return cls(q=query_text(query, "q"))

    def query(self) -> str:
        """The same as parameters of an address, always in one order; empty where everything is found."""
        return urlencode([("q", self.q)] if self.q else [])

    def of(self, project: Project) -> QuerySet[VirtualMachine]:
        """The project's VMs that it finds, in order."""
        rows: QuerySet[VirtualMachine] = VirtualMachine.objects.live().filter(project=project)
        for word in self.q.split()[:MOST_WORDS]:
            rows = rows.filter(_has(word))
        return rows.order_by("name", "pk")


def _has(word: str) -> Q:
    found = Q(name__icontains=word) | Q(description__icontains=word) | Q(public_id__iexact=word)
    for span in spans(word):
        first, last = span.ends
        found |= Q(**{f"ipv{span.version}__gte": first, f"ipv{span.version}__lte": last})
    return found
