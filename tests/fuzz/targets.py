"""What is fuzzed: each reader with what must be true of whatever it gives back."""

import io
import re
import resource
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from securitygroups.firewall.flows.batch import Batch
from securitygroups.firewall.flows.logs import FlowLog
from securitygroups.firewall.formats.documents import read_group, write_group
from securitygroups.firewall.formats.packets import read_packets
from securitygroups.firewall.formats.reading import Note, ReadGroup, Reading, Taken
from securitygroups.firewall.formats.spreadsheet import read_any
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.formats.systems import read_file
from securitygroups.firewall.lines import pasted
from securitygroups.firewall.lines.line import Line
from securitygroups.firewall.lines.replies import read_reply
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.texts import clean, visible
from securitygroups.firewall.values import Refused, make_packet, parse_address, parse_network

LOCALS = (
    (),
    (parse_network("10.0.0.0/8"), parse_network("2001:db8:1::/64")),
    (parse_network("0.0.0.0/0"), parse_network("::/0")),
)
LINK_TYPES = (0, 1, 9, 12, 14, 50, 51, 101, 104, 108, 109, 113, 117, 138, 166, 192, 204, 239, 258, 276, 127, 65535)
_ACCEPTS = re.compile(r"(?<!\S)-j ACCEPT(?!\S)")
_LETS_IN = re.compile(r"(?<![-\w])(?:accept|allow)(?![-\w])", re.IGNORECASE)
_LINE_END = re.compile(rb"\r\n|\r|\n")
_LINE = re.compile(r"line (\d+)")
_PROTOCOLS = {"tcp", "udp", "sctp", "icmp", "number", "non-ip"}


class Broken(AssertionError):
    """Something that must be true of every reading is not."""


@dataclass(frozen=True)
class Target:
    """`read` raises nothing but for a finding. `kind` says how inputs are changed, `seconds` how long one may take."""

    name: str
    kind: str
    read: Callable[[bytes], object]
    seconds: float = 2.0
    grows: bool = True


def must(true: object, what: str) -> None:
    if not true:
        raise Broken(what)


def sometimes(data: bytes, of: int = 8) -> bool:
    """The same for the same input, so that a finding comes again."""
    return len(data) < 1 << 16 and zlib.crc32(data) % of == 0


# Pasted lines


def lines_of(*names: str) -> Callable[[bytes], object]:
    """All readers of these names, or of every name, and the door that chooses one."""
    readers = [read for name, read in pasted.READERS if not names or name in names]

    def read(data: bytes) -> object:
        text = data.decode("utf-8", "replace")
        for reader in readers:
            reader(text.strip()[: pasted.LONGEST])
        line = pasted.parse_line(text)
        _check_line(line)
        reply = read_reply(text)
        must(
            not sometimes(data) or (line == pasted.parse_line(text) and reply == read_reply(text)),
            "another line the second time",
        )
        return line, reply

    return read


def _check_line(line: Line) -> None:
    must(line.said in ("", "accept", "drop"), f"said {line.said!r}")
    must(line.icmp is None or 0 <= line.icmp <= 255, f"icmp {line.icmp}")
    for fields in (line.fields, line.opener or {}):
        _check_fields(fields)


def _check_fields(fields: dict[str, str]) -> None:
    """Whether the form would take them, once what the line left out is chosen."""
    if not fields:
        return
    protocol = fields.get("protocol", "tcp")
    must(protocol in _PROTOCOLS, f"protocol {protocol!r}")
    must(fields.get("direction", "in") in ("in", "out"), f"direction {fields.get('direction')!r}")
    number = int(fields["number"]) if protocol == "number" else protocol
    must(isinstance(number, str) or 0 <= number <= 255, f"number {number}")
    source, destination = (_end(fields.get(end, "")) for end in ("source", "destination"))
    port = fields.get("port", "")
    must(not port or (port.isascii() and port.isdecimal()), f"port {port!r}")
    if source and destination and source[0] == destination[0] and protocol != "non-ip":
        make_packet(Direction.IN, number, source, destination, None)


