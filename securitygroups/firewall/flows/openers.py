"""Which records of a log open a flow, and whether it comes in or goes out."""

from collections import Counter
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.flows.addresses import Local
from securitygroups.firewall.flows.batch import IN, OUT, Batch, join
from securitygroups.firewall.values import PACKET_PROTOCOLS

WINDOW = 1 << 20
"""How many flows are remembered to recognise their replies and repeats: some 16 bytes each."""

MAYBE, OPENS, REPLIES = 1, 0, 2
"""What a record itself tells about its role; the smaller is the likelier to have opened the flow."""

Words = NDArray[np.uint64]
Mask = NDArray[np.bool_]

_ONE, _TWO = np.uint64(1), np.uint64(2)
_NAME = ~np.uint64(3)
_ROW_BITS, _TIME_BITS = 24, 36
_SEEMS_REPLY, _SURE_REPLY = 2, 3
_SERVICES, _FTP_DATA, _EPHEMERAL = 1024, 20, 32768
"""Below are the ports of services, one of which begins connections itself, and from the last on those of who asks them."""
_SPOKEN = np.isin(np.arange(256), (PACKET_PROTOCOLS["tcp"], PACKET_PROTOCOLS["udp"]))


class Skip(Enum):
    """Why a record of a log is not judged."""

    REPLY = "reply within a flow that is judged by its first packet"
    REPEAT = "later record or packet of a flow that is already judged"
    MIDDLE = "TCP or SCTP packet that does not open a connection"
    ICMP_ANSWER = "ICMP reply or error, which belongs to another flow"
    FRAGMENT = "later fragment of a packet"
    NOT_IP = "frame that is not IP, whose direction a capture does not tell"
    CUT = "packet that the capture cut too short"
    FOREIGN = "packet between two other machines, which was overheard"
    LOOPED = "packet that never left the machine, where no security group is"
    NO_DATA = "log line without data"
    ELSEWHERE = "neither address is a local one"
    NO_PROTOCOL = "record whose protocol the log does not tell"
    OTHER = "entry of another kind than a flow"
    NOT_READ = "line in which no packet was found"


