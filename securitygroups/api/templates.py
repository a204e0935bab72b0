"""Templates that groups start from: the project's own, and the platform's for all."""

from typing import Annotated, Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Router, Schema
from pydantic import Field

from securitygroups import operations
from securitygroups.access import Right, find_group, find_template
from securitygroups.api import cursors
from securitygroups.api.changing import shown, tried
from securitygroups.api.doors import access_of, by, operation
from securitygroups.api.idempotency import once
from securitygroups.api.schemas import Cursor, Document, DryRun, Limit, Page, Preview, Reason, Sent
from securitygroups.firewall.formats.documents import MAX_NAME, RULE_KEYS
from securitygroups.firewall.values import MAX_DESCRIPTION
from securitygroups.models import GroupTemplate, Scope

router = Router(tags=["Templates"])
_ALL = "/{project}/templates"
_ONE = _ALL + "/{int:template}"


class TemplateRow(Schema):
    """`shared`: the platform's, for all projects."""

    id: int
    name: str
    description: str
    shared: bool


class Template(TemplateRow):
    rules: list[Document]


class NewTemplate(Sent):
    """The rules of a group, kept under a name."""

    group: Annotated[str, Field(max_length=20, description="The id of the group whose rules are kept")]
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    description: Annotated[str, Field(max_length=MAX_DESCRIPTION)] = ""
    reason: Reason = ""


@operation(router, "GET", _ALL, Scope.READ, gives=Page[TemplateRow])
def list_templates(request: HttpRequest, project: str, cursor: Cursor = "", limit: Limit = cursors.LIMIT) -> Any:
    """The templates that the project's groups can start from, by name."""
    rows = GroupTemplate.objects.filter(Q(project=access_of(request).project) | Q(project=None)).defer("rules")
    return cursors.by_name(rows, cursor, limit, _row)


@operation(router, "GET", _ONE, Scope.READ, gives=Template)
def read_template(request: HttpRequest, project: str, template: int) -> Any:
    """A template of the project's own, with its rules, as they go into a group's document."""
    found = find_template(access_of(request), template)
    rules = [{name: rule[name] for name in RULE_KEYS if name in rule} for rule in found.rules]
    return JsonResponse(_row(found) | {"rules": rules})


@operation(router, "POST", _ALL, Scope.WRITE, right=Right.CHANGE, gives={200: Preview, 201: TemplateRow})
@once
def make_template(request: HttpRequest, project: str, body: NewTemplate, dry_run: DryRun = False) -> HttpResponse:
    """Keep the rules of a group as a template of the project."""
    with tried(dry_run=dry_run):
        made = operations.save_template(
            group=find_group(access_of(request), body.group),
            name=body.name,
            description=body.description,
            by=by(request, body.reason),
        )
    return shown() if dry_run else JsonResponse(_row(made), status=201)


@operation(router, "DELETE", _ONE, Scope.WRITE, right=Right.CHANGE, gives={200: Preview, 204: None})
def delete_template(request: HttpRequest, project: str, template: int, dry_run: DryRun = False) -> HttpResponse:
    """Delete a template of the project's own. Groups made from it stay as they are."""
    with tried(dry_run=dry_run):
        operations.delete_template(template=find_template(access_of(request), template), by=by(request))
    return shown() if dry_run else HttpResponse(status=204)


def _row(template: GroupTemplate) -> dict[str, Any]:
    return {
        "id": template.pk,
        "name": template.name,
        "description": template.description,
        "shared": template.project_id is None,
    }
