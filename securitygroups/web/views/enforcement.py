"""What a VM's rules become on its host: the compiled ruleset, nft's opinion of it, and the help page about it."""

from dataclasses import dataclass, replace
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from securitygroups.access import enter, find_machine
from securitygroups.enforcement import check as nft
from securitygroups.firewall.nftables.ruleset import TAP_PATTERN, Machine, Target, Unenforceable, platform_lines
from securitygroups.firewall.nftables.ruleset import machine_ruleset as compiled
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.models import VirtualMachine, effective_rules, values
from securitygroups.web.pages import FORM_INVALID

PLACEHOLDER = "tap0"
SHOWN_LINES = 1_500
"""Lines of the page; the file has all of them."""
CHECK_SECONDS = 4.0
# libvirt names the taps that it makes so: as safe to assume as tap*, and no other interface begins like this.
_KNOWN_PATTERNS = ("vnet*",)


@dataclass(frozen=True, slots=True)
class Platform:
    """One thing that the platform does before every VM's rules, in one or both directions; `why` is its first sentence."""

    action: Action
    directions: tuple[Direction, ...]
    why: str


def platform(target: Target = Target.BRIDGE) -> list[Platform]:
    """The platform's own lines for people: both families of DHCP, and both directions of the same, in one."""
    found: dict[str, Platform] = {}
    for line in platform_lines(target):
        what = line.what.rstrip("46")
        one = found.get(what) or Platform(line.action, (), line.why.partition(". ")[0].removesuffix(".") + ".")
        found[what] = replace(one, directions=tuple(dict.fromkeys((*one.directions, line.direction))))
    return list(found.values())


def _pattern(machine: VirtualMachine) -> str:
    """What the names of all taps of the host begin with, as far as the VM's own tells."""
    known = (pattern for pattern in _KNOWN_PATTERNS if machine.tap.startswith(pattern[:-1]))
    return next(known, TAP_PATTERN)


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
    taps = request.GET.get("taps", "").strip()[:40] or _pattern(vm)
    host_machine = Machine(vm.public_id, vm.tap or PLACEHOLDER, vm.name, vm.ipv4, vm.ipv6)
    context: dict[str, Any] = {
        "machine": vm,
        "tab": "ruleset",
        "targets": [(one.value, one.label) for one in Target],
        "target": target.value,
        "taps": taps,
        "placeholder": "" if vm.tap else PLACEHOLDER,
    }
    status = 200
    try:
        text = compiled(host_machine, values(effective_rules(vm)), target, taps)
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


@require_safe
def help_enforcement(request: HttpRequest) -> HttpResponse:
    """How rules are enforced."""
    return render(request, "securitygroups/help/enforcement.html")
