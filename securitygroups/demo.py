"""Data for looking around: two projects with groups, rules and VMs that show what the panel is for.

Imports models, operations and starters; called by the demo command.
"""

from django.contrib.auth.models import Permission
from django.db import transaction

from securitygroups import operations
from securitygroups.models import Event, Project, Role, SecurityGroup, User
from securitygroups.starters import rule

PEOPLE = (
    ("owner", "an owner of both projects"),
    ("viewer", "a viewer of both projects: may look and test packets"),
    ("support", "support staff of the platform: no project of their own"),
    ("admin", "an administrator: the Django admin at /admin/"),
)
_MARK = {"demo": True}


_SSH = (
    "ssh-office",
    "SSH from the office network and from nowhere else",
    (
        rule("accept in tcp 22 203.0.113.0/24", "Office SSH"),
        rule("accept in tcp 22 2001:db8:113::/48", "Office SSH over IPv6"),
        rule("drop in tcp 22", "SSH from everywhere else"),
    ),
)
_OUTBOUND = (
    "outbound",
    "HTTPS out and names from our resolver; no other UDP",
    (
        rule("accept out tcp 443", "HTTPS out"),
        rule("accept out tcp 80", "Package mirrors"),
        rule("accept out ip - - 10.0.0.2/32", "Our DNS resolver"),
        rule("drop out udp", "No UDP out"),
    ),
)
_PING = (
    "ping",
    "Ping from anywhere: an IP rule takes what is left when TCP, UDP and SCTP are gone",
    (
        rule("drop in tcp"),
        rule("drop in udp"),
        rule("drop in sctp"),
        rule("accept in ip", "Ping, and every other IP protocol"),
    ),
)
_DENY = (
    "deny-all",
    "The last group of every VM: what nothing above accepted is dropped",
    (rule("drop in all", "Everything else in"), rule("drop out all", "Everything else out")),
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
                    rule("drop in ip - 192.0.2.66/32 -", "Abuse"),
                    rule("accept in tcp 443", "Public HTTPS"),
                    rule("accept in udp 443", "HTTP/3"),
                    rule("accept in tcp 80", "Redirects to HTTPS"),
                ),
            ),
            (
                "app",
                "Application servers behind the web tier",
                (
                    rule("accept in tcp 8000-8010 10.0.1.0/24", "From the web tier"),
                    rule("accept in tcp 8000-8010 2001:db8:10:1::/64", "From the web tier over IPv6"),
                    rule("accept out ip - - 10.0.3.0/24", "To the databases"),
                ),
            ),
            (
                "database",
                "PostgreSQL for the application servers",
                (
                    rule("accept in tcp 5432 10.0.2.0/24", "From the application servers"),
                    rule("accept in tcp 5432 10.0.3.0/24", "Replication"),
                    rule("accept out ip - - 10.0.3.0/24", "Replication"),
                ),
            ),
            (
                "bastion",
                "The only way in for administrators",
                (
                    rule("accept in tcp 22 203.0.113.0/24", "Office"),
                    rule("accept in udp 51820", "WireGuard"),
                    rule("accept out ip - - 10.0.0.0/16", "To every VM of the shop"),
                ),
            ),
            (
                "ssh-bastion",
                "SSH through the bastion",
                (rule("accept in tcp 22 10.0.0.10/32", "Bastion"), rule("drop in tcp 22", "SSH from elsewhere")),
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


def _is_ours() -> bool:
    return Event.objects.filter(verb=Event.Verb.PROJECT_CREATED, detail=_MARK).exists()


def foreign_data() -> str | None:
    """What stands in the database that the demo did not bring, in words; None where it may go ahead."""
    if _is_ours():
        return None
    users, projects = User.objects.count(), Project.objects.count()
    if users or projects:
        return f"{users} user{'' if users == 1 else 's'} and {projects} project{'' if projects == 1 else 's'}"
    return None


@transaction.atomic
def create(password: str) -> list[tuple[str, str]]:
    """Bring the people and projects, where they are not there yet, and set the people's password.

    Returns (user name, what they are) of each person.
    """
    people = {}
    for name, _ in PEOPLE:
        user = User.objects.filter(username=name).first() or User(username=name, email=f"{name}@demo.example")
        user.is_staff = name in ("support", "admin")
        user.is_superuser = name == "admin"
        user.set_password(password)
        user.save()
        people[name] = user
    people["support"].user_permissions.add(
        Permission.objects.get(content_type__app_label="securitygroups", codename="support")
    )
    if not _is_ours():
        for project in PROJECTS:
            _create_project(people, *project)
    return list(PEOPLE)


def _create_project(people: dict[str, User], name: str, slug: str, groups: tuple, machines: tuple) -> None:  # type: ignore[type-arg]
    owner = people["owner"]
    project = operations.create_project(name=name, slug=slug, actor=owner, owner=owner, detail=_MARK)
    operations.add_member(project=project, user=people["viewer"], role=Role.VIEWER, actor=owner)
    made: dict[str, SecurityGroup] = {}
    for group_name, description, rules in groups:
        made[group_name] = operations.create_group(
            project=project, name=group_name, description=description, rules=rules, actor=owner
        )
    for machine_name, ipv4, ipv6, names in machines:
        operations.create_machine(
            project=project,
            fields={"name": machine_name, "ipv4": ipv4, "ipv6": ipv6},
            groups=[made[group_name] for group_name in names],
            actor=owner,
        )
