"""From an edit to its commit: the question, its answer, the conflict; nothing but what was looked at is ever written."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from securitygroups import operations
from securitygroups.firewall import lists
from securitygroups.models import Project, SecurityGroup, User, VirtualMachine, values
from securitygroups.operations import By
from tests.factories import make_group, make_machine, ports, rule
from tests.web.pages import HTMX, Form, Page, messages, say_yes


@pytest.fixture
def four(project: Project) -> SecurityGroup:
    """TCP 1, 2, 3, 4, on a VM."""
    group = make_group(project, "four", ports(1, 2, 3, 4))
    make_machine(project, "vm", [group], ipv4="10.0.0.5")
    return group


def list_of(group: SecurityGroup) -> list[int | None]:
    """The first port of each rule, in order."""
    return list(group.rules.in_order().values_list("port_start", flat=True))


def url(group: SecurityGroup, rest: str = "") -> str:
    return f"{group.get_absolute_url()}{rest}"


def uid(group: SecurityGroup, place: int) -> str:
    return str(group.rules.get(position=place).uid)


def revision(group: SecurityGroup) -> int:
    return SecurityGroup.objects.get(pk=group.pk).revision


def erin_makes(group: SecurityGroup, erin: User, edit: Callable[[Any], Any]) -> None:
    now = SecurityGroup.objects.select_related("project").get(pk=group.pk)
    operations.commit_rules(
        group=now, rules=edit(values(list(group.rules.in_order()))), base=now.revision, by=By(erin, reason="Ticket 7")
    )


def add_nine(group: SecurityGroup, **more: Any) -> dict[str, Any]:
    fields = {
        "action": "accept",
        "direction": "in",
        "protocol": "tcp",
        "port_start": "9",
        "enabled": "on",
        "place": "1",
    }
    return fields | {"base": revision(group)} | more


# ── The question ──────────────────────────────────────────────────────────────


def test_the_question_shows_rules_and_traffic_and_keeps_the_reason(as_alice: Client, four: SecurityGroup) -> None:
    page = Page(as_alice.post(url(four, "rules/new/"), add_nine(four, reason="  Ticket \t 8 ")))
    assert page.title.startswith("Change four?")
    assert "Rule 1: Accept inbound TCP to port 9" in page.text
    assert "On 1 virtual machine vm" in page.text
    assert "Newly allowed: inbound TCP 9" in page.text
    assert revision(four) == 1
    form = page.form_with("sure")
    assert form.fields["reason"] == ["Ticket 8"]
    assert form.send(as_alice).status_code == 302
    assert (revision(four), four.revisions.latest("number").reason) == (2, "Ticket 8")


def test_a_reason_may_be_added_to_the_answer(as_alice: Client, four: SecurityGroup) -> None:
    page = Page(as_alice.post(url(four, "rules/new/"), add_nine(four)))
    page.form_with("sure").send(as_alice, reason="x" * 400 + "\n")
    assert four.revisions.latest("number").reason == "x" * 255


def test_by_htmx_the_question_goes_into_the_dialog_and_the_answer_gives_the_list(
    as_alice: Client, four: SecurityGroup
) -> None:
    question = as_alice.post(url(four, f"rules/{uid(four, 1)}/off/"), {"base": 1}, headers=HTMX)
    assert (question["HX-Retarget"], question["HX-Reswap"], question["HX-Reselect"]) == (
        "#dialog",
        "innerHTML",
        "#confirm",
    )
    form = Page(question).form_with("sure")
    done = as_alice.post(form.action, form.fields, headers=HTMX)
    assert "HX-Retarget" not in done
    page = Page(done)
    assert page.ids[0] == "rules"
    assert "Rule 1 is off now." in page.text
    assert "Undo" in page.text


def forgeries(form: Form) -> list[list[str]]:
    (token,) = form.fields["sure"]
    return [[], [""], ["1"], ["sure"], [token[:-1]], [token + "0"], [token.upper()], ["x" * 5000], ["é"], [token, "no"]]


@pytest.mark.parametrize("number", range(10))
def test_a_forged_answer_is_no_answer(number: int, as_alice: Client, four: SecurityGroup) -> None:
    form = Page(as_alice.post(url(four, "rules/new/"), add_nine(four))).form_with("sure")
    forged = forgeries(form)[number]
    response = as_alice.post(form.action, form.fields | {"sure": forged})
    assert response.status_code == 200
    assert Page(response).title.startswith("Change four?")
    assert revision(four) == 1


def test_an_answer_about_one_group_is_none_about_another(
    as_alice: Client, four: SecurityGroup, project: Project
) -> None:
    twin = make_group(project, "twin", ports(1, 2, 3, 4))
    form = Page(as_alice.post(url(four, "rules/new/"), add_nine(four))).form_with("sure")
    response = as_alice.post(form.action.replace(four.public_id, twin.public_id), form.fields)
    assert response.status_code == 200
    assert (revision(four), revision(twin)) == (1, 1)


def test_an_answer_is_none_about_what_means_something_else_on_the_next_revision(
    as_alice: Client, four: SecurityGroup, erin: User
) -> None:
    form = Page(as_alice.post(url(four, "rules/new/"), add_nine(four))).form_with("sure")
    erin_makes(four, erin, lambda rules: (*rules, rule("accept in tcp 9 from 10.0.0.0/8")))
    assert as_alice.post(form.action, form.fields).status_code == 200
    assert as_alice.post(form.action, form.fields | {"base": ["2"]}).status_code == 200
    assert revision(four) == 2


def test_what_the_form_s_own_preview_showed_need_not_be_asked_again(as_alice: Client, four: SecurityGroup) -> None:
    shown = Page(as_alice.post(url(four, "rules/new/"), add_nine(four, preview="1"), headers=HTMX))
    assert shown.ids == ["preview"]
    seen = _token(as_alice, four)
    assert as_alice.post(url(four, "rules/new/"), add_nine(four, seen=seen)).status_code == 302
    assert list_of(four) == [9, 1, 2, 3, 4]


def _token(client: Client, four: SecurityGroup, **more: Any) -> str:
    """What the preview below the form puts into it."""
    content = client.post(url(four, "rules/new/"), add_nine(four, preview="1", **more), headers=HTMX).content.decode()
    return content.split('name="seen" value="')[1].split('"')[0]


def test_what_was_seen_of_another_rule_does_not_count(as_alice: Client, four: SecurityGroup) -> None:
    seen = _token(as_alice, four)
    for more in (
        {"port_start": "10"},
        {"direction": "out"},
        {"place": "2"},
        {"source": "10.0.0.0/8"},
        {"action": "drop"},
    ):
        response = as_alice.post(url(four, "rules/new/"), add_nine(four, seen=seen, **more))
        changes = more != {"action": "drop"}
        assert response.status_code == (200 if changes else 302), more
    assert revision(four) == 2, "only the drop of what nobody accepted went through, for it changes no traffic"


def test_an_alarm_is_asked_about_whatever_was_seen(as_alice: Client, four: SecurityGroup) -> None:
    seen = _token(as_alice, four, port_start="22")
    question = as_alice.post(url(four, "rules/new/"), add_nine(four, port_start="22", seen=seen))
    page = Page(question)
    assert "This opens SSH (TCP 22) to every address on the internet." in page.text
    assert "Change it all the same" in page.text
    assert revision(four) == 1
    assert say_yes(as_alice, question).status_code == 302
    assert list_of(four)[0] == 22


def test_a_preview_of_what_cannot_be_stored_says_why(as_alice: Client, four: SecurityGroup, project: Project) -> None:
    project.max_rules = 4
    operations.update_project(project=project, by=By())
    part = Page(as_alice.post(url(four, "rules/new/"), add_nine(four, preview="1"), headers=HTMX))
    assert "A group of this project can have 4 rules" in part.text
    part = Page(as_alice.post(url(four, "rules/new/"), add_nine(four, preview="1", port_start="x"), headers=HTMX))
    assert "“x” is not a port" in part.text
    part = Page(as_alice.post(url(four, "rules/new/"), add_nine(four, preview="1") | {"base": "7"}, headers=HTMX))
    assert "changed by somebody else in the meantime" in part.text


def test_what_the_quota_refuses_stays_in_the_form(as_alice: Client, four: SecurityGroup, project: Project) -> None:
    project.max_rules = 4
    operations.update_project(project=project, by=By())
    response = as_alice.post(url(four, "rules/new/"), add_nine(four, description="Metrics", reason="Ticket 8"))
    page = Page(response)
    assert response.status_code == 422
    assert "There is a problem A group of this project can have 4 rules, this would be 5" in page.text
    fields = page.form_with("port_start").fields
    assert [fields[name] for name in ("port_start", "description", "reason", "place")] == [
        ["9"],
        ["Metrics"],
        ["Ticket 8"],
        ["1"],
    ]
    assert revision(four) == 1


def test_an_edit_of_what_somebody_removed_is_kept_and_can_come_back(
    as_alice: Client, four: SecurityGroup, erin: User
) -> None:
    """Nobody's typing is lost, whatever happened to the rule."""
    edit = url(four, f"rules/{uid(four, 2)}/")
    form = Page(as_alice.get(edit)).form_with("port_start")
    erin_makes(four, erin, lambda rules: lists.remove(rules, [2]))

    bad = form.send(as_alice, port_start="80", port_end="70", description="Typed")
    assert bad.status_code == 422, "a mistake in it is told as ever"
    assert Page(bad).form_with("port_start").fields["description"] == ["Typed"]
    part = as_alice.post(edit, form.fields | {"port_start": "80", "port_end": "80", "preview": "1"}, headers=HTMX)
    assert "changed by somebody else in the meantime" in Page(part).text

    response = form.send(as_alice, port_start="80", port_end="80", description="Typed", reason="Ticket 8")
    page = Page(response)
    assert response.status_code == 409
    assert "not there any more" not in page.text
    assert "Theirs, since revision 1 Rule 2: Accept inbound TCP to port 2" in page.text
    assert "Yours, to revision 1 Rule 2: Accept inbound TCP to port 2" in page.text
    assert "“Typed”" in page.text

    question = page.form_with("onto").send(as_alice)
    assert "Rule 2 was removed in the meantime; yours brings it back." in Page(question).text
    assert say_yes(as_alice, question).status_code == 302
    assert list_of(four) == [1, 80, 3, 4]
    assert four.revisions.latest("number").reason == "Ticket 8"


