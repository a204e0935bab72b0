"""Groups from a file: all or none, and within what the project may have."""

import pytest
from django.core.exceptions import ValidationError

from securitygroups import operations
from securitygroups.models import Event, GroupRevision, Project, SecurityGroup, User
from securitygroups.operations import By, NewGroup
from tests.factories import ports
from tests.operations.state import nothing_written

THREE = [NewGroup(name, "", tuple(ports(22, 443)), "Imported with 2 rules.") for name in ("web", "db", "bastion")]


def bring(project: Project, by: By) -> str:
    """The code of the refusal, "" where the groups were made."""
    try:
        operations.import_groups(project=project, groups=THREE, system="a file", by=by)
    except ValidationError as refusal:
        return getattr(refusal, "code", None) or type(refusal).__name__
    return ""


@pytest.mark.django_db
def test_more_than_there_is_room_for_is_none_at_all(project: Project, alice: User) -> None:
    project.max_groups = project.groups.live().count() + 2
    operations.update_project(project=project, by=By())

    with nothing_written():
        assert bring(project, By(alice)) == "quota"


@pytest.mark.django_db
def test_each_group_has_its_revision_and_its_line_and_one_line_tells_of_all(project: Project, alice: User) -> None:
    assert bring(project, By(alice)) == ""

    made = SecurityGroup.objects.filter(project=project, name__in=[one.name for one in THREE])
    lines = Event.objects.filter(project=project, verb="group.created").order_by("pk")
    assert [one.revision for one in made] == [1, 1, 1]
    assert GroupRevision.objects.filter(group__in=made, summary="Imported with 2 rules.").count() == 3
    assert [line.group.name if line.group else "" for line in lines][-4:] == ["web", "db", "bastion", ""]
