"""What is stored: projects and their people, groups with ordered rules, VMs, and the append-only records.

Rules are written by operations.commit_rules alone; the constraints here refuse whatever would get past it.
"""

import secrets
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import pgtrigger
from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.indexes import GistIndex, OpClass
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.db.models.lookups import Exact
from django.urls import reverse

from securitygroups.fields import CidrField, refusal, to_network
from securitygroups.firewall.protocols import COLUMNS, MAX_PORT, PROTOCOLS, Action, Direction
from securitygroups.firewall.values import (
    MAX_DESCRIPTION,
    RULE_FIELDS,
    Refused,
    address_text,
    description_problem,
    parse_address,
)
from securitygroups.firewall.values import Rule as RuleValue

ACTIONS = [(action.value, action.label) for action in Action]
DIRECTIONS = [(direction.value, direction.label) for direction in Direction]
PROTOCOL_CHOICES = [(protocol.name, protocol.label) for protocol in PROTOCOLS.values()]


def new_group_id() -> str:
    return f"sg-{secrets.token_hex(5)}"


def new_machine_id() -> str:
    return f"vm-{secrets.token_hex(5)}"


def new_rule_id() -> str:
    return secrets.token_hex(6)


def one_line(text: str) -> None:
    """Validator: one line of plain text. Raises ValidationError."""
    problem = description_problem(text, longest=10_000)
    if problem:
        raise refusal(problem)


class User(AbstractUser):
    """A person. Signs in with the name or the e-mail address; is switched off rather than deleted once on record."""

    class Meta(AbstractUser.Meta):
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                name="user_email",
                condition=~Q(email=""),
                violation_error_message="Somebody already has this e-mail address.",
            )
        ]


class Role(models.TextChoices):
    OWNER = "owner", "Owner"
    EDITOR = "editor", "Editor"
    VIEWER = "viewer", "Viewer"


class ProjectQuerySet(models.QuerySet["Project"]):
    def visible_to(self, user: Any) -> Self:
        return self.filter(memberships__user=user)


class Project(models.Model):
    """What a customer owns: groups and VMs belong to one project. Empty quotas mean the installation's setting."""

    name = models.CharField(max_length=100, validators=[one_line])
    slug = models.SlugField(max_length=60, unique=True, help_text="Stands in the address of the project's pages.")
    max_groups = models.PositiveIntegerField(null=True, blank=True)
    max_rules = models.PositiveIntegerField("max rules per group", null=True, blank=True)
    max_machines = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
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
    project = models.ForeignKey(Project, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)
    created_at = models.DateTimeField(auto_now_add=True)

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

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display()})"


def _address(text: str) -> str | None:
    """The text as the database writes an address, None where it is none."""
    try:
        return address_text(*parse_address(text))
    except Refused:
        return None


class LiveQuerySet(models.QuerySet[Any]):
    """Groups and VMs: a deleted one keeps its row, for its history and its cases, and leaves every list."""

    def live(self) -> Self:
        return self.filter(deleted_at=None)

    def visible_to(self, user: Any) -> Self:
        return self.live().filter(project__memberships__user=user)

    def named_like(self, text: str) -> Self:
        """Name, description, public id or (of VMs) an address has the text; all when it is empty."""
        if not text:
            return self
        found = Q(name__icontains=text) | Q(description__icontains=text) | Q(public_id__iexact=text.strip())
        address = _address(text)
        if address and hasattr(self.model, "ipv4"):
            found |= Q(**{"ipv6" if ":" in address else "ipv4": address})
        return self.filter(found)


