"""Things to test with, made through operations as the panel makes them."""

from collections.abc import Sequence
from itertools import count
from typing import Any

from django.contrib.auth.models import Permission

from securitygroups import operations
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Rule, RuleList, parse_network
from securitygroups.models import Project, Role, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By

PASSWORD = "correct horse battery staple"
_numbers = count(1)


def make_user(name: str, *permissions: str, **fields: Any) -> User:
    """A person with the password PASSWORD; `permissions` are code names of the app's own."""
    user = User.objects.create_user(name, f"{name}@example.com", PASSWORD, **fields)
    for codename in permissions:
        user.user_permissions.add(Permission.objects.get(content_type__app_label="securitygroups", codename=codename))
    return user


def make_project(owner: User | None, name: str = "", quotas: dict[str, int | None] | None = None) -> Project:
    """A project; its slug is the name in small letters with hyphens."""
    name = name or f"Project {next(_numbers)}"
    return operations.create_project(
        name=name, slug=name.lower().replace(" ", "-"), by=By(owner), owner=owner, quotas=quotas
    )


def rule(text: str, description: str = "", *, enabled: bool = True, uid: str = "") -> Rule:
    """A rule as it is said: "accept in tcp 22", "drop in udp 5000-5010 from 10.0.0.0/8", "accept out ip to 2001:db8::/32".

    Only its words are checked, so that rules which must be refused can be made too.
    """
    action, direction, protocol, *rest = text.split()
    start = end = None
    if rest and rest[0] not in ("from", "to"):
        first, _, last = rest.pop(0).partition("-")
        start, end = int(first), int(last or first)
    ends = dict(zip(rest[::2], rest[1::2], strict=True))
    if not ends.keys() <= {"from", "to"}:
        raise ValueError(f"Not a rule: {text}")
    return Rule(
        action=Action(action),
        direction=Direction(direction),
        protocol=protocol,
        source=parse_network(ends["from"]) if "from" in ends else None,
        destination=parse_network(ends["to"]) if "to" in ends else None,
        port_start=start,
        port_end=end,
        description=description,
        enabled=enabled,
        uid=uid,
    )


def ports(*numbers: int) -> tuple[Rule, ...]:
    """Accept In TCP, a rule for each port: lists whose order is easily told."""
    return tuple(rule(f"accept in tcp {number}") for number in numbers)


def make_group(project: Project, name: str = "", rules: RuleList | Sequence[str] = (), **fields: Any) -> SecurityGroup:
    """A group; its rules are rules, or are said as `rule` takes them."""
    return operations.create_group(
        project=project,
        name=name or f"group {next(_numbers)}",
        rules=[rule(each) if isinstance(each, str) else each for each in rules],
        by=By(fields.pop("actor", None) or owner_of(project)),
        **fields,
    )


def make_machine(
    project: Project, name: str = "", groups: Sequence[SecurityGroup] = (), **fields: Any
) -> VirtualMachine:
    """A VM; `fields` are its own, such as ipv4."""
    return operations.create_machine(
        project=project,
        fields={"name": name or f"vm {next(_numbers)}", **fields},
        groups=groups,
        by=By(owner_of(project)),
    )


def owner_of(project: Project) -> User | None:
    """The project's first owner."""
    member = project.memberships.filter(role=Role.OWNER).select_related("user").first()
    return member.user if member else None
