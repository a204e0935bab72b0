"""Rules of other systems become groups: a report on each line, a look before anything is written, all of them or none."""

import csv
import io
import json
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from django.test import Client

from securitygroups import brought, operations
from securitygroups.firewall.formats import systems
from securitygroups.firewall.formats.documents import MAX_DOCUMENT_BYTES
from securitygroups.models import Event, Project, SecurityGroup, values
from securitygroups.operations import By
from tests import others
from tests.factories import make_group, make_machine, ports, rule
from tests.web.pages import HTMX, Page, messages, say_yes
from tests.web.test_files import new, over, revision, rules_of, upload

ONE = """#otherwall
group office
allow 443 203.0.113.0/24
less 22
deny everything that moves
"""
THREE = """#otherwall
stray line
group web
allow 443
group db
allow 5432 198.51.100.0/24
less 22
group <b>bastion</b>
allow 22
deny "all" {"from": ["0.0.0.0/0"]}
"""


@pytest.fixture(autouse=True)
def other_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems, "SYSTEMS", (others.SYSTEM,))


def asked(client: Client, project: Project, text: str, **more: Any) -> Page:
    response = client.post(new(project), {"file": upload(text.encode(), "rules.txt"), **more})
    assert response.status_code == 200
    return Page(response)


def live(project: Project) -> set[str]:
    return set(project.groups.live().values_list("name", flat=True))


# ── One group ─────────────────────────────────────────────────────────────────


def test_each_line_says_how_it_was_taken_before_anything_is_made(as_erin: Client, project: Project) -> None:
    page = asked(as_erin, project, ONE)

    assert "2 rules for office" in page.text
    assert "Read as Otherwall rules, 1 group" in page.text
    assert "1 not taken 1 narrowed 1 exact" in page.text
    at = [
        page.text.index(words) for words in ("line 5", "It asks for what", "line 4", "Only from 192.0.2.0/24", "line 3")
    ]
    assert at == sorted(at), "what is missing stands first, the exact ones last"
    assert "Rule 2: Accept inbound TCP to port 22 (SSH) from 192.0.2.0/24" in page.text
    assert live(project) == set()


def test_a_group_of_another_system_is_made_and_remembers_where_it_came_from(as_erin: Client, project: Project) -> None:
    assert asked(as_erin, project, ONE).form_with("sure").send(as_erin, name="bureau").status_code == 302

    made = SecurityGroup.objects.get(name="bureau")
    assert rules_of(made) == (rule("accept in tcp 443 from 203.0.113.0/24"), rule("accept in tcp 22 from 192.0.2.0/24"))
    read_from = "Imported with 2 rules, read from Otherwall rules: 1 line narrowed, 1 line not taken."
    assert made.revisions.get().summary == read_from
    assert "Imported bureau from Otherwall rules." in Event.objects.get(group=made).summary


def test_the_document_of_one_group_stands_on_the_page_that_asks(as_erin: Client, project: Project) -> None:
    form = asked(as_erin, project, ONE, name="mine").form_with("sure")

    document = json.loads(form.fields["text"][0])
    assert (document["name"], len(document["rules"])) == ("mine", 2)


def test_back_to_the_form_is_the_file_as_it_came(as_erin: Client, project: Project) -> None:
    form = asked(as_erin, project, ONE, name="mine").form_with("sure")
    back = Page(form.send(as_erin, back="1")).form_with("text")

    # A browser leaves the line break out that the area begins with.
    assert back.fields["text"] == [f"\n{ONE}"]
    assert back.fields["name"] == ["mine"]
    assert "brought" not in back.fields
    again = Page(back.send(as_erin, text=ONE))
    assert "1 not taken 1 narrowed 1 exact" in again.text


def test_a_name_that_is_taken_is_said_before_anybody_agrees(as_erin: Client, project: Project) -> None:
    make_group(project, "OFFICE")

    page = asked(as_erin, project, ONE)

    assert "The project has a group of this name already" in page.text
    response = page.form_with("sure").send(as_erin)
    assert (response.status_code, live(project)) == (422, {"OFFICE"})


