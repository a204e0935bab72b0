"""A group's rules: the list, add, edit, move, switch, delete, undo; refused rules, previews, conflicts, double clicks."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from securitygroups import operations
from securitygroups.firewall import lists
from securitygroups.models import Project, SecurityGroup, User, VirtualMachine, values
from securitygroups.operations import By
from tests.factories import make_group, ports, rule
from tests.web.pages import HTMX, Page, messages, part_and_page, say_yes

REFUSED = [
    json.loads(line) for line in (Path(__file__).parents[1] / "cases" / "refused.jsonl").read_text().splitlines()
]
TCP = {"action": "accept", "direction": "in", "protocol": "tcp", "enabled": "on", "place": "1", "base": "1"}


@pytest.fixture
def four(project: Project) -> SecurityGroup:
    """A group on no VM: TCP 1, 2, 3, 4."""
    return make_group(project, "four", ports(1, 2, 3, 4))


def list_of(group: SecurityGroup) -> list[int | None]:
    """The first port of each rule, in order."""
    return list(group.rules.in_order().values_list("port_start", flat=True))


def uid(group: SecurityGroup, place: int) -> str:
    return str(group.rules.get(position=place).uid)


def url(group: SecurityGroup, rest: str = "") -> str:
    return f"{group.get_absolute_url()}rules/{rest}"


def revision(group: SecurityGroup) -> int:
    return SecurityGroup.objects.get(pk=group.pk).revision


def somebody_else_changes(group: SecurityGroup, erin: User) -> None:
    """erin takes the last rule away while alice looks at the page."""
    now = values(list(group.rules.in_order()))
    operations.commit_rules(group=group, rules=lists.remove(now, [len(now)]), base=group.revision, by=By(erin))


def somebody_else_rewords(group: SecurityGroup, erin: User) -> None:
    """erin gives the first rule another description."""
    now = values(list(group.rules.in_order()))
    changed = lists.change(now, 1, replace(now[0], description="Erin's"))
    operations.commit_rules(group=group, rules=changed, base=group.revision, by=By(erin))


# ── The list ──────────────────────────────────────────────────────────────────


def test_the_list_reads_as_it_is_tried(as_bob: Client, machine: VirtualMachine) -> None:
    group = SecurityGroup.objects.get(name="web")
    part, page = part_and_page(as_bob, group.get_absolute_url())
    for shown in (part, page):
        assert "1 Drop In IP – 192.0.2.66/32 any Abuse" in shown.text
        assert "2 Accept In TCP 443 HTTPS Anywhere – Public HTTPS" in shown.text
        assert "5 of at most 1,000 rules" in shown.text
    assert part.ids[0] == "rules"
    assert url(group, "new/") not in as_bob.get(group.get_absolute_url()).content.decode()


def test_a_group_without_rules_says_what_that_means(as_alice: Client, project: Project) -> None:
    assert "No rules: everything is denied" in Page(as_alice.get(make_group(project).get_absolute_url())).text


def test_rules_are_found_by_port_address_and_word(as_bob: Client, group: SecurityGroup) -> None:
    for query, found in (
        ("443", "Public HTTPS"),
        ("203.0.113.9", "Office SSH"),
        ("abuse", "Abuse"),
        ("off", "Not yet"),
    ):
        assert found in Page(as_bob.get(group.get_absolute_url(), {"q": query})).text
    assert "No rule matches “nonsense”" in Page(as_bob.get(group.get_absolute_url(), {"q": "nonsense"})).text


# ── Add and edit ──────────────────────────────────────────────────────────────


def test_adding_a_rule_shows_what_it_changes_and_then_does_it(as_erin: Client, machine: VirtualMachine) -> None:
    group = SecurityGroup.objects.get(name="web")
    form = Page(as_erin.get(url(group, "new/"))).form_with("protocol")
    asked = form.send(as_erin, protocol="tcp", port_start="8443", source="198.51.100.0/24", description="Partner")
    text = Page(asked).text
    assert "On 1 virtual machine web-1" in text
    assert "198.51.100.0/24" in text
    assert revision(group) == 1, "a question is no answer"
    done = say_yes(as_erin, asked)
    new = group.rules.get(port_start=8443)
    assert done["Location"] == f"{group.get_absolute_url()}#rule-{new.uid}"
    assert (new.position, str(new.source), new.port_end, new.description) == (5, "198.51.100.0/24", 8443, "Partner")
    assert revision(group) == 2


def test_the_place_of_a_new_rule_is_proposed_above_the_last_all_rule(as_alice: Client, project: Project) -> None:
    group = make_group(project, "g", ["accept in tcp 22", "drop in all", "drop out all"])
    page = Page(as_alice.get(url(group, "new/")))
    assert page.form_with("place").fields["place"] == ["2"]
    assert "Proposed above the All rules at the end" in page.text


def test_insert_here(as_alice: Client, four: SecurityGroup) -> None:
    form = Page(as_alice.get(url(four, "new/?place=2"))).form_with("place")
    assert form.fields["place"] == ["2"]
    say_yes(as_alice, form.send(as_alice, port_start="9"))
    assert list_of(four) == [1, 9, 2, 3, 4]


@pytest.mark.parametrize("place", ["0", "-1", "7", "x", "", "9" * 5000, "0" * 5000 + "1", "²", "\u0663"])
def test_a_place_that_is_none_is_not_taken_from_the_address(place: str, as_alice: Client, four: SecurityGroup) -> None:
    form = Page(as_alice.get(url(four, "new/"), {"place": place})).form_with("place")
    assert form.fields["place"] == ["5"]


@pytest.mark.parametrize("place", ["0", "-1", "6", "x", "", "9" * 5000])
def test_a_place_outside_the_list_is_told_at_its_field(place: str, as_alice: Client, four: SecurityGroup) -> None:
    response = as_alice.post(url(four, "new/"), TCP | {"place": place, "port_start": "9"})
    assert response.status_code == 422
    assert "place" in Page(response).errors
    assert list_of(four) == [1, 2, 3, 4]


def test_editing_a_rule_keeps_its_identity_and_place(as_alice: Client, four: SecurityGroup) -> None:
    before = uid(four, 3)
    form = Page(as_alice.get(url(four, f"{before}/"))).form_with("protocol")
    assert form.fields["port_start"] == ["3"]
    say_yes(as_alice, form.send(as_alice, port_start="33", port_end="34", description="New"))
    edited = four.rules.get(position=3)
    assert (edited.uid, edited.port_start, edited.port_end, edited.description) == (before, 33, 34, "New")


def test_saving_without_a_change_writes_nothing(as_alice: Client, four: SecurityGroup) -> None:
    response = Page(as_alice.get(url(four, f"{uid(four, 1)}/"))).form_with("protocol").send(as_alice)
    assert response.status_code == 302
    assert "Nothing was changed." in messages(as_alice)
    assert revision(four) == 1


def test_a_description_changes_no_traffic_and_needs_no_question(as_alice: Client, four: SecurityGroup) -> None:
    form = Page(as_alice.get(url(four, f"{uid(four, 1)}/"))).form_with("protocol")
    assert form.send(as_alice, description="Words", reason="tidy  up").status_code == 302
    assert four.revisions.get(number=2).reason == "tidy up"


def test_a_change_of_the_protocol_clears_what_it_lacks(as_alice: Client, project: Project) -> None:
    group = make_group(project, "g", ["accept in tcp 22 from 10.0.0.0/8"])
    response = as_alice.post(url(group, f"{uid(group, 1)}/"), TCP | {"protocol": "all", "source": "10.0.0.0/8"})
    say_yes(as_alice, response)
    row = group.rules.get()
    assert (row.protocol, row.source, row.port_start, row.port_end) == ("all", None, None, None)


def test_the_quota_of_rules_is_told_and_kept(as_alice: Client, four: SecurityGroup) -> None:
    Project.objects.update(max_rules=4)
    response = as_alice.post(url(four, "new/"), TCP | {"port_start": "9"}, follow=True)
    assert "can have 4 rules, this would be 5" in response.content.decode()
    assert list_of(four) == [1, 2, 3, 4]


# ── Refused rules ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["why"][:40])
def test_a_refused_rule_cannot_get_in_by_the_form(case: dict[str, Any], as_alice: Client, four: SecurityGroup) -> None:
    """What the protocol lacks is not even read, so that nothing stale gets in; all else is refused with what to type."""
    sent = TCP | {name: str(value) for name, value in case["rule"].items() if value is not None and name != "enabled"}
    response = as_alice.post(url(four, "new/"), sent)
    if "rules have no" in case["why"]:
        say_yes(as_alice, response)
        added = four.rules.get(position=1).as_value()
        assert not added.problems()
        assert added.destination is None
        return
    page = Page(response)
    assert response.status_code == 422
    assert len(page.errors) == 1
    assert "ype" in str(page.errors) or "Did you mean" in str(page.errors), "it says what to type instead"
    for name in ("source", "port_start", "port_end"):
        if name in sent:
            assert page.form_with("protocol").fields[name] == [sent[name]], "what was typed stays"
    assert revision(four) == 1


@pytest.mark.parametrize(
    ("typed", "button", "kept"),
    [
        ({"source": "10.0.0.5/24"}, "source=10.0.0.5/32", {"source": "10.0.0.5/32"}),
        ({"source": "10.0.0.5/24"}, "source=10.0.0.0/24", {"source": "10.0.0.0/24"}),
        ({"source": "010.0.0.1"}, "source=10.0.0.1", {"source": "10.0.0.1"}),
        ({"port_start": "443", "port_end": "80"}, "port_end=80-443", {"port_start": "80", "port_end": "443"}),
    ],
)
def test_a_suggestion_is_one_click_away_without_script(
    typed: dict[str, str], button: str, kept: dict[str, str], as_alice: Client, four: SecurityGroup
) -> None:
    refused = as_alice.post(url(four, "new/"), TCP | {"port_start": "22", "description": "Kept"} | typed)
    assert f'name="suggest" value="{button}"' in refused.content.decode()
    form = Page(refused).form_with("protocol")
    taken = form.send(as_alice, suggest=button)
    assert taken.status_code == 200
    again = Page(taken).form_with("protocol")
    assert {name: again.fields[name][0] for name in kept} == kept
    assert again.fields["description"] == ["Kept"]
    assert revision(four) == 1
    say_yes(as_alice, again.send(as_alice))
    assert revision(four) == 2


@pytest.mark.parametrize(
    "button", ["", "=", "x", "base=9", "csrfmiddlewaretoken=x", "position=3", "port_end=1-2-3", "uid=0"]
)
def test_a_forged_suggestion_does_nothing(button: str, as_alice: Client, four: SecurityGroup) -> None:
    response = as_alice.post(url(four, "new/"), TCP | {"suggest": button})
    assert response.status_code == 200
    assert Page(response).form_with("protocol").fields["base"] == ["1"]
    assert revision(four) == 1


# ── The fields follow the protocol ────────────────────────────────────────────


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "part"])
def test_another_protocol_swaps_the_fields_and_keeps_what_was_typed(
    headers: dict[str, str], as_alice: Client, four: SecurityGroup
) -> None:
    typed = TCP | {"source": "10.0.0.0/8", "port_start": "22", "description": "Kept", "place": "3", "update": "1"}
    page = Page(as_alice.post(url(four, "new/"), typed | {"protocol": "ip"}, headers=headers))
    assert "id_destination" in page.ids
    assert "id_port_start" not in page.ids
    assert not page.errors, "re-drawing is not checking"
    content = as_alice.post(url(four, "new/"), typed | {"protocol": "all"}, headers=headers).content.decode()
    assert 'id="id_source"' not in content
    assert 'value="Kept"' in content
    assert 'value="3"' in content
    assert content.startswith("<div" if headers else "<!DOCTYPE")
    back = as_alice.post(url(four, "new/"), typed, headers=headers).content.decode()
    assert 'value="10.0.0.0/8"' in back
    assert 'value="22"' in back
    assert revision(four) == 1


@pytest.mark.parametrize("protocol", ["gre", "TCP", "", "<script>", "x" * 10_000])
def test_an_unknown_protocol_is_refused_in_words(protocol: str, as_alice: Client, four: SecurityGroup) -> None:
    response = as_alice.post(url(four, "new/"), TCP | {"protocol": protocol, "port_start": "22"})
    assert response.status_code == 422
    assert b"<script>" not in response.content
    redrawn = as_alice.post(url(four, "new/"), TCP | {"protocol": protocol, "update": "1"})
    assert redrawn.status_code == 200
    assert revision(four) == 1


# ── Hostile input ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "sent",
    [
        {"port_start": "9" * 30},
        {"port_start": "9" * 5000},
        {"port_start": "-1"},
        {"port_start": "22.5"},
        {"port_start": "1e3"},
        {"port_start": "65536"},
        {"port_end": "22"},
        {"source": "x" * 10_000},
        {"source": "10.0.0.0/" + "9" * 50},
        {"source": "::ffff:10.0.0.1"},
        {"source": "fe80::1%eth0"},
        {"action": "allow"},
        {"action": ""},
        {"direction": "both"},
        {"description": "two\nlines"},
        {"description": "\u202eback"},
        {"description": "x" * 256},
    ],
    ids=lambda sent: f"{next(iter(sent))}={next(iter(sent.values()))[:12]!r}",
)
def test_what_is_no_rule_is_told_at_a_field(sent: dict[str, str], as_alice: Client, four: SecurityGroup) -> None:
    for address in (url(four, "new/"), url(four, f"{uid(four, 1)}/")):
        response = as_alice.post(address, TCP | sent)
        assert response.status_code == 422
        assert "There is a problem" in Page(response).text
    assert revision(four) == 1


def test_a_form_with_nothing_in_it_is_told_what_is_missing(as_alice: Client, four: SecurityGroup) -> None:
    for address in (url(four, "new/"), url(four, f"{uid(four, 1)}/"), url(four, f"{uid(four, 1)}/move/")):
        response = as_alice.post(address, {})
        assert response.status_code == 422
        assert "There is a problem" in Page(response).text
    assert revision(four) == 1


@pytest.mark.parametrize("base", ["", "0", "2", "-1", "x", "²", "1.0", "9" * 9, "9" * 5000, "0x1", "1 OR 1=1"])
def test_a_base_that_is_not_the_newest_revision_is_a_conflict(base: str, as_alice: Client, four: SecurityGroup) -> None:
    one = uid(four, 1)
    for rest, more in (
        ("new/", TCP | {"port_start": "9"}),
        (f"{one}/", TCP | {"port_start": "9"}),
        (f"{one}/down/", {}),
        (f"{one}/off/", {}),
        (f"{one}/move/", {"position": 3}),
        (f"{one}/delete/", {}),
        ("drop/", {"rule": one, "position": 3}),
    ):
        response = as_alice.post(url(four, rest), more | {"base": base})
        assert response.status_code == 409, rest
        assert "Nothing was written." in Page(response).text
    assert list_of(four) == [1, 2, 3, 4]
    assert revision(four) == 1


# ── Order ─────────────────────────────────────────────────────────────────────


def test_up_and_down_without_script(as_alice: Client, four: SecurityGroup) -> None:
    response = as_alice.post(url(four, f"{uid(four, 2)}/up/"), {"base": 1})
    assert response["Location"] == f"{four.get_absolute_url()}#rule-{uid(four, 1)}"
    assert list_of(four) == [2, 1, 3, 4]
    assert "Rule 2 moved to 1 of 4." in messages(as_alice)
    as_alice.post(url(four, f"{uid(four, 2)}/down/"), {"base": 2})
    assert list_of(four) == [2, 3, 1, 4]


def test_at_the_ends_up_and_down_do_nothing(as_alice: Client, four: SecurityGroup) -> None:
    for place, do in ((1, "up"), (4, "down")):
        assert as_alice.post(url(four, f"{uid(four, place)}/{do}/"), {"base": 1}).status_code == 302
    assert (list_of(four), revision(four)) == ([1, 2, 3, 4], 1)


def test_up_by_htmx_gives_the_list_and_the_message(as_alice: Client, four: SecurityGroup) -> None:
    response = as_alice.post(url(four, f"{uid(four, 2)}/up/"), {"base": 1}, headers=HTMX)
    page = Page(response)
    assert response.status_code == 200
    assert page.ids[0] == "rules"
    assert "Rule 2 moved to 1 of 4." in page.text
    assert 'hx-swap-oob="innerHTML"' in response.content.decode()
    assert '<input type="hidden" name="base" value="2">' in response.content.decode()


def test_move_to_a_typed_place(as_alice: Client, four: SecurityGroup) -> None:
    form = Page(as_alice.get(url(four, f"{uid(four, 4)}/move/"))).form_with("position")
    assert form.fields["position"] == ["4"]
    assert form.send(as_alice, position="1").status_code == 302
    assert list_of(four) == [4, 1, 2, 3]


@pytest.mark.parametrize("position", ["0", "-1", "5", "x", "", "9" * 30])
def test_a_place_that_is_none_is_told_and_nothing_moves(position: str, as_alice: Client, four: SecurityGroup) -> None:
    response = as_alice.post(url(four, f"{uid(four, 1)}/move/"), {"base": 1, "position": position})
    assert response.status_code == 422
    assert "position" in Page(response).errors
    assert list_of(four) == [1, 2, 3, 4]


def test_dragging(as_alice: Client, four: SecurityGroup) -> None:
    response = as_alice.post(url(four, "drop/"), {"base": 1, "rule": uid(four, 1), "position": 3}, headers=HTMX)
    assert response.status_code == 200
    assert list_of(four) == [2, 3, 1, 4]
    for gone in ("", "0" * 12, "x"):
        assert as_alice.post(url(four, "drop/"), {"base": 2, "rule": gone, "position": 1}).status_code == 409


def test_a_move_that_changes_traffic_is_asked_about(as_alice: Client, machine: VirtualMachine) -> None:
    group = make_group(machine.project, "order", ["accept in tcp 22", "drop in tcp 22 from 10.0.0.0/8"])
    asked = as_alice.post(url(group, f"{uid(group, 2)}/up/"), {"base": 1})
    assert "10.0.0.0/8" in Page(asked).text
    assert revision(group) == 1
    say_yes(as_alice, asked)
    assert revision(group) == 2


# ── Switch, delete, undo ──────────────────────────────────────────────────────


def test_switching_off_and_on(as_alice: Client, four: SecurityGroup) -> None:
    say_yes(as_alice, as_alice.post(url(four, f"{uid(four, 2)}/off/"), {"base": 1}))
    assert "Rule 2 is off now." in messages(as_alice)
    assert not four.rules.get(position=2).enabled
    say_yes(as_alice, as_alice.post(url(four, f"{uid(four, 2)}/on/"), {"base": 2}))
    assert four.rules.get(position=2).enabled
    assert as_alice.post(url(four, f"{uid(four, 2)}/on/"), {"base": 3}).status_code == 302
    assert revision(four) == 3, "on again is no change"


def test_deleting_says_what_passes_no_more(as_alice: Client, machine: VirtualMachine) -> None:
    group = SecurityGroup.objects.get(name="web")
    asked = as_alice.get(url(group, f"{uid(group, 3)}/delete/"))
    assert "203.0.113.0/24" in Page(asked).text
    assert "On 1 virtual machine web-1" in Page(asked).text
    say_yes(as_alice, asked)
    assert list(group.rules.values_list("position", flat=True)) == [1, 2, 3, 4]
    assert "Rule 3 was deleted." in messages(as_alice)


def test_undo_brings_the_list_back_and_works_once(as_alice: Client, four: SecurityGroup) -> None:
    before = list(four.rules.in_order().values_list("uid", "port_start"))
    as_alice.post(url(four, f"{uid(four, 1)}/down/"), {"base": 1})
    undo = f"{four.get_absolute_url()}undo/2/"
    assert undo in messages(as_alice)
    assert as_alice.post(undo).status_code == 302
    assert list(four.rules.in_order().values_list("uid", "port_start")) == before
    assert as_alice.post(undo).status_code == 409, "it is not the newest any more"
    assert revision(four) == 3


@pytest.mark.parametrize("number", [0, 1, 2, 99, 10**30])
def test_undo_of_what_is_not_the_newest_change_writes_nothing(
    number: int, as_alice: Client, four: SecurityGroup
) -> None:
    response = as_alice.post(f"{four.get_absolute_url()}undo/{number}/")
    assert response.status_code == (302 if number == 1 else 409)
    assert revision(four) == 1
    if number != 1:
        page = Page(response)
        assert f"Revision {number} is not the newest any more" in page.text
        assert f'href="{four.get_absolute_url()}history/"' in response.content.decode()
        assert "not there any more" not in page.text
        assert "Discard mine" not in page.text


# ── Two people, two clicks ────────────────────────────────────────────────────


def test_a_stale_page_writes_nothing_and_shows_theirs_and_mine(
    as_alice: Client, four: SecurityGroup, erin: User
) -> None:
    form = Page(as_alice.get(url(four, f"{uid(four, 1)}/"))).form_with("protocol")
    somebody_else_rewords(four, erin)
    response = form.send(as_alice, port_start="11", port_end="11", description="Mine")
    page = Page(response)
    assert response.status_code == 409
    assert "Nothing was written. erin made revision 2" in page.text
    assert list_of(four) == [1, 2, 3, 4]
    assert "Apply mine on top" in page.text
    # One click applies mine on top, after a look at what that does.
    say_yes(as_alice, page.form_with("onto").send(as_alice))
    assert list_of(four) == [11, 2, 3, 4]
    assert revision(four) == 3


def test_a_conflict_by_htmx_goes_into_the_dialog(as_alice: Client, four: SecurityGroup, erin: User) -> None:
    somebody_else_rewords(four, erin)
    response = as_alice.post(url(four, f"{uid(four, 1)}/off/"), {"base": 1}, headers=HTMX)
    assert response.status_code == 409
    assert (response["HX-Retarget"], response["HX-Reselect"]) == ("#dialog", "#confirm")
    assert list_of(four) == [1, 2, 3, 4]


def test_a_rule_that_somebody_took_away_is_a_conflict(as_alice: Client, four: SecurityGroup, erin: User) -> None:
    last = uid(four, 4)
    somebody_else_changes(four, erin)
    assert as_alice.get(url(four, f"{last}/")).status_code == 404
    for rest in ("", "up/", "off/", "move/", "delete/"):
        assert as_alice.post(url(four, f"{last}/{rest}"), TCP | {"position": 1}).status_code == 409
    assert revision(four) == 2


def test_a_double_click_adds_one_rule(as_alice: Client, four: SecurityGroup) -> None:
    question = as_alice.post(url(four, "new/"), TCP | {"port_start": "9"})
    answers = [Page(question).form_with("sure").send(as_alice, *tab).status_code for tab in ([], [], ["once"])]
    assert answers == [302, 302, 409], "the second click is the first; another tab is not"
    assert list_of(four) == [9, 1, 2, 3, 4]


def test_a_yes_is_good_for_the_change_that_was_shown_alone(as_alice: Client, four: SecurityGroup, erin: User) -> None:
    form = Page(as_alice.post(url(four, "new/"), TCP | {"port_start": "9"})).form_with("sure")
    other = form.send(as_alice, port_start="3389", port_end="3389")
    assert other.status_code == 200, "another rule is another question"
    assert revision(four) == 1
    now = values(list(four.rules.in_order()))
    operations.commit_rules(group=four, rules=lists.insert(now, 1, rule("drop in tcp 9")), base=1, by=By(erin))
    assert form.send(as_alice).status_code == 409


def test_a_preview_writes_nothing(as_alice: Client, four: SecurityGroup) -> None:
    response = as_alice.post(url(four, "new/"), TCP | {"port_start": "9", "preview": "1"}, headers=HTMX)
    page = Page(response)
    assert page.ids[0] == "preview"
    assert "What this changes" in page.text
    unfinished = as_alice.post(url(four, "new/"), TCP | {"source": "10.", "preview": "1"}, headers=HTMX)
    assert "“10.” is not an IP address" in Page(unfinished).text
    assert revision(four) == 1


def test_rules_of_a_group_on_no_vm_change_nothing_yet(as_alice: Client, four: SecurityGroup) -> None:
    text = Page(as_alice.post(url(four, "new/"), TCP | {"port_start": "9"})).text
    assert "The group is on no VM, so nothing changes yet." in text


def test_closing_the_door_behind_oneself_is_asked_about_in_red(as_alice: Client, machine: VirtualMachine) -> None:
    group = SecurityGroup.objects.get(name="web")
    own = make_group(machine.project, "ssh", [rule("accept in tcp 22 from 127.0.0.1")])
    operations.attach_groups(machine=machine, groups=[own, group], base=1, by=By())
    page = Page(as_alice.get(url(own, f"{uid(own, 1)}/delete/")))
    assert "Change it all the same" in page.text


# ── The filter stays ──────────────────────────────────────────────────────────


def test_a_row_s_buttons_keep_the_filter(as_alice: Client, four: SecurityGroup) -> None:
    """A row's own addresses begin where the list is; its menu comes from an address of its own."""
    page = as_alice.get(f"{four.get_absolute_url()}?q=3").content.decode()
    one = uid(four, 3)
    for do in ("up", "down", "off"):
        assert f"<button name={do} value={one} " in page, "sent as the form is"
    assert f"rules/new/?copy={one}&amp;q=3" in page
    for rest in (f"{one}/", f"{one}/menu/", "drop/", "bulk/"):
        assert f"rules/{rest}?q=3" in page, rest
        assert f'rules/{rest}"' not in page, rest
    for headers in ({}, HTMX):
        menu = as_alice.get(f"{url(four, f'{one}/menu/')}?q=3", headers=headers).content.decode()
        for rest in (f"{one}/move/", f"{one}/delete/"):
            assert f"{url(four, rest)}?q=3" in menu, rest
            assert f'{url(four, rest)}"' not in menu, rest
        assert f"{url(four, 'new/')}?place=3&amp;q=3" in menu
        assert f"{url(four, 'new/')}?place=4&amp;q=3" in menu


