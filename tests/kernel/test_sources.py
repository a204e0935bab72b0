"""Rules of other systems in the kernel, and our reading of them: nothing passes ours that the source drops."""

from collections.abc import Iterator
from contextlib import suppress
from random import Random

import pytest

from securitygroups.firewall.formats import chains
from securitygroups.firewall.formats.spans import Match
from securitygroups.firewall.platform import Target
from tests.firewall.formats.host_samples import IPTABLES, NFT
from tests.kernel import sources
from tests.kernel.conftest import KERNEL
from tests.kernel.host import Failed, Host, NotHere, say, skip

pytestmark = KERNEL

SOURCES = 4
SAMPLES = [("iptables", name) for name in IPTABLES] + [("nft", name) for name in NFT]


@pytest.fixture(scope="module")
def source() -> Iterator[Host]:
    """A machine of its own that the source's rules are loaded into."""
    try:
        with sources.machine() as made:
            made.run("iptables --version")
            yield made
    except (NotHere, Failed) as reason:
        skip(f"no machine for rules of other systems: {reason}", needed=True)


@pytest.fixture
def ours(target: Target, host: Host) -> Host:
    if target is not Target.INET:
        pytest.skip("packets of a routed tap are IP, as those that a machine of its own gets")
    return host


@pytest.mark.parametrize("seed", range(SOURCES))
@pytest.mark.parametrize("system", sources.LOADERS)
def test_random_rules_let_nothing_through_that_the_source_drops(
    source: Host, ours: Host, system: str, seed: int
) -> None:
    random, seen = Random(seed), sources.Seen()

    faults = sources.compare(source, ours, (system, sources.LOADERS[system][1](random)), random, seen)

    say(str(seen))
    assert not faults[:5]
    assert seen.packets > 500


@pytest.mark.parametrize(("system", "name"), SAMPLES)
def test_rules_as_they_are_met_let_nothing_through_that_the_source_drops(
    source: Host, ours: Host, system: str, name: str
) -> None:
    text = {"iptables": IPTABLES, "nft": NFT}[system][name]
    seen = sources.Seen()

    faults = sources.compare(source, ours, (system, text), Random(1), seen)

    say(str(seen))
    assert not faults[:5]
    assert seen.ours > 0


def nothing_is_taken_out(self: Match, other: Match) -> list[Match]:
    return [self]


def an_accept_is_final(walk: chains._Walk, place: int, match: Match, last: chains.Step | None) -> None:
    real(walk, place if last is None else len(walk.path), match, last)


real = chains._Walk.pass_on


@pytest.mark.parametrize("fault", ["returns", "several chains"])
def test_a_reading_with_a_fault_is_found_out(source: Host, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison above is worth something."""
    if fault == "returns":
        monkeypatch.setattr(Match, "minus", nothing_is_taken_out)
    else:
        monkeypatch.setattr(chains._Walk, "pass_on", an_accept_is_final)
    random, faults = Random(5), list[str]()
    for _ in range(60):
        text = sources.LOADERS["nft"][1](random)
        with suppress(Failed):
            found = sources.compare(source, None, ("nft", text), random, sources.Seen(), sources.FEW)
            faults += [fault for fault in found if "ours alone" in fault]
        if faults:
            break

    assert faults