def test_another_file_than_the_one_looked_at_makes_no_group(as_erin: Client, project: Project) -> None:
    form = asked(as_erin, project, ONE).form_with("sure")
    for changed in ("group office\nallow 22", ONE.replace("deny everything", "deny nothing")):
        other = form.send(as_erin, brought=_packed(changed if changed.startswith("#") else f"#otherwall\n{changed}"))

        assert other.status_code == 200
        assert "for office" in Page(other).text
    assert live(project) == set()


def _packed(text: str) -> str:
    from securitygroups.web.brought import File

    return File(text.encode()).packed()


@pytest.mark.parametrize("along", ["", "x", "10.0.0.5/24", "é", "A" * 5000, "eJwDAAAAAAE=", "====", "-_-_"])
def test_what_nobody_has_packed_is_no_file(along: str, as_erin: Client, project: Project) -> None:
    response = as_erin.post(new(project), {"brought": along, "name": "x", "sure": "1"})

    assert response.status_code == 422
    assert "There is nothing in it" in Page(response).text


def test_no_more_is_unpacked_than_a_file_may_be_long(as_erin: Client, project: Project) -> None:
    from securitygroups.web.brought import File

    bomb = File(b" " * 64 * 2**20).packed()
    response = as_erin.post(new(project), {"brought": bomb})

    assert response.status_code == 422
    assert "larger than 8 MiB" in Page(response).text


def test_the_largest_file_there_may_be_goes_along_with_its_question(settings: Any) -> None:
    from securitygroups.web.brought import File

    along = File(Random(1).randbytes(MAX_DOCUMENT_BYTES), "a workbook.xlsx").packed()

    assert len(along) + 2**20 < settings.DATA_UPLOAD_MAX_MEMORY_SIZE, "nothing makes a packed workbook smaller"


# ── Several groups ────────────────────────────────────────────────────────────


def test_the_groups_of_one_file_are_all_made_at_once(as_erin: Client, project: Project) -> None:
    page = asked(as_erin, project, THREE)

    assert "Read as Otherwall rules, 3 groups: 1 line narrowed, 2 lines not taken." in page.text
    assert "This opens SSH (TCP 22) to every address on the internet. <b>bastion</b>" in page.text
    assert "Lines of no group" in page.text
    form = page.form_with("sure")
    assert form.send(as_erin, **{"name-1": "database"}).status_code == 302
    assert live(project) == {"web", "database", "<b>bastion</b>"}
    assert "Imported 3 groups from Otherwall rules: web, database and &lt;b&gt;bastion&lt;/b&gt;." in messages(as_erin)
    lines = list(project.events.filter(verb=Event.Verb.GROUP_CREATED).values_list("summary", flat=True))
    assert sorted(lines) == [
        "Created <b>bastion</b>.",
        "Created database.",
        "Created web.",
        "Imported 3 groups from Otherwall rules: web, database and <b>bastion</b>.",
    ]
    made = SecurityGroup.objects.get(name="database")
    assert made.revisions.get().summary == "Imported with 2 rules, read from Otherwall rules: 1 line narrowed."


def test_a_group_that_is_not_ticked_is_left_out(as_erin: Client, project: Project) -> None:
    form = asked(as_erin, project, THREE).form_with("sure")

    assert form.send(as_erin, "take-0", "take-2").status_code == 302

    assert live(project) == {"db"}


def test_without_a_tick_nothing_is_made_and_that_is_said(as_erin: Client, project: Project) -> None:
    response = asked(as_erin, project, THREE).form_with("sure").send(as_erin, "take-0", "take-1", "take-2")

    assert response.status_code == 422
    assert "Tick at least one group" in Page(response).text
    assert live(project) == set()


def test_only_what_is_ticked_raises_an_alarm(as_erin: Client, project: Project) -> None:
    page = asked(as_erin, project, THREE)
    assert "Import them all the same" in page.text

    again = Page(page.form_with("sure").send(as_erin, "take-2", **{"name-0": "x" * 101}))

    assert "This opens SSH (TCP 22) to every address on the internet. <b>bastion</b> (not ticked)" in again.text
    assert "Import what is ticked" in again.text
    assert "Import them all the same" not in again.text