def test_a_rule_that_never_was_is_a_conflict_without_mine(as_alice: Client, four: SecurityGroup) -> None:
    for base in ("1", "0", "99", "x"):
        response = as_alice.post(url(four, "rules/abcdef123456/"), add_nine(four) | {"base": base})
        assert response.status_code == 409
    assert as_alice.get(url(four, "rules/abcdef123456/")).status_code == 404


def test_the_move_is_previewed_and_keeps_its_reason(as_alice: Client, four: SecurityGroup) -> None:
    move = url(four, f"rules/{uid(four, 1)}/move/")
    shown = as_alice.post(move, {"base": 1, "position": 4, "preview": "1"}, headers=HTMX)
    assert Page(shown).ids == ["preview"]
    assert "No traffic changes" in Page(shown).text
    waits = as_alice.post(move, {"base": 1, "position": 9, "preview": "1"}, headers=HTMX)
    assert "as soon as the form is filled in" in Page(waits).text
    assert as_alice.post(move, {"base": 1, "position": 4, "reason": "Ticket 8"}).status_code == 302
    assert list_of(four) == [2, 3, 4, 1]
    assert four.revisions.latest("number").reason == "Ticket 8"


def test_under_a_quota_that_was_lowered_rules_can_still_be_deleted(
    as_alice: Client, four: SecurityGroup, project: Project
) -> None:
    project.max_rules = 2
    operations.update_project(project=project, by=By())
    question = as_alice.get(url(four, f"rules/{uid(four, 4)}/delete/"))
    assert say_yes(as_alice, question).status_code == 302
    assert list_of(four) == [1, 2, 3]
    # The longer list of the first revision cannot come back, which is said instead of asked about.
    assert as_alice.get(url(four, "history/1/restore/")).status_code == 302
    assert "A group of this project can have 2 rules" in messages(as_alice)


