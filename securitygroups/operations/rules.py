"""The rule list of a group: the only writer of rules."""

from collections.abc import Sequence
from dataclasses import replace

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from securitygroups.effective import rules_at
from securitygroups.firewall.changes import ListChange, list_change
from securitygroups.firewall.formats.documents import stored_rules
from securitygroups.firewall.protocols import Problem
from securitygroups.firewall.texts import clean
from securitygroups.firewall.values import RULE_FIELDS, RuleList
from securitygroups.firewall.values import Rule as RuleValue
from securitygroups.models import (
    GroupRevision,
    Project,
    Rule,
    SecurityGroup,
    new_rule_id,
    values,
)
from securitygroups.operations.by import By
from securitygroups.operations.records import Conflict, Verb, count, lock_group, record


class RefusedRules(ValidationError):
    """Rules that cannot be stored: `problems` maps a place (from 1) to its problems by field."""

    def __init__(self, problems: dict[int, dict[str, Problem]]) -> None:
        super().__init__(
            [f"Rule {place}: {problem}" for place, fields in problems.items() for problem in fields.values()]
        )
        self.problems = problems


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


def _write_rules(group: SecurityGroup, rows: dict[str, Rule], rules: RuleList, number: int) -> ListChange:
    """Bring the rows to the list: delete, update and insert just what differs."""
    change = list_change(values(list(rows.values())), rules)
    if change.removed:
        group.rules.filter(uid__in=[line.old.uid for line in change.removed if line.old]).delete()
    _update(rows, [line.new for line in change.changed if line.new], number)
    _move(rows, rules)
    _insert(group, [(line.new_place, line.new) for line in change.added if line.new and line.new_place], number)
    return change


def _update(rows: dict[str, Rule], changed: Sequence[RuleValue], number: int) -> None:
    edited = []
    for rule in changed:
        row = rows[rule.uid]
        row.set_value(rule)
        row.changed_in = number
        edited.append(row)
    Rule.objects.bulk_update(edited, [*RULE_FIELDS, "changed_in"], batch_size=200)


def _move(rows: dict[str, Rule], rules: RuleList) -> None:
    """One statement for all places that differ. Two rules may have one place until the transaction ends: the constraint
    is looked at then.
    """
    moved = [
        (rows[rule.uid].pk, place)
        for place, rule in enumerate(rules, 1)
        if rule.uid in rows and rows[rule.uid].position != place
    ]
    if moved:
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {Rule._meta.db_table} AS rule SET position = new.position"  # noqa: S608 – the table's own name
                " FROM unnest(%s::bigint[], %s::int[]) AS new (id, position) WHERE rule.id = new.id",
                [[pk for pk, _ in moved], [place for _, place in moved]],
            )


def _insert(group: SecurityGroup, added: Sequence[tuple[int, RuleValue]], number: int) -> None:
    fresh = []
    for place, rule in added:
        row = Rule(group=group, position=place, uid=rule.uid, added_in=number, changed_in=number)
        row.set_value(rule)
        fresh.append(row)
    Rule.objects.bulk_create(fresh, batch_size=1000)


def _named(rules: RuleList) -> tuple[RuleValue, ...]:
    """The list as it is kept, with an identity for every rule. Raises ValueError where two have the same."""
    named = tuple(replace(rule, uid=rule.uid or new_rule_id(), description=clean(rule.description)) for rule in rules)
    if len({rule.uid for rule in named}) != len(named):
        raise ValueError("Two rules of the list have the same identity.")
    return named


@transaction.atomic
def commit_rules(*, group: SecurityGroup, rules: RuleList, base: int, by: By, summary: str = "") -> ListChange:
    """The only writer of rules: make `rules` the group's list.

    `base` is the revision the list was made from. Raises Conflict when it is not the newest, RefusedRules or
    ValidationError when the list cannot be stored; then nothing is written. An equal list writes nothing.
    `group` gets the new revision number.
    """
    locked = lock_group(group)
    if locked.revision != base:
        raise Conflict(locked.revision)
    # Read under the lock, and only here: what a caller has read before may be old.
    rows = {row.uid: row for row in locked.rules.order_by("position")}
    check_rules(locked.project, rules, had=len(rows))
    by.check()
    named, number = _named(rules), locked.revision + 1
    change = _write_rules(locked, rows, named, number)
    # A double click, or a restore of what is there already.
    if not change and locked.revision:
        group.revision = locked.revision
        return change
    summary = summary or (change.summary if locked.revision else f"Created with {count(len(named), 'rule')}.")
    _append(locked, named, number, summary, by)
    group.revision, group.changed_at = number, locked.changed_at
    return change


def _append(locked: SecurityGroup, rules: RuleList, number: int, summary: str, by: By) -> None:
    """The revision and, but for a group's first one, its line in the activity."""
    GroupRevision.objects.create(
        group=locked,
        number=number,
        rules=stored_rules(rules),
        summary=summary[:300],
        reason=by.reason,
        **by.columns,
    )
    locked.changed_at = timezone.now()
    SecurityGroup.objects.filter(pk=locked.pk).update(revision=number, changed_at=locked.changed_at)
    if number > 1:
        detail = {"revision": number, "reason": by.reason}
        record(locked.project, Verb.RULES_CHANGED, summary, by=by, group=locked, detail=detail)


def undo(*, group: SecurityGroup, number: int, by: By) -> ListChange:
    """Take revision `number` back, while it is the newest: commit the list before it. Raises Conflict."""
    if number != group.revision:
        raise Conflict(group.revision)
    if number < 2:
        raise ValidationError("The first revision has nothing before it.")
    return commit_rules(
        group=group,
        rules=rules_at(group, number - 1),
        base=number,
        by=by,
        summary=f"Undid revision {number}.",
    )
