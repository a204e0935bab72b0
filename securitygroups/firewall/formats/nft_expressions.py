"""What an nftables expression asks of a packet, from the JSON that `nft -j` says: as sets of packets."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from securitygroups.firewall.formats import hosts
from securitygroups.firewall.formats.cards import ONLY_CARD, is_first
from securitygroups.firewall.formats.spans import (
    ANY_ADDRESS,
    ANY_KIND,
    ANY_PORT,
    ANY_PROTOCOL,
    ANYTHING,
    FAMILIES,
    LOCAL,
    MULTICAST,
    OTHER_KIND,
    Match,
    Spans,
    both,
    conjunction,
    of_family,
    spans,
    without,
)
from securitygroups.firewall.registry import PROTOCOL_NUMBERS, WITH_PORTS

_WORDS = {
    "mark": "a mark", "skuid": "the user who sends", "skgid": "the group that sends", "hour": "the time of day", "day": "the day",
    "time": "the time of day", "pkttype": "how the frame was addressed", "length": "the packet's length", "cgroup": "the program",
    "hoplimit": "the hop limit", "ttl": "the hop limit", "sport": "the source port", "rtclassid": "the route", "type": "the type of a frame or packet", "random": "chance",
    "ibrname": "the bridge", "obrname": "the bridge", "dscp": "the class of service", "exthdr": "an extension header",
}  # fmt: skip
_SIDES = {"saddr": "source", "daddr": "destination"}
_FAMILY = {"ipv4": 4, "ipv6": 6, "ip": 4, "ip6": 6, 2: 4, 10: 6}
_KINDS = {"local": LOCAL, "multicast": MULTICAST, "broadcast": OTHER_KIND, "anycast": OTHER_KIND}
_OF_FAMILY = {1: of_family(4), 58: of_family(6)}
_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "cwr": 128}
_EXTENSIONS: Spans = ((0, 0), (43, 44), (51, 51), (60, 60), (135, 135), (139, 140))
_OF_CARDS = ("iif", "iifname", "oif", "oifname", "sdif", "sdifname")
_ND = "IPv6 neighbour and router discovery passes here by itself."
_ERRORS = "ICMP errors about accepted connections pass here by themselves, and no others are of use."
_BY_ITSELF: dict[str | int, str] = {
    **dict.fromkeys(("nd-router-advert", "nd-neighbor-solicit", "nd-neighbor-advert", 134, 135, 136), _ND),
    **dict.fromkeys(("destination-unreachable", "packet-too-big", "time-exceeded", "parameter-problem"), _ERRORS),
}


@dataclass(frozen=True, slots=True)
class Context:
    """What the whole file says: its sets by (family, table, name), the interfaces that it names, whether some are not tracked."""

    sets: Mapping[tuple[str, ...], Any]
    named: frozenset[str]
    notrack: bool
    table: tuple[str, ...] = ("", "")
    accepts: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The packets that are asked for; without one, `how` says why, and the packets' own sentences else."""

    match: list[Match]
    how: str = ""


@dataclass(frozen=True, slots=True)
class _Field:
    """A part of a packet that rules here ask for, too: which set it is, and what a packet with it is besides."""

    name: str
    whole: Spans
    implied: Match
    value: Callable[[Any], Spans | None]


def beyond(words: str) -> Answer:
    return Answer([ANYTHING.asking(words)])


def ask(left: Any, op: str, right: Any, context: Context) -> Answer:
    """The packets of one comparison."""
    values = _values(right, context)
    if values is None:
        return beyond("a set whose members change, or which is not in the file")
    if isinstance(left, dict) and "concat" in left:
        return _concat(left["concat"], op, values, context)
    if _is_payload(left, "ip6", "nexthdr"):
        return _next_header(op, values)
    field = _field(left)
    if field is not None:
        return _compared(field, op, values) or Answer([_implied(left).asking(_named(left))])
    found = _judged(left, op, values, context)
    if isinstance(found, str):
        return Answer([_implied(left).asking(found)])
    yes, how, match = found
    return Answer([replace(match, rests=(how,) if how else ())] if yes else [], how)


