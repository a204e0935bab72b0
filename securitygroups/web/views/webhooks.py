"""Webhooks: the addresses that are told what happens in a project. Owners alone see them, for an address may hold a key.

Nothing is sent from here: a receiver that takes its time would hold a thread that pages need. `manage.py deliver` sends.
"""

from datetime import timedelta
from typing import Any

from allauth.core import ratelimit
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from karenpanel.sent_again import draws_again, goes_back
from securitygroups import operations
from securitygroups.access import Access, find_delivery, find_webhook
from securitygroups.fields import begins_focused
from securitygroups.forms import WebhookForm, as_typed, take_refusal
from securitygroups.models import Delivery, Event, Webhook
from securitygroups.web.doors import by, enter, shown_again
from securitygroups.web.pages import FORM_INVALID, answer, bounded, page_or_form, sent
from securitygroups.webhooks.keys import Unreadable, unseal
from securitygroups.webhooks.message import body_of, identity_of

SHOWN = timedelta(minutes=10)
"""So long the page with a new secret can be loaded again by whoever made it."""
LATE = timedelta(minutes=1)
"""What is due for longer waits for a sender that is not there."""
_NEW = "webhook_secret"


@require_safe
def webhooks(request: HttpRequest, slug: str) -> HttpResponse:
    access = enter(request, slug, own=True)
    waiting = Count("deliveries", filter=Q(deliveries__state=Delivery.State.WAITING))
    rows = Webhook.objects.filter(project=access.project).annotate(waiting=waiting)
    context = {"webhooks": rows, "late": _late(Delivery.objects.filter(webhook__project=access.project))}
    return render(request, "securitygroups/webhooks/list.html", context)


@draws_again
@page_or_form
def webhook_new(request: HttpRequest, slug: str) -> HttpResponse:
    access = enter(request, slug, own=True)
    form = WebhookForm(request.POST if request.method == "POST" else None)
    begins_focused(form)
    if goes_back(request):
        form = as_typed(form)
    elif request.method == "POST":
        shown_again(request)
        if form.is_valid() and (webhook := _created(request, access, form)):
            return _tell_secret(request, webhook)
    return _form(request, form, None)


def _created(request: HttpRequest, access: Access, form: WebhookForm) -> Webhook | None:
    try:
        webhook, _ = operations.create_webhook(project=access.project, fields=form.cleaned_data, by=by(request))
    except ValidationError as refusal:
        take_refusal(form, refusal)
        return None
    return webhook


