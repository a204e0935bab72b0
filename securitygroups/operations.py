"""Every write: locks, checks, writes only what differs and records it, in one transaction.

Imports models and firewall. Called by views, admin and commands. Locks are taken in one order – project, groups by
key, machines by key – so that two operations never wait for each other.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import F, OuterRef, Subquery
from django.utils import timezone

from securitygroups.firewall.changes import ListChange, list_change
from securitygroups.firewall.documents import rule_to_json, rules_from_stored, stored_rules
from securitygroups.firewall.protocols import Problem
from securitygroups.firewall.values import RULE_FIELDS, RuleList, description_problem
from securitygroups.firewall.values import Rule as RuleValue
from securitygroups.models import (
    Attachment,
    CaseNote,
    Event,
    GroupRevision,
    GroupTemplate,
    MachineRevision,
    Membership,
    Project,
    Role,
    Rule,
    SecurityGroup,
    SupportCase,
    SupportVisit,
    User,
    VirtualMachine,
    new_rule_id,
    values,
)

Verb = Event.Verb


class Conflict(Exception):
    """The list has changed since it was looked at: nothing was written. `revision` is the newest number, None when deleted."""

    def __init__(self, revision: int | None) -> None:
        super().__init__("This has been changed by somebody else in the meantime. Nothing was written.")
        self.revision = revision


class RefusedRules(ValidationError):
    """Rules that cannot be stored: `problems` maps a place (from 1) to its problems by field."""

    def __init__(self, problems: dict[int, dict[str, Problem]]) -> None:
        super().__init__(
            [f"Rule {place}: {problem}" for place, fields in problems.items() for problem in fields.values()]
        )
        self.problems = problems


def _who(actor: User | None, by_staff: bool) -> dict[str, Any]:
    return {"actor": actor, "actor_name": actor.get_username() if actor else "karenpanel", "by_staff": by_staff}


def record(
    project: Project, verb: Event.Verb, summary: str, *, actor: User | None, by_staff: bool = False, **about: Any
) -> Event:
    """Write one line of the project's activity. `about` may name group, machine and detail."""
    return Event.objects.create(project=project, verb=verb, summary=summary[:400], **_who(actor, by_staff), **about)


def _check_reason(reason: str) -> None:
    problem = description_problem(reason)
    if problem:
        raise ValidationError({"reason": problem.message})


def _lock_project(project: Project) -> Project:
    return Project.objects.select_for_update(no_key=True).get(pk=project.pk)


def _lock_group(group: SecurityGroup) -> SecurityGroup:
    locked = SecurityGroup.objects.live().select_for_update(no_key=True).filter(pk=group.pk).first()
    if locked is None:
        raise Conflict(None)
    locked.project = group.project
    return locked  # type: ignore[no-any-return]


def _lock_machine(machine: VirtualMachine) -> VirtualMachine:
    # In that project: one that was moved away in the meantime is gone from there.
    live = VirtualMachine.objects.live().filter(pk=machine.pk, project=machine.project_id)
    locked = live.select_for_update(no_key=True).first()
    if locked is None:
        raise Conflict(None)
    locked.project = machine.project
    return locked  # type: ignore[no-any-return]


def check_rules(project: Project, rules: RuleList, *, had: int = 0) -> None:
    """Whether the list could be stored. Raises RefusedRules, ValidationError over the quota.

    A list that `had` more rules than a quota that was lowered since may be edited and shortened, not lengthened.
    """
    if len(rules) > max(project.rule_quota, had):
        raise ValidationError(
            f"A group of this project can have {project.rule_quota} rules, this would be {len(rules)}: "
            "remove some first, or split them over two groups.",
            code="quota",
        )
    problems = {place: found for place, rule in enumerate(rules, 1) if (found := rule.problems())}
    if problems:
        raise RefusedRules(problems)


