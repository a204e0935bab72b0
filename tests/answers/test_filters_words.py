"""What the page shows of a rule finds it: services, ranges, sentences; and what people write instead."""

import json
from pathlib import Path

import pytest
from django.test import Client

from securitygroups.answers.filters import as_condition, matching, of_project
from securitygroups.firewall.protocols import PROTOCOLS, Action, Direction
from securitygroups.firewall.services import SERVICES
from securitygroups.firewall.values import Rule as RuleValue
from securitygroups.models import Project, Rule, SecurityGroup
from securitygroups.words.rules import rule_sentence
from tests.factories import make_group, rule
from tests.web.pages import Page

pytestmark = pytest.mark.django_db
PUBLIC = Path(__file__).parents[1] / "cases" / "public" / "found_rules.jsonl"

RULES = [
    rule("accept in tcp 22 from 203.0.113.0/24", "Office"),
    rule("accept in tcp 443"),
    rule("accept in tcp 8000-8010 from 10.0.2.0/24", "Workers"),
    rule("accept in udp 53 from 10.0.2.15"),
    rule("accept out udp 53"),
    rule("drop in tcp 0-65535 from 192.0.2.0/24"),
    rule("accept in sctp from 2001:db8::/32"),
    rule("drop out ip from 0.0.0.0/0 to 198.51.100.0/24", enabled=False),
    rule("accept in tcp 1433 from ::/0"),
    rule("drop in all", "Allow nothing else"),
]


@pytest.fixture
def words(project: Project) -> SecurityGroup:
    return make_group(project, "words", RULES)


def found(group: SecurityGroup, query: str) -> list[int]:
    in_python = [row.position for row in matching(group.rules.in_order(), query)]
    in_database = Rule.objects.filter(as_condition(query), group=group).in_order()
    assert in_python == [row.position for row in in_database]
    assert in_python == [place for place, one in enumerate(RULES, 1) if one in matching(RULES, query)] or "#" in query
    return in_python


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("ssh", [1, 6]),
        ("(SSH)", [1, 6]),
        ("port 22 (SSH)", [1, 6]),
        ("https", [2, 6]),
        ("dns", [4, 5, 6]),
        ("dns in", [4, 6]),
        ("sql server", [6, 9]),
        ("8000-8010", [3, 6, 7, 8, 10]),
        ("8000–8010", [3, 6, 7, 8, 10]),
        ("8000:8010 sctp", [7]),
        ("ports 8000 – 8010 tcp", [3, 6]),
        ("tcp ports 8005 to 9000", [3, 6]),
        ("tcp 8005..9000", [3, 6]),
        ("tcp/8001", [3, 6]),
        ("8001/tcp", [3, 6]),
        ("tcp 22,443", [1, 2, 6]),
        ("tcp 22, 443", [1, 2, 6]),
        ("every port", [6, 7, 8, 10]),
        ("any port in", [6, 7, 10]),
        ("all ports sctp", [7]),
        ("tcp ports 0–65535 (all of them)", [6]),
        ("10.0.2.15/24 accept in", [2, 3, 4]),
        ("2001:db8::5/64 sctp", [7]),
        ("10.0.2.15:53 udp in", [4]),
        ("10.0.2. udp in", [4]),
        ("10.0.2.0-10.0.2.14 in accept", [2, 3]),
        ("10.0.2.0/255.255.255.0 tcp 8000", [3]),
        ("anywhere", [2, 5, 8, 9, 10]),
        ("tcp from anywhere", [2, 9]),
        ("from any IPv4 address", [8]),
        ("any IPv6 address", [9]),
        ("off", [8]),
        ("switched off", [8]),
        ("(switched off)", [8]),
        ("disabled", [8]),
        ("accept out udp 53", [5]),
        ("everything inbound", [10]),
        ("allow sctp", [7]),
        ("deny all", [10]),
        ("allow nothing", [10]),
        ("rule 3", [3]),
        ("#3", [3]),
        ("udp ingress", [4]),
        ('"nothing else"', [10]),
        ("from", list(range(1, 11))),
        ("port", list(range(1, 11))),
        ("8000-", []),
        ("99999-100000", []),
        ("ssh telnet", [6]),
        ("SSH (22)", [1, 6]),
        ("ssh,https", [1, 2, 6]),
        ("ssh or https", [1, 2, 6]),
        ("SSH.", [1, 6]),
        ("sshd", [1, 6]),
        ("ssh\u200b", [1, 6]),
        ("ＳＳＨ", [1, 6]),
        ("10.0.2 udp in", [4]),
        ("2001:db8 sctp", [7]),
        ("source: 10.0.2.15 udp", [4, 5]),
        ("protocol udp direction out", [5]),
        ("protocol=sctp", [7]),
        ("-p tcp --dport 8001", [3, 6]),
        ("tcp dpt:443", [2, 6]),
        ("source", []),
    ],
)
def test_words_of_the_page_and_of_people_find_what_they_mean(
    query: str, places: list[int], words: SecurityGroup
) -> None:
    assert found(words, query) == places


def test_the_whole_sentence_of_a_rule_finds_it(words: SecurityGroup) -> None:
    for place, one in enumerate(RULES, 1):
        assert place in found(words, rule_sentence(one)), rule_sentence(one)


def test_every_service_is_found_by_the_name_that_stands_beside_its_port(project: Project) -> None:
    rules = [rule(f"accept in {one.told.lower()}") for one in SERVICES]
    group = make_group(project, "services", rules)

    for place, one in enumerate(SERVICES, 1):
        there = [f"port {one.port} ({one.name})"] if one.port is not None else []
        for typed in (one.name, one.name.lower(), *there):
            assert place in [row.position for row in matching(group.rules.in_order(), typed)], typed


def test_a_project_s_rules_are_found_by_the_names_of_their_groups_too(project: Project, words: SecurityGroup) -> None:
    make_group(project, "other", [rule("accept in tcp 22", "words in it")])

    assert {row.group.name for row in of_project(project, "words")} == {"words", "other"}
    assert [row.position for row in of_project(project, "words, rule 2")] == [2]
    assert [row.group.name for row in of_project(project, "other ssh")] == ["other"]


def test_a_port_finds_no_rule_of_a_protocol_without_ports() -> None:
    for protocol in PROTOCOLS.values():
        one = RuleValue(Action.ACCEPT, Direction.IN, protocol.name)
        covers = "port_start" in protocol.columns or protocol.numbers is None
        assert bool(matching([one], "22")) == bool(matching([one], "every port")) == covers


@pytest.mark.parametrize(
    "query", ["(" * 2000, "0-" * 900, "1," * 1000, "10.0." * 400, "[" * 500 + ":1", "any " * 400, "#", "to to to"]
)
def test_nonsense_does_no_harm(query: str, words: SecurityGroup) -> None:
    found(words, query)


@pytest.mark.parametrize(
    "case", [json.loads(line) for line in PUBLIC.read_text().splitlines()], ids=lambda case: case["id"]
)
def test_inputs_of_others_are_found(case: dict[str, object], as_bob: Client, project: Project) -> None:
    make_group(
        project, "a", [rule("accept in tcp 22 from 203.0.113.0/24"), rule("accept in tcp 22"), rule("drop in tcp 22")]
    )
    make_group(project, "b", [rule("accept in tcp 8000-8010"), rule("accept out tcp 8000-8010", "Workers")])
    make_group(project, "c", [rule("accept in tcp 5432 from 10.0.2.0/24"), rule("accept in tcp 443")])

    text = Page(as_bob.get("/p/shop/rules/", {"q": str(case["query"])})).text
    assert text.count(str(case["row"])) >= int(str(case["least"]))