def _next_header(op: str, values: Sequence[Any]) -> Answer:
    """The packets of IPv6 whose first header is one of these: of those with extension headers it is not their protocol."""
    parts = [_range(value, _protocol) for value in values]
    found = spans(ends for part in parts for ends in part or ())
    asked = of_family(6).asking("no extension header before it")
    if op not in ("==", "in") or None in parts or both(found, _EXTENSIONS):
        return Answer([asked])
    return Answer([asked.having("protocol", found)])


def _concat(parts: Sequence[Any], op: str, values: Sequence[Any], context: Context) -> Answer:
    if op not in ("==", "in"):
        return beyond("that something is not in a set of several things each")
    found: list[Match] = []
    for value in values:
        match = [ANYTHING]
        for part, one in zip(parts, value["concat"], strict=True):
            match = conjunction(match, ask(part, "==", one, context).match)
        found += match
    return Answer(found)


def _values(right: Any, context: Context) -> list[Any] | None:
    """The values on the right side, None where they are not known."""
    if isinstance(right, str) and right.startswith("@"):
        found = context.sets.get((*context.table, right[1:]))
        if found is None or {"dynamic", "timeout"} & {*found.get("flags", ())} or "timeout" in found:
            return None
        return [_bare(one) for one in found["elem"]] if isinstance(found.get("elem"), list) else None
    if isinstance(right, dict) and "set" in right:
        return [_bare(one) for one in right["set"]]
    return [_bare(right)]


def _bare(value: Any) -> Any:
    """A member without its comment or counter. One that ends by itself is not a member for good."""
    if isinstance(value, dict) and "elem" in value:
        return value["elem"]["val"]
    return value


def _field(left: Any) -> _Field | None:
    payload = left.get("payload") if isinstance(left, dict) else None
    if payload:
        return _payload(payload.get("protocol"), payload.get("field"))
    meta = left.get("meta") if isinstance(left, dict) else None
    if meta and meta.get("key") == "l4proto":
        return _Field("protocol", ANY_PROTOCOL, ANYTHING, _protocol)
    if meta and meta.get("key") in ("nfproto", "protocol"):
        return _Field("family", FAMILIES, ANYTHING, _family)
    return None


def _payload(protocol: Any, field: Any) -> _Field | None:
    if protocol in ("ip", "ip6"):
        family = 4 if protocol == "ip" else 6
        implied = Match(family=((family, family),))
        if field in _SIDES:
            return _Field(_SIDES[field], ANY_ADDRESS, implied, _address)
        if field == "protocol":
            return _Field("protocol", ANY_PROTOCOL, implied, _protocol)
    if field == "dport":
        number = PROTOCOL_NUMBERS.get(protocol)
        if protocol == "th" or number in WITH_PORTS:
            some = WITH_PORTS if number is None else [number]
            return _Field("port", ANY_PORT, hosts.ports_of(ANY_PORT, some), _port)
    return None


def _range(value: Any, one: Callable[[Any], Spans | None]) -> Spans | None:
    if isinstance(value, dict) and "range" in value:
        first, last = (one(end) for end in value["range"])
        return None if not first or not last or first[0][0] > last[-1][1] else ((first[0][0], last[-1][1]),)
    return one(value)


def _address(value: Any) -> Spans | None:
    if isinstance(value, dict) and "prefix" in value:
        return hosts.addresses([f"{value['prefix']['addr']}/{value['prefix']['len']}"])
    return hosts.addresses([value]) if isinstance(value, str) and "-" not in value else None


def _port(value: Any) -> Spans | None:
    found = hosts.port(str(value)) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    return None if found is None else ((found, found),)


def _protocol(value: Any) -> Spans | None:
    found = hosts.protocol(str(value)) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    return None if found is None else ((found, found),)


def _family(value: Any) -> Spans | None:
    """Of other frames than IP, which have no family here, nothing."""
    found = _FAMILY.get(value) if isinstance(value, (int, str)) else None
    if found is None:
        return () if isinstance(value, str) else None
    return ((found, found),)


def _compared(field: _Field, op: str, values: Sequence[Any]) -> Answer | None:
    parts = [_range(value, field.value) for value in values]
    if None in parts:
        return None
    found = spans(ends for part in parts for ends in part or ())
    asked = _operated(field, op, found)
    if asked is None:
        return None
    match = field.implied.having(field.name, both(getattr(field.implied, field.name), asked))
    return Answer([] if match.is_empty else [match])


