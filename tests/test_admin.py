"""The Django admin: every model is there, every page renders, and every change goes through operations."""

import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.contrib import admin as site
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from securitygroups import operations
from securitygroups.firewall import lists
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet
from securitygroups.models import (
    Attachment,
    CaseNote,
    Event,
    GroupRevision,
    GroupTemplate,
    MachineRevision,
    Membership,
    Project,
    Rule,
    SecurityGroup,
    SupportCase,
    SupportVisit,
    User,
    VirtualMachine,
    values,
)
from securitygroups.operations import By
from tests.factories import PASSWORD, make_group, make_machine, make_project, make_user, rule

MODELS = list(apps.get_app_config("securitygroups").get_models())
READ_ONLY = [Attachment, CaseNote, Event, GroupRevision, MachineRevision, Membership, SupportCase, SupportVisit]
EDITABLE = [model for model in MODELS if model not in READ_ONLY]
REFUSED = [
    json.loads(line) for line in (Path(__file__).parent / "cases" / "refused.jsonl").read_text("utf-8").splitlines()
]


def url(model: type[Model], page: str = "changelist", *arguments: object) -> str:
    return reverse(f"admin:securitygroups_{model._meta.model_name}_{page}", args=arguments)


def label(value: Any) -> str:
    return value.__name__.lower() if isinstance(value, type) else str(value)


def sent(client: Client, address: str) -> dict[str, Any]:
    """What a browser would send of the form at that address, unchanged."""
    response = client.get(address)
    assert response.status_code == 200
    form = response.context["adminform"].form
    data: dict[str, Any] = {}
    forms = [form, *(each for formset in response.context["inline_admin_formsets"] for each in formset.formset.forms)]
    forms += [formset.formset.management_form for formset in response.context["inline_admin_formsets"]]
    for each in forms:
        for field in each:
            value = field.value()
            if value not in (None, False):
                data[field.html_name] = "on" if value is True else value
    return data


def rule_data(group: SecurityGroup, **fields: Any) -> dict[str, Any]:
    """A new rule as the admin's form sends it."""
    data = {"action": "accept", "direction": "in", "protocol": "tcp", "enabled": "on", "place": 1, **fields}
    return {"group": group.pk, **{name: value for name, value in data.items() if value is not None}}


