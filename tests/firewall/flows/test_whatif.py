"""The comparison of two lists over a log counts every changed flow once, in bounded memory."""

import io
import tracemalloc
from collections import Counter

import numpy as np
import pytest

from securitygroups.firewall.decide import decide
from securitygroups.firewall.flows import tally
from securitygroups.firewall.flows.openers import Skip
from securitygroups.firewall.flows.tally import Pair
from securitygroups.firewall.flows.whatif import Report, what_if
from securitygroups.firewall.formats.packets import packet_from_json
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Packet, Rule, parse_network

IN, OUT = Direction.IN, Direction.OUT
ACCEPT, DROP = Action.ACCEPT, Action.DROP
HEAD = "direction,protocol,source,destination,port\n"
WEB = Rule(ACCEPT, IN, "tcp", None, None, 80, 443)
OFFICE = Rule(ACCEPT, IN, "ip", parse_network("192.0.2.0/24"))
NO_OFFICE = Rule(DROP, IN, "tcp", parse_network("192.0.2.0/28"))


def run(old: list[Rule], new: list[Rule], lines: str, **options: object) -> Report:
    return what_if(old, new, io.BytesIO((HEAD + lines).encode()), **options)  # type: ignore[arg-type]


def packet(direction: str, protocol: str, source: str, destination: str, port: int | None) -> Packet:
    value = {"direction": direction, "protocol": protocol, "source": source, "destination": destination, "port": port}
    return packet_from_json(value)


def test_changed_flows_are_grouped_and_ranked() -> None:
    report = run(
        [WEB, OFFICE],
        [NO_OFFICE, OFFICE, Rule(ACCEPT, OUT, "udp", None, None, 53, 53)],
        "in,tcp,192.0.2.1,10.0.0.5,22\n"
        + "in,tcp,192.0.2.1,10.0.0.5,443\n" * 3
        + "in,tcp,192.0.2.2,10.0.0.5,443\n"
        + "in,tcp,192.0.2.99,10.0.0.5,443\n"
        + "in,tcp,2001:db8::1,2001:db8::2,443\n" * 2
        + "out,udp,10.0.0.5,9.9.9.9,53\n"
        + "out,udp,10.0.0.5,9.9.9.9,123\n",
    )

    assert (report.kind, report.records, report.rows, report.cut) == ("CSV", 10, 10, None)
    assert (report.accepted_before, report.accepted_after) == (8, 2)
    assert report.hits_before == (2, 7, 1)
    assert report.hits_after == (3, 5, 1, 1)
    denied = report.newly_denied
    assert (denied.flows, denied.group_count, denied.exact) == (7, 3, True)
    assert [(g.version, g.protocol, g.port, g.before, g.after, g.flows) for g in denied.groups] == [
        (4, 6, 443, 1, 1, 4),
        (6, 6, 443, 1, None, 2),
        (4, 6, 22, 2, 1, 1),
    ]
    assert denied.groups[0].pairs == (
        Pair(packet("in", "tcp", "192.0.2.1", "10.0.0.5", 443), 3),
        Pair(packet("in", "tcp", "192.0.2.2", "10.0.0.5", 443), 1),
    )
    assert denied.groups[1].pairs == (Pair(packet("in", "tcp", "2001:db8::1", "2001:db8::2", 443), 2),)
    [allowed] = report.newly_allowed.groups
    assert (allowed.direction, allowed.port, allowed.before, allowed.after) == (OUT, 53, None, 3)


def test_frames_and_packets_without_a_port_make_groups() -> None:
    report = run([Rule(ACCEPT, IN, "all")], [], "in,non-ip,,,\nin,icmp,::1,::2,128\nin,tcp,1.1.1.1,1.1.1.2,\n")

    groups = {(g.version, g.protocol, g.port, g.pairs[0].packet) for g in report.newly_denied.groups}
    assert groups == {
        (None, None, None, Packet(IN)),
        (6, 58, None, Packet(IN, 6, 58, 1, 2)),
        (4, 6, None, Packet(IN, 4, 6, 0x01010101, 0x01010102)),
    }


def test_random_logs_agree_with_the_evaluator() -> None:
    rng = np.random.default_rng(5)
    rules = []
    for _ in range(40):
        start, end = sorted(int(port) for port in rng.integers(0, 10, 2))
        action, direction = (ACCEPT, DROP)[int(rng.integers(2))], (IN, OUT)[int(rng.integers(2))]
        source = parse_network(f"10.0.0.{int(rng.integers(16)) * 16}/28")
        rules.append(Rule(action, direction, "tcp", source, None, start, end))
    rows = [
        (("in", "out")[int(d)], "tcp", f"10.0.0.{s}", "10.1.0.1", int(p))
        for d, s, p in zip(rng.integers(0, 2, 3000), rng.integers(0, 256, 3000), rng.integers(0, 10, 3000), strict=True)
    ]
    old, new = rules, rules[20:] + rules[:10]

    report = run(old, new, "".join(",".join(map(str, row)) + "\n" for row in rows), limit_groups=10_000)

    expected: dict[Action, Counter[tuple[object, ...]]] = {ACCEPT: Counter(), DROP: Counter()}
    for row in rows:
        before, after = (decide(listing, packet(*row)) for listing in (old, new))
        if before.action is not after.action:
            expected[after.action][row[0], row[4], before.rule, after.rule] += 1
    for action, changes in ((DROP, report.newly_denied), (ACCEPT, report.newly_allowed)):
        found = {(g.direction.value, g.port, g.before, g.after): g.flows for g in changes.groups}
        assert found == expected[action]
        assert changes.flows == expected[action].total()
        assert [g.flows for g in changes.groups] == sorted(found.values(), reverse=True)


