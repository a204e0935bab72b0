"""Everything of a project that has what was typed: groups, VMs, rules, cases, templates, members. Each kind costs one query,
and no more of it is counted than fits into a sentence."""

import re
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Case, F, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Lower
from django.db.models.lookups import Exact

from securitygroups.answers.desk import about_named
from securitygroups.answers.filters import of_project
from securitygroups.answers.list_filter import IsOneOf, Tags
from securitygroups.firewall.values import BITS, Network, Refused, address_text, parse_network, plain_network
from securitygroups.models import (
    GroupTemplate,
    Membership,
    Project,
    Rule,
    SecurityGroup,
    SupportCase,
    User,
    VirtualMachine,
)

SHOWN = 8
"""Rows of a kind that are shown at once."""
COUNTED = 100
"""Rows of a kind that are counted; of more it is said that there are more."""
SEARCHED = 2_000
"""Rules that are looked through: no index knows the words of a description. Of more, the page of all rules is offered."""


_OTHER_WORDS = re.compile(
    r"(?<!\S)(?!(?:host|ip|ipv[46]|inet6?|addr(?:ess)?|net(?:work)?|mask|netmask|cidr|port|to)\b)[^\W\d_]{2,}(?!\S)",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Found:
    """The first rows of a kind, the best first, and how many there are, as far as they are counted. `beyond`: there are
    more that were not looked through."""

    kind: str
    rows: list[Any]
    count: int
    beyond: bool = False


def _found(kind: str, rows: QuerySet[Any] | list[Any]) -> Found:
    some = list(rows[: COUNTED + 1])
    return Found(kind, some[:SHOWN], len(some))


def best_first(rows: QuerySet[Any], name: str, text: str) -> QuerySet[Any]:
    """The row of just this name first, then those that begin with it, then the others, each by name."""
    rank = Case(
        When(**{f"{name}__iexact": text}, then=Value(0)),
        When(**{f"{name}__istartswith": text}, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    ranked: QuerySet[Any] = rows.alias(rank=rank).order_by("rank", name, "pk")
    return ranked


def groups_like(project: Project, text: str) -> QuerySet[SecurityGroup]:
    rows = SecurityGroup.objects.live().filter(project=project).named_like(text)
    return best_first(rows.only("name", "public_id", "description"), "name", text)


def machines_like(project: Project, text: str) -> QuerySet[VirtualMachine]:
    rows = VirtualMachine.objects.live().filter(project=project).alias(tag_text=Tags())
    return best_first(
        rows.named_like(text, also="tag_text").only("name", "public_id", "ipv4", "ipv6", "tags"), "name", text
    )


def network_of(text: str) -> Network | None:
    """The address or network that was typed; of a VM's address with its prefix, the address. Among other words it is one
    of the things to be found.
    """
    try:
        return parse_network(text)
    except Refused as refused:
        if _OTHER_WORDS.search(text):
            return None
        instead = refused.problem.suggestions
        return plain_network(instead[0]) if instead else None


def machines_in(project: Project, network: Network) -> QuerySet[VirtualMachine]:
    """The VMs that have the address, or one of the network."""
    column = f"ipv{network.version}"
    first, last = (address_text(network.version, end) for end in (network.first, network.last))
    rows = VirtualMachine.objects.live().filter(project=project)
    if first == last:
        return rows.filter(**{column: first})
    return rows.filter(**{f"{column}__gte": first, f"{column}__lte": last}).order_by(column)


def rules_naming(project: Project, network: Network) -> list[Rule]:
    """Rules that name the address, or a network around it, the narrowest first; not those that name all addresses."""
    bits = BITS[network.version]
    prefixes = range(network.prefix, 0, -1) if network.prefix else (0,)
    around = [Network(network.version, network.first >> (bits - n) << (bits - n), n) for n in prefixes]
    rows = Rule.objects.filter(group__project=project, group__deleted_at=None).select_related("group")
    named = rows.filter(Q(source__in=around) | Q(destination__in=around))[: COUNTED + 1]

    def prefix(rule: Rule) -> int:
        return max(end.prefix for end in (rule.source, rule.destination) if isinstance(end, Network) and end in around)

    return sorted(named, key=lambda rule: (-prefix(rule), rule.group.name, rule.position))


def about_address(project: Project, network: Network) -> list[Found]:
    """Who has the address, and the rules that name it."""
    return [
        _found("Virtual Machines", machines_in(project, network)),
        _found("Rules that name it", rules_naming(project, network)),
    ]


def find(project: Project, text: str) -> list[Found]:
    """What has the text, by kind. An address finds who has it, and the rules that name it."""
    network = network_of(text)
    if network is not None:
        return about_address(project, network)
    return [
        _found("Security Groups", groups_like(project, text)),
        _found("Virtual Machines", machines_like(project, text)),
        _rules(project, text),
        _cases(project, text),
        _found("Templates", _templates(project, text)),
        _found("Members", _members(project, text)),
    ]


def _rules(project: Project, text: str) -> Found:
    live = Rule.objects.filter(group__project=project, group__deleted_at=None).order_by()
    # Joined to a list instead, the database would look through all the rules of the project.
    some = IsOneOf(F("pk"), ArraySubquery(live.values("pk")[:SEARCHED]))
    found = _found("Rules", of_project(project, text).filter(some).order_by("group_id", "position"))
    beyond = found.count <= COUNTED and live[: SEARCHED + 1].count() > SEARCHED
    return Found(found.kind, found.rows, found.count, beyond)


def _cases(project: Project, text: str) -> Found:
    named = about_named(project, Exact(Lower("name"), text.lower()))
    rows = SupportCase.objects.filter(project=project)
    rows = rows.filter(named | Q(public_id=text.lower()) | Q(ticket__icontains=text))
    # The keys first: what is joined to the rows is read for those that are shown.
    keys = list(rows.values_list("pk", flat=True)[: COUNTED + 1])
    shown = rows.filter(pk__in=keys[:SHOWN]).select_related("machine", "group").defer("rules", "packet")
    return Found("Support cases", list(shown) if keys else [], len(keys))


def _templates(project: Project, text: str) -> QuerySet[GroupTemplate]:
    rows = GroupTemplate.objects.filter(Q(project=project) | Q(project=None)).defer("rules")
    return best_first(rows.filter(Q(name__icontains=text) | Q(description__icontains=text)), "name", text)


def _members(project: Project, text: str) -> QuerySet[Membership]:
    named = Q()
    for column in ("username", "first_name", "last_name", "email"):
        named |= Q(**{f"user__{column}__icontains": text})
    rows = Membership.objects.filter(project=project).select_related("user")
    return best_first(rows.filter(named), "user__username", text)


def projects_like(user: User, text: str) -> Found:
    """The person's projects that have the text in their name or address; all without one."""
    rows = Project.objects.visible_to(user)
    if text:
        rows = rows.filter(Q(name__icontains=text) | Q(slug__icontains=text))
    return _found("Projects", best_first(rows, "name", text))
