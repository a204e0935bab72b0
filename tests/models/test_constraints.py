"""Every constraint of every table holds in the database itself."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction

from securitygroups.models import (
    ApiToken,
    Attachment,
    DecidedRule,
    Delivery,
    Event,
    GroupRevision,
    GroupTemplate,
    Host,
    HostNonce,
    Invitation,
    MachineRevision,
    MadeOf,
    Membership,
    Placement,
    ReviewedGroup,
    Rule,
    RuleHits,
    SavedView,
    SecurityGroup,
    SignedReview,
    StreamCursor,
    Traffic,
    TrafficHour,
    User,
    VirtualMachine,
)
from tests.models.conftest import Cast


def invitation(cast: Cast, **fields: str) -> Invitation:
    """One more; the cast has one for asked@example.com."""
    plain = {"email": "new@example.com", "digest": "0" * 64} | fields
    until = datetime.now(UTC) + timedelta(days=1)
    return Invitation(project=cast.project, by=cast.alice, until=until, **plain)


def _token(cast: Cast, **fields: Any) -> ApiToken:
    plain = {"name": "ci", "digest": "0" * 64, "ending": "abcd", "scopes": ["read"]} | fields
    return ApiToken(user=cast.alice, **plain)


def _decided(cast: Cast, **fields: str) -> DecidedRule:
    plain = {"uid": "1" * 12, "verdict": "keep"} | fields
    return DecidedRule(review=cast.review, group=cast.group, revision=1, by_name="alice", **plain)


def _signed(cast: Cast, **fields: int) -> SignedReview:
    plain = {"number": 2, "rules": 1, "decided": 1, "changed": 0} | fields
    now = datetime.now(UTC)
    return SignedReview(project=cast.project, started_at=now, signature="A", actor_name="alice", **plain)


def _hits(cast: Cast, **fields: Any) -> RuleHits:
    plain = {"kind": "rule", "what": "0" * 12, "hour": cast.hour, "packets": 1, "bytes": 1} | fields
    return RuleHits(machine=cast.machine, **plain)


def _traffic(cast: Cast, **fields: Any) -> Traffic:
    plain = {"key": UUID(int=1), "direction": "in", "verdict": "drop", "reason": "none", "packets": 1}
    times = {"hour": cast.hour, "first_at": cast.hour, "last_at": cast.hour}
    return Traffic(project=cast.project, machine=cast.machine, **plain | times | fields)


# Every constraint by name: what breaks it, in rows that only SQL sees.
ROWS: dict[str, Callable[[Cast], models.Model]] = {
    "user_name": lambda cast: User(username="ALICE", email="alice3@example.com"),
    "user_email": lambda cast: User(username="alice2", email="ALICE@example.com"),
    "member_once": lambda cast: Membership(project=cast.project, user=cast.alice, role="viewer"),
    "member_role": lambda cast: Membership(project=cast.project, user=cast.charlie, role="king"),
    "invited_once": lambda cast: invitation(cast, email="Asked@example.com"),
    "invitation_role": lambda cast: invitation(cast, role="king"),
    "group_name": lambda cast: SecurityGroup(project=cast.project, name="WEB"),
    "rule_position": lambda cast: Rule(group=cast.group, position=1),
    "rule_uid": lambda cast: Rule(group=cast.group, position=99, uid=cast.group.rules.in_order()[0].uid),
    "rule_position_from_1": lambda cast: Rule(group=cast.group, position=0),
    "rule_action": lambda cast: Rule(group=cast.group, position=99, action="reject"),
    "rule_direction": lambda cast: Rule(group=cast.group, position=99, direction="up"),
    "rule_protocol": lambda cast: Rule(group=cast.group, position=99, protocol="gre"),
    "rule_ports": lambda cast: Rule(group=cast.group, position=99, port_start=90, port_end=80),
    "rule_one_family": lambda cast: Rule(
        group=cast.group, position=99, protocol="ip", source="10.0.0.0/8", destination="::/0"
    ),
    "rule_tcp_fields": lambda cast: Rule(group=cast.group, position=99, protocol="tcp", destination="10.0.0.0/8"),
    "rule_udp_fields": lambda cast: Rule(group=cast.group, position=99, protocol="udp", destination="10.0.0.0/8"),
    "rule_sctp_fields": lambda cast: Rule(group=cast.group, position=99, protocol="sctp", destination="::/0"),
    "rule_icmp_fields": lambda cast: Rule(group=cast.group, position=99, protocol="icmp", port_start=8, port_end=8),
    "rule_ip_fields": lambda cast: Rule(group=cast.group, position=99, protocol="ip", port_start=1, port_end=2),
    "rule_all_fields": lambda cast: Rule(group=cast.group, position=99, protocol="all", source="::/0"),
    "decided_once": lambda cast: _decided(cast, uid="0" * 12),
    "decided_verdict": lambda cast: _decided(cast, verdict="burn"),
    "signed_review_number": lambda cast: _signed(cast, number=1),
    "signed_review_counts": lambda cast: _signed(cast, decided=9),
    "reviewed_group_once": lambda cast: ReviewedGroup(
        review=cast.signed, group=cast.group, name="web", found=1, revision=1, rules=1, decided=1
    ),
    "delivered_once": lambda cast: Delivery(webhook=cast.webhook, event=cast.webhook.deliveries.get().event),
    "delivery_state": lambda cast: Delivery(webhook=cast.webhook, event=Event.objects.earliest("pk"), state="lost"),
    "view_name": lambda cast: SavedView(project=cast.project, kind="machines", name="ALL", query=""),
    "template_name": lambda cast: GroupTemplate(project=None, name="MINE"),
    "token_scopes": lambda cast: _token(cast, scopes=[]),
    "token_expiry": lambda cast: _token(cast, expires_at=datetime.now(UTC) - timedelta(days=1)),
    "machine_name": lambda cast: VirtualMachine(project=cast.project, name="Web-1"),
    "machine_ipv4": lambda cast: VirtualMachine(project=cast.project, name="new", ipv4=cast.machine.ipv4),
    "machine_ipv6": lambda cast: VirtualMachine(project=cast.project, name="new", ipv6=cast.machine.ipv6),
    "machine_external_id": lambda cast: VirtualMachine(
        project=cast.project, name="new", external_id=cast.machine.external_id
    ),
    "attachment_position": lambda cast: Attachment(machine=cast.machine, group=cast.spare, position=1),
    "attached_once": lambda cast: Attachment(machine=cast.machine, group=cast.group, position=9),
    "attachment_position_from_1": lambda cast: Attachment(machine=cast.machine, group=cast.spare, position=0),
    "group_revision_number": lambda cast: GroupRevision(group=cast.group, number=1, rules=[], summary="x"),
    "group_revision_list": lambda cast: GroupRevision(group=cast.group, number=2, rules=[], steps=[], summary="x"),
    "stream_cursor_from_0": lambda cast: StreamCursor(name="forward", position=-1, at=datetime.now(UTC)),
    "host_name": lambda cast: Host(name="KVM-1"),
    "host_key": lambda cast: Host(name="new", key=cast.host.key, enrolled_at=cast.hour),
    "host_target": lambda cast: Host(name="new", target="cloud"),
    "host_drift": lambda cast: Host(name="new", drift="laugh"),
    "host_log": lambda cast: Host(name="new", log=65536),
    "host_enrolled": lambda cast: Host(name="new", key="k" * 43),
    "host_token": lambda cast: Host(name="new", token_digest="0" * 64),
    "host_nonce_once": lambda cast: HostNonce(host=cast.host, nonce="n" * 22, at=cast.hour),
    "placement_tap": lambda cast: Placement(machine=cast.other, host=cast.host, tap="tap0"),
    "placement_on_host": lambda cast: Placement(machine=cast.other, host=cast.host),
    "placement_number_from_1": lambda cast: Placement(machine=cast.other, number=0),
    "hits_once": lambda cast: _hits(cast),
    "hits_kind": lambda cast: _hits(cast, kind="luck"),
    "hits_from_0": lambda cast: _hits(cast, packets=-1, what="1" * 12),
    "made_of_once": lambda cast: MadeOf(machine=cast.machine, digest="0" * 64, vector={}),
    "traffic_once": lambda cast: _traffic(cast, key=UUID(int=0)),
    "traffic_verdict": lambda cast: _traffic(cast, verdict="burn"),
    "traffic_direction": lambda cast: _traffic(cast, direction="up"),
    "traffic_counts": lambda cast: _traffic(cast, packets=0),
    "traffic_hour_once": lambda cast: TrafficHour(project=cast.project, machine=cast.machine, hour=cast.hour, rows=1),
    "traffic_hour_from_0": lambda cast: TrafficHour(project=cast.project, machine=cast.other, hour=cast.hour, rows=-1),
    "machine_revision_number": lambda cast: MachineRevision(
        project=cast.project, machine=cast.machine, number=1, groups=[], summary="x"
    ),
}


def test_every_constraint_is_broken_below() -> None:
    names = {
        constraint.name
        for model in apps.get_app_config("securitygroups").get_models()
        for constraint in model._meta.constraints
    }

    assert names == ROWS.keys()


@pytest.mark.parametrize("name", ROWS)
def test_the_database_refuses_by_the_constraint_of_that_name(cast: Cast, name: str) -> None:
    row = ROWS[name](cast)

    def insert() -> None:
        with transaction.atomic():
            row.save(force_insert=True)
            connection.check_constraints()

    with pytest.raises(IntegrityError) as refusal:
        insert()

    assert refusal.value.__cause__.diag.constraint_name == name  # type: ignore[union-attr]
