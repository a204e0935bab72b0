"""Edits of many rules at once: one revision each, after a look; and finding rules across a project."""

from typing import Any

import pytest
from django.test import Client

from securitygroups import operations
from securitygroups.firewall import lists
from securitygroups.models import Project, SecurityGroup, User, values
from securitygroups.operations import By
from tests.factories import make_group, make_machine, ports, rule
from tests.web.pages import HTMX, Page, messages, part_and_page, say_yes


@pytest.fixture
def mixed(project: Project) -> SecurityGroup:
    """1 TCP 1, 2 TCP 2, 3 UDP 53 from a network, 4 IP to an address, 5 All: on a VM."""
    rules = [
        "accept in tcp 1",
        "accept in tcp 2",
        "accept in udp 53 from 10.0.0.0/8",
        "accept in ip to 192.0.2.1",
        "drop in all",
    ]
    group = make_group(project, "mixed", rules)
    make_machine(project, "vm", [group])
    return group


def uids(group: SecurityGroup, *places: int) -> list[str]:
    return [str(group.rules.get(position=place).uid) for place in places]


def bulk(group: SecurityGroup) -> str:
    return f"{group.get_absolute_url()}rules/bulk/"


def send(client: Client, group: SecurityGroup, places: list[int], **fields: Any) -> Any:
    """Choose the rules on the group's page, fill the form, and say yes where there is a question."""
    chosen = client.post(bulk(group), {"base": revision(group), "rule": uids(group, *places)})
    assert chosen.status_code == 200
    response = Page(chosen).form_with("position").send(client, **fields)
    if response.status_code == 200 and "sure" in response.content.decode():
        response = say_yes(client, response)
    return response


def revision(group: SecurityGroup) -> int:
    return SecurityGroup.objects.get(pk=group.pk).revision


def protocols(group: SecurityGroup) -> str:
    return " ".join(group.rules.in_order().values_list("protocol", flat=True))


def test_the_chosen_rules_are_named_before_anything_is_done(as_alice: Client, mixed: SecurityGroup) -> None:
    page = Page(as_alice.post(bulk(mixed), {"base": 1, "rule": uids(mixed, 1, 5)}))
    assert page.title.startswith("Change 2 rules of mixed")
    assert "1. Accept inbound TCP to port 1" in page.text
    assert "5. Drop" in page.text
    assert "udp" not in page.text.lower()
    assert revision(mixed) == 1


def test_nothing_chosen_is_told(as_alice: Client, mixed: SecurityGroup) -> None:
    assert as_alice.post(bulk(mixed), {"base": 1}).status_code == 302
    assert "tick the rules first" in messages(as_alice)


def test_switching_off_and_on_again(as_alice: Client, mixed: SecurityGroup) -> None:
    assert send(as_alice, mixed, [1, 3], do="off").status_code == 302
    assert list(mixed.rules.in_order().values_list("enabled", flat=True)) == [False, True, False, True, True]
    assert send(as_alice, mixed, [1, 2, 3], do="on").status_code == 302
    assert mixed.rules.filter(enabled=False).count() == 0
    assert revision(mixed) == 3, "one revision each"


def test_deleting(as_alice: Client, mixed: SecurityGroup) -> None:
    assert send(as_alice, mixed, [1, 4, 5], do="delete").status_code == 302
    assert protocols(mixed) == "tcp udp"
    assert revision(mixed) == 2


def test_moving_together_keeps_their_order(as_alice: Client, mixed: SecurityGroup) -> None:
    before = uids(mixed, 1, 2, 3, 4, 5)
    assert send(as_alice, mixed, [3, 4], do="move", position="1").status_code == 302
    assert uids(mixed, 1, 2, 3, 4, 5) == [before[place - 1] for place in (3, 4, 1, 2, 5)]
    assert send(as_alice, mixed, [1], do="move", position="99999").status_code == 302
    assert uids(mixed, 5) == [before[2]]


