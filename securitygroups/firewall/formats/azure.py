"""Network security groups of Azure: what az writes, ARM templates, and lists of rules.

Rules of a direction are asked by priority, the smallest first, and the first that matches decides; replies pass by
themselves. Behind all others stand Azure's own rules, 65000 and above, whose tags no address here stands for.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from securitygroups.firewall.formats.clouds import (
    FAMILY,
    ICMP,
    ICMPV6,
    SCTP,
    TCP,
    UDP,
    Ends,
    Json,
    Line,
    as_object,
    aside,
    at,
    ends,
    gathered,
    in_turn,
    listed,
    number,
    objects,
    one_of,
    port_ranges,
    protocol_number,
    reading,
    some,
    split,
    spoken,
    text,
    texts,
    unknown_keys,
    with_odd_ports,
    words,
)
from securitygroups.firewall.formats.foreign import ALL_PORTS, MOST_RULES, Foreign
from securitygroups.firewall.formats.reading import Note, ReadGroup, Reading, Taken, Upload
from securitygroups.firewall.formats.strict import BadDocument, bad, parts
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.texts import shown

NAME = "Azure network security groups"
GROUP_TYPE = "microsoft.network/networksecuritygroups"
RULE_TYPE = "microsoft.network/networksecuritygroups/securityrules"
DEPLOYMENT_TYPE = "microsoft.resources/deployments"
DEFAULTS = (
    "Azure's own rules behind them let in what comes from the virtual network or a load balancer, and out what goes to the "
    "virtual network or the internet. No address here stands for those: add the accepts that you want. All else is denied, "
    "and so it is here."
)
_ACCESS = {"allow": Action.ACCEPT, "deny": Action.DROP}
_DIRECTIONS = {"inbound": Direction.IN, "outbound": Direction.OUT}
DEPLOYED = "This is known only when the template is deployed: bring what az network nsg list says."
Deployed = tuple[str, str, str, Json]
"""A resource of a template: its place, its kind in small letters, its name, and itself."""
_LINKED = (
    "It deploys another template, which is not in the file. If that has rules for these groups, bring what az network nsg "
    "list says."
)
_JOINED = re.compile(r"\[concat\(([^,]{1,200}), *'/[^']*'\)\]|\[format\('\{0\}/\{1\}', *([^,]{1,200}), *'[^']*'\)\]")
_WITHIN = re.compile(r"/resourceGroups/[^/]+/", re.IGNORECASE)
_ID = re.compile(r".*/networkSecurityGroups/([^/]+)", re.IGNORECASE)
_ANY = ("*", "any")
_SETTLED = ("access", "direction", "priority", "protocol", "sourcePortRange", "destinationPortRange")
# What to do about rules for one of Azure's tags, which stand for no address here.
_TAGS = {
    "virtualnetwork": "Add it with the networks of your virtual network.",
    "azureloadbalancer": "It is for the checks of Azure's load balancer, which nobody makes here.",
    "internet": "Add it for anywhere, if the way from and to your own networks may be open as well.",
}
OF_TAG = "Add it with the addresses that Azure has for the tag, or that you mean by the name."
_KNOWN = words(
    "access description destinationAddressPrefix destinationAddressPrefixes destinationApplicationSecurityGroups "
    "destinationPortRange destinationPortRanges direction etag id name priority protocol provisioningState resourceGroup "
    "sourceAddressPrefix sourceAddressPrefixes sourceApplicationSecurityGroups sourcePortRange sourcePortRanges type "
    "properties apiVersion dependsOn networkSecurityGroupName condition"
)

_NAMES = {
    word.lower(): word
    for word in (*_KNOWN, *["securityRules", "defaultSecurityRules", "resources", "template", "copy", "existing"])
}
_WORDS = frozenset(_NAMES.values())
_TWICE = (
    "Several groups of the name “{}” stand in the template, and which of them is deployed is not known: "
    "bring what az network nsg list says."
)
_ABSENT = "The group “{}” is not in the template, and may have rules that come before these: bring what az network nsg list says."


def looks(upload: Upload) -> bool:
    value = _unwrapped(upload.value)
    if isinstance(value, dict):
        return _is_rule(value) or _is_group(value) or _is_template(value) or _is_list(value.get("value"))
    return _is_list(value)


def _unwrapped(value: Any) -> Any:
    """What az network nsg create says stands in one more object."""
    return value["NewNSG"] if isinstance(value, dict) and isinstance(value.get("NewNSG"), dict) else value


def _is_list(value: Any) -> bool:
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, dict) and (_is_group(first) or _is_rule(first) or _is_resource(first))


def _is_group(value: Json) -> bool:
    return bool({"securityRules", "defaultSecurityRules"} & _keys(value))


def _is_rule(value: Json) -> bool:
    return _keys(value) >= {"access", "priority", "direction"}


def _keys(value: Json) -> set[str]:
    """As they are written: PowerShell has them in other letters, and other things in them."""
    inner = value.get("properties")
    return {*value, *(inner if isinstance(inner, dict) else ())}


def _is_template(value: Json) -> bool:
    if not isinstance(value.get("resources"), list | dict):
        return False
    # What has resources of another sort is none.
    with suppress(BadDocument):
        return any(kind in (GROUP_TYPE, RULE_TYPE) for _, kind, _, _ in _resources(value, ""))
    return False


def _is_resource(value: Json) -> bool:
    return str(value.get("type", "")).lower() in (GROUP_TYPE, RULE_TYPE)


def _settled(where: str, rule: Json) -> Json:
    """The rule's fields, unless the template says how to reckon what it does; for an address, that is a name like others."""
    flat = _flat(rule)
    later = next((key for key in _SETTLED if str(flat.get(key) or "").startswith("[")), None)
    if later:
        raise bad(at(where, later), DEPLOYED)
    return flat


