"""Back up, lose everything, restore, compare: `python -m tests.faults.backup` does what docs/operations.md says, and says
how long it took and how large it was.

A server with the two roles is filled, backed up by `pg_dump` and by `pg_basebackup` with archived WAL, and goes. The dump
is restored into a new server, the base backup to the moment before a mistake. Then every table is compared, and both roles
are tried. The lines are read from the document. PG_BIN takes the programs of another version of PostgreSQL.
"""

import argparse
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.postgres import Server, folder, programs
from tests.management.earlier import statements

ROOT = Path(__file__).parents[2]
OWNER, WEB, NAME = "karenpanel", "karenpanel_web", "karenpanel"
EVENTS = "securitygroups_event"
KEY = "only-for-a-trial-" + "0123456789abcdef" * 4


def lines(document: str, heading: str, kind: str = "sh") -> str:
    """The first block of this kind under a heading of a document."""
    text = (ROOT / "docs" / document).read_text("utf-8")
    part = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.MULTILINE)[1]
    found = re.search(rf"^```{kind}\n(.*?)^```", part, flags=re.MULTILINE | re.DOTALL)
    assert found, f"{document} has no {kind} under {heading}."
    return found.group(1)


def make_roles(server: Server) -> None:
    """The two roles and an empty database, as the document has them."""
    said = lines("production.md", "Two roles", "sql")
    for statement in re.sub(r"--.*", "", said).split(";"):
        if statement.strip():
            server.sql(statement)


def do(script: str, where: Path, **variables: str) -> str:
    """Run lines of the document, with the programs of the embedded server. Raises RuntimeError with what was said."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{programs()}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SECRET_KEY": KEY,
        "INSECURE_HTTP": "1",
        "ALLOWED_HOSTS": "localhost",
        "KARENPANEL": str(ROOT),
        **variables,
    }
    whole = f'python() {{ (cd "$KARENPANEL" && command python "$@"); }}\n{script}'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", whole],
        cwd=where,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{script}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def urls(server: Server) -> dict[str, str]:
    return {"DATABASE_URL": server.url(WEB, NAME), "DATABASE_OWNER_URL": server.url(OWNER, NAME)}


def whole(source: dict[str, str], where: Path) -> dict[str, str]:
    """What is in each table and how its triggers stand, by the document's own lines."""
    said = do(lines("operations.md", "Is it whole?"), where, **source).splitlines()
    rows = dict(line.split("|", 1) for line in said if line.count("|") == 2)
    words = (re.sub(r"\x1b\[\d+m", "", line).split() for line in said)
    return rows | {line[-1]: " ".join(line[:-1]) for line in words if len(line) == 3}


def refusals(server: Server) -> list[str]:
    """What the record answers to the two roles: to the web, and to the owner."""
    found = []
    for role in (WEB, OWNER):
        try:
            server.sql(f"DELETE FROM {EVENTS}", NAME, role)
        except RuntimeError as error:
            found.append(str(error).split("ERROR:  ")[1].splitlines()[0])
        else:
            found.append("deleted")
    return found


@contextmanager
def measured(what: str) -> Iterator[None]:
    """Says how long it took, and how much processor time the programs that were started needed."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    yield
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    say(f"{time.monotonic() - began:8.1f} s  {used:6.1f} s of it ours  {what}")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def size(path: Path) -> str:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return f"{sum(file.stat().st_size for file in files) / 2**20:,.1f} MiB"


def make_tables(server: Server, rows: int) -> None:
    """Tables, and so many rows in those that grow."""
    do("python manage.py migrate -v0 && python manage.py createcachetable", ROOT, **urls(server))
    for statement in statements(rows):
        server.sql(statement, NAME, OWNER)
    server.sql("VACUUM ANALYZE", NAME)


def by_dump(source: dict[str, str], where: Path) -> list[str]:
    """A dump, restored into another server; returns what differs."""
    with measured("pg_dump"):
        do(lines("operations.md", "Back up"), where, **source)
    say(f"{size(where / 'panel.dump'):>12}  the dump")
    before = whole(source, where)
    with Server(where / "new").make() as new:
        make_roles(new)
        with measured("restore, with migrate and the checks"):
            do(lines("operations.md", "Restore"), where, **urls(new))
        return differences(before, whole(urls(new), where), refusals(new))


def to_a_moment(server: Server, where: Path) -> list[str]:
    """A base backup, restored to the moment before a mistake; returns what differs."""
    with measured("pg_basebackup"):
        server.run("pg_basebackup", "-D", where / "base", "-c", "fast", "-d", server.url("postgres", "postgres"))
    say(f"{size(where / 'base'):>12}  the base backup")
    server.sql("UPDATE securitygroups_project SET name = name || ' (after the backup)'", NAME, OWNER)
    before = whole(urls(server), where)
    moment = server.sql("SELECT clock_timestamp()")
    server.sql("UPDATE securitygroups_project SET name = 'a mistake'; SELECT pg_switch_wal()", NAME, "postgres")
    again = Server(
        where / "base",
        restore_command=f"cp {where}/wal/%f %p",
        recovery_target_time=moment,
        recovery_target_action="promote",
    )
    again.touch("recovery.signal")
    with measured("recovery to the moment"), again:
        while again.sql("SELECT pg_is_in_recovery()") == "t":
            time.sleep(0.1)
        return differences(before, whole(urls(again), where), refusals(again))


def differences(before: dict[str, str], after: dict[str, str], refused: list[str]) -> list[str]:
    """Tables that are not the same, and whom the record does not refuse."""
    wrong = [f"{table}: {before.get(table)} and {after.get(table)}" for table in sorted(before.keys() | after.keys())
             if before.get(table) != after.get(table)]  # fmt: skip
    expected = [f"permission denied for table {EVENTS}", f"pgtrigger: Cannot update or delete rows from {EVENTS} table"]
    counts = [int(said.split("|")[0]) for said in after.values() if "|" in said]
    triggers = [said for said in after.values() if "|" not in said]
    wrong += [said for said in set(triggers) if said != "INSTALLED ENABLED"]
    say(f"{len(counts)} tables with {sum(counts):,} rows and {len(triggers)} triggers compared: {len(wrong)} differ")
    return wrong + [said for said, wanted in zip(refused, expected, strict=True) if said != wanted]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000, help="in each table that grows")
    asked = parser.parse_args()
    with folder() as where:
        settings = {
            "wal_level": "replica",
            "archive_mode": "on",
            "archive_command": f"test ! -f {where}/wal/%f && cp %p {where}/wal/%f",
        }
        server = Server(where / "old", **settings).make()
        server.make_folder(where / "wal")
        with server:
            make_roles(server)
            with measured(f"filling it with {asked.rows:,} rows in each table that grows"):
                make_tables(server, asked.rows)
            say(f"{int(server.sql(f'SELECT pg_database_size({NAME!r})')) / 2**20:10,.1f} MiB  the database")
            wrong = by_dump(urls(server), where) + to_a_moment(server, where)
    for line in wrong:
        say(f"WRONG: {line}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
