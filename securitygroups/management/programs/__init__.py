"""Commands that need no Django, and so start ten times as fast; the management commands of the same names use them too."""

import argparse
import importlib
import sys
from typing import NoReturn, Protocol

NAMES = frozenset({"replay", "testpackets"})


class Failure(Exception):
    """What a person has to put right, in words for them; the command ends with exit status 1."""


class Out(Protocol):
    """Where a command writes to, a line at a time."""

    def write(self, line: str, /) -> object: ...

    def flush(self) -> None: ...


class _NotOurs(Exception):
    """Arguments that are Django's own, or wrong: its parser knows them, and says what is wrong."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _NotOurs


class _StandardOutput:
    def write(self, line: str, /) -> None:
        sys.stdout.write(line if line.endswith("\n") else f"{line}\n")

    def flush(self) -> None:
        sys.stdout.flush()


def run(arguments: list[str]) -> bool:
    """Run the command in these arguments (without the program's name); whether it is one of these. Exits with status 1, and
    the reason on standard error, where it fails."""
    if arguments[:1] == [] or arguments[0] not in NAMES:
        return False
    program = importlib.import_module(f"{__name__}.{arguments[0]}")
    parser = _Parser(add_help=False, allow_abbrev=False)
    program.add_arguments(parser)
    try:
        options = vars(parser.parse_args(arguments[1:]))
    except _NotOurs:
        return False
    try:
        program.handle(options, _StandardOutput())
    except Failure as failure:
        sys.exit(f"CommandError: {failure}")
    return True
