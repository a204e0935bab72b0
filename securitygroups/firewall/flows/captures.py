"""Packet captures as batches of the packets that open a flow."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.flows import batch as batches
from securitygroups.firewall.flows.addresses import Local
from securitygroups.firewall.flows.batch import NO_PORT, OUT, Batch
from securitygroups.firewall.flows.containers import (
    FOREIGN,
    PCAPNG,
    UNTOLD,
    Container,
    Pcap,
    Times,
    damaged,
    filled,
    is_capture,
    refuse_others,
)
from securitygroups.firewall.flows.links import Frames, Mask, check_link, network_layer
from securitygroups.firewall.flows.openers import MAYBE, Openers, Skip, directed
from securitygroups.firewall.flows.pcapng import PcapNg
from securitygroups.firewall.values import ICMP, ICMPV6, parse_network

__all__ = ["Capture", "is_capture", "refuse_others"]

_TCP, _UDP, _SCTP = 6, 17, 132
_HOPOPTS, _ROUTING, _FRAGMENT, _AUTH, _DESTINATION = 0, 43, 44, 51, 60
_SYN, _SYN_ACK, _INIT = 0x02, 0x12, 1


def _these(*numbers: int) -> Mask:
    """A table of the numbers of one byte: which of them are these."""
    return np.isin(np.arange(256), numbers)


ICMP_ANSWERS = {ICMP: _these(0, 3, 4, 5, 11, 12, 14, 16, 18), ICMPV6: _these(1, 2, 3, 4, 129)}
"""Types of replies, and of errors that quote a packet of another flow. Neighbour discovery is judged by itself."""
_EXTENSIONS = _these(_HOPOPTS, _ROUTING, _FRAGMENT, _AUTH, _DESTINATION)
_UNENDED = _these(_HOPOPTS, _ROUTING, _FRAGMENT, _DESTINATION)
_ICMP = _these(ICMP, ICMPV6)
_WITH_PORTS, _CERTAIN = _these(_TCP, _UDP, _SCTP), _these(_TCP, _SCTP)
_TO_MANY = Local([parse_network(text) for text in ("224.0.0.0/4", "255.255.255.255/32", "ff00::/8")])
# Of IPv6, each machine also has an address that it made itself, which nobody lists.
_FROM_NOBODY = Local([parse_network(text) for text in ("0.0.0.0/32", "::/128", "fe80::/10")])
_TO_ITSELF = Local([parse_network(text) for text in ("127.0.0.0/8", "::1/128")])


def _transport_layer(frames: Frames) -> None:
    """Past the IP headers: adds `protocol` and `l4`, drops later fragments."""
    l3, four = frames["l3"], frames["version"] == 4
    protocol = np.where(four, frames.u8(l3 + 9), frames.u8(l3 + 6))
    l4 = l3 + np.where(four, np.maximum(frames.u8(l3) & 15, 5) * 4, 40)
    later = four & (frames.number(l3 + 6, 2) & np.uint64(0x1FFF) != 0)
    for _ in range(8):
        extended = ~four & ~later & _EXTENSIONS.take(protocol)
        extended &= l4 + 8 <= frames["end"]
        if not extended.any():
            break
        length = frames.u8(l4 + 1)
        size = np.where(protocol == _AUTH, (length + 2) * 4, (length + 1) * 8)
        fragment = extended & (protocol == _FRAGMENT)
        later |= fragment & (frames.number(l4 + 2, 2) >> np.uint64(3) != 0)
        size = np.where(fragment, 8, size)
        protocol = np.where(extended, frames.u8(l4), protocol)
        l4 = l4 + extended * size
    frames.columns |= {"protocol": protocol, "l4": l4, "later": later.astype(np.intp)}
    frames.keep(frames["later"] == 0, Skip.FRAGMENT)
    # An extension header that is still in front here was cut off or is beyond all use.
    inside = ~_UNENDED.take(frames["protocol"]) | (frames["version"] == 4)
    needed = np.zeros(256, np.intp)
    needed[[_TCP, _UDP, _SCTP, ICMP, ICMPV6]] = (14, 4, 13, 1, 1)
    frames.keep(inside & (frames["l4"] + needed.take(frames["protocol"]) <= frames["end"]), Skip.CUT)


def _drop_answers(frames: Frames) -> None:
    """What says of itself that it opens no flow: TCP but SYN, SCTP but INIT, ICMP replies and errors."""
    protocol, l4 = frames["protocol"], frames["l4"]
    opens = (protocol != _TCP) | (frames.u8(l4 + 13) & _SYN_ACK == _SYN)
    opens &= (protocol != _SCTP) | (frames.u8(l4 + 12) == _INIT)
    frames.keep(opens, Skip.MIDDLE)
    protocol, kind = frames["protocol"], frames.u8(frames["l4"])
    answers = np.zeros(len(protocol), np.bool_)
    for number, kinds in ICMP_ANSWERS.items():
        answers |= (protocol == number) & kinds.take(kind)
    frames.keep(~answers, Skip.ICMP_ANSWER)


class _Packets(NamedTuple):
    """Packets, with what tells who opened a flow. Their directions are what the frames told."""

    batch: Batch
    source_port: NDArray[np.int32]
    time: Times

    def take(self, mask: Mask) -> "_Packets":
        rows = np.flatnonzero(mask)
        return _Packets(self.batch.take(rows), self.source_port.take(rows), self.time.take(rows))


def _packets(frames: Frames) -> _Packets:
    l3, l4, four, protocol = frames["l3"], frames["l4"], frames["version"] == 4, frames["protocol"]
    (source_high, source_low), (high, low) = (
        (
            np.where(four, np.uint64(0), frames.number(l3 + at6, 8)),
            np.where(four, frames.number(l3 + at4, 4), frames.number(l3 + at6 + 8, 8)),
        )
        for at4, at6 in ((12, 8), (16, 24))
    )
    has_port = _WITH_PORTS.take(protocol)
    port = np.where(has_port, frames.number(l4 + 2, 2), np.uint64(0)).astype(np.int32)
    source_port = np.where(has_port, frames.number(l4, 2), np.uint64(0)).astype(np.int32)
    port[~has_port] = source_port[~has_port] = NO_PORT
    version, number = frames["version"].astype(np.uint8), protocol.astype(np.uint8)
    told, said = frames["told"].astype(np.uint8), frames["said"].astype(np.uint8)
    batch = Batch(told, version, number, source_high, source_low, high, low, port, said)
    return _Packets(batch, source_port, frames["time"])


def _container(read: Callable[[int], bytes], skipped: Counter[Skip]) -> Container:
    """The container that these bytes are; they begin as is_capture wants it. Raises BadDocument."""
    head = filled(read, 4)
    return (PcapNg if head == PCAPNG else Pcap)(head, read, skipped)


class Capture:
    """Reads packet captures: classic pcap and pcapng, of the link types in links; extension headers are looked through.

    A TCP packet opens a flow when it has SYN without ACK, an SCTP packet when it begins with INIT. Of any other
    protocol, the earliest packet between two ends does (see Openers), by the time that it was captured at, wherever it
    stands within some MiB of the file: several interfaces write out of turn. ICMP replies and errors never do.

    Directions are those that the `local` addresses give, since a host that forwards sees packets of its VMs come in that
    go out of them. What a frame itself tells (“any” devices, pflog, pcapng's flags) counts only where no address can tell:
    for packets to many, from nobody or within a link, and for all of them where no local addresses are named, in which case
    the capture was made where the packets are judged, and each packet has to tell. `records` counts the packets read, `skipped`
    those that were not judged and why.
    """

    kind = "capture"

    def __init__(self, read: Callable[[int], bytes], skipped: Counter[Skip], local: Local) -> None:
        """`read(size)` gives the next bytes, b"" at the end; they begin as is_capture wants it. Raises BadDocument."""
        self._container = _container(read, skipped)
        if self._container.link is not None:
            check_link(self._container.link)
        self._skipped, self._local, self._openers = skipped, local, Openers()
        self._held = _Packets(batches.empty(), np.zeros(0, np.int32), np.zeros(0, np.int64))

    @property
    def records(self) -> int:
        return self._container.records

    @property
    def guessed(self) -> int:
        """Flows whose opener was guessed: none as long as the order of the packets tells it."""
        return self._openers.guessed

    def __iter__(self) -> Iterator[Batch]:
        for stretch in self._container:
            frames = Frames(stretch, self._skipped)
            network_layer(frames)
            _transport_layer(frames)
            _drop_answers(frames)
            packets = _packets(frames)
            # A SYN is an attempt of its own each time, even from the same port.
            certain = _CERTAIN.take(packets.batch.protocol)
            yield self._directed(packets.batch.take(certain))
            yield self._directed(self._opening(packets.take(~certain)))
        yield self._directed(self._chosen(self._held))

    def _opening(self, packets: _Packets) -> Batch:
        """Those that open a flow, of the packets which nothing that comes later can precede; the others are held."""
        held = self._held
        seen = held.time.max(initial=-1)
        joined = _Packets(
            batches.join([held.batch, packets.batch]),
            np.concatenate([held.source_port, packets.source_port]),
            np.concatenate([held.time, packets.time]),
        )
        early = joined.time <= seen
        self._held = joined.take(~early)
        return self._chosen(joined.take(early))

    def _chosen(self, packets: _Packets) -> Batch:
        role = np.full(len(packets.batch), MAYBE, np.uint8)
        opens = self._openers.choose(
            packets.batch,
            packets.source_port,
            role,
            packets.time,
            self._skipped,
            one_way=_ICMP.take(packets.batch.protocol),
            in_order=True,
            by_ports=False,
        )
        return packets.batch.take(opens)

    def _directed(self, batch: Batch) -> Batch:
        """The packets with their directions; until here, the column holds what the frames told."""
        told = batch.direction.copy()
        if not self._local:
            return self._as_told(batch, told)
        nobody = _TO_MANY.has(batch.version, batch.destination_high, batch.destination_low)
        nobody |= _FROM_NOBODY.has(batch.version, batch.source_high, batch.source_low)
        nobody &= told <= OUT
        if nobody.any():
            for high, low in ((batch.source_high, batch.source_low), (batch.destination_high, batch.destination_low)):
                nobody &= ~self._local.has(batch.version, high, low)
        return batches.join([directed(batch.take(~nobody), self._local, self._skipped), batch.take(nobody)])

    def _as_told(self, batch: Batch, told: NDArray[np.uint8]) -> Batch:
        if (told == UNTOLD).any():
            raise damaged("", "The capture does not tell directions: name the local addresses, the VMs' own.")
        self._skipped[Skip.FOREIGN] += int(np.count_nonzero(told == FOREIGN))
        looped = (batch.source_high == batch.destination_high) & (batch.source_low == batch.destination_low)
        looped |= _TO_ITSELF.has(batch.version, batch.destination_high, batch.destination_low)
        looped &= told != FOREIGN
        self._skipped[Skip.LOOPED] += int(np.count_nonzero(looped))
        return batch.take((told <= OUT) & ~looped)
