"""What hosts told of packets, put together: senders in few networks, and narrower rules."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securitygroups.answers.narrowing import narrower
from securitygroups.answers.seen import NETWORKS, Peers, networks_of
from tests.factories import rule


@pytest.mark.parametrize(
    ("addresses", "networks"),
    [
        ([], []),
        (["203.0.113.7"], ["203.0.113.7"]),
        (["203.0.113.9", "203.0.113.7", "203.0.113.7"], ["203.0.113.7", "203.0.113.9"]),
        ([f"203.0.113.{last}" for last in range(8)], ["203.0.113.0/31", "203.0.113.2/31", "203.0.113.4/31", "203.0.113.6/31"]),
        (
            ["10.0.0.1", "10.0.0.2", "10.0.0.9", "192.0.2.1", "198.51.100.7", "2001:db8::1"],
            ["10.0.0.0/28", "192.0.2.1", "198.51.100.7", "2001:db8::1"],
        ),
    ],
)  # fmt: skip
def test_senders_are_put_together_in_few_networks(addresses: list[str], networks: list[str]) -> None:
    assert networks_of(addresses) == networks


@given(st.lists(st.ip_addresses().map(str), max_size=30))
def test_every_sender_lies_in_one_of_few_networks(addresses: list[str]) -> None:
    found = [ip_network(text) for text in networks_of(addresses)]

    assert len(found) <= NETWORKS
    assert all(any(ip_address(text) in one for one in found) for text in addresses)


@pytest.mark.parametrize(
    ("said", "ports", "fields"),
    [
        ("accept in tcp 22", (22,), {"source": "203.0.113.7, 203.0.113.9"}),
        ("accept in tcp", (22, 80), {"source": "203.0.113.7, 203.0.113.9", "port_start": "22", "port_end": "80"}),
        ("accept in tcp 1-1024 from 203.0.113.0/24", (22,), {"source": "203.0.113.7, 203.0.113.9", "port_start": "22", "port_end": ""}),
        ("accept out ip", (), {"destination": "203.0.113.7, 203.0.113.9"}),
        ("accept out all", (), None),
        ("drop in tcp 22", (22,), None),
        # Another family, or addresses outside the rule as it is now: seen of an older one.
        ("accept in tcp 22 from 2001:db8::/32", (22,), None),
        ("accept in tcp 22 from 198.51.100.0/24", (22,), None),
    ],
)  # fmt: skip
def test_a_rule_is_narrowed_to_what_was_seen(said: str, ports: tuple[int, ...], fields: dict[str, str] | None) -> None:
    assert narrower(rule(said), Peers(2, ("203.0.113.7", "203.0.113.9"), ports)) == fields


def test_a_rule_is_not_narrowed_where_not_all_was_read() -> None:
    assert narrower(rule("accept in tcp 22"), Peers(1, ("203.0.113.7",), (22,), is_cut=True)) is None
    assert narrower(rule("accept in tcp 22", enabled=False), Peers(1, ("203.0.113.7",), (22,))) is None
