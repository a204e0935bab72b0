"""Lists that are filtered, put in order, kept under a name and taken along as files."""

import csv
import io
import re
import zipfile
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
import python_calamine
from django.core.exceptions import ValidationError
from django.test import Client

from securitygroups import operations
from securitygroups.effective import TooLarge, rules_of_group
from securitygroups.firewall.formats.systems import read_file
from securitygroups.models import MOST_VIEWS, Event, Project, SavedView, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from securitygroups.web.views.exports import WORKBOOK
from tests.factories import make_group, make_machine, ports, rule
from tests.web.pages import HTMX, Page, messages

VMS, GROUPS = "/p/shop/machines/", "/p/shop/groups/"


@pytest.fixture
def fleet(project: Project, alice: User) -> dict[str, VirtualMachine]:
    """open has “world”, inner has “office”, both has both, and alone has none."""
    world = make_group(project, "world", ["accept in tcp 443"])
    office = make_group(project, "office", ["accept in tcp 22 from 10.0.0.0/8"])
    found = {
        "open": make_machine(project, "open", [world], ipv4="10.0.2.1"),
        "inner": make_machine(project, "inner", [office], ipv4="10.0.10.1"),
        "both": make_machine(project, "both", [office, world], ipv4="10.0.2.3"),
        "alone": make_machine(project, "alone", ipv6="2001:db8::1"),
    }
    for name, tags in (("open", ["env=prod", "web"]), ("inner", ["env=prod"])):
        operations.update_machine(machine=found[name], fields={"tags": tags}, by=By(alice))
    return found


def rows(response: Any) -> list[str]:
    """The names in the table, in order."""
    return re.findall(r'<th scope="row" class="main">\s*<a[^>]*>([^<]*)</a>', response.content.decode())


# ── Filters ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("is=alone", ["alone"]),
        ("is=open", ["both", "open"]),
        ("is=open&is=alone", []),
        ("group=office", ["both", "inner"]),
        ("group=OFFICE&group=world", ["both"]),
        ("not=world", ["alone", "inner"]),
        ("group=office&not=world", ["inner"]),
        ("group=nothing", []),
        ("not=nothing", ["alone", "both", "inner", "open"]),
        ("tag=env%3Dprod", ["inner", "open"]),
        ("tag=Env%3DProd&tag=web", ["open"]),
        ("tag=env", []),
        ("q=prod", ["inner", "open"]),
        ("q=10.0.2.&is=open&group=office", ["both"]),
        ("q=10.0.2.&tag=web", ["open"]),
        ("is=nonsense&sort=nonsense&tag=", ["alone", "both", "inner", "open"]),
    ],
)
def test_vms_are_filtered_by_all_that_is_asked(
    query: str, names: list[str], as_bob: Client, fleet: dict[str, VirtualMachine]
) -> None:
    assert rows(as_bob.get(f"{VMS}?{query}")) == names


def test_a_group_is_named_by_its_id_too(as_bob: Client, fleet: dict[str, VirtualMachine], project: Project) -> None:
    group = project.groups.get(name="office")
    assert rows(as_bob.get(VMS, {"group": group.public_id})) == ["both", "inner"]


def test_another_projects_group_finds_nothing(
    as_bob: Client, fleet: dict[str, VirtualMachine], bakery: Project
) -> None:
    oven = make_group(bakery, "oven", ports(1))
    make_machine(bakery, "baker", [oven])
    for name in ("oven", oven.public_id):
        assert rows(as_bob.get(VMS, {"group": name})) == []


def test_each_filter_is_a_chip_that_takes_it_away(as_bob: Client, fleet: dict[str, VirtualMachine]) -> None:
    response = as_bob.get(f"{VMS}?q=10.&is=open&group=office&tag=web&sort=-name")
    page = Page(response)

    for words in ("Reached by the internet", "Has group office", "Tag web"):
        assert words in page.text
    ways = re.findall(r'href="/p/shop/machines/\?([^"]*)" aria-label="Remove the filter', response.content.decode())
    assert [way.replace("&amp;", "&") for way in ways] == [
        "q=10.&group=office&tag=web&sort=-name",
        "q=10.&is=open&tag=web&sort=-name",
        "q=10.&is=open&group=office&sort=-name",
    ]
    assert "0 of 4" not in page.text
    assert "No virtual machine has “10.” and fits the filters" in page.text


