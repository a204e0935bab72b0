"""The schema and its page: every operation stands there, and both can be read without a token."""

import re

from django.test import Client

from securitygroups.api.schema import api
from securitygroups.firewall.protocols import PROTOCOLS
from tests.effort import at_most


def test_the_schema_can_be_read_by_everybody(client: Client) -> None:
    schema = client.get("/api/v1/openapi.json").json()

    assert schema["openapi"] == "3.1.0"
    assert schema["paths"].keys() == api.get_openapi_schema()["paths"].keys()
    assert {rule["properties"]["protocol"]["const"] for rule in schema["components"]["schemas"]["Rule"]["oneOf"]} == {
        *PROTOCOLS
    }


def test_every_refusal_is_a_problem_in_the_schema(client: Client) -> None:
    for path in client.get("/api/v1/openapi.json").json()["paths"].values():
        for operation in path.values():
            refusals = {status: one for status, one in operation["responses"].items() if int(status) >= 400}
            assert {"401", "403", "404", "422", "429", "500", "503"} <= refusals.keys()
            assert {kind for one in refusals.values() for kind in one["content"]} == {"application/problem+json"}


def test_it_is_made_once_however_often_it_is_asked_for(client: Client) -> None:
    """It takes a second or two, and nobody has to sign in for it."""
    first = client.get("/api/v1/openapi.json").json()

    with at_most(0.3):
        again = client.get("/api/v1/openapi.json").json()

    assert again == first
    assert api.get_openapi_schema() is api.get_openapi_schema()


def test_every_parameter_is_explained(client: Client) -> None:
    for path in client.get("/api/v1/openapi.json").json()["paths"].values():
        for operation in path.values():
            silent = [one["name"] for one in operation.get("parameters", ()) if not one.get("description")]
            assert silent == [], operation["operationId"]


def test_what_a_change_stands_on_is_a_parameter_too(client: Client) -> None:
    """Programs that are made of the schema could not send it otherwise."""
    heads = {
        told["operationId"]: [one["name"] for one in told.get("parameters", ()) if one["in"] == "header"]
        for path in client.get("/api/v1/openapi.json").json()["paths"].values()
        for told in path.values()
    }

    assert heads["put_rules"] == heads["undo_machine_revision"] == ["If-Match"]
    assert heads["make_group"] == ["Idempotency-Key"]
    assert heads["list_groups"] == []


def test_the_page_has_every_operation_and_the_keys_of_its_documents(client: Client) -> None:
    page = client.get("/api/v1/")
    text = page.content.decode()

    names = {told["operationId"] for path in api.get_openapi_schema()["paths"].values() for told in path.values()}
    assert page.status_code == 200
    assert set(re.findall(r'<h3 id="(\w+)"', text)) == names
    assert "rules[].source" in text
    assert "default-src" in page["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]* src=)", text)


def test_the_page_is_only_read(client: Client) -> None:
    refused = client.post("/api/v1/")

    assert (refused.status_code, refused["Content-Type"]) == (405, "application/problem+json")
