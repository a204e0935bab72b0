"""The one way from other groups of a VM to their commit: token, preview, question, commit, message with Undo."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from json import dumps
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from securitygroups import operations
from securitygroups.access import Access
from securitygroups.answers.preview import Preview, preview_groups
from securitygroups.models import SecurityGroup, VirtualMachine
from securitygroups.operations import By
from securitygroups.web.pages import address_of, into_dialog, number_in, reason_of, sent_fields

# What the question page puts into its form itself.
_OWN_FIELDS = frozenset({"csrfmiddlewaretoken", "sure", "seen", "reason", "preview", "back"})
Named = Sequence[tuple[str, str]]
"""Groups as public id and name, in order."""


@dataclass(frozen=True, slots=True)
class GroupLine:
    """One group that differs between two orders; places count from 1, None where it is not in that one."""

    name: str
    old: int | None
    new: int | None


@dataclass(frozen=True, slots=True)
class GroupChange:
    """What differs between two orders of groups."""

    added: tuple[GroupLine, ...]
    removed: tuple[GroupLine, ...]
    moved: tuple[GroupLine, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.moved)


def named(groups: Sequence[SecurityGroup]) -> Named:
    return [(group.public_id, group.name) for group in groups]


def group_change(before: Named, after: Named) -> GroupChange:
    """Which groups came, went, and stand elsewhere among those that stayed."""
    old, new = ({public_id: place for place, (public_id, _) in enumerate(some, 1)} for some in (before, after))
    stayed = [[public_id for public_id, _ in some if public_id in old and public_id in new] for some in (before, after)]
    elsewhere = {now for was, now in zip(*stayed, strict=True) if was != now}
    return GroupChange(
        added=tuple(GroupLine(name, None, new[one]) for one, name in after if one not in old),
        removed=tuple(GroupLine(name, old[one], None) for one, name in before if one not in new),
        moved=tuple(GroupLine(name, old[one], new[one]) for one, name in after if one in elsewhere),
    )


def attached_groups(machine: VirtualMachine) -> list[SecurityGroup]:
    """The VM's groups in order, none for one that is still to be created."""
    if machine.pk is None:
        return []
    return [a.group for a in machine.attachments.select_related("group").order_by("position")]


def token_of(machine: VirtualMachine, groups: Sequence[SecurityGroup]) -> str:
    """Names one change of one revision, so that an answer to the question is good for that alone."""
    # A VM that is still to be created has no identity that lasts from one request to the next.
    whose = machine.public_id if machine.pk else machine.project.slug
    text = dumps([whose, machine.revision, [(group.public_id, group.revision) for group in groups]])
    return sha256(text.encode()).hexdigest()[:32]


def to_ask(
    request: HttpRequest, machine: VirtualMachine, before: Sequence[SecurityGroup], after: Sequence[SecurityGroup]
) -> Preview | None:
    """What has to be looked at before these groups are attached; None where it has been, or nothing is to be seen."""
    token = token_of(machine, after)
    if request.POST.get("sure") == token:
        return None
    preview = preview_groups(machine, before, after, address=address_of(request))
    new_to_them = request.POST.get("seen") != token and preview.worth_a_look
    return preview if preview.alarms or new_to_them else None


def question(
    request: HttpRequest,
    machine: VirtualMachine,
    before: Sequence[SecurityGroup],
    after: Sequence[SecurityGroup],
    preview: Preview,
    *,
    cancel: str = "",
    title: str = "",
    button: str = "Save",
) -> HttpResponse:
    """What other groups, or another order, would change, before it is made. Nothing is written yet.

    `cancel` is where who thinks better of it goes; where it is empty, back to the form with all that was typed.
    """
    sent = sent_fields(request, _OWN_FIELDS)
    context = {
        "machine": machine,
        "groups": after,
        "change": group_change(named(before), named(after)),
        "preview": preview,
        "token": token_of(machine, after),
        "hidden": sent or [("base", str(machine.revision))],
        "reason": request.POST.get("reason", ""),
        "action": request.path,
        "cancel": cancel,
        "title": title or f"Change the groups of {machine.name}?",
        "button": button,
    }
    return into_dialog(request, render(request, "securitygroups/changes/machine_question.html", context))


def preview_part(
    request: HttpRequest,
    machine: VirtualMachine,
    before: Sequence[SecurityGroup],
    after: Sequence[SecurityGroup] | None,
) -> HttpResponse:
    """The preview below a form that is being filled in; `after` is None while that makes no list of groups."""
    context: dict[str, Any] = {"machine": machine}
    if after is not None:
        context |= {
            "preview": preview_groups(machine, before, after, address=address_of(request)),
            "token": token_of(machine, after),
        }
    return render(request, "securitygroups/changes/_form_preview.html", context)


def attach(
    request: HttpRequest,
    access: Access,
    machine: VirtualMachine,
    groups: Sequence[SecurityGroup],
    done: str,
    *,
    reason: str = "",
    back: str = "",
) -> HttpResponse:
    """Attach these groups, after a question where they change something that has not been looked at yet.

    `back` is where it goes on, the VM's page where it is empty; `reason` goes on record where the person typed none.
    """
    back, base = back or machine.get_absolute_url(), number_in(request, "base")
    before = attached_groups(machine)
    if base == machine.revision and (preview := to_ask(request, machine, before, groups)):
        return question(request, machine, before, groups, preview, cancel=back)
    try:
        operations.attach_groups(
            machine=machine, groups=groups, base=base, by=By(access.user, reason=reason_of(request) or reason)
        )
    except operations.Conflict:
        words = "were changed by somebody else in the meantime: look at them, and try again."
        messages.error(request, f"Nothing was changed: the groups of {machine.name} {words}")
        return redirect(back)
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
        return redirect(back)
    if machine.revision == base:
        messages.info(request, "Nothing was changed.")
    else:
        undo = reverse("machine_undo", args=[access.project.slug, machine.public_id, machine.revision])
        messages.success(request, done, extra_tags=f"undo:{undo}")
    return redirect(machine)
