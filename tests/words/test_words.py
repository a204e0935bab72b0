"""What people read: rules, packets, traces, differences, findings."""

import pytest

from securitygroups.firewall.analysis.difference import Difference, difference
from securitygroups.firewall.analysis.findings import findings, fixes
from securitygroups.firewall.analysis.products import AddressRange
from securitygroups.firewall.decide import decide
from securitygroups.firewall.notation import rule
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.services import SERVICES
from securitygroups.firewall.values import Packet, Rule, parse_address, parse_network
from securitygroups.words.findings import findings_summary, fix_sentence, remarks
from securitygroups.words.rules import (
    addresses_text,
    packet_sentence,
    ports_text,
    protocol_text,
    rule_sentence,
    service_name,
    verdict_sentence,
    why_passed,
)
from securitygroups.words.traffic import (
    address_range_text,
    change_sentence,
    count_text,
    places_text,
    ranges_text,
    share_text,
)
from tests.firewall.strategies import pairs_of_lists, random_packet


def packet(source: str, destination: str, protocol: int = 6, port: int | None = 22) -> Packet:
    """An inbound packet."""
    version, number = parse_address(source)
    return Packet(Direction.IN, version, protocol, number, parse_address(destination)[1], port)


def ip_rule(source: str | None, destination: str | None) -> Rule:
    """An IP rule with a destination."""
    one, other = (None if text is None else parse_network(text) for text in (source, destination))
    return Rule(Action.DROP, Direction.IN, "ip", one, other)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("accept in tcp 22 from 203.0.113.0/24", "Accept inbound TCP to port 22 (SSH) from 203.0.113.0/24"),
        ("drop out udp 53", "Drop outbound UDP to port 53 (DNS) from anywhere"),
        ("accept in tcp 80-443 from 203.0.113.7", "Accept inbound TCP to ports 80–443 from 203.0.113.7"),
        ("accept in sctp from ::/0", "Accept inbound SCTP to any port from any IPv6 address"),
        ("accept in tcp 0", "Accept inbound TCP to port 0 from anywhere"),
        ("accept in tcp 0-65535", "Accept inbound TCP to ports 0–65535 (all of them) from anywhere"),
        ("accept in icmp", "Accept inbound ICMP from anywhere"),
        ("accept in icmp from 203.0.113.0/24", "Accept inbound ICMP from 203.0.113.0/24"),
        ("drop out icmp from ::/0", "Drop outbound ICMP from any IPv6 address"),
        ("drop in ip from 0.0.0.0/0", "Drop inbound IP from any IPv4 address"),
        ("drop in all", "Drop everything inbound"),
    ],
)
def test_a_rule_in_words(text: str, sentence: str) -> None:
    """In the words of the form."""
    assert rule_sentence(rule(text)) == sentence
    assert rule_sentence(rule(text, enabled=False)) == f"{sentence} (switched off)"


def test_an_ip_rule_with_a_destination_in_words() -> None:
    """Both ends are said."""
    assert rule_sentence(ip_rule(None, "10.0.0.5/32")) == "Drop inbound IP from anywhere to 10.0.0.5"


