"""What people type for ports and addresses, read: ranges, services by name, and lists that make several rules at once."""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import product
from typing import TypeVar

from securitygroups.firewall.meant import AROUND, FOUR_NUMBERS, range_networks
from securitygroups.firewall.port_words import plain_ports
from securitygroups.firewall.protocols import MAX_PORT
from securitygroups.firewall.services import SERVICES
from securitygroups.firewall.texts import Problem, shown
from securitygroups.firewall.values import Network, Refused, parse_network

MOST = 100
"""So many rules are made at once."""
MOST_OF_RANGE = 16
"""Networks of a range that are offered as a list."""

Range = tuple[int, int]
Value = TypeVar("Value")

_LONGEST = 9
_TO = r"(?:[-‐‑‒–—―−:~]|\.{2,3}|\bto\b)"
_RANGE = re.compile(rf"([0-9]+)\s*{_TO}\s*([0-9]+)")
_FROM = re.compile(rf"([0-9]+)\s*(?:{_TO}|\+)")
_UP_TO = re.compile(r":\s*([0-9]+)")
# A port as pages and other programs write it: 443/tcp, tcp/443, 22 (SSH).
_DRESSED = re.compile(r"(?:(tcp|udp|sctp)[ /:])?\s*([0-9][^/()]*?)\s*(?:/\s*(tcp|udp|sctp))?(?:\s*\([^()]*\))?", re.I)
# Names that are no pages' names: those of IANA, and what people say.
_ALSO = {
    "domain": 53, "www": 80, "http-alt": 8080, "pop3": 110, "pop3s": 995, "imap2": 143, "smtps": 465, "submission": 587,
    "submissions": 465, "ldaps": 636, "ftp-data": 20, "ftps": 990, "rsync": 873, "git": 9418, "postgres": 5432,
    "pgsql": 5432, "mariadb": 3306, "mssql": 1433, "ms-sql-s": 1433, "mongo": 27017, "ms-wbt-server": 3389,
    "microsoft-ds": 445, "cifs": 445, "samba": 445, "kubernetes": 6443, "k8s": 6443, "wg": 51820, "isakmp": 500,
    "quic": 443, "http3": 443, "rfb": 5900, "elastic": 9200, "rabbitmq": 5672, "openssh": 22, "sshd": 22, "sftp": 22,
    "scp": 22, "ssl": 443, "tls": 443, "remote desktop": 3389, "tftp": 69, "kerberos": 88, "bgp": 179, "snmptrap": 162,
    "radius": 1812, "mqtt": 1883, "secure-mqtt": 8883, "sip": 5060, "stun": 3478, "turn": 3478, "oracle": 1521,
    "squid": 3128, "mysqld": 3306, "memcache": 11211, "docker tls": 2376, "rtmp": 1935, "rtsp": 554, "xmpp": 5222,
    "irc": 6667, "whois": 43, "finger": 79, "ident": 113, "nntp": 119, "sunrpc": 111, "rpcbind": 111, "mdns": 5353,
    "minecraft": 25565, "dot": 853, "domain-s": 853, "webmin": 10000, "prometheus": 9090, "grafana": 3000,
}  # fmt: skip
_UDP = frozenset({"isakmp", "quic", "http3", "wg", "tftp", "radius", "snmptrap", "mdns"})


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.lower())


@cache
def _names() -> dict[str, dict[str, int]]:
    """Port by protocol of each name, which is written without spaces and marks."""
    found: dict[str, dict[str, int]] = {}
    for service in SERVICES:
        if service.port is None:
            continue
        found.setdefault(_plain(service.name), {})[service.protocol] = service.port
    for name, port in _ALSO.items():
        known = {service.protocol for service in SERVICES if service.port == port} or {"tcp"}
        for protocol in {"udp"} if name in _UDP else known:
            found.setdefault(_plain(name), {})[protocol] = port
    return found


