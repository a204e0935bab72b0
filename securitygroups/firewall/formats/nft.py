"""What `nft -j list ruleset` says."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from securitygroups.firewall.formats.chains import Base, Chains, Key, Line, Step, Verdict, read_chains, too_many
from securitygroups.firewall.formats.foreign import BOTH, Foreign
from securitygroups.firewall.formats.hosts import INSIDE
from securitygroups.firewall.formats.nft_expressions import Context, ask, interfaces
from securitygroups.firewall.formats.nft_objects import Ruleset, collected, statements
from securitygroups.firewall.formats.reading import Note, Reading, System, Taken, Upload
from securitygroups.firewall.formats.spans import (
    ANYTHING,
    Match,
    TooLarge,
    both,
    conjunction,
    numbers,
    of_family,
    spans,
)
from securitygroups.firewall.formats.strict import bad
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.registry import WITH_PORTS

NAME = "nftables"
_TEXT = re.compile(r"^[ \t]*(?:add[ \t]+)?table (?:ip|ip6|inet|arp|bridge|netdev) \S+ ?\{", re.MULTILINE)
_CHAIN_TEXT = re.compile(r"^[ \t]*(?:type \w+ hook \w+ |(?:chain|set|map) \S+ ?\{)", re.MULTILINE)
_COMMANDS = re.compile(
    r"^[ \t]*(?:sudo )?(?:nft )?['\"]?add (?:rule|chain|table|set|element) (?:ip|ip6|inet|bridge|netdev) ", re.MULTILINE
)
_FAMILIES = {"ip": of_family(4), "ip6": of_family(6), "inet": ANYTHING, "bridge": ANYTHING, "netdev": ANYTHING}
_HOOKS = {
    Direction.IN: ("ingress", "prerouting", "input"),
    Direction.OUT: ("output", "postrouting", "egress"),
}
_SILENT = frozenset(
    ("counter", "log", "continue", "notrack", "dup", "flow", "ct helper", "ct timeout", "ct expectation", "secmark", "comment", "last",
     "meta", "snat", "masquerade")
)  # fmt: skip
_BEYOND = {
    "limit": "a rate limit", "quota": "a quota", "ct count": "how many connections there are", "connlimit": "how many connections there are",
    "meter": "a rate limit", "set": "what a set remembers", "map": "what a map remembers",
}  # fmt: skip
_ELSEWHERE = {
    "dnat": "It sends the packet elsewhere: if that is to be reached, add an accept.",
    "redirect": "It sends the packet elsewhere: if that is to be reached, add an accept.",
    "tproxy": "It gives the packet to a program: if that is to be reached, add an accept.",
    "queue": "A program decides, and may drop it: taken as a drop.",
    "synproxy": "The kernel answers first, and may drop it: taken as a drop.",
    "fwd": "It sends the packet out by another interface: taken as a drop.",
}
_FINAL = {"accept": Verdict.ACCEPT, "drop": Verdict.DROP, "reject": Verdict.DROP, "return": Verdict.RETURN}
_HIDDEN = "what nft does not say of a line of iptables (bring iptables-save instead)"
_LEFT = {
    "forward": "It is about packets that the machine forwards for others; the rules here are about its own.",
}
_NO_OUTPUT = "No chain judges what goes out, and so all of it does; here it takes a rule to say so."
_UNMET = "Lines before it decide about every packet that a jump to it asks for."
_HARMLESS = "It changes addresses or marks, and drops nothing: there is nothing to take."
_MISSING = (
    "No chain of it hangs on the input or output hook, so nothing says which packets its rules see. "
    "Run nft -j list ruleset, and bring all that it says, the chains with their hooks."
)
_ANSWERS = {"icmp": of_family(4), "icmpv6": of_family(6), "tcp reset": Match(protocol=((6, 6),))}
MOST_LOOKS = 1_000_000
_UNREAD = "It is not understood: taken as a drop."


def looks(upload: Upload) -> bool:
    if isinstance(upload.value, (dict, list)):
        return bool(_objects(upload.value))
    text = upload.text[:100_000]
    return upload.value is None and bool((_TEXT.search(text) and _CHAIN_TEXT.search(text)) or _COMMANDS.search(text))


def _objects(value: Any) -> list[Any]:
    """What nft lists, under its own name or bare; nothing where it is of something else."""
    if isinstance(value, dict):
        found = value.get("nftables")
        return found if isinstance(found, list) else []
    kinds = [one.get(kind) for one in value[:50] if isinstance(one, dict) for kind in ("table", "chain", "rule")]
    return value if any(isinstance(one, dict) and "family" in one for one in kinds) else []


def read(upload: Upload) -> Reading:
    """Raises BadDocument."""
    if upload.value is None:
        raise bad("", "This is a ruleset of nftables as text. Run nft -j list ruleset, and bring what that says.")
    rules = collected(_objects(upload.value))
    paths = {direction: _path(rules, direction) for direction in Direction}
    if not any(rules.hook(base.key) in ("input", "output") for path in paths.values() for base in path):
        raise bad("", f"This is of nftables. {_MISSING}")
    try:
        steps = _all_steps(rules)
    except TooLarge:
        raise too_many() from None
    chains = Chains(steps, paths, rules.lines, _left(rules, steps))
    also, notes = _unfiltered(paths)
    return read_chains(NAME, chains, also, notes)


def _all_steps(rules: Ruleset) -> dict[Key, list[Step]]:
    every = [(key[:2], one) for key, listed in rules.rules.items() for _, rule in listed for one in statements(rule)]
    _check_sets(rules, len(every))
    named = frozenset(name for table, one in every for name in interfaces(one, rules.sets, table))
    context = Context(rules.sets, named, any("notrack" in one for _, one in every))
    return {
        key: [step for line, rule in listed for step in _steps(line, rule, replace(context, table=key[:2]), key[:2])]
        for key, listed in rules.rules.items()
    }


def _check_sets(rules: Ruleset, statements: int) -> None:
    """A set is looked at again by every line that names it. Raises BadDocument where that may be too often."""
    sizes = {name: len(one["elem"]) for name, one in rules.sets.items() if isinstance(one.get("elem"), list)}
    longest = max(sizes, key=sizes.__getitem__, default=None)
    if longest and statements * sizes[longest] > MOST_LOOKS:
        raise too_many(Line(0, "", f"set {longest[2]} with {sizes[longest]:,} elements"))


def _path(rules: Ruleset, direction: Direction) -> list[Base]:
    """The chains that a packet passes in this direction; in comes what an input chain sees."""
    found: list[tuple[int, int, Base]] = []
    for key, (line, chain) in rules.chains.items():
        hook, family = chain.get("hook"), key[0]
        if hook not in _HOOKS[direction] or family not in _FAMILIES or INSIDE.match(str(chain.get("dev", ""))):
            continue
        policy = Action.DROP if chain.get("policy") == "drop" else Action.ACCEPT
        base = Base(key, _FAMILIES[family], policy, line, f"chain {key[2]} of table {key[0]} {key[1]}")
        prio = chain.get("prio")
        found.append((_HOOKS[direction].index(hook), prio if isinstance(prio, int) else 0, base))
    path = [base for _, _, base in sorted(found, key=lambda one: one[:2])]
    return path if direction is Direction.OUT else _judged_in(rules, path)


def _judged_in(rules: Ruleset, path: Sequence[Base]) -> list[Base]:
    """The chains with those families alone that an input chain judges."""
    judging = [
        base.sees.family
        for base in path
        if (rules.hook(base.key), rules.kind(base.key)) == ("input", "filter") and base.key[0] != "bridge"
    ]
    families = spans(ends for one in judging for ends in one)
    return [
        replace(base, sees=Match(family=both(base.sees.family, families)))
        for base in path
        if both(base.sees.family, families)
    ]


def _steps(line: Line, rule: Mapping[str, Any], context: Context, table: Key) -> Iterator[Step]:
    """A rule's verdicts, each with the packets that come to it. What is not understood is a drop of what came so far."""
    match, comment, said, decided = [ANYTHING], str(rule.get("comment", "")), list[str](), False
    context = replace(context, accepts=any(isinstance(one, dict) and "accept" in one for one in statements(rule)))
    for one in statements(rule):
        try:
            kind, value = next(iter(one.items()))
            if kind == "match":
                match = _matched(match, value, context, said)
            elif kind == "vmap":
                yield from _mapped(line, match, value, context, table)
                decided = True
                match = [each.asking("what a map before it says") for each in match]
            else:
                match = conjunction(match, [_answered(value)]) if kind == "reject" else match
                verdict, target, how = _verdict(kind, value, table)
                if verdict is None:
                    match = [each.asking(how) for each in match]
                elif verdict is not Verdict.NONE or how:
                    yield Step(
                        line, tuple(match), verdict, target, " ".join(dict.fromkeys([*said, how])).strip(), comment
                    )
                    decided = True
        except (TypeError, KeyError, ValueError, AttributeError, IndexError, StopIteration, RecursionError):
            yield Step(line, tuple(match), Verdict.ELSEWHERE, (), _UNREAD, comment)
            decided = True
    if not decided:
        yield Step(line, tuple(match), Verdict.NONE, (), "" if match else " ".join(dict.fromkeys(said)), comment)


