"""Open a port on a VM: which group, what is asked, what is written, and the way back."""

import re
from collections.abc import Callable

import pytest
from django.test import Client

from securitygroups import operations
from securitygroups.models import Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.factories import make_group, make_machine, make_project
from tests.operations.state import snapshot
from tests.web.pages import Page, form_at, messages


@pytest.fixture
def shared(project: Project) -> SecurityGroup:
    return make_group(project, "shared", ["accept in tcp 22 from 203.0.113.0/24", "drop in all"])


@pytest.fixture
def one(project: Project, shared: SecurityGroup) -> VirtualMachine:
    """A VM with a group that three have."""
    for name in ("two", "three"):
        make_machine(project, name, [shared])
    return make_machine(project, "one", [shared])


def open_url(machine: VirtualMachine) -> str:
    return f"{machine.get_absolute_url()}open/"


def attached(machine: VirtualMachine) -> list[str]:
    return [row.group.name for row in machine.attachments.select_related("group").order_by("position")]


def sentences(group: SecurityGroup) -> list[tuple[str, int | None]]:
    return list(group.rules.in_order().values_list("protocol", "port_start"))


def agreed(client: Client, answer: object) -> Page:
    """Where there is a question, yes."""
    page = Page(answer)
    question = next((form for form in page.forms if "sure" in form.fields), None)
    return Page(question.send(client)) if question else page


def test_a_group_of_its_own_is_proposed_and_the_rule_stands_above_its_drop(
    as_alice: Client, project: Project, shared: SecurityGroup
) -> None:
    own = make_group(project, "own", ["accept in tcp 80", "drop in all"])
    machine = make_machine(project, "solo", [own, shared])
    make_machine(project, "other", [shared])

    form = form_at(as_alice, open_url(machine))
    assert form.fields["group"] == [own.public_id]
    agreed(as_alice, form.send(as_alice, ports="https"))

    assert sentences(own) == [("tcp", 80), ("tcp", 443), ("all", None)]
    assert attached(machine) == ["own", "shared"]
    assert "Opened in own: Accept inbound TCP" in messages(as_alice)
    assert sentences(shared) == [("tcp", 22), ("all", None)]


def test_where_all_groups_are_shared_a_new_one_is_proposed_above_the_one_that_denies_all(
    as_alice: Client, one: VirtualMachine
) -> None:
    form = form_at(as_alice, open_url(one))
    assert form.fields["group"] == ["new"]

    agreed(as_alice, form.send(as_alice, ports="443, 53/udp"))

    assert attached(one) == ["one", "shared"]
    made = SecurityGroup.objects.get(name="one")
    assert sentences(made) == [("tcp", 443), ("udp", 53)]
    assert made.revision == 1


def test_opening_it_elsewhere_too_is_said_before_it_is_done(
    as_alice: Client, one: VirtualMachine, shared: SecurityGroup
) -> None:
    form = form_at(as_alice, open_url(one))
    assert "Also opens it on 2 other VMs." in Page(as_alice.get(open_url(one))).text

    answer = form.send(as_alice, ports="https", group=shared.public_id)

    page = Page(answer)
    assert "On 3 virtual machines" in page.text
    shared.refresh_from_db()
    assert shared.revision == 1
    agreed(as_alice, answer)
    assert sentences(shared) == [("tcp", 22), ("tcp", 443), ("all", None)]


def test_what_is_opened_to_the_world_is_asked_about_with_its_alarm(as_alice: Client, one: VirtualMachine) -> None:
    form = form_at(as_alice, open_url(one))

    preview = form.send(as_alice, ports="ssh", preview="1").content.decode()
    seen = re.findall(r'name="seen" value="(\w+)"', preview)
    assert len(seen) == 1
    answer = form.send(as_alice, ports="ssh", seen=seen[0])

    page = Page(answer)
    assert "This opens SSH (TCP 22) to every address on the internet." in page.text
    assert not SecurityGroup.objects.filter(name="one").exists()
    agreed(as_alice, answer)
    assert attached(one) == ["one", "shared"]


