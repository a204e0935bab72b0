"""What somebody means who types something that is no address: one with a port, a mask, a range, a URL, a bracket too many.

Text in, text out: what is offered here is read once more by whoever asked, and refused in its turn where it is no network.
Nothing is offered that is wider or narrower than what was typed.
"""

import re
import unicodedata
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network, summarize_address_range
from typing import NamedTuple

MOST = 200
"""Characters; what is longer is no address with something around it."""
NAMED = 3
"""Networks of a range that a message names."""


class Meant(NamedTuple):
    """Why the text cannot be taken, and what to type instead; `say` where nothing can be offered with one click."""

    reason: str
    offers: tuple[str, ...] = ()
    say: str = ""


_Address = IPv4Address | IPv6Address
_FOUR = r"\d{1,3}(?:\.\d{1,3}){3}"
_SIX = r"[0-9a-f]*:[0-9a-f:]*(?:\.\d{1,3}){0,3}"
# What looks like the signs of an address, and is another letter: dashes, slashes, full stops.
_LOOKALIKES = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043", "-")
    | dict.fromkeys("\u2044\u2215\u29f8\\", "/")
    | dict.fromkeys("\u3002\u2024\u00b7", ".")
    | dict.fromkeys("\u2236\ua789", ":")
    | {"\u2217": "*", "\u00d7": "x"}
)
_QUOTES = "\"'`\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb"
AROUND = f"{_QUOTES}()[]{{}}<> "
"""What programs write around each item of a list."""
_OPENING, _CLOSING = f"{_QUOTES}<([{{*\u2022-=+~|", f"{_QUOTES}>)]}}.,;:?!%$=+-_~|&"
_WORD = re.compile(
    r"(?:host|ip|ipv4|ipv6|inet6?|src|dst|source|from|addr|address|net|network|cidr)(?:\s*=\s*|:\s*|\s+(?::\s+)?)(?=\S)"
)
_ALL_BUT = re.compile(
    r"(?:^|[\s,;({=*•-])[!^]|!=|\b(?:not|except|all but|excluding|without|minus|nicht|ohne|außer|ausser|sauf|excepto|salvo)\b"
)
# A raised digit of the length, everybody among others, and numbers that may be last ones of further addresses.
_RAISED = re.compile("/\\s*[\u00b2\u00b3\u00b9\u2070-\u209f\u2460-\u24ff]")
_UNCLEAR = re.compile(
    rf"(?:,|\b(?:or|and|und|oder))\s*(?:any|anywhere|everywhere|all)\b|{_FOUR}(?:\s*[,&+]\s*\d{{1,3}}){{2,}}\Z"
)
_COMMENT = re.compile(r"(\S+)\s+(?:(?:#|;|//|\().*|[^\W\d_][^\d/.:]*)")

_NOWHERE = str(IPv4Address(0))
_ANYONE = (
    "any|all|*|*.*.*.*|anywhere|everywhere|anyone|everyone|everybody|internet|world|the internet|the world|default"
    "|any any|any ip|any address|any host|any source|all addresses|all ips|public"
)
_ANYWHERE = {
    **dict.fromkeys(
        (_NOWHERE, "0", "ipv4", "any4", "any ipv4", "any-ipv4", "any/0", "anywhere-ipv4", "anywhere ipv4"),
        ("0.0.0.0/0",),
    ),
    **dict.fromkeys(("::", "ipv6", "any6", "any ipv6", "any-ipv6", "anywhere-ipv6", "anywhere ipv6"), ("::/0",)),
    **dict.fromkeys(_ANYONE.split("|"), ("0.0.0.0/0", "::/0")),
}


def anywhere(text: str) -> Meant | None:
    """For words that mean everybody, and for the one address that is typed for it."""
    word = plain(text).strip("\"'`.,;()[]<>{}") if len(text) <= MOST else ""
    offers = _ANYWHERE.get(word)
    if offers is None:
        return None
    family = "one family alone" if len(offers) > 1 else "IPv4 alone" if "." in offers[0] else "IPv6 alone"
    return Meant(f"Do you mean anywhere? Leave the field empty for every address. For {family}:", offers)


