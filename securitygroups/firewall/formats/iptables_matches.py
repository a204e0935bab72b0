"""What a line of iptables-save asks of a packet, option by option."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias
from urllib.parse import unquote

from securitygroups.firewall.formats import hosts
from securitygroups.firewall.formats.cards import ONLY_CARD, is_first
from securitygroups.firewall.formats.spans import (
    ANY_ADDRESS,
    ANY_KIND,
    ANY_PORT,
    ANY_PROTOCOL,
    ANYTHING,
    LOCAL,
    MULTICAST,
    OTHER_KIND,
    Match,
    Spans,
    of_family,
    spans,
    without,
)
from securitygroups.firewall.registry import WITH_PORTS

# Modules that ask for nothing by themselves; what they ask for is in their options.
_KNOWN = frozenset(
    [
        "tcp",
        "udp",
        "udplite",
        "sctp",
        "dccp",
        "icmp",
        "icmp6",
        "icmpv6",
        "ipv6-icmp",
        "multiport",
        "comment",
        "conntrack",
        "state",
        "addrtype",
        "iprange",
    ]
)
_WORDS = {
    "limit": "a rate limit", "hashlimit": "a rate limit", "recent": "who sent something lately", "set": "a set that is not in the file",
    "owner": "the user who sends", "string": "what the packet holds", "time": "the time of day", "mark": "a mark",
    "connmark": "a mark", "mac": "the sender's Ethernet address", "connlimit": "how many connections there are",
    "u32": "single bytes", "bpf": "single bytes", "length": "the packet's length", "physdev": "the port of a bridge",
    "statistic": "chance", "policy": "IPsec", "pkttype": "how the frame was addressed", "rpfilter": "the way back to the sender",
    "geoip": "the country", "ttl": "the hop limit", "hl": "the hop limit", "socket": "a waiting program",
}  # fmt: skip
_JUMPS = ("-j", "--jump", "-g", "--goto")
MOST_OPTIONS = 200
CUT_OFF, TWO_TARGETS = "a line that ends inside of quotes", "a line with two targets"
"""Targets of lines that are none of iptables."""
_DESTINATIONS = ("--to-destination", "--to-ports", "--to", "--on-port")
_FLAGS = {"FIN", "SYN", "RST", "PSH", "ACK", "URG"}
_ICMP_ERRORS = {
    1: frozenset(
        [
            "3",
            "4",
            "11",
            "12",
            "destination-unreachable",
            "source-quench",
            "time-exceeded",
            "ttl-exceeded",
            "parameter-problem",
        ]
    ),
    58: frozenset(
        [
            "1",
            "2",
            "3",
            "4",
            "destination-unreachable",
            "packet-too-big",
            "time-exceeded",
            "ttl-exceeded",
            "parameter-problem",
        ]
    ),
}
_DISCOVERY = frozenset(
    [
        "134",
        "135",
        "136",
        "router-advertisement",
        "neighbour-solicitation",
        "neighbour-advertisement",
        "neighbor-solicitation",
        "neighbor-advertisement",
    ]
)
_ERRORS = "ICMP errors about accepted connections pass here by themselves, and no others are of use."
_ND = "IPv6 neighbour and router discovery passes here by itself."
_BY_ITSELF: dict[tuple[int | None, str], str] = {
    **{(number, kind): _ERRORS for number, kinds in _ICMP_ERRORS.items() for kind in kinds},
    **{(58, kind): _ND for kind in _DISCOVERY},
}
_KINDS = {"LOCAL": LOCAL, "MULTICAST": MULTICAST, "BROADCAST": OTHER_KIND}


@dataclass(frozen=True, slots=True)
class Asked:
    """A line: the packets that it matches, where it leads, and what is to be said of it."""

    match: list[Match]
    target: str = ""
    goto: bool = False
    how: str = ""
    comment: str = ""
    options: str = ""


@dataclass(frozen=True, slots=True)
class _Context:
    """What an option is read with: the line's family and protocol, and what the whole file says."""

    family: int
    protocol: int | None
    named: frozenset[str]
    notrack: bool
    accepts: bool = False


_Answer: TypeAlias = Match | str | tuple[bool, str]
"""What an option asks for: packets, something beyond in words, or yes or never, with a sentence."""


