"""Lines of the kernel's own log (iptables' LOG, nftables' log, ufw, firewalld, Proxmox, ebtables), and nftables' trace."""

import re

from securitygroups.firewall.lines.line import (
    FLAGS,
    ICMP_TYPES,
    Line,
    Told,
    flags_of_number,
    no_ip,
    protocol_number,
)

# xtables-monitor has SPORT and DPORT.
_PAIR = re.compile(r"\b(SRC|DST|PROTO|SP|DP|TYPE)(?:T|ORT)?=(\S*)")
# Proxmox names the chain of the VM's own interface, in which directions are the VM's.
_PROXMOX = re.compile(r"\b(?:tap|veth)\d+i\d+-(IN|OUT)\b|\bguest-\d+-(in|out)\b", re.IGNORECASE)
_PROXMOX_HOST = re.compile(r"\bPVEFW-HOST-(IN|OUT)\b")
_VYOS = re.compile(r"-([ADR])\]\Z")
# A rule's prefix without a space at its end; MACSRC= and IPSRC= are others.
_SOURCE = re.compile(r"(?<![A-Z])SRC=")
_EBTABLES = re.compile(
    r" IP SRC=([\d.]+) IP DST=([\d.]+),.* IP proto=(\d+)|IPv6 SRC=(\S+) IPv6 DST=([^\s,]+),.*Next Header=(\d+)"
)
_EBTABLES_PORTS = re.compile(r" SPT=(\d+) DPT=(\d+)")
_BEFORE = 160
"""How much of the text before IN= is looked at for a verdict: the rule's own prefix stands right before it."""


def read_kernel(line: str) -> Line | None:
    """A line with IN= OUT= SRC= DST= PROTO=, of which a person may have left out some."""
    start = _source_at(line)
    if start < 0 or "DST=" not in line:
        return _arp(line) if "IPSRC=" in line else None
    if " IP SRC=" in line or "IPv6 SRC=" in line:
        return _ebtables(line)
    pairs, words = _pairs(line[start:])
    direction, before = _direction(line[:start])
    told = _packet(pairs)
    if told is None:
        return None
    told.direction, told.said, told.flags = direction, _said(before), frozenset(words & FLAGS) or None
    told.opener = _quoted(line) if "[SRC=" in line else None
    return told.line(line, "kernel log")


def _source_at(line: str) -> int:
    """Where the packet's SRC= stands, -1 where there is none."""
    start = line.find(" SRC=") + 1
    if start or line.startswith("SRC="):
        return start
    found = _SOURCE.search(line) if "SRC=" in line else None
    return found.start() if found else -1


def _packet(pairs: dict[str, str]) -> Told | None:
    source, destination = pairs.get("SRC", ""), pairs.get("DST", "")
    if not source or not destination:
        return None
    number = protocol_number(pairs.get("PROTO", ""))
    port = "" if number is None else pairs.get("DP", "")
    return Told(number, source, destination, port, pairs.get("SP", ""), icmp=pairs.get("TYPE"))


def _pairs(text: str) -> tuple[dict[str, str], set[str]]:
    """The pairs and single words from SRC= on; what an ICMP error quotes stands in brackets behind, and is not the packet's."""
    text = text.partition("[")[0]
    pairs = dict(reversed(_PAIR.findall(text)))
    return pairs, set(text.split())


def _direction(head: str) -> tuple[str, str]:
    """In or out as the interfaces say, and the text before them. A forwarded packet has both, which says neither."""
    end = head.find("IN=")
    while end >= 0:
        entering, _, rest = head[end + 3 :].partition(" ")
        if rest.startswith("OUT="):
            break
        end = head.find("IN=", end + 3)
    else:
        # Proxmox leaves out the interface that there is none.
        own = _PROXMOX_HOST.search(head)
        return (own[1].lower() if own else ""), head[-_BEFORE:]
    before = head[max(0, end - _BEFORE) : end]
    leaving = rest[4:].partition(" ")[0]
    if entering and leaving:
        own = _PROXMOX.search(before)
        return ((own[1] or own[2]).lower() if own else ""), before
    return ("in" if entering else "out" if leaving else ""), before