def test_after_a_change_the_list_is_filtered_as_before(as_alice: Client, four: SecurityGroup) -> None:
    """By htmx and without script, through a question and after Undo."""
    one = uid(four, 3)
    off = f"{url(four, f'{one}/off/')}?q=3"
    asked = as_alice.post(off, {"base": 1}, headers=HTMX)
    form = Page(asked).form_with("sure")
    assert form.action == off
    part = Page(as_alice.post(form.action, form.fields, headers=HTMX))
    assert "TCP 3" in part.text
    assert "TCP 4" not in part.text
    (undo,) = [form for form in part.forms if "/undo/" in form.action]
    assert undo.send(as_alice)["Location"] == f"{four.get_absolute_url()}?q=3"
    done = say_yes(as_alice, as_alice.post(off, {"base": 3}))
    assert done["Location"] == f"{four.get_absolute_url()}?q=3#rule-{one}"
    gone = say_yes(as_alice, as_alice.get(f"{url(four, f'{uid(four, 4)}/delete/')}?q=tcp+%26&page=2"))
    assert gone["Location"] == f"{four.get_absolute_url()}?q=tcp+%26&page=2"


def test_cancel_leads_back_to_the_filtered_list(as_alice: Client, four: SecurityGroup) -> None:
    one = uid(four, 3)
    for rest in (f"{one}/", f"{one}/move/", f"{one}/delete/", "new/"):
        assert f'href="{four.get_absolute_url()}?q=3"' in as_alice.get(f"{url(four, rest)}?q=3").content.decode(), rest
    chosen = as_alice.post(f"{url(four, 'bulk/')}?q=3", {"base": 1, "rule": one})
    assert f'href="{four.get_absolute_url()}?q=3"' in chosen.content.decode()
    assert Page(chosen).form_with("position").action == f"{url(four, 'bulk/')}?q=3"


