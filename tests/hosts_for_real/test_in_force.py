"""From a commit in the panel to frames on a host: a real web server, a real agent, a real kernel."""

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from securitygroups import operations
from securitygroups.agent import VERSION
from securitygroups.answers.packet_test import ask_machine
from securitygroups.enforcement import applied
from securitygroups.enforcement.applied import Kind
from securitygroups.firewall.nftables.counters import Counted
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet
from securitygroups.models import AccountEvent, Event, InForce, RuleHits, SecurityGroup, VirtualMachine
from securitygroups.operations import By
from tests.agent.stand import until
from tests.factories import make_group, place
from tests.hosts_for_real.real import RealHost, commit, from_vm, kind_of, standing_of
from tests.kernel.conftest import KERNEL
from tests.kernel.host import VM

pytestmark = [KERNEL, pytest.mark.django_db(transaction=True)]


def test_a_vm_that_the_host_has_is_placed_and_its_list_is_in_force_with_one_question(
    fresh: RealHost, vm: VirtualMachine, web: SecurityGroup
) -> None:
    assert kind_of(vm) is Kind.NOWHERE
    fresh.enrol()
    fresh.has(tap0=vm)

    fresh.poll()

    standing = standing_of(vm)
    assert (standing.kind, standing.host, standing.outdated) == (Kind.IN_FORCE, "kvm-1", False)
    vm.placement.refresh_from_db()
    assert (vm.placement.tap, vm.placement.addresses, vm.placement.held) == (VM.tap, ["10.0.0.5"], True)
    assert fresh.opens(53, 54) == [True, False]
    assert fresh.passes(from_vm(fresh.target, 53), from_vm(fresh.target, 54)) == [True, False]
    fresh.row.refresh_from_db()
    assert (fresh.row.agent, fresh.row.conflicts) == (VERSION, [])
    assert AccountEvent.objects.filter(verb="host.enrolled").count() == 1
    assert "Placed web-1 on the host kvm-1" in Event.objects.filter(machine=vm).latest("pk").summary


def test_a_commit_is_in_force_with_the_next_question(fresh: RealHost, vm: VirtualMachine, web: SecurityGroup) -> None:
    fresh.enrol()
    fresh.has(tap0=vm)
    fresh.poll()

    commit(web, "drop in udp 53 from 10.0.0.9", "accept in udp 54")

    assert kind_of(vm) is Kind.APPLYING
    assert fresh.opens(53, 54) == [True, False]
    fresh.poll()
    assert kind_of(vm) is Kind.IN_FORCE
    assert fresh.opens(53, 54) == [False, True]


def test_a_vm_sends_as_itself_alone_unless_operators_say_otherwise(fresh: RealHost, vm: VirtualMachine) -> None:
    fresh.enrol()
    fresh.has(tap0=vm)
    fresh.poll()
    assert fresh.passes(from_vm(fresh.target, 53, source=0x0A000007)) == [False]
    assert judged(vm) == (False, "spoofed")
    assert fresh.host.counters(fresh.target)[Counted(vm.public_id, "out", "spoofed")].packets == 1

    place(vm, fresh.row, VM.tap, held=False)
    fresh.poll()

    assert fresh.passes(from_vm(fresh.target, 53, source=0x0A000007, source_port=4001)) == [True]
    assert judged(vm) == (True, "")


def judged(vm: VirtualMachine) -> tuple[bool, str]:
    """What the packet test says of that packet of the VM: whether it passes, and what of the platform drops it."""
    packet = Packet(Direction.OUT, 4, 17, 0x0A000007, 0x0A000009, 53)
    (trace,) = ask_machine(VirtualMachine.objects.get(pk=vm.pk), packet).traces
    return trace.passes, trace.barred.what if trace.barred else ""


def test_a_group_on_two_vms_is_in_force_on_both(
    real: RealHost, vm: VirtualMachine, other: VirtualMachine, web: SecurityGroup
) -> None:
    real.has(tap0=vm, tap9=other)
    real.poll()
    assert applied.of_group(web).sentence == "In force on all 2 VMs."

    commit(web, "accept in udp 54")

    assert applied.of_group(web).sentence == "In force on 0 of 2 VMs."
    real.poll()
    assert applied.of_group(web).sentence == "In force on all 2 VMs."
    assert real.opens(53, 54) == [False, True]


