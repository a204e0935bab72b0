"""Rule lists as documents, under the name that programs outside know them by."""

from securitygroups.firewall.formats.documents import (
    FORMAT,
    BadDocument,
    Fault,
    GroupDocument,
    packet_from_json,
    packet_to_json,
    read_group,
    read_packets,
    rule_from_json,
    rule_to_json,
    rules_from_json,
    rules_from_stored,
    stored_rules,
    write_group,
)

__all__ = [
    "FORMAT",
    "BadDocument",
    "Fault",
    "GroupDocument",
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
