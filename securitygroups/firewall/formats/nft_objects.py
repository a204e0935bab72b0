"""What nft lists, put in order: chains, their rules, sets, and each of them in a line of words."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from securitygroups.firewall.formats.chains import Key, Line
from securitygroups.firewall.formats.hosts import MOST_LINES
from securitygroups.firewall.formats.strict import bad

_SIGNS = {"set": ", ", "range": "-", "concat": " . "}
_VERBS = frozenset({"insert", "replace", "delete", "destroy", "flush", "rename", "reset"})
_COMMAND = (
    "“{}” is a command, and what it leaves behind depends on what was there before. Run them, then nft -j list ruleset, and "
    "bring what that says."
)


@dataclass(slots=True)
class Ruleset:
    """A ruleset as it is being read."""

    chains: dict[Key, tuple[Line, Mapping[str, Any]]] = field(default_factory=dict)
    rules: dict[Key, list[tuple[Line, Mapping[str, Any]]]] = field(default_factory=dict)
    sets: dict[tuple[str, ...], Any] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)

    def hook(self, key: Key) -> str:
        return str(self.chains[key][1].get("hook", ""))

    def kind(self, key: Key) -> str:
        return str(self.chains[key][1].get("type", ""))


def collected(listed: Sequence[Any]) -> Ruleset:
    if len(listed) > MOST_LINES:
        raise bad(
            "",
            f"The ruleset has more than {MOST_LINES:,} objects: bring the tables of the machine's own input and output.",
        )
    found, members = Ruleset(), dict[tuple[str, ...], list[Any]]()
    for place, one in enumerate(listed):
        kind, value = next(iter(one.items()), ("", None)) if isinstance(one, dict) else ("", None)
        if kind in ("add", "create") and isinstance(value, dict):
            # A file that builds a ruleset says the same in the same order.
            kind, value = next(iter(value.items()), ("", None))
            if isinstance(value, dict) and not value.keys().isdisjoint(("index", "handle", "position")):
                raise bad(f"nftables[{place}]", _COMMAND.format("add"))
        if kind == "flush" and not found.lines and not found.sets:
            continue
        if not isinstance(value, dict):
            continue
        family, table, name = (str(value.get(key, "")) for key in ("family", "table", "name"))
        line = Line(place, f"nftables[{place}]", _said(kind, value))
        if kind == "chain":
            found.chains[family, table, name] = line, value
            found.rules.setdefault((family, table, name), [])
            if "hook" in value:
                found.lines.append(line)
        elif kind == "rule":
            found.rules.setdefault((family, table, str(value.get("chain", ""))), []).append((line, value))
            found.lines.append(line)
        elif kind in ("set", "map"):
            found.sets[family, table, name] = value
        elif kind == "element" and isinstance(value.get("elem"), list):
            members.setdefault((family, table, name), []).extend(value["elem"])
        elif kind in _VERBS:
            raise bad(line.where, _COMMAND.format(kind))
    _fill(found.sets, members)
    return found


def _fill(sets: dict[tuple[str, ...], Any], members: Mapping[tuple[str, ...], list[Any]]) -> None:
    """The members of sets that stand beside them. Where none of the sets has any, who wrote the file left them out (nft -t);
    else one without is empty."""
    for name, found in members.items():
        if name in sets:
            sets[name] = {**sets[name], "elem": [*(sets[name].get("elem") or []), *found]}
    if any(one.get("elem") for one in sets.values()):
        sets |= {name: {**one, "elem": one.get("elem") or []} for name, one in sets.items()}


def _said(kind: str, value: Mapping[str, Any]) -> str:
    """An object in one line: a rule's statements, or what a chain hangs on."""
    where = " ".join(str(value.get(key, "")) for key in ("family", "table"))
    try:
        if kind == "chain":
            hook = f"type {value.get('type')} hook {value.get('hook')} priority {value.get('prio')}; policy {value.get('policy', 'accept')}"
            return f"chain {where} {value.get('name')} {{ {hook}; }}"[:400]
        return f"{where} {value.get('chain')}: {' '.join(_statement(one) for one in statements(value))}"[:400]
    except RecursionError:
        return f"{kind} {where}"


def _statement(one: Any) -> str:
    """A statement nearly as nft writes it."""
    kind, value = next(iter(one.items()), ("", None)) if isinstance(one, dict) else ("", None)
    if kind == "match" and isinstance(value, dict):
        op = {"==": "", "in": ""}.get(str(value.get("op")), f"{value.get('op')} ")
        return f"{_short(value.get('left'))} {op}{_short(value.get('right'))}"
    if kind in ("jump", "goto") and isinstance(value, dict):
        return f"{kind} {value.get('target')}"
    return kind if value is None or kind in ("counter", "log", "limit", "reject") else f"{kind} {_short(value)}"


def _short(value: Any) -> str:
    if isinstance(value, dict):
        kind, inner = next(iter(value.items()), ("", None))
        if isinstance(inner, dict) and kind in ("payload", "meta", "ct", "fib", "prefix"):
            return _short_field(kind, inner)
        if isinstance(inner, list) and kind in _SIGNS:
            text = _SIGNS[kind].join(_short(each) for each in inner[:20])
            return f"{{ {text} }}" if kind == "set" else text
    return value if isinstance(value, str) else json.dumps(value)[:120]


def _short_field(kind: str, inner: Mapping[str, Any]) -> str:
    if kind == "prefix":
        return f"{inner.get('addr')}/{inner.get('len')}"
    words = [str(word) for word in inner.values() if isinstance(word, str)]
    return " ".join(words if kind == "payload" else [kind, *words])


def statements(rule: Mapping[str, Any]) -> list[Any]:
    """A rule's statements; what is none is not understood where it is read."""
    found = rule.get("expr")
    return [one if isinstance(one, dict) else {} for one in found] if isinstance(found, list) else []
