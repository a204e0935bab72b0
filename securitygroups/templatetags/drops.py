"""Packets that hosts told of, for templates."""

from urllib.parse import urlencode

from django import template
from django.conf import settings

from securitygroups.answers.dropped import Page
from securitygroups.firewall.formats.packets import packet_to_json
from securitygroups.firewall.values import Packet
from securitygroups.models import Rule, Traffic
from securitygroups.words.drops import packet_label, reason_label, reason_sentence

_ALL = 24 * settings.TRAFFIC_DAYS
register = template.Library()
register.filter("why_label", reason_label)
register.filter("why_sentence", reason_sentence)


@register.filter
def told_packet(row: Traffic) -> str:
    return packet_label(row.direction, row.version, row.protocol, row.port, row.kind)


@register.filter
def told_verdict(verdict: str) -> str:
    return "Accepted" if verdict == "accept" else "Dropped"


@register.filter
def yesno_way(direction: str) -> str:
    """Before the other end."""
    return "from" if direction == "in" else "to"


@register.filter
def lower_first(words: str) -> str:
    """As a part of a sentence: names of protocols keep their capitals."""
    return words if words[:2].isupper() else words[:1].lower() + words[1:]


@register.filter
def like_it(packet: dict[str, str], direction: str) -> str:
    """The query of the packets that are like one of a log's line: of the same other end, to the same port."""
    peer = packet.get("source" if direction == "in" else "destination", "")
    return urlencode({"peer": peer, "port": packet.get("port", ""), "verdict": "all", "hours": _ALL})


@register.filter
def dropped_query(packet: Packet) -> str:
    """The same of a packet that was tested."""
    return like_it(
        {name: str(value) for name, value in packet_to_json(packet).items() if value is not None}, packet.direction
    )


@register.filter
def row_query(row: Traffic) -> str:
    """The same of packets that a host told of."""
    port = "" if row.port is None else row.port
    return urlencode({"peer": row.peer or "", "port": port, "verdict": "all", "hours": _ALL})


@register.filter
def rule_of(page: Page, row: Traffic) -> Rule | None:
    """The rule that dropped them, where it is still there."""
    return page.rules.get(row.rule)


@register.filter
def made_of(page: Page, row: Traffic) -> str:
    """The groups of the list of then, each with its revision; "" where it is not known."""
    if row.made_of is None:
        return ""
    named = [
        (page.groups[public_id].name, number) for public_id, number in row.made_of.groups if public_id in page.groups
    ]
    return ", ".join(f"{name} revision {number}" for name, number in named) or "no group"