def _write_rules(group: SecurityGroup, rows: dict[str, Rule], rules: RuleList, number: int) -> ListChange:
    """Bring the rows to the list: delete, update and insert just what differs."""
    old = values(list(rows.values()))
    change = list_change(old, rules)
    if change.removed:
        group.rules.filter(uid__in=[line.old.uid for line in change.removed if line.old]).delete()
    edited = []
    for line in change.changed:
        if line.new:
            row = rows[line.new.uid]
            row.set_value(line.new)
            row.changed_in = number
            edited.append(row)
    if edited:
        Rule.objects.bulk_update(edited, [*RULE_FIELDS, "changed_in"], batch_size=200)
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
    fresh = []
    for line in change.added:
        if line.new and line.new_place:
            row = Rule(group=group, position=line.new_place, uid=line.new.uid, added_in=number, changed_in=number)
            row.set_value(line.new)
            fresh.append(row)
    Rule.objects.bulk_create(fresh, batch_size=1000)
    return change


@transaction.atomic
def commit_rules(
    *,
    group: SecurityGroup,
    rules: RuleList,
    base: int,
    actor: User | None,
    reason: str = "",
    summary: str = "",
    by_staff: bool = False,
) -> ListChange:
    """The only writer of rules: make `rules` the group's list.

    `base` is the revision the list was made from. Raises Conflict when it is not the newest, RefusedRules or
    ValidationError when the list cannot be stored; then nothing is written. An equal list writes nothing.
    `group` gets the new revision number.
    """
    locked = _lock_group(group)
    if locked.revision != base:
        raise Conflict(locked.revision)
    rows = {row.uid: row for row in locked.rules.order_by("position")}
    check_rules(locked.project, rules, had=len(rows))
    _check_reason(reason)
    named = tuple(rule if rule.uid else replace(rule, uid=new_rule_id()) for rule in rules)
    if len({rule.uid for rule in named}) != len(named):
        raise ValueError("Two rules of the list have the same identity.")
    number = locked.revision + 1
    change = _write_rules(locked, rows, named, number)
    if not change and locked.revision:
        group.revision = locked.revision
        return change
    summary = summary or (change.summary if locked.revision else f"Created with {_count(len(named), 'rule')}.")
    GroupRevision.objects.create(
        group=locked,
        number=number,
        rules=stored_rules(named),
        summary=summary[:300],
        reason=reason,
        **_who(actor, by_staff),
    )
    changed_at = timezone.now()
    SecurityGroup.objects.filter(pk=locked.pk).update(revision=number, changed_at=changed_at)
    group.revision, group.changed_at = number, changed_at
    if number > 1:
        record(
            locked.project,
            Verb.RULES_CHANGED,
            summary,
            actor=actor,
            by_staff=by_staff,
            group=locked,
            detail={"revision": number, "reason": reason},
        )
    return change


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def rules_at(group: SecurityGroup, number: int) -> tuple[RuleValue, ...]:
    """The group's list as revision `number` left it. Raises GroupRevision.DoesNotExist."""
    return rules_from_stored(group.revisions.get(number=number).rules)


def undo(*, group: SecurityGroup, number: int, actor: User | None, by_staff: bool = False) -> ListChange:
    """Take revision `number` back, while it is the newest: commit the list before it. Raises Conflict."""
    if number != group.revision:
        raise Conflict(group.revision)
    if number < 2:
        raise ValidationError("The first revision has nothing before it.")
    return commit_rules(
        group=group,
        rules=rules_at(group, number - 1),
        base=number,
        actor=actor,
        summary=f"Undid revision {number}.",
        by_staff=by_staff,
    )


_TAKEN_AT = {"group_name": "name", "machine_name": "name", "machine_ipv4": "ipv4", "machine_ipv6": "ipv6"}
"""Where a person typed what a constraint finds taken in the project."""


