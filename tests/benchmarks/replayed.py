"""How quickly millions of flows are replayed, by the format that they come in, and how much memory that takes.

`python tests/benchmarks/replayed.py [FLOWS] [DIRECTORY]` prints a table: each format in a process of its own, against the CSV
with no more than the five columns that are needed. With the directory of another version, the CSV is read by that one as
well. No flow comes twice, and the time in which the log itself is made up is not counted.
"""

import os
import resource
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
FLOWS = 5_000_000
PIECE = 1 << 16
VPC_HEAD = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status vpc-id "
    "subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr region az-id sublocation-type sublocation-id "
    "pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path\n"
)
VPC_ROW = (
    "5 123456789010 eni-0a1b2c3d4e5f67890 {s} {d} {sp} {p} 6 20 4249 {t} {t} ACCEPT OK vpc-0a1b2c3d4e5f67890 "
    "subnet-0a1b2c3d4e5f67890 i-0a1b2c3d4e5f67890 3 IPv4 {s} {d} us-east-2 use2-az2 - - - - ingress -\n"
)
ZEEK_HEAD = (
    "#separator \\x09\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\t"
    "resp_bytes\tconn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\t"
    "resp_ip_bytes\ttunnel_parents\n"
)
ZEEK_ROW = (
    "{t}.{sp:06}\tCHhAvVGS1DHFjwGM9\t{s}\t{sp}\t{d}\t{p}\ttcp\tssl\t0.253\t548\t3942\tSF\tF\tT\t0\tShADadFf\t11\t1012\t9\t"
    "4410\t-\n"
)
TABLES = {
    "CSV": ("direction,protocol,source,destination,port\n", "in,tcp,{s},{d},{p}\n"),
    "CSV, ports": ("direction,protocol,source,source_port,destination,port\n", "in,tcp,{s},{sp},{d},{p}\n"),
    "CSV, as VPC": (
        "direction,protocol,source,source_port,destination,port,start,action,tcp_flags\n",
        "in,tcp,{s},{sp},{d},{p},{t},ACCEPT,3\n",
    ),
    "VPC, version 5": (VPC_HEAD, VPC_ROW),
    "Zeek": (ZEEK_HEAD, ZEEK_ROW),
}
KINDS = (*TABLES, "pcap", "pcapng")
OF_BEFORE = ("CSV", "CSV, ports", "CSV, as VPC")
TURN = b"198.100"
"""The last two figures count the pieces. In a capture, the second octet does."""