def options(words: Sequence[str], quoted: set[int]) -> Iterator[tuple[bool, str, list[str]]]:
    """(whether it is negated, the option, its arguments)."""
    negated, option, arguments = False, "", list[str]()
    for place, word in enumerate(words):
        if word == "!" and place not in quoted:
            if option and (arguments or _is_option(words, place + 1, quoted)):
                yield negated, option, arguments
                negated, option, arguments = False, "", []
            negated = True
        elif _is_option(words, place, quoted):
            if option:
                yield negated, option, arguments
                negated = False
            option, arguments = word, []
        else:
            arguments.append(word)
    if option:
        yield negated, option, arguments


def _is_option(words: Sequence[str], place: int, quoted: set[int]) -> bool:
    return place < len(words) and place not in quoted and len(words[place]) > 1 and words[place][0] == "-"


def read_matches(words: Sequence[str], quoted: set[int], family: int, named: frozenset[str], notrack: bool) -> Asked:
    """One line behind its chain's name."""
    listed = list(options(words, quoted))[:MOST_OPTIONS]
    context = _Context(family, _protocol(listed), named, notrack, accepts=_target(listed) == "ACCEPT")
    asked = Asked([of_family(family)], _target(listed), any(one[1] in ("-g", "--goto") for one in listed))
    match, said = of_family(family), list[str]()
    never = False
    for answer in _answers(listed, context):
        if isinstance(answer, Match):
            match = match.also(answer)
        elif isinstance(answer, str):
            match = match.asking(answer)
        else:
            never = never or not answer[0]
            said += filter(None, answer[1:])
    if never:
        return replace(asked, match=[], how=" ".join(dict.fromkeys(said)))
    found = [] if match.is_empty else [replace(match, rests=tuple(dict.fromkeys(said)))]
    comment, to = (_told(listed, names) for names in (("--comment",), _DESTINATIONS))
    return replace(asked, match=found, comment=_of_ufw(comment), options=to)


def _of_ufw(comment: str) -> str:
    """The name of a program that ufw knows, without what it writes around that."""
    bare = comment.strip("'")
    return unquote(bare[5:]) if bare.startswith("dapp_") else comment


def _answers(listed: Sequence[tuple[bool, str, list[str]]], context: _Context) -> "Iterator[_Answer]":
    """What each option asks for. `told`: that what it belongs to is named already, a module or the target."""
    told = False
    for negated, option, arguments in listed:
        if option in _JUMPS:
            told = True
            continue
        if option in ("-m", "--match"):
            told = bool(arguments) and arguments[0] not in _KNOWN
        yield _read(option, negated, arguments, context, told)


def _told(listed: Sequence[tuple[bool, str, list[str]]], names: tuple[str, ...]) -> str:
    return " ".join(" ".join(arguments) for _, option, arguments in listed if option in names)


def _target(listed: Sequence[tuple[bool, str, list[str]]]) -> str:
    targets = [args[0] for _, option, args in listed if option in _JUMPS and args]
    first = targets[0] if targets else ""
    return TWO_TARGETS if any(other not in (first, CUT_OFF) for other in targets) else first


def _protocol(listed: Sequence[tuple[bool, str, list[str]]]) -> int | None:
    """The one protocol of the line, which its ports and types are of."""
    for negated, option, arguments in listed:
        if option in ("-p", "--protocol") and arguments and not negated:
            return hosts.protocol(arguments[0])
    return None


def _read(option: str, negated: bool, arguments: list[str], context: _Context, told: bool) -> _Answer:
    """`told`: that the option is of a target, or of a module that is named already."""
    if option in ("-m", "--match"):
        module = arguments[0] if arguments else ""
        return (True, "") if module in _KNOWN else _WORDS.get(module, f"the module {module}")
    reader = _READERS.get(option)
    if reader is not None:
        found = reader(arguments, negated, context) if len(arguments) == _ARGUMENTS.get(option, 1) else None
        return f"{'no ' if negated else ''}{option.lstrip('-')} {' '.join(arguments)[:60]}" if found is None else found
    return (True, "") if told or option in ("-c", "--comment") else f"the option {option}"


def _protocols(arguments: list[str], negated: bool, context: _Context) -> _Answer | None:
    if arguments in (["all"], ["0"]):
        return None if negated else (True, "")
    found = hosts.protocol(arguments[0]) if arguments else None
    return None if found is None else Match(protocol=_some(((found, found),), negated, ANY_PROTOCOL))


def _some(found: Spans, negated: bool, whole: Spans) -> Spans:
    return without(whole, found) if negated else found