def _save_checked(instance: SecurityGroup | VirtualMachine) -> None:
    """Save under the project's lock, so that a name that is taken is found by the check and not by a crash."""
    instance.name = instance.name.strip()
    problems: dict[str, list[ValidationError]] = {}
    try:
        instance.full_clean(exclude=["project"], validate_constraints=False)
    except ValidationError as refusal:
        refusal.update_error_dict(problems)
    for constraint in instance._meta.constraints:
        field = _TAKEN_AT.get(constraint.name)
        if field and field not in problems:
            try:
                constraint.validate(type(instance), instance)
            except ValidationError as refusal:
                problems[field] = [refusal]
    if problems:
        raise ValidationError(problems)
    instance.save()


@transaction.atomic
def create_group(
    *,
    project: Project,
    name: str,
    description: str = "",
    rules: RuleList = (),
    actor: User | None,
    summary: str = "",
    by_staff: bool = False,
) -> SecurityGroup:
    """A new group with its first revision. Identities of `rules` are not taken over. Raises ValidationError."""
    locked = _lock_project(project)
    if locked.groups.filter(deleted_at=None).count() >= locked.group_quota:
        raise ValidationError(
            f"The project has its {_count(locked.group_quota, 'group')} already: delete one that is not used first.",
            code="quota",
        )
    group = SecurityGroup(project=locked, name=name, description=description)
    _save_checked(group)
    commit_rules(
        group=group,
        rules=[replace(rule, uid="") for rule in rules],
        base=0,
        actor=actor,
        summary=summary,
        by_staff=by_staff,
    )
    record(locked, Verb.GROUP_CREATED, f"Created {group.name}.", actor=actor, by_staff=by_staff, group=group)
    return group


@transaction.atomic
def update_group(
    *, group: SecurityGroup, name: str, description: str, actor: User | None, by_staff: bool = False
) -> None:
    """New name and description. Raises ValidationError, Conflict when the group is gone."""
    _lock_project(group.project)
    locked = _lock_group(group)
    before, name = (locked.name, locked.description), name.strip()
    if before == (name, description):
        return
    locked.name, locked.description = name, description
    _save_checked(locked)
    group.name, group.description = name, description
    words = f"Renamed {before[0]} to {name}." if before[0] != name else f"Changed the description of {name}."
    record(locked.project, Verb.GROUP_CHANGED, words, actor=actor, by_staff=by_staff, group=locked)


@transaction.atomic
def delete_group(*, group: SecurityGroup, base: int, actor: User | None, by_staff: bool = False) -> int:
    """Detach the group from its VMs and take it out of every list; its history stays. Returns the number of VMs.

    Raises Conflict when its rules are not those of revision `base` any more.
    """
    locked = _lock_group(group)
    if locked.revision != base:
        raise Conflict(locked.revision)
    machines = VirtualMachine.objects.live().filter(attachments__group=locked).order_by("pk")
    held = _detach(locked, list(machines.select_for_update(no_key=True, of=("self",))), actor, by_staff)
    SecurityGroup.objects.filter(pk=locked.pk).update(deleted_at=timezone.now())
    words = f"Deleted {locked.name}" + (f", which was on {_count(len(held), 'VM')}." if held else ".")
    record(
        locked.project,
        Verb.GROUP_DELETED,
        words,
        actor=actor,
        by_staff=by_staff,
        group=locked,
        detail={"machines": {machine.public_id: machine.revision for machine in held}},
    )
    return len(held)


