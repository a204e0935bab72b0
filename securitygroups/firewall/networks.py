"""Addresses and networks as frozen values, and how text becomes one."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from securitygroups.firewall.meant import anywhere, meant
from securitygroups.firewall.texts import Problem, shown

BITS = {4: 32, 6: 128}

_MAX_WRITTEN = 99_999_999
"""The largest number that is read out of an address or prefix that is refused, to say what to type instead."""
_MAPPED = int(ipaddress.IPv6Address("::ffff:0:0")) >> 32


class Refused(ValueError):
    """A value that cannot be taken; `problem` says why and what to type instead."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class _NoNetwork(Exception):
    """A text that is no network; `why` finds out what is meant, which takes long."""

    def __init__(self, why: Callable[[], Refused]) -> None:
        super().__init__()
        self.why = why


@dataclass(frozen=True, slots=True, order=True)
class Network:
    """Addresses of one family that share a prefix. `first` and `last` are its lowest and highest address, as numbers."""

    version: int
    first: int
    prefix: int
    last: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # Kept, not computed on each look: the evaluator asks for it once per rule and packet.
        object.__setattr__(self, "last", self.first | ((1 << (BITS[self.version] - self.prefix)) - 1))

    @property
    def is_everything(self) -> bool:
        """Whether this is all of its family: 0.0.0.0/0 or ::/0."""
        return self.prefix == 0

    def has(self, version: int, address: int) -> bool:
        """Whether an address of this family lies in it."""
        return version == self.version and self.first <= address <= self.last

    def __str__(self) -> str:
        return f"{address_text(self.version, self.first)}/{self.prefix}"


def whole_number(text: str, most: int) -> int | None:
    """The number that `text` writes in plain digits, None where it is none or is above `most`.

    Digits of other scripts are none, though Python's int() takes them, and so are more digits than `most` has: reading
    endless ones would cost more than linear time.
    """
    if not text.isascii() or not text.isdigit() or len(text) > len(str(most)):
        return None
    number = int(text)
    return number if number <= most else None


def address_text(version: int, address: int) -> str:
    """An address as people write it; the family is told, for numbers below 2³² exist in both."""
    if version == 4:
        # By itself: lists of a thousand rules are written again and again.
        return ".".join(map(str, address.to_bytes(4, "big")))
    if address >> 32 == _MAPPED:
        # Python's own spelling of these changed between versions, and files are to stay equal byte for byte.
        return f"::ffff:{ipaddress.IPv4Address(address & 0xFFFFFFFF)}"
    return str(ipaddress.IPv6Address(address))


def _without_zeros(text: str) -> str | None:
    """An IPv4 address without the leading zeros of `text`, None where that is not all that is wrong with it."""
    if text.count(".") != 3:
        return None
    numbers = [whole_number(part, _MAX_WRITTEN) for part in text.split(".")]
    known = [str(number) for number in numbers if number is not None and number <= 255]
    return ".".join(known) if len(known) == 4 else None


def parse_address(text: str) -> tuple[int, int]:
    """(version, number) of one address. Raises Refused."""
    text = text.strip()
    if "%" in text and "/" not in text:
        plain = text.split("%", 1)[0].strip()
        parse_address(plain)
        raise Refused(Problem(f"A zone id (%…) means nothing in a packet or a rule: type {plain}.", (plain,)))
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise _no_address(text) from None
    return address.version, int(address)


def _no_address(text: str) -> Refused:
    """Why the text is not one address, with the one that is meant where that is clear."""
    plain = _without_zeros(text)
    if plain is not None:
        reason = f"{shown(text)} has a leading zero, which some programs read as octal."
        return Refused(Problem(f"{reason} Type {plain} if that is what you mean.", (plain,)))
    host, slash, _ = text.partition("/")
    network = slash and plain_address(host.strip()) is not None
    one, found = _host(text) if network else None, None
    if one is None:
        found = meant(text)
        one = _host(found.offers[0]) if found and len(found.offers) == 1 else None
    offers = () if one is None else (one,)
    if network:
        reason = f"{shown(text)} is a network: type one address of it, without the part from “/” on"
        return Refused(Problem(f"{reason}: {one}." if one else f"{reason}.", offers))
    if found and one:
        return Refused(Problem(f"{found.reason} Type {one}.", offers))
    return Refused(Problem(f"“{shown(text)}” is not an IP address: type one such as 203.0.113.7 or 2001:db8::7."))


