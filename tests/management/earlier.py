"""Rows of an earlier version, as the tables of 0006_plain_addresses take them. Fixed: that version changes no more."""

from collections.abc import Iterator

from django.db import connection

BEFORE = "0006_plain_addresses"
# The tables that grow with an installation, each with its rows by number `n`, from 1.
ROWS = {
    "user": "password, username, first_name, last_name, email, is_superuser, is_staff, is_active, date_joined,"
    " must_change_password | '!', 'person-' || n, '', '', n || '@example.com', false, false, true, now(), false",
    "project": "name, slug, created_at, second_factor | 'Project ' || n, 'project-' || n, now(), false",
    "membership": "project_id, user_id, role, created_at | n, n, 'owner', now()",
    "securitygroup": "public_id, name, description, revision, created_at, changed_at, project_id"
    " | 'sg-' || lpad(n::text, 12, '0'), 'group ' || n, '', 1, now(), now(), n",
    "virtualmachine": "public_id, name, description, ipv4, tap, revision, created_at, project_id"
    " | 'vm-' || lpad(n::text, 12, '0'), 'vm-' || n, '', '10.0.0.0'::inet + n, 'tap' || n, 1, now(), n",
    "rule": "group_id, position, uid, action, direction, protocol, source, port_start, port_end, description, enabled,"
    " added_in, changed_in | n, 1, 'r' || n, 'accept', 'in', 'tcp', '10.0.0.0/8', 22, 22, '', true, 1, 1",
    "attachment": "machine_id, group_id, position | n, n, 1",
    "grouprevision": "group_id, number, at, actor_id, actor_name, by_staff, summary, reason, rules"
    " | n, 1, now(), n, 'person', false, 'Created', '', '[]'",
    "machinerevision": "machine_id, project_id, number, at, actor_id, actor_name, by_staff, summary, reason, groups"
    " | n, n, 1, now(), n, 'person', false, 'Created', '', '[]'",
    "event": "project_id, group_id, at, actor_id, actor_name, by_staff, verb, summary, detail"
    " | n, n, now(), n, 'person', false, 'group.created', 'Created', '{}'",
    "accountevent": "user_id, actor_id, at, verb, user_name, actor_name, agent, detail"
    " | n, n, now(), 'signed.in', 'person', 'person', '', '{}'",
}


def statements(number: int, first: int = 1) -> Iterator[str]:
    """What puts so many rows into each of these tables, with numbers from the first on."""
    for model, said in ROWS.items():
        columns, values = said.split(" | ")
        yield (
            f"INSERT INTO securitygroups_{model} (id, {columns}) OVERRIDING SYSTEM VALUE"
            f" SELECT n, {values} FROM generate_series({first}, {first + number - 1}) n"
        )


def fill(number: int, first: int = 1) -> None:
    with connection.cursor() as cursor:
        for statement in statements(number, first):
            cursor.execute(statement)
