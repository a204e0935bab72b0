"""Flow logs as batches of the packets that open a flow, whatever program wrote them, packed or plain.

**Tables** (layouts, tables): fields between commas, semicolons, tabs, bars or blanks, whose first line names the columns in
any order: `direction` (in, out), `protocol` (tcp, udp, sctp, icmp, icmpv6, non-ip, other names or a number), `source`,
`destination`, `port`, or what other programs call them (columns). Other columns are passed over. Without `direction` the
local addresses tell it. Every line is taken for the packet that opens a flow, unless a column `source_port` allows to pair
flows with their replies: `tcp_flags` and `start` then tell which came first. So are read VPC flow logs (with their header,
or in the default order of version 2), Zeek's conn.log, nfdump's CSV, the Windows firewall's log, and exports of many others.
**JSON** (records): lines, arrays and documents of Zeek, Suricata, Azure, GCP, and of programs with the usual names.
**Listings** of nfdump (listings), and **lines** (entries): kernel, pf, conntrack, tcpdump and other logs, as the packet test reads them, one by one.
**Parquet**, where pyarrow is installed. **Captures**: see captures.

In tables, whatever stands in the port column of a protocol without ports (an ICMP type and code) is not taken for a port;
an empty port or "-" of a protocol with ports is a packet without one, such as a later fragment.
"""

import codecs
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from securitygroups.firewall.flows.addresses import Local
from securitygroups.firewall.flows.batch import Batch
from securitygroups.firewall.flows.captures import Capture, is_capture, refuse_others
from securitygroups.firewall.flows.columns import Traits
from securitygroups.firewall.flows.compressed import Peeked, unpacked
from securitygroups.firewall.flows.compressed import Readable as Readable
from securitygroups.firewall.flows.entries import LINES, Lines
from securitygroups.firewall.flows.layouts import find_layout
from securitygroups.firewall.flows.listings import Listing, is_listing
from securitygroups.firewall.flows.openers import Skip
from securitygroups.firewall.flows.parquet import MAGIC, ParquetLog
from securitygroups.firewall.flows.records import JsonLog, is_json
from securitygroups.firewall.flows.rows import NO_DIRECTION, Rows
from securitygroups.firewall.flows.sniff import is_utf16, refusal
from securitygroups.firewall.flows.tables import MAX_LINE, TextTable
from securitygroups.firewall.formats.strict import bad
from securitygroups.firewall.values import Network

_CHUNK = 1 << 21
_HEAD = 1 << 16
_EVENTS = re.compile(
    rb"(?:\xef\xbb\xbf)?(?=[^\n]*\bmessage\b)"
    rb'(?:"?(?:timestamp|message|@(?:timestamp|message|logStream|log|ingestionTime))"?(?:,(?!\r?\n)|\r?\n)){1,5}',
    re.IGNORECASE,
)
_EVENTS_AS_TEXT = b"EVENTS\t"
_BLANK_COMMAS = bytes.maketrans(b',"\t', b"   ")


class _Reader(Protocol):
    """What reads one kind of log."""

    @property
    def kind(self) -> str: ...

    @property
    def records(self) -> int: ...

    @property
    def guessed(self) -> int: ...

    def __iter__(self) -> Iterator[Batch]: ...


class FlowLog:
    """A flow log of any kind that is read here, told by its first bytes and lines: iterate once over it for its batches.

    `local` are the VMs' own addresses: they give the direction where the log has none. Batches have up to some
    ten thousands of rows; memory does not grow with the log. `kind` is what it was read as, such as "CSV", "VPC flow log" or
    "capture"; `records` counts the lines, records or packets read so far, `skipped` those of them that are not judged, and
    `guessed` the flows of which nothing but the ports told which side began.
    """

    def __init__(self, stream: Readable, local: Sequence[Network] = ()) -> None:
        """Raises BadDocument where the log is none, or has no direction and there is no `local`."""
        self._local, self.skipped = Local(local), Counter[Skip]()
        self._log = self._opened(unpacked(stream))

    def _opened(self, source: Peeked) -> _Reader:
        if not source.head:
            raise bad("", "The file is empty.")
        if is_capture(source.head):
            return Capture(source.read, self.skipped, self._local)
        refuse_others(source.head)
        if source.head.startswith(MAGIC):
            return ParquetLog(_from_the_start(source), self._rows, directions_known=bool(self._local))
        if refused := refusal(source.head):
            raise refused
        return self._text(_decoding(source))

    def _rows(self, traits: Traits) -> Rows:
        return Rows(traits, self._local, self.skipped)

    def _text(self, read: Callable[[int], bytes]) -> _Reader:
        data = b""
        while len(data) < min(_HEAD, _CHUNK) and (more := read(_CHUNK)):
            data += more
        data, read = _straightened(data, read)
        if len(data) > MAX_LINE and b"\n" not in data[: MAX_LINE + 1] and not is_json(data):
            raise bad("", f"The first line is longer than {MAX_LINE} bytes: this is neither CSV nor another flow log.")
        if is_json(data):
            return JsonLog(self._rows, data, read, _CHUNK)
        if is_listing(data):
            return Listing(self._rows, data, read, _CHUNK)
        layout = find_layout(data, directions_known=bool(self._local), no_direction=NO_DIRECTION)
        if layout is None:
            return Lines(self._rows(LINES), data, read, _CHUNK)
        return TextTable(layout, self._rows(layout.traits), data, read, _CHUNK)

    @property
    def kind(self) -> str:
        return self._log.kind

    @property
    def records(self) -> int:
        return self._log.records

    @property
    def guessed(self) -> int:
        return self._log.guessed

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._log:
            if len(batch):
                yield batch


def _from_the_start(source: Peeked) -> Readable:
    """The file itself where it can be read from its end, else what was looked at with the rest."""
    stream: Any = source.stream
    if not getattr(stream, "seekable", lambda: False)():
        return source
    stream.seek(0)
    return source.stream


def _straightened(data: bytes, read: Callable[[int], bytes]) -> tuple[bytes, Callable[[int], bytes]]:
    """Lines as all others have them: of files of old Macs, and of what CloudWatch exports, in which a record is one field."""
    if b"\n" not in data and b"\r" in data:
        return data.replace(b"\r", b"\n"), lambda size: read(size).replace(b"\r", b"\n")
    if data.startswith(_EVENTS_AS_TEXT):
        return data.translate(_BLANK_COMMAS), lambda size: read(size).translate(_BLANK_COMMAS)
    if _EVENTS.match(data):
        # Nothing in a record has commas or quotes; what names the fields is a remark then.
        return b"#" + data.translate(_BLANK_COMMAS), lambda size: read(size).translate(_BLANK_COMMAS)
    return data, read


def _decoding(source: Peeked) -> Callable[[int], bytes]:
    """Reads UTF-8, whatever of the encodings of Unicode it is in."""
    name = is_utf16(source.head)
    if not name:
        return source.read
    decoder = codecs.getincrementaldecoder(name)("replace")

    def read(size: int) -> bytes:
        while data := source.read(size):
            if text := decoder.decode(data):
                return text.encode("utf-8", "replace")
        return b""

    return read
