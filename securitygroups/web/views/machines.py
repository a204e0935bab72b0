"""Virtual machines: list, create, the VM's page with its effective rules, instance settings, delete."""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from karenpanel.sent_again import BACK, draws_again
from securitygroups import operations
from securitygroups.access import Access, find_deleted, find_machine
from securitygroups.answers.closers import hidden_below
from securitygroups.answers.machine_filter import WAITING, MachineFilter, tags_of
from securitygroups.answers.on_machine import findings_on, noted
from securitygroups.answers.platform import platform
from securitygroups.effective import of_machine
from securitygroups.enforcement import applied
from securitygroups.forms import (
    MachineForm,
    OrderedGroupsForm,
    PortsForm,
    as_typed,
    reordered,
    take_refusal,
    take_suggestion,
)
from securitygroups.models import Attachment, SecurityGroup, VirtualMachine
from securitygroups.proposals import NewGroupOn, NewGroups, propose_group_on, propose_groups, to_ask
from securitygroups.web.attaching import attach, attached_groups, preview_part, question
from securitygroups.web.changing import preview_waits
from securitygroups.web.doors import by, enter, said
from securitygroups.web.following import follows_machine
from securitygroups.web.lists import found, list_page
from securitygroups.web.opening import made_by, planned_by, take_group_refusal
from securitygroups.web.pages import (
    CONFLICT,
    FORM_INVALID,
    RULES_A_PAGE,
    address_of,
    answer,
    numbered,
    page_or_form,
    reason_of,
)

OFFERED = 500
"""Names of VMs that a field offers."""
GROUPS_SHOWN = 5
"""Of each VM in a list: sixteen would make a row as high as a screen."""


@require_safe
def machines(request: HttpRequest, slug: str) -> HttpResponse:
    access = enter(request, slug)
    rows, told = found(access, "machines", MachineFilter.from_query(request.GET))
    page = numbered(request, rows)
    page.object_list = _with_groups(page.object_list)
    standings = applied.of_machines([vm.pk for vm in page.object_list])
    for vm in page.object_list:
        vm.standing = standings.get(vm.pk)  # type: ignore[attr-defined]
    if page.object_list and not standings and WAITING not in told["wanted"].states:
        # No host has ever had an agent: there is nothing to look for.
        told["states"] = {key: words for key, words in told["states"].items() if key != WAITING}
    context = {"page": page, "quota": access.project.machine_quota, **told}
    return list_page(request, "securitygroups/machines/list.html", "securitygroups/machines/_list.html", context)


@require_safe
def machine_choices(request: HttpRequest, slug: str) -> HttpResponse:
    """What can be typed into fields: names of groups, tags, or the first names of VMs that have what was typed last."""
    access = enter(request, slug)
    if "tags" in request.GET:
        names = tags_of(access.project)
    elif "machines" in request.GET:
        last = request.GET["machines"].rpartition(",")[2].strip()
        rows = VirtualMachine.objects.live().filter(project=access.project, name__icontains=last).order_by("name")
        names = list(rows.values_list("name", flat=True)[:OFFERED])
    else:
        names = list(SecurityGroup.objects.live().filter(project=access.project).values_list("name", flat=True))
    # Not HTML by itself: it is a part of a form, and no page.
    kind = "text/plain; charset=utf-8"
    return render(request, "securitygroups/machines/_choices.html", {"names": names}, content_type=kind)


def _with_groups(machines: Iterable[VirtualMachine]) -> list[VirtualMachine]:
    """Each VM with `attached`: identity and name of its first groups, in order, which is all that a list shows of them,
    and `more_groups`, how many more there are.
    """
    found = {vm.pk: vm for vm in machines}
    for vm in found.values():
        vm.attached, vm.more_groups = [], 0  # type: ignore[attr-defined]
        vm.last_changed = vm.changed_at or vm.created_at  # type: ignore[attr-defined]
    rows = Attachment.objects.filter(machine__in=list(found)).order_by("machine", "position")
    for pk, *group in rows.values_list("machine", "group__public_id", "group__name"):
        if len(found[pk].attached) < GROUPS_SHOWN:  # type: ignore[attr-defined]
            found[pk].attached.append(group)  # type: ignore[attr-defined]
        else:
            found[pk].more_groups += 1  # type: ignore[attr-defined]
    return list(found.values())


