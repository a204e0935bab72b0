"""Every list of the panel and of the admin on a large installation, and what the database makes of the queries of each.

`tests/benchmarks/large.py` makes the installation. A query must not read a whole large table, nor the whole index of one:
what such a page costs grows with the customers that an installation has.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, product
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db import connection
from django.db.models import Count
from django.test import Client
from django.urls import reverse

from securitygroups import operations
from securitygroups.answers import desk, group_filter, machine_filter, review
from securitygroups.models import (
    Event,
    Project,
    SecurityGroup,
    SupportCase,
    User,
    VirtualMachine,
)
from tests.admin.pages import fresh
from tests.benchmarks.large import DESK, FLEET, OWNER, SUPERUSER

LARGE = 2_000
"""Rows from which on a table is large. Smaller ones are read at once, and rightly so."""
BLOCKING = ("Sort", "Aggregate", "Hash", "Materialize", "WindowAgg", "SetOp", "Unique", "HashAggregate")
"""Steps of a plan that take all rows of what is below them, whatever limit stands above."""
SOON = 0.2
"""The share of the rows that a query wants, below which a list that ends there has not read far."""
NOTHING = "nothing-of-this-name"


@dataclass(slots=True)
class Visit:
    """A page that somebody opened: its queries with their values, and what the database reads whole for them."""

    who: str
    address: str
    status: int = 0
    queries: list[tuple[str, Any]] = field(default_factory=list)
    scans: list[str] = field(default_factory=list)

    @property
    def dear(self) -> bool:
        """Whether it takes a turn: what such a page costs is bounded by how many are worked on, and told apart."""
        return any("pg_try_advisory_lock" in sql for sql, _ in self.queries)


def cast() -> dict[str, Client]:
    """Browsers of a customer, of support with a running visit at the largest customer's, and of the superuser."""
    desk, project = User.objects.get(username=DESK), Project.objects.get(slug="project-1")
    operations.open_visit(project=project, staff=desk, reason="At size", ticket="T-1")
    people = {"customer": OWNER, "support": DESK, "superuser": SUPERUSER}
    return {role: fresh(User.objects.get(username=name)) for role, name in people.items()}


def pages(browsers: dict[str, Client]) -> Iterator[tuple[str, str]]:
    """Who opens which address: all lists, with their searches, filters, orders and last pages."""
    for address in [*_of_project(), *_of_packets_and_rules("project-1"), *_of_packets_and_rules(FLEET), "/"]:
        yield "customer", address
    # A customer has asked for the same lists, which the same code reads: support asks for some of all kinds.
    for address in [*islice(_of_project(), 0, None, 4), *_of_desk()]:
        yield "support", address
    for address in _of_admin(browsers["superuser"]):
        yield "superuser", address


def _of_project() -> Iterator[str]:
    here = "/p/project-1/"
    groups = SecurityGroup.objects.live().filter(project__slug="project-1")
    group = groups.annotate(n=Count("attachments")).order_by("-n")[0]
    long = groups.annotate(n=Count("rules")).order_by("-n")[0]
    machine = VirtualMachine.objects.live().filter(project=group.project_id, attachments__group=group)[0]
    lists = {
        "": [""],
        "groups/": ["", group.name, group.public_id, "servers", NOTHING],
        "machines/": ["", machine.name, machine.public_id, machine.ipv4, NOTHING],
        "rules/": ["", "443", "tcp drop", "sctp off", "10.1.2.3", "10.0.0.0/8", "web", NOTHING],
    }
    for path, texts in lists.items():
        for text in texts:
            yield here + path + (f"?{urlencode({'q': text})}" if text else "")
    filters = [
        "is=alone",
        f"group={group.name}",
        f"not={group.public_id}",
        "tag=web",
        "q=10.0.",
        "q=2001:db8::/32,10.1.0.0/16",
    ]
    orders = [f"sort={sign}{by}" for by in machine_filter.SORTS for sign in ("", "-")]
    for asked in (*filters, *orders, "choices/", "choices/?tags=1", "list.csv", "list.csv?is=alone&sort=-groups"):
        yield f"{here}machines/{'' if asked.startswith(('choices', 'list')) else '?'}{asked}"
    for asked in ("is=unused", "is=lately&q=web", *(f"sort=-{by}" for by in group_filter.SORTS)):
        yield f"{here}groups/?{asked}"
    for asked in ("groups/list.csv", "rules/list.xlsx?q=443", "activity/list.csv?what=rules.changed"):
        yield here + asked
    for path in ("groups/", "machines/", "rules/", "activity/", "members/", "templates/", "cases/"):
        yield f"{here}{path}?page=999999"
    for verb in ("", *Event.Verb.values):
        yield f"{here}activity/?{urlencode({'what': verb})}"
    for who in (OWNER, "person", DESK, NOTHING):
        yield f"{here}activity/?{urlencode({'who': who})}"
        yield f"{here}activity/?{urlencode({'who': who, 'what': 'rules.changed'})}"
    for path in ("activity/", "members/", "templates/", "cases/"):
        yield here + path
    for one, parts in ((group, ("machines/", "history/")), (long, ("",)), (machine, ("", "history/"))):
        yield from (one.get_absolute_url() + part for part in parts)


