"""Rows that the tests of models refer to."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from securitygroups import operations
from securitygroups.models import (
    DecidedRule,
    GroupTemplate,
    Host,
    HostNonce,
    Invitation,
    MadeOf,
    Placement,
    Project,
    Review,
    ReviewedGroup,
    RuleHits,
    SavedView,
    SecurityGroup,
    SignedReview,
    Traffic,
    TrafficHour,
    User,
    VirtualMachine,
    Webhook,
)
from securitygroups.operations import By
from tests.factories import make_group, make_machine


@pytest.fixture
def empty(project: Project) -> SecurityGroup:
    return make_group(project, "empty")


@dataclass
class Cast:
    """What the rows of a test refer to."""

    project: Project
    machine: VirtualMachine
    group: SecurityGroup
    spare: SecurityGroup
    alice: User
    charlie: User
    review: Review
    signed: SignedReview
    webhook: Webhook
    host: Host
    other: VirtualMachine
    hour: datetime


@pytest.fixture
def cast(machine: VirtualMachine, group: SecurityGroup, alice: User, charlie: User) -> Cast:
    GroupTemplate.objects.create(project=None, name="mine")
    project = machine.project
    machine.external_id = "i-1"
    machine.save()
    SavedView.objects.create(project=project, kind="machines", name="all", query="")
    until = timezone.now() + timedelta(days=1)
    Invitation.objects.create(project=project, email="asked@example.com", by=alice, until=until, digest="1" * 64)
    review = Review.objects.create(project=project, started_name="alice")
    DecidedRule.objects.create(review=review, group=group, uid="0" * 12, verdict="keep", revision=1, by_name="alice")
    signed = SignedReview.objects.create(
        project=project, number=1, started_at=until, signature="A", actor_name="alice", rules=1, decided=1, changed=0
    )
    ReviewedGroup.objects.create(review=signed, group=group, name="web", found=1, revision=1, rules=1, decided=1)
    hook = {"name": "Tickets", "url": "https://hooks.example/", "kinds": []}
    webhook, _ = operations.create_webhook(project=project, fields=hook, by=By(alice))
    operations.send_test(webhook=webhook, by=By(alice))
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    host = Host.objects.create(name="kvm-1", key="k" * 43, enrolled_at=hour)
    HostNonce.objects.create(host=host, nonce="n" * 22, at=hour)
    Placement.objects.create(machine=machine, host=host, tap="tap0")
    RuleHits.objects.create(machine=machine, kind="rule", what="0" * 12, hour=hour, packets=1, bytes=1)
    MadeOf.objects.create(machine=machine, digest="0" * 64, vector={"attached": 1, "groups": []})
    packets = {"key": UUID(int=0), "direction": "in", "verdict": "drop", "reason": "none", "packets": 1}
    Traffic.objects.create(project=project, machine=machine, hour=hour, first_at=hour, last_at=hour, **packets)
    TrafficHour.objects.create(project=project, machine=machine, hour=hour, rows=1)
    spare, other = make_group(project, "spare"), make_machine(project, "other")
    return Cast(project, machine, group, spare, alice, charlie, review, signed, webhook, host, other, hour)
