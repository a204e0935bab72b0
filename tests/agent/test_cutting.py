"""Connections that a new list no longer accepts are ended where the host's setting says so, and no others."""

from typing import Any

import pytest

from securitygroups.agent.conntrack import Connection, Way
from securitygroups.agent.cutting import Listed, no_longer_accepted
from securitygroups.firewall.guests import slot, tag_of
from securitygroups.firewall.notation import rule
from securitygroups.firewall.protocols import Direction
from tests.agent.conftest import KERNEL
from tests.agent.frames import udp_in
from tests.agent.stand import Stand, machine, rules, until

OPEN = ("sg-open", 1)
GROUPS = {OPEN: rules("dns: accept in udp 53", "web: accept in udp 80")}
NARROW = {("sg-open", 2): rules("web: accept in udp 80")}
BEFORE, AFTER = machine("vm-1", "tap0", OPEN), machine("vm-1", "tap0", ("sg-open", 2))
VM, PEER, OUTSIDE = 0x0A000005, 0x0A000009, 0xCB007105


def known(stand: Stand, port: int) -> bool:
    """Whether the kernel knows a connection to this port."""
    return f"dport={port} " in stand.host.run("cat /proc/net/nf_conntrack")


@KERNEL
@pytest.mark.parametrize("cut", [True, False])
def test_a_connection_that_is_not_accepted_any_more_is_ended_where_the_setting_says_so(stand: Stand, cut: bool) -> None:
    stand.say(GROUPS, BEFORE, cut=cut)
    stand.once()
    assert stand.passes(udp_in(stand.target, 53), udp_in(stand.target, 53), udp_in(stand.target, 80)) == [True] * 3

    stand.say(NARROW, AFTER, cut=cut)
    if not cut:
        stand.panel.broken = True
        told = stand.agent("explain", "vm-1").out
        assert "the list would not accept: 0; such go on until they end" in told
        stand.panel.broken = False
    stand.once()

    assert known(stand, 53) is not cut
    assert known(stand, 80)
    assert stand.panel.vm("vm-1")["cut"] == (2 if cut else 0)
    told = stand.agent("explain", "vm-1").out
    assert f"the list would not accept: {0 if cut else 2};" in told


@KERNEL
def test_packets_of_an_ended_connection_are_judged_anew(stand: Stand) -> None:
    stand.say(GROUPS, BEFORE, cut=True)
    stand.once()
    frame = udp_in(stand.target, 53)
    assert stand.passes(frame, frame) == [True, True]

    stand.say(NARROW, AFTER, cut=True)
    stand.once()

    assert stand.passes(frame) == [False]
    until(lambda: not known(stand, 53))


def way(source: int, destination: int, source_port: int, port: int, protocol: int = 6) -> Way:
    return Way(4, protocol, source, destination, source_port, port)


def connection(opened: Way, reply: Way, **accepted: str) -> Connection:
    """`accepted` says whose Out (`out`) and whose In list (`into`) accepted it."""
    mark = 0
    for name, direction in (("out", Direction.OUT), ("into", Direction.IN)):
        if name in accepted:
            mark |= slot(direction, tag_of(accepted[name]))
    return Connection(opened, reply, mark, b"", 2)


IN = connection(way(PEER, VM, 4000, 22), way(VM, PEER, 22, 4000), into="vm-1")
OUT = connection(way(VM, PEER, 4001, 443), way(PEER, VM, 443, 4001), out="vm-1")
TRANSLATED = connection(way(PEER, OUTSIDE, 4002, 2222), way(VM, PEER, 22, 4002), into="vm-1")
BETWEEN = connection(way(VM, PEER, 4003, 443), way(PEER, VM, 443, 4003), out="vm-1", into="vm-2")
NOBODYS = connection(way(PEER, VM, 4004, 22), way(VM, PEER, 22, 4004))


@pytest.mark.parametrize(
    ("lines", "ended"),
    [
        ((), [IN, OUT, TRANSLATED, BETWEEN]),
        (("accept in tcp 22",), [OUT, BETWEEN]),
        (("accept out tcp 443",), [IN, TRANSLATED]),
        (("accept in tcp 22", "accept out tcp 443"), []),
        (("accept in tcp 22 from 10.0.0.8", "accept out all"), [IN, TRANSLATED]),
        (("accept in tcp 2222", "accept out all"), [IN, TRANSLATED]),
    ],
)
def test_a_connection_is_judged_as_the_packet_that_opened_it(lines: tuple[str, ...], ended: list[Any]) -> None:
    lists = {"vm-1": Listed(tuple(map(rule, lines)), ("10.0.0.5",))}

    found = [one for _, one in no_longer_accepted(lists, ["vm-2"], [IN, OUT, TRANSLATED, BETWEEN, NOBODYS])]

    assert found == ended


def test_of_two_vms_with_one_tag_the_address_tells_whose_it_is() -> None:
    tags: dict[int, str] = {}
    for number in range(100_000):
        other = tags.setdefault(tag_of(f"vm-{number}"), f"vm-{number}")
        if other != f"vm-{number}":
            break
    mine, theirs = f"vm-{number}", other
    own = connection(way(PEER, VM, 1, 22), way(VM, PEER, 22, 1), into=mine)
    foreign = connection(way(PEER, VM + 1, 1, 22), way(VM + 1, PEER, 22, 1), into=theirs)

    found = [*no_longer_accepted({mine: Listed((), ("10.0.0.5",))}, [mine, theirs], [own, foreign])]

    assert found == [(mine, own)]
