"""How much is deleted at once, and that no page makes another row of one that is there."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.db.models import Model
from django.test import Client

from securitygroups.models import Membership, Project, SecurityGroup, User, VirtualMachine
from tests.admin.pages import EDITABLE, changes, label, said, url


def members(project: Project) -> list[Membership]:
    people = User.objects.bulk_create(
        User(username=f"member{number}", email=f"member{number}@example.com") for number in range(101)
    )
    return Membership.objects.bulk_create(Membership(project=project, user=one, role="viewer") for one in people)


def groups(project: Project) -> list[SecurityGroup]:
    return SecurityGroup.objects.bulk_create(
        SecurityGroup(project=project, name=f"g{number}", public_id=f"sg-{number:012d}") for number in range(101)
    )


def machines(project: Project) -> list[VirtualMachine]:
    return VirtualMachine.objects.bulk_create(
        VirtualMachine(project=project, name=f"v{number}", public_id=f"vm-{number:012d}") for number in range(101)
    )


@pytest.mark.parametrize("make", [members, groups, machines], ids=lambda make: make.__name__)
@pytest.mark.parametrize("across", ["0", "1"])
def test_what_is_too_much_for_one_question_is_refused_whole(
    as_admin: Client, project: Project, make: Any, across: str
) -> None:
    rows, lines = make(project), changes().count()
    data = {"action": "delete_selected", "_selected_action": [row.pk for row in rows], "select_across": across}

    page = as_admin.post(url(type(rows[0])), data | {"post": "yes"}, follow=True)

    assert said(page) == ["Up to 100 can be deleted at once: choose fewer. Nothing was done."]
    assert (changes().count(), LogEntry.objects.count()) == (lines, 0)
    assert type(rows[0])._default_manager.filter(pk__in=[row.pk for row in rows]).count() == 101


@pytest.mark.parametrize("model", EDITABLE, ids=label)
def test_no_page_saves_its_row_as_another_one(
    as_admin: Client, everything: dict[type[Model], Model], model: type[Model]
) -> None:
    """An account was made so without the link that its person chooses a password by."""
    lines, rows = changes().count(), model._default_manager.count()
    data = {"_saveasnew": "1", "username": "copy", "email": "copy@example.com", "name": "copy"}

    assert as_admin.post(url(model, "change", everything[model].pk), data).status_code == 403

    assert (changes().count(), model._default_manager.count(), mail.outbox) == (lines, rows, [])


def test_what_no_traffic_depends_on_is_asked_about_by_its_name_and_the_way_back_needs_no_script(
    as_admin: Client, project: Project, bob: User
) -> None:
    one = Membership.objects.get(project=project, user=bob)

    asked = as_admin.get(url(Membership, "delete", one.pk)).content.decode()
    several = as_admin.post(url(Membership), {"action": "delete_selected", "_selected_action": [one.pk]})

    assert f"Delete membership “{one}”?" in asked
    assert "It is part of the project Shop." in asked
    assert f'href="{url(Membership, "change", one.pk)}">Cancel' in asked
    assert "Delete 1 membership?" in several.content.decode()
    assert f'href="{url(Membership)}">Cancel' in several.content.decode()
    assert Membership.objects.filter(pk=one.pk).exists()
