"""`manage.py nftables VM…`: effective lists out of the database."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from securitygroups.effective import of_machine, rules_of
from securitygroups.firewall.nftables import Tap, host_ruleset
from securitygroups.firewall.platform import Target
from tests.factories import make_group, make_machine, make_project, make_user

pytestmark = pytest.mark.django_db


def compiled(*arguments: str) -> str:
    out = StringIO()
    call_command("nftables", *arguments, "--target", "inet", stdout=out)
    return out.getvalue()


def test_vms_get_their_effective_lists_in_order_of_attachment() -> None:
    project = make_project(make_user("alice"))
    web, base = make_group(project, rules=["accept in tcp 443"]), make_group(project, rules=["drop in tcp"])
    first = make_machine(project, "first", [web, base], tap="tap1", ipv4="10.0.0.1")
    second = make_machine(project, "second", [base, web], tap="tap2")
    wanted = host_ruleset(
        [
            (Tap(first.public_id, "tap1", "first", "10.0.0.1"), rules_of(of_machine(first))),
            (Tap(second.public_id, "tap2", "second"), rules_of(of_machine(second))),
        ],
        Target.INET,
    )
    assert compiled(first.public_id, "second", first.public_id) == wanted
    accept, drop = wanted.index("tcp dport 443"), wanted.index("meta l4proto 6")
    assert accept < drop


def test_a_vm_without_a_tap_or_with_a_strange_one_is_refused() -> None:
    project = make_project(make_user("alice"))
    for name, tap, words in (("none", "", "has no tap interface"), ("other", "vnet0", "not one of tap")):
        make_machine(project, name, tap=tap)
        with pytest.raises(CommandError, match=words):
            compiled(name)


def test_a_name_must_be_of_one_vm() -> None:
    alice = make_user("alice")
    for number in (1, 2):
        make_machine(make_project(alice, f"Project {number}"), "web", tap=f"tap{number}")
    with pytest.raises(CommandError, match="2 VMs have this name; give an ID: vm-"):
        compiled("web")
    with pytest.raises(CommandError, match="nobody: there is no VM of this ID or name"):
        compiled("nobody")


def test_vms_or_a_document_but_not_both_and_not_neither() -> None:
    for arguments in ([], ["vm-1", "--group", "-"]):
        with pytest.raises(CommandError, match="Give VMs, or --group"):
            compiled(*arguments)
