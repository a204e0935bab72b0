"""Loading what has to be: all of it in one transaction, and where nft refuses that, without those that it refuses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from securitygroups.agent import compiling, nft
from securitygroups.agent.compiling import Loaded
from securitygroups.agent.nft import Item, NftFailed
from securitygroups.agent.planning import Plan, Wanted, Wishes
from securitygroups.agent.readback import HOST
from securitygroups.agent.state import Settings

Load = Callable[[str], None]
"""Loads a ruleset, or raises NftFailed."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One VM's part of a transaction: what it gets, or None where it leaves."""

    uid: str
    wanted: Wanted | None

    def onto(self, loaded: Loaded, settings: Settings) -> tuple[str, Loaded]:
        if self.wanted is None:
            return compiling.taken_away(self.uid, settings, loaded)
        return self.wanted.compiled.onto(loaded)


@dataclass
class Outcome:
    """What became of a plan: the VMs that were loaded, those that left, and nft's words for what it refused.

    `host` is whether the host's own pieces were loaded, `transactions` how many there were.
    """

    loaded: dict[str, Wanted] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    host: bool = False
    transactions: int = 0


class Applying:
    """A plan's way into the kernel. `loaded` is what is there now; `load` is nft's."""

    def __init__(self, settings: Settings, loaded: Loaded, load: Load = nft.load) -> None:
        self._settings, self._loaded, self._load = settings, loaded, load
        self.outcome = Outcome()

    def apply(self, plan: Plan, wished: Wishes, stale: Sequence[tuple[str, str]]) -> Outcome:
        """Nothing is raised: what nft refuses is in the outcome, under HOST what concerns all VMs."""
        head = compiling.host_text(self._settings) if plan.host else ""
        steps = [_Step(uid, None) for uid in plan.leave] + [_Step(uid, one) for uid, one in plan.load.items()]
        tail = "".join(f"delete table {family} {name}\n" for family, name in stale)
        words = self._try(steps, head, tail)
        if not words:
            self.outcome.host = plan.host
            return self.outcome
        if head:
            # Without it nothing else holds; with it alone, each tap without a VM passes nothing.
            if refused := self._try([], head) if steps or tail else words:
                self.outcome.refused[HOST] = refused
                return self.outcome
            self.outcome.host = True
        if steps:
            self._halve(steps, words)
        self._try_older(wished)
        # Whoever could not be loaded is still judged there.
        if tail and not self.outcome.refused and (refused := self._try([], "", tail)):
            self.outcome.refused[HOST] = refused
        return self.outcome

    def _try(self, steps: Sequence[_Step], head: str = "", tail: str = "") -> str:
        """The steps in one transaction; nft's words where it refuses, and then nothing was changed."""
        text, loaded = head, self._loaded
        for step in steps:
            more, loaded = step.onto(loaded, self._settings)
            text += more
        try:
            if text + tail:
                self._load(text + tail)
        except NftFailed as error:
            return str(error)
        self._loaded = loaded
        self.outcome.transactions += bool(text + tail)
        for step in steps:
            if step.wanted is None:
                self.outcome.left.append(step.uid)
            else:
                self.outcome.loaded[step.uid] = step.wanted
        return ""

    def _halve(self, steps: Sequence[_Step], words: str) -> None:
        """These steps were refused together: those at fault are found, and all others are loaded."""
        if len(steps) == 1:
            self.outcome.refused[steps[0].uid] = words
            return
        middle = len(steps) // 2
        for half in (steps[:middle], steps[middle:]):
            if refused := self._try(half):
                self._halve(half, refused)

    def _try_older(self, wished: Wishes) -> None:
        """Whoever has nothing at all gets the list that was in force before, where there is one."""
        for uid in self.outcome.refused:
            older = wished.lists.get(uid, [])[1:]
            if older and uid not in self._loaded.chains:
                self._try([_Step(uid, older[0])])


def take_out(strange: Sequence[Item]) -> str:
    """Delete these pieces, in one transaction; nft's words where it refuses."""
    chains = [_named(piece) for piece in strange if "chain" in piece]
    elements = [piece for piece in strange if "element" in piece]
    rest = [_named(piece) for piece in strange if "chain" not in piece and "element" not in piece]
    # They may lead to each other: first nothing does any more.
    commands: list[Item] = [{"flush": chain} for chain in chains]
    try:
        nft.command([*commands, *({"delete": piece} for piece in (*elements, *chains, *rest))])
    except NftFailed as error:
        return str(error)
    return ""


def _named(piece: Item) -> Item:
    ((kind, body),) = piece.items()
    return {kind: {key: body[key] for key in ("family", "table", "name")}}
