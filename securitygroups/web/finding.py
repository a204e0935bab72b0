"""What was typed into Find, as links: to what was found, to pages, and to what can be done."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from securitygroups.access import Access, is_support
from securitygroups.answers.find import (
    COUNTED,
    Found,
    about_address,
    find,
    groups_like,
    machines_like,
    network_of,
    projects_like,
)
from securitygroups.answers.list_filter import LONGEST
from securitygroups.answers.services import service_port
from securitygroups.firewall.lines.pasted import Line, parse_line
from securitygroups.firewall.lines.replies import reply_in
from securitygroups.firewall.protocols import MAX_PORT
from securitygroups.firewall.several import read_services
from securitygroups.firewall.values import BITS, Network, Refused, address_text
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
from securitygroups.web.pages import page_of
from securitygroups.words.rules import rule_sentence

FEW = 4
"""Things that are offered with an action each."""


@dataclass(frozen=True, slots=True)
class Link:
    label: str
    url: str
    icon: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Links of one kind; `more` leads to all of them."""

    title: str
    links: list[Link]
    more: Link | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """A page or an action: its label, the name of its address, and further words that people have for it. `change`: only
    for those who may change groups and VMs."""

    label: str
    route: str
    icon: str
    words: str = ""
    change: bool = False
    of: frozenset[str] = field(default_factory=frozenset)

    def begins(self, query: str) -> bool:
        return self.label.lower().startswith(query)

    def answers(self, words: list[str]) -> bool:
        """Whether each of the words begins one of its own."""
        own = f"{self.label} {self.words}".lower().split()
        return all(any(one.startswith(word) for one in own) for word in words)


_GROUP, _MACHINE = frozenset({"group"}), frozenset({"machine"})
_PAGES = (
    Way("Overview", "overview", "layout-dashboard", "start dashboard"),
    Way("Security Groups", "groups", "shield", "firewalls lists"),
    Way("Virtual Machines", "machines", "server", "vms servers instances"),
    Way("Test a packet", "project_test", "route", "check log line tcpdump trace"),
    Way("Replay a flow log", "project_replay", "play", "pcap vpc traffic denied accepted"),
    Way("Exposure", "exposure", "radar", "open internet reach matrix world"),
    Way("Find rules", "project_rules", "search", "search port"),
    Way("Review", "review", "clipboard-check", "audit sign findings narrow"),
    Way("Activity", "activity", "history", "changes audit record log who"),
    Way("Members", "members", "users", "people invite roles team"),
    Way("Support cases", "cases", "life-buoy", "tickets"),
    Way("Templates", "templates", "bookmark", "starters"),
)
_ACTIONS = (
    Way("Create Security Group", "group_create", "plus", "new add", change=True),
    Way("Create Virtual Machine", "machine_create", "plus", "new add vm server", change=True),
    Way("Import Security Groups", "group_import_new", "upload", "file csv json aws iptables", change=True),
)
_EVERYWHERE = (
    Way("Help", "help", "circle-question-mark", "how protocols examples guide"),
    Way("Bring rules from elsewhere", "help_import", "circle-question-mark", "help import aws iptables terraform"),
    Way("How rules are enforced", "help_enforcement", "circle-question-mark", "help nftables replies platform"),
    Way("Projects", "home", "folder", "all customers"),
    Way("Your account", "account", "circle-user", "password passkey second factor sessions settings"),
)
_WITH = (
    Way("Open a port on", "machine_open", "plus", "allow", change=True, of=_MACHINE),
    Way("Add rule to", "rule_add", "plus", "new open port allow", change=True, of=_GROUP),
    Way("Test a packet on", "group_test", "route", "check trace", of=_GROUP),
    Way("Replay a flow log on", "group_replay", "play", "pcap", of=_GROUP),
    Way("History of", "group_history", "history", "changes restore undo", of=_GROUP),
    Way("Attach to VMs:", "group_machines", "server", "detach machines", of=_GROUP),
    Way("Test a packet on", "machine_test", "route", "check trace", of=_MACHINE),
    Way("Replay a flow log on", "machine_replay", "play", "pcap", of=_MACHINE),
    Way("Instance settings of", "machine_settings", "settings", "groups attach edit address", change=True, of=_MACHINE),
)
_SMALL = {"a", "an", "the", "to", "on", "of", "for"}
_LISTS = {
    "Security Groups": "groups",
    "Virtual Machines": "machines",
    "Rules": "project_rules",
    "Rules that name it": "project_rules",
    "Support cases": "cases",
    "Templates": "templates",
    "Members": "members",
}


