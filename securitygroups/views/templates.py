"""A project's own templates: save a group as one, see them, delete one. Creating from one is in groups.py.

Imports access, operations, forms, web; called by urls.
"""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from securitygroups import operations
from securitygroups.access import enter, find_group, find_template
from securitygroups.forms import TemplateForm
from securitygroups.models import GroupTemplate
from securitygroups.web import FORM_INVALID, numbered, page_or_form, take_refusal


@require_safe
def templates(request: HttpRequest, slug: str) -> HttpResponse:
    access = enter(request, slug)
    rows = GroupTemplate.objects.filter(project=access.project)
    return render(request, "securitygroups/templates.html", {"page": numbered(request, rows)})


@page_or_form
def template_save(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """Keep the group's rules as a template of the project."""
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    form = TemplateForm(
        request.POST if request.method == "POST" else None,
        initial={"name": group.name, "description": group.description},
    )
    if request.method == "POST" and form.is_valid():
        try:
            template = operations.save_template(group=group, **form.cleaned_data, actor=access.user)
            messages.success(request, f"{template.name} is a template now: choose it when you create a group.")
            return redirect("templates", slug)
        except ValidationError as refusal:
            take_refusal(form, refusal)
    status = FORM_INVALID if request.method == "POST" else 200
    return render(request, "securitygroups/template_form.html", {"form": form, "group": group}, status=status)


@require_POST
def template_delete(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    access = enter(request, slug, write=True)
    template = find_template(access, pk)
    operations.delete_template(template=template, actor=access.user)
    messages.success(request, f"The template {template.name} was deleted. Groups made from it stay.")
    return redirect("templates", slug)
