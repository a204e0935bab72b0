"""What happened between two lists, rule by rule: added, removed, changed, moved. Traffic is difference.py's matter."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from securitygroups.firewall.orders import kept_in_order
from securitygroups.firewall.values import RULE_FIELDS, Rule, RuleList


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One rule that differs; places count from 1, None where the rule is not in that list."""

    old_place: int | None
    new_place: int | None
    old: Rule | None
    new: Rule | None


@dataclass(frozen=True, slots=True)
class ListChange:
    """Rules are the same by identity (uid). `moved` is the smallest set whose moving explains the new order."""

    added: tuple[RuleChange, ...]
    removed: tuple[RuleChange, ...]
    changed: tuple[RuleChange, ...]
    moved: tuple[RuleChange, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.moved)

    @property
    def summary(self) -> str:
        """One line for the record: "Added rule 3. Moved rule 5 to 1."."""
        parts = []
        for word, lines in (("Added", self.added), ("Removed", self.removed), ("Changed", self.changed)):
            if len(lines) == 1:
                parts.append(f"{_word(word, lines[0])} rule {lines[0].new_place or lines[0].old_place}.")
            elif lines:
                parts.append(f"{word} {len(lines)} rules.")
        if len(self.moved) == 1:
            parts.append(f"Moved rule {self.moved[0].old_place} to {self.moved[0].new_place}.")
        elif self.moved:
            parts.append(f"Moved {len(self.moved)} rules.")
        return " ".join(parts) or "No change."


def _word(word: str, line: RuleChange) -> str:
    """A change of nothing but the switch says so."""
    if line.old and line.new and replace(line.old, enabled=not line.old.enabled) == line.new:
        return "Switched on" if line.new.enabled else "Switched off"
    return word


def list_change(old: RuleList, new: RuleList) -> ListChange:
    """Compare by identity; a rule without one is new."""
    old_places, new_places = _places(old), _places(new)
    # Pairs of places first: in a long list few rules become lines.
    both = [(old_places[rule.uid], place) for place, rule in enumerate(new, 1) if rule.uid in old_places]
    kept = set(kept_in_order([old_place for old_place, _ in both]))

    def lines(pairs: Iterable[tuple[int, int]]) -> tuple[RuleChange, ...]:
        return tuple(RuleChange(was, now, old[was - 1], new[now - 1]) for was, now in pairs)

    return ListChange(
        added=tuple(RuleChange(None, place, None, rule) for place, rule in _absent(new, old_places)),
        removed=tuple(RuleChange(place, None, rule, None) for place, rule in _absent(old, new_places)),
        changed=lines((was, now) for was, now in both if old[was - 1] != new[now - 1]),
        moved=lines(pair for index, pair in enumerate(both) if index not in kept),
    )


def _places(rules: RuleList) -> dict[str, int]:
    """Where each rule with an identity stands."""
    return {rule.uid: place for place, rule in enumerate(rules, 1) if rule.uid}


def _absent(rules: RuleList, there: Mapping[str, int]) -> Iterator[tuple[int, Rule]]:
    """The rules that are not there, with their places."""
    return ((place, rule) for place, rule in enumerate(rules, 1) if rule.uid not in there)


def recognised(old: RuleList, new: RuleList) -> tuple[Rule, ...]:
    """`new` from a file, which has no identities: a rule that equals one of `old` is that rule, each one once."""
    uids: dict[Rule, list[str]] = {}
    for rule in reversed(old):
        uids.setdefault(rule, []).append(rule.uid)
    return tuple(replace(rule, uid=uids[rule].pop()) if uids.get(rule) else rule for rule in new)


@dataclass(frozen=True, slots=True)
class Rebased:
    """One person's edits applied on top of another's. `notes` say where both touched the same rule."""

    rules: tuple[Rule, ...]
    notes: tuple[str, ...]