def _flat(value: Json) -> Json:
    """An object of the API, whose fields stand in its properties, as az shows it."""
    value = _cased(value)
    inner = value.get("properties")
    return {**value, **_cased(inner)} if isinstance(inner, dict) else value


def read(upload: Upload) -> Reading:
    value = _unwrapped(upload.value)
    if isinstance(value, list):
        value, key = {"": value}, ""
    elif _is_template(value):
        every = list(_resources(value, ""))
        return reading(NAME, _of_template(every), [*_linked(every)])
    elif isinstance(value.get("value"), list) and not _is_group(value):
        key = "value"
    else:
        return reading(NAME, [_of_rules([("document", value)], "", "") if _is_rule(value) else _group("", value)])
    members = list(objects(value, key, ""))
    if members and _is_rule(members[0][1]):
        return reading(NAME, _by_group(members))
    return reading(NAME, (_group(where, one) for where, one in members))


def _by_group(rules: Sequence[tuple[str, Json]]) -> Iterator[ReadGroup]:
    """The groups that a list of rules is about, which their ids name; of rules without ids it is one."""
    by_group: dict[str, list[tuple[str, Json]]] = {}
    for where, one in rules:
        by_group.setdefault(_group_in(text(one, "id", where))[0].lower(), []).append((where, one))
    for found in by_group.values():
        yield _of_rules(found, _group_in(text(found[0][1], "id", ""))[1], "")


def _group_in(identity: str) -> tuple[str, str]:
    """The group that an id of a rule names, with what it is within, and its name."""
    within = _WITHIN.search(identity)
    named = _ID.match(identity, within.end()) if within else None
    return (identity[within.start() : named.end()], named[1]) if within and named else ("", "")