@pytest.mark.parametrize(
    ("tried", "against", "why"),
    [
        (packet("1.2.3.4", "10.0.0.5", port=8080), rule("accept in tcp 80-443"), "port 8080 is not in 80–443"),
        (packet("1.2.3.4", "10.0.0.5", port=0), rule("accept in tcp 22"), "port 0 is not 22"),
        (packet("1.2.3.4", "10.0.0.5", 17), rule("accept in tcp 22"), "it is a UDP packet, the rule wants TCP"),
        (packet("1.2.3.4", "10.0.0.5", 1, None), rule("accept in udp"), "it is an ICMP packet, the rule wants UDP"),
        (packet("1.2.3.4", "10.0.0.5", 6), rule("accept in icmp"), "it is a TCP packet, the rule wants ICMP"),
        (
            packet("1.2.3.4", "10.0.0.5", 58, None),
            rule("accept in icmp"),
            "it is an ICMPv6 packet over IPv4, the rule wants ICMP",
        ),
        (packet("::1", "::2", 1, None), rule("accept in icmp"), "it is an ICMP packet over IPv6, the rule wants ICMP"),
        (packet("203.0.113.9", "10.0.0.5"), rule("accept in tcp from 10.0.0.0/8"), "203.0.113.9 is not in 10.0.0.0/8"),
        (packet("203.0.113.9", "10.0.0.5"), rule("accept in tcp from 10.0.0.1"), "203.0.113.9 is not 10.0.0.1"),
        (
            packet("2001:db8::9", "2001:db8::5"),
            rule("accept in ip from 10.0.0.0/8"),
            "2001:db8::9 is an IPv6 address, the rule's source is IPv4 (10.0.0.0/8)",
        ),
        (packet("1.2.3.4", "10.0.0.5"), ip_rule(None, "10.0.0.6/32"), "10.0.0.5 is not 10.0.0.6"),
        (packet("1.2.3.4", "10.0.0.5"), rule("accept out tcp"), "the packet goes In, the rule is for Out"),
        (packet("1.2.3.4", "10.0.0.5"), rule("drop in all", enabled=False), "the rule is switched off"),
        (packet("1.2.3.4", "10.0.0.5"), rule("drop in all"), "matched"),
        (Packet(Direction.IN), rule("drop in ip"), "it is a frame that is not IP, the rule wants IP"),
        (
            packet("1.2.3.4", "10.0.0.5", port=None),
            rule("accept in tcp 22"),
            "the packet has no port (it is a later fragment), the rule wants 22",
        ),
    ],
)
def test_why_a_rule_did_not_decide(tried: Packet, against: Rule, why: str) -> None:
    """The first field that differs."""
    (step,) = decide((against,), tried).steps
    assert why_passed(step, tried) == why


def test_every_step_of_every_trace_has_words() -> None:
    """Whatever the rule and the packet."""
    for rules, _, random in pairs_of_lists(3, 60):
        for _ in range(10):
            tried = random_packet(random)
            decision = decide(rules, tried)
            assert verdict_sentence(decision, tried).endswith(".")
            for step in decision.steps:
                assert why_passed(step, tried)
                assert "None" not in why_passed(step, tried) + rule_sentence(step.rule) + packet_sentence(tried)


def test_the_verdict_in_words() -> None:
    """Accepted, dropped, denied by default, and by an empty list."""
    tried = packet("203.0.113.9", "10.0.0.5")
    said = "An inbound TCP packet from 203.0.113.9 to 10.0.0.5, port 22 (SSH)"
    assert packet_sentence(tried) == said
    rules = (rule("accept in udp"), rule("accept in tcp 22"))
    assert verdict_sentence(decide(rules, tried), tried) == f"{said} is accepted by rule 2."
    assert verdict_sentence(decide((rule("drop in all"),), tried), tried) == f"{said} is dropped by rule 1."
    assert verdict_sentence(decide(rules[:1], tried), tried) == f"{said} is denied by default: no rule matches it."
    assert "the list has no rules" in verdict_sentence(decide((), tried), tried)
    assert packet_sentence(Packet(Direction.OUT)) == "An outbound frame that is not IP"


def test_ports_addresses_and_services() -> None:
    """Named where they are well known."""
    assert ports_text(None) == "any port"
    assert ports_text(5432, 5432, "tcp") == "port 5432 (PostgreSQL)"
    assert ports_text(51820, None, 17) == "port 51820 (WireGuard)"
    assert ports_text(22, 22) == "port 22"
    assert addresses_text(None) == "anywhere"
    assert service_name("udp", 22) is None
    assert [protocol_text(n) for n in (47, 99, None)] == ["GRE", "IP protocol 99", "non-IP"]
    assert len({(s.protocol, s.port) for s in SERVICES}) == len(SERVICES)
    assert {"SSH", "PostgreSQL", "MySQL", "Redis", "RDP"} <= {s.name for s in SERVICES if s.sensitive}


def test_counts() -> None:
    """As people say them."""
    shown = [count_text(n) for n in (1, 256, 65536, 1 << 24, 1 << 32, 1 << 64, (1 << 128) - 1)]
    assert shown == [
        "1 address",
        "256 addresses",
        "65,536 addresses",
        "about 16.8 million addresses",
        "about 4.3 billion addresses",
        "about 2⁶⁴ addresses",
        "about 2¹²⁸ addresses",
    ]


