"""Lines with “source > destination”: what tcpdump prints, also of pflog, and what is typed by hand."""

import re
from itertools import islice

from securitygroups.firewall.lines.line import (
    ANSWER,
    EXTENSIONS,
    FLAGS,
    NAMES_NOT_NUMBERS,
    Line,
    Told,
    flags_of_letters,
    flags_of_number,
    is_address,
    no_ip,
    packet_fields,
    protocol_number,
)
from securitygroups.firewall.registry import WITH_PORTS

_ENDS = re.compile(r"(?:^|\s)(?P<source>[\w\[\]:.%-]+?)\s*(?:>|->|→)\s*(?P<destination>[\w\[\]:.%-]+)")
_MOST_ARROWS = 60
"""What stands around more of them is no line of a packet."""
# “IP / TCP 198.51.100.7:51515 > …” is scapy's, “IP [ttl=64” nping's.
_DUMP = re.compile(r"\bIP6?\b(?! [/\[])|\bethertype IPv[46]\b")
# What tcpdump says of a packet on "any", and of one that pf logged: the direction is that of the machine it runs on.
_LINK = re.compile(r"(?:^|\s)(In|Out|[BM])\s+(?:IP6?\b|ARP\b|LLDP\b|ethertype\b|ifindex\b|[0-9a-f]{2}:[0-9a-f]{2}:)")
_PFLOG = re.compile(r"\brule \S+(?: \[[^\]]{0,200}\])?:? (pass|block|match|scrub|nat|rdr|binat|reject) (in|out) on ")
# "proto TCP (6)" and "next-header UDP (17)" of tcpdump -v, "ip-proto-89" of what it does not know, "proto 50" by hand.
_SAID = re.compile(r"\b(?:proto|next-header):? [^()]{0,60}\((\d{1,3})\)|\b(?:ip-proto-|proto(?:col)?[ =])(\d{1,3})\b")
# The flags of TCP, today's and as tcpdump printed them before version 4: "S 1:1(0) win 5840", ". ack 1", with -v
# "S, cksum 0x1c7f (correct), 1:1(0)".
_CHECKED = r"(?:, cksum 0x[0-9a-f]{1,4} \([^,]{1,40}\),)?"
_SEGMENT = re.compile(
    rf"[\s:]*(?:Flags \[|(?:[SFRPWE]{{1,4}}|\.){_CHECKED} (?:\[tcp sum ok\] )?(?:\d+:\d+\(\d+\)|ack \d))"
)
# “syn 1234 ack 1235” of FortiGate's sniffer, which has tcpdump's dots.
_SNIFFED = re.compile(r"\s*((?:(?:syn|fin|rst|psh|ack|urg) \d+\s*)+)")
_SNIFFED_LINE = re.compile(rf" -> \S+:{_SNIFFED.pattern}")
_HEADERS = re.compile(r"[\s:,]*(?:(?:HBH|DSTOPT|frag|srcrt)\b|\([^()]*\)|\[[^\]]*\]|[\s:,])*")
"""What tcpdump prints of IPv6 headers before it names the protocol, and of a checksum."""
_WORDS = {"ah", "ip", "ip6", "ipv6", "pim", "carp", "nos", "igp", "egp"}
"""Names of protocols that are words of other sentences too."""

_ARP = re.compile(r"\barp,? ")
_ARP_SAYS = re.compile(r"(?:who-has|who has|is-at|is at|reply|request|announcement|probe|gratuitous)\b")
_ARP_ASKS = re.compile(r"\bwho-has \S+ tell \S|who has \S+\? tell ")
_OTHER_FRAMES = re.compile(
    r"\b(?:(?:LLDP|CDPv[12]|LACPv1|EAPOL|IS-IS)[,:(] ?\w|PPPoE [SD] \(|MPLS \(|STP 802\.1\w|802\.1[dw],|802\.3, length|LLC, dsap)"
)
_ETHERTYPE = re.compile(r"\bethertype (\S+)")
_CARRIES_IP = ("IPv4", "IPv6", "802.1Q", "802.1ad", "802.1Q-QinQ", "MPLS", "PPPoE")

