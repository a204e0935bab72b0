"""Virtual Machines: the list, create with ordered groups, the effective rules, Instance settings, delete."""

from typing import Any

import pytest
from django.test import Client

from securitygroups import operations
from securitygroups.models import Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.factories import make_group, make_machine, make_project, ports
from tests.web.pages import HTMX, Page, messages, part_and_page, say_yes

LIST = "/p/shop/machines/"


def groups_of(machine: VirtualMachine) -> list[str]:
    return [a.group.name for a in machine.attachments.select_related("group").order_by("position")]


@pytest.fixture
def abc(project: Project) -> list[SecurityGroup]:
    return [make_group(project, name, ports(port)) for port, name in enumerate("abc", 1)]


def ids(groups: list[SecurityGroup]) -> list[str]:
    return [group.public_id for group in groups]


# ── The list ──────────────────────────────────────────────────────────────────


def test_the_list_shows_each_vm_with_its_groups_in_order(as_bob: Client, machine: VirtualMachine) -> None:
    make_machine(machine.project, "closed")
    for shown in part_and_page(as_bob, LIST):
        assert "web-1 10.0.1.11 2001:db8:10:1::11 web then outbound" in shown.text
        assert "closed none None: everything denied" in shown.text
        assert "2 of at most 10,000 virtual machines" in shown.text


@pytest.mark.parametrize("query", ["WEB-1", "10.0.1.11", "2001:db8:10:1::11", "2001:DB8:10:1:0::11", "vm-"])
def test_a_search_finds_names_addresses_and_ids(query: str, as_bob: Client, machine: VirtualMachine) -> None:
    make_machine(machine.project, "db-7", ipv4="10.0.1.12")
    query = machine.public_id if query == "vm-" else query
    text = Page(as_bob.get(LIST, {"q": query})).text
    assert "web-1" in text
    assert "db-7" not in text


# ── Create ────────────────────────────────────────────────────────────────────


def test_from_where_a_group_waits_for_a_vm_the_form_begins_with_it(
    as_erin: Client, project: Project, abc: list[SecurityGroup], charlie: User
) -> None:
    a, b, c = abc
    strange = make_group(make_project(charlie, "Elsewhere"), "strange")
    attach = as_erin.get(f"{c.get_absolute_url()}machines/attach/").content.decode()
    assert f'href="{LIST}new/?group={c.public_id}"' in attach, "no VM is there that could have it"

    query = {"group": [c.public_id, strange.public_id, "nothing", a.public_id, c.public_id]}
    form = Page(as_erin.get(f"{LIST}new/", query)).form_with("ipv4")

    assert form.fields["group"] == [c.public_id, a.public_id, "", ""]
    say_yes(as_erin, form.send(as_erin, name="vm", group=["", b.public_id]))
    assert groups_of(VirtualMachine.objects.get()) == ["b"], "what is chosen in the form counts"


