"""A packet's bytes are read as what they are, and what is cut off or malformed is left out."""

import struct
from random import Random

import pytest

from securitygroups.agent.packets import Seen, seen
from securitygroups.firewall.protocols import PORT_NUMBERS, Direction
from securitygroups.firewall.values import Packet, address_text
from tests.kernel import frames

FOUR, SIX = (0x0A000009, 0x0A000005), (0x20010DB8 << 96 | 9, 0x20010DB8 << 96 | 5)
ENDS = {4: ("10.0.0.9", "10.0.0.5"), 6: ("2001:db8::9", "2001:db8::5")}
TYPES = {4: frames.IPV4, 6: frames.IPV6}


def packet(version: int, number: int, port: int | None = None) -> Packet:
    source, destination = FOUR if version == 4 else SIX
    return Packet(Direction.IN, version, number, source, destination, port)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("number", [1, 6, 17, 47, 58, 132])
def test_every_packet_of_the_kernels_tests_is_read_as_what_it_is(version: int, number: int, seed: int) -> None:
    asked = packet(version, number, 443 if number in PORT_NUMBERS else None)
    frame = frames.opening(asked, 5000, bytes(12), Random(seed), b"12345678")

    found = seen(TYPES[version], frame[14:])

    assert found[:4] == (version, number, *ENDS[version])
    assert (found.source_port, found.port) == ((5000, 443) if asked.port else (None, None))
    assert (found.kind is not None) == ((version, number) in {(4, 1), (6, 58)})


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_cut_off_is_left_out(version: int) -> None:
    frame = frames.opening(packet(version, 6, 443), 5000, bytes(12), Random(1), b"12345678")[14:]

    for size in range(len(frame)):
        found = seen(TYPES[version], frame[:size])
        assert found.version == version
        assert found.source in ("", ENDS[version][0])
        assert found.port in (None, 443)


def test_a_later_fragment_has_no_ports() -> None:
    both = frames.addresses(4, *FOUR)
    four = frames.ipv4(both, frames.UDP, b"\x00\x35\x00\x35 not a header", fragment=0x0010)
    head = struct.pack("!BBHI", frames.UDP, 0, 8 << 3, 1)
    six = frames.ipv6(frames.addresses(6, *SIX), 44, head + b"\x00\x35\x00\x35 not a header")

    assert seen(frames.IPV4, four) == Seen(4, 17, *ENDS[4])
    assert seen(frames.IPV6, six) == Seen(6, 17, *ENDS[6])


def test_the_first_fragment_has_its_ports() -> None:
    segment = frames.udp(frames.addresses(6, *SIX), 5000, 53)
    six = frames.ipv6(frames.addresses(6, *SIX), 44, struct.pack("!BBHI", frames.UDP, 0, 1, 1) + segment)

    assert seen(frames.IPV6, six) == Seen(6, 17, *ENDS[6], 5000, 53)


@pytest.mark.parametrize(("ethertype", "data"), [(frames.ARP_TYPE, b"\0" * 28), (frames.VLAN, b"\0" * 60), (0, b"")])
def test_what_is_not_ip_has_nothing_to_tell(ethertype: int, data: bytes) -> None:
    assert seen(ethertype, data) == Seen()


def test_addresses_are_spelled_as_everywhere() -> None:
    random = Random(5)
    for _ in range(200):
        source, destination = random.getrandbits(128), random.getrandbits(128) & random.getrandbits(128)
        both = frames.addresses(6, source, destination)
        found = seen(frames.IPV6, frames.ipv6(both, frames.UDP, frames.udp(both, 1, 2)))
        assert (found.source, found.destination) == (address_text(6, source), address_text(6, destination))


def test_random_bytes_are_read_without_an_error() -> None:
    random = Random(6)
    for _ in range(20_000):
        version = random.choice((4, 6))
        data = bytes([version << 4 | random.randrange(16)]) + random.randbytes(random.randrange(100))
        assert seen(TYPES[version], data).version == version