def _answered(value: Any) -> Match:
    """What a reject is about by the kind of its answer: nft leaves out the condition that follows from that."""
    kind = value.get("type") if isinstance(value, dict) else None
    return _ANSWERS.get(kind, ANYTHING) if isinstance(kind, str) else ANYTHING


def _matched(match: list[Match], value: Mapping[str, Any], context: Context, said: list[str]) -> list[Match]:
    answer = ask(value["left"], value.get("op", "=="), value["right"], context)
    if not answer.match:
        said += [answer.how] if answer.how else []
    found = conjunction(match, answer.match)
    loose = _is_th(value["left"]) and any(not set(numbers(each.protocol)) <= WITH_PORTS for each in match)
    # Bytes of a packet of any protocol: those of ports are as good as any others.
    return [each.asking("the same bytes of every protocol") for each in match] if loose else found


def _is_th(left: Any) -> bool:
    return isinstance(left, dict) and isinstance(left.get("payload"), dict) and left["payload"].get("protocol") == "th"


def _mapped(line: Line, match: list[Match], value: Mapping[str, Any], context: Context, table: Key) -> Iterator[Step]:
    data = value["data"]
    if isinstance(data, str):
        found = context.sets.get((*context.table, data.removeprefix("@")))
        if (
            found is None
            or "elem" not in found
            or "timeout" in found
            or {"dynamic", "timeout"} & {*found.get("flags", ())}
        ):
            yield Step(
                line, tuple(match), Verdict.ELSEWHERE, (), "Its map changes, or is not in the file: taken as a drop."
            )
            return
        pairs = found["elem"]
    else:
        pairs = data["set"]
    for key, verdict in pairs:
        kind, target = (verdict, None) if isinstance(verdict, str) else next(iter(verdict.items()))
        answer = ask(value["key"], "==", {"set": [key]}, context)
        found_verdict, to, how = _verdict(kind, target, table)
        step = Step(line, tuple(conjunction(match, answer.match)), found_verdict or Verdict.ELSEWHERE, to, how)
        yield replace(step, how=answer.how) if not step.match else step


