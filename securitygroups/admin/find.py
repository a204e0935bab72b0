"""One search over everything that an operator looks for. It names things and where they belong, and says no more of them."""

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from securitygroups.admin import search
from securitygroups.admin.sections import site
from securitygroups.models import Invitation, Project, SecurityGroup, SupportCase, User, VirtualMachine

KINDS: tuple[type[Model], ...] = (Project, User, VirtualMachine, SecurityGroup, SupportCase, Invitation)
SHOWN = 8
"""Rows of each kind; the others are on its list."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A row that was found: its page, what it is called, what else names it, and its project."""

    page: str
    name: str
    aside: str
    project: Project | None


@dataclass(frozen=True, slots=True)
class Kind:
    """What was found of one kind, and the list that has the others."""

    title: str
    every: str
    hits: list[Hit]
    more: bool


def _hit(row: Any) -> Hit:
    page = reverse(f"admin:securitygroups_{row._meta.model_name}_change", args=[row.pk])
    aside = next((str(getattr(row, name)) for name in ("public_id", "slug", "email") if getattr(row, name, "")), "")
    if isinstance(row, Invitation):
        aside = row.get_role_display()
    name = row.email if isinstance(row, Invitation) else str(row)
    return Hit(page, name, aside if aside != name else "", getattr(row, "project", None))


def _kind(request: HttpRequest, model: type[Model], text: str) -> Kind | None:
    panel = admin.site.get_model_admin(model)
    if not panel.has_view_or_change_permission(request):
        return None
    found = search.find(model, panel.get_search_fields(request), text)
    rows = panel.get_queryset(request).filter(found.condition).order_by("-pk")
    if any(field.name == "project" for field in model._meta.fields):
        rows = rows.select_related("project")
    if model is SupportCase:
        rows = rows.defer("rules")
    # Keys first, or the database may read all rows in order until it has found so many.
    keys = list(rows.order_by().values_list("pk", flat=True)[: SHOWN + 1])
    hits = [_hit(row) for row in rows.filter(pk__in=keys[:SHOWN])]
    every = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return Kind(str(model._meta.verbose_name_plural), every, hits, len(keys) > SHOWN) if hits else None


def find_view(request: HttpRequest) -> HttpResponse:
    """What was typed, looked for among all kinds that the person may look at. What only one thing has for its ID, slug or
    address, or what only one thing fits at all, leads there."""
    text = request.GET.get("q", "").strip()[:200]
    kinds = [kind for kind in (_kind(request, model, text) for model in KINDS) if kind] if text else []
    hits = [hit for kind in kinds for hit in kind.hits]
    exactly = [hit for hit in hits if hit.aside.lower() == text.lower()]
    for only in (exactly, hits):
        if len(only) == 1:
            return redirect(only[0].page)
    context = {**admin.site.each_context(request), "title": "Find", "q": text, "kinds": kinds}
    return TemplateResponse(request, "admin/find.html", context)


site.pages.append(("find/", find_view, "find"))