def meant(text: str) -> Meant | None:
    """What the text most likely stands for; None where nobody could tell."""
    if len(text) > MOST:
        return None
    said = plain(text)
    if _ALL_BUT.search(said):
        return Meant(
            "A rule has no “all but”.", say="Type what is to be matched, and put a rule of the other action above."
        )
    if _RAISED.search(text) or _UNCLEAR.search(said):
        return None
    if said != text and _is_network(said):
        return Meant("Some characters only look like those of an address.", (said,))
    return _found(said) or _unwrapped(said) or _within(said)


def plain(text: str) -> str:
    """Plain digits and signs for those that look like them; nothing that is not seen; no other than plain spaces."""
    # A raised 2 is a footnote's, and none of the number's digits.
    text = "".join(" " if unicodedata.category(sign) == "No" else sign for sign in text.translate(_LOOKALIKES))
    text = unicodedata.normalize("NFKC", text).translate(_LOOKALIKES)
    seen = "".join(sign for sign in text if sign.isspace() or unicodedata.category(sign) not in ("Cf", "Cc", "Cs"))
    digits = "".join(str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in seen)
    return " ".join(digits.split()).lower()


def _is_network(text: str) -> bool:
    """Whether it reads as an address or a network, perhaps of an address inside."""
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return "%" not in text


def _one(text: str) -> _Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _found(plain: str) -> Meant | None:
    for find in _WAYS:
        found = find(plain)
        if found:
            return found
    return None


def _unwrapped(plain: str) -> Meant | None:
    """What is left without quotes, brackets, commas, a word before it, or a remark behind it."""
    left = _stripped(plain)
    if word := _WORD.match(left):
        left = _stripped(left[word.end() :])
    comment = _COMMENT.fullmatch(left)
    if comment and not re.search(rf"{_FOUR}|::", left[comment.end(1) :]):
        left = _stripped(comment[1])
    if left == plain:
        return None
    if _is_network(left):
        return Meant("There is more than an address in it.", (left,))
    return _found(left)


def _stripped(text: str) -> str:
    """Without what stands around it. An address may end in colons of its own, so each sign is taken by itself."""
    while text and not _is_network(text):
        slash = text[-1] == "/" and "/" in text[:-1] and _is_network(text[:-1])
        if slash or (text[-1] in _CLOSING and not re.fullmatch(rf"\[{_SIX}\]", text)):
            text = text[:-1].rstrip()
        elif text[0] in _OPENING:
            text = text[1:].lstrip()
        else:
            break
    return text


_PORT_BEHIND = re.compile(
    rf"(?:(?P<four>{_FOUR})(?P<prefix>/\d{{1,2}}(?!\.))?(?:(?:\s*[:#]\s*|\s+port\s+|\.)(?P<port>\d{{1,5}}(?:-\d{{1,5}})?)|:[a-z][a-z0-9-]+)"
    rf"|\[(?P<boxed>{_SIX}|{_FOUR})(?P<inner>/\d{{1,3}})?\](?P<outer>/\d{{1,3}})?(?:\s*[:#.]\s*\d{{1,5}})?"
    rf"|(?P<six>{_SIX})(?:#|\s+port\s+|\.)\d{{1,5}})(?:/(?:tcp|udp|sctp))?"
)


def _with_port(plain: str) -> Meant | None:
    found = _PORT_BEHIND.fullmatch(plain)
    if not found:
        return None
    address = found["four"] or found["boxed"] or found["six"]
    if _one(address) is None:
        return None
    prefix = found["port"] if found["four"] and not found["prefix"] else None
    if prefix and address.endswith(".0") and _is_aligned(f"{address}/{prefix}"):
        # Nobody asks for the port of a network's own address.
        why = "Between address and length a network has a slash."
        if int(prefix) in _USUAL_PORTS:
            return Meant("An address stands here without a port.", say="Type the network with its prefix length.")
        return Meant(why, (f"{address}/{prefix}",))
    boxed = found["boxed"] and plain.rstrip("/0123456789").endswith("]")
    reason = "An address stands here without brackets." if boxed else "An address stands here without a port."
    return Meant(reason, (address + (found["prefix"] or found["inner"] or found["outer"] or ""),))


_USUAL_PORTS = (20, 21, 22, 23, 25)


def _is_aligned(network: str) -> bool:
    return _is_network(network) and str(ip_network(network, strict=False)) == network


_URL = re.compile(
    r"(?:[a-z][a-z0-9+.-]*:/+|//)(?:[^/@\s]*@)?(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<four>[0-9.]+))(?::\d*)?(?P<path>[/?#].*)?"
)