def test_creating_a_vm_with_groups_in_order(as_erin: Client, project: Project, abc: list[SecurityGroup]) -> None:
    form = Page(as_erin.get(f"{LIST}new/")).form_with("ipv4")
    a, b, c = ids(abc)
    asked = form.send(as_erin, name="db", ipv4="10.0.0.5", ipv6="2001:db8::5", group=[c, "", a, b])
    page = Page(asked)
    assert page.title.startswith("Create db?")
    assert "Groups in this order: c, then a, then b" in page.text
    assert "On 1 virtual machine db Newly allowed: inbound TCP 1–3" in page.text
    assert not project.machines.exists()
    response = page.form_with("sure").send(as_erin, reason="Ticket 9")
    vm = project.machines.get()
    assert vm.revisions.get().reason == "Ticket 9"
    assert response["Location"] == vm.get_absolute_url()
    assert (vm.name, vm.ipv4, vm.ipv6, vm.revision) == ("db", "10.0.0.5", "2001:db8::5", 1)
    assert groups_of(vm) == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"ipv4": "10.0.0.999"}, "ipv4"),
        ({"ipv4": "010.0.0.1"}, "ipv4"),
        ({"ipv4": "2001:db8::1"}, "ipv4"),
        ({"ipv4": "x" * 10_000}, "ipv4"),
        ({"ipv6": "10.0.0.5"}, "ipv6"),
        ({"ipv6": "fe80::1%eth0"}, "ipv6"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_fields_are_told_where_they_are(
    sent: dict[str, str], field: str, as_alice: Client, abc: list[SecurityGroup]
) -> None:
    good = {"name": "db", "description": "Kept", "ipv4": "", "ipv6": "", "group": ids(abc)[:2]}
    response = as_alice.post(f"{LIST}new/", good | sent)
    page = Page(response)
    assert response.status_code == 422
    assert list(page.errors) == [field]
    assert page.form_with("ipv4").fields["description"] == ["Kept"]
    assert page.form_with("ipv4").fields["group"][:2] == ids(abc)[:2], "the groups stay chosen"
    assert not VirtualMachine.objects.exists()


@pytest.mark.parametrize(
    ("sent", "field"),
    [({"name": "WEB-1"}, "name"), ({"ipv4": "10.0.1.11"}, "ipv4"), ({"ipv6": "2001:db8:10:1:0::11"}, "ipv6")],
)
def test_what_another_vm_has_is_told_at_its_field(
    sent: dict[str, str], field: str, as_alice: Client, machine: VirtualMachine
) -> None:
    response = as_alice.post(f"{LIST}new/", {"name": "second"} | sent)
    assert response.status_code == 422
    assert list(Page(response).errors) == [field]
    assert machine.project.machines.count() == 1


def test_no_more_vms_than_the_quota(as_alice: Client, machine: VirtualMachine) -> None:
    Project.objects.update(max_machines=1)
    response = as_alice.post(f"{LIST}new/", {"name": "second"})
    assert response.status_code == 422
    assert "The project has its 1 VM already: delete one first." in Page(response).text


def test_no_more_groups_than_a_vm_can_have(as_alice: Client, abc: list[SecurityGroup], settings: Any) -> None:
    settings.MAX_GROUPS_PER_MACHINE = 2
    response = as_alice.post(f"{LIST}new/", {"name": "db", "group": ids(abc)})
    assert response.status_code == 422
    assert "A VM can have 2 groups, these are 3: choose fewer." in Page(response).text
    assert not VirtualMachine.objects.exists()


def test_a_group_twice_is_told(as_alice: Client, abc: list[SecurityGroup]) -> None:
    response = as_alice.post(f"{LIST}new/", {"name": "db", "group": ids(abc)[:1] * 2})
    assert response.status_code == 422
    assert "a stands twice in the list: choose each group once." in Page(response).text


@pytest.mark.parametrize("kind", ["theirs", "deleted", "made up", "markup", "many"])
def test_a_forged_group_is_not_attached(
    kind: str, as_alice: Client, alice: User, abc: list[SecurityGroup], bakery: Project
) -> None:
    oven = make_group(bakery, "oven")
    operations.delete_group(group=abc[2], base=1, by=By(alice))
    forged = {
        "theirs": [oven.public_id],
        "deleted": [abc[2].public_id],
        "made up": ["sg-0000000000"],
        "markup": ["<script>alert(1)</script>"],
        "many": ["x"] * 4_000,
    }[kind]
    response = as_alice.post(f"{LIST}new/", {"name": "db", "group": [abc[0].public_id, *forged]})
    assert response.status_code == 422
    assert "One of the groups has been deleted in the meantime" in Page(response).text
    assert b"oven" not in response.content
    assert b"<script>alert" not in response.content
    assert not VirtualMachine.objects.exists()
    assert not oven.attachments.exists()


def test_what_the_groups_of_a_new_vm_let_through_is_shown_while_the_form_is_filled(
    as_alice: Client, project: Project, abc: list[SecurityGroup]
) -> None:
    sent = {"name": "db", "group": ids(abc)[:1]}
    shown = as_alice.post(f"{LIST}new/", sent | {"preview": "1"}, headers=HTMX)
    page = Page(shown)
    assert page.ids == ["preview"]
    assert "On 1 virtual machine db Newly allowed: inbound TCP 1 " in page.text
    seen = shown.content.decode().split('name="seen" value="')[1].split('"')[0]
    assert not project.machines.exists()
    # What was looked at is not asked about again, other groups are.
    assert as_alice.post(f"{LIST}new/", {"name": "db", "group": ids(abc)[:2], "seen": seen}).status_code == 200
    assert as_alice.post(f"{LIST}new/", sent | {"seen": seen}).status_code == 302
    # Groups that make no list, and a form with no name yet.
    for some, words in ((["sg-0000000000"], "is shown here as soon as"), (ids(abc)[:1], "the new VM")):
        page = Page(as_alice.post(f"{LIST}new/", {"group": some, "preview": "1"}, headers=HTMX))
        assert words in page.text


def test_a_new_vm_that_opens_ssh_to_the_world_is_asked_about_once_more(as_alice: Client, project: Project) -> None:
    ssh = make_group(project, "ssh", ["accept in tcp 22"])
    sent = {"name": "db", "group": [ssh.public_id], "description": "Kept"}
    shown = as_alice.post(f"{LIST}new/", sent | {"preview": "1"}, headers=HTMX).content.decode()
    seen = shown.split('name="seen" value="')[1].split('"')[0]
    asked = as_alice.post(f"{LIST}new/", sent | {"seen": seen})
    page = Page(asked)
    assert "This opens SSH (TCP 22) to every address on the internet." in page.text
    assert "Create Virtual Machine all the same" in page.text
    # Back leads to the form, with all that was typed.
    form = page.form_with("sure").send(as_alice, back="1")
    assert Page(form).form_with("ipv4").fields["description"] == ["Kept"]
    assert not project.machines.exists()
    for forged in ("", "1", seen[:-1], "x" * 5000):
        assert as_alice.post(f"{LIST}new/", sent | {"sure": forged}).status_code == 200
    assert say_yes(as_alice, asked).status_code == 302
    assert groups_of(project.machines.get()) == ["ssh"]


def test_an_answer_about_a_new_vm_is_good_for_the_rules_that_were_looked_at(
    as_alice: Client, alice: User, project: Project, abc: list[SecurityGroup]
) -> None:
    asked = as_alice.post(f"{LIST}new/", {"name": "db", "group": ids(abc)[:1]})
    operations.commit_rules(group=abc[0], rules=ports(7), base=1, by=By(alice))
    again = say_yes(as_alice, asked)
    assert "inbound TCP 7" in Page(again).text
    assert not project.machines.exists()


# ── The ordered groups without script ─────────────────────────────────────────


@pytest.mark.parametrize(
    ("button", "order"),
    [
        ("up 2", "acb"),
        ("up 0", "abc"),
        ("down 0", "bac"),
        ("down 2", "abc"),
        ("remove 1", "ac"),
        ("remove 9", "abc"),
        ("up -1", "abc"),
        ("up ²", "abc"),
        ("remove " + "9" * 5000, "abc"),
        ("nonsense", "abc"),
    ],
    ids=lambda value: str(value)[:12],
)
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "part"])
def test_the_order_buttons(
    button: str, order: str, headers: dict[str, str], as_alice: Client, abc: list[SecurityGroup]
) -> None:
    sent = {"name": "Typed", "ipv4": "10.0.0.5", "group": ids(abc), "order": button}
    response = as_alice.post(f"{LIST}new/", sent, headers=headers)
    content = response.content.decode()
    names = {group.public_id: group.name for group in abc}
    if headers:
        assert Page(response).ids[0] == "ordered-groups"
        chosen = [
            part.split('"')[0] for part in content.split('" selected')[:-1] for part in [part.rsplit('value="', 1)[1]]
        ]
    else:
        form = Page(response).form_with("ipv4")
        assert (form.fields["name"], form.fields["ipv4"]) == (["Typed"], ["10.0.0.5"])
        chosen = [value for value in form.fields["group"] if value]
    assert response.status_code == 200
    assert "".join(names[value] for value in chosen) == order
    assert not VirtualMachine.objects.exists()


