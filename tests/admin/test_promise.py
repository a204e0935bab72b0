"""No write of the admin changes what passes without its question, and none is without a record.

Every model that is registered stands in one of the tables below; one that is new fails until it has its answer.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin as site
from django.contrib.auth.models import Group
from django.db.models import Model
from django.test import Client

from securitygroups import operations
from securitygroups.models import (
    AccountEvent,
    ApiToken,
    Attachment,
    CaseNote,
    CasePacket,
    CaseStanding,
    CaseStep,
    DecidedRule,
    Delivery,
    Event,
    GroupRevision,
    GroupTemplate,
    Host,
    HostNonce,
    InForce,
    Invitation,
    MachineRevision,
    MadeOf,
    Membership,
    Placement,
    Project,
    Review,
    ReviewedGroup,
    ReviewedRule,
    Rule,
    RuleHits,
    SavedView,
    SecurityGroup,
    SignedReview,
    StreamCursor,
    SupportCase,
    SupportVisit,
    Traffic,
    TrafficHour,
    User,
    VirtualMachine,
    VisitEnd,
    Webhook,
)
from securitygroups.operations import By
from tests.admin.pages import answer, changes, label, sent, url
from tests.factories import make_group

Cast = dict[type[Model], Any]

READ_ONLY: dict[type[Model], frozenset[str]] = {
    model: frozenset()
    for model in (
        *(AccountEvent, Attachment, CaseNote, Event, GroupRevision, MachineRevision, SavedView, SupportCase),
        *(CasePacket, CaseStanding, CaseStep, VisitEnd),
        *(SupportVisit, Review, DecidedRule, SignedReview, ReviewedGroup, ReviewedRule, StreamCursor),
        *(Delivery, Webhook),
        *(Placement, InForce, RuleHits, HostNonce),
        *(Traffic, TrafficHour, MadeOf),
    )
}
"""Nothing can be added, changed or deleted. The actions that a model has all the same stand beside it."""
READ_ONLY[Invitation] = frozenset({"withdraw"})
READ_ONLY[ApiToken] = frozenset({"revoke"})

NO_TRAFFIC: dict[type[Model], str] = {
    Project: "names, quotas and members: no packet is decided by them",
    User: "who may come in",
    Membership: "who may do what in a project",
    Group: "rights of people",
    Host: "where lists are loaded, and how: which they are, groups and VMs say",
    GroupTemplate: "a document: groups that were made from it have rules of their own",
}
"""Writes that are made at once, and why no packet can be decided otherwise by them."""

ASKED = (Rule, SecurityGroup, VirtualMachine)
"""Writes that are asked about. Which ones, and which of them need not be, says WRITES."""


def _rule(cast: Cast, **fields: Any) -> dict[str, Any]:
    data = {"action": "accept", "direction": "in", "protocol": "tcp", "enabled": "on", "place": 1, "port_start": 22}
    return {"group": cast[SecurityGroup].pk, **data, **fields}


def _chosen(cast: Cast, model: type[Model], action: str, **more: Any) -> dict[str, Any]:
    return {"action": action, "_selected_action": [cast[model].pk], **more}


WRITES: dict[tuple[type[Model], str], Callable[[Cast, Client], tuple[str, dict[str, Any]] | None]] = {
    (Rule, "add"): lambda cast, _: (url(Rule, "add"), _rule(cast)),
    (Rule, "change"): lambda cast, client: (
        (at := url(Rule, "change", cast[Rule].pk)),
        sent(client, at) | {"source": "", "protocol": "tcp", "port_start": 23},
    ),
    (Rule, "delete"): lambda cast, _: (url(Rule, "delete", cast[Rule].pk), {"post": "yes"}),
    (Rule, "delete_selected"): lambda cast, _: (url(Rule), _chosen(cast, Rule, "delete_selected", post="yes")),
    (SecurityGroup, "delete"): lambda cast, _: (url(SecurityGroup, "delete", cast[SecurityGroup].pk), {"post": "yes"}),
    (SecurityGroup, "delete_selected"): lambda cast, _: (
        url(SecurityGroup), _chosen(cast, SecurityGroup, "delete_selected", post="yes"),
    ),
    (VirtualMachine, "add"): lambda cast, _: (
        url(VirtualMachine, "add"),
        {"project": cast[Project].pk, "name": "new", "ordered_groups": cast[SecurityGroup].public_id},
    ),
    (VirtualMachine, "change"): lambda cast, client: (
        (at := url(VirtualMachine, "change", cast[VirtualMachine].pk)), sent(client, at) | {"ordered_groups": ""},
    ),
    (VirtualMachine, "delete"): lambda cast, _: (
        url(VirtualMachine, "delete", cast[VirtualMachine].pk), {"post": "yes"},
    ),
    (VirtualMachine, "delete_selected"): lambda cast, _: (
        url(VirtualMachine), _chosen(cast, VirtualMachine, "delete_selected", post="yes"),
    ),
    (VirtualMachine, "move_to_project"): lambda cast, _: (
        url(VirtualMachine), _chosen(cast, VirtualMachine, "move_to_project", target=cast[User].pk),
    ),
    # A group that was just made has no rule and is on no VM; a name decides nothing. Both are on record.
    (SecurityGroup, "add"): lambda cast, _: None,
    (SecurityGroup, "change"): lambda cast, _: None,
    # They read, and tell.
    (SecurityGroup, "export"): lambda cast, _: None,
    (SecurityGroup, "recheck"): lambda cast, _: None,
}  # fmt: skip


@pytest.fixture
def cast(everything: Cast, bakery: Project) -> Cast:
    # Where a VM is moved to.
    return {**everything, User: bakery}


def offered(client: Client, model: type[Model]) -> set[str]:
    """Every way of the model's pages to write, as the superuser is offered them."""
    request = client.get(url(model) if model is not Group else "/admin/auth/group/").wsgi_request
    one = site.site._registry[model]
    assert not one.list_editable, "Rows are written in the list: by which question?"
    found = set(one.get_actions(request)) if one.has_change_permission(request) or one.actions else set()
    found |= {"add"} if one.has_add_permission(request) else set()
    found |= {"change"} if one.has_change_permission(request) else set()
    return found | ({"delete"} if one.has_delete_permission(request) else set())


