"""Security groups: made, renamed, deleted, brought back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

from django.db import transaction
from django.db.models import F, OuterRef, Q, Subquery
from django.utils import timezone

from securitygroups.effective import groups_of_revision
from securitygroups.firewall.texts import clean
from securitygroups.firewall.values import RuleList
from securitygroups.models import (
    Attachment,
    Event,
    MachineRevision,
    Project,
    SecurityGroup,
    VirtualMachine,
)
from securitygroups.operations.by import By
from securitygroups.operations.machines import attach_groups, had_before, regrouped
from securitygroups.operations.records import (
    Conflict,
    Verb,
    count,
    hold_machines,
    lock_group,
    lock_project,
    one_more,
    record,
    record_all,
    save_checked,
)
from securitygroups.operations.rules import commit_rules


def _one_more(locked: Project) -> None:
    live = locked.groups.filter(deleted_at=None).count()
    one_more(live, locked.group_quota, "group", "delete one that is not used first")


@transaction.atomic
def create_group(
    *,
    project: Project,
    name: str,
    description: str = "",
    rules: RuleList = (),
    by: By,
    summary: str = "",
    on: Mapping[int, int] | None = None,
) -> SecurityGroup:
    """A new group with its first revision. Identities of `rules` are not taken over. Raises ValidationError.

    `on` goes on record for who puts it on VMs in the same breath: these, by key, each with the revision that does it.
    """
    locked = lock_project(project)
    _one_more(locked)
    group = make_group(locked, name, description, rules, by=by, summary=summary)
    detail = {"on": {str(pk): revision for pk, revision in on.items()}} if on else {}
    record(locked, Verb.GROUP_CREATED, f"Created {group.name}.", by=by, group=group, detail=detail)
    return group


def make_group(
    locked: Project, name: str, description: str, rules: RuleList, *, by: By, summary: str = ""
) -> SecurityGroup:
    """The group with its first revision, in the locked project, where there is room; not on record yet."""
    group = SecurityGroup(project=locked, name=name, description=description)
    save_checked(group)
    # Copies are rules of their own: what happens to one says nothing of the other.
    own = [replace(rule, uid="") for rule in rules]
    commit_rules(group=group, rules=own, base=0, by=by, summary=summary)
    return group


@transaction.atomic
def update_group(*, group: SecurityGroup, name: str, description: str, by: By) -> Event | None:
    """New name and description. Raises ValidationError, Conflict when the group is gone.

    Returns its record, which undo_update takes; None where nothing is new.
    """
    by.check()
    lock_project(group.project)
    locked = lock_group(group)
    before, name, description = (locked.name, locked.description), clean(name), clean(description)
    if before == (name, description):
        return None
    locked.name, locked.description = name, description
    save_checked(locked)
    group.name, group.description = name, description
    words = f"Renamed {before[0]} to {name}." if before[0] != name else f"Changed the description of {name}."
    detail = {"name": before[0], "description": before[1], "reason": by.reason}
    return record(locked.project, Verb.GROUP_CHANGED, words, by=by, group=locked, detail=detail)


@transaction.atomic
def undo_update(*, group: SecurityGroup, event: int, by: By) -> None:
    """Take the newest change of name and description back. Raises ValidationError, Conflict when it is not the newest."""
    lock_project(group.project)
    locked = lock_group(group)
    # The record is the memory: an undo needs no column of its own, and works from any process.
    newest = Event.objects.filter(group=locked, verb=Verb.GROUP_CHANGED).order_by("-pk").first()
    if newest is None or newest.pk != event or "name" not in newest.detail:
        raise Conflict(locked.revision)
    update_group(group=group, name=newest.detail["name"], description=newest.detail["description"], by=by)


def attached_mark(group: SecurityGroup) -> str:
    """Stands for the VMs that have the group, with all else that decides there: their groups, in order, and the rules of
    the others, as they are now; "" where it is on no VM (two queries).
    """
    known = _around([group])
    return _digest(known) if known else ""


def _around(groups: Sequence[SecurityGroup]) -> list[tuple[int, int]]:
    """The VMs that have one of the groups, and the other groups of these, each with its revision."""
    # With the projects: for many groups the database would read the VMs of all of them.
    projects = {group.project_id for group in groups}
    machines = VirtualMachine.objects.live().filter(project__in=projects, attachments__group__in=groups)
    known = list(machines.order_by("pk").values_list("pk", "revision").distinct())
    if not known:
        return []
    others = SecurityGroup.objects.filter(attachments__machine__in=machines).exclude(pk__in=[one.pk for one in groups])
    return known + list(others.order_by("pk").values_list("pk", "revision").distinct())


def _digest(known: Sequence[tuple[int, int]]) -> str:
    return sha256(" ".join(f"{pk}:{revision}" for pk, revision in known).encode()).hexdigest()[:32]


@transaction.atomic
def delete_group(
    *,
    group: SecurityGroup,
    base: int,
    by: By,
    seen: str | None = None,
) -> int:
    """Detach the group from its VMs and take it out of every list; its history stays. Returns the number of VMs.

    Raises Conflict when its rules are not those of revision `base` any more or, where it is given, when `seen` is not
    its attached_mark: nobody's VM loses rules that the person who deletes has not been told of.
    """
    by.check()
    locked = lock_group(group)
    # Before the VMs are locked: a group that has changed is not worth keeping anybody waiting for.
    if locked.revision != base:
        raise Conflict(locked.revision)
    rows = VirtualMachine.objects.live().filter(attachments__group=locked).order_by("pk")
    machines = list(rows.select_for_update(no_key=True, of=("self",)))
    # Once more under the locks: a VM may have been given the group while the question was being read.
    if seen is not None and seen != attached_mark(locked):
        raise Conflict(locked.revision)
    held = _detach(locked, machines, by)
    # The row stays: revisions, events and cases refer to it, and it can be brought back.
    SecurityGroup.objects.filter(pk=locked.pk).update(deleted_at=timezone.now())
    words = f"Deleted {locked.name}" + (f", which was on {count(len(held), 'VM')}." if held else ".")
    record(
        locked.project,
        Verb.GROUP_DELETED,
        words,
        by=by,
        group=locked,
        detail={"machines": {machine.public_id: machine.revision for machine in held}, "reason": by.reason},
    )
    return len(held)


def _detach(group: SecurityGroup, machines: Sequence[VirtualMachine], by: By) -> list[VirtualMachine]:
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
    changes = [(one, attached[one.pk], [each for each in attached[one.pk] if each != group]) for one in held]
    _record_all(group, changes, by.noting(f"{group.name} was deleted."))
    return held


def _record_all(
    group: SecurityGroup,
    changes: Sequence[tuple[VirtualMachine, list[SecurityGroup], list[SecurityGroup]]],
    by: By,
) -> None:
    """Number and record what the group's end or return made of locked VMs: each with its groups before and after."""
    machines = [machine for machine, _, _ in changes]
    VirtualMachine.objects.filter(pk__in=[machine.pk for machine in machines]).update(
        revision=F("revision") + 1, changed_at=timezone.now()
    )
    revisions, events = [], []
    for machine, before, after in changes:
        machine.project, machine.revision = group.project, machine.revision + 1
        revision, event = regrouped(machine, before, after, by)
        revisions.append(revision)
        events.append(event)
    MachineRevision.objects.bulk_create(revisions, batch_size=1000)
    record_all(events)