def test_more_groups_gives_more_places_up_to_the_limit(
    as_alice: Client, abc: list[SecurityGroup], settings: Any
) -> None:
    places = Page(as_alice.post(f"{LIST}new/", {"group": ids(abc)[:1], "more": "1"})).form_with("ipv4").fields["group"]
    assert len(places) > 2
    settings.MAX_GROUPS_PER_MACHINE = 2
    places = Page(as_alice.post(f"{LIST}new/", {"group": ids(abc)[:1], "more": "1"})).form_with("ipv4").fields["group"]
    assert len(places) == 2


def test_more_groups_gives_one_more_place_each_time(as_alice: Client, abc: list[SecurityGroup]) -> None:
    places = [ids(abc)[0], "", ""]
    for count in (4, 5):
        form = Page(as_alice.post(f"{LIST}new/", {"group": places, "more": "1"})).form_with("ipv4")
        places = form.fields["group"]
        assert len(places) == count
    form = Page(as_alice.post(f"{LIST}new/", {"group": places, "order": "up 0"})).form_with("ipv4")
    assert len(form.fields["group"]) == 5


# ── The VM's page ─────────────────────────────────────────────────────────────


def test_the_effective_rules_are_the_groups_lists_one_after_the_other(as_bob: Client, machine: VirtualMachine) -> None:
    # Another VM with the same groups in another order must not show through.
    make_machine(machine.project, "web-2", list(SecurityGroup.objects.order_by("name")))
    text = Page(as_bob.get(machine.get_absolute_url())).text
    assert "Effective rules 7" in text
    places = [
        text.index(f"{name}, rule {place}") for name, n in (("web", 5), ("outbound", 2)) for place in range(1, n + 1)
    ]
    assert places == sorted(places)


