"""Whatever lists come one after the other, the project's VMs are those of the last one, and nobody else's change."""

from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from securitygroups.inventory import commit_inventory, propose_inventory
from securitygroups.models import Attachment, Event, MachineRevision, Project, VirtualMachine
from securitygroups.operations import By
from tests.factories import make_group, make_machine
from tests.operations.state import nothing_written

NUMBERS = list(range(6))
GROUPS = ["web", "ssh", "dns"]
OWN = ("name", "description", "ipv4", "ipv6", "tags")


@st.composite
def lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Up to six VMs with few names and addresses, so that they often take over each other's."""
    ids = draw(st.lists(st.sampled_from(NUMBERS), unique=True))
    names, fours, sixes = (draw(st.permutations(NUMBERS)) for _ in range(3))
    return [
        {
            "external_id": f"i-{number}",
            "name": f"vm {names[at]}",
            "description": draw(st.sampled_from(["", "a", "Ä b"])),
            "ipv4": draw(st.sampled_from([None, f"10.0.0.{fours[at]}"])),
            "ipv6": draw(st.sampled_from([None, f"2001:db8::{sixes[at] + 1}"])),
            "tags": sorted(draw(st.sets(st.sampled_from(["web", "env=prod", "x"])))),
            "groups": draw(st.permutations(GROUPS))[: draw(st.integers(0, 3))],
        }
        for at, number in enumerate(ids)
    ]


def stored(project: Project) -> list[dict[str, Any]]:
    rows = VirtualMachine.objects.live().filter(project=project).exclude(external_id="").order_by("external_id")
    return [
        {
            "external_id": one.external_id,
            **{name: getattr(one, name) for name in OWN},
            "groups": list(one.attachments.order_by("position").values_list("group__name", flat=True)),
        }
        for one in rows
    ]


def by_hand(project: Project) -> list[Any]:
    rows = VirtualMachine.objects.filter(project=project, external_id="").order_by("pk")
    attached = Attachment.objects.filter(machine__in=rows).order_by("pk")
    return [list(rows.values()), list(attached.values())]


@pytest.mark.django_db
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(every=st.lists(lists(), min_size=1, max_size=4))
def test_the_vms_are_those_of_the_last_list(project: Project, every: list[list[dict[str, Any]]]) -> None:
    point = transaction.savepoint()
    groups = [make_group(project, name, [f"accept in tcp {port}"]) for port, name in enumerate(GROUPS, 80)]
    make_machine(project, "by hand", groups, ipv4="10.0.0.99")
    hand = by_hand(project)
    for entries in every:
        plan = propose_inventory(project, entries, allow_gone=len(NUMBERS))
        lines = Event.objects.count()
        commit_inventory(plan, by=By(), token=plan.token)

        assert stored(project) == sorted(entries, key=lambda one: str(one["external_id"]))
        assert by_hand(project) == hand
        lot = plan.lot
        regrouped = sum(one.before != one.after for one in lot.changed)
        fields = sum(bool(one.fields) for one in lot.changed)
        assert Event.objects.count() - lines == len(lot.made) + len(lot.gone) + fields + regrouped
        for vm in VirtualMachine.objects.live().filter(project=project):
            newest = MachineRevision.objects.filter(machine=vm).order_by("-number")[0]
            attached = vm.attachments.order_by("position").values_list("group__name", flat=True)
            assert newest.number == vm.revision
            assert [group["name"] for group in newest.groups] == list(attached)
        with nothing_written():
            commit_inventory(propose_inventory(project, entries), by=By())
    transaction.savepoint_rollback(point)
