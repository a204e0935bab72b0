"""Rules: each change is one commit of the whole list, by staff."""

from typing import Any

import pytest
from django.contrib import admin as site
from django.test import Client

from securitygroups import operations
from securitygroups.firewall import lists
from securitygroups.models import Project, Rule, SecurityGroup, User, VirtualMachine, values
from securitygroups.operations import By
from securitygroups.words.rules import rule_sentence
from tests.admin.pages import REFUSED, agree, answer, newest, refused, said, sent, url


def rule_data(group: SecurityGroup, **fields: Any) -> dict[str, Any]:
    """A new rule as the admin's form sends it."""
    data = {"action": "accept", "direction": "in", "protocol": "tcp", "enabled": "on", "place": 1, **fields}
    return {"group": group.pk, **{name: value for name, value in data.items() if value is not None}}


def rules_of(group: SecurityGroup) -> tuple[Any, ...]:
    return values(list(group.rules.in_order()))


def test_a_rule_added_in_the_admin_is_committed_as_staff(as_admin: Client, group: SecurityGroup, admin: User) -> None:
    data = rule_data(group, port_start=8080, source="10.0.0.0/8", description="Admin", place=2)
    response = agree(as_admin, url(Rule, "add"), data)

    assert response.status_code == 302
    row = group.rules.get(position=2)
    assert (row.port_start, row.port_end, str(row.source), row.description) == (8080, 8080, "10.0.0.0/8", "Admin")
    revision = group.revisions.get(number=2)
    assert (revision.actor, revision.by_staff, revision.summary) == (admin, True, "Added rule 2.")
    assert (newest().verb, newest().by_staff) == ("rules.changed", True)
    assert site.models.LogEntry.objects.get().object_id == str(row.pk)


def test_a_rule_is_edited_moved_and_cleared_through_the_one_commit(as_admin: Client, group: SecurityGroup) -> None:
    row = group.rules.get(position=3)
    address = url(Rule, "change", row.pk)
    data = sent(as_admin, address)
    data |= {"protocol": "udp", "port_start": "53", "port_end": "", "place": "1", "description": "DNS"}
    del data["source"]

    assert agree(as_admin, address, data).status_code == 302

    again = Rule.objects.get(pk=row.pk)
    assert (again.position, again.uid, again.source, again.enabled) == (1, row.uid, None, True)
    assert (again.protocol, again.port_start, again.port_end) == ("udp", 53, 53)
    assert group.revisions.get(number=2).summary == "Changed rule 1. Moved rule 3 to 1."


def test_saving_a_rule_unchanged_writes_no_revision(as_admin: Client, group: SecurityGroup) -> None:
    address = url(Rule, "change", group.rules.get(position=3).pk)

    assert as_admin.post(address, sent(as_admin, address)).status_code == 302
    assert group.revisions.count() == 1


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["why"][:30])
def test_what_every_door_refuses_is_refused_here_at_its_field(
    as_admin: Client, group: SecurityGroup, case: dict[str, Any]
) -> None:
    fields = {name: value for name, value in case["rule"].items() if name != "enabled"}
    new = as_admin.post(url(Rule, "add"), rule_data(group, **fields))
    address = url(Rule, "change", group.rules.get(position=2).pk)
    kept = {name: sent(as_admin, address)[name] for name in ("base", "place")}
    edited = as_admin.post(address, kept | rule_data(group, **{**fields, "place": kept["place"]}))

    for response in (new, edited):
        assert response.status_code == 200
        errors = response.context["adminform"].form.errors
        blamed = {name for name in ("source", "destination", "port_start", "port_end") if fields[name] is not None}
        assert errors
        assert set(errors) <= blamed
    assert len(REFUSED) == 13
    assert group.revisions.count() == 1
    assert group.rules.count() == 5


@pytest.mark.parametrize("place", ["0", "-1", "7", "x", "", "99999999999999999999", "1.5"])
def test_a_place_that_is_none_is_refused_at_its_field(as_admin: Client, group: SecurityGroup, place: str) -> None:
    response = as_admin.post(url(Rule, "add"), rule_data(group, place=place))

    assert list(response.context["adminform"].form.errors) == ["place"]
    assert group.revisions.count() == 1


def test_a_rule_changed_by_somebody_else_in_the_meantime_is_not_overwritten(
    as_admin: Client, group: SecurityGroup
) -> None:
    address = url(Rule, "change", group.rules.get(position=3).pk)
    data = sent(as_admin, address)
    operations.commit_rules(group=group, rules=lists.move(rules_of(group), [3], 1), base=1, by=By())
    before = rules_of(group)

    response = as_admin.post(address, data | {"port_start": "1", "port_end": "1"})

    assert response.status_code == 409
    page = response.content.decode()
    assert "Theirs, since revision 1" in page
    assert "Yours, to revision 1" in page
    assert rules_of(group) == before
    for base in ("", "x", "-1", "99999999999999999999"):
        response = as_admin.post(address, data | {"base": base}, follow=True)
        assert response.status_code == 200
        assert "sure" not in response.context or not response.context.get("plan")
    assert group.revisions.count() == 2


def test_a_rule_that_is_gone_redirects_with_words(as_admin: Client, group: SecurityGroup) -> None:
    row = group.rules.get(position=3)
    operations.commit_rules(group=group, rules=(), base=1, by=By())

    response = as_admin.post(url(Rule, "change", row.pk), {}, follow=True)

    assert "Perhaps it was deleted" in said(response)[0]


def test_the_quota_holds_in_the_admin_too(as_admin: Client, group: SecurityGroup) -> None:
    Project.objects.update(max_rules=5)

    response = as_admin.post(url(Rule, "add"), rule_data(group, description="Typed"), follow=True)

    assert "can have 5 rules" in refused(response)
    assert response.context["adminform"].form["description"].value() == "Typed"
    assert group.rules.count() == 5


def test_a_rule_is_deleted_with_a_revision_and_an_event_by_staff(as_admin: Client, group: SecurityGroup) -> None:
    row = group.rules.get(position=2)
    words = rule_sentence(row.as_value())
    asked = as_admin.get(url(Rule, "delete", row.pk))
    assert asked.status_code == 200

    assert as_admin.post(url(Rule, "delete", row.pk), answer(asked)).status_code == 302

    assert [each.position for each in group.rules.in_order()] == [1, 2, 3, 4]
    assert not Rule.objects.filter(pk=row.pk).exists()
    assert (newest().summary, newest().by_staff) == (f"Removed rule 2: {words}.", True)


def test_chosen_rules_of_several_groups_are_deleted_with_a_revision_each(
    as_admin: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    outbound = machine.project.groups.get(name="outbound")
    chosen = [*group.rules.filter(position__in=[1, 4]), outbound.rules.get(position=1)]
    data = {"action": "delete_selected", "_selected_action": [row.pk for row in chosen]}

    assert agree(as_admin, url(Rule), data).status_code == 302

    assert group.revisions.get(number=2).summary == "Removed 2 rules."
    assert outbound.revisions.get(number=2).summary == "Removed rule 1."
    assert [(r.group.name, r.position) for r in Rule.objects.order_by("group__name", "position")] == [
        ("outbound", 1), ("web", 1), ("web", 2), ("web", 3),
    ]  # fmt: skip
