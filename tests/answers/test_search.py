"""The support desk's search box: each shape finds what it should, and nothing that is gone."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from securitygroups import operations
from securitygroups.answers.desk import SORTS, Wanted, cases_of_all
from securitygroups.answers.search import LIMIT, search
from securitygroups.firewall.formats.packets import packet_from_json
from securitygroups.models import Project, SecurityGroup, SupportCase, User, VirtualMachine
from securitygroups.operations import By
from tests.factories import make_group, make_machine, make_project, make_user, ports, rule

pytestmark = pytest.mark.django_db


def kinds(text: str) -> dict[str, list[str]]:
    """What is found, by kind, as text."""
    return {found.kind: [str(row) for row in found.rows] for found in search(text)}


@pytest.fixture
def case(project: Project, group: SecurityGroup, staff: User) -> SupportCase:
    packet = {"direction": "in", "protocol": "tcp", "source": "203.0.113.9", "destination": "10.0.0.5", "port": 22}
    return operations.open_case(about=group, packet=packet_from_json(packet), staff=staff)


VMS, GROUPS, RULES = "Virtual Machines", "Security Groups", "Rules that cover it"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.1.11", {VMS: ["web-1"]}),
        (" 10.0.1.11/32 ", {VMS: ["web-1"]}),
        ("10.0.0.0/8", {VMS: ["web-1"]}),
        ("0.0.0.0/0", {VMS: ["web-1"]}),
        ("10.0.2.0/24", {}),
        ("2001:db8:10:1::11", {VMS: ["web-1"], RULES: ["Rule 4 of web"]}),
        ("2001:DB8:0010:1:0::11", {VMS: ["web-1"], RULES: ["Rule 4 of web"]}),
        ("2001:db8:10::/48", {VMS: ["web-1"], RULES: ["Rule 4 of web"]}),
        ("2001:db8::/31", {VMS: ["web-1"]}),
        ("203.0.113.9", {RULES: ["Rule 3 of web"]}),
        ("203.0.113.0/24", {RULES: ["Rule 3 of web"]}),
        ("203.0.112.0/23", {}),
        ("192.0.2.66", {RULES: ["Rule 1 of web"]}),
        ("web", {VMS: ["web-1"], GROUPS: ["web"]}),
        ("WEB", {VMS: ["web-1"], GROUPS: ["web"]}),
        ("web-", {VMS: ["web-1"]}),
        ("eb", {}),
        ("outb", {GROUPS: ["outbound"]}),
        ("sho", {"Projects": ["Shop"]}),
        ("SHOP", {"Projects": ["Shop"]}),
        ("alice", {"People": ["alice"]}),
        ("Alice", {"People": ["alice"]}),
        ("alice@example.com", {"People": ["alice"]}),
        ("ALICE@Example.COM", {"People": ["alice"]}),
        ("alice@", {}),
        ("nothing of the kind", {}),
        ("%", {}),
        ("_", {}),
        ("we%", {}),
        ("10.0.1.11/24", {}),
        ("10.0.1.999", {}),
        ("sg-", {}),
        ("vm-", {}),
        ("case-", {}),
        ("case-0000000000", {}),
    ],
)
def test_each_shape_finds_its_kind(text: str, found: dict[str, list[str]], machine: VirtualMachine) -> None:
    assert kinds(text) == found


def test_public_ids_find_exactly_what_has_them(
    machine: VirtualMachine, group: SecurityGroup, case: SupportCase
) -> None:
    assert kinds(group.public_id) == {GROUPS: ["web"]}
    assert kinds(group.public_id.upper()) == {GROUPS: ["web"]}
    assert kinds(f" {machine.public_id} ") == {VMS: ["web-1"]}
    assert kinds(case.public_id.upper()) == {"Cases": [case.public_id]}
    assert kinds(group.public_id[:-1]) == {}


def test_a_name_that_looks_like_an_id_is_found_too(project: Project) -> None:
    make_machine(project, "vm-database")
    make_group(project, "SG-legacy")

    assert kinds("vm-data") == {VMS: ["vm-database"]}
    assert kinds("sg-") == {GROUPS: ["SG-legacy"]}


def test_all_projects_are_searched_and_each_row_tells_its_own(project: Project, bakery: Project) -> None:
    for each in (project, bakery):
        make_machine(each, "db-1", ipv4="10.9.9.9")
        make_group(each, "db", [rule("accept in tcp 5432 from 10.9.0.0/16")])

    by_name, by_address = search("db"), search("10.9.9.9")
    assert {found.kind: {row.project for row in found.rows} for found in by_name} == {
        VMS: {project, bakery},
        GROUPS: {project, bakery},
    }
    assert [found.kind for found in by_address] == [VMS, RULES]
    assert {row.group.project for row in by_address[1].rows} == {project, bakery}


def test_what_was_deleted_is_not_found(machine: VirtualMachine, group: SecurityGroup) -> None:
    ids = [machine.public_id, group.public_id]
    operations.delete_machine(machine=machine, by=By())
    operations.delete_group(group=group, base=group.revision, by=By())

    for text in ("10.0.1.11", "10.0.0.0/8", "203.0.113.9", "web", *ids):
        assert kinds(text) == {}


def test_a_rule_is_found_by_either_end(project: Project) -> None:
    make_group(project, "ip", [rule("accept out ip from 10.0.0.0/8 to 192.0.2.0/24")])

    assert kinds("192.0.2.7") == {RULES: ["Rule 1 of ip"]}
    assert kinds("10.1.1.1") == {RULES: ["Rule 1 of ip"]}


def test_rules_for_any_address_are_not_listed_for_each(project: Project) -> None:
    make_group(project, "open", [*ports(80, 443), rule("accept in tcp 22 from 0.0.0.0/0"), rule("drop in ip to ::/0")])

    assert kinds("203.0.113.9") == kinds("2001:db8::1") == {}
    assert kinds("0.0.0.0/0") == {RULES: ["Rule 3 of open"]}
    assert kinds("::/0") == {RULES: ["Rule 4 of open"]}


def test_the_narrowest_networks_come_first(project: Project) -> None:
    networks = ("10.0.0.0/8", "10.1.2.3", "10.1.0.0/16", "10.0.0.0/7", "10.1.2.0/24", "128.0.0.0/1", "0.0.0.0/1")
    make_group(project, "web", [rule(f"accept in tcp 22 from {network}") for network in networks])

    assert kinds("10.1.2.3") == {RULES: [f"Rule {place} of web" for place in (2, 5, 3, 1, 4, 7)]}
    assert kinds("200.1.2.3") == {RULES: ["Rule 6 of web"]}


def test_the_first_are_shown_and_it_is_said_that_there_are_more(project: Project) -> None:
    for number in range(LIMIT + 1):
        make_machine(project, f"node-{number:02}", ipv4=f"10.0.0.{number}")
    for text, count, more in (("node", LIMIT, True), ("node-0", 10, False), ("10.0.0.0/24", LIMIT, True)):
        (found,) = search(text)
        assert (len(found.rows), found.more) == (count, more)
    assert [row.name for row in search("node")[0].rows[:3]] == ["node-00", "node-01", "node-02"]
    assert [row.name for row in search("10.0.0.0/24")[0].rows[:3]] == ["node-00", "node-01", "node-02"]


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "\0", "web\0", "\n", "'", "';--", "\\", "\\x00", "x" * 10_000, "1" * 10_000, "::", "::/0", ":", "/", "/24",
        "10.0.0.1/", "10.0.0.1/99", "010.0.0.1", "fe80::1%eth0", "::ffff:10.0.0.1", "İ", "ß", "\U0001f600", "\u202e", "sg-\U0001f600",
        "vm-'", "case-%", "None", "null", "@", "a@b@c",
    ],
)  # fmt: skip
def test_no_text_does_harm(text: str, machine: VirtualMachine) -> None:
    assert all(found.rows for found in search(text))


def test_more_rows_take_no_more_queries(project: Project, django_assert_max_num_queries: Any) -> None:
    spent = []
    for count in (2, 12):
        for number in range(count):
            each = make_project(make_user(f"node{count}{number}"), f"Node {count} {number}")
            make_machine(each, f"node-{count}-{number}", ipv4=f"10.0.{count}.{number}")
            make_group(each, f"node {count} {number}", [rule("accept in tcp 22 from 10.0.0.0/8")])
        with CaptureQueriesContext(connection) as queries:
            for text in ("node", "10.0.0.0/16", f"10.0.{count}.1"):
                for found in search(text):
                    assert [str(getattr(row, "project", row)) for row in found.rows]
        spent.append(len(queries))
    assert spent[0] == spent[1]


# ── At the size that the product is for ───────────────────────────────────────


MANY = """
INSERT INTO securitygroups_project (name, slug, created_at)
    SELECT 'Firm ' || n, 'firm-' || n, now() FROM generate_series(1, 4000) n;
