"""`manage.py replay`: a rule list, or a change of it, against recorded traffic."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest
from django.core.management import CommandError

from securitygroups.firewall.flows import parquet as files
from securitygroups.firewall.flows.compiled import NO_RULE
from securitygroups.firewall.formats.documents import write_group
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Rule, parse_network
from securitygroups.management.commands.replay import Command
from securitygroups.management.programs import replay

IN, OUT = Direction.IN, Direction.OUT
OLD = [
    Rule(Action.ACCEPT, IN, "tcp", None, None, 22, 443),
    Rule(Action.ACCEPT, IN, "ip", parse_network("192.0.2.0/24")),
]
NEW = [Rule(Action.ACCEPT, IN, "tcp", None, None, 443, 443), Rule(Action.ACCEPT, OUT, "all")]
FLOWS = (
    "direction,protocol,source,destination,port\n"
    "in,tcp,203.0.113.9,10.0.0.5,22\nin,tcp,203.0.113.9,10.0.0.5,443\nin,udp,192.0.2.1,10.0.0.5,53\nout,icmp,::1,::2,\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "old.json").write_text(write_group("old", "", OLD))
    (tmp_path / "new.json").write_text(write_group("new", "", NEW))
    (tmp_path / "flows.csv").write_text(FLOWS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> str:
    out = io.StringIO()
    command = Command(stdout=out)
    parser = command.create_parser("manage.py", "replay")
    options: dict[str, Any] = vars(parser.parse_args(arguments))
    command.handle(**options)
    return out.getvalue()


@pytest.mark.usefixtures("folder")
def test_one_list_shows_what_each_rule_decides() -> None:
    text = run("old.json", "flows.csv")

    assert text.startswith("4 flows judged of 4 records (CSV), ")
    assert "Accepted: 3, denied: 1" in text
    assert "2     1  Accept inbound TCP to ports 22–443" in text
    assert "1  none  Denied: no rule matched" in text
    assert "Newly" not in text


@pytest.mark.usefixtures("folder")
def test_two_lists_show_what_changes() -> None:
    text = run("old.json", "flows.csv", "--against", "new.json")

    assert "Accepted by the new list: 2, denied: 2" in text
    assert "Newly denied: 2 flows" in text
    assert "Newly allowed: 1 flows" in text
    assert "203.0.113.9 → 10.0.0.5 (1)" in text
    assert "::1 → ::2 (1)" in text


@pytest.mark.usefixtures("folder")
def test_fewer_groups_and_rules_may_be_asked_for() -> None:
    text = run("old.json", "flows.csv", "--against", "new.json", "--top", "1")

    assert "… and 1 smaller groups" in text
    assert "… and 2 rules that decided fewer" in text


@pytest.mark.usefixtures("folder")
def test_json_has_all_of_it() -> None:
    value = json.loads(run("old.json", "flows.csv", "--against", "new.json", "--json", "--baseline"))

    assert (value["kind"], value["records"], value["flows"], value["skipped"]) == ("CSV", 4, 4, {})
    assert (value["accepted"], value["hits"]) == (3, [1, 2, 1])
    assert (value["accepted_after"], value["hits_after"]) == (2, [2, 1, 1])
    assert value["baseline"]["flows"] == 4
    assert value["baseline"]["mismatches"] == 0
    assert value["newly_denied"]["flows"] == value["newly_denied"]["group_count"] == 2
    assert value["newly_allowed"] == {
        "flows": 1,
        "group_count": 1,
        "exact": True,
        "groups": [
            {
                "flows": 1,
                "direction": "out",
                "family": 6,
                "protocol": 58,
                "port": None,
                "rule_before": None,
                "rule_after": 2,
                "pairs": [{"source": "::1", "destination": "::2", "flows": 1}],
            }
        ],
    }
    assert "newly_denied" not in json.loads(run("old.json", "flows.csv", "--json"))


@pytest.mark.usefixtures("folder")
def test_what_the_log_said_and_what_is_denied_is_told(folder: Path) -> None:
    head, *flows = FLOWS.splitlines()
    said = ["ACCEPT", "REJECT", "", "ACCEPT"]
    lines = [f"{head},action", *(f"{flow},{word}" for flow, word in zip(flows, said, strict=True))]
    (folder / "said.csv").write_text("\n".join(lines) + "\n")

    value, text = json.loads(run("old.json", "said.csv", "--json")), run("old.json", "said.csv")

    assert [(group["protocol"], group["rule_before"]) for group in value["denied"]["groups"]] == [(58, None)]
    assert (value["said"]["accepted"], value["said"]["denied"], value["guessed"]) == (2, 1, 0)
    assert value["said"]["accepted_but_rules_deny"]["groups"][0]["pairs"][0]["source"] == "::1"
    assert value["said"]["denied_but_rules_accept"]["groups"][0]["port"] == 443
    assert "Accepted as the log says: 2, denied: 1" in text
    assert "The log says accepted, the rules deny: 1 flows" in text


@pytest.mark.usefixtures("folder")
def test_the_baseline_decides_one_by_one() -> None:
    assert "One by one: 4 flows, " in run("old.json", "flows.csv", "--baseline")
    assert "One by one: 2 flows, " in run("old.json", "flows.csv", "--against", "new.json", "--baseline", "2")


@pytest.mark.usefixtures("folder")
def test_a_difference_from_the_baseline_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "NO_RULE", NO_RULE + 5)

    with pytest.raises(CommandError, match="1 flows are decided differently"):
        run("old.json", "flows.csv", "--baseline")


def test_local_addresses_give_the_direction(folder: Path) -> None:
    (folder / "flows.csv").write_text("protocol,source,destination,port\ntcp,203.0.113.9,10.0.0.5,22\ntcp,::1,::2,22\n")

    text = run("old.json", "flows.csv", "--local", "10.0.0.0/24, 10.0.1.0/24")

    assert "1 flows judged of 2 records" in text
    assert "1 not judged: neither address is a local one" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.json", "flows.csv"], "none.json: this file cannot be read (No such file"),
        (["old.json", "none.csv"], "none.csv: this file cannot be read (No such file"),
        (["old.json", "."], ".: this file cannot be read (Is a directory"),
        ([".", "flows.csv"], ".: this file cannot be read (Is a directory"),
        (["old.json", "flows\0.csv"], "cannot be read"),
        (["flows.csv", "flows.csv"], "flows.csv: line 1, column 1: This is not JSON"),
        (["old.json", "flows.csv", "--against", "none.json"], "none.json"),
        (["old.json", "old.json"], "old.json: line 1"),
        (["old.json", "bad.csv"], "bad.csv: line 2, port: “x” is not a port"),
        (["old.json", "flows.csv", "--local", "10.0.0.5/24"], "--local: 10.0.0.5/24 is an address inside a network"),
        (["old.json", "flows.csv", "--top", "0"], "--top: write a number from 1 on"),
        (["old.json", "flows.csv", "--baseline", "-1"], "--baseline: write a number from 1 on"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, arguments: list[str], words: str) -> None:
    (folder / "bad.csv").write_text("direction,protocol,source,destination,port\nin,tcp,10.0.0.1,10.0.0.2,x\n")

    with pytest.raises(CommandError) as caught:
        run(*arguments)

    assert words in str(caught.value)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.usefixtures("folder")
def test_a_bar_is_drawn_on_a_terminal_only_and_wiped_away(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        run("old.json", "flows.csv")

        assert ("%" in stream.getvalue()) == stream.isatty()
        assert not stream.isatty() or stream.getvalue().endswith("\r\033[K")


def test_parquet_is_read_from_the_file_and_not_held(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {
        "protocol": ["tcp"] * 5000,
        "source": ["203.0.113.9"] * 5000,
        "destination": ["10.0.0.5"] * 5000,
        "port": [22] * 5000,
    }
    parquet.write_table(arrow.table(columns), folder / "flows.parquet", compression="none", use_dictionary=False)
    monkeypatch.setattr(files, "_MOST_BYTES", 1000)
    monkeypatch.setattr(sys, "stderr", Terminal())

    assert run("old.json", "flows.parquet", "--local=10.0.0.0/8").startswith(
        "5,000 flows judged of 5,000 records (CSV (Parquet))"
    )


def test_the_command_line_needs_no_database(folder: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, str(root / "manage.py"), "replay", "old.json", "-", "--local", "10.0.0.0/8"]
    environment = os.environ | {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing"}

    done, failed = (
        subprocess.run(command, input=text, capture_output=True, text=True, cwd=folder, env=environment, check=False)
        for text in (FLOWS, FLOWS + "x\n")
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("4 flows judged")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "standard input: line 6: It has 1 fields instead of 5." in failed.stderr
