"""Which end of a pasted line's packet is a VM of the project, and with that the packet's direction."""

from collections.abc import Iterable

from securitygroups.answers.packet_test import at_ends
from securitygroups.firewall.values import Refused, parse_address


def same_address(text: str, addresses: Iterable[str]) -> bool:
    """Whether the address is one of these, however it is written: the kernel's log writes IPv6 in full."""
    try:
        return parse_address(text) in {parse_address(address) for address in addresses}
    except Refused:
        return False


def vms_at_ends(project: int, source: str, destination: str) -> tuple[bool, bool]:
    """Whether the sender, and whether the receiver is a VM of the project."""
    try:
        (version, sender), (other, receiver) = parse_address(source), parse_address(destination)
    except Refused:
        return False, False
    from_vm, to_vm = at_ends(project, version, sender, receiver if other == version else None)
    return from_vm is not None, to_vm is not None