def _detach(
    group: SecurityGroup, machines: Sequence[VirtualMachine], actor: User | None, by_staff: bool
) -> list[VirtualMachine]:
    """Take the group off locked VMs and number what is left; as few statements for thousands as for one.

    Returns the VMs that had it: others may have lost it while their locks were waited for.
    """
    attached: dict[int, list[SecurityGroup]] = {}
    rows = Attachment.objects.filter(machine__in=machines)
    for row in rows.select_related("group").order_by("machine", "position"):
        attached.setdefault(row.machine_id, []).append(row.group)
    held = [machine for machine in machines if group in attached.get(machine.pk, [])]
    mine = group.attachments.filter(machine=OuterRef("machine")).values("position")
    rows.filter(position__gt=Subquery(mine)).update(position=F("position") - 1)
    rows.filter(group=group).delete()
    VirtualMachine.objects.filter(pk__in=[machine.pk for machine in held]).update(revision=F("revision") + 1)
    revisions, events = [], []
    for machine in held:
        machine.project, machine.revision = group.project, machine.revision + 1
        before = attached[machine.pk]
        after = [each for each in before if each != group]
        revision, event = _regrouped(machine, before, after, actor, f"{group.name} was deleted.", by_staff)
        revisions.append(revision)
        events.append(event)
    MachineRevision.objects.bulk_create(revisions, batch_size=1000)
    Event.objects.bulk_create(events, batch_size=1000)
    return held


def _regrouped(
    machine: VirtualMachine,
    before: Sequence[SecurityGroup],
    after: Sequence[SecurityGroup],
    actor: User | None,
    reason: str,
    by_staff: bool,
) -> tuple[MachineRevision, Event]:
    """The records, not saved yet, of a VM whose `revision` is the new one already."""
    names = ", then ".join(group.name for group in after) or "no group: everything is denied"
    summary = f"Groups of {machine.name}: {names}."
    revision = MachineRevision(
        machine=machine,
        number=machine.revision,
        groups=[{"id": group.public_id, "name": group.name} for group in after],
        summary=summary[:300],
        reason=reason,
        **_who(actor, by_staff),
    )
    event = Event(
        project=machine.project,
        verb=Verb.GROUPS_ATTACHED,
        summary=summary[:400],
        machine=machine,
        detail={
            "revision": machine.revision,
            "reason": reason,
            "before": [group.name for group in before],
            "after": [group.name for group in after],
        },
        **_who(actor, by_staff),
    )
    return revision, event


def _write_attachments(
    machine: VirtualMachine,
    groups: Sequence[SecurityGroup],
    actor: User | None,
    reason: str,
    by_staff: bool,
    *,
    always: bool = False,
) -> None:
    """Replace a locked VM's ordered groups and append the revision.

    Equal groups write nothing, but for the first revision and where `always` is asked for.
    """
    now = {row.group_id: row for row in machine.attachments.select_related("group").order_by("position")}
    before = [row.group for row in now.values()]
    if before == list(groups) and machine.revision and not always:
        return
    _check_reason(reason)
    machine.attachments.exclude(group__in=groups).delete()
    fresh, moved = [], []
    for position, group in enumerate(groups, 1):
        row = now.get(group.pk)
        if row is None:
            fresh.append(Attachment(machine=machine, group=group, position=position))
        elif row.position != position:
            row.position = position
            moved.append(row)
    Attachment.objects.bulk_create(fresh)
    Attachment.objects.bulk_update(moved, ["position"])
    machine.revision += 1
    VirtualMachine.objects.filter(pk=machine.pk).update(revision=machine.revision)
    revision, event = _regrouped(machine, before, groups, actor, reason, by_staff)
    revision.save()
    if machine.revision > 1:
        event.save()


def _lock_groups(project: Project, groups: Sequence[SecurityGroup]) -> list[SecurityGroup]:
    """The groups, locked, live and of the project, in the order given. Raises ValidationError."""
    if len({group.pk for group in groups}) != len(groups):
        raise ValidationError("A group stands twice in the list: choose each once.", code="twice")
    if len(groups) > settings.MAX_GROUPS_PER_MACHINE:
        raise ValidationError(
            f"A VM can have {settings.MAX_GROUPS_PER_MACHINE} groups, these are {len(groups)}: choose fewer.",
            code="quota",
        )
    held = {
        group.pk: group
        for group in SecurityGroup.objects.live()
        .filter(pk__in=[group.pk for group in groups], project=project)
        .order_by("pk")
        .select_for_update(no_key=True)
    }
    if len(held) != len(groups):
        raise ValidationError("One of the groups has been deleted in the meantime: choose again.", code="gone")
    return [held[group.pk] for group in groups]


