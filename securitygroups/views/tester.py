"""Test a packet, on a group and on a VM. The evaluator decides; this shows what it says.

Imports access, forms, web and firewall; called by urls.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from securitygroups.access import enter, find_group, find_machine
from securitygroups.firewall.decide import decide
from securitygroups.forms import PacketForm
from securitygroups.models import Rule, VirtualMachine, effective_rules, values
from securitygroups.web import FORM_INVALID, answer

TRACE_LIMIT = 1_000


def _initial(request: HttpRequest, machine: VirtualMachine | None) -> dict[str, Any]:
    """What the address bar says, and the VM's own address where it says nothing."""
    initial: dict[str, Any] = {"direction": "in", "protocol": "tcp"}
    initial |= {name: request.GET[name] for name in PacketForm.base_fields if name in request.GET}
    if machine:
        own = "destination" if initial["direction"] == "in" else "source"
        other = initial.get("source" if own == "destination" else "destination", "")
        initial.setdefault(own, (machine.ipv6 if ":" in other else machine.ipv4) or machine.ipv6 or "")
    return initial


def _test(
    request: HttpRequest, rows: list[Rule], context: dict[str, Any], machine: VirtualMachine | None = None
) -> HttpResponse:
    asked = "test" in request.GET
    form = PacketForm(request.GET) if asked else PacketForm(initial=_initial(request, machine))
    status = 200
    if asked and form.is_valid():
        decision = decide(values(rows), form.packet)
        steps = [{"step": step, "row": rows[step.place - 1]} for step in decision.steps]
        context |= {
            "decision": decision,
            "packet": form.packet,
            "steps": steps,
            "deciding": rows[decision.rule - 1] if decision.rule else None,
        }
    elif asked:
        status = FORM_INVALID
    return answer(
        request, "securitygroups/test.html", "securitygroups/_test.html", context | {"form": form}, status=status
    )


@require_safe
def group_test(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    access = enter(request, slug)
    group = find_group(access, group_id)
    rows = list(group.rules.in_order())
    for row in rows:
        row.group = group
    context = {"group": group, "tab": "test", "total": len(rows), "machine_count": group.attachments.count()}
    return _test(request, rows, context)


@require_safe
def machine_test(request: HttpRequest, slug: str, machine_id: str) -> HttpResponse:
    access = enter(request, slug)
    machine = find_machine(access, machine_id)
    rows = effective_rules(machine)
    for row in rows:
        row.group.project = access.project
    return _test(request, rows, {"machine": machine, "tab": "test", "total": len(rows)}, machine)
