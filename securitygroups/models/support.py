"""What support may look at and for how long, and the packet tests that it kept as cases. All append-only."""

from django.conf import settings
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models.functions import Lower
from django.urls import reverse

from securitygroups.fields import LineField, LinesField, RecordField
from securitygroups.models.groups import ACTIONS, SecurityGroup
from securitygroups.models.machines import VirtualMachine
from securitygroups.models.names import new_case_id
from securitygroups.models.people import Project
from securitygroups.models.records import append_only


class SupportVisit(models.Model):
    """A staff member may look into a project, read-only, from `at` to `until`. Append-only."""

    project = models.ForeignKey(Project, models.PROTECT, related_name="support_visits")
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)
    reason = LineField("Reason", max_length=255)
    ticket = LineField("Ticket", max_length=100)
    at = models.DateTimeField(auto_now_add=True)
    # Set at the start, for the row cannot be changed: a visit ends by the clock, a longer one is a new row.
    until = models.DateTimeField()

    class Meta:
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["staff", "project", "-until"], name="visit_of_staff"),
            models.Index(fields=["staff", "-at"], name="visit_by_time"),
            models.Index(OpClass(Lower("ticket"), "varchar_pattern_ops"), name="visit_lower_ticket"),
        ]
        triggers = append_only()

    def __str__(self) -> str:
        return f"{self.staff} in {self.project}, {self.ticket}"


class VisitEnd(models.Model):
    """A visit that was left before its time. A row of its own, for the visit's cannot be changed. Append-only."""

    visit = models.OneToOneField(SupportVisit, models.PROTECT, related_name="ending")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers = append_only()

    def __str__(self) -> str:
        return f"End of: {self.visit}"


class SupportCase(models.Model):
    """A packet, the list it was tested against as it was then, and the answer: true after the rules have changed.

    `packet` is the packet's JSON object; `rules` are the document's rules, each with `group` {"id", "name", "place"}.
    Append-only.
    """

    project = models.ForeignKey(Project, models.PROTECT, related_name="cases", db_index=False)
    public_id = models.CharField("ID", max_length=20, unique=True, default=new_case_id, editable=False)
    machine = models.ForeignKey(VirtualMachine, models.PROTECT, null=True, related_name="cases")
    group = models.ForeignKey(SecurityGroup, models.PROTECT, null=True, related_name="cases")
    packet = models.JSONField()
    rules = RecordField()
    verdict = models.CharField(max_length=6, choices=ACTIONS)
    # The place in `rules` that decided, not a key: the row may be gone. Empty where no rule did.
    rule = models.PositiveIntegerField(null=True)
    ticket = LineField("Ticket", max_length=100, blank=True)
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["project", "-at"], name="case_by_project"),
            models.Index(OpClass(Lower("ticket"), "varchar_pattern_ops"), name="case_lower_ticket"),
        ]
        triggers = append_only()

    def __str__(self) -> str:
        return self.public_id

    def get_absolute_url(self) -> str:
        return reverse("case", args=[self.project.slug, self.public_id])


class CaseNote(models.Model):
    """What somebody wrote to a case. Append-only."""

    case = models.ForeignKey(SupportCase, models.PROTECT, related_name="notes")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    author_name = LineField(max_length=254)
    by_staff = models.BooleanField(default=False)
    text = LinesField("Note", max_length=4000)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["at", "pk"]
        triggers = append_only()

    def __str__(self) -> str:
        return f"Note of {self.author_name}"


class CasePacket(models.Model):
    """A further packet of a case, with its answer. `rules` only where the list was another one than the case's, as that of
    the VM at the other end; else the case's own list is meant. Append-only.
    """

    case = models.ForeignKey(SupportCase, models.PROTECT, related_name="packets")
    machine = models.ForeignKey(VirtualMachine, models.PROTECT, null=True, related_name="+")
    group = models.ForeignKey(SecurityGroup, models.PROTECT, null=True, related_name="+")
    packet = models.JSONField()
    rules = RecordField(null=True)
    verdict = models.CharField(max_length=6, choices=ACTIONS)
    rule = models.PositiveIntegerField(null=True)
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        triggers = append_only()

    def __str__(self) -> str:
        return f"A packet of {self.case}"


class CaseStep(models.Model):
    """What became of a case: who took it, that it was closed, that it was opened again. Append-only."""

    class Kind(models.TextChoices):
        TAKEN = "taken", "Taken"
        CLOSED = "closed", "Closed"
        REOPENED = "reopened", "Opened again"

    case = models.ForeignKey(SupportCase, models.PROTECT, related_name="steps")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    author_name = LineField(max_length=254)
    by_staff = models.BooleanField(default=False)
    text = LineField("Word", max_length=255, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["at", "pk"]
        triggers = append_only()

    def __str__(self) -> str:
        return f"{self.get_kind_display()} by {self.author_name}"


class CaseStanding(models.Model):
    """Where a case stands, as its notes and steps say: what lists of very many cases are searched and sorted by.

    The only row of a case that changes; operations write it together with the record that it follows from.
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        ANSWERED = "answered", "Answered"
        CLOSED = "closed", "Closed"

    case = models.OneToOneField(SupportCase, models.PROTECT, primary_key=True, related_name="standing")
    project = models.ForeignKey(Project, models.PROTECT, related_name="+", db_index=False)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    # Since when somebody waits for support's word, or waited for it.
    asked_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["state", "asked_at", "case"], name="standing_by_waiting"),
            models.Index(fields=["asked_at", "case"], name="standing_by_asked"),
            models.Index(fields=["state", "-case"], name="standing_by_state"),
            models.Index(fields=["assignee", "state", "asked_at"], name="standing_of_staff"),
            models.Index(fields=["project", "state", "-case"], name="standing_by_project"),
        ]

    def __str__(self) -> str:
        return f"{self.case}: {self.get_state_display()}"