@pytest.mark.parametrize(
    ("name", "offered", "told"),
    [
        ("y" * 120, "y" * 100, f"In the file it is called “{'y' * 57}…”."),
        ("web\u200b", "web", "In the file it is called “web\ufffd”."),
        ("\u202egnp.exe", "gnp.exe", "In the file it is called “\ufffdgnp.exe”."),
    ],
)
def test_a_name_that_no_group_can_have_is_offered_as_one_can(
    name: str, offered: str, told: str, as_erin: Client, project: Project
) -> None:
    page = asked(as_erin, project, f"#otherwall\ngroup {name}\nallow 443\ngroup db\nallow 5432 10.0.0.0/8\n")

    assert page.form_with("sure").fields["name-0"] == [offered]
    assert told in page.text
    assert page.form_with("sure").send(as_erin).status_code == 302
    assert live(project) == {offered, "db"}
    alone = asked(as_erin, project, f"#otherwall\ngroup {name}\nallow 443\n")
    assert told in alone.text


def test_a_group_whose_name_is_taken_is_not_ticked_and_can_be_named_otherwise(
    as_erin: Client, project: Project
) -> None:
    make_group(project, "Web")

    page = asked(as_erin, project, THREE)

    form = page.form_with("sure")
    assert "1 name is taken in this project: this group is not ticked." in page.text
    assert "take-0" not in form.fields
    again = form.send(as_erin, **{"take-0": "on"})
    assert (again.status_code, live(project)) == (422, {"Web"})
    assert "has a group of this name already" in Page(again).errors["name-0"]
    assert Page(again).form_with("sure").send(as_erin, **{"name-0": "web 2"}).status_code == 302
    assert live(project) == {"Web", "web 2", "db", "<b>bastion</b>"}


def test_all_that_is_wrong_is_said_at_once_and_what_was_typed_stays(as_erin: Client, project: Project) -> None:
    form = asked(as_erin, project, THREE).form_with("sure")

    response = form.send(as_erin, **{"name-0": "same", "name-1": "SAME", "name-2": " "})

    page = Page(response)
    assert response.status_code == 422
    assert "Two groups of the file have this name" in page.errors["name-1"]
    assert "Type a name for the group." in page.errors["name-2"]
    assert page.form_with("sure").fields["name-0"] == ["same"]
    assert live(project) == set()


