"""Where a VM's rules are enforced, in sentences. Times are written as the page writes them."""

from collections.abc import Mapping

SHORT = {
    "nowhere": "On no host",
    "no agent": "No agent on its host",
    "revoked": "Host revoked",
    "silent": "Host silent",
    "refused": "Refused by its host",
    "drifted": "Changed by hand",
    "applying": "Being applied",
    "in force": "In force",
}
"""How a VM's rules stand, for a list."""
COUNTED = {
    "nowhere": "on no host",
    "no agent": "on a host without an agent",
    "revoked": "on a revoked host",
    "silent": "on a silent host",
    "refused": "refused by the host",
    "drifted": "changed by hand",
}
"""The same of so many VMs, behind their number."""


def on_no_host() -> str:
    return "On no host: nothing is enforced."


def in_force(host: str, since: str) -> str:
    return f"In force on {host} since {since}."


def being_applied(host: str, seconds: int) -> str:
    """A change that is on its way."""
    return f"Being applied on {host}, {_length(seconds)}."


def refused(host: str, why: str) -> str:
    """What the host says of a list that it cannot load; the one before holds there."""
    return f"Refused by {host}: {why.rstrip('.')}."


def silent(host: str, since: str, rules_of: str = "") -> str:
    """Nothing is heard of the host. `rules_of` is when those were loaded that hold there, empty where nothing was."""
    holds = f"the rules of {rules_of} hold" if rules_of else "nothing is known to be in force"
    return f"{host} silent since {since}: {holds}."


def changed_by_hand(host: str, lines: int) -> str:
    return f"Changed by hand on {host}, {lines} line{'' if lines == 1 else 's'}."


def without_agent(host: str) -> str:
    """The host was made, and no agent has come."""
    return f"{host} has no agent yet: nothing is enforced."


def revoked(host: str, rules_of: str = "") -> str:
    """The host is told nothing any more."""
    holds = f"the rules of {rules_of} stay there" if rules_of else "nothing is known to be in force"
    return f"{host} was revoked: {holds}, and no change gets there."


def group_in_force(on: int, of: int) -> str:
    """A group's newest rules, on the VMs that have it."""
    if not of:
        return "On no VM."
    if on == of:
        return "In force on its VM." if of == 1 else f"In force on all {of:,} VMs."
    return f"In force on {on:,} of {of:,} VM{'' if of == 1 else 's'}."


def applied_on(pending: int, of: int, seconds: int, host: str = "") -> str:
    """A change that is on its way to so many VMs; `host` where it is about one VM alone."""
    vms = "its VM" if of == 1 else f"{of:,} VMs" if pending == of else f"{pending:,} of {of:,} VMs"
    return f"Being applied on {host or vms}, {_length(seconds)}."


def not_yet(pending: int, of: int, seconds: int, host: str = "") -> str:
    vms = "its VM" if of == 1 else f"{pending:,} of {of:,} VMs"
    return f"Not yet in force on {host or vms}, after {_length(seconds)}."


def in_force_after(on: int, of: int, seconds: int | None, others: Mapping[str, int], host: str = "") -> str:
    """A change that has come as far as it comes; `others` is how many VMs stand otherwise."""
    vms = "its VM" if of == 1 else f"all {of:,} VMs" if on == of else f"{on:,} of {of:,} VMs"
    after = "" if seconds is None else f", after {_length(seconds)}"
    rest = ", ".join(f"{number:,} {COUNTED[kind]}" for kind, number in others.items() if number)
    return f"In force on {host if host and on else vms}{after}{': ' if rest else ''}{rest}."


def ago(seconds: int) -> str:
    """How long it is that something was heard."""
    return f"{_length(seconds)} ago"


def _length(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
