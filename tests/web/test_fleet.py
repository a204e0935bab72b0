"""Many VMs at once: chosen, asked about, changed in one go, and taken back in one."""

from typing import Any

import pytest
from django.test import Client

from securitygroups import operations
from securitygroups.models import Event, Project, SecurityGroup, VirtualMachine
from securitygroups.operations import By
from tests.factories import make_group, make_machine, rule
from tests.web.pages import Page

URL = "/p/shop/machines/groups/"


@pytest.fixture
def web(project: Project) -> SecurityGroup:
    return make_group(project, "web", ["accept in tcp 443"])


@pytest.fixture
def base(project: Project) -> SecurityGroup:
    return make_group(project, "base", ["accept in tcp 22 from 10.0.0.0/8"])


@pytest.fixture
def vms(project: Project, base: SecurityGroup) -> list[VirtualMachine]:
    return [make_machine(project, f"app-{n}", [base], ipv4=f"10.0.0.{n}") for n in range(1, 6)]


def names(machine: VirtualMachine) -> list[str]:
    return list(machine.attachments.order_by("position").values_list("group__name", flat=True))


def fields(answer: Any) -> dict[str, Any]:
    """What the question page sends with a yes."""
    return {**dict(answer.context["hidden"]), "sure": answer.context["token"]}


def sent(do: str, group: SecurityGroup, machines: list[VirtualMachine], **more: str) -> dict[str, Any]:
    return {"do": do, "group": group.public_id, "machine": [vm.public_id for vm in machines], **more}


def yes(client: Client, data: dict[str, Any], **more: str) -> Any:
    """Ask, and answer the question with yes."""
    asked = client.post(URL, data)
    assert asked.status_code == 200, asked.content.decode()
    return client.post(URL, {**data, "sure": asked.context["token"], **more})


def test_ticked_vms_get_a_group_after_one_question(
    as_erin: Client, web: SecurityGroup, vms: list[VirtualMachine]
) -> None:
    data = sent("attach", web, vms[:3])

    asked = as_erin.post(URL, data)
    assert "Attach web to 3 virtual machines?" in asked.content.decode()
    assert "Newly allowed: inbound TCP 443" in asked.content.decode()
    assert names(vms[0]) == ["base"]

    done = as_erin.post(URL, {**data, "sure": asked.context["token"], "reason": "Go live"}, follow=True)
    assert [names(vm) for vm in vms] == [["base", "web"]] * 3 + [["base"]] * 2
    line = Event.objects.filter(verb="machine.groups").get()
    assert (line.summary, line.group, line.detail["reason"]) == (
        "Attached web to 3 VMs (app-1, app-2, app-3).",
        web,
        "Go live",
    )
    assert line.summary in done.content.decode()
    revision = vms[0].revisions.get(number=2)
    history = as_erin.get(f"{vms[0].get_absolute_url()}history/").content.decode()
    assert f"One of several VMs: {line.summary}" in history
    assert (revision.summary, revision.reason, revision.together) == (
        "Groups of app-1: base, then web.",
        "Go live",
        line,
    )


def test_all_that_a_filter_finds_are_meant(as_erin: Client, web: SecurityGroup, vms: list[VirtualMachine]) -> None:
    choose = as_erin.get(URL, {"q": "10.0.0.0/30"})
    assert "Change groups of 3 virtual machines" in choose.content.decode()
    data = {**dict(choose.context["hidden"]), "do": "attach", "group": web.public_id, "place": "first"}

    done = yes(as_erin, data)

    assert [names(vm) for vm in vms] == [["web", "base"]] * 3 + [["base"]] * 2
    assert done["Location"] == "/p/shop/machines/?q=10.0.0.0%2F30"


def test_a_vm_that_the_filter_finds_only_now_is_asked_about(
    as_erin: Client, web: SecurityGroup, vms: list[VirtualMachine], project: Project
) -> None:
    data = {"all": "1", "filter": "q=app", "do": "attach", "group": web.public_id}
    asked = as_erin.post(URL, data)
    make_machine(project, "app-9")

    again = as_erin.post(URL, {**data, "sure": asked.context["token"]})

    assert "Attach web to 6 virtual machines?" in again.content.decode()
    assert names(vms[0]) == ["base"]


@pytest.mark.parametrize("do", ["detach", "replace", "order"])
def test_each_thing_to_do_says_in_the_question_what_it_is(
    as_erin: Client, web: SecurityGroup, base: SecurityGroup, vms: list[VirtualMachine], do: str
) -> None:
    for vm in vms[:2]:
        operations.attach_groups(machine=vm, groups=[base, web], base=1, by=By())
    data = sent(do, base, vms[:2])
    more = {"detach": {}, "replace": {"other": make_group(base.project, "new").public_id}, "order": {"place": "last"}}
    asked = {
        "detach": "Detach base from 2 virtual machines?",
        "replace": "Replace base by new on 2 virtual machines?",
        "order": "Move base on 2 virtual machines?",
    }

    question = as_erin.post(URL, {**data, **more[do]})
    assert asked[do] in question.content.decode()

    as_erin.post(URL, {**data, **more[do], "sure": question.context["token"]})
    assert names(vms[0]) == {"detach": ["web"], "replace": ["new", "web"], "order": ["web", "base"]}[do]


