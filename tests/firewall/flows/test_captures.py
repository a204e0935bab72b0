"""Captures of every container and link type tell the same flows, and damaged ones are refused for what they are."""

import io
import random
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from securitygroups.firewall.flows import containers, pcapng
from securitygroups.firewall.flows.batch import ACCEPTED, DENIED, UNSAID
from securitygroups.firewall.flows.captures import is_capture
from securitygroups.firewall.flows.logs import FlowLog
from securitygroups.firewall.flows.openers import Skip
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Network, Packet, parse_address, parse_network
from tests.firewall.flows.written import (
    INWARDS,
    LINKS,
    OUTWARDS,
    TELLING,
    Ng,
    Seen,
    cooked,
    cooked_again,
    datagram,
    ethernet,
    ip,
    nflog,
    pcap,
    pflog,
    plainly,
    pppoe,
    segment,
    shuffled,
)

CASES = Path(__file__).parents[2] / "cases" / "public"
LOCAL = (parse_network("10.0.0.0/24"), parse_network("2001:db8:1::/64"))
EVERYWHERE = (parse_network("0.0.0.0/0"), parse_network("::/0"))
IN, OUT = Direction.IN, Direction.OUT
NOW = 1_700_000_000 * 10**9
VM, VM6, FAR, FAR6 = "10.0.0.5", "2001:db8:1::5", "198.51.100.7", "2001:db8::7"

SYN = ip(6, FAR, VM, segment(51515, 22))
ASKED, ANSWERED = ip(17, VM, FAR, datagram(40000, 53)), ip(17, FAR, VM, datagram(53, 40000))
TRAFFIC = (
    Seen(SYN, NOW, INWARDS),
    Seen(ip(6, VM, FAR, segment(22, 51515, 0x12)), NOW + 1000, OUTWARDS),
    Seen(ip(6, FAR6, VM6, segment(51515, 443)), NOW + 2000, INWARDS),
    Seen(ASKED, NOW + 3000, OUTWARDS),
    Seen(ANSWERED, NOW + 4000, INWARDS),
    # WireGuard: neither port says who began.
    Seen(ip(17, FAR, VM, datagram(40000, 51820)), NOW + 5000, INWARDS),
    Seen(ip(17, VM, FAR, datagram(51820, 40000)), NOW + 6000, OUTWARDS),
    Seen(ip(58, VM6, FAR6, bytes([128]) + bytes(7)), NOW + 7000, OUTWARDS),
    Seen(ip(58, FAR6, VM6, bytes([129]) + bytes(7)), NOW + 8000, INWARDS),
)


def judged(direction: Direction, protocol: int, source: str, destination: str, port: int | None) -> Packet:
    version, start = parse_address(source)
    return Packet(direction, version, protocol, start, parse_address(destination)[1], port)


FLOWS = Counter(
    [
        judged(IN, 6, FAR, VM, 22),
        judged(IN, 6, FAR6, VM6, 443),
        judged(OUT, 17, VM, FAR, 53),
        judged(IN, 17, FAR, VM, 51820),
        judged(OUT, 58, VM6, FAR6, None),
    ]
)


def read(data: bytes, local: Sequence[Network] = LOCAL) -> tuple[Counter[Packet], FlowLog]:
    log = FlowLog(io.BytesIO(data), local)
    packets = Counter(batch.packet(row) for batch in log for row in range(len(batch)))
    return packets, log


def refusal(data: bytes, local: Sequence[Network] = LOCAL) -> str:
    with pytest.raises(BadDocument) as caught:
        read(data, local)
    return str(caught.value)


def written(name: str, frames: Sequence[Seen] = TRAFFIC, *, tell: bool = False) -> list[tuple[bytes, int]]:
    write = LINKS[name][1]
    return [(write(frame.packet, frame.way) if tell else write(frame.packet), frame.time) for frame in frames]


