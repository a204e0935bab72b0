"""Which groups of a project a filter finds, as machine_filter.py does for VMs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any, Self
from urllib.parse import urlencode

from django.db.models import Count, Exists, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from securitygroups.answers.internet import look
from securitygroups.answers.list_filter import Chip, Pairs, chips, has_word, is_one_of, ordered, said, sort_of, wanted
from securitygroups.models import Attachment, Project, Rule, SecurityGroup

UNUSED, OPEN, LATELY = "unused", "open", "lately"
LATELY_DAYS = 7
IS = {UNUSED: "On no VM", OPEN: "Lets the internet in", LATELY: f"Changed in the last {LATELY_DAYS} days"}
SORTS = {
    "name": ("name",),
    "rules": ("rule_count",),
    "machines": ("machine_count",),
    "changed": ("changed_at",),
    "created": ("created_at",),
}


@dataclass(frozen=True, slots=True)
class GroupFilter:
    """All of it must hold. `q` are words; each is found in a name, a description or an ID."""

    q: str = ""
    states: tuple[str, ...] = ()
    sort: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, Any]) -> Self:
        """What the parameters of an address say; whatever is none of ours, or makes no sense, filters nothing."""
        return cls(
            q=next(iter(said(query, "q")), ""),
            states=tuple(one for one in IS if one in said(query, "is")),
            sort=sort_of(query, SORTS),
        )

    @property
    def pairs(self) -> Pairs:
        """The parameters of an address that say the same, always in one order."""
        found = [("q", self.q)] if self.q else []
        return [*found, *(("is", state) for state in self.states), *([("sort", self.sort)] if self.sort else [])]

    def query(self) -> str:
        """The same as one text; empty where everything is found, in the list's own order."""
        return urlencode(self.pairs)

    @property
    def is_empty(self) -> bool:
        """Whether it finds everything, in whatever order."""
        return not (self.q or self.states)

    def chips(self) -> list[Chip]:
        """What it filters by beside the words, each with the way to the same list without it."""
        return chips(self.pairs, [(IS[state], "is", state) for state in self.states])

    def of(self, project: Project) -> QuerySet[SecurityGroup]:
        """The project's groups that it finds, in order. Raises TooLarge and NoTurn, as a filter of VMs does."""
        return self.found(project)[0]

    def found(self, project: Project) -> tuple[QuerySet[SecurityGroup], int]:
        """The same, and how many VMs could not be looked at whole, as of a filter of VMs."""
        rows: QuerySet[SecurityGroup] = SecurityGroup.objects.live().filter(project=project)
        for words in wanted(self.q):
            rows = rows.filter(reduce(or_, map(has_word, words)))
        if UNUSED in self.states:
            rows = rows.filter(~Exists(Attachment.objects.filter(group=OuterRef("pk"))))
        if LATELY in self.states:
            rows = rows.filter(changed_at__gte=timezone.now() - timedelta(days=LATELY_DAYS))
        unsure = 0
        if OPEN in self.states:
            internet = look(project)
            rows, unsure = rows.filter(is_one_of(internet.groups)), internet.unsettled.number + internet.unseen
        if self.sort.removeprefix("-") in ("rules", "machines"):
            rows = counted(rows)
        return rows.order_by(*ordered(self.sort, SORTS, ("name", "pk"))), unsure


def counted(groups: QuerySet[SecurityGroup]) -> QuerySet[SecurityGroup]:
    """With numbers of rules and VMs, as subqueries: two joins would multiply each other."""

    def count(rows: QuerySet[Model]) -> Coalesce:
        found = rows.filter(group=OuterRef("pk")).order_by().values("group").annotate(n=Count("pk")).values("n")
        return Coalesce(Subquery(found), 0)

    return groups.annotate(rule_count=count(Rule.objects.all()), machine_count=count(Attachment.objects.all()))
