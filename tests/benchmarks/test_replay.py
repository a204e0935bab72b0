"""Bulk verdicts against plain loops, in the same run on the same machine, in processor time.

`python -m pytest tests/benchmarks/test_replay.py -o addopts="" -s`.
"""

import csv
import io
import ipaddress
import resource
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from securitygroups.firewall.flows.batch import DIRECTIONS, NO_PORT, Batch
from securitygroups.firewall.flows.compiled import NO_RULE, CompiledList
from securitygroups.firewall.flows.logs import FlowLog
from securitygroups.firewall.flows.whatif import what_if
from securitygroups.firewall.protocols import PROTOCOLS, Action, Direction
from securitygroups.firewall.values import Network, Rule, address_text, parse_network
from tests.benchmarks import replayed
from tests.benchmarks.conftest import Ratio

ROWS = 1 << 20
BLOCK = 1 << 18
NAMES = {6: "tcp", 17: "udp", 132: "sctp", 47: "47"}


@dataclass(frozen=True, slots=True)
class Box:
    """A rule as the plain loop reads it: whole numbers, None for any."""

    direction: int
    numbers: Mapping[int, int] | None
    source: tuple[int, int, int] | None
    destination: tuple[int, int, int] | None
    ports: tuple[int, int] | None
    place: int


PacketRow = tuple[int, int, int, int, int, int]


def box(rule: Rule, place: int) -> Box:
    source, destination = ((n.version, n.first, n.last) if n else None for n in (rule.source, rule.destination))
    ports = None if rule.port_start is None or rule.port_end is None else (rule.port_start, rule.port_end)
    numbers = PROTOCOLS[rule.protocol].numbers
    return Box(DIRECTIONS.index(rule.direction), numbers, source, destination, ports, place)


def plain(boxes: list[Box], packet: PacketRow) -> int:
    """The loop that everybody writes first."""
    direction, version, protocol, source, destination, port = packet
    for rule in boxes:
        if rule.direction != direction:
            continue
        if rule.numbers is not None and rule.numbers[version] != protocol:
            continue
        if rule.source is not None:
            family, first, last = rule.source
            if family != version or not first <= source <= last:
                continue
        if rule.destination is not None:
            family, first, last = rule.destination
            if family != version or not first <= destination <= last:
                continue
        if rule.ports is not None:
            start, end = rule.ports
            if port == NO_PORT or not start <= port <= end:
                continue
        return rule.place
    return NO_RULE


def network(rng: np.random.Generator, version: int) -> Network:
    """Somewhere in the addresses that are used here; no broad ones, as in lists that have grown."""
    if version == 6:
        prefix = int(rng.choice([48, 56, 64, 128]))
        address = 0x20010DB8 << 96 | int(rng.integers(1 << 32)) << 64 | int(rng.integers(256))
        return Network(6, address >> (128 - prefix) << (128 - prefix), prefix)
    prefix = int(rng.choice([16, 20, 24, 28, 32]))
    address = int(rng.choice([10, 172, 192, 203])) << 24 | int(rng.integers(1 << 24))
    return Network(4, address >> (32 - prefix) << (32 - prefix), prefix)


def tight(length: int) -> list[Rule]:
    """Rules as grown lists have them: a network each, most with ports, one in five IPv6 and one in five Out."""
    rng = np.random.default_rng(length)
    rules = []
    for _ in range(length):
        version = 6 if rng.random() < 0.2 else 4
        protocol = str(rng.choice(["tcp", "tcp", "tcp", "udp", "udp", "sctp", "ip", "ip"]))
        source, destination, start, end = network(rng, version), None, None, None
        if protocol == "ip":
            destination = network(rng, version) if rng.random() < 0.5 else None
        else:
            start = int(rng.integers(65536))
            end = int(rng.choice([start, min(65535, start + int(rng.integers(2000))), 65535]))
        action, direction = list(Action)[int(rng.integers(2))], list(Direction)[int(rng.random() < 0.2)]
        rules.append(Rule(action, direction, protocol, source, destination, start, end))
    return rules


