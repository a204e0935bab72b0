"""What systemd is told: that the rules are loaded, what is going on, and that the program is alive. See sd_notify(3)."""

import os
import socket
from contextlib import suppress


def tell(**told: str) -> None:
    """Variables such as READY="1"; nothing where the program was not started by systemd."""
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where:
        return
    lines = "\n".join(f"{name}={' '.join(value.split())}" for name, value in told.items())
    # An abstract address is written with an @ for its first byte, which is zero.
    address = f"\0{where[1:]}" if where.startswith("@") else where
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.sendto(lines.encode(), address)
