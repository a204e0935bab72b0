"""Text becomes networks, addresses and packets, or a refusal that says what to type instead."""

import tracemalloc
import unicodedata
from dataclasses import replace
from ipaddress import IPv6Network, ip_network
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from securitygroups.firewall.protocols import Action, Direction, Problem
from securitygroups.firewall.values import (
    BITS,
    Network,
    Packet,
    Refused,
    Rule,
    address_text,
    description_problem,
    make_packet,
    packet_problems,
    parse_address,
    parse_network,
    plain_network,
    whole_number,
)

NOT_ADDRESSES = [
    *["", "x", "any", "localhost", "10", "10.1", "10.0.1", "10.0.0", "10.0.0.", ".10.0.0.1", "10.0.0.1.2", "10..0.1"],
    *["256.0.0.1", "10.0.0.-1", "+10.0.0.1", "1e1.0.0.1", "10.0.0.1.", "0x0a.0.0.1", "0x0a000001", "167772161"],
    *["10,0,0,1", "10.0.0.1:22", "10.0.0.1-10.0.0.9", "10.0.0.1, 10.0.0.2", "10.0.0.*", "http://10.0.0.1"],
    *["١.٢.٣.٤", "10.0.0.１", "1²0.0.0.1", "10.0.0.1\x00", "10.0.\n0.1", "10. 0.0.1", "\ud800", "\u202e10.0.0.1"],
    *[":", ":::", "::1::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::g", "12345::", "[::1]", "::1.2.3", "::256.1.1.1"],
    *[
        "::ffff:010.0.0.1",
        "2001:db8::1::",
        "fe80:",
        "0" * 5000 + ".0.0.1",
        "9" * 5000,
        "9" * 5000 + ".1.1.1",
        ":" * 9999,
    ],
]
OCTAL = ["010.0.0.1", "10.0.0.01", "00.0.0.0", "192.168.001.001", "0000010.0.0.1"]
ZONED = ["fe80::1%eth0", "fe80::1%", "fe80::1%25eth0", "10.0.0.1%eth0", "::%\ud800", "fe80::1 %eth0"]
NOT_PREFIXES = [
    "",
    "x",
    "-1",
    "+8",
    "33333333333",
    "129",
    "1e1",
    "8.0",
    "0x8",
    "٨",
    "8/8",
    "/8",
    "255.255.0.255",
    "9" * 5000,
]
# Odd, and still what one of these may be: nothing is silently taken for something else.
SPELLINGS = ["{}", " {}", "{}\n", "\t{} ", "\u00a0{}"]


def refusal(text: str) -> Problem:
    """Why the text is refused as a network, checked for what every refusal has to be."""
    with pytest.raises(Refused) as caught:
        parse_network(text)
    problem = caught.value.problem
    assert str(caught.value) == problem.message
    check(problem)
    for suggestion in problem.suggestions:
        assert parse_network(suggestion), "What is offered is valid."
    return problem


def address_refusal(text: str) -> Problem:
    """Why the text is refused as an address, checked in the same way."""
    with pytest.raises(Refused) as caught:
        parse_address(text)
    check(caught.value.problem)
    for suggestion in caught.value.problem.suggestions:
        assert parse_address(suggestion), "What is offered is valid."
    return caught.value.problem


def check(problem: Problem) -> None:
    """A message is short, encodable, on one line, says what to type, and names all that is offered."""
    assert problem.message.encode()
    assert not {unicodedata.category(sign) for sign in problem.message} & {"Cc", "Cs", "Zl", "Zp"}
    assert len(problem.message) < 330
    assert "type" in problem.message.lower()
    for suggestion in problem.suggestions:
        assert suggestion in problem.message


@pytest.mark.parametrize("bad", [*NOT_ADDRESSES, *OCTAL, *ZONED], ids=ascii)
def test_text_that_is_not_an_address_is_refused_in_every_place_where_an_address_stands(bad: str) -> None:
    for pattern, tail in product(SPELLINGS, ("", "/0", "/24", "/32", "/99", "/255.255.255.0", "/x", "%1")):
        refusal(pattern.format(bad + tail))
    for pattern in SPELLINGS:
        address_refusal(pattern.format(bad))


@pytest.mark.parametrize("prefix", NOT_PREFIXES, ids=ascii)
@pytest.mark.parametrize(
    "host", ["10.0.0.5", "10.0.0.0", "0.0.0.0", "2001:db8::5", "2001:db8::", "::", "::ffff:10.0.0.5"]
)
def test_a_prefix_that_is_none_is_refused_with_the_host_as_an_offer_unless_it_names_a_network(
    host: str, prefix: str
) -> None:
    problem = refusal(f"{host}/{prefix}")

    # 10.0.0.0/32 for what was to be 10.0.0.0/24 would be narrower than what was meant; so would a host be for a mask.
    offered = (host.endswith("5") or prefix in {"٨", "+8", "8.0", "/8"}) and prefix != "255.255.0.255"
    assert bool(problem.suggestions) == offered


