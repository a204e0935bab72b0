"""The server's processes: which of them run, what a killed server left behind, and how a running one is ended."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from karenpanel.embedded.place import SOCKET, Place, StartError

if TYPE_CHECKING:
    import psutil

STOP_SECONDS = 60.0  # for sessions to end and everything to be written; after that it is told to quit at once
_children: set[int] = set()  # servers that this process started and has not yet collected


def started(pid: int) -> None:
    """Remember that this process started the server with that number, and has to collect it when it ends."""
    _children.add(pid)


def running(here: Place) -> int | None:
    """The process number of the server with our data folder, None if there is none.

    A number that a crash left behind may belong to any process by now, or to a dead one that nobody has collected.
    Raises OSError where the file with the number cannot be read.
    """
    import psutil

    lines = pid_file(here)
    if not lines or not lines[0].isdigit():
        return None
    try:
        pid = int(lines[0])
        return pid if not gone(pid) and _is_server(psutil.Process(pid).cmdline(), here) else None
    except psutil.Error:
        return None


def pid_file(here: Place) -> list[str]:
    """The lines of the file in which a running server says its process number (first) and its state (eighth).

    Empty where there is none; it may be half written, or a dead server's. Raises OSError.
    """
    try:
        return (here.data / "postmaster.pid").read_text(errors="replace").split("\n")
    except FileNotFoundError:
        return []


def gone(pid: int) -> bool:
    """Whether a process has ended; one that we started stays in the process table until we collect it."""
    import psutil

    if pid in _children:
        with suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0]:
                _children.discard(pid)
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def clear(here: Place) -> None:
    """Remove what a killed server left behind, so that the next one can start.

    PostgreSQL refuses to start while the number in one of its lock files belongs to any process of the same user, or to
    a zombie. Without those files nothing would keep it from starting beside the old server's last processes, so they
    end first; what they had not committed is lost, as after any crash. Waits until all of them are gone: after five
    seconds they are killed. Raises OSError.
    """
    import psutil

    deadline = time.monotonic() + 5
    while left := _leftovers(here):
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGQUIT if time.monotonic() < deadline else signal.SIGKILL)
        time.sleep(0.05)
    for name in (here.data / "postmaster.pid", here.socket / f"{SOCKET}.lock", here.socket / SOCKET):
        name.unlink(missing_ok=True)


def shut_down(pid: int) -> None:
    """End the server with this process number, and wait for its end. Raises StartError when it does not end in time."""
    # SIGINT is PostgreSQL's "fast" shutdown: sessions end, everything is written; SIGQUIT leaves the rest to recovery.
    for sent, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10.0)):
        with suppress(ProcessLookupError):
            os.kill(pid, sent)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if gone(pid):
                return
            time.sleep(0.02)
    raise StartError(f"The embedded PostgreSQL server (process {pid}) does not stop.")


def _leftovers(here: Place) -> "list[psutil.Process]":
    import psutil

    owner = here.folder.stat().st_uid
    found = []
    for process in psutil.process_iter():
        try:
            # Read anew: the process may have changed its title since.
            arguments = process.cmdline()
            ours = _is_server(arguments, here) or "".join(arguments[:1]).startswith(f"postgres: {here.title}: ")
            if ours and process.status() != psutil.STATUS_ZOMBIE and process.uids().effective == owner:
                found.append(process)
        except psutil.Error:
            continue
    return found


def _is_server(arguments: list[str], here: Place) -> bool:
    return Path(arguments[0] if arguments else "").name == "postgres" and arguments[1:3] == ["-D", str(here.data)]