def said(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def refused(response: Any) -> str:
    """What stands in the form, above it and at its fields."""
    return str(response.context["adminform"].form.errors)


def rules_of(group: SecurityGroup) -> tuple[Any, ...]:
    return values(list(group.rules.in_order()))


def newest() -> Event:
    return Event.objects.order_by("-pk")[0]


@pytest.fixture
def as_admin(admin: User) -> Client:
    """Not a watched one: Django's own pages and operations row by row are counted below, thirty rows against two."""
    client = Client()
    client.force_login(admin)
    return client


@pytest.fixture
def everything(machine: VirtualMachine, staff: User, alice: User, bob: User) -> dict[type[Model], Model]:
    """A row of each model."""
    project = machine.project
    operations.open_visit(project=project, staff=staff, reason="Asked", ticket="T-1")
    operations.open_case(about=machine, packet=Packet(Direction.IN), staff=staff, note="Look")
    operations.save_template(group=project.groups.get(name="web"), name="Web", description="", by=By(alice))
    return {model: model._default_manager.order_by("pk")[0] for model in MODELS}


@pytest.mark.parametrize("model", MODELS, ids=label)
def test_every_model_is_registered(model: type[Model]) -> None:
    assert site.site.is_registered(model)


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


@pytest.mark.parametrize("model", READ_ONLY, ids=label)
def test_what_is_a_record_can_be_read_only(
    everything: dict[type[Model], Model], as_admin: Client, model: type[Model]
) -> None:
    before = list(model._default_manager.order_by("pk").values())
    row = everything[model]

    assert as_admin.post(url(model, "add"), {}).status_code == 403
    assert as_admin.post(url(model, "change", row.pk), {}).status_code == 403
    assert as_admin.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    as_admin.post(url(model), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert list(model._default_manager.order_by("pk").values()) == before


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
            with CaptureQueriesContext(connection) as queries:
                assert as_admin.get(url(model)).status_code == 200
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

    as_admin.get(url(SecurityGroup))
    assert costs(12) == costs(2)


# Rules.


def test_a_rule_added_in_the_admin_is_committed_as_staff(as_admin: Client, group: SecurityGroup, admin: User) -> None:
    data = rule_data(group, port_start=8080, source="10.0.0.0/8", description="Admin", place=2)
    response = as_admin.post(url(Rule, "add"), data, follow=True)

    assert response.status_code == 200
    row = group.rules.get(position=2)
    assert (row.port_start, row.port_end, str(row.source), row.description) == (8080, 8080, "10.0.0.0/8", "Admin")
    revision = group.revisions.get(number=2)
    assert (revision.actor, revision.by_staff, revision.summary) == (admin, True, "Added rule 2.")
    assert (newest().verb, newest().by_staff) == ("rules.changed", True)
    assert site.models.LogEntry.objects.get().object_id == str(row.pk)


def test_a_rule_is_edited_moved_and_cleared_through_the_one_commit(as_admin: Client, group: SecurityGroup) -> None:
    row = group.rules.get(position=3)
    address = url(Rule, "change", row.pk)
    data = sent(as_admin, address)
    data |= {"protocol": "udp", "port_start": "53", "port_end": "", "place": "1", "description": "DNS"}
    del data["source"]

    assert as_admin.post(address, data).status_code == 302

    again = Rule.objects.get(pk=row.pk)
    assert (again.position, again.uid, again.source, again.enabled) == (1, row.uid, None, True)
    assert (again.protocol, again.port_start, again.port_end) == ("udp", 53, 53)
    assert group.revisions.get(number=2).summary == "Changed rule 1. Moved rule 3 to 1."


def test_saving_a_rule_unchanged_writes_no_revision(as_admin: Client, group: SecurityGroup) -> None:
    address = url(Rule, "change", group.rules.get(position=3).pk)

    assert as_admin.post(address, sent(as_admin, address)).status_code == 302
    assert group.revisions.count() == 1


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["why"][:30])
def test_what_every_door_refuses_is_refused_here_at_its_field(
    as_admin: Client, group: SecurityGroup, case: dict[str, Any]
) -> None:
    fields = {name: value for name, value in case["rule"].items() if name != "enabled"}
    new = as_admin.post(url(Rule, "add"), rule_data(group, **fields))
    address = url(Rule, "change", group.rules.get(position=2).pk)
    kept = {name: sent(as_admin, address)[name] for name in ("base", "place")}
    edited = as_admin.post(address, kept | rule_data(group, **{**fields, "place": kept["place"]}))

    for response in (new, edited):
        assert response.status_code == 200
        errors = response.context["adminform"].form.errors
        blamed = {name for name in ("source", "destination", "port_start", "port_end") if fields[name] is not None}
        assert errors
        assert set(errors) <= blamed
    assert len(REFUSED) == 11
    assert group.revisions.count() == 1
    assert group.rules.count() == 5


@pytest.mark.parametrize("place", ["0", "-1", "7", "x", "", "99999999999999999999", "1.5"])
def test_a_place_that_is_none_is_refused_at_its_field(as_admin: Client, group: SecurityGroup, place: str) -> None:
    response = as_admin.post(url(Rule, "add"), rule_data(group, place=place))

    assert list(response.context["adminform"].form.errors) == ["place"]
    assert group.revisions.count() == 1


def test_a_rule_changed_by_somebody_else_in_the_meantime_is_not_overwritten(
    as_admin: Client, group: SecurityGroup
) -> None:
    address = url(Rule, "change", group.rules.get(position=3).pk)
    data = sent(as_admin, address)
    operations.commit_rules(group=group, rules=lists.move(rules_of(group), [3], 1), base=1, by=By())
    before = rules_of(group)

    response = as_admin.post(address, data | {"port_start": "1", "port_end": "1"})

    assert "changed in the meantime" in str(response.context["adminform"].form.non_field_errors())
    assert rules_of(group) == before
    for base in ("", "x", "-1", "99999999999999999999"):
        assert as_admin.post(address, data | {"base": base}).status_code == 200
    assert group.revisions.count() == 2


def test_a_rule_that_is_gone_redirects_with_words(as_admin: Client, group: SecurityGroup) -> None:
    row = group.rules.get(position=3)
    operations.commit_rules(group=group, rules=(), base=1, by=By())

    response = as_admin.post(url(Rule, "change", row.pk), {}, follow=True)

    assert "Perhaps it was deleted" in said(response)[0]


def test_the_quota_holds_in_the_admin_too(as_admin: Client, group: SecurityGroup) -> None:
    Project.objects.update(max_rules=5)

    response = as_admin.post(url(Rule, "add"), rule_data(group, description="Typed"), follow=True)

    assert "can have 5 rules" in refused(response)
    assert response.context["adminform"].form["description"].value() == "Typed"
    assert group.rules.count() == 5


def test_a_rule_is_deleted_with_a_revision_and_an_event_by_staff(as_admin: Client, group: SecurityGroup) -> None:
    row = group.rules.get(position=2)
    assert as_admin.get(url(Rule, "delete", row.pk)).status_code == 200

    assert as_admin.post(url(Rule, "delete", row.pk), {"post": "yes"}).status_code == 302

    assert [each.position for each in group.rules.in_order()] == [1, 2, 3, 4]
    assert not Rule.objects.filter(pk=row.pk).exists()
    assert (newest().summary, newest().by_staff) == ("Removed rule 2.", True)


def test_chosen_rules_of_several_groups_are_deleted_with_a_revision_each(
    as_admin: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    outbound = machine.project.groups.get(name="outbound")
    chosen = [*group.rules.filter(position__in=[1, 4]), outbound.rules.get(position=1)]
    data = {"action": "delete_selected", "_selected_action": [row.pk for row in chosen]}

    assert as_admin.post(url(Rule), data).status_code == 200
    assert as_admin.post(url(Rule), data | {"post": "yes"}).status_code == 302

    assert group.revisions.get(number=2).summary == "Removed 2 rules."
    assert outbound.revisions.get(number=2).summary == "Removed rule 1."
    assert [(r.group.name, r.position) for r in Rule.objects.order_by("group__name", "position")] == [
        ("outbound", 1), ("web", 1), ("web", 2), ("web", 3),
    ]  # fmt: skip


# Groups, VMs, projects.


def test_a_group_is_created_and_renamed_through_operations(as_admin: Client, project: Project, admin: User) -> None:
    assert as_admin.post(url(SecurityGroup, "add"), {"project": project.pk, "name": "new"}).status_code == 302
    group = SecurityGroup.objects.get()
    address = url(SecurityGroup, "change", group.pk)
    as_admin.post(address, {"name": "newer", "description": "x"})

    group.refresh_from_db()
    assert (group.name, group.description, group.revision) == ("newer", "x", 1)
    assert [(e.summary, e.actor, e.by_staff) for e in group.events.order_by("pk")] == [
        ("Created new.", admin, True), ("Renamed new to newer.", admin, True),
    ]  # fmt: skip


def test_a_groups_name_that_is_taken_is_refused_in_words(
    as_admin: Client, group: SecurityGroup, project: Project
) -> None:
    other = make_group(project, "other")

    added = as_admin.post(url(SecurityGroup, "add"), {"project": project.pk, "name": "WEB"}, follow=True)
    renamed = as_admin.post(url(SecurityGroup, "change", other.pk), {"name": "Web"}, follow=True)

    assert "already has a group of this name" in refused(added)
    assert "already has a group of this name" in refused(renamed)
    assert SecurityGroup.objects.filter(name__iexact="web").count() == 1


def test_a_group_is_deleted_from_its_page_and_leaves_its_vms(
    as_admin: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    page = as_admin.get(url(SecurityGroup, "delete", group.pk))
    assert page.status_code == 200
    assert not page.context["protected"]

    assert as_admin.post(url(SecurityGroup, "delete", group.pk), {"post": "yes"}).status_code == 302

    group.refresh_from_db()
    assert group.deleted_at
    assert list(machine.attachments.values_list("position", "group__name")) == [(1, "outbound")]
    assert (newest().verb, newest().by_staff) == ("group.deleted", True)
    assert group.revisions.count() == 1


def test_chosen_groups_and_vms_are_deleted_with_an_event_each(
    as_admin: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    for model in (SecurityGroup, VirtualMachine):
        keys = list(model._default_manager.values_list("pk", flat=True))
        data = {"action": "delete_selected", "_selected_action": keys, "post": "yes"}
        assert as_admin.post(url(model), data).status_code == 302

    assert not SecurityGroup.objects.live().exists()
    assert not VirtualMachine.objects.live().exists()
    assert SecurityGroup.objects.count() == 2
    deleted = Event.objects.filter(verb__endswith=".deleted")
    assert sorted(deleted.values_list("verb", "by_staff")) == [
        ("group.deleted", True), ("group.deleted", True), ("machine.deleted", True),
    ]  # fmt: skip


def test_a_vm_is_created_edited_and_deleted_through_operations(
    as_admin: Client, machine: VirtualMachine, group: SecurityGroup, admin: User
) -> None:
    project = machine.project
    outbound = project.groups.get(name="outbound")
    order = f"{outbound.public_id}\n{group.public_id}"
    data = {"project": project.pk, "name": "new", "ipv4": "10.0.0.9", "ordered_groups": order}

    assert as_admin.post(url(VirtualMachine, "add"), data).status_code == 302
    vm = VirtualMachine.objects.get(name="new")
    assert [row.group for row in vm.attachments.order_by("position")] == [outbound, group]
    address = url(VirtualMachine, "change", vm.pk)
    data = sent(as_admin, address) | {"ordered_groups": group.public_id, "name": "newer"}
    assert as_admin.post(address, data).status_code == 302
    assert [row.group for row in vm.attachments.all()] == [group]
    assert as_admin.get(url(VirtualMachine, "delete", vm.pk)).status_code == 200
    assert as_admin.post(url(VirtualMachine, "delete", vm.pk), {"post": "yes"}).status_code == 302
    vm.refresh_from_db()
    assert vm.deleted_at
    assert {(e.actor, e.by_staff) for e in vm.events.all()} == {(admin, True)}
    assert [e.verb for e in vm.events.order_by("pk")] == [
        "machine.created", "machine.changed", "machine.groups", "machine.deleted",
    ]  # fmt: skip


def test_a_vms_groups_changed_by_somebody_else_in_the_meantime_are_not_overwritten(
    as_admin: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    address = url(VirtualMachine, "change", machine.pk)
    data = sent(as_admin, address)
    operations.attach_groups(machine=machine, groups=[group], base=1, by=By())

    response = as_admin.post(address, data | {"name": "mine"})

    assert "changed in the meantime" in str(response.context["errors"])
    assert [row.group for row in machine.attachments.all()] == [group]
    machine.refresh_from_db()
    assert machine.name == "web-1"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ordered_groups", "sg-0000000000"), ("ordered_groups", "../etc"), ("ordered_groups", "{same}\n{same}"),
        ("ordered_groups", "{foreign}"), ("ordered_groups", "\x00"), ("ipv4", "10.0.0"), ("ipv6", "10.0.0.1"),
        ("tap", "a b"), ("name", ""), ("name", "x" * 101), ("name", "\x00"),
    ],
)  # fmt: skip
def test_a_vms_wrong_fields_are_refused_and_nothing_is_saved(
    as_admin: Client, machine: VirtualMachine, group: SecurityGroup, bakery: Project, field: str, value: str
) -> None:
    foreign = make_group(bakery, "foreign")
    address = url(VirtualMachine, "change", machine.pk)
    before = (machine.revisions.count(), Event.objects.count())
    value = value.format(same=group.public_id, foreign=foreign.public_id)

    response = as_admin.post(address, sent(as_admin, address) | {field: value}, follow=True)

    # What no database can hold is a bad request, before any form sees it.
    assert response.status_code == (400 if "\x00" in value else 200)
    assert "\x00" in value or response.context["errors"] or said(response)
    assert (machine.revisions.count(), Event.objects.count()) == before


def member_forms(project: Project) -> dict[str, Any]:
    members = list(project.memberships.order_by("pk"))
    data: dict[str, Any] = {"name": project.name}
    data |= {"memberships-TOTAL_FORMS": len(members), "memberships-INITIAL_FORMS": len(members)}
    for number, member in enumerate(members):
        data |= {
            f"memberships-{number}-id": member.pk,
            f"memberships-{number}-project": project.pk,
            f"memberships-{number}-user": member.user_id,
            f"memberships-{number}-role": member.role,
        }
    return data


def test_members_are_added_changed_and_removed_on_record(
    as_admin: Client, project: Project, bob: User, erin: User, charlie: User
) -> None:
    places = {member.user.username: n for n, member in enumerate(project.memberships.order_by("pk"))}
    data = member_forms(project)
    data[f"memberships-{places['bob']}-role"] = "editor"
    data[f"memberships-{places['erin']}-DELETE"] = "on"
    data |= {"memberships-TOTAL_FORMS": 4, "memberships-3-user": charlie.pk, "memberships-3-role": "viewer"}

    assert as_admin.post(url(Project, "change", project.pk), data).status_code == 302

    assert {m.user.username: m.role for m in project.memberships.all()} == {
        "alice": "owner", "bob": "editor", "charlie": "viewer",
    }  # fmt: skip
    last = list(project.events.order_by("-pk")[:3])
    assert {(e.verb, e.by_staff) for e in last} == {
        ("member.added", True), ("member.changed", True), ("member.removed", True),
    }  # fmt: skip


def test_the_last_owner_stays_and_nothing_else_of_that_form_is_saved(
    as_admin: Client, project: Project, bob: User
) -> None:
    data = member_forms(project) | {"name": "Renamed", "memberships-0-DELETE": "on"}
    before = Event.objects.count()

    response = as_admin.post(url(Project, "change", project.pk), data, follow=True)

    assert "last owner" in refused(response)
    project.refresh_from_db()
    assert (project.name, project.memberships.count(), Event.objects.count()) == ("Shop", 2, before)


def test_ownership_is_handed_over_in_one_form(as_admin: Client, project: Project, bob: User) -> None:
    data = member_forms(project) | {"memberships-0-role": "viewer", "memberships-1-role": "owner"}

    assert as_admin.post(url(Project, "change", project.pk), data).status_code == 302
    assert {m.user.username: m.role for m in project.memberships.all()} == {"alice": "viewer", "bob": "owner"}


def test_the_last_owner_is_not_switched_off(as_admin: Client, project: Project, alice: User, bob: User) -> None:
    form = as_admin.get(url(User, "change", alice.pk)).context["adminform"].form
    names = ("username", "email", "first_name", "last_name")
    data = {name: form.initial[name] for name in names} | {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}

    response = as_admin.post(url(User, "change", alice.pk), data)

    assert "last owner of Shop: make somebody else an owner" in refused(response)
    alice.refresh_from_db()
    assert alice.is_active
    operations.add_member(project=project, user=make_user("dora"), role="owner", by=By(alice))
    assert as_admin.post(url(User, "change", alice.pk), data).status_code == 302
    alice.refresh_from_db()
    assert not alice.is_active


def test_a_membership_is_not_passed_on_to_another_person(
    as_admin: Client, project: Project, bob: User, charlie: User
) -> None:
    data = member_forms(project) | {"memberships-1-user": charlie.pk}

    response = as_admin.post(url(Project, "change", project.pk), data, follow=True)

    assert "add the other person" in refused(response)
    assert {m.user for m in project.memberships.all()} == {project.memberships.get(role="owner").user, bob}


def test_a_project_is_created_with_its_first_owner(as_admin: Client, charlie: User) -> None:
    data = {
        "name": "New", "slug": "new", "max_rules": "7",
        "memberships-TOTAL_FORMS": 1, "memberships-INITIAL_FORMS": 0,
        "memberships-0-user": charlie.pk, "memberships-0-role": "owner",
    }  # fmt: skip
    assert as_admin.post(url(Project, "add"), data).status_code == 302

    project = Project.objects.get(slug="new")
    assert (project.rule_quota, project.memberships.get().user) == (7, charlie)
    assert {e.by_staff for e in project.events.all()} == {True}
    assert as_admin.post(url(Project, "delete", project.pk), {"post": "yes"}).status_code == 403


def test_a_template_in_the_admin_is_checked_like_any_list(as_admin: Client) -> None:
    good = [{"action": "accept", "direction": "in", "protocol": "tcp", "port_start": 22}]
    data = {"name": "SSH", "rules": json.dumps(good)}
    wrong = [json.dumps([case["rule"]]) for case in REFUSED] + ["{}", "[1]", "x", "[[[[", "null", '"\\u0000"']

    for text in wrong:
        response = as_admin.post(url(GroupTemplate, "add"), data | {"rules": text})
        assert response.status_code == 200
        assert list(response.context["adminform"].form.errors) == ["rules"]
    assert as_admin.post(url(GroupTemplate, "add"), data).status_code == 302
    assert GroupTemplate.objects.get().name == "SSH"


# What pages show, and where they lead.


def text_of(response: Any) -> str:
    """The page without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def test_a_groups_page_says_its_rules_as_the_panel_does(as_admin: Client, project: Project) -> None:
    group = make_group(
        project,
        "app",
        [
            rule("drop in tcp 8000-8010 from 10.0.0.0/8", "Later", enabled=False),
            rule("accept out ip to 10.9.0.0/16"),
            rule("accept in all"),
        ],
    )

    page = text_of(as_admin.get(url(SecurityGroup, "change", group.pk)))

    for words in (
        "Drop inbound TCP to ports 8000–8010 from 10.0.0.0/8 (switched off) – Later",
        "Accept outbound IP from anywhere to 10.9.0.0/16",
        "Accept everything inbound",
    ):
        assert words in page


def test_a_groups_page_tells_how_many_rules_and_vms_it_does_not_show(
    as_admin: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = make_group(project, "app", ["accept in tcp 22"] * 5)
    for number in range(4):
        make_machine(project, f"vm {number}", [group])
    whole = as_admin.get(url(SecurityGroup, "change", group.pk)).content.decode()
    monkeypatch.setattr("securitygroups.admin.groups.RULES_SHOWN", 3)
    monkeypatch.setattr("securitygroups.admin.groups.MACHINES_SHOWN", 3)

    page = as_admin.get(url(SecurityGroup, "change", group.pk)).content.decode()

    assert " more</a>" not in whole
    assert page.count("Accept inbound TCP") == 3
    for model, number in ((Rule, 2), (Attachment, 1)):
        rest = f"{url(model)}?q={group.public_id}"
        assert f'<a href="{rest}">and {number} more</a>' in page
        assert as_admin.get(rest).context["cl"].result_count == group.rules.count() - (model is Attachment)


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
    data = {"action": action, "target": other.slug}

    refused = as_admin.post(url(model), data | {"_selected_action": [row.pk for row in rows]}, follow=True)
    taken = as_admin.post(url(model), data | {"_selected_action": [row.pk for row in rows[:2]]})

    assert said(refused) == [f"{words}: choose fewer. Nothing was done."]
    assert taken.status_code == (200 if action == "export" else 302)
    assert other.machines.count() == (2 if action == "move_to_project" else 0)


# Who gets in, and bad input.


def test_a_project_s_template_is_changed_and_deleted_on_record(as_admin: Client, project: Project) -> None:
    rules = '[{"action": "accept", "direction": "in", "protocol": "all"}]'
    data = {"project": project.pk, "name": "Ours", "description": "", "rules": rules}

    assert as_admin.post(url(GroupTemplate, "add"), data).status_code == 302
    template = GroupTemplate.objects.get(name="Ours")
    assert as_admin.post(url(GroupTemplate, "change", template.pk), data | {"name": "Mine"}).status_code == 302
    taken = as_admin.post(url(GroupTemplate, "add"), data | {"name": "MINE"})
    assert "There is a template of this name already" in refused(taken)
    assert as_admin.post(url(GroupTemplate, "delete", template.pk), {"post": "yes"}).status_code == 302

    events = project.events.filter(by_staff=True).order_by("pk")
    assert [event.summary for event in events] == [
        "Saved the template Ours.",
        "Changed the template Mine.",
        "Deleted the template Mine.",
    ]


def test_the_way_into_the_admin_is_the_panels_own_sign_in_page(client: Client, admin: User) -> None:
    response = client.get("/admin/", follow=True)
    assert response.redirect_chain[-1][0].startswith("/sign-in/?next=%2Fadmin%2F")
    assert "account/login.html" in [template.name for template in response.templates]

    response = client.post("/sign-in/?next=/admin/", {"login": "admin", "password": PASSWORD, "next": "/admin/"})
    assert (response.status_code, response["Location"]) == (302, "/admin/")
    assert client.get("/admin/").status_code == 200


def test_a_wrong_password_opens_nothing(client: Client, admin: User) -> None:
    response = client.post("/sign-in/", {"login": "admin", "password": "wrong"})

    assert response.status_code == 422
    assert client.get("/admin/").status_code == 302


@pytest.mark.parametrize("who", ["as_alice", "as_bob", "as_charlie"])
def test_customers_are_told_that_the_admin_is_not_theirs(
    request: pytest.FixtureRequest, group: SecurityGroup, who: str
) -> None:
    browser: Client = request.getfixturevalue(who)

    for address in ("/admin/", url(Rule), url(SecurityGroup, "change", group.pk)):
        assert browser.get(address, follow=True).status_code == 403
    browser.post(url(SecurityGroup, "delete", group.pk), {"post": "yes"}, follow=True)
    group.refresh_from_db()
    assert group.deleted_at is None


def test_support_staff_see_nothing_in_the_admin_without_its_permissions(as_staff: Client, group: SecurityGroup) -> None:
    assert as_staff.get("/admin/").status_code == 200
    assert as_staff.get(url(Rule)).status_code == 403
    assert as_staff.get(url(SecurityGroup, "change", group.pk)).status_code == 403


def test_staff_who_may_only_look_can_look_at_everything(
    everything: dict[type[Model], Model], sign_in: Callable[[User], Client]
) -> None:
    looker = make_user("looker", *(f"view_{model._meta.model_name}" for model in MODELS), is_staff=True)
    browser = sign_in(looker)

    for model in MODELS:
        address = url(model, "change", everything[model].pk)
        assert browser.get(url(model)).status_code == 200
        assert browser.get(address).status_code == 200
        assert browser.post(address, {"name": "x"}).status_code == 403
        assert browser.post(url(model, "delete", everything[model].pk), {"post": "yes"}).status_code == 403


def test_a_person_who_is_a_member_somewhere_is_not_deleted(as_admin: Client, project: Project, alice: User) -> None:
    lonely = make_user("lonely")

    assert as_admin.post(url(User, "delete", alice.pk), {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [alice.pk], "post": "yes"}
    as_admin.post(url(User), chosen)
    assert as_admin.post(url(User, "delete", lonely.pk), {"post": "yes"}).status_code == 302
    assert set(User.objects.values_list("username", flat=True)) == {"alice", "admin"}
    assert project.memberships.get().user == alice


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
