"""What the admin's searches find: IDs, slugs and addresses as they are, names by how they begin."""

from collections.abc import Callable

import pytest
from django.db.models import Model
from django.test import Client

from securitygroups.admin import search
from securitygroups.models import Attachment, Event, Membership, Project, Rule, SecurityGroup, User, VirtualMachine
from tests.admin.pages import said, url
from tests.factories import make_group, make_project

Ask = Callable[[type[Model], str], int]


@pytest.fixture
def ask(as_admin: Client, machine: VirtualMachine, bakery: Project) -> Ask:
    """How many rows a list finds; “web” and “outbound” of Shop are on web-1."""

    def rows(model: type[Model], text: str) -> int:
        return int(as_admin.get(url(model), {"q": text}).context["cl"].result_count)

    return rows


def test_a_name_is_found_by_how_it_begins_whatever_its_case(ask: Ask) -> None:
    assert ask(SecurityGroup, "OUT") == ask(SecurityGroup, " outbound ") == 1
    assert ask(SecurityGroup, "bound") == ask(SecurityGroup, "%") == ask(SecurityGroup, "_eb") == 0


def test_a_row_is_found_by_what_it_belongs_to(ask: Ask, group: SecurityGroup, machine: VirtualMachine) -> None:
    assert ask(Rule, group.public_id) == ask(Rule, "web") == 5
    assert ask(Rule, "shop") == 7
    assert ask(Attachment, machine.public_id) == ask(Attachment, "web-") == 2
    assert ask(Attachment, group.public_id.upper()) == 1
    assert ask(Event, group.public_id) == 1
    assert ask(Membership, "charlie") == ask(Membership, "bakery") == 1
    assert ask(User, "charlie@") == ask(User, "CHAR") == 1


@pytest.mark.parametrize("text", ["10.0.1.11", "10.0.1.0/24", "10.0.1", "10.0.", "2001:db8:10:1::11", "2001:DB8::/32"])
def test_a_vm_is_found_by_its_address_and_its_network(ask: Ask, text: str) -> None:
    assert ask(VirtualMachine, text) == 1


@pytest.mark.parametrize("text", ["10.0.2", "10.0.1.12", "1.0.1", "300.1", "1.2.3.4.5", "..", ".", "::/129"])
def test_what_is_no_address_of_a_vm_finds_none(ask: Ask, text: str) -> None:
    assert ask(VirtualMachine, text) == 0


def test_a_search_that_goes_on_with_too_many_rows_says_so(
    as_admin: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "KEYS", 2)
    for name in ("ax", "ay", "az"):
        make_group(project, name, ["drop in all"])
    make_project(None, "Other")

    page = as_admin.get(url(Rule), {"q": "a"})

    assert page.context["cl"].result_count == 2
    assert said(page) == ["Very much begins like this, and only a part was looked through: type more of it."]
    assert said(as_admin.get(url(Rule), {"q": "ax"})) == []


def test_filters_of_rules_are_offered_for_what_a_search_found(as_admin: Client, group: SecurityGroup) -> None:
    assert not as_admin.get(url(Rule)).context["cl"].has_filters
    assert as_admin.get(url(Rule), {"q": "web"}).context["cl"].has_filters