def traffic(rules: list[Rule], rows: int) -> Batch:
    """Distinct packets: 7 of 10 come from a network of the list, others from anywhere near; 1 in 5 is IPv6, 1 in 5 Out."""
    rng = np.random.default_rng(rows)
    version = np.where(rng.random(rows) < 0.2, 6, 4).astype(np.uint8)
    protocol = rng.choice(np.array([6, 6, 6, 17, 17, 132, 47], np.uint8), rows)
    columns = {name: np.zeros(rows, np.uint64) for name in ("sh", "sl", "dh", "dl")}
    for family in (4, 6):
        networks = [r.source for r in rules if r.source and r.source.version == family]
        here = np.flatnonzero(version == family)
        for high, low in (("sh", "sl"), ("dh", "dl")):
            chosen = rng.integers(0, len(networks), len(here))
            first = [network.first for network in networks]
            lower = np.array([f & (1 << 64) - 1 for f in first], np.uint64)[chosen]
            noise = rng.integers(0, 1 << 32, len(here), dtype=np.uint64)
            if family == 4:
                spare = np.array([32 - n.prefix for n in networks], np.uint64)[chosen]
                lower |= noise >> (np.uint64(32) - spare)
                far = rng.random(len(here)) < 0.3
                lower[far] = lower[far] & np.uint64(0xFF00_0000) | noise[far] & np.uint64(0x00FF_FFFF)
            else:
                lower |= noise & np.uint64(0xFF)
            columns[high][here] = np.array([f >> 64 for f in first], np.uint64)[chosen]
            columns[low][here] = lower
    port = rng.integers(0, 65536, rows).astype(np.int32)
    port[protocol == 47] = NO_PORT
    direction = (rng.random(rows) < 0.2).astype(np.uint8)
    sources, destinations = (columns["sh"], columns["sl"]), (columns["dh"], columns["dl"])
    return Batch(
        direction,
        version,
        protocol,
        sources[0],
        sources[1],
        destinations[0],
        destinations[1],
        port,
        np.zeros(len(port), np.uint8),
    )


def rows_of(batch: Batch) -> list[PacketRow]:
    packets = [batch.packet(row) for row in range(len(batch))]
    return [
        (
            DIRECTIONS.index(p.direction),
            p.version or 0,
            p.protocol or 0,
            p.source or 0,
            p.destination or 0,
            NO_PORT if p.port is None else p.port,
        )
        for p in packets
    ]


def csv_text(batch: Batch) -> str:
    lines = ["direction,protocol,source,destination,port"]
    for direction, version, protocol, source, destination, port in rows_of(batch):
        ends = f"{address_text(version, source)},{address_text(version, destination)}"
        way = DIRECTIONS[direction].value
        lines.append(f"{way},{NAMES[protocol]},{ends},{'' if port == NO_PORT else port}")
    return "\n".join(lines) + "\n"


def plain_what_if(old: list[Box], new: list[Box], accepts: tuple[list[bool], list[bool]], text: str) -> Counter[str]:
    """The what-if as a csv reader, ipaddress and the plain loop."""
    numbers = {name: number for number, name in NAMES.items()}
    changed: Counter[str] = Counter()
    for row in csv.DictReader(io.StringIO(text)):
        source, destination = ipaddress.ip_address(row["source"]), ipaddress.ip_address(row["destination"])
        packet = (
            0 if row["direction"] == "in" else 1,
            source.version,
            numbers[row["protocol"]],
            int(source),
            int(destination),
            int(row["port"]) if row["port"] else NO_PORT,
        )
        before, after = accepts[0][plain(old, packet)], accepts[1][plain(new, packet)]
        if before != after:
            changed["denied" if before else "allowed"] += 1
    return changed


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def in_turns(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float]:
    """The fastest of each, run one after the other, so that what else the machine does disturbs both alike."""
    times = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    return min(time for time, _ in times), min(time for _, time in times)


@pytest.mark.parametrize(("length", "sample", "target"), [(100, 20_000, 90), (1000, 4000, 700), (10_000, 500, 5000)])
def test_replay_against_a_plain_integer_loop(ratio: Ratio, length: int, sample: int, target: float) -> None:
    rules = tight(length)
    batch, compiled = traffic(rules, ROWS), CompiledList(rules)
    blocks = [batch.take(slice(at, at + BLOCK)) for at in range(0, ROWS, BLOCK)]
    boxes, packets = [box(rule, place) for place, rule in enumerate(rules, 1)], rows_of(batch.take(slice(0, sample)))
    assert compiled.judge(blocks[0])[1][:sample].tolist() == [plain(boxes, packet) for packet in packets]

    ours, theirs = in_turns(
        lambda: [compiled.judge(block) for block in blocks], lambda: [plain(boxes, packet) for packet in packets], 10
    )

    ratio(f"replay, {length:,} rules, a packet, against a plain integer loop", ours / ROWS, theirs / sample, target)


