"""The commands of `karenpanel-agent`, and what a shell is told of how they ended."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from securitygroups.agent import VERSION, enrolling, showing
from securitygroups.agent.disk import Unreadable
from securitygroups.agent.enrolling import Offer, Unsuitable
from securitygroups.agent.panel import NotReached, Refused
from securitygroups.agent.places import LASTING, PASSING, NotEnrolled, Places
from securitygroups.agent.running import Agent
from securitygroups.agent.showing import NoSuchVM

UNIT = "karenpanel-agent.service"
FAILED = 1
"""The exit status where something could not be done; argparse's own is 2."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="karenpanel-agent", description="Holds the rules of a host's VMs.")
    parser.add_argument("--version", action="version", version=VERSION)
    parser.add_argument(
        "--lasting", type=Path, default=LASTING, help=f"where it keeps what outlives a reboot ({LASTING})"
    )
    parser.add_argument("--passing", type=Path, default=PASSING, help=f"where it keeps what does not ({PASSING})")
    commands = parser.add_subparsers(dest="command", required=True)
    enrol = commands.add_parser("enrol", help="make this machine a host of a panel")
    enrol.add_argument("url", help="https://panel.example.com")
    enrol.add_argument("--key", required=True, help="the panel's public key, as the panel shows it")
    enrol.add_argument("--host", required=True, help="the host's ID in the panel")
    enrol.add_argument("--token", help="as the panel shows it; without it, it is read from standard input")
    enrol.add_argument("--authorities", default="", help="a file of certificate authorities to trust, in PEM")
    run = commands.add_parser("run", help="hold the rules until told to stop")
    run.add_argument("--once", action="store_true", help="ask once, load what is new, report, and end")
    status = commands.add_parser("status", help="the host and its VMs in short")
    status.add_argument("--json", action="store_true")
    explain = commands.add_parser("explain", help="a VM's list, and what the kernel has of it")
    explain.add_argument("vm", help="its ID, name or tap")
    commands.add_parser("unit", help="print the unit of systemd")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    typed = _parser().parse_args(_joined(sys.argv[1:] if arguments is None else arguments))
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    where = Places(typed.lasting, typed.passing)
    try:
        return _done(typed, where)
    except (Unsuitable, NotReached, Refused, Unreadable, NotEnrolled, NoSuchVM, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return FAILED


def _joined(arguments: Sequence[str]) -> list[str]:
    """Each secret with the option that it stands behind: one key in 64 begins with a -, and would be an option itself."""
    joined: list[str] = []
    for word in arguments:
        if joined and joined[-1] in ("--key", "--token"):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _done(typed: argparse.Namespace, where: Places) -> int:
    """Raises what the commands raise."""
    if typed.command == "enrol":
        token = typed.token or sys.stdin.readline().strip()
        host = enrolling.enrol(where, typed.url, Offer(typed.key, typed.host, token), typed.authorities)
        _say(f"This machine is the host {host.name} ({host.host}).")
    elif typed.command == "run":
        return _run(Agent(where), once=typed.once)
    elif typed.command == "status":
        told = showing.status(where)
        _say(json.dumps(told, ensure_ascii=False, indent=1) if typed.json else "\n".join(showing.status_lines(told)))
    elif typed.command == "explain":
        for line in showing.explain(where, typed.vm):
            _say(line)
    else:
        _say(files("securitygroups.agent").joinpath(UNIT).read_text("utf-8").rstrip("\n"))
    return 0


def _run(agent: Agent, *, once: bool) -> int:
    if not once:
        agent.run()
        return 0
    words = agent.once()
    if words:
        sys.stderr.write(f"{words}\n")
    return FAILED if words else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
