"""Commands that need no Django: they do not load it, and nobody notices by what they say."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    code = "import atexit, sys; atexit.register(lambda: print('django' in sys.modules)); import manage; manage.main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [("testpackets", "none.json", "-"), ("replay", "none.json", "none.csv")])
def test_they_start_without_django_and_fail_in_its_words(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)

    assert done.returncode == 1
    assert done.stdout == "False\n"
    assert done.stderr.startswith("CommandError: none.json: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("testpackets",), "the following arguments are required: GROUP.json, PACKETS.jsonl"),
        (("replay", "a", "b", "--top", "many"), "argument --top: invalid int value: 'many'"),
        (("replay", "none.json", "b", "--traceback"), "Traceback"),
    ],
)
def test_what_they_do_not_know_is_left_to_django(arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments)

    assert done.returncode != 0
    assert done.stdout == "True\n"
    assert words in done.stderr


def test_they_are_still_listed() -> None:
    listed = run("help").stdout

    assert {"replay", "testpackets"} <= set(listed.split())
    assert "--against" in run("replay", "--help").stdout