def test_the_same_list_changes_nothing() -> None:
    rules = [WEB, OFFICE]

    report = run(rules, rules, "in,tcp,192.0.2.1,10.0.0.5,22\n")

    assert report.hits_before == report.hits_after == (0, 0, 1)
    assert report.newly_denied.groups == report.newly_allowed.groups == ()


def test_reading_ends_at_the_limit_of_rows() -> None:
    line = "in,tcp,192.0.2.1,10.0.0.5,443\n"

    assert run([WEB], [], line * 10, limit_rows=4).newly_denied.flows == 4
    assert run([WEB], [], line * 10, limit_rows=4).cut == "rows"
    assert run([WEB], [], line * 10, limit_rows=10).cut is None
    late = iter((0.0, 9.0))
    assert run([WEB], [], line * 10, limit_rows=4, limit_seconds=5, clock=lambda: next(late)).cut == "rows"


def test_reading_ends_at_the_limit_of_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("securitygroups.firewall.flows.logs._CHUNK", 1000)
    ticks = iter(range(1000))
    line = "in,tcp,192.0.2.1,10.0.0.5,443\n"

    report = run([WEB], [], line * 1000, limit_seconds=5, clock=lambda: float(next(ticks)))

    assert report.cut == "seconds"
    assert 100 < report.rows < 300
    with pytest.raises(ValueError, match="clock"):
        run([WEB], [], line, limit_seconds=5)


def test_lists_beyond_all_use_are_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        run([WEB] * (tally.MAX_RULES + 1), [], "")


def test_a_bad_line_ends_it() -> None:
    with pytest.raises(BadDocument, match="line 3, port"):
        run([WEB], [], "in,tcp,192.0.2.1,10.0.0.5,443\nin,tcp,192.0.2.1,10.0.0.5,https\n")


def test_skipped_records_are_in_the_report() -> None:
    text = b"protocol,source,destination,port\ntcp,192.0.2.1,10.0.0.5,443\ntcp,192.0.2.1,10.9.0.5,443\n"

    report = what_if([WEB], [], io.BytesIO(text), local=[parse_network("10.0.0.0/24")])

    assert (report.records, report.rows, report.skipped) == (2, 1, {Skip.ELSEWHERE: 1})


def test_too_many_groups_are_said_to_be_not_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "MAX_GROUPS", 20)
    monkeypatch.setattr(tally, "MAX_ENDS", 20)
    monkeypatch.setattr("securitygroups.firewall.flows.logs._CHUNK", 1000)
    lines = [f"in,tcp,192.0.2.1,10.0.0.5,{port}\n" for port in range(80, 200)]

    changes = run([WEB], [], "".join(lines) + lines[0] * 500).newly_denied

    assert changes.flows == 620
    assert not changes.exact
    assert changes.groups[0].port == 80
    assert changes.groups[0].flows >= 500


class Endless(io.RawIOBase):
    """As many lines as are asked for, made while they are read, from ever other addresses."""

    def __init__(self, blocks: int) -> None:
        self._blocks = iter(range(blocks))
        self._rng = np.random.default_rng(6)

    def read(self, size: int = -1, /) -> bytes:
        block = next(self._blocks, None)
        if block is None:
            return b""
        numbers = self._rng.integers(0, 256, (4000, 3)).tolist()
        lines = "".join(f"in,tcp,10.{a}.{b}.{c},10.0.0.5,{a * 8 + b % 8}\n" for a, b, c in numbers)
        return ((HEAD if block == 0 else "") + lines).encode()


def test_memory_does_not_grow_with_the_log() -> None:
    rules = [Rule(ACCEPT, IN, "tcp", parse_network(f"10.{i}.0.0/16")) for i in range(256)]
    peaks = []
    for blocks in (4, 20):
        tracemalloc.start()
        report = what_if(rules, [], Endless(blocks))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

        assert report.newly_denied.flows == blocks * 4000
    # The pairs of addresses fill their table; beyond that, more flows need no more memory.
    assert peaks[1] < peaks[0] + 10 * 2**20
    assert peaks[1] < 60 * 2**20
