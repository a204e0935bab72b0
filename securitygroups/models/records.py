"""What happened: revisions of lists and the lines of a project's activity, which can only be added to."""

from typing import Any, Self

import pgtrigger
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone

from securitygroups.fields import LineField, RecordField
from securitygroups.models.groups import SecurityGroup
from securitygroups.models.machines import VirtualMachine
from securitygroups.models.people import Project
from securitygroups.models.tokens import ApiToken


def append_only() -> list[pgtrigger.Trigger]:
    # By trigger and not by save() and delete(): update(), the admin, a cascade and psql do not come by there.
    return [
        pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        # TRUNCATE asks no trigger of a row, only one of the statement.
        pgtrigger.Trigger(
            name="never_emptied",
            operation=pgtrigger.Truncate,
            level=pgtrigger.Statement,
            when=pgtrigger.Before,
            func="RAISE EXCEPTION 'pgtrigger: Cannot truncate rows from % table', TG_TABLE_NAME;",
        ),
    ]


def used_token() -> Any:
    """Which token a program showed, where it was a program. Without a constraint, which could only be made by a look at every
    row: no table lets go of a row."""
    return models.ForeignKey(
        ApiToken, models.PROTECT, null=True, related_name="+", db_constraint=False, db_index=False, editable=False
    )


def via_what() -> LineField:
    """The same in words, as it was called at that time; empty for what a person did in the panel."""
    return LineField(max_length=100, blank=True, default="", db_default="", editable=False)


class WhoDid:
    """Of a row that says who did something."""

    actor_name: Any
    via: Any

    @property
    def who(self) -> str:
        """The name that the person had, and the token, where a program showed one: “alice, API token “deploy””."""
        return f"{self.actor_name}, {self.via}" if self.via else str(self.actor_name)


class Revision(WhoDid, models.Model):
    """Who changed a list, when and why. Append-only: the database refuses UPDATE, DELETE and TRUNCATE."""

    number = models.PositiveIntegerField()
    # A group's is never before the one before it, even where the clock has been put back: commit_edit sees to that.
    at = models.DateTimeField(default=timezone.now, editable=False)
    # Empty where the panel itself did it.
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    # The name at that time: a record cannot follow when somebody is renamed.
    actor_name = LineField(max_length=254)
    by_staff = models.BooleanField(default=False)
    token = used_token()
    via = via_what()
    summary = LineField(max_length=300)
    reason = LineField(max_length=255, blank=True)

    class Meta:
        abstract = True


class GroupRevisionQuerySet(models.QuerySet["GroupRevision"]):
    def without_lists(self) -> Self:
        """For a line about each: a list of a thousand rules is long."""
        return self.defer("rules", "steps")


class GroupRevision(Revision):
    """The rule list of a group after a change: whole in `rules` (documents.stored_rules), or as the `steps` that lead to
    it from the revision before (firewall.steps). `effective.rules_at` reads both, in SQL securitygroups_rules_at().
    """

    # PROTECT, here and below: what is on record is never deleted, only marked as deleted or switched off.
    # Here and below no index of its own where one of several columns begins with it.
    group = models.ForeignKey(SecurityGroup, models.PROTECT, related_name="revisions", db_index=False)
    rules = RecordField(null=True)
    steps = RecordField(null=True)
    # Of this revision or one before it. Empty where a version that only knew whole lists wrote it, on which no steps
    # stand: rows of rules may have been brought to a new rule of texts since.
    whole_in = models.IntegerField("newest whole list", null=True)

    objects = GroupRevisionQuerySet.as_manager()

    class Meta:
        ordering = ["group_id", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["group", "number"], name="group_revision_number"),
            models.CheckConstraint(
                condition=Q(rules__isnull=False, steps__isnull=True)
                | Q(rules__isnull=True, steps__isnull=False, whole_in__isnull=False, whole_in__lt=F("number")),
                name="group_revision_list",
            ),
        ]
        triggers = append_only()

    def __str__(self) -> str:
        return f"{self.group}, revision {self.number}"


class MachineRevision(Revision):
    """The ordered groups of a VM after a change; `groups` lists {"id": public id, "name": name at that time}.

    `project` is the one that the VM was in: what it had in another one is that customer's business. `together` is the line
    of activity that speaks of all VMs that were changed at once, where this was one of several.
    """

    # Staff may move a VM to another project: its own `project` says only where it is now.
    project = models.ForeignKey(Project, models.PROTECT, related_name="+")
    machine = models.ForeignKey(VirtualMachine, models.PROTECT, related_name="revisions", db_index=False)
    groups = RecordField()
    # Without a constraint, which could only be made by a look at every row: neither table lets go of a row.
    together = models.ForeignKey(
        "Event", models.PROTECT, null=True, related_name="regrouped", db_constraint=False, db_index=False
    )

    class Meta:
        ordering = ["machine_id", "-number"]
        constraints = [models.UniqueConstraint(fields=["machine", "number"], name="machine_revision_number")]
        # Few changes are of many VMs.
        indexes = [
            models.Index(fields=["together", "machine"], name="revision_together", condition=Q(together__isnull=False))
        ]
        triggers = append_only()

    def __str__(self) -> str:
        return f"{self.machine}, revision {self.number}"


