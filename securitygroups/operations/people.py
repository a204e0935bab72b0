"""Accounts of people, as staff make and change them. No password is typed here: people choose their own by a link."""

from collections.abc import Collection
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from securitygroups.firewall.texts import shown
from securitygroups.models import Membership, Project, Role, User
from securitygroups.operations import notices
from securitygroups.operations.accounts import NOWHERE, Client, Verb, note
from securitygroups.operations.by import By
from securitygroups.operations.projects import owned_alone
from securitygroups.operations.rights import editor_of, may_readdress, permissions_of, require_reach, rights_groups_of

ABOUT = ("username", "email", "first_name", "last_name", "is_active")
FLAGS: tuple[str, ...] = ("is_staff", "is_superuser")
MANY: tuple[str, ...] = ("groups", "user_permissions")
RIGHTS = FLAGS + MANY
TIME_ZONES = frozenset({"UTC", *available_timezones()})
"""Names of the IANA time zone database, as the system or the package tzdata has them."""


def time_zone(name: str) -> ZoneInfo:
    """The zone of this name, UTC where it is none: a newer database may have lost one that somebody chose long ago."""
    return ZoneInfo(name if name in TIME_ZONES else "UTC")


@transaction.atomic
def make_person(*, about: dict[str, Any], rights: dict[str, Any], by: By, client: Client = NOWHERE) -> User:
    """An account without a password, until its person has followed a link to choose one.

    `about` maps names of ABOUT, `rights` those of RIGHTS. Raises ValidationError; PermissionDenied where the rights are
    more than whoever gives them has.
    """
    editor_of(by)
    person = User(**_normal(about))
    person.set_unusable_password()
    _save(person)
    note(Verb.ACCOUNT_MADE, user=person, by=by, client=client)
    set_rights(person=person, rights=rights, by=by, client=client)
    return person


@transaction.atomic
def change_person(*, person: User, about: dict[str, Any], by: By, client: Client = NOWHERE) -> None:
    """New values of the account's own fields. Whoever is switched off is signed out everywhere.

    Raises ValidationError, also where a project would be left without an active owner; PermissionDenied.
    """
    off = about.get("is_active") is False
    locked = _lock(person, by, with_projects=off)
    editor = require_reach(by, locked)
    about = _normal(about)
    changed = [name for name, value in about.items() if getattr(locked, name) != value]
    if not changed:
        return
    if editor and editor.pk == locked.pk and "is_active" in changed:
        raise PermissionDenied("Nobody switches their own account off.")
    if editor and "email" in changed and not may_readdress(editor, locked):
        raise PermissionDenied(f"{locked} is a member of projects: that takes the permission to add members to them.")
    if "is_active" in changed and off:
        _keep_owners(locked)
    before = {name: getattr(locked, name) for name in changed}
    for name in changed:
        setattr(locked, name, about[name])
    _save(locked, changed)
    _told(locked, before, by, client)


def _told(person: User, before: dict[str, Any], by: By, client: Client) -> None:
    """What follows from a change, on record."""
    if "email" in before:
        # All that was proved of the old one is proved no more.
        EmailAddress.objects.filter(user=person).delete()
        was = before.pop("email")
        note(Verb.ADDRESS_CHANGED, user=person, by=by, client=client, before=was, after=person.email)
        _tell(was, "Your e-mail address", f"The address of your account {person} was changed to another one.")
    if before:
        now = {name: getattr(person, name) for name in before}
        note(Verb.ACCOUNT_CHANGED, user=person, by=by, client=client, before=before, after=now)
    if not person.is_active:
        end_sessions(person)


@transaction.atomic
def set_rights(*, person: User, rights: dict[str, Any], by: By, client: Client = NOWHERE) -> None:
    """Who the person is to the platform; names of RIGHTS that are missing stay as they are. Raises PermissionDenied."""
    locked = _lock(person, by)
    editor = require_reach(by, locked)
    before = _rights(locked)
    flags = [name for name in FLAGS if rights.get(name, getattr(locked, name)) != getattr(locked, name)]
    many = {name: set(rights[name]) for name in MANY if name in rights}
    differing = {name: wanted ^ set(getattr(locked, name).all()) for name, wanted in many.items()}
    if not flags and not any(differing.values()):
        return
    if editor:
        _require_own(editor, locked, flags, differing)
    for flag in flags:
        setattr(locked, flag, rights[flag])
    locked.save(update_fields=flags)
    for name, wanted in many.items():
        getattr(locked, name).set(wanted)
    note(Verb.RIGHTS_CHANGED, user=locked, by=by, client=client, before=before, after=_rights(locked))


def _require_own(editor: User, person: User, flags: list[str], differing: dict[str, set[Any]]) -> None:
    """Nobody gives or takes what they do not have, nor anything of their own. Raises PermissionDenied."""
    if editor.pk == person.pk:
        raise PermissionDenied("Nobody changes their own rights: ask somebody else who has them.")
    beyond = differing.get("groups", set()) - set(rights_groups_of(editor))
    beyond |= differing.get("user_permissions", set()) - set(permissions_of(editor))
    if beyond or ("is_superuser" in flags and not editor.is_superuser):
        raise PermissionDenied("Nobody gives or takes rights that they do not have themselves.")