def test_address_ranges() -> None:
    """Networks where they are networks; what is left out where that is shorter."""
    assert address_range_text(AddressRange(4, 10 << 24, (11 << 24) - 1)) == "10.0.0.0/8"
    assert address_range_text(AddressRange(4, 1, 2)) == "0.0.0.1–0.0.0.2"
    assert address_range_text(AddressRange(6, 0, (1 << 128) - 1)) == "::/0"
    assert ranges_text((AddressRange(6, 1, 1),)) == "::1"
    almost = (AddressRange(4, 0, 6), AddressRange(4, 8, (1 << 32) - 1))
    assert ranges_text(almost) == "any IPv4 address except 0.0.0.7"
    assert ranges_text((*almost, AddressRange(6, 0, (1 << 128) - 1))) == (
        "any IPv6 address and any IPv4 address except 0.0.0.7"
    )
    many = tuple(AddressRange(4, n, n) for n in range(0, 20, 2))
    assert ranges_text(many) == "0.0.0.0, 0.0.0.2, 0.0.0.4, 0.0.0.6 and 6 more ranges (10 addresses)"


def test_places() -> None:
    """One, several, many, the default; by the caller's names on a VM."""
    assert places_text((3,)) == "rule 3"
    assert places_text((1, 4, None)) == "rules 1 and 4 or the default"
    assert places_text((None,)) == "the default"
    assert places_text(range(1, 13)) == "rules 1, 2, 3, 4 and 8 more"
    assert places_text((1, 2), name=lambda place: f"rule {place} of web") == "rule 1 of web and rule 2 of web"
    texts = ("web, rule 1", "web, rule 2", "a, rule 3, rule 4")
    assert places_text((1, 2, None), name=lambda place: texts[place - 1]) == "web, rules 1 and 2 or the default"
    assert places_text((1, 3), name=lambda place: texts[place - 1]) == "web, rule 1 and a, rule 3, rule 4"
    assert places_text(range(1, 13), name=lambda place: f"web, rule {place}") == "web, rules 1, 2, 3, 4 and 8 more"


def sentences(found: Difference) -> list[str]:
    """Every change of a difference."""
    sides = ((found.newly_allowed, True), (found.newly_denied, False))
    return [change_sentence(change, allowed) for changes, allowed in sides for change in changes]


def test_a_difference_in_words() -> None:
    """The sentence of the preview."""
    old = (rule("accept in tcp 443"), rule("drop in tcp from 10.0.0.0/8"))
    new = (*old, rule("accept in tcp 22"))
    (sentence,) = sentences(difference(old, new))
    assert sentence == (
        "Newly allowed: inbound TCP 22 (SSH) from any IPv6 address and any IPv4 address except 10.0.0.0/8 – "
        "decided by rule 3, was denied by default."
    )
    assert sentences(difference((), new[2:])) == [
        "Newly allowed: inbound TCP 22 (SSH) from anywhere (IPv4, IPv6) – decided by rule 1, was denied by default."
    ]
    assert sentences(difference(new[2:], ())) == [
        "Newly denied: inbound TCP 22 (SSH) from anywhere (IPv4, IPv6) – denied by default now, was accepted by rule 1."
    ]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["accept in all"], ["everything inbound"]),
        (["accept out ip"], ["outbound IP to anywhere (IPv4, IPv6)"]),
        (["accept out tcp 443"], ["outbound TCP 443 (HTTPS) to anywhere (IPv4, IPv6)"]),
        (["accept out udp"], ["outbound UDP on any port to anywhere (IPv4, IPv6)"]),
        (["accept out ip to 10.0.3.0/24"], ["outbound IP to 10.0.3.0/24"]),
        (["accept out ip from ::/0"], ["outbound IP to any IPv6 address"]),
        (["accept out ip from 10.0.1.0/24 to 10.0.3.0/24"], ["outbound IP from 10.0.1.0/24 to 10.0.3.0/24"]),
        (["accept out tcp 443 from 10.0.1.0/24"], ["outbound TCP 443 (HTTPS) from 10.0.1.0/24"]),
        (["accept in ip from ::/0"], ["inbound IP from any IPv6 address"]),
        (["accept in tcp"], ["inbound TCP to any port from anywhere (IPv4, IPv6)"]),
        (["accept in tcp 22", "accept in udp 22"], ["inbound TCP and UDP 22 (SSH) from anywhere (IPv4, IPv6)"]),
        (
            ["drop in tcp 25", "accept in tcp"],
            ["inbound TCP to any port except 25 (SMTP) from anywhere (IPv4, IPv6)"],
        ),
        (
            ["drop in tcp", "drop in udp", "drop in sctp", "accept in ip"],
            ["inbound ICMP and every other IP protocol without ports from anywhere (IPv4, IPv6)"],
        ),
        (["accept in icmp"], ["inbound ICMP from anywhere (IPv4, IPv6)"]),
        (["accept out icmp from 203.0.113.0/24"], ["outbound ICMP from 203.0.113.0/24"]),
        (["accept in icmp", "accept in tcp"], ["inbound TCP and ICMP to any port from anywhere (IPv4, IPv6)"]),
        (
            ["drop in tcp", "drop in udp", "drop in sctp", "drop in icmp", "accept in ip"],
            ["inbound every IP protocol but TCP, UDP, SCTP and ICMP from anywhere (IPv4, IPv6)"],
        ),
        (
            ["drop in icmp", "accept in ip"],
            ["inbound every IP protocol but ICMP to any port from anywhere (IPv4, IPv6)"],
        ),
        (["drop in ip", "accept in all"], ["inbound frames that are not IP"]),
    ],
)
def test_traffic_in_words(texts: list[str], said: list[str]) -> None:
    """What a list lets through."""
    told = sentences(difference((), tuple(map(rule, texts))))
    assert [s.removeprefix("Newly allowed: ").split(" – ")[0] for s in told] == said


