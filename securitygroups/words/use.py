"""How much use is made of a rule, as hosts counted it, in sentences. Days are written as the page writes them."""

from collections.abc import Sequence


def hits(packets: int, last: str) -> str:
    """In a list: so often in the last 30 days, the last time in this hour."""
    return f"{packets:,} hit{'' if packets == 1 else 's'}, last {last}"


def used(packets: int, last: str, machines: int) -> str:
    vms = "1 VM" if machines == 1 else f"{machines:,} VMs"
    return f"{packets:,} hit{'' if packets == 1 else 's'} in the last 30 days, on {vms}, the last one {last}."


def peers(number: int, networks: Sequence[str], *, is_cut: bool = False) -> str:
    """The other ends, behind “Seen from”; with `is_cut` of the newest samples alone."""
    least = "at least " if is_cut else ""
    if number <= len(networks):
        return f"{least}{_listed(networks)}."
    return f"{least}{number:,} addresses, in {_listed(networks)}."


def unused() -> str:
    return "No hit in the last 30 days."


def never_used(since: str, machines: int) -> str:
    """What was counted on all VMs, without a gap."""
    return f"Never used since {since}, {_all(machines)}."


def counted(on: int, of: int, since: str) -> str:
    """For how much of what is said there is a count."""
    where = _all(of) if on == of else f"on {on:,} of {of:,} VMs"
    return f"Counted {where} since {since}."


def seen_again(times: int, dropped: int, accepted: int) -> str:
    """What a change would have done to connections that were seen."""
    said = f"{times:,} connection{'' if times == 1 else 's'} seen in the last 30 days"
    if not dropped and not accepted:
        return f"Of {said} every one is decided as before." if times > 1 else f"The {said} is decided as before."
    lost = f"{dropped:,} that {_is(dropped)} accepted now would be dropped" if dropped else ""
    won = f"{accepted:,} that {_is(accepted)} dropped now would be accepted" if accepted else ""
    return f"Of {said}, {' and '.join(filter(None, (lost, won)))}."


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def not_all() -> str:
    """Why no rule of the group is said to be never used, nor offered to be narrowed."""
    return "So no rule is said here to be never used, and none is offered to be narrowed."


def not_long(days: int) -> str:
    """Why none is offered to be narrowed."""
    return f"Rules are offered to be narrowed after {days} days."


def not_counted(of: int) -> str:
    vms = "its VM" if of == 1 else f"any of its {of:,} VMs"
    return f"Hits are not counted on {vms} now."


def too_many(of: int) -> str:
    return f"On {of:,} VMs: these are too many for hits to be added up here."


def _listed(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _all(machines: int) -> str:
    return "on its VM" if machines == 1 else f"on all {machines:,} VMs"
