"""Rules as the ruleset of a host. Programs on hosts stand on these names."""

from securitygroups.firewall.nftables.ruleset import (
    TABLE,
    TAP_PATTERN,
    Tap,
    Unenforceable,
    host_ruleset,
    machine_ruleset,
    platform_counter,
    remove,
    rule_counter,
    skeleton,
    swap,
)
from securitygroups.firewall.platform import PlatformLine, Target, platform_lines

Machine = Tap
"""The name that programs on hosts know it by."""

__all__ = [
    "TABLE",
    "TAP_PATTERN",
    "Machine",
    "PlatformLine",
    "Tap",
    "Target",
    "Unenforceable",
    "host_ruleset",
    "machine_ruleset",
    "platform_counter",
    "platform_lines",
    "remove",
    "rule_counter",
    "skeleton",
    "swap",
]