def test_every_registered_model_has_its_answer(as_admin: Client, everything: Cast) -> None:
    tables = [set(READ_ONLY), set(NO_TRAFFIC), set(ASKED)]

    assert set.union(*tables) == set(site.site._registry)
    assert sum(map(len, tables)) == len(site.site._registry)
    for model, actions in READ_ONLY.items():
        assert offered(as_admin, model) == actions, model
    for model in ASKED:
        assert offered(as_admin, model) == {name for of, name in WRITES if of is model}, model


def test_no_page_has_rows_of_others_to_write(as_admin: Client) -> None:
    assert {model for model, one in site.site._registry.items() if one.inlines} == set()


def traffic() -> list[Any]:
    """All that decides about packets, as it is stored."""
    rules = Rule.objects.order_by("pk").values_list(
        "pk", "group", "position", "uid", "action", "source", "port_start", "enabled"
    )
    attached = Attachment.objects.order_by("pk").values_list("machine", "group", "position")
    machines = VirtualMachine.objects.order_by("pk").values_list("pk", "project", "ipv4", "ipv6", "deleted_at")
    groups = SecurityGroup.objects.order_by("pk").values_list("pk", "deleted_at")
    places = Placement.objects.order_by("pk").values_list("machine", "host", "tap", "mac", "addresses", "held")
    return [list(rows) for rows in (rules, attached, machines, groups, places)]


