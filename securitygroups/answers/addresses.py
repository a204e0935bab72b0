"""Which addresses a person means who looks for VMs: one, a network, a range, or how they begin."""

import ipaddress
import re
from typing import NamedTuple

from securitygroups.firewall.values import BITS, Refused, address_text, parse_network, plain_network, whole_number


class Span(NamedTuple):
    """Addresses of one family, both ends included, as numbers."""

    version: int
    first: int
    last: int

    @property
    def ends(self) -> tuple[str, str]:
        return address_text(self.version, self.first), address_text(self.version, self.last)


def spans(word: str) -> list[Span]:
    """The addresses that the word can mean; none where it is no address. Nothing is changed by it, so it reads kindly."""
    word = re.sub(r"^[\w.-]+@", "", word.strip("()<>,;\"'").lower())
    # With a port, or out of a link.
    if match := re.fullmatch(r"(?:\w+://)?(?:\[([0-9a-f:.]+)\]|(\d+\.\d+\.\d+\.\d+))(?::\d+)?(?:/\D.*|/)?", word):
        word = match[1] or match[2]
    if word.endswith("::"):
        # An address too, but one that no VM has: who has typed so far wants all that begins with it.
        return _begun_6(word[:-1]) or _network(word)
    return _network(word) or _range(word) or _begun_4(word) or _begun_6(word)


def _network(word: str) -> list[Span]:
    try:
        found = parse_network(word)
    except Refused as refusal:
        # “10.0.1.11/24” is what a VM says of itself: its address comes first among what could be meant.
        offers = refusal.problem.suggestions
        meant = plain_network(offers[0]) if offers else None
        if meant is None:
            return []
        found = meant
    return [Span(found.version, found.first, found.last)]


def _range(word: str) -> list[Span]:
    """“10.0.1.5-10.0.1.9”, or with the last number alone behind the dash."""
    first, dash, last = re.sub("[–—]|\\.\\.\\.", "-", word).partition("-")
    if not dash:
        return []
    if "." in first and last.isdigit():
        last = f"{first.rpartition('.')[0]}.{last}"
    try:
        one, other = ipaddress.ip_address(first), ipaddress.ip_address(last)
    except ValueError:
        return []
    if one.version != other.version:
        return []
    ends = sorted((int(one), int(other)))
    return [Span(one.version, *ends)]


def _numbers(begun: str, most: int, base: int) -> list[tuple[int, int]]:
    """The numbers up to `most` that are written with these digits first: 1, 10 to 19 and 100 to 199 of “1”."""
    number, found, width = int(begun, base), [], 1
    while number * width <= most:
        found.append((number * width, min(number * width + width - 1, most)))
        if number == 0:
            break
        width *= base
    return found


def _begun_4(word: str) -> list[Span]:
    """“10.0.1.”, “10.0.1”, “10.0.*.*”."""
    plain = re.sub(r"(\.[*x])+$", ".", word)
    parts = plain.split(".")
    if len(parts) < 2 or len(parts) > 4:
        return []
    *whole, last = parts
    known = [whole_number(part, 255) for part in whole]
    if None in known or (last and whole_number(last, 255) is None):
        return []
    start = sum((number or 0) << (24 - 8 * at) for at, number in enumerate(known))
    size = 1 << (32 - 8 * len(whole))
    if not last:
        return [Span(4, start, start + size - 1)]
    step = size >> 8
    return [Span(4, start + low * step, start + (high + 1) * step - 1) for low, high in _numbers(last, 255, 10)]


def _begun_6(word: str) -> list[Span]:
    """“2001:db8:10:1:”, “2001:db8”."""
    plain = re.sub(r"(:\*)+$", ":", word)
    match = re.fullmatch(r"((?:[0-9a-f]{1,4}:){1,7})([0-9a-f]{0,4})", plain)
    if not match:
        return []
    whole, last = match[1].split(":")[:-1], match[2]
    start = sum(int(part, 16) << (112 - 16 * at) for at, part in enumerate(whole))
    size = 1 << (BITS[6] - 16 * len(whole))
    if not last:
        return [Span(6, start, start + size - 1)]
    step = size >> 16
    return [Span(6, start + low * step, start + (high + 1) * step - 1) for low, high in _numbers(last, 0xFFFF, 16)]
