"""A yes is good for what its question showed, and for nothing that has come since."""

import pytest
from django.test import Client

from securitygroups import operations, proposals
from securitygroups.models import Project, SecurityGroup, User
from securitygroups.operations import By
from tests.factories import make_group, make_machine, ports
from tests.web.pages import Page, say_yes

ADD = {
    "action": "accept",
    "direction": "in",
    "protocol": "tcp",
    "source": "",
    "enabled": "on",
    "place": "1",
    "base": "1",
}


def test_not_for_a_vm_that_got_the_group_since(as_alice: Client, project: Project, erin: User) -> None:
    group = make_group(project, "four", ports(1, 2))
    make_machine(project, "small", [group], ipv4="10.0.1.11")
    question = as_alice.post(f"{group.get_absolute_url()}rules/new/", {**ADD, "port_start": "22", "port_end": "22"})
    machine = make_machine(project, "crown-jewels", [], ipv4="10.0.1.12")
    operations.attach_groups(machine=machine, groups=[group], base=machine.revision, by=By(erin))

    again = say_yes(as_alice, question)

    assert SecurityGroup.objects.get(pk=group.pk).revision == 1
    assert "crown-jewels" not in Page(question).text
    assert "crown-jewels" in Page(again).text
    say_yes(as_alice, again)
    assert SecurityGroup.objects.get(pk=group.pk).revision == 2


def test_not_where_another_group_lets_more_through_since(as_alice: Client, project: Project, erin: User) -> None:
    shield = make_group(project, "shield", ["drop in tcp 3306"])
    group = make_group(project, "four", ports(1, 2))
    make_machine(project, "db", [shield, group], ipv4="10.0.1.11")
    question = as_alice.post(f"{group.get_absolute_url()}rules/new/", {**ADD, "port_start": "3306", "port_end": "3390"})
    operations.commit_rules(group=shield, rules=(), base=shield.revision, by=By(erin))

    again = say_yes(as_alice, question)

    assert SecurityGroup.objects.get(pk=group.pk).revision == 1
    assert "MySQL" not in Page(question).text
    assert "MySQL" in Page(again).text


def test_not_even_where_it_comes_between_the_look_and_the_lock(
    as_alice: Client, project: Project, erin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = make_group(project, "four", ports(1, 2))
    make_machine(project, "small", [group], ipv4="10.0.1.11")
    machine = make_machine(project, "crown-jewels", [], ipv4="10.0.1.12")
    question = as_alice.post(f"{group.get_absolute_url()}rules/new/", {**ADD, "port_start": "22", "port_end": "22"})
    commit = operations.commit_edit

    def late(**arguments: object) -> object:
        operations.attach_groups(machine=machine, groups=[group], base=machine.revision, by=By(erin))
        return commit(**arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(proposals, "commit_edit", late)
    again = say_yes(as_alice, question)

    assert SecurityGroup.objects.get(pk=group.pk).revision == 1
    assert "crown-jewels" in Page(again).text
