"""`manage.py tidy`: what it says, and that it does what it says."""

import re
from datetime import timedelta
from io import StringIO
from pathlib import Path

from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection
from django.utils import timezone


def tidy(*arguments: str) -> str:
    said = StringIO()
    call_command("tidy", *arguments, stdout=said)
    return said.getvalue()


def test_it_says_what_it_took_away(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM cache")
    for _ in range(3):
        SessionStore().save()
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    SessionStore().save()
    lines = [
        "           3  expired sessions",
        "           0  browsers without a session",
        "           0  expired confirmations of addresses",
        "           0  expired invitations",
        "           0  deliveries of long ago",
        "           0  requests of hosts of long ago",
        "           0  hits of rules of long ago",
        "           0  packets told of long ago",
        "           0  hours of packets of long ago",
        "           0  what lists of long ago were made of",
        "           0  expired counts of limits",
        "           0  kept answers of long ago",
    ]

    assert tidy("--dry-run").splitlines() == ["To be taken away:", *lines]
    assert Session.objects.count() == 4
    assert tidy().splitlines() == ["Taken away:", *lines]
    assert Session.objects.count() == 1
    assert tidy().splitlines()[1] == "           0  expired sessions"


def test_the_page_about_operations_says_of_every_table_what_bounds_it(db: None) -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")

    assert set(connection.introspection.table_names()) <= set(re.findall(r"`(\w+)`", page))
