"""Running nft, and reading back what the kernel has."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from securitygroups.firewall.texts import visible

TIME_LIMIT = 60.0
"""Seconds. A host of 500 VMs with 20 rules each takes nft half a second."""
MOST_WORDS = 800
_PATH = os.pathsep.join(("/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"))

Item = Mapping[str, Any]
"""An object of nft's JSON, such as {"chain": {…}}."""


class NftFailed(RuntimeError):
    """nft could not do what it was asked to; the message is its own. Nothing was changed by what it refused."""


def load(ruleset: str) -> None:
    """Load a ruleset, whole or not at all. Raises NftFailed."""
    _run(["-f", "-"], ruleset)


def command(commands: Sequence[Item]) -> None:
    """Commands in nft's JSON, such as {"delete": {"chain": {…}}}, in one transaction. Raises NftFailed."""
    if commands:
        _run(["-j", "-f", "-"], json.dumps({"nftables": list(commands)}))


def tables() -> list[tuple[str, str]]:
    """Family and name of every table of the host. Raises NftFailed."""
    found = (item["table"] for item in _listed("tables") if "table" in item)
    return [(table["family"], table["name"]) for table in found]


def table(family: str, name: str) -> list[Item]:
    """All that is in a table. Raises NftFailed, also where there is none."""
    return _listed("table", family, name)


def counters(family: str, name: str) -> str:
    """The table's counters, as nft's JSON. Raises NftFailed."""
    return _run(["-j", "list", "counters", "table", family, name])


def _listed(*words: str) -> list[Item]:
    try:
        listed: list[Item] = json.loads(_run(["-j", "list", *words]))["nftables"]
    except (ValueError, KeyError, TypeError):
        raise NftFailed(f"What nft lists as {' '.join(words)} cannot be read.") from None
    return listed


def _run(arguments: list[str], text: str = "") -> str:
    program = shutil.which("nft", path=_PATH)
    if program is None:
        raise NftFailed("nft is not installed on this host.")
    try:
        with _whole(text) as source:
            done = subprocess.run(
                [program, *arguments],
                stdin=source,
                capture_output=True,
                timeout=TIME_LIMIT,
                # So that its words come in English.
                env={"PATH": _PATH, "LC_ALL": "C"},
                check=False,
            )
    except subprocess.TimeoutExpired:
        raise NftFailed(f"nft did not answer within {TIME_LIMIT:g} seconds.") from None
    except OSError as error:
        raise NftFailed(f"nft cannot be run: {error.strerror}.") from None
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip() or f"nft ended with {done.returncode}."
        raise NftFailed(visible(words[:MOST_WORDS], "\n"))
    return done.stdout.decode(errors="replace")


def _whole(text: str) -> BinaryIO:
    """The text as something to read from.

    From a pipe nft would take what came until its writer was killed, and half a ruleset lets through what neither the old
    nor the new one accepts.
    """
    source = os.fdopen(os.memfd_create("ruleset"), "w+b")
    source.write(text.encode())
    source.seek(0)
    return source
