"""Ports and addresses as people type them: ranges, services, lists, and what is no port at all."""

import pytest

from securitygroups.firewall.several import MOST, PortsRefused, as_typed, combined, read_networks, read_ports
from securitygroups.firewall.values import Refused, parse_network

Ranges = list[tuple[int | None, int | None]]


@pytest.mark.parametrize(
    ("start", "end", "ranges"),
    [
        ("", "", [(None, None)]),
        ("22", "", [(22, 22)]),
        ("22", "22", [(22, 22)]),
        ("80", "443", [(80, 443)]),
        ("80-443", "", [(80, 443)]),
        ("8000:8010", "", [(8000, 8010)]),
        ("80–90", "", [(80, 90)]),
        ("80 — 90", "", [(80, 90)]),
        ("80..90", "", [(80, 90)]),
        ("80 to 90", "", [(80, 90)]),
        ("22 - 22", "", [(22, 22)]),
        ("", "80-90", [(80, 90)]),
        ("80-90", "80-90", [(80, 90)]),
        ("80", "80-90", [(80, 90)]),
        ("https", "", [(443, 443)]),
        ("HTTPS", "", [(443, 443)]),
        ("", "ssh", [(22, 22)]),
        ("SQL Server", "", [(1433, 1433)]),
        ("ms-wbt-server", "", [(3389, 3389)]),
        ("443/tcp", "", [(443, 443)]),
        ("tcp/443", "", [(443, 443)]),
        ("22 (SSH)", "", [(22, 22)]),
        ("22,", "", [(22, 22)]),
        ("22,80,443", "", [(22, 22), (80, 80), (443, 443)]),
        ("22 80 443", "", [(22, 22), (80, 80), (443, 443)]),
        ("80-90, https", "", [(80, 90), (443, 443)]),
        ("22;22\n22", "", [(22, 22)]),
        ("90", "80", [(90, 80)]),  # for the protocol table to refuse, in its words
        ("", "22", [(None, 22)]),
        ("65536", "", [(65536, 65536)]),
    ],
)
def test_what_two_fields_say_together(start: str, end: str, ranges: Ranges) -> None:
    assert list(read_ports(start, end, "tcp")) == ranges


@pytest.mark.parametrize(
    ("typed", "words", "offers"),
    [
        ("2_2", "type 22", ("22",)),
        ("+22", "type 22", ("22",)),
        ("022", "type 22", ("22",)),
        ("٢٢", "type 22", ("22",)),
        ("２２", "type 22", ("22",)),
        ("22.0", "type 22", ("22",)),
        ("2 2", "a range such as 80-90", ()),
        ("22.5", "a service such as https", ()),
        ("1e3", "is not a port", ()),
        ("0x16", "is not a port", ()),
        ("-1", "is not a port", ()),
        ("22²", "is not a port", ()),
        ("9" * 30, "is not a port", ()),
        ("0" * 5000, "is not a port", ()),
        ("90-80", "Did you mean 80–90?", ("80-90",)),
        ("1024:", "type 1024-65535", ("1024-65535",)),
        (":1023", "type 0-1023", ("0-1023",)),
        ("any", "leave both fields empty", ()),
        ("ntp", "choose UDP as the protocol, or type 123", ("123",)),
        ("53/udp", "choose UDP as the protocol, or type 53", ("53",)),
        ("htps", "“htps” is not a port", ()),
    ],
)
def test_what_is_no_port_is_told_with_what_to_type(typed: str, words: str, offers: tuple[str, ...]) -> None:
    with pytest.raises(PortsRefused) as refused:
        read_ports(typed, "", "tcp")
    assert words in str(refused.value)
    assert (refused.value.field, refused.value.problem.suggestions) == ("port_start", offers)


def test_a_wrong_item_of_a_list_is_named_and_the_list_is_offered_with_it_mended() -> None:
    with pytest.raises(PortsRefused) as refused:
        read_ports("22, 8_0, 443", "", "tcp")
    assert "“8_0” is not a port" in str(refused.value)
    assert refused.value.problem.suggestions == ("22, 80, 443",)
    with pytest.raises(Refused) as refused_network:
        read_networks("198.51.100.7, 10.0.0.5/24")
    assert refused_network.value.problem.suggestions == ("198.51.100.7, 10.0.0.5/32", "198.51.100.7, 10.0.0.0/24")