def _moved(data: QueryDict) -> QueryDict:
    """The form's data with the groups in the order that a button without script asked for."""
    moved = data.copy()
    moved.setlist("group", reordered([str(one) for one in data.getlist("group")], data.get("order", "")))
    return moved


@dataclass(frozen=True, slots=True)
class _Sent:
    """A VM's own fields, its ordered groups, and for a new VM what to open: forms that are filled in and saved together.

    `redraw`: only the form was asked for again, with its groups in another order or with room for more.
    """

    form: MachineForm
    order: OrderedGroupsForm
    redraw: bool
    ports: PortsForm | None = None

    def is_valid(self) -> bool:
        return self.form.is_valid() & self.order.is_valid() & (self.ports is None or self.ports.is_valid())

    @property
    def fields(self) -> dict[str, Any]:
        return {name: self.form.cleaned_data[name] for name in MachineForm.Meta.fields}

    @property
    def groups(self) -> list[SecurityGroup] | None:
        """The chosen groups in order; None while what is chosen makes no list."""
        return self.order.groups() if self.order.is_valid() else None

    def made(self, vm: VirtualMachine) -> operations.Made | None:
        """The group that is to be made for what is to be opened; None where nothing is."""
        if self.ports is None or not self.ports.is_valid() or not self.ports.rules:
            return None
        return made_by(self.ports, vm.project, vm.name, self.ports.rules)

    def proposal(self, vm: VirtualMachine, attached: Sequence[SecurityGroup]) -> NewGroups | NewGroupOn:
        """Raises ValidationError where a new group could not be stored."""
        made = self.made(vm)
        if made is None:
            return propose_groups(vm, attached, self.order.groups())
        return propose_group_on(vm, self.order.groups(), planned_by(made, vm.project))


def _forms(request: HttpRequest, vm: VirtualMachine, chosen: list[SecurityGroup], spare: int) -> _Sent:
    """The forms as they were sent, or as they begin. `spare` empty places for groups, one more where more were asked for."""
    post = _moved(take_suggestion(request.POST)) if request.method == "POST" else None
    redraw = bool({"order", "more", "suggest", BACK} & request.POST.keys())
    form = MachineForm(
        None if redraw else post, initial=post.dict() if redraw and post is not None else None, instance=vm
    )
    order = OrderedGroupsForm(post, project=vm.project, chosen=chosen, spare=spare)
    if vm.pk:
        return _Sent(form, order, redraw)
    ports = PortsForm(post, address=address_of(request), asked=False)
    return _Sent(form, order, redraw, as_typed(ports) if redraw else ports)


def _page(request: HttpRequest, sent: _Sent, context: dict[str, Any], status: int = 200) -> HttpResponse:
    picked = {group.pk: group.public_id for group in sent.order.groups()}
    sent.order.hidden = {picked[below]: picked[by] for below, by in hidden_below(list(picked)).items()}
    more = "tags" in sent.form.errors or bool(sent.form["tags"].value())
    context = {
        "form": sent.form,
        "order": sent.order,
        "ports": sent.ports,
        "more": more,
        "reason": reason_of(request),
        **context,
    }
    page, part = "securitygroups/machines/form.html", "securitygroups/machines/_ordered_groups.html"
    response = answer(request, page, part, context, status=status)
    response["HX-Trigger"] = "fields-changed"  # the preview follows
    return response


def _preview(request: HttpRequest, vm: VirtualMachine, attached: list[SecurityGroup], sent: _Sent) -> HttpResponse:
    if sent.groups is None:
        return preview_part(request, vm, None)
    if sent.ports and not sent.ports.is_valid():
        return preview_waits(request, None, str(next(iter(sent.ports.errors.values()))[0]))
    try:
        return preview_part(request, vm, sent.proposal(vm, attached))
    except ValidationError as refusal:
        return preview_waits(request, None, refusal.messages[0])


