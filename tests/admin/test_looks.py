"""What staff look at in the admin, its customer reads of."""

from collections.abc import Callable

import pytest
from django.db.models import Model
from django.test import Client

from securitygroups import operations
from securitygroups.firewall.formats.documents import rule_to_json
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
from tests.admin.pages import EDITABLE, MODELS, answer, label, sent, url
from tests.factories import make_group, make_machine, make_project, make_user, rule

OF_NOBODY = [AccountEvent, Host, HostNonce, StreamCursor, User]
OF_CUSTOMERS = [model for model in MODELS if model not in OF_NOBODY]
NAMES_ALONE = [
    Project, SecurityGroup, Membership, Invitation, SavedView, SupportVisit, VisitEnd, CasePacket, CaseStanding, CaseStep,
    Review, Webhook, ApiToken, Placement,
]  # fmt: skip
REVIEWS = [DecidedRule, SignedReview, ReviewedGroup, ReviewedRule]
LISTS = [model for model in OF_CUSTOMERS if model not in NAMES_ALONE]
DELETED_HERE = [GroupTemplate, Rule, SecurityGroup, VirtualMachine]


def looks(project: Project | None = None) -> list[str]:
    """What is on record, the oldest first."""
    found = Event.objects.filter(verb=Event.Verb.SUPPORT_LOOK, summary__contains="administration").order_by("pk")
    return [event.summary for event in (found.filter(project=project) if project else found)]


@pytest.mark.parametrize("model", OF_CUSTOMERS, ids=label)
@pytest.mark.parametrize("page", ["change", "history"])
def test_each_page_of_a_customers_thing_is_a_look(
    everything: dict[type[Model], Model], as_admin: Client, project: Project, model: type[Model], page: str
) -> None:
    assert as_admin.get(url(model, page, everything[model].pk)).status_code == 200

    (look,) = looks(project)
    assert look.startswith("Staff looked at ")
    assert look.endswith(" in the administration.")
    event = Event.objects.latest("pk")
    assert (event.actor_name, event.by_staff, event.summary) == ("admin", True, look)
    assert event.detail == {"page": url(model, page, everything[model].pk)}


def test_a_look_says_what_was_looked_at(
    everything: dict[type[Model], Model], as_admin: Client, group: SecurityGroup, machine: VirtualMachine
) -> None:
    said = {
        SecurityGroup: f"security group web ({group.public_id})",
        VirtualMachine: f"virtual machine web-1 ({machine.public_id})",
        Rule: "rule 1 of web", GroupRevision: "web, revision 1", MachineRevision: f"{machine.public_id}, revision 1",
        Attachment: "web on web-1", Membership: "membership alice (Owner)", Project: "project Shop",
        GroupTemplate: "group template Web", Event: "the event “Created the project Shop.”",
        SupportCase: f"support case {everything[SupportCase]}", CaseNote: f"a note of {everything[SupportCase]}",
    }  # fmt: skip
    for model, words in said.items():
        as_admin.get(url(model, "change", everything[model].pk))
        assert looks()[-1] == f"Staff looked at {words} in the administration."


@pytest.mark.parametrize("model", OF_NOBODY, ids=label)
def test_accounts_are_no_projects_matter(
    everything: dict[type[Model], Model], as_admin: Client, model: type[Model]
) -> None:
    for address in (
        url(model),
        url(model, "change", everything[model].pk),
        url(model, "history", everything[model].pk),
    ):
        assert as_admin.get(address).status_code == 200
    assert looks() == []


@pytest.mark.parametrize("model", DELETED_HERE, ids=label)
def test_the_question_before_a_deletion_is_a_look_and_the_deletion_is_on_record_itself(
    everything: dict[type[Model], Model], as_admin: Client, project: Project, model: type[Model]
) -> None:
    row = everything[model]
    as_admin.get(url(model, "delete", row.pk))
    assert len(looks(project)) == 1
    as_admin.post(url(model), {"action": "delete_selected", "_selected_action": [row.pk]})
    assert len(looks(project)) == 2

    asked = as_admin.get(url(model, "delete", row.pk))
    said_yes = {"post": "yes"} if model is GroupTemplate else answer(asked)
    assert len(looks()) == 3

    assert as_admin.post(url(model, "delete", row.pk), said_yes).status_code == 302

    assert len(looks()) == 3


@pytest.mark.parametrize("model", [model for model in EDITABLE if model in OF_CUSTOMERS], ids=label)
def test_a_form_that_comes_back_is_shown_again_and_one_that_is_saved_is_not(
    everything: dict[type[Model], Model], as_admin: Client, model: type[Model]
) -> None:
    address = url(model, "change", everything[model].pk)
    good = sent(as_admin, address)
    assert len(looks()) == 1

    bad = dict.fromkeys(good, "") | {"action": "?"}
    assert as_admin.post(address, bad if model is Rule else good | {"name": "", "role": ""}).status_code == 200
    assert len(looks()) == 2
    assert as_admin.post(address, good).status_code == 302
    assert len(looks()) == 2


@pytest.mark.parametrize("model", LISTS, ids=label)
def test_a_list_that_tells_is_one_look_at_each_project_on_its_page(
    everything: dict[type[Model], Model], as_admin: Client, project: Project, bakery: Project, model: type[Model]
) -> None:
    oven = make_group(bakery, "oven", ["drop in all", "accept out all"])
    make_machine(bakery, "oven-1", [oven])
    there = set(Project.objects.filter(pk__in=[project.pk, bakery.pk] if model not in (
        GroupTemplate, SupportCase, CaseNote, Delivery, InForce, RuleHits, Traffic, TrafficHour, MadeOf, *REVIEWS) else [project.pk]))  # fmt: skip

    assert as_admin.get(url(model)).status_code == 200

    assert {each for each in (project, bakery) if looks(each)} == there
    assert len(looks()) == len(there)
    if model is Rule:
        assert looks(bakery) == ["Staff looked at 2 rules in the administration."]


