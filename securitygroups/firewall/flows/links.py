"""From the link layer of captured frames to the IP packets in them."""

from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.flows.batch import ACCEPTED, DENIED, IN, OUT, UNSAID
from securitygroups.firewall.flows.containers import LOOPED, UNTOLD, Offsets, Stretch, Told, cooked_way, damaged
from securitygroups.firewall.flows.openers import Skip

Mask = NDArray[np.bool_]
Found = tuple[Offsets, Offsets]
"""The EtherType of each frame's content, and where it begins."""

_IPV4, _IPV6, _PPPOE, _MPLS = 0x0800, 0x86DD, 0x8864, (0x8847, 0x8848)
_LONGEST = 1500  # of a frame of IEEE 802.3
_MOST_TAGS = 4
_VLAN_TAGS = (0x8100, 0x88A8, 0x9100, 0x9200)
_EITHER = 1  # stands for an EtherType: IP, of the version that its first bits say
_LOOPBACK = 772  # Linux' kind of hardware
# Address families of IP as BSDs, macOS, Linux and Windows number them.
_FAMILIES = np.zeros(256, np.intp)
_FAMILIES[2] = _IPV4
_FAMILIES[[10, 23, 24, 28, 30]] = _IPV6


class Frames:
    """The frames of one stretch of bytes, as offsets into it; `keep` narrows them down, counting what it drops."""

    def __init__(self, stretch: Stretch, skipped: Counter[Skip]) -> None:
        padded = stretch.data + bytes(64)
        self._bytes = np.frombuffer(padded, np.uint8)
        self._words = {
            size: np.ndarray((len(padded) - size + 1,), f">u{size}", padded, strides=(1,)) for size in (2, 4, 8)
        }
        self._skipped = skipped
        self.columns: dict[str, Offsets] = {
            "l3": stretch.starts,
            "end": stretch.ends,
            "link": stretch.link,
            "time": stretch.time,
            "told": stretch.told.astype(np.intp),
            "said": np.full(len(stretch.starts), UNSAID, np.intp),
        }

    def __getitem__(self, name: str) -> Offsets:
        return self.columns[name]

    def u8(self, at: Offsets) -> Offsets:
        return self._bytes.take(self._safe(at)).astype(np.intp)

    def number(self, at: Offsets, size: int) -> NDArray[np.uint64]:
        """Unsigned numbers of `size` bytes in network order."""
        return self._words[size][self._safe(at)].astype(np.uint64)

    def integer(self, at: Offsets, size: int) -> Offsets:
        """The same as offsets and small numbers are kept; `size` is 2 or 4."""
        return self._words[size][self._safe(at)].astype(np.intp)

    def little(self, at: Offsets) -> Offsets:
        """Unsigned numbers of four bytes as Intel writes them."""
        return self._words[4][self._safe(at)].astype(np.uint32).byteswap().astype(np.intp)

    def _safe(self, at: Offsets) -> Offsets:
        # What lies beyond the frame is dropped by the check of its length; it only must not lead outside the array.
        return np.minimum(at, len(self._bytes) - 8)

    def keep(self, rows: Mask, otherwise: Skip) -> None:
        dropped = len(rows) - int(np.count_nonzero(rows))
        if dropped:
            self._skipped[otherwise] += dropped
            kept = np.flatnonzero(rows)
            self.columns = {name: column.take(kept) for name, column in self.columns.items()}

    def tell(self, rows: Mask | slice, told: Told) -> None:
        """What the link layer says of the direction; where it says nothing, what was told before stands."""
        column = self.columns["told"] = self.columns["told"].copy()
        column[rows] = np.where(told != UNTOLD, told, column[rows])


def _ethernet(frames: Frames, at: Offsets, rows: Mask | slice) -> Found:
    return frames.integer(at + 12, 2), at + 14


def _cooked(frames: Frames, at: Offsets, rows: Mask | slice) -> Found:
    """Linux' “any” device."""
    _tell_cooked(frames, rows, frames.integer(at, 2), frames.integer(at + 2, 2))
    # An old libpcap put the tag of a VLAN where Ethernet has it, into what is left of the address.
    astray = (frames.integer(at + 4, 2) == 6) & np.isin(frames.integer(at + 12, 2), _VLAN_TAGS)
    return frames.integer(at + np.where(astray, 18, 14), 2), at + np.where(astray, 20, 16)


