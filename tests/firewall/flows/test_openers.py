"""Which record of a flow opened it, where times lie far apart and flags are those of many packets."""

import io
from collections import Counter

import pytest

from securitygroups.firewall.flows import logs
from securitygroups.firewall.flows.logs import FlowLog
from securitygroups.firewall.flows.openers import Skip
from securitygroups.firewall.values import parse_network

LOCAL = (parse_network("10.0.0.0/8"),)
HEAD = "start,source,source_port,destination,port,protocol,tcp_flags\n"


def opened(text: str) -> tuple[list[tuple[str, int | None]], Counter[Skip]]:
    """(direction, port) of the packets that opened a flow, and what is skipped."""
    log = FlowLog(io.BytesIO(text.encode()), LOCAL)
    packets = [batch.packet(row) for batch in log for row in range(len(batch))]
    return [(packet.direction.value, packet.port) for packet in packets], +log.skipped


# Microseconds beyond 36, 38 and 40 bits: a day, three days, two weeks.
@pytest.mark.parametrize("seconds", [1 << 17, 274_877.906944, 1_099_511.627776])
def test_the_earlier_record_opens_however_long_the_log_is(seconds: float) -> None:
    begin = 1_700_000_000
    lines = [
        f"{begin},10.0.0.9,40000,203.0.113.9,53,udp,",
        f"{begin + seconds:.6f},10.0.0.5,443,203.0.113.9,51000,tcp,",
        f"{begin + 10},203.0.113.9,51000,10.0.0.5,443,tcp,",
    ]

    packets, skipped = opened(HEAD + "\n".join(lines))

    assert sorted(packets) == [("in", 443), ("out", 53)]
    assert skipped == {Skip.REPLY: 1}


@pytest.mark.parametrize(
    ("flags", "opens"),
    [("18", []), ("SA", []), ("27", [("in", 443)]), ("SAF", [("in", 443)]), ("19", [("in", 443)])],
)
def test_syn_and_ack_beside_others_are_those_of_a_whole_connection(flags: str, opens: list[tuple[str, int]]) -> None:
    # Both sides of a whole connection have them: only alone do they tell an answer.
    line = f"1700000000,203.0.113.9,51000,10.0.0.5,443,tcp,{flags}"

    assert opened(HEAD + line)[0] == opens


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_the_last_line_is_compared_with_the_others_whatever_it_ends_with(end: str) -> None:
    lines = "1700000100,10.0.0.5,443,203.0.113.9,51000,tcp,\n1700000010,203.0.113.9,51000,10.0.0.5,443,tcp,"

    assert opened(HEAD + lines + end) == ([("in", 443)], {Skip.REPLY: 1})


@pytest.mark.parametrize("flags", ["", "S"])
def test_of_a_flow_whose_reply_came_before_the_opener_is_judged_in_a_later_block(
    flags: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_CHUNK", 500)
    others = [f"5,198.51.100.{n % 250},{40000 + n},10.0.0.6,443,tcp,S" for n in range(100)]
    reply, opener = "6,10.0.0.5,8443,203.0.113.9,51000,tcp,SA", f"5,203.0.113.9,51000,10.0.0.5,8443,tcp,{flags}"

    packets, skipped = opened(HEAD + "\n".join([reply, *others, opener, *others, reply, opener]))

    assert [packet for packet in packets if packet[1] == 8443] == [("in", 8443)]
    assert (skipped[Skip.REPLY], skipped[Skip.REPEAT]) == (2, 101)


def test_the_other_side_may_begin_where_only_a_reply_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_CHUNK", 500)
    others = [f"5,198.51.100.{n % 250},{40000 + n},10.0.0.6,443,tcp,S" for n in range(100)]
    reply, opener = "6,10.0.0.5,8443,203.0.113.9,51000,tcp,SA", "9,10.0.0.5,8443,203.0.113.9,51000,tcp,S"

    packets, skipped = opened(HEAD + "\n".join([reply, *others, opener, *others, opener]))

    assert [packet for packet in packets if packet[1] == 51000] == [("out", 51000)]
    assert (skipped[Skip.REPLY], skipped[Skip.REPEAT]) == (1, 101)
