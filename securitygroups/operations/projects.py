"""Projects and their members."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, InternalError, transaction
from django.db.models import Exists, OuterRef

from securitygroups.models import (
    ApiToken,
    Membership,
    Project,
    Role,
    User,
)
from securitygroups.operations import notices
from securitygroups.operations.by import By
from securitygroups.operations.records import Conflict, Verb, lock_project, one_more, record


@transaction.atomic
def create_project(
    *,
    name: str,
    slug: str,
    by: By,
    owner: User | None = None,
    quotas: dict[str, int | None] | None = None,
    detail: dict[str, Any] | None = None,
) -> Project:
    """A project, with its first owner where one is named. Raises ValidationError."""
    project = Project(name=name, slug=slug, **(quotas or {}))
    project.full_clean()
    try:
        with transaction.atomic():
            project.save()
    except IntegrityError:
        project.full_clean()  # somebody was quicker to take the slug: the refusal says so
        raise
    record(
        project,
        Verb.PROJECT_CREATED,
        f"Created the project {project.name}.",
        by=by,
        detail=detail or {},
    )
    if owner:
        add_member(project=project, user=owner, role=Role.OWNER, by=by)
    return project


@transaction.atomic
def update_project(*, project: Project, by: By) -> None:
    """Save the name and quotas that `project` holds; its slug stays, for links to it. Raises ValidationError."""
    # What the form changed is found against the row as it is now, not as it was when the form was opened.
    before = lock_project(project)
    names = [
        n for n in ("name", "max_groups", "max_rules", "max_machines") if getattr(before, n) != getattr(project, n)
    ]
    if not names:
        return
    project.full_clean(exclude=["slug"])
    project.save(update_fields=names)
    said = {name: getattr(project, name) for name in names}
    words = ", ".join(f"{n.replace('_', ' ')}: {'as usual' if v is None else v}" for n, v in said.items())
    record(project, Verb.PROJECT_CHANGED, f"Changed {words}.", by=by)


def _keep_an_owner(project: Project, leaving: Membership) -> None:
    # An owner who cannot sign in is none. Locked, for one of them may just be switched off.
    owners = User.objects.filter(memberships__project=project, memberships__role=Role.OWNER, is_active=True)
    others = owners.exclude(pk=leaving.user_id).order_by("pk").select_for_update(no_key=True, of=("self",))
    if leaving.role == Role.OWNER and not len(others):
        raise ValidationError(
            "This is the last owner: make somebody else an owner first, or nobody could manage the project.",
            code="owner",
        )


@transaction.atomic
def require_second_factor(*, project: Project, required: bool, by: By) -> None:
    """Let members in only after signing in with a second factor, or let them in without one again."""
    words = "Members need a second factor." if required else "Members need no second factor any more."
    _switch(project, "second_factor", required, words, by)


@transaction.atomic
def let_viewers_see_traffic(*, project: Project, let: bool, by: By) -> None:
    """Show viewers which packets were dropped and accepted, or show it to owners and editors alone again."""
    words = "Viewers see dropped packets." if let else "Viewers do not see dropped packets any more."
    _switch(project, "viewers_see_traffic", let, words, by)


def _switch(project: Project, name: str, value: bool, words: str, by: By) -> None:
    """Give a setting of the project this value; nothing is on record where it has it."""
    locked = lock_project(project)
    still_manages(locked, by)
    if getattr(locked, name) == value:
        return
    setattr(locked, name, value)
    locked.save(update_fields=[name])
    record(locked, Verb.PROJECT_CHANGED, words, by=by)


@transaction.atomic
def add_member(*, project: Project, user: User, role: str, by: By) -> Membership:
    """Raises ValidationError when the person is a member already."""
    return join(lock_project(project), user, role, by)


def join(locked: Project, user: User, role: str, by: By) -> Membership:
    """Inside a transaction that has the project's lock. Raises ValidationError, also where the project has as many
    members as it can."""
    one_more(locked.memberships.count(), settings.MAX_MEMBERS_PER_PROJECT, "member", "remove one first")
    member = Membership(project=locked, user=user, role=role)
    member.full_clean()
    member.save()
    joins = by.user is not None and by.user.pk == user.pk and not by.staff
    role_words = Role(role).label.lower()
    # A line of the record begins with who did it.
    words = f"Joined as {role_words}." if joins else f"Added {user.get_username()} as {role_words}."
    record(locked, Verb.MEMBER_ADDED, words, by=by)
    return member


def still_manages(locked: Project, by: By) -> None:
    """Whoever was let in as an owner may have been removed while the request was under way: asked once more, under the
    project's lock. Raises PermissionDenied. Staff and the panel itself were let in elsewhere."""
    if by.user is None or by.staff:
        return
    if by.token is not None and by.token.project_id == locked.pk:
        # The project's own, whoever made it.
        if not ApiToken.objects.good().filter(pk=by.token.pk).exists():
            raise PermissionDenied("The token has been revoked. Nothing was changed.")
        return
    if not locked.memberships.filter(user=by.user, role=Role.OWNER, user__is_active=True).exists():
        raise PermissionDenied("You are no owner of this project any more. Nothing was changed.")