def _of_packets_and_rules(slug: str) -> Iterator[str]:
    """What is asked of a project's rules and its past: find, the packet test, review, what is reached, questions."""
    here = f"/p/{slug}/"
    machine = VirtualMachine.objects.live().filter(project__slug=slug, attachments__position=3).order_by("pk")[0]
    group = SecurityGroup.objects.filter(attachments__machine=machine).order_by("pk")[0]
    lists = ("web", "add rule web", machine.name, machine.public_id, machine.ipv4, "10.0.0.0/8", "443", "T-5", NOTHING)
    line = f"{machine.ipv4}:40000 -> 10.1.2.3:443"
    yield from (f"{here}find/?{urlencode({'q': text})}" for text in ("", *lists, line))
    packet = {"test": 1, "direction": "in", "protocol": "tcp", "source": "203.0.113.9", "port": 443}
    packet["destination"] = machine.ipv4
    yield here + "test/"
    yield f"{here}test/?{urlencode(packet)}"
    yield f"{machine.get_absolute_url()}test/?{urlencode(packet)}"
    yield f"{group.get_absolute_url()}test/?{urlencode(packet)}"
    for asked in ("", "reached/", "exposure/?show=senders", "machines/new/", "groups/new/", "machines/?is=open"):
        yield here + asked
    yield f"{here}exposure/?{urlencode({'show': 'senders', 'vm': machine.name, 'protocol': 'tcp', 'port': 22})}"
    yield f"{here}exposure/?show=between&q=web"
    yield f"{here}exposure/"
    for show in review.FILTERS:
        yield f"{here}review/?{urlencode({'show': show})}"
    for asked in ("?page=999999", f"?group={group.public_id}", "sign/", "signed/", "signed/4/"):
        yield f"{here}review/{asked}"
    for one, parts in (
        (machine, ("settings/", "open/", "history/1/", "ruleset/")),
        (group, ("machines/attach/", "machines/attach/?q=web", "history/1/", "delete/", "rules/new/")),
    ):
        yield from (one.get_absolute_url() + part for part in parts)
    case = SupportCase.objects.filter(project__slug=slug).first()
    for asked in ("state=open", "q=web", "q=T-5", f"q={NOTHING}&state=closed"):
        yield f"{here}cases/?{asked}"
    if case:
        yield case.get_absolute_url()


def _texts() -> list[str]:
    """What is typed into searches."""
    group, machine = SecurityGroup.objects.live()[0], VirtualMachine.objects.live()[0]
    ids = [group.public_id, machine.public_id, SupportCase.objects.all()[0].public_id]
    names = [
        group.name,
        "web",
        "a",
        "project-1",
        "Project",
        OWNER,
        "person",
        f"{OWNER}@example.com",
        "T-5",
        "Shop Shop",
    ]
    beginnings = [ids[0][:6], ids[1][:6], "2001:db8", "10.1", "project-1 web", "person a"]
    return [*ids, *names, *beginnings, str(machine.ipv4), "2001:db8::5", "10.0.0.0/8", NOTHING]


