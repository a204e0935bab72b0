"""The review of a project's rules: deciding row by row, and signing off."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from karenpanel import turns
from karenpanel.sent_again import draws_again, goes_back
from securitygroups import operations
from securitygroups.access import Access, find_group
from securitygroups.answers import review as answers
from securitygroups.answers import reviewed
from securitygroups.answers.review import FILTERS, TooMany
from securitygroups.firewall.changes import list_change
from securitygroups.firewall.values import whole_number
from securitygroups.forms import SignForm, as_typed, take_refusal, take_suggestion
from securitygroups.models import Project, Review, SecurityGroup
from securitygroups.operations import Passed, Signature
from securitygroups.proposals import NewReview, agreed, propose_review
from securitygroups.web.doors import by, enter, said
from securitygroups.web.pages import CONFLICT, FORM_INVALID, page_or_form, sent
from securitygroups.web.reviewing import Forms, Key, numbered_rows, rules_of, sent_rows
from securitygroups.web.samples import seen_by
from securitygroups.web.useful import uses_of

SHOWN_CHANGES = 300
"""Changed rules that the last question lists; the others are counted."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for: a filter, and a group where it is one alone."""

    show: str
    group: SecurityGroup | None

    @property
    def query(self) -> dict[str, str]:
        return {"show": self.show, "group": self.group.public_id if self.group else ""}


def _running(project: Project) -> Review | None:
    review = Review.objects.filter(project=project).first()
    if review:
        review.project = project
    return review


def _asked(request: HttpRequest, access: Access) -> Asked:
    show, group = request.GET.get("show", ""), request.GET.get("group", "")
    return Asked(show if show in FILTERS else "", find_group(access, group) if group else None)


@draws_again
@page_or_form
def review(request: HttpRequest, slug: str) -> HttpResponse:
    """The rules that a filter leaves, some to a page, and what is decided about them so far."""
    access = enter(request, slug, write=request.method == "POST")
    return _sent(request, access) if request.method == "POST" else _page(request, access)


def _page(request: HttpRequest, access: Access, forms: Forms | None = None) -> HttpResponse:
    """The page; with `forms` the rows of these, as they were typed."""
    project, asked = access.project, _asked(request, access)
    going, sizes = _running(project), answers.sizes_of(project)
    context: dict[str, Any] = {
        "asked": asked,
        "filters": [(key, label, _address(key, asked.group)) for key, label in FILTERS.items()],
        "review": going,
        "progress": answers.progress(going, sum(size for _, size in sizes)),
        "standing": reviewed.standing(project),
        "months": operations.MONTHS,
    }
    try:
        context |= _rows(request, project, going, asked, sizes) if not forms else _typed(request, project, going, forms)
    except TooMany as many:
        context["too_many"] = many.rules
    context["uses"] = uses_of(access, [part for part, _ in context.get("parts", ())])
    context["items"] = [
        (target, f"{part.group.name}, rule {row.line.place}: {text}")
        for part, rows in context.get("parts", ())
        for row in rows
        for target, text in row.problems
    ]
    status = FORM_INVALID if context["items"] else 200
    return render(request, "securitygroups/review/page.html", context, status=status)


def _address(show: str, group: SecurityGroup | None) -> str:
    query = QueryDict(mutable=True)
    if show:
        query["show"] = show
    if group:
        query["group"] = group.public_id
    return f"?{query.urlencode()}" if query else "?"


def _rows(
    request: HttpRequest, project: Project, going: Review | None, asked: Asked, sizes: list[tuple[int, int]]
) -> dict[str, Any]:
    """The page that ?page= names."""
    if asked.group:
        sizes = [(pk, size) for pk, size in sizes if pk == asked.group.pk]
    if asked.show:
        # The rules of all these groups are looked through for those that it leaves.
        turns.weigh(sum(size for _, size in sizes))
    rows, counted = answers.asked(project, going, asked.show, sizes, timezone.now())
    page = answers.pages(counted).get_page(request.GET.get("page"))
    found = answers.rows_of(rows, page.object_list[0]) if page.object_list else []
    return {"page": page, "parts": numbered_rows(answers.parts(project, going, found), {}, request.POST)}


def _typed(request: HttpRequest, project: Project, going: Review | None, forms: Forms) -> dict[str, Any]:
    """The rows that were sent, whatever page they would be on by now."""
    found = list(rules_of(project, forms).values())
    found.sort(key=lambda row: (row.group.name, row.group_id, row.position))
    return {"parts": numbered_rows(answers.parts(project, going, found), forms, request.POST)}


def _sent(request: HttpRequest, access: Access) -> HttpResponse:
    """What was decided on a page: kept, or the page again with what is wrong."""
    data = take_suggestion(request.POST) if "suggest" in request.POST else request.POST
    request.POST = data  # type: ignore[assignment]
    form = sent_rows(data, access.project)
    if goes_back(request) or "suggest" in data:
        return _again(request, access, form.forms, ())
    meant = form.meant
    if not all(form.forms[key].is_valid() for key in meant):
        return _again(request, access, form.forms, meant)
    wishes = [form.wish(key) for key in meant]
    try:
        passed = operations.decide(project=access.project, wishes=wishes, by=by(request)) if wishes else []
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
        return _again(request, access, form.forms, ())
    _tell(request, len(wishes) - len(passed), passed, form.gone, form.names)
    return redirect(request.get_full_path())


