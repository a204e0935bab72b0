"""A database of its own with one large project and one small, on the embedded server, for programs that load the panel.

Rows are written past the operations, which would take an hour for as many. `large_database` has to come before anything
is imported that reads the settings.
"""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from karenpanel import database
from karenpanel.embedded.place import PORT

GROUPS, RULES_EACH, MACHINES = 100, 1_000, 3_000
SEQUENCES = 60
"""Different lists that the VMs have, most of two groups."""
SHARED = 600
"""VMs that have the first group too."""
MOST_GROUPS = 16
"""Groups of the last VM."""
PEOPLE = 24
NAME = f"load_{GROUPS}_{MACHINES}_{SEQUENCES}"
"""Of the database, which is kept for the next time: with other sizes it is another."""


@contextmanager
def large_database() -> Iterator[None]:
    """The database with its rows, which are made if they are not there."""
    database.use_for(database.Purpose.SCHEMA)
    database.start()
    here = database.place()
    address = f"postgresql:///{NAME}?host={here.socket}&port={PORT}&user="
    os.environ |= {
        "DATABASE_URL": address + database.WEB_ROLE,
        "DATABASE_OWNER_URL": address + database.ROLE,
        "DJANGO_SETTINGS_MODULE": "karenpanel.settings",
        "SECRET_KEY": "only-for-load-" + "0123456789abcdef" * 4,
        "INSECURE_HTTP": "1",
        "ALLOWED_HOSTS": "127.0.0.1,localhost,testserver",
        "LOG_LEVEL": "ERROR",
        "STATIC_ROOT": str(database.private_folder() / "static"),
    }
    with psycopg.connect(f"{address.replace(NAME, 'postgres', 1)}{database.ROLE}", autocommit=True) as direct:
        known = bool(direct.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone())
        if not known:
            direct.execute(SQL("CREATE DATABASE {}").format(Identifier(NAME)))
        try:
            fill(fresh=not known)
            known = True
            yield
        finally:
            close()
            if not known:
                direct.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(NAME)))
            database.leave()


def close() -> None:
    from django.db import connection

    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]


def fill(*, fresh: bool) -> None:
    import django
    from django.conf import settings
    from django.core.management import call_command

    django.setup()
    settings.WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ["css", "js", "json", "md", "svg", "txt"]
    call_command("collectstatic", interactive=False, verbosity=0)
    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)
    if fresh:
        make_rows()


def make_rows() -> None:
    """“Large” with its people, and “Small” of another customer with one group of 20 rules."""
    from django.db import connection

    from securitygroups import operations
    from securitygroups.models import Role
    from securitygroups.operations import By
    from tests.factories import make_group, make_machine, make_project, make_user, ports

    owner, other = make_user("owner"), make_user("other")
    large, small = make_project(owner, "Large"), make_project(other, "Small")
    for number in range(PEOPLE):
        operations.add_member(project=large, user=make_user(f"viewer{number}"), role=Role.VIEWER, by=By(owner))
    web = make_group(small, "web", ports(*range(1, 21)))
    make_machine(small, "web-1", [web], ipv4="10.0.0.1")
    make_large(large)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def make_large(project: Any) -> None:
    from securitygroups.models import Attachment, GroupRevision, Rule, SecurityGroup, VirtualMachine

    draw = random.Random(1)
    groups = SecurityGroup.objects.bulk_create(
        SecurityGroup(project=project, name=f"group {n:04}", revision=1) for n in range(GROUPS)
    )
    GroupRevision.objects.bulk_create(GroupRevision(group=group, number=1, rules=[]) for group in groups)
    for group in groups:
        Rule.objects.bulk_create(a_rule(draw, Rule, group, place) for place in range(1, RULES_EACH + 1))
    machines = VirtualMachine.objects.bulk_create(
        VirtualMachine(project=project, name=f"vm {n:05}", ipv4=f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
        for n in range(1, MACHINES + 1)
    )
    shared, *others = groups
    pairs = [draw.sample(others, 2) for _ in range(SEQUENCES - 1)]
    lists = [pairs[at % len(pairs)] + [shared] * (at < SHARED) for at in range(MACHINES - 1)]
    lists.append(draw.sample(others, MOST_GROUPS))
    Attachment.objects.bulk_create(
        (
            Attachment(machine=vm, group=group, position=place)
            for vm, its in zip(machines, lists, strict=True)
            for place, group in enumerate(its, 1)
        ),
        batch_size=2_000,
    )


def a_rule(draw: random.Random, kind: Any, group: Any, place: int) -> Any:
    """Crowded as lists of people are: few networks that nest, few ports that repeat."""
    first = draw.choice((22, 80, 443, 8000, draw.randrange(1, 60_000)))
    size = draw.choice((8, 16, 24, 24, 32, 32))
    network = draw.randrange(2**size) << (32 - size)
    source = ".".join(str(network >> shift & 255) for shift in (24, 16, 8, 0)) + f"/{size}"
    return kind(
        group=group,
        position=place,
        action=draw.choice(("accept", "accept", "accept", "drop")),
        direction=draw.choice(("in", "in", "in", "out")),
        protocol=draw.choice(("tcp", "tcp", "udp")),
        source=None if place % 50 == 0 else source,
        port_start=first,
        port_end=first + draw.choice((0, 0, 0, 10, 1_000)),
    )