def test_sending_twice_what_changes_no_traffic_is_one_revision(as_alice: Client, four: SecurityGroup) -> None:
    edit = url(four, f"rules/{uid(four, 2)}/")
    form = Page(as_alice.get(edit)).form_with("protocol")
    answers = [form.send(as_alice, *tab, description="Two").status_code for tab in ([], [], ["once"])]
    assert answers == [302, 302, 409], "the second click is the first; another tab is not"
    assert revision(four) == 2


# ── The conflict ──────────────────────────────────────────────────────────────


def actions(group: SecurityGroup) -> dict[str, tuple[str, dict[str, Any], list[int]]]:
    """Every way to change a list, and what it leads to on top of erin's [1, 2, 3, 5]."""
    document = '{"format": "karenpanel.group/1", "name": "x", "rules": %s}'
    rules = '[{"action": "accept", "direction": "in", "protocol": "tcp", "port_start": 7}]'
    edited = {
        "action": "accept",
        "direction": "in",
        "protocol": "tcp",
        "port_start": "22",
        "enabled": "on",
        "source": "10.0.0.0/8",
    }
    two = uid(group, 2)
    return {
        "add": ("rules/new/", add_nine(group), [9, 1, 2, 3, 5]),
        "edit": (f"rules/{two}/", edited, [1, 22, 3, 5]),
        "off": (f"rules/{two}/off/", {}, [1, 2, 3, 5]),
        "down": (f"rules/{uid(group, 1)}/down/", {}, [2, 1, 3, 5]),
        "move": (f"rules/{uid(group, 3)}/move/", {"position": "1"}, [3, 1, 2, 5]),
        "drop": ("rules/drop/", {"rule": uid(group, 3), "position": "1"}, [3, 1, 2, 5]),
        "delete": (f"rules/{two}/delete/", {}, [1, 3, 5]),
        "bulk off": ("rules/bulk/", {"rule": [two, uid(group, 3)], "do": "off"}, [1, 2, 3, 5]),
        "bulk delete": ("rules/bulk/", {"rule": [two, uid(group, 3)], "do": "delete"}, [1, 5]),
        "bulk source": ("rules/bulk/", {"rule": [two], "do": "source", "source": "10.0.0.0/8"}, [1, 2, 3, 5]),
        "bulk move": ("rules/bulk/", {"rule": [two, uid(group, 3)], "do": "move", "position": "1"}, [2, 3, 1, 5]),
        "import": ("import/", {"text": document % rules}, [7, 5]),
        "restore": ("history/1/restore/", {}, [1, 2, 3, 5]),
    }  # fmt: skip


