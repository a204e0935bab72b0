"""Records of the clouds' flow logs: of a VPC in any version, and Azure's tuples. What is JSON is read as such."""

import re
from itertools import pairwise

from securitygroups.firewall.lines.line import (
    Line,
    flags_of_number,
    is_address,
    packet_fields,
    protocol_number,
)

_FIELDS = {
    "version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes",
    "start", "end", "action", "log-status", "vpc-id", "subnet-id", "instance-id", "tcp-flags", "type", "pkt-srcaddr",
    "pkt-dstaddr", "region", "az-id", "sublocation-type", "sublocation-id", "pkt-src-aws-service",
    "pkt-dst-aws-service", "flow-direction", "traffic-path", "reject-reason", "resource-id", "ecs-cluster-arn",
    "ecs-cluster-name", "ecs-container-instance-arn", "ecs-container-instance-id", "ecs-container-id",
    "ecs-second-container-id", "ecs-service-name", "ecs-task-definition-arn", "ecs-task-arn", "ecs-task-id",
    "encryption-status",
}  # fmt: skip
_USUAL = (
    *("version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport"),
    *("protocol", "packets", "bytes", "start", "end", "action", "log-status"),
)
# The longest first: of “log-status2”, which is a header and a record run together, the name is log-status.
_NAME = re.compile("|".join(sorted(map(re.escape, _FIELDS), key=len, reverse=True)))
_KIND = "VPC flow log"
_NEEDS_HEADER = (
    "This is a record of a VPC flow log with fields of its own choice: paste its header line before it "
    "(“version account-id interface-id srcaddr …”), by which its fields are known."
)
_ONLY_HEADER = "This is the header of a VPC flow log: paste a record behind it."
_NO_TRAFFIC = "This record of a VPC flow log says {}, so there is no packet in it: paste one with addresses."
_DIRECTIONS = {"ingress": "in", "egress": "out"}


def read_vpc(line: str) -> Line | None:
    if "srcaddr" in line and "dstaddr" in line:
        return _headed(line)
    if "ACCEPT" not in line and "REJECT" not in line and "NODATA" not in line and "SKIPDATA" not in line:
        return None
    words = line.split()
    for at, word in enumerate(words[:6]):
        if len(words) >= at + 14 and word.isdecimal() and _is_usual(words[at : at + 14]):
            told = dict(zip(_USUAL, words[at:], strict=False))
            return _record(line, told | _behind(words[at + 14 :]))
    if not any(word.startswith(("eni-", "vpc-", "subnet-")) for word in words):
        return None
    return _of_its_own(line, words)


def _is_usual(words: list[str]) -> bool:
    """version, account, interface, four ends, protocol, two counts, two times, action, status."""
    return (
        len(words[0]) <= 2
        and words[2].startswith(("eni-", "-"))
        and words[12] in ("ACCEPT", "REJECT", "-")
        and words[13] in ("OK", "NODATA", "SKIPDATA")
        and (words[3] == "-" or (is_address(words[3]) and is_address(words[4]) and words[7].isdecimal()))
    )


def _behind(words: list[str]) -> dict[str, str]:
    """What stands behind the usual fields and cannot be anything else."""
    told = {"flow-direction": next((word for word in words if word in _DIRECTIONS), "")}
    for flags, kind in pairwise(words):
        if flags.isdecimal() and kind in ("IPv4", "IPv6", "EFA"):
            told["tcp-flags"] = flags
    return told


def _headed(line: str) -> Line | None:
    names: list[str] = []
    words = re.split(r"[\s,]+", line.replace("${", "").replace("}", ""))
    values: list[str] = []
    for at, word in enumerate(words):
        name = _NAME.match(word.replace("_", "-"))
        if not name:
            if names:
                values = words[at:]
                break
            continue
        names.append(name[0])
        if rest := word[name.end() :]:
            values = [rest, *words[at + 1 :]]
            break
    if not {"srcaddr", "dstaddr"} <= set(names):
        return None
    if not values:
        return Line(line, {}, kind=_KIND, advice=_ONLY_HEADER)
    # CloudWatch puts a time before each record.
    return _record(line, dict(zip(names, values[max(0, len(values) - len(names)) :], strict=False)))


def _record(line: str, told: dict[str, str]) -> Line:
    source, destination = told.get("srcaddr", "-"), told.get("dstaddr", "-")
    if not is_address(source) or not is_address(destination):
        status = told.get("log-status", "-")
        return Line(line, {}, kind=_KIND, advice=_NO_TRAFFIC.format(status if status != "-" else "no addresses"))
    number = protocol_number(told.get("protocol", ""))
    direction = _DIRECTIONS.get(told.get("flow-direction", ""), "")
    port = told.get("dstport", "")
    return Line(
        line,
        packet_fields(number, source, destination, port if port.isdecimal() else "", direction),
        told.get("srcport", ""),
        _flags(told.get("tcp-flags", "")) if number == 6 else None,
        {"ACCEPT": "accept", "REJECT": "drop"}.get(told.get("action", ""), ""),
        _KIND,
    )


def _flags(text: str) -> frozenset[str] | None:
    """Of a flow: SYN alone is the side that opened it, SYN and ACK the other; without a SYN nothing is told."""
    flags = flags_of_number(int(text)) if text.isdecimal() and len(text) < 4 else frozenset[str]()
    if "SYN" not in flags:
        return None
    return frozenset({"SYN", "ACK"}) if "ACK" in flags else frozenset({"SYN"})


def _of_its_own(line: str, words: list[str]) -> Line:
    """A custom format without its header: read where addresses stand twice, as the packet's own, with ports between."""
    for at in range(len(words) - 6):
        source, destination, from_port, port, again, behind, number = words[at : at + 7]
        ends = is_address(source) and is_address(destination)
        if ends and from_port.isdecimal() and port.isdecimal() and (again, behind) == (source, destination):
            told = {
                "srcaddr": source,
                "dstaddr": destination,
                "srcport": from_port,
                "dstport": port,
                "protocol": number,
            }
            rest = words[at + 7 :]
            verdict = next((at for at, word in enumerate(rest) if word in ("ACCEPT", "REJECT")), None)
            if number.isdecimal() and verdict is not None:
                # “ACCEPT 2 OK”: the flags of TCP stand between the two.
                flags = rest[verdict + 1] if rest[verdict + 2 : verdict + 3] == ["OK"] else ""
                return _record(line, told | _behind(rest) | {"action": rest[verdict], "tcp-flags": flags})
    return Line(line, {}, kind=_KIND, advice=_NEEDS_HEADER)


_AZURE = re.compile(
    r"(?<![\d.])(?:\d{10}|\d{13}),([0-9A-Fa-f.:]{2,45}),([0-9A-Fa-f.:]{2,45}),(\d{1,5}),(\d{1,5}),([TU]|\d{1,3}),([IO]),([ADBCE])\b"
)


def read_azure(line: str) -> Line | None:
    """A tuple of an NSG or VNet flow log, alone or in its JSON: time, source, destination, ports, protocol, direction, verdict."""
    if ",I," not in line and ",O," not in line:
        return None
    found = _AZURE.search(line)
    if not found:
        return None
    source, destination, from_port, port, name, way, said = found.groups()
    number = {"T": 6, "U": 17}.get(name) or protocol_number(name)
    more = len(_AZURE.findall(line))
    return Line(
        line,
        packet_fields(number, source, destination, port, "in" if way == "I" else "out"),
        from_port,
        said="drop" if said == "D" else "accept",
        kind="Azure flow log",
        advice=f"The line has {more} flows: this is the first." if more > 1 else "",
    )
