"""The whole list of a project's VMs: what it would do, what it does, and what is refused."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from securitygroups import operations
from securitygroups.inventory import (
    Inventory,
    NotAsLookedAt,
    RefusedInventory,
    UnknownProjects,
    commit_inventories,
    commit_inventory,
    propose_inventories,
    propose_inventory,
)
from securitygroups.models import Event, MachineRevision, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.factories import make_group, make_machine
from tests.operations.state import attached, nothing_written

pytestmark = pytest.mark.django_db


def vm(number: int, **more: Any) -> dict[str, Any]:
    return {"external_id": f"i-{number}", "name": f"vm-{number}", "ipv4": f"10.0.0.{number}", **more}


def bring(project: Project, *entries: dict[str, Any], **more: Any) -> Inventory:
    return commit_inventory(propose_inventory(project, entries, **more), by=By())


def refused(project: Project, *entries: Any, **more: Any) -> list[tuple[int, str, str]]:
    """(place, field, message) of all that is wrong, which nobody can write."""
    plan = propose_inventory(project, entries, **more)
    with nothing_written(), pytest.raises(RefusedInventory) as refusal:
        commit_inventory(plan, by=By())
    assert refusal.value.messages
    return [(one.place, one.field, one.message) for one in plan.refusals]


def named(project: Project) -> dict[str, str]:
    rows = VirtualMachine.objects.live().filter(project=project).order_by("name")
    return dict(rows.values_list("external_id", "name"))


def test_a_plan_tells_all_that_it_would_do_and_does_nothing(project: Project, group: SecurityGroup) -> None:
    bring(project, vm(1), vm(2, groups=["web"]), vm(3))
    make_machine(project, "by hand")

    with nothing_written():
        told = propose_inventory(
            project, [vm(1), vm(2, name="new", tags=["a"], groups=[]), vm(4, groups=["web"])]
        ).told()

    ids = dict(VirtualMachine.objects.values_list("external_id", "public_id"))
    assert told | {"token": ""} == {
        "created": [{"place": 3, "external_id": "i-4", "name": "vm-4"}],
        "changed": [
            {
                "place": 2,
                "id": ids["i-2"],
                "external_id": "i-2",
                "name": "vm-2",
                "fields": {
                    "name": {"from": "vm-2", "to": "new"},
                    "tags": {"from": [], "to": ["a"]},
                    "groups": {"from": ["web"], "to": []},
                },
            }
        ],
        "gone": [{"id": ids["i-3"], "external_id": "i-3", "name": "vm-3"}],
        "unchanged": 1,
        "left_alone": 1,
        "refused": [],
        "refused_count": 0,
        "token": "",
    }


def test_what_is_brought_in_is_on_record_at_each_vm(project: Project, group: SecurityGroup, alice: User) -> None:
    bring(project, *map(vm, range(1, 5)))
    before = set(Event.objects.values_list("pk", flat=True))
    by = By(alice, reason="Nightly")

    entries = [vm(1), vm(2, name="new", groups=["web"]), vm(3, groups=["web"]), vm(5, groups=["web"])]
    commit_inventory(propose_inventory(project, entries), by=by)

    lines = Event.objects.exclude(pk__in=before).order_by("machine__external_id", "pk")
    assert [(one.machine and one.machine.external_id, one.verb, one.summary) for one in lines] == [
        ("i-2", "machine.changed", "Changed Name of new."),
        ("i-2", "machine.groups", "Groups of new: web."),
        ("i-3", "machine.groups", "Groups of vm-3: web."),
        ("i-4", "machine.deleted", "Deleted vm-4."),
        ("i-5", "machine.created", "Created vm-5."),
    ]
    assert {(one.actor, one.detail["reason"]) for one in lines} == {(alice, "Nightly")}
    numbers = MachineRevision.objects.order_by("machine__external_id", "number")
    assert list(numbers.values_list("machine__external_id", "number")) == [
        ("i-1", 1), ("i-2", 1), ("i-2", 2), ("i-3", 1), ("i-3", 2), ("i-4", 1), ("i-5", 1),
    ]  # fmt: skip
    new = VirtualMachine.objects.get(external_id="i-5")
    assert (attached(new), new.revision, new.changed_at) == ([(1, "web")], 1, None)
    assert VirtualMachine.objects.get(external_id="i-2").changed_at
    assert not VirtualMachine.objects.get(external_id="i-4").attachments.exists()


def test_the_same_list_once_more_changes_nothing(project: Project, group: SecurityGroup) -> None:
    entries = [vm(1, groups=["web"], tags=["b", "a"], ipv6="2001:DB8::1"), vm(2, description=" Two  words ")]
    bring(project, *entries)

    with nothing_written():
        plan = bring(project, *entries)

    assert (plan.unchanged, bool(plan.lot)) == (2, False)


def test_names_and_addresses_are_exchanged_and_taken_over(project: Project) -> None:
    bring(project, vm(1), vm(2), vm(3), vm(4))

    bring(
        project,
        vm(1, name="vm-2", ipv4="10.0.0.2"),
        vm(2, name="vm-3", ipv4="10.0.0.3"),
        vm(3, name="VM-1", ipv4="10.0.0.4"),
        vm(5, name="vm-4", ipv4="10.0.0.1"),
    )

    rows = VirtualMachine.objects.live().order_by("external_id").values_list("external_id", "name", "ipv4")
    assert list(rows) == [
        ("i-1", "vm-2", "10.0.0.2"),
        ("i-2", "vm-3", "10.0.0.3"),
        ("i-3", "VM-1", "10.0.0.4"),
        ("i-5", "vm-4", "10.0.0.1"),
    ]


def test_what_cannot_be_is_told_at_each_place_and_nothing_is_written(machine: VirtualMachine) -> None:
    project = machine.project
    bring(project, vm(1), vm(2))

    found = refused(
        project,
        vm(1),
        vm(2, name="vm-1", ipv4="10.0.1.11"),
        vm(3, name="WEB-1"),
        vm(4, ipv4="10.0.0.1"),
        vm(5, name="wеb-1"),
        vm(6),
        vm(6, name="other", ipv4=None),
        vm(7, groups=["nothing"], ipv6="nonsense"),
        "no object",
        {"external_id": "i-8", "color": "red"},
        vm(9, groups=["nothing"]),
    )

    assert {(place, name) for place, name, _ in found} == {
        (1, "name"), (1, "ipv4"), (2, "name"), (2, "ipv4"), (3, "name"), (4, "ipv4"), (5, "name"), (6, "external_id"),
        (7, "external_id"), (8, "ipv6"), (9, ""), (10, "color"), (11, "groups"),
    }  # fmt: skip
    words = {(place, name): message for place, name, message in found}
    assert words[1, "name"] == "The VM at place 2 has the same name."
    assert words[3, "name"].startswith(f"web-1 ({machine.public_id}) has this name, and no external ID")
    assert words[5, "name"] == "This looks like “web-1”, a name that is taken: send another."
    assert words[6, "external_id"] == "“i-6” stands at place 7 too."
    assert words[11, "groups"].startswith("The project has no group “nothing”")


@pytest.mark.parametrize(
    ("had", "kept", "asked"), [(1, 0, 1), (3, 0, 3), (6, 0, 6), (10, 4, 6), (30, 23, 7), (10, 5, 0), (30, 24, 0)]
)
def test_a_list_that_would_delete_many_has_to_say_how_many(project: Project, had: int, kept: int, asked: int) -> None:
    bring(project, *map(vm, range(1, had + 1)))
    make_machine(project, "by hand")
    left = [vm(number) for number in range(1, kept + 1)]

    if asked:
        found = refused(project, *left, allow_gone=asked - 1)
        assert [one[:2] for one in found] == [(0, "allow_gone")]
        assert f"{asked} of the project's {had} VM" in found[0][2]
        assert f'send "allow_gone": {asked};' in found[0][2]
    bring(project, *left, allow_gone=asked)

    assert len(named(project)) == kept + 1


def test_a_list_in_which_all_are_others_deletes_all_as_well(project: Project) -> None:
    bring(project, vm(1), vm(2))

    assert [one[:2] for one in refused(project, vm(3), vm(4))] == [(0, "allow_gone")]


def test_quotas_are_counted_as_they_are_after_the_list(project: Project) -> None:
    project.max_machines = 3
    operations.update_project(project=project, by=By())
    make_machine(project, "by hand")
    bring(project, vm(1), vm(2))

    bring(project, vm(1), vm(3))
    found = refused(project, vm(1), vm(3), vm(4))

    assert [one[2] for one in found] == [
        "The project would have 4 VMs, and 3 is the most: leave some out, or ask for a larger quota."
    ]


def test_more_than_is_looked_at_at_once_is_refused(project: Project) -> None:
    with pytest.raises(ValidationError, match="The list has 10,001 VMs: 10,000 is the most"):
        propose_inventory(project, [vm(1)] * 10_001)


def test_what_was_looked_at_is_what_is_written(project: Project, group: SecurityGroup) -> None:
    bring(project, vm(1, groups=["web"]), vm(2))
    entries = [vm(1, groups=[]), vm(2), vm(3, groups=["web"])]
    plan = propose_inventory(project, entries)

    commit = {"by": By(), "token": plan.token}
    operations.commit_rules(group=group, rules=(), base=group.revision, by=By())
    with nothing_written(), pytest.raises(NotAsLookedAt) as refusal:
        commit_inventory(plan, **commit)  # type: ignore[arg-type]
    again = refusal.value.plans[0]
    commit_inventory(again, by=By(), token=again.token)

    assert [attached(one) for one in VirtualMachine.objects.order_by("external_id")] == [[], [], [(1, "web")]]


def test_without_a_token_the_list_stands_for_itself(project: Project) -> None:
    bring(project, vm(1))
    plan = propose_inventory(project, [vm(1, name="new"), vm(2)])
    operations.put_machine(project=project, external_id="i-2", fields={"name": "vm-2"}, by=By())

    written = commit_inventory(plan, by=By())

    assert [len(written.lot.made), len(written.lot.changed)] == [0, 2]
    assert named(project) == {"i-1": "new", "i-2": "vm-2"}


def test_an_alarm_is_told_of_new_vms_too(project: Project) -> None:
    make_group(project, "wide", ["accept in tcp 22"])
    bring(project, vm(1, groups=["wide"]), vm(2))

    preview = propose_inventory(project, [vm(1, groups=[]), vm(2), vm(3, groups=["wide"])]).preview()

    assert any("SSH" in alarm or "22" in alarm for alarm in preview.alarms)
    assert {machine.name: bool(effect.allowed) for effect in preview.effects for machine in effect.machines} == {
        "vm-1": False,
        "vm-3": True,
    }


def test_many_vms_take_no_more_statements_than_few(project: Project, group: SecurityGroup) -> None:
    def queries(numbers: range) -> int:
        entries = [vm(number, groups=["web"]) for number in numbers]
        with CaptureQueriesContext(connection) as found:
            bring(project, *entries, allow_gone=1000)
            bring(project, *(one | {"name": f"x{one['name']}", "groups": []} for one in entries), allow_gone=1000)
        return len(found)

    few = queries(range(1, 3))
    many = queries(range(10, 110))

    # One more, for those that go.
    assert many <= few + 4


def test_all_projects_are_brought_or_none(project: Project, bakery: Project) -> None:
    lists = {project.slug: [vm(1)], bakery.slug: [vm(1), vm(1)]}
    plan = propose_inventories(lists)
    with nothing_written(), pytest.raises(RefusedInventory):
        commit_inventories(plan, by=By())

    plan = propose_inventories(lists | {bakery.slug: [vm(1), vm(2)]})
    commit_inventories(plan, by=By(), token=plan.token)

    assert (named(project), named(bakery)) == ({"i-1": "vm-1"}, {"i-1": "vm-1", "i-2": "vm-2"})
    assert set(plan.told()["projects"]) == {project.slug, bakery.slug}


def test_a_slug_of_no_project_is_refused_and_others_are_left_alone(project: Project, bakery: Project) -> None:
    bring(bakery, vm(1))
    plan = propose_inventories({project.slug: [vm(1)], "no-such": [], "\x00": []})

    with nothing_written(), pytest.raises(UnknownProjects, match="no-such"):
        commit_inventories(plan, by=By())
    commit_inventories(propose_inventories({project.slug: [vm(1)]}), by=By())

    assert set(plan.told()["unknown"]) == {"no-such", "\x00"}
    assert named(bakery) == {"i-1": "vm-1"}


def test_the_guard_counts_in_each_project(project: Project, bakery: Project) -> None:
    bring(project, vm(1))
    bring(bakery, *map(vm, range(1, 20)))

    plan = propose_inventories({project.slug: [], bakery.slug: [vm(1)]}, allow_gone={project.slug: 1})

    assert [len(one.refusals) for one in plan.plans.values()].count(1) == 1
    assert plan.plans[bakery.slug].refusals[0].field == "allow_gone"
