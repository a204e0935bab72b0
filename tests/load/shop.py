"""The demo's data, a group of 20 rules and a person who is signed in: what the programs of load ask for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

LARGE = "/static/large-for-load.bin"


@contextmanager
def opened() -> Iterator[tuple[str, str]]:
    """The address of the group's page and the cookie of its owner. The embedded database runs as long."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "karenpanel.settings")
    import django

    from karenpanel import database, local

    database.use_for(database.Purpose.SCHEMA)
    local.prepare()
    database.start()
    django.setup()
    try:
        yield prepared()
    finally:
        from django.db import connection, connections

        connections.close_all()
        connection.close_pool()  # type: ignore[attr-defined]
        database.leave()


def prepared() -> tuple[str, str]:
    from django.conf import settings
    from django.core.management import call_command
    from django.test import Client

    from karenpanel import local
    from securitygroups import demo, operations
    from securitygroups.firewall.notation import rule
    from securitygroups.models import Project, User
    from securitygroups.operations import By

    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)
    demo.create(local.password())
    call_command("collectstatic", interactive=False, verbosity=0)
    # Larger than what the system itself keeps for a client that takes nothing.
    (settings.STATIC_ROOT / LARGE.rpartition("/")[2]).write_bytes(os.urandom(5 * 2**20))
    owner, project = User.objects.get(username="owner"), Project.objects.order_by("pk").first()
    assert project is not None
    group = project.groups.filter(name="load").first()
    if group is None:
        rules = [rule(f"accept in tcp {1000 + number} from 198.51.100.{number}/32") for number in range(20)]
        group = operations.create_group(project=project, name="load", rules=rules, by=By(owner))
    browser = Client(HTTP_HOST="localhost")
    browser.post("/sign-in/", {"login": "owner", "password": local.password()})
    return (
        group.get_absolute_url(),
        f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}",
    )
