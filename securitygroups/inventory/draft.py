"""A list on its way to a plan: what its entries say, what the project has, and what cannot be."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import ValidationError
from django.db.models import OuterRef

from securitygroups.firewall.deeds import Order
from securitygroups.firewall.texts import looks_like, shown
from securitygroups.models import Attachment, Project, SecurityGroup, VirtualMachine
from securitygroups.models.names import SameName, same_names
from securitygroups.operations import Arriving, Changing
from securitygroups.operations.entries import NAMELESS, Entry, groups_called, ordered, read_entry
from securitygroups.operations.records import count

FEW_GONE, SHARE_GONE = 5, 0.2
"""So many VMs, or this share of them, may be missing in a list without a word about it; never all."""

List = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the list cannot be brought in: at an entry's `place`, from 1, and its field; 0 and "" for the list itself."""

    place: int
    field: str
    message: str


class Known(NamedTuple):
    """A VM with an external ID, as it stands."""

    pk: int
    public_id: str
    external_id: str
    name: str
    description: str
    ipv4: str | None
    ipv6: str | None
    tags: list[str]
    revision: int
    same: str
    order: list[int]

    def own(self, name: str) -> Any:
        return getattr(self, name)


class Hand(NamedTuple):
    """A VM without one, as far as it can stand in the way of others."""

    public_id: str
    name: str
    same: str
    ipv4: str | None
    ipv6: str | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A list on its way to a plan."""

    project: Project
    entries: Mapping[int, Entry]
    known: Mapping[str, Known]
    by_hand: Sequence[Hand]
    same: Mapping[str, str]
    groups: Mapping[str, SecurityGroup]
    refusals: list[Refusal]

    def refuse(self, place: int, name: str, message: str) -> None:
        self.refusals.append(Refusal(place, name, message))

    def unique(self, entry: Entry, name: str) -> str | None:
        """What no other VM of the project may have: an address, or as "same" the name as names are compared."""
        known = self.known.get(entry.external_id)
        if name == "same":
            said = entry.fields.get("name")
            return self.same[said] if said else known and known.same
        return entry.fields[name] if name in entry.fields else known and known.own(name)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a list says, whatever the project has: the entries by place, what is wrong with the others, and the external IDs
    that stand anywhere in it."""

    entries: Mapping[int, Entry]
    refusals: tuple[Refusal, ...]
    listed: frozenset[str]


def read(sent: List, standing: "Standing") -> Reading:
    entries: dict[int, Entry] = {}
    refusals: list[Refusal] = []
    places: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(sent, 1):
        said = one.get("external_id") if isinstance(one, Mapping) else None
        said = said if isinstance(said, str) else ""
        if said:
            places[said].append(place)
        known = standing.known.get(said)
        try:
            entries[place] = read_entry(one, known._asdict() if known else None)
        except ValidationError as refusal:
            refusals += _refused(place, refusal)
    for said, at in places.items():
        for place in at if len(at) > 1 else ():
            refusals.append(Refusal(place, "external_id", f"“{shown(said)}” stands at {_others(place, at)} too."))
            # Which of them is meant nobody can tell.
            entries.pop(place, None)
    return Reading(entries, tuple(refusals), frozenset(places))


def _refused(place: int, refusal: ValidationError) -> Iterator[Refusal]:
    named = refusal.message_dict if hasattr(refusal, "error_dict") else {"": refusal.messages}
    for name, messages in named.items():
        for message in messages:
            yield Refusal(place, name, message)


def _others(place: int, places: Sequence[int]) -> str:
    """The other places, the first of them in words."""
    first, *more = [one for one in places if one != place]
    return f"place {first}" + (f" and {count(len(more), 'other place')}" if more else "")


@dataclass(frozen=True, slots=True)
class Standing:
    """The VMs that the project has: those with an external ID by that, and those that were made by hand."""

    known: Mapping[str, Known]
    by_hand: Sequence[Hand]


def standing(project: Project) -> Standing:
    """In two queries."""
    live = VirtualMachine.objects.live().filter(project=project)
    order = ArraySubquery(Attachment.objects.filter(machine=OuterRef("pk")).order_by("position").values("group"))
    rows = live.exclude(external_id="").annotate(same=SameName("name"), order=order).order_by("pk")
    known = {row[2]: Known(*row) for row in rows.values_list(*Known._fields)}
    hands = live.filter(external_id="").annotate(same=SameName("name")).order_by("pk").values_list(*Hand._fields)
    return Standing(known, list(map(Hand._make, hands)))


