"""Fills an empty database as a large installation has it, by INSERT … SELECT: `python -m tests.benchmarks.large`.

With --rules 1000000 there are 100,000 groups, 200,000 VMs, 2,000,000 events and 2,000 projects beside them; everything else
goes with the number of rules. A few customers have much and most have little: the first project has about a twentieth of
all. The same number gives the same rows. What a revision or a case says is left out; that it is there is what lists read.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from karenpanel import database

NAME = "karenpanel_large"
"""The database on the embedded server, where DATABASE_URL names none."""
SUPERUSER, DESK, OWNER = "root", "desk", "person11"
"""Who may do everything, who looks in with a reason, and an owner of the largest project, whose slug is project-1, and of
the one whose VMs are alike."""
FLEET = "fleet"
"""The slug of a project as large as the panel is made for, whose many VMs have the same few lists."""

PACKET = '{"direction": "in", "protocol": "tcp", "source": "203.0.113.9", "destination": "10.0.0.5", "port": 22}'
RULE = (
    '{"action": "accept", "direction": "in", "protocol": "tcp", "source": null, "destination": null, "port_start": 22, '
    '"port_end": 22, "description": "Office", "enabled": true}'
)
WORDS = (
    "ARRAY['web','db','cache','queue','mail','build','vpn','office','api','test','edge','log','shop','night','eu','us']"
)
SKEWED = "1 + floor({projects} * power(random(), 2.5))::int"
# Multiplied by an odd number each has another ID, and they look as if they were drawn.
PUBLIC = "lpad(to_hex((n::bigint * 668265263 + 40503) % 1099511627776), 10, '0')"
NAMED = f"({WORDS})[1 + (n * 7919) % 16] || '-' || n"
LONG_AGO = "now() - interval '730 days' * ({most} - n) / {most}"

PEOPLE = """
INSERT INTO securitygroups_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
    date_joined)
SELECT n, '!', n = 1, CASE n WHEN 1 THEN 'root' WHEN 2 THEN 'desk' ELSE 'person' || n END,
    initcap(({words})[1 + n % 16]), initcap(({words})[1 + n % 13]) || n % 997, 'person' || n || '@example.com',
    n <= 10, n % 50 <> 49, now()
FROM generate_series(1, 10 + {people}) n;

INSERT INTO securitygroups_user_user_permissions (user_id, permission_id)
SELECT n, p.id FROM generate_series(2, 10) n, auth_permission p WHERE p.codename = 'support';

INSERT INTO securitygroups_project (id, name, slug, created_at, max_groups, max_machines)
SELECT n, initcap(({words})[1 + (n * 31) % 16]) || ' ' || n, 'project-' || n, {ago}, 100000, 100000
FROM generate_series(1, {projects}) n;

INSERT INTO securitygroups_membership (project_id, user_id, role, created_at)
SELECT n, 11 + (5 * (n - 1) + j) % {people}, (ARRAY['owner','editor','editor','viewer','viewer'])[1 + j], {ago}
FROM generate_series(1, {projects}) n, generate_series(0, 4) j;

INSERT INTO securitygroups_membership (project_id, user_id, role, created_at)
SELECT 1, 16 + n, 'viewer', now() FROM generate_series(0, LEAST({people} - 6, 199)) n;
"""
GROUPS = """
INSERT INTO securitygroups_securitygroup (id, project_id, public_id, name, description, revision, created_at, changed_at,
    deleted_at)
SELECT n, {skewed}, 'sg-' || {public}, {named}, ({words})[1 + n % 11] || ' servers', 1 + n % 4, {ago}, {ago},
    CASE WHEN n % 33 = 0 THEN now() END
FROM generate_series(1, {groups}) n;

INSERT INTO securitygroups_virtualmachine (id, project_id, public_id, name, description, ipv4, ipv6, tap, tags, revision,
    created_at, changed_at, deleted_at)
SELECT n, {skewed}, 'vm-' || {public}, {named}, '', '10.0.0.0'::inet + n, '2001:db8::'::inet + n, '',
    CASE WHEN n % 3 > 0 THEN ARRAY[({words})[1 + n % 16], 'env=' || ({words})[1 + n % 5], 'rack=' || n % 1500] ELSE '{{}}' END,
    1 + n % 2, {ago}, CASE WHEN n % 4 = 0 THEN {ago} + interval '1 hour' END, CASE WHEN n % 37 = 0 THEN now() END