def _from_url(plain: str) -> Meant | None:
    found = _URL.fullmatch(plain)
    host = found and (found["six"] or found["four"])
    if not found or not host or _one(host) is None:
        return None
    path = found["path"] or ""
    # A path of a number is more likely the length of a prefix.
    network = f"{host}{path}" if re.fullmatch(r"/\d{1,3}", path) and _is_network(f"{host}{path}") else host
    return Meant("A rule takes an address without the URL around it.", (network,))


_MASKED = re.compile(
    rf"({_FOUR})(?:\s*[/,;:&|]\s*|\s*-\s*(?=255\.)(?!255\.255\.255\.255)|\s+)\(?(?:(?:net|wildcard|subnet)[\s-]?)?(?:mask)?[\s:=]*({_FOUR})\)?"
)
_HEX_MASK = re.compile(r"\b0x([0-9a-f]{8})\b")
_SPACED = re.compile(rf"({_FOUR}|{_SIX})(?:\s+|\s*\|\s*)(\d{{1,3}})")
_SLASHED = re.compile(rf"({_FOUR}|{_SIX})\s*/[/+\s]*(\d{{1,3}})(?:\.0+)?")
_SIX_MASKED = re.compile(rf"({_SIX})\s*/\s*{_FOUR}")


def _with_mask(plain: str) -> Meant | None:
    found = _MASKED.fullmatch(_dotted_masks(plain))
    if found and _one(found[1]) is not None:
        # Up there a dash stands between the ends of a range.
        lengths = () if "-" in found[0] and int(found[1].split(".")[0]) > 223 else mask_lengths(found[1], found[2])
        if lengths:
            offers = tuple(f"{found[1]}/{length}" for length in lengths)
            return Meant("A network is written with its prefix length instead of a mask.", offers)
        if found[2].startswith(("255.", "0.")) and "-" not in found[0]:
            return Meant("The second address is no mask.", say="Type the network with its prefix length, such as /24.")
    if _SIX_MASKED.fullmatch(plain):
        return Meant("IPv6 has no masks.", say="Type the network with its prefix length, such as /64.")
    for shape in (_SPACED, _SLASHED):
        apart = shape.fullmatch(plain)
        if apart and _is_network(f"{apart[1]}/{apart[2]}"):
            why = "There is a space where" if apart[0][len(apart[1])].isspace() else "Between address and length"
            return Meant(f"{why} a network has a slash.", (f"{apart[1]}/{apart[2]}",))
    return None


def _dotted_masks(plain: str) -> str:
    """0xffffff00, as BSD's ifconfig prints a mask, with dots."""
    return _HEX_MASK.sub(lambda mask: str(IPv4Address(int(mask[1], 16))), plain)


def mask_lengths(host: str, mask: str) -> tuple[int, ...]:
    """The prefix lengths that a mask, or one of zeros for ones, may mean; () where it is none."""
    nowhere = host == _NOWHERE
    if mask == _NOWHERE:
        return (0,) if nowhere else (32,)
    if mask == "255.255.255.255":
        return (0, 32) if nowhere else (32,)
    try:
        return (ip_network(f"0.0.0.0/{mask}").prefixlen,)
    except ValueError:
        return ()


_RANGE = re.compile(
    rf"({_FOUR}|{_SIX})\s*(?:-+|\.{{2,}}|~|:(?=\d+\.)|\b(?:to|bis|through|thru|until|till|up to)\b)>?"
    rf"\s*({_FOUR}|{_SIX}|\d{{1,3}}(?:\.\d{{1,3}}){{0,2}})"
)
_BETWEEN = re.compile(r"(\d{1,3}(?:\.\d{1,3}){2}\.)\[(\d{1,3})-(\d{1,3})\]")


def _from_range(plain: str) -> Meant | None:
    found = _RANGE.fullmatch(_BETWEEN.sub(r"\1\2-\3", plain))
    first, last = (_one(found[1]), _last(found)) if found else (None, None)
    if first is None or last is None or first.version != last.version:
        return None
    networks = _networks(first, last)
    if len(networks) == 1:
        turned = " It is the other way round, too." if int(first) > int(last) else ""
        return Meant(f"A range is written as the network that it is.{turned}", tuple(networks))
    more = f" and {len(networks) - NAMED} more" if len(networks) > NAMED else ""
    named = ", ".join(networks[:NAMED])
    return Meant(
        f"This range is {len(networks)} networks: {named}{more}.", say="Type one network, and make a rule for each."
    )


