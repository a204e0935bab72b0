"""What staff look at in the admin goes on the record of the customer that it belongs to.

One look for each project on each page that is shown: a page of one row, its history, the question before it is deleted,
and what an action tells. Lists are over all customers. One that says what is in a customer's rules, VMs or records is a
look at each project that has a row on the page, and at most as many as the page has rows. One that has only names of
things and people (projects, groups, members, invitations, visits), and the choice by typing, is none: those are what
the platform finds its customers by. What was refused or is not there was not looked at; what was changed is on record
as a change.
"""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from securitygroups import operations
from securitygroups.models import Project, User
from securitygroups.operations import By


class OnRecord(admin.ModelAdmin[Any]):
    """Pages of rows that each belong to a project."""

    project_path: str | None = None
    """From a row to its project, as a query has it; None where rows are no customer's."""
    list_tells = False
    """Whether the list says more than what things are called."""

    def name_of(self, row: Any) -> str:
        """What the customer reads was looked at; nothing in it may be another customer's."""
        public_id = getattr(row, "public_id", "")
        return f"{self.opts.verbose_name} {row}" + (f" ({public_id})" if public_id not in ("", str(row)) else "")

    def looked_at(self, request: HttpRequest, rows: Iterable[Model]) -> None:
        """Put a look at these rows on record."""
        shown = {row.pk: row for row in rows}
        if not shown or self.project_path is None:
            return
        owners: dict[int, list[Model]] = {}
        pairs = self.model._base_manager.filter(pk__in=shown).values_list("pk", self.project_path)
        for key, project in pairs.order_by("pk"):
            # A template of the platform is nobody's.
            if project is not None:
                owners.setdefault(project, []).append(shown[key])
        looks = [(each, self._words(owners[each.pk])) for each in Project.objects.filter(pk__in=owners).order_by("pk")]
        operations.record_staff_looks(looks=looks, page=request.path, by=By(cast(User, request.user), staff=True))

    def _words(self, rows: Sequence[Model]) -> str:
        if len(rows) > 1:
            return f"{len(rows)} {self.opts.verbose_name_plural}"
        return self.name_of(rows[0])[:300]

    def remember(self, request: HttpRequest, rows: Iterable[Model]) -> None:
        """What the page that is being made will show."""
        request.rows_shown = list(rows)  # type: ignore[attr-defined]

    def _on_record(self, request: HttpRequest, response: Any) -> Any:
        """The answer, once the look at it is on record."""
        if response.status_code == 200:
            self.looked_at(request, getattr(request, "rows_shown", ()))
        return response

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        row = super().get_object(request, *args, **kwargs)
        self.remember(request, [row] if row is not None else [])
        return row

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        self.remember(request, objs)
        return super().get_deleted_objects(objs, request)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._on_record(request, super().changeform_view(request, *args, **kwargs))

    def history_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._on_record(request, super().history_view(request, *args, **kwargs))

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._on_record(request, super().delete_view(request, *args, **kwargs))

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().changelist_view(request, *args, **kwargs)
        shown = (getattr(response, "context_data", None) or {}).get("cl")
        if shown is not None and self.list_tells:
            self.remember(request, shown.result_list)
        return self._on_record(request, response)  # type: ignore[no-any-return]