FROM generate_series(1, {machines}) n;

CREATE TEMPORARY TABLE live_group AS
SELECT id, project_id, row_number() OVER (PARTITION BY project_id ORDER BY public_id) - 1 AS k,
    count(*) OVER (PARTITION BY project_id) AS many
FROM securitygroups_securitygroup WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX ON live_group (project_id, k);
ANALYZE live_group;

INSERT INTO securitygroups_attachment (machine_id, group_id, position)
SELECT vm.id, g.id, j + 1
FROM (SELECT id, project_id, floor(random() * 1000000)::int AS start, floor(random() * 5)::int AS wanted
    FROM securitygroups_virtualmachine WHERE deleted_at IS NULL) vm
JOIN (SELECT project_id, max(many) AS many FROM live_group GROUP BY project_id) has USING (project_id)
CROSS JOIN LATERAL generate_series(0, LEAST(vm.wanted, has.many) - 1) j
JOIN live_group g ON g.project_id = vm.project_id AND g.k = (vm.start + j) % has.many;
"""
# Of a thousand groups one has a thousand rules, as many as it may.
RULES = """
INSERT INTO securitygroups_rule (group_id, position, uid, action, direction, protocol, source, port_start, port_end,
    description, enabled, added_in, changed_in)
SELECT group_id, position, lpad(to_hex(position), 12, '0'), CASE WHEN random() < 0.15 THEN 'drop' ELSE 'accept' END,
    CASE WHEN random() < 0.2 THEN 'out' ELSE 'in' END, protocol,
    CASE WHEN protocol = 'all' OR r > 0.85 THEN NULL WHEN r > 0.7 THEN '0.0.0.0/0' WHEN r > 0.55 THEN '10.0.0.0/8'
        ELSE set_masklen(('0.0.0.0'::inet + (random() * 3700000000)::bigint), 16 + (random() * 16)::int)::cidr END,
    port, port, ({words})[1 + position % 16] || ' ' || position, random() > 0.03, 1, 1
FROM (
    SELECT *, CASE WHEN protocol IN ('tcp', 'udp', 'sctp') THEN 1 + (random() * 9000)::int END AS port FROM (
        SELECT g AS group_id, position, random() AS r,
            (ARRAY['tcp','tcp','tcp','tcp','tcp','udp','udp','ip','all','sctp'])[1 + floor(10 * random())::int] AS protocol
        FROM generate_series(1, {groups}) g
        CROSS JOIN LATERAL generate_series(1, CASE WHEN g % 1000 = 500 THEN 1000 ELSE 1 + (g * 7) % 17 END) position
    ) drawn
) ported;
"""
EVENTS = """
INSERT INTO securitygroups_event (project_id, at, actor_id, actor_name, by_staff, verb, group_id, machine_id, summary, detail)
SELECT e.project_id, at, actor, CASE WHEN looks THEN 'desk' ELSE 'person' || actor END, looks, verb, g.id, NULL,
    'What was done to it, number ' || n, '{{}}'
FROM (
    SELECT n, project_id, {ago} AS at, looks, random() AS which,
        CASE WHEN looks THEN 2 ELSE 11 + (5 * (project_id - 1) + n % 5) % {people} END AS actor,
        CASE WHEN looks THEN 'support.look' ELSE (ARRAY['rules.changed','rules.changed','rules.changed','machine.groups',
            'machine.groups','machine.created','machine.changed','group.created','group.changed','member.added',
            'case.opened','group.deleted'])[1 + (n * 13) % 12] END AS verb
    FROM (SELECT n, {skewed} AS project_id, n % 20 = 0 AS looks FROM generate_series(1, {events}) n) drawn
) e
LEFT JOIN (SELECT project_id, max(many) AS many FROM live_group GROUP BY project_id) has
    ON has.project_id = e.project_id AND e.verb ~ '^(rules|group)'
LEFT JOIN live_group g ON g.project_id = e.project_id AND g.k = floor(which * has.many)::int
ORDER BY n;

INSERT INTO securitygroups_accountevent (at, verb, user_id, user_name, actor_name, address, agent, detail)
SELECT {ago}, (ARRAY['signed.in','signed.in','signed.in','signed.out','session.ended','signed.failed','limited',
        'password.changed','support.searched'])[1 + n % 9],
    3 + n % (8 + {people}), 'person' || 3 + n % (8 + {people}), '', '198.51.0.0'::inet + n % 60000, 'Browser', '{{}}'