def _mixed(words: Words) -> Words:
    """Each number scrambled so that every bit of it reaches every bit of the result (the finaliser of SplitMix64)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def scrambled(*columns: Words) -> Words:
    """One scrambled number for the numbers of each row, which depends on their order."""
    total = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        total = _mixed(total + column + np.uint64(0x9E3779B97F4A7C15))
    return total


class Openers:
    """Recognises, in a log with both ports, the one record of each flow that opened it.

    The latest WINDOW / 2 to WINDOW flows are remembered, as 62-bit hashes: memory is bounded, and a flow that comes
    back after so many others is judged again. One flow in about 10¹² is taken for another. `guessed` counts the flows of
    which nothing but the ports told which side began.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self.guessed = 0
        self._recent: Words = np.zeros(0, np.uint64)
        self._older: Words = np.zeros(0, np.uint64)

    def choose(
        self,
        batch: Batch,
        source_port: NDArray[np.int32],
        role: NDArray[np.uint8],
        start: NDArray[np.int64],
        skipped: Counter[Skip],
        *,
        one_way: Mask | None = None,
        by_direction: bool = False,
        in_order: bool = False,
        by_ports: bool = True,
    ) -> Mask:
        """The rows that open a flow which is not remembered; the others are counted in `skipped`.

        Records of one flow are those with the same protocol and the same two ends (address and port), whichever is the
        source. The opener is the one whose `role` (OPENS, MAYBE, REPLIES) is the likeliest, then with the earliest
        `start`, then the first where rows are `in_order` of their time, else the one that goes to the lower
        port. A flow of which only a reply is seen is not judged before its opener comes. `one_way`: rows that nothing
        answers in the same flow, such as requests of ICMP, each way one of its own. `by_direction`: the log tells
        directions, and a flow between two local machines is two. `by_ports`: what goes from a service's port to one of
        those that who asks it has is a reply, whatever its time says: logs begin in the middle of connections.

        At most 2²⁴ rows, whose starts may be in any unit: a minute of nanoseconds, or 19 hours of microseconds, are compared
        as they are, and the order of longer ones is found by sorting.
        """
        if not len(batch):
            return np.zeros(0, np.bool_)
        port = batch.port.astype(np.uint64)
        here = scrambled(batch.source_high, batch.source_low, source_port.astype(np.uint64))
        there = scrambled(batch.destination_high, batch.destination_low, port)
        turned = here > there
        kind = _kinds(batch, turned, one_way, by_direction=by_direction)
        flows = scrambled(np.minimum(here, there), np.maximum(here, there), kind) & _NAME
        # What is chosen of equal ones does not depend on their order.
        order = np.argsort(flows)
        ordered = flows.take(order)
        first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        sizes = np.diff(np.append(first, len(batch)))
        group = np.empty(len(batch), np.intp)
        group[order] = np.repeat(np.arange(len(first)), sizes)

        names = ordered.take(first)
        known, old_sense, waits, place = self._lookup(names)
        rank, seem = role.copy(), False
        rank[role == REPLIES] = _SURE_REPLY
        if by_ports:
            replies = seem_replies(batch, source_port, role)
            seem = bool(replies.any())
            rank[replies] = _SEEMS_REPLY
        if waits.any():
            # Of these a reply was seen before: who began is known.
            begun, back = waits.take(group), turned != old_sense.take(group)
            rank[begun & back & (role != OPENS)] = _SURE_REPLY
            rank[begun & ~back & (rank == _SEEMS_REPLY)] = MAYBE

        # The likeliest opener of each group is the smallest of these, and its row and orientation can be read off it.
        likely = rank.astype(np.uint64) << np.uint64(62)
        likely |= _earlier(start) << np.uint64(_ROW_BITS + 2)
        if not in_order:
            likely |= (source_port < batch.port).astype(np.uint64) << np.uint64(_ROW_BITS + 1)
        likely |= np.arange(len(batch), dtype=np.uint64) << _ONE
        likely |= turned
        sorted_likely = likely.take(order)
        best = np.minimum.reduceat(sorted_likely, first)
        reply = best >> np.uint64(62) >= _SEEMS_REPLY
        # One that waits for its opener may have been begun by the other side once more.
        settled = known & ~(waits & (best >> np.uint64(62) == OPENS))
        sense = np.where(settled, old_sense, (best & _ONE) ^ reply)
        if seem or not in_order:
            guessed = _guessed(sorted_likely, best, first, sizes, seem=seem, in_order=in_order)
            self.guessed += int(np.count_nonzero(guessed & ~known))
        opens = np.zeros(len(batch), np.bool_)
        rows = ((best >> _ONE) & np.uint64((1 << _ROW_BITS) - 1)).astype(np.intp)
        judged = ~reply & (waits | ~known)
        opens[rows[judged]] = True
        same = turned == sense.take(group)
        skipped[Skip.REPEAT] += int(np.count_nonzero(same & ~opens))
        skipped[Skip.REPLY] += int(np.count_nonzero(~same & ~opens))
        fresh = np.flatnonzero(judged | ~known)
        self._remember((names | sense | (reply.astype(np.uint64) << _ONE)).take(fresh), place.take(fresh))
        return opens

    def _lookup(self, names: Words) -> tuple[Mask, Words, Mask, NDArray[np.intp]]:
        """Which flows are remembered, in which sense (0 or 1) they were opened, which of them still wait for their opener,
        and where they stand among the recent."""
        known, sense = np.zeros(len(names), np.bool_), np.zeros(len(names), np.uint64)
        waits = np.zeros(len(names), np.bool_)
        place = np.zeros(len(names), np.intp)
        for memory in (self._older, self._recent):
            place = memory.searchsorted(names)
            if memory.size:
                found = memory.take(np.minimum(place, memory.size - 1))
                # One that was judged stands before the same that waited.
                hit = found & _NAME == names
                known |= hit
                sense = np.where(hit, found & _ONE, sense)
                waits = np.where(hit, found & _TWO > 0, waits)
        return known, sense, waits, place

    def _remember(self, flows: Words, place: NDArray[np.intp]) -> None:
        """Put sorted flows where they stand among the recent ones, which are sorted too."""
        joined = np.empty(len(self._recent) + len(flows), np.uint64)
        old = np.ones(len(joined), np.bool_)
        new = place + np.arange(len(flows))
        joined[new], old[new] = flows, False
        joined[old] = self._recent
        self._recent = joined
        if self._recent.size > self._window // 2:
            self._older, self._recent = self._recent[: self._window], np.zeros(0, np.uint64)