@transaction.atomic
def create_machine(
    *,
    project: Project,
    fields: dict[str, Any],
    groups: Sequence[SecurityGroup] = (),
    actor: User | None,
    by_staff: bool = False,
) -> VirtualMachine:
    """A new VM with its ordered groups. `fields` maps VirtualMachine's editable names. Raises ValidationError."""
    locked = _lock_project(project)
    if locked.machines.filter(deleted_at=None).count() >= locked.machine_quota:
        raise ValidationError(
            f"The project has its {_count(locked.machine_quota, 'VM')} already: delete one first.", code="quota"
        )
    held = _lock_groups(locked, groups)
    machine = VirtualMachine(project=locked, **fields)
    _save_checked(machine)
    _write_attachments(machine, held, actor, "", by_staff)
    record(locked, Verb.MACHINE_CREATED, f"Created {machine.name}.", actor=actor, by_staff=by_staff, machine=machine)
    return machine


@transaction.atomic
def update_machine(
    *, machine: VirtualMachine, fields: dict[str, Any], actor: User | None, by_staff: bool = False
) -> None:
    """New values of the VM's own fields. Raises ValidationError, Conflict when the VM is gone."""
    _lock_project(machine.project)
    locked = _lock_machine(machine)
    changed = [name for name, value in fields.items() if getattr(locked, name) != value]
    if not changed:
        return
    for name in changed:
        setattr(locked, name, fields[name])
    _save_checked(locked)
    labels = ", ".join(str(VirtualMachine._meta.get_field(name).verbose_name) for name in changed)  # type: ignore[union-attr]
    record(
        locked.project,
        Verb.MACHINE_CHANGED,
        f"Changed {labels} of {locked.name}.",
        actor=actor,
        by_staff=by_staff,
        machine=locked,
    )


@transaction.atomic
def attach_groups(
    *,
    machine: VirtualMachine,
    groups: Sequence[SecurityGroup],
    base: int,
    actor: User | None,
    reason: str = "",
    by_staff: bool = False,
) -> None:
    """Make `groups` the VM's ordered groups. Raises Conflict when `base` is not its newest revision, ValidationError."""
    held = _lock_groups(machine.project, groups)
    locked = _lock_machine(machine)
    if locked.revision != base:
        raise Conflict(locked.revision)
    _write_attachments(locked, held, actor, reason, by_staff)
    machine.revision = locked.revision


@transaction.atomic
def save_machine(
    *,
    machine: VirtualMachine,
    fields: dict[str, Any],
    groups: Sequence[SecurityGroup],
    base: int,
    actor: User | None,
    reason: str = "",
    by_staff: bool = False,
) -> None:
    """Instance settings: the VM's own fields and its ordered groups, both or neither."""
    _lock_project(machine.project)
    _lock_groups(machine.project, groups)
    update_machine(machine=machine, fields=fields, actor=actor, by_staff=by_staff)
    attach_groups(machine=machine, groups=groups, base=base, actor=actor, reason=reason, by_staff=by_staff)


@transaction.atomic
def delete_machine(*, machine: VirtualMachine, actor: User | None, by_staff: bool = False) -> None:
    """Take the VM out of every list; its groups stay. Raises Conflict when it is gone already."""
    locked = _lock_machine(machine)
    locked.attachments.all().delete()
    VirtualMachine.objects.filter(pk=locked.pk).update(deleted_at=timezone.now())
    record(
        locked.project, Verb.MACHINE_DELETED, f"Deleted {locked.name}.", actor=actor, by_staff=by_staff, machine=locked
    )


def _groups_at(machine: VirtualMachine, number: int) -> list[SecurityGroup] | None:
    """The VM's groups as revision `number` left them; None where one of them is gone or there is no such revision."""
    revision = machine.revisions.filter(number=number).first()
    if revision is None:
        return None
    ids = [group["id"] for group in revision.groups]
    found = {group.public_id: group for group in SecurityGroup.objects.live().filter(public_id__in=ids)}
    return [found[public_id] for public_id in ids] if len(found) == len(ids) else None