def _verdict(kind: str, value: Any, table: Key) -> tuple[Verdict | None, Key, str]:
    """(what a statement does, where it leads, what is to be said); None where it only asks for something."""
    if kind in _FINAL:
        return _FINAL[kind], (), ""
    if kind in ("jump", "goto"):
        return Verdict[kind.upper()], (*table, str(value["target"])), ""
    if kind == "mangle":
        return _changed(value)
    if kind == "xt":
        return _extension(value)
    if kind in _BEYOND:
        return None, (), _BEYOND[kind]
    if kind in _ELSEWHERE:
        return Verdict.ELSEWHERE, (), _ELSEWHERE[kind]
    return (Verdict.NONE, (), "") if kind in _SILENT else (Verdict.ELSEWHERE, (), _UNREAD)


def _changed(value: Any) -> tuple[Verdict, Key, str]:
    """A mark of the kernel's own changes nothing; bytes of the packet would be other ones behind it."""
    changes = isinstance(value, dict) and isinstance(value.get("key"), dict) and "payload" in value["key"]
    return (Verdict.ELSEWHERE, (), "It changes the packet: taken as a drop.") if changes else (Verdict.NONE, (), "")


def _extension(value: Any) -> tuple[Verdict | None, Key, str]:
    """What iptables wrote into nftables, of which nft says no more than its name."""
    kind, name = (value.get("type"), str(value.get("name"))) if isinstance(value, dict) else (None, "")
    if kind == "match" and name == "comment":
        return Verdict.NONE, (), ""
    if kind == "target" and name in (
        "LOG",
        "NFLOG",
        "MARK",
        "CONNMARK",
        "TCPMSS",
        "CHECKSUM",
        "CT",
        "MASQUERADE",
        "SNAT",
    ):
        return Verdict.NONE, (), ""
    if kind == "target":
        return (
            (Verdict.DROP, (), "")
            if name == "REJECT"
            else (Verdict.ELSEWHERE, (), f"{name} may drop it: taken as a drop.")
        )
    return None, (), _HIDDEN


