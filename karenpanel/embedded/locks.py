"""Who starts and stops the server, one at a time, and who is using it.

Two files in the state folder: `lock` is held while the server is started, stopped or looked at, `users` is shared by
every process that uses the server, for as long as it lives. The kernel gives both back when a process is killed.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from karenpanel.embedded.place import Place

_locks: set[int] = set()  # the open files of the locks that this process has just now
_holding: dict[Path, int] = {}  # state folder -> the open file whose shared lock says that this process uses the server


def locked(here: Place) -> AbstractContextManager[None]:
    """Alone with the server of this place; waits for as long as another process is. Raises OSError."""
    return locked_file(here.state / "lock")


@contextmanager
def locked_file(path: Path) -> Iterator[None]:
    """Alone with this file, which is made if it is absent; waits for as long as another has it. Raises OSError."""
    held = _open_lock(path)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        _locks.add(held)
        yield
    finally:
        _locks.discard(held)
        os.close(held)


def for_children() -> tuple[int, ...]:
    """The open files that a program has to inherit for the locks to last until it ends, even when this process is killed:
    what it was writing is then nobody's to remove before."""
    return tuple(_locks)


def hold(here: Place) -> None:
    """Count this process among the server's users until `release()`, or its end. Raises OSError."""
    if here.state not in _holding:
        held = _open_lock(here.state / "users")
        fcntl.flock(held, fcntl.LOCK_SH)
        _holding[here.state] = held


def release(here: Place) -> None:
    """End what `hold()` began; nothing where it did not."""
    held = _holding.pop(here.state, None)
    if held is not None:
        os.close(held)


def used(here: Place) -> bool:
    """Whether a process holds the server. Callers have the lock, so nobody can be about to join. Raises OSError."""
    probe = _open_lock(here.state / "users")
    try:
        fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(probe)
    return False


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