def test_what_is_open_already_is_said_and_not_added_again(as_alice: Client, project: Project) -> None:
    web = make_group(project, "web-only", ["accept in udp 53", "accept in tcp 443"])
    machine = make_machine(project, "solo", [web])
    form = form_at(as_alice, open_url(machine))

    preview = Page(form.send(as_alice, ports="https", preview="1"))
    assert "Already open:" in preview.text
    assert "By web-only, rule 2." in preview.text
    form.send(as_alice, ports="https")
    web.refresh_from_db()
    assert web.revision == 1

    agreed(as_alice, form.send(as_alice, ports="https, http"))
    assert sentences(web) == [("udp", 53), ("tcp", 443), ("tcp", 80)]


def test_one_undo_takes_the_group_and_its_attachment_back(as_alice: Client, one: VirtualMachine) -> None:
    agreed(as_alice, form_at(as_alice, open_url(one)).send(as_alice, ports="https"))
    made = SecurityGroup.objects.get(name="one")

    as_alice.post(f"{made.get_absolute_url()}unmake/")

    assert attached(one) == ["shared"]
    made.refresh_from_db()
    assert made.deleted_at is not None


def test_the_undo_of_what_was_opened_in_a_group_comes_back_to_the_vm(as_alice: Client, project: Project) -> None:
    own = make_group(project, "own", ["accept in tcp 80"])
    machine = make_machine(project, "solo", [own])
    agreed(as_alice, form_at(as_alice, open_url(machine)).send(as_alice, ports="https"))
    assert sentences(own) == [("tcp", 80), ("tcp", 443)]
    undo = f"{own.get_absolute_url()}undo/2/?machine={machine.public_id}"
    assert f'action="{undo}"' in messages(as_alice)

    assert as_alice.post(undo)["Location"] == machine.get_absolute_url()
    assert sentences(own) == [("tcp", 80)]
    assert "Undone: the rules are as they were before." in messages(as_alice)
    again = as_alice.post(f"{own.get_absolute_url()}undo/3/?machine=vm-0123456789")
    assert again["Location"] == own.get_absolute_url(), "a VM that is none is no hindrance"


def _other_order(made: SecurityGroup, one: VirtualMachine, shared: SecurityGroup) -> None:
    operations.attach_groups(machine=one, groups=[shared, made], base=2, by=By())


def _on_another_vm(made: SecurityGroup, one: VirtualMachine, shared: SecurityGroup) -> None:
    two = VirtualMachine.objects.get(name="two")
    operations.attach_groups(machine=two, groups=[made, shared], base=1, by=By())


def _other_rules(made: SecurityGroup, one: VirtualMachine, shared: SecurityGroup) -> None:
    operations.commit_rules(group=made, rules=[], base=1, by=By())


def _rules_beside(made: SecurityGroup, one: VirtualMachine, shared: SecurityGroup) -> None:
    operations.commit_rules(group=shared, rules=[], base=1, by=By())


@pytest.mark.parametrize("meanwhile", [_other_order, _on_another_vm, _other_rules, _rules_beside])
def test_undo_is_refused_where_the_group_or_what_stands_beside_it_was_changed_since(
    meanwhile: Callable[..., None], as_alice: Client, one: VirtualMachine, shared: SecurityGroup
) -> None:
    agreed(as_alice, form_at(as_alice, open_url(one)).send(as_alice, ports="https"))
    made = SecurityGroup.objects.get(name="one")
    meanwhile(made, one, shared)
    before = snapshot()

    page = Page(as_alice.post(f"{made.get_absolute_url()}unmake/", follow=True))

    assert "Nothing was undone: one or what stands beside it has been changed since." in page.text
    assert snapshot() == before


def test_undo_is_for_a_group_that_one_click_made_and_attached_alone(
    as_alice: Client, one: VirtualMachine, shared: SecurityGroup, project: Project
) -> None:
    lone = make_group(project, "lone", ["drop in all"])
    operations.attach_groups(machine=one, groups=[lone, shared], base=1, by=By())

    as_alice.post(f"{lone.get_absolute_url()}unmake/")

    assert attached(one) == ["lone", "shared"]