def test_a_vm_without_a_group_says_that_everything_is_denied(as_alice: Client, project: Project) -> None:
    assert "No group: everything is denied" in Page(as_alice.get(make_machine(project).get_absolute_url())).text


def test_the_platform_s_lines_stand_there_without_a_rule_too(as_bob: Client, project: Project) -> None:
    for groups in ([], [make_group(project, "empty")], [make_group(project, "one", ports(1))]):
        text = Page(as_bob.get(make_machine(project, "", groups).get_absolute_url())).text
        for words in ("ARP: without it", "DHCP servers answer the VM", "lines of the platform come first"):
            assert words in text
        assert ("No rules: what the platform's lines do not accept is denied." in text) == ("one, rule 1" not in text)


def test_groups_are_moved_up_and_down_on_the_vm_s_page(as_erin: Client, as_bob: Client, project: Project) -> None:
    web = make_group(project, "web", ["accept in tcp 443"])
    shut = make_group(project, "shut", ["drop in all"])
    machine = make_machine(project, "vm", [shut, web])
    url = machine.get_absolute_url()
    assert "Move web up" in as_erin.get(url).content.decode()
    assert "Move web up" not in as_bob.get(url).content.decode()
    form = Page(as_erin.get(url)).form_with("base")
    assert form.action == f"{url}order/"
    asked = form.send(as_erin, order="up 1")
    text = Page(asked).text
    for words in ("Change the groups of vm?", "web from place 2 to 1", "Newly allowed: inbound TCP 443"):
        assert words in text
    assert groups_of(machine) == ["shut", "web"]
    assert say_yes(as_erin, asked)["Location"] == url
    assert groups_of(machine) == ["web", "shut"]
    assert f"{url}undo/2/" in messages(as_erin)
    assert as_bob.post(f"{url}order/", {"base": 2, "order": "up 1"}).status_code == 403


def test_an_order_that_changes_nothing_needs_no_question(as_erin: Client, abc: list[SecurityGroup]) -> None:
    machine = make_machine(abc[0].project, "vm", abc)
    assert as_erin.post(f"{machine.get_absolute_url()}order/", {"base": 1, "order": "down 0"}).status_code == 302
    assert groups_of(machine) == ["b", "a", "c"]


@pytest.mark.parametrize(
    "order", ["", "up 0", "down 2", "remove 1", "up 9", "up ²", "up -1", "down " + "9" * 5000, "x"]
)
def test_an_order_that_is_none_changes_nothing(order: str, as_erin: Client, abc: list[SecurityGroup]) -> None:
    machine = make_machine(abc[0].project, "vm", abc)
    for base in (1, 2, "x"):
        response = as_erin.post(f"{machine.get_absolute_url()}order/", {"base": base, "order": order})
        assert response.status_code == 302
        assert "Nothing was changed" in messages(as_erin)
    machine.refresh_from_db()
    assert (machine.revision, groups_of(machine)) == (1, ["a", "b", "c"])


