"""`manage.py demo --hosts`: two hosts on this machine, with a real agent each, small VMs, and somebody who knocks.

Hosts, VMs and the network around them are network namespaces of this process, which end with it, whatever ends it. Only
root may make them.
"""

import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from securitygroups import operations
from securitygroups.enforcement import keys
from securitygroups.firewall.platform import Target
from securitygroups.models import Host, Placement, VirtualMachine
from securitygroups.operations import By, Place

T = TypeVar("T")

PROJECT = "shop-production"
HOSTS = {"kvm-1": ("web-1", "app-1"), "kvm-2": ("db-1",)}
CLIENT, ROUTER, GATEWAY = "198.51.100.7", "198.51.100.1", "169.254.0.1"
KNOCKS = (
    # A rule accepts it, a rule drops it, the last group drops it.
    ("web-1", 443),
    ("web-1", 22),
    ("db-1", 5432),
)
EVERY = 4.0
"""Seconds from one round of knocks to the next."""
PREFIX = "karenpanel-demo-hosts-"
ROOT = Path(__file__).resolve().parents[2]
_CLONE_NEWNET, _DEATH_SIGNAL, _KILL = 0x40000000, 1, 9


class Namespace:
    """A network namespace; what is to be done in it is done by a thread that lives there.

    A socket that was made there stays there, whoever uses it, and so does a process.
    """

    def __init__(self) -> None:
        self._orders: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()
        self.do(_unshare)

    def _live(self) -> None:
        while (order := self._orders.get()) is not None:
            what, answer = order
            try:
                answer.set_result(what())
            except BaseException as error:
                answer.set_exception(error)

    def do(self, what: Callable[[], T]) -> T:
        """Raises what it raises."""
        answer: Future[T] = Future()
        self._orders.put((what, answer))
        return answer.result()

    def run(self, *commands: str) -> None:
        """Each has to succeed. Raises CalledProcessError, OSError."""
        for command in commands:
            self.do(partial(subprocess.run, command.split(), check=True, capture_output=True))

    def write(self, name: str, value: str) -> None:
        """A setting below /proc/sys/net."""
        self.do(lambda: (Path("/proc/sys/net") / name).write_text(value))

    def socket(self, kind: int = socket.SOCK_STREAM) -> socket.socket:
        return self.do(lambda: socket.socket(socket.AF_INET, kind))

    @property
    def number(self) -> int:
        """By which the kernel knows the thread that lives there."""
        return self._thread.native_id or 0

    def end(self) -> None:
        self._orders.put(None)
        self._thread.join()


def _unshare() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def missing() -> str:
    """Why no hosts can be made here, and what to do; empty where they can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "--hosts makes network namespaces, which only root may, on Linux: run it as root, or leave --hosts out."
    for tool, package in (("ip", "iproute2"), ("nft", "nftables")):
        if shutil.which(tool) is None:
            return f"--hosts needs the program {tool}: install {package}, or leave --hosts out."
    try:
        trial = Namespace()
    except OSError as error:
        return f"--hosts makes network namespaces, which are refused here: {error.strerror}."
    try:
        trial.run("nft add table inet trial", "ip link add tap0 type veth peer name eth0")
    except subprocess.CalledProcessError as error:
        return f"--hosts cannot be had here: {error.stderr.decode(errors='replace').strip()}"
    finally:
        trial.end()
    return ""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an agent is given: the words of the line that enrols it, and what an orchestrator tells of its VMs."""

    name: str
    words: tuple[str, ...]
    taps: tuple[dict[str, Any], ...]


def prepared(url: str) -> list[Enrolment]:
    """The hosts, as the panel has them from now on, with the VMs that are still there."""
    enrolments = []
    for name, names in HOSTS.items():
        fields = {"name": name, "target": Target.INET.value, "taps": "tap*", "takes": True, "log": 7}
        host, secret = _host(fields)
        live = VirtualMachine.objects.live().filter(project__slug=PROJECT, name__in=names, ipv4__isnull=False)
        taps = tuple(_placed(machine, host, f"tap{at}") for at, machine in enumerate(live.order_by("name")))
        words = (url, "--key", keys.public(), "--host", host.public_id, "--token", secret)
        enrolments.append(Enrolment(name, words, taps))
    return enrolments