INSERT INTO securitygroups_user
    (username, email, password, is_superuser, is_staff, is_active, first_name, last_name, date_joined)
    SELECT 'person' || n, 'person' || n || '@firm.example', '', false, false, true, '', '', now()
    FROM generate_series(1, 4000) n;
INSERT INTO securitygroups_membership (project_id, user_id, role, created_at)
    SELECT p.id, u.id, 'owner', now()
    FROM securitygroups_project p JOIN securitygroups_user u ON p.slug = 'firm-' || substr(u.username, 7);
INSERT INTO securitygroups_securitygroup
    (project_id, public_id, name, description, revision, created_at, changed_at)
    SELECT p.id, 'sg-' || lpad(to_hex(n), 10, '0'), 'group ' || n, '', 1, now(), now()
    FROM securitygroups_project p, generate_series(1, 6000) n WHERE p.slug = 'firm-1';
INSERT INTO securitygroups_virtualmachine
    (project_id, public_id, name, description, ipv4, ipv6, tap, revision, created_at)
    SELECT p.id, 'vm-' || lpad(to_hex(n), 10, '0'), 'node-' || n, '', '10.0.0.0'::inet + n, '2001:db8::'::inet + n, '', 1, now()
    FROM securitygroups_project p, generate_series(1, 30000) n WHERE p.slug = 'firm-1';
