"""Pasted lines of packets that open no connection, and what the packet was that did."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securitygroups.firewall.lines.dumps import flags_in
from securitygroups.firewall.lines.pasted import read_line
from securitygroups.firewall.lines.replies import read_reply

PUBLIC = Path(__file__).parents[2] / "cases" / "public" / "replies.jsonl"
SSH = {"source": "198.51.100.7", "destination": "10.0.1.10", "protocol": "tcp", "port": "22"}
SSH6 = {"source": "2001:db8::7", "destination": "2001:db8:1::5", "protocol": "tcp", "port": "22"}
DNS = SSH | {"protocol": "udp", "port": "53"}
PING = {"source": "198.51.100.7", "destination": "10.0.1.10", "protocol": "icmp"}
BACK, FORTH = "IP 10.0.1.10.22 > 198.51.100.7.51515: ", "IP 198.51.100.7.51515 > 10.0.1.10.22: "
KERNEL = "kernel: IN=eth0 OUT= SRC={} DST={} LEN=52 TOS=0x00 TTL=64 ID=1 DF PROTO=TCP SPT={} DPT={} WINDOW=1 RES=0x00 {}URGP=0"
SHARK = "  12 0.000000 {} → {} TCP 66 {} → {} [{}] Seq=0 Ack=1 Win=64240 Len=0"
US, THEM = ("10.0.1.10", "198.51.100.7", 22, 51515), ("198.51.100.7", "10.0.1.10", 51515, 22)


def shark(ends: tuple[str, str, int, int], flags: str) -> str:
    return SHARK.format(*ends, flags)


def kernel(ends: tuple[str, str, int, int], flags: str) -> str:
    return KERNEL.format(*ends, flags)


@pytest.mark.parametrize(
    ("line", "what", "opener"),
    [
        (BACK + "Flags [S.], seq 1, ack 2, win 1, length 0", "SYN-ACK", SSH),
        (BACK + "Flags [S.E], seq 1, ack 2, win 1, length 0", "SYN-ACK", SSH),
        (BACK + "Flags [R.], seq 0, ack 2, win 0, length 0", "RST", SSH),
        (FORTH + "Flags [R], seq 5, win 0, length 0", "RST", SSH),
        (BACK + "Flags [.], ack 1, win 1, length 0", "ACK", SSH),
        (FORTH + "Flags [.], ack 1, win 1, length 0", "ACK", SSH),
        (FORTH + "Flags [P.], seq 1:40, ack 1, length 39", "ACK", SSH),
        (BACK + "Flags [F.], seq 1, ack 1, length 0", "FIN", SSH),
        (BACK + "Flags [none], win 1, length 0", "without a SYN", SSH),
        (BACK + "S 1:1(0) ack 2 win 5840 <mss 1460>", "SYN-ACK", SSH),
        (BACK + ". ack 1 win 5840", "ACK", SSH),
        ("12:00:00.0 eth0  In  " + BACK + "Flags [S.], seq 1", "SYN-ACK", SSH),
        ("IP 10.0.1.10.ssh > 198.51.100.7.51515: Flags [S.], seq 1", "SYN-ACK", SSH),
        ("IP6 2001:db8:1::5.22 > 2001:db8::7.51515: Flags [S.], seq 1", "SYN-ACK", SSH6),
        ("tcp 10.0.1.10:22 > 198.51.100.7:51515 SYN-ACK", "SYN-ACK", SSH),
        ("tcp 10.0.1.10:22 -> 198.51.100.7:51515 syn+ack", "SYN-ACK", SSH),
        ("tcp 10.0.1.10:22 > 198.51.100.7:51515 flags=SA", "SYN-ACK", SSH),
        ("tcp 10.0.1.10:22 > 198.51.100.7:51515 tcp_flags 0x12", "SYN-ACK", SSH),
        ("tcp 10.0.1.10:22 > 198.51.100.7:51515 RST", "RST", SSH),
        ("IP 10.0.1.10.53 > 198.51.100.7.40000: 1234* 1/0/0 A 203.0.113.5 (50)", "answer", DNS),
        ("IP 10.0.1.10.53 > 198.51.100.7.40000: 1234 NXDomain 0/1/0 (90)", "answer", DNS),
        ("icmp 10.0.1.10 > 198.51.100.7 type 0", "echo reply", PING),
        ("icmp 10.0.1.10 > 198.51.100.7 echo-reply", "echo reply", PING),
        (kernel(US, "ACK SYN "), "SYN-ACK", SSH),
        (kernel(US, "RST "), "RST", SSH),
        (kernel(US, "ACK RST "), "RST", SSH),
        (kernel(US, "ACK PSH "), "ACK", SSH),
        (kernel(THEM, "ACK FIN "), "FIN", SSH),
        (shark(US, "SYN, ACK"), "SYN-ACK", SSH),
        (shark(US, "RST, ACK"), "RST", SSH),
        (shark(THEM, "ACK"), "ACK", SSH),
        (shark(THEM, "PSH, ACK"), "ACK", SSH),
        ("IP 10.0.1.10 > 198.51.100.7: ICMP echo reply, id 1, seq 1, length 64", "echo reply", PING),
        ("  1 0.0 10.0.1.10 → 198.51.100.7 ICMP 98 Echo (ping) reply    id=0x1, seq=1/256, ttl=64", "echo reply", PING),
        ("kernel: IN=eth0 OUT= SRC=10.0.1.10 DST=198.51.100.7 LEN=84 PROTO=ICMP TYPE=0 CODE=0 ID=1 SEQ=1", "echo reply", PING),
        (
            "IP 10.0.1.10 > 198.51.100.7: ICMP 10.0.1.10 udp port 53 unreachable, length 36",
            "ICMP error",
            SSH | {"protocol": "udp", "port": "53"},
        ),
        (
            "IP 10.0.1.1 > 198.51.100.7: ICMP 10.0.1.10 udp port domain unreachable, length 36",
            "ICMP error",
            SSH | {"protocol": "udp", "port": "53"},
        ),
        (
            "IP6 2001:db8:1::5 > 2001:db8::7: ICMP6, destination unreachable, unreachable port, 2001:db8:1::5 udp port 53, length 88",
            "ICMP error",
            SSH6 | {"protocol": "udp", "port": "53"},
        ),
        ("IP 10.0.1.1 > 198.51.100.7: ICMP time exceeded in-transit, length 36", "ICMP error", {}),
        ("IP6 2001:db8::1 > 2001:db8::7: ICMP6, packet too big, mtu 1280, length 1240", "ICMP error", {}),
        (
            "IN=eth0 SRC=10.0.1.10 DST=198.51.100.7 PROTO=ICMP TYPE=3 CODE=3 [SRC=198.51.100.7 DST=10.0.1.10 PROTO=TCP SPT=1 DPT=22 SYN ]",
            "ICMP error",
            SSH,
        ),
        (
            "IP 10.0.1.10.36412 > 198.51.100.7.50000: sctp (1) [INIT ACK] [init tag: 1]",
            "SCTP INIT ACK",
            SSH | {"protocol": "sctp", "port": "36412"},
        ),
    ],
)  # fmt: skip
def test_a_packet_that_opens_nothing_is_named_and_leads_to_the_one_that_did(
    line: str, what: str, opener: dict[str, str]
) -> None:
    reply = read_reply(line)

    assert reply is not None
    assert what in reply.what
    assert reply.opener == opener


@pytest.mark.parametrize(
    "line",
    [
        FORTH + "Flags [S], seq 1, win 64240, length 0",
        FORTH + "Flags [SEW], seq 1, win 64240, length 0",
        FORTH + "S 1:1(0) win 5840 <mss 1460>",
        kernel(THEM, "SYN "),
        kernel(THEM, ""),
        shark(THEM, "SYN"),
        shark(THEM, "SYN, ECE, CWR"),
        "tcp 198.51.100.7 > 10.0.1.10:22",
        "IP 198.51.100.7.40000 > 10.0.1.10.53: 12345+ A? unreachable.example.com. (33)",
        "IP 198.51.100.7 > 10.0.1.10: ICMP echo request, id 1, seq 1, length 64",
        "IN=eth0 OUT= SRC=198.51.100.7 DST=10.0.1.10 LEN=84 PROTO=ICMP TYPE=8 CODE=0 ID=1 SEQ=1",
        "IP6 fe80::1 > ff02::1: ICMP6, router advertisement, length 56",
        "IP 198.51.100.7.50000 > 10.0.1.10.36412: sctp (1) [INIT] [init tag: 1]",
        "esp 203.0.113.9 -> 10.0.0.5",
        "nonsense [SYN, ACK]",
        "",
    ],
)  # fmt: skip
def test_a_packet_that_may_open_a_connection_is_no_reply(line: str) -> None:
    assert read_reply(line) is None


@pytest.mark.parametrize(
    "case", [json.loads(line) for line in PUBLIC.read_text().splitlines()], ids=lambda case: case["id"]
)
def test_inputs_of_others_are_told_from_their_openers(case: dict[str, str]) -> None:
    assert read_reply(case["opener"]) is None
    assert read_reply(case["line"]) is not None


def test_tshark_prints_the_ports_behind_the_addresses() -> None:
    assert read_line(shark(THEM, "SYN")) == SSH
    udp = "    1 0.000000 198.51.100.7 → 10.0.1.10 UDP 72 51515 → 51820 Len=30"
    assert read_line(udp) == SSH | {"protocol": "udp", "port": "51820"}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*FORTH.split(), "Flags", "[S.]", "[", "]", "ICMP", "unreachable", "PROTO=TCP", "SRC=1.1.1.1",
    "DST=::1", "[SRC=", "TYPE=3", "sctp (1) [ABORT]", "ack", "S", ":", "[ACK]"]), max_size=20).map(" ".join))  # fmt: skip
def test_any_text_gives_a_reply_or_nothing(text: str) -> None:
    reply = read_reply(text)

    assert flags_in(text) is None or flags_in(text) <= {"SYN", "ACK", "FIN", "RST", "PSH", "URG"}  # type: ignore[operator]
    assert reply is None or reply.opener.keys() <= {"source", "destination", "protocol", "port"}
