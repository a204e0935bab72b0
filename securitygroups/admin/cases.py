"""What belongs to cases and visits, to look up: support writes it at the desk."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from securitygroups.admin.base import ReadOnly, case_pages, into_panel
from securitygroups.admin.columns import in_order
from securitygroups.answers.cases import frozen_list
from securitygroups.effective import Placed
from securitygroups.firewall.formats.packets import packet_from_json
from securitygroups.models import CasePacket, CaseStanding, CaseStep, VisitEnd
from securitygroups.words.rules import packet_sentence, rule_sentence


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


class Tested(ReadOnly):
    """A packet, the list that it was tested against, and what that said of it."""

    in_words: ClassVar[dict[str, str]] = {
        "packet": "packet_then",
        "rules": "rules_then",
        "rule": "decided",
        "verdict": "verdict_badge",
    }

    @admin.display(description="Packet")
    def packet_then(self, row: Any) -> str:
        """As the case's page says it."""
        return packet_sentence(packet_from_json(row.packet))

    def _list(self, row: Any) -> list[Placed]:
        # A further packet was tested against the case's own list, where it has none.
        return frozen_list(row.rules if row.rules is not None else row.case.rules)

    @admin.display(description="Rules at that time")
    def rules_then(self, row: Any) -> SafeString:
        """The list in words, each rule with its place."""
        return in_order(f"{one.text}: {rule_sentence(one.rule)}" for one in self._list(row))

    @admin.display(description="Decided by")
    def decided(self, row: Any) -> str:
        """The rule, where there was one."""
        return "No rule: denied by default" if row.rule is None else self._list(row)[row.rule - 1].text


@admin.register(CasePacket)
class CasePacketAdmin(Tested, OfCase):
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
    search_help_text = "The project's slug, or the user name of whoever visited."
