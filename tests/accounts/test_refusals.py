"""Who asks for what is another customer's is on record, and cannot tell from the answer whether it exists."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from securitygroups import operations
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet
from securitygroups.models import AccountEvent, GroupTemplate, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.conftest import SignIn
from tests.factories import make_group, make_machine, make_user, ports


def refusals(user: User) -> list[AccountEvent]:
    return list(AccountEvent.objects.filter(user=user, verb="access.refused").order_by("pk"))


def only(user: User) -> AccountEvent:
    (one,) = refusals(user)
    return one


# ── Projects ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_strangers_try_at_a_project_is_on_the_strangers_record(
    method: str, as_charlie: Client, charlie: User, project: Project
) -> None:
    path = "/p/shop/groups/?q=web&page=2"

    assert as_charlie.generic(method, path, HTTP_USER_AGENT="Curious/1").status_code == 404

    found = only(charlie)
    assert (found.project, found.user_name, found.actor) == (project, "charlie", None)
    assert (found.address, found.agent) == ("127.0.0.1", "Curious/1")
    assert found.detail == {"status": 404, "method": method, "path": path}


def test_the_customer_does_not_learn_who_tried(as_charlie: Client, as_alice: Client, project: Project) -> None:
    before = project.events.count()

    as_charlie.get("/p/shop/")

    assert project.events.count() == before
    assert "charlie" not in as_alice.get("/p/shop/activity/").content.decode()


def test_what_does_not_exist_is_nobodys(as_charlie: Client, charlie: User, project: Project) -> None:
    for path in ("/p/no-such-project/", "/p/shop/nothing/at/all/", "/nothing/", "/support/no-such-project/"):
        assert as_charlie.get(path).status_code == 404

    assert refusals(charlie) == []


def test_the_support_desk_at_a_project_is_a_try_too(as_charlie: Client, charlie: User, project: Project) -> None:
    assert as_charlie.get("/support/shop/").status_code == 404

    assert only(charlie).project == project


def test_who_tries_again_and_again_fills_one_line_a_minute(
    as_charlie: Client, charlie: User, project: Project, sign_in: SignIn
) -> None:
    eve = make_user("eve")
    for _ in range(5):
        as_charlie.get("/p/shop/")
        as_charlie.get("/p/shop/groups/")
    sign_in(eve).get("/p/shop/")

    assert len(refusals(charlie)) == len(refusals(eve)) == 1
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        as_charlie.get("/p/shop/machines/")
    assert [found.detail["path"] for found in refusals(charlie)] == ["/p/shop/", "/p/shop/machines/"]


def test_nobody_who_is_not_signed_in_fills_it(client: Client, project: Project) -> None:
    assert client.get("/p/shop/").status_code == 302

    assert not AccountEvent.objects.exists()


# ── Things ────────────────────────────────────────────────────────────────────


def address(page: str, bakery: Project, charlie: User, staff: User) -> str:
    """An address in alice's project that names a thing of charlie's."""
    oven = make_group(bakery, "oven", ports(99))
    if page == "group":
        return f"/p/shop/groups/{oven.public_id}/"
    if page == "rule":
        return f"/p/shop/groups/{oven.public_id}/rules/{oven.rules.get().uid}/"
    if page == "machine":
        return f"/p/shop/machines/{make_machine(bakery, 'till').public_id}/history/1/"
    if page == "case":
        case = operations.open_case(about=oven, packet=Packet(Direction.IN), staff=staff)
        return f"/p/shop/cases/{case.public_id}/"
    if page == "template":
        template = operations.save_template(group=oven, name="Oven", description="", by=By(charlie))
        return f"/p/shop/templates/{template.pk}/delete/"
    return f"/p/shop/members/{bakery.memberships.get().pk}/remove/"


@pytest.mark.parametrize("page", ["group", "rule", "machine", "case", "template", "member"])
def test_a_thing_of_another_project_in_an_address_of_ones_own_is_on_record_with_whose_it_is(
    page: str, as_alice: Client, alice: User, project: Project, bakery: Project, charlie: User, staff: User
) -> None:
    path = address(page, bakery, charlie, staff)
    before = (project.events.count(), bakery.events.count())

    assert as_alice.get(path).status_code == 404

    assert only(alice).project == bakery
    assert only(alice).detail == {"status": 404, "method": "GET", "path": path, "within": "shop"}
    assert (project.events.count(), bakery.events.count()) == before


def test_what_is_gone_or_never_was_in_ones_own_project_is_no_try(
    as_alice: Client, alice: User, group: SecurityGroup, machine: VirtualMachine, staff: User
) -> None:
    operations.delete_machine(machine=machine, by=By(alice))
    operations.delete_group(group=group, base=1, by=By(alice))
    rules = make_group(group.project, rules=ports(1))
    template = operations.save_template(group=rules, name="Ours", description="", by=By(staff, staff=True))
    GroupTemplate.objects.filter(pk=template.pk).update(project=None)
    for path in (
        group.get_absolute_url(),
        machine.get_absolute_url(),
        "/p/shop/groups/sg-0000000000/",
        "/p/shop/machines/vm-0000000000/",
        "/p/shop/cases/case-0/",
        f"/p/shop/templates/{template.pk}/delete/",
        f"/p/shop/members/{2**70}/remove/",
    ):
        assert as_alice.get(path).status_code == 404, path

    assert refusals(alice) == []


def test_staff_who_look_for_one_customers_thing_at_another_are_on_record(
    as_staff: Client, staff: User, project: Project, bakery: Project
) -> None:
    operations.open_visit(project=project, staff=staff, reason="Asked", ticket="T-1")
    oven = make_group(bakery, "oven")

    assert as_staff.get(f"/p/shop/groups/{oven.public_id}/").status_code == 404

    assert only(staff).project == bakery


# ── Rights ────────────────────────────────────────────────────────────────────


def test_a_member_who_lacks_the_right_is_on_record(as_bob: Client, bob: User, group: SecurityGroup) -> None:
    path = f"{group.get_absolute_url()}rules/new/"

    assert as_bob.post(path, {"base": 1}).status_code == 403

    assert only(bob).project == group.project
    assert only(bob).detail == {"status": 403, "method": "POST", "path": path}


def test_staff_who_would_write_are_on_record(as_staff: Client, staff: User, group: SecurityGroup) -> None:
    operations.open_visit(project=group.project, staff=staff, reason="Asked", ticket="T-1")

    assert as_staff.post(f"{group.get_absolute_url()}delete/").status_code == 403

    assert only(staff).detail["status"] == 403


def test_a_form_that_another_site_made_somebody_send_is_not_on_their_record(alice: User, project: Project) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)

    assert browser.post("/p/shop/groups/new/", {"name": "x"}).status_code == 403

    assert refusals(alice) == []


# ── Nothing tells ─────────────────────────────────────────────────────────────


def asked(client: Client, path: str) -> tuple[Any, list[str]]:
    """The answer, and what was done to which table on the way to it. How the transaction ends is left out: it is kept or
    taken back by one statement, which are more in a test that is a transaction itself."""
    with CaptureQueriesContext(connection) as queries:
        response = client.get(path)
    words = re.compile(r'^\w+|(?<=FROM ")\w+|(?<=INTO ")\w+|FOR NO KEY UPDATE')
    done = [" ".join(words.findall(query["sql"])) for query in queries]
    return response, [each for each in done if not each.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK"))]


@pytest.mark.parametrize("times", [1, 2])
def test_a_project_that_exists_costs_the_same_statements_as_one_that_does_not(
    times: int, as_charlie: Client, project: Project
) -> None:
    """The second time within a minute too, when the line is on record already."""
    for _ in range(times):
        real, at_real = asked(as_charlie, "/p/shop/groups/")
        made_up, at_made_up = asked(as_charlie, "/p/none/groups/")

    assert at_real == at_made_up
    assert "INSERT securitygroups_accountevent" in at_real
    assert set(real.headers) == set(made_up.headers)


def test_a_thing_that_is_anothers_costs_the_same_statements_as_one_that_is_nobodys(
    as_alice: Client, project: Project, bakery: Project
) -> None:
    oven = make_group(bakery, "oven")

    real, at_real = asked(as_alice, f"/p/shop/groups/{oven.public_id}/")
    made_up, at_made_up = asked(as_alice, "/p/shop/groups/sg-0000000000/")

    assert at_real == at_made_up
    assert "INSERT securitygroups_accountevent" in at_real
    assert set(real.headers) == set(made_up.headers)


def test_answers_that_refuse_nothing_cost_nothing_more(as_alice: Client, group: SecurityGroup) -> None:
    for path, status in ((group.get_absolute_url(), 200), ("/p/shop/groups/?q=nothing", 200)):
        response, statements = asked(as_alice, path)

        assert response.status_code == status
        assert not [sql for sql in statements if "accountevent" in sql]


def test_where_the_record_cannot_be_written_the_answer_stays_the_same(
    as_charlie: Client, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION out_of_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'out of order'; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER out_of_order BEFORE INSERT ON securitygroups_accountevent"
            " FOR EACH ROW EXECUTE FUNCTION out_of_order()"
        )

    assert as_charlie.get("/p/shop/").status_code == 404

    assert "refusal not on record" in caplog.text
