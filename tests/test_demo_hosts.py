"""`manage.py demo --hosts`: rules in force and dropped packets within a minute, and nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, LiteralString

import psutil
import psycopg
import pytest

from karenpanel import database
from securitygroups.management import demo_hosts
from tests.demos import EMBEDDED, ROOT, Demo, copy_of_the_checkout, free_port, sign_in

WITHIN = 60.0
"""Seconds in which somebody who has just started it sees what it is for."""
IN_FORCE = """
SELECT count(*) FROM securitygroups_inforce f JOIN securitygroups_host h ON h.id = f.host_id
WHERE f.vector IS NOT NULL AND f.error = '' AND f.drift = '[]' AND h.name LIKE 'kvm-_'
"""
HITS = "SELECT count(*) FROM securitygroups_rulehits WHERE packets > 0"


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    if why := demo_hosts.missing():
        pytest.skip(why)
    with copy_of_the_checkout() as folder:
        yield folder


def namespaces(process: str = "[0-9]*") -> set[str]:
    """Of the network, of a process's threads; of all that there are. Beside them, other tests make and end theirs."""
    found = set()
    for link in Path("/proc").glob(f"{process}/task/[0-9]*/ns/net"):
        try:
            found.add(str(link.readlink()))
        except OSError:
            continue
    return found


def agents() -> list[int]:
    """Processes of agents that a demo started."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            if (
                "securitygroups.agent" in line
                and demo_hosts.PREFIX in line
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def asked(checkout: Path, question: LiteralString) -> int:
    """A number out of the demo's database."""
    here = database.place(checkout)
    with psycopg.connect(host=str(here.socket), dbname=database.NAME, user=database.ROLE) as direct:
        row = direct.execute(question).fetchone()
    assert row is not None
    return int(row[0])


def until(what: Callable[[], bool], seconds: float = WITHIN) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.5)


def test_rules_are_in_force_and_packets_are_dropped_within_a_minute(checkout: Path) -> None:
    port = free_port()
    with Demo(checkout, EMBEDDED, "--hosts", "--port", str(port), "--password", "hello-there") as demo:
        demo.until("Ready:")
        said = demo.until("Hosts: kvm-1 (app-1, web-1), kvm-2 (db-1); their agents write to ")
        folder = Path(said.removesuffix("."))
        demo.until("Ctrl-C")

        until(lambda: asked(checkout, IN_FORCE) == 3)
        status = told([*agent_of(folder / "kvm-1"), "status", "--json"])
        assert status["name"] == "kvm-1"
        assert sorted(vm["name"] for vm in status["vms"]) == ["app-1", "web-1"]
        assert len(agents()) == 2
        made = namespaces(str(demo.process.pid)) - namespaces("self")
        assert len(made) == 7, "two hosts, three VMs, two clients"
        assert "sign-in" not in sign_in(f"http://127.0.0.1:{port}/", "owner", "hello-there")
        # Counters are told once a minute.
        until(lambda: asked(checkout, HITS) >= 4, 90)
        assert "Traceback" not in (folder / "kvm-1" / "log").read_text("utf-8")

        assert demo.end(signal.SIGINT) == 0

    demo.assert_all_gone(port)
    assert not made & namespaces()
    assert not agents()
    assert not folder.exists()


def agent_of(folder: Path) -> list[str]:
    where = ["--lasting", str(folder / "lasting"), "--passing", str(folder / "passing")]
    return [sys.executable, "-m", "securitygroups.agent", *where]


def told(command: list[str]) -> Any:
    done = subprocess.run(command, cwd=demo_hosts.ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_same_hosts_come_back_and_a_kill_leaves_nothing_that_runs(checkout: Path) -> None:
    with Demo(checkout, EMBEDDED, "--hosts", "--port", str(free_port())) as demo:
        demo.until("Ctrl-C")
        # Enrolling anew forgets what was in force before.
        until(lambda: asked(checkout, IN_FORCE) == 3)
        made = namespaces(str(demo.process.pid)) - namespaces("self")
        demo.process.kill()
        demo.end()
        until(lambda: not agents(), 10)
        assert not made & namespaces()
    assert asked(checkout, "SELECT count(*) FROM securitygroups_host WHERE name LIKE 'kvm-_'") == 2


def test_who_may_not_make_namespaces_is_told_so(tmp_path: Path) -> None:
    script = """
import django, os
django.setup()
from securitygroups.management import demo_hosts
os.setuid(65534)
print(demo_hosts.missing())
"""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "karenpanel.settings"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("--hosts makes network namespaces, which only root may, on Linux: run it as root")
