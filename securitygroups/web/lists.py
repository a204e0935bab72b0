"""Lists that are filtered: what their pages say of the filter, and the views of them that were saved."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse

from securitygroups.access import Access
from securitygroups.answers import group_filter, machine_filter
from securitygroups.answers.group_filter import GroupFilter
from securitygroups.answers.machine_filter import MachineFilter
from securitygroups.effective import TooLarge
from securitygroups.models import SavedView, SecurityGroup, VirtualMachine
from securitygroups.web.pages import answer

Filter = MachineFilter | GroupFilter
SORT_WORDS = {
    "name": "Name",
    "address": "Address",
    "groups": "Number of groups",
    "rules": "Number of rules",
    "machines": "Number of VMs",
    "changed": "Last change",
    "created": "Creation",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A list of a project: what filters it, what it can be asked for, and its order."""

    filter: type[Filter]
    states: dict[str, str]
    sorts: tuple[str, ...]
    model: type[VirtualMachine] | type[SecurityGroup]

    @property
    def orders(self) -> list[tuple[str, str]]:
        """What can be chosen, both ways round."""
        both = (
            (sign + key, SORT_WORDS[key] + (", the other way round" if sign else ""))
            for key in self.sorts
            for sign in ("", "-")
        )
        return [("" if key == "name" else key, words) for key, words in both]


KINDS = {
    "machines": Kind(MachineFilter, machine_filter.IS, tuple(machine_filter.SORTS), VirtualMachine),
    "groups": Kind(GroupFilter, group_filter.IS, tuple(group_filter.SORTS), SecurityGroup),
}


def found(access: Access, kind: str, wanted: Filter) -> tuple[QuerySet[Any], dict[str, Any]]:
    """The rows that the filter finds, in order, and what the page says of it."""
    project, what = access.project, KINDS[kind]
    views = views_of(access, kind, wanted.query())
    told: dict[str, Any] = {
        "kind": kind,
        "wanted": wanted,
        "query": wanted.q,
        "parameters": wanted.query(),
        "chips": wanted.chips(),
        "states": what.states,
        "orders": what.orders,
        "views": views,
        "changeable": [view for view in views if may_change(access, view)],
        "is_view": any(view.query == wanted.query() for view in views),
    }
    try:
        rows, told["unsure"] = wanted.found(project)
    except TooLarge as error:
        rows, told["too_large"] = what.model.objects.none(), error.rules
    if not wanted.is_empty:
        told["total"] = what.model.objects.live().filter(project=project).count()
    return rows, told


def views_of(access: Access, kind: str, query: str) -> list[SavedView]:
    """The project's views and the person's own, each with `current` where the list is filtered so now."""
    views = list(SavedView.objects.filter(Q(owner=None) | Q(owner=access.user), project=access.project, kind=kind))
    for view in views:
        view.current = view.query == query  # type: ignore[attr-defined]
    return views


def may_change(access: Access, view: SavedView) -> bool:
    """A person's own view, or as an editor one of the project's."""
    return bool(view.owner_id) or access.can_edit


def list_page(request: HttpRequest, page: str, part: str, context: dict[str, Any]) -> HttpResponse:
    """The page, or to htmx the list alone, whose address then says no more than what it is filtered by."""
    response = answer(request, page, part, context)
    response["HX-Replace-Url"] = request.path + (f"?{context['parameters']}" if context["parameters"] else "")
    return response