ACTIONS = (
    "add",
    "edit",
    "off",
    "down",
    "move",
    "drop",
    "delete",
    "bulk off",
    "bulk delete",
    "bulk source",
    "bulk move",
    "import",
)


ON_TOP = {
    "add": [9, 8, 1, 2, 3, 5],
    "edit": [8, 1, 22, 3, 5],
    "down": [2, 8, 1, 3, 5],
    "move": [3, 8, 1, 2, 5],
    "drop": [3, 8, 1, 2, 5],
    "delete": [8, 1, 3, 5],
    "bulk delete": [8, 1, 5],
    "bulk move": [8, 2, 3, 1, 5],
    "import": [7, 8, 5],
}
"""What the edits lead to on top of erin's [8, 1, 2, 3, 5]; otherwise that list itself."""


def touched_by_erin(rules: Any) -> Any:
    """A rule at the top that drops what alice would accept, and other words for the rules that she has."""
    return (rule("drop in tcp 8-9"), *(replace(each, description="Erin's") for each in rules[:3]), *ports(5))


@pytest.mark.parametrize("name", [name for name in ACTIONS if name != "import"])
def test_an_edit_of_a_stale_page_lands_where_others_did_something_else(
    name: str, as_alice: Client, four: SecurityGroup, erin: User
) -> None:
    rest, fields, result = actions(four)[name]
    erin_makes(four, erin, lambda rules: (*lists.remove(rules, [4]), *ports(5)))

    response = as_alice.post(url(four, rest), fields | {"base": 1})
    if response.status_code == 200:
        response = say_yes(as_alice, response)

    assert response.status_code == 302
    assert list_of(four) == result
    assert revision(four) == 3
    assert "Others have changed the group in the meantime, and that stays too." in messages(as_alice)


