"""Groups and templates: written by operations, shown in the words of the panel."""

import json
import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from securitygroups.models import Attachment, Event, GroupTemplate, Project, Rule, SecurityGroup, User, VirtualMachine
from tests.admin.pages import REFUSED, agree, answer, newest, refused, url
from tests.factories import make_group, make_machine, rule


def test_a_group_is_created_and_renamed_through_operations(as_admin: Client, project: Project, admin: User) -> None:
    assert as_admin.post(url(SecurityGroup, "add"), {"project": project.pk, "name": "new"}).status_code == 302
    group = SecurityGroup.objects.get()
    address = url(SecurityGroup, "change", group.pk)
    as_admin.post(address, {"name": "newer", "description": "x"})

    group.refresh_from_db()
    assert (group.name, group.description, group.revision) == ("newer", "x", 1)
    assert [(e.summary, e.actor, e.by_staff) for e in group.events.order_by("pk")] == [
        ("Created new.", admin, True), ("Renamed new to newer.", admin, True),
    ]  # fmt: skip


def test_a_groups_name_that_is_taken_is_refused_in_words(
    as_admin: Client, group: SecurityGroup, project: Project
) -> None:
    other = make_group(project, "other")

    added = as_admin.post(url(SecurityGroup, "add"), {"project": project.pk, "name": "WEB"}, follow=True)
    renamed = as_admin.post(url(SecurityGroup, "change", other.pk), {"name": "Web"}, follow=True)

    assert "already has a group of this name" in refused(added)
    assert "already has a group of this name" in refused(renamed)
    assert SecurityGroup.objects.filter(name__iexact="web").count() == 1


def test_a_group_is_deleted_from_its_page_and_leaves_its_vms(
    as_admin: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    page = as_admin.get(url(SecurityGroup, "delete", group.pk))
    assert page.status_code == 200
    assert "On 1 VM." in page.content.decode()

    assert as_admin.post(url(SecurityGroup, "delete", group.pk), answer(page)).status_code == 302

    group.refresh_from_db()
    assert group.deleted_at
    assert list(machine.attachments.values_list("position", "group__name")) == [(1, "outbound")]
    assert (newest().verb, newest().by_staff) == ("group.deleted", True)
    assert group.revisions.count() == 1


def test_chosen_groups_and_vms_are_deleted_with_an_event_each(
    as_admin: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    for model in (SecurityGroup, VirtualMachine):
        keys = list(model._default_manager.values_list("pk", flat=True))
        data = {"action": "delete_selected", "_selected_action": keys}
        assert agree(as_admin, url(model), data).status_code == 302

    assert not SecurityGroup.objects.live().exists()
    assert not VirtualMachine.objects.live().exists()
    assert SecurityGroup.objects.count() == 2
    deleted = Event.objects.filter(verb__endswith=".deleted")
    assert sorted(deleted.values_list("verb", "by_staff")) == [
        ("group.deleted", True), ("group.deleted", True), ("machine.deleted", True),
    ]  # fmt: skip


def text_of(response: Any) -> str:
    """The page without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def test_a_groups_page_says_its_rules_as_the_panel_does(as_admin: Client, project: Project) -> None:
    group = make_group(
        project,
        "app",
        [
            rule("drop in tcp 8000-8010 from 10.0.0.0/8", "Later", enabled=False),
            rule("accept out ip to 10.9.0.0/16"),
            rule("accept in all"),
        ],
    )

    page = text_of(as_admin.get(url(SecurityGroup, "change", group.pk)))

    for words in (
        "Drop inbound TCP to ports 8000–8010 from 10.0.0.0/8 (switched off) – Later",
        "Accept outbound IP from anywhere to 10.9.0.0/16",
        "Accept everything inbound",
    ):
        assert words in page


def test_a_groups_page_tells_how_many_rules_and_vms_it_does_not_show(
    as_admin: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = make_group(project, "app", ["accept in tcp 22"] * 5)
    for number in range(4):
        make_machine(project, f"vm {number}", [group])
    whole = as_admin.get(url(SecurityGroup, "change", group.pk)).content.decode()
    monkeypatch.setattr("securitygroups.admin.groups.RULES_SHOWN", 3)
    monkeypatch.setattr("securitygroups.admin.groups.MACHINES_SHOWN", 3)

    page = as_admin.get(url(SecurityGroup, "change", group.pk)).content.decode()

    assert " more</a>" not in whole
    assert page.count("Accept inbound TCP") == 3
    for model, number in ((Rule, 2), (Attachment, 1)):
        rest = f"{url(model)}?q={group.public_id}"
        assert f'<a href="{rest}">and {number} more</a>' in page
        assert as_admin.get(rest).context["cl"].result_count == group.rules.count() - (model is Attachment)


def test_a_template_in_the_admin_is_checked_like_any_list(as_admin: Client) -> None:
    good = [{"action": "accept", "direction": "in", "protocol": "tcp", "port_start": 22}]
    data = {"name": "SSH", "rules": json.dumps(good)}
    wrong = [json.dumps([case["rule"]]) for case in REFUSED] + ["{}", "[1]", "x", "[[[[", "null", '"\\u0000"']

    for text in wrong:
        response = as_admin.post(url(GroupTemplate, "add"), data | {"rules": text})
        assert response.status_code == 200
        assert list(response.context["adminform"].form.errors) == ["rules"]
    assert as_admin.post(url(GroupTemplate, "add"), data).status_code == 302
    assert GroupTemplate.objects.get().name == "SSH"


def test_a_project_s_template_is_changed_and_deleted_on_record(as_admin: Client, project: Project) -> None:
    rules = '[{"action": "accept", "direction": "in", "protocol": "all"}]'
    data = {"project": project.pk, "name": "Ours", "description": "", "rules": rules}

    assert as_admin.post(url(GroupTemplate, "add"), data).status_code == 302
    template = GroupTemplate.objects.get(name="Ours")
    assert as_admin.post(url(GroupTemplate, "change", template.pk), data | {"name": "Mine"}).status_code == 302
    taken = as_admin.post(url(GroupTemplate, "add"), data | {"name": "MINE"})
    assert "There is a template of this name already" in refused(taken)
    assert as_admin.post(url(GroupTemplate, "delete", template.pk), {"post": "yes"}).status_code == 302

    events = project.events.filter(by_staff=True).order_by("pk")
    assert [event.summary for event in events] == [
        "Saved the template Ours.",
        "Changed the template Mine.",
        "Deleted the template Mine.",
    ]