def test_a_filtered_list_says_how_many_of_how_many(as_bob: Client, fleet: dict[str, VirtualMachine]) -> None:
    assert "2 of 4 virtual machines match the filters." in Page(as_bob.get(f"{VMS}?is=open")).text
    assert "1 of 4 virtual machines matches “inner”." in Page(as_bob.get(f"{VMS}?q=inner")).text
    assert (
        "1 of 4 virtual machines matches “10.0.2.” and the filters."
        in Page(as_bob.get(f"{VMS}?q=10.0.2.&tag=web")).text
    )


def test_what_is_on_stays_on_while_one_types(as_bob: Client, fleet: dict[str, VirtualMachine]) -> None:
    form = Page(as_bob.get(f"{VMS}?is=open&group=office&tag=web")).forms
    filters = next(one for one in form if "q" in one.fields)
    assert filters.fields["is"] == ["open"]
    assert filters.fields["group"] == ["office", ""]
    assert filters.fields["tag"] == ["web", ""]

    answer = as_bob.get(
        VMS, {"q": " both ", "is": "open", "group": ["office", ""], "tag": "", "sort": ""}, headers=HTMX
    )
    assert rows(answer) == ["both"]
    assert answer["HX-Replace-Url"] == f"{VMS}?q=both&is=open&group=office"


def test_more_than_can_be_looked_at_is_said_in_words(
    as_bob: Client, fleet: dict[str, VirtualMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*args: object) -> None:
        raise TooLarge(10**6)

    monkeypatch.setattr("securitygroups.answers.machine_filter.look", too_large)
    monkeypatch.setattr("securitygroups.answers.group_filter.look", too_large)
    for address in (VMS, GROUPS):
        assert "Too much to look at at once" in Page(as_bob.get(f"{address}?is=open")).text
        assert as_bob.get(f"{address}list.csv?is=open").status_code == 422


def test_a_change_of_rules_changes_what_the_internet_reaches(
    as_bob: Client, fleet: dict[str, VirtualMachine], project: Project, alice: User
) -> None:
    assert rows(as_bob.get(f"{VMS}?is=open")) == ["both", "open"]
    office = project.groups.get(name="office")
    operations.commit_rules(group=office, rules=[rule("accept in tcp 22")], base=1, by=By(alice))
    assert rows(as_bob.get(f"{VMS}?is=open")) == ["both", "inner", "open"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("is=unused", ["spare"]),
        ("is=open", ["world"]),
        ("is=lately", ["spare", "world"]),
        ("is=lately&is=open", ["world"]),
        ("q=o&sort=-rules", ["office", "world"]),
    ],
)
def test_groups_are_filtered_too(
    query: str, names: list[str], as_bob: Client, fleet: dict[str, VirtualMachine], project: Project
) -> None:
    make_group(project, "spare", ports(1))
    SecurityGroup.objects.filter(name="office").update(changed_at="2020-01-01T00:00Z")
    assert rows(as_bob.get(f"{GROUPS}?{query}")) == names


# ── Order ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("", ["alone", "both", "inner", "open"]),
        ("-name", ["open", "inner", "both", "alone"]),
        ("address", ["open", "both", "inner", "alone"]),
        ("-address", ["inner", "both", "open", "alone"]),
        ("groups", ["alone", "inner", "open", "both"]),
        ("-groups", ["both", "inner", "open", "alone"]),
        ("created", ["open", "inner", "both", "alone"]),
        ("-created", ["alone", "both", "inner", "open"]),
        ("-changed", ["inner", "open", "alone", "both"]),
    ],
)
def test_vms_stand_in_the_order_that_is_asked_for(
    sort: str, names: list[str], as_bob: Client, fleet: dict[str, VirtualMachine]
) -> None:
    assert rows(as_bob.get(VMS, {"sort": sort})) == names


