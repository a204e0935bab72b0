"""A machine's clock that jumps: whoever is signed in works on, or signs in again, and nothing breaks."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client

from securitygroups.models import Project, User
from tests.factories import PASSWORD


@pytest.mark.parametrize(
    "jump",
    [timedelta(seconds=-1), timedelta(hours=-1), timedelta(days=-400), timedelta(hours=2), timedelta(days=400)],
    ids=str,
)
def test_pages_and_changes_survive_a_jump_and_the_way_back(
    jump: timedelta, as_alice: Client, client: Client, project: Project, alice: User
) -> None:
    for number, moment in enumerate((datetime.now(UTC) + jump, datetime.now(UTC))):
        with time_machine.travel(moment):
            page = as_alice.get("/p/shop/groups/")
            assert page.status_code in (200, 302)
            made = as_alice.post("/p/shop/groups/new/", {"name": f"group {number}"})
            assert made.status_code == 302
            assert project.groups.filter(name=f"group {number}").exists() == (page.status_code == 200)
            # Counted attempts of a moment that has not come yet let people in all the same.
            signed_in = client.post("/sign-in/", {"login": "alice", "password": PASSWORD})
            assert signed_in.status_code == 302
            client.post("/sign-out/")
