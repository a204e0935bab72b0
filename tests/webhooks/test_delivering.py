"""From an event to a receiver: who is sent what, when it is tried again, when it ends."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from securitygroups import operations
from securitygroups.delivering import Deliverer, Quiet
from securitygroups.models import Delivery, Event, Project, SecurityGroup, User, Webhook
from securitygroups.operations import By
from securitygroups.operations.deliveries import RETRIES
from securitygroups.webhooks.answer import LONGEST_WAIT, Answer, wait_of
from tests.factories import make_group, ports
from tests.webhooks.conftest import here
from tests.webhooks.receivers import Receiver
from tests.webhooks.test_keys import verified

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.get_fixed_timezone(0))


def make_webhook(project: Project, by: User, url: str = "https://hooks.example/", *kinds: str) -> tuple[Webhook, str]:
    fields = {"name": "Tickets", "url": url, "kinds": list(kinds)}
    return operations.create_webhook(project=project, fields=fields, by=By(by))


def deliver(deliverer: Deliverer | None = None) -> int:
    deliverer = deliverer or Deliverer(resolver=here)
    sent = deliverer.once()
    deliverer.finish()
    return sent


class Answers:
    """Sends nothing, and says what came of it."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.sent = list(answers), []  # type: ignore[var-annotated]

    def __call__(self, url: str, headers: Any, body: bytes, *rest: Any) -> Answer:
        self.sent.append((url, headers, json.loads(body)))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def deliver(self) -> int:
        return deliver(Deliverer(send=self, resolver=lambda *_: []))


TAKEN, REFUSED, GONE = Answer(204), Answer(500), Answer(410)


# ── What is sent to whom ──────────────────────────────────────────────────────


def test_what_happens_arrives_signed(project: Project, alice: User, receiver: Receiver) -> None:
    webhook, secret = make_webhook(project, alice, receiver.url())
    group = make_group(project, "web", ports(443))

    assert deliver() == project.events.filter(pk__gt=webhook.position).count()

    bodies = [json.loads(got.body) for got in receiver.got]
    assert [body["type"] for body in bodies] == ["group.created"]
    assert bodies[0]["data"]["group"] == {"id": group.public_id, "name": "web"}
    for got in receiver.got:
        headers = {name.lower(): text for name, text in got.headers.items()}
        assert verified(secret, headers, got.body)
        assert abs(int(headers["webhook-timestamp"]) - timezone.now().timestamp()) < 60
        assert headers["webhook-id"] == f"evt_{json.loads(got.body)['data']['id']}_{webhook.pk}"
    assert not Delivery.objects.exclude(state="done").exists()
    assert deliver() == 0


def test_both_secrets_sign_while_one_is_being_replaced(project: Project, alice: User, receiver: Receiver) -> None:
    webhook, old = make_webhook(project, alice, receiver.url(), "group.created")
    new = operations.rotate_secret(webhook=webhook, by=By(alice))
    make_group(project, "web")
    deliver()

    [got] = receiver.got
    headers = {name.lower(): text for name, text in got.headers.items()}
    assert verified(old, headers, got.body)
    assert verified(new, headers, got.body)
    assert len(headers["webhook-signature"].split()) == 2


def test_each_webhook_is_sent_what_it_asked_for_and_nothing_of_before(
    project: Project, bakery: Project, alice: User, charlie: User
) -> None:
    make_group(project, "before")
    everything, _ = make_webhook(project, alice)
    groups, _ = make_webhook(project, alice, "https://hooks.example/", "group.created", "group.deleted")
    theirs, _ = make_webhook(bakery, charlie)
    group = make_group(project, "after")
    operations.delete_group(group=group, base=1, by=By(alice))
    Answers(TAKEN).deliver()

    def sent(webhook: Webhook) -> list[str]:
        return list(webhook.deliveries.order_by("event_id").values_list("event__verb", flat=True))

    assert sent(groups) == ["group.created", "group.deleted"]
    assert sent(everything)[-2:] == ["group.created", "group.deleted"]
    assert set(sent(everything)) == {"webhook.created", "group.created", "group.deleted"}
    assert sent(theirs) == []
    assert not Delivery.objects.filter(event__summary__contains="before").exists()


