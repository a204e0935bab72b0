"""Connections as ss, netstat, lsof, pfctl and conntrack's tables list them, of which not all say who opened them."""

import re
from itertools import islice

from securitygroups.firewall.lines.dumps import end_of
from securitygroups.firewall.lines.line import Line, Told, is_address

_STATE = re.compile(
    r"(?<![\w:])(ESTAB(?:LISHED)?|SYN[-_](?:SENT|RECV|RCVD|RECEIVED)|TIME[-_]WAIT|CLOSE[-_]?WAIT|FIN[-_]?WAIT[-_]?[12]|"
    r"LAST[-_]ACK|CLOSING|LISTEN(?:ING)?|UNCONN)(?![\w:])"
)
_NAME = re.compile(r"\b(tcp|udp|sctp)[46]{0,2}\b", re.IGNORECASE)
_OF_GO = re.compile(r"\b(?:read|write) (tcp|udp)[46]? (\S{2,60})->(\S{2,60}): ")
_ZONE = re.compile(r"%[\w.-]+")
_LISTENS = (
    "This line says that a program waits for connections, so there is no packet in it: what reaches it depends on who "
    "sends. Type the sender's address as the source."
)
_ASSUMED = (
    "The line lists a connection, not who opened it: the end with the lower port is taken as the one that was "
    "connected to."
)
_PF = re.compile(
    r"\b(tcp|udp|icmp6?|ipv6-icmp|sctp|esp|gre) (\S{2,60})(?: \((\S{2,60})\))? (<-|->) (\S{2,60})(?: \((\S{2,60})\))?"
    r"\s+[A-Z_0-9]+:[A-Z_0-9]+(?:\s|\Z)"
)
_PF_PORT = re.compile(r"(.+)\[(\d{1,5})\]")
_MOST_WORDS = 60
"""The two ends of a connection stand among the first."""

End = tuple[str, str]


def read_listed(line: str) -> Line | None:
    if ("<-" in line or "->" in line) and (found := _PF.search(line)):
        return _state(line, found)
    if failed := _OF_GO.search(line):
        return _failed(line, failed)
    state = _STATE.search(line)
    if not state:
        return None
    ends = _ends(line)
    if state[1].startswith(("LISTEN", "UNCONN")):
        return Line(line, {}, kind="listening program", advice=_LISTENS) if ends or "*:" in line else None
    if len(ends) < 2:
        return None
    return _connection(line, state[1].replace("_", "-"), ends, _protocol(line))


def _protocol(line: str) -> str:
    """TCP where the line names none, since only TCP has states."""
    name = _NAME.search(line)
    return name[1].lower() if name else "tcp"


def _failed(line: str, found: re.Match[str]) -> Line | None:
    """“read tcp 10.0.0.5:51515->198.51.100.7:443: i/o timeout” of a program in Go."""
    own, other = _end(found[2]), _end(found[3])
    return _connection(line, "", [own, other], found[1]) if own and other else None


def _ends(line: str) -> list[End]:
    """The first two ends with a port."""
    words = line.replace("->", " ").split(maxsplit=_MOST_WORDS)[:_MOST_WORDS]
    return list(islice((end for word in words if (end := _end(word))), 2))


def _end(word: str) -> End | None:
    """One end with its port, which netstat puts behind an IPv6 address without brackets."""
    word = _ZONE.sub("", word)
    head, _, port = word.rpartition(":")
    if "[" not in word and ":" in head and is_address(head) and port.isdecimal():
        return head, port
    end = end_of(word)
    return end if end and end[1] else None


def _connection(line: str, state: str, ends: list[End], name: str) -> Line:
    """The own end stands first; who is still waiting for an answer has opened it."""
    (own, own_port), (other, other_port) = ends
    served = state.startswith("SYN-R") or (state != "SYN-SENT" and _lower(own_port, other_port))
    told = Told(name, own, other, other_port, own_port, "out")
    if served:
        told = Told(name, other, own, own_port, other_port, "in")
    told.advice = "" if state.startswith("SYN") else _ASSUMED
    # A router's own table has no own end.
    told.direction = "" if re.match(r"\s*\d{5}", line) else told.direction
    return told.line(line, "list of connections")


def _lower(own: str, other: str) -> bool:
    return own.isdecimal() and other.isdecimal() and int(own) < int(other)


def _state(line: str, found: re.Match[str]) -> Line | None:
    """“all tcp 10.0.0.5:22 <- 198.51.100.7:51515  ESTABLISHED:ESTABLISHED”, whose arrow says who opened it; behind a
    translated address stands the own one."""
    name, first, original, arrow, second, _ = found.groups()
    own, other = _pf_end(original if original and arrow == "->" else first), _pf_end(second)
    if not own or not other:
        return None
    source, destination = (own, other) if arrow == "->" else (other, own)
    told = Told(name, source[0], destination[0], destination[1], source[1], "out" if arrow == "->" else "in")
    return told.line(line, "pf state")


def _pf_end(text: str) -> End | None:
    bracketed = _PF_PORT.fullmatch(text)
    return end_of(f"[{bracketed[1]}]:{bracketed[2]}") if bracketed else end_of(text)