def _of_template(every: Sequence[Deployed]) -> Iterator[ReadGroup]:
    """The groups of a template, each with the rules that stand for themselves and name it."""
    groups: dict[str, tuple[str, str]] = {}
    rules: dict[str, list[tuple[str, Json]]] = {}
    loose: list[tuple[str, str, Json]] = []
    for where, kind, name, one in every:
        if kind == RULE_TYPE:
            loose.append((where, name, one))
        elif kind == GROUP_TYPE:
            if name.lower() in groups:
                raise bad(at(where, "name"), _TWICE.format(shown(name)))
            groups[name.lower()] = where, name
            rules[name.lower()] = _rules_of(where, one)
    seen = {(key, *_turn_and_name(*each)) for key, found in rules.items() for each in found} if loose else set()
    for where, name, one in loose:
        group = _group_of(name)
        if group not in groups:
            raise bad(
                at(where, "name"), DEPLOYED if not group or name.startswith("[") else _ABSENT.format(shown(group))
            )
        if group.startswith("[") and _template_of(where) != _template_of(groups[group][0]):
            raise bad(at(where, "name"), DEPLOYED)
        # What Azure exports has the rules of a group in it, and each once more by itself.
        if (group, *_turn_and_name(where, one)) not in seen:
            rules[group].append((where, {**one, "name": _last_of(name)}))
        if len(rules[group]) > MOST_RULES:
            raise bad(where, f"There are more than {MOST_RULES:,} rules here: bring some groups at a time.")
    for key, found in rules.items():
        yield _of_rules(found, groups[key][1], "")


def _group_of(name: str) -> str:
    """The group that a rule's name begins with, in small letters; "" where it is not known."""
    if not name.startswith("["):
        return name.rpartition("/")[0].lower()
    found = _JOINED.fullmatch(name)
    return f"[{(found[1] or found[2]).strip()}]".lower() if found else ""


def _template_of(where: str) -> str:
    """The place of the template that the resource stands in, whose parameters are its own."""
    return where.rpartition(".template.")[0]


def _last_of(name: str) -> str:
    """A rule's own name, without the group's."""
    return re.split(r"[/']", name.removesuffix("]").removesuffix(")").removesuffix("'"))[-1]


def _turn_and_name(where: str, one: Json) -> tuple[int | None, str, str]:
    flat = _settled(where, one)
    return number(flat, "priority", where), text(flat, "direction", where), _last_of(text(flat, "name", where))


def _linked(every: Sequence[Deployed]) -> Iterator[Note]:
    """A note for each template that this one deploys by its address."""
    for where, kind, name, one in every:
        inner = one.get("properties")
        if kind == DEPLOYMENT_TYPE and not (isinstance(inner, dict) and isinstance(inner.get("template"), dict)):
            yield Note(where, f"{kind} {shown(name)}", Taken.NOT_TAKEN, _LINKED)


def _resources(
    value: Json, where: str, above: tuple[str, str] | None = None, condition: Any = True
) -> Iterator[Deployed]:
    """All that a template deploys: what stands within another resource, and in templates within it, too. `above` is the kind
    and the name of the one that it stands within, `condition` that of the template, without which nothing in it is deployed."""
    held = value.get("resources")
    if isinstance(held, dict):
        members = [(at(at(where, "resources"), key), as_object(one, at(where, key))) for key, one in held.items()]
    else:
        members = [*objects(value, "resources", where)]
    for place, found in members:
        one = _cased(found) if condition is True else {**_cased(found), "condition": condition}
        kind, name = text(one, "type", place).lower(), text(one, "name", place)
        if above and "/" not in kind:
            # What stands within another is called by the last part of its kind and of its name.
            kind, name = f"{above[0]}/{kind}", f"{above[1]}/{name}"
        elif above and kind == RULE_TYPE:
            name = f"{above[1]}/{name.rpartition('/')[2]}"
        yield place, kind, name, one
        if one.get("resources"):
            yield from _resources(one, place, (kind, name), condition)
        inner = one.get("properties")
        template = _cased(inner).get("template") if kind == DEPLOYMENT_TYPE and isinstance(inner, dict) else None
        if isinstance(template, dict):
            inside = at(at(place, "properties"), "template")
            yield from _resources(_cased(template), inside, condition=one.get("condition", True))


