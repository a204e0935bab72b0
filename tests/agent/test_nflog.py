"""Packets that were dropped are told by the kernel, every one of them, and what it cannot hand over is counted."""

import json
import struct
import subprocess
import sys
import time

from securitygroups.firewall.platform import Target
from tests.agent.conftest import KERNEL
from tests.agent.frames import Frame, udp_in
from tests.agent.stand import ROOT, Stand, machine, rules, until
from tests.kernel import frames
from tests.kernel.host import NETWORK, ether

pytestmark = KERNEL

NUMBER = 500
DNS = ("sg-dns", 1)
GROUPS = {DNS: rules("shut: drop in udp 54", "dns: accept in udp 53")}
# Reads what is told for as long as somebody has something to say, and prints it.
READER = """
import json, sys, time
from securitygroups.agent.nflog import NfLog
source, found, quiet = NfLog(int(sys.argv[1])), [], 0
print("ready", flush=True)
if sys.argv[2] == "late":
    sys.stdin.readline()
while quiet < 2:
    told = source.read(1.0)
    quiet = 0 if told else quiet + 1
    found += [(one.prefix, one.ethertype, one.data.hex(), one.at) for one in told]
print(json.dumps({"found": found, "missed": source.missed}))
"""


def log_all(stand: Stand) -> None:
    """Every packet to UDP port 9 is told to group 12, without any limit."""
    family = stand.target.family
    chain = "type filter hook prerouting priority -300; policy accept;"
    line = 'udp dport 9 log prefix "vm-1.in.rule.r9" group 12 snaplen 96'
    stand.host.load(f"table {family} told {{\n chain c {{ {chain} }}\n}}\nadd rule {family} told c {line}\n")


def reader(stand: Stand, *words: str) -> subprocess.Popen[str]:
    started = subprocess.Popen(
        [*stand.inside, sys.executable, "-c", READER, "12", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def ended(reader: subprocess.Popen[str]) -> dict[str, object]:
    out, _ = reader.communicate("\n", timeout=60)
    found: dict[str, object] = json.loads(out)
    return found


def test_every_frame_is_told_with_its_headers(stand: Stand) -> None:
    log_all(stand)
    started = reader(stand, "now")
    sent = [udp_in(stand.target, 9, source_port=2000 + number) for number in range(NUMBER)]

    stand.passes(*sent)

    told = ended(started)
    found = told["found"]
    assert isinstance(found, list)
    assert told["missed"] == 0
    assert len(found) == NUMBER
    for (prefix, ethertype, data, at), (_, _, frame, _) in zip(found, sent, strict=True):
        assert (prefix, ethertype) == ("vm-1.in.rule.r9", 0x0800)
        assert bytes.fromhex(data)[12:] == frame[14:][12:], "but for the checksum, which routers change"
        assert at > 1_700_000_000


def test_what_overflows_is_counted_to_the_last_frame(stand: Stand) -> None:
    log_all(stand)
    started = reader(stand, "late")
    frame = udp_in(stand.target, 9, source_port=2000)
    total, batch = 0, [(NETWORK, "tap0", frame[2].hex(), frame[3].hex())] * 2000
    # Nobody reads meanwhile: its buffer is full after some twenty thousand.
    for _ in range(30):
        stand.host.order("send", frames=batch)
        total += len(batch)
    assert started.stdin is not None
    started.stdin.write("\n")
    started.stdin.flush()
    # What comes once it is empty again tells how many were lost.
    time.sleep(1)
    stand.passes(udp_in(stand.target, 9))

    told = ended(started)

    found, missed = told["found"], told["missed"]
    assert isinstance(found, list)
    assert isinstance(missed, int)
    assert missed > 0, (len(found), total)
    assert len(found) + missed == total + 1


def odd(target: Target) -> Frame:
    """A SYN that also ends its connection: it opens none."""
    both = frames.addresses(4, 0x0A000009, 0x0A000005)
    packet = frames.ipv4(both, frames.TCP, frames.tcp(both, 4000, 80, b"odd-odd-", flags=frames.FIN_SYN))
    return NETWORK, "tap0", ether(NETWORK, target) + struct.pack("!H", frames.IPV4) + packet, b"odd-odd-"


def test_drops_and_openings_come_to_the_panel_with_their_reasons(stand: Stand) -> None:
    stand.say(GROUPS, machine("vm-1", "tap0", DNS))
    stand.start()
    until(lambda: " 7 " in stand.host.run("cat /proc/net/netfilter/nfnetlink_log"))

    def told() -> dict[tuple[str, str, str], int]:
        counted: dict[tuple[str, str, str], int] = {}
        for report in stand.panel.reports:
            for sample in report["samples"]:
                key = (sample["verdict"], sample["reason"], sample["rule"])
                counted[key] = counted.get(key, 0) + sample["times"]
        return counted

    sent = [udp_in(stand.target, port) for port in (53, 54, 55, 55)]
    assert stand.passes(*sent, odd(stand.target)) == [True, False, False, False, False]

    wanted = {
        ("accept", "accept", ""): 1,
        ("drop", "rule", "shut"): 1,
        ("drop", "none", ""): 2,
        ("drop", "invalid", ""): 1,
    }
    until(lambda: told() == wanted, 15)
    one = next(sample for report in stand.panel.reports for sample in report["samples"] if sample["rule"] == "shut")
    assert (one["source"], one["destination"], one["port"]) == ("10.0.0.9", "10.0.0.5", 54)
    assert one["vector"]["groups"] == [list(DNS)]


def test_a_group_that_another_program_has_is_said_and_keeps_nothing_from_being_loaded(stand: Stand) -> None:
    holder = reader(stand, "late")
    stand.say(GROUPS, machine("vm-1", "tap0", DNS), log=12)
    stand.start()

    until(lambda: "Group 12 of NFLOG cannot be read" in stand.log)

    assert stand.passes(udp_in(stand.target, 53), udp_in(stand.target, 55)) == [True, False]
    ended(holder)
