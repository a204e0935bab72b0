"""What the kernel has of the panel's rules at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass

from securitygroups.agent import compiling, nft, watching
from securitygroups.agent.compiling import Loaded, NotListed
from securitygroups.agent.nft import Item, NftFailed
from securitygroups.agent.readback import HOST, Part, divided
from securitygroups.agent.state import Settings

_TRIES = 5


@dataclass(frozen=True)
class Reading:
    """`generation` numbers the ruleset that was read, `stale` are tables of another way to connect VMs."""

    generation: int
    parts: Mapping[str, Part]
    loaded: Loaded
    stale: tuple[tuple[str, str], ...]

    def part(self, uid: str) -> Part:
        return self.parts.get(uid, Part())

    @property
    def host(self) -> Part:
        """What is of no VM."""
        return self.part(HOST)


def read(settings: Settings) -> Reading:
    """Raises NftFailed, Unenforceable."""
    reading: Reading | None = None
    for _ in range(_TRIES):
        try:
            before = watching.generation()
            reading = _read(settings, before)
            if watching.generation() == before:
                return reading
        except (NotListed, OSError) as error:
            raise NftFailed(f"What the kernel has cannot be read: {error}") from None
        except NftFailed:
            # A table that was listed a moment ago may be gone: then somebody is at work.
            if watching.generation() == before:
                raise
    if reading is None:
        raise NftFailed("The ruleset is changed all the time: it cannot be read.")
    # Of what changes all the time the panel's tables are hardly a part.
    return reading


def _read(settings: Settings, generation: int) -> Reading:
    there = nft.tables()
    listed: list[Item] = []
    for family, name in compiling.tables(settings):
        if (family, name) in there:
            listed += nft.table(family, name)
    loaded = compiling.loaded_of(listed, settings)
    stale = compiling.other_tables(settings) & set(there)
    return Reading(generation, divided(listed), loaded, tuple(sorted(stale)))
