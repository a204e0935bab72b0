"""Lines of the kernel's own log: iptables' LOG, nftables' log, ufw, firewalld, Proxmox."""

import re

from securitygroups.firewall.lines.line import Line, packet_fields, protocol_number

_PAIR = re.compile(r"\b(SRC|DST|PROTO|SPT|DPT|IN|OUT)=(\S*)")


def read_kernel(line: str) -> Line | None:
    if "SRC=" not in line or "DST=" not in line:
        return None
    pairs: dict[str, str] = {}
    for name, text in _PAIR.findall(line):
        pairs.setdefault(name, text)  # an ICMP error quotes the packet that it is about behind its own
    if not pairs.get("SRC") or not pairs.get("DST"):
        return None
    number = protocol_number(pairs.get("PROTO", ""))
    fields = packet_fields(number, pairs["SRC"], pairs["DST"], pairs.get("DPT", ""))
    if number is None:
        fields.pop("port", None)
    return Line(line, fields, pairs.get("SPT", ""), kind="kernel log")
