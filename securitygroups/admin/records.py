"""What is only read here: records, and rows that are changed on another object's page."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from securitygroups import operations
from securitygroups.admin.base import ReadOnly, by, case_pages, group_pages, into_panel, machine_pages, too_many
from securitygroups.admin.cases import Tested
from securitygroups.admin.columns import NOBODY, in_order
from securitygroups.effective import stored_at
from securitygroups.firewall.formats.documents import rules_from_stored
from securitygroups.models import (
    AccountEvent,
    Attachment,
    CaseNote,
    Delivery,
    Event,
    GroupRevision,
    Invitation,
    MachineRevision,
    SavedView,
    StreamCursor,
    SupportCase,
    SupportVisit,
    Webhook,
)
from securitygroups.words.rules import rule_sentence

WITHDRAWN = 100
"""Rows that one action takes: each costs time, and a part done in silence would pass for the whole."""


@admin.register(Attachment)
class AttachmentAdmin(ReadOnly):
    """To look up; changed on the VM's page."""

    project_path = "machine__project"
    list_tells = True
    list_display = ("position", "of_machine", "of_group", "of_project")
    list_select_related = ("machine__project", "group")
    search_fields = ("<machine__public_id", "^machine__name", "<group__public_id", "^group__name")
    search_help_text = "ID, or the beginning of the name, of the VM or of the group."
    ordering = ("machine_id", "position")

    def name_of(self, row: Attachment) -> str:
        return str(row)