def test_groups_that_are_attached_moved_and_detached_come_along(
    real: RealHost, vm: VirtualMachine, web: SecurityGroup
) -> None:
    shut = make_group(vm.project, "shut", ["drop in udp 53"])
    real.has(tap0=vm)
    real.poll()

    for groups, open_now in (([shut, web], False), ([web, shut], True), ([shut], False), ([web], True)):
        vm.refresh_from_db()
        operations.attach_groups(machine=vm, groups=groups, base=vm.revision, by=By())
        real.poll()
        assert (kind_of(vm), real.opens(53)) == (Kind.IN_FORCE, [open_now])


def test_a_vm_that_is_deleted_or_taken_off_passes_nothing(
    real: RealHost, vm: VirtualMachine, other: VirtualMachine
) -> None:
    real.has(tap0=vm, tap9=other)
    real.poll()
    assert real.opens(53) == [True]

    real.has(tap9=other)
    place(vm, None)
    real.poll()

    assert kind_of(vm) is Kind.NOWHERE
    assert kind_of(other) is Kind.IN_FORCE
    assert real.opens(53) == [False]
    assert vm.public_id not in real.ruleset()


def test_a_running_agent_hears_of_a_commit_and_of_packets(
    real: RealHost, vm: VirtualMachine, web: SecurityGroup
) -> None:
    real.has(tap0=vm)
    real.start()
    until(lambda: kind_of(vm) is Kind.IN_FORCE)
    until(lambda: " 7 " in real.host.run("cat /proc/net/netfilter/nfnetlink_log"))

    commit(web, "accept in udp 54")
    until(lambda: kind_of(vm) is Kind.IN_FORCE)
    assert real.opens(53, 54, 54) == [False, True, True]

    until(lambda: bool(drops(real)))
    [drop] = drops(real)
    assert (drop["vm"], drop["reason"], drop["port"], drop["source"]) == (vm.public_id, "none", 53, "10.0.0.9")
    standing = InForce.objects.get(placement=vm.placement)
    assert drop["vector"] == standing.vector


def test_what_was_counted_is_kept_for_rules_and_for_the_platforms_lines(
    real: RealHost, vm: VirtualMachine, web: SecurityGroup
) -> None:
    real.has(tap0=vm)
    real.poll()
    real.opens(53, 53, 54)

    real.poll()

    uid = web.rules.get(position=1).uid

    def counted() -> tuple[int, bool]:
        hits = dict(RuleHits.objects.filter(machine=vm).values_list("what", "packets"))
        assert hits.keys() == {uid, "none"}
        # Beside what is sent here, the host says things by itself now and then.
        return hits[uid], hits["none"] >= 1

    assert counted() == (2, True)
    real.poll()
    assert counted() == (2, True)


def drops(real: RealHost) -> list[dict[str, Any]]:
    """What the panel was told of dropped packets."""
    told = [json.loads(asked.body)["samples"] for asked, said in real.way.of("/report", 200)]
    return [one for samples in told for one in samples if one["verdict"] == "drop"]


def test_the_built_program_enrols_and_holds_the_rules(real: RealHost, vm: VirtualMachine, tmp_path: Path) -> None:
    program = tmp_path / "karenpanel-agent"
    call_command("agent", "build", str(program), stdout=StringIO())
    real.secret = operations.offer_enrolment(host=real.row, by=By())
    start = [*real.inside, sys.executable, "-I", str(program), *real.where]

    said = subprocess.run([*start, "enrol", *real.offer()], capture_output=True, text=True, check=False, cwd="/")

    assert (said.stdout, said.stderr) == (f"This machine is the host kvm-1 ({real.row.public_id}).\n", "")
    real.has(tap0=vm)
    subprocess.run([*start, "run", "--once"], check=True, cwd="/")
    assert kind_of(vm) is Kind.IN_FORCE
    assert real.opens(53, 54) == [True, False]