def _locked_member(project: Project, member: Membership) -> Membership:
    current = project.memberships.select_related("user").filter(pk=member.pk).first()
    if current is None:
        raise Conflict(None)
    return current


@transaction.atomic
def change_role(*, member: Membership, role: str, by: By) -> None:
    """Raises ValidationError when the project would be left without an owner, PermissionDenied."""
    locked = lock_project(member.project)
    still_manages(locked, by)
    current = _locked_member(locked, member)
    if current.role == role:
        return
    if role != Role.OWNER:
        _keep_an_owner(locked, current)
    current.role = role
    current.full_clean()
    current.save()
    words = f"Made {current.user.get_username()} {Role(role).label.lower()}."
    record(locked, Verb.MEMBER_CHANGED, words, by=by)
    notices.role_changed(locked, current.user, role, by)


@transaction.atomic
def remove_member(*, member: Membership, by: By) -> None:
    """Raises ValidationError when the project would be left without an owner."""
    locked = lock_project(member.project)
    current = _locked_member(locked, member)
    if by.user is None or by.user.pk != current.user_id:
        still_manages(locked, by)
    _keep_an_owner(locked, current)
    name = current.user.get_username()
    current.delete()
    words = f"{name} left." if by.user and by.user.pk == current.user_id else f"Removed {name}."
    record(locked, Verb.MEMBER_REMOVED, words, by=by)
    notices.removed(locked, current.user, by)


VISIT = timedelta(minutes=30)
"""Who comes back within it is still on the same visit."""
_OFTEN = timedelta(minutes=1)


def see(member: Membership, now: datetime) -> datetime | None:
    """Note that the member looks at the project, and tell when they last did on the visit before this one; None on the
    first. That is no change, and has no line in the activity.

    Where the database takes no changes it is not noted: a page that is only looked at needs nothing else written.
    """
    seen, before = member.seen_at, member.seen_before
    if seen is not None and now - seen < _OFTEN:
        return before
    if seen is None or now - seen > VISIT:
        before = seen
    with suppress(InternalError):
        # Two tabs at once: whoever comes second finds the visit begun.
        Membership.objects.filter(pk=member.pk, seen_at=seen).update(seen_at=now, seen_before=before)
    return before


def owned_alone(user: User) -> list[Project]:
    """The projects that would have no active owner without this person."""
    others = Membership.objects.filter(project=OuterRef("pk"), role=Role.OWNER, user__is_active=True).exclude(user=user)
    mine = Project.objects.filter(memberships__user=user, memberships__role=Role.OWNER)
    return list(mine.exclude(Exists(others)).order_by("name"))
