"""What can be reached in a project: from the internet, a port of one VM, and between its VMs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.paginator import Page, Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from securitygroups.access import Access
from securitygroups.answers import exposure as exposures
from securitygroups.answers.exposure import Bundle, Cell, Reach, State
from securitygroups.effective import TooLarge, of_machine
from securitygroups.firewall.protocols import MAX_PORT
from securitygroups.firewall.values import Refused, address_text, parse_address
from securitygroups.forms import PortField
from securitygroups.models import VirtualMachine
from securitygroups.web.doors import enter
from securitygroups.web.pages import FORM_INVALID, answer
from securitygroups.words.rules import ports_text

TABS = (("internet", "From the internet"), ("senders", "Who reaches a port"), ("between", "Between VMs"))
PROTOCOLS = (("tcp", "TCP"), ("udp", "UDP"), ("sctp", "SCTP"), ("icmp", "ICMP (ping)"))
SIDE = 60
"""Lines and columns of one picture."""
EACH = 24
"""Up to so many VMs each have a line of their own, unless asked otherwise."""
LINES = 50
"""Lines of the internet's table on a page."""
SUGGESTED = 200
"""Names that the VM field proposes."""


class AskForm(forms.Form):
    """A protocol and a port, sent by GET so that the answer's address can be passed on."""

    protocol = forms.ChoiceField(label="Protocol", choices=PROTOCOLS)
    port = PortField(label="Port", required=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["port"].error_messages["required"] = "Type the port, such as 443."
        if self["protocol"].value() == "icmp":
            self.fields["port"].required = False
            self.fields["port"].help_text = "ICMP has none."

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        port = cleaned.get("port")
        if cleaned.get("protocol") == "icmp":
            cleaned["port"] = None
        elif port is not None and not 0 <= port <= MAX_PORT:
            self.add_error("port", f"Type a port from 0 to {MAX_PORT}.")
        return cleaned

    @property
    def words(self) -> str:
        """What was asked for: "TCP port 22 (SSH)"."""
        protocol, port = self.cleaned_data["protocol"], self.cleaned_data["port"]
        name = dict(PROTOCOLS)[protocol].partition(" ")[0]
        return name if port is None else f"{name} {ports_text(port, port, protocol)}"


class SendersForm(AskForm):
    """Which port of which VM."""

    field_order = ["vm", "protocol", "port"]
    vm = forms.CharField(
        label="Virtual machine",
        max_length=200,
        help_text="Its name, an address or its ID.",
        error_messages={"required": "Type the VM's name, an address or its ID."},
        widget=forms.TextInput(attrs={"list": "vm-names", "autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, access: Access, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._machines = VirtualMachine.objects.live().filter(project=access.project)

    def clean_vm(self) -> VirtualMachine:
        """The VM of the project that the text names."""
        text = self.cleaned_data["vm"].strip()
        wanted = Q(public_id__iexact=text) | Q(name__iexact=text)
        try:
            version, number = parse_address(text)
            wanted |= Q(**{f"ipv{version}": address_text(version, number)})
        except Refused:
            pass
        found = list(self._machines.filter(wanted)[:2])
        if len(found) != 1:
            what = "Two VMs fit this" if found else "The project has no VM of this name, address or ID"
            raise ValidationError(
                f"{what}: choose one of the names that are proposed, or copy it from Virtual Machines."
            )
        return found[0]  # type: ignore[no-any-return]


class BetweenForm(AskForm):
    """Which VMs, in which family, and how they are put into lines."""

    family = forms.ChoiceField(label="Addresses", choices=[("4", "IPv4"), ("6", "IPv6")])
    by = forms.ChoiceField(
        label="Lines",
        choices=[("auto", "Automatic"), ("vm", "One for each VM"), ("groups", "VMs with equal groups together")],
    )
    q = forms.CharField(
        label="Only VMs with",
        required=False,
        max_length=100,
        help_text="In their name, description or a group's name.",
    )


# ── The picture ───────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Label:
    """A name beside a line or above a column."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Tip:
    """What a pointer over a field is told."""

    x: int
    y: int
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """The matrix as an SVG: one path for all fields of a state, so that thousands of them stay small."""

    width: int
    height: int
    cell: int
    left: int
    top: int
    across: int
    down: int
    rows: list[Label]
    columns: list[Label]
    paths: list[tuple[str, str]]
    tips: list[Tip]


def _shape(state: State, x: int, y: int, cell: int) -> str:
    """A shape of its own for every state: nothing is told by colour alone."""
    one, far = 2, cell - 2
    middle, small = cell / 2, 2
    shapes = {
        State.ALL: f"M{x + one} {y + one}h{far - one}v{far - one}h-{far - one}z",
        State.SOME: f"M{x + one} {y + one}v{far - one}h{far - one}z",
        State.NONE: f"M{x + middle - small} {y + middle - small}h{2 * small}v{2 * small}h-{2 * small}z",
        State.SELF: f"M{x + one + 1} {y + far - 1}L{x + far - 1} {y + one + 1}",
        State.ABSENT: f"M{x + 5} {y + 5}l{cell - 10} {cell - 10}m-{cell - 10} 0l{cell - 10} -{cell - 10}",
    }
    return shapes[state]


def _short(text: str, longest: int = 22) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def draw(rows: Sequence[Bundle], columns: Sequence[Bundle], cells: Sequence[Sequence[Cell]]) -> Picture:
    """The picture of a part of the matrix. Sizes are in CSS pixels."""
    longest = max(len(rows), len(columns))
    cell = next((size for most, size in ((EACH / 2, 28), (EACH, 22), (45, 16)) if longest <= most), 13)
    names = [_short(bundle.label) for bundle in rows], [_short(bundle.label) for bundle in columns]
    left, top = (12 + 7 * max((len(name) for name in side), default=0) for side in names)
    paths: dict[State, list[str]] = {}
    tips = []
    for row, line in enumerate(cells):
        for column, one in enumerate(line):
            x, y = left + column * cell, top + row * cell
            paths.setdefault(one.state, []).append(_shape(one.state, x, y, cell))
            if longest <= EACH:
                tips.append(Tip(x, y, f"{rows[row].label} → {columns[column].label}: {one.why}"))
    return Picture(
        width=left + cell * len(columns) + 12,
        height=top + cell * len(rows) + 4,
        cell=cell,
        left=left,
        top=top,
        across=cell * len(columns),
        down=cell * len(rows),
        rows=[Label(left - 8, top + row * cell + cell / 2, name) for row, name in enumerate(names[0])],
        columns=[Label(left + column * cell + cell / 2, top - 8, name) for column, name in enumerate(names[1])],
        paths=[(state.value, "".join(parts)) for state, parts in paths.items()],
        tips=tips,
    )


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


# ── The page ──────────────────────────────────────────────────────────────────


def _first(machines: Iterable[VirtualMachine], project: Any) -> list[VirtualMachine]:
    """Machines that know their project, whose address their links need."""
    found = list(machines)
    for vm in found:
        vm.project = project
    return found


def _internet(request: HttpRequest, access: Access) -> dict[str, Any]:
    query = request.GET.get("q", "").strip()[:100]
    context: dict[str, Any] = {"query": query}
    try:
        found = exposures.internet(exposures.load(exposures.chosen(access.project, query)))
        context |= {"found": found, "page": Paginator(found.openings, LINES).get_page(request.GET.get("page"))}
    except TooLarge as large:
        context["too_large"] = large.rules
    return context


def _senders(request: HttpRequest, access: Access) -> tuple[dict[str, Any], int]:
    asked = "vm" in request.GET
    form = SendersForm(access, request.GET if asked else None, initial={"protocol": "tcp", "port": 22})
    everybody = VirtualMachine.objects.live().filter(project=access.project)
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
        everybody.only("public_id", "name", "ipv4", "ipv6").order_by("name"),
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
    reach = exposures.reach(land, data["protocol"], data["port"], int(data["family"]), each=each)
    senders, receivers = _side(request, "senders", reach), _side(request, "receivers", reach)
    cells = [[reach.cell(row, column) for column in receivers.page.object_list] for row in senders.page.object_list]
    lines = [reach.bundles[row] for row in senders.page.object_list]
    columns = [reach.bundles[column] for column in receivers.page.object_list]
    context |= {
        "asked": form.words,
        "family": data["family"],
        "total": total,
        "compared": len(land.machines),
        "one_each": each,
        "pairs": int(reach.pairs.sum()),
        "reached": int(reach.reaches.sum()),
        "sides": [senders, receivers] if senders.page.paginator.num_pages > 1 else [],
        "columns": columns,
        "table": list(zip(lines, cells, strict=True)),
        "picture": draw(lines, columns, cells) if lines else None,
    }
    for bundle in {*lines, *columns}:
        _first(bundle.machines[:1], access.project)
    return context, 200


@require_safe
def exposure(request: HttpRequest, slug: str) -> HttpResponse:
    """?show= chooses between what the internet reaches, who reaches a port, and who reaches whom."""
    access = enter(request, slug)
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