_TCPDUMP_FLAGS = re.compile(r"Flags \[([^\]]{0,60})\]")
_OLD_TCPDUMP = re.compile(rf":\s([SFRPWE]{{1,4}}|\.){_CHECKED} (?:\[[^\]]*\] )?(?:\d+:\d+\(\d+\) )?(ack )?")
# Snort's: “***A**S*”, the last two bits of which are those of congestion.
SNORT = re.compile(r"(?<![\w*])(?!\*{8})([1C*][2E*][U*][A*][P*][R*][S*][F*])(?![\w*])")
_NAMES = "FIN|SYN|RST|PSH|ACK|URG|ECN|ECE|CWR|NS|AE"
_BRACKETS = re.compile(rf"\[((?:{_NAMES})(?:, ?(?:{_NAMES}))*)\]")
# As they are typed, or printed by other programs: “SYN-ACK”, “flags=SA”, “tcp_flags 0x12”, behind the addresses.
_BEHIND = re.compile(
    rf"(?:(?:>|\u2192)\s*[^\s>\u2192]+\s+(?:tcp\s+)?|\bflags?[ =:]+)\(?((?:{_NAMES})(?:[\s,/+|_-]+(?:{_NAMES}))*)\b",
    re.IGNORECASE,
)
_AS_NUMBER = re.compile(r"\b(?:tcp[_ -]?)?flags?[ =:]+0x([0-9a-f]{1,4})\b", re.IGNORECASE)
_AS_LETTERS = re.compile(
    r"(?:\b(?:[Tt][Cc][Pp][_ -]?)?[Ff]lags?[ =:]+|(?:>|\u2192)\s*[^\s>\u2192]+\s+)\[?([SAFRPUEWC.]{1,8})\]?(?=[\s,]|\Z)"
)

_DNS_ANSWER = re.compile(r":\s\d+[*|$%-]*\s(?:q:[^:\n]*?\s)?(?:NXDomain|ServFail|Refused|FormErr|NotImp|\d+/\d+/\d+)\b")
_UDP_ANSWER = re.compile(
    r"Standard query response|NTPv\d, [Ss]erver|NTP Version \d, server|BOOTP/DHCP, Reply|\bDHCP (?:Offer|ACK|NAK)\b"
    r"|\b[Gg]et-?[Rr]esponse\b|\bAccess-(?:Accept|Reject|Challenge)\b|\breply (?:ok|ERR)\b|\bSIP: SIP/2\.0 \d|\bStatus: \d{3}\b"
    r"|\bHandshake Response\b|\bBinding (?:Success|Error) Response\b|\bResponder Response\b|\bphase \S+ R |\bikev2_\w+\[\w?R\]"
)
_TUNNEL = re.compile(r"\s*(?:VXLAN|Geneve|GENEVE|OTV|LISP|L2TP)\b")
_ECHO_REPLY = re.compile(r"echo[ -](?:\(ping\) )?reply", re.IGNORECASE)
_TIME_REPLY = re.compile(r"time ?stamp reply", re.IGNORECASE)
_ERROR = re.compile(
    r"unreach|exceeded|too big|need to frag|fragmentation needed|parameter problem|source quench|\bredirect\b",
    re.IGNORECASE,
)
_TYPE = re.compile(r"\btype[ =:]+(\d{1,3})\b")
_ABOUT_PORT = re.compile(r"(?<![0-9A-Fa-f.:])([0-9A-Fa-f.:]+) (tcp|udp|sctp) port ([\w-]+)")


def flags_in(text: str) -> frozenset[str] | None:
    """The TCP flags that a line of tcpdump or tshark tells, or one typed by hand; None where it tells none."""
    if found := _TCPDUMP_FLAGS.search(text):
        return flags_of_letters(found[1])
    if found := _SNIFFED_LINE.search(text):
        return frozenset(re.findall(r"[A-Z]+", found[1].upper())) & FLAGS
    if found := _BRACKETS.search(text):
        return frozenset(re.findall(r"[A-Z]+", found[1])) & FLAGS
    if found := _OLD_TCPDUMP.search(text):
        return flags_of_letters(found[1]) | ({"ACK"} if found[2] else set())
    if found := _AS_NUMBER.search(text):
        return flags_of_number(int(found[1], 16))
    if found := SNORT.search(text):
        return flags_of_letters(found[1])
    if found := _BEHIND.search(text):
        return frozenset(re.findall(r"[A-Z]+", found[1].upper())) & FLAGS
    if found := _AS_LETTERS.search(text):
        return flags_of_letters(found[1])
    return None


