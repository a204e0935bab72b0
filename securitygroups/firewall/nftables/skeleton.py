"""What a host loads first and keeps: maps that lead from taps to VMs, and what passes no interface without a VM."""

from securitygroups.firewall.guests import SLOTS, TAGS
from securitygroups.firewall.nftables.taps import TABLE, TAP_PATTERN, check_pattern
from securitygroups.firewall.platform import BACK_MARK, NEW_MARK, REPLY_MARK, UP_MARK, Target
from securitygroups.firewall.protocols import Direction


def skeleton(target: Target, tap_pattern: str = TAP_PATTERN) -> str:
    """What a host loads first, before its VMs start, and keeps: an interface of the pattern without a VM passes nothing.

    Loading it again changes nothing. Raises Unenforceable.
    """
    check_pattern(tap_pattern)
    table = f"{target.family} {TABLE}"
    # Routed: the VM's Out is judged before the host translates destinations (-100), its In behind that.
    before = -150 if target is Target.INET else 10
    chains = (
        ("from_vm", "prerouting", before, "iifname", "vm_out", "unknown.out"),
        ("to_vm", "postrouting", -10, "oifname", "vm_in", "unknown.in"),
    )
    text = "" if target is Target.INET else _host_guard(tap_pattern)
    text += _state_table() if target is Target.BRIDGE_MARK else ""
    text += f"table {table} {{\n"
    for chain, hook, priority, _, verdicts, counter in chains:
        text += f"\tmap {verdicts} {{ type ifname : verdict; }}\n\tcounter {counter} {{ }}\n"
        text += f"\tchain {chain} {{ type filter hook {hook} priority {priority}; policy accept; }}\n"
    text += "}\n" + "".join(f"flush chain {table} {chain[0]}\n" for chain in chains) + f"table {table} {{\n"
    for chain, _, _, key, verdicts, counter in chains:
        # The map jumps, it does not go to: whatever falls out of a VM's chain comes back here and is dropped.
        text += f"\tchain {chain} {{\n\t\t{key} vmap @{verdicts}\n"
        text += f'\t\t{key} "{tap_pattern}" counter name "{counter}" drop\n\t}}\n'
    return text + "}\n"


def _chain(table: str, chain: str, kind: str, lines: list[str]) -> str:
    """A base chain with these lines, whatever it held."""
    text = f"add table {table}\nadd chain {table} {chain} {{ type filter hook {kind}; policy accept; }}\n"
    return f"{text}flush chain {table} {chain}\n" + "".join(f"add rule {table} {chain} {line}\n" for line in lines)


def _host_guard(tap_pattern: str) -> str:
    """Nothing of a VM reaches the host past the bridge.

    A bridge keeps frames to some link-local Ethernet addresses (IEEE 802.1Q, 8.6.3) from its own chains, and hands them
    up as the tap's: IP in them would be the host's. What comes over the bridge has the bridge's name there.
    """
    drop = f'iifname "{tap_pattern}" counter drop'
    return _chain(f"inet {TABLE}_host", "guard", "prerouting priority -400", [drop]) + _chain(
        f"arp {TABLE}_host", "guard", "input priority -400", [drop]
    )


def _state_table() -> str:
    """For kernels whose bridge family knows no connections: the packet's mark tells it what it has to know.

    Bridged packets get it in prerouting, where br_netfilter shows them to this family; what the host itself sends or
    routes into a bridge gets it in postrouting. Mangle (-150) comes behind connection tracking (-200). What the VMs'
    chains write into it, which list accepted the connection, is kept when the packet comes by again: behind the bridge
    in postrouting, or where the host takes or forwards what has left the bridge.
    """
    table, new, up = f"{TABLE}_state", f"meta mark & {NEW_MARK:#x} == {NEW_MARK:#x}", f"meta mark & {UP_MARK:#x} != 0x0"
    copied = [
        "meta mark set 0x0",
        f"meta mark set ct mark & {TAGS:#x}",
        f"ct state established,related meta mark set meta mark | {REPLY_MARK:#x}",
        f"ct state new,established,untracked meta mark set meta mark | {NEW_MARK:#x}",
        f"ct direction reply meta mark set meta mark | {BACK_MARK:#x}",
    ]
    bridged = [f'meta iifkind "bridge" {line}' for line in copied]
    sent = [*_kept(f'meta oifkind "bridge" {new}'), *(f'meta oifkind "bridge" {line}' for line in copied)]
    taken = _kept(f'meta iifkind "bridge" {up}')
    leaves = f"{new} meta mark set meta mark & {TAGS:#x} | {UP_MARK:#x}"
    return (
        _chain(f"bridge {table}", "leaves", "input priority 0", [leaves])
        + _chain(f"inet {table}", "bridged", "prerouting priority -150", bridged)
        + _chain(f"inet {table}", "taken", "input priority -150", taken)
        + _chain(f"inet {table}", "routed", "forward priority -150", taken)
        + _chain(f"inet {table}", "sent", "postrouting priority -150", sent)
    )


def _kept(which: str) -> list[str]:
    """The tags of these packets become their connections'.

    A frame that is sent to every port of the bridge is judged on each of them: a copy that no In list accepted leaves
    what another copy's did.
    """
    into = SLOTS[Direction.IN]
    kept = f"ct mark set meta mark & {TAGS:#x}"
    nobody = f"meta mark & {into:#x} == 0x0 meta mark & {TAGS:#x} != 0x0 ct mark & {into:#x} == 0x0"
    return [
        f"{which} meta mark & {into:#x} != 0x0 {kept}",
        f"{which} {nobody} {kept}",
        f"{which} meta mark set 0x0 accept",
    ]