ASKING = [(model, name) for (model, name) in WRITES if name not in ("export", "recheck") and not (
    model is SecurityGroup and name in ("add", "change"))]  # fmt: skip


@pytest.mark.parametrize(("model", "name"), ASKING, ids=label)
def test_a_write_is_asked_about_with_preview_and_reason_and_left_on_record(
    cast: Cast, as_admin: Client, model: type[Model], name: str
) -> None:
    write = WRITES[model, name](cast, as_admin)
    assert write
    before, lines = traffic(), changes().count()

    asked = as_admin.post(*write)

    page = asked.content.decode()
    assert asked.context["plan"].shown is not None
    assert "Traffic" in page
    assert "Reason for the change" in page
    for wrong in ({"reason": ""}, {"reason": "   "}, {"sure": ""}, {"sure": "x" * 32}):
        response = as_admin.post(write[0], answer(asked) | wrong)
        assert response.context["plan"], wrong
    assert (traffic(), changes().count()) == (before, lines)
    assert as_admin.post(write[0], answer(asked, "Ticket 4711")).status_code == 302
    assert traffic() != before
    event = changes().latest("pk")
    assert changes().count() > lines
    assert (event.by_staff, event.actor_name, event.detail.get("reason")) == (True, "admin", "Ticket 4711")


@pytest.mark.parametrize("model", [model for model in NO_TRAFFIC if model is not Group], ids=label)
def test_what_is_not_asked_about_decides_no_packet(everything: Cast, as_admin: Client, model: type[Model]) -> None:
    address = url(model, "change", everything[model].pk)
    before = traffic()

    data = sent(as_admin, address) | {"name": "other", "first_name": "Other", "reason": "Asked"}
    assert as_admin.post(address, data).status_code == 302

    assert traffic() == before
    named = {str(row).lower() for row in model._default_manager.all()}
    assert "other" in named or model in (User, Membership)


def test_a_new_group_and_its_name_decide_no_packet_and_are_on_record(as_admin: Client, cast: Cast) -> None:
    group = cast[SecurityGroup]
    before = traffic()[:3]

    as_admin.post(url(SecurityGroup, "add"), {"project": group.project_id, "name": "new"})
    as_admin.post(url(SecurityGroup, "change", group.pk), {"name": "renamed"})

    assert traffic()[:3] == before
    assert [event.summary for event in changes().order_by("-pk")[:2]] == ["Renamed web to renamed.", "Created new."]


def test_a_yes_is_good_for_what_was_looked_at_alone(as_admin: Client, cast: Cast, project: Project) -> None:
    """Another VM gets the group, or another rule is sent, between the question and its answer."""
    group = cast[SecurityGroup]
    asked = as_admin.post(url(Rule, "add"), _rule(cast))
    other = answer(asked) | {"port_start": ["3306"]}
    assert as_admin.post(url(Rule, "add"), other).context["plan"]
    operations.create_machine(project=project, fields={"name": "late"}, groups=[group], by=By())

    again = as_admin.post(url(Rule, "add"), answer(asked))

    assert "late" in again.content.decode()
    assert group.revisions.count() == 1
    assert as_admin.post(url(Rule, "add"), answer(again)).status_code == 302


def test_groups_that_only_together_let_something_through_are_previewed_together(
    as_admin: Client, project: Project
) -> None:
    """Each of the two could go without a change."""
    both = [make_group(project, name, ["accept in tcp 443"]) for name in ("one", "two")]
    operations.create_machine(project=project, fields={"name": "vm"}, groups=both, by=By())

    one = as_admin.post(url(SecurityGroup), _chosen({SecurityGroup: both[0]}, SecurityGroup, "delete_selected"))
    data = {"action": "delete_selected", "_selected_action": [group.pk for group in both]}
    two = as_admin.post(url(SecurityGroup), data)

    assert "No traffic changes" in one.content.decode()
    assert "Newly denied: inbound TCP 443 (HTTPS)" in two.content.decode()
