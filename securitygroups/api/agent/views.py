"""What agents ask: to be enrolled, what they should have, and to tell what they have."""

import json
from ipaddress import ip_address, ip_network
from typing import Any, cast

import structlog
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.views.decorators.http import require_GET, require_POST

from karenpanel.client_address import address_of
from karenpanel.counts import KeptCache
from karenpanel.middleware import body_length
from securitygroups import operations
from securitygroups.api.agent.answers import Refused, not_yours
from securitygroups.api.agent.reading import read_enrolment, read_report
from securitygroups.api.agent.signed import NotYours, Said, host_of
from securitygroups.enforcement import desired
from securitygroups.operations import Client
from securitygroups.signing.keys import verifies

ENROLMENT = 4 * 2**10
"""Bytes of what anybody may send who is no host yet."""
BURST, EVERY = 20, 6
"""Enrolments that fail, from one network: so many at once, and then one more each so many seconds."""
NOTED_EACH = 60

logger = structlog.get_logger()


@require_POST
def enrol(request: HttpRequest) -> HttpResponse:
    """Whoever shows the host's secret, and has signed with the key that is brought along, is its agent from now on."""
    if body_length(request) > ENROLMENT:
        raise Refused("too-large", f"Send {ENROLMENT // 2**10} KiB at most.")
    said, address = _said(request), address_of(request)
    network = _network(address)
    if seconds := _counts().take(f"enrol:{network}", BURST, EVERY):
        raise Refused("too-many", "Too much was tried from your network.", retry_after=max(1, round(seconds)))
    secret, key, agent = read_enrolment(request.body)
    if not said.is_whole or not verifies(key, said.bytes(request), said.signature):
        raise not_yours("unknown-key")
    if not said.is_in_time():
        raise not_yours("clock")
    client = Client(address or None, request.headers.get("User-Agent", ""))
    try:
        host = operations.enrol_host(public_id=said.host, secret=secret, key=key, agent=agent, client=client)
    except operations.NotEnrolled:
        _note_refusal(said.host, network, client)
        raise Refused(
            "token", "This line was used, is older than an hour, or is another host's: ask for a new one."
        ) from None
    except ValidationError as refusal:
        raise Refused("invalid", " ".join(refusal.messages)) from None
    _counts().give_back(f"enrol:{network}", EVERY)
    return _told({"host": host.public_id, "name": host.name})


@require_GET
def state(request: HttpRequest) -> HttpResponse:
    """What the host should have, or that it is as it was."""
    host = host_of(request, _said(request))
    fresh, tag = operations.heard(host, _said(request).nonce, desired.etag_query(host))
    if not fresh:
        raise NotYours("replayed", host.public_id)
    if _quoted(tag) == request.headers.get("If-None-Match", ""):
        response: HttpResponse = HttpResponseNotModified()
    else:
        try:
            tag, body = desired.state(host)
        except desired.TooLong as error:
            logger.error("agent.state", host=host.public_id, bytes=error.size)
            raise Refused("too-long", f"{error} Spread the host's VMs, or make their lists shorter.") from None
        response = HttpResponse(body, content_type="application/json")
    response["ETag"] = _quoted(tag)
    return response


@require_POST
def report(request: HttpRequest) -> HttpResponse:
    """What the host has, and what it counted. The answer says whether there is something new for it."""
    host = host_of(request, _said(request))
    fresh, _ = operations.heard(host, _said(request).nonce)
    if not fresh:
        raise NotYours("replayed", host.public_id)
    operations.take_report(host=host, report=read_report(request.body))
    return _told({"state": _quoted(desired.etag(host))})


def _said(request: HttpRequest) -> Said:
    return cast(Said, request.said)  # type: ignore[attr-defined]


def _quoted(tag: str) -> str:
    """As the header has it. In a report's answer it is the same text: agents compare it with what they were given."""
    return f'"{tag}"'


def _told(value: Any) -> HttpResponse:
    return HttpResponse(json.dumps(value), content_type="application/json")


def _counts() -> KeptCache:
    return cast(KeptCache, cache)


def _network(address: str) -> str:
    """Whom an attempt is counted for: an IPv4 address, or the 64 bits of an IPv6 one behind which a customer chooses freely."""
    if ":" not in address:
        return address
    return str(ip_network(f"{ip_address(address)}/64", strict=False))


def _note_refusal(host: str, network: str, client: Client) -> None:
    """Each time in the log, on record once a minute for each network."""
    logger.warning("agent.not-enrolled", host=host, address=client.address)
    if not _counts().take(f"enrol:noted:{network}", 1, NOTED_EACH):
        operations.note_host_refused(public_id=host, why="no line that is good", client=client)
