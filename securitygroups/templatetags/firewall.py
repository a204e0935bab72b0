"""Rules, packets and verdicts in words, for templates."""

from typing import Any
from urllib.parse import urlencode

from django import template

from securitygroups.answers.accepting import Accepting, accepting
from securitygroups.answers.packet_test import Traced
from securitygroups.firewall.decide import Decision, Step
from securitygroups.firewall.formats.packets import packet_to_json
from securitygroups.firewall.platform import PlatformLine
from securitygroups.firewall.protocols import PROTOCOLS
from securitygroups.firewall.values import Packet
from securitygroups.firewall.values import Rule as RuleValue
from securitygroups.models import Rule
from securitygroups.web.pages import page_of
from securitygroups.words.platform import barred_sentence, barred_why
from securitygroups.words.rules import (
    obstacles,
    packet_sentence,
    range_text,
    rule_sentence,
    service_name,
    verdict_sentence,
    why_passed,
)

register = template.Library()


@register.filter
def ports(rule: Rule | RuleValue) -> str:
    """The rule's ports as the table shows them: "22", "80–443", "" where the protocol has none."""
    if "port_start" not in PROTOCOLS[rule.protocol].columns:
        return ""
    return "any" if rule.port_start is None else range_text(rule.port_start, rule.port_end or 0)


@register.filter
def service(rule: Rule | RuleValue) -> str:
    """The well-known service of a rule for one port, "" where there is none."""
    if rule.port_start is None or rule.port_start != rule.port_end:
        return ""
    return service_name(rule.protocol, rule.port_start) or ""


@register.filter
def from_anywhere(rule: Rule | RuleValue) -> bool:
    """Whether an inbound accept takes packets from every address of a family."""
    inbound = rule.enabled and rule.action == "accept" and rule.direction == "in"
    return inbound and (rule.source is None or rule.source.is_everything)


@register.filter
def sentence(rule: Rule | RuleValue) -> str:
    return rule_sentence(rule.as_value() if isinstance(rule, Rule) else rule)


@register.filter
def sentence_rest(rule: Rule | RuleValue) -> str:
    """The sentence without its action, where a badge says that: "Inbound TCP to port 22 (SSH)"."""
    rest = sentence(rule).partition(" ")[2]
    return rest[:1].upper() + rest[1:]


@register.filter
def why(step: Step, packet: Packet) -> str:
    return why_passed(step, packet)


@register.filter
def packet_words(packet: Packet) -> str:
    return packet_sentence(packet)


@register.filter
def verdict_words(decision: Decision, packet: Packet) -> str:
    return verdict_sentence(decision, packet)


@register.filter
def trace_words(trace: Traced) -> str:
    """The verdict, or why the platform drops the packet before any rule."""
    if trace.barred:
        return barred_sentence(trace.barred, trace.packet)
    return verdict_sentence(trace.decision, trace.packet)


@register.filter
def barred_words(line: PlatformLine, packet: Packet) -> str:
    """Why the platform drops the packet before any rule."""
    return barred_sentence(line, packet)


@register.filter(name="barred_why")
def why_barred(line: PlatformLine) -> str:
    return barred_why(line)


@register.filter
def rule_page(place: int) -> int:
    """The page of the group's rules on which this place is."""
    return page_of(place)


@register.filter
def packet_query(packet: Packet) -> str:
    """The packet as the query of the packet test's address."""
    fields = {name: value for name, value in packet_to_json(packet).items() if value is not None}
    if isinstance(fields["protocol"], int):
        fields |= {"number": fields["protocol"], "protocol": "number"}
    return urlencode(fields)


@register.filter
def in_the_way(trace: Any) -> str:
    """Why the nearest accept does not accept the packet: everything, in words."""
    return "; ".join(obstacles(trace.need, trace.listed[trace.need.nearest - 1].rule, trace.packet))


@register.filter
def accepting_rule(trace: Any, group: Any) -> Accepting | None:
    """Add Rule filled in with the packet: into the group of the deciding rule, else the tested one or the VM's first."""
    otherwise = group.public_id if group else trace.listed[0].group_id if trace.listed else ""
    return accepting(trace.packet, trace.deciding, otherwise)
