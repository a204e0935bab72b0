"""Opens every page of the panel and list of the admin on the database of `large.py`: `python -m tests.benchmarks.walk`.

Prints what each costs in processor time, of the web process and of the database's together, the dearest in words, those
that take a turn by themselves, and each large table that is read whole. Each page is opened a few times, and the cheapest
counts. Needs the embedded server, or one of DATABASE_URL on this machine: a process's time is read from /proc.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks import large

if TYPE_CHECKING:
    from tests.at_size import Visit

AIM = 60.0  # ms, of a page that takes no turn
LARGE = 10_000
"""Rows from which on a table is large here. Smaller ones are read at once to be joined, and rightly so."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", default=large.NAME)
    parser.add_argument("--only", default="", help="addresses that have this in them")
    parser.add_argument("--times", type=int, default=3, help="so often each is opened")
    parser.add_argument("--all", action="store_true", help="print every page, and not only those above the aim")
    asked = parser.parse_args()
    large.connect(asked.database)
    walk(asked.only, asked.times, everything=asked.all)


def walk(only: str, times: int, *, everything: bool) -> None:
    from django.conf import settings
    from django.db import connection
    from django.test.utils import setup_test_environment

    from karenpanel import database
    from tests import at_size

    if database.is_embedded(settings.DATABASES["default"]):
        database.start()
    setup_test_environment(debug=False)
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    with connection.cursor() as cursor:
        # Helpers of the database are processes of their own, whose time would not be seen.
        cursor.execute("SET max_parallel_workers_per_gather = 0")
        cursor.execute("SELECT pg_backend_pid()")
        backend = Path(f"/proc/{cursor.fetchone()[0]}/schedstat")
    browsers, tables = at_size.cast(), at_size.large_tables(LARGE)
    visits: list[tuple[float, float, Visit]] = []
    for who, address in at_size.pages(browsers):
        if only not in address:
            continue
        costs = []
        for _ in range(times):
            ours, theirs = time.process_time(), _milliseconds(backend)
            visit = at_size.opened(browsers, who, address)
            costs.append((1000 * (time.process_time() - ours), _milliseconds(backend) - theirs))
        at_size.read_whole(visit, tables)
        visits.append((*min(costs, key=sum), visit))
        if everything:
            _print(*visits[-1])
    _report(visits)
    connection.close()


def _milliseconds(process: Path) -> float:
    """Of processor time that it has had."""
    return int(process.read_text().split()[0]) / 1e6


def _report(visits: list[tuple[float, float, "Visit"]]) -> None:
    by_cost = sorted(visits, key=lambda each: -(each[0] + each[1]))
    common, dear = [each for each in by_cost if not each[2].dear], [each for each in by_cost if each[2].dear]
    slow = [each for each in common if each[0] + each[1] > AIM]
    sys.stdout.write(f"\n{len(common)} pages; above {AIM:.0f} ms: {len(slow)}. Web and database, in ms; queries:\n")
    for each in common[: max(10, len(slow))]:
        _print(*each)
    sys.stdout.write(f"\nWith a turn: {len(dear)} pages.\n")
    for each in dear:
        _print(*each)
    scans = sorted({f"{visit.who} {visit.address}: {scan[:200]}" for _, _, visit in visits for scan in visit.scans})
    sys.stdout.write(f"\nRead whole: {len(scans)}\n" + "".join(f"{scan}\n" for scan in scans))


def _print(ours: float, theirs: float, visit: "Visit") -> None:
    line = f"{ours:8.1f} {theirs:8.1f} {len(visit.queries):4}  {visit.status} {visit.who:9} {visit.address}"
    sys.stdout.write(f"{line}{'  !' if visit.scans else ''}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
