"""Findings as pages show them: analysed once for equal lists, worded when asked for, the same in panel and admin."""

from random import Random
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from securitygroups.answers import findings
from securitygroups.answers.findings import findings_of
from securitygroups.answers.on_machine import findings_on
from securitygroups.effective import placed
from securitygroups.firewall.analysis.findings import RuleFindings
from securitygroups.firewall.analysis.findings import findings as fresh
from securitygroups.firewall.protocols import Action
from securitygroups.firewall.values import Rule
from securitygroups.models import Project
from securitygroups.words.findings import remarks
from tests.factories import make_group, ports, rule
from tests.firewall.strategies import random_list

HIDDEN = (rule("accept in tcp 22", uid="a" * 12), rule("drop in tcp 22 from 10.0.0.0/8", uid="b" * 12))


@pytest.fixture
def analysed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the lists that were analysed, none remembered from before."""
    seen: list[int] = []
    real = findings._analyse

    def analyse(rules: Any) -> Any:
        seen.append(len(rules))
        return real(rules)

    monkeypatch.setattr(findings, "_analyse", analyse)
    monkeypatch.setattr(findings, "_remembered", findings._Remembered(10))
    return seen


def test_equal_lists_are_analysed_once_whatever_their_rules_are_called(analysed: list[int]) -> None:
    other = (rule("accept in tcp 22", uid="c" * 12), rule("drop in tcp 22 from 10.0.0.0/8", uid="d" * 12))
    assert findings_of(1, HIDDEN).notes.get(2) == findings_of(1, other).notes.get(2)
    assert analysed == [2]
    findings_of(1, HIDDEN[::-1])
    assert analysed == [2, 2]


def test_another_project_s_equal_list_is_analysed_anew(analysed: list[int]) -> None:
    findings_of(1, HIDDEN)
    findings_of(2, HIDDEN)
    assert analysed == [2, 2]


def test_what_is_remembered_is_bounded_by_rules(analysed: list[int]) -> None:
    findings_of(1, HIDDEN)
    findings_of(1, ports(*range(1, 10)))
    findings_of(1, HIDDEN)
    assert analysed == [2, 9, 2], "11 rules do not fit, so what was asked about first is forgotten"
    findings_of(1, ports(*range(1, 12)))
    findings_of(1, ports(*range(1, 12)))
    assert analysed[3:] == [11, 11], "a list that does not fit at all is not kept"


def test_what_is_remembered_is_bounded_by_what_covers_what_too(analysed: list[int]) -> None:
    """A hostile list has few rules, each covered by all before it."""
    hidden = (*HIDDEN, *(rule(f"drop in tcp 22 from 10.0.0.{n}") for n in range(6)))
    findings_of(1, hidden)
    findings_of(1, hidden)
    assert analysed == [8, 8], "8 rules, of which 7 are covered by others, are more than 10"


def test_a_rule_s_notes_name_what_hides_it_and_what_mends_it() -> None:
    shown = findings_of(1, HIDDEN, lambda place: f"web, rule {place}")
    assert (shown.remarkable, shown.dead, shown.loud) == (True, 1, 1)
    dead, *fixes = shown.notes.get(2)
    assert dead.text == "No packet reaches this rule: web, rule 1 takes all of it, and accepts it."
    assert dead.covers == (1,)
    assert [note.fix for note in fixes] == ["remove", "up"]


def test_a_list_that_repeats_the_default_is_plain_in_the_panel_and_the_admin(
    as_alice: Client, as_admin: Client, project: Project
) -> None:
    """A drop at the end only says in writing what happens anyway."""
    plain = make_group(project, "plain", ["accept in tcp 443 from 10.0.0.0/8", "drop in all"])
    assert not findings_of(1, HIDDEN[:0]).remarkable
    assert b"changes nothing" not in as_alice.get(plain.get_absolute_url()).content
    chosen = {"action": "recheck", "_selected_action": plain.pk}
    page = as_admin.post("/admin/securitygroups/securitygroup/", chosen, follow=True).content.decode()
    # Django begins a message with a capital.
    assert f"Plain ({plain.public_id}): Nothing to remark." in page


def said_of(one: RuleFindings) -> list[str]:
    """What a page says of a rule, without what mends it."""
    quiet = {"open", "correlated", "generalisation", "behind-all"}
    plain_drop = one.rule.action is Action.DROP and one.dead is None
    return [
        remark.text
        for remark in (remarks(one) if one.rule.enabled else ())
        if remark.kind not in quiet and not (plain_drop and remark.kind == "removable")
    ]


def counts(one: RuleFindings) -> tuple[int, int, int]:
    """Of the rules that it overlaps."""
    return one.correlated or 0, one.overlaps, one.generalises or 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(20))
def test_what_is_kept_says_what_a_fresh_analysis_does(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "LONG", 0)
    rules = tuple(random_list(Random(seed)))
    real = fresh(rules)
    shown = []
    for _ in range(2):
        monkeypatch.setattr(findings, "_remembered", findings._Remembered(1_000))
        shown.append(findings_of(1, rules))
    new, kept = shown

    assert kept == new
    assert [
        [note.text for note in kept.notes.get(place) if note.kind != "fix"] for place in range(1, len(rules) + 1)
    ] == [said_of(one) for one in real.rules]
    assert (kept.dead, kept.notes.analysis.found.too_fine) == (len(real.dead), real.too_fine)
    told = kept.notes.analysis.found.rules
    assert [counts(one) for one in told] == [counts(one) for one in real.rules]


LONG_LIST = (*HIDDEN, *ports(*range(1, findings.LONG)))


@pytest.mark.django_db(transaction=True)
def test_a_long_list_is_analysed_once_for_all_processes(
    project: Project, analysed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    group = make_group(project, "long", ports(443))

    def asked(rules: tuple[Rule, ...], project: int = 1) -> None:
        """The process has too little room to remember any of it, as after a restart."""
        findings_on(project, placed(group, rules))

    asked(LONG_LIST)
    asked(LONG_LIST)
    assert analysed == [len(LONG_LIST)]
    asked(LONG_LIST, project=2)
    asked(LONG_LIST[::-1])
    assert analysed[1:] == [len(LONG_LIST)] * 2
    with CaptureQueriesContext(connection) as queries:
        asked(LONG_LIST[: findings.LONG])
    assert not queries, "it is analysed as soon as asked for"
