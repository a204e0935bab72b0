"""What every page knows: the project, the person's role in it, the other projects, which menu entry is current."""

from functools import partial
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from karenpanel.sent_again import is_drawn_again
from securitygroups.access import SUPPORT, is_support
from securitygroups.models import Asked, Given, Project, Role, User

_PROJECTS = Asked(lambda: Project.objects.visible_to(Given("user"))[:50])

_SECTIONS = {
    "group": "groups",
    "rule": "groups",
    "machine": "machines",
    "member": "members",
    "token": "members",
    "webhook": "members",
    "case": "cases",
    "template": "groups",
    "view": "machines",
    "review": "review",
    "support": "support",
    "reached": "overview",
    "project_rules": "groups",
    "project_test": "project_test",
    "project_dropped": "project_test",
    "dropped": "machines",
    "project_replay": "project_test",
    "help_enforcement": "help",
    "help_import": "help",
    "help_use": "help",
}


def _section(name: str) -> str:
    return _SECTIONS.get(name) or _SECTIONS.get(name.split("_")[0].rstrip("s"), name)


def page(request: HttpRequest) -> dict[str, Any]:
    """Costs one query, and only where the page draws the switcher."""
    access = getattr(request, "access", None)
    user = getattr(request, "user", None)
    match = request.resolver_match
    return {
        "access": access,
        "project": access.project if access else None,
        "role": access.role if access else "",
        "role_label": ("Support" if access.role == SUPPORT else Role(access.role).label) if access else "",
        "is_support": is_support(user),
        "can_edit": bool(access and access.can_edit),
        "projects": SimpleLazyObject(partial(_PROJECTS, user=user.pk)) if isinstance(user, User) else [],
        "nav": _section(match.url_name or "") if match else "",
        "idle": settings.SESSION_IDLE_SECONDS if isinstance(user, User) else 0,
        "draws_again": bool(match) and is_drawn_again(request),
        "request_id": getattr(request, "request_id", ""),
    }
