"""Where the agent keeps what it knows, and which panel it asks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from securitygroups.agent import disk
from securitygroups.agent.disk import Unreadable
from securitygroups.signing.keys import Key
from securitygroups.signing.wire import KEY_BYTES, Malformed, decoded

LASTING, PASSING = Path("/var/lib/karenpanel-agent"), Path("/run/karenpanel-agent")
FORMAT = "karenpanel-agent-host/1"
_FIELDS = {"panel", "panel_key", "host", "name", "key", "authorities"}


class NotEnrolled(RuntimeError):
    """This machine is no host of a panel yet."""


@dataclass(frozen=True, slots=True)
class Places:
    """Two folders: one that outlives a reboot, and one that lives as long as what the kernel holds."""

    lasting: Path = LASTING
    passing: Path = PASSING

    @property
    def host(self) -> Path:
        """Which panel, which host, and the host's key: for nobody else to read."""
        return self.lasting / "host.json"

    @property
    def state(self) -> Path:
        return self.lasting / "state.json"

    @property
    def taps(self) -> Path:
        """What any orchestrator may write."""
        return self.lasting / "taps.json"

    @property
    def loaded(self) -> Path:
        """A file a VM: what was loaded for it, and what the kernel said of it then."""
        return self.passing / "loaded"

    @property
    def counted(self) -> Path:
        return self.passing / "counted.json"

    @property
    def running(self) -> Path:
        """What the running agent says of itself."""
        return self.passing / "running.json"

    def make(self) -> None:
        """Raises OSError."""
        self.lasting.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.passing.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.loaded.mkdir(mode=0o700, exist_ok=True)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A host of a panel: where the panel is, its pinned key, and who the host is there.

    `authorities` is a file of certificate authorities to trust besides those of the system, or empty.
    """

    panel: str
    panel_key: str
    host: str
    name: str
    key: Key
    authorities: str = ""

    def keep(self, places: Places) -> None:
        """In one file, so that no key is ever without its host. Raises OSError."""
        told = {"panel": self.panel, "panel_key": self.panel_key, "host": self.host, "name": self.name}
        kept = {"format": FORMAT, "key": self.key.seed, "authorities": self.authorities, **told}
        disk.write_json(places.host, kept)


def enrolled(places: Places) -> Enrolled:
    """The host that this machine is. Raises NotEnrolled, Unreadable."""
    kept = disk.read_json(places.host)
    if kept is None:
        raise NotEnrolled("This machine is no host of a panel: `karenpanel-agent enrol` makes it one.")
    if not _is_kept(kept):
        raise Unreadable(f"{places.host} is not what `karenpanel-agent enrol` writes.")
    try:
        decoded(kept["panel_key"], KEY_BYTES)
        key = Key.read(kept["key"])
    except Malformed:
        raise Unreadable(f"A key in {places.host} is damaged.") from None
    return Enrolled(**{name: kept[name] for name in _FIELDS - {"key"}}, key=key)


def _is_kept(kept: Any) -> bool:
    return (
        isinstance(kept, dict)
        and kept.get("format") == FORMAT
        and kept.keys() == _FIELDS | {"format"}
        and all(isinstance(value, str) for value in kept.values())
    )


def changed(places: Places) -> tuple[int, int] | None:
    """What is another whenever the host has enrolled anew, which may be while the agent runs."""
    try:
        found = places.host.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
