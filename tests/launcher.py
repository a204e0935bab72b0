"""What the tests of the embedded server have other processes do, as root or as an ordinary user.

`python -m tests.launcher DEED CHECKOUT [UID]`: give up root for the user number first, then do the deed with the server of
that checkout. What it needs is imported before, since the environment may be closed to that user. A failed assertion ends
the process with a traceback and status 1.
"""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import psycopg

from karenpanel import database
from karenpanel.database import Place
from karenpanel.embedded import server
from karenpanel.embedded.programs import add_web_role, create_data


def main() -> None:
    name, checkout, *uid = sys.argv[1:]
    if uid:
        os.setgroups([])
        os.setgid(int(uid[0]))
        os.setuid(int(uid[0]))
    # A person's umask is no excuse.
    os.umask(0)
    deeds: dict[str, Callable[[Place], None]] = {
        "nothing": lambda here: None,
        "join": join,
        "crash": crash,
        "stale": stale,
        "earlier": earlier,
        "closed": closed,
        "intrude": intrude,
    }
    deeds[name](database.place(Path(checkout), Path(checkout).parent / "state"))


def connect(here: Place, user: str = database.ROLE) -> "psycopg.Connection[tuple[int]]":
    return psycopg.connect(
        host=str(here.socket), port=5432, dbname=database.NAME, user=user, requirepeer=here.user, autocommit=True
    )


def join(here: Place) -> None:
    """Start or join, say the server's process number, and stay until standard input ends."""
    print(database.start(here), flush=True)  # noqa: T201
    sys.stdin.read()
    database.leave(here)


def crash(here: Place) -> None:
    """Five times: commit as fast as possible, kill the server, start it again; every commit that was confirmed is there."""
    pid = database.start(here)
    with connect(here) as first:
        first.execute("CREATE TABLE written (number bigint PRIMARY KEY)")
    confirmed = 0
    for _ in range(5):
        before = confirmed
        timer = threading.Timer(0.1, os.kill, [pid, signal.SIGKILL])
        with suppress(psycopg.OperationalError), connect(here) as connection:
            timer.start()
            while True:
                connection.execute("INSERT INTO written VALUES (%s)", [confirmed + 1])
                confirmed += 1
        timer.join()
        assert confirmed > before, "nothing was written, so nothing could be lost"
        assert database.status(here) == database.Status(None, used=True)
        pid = database.start(here)
        with connect(here) as again:
            row = again.execute("SELECT max(number) FROM written").fetchone()
        # One more may be there: committed, and killed before it could be confirmed.
        assert row
        assert row[0] in (confirmed, confirmed + 1)
        confirmed = row[0]
    assert database.leave(here)
    assert database.status(here) == database.Status(None, used=False)
    assert not psutil.pid_exists(pid)


def stale(here: Place) -> None:
    """Lock files that a reboot left, whose number belongs to something else of the same user by now; a half made folder."""
    owner = {} if here.programs is None else {"user": database.SERVER_USER, "group": database.SERVER_USER}
    first = database.start(here)
    assert database.start(here) == first
    assert database.leave(here)
    (here.folder / "data.new").mkdir()
    with subprocess.Popen(["sleep", "60"], **owner) as other:  # type: ignore[call-overload]
        for lock in (here.data / "postmaster.pid", here.socket / ".s.PGSQL.5432.lock"):
            lock.write_text(f"{other.pid}\n{here.data}\n1\n5432\n{here.socket}\n\n1 1\nready\n")
        assert database.status(here).pid is None
        second = database.start(here)
        assert second not in (first, other.pid)
        assert other.poll() is None, "somebody else's process was ended"
        other.kill()
    # A data folder that was removed under a running server leaves a server that nobody can stop any more but us.
    (here.data / "postmaster.pid").unlink()
    third = database.start(here)
    assert not psutil.pid_exists(second) or psutil.Process(second).status() == psutil.STATUS_ZOMBIE
    connect(here).close()
    assert third != second
    assert database.leave(here)


def earlier(here: Place) -> None:
    """The data folder of a version that had one role for all gets the second one when it is started, and keeps its rows."""
    create_data(here, server._prepare(here))
    with_one_role = partial(setattr, server, "add_web_role")
    with_one_role(lambda place, programs: None)
    database.start(here)
    with connect(here) as owner:
        owner.execute("CREATE TABLE kept AS SELECT 1 AS number")
        assert owner.execute("SELECT count(*) FROM pg_roles WHERE rolname = %s", [database.WEB_ROLE]).fetchone() == (0,)
    assert database.leave(here)

    with_one_role(add_web_role)
    for _ in range(2):
        database.start(here)
        with connect(here, database.WEB_ROLE) as web:
            assert web.execute("SELECT session_user::text").fetchone() == (database.WEB_ROLE,)  # type: ignore[comparison-overlap]
            for statement in (f"SET ROLE {database.ROLE}", "SELECT * FROM kept", "CREATE TABLE mine (id int)"):
                with suppress(psycopg.errors.InsufficientPrivilege):
                    web.execute(statement)
                    raise AssertionError(statement)
        with connect(here) as owner:
            assert owner.execute("SELECT number FROM kept").fetchone() == (1,)
            owner.execute(f"SET ROLE {database.WEB_ROLE}")
        assert database.leave(here)


def closed(here: Place) -> None:
    """Nothing that the launcher makes can be read or entered by others; then wait, so that others can try."""
    pid = database.start(here)
    print(here.socket, flush=True)  # noqa: T201
    assert len(os.fsencode(here.socket / ".s.PGSQL.5432")) < 107
    tops = [here.state, here.socket, *([here.programs, *here.programs.glob("postgresql-*")] if here.programs else [])]
    for path in [*tops, *(path for top in tops if top != here.programs for path in top.rglob("*"))]:
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue  # The server makes and removes files all the time.
        # Root's folders let the server's user pass, and its copies of the programs let it read.
        allowed = 0o711 if path.is_dir() and here.programs in (path, path.parent) else 0o700
        if here.programs and path.lstat().st_uid == 0 and not stat.S_ISLNK(mode):
            allowed |= 0o050
        assert stat.S_ISLNK(mode) or not stat.S_IMODE(mode) & ~allowed, f"{path} is {stat.filemode(mode)}"
    for role in ("postgres", "nobody"):
        assert "pg_hba.conf" in refusal(partial(connect, here, role))
    server = psutil.Process(pid)
    assert server.uids().effective != 0
    assert not [found for found in server.net_connections() if found.family != socket.AF_UNIX]
    sys.stdin.read()
    assert database.leave(here)


def intrude(here: Place) -> None:
    """Knock at a socket, whose folder is given as the checkout, as somebody who must not get in."""
    with socket.socket(socket.AF_UNIX) as knock:
        assert "Permission denied" in refusal(lambda: knock.connect(str(here.checkout / ".s.PGSQL.5432")))


def refusal(attempt: Callable[[], object]) -> str:
    """The words with which an attempt to connect is refused; pytest.raises() is out of reach here."""
    try:
        attempt()
    except (OSError, psycopg.OperationalError) as error:
        return str(error)
    raise AssertionError("connected")


if __name__ == "__main__":
    main()