def icmp_in(text: str, *, six: bool) -> int | None:
    """The ICMP type, as far as it matters whether the packet opens something; None where the words tell none."""
    if typed := _TYPE.search(text):
        return int(typed[1])
    if _ECHO_REPLY.search(text):
        return 129 if six else 0
    if not six and _TIME_REPLY.search(text):
        return 14
    if _ERROR.search(text):
        return 1 if six else 3
    return None


def answer_in(text: str) -> str:
    return ANSWER if _DNS_ANSWER.search(text) or _UDP_ANSWER.search(text) else ""


def about_in(text: str, told: str) -> dict[str, str] | None:
    """The packet that an ICMP error is about, which came from who is told: “ICMP 10.0.0.5 udp port 53 unreachable”."""
    about = _ABOUT_PORT.search(text)
    if not about or not is_address(about[1]):
        return None
    return packet_fields(protocol_number(about[2]), told, about[1], about[3])


def end_of(text: str, *, tcpdump: bool = False) -> tuple[str, str] | None:
    """(address, port or "") of "10.0.0.5:22", "[2001:db8::5]:22", or tcpdump's "10.0.0.5.22" and "10.0.0.5.ssh"; None
    if it is neither."""
    text = text.removeprefix("[") if "]" not in text else text
    bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.]+)(?:%[\w.-]+)?\](?::([0-9]{1,5}|[a-z][\w-]*))?:?", text)
    tries = [bracketed.groups("")] if bracketed else [(text, "")]
    # tcpdump ends the destination with a colon; of an address such as fe80::, two more are its own.
    text = text.removesuffix(":")
    tries.append((text, ""))
    for mark in (":", ".") if not tcpdump else (".", ":"):
        head, _, tail = text.rpartition(mark)
        if head and re.fullmatch(r"[0-9]{1,5}|[a-z][\w-]{0,40}", tail):
            # What stands behind a zone is no part of its name.
            tries.insert(0 if "%" in head else len(tries), (head, tail))
    for text, port in tries:
        address, zone, _ = text.partition("%")
        if is_address(address) and (not zone or ":" in address):
            return address, port
    return None


def _said(before: str, after: str) -> int | None:
    """The protocol number that stands in the text as a number, not that of an extension header."""
    said = _SAID.search(before) or _SAID.search(after)
    number = int(said[1] or said[2]) if said else None
    return None if number is None or number in EXTENSIONS or number > 255 else number


def _named_first(after: str) -> int | None:
    """The protocol that the first word behind the addresses names."""
    first = re.match(r"[\s:,]*([A-Za-z]\w*)", after)
    return protocol_number(first[1]) if first else None


def _dumped_number(before: str, after: str, unnamed: bool) -> int | None:
    """The IP protocol number that a line of tcpdump tells around the addresses; None where it tells none."""
    # tcpdump prints the flags of every TCP segment.
    if _SEGMENT.match(after) or _SNIFFED.match(after):
        return 6
    after = _HEADERS.sub("", after, count=1)
    # What comes later in the line is what the packet carries.
    said = _said(before, after[:16])
    if said is not None:
        return said
    number = _named_first(after)
    return 17 if unnamed and after and number not in WITH_PORTS else number


def _typed_number(before: str, after: str) -> int | None:
    """The IP protocol number that any other text around the addresses tells: the word next to them, else any."""
    said = _said(before, after)
    if said is not None:
        return said
    last = re.search(r"(\w+)[\s:]*\Z", before[-60:])
    words = (word for word in re.findall(r"\w+", f"{before} {after}") if word.lower() not in _WORDS)
    tries = (_named_first(after), protocol_number(last[1]) if last and not last[1].isdigit() else None)
    named = (protocol_number(word) for word in words if not word.isdigit())
    return next((number for number in (*tries, *named) if number is not None), None)