@draws_again
@page_or_form
def webhook_edit(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    access = enter(request, slug, own=True)
    webhook = find_webhook(access, pk)
    now = {"name": webhook.name, "url": webhook.url, "kinds": webhook.kinds}
    form = WebhookForm(request.POST if request.method == "POST" else None, initial=now)
    if goes_back(request):
        form = as_typed(form)
    elif request.method == "POST":
        shown_again(request)
        if form.is_valid() and _changed(request, webhook, form):
            messages.success(request, f"The webhook {form.cleaned_data['name']} was saved.")
            return redirect("webhook_deliveries", slug, pk)
    return _form(request, form, webhook)


def _changed(request: HttpRequest, webhook: Webhook, form: WebhookForm) -> bool:
    try:
        operations.change_webhook(webhook=webhook, fields=form.cleaned_data, by=by(request))
    except ValidationError as refusal:
        take_refusal(form, refusal)
        return False
    except operations.Conflict:
        form.add_error(None, "Somebody has deleted this webhook: create it anew.")
        return False
    return True


def _form(request: HttpRequest, form: WebhookForm, webhook: Webhook | None) -> HttpResponse:
    slug = request.access.project.slug  # type: ignore[attr-defined]
    back = reverse("webhook_deliveries", args=[slug, webhook.pk]) if webhook else reverse("webhooks", args=[slug])
    context = {"form": form, "webhook": webhook, "back": back}
    status = FORM_INVALID if sent(request) else 200
    return render(request, "securitygroups/webhooks/form.html", context, status=status)


@require_safe
def webhook_deliveries(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """One webhook, and what was sent to it, the newest first."""
    access = enter(request, slug, own=True)
    webhook = find_webhook(access, pk)
    rows = webhook.deliveries.select_related("event")
    context = {
        "webhook": webhook,
        "page": bounded(request, rows),
        "kinds": [Event.Verb(kind).label for kind in webhook.kinds if kind in Event.Verb.values],
        "late": _late(webhook.deliveries.all()),
        "old_signs": len(webhook.sealed) > 1,
    }
    return render(request, "securitygroups/webhooks/webhook.html", context)


@require_safe
def webhook_delivery(request: HttpRequest, slug: str, pk: int, number: int) -> HttpResponse:
    """One event on its way: the page of a test, and of whatever somebody asks about."""
    access = enter(request, slug, own=True)
    webhook = find_webhook(access, pk)
    delivery = find_delivery(webhook, number)
    waits = delivery.state == Delivery.State.WAITING
    context = {
        "webhook": webhook,
        "delivery": delivery,
        "identity": identity_of(delivery.event, webhook.pk),
        "body": body_of(delivery.event).decode(),
        "late": _late(webhook.deliveries.filter(pk=delivery.pk)),
        # While somebody asked for it and it has not been sent: then the page looks by itself.
        "soon": waits and delivery.asked and timezone.now() - delivery.next_at < LATE,
    }
    return answer(request, "securitygroups/webhooks/delivery.html", "securitygroups/webhooks/_delivery.html", context)


@require_POST
def webhook_test(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    access = enter(request, slug, own=True)
    webhook = find_webhook(access, pk)
    if not _may_ask(request, access):
        return redirect("webhook_deliveries", slug, pk)
    try:
        delivery = operations.send_test(webhook=webhook, by=by(request))
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
        return redirect("webhook_deliveries", slug, pk)
    except operations.Conflict:
        return _gone(request, slug)
    return redirect("webhook_delivery", slug, pk, delivery.pk)


@require_POST
def webhook_again(request: HttpRequest, slug: str, pk: int, number: int) -> HttpResponse:
    """Send an event once more."""
    access = enter(request, slug, own=True)
    webhook = find_webhook(access, pk)
    delivery = find_delivery(webhook, number)
    if not _may_ask(request, access):
        return redirect("webhook_deliveries", slug, pk)
    try:
        operations.send_again(delivery=delivery, by=by(request))
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
    except operations.Conflict:
        return _gone(request, slug)
    return redirect("webhook_delivery", slug, pk, number)


def _may_ask(request: HttpRequest, access: Access) -> bool:
    if ratelimit.consume(request, action="webhook", user=access.user):
        return True
    messages.error(request, "You had much sent within an hour: wait a while before the next.")
    return False


@require_POST
def webhook_switch(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Pause it, or let it go on."""
    access = enter(request, slug, own=True)
    webhook, on = find_webhook(access, pk), request.POST.get("on") == "yes"
    try:
        operations.switch_webhook(webhook=webhook, on=on, by=by(request))
    except operations.Conflict:
        return _gone(request, slug)
    words = "is sent what happens from now on" if on else "is paused: nothing is sent to it"
    messages.success(request, f"{webhook.name} {words}.")
    return redirect("webhook_deliveries", slug, pk)


@page_or_form
def webhook_rotate(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    access = enter(request, slug, own=True)
    webhook = find_webhook(access, pk)
    if request.method != "POST":
        return render(request, "securitygroups/webhooks/rotate.html", {"webhook": webhook})
    shown_again(request)
    try:
        operations.rotate_secret(webhook=webhook, by=by(request))
    except operations.Conflict:
        return _gone(request, slug)
    return _tell_secret(request, webhook)


def _tell_secret(request: HttpRequest, webhook: Webhook) -> HttpResponse:
    """To the page that shows the new secret, where only this browser may look, and not for long."""
    request.session[_NEW] = {"pk": webhook.pk, "until": (timezone.now() + SHOWN).timestamp()}
    return redirect("webhook_secret", webhook.project.slug, webhook.pk)


@require_safe
def webhook_secret(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """The secret, for whoever has just made it. Nobody sees it here a second time."""
    access = enter(request, slug, own=True)
    webhook, new = find_webhook(access, pk), request.session.get(_NEW, {})
    if new.get("pk") != pk or new.get("until", 0) < timezone.now().timestamp():
        messages.info(request, "The secret was shown when it was made, and is not shown again. You can make a new one.")
        return redirect("webhook_deliveries", slug, pk)
    try:
        secret = unseal(webhook.secret)
    except Unreadable:
        return redirect("webhook_deliveries", slug, pk)
    context: dict[str, Any] = {"webhook": webhook, "secret": secret, "old_signs": len(webhook.sealed) > 1}
    return render(request, "securitygroups/webhooks/secret.html", context)


@page_or_form
def webhook_delete(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    access = enter(request, slug, own=True)
    webhook = find_webhook(access, pk)
    if request.method != "POST":
        return render(request, "securitygroups/webhooks/delete.html", {"webhook": webhook})
    operations.delete_webhook(webhook=webhook, by=by(request))
    messages.success(request, f"The webhook {webhook.name} was deleted.")
    return redirect("webhooks", slug)


def _gone(request: HttpRequest, slug: str) -> HttpResponse:
    messages.error(request, "Somebody has deleted this webhook in the meantime.")
    return redirect("webhooks", slug)


def _late(rows: QuerySet[Delivery]) -> bool:
    """Whether something is due for so long that nobody can be sending."""
    on = Q(asked=True) | Q(webhook__active=True, webhook__disabled_at=None, webhook__failing_since=None)
    due = rows.filter(on, state=Delivery.State.WAITING, next_at__lt=timezone.now() - LATE)
    return due.filter(Q(leased_until=None) | Q(leased_until__lt=timezone.now())).exists()