def test_findings_in_words() -> None:
    """Dead rules name what covers them, open ones what they open."""
    rules = (
        rule("accept in tcp 22 from 10.0.0.0/9"),
        rule("drop in ip from 192.168.0.0/16"),
        rule("accept in tcp 443 from 192.168.1.0/24"),
        rule("accept in tcp 22 from 10.128.0.0/9"),
        rule("accept in tcp 22 from 10.0.0.0/8"),
        rule("accept in tcp 20-25"),
        rule("drop in all"),
        rule("drop in udp"),
    )
    found = findings(rules)
    said = [[r.text for r in remarks(one)] for one in found.rules]
    assert "No packet reaches this rule: rule 2 takes all of it, and drops it." in said[2]
    assert "No packet reaches this rule: rules 1 and 4 together take all of it, and do the same with it." in said[4]
    assert "Open to the world: anywhere reaches SSH (TCP 22) and Telnet (TCP 23)." in said[5]
    assert "Order matters: it partly overlaps rule 2, which does the opposite." in said[5]
    assert "It comes after rule 7, which takes everything of its direction." in said[7]
    assert findings_summary(found) == (
        "1 rule that opens a management or database port to the world, 3 rules that no packet reaches and "
        "3 rules of which each alone changes nothing."
    )
    assert findings_summary(findings((rule("accept in tcp 443"),))) == "Nothing to remark."
    offered = [fix_sentence(fix) for fix in fixes(rules, found)]
    assert "Remove rules 3, 5 and 8: every packet is decided as before." in offered
    assert "Move rule 3 above rule 2, which hides it." in offered


def test_shares_of_the_internet() -> None:
    """Never everyone where somebody is left out, never nobody."""
    assert [share_text(part) for part in (1, 0.999, 0.57, 0.0001)] == [
        "everyone",
        "99% of all public addresses",
        "57% of all public addresses",
        "1% of all public addresses",
    ]


def test_nothing_random_breaks_the_words() -> None:
    """Every difference and finding of random lists has sentences, and none shows a gap in them."""
    texts: list[str] = []
    for old, new, _ in pairs_of_lists(44, 80):
        texts += sentences(difference(old, new))
        for one in findings(new).rules:
            texts += [r.text for r in remarks(one)]
        texts += [fix_sentence(fix) for fix in fixes(new)]
    assert len(texts) > 500
    assert not [t for t in texts if "None" in t or "  " in t or not t.endswith(".") or "from  " in t]
