"""What the fields of a log may say, one text at a time: protocols, ports, directions, verdicts, TCP flags, ICMP types."""

import re

from securitygroups.firewall.flows.batch import ACCEPTED, DENIED, IN, NO_PORT, OUT
from securitygroups.firewall.flows.openers import MAYBE, OPENS, REPLIES
from securitygroups.firewall.protocols import MAX_PORT, PORT_NUMBERS
from securitygroups.firewall.registry import IN_LOGS
from securitygroups.firewall.values import ICMP, NON_IP, PACKET_PROTOCOLS

UNKNOWN_WAY = 255
"""The direction of a row that tells none."""

ICMP_OF_FAMILY, NOT_IP, UNTOLD = 256, 257, 258
NAMES = {
    **IN_LOGS,
    "ipv4": 4,
    "icmp": ICMP_OF_FAMILY,
    # The last ones are argus' words for its own records and for frames.
    **dict.fromkeys((NON_IP, "arp", "man", "llc", "lldp", "stp"), NOT_IP),
    "t": PACKET_PROTOCOLS["tcp"],
    "u": PACKET_PROTOCOLS["udp"],
    **dict.fromkeys(("unknown_transport", "unknown", "-", ""), UNTOLD),
}

_NOTHING = {"", "-", "nan", "null", "none", "n/a", "na", "\\n", "(empty)", "<na>"}
WAYS = {
    **dict.fromkeys(("in", "ingress", "inbound", "incoming", "i", "rx", "receive", "dest", "dst"), IN),
    **dict.fromkeys(("out", "egress", "outbound", "outgoing", "o", "tx", "send", "src"), OUT),
    # Numbers are those of an exporter's interface, which is not the VM's.
    **dict.fromkeys((*_NOTHING, "forward", "unknown", "0", "1", "255"), UNKNOWN_WAY),
    # Of a network's border, and of a gateway that is neither end.
    **dict.fromkeys(("internal", "external", "src_gateway", "dest_gateway"), UNKNOWN_WAY),
}
SAID = {
    **dict.fromkeys(("accept", "accepted", "allow", "allowed", "pass", "passed", "permit", "permitted", "a"), ACCEPTED),
    **dict.fromkeys(("reject", "rejected", "deny", "denied", "drop", "dropped", "block", "blocked", "d"), DENIED),
}
_ARROWS = {"->": OPENS, "<-": REPLIES, "<->": MAYBE, "<?>": MAYBE, "?>": MAYBE, "<?": REPLIES}
_FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128, "N": 256}
_FLAG_NAMES = {
    "FIN": 1,
    "SYN": 2,
    "RST": 4,
    "RESET": 4,
    "PSH": 8,
    "PUSH": 8,
    "ACK": 16,
    "URG": 32,
    "ECE": 64,
    "ECN": 64,
    "CWR": 128,
    "NS": 256,
    "AE": 256,
}
_OTHER_PORT = re.compile(r"0x([0-9a-f]{1,4})\Z|([1-9]\d?),(\d{3})\Z")
"""As argus writes a port that it has no name for, and as Kibana writes numbers, with a comma before the thousands."""
_FLAG_NUMBER = re.compile(r"(?:([0-9]{1,6})(?:\.0)?|0X([0-9A-F]{1,8}))\Z")
_SEPARATORS = str.maketrans(dict.fromkeys(",|/+;_-&", " "))


def protocol_of(text: str) -> int | None:
    text = text.strip().lower()
    if text in NAMES:
        return NAMES[text]
    # “6.0” of pandas, “TCP (6)” and “6 (TCP)” of reports.
    number = _protocol_number(text.removesuffix(".0"))
    if number is not None:
        return number
    first, _, rest = text.partition(" ")
    if rest.startswith("(") and rest.endswith(")"):
        numbers_in = [protocol_of(first), protocol_of(rest[1:-1])]
        told = {ICMP if number == ICMP_OF_FAMILY else number for number in numbers_in}
        return numbers_in[0] if len(told) == 1 else None
    return None


def portless(text: str) -> int | None:
    """The number of a protocol without ports."""
    number = _protocol_number(text)
    return None if number in PORT_NUMBERS else number


def _protocol_number(text: str) -> int | None:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 256
    return number if number < 256 else None


def port_of(text: str) -> int | None:
    text = text.strip().lower()
    if text in _NOTHING:
        return NO_PORT
    if match := _OTHER_PORT.match(text):
        text = str(int(match[1], 16)) if match[1] else match[2] + match[3]
    # As pandas writes a column of whole numbers with gaps.
    text = text.removesuffix(".0")
    if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= MAX_PORT:
        return int(text)
    return None


def way_of(text: str) -> int | None:
    return WAYS.get(text.strip().lower())


def flags_of(text: str) -> int | None:
    """The bits of TCP flags, however they are written: 18, 0x12, SA, ...A..S., SYN,ACK; None where it is not read."""
    text = text.strip().upper()
    if text.lower() in _NOTHING:
        return 0
    if match := _FLAG_NUMBER.match(text):
        return int(match[1]) if match[1] else int(match[2], 16)
    words = text.replace("[", " ").replace("]", " ").translate(_SEPARATORS).split()
    if words and _FLAG_NAMES.keys() >= set(words):
        return sum({_FLAG_NAMES[word] for word in words})
    # Dots, tshark's middle ones, and Silk's blanks stand for flags that are not there.
    letters = set(text) - set(".·*- ")
    return sum(_FLAGS[letter] for letter in letters) if letters <= _FLAGS.keys() and len(text) <= 12 else None


def turned_of(text: str) -> int | None:
    """Argus' arrow: whether the source began, or the destination, or (with a question mark) nobody saw it."""
    return _ARROWS.get(text.strip())


def icmp_type_of(text: str) -> int | None:
    head = text.strip().partition(".")[0]
    return int(head) if head.isascii() and head.isdigit() and len(head) <= 5 else None


def netflow_icmp_type_of(text: str) -> int | None:
    """From “type.code” or type · 256 + code; 0 is also what exporters write that do not tell."""
    number = icmp_type_of(text)
    if not number:
        return None
    return number if "." in text else number >> 8 or None
