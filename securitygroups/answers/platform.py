"""The platform's own lines for people: what stands before every VM's rules, and which of it a tested packet may meet."""

from dataclasses import dataclass, replace

from securitygroups.firewall.guests import Guest
from securitygroups.firewall.platform import PlatformLine, Target, may_meet, platform_lines
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Packet
from securitygroups.words.platform import platform_condition

_ANY = Guest()
Condition = tuple[str, PlatformLine]
"""What must hold, in words, for a line of the platform to decide a packet."""


@dataclass(frozen=True, slots=True)
class Platform:
    """One thing that the platform does before every VM's rules, in one or both directions; `why` is its first sentence."""

    action: Action
    directions: tuple[Direction, ...]
    why: str


def platform(target: Target = Target.BRIDGE) -> list[Platform]:
    """The platform's own lines for people: both families of DHCP, and both directions of the same, in one."""
    found: dict[str, Platform] = {}
    for line in platform_lines(target):
        what = line.what.rstrip("46")
        one = found.get(what) or Platform(line.action, (), line.why.partition(". ")[0].removesuffix(".") + ".")
        found[what] = replace(one, directions=tuple(dict.fromkeys((*one.directions, line.direction))))
    return list(found.values())


def platform_before(packet: Packet, guest: Guest = _ANY) -> list[Condition]:
    """The platform's lines that may decide the packet on a VM before any rule does, each with its condition in words."""
    return [(platform_condition(line), line) for line in may_meet(packet, guest=guest)]
