"""The exposure page: what the internet reaches, who reaches a port, which VM reaches which."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from securitygroups.answers import exposure as exposures
from securitygroups.answers import internet as internets
from securitygroups.answers.exposure import State
from securitygroups.effective import Limits
from securitygroups.models import Project, SecurityGroup, VirtualMachine
from tests.factories import make_group, make_machine
from tests.web.pages import Page

URL = "/p/shop/exposure/"


def text(client: Client, query: str = "", status: int = 200) -> str:
    """The page's own words, blanks as one."""
    response = client.get(URL + query)
    assert response.status_code == status, response
    return " ".join(response.content.decode().split())


def found(project: Project, query: str = "") -> internets.Internet:
    return internets.internet(exposures.load(exposures.chosen(project, query)))


def fleet(project: Project, groups: list[SecurityGroup], first: int, last: int) -> None:
    for number in range(first, last + 1):
        make_machine(project, f"vm-{number:03}", groups, ipv4=f"10.9.0.{number}")


# ── From the internet ─────────────────────────────────────────────────────────


def test_says_what_the_internet_reaches_and_through_which_rule(
    as_alice: Client, project: Project, machine: VirtualMachine
) -> None:
    page = text(as_alice)
    assert "443 (HTTPS)" in page
    assert "Everyone" in page
    assert "web, rule 2" in page
    assert f'href="{machine.get_absolute_url()}"' in page
    (opening,) = found(project).openings
    assert (opening.what, opening.ports, opening.services) == ("TCP", "443 (HTTPS)", "")
    assert [through.text for through in opening.through] == ["web, rule 2"]


def test_one_office_is_not_the_internet(project: Project, machine: VirtualMachine) -> None:
    assert all("22" not in opening.ports for opening in found(project).openings)


def test_a_management_port_open_to_all_comes_first_and_is_counted(
    as_alice: Client, project: Project, machine: VirtualMachine
) -> None:
    loud = make_group(project, "loud", ["accept in tcp 22"])
    make_machine(project, "old-1", [loud], ipv4="10.0.1.99")
    internet = found(project)
    assert (internet.loud, internet.open, internet.machines) == (1, 2, 2)
    assert internet.openings[0].services == "SSH"
    assert internet.openings[0].machines.first[0].name == "old-1"
    assert "SSH" in text(as_alice)


def test_a_rule_that_an_earlier_group_hides_opens_nothing(as_alice: Client, project: Project) -> None:
    groups = [make_group(project, "closed", ["drop in all"]), make_group(project, "open", ["accept in tcp 22"])]
    make_machine(project, "db-1", groups, ipv4="10.0.3.1")
    assert found(project).openings == ()
    assert "Nothing is open to the internet" in text(as_alice)


def test_vms_whose_groups_differ_but_open_the_same_are_one_line(project: Project, group: SecurityGroup) -> None:
    other = make_group(project, "other", ["accept out tcp 443"])
    make_machine(project, "a", [group], ipv4="10.0.0.1", ipv6="2001:db8::1")
    make_machine(project, "b", [other, group], ipv4="10.0.0.2", ipv6="2001:db8::2")
    (opening,) = found(project).openings
    assert [vm.name for vm in opening.machines.first] == ["a", "b"]


def test_a_vm_without_an_address_is_named_and_not_called_safe(
    as_alice: Client, project: Project, group: SecurityGroup
) -> None:
    make_machine(project, "nowhere", [group])
    page = text(as_alice)
    assert "1 VM has no address here" in page
    assert "As far as could be looked at" in page


def test_the_search_finds_vms_by_name_and_by_group(as_alice: Client, project: Project, machine: VirtualMachine) -> None:
    make_machine(project, "bare", ipv4="10.0.8.8")
    assert found(project, "web").machines == 1
    assert found(project, "outbound").machines == 1
    assert "No virtual machine has “nothing”" in text(as_alice, "?q=nothing")


def test_what_time_runs_out_for_is_counted(project: Project, machine: VirtualMachine) -> None:
    ticks = iter(range(100))
    internet = internets.internet(exposures.load(exposures.chosen(project)), seconds=0, clock=lambda: next(ticks))
    assert (internet.unseen, internet.openings) == (1, ())


