"""What the agent keeps is found whole, and nobody else reads its key."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from securitygroups.agent import disk, places
from securitygroups.agent.disk import Unreadable
from securitygroups.agent.places import Enrolled, NotEnrolled, Places
from securitygroups.signing.keys import Key

ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from pathlib import Path
from securitygroups.agent import disk
file, turn = Path(sys.argv[1]), 0
while True:
    turn += 1
    disk.write_json(file, {"turn": turn, "long": str(turn % 10) * 200_000})
"""


def test_a_writer_that_is_killed_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    file, seen = tmp_path / "state.json", set[int]()

    for turn in range(12):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(file)], cwd=ROOT)
        while not file.exists() and writer.poll() is None:
            time.sleep(0.01)
        time.sleep(0.05 + turn * 0.013)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        found = disk.read_json(file)
        seen.add(found["turn"])
        assert found["long"] == str(found["turn"] % 10) * 200_000

    assert len(seen) > 1


def test_what_is_not_there_is_none_and_what_is_broken_is_said(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    assert disk.read_json(file) is None

    file.write_bytes(b'{"half": ')

    with pytest.raises(Unreadable, match="holds no JSON"):
        disk.read_json(file)
    with pytest.raises(Unreadable, match="cannot be read"):
        disk.read_json(tmp_path)


def test_what_others_write_is_read_strictly(tmp_path: Path) -> None:
    file = tmp_path / "taps.json"
    file.write_text('{"a": 1, "a": 2}', "utf-8")

    with pytest.raises(Unreadable, match="stands twice"):
        disk.read_strict(file)


def test_a_host_keeps_its_key_for_itself(tmp_path: Path) -> None:
    where = Places(tmp_path / "lasting", tmp_path / "passing")
    where.make()
    with pytest.raises(NotEnrolled):
        places.enrolled(where)
    before = places.changed(where)
    made = Enrolled("https://panel.example.com", Key.new().public, "host-1", "kvm-3", Key.new())

    made.keep(where)

    found = places.enrolled(where)
    assert (found.host, found.key.public) == (made.host, made.key.public)
    assert where.host.stat().st_mode & 0o777 == 0o600
    assert made.key.seed not in repr(made)
    assert places.changed(where) != before


def test_a_damaged_key_is_said(tmp_path: Path) -> None:
    where = Places(tmp_path, tmp_path / "passing")
    Enrolled("https://panel.example.com", Key.new().public, "host-1", "kvm-3", Key.new()).keep(where)
    kept = json.loads(where.host.read_bytes())

    for damaged in ({**kept, "key": "x"}, {**kept, "host": 1}, {**kept, "more": "x"}, [kept]):
        disk.write_json(where.host, damaged)
        with pytest.raises(Unreadable):
            places.enrolled(where)


def test_nobody_else_can_take_the_place_of_a_file_that_is_being_written(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("kept", "utf-8")
    (tmp_path / ".state.json.new").symlink_to(target)

    disk.write(tmp_path / "state.json", b"new")

    assert target.read_text("utf-8") == "kept"
    assert (tmp_path / "state.json").read_bytes() == b"new"
