"""How security groups decide, how rules are enforced, and examples that one click puts into a form."""

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from securitygroups.access import groups_to_change
from securitygroups.firewall.protocols import PROTOCOLS
from securitygroups.forms import SCOPES, RuleForm
from securitygroups.models import SecurityGroup, User
from securitygroups.web.pages import typed

OFFERED = 50
"""Groups that an example can be used in, of those that fit."""

SYSTEMS = (
    ("This panel", "", "A group's JSON, CSV or Excel file, or all groups of a project as one JSON file."),
    ("Spreadsheets", "", "Excel, OpenDocument or CSV: a row for each rule, with the names of the columns above them."),
    ("AWS", "aws ec2 describe-security-groups > groups.json", ""),
    ("OpenStack", "openstack security group rule list --long -f json web > web.json", "One group in each file."),
    ("Azure", "az network nsg list > nsg.json", ""),
    ("Google Cloud", "gcloud compute firewall-rules list --format=json > rules.json", ""),
    ("Hetzner Cloud", "hcloud firewall list -o json > firewalls.json", ""),
    ("DigitalOcean", "doctl compute firewall list -o json > firewalls.json", ""),
    ("Scaleway", "scw instance security-group get ID -o json > group.json", "One group in each file."),
    (
        "Terraform",
        "terraform show -json > state.json",
        "Or terraform.tfstate itself: the groups of these clouds, with the values that they have.",
    ),
    ("CloudStack", "cmk -o json list securitygroups > groups.json", "Network ACLs: cmk -o json list networkacls."),
    ("OPNsense", "", "The rules as CSV, from Firewall → Rules, or of older rules from the Migration Assistant."),
    ("iptables", "iptables-save > rules.v4", "For IPv6: ip6tables-save."),
    ("nftables", "nft -j list ruleset > ruleset.json", ""),
    ("ufw", "ufw status verbose > ufw.txt", ""),
    ("firewalld", "firewall-cmd --list-all-zones > zones.txt", ""),
    ("Proxmox VE", "cp /etc/pve/firewall/100.fw .", "The file of a VM, or cluster.fw with its security groups."),
)
"""Whose files are read, what makes such a file, and what else there is to say."""


@require_safe
def help_page(request: HttpRequest) -> HttpResponse:
    """?group= is where somebody comes from: an example goes there at once."""
    came_from = _groups(request).filter(public_id=request.GET.get("group", "")).first()
    scopes = [(scope.label, words) for scope, words in SCOPES.items()]
    context = {"protocols": PROTOCOLS.values(), "group": came_from, "use": _add(came_from), "scopes": scopes}
    return render(request, "securitygroups/help/page.html", context)


def _groups(request: HttpRequest) -> QuerySet[SecurityGroup]:
    if not isinstance(request.user, User):
        return SecurityGroup.objects.none()
    return groups_to_change(request.user, strong=request.strong)  # type: ignore[attr-defined]


def _add(group: SecurityGroup | None) -> str:
    if group is None:
        return reverse("help_use")
    return reverse("rule_add", args=[group.project.slug, group.public_id])


@require_safe
def help_use(request: HttpRequest) -> HttpResponse:
    """The group that an example shall go to. The example is the address, and fills in Add Rule."""
    example = QueryDict(mutable=True)
    example.update({name: request.GET[name] for name in RuleForm.Meta.fields if name in request.GET})
    query = typed(request, "q")
    found = _groups(request).filter(name__icontains=query) if query else _groups(request)
    groups = [(group, f"{_add(group)}?{example.urlencode()}") for group in found[:OFFERED]]
    context = {"groups": groups, "query": query, "example": example.items(), "full": len(groups) == OFFERED}
    return render(request, "securitygroups/help/use.html", context)


@require_safe
def help_enforcement(request: HttpRequest) -> HttpResponse:
    """How rules are enforced."""
    return render(request, "securitygroups/help/enforcement.html")


@require_safe
def help_import(request: HttpRequest) -> HttpResponse:
    """Which files of rules are read, and what their report says."""
    return render(request, "securitygroups/help/import.html", {"systems": SYSTEMS})
