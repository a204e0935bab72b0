"""A flow log replayed: what the rules would have done with real traffic. Nothing of it is kept."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Router
from ninja.params.functions import Query
from pydantic import Field

from karenpanel import turns
from karenpanel.middleware import body_length
from securitygroups.access import find_group, find_machine
from securitygroups.answers.replay import OnGroup, OutOfTime, Replay, Target, on_vms
from securitygroups.answers.replayed import summary
from securitygroups.api import documents
from securitygroups.api.doors import access_of, operation
from securitygroups.api.problems import Refusal
from securitygroups.api.reports import Replayed, report_json
from securitygroups.effective import TooLarge, rules_at, rules_of_group
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.values import Network, Refused, RuleList, parse_network
from securitygroups.models import GroupRevision, Scope, SecurityGroup, VirtualMachine

router = Router(tags=["Replay"])
MOST_LOCAL = 1_000
"""Networks of the VMs' own: each is looked at for every flow."""
PIECE = 2**16

_LOG = documents.binary_body("The log as it is: a capture, a flow log or a table; packed or plain.")
# No longer than what web servers take of an address.
Local = Annotated[str, Field(max_length=2_000)]
WITH: Any = Query(None, alias="with", ge=1, lt=2**31)


@dataclass(frozen=True, slots=True)
class Log:
    """What was sent, as a replay takes it."""

    file: Any
    size: int


@dataclass(frozen=True, slots=True)
class Other:
    """The list to compare with."""

    name: str = ""
    rules: RuleList | None = None


@operation(router, "POST", "/{project}/groups/{group}/replay", Scope.TEST, gives=Replayed, extra=_LOG)
def replay_on_group(
    request: HttpRequest, project: str, group: str, revision: int | None = WITH, local: Local = ""
) -> HttpResponse:
    """Replay a log on the list of a group, and with `with` on an earlier revision of it too: what would newly pass there.

    Where the log does not tell the direction, packets to the own addresses of the VMs that have the group are In, packets from
    them Out.
    """
    found = find_group(access_of(request), group)
    other = Other() if revision is None else Other(f"revision {revision}", _revision(found, revision))
    own = _networks(local) if local else _own(found)
    with _log(request) as log:
        return _replayed(OnGroup(found, rules_of_group(found), other.rules, own), log, other)


@operation(router, "POST", "/{project}/machines/{machine}/replay", Scope.TEST, gives=Replayed, extra=_LOG)
def replay_on_machine(request: HttpRequest, project: str, machine: str) -> HttpResponse:
    """Replay a log on the effective list of a VM: of its own flows alone, which its addresses tell."""
    found = find_machine(access_of(request), machine)
    with _log(request) as log:
        return _replayed(_on(VirtualMachine.objects.filter(pk=found.pk)), log)


@operation(router, "POST", "/{project}/replay", Scope.TEST, gives=Replayed, extra=_LOG)
def replay_on_project(request: HttpRequest, project: str) -> HttpResponse:
    """Replay a log on a whole project: each flow by the list of the VM that it came to, or went from."""
    rows = VirtualMachine.objects.live().filter(project=access_of(request).project)
    with _log(request) as log:
        return _replayed(_on(rows), log)


@contextmanager
def _log(request: HttpRequest) -> Iterator[Log]:
    """What was sent, in a file of its own: it may be longer than what is held in memory. Raises Refusal, NoTurn."""
    kind = request.content_type or ""
    if kind != "application/octet-stream":
        raise Refusal(
            "media-type", f"Send the log itself as application/octet-stream, not {kind[:60] or 'without a type'}."
        )
    most, size = settings.REPLAY_MAX_MB * 2**20, body_length(request)
    if size > most:
        detail = f"The log has {size / 2**20:.1f} MiB, up to {settings.REPLAY_MAX_MB} MiB are replayed here: pack it with gzip, or send a part of it."
        raise Refusal("too-large", detail)
    turns.take()
    with tempfile.TemporaryFile() as file:
        while piece := request.read(PIECE):
            file.write(piece)
        yield Log(file, size)


def _replayed(target: Target, log: Log, other: Other = Other()) -> HttpResponse:
    """The report. Raises Refusal where there is nothing to judge."""
    replay = Replay(target, log, settings.REPLAY_SECONDS)
    try:
        for _ in replay:
            pass
    except BadDocument as error:
        # Places in a log are no pointers into a document.
        found = [{"detail": str(fault)} for fault in error.faults]
        raise Refusal("invalid", found[0]["detail"], found) from None
    except OutOfTime:
        seconds = settings.REPLAY_SECONDS
        raise Refusal("invalid", f"There is no flow to judge in what could be read within {seconds:g} s.") from None
    return JsonResponse(report_json(summary(target, replay.report(), other.rules, other.name)))


def _on(rows: QuerySet[VirtualMachine]) -> Target:
    """Raises Refusal."""
    try:
        return on_vms(rows)
    except TooLarge as large:
        detail = f"The VMs have {large.rules:,} rules together, which are too many: replay it on single VMs."
        raise Refusal("invalid", detail) from None


def _revision(group: SecurityGroup, number: int) -> RuleList:
    try:
        return rules_at(group, number)
    except GroupRevision.DoesNotExist:
        detail = "The group has no such revision."
        raise Refusal("invalid", detail, [{"parameter": "with", "detail": detail}]) from None


def _own(group: SecurityGroup) -> tuple[Network, ...]:
    """The addresses of the VMs that have the group, up to the limit."""
    rows = VirtualMachine.objects.live().filter(attachments__group=group).order_by("name")
    pairs = rows.values_list("ipv4", "ipv6")[:MOST_LOCAL]
    return tuple(parse_network(address) for pair in pairs for address in pair if address)[:MOST_LOCAL]


def _networks(text: str) -> tuple[Network, ...]:
    """Networks, by commas or blanks. Raises Refusal."""
    texts = [one for one in re.split(r"[\s,;]+", text) if one]
    try:
        return tuple(dict.fromkeys(parse_network(one) for one in texts))
    except Refused as error:
        said = {"parameter": "local", "detail": error.problem.message, "suggestions": list(error.problem.suggestions)}
        raise Refusal("invalid", error.problem.message, [said]) from None
