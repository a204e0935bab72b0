"""`manage.py demo`: the panel with example data on this machine, from nothing to a page that answers."""

import ctypes
import errno
import fcntl
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import ProgrammingError, connection, connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from karenpanel import database, local
from karenpanel.quiet import one_at_a_time

T = TypeVar("T")

HOST = "127.0.0.1"
READY_SECONDS = 60.0
STOP_SECONDS = 10.0
WATCH_SECONDS = 2.0
NOT_FOR_THE_WEB = {"GUNICORN_CMD_ARGS", "DATABASE_OWNER_URL"}
LOCK = 0x6B6172656E  # the number of the lock that two demos of one database take turns with
# Stands at the table of migrations, the first that there is, from before there is another until all is prepared.
UNFINISHED = "karenpanel demo: not finished"


class Command(BaseCommand):
    help = "Run the panel with example data on this machine, at http://127.0.0.1:8000/ until Ctrl-C."
    # Made while the database server starts.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="the port to listen on (default: 8000)")
        parser.add_argument("--password", help="the password of the example people, kept for the next time")
        parser.add_argument(
            "--reload",
            action="store_true",
            help="for developers: start again when a file changes, and show errors whole",
        )
        parser.add_argument(
            "--hosts",
            action="store_true",
            help="as root: two hosts with agents and small VMs, in namespaces of the network that end with it",
        )

    def handle(self, *args: Any, port: int, password: str | None, reload: bool, hosts: bool, **options: Any) -> None:
        if password is not None and not password.strip():
            raise CommandError("The password is empty: write --password with a password, or leave it out.")
        if hosts and (why := cannot_have_hosts()):
            raise CommandError(why)
        # Also where a shell started us in the background, which ignores SIGINT.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupt)
        try:
            with bound(port) as listener, embedded_server(self.say) as start_database, ExitStack() as stack:
                if not reload:
                    # It loads its program meanwhile, on another processor.
                    begin = stack.enter_context(web_server(listener))
                self.say("Preparing the static files")
                files = beside(self.check_and_collect)
                start_database()
                files()
                people = self.prepare(password)
                if reload:
                    begin = stack.enter_context(developers_server(listener))
                server = begin()
                wait_until_ready(server, port)
                if hosts:
                    people = [*people, stack.enter_context(running_hosts(port))]
                self.say(f"Ready: http://{HOST}:{port}/")
                for line in people:
                    self.say(line)
                self.say(f"Mails: http://{HOST}:{port}/mails/ (nothing is sent; kept in {settings.DEMO_MAILS})")
                self.say("Ctrl-C stops it.")
                self.watch(server)
        except KeyboardInterrupt:
            self.say("Stopped.")
        except (database.StartError, OSError) as error:
            raise CommandError(str(error)) from error

    def say(self, line: str) -> None:
        """One line for the person who is waiting, at once even through a pipe."""
        self.stdout.write(line)
        self.stdout.flush()

    def check_and_collect(self) -> None:
        """What needs no database."""
        self.check()
        collect_static()

    def prepare(self, password: str | None) -> list[str]:
        """Tables and example data; returns the lines that say who can sign in."""
        database.reach(settings.DATABASES["default"])
        with taking_turns():
            refuse_foreign_data()
            new = begin_tables()
            known = password or local.password()
            # It takes a third of a second of one processor, and the tables another's.
            hashed = beside(lambda: make_password(known)) if new else str
            self.say("Preparing the tables")
            call_command("migrate", interactive=False, verbosity=0)
            call_command("createcachetable", verbosity=0)
            self.say("Preparing the example data")
            from securitygroups import demo

            try:
                people = demo.create(known, hashed())
            except demo.NameTaken as taken:
                raise CommandError(f"{taken} The demo needs a database of its own.") from None
            if password:
                local.password(password)
            finish_tables()
        return [f"Sign in: {name} / {known} ({words})" for name, words in people]

    def watch(self, server: "subprocess.Popen[bytes]") -> None:
        """Return never: stay until a signal, and start the database again when it was killed."""
        while server.poll() is None:
            time.sleep(WATCH_SECONDS)
            if database.is_embedded(settings.DATABASES["default"]):
                before = database.status().pid
                if database.start(report=self.say) != before:
                    self.say("The database runs again.")
        raise CommandError(f"The web server ended by itself, with status {server.returncode}.")


