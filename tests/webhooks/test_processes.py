"""`manage.py deliver` in processes of its own: several at once, one that is stopped, one that is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.db import connection
from django.utils import timezone

from securitygroups import operations
from securitygroups.models import Delivery, Project, User
from securitygroups.operations import By
from tests.factories import make_group
from tests.webhooks.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).parents[2]
PATIENCE = 60


def environment(settings: Any) -> dict[str, str]:
    """The test's own database and receiver, for another process."""
    here = connection.settings_dict
    server = {"host": here["HOST"], "port": here["PORT"]}
    where = urlencode({name: value for name, value in server.items() if value})
    who = quote(here["USER"]) + (f":{quote(here['PASSWORD'])}" if here["PASSWORD"] else "")
    return os.environ | {
        "DATABASE_URL": f"postgresql://{who}@/{quote(here['NAME'])}?{where}",
        "DATABASE_OWNER_URL": "",
        "SECRET_KEY": settings.SECRET_KEY,
        "INSECURE_HTTP": "1",
        "ALLOWED_HOSTS": "localhost",
        "WEBHOOK_CA_FILE": settings.WEBHOOK_CA_FILE,
        "WEBHOOK_NETWORKS_ALLOWED": "127.0.0.0/8",
        "WEBHOOK_PORTS": ",".join(map(str, settings.WEBHOOK_PORTS)),
    }


@contextmanager
def delivering(settings: Any, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "manage.py", "deliver", *arguments]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(settings), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)


def events(project: Project, by: User, url: str, number: int) -> set[int]:
    """That many events for two webhooks."""
    for name in ("one", "two"):
        fields = {"name": name, "url": url, "kinds": ["group.created"]}
        operations.create_webhook(project=project, fields=fields, by=By(by))
    for n in range(number):
        make_group(project, f"group {n}")
    return set(project.events.filter(verb="group.created").values_list("pk", flat=True))


def ids(receiver: Receiver) -> list[str]:
    return [got.headers["webhook-id"] for got in receiver.got]


def test_two_at_once_send_each_event_once_to_each_webhook(
    project: Project, alice: User, receiver: Receiver, settings: Any
) -> None:
    made = events(project, alice, receiver.url("127.0.0.1"), 25)
    with delivering(settings) as one, delivering(settings) as two:
        until(lambda: Delivery.objects.filter(state="done").count() == 2 * len(made))
        # What happens meanwhile is seen by whoever looks first.
        make_group(project, "late")
        until(lambda: Delivery.objects.filter(state="done").count() == 2 * len(made) + 2)
        for process in (one, two):
            process.send_signal(signal.SIGTERM)
        assert [process.wait(PATIENCE) for process in (one, two)] == [0, 0]

    assert len(ids(receiver)) == len(set(ids(receiver))) == 2 * (len(made) + 1)
    assert made <= {json.loads(got.body)["data"]["id"] for got in receiver.got}
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}


def test_one_that_is_killed_in_the_middle_loses_nothing(
    project: Project, alice: User, receiver: Receiver, settings: Any
) -> None:
    made = events(project, alice, receiver.url("127.0.0.1"), 6)
    go_on = threading.Event()
    receiver.answers = lambda _: go_on.wait(PATIENCE)
    with delivering(settings) as process:
        until(lambda: len(receiver.got) >= 3)
        process.kill()
        assert process.wait(PATIENCE) == -signal.SIGKILL
    go_on.set()
    receiver.answers = None
    assert not Delivery.objects.filter(state="done").exists()

    # The time of its leases passes.
    Delivery.objects.filter(leased_until__isnull=False).update(leased_until=timezone.now() - timedelta(seconds=1))
    with delivering(settings, "--once") as process:
        said, _ = process.communicate(timeout=PATIENCE)

    assert f"Sent: {2 * len(made)}." in said
    assert not Delivery.objects.exclude(state="done").exists()
    assert {json.loads(got.body)["data"]["id"] for got in receiver.got} == made
    assert len(set(ids(receiver))) == 2 * len(made)


def test_one_that_is_stopped_writes_down_what_is_under_way(
    project: Project, alice: User, receiver: Receiver, settings: Any
) -> None:
    events(project, alice, receiver.url("127.0.0.1"), 1)
    go_on = threading.Event()

    def answers(handler: Any) -> None:
        go_on.wait(PATIENCE)
        handler.wfile.write(b"HTTP/1.1 204 Good\r\n\r\n")

    receiver.answers = answers
    with delivering(settings) as process:
        until(lambda: len(receiver.got) == 2)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        go_on.set()
        assert process.wait(PATIENCE) == 0

    assert list(Delivery.objects.values_list("state", "attempts", "leased_until")) == [("done", 1, None)] * 2
