"""Every kind of file that rules are read from, ours and other systems', told by what stands in it."""

import json
from contextlib import suppress
from typing import Any

from securitygroups.firewall.formats.documents import MAX_DOCUMENT_BYTES, GroupDocument
from securitygroups.firewall.formats.reading import ReadGroup, Reading, System, Upload
from securitygroups.firewall.formats.spreadsheet import read_any
from securitygroups.firewall.formats.strict import BadDocument, Fault
from securitygroups.firewall.protocols import Problem

OWN = "karenpanel"
SYSTEMS: tuple[System, ...] = ()
"""In the order in which they are asked; the first that knows the file reads it."""


def read_file(data: bytes, file_name: str = "") -> Reading:
    """Whatever rules the file holds. Raises BadDocument; nothing of a bad file is taken."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise BadDocument([Fault("", Problem(f"The file is larger than {MAX_DOCUMENT_BYTES // 2**20} MiB."))])
    upload = _opened(data, file_name)
    for system in SYSTEMS:
        if system.looks(upload):
            return system.read(upload)
    return _own(read_any(data))


def _own(document: GroupDocument) -> Reading:
    return Reading(OWN, (ReadGroup(document.name, document.description, document.rules),))


def _opened(data: bytes, file_name: str) -> Upload:
    text, value = "", None
    with suppress(UnicodeDecodeError):
        text = data.decode("utf-8-sig")
    if text.lstrip()[:1] in ("{", "["):
        value = _json(text)
    return Upload(data, text, value, file_name)


def _json(text: str) -> Any:
    """The value, None where it is none: who reads documents of our own says what is wrong."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
