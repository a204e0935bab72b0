"""The filter of a group's rules and that of a project's find the same, one in Python and one in the database."""

from dataclasses import replace
from random import Random

import pytest

from securitygroups.answers.filters import as_condition, matching
from securitygroups.firewall.values import Rule as RuleValue
from securitygroups.models import Project, Rule, SecurityGroup
from tests.factories import make_group, rule
from tests.firewall.strategies import PORTS, random_list, random_rule

pytestmark = pytest.mark.django_db

WORDS = (
    "Office", "OFFICE", "ssh", "50%", "a_b", "back\\slash", "“quoted”", "it's", "Büro", "BÜRO", "straße", "naïve", "日本",
    "Ελλάδα", "ΕΛΛΆΔΑ", "ＷＩＤＥ", "\U0001f600", "1.2.3", "port", "22a", "/24", "=1+1", "nor", "null", "%", "_", "\\",
)  # fmt: skip
QUERIES = (
    "22", "port:22", "0", "65535", "65536", "port:65536", "port:", "٢٢", "tcp", "UDP", "sctp", "ip", "all", "ALL", "accept",
    "Drop", "in", "out", "on", "off", "10.0.0.1", "10.0.0.0/8", "10.0.0.5/8", "010.0.0.1", "0.0.0.0/0", "::/0", "::1",
    "2001:db8::/32", "2001:DB8::/32", "2001:db8::/128", "255.255.255.255", "::ffff:10.0.0.1", "fe80::1%eth0",
    "10.0.0.0/255.0.0.0", *WORDS,
)  # fmt: skip


def described(random: Random, value: RuleValue) -> RuleValue:
    return replace(value, description=" ".join(random.sample(WORDS, random.randint(0, 3))))


@pytest.fixture
def many(project: Project) -> list[Rule]:
    """Two hundred random rules in four groups."""
    random = Random(7)
    for number in range(4):
        make_group(project, f"g{number}", [described(random, random_rule(random)) for _ in range(50)])
    return list(Rule.objects.order_by("pk"))


def both(many: list[Rule], query: str) -> tuple[list[int], list[int]]:
    in_python = [row.pk for row in matching(many, query)]
    in_database = Rule.objects.filter(as_condition(query)).order_by("pk")
    return in_python, list(in_database.values_list("pk", flat=True))


@pytest.mark.parametrize("query", QUERIES)
def test_one_word_finds_the_same_in_python_and_in_the_database(query: str, many: list[Rule]) -> None:
    in_python, in_database = both(many, query)

    assert in_python == in_database


def test_several_words_find_the_same_and_each_narrows_it(many: list[Rule]) -> None:
    random = Random(11)
    found_some = 0
    for _ in range(120):
        words = random.choices([*QUERIES, *map(str, PORTS)], k=random.randint(1, 4))
        in_python, in_database = both(many, " ".join(words))
        assert in_python == in_database, words
        for word in words:
            assert set(in_python) <= set(both(many, word)[0])
        found_some += bool(in_python)
    assert found_some > 20


def found(group: SecurityGroup, query: str) -> list[int]:
    return [row.position for row in matching(group.rules.in_order(), query)]


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("", [1, 2, 3, 4, 5]),
        ("   ", [1, 2, 3, 4, 5]),
        ("22", [1, 3, 5]),
        ("443", [1, 2, 5]),
        ("8005", [1, 4, 5]),
        ("8011", [1, 5]),
        ("203.0.113.9", [2, 3, 5]),
        ("203.0.0.0/8", [2, 3, 5]),
        ("192.0.2.66", [1, 2, 5]),
        ("2001:db8::1", [2, 4, 5]),
        ("off", [4]),
        ("on", [1, 2, 3, 5]),
        ("out", [5]),
        ("drop", [1]),
        ("tcp accept 22", [3]),
        ("office ssh", [3]),
        ("ffic", [3]),
        ("22 80", [1, 5]),
        ("nothing of the kind", []),
        ("tcp udp", []),
    ],
)
def test_what_is_typed_finds_what_it_should(query: str, places: list[int], group: SecurityGroup) -> None:
    assert found(group, query) == places


def test_a_word_longer_than_anything_and_more_words_than_are_read_do_no_harm(group: SecurityGroup) -> None:
    assert found(group, "x" * 10_000) == []
    assert found(group, "1" * 5_000) == []
    assert found(group, " ".join(["tcp"] * 12 + ["udp"] * 5)) == [2, 3, 4]


def test_an_ip_rule_is_found_by_either_end(project: Project) -> None:
    group = make_group(project, "ip", [rule("accept out ip from 10.0.0.0/8 to 192.0.2.0/24")])

    assert [found(group, query) for query in ("10.1.2.3", "192.0.2.1", "172.16.0.1", "22")] == [[1], [1], [], [1]]


def test_random_lists_agree_on_every_edge(project: Project) -> None:
    """Addresses and ports that the rules name, one by one."""
    random = Random(3)
    make_group(project, "edges", random_list(random, 40))
    many = list(Rule.objects.order_by("pk"))
    for network in {n for row in many for n in (row.source, row.destination) if n}:
        in_python, in_database = both(many, str(network))
        assert in_python == in_database
        assert in_python
