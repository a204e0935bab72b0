"""Groups with their ordered rules, and the templates that groups start from.

Rules are written by operations.commit_edit alone; the constraints here refuse whatever would get past it.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from django.contrib.postgres.indexes import OpClass
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.db.models.lookups import Exact
from django.urls import reverse

from securitygroups.fields import CidrField, LineField, RecordField, refusal, to_network
from securitygroups.firewall.protocols import COLUMNS, MAX_PORT, PROTOCOLS, Action, Direction
from securitygroups.firewall.values import MAX_DESCRIPTION, RULE_FIELDS
from securitygroups.firewall.values import Rule as RuleValue
from securitygroups.models.names import LiveQuerySet, SameName, new_group_id, new_rule_id
from securitygroups.models.people import Project

ACTIONS = [(action.value, action.label) for action in Action]
DIRECTIONS = [(direction.value, direction.label) for direction in Direction]
PROTOCOL_CHOICES = [(protocol.name, protocol.label) for protocol in PROTOCOLS.values()]


class SecurityGroup(models.Model):
    """A named, ordered list of rules. `revision` is the number of its newest GroupRevision, 0 before the first."""

    project = models.ForeignKey(Project, models.PROTECT, related_name="groups")
    public_id = models.CharField("ID", max_length=20, unique=True, default=new_group_id, editable=False)
    name = LineField("Name", max_length=100)
    description = LineField("Description", max_length=255, blank=True)
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
                SameName("name"),
                name="group_name",
                # A deleted group's name is free again.
                condition=Q(deleted_at=None),
                violation_error_message="The project already has a group of this name: type another.",
            )
        ]
        indexes = [
            models.Index("project", "name", "id", name="group_by_name", condition=Q(deleted_at=None)),
            # Support staff look for the beginning of a name over all projects.
            models.Index(OpClass(Lower("name"), "varchar_pattern_ops"), name="group_lower_name"),
            models.Index("id", name="group_deleted", condition=Q(deleted_at__isnull=False)),
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


class Rule(models.Model):
    """One line of a group. `position` counts from 1 without a gap; `uid` stays the same through edits and moves.

    `added_in` and `changed_in` are numbers of the group's revisions: who and when stands there.
    """

    # With an index of its own although others begin with it: it is so small that a project's rules are found by it, and not
    # by reading all there are.
    group = models.ForeignKey(SecurityGroup, models.CASCADE, related_name="rules")
    position = models.PositiveIntegerField(editable=False)
    # Beside the key, for it outlives the row: a rule that was removed comes back with the uid that revisions know it by.
    uid = models.CharField(max_length=12, default=new_rule_id, editable=False)
    action = models.CharField("Action", max_length=6, choices=ACTIONS, default=Action.ACCEPT.value)
    direction = models.CharField("Direction", max_length=3, choices=DIRECTIONS, default=Direction.IN.value)
    protocol = models.CharField("Protocol", max_length=8, choices=PROTOCOL_CHOICES, default="tcp")
    source = CidrField("Source IP Address", null=True, blank=True)
    destination = CidrField("Destination IP Address", null=True, blank=True)
    port_start = models.IntegerField("Start port", null=True, blank=True)
    port_end = models.IntegerField("End port", null=True, blank=True)
    description = LineField("Description", max_length=MAX_DESCRIPTION, blank=True)
    enabled = models.BooleanField("On", default=True)
    added_in = models.PositiveIntegerField(default=1, editable=False)
    changed_in = models.PositiveIntegerField(default=1, editable=False)

    objects = RuleQuerySet.as_manager()

    class Meta:
        ordering = ["group_id", "position"]
        constraints = [
            # Looked at when the transaction ends: while rules change places, two of them have the same one for a moment.
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
            # A rule from IPv4 to IPv6 could match no packet at all.
            models.CheckConstraint(
                condition=Q(source__isnull=True)  # type: ignore[arg-type]
                | Q(destination__isnull=True)
                | Exact(Family(F("source")), Family(F("destination"))),
                name="rule_one_family",
            ),
            *_rule_shape(),
        ]
        # These find equal networks. The ones around an address are few, and each is asked for.
        indexes = [
            models.Index(fields=[end], name=f"rule_by_{end}", condition=Q(**{f"{end}__isnull": False}))
            for end in ("source", "destination")
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


class GroupTemplate(models.Model):
    """Rules to start a group from: a project's own, or the platform's for all projects where `project` is empty."""

    project = models.ForeignKey(Project, models.CASCADE, null=True, blank=True, related_name="templates")
    name = LineField("Name", max_length=100)
    description = LineField("Description", max_length=255, blank=True)
    rules = RecordField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                "project",
                SameName("name"),
                name="template_name",
                # The platform's templates have no project, and two NULLs would count as different projects.
                nulls_distinct=False,
                violation_error_message="There is a template of this name already: type another.",
            )
        ]
        indexes = [models.Index(OpClass(Lower("name"), "varchar_pattern_ops"), name="template_lower_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def key(self) -> str:
        return str(self.pk)


def values(rules: Sequence[Rule]) -> tuple[RuleValue, ...]:
    """Rows as the evaluator takes them."""
    return tuple(rule.as_value() for rule in rules)