def _of_desk() -> Iterator[str]:
    yield "/support/"
    yield f"/support/?{urlencode({'q': 'tcp 10.1.2.3 > 10.1.2.4:22'})}"
    for state, sort in product(("", *desk.State.values), desk.SORTS):
        for more in ("", "&mine=1", *(f"&q={text}" for text in ("T-5", "project-1", "case-0", "shop", NOTHING))):
            yield f"/cases/?state={state}&sort={sort}{more}"
    yield "/cases/?page=999999"
    for text in (*_texts(), "0.0.0.0/0", "::/0", "10.1.2.3/32", "192.0.2.0/24"):
        yield f"/support/?{urlencode({'q': text})}"


def _of_admin(browser: Client) -> Iterator[str]:
    yield reverse("admin:index")
    texts = _texts()
    yield from (f"{reverse('admin:find')}?{urlencode({'q': text})}" for text in texts)
    for model, panel in admin.site._registry.items():
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        address = reverse(f"admin:{name}_changelist")
        yield address
        yield from (address + query for query in _offered(browser, address))
        if panel.search_fields:
            yield from (f"{address}?{urlencode({'q': text})}" for text in texts)
        for fk in panel.autocomplete_fields:
            asked = {"app_label": model._meta.app_label, "model_name": model._meta.model_name, "field_name": fk}
            for text in ("", "web", OWNER, NOTHING):
                yield reverse("admin:autocomplete") + "?" + urlencode({**asked, "term": text})
        row = model._default_manager.order_by("pk").first()
        if row is not None:
            yield reverse(f"admin:{name}_change", args=[row.pk])
            yield reverse(f"admin:{name}_history", args=[row.pk])


def _offered(browser: Client, address: str) -> Iterator[str]:
    """The queries behind the filters, the heads of columns and the last page of a list of the admin."""
    shown = browser.get(address).context["cl"]
    for spec in shown.filter_specs:
        yield from (str(choice["query_string"]) for choice in spec.choices(shown) if not choice["selected"])
    for place, column in enumerate(shown.list_display):
        if shown.get_ordering_field(column) and (shown.sortable_by is None or column in shown.sortable_by):
            yield from (f"?o={place}", f"?o=-{place}")
    if shown.paginator.num_pages > 1:
        yield f"?p={shown.paginator.num_pages}"


def opened(browsers: dict[str, Client], who: str, address: str) -> Visit:
    """Open it, and take down what is asked of the database."""
    visit = Visit(who, address)

    def asked(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(("SELECT", "WITH")):
            visit.queries.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(asked):
        visit.status = browsers[who].get(address).status_code
    return visit


def large_tables(rows: int = LARGE) -> dict[str, float]:
    """The tables that have so many rows by now, as far as the database has looked, and how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, reltuples FROM pg_class WHERE relkind IN ('r', 'p') AND reltuples >= %s", [rows]
        )
        return dict(cursor.fetchall())


def read_whole(visit: Visit, tables: dict[str, float], *, by_index: bool = False) -> None:
    """Ask of each query how it is answered, and name the large tables that are read whole for it.

    `by_index` leaves out what is only right while tables are small, such as reading all rows to join a few: what is named
    then is what no index could answer.
    """
    for sql, params in visit.queries:
        with connection.cursor() as cursor:
            for way in ("seqscan", "hashjoin", "mergejoin"):
                cursor.execute(f"SET LOCAL enable_{way} = {'off' if by_index else 'on'}")
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
            [(plan,)] = cursor.fetchall()
        [top] = json.loads(plan) if isinstance(plan, str) else plan
        visit.scans += [f"{found} for {sql[:2000]}" for found in _scans(top["Plan"], tables)]


def _scans(node: dict[str, Any], tables: dict[str, float], limit: float = 0) -> Iterator[str]:
    kind, table = node["Node Type"], node.get("Relation Name", "")
    # Where a list ends after a few of the many rows that it wants, they are soon found.
    soon = 0 < limit < SOON * node["Plan Rows"]
    if kind == "Seq Scan" and table in tables and not soon:
        yield f"a sequential scan of {table}"
    if kind in ("Index Scan", "Index Only Scan") and table in tables and "Index Cond" not in node and not limit:
        yield f"the whole index {node['Index Name']}"
    below = 0 if kind in BLOCKING else node["Plan Rows"] if kind == "Limit" else limit
    for number, under in enumerate(node.get("Plans", ())):
        # The inner side of a join may be read whole before the first row of the outer one is there.
        yield from _scans(under, tables, 0 if number else below)