def _cased(value: Json) -> Json:
    """With the names of properties as they are written, where letters are large and small in another way."""
    if value.keys() <= _WORDS:
        return value
    return {_NAMES.get(key.lower(), key): one for key, one in value.items()}


def _group(where: str, group: Json) -> ReadGroup:
    return _of_rules(_rules_of(where, group), text(group, "name", where), "")


def _rules_of(where: str, group: Json) -> list[tuple[str, Json]]:
    """The rules that stand in a group."""
    flat = _flat(group)
    if flat.get("existing") is True:
        raise bad(at(where, "existing"), _ABSENT.format(shown(text(group, "name", where))))
    if isinstance(flat.get("properties"), str):
        raise bad(at(where, "properties"), DEPLOYED)
    if "securityRules" in str(flat.get("copy") or ""):
        raise bad(at(where, "copy"), DEPLOYED)
    return [*objects(flat, "securityRules", where), *objects(flat, "defaultSecurityRules", where)]


def _of_rules(rules: Sequence[tuple[str, Json]], name: str, description: str) -> ReadGroup:
    return group_of([(where, _settled(where, one)) for where, one in rules], name, description)


def group_of(
    rules: Sequence[tuple[str, Json]], name: str, description: str, *, beyond: tuple[str, ...] = ()
) -> ReadGroup:
    """The group of rules in az's words, in the order of their priorities; `beyond` is what each of its accepts asks for."""
    in_order = sorted(rules, key=lambda one: _turn(*one))
    lines = gathered(_asking(line, beyond) for where, one in in_order for line in rule(where, one))
    return in_turn(lines, name, description, [aside("document", "what no rule is about", DEFAULTS)])


def _asking(line: Line, beyond: tuple[str, ...]) -> Line:
    if not beyond or line.rule.action is Action.DROP:
        return line
    return line._replace(rule=replace(line.rule, beyond=(*line.rule.beyond, *beyond)))


def _turn(where: str, one: Json) -> tuple[int, bool]:
    """Where a rule stands: by priority; of two that have the same, which Azure refuses, the denial first."""
    priority = number(one, "priority", where)
    if priority is None:
        raise bad(at(where, "priority"), "The rule has no priority, so that its turn is not known.")
    return priority, one_of(one, "access", where, _ACCESS) is Action.ACCEPT


def rule(where: str, one: Json) -> Iterator[Line]:
    """The lines of a rule."""
    action, direction = one_of(one, "access", where, _ACCESS), one_of(one, "direction", where, _DIRECTIONS)
    sources, destinations = _ends(one, "source", where), _ends(one, "destination", where)
    ports = _ports(one, "destination", where)
    remote = sources if direction is Direction.IN else destinations
    what = f"{text(one, 'protocol', where)} {some(_words(ports))}".strip()
    said = spoken(action, direction, what, _said_ends(remote))
    name = text(one, "name", where)
    base = Foreign(
        where,
        f"{number(one, 'priority', where)} {shown(name)}: {said}",
        action,
        direction,
        ports=ports,
        beyond=_beyond(one, where),
        description=text(one, "description", where) or name,
        enabled=one.get("condition") is not False,
    )
    for each in _protocols(base, one):
        for line in split(Line(each, _advice(one)), "sources", sources):
            yield from split(line, "destinations", destinations)


def _advice(one: Json) -> str:
    """What to do about the tag that the rule has at an end, "" where it has none."""
    words = [str(one.get(f"{side}AddressPrefix") or "") for side in ("source", "destination")]
    tags = [word.lower() for word in words if word and word not in _ANY and not word[0].isdigit() and ":" not in word]
    return _TAGS.get(tags[0].partition(".")[0], OF_TAG) if tags else ""


