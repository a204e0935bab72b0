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
        # Of all rows, for a sample is another one each time, and with it what the database thinks best.
        cursor.execute("SET LOCAL default_statistics_target = 300")
        cursor.execute("ANALYZE")
        # As on solid state disks. With it an index that answers is cheaper by far, whatever room others left in the files.
        cursor.execute("SET LOCAL random_page_cost = 1.1")


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

    # What a project is asked reads no table whole to put a few rows together either. Only tables larger than a project's
    # share are meant. It is one test, for what another left in the tables and took back makes reading them whole look cheap.
    whole = at_size.large_tables(10_000)
    parts = ("/review/", "/find/?", "/cases/?")
    asked = [
        visit for visit in visits if visit.address.startswith("/p/") and any(one in visit.address for one in parts)
    ]
    for visit in asked:
        at_size.read_whole(visit, whole)

    assert {"securitygroups_grouprevision", "securitygroups_reviewedrule"} < set(whole)
    assert len(asked) > 10
    assert [f"{visit.address}: {scan}" for visit in asked for scan in visit.scans] == []