@admin.register(GroupRevision)
class GroupRevisionAdmin(ReadOnly):
    """Each state that a group's rules had, and who made it."""

    project_path = "group__project"
    list_tells = True
    list_display = ("number", "of_group", "of_project", "at", "by_whom", "by_staff", "summary", "reason")
    list_select_related = ("group__project",)
    search_fields = ("=group__public_id", "^group__name", "=actor__username")
    search_help_text = "The group's ID, the beginning of its name, or who did it."
    exclude = ("steps", "whole_in")
    in_words = {"rules": "rules_then", "actor_name": "by_whom"}
    readonly_fields = ("in_panel",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # Long, and in no list.
        return super().get_queryset(request).defer("rules", "steps")

    @admin.display(description="Rules")
    def rules_then(self, revision: GroupRevision) -> SafeString:
        """The whole list, however the revision keeps it."""
        stored = stored_at(revision.group, GroupRevision.objects.filter(pk=revision.pk)) or ()
        return in_order(rule_sentence(rule) for rule in rules_from_stored(stored))

    @admin.display(description="In the panel")
    def in_panel(self, revision: GroupRevision) -> SafeString:
        """Links to this state of the rules, and to the group's pages there."""
        pages = group_pages(revision.group, "Its group")
        at = [revision.group.project.slug, revision.group.public_id, revision.number]
        return into_panel([("Open", "group_revision", at), *pages] if pages else [])

    def name_of(self, row: GroupRevision) -> str:
        return str(row)


@admin.register(MachineRevision)
class MachineRevisionAdmin(ReadOnly):
    """Each order of groups that a VM had, and who made it."""

    project_path = "project"
    list_tells = True
    list_display = ("number", "of_machine", "of_project", "at", "by_whom", "by_staff", "summary", "reason")
    list_select_related = ("machine", "project")
    search_fields = ("=machine__public_id", "^machine__name", "=actor__username")
    search_help_text = "The VM's ID, the beginning of its name, or who did it."
    exclude = ("together",)
    in_words = {"groups": "groups_then", "actor_name": "by_whom"}
    readonly_fields = ("in_panel",)

    @admin.display(description="Groups")
    def groups_then(self, revision: MachineRevision) -> SafeString:
        """By the names that they had."""
        return in_order(f"{group['name']} ({group['id']})" for group in revision.groups)

    def name_of(self, row: MachineRevision) -> str:
        # The VM may be another project's by now, and have another name there.
        return f"{row.machine.public_id}, revision {row.number}"

    @admin.display(description="In the panel")
    def in_panel(self, revision: MachineRevision) -> SafeString:
        """Links to the VM's pages there."""
        return into_panel(machine_pages(revision.machine, "Its VM"))


@admin.register(SupportVisit)
class SupportVisitAdmin(ReadOnly):
    """Who of the staff looked into which project, when and why."""

    project_path = "project"
    list_display = ("at", "staff", "of_project", "ticket", "reason", "until")
    list_select_related = ("staff", "project")
    search_fields = ("=staff__username", "=project__slug", "^project__name", "^ticket")
    search_help_text = "Who looked, the project's name or slug, or the beginning of the ticket."


@admin.register(SupportCase)
class SupportCaseAdmin(Tested):
    """What staff and customers looked at together: a packet, and the rules of that moment."""

    project_path = "project"
    list_tells = True
    list_display = (
        "public_id",
        "of_project",
        "of_machine",
        "of_group",
        "verdict_badge",
        "ticket",
        "opened_by",
        "at",
    )
    list_select_related = ("project", "machine", "group", "opened_by")
    search_fields = (
        "<public_id",
        "=project__slug",
        "^project__name",
        "^ticket",
        "=machine__public_id",
        "=group__public_id",
    )
    search_help_text = (
        "The beginning of the ID or the ticket, the project's name or slug, or the ID of its VM or group."
    )
    readonly_fields = ("in_panel",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("rules")

    @admin.display(description="In the panel")
    def in_panel(self, case: SupportCase) -> SafeString:
        """Links to the case, and to a packet test on what it is about."""
        return into_panel(case_pages(case))


@admin.register(CaseNote)
class CaseNoteAdmin(ReadOnly):
    """What was said in a case."""

    project_path = "case__project"
    list_tells = True
    list_display = ("at", "of_case", "of_project", "author_name", "by_staff", "text")
    list_select_related = ("case__project",)
    search_fields = ("<case__public_id", "=author__username")
    search_help_text = "The case's ID, or who wrote it."
    readonly_fields = ("in_panel",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # The list joins the case for its name, and would read the rules of each along with it.
        return super().get_queryset(request).defer("case__rules")

    @admin.display(description="In the panel")
    def in_panel(self, note: CaseNote) -> SafeString:
        """Links to its case, and to a packet test on what that is about."""
        return into_panel(case_pages(note.case))

    def name_of(self, row: CaseNote) -> str:
        return f"a note of {row.case}"


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@admin.register(Event)
class EventAdmin(ReadOnly):
    """What happened in all projects, the newest first."""

    project_path = "project"
    list_tells = True
    list_display = ("at", "of_project", "by_whom", "by_staff", "verb", "summary")
    list_filter = ("verb", "by_staff")
    list_select_related = ("project",)
    search_fields = ("=project__slug", "=group__public_id", "=machine__public_id", "=actor__username")
    search_help_text = "The project's slug, the ID of a group or VM, or who did it."
    in_words = {"summary": "words", "detail": "told", "actor_name": "by_whom"}

    @admin.display(description="In words")
    def words(self, event: Event) -> SafeString:
        """Of a page that support looked at the line on record has the address."""
        return SafeString(render_to_string("admin/event_words.html", {"event": event}).strip())

    @admin.display(description="Detail")
    def told(self, event: Event | AccountEvent) -> SafeString:
        """What the line does not say, by its name."""
        lines = ((name.replace("_", " ").capitalize(), _text(value)) for name, value in event.detail.items())
        return format_html_join("", "<p>{}: {}</p>", lines) or NOBODY

    def name_of(self, row: Event) -> str:
        return f"the event “{row.summary}”"

    def looked_at(self, request: HttpRequest, rows: Iterable[Any]) -> None:
        # A look says nothing of the customer, and a list would be full of looks at itself.
        super().looked_at(request, [row for row in rows if row.verb != Event.Verb.SUPPORT_LOOK])


@admin.register(SavedView)
class SavedViewAdmin(ReadOnly):
    """Filters that people keep of their lists, for themselves or for the project."""

    project_path = "project"
    list_display = ("name", "of_project", "kind", "owner")
    list_select_related = ("project", "owner")
    search_fields = ("=project__slug", "^project__name")
    search_help_text = "The project's name or slug."


@admin.register(Invitation)
class InvitationAdmin(ReadOnly):
    """Who is asked into which project, and has not answered yet. Of the secret in the link nothing is shown."""

    project_path = "project"
    list_display = ("email", "of_project", "role", "by_name", "at", "until")
    list_filter = ("role",)
    list_select_related = ("project",)
    search_fields = ("^email", "=project__slug", "^project__name", "=by__username")
    search_help_text = "The beginning of the address, the project's name or slug, or who invited."

    actions = ("withdraw",)

    def has_withdraw_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("securitygroups.delete_invitation")

    @admin.action(description="Withdraw", permissions=["withdraw"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        """Their links lead nowhere from now on; the projects read of it."""
        if too_many(request, queryset, WITHDRAWN, f"Up to {WITHDRAWN} invitations can be withdrawn"):
            return
        # By project, as everybody takes locks.
        invitations = list(queryset.select_related("project").order_by("project", "pk"))
        for invitation in invitations:
            operations.withdraw_invitation(invitation=invitation, by=by(request))
        messages.success(request, f"{len(invitations)} invitation(s) withdrawn.")

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        # The digest is in no form; asked for letter by letter it would be read all the same.
        return not lookup.startswith("digest") and super().lookup_allowed(lookup, value, request)


@admin.register(AccountEvent)
class AccountEventAdmin(ReadOnly):
    """What happened to accounts, the newest first: who came in from where, who was refused, who changed what."""

    list_display = ("at", "verb", "user_name", "actor_name", "of_project", "address", "browser")
    list_filter = ("verb",)
    list_select_related = ("project",)
    search_fields = ("=user__username", "=actor__username", "=address")
    search_help_text = "User name of the account or of who did it, or the address."
    in_words = {"detail": "told"}
    told = EventAdmin.told


@admin.register(StreamCursor)
class StreamCursorAdmin(ReadOnly):
    """How far those have come who read the records from one end to the other; moved by `manage.py forward`."""

    list_display = ("name", "position", "at")
    search_fields = ("^name",)
    search_help_text = "The beginning of the name."


@admin.register(Webhook)
class WebhookAdmin(ReadOnly):
    """Where projects are told what happens in them. Of the secrets nothing is shown, and of an address only its host: in
    what follows there may be a key to the receiver."""

    project_path = "project"
    list_display = ("name", "of_project", "host", "active", "taken_at", "failing_since", "disabled_at")
    list_select_related = ("project",)
    search_fields = ("=project__slug", "^project__name", "=host")
    search_help_text = "The project's name or slug, or the whole name of the host."
    exclude = ("url",)
    readonly_fields = ("host", "disabled_why")

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        # Asked for letter by letter they would be read all the same.
        return not lookup.startswith(("secret", "old_secret", "url")) and super().lookup_allowed(lookup, value, request)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    """What webhooks were sent, and what came of it."""

    project_path = "webhook__project"
    list_tells = True
    list_display = ("made_at", "of_project", "webhook", "event", "state", "attempts", "last_status", "last_error")
    list_select_related = ("webhook__project", "event")
    search_fields = ("=webhook__project__slug",)
    search_help_text = "The project's slug."

    def name_of(self, row: Delivery) -> str:
        return str(row)