@pytest.mark.parametrize("octal", OCTAL)
def test_leading_zeros_are_refused_with_the_plain_address(octal: str) -> None:
    plain = ".".join(str(int(part)) for part in octal.split("."))

    assert refusal(octal).suggestions == (plain if plain != "0.0.0.0" else "0.0.0.0/0",)
    assert "leading zero" in refusal(octal).message
    assert refusal(f"{octal}/32").suggestions == (f"{plain}/32",)


@pytest.mark.parametrize(
    ("text", "offers", "words"),
    [
        ("10.0.0.5/24", ("10.0.0.5/32", "10.0.0.0/24"), "for that one address, or"),
        ("2001:db8::5/64", ("2001:db8::5/128", "2001:db8::/64"), "for the whole network"),
        ("10.0.0.0/33", (), "/33 is too long for IPv4"),
        ("10.0.0.7/33", ("10.0.0.7/32",), "/33 is too long for IPv4"),
        ("10.0.0.0/99999999", (), "too long"),
        ("::/129", (), "too long for IPv6"),
        ("fe80::1%eth0/128", ("fe80::1/128",), "zone id"),
        ("fe80::1%eth0", ("fe80::1",), "zone id"),
        ("fe80::1%eth0/64", ("fe80::1/128", "fe80::/64"), "zone id"),
        ("fe80::1/64%eth0", ("fe80::1/128", "fe80::/64"), "zone id"),
        ("010.0.0.5/24", ("10.0.0.5/32", "10.0.0.0/24"), "leading zero"),
        ("010.0.0.5/40", ("10.0.0.5/32",), "leading zero"),
        ("10.0.0.0/024", ("10.0.0.0/24",), "leading zero"),
        ("10.0.0.5/024", ("10.0.0.5/32", "10.0.0.0/24"), "leading zero"),
        ("10.0.0.0/255.255.255.0", ("10.0.0.0/24",), "instead of a mask"),
        ("10.0.0.5/255.255.255.0", ("10.0.0.5/32", "10.0.0.0/24"), "instead of a mask"),
        ("10.0.0.0/0.0.0.255", ("10.0.0.0/24",), "instead of a mask"),
        ("10.0.0.0 /24", ("10.0.0.0/24",), "space"),
        ("10.0.0.5/ 24", ("10.0.0.5/32", "10.0.0.0/24"), "space"),
        ("10.0.0.0/", (), "not a prefix length"),
        ("::ffff:10.0.0.1", ("10.0.0.1",), "IPv4 address written as IPv6"),
        ("::ffff:a00:1/128", ("10.0.0.1",), "IPv4 address written as IPv6"),
        ("::ffff:10.0.0.0/104", ("10.0.0.0/8",), "IPv4 address written as IPv6"),
        ("::ffff:128.0.0.0/97", ("128.0.0.0/1",), "IPv4 address written as IPv6"),
        ("::ffff:10.0.0.5/120", ("10.0.0.5/32", "10.0.0.0/24"), "IPv4 address written as IPv6"),
        ("::ffff:10.0.0.5/96", ("10.0.0.5/32", "::ffff:0.0.0.0/96"), "inside a network"),
        ("::ffff:10.0.0.5/64", ("10.0.0.5/32", "::/64"), "inside a network"),
        ("::ffff:10.0.0.5/129", ("10.0.0.5",), "too long"),
    ],
)
def test_each_refusal_says_why_and_offers_what_is_meant(text: str, offers: tuple[str, ...], words: str) -> None:
    problem = refusal(text)

    assert problem.suggestions == offers
    assert words in problem.message


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        (" 203.0.113.7\n", "203.0.113.7/32"),
        ("\u00a010.0.0.0/8\t", "10.0.0.0/8"),
        ("0.0.0.0/32", "0.0.0.0/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("255.255.255.255/32", "255.255.255.255/32"),
        ("::/0", "::/0"),
        ("::/128", "::/128"),
        ("2001:DB8:0:0::/32", "2001:db8::/32"),
        ("2001:db8::7", "2001:db8::7/128"),
        ("::10.0.0.1", "::a00:1/128"),
        ("::ffff:0:0/96", "::ffff:0.0.0.0/96"),
        ("::ffff:0.0.0.0/96", "::ffff:0.0.0.0/96"),
        ("::/96", "::/96"),
    ],
)
def test_an_address_or_a_network_is_kept_as_a_network_in_one_spelling(text: str, kept: str) -> None:
    assert str(parse_network(text)) == kept
    assert parse_network(kept) == parse_network(text)


