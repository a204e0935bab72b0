"""Whoever may do everything, and a row of everything."""

import pytest
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from securitygroups import operations
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet
from securitygroups.models import AccountEvent, Invitation, SavedView, User, VirtualMachine
from securitygroups.operations import By
from tests.admin.pages import MODELS, fresh
from tests.factories import make_token, of_hosts, reviewed


@pytest.fixture
def as_admin(admin: User) -> Client:
    return fresh(admin)


@pytest.fixture
def everything(machine: VirtualMachine, staff: User, alice: User, bob: User) -> dict[type[Model], Model]:
    """A row of each model."""
    project = machine.project
    visit = operations.open_visit(project=project, staff=staff, reason="Asked", ticket="T-1")
    case = operations.open_case(about=machine, packet=Packet(Direction.IN), staff=staff, note="Look")
    operations.add_packet(case=case, about=machine, packet=Packet(Direction.OUT), staff=staff)
    operations.take_case(case=case, staff=staff)
    operations.leave(project=project, staff=staff, visits=[visit])
    operations.save_template(group=project.groups.get(name="web"), name="Web", description="", by=By(alice))
    operations.write_view(
        view=SavedView(project=project, kind="machines", name="Tagged", query="tag=web"), by=By(alice)
    )
    operations.note(AccountEvent.Verb.SIGNED_IN, user=alice, client=operations.Client("192.0.2.9", "Browser"))
    Invitation.objects.create(
        project=project, email="new@example.com", digest="d" * 64, by=alice, by_name="alice", until=timezone.now()
    )
    operations.set_cursors({"forward": 1})
    hook = {"name": "Tickets", "url": "https://hooks.example/key", "kinds": []}
    webhook, _ = operations.create_webhook(project=project, fields=hook, by=By(alice))
    operations.send_test(webhook=webhook, by=By(alice))
    reviewed(project.groups.get(name="web"), alice)
    make_token(alice, of=project)
    of_hosts(machine)
    return {model: model._default_manager.order_by("pk")[0] for model in MODELS}