def test_a_group_that_would_lie_dead_is_put_above_with_one_click(
    as_erin: Client, web: SecurityGroup, project: Project
) -> None:
    deny = make_group(project, "deny", ["drop in all"])
    vms = [make_machine(project, f"m{n}", [deny]) for n in range(2)]
    data = sent("attach", web, vms, place="last")

    asked = as_erin.post(URL, data)
    assert "web stands below deny" in asked.content.decode()

    above = as_erin.post(URL, {**fields(asked), **data, "sure": asked.context["token"], "place": ["last", "above"]})
    assert "stands below" not in above.content.decode()
    assert "Newly allowed: inbound TCP 443" in above.content.decode()
    as_erin.post(URL, {**data, "place": "above", "sure": above.context["token"]})
    assert names(vms[0]) == ["web", "deny"]


def test_a_second_click_on_yes_answers_like_the_first(
    as_erin: Client, web: SecurityGroup, vms: list[VirtualMachine]
) -> None:
    data = sent("attach", web, vms)
    data["sure"] = as_erin.post(URL, data).context["token"]

    first, second = as_erin.post(URL, data), as_erin.post(URL, data)

    assert first["Location"] == second["Location"]
    assert web.attachments.count() == Event.objects.filter(verb="machine.groups").count() * 5 == 5
    shown = as_erin.get(second["Location"]).content.decode()
    assert "Attached web to 5 VMs" in shown
    assert "web is there already" in shown


def test_the_yes_is_good_only_for_what_was_shown(
    as_erin: Client, web: SecurityGroup, base: SecurityGroup, vms: list[VirtualMachine]
) -> None:
    data = sent("attach", web, vms)
    data["sure"] = as_erin.post(URL, data).context["token"]
    operations.commit_rules(group=base, rules=[], base=1, by=By())

    again = as_erin.post(URL, data)

    assert "Attach web to 5 virtual machines?" in again.content.decode()
    assert not web.attachments.exists()


