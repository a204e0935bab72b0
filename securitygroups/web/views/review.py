"""The review of a project's rules: deciding row by row, signing off, and the records of earlier ones."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Page
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from karenpanel import turns
from karenpanel.sent_again import draws_again, goes_back
from securitygroups import operations
from securitygroups.access import Access, find_group, find_signed_review
from securitygroups.answers import review as answers
from securitygroups.answers import reviewed
from securitygroups.answers.review import FILTERS, Line, TooMany
from securitygroups.firewall.changes import list_change
from securitygroups.firewall.protocols import PROTOCOLS
from securitygroups.firewall.values import whole_number
from securitygroups.forms import (
    DecisionForm,
    Drawn,
    SignForm,
    as_typed,
    digest,
    drawn_in,
    take_refusal,
    take_suggestion,
    values_of,
)
from securitygroups.models import Project, Review, Rule, SecurityGroup, SignedReview, Verdict
from securitygroups.operations import Passed, Signature, Wish
from securitygroups.paging import UnevenPaginator
from securitygroups.proposals import propose_lists
from securitygroups.web.doors import by, enter
from securitygroups.web.pages import CONFLICT, FORM_INVALID, address_of, numbered, page_or_form, sent

LINES = 500
"""Lines of a record on a page."""
SHOWN_CHANGES = 300
"""Changed rules that the last question lists; the others are counted."""
GROUPS = 200
"""Groups that a record's page lists."""
LABELS = {
    "source": "Source IP Address",
    "destination": "Destination IP Address",
    "port_start": "Start port",
    "port_end": "End port",
}
Key = tuple[str, str]
"""A rule by its group's public ID and its own identity."""
Forms = dict[Key, DecisionForm]
TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Narrow:
    """A field of a narrower rule, with what stands in it and what is wrong with that."""

    name: str
    label: str
    value: str
    errors: list[str]
    suggested: list[str]


