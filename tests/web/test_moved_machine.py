"""A VM that staff moved to another project: neither customer sees anything of the other's, then or later."""

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from securitygroups import operations
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet, parse_address
from securitygroups.models import MachineRevision, Project, SecurityGroup, SupportCase, User, VirtualMachine
from securitygroups.operations import By
from tests.factories import make_group
from tests.web.pages import Page, messages

PACKET = {
    "test": "1",
    "direction": "in",
    "protocol": "tcp",
    "source": "203.0.113.9",
    "destination": "10.0.1.11",
    "port": "22",
}
# What only the old project's members may read.
SECRETS = ("outbound", "Office SSH", "Public HTTPS", "alice", "Secret plan")


def moved_to(machine: VirtualMachine, target: Project, admin: User) -> VirtualMachine:
    operations.move_machine(
        machine=VirtualMachine.objects.select_related("project").get(pk=machine.pk), target=target, by=By(admin)
    )
    found: VirtualMachine = VirtualMachine.objects.select_related("project").get(pk=machine.pk)
    return found


@pytest.fixture
def early() -> datetime:
    """While the VM was the old project's."""
    return timezone.now() - timedelta(days=5)


@pytest.fixture
def case(machine: VirtualMachine, alice: User, staff: User, early: datetime) -> SupportCase:
    """Of the old project, on the VM."""
    groups = list(SecurityGroup.objects.filter(machines=machine).order_by("-name"))
    operations.attach_groups(machine=machine, groups=groups[::-1], base=1, by=By(alice, reason="Secret plan"))
    return operations.open_case(
        about=machine,
        packet=Packet(Direction.IN, 4, 6, parse_address("203.0.113.9")[1], parse_address("10.0.1.11")[1], 22),
        staff=staff,
    )


@pytest.fixture
def moved(early: datetime, request: pytest.FixtureRequest, bakery: Project, admin: User) -> VirtualMachine:
    """The VM, charlie's since yesterday, with a group and a name of his."""
    with time_machine.travel(early, tick=True):
        machine: VirtualMachine = request.getfixturevalue("machine")
        request.getfixturevalue("case")
    with time_machine.travel(early + timedelta(days=4), tick=True):
        vm = moved_to(machine, bakery, admin)
        oven = make_group(bakery, "oven", ["drop in tcp 22", "accept in tcp 99"])
        operations.update_machine(machine=vm, fields={"name": "oven-1"}, by=By())
        operations.attach_groups(machine=vm, groups=[oven], base=vm.revision, by=By(None, reason="Bread"))
    found: VirtualMachine = VirtualMachine.objects.select_related("project").get(pk=vm.pk)
    return found


def test_the_new_members_see_its_history_from_the_move_on(as_charlie: Client, moved: VirtualMachine) -> None:
    page = Page(as_charlie.get(f"{moved.get_absolute_url()}history/"))
    assert "Attached groups 2" in page.text
    assert "Moved here from another project." in page.text
    assert "Bread" in page.text
    for secret in SECRETS:
        assert secret not in page.text
    for number in (1, 2, 3):
        for rest in ("", "restore/"):
            assert as_charlie.get(f"{moved.get_absolute_url()}history/{number}/{rest}").status_code == 404


def recorded(project: Project) -> str:
    """All that the project's record holds, as the database has it."""
    kept = (project.events, MachineRevision.objects.filter(project=project), project.cases)
    return json.dumps([list(rows.values()) for rows in kept], default=str)


def test_neither_project_is_told_the_others_name_anywhere(
    as_alice: Client, as_charlie: Client, moved: VirtualMachine, project: Project, bakery: Project
) -> None:
    case = SupportCase.objects.get()
    sides = {
        "Shop": (as_charlie, bakery, [f"{moved.get_absolute_url()}{page}" for page in ("", "history/", "test/")]),
        "Bakery": (as_alice, project, [case.get_absolute_url()]),
    }

    for name, (browser, own, addresses) in sides.items():
        assert not re.search(rf"\b{name}\b", recorded(own), re.IGNORECASE)
        addresses += [f"/p/{own.slug}/{page}" for page in ("", "activity/", "machines/", "cases/")]
        for address in addresses:
            response = browser.get(address)
            assert response.status_code == 200, address
            assert not re.search(rf"\b{name}\b", response.content.decode(), re.IGNORECASE), address
    words = project.events.filter(machine=moved, verb="machine.changed").get().summary
    assert words == "Moved web-1 to another project."
    assert "Moved to another project." in MachineRevision.objects.filter(project=project).first().reason  # type: ignore[union-attr]