def _cooked_again(frames: Frames, at: Offsets, rows: Mask | slice) -> Found:
    """The same in its second version."""
    _tell_cooked(frames, rows, frames.u8(at + 10), frames.integer(at + 8, 2))
    # libpcap puts the tag of a VLAN where the first version has it, into the address, whose rest is zeros then as ever.
    astray = (frames.u8(at + 11) == 6) & np.isin(frames.integer(at + 14, 2), _VLAN_TAGS)
    astray &= frames.integer(at + 22, 2) == 0
    return frames.integer(at, 2), at + np.where(astray, 24, 20)


def _tell_cooked(frames: Frames, rows: Mask | slice, kind: Offsets, hardware: Offsets) -> None:
    frames.tell(rows, np.where(hardware == _LOOPBACK, np.uint8(LOOPED), cooked_way(kind)))


def _family(number: Offsets) -> Offsets:
    """EtherTypes of address families, which are in the byte order of the machine that captured."""
    turned = (number > 255) & (number & 0xFFFFFF == 0)
    number = np.where(turned, number >> 24, number)
    return np.where(number < 256, _FAMILIES.take(np.minimum(number, 255)), 0)


def _null(frames: Frames, at: Offsets, rows: Mask | slice) -> Found:
    """BSDs' tunnels and loopback: an address family, then the packet."""
    return _family(frames.integer(at, 4)), at + 4


def _raw(frames: Frames, at: Offsets, rows: Mask | slice) -> Found:
    """The packet alone. OpenBSD writes 12 for what is “loop” elsewhere: no packet begins like its header does."""
    looped = _family(frames.integer(at, 4))
    return np.where(looped > 0, looped, _EITHER), at + np.where(looped > 0, 4, 0)


def _only(kind: int) -> "Reader":
    return lambda frames, at, rows: (np.full(len(at), kind, np.intp), at)


def _behind(header: int) -> "Reader":
    """The packet behind a header of so many bytes that tells nothing."""
    return lambda frames, at, rows: (np.full(len(at), _EITHER, np.intp), at + header)


def _ppp(frames: Frames, at: Offsets, rows: Mask | slice) -> Found:
    """PPP with or without its address and control bytes, or Cisco's HDLC, which differs in these."""
    first = frames.integer(at, 2)
    cisco = (first == 0x0F00) | (first == 0x8F00)
    at = at + np.where((first == 0xFF03) | cisco, 2, 0)
    short = ~cisco & (frames.u8(at) & 1 > 0)
    protocol = np.where(short, frames.u8(at), frames.integer(at, 2))
    return np.where(cisco, protocol, _of_ppp(protocol)), at + np.where(short, 1, 2)


def _of_ppp(protocol: Offsets) -> Offsets:
    """EtherTypes of PPP's protocols."""
    kinds = ((0x0021, _IPV4), (0x0057, _IPV6), (0x0281, _MPLS[0]))
    return np.select([protocol == number for number, _ in kinds], [kind for _, kind in kinds], 0)


def _ppp_with_direction(frames: Frames, at: Offsets, rows: Mask | slice) -> Found:
    frames.tell(rows, np.where(frames.u8(at) > 0, np.uint8(OUT), np.uint8(IN)))
    return _ppp(frames, at + 1, rows)


def _pppd(frames: Frames, at: Offsets, rows: Mask | slice) -> Found:
    """The direction stands in the place of the address byte."""
    way = frames.u8(at)
    frames.tell(rows, np.where(way < 2, way, UNTOLD).astype(np.uint8))
    return _of_ppp(frames.integer(at + 2, 2)), at + 4


def _pflog(frames: Frames, at: Offsets, rows: Mask | slice) -> Found:
    """OpenBSD's pf and its kin: the firewall's own log, which says the direction and the verdict of a rule."""
    size, action = frames.u8(at), frames.u8(at + 2)
    way = frames.u8(at + np.where(size < 61, 44, 60))
    frames.tell(rows, np.select([way == 1, way == 2], [IN, OUT], UNTOLD).astype(np.uint8))
    said = frames.columns["said"] = frames["said"].copy()
    said[rows] = np.select([action == 0, action == 1], [ACCEPTED, DENIED], UNSAID)
    return np.where(size < 45, 0, _EITHER), at + (size + 3 & ~3)


