"""What a file is by its first bytes, where it is none that can be read: its name, and what to do."""

import re
import struct

from securitygroups.firewall.formats.strict import BadDocument, bad

READ = "CSV and other tables, VPC flow logs, Zeek, JSON, lines of a firewall's log, packet captures"

_SAVE = "save the sheet with the flows as CSV"
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"an old Excel workbook, or another Office file: {_SAVE}"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it and take the log in it"),
    (0, b"Rar!\x1a\x07", "a RAR archive: unpack it and take the log in it"),
    (257, b"ustar", "a tar archive: unpack it and take the log in it"),
    (0, b"\x1f\x9d", "packed with compress: unpack it with “uncompress”, or pack it with gzip"),
    (0, b"\x04\x22\x4d\x18", "packed with lz4: unpack it with “lz4 -d”, or pack it with zstd or gzip"),
    (0, b"\xff\x06\x00\x00sNaPpY", "packed with snappy: unpack it, or pack it with zstd or gzip"),
    (0, b"%PDF", "a PDF document: export the flows as CSV"),
    (0, b"{\\rtf", "an RTF document: save the text in it as plain text"),
    (0, b"ElfFile\x00", "a Windows event log (EVTX): take the firewall's pfirewall.log, or export the events as CSV"),
    (4, b"LfLe", "an old Windows event log: take the firewall's pfirewall.log, or export the events as CSV"),
    (0, b"SQLite format 3\x00", "an SQLite database: export the table, “sqlite3 -header -csv FILE 'SELECT * FROM …'”"),
    (0, b"LPKSHHRH", "a systemd journal: export its lines, “journalctl --file FILE -k -o short-iso”"),
    (0, b"\x0c\xa5", "an nfcapd file: export the flows, “nfdump -r FILE -o csv”"),
    (0, b"\xa5\x0c", "an nfcapd file of another machine's byte order: export the flows there, “nfdump -r FILE -o csv”"),
    (0, b"\xde\xad\xbe\xef", "a SiLK file: export the flows, “rwcut FILE”"),
    (0, b"snoop\x00\x00\x00", "a snoop capture: turn it into pcap, “editcap -F pcap FILE NEW”"),
    (0, b"btsnoop\x00", "a Bluetooth capture, which has no IP packets"),
    (0, b"RTSS", "a Network Monitor capture: turn it into pcap, “editcap -F pcap FILE NEW”"),
    (0, b"GMBU", "a Network Monitor capture: turn it into pcap, “editcap -F pcap FILE NEW”"),
    (0, b"XCP\x00", "a NetXray capture: turn it into pcap, “editcap -F pcap FILE NEW”"),
    (0, b"ORC", "an ORC file: write the table as Parquet or CSV"),
    (0, b"Obj\x01", "an Avro file: write the table as Parquet or CSV"),
    (0, b"ARROW1", "an Arrow file: write the table as Parquet or CSV"),
    (0, b"\x89HDF", "an HDF5 file: write the table as Parquet or CSV"),
    (0, b"\x93NUMPY", "a NumPy file: write the table as Parquet or CSV"),
    (0, b"\x7fELF", "a program, no log"),
    (0, b"MZ", "a program of Windows, no log"),
    (0, b"\x89PNG", "a picture: take the log itself, not a picture of it"),
    (0, b"\xff\xd8\xff", "a picture: take the log itself, not a picture of it"),
    (0, b"GIF8", "a picture: take the log itself, not a picture of it"),
    (0, b"version https://git-lfs", "a pointer of Git LFS: fetch the file itself, “git lfs pull”"),
)
_ZIPPED = (
    (b"opendocument.spreadsheet", f"an OpenDocument spreadsheet: {_SAVE}"),
    (b"[Content_Types].xml", f"an Excel workbook: {_SAVE}"),
    (b"xl/", f"an Excel workbook: {_SAVE}"),
    (b"", "a zip archive: unpack it and take the log in it"),
)
_MARKED_UP = (
    (re.compile(rb"<nmaprun|nmap\.(?:dtd|xsl)", re.I), "a report of Nmap (XML), which holds no flows"),
    (re.compile(rb"<(?:pdml|psml)\b", re.I), "a packet list of Wireshark as XML: save the packets as pcap"),
    (re.compile(rb"<Events?\b.*schemas\.microsoft", re.S), "Windows events as XML: take the firewall's pfirewall.log"),
    (
        re.compile(rb"\s*<(?:!doctype html|html|head|body)\b", re.I),
        "a web page: export the flows themselves as CSV or JSON",
    ),
    (re.compile(rb"\s*<\?xml|\s*<[A-Za-z][\w:.-]*[\s>]"), "XML: export the flows as CSV or JSON"),
)
_PIPED = re.compile(rb"\d{1,2}\|\d{10}\|\d{1,3}\|\d{10}\|\d{1,3}\|\d{1,3}\|\d+\|\d+\|\d+\|\d+\|")
_NUMBERED = re.compile(rb"<\d{1,3}>")


def refusal(head: bytes) -> BadDocument | None:
    """Why a file that begins with these bytes is not read; None where it may be."""
    if head.startswith(b"PK\x03\x04"):
        return _is(next(words for part, words in _ZIPPED if part in head))
    for place, magic, words in _MAGIC:
        if head[place : place + len(magic)] == magic:
            return _is(words)
    if _PIPED.match(head):
        return _is("nfdump's output for programs, whose addresses are numbers: list the flows with “-o csv”")
    return _markup(head) or (_binary(head) if b"\0" in head and not is_utf16(head) else None)


def _markup(head: bytes) -> BadDocument | None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    # Lines of syslog begin with a number in such brackets.
    if not text.startswith(b"<") or _NUMBERED.match(text):
        return None
    return next((_is(words) for pattern, words in _MARKED_UP if pattern.search(text)), None)


def is_utf16(head: bytes) -> str:
    """The name of the encoding where it is UTF-16, else ""."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    # Without a mark: every second byte of Latin letters is zero.
    sample = head[:64]
    if len(sample) >= 8 and len(sample) % 2 == 0:
        odd, even = sample[1::2], sample[::2]
        if not any(odd) and all(even):
            return "utf-16-le"
        if not any(even) and all(odd):
            return "utf-16-be"
    return ""


def _is(words: str) -> BadDocument:
    return bad("", f"This is {words}.")


def _binary(head: bytes) -> BadDocument:
    if _is_erf(head):
        return _is("an ERF capture: turn it into pcap, “editcap -F pcap FILE NEW”")
    return bad("", f"This is a binary file of no kind that is known here, neither CSV nor any of what is read: {READ}.")


def _is_erf(head: bytes) -> bool:
    """Whether two records of a capture card's format fit one behind the other."""
    at = 0
    for _ in range(2):
        if at + 16 > len(head):
            return at > 0
        kind, length, wire = head[at + 8] & 0x7F, *struct.unpack_from(">H2xH", head, at + 10)
        if kind not in (2, 11, 16, 21, 22) or not length > 16 or wire > 65535 or length < min(wire, 60):
            return False
        at += length
    return True
