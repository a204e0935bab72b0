"""Groups in Terraform's files, and rules that are resources of their own: of which group each of them is."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from securitygroups.firewall.formats.clouds import UNKNOWN, Json, Line, text, texts, unknown_keys
from securitygroups.firewall.formats.foreign import MOST_RULES
from securitygroups.firewall.formats.reading import Note, Taken
from securitygroups.firewall.formats.strict import bad
from securitygroups.firewall.formats.terraform_resources import INDEX, MOST_REFERENCES, Resource

_NOWHERE = (
    "Of which group it is, is known only after apply: apply the plan, and bring what terraform show -json says then."
)
_NO_TARGET = "Of whose network or targets it is, is known only after apply: apply the plan, and bring what terraform show -json says."
_REFERENCE = re.compile(r"[\w-]+\.[\w-]+(?:\[[^\]]*\])?")
_AWS = ("aws_security_group", "aws_default_security_group")
# Rules of their own: the key that names their group, what it names of it, and the kinds of that.
_LOOSE = {
    "aws_security_group_rule": ("security_group_id", "id", _AWS),
    "aws_vpc_security_group_ingress_rule": ("security_group_id", "id", _AWS),
    "aws_vpc_security_group_egress_rule": ("security_group_id", "id", _AWS),
    "openstack_networking_secgroup_rule_v2": ("security_group_id", "id", ("openstack_networking_secgroup_v2",)),
    "azurerm_network_security_rule": ("network_security_group_name", "name", ("azurerm_network_security_group",)),
    "scaleway_instance_security_group_rules": ("security_group_id", "id", ("scaleway_instance_security_group",)),
}
_ACCEPTS_ONLY = ("aws_", "openstack_")


class _Index:
    """Resources by their place in a module, with and without the index of a loop."""

    def __init__(self, every: Sequence[Resource]) -> None:
        stems = [(one.module, INDEX.sub("", one.local)) for one in every]
        self._many = Counter(stems)
        self._by_stem = dict(zip(stems, every, strict=True))
        self._exact = {(one.module, one.local): one for one in every}

    def referred(self, one: Resource, key: str, kinds: Sequence[str]) -> Resource | None:
        """The one resource of its module that the argument refers to; None where it may be another."""
        name = _one_named(one.names.get(key, ()))
        found = self._at((one.module, name)) if name else None
        return found if found and found.kind in kinds else None

    def _at(self, place: tuple[str, str]) -> Resource | None:
        """The resource with this index, or without one the only resource of the name."""
        if "[" in place[1]:
            return self._exact.get(place)
        return self._by_stem[place] if self._many[place] == 1 else None


def _one_named(references: Iterable[str]) -> str:
    """What they name, with its index where one of them has it; "" where they may name several."""
    refs = [ref for ref in references if ref.partition(".")[0] not in ("each", "count")]
    named = {match[0] for ref in refs if (match := _REFERENCE.match(ref))}
    longest = max(named, key=len, default="")
    is_one = named <= {longest, INDEX.sub("", longest)} and len(refs) < MOST_REFERENCES
    return longest if is_one else ""


def linked(found: Sequence[Resource], notes: list[Note]) -> list[Resource]:
    """The resources, each rule of its own with what its group is known by. One whose group is not known is left out with a
    note; where it may be a denial, the file is refused."""
    named = [_with_id(one) for one in found]
    index = _Index(named)
    return [one for each in named if (one := _placed(each, index, notes))]


def _with_id(one: Resource) -> Resource:
    """A group that has no id yet is known by its address."""
    known = text(one.values, "id", one.address) not in ("", UNKNOWN)
    return one if known or one.kind in _LOOSE else replace(one, values={**one.values, "id": one.address})


def _aimed(one: Resource, index: _Index, notes: list[Note]) -> Resource | None:
    """A rule of Google Cloud, whose network and targets must be known: else it would be put with rules of others."""
    network = text(one.values, "network", one.address)
    if network == UNKNOWN:
        found = index.referred(one, "network", ("google_compute_network",))
        network = text(found.values, "name", found.address) if found else UNKNOWN
    targets = [
        each for key in ("target_tags", "target_service_accounts") for each in texts(one.values, key, one.address)
    ]
    if UNKNOWN not in (network, *targets):
        return replace(one, values={**one.values, "network": network})
    if one.values.get("deny"):
        raise bad(one.address, _NO_TARGET)
    notes.append(Note(one.address, one.kind, Taken.NOT_TAKEN, _NO_TARGET))
    return None


def _placed(one: Resource, index: _Index, notes: list[Note]) -> Resource | None:
    if one.kind == "google_compute_firewall":
        return _aimed(one, index, notes)
    if one.kind not in _LOOSE:
        return one
    key, attribute, kinds = _LOOSE[one.kind]
    if text(one.values, key, one.address) not in ("", UNKNOWN):
        return one
    group = index.referred(one, key, kinds)
    name = text(group.values, attribute, group.address) if group else ""
    if name not in ("", UNKNOWN):
        return replace(one, values={**one.values, key: name})
    if not one.kind.startswith(_ACCEPTS_ONLY):
        raise bad(f"{one.address}.{key}", _NOWHERE)
    notes.append(Note(one.address, one.kind, Taken.NOT_TAKEN, _NOWHERE))
    return None


def of_kind(found: Iterable[Resource], *kinds: str) -> list[Resource]:
    return [one for one in found if one.kind in kinds]


def name_of(group: Resource) -> str:
    name = text(group.values, "name", group.address)
    return name if name and name != UNKNOWN else group.address


def placed_at(lines: Iterable[Line], where: str, values: Json, known: Iterable[str]) -> Iterator[Line]:
    """The lines of a block at its own place; what is not known in it is asked for."""
    strange = unknown_keys(values, known)
    for line in lines:
        yield line._replace(rule=replace(line.rule, where=where, beyond=line.rule.beyond + strange))


def each_of(found: Iterable[Resource], make: Callable[[Resource], Iterable[Line]]) -> list[tuple[Resource, list[Line]]]:
    """The lines of each resource, of all together as many as a file may have."""
    pairs: list[tuple[Resource, list[Line]]] = []
    left = MOST_RULES
    for one in found:
        lines = list(islice(make(one), left + 1))
        left -= len(lines)
        if left < 0:
            raise bad("", f"The file has more than {MOST_RULES:,} rules: bring some at a time.")
        pairs.append((one, lines))
    return pairs


def with_loose(
    groups: Sequence[Resource], loose: Sequence[tuple[Resource, list[Line]]]
) -> Iterator[tuple[Resource | None, str, list[Line]]]:
    """(group, its id where it is none of the file, lines): rules that stand for themselves, with the group they name."""
    lines: dict[str, list[Line]] = {}
    for one, found in loose:
        lines.setdefault(text(one.values, _LOOSE[one.kind][0], one.address), []).extend(found)
    for group in groups:
        yield group, "", lines.pop(text(group.values, "id", group.address), [])
    for name, found in lines.items():
        yield None, name, found
