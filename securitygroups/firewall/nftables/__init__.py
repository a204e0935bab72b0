"""Rules as the ruleset of a host. Programs on hosts stand on these names."""

from securitygroups.firewall.nftables.loaded import Loaded, NotListed, read_loaded
from securitygroups.firewall.nftables.ruleset import (
    TEXT_VERSION,
    host_ruleset,
    machine_ruleset,
    remove,
    remove_loaded,
    swap,
)
from securitygroups.firewall.nftables.skeleton import skeleton
from securitygroups.firewall.nftables.taps import (
    TABLE,
    TAP_PATTERN,
    Tap,
    Unenforceable,
    platform_counter,
    rule_counter,
)
from securitygroups.firewall.platform import Own, PlatformLine, Target, platform_lines

Machine = Tap
"""The name that programs on hosts know it by."""

__all__ = [
    "TABLE",
    "TAP_PATTERN",
    "TEXT_VERSION",
    "Loaded",
    "Machine",
    "NotListed",
    "Own",
    "PlatformLine",
    "Tap",
    "Target",
    "Unenforceable",
    "host_ruleset",
    "machine_ruleset",
    "platform_counter",
    "platform_lines",
    "read_loaded",
    "remove",
    "remove_loaded",
    "rule_counter",
    "skeleton",
    "swap",
]
