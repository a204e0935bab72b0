"""What commits cost and what their records weigh. Prints tables.

    .venv/bin/python tests/weigh_commits.py commits      # processor time of commits on a list of 1,000 rules
    .venv/bin/python tests/weigh_commits.py revisions    # the table of revisions after 10,000 of them
    .venv/bin/python tests/weigh_commits.py indexes      # indexes of the panel's tables that begin as another one does

Like tests/weigh.py it makes a database of its own, and runs in another commit's checkout too. Times are of processors:
this process's and its database connection's.
"""

import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

RULES, RUNS, REVISIONS = 1_000, 5, 10_000
EDITS = ("insert",) * 3 + ("change",) * 3 + ("remove",) * 3 + ("move",) * 2 + ("switch",) * 2
"""What people do to a list: one rule at a time. Now and then many at once, see `edited`."""


def write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def database_of_its_own() -> Iterator[None]:
    from karenpanel import database
    from tests import plugin  # noqa: F401  (sets the environment)

    os.environ["DJANGO_SETTINGS_MODULE"] = "karenpanel.settings"
    import django
    from django.conf import settings

    settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = f"test_{os.getpid()}"
    database.start()
    django.setup()
    from django.db import connection

    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
        database.leave()


def query(statement: str, *values: Any) -> list[Any]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def of_the_server() -> float:
    """Milliseconds that the connection's process has worked."""
    [(pid,)] = query("SELECT pg_backend_pid()")
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def rules(number: int = RULES) -> list[Any]:
    from tests.factories import rule
    from tests.weigh import SERVICES, many

    return [rule(text, SERVICES[n % 5][1]) for n, text in enumerate(many(number))]


def group_of(number: int) -> Any:
    from tests.factories import make_group, make_project

    return make_group(make_project(None), rules=rules(number))


def commit(group: Any, new: Any) -> None:
    from securitygroups import operations

    operations.commit_rules(group=group, rules=new, base=group.revision, by=operations.By())


def now(group: Any) -> Any:
    from securitygroups.effective import rules_of_group

    return rules_of_group(group)


DEEDS: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "add one at the top": (RULES - 1, lambda old: (rules(1)[0], *old)),
    "edit one": (RULES, lambda old: (*old[:500], replace(old[500], description="edited"), *old[501:])),
    "move the last to the top": (RULES, lambda old: (old[-1], *old[:-1])),
    "turn the list round": (RULES, lambda old: old[::-1]),
    "switch all": (RULES, lambda old: tuple(replace(one, enabled=not one.enabled) for one in old)),
    "new source for all": (RULES, lambda old: tuple(replace(one, source=None, destination=None) for one in old)),
    "delete all": (RULES, lambda old: ()),
    "import into an empty group": (0, lambda old: tuple(rules())),
    "import over 1,000 others": (RULES, lambda old: tuple(rules())),
}


def commits() -> None:
    write("| 1,000 rules | this process, ms | the server, ms |\n|---|--:|--:|")
    for name, (size, deed) in DEEDS.items():
        here, there = [], 0.0
        for _ in range(RUNS):
            group = group_of(size)
            new = deed(now(group))
            begun, served = time.process_time(), of_the_server()
            commit(group, new)
            here.append((time.process_time() - begun) * 1000)
            there += of_the_server() - served
        write(f"| {name} | {statistics.median(here):.0f} | {there / RUNS:.0f} |")


def edited(old: Any, turn: int) -> Any:
    """One rule is edited; at every 100th turn a tenth of the list, at every 1,000th all of it."""
    from securitygroups.firewall import lists

    if turn % 1000 == 999:
        return tuple(replace(one, enabled=not one.enabled) for one in old)
    if turn % 100 == 99:
        return lists.switch(old, random.sample(range(1, len(old) + 1), len(old) // 10), enabled=turn % 200 == 99)
    place, other = (random.randint(1, len(old)) for _ in range(2))
    do, new = random.choice(EDITS), random.choice(SPARE)
    if do == "insert" and len(old) < RULES:
        return lists.insert(old, place, replace(new, description=f"turn {turn}"))
    if do == "remove":
        return lists.remove(old, [place])
    if do == "move":
        return lists.move(old, [place], other)
    if do == "switch":
        return lists.switch(old, [place], enabled=not old[place - 1].enabled)
    return lists.change(old, place, replace(new, description=f"turn {turn}"))


SPARE: list[Any] = []


def revisions() -> None:
    from securitygroups.models import GroupRevision, SecurityGroup, new_rule_id
    from securitygroups.operations.rules import list_columns

    SPARE.extend(rules())
    group = group_of(RULES)
    old, whole_in, made = now(group), 1, []
    for number in range(2, REVISIONS + 2):
        new = tuple(replace(one, uid=one.uid or new_rule_id()) for one in edited(old, number))
        columns = list_columns(number, old, new, whole_in)
        said = {"actor_name": "alice", "summary": "Changed rule 500."}
        made.append(GroupRevision(group=group, number=number, **said, **columns))
        old, whole_in = new, columns["whole_in"]
        if len(made) == 1000:
            GroupRevision.objects.bulk_create(made)
            made = []
    SecurityGroup.objects.update(revision=REVISIONS + 1)
    group.refresh_from_db()
    [(number, whole, heap, indexes)] = query(
        "SELECT count(*), pg_total_relation_size(oid), pg_relation_size(oid), pg_indexes_size(oid)"
        " FROM pg_class CROSS JOIN securitygroups_grouprevision WHERE relname = 'securitygroups_grouprevision' GROUP BY oid"
    )
    write(f"{number:,} revisions: {whole / 2**20:.1f} MiB; rows {heap / 2**20:.1f}, indexes {indexes / 2**20:.1f}")
    from securitygroups.effective import rules_at

    times = []
    for number in random.sample(range(1, group.revision + 1), 50):
        begun = time.process_time()
        rules_at(group, number)
        times.append((time.process_time() - begun) * 1000)
    write(f"a revision is read in {statistics.median(times):.1f} ms, at most {max(times):.1f}")
    served = of_the_server()
    for number in random.sample(range(1, group.revision + 1), 20):
        query("SELECT securitygroups_rules_at(%s, %s)", group.pk, number)
    write(f"and by SQL in {(of_the_server() - served) / 20:.0f} ms on the average")


def indexes() -> None:
    for row in query(
        "SELECT a.indrelid::regclass, a.indexrelid::regclass, b.indexrelid::regclass FROM pg_index a JOIN pg_index b"
        " ON a.indrelid = b.indrelid AND a.indexrelid <> b.indexrelid AND NOT a.indisunique"
        " AND a.indpred IS NULL AND b.indpred IS NULL AND a.indexprs IS NULL AND b.indexprs IS NULL"
        " AND b.indkey::text || ' ' LIKE a.indkey::text || ' %%'"
        " AND b.indclass::text || ' ' LIKE a.indclass::text || ' %%' ORDER BY 1, 2"
    ):
        write("{}: {} begins as {}".format(*row))


if __name__ == "__main__":
    with database_of_its_own():
        {"commits": commits, "revisions": revisions, "indexes": indexes}[sys.argv[1]]()