@pytest.mark.parametrize(("version", "bits"), BITS.items())
def test_every_prefix_length_has_its_first_and_last_address(version: int, bits: int) -> None:
    for prefix in range(bits + 1):
        ours = Network(version, (1 << bits) - (1 << (bits - prefix)), prefix)
        theirs = ip_network(str(ours))
        assert (ours.first, ours.last) == (int(theirs[0]), int(theirs[-1]))
        assert ours.is_everything == (prefix == 0)
        assert replace(ours, prefix=bits).last == ours.first


anything = st.text(st.characters(exclude_categories=()))
near_addresses = st.text("0123456789abcdefABCDEF:./% \nx-", max_size=50)
sound = st.one_of(
    st.ip_addresses().map(str),
    st.tuples(st.ip_addresses(), st.integers(0, 140)).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    st.builds(lambda bits, prefix: f"::ffff:{bits:x}/{prefix}", st.integers(0, 0xFFFF), st.integers(90, 130)),
)


@settings(max_examples=1500, deadline=None, database=None)
@given(st.one_of(anything, near_addresses, sound))
@example("%/%")
@example("1" * 4301 + ".0.0.0")
@example("/")
@example("٣::")
def test_any_text_is_a_network_or_a_refusal_whose_offers_are_valid(text: str) -> None:
    try:
        network = parse_network(text)
    except Refused:
        refusal(text)
        assert plain_network(text) is None
        return
    assert plain_network(text) == network
    theirs = ip_network(text.strip(), strict=True)
    assert (network.version, network.first, network.prefix) == (theirs.version, int(theirs[0]), theirs.prefixlen)
    assert network.last == int(theirs[-1])
    assert parse_network(str(network)) == network


@settings(max_examples=600, deadline=None, database=None)
@given(st.one_of(anything, near_addresses, sound))
@example("%")
@example("1" * 4301 + ".0.0.0")
def test_any_text_is_an_address_or_a_refusal_whose_offers_are_valid(text: str) -> None:
    try:
        version, number = parse_address(text)
    except Refused:
        address_refusal(text)
        return
    assert parse_address(address_text(version, number)) == (version, number)


@settings(max_examples=600, deadline=None, database=None)
@given(st.ip_addresses(), st.data())
def test_every_network_that_python_knows_is_taken_unless_it_is_ipv4_in_disguise(
    address: object, data: st.DataObject
) -> None:
    wide = ip_network(str(address))
    network = wide.supernet(new_prefix=data.draw(st.integers(0, wide.prefixlen)))
    disguised = (
        isinstance(network, IPv6Network) and network.subnet_of(IPv6Network("::ffff:0:0/96")) and network.prefixlen > 96
    )

    if disguised:
        refusal(str(network))
    else:
        assert parse_network(str(network)).prefix == network.prefixlen


@pytest.mark.parametrize("text", ["10.0.0.0/24", "10.0.0.5/32", "::/0", "10.0.0.1/"])
def test_a_network_where_one_address_belongs_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="type one address of it"):
        parse_address(text)


def test_an_ipv4_mapped_source_is_an_ipv6_packet() -> None:
    assert parse_address("::ffff:10.0.0.1") == (6, (0xFFFF << 32) + 0x0A000001)


def test_a_small_number_is_written_in_the_family_that_is_told() -> None:
    assert address_text(4, 1) == "0.0.0.1"
    assert address_text(6, 1) == "::1"
    assert address_text(6, 0x0A000001) == "::a00:1"


@pytest.mark.parametrize(
    "text", ["a\nb", "\x00", "\x1b[0m", "\x7f", "\u2028", "\u202eevil", "\ud83d", "x" * 256], ids=ascii
)
def test_a_description_that_forges_lines_or_cannot_be_kept_is_refused(text: str) -> None:
    problem = description_problem(text)

    assert problem is not None
    assert "type one line" in problem.message or "type the text without it" in problem.message or len(text) > 255
    assert Rule(Action.DROP, Direction.IN, "all", description=text).problems() == {"description": problem}


@pytest.mark.parametrize("text", ["", "Office SSH", "Büro – 東京 🔥", "<script>", "x" * 255, "שלום", "a'b\"c\\"])
def test_a_description_in_any_language_is_kept(text: str) -> None:
    assert description_problem(text) is None
    assert Rule(Action.DROP, Direction.IN, "all", description=text).problems() == {}


