"""What a VM's rules become on its host: the compiled ruleset, nft's opinion of it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from securitygroups.access import find_machine
from securitygroups.enforcement import applied
from securitygroups.enforcement import check as nft
from securitygroups.enforcement.host import PLACEHOLDER, compiled, interface_of, tap_pattern
from securitygroups.firewall.nftables import Target, Unenforceable
from securitygroups.web.doors import enter
from securitygroups.web.pages import FORM_INVALID

SHOWN_LINES = 1_500
"""Lines of the page; the file has all of them."""
CHECK_SECONDS = 4.0


def _target(request: HttpRequest) -> Target:
    try:
        return Target(request.GET.get("target", Target.BRIDGE))
    except ValueError:
        return Target.BRIDGE


@require_safe
def machine_ruleset(request: HttpRequest, slug: str, machine_id: str) -> HttpResponse:
    """The VM's effective list as an nftables ruleset: shown, with ?download as a file, with ?check asked of nft."""
    access = enter(request, slug)
    vm = find_machine(access, machine_id)
    target = _target(request)
    taps = request.GET.get("taps", "").strip()[:40] or tap_pattern(vm)
    context: dict[str, Any] = {
        "machine": vm,
        "tab": "ruleset",
        "standing": applied.of_machine(vm),
        "targets": [(one.value, one.label) for one in Target],
        "target": target.value,
        "taps": taps,
        "placeholder": "" if interface_of(vm) else PLACEHOLDER,
    }
    status = 200
    try:
        text = compiled(vm, target, taps)
    except Unenforceable as error:
        context["refused"] = str(error)
        status = FORM_INVALID if "taps" in request.GET else 200
    else:
        if "download" in request.GET:
            headers = {"Content-Disposition": f'attachment; filename="{vm.public_id}-{target.value}.nft"'}
            return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=headers)
        lines = text.splitlines(keepends=True)
        context |= {
            "text": "".join(lines[:SHOWN_LINES]),
            "lines": len(lines),
            "hidden": max(0, len(lines) - SHOWN_LINES),
        }
        if "check" in request.GET:
            context |= {"check": nft.check(text, limit=CHECK_SECONDS), "limit": CHECK_SECONDS}
    return render(request, "securitygroups/enforcement/ruleset.html", context, status=status)
