"""Find: things, pages, actions, packets and addresses, by rights, on a page and in the palette."""

from typing import Any

import pytest
from django.test import Client

from securitygroups import operations
from securitygroups.answers import find as finding
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import make_packet, parse_address
from securitygroups.models import Project, Role, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from securitygroups.web.finding import Section
from tests.factories import make_group, make_machine, make_project, make_user, ports, rule
from tests.web.pages import HTMX, Page, part_and_page

URL = "/p/shop/find/"


def found(client: Client, query: str, url: str = URL) -> dict[str, list[str]]:
    """The labels by section; every link leads to a page that this person may open."""
    response = client.get(url, {"q": query})
    assert response.status_code == 200
    sections: list[Section] = response.context["sections"]
    for section in sections:
        for link in section.links:
            assert client.get(link.url).status_code == 200, link.url
        assert section.more is None or client.get(section.more.url).status_code == 200
    return {section.title: [link.label for link in section.links] for section in sections}


def test_groups_vms_and_what_can_be_done_with_the_best(as_alice: Client, machine: VirtualMachine) -> None:
    sections = found(as_alice, "web")
    assert list(sections)[:3] == ["Security Groups", "Virtual Machines", "Do"]
    assert sections["Security Groups"] == ["web"]
    assert sections["Virtual Machines"] == ["web-1"]
    assert "Add rule to web" in sections["Do"]
    assert "Test a packet on web" in sections["Do"]


def test_the_best_stands_first(as_bob: Client, project: Project) -> None:
    for name in ("a-db", "db-2", "db", "db-10", "other"):
        make_group(project, name)
    assert found(as_bob, "db")["Security Groups"] == ["db", "db-10", "db-2", "a-db"]


def test_of_many_eight_are_shown_with_the_way_to_all(as_bob: Client, project: Project) -> None:
    SecurityGroup.objects.bulk_create(SecurityGroup(project=project, name=f"group{n}") for n in range(120))
    for query, words in (("group", "More than 100: all of them"), ("group1", "All 31")):
        (section,) = [
            one for one in as_bob.get(URL, {"q": query}).context["sections"] if one.title == "Security Groups"
        ]
        assert (len(section.links), section.more.label) == (8, words)
        assert section.more.url == f"/p/shop/groups/?q={query}"


def test_rules_are_found_by_what_stands_in_them_and_lead_to_their_row(as_bob: Client, group: SecurityGroup) -> None:
    (section,) = [one for one in as_bob.get(URL, {"q": "ssh"}).context["sections"] if one.title == "Rules"]
    (link,) = section.links
    assert link.label.startswith("Accept inbound TCP to port 22 (SSH) from")
    assert link.note == "web, rule 3: Office SSH"
    assert link.url.startswith(f"{group.get_absolute_url()}?page=1#rule-")


def test_of_more_rules_than_are_looked_through_all_are_offered(
    as_bob: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "SEARCHED", 3)
    make_group(project, "many", ports(1, 2, 3, 4, 5))
    (section,) = as_bob.get(URL, {"q": "nothing-of-the-kind"}).context["sections"]
    assert (section.links, section.more.label) == ([], "Search all rules for “nothing-of-the-kind”")


@pytest.mark.parametrize(
    ("query", "title", "label"),
    [
        ("exposure", "Go to", "Exposure"),
        ("expo", "Go to", "Exposure"),
        ("audit", "Pages", "Activity"),
        ("review", "Go to", "Review"),
        ("people", "Pages", "Members"),
        ("help", "Go to", "Help"),
        ("test a pa", "Go to", "Test a packet"),
        ("replay web", "Do", "Replay a flow log on web"),
        ("replay a flow log on web", "Do", "Replay a flow log on web"),
        ("replay web-1", "Do", "Replay a flow log on web-1"),
        ("replay", "Go to", "Replay a flow log"),
        ("test web-1", "Do", "Test a packet on web-1"),
        ("history of web", "Do", "History of web"),
        ("alice", "Members", "alice"),
    ],
)
def test_pages_actions_and_people_are_found_by_what_people_call_them(
    query: str, title: str, label: str, as_bob: Client, machine: VirtualMachine
) -> None:
    assert label in found(as_bob, query)[title]


@pytest.mark.parametrize(
    ("query", "label"),
    [
        ("create security group", "Create Security Group"),
        ("new vm", "Create Virtual Machine"),
        ("add rule web", "Add rule to web"),
        ("Add Rule to WEB", "Add rule to web"),
        ("settings web-1", "Instance settings of web-1"),
        ("open a port on web-1", "Open a port on web-1"),
        ("", "Create Security Group"),
    ],
)
def test_nobody_is_offered_what_they_may_not_do(
    query: str, label: str, as_alice: Client, as_bob: Client, staff: User, sign_in: Any, machine: VirtualMachine
) -> None:
    def everything(client: Client) -> list[str]:
        return [label for labels in found(client, query).values() for label in labels]

    operations.open_visit(project=machine.project, staff=staff, reason="They asked", ticket="T-1")
    assert label in everything(as_alice)
    assert label not in everything(as_bob)
    assert label not in everything(sign_in(staff))