def test_a_columns_head_says_its_order_and_leads_to_the_other(as_bob: Client, fleet: dict[str, VirtualMachine]) -> None:
    content = as_bob.get(f"{VMS}?tag=web&sort=-changed&page=1").content.decode()
    heads = re.findall(r'<th scope="col" class="sorts[^"]*"( aria-sort="\w+")?><a href="([^"]*)"', content)
    assert heads == [
        ("", "?tag=web"),
        ("", "?tag=web&amp;sort=address"),
        ("", "?tag=web&amp;sort=-groups"),
        (' aria-sort="descending"', "?tag=web&amp;sort=changed"),
    ]
    assert 'aria-sort="ascending"><a href="?sort=-name"' in as_bob.get(VMS).content.decode()


def test_the_order_holds_over_pages(as_bob: Client, project: Project, settings: Any) -> None:
    settings.PAGE_SIZE = 2
    for number in range(5):
        make_group(project, f"g{number}", ports(*range(1, number + 2)))
    found = [name for page in (1, 2, 3) for name in rows(as_bob.get(f"{GROUPS}?sort=-rules&page={page}"))]
    assert found == ["g4", "g3", "g2", "g1", "g0"]


# ── A row ─────────────────────────────────────────────────────────────────────


def test_tags_of_a_row_lead_to_those_who_have_them(as_bob: Client, fleet: dict[str, VirtualMachine]) -> None:
    response = as_bob.get(VMS)
    assert 'href="?tag=env%3Dprod" title="env=prod"' in response.content.decode()


def test_of_many_groups_a_row_shows_the_first(as_bob: Client, project: Project) -> None:
    make_machine(project, "busy", [make_group(project, f"g{n}") for n in range(8)])
    text = Page(as_bob.get(VMS)).text
    assert "g0 then g1 then g2 then g3 then g4 and 3 more" in text
    assert "g5" not in text


def test_the_fields_of_the_filter_offer_groups_and_tags(
    as_bob: Client, fleet: dict[str, VirtualMachine], project: Project
) -> None:
    make_group(project, '"><script>')
    offered = as_bob.get(f"{VMS}choices/").content.decode()
    assert re.findall(r'value="([^"]*)"', offered) == ["&quot;&gt;&lt;script&gt;", "office", "world"]
    assert re.findall(r'value="([^"]*)"', as_bob.get(f"{VMS}choices/?tags=1").content.decode()) == ["env=prod", "web"]


def test_where_vms_are_typed_those_are_offered_that_have_what_was_typed_last(as_bob: Client, project: Project) -> None:
    for name in ("app-1", "web-1", "web-2"):
        make_machine(project, name)
    for typed, names in (("", ["app-1", "web-1", "web-2"]), ("app-1, WEB", ["web-1", "web-2"]), ("web-1,2", ["web-2"])):
        offered = as_bob.get(f"{VMS}choices/", {"machines": typed}).content.decode()
        assert re.findall(r'value="([^"]*)"', offered) == names


# ── Saved views ───────────────────────────────────────────────────────────────


def save(client: Client, query: str = "of=machines&is=alone&page=2", **fields: str) -> Any:
    address = f"/p/shop/views/new/?{query}"
    Page(client.get(address)).form_with("name")
    return client.post(address, fields)


def test_a_view_is_the_filter_under_a_name(as_bob: Client, as_alice: Client, fleet: dict[str, VirtualMachine]) -> None:
    assert "Without a group" in Page(as_bob.get("/p/shop/views/new/?of=machines&is=alone")).text
    response = save(as_bob, name="Closed")
    assert response["Location"] == f"{VMS}?is=alone"

    shown = as_bob.get(VMS)
    assert 'href="?is=alone"' in shown.content.decode()
    assert "Closed" in Page(shown).text
    assert rows(as_bob.get(response["Location"])) == ["alone"]
    assert "Closed" not in Page(as_alice.get(VMS)).text, "it is bob's own"
    assert "Closed" not in Page(as_bob.get(GROUPS)).text
    assert not Event.objects.filter(verb=Event.Verb.PROJECT_CHANGED).exists()


