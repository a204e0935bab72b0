"""What has ended is taken away in batches, beside whoever works, and nothing that is still of use."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.usersessions.models import UserSession
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from karenpanel import database
from securitygroups import operations
from securitygroups.models import (
    AccountEvent,
    Delivery,
    Event,
    HostNonce,
    Invitation,
    MadeOf,
    Project,
    RuleHits,
    Traffic,
    TrafficHour,
    User,
)
from securitygroups.models.hosts import HITS_KEPT, NONCE_KEPT, RULE
from securitygroups.models.traffic import kept_since
from securitygroups.models.webhooks import KEPT
from securitygroups.operations import By, leftovers
from tests.factories import make_host, make_machine
from tests.models.test_records import APPEND_ONLY

NOW = timezone.now()
DAY = timedelta(days=1)
KINDS = [
    "expired sessions",
    "browsers without a session",
    "expired confirmations of addresses",
    "expired invitations",
    "deliveries of long ago",
    "requests of hosts of long ago",
    "hits of rules of long ago",
    "packets told of long ago",
    "hours of packets of long ago",
    "what lists of long ago were made of",
    "expired counts of limits",
    "kept answers of long ago",
]


def session(user: User, ends: timedelta) -> str:
    """A session with its line in the list of the person's browsers; its key."""
    store = SessionStore()
    store["who"] = user.pk
    store.save()
    key = str(store.session_key)
    Session.objects.filter(pk=key).update(expire_date=NOW + ends)
    UserSession.objects.create(user=user, ip="198.51.100.7", user_agent="x", session_key=key)
    return key


def invitation(project: Project, by: User, name: str, ends: timedelta) -> Invitation:
    return Invitation.objects.create(
        project=project, email=f"{name}@example.com", digest=name, by=by, by_name=by.username, until=NOW + ends
    )


def cached(name: str, ends: timedelta) -> None:
    # Not by the cache, which takes expired rows away at each write.
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO cache VALUES (%s, '', %s)", [f":1:{name}", NOW + ends])


def kept(name: str, ends: timedelta) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO answers VALUES (%s, '', %s)", [name, NOW + ends])


def cache_keys() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT cache_key FROM cache ORDER BY cache_key")
        return [key.rpartition(":")[2] for (key,) in cursor.fetchall()]


@pytest.fixture
def leftovers_there(project: Project, alice: User) -> None:
    """Of each kind two that have ended and one that has not."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM cache; DELETE FROM answers")
    address = EmailAddress.objects.create(user=alice, email="alice@example.com")
    hook = {"name": "Tickets", "url": "https://hooks.example/", "kinds": []}
    webhook, _ = operations.create_webhook(project=project, fields=hook, by=By(alice))
    host, machine = make_host(), make_machine(project, "counted")
    for name, ends in (("old", -DAY), ("older", -9 * DAY), ("running", DAY)):
        session(alice, ends)
        invitation(project, alice, name, ends)
        cached(name, ends)
        kept(name, ends)
        sent = operations.send_test(webhook=webhook, by=By(alice))
        Delivery.objects.filter(pk=sent.pk).update(made_at=NOW + ends - KEPT)
        EmailConfirmation.objects.create(email_address=address, key=name, sent=NOW + ends - 3 * DAY)
        HostNonce.objects.create(host=host, nonce=name, at=NOW + ends - NONCE_KEPT)
        hour = NOW + ends - HITS_KEPT
        RuleHits.objects.create(machine=machine, kind=RULE, what="r1", hour=hour, packets=1, bytes=60)
        made_of = MadeOf.objects.create(machine=machine, digest=name, vector={})
        hour = kept_since(NOW) + ends
        where: dict[str, Any] = {"project": project, "machine": machine, "hour": hour}
        packets = {"direction": "in", "verdict": "drop", "reason": "none", "packets": 1, "made_of": made_of}
        Traffic.objects.create(**where, key=uuid4(), first_at=hour, last_at=hour, **packets)
        TrafficHour.objects.create(**where, rows=1)
    SessionStore().save()


def run(*, dry_run: bool = False) -> dict[str, int]:
    return dict(operations.tidy(NOW, dry_run=dry_run))


def rows(model: type[Model], field: str) -> list[Any]:
    return list(model._default_manager.order_by(field).values_list(field, flat=True))


def test_what_has_ended_goes_and_what_runs_stays(leftovers_there: None, project: Project, alice: User) -> None:
    assert run() == dict.fromkeys(KINDS, 2)

    assert rows(Invitation, "digest") == rows(EmailConfirmation, "key") == cache_keys() == ["running"]
    (left,) = UserSession.objects.all()
    assert Session.objects.filter(pk=left.session_key).exists()
    # That one, and the one of a visitor.
    assert Session.objects.count() == 2
    assert EmailAddress.objects.count() == 1


def test_a_second_time_there_is_nothing_left(leftovers_there: None) -> None:
    run()
    before = Event.objects.count()

    assert run() == dict.fromkeys(KINDS, 0)
    assert Event.objects.count() == before


def test_a_dry_run_counts_the_same_and_takes_nothing(leftovers_there: None) -> None:
    def there() -> list[Any]:
        models: list[type[Model]] = [Session, UserSession, EmailConfirmation, Invitation, Event]
        return [cache_keys(), *(rows(model, "pk") for model in models)]

    before = there()

    assert run(dry_run=True) == dict.fromkeys(KINDS, 2)
    assert there() == before


def test_many_go_in_batches(
    leftovers_there: None, project: Project, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "BATCH", 3)
    for number in range(8):
        session(alice, -DAY)
        invitation(project, alice, f"more {number}", -DAY)
        cached(f"more{number}", -DAY)

    assert list(run().values()) == [10, 10, 2, 10, 2, 2, 2, 2, 2, 2, 10, 2]
    assert cache_keys() == rows(Invitation, "digest") == ["running"]


def test_the_project_reads_that_an_invitation_ended(leftovers_there: None, project: Project) -> None:
    run()

    ended = project.events.filter(verb="invitation.ended").order_by("summary")
    assert [event.summary for event in ended] == [
        f"The invitation of {name}@example.com ended: nobody accepted it in time." for name in ("old", "older")
    ]
    assert {(event.actor, event.actor_name, event.by_staff) for event in ended} == {(None, "karenpanel", False)}


def test_no_record_loses_a_line(leftovers_there: None, as_alice: Client, alice: User) -> None:
    operations.note(AccountEvent.Verb.SIGN_IN_FAILED)
    before = {model: set(rows(model, "pk")) for model in APPEND_ONLY}

    run()

    for model in APPEND_ONLY:
        assert before[model] <= set(rows(model, "pk"))
    assert before[AccountEvent]


def test_who_is_signed_in_stays_so(leftovers_there: None, as_alice: Client, project: Project) -> None:
    run()

    assert as_alice.get("/p/shop/").status_code == 200


# ── Beside others ─────────────────────────────────────────────────────────────


@pytest.mark.django_db(transaction=True)
def test_what_somebody_is_at_is_not_waited_for_and_goes_the_next_time(leftovers_there: None) -> None:
    models: list[type[Model]] = [Session, UserSession, Invitation, EmailConfirmation, Delivery, HostNonce, RuleHits]
    models += [Traffic, TrafficHour]
    with psycopg.connect(**database.parameters(connection.settings_dict)) as other:
        for model in models:
            other.execute(f"SELECT * FROM {model._meta.db_table} FOR UPDATE")
        other.execute("SELECT * FROM cache WHERE cache_key LIKE '%old' FOR UPDATE")

        assert list(run().values()) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]
        other.rollback()

    assert list(run().values()) == [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 0]