class Event(WhoDid, models.Model):
    """One line of a project's activity. Append-only like the revisions."""

    class Verb(models.TextChoices):
        PROJECT_CREATED = "project.created", "Project created"
        PROJECT_CHANGED = "project.changed", "Project changed"
        GROUP_CREATED = "group.created", "Group created"
        GROUP_CHANGED = "group.changed", "Group details changed"
        GROUP_DELETED = "group.deleted", "Group deleted"
        GROUP_RESTORED = "group.restored", "Group brought back"
        RULES_CHANGED = "rules.changed", "Rules changed"
        MACHINE_CREATED = "machine.created", "VM created"
        MACHINE_CHANGED = "machine.changed", "VM details changed"
        MACHINE_DELETED = "machine.deleted", "VM deleted"
        MACHINE_RESTORED = "machine.restored", "VM brought back"
        GROUPS_ATTACHED = "machine.groups", "Attached groups changed"
        MACHINE_PLACED = "machine.placed", "VM's host changed"
        MEMBER_INVITED = "member.invited", "Member invited"
        INVITATION_ENDED = "invitation.ended", "Invitation ended"
        MEMBER_ADDED = "member.added", "Member added"
        MEMBER_CHANGED = "member.changed", "Member's role changed"
        MEMBER_REMOVED = "member.removed", "Member removed"
        SUPPORT_LOOK = "support.look", "Support looked"
        CASE_OPENED = "case.opened", "Support case"
        CASE_CHANGED = "case.changed", "Support case changed"
        TEMPLATE_SAVED = "template.saved", "Template saved"
        TEMPLATE_DELETED = "template.deleted", "Template deleted"
        REVIEW_STARTED = "review.started", "Review started"
        REVIEW_SIGNED = "review.signed", "Review signed off"
        REVIEW_DROPPED = "review.dropped", "Review dropped"
        TOKEN_MADE = "token.made", "API token made"
        TOKEN_REVOKED = "token.revoked", "API token revoked"
        WEBHOOK_CREATED = "webhook.created", "Webhook created"
        WEBHOOK_CHANGED = "webhook.changed", "Webhook changed"
        WEBHOOK_DELETED = "webhook.deleted", "Webhook deleted"
        WEBHOOK_ROTATED = "webhook.rotated", "Webhook's secret changed"
        WEBHOOK_RESENT = "webhook.resent", "Sent to a webhook again"
        WEBHOOK_TESTED = "webhook.tested", "Webhook tested"
        WEBHOOK_DISABLED = "webhook.disabled", "Webhook switched off"

    project = models.ForeignKey(Project, models.PROTECT, related_name="events", db_index=False)
    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    actor_name = LineField(max_length=254)
    by_staff = models.BooleanField(default=False)
    token = used_token()
    via = via_what()
    verb = models.CharField(max_length=20, choices=Verb.choices)
    group = models.ForeignKey(SecurityGroup, models.PROTECT, null=True, related_name="events", db_index=False)
    machine = models.ForeignKey(VirtualMachine, models.PROTECT, null=True, related_name="events")
    summary = LineField(max_length=400)
    detail = RecordField(default=dict)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["project", "-at", "-id"], name="event_by_time"),
            models.Index(fields=["group", "-id"], name="event_by_group"),
            # The kind first: a project's activity of a kind, and in the admin whatever is rare, of all projects.
            models.Index(fields=["verb", "project", "-at", "-id"], name="event_by_verb"),
            models.Index("project", OpClass(Lower("actor_name"), "varchar_pattern_ops"), name="event_by_name"),
            models.Index("id", name="event_by_staff", condition=Q(by_staff=True)),
            models.Index(
                fields=["project", "token", "-at", "-id"], name="event_by_token", condition=Q(token__isnull=False)
            ),
        ]
        triggers = append_only()

    def __str__(self) -> str:
        return self.summary


class AdminLine(LogEntry):
    """The admin's own record, which is Django's table. Append-only too, and so whoever stands in it cannot be deleted:
    Django would let the lines go along with the person."""

    class Meta:
        proxy = True
        default_permissions = ()
        triggers = append_only()
