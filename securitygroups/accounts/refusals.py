"""Refused access goes on record: to other customers' projects and things, and where the right is lacking."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from karenpanel.logs import redacted
from securitygroups.access import Access, meant_elsewhere, project_of
from securitygroups.accounts.client import client_of
from securitygroups.models import Project, User
from securitygroups.operations import note_refusal


class Refusals:
    """Looks at answers that refuse something below an address of a project, once they are decided, and at no others."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code in (403, 404):
            _on_record(request, response.status_code)
        return response


def _on_record(request: HttpRequest, status: int) -> None:
    match, user = request.resolver_match, request.user
    if match is None or "slug" not in match.kwargs or not isinstance(user, User):
        return
    access: Access | None = getattr(request, "access", None)
    if access is None and status == 403:
        return  # a form of another site, which the log has
    detail = {"status": status, "method": request.method, "path": redacted(request.get_full_path())}
    project: Project | None
    if access is None:
        project = project_of(match.kwargs["slug"])
    elif status == 403:
        project = access.project
    else:
        project = meant_elsewhere(access, match.url_name or "", match.kwargs)
        detail["within"] = access.project.slug
    note_refusal(user=user, project=project, client=client_of(request), **detail)
