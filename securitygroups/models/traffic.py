"""Packets that hosts told of: which were dropped and which were accepted, hour by hour, and over which lists."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q

from securitygroups.firewall.protocols import Direction
from securitygroups.models.groups import DIRECTIONS
from securitygroups.models.machines import VirtualMachine
from securitygroups.models.people import Project

DROP, ACCEPT = "drop", "accept"
VERDICTS = [(DROP, "Dropped"), (ACCEPT, "Accepted")]
OLDEST = timedelta(days=1)
"""Of packets that are older than this when they are told nothing is kept: the host's clock is another, or its news are old."""


def kept_since(now: datetime) -> datetime:
    """Before which nothing is kept any more."""
    return now - timedelta(days=settings.TRAFFIC_DAYS)


class MadeOf(models.Model):
    """Of what a VM's list was made: its own revision, and its groups in order, each with a revision of its rules.

    Only what the VM really had: what a host says otherwise is kept nowhere. `digest` is SHA-256 of the vector's text.
    """

    machine = models.ForeignKey(VirtualMachine, models.CASCADE, related_name="+", db_index=False)
    digest = models.CharField(max_length=64)
    vector = models.JSONField()

    class Meta:
        ordering = ["pk"]
        verbose_name = verbose_name_plural = "what lists were made of"
        constraints = [models.UniqueConstraint(fields=["machine", "digest"], name="made_of_once")]

    def __str__(self) -> str:
        return f"A list of {self.machine}"

    @property
    def groups(self) -> list[tuple[str, int]]:
        """The groups by public ID, each with the number of its revision."""
        return [(public_id, number) for public_id, number in self.vector["groups"]]


class Traffic(models.Model):
    """Equal packets of a VM in an hour, as a host told of them: samples, for of a flood the kernel tells a part.

    `project` is the one that the VM was in then. `peer` is the other end and `own` the VM's; `port` is the destination's, and
    `source_port` that of the last one. `reason` is the agent's word (words/traffic_seen.py), `rule` the uid of a rule that
    dropped them, as far as it is known. `made_of` is None where the host did not say what the list was made of, or said what
    the VM never had. `key` is a digest of all that makes packets equal.
    """

    project = models.ForeignKey(Project, models.PROTECT, related_name="+", db_index=False)
    machine = models.ForeignKey(VirtualMachine, models.CASCADE, related_name="traffic", db_index=False)
    hour = models.DateTimeField()
    key = models.UUIDField(editable=False)
    direction = models.CharField(max_length=3, choices=DIRECTIONS)
    verdict = models.CharField(max_length=6, choices=VERDICTS)
    reason = models.CharField(max_length=20)
    rule = models.CharField(max_length=20, blank=True)
    made_of = models.ForeignKey(MadeOf, models.PROTECT, null=True, related_name="+")
    version = models.PositiveSmallIntegerField("IP version", null=True)
    protocol = models.PositiveSmallIntegerField(null=True)
    peer = models.GenericIPAddressField(null=True)
    own = models.GenericIPAddressField(null=True)
    port = models.PositiveIntegerField(null=True)
    kind = models.PositiveSmallIntegerField("type of ICMP", null=True)
    source_port = models.PositiveIntegerField("last source port", null=True)
    packets = models.BigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        ordering = ["-last_at", "-pk"]
        verbose_name = verbose_name_plural = "packets told of"
        constraints = [
            models.UniqueConstraint(fields=["machine", "hour", "key"], name="traffic_once"),
            models.CheckConstraint(condition=Q(verdict__in=[DROP, ACCEPT]), name="traffic_verdict"),
            models.CheckConstraint(
                condition=Q(direction__in=[one.value for one in Direction]), name="traffic_direction"
            ),
            models.CheckConstraint(
                condition=Q(packets__gte=1, first_at__lte=models.F("last_at")), name="traffic_counts"
            ),
        ]
        indexes = [
            models.Index(fields=["machine", "-last_at", "-id"], name="traffic_of_machine"),
            models.Index(fields=["project", "-last_at", "-id"], name="traffic_of_project"),
            models.Index(fields=["hour"], name="traffic_by_hour"),
        ]

    def __str__(self) -> str:
        return f"{self.get_verdict_display()} {self.direction} {self.peer or ''} of {self.machine}"


class TrafficHour(models.Model):
    """How many rows of Traffic a VM has of an hour, and how many packets more a host told of than are kept."""

    project = models.ForeignKey(Project, models.PROTECT, related_name="+", db_index=False)
    machine = models.ForeignKey(VirtualMachine, models.CASCADE, related_name="+", db_index=False)
    hour = models.DateTimeField()
    rows = models.IntegerField()
    beyond = models.BigIntegerField("more packets", default=0)

    class Meta:
        ordering = ["pk"]
        verbose_name = verbose_name_plural = "hours of packets told of"
        constraints = [
            models.UniqueConstraint(fields=["machine", "project", "hour"], name="traffic_hour_once"),
            models.CheckConstraint(condition=Q(rows__gte=0, beyond__gte=0), name="traffic_hour_from_0"),
        ]
        indexes = [
            models.Index(fields=["hour"], name="traffic_hour_by_hour"),
            models.Index(fields=["project", "hour"], name="traffic_hour_of_project", condition=Q(beyond__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.hour} of {self.machine}"
