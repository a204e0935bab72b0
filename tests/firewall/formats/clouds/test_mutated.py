"""Files that were damaged or made to hurt: each is read or refused in words, in bounded time and memory."""

import json
import random
from typing import Any

import pytest

from securitygroups.firewall.formats.documents import MAX_DOCUMENT_BYTES
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.formats.systems import read_file
from tests.effort import at_most
from tests.firewall.formats.clouds.proof import Case, written
from tests.firewall.formats.clouds.test_proof import CASES

JUNK: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    65536,
    10**30,
    1.5,
    "",
    "*",
    "x" * 500,
    "é\u202e",
    "0.0.0.0",
    "10.0.0.1/8",
    [],
    [None],
    {},
    {"a": {}},
    [[[]]],
)


def tried(data: bytes) -> bool:
    """Whether it is read. A refusal has words, and nothing else is raised."""
    try:
        reading = read_file(data)
    except BadDocument as refused:
        assert all(fault.problem.message for fault in refused.faults)
        return False
    assert not [rule for group in reading.groups for rule in group.rules if rule.problems()]
    return True


def damaged(rng: random.Random, value: Any) -> Any:
    """The value with one thing in it changed, taken out or doubled."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.2:
        return rng.choice(JUNK)
    copy = dict(value) if isinstance(value, dict) else list(value)
    place = rng.choice(list(copy) if isinstance(copy, dict) else range(len(copy)))
    way = rng.random()
    if way < 0.1:
        del copy[place]
    elif way < 0.15 and isinstance(copy, dict):
        copy["somethingNew"] = rng.choice(JUNK)
    else:
        copy[place] = damaged(rng, copy[place])
    return copy


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_damaged_file_is_read_or_refused(case: Case) -> None:
    rng = random.Random(f"{case.name} damaged")
    read = 0

    for _ in range(150):
        source = case.anything(rng)
        if isinstance(source, str):
            at = rng.randrange(len(source))
            data = (
                source[:at] + rng.choice(("", ",", '"', "\n", "x", "\x00")) + source[at + rng.randint(0, 3) :]
            ).encode()
        else:
            data = written(damaged(rng, source))
        read += tried(data)

    assert 0 < read < 150


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_bytes_cut_off_or_turned_are_read_or_refused(case: Case) -> None:
    rng = random.Random(f"{case.name} bytes")

    for _ in range(40):
        data = bytearray(written(case.anything(rng)))
        if rng.random() < 0.5:
            data[rng.randrange(len(data))] = rng.randrange(256)
        else:
            del data[rng.randrange(len(data)) :]
        tried(bytes(data))


def filled(one: str, before: str, after: str) -> bytes:
    many = (MAX_DOCUMENT_BYTES - len(before) - len(after)) // (len(one) + 1)
    return (before + ",".join([one] * many) + after).encode()


ALIKE = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
NSG = {
    "direction": "Inbound",
    "priority": 1,
    "sourcePortRange": "*",
    "destinationPortRange": "*",
    "destinationAddressPrefix": "*",
}
HOSTILE = {
    "a list of nothing": filled("[]", "[", "]"),
    "objects of nothing": filled('{"a":1}', "[", "]"),
    "deep": b"[" * 400_000 + b"]" * 400_000,
    "deep modules": b'{"terraform_version":"1","values":{"root_module":' + b'{"child_modules":[' * 300 + b"{}" + b"]}" * 300 + b"}}",
    "permissions without end": filled(json.dumps(ALIKE), '{"SecurityGroups":[{"GroupName":"x","IpPermissions":[', "]}]}"),
    "one permission for everybody": filled(
        '{"CidrIp":"10.0.0.0/8"}', '{"SecurityGroups":[{"GroupName":"x","IpPermissions":[{"IpProtocol":"-1","IpRanges":[', "]}]}]}"
    ),
    "networks by ports": json.dumps(
        {"name": "n", "securityRules": [{**NSG, "access": "Allow", "protocol": "Tcp", "destinationPortRange": None,
         "sourceAddressPrefixes": ["10.0.0.0/8"] * 100_000, "destinationPortRanges": ["22"] * 100_000}]}
    ).encode(),
    "bars by accepts": json.dumps(
        {"name": "n", "securityRules": [
            {**NSG, "access": access, "protocol": "Esp" if access == "Deny" else "*", "sourceAddressPrefixes": [f"10.{one % 256}.0.0/16"] * 20}
            for access in ("Deny", "Allow") for one in range(4_500)
        ]}
    ).encode(),
    "targets by rules": json.dumps(
        [{"name": "r", "network": "n", "allowed": [{"IPProtocol": "tcp"}], "targetTags": [f"t{one}"]} for one in range(9_000)]
    ).encode(),
    "groups of one name": filled('{"GroupName":"x","IpPermissions":[]}', '{"SecurityGroups":[', "]}"),
    "rules by groups of Terraform": json.dumps(
        {"version": 4, "resources": [
            {"type": f"azurerm_network_security_{kind}", "name": "r", "instances": [
                {"attributes": {"name": f"n{one % 7}", "network_security_group_name": "n1", **NSG, "access": "Allow"}}
            for one in range(18_000)]}
        for kind in ("group", "rule")]}
    ).encode(),
    "references of a plan": json.dumps(
        {"terraform_version": "1", "planned_values": {"root_module": {"resources": [
            {"address": f"{kind}.r[{one}]", "type": kind, "values": {}}
            for kind in ("aws_security_group", "aws_security_group_rule") for one in range(9_000)
        ]}},
         "configuration": {"root_module": {"resources": [{"address": "aws_security_group_rule.r", "expressions": {
             "security_group_id": {"references": ["aws_security_group.r[8]"] * 9_000}}}]}}}
    ).encode(),
    "rules in groups of one name": filled(json.dumps({"GroupName": "x", "IpPermissions": [ALIKE]}), '{"SecurityGroups":[', "]}"),
    "a header without end": b"@uuid,interface," + b"a," * 2_000_000,
    "pairs of OpenStack": json.dumps({"name": "x", "rules": "ethertype=" + "a='" * 2_000_000}).encode(),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_costs_no_more_than_a_moment(name: str) -> None:
    # A second or two; what is bounded by nothing takes minutes.
    with at_most(10):
        tried(HOSTILE[name])
