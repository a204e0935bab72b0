"""A VM's row, and what is compiled of it for its host: decided once, for pages, commands and hosts."""

from securitygroups.effective import of_machine, rules_of
from securitygroups.firewall.nftables import TAP_PATTERN, Tap, Target, machine_ruleset
from securitygroups.firewall.values import Rule, RuleList
from securitygroups.models import SecurityGroup, VirtualMachine, placement_of
from securitygroups.models.hosts import addresses_of, own_of

PLACEHOLDER = "tap0"
"""Stands for the interface of a VM whose own is not known."""
# libvirt names the taps that it makes so: as safe to assume as tap*, and no other interface begins like this.
_KNOWN_PATTERNS = ("vnet*",)


def interface_of(machine: VirtualMachine) -> str:
    """The VM's interface on its host, "" where it is not known."""
    placement = placement_of(machine)
    return placement.tap if placement else ""


def on_host(machine: VirtualMachine, tap: str = "") -> Tap:
    """The VM as its host knows it, and is told of it; `tap` where its interface is not known."""
    placement = placement_of(machine)
    addresses = addresses_of(machine, placement)
    four, six = (next((one for one in addresses if (":" in one) == wide), None) for wide in (False, True))
    interface = interface_of(machine) or tap
    return Tap(machine.public_id, interface, machine.name, four, six, own_of(machine, placement))


def listed_on_host(machine: VirtualMachine) -> tuple[Tap, tuple[Rule, ...]]:
    """The VM with its effective list."""
    return on_host(machine), rules_of(of_machine(machine))


def tap_pattern(machine: VirtualMachine) -> str:
    """What the names of all taps of the host begin with, as far as the VM's own tells."""
    known = (pattern for pattern in _KNOWN_PATTERNS if interface_of(machine).startswith(pattern[:-1]))
    return next(known, TAP_PATTERN)


def compiled(machine: VirtualMachine, target: Target, taps: str) -> str:
    """The VM's effective list as a ruleset. Raises Unenforceable."""
    # A ruleset with a placeholder can be read and checked; a host is never given one.
    return machine_ruleset(on_host(machine, PLACEHOLDER), rules_of(of_machine(machine)), target, taps)


def group_ruleset(group: SecurityGroup, rules: RuleList) -> str:
    """The list of a group alone, as the ruleset of a VM that has no other group. Raises Unenforceable."""
    head = f"# The rules of {group.public_id} alone, revision {group.revision}, as of a VM whose interface is {PLACEHOLDER}.\n"
    return head + machine_ruleset(Tap(group.public_id, PLACEHOLDER, group.name), rules, Target.BRIDGE)
