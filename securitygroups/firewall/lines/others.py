"""Lines of connection tracking, OVN and Neutron, the Windows firewall, Suricata's fast.log and Zeek's conn.log."""

import re

from securitygroups.firewall.lines.line import (
    A_NETWORK,
    ANSWER,
    FLAGS,
    Line,
    Told,
    digits,
    flags_of_letters,
    flags_of_number,
    is_address,
    no_ip,
)

# ── conntrack ─────────────────────────────────────────────────────────────────

_TUPLE = re.compile(r"\bsrc=([^\s=]+) dst=(\S+)(?: sport=(\d+) dport=(\d+))?(?: type=(\d+) code=\d+)?")
_BEFORE_TUPLE = re.compile(r"(?:^|\s)(?:ipv[46]\s+\d+\s+)?[a-z][a-z0-9-]*\s+(\d{1,3})\s")
_OVS_TUPLE = re.compile(r"\b(\w+),orig=\(src=([^,)]+),dst=([^,)]+)(?:,sport=(\d+),dport=(\d+))?(?:,id=\d+,type=(\d+))?")


def read_conntrack(line: str) -> Line | None:
    """conntrack -L and -E, /proc/net/nf_conntrack, and Open vSwitch's own: the first tuple is that of who opened it."""
    if "orig=(" in line:
        found = _OVS_TUPLE.search(line)
        return _tracked(line, found, found[1]) if found else None
    found = _TUPLE.search(line) if "src=" in line and " dst=" in line else None
    before = _before_tuple(line[: found.start()]) if found else None
    return _tracked(line, found, before[1]) if found and before else None


def _before_tuple(text: str) -> re.Match[str] | None:
    """The protocol's name and number, which no pair parts from the tuple."""
    return _BEFORE_TUPLE.search(text, text.rfind("=") + 1) if text[-1:].isspace() else None


def _tracked(line: str, found: re.Match[str], protocol: str) -> Line:
    source, destination, source_port, port, icmp = found.groups("")[-5:]
    return Told(protocol, source, destination, port, source_port, icmp=icmp).line(line, "conntrack")


# ── OVN and Neutron ───────────────────────────────────────────────────────────

_OVN_SIGNS = ("nw_src=", "ipv6_src=", "arp_spa=")
_OVN_ENDS = ("nw_src", "ipv6_src", "nw_dst", "ipv6_dst")
_OVN_PAIR = re.compile(
    r"\b(nw_src|nw_dst|ipv6_src|ipv6_dst|nw_proto|tp_src|tp_dst|tcp_flags|icmp_type|verdict|direction)=\"?([^,\s\"]*[^,:\s\"])"
)
_OVN_NAME = re.compile(r"(?:: |^|\s|,)(tcp6?|udp6?|sctp6?|icmp6?|ipv6|ip|arp|nd),")
_OVN_NUMBERS = {"tcp": 6, "tcp6": 6, "udp": 17, "udp6": 17, "sctp": 132, "sctp6": 132, "icmp": 1, "icmp6": 58}
_LPORT = {"to-lport": "in", "from-lport": "out"}


def read_ovn(line: str) -> Line | None:
    """A line of OVN's acl_log, and a flow as Open vSwitch prints it: “tcp,vlan_tci=0x0000,…,nw_src=…,nw_dst=…,tp_dst=22”."""
    if not any(map(line.__contains__, _OVN_SIGNS)):
        return None
    name, told = _OVN_NAME.search(line), dict(_OVN_PAIR.findall(line))
    word, direction = name[1] if name else "", _LPORT.get(told.get("direction", ""), "")
    if word == "arp":
        return no_ip(line, "OVN log", direction)
    ends = [told[name] for name in _OVN_ENDS if name in told]
    if len(ends) != 2:
        return None
    number = told.get("nw_proto", _OVN_NUMBERS.get(word))
    packet = Told(number, ends[0], ends[1], told.get("tp_dst", ""), told.get("tp_src", ""), direction)
    packet.said, packet.icmp = told.get("verdict", ""), told.get("icmp_type")
    packet.flags = frozenset(told["tcp_flags"].upper().split("|")) & FLAGS if "tcp_flags" in told else None
    packet.answer = ANSWER if _TRACKED_BACK.search(line) else ""
    return packet.line(line, "OVN log")


