"""What is sent of an event, and the headers that say it comes from here (https://www.standardwebhooks.com)."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from securitygroups.models import Event
from securitygroups.webhooks.keys import signatures

LARGEST = 20 * 1024
"""Bytes of a body, which all of its texts at their longest stay below."""
AGENT = "karenpanel-webhooks/1"


def identity_of(event: Event, webhook: int) -> str:
    """The same whenever this event is sent to this webhook: by it a receiver knows what it has had already."""
    return f"evt_{event.pk}_{webhook}"


def body_of(event: Event) -> bytes:
    """The event as JSON. The members of the project can read all of it in its activity."""
    detail: dict[str, Any] = event.detail
    data = {
        "id": event.pk,
        "project": {"slug": event.project.slug, "name": event.project.name},
        "who": event.actor_name,
        "by_staff": event.by_staff,
        "summary": event.summary,
        "reason": str(detail.get("reason", ""))[:255],
        "group": {"id": event.group.public_id, "name": event.group.name} if event.group else None,
        "machine": _machine(event),
        "revision": detail["revision"] if isinstance(detail.get("revision"), int) else None,
    }
    told = {"type": str(event.verb), "timestamp": event.at.isoformat(), "data": data}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _machine(event: Event) -> dict[str, str] | None:
    if event.machine is None:
        return None
    # One that was moved to another project has a name there which is that customer's business.
    here = event.machine.project_id == event.project_id
    return {"id": event.machine.public_id} | ({"name": event.machine.name} if here else {})


def headers_of(identity: str, keys: Sequence[str], at: datetime, body: bytes) -> Mapping[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": AGENT,
        "webhook-id": identity,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signatures(keys, identity, at, body),
    }
