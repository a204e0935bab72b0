"""What people typed for an address, and what they are offered: exactly what was meant, or nothing."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securitygroups.firewall.meant import meant
from securitygroups.firewall.values import (
    BITS,
    Network,
    Problem,
    Refused,
    machine_address,
    parse_address,
    parse_network,
)

CASES = Path(__file__).parents[1] / "cases" / "public"


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CASES / name).read_text().splitlines()]


def refusal(case: dict[str, Any]) -> Problem:
    text, family = case["text"], case.get("family")
    with pytest.raises(Refused) as caught:
        _ = machine_address(text, family) if family else parse_network(text)
    return caught.value.problem


@pytest.mark.parametrize("case", read("networks.jsonl"), ids=lambda case: ascii(case["text"]))
def test_what_is_typed_for_a_network_is_offered_as_what_was_meant(case: dict[str, Any]) -> None:
    problem = refusal(case)

    assert list(problem.suggestions) == case["offers"]
    assert case["says"] in problem.message
    assert all(parse_network(offer) for offer in problem.suggestions)


@pytest.mark.parametrize("case", read("machine_addresses.jsonl"), ids=lambda case: ascii(case["text"]))
def test_what_no_vm_can_have_is_refused_with_the_address_that_was_meant(case: dict[str, Any]) -> None:
    problem = refusal(case)

    assert list(problem.suggestions) == case["offers"]
    assert case["says"] in problem.message
    assert all(machine_address(offer, case["family"]) == offer for offer in problem.suggestions)


@pytest.mark.parametrize(
    ("family", "text", "kept"),
    [
        (4, " 10.0.0.5 ", "10.0.0.5"),
        (4, "203.0.113.0", "203.0.113.0"),
        (4, "100.64.0.7", "100.64.0.7"),
        (6, "2001:DB8:0::5", "2001:db8::5"),
        (6, "fd00::5", "fd00::5"),
    ],
)
def test_what_a_vm_can_have_is_kept_in_one_spelling(family: int, text: str, kept: str) -> None:
    assert machine_address(text, family) == kept


def _network(version: int, number: int, prefix: int) -> Network:
    bits = BITS[version]
    prefix = min(prefix, bits)
    return Network(version, (number % (1 << bits)) >> (bits - prefix) << (bits - prefix), prefix)


networks = st.builds(_network, st.sampled_from((4, 6)), st.integers(1 << 24, (1 << 128) - 1), st.integers(1, 128))
AROUND = ("", " ", ",", ";", ".", ")", '"', ">", ", ", "\u200b", "\u00a0", " # office", " (office)")


@settings(max_examples=400, deadline=None, database=None)
@given(networks, st.sampled_from(tuple(product(("", " ", '"', "(", "\u200e", "src=", "from "), AROUND))))
def test_whatever_stands_around_a_network_it_is_the_one_that_is_offered(
    network: Network, around: tuple[str, str]
) -> None:
    mapped = network.version == 6 and network.first >> 32 == 0xFFFF
    text = f"{around[0]}{network}{around[1]}"

    try:
        found = [parse_network(text)]
    except Refused as refused:
        found = [parse_network(offer) for offer in refused.problem.suggestions]

    assert mapped or found == [network]


@settings(max_examples=400, deadline=None, database=None)
@given(networks)
def test_a_range_that_is_a_network_is_offered_as_that(network: Network) -> None:
    ends = [
        str(Network(network.version, end, BITS[network.version])).partition("/")[0]
        for end in (network.first, network.last)
    ]

    found = meant(" - ".join(ends))

    assert found
    assert [parse_network(offer) for offer in found.offers] == [_as_carried(network)]


def _as_carried(network: Network) -> Network:
    """IPv4 addresses written as IPv6 come in packets of IPv4."""
    mapped = network.version == 6 and network.first >> 32 == 0xFFFF and network.prefix >= 96
    return Network(4, network.first & 0xFFFFFFFF, network.prefix - 96) if mapped else network


def test_a_range_of_ipv4_addresses_written_as_ipv6_is_offered_as_ipv4() -> None:
    found = meant("::ffff:203.0.113.0 - ::ffff:203.0.113.127")

    assert found
    assert found.offers == ("203.0.113.0/25",)


@pytest.mark.parametrize(
    "text", ["9" * 201, "(" * 5000, "1." * 5000, "[::" * 3000, "a-" * 5000, "0" * 100 + "/" + "9" * 99]
)
def test_long_nonsense_is_refused_at_once(text: str) -> None:
    for parse in (parse_network, parse_address):
        with pytest.raises(Refused, match="is not an IP address"):
            parse(text)
