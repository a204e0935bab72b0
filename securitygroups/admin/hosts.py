"""Hosts that hold the rules of VMs: made, changed, enrolled and revoked here, and what each of them has said."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import MaxValueValidator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from securitygroups import operations
from securitygroups.admin.base import List, ThroughOperations, by, client_of, freshly
from securitygroups.admin.columns import clock
from securitygroups.admin.placing import LeadsToPlaces
from securitygroups.enforcement import applied, keys
from securitygroups.fields import LineFormField
from securitygroups.models import Host, Placement, VirtualMachine
from securitygroups.operations.hosts import SETTINGS, TOKEN_GOOD
from securitygroups.words import hosts as words

SHOWN = 200
"""VMs, interfaces and conflicts of a host on its page."""
FORM_INVALID = 422


class HostForm(forms.ModelForm[Host]):
    """Its settings, and why they are changed."""

    reason = LineFormField(
        label="Reason for the change",
        max_length=255,
        help_text="On record beside the change.",
        error_messages={"required": "Type why this is changed: it is on record beside the change."},
    )

    class Meta:
        model = Host
        fields = SETTINGS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "name" in self.fields:
            self.fields[
                "name"
            ].help_text = "As its people call it, such as kvm-3. Customers read it on the pages of their VMs."
        if "target" in self.fields:
            self.fields["target"].help_text = "The help has what each of them means, under How rules are enforced."
        if "log" in self.fields:
            self.fields["log"].validators.append(MaxValueValidator(65535, "Type a number from 0 to 65535."))
        if not self.instance.pk:
            # Why it was made, its being there says.
            self.fields.pop("reason", None)


class RevokeForm(forms.Form):
    """Why a host is told nothing from now on."""

    reason = HostForm.base_fields["reason"]


class HostList(List):
    """Each host with what it has said of its VMs, in two queries for all rows of the page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        told = applied.of_hosts(rows)
        newest = _newest_agent()
        for row in rows:
            row.standing, row.newest_agent = told[row.pk], newest
        self.result_list = rows


def _newest_agent() -> str:
    """The newest version that an agent which is answered has said it is of, which most of them should be."""
    said = Host.objects.filter(revoked_at=None).exclude(agent="").order_by().values_list("agent", flat=True).distinct()
    return max(said[:1000], key=_version, default="")


def _version(text: str) -> list[int]:
    return [int(part) if part.isdecimal() else 0 for part in text.split(".")]


def _bad(text: str) -> SafeString:
    return format_html('<strong class="attention">{}</strong>', text)


