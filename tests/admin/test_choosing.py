"""A project or group is chosen by typing, also where no script fills a list."""

from typing import Any

import pytest
from django.test import Client

from securitygroups.models import Project, Rule, SecurityGroup, VirtualMachine
from tests.admin.pages import agree, fresh, refused, url
from tests.admin.test_questions import new_rule
from tests.factories import make_group, make_user


def typed(text: str, **more: Any) -> dict[str, Any]:
    return {"project": "", "project_typed": text, "name": "typed", **more}


@pytest.mark.parametrize("text", ["Bak", "bakery"])
def test_without_script_a_project_is_typed(as_admin: Client, bakery: Project, text: str) -> None:
    assert 'name="project_typed"' in as_admin.get(url(SecurityGroup, "add")).content.decode()

    as_admin.post(url(SecurityGroup, "add"), typed(text))

    assert SecurityGroup.objects.get(name="typed").project == bakery


def test_where_several_begin_so_they_are_named_and_none_is_taken(
    as_admin: Client, project: Project, bakery: Project
) -> None:
    groups = [make_group(one, "web", []) for one in (project, bakery)]
    data = {**new_rule(groups[0], place=1), "group": "", "group_typed": "web"}

    page = as_admin.post(url(Rule, "add"), data)

    for group in groups:
        assert f"web – {group.public_id} – {group.project}" in refused(page)
    assert 'value="web"' in page.content.decode()
    agree(as_admin, url(Rule, "add"), data | {"group_typed": groups[1].public_id})
    assert [group.rules.count() for group in groups] == [0, 1]


def test_what_is_not_there_or_not_to_be_looked_at_is_not_found(as_admin: Client, bakery: Project) -> None:
    creator = fresh(make_user("creator", "add_securitygroup", is_staff=True))

    for browser, text in ((as_admin, "nothing"), (creator, "bakery")):
        assert "Nothing begins like this" in refused(browser.post(url(SecurityGroup, "add"), typed(text)))
    assert "required" in refused(as_admin.post(url(SecurityGroup, "add"), typed(" ")))
    assert not SecurityGroup.objects.exists()


def test_the_groups_of_a_typed_project_are_offered_to_a_new_vm(as_admin: Client, bakery: Project) -> None:
    oven = make_group(bakery, "oven", [])

    page = as_admin.post(url(VirtualMachine, "add"), typed("bakery", redraw="more")).content.decode()

    assert f'<option value="{oven.public_id}"' in page
    assert 'value="bakery"' in page
