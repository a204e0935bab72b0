"""Break the database and the web processes under writes, and count what became of each acknowledged commit.

    .venv/bin/python -m tests.faults.database_faults [COMMITS]

Two web servers of one worker each, as in production, on an embedded server of their own; eight clients edit rules over HTTP,
each in a group of its own, as the panel's forms do. Meanwhile a worker is killed with -9 now and then, connections are
terminated, the database is restarted (fast, and at once), and stopped for 20 and for 41 seconds. At the end every revision
is read: an acknowledged commit must be there (else lost), once (else duplicate), and numbers must have no gaps. What was
answered with 503 may be there or not, as its page says. Exit status 1 where anything is lost, twice, missing, or a 5xx that
is no 503.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import requests

from karenpanel import database
from karenpanel.database import Place
from karenpanel.embedded.processes import gone
from tests.demos import ROOT, copy_of_the_checkout, free_port

PASSWORD = "faults are to be found"
CLIENTS = 8
PREPARE = f"""
from securitygroups import demo, operations
from securitygroups.firewall.notation import rule
from securitygroups.models import Project, User
from securitygroups.operations import By
demo.create({PASSWORD!r})
shop, owner = Project.objects.get(slug="shop-production"), User.objects.get(username="owner")
for number in range({CLIENTS}):
    group = operations.create_group(
        project=shop, name=f"faults-{{number}}", description="", by=By(owner), rules=[rule("accept in tcp 443", "start")]
    )
    print("GROUP", group.get_absolute_url(), group.rules.get().uid)
"""


@dataclass
class Told:
    """What the clients were told, and when."""

    acknowledged: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    odd: set[str] = field(default_factory=set)
    slowest_503: float = 0.0
    good_at: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)

    def hear(self, answer: requests.Response, tag: str = "") -> None:
        with self.lock:
            self.answers[str(answer.status_code)] += 1
            if answer.status_code == 503:
                self.slowest_503 = max(self.slowest_503, answer.elapsed.total_seconds())
            elif answer.status_code in (200, 302):
                self.good_at.append(time.monotonic())
            else:
                self.odd.add(re.sub(r"<[^>]+>|\s+", " ", answer.text.partition("<main")[2])[:300])
            if tag:
                self.acknowledged.add(tag)

    def hear_nothing(self) -> None:
        with self.lock:
            self.answers["no answer"] += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("commits", type=int, nargs="?", default=5_000)
    wanted = parser.parse_args().commits
    with ExitStack() as stack:
        folder = stack.enter_context(copy_of_the_checkout())
        here = database.place(folder)
        database.start(here)
        stack.callback(database.leave, here)
        environment = settings_of(here, folder)
        groups = prepared(environment)
        servers = [stack.enter_context(web_server(environment)) for _ in range(2)]
        told = Told()
        clients = [
            threading.Thread(target=client, args=(told, number, address, uid, [port for _, port in servers]))
            for number, (address, uid) in enumerate(groups)
        ]
        for one in clients:
            one.start()
        whole = faults(here, [process for process, _ in servers], told, wanted)
        told.ended.set()
        for one in clients:
            one.join()
        return report(told, whole, stored(here))


def settings_of(here: Place, folder: Path) -> dict[str, str]:
    """A production's settings on one machine: two roles, and the static files collected."""
    url = f"postgresql://{{}}@/{database.NAME}?host={str(here.socket).replace(' ', '%20')}"
    return os.environ | {
        "DATABASE_URL": url.format(database.WEB_ROLE),
        "DATABASE_OWNER_URL": url.format(database.ROLE),
        "SECRET_KEY": "x" * 60,
        "INSECURE_HTTP": "1",
        "ALLOWED_HOSTS": "127.0.0.1",
        "STATIC_ROOT": str(folder / "collected"),
        "PYTHONWARNINGS": "ignore",
    }


