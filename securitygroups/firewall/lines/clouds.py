"""Records of the clouds' flow logs: of a VPC in any version, and Azure's tuples. What is JSON is read as such."""

import re
from itertools import pairwise

from securitygroups.firewall.lines.line import (
    Line,
    Told,
    digits,
    flags_of_number,
    is_address,
)

_FIELDS = {
    "version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes",
    "start", "end", "action", "log-status", "vpc-id", "subnet-id", "instance-id", "tcp-flags", "type", "pkt-srcaddr",
    "pkt-dstaddr", "region", "az-id", "sublocation-type", "sublocation-id", "pkt-src-aws-service",
    "pkt-dst-aws-service", "flow-direction", "traffic-path", "reject-reason", "resource-id", "ecs-cluster-arn",
    "ecs-cluster-name", "ecs-container-instance-arn", "ecs-container-instance-id", "ecs-container-id",
    "ecs-second-container-id", "ecs-service-name", "ecs-task-definition-arn", "ecs-task-arn", "ecs-task-id",
    "encryption-status", "vswitch-id", "vm-id", "eni-id", "direction",
}  # fmt: skip
_USUAL = (
    *("version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport"),
    *("protocol", "packets", "bytes", "start", "end", "action", "log-status"),
)
# The longest first: of “log-status2”, which is a header and a record run together, the name is log-status.
_NAME = re.compile("|".join(sorted(map(re.escape, _FIELDS), key=len, reverse=True)))
_NEWER = re.compile(r"[a-z]+(?:[-_][a-z]+)+")
"""Names of fields that are not known here."""
_SIGNS = ("ACCEPT", "REJECT", "NODATA", "SKIPDATA", "tgw-attach-")
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
    if not any(map(line.__contains__, _SIGNS)):
        return None
    words = line.replace('","', " ").replace('"', "").split() if '"2","' in line else line.split()
    for at in range(min(6, len(words) - 13)):
        if _is_usual(words[at : at + 14]):
            told = dict(zip(_USUAL, words[at:], strict=False))
            return _record(line, told | _behind(words[at + 14 :]))
    if not any(word.startswith(("eni-", "vpc-", "subnet-", "tgw-")) for word in words):
        return None
    return _of_its_own(line, words)


def _is_usual(words: list[str]) -> bool:
    """version, account, interface, four ends, protocol, two counts, two times, action, status."""
    version, _, interface, source, destination, *_, number = words[:8]
    ends = source == "-" or (is_address(source) and is_address(destination) and number.isdecimal())
    known = words[12] in ("ACCEPT", "REJECT", "-") and words[13] in ("OK", "NODATA", "SKIPDATA")
    return ends and known and version.isdecimal() and len(version) <= 2 and interface.startswith(("eni-", "-"))


def _behind(words: list[str]) -> dict[str, str]:
    """What stands behind the usual fields and cannot be anything else."""
    told = {"flow-direction": next((word for word in words if word in _DIRECTIONS), "")}
    for flags, kind in pairwise(words):
        if flags.isdecimal() and kind in ("IPv4", "IPv6", "EFA"):
            told["tcp-flags"] = flags
    return told


def _headed(line: str) -> Line | None:
    words = re.split(r"[\s,]+", line.replace("${", "").replace("}", ""))
    names, values = _split(words)
    names = names if "srcaddr" in names else [name.removeprefix("pkt-") for name in names]
    if not {"srcaddr", "dstaddr"} <= set(names):
        return None
    if not values:
        return Line(line, {}, kind=_KIND, advice=_ONLY_HEADER)
    # CloudWatch puts a time before each record.
    return _record(line, dict(zip(names, values[max(0, len(values) - len(names)) :], strict=False)))


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """The names of a header, and the record behind it, which may be run together with the last of them."""
    names: list[str] = []
    for at, word in enumerate(words):
        name = _NAME.match(word.replace("_", "-"))
        if name:
            names.append(name[0])
        elif names and _NEWER.fullmatch(word):
            names.append(word)
        elif names:
            return names, words[at:]
        if name and (rest := word[name.end() :]):
            return names, [rest, *words[at + 1 :]]
    return names, []