def sections(access: Access, query: str) -> list[Section]:
    """What the query finds in the project, the best first."""
    text = query.strip()
    if not text:
        return [_section("Go to", _plain(access, _PAGES)), _section("Do", _plain(access, _ACTIONS))]
    read = parse_line(text, service_port)
    if read.fields or read.advice:
        return _of_line(access, read)
    # Only a line is that long; what is looked for is as long as in the lists, whose search is dear with each word of it.
    text = text[:LONGEST].rstrip()
    network = network_of(text)
    if network is not None:
        port = _port_behind(text)
        return _kept(
            [_of_address(access, network, port), *_of_found(access, about_address(access.project, network), text)]
        )
    lowered, words = text.lower(), text.lower().split()
    named = [way for way in (*_PAGES, *_ACTIONS, *_EVERYWHERE) if way.answers(words)]
    first = [way for way in named if way.begins(lowered)]
    found = find(access.project, text)
    things, others = found[:2], found[2:]
    return _kept(
        [
            _section("Go to", _plain(access, first)),
            _section("Do", asked := _with_things(access, words)),
            *_of_found(access, things, text),
            _section("Do", [] if asked else _with_found(access, things, lowered)),
            *_of_found(access, others, text),
            _section("Pages", _plain(access, [way for way in named if way not in first])),
        ]
    )


def sections_outside(user: User, query: str) -> list[Section]:
    """What the query finds where no project is open: projects, and pages that belong to none."""
    text = query.strip()
    found = projects_like(user, text)
    links = [Link(row.name, row.get_absolute_url(), "folder", row.slug) for row in found.rows]
    more = _more(found, reverse("home"), text)
    pages = [Link(way.label, reverse(way.route), way.icon) for way in _EVERYWHERE if way.answers(text.lower().split())]
    if is_support(user):
        label = f"Search the support desk for “{text}”" if text else "Support desk"
        pages.append(Link(label, reverse("support") + (f"?{urlencode({'q': text})}" if text else ""), "headset"))
    return _kept([Section("Projects", links, more), Section("Go to", pages)])


def _kept(some: Iterable[Section]) -> list[Section]:
    return [section for section in some if section.links or section.more]


def _section(title: str, links: Iterable[Link]) -> Section:
    return Section(title, list(links))


def _plain(access: Access, ways: Iterable[Way]) -> Iterator[Link]:
    """Ways of which the person may go: to pages of the project, and to those of none."""
    for way in ways:
        if access.can_edit or not way.change:
            of = [] if way in _EVERYWHERE else [access.project.slug]
            yield Link(way.label, reverse(way.route, args=of), way.icon)


# ── An action with its object ─────────────────────────────────────────────────


def _with_things(access: Access, words: list[str]) -> list[Link]:
    """“add rule web”: the actions that the first words tell, each with the groups or VMs that the others name."""
    told = [(way, *_split(way, words)) for way in _WITH if access.can_edit or not way.change]
    most = max((taken for _, taken, _ in told), default=0)
    chosen = [(way, rest) for way, taken, rest in told if taken == most and taken]
    if not chosen:
        return []
    rest = chosen[0][1]
    kinds = {kind for way, _ in chosen for kind in way.of}
    things, ports = _named(access, kinds, rest), ""
    if not things:
        ports, rest = _ports_first(rest)
        things = _named(access, kinds, rest) if ports else []
    return [link for way, _ in chosen for link in _each(access, way, things, ports)]


def _named(access: Access, kinds: set[str], name: str) -> list[Any]:
    things: list[Any] = list(groups_like(access.project, name)[:FEW]) if "group" in kinds else []
    things += machines_like(access.project, name)[:FEW] if "machine" in kinds else []
    return things


def _ports_first(text: str) -> tuple[str, str]:
    """“443 on web-1”: the ports or services at the beginning, and the name behind them; no ports where there are none."""
    first, *words = text.split() or [""]
    try:
        ports = first if read_services(first) else ""
    except Refused:
        ports = ""
    return ports, " ".join(word for word in words if word not in _SMALL)


def _split(way: Way, words: list[str]) -> tuple[int, str]:
    """How many of the first words tell the action, without small ones, and the rest: a name."""
    own, taken, at = f"{way.label} {way.words}".lower().split(), 0, 0
    for word in words:
        if word in _SMALL:
            at += 1
        elif len(word) > 2 and any(one.startswith(word) for one in own):
            at, taken = at + 1, taken + 1
        else:
            break
    return taken, " ".join(words[at:])


def _with_found(access: Access, found: list[Found], lowered: str) -> list[Link]:
    """What can be done with the group and the VM whose name begins with what was typed."""
    best = [kind.rows[0] for kind in found if kind.rows]
    meant = [thing for thing in best if thing.name.lower().startswith(lowered)]
    some = [way for way in _WITH if access.can_edit or not way.change]
    return [link for way in some for link in _each(access, way, meant)][:FEW]


def _each(access: Access, way: Way, things: list[Any], ports: str = "") -> Iterator[Link]:
    for thing in things:
        if ("group" if isinstance(thing, SecurityGroup) else "machine") in way.of:
            url = reverse(way.route, args=[access.project.slug, thing.public_id])
            if ports and way.route == "machine_open":
                url += f"?{urlencode({'ports': ports})}"
            yield Link(f"{way.label} {thing.name}", url, way.icon)


# ── Packets and addresses ─────────────────────────────────────────────────────


def _tester(access: Access, **fields: str) -> str:
    return f"{reverse('project_test', args=[access.project.slug])}?{urlencode(fields)}"