def test_a_test_is_sent_to_that_webhook_alone_and_once(project: Project, alice: User) -> None:
    webhook, _ = make_webhook(project, alice)
    other, _ = make_webhook(project, alice, "https://other.example/", "webhook.tested")
    operations.send_test(webhook=webhook, by=By(alice))
    answers = Answers(REFUSED)
    answers.deliver()

    tests = Delivery.objects.filter(event__verb="webhook.tested")
    assert [(each.webhook, each.state, each.last_status) for each in tests] == [(webhook, "given up", 500)]
    assert not other.deliveries.exists()


def test_one_that_is_paused_is_sent_what_somebody_asks_for_and_nothing_else(project: Project, alice: User) -> None:
    webhook, _ = make_webhook(project, alice)
    make_group(project, "web")
    operations.hand_on(Event.objects.latest("pk").pk)
    operations.switch_webhook(webhook=webhook, on=False, by=By(alice))
    make_group(project, "paused")
    operations.send_test(webhook=webhook, by=By(alice))
    answers = Answers(TAKEN)
    answers.deliver()
    assert [body["type"] for _, _, body in answers.sent] == ["webhook.tested"]

    operations.switch_webhook(webhook=webhook, on=True, by=By(alice))
    make_group(project, "again")
    answers.deliver()

    groups = [body["data"]["group"]["name"] for _, _, body in answers.sent if body["data"]["group"]]
    assert sorted(groups) == ["again", "web"]


def test_a_panel_without_webhooks_reads_no_events(project: Project) -> None:
    assert operations.reading_from() is None
    assert Answers(TAKEN).deliver() == 0


def test_events_are_handed_on_in_pieces_and_none_twice(project: Project, alice: User, monkeypatch: Any) -> None:
    monkeypatch.setattr("securitygroups.operations.deliveries.EVENTS_AT_ONCE", 2)
    webhook, _ = make_webhook(project, alice, "https://hooks.example/", "group.created")
    for number in range(5):
        make_group(project, f"group {number}")
    newest = Event.objects.latest("pk").pk
    steps = 0
    while operations.hand_on(newest) < newest:
        steps += 1
    assert operations.hand_on(newest) == newest

    assert steps >= 2
    assert webhook.deliveries.count() == 5


# ── Again, later, no more ─────────────────────────────────────────────────────


@pytest.fixture
def waiting(project: Project, alice: User) -> Iterator[Delivery]:
    """A delivery that is due, at a time of its own."""
    with time_machine.travel(NOW, tick=False):
        webhook, _ = make_webhook(project, alice, "https://hooks.example/", "group.created")
        make_group(project, "web")
        operations.hand_on(Event.objects.latest("pk").pk)
        yield webhook.deliveries.get()


def test_a_failure_is_tried_again_later_each_time_and_then_given_up(waiting: Delivery) -> None:
    at, waits = NOW, []
    for attempt in range(1, 11):
        with time_machine.travel(at, tick=False):
            [taken] = operations.take_due(5)
            operations.settle(taken, Answer(503, "", 12), jitter=lambda: 0)
            assert operations.take_due(5) == []
        waiting.refresh_from_db()
        assert (waiting.attempts, waiting.last_status, waiting.last_ms) == (attempt, 503, 12)
        waits.append(waiting.next_at - at)
        at = waiting.next_at

    assert tuple(waits[:-1]) == RETRIES
    assert waiting.state == "given up"
    assert (waiting.first_at, waiting.last_at) == (NOW, NOW + sum(RETRIES, timedelta()))
    with time_machine.travel(at + timedelta(days=9)):
        assert operations.take_due(5) == []