def test_csv_what_if_against_csv_and_ipaddress(ratio: Ratio) -> None:
    sample = 2000
    old = tight(1000)
    new = old[:300] + old[400:] + tight(50)
    batch = traffic(old, ROWS // 2)
    text = csv_text(batch)
    data, head = text.encode(), "\n".join(text.split("\n", sample + 1)[: sample + 1]) + "\n"
    boxes = [[box(rule, place) for place, rule in enumerate(rules, 1)] for rules in (old, new)]
    accepts = [[False, *(rule.action is Action.ACCEPT for rule in rules)] for rules in (old, new)]

    def loop() -> Counter[str]:
        return plain_what_if(boxes[0], boxes[1], (accepts[0], accepts[1]), head)

    report, expected = what_if(old, new, io.BytesIO(head.encode())), loop()
    assert (report.newly_denied.flows, report.newly_allowed.flows) == (expected["denied"], expected["allowed"])

    ours, theirs = in_turns(lambda: what_if(old, new, io.BytesIO(data)), loop, 7)

    ratio("CSV what-if, 1,000 rules, a row, against csv + ipaddress + loop", ours / len(batch), theirs / sample, 90)


MANY = 5_000_000
PIECE = 1 << 16


class Repeated:
    """A stream of a beginning and then the same piece again and again, so that millions need no room."""

    def __init__(self, head: bytes, piece: bytes, times: int) -> None:
        self._left, self._piece, self._times = head, piece, times

    def read(self, size: int, /) -> bytes:
        if not self._left and self._times:
            self._left, self._times = self._piece, self._times - 1
        data, self._left = self._left[:size], self._left[size:]
        return data


def written(kind: str, times: int, piece: int = PIECE) -> Repeated:
    """Some packets over and over as CSV, pcap or pcapng: TCP and UDP of 54 to 120 bytes, one in four opens a connection."""
    rng = np.random.default_rng(1)
    columns = (rng.integers(0, limit, piece).tolist() for limit in (1 << 16, 1 << 16, 1 << 16, 1 << 10, 4, 66))
    parts = []
    for place, (source, destination, source_port, port, what, more) in enumerate(zip(*columns, strict=True)):
        ends = f"192.0.{source >> 8}.{source & 255}", f"10.0.{destination >> 8}.{destination & 255}"
        if kind == "CSV":
            name, way = "udp" if what == 3 else "tcp", "in" if what else "out"
            parts.append(f"{way},{name},{ends[0]},{ends[1]},{source_port},{port}\n".encode())
            continue
        if what == 3:
            protocol, payload = 17, struct.pack(">HHHH", source_port, port, 8, 0)
        else:
            protocol, payload = 6, struct.pack(">HHIIBBHI", source_port, port, 0, 0, 80, 16 if what else 2, 0, 0)
        head = struct.pack(">BBHHHBBH", 69, 0, 20 + len(payload), 0, 0, 64, protocol, 0)
        frame = bytes(12) + b"\x08\0" + head + b"".join(ipaddress.ip_address(end).packed for end in ends) + payload
        frame += bytes(more)
        if kind == "pcap":
            parts.append(struct.pack("<IIII", 1_700_000_000, place, len(frame), len(frame)) + frame)
        else:
            size = 32 + len(frame) + -len(frame) % 4
            block = struct.pack("<IIIIIII", 6, size, 0, 395_812, place, len(frame), len(frame)) + frame
            parts.append(block + bytes(-len(frame) % 4) + struct.pack("<I", size))
    section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28) + struct.pack(
        "<IIHHII", 1, 20, 1, 0, 0, 20
    )
    heads = {
        "CSV": b"direction,protocol,source,destination,source_port,port\n",
        "pcap": struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1),
        "pcapng": section,
    }
    return Repeated(heads[kind], b"".join(parts), times)


def flows_of(stream: Repeated) -> int:
    """The records of the whole log, read for nothing else."""
    log = FlowLog(stream, (parse_network("10.0.0.0/8"),))
    for _ in log:
        pass
    return log.records


@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
def test_captures_are_read_as_quickly_as_csv(ratio: Ratio, kind: str) -> None:
    times = MANY // PIECE // 5

    assert flows_of(written(kind, 1)) == flows_of(written("CSV", 1)) == PIECE
    captures, tables = (iter([written(name, times) for _ in range(5)]) for name in (kind, "CSV"))
    ours, theirs = in_turns(lambda: flows_of(next(captures)), lambda: flows_of(next(tables)), 5)

    ratio(f"{kind}, a packet, against a row of CSV with both ports", ours / times / PIECE, theirs / times / PIECE, 0.67)


