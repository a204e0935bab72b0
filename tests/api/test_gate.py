"""Who comes in by which token, and how everybody else is refused."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from securitygroups import operations
from securitygroups.api.schema import api
from securitygroups.models import AccountEvent, ApiToken, Event, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.api.conftest import ALL, MakeProgram, Program, secret_of
from tests.factories import make_project, make_user


def kind(response: object) -> str:
    return str(response.json()["type"].rpartition(":")[2])  # type: ignore[attr-defined]


@pytest.mark.parametrize("shown", ["", "Bearer ", "Bearer kp_short", "Basic YWxpY2U6eA==", f"Bearer kp_{'x' * 43}"])
def test_without_a_good_token_nothing_is_told(db: None, shown: str) -> None:
    response = Program("").get("/projects", Authorization=shown)

    assert response.status_code == 401
    assert response["Content-Type"] == "application/problem+json"
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert "no-store" in response["Cache-Control"]


def test_a_session_of_the_panel_opens_nothing_here(alice: User, project: Project, as_alice: Program) -> None:
    response = as_alice.get("/api/v1/projects")

    assert response.status_code == 401


def test_a_token_opens_the_projects_of_its_person(alice: User, project: Project, program: MakeProgram) -> None:
    make_project(make_user("dora"), "Bakery")

    response = program(alice).get("/projects")

    assert [one["slug"] for one in response.json()["items"]] == ["shop"]
    assert "Set-Cookie" not in response


def test_a_revoked_token_opens_nothing_any_more(alice: User, project: Project, program: MakeProgram) -> None:
    mine = program(alice)
    operations.revoke_token(token=ApiToken.objects.get(), by=By(alice))

    assert mine.get("/projects").status_code == 401


def test_an_expired_token_opens_nothing(alice: User, project: Project, program: MakeProgram) -> None:
    mine = program(alice, expires_at=timezone.now() + timedelta(days=30))

    with time_machine.travel(timezone.now() + timedelta(days=29)):
        assert mine.get("/projects").status_code == 200
    with time_machine.travel(timezone.now() + timedelta(days=31)):
        assert mine.get("/projects").status_code == 401


def test_who_is_switched_off_has_no_tokens(alice: User, project: Project, program: MakeProgram) -> None:
    mine, of_project = program(alice), program(alice, project=project)
    User.objects.filter(pk=alice.pk).update(is_active=False)

    assert mine.get("/projects").status_code == 401
    assert of_project.get("/projects").status_code == 200


def test_a_token_is_taken_from_its_networks_alone(alice: User, project: Project, program: MakeProgram) -> None:
    assert program(alice, networks=["127.0.0.0/8"]).get("/projects").status_code == 200
    refused = program(alice, networks=["203.0.113.0/24", "2001:db8::/32"]).get("/projects")

    assert (refused.status_code, kind(refused)) == (403, "forbidden")


def test_a_token_for_some_projects_finds_no_others(
    alice: User, project: Project, group: SecurityGroup, program: MakeProgram
) -> None:
    other = make_project(alice, "Mill")
    mine = program(alice, projects=[other])

    assert mine.get("/projects/shop").status_code == 404
    assert mine.get("/projects/mill").status_code == 200
    assert [one["slug"] for one in mine.get("/projects").json()["items"]] == ["mill"]


def test_a_token_of_one_project_gets_the_same_404_for_another_as_for_none(
    alice: User, project: Project, group: SecurityGroup, program: MakeProgram
) -> None:
    bakery = make_project(make_user("dora"), "Bakery")
    theirs = program(User.objects.get(username="dora"), project=bakery)

    here = theirs.get(f"/projects/shop/groups/{group.public_id}")
    nowhere = theirs.get(f"/projects/nowhere/groups/{group.public_id}")

    assert here.status_code == nowhere.status_code == 404
    assert {k: v for k, v in here.json().items() if k != "request_id"} == {
        k: v for k, v in nowhere.json().items() if k != "request_id"
    }
    assert AccountEvent.objects.filter(verb="access.refused", project=project).count() == 1


def test_a_scope_that_is_missing_is_named(alice: User, project: Project, program: MakeProgram) -> None:
    refused = program(alice, "test").get("/projects/shop/groups")

    assert refused.status_code == 403
    assert "needs read" in refused.json()["detail"]


def test_a_viewers_token_changes_nothing(bob: User, group: SecurityGroup, program: MakeProgram) -> None:
    refused = program(bob).put(f"/projects/shop/groups/{group.public_id}/rules", {"rules": []}, If_Match='"1"')

    assert refused.status_code == 403
    assert "editor" in refused.json()["detail"]


def test_support_comes_in_with_a_reason_and_each_look_is_on_record(
    staff: User, project: Project, group: SecurityGroup, program: MakeProgram
) -> None:
    desk = program(staff, strong=True)
    assert kind(desk.get("/projects/shop/groups")) == "reason-needed"
    operations.open_visit(project=project, staff=staff, reason="Ticket", ticket="T-1")

    assert desk.get("/projects/shop/groups").status_code == 200
    refused = desk.put(f"/projects/shop/groups/{group.public_id}/rules", {"rules": []}, If_Match='"1"')

    looks = Event.objects.filter(verb="support.look", by_staff=True, summary__contains="/api/v1/projects/shop/groups")
    assert looks.count() == 1
    assert refused.status_code == 403


def test_staff_need_a_token_made_with_a_second_factor(staff: User, project: Project, program: MakeProgram) -> None:
    assert "second factor" in program(staff).get("/projects").json()["detail"]


def test_a_project_that_asks_for_a_second_factor_asks_tokens_too(
    alice: User, project: Project, program: MakeProgram
) -> None:
    operations.require_second_factor(project=project, required=True, by=By(alice))

    assert kind(program(alice).get("/projects/shop")) == "second-factor"
    assert program(alice, strong=True).get("/projects/shop").status_code == 200
    assert program(alice).get("/projects").json()["items"] == []


def test_beyond_its_limit_a_token_waits(alice: User, project: Project, program: MakeProgram, settings: object) -> None:
    settings.API_PER_MINUTE = 1  # type: ignore[attr-defined]
    settings.API_BURST = 2  # type: ignore[attr-defined]
    mine, other = program(alice), program(alice)

    answers = [mine.get("/projects") for _ in range(4)]

    assert [one.status_code for one in answers] == [200, 200, 429, 429]
    assert int(answers[-1]["Retry-After"]) >= 1
    assert other.get("/projects").status_code == 200


def test_what_is_not_here_and_what_is_not_done_is_told_as_a_problem(
    alice: User, project: Project, program: MakeProgram
) -> None:
    mine = program(alice)

    gone, wrong = mine.get("/nothing"), mine.ask("DELETE", "/projects")

    assert (gone.status_code, kind(gone)) == (404, "not-found")
    assert (wrong.status_code, kind(wrong), wrong["Allow"]) == (405, "method", "GET")


def test_a_body_that_is_no_json_is_refused_with_its_place(
    alice: User, group: SecurityGroup, program: MakeProgram
) -> None:
    mine = program(alice)
    path = f"/api/v1/projects/shop/groups/{group.public_id}/rules"
    headers = {"Authorization": f"Bearer {mine.secret}", "If-Match": '"1"'}

    for content, of_kind, status in (
        (b"{", "application/json", 422),
        (b"[1]", "application/json", 422),
        (b'{"rules": [], "rules": []}', "application/json", 422),
        (b"\xff", "application/json", 422),
        (b"{}", "text/plain", 415),
        (b'{"rules": [], "confirm": 5}', "application/json", 422),
    ):
        answer = mine._client.put(path, content, content_type=of_kind, headers=headers)
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json"), content


def test_a_body_that_a_schema_reads_is_read_as_strictly(
    alice: User, group: SecurityGroup, program: MakeProgram
) -> None:
    mine = program(alice)
    path, headers = f"/api/v1/projects/shop/groups/{group.public_id}", {"Authorization": f"Bearer {mine.secret}"}

    for content, of_kind, status, said in (
        (b"{", "application/json", 422, "line 1, column 2"),
        (b"[1]", "application/json", 422, "braces"),
        (b'{"name": "a", "name": "b"}', "application/json", 422, "stands twice"),
        (b"\xff", "application/json", 422, "UTF-8"),
        (b'{"name": "a"}', "application/x-www-form-urlencoded", 415, "application/json"),
        (b" " * (8 * 2**20 + 1), "application/json", 413, "8 MiB"),
    ):
        answer = mine._client.patch(path, content, content_type=of_kind, headers=headers)
        assert (answer.status_code, said in answer.content.decode()) == (status, True), content[:30]


def test_the_last_use_is_noted(alice: User, project: Project) -> None:
    secret = secret_of(alice, *ALL)

    Program(secret).get("/projects")

    token = ApiToken.objects.get()
    assert (token.used_from, token.used_at is not None) == ("127.0.0.1", True)
    assert secret not in str(token.__dict__)


def test_a_character_that_no_text_has_is_refused_where_it_stands(
    program: MakeProgram, alice: User, project: Project
) -> None:
    asked = program(alice)

    for sent, pointer in (
        ({"name": "kept", "group": "\0"}, "/group"),
        ({"name": "kept", "group": "sg-1", "rea\0son": ""}, ""),
    ):
        refused = asked.post("/projects/shop/templates", sent)
        assert refused.status_code == 422
        assert [(one["pointer"], "U+0000" in one["detail"]) for one in refused.json()["errors"]] == [(pointer, True)]
    nested = asked.put("/projects/shop/inventory", {"machines": [{"external_id": "1", "tags": ["a", "b\0"]}]})
    assert nested.json()["errors"][0]["pointer"] == "/machines/0/tags/1"


def test_no_parameter_with_it_is_a_fault_of_ours(program: MakeProgram, alice: User, machine: VirtualMachine) -> None:
    asked, tried = program(alice), 0
    for path, methods in api.get_openapi_schema()["paths"].items():
        address = path.removeprefix("/api/v1").format(
            project="shop", group=machine.attachments.get(position=1).group.public_id, machine=machine.public_id,
            number=1, template=1, member=1, invitation=1, external_id="x", case="c-1",
        )  # fmt: skip
        for parameter in methods.get("get", {}).get("parameters", ()):
            if parameter["in"] == "query":
                tried += 1
                answer = asked.get(f"{address}?{parameter['name']}=%00")
                assert answer.status_code in (200, 404, 422), (address, parameter["name"], answer.content)

    assert tried > 20
