"""Dropped packets: those that hosts told of, on a VM and in a project, and why each was dropped."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from securitygroups.access import Access, Right, find_machine, find_traffic
from securitygroups.answers import dropped
from securitygroups.firewall.values import Refused, parse_network, whole_number
from securitygroups.models import VirtualMachine
from securitygroups.models.traffic import ACCEPT, DROP
from securitygroups.web.doors import enter
from securitygroups.web.pages import answer, bounded, typed
from securitygroups.words.drops import REASONS

VERDICTS = [(DROP, "Dropped"), (ACCEPT, "Accepted"), ("all", "Dropped and accepted")]
DIRECTIONS = [("in", "In"), ("out", "Out")]
HOURS = [(1, "The last hour"), (24, "The last 24 hours"), (168, "The last 7 days")]
WHYS = [(reason, label) for reason, (label, _) in REASONS.items() if reason != ACCEPT]


@require_safe
def machine_dropped(request: HttpRequest, slug: str, machine_id: str) -> HttpResponse:
    """Packets from and to a VM."""
    access = enter(request, slug)
    machine = find_machine(access, machine_id)
    access.require(Right.TRAFFIC)
    context = {"machine": machine, "tab": "dropped", "placement": dropped.placement(machine)}
    return _list(request, access, machine, context)


@require_safe
def project_dropped(request: HttpRequest, slug: str) -> HttpResponse:
    """Packets from and to all VMs of the project."""
    access = enter(request, slug)
    access.require(Right.TRAFFIC)
    return _list(request, access, None, {"tab": "dropped"})


def _list(
    request: HttpRequest, access: Access, machine: VirtualMachine | None, context: dict[str, Any]
) -> HttpResponse:
    asked, wanted, fault = _asked(request)
    rows = dropped.packets(access.project, machine, wanted)
    page = bounded(request, rows.none() if fault else rows)
    context |= {
        "page": page,
        "asked": asked,
        "fault": fault,
        "named": dropped.named(access.project, list(page.object_list)),
        "beyond": dropped.beyond(access.project, machine, wanted.since),
        "verdicts": VERDICTS,
        "directions": DIRECTIONS,
        "whys": WHYS,
        "hours": [*HOURS, (24 * settings.TRAFFIC_DAYS, f"All {settings.TRAFFIC_DAYS} days")],
        "filtered": any(asked[name] for name in ("peer", "port", "why", "way", "rule")) or asked["verdict"] != DROP,
        "most": dropped.LOOKED_THROUGH,
    }
    page_of = "securitygroups/dropped/machine.html" if machine else "securitygroups/dropped/project.html"
    return answer(request, page_of, "securitygroups/dropped/_rows.html", context)


def _asked(request: HttpRequest) -> tuple[dict[str, Any], dropped.Wanted, str]:
    """What the address asks for, as it is shown again and as it is looked for; and what of it is wrong."""
    get, fault = request.GET, ""
    most = 24 * settings.TRAFFIC_DAYS
    hours = whole_number(get.get("hours", ""), most) or 24
    verdict = get.get("verdict", DROP)
    asked: dict[str, Any] = {
        "verdict": verdict if verdict in dict(VERDICTS) else DROP,
        "way": get.get("way", "") if get.get("way", "") in dict(DIRECTIONS) else "",
        "why": get.get("why", "") if get.get("why", "") in REASONS else "",
        "rule": typed(request, "rule", 20),
        "peer": typed(request, "peer", 100).strip(),
        "port": typed(request, "port", 10).strip(),
        "hours": hours,
    }
    peer, port = None, whole_number(asked["port"], 65535) if asked["port"] else None
    if asked["port"] and port is None:
        fault = "This is no port: type a number from 0 to 65535."
    if asked["peer"]:
        try:
            peer = parse_network(asked["peer"])
        except Refused:
            fault = "This is no address: type one such as 203.0.113.9, or a network such as 203.0.113.0/24."
    wanted = dropped.Wanted(
        dropped.since_hours(hours),
        "" if asked["verdict"] == "all" else asked["verdict"],
        asked["way"],
        asked["why"],
        asked["rule"],
        peer,
        port,
    )
    return asked, wanted, fault


@require_safe
def dropped_packet(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Why a packet was dropped: its way down the list that was in force then, and what would become of it now."""
    access = enter(request, slug)
    row = find_traffic(access, pk)
    told = dropped.explain(row)
    here = row.machine.project_id == access.project.pk and row.machine.deleted_at is None
    context = {
        "row": row,
        "told": told,
        "packet": told.packet,
        # Of a VM that was moved away, and of one that is gone, there is no page; the name may be another customer's by now.
        "machine": row.machine if here else None,
        "moved": row.machine.project_id != access.project.pk,
        "group": None,
    }
    return render(request, "securitygroups/dropped/packet.html", context)
