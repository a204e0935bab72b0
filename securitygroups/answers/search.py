"""The support desk's one search box: decides by the shape of what was typed, and asks indexes only."""

from dataclasses import dataclass
from typing import Any, ClassVar

from django.db import connection, models
from django.db.models import F, Func, Q, QuerySet
from django.db.models.functions import Greatest, Lower
from django.db.models.lookups import StartsWith

from securitygroups.firewall.values import BITS, Network, Refused, address_text, parse_address, plain_network
from securitygroups.models import Project, Rule, SecurityGroup, SupportCase, SupportVisit, User, VirtualMachine

LIMIT = 25
"""Rows shown of each kind."""


@dataclass(frozen=True, slots=True)
class Found:
    """Results of one kind; `more` tells that there are further ones."""

    kind: str
    rows: list[Any]
    more: bool


@dataclass(frozen=True, slots=True)
class End:
    """A VM that has the address at one end of a packet, and the direction that the packet has for it."""

    machine: VirtualMachine
    direction: str


def projects_of(row: Any) -> set[int]:
    """The keys of the projects that a row of the results is of."""
    if isinstance(row, User):
        return {member.project_id for member in row.memberships.all()}
    if isinstance(row, Project):
        return {row.pk}
    if isinstance(row, End):
        return {row.machine.project_id}
    return {row.group.project_id if isinstance(row, Rule) else row.project_id}


def _some(kind: str, rows: QuerySet[Any]) -> Found:
    found = list(rows[: LIMIT + 1])
    return Found(kind, found[:LIMIT], len(found) > LIMIT)


def _named(rows: QuerySet[Any], text: str, column: str = "name") -> QuerySet[Any]:
    """Rows whose name begins with the text: what a prefix index can answer over all projects."""
    named: QuerySet[Any] = rows.alias(lower_name=Lower(column)).filter(lower_name__startswith=text.lower())
    return named


def _with_ticket(rows: QuerySet[Any], lowered: str) -> QuerySet[Any]:
    same: QuerySet[Any] = rows.alias(lower_ticket=Lower("ticket")).filter(lower_ticket=lowered)
    return same


def _by_address(network: Network) -> list[Found]:
    machines = VirtualMachine.objects.live().select_related("project")
    column = f"ipv{network.version}"
    first, last = address_text(network.version, network.first), address_text(network.version, network.last)
    if network.prefix == BITS[network.version]:
        machines = machines.filter(**{column: first})
    else:
        machines = machines.filter(**{f"{column}__gte": first, f"{column}__lte": last})
    return [_some("Virtual Machines", machines.order_by(column)), _some("Rules that cover it", _covering(network))]


class _Prefix(Func):
    """PostgreSQL masklen(): how long a network's prefix is."""

    function = "masklen"
    output_field: ClassVar[models.Field[Any, Any]] = models.IntegerField()


# From each network a few and no more: all the rules of a wide one are very many, and would be read to be put in order.
COVERING = """
SELECT found.id FROM unnest(%(around)s::cidr[]) WITH ORDINALITY AS around (network, step)
CROSS JOIN LATERAL (
    (SELECT r.id FROM securitygroups_rule r
        JOIN securitygroups_securitygroup g ON g.id = r.group_id AND g.deleted_at IS NULL
        WHERE r.source = around.network LIMIT %(limit)s)
    UNION ALL
    (SELECT r.id FROM securitygroups_rule r
        JOIN securitygroups_securitygroup g ON g.id = r.group_id AND g.deleted_at IS NULL
        WHERE r.destination = around.network LIMIT %(limit)s)
) found ORDER BY step LIMIT 2 * %(limit)s
"""


def _covering(network: Network) -> QuerySet[Rule]:
    """Rules that name the address or a network around it, the narrowest first. A network of everything says as little
    about an address as none at all, and there are very many of them."""
    bits = BITS[network.version]
    prefixes = range(network.prefix, 0, -1) if network.prefix else (0,)
    firsts = ((prefix, network.first >> (bits - prefix) << (bits - prefix)) for prefix in prefixes)
    around = [f"{address_text(network.version, first)}/{prefix}" for prefix, first in firsts]
    with connection.cursor() as cursor:
        # Twice as many, for one may be found by both of its ends.
        cursor.execute(COVERING, {"around": around, "limit": LIMIT + 1})
        keys = [key for (key,) in cursor.fetchall()]
    rows = Rule.objects.filter(pk__in=keys).select_related("group__project")
    narrowest = Greatest(_Prefix(F("source")), _Prefix(F("destination")))
    return rows.order_by(narrowest.desc(), "group_id", "position")


def search(text: str) -> list[Found]:
    """An address or network finds VMs and rules; a public id, e-mail, user name, project, VM or group name finds those;
    a ticket's number its cases and visits."""
    text = text.strip()[:200]
    # PostgreSQL has no such character in a text.
    if not text or "\x00" in text:
        return []
    network = plain_network(text)
    found = _by_address(network) if network is not None else _by_id(text.lower()) or _by_name(text)
    return [kind for kind in found if kind.rows]


def search_ends(source: str, destination: str) -> list[Found]:
    """The VMs that have the addresses at the two ends of a packet, which somebody read from a log: the receiver first."""
    ends = (
        ("Virtual Machines that it goes to", destination, "in"),
        ("Virtual Machines that it comes from", source, "out"),
    )
    found = (_at(kind, address, direction) for kind, address, direction in ends)
    return [kind for kind in found if kind.rows]


def _at(kind: str, text: str, direction: str) -> Found:
    try:
        version, address = parse_address(text)
    except Refused:
        return Found(kind, [], False)
    machines = VirtualMachine.objects.live().select_related("project")
    having = _some(kind, machines.filter(**{f"ipv{version}": address_text(version, address)}).order_by())
    return Found(kind, [End(machine, direction) for machine in having.rows], having.more)


def _by_id(text: str) -> list[Found]:
    """What has this public id; empty where nothing has. A case has no other name to be found by."""
    kinds: tuple[tuple[str, str, QuerySet[Any]], ...] = (
        ("sg-", "Security Groups", SecurityGroup.objects.live()),
        ("vm-", "Virtual Machines", VirtualMachine.objects.live()),
        ("case-", "Cases", SupportCase.objects.all()),
    )
    for start, kind, rows in kinds:
        if text.startswith(start):
            found = list(rows.select_related("project").filter(public_id=text))
            return [Found(kind, found, False)] if found or start == "case-" else []
    return []


def _by_name(text: str) -> list[Found]:
    lowered = text.lower()
    groups = SecurityGroup.objects.live().select_related("project")
    machines = VirtualMachine.objects.live().select_related("project")
    # The index of e-mail addresses leaves out the empty ones, and is used only where that is said.
    by_email = Q(lower_email=lowered) & ~Q(email="")
    people = User.objects.alias(lower_email=Lower("email")).filter(by_email | Q(username=text) | Q(username=lowered))
    return [
        _some("People", people.prefetch_related("memberships__project")),
        _some("Projects", Project.objects.filter(Q(slug__startswith=lowered) | Q(StartsWith(Lower("name"), lowered)))),
        _some("Virtual Machines", _named(machines, text).order_by("name")),
        _some("Security Groups", _named(groups, text).order_by("name")),
        # A ticket's number is known to its last digit: the beginning of one would find those of everybody else.
        _some("Cases", _with_ticket(SupportCase.objects.select_related("project").defer("rules", "packet"), lowered)),
        _some("Visits", _with_ticket(SupportVisit.objects.select_related("project", "staff"), lowered)),
    ]