@pytest.mark.parametrize("query", ["open port 443", "open https", "open 443 on web-1", "allow 8000-8010 on web"])
def test_a_port_that_is_to_be_opened_goes_along_to_the_vm(
    as_alice: Client, query: str, machine: VirtualMachine
) -> None:
    found(as_alice, query)
    sections = as_alice.get(URL, {"q": query}).context["sections"]

    (link,) = [link for section in sections for link in section.links if link.label == "Open a port on web-1"]

    ports = query.replace("port ", "").split()[1]
    assert Page(as_alice.get(link.url)).form_with("ports").fields["ports"] == [ports]


def test_a_tag_finds_its_vms(as_bob: Client, project: Project) -> None:
    for name, tags in (("a", ["role=db"]), ("b", ["role=web"]), ("c", [])):
        make_machine(project, name, tags=tags, ipv4=f"10.0.2.{ord(name)}")

    (section,) = as_bob.get(URL, {"q": "role=DB"}).context["sections"]

    assert [(link.label, link.note) for link in section.links] == [("a", "10.0.2.97, role=db")]


@pytest.mark.parametrize(("end", "address"), [("10.0.1.12:443", "10.0.1.12"), ("[2001:db8::5]:443", "2001:db8::5")])
def test_the_port_behind_an_address_goes_along_to_the_test(
    as_bob: Client, project: Project, end: str, address: str
) -> None:
    assert found(as_bob, end)["Test a packet"] == [f"Test a packet to {address}, port 443"]
    link = as_bob.get(URL, {"q": end}).context["sections"][0].links[0]

    form = Page(as_bob.get(link.url)).form_with("destination").fields

    assert (form["destination"], form["protocol"], form["port"]) == ([address], ["tcp"], ["443"])


def test_an_address_finds_its_vm_the_rules_that_name_it_and_its_test(as_bob: Client, project: Project) -> None:
    make_machine(project, "db-1", ipv4="10.0.1.12")
    make_machine(project, "db-2", ipv4="10.0.1.13")
    rules = [rule("accept in tcp 1 from 10.0.0.0/8"), rule("accept in tcp 2 from 10.0.1.12"), rule("accept in tcp 3")]
    make_group(project, "named", [*rules, rule("accept out ip from 0.0.0.0/0 to 10.0.1.0/24")])
    for text in ("10.0.1.12", "10.0.1.12/24", " 10.0.1.12/32 "):
        sections = found(as_bob, text)
        assert sections["Test a packet"] == ["Test a packet to 10.0.1.12", "Test a packet from 10.0.1.12"]
        assert sections["Virtual Machines"] == ["db-1"]
        assert [label.split("to ")[-1] for label in sections["Rules that name it"]] == [
            "port 2 from 10.0.1.12",
            "10.0.1.0/24",
            "port 1 from 10.0.0.0/8",
        ]
    assert found(as_bob, "10.0.1.0/24")["Virtual Machines"] == ["db-1", "db-2"]


@pytest.mark.parametrize(
    ("line", "note", "form", "said"),
    [
        ("tcp 203.0.113.9 > 10.0.1.11:22", "TCP", {"direction": "in", "port": "22"}, "Accepted by rule 3"),
        (
            "IP 10.0.1.11.5000 > 192.0.2.1.53: UDP, length 30",
            "UDP",
            {"direction": "out", "port": "53"},
            "Accepted by rule 5",
        ),
        ("IP 192.0.2.1 > 10.0.1.11: ICMP echo request, id 1", "ICMP", {"direction": "in"}, "Denied: no rule matches"),
        ("tcp 203.0.113.9 > 10.0.1.11", "TCP", {"direction": "in", "port": ""}, ""),
        (
            "IP 10.0.1.11.22 > 203.0.113.9.51515: Flags [S.], seq 1",
            "opens no connection: a SYN-ACK",
            {"direction": "out"},
            "",
        ),
    ],
)
def test_a_pasted_line_leads_to_its_test_filled_in_and_where_it_says_all_to_its_answer(
    line: str, note: str, form: dict[str, str], said: str, as_bob: Client, machine: VirtualMachine
) -> None:
    assert found(as_bob, line)["Virtual Machines"] == ["web-1"]
    (test, *_) = as_bob.get(URL, {"q": line}).context["sections"]
    assert note in test.links[0].note
    page = Page(as_bob.get(test.links[0].url))
    fields = page.form_with("destination").fields
    assert {name: fields[name][0] for name in form} == form
    assert fields["line"] == [line]
    assert said in page.text
    assert ("way down the list" in page.text) == bool(said)


