"""Ports among other words and signs, as pages, manuals and other programs write them: "tcp dpt:443", "gt 1023", "[80, 443]".

Text in, text out: what comes out is plain ports, ranges and services with commas between, and is read by whoever asked. A
text in which nothing is plain comes out as it went in, or as some other text that nobody reads as ports.
"""

import re

from securitygroups.firewall.meant import AROUND, plain
from securitygroups.firewall.protocols import MAX_PORT

MOST = 200
_PROTOCOL = r"(?:tcp|udp|sctp)"
_PROTOCOLS = rf"{_PROTOCOL}(?:\s*(?:[/+&]|and|or)\s*{_PROTOCOL})*"
_ALL_BUT = re.compile(r"!\s*[=\d{([a-z]", re.IGNORECASE)
"""“! 22” means every port but that one."""
_REMARK = re.compile(r"\s*(?:#|(?<!:)//|/\*).*$|(?<=\d)\s+-\s+[a-z][a-z ]*$")
_LABEL = re.compile(
    r"-*\b(?:(?:destination|dest|dst|local|remote|start)[ -]?)?(?:port ?range|portrange|ports?|dports?|dpts?)\b\s*[:=]*\s*"
)
_OF_PROTOCOLS = re.compile(rf"(?:({_PROTOCOLS})(?:[\s/:]+|(?=\d)))?(.*?)(?:[\s/(]*({_PROTOCOLS})\)?)?")
_HOST = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://)?(?:[^\s/:\[\]]*[^\s/:\[\]\d][^\s/:\[\]]*|\[[0-9a-f:.]*\]|::):(\d{1,5})(?:/.*)?"
)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://(?:[^\s:]*)")
_SERVICE_AND_PORT = re.compile(r"[a-z][\w ]*(?:/|\s*\()(\d{1,5})\)?")
_THOUSANDS = re.compile(r"(\d{1,2})[.'](\d{3})")
_JOINED = re.compile(
    r"(\d+)\s*(?:\u2192|\bbis\b|\bthrough\b|\bthru\b|\buntil\b|\btill\b|\bup to\b|\u30fc|\uff0d)\s*(\d+)"
)
_RANGE_OF = re.compile(r"range\s+(\d+)[\s-]+(\d+)")
_FROM = re.compile(
    r"(?:(?:>=|=>|\u2265|ge\b|min(?:imum)?\b)\s*(\d+)|(\d+)\s*(?:(?:and|or) (?:up|above|higher|more)|-\s*(?:max|end|\*)))"
)
_OVER = re.compile(r"(?:>|gt\b|above\b|over\b)\s*(\d+)")
_UP_TO = re.compile(r"(?:<=|=<|\u2264|le\b|up to\b|max(?:imum)?\b)\s*(\d+)")
_UNDER = re.compile(r"(?:<|lt\b|below\b|under\b)\s*(\d+)")


def plain_ports(text: str) -> str:
    """The ports alone."""
    if len(text) > MOST or any(sign.isdigit() and not sign.isdecimal() for sign in text) or _ALL_BUT.search(text):
        return text
    bare = _LABEL.sub(" ", _REMARK.sub("", plain(text)))
    bare = _only_ports(bare.strip().removeprefix("eq ").strip())
    found = _OF_PROTOCOLS.fullmatch(bare)
    if not found or not (found[1] or found[3]):
        return _bounded(bare)
    names = re.findall(_PROTOCOL, f"{found[1]} {found[3]}")
    ports = _bounded(_only_ports(found[2].strip()))
    # Of several, the rule's own is among them or it is not: one is enough to tell.
    return f"{ports}/{names[0]}" if len(set(names)) == 1 and ports[:1].isdigit() else ports


def _only_ports(text: str) -> str:
    text = text.strip(f"{AROUND}.,;?!") if not text.startswith(("<", ">")) else text
    for shape in (_HOST, _SCHEME, _SERVICE_AND_PORT):
        if found := shape.fullmatch(text):
            return found[1]
    if re.fullmatch(r"[a-z]{3,}(?:/[a-z]{3,})+|\d+(?:/\d+)+", text) and not re.search(_PROTOCOL, text):
        return text.replace("/", ", ")
    return _THOUSANDS.sub(r"\1\2", text) if _THOUSANDS.fullmatch(text) else text


def _bounded(text: str) -> str:
    """A range, where only one end of it is told, or both in words."""
    if found := _JOINED.fullmatch(text) or _RANGE_OF.fullmatch(text):
        return f"{found[1]}-{found[2]}"
    for shape, start in ((_FROM, 0), (_OVER, 1)):
        if found := shape.fullmatch(text):
            return f"{int(found[1] or found[found.lastindex or 1]) + start}-{MAX_PORT}"
    for shape, end in ((_UP_TO, 0), (_UNDER, 1)):
        if found := shape.fullmatch(text):
            return f"0-{int(found[1]) - end}"
    return text
