"""Members, templates, events and cases by API."""

from django.core import mail

from securitygroups import operations
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet, parse_address
from securitygroups.models import Event, Membership, Project, SecurityGroup, User, VirtualMachine
from tests.api.conftest import MakeProgram


def test_an_owners_program_manages_members_and_is_named_on_record(
    alice: User, erin: User, project: Project, program: MakeProgram
) -> None:
    mine = program(alice, "read", "members")
    rows = {one["name"]: one for one in mine.get("/projects/shop/members").json()["items"]}

    changed = mine.ask("PATCH", f"/projects/shop/members/{rows['erin']['id']}", {"role": "viewer"})
    removed = mine.ask("DELETE", f"/projects/shop/members/{rows['erin']['id']}")
    last = mine.ask("DELETE", f"/projects/shop/members/{rows['alice']['id']}")

    assert (rows["erin"]["role"], changed.json()["role"], removed.status_code) == ("editor", "viewer", 204)
    assert (last.status_code, last.json()["type"]) == (422, "urn:karenpanel:problem:invalid")
    assert Event.objects.filter(verb="member.removed", via="API token “ci”").count() == 1


def test_a_service_account_manages_members_when_its_maker_is_gone(
    alice: User, erin: User, project: Project, program: MakeProgram
) -> None:
    account = program(alice, "members", project=project)
    operations.add_member(
        project=project, user=(owner := User.objects.create_user("olga")), role="owner", by=operations.By()
    )
    Membership.objects.filter(user=alice).delete()

    member = Membership.objects.get(user=erin)
    assert account.ask("PATCH", f"/projects/shop/members/{member.pk}", {"role": "viewer"}).status_code == 200
    assert owner.memberships.get().role == "owner"


def test_an_invitation_goes_by_mail_and_can_be_withdrawn(alice: User, project: Project, program: MakeProgram) -> None:
    mine = program(alice, "members")

    asked = mine.post("/projects/shop/invitations", {"email": "New@example.com", "role": "editor"})
    waiting = mine.get("/projects/shop/invitations").json()["items"]

    assert (asked.status_code, asked.json()["email"]) == (201, "new@example.com")
    assert [one["id"] for one in waiting] == [asked.json()["id"]]
    assert mine.ask("DELETE", f"/projects/shop/invitations/{asked.json()['id']}").status_code == 204
    assert mine.get("/projects/shop/invitations").json()["items"] == []
    assert mine.post("/projects/shop/invitations", {"email": "nobody"}).json()["errors"][0]["pointer"] == "/email"
    assert len(mail.outbox) <= 1


def test_an_editors_program_reads_members_and_changes_none(erin: User, project: Project, program: MakeProgram) -> None:
    theirs = program(erin)

    assert theirs.get("/projects/shop/members").status_code == 200
    assert theirs.get("/projects/shop/invitations").status_code == 403


def test_templates_are_kept_read_and_deleted(alice: User, group: SecurityGroup, program: MakeProgram) -> None:
    mine = program(alice)

    made = mine.post("/projects/shop/templates", {"group": group.public_id, "name": "Web"})
    read = mine.get(f"/projects/shop/templates/{made.json()['id']}")

    assert made.status_code == 201
    assert len(read.json()["rules"]) == group.rules.count()
    assert [one["name"] for one in mine.get("/projects/shop/templates").json()["items"]] == ["Web"]
    assert mine.ask("DELETE", f"/projects/shop/templates/{made.json()['id']}").status_code == 204
    assert mine.get(f"/projects/shop/templates/{made.json()['id']}").status_code == 404


def test_events_are_read_newest_first_and_by_kind(alice: User, group: SecurityGroup, program: MakeProgram) -> None:
    mine = program(alice)

    found = mine.get("/projects/shop/events?limit=1").json()
    older = mine.get(f"/projects/shop/events?cursor={found['next']}").json()["items"]
    of_kind = mine.get("/projects/shop/events?kind=group.created&actor=Alice").json()["items"]

    assert found["items"][0]["id"] > older[0]["id"]
    assert {one["kind"] for one in of_kind} == {"group.created"}
    assert of_kind[0]["group"]["id"] == group.public_id
    assert mine.get("/projects/shop/events?since=2099-01-01T00:00:00Z").json()["items"] == []
    assert mine.get("/projects/shop/events?since=yesterday").json()["errors"][0]["parameter"] == "since"


def test_a_case_is_read_with_the_list_as_it_was(
    alice: User, staff: User, machine: VirtualMachine, program: MakeProgram
) -> None:
    packet = Packet(Direction.IN, 4, 6, parse_address("203.0.113.9")[1], parse_address("10.0.0.5")[1], 22)
    case = operations.open_case(about=machine, packet=packet, staff=staff, ticket="T-7", note="Why?")
    mine = program(alice)

    rows = mine.get("/projects/shop/cases?state=answered").json()["items"]
    read = mine.get(f"/projects/shop/cases/{case.public_id}").json()

    assert [(one["id"], one["ticket"], one["about"]["name"]) for one in rows] == [(case.public_id, "T-7", machine.name)]
    assert read["notes"][0]["text"] == "Why?"
    assert len(read["rules"]) == len(case.rules)