def range_networks(text: str) -> tuple[str, ...]:
    """The networks that a range of addresses is made of; none where the text is no range."""
    found = _RANGE.fullmatch(plain(text)) if len(text) <= MOST else None
    first, last = (_one(found[1]), _last(found)) if found else (None, None)
    return tuple(_networks(first, last)) if first and last and first.version == last.version else ()


def _last(found: re.Match[str]) -> _Address | None:
    """The last address of a range; of 203.0.113.0-255 only the end that differs is written."""
    octets, first = found[2].split("."), found[1].split(".")
    short = len(first) == 4 and ":" not in found[2]
    return _one(".".join([*first[: 4 - len(octets)], *octets]) if short else found[2])


def _networks(first: _Address, last: _Address) -> list[str]:
    low, high = sorted((first, last), key=int)
    if isinstance(low, IPv4Address) and isinstance(high, IPv4Address):
        return [str(network) for network in summarize_address_range(low, high)]
    if isinstance(low, IPv6Address) and isinstance(high, IPv6Address):
        if low.ipv4_mapped and high.ipv4_mapped:
            # Packets carry them as IPv4.
            return _networks(low.ipv4_mapped, high.ipv4_mapped)
        return [str(network) for network in summarize_address_range(low, high)]
    return []


_STARRED = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,2})((?:\.(?:\*|x{1,3}))+|\.)")
_SHORT = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,2})(?:\.(?:\*|x))*\.?/(\d{1,2})")
_STARRED6 = re.compile(r"([0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6}):\*")
_SHORT6 = re.compile(r"([0-9a-f]{1,4}(?::[0-9a-f]{1,4}){1,6}):?/(\d{1,3})")


def _shortened(plain: str) -> Meant | None:
    """203.0.113.*, 203.0.113.0 without its last numbers, and the same of IPv6."""
    starred, short = _STARRED.fullmatch(plain), _SHORT.fullmatch(plain)
    if starred:
        octets = starred[1].split(".")
        # 10. alone may be anything that was not typed to its end.
        complete = len(octets) > 1 if starred[2] == "." else len(octets) + starred[2].count(".") <= 4
        return _padded(octets, 8 * len(octets)) if complete else None
    if short:
        octets = short[1].split(".")
        return _padded(octets, int(short[2])) if int(short[2]) <= 8 * len(octets) else None
    starred, short = _STARRED6.fullmatch(plain), _SHORT6.fullmatch(plain)
    if starred:
        return _whole(f"{starred[1]}::", 16 * len(starred[1].split(":")))
    if short and int(short[2]) <= 16 * len(short[1].split(":")):
        return _whole(f"{short[1]}::", int(short[2]))
    return None


def _padded(octets: list[str], prefix: int) -> Meant | None:
    return _whole(".".join((octets + ["0"] * 4)[:4]), prefix)


def _whole(address: str, prefix: int) -> Meant | None:
    network = f"{address}/{prefix}"
    if not _is_network(network):
        return None
    return Meant("A network is written with a whole address and its prefix length.", (network,))


FOUR_NUMBERS = re.compile(r"\d{1,3}(?:\s*[.,]+\s*\d{1,3}|\s+\d{1,3}){3}(?:/\d{1,2})?")


def _dotted(plain: str) -> Meant | None:
    """203,0,113,7: the dot of some keyboards' number pad is a comma. And dots with spaces, dots and colons too many."""
    if FOUR_NUMBERS.fullmatch(plain):
        dotted = re.sub(r"[\s.,]+", ".", plain)
        return Meant("An address has dots.", (dotted,)) if _is_network(dotted) and dotted != plain else None
    fewer = re.sub(r":{3,}", "::", plain)
    return Meant("There is a colon too many.", (fewer,)) if fewer != plain and _is_network(fewer) else None


_REVERSE = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa\.?")


def _reversed(plain: str) -> Meant | None:
    found = _REVERSE.fullmatch(plain)
    address = ".".join(reversed(found.groups())) if found else ""
    return Meant("This is the name of an address.", (address,)) if _one(address) is not None else None


