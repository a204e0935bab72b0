"""Lists are brought in: of one project, or of many at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError

from securitygroups.firewall.texts import shown
from securitygroups.inventory.draft import List
from securitygroups.inventory.plan import MOST_TOLD, Inventory, again, propose_inventory
from securitygroups.models import Project
from securitygroups.operations import By, Conflict, InventoryLot, bring_inventories
from securitygroups.tokens import token_of

MOST_TOGETHER = 50_000
"""VMs in the lists of all projects that are brought at once."""
MOST_ENTRIES, MOST_TOGETHER = 10_000, 50_000
"""VMs in the list of one project, and in the lists of all that are brought at once."""
TRIES = 3
"""How often a plan is made anew where somebody changes groups or VMs while it is written."""


class RefusedInventory(ValidationError):
    """Lists that cannot be brought in: `plans` tell why, each of its own project."""

    def __init__(self, plans: Sequence[Inventory]) -> None:
        super().__init__([one.message for plan in plans for one in plan.refusals[:MOST_TOLD]])
        self.plans = plans


class NotAsLookedAt(Exception):
    """The token stands for something else than what would be written now, which `plans` tell."""

    def __init__(self, plans: Sequence[Inventory]) -> None:
        super().__init__(
            "This has been changed by somebody else since it was looked at. Nothing was written: look again."
        )
        self.plans = plans


def commit_inventory(plan: Inventory, *, by: By, token: str = "") -> Inventory:
    """Bring the list in: all of it or nothing. Returns the plan as it was written, with `token` none but what was looked at.

    Raises RefusedInventory, NotAsLookedAt, and Conflict where others are too busy with the same VMs.
    """
    return _committed([plan], by, {plan.project.pk: token})[0]


def _committed(plans: Sequence[Inventory], by: By, tokens: Mapping[int, str]) -> list[Inventory]:
    """The plans as they were written, in their order."""
    _check(plans, tokens)
    if not any(plan.lot for plan in plans):
        return list(plans)
    projects = [plan.project for plan in plans]
    final: dict[int, Inventory] = {}

    def under_locks(locked: Sequence[Project]) -> Iterable[InventoryLot]:
        its = {plan.project.pk: plan for plan in plans}
        for project in locked:
            final[project.pk] = again(its[project.pk], project)
        fresh = list(final.values())
        _check(fresh, tokens)
        return [plan.lot for plan in fresh]

    for left in reversed(range(TRIES)):
        try:
            bring_inventories(projects=projects, plan=under_locks, by=by)
            break
        except Conflict:
            # Its locks are given back: somebody who came between goes first, and the plan is made of what they left.
            if not left:
                raise
    return [final[project.pk] for project in projects]


def _check(plans: Sequence[Inventory], tokens: Mapping[int, str]) -> None:
    """Raises RefusedInventory, NotAsLookedAt."""
    if any(plan.refusals for plan in plans):
        raise RefusedInventory(plans)
    if any(tokens.get(plan.project.pk, "") not in ("", plan.token) for plan in plans):
        raise NotAsLookedAt(plans)


@dataclass(frozen=True, slots=True)
class Inventories:
    """Lists of several projects, by slug; projects that are not named are left alone. `unknown` are slugs of none."""

    plans: Mapping[str, Inventory]
    unknown: tuple[str, ...]
    token: str

    def told(self) -> dict[str, Any]:
        """The report, as plain values."""
        return {
            "projects": {slug: plan.told() for slug, plan in self.plans.items()},
            "unknown": dict.fromkeys(
                self.unknown, "There is no project with this slug: make it first, or leave it out."
            ),
            "token": self.token,
        }


class UnknownProjects(ValidationError):
    """Lists for projects that are not there: `slugs`."""

    def __init__(self, slugs: Sequence[str]) -> None:
        super().__init__(f"There is no project with the slug “{shown(slugs[0])}”: make it first, or leave it out.")
        self.slugs = slugs


def propose_inventories(lists: Mapping[str, List], *, allow_gone: Mapping[str, int] | None = None) -> Inventories:
    """A plan for each project that is named. Raises ValidationError where the lists are too long to be looked at."""
    if (total := sum(map(len, lists.values()))) > MOST_TOGETHER:
        raise ValidationError(f"The lists have {total:,} VMs: {MOST_TOGETHER:,} is the most.", code="quota")
    slugs = [slug for slug in lists if slug.isprintable() and len(slug) <= 60]
    found = {one.slug: one for one in Project.objects.filter(slug__in=slugs).order_by("pk")}
    allowed = allow_gone or {}
    plans = {
        slug: propose_inventory(project, lists[slug], allow_gone=allowed.get(slug, 0))
        for slug, project in found.items()
    }
    unknown = tuple(slug for slug in lists if slug not in found)
    return Inventories(plans, unknown, token_of({slug: plan.token for slug, plan in plans.items()}))


def commit_inventories(brought: Inventories, *, by: By, token: str = "") -> Inventories:
    """Bring all of them in, or none. Raises UnknownProjects, and what commit_inventory raises."""
    if brought.unknown:
        raise UnknownProjects(brought.unknown)
    plans = list(brought.plans.values())
    if token and token != brought.token:
        raise NotAsLookedAt(plans)
    tokens = {plan.project.pk: plan.token for plan in plans} if token else {}
    written = _committed(plans, by, tokens)
    return replace(brought, plans=dict(zip(brought.plans, written, strict=True)))
