"""Tokens: what a program shows instead of a person, of whom only a digest is kept."""

from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from securitygroups.fields import LineField
from securitygroups.models.people import Project

MOST_NETWORKS = 20
"""From which a token is taken, and projects to which one is limited: both are read with each request."""
MOST_PROJECTS = 50


class Scope(models.TextChoices):
    """What a token is good for, whatever its person may do besides."""

    READ = "read", "Read"
    TEST = "test", "Test packets"
    WRITE = "write", "Change groups and VMs"
    MEMBERS = "members", "Manage members"
    INVENTORY = "inventory", "Bring VMs in"
    UNASKED = "unasked", "Change without confirming alarms"


class TokenQuerySet(models.QuerySet["ApiToken"]):
    def good(self) -> Self:
        """Neither revoked nor expired."""
        now = timezone.now()
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)

    def ended(self) -> Self:
        """Revoked or expired: they stay for the record's sake."""
        return self.filter(Q(revoked_at__isnull=False) | Q(expires_at__lte=timezone.now()))


class ApiToken(models.Model):
    """A token of a person, who made it for themselves, or of a project, whose service account it is: then it stays when who
    made it leaves. It is never deleted: what is on record names it."""

    name = LineField("Name", max_length=60)
    # As SHA-256: 256 random bits need no slow one.
    digest = models.CharField(max_length=64, unique=True, editable=False)
    ending = models.CharField(max_length=4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="tokens")
    # Of which project a service account is; empty for a person's own.
    project = models.ForeignKey(Project, models.PROTECT, null=True, related_name="tokens")
    scopes = ArrayField(models.CharField(max_length=10, choices=Scope.choices))
    # Where a person's own is good; empty: wherever they are a member.
    projects = models.ManyToManyField(Project, related_name="+", blank=True)
    networks = ArrayField(models.CharField(max_length=43), default=list, blank=True)
    # Whether it was made in a session with a second factor, and so opens projects that ask for one.
    strong = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    used_at = models.DateTimeField(null=True, editable=False)
    used_from = models.GenericIPAddressField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    revoked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")

    objects = TokenQuerySet.as_manager()

    class Meta:
        verbose_name = "API token"
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(scopes__len__gte=1), name="token_scopes"),
            models.CheckConstraint(
                condition=Q(expires_at=None) | Q(expires_at__gt=F("created_at")), name="token_expiry"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} (…{self.ending})"

    @property
    def may(self) -> str:
        """What it is good for, in words."""
        return ", ".join(str(Scope(scope).label) for scope in self.scopes)

    @property
    def is_good(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())
