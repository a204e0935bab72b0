"""Sets of numbers as ranges, held against sets of numbers one by one."""

from itertools import pairwise
from random import Random

import pytest

from securitygroups.firewall.formats.spans import (
    ANY_ADDRESS,
    ANY_PORT,
    ANYTHING,
    Match,
    Spans,
    both,
    networks_of,
    numbers,
    of_networks,
    spans,
    without,
)
from securitygroups.firewall.values import parse_network


def some(random: Random) -> Spans:
    firsts = [random.randrange(60) for _ in range(random.randrange(5))]
    return spans((first, first + random.randrange(8)) for first in firsts)


@pytest.mark.parametrize("seed", range(4))
def test_ranges_are_the_sets_that_they_stand_for(seed: int) -> None:
    random = Random(seed)
    for _ in range(300):
        one, other = some(random), some(random)
        ones, others = set(numbers(one)), set(numbers(other))

        assert set(numbers(both(one, other))) == ones & others
        assert set(numbers(without(one, other))) == ones - others
        for found in (one, both(one, other), without(one, other)):
            assert all(last + 1 < first for (_, last), (first, _) in pairwise(found))


def test_ranges_side_by_side_are_one() -> None:
    assert spans([(22, 65535), (0, 21)]) == ANY_PORT
    assert spans([(1, 5), (2, 3)]) == ((1, 5),)


def test_what_is_apart_is_taken_out_without_a_cut() -> None:
    web = Match(protocol=((6, 6),), port=((443, 443),))
    mail = Match(protocol=((6, 6),), port=((25, 25),))

    assert web.minus(mail) == [web]
    assert web.minus(web) == []
    assert [part.port for part in ANYTHING.having("protocol", ((6, 6),)).minus(web)] == [((0, 442), (444, 65535))]


@pytest.mark.parametrize("seed", range(3))
def test_parts_have_every_packet_once(seed: int) -> None:
    random = Random(seed)
    for _ in range(100):
        whole, out = (Match(((4, 4),), some(random), some(random), some(random), some(random)) for _ in range(2))
        parts = whole.minus(out)
        for _ in range(50):
            packet = [4, *(random.randrange(68) for _ in range(4)), 0]

            def has(match: Match, packet: list[int] = packet) -> bool:
                sets = (match.family, match.protocol, match.source, match.destination, match.port, match.kind)
                return all(value in numbers(one) for one, value in zip(sets, packet, strict=True))

            assert sum(map(has, parts)) == (has(whole) and not has(out))


@pytest.mark.parametrize(
    "texts",
    [["10.0.0.0/8", "10.128.0.0/9"], ["0.0.0.0/0"], ["::/0"], ["0.0.0.0/0", "::/0"], ["198.51.100.4/30", "198.51.100.9/32", "2001:db8::/33"]],
)  # fmt: skip
def test_networks_are_ranges_and_the_other_way_round(texts: list[str]) -> None:
    found = networks_of(of_networks(map(parse_network, texts)), 10)

    assert found is not None
    assert of_networks(found) == of_networks(map(parse_network, texts))
    assert len(found) <= len(texts)


def test_more_networks_than_wanted_are_none() -> None:
    assert networks_of(((1, 254),), 5) is None
    assert networks_of(ANY_ADDRESS, 2) == (parse_network("0.0.0.0/0"), parse_network("::/0"))
