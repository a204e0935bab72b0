"""What belongs to cases and visits, to look up: support writes it at the desk."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from securitygroups.admin.base import ReadOnly, case_pages, into_panel
from securitygroups.models import CasePacket, CaseStanding, CaseStep, VisitEnd


class OfCase(ReadOnly):
    """A row of a case. Its list says which case, and nothing of what is in it."""

    project_path = "case__project"
    list_select_related: ClassVar[tuple[str, ...]] = ("case__project",)
    search_fields = ("<case__public_id",)
    search_help_text = "The case's ID."
    readonly_fields = ("in_panel",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # The list joins the case for its name, and would read the rules of each along with it.
        return super().get_queryset(request).defer("case__rules")

    @admin.display(description="In the panel")
    def in_panel(self, row: Any) -> SafeString:
        """Links to its case, and to a packet test on what that is about."""
        return into_panel(case_pages(row.case))


@admin.register(CasePacket)
class CasePacketAdmin(OfCase):
    """A further packet of a case, with its answer."""

    list_display = ("at", "of_case", "of_project", "added_by")
    list_select_related = ("case__project", "added_by")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("rules", "case__rules")


@admin.register(CaseStep)
class CaseStepAdmin(OfCase):
    """Who took a case, closed it or opened it again."""

    list_display = ("at", "of_case", "of_project", "kind", "author_name", "by_staff")


@admin.register(CaseStanding)
class CaseStandingAdmin(OfCase):
    """Where each case stands, and who has it."""

    list_display = ("of_case", "of_project", "state", "assignee", "asked_at", "answered_at")
    list_display_links = ("state",)
    list_select_related = ("case__project", "assignee")


@admin.register(VisitEnd)
class VisitEndAdmin(ReadOnly):
    """Visits that were left before their time."""

    project_path = "visit__project"
    list_display = ("at", "visit", "of_project")
    list_select_related = ("visit__project", "visit__staff")
    search_fields = ("=visit__project__slug", "=visit__staff__username")
    search_help_text = "The project's slug, or who of support."
