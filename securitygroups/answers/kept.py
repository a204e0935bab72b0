"""Answers that are kept once they are found, for all web processes, as JSON on the shelf.

A key begins with the version of the code that finds answers, so that no answer outlives it, and goes on with the project
and with what the answer was found in: nobody is ever shown another project's, nor can tell by the time that it takes
whether another project has asked the same.
"""

import base64
import zlib
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from json import dumps, loads
from pathlib import Path
from typing import Any

from django.core.cache import caches

_ROOT = Path(__file__).parents[1]
_FINDING = ("firewall/**/*.py", "words/*.py", "answers/*.py", "effective.py", "past.py")


@cache
def _version() -> str:
    """Whatever of the code is changed, it is another version: a number would be forgotten one day."""
    files = sorted(path for pattern in _FINDING for path in _ROOT.glob(pattern))
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def kept(kind: str, mark: Callable[[], str], find: Callable[[], Any], worth: Callable[[Any], bool]) -> Any:
    """The answer, as JSON has it. `mark` tells what it is found in, before and after; `worth` whether to keep it."""
    before = mark()
    if (held := known(kind, before)) is not None:
        return held
    found = find()
    # What was changed while it was read was read half before and half after.
    if worth(found) and mark() == before:
        keep(kind, before, found)
    return found


def known(kind: str, *marks: str) -> Any:
    """What is kept under one of the marks, the newest of it; None where nothing is (one query)."""
    shelf: Any = caches["answers"]
    held = shelf.look(*(f"{kind}:{_version()}:{mark}" for mark in marks))
    return None if held is None else loads(zlib.decompress(base64.b64decode(held)))


def keep(kind: str, mark: str, found: Any) -> None:
    """Lay it on the shelf, for as long as there is room."""
    shelf: Any = caches["answers"]
    shelf.put(f"{kind}:{_version()}:{mark}", base64.b64encode(zlib.compress(dumps(found).encode(), 1)).decode())
