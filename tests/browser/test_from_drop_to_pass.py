"""A real packet of a client is dropped by a real host; its page says why, a rule is added, and the client comes through.

Client, host and VM are network namespaces, the agent is the program, and the panel is the one that the browser shows.
"""

import logging
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from securitygroups import operations
from securitygroups.enforcement import applied, keys
from securitygroups.firewall.platform import Target
from securitygroups.management import demo_hosts
from securitygroups.management.demo_hosts import Enrolment, Network
from securitygroups.models import Project, User, VirtualMachine
from securitygroups.operations import By
from tests.browser.conftest import Browse
from tests.factories import make_group, make_machine
from tests.kernel.conftest import KERNEL

pytestmark = [KERNEL, pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]

ADDRESS, MAC = "10.0.1.11", "52:54:00:00:01:0b"
WITHIN = 10.0
"""Seconds from the packet to its row on the page."""


@pytest.fixture
def vm(project: Project) -> VirtualMachine:
    group = make_group(project, "web", ["accept in tcp 22", "drop in tcp 443", "accept out udp 53"])
    return make_machine(project, "web-1", [group], ipv4=ADDRESS)


@pytest.fixture
def network(vm: VirtualMachine, live_server: LiveServer, tmp_path: Path) -> Iterator[Network]:
    """The host of the VM, enrolled at the panel that the browser shows, with its agent at work."""
    if why := demo_hosts.missing():
        pytest.skip(why)
    host, secret = operations.make_host(fields={"name": "kvm-1", "target": Target.INET.value}, by=By())
    tap = {"tap": "tap0", "vm": vm.public_id, "mac": MAC, "addresses": [ADDRESS], "name": vm.name}
    words = (live_server.url, "--key", keys.public(), "--host", host.public_id, "--token", secret)
    port = int(live_server.url.rpartition(":")[2])
    with demo_hosts.host_running(port, Enrolment("kvm-1", words, (tap,)), tmp_path / "agent") as network:
        yield network


def knock(network: Network) -> str:
    """What the VM's web server says to the client, nothing where nobody answers."""
    with network.client.socket() as client, suppress(TimeoutError):
        client.settimeout(1)
        client.connect((ADDRESS, 443))
        return client.recv(100).decode()
    return ""


def until_in_force(vm: VirtualMachine) -> None:
    end = time.monotonic() + 60
    while not applied.of_machine(vm).is_in_force:
        assert time.monotonic() < end
        time.sleep(0.2)


def shown(page: Page, address: str, within: float) -> None:
    """Look at the page again and again until the packet is on it."""
    end = time.monotonic() + within
    while True:
        page.goto(address)
        if page.get_by_role("link", name=re.compile("TCP, port 443")).count():
            return
        assert time.monotonic() < end, page.locator("main").inner_text()
        time.sleep(0.5)


def test_a_client_is_dropped_the_page_says_why_and_a_rule_lets_it_in(
    browse: Browse, alice: User, vm: VirtualMachine, network: Network
) -> None:
    page = browse(alice)
    until_in_force(vm)
    page.goto(vm.get_absolute_url())
    expect(page.locator("#in-force")).to_contain_text("In force on kvm-1 since")

    steps = [("begun", time.monotonic())]
    assert knock(network) == ""
    steps.append(("dropped", time.monotonic()))

    shown(page, f"{vm.get_absolute_url()}dropped/", WITHIN)
    steps.append(("on the page", time.monotonic()))
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=re.compile("TCP, port 443")))
    expect(row).to_contain_text("198.51.100.7")
    expect(row).to_contain_text("by web, rule 2")
    row.get_by_role("link", name=re.compile("TCP")).click()
    expect(page.locator("main")).to_contain_text("The list is the same now")
    expect(page.locator("main")).to_contain_text("web, rule 2")
    page.get_by_role("link", name="Add a rule that accepts it").click()
    expect(page.locator("#preview")).to_contain_text("accept")
    steps.append(("a rule is proposed", time.monotonic()))

    page.get_by_role("button", name="Add Rule", exact=True).click()
    expect(page.locator(".follow")).to_contain_text(re.compile("(Being applied|In force) on its VM"))
    steps.append(("committed", time.monotonic()))
    expect(page.locator(".follow")).to_contain_text("In force on its VM, after")
    steps.append(("in force, says the message", time.monotonic()))
    assert knock(network) == "Hello.\n"
    steps.append(("passed", time.monotonic()))

    times = [f"{name} {at - before:.1f} s" for (_, before), (name, at) in pairwise(steps)]
    logging.getLogger(__name__).info("From drop to pass: %s", ", ".join(times))
