"""`manage.py nftables` as a person runs it: another process, a group document, no database to be had."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from securitygroups.enforcement.check import Answer, check

ROOT = Path(__file__).parents[2]
RULES = [
    {"action": "accept", "direction": "in", "protocol": "tcp", "port_start": 22, "description": "SSH"},
    {"action": "drop", "direction": "out", "protocol": "all"},
]
GROUP = json.dumps({"format": "karenpanel.group/1", "name": "web", "rules": RULES})
COUNTERS = {"family": "inet", "table": "karenpanel", "name": "hit.group.place.1", "packets": 1234, "bytes": 99999}


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "manage.py", "nftables", *arguments],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
        env={**os.environ, "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"},
    )


def has_nft() -> bool:
    return check("").answer is Answer.OK


def test_a_document_becomes_a_ruleset_without_a_database() -> None:
    done = run("--group", "-", "--target", "inet", "--tap", "tap7", stdin=GROUP)
    assert (done.returncode, done.stderr) == (0, "")
    assert 'tcp dport 22 counter name "hit.group.place.1" goto vm.group.in.ok' in done.stdout
    assert 'add element inet karenpanel vm_in { "tap7" : jump vm.group.in }' in done.stdout


def test_a_swap_leaves_the_skeleton_alone() -> None:
    done = run("--group", "-", "--target", "inet", "--swap", stdin=GROUP)
    assert "hook prerouting" not in done.stdout
    assert "flush chain inet karenpanel vm.group.in" in done.stdout


def entry(kind: str, name: str, **more: object) -> dict[str, object]:
    return {kind: {"family": "inet", "table": "karenpanel", "name": name, **more}}


@pytest.fixture
def loaded(tmp_path: Path) -> str:
    """A file with what nft lists: the document's VM on another tap, with a counter of a rule that is gone."""
    jump = {"jump": {"target": "vm.group.in"}}
    entries = [
        entry("chain", "from_vm"),
        entry("chain", "vm.group.in"),
        entry("chain", "vm.group.in.ip4.9"),
        entry("counter", "hit.group.place.9", packets=1, bytes=2),
        entry("map", "vm_in", type="ifname", map="verdict", elem=[["tap3", jump]]),
    ]
    file = tmp_path / "loaded.json"
    file.write_text(json.dumps({"nftables": entries}))
    return str(file)


def test_a_swap_takes_away_what_it_replaces(loaded: str) -> None:
    done = run("--group", "-", "--target", "inet", "--swap", "--loaded", loaded, stdin=GROUP)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    gone = [line for line in lines if line.startswith("delete")]
    assert gone == [
        'delete element inet karenpanel vm_in { "tap3" }',
        "delete chain inet karenpanel vm.group.in.ip4.9",
        "delete counter inet karenpanel hit.group.place.9",
    ]
    assert lines.index(gone[0]) < lines.index('add element inet karenpanel vm_in { "tap0" : jump vm.group.in }')


def test_a_vm_is_taken_off_the_host_with_all_that_is_loaded_of_it(loaded: str) -> None:
    done = run("--remove", "group", "--target", "inet", "--loaded", loaded)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        'delete element inet karenpanel vm_in { "tap3" }',
        "flush chain inet karenpanel vm.group.in",
        "flush chain inet karenpanel vm.group.in.ip4.9",
        "delete chain inet karenpanel vm.group.in",
        "delete chain inet karenpanel vm.group.in.ip4.9",
        "delete counter inet karenpanel hit.group.place.9",
    ]


def test_the_check_gives_nfts_answer() -> None:
    if not has_nft():
        pytest.skip(f"nft: {check('').words}")
    done = run("--group", "-", "--target", "inet", "--check", stdin=GROUP)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("nft takes the ruleset (")


def test_hits_stand_beside_the_rules(tmp_path: Path) -> None:
    file = tmp_path / "counters.json"
    file.write_text(json.dumps({"nftables": [{"counter": COUNTERS}]}))
    done = run("--group", "-", "--target", "inet", "--hits", str(file), stdin=GROUP)
    lines = done.stdout.splitlines()
    assert lines[0] == "VM group web"
    (ssh,) = [line for line in lines if " 1. " in line]
    assert ssh.split()[:2] == ["1,234", "99,999"]
    (rest,) = [line for line in lines if " 2. " in line]
    assert rest.split()[:2] == ["–", "–"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--group", "-", "vm-1"], "Give VMs, or --group"),
        (["--remove", "vm-1"], "give --loaded, with what `nft -j list table` prints"),
        (["--group", "-", "--loaded", __file__], "not what `nft -j list table` prints"),
        (["--group", "nowhere.json"], "there is no such file"),
        (["--group", "-", "--tap", "eth0"], "the tap eth0 is not one of tap*"),
        (["--group", "-", "--taps", "*"], "not a tap pattern"),
        (["--group", "-", "--hits", "-"], "Standard input is one file"),
        (["--group", "-", "--hits", __file__], "not what `nft -j list counters` prints"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(arguments: list[str], words: str) -> None:
    done = run(*arguments, stdin=GROUP)
    assert done.returncode == 1
    assert done.stdout == ""
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_document_with_a_fault_is_refused_with_its_place() -> None:
    done = run("--group", "-", stdin=GROUP.replace('"tcp"', '"gre"'))
    assert done.returncode == 1
    assert "rules[0].protocol" in done.stderr


def test_nft_is_asked_in_a_namespace_and_its_words_are_kept() -> None:
    if not has_nft():
        pytest.skip(f"nft: {check('').words}")
    assert check("flush ruleset\n").ok
    refused = check("add table inet x\nadd chain inet x\n")
    assert refused.answer is Answer.REFUSED
    assert "Error" in refused.words


def test_nft_is_given_only_so_long() -> None:
    if not has_nft():
        pytest.skip(f"nft: {check('').words}")
    answer = check("add table inet x\n" * 1000, limit=0.001)
    assert answer.answer is Answer.UNAVAILABLE
    assert "within 0.001 seconds" in answer.words


def test_a_machine_without_nft_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("securitygroups.enforcement.check._PATH", str(tmp_path))
    assert shutil.which("nft", path=str(tmp_path)) is None
    assert check("").words == "nft is not installed here."
