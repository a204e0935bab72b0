"""What people are told by e-mail of what was done to them. Sent when the transaction is on record, never before.

Plain text, and no address of a page in it but where one is handed in: what links lead to is the doors' matter.
"""

from functools import partial

from django.core.mail import send_mail
from django.db import transaction
from django.utils import timezone

from securitygroups.models import ApiToken, Invitation, Project, Role, User
from securitygroups.operations.accounts import Client
from securitygroups.operations.by import PANEL, By

_END = "\n\nIf this is a surprise, ask an owner of the project or your platform's support.\n"


def tell(to: str, subject: str, text: str) -> None:
    """One message to one address; nothing where there is none."""
    if to:
        transaction.on_commit(partial(send_mail, f"[{PANEL}] {subject}", text, None, [to]))


def _who(by: By) -> str:
    return "your platform's staff" if by.staff else by.name


def invited(invitation: Invitation, link: str) -> None:
    """The mail that holds the only copy of the link."""
    role = Role(invitation.role).label.lower()
    until = f"{invitation.until.day} {invitation.until:%B %Y, %H:%M} UTC"
    tell(
        invitation.email,
        f"Invitation to {invitation.project}",
        f"{invitation.by_name} invites you to work on the security groups of {invitation.project}, as {role}.\n\n"
        f"Open this link to accept. It can be used once, until {until}:\n\n{link}\n\n"
        "Nothing happens unless you accept. If you do not know what this is about, throw this message away.\n",
    )


def joined(project: Project, user: User, inviter: User) -> None:
    """To whoever invited the person."""
    text = f"{user.get_username()} accepted your invitation and is a member of {project} now.{_END}"
    tell(inviter.email, f"{user.get_username()} joined {project}", text)


def role_changed(project: Project, user: User, role: str, by: By) -> None:
    text = f"You are {Role(role).label.lower()} of {project} now. This was changed by {_who(by)}.{_END}"
    tell(user.email, f"Your role in {project}", text)


def removed(project: Project, user: User, by: By) -> None:
    """Nothing to who left by themselves."""
    if by.user != user:
        text = f"You are no member of {project} any more. You were removed by {_who(by)}.{_END}"
        tell(user.email, f"Removed from {project}", text)


def token_made(token: ApiToken, client: Client) -> None:
    """To the person in whose name it acts, as of a new second factor: whoever made it may be somebody else."""
    now = timezone.now()
    text = (
        f"The API token “{token.name}” was made for your account. A program that has it may: {token.may}.\n\n"
        f"When: {now.day} {now:%B %Y, %H:%M} UTC\nFrom: {client.address or 'an address that is not known'}\n\n"
        "If this was not you, revoke it under Your account, API tokens, and change your password.\n"
    )
    tell(token.user.email, f"The API token “{token.name}” was made", text)