def merged(base: Rule, mine: Rule, theirs: Rule) -> Rule:
    """What mine changed of a rule, done to theirs, field by field; mine as it is where the two do not make a rule."""
    changed = {name: getattr(mine, name) for name in RULE_FIELDS if getattr(mine, name) != getattr(base, name)}
    both = replace(theirs, **changed)
    return mine if both.problems() else both


def rebase(base: RuleList, mine: RuleList, theirs: RuleList) -> Rebased:
    """`mine` was made from `base` while somebody else made `theirs`: what `mine` did, done to `theirs`.

    Rules are known by identity. A rule that mine removed goes; one that mine changed is as `merged` says, and comes back
    if theirs removed it; one that mine added or moved stands behind the rule it stands behind in mine. All else is as
    theirs has it.
    """
    my_change, their_change = list_change(base, mine), list_change(base, theirs)
    they_removed = _uids(their_change.removed)
    edited = _edited(my_change, theirs)
    # Both may have brought the same rule back from an earlier revision: it stands there once, as mine has it.
    gone = _uids(my_change.removed) | _uids(my_change.added)
    standing = [edited.get(rule.uid, rule) for rule in theirs if rule.uid not in gone]
    brought_back = _uids(my_change.changed) & they_removed
    moved = (_uids(my_change.moved) - they_removed) | brought_back
    rules = _placed(mine, standing, {id(line.new) for line in my_change.added}, moved)
    return Rebased(rules, tuple(_notes(my_change, their_change, edited)))


def _uids(lines: Iterable[RuleChange]) -> set[str]:
    """The identities of the rules, which have one unless they were just added."""
    return {rule.uid for line in lines if (rule := line.new or line.old) and rule.uid}


def _edited(my_change: ListChange, theirs: RuleList) -> dict[str, Rule]:
    """The rules that mine changed, by identity: on top of what theirs did to them."""
    their_rules = {rule.uid: rule for rule in theirs}
    return {
        line.new.uid: merged(line.old, line.new, their_rules.get(line.new.uid, line.new))
        for line in my_change.changed
        if line.old and line.new
    }


def _notes(my_change: ListChange, their_change: ListChange, edited: Mapping[str, Rule]) -> Iterator[str]:
    """Where both touched the same rule."""
    they_changed, they_removed = _uids(their_change.changed), _uids(their_change.removed)
    for line in my_change.removed:
        if line.old and line.old.uid in they_changed:
            yield f"Rule {line.old_place} was changed in the meantime; yours removes it."
    for line in my_change.changed:
        uid = line.new.uid if line.new else ""
        if uid in they_removed:
            yield f"Rule {line.old_place} was removed in the meantime; yours brings it back."
        elif uid in they_changed:
            ends = "what only they changed is kept" if edited[uid] != line.new else "yours replaces that"
            yield f"Rule {line.old_place} was changed in the meantime too; {ends}."


def _placed(mine: RuleList, standing: Sequence[Rule], added: Set[int], moved: Set[str]) -> tuple[Rule, ...]:
    """`standing` with what mine added (told by id, for it may have no identity) and moved where mine has it: behind the
    nearest rule before it in mine that stands here too, at the top where there is none."""
    by_uid = {rule.uid: rule for rule in standing}
    rules = list(standing)
    above: Rule | None = None
    for rule in mine:
        if rule.uid in moved:
            # Moved by mine, but still worded as theirs has it unless mine changed that too.
            rule = by_uid.get(rule.uid, rule)
            rules = [other for other in rules if other is not rule]
        elif id(rule) not in added:
            above = by_uid.get(rule.uid, above)
            continue
        rules.insert(_index(rules, above) + 1, rule)
        above = rule
    return tuple(rules)


def _index(rules: Sequence[Rule], wanted: Rule | None) -> int:
    """Where this very rule stands, for others may be equal to it; -1 for none."""
    return next((index for index, rule in enumerate(rules) if rule is wanted), -1)
