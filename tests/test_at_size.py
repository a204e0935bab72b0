"""No list of the panel or the admin reads a whole large table, whatever is searched, chosen and ordered there."""

import pytest
from django.db import connection

from tests import at_size
from tests.benchmarks import large

RULES = 60_000


@pytest.fixture
def installation(db: None) -> None:
    """A large one in small, gone with the test."""
    with connection.cursor() as cursor:
        for _ in large.fill(cursor, RULES):
            pass
        cursor.execute("ANALYZE")


def test_every_list_is_answered_by_indexes(installation: None) -> None:
    browsers, tables = at_size.cast(), at_size.large_tables()

    visits = [at_size.opened(browsers, who, address) for who, address in at_size.pages(browsers)]
    for visit in visits:
        at_size.read_whole(visit, tables, by_index=True)

    assert {"securitygroups_rule", "securitygroups_event", "securitygroups_attachment"} < set(tables)
    # What only one thing has for its name leads there.
    good = {True: (200, 302), False: (200,)}
    odd = [visit for visit in visits if visit.status not in good["/find/" in visit.address]]
    assert {f"{visit.who} {visit.address}" for visit in odd} == set()
    assert [f"{visit.who} {visit.address}: {scan}" for visit in visits for scan in visit.scans] == []


def test_what_a_project_is_asked_reads_no_table_whole_to_put_a_few_rows_together(installation: None) -> None:
    # Larger ones than any project's share; smaller ones are rightly read at once.
    browsers, tables = at_size.cast(), at_size.large_tables(10_000)
    parts = ("/review/", "/find/?", "/cases/?")
    asked = [
        page for page in at_size.pages(browsers) if page[1].startswith("/p/") and any(one in page[1] for one in parts)
    ]

    visits = [at_size.opened(browsers, *page) for page in asked]
    for visit in visits:
        at_size.read_whole(visit, tables)

    assert {"securitygroups_grouprevision", "securitygroups_reviewedrule"} < set(tables)
    assert [f"{visit.address}: {scan}" for visit in visits for scan in visit.scans] == []
