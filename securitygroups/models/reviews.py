"""Reviews of a project's rules: the one that is going on with what was decided so far, and those that were signed.

What was decided is collected and changes nothing until the review is signed. What was signed is append-only.
"""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.urls import reverse
from django.utils import timezone

from securitygroups.fields import LineField, RecordField
from securitygroups.models.groups import Rule, SecurityGroup
from securitygroups.models.people import Project
from securitygroups.models.records import append_only


class Verdict(models.TextChoices):
    """What a review decides about a rule."""

    KEEP = "keep", "Keep"
    NARROW = "narrow", "Narrow"
    OFF = "off", "Switch off"
    REMOVE = "remove", "Remove"


class Review(models.Model):
    """The review that is going on in a project; signing ends it. Several people may work on it."""

    project = models.OneToOneField(Project, models.PROTECT, related_name="review")
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    started_name = LineField(max_length=254)

    def __str__(self) -> str:
        return f"Review of {self.project}"


class DecidedRuleQuerySet(models.QuerySet["DecidedRule"]):
    def holding(self, project: int) -> Self:
        """Those of this project's groups whose rule is still there as it was when they were made; where it stands does not
        matter."""
        same = Rule.objects.filter(group=OuterRef("group"), uid=OuterRef("uid"), changed_in__lte=OuterRef("revision"))
        # With the project its groups are found by an index: the groups of all projects would be read.
        return self.filter(Exists(same), group__project=project, group__deleted_at=None)


class DecidedRule(models.Model):
    """What the rule `uid` of a group shall become: by whom, and on which revision of the group they looked at it.

    It holds as long as the rule has not been changed since that revision. `narrowed` has the fields that a narrower rule
    gets, as documents have them. `version` counts, so that nobody overwrites what they have not seen.
    """

    review = models.ForeignKey(Review, models.CASCADE, related_name="decisions", db_index=False)
    group = models.ForeignKey(SecurityGroup, models.PROTECT, related_name="+")
    uid = models.CharField(max_length=12)
    verdict = models.CharField(max_length=6, choices=Verdict.choices)
    narrowed = RecordField(null=True)
    remark = LineField("Remark", max_length=255, blank=True)
    revision = models.PositiveIntegerField()
    version = models.PositiveIntegerField(default=1)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    by_name = LineField(max_length=254)
    at = models.DateTimeField(default=timezone.now, editable=False)

    objects = DecidedRuleQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["review", "group", "uid"], name="decided_once"),
            models.CheckConstraint(condition=Q(verdict__in=Verdict.values), name="decided_verdict"),
        ]

    def __str__(self) -> str:
        return f"{self.get_verdict_display()}: {self.uid}"


class SignedReview(models.Model):
    """A review that somebody signed off. `signature` is the name as they typed it. Append-only, like all that belongs to it."""

    project = models.ForeignKey(Project, models.PROTECT, related_name="signed_reviews", db_index=False)
    number = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    at = models.DateTimeField(default=timezone.now, editable=False)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    actor_name = LineField(max_length=254)
    signature = LineField("Name", max_length=150)
    remark = LineField("Remark", max_length=255, blank=True)
    rules = models.PositiveIntegerField()
    decided = models.PositiveIntegerField()
    changed = models.PositiveIntegerField()

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="signed_review_number"),
            models.CheckConstraint(condition=Q(decided__lte=F("rules")), name="signed_review_counts"),
        ]
        triggers = append_only()

    def __str__(self) -> str:
        return f"Review {self.number} of {self.project}"

    def get_absolute_url(self) -> str:
        return reverse("review_record", args=[self.project.slug, self.number])

    @property
    def left(self) -> int:
        """Rules that nobody decided about."""
        return self.rules - self.decided


class ReviewedGroup(models.Model):
    """A group as a signed review found it, and the revision that it left. Append-only."""

    review = models.ForeignKey(SignedReview, models.PROTECT, related_name="groups", db_index=False)
    group = models.ForeignKey(SecurityGroup, models.PROTECT, related_name="+")
    name = LineField(max_length=100)
    found = models.PositiveIntegerField("revision that was reviewed")
    revision = models.PositiveIntegerField("revision afterwards")
    rules = models.PositiveIntegerField()
    decided = models.PositiveIntegerField()

    class Meta:
        ordering = ["review_id", "name", "group_id"]
        constraints = [models.UniqueConstraint(fields=["review", "group"], name="reviewed_group_once")]
        triggers = append_only()

    def __str__(self) -> str:
        return f"{self.name}, revision {self.found}"

    @property
    def left(self) -> int:
        return self.rules - self.decided


class ReviewedRule(models.Model):
    """What a signed review decided about a rule; `rule` is the document's rule as it was before. Append-only."""

    review = models.ForeignKey(SignedReview, models.PROTECT, related_name="reviewed", db_index=False)
    group = models.ForeignKey(SecurityGroup, models.PROTECT, related_name="+", db_index=False)
    uid = models.CharField(max_length=12)
    place = models.PositiveIntegerField()
    rule = RecordField()
    verdict = models.CharField(max_length=6, choices=Verdict.choices)
    narrowed = RecordField(null=True)
    remark = LineField(max_length=255, blank=True)
    by_name = LineField(max_length=254)
    at = models.DateTimeField()
    # Of the group, once the review was applied: a rule that was changed after it is not reviewed as it is now.
    revision = models.PositiveIntegerField()

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["review", "id"], name="reviewed_by_review"),
            models.Index(fields=["group", "uid", "-id"], name="reviewed_by_rule"),
        ]
        triggers = append_only()

    def __str__(self) -> str:
        return f"{self.get_verdict_display()}: {self.uid}"
