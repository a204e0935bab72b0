"""A PostgreSQL server of its own for a trial, made, started, stopped and broken by the trial."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from karenpanel.embedded.place import SERVER_USER, place, server_account
from karenpanel.embedded.programs import copied_programs, installed_programs

PORT = "5432"


def account() -> pwd.struct_passwd:
    """Who owns the servers' files: PostgreSQL does not run as root."""
    return server_account() if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def programs() -> Path:
    """The folder of the programs, where the servers' owner reaches them; PG_BIN names those of another version."""
    if "PG_BIN" in os.environ:
        return Path(os.environ["PG_BIN"])
    folder = installed_programs()
    store = place().programs
    return (copied_programs(folder, store, server_account()) if store else folder) / "bin"


@contextmanager
def folder() -> Iterator[Path]:
    """A short one, for the path of a socket is; it belongs to the servers' owner."""
    made = Path(tempfile.mkdtemp(prefix="kp-", dir="/tmp"))
    os.chown(made, account().pw_uid, account().pw_gid)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


class Server:
    """A server in a folder: `with Server(folder / "one") as server`. Whoever reaches its folder is let in as anybody."""

    def __init__(self, where: Path, **settings: str) -> None:
        self.data = where
        self.socket = where.with_name(where.name + ".s")
        self.settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket),
            "unix_socket_permissions": "0700",
            "shared_buffers": "64MB",
            "dynamic_shared_memory_type": "mmap",
            **settings,
        }

    def make(self) -> Self:
        """An empty one, as `initdb` makes it."""
        self.run("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--no-sync", "--locale=C.UTF-8")
        return self

    def start(self) -> None:
        if not self.socket.exists():
            self.make_folder(self.socket)
        options = " ".join(f"-c {name}='{value}'" for name, value in self.settings.items())
        log = self.data.with_name(self.data.name + ".log")
        self.run("pg_ctl", "-D", self.data, "-l", log, "-o", options, "-w", "-t", "120", "start")

    def stop(self, mode: str = "fast") -> None:
        self.run("pg_ctl", "-D", self.data, "-m", mode, "-w", "stop")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (self.data / "postmaster.pid").exists():
            self.stop("immediate")

    def run(self, program: str, *arguments: str | Path) -> str:
        """What one of PostgreSQL's programs says; it runs as the server's owner. Raises RuntimeError where it fails."""
        # Into a file: a server that it starts would keep a pipe open.
        with tempfile.TemporaryFile("w+") as said:
            command = [str(programs() / program), *map(str, arguments)]
            status = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False, **as_owner()
            ).returncode
            said.seek(0)
            text = said.read()
        if status:
            raise RuntimeError(f"{program}: {text}")
        return text

    def make_folder(self, path: Path) -> None:
        """A folder that the server can write to."""
        path.mkdir(mode=0o700)
        os.chown(path, account().pw_uid, account().pw_gid)

    def touch(self, name: str) -> None:
        """An empty file in the server's folder, which tells it what to do."""
        (self.data / name).touch()
        os.chown(self.data / name, account().pw_uid, account().pw_gid)

    def url(self, role: str, name: str) -> str:
        return f"postgresql://{role}@/{name}?host={self.socket}&port={PORT}"

    def sql(self, statements: str, name: str = "postgres", role: str = "postgres") -> str:
        """What psql answers, unaligned."""
        return psql(self.url(role, name), statements)


def as_owner() -> dict[str, Any]:
    common: dict[str, Any] = {"cwd": "/", "umask": 0o077, "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}}
    if os.geteuid():
        return common
    return common | {"user": SERVER_USER, "group": account().pw_gid, "extra_groups": []}


def psql(url: str, statements: str) -> str:
    done = subprocess.run(
        [str(programs() / "psql"), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", url],
        input=statements,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout.strip()