def test_what_fails_in_the_last_group_leaves_nothing_of_the_others(
    as_erin: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = asked(as_erin, project, THREE).form_with("sure")
    monkeypatch.setattr(operations, "names_taken", lambda *about: {})
    events = Event.objects.count()

    response = form.send(as_erin, **{"name-2": "web"})

    assert response.status_code == 422
    assert "already has a group of this name" in Page(response).errors["name-2"]
    assert (live(project), Event.objects.count()) == (set(), events)


def test_who_was_quicker_with_a_name_is_not_overwritten(as_erin: Client, project: Project) -> None:
    form = asked(as_erin, project, THREE).form_with("sure")
    make_group(project, "db")

    response = form.send(as_erin)

    assert response.status_code == 422
    assert "has a group of this name already" in Page(response).errors["name-1"]
    assert live(project) == {"db"}


def test_more_groups_than_the_project_has_room_for_are_counted(as_erin: Client, project: Project) -> None:
    make_group(project, "old")
    project.max_groups = 3
    operations.update_project(project=project, by=By())

    page = asked(as_erin, project, THREE)

    words = "The project has room for 2 more groups, these are 3: leave some out"
    assert words in page.text
    response = page.form_with("sure").send(as_erin)
    assert (response.status_code, live(project)) == (422, {"old"})
    assert words in Page(response).text
    assert Page(response).form_with("sure").send(as_erin, "take-2").status_code == 302
    assert live(project) == {"old", "web", "db"}


def test_a_group_with_too_many_rules_is_said_and_the_others_can_be_made(as_erin: Client, project: Project) -> None:
    project.max_rules = 1
    operations.update_project(project=project, by=By())

    page = asked(as_erin, project, THREE)

    form = page.form_with("sure")
    assert "can have 1 rules, this would be 2" in page.text
    assert "take-1" not in form.fields
    assert form.send(as_erin, **{"take-1": "on"}).status_code == 422
    assert form.send(as_erin).status_code == 302
    assert live(project) == {"web", "<b>bastion</b>"}


def test_sent_twice_it_is_imported_once(as_erin: Client, project: Project) -> None:
    form = asked(as_erin, project, THREE).form_with("sure")

    assert [form.send(as_erin).status_code for _ in range(2)] == [302, 302]

    assert project.groups.count() == 3


def test_a_fault_refuses_the_whole_file(as_erin: Client, project: Project) -> None:
    response = as_erin.post(new(project), {"text": f"{THREE}break this\n"})

    assert response.status_code == 422
    assert "line 11" in Page(response).text
    assert live(project) == set()


def test_a_file_without_a_group_is_named_for_what_it_is(as_erin: Client, project: Project) -> None:
    response = as_erin.post(new(project), {"text": "#otherwall\n"})

    assert response.status_code == 422
    assert "This is Otherwall rules, and there is no group in it" in Page(response).text


def test_a_large_file_is_imported_in_parts_that_pass_over_what_is_there(
    as_erin: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brought, "MOST_GROUPS", 2)

    page = asked(as_erin, project, THREE)

    assert "The file has 1 more group than fit onto one page." in page.text
    page.form_with("sure").send(as_erin)
    assert live(project) == {"web", "db"}
    form = asked(as_erin, project, THREE).form_with("sure")
    assert ("take-0" in form.fields, "take-2" in form.fields) == (False, True)
    form.send(as_erin)
    assert live(project) == {"web", "db", "<b>bastion</b>"}


def large(groups: int) -> str:
    """Groups of 50 lines, of which ten are not here as they were."""
    lines = [
        f"allow {port} 10.9.{port}.0/24" if port % 5 else "less 22" if port % 2 else "deny that thing there"
        for port in range(1, 51)
    ]
    return "#otherwall\n" + "".join(f"group g{nth}\n" + "\n".join(lines) + "\n" for nth in range(groups))


def test_a_large_file_makes_no_heavy_page_and_says_what_is_not_on_it(as_erin: Client, project: Project) -> None:
    response = as_erin.post(new(project), {"file": upload(large(120).encode())})

    page = Page(response)
    assert "The file has 20 more groups than fit onto one page." in page.text
    assert "And 7 more that are not here as they were: the whole report has them." in page.text
    assert "40 taken as they are: the whole report has them." in page.text
    assert len(response.content) < 550_000


@pytest.mark.parametrize("groups", [2, 40])
def test_the_page_of_many_groups_asks_as_much_as_one_of_two(
    groups: int, as_erin: Client, project: Project, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(6):
        response = as_erin.post(new(project), {"file": upload(large(groups).encode())})
    assert response.status_code == 200


def test_the_whole_report_is_a_file_that_runs_no_formula(as_erin: Client, project: Project) -> None:
    form = asked(as_erin, project, THREE.replace("stray line", '=HYPERLINK("x") stray')).form_with("sure")

    response = form.send(as_erin, report="csv")

    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert response["Content-Disposition"] == 'attachment; filename="import-report.csv"'
    assert [(row["Group"], row["Where"], row["Taken"]) for row in rows] == [
        ("", "line 2", "not taken"),
        ("web", "line 4", "exact"),
        ("db", "line 6", "exact"),
        ("db", "line 7", "narrowed"),
        ("<b>bastion</b>", "line 9", "exact"),
        ("<b>bastion</b>", "line 10", "not taken"),
    ]
    assert rows[0]["Line"].startswith("'=")
    assert rows[3]["Rules"] == "2. Accept inbound TCP to port 22 (SSH) from 192.0.2.0/24"
    assert live(project) == set()


def test_while_a_file_is_pasted_it_is_said_what_it_is_read_as(as_erin: Client, project: Project) -> None:
    group = make_group(project, "here")
    for address in (new(project), over(group)):
        several = as_erin.post(address, {"text": THREE, "preview": "1", "base": 1}, headers=HTMX)
        assert "Read as Otherwall rules, 3 groups. The next page shows each of them." in Page(several).text
    one = as_erin.post(new(project), {"text": ONE, "preview": "1"}, headers=HTMX)
    assert "Read as Otherwall rules, 1 group: 1 line narrowed, 1 line not taken." in Page(one).text


# ── Taken back ────────────────────────────────────────────────────────────────


def imported(client: Client, project: Project) -> str:
    """Import three groups; where Undo posts to."""
    asked(client, project, THREE).form_with("sure").send(client)
    line = project.events.get(detail__has_key="imported")
    return f"/p/{project.slug}/groups/import/undo/{line.pk}/"


def test_undo_takes_all_groups_of_an_import_back(as_erin: Client, project: Project) -> None:
    make_group(project, "old")
    undo = imported(as_erin, project)
    assert undo in messages(as_erin)

    as_erin.post(undo)

    assert "Undone: 3 groups are gone again." in messages(as_erin)
    assert live(project) == {"old"}
    as_erin.post(undo)
    assert "Not undone" in messages(as_erin)


@pytest.mark.parametrize("what", ["attached", "changed", "deleted"])
def test_what_was_built_on_since_is_not_taken_away(what: str, as_erin: Client, project: Project) -> None:
    undo = imported(as_erin, project)
    group = project.groups.get(name="db")
    if what == "attached":
        make_machine(project, "vm", [group])
    elif what == "changed":
        operations.commit_rules(group=group, rules=ports(1), base=1, by=By())
    else:
        operations.delete_group(group=group, base=1, by=By())
    before = live(project)

    as_erin.post(undo)

    assert "Not undone" in messages(as_erin)
    assert live(project) == before


def test_only_an_import_of_this_project_is_taken_back(
    as_erin: Client, as_charlie: Client, as_bob: Client, project: Project
) -> None:
    undo = imported(as_erin, project)
    other = make_group(project, "other")
    made = Event.objects.get(group=other)

    assert as_bob.post(undo).status_code == 403
    assert as_charlie.post(undo).status_code == 404
    as_charlie.post(undo.replace(project.slug, "bakery"))
    as_erin.post(f"/p/{project.slug}/groups/import/undo/{made.pk}/")

    assert live(project) == {"web", "db", "<b>bastion</b>", "other"}


# ── Over a group ──────────────────────────────────────────────────────────────


def test_over_a_group_the_report_is_seen_before_the_yes(as_erin: Client, project: Project) -> None:
    group = make_group(project, "here", ports(1))

    question = as_erin.post(over(group), {"text": ONE, "base": 1, "reason": "Moved"})

    page = Page(question)
    assert "Read as Otherwall rules: 1 line narrowed, 1 line not taken." in page.text
    assert "line 5" in page.text
    assert say_yes(as_erin, question).status_code == 302
    assert rules_of(group)[1] == rule("accept in tcp 22 from 192.0.2.0/24")
    newest = group.revisions.latest("number")
    assert newest.summary == "Imported 2 rules, read from Otherwall rules: 1 line narrowed, 1 line not taken."
    assert newest.reason == "Moved"


def test_the_same_rules_with_a_report_are_asked_about_too(as_erin: Client, project: Project) -> None:
    same = [rule("accept in tcp 443 from 203.0.113.0/24"), rule("accept in tcp 22 from 192.0.2.0/24")]
    group = make_group(project, "here", same)

    question = as_erin.post(over(group), {"text": ONE, "base": 1})

    assert "line 5" in Page(question).text
    say_yes(as_erin, question)
    assert (revision(group), "Nothing was changed." in messages(as_erin)) == (1, True)


def test_of_several_groups_one_is_chosen_for_this_one(as_erin: Client, project: Project) -> None:
    group = make_group(project, "here", ports(1))

    page = Page(as_erin.post(over(group), {"text": THREE, "base": 1, "reason": "Why"}))

    assert "Whose rules" in page.text
    assert "db 2 rules, 1 line narrowed" in page.text
    form = page.form_with("brought")
    assert form.send(as_erin).status_code == 422, "none was chosen"
    question = form.send(as_erin, which="1")
    assert "db, of Otherwall rules, 3 groups: 1 line narrowed." in Page(question).text
    assert say_yes(as_erin, question).status_code == 302
    assert rules_of(group)[0] == rule("accept in tcp 5432 from 198.51.100.0/24")
    assert group.revisions.latest("number").reason == "Why"


@pytest.mark.parametrize("which", ["3", "-1", "x", "", "99999999999999999999"])
def test_a_group_that_the_file_has_not_is_not_chosen(which: str, as_erin: Client, project: Project) -> None:
    group = make_group(project, "here", ports(1))
    form = Page(as_erin.post(over(group), {"text": THREE, "base": 1})).form_with("brought")

    assert form.send(as_erin, which=which).status_code == 422

    assert revision(group) == 1


def test_the_report_of_an_import_over_a_group_is_a_file_too(as_erin: Client, project: Project) -> None:
    group = make_group(project, "here", ports(1))
    form = Page(as_erin.post(over(group), {"text": ONE, "base": 1})).form_with("sure")

    assert b"line 5" in form.send(as_erin, report="csv").content

    assert revision(group) == 1


def test_who_was_quicker_is_shown_beside_the_file(as_erin: Client, project: Project) -> None:
    group = make_group(project, "here", ports(1))
    form = Page(as_erin.post(over(group), {"text": ONE, "base": 1})).form_with("sure")
    operations.commit_rules(group=group, rules=ports(1, 2), base=1, by=By())

    assert form.send(as_erin).status_code == 409

    assert revision(group) == 2


# ── Several groups of ours ────────────────────────────────────────────────────


def names(content: bytes) -> Sequence[str]:
    return [each["name"] for each in json.loads(content)["groups"]]


def test_all_groups_of_a_project_move_in_one_file(
    as_bob: Client, as_charlie: Client, project: Project, bakery: Project
) -> None:
    for name in ("web", "db <1>", "Büro"):
        make_group(project, name, [rule("accept in tcp 22 from 203.0.113.0/24", f"For {name}"), *ports(7)])
    content = as_bob.get(f"/p/{project.slug}/groups/export.json").content
    assert sorted(names(content)) == ["Büro", "db <1>", "web"]
    assert as_bob.get(f"/p/{project.slug}/groups/export.json").content == content
    assert names(as_bob.get(f"/p/{project.slug}/groups/export.json?q=web").content) == ["web"]

    page = Page(as_charlie.post(new(bakery), {"file": upload(content)}))
    assert "Read as a file of this panel, 3 groups." in page.text
    assert page.form_with("sure").send(as_charlie).status_code == 302

    for name in ("web", "db <1>", "Büro"):
        there = values(list(project.groups.get(name=name).rules.in_order()))
        made = bakery.groups.get(name=name)
        assert values(list(made.rules.in_order())) == there
        assert made.revisions.get().summary == "Imported with 2 rules."


def test_a_fault_in_a_file_of_several_groups_is_told_with_its_place(as_erin: Client, project: Project) -> None:
    good = {"name": "a", "rules": []}
    for group, words in (
        ({"name": "b", "rules": [{"action": "accept"}]}, "groups[1].rules[0]"),
        ({"name": "b", "rules": [], "colour": 1}, "“colour” is not a key here"),
        ({"name": "", "rules": []}, "groups[1].name"),
        ([], "groups[1]"),
    ):
        text = json.dumps({"format": "karenpanel.groups/1", "groups": [good, group]})
        response = as_erin.post(new(project), {"text": text})
        assert response.status_code == 422
        assert words in Page(response).text
    for text in ('{"format": "karenpanel.groups/1"}', '{"format": "karenpanel.groups/1", "groups": 1}'):
        assert as_erin.post(new(project), {"text": text}).status_code == 422
    assert live(project) == set()
