"""Data for looking around: two projects with groups, rules and VMs that show what the panel is for."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import Permission
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from securitygroups import operations
from securitygroups.firewall.notation import rule
from securitygroups.models import (
    AccountEvent,
    Event,
    Host,
    Placement,
    Project,
    Role,
    SecurityGroup,
    User,
    VirtualMachine,
)
from securitygroups.operations import By

PEOPLE = (
    ("owner", "an owner of both projects"),
    ("viewer", "a viewer of both projects: may look and test packets"),
    ("support", "support staff of the platform: no project of their own"),
    ("admin", "an administrator: the Django admin at /admin/"),
)


_SSH = (
    "ssh-office",
    "SSH from the office network and from nowhere else",
    (
        rule("accept in tcp 22 from 203.0.113.0/24", "Office SSH"),
        rule("accept in tcp 22 from 2001:db8:113::/48", "Office SSH over IPv6"),
        rule("drop in tcp 22", "SSH from everywhere else"),
    ),
)
_OUTBOUND = (
    "outbound",
    "HTTPS out and names from our resolver; no other UDP",
    (
        rule("accept out tcp 443", "HTTPS out"),
        rule("accept out tcp 80", "Package mirrors"),
        rule("accept out ip to 10.0.0.2/32", "Our DNS resolver"),
        rule("drop out udp", "No UDP out"),
    ),
)
_PING = (
    "ping",
    "Ping from anywhere, over IPv4 and IPv6",
    (rule("accept in icmp", "Ping"),),
)
_DENY = (
    "deny-all",
    "The last group of every VM: what nothing above accepted is dropped",
    (rule("drop in all", "Everything else in"), rule("drop out all", "Everything else out")),
)

# When, in minutes before now; what became of it and why; from where, to which port of the VM, how often.
PACKETS = (
    (3, "drop", "rule", "198.51.100.23", 3389, 214),
    (9, "drop", "rule", "198.51.100.7", 5432, 12),
    (21, "drop", "invalid", "192.0.2.44", 443, 3),
    (47, "accept", "accept", "203.0.113.5", 443, 90),
)
PROJECTS = (
    (
        "Shop production",
        "shop-production",
        (
            (
                "web",
                "Public web servers",
                (
                    rule("drop in ip from 192.0.2.66/32", "Abuse"),
                    rule("accept in tcp 443", "Public HTTPS"),
                    rule("accept in udp 443", "HTTP/3"),
                    rule("accept in tcp 80", "Redirects to HTTPS"),
                ),
            ),
            (
                "app",
                "Application servers behind the web tier",
                (
                    rule("accept in tcp 8000-8010 from 10.0.1.0/24", "From the web tier"),
                    rule("accept in tcp 8000-8010 from 2001:db8:10:1::/64", "From the web tier over IPv6"),
                    rule("accept out ip to 10.0.3.0/24", "To the databases"),
                ),
            ),
            (
                "database",
                "PostgreSQL for the application servers",
                (
                    rule("accept in tcp 5432 from 10.0.2.0/24", "From the application servers"),
                    rule("accept in tcp 5432 from 10.0.3.0/24", "Replication"),
                    rule("accept out ip to 10.0.3.0/24", "Replication"),
                ),
            ),
            (
                "bastion",
                "The only way in for administrators",
                (
                    rule("accept in tcp 22 from 203.0.113.0/24", "Office"),
                    rule("accept in udp 51820", "WireGuard"),
                    rule("accept out ip to 10.0.0.0/16", "To every VM of the shop"),
                ),
            ),
            (
                "ssh-bastion",
                "SSH through the bastion",
                (rule("accept in tcp 22 from 10.0.0.10/32", "Bastion"), rule("drop in tcp 22", "SSH from elsewhere")),
            ),
            _OUTBOUND,
            _PING,
            _DENY,
        ),
        (
            ("web-1", "10.0.1.11", "2001:db8:10:1::11", ("web", "ssh-bastion", "outbound", "ping", "deny-all")),
            ("web-2", "10.0.1.12", "2001:db8:10:1::12", ("web", "ssh-bastion", "outbound", "ping", "deny-all")),
            ("web-3", "10.0.1.13", "2001:db8:10:1::13", ("web", "ssh-bastion", "outbound", "ping", "deny-all")),
            ("app-1", "10.0.2.21", "2001:db8:10:2::21", ("app", "ssh-bastion", "outbound", "deny-all")),
            ("app-2", "10.0.2.22", "2001:db8:10:2::22", ("app", "ssh-bastion", "outbound", "deny-all")),
            ("db-1", "10.0.3.31", None, ("database", "ssh-bastion", "deny-all")),
            ("db-2", "10.0.3.32", None, ("database", "ssh-bastion", "deny-all")),
            ("bastion-1", "10.0.0.10", "2001:db8:10::10", ("bastion", "outbound", "ping", "deny-all")),
        ),
    ),
    (
        "Mail platform",
        "mail-platform",
        (
            (
                "mail",
                "Mail exchangers",
                (
                    rule("accept in tcp 25", "SMTP from other servers"),
                    rule("accept in tcp 465", "Submission from customers"),
                    rule("accept in tcp 587", "Submission from customers"),
                    rule("accept out tcp 25", "SMTP to other servers"),
                ),
            ),
            ("imap", "Mailboxes", (rule("accept in tcp 993", "IMAP over TLS"),)),
            ("webmail", "Webmail", (rule("accept in tcp 443", "Public HTTPS"),)),
            _SSH,
            _OUTBOUND,
            _PING,
            _DENY,
        ),
        (
            ("mx-1", "198.51.100.25", "2001:db8:25::25", ("mail", "ssh-office", "outbound", "ping", "deny-all")),
            ("mx-2", "198.51.100.26", "2001:db8:25::26", ("mail", "ssh-office", "outbound", "ping", "deny-all")),
            ("imap-1", "198.51.100.93", "2001:db8:25::93", ("imap", "ssh-office", "outbound", "deny-all")),
            ("webmail-1", "198.51.100.43", None, ("webmail", "ssh-office", "outbound", "deny-all")),
        ),
    ),
)


class NameTaken(Exception):
    """Somebody else has the user name of one of the demo's people."""