def test_a_start_and_a_range_that_contradict_each_other_are_told_at_the_end() -> None:
    with pytest.raises(PortsRefused) as refused:
        read_ports("80-90", "443", "tcp")
    assert refused.value.field == "port_end"
    assert "clear the end port" in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "networks"),
    [
        ("", []),
        ("203.0.113.0/24", ["203.0.113.0/24"]),
        ("203.0.113.0/24,", ["203.0.113.0/24"]),
        ("198.51.100.0/25;", ["198.51.100.0/25"]),
        ("203.0.113.0/24, 198.51.100.0/24", ["203.0.113.0/24", "198.51.100.0/24"]),
        ("203.0.113.7\n2001:db8::/32\r\n203.0.113.7", ["203.0.113.7/32", "2001:db8::/32"]),
        ("203.0.113.7 203.0.113.8", ["203.0.113.7/32", "203.0.113.8/32"]),
    ],
)
def test_addresses_in_a_list(typed: str, networks: list[str]) -> None:
    assert [str(network) for network in read_networks(typed)] == networks


def test_an_address_with_its_mask_is_not_taken_for_two() -> None:
    try:
        networks = read_networks("203.0.113.0 255.255.255.0")
    except Refused:
        return
    assert [str(network) for network in networks] == ["203.0.113.0/24"]


def test_every_source_meets_every_range_and_no_two_families_meet() -> None:
    four, six = parse_network("203.0.113.0/24"), parse_network("2001:db8::/32")
    assert combined([four, six], [None], [(22, 22), (80, 90)]) == (
        (four, None, 22, 22),
        (four, None, 80, 90),
        (six, None, 22, 22),
        (six, None, 80, 90),
    )
    assert combined([four, six], [four, six], [(None, None)]) == ((four, four, None, None), (six, six, None, None))
    assert combined([four], [six], [(None, None)]) == ((four, six, None, None),), "refused at its field"


def test_more_than_a_hundred_at_once_are_refused_in_words() -> None:
    ranges = [(port, port) for port in range(MOST)]
    assert len(combined([None], [None], ranges)) == MOST
    with pytest.raises(Refused, match=f"These are {MOST + 1} rules, and {MOST} at once is the most"):
        combined([None], [None], [*ranges, (MOST, MOST)])


def test_a_single_port_is_shown_as_a_start_alone() -> None:
    assert [as_typed(None, None), as_typed(22, 22), as_typed(80, 90)] == [("", ""), ("22", ""), ("80", "90")]


@pytest.mark.parametrize(
    ("typed", "networks"),
    [
        ("203.0.113.0/24 and 198.51.100.0/24", ["203.0.113.0/24", "198.51.100.0/24"]),
        ('["203.0.113.0/24", "198.51.100.0/24"]', ["203.0.113.0/24", "198.51.100.0/24"]),
        ("{203.0.113.0/24,2001:db8::/32}", ["203.0.113.0/24", "2001:db8::/32"]),
        ("203.0.113.0/24 | 198.51.100.7", ["203.0.113.0/24", "198.51.100.7/32"]),
    ],
)
def test_a_list_is_read_as_programs_and_sentences_write_it(typed: str, networks: list[str]) -> None:
    assert [str(network) for network in read_networks(typed)] == networks


@pytest.mark.parametrize(
    ("typed", "offers"),
    [
        ("203.0.113.0, 255.255.255.0", ["203.0.113.0/24"]),
        ("203.0.113.0,24", ["203.0.113.0/24"]),
        ("203.0.113,7", ["203.0.113.7"]),
        ("203.0.113.0/24, office", ["203.0.113.0/24"]),
        ("203.0.113.0/24,22", ["203.0.113.0/24"]),
        ("203.0.113.7:80,443", ["203.0.113.7"]),
        ("203.0.113.0/24, but not the printer", []),
        ("203.0.113.1-203.0.113.6", ["203.0.113.1/32, 203.0.113.2/31, 203.0.113.4/31, 203.0.113.6/32"]),
        ("src=203.0.113.0/24, src=198.51.100.0/24", ["203.0.113.0/24, 198.51.100.0/24"]),
    ],
)
def test_of_a_list_nothing_is_offered_but_the_networks_that_stand_there(typed: str, offers: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        read_networks(typed)

    assert list(refused.value.problem.suggestions) == offers
    assert all(read_networks(offer) for offer in offers)
