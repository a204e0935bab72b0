"""Lines of Cilium: what Hubble's “observe” and the agent's “monitor” print of a packet."""

import re

from securitygroups.firewall.lines.dumps import end_of
from securitygroups.firewall.lines.line import ANSWER, FLAGS, NAMES_NOT_NUMBERS, Line, Told

_HUBBLE = re.compile(
    r"(?:^|\s)(\S{1,300})(?: \([^()]{1,100}\))? (->|<-|<>) (\S{1,300})(?: \([^()]{1,100}\))? ([^()]{0,100})"
    r"\b(FORWARDED|DROPPED|DENIED|ALLOWED|AUDITED|AUDIT|REDIRECTED|TRACED|TRANSLATED)\b[^()]{0,60}\(([^()]{1,80})(?:\)|\()"
)
_MONITOR = re.compile(r"([0-9A-Fa-f.:\[\]]{2,60}) -> ([0-9A-Fa-f.:\[\]]{2,60}) (\w+(?: \w+(?:, ?\w+)*)?)")
_WAYS = {"INGRESS": "in", "EGRESS": "out", "ingress": "in", "egress": "out"}
_WAY = re.compile(r"\b(INGRESS|EGRESS|ingress|egress)\b")
_TYPES = (
    {"EchoReply": 0, "DestinationUnreachable": 3, "EchoRequest": 8, "TimeExceeded": 11, "ParameterProblem": 12},
    {"DestinationUnreachable": 1, "PacketTooBig": 2, "TimeExceeded": 3, "ParameterProblem": 4, "EchoRequest": 128,
     "EchoReply": 129},
)  # fmt: skip
_NAMES = NAMES_NOT_NUMBERS.format("hubble observe --ip-translation=false")
_VERDICTS = {"FORWARDED": "allow", "ALLOWED": "allow", "DENIED": "deny", "DROPPED": "drop"}


def read_cilium(line: str) -> Line | None:
    if "identity " in line or "Policy verdict log" in line:
        return _monitor(line)
    found = _HUBBLE.search(line) if ">" in line or "<-" in line else None
    if not found:
        return None
    first, arrow, second, before, verdict, carried = found.groups()
    # The arrow of a reply points back at who opened it; “<>” says that neither is known.
    answer = ANSWER if arrow == "<-" else ""
    if answer:
        first, second = second, first
    source, destination = end_of(first), end_of(second)
    if not source or not destination:
        return Line(line, {}, kind="Cilium", advice=_NAMES)
    told = Told(None, source[0], destination[0], destination[1], source[1], said=_VERDICTS.get(verdict, ""))
    told.direction, told.answer = _way_in(before), answer
    _carried(told, carried)
    return told.line(line, "Cilium")


def _way_in(text: str) -> str:
    way = _WAY.search(text)
    return _WAYS[way[1]] if way else ""


def _carried(told: Told, text: str) -> None:
    """“TCP Flags: SYN, ACK”, “UDP”, “ICMPv4 EchoRequest”, “tcp SYN”; of what is deeper the protocol is not told."""
    name, _, rest = text.partition(" ")
    words = re.findall(r"\w+", rest)
    types = _TYPES[":" in told.source]
    kind = words[0] if words else name
    if name in types or kind in types:
        told.protocol, told.icmp = "icmp", types.get(name, types.get(kind))
    else:
        told.protocol = "icmp" if name == "ICMPv4" else "tcp" if name.startswith("HTTP/") else name
        told.flags = frozenset(words) & FLAGS or None


def _monitor(line: str) -> Line | None:
    """“xx drop (Policy denied) flow 0x0 …, identity 1->2: 10.0.0.5:51515 -> 198.51.100.7:443 tcp SYN”."""
    found = _MONITOR.search(line)
    source, destination = (end_of(found[1]), end_of(found[2])) if found else (None, None)
    if not found or not source or not destination:
        return None
    told = Told(None, source[0], destination[0], destination[1], source[1])
    head = line[: found.start()]
    told.said = "drop" if "drop (" in head else head.partition("action ")[2].partition(",")[0]
    told.direction = _way_in(head)
    told.answer = ANSWER if " state reply " in head else ""
    _carried(told, found[3])
    return told.line(line, "Cilium")