def test_a_name_that_somebody_took_meanwhile_makes_way_where_it_was_only_proposed(
    as_alice: Client, one: VirtualMachine, project: Project
) -> None:
    form = form_at(as_alice, open_url(one))
    asked = form.send(as_alice, ports="https")
    make_group(project, "ONE")

    agreed(as_alice, asked)

    assert attached(one) == ["one 2", "shared"]


def test_a_typed_name_that_is_taken_is_refused_at_its_field_and_nothing_is_written(
    as_alice: Client, one: VirtualMachine, project: Project
) -> None:
    page = agreed(as_alice, form_at(as_alice, open_url(one)).send(as_alice, ports="https", group_name="Shared"))

    assert "The project already has a group of this name: type another." in page.text
    assert attached(one) == ["shared"]
    assert project.groups.count() == 1


def test_groups_that_were_changed_meanwhile_are_a_refusal_and_not_overwritten(
    as_alice: Client, one: VirtualMachine, shared: SecurityGroup, alice: User, project: Project
) -> None:
    form = form_at(as_alice, open_url(one))
    other = make_group(project, "other")
    operations.attach_groups(machine=one, groups=[shared, other], base=1, by=By(alice))

    page = agreed(as_alice, form.send(as_alice, ports="https"))

    assert "were changed in the meantime" in page.text
    assert attached(one) == ["shared", "other"]
    assert page.form_with("ports").fields["ports"] == ["https"]

    # Sent once more, as the page says, it stands on what the page shows.
    agreed(as_alice, page.form_with("ports").send(as_alice))
    assert attached(one) == ["one", "shared", "other"]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"ports": ""}, "Type what to open, such as https or 443."),
        ({"ports": "90-80"}, "Did you mean 80–90?"),
        ({"ports": "https", "from_where": "network"}, "Type an address or a network, or choose Anywhere."),
        ({"ports": "https", "network": "192.0.2.0/24"}, "Anywhere is chosen"),
        ({"ports": "https", "from_where": "network", "network": "10.0.0.5/24"}, "10.0.0.5"),
        ({"ports": "https", "group": "sg-none"}, "does not have this group any more"),
        ({"ports": ",".join(map(str, range(1, 102)))}, "These are 101 rules"),
    ],
)
def test_what_cannot_be_opened_says_what_to_type(
    typed: dict[str, str], told: str, as_alice: Client, one: VirtualMachine
) -> None:
    answer = form_at(as_alice, open_url(one)).send(as_alice, **typed)

    assert answer.status_code == 422
    assert told in Page(answer).text


def test_from_my_address_is_from_the_address_that_is_shown(as_alice: Client, one: VirtualMachine) -> None:
    agreed(as_alice, form_at(as_alice, open_url(one)).send(as_alice, ports="ssh", from_where="mine"))

    made = SecurityGroup.objects.get(name="one")
    assert [str(row.source) for row in made.rules.in_order()] == ["127.0.0.1/32"]


def test_a_viewer_is_not_offered_it(as_bob: Client, one: VirtualMachine) -> None:
    assert "Open a port" not in Page(as_bob.get(one.get_absolute_url())).text
    assert as_bob.get(open_url(one)).status_code == 403


NEW_VM = "/p/shop/machines/new/"
NEW_GROUP = "/p/shop/groups/new/"


def test_a_new_vm_comes_with_a_group_that_opens_its_port(as_alice: Client, project: Project) -> None:
    agreed(as_alice, form_at(as_alice, NEW_VM).send(as_alice, name="web-9", ports="443"))

    machine = project.machines.get(name="web-9")
    assert attached(machine) == ["web-9"]
    assert sentences(project.groups.get(name="web-9")) == [("tcp", 443)]
    assert machine.revision == 1


def test_the_new_group_of_a_new_vm_stands_above_the_chosen_one_that_denies_all(
    as_alice: Client, project: Project, shared: SecurityGroup
) -> None:
    base = make_group(project, "base", ["accept out udp 53"])

    form = form_at(as_alice, NEW_VM)
    agreed(as_alice, form.send(as_alice, name="web-9", ports="443", group=[base.public_id, shared.public_id]))

    assert attached(project.machines.get(name="web-9")) == ["base", "web-9", "shared"]


