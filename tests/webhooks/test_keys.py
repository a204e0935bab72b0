"""Secrets: how they are kept, and that what they sign is verified by somebody who knows the standard alone."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from securitygroups.models import Event, Project, SecurityGroup, VirtualMachine
from securitygroups.webhooks.keys import Unreadable, new_secret, seal, seal_again, signatures, unseal
from securitygroups.webhooks.message import LARGEST, body_of

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def verified(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """As a receiver does it, from the text of the standard."""
    key = base64.b64decode(secret.split("_", 1)[1])
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return f"v1,{wanted}" in headers["webhook-signature"].split(" ")


def test_the_signature_is_that_of_the_standards_own_example() -> None:
    at = datetime.fromtimestamp(1614265330, UTC)
    signed = signatures(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}'
    )

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_two_secrets_sign_beside_each_other() -> None:
    new, old, other = new_secret(), new_secret(), new_secret()
    headers = {
        "webhook-id": "evt_1_2",
        "webhook-timestamp": str(int(AT.timestamp())),
        "webhook-signature": signatures([new, old], "evt_1_2", AT, b"{}"),
    }

    assert verified(new, headers, b"{}")
    assert verified(old, headers, b"{}")
    assert not verified(other, headers, b"{}")
    assert not verified(new, headers, b"{ }")
    assert not verified(new, headers | {"webhook-id": "evt_1_3"}, b"{}")
    assert not verified(new, headers | {"webhook-timestamp": "1"}, b"{}")


def test_a_secret_is_long_and_never_the_same() -> None:
    made = {new_secret() for _ in range(100)}

    assert len(made) == 100
    assert {len(base64.b64decode(secret.removeprefix("whsec_"))) for secret in made} == {32}


def test_what_is_kept_does_not_show_the_secret(settings: Any) -> None:
    secret = new_secret()
    sealed = seal(secret)

    assert secret.removeprefix("whsec_") not in sealed
    assert unseal(sealed) == secret
    assert seal(secret) != sealed


def test_a_secret_outlives_a_change_of_the_key_as_long_as_the_old_key_is_named(settings: Any) -> None:
    secret, before = new_secret(), settings.SECRET_KEY
    sealed = seal(secret)

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another key of many letters", [before]
    again = seal_again(sealed)
    assert unseal(sealed) == unseal(again) == secret
    assert seal_again(again) == again

    settings.SECRET_KEY_FALLBACKS = []
    assert unseal(again) == secret
    with pytest.raises(Unreadable):
        unseal(sealed)
    with pytest.raises(Unreadable):
        seal_again(sealed)


def test_the_body_says_what_the_activity_says(group: SecurityGroup) -> None:
    event = Event.objects.filter(verb="rules.changed").first() or Event.objects.latest("pk")
    body = json.loads(body_of(event))

    assert body["type"] == event.verb
    assert datetime.fromisoformat(body["timestamp"]) == event.at
    assert body["data"]["id"] == event.pk
    assert body["data"]["summary"] == event.summary
    assert body["data"]["who"] == "alice"
    assert body["data"]["project"] == {"slug": "shop", "name": event.project.name}
    assert body["data"]["group"] == {"id": group.public_id, "name": group.name}


def test_what_a_vm_is_called_in_another_project_is_not_said(machine: VirtualMachine, bakery: Project) -> None:
    event = Event.objects.filter(machine=machine).select_related("machine").latest("pk")
    assert json.loads(body_of(event))["data"]["machine"] == {"id": machine.public_id, "name": machine.name}

    VirtualMachine.objects.filter(pk=machine.pk).update(project=bakery, name="their name")
    moved = Event.objects.select_related("machine").get(pk=event.pk)

    assert json.loads(body_of(moved))["data"]["machine"] == {"id": machine.public_id}
    assert b"their name" not in body_of(moved)


def test_the_longest_event_is_below_the_limit(project: Project, group: SecurityGroup, machine: VirtualMachine) -> None:
    project.name = group.name = machine.name = "\U0001f525" * 255
    event = Event(
        pk=2**62, project=project, group=group, machine=machine, at=AT, actor_name='"' * 254, verb="v" * 20,
        summary="\U0001f525" * 400, detail={"reason": "\U0001f525" * 999, "revision": 2**31, "more": "x" * 100_000},
    )  # fmt: skip

    assert len(body_of(event)) < LARGEST