def test_a_view_is_updated_where_the_list_is_filtered_in_another_way(
    as_bob: Client, as_erin: Client, fleet: dict[str, VirtualMachine]
) -> None:
    save(as_bob, name="Closed")
    address = f"/p/shop/views/{SavedView.objects.get().pk}/"
    assert f'href="{address}"' in as_bob.get(f"{VMS}?is=alone").content.decode()
    update = f"{address}?is=alone&amp;sort=-name"
    assert f'href="{update}"' in as_bob.get(f"{VMS}?is=alone&sort=-name").content.decode()
    assert "Update the view Closed" in Page(as_bob.get(update.replace("&amp;", "&"))).text

    response = as_bob.post(update.replace("&amp;", "&"), {"name": "Closed"})

    assert response["Location"] == f"{VMS}?is=alone&sort=-name"
    assert SavedView.objects.get().query == "is=alone&sort=-name"
    save(as_erin, "of=machines&is=open", name="Reached", shared="on")
    assert "Update view" not in Page(as_bob.get(f"{VMS}?is=open")).text, "it is a view as it is"
    shown = as_bob.get(f"{VMS}?q=app").content.decode()
    assert f'href="{address}?q=app"' in shown
    assert f"/views/{SavedView.objects.get(owner=None).pk}/" not in shown, "who may not change it is not asked to"
    assert "Update view" in as_erin.get(f"{VMS}?q=app").content.decode()


def test_editors_share_views_and_that_is_on_record(
    as_erin: Client, as_bob: Client, as_charlie: Client, project: Project
) -> None:
    save(as_erin, "of=groups&is=unused", name="Unused", shared="on")
    view = SavedView.objects.get()
    assert view.owner is None
    assert "Unused" in Page(as_bob.get(GROUPS)).text

    address = f"/p/shop/views/{view.pk}/"
    assert as_bob.post(address, {"name": "Mine now"}).status_code == 403
    assert as_bob.post(f"{address}delete/").status_code == 403
    assert as_charlie.get(address).status_code == 404
    as_erin.post(address, {"name": "Idle", "shared": "on"})
    as_erin.post(f"{address}delete/")
    said = Event.objects.filter(project=project, verb=Event.Verb.PROJECT_CHANGED).order_by("pk")
    assert [event.summary for event in said] == [
        "Shared the saved view Unused of the list Security Groups.",
        "Changed the saved view Idle of the list Security Groups.",
        "Deleted the saved view Idle of the list Security Groups.",
    ]
    assert not SavedView.objects.exists()


def test_a_viewer_keeps_views_but_shares_none(as_bob: Client, bob: User) -> None:
    assert "shared" not in Page(as_bob.get("/p/shop/views/new/?of=machines&is=alone")).form_with("name").fields
    save(as_bob, name="Closed", shared="on")
    assert SavedView.objects.get().owner == bob


def test_nobody_sees_or_touches_anothers_own_view(as_bob: Client, as_alice: Client) -> None:
    save(as_bob, name="Closed")
    address = f"/p/shop/views/{SavedView.objects.get().pk}/"
    for url in (address, f"{address}delete/"):
        assert as_alice.get(url).status_code == 404
        assert as_alice.post(url, {"name": "Taken"}).status_code == 404
    assert SavedView.objects.get().name == "Closed"


def test_a_name_is_taken_once_for_each_list_and_person(as_bob: Client, as_alice: Client) -> None:
    save(as_bob, name="Closed")
    again = save(as_bob, "of=machines&is=open", name="CLOSED")
    assert again.status_code == 422
    assert "There is a view of this name already: type another." in Page(again).text
    assert save(as_bob, "of=groups&is=unused", name="Closed").status_code == 302
    assert save(as_alice, name="Closed").status_code == 302


def test_there_is_an_end_to_views(as_bob: Client, project: Project, bob: User) -> None:
    SavedView.objects.bulk_create(
        SavedView(project=project, owner=bob, kind="machines", name=f"v{n}", query="is=alone")
        for n in range(MOST_VIEWS)
    )
    refused = save(as_bob, name="One more")
    assert refused.status_code == 422
    assert "Your own list has its 50 saved views already: delete one that is not used first." in Page(refused).text
    view = SavedView.objects.get(name="v1")
    assert as_bob.post(f"/p/shop/views/{view.pk}/", {"name": "Renamed"}).status_code == 302


def test_a_filter_that_is_too_long_to_be_saved_is_refused_in_words(as_bob: Client) -> None:
    query = urlencode({"of": "machines", "q": "€" * 200})
    refused = as_bob.post(f"/p/shop/views/new/?{query}", {"name": "Long"})
    assert refused.status_code == 422
    assert "shorten the search, or filter by less" in Page(refused).text


