"""Rules as a line of text: every word is read, and what is no word is refused."""

import re

import pytest
from hypothesis import given

from securitygroups.firewall.notation import rule
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Refused, Rule, parse_network
from securitygroups.starters import STARTERS
from tests.firewall.strategies import rules

ACCEPT, DROP, IN, OUT = Action.ACCEPT, Action.DROP, Direction.IN, Direction.OUT
NET4, NET6 = parse_network("10.0.0.0/8"), parse_network("2001:db8::/32")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("accept in tcp 22", Rule(ACCEPT, IN, "tcp", port_start=22, port_end=22)),
        ("drop in udp 5000-5010 from 10.0.0.0/8", Rule(DROP, IN, "udp", NET4, None, 5000, 5010)),
        ("accept out ip to 2001:db8::/32", Rule(ACCEPT, OUT, "ip", None, NET6)),
        ("accept out ip to 2001:db8::/32 from 2001:db8::/32", Rule(ACCEPT, OUT, "ip", NET6, NET6)),
        ("  drop  out\tall ", Rule(DROP, OUT, "all")),
        ("accept in tcp 0", Rule(ACCEPT, IN, "tcp", port_start=0, port_end=0)),
        # Words, but no rule: that is for Rule.problems to say.
        ("accept in gre", Rule(ACCEPT, IN, "gre")),
        ("accept in all 90-80", Rule(ACCEPT, IN, "all", port_start=90, port_end=80)),
    ],
)
def test_a_line_is_a_rule(text: str, meant: Rule) -> None:
    assert rule(text) == meant
    assert rule(text, "Office", enabled=False, uid="a") == Rule(
        **{name: getattr(meant, name) for name in ("action", "direction", "protocol", "source", "destination")},
        port_start=meant.port_start,
        port_end=meant.port_end,
        description="Office",
        enabled=False,
    )
    assert rule(text, uid="a").uid == "a"


def said(one: Rule) -> str:
    words = [one.action, one.direction, one.protocol]
    if one.port_start is not None:
        words.append(f"{one.port_start}-{one.port_end}" if one.port_start != one.port_end else str(one.port_start))
    words += [f"from {one.source}"] if one.source else []
    words += [f"to {one.destination}"] if one.destination else []
    return " ".join(words)


@given(rules())
def test_every_rule_can_be_said(one: Rule) -> None:
    assert rule(said(one), one.description, enabled=one.enabled) == one


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it begins with accept or drop, then in or out, then a protocol"),
        ("accept in", "it begins with"),
        ("allow in tcp 22", "“allow in tcp 22” is not a rule: it begins with accept or drop"),
        ("accept inbound tcp 22", "then in or out"),
        ("Accept in tcp 22", "it begins with"),
        ("accept in tcp ssh", "behind the protocol stands a port, a range such as 80-90, “from” or “to”"),
        ("accept in tcp 22-", "stands a port"),
        ("accept in tcp -22", "stands a port"),
        ("accept in tcp 80-90-100", "stands a port"),
        ("accept in tcp ٢٢", "stands a port"),
        ("accept in tcp 10.0.0.0/8 22", "stands a port"),
        ("accept in tcp 22 10.0.0.0/8", "“from” and “to”, each once and with an address behind it"),
        ("accept in tcp from", "each once and with an address"),
        ("accept in tcp from 10.0.0.1 from 10.0.0.2", "each once"),
        ("accept in tcp 22 via 10.0.0.1", "are all that may follow"),
        ("accept in tcp from anywhere", "Do you mean anywhere"),
        ("accept in tcp from 10.0.0.1/8", "is an address inside a network"),
    ],
)
def test_what_is_no_word_is_refused(text: str, why: str) -> None:
    with pytest.raises(Refused, match=re.escape(why)):
        rule(text)


def test_the_starters_say_what_they_always_said() -> None:
    listed = {starter.key: starter.rules for starter in STARTERS}

    assert list(listed) == ["web", "database", "bastion", "mail", "deny"]
    assert listed["database"] == (
        Rule(ACCEPT, IN, "tcp", parse_network("10.0.0.0/24"), None, 5432, 5432, "From the application servers"),
    )
    assert listed["bastion"] == (
        Rule(ACCEPT, IN, "tcp", parse_network("203.0.113.0/24"), None, 22, 22, "Office"),
        Rule(ACCEPT, OUT, "tcp", None, None, 22, 22, "On to the other VMs"),
    )
    assert listed["web"][-1] == Rule(ACCEPT, OUT, "udp", None, None, 53, 53, "Names")
    assert listed["deny"] == (
        Rule(DROP, IN, "all", description="Everything in"),
        Rule(DROP, OUT, "all", description="Everything out"),
    )


def test_every_starter_can_be_stored() -> None:
    assert not [one.problems() for starter in STARTERS for one in starter.rules if one.problems()]
