"""What webhooks are sent: made of the events that are there, handed out to whoever sends, and written down.

Any number of processes may do this beside each other. None is asked what it has in hand: what is handed out is leased, and
comes back by itself from one that was killed. So each event is sent at least once, and once where nobody dies.
"""

import random
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from securitygroups.models import Delivery, Event, StreamCursor, Webhook
from securitygroups.operations.by import By
from securitygroups.operations.records import Verb, lock_project, record
from securitygroups.operations.webhooks import CURSOR
from securitygroups.webhooks import keys
from securitygroups.webhooks.answer import Answer

RETRIES = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 5 * 60, 30 * 60, *(hours * 60 * 60 for hours in (2, 5, 10, 14, 20, 24)))
)
"""How long after each failure it is tried again, or later where the receiver asks for it; after the last one it is given up."""
GIVEN_UP = timedelta(days=5)
"""A webhook that has taken nothing for so long is switched off."""
AT_ONCE, OF_A_PROJECT = 2, 4
"""So many are under way to one webhook, whoever sends; and to all webhooks of a project from one process."""
LEASE = timedelta(seconds=60)
"""Much longer than anything that is sent may take."""
EVENTS_AT_ONCE, IDS_AT_ONCE = 500, 20_000


@transaction.atomic
def hand_on(settled: int) -> int:
    """Make deliveries of the next events up to the id `settled`, for each webhook that wants them, and say how far the
    reading has come. Where another process is at it, nothing is done."""
    here = StreamCursor.objects.select_for_update(no_key=True, skip_locked=True).filter(name=CURSOR).first()
    if here is None or settled <= here.position:
        return here.position if here else 0
    end = min(settled, here.position + IDS_AT_ONCE)
    # Who has none costs nothing, and one that is deleted meanwhile waits for us.
    listening = Webhook.objects.filter(active=True, disabled_at=None)
    events = list(
        Event.objects.filter(pk__gt=here.position, pk__lte=end, project__in=listening.values("project"))
        .exclude(verb=Verb.WEBHOOK_TESTED)
        .order_by("pk")
        .values_list("pk", "project", "verb")[:EVENTS_AT_ONCE]
    )
    hooks: dict[int, list[Webhook]] = {}
    there = listening.filter(project__in={project for _, project, _ in events})
    for hook in there.order_by("pk").select_for_update(no_key=True):
        hooks.setdefault(hook.project_id, []).append(hook)
    made = [
        Delivery(webhook=hook, event_id=pk)
        for pk, project, verb in events
        for hook in hooks.get(project, ())
        if pk > hook.position and (not hook.kinds or verb in hook.kinds)
    ]
    Delivery.objects.bulk_create(made, batch_size=1000, ignore_conflicts=True)
    here.position, here.at = (events[-1][0] if len(events) == EVENTS_AT_ONCE else end), timezone.now()
    here.save(update_fields=["position", "at"])
    return here.position


def reading_from() -> int | None:
    """The id behind which events are still to be handed on; None where nobody ever had a webhook."""
    return StreamCursor.objects.filter(name=CURSOR).values_list("position", flat=True).first()


def _due(now: datetime, quiet: Collection[str]) -> QuerySet[Delivery]:
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    on = Q(webhook__active=True, webhook__disabled_at=None) & ~Q(webhook__host__in=list(quiet))
    rows = Delivery.objects.filter(free, Q(asked=True) | on, state=Delivery.State.WAITING, next_at__lte=now)
    return rows.order_by("-asked", "next_at", "pk")


@transaction.atomic
def take_due(room: int, *, quiet: Collection[str] = (), under_way: Mapping[int, int] | None = None) -> list[Delivery]:
    """Up to `room` deliveries that are due, leased to whoever asks: each has to be told to `settle` within that time.

    `quiet` names hosts that are left alone for now, but for what somebody waits for. `under_way` says how many this process
    is sending already, by project.
    """
    now, busy = timezone.now(), dict(under_way or {})
    full = [project for project, number in busy.items() if number >= OF_A_PROJECT]
    due = _due(now, quiet)
    first = due.filter(webhook=OuterRef("pk")).values("next_at")[:1]
    waiting = Webhook.objects.exclude(project__in=full).annotate(due=Subquery(first)).filter(due__isnull=False)
    # Locked, so that two processes do not count at the same time how many are under way to it.
    hooks = list(
        waiting.order_by("due", "pk").select_for_update(no_key=True, skip_locked=True, of=("self",))[: 4 * room]
    )
    leased = Delivery.objects.filter(webhook__in=hooks, state=Delivery.State.WAITING, leased_until__gte=now)
    has = dict(leased.order_by().values_list("webhook").annotate(Count("pk")))
    taken: list[Delivery] = []
    for hook in hooks:
        most = min(AT_ONCE - has.get(hook.pk, 0), OF_A_PROJECT - busy.get(hook.project_id, 0), room - len(taken))
        if most > 0:
            some = _lease(due.filter(webhook=hook), most, now)
            busy[hook.project_id] = busy.get(hook.project_id, 0) + len(some)
            taken += some
    return taken


