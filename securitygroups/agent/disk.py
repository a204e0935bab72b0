"""Files that are found whole or not at all, whenever the host loses its power."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from securitygroups.firewall.formats.strict import BadDocument, decode, load_json

MAX_FILE = 64 * 2**20
"""Bytes of a file that the agent reads; what it writes is smaller."""


class Unreadable(ValueError):
    """A file is there and cannot be read as what it should be; the message names it and says why."""


def write(file: Path, data: bytes, *, mode: int = 0o600, lasting: bool = True) -> None:
    """The file with this content, in place of what was there. Raises OSError.

    `lasting` waits until a loss of power cannot take it away; what lives in /run need not wait.
    """
    new = file.with_name(f".{file.name}.new")
    with suppress(FileNotFoundError):
        new.unlink()
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(handle, "wb") as out:
        out.write(data)
        out.flush()
        if lasting:
            os.fsync(out.fileno())
    new.replace(file)
    if lasting:
        _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    """The name of a file is in its folder, which is written at a time of its own."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(file: Path, value: Any, *, mode: int = 0o600, lasting: bool = True) -> None:
    """As `write`, of a value; equal values give equal bytes."""
    data = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    write(file, data, mode=mode, lasting=lasting)


def read(file: Path) -> bytes | None:
    """What the file holds, None where there is no file. Raises Unreadable."""
    try:
        with file.open("rb") as source:
            data = source.read(MAX_FILE + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreadable(f"{file} cannot be read: {error.strerror}.") from None
    if len(data) > MAX_FILE:
        raise Unreadable(f"{file} is larger than {MAX_FILE // 2**20} MiB.")
    return data


def read_json(file: Path) -> Any:
    """The value in the file, None where there is no file. Raises Unreadable."""
    data = read(file)
    if data is None:
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{file} holds no JSON: {error}.") from None


def read_strict(file: Path) -> Any:
    """As `read_json`, of what others write: no key twice, and no more than a document may have. Raises Unreadable."""
    data = read(file)
    if data is None:
        return None
    try:
        return load_json(decode(data))
    except BadDocument as error:
        raise Unreadable(f"{file}: {error}") from None