def test_a_view_that_was_deleted_or_taken_back_meanwhile_is_not_written_again(
    as_alice: Client, alice: User, erin: User
) -> None:
    save(as_alice, name="Alone", shared="on")
    seen_by_erin = SavedView.objects.get()
    SavedView.objects.update(owner=alice)
    with pytest.raises(ValidationError, match="taken it back"):
        operations.write_view(view=seen_by_erin, by=By(erin))
    operations.delete_view(view=seen_by_erin, by=By(erin))
    assert SavedView.objects.get().owner == alice
    SavedView.objects.all().delete()
    operations.delete_view(view=seen_by_erin, by=By(erin))
    assert not seen_by_erin.project.events.filter(summary__startswith="Deleted the saved view").exists()
    with pytest.raises(ValidationError, match="deleted this view"):
        operations.write_view(view=seen_by_erin, by=By(erin))
    assert not SavedView.objects.exists()


def test_a_list_that_is_not_filtered_is_no_view(as_bob: Client) -> None:
    assert as_bob.get("/p/shop/views/new/?of=machines&page=2")["Location"] == VMS
    assert "This list is not filtered: search, filter or sort it first" in messages(as_bob)
    assert as_bob.get("/p/shop/views/new/?of=members&is=alone").status_code == 404


# ── Files ─────────────────────────────────────────────────────────────────────


def table(response: Any) -> list[list[str]]:
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    text = response.content.decode()
    assert text.startswith("\ufeff"), "or spreadsheets mangle what is no English"
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


def test_the_list_of_vms_as_a_file_is_what_the_filter_finds(as_bob: Client, fleet: dict[str, VirtualMachine]) -> None:
    head, *found = table(as_bob.get(f"{VMS}list.csv?group=office&sort=-name"))
    assert head[:8] == [
        *("ID", "Name", "Description", "IPv4 address", "IPv6 address", "Tags", "Security Groups", "IDs of groups")
    ]
    assert [row[1] for row in found] == ["inner", "both"]
    both = found[1]
    assert (both[0], both[3], both[6]) == (fleet["both"].public_id, "10.0.2.3", "office, then world")
    assert len(both[7].split()) == 2


def test_the_platforms_own_ids_are_in_the_file_and_found_by(as_bob: Client, fleet: dict[str, VirtualMachine]) -> None:
    operations.update_machine(machine=fleet["both"], fields={"external_id": "i-0abc"}, by=By())

    head, *found = table(as_bob.get(f"{VMS}list.csv?q=i-0abc"))

    assert [(row[head.index("Name")], row[head.index("External ID")]) for row in found] == [("both", "i-0abc")]


def workbook(response: Any) -> tuple[str, list[list[Any]]]:
    """(name of the sheet, its rows), as another program reads them."""
    assert response["Content-Type"] == WORKBOOK
    book = python_calamine.load_workbook(io.BytesIO(response.content))
    (name,) = book.sheet_names
    return name, book.get_sheet_by_name(name).to_python()


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (f"{VMS}list.%s?sort=-name", "Virtual machines"),
        (f"{GROUPS}list.%s", "Security groups"),
        ("/p/shop/rules/list.%s", "Rules"),
        ("/p/shop/activity/list.%s", "Activity"),
    ],
)
def test_a_list_comes_as_a_workbook_with_what_the_csv_has(
    address: str, name: str, as_bob: Client, fleet: dict[str, VirtualMachine], group: SecurityGroup
) -> None:
    head, *rows = table(as_bob.get(address % "csv"))
    sheet, (its_head, *its_rows) = workbook(as_bob.get(address % "xlsx"))

    assert sheet == name
    assert its_head == [f"{word} (UTC)" if word in ("Created", "Changed", "Time") else word for word in head]
    assert rows
    assert [[as_csv_has(cell) for cell in row] for row in its_rows] == rows


def as_csv_has(cell: Any) -> str:
    if isinstance(cell, datetime):
        return cell.replace(tzinfo=UTC).isoformat(timespec="seconds")
    if isinstance(cell, float):
        return str(int(cell))
    return {"Yes": "true", "No": "false"}.get(cell, str(cell))


