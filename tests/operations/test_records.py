"""What holds for every operation: all or nothing, locks in one order, records that fit."""

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from securitygroups import operations
from securitygroups.firewall import lists
from securitygroups.models import Event, GroupRevision, MachineRevision, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.factories import make_group, make_machine, make_project, make_user, ports
from tests.operations.state import commit, newest, nothing_written, rules_of

HALF: dict[str, tuple[type[models.Model], Callable[[SecurityGroup, VirtualMachine], object]]] = {
    "commit_rules": (GroupRevision, lambda g, m: commit(g, lists.remove(rules_of(g), [1]))),
    "commit_rules at its event": (Event, lambda g, m: commit(g, lists.remove(rules_of(g), [1]))),
    "create_group": (Event, lambda g, m: make_group(g.project, "new", ports(1))),
    "update_group": (Event, lambda g, m: operations.update_group(group=g, name="n", description="", by=By())),
    "delete_group": (Event, lambda g, m: operations.delete_group(group=g, base=1, by=By())),
    "delete_group at a VM": (MachineRevision, lambda g, m: operations.delete_group(group=g, base=1, by=By())),
    "create_machine": (Event, lambda g, m: make_machine(g.project, "new", [g])),
    "attach_groups": (Event, lambda g, m: operations.attach_groups(machine=m, groups=[], base=1, by=By())),
    "save_machine": (
        MachineRevision,
        lambda g, m: operations.save_machine(machine=m, fields={"name": "n"}, groups=[], base=1, by=By()),
    ),
    "delete_machine": (Event, lambda g, m: operations.delete_machine(machine=m, by=By())),
    "create_project": (Event, lambda g, m: make_project(None, "New")),
    "add_member": (
        Event,
        lambda g, m: operations.add_member(project=g.project, user=User.objects.get(username="charlie"), role="viewer", by=By()),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HALF)
def test_an_operation_that_fails_half_way_leaves_nothing(
    machine: VirtualMachine, group: SecurityGroup, charlie: User, name: str
) -> None:
    table, do = HALF[name]
    trigger = f"BEFORE INSERT ON {table._meta.db_table} FOR EACH ROW EXECUTE FUNCTION out_of_order()"
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION out_of_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'out of order'; END $$"
        )
        connection.check_constraints()
        cursor.execute(f"CREATE TRIGGER out_of_order {trigger}")

    with nothing_written(), pytest.raises(Exception, match="out of order"):
        do(group, machine)


def locks(do: Callable[[], object]) -> list[str]:
    """Tables in the order in which rows of them are locked."""
    with CaptureQueriesContext(connection) as queries:
        do()
    locking = [query["sql"] for query in queries if "FOR NO KEY UPDATE" in query["sql"]]
    return [sql.split('FROM "securitygroups_')[1].split('"')[0] for sql in locking]


def test_locks_are_taken_in_one_order(
    machine: VirtualMachine, group: SecurityGroup, alice: User, charlie: User
) -> None:
    project = machine.project
    other = make_group(project, "other")
    order = ["project", "securitygroup", "virtualmachine"]

    taken = [
        locks(lambda: commit(group, ())),
        locks(lambda: make_group(project, "new")),
        locks(lambda: operations.update_group(group=other, name="o", description="", by=By())),
        locks(lambda: make_machine(project, "new", [group])),
        locks(lambda: operations.attach_groups(machine=machine, groups=[other, group], base=1, by=By())),
        locks(lambda: operations.save_machine(machine=machine, fields={"name": "n"}, groups=[group], base=2, by=By())),
        locks(lambda: operations.delete_group(group=group, base=2, by=By())),
        locks(lambda: operations.delete_machine(machine=machine, by=By())),
        locks(lambda: operations.restore_group(group=group, by=By())),
        locks(lambda: operations.restore_machine(machine=machine, by=By())),
        locks(lambda: operations.move_machine(machine=machine, target=Project.objects.get(slug="bakery"), by=By())),
        locks(lambda: operations.add_member(project=project, user=charlie, role="viewer", by=By())),
    ]

    assert all(taken)
    for tables in taken:
        first_of_each = list(dict.fromkeys(tables))
        assert first_of_each == sorted(first_of_each, key=order.index)


def test_several_groups_are_locked_by_key_in_whatever_order_they_are_attached(machine: VirtualMachine) -> None:
    groups = [make_group(machine.project, f"g{number}") for number in range(3)]

    with CaptureQueriesContext(connection) as queries:
        operations.attach_groups(machine=machine, groups=groups[::-1], base=1, by=By())

    locking = [query["sql"] for query in queries if "FOR NO KEY UPDATE" in query["sql"]]
    assert 'ORDER BY "securitygroups_securitygroup"."id" ASC' in locking[0]


def test_summaries_fit_their_columns_whatever_the_names(project: Project) -> None:
    groups = [make_group(project, f"{number} " + "x" * 97) for number in range(6)]
    vm = make_machine(project, "y" * 100, groups)
    operations.attach_groups(machine=vm, groups=groups[::-1], base=1, by=By())
    make_user("z" * 150)

    assert len(vm.revisions.get(number=2).summary) == 300
    assert len(newest().summary) == 400


def test_a_reason_that_is_too_long_is_refused_in_words(group: SecurityGroup) -> None:
    with nothing_written(), pytest.raises(ValidationError, match="255"):
        commit(group, (), by=By(reason="x" * 256))