def _operated(field: _Field, op: str, found: Spans) -> Spans | None:
    if op in ("==", "in"):
        return found
    if op == "!=":
        return without(field.whole, found)
    return _side(field, op, found) if op in ("<", ">", "<=", ">=") else None


def _side(field: _Field, op: str, found: Spans) -> Spans | None:
    """What is less or more than one number; None where that is not read."""
    if field.name not in ("port", "protocol") or len(found) != 1:
        return None
    first, last = found[0]
    ends = {"<": (0, first - 1), "<=": (0, last), ">": (last + 1, 65535), ">=": (first, 65535)}[op]
    return both((ends,), field.whole) if ends[0] <= ends[1] else ()


def _named(left: Any) -> str:
    """What is asked for, in words."""
    for kind in ("payload", "meta", "ct", "fib", "exthdr", "tcp option"):
        one = left.get(kind) if isinstance(left, dict) else None
        if isinstance(one, dict):
            key = str(one.get("field") or one.get("key") or one.get("result") or one.get("name") or "")
            return _WORDS.get(key, f"{one.get('protocol', kind)} {key}".strip())
    return "an expression that is not read"


def _implied(left: Any) -> Match:
    """What a packet is that has such a field at all, whatever is in it."""
    left, _ = _masked(left)
    payload = left.get("payload") if isinstance(left, dict) else None
    name = payload.get("protocol") if isinstance(payload, dict) else None
    if name in ("ip", "ip6"):
        return of_family(4 if name == "ip" else 6)
    number = PROTOCOL_NUMBERS.get(name) if isinstance(name, str) else None
    if number is None:
        return ANYTHING
    return replace(_OF_FAMILY.get(number, ANYTHING), protocol=((number, number),))


_Judged = tuple[bool, str, Match]


def _judged(left: Any, op: str, values: list[Any], context: Context) -> str | _Judged:
    """Whether a packet that opens a connection fulfils it, of which kind that is; or what it asks for, in words."""
    if not isinstance(left, dict):
        return "an expression that is not read"
    negated = op == "!="
    if op in ("==", "in", "!="):
        reader = _READERS.get(_told_by(left))
        if reader is not None:
            return reader(values, negated, context)
        flags = _tcp_flags(left, op, values)
        if flags is not None:
            return flags, hosts.OPENS, Match(protocol=((6, 6),))
    return _named(left)


def _told_by(left: Mapping[str, Any]) -> str:
    """What is compared, in a word that readers are found by; "" for anything else."""
    meta, ct, fib = (left.get(kind) or {} for kind in ("meta", "ct", "fib"))
    if fib.get("result") == "type" and fib.get("flags") in (["daddr"], "daddr", ["daddr", "iif"]):
        return "kind"
    if _is_payload(left, "icmp", "type") or _is_payload(left, "icmpv6", "type"):
        return "icmp"
    return str(meta.get("key") or ct.get("key") or "")


def _is_payload(left: Any, protocol: str, field: str) -> bool:
    one = left.get("payload") if isinstance(left, dict) else None
    return isinstance(one, dict) and (one.get("protocol"), one.get("field")) == (protocol, field)


def _interface(values: Sequence[Any], negated: bool, context: Context) -> str | _Judged:
    found = [hosts.interface(str(value), context.named) for value in values]
    unsure = [one for one in found if isinstance(one, str)]
    yes = True in found
    if unsure and not yes:
        return "another interface" if negated else unsure[0]
    if yes:
        card = str(values[found.index(True)])
        if negated and not is_first(card):
            return f"another interface than {card}"
        return not negated, ONLY_CARD.format(card) if negated else "", Match(card=card)
    return negated, hosts.LOOPBACK if "lo" in values else hosts.INNER, ANYTHING


def _state(values: Sequence[Any], negated: bool, context: Context) -> str | _Judged:
    words = [str(word) for value in values for word in (value if isinstance(value, list) else [value])]
    found = hosts.state(words, negated, context.notrack)
    return found if isinstance(found, str) else (found, "" if found else hosts.state_told(words), ANYTHING)


def _kind(values: Sequence[Any], negated: bool, context: Context) -> str | _Judged:
    if not all(isinstance(value, str) and value in _KINDS for value in values) or "anycast" in values:
        return "what kind of address the destination is to the machine"
    found = spans((_KINDS[value], _KINDS[value]) for value in values)
    found = without(ANY_KIND, found) if negated else found
    return bool(found), "", Match(kind=found) if found else ANYTHING


