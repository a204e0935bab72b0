"""How far a change has come on the hosts: the line of the message that was shown after it, which asks again by itself."""

import json
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from securitygroups.access import find_group, find_machine
from securitygroups.enforcement import applied
from securitygroups.enforcement.applied import Followed
from securitygroups.models import SecurityGroup, VirtualMachine
from securitygroups.said import number_in
from securitygroups.web.doors import enter
from securitygroups.web.following import moment_in


@require_safe
def group_in_force(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """On how many VMs the group's rules are in force, `?since=` a revision or `?at=` a moment. Without script: a page that says it."""
    access = enter(request, slug)
    group = find_group(access, group_id)
    others = reverse("machines", args=[slug]) + "?" + urlencode({"is": "waiting", "group": group.public_id})
    if not request.htmx:  # type: ignore[attr-defined]
        return _page(request, group, {"group": group, "standing": applied.of_group(group)})
    made = _made(request, group.revisions.all())
    context: dict[str, Any] = {"see": others, "see_words": "Show which"}
    followed = applied.follow_group(group, made)
    if followed.is_over and _is_on(request, group.get_absolute_url()):
        context |= {"group": group, "standing": applied.of_group(group), "is_part": True}
    return _line(request, followed, context)


@require_safe
def machine_in_force(request: HttpRequest, slug: str, machine_id: str) -> HttpResponse:
    """Whether the VM's rules are in force, `?since=` a revision of its groups. Without script: a page that says it."""
    access = enter(request, slug)
    machine = find_machine(access, machine_id)
    if not request.htmx:  # type: ignore[attr-defined]
        return _page(request, machine, {"machine": machine, "standing": applied.of_machine(machine)})
    made = _made(request, machine.revisions.all())
    context: dict[str, Any] = {"see": machine.get_absolute_url(), "see_words": "Show why"}
    followed = applied.follow_machine(machine, made)
    if followed.is_over and _is_on(request, machine.get_absolute_url()):
        context |= {"machine": machine, "standing": applied.of_machine(machine), "is_part": True}
    return _line(request, followed, context)


def _page(request: HttpRequest, about: SecurityGroup | VirtualMachine, context: dict[str, Any]) -> HttpResponse:
    context |= {"name": about.name, "back": about.get_absolute_url()}
    return render(request, "securitygroups/in_force/page.html", context)


def _made(request: HttpRequest, revisions: QuerySet[Any]) -> datetime:
    """When the change was made that is asked about. Raises Http404."""
    if at := moment_in(request.GET.get("at", "")):
        return at
    number = number_in(request.GET, "since")
    made: datetime | None = revisions.filter(number=number).values_list("at", flat=True).first()
    if made is None:
        raise Http404
    return made


def _is_on(request: HttpRequest, page: str) -> bool:
    """Whether it was asked from this page, which says the same and is drawn anew with it."""
    return (request.htmx.current_url_abs_path or "").partition("?")[0] == page  # type: ignore[attr-defined]


def _line(request: HttpRequest, followed: Followed, context: dict[str, Any]) -> HttpResponse:
    context |= {"followed": followed, "at": request.get_full_path()}
    response = render(request, "securitygroups/in_force/_followed.html", context)
    if followed.is_over:
        # Said once, and not each time that it looked.
        response["HX-Trigger"] = json.dumps({"announce": followed.sentence})
    return response
