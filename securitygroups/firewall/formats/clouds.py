"""What the readers of clouds' rules share: careful looks into JSON, protocols by name, and groups out of lines.

JSON of another shape than the cloud writes is refused with its place: what is not what it seems is not read.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from securitygroups.firewall.formats.documents import MAX_NAME
from securitygroups.firewall.formats.foreign import BOTH, MOST_RULES, Foreign, TooMany, taken
from securitygroups.firewall.formats.reading import Note, ReadGroup, Reading, Taken
from securitygroups.firewall.formats.strict import bad
from securitygroups.firewall.networks import Network, parse_network, plain_network
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.registry import PROTOCOL_NUMBERS
from securitygroups.firewall.texts import clean, shown, visible
from securitygroups.firewall.values import MAX_DESCRIPTION, Rule

Json = Mapping[str, Any]
T = TypeVar("T")
FAMILY = {4: frozenset({4}), 6: frozenset({6})}
ANY4, ANY6 = parse_network("0.0.0.0/0"), parse_network("::/0")
TCP, UDP, SCTP, ICMP, ICMPV6 = 6, 17, 132, 1, 58
_PROTOCOLS = PROTOCOL_NUMBERS | {"icmpv4": ICMP, "ipv4": 4}
UNKNOWN = "(known after apply)"
"""What stands in a plan of Terraform for a value that is known later."""
LATER = "It is known only after apply: apply the plan, and bring what terraform show -json says then."
OF_ADDRESSES = "Add a rule with the addresses that are meant."
OF_MEMBERS = (
    "When its members are VMs here, add it with the addresses of its members: in Add Rule, one address a line makes a rule of "
    "each."
)
TO_MEMBERS = (
    "Only IP rules have a destination here: when its members are VMs here, add an IP rule to the address of each, if every "
    "protocol may pass."
)
NO_WAY_OUT = (
    "Nothing goes out of a VM that has this group alone, for no accept of the way out could be taken: add what may go out "
    "before you attach the group."
)
# Why many lines are lost, by the beginning of what they ask for.
_WHYS = (
    ("ICMP type", "by types of ICMP"),
    ("source port", "by source ports"),
    ("replies that have rules of their own", "for want of state"),
    ("the members of ", "by members of groups"),
    ("the prefix list", "by names of lists"),
    ("the address group", "by names of lists"),
    ("the alias", "by names of lists"),
    *((f"{kind} ", "by tags or names") for kind in (
        "the tag", "the tag or name", "VMs with the tag", "the service account", "the application security group",
        "the Droplet", "the load balancer", "the Kubernetes cluster",
    )),
)  # fmt: skip
NOBODY = "nobody at the other end"
_DENIALS = frozenset(("deny", "denied", "drop", "reject", "block", "discard"))
_RANGE = re.compile(r"(\d{1,5})\s*(?:[-:]\s*(\d{1,5}))?", re.ASCII)


class Line(NamedTuple):
    """One rule of theirs, and what to do where it is not taken as it is."""

    rule: Foreign
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Ends:
    """Who is at the other end: networks (None for anybody), and besides those what no network stands for."""

    networks: tuple[Network, ...] | None = None
    unknown: tuple[str, ...] = ()


def words(text_: str) -> frozenset[str]:
    """The words of a text, as keys that are known."""
    return frozenset(text_.split())


# Looks into JSON. `where` is the place of the object, "" at the top.


def at(where: str, key: str | int) -> str:
    """The place of a member: "groups[0].name"."""
    if isinstance(key, int):
        return f"{where}[{key}]"
    return f"{where}.{key}" if where else key


def as_object(value: Any, where: str) -> Json:
    if not isinstance(value, dict):
        raise bad(where, f"An object in braces is expected here, not {shown(value)}.")
    return value


def objects(value: Json, key: str, where: str) -> Iterator[tuple[str, Json]]:
    """(place, object) of each member of a list of objects; none where the key is missing or null."""
    place = at(where, key)
    many = listed(value.get(key), place)
    if len(many) > MOST_RULES:
        raise bad(place, f"There are more than {MOST_RULES:,} here: bring some at a time.")
    for number, one in enumerate(many):
        yield at(place, number), as_object(one, at(place, number))


def listed(value: Any, where: str) -> Sequence[Any]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise bad(where, f"A list in brackets is expected here, not {shown(value)}.")
    return value


def text(value: Json, key: str, where: str) -> str:
    """A text, "" where there is none; a number is one."""
    one = value.get(key)
    if one is None:
        return ""
    if isinstance(one, bool) or not isinstance(one, str | int):
        raise bad(at(where, key), f"A text is expected here, not {shown(one)}.")
    return str(one).strip()


def texts(value: Json, key: str, where: str) -> tuple[str, ...]:
    """The texts of a list, or the one that stands there in place of a list; empty ones are left out."""
    place = at(where, key)
    one = value.get(key)
    many = [one] if isinstance(one, str | int) and not isinstance(one, bool) else listed(one, place)
    found = tuple(text({"": each}, "", at(place, number)) for number, each in enumerate(many))
    return tuple(each for each in found if each)


def number(value: Json, key: str, where: str) -> int | None:
    """A whole number, as such or in quotes; None where there is none."""
    one = value.get(key)
    if one is None or one == "":
        return None
    if isinstance(one, float) and one.is_integer():
        one = int(one)
    if isinstance(one, str) and re.fullmatch(r"-?\d{1,9}", one.strip(), re.ASCII):
        one = int(one)
    if isinstance(one, bool) or not isinstance(one, int):
        raise bad(at(where, key), f"A whole number is expected here, not {shown(one)}.")
    return one


def flag(value: Json, key: str, where: str, default: bool) -> bool:
    one = value.get(key)
    if one is None:
        return default
    if not isinstance(one, bool):
        raise bad(at(where, key), f"true or false is expected here, not {shown(one)}.")
    return one


def one_of(value: Json, key: str, where: str, choices: Mapping[str, T]) -> T:
    """What the word stands for, in small or capital letters."""
    word = text(value, key, where).lower()
    if word not in choices:
        raise bad(at(where, key), f"One of {', '.join(choices)} is expected here, not “{shown(word)}”.")
    return choices[word]


def unknown_keys(value: Json, known: Iterable[str]) -> tuple[str, ...]:
    """A condition for each key that is none of the known ones and says something: it may be about traffic.

    A denial by a key that is not known is refused: left out, it would let through what it denies.
    """
    found = [
        (key, one)
        for key, one in value.items()
        if key not in known and one not in (None, "", False, 0) and one != [] and one != {}
    ]
    for key, one in found:
        if isinstance(one, str) and one.lower() in _DENIALS:
            raise bad(
                "",
                f"A rule has “{shown(key)}” with “{shown(one)}”, which is not known here: what it denies would pass.",
            )
    return tuple(f"“{shown(key)}”, a key that is not known here" for key, _ in found)


# What the words say.


def ends(words: Iterable[str], anybody: Iterable[str] = (), kind: str = "the address") -> Ends:
    """The networks that are written, and of the other words a condition each; one of `anybody` is everybody."""
    networks: list[Network] = []
    unknown: list[str] = []
    everybody = tuple(anybody)
    for word in words:
        if word.lower() in everybody:
            return Ends()
        network = plain_network(word)
        if network is None:
            unknown.append(f"{kind} “{shown(word)}”")
        else:
            networks.append(network)
    return Ends(tuple(networks), tuple(unknown))


def split(line: Line, side: str, found: Ends) -> Iterator[Line]:
    """The line with these ends. An accept is one line for what is known and one for the rest; a drop is for all, or anybody."""
    rule = line.rule
    asked = tuple(dict.fromkeys(rule.beyond + found.unknown))
    if not found.unknown:
        yield line._replace(rule=_with(rule, side, found.networks))
    elif rule.action is Action.DROP:
        yield line._replace(rule=replace(rule, beyond=asked))
    else:
        if found.networks:
            yield line._replace(rule=_with(rule, side, found.networks))
        yield Line(replace(rule, beyond=asked), line.advice or OF_ADDRESSES)


def _with(rule: Foreign, side: str, networks: tuple[Network, ...] | None) -> Foreign:
    # Most rules have no word about one of their sides: nothing is to be written then.
    if getattr(rule, side) == networks:
        return rule
    return replace(rule, sources=networks) if side == "sources" else replace(rule, destinations=networks)


def port_range(word: str) -> tuple[int, int] | None:
    """(first, last) of "80", "80-443" or "80:443"; None where it is none of them."""
    found = _RANGE.fullmatch(word.strip())
    if not found:
        return None
    first, last = int(found[1]), int(found[2] or found[1])
    return (first, last) if first <= last <= 65535 else None


def port_ranges(words: Iterable[str], where: str) -> tuple[tuple[int, int], ...]:
    found = []
    for word in words:
        ports = port_range(word)
        if ports is None:
            raise bad(where, f"“{shown(word)}” is not a port or a range of ports.")
        found.append(ports)
    return tuple(found)


def with_odd_ports(rule: Foreign, said: str) -> Foreign:
    """A rule that asks for ports of a protocol that has none here: nobody says what that means."""
    return replace(rule, ports=None, beyond=(*rule.beyond, f"ports {shown(said)} of a protocol that has none here"))


def protocol_number(word: str) -> int | None:
    """The IP protocol that a name or number stands for, None where it is none."""
    word = word.lower()
    if re.fullmatch(r"\d{1,3}", word, re.ASCII) and int(word) <= 255:
        return int(word)
    return _PROTOCOLS.get(word)


def known_protocol(value: Json, key: str, where: str) -> int:
    """The IP protocol that stands there."""
    word = text(value, key, where)
    found = protocol_number(word)
    if found is None:
        raise bad(at(where, key), f"“{shown(word)}” is not a protocol that is known here.")
    return found


def for_families(line: Line) -> Iterator[Line]:
    """A line about “ICMP” of both families as one of ICMP and one of ICMPv6, each where it has somebody at the end."""
    for family, number_ in ((4, ICMP), (6, ICMPV6)):
        rule = replace(line.rule, protocol=number_, families=line.rule.families & FAMILY[family])
        ends_of = (rule.sources, rule.destinations)
        if rule.families and all(each is None or any(one.version == family for one in each) for each in ends_of):
            yield line._replace(rule=rule)


def spoken(action: Action, direction: Direction, what: str, remote: str) -> str:
    """A rule of theirs in few words: "allow in tcp 22 from 203.0.113.0/24"."""
    verb = "allow" if action is Action.ACCEPT else "deny"
    joint = "from" if direction is Direction.IN else "to"
    return f"{verb} {direction.value} {what} {joint} {shown(remote or 'anywhere')}"


def some(words: Sequence[str]) -> str:
    """The first of many words, fit for a row."""
    return ", ".join(words[:3]) + (f" and {len(words) - 3} more" if len(words) > 3 else "")


def side_of(direction: Direction) -> str:
    """The field of the other end: where a packet comes from on its way in, where it goes on its way out."""
    return "sources" if direction is Direction.IN else "destinations"


def everything(where: str, said: str, direction: Direction, families: frozenset[int] = BOTH) -> Line:
    """What a system lets through where no rule of its own speaks of it."""
    family = "" if families == BOTH else " IPv4"
    text_ = spoken(Action.ACCEPT, direction, f"all{family}", "")
    return Line(Foreign(where, text_, Action.ACCEPT, direction, families=families, rests_on=f"{said}."))


def aside(where: str, said: str, how: str) -> Note:
    """A note about what is not a rule, and changes nothing."""
    return Note(where, said, Taken.EXACT, how)


# Groups.


def gathered(lines: Iterable[Line]) -> list[Line]:
    """The lines of a group, as many as one may have: a file may be made to have them without end."""
    found = list(islice(lines, MOST_RULES + 1))
    if len(found) > MOST_RULES:
        raise bad("", f"The group has more than {MOST_RULES:,} rules: split it.")
    return found


def in_turn(lines: Sequence[Line], name: str, description: str = "", notes: Sequence[Note] = ()) -> ReadGroup:
    """The group that these lines make, in the order in which they are asked."""
    try:
        rules, found = taken(line.rule for line in lines)
    except TooMany:
        raise bad("", f"The group has more than {MOST_RULES:,} rules: split it.") from None
    advised = tuple(_advised(note, line) for note, line in zip(found, lines, strict=True))
    gone = [Note("document", "what goes out", Taken.NOT_TAKEN, NO_WAY_OUT)] if _no_way_out(lines, rules) else []
    return ReadGroup(name, visible(clean(description))[:MAX_DESCRIPTION].strip(), rules, (*gone, *advised, *notes))


def _no_way_out(lines: Sequence[Line], rules: Iterable[Rule]) -> bool:
    """Whether theirs let something out and ours nothing."""
    theirs = [line.rule for line in lines if (line.rule.action, line.rule.direction) == (Action.ACCEPT, Direction.OUT)]
    ours = [rule for rule in rules if (rule.action, rule.direction) == (Action.ACCEPT, Direction.OUT)]
    return any(one.enabled and NOBODY not in one.beyond for one in theirs) and not any(one.enabled for one in ours)


def _advised(note: Note, line: Line) -> Note:
    """The note with what to do and in few words why, where the line was not taken as it is."""
    if note.taken is Taken.EXACT:
        return note
    asked = line.rule.beyond
    why = note.why or next((why for start, why in _WHYS for each in asked if each.startswith(start)), "")
    return replace(note, how=f"{note.how} {_advice(line)}".rstrip(), why=why)


def _advice(line: Line) -> str:
    """What to do about it: nothing is sure before what is known later is known."""
    return LATER if any(UNKNOWN in each for each in line.rule.beyond) else line.advice


def of_members(rule: Foreign) -> str:
    """What to do about a rule for the members of a group, whom no rule here can name."""
    return TO_MEMBERS if rule.direction is Direction.OUT and rule.protocol is not None else OF_MEMBERS


def has_firewall(value: Any, is_firewall: Callable[[Any], bool]) -> bool:
    """Whether it is an answer about firewalls: a list of them, one alone, or either under its name."""
    if isinstance(value, list):
        return bool(value) and is_firewall(value[0])
    if not isinstance(value, dict):
        return False
    several = value.get("firewalls")
    first = several[0] if isinstance(several, list) and several else None
    return any(is_firewall(one) for one in (value, value.get("firewall"), first))


def firewalls(value: Any) -> Iterable[tuple[str, Json]]:
    """Each of such an answer with its place. Raises BadDocument."""
    if isinstance(value, list):
        return objects({"": value}, "", "")
    if "firewalls" in value:
        return objects(value, "firewalls", "")
    return [("firewall", as_object(value["firewall"], "firewall")) if "firewall" in value else ("", value)]


def reading(system: str, groups: Iterable[ReadGroup], notes: Sequence[Note] = ()) -> Reading:
    """The whole file; every group that has a name has one of its own."""
    taken_names: set[str] = set()
    counts: dict[str, int] = {}
    named = []
    lines = 0
    for group in groups:
        lines += max(len(group.rules), len(group.notes))
        if lines > MOST_RULES:
            raise bad("", f"The file has more than {MOST_RULES:,} rules: bring some groups at a time.")
        name = _free(_name(group.name), taken_names, counts) if group.name else ""
        taken_names.add(name.casefold())
        named.append(replace(group, name=name))
    return Reading(system, tuple(named), tuple(notes))


def _name(name: str) -> str:
    return visible(clean(name))[:MAX_NAME].strip()


def _free(name: str, names: set[str], counts: dict[str, int]) -> str:
    """The name, or with a number behind it; `counts` has the last one of each, for no other before it is free again."""
    if name.casefold() not in names:
        return name
    for count in range(counts.get(name.casefold(), 1) + 1, len(names) + 3):
        counts[name.casefold()] = count
        longer = f"{name[: MAX_NAME - len(str(count)) - 1].strip()} {count}"
        if longer.casefold() not in names:
            return longer
    raise AssertionError("more names than groups")


def stateless(lines: Sequence[Line], said: str, advice: str) -> list[Line]:
    """The lines of a list that judges replies too, as rules here never do.

    An accept of one direction stays where the other one lets everything through, replies with it; else it asks for more
    than a rule here can.
    """
    open_ways = {direction for direction in Direction if _lets_all(lines, direction)}
    result = []
    for line in lines:
        other = Direction.OUT if line.rule.direction is Direction.IN else Direction.IN
        if line.rule.action is Action.ACCEPT and other not in open_ways:
            rule = replace(line.rule, beyond=(*line.rule.beyond, f"replies that have rules of their own ({said})"))
            result.append(Line(rule, advice))
        else:
            result.append(line)
    return result


def _lets_all(lines: Sequence[Line], direction: Direction) -> bool:
    """Whether a packet of any kind passes in the direction."""
    rules = [line.rule for line in lines if line.rule.direction is direction and line.rule.enabled]
    open_for: set[int] = set()
    for rule in rules:
        if rule.action is Action.DROP:
            return False
        if (rule.protocol, rule.beyond, rule.ports) == (None, (), None):
            open_for |= {family for family in rule.families if _everybody(rule, family)}
    return open_for == BOTH


def _everybody(rule: Foreign, family: int) -> bool:
    whole = ANY4 if family == 4 else ANY6
    return all(each is None or whole in each for each in (rule.sources, rule.destinations))