def _of_line(access: Access, read: Line) -> list[Section]:
    """A pasted line: the test that it fills in, and the VMs at its ends."""
    # In which direction it goes is asked where the VMs are known.
    fields = {name: text for name, text in read.fields.items() if name != "direction"}
    reply, title = reply_in(read, service_port), "Test a packet"
    if not fields:
        return [Section(title, [Link("This line was not read", _tester(access, line=read.text), "route", read.advice)])]
    ends = [fields[end] for end in ("source", "destination") if end in fields]
    port = f", port {fields['port']}" if fields.get("port") else ""
    note = f"it opens no connection: {reply.what}" if reply else fields.get("protocol", "").upper()
    # What is whole is answered at once; of a reply, and of what lacks something, the form is seen first.
    whole = not reply and (fields.get("port") or fields.get("protocol") == "icmp")
    asked = {**fields, "test": "1"} if whole else {}
    label = f"Test this packet: {' → '.join(ends) or 'not IP'}{port}"
    links = [Link(label, _tester(access, line=read.text, **asked), "route", note)]
    both = [network for end in ends if (network := network_of(end))]
    found = [found for network in both for found in about_address(access.project, network)[:1] if found.rows]
    vms = [link for kind in found for link in _links(access, kind.rows)]
    return _kept([Section(title, links), Section("Virtual Machines", vms)])


def _port_behind(text: str) -> str:
    """The port of “10.0.0.5:443” or “[2001:db8::5]:443”."""
    found = re.fullmatch(r"(?:[^:]+|\[.+\]):(\d{1,5})", text)
    return found[1] if found and int(found[1]) <= MAX_PORT else ""


def _of_address(access: Access, network: Network, port: str) -> Section:
    if network.prefix != BITS[network.version]:
        return Section("Test a packet", [])
    text = address_text(network.version, network.first)
    if port:
        url = _tester(access, destination=text, protocol="tcp", port=port)
        return Section("Test a packet", [Link(f"Test a packet to {text}, port {port}", url, "route", "TCP")])
    return Section(
        "Test a packet",
        [
            Link(f"Test a packet to {text}", _tester(access, destination=text), "route"),
            Link(f"Test a packet from {text}", _tester(access, source=text), "route"),
        ],
    )


# ── What was found ────────────────────────────────────────────────────────────


def _of_found(access: Access, found: Iterable[Found], query: str) -> Iterator[Section]:
    for kind in found:
        url = reverse(_LISTS[kind.kind], args=[access.project.slug])
        searched = kind.kind not in ("Support cases", "Templates", "Members")
        yield Section(
            kind.kind,
            list(_links(access, kind.rows)),
            _more(kind, url + (f"?{urlencode({'q': query})}" if searched else ""), query),
        )


def _more(kind: Found, url: str, query: str) -> Link | None:
    if kind.beyond:
        return Link(f"Search all rules for “{query}”", url, "search")
    if kind.count <= len(kind.rows):
        return None
    return Link("More than 100: all of them" if kind.count > COUNTED else f"All {kind.count}", url, "arrow-right")


def _links(access: Access, rows: Iterable[Any]) -> Iterator[Link]:
    for row in rows:
        yield _LINKS[type(row)](access.project, row)


def _group(project: Project, group: SecurityGroup) -> Link:
    return Link(group.name, reverse("group", args=[project.slug, group.public_id]), "shield", group.description)


def _machine(project: Project, vm: VirtualMachine) -> Link:
    return Link(
        vm.name, reverse("machine", args=[project.slug, vm.public_id]), "server", ", ".join([*vm.addresses, *vm.tags])
    )


def _rule(project: Project, rule: Rule) -> Link:
    url = reverse("group", args=[project.slug, rule.group.public_id])
    where = f"{rule.group.name}, rule {rule.position}"
    note = f"{where}: {rule.description}" if rule.description else where
    sentence = rule_sentence(rule.as_value())
    return Link(
        sentence,
        f"{url}?page={page_of(rule.position)}#rule-{rule.uid}",
        "check" if rule.action == "accept" else "ban",
        note,
    )


def _case(project: Project, case: SupportCase) -> Link:
    about = case.machine or case.group
    if about and about.project_id != project.pk:
        # Moved away: what it is called is another customer's.
        about = None
    note = ", ".join(filter(None, (case.ticket, about.name if about else "")))
    return Link(case.public_id, reverse("case", args=[project.slug, case.public_id]), "life-buoy", note)


def _template(project: Project, template: GroupTemplate) -> Link:
    return Link(template.name, reverse("templates", args=[project.slug]), "bookmark", template.description)


def _member(project: Project, member: Membership) -> Link:
    name = member.user.get_full_name() or member.user.username
    note = f"{member.user.email or member.user.username}, {member.get_role_display()}"
    return Link(name, f"{reverse('members', args=[project.slug])}", "users", note)


_LINKS: dict[type[Any], Callable[[Project, Any], Link]] = {
    SecurityGroup: _group,
    VirtualMachine: _machine,
    Rule: _rule,
    SupportCase: _case,
    GroupTemplate: _template,
    Membership: _member,
}