@transaction.atomic
def restore_group(*, group: SecurityGroup, by: By) -> int:
    """Bring a deleted group back, onto the VMs whose groups nobody has changed since. Returns how many VMs.

    Raises ValidationError where its name has been taken since, or the quota is full; Conflict when it is not deleted.
    """
    project = lock_project(group.project)
    locked = SecurityGroup.objects.select_for_update(no_key=True).get(pk=group.pk)
    if locked.deleted_at is None:
        raise Conflict(locked.revision)
    # Others may have filled the project up since it was deleted.
    _one_more(project)
    locked.project, locked.deleted_at = project, None
    save_checked(locked)
    event = Event.objects.filter(group=locked, verb=Verb.GROUP_DELETED).order_by("-pk").first()
    revisions = dict(event.detail.get("machines", {})) if event else {}
    machines = VirtualMachine.objects.live().filter(public_id__in=revisions, project=project).order_by("pk")
    held = list(machines.select_for_update(no_key=True, of=("self",)))
    back = _reattach(locked, [one for one in held if one.revision == revisions[one.public_id]], by)
    words = f"Brought {locked.name} back" + (f", onto {count(back, 'VM')}." if back else ".")
    record(project, Verb.GROUP_RESTORED, words, by=by, group=locked)
    return back


@transaction.atomic
def restore_groups(*, groups: Sequence[SecurityGroup], by: By) -> None:
    """Bring back groups that were deleted together, also onto VMs that had several of them. Raises as restore_group does."""
    ends = Event.objects.filter(group__in=groups, verb=Verb.GROUP_DELETED).order_by("pk")
    newest = {end.group_id: end for end in ends}
    numbers: dict[str, list[int]] = {}
    for end in newest.values():
        for public_id, number in end.detail.get("machines", {}).items():
            numbers.setdefault(public_id, []).append(number)
    several = {public_id: sorted(its) for public_id, its in numbers.items() if len(its) > 1}
    rows = VirtualMachine.objects.live().select_related("project").filter(public_id__in=several).order_by("pk")
    # Those whose groups nobody else has changed: each deletion left the next number.
    had = {
        machine: several[machine.public_id][0] - 1
        for machine in rows
        if several[machine.public_id] == list(range(several[machine.public_id][0], machine.revision + 1))
    }
    for project in sorted({group.project for group in groups}, key=lambda one: one.pk):
        lock_project(project)
    held = SecurityGroup.objects.filter(Q(pk__in=newest) | Q(attachments__machine__in=list(had))).values("pk")
    list(SecurityGroup.objects.filter(pk__in=held).order_by("pk").select_for_update(no_key=True))
    # The one that went last comes first.
    for group in sorted(groups, key=lambda one: -newest[one.pk].pk if one.pk in newest else 0):
        restore_group(group=group, by=by)
    for machine, number in had.items():
        machine.refresh_from_db(fields=["revision"])
        before = groups_of_revision(machine, number)
        if before is not None:
            attach_groups(machine=machine, groups=before, base=machine.revision, by=by)


