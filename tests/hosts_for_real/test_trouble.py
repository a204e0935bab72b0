"""What goes wrong on a host or with the panel: it is told, nothing else suffers, and nothing is taken away."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from django.conf import settings
from django.db import connection
from psycopg.sql import SQL, Identifier

from karenpanel import database
from securitygroups import operations
from securitygroups.enforcement import applied
from securitygroups.enforcement.applied import Kind
from securitygroups.firewall.nftables import TABLE
from securitygroups.firewall.platform import Target
from securitygroups.models import Host, InForce, SecurityGroup, VirtualMachine
from securitygroups.operations import By
from tests.agent.stand import until
from tests.factories import make_group, make_machine, place
from tests.hosts_for_real.real import RealHost, commit, kind_of, real_host, standing_of
from tests.kernel.conftest import KERNEL
from tests.kernel.host import VM
from tests.server import Server, running

pytestmark = [KERNEL, pytest.mark.django_db(transaction=True)]


def by_hand(real: RealHost, machine: VirtualMachine, line: str = "udp dport 80 accept") -> None:
    real.host.run(f"nft insert rule {real.target.family} {TABLE} vm.{machine.public_id}.in {line}")


def test_a_rule_made_by_hand_is_told_with_its_line_and_taken_out(real: RealHost, vm: VirtualMachine) -> None:
    real.has(tap0=vm)
    real.poll()
    by_hand(real, vm)
    assert real.opens(80) == [True]

    real.poll()

    assert real.opens(80) == [False]
    standing = standing_of(vm)
    assert standing.kind is Kind.DRIFTED
    assert any("udp dport 80 accept" in line for line in standing.drift)
    real.poll()
    assert kind_of(vm) is Kind.IN_FORCE


def test_a_rule_made_by_hand_is_told_and_left_where_the_host_is_so_set(real: RealHost, vm: VirtualMachine) -> None:
    real.has(tap0=vm)
    real.changed(drift="report")
    real.poll()
    by_hand(real, vm)

    for _ in range(2):
        real.poll()
        assert (kind_of(vm), real.opens(80)) == (Kind.DRIFTED, [True])

    real.host.run(f"nft delete rule {real.target.family} {TABLE} vm.{vm.public_id}.in handle {handle_of(real, vm)}")
    real.poll()
    real.poll()
    assert kind_of(vm) is Kind.IN_FORCE


def handle_of(real: RealHost, machine: VirtualMachine) -> str:
    listed = real.host.run(f"nft -a list chain {real.target.family} {TABLE} vm.{machine.public_id}.in")
    found = re.search(r"udp dport 80 accept # handle (\d+)", listed)
    assert found is not None
    return found[1]


def test_a_running_agent_repairs_a_flushed_ruleset_and_tells_of_it(real: RealHost, vm: VirtualMachine) -> None:
    real.has(tap0=vm)
    real.start()
    until(lambda: kind_of(vm) is Kind.IN_FORCE)

    real.host.run("nft flush ruleset")

    until(lambda: vm.public_id in real.ruleset())
    assert real.opens(53, 54) == [True, False]
    until(lambda: "All of it is gone." in standing_of(vm).drift)
    until(lambda: kind_of(vm) is Kind.IN_FORCE, 80)


def test_a_list_that_nft_refuses_is_told_and_the_others_go_on(
    real: RealHost, vm: VirtualMachine, other: VirtualMachine, web: SecurityGroup
) -> None:
    lines = [f"accept in udp {port} from 10.0.{port}.0/24" for port in range(100)]
    long = make_group(vm.project, "long", ["accept in udp 53", *lines])
    operations.attach_groups(machine=vm, groups=[long], base=1, by=By())
    real.has(tap0=vm, tap9=other)
    real.changed(drift="report")
    real.poll()
    loaded = InForce.objects.get(placement=vm.placement)
    # A chain that somebody's rule leads to cannot be deleted, as those of a long list are where a short one comes.
    led_to = re.findall(rf"chain (vm\.{vm.public_id}\.in\.\S+) ", real.ruleset())
    table = f"{real.target.family} {TABLE}"
    real.host.load(f"add chain {table} mine\n" + "".join(f"add rule {table} mine jump {chain}\n" for chain in led_to))

    commit(long, "accept in udp 54")
    commit(web, "accept in udp 55")
    real.poll(status=None)

    standing = standing_of(vm)
    assert standing.kind is Kind.REFUSED
    assert "busy" in standing.error
    assert InForce.objects.get(placement=vm.placement).vector == loaded.vector
    assert real.opens(53, 54) == [True, False], "what was in force holds"
    assert kind_of(other) is not Kind.REFUSED
    assert applied.of_group(web).in_force == (kind_of(other) is Kind.IN_FORCE)
    real.host.run(f"nft delete chain {table} mine")
    real.poll()
    real.poll()
    assert (kind_of(vm), real.opens(53, 54)) == (Kind.IN_FORCE, [False, True])


def test_a_revoked_host_is_told_nothing_and_keeps_its_rules_until_it_is_enrolled_anew(
    real: RealHost, vm: VirtualMachine, web: SecurityGroup
) -> None:
    real.has(tap0=vm)
    real.poll()

    operations.revoke_host(host=real.row, by=By())
    commit(web, "accept in udp 54")

    words = real.poll(status=1)
    assert "revoked" in words
    assert kind_of(vm) is Kind.REVOKED
    assert real.opens(53, 54) == [True, False]
    assert not real.way.of("/state", 200)[1:]
    real.enrol_again()
    real.poll()
    assert (kind_of(vm), real.opens(53, 54)) == (Kind.IN_FORCE, [False, True])


def test_a_running_agent_that_was_revoked_goes_on_at_once_when_it_is_enrolled_anew(
    real: RealHost, vm: VirtualMachine, web: SecurityGroup
) -> None:
    real.has(tap0=vm)
    agent = real.start()
    until(lambda: kind_of(vm) is Kind.IN_FORCE)
    operations.revoke_host(host=real.row, by=By())
    until(lambda: "refuses this host" in real.log)
    commit(web, "accept in udp 54")

    real.enrol_again()

    until(lambda: kind_of(vm) is Kind.IN_FORCE)
    assert real.opens(53, 54) == [False, True]
    assert agent.poll() is None


def test_a_vm_that_moves_is_let_go_by_one_host_and_taken_by_the_other(
    real: RealHost, vm: VirtualMachine, panel: Server, tmp_path: Path
) -> None:
    real.has(tap0=vm)
    real.poll()
    with real_host(Target.INET, tmp_path / "second", panel.port, "kvm-2") as second:
        second.enrol()
        second.has(tap0=vm)
        second.poll()
        assert "has not said that it is gone" in Host.objects.get(pk=second.row.pk).conflicts[0]["why"]
        assert second.opens(53) == [False], "on a tap of no VM nothing passes"

        real.has()
        real.poll()
        assert standing_of(vm).host == "kvm-1", "nobody else has asked for it yet"
        second.poll()

        assert (standing_of(vm).host, kind_of(vm)) == ("kvm-2", Kind.IN_FORCE)
        assert second.opens(53, 54) == [True, False]
        real.poll()
        assert real.opens(53) == [False]
        assert vm.public_id not in real.ruleset()


def test_two_vms_exchange_their_taps(real: RealHost, vm: VirtualMachine) -> None:
    shut = make_machine(vm.project, "shut", [make_group(vm.project, "shut", ["accept in udp 54"])], ipv4="10.0.0.6")
    real.has(tap0=vm, tap9=shut)
    real.poll()
    assert real.opens(53, 54) == [True, False]

    real.has(tap9=vm, tap0=shut)
    real.poll()

    assert (kind_of(vm), kind_of(shut)) == (Kind.IN_FORCE, Kind.IN_FORCE)
    assert real.opens(53, 54) == [False, True], "at tap0 there is the other one now"


# ── The panel, and its database ───────────────────────────────────────────────


def kill(server: Server) -> None:
    """With all its workers, at once."""
    family = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
    for process in family:
        process.send_signal(signal.SIGKILL)
    server.process.wait()


def test_a_panel_that_is_killed_takes_nothing_away_and_is_heard_when_it_is_back(
    real: RealHost, vm: VirtualMachine, web: SecurityGroup, tmp_path: Path
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    real.has(tap0=vm)
    with running(tmp_path / "one") as server:
        real.way.port = server.port
        real.start()
        until(lambda: kind_of(vm) is Kind.IN_FORCE)
        kill(server)
    commit(web, "accept in udp 54")
    until(lambda: "does not answer" in real.log)
    assert real.opens(53, 54) == [True, False]

    with running(tmp_path / "two") as server:
        real.way.port = server.port

        until(lambda: kind_of(vm) is Kind.IN_FORCE, 40)
        assert real.opens(53, 54) == [False, True]
        real.end()


@contextmanager
def database_away() -> Iterator[None]:
    """The server lets nobody into the database of the test, and whoever was in is thrown out."""
    if not database.is_embedded(settings.DATABASES["default"]):
        pytest.skip("the processes of a server elsewhere cannot be ended from here")
    name = connection.settings_dict["NAME"]
    connection.close()
    to = database.parameters(settings.DATABASES["default"]) | {"dbname": "postgres"}
    with psycopg.connect(**to, autocommit=True) as direct:
        direct.execute(SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(Identifier(name)))
        try:
            # By their numbers: those of the web's own role are not this role's to end.
            rows = direct.execute("SELECT pid FROM pg_stat_activity WHERE datname = %s", [name])
            for (pid,) in rows.fetchall():
                os.kill(pid, signal.SIGTERM)
            yield
        finally:
            direct.execute(SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(Identifier(name)))


def test_a_database_that_is_away_is_told_and_takes_nothing_away(
    real: RealHost, vm: VirtualMachine, web: SecurityGroup
) -> None:
    real.has(tap0=vm)
    real.poll()
    with database_away():
        words = real.poll(status=1)

        assert "cannot answer now: The database cannot be asked" in words
        assert real.opens(53, 54) == [True, False]
        assert real.way.went[-1][1].status == 503

    until(lambda: real.poll(status=None) == "")
    commit(web, "accept in udp 54")
    real.poll()
    assert (kind_of(vm), real.opens(53, 54)) == (Kind.IN_FORCE, [False, True])


def test_a_running_agent_goes_on_when_the_database_is_back(
    real: RealHost, vm: VirtualMachine, web: SecurityGroup
) -> None:
    real.has(tap0=vm)
    real.start()
    until(lambda: kind_of(vm) is Kind.IN_FORCE)
    with database_away():
        until(lambda: "cannot answer now" in real.log)

    commit(web, "accept in udp 54")

    until(lambda: kind_of(vm) is Kind.IN_FORCE, 40)
    assert real.opens(53, 54) == [False, True]


def test_a_vm_that_operators_pinned_stays_where_it_is(real: RealHost, vm: VirtualMachine) -> None:
    place(vm, real.row, VM.tap, mac="02:00:00:00:00:01", pinned=True)
    real.has(tap9=vm)

    real.poll()

    assert (kind_of(vm), real.opens(53)) == (Kind.IN_FORCE, [True])
    real.row.refresh_from_db()
    assert "pinned" in real.row.conflicts[0]["why"]
