"""Which projects a token opens."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja import Router, Schema

from securitygroups.access import projects_of
from securitygroups.api import cursors
from securitygroups.api.doors import access_of, operation
from securitygroups.api.schemas import Cursor, Limit, Page
from securitygroups.models import Project, Scope

router = Router(tags=["Projects"])


class Shown(Schema):
    slug: str
    name: str


class Quota(Schema):
    most: int
    used: int


class Quotas(Schema):
    groups: Quota
    machines: Quota
    rules_per_group: int
    groups_per_machine: int


class One(Shown):
    role: str
    second_factor: bool
    quotas: Quotas


@operation(router, "GET", "", Scope.READ, gives=Page[Shown])
def list_projects(
    request: HttpRequest,
    cursor: Cursor = "",
    limit: Limit = cursors.LIMIT,
) -> Any:
    """The projects that the token opens, by name."""
    return cursors.by_name(projects_of(request.token), cursor, limit, _shown)  # type: ignore[attr-defined]


@operation(router, "GET", "/{project}", Scope.READ, gives=One)
def read_project(request: HttpRequest, project: str) -> Any:
    """A project: as what the token stands in it, and how much room it has."""
    access = access_of(request)
    one = access.project
    return _shown(one) | {
        "role": access.role,
        "second_factor": one.second_factor,
        "quotas": {
            "groups": {"most": one.group_quota, "used": one.groups.filter(deleted_at=None).count()},
            "machines": {"most": one.machine_quota, "used": one.machines.filter(deleted_at=None).count()},
            "rules_per_group": one.rule_quota,
            "groups_per_machine": settings.MAX_GROUPS_PER_MACHINE,
        },
    }


def _shown(project: Project) -> dict[str, str]:
    return {"slug": project.slug, "name": project.name}
