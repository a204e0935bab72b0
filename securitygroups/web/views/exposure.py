"""What can be reached in a project: from the internet, a port of one VM, and between its VMs."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from karenpanel import turns
from securitygroups.access import Access
from securitygroups.answers import exposure as exposures
from securitygroups.answers import internet
from securitygroups.answers.exposure import Reach
from securitygroups.effective import TooLarge, of_machine, vms
from securitygroups.forms.exposure import BetweenForm, SendersForm
from securitygroups.models import VirtualMachine
from securitygroups.web.doors import enter
from securitygroups.web.pages import FORM_INVALID, answer, typed
from securitygroups.web.pictures import EACH, draw

TABS = (("internet", "From the internet"), ("senders", "Who reaches a port"), ("between", "Between VMs"))
SIDE = 60
"""Lines and columns of one picture."""
LINES = 50
"""Lines of the internet's table on a page."""
SUGGESTED = 200
"""Names that the VM field proposes."""


@dataclass(frozen=True, slots=True)
class Side:
    """The senders or the receivers shown, with the ways to the others."""

    name: str
    page: Page[Any]
    previous: str
    next: str


def _side(request: HttpRequest, name: str, reach: Reach) -> Side:
    page = Paginator(range(len(reach.bundles)), SIDE).get_page(request.GET.get(name))
    query = request.GET.copy()

    def link(number: int) -> str:
        query[name] = str(number)
        return f"?{query.urlencode()}"

    return Side(
        name,
        page,
        link(page.number - 1) if page.has_previous() else "",
        link(page.number + 1) if page.has_next() else "",
    )


def _internet(request: HttpRequest, access: Access) -> dict[str, Any]:
    query = typed(request, "q", 100)
    context: dict[str, Any] = {"query": query}
    try:
        found = internet.look(access.project, query)
        context |= {"found": found, "page": Paginator(found.openings, LINES).get_page(request.GET.get("page"))}
    except TooLarge as large:
        context["too_large"] = large.rules
    return context


def _senders(request: HttpRequest, access: Access) -> tuple[dict[str, Any], int]:
    asked = "vm" in request.GET
    form = SendersForm(access.project, request.GET if asked else None, initial={"protocol": "tcp", "port": 22})
    everybody = VirtualMachine.objects.live().filter(project=access.project)
    # Suggestions only: any other name can be typed.
    names = everybody.order_by("name").values_list("name", flat=True)
    context: dict[str, Any] = {"form": form, "names": names[:SUGGESTED]}
    if not asked:
        return context, 200
    if not form.is_valid():
        return context, FORM_INVALID
    vm = form.cleaned_data["vm"]
    vm.project = access.project
    lines = exposures.senders(
        vm,
        of_machine(vm),
        form.cleaned_data["protocol"],
        form.cleaned_data["port"],
        vms(everybody.order_by("name")),
    )
    context |= {"machine": vm, "lines": lines, "asked": form.words, "world": any(line.everyone for line in lines)}
    return context, 200


def _between(request: HttpRequest, access: Access) -> tuple[dict[str, Any], int]:
    form = BetweenForm({"protocol": "tcp", "port": "22", "family": "4", "by": "auto"} | request.GET.dict())
    context: dict[str, Any] = {"form": form, "most": exposures.MAX_MATRIX, "each": EACH}
    if not form.is_valid():
        return context, FORM_INVALID
    data = form.cleaned_data
    rows = exposures.chosen(access.project, data["q"].strip())
    total = rows.count()
    try:
        land = exposures.load(rows, limit=exposures.MAX_MATRIX)
    except TooLarge as large:
        return context | {"too_large": large.rules}, 200
    each = data["by"] == "vm" or (data["by"] == "auto" and len(land.machines) <= EACH)
    found = exposures.reach(land, data["protocol"], data["port"], int(data["family"]), each=each)
    context |= {
        "asked": form.words,
        "test": urlencode(
            {name: data[name] for name in ("protocol", "port") if data[name] is not None} | {"test": "1"}
        ),
        "family": data["family"],
        "total": total,
        "compared": len(land.machines),
        "one_each": each,
        "pairs": int(found.pairs.sum()),
        "reached": int(found.reaches.sum()),
        **_part(request, found),
    }
    return context, 200


def _part(request: HttpRequest, found: Reach) -> dict[str, Any]:
    """The part of the matrix that fits on a page, as a table and as a picture."""
    senders, receivers = _side(request, "senders", found), _side(request, "receivers", found)
    rows, columns = (list(side.page.object_list) for side in (senders, receivers))
    cells = [[found.cell(row, column) for column in columns] for row in rows]
    lines, heads = ([found.bundles[at] for at in some] for some in (rows, columns))
    return {
        "sides": [senders, receivers] if senders.page.paginator.num_pages > 1 else [],
        "columns": heads,
        "table": list(zip(lines, cells, strict=True)),
        "picture": draw(lines, heads, cells) if lines else None,
    }


@require_safe
def exposure(request: HttpRequest, slug: str) -> HttpResponse:
    """?show= chooses between what the internet reaches, who reaches a port, and who reaches whom."""
    access = enter(request, slug)
    if internet.is_large(access.project):
        # Before anything is read: by many at once even what is known already would be dear.
        turns.take()
    show = request.GET.get("show", "")
    status = 200
    if show == "senders":
        context, status = _senders(request, access)
    elif show == "between":
        context, status = _between(request, access)
    else:
        show, context = "internet", _internet(request, access)
    context |= {"show": show, "tabs": TABS}
    return answer(
        request, "securitygroups/exposure/page.html", "securitygroups/exposure/_page.html", context, status=status
    )
