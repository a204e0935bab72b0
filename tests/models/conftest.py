"""Rows that the tests of models refer to."""

from dataclasses import dataclass

import pytest

from securitygroups.models import GroupTemplate, Project, SecurityGroup, User, VirtualMachine
from tests.factories import make_group


@pytest.fixture
def empty(project: Project) -> SecurityGroup:
    return make_group(project, "empty")


@dataclass
class Cast:
    """What the rows of a test refer to."""

    project: Project
    machine: VirtualMachine
    group: SecurityGroup
    spare: SecurityGroup
    alice: User
    charlie: User


@pytest.fixture
def cast(machine: VirtualMachine, group: SecurityGroup, alice: User, charlie: User) -> Cast:
    GroupTemplate.objects.create(project=None, name="mine")
    project = machine.project
    return Cast(project, machine, group, make_group(project, "spare"), alice, charlie)