INSERT INTO securitygroups_rule
    (group_id, position, uid, action, direction, protocol, source, port_start, port_end, description, enabled, added_in, changed_in)
    SELECT g.id, n, lpad(to_hex(n), 12, '0'), 'accept', 'in', 'tcp',
        CASE n % 5 WHEN 0 THEN NULL WHEN 1 THEN '0.0.0.0/0'
            WHEN 2 THEN set_masklen(('10.0.0.0'::inet + g.id * 16 + n)::cidr, 24 + n % 9)
            ELSE set_masklen(('100.64.0.0'::inet + g.id * 99 + n)::cidr, 32) END,
        22, 22, '', true, 1, 1
    FROM securitygroups_securitygroup g, generate_series(1, 10) n;
INSERT INTO securitygroups_supportcase (project_id, public_id, packet, rules, verdict, ticket, opened_by_id, at)
    SELECT p.id, 'case-' || lpad(to_hex(n), 10, '0'), '{}', '[]', 'drop', 'T-' || n, u.id, now()
    FROM securitygroups_project p, securitygroups_user u, generate_series(1, 20000) n
    WHERE p.slug = 'firm-1' AND u.username = 'person1';
INSERT INTO securitygroups_casestanding (case_id, project_id, state, assignee_id, asked_at)
    SELECT c.id, c.project_id, CASE c.id % 10 WHEN 0 THEN 'open' WHEN 1 THEN 'answered' ELSE 'closed' END,
        CASE c.id % 50 WHEN 0 THEN c.opened_by_id END, now() - c.id * interval '1 minute'
    FROM securitygroups_supportcase c;
INSERT INTO securitygroups_supportvisit (project_id, staff_id, reason, ticket, at, until)
    SELECT p.id, u.id, 'Asked', 'T-' || n, now(), now()
    FROM securitygroups_project p, securitygroups_user u, generate_series(1, 5000) n
    WHERE p.slug = 'firm-1' AND u.username = 'person1';
ANALYZE securitygroups_casestanding, securitygroups_supportvisit, securitygroups_project, securitygroups_user, securitygroups_membership, securitygroups_securitygroup,
    securitygroups_virtualmachine, securitygroups_rule, securitygroups_supportcase;
"""
"""60,000 rules, 30,000 VMs, 6,000 groups, 20,000 cases, 5,000 visits, 4,000 people and projects, and what the planner knows of them."""


@pytest.fixture
def many(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(MANY)


def test_what_the_desk_asks_is_answered_by_indexes(many: None) -> None:
    asked = (
        "10.0.12.7", "10.0.12.0/24", "2001:db8::7", "2001:db8::/120", "0.0.0.0/0", "node-17", "group 17", "person17",
        "person17@firm.example", "firm-17", "sg-000000000f", "vm-000000000f", "case-000000000f", "T-17",
    )  # fmt: skip
    plans = {}
    with connection.cursor() as cursor:
        for text in asked:
            with CaptureQueriesContext(connection) as queries:
                search(text)
            for query in queries:
                cursor.execute(f"EXPLAIN {query['sql']}")
                plans[text, query["sql"]] = "\n".join(line for (line,) in cursor.fetchall())

    assert len(plans) > 20
    for (text, sql), plan in plans.items():
        # Groups and projects are what found rules are joined with, which may be done by a hash of them.
        joined = {"project", "securitygroup"} if 'FROM "securitygroups_rule"' in sql else {"project"}
        assert set(re.findall(r"Seq Scan on securitygroups_(\w+)", plan)) <= joined, (text, plan)
        if "rule_by_source" in plan:
            assert "rule_by_destination" in plan
    found = " ".join(plans.values())
    for index in ("machine_by_ipv4", "machine_by_ipv6", "machine_lower_name", "group_lower_name", "user_email"):
        assert f"Index Scan using {index}" in found or f"Bitmap Index Scan on {index}" in found, index
    assert "rule_by_source" in found


def test_the_cases_of_all_projects_are_found_and_sorted_by_indexes(many: None) -> None:
    person = User.objects.get(username="person1")
    wanted = [
        *(Wanted(state=state, sort=sort) for state in ("open", "answered") for sort in SORTS),
        *(Wanted(state="open", mine=person), Wanted(state="", sort="newest"), Wanted(state="", sort="oldest")),
        *(Wanted(state=state, text=text) for state in ("", "open") for text in ("T-17", "firm-17", "case-00000000f")),
    ]
    plans = {}
    with connection.cursor() as cursor:
        for one in wanted:
            with CaptureQueriesContext(connection) as queries:
                # As pages are read: the keys, and then their rows.
                keys = list(cases_of_all(one).values_list("pk", flat=True)[:50])
                list(cases_of_all(one).filter(pk__in=keys))
            for query in queries:
                cursor.execute(f"EXPLAIN {query['sql']}")
                plans[one, query["sql"]] = "\n".join(line for (line,) in cursor.fetchall())

    assert len(plans) >= len(wanted)
    for (one, _), plan in plans.items():
        assert set(re.findall(r"Seq Scan on securitygroups_(\w+)", plan)) <= {"project"}, (one, plan)