class SecurityGroup(models.Model):
    """A named, ordered list of rules. `revision` is the number of its newest GroupRevision, 0 before the first."""

    project = models.ForeignKey(Project, models.PROTECT, related_name="groups")
    public_id = models.CharField("ID", max_length=20, unique=True, default=new_group_id, editable=False)
    name = models.CharField("Name", max_length=100, validators=[one_line])
    description = models.CharField("Description", max_length=255, blank=True, validators=[one_line])
    revision = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now_add=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = LiveQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                "project",
                Lower("name"),
                name="group_name",
                condition=Q(deleted_at=None),
                violation_error_message="The project already has a group of this name: type another.",
            )
        ]
        indexes = [
            models.Index("project", "name", "id", name="group_by_name", condition=Q(deleted_at=None)),
            # Support staff look for the beginning of a name over all projects.
            models.Index(OpClass(Lower("name"), "varchar_pattern_ops"), name="group_lower_name"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("group", args=[self.project.slug, self.public_id])


def _rule_shape() -> list[models.BaseConstraint]:
    """The protocol table as database constraints: one for each protocol, so that a refusal names the protocol."""
    constraints: list[models.BaseConstraint] = []
    for protocol in PROTOCOLS.values():
        unset = Q(**{f"{column}__isnull": True for column in COLUMNS if column not in protocol.columns})
        if unset:
            constraints.append(
                models.CheckConstraint(
                    condition=~Q(protocol=protocol.name) | unset, name=f"rule_{protocol.name}_fields"
                )
            )
    return constraints


class Family(models.Func):
    """PostgreSQL family(): 4 or 6."""

    function = "family"
    output_field: ClassVar[models.Field[Any, Any]] = models.IntegerField()


class RuleQuerySet(models.QuerySet["Rule"]):
    def in_order(self) -> Self:
        return self.order_by("group_id", "position")

    def covering(self, address: str) -> Self:
        """Rules whose source or destination network contains the address (or network); "any" is not counted."""
        return self.filter(Q(source__covers=address) | Q(destination__covers=address))


class Rule(models.Model):
    """One line of a group. `position` counts from 1 without a gap; `uid` stays the same through edits and moves.

    `added_in` and `changed_in` are numbers of the group's revisions: who and when stands there.
    """

    group = models.ForeignKey(SecurityGroup, models.CASCADE, related_name="rules")
    position = models.PositiveIntegerField(editable=False)
    uid = models.CharField(max_length=12, default=new_rule_id, editable=False)
    action = models.CharField("Action", max_length=6, choices=ACTIONS, default=Action.ACCEPT.value)
    direction = models.CharField("Direction", max_length=3, choices=DIRECTIONS, default=Direction.IN.value)
    protocol = models.CharField("Protocol", max_length=8, choices=PROTOCOL_CHOICES, default="tcp")
    source = CidrField("Source IP Address", null=True, blank=True)
    destination = CidrField("Destination IP Address", null=True, blank=True)
    port_start = models.IntegerField("Start port", null=True, blank=True)
    port_end = models.IntegerField("End port", null=True, blank=True)
    description = models.CharField("Description", max_length=MAX_DESCRIPTION, blank=True)
    enabled = models.BooleanField("On", default=True)
    added_in = models.PositiveIntegerField(default=1, editable=False)
    changed_in = models.PositiveIntegerField(default=1, editable=False)

    objects = RuleQuerySet.as_manager()

    class Meta:
        ordering = ["group", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["group", "position"], name="rule_position", deferrable=models.Deferrable.DEFERRED
            ),
            models.UniqueConstraint(fields=["group", "uid"], name="rule_uid"),
            models.CheckConstraint(condition=Q(position__gte=1), name="rule_position_from_1"),
            models.CheckConstraint(condition=Q(action__in=[a.value for a in Action]), name="rule_action"),
            models.CheckConstraint(condition=Q(direction__in=[d.value for d in Direction]), name="rule_direction"),
            models.CheckConstraint(condition=Q(protocol__in=list(PROTOCOLS)), name="rule_protocol"),
            models.CheckConstraint(
                condition=Q(port_start__isnull=True, port_end__isnull=True)
                | Q(port_start__isnull=False, port_end__isnull=False)
                & Q(port_start__gte=0, port_end__lte=MAX_PORT, port_start__lte=F("port_end")),
                name="rule_ports",
            ),
            models.CheckConstraint(
                condition=Q(source__isnull=True)  # type: ignore[arg-type]
                | Q(destination__isnull=True)
                | Exact(Family(F("source")), Family(F("destination"))),
                name="rule_one_family",
            ),
            *_rule_shape(),
        ]
        indexes = [
            GistIndex(OpClass("source", "inet_ops"), name="rule_source"),
            GistIndex(OpClass("destination", "inet_ops"), name="rule_destination"),
        ]

    def __str__(self) -> str:
        return f"Rule {self.position} of {self.group}"

    def as_value(self) -> RuleValue:
        """The rule as the evaluator takes it."""
        return RuleValue(
            action=Action(self.action),
            direction=Direction(self.direction),
            protocol=self.protocol,
            source=self.source,
            destination=self.destination,
            port_start=self.port_start,
            port_end=self.port_end,
            description=self.description,
            enabled=self.enabled,
            uid=self.uid,
        )

    def set_value(self, value: RuleValue) -> None:
        """Take over every field of the value but its identity."""
        for name in RULE_FIELDS:
            setattr(self, name, getattr(value, name))
        self.action, self.direction = value.action.value, value.direction.value

    def clean(self) -> None:
        """The same refusals as everywhere, each at its field."""
        if self.port_end is None:
            self.port_end = self.port_start
        if self.protocol not in PROTOCOLS:
            return
        try:
            self.source, self.destination = to_network(self.source), to_network(self.destination)
        except ValidationError:
            return  # told at its field
        problems = self.as_value().problems()
        if problems:
            raise ValidationError({name: refusal(problem) for name, problem in problems.items()})


TAP_NAME = RegexValidator(
    r"^[A-Za-z][A-Za-z0-9_.-]{0,14}\Z",
    "Type a network interface name: a letter first, then letters, digits, “.”, “_” or “-”, 15 characters at most.",
)


class VirtualMachine(models.Model):
    """A VM with its ordered groups. `revision` is the number of its newest MachineRevision."""

    project = models.ForeignKey(Project, models.PROTECT, related_name="machines")
    public_id = models.CharField("ID", max_length=20, unique=True, default=new_machine_id, editable=False)
    name = models.CharField("Name", max_length=100, validators=[one_line])
    description = models.CharField("Description", max_length=255, blank=True, validators=[one_line])
    ipv4 = models.GenericIPAddressField("IPv4 address", protocol="IPv4", null=True, blank=True)
    ipv6 = models.GenericIPAddressField("IPv6 address", protocol="IPv6", null=True, blank=True)
    tap = models.CharField(
        "Tap interface",
        max_length=15,
        blank=True,
        validators=[TAP_NAME],
        help_text="The VM's network interface on its host, for the compiled ruleset. Leave it empty if you do not know it.",
    )
    groups = models.ManyToManyField(SecurityGroup, through="Attachment", related_name="machines")
    revision = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = LiveQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        verbose_name = "virtual machine"
        constraints = [
            models.UniqueConstraint(
                "project",
                Lower("name"),
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
        ]
        indexes = [
            models.Index("project", "name", "id", name="machine_by_name", condition=Q(deleted_at=None)),
            models.Index(OpClass(Lower("name"), "varchar_pattern_ops"), name="machine_lower_name"),
            models.Index("ipv4", name="machine_by_ipv4"),
            models.Index("ipv6", name="machine_by_ipv6"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("machine", args=[self.project.slug, self.public_id])

    @property
    def addresses(self) -> list[str]:
        return [address for address in (self.ipv4, self.ipv6) if address]

    def own_revisions(self) -> models.QuerySet["MachineRevision"]:
        """Its revisions in the project that it is in; those from before staff moved it here belong to another customer."""
        return self.revisions.filter(project=self.project_id)


class Attachment(models.Model):
    """A group on a VM; `position` counts from 1 without a gap and orders the effective list."""

    machine = models.ForeignKey(VirtualMachine, models.CASCADE, related_name="attachments")
    group = models.ForeignKey(SecurityGroup, models.PROTECT, related_name="attachments")
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["machine", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["machine", "position"], name="attachment_position", deferrable=models.Deferrable.DEFERRED
            ),
            models.UniqueConstraint(fields=["machine", "group"], name="attached_once"),
            models.CheckConstraint(condition=Q(position__gte=1), name="attachment_position_from_1"),
        ]

    def __str__(self) -> str:
        return f"{self.group} on {self.machine}"


def _append_only() -> list[pgtrigger.Trigger]:
    return [
        pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        pgtrigger.Trigger(
            name="never_emptied",
            operation=pgtrigger.Truncate,
            level=pgtrigger.Statement,
            when=pgtrigger.Before,
            func="RAISE EXCEPTION 'pgtrigger: Cannot truncate rows from % table', TG_TABLE_NAME;",
        ),
    ]


class Revision(models.Model):
    """Who changed a list, when and why. Append-only: the database refuses UPDATE, DELETE and TRUNCATE."""

    number = models.PositiveIntegerField()
    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    actor_name = models.CharField(max_length=254)
    by_staff = models.BooleanField(default=False)
    summary = models.CharField(max_length=300)
    reason = models.CharField(max_length=255, blank=True)

    class Meta:
        abstract = True


class GroupRevision(Revision):
    """The whole rule list of a group after a change; `rules` is documents.stored_rules."""

    group = models.ForeignKey(SecurityGroup, models.PROTECT, related_name="revisions")
    rules = models.JSONField()

    class Meta:
        ordering = ["group", "-number"]
        constraints = [models.UniqueConstraint(fields=["group", "number"], name="group_revision_number")]
        triggers = _append_only()

    def __str__(self) -> str:
        return f"{self.group}, revision {self.number}"


class MachineRevision(Revision):
    """The ordered groups of a VM after a change; `groups` lists {"id": public id, "name": name at that time}.

    `project` is the one that the VM was in: what it had in another one is that customer's business.
    """

    project = models.ForeignKey(Project, models.PROTECT, related_name="+")
    machine = models.ForeignKey(VirtualMachine, models.PROTECT, related_name="revisions")
    groups = models.JSONField()

    class Meta:
        ordering = ["machine", "-number"]
        constraints = [models.UniqueConstraint(fields=["machine", "number"], name="machine_revision_number")]
        triggers = _append_only()

    def __str__(self) -> str:
        return f"{self.machine}, revision {self.number}"


class Event(models.Model):
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
        MEMBER_ADDED = "member.added", "Member added"
        MEMBER_CHANGED = "member.changed", "Member's role changed"
        MEMBER_REMOVED = "member.removed", "Member removed"
        SUPPORT_LOOK = "support.look", "Support looked"
        CASE_OPENED = "case.opened", "Support case"
        TEMPLATE_SAVED = "template.saved", "Template saved"
        TEMPLATE_DELETED = "template.deleted", "Template deleted"

    project = models.ForeignKey(Project, models.PROTECT, related_name="events")
    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    actor_name = models.CharField(max_length=254)
    by_staff = models.BooleanField(default=False)
    verb = models.CharField(max_length=20, choices=Verb.choices)
    group = models.ForeignKey(SecurityGroup, models.PROTECT, null=True, related_name="events")
    machine = models.ForeignKey(VirtualMachine, models.PROTECT, null=True, related_name="events")
    summary = models.CharField(max_length=400)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["project", "-at", "-id"], name="event_by_time"),
            models.Index(fields=["group", "-id"], name="event_by_group"),
        ]
        triggers = _append_only()

    def __str__(self) -> str:
        return self.summary


class GroupTemplate(models.Model):
    """Rules to start a group from: a project's own, or the platform's for all projects where `project` is empty."""

    project = models.ForeignKey(Project, models.CASCADE, null=True, blank=True, related_name="templates")
    name = models.CharField("Name", max_length=100, validators=[one_line])
    description = models.CharField("Description", max_length=255, blank=True, validators=[one_line])
    rules = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                "project",
                Lower("name"),
                name="template_name",
                nulls_distinct=False,
                violation_error_message="There is a template of this name already: type another.",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def key(self) -> str:
        return str(self.pk)


class SupportVisit(models.Model):
    """A staff member may look into a project, read-only, from `at` to `until`. Append-only."""

    project = models.ForeignKey(Project, models.PROTECT, related_name="support_visits")
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reason = models.CharField("Reason", max_length=255, validators=[one_line])
    ticket = models.CharField("Ticket", max_length=100, validators=[one_line])
    at = models.DateTimeField(auto_now_add=True)
    until = models.DateTimeField()

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["staff", "project", "-until"], name="visit_of_staff")]
        triggers = _append_only()

    def __str__(self) -> str:
        return f"{self.staff} in {self.project}, {self.ticket}"


