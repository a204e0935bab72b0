"""Security Groups: the list, create, edit, duplicate, delete and bring back, where a group is attached."""

import pytest
from django.test import Client

from securitygroups import operations
from securitygroups.models import Event, Project, SecurityGroup, VirtualMachine
from securitygroups.operations import By
from tests.factories import make_group, make_machine
from tests.web.pages import Page, messages, part_and_page

LIST = "/p/shop/groups/"


def test_the_list_shows_each_group_with_its_rules_and_vms(as_bob: Client, machine: VirtualMachine) -> None:
    part, page = part_and_page(as_bob, LIST)
    for shown in (part, page):
        assert "web Public web servers" in shown.text
        assert "2 of at most 1,000 groups" in shown.text
    assert part.ids[0] == "groups"
    assert "Create Security Group" not in page.text, "a viewer cannot"


def test_an_empty_list_teaches(as_alice: Client, as_bob: Client, project: Project) -> None:
    assert "Create a group, add rules, and attach it" in Page(as_alice.get(LIST)).text
    assert "Create Security Group" not in Page(as_bob.get(LIST)).text


@pytest.mark.parametrize("query", ["WEB", "public", "sg-"])
def test_a_search_finds_names_descriptions_and_ids(query: str, as_alice: Client, group: SecurityGroup) -> None:
    make_group(group.project, "database")
    query = group.public_id if query == "sg-" else query
    text = Page(as_alice.get(LIST, {"q": query})).text
    assert "Public web servers" in text
    assert "database" not in text


def test_a_search_counts_what_it_found(as_alice: Client, group: SecurityGroup) -> None:
    make_group(group.project, "webs")
    make_group(group.project, "db")
    assert "2 of 3 groups match “web”." in Page(as_alice.get(f"{LIST}?q=web")).text
    assert "1 of 3 groups matches “db”." in Page(as_alice.get(f"{LIST}?q=db")).text
    assert "3 of at most 1,000 groups." in Page(as_alice.get(LIST)).text


def test_a_search_without_success_says_what_was_searched(as_alice: Client, group: SecurityGroup) -> None:
    page = as_alice.get(LIST, {"q": "<b>nothing</b>"})
    assert "No group has “<b>nothing</b>”" in Page(page).text
    assert b"<b>nothing" not in page.content


@pytest.mark.parametrize("query", ["%", "_", "\\", "' OR 1=1 --"])
def test_signs_of_the_database_are_letters_like_others(query: str, as_alice: Client, group: SecurityGroup) -> None:
    assert "No group has" in Page(as_alice.get(LIST, {"q": query})).text


@pytest.mark.parametrize(
    ("asked", "first"), [("2", "g50"), ("0", "g50"), ("-1", "g50"), ("x", "g00"), ("9" * 99, "g50")]
)
def test_a_page_number_that_is_none_gives_the_nearest(
    asked: str, first: str, as_alice: Client, project: Project
) -> None:
    for number in range(51):
        make_group(project, f"g{number:02}")
    page = Page(as_alice.get(LIST, {"page": asked}))
    assert first in page.text
    assert "of 51" in page.text


def test_creating_a_group(as_erin: Client, project: Project) -> None:
    form = Page(as_erin.get(f"{LIST}new/")).form_with("name")
    response = form.send(as_erin, name="web", description="Public")
    group = project.groups.get()
    assert response["Location"] == group.get_absolute_url()
    assert (group.name, group.description, group.revision, group.rules.count()) == ("web", "Public", 1, 0)
    assert "web was created." in messages(as_erin)


@pytest.mark.parametrize("name", ["", "x" * 101, "two\nlines", "\u202eback"])
def test_a_bad_name_is_told_at_its_field_and_what_was_typed_stays(
    name: str, as_alice: Client, project: Project
) -> None:
    response = as_alice.post(f"{LIST}new/", {"name": name, "description": "Kept <b>words</b>"})
    page = Page(response)
    assert response.status_code == 422
    assert page.title.startswith("Error:")
    assert page.errors["name"]
    assert page.form_with("name").fields["description"] == ["Kept <b>words</b>"]
    assert "There is a problem" in page.text
    assert not project.groups.exists()


@pytest.mark.parametrize("name", ["web", "WEB"])
def test_a_name_that_is_taken_is_told_at_the_name(name: str, as_alice: Client, group: SecurityGroup) -> None:
    response = as_alice.post(f"{LIST}new/", {"name": name})
    assert response.status_code == 422
    assert Page(response).errors["name"] == "The project already has a group of this name: type another."


def test_the_name_of_a_deleted_group_is_free_again(as_alice: Client, group: SecurityGroup) -> None:
    assert as_alice.post(f"{group.get_absolute_url()}delete/", {"base": 1}).status_code == 302
    assert as_alice.post(f"{LIST}new/", {"name": "web"}).status_code == 302


