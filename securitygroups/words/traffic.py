"""What the analyses say of traffic, in sentences and small rows: differences, exposure.

Where rules of an effective list are named, the caller gives `name`, which turns a place into words such as "web, rule 2".
"""

from collections.abc import Callable, Sequence

from securitygroups.firewall.analysis.difference import Change
from securitygroups.firewall.analysis.products import ALL_PORTS, AddressRange, Product, count, is_every_ip, is_whole
from securitygroups.firewall.analysis.traffic import KINDS
from securitygroups.firewall.protocols import MAX_PORT, PROTOCOLS, Direction
from securitygroups.firewall.values import BITS, address_text
from securitygroups.words.rules import WAY, range_text, service_name

SHOWN = 4
"""Ranges that a sentence names before it says how many more there are."""
Name = Callable[[int], str]
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_LARGE = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"))


def joined(parts: Sequence[str], last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}" if len(parts) > 1 else "".join(parts)


def count_text(number: int, noun: str = "address", nouns: str = "addresses") -> str:
    """How many, as people say it: "1 address", "65,536 addresses", "about 4.3 billion addresses", "about 2⁶⁴ addresses"."""
    if number == 1:
        return f"1 {noun}"
    if number < 10**6:
        return f"{number:,} {nouns}"
    if number >= 10**15:
        # The nearest power of two: halves count as up from the square root of two.
        power = (number * number).bit_length() // 2
        return f"about 2{str(power).translate(_RAISED)} {nouns}"
    size, word = next(pair for pair in _LARGE if number >= pair[0])
    return f"about {number / size:.1f} {word} {nouns}".replace(".0 ", " ")


def address_range_text(addresses: AddressRange) -> str:
    """One range, as a network where it is one: "10.0.0.0/8", "10.0.0.7", "10.0.0.1–10.0.0.9"."""
    version, first, last = addresses
    size = last - first + 1
    if size == 1:
        return address_text(version, first)
    if size & (size - 1) == 0 and first % size == 0:
        return f"{address_text(version, first)}/{BITS[version] - size.bit_length() + 1}"
    return f"{address_text(version, first)}–{address_text(version, last)}"


def some(texts: Sequence[str], noun: str) -> str:
    """The first few, and how many more."""
    if len(texts) <= SHOWN + 1:
        return joined(texts)
    return f"{', '.join(texts[:SHOWN])} and {len(texts) - SHOWN} more {noun}"


def _gaps(ranges: Sequence[AddressRange], version: int) -> list[AddressRange]:
    """The addresses of a family that the ranges leave out."""
    found, at = [], 0
    for _, first, last in ranges:
        if first > at:
            found.append(AddressRange(version, at, first - 1))
        at = last + 1
    if at < 1 << BITS[version]:
        found.append(AddressRange(version, at, (1 << BITS[version]) - 1))
    return found


def _family(ranges: Sequence[AddressRange], version: int) -> str:
    if is_whole(ranges, version):
        return f"any IPv{version} address"
    gaps = _gaps(ranges, version)
    # What is left out is said where that is shorter and most of the family is in.
    if len(gaps) < len(ranges) and count(ranges, version) * 2 > 1 << BITS[version]:
        return f"any IPv{version} address except {some([address_range_text(gap) for gap in gaps], 'ranges')}"
    text = some([address_range_text(one) for one in ranges], "ranges")
    return f"{text} ({count_text(count(ranges, version))})" if len(ranges) > SHOWN + 1 else text


def ranges_text(ranges: Sequence[AddressRange]) -> str:
    """A set of addresses: "anywhere (IPv4, IPv6)", "any IPv4 address except 10.0.0.0/8", "10.0.0.0/8 and ::1"."""
    versions = sorted({one.version for one in ranges})
    if versions == [4, 6] and all(is_whole(ranges, version) for version in versions):
        return "anywhere (IPv4, IPv6)"
    texts = [_family([r for r in ranges if r.version == version], version) for version in versions]
    # What follows an "except" is read as excepted: it comes last, or behind a semicolon.
    texts.sort(key=lambda text: " except " in text)
    return "; ".join(texts) if " except " in texts[0] else joined(texts)


def _port_text(first: int, last: int, protocols: Sequence[str]) -> str:
    """A port with its service, or a range."""
    names = dict.fromkeys(service_name(name, first) for name in protocols) if first == last else {}
    named = "/".join(name for name in names if name)
    return range_text(first, last) + (f" ({named})" if named else "")


def product_ports_text(product: Product) -> str:
    """The ports of a product, "" where none of its protocols has ports.

    Such as "any port", "22 (SSH)", "80 (HTTP), 443 (HTTPS) and 8000–8999", "any port except 25 (SMTP)".
    """
    protocols = [name for name in product.protocols if name is not None and PROTOCOLS[name].has_ports]
    if product.any_port or not protocols:
        return "any port" if protocols else ""
    return _some_ports_text(product, protocols)


