"""Files that a command is given by name, "-" for standard input, and what is said of those it cannot take."""

import sys
from pathlib import Path

from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.management.programs import Failure


def read_bytes(name: str) -> bytes:
    """The file's bytes. Raises Failure with the file's name and the reason."""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except IsADirectoryError:
        raise Failure(f"{name}: this is a directory; give a file.") from None
    except FileNotFoundError:
        raise Failure(f"{name}: there is no such file.") from None
    except (OSError, ValueError) as error:
        raise Failure(f"{name}: this file cannot be read ({getattr(error, 'strerror', None) or error}).") from None


def refusal(name: str, error: BadDocument) -> Failure:
    """Every fault of the file that is kept, one a line, and how many more there are."""
    name = "standard input" if name == "-" else name
    lines = [f"{name}: {fault}" for fault in error.faults]
    if error.total > len(error.faults):
        lines.append(f"{name}: {error.total - len(error.faults)} more")
    return Failure("\n".join(lines))