def test_no_more_groups_than_the_quota(as_alice: Client, group: SecurityGroup) -> None:
    Project.objects.update(max_groups=1)
    response = as_alice.post(f"{LIST}new/", {"name": "second"})
    assert response.status_code == 422
    assert "The project has its 1 group already: delete one that is not used first." in Page(response).text
    assert as_alice.post(f"{group.get_absolute_url()}duplicate/", {"name": "copy"}).status_code == 422
    assert group.project.groups.count() == 1


def test_sending_the_form_twice_makes_one_group(as_alice: Client, project: Project) -> None:
    assert [as_alice.post(f"{LIST}new/", {"name": "web"}).status_code for _ in range(2)] == [302, 422]
    assert project.groups.count() == 1


def test_a_form_without_any_field_says_what_is_missing(as_alice: Client, group: SecurityGroup) -> None:
    for url in (f"{LIST}new/", f"{group.get_absolute_url()}edit/", f"{group.get_absolute_url()}duplicate/"):
        response = as_alice.post(url, {})
        assert response.status_code == 422
        assert "Type a name for the group." in Page(response).errors["name"]


def test_editing_name_and_description(as_erin: Client, group: SecurityGroup) -> None:
    form = Page(as_erin.get(f"{group.get_absolute_url()}edit/")).form_with("name")
    assert form.fields["name"] == ["web"]
    form.send(as_erin, name="front", description="")
    group.refresh_from_db()
    assert (group.name, group.description, group.revision) == ("front", "", 1)


def test_duplicating_takes_the_rules_and_not_the_vms(as_alice: Client, machine: VirtualMachine) -> None:
    web = SecurityGroup.objects.get(name="web")
    form = Page(as_alice.get(f"{web.get_absolute_url()}duplicate/")).form_with("name")
    assert form.fields["name"] == ["web copy"]
    form.send(as_alice)
    copy = SecurityGroup.objects.get(name="web copy")
    assert [rule.as_value() for rule in copy.rules.in_order()] == [rule.as_value() for rule in web.rules.in_order()]
    assert not set(copy.rules.values_list("uid")) & set(web.rules.values_list("uid"))
    assert not copy.attachments.exists()


def test_deleting_names_the_vms_and_what_each_would_lose(as_alice: Client, machine: VirtualMachine) -> None:
    web = SecurityGroup.objects.get(name="web")
    make_machine(web.project, "lonely", [web])
    text = Page(as_alice.get(f"{web.get_absolute_url()}delete/")).text
    assert "2 virtual machines use this group and would lose its rules." in text
    assert "On 1 virtual machine web-1" in text
    assert "On 1 virtual machine lonely" in text
    assert "Newly denied: inbound TCP 443" in text
    assert "web-1 10.0.1.11 2001:db8:10:1::11 1 other group" in text
    assert "lonely none no group: everything would be denied" in text


def test_deleting_what_drops_ahead_of_an_accept_says_what_it_opens(as_alice: Client, project: Project) -> None:
    shield = make_group(project, "shield", ["drop in tcp 22"])
    opened = make_group(project, "opened", ["accept in tcp 1-100"])
    make_machine(project, "vm", [shield, opened])
    text = Page(as_alice.get(f"{shield.get_absolute_url()}delete/")).text
    assert "This opens SSH (TCP 22) to every address on the internet." in text
    assert "On 1 virtual machine vm" in text
    assert "Newly allowed: inbound TCP 22" in text


def test_deleting_the_group_one_came_in_by_warns(as_alice: Client, project: Project) -> None:
    door = make_group(project, "door", ["accept in tcp 22"])
    make_machine(project, "vm", [door], ipv4="10.0.0.5")
    text = Page(as_alice.get(f"{door.get_absolute_url()}delete/")).text
    assert "This would cut SSH from there to vm" in text


def test_a_deletion_is_good_for_the_vms_that_were_shown_alone(as_alice: Client, project: Project) -> None:
    web, other = make_group(project, "web", ["accept in tcp 443"]), make_group(project, "other")
    first = make_machine(project, "first", [web])
    form = Page(as_alice.get(f"{web.get_absolute_url()}delete/")).form_with("base")
    second = make_machine(project, "second", [web])
    response = form.send(as_alice)
    page = Page(response)
    assert response.status_code == 409
    assert "Not deleted." in page.text
    assert "On 2 virtual machines first, second" in page.text
    # Another group ahead of it changes what its loss means.
    operations.attach_groups(machine=first, groups=[other, web], base=1, by=By())
    assert page.form_with("base").send(as_alice).status_code == 409
    for seen in ("", "x", "0" * 32):
        assert form.send(as_alice, seen=seen).status_code == 409
    assert second.attachments.count() == 1
    fresh = Page(as_alice.get(f"{web.get_absolute_url()}delete/")).form_with("base")
    assert fresh.send(as_alice, reason=" Ticket \t 9").status_code == 302
    assert second.attachments.count() == 0
    event = project.events.filter(verb=Event.Verb.GROUP_DELETED).latest("pk")
    assert event.detail["reason"] == "Ticket 9"
    assert "Reason: Ticket 9" in Page(as_alice.get("/p/shop/activity/")).text