def _kinds(batch: Batch, turned: Mask, one_way: Mask | None, *, by_direction: bool) -> Words:
    """What two flows between the same ends differ in: their protocol, and what else tells them apart."""
    protocol = batch.protocol.astype(np.uint64)
    kind: Words = protocol << _ONE
    way = batch.direction.astype(np.uint64) & _ONE if by_direction else np.uint64(0)
    if by_direction:
        kind |= way ^ turned.astype(np.uint64)
    if one_way is None or not one_way.any():
        return kind
    apart = ((protocol | np.uint64(256)) << _TWO) | (way << _ONE) | turned.astype(np.uint64)
    return np.where(one_way, apart, kind)


def seem_replies(batch: Batch, source_port: NDArray[np.int32], role: NDArray[np.uint8]) -> Mask:
    """What goes from a service to who asks it, where the log says nothing else of who began."""
    served = (source_port < _SERVICES) & (source_port > 0) & (source_port != _FTP_DATA) & (batch.port >= _EPHEMERAL)
    seem: Mask = served & (role == MAYBE) & _SPOKEN.take(batch.protocol)
    return seem


def _guessed(
    likely: Words, best: Words, first: NDArray[np.intp], sizes: NDArray[np.intp], *, seem: bool, in_order: bool
) -> Mask:
    """The groups of which nothing but the ports told who began. `seem`: that some rows seem to be replies."""
    told, best_told = likely >> np.uint64(_ROW_BITS + 2), np.repeat(best >> np.uint64(_ROW_BITS + 2), sizes)
    guessed = np.zeros(len(likely), np.bool_)
    if not in_order:
        guessed = (told == best_told) & (likely & _ONE != np.repeat(best & _ONE, sizes))
    alone = np.zeros(len(first), np.bool_)
    if seem:
        role, chosen = likely >> np.uint64(62), best >> np.uint64(62)
        time = np.uint64((1 << _TIME_BITS) - 1)
        guessed |= (role == _SEEMS_REPLY) & (np.repeat(chosen, sizes) == MAYBE) & (told & time <= best_told & time)
        alone = chosen == _SEEMS_REPLY
    groups: Mask = np.logical_or.reduceat(guessed, first) | alone
    return groups


def _earlier(start: NDArray[np.int64]) -> Words:
    """Numbers of at most 36 bits in the order of the times: how long after the first, ranks where that is too long."""
    since = start - start.min()
    if int(since.max()) >= 1 << _TIME_BITS:
        since = np.unique(start, return_inverse=True)[1]
    earlier: Words = since.astype(np.uint64)
    return earlier


def directed(batch: Batch, local: Local, skipped: Counter[Skip]) -> Batch:
    """The packets with the direction that the `local` addresses, the VMs' own, give them.

    To a local address is In, from one is Out; between two local ones is both, so such a packet becomes two rows (the
    Out ones follow the In ones). Packets of neither are counted in `skipped`.
    """
    out = local.has(batch.version, batch.source_high, batch.source_low)
    inwards = local.has(batch.version, batch.destination_high, batch.destination_low)
    skipped[Skip.ELSEWHERE] += int(np.count_nonzero(~out & ~inwards))
    parts = []
    for rows, direction in ((inwards, IN), (out, OUT)):
        if rows.any():
            part = batch.take(rows)
            part.direction[:] = direction
            parts.append(part)
    return join(parts)