def _some_ports_text(product: Product, protocols: Sequence[str]) -> str:
    if product.portless:
        gaps = _port_gaps(product)
        if len(gaps) <= len(product.ports):
            return f"any port except {some([_port_text(*gap, protocols) for gap in gaps], 'ranges')}"
    elif product.ports == ALL_PORTS:
        return "0–65535 (not later fragments, which have no port)"
    texts = [_port_text(first, last, protocols) for first, last in product.ports]
    return some([*texts, *(["packets without a port (later fragments)"] if product.portless else [])], "ranges")


def _port_gaps(product: Product) -> list[tuple[int, int]]:
    """The ports that a product leaves out."""
    edges = [-1, *(edge for span in product.ports for edge in span), MAX_PORT + 1]
    return [(a + 1, b - 1) for a, b in zip(edges[::2], edges[1::2], strict=True) if a + 1 < b]


def protocols_text(product: Product) -> str:
    """The protocols of a product: "TCP", "TCP and UDP", "IP", "every IP protocol but TCP", "frames that are not IP"."""
    if not product.protocols:
        return "frames that are not IP"
    if product.every_protocol:
        return "IP"
    if product.protocols == ("icmp", None):
        return "ICMP and every other IP protocol without ports"
    if None not in product.protocols:
        return joined([PROTOCOLS[name].label for name in product.protocols if name])
    missing = [PROTOCOLS[name].label for name in KINDS if name and name not in product.protocols]
    return f"every IP protocol but {joined(missing)}"


def product_text(product: Product) -> str:
    """A product in words: "inbound TCP 22 (SSH) from anywhere (IPv4, IPv6)". What goes out comes from the VM: where it may
    go is what people ask, unless it is of some sources only."""
    way, out = WAY[product.direction], product.direction is Direction.OUT and _is_whole(product, product.sources)
    if not product.protocols:
        return f"{way} {protocols_text(product)}"
    if is_every_ip(product):
        return f"everything {way}" if product.non_ip else f"{way} IP {'to' if out else 'from'} anywhere (IPv4, IPv6)"
    ports = "" if product.every_protocol else product_ports_text(product)
    ports = f" {'on' if out else 'to'} {ports}" if ports.startswith("any") else f" {ports}" if ports else ""
    text = f"{way} {protocols_text(product)}{ports}"
    if not out:
        text += f" from {ranges_text(product.sources)}"
    if out or not _is_whole(product, product.destinations):
        text += f" to {ranges_text(product.destinations)}"
    return text


def _is_whole(product: Product, ranges: Sequence[AddressRange]) -> bool:
    return all(is_whole(ranges, version) for version in product.versions)


def places_text(places: Sequence[int | None], name: Name | None = None) -> str:
    """Rules by place: "rule 3", "rules 1 and 4", "rules 1, 2, 3, 4 and 9 more", "the default" for no rule."""
    text = _rules_text([place for place in places if place is not None], name)
    if None in places:
        return f"{text} or the default" if text else "the default"
    return text


def _rules_text(places: Sequence[int], name: Name | None) -> str:
    """Rules by place, the first few and how many more; "" for none."""
    shown = places if len(places) <= SHOWN + 1 else places[:SHOWN]
    more = len(places) - len(shown)
    names = [name(place) for place in shown] if name else [f"rule {place}" for place in shown]
    # "web, rule 2": of several rules of one group, or of the one list that is meant, the group is said once.
    groups, _, numbers = zip(*(one.rpartition("rule ") for one in names), strict=True) if names else ((), (), ())
    rest = [f"{more} more"] if more else []
    if len(names) > 1 and len(set(groups)) == 1 and all(number.isdigit() for number in numbers):
        return f"{groups[0]}rules {joined([*numbers, *rest])}"
    return joined(names + rest)


def change_sentence(
    change: Change, allowed: bool, name_before: Name | None = None, name_after: Name | None = None
) -> str:
    """ "Newly allowed: inbound TCP 22 (SSH) from anywhere (IPv4, IPv6) – decided by rule 3, was denied by default."."""
    before, after = places_text(change.before, name_before), places_text(change.after, name_after)
    if allowed:
        was = "denied by default" if change.before == (None,) else f"denied by {before}"
        return f"Newly allowed: {product_text(change.product)} – decided by {after}, was {was}."
    now = "denied by default now" if change.after == (None,) else f"decided by {after}"
    return f"Newly denied: {product_text(change.product)} – {now}, was accepted by {before}."


def share_text(share: float) -> str:
    """A part of the internet's addresses: "everyone", "50% of all public addresses"."""
    return "everyone" if share == 1 else f"{min(max(round(share * 100), 1), 99)}% of all public addresses"