def _addresses(side: str) -> "_Reader":
    def read(arguments: list[str], negated: bool, context: _Context) -> _Answer | None:
        found = hosts.addresses(arguments[0].split(",")) if arguments else None
        if found is None:
            name = f"{'another' if negated else 'the'} {side} “{' '.join(arguments)[:60]}”"
            return f"{name} (no address)"
        return ANYTHING.having(side, _some(found, negated, ANY_ADDRESS))

    return read


def _interface(arguments: list[str], negated: bool, context: _Context) -> _Answer | None:
    name = arguments[0] if arguments else ""
    found = hosts.interface(name, context.named)
    if isinstance(found, str) or (found and negated and not is_first(name)):
        return f"another interface than {name}" if negated else str(found)
    if found and not negated:
        return Match(card=name)
    return not found and negated, ONLY_CARD.format(name) if found else hosts.LOOPBACK if name == "lo" else hosts.INNER


def _ports(arguments: list[str], negated: bool, context: _Context) -> _Answer | None:
    found = hosts.port_list(arguments[0], ":") if arguments else None
    if found is None or context.protocol not in WITH_PORTS:
        return None
    return hosts.ports_of(_some(found, negated, ANY_PORT), [context.protocol])


def _source_ports(arguments: list[str], negated: bool, context: _Context) -> _Answer | None:
    return f"source port {' '.join(arguments)[:60]}"


def _fragment(arguments: list[str], negated: bool, context: _Context) -> _Answer | None:
    return negated, hosts.OPENS


def _icmp(arguments: list[str], negated: bool, context: _Context) -> _Answer | None:
    kind = arguments[0].lower() if arguments else ""
    if kind in ("any", "255"):
        return None if negated else (True, "")
    said = _BY_ITSELF.get((context.protocol, kind)) if context.accepts and not negated else None
    if said:
        return False, said
    return f"{'no ' if negated else ''}ICMP type {kind}"


def _flags(arguments: list[str], negated: bool, context: _Context) -> _Answer | None:
    """Whether a lone SYN, which opens a connection, has these flags."""
    if len(arguments) != 2:
        return None
    every = {"ALL": _FLAGS, "NONE": set[str]()}
    mask, want = (every.get(each, set(each.split(","))) for each in arguments)
    if not (mask | want) <= _FLAGS:
        return None
    return ((mask & {"SYN"}) == want) is not negated, hosts.OPENS


def _syn(arguments: list[str], negated: bool, context: _Context) -> _Answer | None:
    return not negated, hosts.OPENS


def _state(arguments: list[str], negated: bool, context: _Context) -> _Answer | None:
    words = arguments[0].lower().split(",") if arguments else []
    found = hosts.state(words, negated, context.notrack)
    return found if isinstance(found, str) else (found, "" if found else hosts.state_told(words))


def _range(side: str) -> "_Reader":
    return _addresses(side)


def _kind(arguments: list[str], negated: bool, context: _Context) -> _Answer | None:
    """What the destination is, of packets that come in; none else is known."""
    words = arguments[0].split(",") if arguments else [""]
    if not set(words) <= _KINDS.keys():
        return None
    found = spans((_KINDS[word], _KINDS[word]) for word in words)
    return Match(kind=_some(found, negated, ANY_KIND))


_ARGUMENTS = {"--tcp-flags": 2, "--syn": 0, "-f": 0, "--fragment": 0}
_Reader = Callable[[list[str], bool, _Context], _Answer | None]
_READERS: dict[str, _Reader] = {
    **dict.fromkeys(("-p", "--protocol"), _protocols),
    **dict.fromkeys(("-s", "--source", "--src"), _addresses("source")),
    **dict.fromkeys(("-d", "--destination", "--dst"), _addresses("destination")),
    **dict.fromkeys(("-i", "--in-interface", "-o", "--out-interface"), _interface),
    **dict.fromkeys(("--dport", "--destination-port", "--dports", "--destination-ports"), _ports),
    **dict.fromkeys(("--sport", "--source-port", "--sports", "--source-ports"), _source_ports),
    **dict.fromkeys(("-f", "--fragment"), _fragment),
    **dict.fromkeys(("--icmp-type", "--icmpv6-type"), _icmp),
    **dict.fromkeys(("--state", "--ctstate"), _state),
    "--tcp-flags": _flags,
    "--syn": _syn,
    "--src-range": _range("source"),
    "--dst-range": _range("destination"),
    "--dst-type": _kind,
}
