"""A database of an earlier version comes along with its data."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from securitygroups import operations
from securitygroups.firewall.formats.documents import stored_rules
from securitygroups.models import AccountEvent, Event, Placement, Project, SecurityGroup, User
from tests.factories import PASSWORD, ports
from tests.operations.state import commit, on_record

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE = [("securitygroups", "0002_machinerevision_project")]
DECOMPOSED = "cafe\u0301"


def migrate(targets: list[Any]) -> Any:
    executor = MigrationExecutor(connection)
    executor.migrate(targets)
    return MigrationExecutor(connection).loader.project_state(targets).apps


@pytest.fixture
def before() -> Iterator[Any]:
    """The models of the first version, in its tables; afterwards the tables are those of now again."""
    newest = [key for key in MigrationExecutor(connection).loader.graph.leaf_nodes() if key[0] == "securitygroups"]
    apps = migrate(BEFORE)
    yield apps, newest
    migrate(newest)


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in one transaction, as in the demo"])
def test_people_projects_and_records_come_along(before: Any, *, together: bool) -> None:
    apps, newest = before
    user, project, group, event = (
        apps.get_model("securitygroups", name) for name in ("User", "Project", "SecurityGroup", "Event")
    )
    password = User(username="x")
    password.set_password(PASSWORD)
    alice = user.objects.create(username="alice", email="alice@example.com", password=password.password)
    user.objects.create(username="Alice", email="other@example.com", password="!")
    shop = project.objects.create(name="  Shop ", slug="shop")
    for name in ("web", DECOMPOSED, "café"):
        group.objects.create(project=shop, name=name, public_id=f"sg-{len(name):010}{name[0]}"[:20])
    revision = apps.get_model("securitygroups", "GroupRevision")
    listed = stored_rules([replace(each, uid=f"u{place}") for place, each in enumerate(ports(1, 2, 3))])
    revision.objects.create(
        group=group.objects.get(name="web"), number=1, actor_name="alice", summary="x", rules=listed
    )
    group.objects.filter(name="web").update(revision=1)
    event.objects.create(
        project=shop, actor=alice, actor_name="alice", verb="project.created", summary=f"Made {DECOMPOSED}"
    )

    with transaction.atomic() if together else nullcontext():
        migrate(newest)

    found = User.objects.get(pk=alice.pk)
    assert (found.username, found.check_password(PASSWORD), found.must_change_password) == ("alice", True, False)
    assert User.objects.filter(username__iexact="alice").count() == 1, "names differ in more than case now"
    assert AccountEvent.objects.get().detail == {"was": "Alice"}
    kept = Project.objects.get(slug="shop")
    assert (kept.name, kept.second_factor) == ("Shop", False)
    names = set(SecurityGroup.objects.values_list("name", flat=True))
    assert {"web", "café"} < names
    assert len(names) == 3, "what was the same in another form has its ID behind it"
    assert Event.objects.get().summary == f"Made {DECOMPOSED}", "what is on record stays as it was"
    web = SecurityGroup.objects.get(name="web")
    assert stored_rules(operations.rules_at(web, 1)) == listed
    commit(web, ports(7))
    assert (on_record(web, 1), len(on_record(web, 2))) == (listed, 1)


def test_the_interface_of_a_vm_becomes_its_placements() -> None:
    """What web processes of the version before go on writing is not lost with them either: the column is there."""
    newest = [key for key in MigrationExecutor(connection).loader.graph.leaf_nodes() if key[0] == "securitygroups"]
    try:
        apps = migrate([("securitygroups", "0026_hosts")])
        machine, placement, host = (
            apps.get_model("securitygroups", name) for name in ("VirtualMachine", "Placement", "Host")
        )
        shop = apps.get_model("securitygroups", "Project").objects.create(name="Shop", slug="shop")

        def made(name: str, tap: str, **fields: Any) -> Any:
            return machine.objects.create(project=shop, name=name, tap=tap, public_id=f"vm-{name}", **fields)

        kvm = host.objects.create(name="kvm-1")
        alone, bare, deleted = (
            made("alone", "tap1"),
            made("bare", ""),
            made("deleted", "tap1", deleted_at=timezone.now()),
        )
        there, off = made("there", "tap2"), made("off", "tap3")
        placement.objects.create(machine=there, host=kvm, tap="tap9", number=4)
        placement.objects.create(machine=off, mac="52:54:00:12:34:56", held=False, number=2)

        migrate(newest)

        found = {row.machine_id: row for row in Placement.objects.select_related("host")}
        assert {pk: (row.host and row.host.name, row.tap) for pk, row in found.items()} == {
            alone.pk: (None, "tap1"),
            deleted.pk: (None, "tap1"),
            there.pk: ("kvm-1", "tap9"),
            off.pk: (None, "tap3"),
        }
        assert (found[alone.pk].held, found[alone.pk].number, found[off.pk].mac) == (True, 1, "52:54:00:12:34:56")
        assert bare.pk not in found
        machine.objects.create(project=shop, name="late", tap="tap5", public_id="vm-late")
        operations.create_machine(project=Project.objects.get(), fields={"name": "new"}, groups=(), by=operations.By())

        # And back: what the version before forbids is gone, and what it had is there.
        migrate([("securitygroups", "0026_hosts")])
        assert dict(machine.objects.order_by("pk").values_list("name", "tap")) == {
            "alone": "tap1", "bare": "", "deleted": "tap1", "there": "tap2", "off": "tap3", "late": "tap5", "new": "",
        }  # fmt: skip
        assert set(placement.objects.filter(host=None).values_list("tap", flat=True)) == {""}
    finally:
        migrate(newest)