@dataclass(frozen=True, slots=True)
class Row:
    """A rule on the page, with its place in the form, what stands in its fields, and what is wrong there."""

    number: int
    line: Line
    values: dict[str, str]
    drawn: str
    form: DecisionForm | None = None

    @property
    def narrow(self) -> list[Narrow]:
        columns = PROTOCOLS[self.line.rule.protocol].columns
        found = self.form.errors.as_data() if self.form else {}
        return [
            Narrow(
                f"{self.number}-{name}",
                label,
                self.values[name],
                [text for error in found.get(name, ()) for text in error.messages],
                [text for error in found.get(name, ()) for text in (error.params or {}).get("suggestions", ())],
            )
            for name, label in LABELS.items()
            if name in columns
        ]

    @property
    def choices(self) -> list[tuple[str, str, bool]]:
        """What can become of the rule, and what is chosen."""
        chosen, rule = self.values["verdict"], self.line.rule
        left_out = {Verdict.NARROW} if not self.narrow else set()
        left_out |= {Verdict.OFF} if not rule.enabled else set()
        every = [("", "Later"), *Verdict.choices]
        return [(value, label, value == chosen) for value, label in every if value == chosen or value not in left_out]

    @property
    def other_problems(self) -> list[tuple[str, str]]:
        """What is wrong beside the fields of a narrower rule."""
        errors = self.form.errors if self.form else {}
        return [(name, str(text)) for name in ("verdict", "remark") for text in errors.get(name, ())]

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What is wrong with the row, each with the field that it is about."""
        errors = self.form.errors if self.form else {}
        return [(f"id_{self.number}-{name}", str(text)) for name, texts in errors.items() for text in texts]


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
    pages = answers.slices(counted)
    known = dict(counted)
    lengths = [
        min(known[p.groups[0]], p.stop) - p.start if p.stop else sum(known[pk] for pk in p.groups) for p in pages
    ]
    page: Page[Any] = UnevenPaginator(pages, lengths).get_page(request.GET.get("page"))
    found = answers.rows_of(rows, page.object_list[0]) if page.object_list else []
    return {"page": page, "parts": _numbered(answers.parts(project, going, found), {}, request.POST)}


def _typed(request: HttpRequest, project: Project, going: Review | None, forms: Forms) -> dict[str, Any]:
    """The rows that were sent, whatever page they would be on by now."""
    found = list(_rules(project, forms).values())
    found.sort(key=lambda row: (row.group.name, row.group_id, row.position))
    return {"parts": _numbered(answers.parts(project, going, found), forms, request.POST)}


def _numbered(parts: list[answers.Part], forms: Forms, data: Any) -> list[tuple[answers.Part, list[Row]]]:
    """Every row with its number in the form: from 0, through all groups."""
    found, number = [], 0
    for part in parts:
        rows = []
        for line in part.lines:
            rows.append(_row(number, part.group, line, forms.get((part.group.public_id, line.row.uid)), data))
            number += 1
        found.append((part, rows))
    return found


def _row(number: int, group: SecurityGroup, line: Line, form: DecisionForm | None, data: Any) -> Row:
    values = values_of(line.rule, line.stands)
    version = line.decided.version if line.decided else 0
    drawn = f"{group.public_id} {line.row.uid} {group.revision} {version} {digest(values)}"
    if form is not None:
        # On what the person has looked at it stands, and not on what is there by now.
        values = {name: data.get(f"{form.prefix}-{name}", "") for name in values}
        drawn = data.get(f"{form.prefix}-row", "")
    return Row(number, line, values, drawn, form)


def _rules(project: Project, keys: Any) -> dict[Key, Rule]:
    """The rules of these identities that are still there (one query)."""
    wanted = Rule.objects.filter(
        group__project=project,
        group__deleted_at=None,
        group__public_id__in={group for group, _ in keys},
        uid__in={uid for _, uid in keys},
    )
    found = {(row.group.public_id, row.uid): row for row in wanted.select_related("group")}
    return {key: found[key] for key in keys if key in found}


def _sent(request: HttpRequest, access: Access) -> HttpResponse:
    """What was decided on a page: kept, or the page again with what is wrong."""
    data = take_suggestion(request.POST) if "suggest" in request.POST else request.POST
    request.POST = data  # type: ignore[assignment]
    drawn = {one.key: one for one in drawn_in(data)}
    rows = _rules(access.project, drawn)
    forms = _forms(data, drawn, rows)
    if goes_back(request) or "suggest" in data:
        return _again(request, access, forms, ())
    meant, right = _read(data, drawn, forms)
    if not right:
        return _again(request, access, forms, meant)
    wishes = [_wish(drawn[key], rows[key], forms[key]) for key in meant]
    try:
        passed = operations.decide(project=access.project, wishes=wishes, by=by(request)) if wishes else []
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
        return _again(request, access, forms, ())
    names = {row.group_id: row.group.name for row in rows.values()}
    _tell(request, len(wishes) - len(passed), passed, _gone(data, drawn, rows), names)
    return redirect(request.get_full_path())


def _again(request: HttpRequest, access: Access, forms: Forms, wrong: Collection[Key]) -> HttpResponse:
    """The rows as they were typed; only those that were read say what is wrong with them."""
    return _page(request, access, {key: form if key in wrong else as_typed(form) for key, form in forms.items()})


def _read(data: QueryDict, drawn: Mapping[Key, Drawn], forms: Forms) -> tuple[list[Key], bool]:
    """The rows that say something new, and whether all of them are right."""
    meant = [key for key in forms if drawn[key].decides(data)]
    return meant, not [key for key in meant if not forms[key].is_valid()]


def _gone(data: QueryDict, drawn: Mapping[Key, Drawn], rows: Mapping[Key, Rule]) -> int:
    return sum(one.touched(data) for key, one in drawn.items() if key not in rows)


def _forms(data: QueryDict, drawn: Mapping[Key, Drawn], rows: Mapping[Key, Rule]) -> Forms:
    """Of every row; a button of the page keeps all rules that nothing is decided about."""
    if "keep_rest" in data:
        data = data.copy()
        for field in (f"{one.prefix}-verdict" for one in drawn.values()):
            data[field] = data.get(field) or Verdict.KEEP
    return {key: DecisionForm(data, prefix=drawn[key].prefix, rule=row.as_value()) for key, row in rows.items()}


def _wish(drawn: Drawn, row: Rule, form: DecisionForm) -> Wish:
    said = form.cleaned_data
    return Wish(
        row.group_id, row.uid, said["verdict"], drawn.revision, drawn.version, form.narrowed, said.get("remark", "")
    )


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
    context: dict[str, Any] = {"review": going, "form": form}
    status = 200
    try:
        decided = operations.decided_mark(going)
        proposal = propose_lists(answers.lists_after(going), [decided])
        if sent(request) and form.is_valid():
            if request.POST.get("sure") == proposal.token:
                signed = operations.sign_review(
                    review=going,
                    lists={group: new for group, _, new in proposal.changes},
                    seen=(decided, proposal.mark),
                    signature=Signature(form.cleaned_data["name"], form.cleaned_data["remark"]),
                    by=by(request),
                )
                return _signed(request, signed)
            context["overtaken"], status = True, CONFLICT
        context |= _question(request, access, going, proposal)
    except operations.Conflict:
        messages.warning(request, "Others have decided or changed something in the meantime. Nothing was signed.")
        return redirect("review_sign", slug)
    except ValidationError as refusal:
        take_refusal(form, refusal) if form.is_bound else context.update(refused=refusal.messages[0])
        context["progress"] = answers.progress(going, 0)
    if form.is_bound and form.errors:
        status = FORM_INVALID
    return render(request, "securitygroups/review/sign.html", context, status=status)


def _question(request: HttpRequest, access: Access, going: Review, proposal: Any) -> dict[str, Any]:
    changes, room = [], SHOWN_CHANGES
    for group, old, new in proposal.changes:
        change = list_change(old, new)
        lines = sorted((*change.removed, *change.changed), key=lambda line: line.old_place or 0)
        changes.append((group, len(lines), lines[: max(0, room)]))
        room -= len(lines)
    sizes = answers.sizes_of(access.project)
    return {
        "token": proposal.token,
        "changes": changes,
        "unlisted": max(0, -room),
        "rules_changed": sum(number for _, number, _ in changes),
        "preview": proposal.preview(address_of(request)) if proposal.changes else None,
        "progress": answers.progress(going, sum(size for _, size in sizes)),
    }


def _signed(request: HttpRequest, signed: SignedReview) -> HttpResponse:
    words = f"Review {signed.number} was signed off."
    if signed.changed:
        words += " Its changes were made; the history of each group can take them back."
    messages.success(request, words)
    return redirect(signed)


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
        "groups": signed.groups.select_related("group")[:GROUPS],
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
