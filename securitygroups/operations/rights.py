"""Who of the staff may touch whom.

A right is: to be a superuser, to be staff, or a permission, given to the account itself or by one of its groups. Two
rules hold for whoever is no superuser, and all else follows from them:

- nobody gives or takes a right that they do not have themselves;
- nobody touches an account that has a right which they do not have themselves: whoever may change its address can have
  a link to set its password sent to themselves, and whoever may switch it off takes all of its rights.

Rights count while an account is switched off, too: it can be switched on again. One more holds for everybody: nobody
changes their own rights, so that at any time somebody is left who can.
"""

from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet

from securitygroups.models import User
from securitygroups.operations.by import By


def permissions_of(editor: User) -> QuerySet[Permission]:
    """The permissions that they have, and so may give and take."""
    if editor.is_superuser:
        return Permission.objects.all()
    mine = Q(user=editor) | Q(group__user=editor)
    return Permission.objects.filter(pk__in=Permission.objects.filter(mine).values("pk"))


def _beyond(editor: User) -> QuerySet[Permission]:
    return Permission.objects.exclude(pk__in=permissions_of(editor).values("pk"))


def rights_groups_of(editor: User) -> QuerySet[Group]:
    """The groups that give nothing beyond their own rights, which they may put people into and take them out of."""
    return Group.objects.all() if editor.is_superuser else Group.objects.exclude(permissions__in=_beyond(editor))


def out_of_reach(editor: User) -> QuerySet[User]:
    """The accounts that have a right which the editor lacks."""
    if editor.is_superuser:
        return User.objects.none()
    beyond = _beyond(editor).values("pk")
    return User.objects.filter(
        Q(is_superuser=True) | Q(user_permissions__in=beyond) | Q(groups__permissions__in=beyond)
    )


def may_touch(editor: User, person: User) -> bool:
    """Whether they may change the account at all."""
    return not out_of_reach(editor).filter(pk=person.pk).exists()


def may_touch_group(editor: User, group: Group) -> bool:
    """Whether they may change what the group gives: it is every member's rights, their own among them."""
    if editor.is_superuser:
        return True
    members = group.user_set.all()
    others = members.filter(pk__in=out_of_reach(editor).values("pk"))
    return (
        rights_groups_of(editor).filter(pk=group.pk).exists() and not (members.filter(pk=editor.pk) | others).exists()
    )


def may_readdress(editor: User, person: User) -> bool:
    """Whether they may change the address, to which a link to set the password can be sent.

    Who takes over a member's account is a member: that takes what it takes to make somebody a member.
    """
    members = ("securitygroups.change_project", "securitygroups.add_membership")
    return editor.has_perms(members) or not person.memberships.exists()


def editor_of(by: By) -> User | None:
    """Who writes, as the account is now; None where the panel itself does. Raises PermissionDenied."""
    if by.user is None:
        return None
    editor = User.objects.filter(pk=by.user.pk, is_active=True, is_staff=True).first()
    if editor is None:
        raise PermissionDenied("Only staff change accounts of others.")
    return editor


def require_reach(by: By, person: User) -> User | None:
    """The editor, where they may touch the account. Raises PermissionDenied."""
    editor = editor_of(by)
    if editor and not may_touch(editor, person):
        raise PermissionDenied(f"{person} has rights that you do not have: ask somebody who has them.")
    return editor