def plain_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """One address, None of anything else: for who does not ask what is meant, which takes long to find out."""
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None


def _host(text: str) -> str | None:
    """The address that stands before a prefix length, None where the network may be meant and not an address in it."""
    host, slash, length = (part.strip() for part in text.partition("/"))
    address = plain_address(host)
    if address is None or not slash:
        return None if address is None else host
    bits = BITS[address.version]
    prefix = whole_number(length, bits)
    inside = prefix is not None and int(address) & ((1 << (bits - prefix)) - 1)
    return host if inside or prefix == bits else None


_NO_MACHINES = {
    "0.0.0.0/8": "is what a machine without an address sends from",
    "127.0.0.0/8": "is a loopback address, which every machine has for itself",
    "169.254.0.0/16": "is a link-local address, which says that a machine got none by DHCP",
    "224.0.0.0/4": "is a multicast address, which belongs to many",
    "255.255.255.255/32": "is the broadcast address, which belongs to all",
    "240.0.0.0/4": "is reserved, and nobody has it",
    "::/128": "is what a machine without an address sends from",
    "::1/128": "is the loopback address, which every machine has for itself",
    "::/96": "is an IPv4 address in an old way to write it as IPv6",
    "fe80::/10": "is a link-local address, which every interface has and no router forwards",
    "ff00::/8": "is a multicast address, which belongs to many",
}


def machine_address(text: str, version: int) -> str:
    """The address of a family that a machine can be reached by, in one spelling. Raises Refused."""
    family, number = parse_address(text)
    said, other = address_text(family, number), 10 - version
    if family == 6 and number >> 32 == _MAPPED:
        four = machine_address(address_text(4, number & 0xFFFFFFFF), 4)
        where = "" if version == 4 else " as the IPv4 address"
        offers = (four,) if version == 4 else ()
        raise Refused(Problem(f"{said} is an IPv4 address written as IPv6. Type {four}{where}.", offers))
    if family != version:
        raise Refused(
            Problem(f"{said} is an IPv{other} address: type it as the IPv{other} address, or an IPv{version} one here.")
        )
    for network, why in _NO_MACHINES.items():
        if parse_network(network).has(family, number):
            raise Refused(Problem(f"{said} {why}. Type the address by which others reach the VM."))
    return said


def _instead(reason: str, *texts: str, say: str = "") -> Refused:
    """A refusal that offers these texts, or where one would be refused in its turn, what that refusal offers."""
    offers: list[str] = []
    refusal = None
    for text in texts:
        try:
            parse_network(text)
        except Refused as refused:
            refusal = refusal or refused
            offers += refused.problem.suggestions
        else:
            offers.append(text)
    if refusal and not offers:
        return refusal
    if offers:
        say = f"{'type' if reason.endswith(':') else 'Type'} {' or '.join(offers)}."
    return Refused(Problem(f"{reason} {say}", tuple(dict.fromkeys(offers))))


def _as_meant(text: str) -> Refused | None:
    found = anywhere(text) or meant(text)
    return _instead(found.reason, *found.offers, say=found.say) if found else None


def _prefix(text: str, version: int, host: str) -> int:
    bits = BITS[version]
    number = whole_number(text, _MAX_WRITTEN)
    if number is not None:
        if number > bits:
            reason = f"/{number} is too long for IPv{version}, where a prefix is 0 to {bits}."
            raise _NoNetwork(lambda: _without_length(reason, host))
        if str(number) != text:
            raise _NoNetwork(lambda: _instead(f"/{text} has a leading zero.", f"{host}/{number}"))
        return number
    raise _NoNetwork(lambda: _no_length(text, bits, host))


def _no_length(text: str, bits: int, host: str) -> Refused:
    """Why what stands behind the slash is no prefix length."""
    reason = f"“/{shown(text)}” is not a prefix length, which is 0 to {bits}."
    return _as_meant(f"{host}/{text}") or _without_length(reason, host)


