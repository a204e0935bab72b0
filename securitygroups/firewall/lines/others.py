"""Lines of connection tracking, OVN and Neutron, the Windows firewall, Suricata's fast.log and Zeek's conn.log."""

import re

from securitygroups.firewall.lines.line import (
    Line,
    flags_of_letters,
    is_address,
    no_ip,
    packet_fields,
    protocol_number,
    verdict_of,
)

# ── conntrack ─────────────────────────────────────────────────────────────────

_TUPLE = re.compile(r"\bsrc=(\S+) dst=(\S+)(?: sport=(\d+) dport=(\d+))?(?: type=(\d+) code=\d+)?")
_BEFORE_TUPLE = re.compile(r"(?:^|\s)(?:ipv[46]\s+\d+\s+)?([a-z][a-z0-9-]*|unknown)\s+(\d{1,3})\s(?:[^=]*\s)?\Z")
_OVS_TUPLE = re.compile(r"\b(\w+),orig=\(src=([^,)]+),dst=([^,)]+)(?:,sport=(\d+),dport=(\d+))?(?:,id=\d+,type=(\d+))?")


def read_conntrack(line: str) -> Line | None:
    """conntrack -L and -E, /proc/net/nf_conntrack, and Open vSwitch's own: the first tuple is that of who opened it."""
    if "orig=(" in line:
        found = _OVS_TUPLE.search(line)
        if not found:
            return None
        name, source, destination, source_port, port, icmp = found.groups("")
        return _tracked(line, protocol_number(name), (source, destination), (source_port, port), icmp)
    if "src=" not in line or " dst=" not in line:
        return None
    found = _TUPLE.search(line)
    before = _BEFORE_TUPLE.search(line[: found.start()]) if found else None
    if not found or not before:
        return None
    source, destination, source_port, port, icmp = found.groups("")
    return _tracked(line, protocol_number(before[2]), (source, destination), (source_port, port), icmp)


def _tracked(line: str, number: int | None, ends: tuple[str, str], ports: tuple[str, str], icmp: str) -> Line:
    if number == 1 and ":" in ends[0]:
        number = 58
    fields = packet_fields(number, *ends, ports[1])
    return Line(line, fields, ports[0], kind="conntrack", icmp=int(icmp[:3]) if icmp else None)


# ── OVN and Neutron ───────────────────────────────────────────────────────────

_OVN_PAIR = re.compile(
    r"\b(nw_src|nw_dst|ipv6_src|ipv6_dst|nw_proto|tp_src|tp_dst|tcp_flags|icmp_type|verdict|direction)=\"?([^,:\s\"]+)"
)
_OVN_SIX = re.compile(r"\bipv6_(src|dst)=([0-9A-Fa-f:.]+)")
_OVN_NAME = re.compile(r"(?:: |^|\s)(tcp6?|udp6?|sctp6?|icmp6?|ipv6|ip|arp|nd),")
_OVN_NUMBERS = {"tcp": 6, "tcp6": 6, "udp": 17, "udp6": 17, "sctp": 132, "sctp6": 132, "icmp": 1, "icmp6": 58}
_LPORT = {"to-lport": "in", "from-lport": "out"}


def read_ovn(line: str) -> Line | None:
    """A line of OVN's acl_log, and a flow as Open vSwitch prints it: “tcp,vlan_tci=0x0000,…,nw_src=…,nw_dst=…,tp_dst=22”."""
    if "nw_src=" not in line and "ipv6_src=" not in line and "arp_spa=" not in line:
        return None
    name = _OVN_NAME.search(line)
    told: dict[str, str] = dict(_OVN_PAIR.findall(line))
    direction = _LPORT.get(told.get("direction", ""), "")
    if name and name[1] == "arp":
        return no_ip(line, "OVN log", direction)
    six = dict(_OVN_SIX.findall(line))
    source = str(six.get("src") or told.get("nw_src", ""))
    destination = str(six.get("dst") or told.get("nw_dst", ""))
    if not source or not destination:
        return None
    number = protocol_number(told.get("nw_proto", "")) or _OVN_NUMBERS.get(name[1] if name else "")
    flags, icmp = told.get("tcp_flags"), told.get("icmp_type", "")
    return Line(
        line,
        packet_fields(number, source, destination, told.get("tp_dst", "") if number not in (1, 58) else "", direction),
        told.get("tp_src", ""),
        frozenset(re.findall(r"[A-Z]+", flags.upper())) if flags and number == 6 else None,
        verdict_of(told.get("verdict", "")),
        "OVN log",
        icmp=int(icmp) if icmp.isdecimal() and len(icmp) < 4 else None,
    )


_NEUTRON_IP = re.compile(r"\bipv[46]\(([^()]*(?:\[[^\]]*\])?[^()]*)\)")
_NEUTRON_VALUE = re.compile(r"\b(src|dst|proto|nxt)='?([0-9A-Fa-f.:]+)")
_NEUTRON_PORTS = re.compile(r"\b(dst_port|src_port)=(\d+)")
_NEUTRON_BITS = re.compile(r"\btcp\(.{0,40}?\bbits=(\d+)")
_NEUTRON_TYPE = re.compile(r"\btype_?=(\d{1,3})\b")


