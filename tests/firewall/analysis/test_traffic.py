"""Boxes, pieces and paint: each packet lies in one cell, and its owner is the rule that decides."""

from bisect import bisect_right
from random import Random

import numpy as np
import pytest

from securitygroups.firewall.analysis import painting
from securitygroups.firewall.analysis.painting import paint
from securitygroups.firewall.analysis.products import AddressRange, Product, fold, is_every_ip, merge
from securitygroups.firewall.analysis.traffic import (
    CLASSES,
    NO_PORT,
    Budget,
    Piece,
    TrafficClass,
    boxes,
    pieces,
    sample,
)
from securitygroups.firewall.decide import decide, differences
from securitygroups.firewall.notation import rule
from securitygroups.firewall.protocols import MAX_PORT, Action, Direction
from securitygroups.firewall.values import Network, Packet, Rule
from tests.firewall.strategies import crossing_strips, pairs_of_lists, random_packet, tight

Rules = tuple[Rule, ...]


def class_of(packet: Packet) -> TrafficClass:
    """The class that a packet belongs to."""
    over4 = {1: "icmp", 6: "tcp", 17: "udp", 132: "sctp"}
    over6 = {6: "tcp", 17: "udp", 58: "icmp", 132: "sctp"}
    named = {4: over4, 6: over6, None: {}}[packet.version]
    return TrafficClass(packet.direction, packet.version, named.get(packet.protocol or 0))


def point(packet: Packet) -> tuple[int, int, int]:
    """Where a packet lies: port, destination, source."""
    port = packet.port if packet.port is not None else NO_PORT
    return port, packet.destination or 0, packet.source or 0


def cell_of(piece: Piece, packet: Packet) -> tuple[int, int, int] | None:
    """The cell of a packet, None where it lies outside the piece."""
    at = point(packet)
    if any(not cuts[0] <= value < cuts[-1] for cuts, value in zip(piece.cuts, at, strict=True)):
        return None
    port, destination, source = (bisect_right(cuts, value) - 1 for cuts, value in zip(piece.cuts, at, strict=True))
    return port, destination, source


def test_a_rule_is_its_boxes() -> None:
    """A packet matches a rule where its point lies in the rule's box of its class, and nowhere else."""
    for rules, _, random in pairs_of_lists(6, 60):
        found = boxes(rules)
        for _ in range(25):
            packet = random_packet(random)
            inside = {
                place
                for place, box in found.get(class_of(packet), [])
                if all(box[2 * axis] <= value <= box[2 * axis + 1] for axis, value in enumerate(point(packet)))
            }
            assert inside == {p for p, r in enumerate(rules, 1) if r.enabled and not differences(r, packet)}


def test_classes_divide_all_packets() -> None:
    """Two directions, two families of five protocol classes each, and the frames."""
    assert len(CLASSES) == len(set(CLASSES)) == 2 * (2 * 5 + 1)
    frames = TrafficClass(Direction.IN, None, None)
    assert frames.whole == (NO_PORT, NO_PORT, 0, 0, 0, 0)
    assert sample(frames, frames.whole) == Packet(Direction.IN)
    for kind in CLASSES:
        assert class_of(sample(kind, kind.whole)) == kind
    fragment = sample(TrafficClass(Direction.IN, 6, "tcp"), (NO_PORT, NO_PORT, 0, 0, 7, 7))
    assert (fragment.port, fragment.source) == (None, 7)