@transaction.atomic
def undo_groups(*, machine: VirtualMachine, number: int, actor: User | None) -> None:
    """Take revision `number` of the VM's groups back, while it is the newest. Raises Conflict, ValidationError."""
    groups = _groups_at(machine, number - 1) if number == machine.revision else None
    if number != machine.revision:
        raise Conflict(machine.revision)
    if groups is None:
        raise ValidationError(
            "One of the groups that the VM had before is gone: choose its groups in Instance settings."
        )
    attach_groups(machine=machine, groups=groups, base=number, actor=actor, reason=f"Undid revision {number}.")


@transaction.atomic
def restore_group(*, group: SecurityGroup, actor: User | None) -> int:
    """Bring a deleted group back, onto the VMs whose groups nobody has changed since. Returns how many VMs.

    Raises ValidationError where its name has been taken since, or the quota is full; Conflict when it is not deleted.
    """
    project = _lock_project(group.project)
    locked = SecurityGroup.objects.select_for_update(no_key=True).get(pk=group.pk)
    if locked.deleted_at is None:
        raise Conflict(locked.revision)
    if project.groups.filter(deleted_at=None).count() >= project.group_quota:
        raise ValidationError(f"The project has its {_count(project.group_quota, 'group')} already.", code="quota")
    locked.project, locked.deleted_at = project, None
    _save_checked(locked)
    event = Event.objects.filter(group=locked, verb=Verb.GROUP_DELETED).order_by("-pk").first()
    revisions = dict(event.detail.get("machines", {})) if event else {}
    machines = VirtualMachine.objects.live().filter(public_id__in=revisions, project=project).order_by("pk")
    back = 0
    for machine in machines.select_for_update(no_key=True, of=("self",)):
        machine.project = project
        groups = _groups_at(machine, machine.revision - 1)
        if machine.revision == revisions[machine.public_id] and groups is not None:
            _write_attachments(machine, groups, actor, f"{locked.name} was brought back.", by_staff=False)
            back += 1
    words = f"Brought {locked.name} back" + (f", onto {_count(back, 'VM')}." if back else ".")
    record(project, Verb.GROUP_RESTORED, words, actor=actor, group=locked)
    return back


@transaction.atomic
def restore_machine(*, machine: VirtualMachine, actor: User | None) -> None:
    """Bring a deleted VM back, with the groups it had where all of them are still there.

    Raises ValidationError where its name or an address has been taken since; Conflict when it is not deleted.
    """
    project = _lock_project(machine.project)
    groups = _groups_at(machine, machine.revision) or []
    held = _lock_groups(project, groups)
    locked = VirtualMachine.objects.select_for_update(no_key=True).get(pk=machine.pk)
    if locked.deleted_at is None:
        raise Conflict(locked.revision)
    if project.machines.filter(deleted_at=None).count() >= project.machine_quota:
        raise ValidationError(f"The project has its {_count(project.machine_quota, 'VM')} already.", code="quota")
    locked.project, locked.deleted_at = project, None
    _save_checked(locked)
    # Always: the newest revision tells the groups it had, and some may be gone.
    _write_attachments(locked, held, actor, "The VM was brought back.", by_staff=False, always=True)
    record(project, Verb.MACHINE_RESTORED, f"Brought {locked.name} back.", actor=actor, machine=locked)