def draft_of(project: Project, reading: Reading, now: Standing) -> Draft:
    """In three queries."""
    entries = reading.entries
    names = {entry.fields["name"] for entry in entries.values() if "name" in entry.fields}
    same = same_names(names | set(map(looks_like, names)))
    words = {word for entry in entries.values() for word in entry.groups or ()}
    groups = groups_called(project, words)
    return Draft(project, entries, now.known, now.by_hand, same, groups, [*reading.refusals])


def differences(draft: Draft) -> tuple[tuple[Arriving, ...], tuple[Changing, ...]]:
    """The VMs that are to be made, and those of which something is to be changed."""
    made, changed = [], []
    for place, entry in draft.entries.items():
        known, order = draft.known.get(entry.external_id), _order(draft, place, entry)
        if known is None:
            if "name" not in entry.fields:
                draft.refuse(place, "name", NAMELESS)
                continue
            made.append(Arriving(place, entry.external_id, entry.fields, order or ()))
            continue
        before = tuple(known.order)
        after = before if order is None else order
        fields = {name: value for name, value in entry.fields.items() if known.own(name) != value}
        if fields or before != after:
            were = {name: known.own(name) for name in fields}
            its = (known.pk, known.public_id, known.external_id, known.name, known.revision)
            changed.append(Changing(place, *its, were, fields, before, after))
    return tuple(made), tuple(changed)


def _order(draft: Draft, place: int, entry: Entry) -> Order | None:
    if entry.groups is None:
        return None
    try:
        return tuple(group.pk for group in ordered(entry.groups, draft.groups))
    except ValidationError as refusal:
        draft.refuse(place, "groups", refusal.messages[0])
        return None


_SAID = {"same": ("name", "name"), "ipv4": ("ipv4", "IPv4 address"), "ipv6": ("ipv6", "IPv6 address")}


def check_unique(draft: Draft) -> None:
    """No two VMs have a name or an address in common once all is written, whatever they had before."""
    for what, (name, label) in _SAID.items():
        hands = {getattr(one, what): one for one in draft.by_hand if getattr(one, what)}
        places: dict[str, list[int]] = defaultdict(list)
        for place, entry in draft.entries.items():
            if value := draft.unique(entry, what):
                places[value].append(place)
        for value, at in places.items():
            for place in at:
                if len(at) > 1:
                    draft.refuse(place, name, f"The VM at {_others(place, at)} has the same {label}.")
                if value in hands:
                    draft.refuse(place, name, _by_hand(hands[value], label))


def _by_hand(one: Hand, label: str) -> str:
    return (
        f"{one.name} ({one.public_id}) has this {label}, and no external ID: if it is this VM, give it the ID first; else "
        "send another."
    )


def check_looks(draft: Draft) -> None:
    """A new name must not look like another VM's, as in `records.save_checked`."""
    names = [(0, one.same) for one in draft.by_hand]
    names += [(place, same) for place, entry in draft.entries.items() if (same := draft.unique(entry, "same"))]
    holders: dict[str, set[int]] = defaultdict(set)
    for place, same in names:
        holders[same].add(place)
    for place, entry in draft.entries.items():
        name, known = entry.fields.get("name", ""), draft.known.get(entry.external_id)
        looks = looks_like(name)
        if looks == name or (known and known.name == name):
            continue
        if holders.get(draft.same[looks], set()) - {place}:
            draft.refuse(place, "name", f"This looks like “{shown(looks)}”, a name that is taken: send another.")


def check_room(draft: Draft, made: int, gone: int) -> None:
    quota = draft.project.machine_quota
    then = len(draft.by_hand) + len(draft.known) + made - gone
    if made and then > quota:
        draft.refuse(
            0,
            "",
            f"The project would have {count(then, 'VM')}, and {quota:,} is the most: leave some out, or ask for a larger quota.",
        )


def check_gone(draft: Draft, gone: int, allow_gone: int) -> None:
    """A list that is empty, or half of one, deletes no VMs because a program broke."""
    had = len(draft.known)
    if gone and gone > allow_gone and (gone == had or gone > max(FEW_GONE, had * SHARE_GONE)):
        draft.refuse(
            0,
            "allow_gone",
            f"{gone:,} of the project's {count(had, 'VM')} with an external ID "
            f"{'is' if gone == 1 else 'are'} not in the list and would be deleted. "
            f'If that is meant, send "allow_gone": {gone}; if not, send the whole list.',
        )