def service_ports(name: str) -> dict[str, int]:
    """The port, by protocol, of a service that people call so; empty where there is none."""
    return dict(_names().get(_plain(name), {})) if name.isascii() and not name[:1].isdigit() else {}


def _by_name(text: str, protocol: str) -> Range | None:
    """The port of the service of this name; None where there is none of it. Raises Refused for another protocol's."""
    known = service_ports(text)
    if not known:
        return None
    if protocol in known:
        return known[protocol], known[protocol]
    other, port = next(iter(known.items()))
    why = f"{shown(text)} is {other.upper()} {port}: choose {other.upper()} as the protocol, or type {port}."
    raise Refused(Problem(why, (str(port),)))


def _no_port(text: str, instead: str = "") -> Refused:
    if instead:
        return Refused(Problem(f"“{shown(text)}” is not a port as it stands: type {instead}.", (instead,)))
    how = f"type a number from 0 to {MAX_PORT}, a range such as 80-90, or a service such as https"
    return Refused(Problem(f"“{shown(text)}” is not a port: {how}."))


def _number(digits: str, text: str) -> int:
    """The number of plain digits. Whether it is a port is for the protocol table to say, in its words."""
    if len(digits) > _LONGEST:
        raise _no_port(text)
    if digits != str(int(digits)):
        raise _no_port(text, text.replace(digits, str(int(digits))))
    return int(digits)


def _undressed(text: str, protocol: str) -> str:
    """ "443/tcp" or "22 (SSH)" without what stands around the port. Raises Refused where it is another protocol's."""
    found = _DRESSED.fullmatch(text)
    if not found:
        return text
    said = (found[1] or found[3] or protocol).lower()
    if said != protocol:
        why = f"“{shown(text)}” is of {said.upper()}: choose {said.upper()} as the protocol, or type {found[2]}."
        raise Refused(Problem(why, (found[2],)))
    return found[2]


def _port_or_range(typed: str, protocol: str) -> Range:
    """One port or range. Raises Refused."""
    named = _by_name(typed, protocol)
    if named:
        return named
    text = _undressed(typed, protocol)
    if text.isascii() and text.isdigit():
        number = _number(text, typed)
        return number, number
    if found := _RANGE.fullmatch(text):
        start, end = _number(found[1], text), _number(found[2], text)
        if start > end:
            why = f"The range starts at {start} but ends at {end}. Did you mean {end}–{start}?"
            raise Refused(Problem(why, (f"{end}-{start}",)))
        return start, end
    if found := _FROM.fullmatch(text):
        raise _no_port(text, f"{found[1]}-{MAX_PORT}")
    if found := _UP_TO.fullmatch(text):
        raise _no_port(text, f"0-{found[1]}")
    if text.lower() in ("any", "all", "*"):
        raise Refused(Problem("For every port leave both fields empty."))
    if _plain(text) in ("ping", "icmp"):
        raise Refused(Problem("ICMP has no ports: choose ICMP as the protocol."))
    raise _no_port(typed, _digits(text) or _among_words(typed, protocol))


def _among_words(typed: str, protocol: str) -> str:
    """The ports that are told among other words and signs; "" where there are none."""
    told = plain_ports(typed)
    if told == typed:
        return ""
    try:
        ranges = _items(told, lambda part: _port_or_range(part, protocol))
    except Refused as refusal:
        # What is wrong about the port itself is to be told: that it is another protocol's, or that every port is meant.
        if refusal.problem.suggestions or "not a port" not in refusal.problem.message:
            raise
        return ""
    return ", ".join(str(start) if start == end else f"{start}-{end}" for start, end in ranges)


def _digits(text: str) -> str:
    """What port somebody means who writes 2_2, +22, 22.0, or digits of another script; "" where that is not plain."""
    bare = re.sub(r"^\+|_|\.0+$", "", text)
    digits = "".join(str(int(sign)) for sign in bare) if bare.isdecimal() and len(bare) <= _LONGEST else ""
    return str(int(digits)) if digits and int(digits) <= MAX_PORT else ""


