"""Who may come in is in the log too: roles, invitations, looks; once it is on record, and never what was taken back."""

from collections.abc import Mapping
from typing import Any

import pytest
import structlog
from django.core.exceptions import ValidationError

from securitygroups import operations
from securitygroups.models import Project, User
from securitygroups.operations import By
from tests.factories import make_group


def about(line: Mapping[str, Any]) -> tuple[str, str, str]:
    return line["verb"], line["project"], line["actor"]


def test_changes_of_roles_and_looks_are_in_the_log(
    project: Project, alice: User, bob: User, staff: User, django_capture_on_commit_callbacks: Any
) -> None:
    member = project.memberships.get(user=bob)
    with structlog.testing.capture_logs() as lines, django_capture_on_commit_callbacks(execute=True):
        operations.change_role(member=member, role="editor", by=By(alice))
        operations.remove_member(member=member, by=By(alice))
        operations.add_member(project=project, user=bob, role="viewer", by=By(staff, staff=True))
        visit = operations.open_visit(project=project, staff=staff, reason="Asked", ticket="T-1")
        operations.record_look(visit=visit, page="/p/shop/")
        make_group(project)

    told = [about(line) for line in lines if line["event"] == "project"]
    assert told == [
        ("member.changed", "shop", "alice"),
        ("member.removed", "shop", "alice"),
        ("member.added", "shop", "staff"),
        ("support.look", "shop", "staff"),
        ("support.look", "shop", "staff"),
    ]
    assert [line["by_staff"] for line in lines] == [False, False, True, True, True]


def test_what_was_taken_back_is_not_in_the_log(
    project: Project, alice: User, django_capture_on_commit_callbacks: Any
) -> None:
    with (
        structlog.testing.capture_logs() as lines,
        django_capture_on_commit_callbacks(execute=True),
        pytest.raises(ValidationError),
    ):
        operations.change_role(member=project.memberships.get(), role="viewer", by=By(alice))

    assert lines == []
