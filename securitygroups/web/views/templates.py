"""Templates: save a group as one, see them, delete one, fill an empty group from one. Creating from one is in groups.py."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from karenpanel.sent_again import draws_again, goes_back
from securitygroups import operations
from securitygroups.access import Access, find_group, find_template
from securitygroups.fields import begins_focused
from securitygroups.firewall.formats.documents import rules_from_stored
from securitygroups.firewall.values import RuleList, whole_number
from securitygroups.forms import TemplateForm, as_typed, take_refusal
from securitygroups.models import GroupTemplate
from securitygroups.proposals import Whole
from securitygroups.starters import STARTERS
from securitygroups.web.changing import change_rules
from securitygroups.web.doors import by, enter, enter_group
from securitygroups.web.pages import FORM_INVALID, numbered, page_or_form, reason_of, sent

MOST_KEY = 2**63 - 1
MANY = 100
"""Own templates offered where a group starts from one; the rest are on their page."""


def _own_key(key: str) -> int | None:
    """The key of a stored template from the form's "own-12", None for anything else."""
    return whole_number(key.removeprefix("own-"), MOST_KEY) if key.startswith("own-") else None


def start_rules(access: Access, key: str) -> tuple[RuleList, str]:
    """The rules that the chosen template begins with, and its name. Raises ValidationError for one that is gone."""
    if not key:
        return (), ""
    for starter in STARTERS:
        if starter.key == key:
            return starter.rules, starter.name
    pk = _own_key(key)
    if pk is not None:
        own = GroupTemplate.objects.filter(Q(project=access.project) | Q(project=None), pk=pk).first()
        if own:
            return rules_from_stored(own.rules), own.name
    raise ValidationError("This template has been deleted in the meantime: choose another, or none.")


def start_choices(access: Access, chosen: str) -> dict[str, Any]:
    """What a group can start from: the panel's, the platform's, and the project's own, with the chosen one."""
    own = GroupTemplate.objects.filter(project=access.project).defer("rules")
    offered, hidden = list(own[: MANY + 1]), 0
    if len(offered) > MANY:
        offered = [each for each in offered[:MANY] if f"own-{each.key}" != chosen]
        pk = _own_key(chosen)
        offered += own.filter(pk=pk) if pk is not None else []
        hidden = own.count() - len(offered)
    shared = list(GroupTemplate.objects.filter(project=None).defer("rules"))
    return {"starters": STARTERS, "templates": [*shared, *offered], "hidden_templates": hidden}


@draws_again
@page_or_form
def group_start(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """The rules of a template, for a group that has none yet."""
    on = enter_group(request, slug, group_id)
    access, group = on.access, on.group
    chosen, error = request.POST.get("template", ""), ""
    if sent(request):
        try:
            rules, name = start_rules(access, chosen)
            if not name:
                raise ValidationError("Choose a template.")
            words = f"{len(rules)} rule{'' if len(rules) == 1 else 's'} came from the template {name}."
            return change_rules(on, Whole(lambda now: (*now, *rules)), words)
        except ValidationError as refusal:
            error = refusal.messages[0]
    context = {"group": group, "chosen": chosen, "error": error, "reason": reason_of(request)}
    context |= start_choices(access, chosen)
    status = FORM_INVALID if sent(request) else 200
    return render(request, "securitygroups/groups/start.html", context, status=status)


@require_safe
def templates(request: HttpRequest, slug: str) -> HttpResponse:
    access = enter(request, slug)
    rows = GroupTemplate.objects.filter(project=access.project)
    return render(request, "securitygroups/templates/list.html", {"page": numbered(request, rows)})


@draws_again
@page_or_form
def template_save(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """Keep the group's rules as a template of the project."""
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    form = TemplateForm(
        request.POST if request.method == "POST" else None,
        initial={"name": group.name, "description": group.description},
    )
    if not sent(request):
        form = as_typed(form) if goes_back(request) else form
        begins_focused(form)
    elif form.is_valid():
        try:
            template = operations.save_template(group=group, **form.cleaned_data, by=by(request))
            messages.success(request, f"{template.name} is a template now: choose it when you create a group.")
            return redirect("templates", slug)
        except ValidationError as refusal:
            take_refusal(form, refusal)
    status = FORM_INVALID if sent(request) else 200
    return render(request, "securitygroups/templates/form.html", {"form": form, "group": group}, status=status)


@page_or_form
def template_delete(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    access = enter(request, slug, write=True)
    template = find_template(access, pk)
    if request.method != "POST":
        return render(request, "securitygroups/templates/delete.html", {"template": template})
    operations.delete_template(template=template, by=by(request))
    messages.success(request, f"The template {template.name} was deleted. Groups made from it stay.")
    return redirect("templates", slug)
