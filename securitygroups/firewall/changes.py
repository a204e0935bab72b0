"""What happened between two lists, rule by rule: added, removed, changed, moved. Traffic is difference.py's matter."""

from dataclasses import dataclass, replace

from securitygroups.firewall.orders import kept_in_order
from securitygroups.firewall.values import RULE_FIELDS, Rule, RuleList


@dataclass(frozen=True, slots=True)
class Line:
    """One rule that differs; places count from 1, None where the rule is not in that list."""

    old_place: int | None
    new_place: int | None
    old: Rule | None
    new: Rule | None


@dataclass(frozen=True, slots=True)
class ListChange:
    """Rules are the same by identity (uid). `moved` is the smallest set whose moving explains the new order."""

    added: tuple[Line, ...]
    removed: tuple[Line, ...]
    changed: tuple[Line, ...]
    moved: tuple[Line, ...]

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


def _word(word: str, line: Line) -> str:
    """A change of nothing but the switch says so."""
    if line.old and line.new and replace(line.old, enabled=not line.old.enabled) == line.new:
        return "Switched on" if line.new.enabled else "Switched off"
    return word


def list_change(old: RuleList, new: RuleList) -> ListChange:
    """Compare by identity; a rule without one is new."""
    old_places = {rule.uid: place for place, rule in enumerate(old, 1) if rule.uid}
    new_uids = {rule.uid for rule in new if rule.uid}
    both = [(place, rule, old_places[rule.uid]) for place, rule in enumerate(new, 1) if rule.uid in old_places]
    kept = set(kept_in_order([old_place for _, _, old_place in both]))
    return ListChange(
        added=tuple(Line(None, place, None, rule) for place, rule in enumerate(new, 1) if rule.uid not in old_places),
        removed=tuple(Line(place, None, rule, None) for place, rule in enumerate(old, 1) if rule.uid not in new_uids),
        changed=tuple(Line(o, n, old[o - 1], rule) for n, rule, o in both if old[o - 1] != rule),
        moved=tuple(Line(o, n, old[o - 1], rule) for index, (n, rule, o) in enumerate(both) if index not in kept),
    )


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
    change = list_change(base, mine)
    their_change = list_change(base, theirs)
    they_changed = {line.new.uid for line in their_change.changed if line.new}
    they_removed = {line.old.uid for line in their_change.removed if line.old}
    gone = {line.old.uid for line in change.removed if line.old}
    # Both may have brought the same rule back from an earlier revision: it stands there once, as mine has it.
    gone |= {line.new.uid for line in change.added if line.new and line.new.uid}
    their_rules = {rule.uid: rule for rule in theirs}
    edited = {
        line.new.uid: merged(line.old, line.new, their_rules.get(line.new.uid, line.new))
        for line in change.changed
        if line.old and line.new
    }
    result = [edited.get(rule.uid, rule) for rule in theirs if rule.uid not in gone]
    notes = [
        f"Rule {line.old_place} was changed in the meantime; yours removes it."
        for line in change.removed
        if line.old and line.old.uid in they_changed
    ]
    for line in change.changed:
        if line.new and line.new.uid in they_removed:
            notes.append(f"Rule {line.old_place} was removed in the meantime; yours brings it back.")
        elif line.new and line.new.uid in they_changed:
            kept = edited[line.new.uid] != line.new
            ends = "what only they changed is kept" if kept else "yours replaces that"
            notes.append(f"Rule {line.old_place} was changed in the meantime too; {ends}.")
    back = {line.new.uid for line in change.changed if line.new and line.new.uid in they_removed}
    placed = {line.new.uid for line in change.moved if line.new} | back
    fresh = {id(line.new) for line in change.added}
    behind: str | None = None
    after_fresh: Rule | None = None
    for rule in mine:
        moves = rule.uid in placed and (rule.uid not in they_removed or rule.uid in back)
        if id(rule) in fresh or moves:
            if moves:
                # Moved by mine, but still worded as theirs has it unless mine changed that too.
                rule = next((other for other in result if other.uid == rule.uid), rule)
                result = [other for other in result if other is not rule]
            result.insert(_index(result, behind, after_fresh) + 1, rule)
            after_fresh = rule
        elif any(other.uid == rule.uid for other in result):
            behind, after_fresh = rule.uid, None
    return Rebased(tuple(result), tuple(notes))


def _index(rules: list[Rule], behind: str | None, fresh: Rule | None) -> int:
    """Where the rule stands that a placed one goes behind; -1 for the top of the list."""
    for index, rule in enumerate(rules):
        if (fresh is not None and rule is fresh) or (fresh is None and behind is not None and rule.uid == behind):
            return index
    return -1
