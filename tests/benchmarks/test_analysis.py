"""Trace, dead rules and difference against their nearest Python peers, in the same run, in processor time.

`python -m pytest tests/benchmarks/test_analysis.py -o addopts="" -s` with the bench requirements installed. Both sides
get the same rules, already read; the peers do less: aclcheck gives a verdict without reasons, the shade check looks at
pairs of terms only.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import pytest

from securitygroups.firewall.analysis.difference import difference
from securitygroups.firewall.analysis.findings import dead_rules, findings
from securitygroups.firewall.analysis.internet import internet_exposure
from securitygroups.firewall.analysis.reach import Endpoint, matrix
from securitygroups.firewall.decide import decide
from securitygroups.firewall.notation import rule
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Network, Packet, Rule, address_text
from tests.benchmarks.conftest import Ratio
from tests.firewall.strategies import crossing_strips, mixed, random_list, tight

Rules = tuple[Rule, ...]
LIMIT = 2.0
"""Seconds that no list may take."""
NUMBERS = {6: "tcp", 17: "udp"}


def fastest(work: Callable[[], object], repeats: int) -> float:
    """Seconds of processor time of the fastest run: the others were disturbed."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def inbound(random: Random, size: int) -> Rules:
    """TCP and UDP rules of one direction, for the peers know neither directions nor rules of every protocol."""
    found: list[Rule] = []
    while len(found) < size:
        found += [r for r in tight(random, size) if r.direction is Direction.IN and r.protocol in {"tcp", "udp"}]
    return tuple(found[:size])


def with_unions(rules: Rules) -> Rules:
    """The list with every 25th rule split in halves of its addresses, and itself at the end: dead by the two together."""
    split = []
    for place, one in enumerate(rules):
        source = one.source
        assert source is not None
        if place % 25 or source.first == source.last:
            split.append(one)
            continue
        middle = (source.first + source.last + 1) // 2
        split += [replace(one, source=Network(source.version, at, source.prefix + 1)) for at in (source.first, middle)]
        split.append(one)
    return tuple(split[: len(rules)])


def packets(random: Random, rules: Rules, amount: int) -> list[Packet]:
    """Half of them decided by a rule somewhere in the list, half by none."""
    found = []
    for turn in range(amount):
        chosen = random.choice(rules)
        assert chosen.source is not None
        source = chosen.source.last if turn % 2 else 0xC0000201 + turn
        version = chosen.source.version if turn % 2 else 4
        number = 6 if chosen.protocol == "tcp" else 17
        port = chosen.port_start if chosen.port_start is not None else 9
        found.append(Packet(Direction.IN, version, number, source, 0x0A000001, port))
    return found


def aerleon_policy(rules: Rules) -> object:
    """The list as an aerleon policy, its terms translated."""
    naming = pytest.importorskip("aerleon.lib.naming")
    policy = pytest.importorskip("aerleon.lib.policy")
    logging.getLogger().setLevel(logging.ERROR)
    names = naming.Naming()
    terms = []
    for place, one in enumerate(rules):
        names.ParseNetworkList([f"N{place} = {one.source}"])
        lines = [f"source-address:: N{place}", f"protocol:: {one.protocol}"]
        if one.port_start is not None:
            names.ParseServiceList([f"S{place} = {one.port_start}-{one.port_end}/{one.protocol}"])
            lines.append(f"destination-port:: S{place}")
        lines.append(f"action:: {'accept' if one.action is Action.ACCEPT else 'deny'}")
        terms.append(f"term t{place} {{\n  " + "\n  ".join(lines) + "\n}")
    text = "header {\n  target:: juniper bench mixed\n}\n" + "\n".join(terms)
    parsed: object = policy.ParsePolicy(text, names, optimize=False)
    return parsed


def fwshift_policy(rules: Rules) -> object:
    """The list as fwshift's neutral model, read from an nftables ruleset."""
    nftables = pytest.importorskip("fwshift.parsers.nftables")
    report = pytest.importorskip("fwshift.report")
    lines = []
    for one in rules:
        assert one.source is not None
        family = "ip" if one.source.version == 4 else "ip6"
        ports = "" if one.port_start is None else f" {one.protocol} dport {one.port_start}-{one.port_end}"
        match = ports or f" meta l4proto {one.protocol}"
        lines.append(f"{family} saddr {one.source}{match} {one.action.value}")
    body = "\n    ".join(lines)
    chain = f"chain forward {{\n    type filter hook forward priority 0; policy drop;\n    {body}\n  }}"
    parsed: object = nftables.parse(f"table inet bench {{\n  {chain}\n}}\n".encode(), report.Report())
    return parsed


def test_trace(ratio: Ratio) -> None:
    """A full trace with every condition of every rule, against a verdict."""
    aclcheck = pytest.importorskip("aerleon.lib.aclcheck")
    random = Random(1)
    rules = inbound(random, 1000)
    policy = aerleon_policy(rules)
    tried = packets(random, rules, 60)

    def theirs() -> None:
        for p in tried:
            assert p.version is not None
            assert p.source is not None
            source = address_text(p.version, p.source)
            aclcheck.AclCheck(policy, source, "any", "any", str(p.port), NUMBERS[p.protocol or 6])

    def ours() -> None:
        for p in tried:
            decide(rules, p)

    ratio("full trace, 1,000 rules, against aerleon aclcheck (60 packets)", fastest(ours, 5), fastest(theirs, 2), 5)


