"""Every operation of the API, by every role, with every scope: generated from the schema, so that a new one is in it.

An operation says in the schema which scope it needs (x-scope) and what its person must be able to do (x-right). Whoever has
both is let in, whatever the answer is then; everybody else is refused, and who has no business in the project is told what
is told of a project that does not exist.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from django.db import transaction

from securitygroups import operations
from securitygroups.api.schema import api
from securitygroups.models import Project, Scope, SecurityGroup, User, VirtualMachine
from tests.api.conftest import Program, secret_of
from tests.factories import make_project, make_user

SCOPES = tuple(scope for scope in Scope.values if scope != Scope.UNASKED)
RIGHT_OF = {
    "look": {"owner", "editor", "viewer", "support"},
    "see traffic": {"owner", "editor", "support"},
    "change": {"owner", "editor"},
    "manage": {"owner"},
}
STRANGERS = {"stranger", "other project"}


class Operation(NamedTuple):
    name: str
    method: str
    path: str
    scope: str
    right: str


def every_operation() -> Iterator[Operation]:
    for path, methods in api.get_openapi_schema(path_prefix="/")["paths"].items():
        for method, told in methods.items():
            yield Operation(told["operationId"], method.upper(), path, told["x-scope"], told["x-right"])


OPERATIONS = list(every_operation())


@pytest.fixture
def programs(
    alice: User,
    erin: User,
    bob: User,
    staff: User,
    project: Project,
    group: SecurityGroup,
    machine: VirtualMachine,
    settings: Any,
) -> dict[tuple[str, str], Program]:
    """By role and scope: a token with this scope alone, and one with all others."""
    settings.API_BURST = 10_000
    dora = make_user("dora")
    bakery = make_project(dora, "Bakery")
    operations.open_visit(project=project, staff=staff, reason="Ticket", ticket="T-1")
    roles: dict[str, tuple[User, dict[str, Any]]] = {
        "owner": (alice, {}),
        "editor": (erin, {}),
        "viewer": (bob, {}),
        "support": (staff, {"strong": True}),
        "stranger": (dora, {}),
        "other project": (dora, {"project": bakery}),
    }
    found = {}
    for (role, (user, fields)), scope in itertools.product(roles.items(), SCOPES):
        found[role, scope] = Program(secret_of(user, scope, **fields))
    return found


def address(path: str, slug: str, group: SecurityGroup, machine: VirtualMachine) -> str:
    """With the project's own group and VM, and of all else something that is not there."""
    named = {"project": slug, "group": group.public_id, "machine": machine.public_id}
    return re.sub(r"\{(\w+)\}", lambda part: str(named.get(part[1], "987654")), path)


def test_a_role_and_a_scope_are_both_needed(
    programs: dict[tuple[str, str], Program], group: SecurityGroup, machine: VirtualMachine
) -> None:
    for operation in OPERATIONS:
        # What those do who are let in is taken back before the next one.
        with transaction.atomic():
            _asked_by_everybody(operation, programs, group, machine)
            transaction.set_rollback(True)


def _asked_by_everybody(
    operation: Operation, programs: dict[tuple[str, str], Program], group: SecurityGroup, machine: VirtualMachine
) -> None:
    within = "{project}" in operation.path
    here, nowhere = (address(operation.path, slug, group, machine) for slug in ("shop", "no-such-project"))
    # Those who are let in last: what they do is done.
    for (role, scope), program in sorted(programs.items(), key=lambda one: (one[0][0] in ("owner", "editor"), one[0])):
        sent: Any = {} if operation.method in ("POST", "PUT", "PATCH") else None
        # Who comes in is told what is wrong with it; nobody else's is read.
        answer = program.ask(operation.method, here, sent)
        who = f"{operation.name} by {role} with {scope}: {answer.status_code} {answer.content[:200]!r}"
        if within and role in STRANGERS:
            elsewhere = program.ask(operation.method, nowhere, sent)
            assert answer.status_code == elsewhere.status_code == 404, who
            told = [{k: v for k, v in one.json().items() if k != "request_id"} for one in (answer, elsewhere)]
            assert told[0] == told[1], who
        elif scope != operation.scope or (within and role not in RIGHT_OF[operation.right]):
            assert answer.status_code == 403, who
        else:
            assert answer.status_code not in (401, 403, 500), who


def test_every_operation_names_a_scope_and_a_right() -> None:
    assert {one.scope for one in OPERATIONS} <= set(SCOPES)
    assert {one.right for one in OPERATIONS} <= set(RIGHT_OF)
    assert len({one.name for one in OPERATIONS}) == len(OPERATIONS)