@admin.register(Host)
class HostAdmin(LeadsToPlaces, ThroughOperations):
    """A machine that asks for the rules of its VMs. Of the secret that enrols it nothing is kept to be shown; it is revoked, and
    never deleted."""

    form = HostForm
    change_form_template = "admin/host.html"
    list_display = (*("name", "connected", "vms", "in_force", "seen", "errors", "drifted", "agent_version", "waiting"),)
    search_fields = ("<public_id", "^name")
    search_help_text = "The beginning of the name or of the ID."
    ordering = ("name", "pk")
    sortable_by = ("name",)
    ABOUT: ClassVar[tuple[str, ...]] = (
        "public_id",
        "created_at",
        "enrolled_at",
        "revoked_at",
        "agent",
        "kernel",
        "clock",
    )
    sections = (
        ("VMs", ("about_agent", "machines", "not_placed")),
        ("Settings", (*SETTINGS, "reason")),
        ("What it says of itself", ("interfaces", *ABOUT, "samples_missed")),
    )

    # ── The list ──

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[HostList]:
        return HostList

    @admin.display(description="Target")
    def connected(self, host: Host) -> str:
        return host.target

    @admin.display(description="VMs")
    def vms(self, host: Any) -> int:
        return int(host.standing.total)

    @admin.display(description="In force")
    def in_force(self, host: Any) -> str | SafeString:
        on, of = host.standing.in_force, host.standing.total
        if not of:
            return "–"
        # In one piece, however narrow the column is.
        told = f"{on}\N{NO-BREAK SPACE}of\N{NO-BREAK SPACE}{of}"
        return told if on == of else _bad(told)

    @admin.display(description="Heard of")
    def seen(self, host: Any) -> str | SafeString:
        return _heard(host)

    @admin.display(description="Refused")
    def errors(self, host: Any) -> str | SafeString:
        return _bad(str(host.standing.refused)) if host.standing.refused else "–"

    @admin.display(description="Changed by hand")
    def drifted(self, host: Any) -> str | SafeString:
        return _bad(str(host.standing.drifted)) if host.standing.drifted else "–"

    @admin.display(description="Agent")
    def agent_version(self, host: Any) -> str | SafeString:
        if not host.agent or _version(host.agent) == _version(host.newest_agent):
            return host.agent or "–"
        return format_html("<span>{} {}</span>", host.agent, _bad(f"older than {host.newest_agent}"))

    @admin.display(description="Conflicts")
    def waiting(self, host: Any) -> str | SafeString:
        return _bad(str(len(host.conflicts))) if host.conflicts else "–"

    # ── The page ──

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("about_agent", "machines", "not_placed", "interfaces", *self.ABOUT, "samples_missed") if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return super().get_fieldsets(request, obj) if obj else [(None, {"fields": SETTINGS})]

    @admin.display(description="Its agent")
    def about_agent(self, host: Host) -> SafeString:
        """Whether it is heard of, and where it is not, what to do next."""
        over = host.token_until is None or host.token_until <= timezone.now()
        return _drawn(
            "admin/host_state.html", host=host, heard=_heard(host), offered=None if over else host.token_until
        )

    @admin.display(description="On it")
    def machines(self, host: Host) -> SafeString:
        """Each VM with where its rules stand."""
        now = timezone.now()
        standings = applied.of_host(host)
        rows = Placement.objects.filter(host=host, machine__in=[one.machine for one in standings[:SHOWN]])
        places = {row.machine_id: row for row in rows.select_related("machine__project")}
        shown = [(one, places[one.machine], one.sentence(clock, now)) for one in standings if one.machine in places]
        return _drawn("admin/host_machines.html", host=host, rows=shown, more=len(standings) - len(shown))

    @admin.display(description="Conflicts")
    def not_placed(self, host: Host) -> SafeString:
        """What it said of its interfaces that places no VM."""
        rows = host.conflicts[:SHOWN]
        known = _machines_called([row["vm"] for row in rows])
        return _drawn("admin/host_conflicts.html", host=host, rows=[(row, known.get(row["vm"])) for row in rows])

    @admin.display(description="Interfaces")
    def interfaces(self, host: Host) -> SafeString:
        """Its inventory, as it was said last."""
        said = host.inventory
        rows = [*(said or ())][:SHOWN]
        return _drawn(
            "admin/host_inventory.html", host=host, rows=rows, more=len(said or ()) - len(rows), said=said is not None
        )

    @admin.display(description="Samples missed")
    def samples_missed(self, host: Host) -> str:
        return f"{host.missed:,} dropped packets were more than it could tell." if host.missed else "None"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # What is on record names it.
        return False

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        # The digest is in no form; asked for letter by letter it would be read all the same.
        return not lookup.startswith(("token_", "key")) and super().lookup_allowed(lookup, value, request)

    @freshly
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return super().changeform_view(request, *args, **kwargs)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().change_view(request, object_id, *args, **kwargs)
        if (context := getattr(response, "context_data", None)) and isinstance(context.get("original"), Host):
            context["may_change"] = self.has_change_permission(request)
        return response

    def save_model(self, request: HttpRequest, obj: Host, form: Any, change: bool) -> None:
        fields = {name: form.cleaned_data[name] for name in SETTINGS}
        client = client_of(request)
        if change:
            # `obj` has the form's values already; what is written is the difference to what is stored.
            who = by(request, form.cleaned_data["reason"])
            operations.change_host(host=Host.objects.get(pk=obj.pk), fields=fields, by=who, client=client)
            return
        made, request.secret = operations.make_host(fields=fields, by=by(request), client=client)  # type: ignore[attr-defined]
        obj.pk, obj.public_id = made.pk, made.public_id
        obj._state.adding = False

    def response_add(self, request: HttpRequest, obj: Host, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._enrolment(request, Host.objects.get(pk=obj.pk), request.secret)  # type: ignore[attr-defined]

    # ── Its agent comes, and goes ──

    def get_urls(self) -> list[URLPattern]:
        def view(page: Any) -> Any:
            return self.admin_site.admin_view(page)

        return [
            path("<int:pk>/enrol/", view(self.enrol_view), name="securitygroups_host_enrol"),
            path("<int:pk>/revoke/", view(self.revoke_view), name="securitygroups_host_revoke"),
            *super().get_urls(),
        ]

    def _host(self, request: HttpRequest, pk: int) -> Host:
        """Raises PermissionDenied, Http404."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        return get_object_or_404(Host, pk=pk)

    def _back(self, host: Host) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("admin:securitygroups_host_change", args=[host.pk]))

    @freshly
    def enrol_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Another line to run on the host; the one before is good for nothing then."""
        host = self._host(request, pk)
        if request.method != "POST":
            return self._back(host)
        secret = operations.offer_enrolment(host=host, by=by(request), client=client_of(request))
        self.log_change(request, host, "Offered enrolment.")
        host.refresh_from_db()
        return self._enrolment(request, host, secret)

    def _enrolment(self, request: HttpRequest, host: Host, secret: str) -> HttpResponse:
        """The only page that has the secret."""
        url = request.build_absolute_uri("/").rstrip("/")
        line = f"karenpanel-agent enrol {url} --key {keys.public()} --host {host.public_id} --token {secret}"
        context = {
            **self.page_context(request, f"Enrol {host}"),
            "object": host,
            "host": host,
            "line": line,
            "until": host.token_until,
            "minutes": int(TOKEN_GOOD.total_seconds()) // 60,
        }
        return TemplateResponse(request, "admin/host_enrol.html", context)

    @freshly
    def revoke_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, and say what it means; with a reason it is done."""
        host = self._host(request, pk)
        form = RevokeForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            try:
                who = by(request, form.cleaned_data["reason"])
                operations.revoke_host(host=host, by=who, client=client_of(request))
            except ValidationError as refusal:
                form.add_error("reason", refusal.messages[0])
            else:
                self.log_change(request, host, "Revoked.")
                messages.success(
                    request, f"{host} was revoked: it is told nothing from now on. What it has loaded stays there."
                )
                return self._back(host)
        standing = applied.of_hosts([host])[host.pk]
        context = {
            **self.page_context(request, f"Revoke {host}?"),
            "object": host,
            "host": host,
            "form": form,
            "problem": "reason" in form.errors,
            "standing": standing,
            "media": self.media,
        }
        return TemplateResponse(request, "admin/host_revoke.html", context, status=FORM_INVALID if form.errors else 200)


def _heard(host: Host) -> str | SafeString:
    """When it was heard of last, or why it is not."""
    if host.revoked_at is not None:
        return "Revoked"
    if not host.key:
        return _bad("Never: no agent yet")
    silence = host.silent_for(timezone.now())
    said = words.ago(int(silence.total_seconds()))
    return _bad(f"Silent, {said}") if silence > applied.SILENT else said


def _machines_called(names: Sequence[str]) -> dict[str, VirtualMachine]:
    """The VM that each of these words is the ID of, or, where one VM alone has it, the external ID (one query)."""
    if not names:
        return {}
    # As the index of external IDs has it, which is only asked where this is said.
    meant = Q(public_id__in=names) | ~Q(external_id="") & Q(external_id__in=names)
    found: dict[str, VirtualMachine] = {}
    twice: set[str] = set()
    for machine in VirtualMachine.objects.live().filter(meant).order_by("pk")[: 2 * SHOWN]:
        if machine.external_id in found:
            twice.add(machine.external_id)
        found[machine.external_id] = machine
        found[machine.public_id] = machine
    return {name: machine for name, machine in found.items() if name and name not in twice}


def _drawn(template: str, **context: Any) -> SafeString:
    return render_to_string(template, context)