FROM generate_series(1, {rules} / 2) n;
"""
RECORDS = """
INSERT INTO securitygroups_supportvisit (project_id, staff_id, reason, ticket, at, until)
SELECT {skewed}, 2 + n % 9, 'The customer asked', 'T-' || n, {ago}, {ago} FROM generate_series(1, {rules} / 25) n;

INSERT INTO securitygroups_supportcase (id, project_id, public_id, group_id, packet, rules, verdict, ticket, opened_by_id, at)
SELECT n, g.project_id, 'case-' || {public}, g.id, '{packet}', '[]', 'drop', 'T-' || n, 2 + n % 9,
    now() - interval '730 days' * ({cases} - n) / {cases}
FROM generate_series(1, {cases}) n JOIN securitygroups_securitygroup g ON g.id = 1 + (n * 11) % {groups};

INSERT INTO securitygroups_casenote (case_id, author_id, author_name, by_staff, text, at)
SELECT id, opened_by_id, 'desk', true, 'Looked at it', at FROM securitygroups_supportcase;

INSERT INTO securitygroups_casepacket (case_id, group_id, packet, verdict, added_by_id, at)
SELECT id, group_id, packet, verdict, opened_by_id, at FROM securitygroups_supportcase WHERE id % 4 = 0;

INSERT INTO securitygroups_casestanding (case_id, project_id, state, assignee_id, asked_at, answered_at)
SELECT id, project_id, (ARRAY['open','open','answered','closed','closed'])[1 + id % 5],
    CASE WHEN id % 3 > 0 THEN 2 + id % 9 END, at, CASE WHEN id % 5 > 1 THEN at + interval '1 hour' END
FROM securitygroups_supportcase;

INSERT INTO securitygroups_casestep (case_id, kind, author_id, author_name, by_staff, text, at)
SELECT case_id, CASE state WHEN 'closed' THEN 'closed' ELSE 'taken' END, COALESCE(assignee_id, 2), 'desk', true, '', asked_at
FROM securitygroups_casestanding WHERE assignee_id IS NOT NULL OR state = 'closed';

INSERT INTO securitygroups_savedview (project_id, owner_id, kind, name, query, created_at)
SELECT n, CASE WHEN j % 2 = 0 THEN 11 END, (ARRAY['machines','groups'])[1 + j % 2], 'View ' || j, 'q=web', now()
FROM generate_series(1, {projects} + 1) n, generate_series(1, 10) j;

INSERT INTO securitygroups_grouptemplate (project_id, name, description, rules, created_at)
SELECT n, 'Template ' || j, '', '[]', now() FROM generate_series(1, {projects}) n, generate_series(1, 3) j;

INSERT INTO securitygroups_invitation (project_id, email, role, digest, by_id, by_name, at, until)
SELECT 1 + n % {projects}, 'new' || n || '@example.com', 'viewer', lpad(n::text, 64, '0'), 11, 'person11', now(),
    now() + interval '7 days'
FROM generate_series(1, {projects}) n;

INSERT INTO django_admin_log (action_time, user_id, content_type_id, object_id, object_repr, action_flag, change_message)
SELECT {ago}, 1 + n % 2, (SELECT id FROM django_content_type WHERE model = 'securitygroup'), 1 + n % {groups}, 'web', 2, '[]'
FROM generate_series(1, {rules} / 5) n;
"""
# As large as a project may be, with few lists: as fleets are that a program makes.
ALIKE = """
INSERT INTO securitygroups_project (id, name, slug, created_at, max_groups, max_machines)
VALUES ({projects} + 1, 'Fleet', '{fleet}', now() - interval '90 days', 100000, 100000);

INSERT INTO securitygroups_membership (project_id, user_id, role, created_at)
VALUES ({projects} + 1, 11, 'owner', now() - interval '90 days');

INSERT INTO securitygroups_securitygroup (id, project_id, public_id, name, description, revision, created_at, changed_at)
SELECT n, {projects} + 1, 'sg-' || {public}, {named}, 'Made by a program', 2, now() - interval '80 days', now()
FROM generate_series({groups} + 1, {groups} + {rules} / 1000) n;

INSERT INTO securitygroups_rule (group_id, position, uid, action, direction, protocol, source, port_start, port_end,
    description, enabled, added_in, changed_in)
