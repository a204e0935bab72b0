"""What holds of every model: its pages render, cost little, lead into the panel, and no input makes them fail."""

import re
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from django.contrib import admin as site
from django.contrib.auth.models import Group
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext

from securitygroups import operations
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet
from securitygroups.models import (
    CaseNote,
    Event,
    GroupRevision,
    MachineRevision,
    Project,
    Rule,
    SecurityGroup,
    SupportCase,
    User,
    VirtualMachine,
)
from securitygroups.operations import By
from tests.admin.pages import EDITABLE, MODELS, agree, label, said, sent, url
from tests.factories import make_group, make_machine, make_project, make_user, rule


def test_every_model_of_ours_is_registered_and_no_other() -> None:
    """Libraries bring pages of their own, with seeds of authenticator apps and verified addresses on them."""
    assert set(site.site._registry) == {*MODELS, Group}
    assert {type(each).__module__.partition(".")[0] for each in site.site._registry.values()} == {"securitygroups"}


@pytest.mark.parametrize("model", MODELS, ids=label)
def test_every_page_of_a_model_renders(
    everything: dict[type[Model], Model], as_admin: Client, model: type[Model]
) -> None:
    row = everything[model]

    assert as_admin.get(url(model)).status_code == 200
    assert as_admin.get(url(model, "change", row.pk)).status_code == 200
    assert as_admin.get(url(model, "history", row.pk)).status_code == 200
    assert as_admin.get(url(model, "add")).status_code == (200 if model in EDITABLE else 403)
    assert as_admin.get(url(model), {"q": "web"}).status_code == 200


