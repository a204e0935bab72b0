"""The page between a form and its saving: what it shows, the ways back, what others did meanwhile, and Undo."""

import re
from typing import Any

import pytest
from django.test import Client

from securitygroups import operations
from securitygroups.firewall import lists
from securitygroups.models import Event, Project, Rule, SecurityGroup, User, VirtualMachine, values
from securitygroups.operations import By
from tests.admin.pages import agree, answer, changes, fresh, newest, said, sent, url
from tests.factories import make_group, make_user, rule


def new_rule(group: SecurityGroup, **fields: Any) -> dict[str, Any]:
    data = {"action": "accept", "direction": "in", "protocol": "tcp", "enabled": "on", "place": 1, "port_start": 3389}
    return {"group": group.pk, **data, **fields}


def rules_of(group: SecurityGroup) -> tuple[Any, ...]:
    return values(list(group.rules.in_order()))


def again(machine: VirtualMachine) -> VirtualMachine:
    found: VirtualMachine = VirtualMachine.objects.select_related("project").get(pk=machine.pk)
    return found


def undo_of(response: Any) -> str:
    """Where the Undo of the page posts to."""
    found = re.search(r'action="([^"]*/undo/[^"]*)"', response.content.decode())
    assert found
    return found[1]


# ── What is shown ─────────────────────────────────────────────────────────────