def read_ends(line: str) -> Line | None:
    """A line with "source > destination" in it."""
    if ">" not in line and "→" not in line:
        return None
    dump = bool(_DUMP.search(line) or _PFLOG.search(line))
    half = whole = False
    for match in islice(_ENDS.finditer(line), _MOST_ARROWS):
        source, destination = end_of(match["source"], tcpdump=dump), end_of(match["destination"], tcpdump=dump)
        if source and destination:
            return _between(line, match, (source, destination), dump)
        half |= _is_half(match, source, destination)
        whole = True
    # There are two ends, and where they are not addresses of the link, at least one has its name.
    named = half or (dump and whole and not _ETHERTYPE.search(line))
    kind = "tcpdump" if dump else ""
    return Line(line, {}, kind=kind, advice=NAMES_NOT_NUMBERS.format("tcpdump -n, tshark -n")) if named else None


def _is_half(match: re.Match[str], source: tuple[str, str] | None, destination: tuple[str, str] | None) -> bool:
    """Whether one end is an address and the other the name of a host."""
    if not source and not destination:
        return False
    name = match["source"] if destination else match["destination"]
    return bool(re.match(r"[A-Za-z][\w-]*\.[A-Za-z][\w.-]*", name))


def _between(line: str, match: re.Match[str], ends: tuple[tuple[str, str], tuple[str, str]], dump: bool) -> Line:
    (source, source_port), (destination, port) = ends
    before, after = line[: match.start("source")], line[match.end("destination") :]
    dump = dump or _is_bsd(match["destination"], ends[1], after)
    number = _dumped_number(before, after, _is_unnamed(match, ends)) if dump else _typed_number(before, after)
    told = Told(number, source, destination, port, source_port, flags=flags_in(line))
    if pf := _PFLOG.search(before):
        kind = "pflog"
        told.said, told.direction = pf.groups()
    else:
        kind = "tcpdump" if dump and "->" not in match[0] else ""
        told.direction = link_direction(before)
    if number in (1, 58):
        told.icmp = icmp_in(after if dump else line, six=":" in source)
        told.opener = about_in(after, destination)
    elif number in (17, None) and not _TUNNEL.match(after):
        told.answer = answer_in(line)
    return told.line(line, kind)


def _is_unnamed(match: re.Match[str], ends: tuple[tuple[str, str], tuple[str, str]]) -> bool:
    """Of what has ports, tcpdump names all but UDP; a colon and this arrow are its own."""
    return bool(ends[0][1] or ends[1][1]) and match["destination"].endswith(":") and "->" not in match[0]


def _is_bsd(text: str, destination: tuple[str, str], after: str) -> bool:
    """BSD's tcpdump prints no “IP”; a dotted port and a colon are its own."""
    return text == ".".join((*destination, ""))[:-1] + ":" and bool(destination[1] or _SEGMENT.match(after))


def link_direction(text: str) -> str:
    """What tcpdump says of it on "any": B and M are broadcasts and multicasts that came in."""
    link = _LINK.search(text)
    return "" if not link else "out" if link[1] == "Out" else "in"


def read_frame(line: str) -> Line | None:
    """A frame that is not IP: ARP and others, as tcpdump and tshark print them."""
    found = _ETHERTYPE.findall(line)
    other = bool(found) and not found[-1].rstrip(",:").startswith(_CARRIES_IP)
    if not other and not _is_arp(line) and not _OTHER_FRAMES.search(line):
        return None
    return no_ip(line, "tcpdump", link_direction(line))


def _is_arp(line: str) -> bool:
    low = line.lower()
    if "arp" in low and any(map(_says_arp, low.split("\n"))):
        return True
    return "who" in low and bool(_ARP_ASKS.search(low))


def _says_arp(line: str) -> bool:
    """Whether the first word “arp” is followed by what it is about."""
    named = _ARP.search(line)
    return bool(named and _ARP_SAYS.search(line, named.end()))