def test_without_ports_a_new_vm_gets_no_new_group(as_alice: Client, project: Project) -> None:
    agreed(as_alice, form_at(as_alice, NEW_VM).send(as_alice, name="web-9"))

    assert project.machines.get(name="web-9").revision == 1
    assert not project.groups.exists()


def test_a_new_vm_with_ssh_open_to_the_world_is_asked_about_and_nothing_is_made_before(
    as_alice: Client, project: Project
) -> None:
    answer = form_at(as_alice, NEW_VM).send(as_alice, name="web-9", ports="ssh")

    assert "This opens SSH (TCP 22) to every address on the internet." in Page(answer).text
    assert not project.machines.exists()
    assert not project.groups.exists()


def test_a_group_name_that_is_taken_makes_no_vm_either(
    as_alice: Client, project: Project, shared: SecurityGroup
) -> None:
    sent = form_at(as_alice, NEW_VM).send(as_alice, name="web-9", ports="https", group_name="shared")
    page = agreed(as_alice, sent)

    assert "already has a group of this name" in page.errors["group_name"]
    assert not project.machines.exists()


def test_a_vm_name_that_is_taken_makes_no_group_either(as_alice: Client, project: Project) -> None:
    make_machine(project, "web-9")
    page = agreed(as_alice, form_at(as_alice, NEW_VM).send(as_alice, name="web-9", ports="https"))

    assert "already has a VM of this name" in page.errors["name"]
    assert not project.groups.exists()


def test_a_new_group_takes_template_and_ports_and_is_put_on_vms_at_once(
    as_alice: Client, project: Project, one: VirtualMachine
) -> None:
    form = form_at(as_alice, NEW_GROUP)
    answer = form.send(as_alice, name="web", template="database", ports="https", machines="ONE, two")
    assert "attach it to 2 VMs?" in Page(answer).text
    agreed(as_alice, answer)

    made = project.groups.get(name="web")
    assert sentences(made) == [("tcp", 5432), ("tcp", 443)]
    assert attached(one) == ["web", "shared"]
    assert made.attachments.count() == 2

    as_alice.post(f"{made.get_absolute_url()}unmake/")
    assert attached(one) == ["shared"]


def test_the_vms_of_a_new_group_are_found_by_address_and_id_and_an_unknown_one_is_named(
    as_alice: Client, project: Project
) -> None:
    a, b = make_machine(project, "a", ipv4="10.0.0.5"), make_machine(project, "b")
    form = form_at(as_alice, NEW_GROUP)

    refused = Page(form.send(as_alice, name="web", machines="10.0.0.5, nobody"))
    assert "The project has no VM “nobody”" in refused.errors["machines"]
    agreed(as_alice, form.send(as_alice, name="web", ports="ping", machines=f"10.0.0.5, {b.public_id}"))

    assert attached(a) == attached(b) == ["web"]


def test_where_there_is_no_vm_yet_it_is_said_what_to_do_instead(as_alice: Client, project: Project) -> None:
    refused = Page(form_at(as_alice, NEW_GROUP).send(as_alice, name="web", machines="web-1"))

    assert refused.errors["machines"] == (
        "The project has no VM yet: leave this empty, and create the VM after the group."
    )


def test_another_customers_vm_is_not_found_by_its_id(as_alice: Client, project: Project, charlie: User) -> None:
    strange = make_machine(make_project(charlie, "Elsewhere"), "strange")

    page = Page(form_at(as_alice, NEW_GROUP).send(as_alice, name="web", machines=strange.public_id))

    assert "The project has no VM" in page.errors["machines"]
    assert not project.groups.exists()


def test_suggestions_work_without_script(as_alice: Client, project: Project) -> None:
    for url in (NEW_VM, NEW_GROUP):
        page = Page(form_at(as_alice, url).send(as_alice, name="kept", suggest="ports=HTTPS"))
        assert not page.errors
        form = page.form_with("ports")
        assert (form.fields["ports"], form.fields["name"]) == (["HTTPS"], ["kept"])
