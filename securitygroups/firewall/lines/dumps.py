"""Lines with “source > destination”: what tcpdump and tshark print, and what is typed by hand."""

import re

from securitygroups.firewall.lines.line import WITH_PORTS, Line, is_address, packet_fields, protocol_number

_ENDS = re.compile(r"(?:^|\s)(?P<source>[\w\[\]:.-]+?)\s*(?:>|->|→)\s*(?P<destination>[\w\[\]:.-]+)")
_PORTS_BEHIND = re.compile(r"\s(\d{1,5}) (?:→|->|>) (\d{1,5})(?=\s|\Z)")
_DUMP = re.compile(r"\bIP6?\b|\bethertype IPv[46]\b")
# "proto TCP (6)" and "next-header UDP (17)" of tcpdump -v, "ip-proto-89" of what it does not know, "proto 50" by hand.
_SAID = re.compile(r"\b(?:proto|next-header) [^()]*\((\d{1,3})\)|\b(?:ip-proto-|proto(?:col)?[ =])(\d{1,3})\b")
# The flags of TCP, today's and as tcpdump printed them before version 4: "S 1:1(0) win 5840", ". ack 1".
_SEGMENT = re.compile(r"[\s:]*(?:Flags \[|(?:[SFRPWE]{1,4}|\.) (?:\d+:\d+\(\d+\)|ack \d))")
_HEADERS = re.compile(r"[\s:,]*(?:(?:HBH|DSTOPT|frag|srcrt)\b|\([^()]*\)|\[[^\]]*\]|[\s:,])*")
"""What tcpdump prints of IPv6 headers before it names the protocol, and of a checksum."""
_EXTENSIONS = {0, 43, 44, 60}
"""IPv6 headers that stand before the protocol's."""

_WORDS = {"ah", "ip", "ip6", "ipv6", "pim", "carp"}
"""Names of protocols that are words of other sentences too."""


def _end(text: str, *, tcpdump: bool) -> tuple[str, str] | None:
    """(address, port or "") of "10.0.0.5:22", "[2001:db8::5]:22", or tcpdump's "10.0.0.5.22" and "10.0.0.5.ssh"; None
    if it is neither."""
    bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}|[a-z][\w-]*))?:?", text)
    tries = [bracketed.groups("")] if bracketed else [(text, "")]
    # tcpdump ends the destination with a colon; of an address such as fe80::, two more are its own.
    text = text.removesuffix(":")
    tries.append((text, ""))
    for mark in (":", ".") if not tcpdump else (".", ":"):
        head, _, tail = text.rpartition(mark)
        if head and re.fullmatch(r"[0-9]{1,5}|[a-z][\w-]{0,40}", tail):
            tries.append((head, tail))
    for address, port in tries:
        if is_address(address):
            return address, port
    return None


def _said(before: str, after: str) -> int | None:
    """The protocol number that stands in the text as a number, not that of an extension header."""
    said = _SAID.search(before) or _SAID.search(after)
    number = int(said[1] or said[2]) if said else None
    return None if number in _EXTENSIONS else number


def _named_first(after: str) -> int | None:
    """The protocol that the first word behind the addresses names."""
    first = re.match(r"[\s:,]*([A-Za-z]\w*)", after)
    return protocol_number(first[1]) if first else None


def _dumped_number(before: str, after: str, ports: bool) -> int | None:
    """The IP protocol number that a line of tcpdump tells around the addresses; None where it tells none."""
    # tcpdump prints the flags of every TCP segment, and ports of few protocols but TCP and UDP, which it names.
    if _SEGMENT.match(after):
        return 6
    after = _HEADERS.sub("", after, count=1)
    # What comes later in the line is what the packet carries.
    said = _said(before, after[:16])
    if said is not None:
        return said
    number = _named_first(after)
    return 17 if ports and number not in WITH_PORTS else number


def _typed_number(before: str, after: str) -> int | None:
    """The IP protocol number that any other text around the addresses tells: the word next to them, else any."""
    said = _said(before, after)
    if said is not None:
        return said
    last = re.search(r"(\w+)[\s:]*\Z", before)
    words = (word for word in re.findall(r"\w+", f"{before} {after}") if word.lower() not in _WORDS)
    tries = (_named_first(after), protocol_number(last[1]) if last else None, *map(protocol_number, words))
    return next((number for number in tries if number is not None), None)


def read_ends(line: str) -> Line | None:
    """A line with "source > destination" in it."""
    dump = bool(_DUMP.search(line))
    for match in _ENDS.finditer(line):
        source, destination = _end(match["source"], tcpdump=dump), _end(match["destination"], tcpdump=dump)
        if source and destination:
            break
    else:
        return None
    before, after = line[: match.start("source")], line[match.end("destination") :]
    # tshark prints the ports behind the protocol's name.
    shark = None if source[1] or destination[1] else _PORTS_BEHIND.search(after)
    from_port, behind = shark.groups() if shark else (source[1], "")
    ports = bool(source[1] or destination[1])
    number = _dumped_number(before, after, ports) if dump else _typed_number(before, after)
    fields = packet_fields(number, source[0], destination[0], destination[1] or behind)
    return Line(line, fields, from_port, kind="tcpdump" if dump else "")
