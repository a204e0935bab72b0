"""Long lists in parts: which rules a packet may meet is told by its family, protocol, ports and addresses at once.

A part holds, in their order, all the rules of the list that may match what comes to it, so that the first of them that
matches is the first of the list. To which part a packet comes is told by a few comparisons, which are a tree: their number
grows with the logarithm of the list. No set is looked up (see `firewall/platform.py`). A list that is short is not divided:
it reads as it was written.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from securitygroups.firewall.networks import BITS, address_text
from securitygroups.firewall.nftables.conditions import FAMILY_KEY, family
from securitygroups.firewall.nftables.taps import TRANSPORT
from securitygroups.firewall.platform import Target
from securitygroups.firewall.protocols import MAX_PORT, NAMES, PROTOCOLS
from securitygroups.firewall.values import Rule

SHORT = 32
"""Rules of a direction that are asked one after the other without a loss: about a microsecond."""
_PARTS = 8
"""Into which a list is divided at once: half of the comparisons are made, then half of those of the next level."""
_DEPTH = 6
# Rules that stand in several parts are loaded several times.
_MOST_COPIES = 3

Listed = tuple[int, Rule]
"""A rule and its place in the whole list."""
Range = tuple[int, int]
Lead = tuple[str, tuple[str, ...]]

_NOWHERE = ("none",)
_OTHER, _EITHER = -1, -2
"""Numbers of all protocols that have none of their own here, and of a rule whose number is another in each family."""
_ANY: Range = (0, 0)
"""All addresses, as long as the family is not known."""
_DIMENSIONS = {"source": 0, "destination": 1, "port": 2}


class _Met(NamedTuple):
    """A rule as packets of a region meet it: its place, the IP protocol, None for all, and the values of each field."""

    place: int
    rule: Rule
    number: int | None
    ranges: tuple[Range, Range, Range]


class _Region(NamedTuple):
    """Packets of one family, of one IP protocol, where these are set; with these values of each field."""

    target: Target
    version: int | None
    number: int | None
    ranges: tuple[Range, Range, Range]

    @property
    def numbers(self) -> list[int]:
        """The protocols that packets can be told apart by: before their family is known, those that are the same in both."""
        if self.version is None:
            return [number for version, number in NAMES if version == 4 and NAMES.get((6, number)) == NAMES[4, number]]
        return [number for version, number in NAMES if version == self.version]

    def covered(self, one: _Met) -> bool:
        """Whether the rule matches all packets of the region."""
        # Frames that are not IP are among them where the family is not known.
        only_some = one.number is not None or (self.version is None and PROTOCOLS[one.rule.protocol].only_ip)
        if only_some and self.number in (None, _OTHER):
            return False
        return all(
            first <= begun and last >= end for (first, last), (begun, end) in zip(one.ranges, self.ranges, strict=True)
        )


@dataclass(slots=True)
class Part:
    """A chain: which packets go on in which other part, the first line that matches, "" for all others; then rules."""

    name: tuple[str, ...]
    leads: list[Lead] = field(default_factory=list)
    rules: list[Listed] = field(default_factory=list)


def divided(listed: Sequence[Listed], target: Target) -> list[Part]:
    """The parts of a direction's rules, the first of which every packet comes to. A part that leads to a name that is
    none of theirs leads to where no rule matched."""
    if len(listed) <= SHORT:
        return [Part((), rules=[*listed])]
    region = _Region(target, None, None, (_ANY, _ANY, (0, MAX_PORT)))
    return [*_divide((), _ended(_met(listed, region), region), region, _DEPTH)]


def _of_other_frames(listed: Sequence[Listed]) -> Iterator[Listed]:
    """The first rule that matches what is not IP: it matches all of that."""
    for place, rule in listed:
        if not PROTOCOLS[rule.protocol].only_ip:
            yield place, rule
            return


def _met(listed: Iterable[Listed], whole: _Region) -> Iterator[_Met]:
    """The rules as packets of the region meet them, without those of the other family."""
    for place, rule in listed:
        ends = (rule.source, rule.destination)
        if whole.version and any(network and network.version != whole.version for network in ends):
            continue
        source, destination = (
            each if network is None else (network.first, network.last) if whole.version else (1, 0)
            for network, each in zip(ends, whole.ranges[:2], strict=True)
        )
        port = (0, MAX_PORT) if rule.port_start is None or rule.port_end is None else (rule.port_start, rule.port_end)
        yield _Met(place, rule, _number(rule, whole.version), (source, destination, port))


def _number(rule: Rule, version: int | None) -> int | None:
    numbers = PROTOCOLS[rule.protocol].numbers
    if numbers is None:
        return None
    if version is not None:
        return numbers[version]
    return numbers[4] if len({*numbers.values()}) == 1 else _EITHER


def _ended(met: Iterable[_Met], region: _Region) -> list[_Met]:
    """The rules, none behind one that matches every packet of the region."""
    found: list[_Met] = []
    for one in met:
        found.append(one)
        if region.covered(one):
            break
    return found


def _divide(name: tuple[str, ...], listed: list[_Met], region: _Region, depth: int) -> Iterator[Part]:
    """The part of the region, and where it is too long the parts that it is divided into."""
    if not listed:
        return
    part = Part(name, rules=[(one.place, one.rule) for one in listed])
    if len(listed) <= SHORT or not depth:
        yield part
        return
    cuts = _best_cuts(listed, region)
    protocols = _protocols(listed, region) if region.number is None else []
    together = sum(map(len, protocols))
    if protocols and together <= _MOST_COPIES * len(listed) and (cuts is None or max(map(len, protocols)) <= cuts[0]):
        yield from _by_protocol(name, protocols, region, depth)
    elif cuts is not None:
        yield from _by_values(name, listed, cuts[1:], region, depth)
    elif region.version is None and any(one.rule.source or one.rule.destination for one in listed):
        yield from _by_family(name, listed, region, depth)
    else:
        yield part


def _by_family(name: tuple[str, ...], listed: list[_Met], region: _Region, depth: int) -> Iterator[Part]:
    rules = [(one.place, one.rule) for one in listed]
    leads: list[Lead] = []
    inner: list[Part] = []
    for version in BITS:
        full = (0, (1 << BITS[version]) - 1)
        smaller = region._replace(version=version, ranges=(full, full, region.ranges[2]))
        found = [*_divide((*name, f"ip{version}"), _ended(_met(rules, smaller), smaller), smaller, depth)]
        to = found[0].name if found else _NOWHERE
        leads.append((f"meta {FAMILY_KEY[region.target]} {family(version, region.target)}", to))
        inner += found
    others = [*_of_other_frames(rules)] if region.number in (None, _OTHER) else []
    yield Part(name, leads, others)
    yield from inner


def _protocols(listed: list[_Met], region: _Region) -> list[list[_Met]]:
    """The rules for each protocol that can be told, then for all others."""
    numbers = region.numbers
    return [
        _ended(
            (one for one in listed if one.number in (None, number) or (number == _OTHER and one.number not in numbers)),
            region._replace(number=number),
        )
        for number in (*numbers, _OTHER)
    ]


def _by_protocol(name: tuple[str, ...], protocols: list[list[_Met]], region: _Region, depth: int) -> Iterator[Part]:
    leads: list[Lead] = []
    inner: list[Part] = []
    for number, found in zip(region.numbers, protocols, strict=False):
        named = (*name, PROTOCOLS[NAMES[region.version or 4, number]].name)
        parts = [*_divide(named, found, region._replace(number=number), depth)]
        leads.append((f"meta l4proto {number}", parts[0].name if parts else _NOWHERE))
        inner += parts
    others = [*_divide(name, protocols[-1], region._replace(number=_OTHER), depth)]
    # What is none of them goes on in the same chain.
    first = others[0] if others else Part(name)
    yield Part(name, [*leads, *first.leads], first.rules)
    yield from inner
    yield from others[1:]


def _by_values(
    name: tuple[str, ...], listed: list[_Met], cuts: tuple[str, list[Range]], region: _Region, depth: int
) -> Iterator[Part]:
    dimension, ranges = cuts
    at = _DIMENSIONS[dimension]
    inner: list[Part] = []
    leads: list[Lead] = []
    for number, (begun, end) in enumerate(ranges, 1):
        values = [*region.ranges]
        values[at] = begun, end
        smaller = region._replace(ranges=(values[0], values[1], values[2]))
        met = (one for one in listed if one.ranges[at][0] <= end and one.ranges[at][1] >= begun)
        found = [*_divide((*name, str(number)), _ended(met, smaller), smaller, depth - 1)]
        # In their order, so that the upper end tells; and the last is where all others are.
        below = f"{_expression(dimension, region)} <= {_written(end, dimension, region)}"
        leads.append((below if number < len(ranges) else "", found[0].name if found else _NOWHERE))
        inner += found
    yield Part(name, leads)
    yield from inner


def _clipped(values: Range, within: Range) -> Range:
    return max(values[0], within[0]), min(values[1], within[1])


def _best_cuts(listed: list[_Met], region: _Region) -> tuple[int, str, list[Range]] | None:
    """How long the longest part is, the field, and the ranges of it by which that is shortest; None where none is worth it."""
    best: tuple[int, str, list[Range]] | None = None
    for dimension, at in _DIMENSIONS.items():
        whole = region.ranges[at]
        if region.number not in TRANSPORT if dimension == "port" else region.version is None:
            continue
        ranges, longest, together = _cuts([_clipped(one.ranges[at], whole) for one in listed], whole)
        worth = longest * 2 <= len(listed) and together * 2 <= len(listed) * 3
        if worth and (best is None or longest < best[0]):
            best = longest, dimension, ranges
    return best


def _cuts(matched: list[Range], whole: Range) -> tuple[list[Range], int, int]:
    """The whole in ranges of about equally many rules; how many the longest has, and all of them together."""
    starts, ends = sorted(first for first, _ in matched), sorted(last for _, last in matched)
    everywhere = sum(each == whole for each in matched)
    room = everywhere + max(SHORT // 2, (len(matched) - everywhere) // _PARTS)
    points = sorted({whole[0], *starts, *(last + 1 for last in ends if last < whole[1])})
    ranges: list[Range] = []
    begun, counts = points[0], []
    count = _active(starts, ends, begun)
    for point, after in zip(points, [*points[1:], whole[1] + 1], strict=True):
        more = _active(starts, ends, begun) + bisect_right(starts, after - 1) - bisect_right(starts, begun)
        if more > room and point > begun:
            ranges.append((begun, point - 1))
            counts.append(count)
            begun = point
            more = _active(starts, ends, begun) + bisect_right(starts, after - 1) - bisect_right(starts, begun)
        count = more
    ranges.append((begun, whole[1]))
    counts.append(count)
    return ranges, max(counts), sum(counts)


def _active(starts: list[int], ends: list[int], at: int) -> int:
    """How many of the ranges hold the value."""
    return bisect_right(starts, at) - bisect_left(ends, at)


def _expression(dimension: str, region: _Region) -> str:
    if dimension == "port" and region.number is not None:
        return f"{TRANSPORT[region.number]} dport"
    return f"{'ip' if region.version == 4 else 'ip6'} {'saddr' if dimension == 'source' else 'daddr'}"


def _written(value: int, dimension: str, region: _Region) -> str:
    return str(value) if dimension == "port" else address_text(region.version or 4, value)
