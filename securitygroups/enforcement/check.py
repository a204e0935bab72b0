"""Asking nft whether it takes a ruleset, in a network namespace of its own: the host's rules are never read or changed."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from enum import StrEnum

TIME_LIMIT = 10.0
"""Seconds. 10,000 rules take nft about half a second."""

_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
_BRIDGE_STATE = """\
table bridge probe { chain probe { type filter hook prerouting priority 0; policy accept; }; }
table bridge probe { chain probe { ct state established accept; }; }
"""
_MOST_WORDS = 2000


class Answer(StrEnum):
    OK = "ok"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Check:
    """nft's answer. `words` are its own where it refuses, and the reason where it could not be asked."""

    answer: Answer
    words: str = ""

    @property
    def ok(self) -> bool:
        return self.answer is Answer.OK


def _namespaces() -> list[str]:
    """The ways into a private network namespace, the likeliest first: root's own, then one of an own user namespace."""
    return ["-n", "-Urn"] if os.geteuid() == 0 else ["-Urn"]


def _ask(command: list[str], ruleset: str, limit: float) -> Check:
    """Run nft -c once. The environment is replaced so that its words come in English."""
    try:
        done = subprocess.run(
            command,
            input=ruleset.encode(),
            capture_output=True,
            timeout=limit,
            env={"PATH": _PATH, "LC_ALL": "C"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Check(Answer.UNAVAILABLE, f"nft did not answer within {limit:g} seconds.")
    except OSError as error:
        return Check(Answer.UNAVAILABLE, f"{command[0]} cannot be run: {error.strerror}.")
    if done.returncode == 0:
        return Check(Answer.OK)
    words = done.stderr.decode(errors="replace").strip()[:_MOST_WORDS] or f"nft ended with {done.returncode}."
    return Check(Answer.UNAVAILABLE if words.startswith("unshare:") else Answer.REFUSED, words)


def check(ruleset: str, *, limit: float = TIME_LIMIT) -> Check:
    """Whether nft and this machine's kernel take `ruleset` whole, on an empty host. `limit` is in seconds.

    A refusal for want of connection tracking on bridges says nothing about the ruleset, and is given as unavailable.
    """
    nft, unshare = shutil.which("nft", path=_PATH), shutil.which("unshare", path=_PATH)
    if nft is None or unshare is None:
        return Check(Answer.UNAVAILABLE, f"{'nft' if nft is None else 'unshare'} is not installed here.")
    found = Check(Answer.UNAVAILABLE)
    for way in _namespaces():
        command = [unshare, way, nft, "-c", "-f", "-"]
        found = _ask(command, ruleset, limit)
        if found.answer is Answer.UNAVAILABLE:
            continue
        if "Protocol error" in found.words and not _ask(command, _BRIDGE_STATE, limit).ok:
            return Check(
                Answer.UNAVAILABLE,
                "The kernel here has no connection tracking for bridges (nf_conntrack_bridge), so it can check "
                "the bridge-mark and inet targets only.",
            )
        return found
    return found