def _reached(rules: Ruleset, roots: Sequence[Key]) -> set[Key]:
    """The chains that lead from these."""
    seen, todo = set(roots), list(roots)
    while todo:
        key = todo.pop()
        for name in _targets([rule for _, rule in rules.rules.get(key, ())], rules, key):
            target = (*key[:2], name)
            if target not in seen:
                seen.add(target)
                todo.append(target)
    return seen


def _targets(listed: Sequence[Mapping[str, Any]], rules: Ruleset, key: Key) -> set[str]:
    """Every name that the rules may jump to, those in maps too."""
    # By its text: a jump may stand deep within a map.
    text = json.dumps([statements(rule) for rule in listed])
    for name in set(re.findall(r'"@([^"\\]+)"', text)):
        text += json.dumps(rules.sets.get((key[0], key[1], name), ""))
    return set(re.findall(r'"target": "([^"\\]+)"', text))


def _left(rules: Ruleset, steps: Mapping[Key, list[Step]]) -> dict[int, str]:
    """Why lines of other hooks' chains are not taken."""
    left: dict[int, str] = {}
    judging = [hook for hooks in _HOOKS.values() for hook in hooks]
    for key, (line, chain) in rules.chains.items():
        if "hook" in chain:
            hook = str(chain.get("hook"))
            drops = hook in judging and key[0] != "arp" and _may_drop(rules, key)
            how = _UNMET if drops else _LEFT.get(hook, _HARMLESS)
            left[line.order] = how
            for reached in _reached(rules, [key]):
                for step in steps.get(reached, ()):
                    left.setdefault(step.line.order, how)
    return left


def _may_drop(rules: Ruleset, key: Key) -> bool:
    words = ("drop", "reject", *_ELSEWHERE)
    listed = [
        one
        for reached in _reached(rules, [key])
        for _, rule in rules.rules.get(reached, ())
        for one in statements(rule)
    ]
    dropping = rules.chains[key][1].get("policy") == "drop"
    return dropping or any(word in json.dumps(one) for one in listed for word in words)


def _unfiltered(paths: Mapping[Direction, Sequence[Base]]) -> tuple[list[Foreign], list[Note]]:
    """Families of which no chain says anything: all goes out there, and comes in."""
    free = {
        direction: sorted(
            BOTH - {number for base in path for number in (4, 6) if both(base.sees.family, ((number, number),))}
        )
        for direction, path in paths.items()
    }
    out = frozenset(free[Direction.OUT])
    line = Foreign("the file", "no output chain", Action.ACCEPT, Direction.OUT, families=out, rests_on=_NO_OUTPUT)
    also = [line] if out else []
    notes = [
        Note("the file", f"no input chain of IPv{one}", Taken.NOT_TAKEN,
             f"No chain judges IPv{one} that comes in, and so all of it does there. Here it is dropped: add rules for what is to come in.")
        for one in free[Direction.IN]
    ]  # fmt: skip
    return also, notes


NFT = System(NAME, looks, read)
