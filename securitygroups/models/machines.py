"""VMs, and which groups are attached to them in which order."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import OpClass
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse

from securitygroups.fields import LineField
from securitygroups.models.groups import SecurityGroup
from securitygroups.models.names import LiveQuerySet, SameName, new_machine_id
from securitygroups.models.people import Project
from securitygroups.models.tags import LONGEST_TAG, check_tags

TAP_NAME = RegexValidator(
    r"^[A-Za-z][A-Za-z0-9_.-]{0,14}\Z",
    "Type a network interface name: a letter first, then letters, digits, “.”, “_” or “-”, 15 characters at most.",
)


class VirtualMachine(models.Model):
    """A VM with its ordered groups. `revision` is the number of its newest MachineRevision."""

    project = models.ForeignKey(Project, models.PROTECT, related_name="machines")
    public_id = models.CharField("ID", max_length=20, unique=True, default=new_machine_id, editable=False)
    name = LineField("Name", max_length=100)
    description = LineField("Description", max_length=255, blank=True)
    ipv4 = models.GenericIPAddressField("IPv4 address", protocol="IPv4", null=True, blank=True)
    ipv6 = models.GenericIPAddressField("IPv6 address", protocol="IPv6", null=True, blank=True)
    # Of the platform, whose programs find the VM by it: never put into another form, nor given by the panel.
    external_id = LineField(
        "External ID",
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text="The platform's own ID of the VM. Its programs fill it in; without one they leave the VM alone.",
    )
    # Looked through within one project, whose VMs are found by its index: one over all projects would gain nothing.
    tags = ArrayField(
        models.CharField(max_length=LONGEST_TAG),
        verbose_name="Tags",
        default=list,
        db_default=[],
        blank=True,
        validators=[check_tags],
    )
    groups = models.ManyToManyField(SecurityGroup, through="Attachment", related_name="machines")
    revision = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    # Of its own fields or its groups; empty where nothing was changed since it was made.
    changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = LiveQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        verbose_name = "virtual machine"
        constraints = [
            models.UniqueConstraint(
                "project",
                SameName("name"),
                name="machine_name",
                condition=Q(deleted_at=None),
                violation_error_message="The project already has a VM of this name: type another.",
            ),
            *(
                models.UniqueConstraint(
                    fields=["project", family],
                    name=f"machine_{family}",
                    condition=Q(deleted_at=None),
                    violation_error_message=f"Another VM of the project already has this {label} address.",
                )
                for family, label in (("ipv4", "IPv4"), ("ipv6", "IPv6"))
            ),
            models.UniqueConstraint(
                fields=["project", "external_id"],
                name="machine_external_id",
                condition=Q(deleted_at=None) & ~Q(external_id=""),
                violation_error_message="Another VM of the project has this external ID.",
            ),
        ]
        indexes = [
            models.Index("project", "name", "id", name="machine_by_name", condition=Q(deleted_at=None)),
            # Support staff look for names and addresses over all projects.
            models.Index(OpClass(Lower("name"), "varchar_pattern_ops"), name="machine_lower_name"),
            models.Index("ipv4", name="machine_by_ipv4"),
            models.Index("ipv6", name="machine_by_ipv6"),
            models.Index("external_id", name="machine_by_external_id", condition=~Q(external_id="")),
            models.Index("id", name="machine_deleted", condition=Q(deleted_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("machine", args=[self.project.slug, self.public_id])

    @property
    def addresses(self) -> list[str]:
        return [address for address in (self.ipv4, self.ipv6) if address]

    # Of MachineRevision, whose module stands on this one and so cannot be named here.
    def own_revisions(self) -> models.QuerySet[Any]:
        """Its revisions in the project that it is in; those from before staff moved it here belong to another customer."""
        return self.revisions.filter(project=self.project_id)


class Attachment(models.Model):
    """A group on a VM; `position` counts from 1 without a gap and orders the effective list."""

    machine = models.ForeignKey(VirtualMachine, models.CASCADE, related_name="attachments", db_index=False)
    # A group that is deleted is detached first, with a revision of the VM; a cascade would leave no record of it.
    group = models.ForeignKey(SecurityGroup, models.PROTECT, related_name="attachments")
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["machine_id", "position"]
        constraints = [
            # Looked at when the transaction ends, like a rule's.
            models.UniqueConstraint(
                fields=["machine", "position"], name="attachment_position", deferrable=models.Deferrable.DEFERRED
            ),
            models.UniqueConstraint(fields=["machine", "group"], name="attached_once"),
            models.CheckConstraint(condition=Q(position__gte=1), name="attachment_position_from_1"),
        ]

    def __str__(self) -> str:
        return f"{self.group} on {self.machine}"