def _marks() -> QuerySet[Event]:
    """What says that a project is the demo's, and who its people were. The record cannot be changed afterwards."""
    return Event.objects.filter(verb=Event.Verb.PROJECT_CREATED, detail__demo=True)


def _own_people() -> dict[str, User]:
    """The people that the demo made, by the name they were given then; nobody where it never was."""
    recorded = {name: key for mark in _marks() for name, key in mark.detail.get("people", {}).items()}
    found = {name: user for name, key in recorded.items() if (user := User.objects.filter(pk=key).first())}
    if not _marks().exists():
        return {}
    for name, _ in PEOPLE:
        # Databases of earlier versions did not write down who the people are. Nobody's mail goes to .example.
        user = None if name in found else User.objects.filter(username=name, email=_email(name)).first()
        found |= {name: user} if user else {}
    return found


def _email(name: str) -> str:
    return f"{name}@demo.example"


def _made_here(people: set[int]) -> set[int]:
    """These people, whom they made in the administration or invited to a project of theirs, whom those did, and so on."""
    added = LogEntry.objects.filter(action_flag=ADDITION, content_type__app_label="securitygroups")
    added = added.filter(content_type__model="user")
    while True:
        keys = added.filter(user__in=people).values_list("object_id", flat=True)
        more = ({int(key) for key in keys if key} | _signed_up(people)) - people
        if not more:
            return people
        people |= more


def _projects_of(people: set[int]) -> QuerySet[Event]:
    """What says that a project is the demo's, or was made by one of these people."""
    return Event.objects.filter(verb=Event.Verb.PROJECT_CREATED).filter(Q(detail__demo=True) | Q(actor__in=people))


def _signed_up(people: set[int]) -> set[int]:
    """Who made an account of their own by an invitation into one of these people's projects: that was the first they did."""
    alone = AccountEvent.objects.filter(verb=AccountEvent.Verb.ACCOUNT_MADE, actor=None).values("user")
    joined = Event.objects.filter(verb=Event.Verb.MEMBER_ADDED, actor__in=alone)
    first = joined.order_by("actor", "pk").distinct("actor").values_list("actor", "project")
    theirs = set(_projects_of(people).values_list("project", flat=True))
    return {user for user, project in first if project in theirs}


def foreign_data() -> str | None:
    """What stands in the database that neither the demo brought nor its people made, in words; None where it may go
    ahead."""
    ours = _made_here({user.pk for user in _own_people().values()})
    made = _projects_of(ours)
    users = User.objects.exclude(pk__in=ours).order_by("pk")
    projects = Project.objects.exclude(pk__in=made.values("project")).order_by("pk")
    found = [_counted("user", users, "username"), _counted("project", projects, "name")]
    return " and ".join(words for words in found if words) or None


