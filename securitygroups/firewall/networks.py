"""Addresses and networks as frozen values, and how text becomes one."""

import ipaddress
from dataclasses import dataclass, field
from functools import lru_cache

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
        return str(ipaddress.IPv4Address(address))
    if address >> 32 == _MAPPED:
        # Python's own spelling of these changed between versions, and files are to stay equal byte for byte.
        return f"::ffff:{ipaddress.IPv4Address(address & 0xFFFFFFFF)}"
    return str(ipaddress.IPv6Address(address))


def _without_zeros(text: str) -> str | None:
    """An IPv4 address without the leading zeros of `text`, None where that is not all that is wrong with it."""
    numbers = [whole_number(part, _MAX_WRITTEN) for part in text.split(".")]
    known = [str(number) for number in numbers if number is not None and number <= 255]
    return ".".join(known) if len(known) == len(numbers) == 4 else None


def parse_address(text: str) -> tuple[int, int]:
    """(version, number) of one address. Raises Refused."""
    text = text.strip()
    if "/" in text:
        raise Refused(Problem(f"{shown(text)} is a network: type one address of it, without the part from “/” on."))
    if "%" in text:
        plain = text.split("%", 1)[0].strip()
        parse_address(plain)
        raise Refused(Problem(f"A zone id (%…) means nothing in a packet or a rule: type {plain}.", (plain,)))
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        pass
    else:
        return address.version, int(address)
    meant = _without_zeros(text)
    if meant is not None:
        reason = f"{shown(text)} has a leading zero, which some programs read as octal."
        raise Refused(Problem(f"{reason} Type {meant} if that is what you mean.", (meant,)))
    raise Refused(Problem(f"“{shown(text)}” is not an IP address: type one such as 203.0.113.7 or 2001:db8::7."))


def _instead(reason: str, text: str) -> Refused:
    """A refusal that offers `text`, or where that would be refused in its turn, what that refusal offers."""
    try:
        parse_network(text)
    except Refused as refusal:
        offers = refusal.problem.suggestions
        if not offers:
            return refusal
    else:
        offers = (text,)
    return Refused(Problem(f"{reason} Type {' or '.join(offers)}.", offers))


def _prefix(text: str, version: int, host: str) -> int:
    bits = BITS[version]
    number = whole_number(text, _MAX_WRITTEN)
    if number is not None:
        if number > bits:
            raise _instead(f"/{number} is too long for IPv{version}, where a prefix is 0 to {bits}.", f"{host}/{bits}")
        if str(number) != text:
            raise _instead(f"/{text} has a leading zero.", f"{host}/{number}")
        return number
    try:
        mask = ipaddress.ip_network(f"0.0.0.0/{text}").prefixlen if version == 4 and "." in text else None
    except ValueError:
        mask = None
    if mask is not None:
        raise _instead("A network is written with its prefix length instead of a mask.", f"{host}/{mask}")
    raise _instead(f"“/{shown(text)}” is not a prefix length, which is 0 to {bits}.", f"{host}/{bits}")


def parse_network(text: str) -> Network:
    """One address or a network in CIDR notation. Raises Refused; host bits are never masked away silently."""
    return _parse_network(text.strip())


# Stripped text that is a network is short, so what the cache holds is small whatever people send.
@lru_cache(maxsize=4096)
def _parse_network(text: str) -> Network:
    host, slash, prefix_text = text.partition("/")
    _check_spelling(text, host, slash, prefix_text)
    version, number = _network_address(text, host, slash + prefix_text)
    bits = BITS[version]
    prefix = _prefix(prefix_text, version, host) if slash else bits
    mapped = version == 6 and number >> 32 == _MAPPED
    if mapped and prefix > 96:
        raise _instead(
            f"{shown(text)} is an IPv4 address written as IPv6; packets carry it as IPv4.",
            address_text(4, number & 0xFFFFFFFF) + (f"/{prefix - 96}" if prefix < 128 else ""),
        )
    masked = number >> (bits - prefix) << (bits - prefix)
    if masked != number:
        one = f"{address_text(4, number & 0xFFFFFFFF)}/32" if mapped else f"{address_text(version, number)}/{bits}"
        whole = f"{address_text(version, masked)}/{prefix}"
        raise Refused(
            Problem(
                f"{shown(text)} is an address inside a network. Type {one} for that one address, "
                f"or {whole} for the whole network.",
                (one, whole),
            )
        )
    return Network(version, number, prefix)


def _check_spelling(text: str, host: str, slash: str, prefix_text: str) -> None:
    """Refuse a zone id, and a space around the slash."""
    if "%" in text:
        plain = "/".join(part.split("%", 1)[0].strip() for part in text.split("/"))
        raise _instead("A zone id (%…) means nothing in a rule.", plain)
    if slash and (host != host.strip() or prefix_text != prefix_text.strip()):
        raise _instead(f"{shown(text)} has a space in it.", f"{host.strip()}/{prefix_text.strip()}")


def _network_address(text: str, host: str, rest: str) -> tuple[int, int]:
    """The address of a network; what is refused is refused as a network, with the `rest` of what was typed."""
    try:
        return parse_address(host)
    except Refused as refusal:
        if refusal.problem.suggestions:
            reason = f"{shown(text)} has a leading zero, which some programs read as octal."
            raise _instead(reason, f"{refusal.problem.suggestions[0]}{rest}") from None
        raise Refused(
            Problem(
                f"“{shown(text)}” is not an IP address or network: type one such as 203.0.113.7, "
                "203.0.113.0/24 or 2001:db8::/32, or leave it empty for any address."
            )
        ) from None
