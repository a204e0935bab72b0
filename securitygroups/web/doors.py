"""The doors of the panel: how a request comes into a project, and what a person says with a change."""

from django.http import Http404, HttpRequest

from securitygroups.access import Access, Right, is_support, open_project
from securitygroups.models import User

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def enter(
    request: HttpRequest, slug: str, *, write: bool = False, own: bool = False, support_writes: bool = False
) -> Access:
    """Let the signed-in person into the project, or 404.

    `write` asks for the right to change groups and VMs, `own` for the right to change members; 403 says who has it.
    Support staff are refused every write here, whatever the view would do, but for their own records (`support_writes`).
    """
    access = open_project(request.user, slug)
    request.access = access  # type: ignore[attr-defined]
    looks = request.method in SAFE_METHODS or support_writes
    access.require(Right.MANAGE if own else Right.CHANGE if write else Right.LOOK if looks else Right.TAKE_PART)
    return access


def support_member(request: HttpRequest) -> User:
    """The support member who asks, or 404: the desk does not exist for anybody else."""
    if not is_support(request.user) or not isinstance(request.user, User):
        raise Http404
    return request.user
