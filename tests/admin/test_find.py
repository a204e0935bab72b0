"""One box over everything, the words of the sections, and the ways between panel and administration."""

import re

import pytest
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext

from securitygroups import operations
from securitygroups.models import (
    Event,
    Host,
    HostNonce,
    Membership,
    Project,
    SecurityGroup,
    StreamCursor,
    SupportCase,
    User,
    VirtualMachine,
)
from tests.admin.pages import MODELS, fresh, label, url
from tests.factories import make_group, make_machine, make_user


def found(browser: Client, text: str) -> dict[str, list[str]]:
    answer = browser.get("/admin/find/", {"q": text})
    assert answer.status_code == 200, text
    return {kind.title: [hit.name for hit in kind.hits] for kind in answer.context["kinds"]}


def test_everything_is_found_by_any_of_its_names(
    everything: dict[type[Model], Model], as_admin: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    shop, case = machine.project, everything[SupportCase]
    assert isinstance(case, SupportCase)
    make_machine(shop, "web-2")
    only: dict[str, Model] = {
        "shop": shop, "SHOP": shop, "alice@example.com": everything[User],
        "web-1": machine, machine.public_id: machine, machine.public_id[:9]: machine,
        "10.0.1.11": machine, "10.0.1": machine, "2001:db8:10": machine, "10.0.0.0/8": machine,
        group.public_id: group, case.public_id: case, case.public_id[:9]: case,
    }  # fmt: skip
    for text, thing in only.items():
        answer = as_admin.get("/admin/find/", {"q": text})
        assert answer.get("Location") == url(type(thing), "change", thing.pk), text
    assert found(as_admin, "web")["virtual machines"] == ["web-2", "web-1"]
    assert {"projects", "users"} <= set(found(as_admin, "alice@"))
    assert set(found(as_admin, "new@example")) == {"projects", "invitations"}
    assert found(as_admin, "nothing-of-this-name") == {}
    assert found(as_admin, "") == {}


def test_several_words_have_to_fit_all(
    as_admin: Client, project: Project, bakery: Project, machine: VirtualMachine
) -> None:
    make_machine(bakery, "web-1")
    make_user("asmith", first_name="Anna", last_name="Smith")

    for text in ("web-1 shop", "shop web-1", "web Shop"):
        assert as_admin.get(url(VirtualMachine), {"q": text}).context["cl"].result_count == 1, text
    assert as_admin.get(url(VirtualMachine), {"q": "web-1 shop bakery"}).context["cl"].result_count == 0
    assert as_admin.get(url(User), {"q": "anna smi"}).context["cl"].result_count == 1
    assert as_admin.get(url(VirtualMachine), {"q": "a b c d e f g"}).context["cl"].result_count == 0


def test_who_may_not_look_at_a_kind_does_not_find_it(group: SecurityGroup, machine: VirtualMachine) -> None:
    looker = fresh(make_user("looker", "view_virtualmachine", is_staff=True))
    make_machine(machine.project, "web-2")

    assert set(found(looker, "web")) == {"virtual machines"}
    nobody = fresh(make_user("nobody", is_staff=True))
    assert found(nobody, "web") == found(nobody, machine.public_id) == {}


def test_finding_names_things_and_is_no_look_at_them(as_admin: Client, machine: VirtualMachine) -> None:
    make_machine(machine.project, "web-2")
    before = Event.objects.count()

    page = as_admin.get("/admin/find/", {"q": "web"}).content.decode()

    assert Event.objects.count() == before
    assert machine.public_id in page
    assert str(machine.ipv4) not in page


def test_finding_costs_as_many_queries_for_thirty_rows_as_for_two(as_admin: Client, project: Project) -> None:
    def costs() -> int:
        with CaptureQueriesContext(connection) as queries:
            as_admin.get("/admin/find/", {"q": "web"})
        return len(queries)

    def more(number: int) -> None:
        for _ in range(number):
            count = SecurityGroup.objects.count()
            make_machine(project, f"web-{count}", [make_group(project, f"web {count}")])

    more(2)
    costs()
    few = costs()
    more(28)

    assert costs() == few
    assert few < 40


def test_lists_stand_under_what_they_are_about_and_staff_roles_are_no_groups(as_admin: Client) -> None:
    sections = {each["name"]: [model["name"] for model in each["models"]] for each in as_admin.get("/admin/").context["app_list"]}  # fmt: skip

    assert list(sections) == ["Customers", "Firewall", "Hosts", "Support", "Records", "Staff"]
    assert sections["Staff"] == ["Staff roles"]
    assert sum(map(len, sections.values())) == len(MODELS) + 1
    person = as_admin.get(url(User, "add")).content.decode()
    own = as_admin.get(url(User, "change", User.objects.get(username="admin").pk)).content.decode()
    for page in (person, own):
        assert "Staff roles" in page
        assert not re.search(r">\s*Groups:?\s*<", page)


BELONG = [model for model in MODELS if model not in (Host, HostNonce, Project, StreamCursor, User)]


@pytest.mark.parametrize("model", BELONG, ids=label)
def test_each_list_says_which_project_and_leads_there(
    everything: dict[type[Model], Model], as_admin: Client, project: Project, model: type[Model]
) -> None:
    page = as_admin.get(url(model)).content.decode()

    assert ">Project</span>" in page.replace("\n", "")
    names = ("Project",) if model.__name__ != "AccountEvent" else ()
    for _ in names:
        assert f'<a href="{url(Project, "change", project.pk)}">Shop</a>' in page


def test_filters_are_headed_by_what_they_ask(as_admin: Client, project: Project) -> None:
    page = as_admin.get(url(Event)).content.decode()

    assert re.search(r"<summary class=\"btn\">\s*By staff:", page)
    assert "By by" not in page


def test_staff_come_from_each_page_of_the_panel_to_the_same_thing_in_the_administration(
    as_admin: Client, as_alice: Client, everything: dict[type[Model], Model], admin: User, machine: VirtualMachine
) -> None:
    operations.open_visit(project=machine.project, staff=admin, reason="Asked", ticket="T-2")
    case, group = everything[SupportCase], machine.project.groups.get(name="web")
    pages = {
        "/p/shop/": machine.project,
        group.get_absolute_url(): group,
        machine.get_absolute_url(): machine,
        case.get_absolute_url(): case,  # type: ignore[attr-defined]
        "/p/shop/members/": everything[Membership],
    }
    for page, thing in pages.items():
        link = f'href="{url(type(thing), "change", thing.pk)}"'
        assert link in as_admin.get(page).content.decode(), page
        assert "/admin/" not in as_alice.get(page).content.decode(), page
        there = as_admin.get(url(type(thing), "change", thing.pk)).content.decode()
        if thing is not everything[Membership]:
            assert f'<a href="{page}">Open in panel</a>' in there


def test_support_without_rights_in_the_administration_is_shown_no_way_there(
    as_staff: Client, staff: User, machine: VirtualMachine
) -> None:
    operations.open_visit(project=machine.project, staff=staff, reason="Asked", ticket="T-2")

    for page in ("/p/shop/", machine.get_absolute_url()):
        assert "Open in admin" not in as_staff.get(page).content.decode()