def test_setting_the_source_passes_over_rules_that_have_none(as_alice: Client, mixed: SecurityGroup) -> None:
    assert send(as_alice, mixed, [1, 3, 5], do="source", source="203.0.113.7").status_code == 302
    sources = [str(row.source) if row.source else "" for row in mixed.rules.in_order()]
    assert sources == ["203.0.113.7/32", "", "203.0.113.7/32", "", ""]
    assert send(as_alice, mixed, [1, 3], do="source", source="").status_code == 302
    assert mixed.rules.exclude(source=None).count() == 0


def test_a_source_that_one_of_them_cannot_have_changes_none(as_alice: Client, mixed: SecurityGroup) -> None:
    response = send(as_alice, mixed, [1, 4], do="source", source="2001:db8::/32", reason="Ticket 9")
    page = Page(response)
    assert response.status_code == 422
    assert "Rule 4:" in page.errors["source"]
    fields = page.form_with("position").fields
    assert (fields["rule"], fields["do"]) == (sorted(uids(mixed, 1, 4)), ["source"]), "still chosen"
    assert (fields["source"], fields["reason"]) == (["2001:db8::/32"], ["Ticket 9"]), "still typed"
    assert revision(mixed) == 1


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"do": "source", "source": "10.0.0.5/24"}, "source", "10.0.0.5/32"),
        ({"do": "source", "source": "office"}, "source", "is not an IP address"),
        ({"do": "move"}, "position", "Type the place"),
        ({"do": "move", "position": "0"}, "position", "greater than or equal to 1"),
        ({"do": "move", "position": "x"}, "position", "whole number"),
        ({"do": "copy"}, "target", "Choose the group"),
        ({"do": "copy", "target": "sg-nothing"}, "target", "valid choice"),
        ({"do": ""}, "do", "required"),
        ({"do": "explode"}, "do", "valid choice"),
    ],
)
def test_what_is_missing_is_told_at_its_field(
    fields: dict[str, str], field: str, words: str, as_alice: Client, mixed: SecurityGroup
) -> None:
    response = as_alice.post(bulk(mixed), {"base": 1, "rule": uids(mixed, 1, 2)} | fields)
    page = Page(response)
    assert response.status_code == 422
    assert words in page.errors[field]
    assert page.form_with("position").fields["rule"] == sorted(uids(mixed, 1, 2)), "still chosen"
    assert revision(mixed) == 1


def test_all_that_match_the_filter(as_alice: Client, mixed: SecurityGroup) -> None:
    page = Page(as_alice.get(mixed.get_absolute_url(), {"q": "tcp"}))
    assert "Change all 2 that match…" in page.text
    chosen = Page(as_alice.post(bulk(mixed), {"base": 1, "q": "tcp", "all": "1", "rule": uids(mixed, 5)}))
    assert chosen.title.startswith("Change 2 rules")
    say_yes(as_alice, chosen.form_with("position").send(as_alice, do="delete"))
    assert protocols(mixed) == "udp ip all"


def test_all_that_match_reaches_beyond_the_page(as_alice: Client, project: Project) -> None:
    group = make_group(project, "long", ports(*range(1, 251)))
    chosen = Page(as_alice.post(bulk(group), {"base": 1, "q": "tcp accept", "all": "1"}))
    assert chosen.title.startswith("Change 250 rules")
    say_yes(as_alice, chosen.form_with("position").send(as_alice, do="off"))
    assert group.rules.filter(enabled=True).count() == 0


def test_a_filter_that_matches_nothing_is_nothing_chosen(as_alice: Client, mixed: SecurityGroup) -> None:
    assert as_alice.post(bulk(mixed), {"base": 1, "q": "sctp", "all": "1"}).status_code == 302
    assert "tick the rules first" in messages(as_alice)


