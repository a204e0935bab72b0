"""A hypervisor under test: a kernel's network namespace with taps, a panel that it reaches, and the agent as a program."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from securitygroups.agent.places import Places
from securitygroups.firewall.documents import rule_to_json
from securitygroups.firewall.notation import rule
from securitygroups.firewall.platform import Target
from tests.agent.panel import HOST, TOKEN, PanelServer, serving
from tests.kernel.host import Host, host_with_taps

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0
"""Seconds that a test waits for what takes the agent well under one."""
_LISTEN = """
import socket, sys
channel = socket.socket(fileno=int(sys.argv[1]))
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", 0))
listener.listen(64)
socket.send_fds(channel, [b"x"], [listener.fileno()])
"""
# Asked in a few lines, for the agent's own way to ask takes a second to import.
_GENERATION = """
import socket, struct
asked = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
asked.send(struct.pack("=IHHIIBBH", 20, 0xA10, 1, 1, 0, 0, 0, 0))
print(struct.unpack_from("!I", asked.recv(4096), 24)[0])
"""


def rules(*lines: str) -> list[dict[str, Any]]:
    """Rules as a state has them; the ID is what stands before a colon."""
    documents = []
    for line in lines:
        uid, _, said = line.partition(": ")
        documents.append({**rule_to_json(rule(said)), "id": uid})
    return documents


def machine(uid: str, tap: str, *groups: tuple[str, int], **more: Any) -> dict[str, Any]:
    """A VM as a state has it: attached once, placed once, held to nothing, unless it is said."""
    vector = {"attached": more.pop("attached", 1), "placement": more.pop("placement", 1), "text": 2}
    plain = {"id": uid, "name": uid, "tap": tap, "mac": "", "addresses": [], "held": False}
    return {**plain, "vector": {**vector, "groups": [list(group) for group in groups]}, **more}


def state(
    target: Target, groups: dict[tuple[str, int], list[dict[str, Any]]], *machines: dict[str, Any], **more: Any
) -> Any:
    listed = [{"id": uid, "revision": revision, "rules": rules} for (uid, revision), rules in groups.items()]
    plain = {"format": "karenpanel-state/1", "host": HOST, "target": target.value, "taps": "tap*"}
    settings = {"drift": "repair", "cut": False, "log": 7}
    return {**plain, **settings, "groups": listed, "vms": list(machines), **more}


class Done(NamedTuple):
    """How a command ended, and what it wrote: to standard output, and to the other."""

    status: int
    out: str
    words: str


@dataclass
class Hypervisor:
    """One host with its agent, of no panel yet. `running` are the agents that the test has started."""

    host: Host
    target: Target
    places: Places
    running: list[subprocess.Popen[str]] = field(default_factory=list)
    _forking: subprocess.Popen[str] | None = None

    @property
    def inside(self) -> list[str]:
        """How a command gets into the namespace."""
        return inside(self.host)

    @property
    def where(self) -> list[str]:
        return ["--lasting", str(self.places.lasting), "--passing", str(self.places.passing)]

    def command(self, *words: str) -> list[str]:
        """One of the agent's commands, as a program."""
        return [*self.inside, sys.executable, "-m", "securitygroups.agent", *self.where, *words]

    def agent(self, *words: str, status: int | None = 0, text: str = "") -> Done:
        """Run one of the agent's commands to its end."""
        if self._forking is None:
            script = [sys.executable, "-m", "tests.agent.forked"]
            self._forking = subprocess.Popen(
                [*self.inside, *script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
            )
        assert self._forking.stdin is not None
        assert self._forking.stdout is not None
        self._forking.stdin.write(json.dumps({"arguments": [*self.where, *words], "text": text}) + "\n")
        self._forking.stdin.flush()
        answer = json.loads(self._forking.stdout.readline())
        done = Done(answer["status"], answer["out"], answer["words"])
        assert status is None or done.status == status, done
        return done

    def once(self, *, status: int | None = 0) -> str:
        """Ask, load, report; what the agent said of it."""
        return self.agent("run", "--once", status=status).words

    def start(self) -> subprocess.Popen[str]:
        """The agent as it runs on a host; systemd would hear of it at a socket in the lasting folder."""
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ready.bind(str(self.places.lasting / f"notify-{len(self.running)}"))
        ready.settimeout(PATIENCE)
        environment = {**os.environ, "NOTIFY_SOCKET": ready.getsockname()}
        with ready:
            log = (self.places.lasting / "log").open("a")
            started = subprocess.Popen(self.command("run"), stderr=log, text=True, cwd=ROOT, env=environment)
            log.close()
            self.running.append(started)
            while b"READY=1" not in ready.recv(4096):
                pass
        return started

    @property
    def log(self) -> str:
        return (self.places.lasting / "log").read_text("utf-8")

    def passes(self, *frames: tuple[str, str, bytes, bytes]) -> list[bool]:
        return self.host.send(list(frames))

    def ruleset(self) -> str:
        """All that the kernel has, without the numbers of counters."""
        return self.host.run("nft -s list ruleset")

    def generation(self) -> int:
        """The number of the ruleset: another after each transaction."""
        done = subprocess.run(
            [*self.inside, sys.executable, "-S", "-c", _GENERATION], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    def reboot(self) -> None:
        """What lives no longer than the kernel is gone, and so is its ruleset."""
        self.host.run("nft flush ruleset")
        shutil.rmtree(self.places.passing)

    def end(self) -> None:
        for agent in self.running:
            agent.kill()
            agent.wait()
        if self._forking is not None:
            self._forking.communicate()


@dataclass
class Stand(Hypervisor):
    """A hypervisor, and the panel of tests that it asks."""

    panel: PanelServer = field(default_factory=PanelServer)

    def enrol(self) -> None:
        self.panel.token = TOKEN
        self.agent("enrol", self.panel.url, "--key", self.panel.key.public, "--host", HOST, "--token", TOKEN)

    def say(self, groups: dict[tuple[str, int], list[dict[str, Any]]], *machines: dict[str, Any], **more: Any) -> None:
        """What the panel says from now on."""
        self.panel.state = state(self.target, groups, *machines, **more)


def inside(host: Host) -> list[str]:
    whose = ["-t", str(host._worker.pid)]
    return ["nsenter", *whose, "-n"] if os.geteuid() == 0 else ["nsenter", *whose, "-U", "-n", "--preserve-credentials"]


def listener_in(host: Host) -> socket.socket:
    """A socket that listens in the namespace, for a server outside of it."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with here, there:
        command = [*inside(host), sys.executable, "-S", "-c", _LISTEN, str(there.fileno())]
        subprocess.run(command, pass_fds=[there.fileno()], check=True, timeout=PATIENCE)
        _, [handle], _, _ = socket.recv_fds(here, 16, 1)
    return socket.socket(fileno=handle)


@contextmanager
def standing(target: Target, folder: Path) -> Iterator[Stand]:
    """A hypervisor with the taps of tests.kernel, enrolled at its panel. Raises NotHere."""
    with host_with_taps(target) as host:
        host.run("nft flush ruleset")
        host.run("ip link set lo up")
        with serving(PanelServer(), listener_in(host)) as panel:
            stand = Stand(host, target, Places(folder / "lasting", folder / "passing"), panel=panel)
            try:
                stand.places.lasting.mkdir()
                stand.enrol()
                yield stand
            finally:
                stand.end()


def until(what: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait for it. Fails after `patience` seconds."""
    end = time.monotonic() + patience
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
