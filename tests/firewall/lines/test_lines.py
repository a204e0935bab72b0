"""Lines of logs and captures, as other programs print them: what each of the readers makes of them, and of broken ones."""

import json
import random
from pathlib import Path

import pytest

from securitygroups.firewall.lines.line import Line, is_address
from securitygroups.firewall.lines.pasted import READERS, parse_line, read_line
from securitygroups.firewall.lines.replies import read_reply, reply_in
from securitygroups.firewall.values import Refused, parse_address
from securitygroups.forms import PacketForm
from tests.effort import at_most

CASES = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "cases" / "public" / "lines.jsonl").read_text().splitlines()
]
ADVISED = ("Azure flow log", "Cisco ASA log", "Windows event", "list of connections", "error message")
"""Kinds that are read with a word to it: which of the flows, who is taken as the one that opened it, what is not told."""
SLOWEST = 2  # seconds for one line, of what takes milliseconds: an expression that goes back and forth takes minutes


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["line"][:60])
def test_a_line_is_read_as_what_it_is(case: dict) -> None:  # type: ignore[type-arg]
    read, reply = parse_line(case["line"]), read_reply(case["line"])

    assert (read.kind, read.fields) == (case["kind"], case["fields"])
    assert read.source_port == case.get("from", "")
    assert read.flags == (frozenset(case["flags"]) if "flags" in case else None)
    assert (read.said, read.advice) == (case.get("said", ""), case.get("advice", ""))
    assert (reply.what if reply else None) == case.get("reply")
    assert (reply.opener if reply else None) == case.get("opener")


def test_the_table_has_a_line_for_each_reader() -> None:
    read = {name for name, reader in READERS if any(reader(case["line"].strip()) is not None for case in CASES)}

    assert read == {name for name, _ in READERS}
    assert len(CASES) >= 150


@pytest.mark.parametrize("case", [case for case in CASES if case["fields"]], ids=lambda case: case["line"][:60])
def test_what_is_read_is_a_packet_of_the_form(case: dict) -> None:  # type: ignore[type-arg]
    left_out = {"protocol": "tcp", "direction": "in"} | ({} if case["fields"].get("port") else {"port": "22"})
    if case["kind"] == "error message":  # which tells no sender
        left_out["source"] = case["fields"]["destination"]
    form = PacketForm(left_out | {name: text for name, text in case["fields"].items() if text})

    assert form.is_valid(), form.errors


def _broken(line: str, chance: random.Random) -> str:
    """The line with some of it cut out, doubled, swapped or replaced."""
    for _ in range(chance.randint(1, 4)):
        at, to = sorted((chance.randint(0, len(line)), chance.randint(0, len(line))))
        other = chance.choice(CASES)["line"]
        match chance.randint(0, 4):
            case 0:
                line = line[:at] + line[to:]
            case 1:
                line = line[:to] + line[at:]
            case 2:
                line = line[:at] + other[: to - at] + line[to:]
            case 3:
                line = (
                    line[:at]
                    + chance.choice(["", "\x00", "é", '"', "{", "[", "9" * 30, "-", "²", " ", "::", "\n"])
                    + line[at:]
                )
            case _:
                line = line[:at] + other[chance.randint(0, len(other)) :]
    return line


def test_broken_lines_are_read_or_not_and_never_as_what_is_no_packet() -> None:
    chance = random.Random(13)
    for number in range(1500):
        line = _broken(CASES[number % len(CASES)]["line"], chance)
        read = parse_line(line)
        reply_in(read)
        assert read.fields.keys() <= {"direction", "protocol", "number", "source", "destination", "port"}, line
        for end in ("source", "destination"):
            assert is_address(read.fields.get(end, "::")), line
        assert read.fields.get("direction", "in") in ("in", "out"), line
        assert not (read.advice and read.fields) or read.kind in ADVISED, line
        PacketForm(read.fields | {"direction": "in"}).is_valid()


@pytest.mark.parametrize("seed", range(4))
def test_no_line_takes_long(seed: int) -> None:
    chance = random.Random(seed)
    for case in CASES:
        line = case["line"]
        at = chance.randint(0, max(0, len(line) - 8))
        part = line[at : at + chance.randint(1, 40)]
        for endless in (part * 2000, line + part * 2000, (line + " ") * 2000, line[:at] + part * 2000 + line[at:]):
            with at_most(SLOWEST):
                parse_line(endless)