def _end(text: str) -> tuple[int, int] | None:
    try:
        return parse_address(text) if text else None
    except Refused as refused:
        raise Broken(f"{text!r}: {refused.problem}") from None


# Logs and captures


def log(data: bytes) -> object:
    local = LOCALS[zlib.crc32(data) // 8 % 3]
    found = _log(data, local)
    if sometimes(data):
        must(found == _log(data, local, dribble=True), "other flows in shorter reads")
    return found


class _Dribble(io.BytesIO):
    """Gives less than it is asked for, as pipes do."""

    def seekable(self) -> bool:
        return False

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(max(1, (size or 0) // 3) if size and size > 0 else size)


def _log(data: bytes, local: Sequence[object], *, dribble: bool = False) -> object:
    try:
        opened = FlowLog(_Dribble(data) if dribble else io.BytesIO(data), local)  # type: ignore[arg-type]
        rows, flows = 0, Counter[object]()
        for batch in opened:
            _check_batch(batch)
            rows += len(batch)
            if len(data) < 1 << 16:
                flows.update(batch.packet(row) for row in range(len(batch)))
    except BadDocument as refused:
        return _check_refusal(refused)
    must(opened.kind, "no kind")
    must(rows <= 2 * opened.records and opened.records >= 0, f"{rows} rows of {opened.records} records")
    must(all(count >= 0 for count in opened.skipped.values()), "fewer than none skipped")
    must(0 <= opened.guessed <= opened.records, f"{opened.guessed} guessed of {opened.records}")
    return flows, +opened.skipped, opened.records, opened.kind


def _check_batch(batch: Batch) -> None:
    must(set(batch.direction) <= {0, 1} and set(batch.said) <= {0, 1, 2}, "direction or verdict")
    must(set(batch.version) <= {0, 4, 6}, "version")
    must(((batch.port >= -1) & (batch.port <= 65535)).all(), "port")
    four = batch.version == 4
    must(not (batch.source_high[four].any() or batch.destination_high[four].any()), "upper bits of IPv4")
    must(((batch.source_low[four] | batch.destination_low[four]) < 1 << 32).all(), "IPv4 beyond its end")


def frames(data: bytes) -> object:
    """Frames of one link type in a capture that is whole: the first byte chooses the type, each frame has its length before it."""
    return log(captured(data))


def captured(data: bytes) -> bytes:
    link = LINK_TYPES[data[0] % len(LINK_TYPES)] if data else 1
    capture, at, number = bytearray(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)), 1, 0
    while at < len(data) and len(capture) < 8 << 20:
        frame = data[at + 1 : at + 1 + data[at]]
        capture += struct.pack("<IIII", 1_700_000_000, number % 1_000_000, len(frame), len(frame)) + frame
        at, number = at + 1 + data[at], number + 1
    return bytes(capture)


# Rules


def rules(data: bytes) -> object:
    """Whatever rules a file holds, by the door that chooses the reader."""
    found = _rules(data)
    must(not sometimes(data) or found == _rules(data), "another reading the second time")
    return found


def _rules(data: bytes) -> object:
    try:
        reading = read_file(data)
    except BadDocument as refused:
        return _check_refusal(refused)
    _check_reading(reading, data)
    return reading


def _check_refusal(refused: BadDocument) -> object:
    must(refused.faults and refused.total >= len(refused.faults), "a refusal without a fault")
    for fault in refused.faults:
        must(fault.problem.message, "a fault without words")
        shown_as(str(fault), 3_000)
    return str(refused)


def shown_as(text: str, longest: int) -> None:
    must(len(text) <= longest, f"{len(text)} characters for a page")
    text.encode()


def _check_reading(reading: Reading, data: bytes) -> None:
    must(reading.system, "no system")
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    count = len(_LINE_END.findall(data.replace(b"\0", b"") if wide else data)) + 1
    for note in reading.notes:
        _check_note(note, None, count)
    for group in reading.groups:
        for rule in group.rules:
            must(not rule.problems(), f"a rule that cannot be stored: {rule.problems()}")
        visible(clean(group.name)).encode()
        visible(clean(group.description)).encode()
        for note in group.notes:
            _check_note(note, group, count)
    if len(reading.groups) == 1 and sometimes(data):
        only = reading.groups[0].rules
        must(read_group(write_group("a", "", only).encode()).rules == only, "other rules once written")


def _check_note(note: Note, group: ReadGroup | None, lines: int) -> None:
    shown_as(visible(note.where), 2_002)
    shown_as(visible(note.text), 2_000)
    shown_as(visible(note.how), 20_000)
    must(note.where or note.text, "a note about nothing")
    most = len(group.rules) if group else 0
    must(all(1 <= place <= most for place in note.places), f"places {note.places[:5]} of {most} rules")
    must(not (note.places and note.taken is Taken.NOT_TAKEN), "not taken, and there")
    must(note.how or note.taken is Taken.EXACT, f"{note.taken.value}, and not why: {note.text[:80]!r}")
    missing = note.taken is Taken.EXACT and not note.places and not note.how
    lets_in = (_ACCEPTS if note.text.startswith("-A") else _LETS_IN).search(note.text)
    must(not (missing and lets_in), f"exact, and missing: {note.where} {note.text[:80]!r}")
    for number in _LINE.findall(note.where):
        must(1 <= int(number) <= lines, f"{note.where} of {lines} lines")


def table(data: bytes) -> object:
    """Our own documents and tables, as a form that wants one list reads them."""
    try:
        document = read_any(data)
    except BadDocument as refused:
        return _check_refusal(refused)
    must(not any(rule.problems() for rule in document.rules), "a rule that cannot be stored")
    return rules(data)


def packets(data: bytes) -> object:
    try:
        found = list(read_packets(data))
    except BadDocument as refused:
        return _check_refusal(refused)
    return len(found)


FAMILIES: dict[str, tuple[str, ...]] = {
    "kernel": ("kernel log", "nftables trace"),
    "pf": ("pf filterlog", "ipfw", "IP Filter"),
    "hosts": ("Windows firewall", "OVN", "OpenStack log", "conntrack", "Suricata fast.log", "Zeek"),
    "clouds": ("Azure flow log", "VPC flow log"),
    "pairs": ("JSON", "key=value"),
    "appliances": ("Cisco ASA", "Cisco IOS", "Juniper", "Palo Alto", "MikroTik", "NSX"),
    "dumps": ("tshark", "source > destination", "not IP", "columns"),
}
_RULES = {
    "text": ("iptables", "ufw", "firewalld", "Proxmox"),
    "json": (
        "nft", "AWS", "OpenStack", "Azure", "Google Cloud", "Hetzner", "DigitalOcean", "Scaleway", "Terraform", "CloudStack",
        "own document", "own documents",
    ),
    "table": ("OPNsense",),
}  # fmt: skip
_LOGS = {
    "table": ("tables", "VPC", "Zeek", "NetFlow"),
    "json": ("JSON", "Azure log", "GCP log"),
    "text": ("log lines",),
    "capture": ("pcap", "pcapng"),
    "packed": ("packed",),
    "parquet": ("Parquet",),
}
LOG_SECONDS = 20.0
"""Of 8 MiB of a log: it is a stream, whose reader is stopped from outside."""

TARGETS: dict[str, Target] = {
    one.name: one
    for one in (
        Target("any rules", "text", rules),
        Target("any log", "text", log, LOG_SECONDS),
        Target("any line", "text", lines_of(), 0.05, grows=False),
        *(Target(name, kind, rules) for kind, names in _RULES.items() for name in names),
        *(Target(name, kind, log, LOG_SECONDS) for kind, names in _LOGS.items() for name in names),
        Target("frames", "frames", frames, LOG_SECONDS),
        Target("CSV", "table", table),
        Target("xlsx", "zip", table),
        Target("ods", "zip", table),
        Target("packets", "text", packets),
        *(Target(f"line {name}", "text", lines_of(*names), 0.05, grows=False) for name, names in FAMILIES.items()),
    )
}


def spent() -> float:
    """Seconds of the processor so far, of the programs too that were started for inputs and have ended."""
    used = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def took(target: Target, data: bytes) -> float:
    """Seconds of the processor for one input."""
    started = spent()
    target.read(data)
    return spent() - started