def with_preview(client: Client, group: SecurityGroup) -> dict[str, Any]:
    """A form that is sent after its preview was looked at."""
    fields = add_nine(group)
    shown = client.post(url(group, "rules/new/"), fields | {"preview": "1"}, headers=HTMX).content.decode()
    return fields | {"seen": shown.partition('name="seen" value="')[2].partition('"')[0]}


def test_what_was_looked_at_is_not_asked_about_again_while_it_means_the_same(
    as_alice: Client, four: SecurityGroup, erin: User
) -> None:
    fields = with_preview(as_alice, four)
    erin_makes(four, erin, lambda rules: lists.insert(rules, 5, rule("accept in udp 53")))

    assert as_alice.post(url(four, "rules/new/"), fields).status_code == 302
    assert list_of(four) == [9, 1, 2, 3, 4, 53]


def test_what_means_something_else_by_now_is_asked_about_again(
    as_alice: Client, four: SecurityGroup, erin: User
) -> None:
    fields = with_preview(as_alice, four)
    erin_makes(four, erin, lambda rules: lists.insert(rules, 5, rule("accept in tcp 9 from 10.0.0.0/8")))

    response = as_alice.post(url(four, "rules/new/"), fields)

    assert (response.status_code, revision(four)) == (200, 2)
    assert say_yes(as_alice, response).status_code == 302
    assert list_of(four) == [9, 1, 2, 3, 4, 9]


@pytest.mark.parametrize("name", ACTIONS)
def test_every_edit_of_a_stale_page_is_shown_beside_theirs_and_can_be_applied_on_top(
    name: str, as_alice: Client, four: SecurityGroup, erin: User
) -> None:
    rest, fields, _ = actions(four)[name]
    result = ON_TOP.get(name, [8, 1, 2, 3, 5])
    erin_makes(four, erin, touched_by_erin)
    response = as_alice.post(url(four, rest), fields | {"base": 1})
    page = Page(response)
    assert response.status_code == 409
    assert page.title.startswith("four was changed in the meantime")
    assert "Nothing was written. erin made revision 2" in page.text
    assert "Reason: Ticket 7" in page.text
    for heading in ("Theirs, since revision 1", "Yours, to revision 1", "Revision 1", "Theirs, now"):
        assert heading in page.text
    assert list_of(four) == [8, 1, 2, 3, 5]
    response = page.form_with("onto").send(as_alice)
    if response.status_code == 200:
        response = say_yes(as_alice, response)
    assert response.status_code == 302
    assert list_of(four) == result
    assert revision(four) == 3
    if name in ("off", "bulk off"):
        assert not four.rules.get(position=3).enabled
    if name in ("edit", "bulk source"):
        assert str(four.rules.get(position=3).source) == "10.0.0.0/8"


def test_applied_on_top_it_is_asked_about_where_both_touched_a_rule(
    as_alice: Client, four: SecurityGroup, erin: User
) -> None:
    rest, fields, _ = actions(four)["delete"]
    erin_makes(four, erin, lambda rules: lists.change(rules, 2, rule("accept in tcp 2 from 10.0.0.0/8")))
    page = Page(as_alice.post(url(four, rest), fields | {"base": 1}))
    question = page.form_with("onto").send(as_alice)
    assert "Rule 2 was changed in the meantime; yours removes it." in Page(question).text
    assert revision(four) == 2
    say_yes(as_alice, question)
    assert list_of(four) == [1, 3, 4]


def test_on_top_of_a_third_change_it_is_a_conflict_again(as_alice: Client, four: SecurityGroup, erin: User) -> None:
    rest, fields, _ = actions(four)["delete"]
    erin_makes(four, erin, lambda rules: lists.change(rules, 2, rule("accept in tcp 2", "Erin's")))
    on_top = Page(as_alice.post(url(four, rest), fields | {"base": 1})).form_with("onto")
    erin_makes(four, erin, lambda rules: lists.remove(rules, [3]))
    again = on_top.send(as_alice)
    assert again.status_code == 409
    assert list_of(four) == [1, 2, 4]
    say_yes(as_alice, Page(again).form_with("onto").send(as_alice))
    assert list_of(four) == [1, 4]


