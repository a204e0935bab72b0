"""Records are only added to, and what they tell of stays."""

from collections.abc import Callable

import pytest
from django.contrib.admin.models import ADDITION, LogEntry
from django.db import IntegrityError, InternalError, ProgrammingError, connection, models, transaction

from securitygroups import operations
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet
from securitygroups.models import (
    AccountEvent,
    AdminLine,
    CaseNote,
    CasePacket,
    CaseStep,
    Event,
    GroupRevision,
    MachineRevision,
    Project,
    SupportCase,
    SupportVisit,
    User,
    VirtualMachine,
    VisitEnd,
)
from securitygroups.operations import By
from tests.factories import make_group, make_machine, make_user

APPEND_ONLY: list[type[models.Model]] = [
    *(AccountEvent, AdminLine, CaseNote, CasePacket, CaseStep, Event, GroupRevision, MachineRevision, SupportCase),
    *(SupportVisit, VisitEnd),
]


def on_every_record(staff: User, machine: VirtualMachine) -> None:
    """A line of each record that the person stands in."""
    by = By(staff)
    visit = operations.open_visit(project=machine.project, staff=staff, reason="Asked", ticket="T-1")
    operations.leave(project=machine.project, staff=staff, visits=[visit])
    case = operations.open_case(about=machine, packet=Packet(Direction.IN), staff=staff, note="Look")
    operations.add_packet(case=case, about=machine, packet=Packet(Direction.OUT), staff=staff)
    operations.take_case(case=case, staff=staff)
    operations.create_group(project=machine.project, name="of staff", by=by)
    operations.attach_groups(machine=machine, groups=[], base=machine.revision, by=by)
    operations.note(AccountEvent.Verb.SIGNED_IN, user=staff)
    LogEntry.objects.log_actions(staff.pk, [machine], ADDITION)


@pytest.mark.parametrize("model", APPEND_ONLY)
@pytest.mark.parametrize("statement", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_records_can_only_be_added_to(
    machine: VirtualMachine, staff: User, model: type[models.Model], statement: str
) -> None:
    on_every_record(staff, machine)
    before = list(model._default_manager.order_by("pk").values())
    connection.check_constraints()

    with pytest.raises((InternalError, ProgrammingError), match="Cannot"), transaction.atomic():
        connection.cursor().execute(statement.format(model._meta.db_table))

    assert before
    assert list(model._default_manager.order_by("pk").values()) == before


def test_what_a_record_tells_of_cannot_be_deleted_under_it(machine: VirtualMachine, alice: User) -> None:
    for thing in (alice, machine, machine.project, machine.attachments.all()[0].group):
        with pytest.raises(models.ProtectedError), transaction.atomic():
            thing.delete()


# ── Whoever is on record stays ────────────────────────────────────────────────


def in_a_group(user: User, staff: User, project: Project) -> None:
    make_group(project, actor=user)


def in_a_visit(user: User, staff: User, project: Project) -> None:
    operations.open_visit(project=project, staff=user, reason="Asked", ticket="T-1")


def in_a_case(user: User, staff: User, project: Project) -> None:
    operations.open_case(about=make_group(project), packet=Packet(Direction.IN), staff=user)


def in_a_note(user: User, staff: User, project: Project) -> None:
    case = operations.open_case(about=make_group(project), packet=Packet(Direction.IN), staff=staff)
    operations.add_note(case=case, text="Look", by=By(user))


def in_an_order_of_groups(user: User, staff: User, project: Project) -> None:
    operations.attach_groups(machine=make_machine(project), groups=[make_group(project)], base=1, by=By(user))


def in_their_account(user: User, staff: User, project: Project) -> None:
    operations.note(AccountEvent.Verb.SIGNED_IN, user=user)


def in_somebody_elses_account(user: User, staff: User, project: Project) -> None:
    operations.note(AccountEvent.Verb.RIGHTS_CHANGED, user=staff, by=By(user))


def in_the_admin(user: User, staff: User, project: Project) -> None:
    LogEntry.objects.log_actions(user.pk, [project], ADDITION)


RECORDS = [in_a_group, in_a_visit, in_a_case, in_a_note, in_an_order_of_groups]
RECORDS += [in_their_account, in_somebody_elses_account, in_the_admin]


def everything() -> dict[str, list[dict[str, object]]]:
    tables: list[type[models.Model]] = [*APPEND_ONLY, User]
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in tables}


def past_django(user: User) -> None:
    """As in a shell of the database. What refers to the row is looked at when the transaction ends."""
    with connection.cursor() as cursor:
        for table in ("securitygroups_membership", "securitygroups_user"):
            column = "id" if table.endswith("_user") else "user_id"
            cursor.execute(f"DELETE FROM {table} WHERE {column} = %s", [user.pk])
    connection.check_constraints()


@pytest.mark.parametrize("put", RECORDS, ids=lambda put: put.__name__)
def test_a_person_on_any_record_cannot_be_deleted_and_no_line_is_lost(
    project: Project, staff: User, put: Callable[[User, User, Project], None]
) -> None:
    user = make_user("leaver")
    put(user, staff, project)
    connection.check_constraints()
    before = everything()
    ways: list[Callable[[], object]] = [
        user.delete,
        User.objects.filter(pk=user.pk).delete,
        lambda: past_django(user),
    ]

    for delete in ways:
        with pytest.raises((models.ProtectedError, IntegrityError, ProgrammingError)), transaction.atomic():
            delete()

    assert everything() == before


def test_a_person_who_is_on_no_record_can_be_deleted(project: Project) -> None:
    user = make_user("mistyped")

    user.delete()

    assert not User.objects.filter(username="mistyped").exists()
