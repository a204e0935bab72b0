"""What the admin's pages have in common: who writes, links, refusals as messages, foreign keys by typing."""

from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

import structlog
from allauth.account.decorators import reauthentication_required
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DataError, transaction
from django.db.models import DateTimeField, Model, QuerySet
from django.forms.utils import ErrorDict
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from karenpanel.client_address import address_of
from securitygroups.admin import search
from securitygroups.admin.asking import Asked, Plan, agreed
from securitygroups.admin.asking import by as by
from securitygroups.admin.choosing import Chooses
from securitygroups.admin.columns import Columns
from securitygroups.admin.looks import OnRecord
from securitygroups.admin.questions import Questions
from securitygroups.forms import take_refusal, take_suggestion
from securitygroups.models import SecurityGroup, SupportCase, VirtualMachine
from securitygroups.operations import By, Client
from securitygroups.paging import MOST, BoundedPaginator

logger = structlog.get_logger()

DELETED = 100
"""Rows that are deleted at once: the question names each of them, and Undo brings all of them back."""

freshly = method_decorator(reauthentication_required(allow_get=True))
"""What is sent here makes others powerful or powerless: an unattended browser is not enough for it."""


def client_of(request: HttpRequest) -> Client:
    """Where it is written from, for the record of accounts. The address is the one that PROXY_COUNT says can be believed."""
    return Client(address_of(request) or None, request.headers.get("User-Agent", ""))


def into_panel(pages: Sequence[tuple[str, str, Sequence[object]]]) -> SafeString:
    """Links to pages of the panel, each by its text, its name and its parameters. Support staff are asked for a reason
    there first."""
    links = ((reverse(name, args=at), text) for text, name, at in pages)
    return format_html_join(", ", '<a href="{}">{}</a>', links) or SafeString("–")


def group_pages(group: SecurityGroup | None, first: str = "Open") -> list[tuple[str, str, Sequence[object]]]:
    """A group's pages in the panel; a deleted one has none."""
    if group is None or not group.pk or group.deleted_at:
        return []
    at = [group.project.slug, group.public_id]
    return [(first, "group", at), ("Test a packet", "group_test", at), ("History", "group_history", at)]


def machine_pages(machine: VirtualMachine | None, first: str = "Open") -> list[tuple[str, str, Sequence[object]]]:
    """A VM's pages in the panel; a deleted one has none."""
    if machine is None or not machine.pk or machine.deleted_at:
        return []
    at = [machine.project.slug, machine.public_id]
    return [(first, "machine", at), ("Test a packet", "machine_test", at), ("History", "machine_history", at)]


def case_pages(case: SupportCase) -> list[tuple[str, str, Sequence[object]]]:
    """The case, and a packet test on what it is about."""
    here: list[tuple[str, str, Sequence[object]]] = [("Open", "case", [case.project.slug, case.public_id])]
    about = machine_pages(case.machine, "Its VM") if case.machine else group_pages(case.group, "Its group")
    return here + about


def and_more(number: int, model: type[Model], query: str) -> SafeString:
    """What a page that shows the first rows says of the others, with the list that has them; nothing without any."""
    if number < 1:
        return SafeString("")
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return format_html('<a href="{}?{}">and {} more</a>', address, urlencode({"q": query}), number)


def too_many(request: HttpRequest, rows: QuerySet[Any], limit: int, what: str) -> bool:
    """Refuse an action on more rows than it takes, in words."""
    counted = BoundedPaginator(rows, limit)
    if counted.count > limit:
        number = f"{'more than ' if counted.more else ''}{counted.count:,}"
        messages.error(request, f"{what} at once, and these are {number}: choose fewer. Nothing was done.")
    return counted.count > limit


