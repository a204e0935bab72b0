"""What was counted is told once, whatever comes in between."""

from pathlib import Path

import pytest

from securitygroups.agent import counting
from securitygroups.agent.counting import Counting
from securitygroups.firewall.nftables.counters import Counted, Hits
from tests.agent.conftest import KERNEL
from tests.agent.frames import udp_in
from tests.agent.stand import Stand, machine, rules

WEB, DNS, NONE = Counted("vm-1", "rule", "web"), Counted("vm-1", "rule", "dns"), Counted("vm-1", "in", "none")


@pytest.fixture
def counted(tmp_path: Path) -> Counting:
    made = Counting(tmp_path / "counted.json")
    made.begin({})
    return made


def test_only_what_has_grown_is_told_and_only_by_how_much(counted: Counting) -> None:
    assert counted.grown({WEB: Hits(5, 500), DNS: Hits(0, 0)}, "a") == [["vm-1", "rule", "web", 5, 500]]
    counted.told()

    assert counted.grown({WEB: Hits(7, 600), DNS: Hits(1, 60), NONE: Hits(2, 80)}, "a") == [
        ["vm-1", "rule", "web", 2, 100],
        ["vm-1", "rule", "dns", 1, 60],
        ["vm-1", "in", "none", 2, 80],
    ]


def test_what_was_not_answered_is_told_as_it_was_by_an_agent_that_starts_again(
    counted: Counting, tmp_path: Path
) -> None:
    counted.grown({WEB: Hits(2, 200)}, "a")
    counted.told()
    counted.grown({WEB: Hits(5, 500)}, "b")

    again = Counting(tmp_path / "counted.json")
    again.begin({WEB: Hits(9, 900)})

    assert again.unanswered() == ("b", [["vm-1", "rule", "web", 3, 300]])
    again.told()
    assert again.unanswered() is None
    assert again.grown({WEB: Hits(9, 900)}, "c") == [["vm-1", "rule", "web", 4, 400]]


def test_a_counter_that_was_made_anew_begins_from_nothing(counted: Counting) -> None:
    counted.grown({WEB: Hits(5, 500)}, "a")
    counted.told()

    assert counted.grown({WEB: Hits(2, 200)}, "a") == [["vm-1", "rule", "web", 2, 200]]
    counted.told()
    assert counted.grown({}, "a") == []
    counted.told()
    assert counted.grown({WEB: Hits(1, 100)}, "a") == [["vm-1", "rule", "web", 1, 100]]
    counted.told()
    assert counted.grown({WEB: Hits(0, 0)}, "a") == []
    counted.told()
    assert counted.grown({WEB: Hits(1, 100)}, "a") == [["vm-1", "rule", "web", 1, 100]]


def test_an_agent_that_starts_again_goes_on_where_it_was(counted: Counting, tmp_path: Path) -> None:
    counted.grown({WEB: Hits(5, 500)}, "a")
    counted.told()

    again = Counting(tmp_path / "counted.json")
    again.begin({WEB: Hits(6, 600)})

    assert again.grown({WEB: Hits(6, 600)}, "a") == [["vm-1", "rule", "web", 1, 100]]


def test_what_nobody_has_kept_is_not_told_as_if_it_were_new(tmp_path: Path) -> None:
    first = Counting(tmp_path / "counted.json")
    first.begin({WEB: Hits(5_000_000, 500)})

    assert first.grown({WEB: Hits(5_000_001, 600)}, "a") == [["vm-1", "rule", "web", 1, 100]]


def test_what_is_too_much_for_one_report_comes_with_the_next(
    counted: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "MOST", 2)
    now = {WEB: Hits(1, 10), DNS: Hits(2, 20), NONE: Hits(3, 30)}

    first = counted.grown(now, "a")
    counted.told()
    second = counted.grown(now, "a")
    counted.told()

    assert [row[3] for row in first + second] == [1, 2, 3]
    assert counted.grown(now, "a") == []


@KERNEL
def test_what_the_kernel_counts_comes_to_the_panel_once(stand: Stand) -> None:
    stand.say({("sg-dns", 1): rules("dns: accept in udp 53")}, machine("vm-1", "tap0", ("sg-dns", 1)))
    stand.once()
    stand.passes(*(udp_in(stand.target, port) for port in (53, 53, 53, 80)))

    stand.once()
    stand.once()

    told = [row[1:4] for report in stand.panel.reports for row in report["counters"]]
    assert [row for row in told if row[0] == "rule"] == [["rule", "dns", 3]]
    # A host that routes says something by itself now and then, which no rule matches either.
    assert sum(packets for *what, packets in told if what == ["in", "none"]) >= 1


@KERNEL
def test_counts_that_the_panel_does_not_take_are_not_in_the_way_of_those_to_come(stand: Stand) -> None:
    stand.say({("sg-dns", 1): rules("dns: accept in udp 53")}, machine("vm-1", "tap0", ("sg-dns", 1)))
    stand.once()
    stand.passes(*(udp_in(stand.target, 53) for _ in range(3)))

    stand.panel.odd = True
    words = stand.once(status=1)
    stand.panel.odd = False
    stand.passes(udp_in(stand.target, 53))
    stand.once()

    assert "refuses what this host tells: counters[0]" in words
    told = [row[2:4] for report in stand.panel.reports for row in report["counters"] if row[1] == "rule"]
    assert told == [["dns", 1]]