# What connection tracking says of a packet that goes back.
_TRACKED_BACK = re.compile(r"\bct_state[=(][^,)\s]{0,60}(?<!-)\brpl\b")
_DATAPATH = re.compile(r"\bipv[46]\(([^()]{1,300})\)")
_DATAPATH_VALUE = re.compile(r"(?:^|,)(src|dst|proto)=([^,]*)")
_DATAPATH_PORTS = re.compile(r"\b(?:tcp|udp|sctp)\((?:src=(\d{1,5})[^(),]{0,8},?)?(?:dst=(\d{1,5}))?[^()]{0,8}\)")
_DATAPATH_FLAGS = re.compile(r"\btcp_flags\(([a-z|]{1,40})\)")
_DATAPATH_TYPE = re.compile(r"\bicmp(?:v6)?\(type=(\d{1,3})\b")


def read_datapath(line: str) -> Line | None:
    """A flow of Open vSwitch's datapath: “…,eth_type(0x0800),ipv4(src=…,dst=…,proto=6,…),tcp(src=…,dst=22)”."""
    if "eth_type(" not in line:
        return None
    header = _DATAPATH.search(line)
    if not header:
        return no_ip(line, "Open vSwitch flow") if "eth_type(0x0806)" in line else None
    told: dict[str, str] = dict(_DATAPATH_VALUE.findall(header[1]))
    source, destination = told.get("src", ""), told.get("dst", "")
    if not (is_address(source) and is_address(destination)):
        return Line(line, {}, kind="Open vSwitch flow", advice=A_NETWORK)
    packet = Told(told.get("proto"), source, destination, said="drop" if "actions:drop" in line else "")
    if ports := _DATAPATH_PORTS.search(line):
        packet.source_port, packet.port = ports.groups("")
    if icmp := _DATAPATH_TYPE.search(line):
        packet.icmp = icmp[1]
    if flags := _DATAPATH_FLAGS.search(line):
        packet.flags = frozenset(flags[1].upper().split("|")) & FLAGS
    packet.answer = ANSWER if _TRACKED_BACK.search(line) else ""
    return packet.line(line, "Open vSwitch flow")


_NEUTRON_IP = re.compile(r"\bipv[46]\(([^()\[]*(?:\[[^\]]*\][^()]*)?)\)")
_NEUTRON_VALUE = re.compile(r"\b(src|dst|proto|nxt)='?([0-9A-Fa-f.:]+)")
_NEUTRON_PORTS = re.compile(r"\b(dst_port|src_port)=(\d+)")
_NEUTRON_BITS = re.compile(r"\btcp\(.{0,40}?\bbits=(\d+)")
_NEUTRON_TYPE = re.compile(r"\btype_?=(\d{1,3})\b")


def read_neutron(line: str) -> Line | None:
    """A security group's log of OpenStack: “action=DROP, …, pkt=ethernet(…)ipv4(…,dst='10.0.0.5',proto=6,…)tcp(…,dst_port=22,…)”."""
    header = _NEUTRON_IP.search(line) if "ethernet(" in line else None
    if not header:
        return None
    told: dict[str, str] = dict(_NEUTRON_VALUE.findall(header[1]))
    ports: dict[str, str] = dict(_NEUTRON_PORTS.findall(line))
    number = told.get("proto", told.get("nxt"))
    packet = Told(
        number, told.get("src", ""), told.get("dst", ""), ports.get("dst_port", ""), ports.get("src_port", "")
    )
    packet.said = line.partition("action=")[2].partition(" ")[0]
    bits, icmp = _NEUTRON_BITS.search(line), _NEUTRON_TYPE.search(line, header.end())
    packet.flags = flags_of_number(int(bits[1][:3])) if bits else None
    packet.icmp = icmp[1] if icmp else None
    return packet.line(line, "OpenStack log") if packet.source and packet.destination else None


# ── The Windows firewall ──────────────────────────────────────────────────────

_WINDOWS = re.compile(
    r"(?:^|\s)\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (ALLOW|DROP|OPEN|OPEN-INBOUND|CLOSE) (\S+) (\S+) (\S+) (\S+) (\S+) \S+ (\S+)((?: \S+){0,12})"
)
_WINDOWS_SIGNS = ("ALLOW ", "DROP ", "OPEN", "CLOSE ")
_WINDOWS_SAID = {"DROP": "drop", "ALLOW": "allow", "OPEN": "allow", "OPEN-INBOUND": "allow"}
_OPENED = {"OPEN": "out", "OPEN-INBOUND": "in"}
_PATHS = {"RECEIVE": "in", "SEND": "out"}