def read_neutron(line: str) -> Line | None:
    """A security group's log of OpenStack: “action=DROP, …, pkt=ethernet(…)ipv4(…,dst='10.0.0.5',proto=6,…)tcp(…,dst_port=22,…)”."""
    if "ethernet(" not in line or "ipv" not in line:
        return None
    header = _NEUTRON_IP.search(line)
    if not header:
        return None
    told: dict[str, str] = dict(_NEUTRON_VALUE.findall(header[1]))
    ports: dict[str, str] = dict(_NEUTRON_PORTS.findall(line))
    if "src" not in told or "dst" not in told:
        return None
    number = protocol_number(told.get("proto", told.get("nxt", "")))
    bits, icmp = _NEUTRON_BITS.search(line), _NEUTRON_TYPE.search(line) if number in (1, 58) else None
    flags = int(bits[1][:3]) if bits and number == 6 else 0
    return Line(
        line,
        packet_fields(number, told["src"], told["dst"], ports.get("dst_port", "")),
        ports.get("src_port", ""),
        frozenset({"SYN"} if flags == 2 else {"SYN", "ACK"} if flags == 18 else {"ACK"}) if flags else None,
        verdict_of(line.partition("action=")[2].partition(" ")[0]),
        "OpenStack log",
        icmp=int(icmp[1]) if icmp else None,
    )


# ── The Windows firewall ──────────────────────────────────────────────────────

_WINDOWS = re.compile(
    r"(?:^|\s)\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (ALLOW|DROP|OPEN|OPEN-INBOUND|CLOSE) (\S+) (\S+) (\S+) (\S+) (\S+) \S+ (\S+)((?: \S+){0,12})"
)
_PATHS = {"RECEIVE": "in", "SEND": "out"}


def read_windows(line: str) -> Line | None:
    """pfirewall.log: date time action protocol src-ip dst-ip src-port dst-port size tcpflags … icmptype icmpcode info path."""
    if "ALLOW " not in line and "DROP " not in line and "OPEN" not in line and "CLOSE " not in line:
        return None
    found = _WINDOWS.search(line)
    if not found or not is_address(found[3]) or not is_address(found[4]):
        return None
    said, name, source, destination, source_port, port, flags, rest = found.groups()
    words = rest.split()
    number = protocol_number(name)
    if number == 1 and ":" in source:
        number = 58
    icmp = words[3] if len(words) > 3 else ""
    way = next((_PATHS[word] for word in words if word in _PATHS), "")
    way = way or {"OPEN": "out", "OPEN-INBOUND": "in"}.get(said, "")
    return Line(
        line,
        packet_fields(number, source, destination, port if port.isdecimal() else "", way),
        source_port if source_port.isdecimal() else "",
        flags_of_letters(flags) if number == 6 and flags.isalpha() else None,
        {"DROP": "drop", "CLOSE": ""}.get(said, "accept"),
        "Windows firewall log",
        icmp=int(icmp) if icmp.isdecimal() and len(icmp) < 4 else None,
    )


# ── Suricata and Zeek ─────────────────────────────────────────────────────────

_FAST = re.compile(r"\{([\w-]+)\} (\S+?)(?::(\d+))? -> (\S+?)(?::(\d+))?(?:\s|\Z)")


def read_fast(line: str) -> Line | None:
    """Suricata's and Snort's fast.log: “… [Priority: 2] {TCP} 198.51.100.7:51515 -> 10.0.0.5:22”."""
    if "} " not in line or " -> " not in line or "[**]" not in line:
        return None
    found = _FAST.search(line)
    if not found:
        return None
    name, source, source_port, destination, port = found.groups("")
    number = protocol_number(name)
    if number in (1, 58):  # the type and code stand where others have ports
        fields = packet_fields(58 if ":" in source else 1, source, destination)
        return Line(line, fields, kind="Suricata fast.log", icmp=int(source_port[:3]) if source_port else None)
    fields = packet_fields(number, source, destination, port)
    return Line(line, fields, source_port, said="drop" if "[Drop]" in line else "", kind="Suricata fast.log")


_ZEEK = re.compile(
    r"(?:^|\s)\d{9,11}\.\d{3,9}\s+[A-Za-z0-9]{2,24}\s+(\S+)\s+(\d{1,5})\s+(\S+)\s+(\d{1,5})(?:\s+(\S+)|\Z)"
)


def read_zeek(line: str) -> Line | None:
    """Zeek's conn.log, of which every log has the beginning: time, uid, origin and its port, responder and its port."""
    found = _ZEEK.search(line)
    if not found or not is_address(found[1]) or not is_address(found[3]):
        return None
    source, source_port, destination, port, name = found.groups("")
    number = protocol_number(name) if name.isalpha() else None
    if number == 1 and ":" in source:
        number = 58
    icmp = int(source_port) if number in (1, 58) else None
    return Line(line, packet_fields(number, source, destination, port), source_port, kind="Zeek log", icmp=icmp)
