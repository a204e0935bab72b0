"""A host of a real panel: the panel's web server, a kernel's namespace with taps, and the agent as a program between them."""

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from securitygroups import operations
from securitygroups.agent.places import Places
from securitygroups.enforcement import applied, keys
from securitygroups.enforcement.applied import Kind, Standing
from securitygroups.firewall.platform import Target
from securitygroups.models import Host, SecurityGroup, VirtualMachine
from securitygroups.operations import By
from tests.agent.frames import Frame, udp_in
from tests.agent.stand import Hypervisor, listener_in
from tests.factories import rule
from tests.hosts_for_real.between import Between, between
from tests.kernel import frames
from tests.kernel.host import _MAC, NETWORK, OTHER_TAP, VM, ether, host_with_taps

ADDRESSES = {VM.tap: "10.0.0.5", OTHER_TAP: "10.0.0.6"}
MACS = {tap: _MAC[tap] for tap in ADDRESSES}


@dataclass
class RealHost(Hypervisor):
    """A host that a real panel knows as `row`. `secret` enrols it."""

    row: Host = field(default_factory=Host)
    secret: str = ""
    way: Between = field(default_factory=lambda: Between(0))

    def offer(self, key: str = "") -> list[str]:
        """The words of the line that enrols it."""
        words = [self.way.url, "--key", key or keys.public(), "--host", self.row.public_id]
        return [*words, "--token", self.secret]

    def enrol(self) -> None:
        self.agent("enrol", *self.offer())

    def enrol_again(self) -> None:
        self.secret = operations.offer_enrolment(host=self.row, by=By())
        self.enrol()

    def has(self, **taps: VirtualMachine) -> None:
        """What an orchestrator writes: whose interface is which."""
        listed = [
            {"tap": tap, "vm": machine.public_id, "mac": MACS[tap], "addresses": [ADDRESSES[tap]]}
            for tap, machine in taps.items()
        ]
        self.places.taps.write_text(json.dumps({"format": "karenpanel-taps/1", "taps": listed}), "utf-8")

    def poll(self, *, status: int | None = 0) -> str:
        """Ask once, load, report; what the agent said of it. The inventory's VMs come with the question behind the report."""
        return self.once(status=status)

    def opens(self, *ports: int, tap: str = VM.tap) -> list[bool]:
        """Which of these ports of the VM take UDP from the network."""
        return self.passes(*(udp_in(self.target, port, tap) for port in ports))

    def changed(self, **fields: object) -> None:
        operations.change_host(host=self.row, fields=fields, by=By())


def from_vm(target: Target, port: int, *, source: int = 0x0A000005, source_port: int = 4000) -> Frame:
    """A packet that the VM at tap0 sends into the network."""
    mark = b"out:" + struct.pack("!HH", port, source_port)
    both = frames.addresses(4, source, 0x0A000009)
    packet = frames.ipv4(both, frames.UDP, frames.udp(both, source_port, port, mark))
    return VM.tap, NETWORK, ether(VM.tap, target) + struct.pack("!H", frames.IPV4) + packet, mark


def commit(group: SecurityGroup, *lines: str) -> None:
    """Give the group this list."""
    group.refresh_from_db()
    rules = [rule(line) for line in lines]
    operations.commit_rules(group=group, rules=rules, base=group.revision, by=By())


def standing_of(machine: VirtualMachine) -> Standing:
    machine.refresh_from_db()
    return applied.of_machine(machine)


def kind_of(machine: VirtualMachine) -> Kind:
    return standing_of(machine).kind


@contextmanager
def real_host(target: Target, folder: Path, port: int, name: str = "kvm-1") -> Iterator[RealHost]:
    """A host of the panel at this port, which its agent is not enrolled for yet. Raises NotHere."""
    with host_with_taps(target) as host:
        host.run("nft flush ruleset")
        host.run("ip link set lo up")
        row, secret = operations.make_host(fields={"name": name, "target": target.value}, by=By())
        with between(port, listener_in(host)) as way:
            made = RealHost(
                host, target, Places(folder / "lasting", folder / "passing"), row=row, secret=secret, way=way
            )
            try:
                made.places.lasting.mkdir(parents=True)
                yield made
            finally:
                made.end()