def _nflog(frames: Frames, at: Offsets, rows: Mask | slice) -> Found:
    """Linux' nflog: fields of any order, one of them the packet; the hook tells what is the machine's own."""
    kind, inside = np.where(np.isin(frames.u8(at), (2, 10)), _EITHER, 0), at + 0
    told, field, open_ = np.full(len(at), UNTOLD, np.uint8), at + 4, np.ones(len(at), np.bool_)
    for _ in range(32):
        length, code = frames.integer(field, 2), frames.integer(field + 2, 2)
        # The numbers are in the byte order of the machine that captured; there are not 256 codes.
        turned = (code & 0xFF == 0) & (code > 0)
        length, code = (np.where(turned, value >> 8 | (value & 0xFF) << 8, value) for value in (length, code))
        open_ &= length >= 4
        hook = frames.u8(field + 6)
        told[open_ & (code == 1) & (hook == 1)], told[open_ & (code == 1) & (hook == 3)] = IN, OUT
        inside = np.where(open_ & (code == 9), field + 4, inside)
        open_ &= code != 9
        if not open_.any():
            break
        field = field + np.where(open_, length + 3 & ~3, 0)
    frames.tell(rows, told)
    return np.where(inside == at, 0, kind), inside


Reader = Callable[[Frames, Offsets, Mask | slice], Found]

_READERS: dict[int, tuple[Reader, int]] = {
    0: (_null, 4),
    1: (_ethernet, 14),
    9: (_ppp, 4),
    12: (_raw, 1),
    14: (_raw, 1),
    50: (_ppp, 4),
    51: (lambda frames, at, rows: (np.full(len(at), _PPPOE, np.intp), at), 8),
    101: (_raw, 1),
    104: (_ppp, 4),
    108: (_null, 4),
    109: (_behind(12), 13),
    113: (_cooked, 16),
    117: (_pflog, 48),
    138: (lambda frames, at, rows: (frames.integer(at + 16, 2), at + 18), 18),
    166: (_pppd, 4),
    204: (_ppp_with_direction, 5),
    228: (_only(_IPV4), 1),
    229: (_only(_IPV6), 1),
    239: (_nflog, 8),
    276: (_cooked_again, 20),
}
"""How a link type is read, and how long a frame of it is at least."""

_PKTAP, _PPI = 258, 192
"""Headers in front of a frame of any link type, which they say."""

_OTHERS = {
    link: name
    for name, links in {
        "Token Ring": (6,),
        "ARCNET": (7, 129),
        "SLIP": (8,),
        "FDDI": (10,),
        "ATM": (11, 100, 106, 123),
        "pflog of an old OpenBSD": (17,),
        "Wi-Fi": (105, 119, 127, 163),
        "Frame Relay": (107, 182),
        "Juniper's own": (*range(130, 138), 164, *range(178, 182), 194, 200),
        "DOCSIS": (143,),
        "infrared": (144,),
        "one that each maker uses as it likes": range(147, 163),
        "USB": (186, 189, 220, 249, 266, 288, 293, 294, 295),
        "Bluetooth": (187, 201, 251, 254, 255, 256, 272),
        "CAN bus": (190, 227),
        "Solaris IPNET": (226,),
        "IEEE 802.15.4": (195, 215, 230, 283),
        "Endace ERF": (197,),
        "Fibre Channel": (224, 225),
        "D-Bus": (231,),
        "InfiniBand": (242, 247),
        "SCTP without addresses": (248,),
        "what Wireshark exported of upper layers": (252,),
        "Linux netlink": (253,),
        "sockets between VMs and host": (271,),
        "Ethernet with a switch's own tags": (281, 282, 284, 285),
        "Windows event traces": (290,),
    }.items()
    for link in links
}
"""What those are that are met and not read."""


def check_link(link: int) -> None:
    """Raises BadDocument for a link type that is not read."""
    if link not in _READERS and link not in (_PKTAP, _PPI):
        name = f" ({_OTHERS[link]})" if link in _OTHERS else ""
        ways = "an Ethernet or tunnel interface, or with “tcpdump -i any”"
        raise damaged("", f"The capture's link type is {link}{name}, which is not read: capture on {ways}.")


def network_layer(frames: Frames) -> None:
    """Past the link layer: leaves IP packets, with their `version`, and what was `told` and `said` of them."""
    _unwrap(frames)
    frames.keep(frames["end"] - frames["l3"] >= _least(frames), Skip.CUT)
    if not len(frames["l3"]):
        frames.columns["version"] = frames["l3"]
        return
    kind, l3 = _past_tags(frames, *_content(frames))
    bits = frames.u8(l3) >> 4
    version = np.where(kind == _IPV4, 4, np.where(kind == _IPV6, 6, 0))
    version = np.where((kind == _EITHER) & ((bits == 4) | (bits == 6)), bits, version)
    frames.columns |= {"l3": l3, "version": version}
    frames.keep(frames["version"] > 0, Skip.NOT_IP)
    frames.keep(frames["told"] != LOOPED, Skip.LOOPED)
    least = np.where(frames["version"] == 4, 20, 40)
    whole = (frames["end"] - frames["l3"] >= least) & (frames.u8(frames["l3"]) >> 4 == frames["version"])
    frames.keep(whole, Skip.CUT)