def test_a_receiver_that_asks_for_time_gets_it_and_no_more_than_a_day(waiting: Delivery) -> None:
    at = NOW
    for asked, waited in ((600, 600), (60, 300), (10**9, LONGEST_WAIT)):
        with time_machine.travel(at, tick=False):
            [taken] = operations.take_due(5)
            operations.settle(taken, Answer(429, wait=wait_of(str(asked))), jitter=lambda: 0)
        waiting.refresh_from_db()
        assert waiting.next_at - at == timedelta(seconds=waited)
        at = waiting.next_at


def test_not_all_that_failed_together_are_tried_again_together(waiting: Delivery) -> None:
    [taken] = operations.take_due(5)
    operations.settle(taken, REFUSED, jitter=lambda: 1)
    waiting.refresh_from_db()

    assert waiting.next_at - NOW == RETRIES[0] * 1.2


def test_what_was_given_up_can_be_sent_again(waiting: Delivery, alice: User) -> None:
    Delivery.objects.update(state="given up", attempts=10, last_status=503)
    operations.send_again(delivery=waiting, by=By(alice))
    [taken] = operations.take_due(5, quiet=["hooks.example"])
    operations.settle(taken, TAKEN)
    waiting.refresh_from_db()

    assert (waiting.state, waiting.attempts, waiting.last_status) == ("done", 11, 204)
    assert waiting.webhook.taken_at == NOW


def test_however_much_there_is_to_say_of_a_failure_it_is_written_down(waiting: Delivery) -> None:
    [taken] = operations.take_due(5)
    operations.settle(taken, Answer(error=f"Its certificate is not taken: it is not for {'h' * 253}, but for others."))
    waiting.refresh_from_db()

    assert len(waiting.last_error) == 300


def test_who_says_that_it_is_gone_is_sent_nothing_more(waiting: Delivery, project: Project, alice: User) -> None:
    [taken] = operations.take_due(5)
    operations.settle(taken, GONE)
    make_group(project, "more")
    operations.hand_on(Event.objects.latest("pk").pk)
    webhook = Webhook.objects.get()

    assert not webhook.is_on
    assert webhook.disabled_why == "its receiver says that it is gone (410)."
    assert webhook.deliveries.get().state == "given up"
    told = project.events.get(verb="webhook.disabled")
    assert (told.actor_name, told.summary) == (
        "karenpanel",
        "Switched off the webhook Tickets: its receiver says that it is gone (410).",
    )


def test_who_takes_nothing_for_five_days_is_sent_nothing_more(waiting: Delivery, project: Project) -> None:
    def fails(after: timedelta, answer: Answer) -> Webhook:
        with time_machine.travel(NOW + after, tick=False):
            Delivery.objects.update(next_at=timezone.now(), attempts=1, state="waiting")
            [taken] = operations.take_due(5)
            operations.settle(taken, answer)
        return Webhook.objects.get()

    assert fails(timedelta(), REFUSED).failing_since == NOW
    assert fails(timedelta(days=4), REFUSED).is_on
    assert fails(timedelta(days=4, hours=1), TAKEN).failing_since is None
    assert fails(timedelta(days=4, hours=2), Answer(error="It refuses connections at this port.")).is_on
    assert fails(timedelta(days=9), REFUSED).is_on
    off = fails(timedelta(days=9, hours=3), REFUSED)

    assert not off.is_on
    assert off.disabled_why == "it has taken nothing for 5 days."
    assert project.events.filter(verb="webhook.disabled").count() == 1


def test_a_secret_that_cannot_be_read_is_told_of_and_nothing_is_sent(waiting: Delivery, settings: Any) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another key of many letters", []
    answers = Answers(TAKEN)
    answers.deliver()
    waiting.refresh_from_db()

    assert answers.sent == []
    assert waiting.last_error == "Its secret cannot be read with today's SECRET_KEY: give it a new one."


def test_secrets_are_sealed_again_with_todays_key(waiting: Delivery, settings: Any) -> None:
    assert operations.reseal() == 0
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another key of many letters", [settings.SECRET_KEY]
    assert operations.reseal() == 1
    settings.SECRET_KEY_FALLBACKS = []
    answers = Answers(TAKEN)

    assert answers.deliver() == 1
    assert len(answers.sent) == 1