SELECT n, j, lpad(to_hex(j), 12, '0'), CASE WHEN j % 11 = 7 THEN 'drop' ELSE 'accept' END, 'in',
    CASE WHEN j % 5 = 4 THEN 'udp' ELSE 'tcp' END,
    CASE WHEN (n + j) % 9 = 0 THEN NULL
        ELSE set_masklen('198.51.0.0'::inet + (n * 7919 + j * 104729) % 65536, 24 + (n + j) % 9)::cidr END,
    20 + (n * 31 + j * 17) % 9000, 20 + (n * 31 + j * 17) % 9000 + j % 3, 'Rule ' || j, true, 1, 1
FROM generate_series({groups} + 1, {groups} + {rules} / 1000) n, generate_series(1, 30) j;

INSERT INTO securitygroups_virtualmachine (id, project_id, public_id, name, description, ipv4, tap, tags, revision, created_at)
SELECT n, {projects} + 1, 'vm-' || {public}, {named}, '', '10.128.0.0'::inet + n, '',
    ARRAY[({words})[1 + n % 16], 'rack=' || n % 400], 1, now() - interval '80 days' + interval '70 days' * (n % 100) / 100
FROM generate_series({machines} + 1, {machines} + {rules} / 100) n;

INSERT INTO securitygroups_attachment (machine_id, group_id, position)
SELECT vm.id, {groups} + 1 + (vm.id % 1000 * 37 + j * 41) % GREATEST({rules} / 5000, 5), j + 1
FROM securitygroups_virtualmachine vm, generate_series(0, 4) j WHERE vm.project_id = {projects} + 1;
"""
# What was done lately counts for the trend of the two projects that are looked at most: there a revision says what it says.
LISTS = """
ANALYZE securitygroups_rule, securitygroups_attachment, securitygroups_securitygroup;

INSERT INTO securitygroups_grouprevision (group_id, number, at, actor_id, actor_name, by_staff, summary, reason, rules)
SELECT g.id, n, CASE WHEN n = g.revision THEN g.changed_at ELSE g.created_at END, 11 + g.id % 5, 'person' || 11 + g.id % 5,
    false, 'Rules changed', '', CASE WHEN g.project_id IN (1, {projects} + 1) THEN (
        SELECT COALESCE(jsonb_agg(jsonb_build_object('action', action, 'direction', direction, 'protocol', protocol,
            'source', source, 'destination', destination, 'port_start', port_start, 'port_end', port_end,
            'description', description, 'enabled', enabled, 'uid', uid) ORDER BY position), '[]')
        FROM securitygroups_rule r WHERE r.group_id = g.id AND (n = g.revision OR r.position > 1)
    ) ELSE '[]' END
FROM securitygroups_securitygroup g, generate_series(1, g.revision) n;

INSERT INTO securitygroups_machinerevision (machine_id, project_id, number, at, actor_name, by_staff, summary, reason, groups)
SELECT vm.id, vm.project_id, n, vm.created_at, 'person11', false, 'Groups changed', '',
    CASE WHEN vm.project_id IN (1, {projects} + 1) THEN (
        SELECT COALESCE(jsonb_agg(jsonb_build_object('id', g.public_id, 'name', g.name) ORDER BY a.position), '[]')
        FROM securitygroups_attachment a JOIN securitygroups_securitygroup g ON g.id = a.group_id WHERE a.machine_id = vm.id
    ) ELSE '[]' END
FROM securitygroups_virtualmachine vm, generate_series(1, vm.revision) n;
"""
REVIEWS = """
INSERT INTO securitygroups_review (id, project_id, started_at, started_by_id, started_name)
SELECT n, n, now(), 11, 'person11' FROM generate_series(1, {projects} + 1) n;

INSERT INTO securitygroups_decidedrule (review_id, group_id, uid, verdict, remark, revision, version, by_id, by_name, at)
SELECT v.id, r.group_id, r.uid, (ARRAY['keep','keep','keep','off','remove'])[1 + r.id % 5], '', 9, 1, 11, 'person11', now()
FROM securitygroups_review v JOIN securitygroups_securitygroup g ON g.project_id = v.project_id AND g.deleted_at IS NULL
JOIN securitygroups_rule r ON r.group_id = g.id WHERE g.id % 5 = 0 AND r.position < 12;

INSERT INTO securitygroups_signedreview (id, project_id, number, started_at, at, actor_id, actor_name, signature, remark,
    rules, decided, changed)