def _again(request: HttpRequest, access: Access, forms: Forms, wrong: Collection[Key]) -> HttpResponse:
    """The rows as they were typed; only those that were read say what is wrong with them."""
    return _page(request, access, {key: form if key in wrong else as_typed(form) for key, form in forms.items()})


def _tell(request: HttpRequest, saved: int, passed: list[Passed], gone: int, names: dict[int, str]) -> None:
    if saved:
        messages.success(request, f"{saved} decision{'s were' if saved > 1 else ' was'} saved. No rule is changed yet.")
    for one in passed[:5]:
        name = names[one.wish.group]
        if one.decided:
            words = f"{one.decided.by_name} has decided about a rule of {name} in the meantime: {one.decided.get_verdict_display()}."
        else:
            words = f"A rule of {name} was decided about or changed in the meantime."
        messages.warning(request, f"{words} Yours was not saved: look at the rule, and decide again.")
    if gone:
        messages.warning(request, f"{gone} of the rules {'are' if gone > 1 else 'is'} not there any more.")
    if not saved and not passed and not gone:
        messages.info(request, "Nothing was decided: choose what becomes of a rule, and save.")


@require_POST
def review_interval(request: HttpRequest, slug: str) -> HttpResponse:
    """How often a review is due."""
    access = enter(request, slug, own=True)
    try:
        months = whole_number(request.POST.get("months", ""), 999)
        operations.set_review_interval(project=access.project, months=months or None, by=by(request))
        messages.success(request, "When the next review is due was changed.")
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
    return redirect("review", slug)


@page_or_form
def review_drop(request: HttpRequest, slug: str) -> HttpResponse:
    """Forget what was decided, after a question."""
    access = enter(request, slug, write=True)
    going = _running(access.project)
    if going is None:
        messages.info(request, "No review is going on.")
        return redirect("review", slug)
    if request.method != "POST":
        context = {"review": going, "decided": going.decisions.count()}
        return render(request, "securitygroups/review/drop.html", context)
    try:
        operations.drop_review(project=access.project, by=by(request))
        messages.success(request, "The review was dropped. No rule was changed.")
    except operations.Conflict:
        messages.info(request, "No review is going on.")
    return redirect("review", slug)


@draws_again
@page_or_form
def review_sign(request: HttpRequest, slug: str) -> HttpResponse:
    """What the decisions change, all groups together, and the signature under it."""
    access = enter(request, slug, write=True)
    going = _running(access.project)
    if going is None:
        messages.info(request, "Nothing is decided yet: decide about a rule first.")
        return redirect("review", slug)
    name = access.user.get_full_name() or access.user.get_username()
    form = SignForm(request.POST if request.method == "POST" else None, initial={"name": name})
    if goes_back(request):
        as_typed(form)
    try:
        proposal = propose_review(going)
        # Whoever forgot the name has not signed; what changed meanwhile is told to who has.
        signs = sent(request) and form.is_valid()
        if signs and agreed(proposal, said(request)):
            return _signed(request, proposal, form)
        return _question(request, proposal, form, overtaken=signs)
    except operations.Conflict:
        messages.warning(request, "Others have decided or changed something in the meantime. Nothing was signed.")
        return redirect("review_sign", slug)
    except ValidationError as refusal:
        return _refused(request, going, form, refusal)


def _question(request: HttpRequest, proposal: NewReview, form: SignForm, *, overtaken: bool) -> HttpResponse:
    changes, room = [], SHOWN_CHANGES
    for group, old, new in proposal.changes:
        change = list_change(old, new)
        lines = sorted((*change.removed, *change.changed), key=lambda line: line.old_place or 0)
        changes.append((group, len(lines), lines[: max(0, room)]))
        room -= len(lines)
    sizes = answers.sizes_of(proposal.review.project)
    context = {
        "review": proposal.review,
        "form": form,
        "overtaken": overtaken,
        "token": proposal.token,
        "changes": changes,
        "unlisted": max(0, -room),
        "rules_changed": sum(number for _, number, _ in changes),
        "preview": proposal.preview(said(request).address) if proposal.changes else None,
        "seen_again": seen_by(request.access, proposal) if proposal.changes else None,  # type: ignore[attr-defined]
        "progress": answers.progress(proposal.review, sum(size for _, size in sizes)),
    }
    status = CONFLICT if overtaken else FORM_INVALID if form.is_bound and form.errors else 200
    return render(request, "securitygroups/review/sign.html", context, status=status)


def _refused(request: HttpRequest, going: Review, form: SignForm, refusal: ValidationError) -> HttpResponse:
    """What was decided cannot be stored: there is nothing to sign."""
    context: dict[str, Any] = {"review": going, "form": form, "progress": answers.progress(going, 0)}
    if form.is_bound:
        take_refusal(form, refusal)
    else:
        context["refused"] = refusal.messages[0]
    status = FORM_INVALID if form.errors else 200
    return render(request, "securitygroups/review/sign.html", context, status=status)


def _signed(request: HttpRequest, proposal: NewReview, form: SignForm) -> HttpResponse:
    """Sign it. Raises Conflict, ValidationError."""
    signed = operations.sign_review(
        review=proposal.review,
        lists={group: new for group, _, new in proposal.changes},
        seen=(proposal.decided, proposal.mark),
        signature=Signature(form.cleaned_data["name"], form.cleaned_data["remark"]),
        by=by(request),
    )
    words = f"Review {signed.number} was signed off."
    if signed.changed:
        words += " Its changes were made; the history of each group can take them back."
    messages.success(request, words)
    return redirect(signed)
