"""Opening a port: what is read, what is open already, and where a rule acts."""

import pytest

from securitygroups.firewall.notation import rule
from securitygroups.firewall.opening import closed_at, opened_by, opening_rules, with_opened
from securitygroups.firewall.several import read_services
from securitygroups.firewall.values import Refused, parse_network


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("443", [("tcp", 443, 443)]),
        ("https, 80", [("tcp", 443, 443), ("tcp", 80, 80)]),
        ("80,443,80", [("tcp", 80, 80), ("tcp", 443, 443)]),
        ("8000-8100", [("tcp", 8000, 8100)]),
        ("53/udp", [("udp", 53, 53)]),
        ("udp 53", [("udp", 53, 53)]),
        ("dns", [("udp", 53, 53), ("tcp", 53, 53)]),
        ("WireGuard", [("udp", 51820, 51820)]),
        ("Ping", [("icmp", None, None)]),
        ("ssh ping", [("tcp", 22, 22), ("icmp", None, None)]),
        ("22 (SSH)", [("tcp", 22, 22)]),
    ],
)
def test_services_and_ports_are_read_as_people_type_them(typed: str, read: list[object]) -> None:
    assert list(read_services(typed)) == read


@pytest.mark.parametrize(
    ("typed", "offers"),
    [
        ("90-80", ("80-90",)),
        ("443, 90-80", ("443, 80-90",)),
        ("http5", ()),
        ("70000", ()),
        ("all", ()),
        ("1024-", ("1024-65535",)),
    ],
)
def test_what_is_no_port_is_refused_with_what_to_type(typed: str, offers: tuple[str, ...]) -> None:
    with pytest.raises(Refused) as refused:
        read_services(typed)

    assert refused.value.problem.suggestions == offers


def test_each_service_is_opened_for_each_source_and_named() -> None:
    rules = opening_rules(read_services("https, 8000-8100"), [parse_network("192.0.2.0/24"), None])

    assert [(one.source is None, one.port_start, one.port_end, one.description) for one in rules] == [
        (False, 443, 443, "HTTPS"),
        (False, 8000, 8100, ""),
        (True, 443, 443, "HTTPS"),
        (True, 8000, 8100, ""),
    ]


def test_more_rules_than_fit_at_once_are_refused() -> None:
    with pytest.raises(Refused):
        opening_rules([("tcp", port, port) for port in range(101)], [None])


def test_it_is_open_already_only_by_a_rule_that_takes_all_of_it_before_any_drop() -> None:
    web = rule("accept in tcp 443")

    assert opened_by([rule("accept in udp 53"), rule("accept in tcp 80-500")], web) == 2
    assert opened_by([rule("accept in tcp 443 from 192.0.2.0/24")], web) is None
    assert opened_by([rule("drop in tcp 443"), web], web) is None
    assert opened_by([rule("drop in ip from 192.0.2.0/24"), web], web) is None
    assert opened_by([rule("drop out all"), web], web) == 2
    assert opened_by([], web) is None


def test_it_stands_above_what_drops_all_of_it_and_below_what_drops_a_part() -> None:
    abuse, closing, web = rule("drop in ip from 192.0.2.0/24"), rule("drop in all"), rule("accept in tcp 443")

    assert with_opened((abuse, closing), (web,)) == (abuse, web, closing)
    assert with_opened((abuse,), (web,)) == (abuse, web)
    assert closed_at((abuse, rule("drop out all")), (web,)) == 2
