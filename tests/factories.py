"""Things to test with, made through operations as the panel makes them."""

import time
from collections.abc import Sequence
from itertools import count
from typing import Any

from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from securitygroups import operations
from securitygroups.firewall.notation import rule as rule
from securitygroups.firewall.values import Rule, RuleList
from securitygroups.models import (
    ApiToken,
    Delivery,
    Host,
    Placement,
    Project,
    Review,
    Role,
    SecurityGroup,
    SignedReview,
    User,
    VirtualMachine,
)
from securitygroups.operations import By, NewToken

PASSWORD = "correct horse battery staple"
NEW_PASSWORD = "wander cobalt trumpet"
_numbers = count(1)


def make_user(name: str, *permissions: str, **fields: Any) -> User:
    """A person with the password PASSWORD; `permissions` are code names of the app's own."""
    user = User.objects.create_user(name, f"{name}@example.com", **fields)
    user.choose_password(PASSWORD)
    user.save()
    for codename in permissions:
        user.user_permissions.add(Permission.objects.get(content_type__app_label="securitygroups", codename=codename))
    return user


def sign_in_at(client: Client, user: User, *, strong: bool | None = None) -> None:
    """Sign a person in at this browser without the pages that ask; with a second factor if they are staff, unless
    `strong` says otherwise."""
    client.force_login(user)
    if user.is_staff if strong is None else strong:
        session = client.session
        session[AUTHENTICATION_METHODS_SESSION_KEY] += [{"method": "mfa", "type": "totp", "at": time.time()}]
        session.save()


def make_project(owner: User | None, name: str = "", quotas: dict[str, int | None] | None = None) -> Project:
    """A project; its slug is the name in small letters with hyphens."""
    name = name or f"Project {next(_numbers)}"
    return operations.create_project(
        name=name, slug=name.lower().replace(" ", "-"), by=By(owner), owner=owner, quotas=quotas
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
    """A VM; `fields` are its own, such as ipv4. A `tap` is its interface on a host that nobody has named."""
    tap = fields.pop("tap", "")
    machine = operations.create_machine(
        project=project,
        fields={"name": name or f"vm {next(_numbers)}", **fields},
        groups=groups,
        by=By(owner_of(project)),
    )
    if tap:
        operations.place_machine(machine=machine, place=operations.Place(tap=tap), base=0, by=By())
    return machine


def make_token(user: User, *scopes: str, of: Project | None = None, name: str = "", **fields: Any) -> ApiToken:
    """A token of the person's own, or `of` a project; without scopes it reads."""
    new = NewToken(name or f"token {next(_numbers)}", scopes or ("read",), fields.pop("expires_at", None), **fields)
    return operations.make_token(new=new, project=of, by=By(user))[0]


def owner_of(project: Project) -> User | None:
    """The project's first owner."""
    member = project.memberships.filter(role=Role.OWNER).select_related("user").first()
    return member.user if member else None


def reviewed(group: SecurityGroup, user: User, number: int = 1) -> SignedReview:
    """A review in which the group's first rule was kept and signed off, and the next one, with the same decision so far."""
    project, uid = group.project, group.rules.get(position=1).uid
    for _ in range(number):
        decide_keep(group, uid, user)
        review = Review.objects.select_related("project").get(project=project)
        seen = operations.decided_mark(review), ""
        signed = operations.sign_review(
            review=review, lists={}, seen=seen, signature=operations.Signature("Alice Smith"), by=By(user)
        )
    decide_keep(group, uid, user)
    return signed


def make_delivery(project: Project, user: User, name: str = "Tickets", url: str = "https://hooks.example/") -> Delivery:
    """A test that waits to be sent to a webhook."""
    fields = {"name": name, "url": url, "kinds": []}
    webhook, _ = operations.create_webhook(project=project, fields=fields, by=By(user))
    return operations.send_test(webhook=webhook, by=By(user))


def make_host(name: str = "", **fields: Any) -> Host:
    """A host that its agent has not been enrolled for."""
    return operations.make_host(fields={"name": name or f"kvm-{next(_numbers)}", **fields}, by=By())[0]


def place(machine: VirtualMachine, host: Host | None, tap: str = "", **fields: Any) -> Placement:
    """Put the VM there, as operators do; by default at the interface tap0 and on."""
    row = Placement.objects.filter(machine=machine).first()
    place = operations.Place(host, tap or (f"tap{host.placements.count()}" if host else ""), **fields)
    return operations.place_machine(machine=machine, place=place, base=row.number if row else 0, by=By())


def sample(machine: VirtualMachine, **other: Any) -> operations.Sample:
    """A TCP packet to port 22 that no rule accepted, just now, over the list that the VM has now."""
    groups = machine.attachments.order_by("position").values_list("group__public_id", "group__revision")
    vector = {"attached": machine.revision, "placement": 1, "groups": [list(one) for one in groups], "text": 1}
    fields: dict[str, Any] = {
        "at": timezone.now(),
        "direction": "in",
        "verdict": "drop",
        "reason": "none",
        "rule": "",
        "vector": vector,
        "version": 4,
        "protocol": 6,
        "source": "203.0.113.9",
        "destination": machine.ipv4 or "10.0.1.11",
        "source_port": 50123,
        "port": 22,
        "kind": None,
        "times": 1,
    } | other
    return operations.Sample(machine.public_id, **fields)


def told(host: Host, *samples: operations.Sample, missed: int = 0) -> None:
    """The host reports these packets."""
    report = operations.Report("0.1", "6.1", "", "", missed, samples=samples)
    operations.take_report(host=host, report=report)


def of_hosts(machine: VirtualMachine, tap: str = "tap0") -> Host:
    """A host on which the VM stands, and a row of all that hosts say."""
    host = make_host()
    place(machine, host, tap)
    operations.heard(host, "n" * 22)
    said = operations.SaidOfVm(machine.public_id, None, None, "", "", (), 0)
    hits = operations.Counted(machine.public_id, "in", "none", 1, 60)
    operations.take_report(host=host, report=operations.Report("0.1", "6.1", "", "", 0, [said], None, [hits]))
    told(host, sample(machine))
    return host


WEBHOOK_PAGES = ("deliveries", "edit", "secret", "rotate", "switch", "test", "delete", "delivery", "again")


def webhook_pages(delivery: Delivery) -> dict[str, dict[str, Any]]:
    """The parameters of the addresses of a webhook and of what was sent to it, by their names."""
    at = {"pk": delivery.webhook_id, "number": delivery.pk}
    return {f"webhook_{page}": at for page in WEBHOOK_PAGES}


def decide_keep(group: SecurityGroup, uid: str, user: User) -> None:
    wish = operations.Wish(group.pk, uid, "keep", group.revision, 0)
    assert not operations.decide(project=group.project, wishes=[wish], by=By(user))