def _words(ports: Iterable[tuple[int, int]] | None) -> list[str]:
    return [_range(*each) for each in ports or ()]


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _said_ends(found: Ends) -> str:
    return some([*map(str, found.networks or ()), *found.unknown])


def _beyond(one: Json, where: str) -> tuple[str, ...]:
    ports = _ports(one, "source", where)
    conditions = () if ports in (None, (ALL_PORTS,)) else (f"source port {some(_words(ports))}",)
    if one.get("condition", True) not in (True, False):
        conditions = (*conditions, "a condition of the template")
    return conditions + unknown_keys(one, _KNOWN)


def _ends(one: Json, side: str, where: str) -> Ends:
    """Who stands on the side: addresses, tags and application groups, one of them."""
    written = (*texts(one, f"{side}AddressPrefix", where), *texts(one, f"{side}AddressPrefixes", where))
    groups = tuple(_asg(each) for each in listed(one.get(f"{side}ApplicationSecurityGroups"), where))
    if not written and not groups:
        raise bad(at(where, f"{side}AddressPrefix"), f"The rule does not say its {side}.")
    found = ends(written, _ANY, "the tag or name") if written else Ends(())
    return found if found.networks is None else Ends(found.networks, found.unknown + groups)


def _asg(one: Any) -> str:
    name = one.get("id", "") if isinstance(one, Mapping) else one
    return f"the application security group {shown(str(name).rpartition('/')[2])}"


def _ports(one: Json, side: str, where: str) -> tuple[tuple[int, int], ...] | None:
    """The ports of a side, None for any."""
    found = [*texts(one, f"{side}PortRange", where), *texts(one, f"{side}PortRanges", where)]
    if not found:
        raise bad(at(where, f"{side}PortRange"), f"The rule does not say its {side} ports.")
    found = [part.strip() for word in found for part in parts(word)]
    if "*" in found:
        return None
    ports = port_ranges(found, at(where, f"{side}PortRange"))
    return (ALL_PORTS,) if ALL_PORTS in ports else ports


def _protocols(base: Foreign, one: Json) -> Iterator[Foreign]:
    """The rule for each protocol that it is about. Ports ask for a protocol that has some."""
    word = text(one, "protocol", base.where).lower()
    if word in ("*", "any", "all"):
        yield from _of_any(base)
        return
    found = protocol_number(word)
    if found is None:
        raise bad(at(base.where, "protocol"), f"“{shown(word)}” is not a protocol of Azure.")
    if found not in (ICMP, ICMPV6):
        yield _ported(replace(base, protocol=found))
        return
    yield _ported(replace(base, protocol=ICMP, families=FAMILY[4]))
    if base.action is Action.DROP:
        beyond = (*base.beyond, "ICMP, which may be that of IPv4 alone")
        yield _ported(replace(base, protocol=ICMPV6, families=FAMILY[6], beyond=beyond))


def _ported(rule: Foreign) -> Foreign:
    """The rule of one protocol; only TCP and UDP have ports in Azure."""
    if rule.protocol in (TCP, UDP) or rule.ports is None:
        return rule
    return with_odd_ports(rule, some(_words(rule.ports)))


def _of_any(base: Foreign) -> Iterator[Foreign]:
    """A rule of any protocol. With ports, it is about TCP and UDP: a denial is for all else that may be meant, too."""
    if base.ports is None:
        yield base
    elif base.action is Action.DROP and base.ports == (ALL_PORTS,):
        yield replace(base, ports=None, beyond=(*base.beyond, "a port, as every packet of TCP and UDP has one"))
    else:
        for protocol in (TCP, UDP):
            yield replace(base, protocol=protocol, rests_on="Ports are those of TCP and UDP.")
        if base.action is Action.DROP:
            yield replace(base, protocol=SCTP, beyond=(*base.beyond, "ports of SCTP, which Azure does not name"))
