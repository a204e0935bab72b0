"""What is done with the groups of many VMs, in sentences."""

from securitygroups.firewall.deeds import ABOVE, ATTACH, DETACH, FIRST, LAST, MOVE, REPLACE, Deed

_DONE = {ATTACH: "Attached {} to", DETACH: "Detached {} from", REPLACE: "Replaced {} by {} on"}
_MOVED = {
    LAST: "Moved {} to the last place on",
    FIRST: "Moved {} to the first place on",
    ABOVE: "Moved {} above what denies all on",
}
_AT = {LAST: "", FIRST: ", before their other groups", ABOVE: ", above what denies all"}


def done(deed: Deed, *names: str) -> tuple[str, str]:
    """What the record says before the VMs, and behind them; `names` are those of the groups."""
    words = _MOVED[deed.place] if deed.do == MOVE else _DONE[deed.do]
    return words.format(*names), _AT[deed.place] if deed.do == ATTACH else ""


_ASKED = {
    ATTACH: "Attach {} to {vms}?",
    DETACH: "Detach {} from {vms}?",
    REPLACE: "Replace {} by {} on {vms}?",
    MOVE: "Move {} on {vms}?",
}


def asked(deed: Deed, vms: str, *names: str) -> str:
    """The question about it."""
    return _ASKED[deed.do].format(*names, vms=vms)
