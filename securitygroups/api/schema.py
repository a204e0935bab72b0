"""The API, put together: its routers, and the OpenAPI schema that says all of it."""

from http.client import responses
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from ninja.schema import NinjaGenerateJsonSchema

from securitygroups.api import (
    answers,
    dropped,
    exposures,
    groups,
    inventory,
    listed,
    machine_groups,
    machines,
    members,
    packets,
    projects,
    records,
    replays,
    templates,
)
from securitygroups.api.documents import StrictParser, rule_schema
from securitygroups.api.parameters import explain
from securitygroups.api.problems import CONTENT_TYPE, KINDS, answered
from securitygroups.api.schemas import Problem

ABOUT = """\
Everything that the panel does, for programs. Show a token with each request: `Authorization: Bearer kp_…`.

A change of a list is sent as the whole list with `If-Match`, the revision that it was made from. `?dry_run=1` tells what
any change would do and writes nothing. Where that has alarms, the change needs `confirm`: the token of the preview.
Refusals are problem+json (RFC 9457), in the words of the panel's forms.

Within v1 fields and operations are added and none is taken away or given another meaning: ignore what you do not know. What
will end is marked `deprecated` here and in the changelog, and stays for at least a year.
"""

ROOT = "/api/v1/"


class Schema(OpenAPISchema):
    """Ninja's, with what it cannot know: refusals have a content type of their own, rules a shape for each protocol, and
    parameters words."""

    def __init__(self, api: NinjaAPI, path_prefix: str) -> None:
        super().__init__(api, path_prefix)
        problem = Problem.model_json_schema(
            ref_template="#/components/schemas/{model}", schema_generator=NinjaGenerateJsonSchema, mode="serialization"
        )
        self["components"]["schemas"] |= problem.pop("$defs", {}) | {"Problem": problem}
        self["components"]["schemas"] |= {"Rule": rule_schema(), **listed.COMPONENTS, **packets.COMPONENTS}
        refusals = _refusals()
        for path in self["paths"].values():
            for operation in path.values():
                operation["responses"] |= refusals
                explain(operation)


def _refusals() -> dict[int, Any]:
    """What any operation may be refused with. For ninja a model of each and for each operation would be made at the start."""
    problem = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    statuses = sorted({status for status, _ in KINDS.values()})
    return {status: {"description": responses[status], "content": problem} for status in statuses}


class Api(NinjaAPI):
    _schema: Schema | None = None

    def get_openapi_schema(self, *, path_prefix: str | None = None, **more: Any) -> Schema:
        """Made once, for it takes a second and everybody may ask for it."""
        if path_prefix is not None:
            return Schema(self, path_prefix)
        if self._schema is None:
            self._schema = Schema(self, ROOT)
        return self._schema

    def on_exception(self, request: HttpRequest, exc: Any) -> HttpResponse:
        response = answered(request, exc)
        if response is None:
            raise exc
        return response


api = Api(
    title="karenpanel",
    version="1",
    description=ABOUT,
    urls_namespace="api",
    docs_url=None,
    openapi_url="/openapi.json",
    parser=StrictParser(),
)
for router in (
    projects.router,
    groups.router,
    # First, for an external ID may read “groups”.
    inventory.router,
    machines.router,
    machine_groups.router,
    templates.router,
    members.router,
    records.router,
    dropped.router,
    packets.router,
    answers.router,
    exposures.router,
    replays.router,
):
    api.add_router("/projects", router)
api.add_router("", inventory.together)