@pytest.mark.parametrize(("size", "target"), [(1000, 25), (3000, 100)])
def test_dead_rules(ratio: Ratio, size: int, target: int) -> None:
    """Exact with unions, against pairs."""
    random = Random(2)
    rules = with_unions(inbound(random, size))
    policy = aerleon_policy(rules)
    terms = policy.filters[0][1]  # type: ignore[attr-defined]
    found = dead_rules(rules)
    theirs = fastest(lambda: policy._DetectShading(terms), 1)  # type: ignore[attr-defined]
    pairs = {b for b in range(len(terms)) if any(terms[b] in terms[a] for a in range(b))} if size <= 1000 else set()
    missed = {place - 1 for place in found} - pairs
    unions = f", {len(missed)} of {len(found)} only by unions" if pairs else ""
    assert pairs <= {place - 1 for place in found}
    ratio(
        f"dead rules, {size:,} rules, against aerleon's shade check{unions}",
        fastest(lambda: dead_rules(rules), 5),
        theirs,
        target,
    )


def test_difference(ratio: Ratio) -> None:
    """One rule on top of a thousand: every product, against every region."""
    compare = pytest.importorskip("fwshift.compare")
    random = Random(3)
    rules = inbound(random, 1000)
    top = Rule(Action.DROP, Direction.IN, "tcp", Network(4, 0, 0), None, 22, 22)
    old, new = fwshift_policy(rules), fwshift_policy((top, *rules))
    assert difference(rules, (top, *rules)).newly_denied
    theirs = fastest(lambda: compare.compare(old, new), 1)
    ours = fastest(lambda: difference(rules, (top, *rules)), 9)
    ratio("difference after one inserted rule, 1,000 rules, against fwshift compare", ours, theirs, 100)


def nested(size: int) -> Rules:
    """Port ranges inside port ranges from two halves of the world, over crossing strips: all overlap all."""
    half = (Network(4, 0, 1), Network(4, 1 << 31, 1))
    ranges = (
        Rule(tuple(Action)[i % 2], Direction.IN, "tcp", half[i % 3 % 2], None, 3 * i % 7000, 65535 - i)
        for i in range(size // 2)
    )
    return (*ranges, *crossing_strips(size // 2))


def planes(size: int) -> Rules:
    """Sources crossing destinations crossing ports: three axes, the most cells a list of this length can have."""
    third = size // 3
    hosts = (Rule(Action.DROP, Direction.IN, "ip", Network(4, (10 << 24) + 2 * i, 32)) for i in range(third))
    to = (Rule(Action.DROP, Direction.IN, "ip", None, Network(4, (10 << 24) + 2 * i, 32)) for i in range(third))
    ports = (Rule(Action.DROP, Direction.IN, "tcp", None, None, 2 * i, 2 * i) for i in range(third))
    return (*hosts, *to, *ports)


WORST: Sequence[tuple[str, Rules]] = (
    ("crossing strips, 1,000", crossing_strips(1000)),
    ("crossing strips, 16,000", crossing_strips(16_000)),
    ("three crossing planes, 1,000", planes(1000)),
    ("nested ranges, 2,000", nested(2000)),
    ("tight, 1,000", tight(Random(5), 1000)),
    ("tight, 16,000", tight(Random(5), 16_000)),
    ("mixed, 16,000", mixed(Random(6), 16_000)),
)


@pytest.mark.parametrize(("name", "rules"), WORST, ids=[name for name, _ in WORST])
def test_no_list_takes_long(ratio: Ratio, name: str, rules: Rules) -> None:
    """Findings, the list turned round, and an Accept IP at the end: each within the limit."""
    new = (*rules, rule("accept in ip"))
    works: tuple[tuple[str, Callable[[], object]], ...] = (
        ("findings", lambda: findings(new)),
        ("appended Accept IP", lambda: difference(rules, new)),
        ("turned round", lambda: difference(rules, rules[::-1])),
    )
    for what, work in works:
        ratio(f"{what}: {name}, against the limit", fastest(work, 1), LIMIT, 1)


def wide(random: Random, size: int) -> Rules:
    """A realistic list in which one rule of sixteen is for every source."""
    return tuple(replace(one, source=None) if random.random() < 1 / 16 else one for one in tight(random, size))


def test_exposure(ratio: Ratio) -> None:
    """A thousand VMs that share fifty effective lists."""
    random = Random(9)
    sequences = [random_list(random, 60) for _ in range(50)]
    machines = [Endpoint(at, random.randrange(50), (10 << 24) + at * 3, 1 << 100 | at) for at in range(1000)]
    ratio("1,000 × 1,000 VM matrix, against 1 s", fastest(lambda: matrix(sequences, machines, 6, 22), 2), 1, 1)
    lists = [[rules] for rules in sequences]
    ratio("internet exposure of 1,000 VMs, against 1 s", fastest(lambda: internet_exposure(lists, machines), 2), 1, 1)


def test_exposure_at_the_limit(ratio: Ratio) -> None:
    """Ten thousand VMs in a thousand sequences of one to four of two hundred groups, of thirty rules."""
    random = Random(10)
    groups = [wide(random, 30) for _ in range(200)]
    sequences = [random.sample(groups, random.randint(1, 4)) for _ in range(1000)]
    machines = [Endpoint(at, at % 1000, (10 << 24) + at, (1 << 100) + at) for at in range(10_000)]
    took = fastest(lambda: internet_exposure(sequences, machines), 3)
    ratio("internet exposure of 10,000 VMs in 1,000 sequences, against 1 s", took, 1, 1)