@pytest.mark.parametrize("model", NAMES_ALONE, ids=label)
def test_a_list_of_names_is_none(everything: dict[type[Model], Model], as_admin: Client, model: type[Model]) -> None:
    assert as_admin.get(url(model)).context["cl"].result_count > 0
    assert looks() == []


def test_a_list_shows_fifty_rows_and_writes_no_more_looks_than_that(as_admin: Client, alice: User) -> None:
    for number in range(60):
        make_group(make_project(alice, f"P {number}"), rules=["drop in all"])

    for query in ({}, {"all": ""}):
        before = len(looks())
        assert len(as_admin.get(url(Rule), query).context["cl"].result_list) == 50
        assert len(looks()) - before == 50


def test_a_search_is_not_told_to_the_others_that_it_found(as_admin: Client, project: Project, bakery: Project) -> None:
    make_group(bakery, "web", ["drop in all"])
    make_group(project, "web", ["drop in all"])

    as_admin.get(url(Rule), {"q": "web", "action__exact": "drop"})

    event = Event.objects.filter(project=bakery).latest("pk")
    assert (event.summary, event.detail) == (
        "Staff looked at rule 1 of web in the administration.", {"page": url(Rule)},
    )  # fmt: skip


def test_the_list_of_events_does_not_fill_with_looks_at_itself(as_admin: Client, project: Project) -> None:
    as_admin.get(url(Event))
    assert len(looks()) == 1
    look = Event.objects.latest("pk")

    as_admin.get(url(Event), {"verb__exact": "support.look"})
    as_admin.get(url(Event, "change", look.pk))

    assert len(looks()) == 1


@pytest.mark.parametrize("action", ["export", "recheck"])
def test_what_an_action_tells_is_a_look(
    as_admin: Client, machine: VirtualMachine, project: Project, bakery: Project, action: str
) -> None:
    oven = make_group(bakery, "oven", ["drop in all"])
    chosen = [*project.groups.values_list("pk", flat=True), oven.pk]

    as_admin.post(url(SecurityGroup), {"action": action, "_selected_action": chosen})

    assert looks(project) == ["Staff looked at 2 security groups in the administration."]
    assert looks(bakery) == [f"Staff looked at security group oven ({oven.public_id}) in the administration."]
    as_admin.post(url(SecurityGroup), {"action": action})
    as_admin.post(url(SecurityGroup), {"action": action, "_selected_action": [2**40]})
    assert len(looks()) == 2


def test_the_question_where_a_vm_is_moved_to_is_a_look(as_admin: Client, machine: VirtualMachine) -> None:
    chosen = {"action": "move_to_project", "_selected_action": [machine.pk]}
    assert as_admin.post(url(VirtualMachine), chosen).status_code == 200
    assert looks(machine.project) == [
        f"Staff looked at virtual machine web-1 ({machine.public_id}) in the administration."
    ]


def test_a_look_at_what_a_vm_had_does_not_tell_what_it_is_called_elsewhere(
    as_admin: Client, machine: VirtualMachine, project: Project, bakery: Project, admin: User
) -> None:
    operations.move_machine(machine=machine, target=bakery, by=By(admin))
    vm = VirtualMachine.objects.select_related("project").get(pk=machine.pk)
    operations.update_machine(machine=vm, fields={"name": "oven-1"}, by=By())
    first = MachineRevision.objects.get(machine=vm, number=1)

    as_admin.get(url(MachineRevision, "change", first.pk))

    assert looks(project) == [f"Staff looked at {vm.public_id}, revision 1 in the administration."]
    assert looks(bakery) == []


def test_what_is_refused_or_is_not_there_was_not_looked_at(
    everything: dict[type[Model], Model], as_admin: Client, as_staff: Client, as_alice: Client
) -> None:
    for model in OF_CUSTOMERS:
        for page in ("change", "history", "delete"):
            for browser in (as_staff, as_alice):
                browser.get(url(model, page, everything[model].pk))
                browser.post(url(model, page, everything[model].pk))
            as_admin.get(url(model, page, 2**40))
        as_staff.get(url(model))
    assert looks() == []


def test_a_template_of_the_platform_is_no_customers(as_admin: Client, project: Project) -> None:
    template = GroupTemplate(name="Web", rules=[rule_to_json(rule("drop in all"))])
    operations.write_template(template=template, by=By())

    assert as_admin.get(url(GroupTemplate, "change", template.pk)).status_code == 200
    assert as_admin.get(url(GroupTemplate)).status_code == 200

    assert looks() == []


def test_a_member_reads_of_it_in_the_projects_activity(
    as_admin: Client, sign_in: Callable[[User], Client], bob: User, group: SecurityGroup
) -> None:
    as_admin.get(url(SecurityGroup, "change", group.pk))

    page = sign_in(bob).get("/p/shop/activity/").content.decode()

    assert f"Staff looked at security group web ({group.public_id}) in the administration." in page


def test_whoever_looks_with_a_single_permission_is_on_record_too(
    sign_in: Callable[[User], Client], group: SecurityGroup
) -> None:
    looker = sign_in(make_user("looker", "view_rule", is_staff=True))

    assert looker.get(url(Rule, "change", group.rules.get(position=1).pk)).status_code == 200

    assert Event.objects.latest("pk").actor_name == "looker"
    assert looks() == ["Staff looked at rule 1 of web in the administration."]
