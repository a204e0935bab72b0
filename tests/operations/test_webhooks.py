"""Webhooks as owners have them: what is written, what is on record, and what is refused."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from securitygroups import operations
from securitygroups.models import Delivery, Event, Project, Role, User, Webhook
from securitygroups.operations import By, Conflict
from securitygroups.webhooks.keys import unseal

FIELDS = {"name": "Tickets", "url": "https://hooks.example/key", "kinds": []}


@pytest.fixture
def webhook(project: Project, alice: User) -> Webhook:
    return operations.create_webhook(project=project, fields=FIELDS, by=By(alice))[0]


def last(project: Project) -> tuple[str, str]:
    event = project.events.order_by("-pk")[0]
    return event.verb, event.summary


def test_one_is_created_with_a_secret_that_is_told_once(project: Project, alice: User) -> None:
    fields = FIELDS | {"kinds": ["rules.changed", "group.created", "rules.changed"]}
    webhook, secret = operations.create_webhook(project=project, fields=fields, by=By(alice))
    stored = Webhook.objects.get(pk=webhook.pk)

    assert secret.startswith("whsec_")
    assert secret not in stored.secret
    assert [unseal(sealed) for sealed in stored.sealed] == [secret]
    assert (stored.host, stored.kinds, stored.is_on) == ("hooks.example", ["group.created", "rules.changed"], True)
    assert last(project) == ("webhook.created", "Created the webhook Tickets to hooks.example.")
    assert stored.position == project.events.order_by("-pk")[0].pk


def test_what_may_be_a_key_to_the_receiver_is_on_no_record(project: Project, webhook: Webhook, alice: User) -> None:
    other = {"url": "https://hooks.example/another-key"}
    operations.change_webhook(webhook=webhook, fields=other, by=By(alice))
    secret = operations.rotate_secret(webhook=webhook, by=By(alice))
    operations.delete_webhook(webhook=webhook, by=By(alice))

    told = repr(list(project.events.values_list("summary", "detail")))
    assert "another-key" not in told
    assert secret not in told


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "http://hooks.example/"),
        ("url", "https://127.0.0.1/"),
        ("url", "https://hooks.example:22/"),
        ("url", "https://hooks.example/" + "a" * 500),
        ("url", ""),
        ("name", ""),
        ("name", "a" * 61),
        ("name", "a\nb"),
        ("kinds", ["rules.changed", "all of them"]),
    ],
)
def test_what_cannot_be_one_is_refused_at_its_field(project: Project, alice: User, field: str, value: Any) -> None:
    before = project.events.count()

    with pytest.raises(ValidationError) as refusal:
        operations.create_webhook(project=project, fields=FIELDS | {field: value}, by=By(alice))

    assert list(refusal.value.message_dict) == [field]
    assert not Webhook.objects.exists()
    assert project.events.count() == before


def test_a_project_has_so_many_and_no_more(project: Project, alice: User, settings: Any) -> None:
    settings.MAX_WEBHOOKS_PER_PROJECT = 2
    for _ in range(2):
        operations.create_webhook(project=project, fields=FIELDS, by=By(alice))

    with pytest.raises(ValidationError, match="has its 2 webhooks already: delete one first"):
        operations.create_webhook(project=project, fields=FIELDS, by=By(alice))


def test_who_is_no_owner_any_more_does_nothing(project: Project, webhook: Webhook, erin: User) -> None:
    delivery = operations.send_test(webhook=webhook, by=By())
    deeds = (
        lambda by: operations.create_webhook(project=project, fields=FIELDS, by=by),
        lambda by: operations.change_webhook(webhook=webhook, fields={"name": "Mine"}, by=by),
        lambda by: operations.rotate_secret(webhook=webhook, by=by),
        lambda by: operations.switch_webhook(webhook=webhook, on=False, by=by),
        lambda by: operations.send_test(webhook=webhook, by=by),
        lambda by: operations.send_again(delivery=delivery, by=by),
        lambda by: operations.delete_webhook(webhook=webhook, by=by),
    )
    before = (project.events.count(), Webhook.objects.values().get(), Delivery.objects.values().get())

    for deed in deeds:
        with pytest.raises(PermissionDenied):
            deed(By(erin))

    assert before == (project.events.count(), Webhook.objects.values().get(), Delivery.objects.values().get())


def test_what_is_changed_is_on_record_and_what_is_not_is_no_change(webhook: Webhook, alice: User) -> None:
    fields = {"name": "Chat", "url": "https://chat.example/key", "kinds": ["rules.changed"]}
    operations.change_webhook(webhook=webhook, fields=fields, by=By(alice))
    stored = Webhook.objects.get()
    before = Event.objects.count()
    operations.change_webhook(webhook=webhook, fields=fields, by=By(alice))

    assert {name: getattr(stored, name) for name in fields} == fields
    assert stored.host == "chat.example"
    words = "Changed the webhook Tickets: its name, Chat and its address, at chat.example and what it is sent."
    assert last(webhook.project) == ("webhook.changed", words)
    assert Event.objects.count() == before


def test_the_secret_of_before_signs_along_for_a_day(webhook: Webhook, alice: User) -> None:
    [before] = [unseal(sealed) for sealed in webhook.sealed]
    secret = operations.rotate_secret(webhook=webhook, by=By(alice))
    stored = Webhook.objects.get()

    assert [unseal(sealed) for sealed in stored.sealed] == [secret, before]
    assert last(webhook.project) == ("webhook.rotated", "Gave the webhook Tickets a new secret.")
    with time_machine.travel(timezone.now() + timedelta(hours=24, seconds=1)):
        assert [unseal(sealed) for sealed in stored.sealed] == [secret]


def test_one_that_is_paused_goes_on_with_what_happens_then(webhook: Webhook, project: Project, alice: User) -> None:
    operations.switch_webhook(webhook=webhook, on=False, by=By(alice))
    assert not Webhook.objects.get().is_on
    operations.switch_webhook(webhook=webhook, on=False, by=By(alice))
    assert project.events.filter(verb="webhook.changed").count() == 1
    Webhook.objects.update(disabled_at=timezone.now(), disabled_why="x", failing_since=timezone.now())
    operations.switch_webhook(webhook=webhook, on=True, by=By(alice))
    stored = Webhook.objects.get()

    assert stored.is_on
    assert (stored.disabled_why, stored.failing_since) == ("", None)
    assert last(project) == ("webhook.changed", "Let the webhook Tickets go on.")
    assert stored.position == project.events.order_by("-pk")[1].pk


def test_one_that_is_deleted_is_gone_with_what_was_sent_to_it(webhook: Webhook, project: Project, alice: User) -> None:
    operations.send_test(webhook=webhook, by=By(alice))
    operations.delete_webhook(webhook=webhook, by=By(alice))

    assert not Webhook.objects.exists()
    assert not Delivery.objects.exists()
    assert last(project) == ("webhook.deleted", "Deleted the webhook Tickets to hooks.example.")
    assert project.events.filter(verb="webhook.tested").exists()

    before = project.events.count()
    operations.delete_webhook(webhook=webhook, by=By(alice))
    assert project.events.count() == before
    for deed in (
        lambda: operations.rotate_secret(webhook=webhook, by=By(alice)),
        lambda: operations.send_test(webhook=webhook, by=By(alice)),
        lambda: operations.change_webhook(webhook=webhook, fields={"name": "x"}, by=By(alice)),
    ):
        with pytest.raises(Conflict):
            deed()


def test_of_what_is_asked_for_only_so_much_waits(webhook: Webhook, alice: User) -> None:
    for _ in range(20):
        delivery = operations.send_test(webhook=webhook, by=By(alice))

    with pytest.raises(ValidationError, match="20 that were asked for wait already"):
        operations.send_test(webhook=webhook, by=By(alice))
    with pytest.raises(ValidationError, match="20 that were asked for wait already"):
        operations.send_again(delivery=delivery, by=By(alice))


def test_what_is_sent_again_is_on_record(webhook: Webhook, project: Project, alice: User) -> None:
    delivery = operations.send_test(webhook=webhook, by=By(alice))
    Delivery.objects.update(state="given up", attempts=10, asked=False)
    operations.send_again(delivery=delivery, by=By(alice))
    stored = Delivery.objects.get()

    assert (stored.state, stored.asked, stored.attempts) == ("waiting", True, 10)
    assert last(project) == ("webhook.resent", "Asked to send “Webhook tested” to the webhook Tickets again.")


def test_a_member_who_made_one_can_still_be_removed(
    webhook: Webhook, project: Project, alice: User, erin: User
) -> None:
    operations.change_role(member=project.memberships.get(user=erin), role=Role.OWNER, by=By(alice))
    operations.remove_member(member=project.memberships.get(user=alice), by=By(erin))

    assert Webhook.objects.get().created_by_name == "alice"
