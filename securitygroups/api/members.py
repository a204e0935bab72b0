"""Who is in a project, and who is asked into it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from allauth.core import ratelimit
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Router, Schema, Status
from pydantic import Field

from securitygroups import operations
from securitygroups.access import Right, find_invitation, find_member
from securitygroups.api import cursors
from securitygroups.api.changing import shown, tried
from securitygroups.api.doors import access_of, by, operation
from securitygroups.api.problems import Refusal
from securitygroups.api.schemas import Cursor, DryRun, Limit, Page, Preview, Reason, Sent
from securitygroups.models import Invitation, Membership, Scope

router = Router(tags=["Members"])
_MEMBERS = "/{project}/members"
_ONE = _MEMBERS + "/{int:member}"
_INVITATIONS = "/{project}/invitations"

RoleName = Literal["owner", "editor", "viewer"]


class MemberRow(Schema):
    id: int
    name: str
    role: RoleName
    since: datetime


class InvitationRow(Schema):
    id: int
    email: str
    role: RoleName
    by: str
    at: datetime
    until: datetime


class NewRole(Sent):
    role: RoleName
    reason: Reason = ""


class Asked(Sent):
    email: Annotated[str, Field(min_length=3, max_length=254, pattern=r"^[!-~]+@[!-~]+$")]
    role: RoleName = "viewer"
    reason: Reason = ""


@operation(router, "GET", _MEMBERS, Scope.READ, gives=Page[MemberRow])
def list_members(request: HttpRequest, project: str, cursor: Cursor = "", limit: Limit = cursors.LIMIT) -> Any:
    """The project's members, who came last first."""
    rows = access_of(request).project.memberships.select_related("user")
    return cursors.newest_first(rows, cursor, limit, _member)


@operation(router, "PATCH", _ONE, Scope.MEMBERS, right=Right.MANAGE, gives=MemberRow | Preview)
def change_member(request: HttpRequest, project: str, member: int, body: NewRole, dry_run: DryRun = False) -> Any:
    """Give a member another role. The last owner stays one."""
    found = find_member(access_of(request), member)
    with tried(dry_run=dry_run):
        operations.change_role(member=found, role=body.role, by=by(request, body.reason))
    return shown() if dry_run else _member(find_member(access_of(request), member))


@operation(router, "DELETE", _ONE, Scope.MEMBERS, right=Right.MANAGE, gives={200: Preview, 204: None})
def remove_member(
    request: HttpRequest, project: str, member: int, dry_run: DryRun = False, reason: Reason = ""
) -> HttpResponse:
    """Remove a member. The last owner stays."""
    with tried(dry_run=dry_run):
        operations.remove_member(member=find_member(access_of(request), member), by=by(request, reason))
    return shown() if dry_run else HttpResponse(status=204)


@operation(router, "GET", _INVITATIONS, Scope.MEMBERS, right=Right.MANAGE, gives=Page[InvitationRow])
def list_invitations(request: HttpRequest, project: str, cursor: Cursor = "", limit: Limit = cursors.LIMIT) -> Any:
    """The invitations that wait, the newest first."""
    return cursors.newest_first(access_of(request).project.invitations.all(), cursor, limit, _invitation)


@operation(router, "POST", _INVITATIONS, Scope.MEMBERS, right=Right.MANAGE, gives={200: Preview, 201: InvitationRow})
def invite_member(request: HttpRequest, project: str, body: Asked, dry_run: DryRun = False) -> Any:
    """Ask an address into the project, by a mail that holds the only link.

    The answer is the same whether the address belongs to somebody here or to nobody. Asking the same address again sends
    another link, and the first leads nowhere.
    """
    access = access_of(request)
    if not dry_run and not ratelimit.consume(request, action="invite", user=access.user):
        raise Refusal("too-many", "Many invitations were sent within an hour: wait a while.", retry_after=600)
    with tried(dry_run=dry_run):
        made, secret = operations.invite(
            project=access.project, email=body.email, role=body.role, by=by(request, body.reason)
        )
    if dry_run:
        return shown()
    operations.send_invitation(made, request.build_absolute_uri(reverse("invitation", args=[secret])))
    return Status(201, _invitation(made))


@operation(
    router,
    "DELETE",
    _INVITATIONS + "/{int:invitation}",
    Scope.MEMBERS,
    right=Right.MANAGE,
    gives={200: Preview, 204: None},
)
def withdraw_invitation(request: HttpRequest, project: str, invitation: int, dry_run: DryRun = False) -> HttpResponse:
    """Withdraw an invitation: its link leads nowhere any more."""
    with tried(dry_run=dry_run):
        operations.withdraw_invitation(invitation=find_invitation(access_of(request), invitation), by=by(request))
    return shown() if dry_run else HttpResponse(status=204)


def _member(row: Membership) -> dict[str, Any]:
    return {"id": row.pk, "name": row.user.get_username(), "role": row.role, "since": row.created_at}


def _invitation(row: Invitation) -> dict[str, Any]:
    return {
        "id": row.pk,
        "email": row.email,
        "role": row.role,
        "by": row.by_name,
        "at": row.at,
        "until": row.until,
    }
