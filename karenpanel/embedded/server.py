"""The embedded server's life: started by the first process that needs it, stopped by the last.

It listens on no network, its socket lies in a folder that only its owner can enter, and PostgreSQL itself asks the kernel
who is calling (peer authentication), so there is no password to keep. It outlives the process that started it and is
shared by all processes of one checkout; each holds a shared lock for as long as it lives, and `leave()` stops the server
for the last of them.
"""

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from karenpanel.embedded.locks import hold, locked, locked_file, release, used
from karenpanel.embedded.place import (
    ROLE,
    SERVER_USER,
    WEB_ROLE,
    Place,
    StartError,
    closed_folder,
    place,
    private_folder,
    server_account,
    user_name,
)
from karenpanel.embedded.processes import clear, gone, pid_file, running, shut_down, started
from karenpanel.embedded.programs import add_web_role, as_owner, copied_programs, create_data, installed_programs, tail

START_SECONDS = 120.0  # recovery after a crash replays at most max_wal_size
SERVER_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "fsync": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    # Files in the data folder instead of /dev/shm, which containers limit to 64 MB.
    "dynamic_shared_memory_type": "mmap",
    "huge_pages": "off",
    # The other methods need helper processes or system calls that containers forbid.
    "io_method": "sync",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
LOG_LIMIT = 10_000_000  # bytes after which a start moves the log aside


@dataclass(frozen=True)
class Status:
    """What is known about the embedded server: its process number or None, and whether a process holds it."""

    pid: int | None
    used: bool


def start(here: Place | None = None, report: Callable[[str], None] | None = None) -> int:
    """Join the embedded server, starting it first where it does not run, and hold it for the life of this process.

    `report` is told of what takes time, in short lines. Returns the server's process number. Safe to call from any number
    of processes at once, and again after the server was killed. Raises StartError with words for a person.
    """
    here = here or place()
    report = report or (lambda line: None)
    try:
        programs = _prepare(here)
        with locked(here):
            hold(here)
            pid = _joined(here)
            if pid is None:
                if not (here.data / "PG_VERSION").exists():
                    report("Creating a database server")
                    create_data(here, programs)
                report("Starting the database server")
                clear(here)
                pid = _launch(here, programs)
            return pid
    except OSError as error:
        raise StartError(
            f"The embedded PostgreSQL server could not be started: {error}.\n"
            "Set DATABASE_URL to use a PostgreSQL server of your own."
        ) from error


def leave(here: Place | None = None) -> bool:
    """End this process's hold on the embedded server, and stop the server if no other process holds it.

    Returns whether it is stopped now. Raises StartError when it does not stop in time, OSError.
    """
    here = here or place()
    release(here)
    return stop(here)


def stop(here: Place | None = None) -> bool:
    """Stop the embedded server unless a process holds it; returns whether it is stopped now.

    Raises StartError when it does not stop in time, OSError.
    """
    here = here or place()
    if not here.folder.exists():
        return True
    with locked(here):
        if used(here):
            return False
        pid = running(here)
        if pid is not None:
            shut_down(pid)
        if here.socket.parent != here.folder:
            with suppress(OSError):
                here.socket.rmdir()
        return True


def status(here: Place | None = None) -> Status:
    """Whether the embedded server runs, and whether a process holds it. Raises OSError.

    Writes nothing where there is no server yet.
    """
    here = here or place()
    if not here.folder.exists():
        return Status(None, False)
    with locked(here):
        return Status(running(here), used(here))


def _prepare(here: Place) -> Path:
    """Make the folders and what root needs besides; returns the folder of the server's programs."""
    programs = installed_programs()
    if here.user is None:
        raise StartError(
            f"The user number {os.geteuid()} has no name on this machine, and PostgreSQL does not run for such a user.\n"
            "Set DATABASE_URL to use a PostgreSQL server of your own."
        )
    private_folder(here)
    owner = os.geteuid()
    if here.programs:
        with locked_file(here.programs / "lock"):
            account = server_account()
            programs = copied_programs(programs, here.programs, account)
        owner = account.pw_uid
    closed_folder(here.folder, 0o700, owner)
    closed_folder(here.socket, 0o700, owner)
    return programs


