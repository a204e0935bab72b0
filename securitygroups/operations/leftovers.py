"""What has ended and is of use to nobody is taken away, in batches, beside panels that run. Records stay."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from allauth.account.models import EmailConfirmation
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet

from securitygroups.models import Delivery, HostNonce, Invitation, MadeOf, RuleHits, Traffic, TrafficHour
from securitygroups.models.hosts import HITS_KEPT, NONCE_KEPT
from securitygroups.models.traffic import kept_since
from securitygroups.models.webhooks import KEPT
from securitygroups.operations.by import By
from securitygroups.operations.records import Verb, event, record_all

BATCH = 1_000
"""Rows of one transaction: nobody who works meanwhile waits for more."""
CACHES = {"default": "expired counts of limits", "answers": "kept answers of long ago"}


def tidy(now: datetime, *, dry_run: bool = False) -> Iterator[tuple[str, int]]:
    """Take away what had ended by `now`; what it was, and how much of it, one kind after the other. With `dry_run` only
    counted. Several may run at once, and a killed one leaves nothing half done."""
    for what, rows in _ended(now, dry_run).items():
        yield what, rows.count() if dry_run else sum(_batches(rows))
    for alias, what in CACHES.items():
        table = caches[alias]._table  # type: ignore[attr-defined]
        yield what, _expired(table, now) if dry_run else sum(_expire_in_batches(table, now))


def _ended(now: datetime, dry_run: bool) -> dict[str, QuerySet[Any]]:
    needs = Traffic.objects.filter(made_of=OuterRef("pk"))
    if dry_run:
        # As if those were gone that are counted here.
        needs = needs.filter(hour__gte=kept_since(now))
    lives = Session.objects.filter(session_key=OuterRef("session_key"), expire_date__gte=now)
    return {
        "expired sessions": Session.objects.filter(expire_date__lt=now),
        "browsers without a session": UserSession.objects.filter(~Exists(lives)),
        "expired confirmations of addresses": EmailConfirmation.objects.all_expired(),
        "expired invitations": Invitation.objects.filter(until__lt=now).select_related("project"),
        "deliveries of long ago": Delivery.objects.filter(made_at__lt=now - KEPT),
        "requests of hosts of long ago": HostNonce.objects.filter(at__lt=now - NONCE_KEPT),
        "hits of rules of long ago": RuleHits.objects.filter(hour__lt=now - HITS_KEPT),
        "packets told of long ago": Traffic.objects.filter(hour__lt=kept_since(now)).order_by("hour"),
        "hours of packets of long ago": TrafficHour.objects.filter(hour__lt=kept_since(now)),
        "what lists of long ago were made of": MadeOf.objects.filter(~Exists(needs)),
    }


def _batches(rows: QuerySet[Any]) -> Iterator[int]:
    while number := _take_away(rows):
        yield number


@transaction.atomic
def _take_away(rows: QuerySet[Any]) -> int:
    # A row that somebody is at is left for the next time: it may not have ended after all.
    batch = list(rows.select_for_update(skip_locked=True, of=("self",))[:BATCH])
    if rows.model is Invitation:
        _tell(batch)
    rows.model._default_manager.filter(pk__in=[row.pk for row in batch]).delete()
    return len(batch)


def _tell(invitations: Sequence[Invitation]) -> None:
    """The project's owners, who read in its activity why nobody came."""
    record_all(
        [
            event(
                one.project,
                Verb.INVITATION_ENDED,
                f"The invitation of {one.email} ended: nobody accepted it in time.",
                by=By(),
            )
            for one in invitations
        ]
    )


# ── Caches, which are tables and no models ──────────────────────────────────


def _expired(table: str, now: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(table)} WHERE expires < %s", [now])  # noqa: S608 – from the settings
        return int(cursor.fetchone()[0])


def _expire_in_batches(table: str, now: datetime) -> Iterator[int]:
    name = connection.ops.quote_name(table)
    batch = f"SELECT cache_key FROM {name} WHERE expires < %s LIMIT %s FOR UPDATE SKIP LOCKED"  # noqa: S608 – from the settings
    while True:
        with connection.cursor() as cursor:
            # An array, which is made once: a list to join may be asked for again, and be more than a batch.
            cursor.execute(f"DELETE FROM {name} WHERE cache_key = ANY(ARRAY({batch}))", [now, BATCH])  # noqa: S608
            number = cursor.rowcount
        if not number:
            return
        yield number
