"""Every kind of file that rules are read from, ours and other systems', told by what stands in it."""

import codecs
from contextlib import suppress
from typing import Any

from securitygroups.firewall.formats import (
    aws,
    azure,
    cloudstack,
    digitalocean,
    gcp,
    hetzner,
    named,
    openstack,
    opnsense,
    scaleway,
    terraform,
)
from securitygroups.firewall.formats.documents import FORMAT, MAX_DOCUMENT_BYTES, GroupDocument
from securitygroups.firewall.formats.firewalld import FIREWALLD
from securitygroups.firewall.formats.iptables import IPTABLES
from securitygroups.firewall.formats.many import is_many, read_groups
from securitygroups.firewall.formats.nft import NFT
from securitygroups.firewall.formats.proxmox import PROXMOX
from securitygroups.firewall.formats.reading import ReadGroup, Reading, System, Upload
from securitygroups.firewall.formats.spreadsheet import is_document, read_any, read_table
from securitygroups.firewall.formats.strict import BadDocument, Fault, bad, load_json
from securitygroups.firewall.formats.ufw import UFW
from securitygroups.firewall.protocols import Problem, shown

OWN = "karenpanel"
SYSTEMS: tuple[System, ...] = (
    System(terraform.NAME, terraform.looks, terraform.read),
    System(aws.NAME, aws.looks, aws.read),
    System(openstack.NAME, openstack.looks, openstack.read),
    System(azure.NAME, azure.looks, azure.read),
    System(gcp.NAME, gcp.looks, gcp.read),
    System(hetzner.NAME, hetzner.looks, hetzner.read),
    System(digitalocean.NAME, digitalocean.looks, digitalocean.read),
    System(scaleway.NAME, scaleway.looks, scaleway.read),
    System(cloudstack.NAME, cloudstack.looks, cloudstack.read),
    System(opnsense.NAME, opnsense.looks, opnsense.read),
    IPTABLES,
    NFT,
    PROXMOX,
    UFW,
    FIREWALLD,
)
"""In the order in which they are asked; the first that knows the file reads it."""


def read_file(data: bytes, file_name: str = "") -> Reading:
    """Whatever rules the file holds. Raises BadDocument; nothing of a bad file is taken."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise BadDocument([Fault("", Problem(f"The file is larger than {MAX_DOCUMENT_BYTES // 2**20} MiB."))])
    upload = _opened(data, file_name)
    if is_many(upload.value):
        return Reading(OWN, tuple(map(_group, read_groups(data))))
    if _is_own(upload.value):
        return _own(read_any(data))
    for system in SYSTEMS:
        if system.looks(upload):
            if named.cut_short(upload.value):
                raise bad("", named.CUT_SHORT)
            return system.read(upload)
    if known := named.said(upload):
        raise bad("", known)
    if upload.value is not None:
        raise _strange(upload.value)
    return _own(read_any(data)) if is_document(data) else read_table(data)


def _own(document: GroupDocument) -> Reading:
    return Reading(OWN, (_group(document),))


def _group(document: GroupDocument) -> ReadGroup:
    return ReadGroup(document.name, document.description, document.rules)


def _is_own(value: Any) -> bool:
    """Whether it is meant as a document of ours, with or without faults."""
    if not isinstance(value, dict):
        return False
    rules = value.get("rules")
    first = rules[0] if isinstance(rules, list) and rules else None
    return "format" in value or (isinstance(first, dict) and {"action", "direction", "source"} <= first.keys())


def _strange(value: Any) -> BadDocument:
    """What is wrong with JSON that nobody here knows, and what would be known."""
    first = value[0] if isinstance(value, list) and value else value
    if isinstance(first, dict) and "doc_id" in first:
        return bad(
            "",
            "This is a link to a Google sheet: choose File, Download, Microsoft Excel (.xlsx) there, and import that.",
        )
    keys = ", ".join(f"“{shown(key)}”" for key in list(first)[:5]) if isinstance(first, dict) else ""
    names = ", ".join(system.name for system in SYSTEMS)
    said = f"In it stand {keys}." if keys else "There is no object with keys in it."
    return bad("", f"This is JSON, but of no kind that is read here. {said} Bring a document of this panel “{FORMAT}”, or one "
                   f"of these as its program writes it: {names}.")  # fmt: skip


def _opened(data: bytes, file_name: str) -> Upload:
    text, value = "", None
    # PowerShell writes what a command says as UTF-16.
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    with suppress(UnicodeDecodeError):
        text = data.decode("utf-16" if wide else "utf-8-sig")
    if text.lstrip()[:1] in ("{", "["):
        value = _json(text)
    return Upload(data, text, value, file_name)


def _json(text: str) -> Any:
    """The value, None where it is none: who reads documents of our own says what is wrong."""
    try:
        return load_json(text)
    except BadDocument:
        return None