def _kinds(frames: Frames) -> list[int]:
    """The link types of these frames, of which most captures have one."""
    link = frames["link"]
    if not len(link):
        return []
    first = int(link[0])
    return [first] if (link == first).all() else np.unique(link).tolist()


def _unwrap(frames: Frames) -> None:
    """Past headers that tell the link type of the frame behind them, one by one."""
    for outer, least, size_bytes, at_link in ((_PKTAP, 48, 4, 8), (_PPI, 8, 2, 4)):
        rows = frames["link"] == outer
        if not rows.any():
            continue
        frames.keep(~rows | (frames["end"] - frames["l3"] >= least), Skip.CUT)
        rows = frames["link"] == outer
        at = frames["l3"][rows]
        size = frames.little(at) if size_bytes == 4 else frames.little(at) >> 16
        l3, link = frames["l3"].copy(), frames["link"].copy()
        l3[rows] = np.minimum(at + size, frames["end"][rows])
        link[rows] = frames.little(at + at_link)
        frames.columns |= {"l3": l3, "link": link}
        if outer == _PKTAP:
            way = frames.little(at + 36) & 3
            frames.tell(rows, np.select([way == 1, way == 2], [IN, OUT], UNTOLD).astype(np.uint8))


def _least(frames: Frames) -> Offsets:
    """The bytes that each frame has at least. Raises BadDocument where one is of a link type that is not read."""
    least = np.zeros(len(frames["l3"]), np.intp)
    for link in _kinds(frames):
        check_link(link)
        # A second header of the kind in front of another one is none that any program writes.
        least[frames["link"] == link] = _READERS[link][1] if link in _READERS else 1 << 30
    return least


def _content(frames: Frames) -> Found:
    """What is in the frames, by the readers of their link types."""
    kinds = _kinds(frames)
    if len(kinds) == 1:
        return _READERS[kinds[0]][0](frames, frames["l3"], slice(None))
    kind, l3 = np.zeros(len(frames["l3"]), np.intp), frames["l3"].copy()
    for link in kinds:
        rows = frames["link"] == link
        kind[rows], l3[rows] = _READERS[link][0](frames, frames["l3"][rows], rows)
    return kind, l3


def _past_tags(frames: Frames, kind: Offsets, l3: Offsets) -> Found:
    """Past tags of VLANs, PPPoE and MPLS, all of which only carry a packet to where it is judged. A tunnel is judged as
    what it is outside: that is the packet that a security group sees."""
    for _ in range(_MOST_TAGS):
        tagged = np.isin(kind, _VLAN_TAGS)
        if not tagged.any():
            break
        kind = np.where(tagged, frames.integer(l3 + 2, 2), kind)
        l3 = l3 + tagged * 4
    # A length stands there where IEEE 802.2 tells the type behind it, in a header of Ethernet's own (SNAP, RFC 1042).
    spelled = (kind > _EITHER) & (kind <= _LONGEST)
    if spelled.any():
        spelled &= (
            (frames.integer(l3, 2) == 0xAAAA) & (frames.integer(l3 + 2, 2) == 0x300) & (frames.integer(l3 + 4, 2) == 0)
        )
        kind = np.where(spelled, frames.integer(l3 + 6, 2), kind)
        l3 = l3 + spelled * 8
    session = kind == _PPPOE
    if session.any():
        # Both ends may have agreed to leave out the first byte of the protocol, which is zero.
        short = session & (frames.u8(l3 + 6) & 1 > 0)
        protocol = np.where(short, frames.u8(l3 + 6), frames.integer(l3 + 6, 2))
        kind = np.where(session, _of_ppp(protocol), kind)
        l3 = l3 + session * 8 - short
    for _ in range(8):
        labelled = np.isin(kind, _MPLS)
        if not labelled.any():
            break
        last = frames.u8(l3 + 2) & 1 > 0
        kind = np.where(labelled & last, _EITHER, kind)
        l3 = l3 + labelled * 4
    return kind, l3
