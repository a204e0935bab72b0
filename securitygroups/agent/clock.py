"""Whether the host's clock is kept right, as the kernel sees it: adjtimex(2)."""

import ctypes
import os

_TIME_ERROR = 5
# struct timex has 208 bytes on every 64-bit Linux; its first word is 0 where nothing is to be set.
_SIZE = 256
FAR = 60
"""Seconds by which the panel's clock may differ from one that is right."""


def state(ahead: int) -> str:
    """“synchronised”, “unsynchronised”, or an empty text where it cannot be told; `ahead` is by how far the panel's clock is."""
    if abs(ahead) > FAR:
        return "unsynchronised"
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_SIZE))
    except (OSError, AttributeError):
        return ""
    if answer < 0:
        return ""
    return "unsynchronised" if answer == _TIME_ERROR else "synchronised"


def kernel() -> str:
    """The kernel's release, such as 6.1.0-18-amd64."""
    return os.uname().release
