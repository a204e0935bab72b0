"""Sixteen programs and two people at one group, all at once: nothing that anybody was told is written is lost."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from securitygroups.models import Event, GroupRevision, Project, SecurityGroup, User
from tests.api.conftest import secret_of
from tests.conftest import SignIn
from tests.factories import make_group
from tests.web.pages import form_at, say_yes

PROGRAMS, PEOPLE, RULES = 16, 2, 2


class Writer:
    """A program that adds its rules one by one: where it was overtaken, it puts its rule on top of theirs and sends it again."""

    def __init__(self, secret: str, group: SecurityGroup, number: int) -> None:
        self.client, self.number = Client(headers={"Authorization": f"Bearer {secret}"}), number
        self.address = f"/api/v1/projects/{group.project.slug}/groups/{group.public_id}"
        self.overtaken = 0

    def __call__(self) -> None:
        read = self.client.get(self.address).json()
        revision, rules = read["revision"], read["rules"]
        for port in range(RULES):
            mine = {"action": "accept", "direction": "in", "protocol": "tcp", "source": "203.0.113.0/24",
                    "port_start": 1000 * self.number + port, "description": f"writer {self.number}"}  # fmt: skip
            while True:
                sent = [{key: rule[key] for key in rule if key != "id"} for rule in rules] + [mine]
                answer = self.client.put(
                    f"{self.address}/rules",
                    {"rules": sent},
                    content_type="application/json",
                    headers={"If-Match": f'"{revision}"'},
                )
                said = answer.json()
                if answer.status_code == 200:
                    revision, rules = said["revision"], sent
                    break
                if answer.status_code == 412:
                    self.overtaken += 1
                    revision, rules = said["theirs"]["number"], said["theirs"]["rules"]
                    assert said["mine"]["rules"][-1]["port_start"] == mine["port_start"]
                else:
                    # Dear work of one person goes one after the other, and everybody is told to come again.
                    assert answer.status_code in (429, 503), said
                    assert int(answer["Retry-After"]) > 0
                    time.sleep(0.1)


def person(client: Client, group: SecurityGroup, number: int) -> Callable[[], None]:
    """Adds rules in the panel, by its form."""

    def write() -> None:
        for port in range(RULES):
            while True:
                form = form_at(client, f"{group.get_absolute_url()}rules/new/")
                answer = form.send(
                    client,
                    protocol="tcp",
                    port_start=str(1000 * number + port),
                    source="203.0.113.0/24",
                    description=f"writer {number}",
                )
                # What was looked at is another list by now: then it is asked once more.
                while answer.status_code == 200:
                    answer = say_yes(client, answer)
                if answer.status_code == 302:
                    break
                assert answer.status_code in (409, 422, 429, 503)

    return write


@pytest.mark.django_db(transaction=True)
def test_nothing_is_lost(project: Project, alice: User, erin: User, sign_in: SignIn, settings: Any) -> None:
    settings.API_BURST = settings.API_PER_MINUTE = 10**6
    group = make_group(project)
    writers = [
        Writer(secret_of((alice, erin)[number % 2], project=project if number % 4 == 0 else None), group, number + 1)
        for number in range(PROGRAMS)
    ]
    people = [person(sign_in(who), group, PROGRAMS + 1 + number) for number, who in enumerate((alice, erin))]
    failed = list[BaseException]()

    def run(write: Callable[[], None]) -> None:
        try:
            write()
        except BaseException as error:
            failed.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[write]) for write in (*writers, *people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    ports = sorted(rule.port_start or 0 for rule in group.rules.all())
    assert ports == [1000 * who + port for who in range(1, PROGRAMS + PEOPLE + 1) for port in range(RULES)]
    group.refresh_from_db()
    assert group.revision == 1 + (PROGRAMS + PEOPLE) * RULES
    assert sum(writer.overtaken for writer in writers) > 0, "nobody met anybody: this tested nothing"
    # Who, and by which token, stands at every one of them.
    records = Event.objects.filter(group=group, verb="rules.changed")
    assert records.count() == group.revision - 1
    assert records.filter(token=None).count() == PEOPLE * RULES
    assert not records.filter(actor=None).exists()
    assert GroupRevision.objects.filter(group=group, number__gt=1, token=None).count() == PEOPLE * RULES
