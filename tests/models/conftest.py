"""Rows that the tests of models refer to."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.utils import timezone

from securitygroups.models import GroupTemplate, Invitation, Project, SavedView, SecurityGroup, User, VirtualMachine
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
    SavedView.objects.create(project=project, kind="machines", name="all", query="")
    until = timezone.now() + timedelta(days=1)
    Invitation.objects.create(project=project, email="asked@example.com", by=alice, until=until, digest="1" * 64)
    return Cast(project, machine, group, make_group(project, "spare"), alice, charlie)
