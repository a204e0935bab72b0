"""Hosts: made, changed, enrolled by their agent, revoked. Of no project, so their record is that of accounts."""

import hmac
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from securitygroups.models import AccountEvent, Host, InForce
from securitygroups.operations.accounts import NOWHERE, Client, note
from securitygroups.operations.by import By
from securitygroups.operations.invitations import digest_of
from securitygroups.operations.records import Conflict

Verb = AccountEvent.Verb
SETTINGS = ("name", "target", "taps", "drift", "cut", "takes", "log")
"""What operators say of a host."""
TOKEN_GOOD = timedelta(hours=1)


class NotEnrolled(Exception):
    """The secret is not one that enrols this host, or not any more."""


@transaction.atomic
def make_host(*, fields: Mapping[str, Any], by: By, client: Client = NOWHERE) -> tuple[Host, str]:
    """A host, and the secret by which its agent enrols, which nobody can find out again. Raises ValidationError."""
    by.check()
    host = Host(**{name: fields[name] for name in SETTINGS if name in fields})
    _save(host)
    _note(Verb.HOST_MADE, host, by, client)
    return host, offer_enrolment(host=host, by=by, client=client)


@transaction.atomic
def change_host(*, host: Host, fields: Mapping[str, Any], by: By, client: Client = NOWHERE) -> list[str]:
    """Other settings. Returns the names of those that were others before. Raises ValidationError."""
    by.check()
    locked = lock_host(host)
    before = {name: getattr(locked, name) for name in SETTINGS if name in fields}
    changed = [name for name, value in before.items() if fields[name] != value]
    if not changed:
        return []
    if "taps" in changed:
        _keep_interfaces(locked, fields["taps"])
    for name in changed:
        setattr(locked, name, fields[name])
    _save(locked)
    after = {name: getattr(locked, name) for name in changed}
    _note(Verb.HOST_CHANGED, locked, by, client, before={name: before[name] for name in changed}, after=after)
    return changed


def _keep_interfaces(host: Host, taps: str) -> None:
    """Raises ValidationError where a VM that stands here has an interface that would be none of a VM's any more."""
    if not all(fits(tap, taps) for tap in host.placements.values_list("tap", flat=True)):
        raise ValidationError(
            {"taps": "VMs that stand here have interfaces of other names: take them off first, or name these too."}
        )


@transaction.atomic
def offer_enrolment(*, host: Host, by: By, client: Client = NOWHERE) -> str:
    """A secret that enrols this host once, within an hour, and no other; the one before is good for nothing then."""
    locked = lock_host(host)
    secret = secrets.token_urlsafe(32)
    locked.token_digest, locked.token_until = digest_of(secret), timezone.now() + TOKEN_GOOD
    locked.save(update_fields=["token_digest", "token_until"])
    _note(Verb.HOST_OFFERED, locked, by, client, until=locked.token_until.isoformat())
    return secret


@transaction.atomic
def enrol_host(*, public_id: str, secret: str, key: str, agent: str, client: Client = NOWHERE) -> Host:
    """Take the agent that shows the secret and has this public key for the host's. Raises NotEnrolled; ValidationError where
    another host has the key."""
    host = Host.objects.select_for_update(no_key=True).filter(public_id=public_id).first()
    digest = digest_of(secret)
    if host is None or not hmac.compare_digest(digest, host.token_digest) or _over(host):
        raise NotEnrolled
    again = bool(host.key)
    now = timezone.now()
    host.token_digest, host.token_until = "", None
    host.key, host.agent, host.enrolled_at, host.revoked_at = key, agent, now, None
    # Another installation, which has taken nothing and has not said what is there.
    host.state, host.seen_at, host.inventory, host.conflicts = "", now, None, []
    InForce.objects.filter(host=host).delete()
    try:
        with transaction.atomic():
            host.save()
    except IntegrityError:
        raise ValidationError("Another host has this key: its agent was copied along with the machine.") from None
    _note(Verb.HOST_ENROLLED, host, By(host=host.name), client, again=again, version=agent)
    return host


def _over(host: Host) -> bool:
    return host.token_until is None or host.token_until <= timezone.now()


@transaction.atomic
def revoke_host(*, host: Host, by: By, client: Client = NOWHERE) -> None:
    """From now on its agent is told nothing, and no secret enrols it; what it has loaded stays there. Twice is the same."""
    by.check()
    locked = lock_host(host)
    if locked.revoked_at is not None and not locked.token_digest:
        return
    locked.revoked_at = locked.revoked_at or timezone.now()
    locked.token_digest, locked.token_until = "", None
    locked.save(update_fields=["revoked_at", "token_digest", "token_until"])
    _note(Verb.HOST_REVOKED, locked, by, client)


def note_host_refused(*, public_id: str, why: str, client: Client) -> None:
    """Somebody wanted to enrol a host and could not."""
    note(Verb.HOST_REFUSED, client=client, host=public_id, why=why)


def lock_host(host: Host) -> Host:
    """The host as it is now; before VMs, and behind projects and groups, as everybody takes locks. Raises Conflict."""
    found = Host.objects.select_for_update(no_key=True).filter(pk=host.pk).first()
    if found is None:
        raise Conflict(None)
    return found


def fits(tap: str, taps: str) -> bool:
    """Whether an interface is one of the host's for VMs, by the pattern that it has for them."""
    return not tap or tap.startswith(taps.removesuffix("*"))


def _save(host: Host) -> None:
    """Raises ValidationError."""
    host.full_clean()
    try:
        with transaction.atomic():
            host.save()
    except IntegrityError:
        host.full_clean()  # somebody was quicker: the refusal says so
        raise


def _note(verb: AccountEvent.Verb, host: Host, by: By, client: Client, **detail: Any) -> None:
    why: dict[str, Any] = {"reason": by.reason} if by.reason else {}
    note(verb, by=by, client=client, host=host.public_id, host_name=host.name, **detail, **why)
