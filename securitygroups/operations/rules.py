"""The rule list of a group: the only writer of rules."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from securitygroups.effective import rules_at, rules_of_group
from securitygroups.firewall.changes import ListChange, list_change
from securitygroups.firewall.formats.documents import stored_rules
from securitygroups.firewall.protocols import Problem
from securitygroups.firewall.steps import are_short, steps
from securitygroups.firewall.texts import clean
from securitygroups.firewall.values import Rule as RuleValue
from securitygroups.firewall.values import RuleList
from securitygroups.models import GroupRevision, MachineRevision, Project, SecurityGroup, VirtualMachine, new_rule_id
from securitygroups.operations.by import By
from securitygroups.operations.records import Conflict, Verb, count, hold_machines, lock_group, record
from securitygroups.operations.rows import write_rows
from securitygroups.words.changes import change_sentence

WHOLE_EVERY = 50
"""So many revisions after a whole list at most comes the next one: that many rows are read for the list of one."""

UnderLock = Callable[[SecurityGroup, RuleList], RuleList]
"""Says what the new list is, when nobody else can change it any more: of the group and its list as they are then."""


class RefusedRules(ValidationError):
    """Rules that cannot be stored: `problems` maps a place (from 1) to its problems by field."""

    def __init__(self, problems: dict[int, dict[str, Problem]]) -> None:
        super().__init__(
            [f"Rule {place}: {problem}" for place, fields in problems.items() for problem in fields.values()]
        )
        self.problems = problems


class NotWhatItWas(ValidationError):
    """What somebody would take back is still as they left it, and yet something else would pass afterwards than before,
    because others have changed what goes with it: that has to be looked at, as when it is restored from the history."""


def check_rules(project: Project, rules: RuleList, *, had: int = 0) -> None:
    """Whether the list could be stored. Raises RefusedRules, ValidationError over the quota.

    A list that `had` more rules than a quota that was lowered since may be edited and shortened, not lengthened.
    """
    # Shorter is always allowed, or a list over a lowered quota could never be brought below it.
    if len(rules) > max(project.rule_quota, had):
        raise ValidationError(
            f"A group of this project can have {project.rule_quota} rules, this would be {len(rules)}: "
            "remove some first, or split them over two groups.",
            code="quota",
        )
    # All of them at once: who imports a file mends it once.
    problems = {place: found for place, rule in enumerate(rules, 1) if (found := rule.problems())}
    if problems:
        raise RefusedRules(problems)


def _named(rules: RuleList) -> tuple[RuleValue, ...]:
    """The list as it is kept, with an identity for every rule. Raises ValueError where two have the same."""
    named = tuple(replace(rule, uid=rule.uid or new_rule_id(), description=clean(rule.description)) for rule in rules)
    if len({rule.uid for rule in named}) != len(named):
        raise ValueError("Two rules of the list have the same identity.")
    return named


def commit_rules(*, group: SecurityGroup, rules: RuleList, base: int, by: By, summary: str = "") -> ListChange:
    """Make `rules` the group's list.

    `base` is the revision the list was made from. Raises Conflict when it is not the newest, and as commit_edit does.
    """

    def unless_overtaken(locked: SecurityGroup, now: RuleList) -> RuleList:
        if locked.revision != base:
            raise Conflict(locked.revision)
        return rules

    return commit_edit(group=group, edit=unless_overtaken, by=by, summary=summary)


@transaction.atomic
def commit_edit(*, group: SecurityGroup, edit: UnderLock, by: By, summary: str = "") -> ListChange:
    """The only writer of rules: make what `edit` gives the group's list. What it raises leaves everything as it is.

    Raises Conflict where the group is gone, RefusedRules or ValidationError when the list cannot be stored; then nothing
    is written. An equal list writes nothing. `group` gets the new revision number.
    """
    locked = lock_group(group)
    # Read under the lock, and only here: what a caller has read before may be old.
    old = rules_of_group(locked)
    rules = edit(locked, old)
    check_rules(locked.project, rules, had=len(old))
    by.check()
    named, number = _named(rules), locked.revision + 1
    change = list_change(old, named)
    write_rows(locked, old, named, change, number)
    # A double click, or a restore of what is there already.
    if not change and locked.revision:
        group.revision = locked.revision
        return change
    short = summary or (change.summary if locked.revision else f"Created with {count(len(named), 'rule')}.")
    revision = _next(locked, old, named)
    revision.summary, revision.reason = short[:300], by.reason
    # The history shows what differs beside the line; in the activity the line stands alone.
    _append(locked, revision, summary or change_sentence(change), by)
    group.revision, group.changed_at = number, locked.changed_at
    return change


def _next(locked: SecurityGroup, old: RuleList, new: RuleList) -> GroupRevision:
    """The revision with the new list, not saved yet. Its time is never before that of the one before."""
    number, now = locked.revision + 1, timezone.now()
    before = locked.revisions.filter(number=locked.revision).values_list("whole_in", "at").first()
    whole_in, at = before or (None, now)
    return GroupRevision(group=locked, number=number, at=max(now, at), **list_columns(number, old, new, whole_in))


def list_columns(number: int, old: RuleList, new: RuleList, whole_in: int | None) -> dict[str, Any]:
    """How a revision keeps its list: whole, or as what leads to it from the one before, where that stands on the whole
    list of revision `whole_in`."""
    if whole_in is not None and number - whole_in < WHOLE_EVERY and are_short(found := steps(old, new), new):
        return {"whole_in": whole_in, "steps": found}
    return {"whole_in": number, "rules": stored_rules(new)}


def _append(locked: SecurityGroup, revision: GroupRevision, summary: str, by: By) -> None:
    """The revision and, but for a group's first one, its line in the activity."""
    for name, value in by.columns.items():
        setattr(revision, name, value)
    revision.save(force_insert=True)
    number, locked.changed_at = revision.number, revision.at
    SecurityGroup.objects.filter(pk=locked.pk).update(revision=number, changed_at=locked.changed_at)
    if number > 1:
        detail = {"revision": number, "reason": by.reason}
        record(locked.project, Verb.RULES_CHANGED, summary, by=by, group=locked, detail=detail)