def test_a_finding_leads_to_the_fix_in_the_rule_s_group_where_there_is_one(
    as_erin: Client, as_bob: Client, project: Project
) -> None:
    front = make_group(project, "front", ["accept in tcp 22"])
    web = make_group(project, "web", ["accept in tcp 80-90", "accept in tcp 80", "accept in tcp 22"])
    machine = make_machine(project, "vm", [front, web])
    content = as_erin.get(machine.get_absolute_url()).content.decode()
    here, hidden = (rule.uid for rule in web.rules.in_order()[1:])
    assert f'href="{web.get_absolute_url()}rules/{here}/fix/remove/"' in content
    assert (
        "In web: Remove rule 2: every packet is decided as before."
        in Page(as_erin.get(machine.get_absolute_url())).text
    )
    # That one is dead for what stands in another group: its own offers nothing.
    assert f"{hidden}/fix/" not in content
    assert "front, rule 1 takes all of it" in content
    assert "/fix/" not in as_bob.get(machine.get_absolute_url()).content.decode()
    fix = as_erin.get(f"{web.get_absolute_url()}rules/{here}/fix/remove/")
    assert Page(fix).title.startswith("Change web?")


# ── Instance settings ─────────────────────────────────────────────────────────


def test_other_groups_are_asked_about_and_then_attached(as_erin: Client, machine: VirtualMachine) -> None:
    url = f"{machine.get_absolute_url()}settings/"
    form = Page(as_erin.get(url)).form_with("ipv4")
    assert len([value for value in form.fields["group"] if value]) == 2
    asked = form.send(as_erin, group=form.fields["group"][1:2])
    assert "On 1 virtual machine" in Page(asked).text
    assert groups_of(machine) == ["web", "outbound"]
    assert say_yes(as_erin, asked)["Location"] == machine.get_absolute_url()
    assert groups_of(machine) == ["outbound"]
    assert f"{machine.get_absolute_url()}undo/2/" in messages(as_erin)
    as_erin.post(f"{machine.get_absolute_url()}undo/2/")
    assert groups_of(machine) == ["web", "outbound"]


def test_a_new_name_alone_needs_no_question(as_alice: Client, machine: VirtualMachine) -> None:
    form = Page(as_alice.get(f"{machine.get_absolute_url()}settings/")).form_with("ipv4")
    assert form.send(as_alice, name="front-1", ipv6="").status_code == 302
    machine.refresh_from_db()
    assert (machine.name, machine.ipv4, machine.ipv6, machine.revision) == ("front-1", "10.0.1.11", None, 1)


@pytest.mark.parametrize("base", ["", "0", "2", "x", "-1", "²", "9" * 5000])
def test_stale_settings_write_nothing_and_keep_what_was_chosen(
    base: str, as_alice: Client, machine: VirtualMachine
) -> None:
    outbound = SecurityGroup.objects.get(name="outbound")
    sent = {"base": base, "name": "mine", "ipv4": "10.0.1.99", "group": [outbound.public_id]}
    response = as_alice.post(f"{machine.get_absolute_url()}settings/", sent)
    page = Page(response)
    assert response.status_code == 409
    assert "Nothing was saved." in page.text
    assert "They are now: web, then outbound." in page.text
    form = page.form_with("ipv4")
    assert (form.fields["base"], form.fields["name"]) == (["1"], ["mine"])
    machine.refresh_from_db()
    assert (machine.name, machine.ipv4, groups_of(machine)) == ("web-1", "10.0.1.11", ["web", "outbound"])
    # Saving again is the way to make it so all the same.
    say_yes(as_alice, form.send(as_alice))
    assert groups_of(machine) == ["outbound"]


def test_bad_settings_are_told_and_nothing_is_saved(as_alice: Client, machine: VirtualMachine) -> None:
    make_machine(machine.project, "other")
    response = as_alice.post(
        f"{machine.get_absolute_url()}settings/", {"base": 1, "name": "OTHER", "ipv4": "10.0.1.11"}
    )
    if response.status_code == 200:
        response = say_yes(as_alice, response)
    assert response.status_code == 422
    assert list(Page(response).errors) == ["name"]
    assert groups_of(machine) == ["web", "outbound"], "both or neither"


