"""Packets from lines that people paste: one table of readers, of which the first that knows the line reads it."""

from collections.abc import Callable
from dataclasses import replace

from securitygroups.firewall.lines import (
    appliances,
    cilium,
    clouds,
    dumps,
    failures,
    kernel,
    listed,
    others,
    pairs,
    pf,
    sharks,
)
from securitygroups.firewall.lines.line import (
    A_NETWORK,
    NAMES_NOT_NUMBERS,
    Line,
    ServicePort,
    digits,
    is_address,
    port_number,
)

_ENDS = ("source", "destination")
LONGEST = 2000
"""Characters of a line that are looked at."""
LONGEST_RECORD = 20_000
"""Those of a record of JSON."""
_CUT = f"Only the first {LONGEST:,} characters are looked at: paste one line, without what is not about the packet."
SHORTEST = 5
"""Characters of the shortest line that tells a packet: “::>::”."""

READERS: tuple[tuple[str, Callable[[str], Line | None]], ...] = (
    ("kernel log", kernel.read_kernel),
    ("pf filterlog", pf.read_filterlog),
    ("Windows firewall", others.read_windows),
    ("Windows event", others.read_event),
    ("nftables trace", kernel.read_trace),
    ("OVN", others.read_ovn),
    ("OpenStack log", others.read_neutron),
    ("Open vSwitch flow", others.read_datapath),
    ("conntrack", others.read_conntrack),
    ("Azure flow log", clouds.read_azure),
    ("Azure Firewall", clouds.read_azure_firewall),
    ("JSON", pairs.read_json),
    ("Cisco ASA", appliances.read_asa),
    ("Cisco IOS", appliances.read_ios),
    ("Juniper", appliances.read_junos),
    ("Palo Alto", appliances.read_palo_alto),
    ("MikroTik", appliances.read_mikrotik),
    ("NSX", appliances.read_nsx),
    ("ipfw", pf.read_ipfw),
    ("IP Filter", pf.read_ipmon),
    ("Cilium", cilium.read_cilium),
    ("Suricata fast.log", others.read_fast),
    ("VPC flow log", clouds.read_vpc),
    ("key=value", pairs.read_pairs),
    ("Zeek", others.read_zeek),
    ("tshark", sharks.read_shark),
    ("list of connections", listed.read_listed),
    ("error message", failures.read_failure),
    ("source > destination", dumps.read_ends),
    ("not IP", dumps.read_frame),
    ("columns", sharks.read_columns),
)
"""Each looks whether the line is one of its kind, first by a test that costs little, and gives None where it is not."""


def read_line(line: str, service_port: ServicePort | None = None) -> dict[str, str]:
    """The form's fields from a pasted line: "tcp 203.0.113.9 > 10.0.0.5:22", a tcpdump line, or a kernel log line with
    SRC= DST= PROTO= DPT=. Empty when nothing of the kind is in it; what the line does not tell is not in it either.

    tcpdump prints names of services after the machine that it runs on: `service_port` is asked for those that are not
    known here.
    """
    return parse_line(line, service_port).fields


def parse_line(line: str, service_port: ServicePort | None = None) -> Line:
    """The same with what else the line tells."""
    whole = line.strip()
    # Records of JSON are read in one go, however long.
    line = whole[: LONGEST_RECORD if whole.startswith("{") else LONGEST]
    found = _first(line) if len(line) <= LONGEST else pairs.read_json(line) or _first(line[:LONGEST])
    if found.kind == "JSON" and not found.fields:
        inner = (_first(text.strip()[:LONGEST]) for text in pairs.lines_in(line))
        found = next((one for one in inner if one.fields), found)
    found = _checked(found, service_port)
    return replace(found, advice=found.advice or _CUT) if len(line) < len(whole) else found


def _first(line: str) -> Line:
    """By the first reader that knows the line."""
    if len(line) >= SHORTEST:
        for _, read in READERS:
            if (found := read(line)) is not None:
                return found
    return Line(line, {})


def _checked(found: Line, service_port: ServicePort | None) -> Line:
    """With addresses that are some, without their zones, and the number of the port where the line has its name."""
    if not found.fields:
        return found
    fields = _with_addresses(found.fields)
    if fields is None:
        is_network = any("/" in found.fields.get(end, "") for end in _ENDS)
        advice = A_NETWORK if is_network else NAMES_NOT_NUMBERS.format("without resolving names")
        return replace(found, fields={}, opener=None, answer="", advice=advice)
    fields, opener = _numbered(fields, service_port), found.opener
    if opener and (opener := _with_addresses(opener)):
        opener = _numbered(opener, service_port)
    return found if fields is found.fields and opener is found.opener else replace(found, fields=fields, opener=opener)


def _with_addresses(fields: dict[str, str]) -> dict[str, str] | None:
    """The fields with addresses without their zones, None where an end is none."""
    for end in _ENDS:
        if not is_address(fields.get(end, "::")):
            fields = fields | {end: fields[end].partition("%")[0]}
            if not is_address(fields[end]):
                return None
    return fields


def _numbered(fields: dict[str, str], service_port: ServicePort | None) -> dict[str, str]:
    """With the port's number where it has a name."""
    port = fields.get("port", "")
    if not port or digits(port):
        return fields
    return fields | {"port": port_number(port, fields.get("protocol", ""), service_port)}


__all__ = ["READERS", "Line", "ServicePort", "parse_line", "port_number", "read_line"]