def undo(*, group: SecurityGroup, number: int, by: By) -> None:
    """Take one revision of a group back, as undo_lists does."""
    undo_lists(numbers={group: number}, by=by)


@transaction.atomic
def undo_lists(*, numbers: Mapping[SecurityGroup, int], by: By) -> None:
    """Take these revisions of groups back, each while it is the group's newest: commit the lists before them, all or none.

    Raises Conflict, ValidationError; NotWhatItWas where something else decides on their VMs by now.
    """
    rows = SecurityGroup.objects.live().filter(pk__in=[group.pk for group in numbers]).order_by("pk")
    held = {group.pk: group for group in rows.select_for_update(no_key=True)}
    for group, number in numbers.items():
        if group.pk not in held or held[group.pk].revision != number:
            raise Conflict(held[group.pk].revision if group.pk in held else None)
        if number < 2:
            raise ValidationError("The first revision has nothing before it.")
    hold_machines(held.values())
    if _decided_otherwise(held.values()):
        raise NotWhatItWas("The VMs that have the group, or other rules on them, have been changed since.")
    for group, number in sorted(numbers.items(), key=lambda one: one[0].pk):
        earlier = rules_at(group, number - 1)
        commit_rules(group=group, rules=earlier, base=number, by=by, summary=f"Undid revision {number}.")


def _decided_otherwise(groups: Collection[SecurityGroup]) -> bool:
    """Whether other VMs have the groups since these were changed, or have other groups beside them, or these other rules
    (two queries)."""
    since = min(group.changed_at for group in groups)
    machines = VirtualMachine.objects.live().filter(attachments__group__in=groups)
    newest = MachineRevision.objects.filter(machine__in=machines, number=F("machine__revision"), at__gt=since)
    beside = SecurityGroup.objects.filter(attachments__machine__in=machines, changed_at__gt=since)
    return newest.exists() or beside.exclude(pk__in=[group.pk for group in groups]).exists()
