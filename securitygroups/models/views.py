"""Saved views: filters of a list that somebody gave a name."""

from django.conf import settings
from django.db import models

from securitygroups.fields import LineField
from securitygroups.models.names import SameName
from securitygroups.models.people import Project

LONGEST_QUERY = 1_000
MOST_VIEWS = 50
"""Of each person in a project, and of the project itself."""


class SavedView(models.Model):
    """A filter of one of the project's lists, as the parameters of its address: a person's own, or where there is no
    `owner` the whole project's.
    """

    class Kind(models.TextChoices):
        MACHINES = "machines", "Virtual Machines"
        GROUPS = "groups", "Security Groups"

    project = models.ForeignKey(Project, models.CASCADE, related_name="views", db_index=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    name = LineField("Name", max_length=40)
    query = models.CharField(max_length=LONGEST_QUERY)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                "project",
                "kind",
                "owner",
                SameName("name"),
                name="view_name",
                # The project's have no owner, and two NULLs would count as different owners.
                nulls_distinct=False,
                violation_error_message="There is a view of this name already: type another.",
            )
        ]

    def __str__(self) -> str:
        return self.name
