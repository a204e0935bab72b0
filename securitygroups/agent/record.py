"""What was loaded for each VM, and what the kernel said of it then: kept for as long as the kernel keeps the rules.

It stands in /run, which a reboot empties as it empties the kernel. A VM that is being loaded is on record as such, so that
a program that was killed in between knows that the change was its own.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from securitygroups.agent import disk
from securitygroups.agent.disk import Unreadable
from securitygroups.agent.state import is_id
from securitygroups.agent.vectors import NoVector, Vector, read_vector

_FORMAT = "karenpanel-agent-loaded/1"
_HOST_FILE, _UNDER_WAY = "host", "under-way"


@dataclass(frozen=True, slots=True)
class InForce:
    """A VM's list that was loaded. `text` is the hash of what nft was given, `hash` of what it listed afterwards as `lines`.

    `since` is when, in Unix seconds. Of the host's own pieces there is no vector.
    """

    vector: Vector | None
    since: float
    text: str
    hash: str
    lines: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "vector": self.vector.document() if self.vector else None,
            "since": self.since,
            "text": self.text,
            "hash": self.hash,
            "lines": list(self.lines),
        }


class Record:
    """All of a host, in a folder: a file for each VM, one for the host's own pieces, one for what is under way."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.machines: dict[str, InForce] = {}
        self.host: InForce | None = None
        self.under_way: frozenset[str] = frozenset()

    @classmethod
    def read(cls, folder: Path) -> "Record":
        """What is on record; what of it cannot be read is not."""
        record = cls(folder)
        for file in sorted(folder.glob("vm.*.json")):
            found = _read(file)
            uid = file.name.removeprefix("vm.").removesuffix(".json")
            if found is not None and found.vector is not None and is_id(uid):
                record.machines[uid] = found
        record.host = _read(folder / f"{_HOST_FILE}.json")
        with suppress(Unreadable):
            names = disk.read_json(folder / f"{_UNDER_WAY}.json") or []
            record.under_way = frozenset(names if isinstance(names, list) and all(map(_is_name, names)) else [])
        return record

    def begin(self, uids: Iterable[str]) -> None:
        """These VMs, and the host's own pieces where an empty name is among them, are about to be loaded. Raises OSError."""
        self.under_way = frozenset(uids) | self.under_way
        disk.write_json(self._folder / f"{_UNDER_WAY}.json", sorted(self.under_way), lasting=False)

    def end(self) -> None:
        """Nothing is under way any more: what was loaded is on record. Raises OSError."""
        if self.under_way:
            self.under_way = frozenset()
            (self._folder / f"{_UNDER_WAY}.json").unlink(missing_ok=True)

    def put(self, uid: str, loaded: InForce) -> None:
        """Raises OSError."""
        self.machines[uid] = loaded
        self._write(f"vm.{uid}", loaded)

    def put_host(self, loaded: InForce) -> None:
        """Raises OSError."""
        self.host = loaded
        self._write(_HOST_FILE, loaded)

    def acknowledge(self, uid: str, vector: Vector) -> None:
        """The same text under another vector: nothing was loaded. Raises OSError."""
        self.put(uid, replace(self.machines[uid], vector=vector))

    def drop(self, uid: str) -> None:
        """The VM has left the host. Raises OSError."""
        self.machines.pop(uid, None)
        (self._folder / f"vm.{uid}.json").unlink(missing_ok=True)

    def _write(self, name: str, loaded: InForce) -> None:
        disk.write_json(self._folder / f"{name}.json", loaded.document(), lasting=False)


def _is_name(value: Any) -> bool:
    """The host itself has an empty one."""
    return value == "" or is_id(value)


def _read(file: Path) -> InForce | None:
    try:
        value = disk.read_json(file)
        if not isinstance(value, dict) or value.get("format") != _FORMAT:
            return None
        vector = read_vector(value["vector"]) if value["vector"] is not None else None
        text, found, since, lines = value["text"], value["hash"], value["since"], value["lines"]
        if not (isinstance(since, int | float) and isinstance(lines, list)):
            return None
        return InForce(vector, float(since), str(text), str(found), tuple(map(str, lines)))
    except (Unreadable, NoVector, KeyError):
        return None
