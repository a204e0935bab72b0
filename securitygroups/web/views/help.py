"""How security groups decide, and how rules are enforced."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from securitygroups.firewall.protocols import PROTOCOLS


@require_safe
def help_page(request: HttpRequest) -> HttpResponse:
    return render(request, "securitygroups/help/page.html", {"protocols": PROTOCOLS.values()})


@require_safe
def help_enforcement(request: HttpRequest) -> HttpResponse:
    """How rules are enforced."""
    return render(request, "securitygroups/help/enforcement.html")
