"""What people call the columns of a list of rules, and what they write into them, read as one rule has it.

Only what can mean one thing alone is read: a word that could be wider or narrower than it was meant is refused.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from securitygroups.firewall.protocols import MAX_PORT, PROTOCOLS, Action, Direction, Problem
from securitygroups.firewall.several import PortsRefused, read_networks, read_ports, service_ports
from securitygroups.firewall.texts import shown
from securitygroups.firewall.values import Network, Refused

PASSED_OVER = "passed over"
_CALLED = {
    "action": "action actions verdict decision policy target effect ruleaction permission allowdeny acceptdrop permitdeny",
    "direction": "direction dir way flow inout ingressegress egressingress inboundoutbound trafficdirection",
    "protocol": "protocol proto protocols ipprotocol protocolname l4protocol layer4protocol protocolport protocolandport service services application",
    "source": (
        "source src from sources sourceip sourceipaddress sourceaddress sourceaddresses sourcenetwork sourcecidr sourceipcidr"
        " sourceips sourcerange sourceiprange sourceprefix srcip srcaddr srcaddress srcnet srccidr srciprange saddr"
    ),
    "destination": (
        "destination dst dest to destinations destinationip destinationipaddress destinationaddress destinationaddresses"
        " destinationnetwork destinationcidr destinationipcidr destinationips destinationrange destinationiprange"
        " destinationprefix dstip destip dstaddr destaddr dstaddress dstnet dstcidr dstiprange daddr"
    ),
    "port_start": "portstart startport fromport portfrom portmin minport portrangemin firstport portrangefrom portlow",
    "port_end": "portend endport toport portto portmax maxport portrangemax lastport portrangeto porthigh",
    "ports": (
        "port ports dport dports dstport dstports destport destports destinationport destinationports portrange portranges"
        " destinationportrange destinationportranges dstportrange destportrange portorrange portnumber serviceport"
    ),
    "description": "description desc comment comments remark remarks note notes name rulename label purpose reason title",
    "enabled": "enabled enable on active activated status state onoff isenabled isactive enableddisabled activeinactive",
    "disabled": "disabled inactive off isdisabled",
    "group": "group groupname securitygroup securitygroupname securitygroups",
    "place": "no nr num number place position order index seq sequence rulenumber ruleno row rule",
    PASSED_OVER: "id idofgroup uid created changed createdat updatedat modified lastmodified inwords",
}
_NUMBER_SIGN = re.compile(r"\s*(?:(?:rule|row|line|seq)\W{0,3})?[#№]\s*", re.IGNORECASE)
_COLUMN = {name: key for key, names in _CALLED.items() for name in names.split()}
KNOWN = "action, direction, protocol, source, destination, port, description and enabled"


_BY_ORDER = (
    "rules here are tried from top to bottom: sort the rows by it, the first to be tried on top, and delete the column"
)
_NO_SOURCE_PORT = "a rule here asks for no source port: delete the rules that do, and the column"
_INSTEAD = {
    **dict.fromkeys(("priority", "precedence"), _BY_ORDER),
    **dict.fromkeys(("sourceport", "sport", "srcport", "srcports", "sourceports", "sourceportrange"), _NO_SOURCE_PORT),
    "ruleid": "call it number where it tells the order, and delete it else",
    "type": "call it protocol where it names services, and delete it where it says IPv4 or IPv6: the addresses tell",
    "cidr": "call it source or destination",
    "remoteipprefix": "call it source or destination",
}


def no_column(name: str) -> Problem:
    """Of a column that means nothing here, and has something in it."""
    said = f"“{shown(name)}” is not a column of a rule" if name else "This column has no name"
    how = _INSTEAD.get(_bare(name), f"delete it, or call it what it is: {KNOWN}")
    return Problem(f"{said}: {how}.")


def _bare(head: str) -> str:
    return re.sub(r"[\W_]+", "", head.strip().lower())


def column_of(head: str) -> str:
    """The key of a column that is called so; "" where none is."""
    return "place" if _NUMBER_SIGN.fullmatch(head) else _COLUMN.get(_bare(head), "")


_ACTIONS = {
    **dict.fromkeys(("accept", "allow", "permit", "pass", "accepted", "allowed", "permitted"), Action.ACCEPT),
    **dict.fromkeys(("drop", "deny", "block", "reject", "discard", "denied", "dropped", "blocked"), Action.DROP),
}
_DIRECTIONS = {
    **dict.fromkeys(("in", "inbound", "ingress", "incoming", "input"), Direction.IN),
    **dict.fromkeys(("out", "outbound", "egress", "outgoing", "output"), Direction.OUT),
}
# Yes and no as spreadsheets of many languages write them: what TRUE becomes there, and what people type.
_YES = (
    "true yes on 1 enabled enable active y wahr ja an ein aktiv aktiviert vrai oui actif activé verdadero sí si activo"
    " verdadeiro sim ativo vero attivo waar aan prawda tak sant sann sand tosi kyllä igaz igen pravda ano doğru evet"
    " истина да adevărat αληθεσ αληθές はい 有効 是 启用 啟用 예 사용"
)
_NO = (
    "false no off 0 disabled disable inactive n falsch nein aus inaktiv deaktiviert faux non inactif désactivé falso"
    " inactivo não nao inativo inattivo onwaar nee uit fałsz falskt nej usann nei falsk epätosi ei hamis nem nepravda ne"
    " yanlış yanliş hayır ложь нет fals ψευδεσ ψευδής いいえ 無効 否 禁用 停用 아니요"
)
_ON, _OFF = frozenset(_YES.split()), frozenset(_NO.split())
MARKS = frozenset({"x", "✓", "✔", "☑", "✅", "•"})
"""What ticks a cell, where an empty one is not ticked."""


def action(text: str) -> Action | Problem:
    return _ACTIONS.get(text.lower()) or _neither(text, '"accept" or "drop"')


def direction(text: str) -> Direction | Problem:
    return _DIRECTIONS.get(text.lower()) or _neither(text, '"in" or "out"')


def _neither(text: str, known: str) -> Problem:
    return Problem(f"“{shown(text)}” is neither: write {known}." if text else f"Write {known}.")


def switch(text: str) -> bool | None:
    """Whether a word says on or off; None where it says neither."""
    word = whole(text.lower().replace("i\u0307", "i"))
    return True if word in _ON else False if word in _OFF else None


_DECIMAL = re.compile(r"([0-9]{1,5})[.,]0{1,2}")


def whole(text: str) -> str:
    """A number as it is counted with: programs write 6.0 where a column has an empty cell."""
    found = _DECIMAL.fullmatch(text)
    return found[1] if found else text


Opening = tuple[str, str, int]
"""A protocol, the port of its service where one was named ("" else), and the one family that it is of (0: both)."""

# The words for ICMP, and the family of each, 0 where it is of both.
_ICMP = {
    **dict.fromkeys(("icmpv6", "icmp6", "ipv6-icmp", "ipv6icmp"), 6),
    **dict.fromkeys(("icmpv4", "ipv4-icmp"), 4),
    **dict.fromkeys(("ping", "ping (icmp)"), 0),
}
_NUMBERS = {"6": "tcp", "17": "udp", "132": "sctp"}
_AND = re.compile(r"\s*(?:[,;/+&|\n]|\band\b|\bor\b)\s*", re.I)
_WITH_PORT = re.compile(
    r"(tcp|udp|sctp)\s*[ /:]\s*(\d[\d–-]*)|([\w ./-]+?)\s*\(\s*(tcp|udp|sctp)\s*([\d–-]+)\s*\)"
    r"|(\d[\d–-]*)\s*/\s*(tcp|udp|sctp)",
    re.I,
)


@lru_cache(maxsize=1024)
def openings(text: str) -> tuple[Opening, ...]:
    """What a cell of protocols says: "TCP", "tcp/udp", "HTTPS", "SSH (TCP 22)". Raises Refused."""
    if known := _one_protocol(text):
        return known
    found = [_one_protocol(part) for part in _AND.split(text) if part]
    if found and all(found):
        return _each(text, [one for several in found for one in several])
    names = ", ".join(protocol.label for protocol in PROTOCOLS.values())
    if text.lower() in ("any", "*", "all traffic", "any protocol", "-1", "0"):
        raise Refused(
            Problem(
                f"“{shown(text)}” can mean two things: write IP for every IP packet, or All for frames that are not IP, too."
            )
        )
    raise Refused(
        Problem(f"“{shown(text)}” is not a protocol of a rule: write one of {names}, or a service such as HTTPS.")
    )


def _each(text: str, found: Iterable[Opening]) -> tuple[Opening, ...]:
    """Of a list, without doubles. Raises Refused where one of it holds the others: TCP/IP is TCP to who writes it so."""
    openings = tuple(dict.fromkeys(found))
    wide = next((protocol for protocol, _, _ in openings if PROTOCOLS[protocol].numbers is None), "")
    if wide and len(openings) > 1:
        why = (
            f"“{shown(text)}” can mean two things, as {PROTOCOLS[wide].label} holds the others, too: write one of them."
        )
        raise Refused(Problem(why))
    return openings


def _one_protocol(text: str) -> tuple[Opening, ...]:
    word = text.strip().lower().removeprefix("custom ").removesuffix(" rule")
    word = _NUMBERS.get(whole(word), word)
    if word in PROTOCOLS:
        return ((word, "", 0),)
    if word in _ICMP:
        return (("icmp", "", _ICMP[word]),)
    if found := _WITH_PORT.fullmatch(word):
        return (((found[1] or found[4] or found[7]).lower(), (found[2] or found[5] or found[6]).strip(), 0),)
    return tuple((protocol, str(port), 0) for protocol, port in service_ports(word).items())


_ANY = frozenset({"", "any", "*", "all", "anywhere", "everywhere", "any/any", "any address", "any ip", "any host"})
_FAMILY = {
    **dict.fromkeys(
        ("any4", "any ipv4", "any-ipv4", "anywhere-ipv4", "anywhere ipv4", "any ipv4 address"), "0.0.0.0/0"
    ),
    **dict.fromkeys(("any6", "any ipv6", "any-ipv6", "anywhere-ipv6", "anywhere ipv6", "any ipv6 address"), "::/0"),
}


@lru_cache(maxsize=4096)
def networks(text: str) -> tuple[Network | None, ...]:
    """The addresses of a cell; one None for any. Raises Refused."""
    word = text.lower()
    if word in _ANY:
        return (None,)
    return read_networks(_FAMILY.get(word, text)) or (None,)


_ANY_PORT = frozenset({"any", "all", "*", "any port", "all ports", "any/any"})
_IN_PARTS = re.compile(r"([1-9]\d?)[,\u00a0\u2009\u202f]([1-9]\d\d)")
_NONE = frozenset({"-", "–", "—", "n/a", "na", "none", "n.a."})
_LONGEST_DATE = 40
_CLOCK = r"\d{1,3}:\d\d(?::\d\d)?"
_DATE = re.compile(
    r"(?!.*\b(?:tcp|udp|sctp|not?|to|bis|and|or|und|oder|through|thru)\b)(?:\d{1,2}[-./ ]+[^\W\d_]{3,9}\.?(?:[-./ ]+\d{2,4})?|[^\W\d_]{3,9}\.?[-./ ]+\d{1,4})"
    rf"|\d{{1,4}}[-./]\d{{1,2}}[-./]\d{{1,4}}(?:[ t]{_CLOCK})?|\d{{1,3}}:\d\d:\d\d|{_CLOCK} ?[ap]\.?m\.?"
    r"|\d{1,4} ?[年月년월](?: ?\d{1,2} ?[月日월일]?){0,2}|\d{1,2}\. ?\d{1,2}\."
)
_THOUSANDS_OR_NONE = re.compile(r"[1-9]\d?\.000")

Ranges = tuple[tuple[int | None, int | None], ...]


@lru_cache(maxsize=4096)
def ports(start: str, end: str, protocol: str) -> Ranges:
    """The ranges that the cells of ports say together. Raises PortsRefused, Refused."""
    return read_ports(_port("port_start", start, protocol), _port("port_end", end, protocol), protocol)


def _port(field: str, text: str, protocol: str) -> str:
    word = text.lower()
    if word in _ANY_PORT or (word in _NONE and not PROTOCOLS[protocol].has_ports):
        return ""
    if _DECIMAL.fullmatch(text):
        return whole(text)
    if _THOUSANDS_OR_NONE.fullmatch(text):
        one, two = text[:-4], text.replace(".", "")
        raise PortsRefused(field, Problem(f"“{shown(text)}” can be {one} or {two}: write one of them."))
    if len(word) < _LONGEST_DATE and _DATE.fullmatch(word) and not service_ports(word):
        raise PortsRefused(field, made(f"“{shown(text)}”, which looks like a date or a time"))
    return text


def in_parts(text: str, sign: str) -> Problem | None:
    """Of ports in a text with this sign between its fields: that a sign between thousands looks like one between two ports;
    None where it does not. Where semicolons are between fields, people put none between thousands but a dot or a blank;
    of a list whose first port has one digit that is not sure.
    """
    found = _IN_PARTS.fullmatch(text)
    if not found or int(found[1] + found[2]) > MAX_PORT or ("," in text and sign == ";" and len(found[1]) > 1):
        return None
    one, two = found[1] + found[2], f"{found[1]}; {found[2]}"
    return Problem(f"“{shown(text)}” can be one port or two: write {one}, or “{two}” with a semicolon.")


def made(what: str) -> Problem:
    """Of a cell that a spreadsheet made into something else."""
    if what.startswith(("an ", "a ")):
        return Problem(f"The cell has {what}: write the value itself.")
    return Problem(
        f"The cell has {what}: a spreadsheet made that out of what was typed, such as 1-2 or 22:80. Format the cell as text, and type it again."
    )