def test_a_rule_opened_to_the_world_is_shown_with_its_alarm_and_in_words(
    as_admin: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    page = as_admin.post(url(Rule, "add"), new_rule(group)).content.decode()

    assert "This opens RDP (TCP 3389) to every address on the internet." in page
    assert "Rule 1: Accept inbound TCP to port 3389 (RDP) from anywhere" in page
    assert "Make this change all the same" in page
    assert f"Security group web ({group.public_id})" in page


def test_without_a_reason_nothing_is_written_and_it_is_said_at_its_field(
    as_admin: Client, group: SecurityGroup
) -> None:
    asked = as_admin.post(url(Rule, "add"), new_rule(group))

    response = as_admin.post(url(Rule, "add"), answer(asked, reason=" "))

    assert response.status_code == 422
    page = response.content.decode()
    assert "Type why this is changed" in page
    assert "<title>Error: " in " ".join(page.split()).replace("<title> ", "<title>")
    too_long = as_admin.post(url(Rule, "add"), answer(asked, reason="x" * 300))
    assert too_long.status_code == 422
    assert group.revisions.count() == 1


def test_what_a_question_shows_is_a_look_also_where_the_row_is_still_to_be_made(
    as_admin: Client, group: SecurityGroup
) -> None:
    as_admin.post(url(Rule, "add"), new_rule(group))

    look = Event.objects.filter(verb=Event.Verb.SUPPORT_LOOK).latest("pk")
    assert look.summary == f"Staff looked at security group web ({group.public_id}) in the administration."


def test_the_customer_reads_the_rule_the_reason_and_that_it_was_staff(
    as_admin: Client, as_alice: Client, group: SecurityGroup
) -> None:
    agree(as_admin, url(Rule, "add"), new_rule(group, source="10.0.0.0/8"), "Ticket 7, asked by phone")

    page = " ".join(re.sub(r"<[^>]+>", " ", as_alice.get("/p/shop/activity/").content.decode()).split())
    words = "Added rule 1: Accept inbound TCP to port 3389 (RDP) from 10.0.0.0/8."
    assert f"{words} Reason: Ticket 7, asked by phone admin Platform staff" in page


# ── The ways back ─────────────────────────────────────────────────────────────


def test_back_to_the_form_brings_all_that_was_typed_and_saves_nothing(as_admin: Client, group: SecurityGroup) -> None:
    asked = as_admin.post(url(Rule, "add"), new_rule(group, description="Typed", source="10.0.0.0/8"))

    form = as_admin.post(url(Rule, "add"), answer(asked) | {"form": "1"})

    assert form.status_code == 200
    typed = form.context["adminform"].form
    found = [typed[name].value() for name in ("port_start", "source", "description", "place", "base")]
    assert found == ["3389", "10.0.0.0/8", "Typed", "1", None]
    assert not form.context["errors"]
    assert group.revisions.count() == 1


def test_saving_what_is_there_already_asks_nothing_and_writes_nothing(
    as_admin: Client, machine: VirtualMachine
) -> None:
    address = url(VirtualMachine, "change", machine.pk)
    lines = changes().count()

    assert as_admin.post(address, sent(as_admin, address)).status_code == 302
    renamed = as_admin.post(address, sent(as_admin, address) | {"name": "web-9"})

    assert renamed.status_code == 302
    assert changes().count() == lines + 1
    assert again(machine).revision == 1


def test_a_suggestion_is_taken_with_one_click_and_without_script(as_admin: Client, group: SecurityGroup) -> None:
    data = new_rule(group, source="10.0.0.5/24")
    refused = as_admin.post(url(Rule, "add"), data).content.decode()
    assert 'name="suggest" value="source=10.0.0.0/24"' in refused

    taken = as_admin.post(url(Rule, "add"), data | {"suggest": "source=10.0.0.0/24"})

    assert taken.context["adminform"].form["source"].value() == "10.0.0.0/24"
    assert group.revisions.count() == 1


# ── Others meanwhile ──────────────────────────────────────────────────────────


def test_a_rule_that_somebody_else_changed_too_is_shown_with_theirs_and_put_on_top(
    as_admin: Client, group: SecurityGroup
) -> None:
    address = url(Rule, "change", group.rules.get(position=3).pk)
    data = sent(as_admin, address) | {"description": "Mine"}
    theirs = lists.change(rules_of(group), 3, rule("accept in tcp 8443", "Theirs"))
    operations.commit_rules(group=group, rules=theirs, base=1, by=By())

    conflict = as_admin.post(address, data)

    assert conflict.status_code == 409
    page = conflict.content.decode()
    assert "“Theirs”" in page
    assert "“Mine”" in page
    assert "karenpanel made revision 2" in page
    hidden = dict(conflict.context["hidden"])
    asked = as_admin.post(address, hidden | {"onto": group.revisions.count()})
    assert "was changed in the meantime too" in asked.content.decode()
    assert as_admin.post(address, answer(asked) | {"onto": "2"}).status_code == 302
    now = group.rules.get(position=3)
    assert (now.description, now.port_start, group.revisions.count()) == ("Mine", 8443, 3)


def test_what_has_nothing_to_do_with_it_stays_and_asks_no_second_time(as_admin: Client, group: SecurityGroup) -> None:
    address = url(Rule, "change", group.rules.get(position=3).pk)
    asked = as_admin.post(address, sent(as_admin, address) | {"description": "Mine"})
    operations.commit_rules(
        group=group, rules=lists.insert(rules_of(group), 6, rule("drop out udp 1")), base=1, by=By()
    )

    response = as_admin.post(address, answer(asked))

    assert response.status_code == 302
    assert group.rules.get(position=3).description == "Mine"
    assert group.rules.count() == 6


# ── Undo ──────────────────────────────────────────────────────────────────────


def test_a_change_of_rules_is_undone_from_its_message(as_admin: Client, group: SecurityGroup) -> None:
    before = rules_of(group)
    agree(as_admin, url(Rule, "add"), new_rule(group))
    page = as_admin.get(url(Rule))
    assert said(page)[0].startswith("Added rule 1: Accept inbound TCP to port 3389 (RDP) from anywhere.")

    undone = as_admin.post(undo_of(page), follow=True)

    assert said(undone) == ["Undone: the rules of web are as they were before."]
    assert rules_of(group) == before
    assert (newest().summary, newest().by_staff, newest().detail["reason"]) == (
        "Undid revision 2.",
        True,
        "Taken back.",
    )
    assert "changed again" in said(as_admin.post(undo_of(page), follow=True))[0]


def test_deleted_rules_groups_and_vms_are_brought_back_from_their_message(
    as_admin: Client, machine: VirtualMachine, project: Project
) -> None:
    rules = sorted(Rule.objects.values_list("uid", "group", "position"))
    attached = list(machine.attachments.order_by("position").values_list("group", flat=True))
    for model in (Rule, SecurityGroup, VirtualMachine):
        keys = list(model._default_manager.values_list("pk", flat=True))
        agree(as_admin, url(model), {"action": "delete_selected", "_selected_action": keys})
        as_admin.post(undo_of(as_admin.get(url(model))))

    assert sorted(Rule.objects.values_list("uid", "group", "position")) == rules
    assert list(machine.attachments.order_by("position").values_list("group", flat=True)) == attached
    assert again(machine).deleted_at is None
    assert SecurityGroup.objects.live().count() == 2


def test_a_vms_groups_are_undone_from_their_message(as_admin: Client, machine: VirtualMachine) -> None:
    address = url(VirtualMachine, "change", machine.pk)
    agree(as_admin, address, sent(as_admin, address) | {"ordered_groups": ""})
    assert machine.attachments.count() == 0

    as_admin.post(undo_of(as_admin.get(url(VirtualMachine))))

    assert [row.group.name for row in machine.attachments.order_by("position")] == ["web", "outbound"]


@pytest.mark.parametrize("keys", ["x", "1", "1-2-3", "0-0", "9" * 30, "-", "1-x"])
def test_an_undo_of_nothing_is_refused(as_admin: Client, machine: VirtualMachine, keys: str) -> None:
    lines = changes().count()
    for model, what in ((Rule, "rules"), (SecurityGroup, "deletion"), (VirtualMachine, "groups"), (Rule, "nothing")):
        response = as_admin.post(url(model, "undo", what, keys))
        assert response.status_code in (302, 404)
    assert as_admin.get(url(Rule, "undo", "rules", "1-2")).status_code == 405
    assert changes().count() == lines


def test_only_what_was_offered_to_this_person_is_taken_back(
    as_admin: Client, group: SecurityGroup, alice: User
) -> None:
    """Whatever else is newest is the customer's own change, and nobody has asked about its end."""
    operations.commit_rules(group=group, rules=(), base=1, by=By(alice))
    assert as_admin.post(url(Rule, "undo", "rules", f"{group.pk}-2")).status_code == 404
    agree(as_admin, url(Rule, "add"), new_rule(group))
    offered = undo_of(as_admin.get(url(Rule)))
    other = fresh(make_user("other", "change_rule", is_staff=True))

    assert other.post(offered).status_code == 404
    assert as_admin.post(offered.replace("/rule/", "/securitygroup/")).status_code == 404
    assert group.rules.count() == 1
    assert as_admin.post(offered).status_code == 302
    assert group.rules.count() == 0


def test_who_may_only_look_or_delete_undoes_nothing(group: SecurityGroup) -> None:
    deleter = fresh(make_user("deleter", "view_rule", "delete_rule", is_staff=True))
    agree(deleter, url(Rule), {"action": "delete_selected", "_selected_action": [group.rules.get(position=1).pk]})

    assert "/undo/" not in deleter.get(url(Rule)).content.decode()
    assert deleter.post(url(Rule, "undo", "rules", f"{group.pk}-2")).status_code == 403


# ── VMs ───────────────────────────────────────────────────────────────────────


def test_groups_are_put_in_order_by_buttons_without_script(
    as_admin: Client, machine: VirtualMachine, project: Project
) -> None:
    address = url(VirtualMachine, "change", machine.pk)
    web, outbound = (project.groups.get(name=name).public_id for name in ("web", "outbound"))
    data = sent(as_admin, address) | {"name": "typed", "ordered_groups": [web, outbound, "", ""]}

    moved = as_admin.post(address, data | {"redraw": "up 1"}).context["adminform"].form

    assert moved["ordered_groups"].value().split() == [outbound, web]
    assert moved["name"].value() == "typed"
    assert again(machine).name == "web-1"
    off = as_admin.post(address, data | {"redraw": "remove 0"}).context["adminform"].form
    assert off["ordered_groups"].value().split() == [outbound]


def test_a_new_vm_is_offered_the_groups_of_its_project_and_of_no_other(
    as_admin: Client, project: Project, bakery: Project
) -> None:
    make_group(project, "mine")
    make_group(bakery, "foreign")
    data = {"project": project.pk, "name": "new", "redraw": "more"}

    page = as_admin.post(url(VirtualMachine, "add"), data).content.decode()

    assert ">mine</option>" in page
    assert ">foreign</option>" not in page
    for odd in ("x", "9" * 30, ""):
        assert as_admin.post(url(VirtualMachine, "add"), data | {"project": odd}).status_code == 200


def test_a_change_of_the_address_is_asked_about_and_said(as_admin: Client, machine: VirtualMachine) -> None:
    address = url(VirtualMachine, "change", machine.pk)

    asked = as_admin.post(address, sent(as_admin, address) | {"ipv4": "10.9.9.9"})

    assert f"IPv4 address: {machine.ipv4} → 10.9.9.9" in asked.content.decode()
    assert as_admin.post(address, answer(asked)).status_code == 302
    assert again(machine).ipv4 == "10.9.9.9"


def test_a_vm_is_moved_by_choosing_project_and_groups_and_comes_back(
    as_admin: Client, machine: VirtualMachine, project: Project, bakery: Project
) -> None:
    oven = make_group(bakery, "oven", ["accept in tcp 99"])
    where = url(VirtualMachine, "move", machine.pk)
    assert "now in Shop" in as_admin.post(where, {"name": "typed elsewhere"}).content.decode()
    asked = as_admin.post(where, {"target": bakery.pk})
    assert "Stays behind in Shop: web, then outbound." in asked.content.decode()

    again_asked = as_admin.post(where, answer(asked) | {"ordered_groups": [oven.public_id]})

    assert "Newly allowed: inbound TCP 99" in again_asked.content.decode()
    assert again(machine).project == project
    yes = answer(again_asked) | {"ordered_groups": [oven.public_id]}
    page = as_admin.post(where, yes, follow=True)
    assert said(page) == ["1 VM moved to Bakery."]
    assert (again(machine).project, machine.attachments.get().group) == (bakery, oven)
    assert "Move back to Shop" in page.content.decode()
    as_admin.post(undo_of(page))
    assert again(machine).project == project
    assert [row.group.name for row in machine.attachments.order_by("position")] == ["web", "outbound"]


def test_the_way_back_of_a_vm_that_was_moved_is_asked_about_like_the_way_there(
    as_admin: Client, machine: VirtualMachine, bakery: Project
) -> None:
    operations.move_machine(machine=machine, target=bakery, by=By())
    where = url(VirtualMachine, "move", machine.pk)
    assert "Move back to Shop" in as_admin.get(url(VirtualMachine, "change", machine.pk)).content.decode()

    asked = as_admin.post(where, {"home": "1", "name": "typed elsewhere"})

    assert "In Shop these VMs have: web, then outbound." in asked.content.decode()
    assert "Newly allowed" in asked.content.decode()
    assert as_admin.get(asked.context["back"]).status_code == 200
    assert (
        as_admin.post(
            where, answer(asked) | {"ordered_groups": asked.context["plan"].form.data.getlist("ordered_groups")}
        ).status_code
        == 302
    )
    assert again(machine).project.name == "Shop"
    assert [row.group.name for row in machine.attachments.order_by("position")] == ["web", "outbound"]
    assert newest().detail["reason"].endswith("Ticket 7")


@pytest.mark.parametrize("typed", [{"description": "of the shop's warehouse"}, {"ipv4": "10.9.9.9"}])
def test_a_form_that_was_opened_for_another_customer_is_not_saved(
    as_admin: Client, machine: VirtualMachine, bakery: Project, typed: dict[str, str]
) -> None:
    address = url(VirtualMachine, "change", machine.pk)
    data = sent(as_admin, address) | typed
    operations.move_machine(machine=machine, target=bakery, by=By())
    lines = changes().count()

    page = as_admin.post(address, data | {"ordered_groups": ""}, follow=True)

    assert "changed by somebody else in the meantime" in said(page)[0]
    assert changes().count() == lines


def test_without_script_the_project_is_found_by_its_name_and_chosen(
    as_admin: Client, machine: VirtualMachine, bakery: Project, alice: User
) -> None:
    operations.create_project(name="Bakery two", slug="two", by=By(), owner=alice)
    where = url(VirtualMachine, "move", machine.pk)

    several = as_admin.post(where, {"find": "bake"}).content.decode()

    assert 'type="radio"' in several
    assert "Bakery two (two)" in several
    assert as_admin.post(where, {"find": "two"}).context["plan"].title == "Move web-1 to Bakery two?"
    assert "type less of its name" in as_admin.post(where, {"find": "nowhere"}).content.decode()
    assert "Choose the project" in as_admin.post(where, {"find": ""}).content.decode()


def test_a_move_that_cannot_be_says_all_that_is_in_its_way(
    as_admin: Client, machine: VirtualMachine, bakery: Project
) -> None:
    operations.create_machine(project=bakery, fields={"name": "WEB-1", "ipv4": machine.ipv4}, by=By())

    asked = as_admin.post(url(VirtualMachine, "move", machine.pk), {"target": bakery.pk})

    assert asked.status_code == 409
    page = asked.content.decode()
    assert "web-1: Bakery has a VM of this name already." in page
    assert "web-1: Bakery has a VM with its address already." in page
    assert "Reason for the change" not in page


@pytest.mark.parametrize("name", ["Shop", "bakery"])
def test_a_reason_that_names_a_customer_to_the_other_is_told_on_the_question(
    as_admin: Client, machine: VirtualMachine, bakery: Project, name: str
) -> None:
    where = url(VirtualMachine, "move", machine.pk)
    asked = as_admin.post(where, {"target": bakery.pk})

    refused = as_admin.post(where, answer(asked, f"{name} asked for it"))

    assert refused.status_code == 422
    assert "Both customers read this reason" in refused.content.decode()
    assert again(machine).project != bakery


def test_of_what_is_deleted_already_nothing_is_asked(as_admin: Client, group: SecurityGroup) -> None:
    operations.delete_group(group=group, base=1, by=By())

    response = as_admin.post(
        url(SecurityGroup), {"action": "delete_selected", "_selected_action": [group.pk]}, follow=True
    )

    assert response.status_code == 200
    assert "deleted already" in said(response)[0]


def test_a_template_says_its_rules_in_words(as_admin: Client, group: SecurityGroup, alice: User) -> None:
    template = operations.save_template(group=group, name="Web", description="", by=By(alice))

    page = as_admin.get(url(type(template), "change", template.pk)).content.decode()

    assert page.count("<li>Accept inbound TCP") + page.count("<li>Drop") >= 3


def test_add_rule_on_a_groups_page_has_the_group_and_the_end_of_its_list(
    as_admin: Client, group: SecurityGroup
) -> None:
    link = f"{url(Rule, 'add')}?group={group.pk}"
    assert link in as_admin.get(url(SecurityGroup, "change", group.pk)).content.decode()

    form = as_admin.get(link).context["adminform"].form

    assert (form["group"].value(), form["place"].value()) == (str(group.pk), 6)
    asked = as_admin.post(url(Rule, "add"), new_rule(group, _addanother="1"))
    assert as_admin.post(url(Rule, "add"), answer(asked))["Location"].endswith(link)
    assert as_admin.get(f"{url(Rule, 'add')}?group=x").status_code == 200