def test_a_rules_identity_takes_no_part_in_equality() -> None:
    rule = Rule(Action.DROP, Direction.IN, "all", uid="a")

    assert rule == replace(rule, uid="b")
    assert hash(rule) == hash(replace(rule, uid="b"))
    assert rule != replace(rule, enabled=False)


ADDRESS = (4, 1)


@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp", 6, 17, 132])
@pytest.mark.parametrize(("port", "sound"), [(0, True), (65535, True), (None, False), (-1, False), (65536, False)])
def test_packets_with_ports_need_one_from_0_to_65535(protocol: str | int, port: int | None, sound: bool) -> None:
    errors = packet_problems(protocol, ADDRESS, ADDRESS, port)

    assert list(errors) == ([] if sound else ["port"])
    assert all("number from 0 to 65535" in problem.message for problem in errors.values())


@pytest.mark.parametrize("protocol", ["icmp", "non-ip", 0, 1, 47, 58, 255])
def test_packets_without_ports_refuse_one(protocol: str | int) -> None:
    address = None if protocol == "non-ip" else ADDRESS

    assert "leave this empty" in packet_problems(protocol, address, address, 0)["port"].message
    assert packet_problems(protocol, address, address, None) == {}


@pytest.mark.parametrize("protocol", ["tcp", "icmp", 0])
def test_ip_packets_need_both_addresses_and_frames_that_are_not_ip_have_none(protocol: str | int) -> None:
    port = 0 if protocol == "tcp" else None

    missing = packet_problems(protocol, None, None, port)
    too_much = packet_problems("non-ip", ADDRESS, ADDRESS, None)

    assert list(missing) == list(too_much) == ["source", "destination"]
    assert all("Type the packet's address" in problem.message for problem in missing.values())
    assert all("leave this empty" in problem.message for problem in too_much.values())


@pytest.mark.parametrize(
    "protocol", [None, -1, 256, 10**4000, "", "TCP", "47", "ip", "\ud800", "x" * 9999], ids=lambda x: ascii(x)[:20]
)
def test_a_protocol_that_no_packet_has_is_refused_with_those_that_there_are(protocol: str | int | None) -> None:
    errors = packet_problems(protocol, ADDRESS, ADDRESS, 22)

    assert list(errors) == ["protocol"]
    check(errors["protocol"])
    assert "from 0 to 255" in errors["protocol"].message


def test_packets_are_made_with_the_number_of_their_family() -> None:
    assert make_packet(Direction.IN, "icmp", (4, 1), (4, 2), None) == Packet(Direction.IN, 4, 1, 1, 2)
    assert make_packet(Direction.IN, "icmp", (6, 1), (6, 2), None) == Packet(Direction.IN, 6, 58, 1, 2)
    assert make_packet(Direction.OUT, "tcp", (6, 1), (6, 2), 0) == Packet(Direction.OUT, 6, 6, 1, 2, 0)
    assert make_packet(Direction.IN, 0, (4, 1), (4, 2), None) == Packet(Direction.IN, 4, 0, 1, 2)
    assert make_packet(Direction.IN, "non-ip", None, None, None) == Packet(Direction.IN)


def test_a_packet_of_two_families_is_refused_with_the_family_to_type() -> None:
    with pytest.raises(Refused, match="type an IPv6 destination") as caught:
        make_packet(Direction.IN, "icmp", (6, 1), (4, 2), None)
    check(caught.value.problem)


@pytest.mark.parametrize(
    ("text", "most", "number"),
    [
        ("0", 9, 0),
        ("007", 999, 7),
        ("65535", 65535, 65535),
        ("65536", 65535, None),
        ("065535", 65535, None),
        ("9" * 5000, 999, None),
        ("", 9, None),
        ("-1", 9, None),
        ("+1", 9, None),
        ("1_0", 999, None),
        (" 1", 999, None),
        ("1.0", 999, None),
        ("²", 9, None),
        ("٢٢", 99, None),
        ("２", 9, None),
    ],
)
def test_a_whole_number_is_plain_digits_up_to_the_most(text: str, most: int, number: int | None) -> None:
    assert whole_number(text, most) == number


def test_a_text_of_millions_of_numbers_is_not_taken_apart_to_see_that_it_is_no_address() -> None:
    text = "1." * 1_000_000

    tracemalloc.start()
    try:
        with pytest.raises(Refused):
            parse_address(text)
        assert tracemalloc.get_traced_memory()[1] < 10 * len(text)
    finally:
        tracemalloc.stop()
