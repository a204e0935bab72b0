"""The picture of what the internet reaches: each port once, each VM once, and nothing left out without a word."""

import pytest

from securitygroups.answers.exposure import chosen, load
from securitygroups.answers.internet import internet, look
from securitygroups.answers.reached import NOTHING, Reached
from securitygroups.models import Project
from tests.factories import make_group, make_machine

pytestmark = pytest.mark.django_db


def drawn(project: Project) -> Reached:
    return internet(load(chosen(project))).drawn


def ports(found: Reached) -> list[tuple[str, str, int]]:
    return [(one.what, one.ports, one.machines) for one in found.ports]


def ways(found: Reached) -> set[tuple[str, str, int]]:
    return {(found.ports[at].ports, found.bundles[to].first.name, number) for at, to, number in found.bands}


def test_a_port_that_several_rules_open_stands_once(project: Project) -> None:
    split = make_group(project, "split", ["accept in tcp 22 from 0.0.0.0/0", "accept in tcp 22", "accept in udp 443"])
    make_machine(project, "a", [split], ipv4="10.0.0.1", ipv6="2001:db8::1")
    make_machine(project, "b", [make_group(project, "web", ["accept in tcp 443"])], ipv4="10.0.0.2")

    found = drawn(project)

    assert ports(found) == [("TCP", "22 (SSH)", 1), ("TCP", "443 (HTTPS)", 1), ("UDP", "443 (HTTP/3)", 1)]
    assert [one.services for one in found.ports] == ["SSH", "", ""]
    assert ways(found) == {("22 (SSH)", "a", 1), ("443 (HTTPS)", "b", 1), ("443 (HTTP/3)", "a", 1)}


def test_ports_that_touch_are_one_range_though_a_rule_stands_between(project: Project) -> None:
    group = make_group(project, "all", ["accept in tcp 443", "accept in tcp 80-90", "accept in tcp 0-65535"])
    make_machine(project, "a", [group], ipv4="10.0.0.1")

    (one,) = drawn(project).ports

    assert (one.what, one.ports, one.rules) == ("TCP", "any port", 3)
    assert "SSH" in one.services


def test_everything_is_one_line(project: Project) -> None:
    make_machine(project, "a", [make_group(project, "open", ["accept in all"])], ipv4="10.0.0.1")

    (one,) = drawn(project).ports

    assert (one.what, one.ports) == ("Everything", "")


def test_a_port_names_the_rule_that_opens_it_and_no_other(project: Project) -> None:
    first = make_group(project, "first", ["accept in tcp 443", "accept in tcp 25"])
    make_machine(project, "a", [first, make_group(project, "second", ["accept in tcp 22"])], ipv4="10.0.0.1")

    assert {(one.ports, one.through.text, one.rules) for one in drawn(project).ports} == {
        ("22 (SSH)", "second, rule 1", 1),
        ("443 (HTTPS)", "first, rule 1", 1),
        ("25 (SMTP)", "first, rule 2", 1),
    }


def test_up_to_twelve_vms_have_a_line_each_and_more_stand_together(project: Project) -> None:
    web = make_group(project, "web", ["accept in tcp 443"])
    for number in range(12):
        make_machine(project, f"web-{number}", [web], ipv4=f"10.0.0.{number + 1}")
    assert [one.machines for one in drawn(project).bundles] == [1] * 12

    make_machine(project, "web-last", [web], ipv4="10.0.0.99")

    (one,) = drawn(project).bundles
    assert (one.first.name, one.machines) == ("web-0", 13)


def test_what_there_is_no_room_for_is_counted(project: Project) -> None:
    for number in range(20):
        group = make_group(project, f"g{number}", [f"accept in tcp {5000 + number * 2}", "accept in tcp 443"])
        make_machine(project, f"vm-{number:02}", [group], ipv4=f"10.0.0.{number + 1}")

    found = drawn(project)

    assert (len(found.ports), found.more_ports) == (8, 13)
    assert sum(one.machines for one in found.bundles) + found.more_machines == 20
    assert sum(number for at, _, number in found.bands if at == 0) == found.ports[0].machines == 20


def test_the_loud_ones_come_first(project: Project) -> None:
    web = make_group(project, "web", ["accept in tcp 443"])
    for number in range(3):
        make_machine(project, f"web-{number}", [web], ipv4=f"10.0.0.{number + 1}")
    make_machine(project, "zz", [make_group(project, "db", ["accept in tcp 3306"])], ipv4="10.0.0.9")

    found = drawn(project)

    assert [one.ports for one in found.ports] == ["3306 (MySQL)", "443 (HTTPS)"]
    assert (found.bundles[0].first.name, found.bundles[0].loud) == ("zz", True)


def test_what_is_kept_is_the_same_picture(project: Project) -> None:
    group = make_group(project, "web", ["accept in tcp 443", "accept in icmp", "accept in tcp 22 from 0.0.0.0/1"])
    make_machine(project, "a", [group], ipv4="10.0.0.1")

    found = look(project).drawn

    assert found == drawn(project)
    assert [one.everyone for one in found.ports] == [False, True, True]


def test_where_nothing_is_open_nothing_is_drawn(project: Project) -> None:
    assert drawn(project) == NOTHING
