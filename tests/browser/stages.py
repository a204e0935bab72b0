"""What the pages are looked at with: everything as long as it may be, and everything empty."""

from dataclasses import dataclass
from typing import Any

from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP

from securitygroups import operations
from securitygroups.firewall.deeds import FIRST, MOVE, Deed
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Rule, make_packet, parse_address
from securitygroups.models import Project, Role, SavedView, Scope, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from securitygroups.proposals import propose_orders
from tests.factories import (
    make_delivery,
    make_group,
    make_host,
    make_machine,
    make_token,
    make_user,
    place,
    reviewed,
    rule,
    sample,
    told,
    webhook_pages,
)

LONG = "abcdefghij" * 10
"""A name of the greatest length, without a place to break it."""
FULL = "x" * 255
LONG_ADDRESS = "2001:db8:1111:2222:3333:4444:5555:6666"
RULES = 120
"""More than a page of the list shows."""


@dataclass
class Stage:
    """The cast, and the parameters that lead to their things; `special` where a page needs another thing."""

    cast: dict[str, User]
    project: Project
    group: SecurityGroup
    machine: VirtualMachine
    parameters: dict[str, Any]
    special: dict[str, dict[str, Any]]


def long_rules() -> list[Rule]:
    return [
        rule(f"accept in tcp 60000-65535 from {LONG_ADDRESS}", FULL),
        rule("accept in tcp 443", "Public HTTPS"),
        # Removable, so that the page of its fix has something to show.
        rule("accept in tcp 443 from 10.0.0.0/8", FULL),
        rule(f"accept out ip from {LONG_ADDRESS} to 2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", LONG),
        rule("accept in tcp 22", "SSH from anywhere"),
        rule("drop in udp 5000-5010 from 255.255.255.255", "Off", enabled=False),
        rule("drop in all", FULL),
        rule("drop in tcp 8080 from 192.0.2.0/24", "Never reached"),
    ]


def crowded() -> Stage:
    """A project in which every text has its greatest length."""
    owner, staff = make_user("o" * 150), make_user("s" * 150, "support", is_staff=True)
    project = operations.create_project(name=LONG, slug="s" * 60, by=By(owner), owner=owner)
    member = operations.add_member(project=project, user=make_user("m" * 150), role=Role.VIEWER, by=By(owner))
    group = make_group(project, LONG, long_rules(), description=FULL)
    operations.commit_rules(group=group, rules=operations.rules_at(group, 1)[1:], base=1, by=By(owner, reason=FULL))
    operations.commit_rules(group=group, rules=operations.rules_at(group, 1), base=2, by=By(owner, reason=FULL))
    other = make_group(project, LONG[::-1], ["accept out tcp 443"], description=FULL)
    ends = {"ipv4": "255.255.255.254", "ipv6": LONG_ADDRESS}
    machine = make_machine(project, LONG, [group, other], description=FULL, **ends)
    # A second revision of the VM's groups.
    operations.attach_groups(machine=machine, groups=[other, group], base=1, by=By(owner, reason=FULL))
    operations.update_machine(machine=machine, fields={"tags": [LONG[:60], "env=prod", "x" * 60]}, by=By(owner))
    view = SavedView(project=project, kind="machines", name=LONG[:40], query="is=alone")
    operations.write_view(view=view, by=By(owner))
    template = operations.save_template(group=group, name=LONG, description=FULL, by=By(owner))
    operations.open_visit(project=project, staff=staff, reason=FULL, ticket=LONG)
    packet = make_packet(Direction.IN, "tcp", parse_address(LONG_ADDRESS), parse_address(LONG_ADDRESS), 8080)
    case = operations.open_case(
        about=machine,
        packet=packet,
        staff=staff,
        ticket=LONG,
        note=LONG * 20,
    )
    # The address of the second has the number that a revision has too.
    reviewed(group, owner, 2)
    operations.set_review_interval(project=project, months=1, by=By(owner))
    operations.add_packet(case=case, about=group, packet=packet, staff=staff)
    operations.take_case(case=case, staff=staff)
    operations.close_case(case=case, staff=staff, text=FULL)
    TOTP.activate(owner, "JBSWY3DPEHPK3PXP")
    RecoveryCodes.activate(owner)
    delivery = make_delivery(project, owner, LONG[:60], f"https://{'h' * 60}.{'h' * 60}.example/{FULL}")
    _, secret = operations.invite(project=project, email=f"{LONG[:60]}@example.com", role=Role.EDITOR, by=By(owner))
    uids = [row.uid for row in group.rules.in_order()]
    deed = Deed(MOVE, group.pk, 2, 0, FIRST)
    lot = propose_orders(project, VirtualMachine.objects.filter(pk=machine.pk), deed, ("Moved it", "")).lot
    line = operations.regroup_machines(lot=lot, by=By(owner, reason=FULL))
    networks = [f"2001:db8:1111:2222:3333:4444:5555:{number:x}" for number in range(20)]
    token, own = (
        make_token(owner, *Scope.values, of=of, name=LONG[:60], networks=networks, projects=[] if of else [project])
        for of in (project, None)
    )
    operations.note_use(own, LONG_ADDRESS)
    ended = make_token(owner, of=project, name=LONG[:59])
    operations.revoke_token(token=ended, by=By(owner))
    host = make_host(LONG[:60])
    place(machine, host, "tap0")
    long_ends = {"version": 6, "source": LONG_ADDRESS, "destination": LONG_ADDRESS[:-1] + "7", "port": 65535}
    told(host, sample(machine, **long_ends, times=10**12), sample(machine, reason="x" * 20, **long_ends), missed=10**12)
    return Stage(
        cast={"owner": owner, "staff": staff},
        project=project,
        group=group,
        machine=machine,
        parameters={
            "slug": project.slug,
            "group_id": group.public_id,
            "machine_id": machine.public_id,
            "case_id": case.public_id,
            "uid": uids[1],
            "do": "down",
            "mend": "remove",
            "kind": "json",
            "suffix": "csv",
            "number": 2,
            "pk": member.pk,
            "event": 1,
            "secret": secret,
            # Links that have ended: what they say is looked at, and one that is good leads on.
            "uidb36": "1",
            "key": "ended",
        },
        special={
            "machine_groups_undo": {"event": line.pk},
            "rule_fix": {"uid": uids[2]},
            "template_delete": {"pk": template.pk},
            "view_edit": {"pk": view.pk},
            "view_delete": {"pk": view.pk},
            "token_revoke": {"pk": token.pk},
            "own_token_revoke": {"pk": own.pk},
            "dropped_packet": {"pk": machine.traffic.earliest("pk").pk},
            **webhook_pages(delivery),
        },
    )


def empty() -> Stage:
    """A project in which there is nothing yet, but for a group without rules and a VM without groups."""
    owner, staff = make_user("olga"), make_user("sam", "support", is_staff=True)
    project = operations.create_project(name="Empty", slug="empty", by=By(owner), owner=owner)
    group, machine = make_group(project, "web"), make_machine(project, "web-1")
    # There is none that is good.
    tokens = [make_token(owner, of=of) for of in (project, None)]
    for token in tokens:
        operations.revoke_token(token=token, by=By(owner))
    return Stage(
        cast={"owner": owner, "staff": staff},
        project=project,
        group=group,
        machine=machine,
        parameters={
            "slug": project.slug,
            "group_id": group.public_id,
            "machine_id": machine.public_id,
            "number": 1,
            "pk": project.memberships.get().pk,
        },
        special={"token_revoke": {"pk": tokens[0].pk}, "own_token_revoke": {"pk": tokens[1].pk}},
    )
