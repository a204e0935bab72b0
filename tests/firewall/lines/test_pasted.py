"""Packets out of pasted lines."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securitygroups.firewall.lines.pasted import parse_line, read_line
from securitygroups.firewall.lines.replies import read_reply
from securitygroups.firewall.values import Refused, parse_address
from securitygroups.forms import PacketForm

KERNEL = (
    "[112233.456789] DROP-IN: IN=eth0 OUT= MAC=52:54:00:12:34:56:fe:54:00:aa:bb:cc:08:00 SRC={} DST={} LEN=60 TOS=0x00 "
    "PREC=0x00 TTL=53 ID=54321 DF PROTO={}"
)
TCP4 = {"source": "203.0.113.9", "destination": "10.0.0.5", "protocol": "tcp", "port": "22"}
TCP6 = {"source": "2001:db8::9", "destination": "2001:db8:1::5", "protocol": "tcp", "port": "22"}
UDP4 = TCP4 | {"protocol": "udp", "port": "53"}
ICMP4 = {"source": "203.0.113.9", "destination": "10.0.0.5", "protocol": "icmp"}
ICMP6 = {"source": "2001:db8::9", "destination": "2001:db8:1::5", "protocol": "icmp"}
UNSAID4 = {"source": "203.0.113.9", "destination": "10.0.0.5"}
UNSAID6 = {"source": "2001:db8::9", "destination": "2001:db8:1::5"}
ESP = {"protocol": "number", "number": "50"}
GRE = {"protocol": "number", "number": "47"}
IN = {"direction": "in"}

LINES = {
    "tcp 203.0.113.9 > 10.0.0.5:22": TCP4,
    "tcp 203.0.113.9:51000 > 10.0.0.5:22": TCP4,
    "  TCP 203.0.113.9:51000 -> 10.0.0.5:22  ": TCP4,
    "203.0.113.9:51000 → 10.0.0.5:22": UNSAID4 | {"port": "22"},
    "203.0.113.9->10.0.0.5:22": UNSAID4 | {"port": "22"},
    "203.0.113.9 > 10.0.0.5:ssh tcp": TCP4,
    "DROP: proto 50 203.0.113.9 -> 10.0.0.5": UNSAID4 | ESP,
    "esp 203.0.113.9 -> 10.0.0.5": UNSAID4 | ESP,
    "udp 203.0.113.9 > 10.0.0.5:53": UDP4,
    "203.0.113.9 > 10.0.0.5:53 udp": UDP4,
    "sctp 203.0.113.9 > 10.0.0.5:3868": TCP4 | {"protocol": "sctp", "port": "3868"},
    "icmp 203.0.113.9 > 10.0.0.5": ICMP4,
    "203.0.113.9 > 10.0.0.5": UNSAID4,
    "[2001:db8::9]:51000 > [2001:db8:1::5]:22": UNSAID6 | {"port": "22"},
    "tcp [2001:db8::9] -> [2001:db8:1::5]:22": TCP6,
    "2001:db8::9 > 2001:db8:1::5": UNSAID6,
    "tcp [2001:db8::9] -> [2001:db8:1::5]:https": TCP6 | {"port": "443"},
    # tcpdump, with and without time, host and link layer
    "IP 203.0.113.9.51000 > 10.0.0.5.22: Flags [S], seq 1234, win 64240, options [mss 1460], length 0": TCP4,
    "12:34:56.789012 IP 203.0.113.9.51000 > 10.0.0.5.22: Flags [S], seq 1234, win 64240, length 0": TCP4,
    "2030-01-31 12:34:56.789012 IP 203.0.113.9.51000 > 10.0.0.5.22: Flags [S.], seq 1, ack 2, length 0": TCP4,
    "12:34:56.789012 eth0  In  IP 203.0.113.9.51000 > 10.0.0.5.22: Flags [S], seq 1, win 1, length 0": TCP4 | IN,
    "IP 203.0.113.9.51000 > 10.0.0.5.22: Flags [P.], seq 1:40, ack 1, length 39: HTTP: GET /udp HTTP/1.1": TCP4,
    "12:34:56.789012 IP 203.0.113.9.51000 > 10.0.0.5.53: 12345+ A? www.example.com. (33)": UDP4,
    "12:34:56.789012 IP 203.0.113.9.51000 > 10.0.0.5.53: 12345+ A? tcp.example.com. (33)": UDP4,
    "12:34:56.789012 IP 203.0.113.9.51000 > 10.0.0.5.53: UDP, length 30": UDP4,
    "IP 203.0.113.9.36412 > 10.0.0.5.36412: sctp (1) [INIT] [init tag: 1]": TCP4 | {"protocol": "sctp", "port": "36412"},
    "12:34:56.789012 IP 203.0.113.9 > 10.0.0.5: ICMP echo request, id 1, seq 1, length 64": ICMP4,
    "IP 203.0.113.9 > 10.0.0.5: ICMP 203.0.113.9 udp port 53 unreachable, length 36": ICMP4,
    "12:34:56.789012 IP6 2001:db8::9.51000 > 2001:db8:1::5.22: Flags [S], seq 1234, win 64800, length 0": TCP6,
    "IP6 2001:db8::9 > 2001:db8:1::5: ICMP6, echo request, id 1, seq 1, length 64": ICMP6,
    "IP6 ::1.51000 > ::1.22: Flags [S], seq 1, length 0": TCP6 | {"source": "::1", "destination": "::1"},
    "IP6 2001:db8:: > ::: ICMP6, echo request": ICMP6 | {"source": "2001:db8::", "destination": "::"},
    "IP6 fe80::1 > ff02::1: ICMP6, router advertisement, length 56": ICMP6 | {"source": "fe80::1", "destination": "ff02::1"},
    "12:00:00.0 IP6 :: > ff02::16: HBH ICMP6, multicast listener report v2, 1 group record(s), length 28": ICMP6 | {"source": "::", "destination": "ff02::16"},
    "12:00:00.0 IP6 (hlim 1, next-header Options (0) payload length: 36) fe80::1 > ff02::16: HBH (rtalert: 0x0000) (padn) [icmp6 sum ok] ICMP6, multicast listener report v2, length 28": ICMP6 | {"source": "fe80::1", "destination": "ff02::16"},
    "IP6 2001:db8::9 > 2001:db8:1::5: DSTOPT ICMP6, echo request, length 8": ICMP6,
    "IP6 2001:db8::9 > 2001:db8:1::5: frag (0|1448) ICMP6, echo request, id 1, seq 1, length 1448": ICMP6,
    "IP6 2001:db8::9 > 2001:db8:1::5: srcrt (len=2, type=4, segleft=0) ICMP6, echo request": ICMP6,
    "IP6 2001:db8::9 > 2001:db8:1::5: HBH (rtalert: 0x0000) UDP, length 8": ICMP6 | {"protocol": "udp", "port": ""},
    # tcpdump with the names of services, as it prints them without -n
    "12:34:56.789012 IP 203.0.113.9.51000 > 10.0.0.5.ssh: Flags [S], seq 1234, win 64240, length 0": TCP4,
    "12:34:56.789012 IP 203.0.113.9.51000 > 10.0.0.5.domain: 12345+ A? www.example.com. (33)": UDP4,
    "12:34:56.789012 IP 203.0.113.9.51000 > 10.0.0.5.https: Flags [S], seq 1, win 1, length 0": TCP4 | {"port": "443"},
    "IP 203.0.113.9.51000 > 10.0.0.5.ms-wbt-server: Flags [S], seq 1, win 64240, length 0": TCP4 | {"port": "3389"},
    "IP 203.0.113.9.51000 > 10.0.0.5.postgresql: Flags [S], seq 1, length 0": TCP4 | {"port": "5432"},
    "IP 203.0.113.9.ntp > 10.0.0.5.ntp: NTPv4, Client, length 48": UDP4 | {"port": "123"},
    "IP 203.0.113.9.isakmp > 10.0.0.5.isakmp: isakmp: phase 1 I ident": UDP4 | {"port": "500"},
    "IP 203.0.113.9.ipsec-nat-t > 10.0.0.5.ipsec-nat-t: UDP-encap: ESP(spi=0x1,seq=0x1), length 132": UDP4 | {"port": "4500"},
    "IP 203.0.113.9.1701 > 10.0.0.5.1701:  l2tp:[TLS](0/0)Ns=0,Nr=0 *MSGTYPE(SCCRQ)": UDP4 | {"port": "1701"},
    "IP6 2001:db8::9.51000 > 2001:db8:1::5.ssh: Flags [S], seq 1, win 64800, length 0": TCP6,
    "IP 203.0.113.9.51000 > 10.0.0.5.no-such-name: Flags [S], seq 1, length 0": TCP4 | {"port": ""},
    # tcpdump -q, -v and -e
    "IP 203.0.113.9.51000 > 10.0.0.5.22: tcp 0": TCP4,
    "IP 203.0.113.9.51000 > 10.0.0.5.53: UDP, length 30 ": UDP4,
    "12:34:56.789012 IP (tos 0x0, ttl 64, id 1, offset 0, flags [DF], proto TCP (6), length 60)    203.0.113.9.51000 > 10.0.0.5.22: Flags [S], cksum 0x1 (correct), seq 1, length 0": TCP4,
    "IP (tos 0x0, ttl 64, id 1, offset 0, flags [none], proto ESP (50), length 152)    203.0.113.9 > 10.0.0.5: ESP(spi=0x1,seq=0x1), length 132": UNSAID4 | ESP,
    "IP6 (flowlabel 0x12345, hlim 64, next-header TCP (6) payload length: 40) 2001:db8::9.51000 > 2001:db8:1::5.22: Flags [S], cksum 0x1 (correct), seq 1": TCP6,
    "12:34:56.789012 52:54:00:12:34:56 > fe:54:00:aa:bb:cc, ethertype IPv4 (0x0800), length 74: 203.0.113.9.51000 > 10.0.0.5.22: Flags [S], seq 1, length 0": TCP4,
    # tcpdump of protocols without ports
    "IP 203.0.113.9 > 10.0.0.5: ESP(spi=0xc1234567,seq=0x1), length 132": UNSAID4 | ESP,
    "IP 203.0.113.9 > 10.0.0.5: AH(spi=0x00000001,sumlen=16,seq=0x1): ICMP echo request": UNSAID4 | {"protocol": "number", "number": "51"},
    "IP 203.0.113.9 > 10.0.0.5: GREv0, length 88: IP 10.9.0.1 > 10.9.0.2: ICMP echo request, id 1, seq 1": UNSAID4 | GRE,
    "IP 203.0.113.9 > 10.0.0.5: GREv1, call 1, seq 1, length 32: LCP, Conf-Request (0x01)": UNSAID4 | GRE,
    "IP 203.0.113.9 > 10.0.0.5: IP 10.9.0.1 > 10.9.0.2: ICMP echo request, id 1, seq 1": UNSAID4 | {"protocol": "number", "number": "4"},
    "IP 203.0.113.9 > 10.0.0.5: OSPFv2, Hello, length 44": UNSAID4 | {"protocol": "number", "number": "89"},
    "IP 203.0.113.9 > 10.0.0.5: VRRPv2, Advertisement, vrid 1, prio 100": UNSAID4 | {"protocol": "number", "number": "112"},
    "IP 203.0.113.9 > 10.0.0.5: igmp v2 report 239.1.1.1": UNSAID4 | {"protocol": "number", "number": "2"},
    "IP 203.0.113.9 > 10.0.0.5:  ip-proto-253 20": UNSAID4 | {"protocol": "number", "number": "253"},
    "IP 203.0.113.9 > 10.0.0.5: something new, length 20": UNSAID4,
    "ARP, Request who-has 10.0.0.5 tell 10.0.0.1, length 28": {"protocol": "non-ip"},
    # The kernel's log
    KERNEL.format("203.0.113.9", "10.0.0.5", "TCP SPT=51000 DPT=22 WINDOW=64240 RES=0x00 SYN URGP=0"): TCP4 | IN,
    KERNEL.format("203.0.113.9", "10.0.0.5", "UDP SPT=51000 DPT=53 LEN=40"): UDP4 | IN,
    KERNEL.format("203.0.113.9", "10.0.0.5", "ICMP TYPE=8 CODE=0 ID=1 SEQ=1"): ICMP4 | IN,
    KERNEL.format("2001:db8::9", "2001:db8:1::5", "ICMPv6 TYPE=128 CODE=0 ID=1 SEQ=1"): ICMP6 | IN,
    KERNEL.format("2001:db8::9", "2001:db8:1::5", "TCP SPT=51000 DPT=22 WINDOW=64240 SYN"): TCP6 | IN,
    KERNEL.format("203.0.113.9", "10.0.0.5", "47"): ICMP4 | {"protocol": "number", "number": "47"} | IN,
    KERNEL.format("203.0.113.9", "10.0.0.5", "ESP SPI=0xc1234567"): UNSAID4 | ESP | IN,
    KERNEL.format("203.0.113.9", "10.0.0.5", "AH SPI=0x1"): UNSAID4 | {"protocol": "number", "number": "51"} | IN,
    KERNEL.format("203.0.113.9", "10.0.0.5", "UDPLITE SPT=1 DPT=2"): UNSAID4 | {"protocol": "number", "number": "136"} | IN,
    KERNEL.format("203.0.113.9", "10.0.0.5", "132 SPT=1 DPT=3868"): TCP4 | {"protocol": "sctp", "port": "3868"} | IN,
    KERNEL.format("203.0.113.9", "10.0.0.5", "6 SPT=51000 DPT=22"): TCP4 | IN,
    KERNEL.format("203.0.113.9", "10.0.0.5", "58"): UNSAID4 | {"protocol": "number", "number": "58"} | IN,
    KERNEL.format("203.0.113.9", "10.0.0.5", "NEW DPT=22"): UNSAID4 | IN,
    KERNEL.format("203.0.113.9", "10.0.0.5", "999"): UNSAID4 | IN,
    KERNEL.format(
        "203.0.113.9", "10.0.0.5", "ICMP TYPE=3 CODE=3 [SRC=10.0.0.5 DST=203.0.113.9 LEN=60 PROTO=UDP SPT=1 DPT=2 ]"
    ): ICMP4 | IN,
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_read(line: str) -> None:
    assert read_line(line) == LINES[line]


@pytest.mark.parametrize("line", LINES)
def test_what_was_read_is_a_packet_as_soon_as_a_direction_and_what_the_line_left_out_are_chosen(line: str) -> None:
    read = read_line(line)
    left_out = {} if read.get("protocol") else {"protocol": "tcp"}
    left_out |= {} if read.get("port") else {"port": "22"}
    form = PacketForm(read | left_out | {"direction": "in"})

    assert form.is_valid(), form.errors


@pytest.mark.parametrize(
    "line",
    [
        "", "   ", "hello", ">", "a > b", "10.0.0.5", "SRC= DST=", "SRC=1.2.3.4", "10.0.0.5 > www.example.com:22",
        "999.1.1.1 > 10.0.0.5:22", "Accepted publickey for root from 203.0.113.9 port 51000 ssh2",
        "IP truncated-ip - 4 bytes missing!", "1.2.3 > 4.5.6",
    ],
)  # fmt: skip
def test_a_line_without_a_packet_gives_nothing(line: str) -> None:
    assert read_line(line) == {}


WORDS = [
    "10.0.0.5",
    "2001:db8::5",
    ">",
    "->",
    "→",
    "[",
    "]",
    ":",
    ".",
    ",",
    "IP",
    "IP6",
    "tcp",
    "udp",
    "SRC=",
    "DST=",
    "PROTO=",
    "DPT=",
    "22",
    ":22",
    "[::1]:22",
    ":::",
    "1.2.3.4.5",
    "\x00",
    "\n",
    "é",
]


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=300), st.lists(st.sampled_from(WORDS), max_size=20).map(" ".join)))
def test_any_text_gives_fields_of_the_form_or_nothing(text: str) -> None:
    fields = read_line(text)

    assert fields.keys() <= {"direction", "source", "destination", "protocol", "port", "number"}
    assert not fields or fields.get("protocol") == "non-ip" or {"source", "destination"} <= fields.keys()
    if fields and "=" not in text:
        assert {parse_address(fields["source"])[0], parse_address(fields["destination"])[0]} <= {4, 6}
    PacketForm(fields | {"direction": "in"}).is_valid()


@pytest.mark.parametrize("unit", ["1.", " 1", "1", "1:", "1 > ", "[1]", "SRC=", " ", "IP ", "1.1.1.1 > ", "é"])
def test_only_the_beginning_of_an_endless_line_is_looked_at(unit: str) -> None:
    endless = unit * (2_000_000 // len(unit))

    assert read_line(endless) == read_line(endless.strip()[:2000])


def test_a_long_record_of_json_is_read_and_of_another_long_line_it_is_said_that_it_was_cut() -> None:
    packet = {"src_ip": "198.51.100.7", "dest_ip": "10.0.1.10", "dest_port": 22, "proto": "TCP"}
    wanted = {"source": "198.51.100.7", "destination": "10.0.1.10", "protocol": "tcp", "port": "22"}

    assert parse_line(json.dumps({"payload": "x" * 5_000} | packet)).fields == wanted
    assert parse_line(json.dumps({"payload": "x" * 50_000} | packet)).fields == {}
    for line in ("tcp 198.51.100.7 > 10.0.1.10:22 " + "x" * 2_000, json.dumps({"payload": "x" * 50_000} | packet)):
        assert parse_line(line).advice.startswith("Only the first 2,000 characters are looked at")
    assert parse_line("tcp 198.51.100.7 > 10.0.1.10:22").advice == ""


def test_what_is_no_address_is_no_end_of_a_packet() -> None:
    with pytest.raises(Refused):
        parse_address("10.0.0.5.22")
    assert read_line("10.0.0.5.22.1 > 10.0.0.5.22") == {}


@pytest.mark.parametrize("end", ["198.51.100.7out", "١98.51.100.7", "host.example"])
def test_what_an_error_quotes_has_addresses_or_is_not_told(end: str) -> None:
    quoted = f"[SRC=10.0.1.10 DST={end} LEN=60 PROTO=TCP SPT=51515 DPT=443 SYN ]"
    line = f"kernel: IN=eth0 OUT= SRC=10.0.1.1 DST=10.0.1.10 LEN=88 PROTO=ICMP TYPE=3 CODE=1 {quoted}"

    assert parse_line(line).fields["source"] == "10.0.1.1"
    assert parse_line(line).opener is None


def test_a_direction_that_is_none_is_not_told() -> None:
    line = (
        "filterlog[1]: 82,,,02f4bab0,igb0,match,pass,{},4,0x0,,64,1,0,none,17,udp,84,10.0.1.10,198.51.100.7,40000,53,64"
    )

    assert read_line(line.format("out"))["direction"] == "out"
    assert "direction" not in read_line(line.format("ipv6-icmpin"))


@pytest.mark.parametrize("port", ["²", "١22", "22²"])
def test_a_port_is_written_in_plain_digits(port: str) -> None:
    line = f"kernel: IN=eth0 OUT= SRC=198.51.100.7 DST=10.0.1.10 LEN=52 PROTO=TCP SPT=443 DPT={port} ACK URGP=0"

    assert parse_line(line).fields.get("port", "") == ""
    assert read_reply(line) is not None


def test_names_of_services_that_are_not_known_here_are_asked_of_the_caller() -> None:
    asked = []

    def service_port(name: str, protocol: str) -> int | None:
        asked.append((name, protocol))
        return 7777 if name == "house-special" else None

    line = "IP 203.0.113.9.51000 > 10.0.0.5.{}: Flags [S], seq 1, length 0"
    assert read_line(line.format("house-special"), service_port) == TCP4 | {"port": "7777"}
    assert read_line(line.format("no-such-name"), service_port) == TCP4 | {"port": ""}
    assert read_line(line.format("ssh"), service_port) == TCP4
    assert read_line("203.0.113.9 > 10.0.0.5:house-special", service_port) == UNSAID4 | {"port": "7777"}
    assert asked == [("house-special", "tcp"), ("no-such-name", "tcp"), ("house-special", "tcp")]