@draws_again
@page_or_form
def machine_create(request: HttpRequest, slug: str) -> HttpResponse:
    """`?group=`, more than once: the groups that it begins with."""
    access = enter(request, slug, write=True)
    chosen = _asked_for(access, request.GET.getlist("group"))
    sent = _forms(request, VirtualMachine(project=access.project), chosen, spare=2)
    sent.form.fields["name"].widget.attrs["autofocus"] = True
    name = " ".join(request.POST.get("name", "").split())[:100]
    planned = VirtualMachine(project=access.project, name=name or "the new VM")
    if "preview" in request.POST:
        return _preview(request, planned, [], sent)
    if request.method != "POST" or sent.redraw:
        return _page(request, sent, {})
    if sent.is_valid():
        try:
            return _created(request, access, planned, sent)
        except ValidationError as refusal:
            if not (sent.ports and take_group_refusal(sent.ports, refusal)):
                take_refusal(sent.form, refusal)
    return _page(request, sent, {}, FORM_INVALID)


def _asked_for(access: Access, ids: Sequence[str]) -> list[SecurityGroup]:
    """The project's groups of these IDs, in the order in which they stand; what is none of them is passed over."""
    asked = list(dict.fromkeys(ids))[: settings.MAX_GROUPS_PER_MACHINE]
    rows = SecurityGroup.objects.live().filter(project=access.project, public_id__in=asked)
    return sorted(rows, key=lambda group: asked.index(group.public_id))


def _created(request: HttpRequest, access: Access, planned: VirtualMachine, sent: _Sent) -> HttpResponse:
    """The VM and, where something is to be opened, its new group; or the question before. Raises ValidationError."""
    proposal, made = sent.proposal(planned, []), sent.made(planned)
    if preview := to_ask(proposal, said(request)):
        words = {"title": f"Create {planned.name}?", "button": "Create Virtual Machine"}
        return question(request, proposal, preview, **words)
    new: dict[str, Any] = {"project": access.project, "fields": sent.fields, "by": by(request)}
    if isinstance(proposal, NewGroupOn) and made:
        machine = operations.create_machine_open(**new, groups=sent.order.groups(), made=made, at=proposal.at)
    else:
        machine = operations.create_machine(**new, groups=proposal.after)
    messages.success(request, f"{machine.name} was created.")
    return redirect(machine)


@require_safe
def machine(request: HttpRequest, slug: str, machine_id: str) -> HttpResponse:
    """The VM with its effective list: its groups' rules one after the other, numbered through."""
    access = enter(request, slug)
    vm = find_machine(access, machine_id)
    attachments = list(vm.attachments.select_related("group").order_by("position"))
    for attachment in attachments:
        attachment.group.project = access.project
    listed = of_machine(vm)
    found = findings_on(access.project.pk, listed)
    page = numbered(request, list(enumerate(listed, 1)), RULES_A_PAGE)
    context = {
        "machine": vm,
        "attachments": attachments,
        "page": page,
        "rules": noted(access.project.pk, list(page.object_list), listed, found),
        "findings": found,
        "platform": platform(),
        "standing": applied.of_machine(vm),
        "tab": "rules",
    }
    return render(request, "securitygroups/machines/machine.html", context)


@require_POST
def machine_order(request: HttpRequest, slug: str, machine_id: str) -> HttpResponse:
    """Move one of the VM's groups up or down, from the VM's page."""
    access = enter(request, slug, write=True)
    vm = find_machine(access, machine_id)
    order, attached = request.POST.get("order", ""), attached_groups(vm)
    groups = reordered(attached, order) if order.startswith(("up ", "down ")) else attached
    proposal = propose_groups(vm, attached, groups)
    return attach(request, proposal, f"The groups of {vm.name} are in another order now.")