def _host(fields: dict[str, Any]) -> tuple[Host, str]:
    host = Host.objects.filter(name=fields["name"]).first()
    if host is None:
        return operations.make_host(fields=fields, by=By())
    if host.revoked_at is None:
        operations.change_host(host=host, fields=fields, by=By())
    return host, operations.offer_enrolment(host=host, by=By())


def _placed(machine: VirtualMachine, host: Host, tap: str) -> dict[str, Any]:
    """What the host's orchestrator writes of a VM; where it stood before, it stands no more."""
    mac = "52:54:00:" + ":".join(f"{int(part):02x}" for part in str(machine.ipv4).split(".")[1:])
    addresses = tuple(str(address) for address in (machine.ipv4, machine.ipv6) if address)
    row = Placement.objects.filter(machine=machine).first()
    if host.revoked_at is None:
        place = Place(host, tap, mac, addresses)
        operations.place_machine(machine=machine, place=place, base=row.number if row else 0, by=By())
    return {"tap": tap, "vm": machine.public_id, "mac": mac, "addresses": list(addresses), "name": machine.name}


class Network:
    """A host's namespace, with those of its VMs and of a client in the network around it."""

    def __init__(self, taps: Sequence[dict[str, Any]]) -> None:
        self.host, self.client = Namespace(), Namespace()
        self.guests: dict[str, tuple[str, Namespace]] = {}
        self._sockets: list[socket.socket] = []
        for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            self.host.write(name, "1")
        self.host.run("ip link set lo up", f"ip link add uplink type veth peer name eth0 netns {self.client.number}")
        self.host.run(f"ip address add {ROUTER}/24 dev uplink", "ip link set uplink up")
        self.client.run("ip link set lo up", f"ip address add {CLIENT}/24 dev eth0", "ip link set eth0 up")
        self.client.run(f"ip route add default via {ROUTER}")
        for tap in taps:
            self._add(tap["name"], tap["tap"], tap["mac"], tap["addresses"][0])

    def _add(self, name: str, tap: str, mac: str, address: str) -> None:
        """A VM behind an interface, which has a web server and nothing else."""
        guest = Namespace()
        self.guests[name] = address, guest
        self.host.run(f"ip link add {tap} type veth peer name eth0 netns {guest.number}", f"ip link set {tap} up")
        self.host.run(f"ip address add {GATEWAY}/32 dev {tap}", f"ip route add {address}/32 dev {tap}")
        guest.run("ip link set lo up", f"ip link set eth0 address {mac} up", f"ip address add {address}/32 dev eth0")
        guest.run(f"ip route add {GATEWAY}/32 dev eth0", f"ip route add default via {GATEWAY}")
        listener = self.kept(guest.socket())
        listener.bind(("", 443))
        listener.listen()
        _beside(_greet, listener)

    def kept(self, one: socket.socket) -> socket.socket:
        """Closed when the network ends."""
        self._sockets.append(one)
        return one

    def knock(self) -> None:
        """Once at each door that is there; and each VM asks somebody for a name, which none of them may."""
        for name, port in KNOCKS:
            if name in self.guests:
                with self.client.socket() as client, suppress(OSError):
                    client.settimeout(0.5)
                    client.connect((self.guests[name][0], port))
        for _, guest in self.guests.values():
            with guest.socket(socket.SOCK_DGRAM) as asked, suppress(OSError):
                asked.sendto(b"who is there?", (CLIENT, 53))

    def end(self) -> None:
        for one in self._sockets:
            # Closing alone would leave a thread waiting in it.
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for namespace in (self.client, *(guest for _, guest in self.guests.values()), self.host):
            namespace.end()


