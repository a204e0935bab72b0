"""Invitations: an owner names an address, and whoever reads its mail decides.

Whoever invites learns nothing: the answer is the same whether the address belongs to somebody here or to nobody.
"""

import secrets
from datetime import timedelta
from hashlib import sha256

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from securitygroups.models import Invitation, Membership, Project, Role, User
from securitygroups.operations import notices
from securitygroups.operations.by import By
from securitygroups.operations.projects import join, still_manages
from securitygroups.operations.records import Verb, lock_project, record

INVITATION_DAYS = 7


class NotForYou(Exception):
    """The invitation is for another address than the person's: whose it is stands in the text."""


def digest_of(secret: str) -> str:
    """What is kept of the secret in a link."""
    return sha256(secret.encode()).hexdigest()


def _still_may(invitation: Invitation) -> bool:
    """Whether who sent it may still invite: what an owner who was removed has sent leads nowhere."""
    sender = invitation.by
    owner = invitation.project.memberships.filter(user=sender, role=Role.OWNER)
    return (sender.is_active and owner.exists()) or sender.has_perm("securitygroups.add_membership")


def running(invitation: Invitation) -> bool:
    """Whether it can still be accepted."""
    return invitation.until > timezone.now() and _still_may(invitation)


@transaction.atomic
def invite(*, project: Project, email: str, role: str, by: By) -> tuple[Invitation, str]:
    """Ask an address into the project; a second invitation of the same address replaces the first.

    Returns the invitation and the secret for its link, which nobody can find out again: send it with
    `notices.invited`. Raises ValidationError, PermissionDenied.
    """
    locked = lock_project(project)
    still_manages(locked, by)
    email = email.lower()
    locked.invitations.filter(email=email).delete()
    if locked.invitations.filter(until__gt=timezone.now()).count() >= settings.MAX_INVITATIONS_PER_PROJECT:
        raise ValidationError(
            f"{locked} has its {settings.MAX_INVITATIONS_PER_PROJECT} open invitations already: withdraw some.",
            code="quota",
        )
    secret = secrets.token_urlsafe(32)
    invitation = Invitation(
        project=locked,
        email=email,
        role=role,
        digest=digest_of(secret),
        by=by.user,
        by_name=by.name,
        until=timezone.now() + timedelta(days=INVITATION_DAYS),
    )
    invitation.full_clean()
    invitation.save()
    record(locked, Verb.MEMBER_INVITED, f"Invited {email} as {Role(role).label.lower()}.", by=by)
    return invitation, secret


@transaction.atomic
def withdraw_invitation(*, invitation: Invitation, by: By) -> None:
    """Its link leads nowhere from now on. One that has ended already stays so."""
    locked = lock_project(invitation.project)
    still_manages(locked, by)
    if locked.invitations.filter(pk=invitation.pk).delete()[0]:
        record(locked, Verb.INVITATION_ENDED, f"Withdrew the invitation of {invitation.email}.", by=by)


@transaction.atomic
def accept_invitation(*, invitation: Invitation, user: User) -> Membership:
    """The person becomes a member; one who is a member already keeps the role. Raises NotForYou, ValidationError.

    `user` has shown with the link to read the mail of the invitation's address: it has to be theirs.
    """
    locked = lock_project(invitation.project)
    current = locked.invitations.select_related("by").filter(pk=invitation.pk).first()
    if current is None or not running(current):
        raise ValidationError("This invitation has ended: ask for a new one.")
    if user.email.lower() != current.email.lower():
        raise NotForYou(f"This invitation is for {current.email}.")
    current.delete()
    member = locked.memberships.filter(user=user).first()
    if member is None:
        member = join(locked, user, current.role, By(user))
        notices.joined(locked, user, current.by)
    return member