@transaction.atomic
def move_machine(*, machine: VirtualMachine, target: Project, actor: User | None) -> None:
    """Staff move a VM to another project. Its groups stay behind, so everything to and from it is denied until the
    new project attaches its own. Raises ValidationError where a name or address is taken there; Conflict."""
    for project in sorted((machine.project, target), key=lambda each: each.pk):
        _lock_project(project)
    locked = _lock_machine(machine)
    source = locked.project
    if source.pk == target.pk:
        raise ValidationError("The VM is in this project already.")
    if target.machines.filter(deleted_at=None).count() >= target.machine_quota:
        raise ValidationError(f"{target} has its {_count(target.machine_quota, 'VM')} already.", code="quota")
    _write_attachments(locked, [], actor, f"Moved to {target}.", by_staff=True)
    locked.project = target
    _save_checked(locked)
    for project, words in (
        (source, f"Moved {locked.name} to {target}."),
        (target, f"Moved {locked.name} here from {source}."),
    ):
        record(project, Verb.MACHINE_CHANGED, words, actor=actor, by_staff=True, machine=locked)


@transaction.atomic
def create_project(
    *,
    name: str,
    slug: str,
    actor: User | None,
    owner: User | None = None,
    quotas: dict[str, int | None] | None = None,
    by_staff: bool = False,
    detail: dict[str, Any] | None = None,
) -> Project:
    """A project, with its first owner where one is named. Raises ValidationError."""
    project = Project(name=name.strip(), slug=slug, **(quotas or {}))
    project.full_clean()
    try:
        with transaction.atomic():
            project.save()
    except IntegrityError:
        project.full_clean()  # somebody was quicker to take the slug: the refusal says so
        raise
    record(
        project,
        Verb.PROJECT_CREATED,
        f"Created the project {project.name}.",
        actor=actor,
        by_staff=by_staff,
        detail=detail or {},
    )
    if owner:
        Membership.objects.create(project=project, user=owner, role=Role.OWNER)
    return project


@transaction.atomic
def update_project(*, project: Project, actor: User | None, by_staff: bool = False) -> None:
    """Save the name and quotas that `project` holds; its slug stays, for links to it. Raises ValidationError."""
    before = _lock_project(project)
    names = [
        n for n in ("name", "max_groups", "max_rules", "max_machines") if getattr(before, n) != getattr(project, n)
    ]
    if not names:
        return
    project.full_clean(exclude=["slug"])
    project.save(update_fields=names)
    said = {name: getattr(project, name) for name in names}
    words = ", ".join(f"{n.replace('_', ' ')}: {'as usual' if v is None else v}" for n, v in said.items())
    record(project, Verb.PROJECT_CHANGED, f"Changed {words}.", actor=actor, by_staff=by_staff)


def _keep_an_owner(project: Project, leaving: Membership) -> None:
    others = project.memberships.filter(role=Role.OWNER, user__is_active=True).exclude(pk=leaving.pk)
    if leaving.role == Role.OWNER and not others.exists():
        raise ValidationError(
            "This is the last owner: make somebody else an owner first, or nobody could manage the project.",
            code="owner",
        )


@transaction.atomic
def add_member(*, project: Project, user: User, role: str, actor: User | None, by_staff: bool = False) -> Membership:
    """Raises ValidationError when the person is a member already."""
    locked = _lock_project(project)
    member = Membership(project=locked, user=user, role=role)
    member.full_clean()
    member.save()
    words = f"Added {user.get_username()} as {Role(role).label.lower()}."
    record(locked, Verb.MEMBER_ADDED, words, actor=actor, by_staff=by_staff)
    return member


def _locked_member(project: Project, member: Membership) -> Membership:
    current = project.memberships.select_related("user").filter(pk=member.pk).first()
    if current is None:
        raise Conflict(None)
    return current


@transaction.atomic
def change_role(*, member: Membership, role: str, actor: User | None, by_staff: bool = False) -> None:
    """Raises ValidationError when the project would be left without an owner."""
    locked = _lock_project(member.project)
    current = _locked_member(locked, member)
    if current.role == role:
        return
    if role != Role.OWNER:
        _keep_an_owner(locked, current)
    current.role = role
    current.full_clean()
    current.save()
    words = f"Made {current.user.get_username()} {Role(role).label.lower()}."
    record(locked, Verb.MEMBER_CHANGED, words, actor=actor, by_staff=by_staff)