LONG = 1 << 17
TWO = "10.0.0.1 > 10.0.0.2 "
REPEATED = [
    ("Juniper", "session created ", "1"),
    ("Juniper", "session denied " * 2000, "1"),
    ("source > destination", TWO, ">"),
    ("source > destination", TWO + "icmp ", "1"),
    ("source > destination", TWO + "icmp ", "1:"),
    ("source > destination", TWO, ": 1 q:"),
    ("source > destination", TWO, "ikev2_"),
    ("source > destination", TWO, "proto "),
    ("source > destination", TWO, "Flags ["),
    ("tshark", "10.0.0.1 10.0.0.2 TCP 1 ", ">"),
    ("tshark", "10.0.0.1 10.0.0.2 ICMP 1 ", "1"),
    ("not IP", "", "arp, "),
    ("kernel log", " SRC=a DST=1 IPv6 SRC=a IPv6 DST=", ","),
    ("conntrack", " dst= ", "src="),
    ("conntrack", "", "a 1 "),
    ("OpenStack log", "ethernet(ipv4(", "a"),
    ("OpenStack log", "ethernet(ipv4(", "[]"),
    ("IP Filter", " PR ", "@"),
    ("JSON", '{"a":' + "[" * (LONG // 2), ","),
    ("VPC flow log", "eni- ACCEPT ", "a "),
    ("VPC flow log", "eni- ACCEPT ", "10.0.0.1 10.0.0.2 1 1 10.0.0.1 10.0.0.2 1 "),
]


@pytest.mark.parametrize(("name", "head", "part"), REPEATED)
def test_work_grows_as_the_line_does(name: str, head: str, part: str) -> None:
    """Of far longer lines than are read: what goes over the rest again for each of its parts takes minutes."""
    tail = "= src=1 dst=2" if name == "conntrack" else ""
    read = dict(READERS)[name]
    with at_most(SLOWEST):
        read(head + part * ((LONG - len(head)) // len(part)) + tail)


@pytest.mark.parametrize("text", ["", "a", "::>:", "{}", '{}"', "a=b", "1>2", "::", "arp", "LLC"])
def test_a_line_is_not_looked_at_that_is_too_short_for_a_packet(text: str) -> None:
    assert all(not (found := read(text)) or not found.fields for _, read in READERS)
    assert parse_line(text) == Line(text, {})
    assert parse_line("::>::").fields == {"source": "::", "destination": "::"}


@pytest.mark.parametrize("nested", ['{"a":' * 900, '{"a":[' * 300, '{"a":"' + "\\" * 1900, '{"src_ip":' + "[" * 1800, "{" * 2000, '{"a":1e999}', '{"a":' + "9" * 1500])  # fmt: skip
def test_json_of_any_depth_does_no_harm(nested: str) -> None:
    assert read_line(nested) == {}


@pytest.mark.parametrize(
    "text",
    ["203.0.113.9", "::", "2001:db8::9", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1.2.3.4 ", "fe80::1%eth0", "",
     "::ffff:10.0.0.5", "1.2.3.4\n", ":::", "٣.2.3.4"],
)  # fmt: skip
def test_an_address_is_what_the_form_takes_for_one(text: str) -> None:
    try:
        known = bool(parse_address(text)) and text == text.strip()
    except Refused:
        known = False

    assert is_address(text) == known


@pytest.mark.parametrize(
    "text", ["LLDP", "ssh", "10.0.1.0/24", "web > db", "443 on web-1", "ARP", "drop", "src dst", "{}", "eni-0", "trace id", "session closed"]
)  # fmt: skip
def test_what_people_look_for_is_no_line(text: str) -> None:
    read = parse_line(text)

    assert (read.fields, read.advice) == ({}, "")


def test_a_zone_behind_an_address_is_left_out() -> None:
    line = "IP6 fe80::1%eth0.5353 > ff02::fb.5353: UDP, length 30"
    told = {"event_type": "flow", "src_ip": "fe80::1", "dest_ip": "ff02::fb", "proto": "UDP", "dest_port": 5353}

    assert read_line(line) in ({}, read_line(json.dumps(told)))
    assert read_line("SRC=fe80::1%eth0 DST=ff02::fb PROTO=UDP DPT=5353")["source"] == "fe80::1"


@pytest.mark.parametrize(("written", "number"), [("8", 8), ("255", 255), ("256", None), ("5151", None)])
def test_a_type_of_icmp_is_one_byte_or_none(written: str, number: int | None) -> None:
    for told in (
        f"%ASA-4-106023: Deny icmp src outside:198.51.100.7 dst inside:10.0.1.10 (type {written}, code 0)",
        f"%ASA-6-106100: access-list in denied icmp outside/198.51.100.7({written}) -> inside/10.0.1.10(0) hit-cnt 1",
    ):
        line = parse_line(told)

        assert (line.kind, line.icmp, line.fields["protocol"]) == ("Cisco ASA log", number, "icmp")
