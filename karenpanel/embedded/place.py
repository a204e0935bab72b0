"""Where the embedded server lives, and who may own it.

PostgreSQL refuses to run as root. For root, as in containers, the server belongs to a system user of its own and lives
under /var/lib/karenpanel; for everybody else it lives in the checkout's `var` folder.
"""

import hashlib
import os
import pwd
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
ROOT_STATE = Path("/var/lib/karenpanel")
SERVER_USER = "karenpanel-db"
NAME = ROLE = "karenpanel"
WEB_ROLE = "karenpanel_web"
SOCKET = ".s.PGSQL.5432"
PORT = "5432"  # only a part of the socket's file name, but PGPORT would change it if it were left out
# Linux allows 107 bytes for the path of a socket, macOS 103.
SOCKET_LIMIT = 103


class StartError(RuntimeError):
    """The embedded server cannot run here; the text says why and what to do, for a person."""


@dataclass(frozen=True)
class Place:
    """Where one checkout's embedded server lives. Made by `place()`; nothing of it need exist."""

    checkout: Path
    state: Path
    socket: Path
    programs: Path | None  # where root's copies of the server's programs are kept; None: used where they are installed
    user: str | None  # the operating system's name of the server's owner, None where it has none

    @property
    def folder(self) -> Path:
        """The folder that belongs to the server's owner alone."""
        return self.state / "postgresql"

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder, complete if it exists."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server says; the log before it is `server.log.1` beside it."""
        return self.folder / "server.log"

    @property
    def title(self) -> str:
        """What the server's processes carry in their titles, so that those of a dead server are recognised."""
        return f"{NAME}-{_short(self.data)}"


def place(checkout: Path = CHECKOUT, root_state: Path = ROOT_STATE) -> Place:
    """Where the embedded server of a checkout lives for the user of this process."""
    short = _short(checkout)
    uid = os.geteuid()
    if uid == 0:
        state = root_state / short
        return Place(checkout, state, state / "postgresql" / "socket", root_state, SERVER_USER)
    state = checkout / "var"
    try:
        ours = state.stat().st_uid == uid
    except OSError:
        ours = os.access(checkout, os.W_OK)
    if not ours:  # A checkout that belongs to somebody else is left alone.
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "karenpanel" / short
    socket = state / "postgresql" / "socket"
    if len(os.fsencode(socket / SOCKET)) > SOCKET_LIMIT:
        # Not $TMPDIR or $XDG_RUNTIME_DIR: all processes of a user must find the same one, whatever their environment.
        socket = Path("/tmp") / f"karenpanel-{uid}-{short}"  # noqa: S108 (made 0700, checked on every use)
    return Place(checkout, state, socket, None, user_name(uid))


def private_folder(here: Place | None = None) -> Path:
    """The folder for what else must stay private beside the database, made on the first call.

    Raises OSError, and StartError for a folder that somebody else put there.
    """
    here = here or place()
    if here.programs:
        # Others may pass through, since the server's user has to, but not look around.
        closed_folder(here.programs, 0o711)
        closed_folder(here.state, 0o711)
    else:
        here.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return here.state


def closed_folder(path: Path, mode: int, owner: int | None = None) -> None:
    """Make a folder, or see to it that the one in its place is a real one, `owner`'s, and as closed as `mode` says.

    `owner` is a user number, this process's where it is None. Raises StartError for a folder that somebody else put
    there: it may be a trap. Raises OSError where none can be made.
    """
    owner = os.geteuid() if owner is None else owner
    with suppress(FileExistsError):
        path.mkdir(mode=mode)
    found = _completed(path, mode, owner)
    # Others may read a folder that an administrator made before, but never where only the owner may enter.
    forbidden = 0o077 if mode == 0o700 else 0o022
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & forbidden:
        raise StartError(
            f"{path} is not a private folder of the user number {owner}. Look who made it, and remove it if nobody needs "
            "it, or set DATABASE_URL to use a PostgreSQL server of your own."
        )


def _completed(path: Path, mode: int, owner: int) -> os.stat_result:
    """Open a folder of this process's user as far as `mode` says, and hand it to its owner; leave any other alone.

    It was just made, or left half made by a process that was killed. Returns what is there in the end.
    """
    me = os.geteuid()
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != me:
        return found
    # The umask may have taken bits away.
    if stat.S_IMODE(found.st_mode) & mode != mode:
        path.chmod(stat.S_IMODE(found.st_mode) | mode)
    if owner != me:
        os.chown(path, owner, pwd.getpwuid(owner).pw_gid, follow_symlinks=False)
    return path.lstat()


def server_account() -> pwd.struct_passwd:
    """The system user that runs the server for root, created if absent. Raises StartError."""
    with suppress(KeyError):
        return pwd.getpwnam(SERVER_USER)
    command = ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent"]
    try:
        done = subprocess.run(
            [*command, "--shell", "/usr/sbin/nologin", SERVER_USER], capture_output=True, text=True, check=False
        )
        why = done.stderr.strip()
    except FileNotFoundError:
        why = "useradd is not installed"
    try:
        return pwd.getpwnam(SERVER_USER)
    except KeyError:
        raise StartError(
            f"PostgreSQL does not run as root, and its system user {SERVER_USER} could not be created: {why}.\n"
            "Run the panel as an ordinary user, or set DATABASE_URL to use a PostgreSQL server of your own."
        ) from None


def user_name(uid: int) -> str | None:
    """The operating system's name of a user number, None where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def _short(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
