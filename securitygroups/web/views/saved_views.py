"""Saved views of a list: its filter under a name, for oneself or for the project."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse

from securitygroups import operations
from securitygroups.access import Access, Right, find_view
from securitygroups.fields import begins_focused
from securitygroups.forms import ViewForm, take_refusal
from securitygroups.models import SavedView
from securitygroups.web.doors import by, enter
from securitygroups.web.lists import KINDS, may_change
from securitygroups.web.pages import FORM_INVALID, page_or_form


@page_or_form
def view_new(request: HttpRequest, slug: str) -> HttpResponse:
    """Keep the filter that stands in the address."""
    access = enter(request, slug)
    kind = request.GET.get("of", "machines")
    if kind not in KINDS:
        raise Http404
    query = KINDS[kind].filter.from_query(request.GET).query()
    if not query:
        messages.info(request, "This list is not filtered: search, filter or sort it first, then save the view.")
        return redirect(kind, slug)
    return _written(request, access, SavedView(project=access.project, owner=access.user, kind=kind, query=query))


@page_or_form
def view_edit(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Another name, other people who see it, or the filter that stands in the address."""
    access = enter(request, slug)
    view = _to_change(access, pk)
    before = view.query
    view.query = KINDS[view.kind].filter.from_query(request.GET).query() or before
    return _written(request, access, view, updates=view.query != before)


@page_or_form
def view_delete(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    access = enter(request, slug)
    view = _to_change(access, pk)
    if request.method != "POST":
        return render(request, "securitygroups/views/delete.html", {"view": view, "back": _address(view)})
    operations.delete_view(view=view, by=by(request))
    messages.success(request, f"The view {view.name} was deleted.")
    return redirect(view.kind, slug)


def _to_change(access: Access, pk: int) -> SavedView:
    view = find_view(access, pk)
    if not may_change(access, view):
        access.require(Right.CHANGE)
    return view


def _address(view: SavedView) -> str:
    return f"{reverse(view.kind, args=[view.project.slug])}?{view.query}"


def _written(request: HttpRequest, access: Access, view: SavedView, *, updates: bool = False) -> HttpResponse:
    """The view under the name that was sent; `updates`, where it gets another filter than it has."""
    sent = request.POST if request.method == "POST" else None
    form = ViewForm(sent, initial={"name": view.name, "shared": not view.owner_id}, may_share=access.can_edit)
    begins_focused(form)
    if form.is_valid():
        view.name = form.cleaned_data["name"]
        view.owner = None if form.cleaned_data.get("shared") else access.user
        try:
            operations.write_view(view=view, by=by(request))
            messages.success(request, f"The view {view.name} was saved.")
            return redirect(_address(view))
        except ValidationError as refusal:
            take_refusal(form, refusal)
    wanted = KINDS[view.kind].filter.from_query(QueryDict(view.query))
    order = dict(KINDS[view.kind].orders).get(wanted.sort, "") if wanted.sort else ""
    context = {
        "form": form,
        "view": view,
        "back": _address(view),
        "chips": wanted.chips(),
        "query": wanted.q,
        "order": order,
        "updates": updates,
    }
    return render(request, "securitygroups/views/form.html", context, status=FORM_INVALID if sent is not None else 200)