def prepared(environment: dict[str, str]) -> list[tuple[str, str]]:
    """Tables, people, static files, and a group for each client: its address, and its rule's identity."""

    def manage(*arguments: str) -> str:
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return done.stdout

    for command in ("migrate", "createcachetable", "collectstatic --noinput"):
        manage(*command.split(), "--verbosity", "0")
    said = manage("shell", "--verbosity", "0", "-c", PREPARE)
    return re.findall(r"^GROUP (\S+) (\S+)$", said, re.MULTILINE)


@contextmanager
def web_server(environment: dict[str, str]) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """gunicorn with one worker, which is started again when it is killed."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-c", "python:karenpanel.serving", "karenpanel.wsgi"]
    command += ["--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "8", "--log-level", "critical"]
    web = {name: value for name, value in environment.items() if name != "DATABASE_OWNER_URL"}
    process = subprocess.Popen(command, cwd=ROOT, env=web, stderr=subprocess.DEVNULL)
    try:
        yield process, port
    finally:
        process.terminate()
        process.wait(30)


def client(told: Told, number: int, address: str, uid: str, ports: list[int]) -> None:
    """Edit one rule again and again; what could not be said to be saved is looked at first, as a person would."""
    browser, turn, revision = requests.Session(), 0, None
    while not told.ended.is_set():
        page = f"http://127.0.0.1:{ports[(number + turn // 50) % len(ports)]}{address}"
        rule = f"{page}rules/{uid}/"
        try:
            if revision is None:
                revision = looked_at(told, browser, rule)
            else:
                turn += 1
                revision = edited(told, browser, rule, revision, f"c{number}t{turn}")
        except requests.RequestException:
            told.hear_nothing()
            revision = None
        if revision is None:
            time.sleep(0.2)


def looked_at(told: Told, browser: requests.Session, page: str) -> int | None:
    """The revision that the form stands on, signing in first where that is asked; None where there is no such answer."""
    answer = browser.get(page, timeout=60)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', answer.text)
    if "/sign-in/" in answer.url and token:
        form = {"csrfmiddlewaretoken": token[1], "login": "owner", "password": PASSWORD}
        answer = browser.post(answer.url, form, headers={"Referer": answer.url}, timeout=60)
        answer = browser.get(page, timeout=60) if answer.ok else answer
    told.hear(answer)
    base = re.search(r'name="base" value="(\d+)"', answer.text)
    return int(base[1]) if base else None


def edited(told: Told, browser: requests.Session, page: str, revision: int, tag: str) -> int | None:
    """Save the form with another description; the new revision where that is acknowledged."""
    form = {"base": str(revision), "description": tag, "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
    form |= {"action": "accept", "direction": "in", "protocol": "tcp", "port_start": "443", "enabled": "on"}
    answer = browser.post(page, form, headers={"Referer": page}, timeout=60, allow_redirects=False)
    saved = answer.status_code == 302 and "/groups/" in answer.headers["Location"]
    told.hear(answer, tag if saved else "")
    return revision + 1 if saved else None


def faults(here: Place, servers: list["subprocess.Popen[bytes]"], told: Told, wanted: int) -> list[tuple[str, float]]:
    """One fault after the other, with work between; again and again until there are so many commits. Returns how many
    seconds after the end of each fault the first commit was acknowledged again."""
    whole: list[tuple[str, float]] = []
    deeds: list[tuple[str, Callable[[], None]]] = [
        ("worker killed", lambda: kill_a_worker(servers)),
        ("connections terminated", lambda: terminate(here)),
        ("database restarted, fast", lambda: restart(here, signal.SIGINT)),
        ("database restarted, immediate", lambda: restart(here, signal.SIGQUIT)),
        ("database killed", lambda: restart(here, signal.SIGKILL)),
        ("database stopped for 20 s", lambda: restart(here, signal.SIGINT, 20)),
        ("database stopped for 41 s", lambda: restart(here, signal.SIGINT, 41)),
    ]
    count_to(told, 100)
    for name, deed in deeds:
        deed()
        whole.append((name, until_good(told)))
        say(f"{name}: whole after {whole[-1][1]:.1f} s, {len(told.acknowledged)} commits so far")
        count_to(told, len(told.acknowledged) + wanted // 20)
    while len(told.acknowledged) < wanted:
        name, deed = random.choice(deeds[:5])
        deed()
        whole.append((name, until_good(told)))
        count_to(told, min(wanted, len(told.acknowledged) + wanted // 20))
    return whole


def until_good(told: Told) -> float:
    """Seconds until a page, or a commit, is answered as it should be."""
    began = time.monotonic()
    while not told.good_at or told.good_at[-1] < began:
        time.sleep(0.01)
    return told.good_at[-1] - began


def count_to(told: Told, number: int) -> None:
    deadline = time.monotonic() + 600
    while len(told.acknowledged) < number:
        if time.monotonic() > deadline:
            raise SystemExit(f"nothing is acknowledged any more: {told.answers}")
        time.sleep(0.01)


def kill_a_worker(servers: list["subprocess.Popen[bytes]"]) -> None:
    with suppress(psutil.Error):
        random.choice(psutil.Process(random.choice(servers).pid).children()).kill()


def terminate(here: Place) -> None:
    with psycopg.connect(host=str(here.socket), dbname=database.NAME, user=database.ROLE, autocommit=True) as direct:
        # The owner may end the web's sessions, being allowed to act as the web.
        direct.execute(f"SET ROLE {database.WEB_ROLE}")
        direct.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"
        )


def restart(here: Place, number: signal.Signals, seconds: float = 0) -> None:
    pid = database.status(here).pid
    assert pid
    os.kill(pid, number)
    while not gone(pid):
        time.sleep(0.01)
    time.sleep(seconds)
    database.start(here)


def stored(here: Place) -> dict[int, list[tuple[int, str]]]:
    """Of each group its revisions in order: their number, and what the rule was called in them."""
    found: dict[int, list[tuple[int, str]]] = {}
    statement = (
        "SELECT r.group_id, r.number, securitygroups_rules_at(r.group_id, r.number) FROM securitygroups_grouprevision r JOIN securitygroups_securitygroup g"
        " ON g.id = r.group_id WHERE g.name LIKE 'faults-%' ORDER BY 1, 2"
    )
    with psycopg.connect(host=str(here.socket), dbname=database.NAME, user=database.ROLE) as direct:
        for group, number, rules in direct.execute(statement):
            found.setdefault(group, []).append((number, rules[0]["description"]))
    return found


def report(told: Told, whole: list[tuple[str, float]], groups: dict[int, list[tuple[int, str]]]) -> int:
    kept = Counter(tag for revisions in groups.values() for _, tag in revisions if tag != "start")
    lost = told.acknowledged - kept.keys()
    twice = [tag for tag, times in kept.items() if times > 1]
    gaps = sum([number for number, _ in one] != list(range(1, len(one) + 1)) for one in groups.values())
    unsaid = sum(tag not in told.acknowledged for tag in kept)
    other = {answer: times for answer, times in told.answers.items() if answer.startswith("5") and answer != "503"}
    worst: dict[str, float] = {}
    for name, seconds in whole:
        worst[name] = max(worst.get(name, 0), seconds)
    rows: list[tuple[str, Any]] = [
        ("faults", len(whole)),
        ("commits acknowledged", len(told.acknowledged)),
        ("lost", len(lost)),
        ("duplicate", len(twice)),
        ("groups with gaps in their revisions", gaps),
        ("saved, and the answer was lost", unsaid),
        ("answers", dict(told.answers)),
        ("5xx that are not 503", other or 0),
        ("answers of other kinds", sorted(told.odd)),
        ("slowest 503, seconds", f"{told.slowest_503:.2f}"),
        *((f"whole again after: {name}, seconds at most", f"{seconds:.2f}") for name, seconds in worst.items()),
    ]
    for name, value in rows:
        say(f"{name:60} {value}")
    return 1 if lost or twice or gaps or other else 0


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 (a program, which prints)


if __name__ == "__main__":
    sys.exit(main())