def test_a_case_tells_nothing_of_its_vm_that_is_another_customers_by_now(
    as_bob: Client, staff: User, machine: VirtualMachine, bakery: Project
) -> None:
    packet = make_packet(Direction.IN, "tcp", (4, 1), (4, 2), 22)
    case = operations.open_case(about=machine, packet=packet, staff=staff, ticket="T-4711")
    assert found(as_bob, "web-1")["Support cases"] == [case.public_id]
    operations.move_machine(machine=machine, target=bakery, by=By(staff))
    machine.refresh_from_db()
    operations.update_machine(machine=machine, fields={"name": "secret"}, by=By(staff))

    assert "Support cases" not in found(as_bob, "secret")
    (section,) = [one for one in as_bob.get(URL, {"q": "T-4711"}).context["sections"] if one.title == "Support cases"]
    assert [link.note for link in section.links] == ["T-4711"]


def test_cases_and_templates_are_found(as_bob: Client, staff: User, group: SecurityGroup) -> None:
    packet = make_packet(Direction.IN, "tcp", parse_address("192.0.2.1"), parse_address("192.0.2.2"), 443)
    case = operations.open_case(about=group, packet=packet, staff=staff, ticket="T-4711")
    operations.save_template(group=group, name="Front end", description="", by=By())
    for query in ("T-4711", "4711", case.public_id, "web"):
        assert found(as_bob, query)["Support cases"] == [case.public_id]
    assert found(as_bob, "front")["Templates"] == ["Front end"]


def test_nothing_of_other_projects_is_found(
    as_charlie: Client, as_bob: Client, bakery: Project, machine: VirtualMachine
) -> None:
    make_group(bakery, "web")
    make_machine(bakery, "web-1", ipv4="10.0.1.11")
    assert as_charlie.get(URL, {"q": "web"}).status_code == 404
    for query in ("web", "10.0.1.11", "443"):
        content = as_bob.get(URL, {"q": query}).content.decode()
        assert "bakery" not in content
        assert "charlie" not in content


def test_where_no_project_is_open_projects_are_found(
    as_bob: Client, alice: User, bob: User, staff: User, sign_in: Any
) -> None:
    for name in ("Alpha", "Beta", "Alphabet"):
        operations.add_member(project=make_project(alice, name), user=bob, role=Role.VIEWER, by=By(alice))
    make_project(make_user("una"), "Alpha of others")
    assert found(as_bob, "alpha", "/find/")["Projects"] == ["Alpha", "Alphabet"]
    assert "Help" in found(as_bob, "", "/find/")["Go to"]
    assert "Search the support desk for “alpha”" in found(sign_in(staff), "alpha", "/find/")["Go to"]


def test_the_palette_gets_options_and_the_page_links(as_bob: Client, machine: VirtualMachine) -> None:
    part, page = (as_bob.get(f"{URL}?q=web", headers=headers).content.decode() for headers in (HTMX, {}))
    assert 'role="option"' in part
    assert "<main" not in part
    assert 'id="hit-1-1"' in part
    assert '<ul class="plain hits">' in page
    assert "Nothing has “of that name”" in as_bob.get(URL, {"q": "of that name"}, headers=HTMX).content.decode()
    assert len(part_and_page(as_bob, f"{URL}?q=web")) == 2


@pytest.mark.parametrize(
    "query", ["\x00", "'", "%", "\\", "x" * 5000, "1" * 500, "::", "/", "add rule", "add", "(", "🙂", "10.0.0.0/33"]
)
def test_whatever_is_typed_gives_an_answer(query: str, as_alice: Client, machine: VirtualMachine) -> None:
    for url in (URL, "/find/"):
        assert as_alice.get(url, {"q": query}).status_code == (400 if "\x00" in query else 200)


def test_a_thousand_words_are_no_thousand_conditions(
    as_bob: Client, group: SecurityGroup, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(13) as queries:
        sections = as_bob.get(URL, {"q": "22," * 600}).context["sections"]
    assert "Rules" in [section.title for section in sections]
    assert max(len(one["sql"]) for one in queries) < 30_000


@pytest.mark.parametrize("query", ["g", "add rule g", "10.0.0.1", "tcp", "udp 10.0.0.1 > 10.0.0.2:53"])
def test_it_asks_as_much_for_few_rows_as_for_many(
    query: str, as_alice: Client, project: Project, django_assert_max_num_queries: Any
) -> None:
    counts = []
    for number in (2, 60):
        for n in range(number):
            group = make_group(project, f"g{number}-{n}", ports(1, 2))
        make_machine(project, f"g{number}", [group], ipv4=f"10.0.0.{number}")
        with django_assert_max_num_queries(13) as queries:
            as_alice.get(URL, {"q": query})
        counts.append(len(queries))
    assert counts[1] <= counts[0]
