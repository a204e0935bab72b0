"""The agent is one file that needs nothing of the panel, and equal sources make equal bytes."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from securitygroups.agent import VERSION
from securitygroups.agent.building import build
from tests.agent.conftest import KERNEL
from tests.agent.frames import udp_in
from tests.agent.panel import HOST, TOKEN, PanelServer, listener, serving
from tests.agent.stand import Stand, machine, rules

# Runs the program where neither numpy nor Django nor anything of the panel can be imported.
ALONE = """
import runpy, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"django", "numpy", "psycopg", "httpx", "typer", "environs", "karenpanel"}:
            raise ModuleNotFoundError(f"{name} is not to be had here")
sys.meta_path.insert(0, Absent())
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def alone(program: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-c", ALONE, str(program), *words], capture_output=True, text=True, check=False, cwd="/"
    )


def test_it_runs_without_anything_of_the_panel(tmp_path: Path) -> None:
    program = tmp_path / "karenpanel-agent"

    modules = build(program)

    done = alone(program, "--version")
    assert (done.stdout, done.stderr) == (f"{VERSION}\n", "")
    assert "securitygroups.firewall.nftables.ruleset" in modules
    assert not [name for name in modules if name.startswith(("securitygroups.models", "securitygroups.firewall.flows"))]
    assert alone(program, "status").stderr.startswith("This machine is no host of a panel")


def test_it_is_one_file_that_can_be_started(tmp_path: Path) -> None:
    program = tmp_path / "karenpanel-agent"
    build(program)

    assert program.stat().st_mode & 0o777 == 0o755
    assert program.read_bytes().startswith(b"#!/usr/bin/python3 -I\n")
    assert program.stat().st_size < 600_000
    assert [file.name for file in tmp_path.iterdir()] == ["karenpanel-agent"]
    assert ZipFile(program).testzip() is None


def test_equal_sources_make_equal_bytes(tmp_path: Path) -> None:
    build(tmp_path / "one")
    build(tmp_path / "two")

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_unit_comes_with_it(tmp_path: Path) -> None:
    program = tmp_path / "karenpanel-agent"
    build(program)

    unit = alone(program, "unit").stdout

    for line in (
        "Type=notify",
        "Before=libvirtd.service",
        "After=nftables.service",
        "CapabilityBoundingSet=CAP_NET_ADMIN",
    ):
        assert line in unit
    assert "ExecStop" not in unit


def test_the_distributions_own_python_runs_it(tmp_path: Path) -> None:
    program, python = tmp_path / "karenpanel-agent", "/usr/bin/python3"
    build(program)
    try:
        subprocess.run([python, "-I", "-c", "import cryptography"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("the system's Python has no cryptography here")
    with serving(PanelServer(), listener()) as panel:
        where = ["--lasting", str(tmp_path / "lasting"), "--passing", str(tmp_path / "passing")]
        offer = [panel.url, "--key", panel.key.public, "--host", HOST, "--token", TOKEN]

        done = subprocess.run([str(program), *where, "enrol", *offer], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == (f"This machine is the host kvm-3 ({HOST}).\n", "")


@KERNEL
def test_it_holds_the_rules_of_a_host(stand: Stand, tmp_path: Path) -> None:
    program = tmp_path / "karenpanel-agent"
    build(program)
    stand.say({("sg-dns", 1): rules("dns: accept in udp 53")}, machine("vm-1", "tap0", ("sg-dns", 1)))
    where = ["--lasting", str(stand.places.lasting), "--passing", str(stand.places.passing)]

    done = subprocess.run(
        [*stand.inside, sys.executable, "-I", "-c", ALONE, str(program), *where, "run", "--once"], check=False, cwd="/"
    )

    assert done.returncode == 0
    assert stand.passes(udp_in(stand.target, 53), udp_in(stand.target, 80)) == [True, False]