@pytest.mark.parametrize("small", [4, 4096])
def test_a_packet_lies_in_one_cell_of_its_decider(small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However finely the space is split: first and second owner are what the evaluator says, twice."""
    monkeypatch.setattr("securitygroups.firewall.analysis.traffic._SMALL_CELLS", small)
    if small == 4:
        monkeypatch.setattr("securitygroups.firewall.analysis.traffic._NODE_UNITS", 0)
        monkeypatch.setattr("securitygroups.firewall.analysis.traffic._LEAF_UNITS", 0)
        monkeypatch.setattr("securitygroups.firewall.analysis.traffic.GRID_CELLS", 40)
    for rules, _, random in pairs_of_lists(77, 25):
        found = boxes(rules)
        painted = {
            kind: [(piece, paint(piece, 0, second=True)) for piece in pieces(kind, [layer], Budget(), depth=2)]
            for kind, layer in found.items()
        }
        for _ in range(25):
            packet = random_packet(random)
            decider = decide(rules, packet).rule
            hits = [
                (piece, colours, cell)
                for piece, colours in painted.get(class_of(packet), [])
                if (cell := cell_of(piece, packet)) is not None
            ]
            assert len(hits) == (class_of(packet) in found)
            for piece, colours, cell in hits:
                places = [None, *piece.layers[0][0].tolist()]
                assert not piece.left_out
                assert places[colours.first[cell]] == decider
                assert colours.second is not None
                if decider is not None:
                    without = (*rules[: decider - 1], rule("drop in all", enabled=False), *rules[decider:])
                    assert places[colours.second[cell]] == decide(without, packet).rule


def test_every_way_to_paint_gives_the_same() -> None:
    """Rule over rule, columns on a plane of their own, and settled by address: cell for cell."""
    random = Random(12)
    columns = crossing_strips(200)
    nested = tuple(
        Rule(Action.DROP, Direction.IN, "tcp", Network(4, (i % 2) << 31, 1), None, i % 70, 200 - i) for i in range(90)
    )
    mixture = [*columns, *nested, *(rule(f"accept in ip from 10.0.0.{i}") for i in range(30))]
    random.shuffle(mixture)
    kind = TrafficClass(Direction.IN, 4, "tcp")
    (piece,) = pieces(kind, [boxes(mixture)[kind]], Budget(), depth=10**6)
    box = piece.layers[0][1]
    numbers = np.arange(1, len(box) + 1)
    plain = painting._unnumbered(painting._paint_over(box, numbers, piece.shape, np.int16, second=True))
    assert plain.second is not None
    for other in (painting._paint_grouped(box, piece.shape, np.int16, second=True), paint(piece, 0, second=True)):
        assert np.array_equal(plain.first, other.first)
        assert other.second is not None
        assert np.array_equal(plain.second, other.second)
    assert np.array_equal(paint(piece, 0).first, plain.first)
    assert np.array_equal(painting._paint_grouped(box, piece.shape, np.int16, second=False).first, plain.first)


def test_rules_that_overlap_over_and_over_are_settled_first() -> None:
    """The way is taken by itself where it is needed, and says what the evaluator says."""
    half = (Network(4, 0, 1), Network(4, 1 << 31, 1))
    ranges = tuple(
        Rule(tuple(Action)[i % 2], Direction.IN, "tcp", half[i % 2], None, 3 * i, 65000 - i) for i in range(400)
    )
    rules = (*ranges[::-1], *crossing_strips(800))
    kind = TrafficClass(Direction.IN, 4, "tcp")
    random = Random(4)
    for piece in pieces(kind, [boxes(rules)[kind]], Budget()):
        first, places = paint(piece, 0).first, [None, *piece.layers[0][0].tolist()]
        for _ in range(60):
            cell = [random.randrange(size) for size in piece.shape]
            assert places[first[tuple(cell)]] == decide(rules, piece.sample(cell)).rule


def test_a_budget_that_runs_out_is_told() -> None:
    """Pieces are left out, never dropped: together they are still the whole."""
    rules = tight(Random(1), 400)
    kind = TrafficClass(Direction.IN, 4, "tcp")
    budget = Budget(units=20_000)
    found = list(pieces(kind, [boxes(rules)[kind]], budget))
    assert budget.short
    assert any(piece.left_out for piece in found)
    sizes = [np.prod([float(cuts[-1] - cuts[0]) for cuts in piece.cuts]) for piece in found]
    assert sum(sizes) == pytest.approx((NO_PORT + 1) * 2.0**64)


def test_folding_takes_the_shorter_way() -> None:
    """Three hosts on any port, and one port for everybody: two products whichever way it is written."""
    mask = np.zeros((5, 1, 6), np.bool_)
    mask[:, 0, 1] = mask[2, 0, :] = True
    groups, total = fold(mask, 10)
    assert total == len(groups) == 2
    again = np.zeros_like(mask)
    for cells in groups:
        assert not again[np.ix_(*cells)].any()
        again[np.ix_(*cells)] = True
    assert np.array_equal(again, mask)
    assert fold(mask, 1)[1] == 2


def test_merging_joins_families_and_frames() -> None:
    """All of IPv4, all of IPv6 and the frames are everything; labels are joined on the way."""
    parts = [
        Product(
            Direction.IN,
            (protocol,),
            ((0, MAX_PORT),),
            True,
            (AddressRange(version, 0, (1 << bits) - 1),),
            (AddressRange(version, 0, (1 << bits) - 1),),
        )
        for version, bits in ((4, 32), (6, 128))
        for protocol in ("tcp", "udp", "sctp", "icmp", None)
    ]
    items = [(part, 1) for part in (*parts, Product(Direction.IN, non_ip=True))]
    ((everything, weight),) = merge(items, lambda one, other: one + other)
    assert is_every_ip(everything)
    assert everything.non_ip
    assert weight == 11
    assert Packet(Direction.OUT) not in everything