# ── Who and when ──────────────────────────────────────────────────────────────


def test_everybody_sees_who_added_and_who_changed_a_rule(
    as_bob: Client, four: SecurityGroup, alice: User, erin: User
) -> None:
    now = values(list(four.rules.in_order()))
    changed = (replace(now[0], description="New"), *now[1:])
    operations.commit_rules(group=four, rules=changed, base=1, by=By(erin))
    text = " ".join(Page(as_bob.get(url(four, f"{uid(four, place)}/menu/"))).text for place in (1, 2, 3, 4))
    assert text.count("Added just now by alice") == 4
    assert text.count("Last changed just now by erin") == 1


def test_a_rule_s_menu_is_a_page_and_a_part(as_alice: Client, as_bob: Client, four: SecurityGroup) -> None:
    part, page = part_and_page(as_alice, url(four, f"{uid(four, 2)}/menu/"))
    assert "Insert above Insert below Move to… Delete… Added just now by alice" in part.text
    assert part.text in page.text
    assert "Rule 2 Accept inbound TCP to port 2" in page.text
    assert page.form_with("base").fields["base"] == ["1"], "what switches the rule off stands in a form"
    part, page = part_and_page(as_bob, url(four, f"{uid(four, 2)}/menu/"))
    assert part.text == "Added just now by alice"
    assert as_alice.get(url(four, "0123456789ab/menu/")).status_code == 404
