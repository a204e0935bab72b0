"""What is stored before and after an operation."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, models

from securitygroups import operations
from securitygroups.firewall.values import Rule as RuleValue
from securitygroups.models import (
    Attachment,
    Event,
    GroupRevision,
    MachineRevision,
    Membership,
    Project,
    Rule,
    SecurityGroup,
    User,
    VirtualMachine,
    values,
)
from securitygroups.operations import By

Rules = tuple[RuleValue, ...]
EVERYTHING: list[type[models.Model]] = [
    User,
    Project,
    Membership,
    SecurityGroup,
    Rule,
    VirtualMachine,
    Attachment,
    GroupRevision,
    MachineRevision,
    Event,
]


def snapshot() -> dict[str, list[dict[str, Any]]]:
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in EVERYTHING}


@contextmanager
def nothing_written() -> Iterator[None]:
    before = snapshot()
    yield
    assert snapshot() == before


def rules_of(group: SecurityGroup) -> Rules:
    return values(list(group.rules.in_order()))


def on_record(group: SecurityGroup, number: int) -> Any:
    """The list of a revision as SQL gives it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT securitygroups_rules_at(%s, %s)", [group.pk, number])
        [(found,)] = cursor.fetchall()
    return found if found is None else json.loads(found)


def ports_of(group: SecurityGroup) -> list[int | None]:
    return [row.port_start for row in group.rules.in_order()]


def newest() -> Event:
    return Event.objects.order_by("-pk")[0]


def commit(group: SecurityGroup, rules: Any, **more: Any) -> Any:
    """Commit on top of what the group's object knows as newest."""
    return operations.commit_rules(**{"group": group, "rules": rules, "base": group.revision, "by": By(), **more})


def attached(machine: VirtualMachine) -> list[tuple[int, str]]:
    return list(machine.attachments.order_by("position").values_list("position", "group__name"))