@draws_again
@page_or_form
def machine_settings(request: HttpRequest, slug: str, machine_id: str) -> HttpResponse:
    """Instance settings: the VM's own fields and its ordered groups, saved together, after a look at what changes."""
    access = enter(request, slug, write=True)
    vm = find_machine(access, machine_id)
    attached = attached_groups(vm)
    # The form writes what was typed into its own copy: messages speak of the VM as it is.
    sent = _forms(request, copy(vm), attached, spare=1)
    base = said(request, vm.revision).base
    if "preview" in request.POST:
        return _preview(request, vm, attached, sent)
    if request.method != "POST" or sent.redraw:
        return _page(request, sent, {"machine": vm, "base": base})
    if sent.is_valid():
        proposal = propose_groups(vm, attached, sent.order.groups())
        if base == vm.revision and (preview := to_ask(proposal, said(request))):
            return question(request, proposal, preview)
        try:
            return _saved(request, proposal, sent, base)
        except ValidationError as refusal:
            take_refusal(sent.form, refusal)
        except operations.Conflict:
            now = find_machine(access, machine_id)
            told = {"machine": now, "base": now.revision, "conflict": True, "now": attached_groups(now)}
            return _page(request, sent, told, CONFLICT)
    return _page(request, sent, {"machine": vm, "base": base}, FORM_INVALID)


def _saved(request: HttpRequest, proposal: NewGroups, sent: _Sent, base: int) -> HttpResponse:
    """Save both, or neither. Raises ValidationError, Conflict."""
    vm = proposal.machine
    operations.save_machine(machine=vm, fields=sent.fields, groups=proposal.after, base=base, by=by(request))
    undo = ""
    if vm.revision != base:
        undo = f"undo:{reverse('machine_undo', args=[vm.project.slug, vm.public_id, vm.revision])}{follows_machine(vm)}"
    messages.success(request, f"The settings of {sent.fields['name']} were saved.", extra_tags=undo)
    return redirect(vm)


@page_or_form
def machine_delete(request: HttpRequest, slug: str, machine_id: str) -> HttpResponse:
    access = enter(request, slug, write=True)
    vm = find_machine(access, machine_id)
    if request.method == "POST":
        try:
            operations.delete_machine(machine=vm, by=by(request))
            undo = reverse("machine_bring_back", args=[slug, vm.public_id])
            messages.success(request, f"{vm.name} was deleted.", extra_tags=f"undo:{undo}")
        except operations.Conflict:
            messages.info(request, f"{vm.name} was deleted already.")
        return redirect("machines", slug)
    return render(request, "securitygroups/machines/delete.html", {"machine": vm, "groups": attached_groups(vm)})


@require_POST
def machine_undo(request: HttpRequest, slug: str, machine_id: str, number: int) -> HttpResponse:
    """Take the newest change of the VM's groups back."""
    access = enter(request, slug, write=True)
    vm = find_machine(access, machine_id)
    try:
        operations.undo_groups(machine=vm, number=number, by=by(request))
        words = "Undone: the VM has the groups it had before."
        messages.success(request, words, extra_tags=follows_machine(find_machine(access, machine_id)))
    except operations.Conflict:
        messages.error(request, "Nothing was undone: the groups have been changed again in the meantime.")
    except operations.NotWhatItWas as refusal:
        messages.warning(request, f"Nothing was undone yet. {refusal.messages[0]} This is what it would do now.")
        return redirect("machine_restore", slug, vm.public_id, number - 1)
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
    return redirect(vm)


@require_POST
def machine_bring_back(request: HttpRequest, slug: str, machine_id: str) -> HttpResponse:
    """Undo a deletion."""
    access = enter(request, slug, write=True)
    vm = find_deleted(access, VirtualMachine, machine_id)
    try:
        operations.restore_machine(machine=vm, by=by(request))
        messages.success(request, f"{vm.name} is back.")
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
        return redirect("machines", slug)
    except operations.Conflict:
        pass  # brought back already, by somebody else or a second click
    return redirect(vm)