def test_a_change_between_the_question_on_top_and_its_answer_is_a_conflict(
    as_alice: Client, four: SecurityGroup, erin: User
) -> None:
    rest, fields, _ = actions(four)["delete"]
    erin_makes(four, erin, lambda rules: lists.change(rules, 2, rule("accept in tcp 2", "Erin's")))
    question = Page(as_alice.post(url(four, rest), fields | {"base": 1})).form_with("onto").send(as_alice)
    erin_makes(four, erin, lambda rules: lists.remove(rules, [3]))
    assert Page(question).form_with("sure").send(as_alice).status_code == 409
    assert list_of(four) == [1, 2, 4]


def test_what_both_brought_back_stands_there_once(as_alice: Client, four: SecurityGroup, erin: User) -> None:
    erin_makes(four, erin, lambda rules: lists.remove(rules, [2]))
    form = Page(as_alice.get(url(four, "history/1/restore/"))).form_with("sure")
    erin_makes(four, erin, lambda rules: operations.rules_at(four, 1)[:3])
    page = Page(form.send(as_alice))
    response = page.form_with("onto").send(as_alice)
    response = say_yes(as_alice, response) if response.status_code == 200 else response
    assert response.status_code == 302
    assert list_of(four).count(2) == 1


def test_a_group_that_was_deleted_meanwhile_is_gone(as_alice: Client, four: SecurityGroup, erin: User) -> None:
    form = Page(as_alice.post(url(four, "rules/new/"), add_nine(four))).form_with("sure")
    operations.delete_group(group=four, base=1, by=By(erin))
    assert form.send(as_alice).status_code == 404


@pytest.mark.parametrize("base", ["", "0", "-1", "99", "x", "1.0", "٩", "9" * 40])
def test_a_base_that_never_was_is_a_conflict_without_sides(base: str, as_alice: Client, four: SecurityGroup) -> None:
    response = as_alice.post(url(four, f"rules/{uid(four, 1)}/delete/"), {"base": base, "onto": "1"})
    page = Page(response)
    assert response.status_code == 409
    assert "Apply mine on top" not in page.text
    assert revision(four) == 1


def test_who_may_only_look_is_asked_nothing(as_bob: Client, as_charlie: Client, four: SecurityGroup) -> None:
    for name, (rest, fields, _) in actions(four).items():
        assert as_bob.post(url(four, rest), fields | {"base": 1}).status_code == 403, name
        assert as_charlie.post(url(four, rest), fields | {"base": 1}).status_code == 404, name
    assert revision(four) == 1


def test_the_lockout_warning_is_about_where_the_request_came_from(as_alice: Client, project: Project) -> None:
    group = make_group(project, "ssh", ["accept in tcp 22"])
    make_machine(project, "bastion", [group], ipv4="10.0.0.9")
    delete = url(group, f"rules/{uid(group, 1)}/delete/")
    near = Page(as_alice.get(delete, REMOTE_ADDR="203.0.113.9")).text
    assert "You are connected from 203.0.113.9. This would cut SSH from there to bastion" in near
    assert "You are connected" not in Page(as_alice.get(delete, REMOTE_ADDR="2001:db8::1")).text


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "198.51.100.7", "203.0.113.9"),
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "192.0.2.1, 198.51.100.7", "198.51.100.7"),
        (2, "192.0.2.1, 198.51.100.7, 203.0.113.1", "198.51.100.7"),
        (2, "198.51.100.7", ""),
        (1, "nonsense", ""),
        (1, "", ""),
    ],
)
def test_where_a_request_came_from_is_told_by_the_trusted_proxies_alone(
    as_alice: Client, project: Project, settings: Any, proxies: int, forwarded: str, address: str
) -> None:
    settings.PROXY_COUNT = proxies
    group = make_group(project, "ssh", ["accept in tcp 22"])
    make_machine(project, "bastion", [group], ipv4="10.0.0.9")
    delete = url(group, f"rules/{uid(group, 1)}/delete/")
    page = Page(as_alice.get(delete, REMOTE_ADDR="203.0.113.9", headers={"X-Forwarded-For": forwarded})).text
    assert (f"You are connected from {address}." in page) if address else ("You are connected" not in page)