def test_who_is_overtaken_before_the_lock_is_shown_what_it_means_now(
    as_erin: Client, web: SecurityGroup, vms: list[VirtualMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sent("attach", web, vms)
    data["sure"] = as_erin.post(URL, data).context["token"]
    really = operations.regroup_machines

    def overtaken(**given: Any) -> Event:
        operations.attach_groups(machine=vms[0], groups=[web], base=1, by=By())
        return really(**given)

    monkeypatch.setattr(operations, "regroup_machines", overtaken)
    again = as_erin.post(URL, data)

    assert again.status_code == 409
    assert "Attach web to 4 virtual machines?" in again.content.decode()
    assert "changed in the meantime" in again.content.decode()
    assert names(vms[1]) == ["base"]


def test_back_brings_the_form_with_all_that_was_chosen(
    as_erin: Client, web: SecurityGroup, vms: list[VirtualMachine]
) -> None:
    data = sent("attach", web, vms[:2], place="first")

    form = as_erin.post(URL, {**data, "sure": as_erin.post(URL, data).context["token"], "back": "1"})

    assert form.status_code == 200
    assert form.context["form"].initial["place"] == "first"
    assert f'value="{web.public_id}" selected' in form.content.decode()
    assert [text for name, text in form.context["hidden"] if name == "machine"] == data["machine"]


def test_what_makes_no_sense_is_told_beside_the_form(
    as_erin: Client, web: SecurityGroup, base: SecurityGroup, vms: list[VirtualMachine]
) -> None:
    for data, words in (
        (sent("detach", web, vms), "none of these VMs has web"),
        (sent("attach", base, vms), "base is there already"),
        (sent("order", base, vms), "base is at that place already"),
        (sent("replace", base, vms), "Choose the group that comes instead."),
        (sent("replace", base, vms, other=base.public_id), "This is the same group"),
        (sent("attach", base, vms) | {"group": "sg-0000000000"}, "deleted in the meantime"),
        (sent("dance", base, vms), "dance is not one of the available choices"),
    ):
        answer = as_erin.post(URL, data)
        assert answer.status_code == 422
        assert words in answer.content.decode()
    nothing = as_erin.post(URL, sent("attach", web, []), follow=True)
    assert "tick some in the list first" in nothing.content.decode()


def test_another_projects_vms_and_groups_are_not_there(
    as_erin: Client, web: SecurityGroup, vms: list[VirtualMachine], bakery: Project
) -> None:
    oven, bread = make_machine(bakery, "oven"), make_group(bakery, "bread")

    assert as_erin.post(URL, sent("attach", web, [oven])).status_code == 302
    assert as_erin.post(URL, sent("attach", bread, vms)).status_code == 422
    line = yes(as_erin, sent("attach", web, vms))
    assert line.status_code == 302
    event = Event.objects.filter(verb="machine.groups").get()
    assert as_erin.post(f"/p/bakery/machines/groups/undo/{event.pk}/").status_code == 404


def test_undo_takes_the_lot_back_and_asks_where_somebody_was_there_since(
    as_erin: Client, web: SecurityGroup, base: SecurityGroup, vms: list[VirtualMachine]
) -> None:
    yes(as_erin, sent("attach", web, vms))
    line = Event.objects.filter(verb="machine.groups").get()
    operations.attach_groups(machine=vms[1], groups=[web], base=2, by=By())
    undo = f"{URL}undo/{line.pk}/"

    asked = as_erin.post(undo)
    assert asked.status_code == 409
    assert "Undo it on the other 4 virtual machines?" in asked.content.decode()
    assert "Stay as they are: <bdi>app-2</bdi>" in asked.content.decode()
    assert names(vms[0]) == ["base", "web"]

    as_erin.post(undo, {"sure": asked.context["token"]})
    assert [names(vm) for vm in vms] == [["base"], ["web"], ["base"], ["base"], ["base"]]
    told = as_erin.post(undo, follow=True)
    assert "Nothing was undone" in told.content.decode()


def test_undo_leads_back_to_where_the_vms_were_chosen(
    as_erin: Client, web: SecurityGroup, vms: list[VirtualMachine]
) -> None:
    for place, to in (
        ({"filter": "q=app&sort=-name"}, "/p/shop/machines/?q=app&sort=-name"),
        ({"filter": ""}, "/p/shop/machines/"),
        ({"filter": "q=app", "from": web.public_id}, f"{web.get_absolute_url()}machines/"),
    ):
        page = as_erin.get(yes(as_erin, sent("attach", web, vms[:2], **place))["Location"])
        (undo,) = [form for form in Page(page).forms if "/undo/" in form.action]
        assert undo.send(as_erin)["Location"] == to
        assert as_erin.post(undo.action)["Location"] == to, "where nothing is left to be undone, too"
        as_erin.get("/help/")


def test_ticks_are_said_to_be_of_one_page_where_there_are_others(
    as_erin: Client, web: SecurityGroup, vms: list[VirtualMachine], settings: Any
) -> None:
    lists = ("/p/shop/machines/", f"{web.get_absolute_url()}machines/attach/")
    for url in lists:
        assert 'data-selected-count="selected">Selected virtual machines<' in as_erin.get(url).content.decode()
    settings.PAGE_SIZE = 3
    for url in lists:
        html = as_erin.get(url).content.decode()
        assert 'data-selected-count="selected on this page">Selected virtual machines of this page<' in html


def test_the_record_leads_to_the_undo_of_many_vms_which_is_looked_at_first(
    as_erin: Client, as_bob: Client, web: SecurityGroup, base: SecurityGroup, vms: list[VirtualMachine]
) -> None:
    operations.attach_groups(machine=vms[0], groups=[], base=1, by=By())
    yes(as_erin, sent("attach", web, vms))
    undo = f"{URL}undo/{Event.objects.filter(verb='machine.groups', machine=None).get().pk}/"
    for page in ("/p/shop/activity/", f"{vms[0].get_absolute_url()}history/"):
        assert f'href="{undo}"' in as_erin.get(page).content.decode()
        assert undo not in as_bob.get(page).content.decode()

    asked = as_erin.get(undo)

    assert "Undo it on 5 virtual machines?" in asked.content.decode()
    assert "Newly denied: inbound TCP 443" in asked.content.decode()
    assert names(vms[0]) == ["web"]
    assert as_erin.post(undo, {"sure": "another"}).status_code == 409
    as_erin.post(undo, {"sure": asked.context["token"], "reason": "Too early"})
    assert [names(vm) for vm in vms] == [[], ["base"], ["base"], ["base"], ["base"]]
    assert Event.objects.latest("pk").detail["reason"] == "Too early"
    gone = as_erin.get(undo, follow=True)
    assert "Nothing was undone" in gone.content.decode()


def test_an_undo_of_many_that_means_something_else_by_now_is_asked_about_again(
    as_erin: Client, web: SecurityGroup, vms: list[VirtualMachine]
) -> None:
    yes(as_erin, sent("attach", web, vms))
    undo = f"{URL}undo/{Event.objects.get(verb='machine.groups').pk}/"
    looked_at = as_erin.get(undo).context["token"]
    operations.commit_rules(group=web, rules=(), base=1, by=By())

    again = as_erin.post(undo, {"sure": looked_at})

    assert again.status_code == 409
    assert "Nothing was undone yet." in again.content.decode()
    assert names(vms[0]) == ["base", "web"]


def test_rules_that_are_others_by_now_are_looked_at_before_an_undo_gives_them_back(
    as_erin: Client, web: SecurityGroup, base: SecurityGroup, vms: list[VirtualMachine]
) -> None:
    yes(as_erin, sent("replace", base, vms, other=web.public_id))
    undo = f"{URL}undo/{Event.objects.get(verb='machine.groups').pk}/"
    operations.commit_rules(group=base, rules=[rule("accept in all")], base=1, by=By())

    asked = as_erin.post(undo)

    assert asked.status_code == 409
    assert "Newly allowed" in asked.content.decode()
    as_erin.post(undo, {"sure": asked.context["token"]})
    assert names(vms[0]) == ["base"]


def test_a_groups_page_leads_to_the_vms_that_do_not_have_it(
    as_erin: Client, as_bob: Client, web: SecurityGroup, base: SecurityGroup, vms: list[VirtualMachine]
) -> None:
    page = as_erin.get(web.get_absolute_url()).content.decode()
    assert "On no VM yet:" in page
    assert f"{web.get_absolute_url()}machines/attach/" in page
    assert "On no VM yet:" not in as_bob.get(web.get_absolute_url()).content.decode()
    operations.attach_groups(machine=vms[0], groups=[base, web], base=1, by=By())

    listed = as_erin.get(f"{web.get_absolute_url()}machines/attach/", {"q": "app"})
    assert [vm.name for vm in listed.context["page"].object_list] == ["app-2", "app-3", "app-4", "app-5"]
    assert "Attach to all 4 that match…" in listed.content.decode()

    data = {
        "do": "attach",
        "group": web.public_id,
        "from": web.public_id,
        "all": "1",
        "filter": "q=app",
        "place": "last",
    }
    done = yes(as_erin, data)
    assert done["Location"] == f"{web.get_absolute_url()}machines/"
    assert web.attachments.count() == 5
    assert (
        "Every virtual machine has this group"
        in as_erin.get(f"{web.get_absolute_url()}machines/attach/").content.decode()
    )


def test_a_groups_list_of_vms_detaches_the_ticked_and_changes_all(
    as_erin: Client, as_bob: Client, base: SecurityGroup, vms: list[VirtualMachine]
) -> None:
    url = f"{base.get_absolute_url()}machines/"
    assert "Detach…" in as_erin.get(url).content.decode()
    assert "Detach…" not in as_bob.get(url).content.decode()
    data = sent("detach", base, vms[:2]) | {"from": base.public_id}
    assert yes(as_erin, data)["Location"] == url
    assert base.attachments.count() == 3

    choose = as_erin.post(URL, {"from": base.public_id, "group": base.public_id, "choose": "all"})
    assert "Change groups of 3 virtual machines" in choose.content.decode()
    yes(as_erin, {**dict(choose.context["hidden"]), "do": "detach", "group": base.public_id})
    assert not base.attachments.exists()


def test_a_reason_that_cannot_be_kept_is_told_and_nothing_is_written(
    as_erin: Client, web: SecurityGroup, vms: list[VirtualMachine]
) -> None:
    data = sent("attach", web, vms)
    asked = as_erin.post(URL, data)

    told = as_erin.post(URL, {**data, "sure": asked.context["token"], "reason": "a\u202eb"})

    assert told.status_code == 422
    assert names(vms[0]) == ["base"]


def test_the_lists_way_to_all_keeps_the_filter(as_erin: Client, vms: list[VirtualMachine]) -> None:
    listed = as_erin.get("/p/shop/machines/", {"q": "app-1"}).content.decode()

    assert 'href="/p/shop/machines/groups/?q=app-1"' in listed


def test_in_instance_settings_the_last_slot_gets_its_arrows_and_the_way_above_deny_all(
    as_erin: Client, web: SecurityGroup, project: Project
) -> None:
    deny = make_group(project, "deny", ["drop in all"])
    vm = make_machine(project, "vm", [deny])
    url = f"{vm.get_absolute_url()}settings/"
    data = {"name": "typed", "base": 1, "group": [deny.public_id, web.public_id]}

    part = as_erin.post(url, {**data, "order": "as chosen"}, headers={"HX-Request": "true"}).content.decode()
    assert 'aria-label="Move group 2 up"' in part
    assert "Stands below deny" in part
    assert part.count("<select") == 3

    page = as_erin.post(url, {**data, "order": "above 1 0"})
    text = page.content.decode()
    assert page.context["order"].picked == [web.public_id, deny.public_id]
    assert "Stands below" not in text
    assert 'value="typed"' in text