def test_a_deleted_group_and_vm_can_still_be_looked_at(
    as_admin: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    operations.delete_group(group=group, base=1, by=By())
    operations.delete_machine(machine=machine, by=By())

    for thing in (group, machine):
        address = url(type(thing), "change", thing.pk)
        assert as_admin.get(address).status_code == 200
        assert as_admin.post(address, {"name": "x"}).status_code == 403
        assert as_admin.get(url(type(thing)), {"state": "deleted"}).context["cl"].result_count == 1
    assert as_admin.get(url(Rule)).context["cl"].result_count == 2


def fill(project: Project, number: int) -> None:
    """`number` more of everything that a list shows."""
    for _ in range(number):
        person = make_user(f"person{User.objects.count()}")
        operations.add_member(project=project, user=person, role="viewer", by=By())
        more = make_project(None)
        group = make_group(more, rules=["accept in tcp 22 from 10.0.0.0/8"])
        vm = make_machine(project, groups=[make_group(project, rules=["drop in all"])])
        operations.open_visit(project=more, staff=person, reason="Asked", ticket="T")
        operations.open_case(about=vm, packet=Packet(Direction.IN), staff=person, note="x")
        operations.save_template(group=group, name="t", description="", by=By())


def test_lists_cost_as_many_queries_for_thirty_rows_as_for_two(project: Project, as_admin: Client) -> None:
    def costs() -> dict[str, int]:
        found = {}
        for model in MODELS:
            # Of a page of looks there is nothing to be put on record.
            but_looks = {"by_staff__exact": 0} if model is Event else {}
            with CaptureQueriesContext(connection) as queries:
                assert as_admin.get(url(model), but_looks).status_code == 200
            found[model.__name__] = len(queries)
        return found

    fill(project, 2)
    as_admin.get(url(Rule))
    few = costs()
    fill(project, 28)

    assert costs() == few
    assert max(few.values()) < 12


def test_the_pages_of_a_large_group_vm_and_project_cost_no_more_than_of_a_small_one(
    project: Project, as_admin: Client
) -> None:
    def costs(number: int) -> list[int]:
        groups = [make_group(project, rules=["drop in all"] * number) for _ in range(number)]
        machines = [make_machine(project, groups=groups[:number]) for _ in range(number)]
        pages = [url(SecurityGroup, "change", groups[0].pk), url(VirtualMachine, "change", machines[0].pk)]
        found = []
        for page in pages:
            with CaptureQueriesContext(connection) as queries:
                assert as_admin.get(page).status_code == 200
            found.append(len(queries))
        return found

    costs(1)  # what the process remembers from page to page, such as the kinds of content, is asked for once
    assert costs(12) == costs(2)


def test_each_object_leads_to_its_pages_and_packet_test_in_the_panel(
    everything: dict[type[Model], Model], as_admin: Client, sign_in: Callable[[User], Client], alice: User
) -> None:
    customer = sign_in(alice)
    expected = {
        Project: "/p/shop/",
        SecurityGroup: "/test/",
        Rule: "/test/",
        VirtualMachine: "/test/",
        GroupRevision: "/test/",
        MachineRevision: "/test/",
        SupportCase: "/test/",
        CaseNote: "/test/",
    }
    for model, ending in expected.items():
        page = as_admin.get(url(model, "change", everything[model].pk)).content.decode()
        links = re.findall(r'<a href="(/p/[^"]+)"', page)
        assert any(link.endswith(ending) for link in links), model
        for link in links:
            assert customer.get(link).status_code == 200, link


def test_of_what_was_deleted_no_link_leads_into_the_panel(
    everything: dict[type[Model], Model], as_admin: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    operations.delete_machine(machine=machine, by=By())
    operations.delete_group(group=group, base=1, by=By())

    for row in (group.revisions.get(), machine.revisions.get()):
        assert 'href="/p/' not in as_admin.get(url(type(row), "change", row.pk)).content.decode()


@pytest.mark.parametrize(
    ("action", "limit", "words"),
    [
        ("export", "groups.EXPORTED", "Up to 2 groups can be exported at once, and these are 3"),
        ("recheck", "groups.CHECKED", "The rules of up to 2 groups can be checked at once, and these are 3"),
        ("move_to_project", "machines.MOVED", "Up to 2 VMs can be moved at once, and these are 3"),
    ],
)
def test_an_action_on_more_than_it_takes_is_refused_and_says_how_many_it_takes(
    as_admin: Client, project: Project, monkeypatch: pytest.MonkeyPatch, action: str, limit: str, words: str
) -> None:
    monkeypatch.setattr(f"securitygroups.admin.{limit}", 2)
    model = VirtualMachine if action == "move_to_project" else SecurityGroup
    rows = [(make_machine if model is VirtualMachine else make_group)(project) for _ in range(3)]
    other = make_project(None, "Other")
    data = {"action": action, "target": other.pk}

    refused = as_admin.post(url(model), data | {"_selected_action": [row.pk for row in rows]}, follow=True)
    send = agree if model is VirtualMachine else Client.post
    taken = send(as_admin, url(model), data | {"_selected_action": [row.pk for row in rows[:2]]})

    assert said(refused) == [f"{words}: choose fewer. Nothing was done."]
    assert taken.status_code == (200 if action == "export" else 302)
    assert other.machines.count() == (2 if action == "move_to_project" else 0)


GARBAGE = ["", "x", "-1", "9" * 20, "\x00", "(", "10.0.0.0/33", "a" * 5000]
FILTERS = {
    SecurityGroup: ("q", "p", "o", "state", "id__exact", "name", "name__regex", "project__id__exact", "created_at__gte", "e"),
    Rule: ("q", "p", "o", "action__exact", "source", "source__covers", "source__within", "source__overlaps",
           "destination__contains", "port_start", "port_start__gt", "group__id__exact", "position", "enabled__exact"),
    VirtualMachine: ("q", "ipv4", "ipv4__exact", "ipv6__in", "state", "name__iregex"),
    Event: ("q", "p", "verb__exact", "by_staff__exact", "at__lt", "detail__x"),
    Project: ("q", "max_rules", "slug__exact", "all"),
    GroupRevision: ("q", "number", "rules__0"),
}  # fmt: skip


@pytest.mark.parametrize("model", FILTERS, ids=label)
def test_no_address_that_somebody_types_makes_a_list_fail(
    as_admin: Client, machine: VirtualMachine, model: type[Model]
) -> None:
    for name in FILTERS[model]:
        for value in GARBAGE:
            response = as_admin.get(f"{url(model)}?{urlencode({name: value})}")
            assert response.status_code < 500, (name, value)


@pytest.mark.parametrize("model", EDITABLE, ids=label)
def test_no_field_that_somebody_fills_makes_a_form_fail(
    everything: dict[type[Model], Model], as_admin: Client, model: type[Model]
) -> None:
    row = everything[model]
    address = url(model, "change", row.pk)
    good = sent(as_admin, address)
    for name in good:
        if name.endswith("TOTAL_FORMS"):
            continue  # Django draws up to 2,000 rows for whoever asks for them, which takes a while
        assert as_admin.post(address, good | {name: "9" * 20}).status_code < 500, name
        assert as_admin.post(url(model, "add"), good | {name: "x" * 300}).status_code < 500, name
    for key in ("x", "0", "-1", "99999999999999999999", "%00"):
        for page in ("change", "delete", "history"):
            assert as_admin.get(f"{url(model)}{key}/{page}/").status_code in (302, 400, 403, 404)
    bad = {"action": "delete_selected", "_selected_action": ["x", "99999999999999999999", "\x00"], "post": "yes"}
    assert as_admin.post(url(model), bad).status_code < 500


def test_what_is_done_to_chosen_rows_is_done_to_all_of_them_or_none(as_admin: Client, project: Project) -> None:
    """One group of three cannot be written: the database is made to refuse its revision."""
    groups = [make_group(project, name, ["drop in all"] * 2) for name in "abc"]
    chosen = [row.pk for row in Rule.objects.filter(position=1)]
    with connection.cursor() as cursor:
        connection.check_constraints()
        cursor.execute(
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION data_exception; END $$"
        )
        cursor.execute(
            f"CREATE TRIGGER no BEFORE INSERT ON {GroupRevision._meta.db_table} FOR EACH ROW"
            f" WHEN (NEW.group_id = {groups[2].pk}) EXECUTE FUNCTION no()"
        )
    data = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}

    as_admin.post(url(Rule), data, follow=True)

    assert [group.rules.count() for group in groups] == [2, 2, 2]
    assert [group.revisions.count() for group in groups] == [1, 1, 1]


def test_what_people_wrote_is_text_not_html(as_admin: Client, project: Project) -> None:
    nasty = "<script>alert(1)</script>"
    group = make_group(project, nasty, [rule("drop in all", nasty)])
    make_machine(project, nasty, [group])

    for page in (
        url(SecurityGroup),
        url(SecurityGroup, "change", group.pk),
        url(Rule),
        url(VirtualMachine),
        url(Event),
    ):
        assert nasty not in as_admin.get(page).content.decode()
