"""Packets that hosts told of, in words: why each was dropped, by the agent's word for it."""

from securitygroups.firewall.texts import visible
from securitygroups.words.rules import ports_text, protocol_text

ACCEPT, RULE, NONE = "accept", "rule", "none"
LET_A_ROUTER = "The platform's operators can let a router do that."
REASONS = {
    NONE: ("No rule matches", "No rule of the list matches it, and what no rule matches is denied."),
    RULE: ("A rule drops it", "A rule of the list drops it."),
    "invalid": (
        "Opens no connection",
        "It neither opens a connection nor belongs to one that was accepted, or its checksum is wrong.",
    ),
    "opens": (
        "TCP without an opening",
        "The TCP segment opens no connection and belongs to none that was accepted: of one that was cut, for example.",
    ),
    "spoofed": (
        "Not sent as itself",
        f"The VM sent it from an address that is none of its own. {LET_A_ROUTER}",
    ),
    "server": (
        "Speaks as a router",
        "Only routers and DHCP servers say this, and the VM is neither. The platform's operators can let it.",
    ),
    "vlan": ("Has a VLAN tag", "The frame has a VLAN tag, which would hide the packet in it from the rules."),
    "tap": ("Came by another interface", "It came by an interface that is the VM's no more."),
    ACCEPT: ("Accepted", "A rule of the list accepts it."),
}
"""Of each in a few words, and in a sentence."""
BY_RULES = (NONE, RULE, ACCEPT)
"""Where the list decided; of everything else the platform did, before any rule."""


def reason_label(reason: str) -> str:
    return REASONS[reason][0] if reason in REASONS else "By the platform"


def reason_sentence(reason: str) -> str:
    return REASONS[reason][1] if reason in REASONS else f"The platform dropped it: {visible(reason)}."


def packet_label(direction: str, version: int | None, protocol: int | None, port: int | None, kind: int | None) -> str:
    """In a row: "In TCP 22 (SSH)", "Out ICMP type 8", "In, no IP"."""
    way = "Out" if direction == "out" else "In"
    if version is None:
        return f"{way}, no IP"
    if protocol is None:
        return f"{way}, IPv{version}, cut off"
    words = f"{way} {protocol_text(protocol)}"
    if port is not None:
        return f"{words}, {ports_text(port, port, protocol)}"
    return words if kind is None else f"{words} type {kind}"
