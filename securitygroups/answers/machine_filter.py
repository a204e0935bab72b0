"""Which VMs of a project a filter finds. It stands in the address bar, so that it can be kept, sent and come back to."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Self
from urllib.parse import urlencode

from django.db.models import CharField, Count, Exists, F, Func, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from securitygroups.answers.internet import look
from securitygroups.answers.list_filter import (
    Chip,
    Pairs,
    Tags,
    chips,
    has_address,
    has_word,
    is_one_of,
    ordered,
    said,
    sort_of,
    wanted,
)
from securitygroups.enforcement.applied import not_in_force
from securitygroups.models import Attachment, Project, SecurityGroup, VirtualMachine

ALONE, OPEN, WAITING = "alone", "open", "waiting"
IS = {ALONE: "Without a group", OPEN: "Reached by the internet", WAITING: "Not in force on a host"}
MOST_OFFERED = 1_000
SORTS = {
    "name": ("name",),
    "address": ("ipv4", "ipv6"),
    "groups": ("group_count",),
    "changed": ("last_change",),
    "created": ("created_at",),
}


@dataclass(frozen=True, slots=True)
class MachineFilter:
    """All of it must hold. `q` are words; each is found in a name, a description, a tag, an ID or among the addresses.

    Groups are told by ID or by name.
    """

    q: str = ""
    states: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    sort: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, Any]) -> Self:
        """What the parameters of an address say; whatever is none of ours, or makes no sense, filters nothing."""
        return cls(
            q=next(iter(said(query, "q")), ""),
            states=tuple(one for one in IS if one in said(query, "is")),
            groups=said(query, "group"),
            without=said(query, "not"),
            tags=tuple(dict.fromkeys(tag.lower() for tag in said(query, "tag"))),
            sort=sort_of(query, SORTS),
        )

    @property
    def pairs(self) -> Pairs:
        """The parameters of an address that say the same, always in one order."""
        found = [("q", self.q)] if self.q else []
        for name, values in (("is", self.states), ("group", self.groups), ("not", self.without), ("tag", self.tags)):
            found += [(name, value) for value in values]
        return found + ([("sort", self.sort)] if self.sort else [])

    def query(self) -> str:
        """The same as one text; empty where everything is found, in the list's own order."""
        return urlencode(self.pairs)

    @property
    def is_empty(self) -> bool:
        """Whether it finds everything, in whatever order."""
        return not (self.q or self.states or self.groups or self.without or self.tags)

    def chips(self) -> list[Chip]:
        """What it filters by beside the words, each with the way to the same list without it."""
        return chips(
            self.pairs,
            [
                *((IS[state], "is", state) for state in self.states),
                *((f"Has group {group}", "group", group) for group in self.groups),
                *((f"Has not group {group}", "not", group) for group in self.without),
                *((f"Tag {tag}", "tag", tag) for tag in self.tags),
            ],
        )

    def of(self, project: Project) -> QuerySet[VirtualMachine]:
        """The project's VMs that it finds, in order. Raises TooLarge where what the internet reaches is too much to be
        looked at, and NoTurn where there is no turn for it.
        """
        return self.found(project)[0]

    def found(self, project: Project) -> tuple[QuerySet[VirtualMachine], int]:
        """The same, and where it asks what the internet reaches, how many VMs could not be looked at whole: they may be
        among them. Raises TooLarge, NoTurn.
        """
        rows: QuerySet[VirtualMachine] = VirtualMachine.objects.live().filter(project=project)
        if self.q:
            rows = rows.alias(tag_text=Tags())
        for words in wanted(self.q):
            rows = rows.filter(reduce(or_, (_found(word) for word in words)))
        if self.tags:
            rows = rows.filter(tags__contains=list(self.tags))
        for group in self.groups:
            rows = rows.filter(pk__in=_having(project, group))
        for group in self.without:
            rows = rows.exclude(pk__in=_having(project, group))
        if ALONE in self.states:
            rows = rows.filter(~Exists(Attachment.objects.filter(machine=OuterRef("pk"))))
        if WAITING in self.states:
            rows = rows.filter(is_one_of(not_in_force(project)))
        unsure = 0
        if OPEN in self.states:
            internet = look(project)
            rows, unsure = rows.filter(is_one_of(internet.reached)), internet.unsettled.number + internet.unseen
        return self._sorted(rows), unsure

    def _sorted(self, rows: QuerySet[VirtualMachine]) -> QuerySet[VirtualMachine]:
        by = self.sort.removeprefix("-")
        if by == "groups":
            counted = Attachment.objects.filter(machine=OuterRef("pk")).order_by().values("machine")
            rows = rows.alias(group_count=Coalesce(Subquery(counted.annotate(n=Count("pk")).values("n")), 0))
        elif by == "changed":
            rows = rows.alias(last_change=Coalesce("changed_at", "created_at"))
        return rows.order_by(*ordered(self.sort, SORTS, ("name", "pk")))


def _found(word: str) -> Q:
    return has_word(word) | Q(tag_text__icontains=word) | Q(external_id__iexact=word) | has_address(word)


def _having(project: Project, group: str) -> QuerySet[Any]:
    """The keys of the VMs that have the group of this ID or name."""
    groups = SecurityGroup.objects.live().filter(Q(public_id=group.lower()) | Q(name__iexact=group), project=project)
    return Attachment.objects.filter(group__in=groups.values("pk")).values("machine")


def tags_of(project: Project) -> list[str]:
    """The tags that the project's VMs have, the first of them in order (one query, through the VMs of the project)."""
    each = Func(F("tags"), function="unnest", output_field=CharField())
    rows = VirtualMachine.objects.live().filter(project=project).order_by().annotate(tag=each)
    return list(rows.order_by("tag").values_list("tag", flat=True).distinct()[:MOST_OFFERED])