def _reattach(group: SecurityGroup, machines: Sequence[VirtualMachine], by: By) -> int:
    """Give locked VMs the groups that they had before their newest revision took this one from them, where all of those
    are still there; as few statements for thousands as for one. Returns how many VMs.
    """
    had = had_before(group.project, [machine.pk for machine in machines])
    found = {machine: had[machine.pk] for machine in machines if machine.pk in had}
    Attachment.objects.filter(machine__in=list(found)).delete()
    rows = [
        Attachment(machine=machine, group=one, position=at)
        for machine, groups in found.items()
        for at, one in enumerate(groups, 1)
    ]
    Attachment.objects.bulk_create(rows, batch_size=1000)
    changes = [(machine, [one for one in after if one != group], after) for machine, after in found.items()]
    _record_all(group, changes, by.noting(f"{group.name} was brought back."))
    return len(found)


def groups_mark(groups: Sequence[SecurityGroup]) -> str:
    """Stands for the groups as they are now, rules and VMs, and all else that decides on these (two queries)."""
    own = sorted((group.pk, group.revision) for group in groups)
    return _digest([*own, (0, 0), *_around(groups)])


@transaction.atomic
def commit_lists(*, lists: Mapping[SecurityGroup, RuleList], seen: str, by: By) -> None:
    """New lists for several groups, all or none. Raises Conflict where `seen` is not their groups_mark any more, and as
    commit_rules does."""
    rows = SecurityGroup.objects.live().filter(pk__in=[group.pk for group in lists]).order_by("pk")
    held = list(rows.select_for_update(no_key=True))
    hold_machines(held)
    if seen != groups_mark(held):
        raise Conflict(None)
    for group in sorted(lists, key=lambda one: one.pk):
        commit_rules(group=group, rules=lists[group], base=group.revision, by=by)


@transaction.atomic
def delete_groups(*, groups: Sequence[SecurityGroup], by: By, seen: str | None = None) -> None:
    """All of them or none. All groups are locked before the VMs of the first.

    Raises Conflict where `seen`, if it is given, is not their groups_mark any more.
    """
    rows = SecurityGroup.objects.live().filter(pk__in=[group.pk for group in groups]).order_by("pk")
    held = list(rows.select_related("project").select_for_update(no_key=True, of=("self",)))
    hold_machines(held)
    if seen is not None and seen != groups_mark(held):
        raise Conflict(None)
    for group in held:
        delete_group(group=group, base=group.revision, by=by)