def read_windows(line: str) -> Line | None:
    """pfirewall.log: date time action protocol src-ip dst-ip src-port dst-port size tcpflags … icmptype icmpcode info path."""
    found = _WINDOWS.search(line) if any(map(line.__contains__, _WINDOWS_SIGNS)) else None
    if not found or not is_address(found[3]) or not is_address(found[4]):
        return None
    said, name, source, destination, source_port, port, flags, rest = found.groups()
    words = rest.split()
    told = Told(name, source, destination, digits(port), digits(source_port))
    told.direction = next((_PATHS[word] for word in words if word in _PATHS), _OPENED.get(said, ""))
    told.said = _WINDOWS_SAID.get(said, "")
    told.flags = flags_of_letters(flags) if flags.isalpha() else None
    told.icmp = words[3] if len(words) > 3 else None
    return told.line(line, "Windows firewall log")


# Events 5150 to 5157, as text, as XML and as JSON.
_EVENT = re.compile(
    r"\b(Direction|Source ?Address|Source ?Port|Dest(?:ination)? ?Address|Dest(?:ination)? ?Port|Protocol)"
    r"[\"']?(?:>|\s{0,3}:)\s{0,9}[\"']?([^\s<>,;\"'}]{1,60})"
)
_EVENT_SIGNS = ("Windows Filtering Platform", "%%14592", "%%14593")
_EVENT_NUMBER = re.compile(r"\bEvent_?(?:ID|Code)\b[^0-9]{1,20}(515\d)\b", re.IGNORECASE)
_EVENT_SAID = {"5156": "allow", **dict.fromkeys(("5150", "5151", "5152", "5153", "5157"), "block")}
_EVENT_WAYS = {"Inbound": "in", "%%14592": "in", "Outbound": "out", "%%14593": "out"}
_CLIENTS = 49152
"""The first of the ports that Windows gives to who opens a connection."""
_TURNED = (
    "Some versions of Windows name their own address first of what came in: the end with the higher port is taken as "
    "the one that opened the connection."
)


def read_event(line: str) -> Line | None:
    """“The Windows Filtering Platform has blocked a packet. … Direction: Inbound Source Address: …”."""
    if not any(map(line.__contains__, _EVENT_SIGNS)):
        return None
    told = {name.replace(" ", "").replace("Destination", "Dest"): value for name, value in _EVENT.findall(line)}
    source, destination = told.get("SourceAddress", ""), told.get("DestAddress", "")
    if not is_address(source) or not is_address(destination):
        return None
    port, source_port = digits(told.get("DestPort", "")), digits(told.get("SourcePort", ""))
    packet = Told(told.get("Protocol", ""), source, destination, port, source_port)
    packet.direction = _EVENT_WAYS.get(told.get("Direction", ""), "")
    number = _EVENT_NUMBER.search(line)
    packet.said = _EVENT_SAID.get(number[1], "") if number else line.partition(" has ")[2].partition(" a ")[0]
    if _is_turned(packet):
        packet.source, packet.destination, packet.advice = destination, source, _TURNED
        packet.source_port, packet.port = port, source_port
    return packet.line(line, "Windows event")


def _is_turned(packet: Told) -> bool:
    """Whether what came in would go from a service to a port of a client."""
    if packet.direction != "in" or not packet.port or not packet.source_port:
        return False
    return int(packet.source_port) < _CLIENTS <= int(packet.port)


# ── Suricata and Zeek ─────────────────────────────────────────────────────────

_FAST = re.compile(r"\{([\w-]+)\} (\S+?)(?::(\d+))? -> (\S+?)(?::(\d+))?(?:\s|\Z)")


def read_fast(line: str) -> Line | None:
    """Suricata's and Snort's fast.log: “… [Priority: 2] {TCP} 198.51.100.7:51515 -> 10.0.0.5:22”."""
    found = _FAST.search(line) if "[**]" in line and "} " in line else None
    if not found:
        return None
    # Of ICMP, the type stands where others have the sender's port.
    name, source, source_port, destination, port = found.groups("")
    told = Told(name, source, destination, port, source_port, icmp=source_port)
    told.said = "drop" if "[Drop]" in line else ""
    return told.line(line, "Suricata fast.log")


_ZEEK = re.compile(
    r"(?:^|\s)\d{9,11}\.\d{3,9}\s+[A-Za-z0-9]{2,24}\s+(\S+)\s+(\d{1,5})\s+(\S+)\s+(\d{1,5})(?:\s+(\S+)|\Z)"
)


def read_zeek(line: str) -> Line | None:
    """Zeek's conn.log, of which every log has the beginning: time, uid, origin and its port, responder and its port."""
    found = _ZEEK.search(line)
    if not found or not is_address(found[1]) or not is_address(found[3]):
        return None
    # Of ICMP, the type stands where others have the sender's port.
    source, source_port, destination, port, name = found.groups("")
    protocol = name if name.isalpha() else None
    return Told(protocol, source, destination, port, source_port, icmp=source_port).line(line, "Zeek log")
