"""Rule lists as documents, under the name that programs outside know them by."""

from securitygroups.firewall.formats.documents import (
    FORMAT,
    MAX_DOCUMENT_BYTES,
    GroupDocument,
    read_group,
    rule_from_json,
    rule_to_json,
    rules_from_json,
    rules_from_stored,
    stored_rules,
    write_group,
)
from securitygroups.firewall.formats.packets import packet_from_json, packet_to_json, read_packets
from securitygroups.firewall.formats.strict import BadDocument, Fault, decode, load_json

__all__ = [
    "FORMAT",
    "MAX_DOCUMENT_BYTES",
    "BadDocument",
    "Fault",
    "GroupDocument",
    "decode",
    "load_json",
    "packet_from_json",
    "packet_to_json",
    "read_group",
    "read_packets",
    "rule_from_json",
    "rule_to_json",
    "rules_from_json",
    "rules_from_stored",
    "stored_rules",
    "write_group",
]