def _listed(plain: str) -> Meant | None:
    """Several at once."""
    parts = [part for part in re.split(rf"[\s,;|+&]+|/(?={_FOUR})", plain) if part]
    if len(parts) < 2 or not all(map(_is_network, parts)) or any(mask_lengths(parts[0], part) for part in parts[1:]):
        return None
    if len(set(parts)) == 1:
        return Meant("This stands here more than once.", (parts[0],))
    return Meant(
        f"These are {len(parts)} addresses or networks, and here is room for one.",
        tuple(parts) if len(parts) <= NAMED else (),
        say="Type one, and make a rule for each.",
    )


def _named(plain: str) -> Meant | None:
    """A host's name, a mail address, an Ethernet address: none of them is an address of IP, and none tells one."""
    if re.fullmatch(r"[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}", plain):
        return Meant("This is an Ethernet (MAC) address.", say="Type the IP address that the machine has.")
    if re.fullmatch(r"(?:[a-z][a-z0-9+.-]*://)?(?:[^\W_][\w-]*\.)+[^\W\d_][\w-]+\.?(?::\d+)?(?:/\S*)?", plain):
        return Meant("This is a name, and a rule takes addresses.", say="Type the address that the name has.")
    return None


_WAYS: tuple[Callable[[str], Meant | None], ...] = (
    _with_port,
    _from_url,
    _with_mask,
    _from_range,
    _shortened,
    _dotted,
    _listed,
    _reversed,
    _named,
)

_TAG = re.compile(r"</?[a-z]+>")
_LENGTH_APART = re.compile(r"/(\d{1,2})\s+(\d{1,2})(?![\d.])")
# The addresses behind these words are others than the one that is told.
_OTHERS = re.compile(r"\b(?:brd|broadcast|bcast|via|gateway|gw|dev|mask|netmask)[\s:=]+\S+")
_SENDER = re.compile(r"(?:\s|^)(?:from|src|source|-s|--src|--source)[\s:=]+(\S+)")
# No first part of an IPv6 address.
_NAMED_BEFORE = re.compile(r"^(?![0-9a-f]{1,4}:)[a-z_][\w-]*[:=](?=\S)")
_LIKE_AN_ADDRESS = re.compile(rf"{_FOUR}|::|^\d+\.[\d.]*\d|[0-9a-f]*:[0-9a-f]+:")
_JOINING = frozenset(
    {"-", "--", "->", "=>", "\u2192", ">", "to", "bis", "through", "thru", "until", "till", "~", "..", "..."}
)


def _within(plain: str) -> Meant | None:
    """The address or network, or the few, among other words: “office 203.0.113.7”, what ifconfig or ufw print of one."""
    left = _dotted_masks(_TAG.sub(" ", plain))
    apart = _LENGTH_APART.search(left)
    if apart and int(apart[1] + apart[2]) <= 128:
        # 203.0.113.0/2 4 is more likely one length than two numbers.
        return None
    if sender := _SENDER.search(left):
        # What stands behind it is the receiver's.
        left = left if _LIKE_AN_ADDRESS.search(left[: sender.start()]) else sender[1]
    left = _MASKED.sub(_prefixed, left)
    left = _OTHERS.sub(" ", left)
    offers = _among([word for word in re.split(r"[\s,;|&@()\[\]{}\"'=]+", left) if word])
    if not offers or len(offers) > NAMED:
        return None
    return Meant("There is more than an address in it.", tuple(offers))


def _prefixed(masked: re.Match[str]) -> str:
    lengths = mask_lengths(masked[1], masked[2])
    return f"{masked[1]}/{lengths[0]}" if len(lengths) == 1 else masked[0]


def _among(words: list[str]) -> list[str]:
    """The addresses and networks among the words; none where one of them is not clear, or two are the ends of a range."""
    offers: list[str] = []
    joined = anyone = False
    for word in words:
        if offers and mask_lengths(offers[0], word):
            continue
        bare = _stripped(_NAMED_BEFORE.sub("", word, count=1) if not _is_network(word) else word)
        found = None if _is_network(bare) else _with_port(bare) or _from_url(bare)
        one = bare if _is_network(bare) and re.search(r"[.:]", bare) else found.offers[0] if found else ""
        if (one and ((anyone and not one.endswith("/0")) or (joined and offers))) or (
            not one and _LIKE_AN_ADDRESS.search(bare)
        ):
            return []
        if one and one not in offers:
            offers.append(one)
        joined = word in _JOINING
        anyone = anyone or (not offers and bare in _ANYWHERE)
    return offers