def test_rules_that_are_gone_by_now_are_passed_over(as_alice: Client, mixed: SecurityGroup, erin: User) -> None:
    form = Page(as_alice.post(bulk(mixed), {"base": 1, "rule": uids(mixed, 1, 2)})).form_with("position")
    operations.commit_rules(
        group=mixed, rules=lists.remove(values(list(mixed.rules.in_order())), [1]), base=1, by=By(erin)
    )
    stale = form.send(as_alice, do="delete")
    assert stale.status_code == 409
    say_yes(as_alice, Page(stale).form_with("onto").send(as_alice))
    assert protocols(mixed) == "udp ip all"


def test_rules_of_another_group_are_not_changed_from_here(
    as_alice: Client, mixed: SecurityGroup, project: Project
) -> None:
    other = make_group(project, "other", ports(1))
    response = as_alice.post(bulk(mixed), {"base": 1, "rule": [*uids(other, 1), "'", "x" * 500], "do": "delete"})
    assert response.status_code == 409
    assert (revision(mixed), revision(other)) == (1, 1)


# ── Copy to another group ─────────────────────────────────────────────────────


@pytest.fixture
def target(project: Project) -> SecurityGroup:
    group = make_group(project, "target", ["accept in tcp 443"])
    make_machine(project, "other vm", [group])
    return group


def test_copies_go_to_the_end_after_a_look_at_what_they_change_there(
    as_alice: Client, mixed: SecurityGroup, target: SecurityGroup
) -> None:
    form = Page(as_alice.post(bulk(mixed), {"base": 1, "rule": uids(mixed, 1, 3)})).form_with("position")
    question = form.send(as_alice, do="copy", target=target.public_id)
    page = Page(question)
    assert page.title.startswith("Change target?")
    assert "On 1 virtual machine other vm" in page.text
    assert revision(target) == 1
    assert say_yes(as_alice, question).status_code == 302
    assert protocols(target) == "tcp tcp udp"
    assert "2 rules were copied from mixed." in messages(as_alice)
    assert revision(mixed) == 1
    assert not set(uids(target, 1, 2, 3)) & set(uids(mixed, 1, 2, 3, 4, 5)), "copies are rules of their own"


def test_saying_yes_twice_copies_once(as_alice: Client, mixed: SecurityGroup, target: SecurityGroup) -> None:
    form = Page(as_alice.post(bulk(mixed), {"base": 1, "rule": uids(mixed, 1)})).form_with("position")
    question = form.send(as_alice, do="copy", target=target.public_id)
    answers = [Page(question).form_with("sure").send(as_alice, *tab).status_code for tab in ([], [], ["once"])]
    assert answers == [302, 302, 409], "the second click is the first; another tab is not"
    assert protocols(target) == "tcp tcp"


def test_copying_to_what_somebody_changed_meanwhile_is_a_conflict_there(
    as_alice: Client, mixed: SecurityGroup, target: SecurityGroup, erin: User
) -> None:
    form = Page(as_alice.post(bulk(mixed), {"base": 1, "rule": uids(mixed, 1)})).form_with("position")
    question = form.send(as_alice, do="copy", target=target.public_id)
    operations.commit_rules(group=target, rules=[rule("drop in all")], base=1, by=By(erin))
    stale = Page(question).form_with("sure").send(as_alice)
    page = Page(stale)
    assert stale.status_code == 409
    assert page.title.startswith("target was changed")
    say_yes(as_alice, page.form_with("onto").send(as_alice))
    assert list(target.rules.values_list("port_start", flat=True)) == [1, None]


def test_a_group_of_another_project_is_no_target(as_alice: Client, mixed: SecurityGroup, bakery: Project) -> None:
    theirs = make_group(bakery, "oven")
    for target in (theirs, mixed):
        response = as_alice.post(
            bulk(mixed), {"base": 1, "rule": uids(mixed, 1), "do": "copy", "target": target.public_id}
        )
        assert response.status_code == 422
    assert (revision(theirs), revision(mixed)) == (1, 1)


