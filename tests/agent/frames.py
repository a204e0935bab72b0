"""Frames that a VM's list decides: UDP to a port, in or out, with a mark that is in no other frame."""

import struct
from itertools import count

from securitygroups.firewall.platform import Target
from tests.kernel import frames
from tests.kernel.host import NETWORK, VM, ether

Frame = tuple[str, str, bytes, bytes]
_MARKS = count(1)
_SOURCE_PORTS = count(20_000)


def udp_in(target: Target, port: int, tap: str = VM.tap, source_port: int | None = None) -> Frame:
    """A packet from the network to the VM at the tap; each opens a connection of its own."""
    mark = struct.pack("!4sI", b"mark", next(_MARKS))
    both = frames.addresses(4, 0x0A000009, 0x0A000005)
    packet = frames.ipv4(
        both, frames.UDP, frames.udp(both, source_port or 1024 + next(_SOURCE_PORTS) % 60_000, port, mark)
    )
    return NETWORK, tap, ether(NETWORK, target) + struct.pack("!H", frames.IPV4) + packet, mark