def test_a_group_on_no_vm_goes_without_a_difference(as_alice: Client, group: SecurityGroup) -> None:
    text = Page(as_alice.get(f"{group.get_absolute_url()}delete/")).text
    assert "No virtual machine uses this group, so no traffic changes." in text
    assert "Newly denied" not in text


def test_a_new_name_can_be_taken_back(as_alice: Client, group: SecurityGroup) -> None:
    edit = f"{group.get_absolute_url()}edit/"
    as_alice.post(edit, {"name": "www", "description": "All", "reason": "Ticket 9"})
    shown = as_alice.get(group.get_absolute_url())
    assert "Reason: Ticket 9" in Page(as_alice.get("/p/shop/activity/")).text
    (undo,) = [form for form in Page(shown).forms if "/edit/undo/" in form.action]
    assert undo.send(as_alice).status_code == 302
    group.refresh_from_db()
    assert (group.name, group.description) == ("web", "Public web servers")
    assert undo.send(as_alice, "once").status_code == 302
    assert "Not undone: name or description have been changed again since." in messages(as_alice)
    group.refresh_from_db()
    assert group.name == "web"


def test_a_name_that_is_taken_by_now_does_not_come_back(as_alice: Client, group: SecurityGroup) -> None:
    as_alice.post(f"{group.get_absolute_url()}edit/", {"name": "www", "description": ""})
    make_group(group.project, "web")
    event = group.project.events.filter(verb=Event.Verb.GROUP_CHANGED).get()
    as_alice.post(f"{group.get_absolute_url()}edit/undo/{event.pk}/")
    assert "Not undone:" in messages(as_alice)
    group.refresh_from_db()
    assert group.name == "www"


def test_saving_the_same_name_offers_no_undo(as_alice: Client, group: SecurityGroup) -> None:
    as_alice.post(f"{group.get_absolute_url()}edit/", {"name": "web", "description": "Public web servers"})
    assert "Undo" not in messages(as_alice)


def test_deleting_and_bringing_back(as_alice: Client, machine: VirtualMachine) -> None:
    web = SecurityGroup.objects.get(name="web")
    Page(as_alice.get(f"{web.get_absolute_url()}delete/")).form_with("base").send(as_alice)
    assert "web was deleted and taken off 1 VM." in messages(as_alice)
    assert as_alice.get(web.get_absolute_url()).status_code == 404
    assert [a.group.name for a in machine.attachments.select_related("group")] == ["outbound"]
    assert as_alice.post(f"{web.get_absolute_url()}bring-back/").status_code == 302
    names = [a.group.name for a in machine.attachments.select_related("group").order_by("position")]
    assert names == ["web", "outbound"]


def test_deleting_what_was_changed_meanwhile_asks_again(as_alice: Client, group: SecurityGroup) -> None:
    for base in ("0", "2", "", "x", "-1", "²", "9" * 30):
        response = as_alice.post(f"{group.get_absolute_url()}delete/", {"base": base})
        assert response.status_code == 409
        assert "Not deleted." in Page(response).text
    group.refresh_from_db()
    assert group.deleted_at is None


def test_a_second_click_on_delete_finds_nothing(as_alice: Client, group: SecurityGroup) -> None:
    codes = [as_alice.post(f"{group.get_absolute_url()}delete/", {"base": 1}).status_code for _ in range(2)]
    assert codes == [302, 404]


def test_where_a_group_is_attached(as_bob: Client, machine: VirtualMachine) -> None:
    web = SecurityGroup.objects.get(name="web")
    assert "web-1 10.0.1.11" in Page(as_bob.get(f"{web.get_absolute_url()}machines/")).text
    lonely = make_group(web.project, "lonely")
    assert "On no VM yet: the rules have no effect" in Page(as_bob.get(f"{lonely.get_absolute_url()}machines/")).text


def test_markup_in_names_is_text_everywhere(as_alice: Client, project: Project) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x>"
    group = make_group(project, evil, ["accept in tcp 22"], description=evil)
    vm = make_machine(project, evil, [group], description=evil)
    urls = [LIST, "/p/shop/", "/p/shop/activity/", "/p/shop/machines/", vm.get_absolute_url(), group.get_absolute_url()]
    urls += [
        f"{group.get_absolute_url()}{page}/" for page in ("edit", "delete", "duplicate", "machines", "test", "history")
    ]
    urls += [f"{vm.get_absolute_url()}{page}/" for page in ("settings", "delete", "test", "history")]
    for url in urls:
        content = as_alice.get(url).content.decode()
        assert "alert(1)" in content, url
        assert "<script>alert" not in content, url
        assert "<img src=x" not in content, url