class Varied:
    """A stream of a beginning and then a piece so many times, each with sources of its own: millions need no room."""

    def __init__(self, head: bytes, piece: bytes, places: NDArray[np.intp], *, text: bool, times: int) -> None:
        self._left, self._piece, self._times = memoryview(head), np.frombuffer(piece, np.uint8).copy(), times
        self._places, self._text, self._turn, self.seconds = places, text, 0, 0.0

    def read(self, size: int, /) -> bytes:
        started = time.process_time()
        if not self._left and self._turn < self._times:
            for place, value in (
                ((0, 48 + self._turn // 10), (1, 48 + self._turn % 10)) if self._text else ((0, self._turn),)
            ):
                self._piece[self._places + place] = value
            self._left, self._turn = memoryview(self._piece.tobytes()), self._turn + 1
        data, self._left = bytes(self._left[:size]), self._left[size:]
        self.seconds += time.process_time() - started
        return data


def ends() -> list[tuple[int, int, int]]:
    """Two bytes of the source's address, its port, and the place, of each flow of a piece."""
    rng = np.random.default_rng(1)
    return list(
        zip(rng.permutation(PIECE).tolist(), rng.integers(1024, 65536, PIECE).tolist(), range(PIECE), strict=True)
    )


def table(kind: str, times: int) -> Varied:
    head, row = TABLES[kind]
    piece = "".join(
        row.format(
            s=f"198.100.{a >> 8}.{a & 255}", sp=port, d=f"10.0.{a & 3}.{port & 255}", p=(22, 443, 80)[a % 3], t=1_700_000_000 + n // 50
        )
        for a, port, n in ends()
    ).encode()  # fmt: skip
    data = np.frombuffer(piece, np.uint8)
    found = np.flatnonzero(data[: -len(TURN)] == TURN[0])
    for place, letter in enumerate(TURN):
        found = found[data[found + place] == letter]
    found = found[np.isin(data[found - 1], list(b", \t"))]
    return Varied(head.encode(), piece, found + len(TURN) - 2, text=True, times=times)


def capture(kind: str, times: int) -> Varied:
    """SYNs, and every fourth a UDP packet, of 54 to 120 bytes."""
    parts, places, size = [], [], 0
    for a, port, n in ends():
        if n % 4:
            protocol, payload = 6, struct.pack(">HHIIBBHI", port, (22, 443, 80)[a % 3], 0, 0, 80, 2, 0, 0)
        else:
            protocol, payload = 17, struct.pack(">HHHH", port, 53, 8, 0)
        head = struct.pack(">BBHHHBBH", 69, 0, 20 + len(payload), 0, 0, 64, protocol, 0)
        addresses = bytes([198, 0, a >> 8, a & 255, 10, 0, a & 3, port & 255])
        frame = bytes(12) + b"\x08\0" + head + addresses + payload + bytes(a % 66)
        if kind == "pcap":
            before, behind = struct.pack("<IIII", 1_700_000_000 + n // 50, n, len(frame), len(frame)), b""
        else:
            length = 32 + len(frame) + -len(frame) % 4
            before = struct.pack("<IIIIIII", 6, length, 0, 395_812, n, len(frame), len(frame))
            behind = bytes(-len(frame) % 4) + struct.pack("<I", length)
        places.append(size + len(before) + 27)
        parts += [before, frame, behind]
        size += len(before) + len(frame) + len(behind)
    section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    heads = {
        "pcap": struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1),
        "pcapng": section + struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20),
    }
    return Varied(heads[kind], b"".join(parts), np.array(places), text=False, times=times)


class Replayed(NamedTuple):
    """What one format came to: flows, processor time, and the most memory in KiB."""

    flows: int
    seconds: float
    peak: int


def replayed(kind: str, flows: int) -> Replayed:
    """Judge so many flows by 100 rules, in this process."""
    from securitygroups.firewall.flows.whatif import what_if
    from securitygroups.firewall.protocols import Action, Direction
    from securitygroups.firewall.values import Rule, parse_network

    rules = [
        Rule(Action.ACCEPT, Direction.IN, "tcp", parse_network(f"198.{100 + n}.0.0/17"), None, 22 + n, 443 + n) for n in range(100)
    ]  # fmt: skip
    times = max(1, flows // PIECE)
    log = (table if kind in TABLES else capture)(kind, times)
    started = time.process_time()
    report = what_if(rules, rules, log, local=(parse_network("10.0.0.0/8"),))
    seconds = time.process_time() - started - log.seconds
    if report.rows != times * PIECE:
        raise RuntimeError(f"{kind}: {report.rows} flows were judged instead of {times * PIECE}")
    return Replayed(report.rows, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def in_a_process(kind: str, flows: int, root: Path = ROOT) -> Replayed:
    """The same in a process of its own, by the version that stands in a directory."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", kind, str(flows)],
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    count, seconds, peak = done.stdout.split()
    return Replayed(int(count), float(seconds), int(peak))


def show(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def measured(flows: int, before: Path | None) -> dict[str, Replayed]:
    """Print the table; what each format came to."""
    found: dict[str, Replayed] = {}
    for root, kinds in ((before, OF_BEFORE), (ROOT, KINDS)):
        for kind in kinds if root else ():
            name = kind if root == ROOT else f"{kind}, before"
            found[name] = in_a_process(kind, flows, root or ROOT)
    reference = next(iter(found.values()))
    show(f"{'format':<22} {'flows':>10} {'flows/s':>10} {'time':>6} {'peak':>9}")
    for name, one in found.items():
        ratio = one.seconds / one.flows / (reference.seconds / reference.flows)
        show(f"{name:<22} {one.flows:>10,} {one.flows / one.seconds:>10,.0f} {ratio:>6.2f} {one.peak / 1024:>5.0f} MiB")
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        show(" ".join(map(str, replayed(sys.argv[2], int(sys.argv[3])))))
    else:
        measured(int((sys.argv[1:2] or [str(FLOWS)])[0]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