def _counted(noun: str, rows: QuerySet[Any], name: str) -> str:
    """ "3 users (ann, bob, …)"; empty for none."""
    number = rows.count()
    names = [str(getattr(row, name)) for row in rows[:2]] + (["…"] if number > 2 else [])
    return f"{number} {noun}{'' if number == 1 else 's'} ({', '.join(names)})" if number else ""


def _hashed(password: str, people: dict[str, User], ready: str) -> str:
    """Once for all of them, for it takes long and all have the same; the one they have, where it is this password's, so that
    nobody is signed out."""
    owner = people.get("owner")
    return owner.password if owner and check_password(password, owner.password) else ready or make_password(password)


@transaction.atomic
def create(password: str, ready: str = "") -> list[tuple[str, str]]:
    """Bring the people and projects, where they are not there yet, and set the people's password,
    of which `ready` is the hash where it was made already.

    Returns (user name, what they are) of each person. Raises NameTaken rather than give anybody else that password.
    """
    people = _own_people()
    hashed = _hashed(password, people, ready)
    for name, _ in PEOPLE:
        if name not in people and User.objects.filter(username=name).exists():
            raise NameTaken(f"There is a user {name} whom the demo did not make.")
        user = people.get(name) or User(username=name, email=_email(name))
        user.is_staff = name in ("support", "admin")
        user.is_superuser = name == "admin"
        user.password, user.must_change_password = hashed, False
        user.save()
        people[name] = user
    people["support"].user_permissions.add(
        Permission.objects.get(content_type__app_label="securitygroups", codename="support")
    )
    if not _marks().exists():
        for project in PROJECTS:
            _create_project(people, *project)
        _tell_packets()
    return [(people[name].get_username(), words) for name, words in PEOPLE]


def _tell_packets() -> None:
    """What a host dropped and accepted of some VMs. It is gone again, and on record nowhere: nobody runs it, and a host that says
    nothing is a fault."""
    shop = VirtualMachine.objects.filter(project__slug="shop-production", ipv4__isnull=False)
    machines = list(shop.order_by("pk")[:3])
    host = Host.objects.create(name="kvm-demo")
    Placement.objects.bulk_create(
        Placement(machine=machine, host=host, tap=f"tap{number}") for number, machine in enumerate(machines)
    )
    told = [sample for machine in machines for sample in _samples(machine)]
    operations.take_report(host=host, report=operations.Report("demo", "", "", "", 0, samples=told))
    Placement.objects.filter(host=host).delete()
    host.delete()


def _samples(machine: VirtualMachine) -> Iterator[operations.Sample]:
    now = timezone.now()
    groups = machine.attachments.order_by("position").values_list("group__public_id", "group__revision")
    vector = {"attached": machine.revision, "groups": list(map(list, groups))}
    # The last group of each of them denies what nothing above it accepts.
    denies = machine.attachments.latest("position").group.rules.get(position=1).uid
    for minutes, verdict, reason, source, port, times in PACKETS:
        over = (denies if reason == "rule" else "", vector)
        packet: tuple[Any, ...] = ("in", verdict, reason, *over, 4, 6, source, machine.ipv4, 51515, port, None, times)
        yield operations.Sample(machine.public_id, now - timedelta(minutes=minutes), *packet)


def _create_project(people: dict[str, User], name: str, slug: str, groups: tuple, machines: tuple) -> None:  # type: ignore[type-arg]
    owner = people["owner"]
    mark = {"demo": True, "people": {name: user.pk for name, user in people.items()}}
    project = operations.create_project(name=name, slug=slug, by=By(owner), owner=owner, detail=mark)
    operations.add_member(project=project, user=people["viewer"], role=Role.VIEWER, by=By(owner))
    made: dict[str, SecurityGroup] = {}
    for group_name, description, rules in groups:
        made[group_name] = operations.create_group(
            project=project, name=group_name, description=description, rules=rules, by=By(owner)
        )
    for machine_name, ipv4, ipv6, names in machines:
        operations.create_machine(
            project=project,
            fields={
                "name": machine_name,
                "ipv4": ipv4,
                "ipv6": ipv6,
                "tags": ["role=" + machine_name.rpartition("-")[0]],
            },
            groups=[made[group_name] for group_name in names],
            by=By(owner),
        )
