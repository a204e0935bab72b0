"""One line of a record as others take it: a JSON object, or a message of syslog (RFC 5424)."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from securitygroups.firewall.texts import visible
from securitygroups.models import AccountEvent, Event

LONGEST = 8192
"""Octets of a message: what RFC 5425 (4.3.1) expects every receiver to take. JSON lines are as long as they have to be."""
SPARE = 16
"""Octets that are left free: what is cut in the midst of a cluster of signs is shown a little longer."""
# An element of our own needs a number of a company's; this one is kept for examples (RFC 5612) and so nobody's.
ELEMENT = "karenpanel@32473"
PROGRAM = "karenpanel"

# Facilities and severities of RFC 5424, 6.2.1.
AUTHORIZATION, AUDIT = 10, 13
WARNING, NOTICE, INFORMATION = 4, 5, 6

_ACCESS = frozenset(
    {
        *(Event.Verb.PROJECT_CREATED, Event.Verb.MEMBER_INVITED, Event.Verb.INVITATION_ENDED, Event.Verb.MEMBER_ADDED),
        *(Event.Verb.MEMBER_CHANGED, Event.Verb.MEMBER_REMOVED, Event.Verb.SUPPORT_LOOK),
    }
)
"""Who may come into a project, and who came in that is none of its members."""
_ORDINARY = frozenset(
    {
        *(AccountEvent.Verb.SIGNED_IN, AccountEvent.Verb.SIGNED_OUT, AccountEvent.Verb.SESSION_ENDED),
        *(Event.Verb.TEMPLATE_SAVED, Event.Verb.TEMPLATE_DELETED),
    }
)
"""What happens every day and changes nothing of what is let through."""
_SUSPECT = frozenset(
    {
        *(AccountEvent.Verb.SIGN_IN_FAILED, AccountEvent.Verb.LIMITED, AccountEvent.Verb.ACCESS_REFUSED),
        *(AccountEvent.Verb.RIGHTS_CHANGED, AccountEvent.Verb.FACTOR_REMOVED, AccountEvent.Verb.SEARCHED),
    }
)
_ESCAPED = re.compile(r'(["\\\]])')


@dataclass(frozen=True, slots=True)
class Line:
    """What is told of one line: the record it is of, and its fields in the order in which they are told."""

    record: str
    id: int
    at: datetime
    verb: str
    words: str
    facility: int
    severity: int
    fields: Mapping[str, str] = field(default_factory=dict)
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def time(self) -> str:
        """RFC 3339, in UTC, always with its six digits of a second."""
        return self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def of_event(event: Event) -> Line:
    """One line of a project's activity. Names of groups and VMs are those of today, the summary has those of its day."""
    detail = dict(event.detail)
    fields = {"project": event.project.slug, "actor": event.actor_name, "by_staff": _yes(event.by_staff)}
    if event.group:
        fields |= {"group_id": event.group.public_id, "group_name": event.group.name}
    if event.machine:
        fields |= {"machine_id": event.machine.public_id, "machine_name": event.machine.name}
    fields["reason"] = str(detail.pop("reason", ""))
    about_access = event.verb in _ACCESS
    severity = WARNING if about_access or event.by_staff else INFORMATION if event.verb in _ORDINARY else NOTICE
    facility = AUTHORIZATION if about_access else AUDIT
    return Line("activity", event.pk, event.at, event.verb, event.summary, facility, severity, fields, detail)


def of_account(event: AccountEvent) -> Line:
    """One line of what happened to accounts."""
    fields = {
        "user": event.user_name,
        "actor": event.actor_name,
        "project": event.project.slug if event.project else "",
        "address": event.address or "",
        "agent": event.agent,
    }
    severity = WARNING if event.verb in _SUSPECT else INFORMATION if event.verb in _ORDINARY else NOTICE
    return Line("accounts", event.pk, event.at, event.verb, str(event), AUTHORIZATION, severity, fields, event.detail)


def as_json(line: Line) -> str:
    """One object, in one line of ASCII."""
    head = {"record": line.record, "id": line.id, "at": line.time, "verb": line.verb, "summary": line.words}
    told: dict[str, Any] = {name: value for name, value in line.fields.items() if value}
    if "by_staff" in line.fields:
        told["by_staff"] = line.fields["by_staff"] == "true"
    return json.dumps({**head, **told, "detail": line.detail})


def as_syslog(line: Line, host: str) -> bytes:
    """A message of RFC 5424 of at most LONGEST octets, with its text in UTF-8 behind the mark that says so.

    The same line is the same message whenever it is sent: its receiver can tell that it came twice. What is cut off for the
    length is named in the parameter `cut`, the detail first.
    """
    head = f"<{line.facility * 8 + line.severity}>1 {line.time} {host} {PROGRAM} - {line.verb[:32]} ".encode()
    told = {"record": line.record, "id": str(line.id), **{name: value for name, value in line.fields.items() if value}}
    words = b" \xef\xbb\xbf" + visible(line.words).encode()
    detail = json.dumps(line.detail, ensure_ascii=False) if line.detail else ""
    whole = head + _element(told, detail) + words
    if len(whole) <= LONGEST:
        return whole
    room = LONGEST - len(head + _element({**told, "cut": "detail"}, " ") + words)
    # Names and words are bounded in the database, so that there is room for all of them.
    return head + _element({**told, "cut": "detail"}, _cut(detail, room)) + words


def _element(told: Mapping[str, str], detail: str) -> bytes:
    pairs = [*told.items(), *([("detail", detail)] if detail else [])]
    return f"[{ELEMENT} {' '.join(f'{name}={_quoted(value)}' for name, value in pairs)}]".encode()


def _quoted(value: str) -> str:
    """As RFC 5424 (6.3.3) has it; signs that end a line or turn its direction are shown and not sent."""
    return '"' + _ESCAPED.sub(r"\\\1", visible(value)) + '"'


def _cut(text: str, room: int) -> str:
    """As much of the text as has room when it is quoted."""
    return "".join(_fitting(visible(text[:LONGEST]), room))


def _fitting(text: str, room: int) -> Iterator[str]:
    for sign in text:
        room -= len(sign.encode()) + bool(_ESCAPED.match(sign))
        if room < SPARE:
            return
        yield sign


def _yes(value: bool) -> str:
    return "true" if value else "false"
