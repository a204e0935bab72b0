"""Packets from lines that people paste: one table of readers, of which the first that knows the line reads it."""

from collections.abc import Callable
from dataclasses import replace

from securitygroups.firewall.lines.dumps import read_ends
from securitygroups.firewall.lines.kernel import read_kernel
from securitygroups.firewall.lines.line import Line, ServicePort, port_number

LONGEST = 2000
"""Characters of a line that are looked at."""

READERS: tuple[tuple[str, Callable[[str], Line | None]], ...] = (
    ("kernel log", read_kernel),
    ("source > destination", read_ends),
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
    line = line.strip()[:LONGEST]
    for _, read in READERS:
        found = read(line)
        if found is not None:
            return _numbered(found, service_port)
    return Line(line, {})


def _numbered(found: Line, service_port: ServicePort | None) -> Line:
    """With the number of the port where the line has its name."""
    port = found.fields.get("port")
    if not port or port.isdigit():
        return found
    number = port_number(port, found.fields.get("protocol", ""), service_port)
    return replace(found, fields=found.fields | {"port": number})


__all__ = ["READERS", "Line", "ServicePort", "parse_line", "port_number", "read_line"]
