"""The only way a view gets an object: strangers find nothing (404), viewers who would write are told so (403).

Imports models. Called by views.
"""

from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from securitygroups.models import Membership, Project, Role, SecurityGroup, User, VirtualMachine


@dataclass(frozen=True, slots=True)
class Access:
    """Who stands in which project, and as what."""

    user: User
    project: Project
    role: Role

    @property
    def can_edit(self) -> bool:
        return self.role in (Role.OWNER, Role.EDITOR)

    @property
    def is_owner(self) -> bool:
        return self.role == Role.OWNER


def enter(request: HttpRequest, slug: str, *, write: bool = False, own: bool = False) -> Access:
    """Let the signed-in person into the project, or 404.

    `write` asks for the right to change groups and VMs, `own` for the right to change members; 403 says who has it.
    """
    user = request.user
    if not isinstance(user, User):
        raise Http404
    membership = Membership.objects.select_related("project").filter(user=user, project__slug=slug).first()
    if membership is None:
        raise Http404
    access = Access(user, membership.project, Role(membership.role))
    request.access = access  # type: ignore[attr-defined]
    if own and not access.is_owner:
        raise PermissionDenied("Only owners of the project can change its members and settings. Ask one of them.")
    if write and not access.can_edit:
        raise PermissionDenied(
            "You can look at this project and test packets, but not change it. Ask an owner for the editor role."
        )
    return access


def find_group(access: Access, public_id: str) -> SecurityGroup:
    """A live group of the project, or 404."""
    group = SecurityGroup.objects.live().filter(project=access.project, public_id=public_id).first()
    if group is None:
        raise Http404
    group.project = access.project
    return group  # type: ignore[no-any-return]


def find_machine(access: Access, public_id: str) -> VirtualMachine:
    """A live VM of the project, or 404."""
    machine = VirtualMachine.objects.live().filter(project=access.project, public_id=public_id).first()
    if machine is None:
        raise Http404
    machine.project = access.project
    return machine  # type: ignore[no-any-return]


def find_member(access: Access, pk: int) -> Membership:
    """A membership of the project, or 404."""
    member = Membership.objects.select_related("user").filter(project=access.project, pk=pk).first()
    if member is None:
        raise Http404
    return member
