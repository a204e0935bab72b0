"""What a person says with a change, as plain values: every door reads it from what was sent in the same way."""

from collections.abc import Mapping
from dataclasses import dataclass

from securitygroups.firewall.texts import clean
from securitygroups.firewall.values import whole_number

NO_REVISION = -1
MOST_REVISIONS = 10**9 - 1
"""No list has been changed so often, and no column holds much more."""


@dataclass(frozen=True, slots=True)
class Said:
    """`base` is the revision that the change was made from, `onto` the one that it shall go on top of although it was made
    from another; `seen` and `sure` are tokens; `address` is where the person is connected from, for the warning of who would
    lock themselves out.
    """

    base: int
    onto: int = NO_REVISION
    seen: str = ""
    sure: str = ""
    address: str = ""


def said_in(sent: Mapping[str, str], *, base: int, address: str, seen: str = "") -> Said:
    """What was sent with a change of revision `base`."""
    return Said(base=base, onto=number_in(sent, "onto"), seen=seen, sure=sent.get("sure", ""), address=address)


def number_in(sent: Mapping[str, str], name: str) -> int:
    """A revision number that was sent; NO_REVISION for anything else."""
    found = whole_number(sent.get(name, ""), MOST_REVISIONS)
    return NO_REVISION if found is None else found


def reason_in(sent: Mapping[str, str]) -> str:
    """Why the change is made, in one line, as it goes on record."""
    return clean(" ".join(sent.get("reason", "").split()))