def _record(line: str, told: dict[str, str]) -> Line:
    source, destination = told.get("srcaddr", "-"), told.get("dstaddr", "-")
    if not is_address(source) or not is_address(destination):
        status = told.get("log-status", "-").replace("-", "no addresses")
        return Line(line, {}, kind=_KIND, advice=_NO_TRAFFIC.format(status))
    packet = Told(told.get("protocol"), source, destination, digits(told.get("dstport", "")), told.get("srcport", ""))
    way = told.get("direction", "")
    packet.direction = way if way in ("in", "out") else _DIRECTIONS.get(told.get("flow-direction", ""), "")
    packet.flags = _flags(told.get("tcp-flags", ""))
    packet.said = told.get("action", "")
    return packet.line(line, _KIND)


def _flags(text: str) -> frozenset[str] | None:
    """Of a flow: SYN alone is the side that opened it, SYN and ACK the other; without a SYN nothing is told."""
    flags = flags_of_number(int(text[:3])) if text.isdecimal() else frozenset[str]()
    return flags & {"SYN", "ACK"} if "SYN" in flags else None


def _of_its_own(line: str, words: list[str]) -> Line:
    """A custom format without its header: read where addresses stand twice, as the packet's own, with ports between."""
    for at in range(len(words) - 6):
        source, destination, source_port, port, *twice, number = words[at : at + 7]
        told = {"srcaddr": source, "dstaddr": destination, "srcport": source_port, "dstport": port, "protocol": number}
        numbers = source_port.isdecimal() and port.isdecimal() and number.isdecimal()
        if numbers and twice == [source, destination] and is_address(source):
            rest = words[at + 7 :]
            if not (verdict := _verdict(rest)):
                break  # there is none behind later words either
            return _record(line, told | _behind(rest) | verdict)
    return Line(line, {}, kind=_KIND, advice=_NEEDS_HEADER)


def _verdict(words: list[str]) -> dict[str, str]:
    """“ACCEPT 2 OK”: the flags of TCP stand between the two."""
    for at, word in enumerate(words):
        if word in ("ACCEPT", "REJECT"):
            return {"action": word, "tcp-flags": words[at + 1] if words[at + 2 : at + 3] == ["OK"] else ""}
    return {}


_REQUEST = re.compile(
    r"\b(TCP|UDP|ICMP|HTTPS?|MSSQL)(?: Type=(\d{1,3}))? request from ([0-9A-Fa-f.:]{2,45}?):(\d{0,5}) to ([\w.:-]{1,253}?):(\d{0,5})"
    r"(?: was DNAT'ed to ([0-9A-Fa-f.:]{2,45}?):(\d{1,5}))?(?=[\s.\"]|\Z)"
)
_HOST = (
    "The line of Azure Firewall has the name of a host instead of the address that the packet went to: look it up, and "
    "type it as the destination."
)


def read_azure_firewall(line: str) -> Line | None:
    """“TCP request from 10.0.0.5:51515 to 198.51.100.7:443. Action: Deny.”, alone or in its JSON."""
    found = _REQUEST.search(line) if " request from " in line else None
    if not found:
        return None
    name, icmp, source, source_port, destination, port, translated, to_port = found.groups("")
    if not is_address(destination):
        return Line(line, {}, kind="Azure Firewall", advice=_HOST)
    name = name if name in ("UDP", "ICMP") else "TCP"
    # What the rules of the VM see is the address behind the translation.
    told = Told(name, source, translated or destination, to_port or port, source_port, icmp=icmp)
    told.said = line.partition("Action: ")[2][:6]
    return told.line(line, "Azure Firewall")


_AZURE = re.compile(
    r"(?<![\d.])(?:\d{10}|\d{13}),([0-9A-Fa-f.:]{2,45}),([0-9A-Fa-f.:]{2,45}),(\d{1,5}),(\d{1,5}),([TU]|\d{1,3}),([IO]),([ADBCE])\b"
)


def read_azure(line: str) -> Line | None:
    """A tuple of an NSG or VNet flow log, alone or in its JSON: time, source, destination, ports, protocol, direction, verdict."""
    found = _AZURE.search(line) if ",I," in line or ",O," in line else None
    if not found:
        return None
    source, destination, source_port, port, name, way, said = found.groups()
    told = Told({"T": "tcp", "U": "udp"}.get(name, name), source, destination, port, source_port)
    told.direction = {"I": "in", "O": "out"}[way]
    told.said = "deny" if said == "D" else "allow"
    more = len(_AZURE.findall(line))
    told.advice = f"The line has {more} flows: this is the first." if more > 1 else ""
    return told.line(line, "Azure flow log")
