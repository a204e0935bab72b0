"""Firewall rules of Google Cloud: gcloud compute firewall-rules list or describe, and what the API answers.

The smallest priority is asked first, of the same one a denial before an accept; replies pass by themselves. Behind all
stand two implied rules: nothing comes in, everything of IPv4 goes out. A rule with targets is about VMs with a tag or a
service account: each of those becomes a group, with all rules that are about such a VM.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from securitygroups.firewall.formats.clouds import (
    ANY4,
    FAMILY,
    Ends,
    Json,
    Line,
    at,
    ends,
    everything,
    flag,
    gathered,
    in_turn,
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
from securitygroups.firewall.formats.foreign import ALL_PORTS, Foreign
from securitygroups.firewall.formats.reading import Note, ReadGroup, Reading, Taken, Upload
from securitygroups.firewall.formats.strict import bad
from securitygroups.firewall.protocols import PORT_NUMBERS, Action, Direction
from securitygroups.firewall.texts import shown

NAME = "Google Cloud firewall rules"
IMPLIED = (
    "Google Cloud's implied rule lets all IPv4 out that no rule denies. Where your network has IPv6, add an accept for "
    "::/0; and most projects may not send mail to TCP 25."
)
_DIRECTIONS = {"ingress": Direction.IN, "egress": Direction.OUT, "": Direction.IN}
_KNOWN = words(
    "allowed denied creationTimestamp description destinationRanges direction disabled enableLogging id kind logConfig name "
    "network priority selfLink sourceRanges sourceServiceAccounts sourceTags targetServiceAccounts targetTags params"
)
_WHOLE = frozenset(("kind", "selfLink", "creationTimestamp", "id"))
"""Keys of which every whole rule has some: where all are missing, others that narrow it may be missing too."""
_PROJECT = re.compile(r"projects/([^/]+)/")
_MANY_TARGETS = (
    "It is for VMs whose only tag or service account with rules is this one. One with several gets the rules of all in one "
    "order: look at its denials first, and make a list of its own."
)


def looks(upload: Upload) -> bool:
    value = upload.value
    if isinstance(value, list):
        return bool(value) and (_is_rule(value[0]) or _is_policy(value[0]))
    if not isinstance(value, dict):
        return False
    items = value.get("items", value.get("firewalls"))
    return _is_rule(value) or _is_policy(value) or (isinstance(items, list) and bool(items) and _is_rule(items[0]))


def _is_rule(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return value.get("kind") == "compute#firewall" or (
        "network" in value and any(isinstance(value.get(key), list) for key in ("allowed", "denied"))
    )


def _is_policy(value: Any) -> bool:
    """Whether it is a rule of a firewall policy, which is another thing."""
    return isinstance(value, dict) and (
        "layer4Configs" in str(value.get("match")) or "firewallPolicy" in str(value.get("kind"))
    )


def _holds_policies(value: Any) -> bool:
    """Whether it is an answer about whole policies."""
    return isinstance(value, dict) and bool(value.get("firewallPolicys") or value.get("firewallPolicies"))


def read(upload: Upload) -> Reading:
    value = upload.value
    first = value[0] if isinstance(value, list) else value
    if _holds_policies(first) or (_is_policy(first) and not _is_rule(first)):
        raise bad("", "This is a firewall policy of Google Cloud, which is asked around the rules of a network and is not "
                      "read: bring the output of gcloud compute firewall-rules list --format=json.")  # fmt: skip
    rules = _rules(value)
    cut = next((where for where, one in rules if not _WHOLE & one.keys()), None)
    if cut is not None:
        raise bad(cut, "Of this rule of Google Cloud not all is said, such as whom it is for: bring what gcloud compute firewall-rules list "
                       "--format=json says, without a choice of keys.")  # fmt: skip
    return reading(NAME, groups_of(rules))


def _rules(value: Any) -> list[tuple[str, Json]]:
    """(place, rule) of a list, of one rule alone, or of an answer of the API."""
    if isinstance(value, list):
        return list(objects({"": value}, "", ""))
    if _is_rule(value):
        return [("", value)]
    return list(objects(value, "items" if "items" in value else "firewalls", ""))


def groups_of(rules: Sequence[tuple[str, Json]]) -> Iterator[ReadGroup]:
    """A group for the VMs of each network that no rule is aimed at, and one for each target, in the order of the file."""
    names = _names(text(one, "network", where) for where, one in rules)
    by_network: dict[str, list[tuple[str, Json]]] = {}
    for where, one in rules:
        by_network.setdefault(names[text(one, "network", where)], []).append((where, one))
    for network, found in by_network.items():
        here = sorted(found, key=lambda rule: _turn(*rule))
        if len(here) * len(_targets_of(here)) > 20_000:
            raise bad("", "There are too many targets: bring some rules at a time.")
        yield _group(here, network, None)
        for target in _targets_of(here):
            yield _group(here, target if len(by_network) == 1 else f"{network} {target}", target)


def _names(networks: Iterable[str]) -> dict[str, str]:
    """What each network is called: by its last word, with its project where two projects have one of that name."""
    parts = {network: (_PROJECT.search(network), network.rpartition("/")[2]) for network in networks}
    projects: dict[str, set[str]] = {}
    for project, name in parts.values():
        projects.setdefault(name, set()).update([project[1]] if project else [])
    return {
        network: f"{project[1]} {name}" if project and len(projects[name]) > 1 else name
        for network, (project, name) in parts.items()
    }


def _targets(where: str, one: Json) -> tuple[str, ...]:
    return (*texts(one, "targetTags", where), *texts(one, "targetServiceAccounts", where))


def _targets_of(rules: Iterable[tuple[str, Json]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(target for rule in rules for target in _targets(*rule)))


def _turn(where: str, one: Json) -> tuple[int, bool]:
    priority = number(one, "priority", where)
    return (1000 if priority is None else priority), bool(one.get("allowed"))


def _group(rules: Sequence[tuple[str, Json]], name: str, target: str | None) -> ReadGroup:
    about = [rule for rule in rules if not _targets(*rule) or target in _targets(*rule)]
    lines = gathered(line for where, one in about for line in rule_lines(where, one))
    lines.append(everything("implied rule 65535", IMPLIED.rstrip("."), Direction.OUT, FAMILY[4]))
    notes = [
        Note(
            "implied rule 65535", "deny in all from anywhere", Taken.EXACT, "What no rule is about is denied here too."
        )
    ]
    if target is None:
        return in_turn(lines, name, f"Google Cloud network {name}: VMs that no rule is aimed at", notes)
    how = Taken.NOT_TAKEN if _order_matters(rules) else Taken.EXACT
    notes.append(Note("document", f"the order among rules of {shown(target)} and of other targets", how, _MANY_TARGETS))
    return in_turn(lines, name, f"Google Cloud: VMs with the target {target}", notes)


def _order_matters(rules: Sequence[tuple[str, Json]]) -> bool:
    """Whether a rule of one target denies, and may have to come before what one of another target allows."""
    return len(_targets_of(rules)) > 1 and any(one.get("denied") and _targets(where, one) for where, one in rules)


def rule_lines(where: str, one: Json) -> Iterator[Line]:
    """The lines of a rule: one for each protocol that it names, and for who is not known at the other end."""
    direction = one_of(one, "direction", where, _DIRECTIONS)
    allowed, denied = list(objects(one, "allowed", where)), list(objects(one, "denied", where))
    if bool(allowed) == bool(denied):
        raise bad(where, "A rule of Google Cloud has either “allowed” or “denied”.")
    action = Action.ACCEPT if allowed else Action.DROP
    name = text(one, "name", where)
    sources, destinations = _sources(one, where, direction), _destinations(one, where, direction)
    remote = sources if direction is Direction.IN else destinations
    for place, protocol in allowed or denied:
        base = _with_protocol(Foreign(place, "", action, direction), protocol)
        said = spoken(action, direction, base.text, some([*map(str, remote.networks or ()), *remote.unknown]))
        base = replace(
            base,
            text=f"{_turn(where, one)[0]} {shown(name)}: {said}",
            beyond=unknown_keys(one, _KNOWN) + unknown_keys(protocol, ("IPProtocol", "ports")),
            description=text(one, "description", where) or name,
            enabled=not flag(one, "disabled", where, False),
        )
        for line in split(Line(base), "sources", sources):
            yield from split(line, "destinations", destinations)


def _with_protocol(base: Foreign, one: Json) -> Foreign:
    """The protocol and its ports."""
    word = text(one, "IPProtocol", base.where).lower()
    ports = port_ranges(texts(one, "ports", base.where), at(base.where, "ports"))
    said = f"{word} {some([str(a) if a == b else f'{a}-{b}' for a, b in ports])}".strip()
    if word == "all":
        return with_odd_ports(replace(base, text=said), said) if ports else replace(base, text=said)
    found = protocol_number(word)
    if found is None:
        raise bad(at(base.where, "IPProtocol"), f"“{shown(word)}” is not a protocol that is known here.")
    base = replace(base, text=said, protocol=found)
    if ports and found not in PORT_NUMBERS:
        return with_odd_ports(base, said)
    if not ports or ALL_PORTS in ports:
        return base
    return replace(base, ports=ports)


def _sources(one: Json, where: str, direction: Direction) -> Ends:
    """Where a packet comes from. Ranges and tags are one or the other; of neither, it is any IPv4 address on the way in."""
    known = ends(texts(one, "sourceRanges", where))
    tags = [f"the tag {shown(tag)}" for tag in texts(one, "sourceTags", where)]
    accounts = [f"the service account {shown(name)}" for name in texts(one, "sourceServiceAccounts", where)]
    unknown = (*known.unknown, *tags, *accounts)
    if not known.networks and not unknown:
        return Ends((ANY4,)) if direction is Direction.IN else Ends()
    return Ends(known.networks, unknown)


def _destinations(one: Json, where: str, direction: Direction) -> Ends:
    known = ends(texts(one, "destinationRanges", where))
    if not known.networks and not known.unknown:
        return Ends((ANY4,)) if direction is Direction.OUT else Ends()
    return known