def new_case_id() -> str:
    return f"case-{secrets.token_hex(5)}"


class SupportCase(models.Model):
    """A packet, the list it was tested against as it was then, and the answer: true after the rules have changed.

    `packet` is the packet's JSON object; `rules` are the document's rules, each with `group` {"id", "name", "place"}.
    Append-only.
    """

    project = models.ForeignKey(Project, models.PROTECT, related_name="cases")
    public_id = models.CharField("ID", max_length=20, unique=True, default=new_case_id, editable=False)
    machine = models.ForeignKey(VirtualMachine, models.PROTECT, null=True, related_name="cases")
    group = models.ForeignKey(SecurityGroup, models.PROTECT, null=True, related_name="cases")
    packet = models.JSONField()
    rules = models.JSONField()
    verdict = models.CharField(max_length=6, choices=ACTIONS)
    rule = models.PositiveIntegerField(null=True)
    ticket = models.CharField("Ticket", max_length=100, blank=True)
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["project", "-at"], name="case_by_project")]
        triggers = _append_only()

    def __str__(self) -> str:
        return self.public_id

    def get_absolute_url(self) -> str:
        return reverse("case", args=[self.project.slug, self.public_id])


class CaseNote(models.Model):
    """What somebody wrote to a case. Append-only."""

    case = models.ForeignKey(SupportCase, models.PROTECT, related_name="notes")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    author_name = models.CharField(max_length=254)
    by_staff = models.BooleanField(default=False)
    text = models.TextField("Note", max_length=4000)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["at", "pk"]
        triggers = _append_only()

    def __str__(self) -> str:
        return f"Note of {self.author_name}"


def values(rules: Sequence[Rule]) -> tuple[RuleValue, ...]:
    """Rows as the evaluator takes them."""
    return tuple(rule.as_value() for rule in rules)
