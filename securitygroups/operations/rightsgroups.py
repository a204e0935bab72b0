"""Groups of permissions that staff are put into. What a group gives is a right of each of its members."""

from collections.abc import Iterable

from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied
from django.db import transaction

from securitygroups.models import User
from securitygroups.operations.accounts import NOWHERE, Client, Verb, note
from securitygroups.operations.by import By
from securitygroups.operations.people import named
from securitygroups.operations.rights import editor_of, may_touch_group, permissions_of


@transaction.atomic
def write_rights_group(*, group: Group, permissions: Iterable[Permission], by: By, client: Client = NOWHERE) -> None:
    """Store a new or changed group with these permissions. Raises PermissionDenied, ValidationError."""
    wanted = set(permissions)
    before = named(group.permissions.all()) if group.pk else []
    _require(by, group, wanted ^ (set(group.permissions.all()) if group.pk else set()))
    group.full_clean()
    group.save()
    group.permissions.set(wanted)
    _told(group, before, named(group.permissions.all()), by, client)


@transaction.atomic
def delete_rights_group(*, group: Group, by: By, client: Client = NOWHERE) -> None:
    """Its members lose what it gave. Raises PermissionDenied."""
    _require(by, group, set())
    _told(group, named(group.permissions.all()), [], by, client)
    group.delete()


def _require(by: By, group: Group, differing: set[Permission]) -> None:
    editor = editor_of(by)
    if editor is None:
        return
    if group.pk and not may_touch_group(editor, group):
        raise PermissionDenied(
            f"{group} gives rights that you do not have, or to somebody beyond your reach, or to you."
        )
    if differing - set(permissions_of(editor)):
        raise PermissionDenied("Nobody gives or takes rights that they do not have themselves.")


def _told(group: Group, before: list[str], after: list[str], by: By, client: Client) -> None:
    """A line for each member, whose rights these are; one for nobody where the group is empty."""
    members: list[User | None] = list(group.user_set.order_by("pk"))
    for member in members or [None]:
        note(Verb.RIGHTS_CHANGED, user=member, by=by, client=client, group=group.name, before=before, after=after)
