"""Quotas, addresses, roles, and whose things a person sees."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from securitygroups.models import Project, Role, SecurityGroup, User, VirtualMachine
from tests.factories import make_group, make_project, make_user
from tests.models.conftest import Cast


def test_a_project_has_the_installations_quota_unless_it_has_its_own(settings: Any) -> None:
    settings.MAX_RULES_PER_GROUP = settings.MAX_GROUPS_PER_PROJECT = settings.MAX_MACHINES_PER_PROJECT = 7
    usual, own = Project(), Project(max_rules=1, max_groups=2, max_machines=0)

    assert (usual.rule_quota, usual.group_quota, usual.machine_quota) == (7, 7, 7)
    assert (own.rule_quota, own.group_quota, own.machine_quota) == (1, 2, 0)


def test_two_people_cannot_share_an_address_however_it_is_spelled(alice: User) -> None:
    with pytest.raises(ValidationError, match="Somebody already has this e-mail address"):
        User(username="other", email="Alice@Example.COM", password="x").full_clean()
    make_user("x").email = ""
    assert make_project(None, "No owner").memberships.count() == 0


def test_a_person_sees_the_live_things_of_their_own_projects(cast: Cast, bob: User, charlie: User) -> None:
    gone = make_group(cast.project, "gone")
    SecurityGroup.objects.filter(pk=gone.pk).update(deleted_at=gone.created_at)

    assert set(SecurityGroup.objects.visible_to(bob)) == set(cast.project.groups.exclude(pk=gone.pk))
    assert set(VirtualMachine.objects.visible_to(bob)) == {cast.machine, cast.other}
    assert list(Project.objects.visible_to(bob)) == [cast.project]
    assert not SecurityGroup.objects.visible_to(charlie).exists()


def test_roles_are_the_three_that_the_table_knows() -> None:
    assert [role.value for role in Role] == ["owner", "editor", "viewer"]
