"""Files that a command is given by name, "-" for standard input, and what is said of those it cannot take."""

import sys
from pathlib import Path

from django.core.management.base import CommandError

from securitygroups.firewall.formats.strict import BadDocument


def read_bytes(name: str) -> bytes:
    """The file's bytes. Raises CommandError with the file's name and the reason."""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except IsADirectoryError:
        raise CommandError(f"{name}: this is a directory; give a file.") from None
    except FileNotFoundError:
        raise CommandError(f"{name}: there is no such file.") from None
    except (OSError, ValueError) as error:
        raise CommandError(f"{name}: this file cannot be read ({getattr(error, 'strerror', None) or error}).") from None


def refusal(name: str, error: BadDocument) -> CommandError:
    """Every fault of the file that is kept, one a line, and how many more there are."""
    name = "standard input" if name == "-" else name
    lines = [f"{name}: {fault}" for fault in error.faults]
    if error.total > len(error.faults):
        lines.append(f"{name}: {error.total - len(error.faults)} more")
    return CommandError("\n".join(lines))
