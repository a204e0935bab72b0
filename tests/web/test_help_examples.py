"""The examples of the help page go into Add Rule by one click, and the page about import has every system."""

import re

from django.test import Client

from securitygroups.firewall.formats.systems import SYSTEMS
from securitygroups.models import SecurityGroup, User
from securitygroups.web.views import help
from tests.factories import make_group, make_project
from tests.web.pages import Page, form_at


def uses(client: Client, url: str) -> list[str]:
    return [
        link.replace("&amp;", "&")
        for link in re.findall(r'href="([^"]*\?[^"]*protocol=[^"]*)"', client.get(url).content.decode())
    ]


def test_from_an_empty_group_an_example_is_one_click(as_alice: Client, group: SecurityGroup) -> None:
    links = uses(as_alice, f"/help/?group={group.public_id}")

    assert len(links) == 6
    assert {link.partition("?")[0] for link in links} == {f"{group.get_absolute_url()}rules/new/"}
    fields = form_at(as_alice, links[0]).fields
    assert (fields["source"], fields["port_start"], fields["protocol"]) == (["203.0.113.0/24"], ["22"], ["tcp"])
    for link in links:
        assert as_alice.get(link).status_code == 200


def test_elsewhere_the_group_is_chosen_first_and_only_from_those_that_one_may_change(
    as_alice: Client, as_bob: Client, group: SecurityGroup, charlie: User
) -> None:
    make_group(make_project(charlie, "Elsewhere"), "secret")
    link = uses(as_alice, "/help/")[0]
    assert link.startswith("/help/use/?")

    page = Page(as_alice.get(link))
    assert "web" in page.text
    assert "secret" not in page.text
    assert f"{group.get_absolute_url()}rules/new/?" in as_alice.get(link).content.decode()
    assert "No Security Group that you may change" in Page(as_bob.get(link)).text
    assert "None has “zz” in its name." in Page(as_alice.get(f"{link}&q=zz")).text


def test_a_group_of_a_stranger_is_not_told(as_charlie: Client, group: SecurityGroup) -> None:
    answer = as_charlie.get(f"/help/?group={group.public_id}").content.decode()

    assert " in web" not in Page(as_charlie.get(f"/help/?group={group.public_id}")).text
    assert group.public_id not in answer.replace(f"?group={group.public_id}", "")


def test_every_system_whose_files_are_read_is_named_with_what_makes_one() -> None:
    told = [name for name, command, more in help.SYSTEMS if command or more]

    assert [system.name for system in SYSTEMS if not any(name in system.name for name in told)] == []