@transaction.atomic
def remove_factors(*, person: User, by: By, client: Client = NOWHERE) -> None:
    """For somebody who lost them: passkeys, authenticator app and recovery codes, and all sessions with them.

    Raises ValidationError where there is none; PermissionDenied.
    """
    locked = _lock(person, by)
    editor = require_reach(by, locked)
    if editor and editor.pk == locked.pk:
        raise PermissionDenied("Nobody removes their own second factors here: your account's page does it.")
    factors = Authenticator.objects.filter(user=locked)
    kinds = sorted(factors.values_list("type", flat=True))
    if not kinds:
        raise ValidationError(f"{locked} has no second factor.")
    factors.delete()
    end_sessions(locked)
    note(Verb.FACTOR_REMOVED, user=locked, by=by, client=client, kinds=kinds)
    _tell(locked.email, "Your second factors", f"All second factors of your account {locked} were removed.")


@transaction.atomic
def set_time_zone(*, person: User, zone: str, client: Client = NOWHERE) -> None:
    """Times are shown to the person in this zone. Raises ValidationError where it is none."""
    if zone not in TIME_ZONES:
        raise ValidationError({"time_zone": f"“{shown(zone)}” is no time zone: choose one such as Europe/Berlin."})
    locked = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    if locked.time_zone == zone:
        return
    before, locked.time_zone = locked.time_zone, zone
    locked.save(update_fields=["time_zone"])
    note(
        Verb.ACCOUNT_CHANGED,
        user=locked,
        client=client,
        before={"time_zone": before},
        after={"time_zone": zone},
    )


def end_sessions(person: User, but: str | None = None) -> None:
    """Sign the person out everywhere, but for the session with this key."""
    for row in UserSession.objects.filter(user=person).exclude(session_key=but):
        row.end()


def _lock(person: User, by: By, *, with_projects: bool = False) -> User:
    """The account as it is now, locked together with whoever writes, and where it may leave projects without an owner
    also with these and their owners: two people who switch each other off, or two owners of one project, take turns."""
    keys = {person.pk, *([by.user.pk] if by.user else [])}
    if with_projects:
        mine = Membership.objects.filter(user=person, role=Role.OWNER).values("project")
        # Projects before people, in the order of keys, as everywhere.
        owned = [row.pk for row in Project.objects.filter(pk__in=mine).order_by("pk").select_for_update(no_key=True)]
        keys |= set(Membership.objects.filter(project__in=owned, role=Role.OWNER).values_list("user", flat=True))
    rows = User.objects.filter(pk__in=keys).order_by("pk").select_for_update(no_key=True)
    return {row.pk: row for row in rows}[person.pk]


def _keep_owners(person: User) -> None:
    alone = owned_alone(person)
    if alone:
        names = ", ".join(project.name for project in alone[:5])
        raise ValidationError(
            {"is_active": f"This is the last owner of {names}: make somebody else an owner there first."}, code="owner"
        )


def _normal(about: dict[str, Any]) -> dict[str, Any]:
    """As the sign-in looks for names and addresses: what has capitals would not be found."""
    return {name: value.lower() if name in ("username", "email") else value for name, value in about.items()}


def _save(person: User, changed: Collection[str] | None = None) -> None:
    """Raises ValidationError where a name or an address is taken, or none."""
    # A name or an address from before both were plain ASCII stays good until it is changed.
    old = {"username", "email"} - set(changed) if changed is not None else set()
    person.full_clean(exclude={"password"} | old)
    others = EmailAddress.objects.filter(email=person.email.lower(), verified=True).exclude(user=person.pk)
    if person.email and others.exists():
        raise ValidationError({"email": "Somebody already has this e-mail address."})
    try:
        with transaction.atomic():
            person.save(update_fields=changed)
    except IntegrityError:
        person.full_clean(exclude={"password"} | old)  # somebody was quicker: the refusal says so
        raise


def _rights(person: User) -> list[str]:
    """In words that stay readable when groups and permissions are gone."""
    flags = [word for word, has in (("superuser", person.is_superuser), ("staff", person.is_staff)) if has]
    groups = [f"group {name}" for name in person.groups.order_by("name").values_list("name", flat=True)]
    return flags + groups + named(person.user_permissions.all())


def named(permissions: QuerySet[Permission]) -> list[str]:
    """Permissions as code has them, such as securitygroups.support."""
    rows = permissions.order_by("content_type__app_label", "codename")
    return [f"{app}.{name}" for app, name in rows.values_list("content_type__app_label", "codename")]


def _tell(to: str, subject: str, what: str) -> None:
    notices.tell(to, subject, f"{what} This was done by your platform's staff.\n\nIf this is a surprise, ask them.\n")