def test_too_many_rules_ask_for_a_search(
    as_alice: Client, machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(internets.look, "__defaults__", ("", Limits(3, 3), 5.0))
    assert "Too much to look at in one go" in text(as_alice)


def test_the_part_for_htmx_is_the_region_alone(as_alice: Client, machine: VirtualMachine) -> None:
    part = as_alice.get(URL, headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith('<div id="exposure"')
    assert "<html" not in part


# ── Who reaches a port ────────────────────────────────────────────────────────


def test_senders_of_a_port_with_their_rules(as_alice: Client, project: Project, machine: VirtualMachine) -> None:
    make_machine(project, "office-vm", ipv4="203.0.113.7")
    page = text(as_alice, "?show=senders&vm=WEB-1&protocol=tcp&port=22")
    assert "203.0.113.0/24" in page
    assert "office-vm" in page
    assert "web, rule 3" in page
    assert "Open to the internet" not in page


@pytest.mark.parametrize("name", ["10.0.1.11", "2001:db8:10:1::11", "web-1"])
def test_a_vm_is_found_by_name_and_address(as_alice: Client, machine: VirtualMachine, name: str) -> None:
    assert "443 (HTTPS)" in text(as_alice, f"?show=senders&vm={name}&protocol=tcp&port=443")


def test_nobody_reaches_a_closed_port(as_alice: Client, machine: VirtualMachine) -> None:
    assert "Nobody reaches UDP port 53" in text(as_alice, "?show=senders&vm=web-1&protocol=udp&port=53")


@pytest.mark.parametrize(
    ("addresses", "words"),
    [
        ({"ipv4": "10.0.9.1", "ipv6": "2001:db8::9"}, "accepts it from any IPv4 or IPv6 address."),
        ({"ipv4": "10.0.9.1"}, "accepts it from any IPv4 address. It has no IPv6 address here, so IPv6 was not looked at."),
        ({"ipv6": "2001:db8::9"}, "accepts it from any IPv6 address. It has no IPv4 address here, so IPv4 was not looked at."),
    ],
)  # fmt: skip
def test_nobody_is_said_of_the_families_that_were_looked_at_alone(
    addresses: dict[str, str], words: str, as_alice: Client, project: Project
) -> None:
    make_machine(project, "bare", (), **addresses)
    assert words in text(as_alice, "?show=senders&vm=bare&protocol=tcp&port=22")


def test_icmp_needs_no_port(as_alice: Client, machine: VirtualMachine) -> None:
    assert "Nobody reaches ICMP of web-1" in text(as_alice, "?show=senders&vm=web-1&protocol=icmp&port=")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("vm=nobody&protocol=tcp&port=22", "The project has no VM of this name, address or ID"),
        ("vm=&protocol=tcp&port=22", "Type the VM&#x27;s name"),
        ("vm=web-1&protocol=tcp&port=", "Type the port, such as 443."),
        ("vm=web-1&protocol=tcp&port=70000", "Type a port from 0 to 65535."),
        ("vm=web-1&protocol=tcp&port=x", "Type a whole number"),
        ("vm=web-1&protocol=gre&port=1", "Select a valid choice"),
    ],
)
def test_what_cannot_be_asked_is_said_at_its_field(
    as_alice: Client, machine: VirtualMachine, query: str, words: str
) -> None:
    assert words in text(as_alice, f"?show=senders&{query}", status=422)


def test_another_projects_vm_is_none(as_charlie: Client, bakery: Project, machine: VirtualMachine) -> None:
    response = as_charlie.get(f"/p/bakery/exposure/?show=senders&vm={machine.public_id}&protocol=tcp&port=22")
    assert response.status_code == 422


# ── Between VMs ───────────────────────────────────────────────────────────────


@pytest.fixture
def pair(project: Project) -> None:
    """“app” may open PostgreSQL on “db”, and nothing the other way."""
    app = make_group(project, "app", ["accept out tcp 5432"])
    database = make_group(project, "database", ["accept in tcp 5432 from 10.0.2.0/24"])
    make_machine(project, "app-1", [app], ipv4="10.0.2.1")
    make_machine(project, "app-2", [app], ipv4="10.0.4.2")
    make_machine(project, "db-1", [database], ipv4="10.0.3.1")


def test_a_pair_needs_both_ends(project: Project, pair: None) -> None:
    land = exposures.load(exposures.chosen(project))
    reach = exposures.reach(land, "tcp", 5432, 4, each=True)
    states = [[reach.cell(row, column).state for column in range(3)] for row in range(3)]
    assert states == [
        [State.SELF, State.NONE, State.ALL],
        [State.NONE, State.SELF, State.NONE],
        [State.NONE, State.NONE, State.SELF],
    ]
    assert reach.cell(1, 2).why == "denied by the receiver's In rules"
    assert reach.cell(2, 0).why == "denied by the sender's Out rules and the receiver's In rules"
    assert reach.cell(0, 2).why == "accepted"