def test_names_in_questions_and_conflicts_are_text(as_alice: Client, project: Project, erin: User) -> None:
    evil = "<script>alert(1)</script>"
    group = make_group(project, evil, [rule("accept in tcp 1", evil), rule("accept in tcp 2", evil)])
    make_machine(project, f"{evil}1", [group])
    delete = url(group, f"rules/{uid(group, 1)}/delete/")
    pages = [as_alice.get(delete)]
    erin_makes(group, erin, lambda rules: lists.change(rules, 1, rule("accept in tcp 3", evil)))
    pages.append(as_alice.post(delete, {"base": 1, "reason": evil, evil: evil}))
    for response in pages:
        assert evil not in response.content.decode()
    assert [page.status_code for page in pages] == [200, 409]


def test_a_vm_s_groups_are_asked_about_in_the_same_way(as_alice: Client, machine: VirtualMachine) -> None:
    settings = f"{machine.get_absolute_url()}settings/"
    form = Page(as_alice.get(settings)).form_with("base")
    question = as_alice.post(settings, form.fields | {"group": []})
    answer = Page(question).form_with("sure")
    assert as_alice.post(settings, answer.fields | {"sure": ["forged"]}).status_code == 200
    assert machine.attachments.count() == 2
    assert answer.send(as_alice).status_code == 302
    assert machine.attachments.count() == 0


def test_a_rule_dropped_where_the_list_has_no_place_any_more_asks_for_one(as_erin: Client, four: SecurityGroup) -> None:
    response = as_erin.post(url(four, "rules/drop/"), {"rule": uid(four, 2), "position": "5", "base": 1}, headers=HTMX)
    assert (response.status_code, response["HX-Retarget"], response["HX-Reselect"]) == (422, "#dialog", "#confirm")
    form = Page(response).form_with("position")
    assert Page(form.send(as_erin, position="9")).errors == {
        "position": "The list has 4 rules: type a number from 1 to 4."
    }
    assert form.send(as_erin, position="4").status_code == 302
    assert list_of(four) == [1, 3, 4, 2]


def test_a_rule_that_would_never_act_is_asked_about_unless_that_was_seen(
    as_alice: Client, four: SecurityGroup, project: Project
) -> None:
    """On its VM another group drops everything first, so no traffic changes, and that is what has to be known."""
    front = make_group(project, "front", ["drop in all"])
    machine = VirtualMachine.objects.select_related("project").get(name="vm")
    operations.attach_groups(machine=machine, groups=[front, four], base=1, by=By())
    asked = as_alice.post(url(four, "rules/new/"), add_nine(four))
    text = Page(asked).text
    assert "No traffic changes" in text
    assert "four, rule 1 on vm: No packet reaches this rule: front, rule 1 takes all of it, and drops it." in text
    assert revision(four) == 1
    shown = as_alice.post(url(four, "rules/new/"), add_nine(four, preview="1"), headers=HTMX).content.decode()
    seen = shown.split('name="seen" value="')[1].split('"')[0]
    assert "front, rule 1 takes all of it" in shown
    assert as_alice.post(url(four, "rules/new/"), add_nine(four, seen=seen)).status_code == 302
    assert revision(four) == 2


def test_a_reason_that_cannot_be_kept_is_told_and_nothing_is_written(as_erin: Client, four: SecurityGroup) -> None:
    """Chat programs put marks that nobody sees into what is copied from them."""
    for name, (rest, fields, _) in actions(four).items():
        response = as_erin.post(url(four, rest), fields | {"base": 1, "reason": "\u202a10.0.0.5"}, follow=True)
        question = Page(response)
        if response.status_code == 200 and any("sure" in form.fields for form in question.forms):
            response = question.form_with("sure").send(as_erin, reason="\u202a10.0.0.5")
        assert response.status_code in (200, 302, 422), name
        assert revision(four) == 1, name


def test_the_head_of_the_page_follows_a_change(as_erin: Client, four: SecurityGroup) -> None:
    response = as_erin.post(url(four, f"rules/{uid(four, 2)}/up/"), {"base": 1}, headers=HTMX)
    text = response.content.decode()
    assert 'id="group-meta" hx-swap-oob="true"' in text
    assert "revision 2, " in Page(response).text
    # Enter in its filter goes to the page, not to where the rule was moved.
    assert f'method="get" role="search" action="{four.get_absolute_url()}"' in text