def test_a_list_of_rules_is_read_again_from_its_workbook(
    as_bob: Client, group: SecurityGroup, project: Project
) -> None:
    some = (
        rule("accept in tcp 1-2", "=1+1"),
        rule("drop in ip from 192.0.2.0/24 to 10.0.0.5", "-x"),
        rule("accept in icmp"),
    )
    make_group(project, "third", some)

    for kind in ("csv", "xlsx"):
        read = read_file(as_bob.get(f"/p/shop/rules/list.{kind}").content)
        named = {one.name: one.rules for one in read.groups}
        assert (named["third"], named["web"]) == (some, rules_of_group(group))


def test_an_empty_list_is_a_file_with_its_head_alone(as_bob: Client, project: Project) -> None:
    for address in (VMS, GROUPS, "/p/shop/rules/"):
        assert len(table(as_bob.get(f"{address}list.csv?q=nothing"))) == 1
        assert len(workbook(as_bob.get(f"{address}list.xlsx?q=nothing"))[1]) == 1


def test_no_cell_of_a_file_is_a_formula(as_bob: Client, project: Project, alice: User) -> None:
    make_machine(project, "=cmd|' /C calc'!A0")
    make_group(project, "+SUM(1)", [rule("accept in tcp 22", "@here")])
    [_, vm] = table(as_bob.get(f"{VMS}list.csv"))
    [_, group] = table(as_bob.get(f"{GROUPS}list.csv"))
    [_, found] = table(as_bob.get("/p/shop/rules/list.csv"))
    assert (vm[1][0], group[1][0], found[0][0], found[-2]) == ("'", "'", "'", "'@here")
    with zipfile.ZipFile(io.BytesIO(as_bob.get(f"{VMS}list.xlsx").content)) as parts:
        assert b"<f>" not in parts.read("xl/worksheets/sheet1.xml")


def test_groups_rules_and_activity_come_as_files_too(as_bob: Client, group: SecurityGroup, alice: User) -> None:
    [_, web] = table(as_bob.get(f"{GROUPS}list.csv"))
    assert web[:5] == [group.public_id, "web", "Public web servers", "5", "0"]

    head, *found = table(as_bob.get("/p/shop/rules/list.csv?q=443"))
    assert head[:5] == ["Group", "ID of group", "#", "Rule", "ID"]
    accept = dict(zip(head, next(row for row in found if row[2] == "2"), strict=True))
    assert (accept["Group"], accept["port_start"], accept["enabled"]) == ("web", "443", "true")
    assert accept["Rule"] == "Accept inbound TCP to port 443 (HTTPS) from anywhere"

    operations.update_group(group=group, name="site", description="", by=By(alice, reason="Büro"))
    _, newest, *_ = table(as_bob.get("/p/shop/activity/list.csv?who=ali"))
    assert newest[1:5] == ["alice", "", "false", "Group details changed"]
    assert newest[7:9] == ["site", group.public_id]
    assert table(as_bob.get("/p/shop/activity/list.csv?who=nobody"))[1:] == []


def test_a_file_that_is_cut_says_so(
    as_bob: Client, fleet: dict[str, VirtualMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("securitygroups.web.views.spreadsheets.MOST_ROWS", {"csv": 2, "xlsx": 2})
    rows_of = table(as_bob.get(f"{VMS}list.csv"))
    assert len(rows_of) == 4
    assert rows_of[3] == ["Only the first 2 rows are here: filter the list to get the others."]
    _, its_rows = workbook(as_bob.get(f"{VMS}list.xlsx"))
    assert (len(its_rows), its_rows[3][0]) == (4, rows_of[3][0])


def test_a_vm_that_was_moved_away_has_no_name_in_the_file(
    as_bob: Client, machine: VirtualMachine, bakery: Project, staff: User
) -> None:
    operations.move_machine(machine=machine, target=bakery, by=By(staff))
    moved = VirtualMachine.objects.get(pk=machine.pk)
    operations.update_machine(machine=moved, fields={"name": "secret-oven"}, by=By(staff))
    response = as_bob.get("/p/shop/activity/list.csv")
    assert machine.public_id in response.content.decode()
    assert "secret-oven" not in response.content.decode()
