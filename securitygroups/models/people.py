"""Who there is: people, the projects that they work in, and as what."""

from typing import Any, Self

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.validators import ASCIIUsernameValidator
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse

from securitygroups.fields import LineField, one_alphabet, plain_address

PLAIN_NAME = ASCIIUsernameValidator(
    message="Type letters from a to z, digits and @ . + - _ only: others look like these, and could pass for somebody else."
)


class User(AbstractUser):
    """A person. Signs in with the name or the e-mail address; is switched off rather than deleted once on record."""

    username = LineField(
        "user name",
        max_length=150,
        unique=True,
        help_text="Up to 150 letters from a to z, digits and @ . + - _.",
        validators=[PLAIN_NAME],
        error_messages={"unique": "Somebody already has this user name: type another."},
    )
    email = models.EmailField("e-mail address", blank=True, validators=[plain_address])
    first_name = LineField("first name", max_length=150, blank=True)
    last_name = LineField("last name", max_length=150, blank=True)
    must_change_password = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text="Somebody else typed the password: the person chooses another one before anything else.",
    )

    time_zone = models.CharField(
        "time zone",
        max_length=64,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="A name of the IANA time zone database. Empty: never chosen, and times are shown in UTC.",
    )

    class Meta(AbstractUser.Meta):
        constraints = [
            models.UniqueConstraint(
                Lower("username"),
                name="user_name",
                violation_error_message="Somebody already has this user name: type another.",
            ),
            models.UniqueConstraint(
                Lower("email"),
                name="user_email",
                # Any number of people may have none.
                condition=~Q(email=""),
                violation_error_message="Somebody already has this e-mail address.",
            ),
        ]
        # What the admin's list of people searches, and its filters: of each the answer that few people give.
        indexes = [
            *(
                models.Index(OpClass(Lower(name), "varchar_pattern_ops"), name=f"user_lower_{name}")
                for name in ("username", "email", "first_name", "last_name")
            ),
            models.Index("username", name="user_staff", condition=Q(is_staff=True)),
            models.Index("username", name="user_superuser", condition=Q(is_superuser=True)),
            models.Index("username", name="user_off", condition=Q(is_active=False)),
        ]

    def set_password(self, raw_password: str | None) -> None:
        """Every way to a password but the person's own comes by here and no further: it has to be changed then."""
        super().set_password(raw_password)
        self.must_change_password = raw_password is not None

    def choose_password(self, password: str) -> None:
        """The person has typed it, and nobody else. The caller saves."""
        self.set_password(password)
        self.must_change_password = False


class Role(models.TextChoices):
    OWNER = "owner", "Owner"
    EDITOR = "editor", "Editor"
    VIEWER = "viewer", "Viewer"


class ProjectQuerySet(models.QuerySet["Project"]):
    def visible_to(self, user: Any) -> Self:
        return self.filter(memberships__user=user)


class Project(models.Model):
    """What a customer owns: groups and VMs belong to one project. Empty quotas mean the installation's setting."""

    name = LineField(max_length=100, validators=[one_alphabet])
    slug = models.SlugField(max_length=60, unique=True, help_text="Stands in the address of the project's pages.")
    max_groups = models.PositiveIntegerField(null=True, blank=True)
    max_rules = models.PositiveIntegerField("max rules per group", null=True, blank=True)
    max_machines = models.PositiveIntegerField(null=True, blank=True)
    second_factor = models.BooleanField(
        "second factor required",
        default=False,
        db_default=False,
        help_text="Members come in only after signing in with a passkey or an authenticator app.",
    )
    viewers_see_traffic = models.BooleanField(
        "viewers see dropped packets",
        default=False,
        db_default=False,
        editable=False,
        help_text="Viewers see which packets to and from the VMs were dropped and accepted, as owners and editors do.",
    )
    review_months = models.SmallIntegerField(
        "months between reviews", null=True, editable=False, help_text="Empty: a review is never due."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        indexes = [
            models.Index(fields=["name", "id"], name="project_by_name"),
            models.Index(OpClass(Lower("name"), "varchar_pattern_ops"), name="project_lower_name"),
        ]
        permissions = [("support", "Can look into any project read-only, after naming a reason")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("overview", args=[self.slug])

    @property
    def group_quota(self) -> int:
        return settings.MAX_GROUPS_PER_PROJECT if self.max_groups is None else self.max_groups

    @property
    def rule_quota(self) -> int:
        return settings.MAX_RULES_PER_GROUP if self.max_rules is None else self.max_rules

    @property
    def machine_quota(self) -> int:
        return settings.MAX_MACHINES_PER_PROJECT if self.max_machines is None else self.max_machines


class Membership(models.Model):
    project = models.ForeignKey(Project, models.CASCADE, related_name="memberships", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)
    created_at = models.DateTimeField(auto_now_add=True)
    # When they last looked at the overview, and when they did in the visit before this one.
    seen_at = models.DateTimeField(null=True, editable=False)
    seen_before = models.DateTimeField(null=True, editable=False)
    # What the person has done or skipped of the first steps in the project: theirs alone, and nothing that others read.
    first_steps = ArrayField(models.CharField(max_length=10), default=list, db_default=[], blank=True, editable=False)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "user"],
                name="member_once",
                violation_error_message="This person is a member already.",
            ),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="member_role"),
        ]
        indexes = [models.Index(fields=["role", "id"], name="member_by_role")]

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display()})"