def test_as_of_a_time_before_the_move_nothing_is_told(
    as_charlie: Client, moved: VirtualMachine, early: datetime
) -> None:
    def asked(at: datetime) -> Any:
        return as_charlie.get(f"{moved.get_absolute_url()}test/", PACKET | {"at": f"{at:%Y-%m-%dT%H:%M}"})

    page = Page(asked(early + timedelta(days=1)))
    assert "oven-1 was not in this project then" in page.text
    assert "What an accept would need" not in page.text
    for secret in SECRETS:
        assert secret not in page.text
    assert "oven, rule 1" in Page(asked(early + timedelta(days=4, hours=1))).text


def test_an_undo_of_the_new_members_brings_nothing_of_the_old_back(as_charlie: Client, moved: VirtualMachine) -> None:
    url = moved.get_absolute_url()
    assert as_charlie.post(f"{url}undo/{moved.revision}/").status_code == 302
    assert "Undone" in messages(as_charlie)
    assert as_charlie.post(f"{url}undo/{moved.revision + 1}/").status_code == 302
    assert [a.group.name for a in moved.attachments.select_related("group")] == ["oven"]


def test_the_first_revision_after_a_move_has_nothing_to_be_taken_back_to(
    as_charlie: Client, machine: VirtualMachine, bakery: Project, admin: User
) -> None:
    vm = moved_to(machine, bakery, admin)
    as_charlie.post(f"{vm.get_absolute_url()}undo/{vm.revision}/")
    assert "choose its groups in Instance settings" in messages(as_charlie)
    assert not vm.attachments.exists()


def test_the_old_members_case_tells_nothing_of_what_it_is_now(
    as_bob: Client, moved: VirtualMachine, project: Project
) -> None:
    case = SupportCase.objects.get()
    response = as_bob.get(case.get_absolute_url())
    page = Page(response)
    assert "Then: accepted by rule 5" in page.text
    assert "The virtual machine has been moved to another project, so it cannot be tested again." in page.text
    assert "Now:" not in page.text
    assert f"on {moved.public_id}" in page.text
    for address in (case.get_absolute_url(), f"/p/{project.slug}/cases/", f"/p/{project.slug}/activity/"):
        content = as_bob.get(address).content.decode()
        assert moved.public_id in content
        for theirs in ("oven", "/p/bakery/", f'href="/p/shop/machines/{moved.public_id}'):
            assert theirs not in content, address


def test_the_new_members_do_not_find_the_case(as_charlie: Client, moved: VirtualMachine) -> None:
    case = SupportCase.objects.get()
    assert as_charlie.get(f"/p/bakery/cases/{case.public_id}/").status_code == 404
    assert case.public_id not in as_charlie.get("/p/bakery/cases/").content.decode()


def test_back_home_both_keep_their_own(
    as_alice: Client, moved: VirtualMachine, project: Project, admin: User, early: datetime
) -> None:
    """What was while it was charlie's stays charlie's; what was alice's is alice's again."""
    vm = moved_to(moved, project, admin)
    page = Page(as_alice.get(f"{vm.get_absolute_url()}history/"))
    assert "Secret plan" in page.text
    assert "oven" not in page.text.replace("oven-1", "")
    for days, words in ((1, "(web, rule 3)"), (4.5, "oven-1 was not in this project then")):
        at = {"at": f"{early + timedelta(days=days):%Y-%m-%dT%H:%M}"}
        text = Page(as_alice.get(f"{vm.get_absolute_url()}test/", PACKET | at)).text
        assert words in text
        assert "oven, rule" not in text


def test_a_case_on_a_deleted_vm_links_nowhere(as_bob: Client, case: SupportCase, alice: User) -> None:
    assert f'href="/p/shop/machines/{case.machine.public_id}/"' in as_bob.get(case.get_absolute_url()).content.decode()  # type: ignore[union-attr]
    operations.delete_machine(machine=case.machine, by=By(alice))  # type: ignore[arg-type]
    response = as_bob.get(case.get_absolute_url())
    assert "has been deleted, so it cannot be tested again" in Page(response).text
    assert f"/machines/{case.machine.public_id}/" not in response.content.decode()  # type: ignore[union-attr]