def _beside(work: Callable[..., None], *given: Any) -> None:
    threading.Thread(target=work, args=given, daemon=True).start()


def _greet(listener: socket.socket) -> None:
    while True:
        try:
            visitor, _ = listener.accept()
        except OSError:
            return
        with visitor, suppress(OSError):
            visitor.sendall(b"Hello.\n")


def _pass_on(listener: socket.socket, port: int) -> None:
    """Connections to the panel's port in a host's namespace come to the panel."""
    while True:
        try:
            there, _ = listener.accept()
        except OSError:
            return
        try:
            here = socket.create_connection(("127.0.0.1", port), timeout=30)
        except OSError:
            there.close()
            continue
        here.settimeout(None)
        _beside(_relay, there, here)


def _relay(there: socket.socket, here: socket.socket) -> None:
    with there, here:
        answers = threading.Thread(target=_copy, args=(here, there), daemon=True)
        answers.start()
        _copy(there, here)
        answers.join()


def _copy(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            to.sendall(data)
    with suppress(OSError):
        to.shutdown(socket.SHUT_WR)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, _KILL)


@contextmanager
def _agent(network: Network, enrolment: Enrolment, folder: Path) -> Iterator[None]:
    """An agent in its host's namespace. It takes no rule away when it ends: those go with the namespace."""
    lasting, passing = folder / "lasting", folder / "passing"
    lasting.mkdir(parents=True)
    taps = [{key: value for key, value in tap.items() if key != "name"} for tap in enrolment.taps]
    (lasting / "taps.json").write_text(json.dumps({"format": "karenpanel-taps/1", "taps": taps}), "utf-8")
    program = [sys.executable, "-m", "securitygroups.agent", "--lasting", str(lasting), "--passing", str(passing)]
    with (folder / "log").open("wb") as log:
        started: dict[str, Any] = {"cwd": ROOT, "stdout": log, "stderr": log, "start_new_session": True}
        enrol = [*program, "enrol", *enrolment.words]
        network.host.do(lambda: subprocess.run(enrol, check=True, **started))
        run = [*program, "run"]
        agent = network.host.do(lambda: subprocess.Popen(run, preexec_fn=_die_with_parent, **started))
    try:
        yield
    finally:
        agent.terminate()
        try:
            agent.wait(5)
        except subprocess.TimeoutExpired:
            agent.kill()
            agent.wait()


@contextmanager
def host_running(port: int, enrolment: Enrolment, folder: Path) -> Iterator[Network]:
    """One host, whose agent asks the panel at this port of the machine, and keeps what it knows in the folder."""
    network = Network(enrolment.taps)
    try:
        listener = network.kept(network.host.socket())
        listener.bind(("127.0.0.1", port))
        listener.listen()
        _beside(_pass_on, listener, port)
        with _agent(network, enrolment, folder):
            yield network
    finally:
        network.end()


@contextmanager
def running(port: int, enrolments: Sequence[Enrolment]) -> Iterator[str]:
    """The hosts, whose agents ask the panel at this port; what is yielded is for the person who looks at it."""
    _sweep()
    ended = threading.Event()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-")))
        networks = []
        for enrolment in enrolments:
            networks.append(stack.enter_context(host_running(port, enrolment, folder / enrolment.name)))
        stack.callback(ended.set)
        _beside(_knock, networks, ended)
        named = ", ".join(f"{one.name} ({', '.join(tap['name'] for tap in one.taps)})" for one in enrolments)
        yield f"Hosts: {named}; their agents write to {folder}."


def _knock(networks: Sequence[Network], ended: threading.Event) -> None:
    while not ended.wait(EVERY):
        for network in networks:
            # A namespace that is being ended does nothing any more.
            if not ended.is_set():
                network.knock()


def _sweep() -> None:
    """Take away what demos left that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        number = folder.name.removeprefix(PREFIX).partition("-")[0]
        if number.isdecimal() and not Path(f"/proc/{number}").exists():
            shutil.rmtree(folder, ignore_errors=True)
