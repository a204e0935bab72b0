"""What programs print when they do not reach something: the destination is told, the source is the machine they ran on."""

import re

from securitygroups.firewall.lines.line import Line, is_address, packet_fields, protocol_number

_HOST = r"[\"'/(\[]?(?P<host>[0-9A-Za-z][\w.:-]{0,99}?)[\"')\]]?"
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        # ssh, curl, nc, psql, PowerShell
        (
            rf"\b[Cc]onnect(?:ion)? to (?:host |server at )?{_HOST}(?: \((?P<address>[^()]{{1,60}})\))?,? port (?P<port>\d{{1,5}})\b(?: \((?P<name>tcp|udp)\))?"
            r"(?: from (?P<source>[0-9A-Fa-f.:]+) port \d+)?"
        ),
        rf"\bConnection to {_HOST}(?: \([^()]{{1,60}}\))? (?P<port>\d{{1,5}}) port \[(?P<name>tcp|udp)/",
        r"\bTCP connect to \((?P<host>[\w.:-]{1,99}?) : (?P<port>\d{1,5})\)",
        r"\(UNKNOWN\) \[(?P<host>[0-9A-Fa-f.:]+)\] (?P<port>\d{1,5}) \(",
        # Node.js, Go, Java, Python
        rf"\bE(?:TIMEDOUT|CONNREFUSED|CONNRESET|HOSTUNREACH|NETUNREACH) {_HOST}:(?P<port>\d{{1,5}})\b",
        rf"\bdial (?P<name>tcp|udp)[46]? {_HOST}:(?P<port>\d{{1,5}}): ",
        r"\b(?:timed out|refused)[^/]{0,60}/(?P<host>[0-9A-Fa-f.:]+):(?P<port>\d{1,5})\b",
        r"\bhost='(?P<host>[\w.:-]{1,99})', port=(?P<port>\d{1,5})\b",
        # nginx
        r"\bconnecting to upstream\b.{0,900}\bupstream: \"https?://\[?(?P<host>[\w.:-]{1,99}?)\]?:(?P<port>\d{1,5})[/\"]",
    )
)
_SIGN = re.compile(r"onnect|E(?:TIMEDOUT|HOSTUNREACH|NETUNREACH)|UNKNOWN|\bdial |timed out|refused|host='")
_NO_SOURCE = (
    "The line tells where a connection was to go, not from where: type the address of the machine that printed it."
)
_NAME = "The line has the name of a host instead of its address: look it up (“getent hosts NAME”), and type it as the destination."


def read_failure(line: str) -> Line | None:
    """“ssh: connect to host 10.0.0.5 port 22: Connection timed out”, and its kin."""
    if not _SIGN.search(line):
        return None
    found = next((found for pattern in _PATTERNS if (found := pattern.search(line))), None)
    if not found:
        return None
    told = found.groupdict("")
    if is_address(told.get("address", "")):
        told["host"] = told["address"]
    if not is_address(told["host"]):
        return Line(line, {}, kind="error message", advice=_NAME)
    number = protocol_number(told.get("name") or "tcp")
    fields = packet_fields(number, told.get("source", ""), told["host"], told["port"])
    if is_address(fields["source"]):
        return Line(line, fields, kind="error message")
    del fields["source"]
    return Line(line, fields, kind="error message", advice=_NO_SOURCE)