def test_equal_groups_stand_together_and_some_is_said(project: Project, pair: None) -> None:
    reach = exposures.reach(exposures.load(exposures.chosen(project)), "tcp", 5432, 4, each=False)
    assert [bundle.label for bundle in reach.bundles] == ["app-1 + 1", "db-1"]
    cell = reach.cell(0, 1)
    assert (cell.state, cell.reached, cell.pairs) == (State.SOME, 1, 2)
    assert reach.cell(0, 0).pairs == 2


def test_without_an_address_of_the_family_nothing_is_claimed(project: Project, pair: None) -> None:
    reach = exposures.reach(exposures.load(exposures.chosen(project)), "tcp", 5432, 6, each=True)
    assert reach.cell(0, 2).state is State.ABSENT


def test_the_picture_has_a_table_that_says_the_same(as_alice: Client, pair: None) -> None:
    page = text(as_alice, "?show=between&protocol=tcp&port=5432&family=4&by=vm")
    assert "The same stands in the table below." in page
    assert "style=" not in page
    assert page.count('<td class="yes">') == 1
    assert page.count(">yes</a>") == 1
    assert page.count(">itself</td>") == 3
    assert "app-1 → db-1: accepted" in page


def test_a_field_of_the_matrix_leads_to_the_test_of_its_packet(as_alice: Client, pair: None) -> None:
    page = as_alice.get(f"{URL}?show=between&protocol=tcp&port=5432&family=4&by=vm").content.decode()
    links = re.findall(r'href="(/p/shop/test/[^"]+)"', page)
    # Twice, in the picture and in the table: three VMs, none to itself.
    assert len(links) == 12
    asked = Page(
        as_alice.get(
            next(link for link in links if "source=10.0.4.2&amp;destination=10.0.3.1" in link).replace("&amp;", "&")
        )
    )
    assert "It leaves app-2, but the In list of db-1 denies it." in asked.text
    together = as_alice.get(f"{URL}?show=between&protocol=tcp&port=5432&family=4&by=groups").content.decode()
    # The VMs of one line with each other.
    assert "source=10.0.2.1&amp;destination=10.0.4.2" in together
    ping = as_alice.get(f"{URL}?show=between&protocol=icmp&family=4&by=vm").content.decode()
    assert "?protocol=icmp&amp;test=1&amp;source=" in ping


def test_a_large_picture_is_cut_into_parts(as_alice: Client, project: Project, pair: None) -> None:
    fleet(project, [], 1, 60)
    page = text(as_alice, "?show=between&by=vm")
    assert "Senders 1–60 of 63" in page
    assert "Further senders" in page
    assert "Receivers 61–63 of 63" in text(as_alice, "?show=between&by=vm&receivers=2")


def test_more_vms_than_are_compared_are_said(
    as_alice: Client, project: Project, pair: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposures, "MAX_MATRIX", 2)
    assert "The first 2 of 3 VMs by name." in text(as_alice, "?show=between")


def test_a_wrong_port_of_the_matrix_is_422(as_alice: Client, pair: None) -> None:
    assert "Type a port from 0 to 65535." in text(as_alice, "?show=between&port=70000", status=422)


def test_nothing_to_compare(as_alice: Client, project: Project) -> None:
    assert "No virtual machine to compare" in text(as_alice, "?show=between")


# ── Everywhere ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("query", ["", "?show=senders&vm=web-1&protocol=tcp&port=443", "?show=between"])
def test_strangers_find_nothing(as_charlie: Client, machine: VirtualMachine, query: str) -> None:
    assert as_charlie.get(URL + query).status_code == 404


@pytest.mark.parametrize(
    "url", [URL, f"{URL}?show=senders&vm=web-1&protocol=tcp&port=443", f"{URL}?show=between&by=vm", "/p/shop/"]
)
def test_more_vms_need_no_more_queries(
    as_alice: Client, project: Project, group: SecurityGroup, machine: VirtualMachine, url: str
) -> None:
    # The overview notes once a minute who was here.
    as_alice.get(url)
    fleet(project, [group], 1, 1)
    with CaptureQueriesContext(connection) as few:
        assert as_alice.get(url).status_code == 200
    fleet(project, [group], 2, 59)
    with CaptureQueriesContext(connection) as many:
        assert as_alice.get(url).status_code == 200
    assert len(many) == len(few)


def test_the_overview_says_what_is_open(as_alice: Client, machine: VirtualMachine) -> None:
    page = " ".join(as_alice.get("/p/shop/").content.decode().split())
    assert "443 (HTTPS)" in page
    assert "1 of 1 VM is reached by the internet" in page


def test_the_overview_of_a_large_project_only_links(
    as_alice: Client, machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(internets, "MAX_OVERVIEW_MACHINES", 0)
    assert "too large to be looked at by the way" in as_alice.get("/p/shop/").content.decode()