_BETWEEN = re.compile(
    r"[,;|\r\n]+|\s*&\s*(?!(?:tcp|udp|sctp)\b)|\s(?:and|or|und|oder|\+)\s(?!up|above|higher|more)|(?<=\d)\+(?=\d)"
)


def _items(text: str, read: Callable[[str], Value], droppable: re.Pattern[str] | None = None) -> tuple[Value, ...]:
    """What a list says, each once. Of wrong items the first is refused; what it offers is the whole list with all of them
    mended, as far as it is plain how.
    """
    parts = [part.strip() for part in _BETWEEN.split(text) if part.strip()]
    found: list[Value] = []
    first: Problem | None = None
    mended: list[tuple[str, ...]] = []
    for part in parts:
        try:
            found += _item(part, read, alone=len(parts) == 1)
            mended.append((part,))
        except Refused as refusal:
            chosen = refusal.problem.suggestions if first is None else refusal.problem.suggestions[:1]
            if not chosen and mended and droppable and droppable.fullmatch(part):
                # “203.0.113.0/24, office”: what stands behind it is told to be none, and left out.
                first = first or refusal.problem
                continue
            # A second one that may mean two things stays, and is asked for in its turn.
            mended.append(chosen if first is None or len(refusal.problem.suggestions) == 1 else (part,))
            first = first or refusal.problem
    if first:
        raise Refused(Problem(first.message, tuple(", ".join(each) for each in product(*mended))))
    return tuple(dict.fromkeys(found))


def _item(part: str, read: Callable[[str], Value], *, alone: bool) -> Sequence[Value]:
    """Programs write quotes and brackets around a list and each of its items."""
    try:
        return _spaced(part, read)
    except Refused:
        bare = part.strip(AROUND)
        if alone or bare == part:
            raise
        try:
            return _spaced(bare, read)
        except Refused:
            pass
        raise


_MASK = re.compile(r"255\.[\d.]+|0(?:\.0)*(?:\.\d+)+")


def _spaced(part: str, read: Callable[[str], Value]) -> Sequence[Value]:
    """One value, or several with only spaces between them. A mask is none of them, nor is what stands there twice."""
    try:
        return [read(part)]
    except Refused:
        words = part.split()
        if len(words) < 2 or len(set(words)) < len(words) or any(_MASK.fullmatch(word) for word in words[1:]):
            raise
        try:
            return [read(word) for word in words]
        except Refused:
            pass
        raise


def read_networks(text: str) -> tuple[Network, ...]:
    """The addresses and networks of a list; none where it is empty. Raises Refused."""
    if FOUR_NUMBERS.fullmatch(text.strip()) or _WITH_LENGTH.fullmatch(text.strip()):
        # A comma here stands for a dot or a slash.
        return (parse_network(text if FOUR_NUMBERS.fullmatch(text.strip()) else re.sub(r"\s*[,;|]\s*", " ", text)),)
    # And before a mask it is none between two networks.
    return _items(_BEFORE_MASK.sub(r"\1 \2", text), _network, droppable=_REMARK)


def _network(text: str) -> Network:
    try:
        return parse_network(text)
    except Refused as refusal:
        networks = () if refusal.problem.suggestions else range_networks(text)
        if 1 < len(networks) <= MOST_OF_RANGE:
            why = f"This range is {len(networks)} networks: type them, and a rule is made of each."
            raise Refused(Problem(why, (", ".join(networks),))) from None
        raise


_REMARK = re.compile(r"(?!.*(?:\b(?:not|but|except|excluding|without)\b|!))(?:[^.:]|:\s)*")


_WITH_LENGTH = re.compile(r"\d{1,3}(?:\.\d{1,3}){2}\.0\s*[,;|]\s*\d{1,2}")
_BEFORE_MASK = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3})\s*[,;|&]\s*(255\.\d{1,3}\.\d{1,3}\.\d{1,3})(?![./\d])")


