"""Findings as pages show them: analysed once for equal lists, worded when asked for, the same in panel and admin."""

from typing import Any

import pytest
from django.test import Client

from securitygroups.answers import findings
from securitygroups.answers.findings import findings_of
from securitygroups.models import Project
from tests.factories import make_group, ports, rule

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
    assert findings_of(HIDDEN).notes.get(2) == findings_of(other).notes.get(2)
    assert analysed == [2]
    findings_of(HIDDEN[::-1])
    assert analysed == [2, 2]


def test_what_is_remembered_is_bounded_by_rules(analysed: list[int]) -> None:
    findings_of(HIDDEN)
    findings_of(ports(*range(1, 10)))
    findings_of(HIDDEN)
    assert analysed == [2, 9, 2], "11 rules do not fit, so what was asked about first is forgotten"
    findings_of(ports(*range(1, 12)))
    findings_of(ports(*range(1, 12)))
    assert analysed[3:] == [11, 11], "a list that does not fit at all is not kept"


def test_what_is_remembered_is_bounded_by_what_covers_what_too(analysed: list[int]) -> None:
    """A hostile list has few rules, each covered by all before it."""
    hidden = (*HIDDEN, *(rule(f"drop in tcp 22 from 10.0.0.{n}") for n in range(6)))
    findings_of(hidden)
    findings_of(hidden)
    assert analysed == [8, 8], "8 rules, of which 7 are covered by others, are more than 10"


def test_a_rule_s_notes_name_what_hides_it_and_what_mends_it() -> None:
    shown = findings_of(HIDDEN, lambda place: f"web, rule {place}")
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
    assert not findings_of(HIDDEN[:0]).remarkable
    assert b"changes nothing" not in as_alice.get(plain.get_absolute_url()).content
    chosen = {"action": "recheck", "_selected_action": plain.pk}
    page = as_admin.post("/admin/securitygroups/securitygroup/", chosen, follow=True).content.decode()
    # Django begins a message with a capital.
    assert f"Plain ({plain.public_id}): Nothing to remark." in page