def test_what_nobody_thought_of_ends_no_process(waiting: Delivery) -> None:
    def breaks(*_: object) -> Answer:
        raise RuntimeError("unheard of")

    assert deliver(Deliverer(send=breaks, resolver=here)) == 1
    waiting.refresh_from_db()

    assert (waiting.state, waiting.last_error) == ("waiting", "It could not be sent.")


# ── Nobody is held up by others ───────────────────────────────────────────────


def _many(project: Project, by: User, number: int, *hosts: str) -> list[Webhook]:
    hooks = [make_webhook(project, by, f"https://{host}/", "group.created")[0] for host in hosts]
    for each in range(number):
        make_group(project, f"{project.slug} {each}")
    operations.hand_on(Event.objects.latest("pk").pk)
    return hooks


def test_two_are_under_way_to_a_webhook_and_no_more_whoever_sends(project: Project, alice: User) -> None:
    _many(project, alice, 5, "slow.example")
    first = operations.take_due(8)

    assert len(first) == 2
    assert operations.take_due(8) == []
    operations.settle(first[0], TAKEN)
    assert len(operations.take_due(8)) == 1


def test_a_project_with_many_slow_receivers_leaves_room_for_others(
    project: Project, bakery: Project, alice: User, charlie: User
) -> None:
    _many(project, alice, 5, *(f"slow-{number}.example" for number in range(10)))
    _many(bakery, charlie, 1, "quick.example")
    taken = operations.take_due(8)

    assert [delivery.event.project for delivery in taken].count(project) == 4
    assert [delivery.event.project for delivery in taken].count(bakery) == 1
    assert operations.take_due(8, under_way={project.pk: 4}) == []


def test_a_host_that_failed_is_left_alone_and_others_are_not(project: Project, alice: User) -> None:
    _, other = _many(project, alice, 1, "down.example", "up.example")

    assert [each.webhook for each in operations.take_due(8, quiet=["down.example"])] == [other]


def test_a_host_is_left_alone_longer_each_time_until_it_takes_something() -> None:
    now = [0.0]
    quiet = Quiet(clock=lambda: now[0])
    waits = []
    for _ in range(9):
        quiet.note("down.example", REFUSED)
        waits.append(quiet.until["down.example"][1])
        assert quiet.hosts() == ["down.example"]
        now[0] += waits[-1]
        assert quiet.hosts() == []
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]

    quiet.note("down.example", TAKEN)
    assert quiet.until == {}


def test_what_somebody_waits_for_goes_first(project: Project, alice: User) -> None:
    [webhook] = _many(project, alice, 5, "hooks.example")
    test = operations.send_test(webhook=webhook, by=By(alice))

    assert test in operations.take_due(1)


def test_what_a_killed_process_had_in_hand_comes_back(waiting: Delivery) -> None:
    [lost] = operations.take_due(5)
    with time_machine.travel(NOW + timedelta(seconds=59)):
        assert operations.take_due(5) == []
    with time_machine.travel(NOW + timedelta(seconds=61)):
        [again] = operations.take_due(5)
        assert again == lost
        # The first was only slow, and comes back late: what it says is of a lease that has ended.
        operations.settle(lost, REFUSED)
        operations.settle(again, TAKEN)
    waiting.refresh_from_db()

    assert (waiting.state, waiting.attempts, waiting.last_status) == ("done", 2, 204)


def test_what_comes_back_of_a_webhook_that_was_deleted_is_nobodys(waiting: Delivery, alice: User) -> None:
    [taken] = operations.take_due(5)
    operations.delete_webhook(webhook=waiting.webhook, by=By(alice))
    operations.settle(taken, REFUSED)

    assert not Delivery.objects.exists()


def test_a_vm_or_group_of_the_event_costs_no_query_each(project: Project, alice: User, group: SecurityGroup) -> None:
    _many(project, alice, 2, "hooks.example")

    [one, two] = operations.take_due(2)
    assert {one.event.group.name, two.event.group.name} == {"shop 0", "shop 1"}  # type: ignore[union-attr]
