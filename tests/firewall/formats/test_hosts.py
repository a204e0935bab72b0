"""Firewalls of Linux hosts as files: which rules they become, what is said of each line, and what is refused with words."""

import json
from contextlib import suppress
from random import Random

import pytest

from securitygroups.firewall.formats.reading import MAX_HOW, MAX_TEXT, Reading, Taken
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.formats.systems import read_file
from securitygroups.firewall.notation import rule
from securitygroups.firewall.values import Rule
from tests.effort import at_most
from tests.firewall.formats import host_samples as samples
from tests.firewall.formats.host_references import REFERENCES, wider

NFT_JSON = {
    "nftables": [
        {"metainfo": {"json_schema_version": 1}},
        {"table": {"family": "inet", "name": "filter", "handle": 1}},
        {"chain": {"family": "inet", "table": "filter", "name": "web", "handle": 2}},
        {"chain": {"family": "inet", "table": "filter", "name": "input", "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
        {"set": {"family": "inet", "table": "filter", "name": "office", "type": "ipv4_addr", "flags": ["interval"],
                 "elem": [{"prefix": {"addr": "10.1.0.0", "len": 16}}, {"range": ["198.51.100.4", "198.51.100.7"]}]}},
        {"rule": {"family": "inet", "table": "filter", "chain": "web", "comment": "web",
                  "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"set": [80, 443]}}}, {"accept": None}]}},
        {"rule": {"family": "inet", "table": "filter", "chain": "input",
                  "expr": [{"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [["established", {"accept": None}], ["invalid", {"drop": None}]]}}}]}},
        {"rule": {"family": "inet", "table": "filter", "chain": "input",
                  "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@office"}},
                           {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 22}}, {"accept": None}]}},
        {"rule": {"family": "inet", "table": "filter", "chain": "input", "expr": [{"jump": {"target": "web"}}]}},
    ]
}  # fmt: skip


def read(text: str, name: str = "") -> Reading:
    return read_file(text.encode(), name)


def bare(rules: tuple[Rule, ...]) -> list[Rule]:
    return [Rule(one.action, one.direction, one.protocol, one.source, one.destination, one.port_start, one.port_end, enabled=one.enabled) for one in rules]  # fmt: skip


WANTED = {
    "ufw in the kernel": (samples.UFW, [
        "drop in ip from 198.51.100.7", "accept in tcp 443 from 0.0.0.0/0", "accept in tcp 6000-6007 from 10.1.0.0/16",
        "accept in tcp 8080 from 10.1.0.0/16", "drop in tcp 22 from 0.0.0.0/0", "accept in tcp 22 from 0.0.0.0/0",
        "drop in udp 137 from 0.0.0.0/0", "drop in tcp 445 from 0.0.0.0/0", "drop in ip from 0.0.0.0/0", "accept out ip to 0.0.0.0/0"]),
    "a cloud image": (samples.CLOUD, [
        "accept in icmp from 0.0.0.0/0", "accept in tcp 22 from 0.0.0.0/0", "drop in ip from 0.0.0.0/0",
        "accept in ip from 0.0.0.0/0", "accept in icmp from ::/0", "accept in tcp 22 from 2001:db8:1::/48",
        "drop out tcp from 0.0.0.0/0", "accept out ip to 0.0.0.0/0", "accept out ip to ::/0"]),
    "nftables": (json.dumps(NFT_JSON), [
        "accept in tcp 22 from 10.1.0.0/16", "accept in tcp 22 from 198.51.100.4/30", "accept in tcp 80", "accept in tcp 443", "accept out ip"]),
    "ufw status verbose": (samples.UFW_VERBOSE, [
        "drop in ip from 203.0.113.4", "accept in tcp 22 from 0.0.0.0/0", "accept in tcp 80 from 0.0.0.0/0", "accept in tcp 443 from 0.0.0.0/0",
        "accept in tcp 53 from 10.0.0.0/8", "accept in udp 53 from 10.0.0.0/8", "drop in tcp 6000-6007 from 0.0.0.0/0",
        "drop out tcp 25 from 0.0.0.0/0", "accept in tcp 443 from 2001:db8::/32", "accept out ip"]),
    "ufw status numbered": (samples.UFW_NUMBERED, [
        "accept in tcp 22 from 0.0.0.0/0", "accept in tcp 8080 from 198.51.100.0/24", "accept in udp 8080 from 198.51.100.0/24", "accept in tcp 22 from ::/0"]),
    "a zone's file": (samples.ZONE_XML, [
        "drop in ip from 198.51.100.9", "accept in tcp 22", "accept in tcp 8000-8010", "accept in tcp 3306 from 198.51.100.0/24",
        "accept in icmp from 0.0.0.0/0", "accept in icmp from ::/0"]),
}  # fmt: skip


@pytest.mark.parametrize("name", WANTED)
def test_the_rules_of_a_host(name: str) -> None:
    text, wanted = WANTED[name]

    (group,) = read(text).groups

    assert bare(group.rules) == [rule(one) for one in wanted]
    assert all(not one.problems() for one in group.rules)


def test_the_type_of_a_frame_is_not_told_by_what_goes_out() -> None:
    chain = {
        "family": "inet",
        "table": "t",
        "name": "out",
        "type": "filter",
        "hook": "output",
        "prio": 0,
        "policy": "drop",
    }
    frame = {"match": {"op": "==", "left": {"payload": {"protocol": "ether", "field": "type"}}, "right": "ip"}}
    accept = {"rule": {"family": "inet", "table": "t", "chain": "out", "expr": [frame, {"accept": None}]}}

    (group,) = read(json.dumps({"nftables": [{"chain": chain}, accept]})).groups

    # There is no frame yet, and the kernel lets nothing out by it.
    assert [one.direction for one in group.rules] == []
    assert [note.taken for note in group.notes if "ether" in note.text] == [Taken.NOT_TAKEN]


@pytest.mark.parametrize(
    ("op", "value", "verdict", "wanted"),
    [
        ("==", "udp", "accept", []), ("!=", "udp", "accept", []), ("==", "udp", "drop", ["drop in udp from ::/0"]),
        ("!=", "udp", "drop", ["drop in ip from ::/0"]), ("==", 60, "drop", ["drop in ip from ::/0"]),
    ],
)  # fmt: skip
def test_the_next_header_is_not_the_protocol_behind_extension_headers(
    op: str, value: object, verdict: str, wanted: list[str]
) -> None:
    chain = {
        "family": "inet",
        "table": "t",
        "name": "in",
        "type": "filter",
        "hook": "input",
        "prio": 0,
        "policy": "drop",
    }
    match = {"match": {"op": op, "left": {"payload": {"protocol": "ip6", "field": "nexthdr"}}, "right": value}}
    asked = {"rule": {"family": "inet", "table": "t", "chain": "in", "expr": [match, {verdict: None}]}}

    (group,) = read(json.dumps({"nftables": [{"chain": chain}, asked]})).groups

    assert [one for one in bare(group.rules) if one.direction == "in"] == [rule(one) for one in wanted]


def test_a_table_that_only_translates_lets_nothing_in() -> None:
    chains = [
        {
            "chain": {
                "family": "ip",
                "table": "nat",
                "name": hook,
                "type": "nat",
                "hook": hook,
                "prio": 100,
                "policy": "accept",
            }
        }
        for hook in ("input", "output")
    ]

    reading = read(json.dumps({"nftables": chains}))

    assert bare(reading.groups[0].rules)[0].direction == "out"
    assert "No chain judges IPv4 that comes in" in reading.notes[0].how


def test_a_goto_of_all_that_is_left_ends_its_chain() -> None:
    lines = ["-A INPUT -i eth0 -g a", "-A INPUT -g a", "-A a -p tcp -m tcp --dport 22 -j ACCEPT", "-A a -j DROP"]

    (group,) = read(save(*lines)).groups

    assert bare(group.rules) == [rule("accept in tcp 22 from 0.0.0.0/0"), rule("drop in ip from 0.0.0.0/0")]


def test_a_bridge_of_network_cards_is_no_inner_one() -> None:
    (group,) = read(save("-A INPUT -i br-lan -j DROP", "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT")).groups

    assert bare(group.rules)[0] == rule("drop in ip from 0.0.0.0/0")


def test_groups_and_zones_become_groups_of_their_own() -> None:
    machine, web = read(samples.PROXMOX).groups
    trusted, public = read(samples.ZONES).groups

    assert (machine.name, web.name, trusted.name, public.name) == ("", "web", "trusted", "public")
    assert bare(web.rules) == [rule("accept in tcp 80"), rule("accept in tcp 443")]
    assert bare(machine.rules)[:4] == [*bare(web.rules), rule("accept in tcp 22 from 198.51.100.7"), rule("accept in tcp 22 from 203.0.113.0/24")]  # fmt: skip
    assert rule("accept in tcp 8080", enabled=False) in bare(machine.rules)
    assert bare(machine.rules)[-2:] == [rule("drop out tcp 25"), rule("accept out ip")]
    # What comes from another zone's source does not come to this one.
    assert bare(public.rules)[0] == rule("drop in ip from 10.0.0.0/8")
    assert bare(trusted.rules) == [rule("accept in ip from 10.0.0.0/8"), rule("drop in ip from 10.0.0.0/8")]


def test_the_blacklist_of_a_cluster_comes_before_every_rule() -> None:
    text = "[IPSET blacklist]\n198.51.100.0/24\n!198.51.100.64/26 # ours\n198.51.100.65\n\n[RULES]\nIN SSH(ACCEPT)\n\n[group web]\nIN HTTP(ACCEPT)\n"
    dropped = [rule(f"drop in ip from 198.51.100.{one}") for one in ("0/26", "65/32", "128/25")]

    machine, web = read(text).groups

    assert bare(machine.rules)[:4] == [*dropped, rule("accept in tcp 22")]
    assert bare(web.rules) == [*dropped, rule("accept in tcp 80")]


SAID = [
    (samples.UFW, "-A ufw-before-input -i lo", Taken.EXACT, "of the machine to itself"),
    (samples.UFW, "-A ufw-before-input -m conntrack --ctstate RELATED", Taken.EXACT, "Replies"),
    (samples.UFW, "-A ufw-before-input -p icmp -m icmp --icmp-type 3", Taken.EXACT, "ICMP errors"),
    (samples.UFW, "-A ufw-before-input -p icmp -m icmp --icmp-type 8", Taken.NOT_TAKEN, "ICMP type 8"),
    (samples.UFW, "-A ufw-not-local -j DROP", Taken.EXACT, "No packet"),
    (samples.UFW, "-A ufw-user-limit -j REJECT", Taken.NARROWED, "lately"),
    (samples.DOCKER, "-A FORWARD -j DOCKER-USER", Taken.NOT_TAKEN, "forwards"),
    (samples.DOCKER, "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080", Taken.NARROWED, "172.17.0.2:80"),
    (samples.DOCKER, "-A f2b-sshd -s 198.51.100.9/32", Taken.EXACT, ""),
    (samples.KUBERNETES, "-A KUBE-FIREWALL -m mark", Taken.NARROWED, "a mark"),
    (samples.UFW_VERBOSE, "Nginx Full ", Taken.NOT_TAKEN, "ufw status verbose"),
    (
        "Status: active\n\nTo   Action   From\n--   ------   ----\nSSH  ALLOW IN  Anywhere\n",
        "SSH ",
        Taken.NOT_TAKEN,
        "whose ports are not in this",
    ),
    (samples.UFW_VERBOSE, "6000:6007/tcp", Taken.NARROWED, "LIMIT"),
    (samples.UFW_VERBOSE, "10.0.0.9 80/tcp", Taken.NOT_TAKEN, "forwards"),
    (samples.PROXMOX, "IN Ping(ACCEPT)", Taken.NOT_TAKEN, "ICMP type"),
    (samples.ZONE_XML, '<service name="acme-thing">', Taken.NOT_TAKEN, "not known"),
    (samples.ZONE_XML, '<service name="dhcpv6-client">', Taken.EXACT, "by itself"),
    (samples.ZONE_XML, "<masquerade>", Taken.NOT_TAKEN, "translates"),
]


@pytest.mark.parametrize(("text", "line", "taken", "how"), SAID, ids=[one[1] for one in SAID])
def test_what_is_said_of_a_line(text: str, line: str, taken: Taken, how: str) -> None:
    (note,) = [note for note in read(text).all_notes() if note.text.startswith(line)]

    assert (note.taken, how in note.how) == (taken, True), note.how


MAPPED = ("::ffff:10.0.0.5", "::ffff:a00:0/104", "::ffff:10.0.0.5-::ffff:10.0.0.9", "::1-::ffff:10.0.0.9")


@pytest.mark.parametrize("address", MAPPED)
def test_an_ipv4_address_that_is_written_as_ipv6_becomes_no_rule(address: str) -> None:
    """No packet carries it so, and no rule that is typed here may have it: what is read here can be written and read again."""
    save6 = "*filter\n:INPUT DROP [0:0]\n:OUTPUT DROP [0:0]\n{}\nCOMMIT\n"
    lines = [
        save6.format(f"-A INPUT -s {address} -p tcp -m tcp --dport 22 -j ACCEPT\n-A INPUT -s 2001:db8::1 -j ACCEPT"),
        f"[RULES]\nIN ACCEPT -source {address} -p tcp -dport 22\nIN ACCEPT -source 2001:db8::1\n",
        (
            f"Status: active\nDefault: deny (incoming), deny (outgoing), disabled (routed)\n\nTo  Action  From\n--  ------  ----\n"
            f"22/tcp (v6)                ALLOW IN    {address}\n22/tcp (v6)                ALLOW IN    2001:db8::1\n"
        ),
    ]
    for text in lines:
        (group,) = read(text).groups

        assert [str(one.source) for one in group.rules if one.source] == ["2001:db8::1/128"], text
        assert [note.taken for note in group.notes if address in note.text] == [Taken.NOT_TAKEN]


def test_all_of_them_together_are_a_network() -> None:
    (group,) = read(save("-A INPUT -s ::ffff:0:0/96 -j DROP", "-A INPUT -s ::/0 -j ACCEPT")).groups

    assert [str(one.source) for one in group.rules] == ["::ffff:0.0.0.0/96", "::/0"]


def test_more_lines_of_rules_than_anybody_reads_are_refused_and_those_of_sets_are_not() -> None:
    rules = "[RULES]\n" + "IN ACCEPT -source +many\n" * 20_000
    with pytest.raises(BadDocument, match="more than 20,000 lines of rules"):
        read(rules + "IN DROP\n")

    (group,) = read("[IPSET many]\n" + "10.0.0.1\n" * 50_000 + "[RULES]\nIN ACCEPT -source +many\n").groups
    assert [str(one.source) for one in group.rules if one.source] == ["10.0.0.1/32"]


def test_of_a_long_line_a_row_is_told() -> None:
    reading = read(samples.UFW_VERBOSE + "x" * 100_000 + "\n")

    assert max(len(note.text) for note in reading.all_notes()) == MAX_TEXT


def test_of_many_conditions_the_first_are_told() -> None:
    text = "[RULES]\nIN ACCEPT -p tcp" + "".join(f" --x{at} y" for at in range(1_000))

    note = next(note for note in read(text).all_notes() if note.where == "line 2")

    assert note.taken is Taken.NOT_TAKEN
    assert len(note.how) == MAX_HOW + 2


def test_every_line_of_rules_has_one_note() -> None:
    for text in (samples.UFW, samples.DOCKER, samples.CLOUD, samples.KUBERNETES):
        notes = [note.where for note in read(text).all_notes()]
        lines = [f"line {at}" for at, line in enumerate(text.splitlines(), 1) if line.startswith("-A ")]
        assert [notes.count(line) for line in lines] == [1] * len(lines)


def save(*lines: str) -> str:
    return "*filter\n:INPUT DROP [0:0]\n:OUTPUT DROP [0:0]\n:a - [0:0]\n" + "\n".join(lines) + "\nCOMMIT\n"


CHAINS = {
    "a return takes out what it is about": (
        ["-A INPUT -j a", "-A a -p tcp -m tcp --dport 22 -j RETURN", "-A a -p tcp -j ACCEPT"],
        ["accept in tcp 0-21 from 0.0.0.0/0", "accept in tcp 23-65535 from 0.0.0.0/0"],
    ),
    "an uncertain return bars the accepts behind it": (
        ["-A INPUT -j a", "-A a -m limit --limit 1/s -j RETURN", "-A a -p tcp -m tcp --dport 22 -j ACCEPT", "-A INPUT -p udp -j ACCEPT"],
        ["accept in udp from 0.0.0.0/0"],
    ),
    "a jump is the conjunction of both lines": (
        ["-A INPUT -s 10.0.0.0/8 -j a", "-A a -s 10.1.0.0/16 -p tcp -m tcp --dport 22 -j ACCEPT", "-A a -s 192.0.2.0/24 -j ACCEPT"],
        ["accept in tcp 22 from 10.1.0.0/16"],
    ),
    "a chain that is not there drops": (["-A INPUT -p tcp -j elsewhere", "-A INPUT -j ACCEPT"], ["drop in tcp from 0.0.0.0/0", "accept in ip from 0.0.0.0/0"]),
    "a chain that leads back drops": (["-A INPUT -p tcp -j a", "-A a -j a", "-A INPUT -p tcp -j ACCEPT"], ["drop in tcp from 0.0.0.0/0", "accept in tcp from 0.0.0.0/0"]),
    "a second network card bars accepts": (["-A INPUT -i eth0 -p tcp -j ACCEPT", "-A INPUT -i eth1 -p udp -j ACCEPT"], []),
    "a drop without a name bars": (["-A INPUT -p gre -j DROP", "-A INPUT -j ACCEPT"],
                                   [f"accept in {name} from 0.0.0.0/0" for name in ("icmp", "tcp", "udp", "sctp")]),
    "options that are not known ask for more": (["-A INPUT -p tcp --strange 1 -j ACCEPT", "-A INPUT -p udp --strange 1 -j DROP"], ["drop in udp from 0.0.0.0/0"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_chains_as_one_list(name: str) -> None:
    lines, wanted = CHAINS[name]

    (group,) = read(save(*lines)).groups

    assert bare(group.rules) == [rule(one) for one in wanted]


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_a_remark_ends_no_line(end: str) -> None:
    line = f'-A INPUT -p tcp -m comment --comment "ours{end}-A INPUT -j ACCEPT{end}" -j DROP'

    (group,) = read(save(line, "-A INPUT -p udp -j ACCEPT")).groups

    assert bare(group.rules) == [rule("drop in tcp from 0.0.0.0/0"), rule("accept in udp from 0.0.0.0/0")]
    assert [note.where for note in group.notes][-2:] == ["line 5", "line 6"]


REFUSED = {
    "a line of Proxmox without an end": ("[RULES]\nIN ACCEPT " + "-p tcp " * 2_000 + "\n", "longer than 10,000 letters"),
    "a fragment of nftables": ('{"nftables": [{"rule": {"family": "inet", "table": "filter", "chain": "input", "expr": [{"accept": null}]}}]}', "nft -j list ruleset"),
    "nftables as text": (samples.NFT_WORKSTATION, "nft -j list ruleset"),
    "what iptables lists": ("Chain INPUT (policy ACCEPT)\ntarget     prot opt source               destination\n", "iptables-save"),
    "a chain of ufw alone": ("*filter\n:ufw-user-output - [0:0]\nCOMMIT\n", "no INPUT or OUTPUT chain"),
    "a table without filter": ("*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n", "table filter"),
    "ufw that is off": ("Status: inactive\n", "inactive"),
    "a zone with a document type": ('<zone><!DOCTYPE x [<!ENTITY a "b">]></zone>', "document type"),
    "a zone that is cut off": ("<zone><service", "XML"),
    "commands of iptables": ("#!/bin/sh\n# firewall\nsudo /sbin/iptables -t filter -A INPUT -p tcp --dport 22 -j ACCEPT\n", "iptables-save"),
    "a script of iptables": ('IPT=/sbin/iptables\n$IPT -P INPUT DROP\n"$IPT" -A INPUT -p tcp --dport 22 -j ACCEPT\n', "iptables-save"),
    "a cluster of Proxmox without rules": ("[OPTIONS]\nenable: 1\n\n[ALIASES]\nlan 10.0.0.0/8\n\n[IPSET good]\n10.0.0.1\n", "no rules: bring one with a section"),
    "commands of nftables": ("nft add table inet filter\nnft add rule inet filter input tcp dport 22 accept\n", "nft -j list ruleset"),
    "commands of ufw": ("$ sudo ufw allow 22/tcp\n$ sudo ufw enable\n", "ufw status verbose"),
    "commands of firewalld": ("firewall-cmd --permanent --zone=public --add-service=http\n", "firewall-cmd --list-all-zones"),
    "a table of nftables without a hook": ("table inet x {\n\tchain web {\n\t\ttcp dport 80 accept\n\t}\n}\n", "nft -j list ruleset"),
    "a script": ("*filter\n:INPUT DROP [0:0]\n-D INPUT -j ACCEPT\nCOMMIT\n", "iptables-save"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_named(name: str) -> None:
    text, words = REFUSED[name]

    with pytest.raises(BadDocument, match=words):
        read(text)


def test_jumps_that_multiply_are_refused() -> None:
    lines = [f"-A c{at} -s 10.{at}.{x}.0/24 -j c{at + 1}" for at in range(12) for x in range(10)]
    lines += [f"-A c{at} -s 192.0.2.{x} -j c{at + 1}" for at in range(12) for x in range(10)] + ["-A c12 -j ACCEPT"]
    lines += [f"-A c{at} -p tcp -j c{at + 1}" for at in range(12) for _ in range(10)] + ["-A INPUT -j c0"]
    # What multiplies without a limit never ends.
    with at_most(10), pytest.raises(BadDocument, match="Written out"):
        read(save(*lines))


@pytest.mark.parametrize("system", REFERENCES)
@pytest.mark.parametrize("seed", range(4))
def test_nothing_passes_ours_that_the_source_drops(system: str, seed: int) -> None:
    random, passed = Random(seed), 0
    for _ in range(12):
        source = REFERENCES[system](random)
        through, found = wider(source, random, 60)
        assert not found, source.text
        passed += through

    assert passed > 30


GOOD = (
    samples.UFW, samples.CLOUD, samples.DOCKER, samples.PROXMOX, samples.UFW_VERBOSE, samples.UFW_NUMBERED, samples.ZONE_XML,
    samples.ZONES, json.dumps(NFT_JSON),
)  # fmt: skip
BITS = (
    "!",
    " ",
    "-",
    "/",
    ":",
    "\n",
    '"',
    "{",
    "[",
    "0",
    "99999999999",
    "null",
    "<",
    "(",
    ")",
    ",",
    "\u0661",
    "-j",
    "-m",
    "true",
    "@x",
)


def mutated(random: Random, text: str) -> str:
    for _ in range(random.randrange(1, 6)):
        at = random.randrange(len(text))
        choice = random.randrange(4)
        if choice == 0:
            text = text[:at] + random.choice(BITS) + text[at:]
        elif choice == 1:
            text = text[:at] + text[at + random.randrange(1, 30) :]
        elif choice == 2:
            text = text[:at] + text[max(0, at - 40) :]
        else:
            text = text[:at] + random.choice(BITS) + text[at + 1 :]
    return text


def strange(random: Random, value: object) -> object:
    """A JSON value with other kinds of values at some places."""
    if random.random() < 0.02:
        return random.choice((None, True, 7, -1, "x", "@x", [], {}, [[]], {"set": [1]}, 1.5))
    if isinstance(value, dict):
        return {key: strange(random, one) for key, one in value.items()}
    return [strange(random, one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", range(4))
def test_whatever_comes_is_read_or_refused_with_words(seed: int) -> None:
    random, read_ones = Random(seed), 0
    for _ in range(150):
        text = mutated(random, random.choice(GOOD)) if random.random() < 0.7 else json.dumps(strange(random, NFT_JSON))
        try:
            reading = read(text)
        except BadDocument as refusal:
            assert str(refusal)
            continue
        assert all(not one.problems() for group in reading.groups for one in group.rules), text
        read_ones += 1

    assert read_ones > 60


HEAD = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\n"
LISTED = [f"-s 10.{number >> 8}.{number & 255}.7/32" for number in range(10_000)]


@pytest.mark.parametrize(
    ("lines", "rules"),
    [
        ([f"-A INPUT {one} -p tcp -m tcp --dport 22 -j ACCEPT" for one in LISTED], 10_000),
        ([":ban - [0:0]", "-A INPUT -j ban", "-A INPUT -p udp -j ACCEPT", *(f"-A ban {one} -j DROP" for one in LISTED)], 10_001),
    ],
)  # fmt: skip
def test_long_lists_of_addresses_are_taken(lines: list[str], rules: int) -> None:
    (group,) = read_file("".join([HEAD, *(f"{line}\n" for line in lines), "COMMIT\n"]).encode()).groups

    assert len(group.rules) == rules


UFW_HEAD = samples.UFW_VERBOSE[: samples.UFW_VERBOSE.index("Anywhere")]
HOSTILE = {
    "nothing but line ends": "x" + "\n" * 1_000_000,
    "brackets of ufw without an end": UFW_HEAD + ("(" + "a" * 940 + " ALLOW IN Anywhere\n") * 2_000,
    "tables without rules": "*filter\n" * 19_000,
    "zones without end": "".join(f"z{at} (active)\n  target: default\n  sources: 10.0.0.0/8\n" for at in range(12_000)),
    "tags without an end": "<zone>" + "<a>" * 2_000_000,
    "sources that are none": "public (active)\n  target: default\n  rich rules:\n"
    + '\trule source address="norules$" drop\n' * 19_000,
    "sources of nothing but colons": ("*filter\n-s " + ":" * 1_990 + "\n") * 1_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_looked_at_costs_no_more_than_its_length(name: str) -> None:
    # What grows with the square of its length takes minutes.
    with at_most(10), suppress(BadDocument):
        read(HOSTILE[name])