def test_sending_the_settings_twice_is_one_change(as_alice: Client, machine: VirtualMachine) -> None:
    outbound = SecurityGroup.objects.get(name="outbound")
    sent = {"base": 1, "name": "web-1", "ipv4": "10.0.1.11", "group": [outbound.public_id]}
    asked = as_alice.post(f"{machine.get_absolute_url()}settings/", sent)
    answers = [Page(asked).form_with("sure").send(as_alice, *tab).status_code for tab in ([], [], ["once"])]
    assert answers == [302, 302, 409], "the second click is the first; another tab is not"
    machine.refresh_from_db()
    assert machine.revision == 2


def test_a_forged_group_in_the_settings_is_not_attached(
    as_alice: Client, machine: VirtualMachine, bakery: Project
) -> None:
    oven = make_group(bakery, "oven", ["accept in all"])
    for extra in ({}, {"preview": "1"}, {"order": "up 0"}, {"more": "1"}):
        sent = {"base": 1, "name": "web-1", "group": [oven.public_id], **extra}
        response = as_alice.post(f"{machine.get_absolute_url()}settings/", sent)
        assert response.status_code in (200, 422)
        assert b"oven" not in response.content
    assert not oven.attachments.exists()
    assert groups_of(machine) == ["web", "outbound"]


def test_a_group_behind_one_that_drops_everything_is_asked_about(
    as_alice: Client, project: Project, abc: list[SecurityGroup]
) -> None:
    """No traffic changes, but what the group says is never asked."""
    shut = make_group(project, "shut", ["drop in all"])
    machine = make_machine(project, "vm", [shut])
    sent = {"base": 1, "name": "vm", "group": [shut.public_id, abc[0].public_id]}
    url = f"{machine.get_absolute_url()}settings/"
    asked = as_alice.post(url, sent)
    dead = "a, rule 1: No packet reaches this rule: shut, rule 1 takes all of it, and drops it."
    assert "No traffic changes" in Page(asked).text
    assert dead in Page(asked).text
    assert groups_of(machine) == ["shut"]
    shown = as_alice.post(url, sent | {"preview": "1"}, headers=HTMX).content.decode()
    assert dead in shown
    seen = shown.split('name="seen" value="')[1].split('"')[0]
    assert as_alice.post(url, sent | {"seen": seen}).status_code == 302
    assert groups_of(machine) == ["shut", "a"]


# ── Delete ────────────────────────────────────────────────────────────────────


def test_deleting_and_bringing_back(as_alice: Client, machine: VirtualMachine) -> None:
    url = machine.get_absolute_url()
    page = Page(as_alice.get(f"{url}delete/"))
    assert "Its groups stay: web, outbound." in page.text
    assert "the VM's tap passes nothing at all" in page.text
    assert as_alice.post(f"{url}delete/").status_code == 302
    assert f"{url}bring-back/" in messages(as_alice)
    assert as_alice.post(f"{url}delete/").status_code == 404, "a second click"
    assert SecurityGroup.objects.live().count() == 2
    assert as_alice.post(f"{url}bring-back/").status_code == 302
    assert as_alice.get(url).status_code == 200
    assert groups_of(machine) == ["web", "outbound"]


def test_the_platforms_own_id_is_shown_and_typed_by_nobody(as_alice: Client, machine: VirtualMachine) -> None:
    operations.update_machine(machine=machine, fields={"external_id": "i-0abc"}, by=By())
    address = machine.get_absolute_url()

    page = as_alice.get(address).content.decode()
    settings = as_alice.get(f"{address}settings/").content.decode()
    as_alice.post(f"{address}settings/", {"name": machine.name, "base": machine.revision, "external_id": "i-mine"})

    assert "external ID <code>i-0abc</code>" in " ".join(page.split())
    assert "External ID: <code>i-0abc</code>" in " ".join(settings.split())
    assert 'name="external_id"' not in settings
    machine.refresh_from_db()
    assert machine.external_id == "i-0abc"