def in_blocks(ng: Ng, frames: Sequence[tuple[bytes, int]], unit: int = 1000) -> Ng:
    for frame, time in frames:
        ng.enhanced(frame, time // unit)
    return ng


class TestLinks:
    @pytest.mark.parametrize("name", LINKS)
    def test_every_link_type_tells_the_same_flows(self, name: str) -> None:
        link, frames = LINKS[name][0], written(name)

        classic, log = read(pcap(frames, link))
        newer, other = read(in_blocks(Ng().section().interface(link), frames).data)

        assert classic == newer == FLOWS
        assert +log.skipped == +other.skipped == {Skip.MIDDLE: 1, Skip.REPLY: 2, Skip.ICMP_ANSWER: 1}
        assert (log.records, other.records) == (len(TRAFFIC), len(TRAFFIC))

    @pytest.mark.parametrize("name", TELLING)
    def test_what_tells_directions_needs_no_local_addresses(self, name: str) -> None:
        frames = written(name, tell=True)

        assert read(pcap(frames, LINKS[name][0]), ())[0] == FLOWS

    @pytest.mark.parametrize("name", sorted(set(LINKS) - set(TELLING) - {"pppd", "PPP with a direction"}))
    def test_what_tells_no_direction_asks_for_them(self, name: str) -> None:
        assert "name the local addresses" in refusal(pcap(written(name), LINKS[name][0]), ())

    def test_local_addresses_go_before_what_a_frame_tells(self) -> None:
        # A host sees what comes out of its VM as coming in, and what goes into it as going out.
        turned = [Seen(f.packet, f.time, OUTWARDS if f.way == INWARDS else INWARDS) for f in TRAFFIC]

        for name in TELLING:
            assert read(pcap(written(name, turned, tell=True), LINKS[name][0]))[0] == FLOWS

    def test_between_two_local_machines_it_is_both(self) -> None:
        frame = cooked(ip(6, VM, "10.0.0.6", segment(1025, 22)), OUTWARDS)

        packets, _ = read(pcap([(frame, NOW)], 113))

        assert packets == Counter([judged(IN, 6, VM, "10.0.0.6", 22), judged(OUT, 6, VM, "10.0.0.6", 22)])

    def test_to_many_from_nobody_and_within_a_link_the_frame_tells(self) -> None:
        query, request = ip(17, "10.9.9.9", "224.0.0.251", datagram(5353, 5353)), datagram(68, 67)
        frames = [
            cooked(query, INWARDS),
            cooked(ip(17, VM, "224.0.0.251", datagram(5353, 5353)), OUTWARDS),
            cooked(ip(17, "0.0.0.0", "255.255.255.255", request), OUTWARDS),
            cooked(ip(17, "fe80::1", "fe80::5", datagram(547, 546)), INWARDS),
            cooked(ip(17, "10.9.9.9", FAR, datagram(1, 2)), INWARDS),
        ]

        packets, log = read(pcap([(frame, NOW) for frame in frames], 113))

        assert packets == Counter(
            [
                judged(IN, 17, "10.9.9.9", "224.0.0.251", 5353),
                judged(OUT, 17, VM, "224.0.0.251", 5353),
                judged(OUT, 17, "0.0.0.0", "255.255.255.255", 67),
                judged(IN, 17, "fe80::1", "fe80::5", 546),
            ]
        )
        assert log.skipped[Skip.ELSEWHERE] == 1

    @pytest.mark.parametrize(("write", "link"), [(cooked, 113), (cooked_again, 276)])
    @pytest.mark.parametrize("local", [(), LOCAL], ids=["told", "local"])
    def test_what_stays_on_the_machine_is_not_judged(
        self, write: Callable[..., bytes], link: int, local: Sequence[Network]
    ) -> None:
        frames = [(write(ip(6, VM, VM, segment(1025, 22)), INWARDS, 772), NOW), (write(SYN, INWARDS), NOW)]

        packets, log = read(pcap(frames, link), local)

        assert (sum(packets.values()), log.skipped[Skip.LOOPED]) == (1, 1)

    @pytest.mark.parametrize("ends", [("127.0.0.1", "127.0.0.53"), ("::1", "::1"), (VM, VM)])
    def test_nor_without_local_addresses_what_a_machine_sends_itself(self, ends: tuple[str, str]) -> None:
        frames = [pflog(ip(17, *ends, datagram(1, 2)), INWARDS), pflog(SYN, INWARDS)]

        packets, log = read(pcap([(frame, NOW) for frame in frames], 117), ())

        assert (sum(packets.values()), +log.skipped) == (1, {Skip.LOOPED: 1})

    def test_what_is_overheard_is_not_judged_without_local_addresses(self) -> None:
        packets, log = read(pcap([(cooked(SYN), NOW), (cooked(SYN, INWARDS), NOW)], 113), ())

        assert (sum(packets.values()), +log.skipped) == (1, {Skip.FOREIGN: 1})

    def test_pf_says_its_verdict(self) -> None:
        frames = [(pflog(SYN, INWARDS, action), NOW) for action in (0, 1, 2)]

        batches = list(FlowLog(io.BytesIO(pcap(frames, 117))))

        assert [said for batch in batches for said in batch.said.tolist()] == [ACCEPTED, DENIED, UNSAID]

    def test_nflog_of_a_machine_of_the_other_byte_order(self) -> None:
        frame = b"\x02\0\0\5" + struct.pack(">HH", 8, 1) + b"\x08\0\1\0" + struct.pack(">HH", 4 + len(SYN), 9) + SYN

        assert read(pcap([(frame, NOW), (nflog(SYN)[:12], NOW)], 239))[0] == Counter([judged(IN, 6, FAR, VM, 22)])

    @pytest.mark.parametrize(
        ("link", "named"),
        [(105, "Wi-Fi"), (127, "Wi-Fi"), (189, "USB"), (252, "Wireshark"), (147, "maker"), (9999, "9999")],
    )
    def test_others_are_named_with_what_to_do(self, link: int, named: str) -> None:
        for data in (pcap([], link), Ng().section().interface(link).enhanced(b"x").data):
            text = refusal(data)

            assert named in text
            assert "tcpdump -i any" in text

    @pytest.mark.parametrize(
        ("head", "named"),
        [(b"snoop\0\0\0\0\0\0\2", "Solaris' snoop"), (b"GMBU\0\2", "Network Monitor"), (b"iptrace 2.0", "AIX")],
    )
    def test_captures_of_other_programs_are_named_with_what_to_do(self, head: bytes, named: str) -> None:
        text = refusal(head + bytes(90))

        assert named in text
        assert "editcap FILE NEW" in text

    def test_wifi_behind_another_header_is_named_too(self) -> None:
        assert "Wi-Fi" in refusal(pcap([(struct.pack("<BBHI", 0, 0, 8, 105) + bytes(40), NOW)], 192))

    @pytest.mark.parametrize("name", LINKS)
    def test_every_way_to_cut_a_frame_short_is_counted(self, name: str) -> None:
        link, write = LINKS[name]
        whole = write(SYN)
        frames = [(whole[:length], NOW) for length in range(len(whole) - 6)]

        packets, log = read(pcap([*frames, (whole, NOW)], link))

        assert packets == Counter([judged(IN, 6, FAR, VM, 22)])
        assert log.skipped[Skip.CUT] + log.skipped[Skip.NOT_IP] == len(frames)

    def test_frames_without_ip_are_counted(self) -> None:
        arp = b"\x08\x06" + bytes(28)
        frames = [
            bytes(12) + arp,
            cooked(SYN)[:14] + arp,
            bytes(12) + b"\x88\x64" + b"\x11\0\0\1\0\2\xc0\x21" + bytes(9),
        ]
        links = (1, 113, 1)

        assert [+read(pcap([(frame, NOW)], link))[1].skipped for frame, link in zip(frames, links, strict=True)] == [
            {Skip.NOT_IP: 1}
        ] * 3


class TestContainers:
    FRAMES = tuple(written("Ethernet"))

    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34])
    def test_every_classic_kind(self, order: str, magic: int) -> None:
        data = pcap(self.FRAMES, magic=magic, order=order)

        assert is_capture(data[:4])
        assert read(data)[0] == FLOWS

    def test_a_modified_one_tells_directions(self) -> None:
        assert read(pcap([(ethernet(SYN), NOW)], magic=0xA1B2CD34), ())[0] == Counter([judged(OUT, 6, FAR, VM, 22)])

    @pytest.mark.parametrize("order", ["<", ">"])
    def test_every_kind_of_packet_block(self, order: str) -> None:
        ng = Ng(order).section().interface()
        for place, (frame, time) in enumerate(self.FRAMES):
            (ng.enhanced, ng.obsolete, lambda frame, _: ng.simple(frame))[place % 3](frame, time // 1000)

        assert read(ng.data)[0] == FLOWS

    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("flags", [1, 2, 0x1E9, 0x1F2])
    def test_flags_tell_directions(self, order: str, flags: int) -> None:
        ng = Ng(order).section().interface().enhanced(ethernet(SYN), 1, flags=flags)

        packets, _ = read(ng.data, ())

        assert [packet.direction for packet in packets] == [IN if flags & 3 == 1 else OUT]

    def test_every_frame_has_to_tell_where_no_address_is_local(self) -> None:
        ng = Ng().section().interface().enhanced(ethernet(SYN), 1, flags=1).enhanced(ethernet(SYN), 2)

        assert "name the local addresses" in refusal(ng.data, ())

    def test_sections_of_both_orders_behind_each_other(self) -> None:
        ng, interfaces = Ng(), (1, 101, 113)
        writers = [LINKS[name][1] for name in ("Ethernet", "raw", "cooked")]
        for place, frame in enumerate(TRAFFIC):
            ng.section("<>"[place % 2])
            for link in interfaces[: place % 3 + 1]:
                ng.interface(link)
            ng.enhanced(writers[place % 3](frame.packet), frame.time // 1000, place % 3)

        assert read(ng.data)[0] == FLOWS

    def test_blocks_of_other_kinds_are_passed_over(self) -> None:
        ng = Ng().section().interface()
        for frame, time in self.FRAMES:
            ng.block(4, bytes(20)).block(5, bytes(16)).block(0xBAD, b"\0\0\0\1\0").block(0x80000001, b"").block(0, b"")
            ng.enhanced(frame, time // 1000)

        assert read(ng.data)[0] == FLOWS

    @pytest.mark.parametrize("resolution", [0, 3, 6, 9, 12, 0x80, 0x80 | 20, 0x80 | 30, 0x80 | 32, 0x80 | 40])
    def test_the_clocks_of_two_interfaces_are_compared(self, resolution: int) -> None:
        per_second = 2 ** (resolution & 127) if resolution & 128 else 10**resolution
        for answered_later in (True, False):
            ng = Ng().section().interface(resolution=resolution, offset=NOW // 10**9 - 100).interface()
            ng.enhanced(ethernet(ANSWERED), (102 if answered_later else 98) * per_second)
            ng.enhanced(ethernet(ASKED), NOW // 1000, 1)

            first = ("out", 53) if answered_later else ("in", 40000)

            assert [(p.direction.value, p.port) for p in read(ng.data)[0]] == [first]

    @pytest.mark.parametrize(
        "tags", [b"", bytes.fromhex("810000018100000281000003"), bytes.fromhex("88a80001810000028100000381000004")]
    )
    def test_a_type_behind_a_length_is_read(self, tags: bytes) -> None:
        whole = ethernet(SYN)
        size = struct.pack(">H", len(whole) - 14 + 8)

        packets, log = read(pcap([(bytes(12) + tags + size + bytes.fromhex("aaaa03000000") + whole[12:], NOW)], 1))

        assert (packets.total(), log.skipped) == (1, Counter())

    def test_nanoseconds_count(self) -> None:
        ng = Ng().section().interface(resolution=9)
        ng.enhanced(ethernet(ANSWERED), NOW + 2).enhanced(ethernet(ASKED), NOW + 1)

        assert read(ng.data)[0] == Counter([judged(OUT, 17, VM, FAR, 53)])

    @pytest.mark.parametrize("resolution", range(0, 256, 5))
    def test_times_beyond_all_use_stay_numbers(self, resolution: int) -> None:
        ng = Ng().section()
        for offset in (-(1 << 63), 0, (1 << 63) - 1):
            ng.interface(resolution=resolution, offset=offset)
        for place in range(9):
            ng.enhanced(ethernet(SYN), ((1 << 64) - 1) * (place < 6), place % 3).enhanced(
                ethernet(ASKED), place, place % 3
            )

        assert sum(read(ng.data)[0].values()) == 10

    def test_a_snap_length_cuts_simple_packets(self) -> None:
        ng = Ng().section().interface(snap=40)
        ng.block(3, ng.pack("I", 54) + ethernet(SYN)[:40]).simple(ethernet(SYN)[:20])

        assert +read(ng.data)[1].skipped == {Skip.CUT: 2}


class TestTime:
    def test_what_came_first_opened_the_flow_wherever_it_stands(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for size in (1 << 22, 200, 333):
            monkeypatch.setattr(containers, "_CHUNK", size)
            frames = [(ethernet(ANSWERED), NOW + 2000), (ethernet(ASKED), NOW + 1000)]

            assert read(pcap(frames))[0] == Counter([judged(OUT, 17, VM, FAR, 53)])

    @pytest.mark.parametrize("size", [1 << 22, 150])
    def test_a_handshake_stored_in_the_wrong_order_is_one_flow(
        self, size: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(containers, "_CHUNK", size)
        answer = ip(6, VM, FAR, segment(22, 51515, 0x12))

        packets, log = read(pcap([(ethernet(answer), NOW + 1000), (ethernet(SYN), NOW)]))

        assert (packets, +log.skipped) == (Counter([judged(IN, 6, FAR, VM, 22)]), {Skip.MIDDLE: 1})

    def test_equal_ports_are_told_apart_by_time(self) -> None:
        request, response = ip(17, VM, FAR, datagram(123, 123)), ip(17, FAR, VM, datagram(123, 123))

        for first, second, flow in (
            (request, response, judged(OUT, 17, VM, FAR, 123)),
            (response, request, judged(IN, 17, FAR, VM, 123)),
        ):
            for frames in ([(first, NOW), (second, NOW + 1000)], [(second, NOW + 1000), (first, NOW)]):
                assert read(pcap([(ethernet(f), t) for f, t in frames]))[0] == Counter([flow])

    def test_at_the_same_time_the_order_in_the_file_tells(self) -> None:
        assert read(pcap([(ethernet(ASKED), NOW), (ethernet(ANSWERED), NOW)]))[0] == Counter(
            [judged(OUT, 17, VM, FAR, 53)]
        )

    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("size", [1 << 22, 600])
    def test_captures_that_are_sent_in_packets_are_not_walked_into(
        self, order: str, size: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(containers, "_CHUNK", size)
        within = Ng(order).enhanced(ethernet(ASKED), 1).enhanced(ethernet(SYN), 2).data
        ng, wanted = Ng(order).section().interface(), Counter[Packet]()
        for place in range(60):
            # What stands in the packet begins where a block might, at each place once.
            packet = ip(17, FAR, VM, datagram(40000 + place, 514) + bytes(2 + place % 4) + within)
            ng.enhanced(ethernet(packet), place)
            wanted[judged(IN, 17, FAR, VM, 514)] += 1
            if place % 7 == 3:
                ng.block(5, bytes(16)).simple(ethernet(SYN))
                wanted[judged(IN, 6, FAR, VM, 22)] += 1

        packets, log = read(ng.data)

        assert packets == wanted
        assert log.records == wanted.total()

    def test_interfaces_of_other_link_types_snap_lengths_and_clocks_are_one_traffic(self) -> None:
        ng = Ng().section().interface(113, 262144).interface(1, 65535, 9).interface(147, 0)
        ng.enhanced(ethernet(ANSWERED), NOW + 2000, 1).enhanced(cooked(ASKED), (NOW + 1000) // 1000, 0)

        assert read(ng.data)[0] == Counter([judged(OUT, 17, VM, FAR, 53)])

    @pytest.mark.parametrize("seed", range(12))
    def test_random_captures_are_read_as_the_plain_loop_reads_them(
        self, seed: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rng = random.Random(seed)
        data = random_capture(rng)
        if seed % 2:
            monkeypatch.setattr(containers, "_CHUNK", 4096)

        packets, log = read(data)

        frames = plainly(data)
        assert log.records == len(frames)
        assert packets == expected(frames)


def random_capture(rng: random.Random) -> bytes:
    """Some hundred frames of few machines, a little out of order, in sections, interfaces and blocks of all kinds."""
    seen = []
    for place in range(400):
        ends = rng.choice([(VM, FAR), (VM, "10.0.0.6"), (FAR, "203.0.113.1"), (VM6, FAR6)])
        ends = ends if rng.random() < 0.5 else ends[::-1]
        ports = (rng.choice([53, 500, 40000, 51820]), rng.choice([53, 500, 40000, 51820]))
        payload = rng.choice([datagram(*ports), segment(*ports, rng.choice([2, 0x12, 0x10]))])
        seen.append(Seen(ip(17 if len(payload) == 8 else 6, *ends, payload), NOW + place * 1000))
    seen = shuffled(seen, rng.randrange(1000))
    names = ["Ethernet", "raw", "cooked", "null of macOS"]
    if rng.random() < 0.3:
        name = rng.choice(names)
        magic = rng.choice([0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34])
        return pcap(written(name, seen), LINKS[name][0], magic, rng.choice("<>"))
    ng, interfaces = Ng(), [("", 6)]
    for place, frame in enumerate(seen):
        if not place or rng.random() < 0.02:
            interfaces = []
            ng.section(rng.choice("<>"))
        if not interfaces or rng.random() < 0.05:
            interfaces.append((rng.choice(names), rng.choice([6, 9])))
            ng.interface(LINKS[interfaces[-1][0]][0], resolution=interfaces[-1][1])
        number = rng.randrange(len(interfaces))
        name, resolution = interfaces[number]
        raw, ticks = LINKS[name][1](frame.packet), frame.time // 10 ** (9 - resolution)
        if rng.random() < 0.1:
            ng.block(rng.choice([4, 5, 99]), bytes(rng.randrange(40)))
        if rng.random() < 0.3:
            ng.obsolete(raw, ticks, number)
        else:
            ng.enhanced(raw, ticks, number, rng.choice([None, 0]))
    return ng.data


def expected(frames: Sequence[tuple[int, int, bytes]]) -> Counter[Packet]:
    """The flows of frames as the plain loop says: a SYN each time, of UDP the earliest between two ends."""
    packets: Counter[Packet] = Counter()
    first: dict[tuple[object, ...], tuple[int, int, tuple[object, ...]]] = {}
    row: tuple[object, ...]
    heads = {1: 14, 101: 0, 113: 16, 0: 4}
    for place, (link, time, frame) in enumerate(frames):
        packet = frame[heads[link] :]
        version = packet[0] >> 4
        protocol, ends, payload = (
            (packet[9], (packet[12:16], packet[16:20]), packet[20:])
            if version == 4
            else (packet[6], (packet[8:24], packet[24:40]), packet[40:])
        )
        source, destination = (int.from_bytes(end, "big") for end in ends)
        source_port, port = struct.unpack(">HH", payload[:4])
        row = (version, protocol, source, destination, port)
        if protocol == 6:
            if payload[13] & 0x12 == 2:
                packets += both_ways(row)
            continue
        flow = (version, *sorted([(source, source_port), (destination, port)]))
        first[flow] = min(first.get(flow, (time, place, row)), (time, place, row))
    for _, _, row in first.values():
        packets += both_ways(row)
    return packets


def both_ways(row: tuple[object, ...]) -> Counter[Packet]:
    version, _, source, destination, _ = row

    def local(address: object) -> bool:
        return any(n.version == version and n.first <= address <= n.last for n in LOCAL)  # type: ignore[operator]

    ways = [IN] * local(destination) + [OUT] * local(source)
    return Counter(Packet(way, *row) for way in ways)  # type: ignore[arg-type]


def whole_captures() -> list[bytes]:
    """One of each kind, small."""
    names = [name for name in LINKS if name != "Ethernet"]
    classic = [pcap(written(name, TRAFFIC[:4]), LINKS[name][0]) for name in names]
    newer = []
    for order in "<>":
        ng = Ng(order).section().interface().interface(113, 96, 9, 5).interface(276, resolution=0x80 | 33)
        ng.enhanced(ethernet(SYN), 7, flags=1).enhanced(cooked(ASKED, OUTWARDS), 8, 1).enhanced(cooked_again(SYN), 9, 2)
        ng.obsolete(pppoe(SYN), 3).simple(ethernet(ANSWERED)).block(5, bytes(16))
        newer.append(ng.section("<>"[order == "<"]).interface().enhanced(ethernet(SYN), 7).data)
    return [*classic, *newer * 10]


class TestDamage:
    @pytest.mark.parametrize("order", ["<", ">"])
    def test_a_pcapng_that_ends_within_a_packet_keeps_the_others(self, order: str) -> None:
        ng = Ng(order).section().interface().enhanced(ethernet(SYN), 1)
        whole = len(ng.data)
        data = ng.enhanced(ethernet(SYN), 2).data

        for end in range(whole + 1, len(data)):
            packets, log = read(data[:end])

            assert (sum(packets.values()), log.records, +log.skipped) == (1, 2, {Skip.CUT: 1})

    def test_one_that_ends_within_another_block_lacks_nothing(self) -> None:
        data = Ng().section().interface().enhanced(ethernet(SYN), 1).block(5, bytes(16)).data

        assert (read(data[:-9])[1].records, +read(data[:-9])[1].skipped) == (1, {})

    def test_each_damage_is_named_with_the_block_and_what_to_do(self) -> None:
        begun = Ng().section().interface()
        head = begun.data

        def packet(**changes: int) -> bytes:
            values = {"size": 88, "interface": 0, "length": 54, "end": 88} | changes
            fields = [6, values["size"], values["interface"], 0, 1, values["length"], 54]
            return head + struct.pack("<7I", *fields) + ethernet(SYN) + bytes(2) + struct.pack("<I", values["end"])

        assert read(packet())[0] == Counter([judged(IN, 6, FAR, VM, 22)])
        for data, words in (
            (packet(end=87), "block 3: Its two lengths differ"),
            (packet(size=87, end=87), "block 3: Its two lengths differ"),
            (packet(interface=1), "block 3: It is of an interface"),
            (packet(length=57), "block 3: Its packet is longer"),
            (packet(length=0xFFFFFFFF), "block 3: Its packet is longer"),
            (packet(size=8), "block 3: It claims to be 8 bytes"),
            (packet(size=0), "block 3: It claims to be 0 bytes"),
            (packet(size=0xFFFFFFFC), "block 3: It claims to be 4294967292 bytes"),
            (head + bytes(12), "block 3: It claims to be 0 bytes"),
            (head + struct.pack("<III", 6, 12, 12), "block 3: It is too short for a packet"),
            (Ng().section().simple(b"x").data, "block 2: It is of an interface"),
            (Ng().section().enhanced(b"x").data, "block 2: It is of an interface"),
            (Ng().section().block(1, b"").data, "block 2: It is too short for an interface"),
            (Ng().block(0x0A0D0D0A, struct.pack("<I", 0x1A2B3C4D)).data, "block 1: It is too short for the header"),
            (head + struct.pack("<III", 0x0A0D0D0A, 28, 7) + bytes(16), "block 3: The section's byte order"),
        ):
            text = refusal(data)

            assert text.startswith(words)
            assert "tcpdump -r FILE -w NEW" in text

    def test_blocks_that_follow_in_another_piece_keep_their_numbers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(containers, "_CHUNK", 100)
        ng = Ng().section().interface()
        for time in range(20):
            ng.enhanced(ethernet(SYN), time)

        assert refusal(ng.enhanced(ethernet(SYN), 1, 5).data).startswith("block 23: ")

    def test_more_interfaces_than_any_machine_has_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pcapng, "MAX_INTERFACES", 5)
        ng = Ng().section()
        for _ in range(6):
            ng.interface()

        assert "more than 5 interfaces" in refusal(ng.data)

    @pytest.mark.parametrize("seed", range(4))
    def test_mutated_captures_are_read_or_refused(self, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        rng = random.Random(seed)
        captures = whole_captures()
        monkeypatch.setattr(containers, "_CHUNK", 1 << rng.choice([7, 22]))
        refused = 0
        for _ in range(400):
            data = mutated(rng, rng.choice(captures))
            try:
                packets, log = read(data, EVERYWHERE)
            except BadDocument as error:
                assert str(error)
                refused += 1
            else:
                assert sum(packets.values()) + 2 * log.skipped.total() == 2 * log.records

        assert 0 < refused < 400


def mutated(rng: random.Random, data: bytes) -> bytes:
    """The same with some bytes changed, taken out, put in, or cut off; the first four stay, else it is no capture."""
    raw = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(4, len(raw))
        way = rng.randrange(5)
        if way == 0:
            raw[at] = rng.randrange(256)
        elif way == 1:
            struct.pack_into(
                "<I", raw, min(at & ~3, len(raw) - 4), rng.choice([0, 1, 12, 0x0A0D0D0A, 1 << 31, 0xFFFFFFFF])
            )
        elif way == 2:
            raw[at] ^= 1 << rng.randrange(8)
        elif way == 3:
            del raw[at : at + rng.choice([1, 4, 16])]
        else:
            raw[at:at] = raw[at - 4 : at]
        if len(raw) < 30:
            break
    return bytes(raw)


@pytest.mark.parametrize(
    ("name", "flows"),
    [
        ("A1-wireguard.pcap", [judged(IN, 17, FAR, "10.0.1.10", 51820)]),
        *(
            (
                name,
                [
                    judged(IN, 6, FAR, "10.0.1.10", 22),
                    judged(IN, 6, FAR6, VM6, 22),
                    judged(IN, 17, FAR, "10.0.1.10", 53),
                ],
            )
            for name in ("B1-wireshark.pcapng", "B2-nano.pcapng", "B4-any-sll.pcap", "B6-raw-ip.pcap", "B7-null.pcap")
        ),
    ],
)
def test_captures_that_others_met(name: str, flows: list[Packet]) -> None:
    local = (parse_network("10.0.0.0/8"), parse_network("2001:db8:1::/64"))

    assert read((CASES / name).read_bytes(), local)[0] == Counter(flows)