@transaction.atomic
def remove_member(*, member: Membership, actor: User | None, by_staff: bool = False) -> None:
    """Raises ValidationError when the project would be left without an owner."""
    locked = _lock_project(member.project)
    current = _locked_member(locked, member)
    _keep_an_owner(locked, current)
    name = current.user.get_username()
    current.delete()
    words = f"{name} left." if actor and actor.pk == current.user_id else f"Removed {name}."
    record(locked, Verb.MEMBER_REMOVED, words, actor=actor, by_staff=by_staff)


VISIT_MINUTES = 30


@transaction.atomic
def open_visit(*, project: Project, staff: User, reason: str, ticket: str) -> SupportVisit:
    """Let a staff member look into the project for VISIT_MINUTES. Raises ValidationError."""
    visit = SupportVisit(
        project=project,
        staff=staff,
        reason=reason,
        ticket=ticket,
        until=timezone.now() + timedelta(minutes=VISIT_MINUTES),
    )
    visit.full_clean()
    visit.save()
    words = f"Support came to look, for {VISIT_MINUTES} minutes: {reason} (ticket {ticket})"
    record(project, Verb.SUPPORT_LOOK, words, actor=staff, by_staff=True, detail={"reason": reason, "ticket": ticket})
    return visit


def record_look(*, visit: SupportVisit, page: str) -> None:
    """One page that support looked at, for the customer to read."""
    record(
        visit.project,
        Verb.SUPPORT_LOOK,
        f"Support looked at {page}",
        actor=visit.staff,
        by_staff=True,
        detail={"ticket": visit.ticket, "page": page},
    )


@transaction.atomic
def open_case(
    *,
    project: Project,
    packet: dict[str, Any],
    rows: Sequence[Rule],
    verdict: str,
    rule: int | None,
    staff: User,
    ticket: str = "",
    note: str = "",
    machine: VirtualMachine | None = None,
    group: SecurityGroup | None = None,
) -> SupportCase:
    """Freeze a packet test with the list it was made against. `rows` are the list's rows in order, with their groups."""
    case = SupportCase.objects.create(
        project=project,
        machine=machine,
        group=group,
        packet=packet,
        rules=[
            {
                **rule_to_json(row.as_value()),
                "group": {"id": row.group.public_id, "name": row.group.name, "place": row.position},
            }
            for row in rows
        ],
        verdict=verdict,
        rule=rule,
        ticket=ticket,
        opened_by=staff,
    )
    if note:
        add_note(case=case, author=staff, text=note, by_staff=True)
    record(
        project,
        Verb.CASE_OPENED,
        f"Support opened {case.public_id}.",
        actor=staff,
        by_staff=True,
        machine=machine,
        group=group,
        detail={"case": case.public_id},
    )
    return case


@transaction.atomic
def add_note(*, case: SupportCase, author: User, text: str, by_staff: bool) -> CaseNote:
    """Write a note to a case. Raises ValidationError."""
    note = CaseNote(case=case, author=author, author_name=author.get_username(), by_staff=by_staff, text=text)
    note.full_clean()
    note.save()
    return note


@transaction.atomic
def save_template(*, group: SecurityGroup, name: str, description: str, actor: User | None) -> GroupTemplate:
    """Keep the group's rules as a template of its project. Raises ValidationError."""
    locked = _lock_project(group.project)
    rules = [rule_to_json(rule) for rule in values(list(group.rules.in_order()))]
    template = GroupTemplate(project=locked, name=name, description=description, rules=rules)
    template.full_clean()
    template.save()
    record(locked, Verb.TEMPLATE_SAVED, f"Saved {group.name} as the template {name}.", actor=actor, group=group)
    return template


@transaction.atomic
def delete_template(*, template: GroupTemplate, actor: User | None) -> None:
    """Groups made from it stay as they are."""
    if template.project:
        record(template.project, Verb.TEMPLATE_DELETED, f"Deleted the template {template.name}.", actor=actor)
    template.delete()