def _said(before: str) -> str:
    found = _VYOS.search(before[-16:].rstrip())
    if found:
        return "accept" if found[1] == "A" else "drop"
    return before.rpartition("kernel:")[2]


def _quoted(line: str) -> dict[str, str] | None:
    """The packet that an ICMP error is about."""
    told = _packet(_pairs(line.partition("[SRC=")[2].partition("]")[0].join(("SRC=", "")))[0])
    return told.line(line, "").fields if told else None


def _arp(line: str) -> Line | None:
    return no_ip(line, "kernel log", _direction(line[: line.find("IPSRC=")])[0]) if " ARP " in line else None


def _ebtables(line: str) -> Line | None:
    """ebtables --log-ip: “… proto = 0x0800 IP SRC=… IP DST=…, IP tos=0x00, IP proto=6 SPT=… DPT=…”."""
    found = _EBTABLES.search(line)
    if not found:
        return None
    source, destination, number = filter(None, found.groups())
    ports = _EBTABLES_PORTS.search(line)
    source_port, port = ports.groups() if ports else ("", "")
    return Told(number, source, destination.rstrip(","), port, source_port).line(line, "ebtables log")


# ── nft monitor trace ─────────────────────────────────────────────────────────

_TRACE = re.compile(r"trace id [0-9a-f]+ (\w+) (\S+) (\S+) (\w+)")
_TRACE_ENDS = re.compile(r"\b(ip6?) saddr (\S+) ip6? daddr (\S+)")
_TRACE_PROTOCOL = re.compile(r"\b(?:ip protocol|ip6 nexthdr|meta l4proto) (\S+)")
_TRACE_PORTS = re.compile(r"\b(tcp|udp|sctp|udplite|dccp) sport (\S+) \1 dport (\S+)")
_TRACE_FLAGS = re.compile(r"\btcp flags(?: ==)? \(?((?:0x[0-9a-f]+|[a-z]+)(?: ?[|,] ?[a-z]+)*)")
_TRACE_ICMP = re.compile(r"\bicmp(?:v6)? type ([\w-]+)")
# The chains of our own table are the VM's; those of an IP table tell it by the interface alone.
_OWN_CHAIN = re.compile(r"vm\.\S+\.(in|out)\Z")
_TRACE_OTHER = (
    "This line of “nft monitor trace” says what a rule did with the packet, not what the packet is: "
    "paste the line of the same trace id that has “packet:” in it."
)


def read_trace(line: str) -> Line | None:
    head = _TRACE.search(line) if "trace id " in line else None
    if not head:
        return None
    if " packet: " not in line:
        return Line(line, {}, kind="nftables trace", advice=_TRACE_OTHER)
    direction = _trace_direction(line, head[1], head[3])
    ends = _TRACE_ENDS.search(line)
    if not ends:
        return no_ip(line, "nftables trace", direction)
    ports, icmp, flags = _TRACE_PORTS.search(line), _TRACE_ICMP.search(line), _TRACE_FLAGS.search(line)
    name, source_port, port = ports.groups() if ports else (_trace_protocol(line, icmp), "", "")
    told = Told(name, ends[2], ends[3], port, source_port, direction)
    told.icmp = ICMP_TYPES[ends[1] == "ip6"].get(icmp[1]) if icmp else None
    told.flags = _trace_flags(flags[1]) if flags else None
    return told.line(line, "nftables trace")


def _trace_protocol(line: str, icmp: re.Match[str] | None) -> str:
    said = _TRACE_PROTOCOL.search(line)
    return said[1] if said else "icmp" if icmp else ""


def _trace_direction(line: str, family: str, chain: str) -> str:
    own = _OWN_CHAIN.match(chain)
    if own:
        return own[1]
    if family in ("bridge", "netdev"):
        return ""  # a bridge's interface may be the VM's or the world's
    entering, leaving = ' iif "' in line, ' oif "' in line
    return "" if entering == leaving else "in" if entering else "out"


def _trace_flags(text: str) -> frozenset[str]:
    if text.startswith("0x"):
        return flags_of_number(int(text[:6], 16))
    return frozenset(word for word in re.findall(r"[A-Z]+", text.upper()) if word in FLAGS)