def _joined(here: Place) -> int | None:
    """The process number of the server that runs, once it takes connections; None where none does.

    Whoever started it may have been killed meanwhile, or told it to stop and not waited for that.
    """
    pid = running(here)
    deadline = time.monotonic() + START_SECONDS
    while pid is not None and not _is_ready(here, pid):
        if time.monotonic() > deadline:
            raise StartError(f"The embedded PostgreSQL server (process {pid}) runs, and takes no connections.")
        time.sleep(0.02)
        pid = running(here)
    return pid


def _launch(here: Place, programs: Path) -> int:
    """Start the server detached from this process, and wait until it takes connections. Returns its process number."""
    _refuse_other_version(here)
    add_web_role(here, programs)
    command = _command(here, programs, _write_access_rules(here))
    _move_long_log_aside(here)
    pid = _spawn(here, command)
    try:
        _wait_until_ready(here, pid)
    except BaseException:
        # Nobody else knows yet that it runs.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGQUIT)
        raise
    return pid


def _refuse_other_version(here: Place) -> None:
    found = (here.data / "PG_VERSION").read_text().strip()
    if found != "18":
        raise StartError(f"The data in {here.data} are of PostgreSQL {found}, and this panel ships PostgreSQL 18.")


def _write_access_rules(here: Place) -> dict[str, str]:
    """Write who may connect: the panel's two roles for the user of this process. Returns the settings that name the files."""
    access = here.state / "pg_hba.conf"
    names = here.state / "pg_ident.conf"
    caller = user_name(os.geteuid())
    _write(access, f"local all {ROLE},{WEB_ROLE} peer map=panel\n", here)
    _write(names, "".join(f'panel "{caller}" {role}\n' for role in (ROLE, WEB_ROLE)), here)
    return {"hba_file": str(access), "ident_file": str(names)}


def _command(here: Place, programs: Path, files: dict[str, str]) -> list[str]:
    """The server's program with its settings as arguments, which win over those in the data folder's files."""
    values = SERVER_SETTINGS | {
        **files,
        # A list of folders to PostgreSQL: quotes keep commas and spaces, and are doubled inside.
        "unix_socket_directories": '"' + str(here.socket).replace('"', '""') + '"',
        "cluster_name": here.title,
    }
    command = [str(programs / "bin" / "postgres"), "-D", str(here.data)]
    for name, value in values.items():
        command += ["-c", f"{name}={value}"]
    return command


def _move_long_log_aside(here: Place) -> None:
    with suppress(FileNotFoundError):
        if here.log.stat().st_size > LOG_LIMIT:
            here.log.replace(here.log.with_name("server.log.1"))


def _spawn(here: Place, command: list[str]) -> int:
    """Run the server as its owner. Returns its process number."""

    def write_log() -> None:
        # In the child, as the server's owner, and without a shell between: a process that is not yet the server has our
        # lock, and one that is the server is recognised. So a process that is killed here leaves nothing unknown.
        log = os.open(here.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)

    # A session of its own keeps Ctrl-C and a closed terminal away.
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=write_log, **as_owner(here)
        )
    except subprocess.SubprocessError:
        raise StartError(f"The embedded PostgreSQL server cannot write its log, {here.log}.") from None
    started(process.pid)
    process.returncode = 0  # Popen would warn of a child that outlives it, which is what this one is for.
    return process.pid


def _wait_until_ready(here: Place, pid: int) -> None:
    """Return when the server says that it is ready. Raises StartError when it ended, or START_SECONDS have passed."""
    deadline = time.monotonic() + START_SECONDS
    while not _is_ready(here, pid):
        if gone(pid) or time.monotonic() > deadline:
            log = here.log.read_text(errors="replace") if here.log.exists() else ""
            raise StartError(f"The embedded PostgreSQL server did not start; the end of {here.log}:\n{tail(log)}")
        time.sleep(0.02)


def _is_ready(here: Place, pid: int) -> bool:
    lines = pid_file(here)
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _write(path: Path, text: str, here: Place) -> None:
    """Write one of the server's own settings files, which lie where the server cannot change them."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    if here.programs:
        os.chown(new, 0, pwd.getpwnam(SERVER_USER).pw_gid)
        new.chmod(0o640)
    new.rename(path)
