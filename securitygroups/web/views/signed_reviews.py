"""Reviews that were signed off: the list of them, and each to read, to print and to take along."""

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from securitygroups.access import find_signed_review
from securitygroups.answers import reviewed
from securitygroups.models import SignedReview
from securitygroups.web.doors import enter
from securitygroups.web.pages import numbered

LINES = 500
"""Lines of a record on a page."""
GROUPS = 200
"""Groups that a record's page lists."""
TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8"}


@require_safe
def review_records(request: HttpRequest, slug: str) -> HttpResponse:
    """The reviews that were signed off, the newest first."""
    access = enter(request, slug)
    rows = SignedReview.objects.filter(project=access.project).order_by("-number")
    context = {"page": numbered(request, rows), "standing": reviewed.standing(access.project)}
    return render(request, "securitygroups/review/records.html", context)


@require_safe
def review_record(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """A signed review, to read and to print."""
    access = enter(request, slug)
    signed = find_signed_review(access, number)
    page, names = numbered(request, reviewed.lines(signed), LINES), reviewed.names_then(signed)
    context = {
        "review": signed,
        "page": page,
        "lines": [reviewed.told(line, names) for line in page.object_list],
        "groups": signed.groups.prefetch_related("group")[:GROUPS],
        "more_groups": max(0, len(names) - GROUPS),
    }
    return render(request, "securitygroups/review/record.html", context)


@require_safe
def review_export(request: HttpRequest, slug: str, number: int, kind: str) -> StreamingHttpResponse:
    access = enter(request, slug)
    signed = find_signed_review(access, number)
    text = reviewed.as_json(signed) if kind == "json" else reviewed.as_csv(signed)
    headers = {"Content-Disposition": f'attachment; filename="{slug}-review-{number}.{kind}"'}
    return StreamingHttpResponse(text, content_type=TYPES[kind], headers=headers)
