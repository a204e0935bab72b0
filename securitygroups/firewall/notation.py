"""A rule as a short line of text: "accept in tcp 22 from 203.0.113.0/24". For lists that stand in code."""

from securitygroups.firewall.protocols import Action, Direction, Problem, shown
from securitygroups.firewall.values import Network, Refused, Rule, parse_network, whole_number

_MOST = 999_999
"""Beyond the last port, so that a rule which is to be refused for its port can be written down."""
_ACTIONS = {action.value: action for action in Action}
_DIRECTIONS = {direction.value: direction for direction in Direction}


def rule(text: str, description: str = "", *, enabled: bool = True, uid: str = "") -> Rule:
    """A rule as it is said: "accept in tcp 22", "drop in udp 50-60 from 10.0.0.0/8", "accept out ip to 2001:db8::/32".

    Action, direction and protocol, then a port or a range, "from" a source and "to" a destination where they are set.
    Raises Refused where a word or an address is none. Whether the words make a rule is for `Rule.problems` to say, so
    that one which is to be refused, for its protocol too, can be written down.
    """
    words = text.split()
    if len(words) < 3 or words[0] not in _ACTIONS or words[1] not in _DIRECTIONS:
        raise _not_a_rule(
            text, f"it begins with {' or '.join(_ACTIONS)}, then {' or '.join(_DIRECTIONS)}, then a protocol"
        )
    action, direction, protocol, *rest = words
    start, end = _ports(rest.pop(0), text) if rest and rest[0] not in ("from", "to") else (None, None)
    ends = _ends(rest, text)
    return Rule(
        action=_ACTIONS[action],
        direction=_DIRECTIONS[direction],
        protocol=protocol,
        source=ends.get("from"),
        destination=ends.get("to"),
        port_start=start,
        port_end=end,
        description=description,
        enabled=enabled,
        uid=uid,
    )


def _not_a_rule(text: str, why: str) -> Refused:
    return Refused(Problem(f"“{shown(text)}” is not a rule: {why}."))


def _ports(word: str, text: str) -> tuple[int, int]:
    """A port is a range of one, as forms and files have it too."""
    ends = [whole_number(end, _MOST) for end in word.split("-")]
    start, end = ends[0], ends[-1]
    if start is None or end is None or len(ends) > 2:
        raise _not_a_rule(text, "behind the protocol stands a port, a range such as 80-90, “from” or “to”")
    return start, end


def _ends(words: list[str], text: str) -> dict[str, Network]:
    names = words[::2]
    if len(words) % 2 or names not in ([], ["from"], ["to"], ["from", "to"], ["to", "from"]):
        raise _not_a_rule(text, "“from” and “to”, each once and with an address behind it, are all that may follow")
    return {name: parse_network(address) for name, address in zip(names, words[1::2], strict=True)}
