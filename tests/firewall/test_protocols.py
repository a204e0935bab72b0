"""The protocol table, crossed with edge values, gives the verdicts of the guide's table."""

from itertools import product

import pytest

from securitygroups.firewall.protocols import (
    COLUMN_LABELS,
    COLUMNS,
    MAX_PORT,
    PORT_NUMBERS,
    PROTOCOLS,
    Action,
    Direction,
    Problem,
    shape_errors,
    shown,
    with_column,
)
from securitygroups.firewall.values import Network, parse_network

# Written out, not taken from the table: this is what the customers' guide says.
GUIDE = {
    "tcp": {"source", "port_start", "port_end"},
    "udp": {"source", "port_start", "port_end"},
    "sctp": {"source", "port_start", "port_end"},
    "icmp": {"source"},
    "ip": {"source", "destination"},
    "all": set(),
}
ADDRESSES = [None, parse_network("0.0.0.0/0"), parse_network("10.0.0.5/32"), parse_network("::/0")]
PORTS = [None, -1, 0, 1, 65535, 65536]
TELLING = ("type", "leave", "choose", "write", "did you mean")


def fits(
    protocol: str, source: Network | None, destination: Network | None, start: int | None, end: int | None
) -> bool:
    """Whether the guide allows such a rule."""
    values = {"source": source, "destination": destination, "port_start": start, "port_end": end}
    if {name for name, value in values.items() if value is not None} - GUIDE[protocol]:
        return False
    if source is not None and destination is not None and source.version != destination.version:
        return False
    if start is None or end is None:
        return start is end
    return 0 <= start <= end <= 65535


@pytest.mark.parametrize("protocol", GUIDE)
def test_every_protocol_with_every_edge_value_is_judged_as_the_guide_says(protocol: str) -> None:
    allowed = refused = 0
    for source, destination, start, end in product(ADDRESSES, ADDRESSES, PORTS, PORTS):
        values = {"source": source, "destination": destination, "port_start": start, "port_end": end}
        errors = shape_errors(protocol, values)
        assert (not errors) == fits(protocol, source, destination, start, end), (values, errors)
        assert errors.keys() <= set(COLUMNS), "A problem stands at a field of the rule."
        for problem in errors.values():
            assert any(word in problem.message.lower() for word in TELLING), problem
        allowed, refused = allowed + (not errors), refused + bool(errors)
    assert allowed >= 1
    assert refused > allowed


@pytest.mark.parametrize(
    ("protocol", "column"), [(name, column) for name, has in GUIDE.items() for column in COLUMNS if column not in has]
)
def test_a_field_that_the_protocol_lacks_is_refused_at_that_field(protocol: str, column: str) -> None:
    value = 0 if column.startswith("port") else parse_network("10.0.0.0/8")

    errors = shape_errors(protocol, {column: value})

    assert list(errors) == [column]
    label = {"source": "Source IP Address", "destination": "Destination IP Address"}.get(
        column, "Destination Port Range"
    )
    assert f"{PROTOCOLS[protocol].label} rules have no {label}: leave it empty, or choose" in errors[column].message


def test_the_table_is_the_guides_table() -> None:
    assert {name: protocol.columns for name, protocol in PROTOCOLS.items()} == GUIDE
    assert [protocol.label for protocol in PROTOCOLS.values()] == ["TCP", "UDP", "SCTP", "ICMP", "IP", "All"]
    assert [protocol.numbers for protocol in PROTOCOLS.values()] == [
        {4: 6, 6: 6},
        {4: 17, 6: 17},
        {4: 132, 6: 132},
        {4: 1, 6: 58},
        None,
        None,
    ]
    assert [name for name, protocol in PROTOCOLS.items() if not protocol.only_ip] == ["all"]
    assert sorted(PORT_NUMBERS) == [6, 17, 132]
    assert MAX_PORT == 65535
    assert set(COLUMN_LABELS) == set(COLUMNS)


def test_the_words_of_the_guide_are_the_labels() -> None:
    assert [action.label for action in Action] == ["Accept", "Drop"]
    assert [direction.label for direction in Direction] == ["In", "Out"]
    assert with_column("port_start") == "TCP, UDP or SCTP"
    assert with_column("source") == "TCP, UDP, SCTP, ICMP or IP"
    assert with_column("destination") == "IP"


@pytest.mark.parametrize(("start", "end"), [(443, 80), (1, 0), (65535, 0)])
def test_a_range_that_ends_before_it_starts_offers_itself_turned_around(start: int, end: int) -> None:
    errors = shape_errors("tcp", {"port_start": start, "port_end": end})

    assert list(errors) == ["port_end"]
    assert f"Did you mean {end}–{start}?" in errors["port_end"].message
    assert errors["port_end"].suggestions == (f"{end}-{start}",)
    assert not shape_errors("tcp", {"port_start": end, "port_end": start})


@pytest.mark.parametrize("port", [-1, 65536, 10**4000, -(10**4000)])
@pytest.mark.parametrize("column", ["port_start", "port_end"])
def test_a_port_outside_the_range_is_told_the_range(column: str, port: int) -> None:
    errors = shape_errors("udp", {"port_start": 22, "port_end": 22, column: port})

    assert list(errors) == [column]
    assert "type a number from 0 to 65535" in errors[column].message
    assert len(errors[column].message) < 200


def test_one_port_that_is_none_is_told_once() -> None:
    assert list(shape_errors("tcp", {"port_start": 65536, "port_end": 65536})) == ["port_start"]


def test_half_a_range_says_what_to_type_in_the_empty_half() -> None:
    no_end = shape_errors("sctp", {"port_start": 0})["port_end"]
    no_start = shape_errors("sctp", {"port_end": 0})["port_start"]

    assert "type 0 here" in no_end.message
    assert "type 0 here" in no_start.message
    assert no_end.suggestions == no_start.suggestions == ("0",)


def test_source_and_destination_of_two_families_are_refused_with_what_to_type() -> None:
    four, six = parse_network("10.0.0.0/8"), parse_network("2001:db8::/32")

    problem = shape_errors("ip", {"source": six, "destination": four})["destination"]

    assert "The source is IPv6 but the destination is IPv4" in problem.message
    assert "Type an IPv6 destination, or make two rules" in problem.message
    assert not shape_errors("ip", {"source": six, "destination": six})


@pytest.mark.parametrize("protocol", ["", "TCP", " tcp", "ping", "6", "\ud800", "\x1b[2J", "x" * 100_000])
def test_a_protocol_that_is_not_in_the_table_is_refused_with_the_names_that_are(protocol: str) -> None:
    errors = shape_errors(protocol, {"source": None, "port_start": -5})

    assert list(errors) == ["protocol"]
    message = errors["protocol"].message
    assert "write one of tcp, udp, sctp, icmp, ip, all" in message
    assert message.encode().isascii() or len(message) < 200
    assert errors["protocol"].suggestions == (("tcp",) if protocol in {"TCP", " tcp"} else ())


@pytest.mark.parametrize("text", ["\x00", "\x1b[31m", "a\nb", "\u2028", "\u202eabc", "\ud800", "\x9b"])
def test_what_somebody_sent_is_quoted_on_one_line_that_can_be_encoded(text: str) -> None:
    quoted = shown(text * 100)

    assert quoted.encode()
    assert quoted.isprintable()
    assert len(quoted) <= 60


def test_a_problem_reads_as_its_message() -> None:
    assert str(Problem("Type 80.", ("80",))) == "Type 80."