def test_copies_that_do_not_fit_are_refused(
    as_alice: Client, mixed: SecurityGroup, target: SecurityGroup, project: Project
) -> None:
    project.max_rules = 5
    operations.update_project(project=project, by=By())
    response = send(as_alice, mixed, [1, 2, 3, 4, 5], do="copy", target=target.public_id)
    page = Page(response)
    assert response.status_code == 422
    assert "can have 5 rules, this would be 6" in page.errors["target"]
    assert page.form_with("position").fields["target"] == [target.public_id]
    assert revision(target) == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "as soon as the form is filled in"),
        ({"do": "move"}, "as soon as the form is filled in"),
        ({"do": "delete"}, "Newly denied: inbound TCP 1"),
        ({"do": "off"}, "Newly denied: inbound TCP 1"),
        ({"do": "source", "source": "10.0.0.0/8"}, "Newly denied: inbound TCP 1"),
        ({"do": "on"}, "No traffic changes"),
    ],
)
def test_what_it_changes_is_shown_while_it_is_filled_in(
    fields: dict[str, str], words: str, as_alice: Client, mixed: SecurityGroup
) -> None:
    response = as_alice.post(bulk(mixed), {"base": 1, "rule": uids(mixed, 1), "preview": "1"} | fields, headers=HTMX)
    page = Page(response)
    assert (response.status_code, page.ids) == (200, ["preview"])
    assert words in page.text
    assert revision(mixed) == 1


def test_what_the_form_s_preview_showed_is_not_asked_about_again(as_alice: Client, mixed: SecurityGroup) -> None:
    """It shows which rule becomes what, as the question does."""
    data: dict[str, Any] = {"base": 1, "rule": uids(mixed, 1), "do": "delete", "reason": "Ticket 9"}
    preview = as_alice.post(bulk(mixed), data | {"preview": "1"}, headers=HTMX)
    assert "Rule 1: Accept inbound TCP to port 1" in Page(preview).text
    seen = preview.content.decode().split('name="seen" value="')[1].split('"')[0]
    assert as_alice.post(bulk(mixed), data | {"seen": seen}).status_code == 302
    assert (revision(mixed), mixed.revisions.latest("number").reason) == (2, "Ticket 9")


def test_what_is_done_most_is_one_click_and_one_question(as_alice: Client, mixed: SecurityGroup) -> None:
    page = as_alice.get(mixed.get_absolute_url()).content.decode()
    for do, words in (("off", "Switch off"), ("on", "Switch on"), ("delete", "Delete")):
        assert f'name="do" value="{do}"' in page
        assert words in page
    question = as_alice.post(bulk(mixed), {"base": 1, "rule": uids(mixed, 1, 2), "do": "delete"})
    assert Page(question).title.startswith("Change mixed?"), "nothing else is asked before"
    assert say_yes(as_alice, question).status_code == 302
    assert protocols(mixed) == "udp ip all"


@pytest.mark.parametrize(("do", "places"), [("down", [2, 1, 3, 4, 5]), ("up", [1, 2, 3, 4, 5])])
def test_a_row_s_button_is_about_its_rule_whatever_is_ticked(
    do: str, places: list[int], as_alice: Client, mixed: SecurityGroup
) -> None:
    before = uids(mixed, 1, 2, 3, 4, 5)
    sent = as_alice.post(bulk(mixed), {"base": 1, "rule": uids(mixed, 4, 5), do: before[0]})
    assert sent.status_code == 302
    assert uids(mixed, 1, 2, 3, 4, 5) == [before[place - 1] for place in places]


