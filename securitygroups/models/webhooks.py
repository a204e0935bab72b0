"""Webhooks: addresses to which a project's events are sent, and what became of each."""

from datetime import timedelta

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from securitygroups.fields import LineField
from securitygroups.models.people import Project
from securitygroups.models.records import Event

ROTATION = timedelta(hours=24)
"""How long the secret of before signs along, so that a receiver can be given the new one in between."""
KEPT = timedelta(days=30)
"""How long it is told what became of an event."""


class Webhook(models.Model):
    """An address that wants to know what happens in a project.

    What happens while it is paused, or switched off because it never took anything, is not sent to it.
    """

    project = models.ForeignKey(Project, models.PROTECT, related_name="webhooks")
    name = LineField("Name", max_length=60)
    url = models.CharField("Address", max_length=500)
    # The name or address in `url`, by which those that do not answer are left alone for a while.
    host = models.CharField(max_length=255, editable=False)
    # Verbs of Event; empty for all of them.
    kinds = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    # Sealed (webhooks/keys.py): it signs what is sent, so its hash would be of no use.
    secret = models.TextField(editable=False)
    old_secret = models.TextField(editable=False, blank=True)
    old_until = models.DateTimeField(editable=False, null=True)
    active = models.BooleanField(default=True)
    # Events up to this id were before its time.
    position = models.BigIntegerField(editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", editable=False
    )
    created_by_name = LineField(max_length=254, editable=False)
    taken_at = models.DateTimeField(editable=False, null=True)
    # Since when it has taken nothing; empty where the last that was sent was taken.
    failing_since = models.DateTimeField(editable=False, null=True)
    disabled_at = models.DateTimeField(editable=False, null=True)
    disabled_why = LineField(max_length=200, editable=False, blank=True)

    class Meta:
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_on(self) -> bool:
        return self.active and not self.disabled_at

    @property
    def sealed(self) -> list[str]:
        """The sealed secrets that sign now, the newest first."""
        old = self.old_secret if self.old_until and self.old_until > timezone.now() else ""
        return [self.secret, old] if old else [self.secret]


class Delivery(models.Model):
    """An event on its way to a webhook. What is sent is made of the event each time; the answer's text is not kept."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DONE = "done", "Taken"
        GIVEN_UP = "given up", "Given up"

    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="deliveries", db_index=False)
    event = models.ForeignKey(Event, models.PROTECT, related_name="+", db_index=False)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    # Somebody asked for it and waits: it goes first, and to one that is paused as well.
    asked = models.BooleanField(default=False)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(default=timezone.now)
    # Until when a process is sending it. One that was killed comes back to nothing: then it is sent by another.
    leased_until = models.DateTimeField(null=True)
    made_at = models.DateTimeField(auto_now_add=True)
    first_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)
    last_status = models.PositiveSmallIntegerField(null=True)
    last_error = LineField(max_length=300, blank=True)
    last_ms = models.PositiveIntegerField("last duration", null=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["webhook", "event"], name="delivered_once"),
            models.CheckConstraint(condition=Q(state__in=["waiting", "done", "given up"]), name="delivery_state"),
        ]
        indexes = [
            models.Index(fields=["webhook", "-id"], name="delivery_by_webhook"),
            models.Index(fields=["webhook", "next_at"], name="delivery_waiting", condition=Q(state="waiting")),
            models.Index(fields=["made_at"], name="delivery_made"),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.webhook}"