class List(ChangeList):
    """What is shown of a list, and what is said of its length."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.multi_page:
            # Django asks in another way where all rows are on one page.
            self.result_list = self.paginator.page(1).object_list
        if isinstance(self.paginator, BoundedPaginator) and self.paginator.more:
            # Beside the search Django has no word for “more than”: the line below the list has it.
            self.full_result_count = self.result_count


class Panel(Columns, OnRecord):
    """What all lists have. A filter or choice in the address that the database cannot read is told, not crashed on."""

    # Beside a filtered list Django says how many rows there are in all, and counts the whole table for it.
    show_full_result_count = False
    # The same for each choice of each filter.
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    list_per_page = list_max_show_all = 50
    # Most orders would have the database sort all rows there are; what an index has in order, a list offers by name.
    sortable_by: ClassVar[tuple[str, ...]] = ()
    ordering: ClassVar[tuple[str, ...]] = ("-pk",)
    # A page's parts: a title, and the fields below it. What none of them names stands in the first.
    sections: ClassVar[tuple[tuple[str | None, tuple[str, ...]], ...]] = ()
    # The address behind it leads to any object whatever; into_panel says where a page leads.
    view_on_site = False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return List

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        left: list[Any] = list(self.get_fields(request, obj))
        parts: list[tuple[str | None, dict[str, list[Any]]]] = []
        for title, names in self.sections:
            parts.append((title, {"fields": [name for name in names if name in left]}))
            left = [name for name in left if name not in names]
        if not parts:
            return [(None, {"fields": left})]
        parts[0][1]["fields"] += left
        return [part for part in parts if part[1]["fields"]]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        # As on the panel's pages, where no label ends in a colon.
        context["adminform"].form.label_suffix = ""
        return super().render_change_form(request, context, *args, **kwargs)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        if not search_term.strip():
            return queryset, False
        found = search.find(self.model, self.get_search_fields(request), search_term)
        if found.more and request.resolver_match and request.resolver_match.url_name != "autocomplete":
            messages.warning(
                request, "Very much begins like this, and only a part was looked through: type more of it."
            )
        return queryset.filter(found.condition), False

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any) -> HttpResponse | None:
        # Of a longer list nobody has seen how long it is.
        if request.POST.get("select_across", "0") != "0" and queryset.order_by()[MOST : MOST + 1].exists():
            messages.error(request, f"These are more than {MOST:,}: search for fewer first. Nothing was done.")
            return HttpResponseRedirect(request.get_full_path())
        return super().response_action(request, queryset, *args)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            # What is done to chosen rows is done to all of them or to none: Django sees to that for forms only.
            with transaction.atomic():
                return super().changelist_view(request, *args, **kwargs)
        except (DataError, ValueError) as error:
            # Cut, for whoever made up the address said how long it is.
            logger.warning("unreadable list", address=request.get_full_path()[:500], error=str(error)[:500])
            messages.error(request, "A filter or choice in the address cannot be read. This is the whole list.")
            return HttpResponseRedirect(request.path)


class ReadOnly(Panel):
    """What is on record, and what is changed on another page: to look up, for the superuser too."""

    in_words: ClassVar[dict[str, str]] = {}
    """Columns that are kept for programs, and what says each of them in words instead."""

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # When something happened is in no form, and is what a record is read for.
        hidden = {*(self.exclude or ()), self.opts.pk.name}
        told = [each.name for each in self.opts.fields if each.editable or isinstance(each, DateTimeField)]
        return [*(self.in_words.get(name, name) for name in told if name not in hidden), *self.readonly_fields]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.get_fields(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ThroughOperations(Chooses, Questions, Panel):
    """Writes go through operations, and those that change traffic are asked about first.

    A write raises Asked for its question (see asking.py), which is shown instead, and nothing is written. What an operation
    refuses is shown in the form or as a message, and nothing of that is written either.
    """

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> Any:
        if "_saveasnew" in request.POST:
            # Django makes another one of it, whatever the page offers, and by way of no page that knows how.
            raise PermissionDenied
        if request.method == "POST" and {"form", "redraw", "suggest"} & request.POST.keys():
            self._only_drawn(request, new=object_id is None)

        # Without arguments super() does not work in a function that takes no self.
        def view() -> Any:
            return super(ThroughOperations, self).changeform_view(request, object_id, *args, **kwargs)

        def view_or_refusal() -> Any:
            try:
                return view()
            except ValidationError as refusal:
                # Once more, with a form that has it among its errors: what was typed stays. Django's view is a transaction
                # of its own, so that nothing of the first time is left.
                request.refusal = refusal  # type: ignore[attr-defined]
                return view()

        return self.told(request, view_or_refusal, form=True)

    def _only_drawn(self, request: HttpRequest, *, new: bool) -> None:
        """The form is to be shown again with all that was typed, and not to be saved."""
        data = take_suggestion(request.POST) if "suggest" in request.POST else request.POST.copy()
        if new:
            # It was the group's that was asked about, and another one may be chosen now.
            data.pop("base", None)
        request.POST = data  # type: ignore[assignment]
        request.only_drawn = True  # type: ignore[attr-defined]

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, *args, **kwargs)
        if getattr(request, "only_drawn", False):
            # Django saves nothing of a form that is not valid; without errors it says nothing of it either.
            return type(form.__name__, (form,), {"is_valid": lambda self: False, "full_clean": _unread})
        refusal = getattr(request, "refusal", None)
        if not isinstance(refusal, ValidationError):
            return form

        # In clean, and not after it: Django asks the form whether it is valid and saves nothing of one that is not.
        def clean(self: Any) -> Any:
            cleaned = form.clean(self)
            take_refusal(self, refusal)
            return cleaned

        return type(form.__name__, (form,), {"clean": clean})

    def plan_deletion(self, request: HttpRequest, rows: Sequence[Any]) -> Plan | None:
        """What the end of these rows means; None where no traffic can change."""
        return None

    def agreed_deletion(self, request: HttpRequest, rows: Sequence[Any]) -> By:
        """Who deletes, and why. Raises Asked until that was looked at."""
        plan = self.plan_deletion(request, rows)
        return agreed(request, plan) if plan else by(request)

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> Any:
        plan = None if context["perms_lacking"] else self.plan_deletion(request, [context["object"]])
        if plan:
            raise Asked(plan)
        return super().render_delete_form(request, context)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self.told(request, lambda: super(ThroughOperations, self).delete_view(request, *args, **kwargs))

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.POST.get("action") == "delete_selected" and "post" not in request.POST and self._asks_itself:
            # Django has a page of its own before the one that knows what it means.
            data = request.POST.copy()
            data["post"] = "yes"
            request.POST = data  # type: ignore[assignment]
        return self.told(request, lambda: super(ThroughOperations, self).changelist_view(request, *args, **kwargs))

    @property
    def _asks_itself(self) -> bool:
        return type(self).plan_deletion is not ThroughOperations.plan_deletion

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What goes along is the operations' matter, and what is on record stays: nothing of that protects a row."""
        rows = list(objs[: DELETED + 1])
        if len(rows) > DELETED:
            raise ValidationError(f"Up to {DELETED} can be deleted at once: choose fewer. Nothing was done.")
        if gone := [str(row) for row in rows if getattr(row, "deleted_at", None)]:
            raise ValidationError(f"{', '.join(gone[:5])}: deleted already. Choose others; nothing was done.")
        self.remember(request, rows)
        names = {str(self.opts.verbose_name) for row in rows if not self.has_delete_permission(request, row)}
        return [str(row) for row in rows], {str(self.opts.verbose_name_plural): len(rows)}, names, []


def _unread(form: Any) -> None:
    """Instead of a form's full_clean: it is shown as it was sent."""
    form._errors, form.cleaned_data = ErrorDict(), {}


class LiveFilter(admin.SimpleListFilter):
    """Deleted groups and VMs stay in the lists, for their record; this tells them apart."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "In use"), ("deleted", "Deleted")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        return queryset.filter(deleted_at__isnull=self.value() == "live")