def read_ports(start: str, end: str, protocol: str) -> tuple[tuple[int | None, int | None], ...]:
    """The ranges that two fields say together; one without ends where both are empty. What the ends of one range have to
    do with each other is the protocol table's to say. Raises PortsRefused.
    """
    first, last = (_ports_of(name, text, protocol) for name, text in (("port_start", start), ("port_end", end)))
    if _single(first) and _single(last) and (first or not last or end.strip().isdigit()):
        one = first[0][0] if first else None
        return ((one, last[0][0] if last else one),)
    if not last or first == last:
        return first
    # A start that was there before a range was typed beside it.
    if not first or (_single(first) and len(last) == 1 and first[0][0] == last[0][0]):
        return last
    raise PortsRefused("port_end", Problem(f"“{shown(start.strip())}” says all there is to say: clear the end port."))


class PortsRefused(Refused):
    """A refusal at one of the two fields."""

    def __init__(self, field: str, problem: Problem) -> None:
        super().__init__(problem)
        self.field = field


def _ports_of(field: str, text: str, protocol: str) -> tuple[Range, ...]:
    try:
        if _THOUSANDS.fullmatch(text.strip()):
            raise _no_port(text, re.sub(r"\D", "", text))
        return _items(text, lambda part: _port_or_range(part, protocol))
    except Refused as refusal:
        raise PortsRefused(field, refusal.problem) from None


_THOUSANDS = re.compile(r"[1-9]\d?,0\d\d")


Opening = tuple[str, int | None, int | None]
"""A protocol and its ports; None of one without."""


def read_services(text: str) -> tuple[Opening, ...]:
    """What a list of services and ports says: "https, 8000-8100, 53/udp, ping". A port alone is TCP's, a service has its
    own protocols. Raises Refused.
    """
    return tuple(dict.fromkeys(each for found in _items(text, _service) for each in found))


def _service(text: str) -> tuple[Opening, ...]:
    plain = _plain(text)
    if plain in ("ping", "icmp"):
        return (("icmp", None, None),)
    if plain in ("any", "all") or text == "*":
        raise Refused(Problem("Type which ports to open. A rule for all of them is made with Add Rule, in the group."))
    if known := service_ports(text):
        return tuple((protocol, port, port) for protocol, port in known.items())
    dressed = _DRESSED.fullmatch(text)
    protocol = ((dressed[1] or dressed[3]) if dressed else "") or "tcp"
    start, end = _port_or_range(text, protocol.lower())
    if max(start, end) > MAX_PORT:
        raise Refused(Problem(f"{shown(str(max(start, end)))} is not a port: type a number from 0 to {MAX_PORT}."))
    return ((protocol.lower(), start, end),)


def _single(ranges: tuple[Range, ...]) -> bool:
    return not ranges or (len(ranges) == 1 and ranges[0][0] == ranges[0][1])


def as_typed(start: int | None, end: int | None) -> tuple[str, str]:
    """What stands in the two fields for a range: a single port is a start alone."""
    return "" if start is None else str(start), "" if end is None or end == start else str(end)


def combined(
    sources: Iterable[Network | None],
    destinations: Iterable[Network | None],
    ranges: Iterable[tuple[int | None, int | None]],
) -> tuple[tuple[Network | None, Network | None, int | None, int | None], ...]:
    """Every source with every destination and every range, in this order. Of pairs of two families, which no packet has,
    one that was typed alone stays, to be refused at its field. Raises Refused where they are too many.
    """
    pairs = [(source, destination) for source in sources for destination in destinations]
    sound = [pair for pair in pairs if None in pair or pair[0].version == pair[1].version]  # type: ignore[union-attr]
    ranges = tuple(ranges)
    chosen = sound or pairs[:1]
    if len(chosen) * len(ranges) > MOST:
        many = len(chosen) * len(ranges)
        raise Refused(
            Problem(f"These are {many} rules, and {MOST} at once is the most: type fewer, and the rest afterwards.")
        )
    return tuple((source, destination, start, end) for source, destination in chosen for start, end in ranges)
