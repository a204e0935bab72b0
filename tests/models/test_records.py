"""Records are only added to, and what they tell of stays."""

import pytest
from django.db import InternalError, ProgrammingError, connection, models, transaction

from securitygroups import operations
from securitygroups.models import Event, GroupRevision, MachineRevision, SupportVisit, User, VirtualMachine

APPEND_ONLY: list[type[models.Model]] = [GroupRevision, MachineRevision, Event, SupportVisit]


@pytest.mark.parametrize("model", APPEND_ONLY)
@pytest.mark.parametrize("statement", ["UPDATE {} SET at = now()", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_records_can_only_be_added_to(
    machine: VirtualMachine, staff: User, model: type[models.Model], statement: str
) -> None:
    operations.open_visit(project=machine.project, staff=staff, reason="Asked", ticket="T-1")
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
