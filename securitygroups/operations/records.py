"""What every operation shares: locks, records, refusals."""

from collections.abc import Collection, Sequence
from copy import copy
from functools import partial
from typing import Any

import structlog
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import BaseConstraint

from securitygroups.firewall.texts import looks_like, shown
from securitygroups.models import (
    Attachment,
    Event,
    GroupTemplate,
    Project,
    SavedView,
    SecurityGroup,
    VirtualMachine,
)
from securitygroups.operations.by import By

logger = structlog.get_logger()


class Conflict(Exception):
    """The list has changed since it was looked at: nothing was written. `revision` is the newest number, None when deleted."""

    def __init__(self, revision: int | None) -> None:
        super().__init__("This has been changed by somebody else in the meantime. Nothing was written.")
        self.revision = revision


Verb = Event.Verb
_ABOUT_ACCESS = frozenset(
    {
        *(Verb.MEMBER_INVITED, Verb.INVITATION_ENDED, Verb.MEMBER_ADDED, Verb.MEMBER_CHANGED, Verb.MEMBER_REMOVED),
        *(Verb.PROJECT_CREATED, Verb.SUPPORT_LOOK, Verb.TOKEN_MADE, Verb.TOKEN_REVOKED),
    }
)
"""Who may come in and who came in is in the log too, where the platform's operators watch over it."""


def event(project: Project, verb: Event.Verb, summary: str, *, by: By, **about: Any) -> Event:
    """One line of the project's activity, not written yet. `about` may name group, machine and detail; the reason that
    somebody gave stands in every detail."""
    if by.reason:
        about["detail"] = {"reason": by.reason} | about.get("detail", {})
    return Event(project=project, verb=verb, summary=summary[:400], **by.columns, **about)


def record_all(events: Sequence[Event]) -> None:
    """The one door by which events are written: a few statements for thousands of them."""
    Event.objects.bulk_create(events, batch_size=1000)
    told = [said for said in events if said.verb in _ABOUT_ACCESS]
    if told:
        transaction.on_commit(partial(_log, told))


def _log(events: Sequence[Event]) -> None:
    for said in events:
        logger.info(
            "project",
            verb=str(said.verb),
            project=said.project.slug,
            actor=said.actor_name,
            via=said.via,
            by_staff=said.by_staff,
            summary=said.summary,
        )


def record(project: Project, verb: Event.Verb, summary: str, *, by: By, **about: Any) -> Event:
    """Write one line of the project's activity."""
    said = event(project, verb, summary, by=by, **about)
    record_all([said])
    return said


# no_key, here and wherever rows are locked: others may go on to write rows that only refer to the locked one.
def lock_project(project: Project) -> Project:
    return Project.objects.select_for_update(no_key=True).get(pk=project.pk)


def lock_group(group: SecurityGroup) -> SecurityGroup:
    locked = SecurityGroup.objects.live().select_for_update(no_key=True).filter(pk=group.pk).first()
    if locked is None:
        raise Conflict(None)
    locked.project = group.project
    return locked  # type: ignore[no-any-return]


def lock_machine(machine: VirtualMachine) -> VirtualMachine:
    # In that project: one that was moved away in the meantime is gone from there.
    live = VirtualMachine.objects.live().filter(pk=machine.pk, project=machine.project_id)
    locked = live.select_for_update(no_key=True).first()
    if locked is None:
        raise Conflict(None)
    locked.project = machine.project
    return locked  # type: ignore[no-any-return]


def hold_machines(groups: Collection[SecurityGroup]) -> None:
    """Lock the VMs that have one of these locked groups: until the transaction ends nobody gives them other groups, and of
    two who change the rules of two groups of one VM, the second sees what the first has done (one query)."""
    having = Attachment.objects.filter(group__in=groups).values("machine")
    rows = VirtualMachine.objects.live().filter(pk__in=having).order_by("pk").select_for_update(no_key=True)
    list(rows.values_list("pk"))


_TAKEN_AT = {
    **dict.fromkeys(("group_name", "machine_name", "template_name", "view_name"), "name"),
    "machine_ipv4": "ipv4",
    "machine_ipv6": "ipv6",
    "machine_external_id": "external_id",
}
"""Where a person typed what a constraint finds taken in the project."""


def save_checked(instance: SecurityGroup | VirtualMachine | GroupTemplate | SavedView) -> None:
    """Save under the project's lock, so that a name that is taken is found by the check and not by a crash."""
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
                if field == "name":
                    _check_no_other_looks_so(instance, constraint)
            except ValidationError as refusal:
                problems[field] = [refusal]
    if problems:
        raise ValidationError(problems)
    instance.save()


def _check_no_other_looks_so(instance: Any, constraint: BaseConstraint) -> None:
    """Refuse a new name that is taken in other letters, which nobody can tell from it. Raises ValidationError."""
    twin = copy(instance)
    twin.name = looks_like(instance.name)
    if twin.name == instance.name:
        return
    try:
        constraint.validate(type(instance), twin)
    except ValidationError:
        if not type(instance)._base_manager.filter(pk=instance.pk, name=instance.name).exists():
            why = f"This looks like “{shown(twin.name)}”, a name that is taken: type another."
            raise ValidationError(why.replace("%", "%%")) from None


def count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def one_more(has: int, quota: int, word: str, otherwise: str, *, of: str = "The project") -> None:
    """Whether one more fits where there are `has`. Raises ValidationError, which says what to do `otherwise`.

    Counted under the project's lock: two people who create at once cannot both be the last that fits.
    """
    if has >= quota:
        raise ValidationError(f"{of} has its {count(quota, word)} already: {otherwise}.", code="quota")