def test_a_rule_is_switched_off_by_one_click_in_its_row_which_says_what_it_did(
    as_alice: Client, mixed: SecurityGroup
) -> None:
    one = uids(mixed, 3)[0]
    answer = as_alice.post(bulk(mixed), {"base": 1, "off": one}, headers=HTMX)
    assert not mixed.rules.get(uid=one).enabled
    assert (
        "Rule 3 is off now. Newly denied: inbound UDP 53 (DNS) from 10.0.0.0/8 to any IPv4 address except"
        in Page(answer).text
    )
    assert "/undo/2/" in answer.content.decode()
    assert "Switch rule 3 on" in answer.content.decode()


def test_a_switch_that_sounds_an_alarm_is_asked_about(as_alice: Client, project: Project) -> None:
    group = make_group(project, "open", ["accept in tcp 22"])
    make_machine(project, "open vm", [group])
    one = uids(group, 1)[0]
    as_alice.post(bulk(group), {"base": 1, "off": one})
    question = as_alice.post(bulk(group), {"base": 2, "on": one})
    assert "This opens SSH (TCP 22) to every address on the internet." in Page(question).text
    assert not group.rules.get(uid=one).enabled
    assert say_yes(as_alice, question).status_code == 302
    assert group.rules.get(uid=one).enabled


def test_a_switch_on_a_page_that_is_old_is_a_conflict(as_alice: Client, mixed: SecurityGroup, erin: User) -> None:
    rules = values(list(mixed.rules.in_order()))
    one = uids(mixed, 1)[0]
    operations.commit_rules(group=mixed, rules=lists.switch(rules, [1], False), base=1, by=By(erin))
    assert as_alice.post(bulk(mixed), {"base": 1, "off": one}).status_code == 409
    assert as_alice.post(bulk(mixed), {"base": 2, "off": "0123456789ab"}).status_code == 409


def test_copies_are_previewed_in_the_group_that_they_go_to(
    as_alice: Client, mixed: SecurityGroup, target: SecurityGroup
) -> None:
    data = {"base": 1, "rule": uids(mixed, 1), "do": "copy", "target": target.public_id, "preview": "1"}
    assert "Newly allowed: inbound TCP 1" in Page(as_alice.post(bulk(mixed), data, headers=HTMX)).text
    assert revision(target) == 1


def test_who_may_only_look_changes_nothing(as_bob: Client, as_charlie: Client, mixed: SecurityGroup) -> None:
    data = {"base": 1, "rule": uids(mixed, 1), "do": "delete"}
    assert as_bob.post(bulk(mixed), data).status_code == 403
    assert as_charlie.post(bulk(mixed), data).status_code == 404
    assert as_bob.get(bulk(mixed)).status_code == 405
    assert 'name="rule"' not in as_bob.get(mixed.get_absolute_url()).content.decode()
    assert revision(mixed) == 1


# ── Across the project ────────────────────────────────────────────────────────


def test_rules_are_found_across_the_groups_of_the_project_alone(
    as_bob: Client, mixed: SecurityGroup, target: SecurityGroup, bakery: Project, project: Project
) -> None:
    make_group(bakery, "oven", [rule("accept in tcp 443", "Bakery's")])
    gone = make_group(project, "gone", [rule("accept in tcp 443", "Deleted")])
    operations.delete_group(group=gone, base=1, by=By())
    part, page = part_and_page(as_bob, f"/p/{project.slug}/rules/?q=443")
    for shown in (part, page):
        assert "target" in shown.text
        assert "Bakery" not in shown.text
        assert "Deleted" not in shown.text
    everything = as_bob.get(f"/p/{project.slug}/rules/").content.decode()
    assert everything.count(mixed.public_id) == 5


@pytest.mark.parametrize("query", ["'", "%", "\\", "10.0.0.5/24", "x" * 5000, "١", "İ ß", "port:99999", "tcp " * 100])
def test_no_query_does_harm(query: str, as_bob: Client, mixed: SecurityGroup, project: Project) -> None:
    for address in (f"/p/{project.slug}/rules/", mixed.get_absolute_url()):
        assert as_bob.get(address, {"q": query}).status_code == 200
