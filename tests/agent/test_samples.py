"""What the kernel tells of a packet becomes a sample: equal ones once, and what is too much is counted."""

import pytest

from securitygroups.agent.nflog import Told
from securitygroups.agent.samples import MOST, Samples, Why, why
from securitygroups.agent.vectors import Vector
from tests.kernel import frames

VECTOR = Vector(1, 1, (("sg-web", 3),), 2)


@pytest.fixture
def samples() -> Samples:
    return Samples(lambda uid, at: VECTOR if uid == "vm-1" else None)


def told(
    prefix: str = "vm-1.in.none", source: int = 0x0A000009, sport: int = 4000, dport: int = 22, at: float = 1.5
) -> Told:
    both = frames.addresses(4, source, 0x0A000005)
    return Told(prefix, at, frames.IPV4, frames.ipv4(both, frames.TCP, frames.tcp(both, sport, dport)))


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        ("vm-1.in.none", Why("vm-1", "in", "none", "")),
        ("vm-1.out.spoofed", Why("vm-1", "out", "spoofed", "")),
        ("vm-1.in.accept", Why("vm-1", "in", "accept", "")),
        ("vm-1.in.rule.a1b2", Why("vm-1", "in", "rule", "a1b2")),
        ("vm-1.in.place.3", Why("vm-1", "in", "rule", "")),
        ("", None),
        ("vm-1.in", None),
        ("vm-1.up.none", None),
        ("vm-1.in.a.b", None),
        ("vm-1.in.rule.", Why("vm-1", "in", "rule", "")),
        ("DROP vm-1.in.none", None),
        ("a.in.b.c", None),
        ("vm-1.in.rule.a.b", None),
    ],
)
def test_a_prefix_is_read_or_it_is_anothers(prefix: str, said: Why | None) -> None:
    assert why(prefix) == said


def test_a_sample_says_what_the_packet_was_and_which_list_was_in_force(samples: Samples) -> None:
    samples.add(told("vm-1.in.rule.a1b2"))

    [sample], missed = samples.take()

    assert missed == 0
    assert sample == {
        "vm": "vm-1",
        "at": 1,
        "direction": "in",
        "verdict": "drop",
        "reason": "rule",
        "rule": "a1b2",
        "vector": VECTOR.document(),
        "version": 4,
        "protocol": 6,
        "source": "10.0.0.9",
        "destination": "10.0.0.5",
        "source_port": 4000,
        "port": 22,
        "kind": None,
        "times": 1,
    }


def test_equal_packets_from_many_ports_are_one_sample(samples: Samples) -> None:
    for number in range(50):
        samples.add(told(sport=5000 + number, at=float(number)))
    samples.add(told(dport=23))

    found, _ = samples.take()

    assert [(one["port"], one["times"], one["at"], one["source_port"]) for one in found] == [
        (22, 50, 49, 5049),
        (23, 1, 1, 4000),
    ]


def test_what_opened_a_connection_is_an_accept(samples: Samples) -> None:
    samples.add(told("vm-1.in.accept"))

    [sample], _ = samples.take()

    assert (sample["verdict"], sample["reason"], sample["rule"]) == ("accept", "accept", "")


def test_what_another_program_logs_is_none(samples: Samples) -> None:
    samples.add(told("fw: "))

    assert samples.take() == ([], 0)


def test_more_than_a_report_takes_is_counted(samples: Samples) -> None:
    for number in range(MOST + 7):
        samples.add(told(source=number))
    samples.miss(100)

    found, missed = samples.take()

    assert (len(found), missed) == (MOST, 107)


def test_what_was_taken_is_gone(samples: Samples) -> None:
    samples.add(told())
    samples.miss(3)

    assert [one["times"] for one in samples.take()[0]] == [1]
    assert samples.take() == ([], 0)
