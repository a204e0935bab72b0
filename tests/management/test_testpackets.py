"""`manage.py testpackets` as a person runs it: another process, other people's files, no database to be had."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULES = [
    {
        "action": "drop",
        "direction": "in",
        "protocol": "tcp",
        "source": "203.0.113.0/24",
        "port_start": 22,
        "enabled": False,
    },
    {"action": "accept", "direction": "in", "protocol": "tcp", "source": "203.0.113.0/24", "port_start": 22},
    {"action": "drop", "direction": "in", "protocol": "all"},
]
GROUP = json.dumps({"format": "karenpanel.group/1", "name": "web", "rules": RULES})
SSH = '{"direction": "in", "protocol": "tcp", "source": "203.0.113.9", "destination": "10.0.0.5", "port": 22}\n'
ARP_IN, ARP_OUT = '{"direction": "in", "protocol": "non-ip"}\n', '{"direction": "out", "protocol": "non-ip"}\n'


def run(folder: Path, *arguments: str, stdin: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """The command in `folder`, where nothing answers at the database's address."""
    return subprocess.run(
        [sys.executable, ROOT / "manage.py", "testpackets", *arguments],
        cwd=folder,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
        env={**os.environ, "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", **env},
    )


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """What the refusal says; a refusal writes nothing to standard output and shows no traceback."""
    assert (done.returncode, done.stdout) == (1, ""), done
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "group.json").write_text(GROUP, "utf-8")
    (tmp_path / "packets.jsonl").write_text(SSH + "\n" + ARP_IN + ARP_OUT, "utf-8")
    return tmp_path


def test_one_line_a_packet_says_the_verdict_and_the_deciding_rules_place(folder: Path) -> None:
    done = run(folder, "group.json", "packets.jsonl")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        '{"verdict": "accept", "rule": 2}\n{"verdict": "drop", "rule": 3}\n{"verdict": "drop", "rule": null}\n'
    )


def test_the_case_with_the_longest_list_prints_what_it_expects(tmp_path: Path) -> None:
    lines = (ROOT / "tests" / "cases" / "first_match.jsonl").read_text("utf-8").splitlines()
    case = max((json.loads(line) for line in lines), key=lambda case: len(case["rules"]))
    (tmp_path / "g.json").write_text(
        json.dumps({"format": "karenpanel.group/1", "name": "x", "rules": case["rules"]}), "utf-8"
    )

    done = run(tmp_path, "g.json", "-", stdin=json.dumps(case["packet"]))

    assert json.loads(done.stdout) == case["expect"]


def test_a_dash_is_standard_input_for_one_of_the_files(folder: Path) -> None:
    assert run(folder, "group.json", "-", stdin=ARP_IN).stdout == '{"verdict": "drop", "rule": 3}\n'
    assert run(folder, "-", "packets.jsonl", stdin=GROUP).stdout.count("\n") == 3
    assert "Standard input is one file" in refused(run(folder, "-", "-", stdin=GROUP))


def test_no_packets_are_no_lines(folder: Path) -> None:
    done = run(folder, "group.json", "-", stdin="")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_bad_packet_file_is_refused_whole_with_line_and_field(folder: Path) -> None:
    bad = SSH + SSH.replace("10.0.0.5", "10.0.0.0/8") + SSH.replace("22", "65536") + "{\n"

    told = refused(run(folder, "group.json", "-", stdin=bad))

    assert "standard input: line 2, destination: 10.0.0.0/8 is a network: type one address of it" in told
    assert "standard input: line 3, port: 65536 is not a port: type a number from 0 to 65535" in told
    assert "standard input: line 4, column 2: This is not JSON" in told


def test_a_bad_group_file_is_refused_whole_with_line_and_field(folder: Path) -> None:
    (folder / "group.json").write_text(
        GROUP.replace('"rules": [', '"rules": [\n').replace("113.0/24", "113.5/24"), "utf-8"
    )

    told = refused(run(folder, "group.json", "packets.jsonl"))

    assert "group.json: line 2, rules[0].source: 203.0.113.5/24 is an address inside a network" in told
    assert "Type 203.0.113.5/32 for that one address, or 203.0.113.0/24 for the whole network." in told


def test_a_file_full_of_faults_tells_twenty_and_how_many_more(folder: Path) -> None:
    told = refused(run(folder, "group.json", "-", stdin="{}\n" * 30))

    assert told.count("standard input: line ") == 20
    assert told.endswith("standard input: 40 more\n")


@pytest.mark.parametrize(
    "name",
    ["missing.json", "folder", "packets.jsonl/x", "", "x" * 5000, "pipe\x1b[2J"],
    ids=lambda name: ascii(name)[:20],
)
def test_a_file_that_cannot_be_read_is_named(folder: Path, name: str) -> None:
    (folder / "folder").mkdir()

    told = refused(run(folder, name, "packets.jsonl"))

    assert any(words in told for words in ("no such file", "is a directory", "cannot be read"))


def test_packets_that_cannot_be_read_leave_nothing_on_standard_output(folder: Path) -> None:
    assert "gone.jsonl: there is no such file" in refused(run(folder, "group.json", "gone.jsonl"))


def test_a_file_in_another_encoding_is_refused_in_any_locale(folder: Path) -> None:
    (folder / "group.json").write_bytes(GROUP.replace("web", "wéb").encode("latin-1"))

    told = refused(run(folder, "group.json", "packets.jsonl", LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="ascii"))

    assert "group.json: line 1: Byte 44 of this line is not UTF-8: save the file as UTF-8." in told


def test_a_reader_that_has_seen_enough_is_no_error(folder: Path) -> None:
    (folder / "many.jsonl").write_text(ARP_IN * 50_000, "utf-8")

    done = subprocess.run(
        [
            "sh",
            "-c",
            '{ "$0" "$1" testpackets group.json many.jsonl; echo "status $?" >&2; } | head -n 1',
            sys.executable,
            ROOT / "manage.py",
        ],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )

    assert done.stdout == '{"verdict": "drop", "rule": 3}\n'
    assert done.stderr == "status 0\n"
