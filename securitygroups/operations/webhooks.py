"""Webhooks: where a project's owners want to be told what happens in it."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from securitygroups.models import Delivery, Event, Project, StreamCursor, Webhook
from securitygroups.models.webhooks import ROTATION
from securitygroups.operations.by import By
from securitygroups.operations.projects import still_manages
from securitygroups.operations.records import Conflict, Verb, lock_project, one_more, record
from securitygroups.webhooks import keys
from securitygroups.webhooks.addresses import NotAllowed, reach, read_target

CURSOR = "webhooks"
"""The name by which `deliver` reads the events of all projects."""
MOST_ASKED = 20
"""Events of a webhook that wait because somebody asked for them: of more than that nobody looks at the answers."""


@transaction.atomic
def create_webhook(*, project: Project, fields: Mapping[str, Any], by: By) -> tuple[Webhook, str]:
    """A webhook with `name`, `url` and `kinds`, and its secret, which nobody can find out again.

    It is sent what happens from now on. Raises ValidationError, PermissionDenied.
    """
    locked = lock_project(project)
    still_manages(locked, by)
    one_more(
        Webhook.objects.filter(project=locked).count(), settings.MAX_WEBHOOKS_PER_PROJECT, "webhook", "delete one first"
    )
    secret = keys.new_secret()
    webhook = Webhook(project=locked, secret=keys.seal(secret), created_by=by.user, created_by_name=by.name)
    _take(webhook, fields)
    said = record(locked, Verb.WEBHOOK_CREATED, f"Created the webhook {webhook.name} to {webhook.host}.", by=by)
    webhook.position = said.pk
    webhook.save()
    # Nobody reads the events of a panel without webhooks, and whoever begins needs nothing of what was before.
    StreamCursor.objects.get_or_create(name=CURSOR, defaults={"position": said.pk, "at": timezone.now()})
    return webhook, secret


@transaction.atomic
def change_webhook(*, webhook: Webhook, fields: Mapping[str, Any], by: By) -> Webhook:
    """Another `name`, `url` or other `kinds`. Raises ValidationError, Conflict, PermissionDenied."""
    locked = _locked(webhook, by)
    before = {name: getattr(locked, name) for name in fields}
    _take(locked, fields)
    changed = [name for name, value in before.items() if getattr(locked, name) != value]
    if not changed:
        return locked
    if "url" in changed:
        # Another receiver, which has refused nothing yet.
        locked.failing_since = None
    locked.save()
    words = {"name": f"its name, {locked.name}", "url": f"its address, at {locked.host}", "kinds": "what it is sent"}
    what = " and ".join(words[name] for name in changed)
    record(
        locked.project, Verb.WEBHOOK_CHANGED, f"Changed the webhook {before.get('name', locked.name)}: {what}.", by=by
    )
    return locked


@transaction.atomic
def rotate_secret(*, webhook: Webhook, by: By) -> str:
    """A new secret, which nobody can find out again; the one of before signs along for a day. Raises Conflict,
    PermissionDenied."""
    locked = _locked(webhook, by)
    secret = keys.new_secret()
    locked.old_secret, locked.old_until = locked.secret, timezone.now() + ROTATION
    locked.secret = keys.seal(secret)
    locked.save(update_fields=["secret", "old_secret", "old_until"])
    record(locked.project, Verb.WEBHOOK_ROTATED, f"Gave the webhook {locked.name} a new secret.", by=by)
    return secret


@transaction.atomic
def switch_webhook(*, webhook: Webhook, on: bool, by: By) -> None:
    """Pause it, or let it go on, also where the panel has switched it off. Raises Conflict, PermissionDenied."""
    locked = _locked(webhook, by)
    if locked.is_on == on:
        return
    locked.active = on
    if on:
        # What happened meanwhile was not for it.
        locked.position = _newest()
        locked.disabled_at, locked.disabled_why, locked.failing_since = None, "", None
    locked.save()
    words = f"Let the webhook {locked.name} go on." if on else f"Paused the webhook {locked.name}."
    record(locked.project, Verb.WEBHOOK_CHANGED, words, by=by)


@transaction.atomic
def delete_webhook(*, webhook: Webhook, by: By) -> None:
    """With all that is told of what was sent to it; the events themselves stay. Nothing is done where it is gone."""
    try:
        locked = _locked(webhook, by)
    except Conflict:
        return
    locked.deliveries.all().delete()
    locked.delete()
    record(locked.project, Verb.WEBHOOK_DELETED, f"Deleted the webhook {locked.name} to {locked.host}.", by=by)


@transaction.atomic
def send_test(*, webhook: Webhook, by: By) -> Delivery:
    """Send it an event that means nothing, also where it is paused. Raises ValidationError, Conflict, PermissionDenied."""
    locked = _locked(webhook, by)
    _room_to_ask(locked)
    said = record(locked.project, Verb.WEBHOOK_TESTED, f"Sent a test to the webhook {locked.name}.", by=by)
    return Delivery.objects.create(webhook=locked, event=said, asked=True)


@transaction.atomic
def send_again(*, delivery: Delivery, by: By) -> None:
    """Send an event once more, now. Raises ValidationError, Conflict, PermissionDenied."""
    locked = _locked(delivery.webhook, by)
    _room_to_ask(locked)
    row = (
        locked.deliveries.select_for_update(no_key=True, of=("self",))
        .select_related("event")
        .filter(pk=delivery.pk)
        .first()
    )
    if row is None:
        raise Conflict(None)
    row.state, row.asked, row.next_at = Delivery.State.WAITING, True, timezone.now()
    row.save(update_fields=["state", "asked", "next_at"])
    words = f"Asked to send “{row.event.get_verb_display()}” to the webhook {locked.name} again."
    record(locked.project, Verb.WEBHOOK_RESENT, words, by=by, detail={"event": row.event_id})


def _locked(webhook: Webhook, by: By) -> Webhook:
    """The webhook as it is now, under the lock of its project. Raises Conflict where it is gone."""
    project = lock_project(webhook.project)
    still_manages(project, by)
    found = Webhook.objects.select_for_update(no_key=True).filter(pk=webhook.pk).first()
    if found is None:
        raise Conflict(None)
    found.project = project
    return found


def _take(webhook: Webhook, fields: Mapping[str, Any]) -> None:
    """Give it these fields. Raises ValidationError."""
    for name, value in fields.items():
        setattr(webhook, name, value)
    webhook.kinds = sorted(set(webhook.kinds))
    try:
        # Not looked up in the web, where somebody waits: what the name stands for is looked at whenever something is sent.
        webhook.host = read_target(webhook.url, reach(look_up=False)).host
    except NotAllowed as refusal:
        raise ValidationError({"url": str(refusal).replace("%", "%%")}) from None
    unknown = set(webhook.kinds) - set(Event.Verb.values)
    if unknown:
        raise ValidationError({"kinds": "There is no such kind of event: choose from the list."})
    webhook.full_clean(exclude=["project", "position", "secret", "created_by"])


def _room_to_ask(webhook: Webhook) -> None:
    waiting = webhook.deliveries.filter(state=Delivery.State.WAITING, asked=True).count()
    if waiting >= MOST_ASKED:
        raise ValidationError(f"{waiting} that were asked for wait already: wait until they are sent.", code="quota")


def _newest() -> int:
    return Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
