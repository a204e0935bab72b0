"""The admin's pages as a browser uses them: addresses, forms with what stands in them, and what is said."""

import json
from pathlib import Path
from typing import Any

from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY as SHOWN
from django.apps import apps
from django.db.models import Model, QuerySet
from django.test import Client
from django.urls import reverse

from securitygroups.models import (
    AccountEvent,
    ApiToken,
    Attachment,
    CaseNote,
    CasePacket,
    CaseStanding,
    CaseStep,
    DecidedRule,
    Delivery,
    Event,
    GroupRevision,
    HostNonce,
    InForce,
    Invitation,
    MachineRevision,
    MadeOf,
    Placement,
    Review,
    ReviewedGroup,
    ReviewedRule,
    RuleHits,
    SavedView,
    SignedReview,
    StreamCursor,
    SupportCase,
    SupportVisit,
    Traffic,
    TrafficHour,
    User,
    VisitEnd,
    Webhook,
)
from tests.factories import sign_in_at

MODELS = [model for model in apps.get_app_config("securitygroups").get_models() if not model._meta.proxy]
READ_ONLY = [
    AccountEvent, ApiToken, Attachment, CaseNote, Event, GroupRevision, Invitation, MachineRevision, SavedView, SupportCase,
    SupportVisit, CasePacket, CaseStanding, CaseStep, VisitEnd, Review, DecidedRule, SignedReview, ReviewedGroup, ReviewedRule,
    StreamCursor, Delivery, Webhook, Placement, InForce, RuleHits, HostNonce,
    Traffic, TrafficHour, MadeOf,
]  # fmt: skip
EDITABLE = [model for model in MODELS if model not in READ_ONLY]
REFUSED = [
    json.loads(line) for line in (Path(__file__).parents[1] / "cases" / "refused.jsonl").read_text("utf-8").splitlines()
]


def fresh(user: User, seconds_ago: float = 0) -> Client:
    """A browser of somebody who showed so many seconds ago once more who they are.

    Not a watched one: Django's own pages and operations row by row are counted in test_base, thirty rows against two.
    """
    client = Client()
    sign_in_at(client, user)
    session = client.session
    session[SHOWN] = [each | {"at": each["at"] - seconds_ago} for each in session[SHOWN]]
    session.save()
    return client


def url(model: type[Model], page: str = "changelist", *arguments: object) -> str:
    return reverse(f"admin:securitygroups_{model._meta.model_name}_{page}", args=arguments)


def label(value: Any) -> str:
    return value.__name__.lower() if isinstance(value, type) else str(value)


def sent(client: Client, address: str) -> dict[str, Any]:
    """What a browser would send of the form at that address, unchanged."""
    response = client.get(address)
    assert response.status_code == 200
    form = response.context["adminform"].form
    data: dict[str, Any] = {}
    forms = [form, *(each for formset in response.context["inline_admin_formsets"] for each in formset.formset.forms)]
    forms += [formset.formset.management_form for formset in response.context["inline_admin_formsets"]]
    for each in forms:
        for field in each:
            value = field.value()
            if value not in (None, False):
                data[field.html_name] = "on" if value is True else value
    return data


def answer(asked: Any, reason: str = "Ticket 7") -> dict[str, Any]:
    """Yes to a question that was shown, as its page sends it."""
    data: dict[str, Any] = {}
    for name, text in asked.context["hidden"]:
        data.setdefault(name, []).append(text)
    return {**data, "sure": asked.context["plan"].token, "reason": reason}


def agree(client: Client, address: str, data: dict[str, Any], reason: str = "Ticket 7") -> Any:
    """Send what is asked about, and say yes to the question."""
    before = (Event.objects.exclude(verb=Event.Verb.SUPPORT_LOOK).count(), GroupRevision.objects.count())
    asked = client.post(address, data)
    assert asked.status_code == 200, asked.status_code
    assert asked.context["plan"].title in asked.content.decode()
    after = (Event.objects.exclude(verb=Event.Verb.SUPPORT_LOOK).count(), GroupRevision.objects.count())
    assert before == after, "It was written before the question was answered."
    return client.post(address, answer(asked, reason))


def said(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def refused(response: Any) -> str:
    """What stands in the form, above it and at its fields."""
    return str(response.context["adminform"].form.errors)


def changes() -> QuerySet[Event]:
    """What is on record but for looks, which come with every page."""
    return Event.objects.exclude(verb=Event.Verb.SUPPORT_LOOK)


def lines() -> QuerySet[AccountEvent]:
    """What is on record of accounts, but for who came in."""
    return AccountEvent.objects.exclude(verb=AccountEvent.Verb.SIGNED_IN)


def newest() -> Event:
    return changes().order_by("-pk")[0]
