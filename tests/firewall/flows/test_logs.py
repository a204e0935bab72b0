"""Flow logs of every kind become the packets that open a flow, and bad ones are refused with their line."""

import gzip
import io
import ipaddress
import struct
from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from securitygroups.firewall.flows import logs as flows
from securitygroups.firewall.flows import openers
from securitygroups.firewall.flows.logs import FlowLog
from securitygroups.firewall.flows.openers import Skip
from securitygroups.firewall.flows.text import Fields, ipv4, ipv6, padded
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet, parse_address, parse_network

IN, OUT = Direction.IN, Direction.OUT
LOCAL = (parse_network("10.0.0.0/24"), parse_network("2001:db8:1::/64"))
HEAD = "direction,protocol,source,destination,port\n"


class Trickle(io.BytesIO):
    """A stream that gives a few bytes at a time, as a socket may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size, 7) if size and size > 0 else size)


def number(text: str) -> int:
    return parse_address(text)[1]


def tcp(direction: Direction, source: str, destination: str, port: int | None, protocol: int = 6) -> Packet:
    return Packet(direction, parse_address(source)[0], protocol, number(source), number(destination), port)


def read(data: bytes | str, local: Sequence[object] = ()) -> tuple[list[Packet], FlowLog]:
    stream = io.BytesIO(data.encode() if isinstance(data, str) else data)
    log = FlowLog(stream, local)  # type: ignore[arg-type]
    packets = [batch.packet(row) for batch in log for row in range(len(batch))]
    return packets, log


def refusal(data: bytes | str, local: Sequence[object] = ()) -> str:
    with pytest.raises(BadDocument) as caught:
        read(data, local)
    return str(caught.value)


class TestCsv:
    def test_rows_become_packets(self) -> None:
        packets, log = read(
            HEAD + "in,tcp,203.0.113.9,10.0.0.5,22\n"
            "out,udp,2001:db8::1,2001:db8::2,0\n"
            "in,132,10.0.0.1,10.0.0.2,65535\n"
            "OUT,SCTP,10.0.0.1,10.0.0.2,1\n"
            "in,47,10.0.0.1,10.0.0.2,\n"
            "in,non-ip,,,\n"
        )

        assert packets == [
            tcp(IN, "203.0.113.9", "10.0.0.5", 22),
            tcp(OUT, "2001:db8::1", "2001:db8::2", 0, 17),
            tcp(IN, "10.0.0.1", "10.0.0.2", 65535, 132),
            tcp(OUT, "10.0.0.1", "10.0.0.2", 1, 132),
            tcp(IN, "10.0.0.1", "10.0.0.2", None, 47),
            Packet(IN),
        ]
        assert (log.kind, log.records, +log.skipped) == ("CSV", 6, {})

    def test_icmp_has_the_number_of_its_family_and_its_type_is_no_port(self) -> None:
        packets, _ = read(HEAD + "in,icmp,10.0.0.1,10.0.0.2,8\nin,icmp,::1,::2,99999\nin,1,10.0.0.1,10.0.0.2,8/0\n")

        assert [(packet.protocol, packet.port) for packet in packets] == [(1, None), (58, None), (1, None)]

    @pytest.mark.parametrize("name", ["icmpv6", "ICMPv6", "icmp6", "ipv6-icmp", "IPv6-ICMP"])
    def test_other_names_of_icmpv6_are_known(self, name: str) -> None:
        packets, _ = read(HEAD + f"in,{name},2001:db8:5::7,2001:db8:1::5,\nin,icmp,::1,::2,\n")

        assert [packet.protocol for packet in packets] == [58, 58]

    @pytest.mark.parametrize("name", ["ipv6_icmp", "xpv6-icmp", "ipv6-icmq", "ipv6-icmpx", "icmpv4", "icmpv66"])
    def test_what_is_nearly_such_a_name_is_refused(self, name: str) -> None:
        with pytest.raises(BadDocument, match="is not a protocol"):
            read(HEAD + f"in,{name},2001:db8:5::7,2001:db8:1::5,\n")

    @pytest.mark.parametrize("port", ["", "-"])
    def test_a_packet_may_lack_its_port(self, port: str) -> None:
        assert read(HEAD + f"in,tcp,10.0.0.1,10.0.0.2,{port}\n")[0] == [tcp(IN, "10.0.0.1", "10.0.0.2", None)]

    def test_columns_come_in_any_order_among_others(self) -> None:
        packets, _ = read("when,PORT, Source ,destination,protocol,direction\n12:00,22,10.0.0.1,10.0.0.2,tcp,in\n")

        assert packets == [tcp(IN, "10.0.0.1", "10.0.0.2", 22)]

    @pytest.mark.parametrize(
        "text",
        [
            HEAD + "in,tcp,10.0.0.1,10.0.0.2,22",
            HEAD + "in,tcp,10.0.0.1,10.0.0.2,22\r\n",
            HEAD.replace("\n", "\r\n") + "\r\nin,tcp,10.0.0.1,10.0.0.2,22\r\n\r\n",
            "\ufeff" + HEAD + "in, tcp, 10.0.0.1 ,10.0.0.2,22\n",
            HEAD + '"in","tcp","10.0.0.1","10.0.0.2","22"\n',
            HEAD.replace("port", "port,note") + 'in,tcp,10.0.0.1,10.0.0.2,22,"a, ""b"" – c"\n',
        ],
        ids=["no last line feed", "CRLF", "empty lines", "mark and spaces", "quotes", "separator in quotes"],
    )
    def test_other_spellings_of_the_same(self, text: str) -> None:
        assert read(text)[0] == [tcp(IN, "10.0.0.1", "10.0.0.2", 22)]

    def test_without_a_direction_the_local_addresses_tell_it(self) -> None:
        packets, log = read(
            "protocol,source,destination,port\n"
            "tcp,203.0.113.9,10.0.0.5,22\ntcp,10.0.0.5,203.0.113.9,443\ntcp,10.0.0.5,10.0.0.6,80\n"
            "udp,2001:db8:1::5,2001:db8:2::5,53\ntcp,192.0.2.1,203.0.113.9,80\nnon-ip,,,\n",
            LOCAL,
        )

        assert packets == [
            tcp(IN, "203.0.113.9", "10.0.0.5", 22),
            tcp(IN, "10.0.0.5", "10.0.0.6", 80),
            tcp(OUT, "10.0.0.5", "203.0.113.9", 443),
            tcp(OUT, "10.0.0.5", "10.0.0.6", 80),
            tcp(OUT, "2001:db8:1::5", "2001:db8:2::5", 53, 17),
        ]
        assert +log.skipped == {Skip.ELSEWHERE: 2}

    def test_with_source_ports_replies_and_repeats_are_recognised(self) -> None:
        packets, log = read(
            "start,source,source_port,destination,port,protocol\n"
            "100,203.0.113.9,22,10.0.0.5,51000,tcp\n"
            "100,10.0.0.5,51000,203.0.113.9,22,tcp\n"
            "160,10.0.0.5,51000,203.0.113.9,22,tcp\n"
            "160,10.0.0.5,51001,203.0.113.9,22,tcp\n",
            LOCAL,
        )

        assert packets == [tcp(OUT, "10.0.0.5", "203.0.113.9", 22)] * 2
        assert +log.skipped == {Skip.REPLY: 1, Skip.REPEAT: 1}

    @pytest.mark.parametrize(
        ("line", "where", "words"),
        [
            ("sideways,tcp,10.0.0.1,10.0.0.2,22", "line 4, direction", "“sideways”"),
            ("in,tpc,10.0.0.1,10.0.0.2,22", "line 4, protocol", "“tpc”"),
            ("in,256,10.0.0.1,10.0.0.2,22", "line 4, protocol", "“256”"),
            ("in,tcp,10.0.0.256,10.0.0.2,22", "line 4, source", "“10.0.0.256”"),
            ("in,tcp,10.0.0.01,10.0.0.2,22", "line 4, source", "10.0.0.1"),
            ("in,tcp,,10.0.0.2,22", "line 4, source", "address"),
            ("in,tcp,10.0.0.1,10.0.0.2/32,22", "line 4, destination", "network"),
            ("in,tcp,fe80::1%eth0,fe80::2,22", "line 4, source", "zone"),
            ("in,tcp,10.0.0.1,2001:db8::1,22", "line 4, destination", "family"),
            ("in,tcp,10.0.0.1,10.0.0.2,65536", "line 4, port", "“65536”"),
            ("in,tcp,10.0.0.1,10.0.0.2,-1", "line 4, port", "“-1”"),
            ("in,tcp,10.0.0.1,10.0.0.2,http", "line 4, port", "“http”"),
            ("in,tcp,10.0.0.1,10.0.0.2,٣", "line 4, port", "“٣”"),
            ("in,tcp,10.0.0.1,10.0.0.2", "line 4", "4 fields instead of 5"),
            ("in,tcp,10.0.0.1,10.0.0.2,22,x", "line 4", "6 fields instead of 5"),
            ('in,tcp,"10.0.0.1,10.0.0.2,22', "line 4", "CSV"),
        ],
    )
    @pytest.mark.parametrize("blank", ["", "\n"], ids=["regular", "with an empty line"])
    def test_a_bad_line_is_named(self, line: str, where: str, words: str, blank: str) -> None:
        good = "in,tcp,10.0.0.1,10.0.0.2,22\n"
        before = good + blank if blank else good + good

        message = refusal(HEAD + before + line + "\n" + good)

        assert message.startswith(f"{where}: ")
        assert words in message

    def test_lines_are_counted_across_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(flows, "_CHUNK", 1000)
        good = "in,tcp,10.0.0.1,10.0.0.2,22\n"

        assert len(read(HEAD + good * 500)[0]) == 500
        assert refusal(HEAD + good * 500 + "in,tcp,x,10.0.0.2,22\n" + good).startswith("line 502, source: ")

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "empty"),
            ("source,destination,port\n", "no column protocol"),
            ("protocol,source,destination,port\n", "direction"),
            ("protocol,source,destination,port,port,direction\n", "twice"),
            ("hello\n", "no column protocol"),
            (HEAD + "x" * 70_000, "longer than"),
            ("x" * 70_000, "neither CSV"),
        ],
    )
    def test_a_file_that_is_no_log_is_refused(self, text: str, words: str) -> None:
        assert words in refusal(text)

    @pytest.mark.parametrize("data", [bytes(range(256)) * 4, b"\0" * 100])
    def test_bytes_that_are_no_text_are_refused(self, data: bytes) -> None:
        assert refusal(data)

    def test_a_header_alone_is_an_empty_log(self) -> None:
        assert read(HEAD)[0] == read(HEAD.rstrip())[0] == []


class TestAddresses:
    """The fast parsers take nothing that the parser of single addresses refuses, and read the same number."""

    @staticmethod
    def fields(texts: Iterable[str]) -> Fields:
        encoded = [text.encode() for text in texts]
        ends = np.cumsum([len(text) + 1 for text in encoded]) - 1
        starts = np.concatenate([[0], ends[:-1] + 1])
        return Fields(padded(b",".join(encoded) + b"\n"), starts, ends)

    def check(self, texts: list[str]) -> int:
        fields = self.fields(texts)
        four, is_four = ipv4(fields)
        high, low, is_six = ipv6(fields)
        for row, text in enumerate(texts):
            try:
                address = ipaddress.ip_address(text)
            except ValueError:
                assert not is_four[row], text
                assert not is_six[row], text
                continue
            if is_four[row]:
                assert (address.version, int(address)) == (4, int(four[row])), text
            if is_six[row]:
                assert (address.version, int(address)) == (6, int(high[row]) << 64 | int(low[row])), text
            assert not (is_four[row] and is_six[row])
            # A dotted end and a zone id are left to the other parser.
            assert is_four[row] or is_six[row] or "." in text or "%" in text, text
        return int(is_four.sum() + is_six.sum())

    def test_random_addresses(self) -> None:
        rng = np.random.default_rng(1)
        texts = [str(ipaddress.IPv4Address(int(n))) for n in rng.integers(0, 1 << 32, 2000)]
        for _ in range(2000):
            groups = rng.integers(0, 1 << 16, 8) * (rng.random(8) < 0.5)
            address = ipaddress.IPv6Address(":".join(f"{int(group):x}" for group in groups))
            texts += [str(address), address.exploded.upper()]

        assert self.check(texts) >= 5990  # All but what is printed with a dotted end.

    def test_text_that_is_nearly_an_address(self) -> None:
        rng = np.random.default_rng(2)
        seeds = ["10.0.0.5", "255.255.255.255", "0.0.0.0", "::", "::1", "1::", "2001:db8::5", "1:2:3:4:5:6:7:8"]
        seeds += ["1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::3:4:5:6:7:8", "::ffff:1.2.3.4", "fe80::1%1", "1.2.3", ""]
        texts = list(seeds)
        for _ in range(20_000):
            text = list(seeds[int(rng.integers(len(seeds)))])
            for _ in range(int(rng.integers(1, 4))):
                at, letter = int(rng.integers(len(text) + 1)), "0123456789abfgF:.. -/"[int(rng.integers(21))]
                match int(rng.integers(3)):
                    case 0:
                        text.insert(at, letter)
                    case 1:
                        text[at : at + 1] = letter
                    case _:
                        text[at : at + 1] = []
            texts.append("".join(text).strip())

        assert self.check(texts) > 1000


VPC = "2 123456789010 eni-1 {} {} {} {} {} 10 840 {} 1418530070 ACCEPT OK\n"


class TestVpc:
    def test_the_opener_is_judged_and_replies_are_not(self) -> None:
        packets, log = read(
            VPC.format("10.0.0.5", "203.0.113.9", 443, 50000, 6, 1418530010)
            + VPC.format("203.0.113.9", "10.0.0.5", 50000, 443, 6, 1418530010)
            + VPC.format("10.0.0.5", "198.51.100.1", 40000, 5001, 17, 1418530010)
            + VPC.format("198.51.100.1", "10.0.0.5", 5001, 40000, 17, 1418530009)
            + VPC.format("203.0.113.9", "10.0.0.5", 50000, 443, 6, 1418530070)
            + VPC.format("203.0.113.9", "10.0.0.5", 0, 0, 1, 1418530070),
            LOCAL,
        )

        assert packets == [
            tcp(IN, "203.0.113.9", "10.0.0.5", 443),
            tcp(IN, "198.51.100.1", "10.0.0.5", 40000, 17),
            tcp(IN, "203.0.113.9", "10.0.0.5", None, 1),
        ]
        assert (log.kind, log.records) == ("VPC flow log", 6)
        assert +log.skipped == {Skip.REPLY: 2, Skip.REPEAT: 1}

    def test_lines_without_data_are_counted(self) -> None:
        packets, log = read(
            "2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - NODATA\n"
            + VPC.format("203.0.113.9", "10.0.0.5", 50000, 443, 6, 1)
            + "2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - SKIPDATA\n",
            LOCAL,
        )

        assert len(packets) == 1
        assert +log.skipped == {Skip.NO_DATA: 2}

    def test_a_line_that_names_the_fields_may_bring_directions_and_flags(self) -> None:
        head = "version srcaddr dstaddr srcport dstport protocol tcp-flags flow-direction start\n"
        packets, log = read(
            head + "5 10.0.0.5 10.0.0.6 443 50000 6 18 ingress 100\n"
            "5 10.0.0.6 10.0.0.5 50000 443 6 2 egress 101\n"
            "5 10.0.0.6 10.0.0.5 50000 443 6 2 ingress 101\n"
            "5 10.0.0.5 10.0.0.6 443 50000 6 18 egress 100\n"
            "5 192.0.2.1 10.0.0.6 443 50000 6 18 ingress 100\n"
        )

        # Both machines' own records are there: the flow leaves the one and enters the other.
        assert packets == [tcp(OUT, "10.0.0.6", "10.0.0.5", 443), tcp(IN, "10.0.0.6", "10.0.0.5", 443)]
        assert +log.skipped == {Skip.REPLY: 3}

    def test_flows_are_remembered_over_blocks_but_not_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(flows, "_CHUNK", 2000)
        lines = [VPC.format("203.0.113.9", "10.0.0.5", 50000 + i, 8443, 6, i) for i in range(400)]
        back = [VPC.format("10.0.0.5", "203.0.113.9", 8443, 50000 + i, 6, i + 60) for i in range(400)]

        packets, log = read("".join(lines + back), LOCAL)

        assert len(packets) == 400
        assert log.skipped[Skip.REPLY] == 400
        monkeypatch.setattr(openers.Openers.__init__, "__defaults__", (100,))
        assert len(read("".join(lines + back), LOCAL)[0]) > 600

    def test_bad_lines_are_named(self) -> None:
        good = VPC.format("203.0.113.9", "10.0.0.5", 50000, 443, 6, 1)

        assert refusal(good + "2 1 eni-1 203.0.113.9\n", LOCAL).startswith("line 2: It has 4 fields instead of 14")
        assert refusal(good + VPC.format("x", "10.0.0.5", 1, 2, 6, 1), LOCAL).startswith("line 2, source: ")
        assert refusal(good + VPC.format("10.0.0.1", "10.0.0.5", 1, 2, 6, "noon"), LOCAL).startswith("line 2, start: ")
        assert "local addresses" in refusal(good)


def ethernet(payload: bytes, kind: int, *tags: int) -> bytes:
    return bytes(12) + b"".join(struct.pack(">HH", tag, 7) for tag in tags) + struct.pack(">H", kind) + payload


def ip4(protocol: int, source: str, destination: str, payload: bytes, *, offset: int = 0, options: int = 0) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45 + options, 0, 0, 0, offset, 64, protocol, 0)
    ends = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(destination).packed
    return ethernet(head + ends + bytes(options * 4) + payload, 0x0800)


def ip6(protocol: int, source: str, destination: str, payload: bytes) -> bytes:
    ends = ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address(destination).packed
    return ethernet(struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + ends + payload, 0x86DD)


def segment(source_port: int, port: int, flags: int = 2) -> bytes:
    return struct.pack(">HHIIBBHHH", source_port, port, 0, 0, 0x50, flags, 0, 0, 0)


def datagram(source_port: int, port: int) -> bytes:
    return struct.pack(">HHHH", source_port, port, 8, 0)


def pcap(*frames: bytes, magic: int = 0xA1B2C3D4, order: str = "<", link: int = 1) -> bytes:
    head = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    return head + b"".join(struct.pack(f"{order}IIII", 1, 2, len(f), len(f)) + f for f in frames)


class TestCapture:
    SYN = ip4(6, "203.0.113.9", "10.0.0.5", segment(50000, 22))

    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D], ids=["microseconds", "nanoseconds"])
    def test_both_byte_orders_and_resolutions(self, order: str, magic: int) -> None:
        packets, log = read(pcap(self.SYN, magic=magic, order=order), LOCAL)

        assert packets == [tcp(IN, "203.0.113.9", "10.0.0.5", 22)]
        assert (log.kind, log.records, +log.skipped) == ("capture", 1, {})

    def test_only_what_opens_a_tcp_or_sctp_connection_is_judged(self) -> None:
        init, data = (datagram(9, 10) + bytes([0, 0, 0, 0, kind, 0, 0, 0]) for kind in (1, 0))
        frames = [
            ip4(6, "203.0.113.9", "10.0.0.5", segment(50000, 22, flags)) for flags in (2, 0x12, 0x10, 0x18, 4, 0xC2)
        ]
        frames += [ip4(132, "10.0.0.5", "203.0.113.9", part) for part in (init, data)]

        packets, log = read(pcap(*frames), LOCAL)

        assert packets == [
            tcp(IN, "203.0.113.9", "10.0.0.5", 22),
            tcp(IN, "203.0.113.9", "10.0.0.5", 22),
            tcp(OUT, "10.0.0.5", "203.0.113.9", 10, 132),
        ]
        assert +log.skipped == {Skip.MIDDLE: 5}

    def test_of_other_protocols_the_first_packet_between_two_ends_is(self) -> None:
        there, back = ("10.0.0.5", "198.51.100.1"), ("198.51.100.1", "10.0.0.5")
        frames = [ip4(17, *there, datagram(5000, 53)), ip4(17, *back, datagram(53, 5000))]
        frames += [ip4(17, *there, datagram(5000, 53)), ip4(17, *there, datagram(5001, 53))]
        frames += [ip4(47, *back, bytes(8)), ip4(47, *there, bytes(8))]
        frames += [ip4(1, *there, bytes([kind]) + bytes(7)) for kind in (8, 8, 3, 11)] + [ip4(1, *back, bytes(8))]

        packets, log = read(pcap(*frames), LOCAL)

        assert packets == [
            tcp(IN, *back, None, 47),
            tcp(OUT, *there, 53, 17),
            tcp(OUT, *there, 53, 17),
            tcp(OUT, *there, None, 1),
        ]
        assert +log.skipped == {Skip.REPLY: 2, Skip.REPEAT: 2, Skip.ICMP_ANSWER: 3}

    def test_ipv6_and_its_extension_headers(self) -> None:
        ends = ("2001:db8:1::5", "2001:db8:2::5")
        hop, destination = bytes([60, 0]) + bytes(6), bytes([6, 1]) + bytes(14)
        auth = bytes([17, 4]) + bytes(22)
        first, later = (bytes([17, 0]) + struct.pack(">HI", offset, 1) for offset in (1, 8))
        frames = [
            ip6(6, *ends, segment(1, 443)),
            ip6(0, *ends, hop + destination + segment(2, 80)),
            ip6(51, *ends, auth + datagram(3, 53)),
            ip6(44, *ends, first + datagram(4, 123)),
            ip6(44, *ends, later + bytes(8)),
            ip6(58, *ends, bytes([128]) + bytes(7)),
            ip6(58, *ends, bytes([129]) + bytes(7)),
            ip6(0, *ends, hop[:4]),
        ]

        packets, log = read(pcap(*frames), LOCAL)

        assert [(p.direction, p.version, p.protocol, p.port) for p in packets] == [
            (OUT, 6, 6, 443),
            (OUT, 6, 6, 80),
            (OUT, 6, 17, 53),
            (OUT, 6, 17, 123),
            (OUT, 6, 58, None),
        ]
        assert {(p.source, p.destination) for p in packets} == {tuple(number(end) for end in ends)}
        assert +log.skipped == {Skip.FRAGMENT: 1, Skip.ICMP_ANSWER: 1, Skip.CUT: 1}

    def test_tags_options_and_fragments(self) -> None:
        inside = self.SYN[14:]
        frames = [ethernet(inside, 0x0800, 0x8100), ethernet(inside, 0x0800, 0x88A8, 0x8100)]
        frames += [ip4(6, "203.0.113.9", "10.0.0.5", segment(1, 22), options=3)]
        frames += [ip4(6, "203.0.113.9", "10.0.0.5", bytes(20), offset=185)]
        frames += [ethernet(bytes(28), 0x0806), ethernet(bytes(28), 0x0806, 0x8100)]

        packets, log = read(pcap(*frames), LOCAL)

        assert packets == [tcp(IN, "203.0.113.9", "10.0.0.5", 22)] * 3
        assert +log.skipped == {Skip.FRAGMENT: 1, Skip.NOT_IP: 2}

    def test_every_way_to_cut_a_packet_short_is_counted(self) -> None:
        frames = [self.SYN[:length] for length in range(len(self.SYN) - 6)]

        packets, log = read(pcap(*frames, self.SYN), LOCAL)

        assert len(packets) == 1
        assert log.skipped[Skip.CUT] + log.skipped[Skip.NOT_IP] == len(frames)

    def test_a_capture_that_ends_within_a_packet_keeps_the_others(self) -> None:
        packets, log = read(pcap(self.SYN, self.SYN)[:-5], LOCAL)

        assert len(packets) == 1
        assert (log.records, +log.skipped) == (2, {Skip.CUT: 1})

    def test_damaged_and_foreign_captures_are_refused(self) -> None:
        whole = pcap(self.SYN)

        assert "header" in refusal(whole[:10], LOCAL)
        assert "link type is 105 (Wi-Fi)" in refusal(pcap(link=105), LOCAL)
        assert "damaged" in refusal(whole + b"\xff" * 40, LOCAL)
        assert "byte order" in refusal(b"\x0a\x0d\x0d\x0a" + bytes(60), LOCAL)
        assert "local addresses" in refusal(whole)

    def test_random_bytes_in_packets_break_nothing(self) -> None:
        rng = np.random.default_rng(3)
        frames = []
        for _ in range(3000):
            frame = bytearray([self.SYN, ip6(0, "::1", "::2", bytes(60))][int(rng.integers(2))])
            for _ in range(int(rng.integers(5))):
                frame[int(rng.integers(12, len(frame)))] = int(rng.integers(256))
            frames.append(bytes(frame[: int(rng.integers(len(frame) + 1))]))

        packets, log = read(pcap(*frames), [parse_network("0.0.0.0/0"), parse_network("::/0")])

        assert log.records == 3000
        assert len(packets) // 2 + log.skipped.total() == 3000


class TestGzip:
    def test_a_packed_log_is_unpacked(self) -> None:
        text = (HEAD + "in,tcp,10.0.0.1,10.0.0.2,22\n" * 9).encode()

        assert len(read(gzip.compress(text))[0]) == 9
        assert len(read(gzip.compress(pcap(TestCapture.SYN)), LOCAL)[0]) == 1

    def test_a_damaged_one_is_refused(self) -> None:
        packed = gzip.compress((HEAD + "in,tcp,10.0.0.1,10.0.0.2,22\n" * 9).encode())

        for data in (packed[:-12], packed[:20], packed[:12] + b"\xff" * 30, b"\x1f\x8b"):
            assert "gzip" in refusal(data)

    @pytest.mark.parametrize("packed", [False, True])
    def test_short_reads_are_not_the_end(self, packed: bool) -> None:
        for data, local in (
            ((HEAD + "in,tcp,10.0.0.1,10.0.0.2,22\n" * 9).encode(), ()),
            (pcap(*[TestCapture.SYN] * 9), LOCAL),
        ):
            stream = Trickle(gzip.compress(data) if packed else data)

            assert sum(len(batch) for batch in FlowLog(stream, local)) == 9