@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
def test_memory_does_not_grow_with_a_capture(kind: str) -> None:
    peaks = []
    for packets in (MANY // 5, MANY):
        script = f"from tests.benchmarks.test_replay import *; print(peak({kind!r}, {packets}))"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))

    assert peaks[1] < peaks[0] * 1.1


def peak(kind: str, packets: int) -> int:
    """The most memory that reading a log of so many packets took, in KiB."""
    piece = PIECE // 16
    flows_of(written(kind, packets // piece, piece))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


V5 = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status vpc-id "
    "subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr region az-id sublocation-type sublocation-id "
    "pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path"
)
V5_ROW = (
    "5 123456789010 eni-0a1b2c3d4e5f67890 {s} {d} {sp} {p} 6 20 4249 {t} {t} ACCEPT OK vpc-0a1b2c3d4e5f67890 "
    "subnet-0a1b2c3d4e5f67890 i-0a1b2c3d4e5f67890 3 IPv4 {s} {d} us-east-2 use2-az2 - - - - ingress -"
)
ZEEK = (
    "#separator \\x09\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\t"
    "resp_bytes\tconn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\t"
    "resp_ip_bytes\ttunnel_parents"
)
ZEEK_ROW = (
    "{t}.{sp:06}\tCHhAvVGS1DHFjwGM9\t{s}\t{sp}\t{d}\t{p}\ttcp\tssl\t0.253\t548\t3942\tSF\tF\tT\t0\tShADadFf\t11\t1012\t9\t"
    "4410\t-"
)
FLOWS = 300_000


def log_text(head: str, row: str) -> bytes:
    """Flows to a few VMs, whose two ends, ports and times are told."""
    rng = np.random.default_rng(1)
    ends = zip(rng.integers(0, 1 << 16, FLOWS).tolist(), rng.integers(1024, 65536, FLOWS).tolist(), strict=True)
    lines = (
        row.format(s=f"198.51.{a >> 8}.{a & 255}", sp=port, d=f"10.0.{a & 3}.{port & 255}", p=(22, 443, 80)[a % 3], t=1_700_000_000 + n // 50)
        for n, (a, port) in enumerate(ends)
    )  # fmt: skip
    return "\n".join([head, *lines, ""]).encode()


PLAIN = ("direction,protocol,source,source_port,destination,port,start", "in,tcp,{s},{sp},{d},{p},{t}")
WITH_FLAGS = (f"{PLAIN[0]},action,tcp_flags", f"{PLAIN[1]},ACCEPT,3")


@pytest.mark.parametrize(
    ("name", "head", "row", "same"),
    [
        ("VPC flow log, version 5, a flow, against CSV with the same of it", V5, V5_ROW, WITH_FLAGS),
        ("Zeek's conn.log, a flow, against CSV with both ports and times", ZEEK, ZEEK_ROW, PLAIN),
    ],
)
def test_logs_of_other_programs_against_csv_that_tells_the_same(
    ratio: Ratio, name: str, head: str, row: str, same: tuple[str, str]
) -> None:
    csv_log = log_text(*same)
    other = log_text(head, row)
    rules, local = tight(100), [Network(4, 10 << 24, 8)]
    reports = [what_if(rules, rules, io.BytesIO(data), local=local) for data in (csv_log, other)]
    assert reports[0].rows == reports[1].rows > FLOWS * 0.9

    ours, theirs = in_turns(
        lambda: what_if(rules, rules, io.BytesIO(other), local=local),
        lambda: what_if(rules, rules, io.BytesIO(csv_log), local=local),
        5,
    )

    ratio(name, ours / FLOWS, theirs / FLOWS, 1 / 1.5)


def test_millions_of_flows_in_constant_memory_whatever_they_come_in(capsys: pytest.CaptureFixture[str]) -> None:
    """Prints the table of replayed.py; the captures against the CSV that tells the least, the logs against one with ports."""
    with capsys.disabled():
        few = {kind: replayed.in_a_process(kind, replayed.FLOWS // 2) for kind in replayed.KINDS}
        many = replayed.measured(replayed.FLOWS, None)

    for kind, one in many.items():
        assert one.peak < few[kind].peak * 1.15 + 4096, kind
    for kind, other in (("pcapng", "CSV"), ("VPC, version 5", "CSV, as VPC"), ("Zeek", "CSV, ports")):
        assert many[kind].seconds / many[kind].flows < 1.5 * many[other].seconds / many[other].flows, kind