def _lease(due: QuerySet[Delivery], most: int, now: datetime) -> list[Delivery]:
    rows = due.select_related("webhook", "event__project", "event__group", "event__machine")
    some = list(rows.select_for_update(no_key=True, skip_locked=True, of=("self",))[:most])
    for row in some:
        row.attempts += 1
        row.leased_until, row.last_at, row.first_at = now + LEASE, now, row.first_at or now
        row.save(update_fields=["attempts", "leased_until", "last_at", "first_at"])
    return some


@transaction.atomic
def settle(sent: Delivery, answer: Answer, *, jitter: Callable[[], float] = random.random) -> None:
    """Write down what came of it, and when it is tried again. Switches a webhook off that says it is gone, or has taken
    nothing for days. Nothing is done where another process has sent it since, or the webhook was deleted."""
    now = timezone.now()
    # Before the webhook, in the order of all locks, for its project's activity may have to say something.
    project = None if answer.taken else lock_project(sent.event.project)
    hook = Webhook.objects.select_for_update(no_key=True).filter(pk=sent.webhook_id).first()
    if hook is None:
        return
    told = _told(sent, answer, now, jitter())
    if not Delivery.objects.filter(pk=sent.pk, attempts=sent.attempts).update(**told):
        return
    hook.taken_at = now if answer.taken else hook.taken_at
    hook.failing_since = None if answer.taken else hook.failing_since or now
    why = _why_off(hook, answer, now)
    if project and why:
        hook.disabled_at, hook.disabled_why = now, why
        record(project, Verb.WEBHOOK_DISABLED, f"Switched off the webhook {hook.name}: {why}", by=By())
    hook.save(update_fields=["taken_at", "failing_since", "disabled_at", "disabled_why"])


def _told(sent: Delivery, answer: Answer, now: datetime, jitter: float) -> dict[str, object]:
    told: dict[str, object] = {
        "leased_until": None,
        "asked": False,
        "last_status": answer.status,
        # It may name a host, which can be long.
        "last_error": answer.error[:300],
        "last_ms": answer.milliseconds,
    }
    if answer.taken:
        return told | {"state": Delivery.State.DONE}
    # A test is looked at by who asked for it, and means nothing to anybody later.
    if answer.gone or sent.attempts > len(RETRIES) or sent.event.verb == Verb.WEBHOOK_TESTED:
        return told | {"state": Delivery.State.GIVEN_UP}
    wait = max(RETRIES[sent.attempts - 1], timedelta(seconds=answer.wait))
    return told | {"next_at": now + wait * (1 + jitter / 5)}


def _why_off(hook: Webhook, answer: Answer, now: datetime) -> str:
    """Why nothing more is sent to it; empty where it goes on."""
    if hook.disabled_at or answer.taken:
        return ""
    if answer.gone:
        return "its receiver says that it is gone (410)."
    if hook.failing_since and now - hook.failing_since >= GIVEN_UP:
        return f"it has taken nothing for {GIVEN_UP.days} days."
    return ""


def reseal() -> int:
    """Seal secrets with today's SECRET_KEY that a key of before has sealed, and say how many. What cannot be read stays."""
    number = 0
    for pk in list(Webhook.objects.order_by("pk").values_list("pk", flat=True)):
        with transaction.atomic():
            hook = Webhook.objects.select_for_update(no_key=True).filter(pk=pk).first()
            number += bool(hook and _resealed(hook))
    return number


def _resealed(hook: Webhook) -> bool:
    try:
        secret = keys.seal_again(hook.secret)
        old = keys.seal_again(hook.old_secret) if hook.old_secret else ""
    except keys.Unreadable:
        return False
    if (secret, old) == (hook.secret, hook.old_secret):
        return False
    hook.secret, hook.old_secret = secret, old
    hook.save(update_fields=["secret", "old_secret"])
    return True
