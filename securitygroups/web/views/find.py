"""Find anything: a page, and the part of it that fills the palette while one types."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from securitygroups.web.doors import enter
from securitygroups.web.finding import Section, sections, sections_outside
from securitygroups.web.pages import answer, typed

LONGEST = 2000
"""A line of a log."""


def _found(request: HttpRequest, query: str, found: list[Section]) -> HttpResponse:
    context = {"query": query, "sections": found}
    return answer(request, "securitygroups/find/page.html", "securitygroups/find/_results.html", context)


@require_safe
def project_find(request: HttpRequest, slug: str) -> HttpResponse:
    """?q= in the project: its things, its pages, what can be done."""
    access = enter(request, slug)
    query = typed(request, "q", LONGEST)
    return _found(request, query, sections(access, query))


@require_safe
def find(request: HttpRequest) -> HttpResponse:
    """?q= where no project is open."""
    query = typed(request, "q", LONGEST)
    return _found(request, query, sections_outside(request.user, query))  # type: ignore[arg-type]