def _without_length(reason: str, host: str) -> Refused:
    """A refusal that offers the one address, where that is what was typed: 10.0.0.0 is the name of a network."""
    version, number = parse_address(host)
    if number & (0xFF if version == 4 else (1 << 64) - 1):
        return _instead(reason, f"{host}/{BITS[version]}")
    return Refused(Problem(f"{reason} Type the length that you mean, such as /{24 if version == 4 else 64}."))


def parse_network(text: str) -> Network:
    """One address or a network in CIDR notation. Raises Refused; host bits are never masked away silently."""
    try:
        return _parse_network(text.strip())
    except _NoNetwork as none:
        refusal = none.why()
    raise refusal


def plain_network(text: str) -> Network | None:
    """The network that parse_network reads, None of what it refuses: for who does not ask what is meant."""
    try:
        return _parse_network(text.strip())
    except _NoNetwork:
        return None


# Stripped text that is a network is short, so what the cache holds is small whatever people send.
@lru_cache(maxsize=4096)
def _parse_network(text: str) -> Network:
    host, slash, prefix_text = text.partition("/")
    _check_spelling(text, host, slash, prefix_text)
    version, number = _network_address(text, host, slash + prefix_text)
    if not slash and number == 0:
        # The unspecified address is typed for anywhere; where it is meant, its prefix length says so.
        raise _NoNetwork(lambda: _as_meant(address_text(version, 0)) or _no_address(text))
    bits = BITS[version]
    prefix = _prefix(prefix_text, version, host) if slash else bits
    mapped = version == 6 and number >> 32 == _MAPPED
    if mapped and not 32 < prefix <= 96:
        # Up to 32 it is the length of the IPv4 network.
        length = "" if prefix == 128 else f"/{prefix - 96 if prefix > 96 else prefix}"
        raise _NoNetwork(
            lambda: _instead(
                f"{shown(text)} is an IPv4 address written as IPv6; packets carry it as IPv4.",
                address_text(4, number & 0xFFFFFFFF) + length,
            )
        )
    masked = number >> (bits - prefix) << (bits - prefix)
    if masked != number:
        one = f"{address_text(4, number & 0xFFFFFFFF)}/32" if mapped else f"{address_text(version, number)}/{bits}"
        whole = f"{address_text(version, masked)}/{prefix}"
        inside = Problem(
            f"{shown(text)} is an address inside a network. Type {one} for that one address, "
            f"or {whole} for the whole network.",
            (one, whole),
        )
        raise _NoNetwork(lambda: Refused(inside))
    return Network(version, number, prefix)


def _check_spelling(text: str, host: str, slash: str, prefix_text: str) -> None:
    """Refuse a zone id, and a space around the slash."""
    if "%" in text:
        plain = "/".join(part.split("%", 1)[0].strip() for part in text.split("/"))
        raise _NoNetwork(lambda: _instead("A zone id (%…) means nothing in a rule.", plain))
    if slash and (host != host.strip() or prefix_text != prefix_text.strip()):
        spaced = f"{host.strip()}/{prefix_text.strip()}"
        raise _NoNetwork(lambda: _instead(f"{shown(text)} has a space in it.", spaced))


def _network_address(text: str, host: str, rest: str) -> tuple[int, int]:
    """The address of a network; what is refused is refused as a network, with the `rest` of what was typed."""
    address = plain_address(host)
    if address is not None:
        return address.version, int(address)
    raise _NoNetwork(lambda: _no_network(text, host, rest))


def _no_network(text: str, host: str, rest: str) -> Refused:
    """Why what stands before the slash is no address."""
    plain = _without_zeros(host)
    if plain is not None:
        return _instead(f"{shown(text)} has a leading zero, which some programs read as octal.", f"{plain}{rest}")
    return _as_meant(text) or Refused(
        Problem(
            f"“{shown(text)}” is not an IP address or network: type one such as 203.0.113.7, "
            "203.0.113.0/24 or 2001:db8::/32, or leave it empty for any address."
        )
    )