SELECT 4 * (n - 1) + j, n, j, now() - interval '90 days' * (5 - j), now() - interval '89 days' * (5 - j), 11, 'person11',
    'Person Eleven', '', 0, 0, 0
FROM generate_series(1, {projects} + 1) n, generate_series(1, 4) j;

INSERT INTO securitygroups_reviewedgroup (review_id, group_id, name, found, revision, rules, decided)
SELECT s.id, g.id, g.name, 1, 1, 0, 0
FROM securitygroups_signedreview s JOIN securitygroups_securitygroup g USING (project_id) WHERE s.number = 4;

INSERT INTO securitygroups_reviewedrule (review_id, group_id, uid, place, rule, verdict, remark, revision, by_name, at)
SELECT s.id, r.group_id, r.uid, r.position, '{rule}', 'keep', '', 1, 'person11', s.at
FROM securitygroups_signedreview s JOIN securitygroups_securitygroup g USING (project_id)
JOIN securitygroups_rule r ON r.group_id = g.id WHERE s.number = 4 AND r.position % 2 = 0;
"""
STEPS = {"people": PEOPLE, "groups and VMs": GROUPS, "rules": RULES, "alike": ALIKE, "lists": LISTS, "events": EVENTS,
    "records": RECORDS, "reviews": REVIEWS}  # fmt: skip


def fill(cursor: Any, rules: int) -> Iterator[str]:
    """Insert everything, and say what is done; the tables have to be empty."""
    projects = max(20, rules // 500)
    amounts = {
        "rules": rules, "groups": rules // 10, "machines": rules // 5, "events": 2 * rules,
        "projects": projects, "people": 3 * projects, "cases": rules // 20,
    }  # fmt: skip
    most = 2 * rules
    texts = {"words": WORDS, "public": PUBLIC, "named": NAMED, "ago": LONG_AGO.format(most=most)}
    texts |= {"fleet": FLEET, "packet": PACKET, "rule": RULE}
    texts["skewed"] = SKEWED.format(**amounts)
    # Keys are looked at row by row and not all at the end, which would keep millions of them in memory.
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SELECT setseed(0.42)")
    for name, statements in STEPS.items():
        for statement in statements.format(**amounts, **texts).split(";\n"):
            if statement.strip():
                cursor.execute(statement)
        yield name
    cursor.execute("DROP TABLE live_group; SET CONSTRAINTS ALL DEFERRED")
    for table in ("user", "project", "securitygroup", "virtualmachine", "supportcase", "review", "signedreview"):
        named = f"securitygroups_{table}"
        cursor.execute(f"SELECT setval(pg_get_serial_sequence('{named}', 'id'), (SELECT max(id) FROM {named}))")


def make_database(name: str) -> None:
    """An empty database on the embedded server; one of this name goes."""
    import psycopg
    from psycopg.sql import SQL, Identifier

    database.start()
    to = database.parameters(database.settings("")) | {"dbname": "postgres"}
    with psycopg.connect(**to, autocommit=True) as direct:
        direct.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
        direct.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))


def connect(name: str) -> None:
    """Django with that database of the embedded server, or with the one of DATABASE_URL."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "karenpanel.settings")
    os.environ |= {"SECRET_KEY": "only-for-figures-" + "0123456789abcdef" * 4, "INSECURE_HTTP": "1"}
    os.environ |= {"ALLOWED_HOSTS": "localhost,testserver", "LOG_LEVEL": "ERROR"}
    database.use_for(database.Purpose.SCHEMA)
    import django
    from django.conf import settings

    if database.is_embedded(settings.DATABASES["default"]):
        settings.DATABASES["default"]["NAME"] = name
    django.setup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, default=1_000_000)
    parser.add_argument("--database", default=NAME, help="on the embedded server; made anew")
    asked = parser.parse_args()
    if not os.environ.get("DATABASE_URL"):
        make_database(asked.database)
    connect(asked.database)
    from django.core.management import call_command
    from django.db import connection, transaction

    call_command("migrate", interactive=False, verbosity=0)
    call_command("createcachetable", verbosity=0)
    since = time.monotonic()
    with transaction.atomic(), connection.cursor() as cursor:
        for done in fill(cursor, asked.rules):
            sys.stdout.write(f"{time.monotonic() - since:6.1f} s  {done}\n")
            sys.stdout.flush()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")
    connection.close()


if __name__ == "__main__":
    main()