def _icmp(values: Sequence[Any], negated: bool, context: Context) -> str | _Judged:
    if context.accepts and not negated:
        said = [_BY_ITSELF.get(value, "") if isinstance(value, (str, int)) else "" for value in values]
        if said and all(said):
            return False, " ".join(dict.fromkeys(said)), ANYTHING
    return f"{'no ' if negated else ''}ICMP type {', '.join(str(value)[:30] for value in values[:5])}"


def _direction(values: Sequence[Any], negated: bool, context: Context) -> str | _Judged:
    return ("original" in values) is not negated, hosts.OPENS, ANYTHING


_READERS: dict[str, Callable[[Sequence[Any], bool, Context], str | _Judged]] = {
    **dict.fromkeys(_OF_CARDS, _interface),
    "state": _state,
    "direction": _direction,
    "kind": _kind,
    "icmp": _icmp,
}


def _tcp_flags(left: Any, op: str, values: Sequence[Any]) -> bool | None:
    """Whether a lone SYN has the flags that are asked for; None where something else is compared, or cannot be told."""
    left, mask = _masked(left)
    wanted = [_bits(value) for value in values]
    if not _is_payload(left, "tcp", "flags") or mask is None or None in wanted:
        return None
    return _syn_has([bits or 0 for bits in wanted], mask, op)


def _syn_has(known: Sequence[int], mask: int, op: str) -> bool | None:
    if op == "in":
        return any(_FLAGS["syn"] & mask & bits for bits in known)
    if mask == 255 and any(bits.bit_count() > 1 for bits in known):
        return None
    return (_FLAGS["syn"] & mask in known) is not (op == "!=")


def _masked(left: Any) -> tuple[Any, int | None]:
    """(what is compared, those of its bits that are): all where it says nothing of them, None where they are not known."""
    if isinstance(left, dict) and isinstance(left.get("&"), list) and len(left["&"]) == 2:
        return left["&"][0], _bits(left["&"][1])
    return left, 255


def _bits(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value & 255
    if isinstance(value, str):
        return _FLAGS.get(value)
    parts = value.get("|") if isinstance(value, dict) else value
    if not isinstance(parts, list):
        return None
    found = 0
    for part in parts:
        bits = _bits(part)
        if bits is None:
            return None
        found |= bits
    return found


def interfaces(statement: Any, sets: Mapping[tuple[str, ...], Any], table: tuple[str, ...]) -> Iterator[str]:
    """The names of interfaces that a statement of a rule compares with, itself or by a set or map of the table. One whose
    members are not known is one name more."""
    for kind, asked, held in (("match", "left", "right"), ("vmap", "key", "data")):
        one = statement.get(kind) if isinstance(statement, dict) else None
        if not isinstance(one, dict):
            continue
        left = one.get(asked)
        whole = left.get("concat") if isinstance(left, dict) else None
        parts = whole if isinstance(whole, list) else [left]
        places = [place for place, part in enumerate(parts) if _is_card(part)]
        if places:
            for member in _members(one.get(held), sets, table, kind == "vmap"):
                of = member.get("concat") if isinstance(member, dict) else [member]
                yield from (str(of[place]) for place in places if isinstance(of, list) and place < len(of))


def _is_card(left: Any) -> bool:
    meta = left.get("meta") if isinstance(left, dict) else None
    return isinstance(meta, dict) and str(meta.get("key")) in _OF_CARDS


def _members(right: Any, sets: Mapping[tuple[str, ...], Any], table: tuple[str, ...], is_map: bool) -> list[Any]:
    """What a set or map holds, of a map the keys; a name that is in no file stands for what it may hold."""
    if isinstance(right, str) and right.startswith("@"):
        found = sets.get((*table, right[1:]), {}).get("elem")
        listed = found if isinstance(found, list) else [right]
    elif isinstance(right, dict) and isinstance(right.get("set"), list):
        listed = right["set"]
    else:
        return [right]
    keys = [one[0] if is_map and isinstance(one, list) and one else one for one in listed]
    return [
        one["elem"].get("val") if isinstance(one, dict) and isinstance(one.get("elem"), dict) else one for one in keys
    ]