def interrupt(number: int, frame: FrameType | None) -> None:
    """Every way of being told to stop is Ctrl-C, and the first one is enough."""
    for again in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(again, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def bound(port: int) -> Iterator[socket.socket]:
    """The port, taken before the long work begins. Nobody is let in yet: the web server is the one who listens."""
    if not 1 <= port <= 65535:
        raise CommandError(f"Port {port} does not exist: --port takes a number from 1 to 65535.")
    with socket.socket() as listener:
        # Connections that ended a moment ago would keep the port for a minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            other = port + 1 if port < 65535 else port - 1
            if error.errno == errno.EADDRINUSE:
                raise CommandError(f"Port {port} is in use by another program: try --port {other}.") from None
            if error.errno == errno.EACCES:
                raise CommandError(f"Port {port} is for the system's own programs: try --port 8000.") from None
            raise
        yield listener


def beside(work: Callable[[], T]) -> Callable[[], T]:
    """Do this in a thread of its own. What is returned waits for its answer.

    Nobody waits when we are told to stop: where that came in the midst of an import, the thread's next import never ends.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer.result


@contextmanager
def embedded_server(say: Callable[[str], None]) -> Iterator[Callable[[], object]]:
    """The embedded server, from when what is yielded is called; nothing where DATABASE_URL names another."""
    if not database.is_embedded(settings.DATABASES["default"]):
        yield lambda: None
        return
    try:
        yield lambda: database.start(report=say)
    finally:
        # Its sessions would make the server's end take longer.
        forget_connections()
        database.leave()


@contextmanager
def taking_turns() -> Iterator[None]:
    """One demo at a time prepares a database; the lock is the session's, so a killed one does not keep it."""
    with connection.cursor() as cursor:
        # What is lost when the machine fails just now is prepared again by the next demo.
        cursor.execute("SET synchronous_commit = off")
    try:
        with one_at_a_time(connection, LOCK, lambda: None):
            yield
    finally:
        forget_connections()


def forget_connections() -> None:
    """Close what this process keeps open."""
    connections.close_all()


def refuse_foreign_data() -> None:
    """Refuse a database that holds anything but the demo's own, before a table of it is touched."""
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
    if not tables or unfinished():
        return
    executor = MigrationExecutor(connection)
    if not any(app == "securitygroups" for app, _ in executor.loader.applied_migrations):
        some = ", ".join(sorted(tables)[:3])
        raise CommandError(f"The database holds tables of something else ({some}). The demo needs an empty database.")
    try:
        refuse_what_is_not_the_demos()
    except ProgrammingError:
        # Of an earlier version. What then turns out to be more than the demo is left as it was, in one transaction.
        with transaction.atomic():
            call_command("migrate", interactive=False, verbosity=0)
            refuse_what_is_not_the_demos()


def refuse_what_is_not_the_demos() -> None:
    """Raises CommandError, and ProgrammingError where the tables are those of another version."""
    from securitygroups import demo

    with transaction.atomic():
        found = demo.foreign_data()
    if found:
        raise CommandError(f"The database holds more than the demo: {found}. The demo needs a database of its own.")


def unfinished() -> bool:
    """Whether a demo that was interrupted began with this database, which was empty then."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT obj_description(to_regclass('django_migrations'), 'pg_class')")
        return bool(cursor.fetchone()[0] == UNFINISHED)


def begin_tables() -> bool:
    """In an empty database the first table, with the mark that lets the next demo go on after this one was killed.

    Returns whether it was empty.
    """
    with connection.cursor() as cursor:
        if connection.introspection.table_names(cursor):
            return False
        with transaction.atomic():
            MigrationRecorder(connection).ensure_schema()
            cursor.execute(f"COMMENT ON TABLE django_migrations IS '{UNFINISHED}'")
        return True


def finish_tables() -> None:
    """From here on the demo's people are known by the record, and what else is there is somebody's."""
    if unfinished():
        with connection.cursor() as cursor:
            cursor.execute("COMMENT ON TABLE django_migrations IS NULL")


def collect_static() -> None:
    """All files anew where the last time did not come to its end: one of them may be half written, and looks new."""
    # Compressing them takes ten times as long, and gains nothing on the way from one machine to itself.
    settings.WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ["css", "js", "json", "md", "svg", "txt"]
    root = Path(settings.STATIC_ROOT)
    under_way = root.with_name(f"{root.name}.under-way")
    with alone_in(root.parent):
        clear = under_way.exists()
        under_way.touch()
        call_command("collectstatic", interactive=False, verbosity=0, clear=clear)
        under_way.unlink()


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """One demo at a time; the lock ends with the process, also with one that is killed."""
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


Started = Iterator[Callable[[], "subprocess.Popen[bytes]"]]


@contextmanager
def web_server(listener: socket.socket) -> Started:
    """The production web server on the port that is already ours, stopped with all its workers at the end.

    It loads its program at once. It listens when what is yielded is called.
    """
    number = listener.fileno()
    told, tell = os.pipe()
    try:
        command = [sys.executable, "-m", "gunicorn", "-c", "python:karenpanel.demo_serving", "karenpanel.wsgi"]
        command += ["--bind", f"fd://{number}", "--graceful-timeout", "2", "--log-level", "warning"]
        with stopped_at_the_end(command, {"BEGIN": str(told)}, number, told) as server:
            # From here on the port is the web server's alone, and free when it ends. So is its end of the pipe.
            listener.close()
            os.close(told)

            def begin() -> "subprocess.Popen[bytes]":
                # One that has ended already is found by whoever waits for its first page.
                with suppress(BrokenPipeError):
                    os.write(tell, b".")
                return server

            yield begin
    finally:
        os.close(tell)


@contextmanager
def developers_server(listener: socket.socket) -> Started:
    """Django's own one, which cannot be handed a socket. It may bind the port beside ours, for nobody listens there yet."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "runserver"]
    command += [f"{HOST}:{listener.getsockname()[1]}"]
    with stopped_at_the_end(command, {"DEBUG": "1"}, listener.fileno()) as server:
        listener.close()
        yield lambda: server


@contextmanager
def stopped_at_the_end(
    command: list[str], more: dict[str, str], *inherited: int
) -> Iterator["subprocess.Popen[bytes]"]:
    """A web server, with these variables in its environment beside ours and these open files."""
    environment = {key: value for key, value in os.environ.items() if key not in NOT_FOR_THE_WEB}
    # In a session of its own: Ctrl-C reaches every process of the terminal's, and the order of ending is ours to keep.
    server = subprocess.Popen(
        command,
        pass_fds=inherited,
        cwd=settings.BASE_DIR,
        env=environment | more,
        start_new_session=True,
        preexec_fn=end_with_parent,
    )
    try:
        yield server
    finally:
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def cannot_have_hosts() -> str:
    """Why hosts cannot be made on this machine, empty where they can."""
    from securitygroups.management import demo_hosts

    return demo_hosts.missing()


@contextmanager
def running_hosts(port: int) -> Iterator[str]:
    """Hosts with their agents, until the demo ends; what is yielded says which."""
    from securitygroups.management import demo_hosts

    enrolments = demo_hosts.prepared(f"http://{HOST}:{port}")
    forget_connections()
    with demo_hosts.running(port, enrolments) as said:
        yield said


def end_with_parent() -> None:
    """Even when this command is killed, its web server ends and the port is free again, where the system is Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # 1 is PR_SET_PDEATHSIG in <linux/prctl.h>


def wait_until_ready(server: "subprocess.Popen[bytes]", port: int) -> None:
    """Return when the first page answers. Raises CommandError when it cannot."""
    deadline = time.monotonic() + READY_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        page = http.client.HTTPConnection(HOST, port, timeout=10)
        try:
            page.request("GET", "/")
            status = page.getresponse().status
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
            continue
        finally:
            page.close()
        if status >= 500:
            raise CommandError(f"The panel starts, but its first page answers with an error ({status}); see above.")
        return
    raise CommandError("The web server did not start; see above.")
