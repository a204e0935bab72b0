"""What nft lists as JSON, in lines as it is written: for people, who are shown what was changed by hand.

Format: libnftables-json(5). What is not known here is shown as the JSON that it is.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from securitygroups.firewall.nftables import TABLE

_BARE_META = {"iif", "oif", "iifname", "oifname", "iiftype", "oiftype", "iifkind", "oifkind", "iifgroup", "oifgroup"}
_OPERATORS = ("&", "|", "^", "<<", ">>")


def line_of(item: Mapping[str, Any]) -> str:
    """One object of a listing, such as {"rule": {…}}; an element of a map is {"element": {…}} with its map's name.

    Of the tables beside the one that has the lists, the line names it first.
    """
    ((kind, body),) = item.items()
    table = body.get("table", TABLE)
    return _line(kind, body) if table == TABLE else f"{body['family']} {table} {_line(kind, body)}"


def _line(kind: str, body: Mapping[str, Any]) -> str:
    if kind == "rule":
        said = f"{body['chain']}: {' '.join(map(_statement, body['expr']))}"
        return f'{said} comment "{body["comment"]}"' if "comment" in body else said
    if kind == "element":
        return f"{body['name']}: {', '.join(map(_element, body['elem']))}"
    if kind == "table":
        return f"table {body['family']} {body['name']}"
    if kind == "chain" and "hook" in body:
        how = f"type {body['type']} hook {body['hook']} priority {body['prio']}; policy {body.get('policy', 'accept')};"
        return f"chain {body['name']} {{ {how} }}"
    return f"{kind} {body['name']}" if "name" in body else _json({kind: body})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _element(value: Any) -> str:
    if isinstance(value, list) and len(value) == 2:
        return f"{_expression(value[0])} : {_value(value[1])}"
    return _expression(value)


def _value(value: Any) -> str:
    """What a map leads to: a verdict, or what else it may be."""
    return _statement(value) if isinstance(value, dict) and value.keys() & _STATEMENTS.keys() else _expression(value)


def _statement(value: Any) -> str:
    if not isinstance(value, dict) or len(value) != 1:
        return _json(value)
    ((kind, body),) = value.items()
    try:
        return _STATEMENTS[kind](body)
    except (KeyError, TypeError, ValueError):
        return _json(value)


def _match(body: Mapping[str, Any]) -> str:
    operator = "" if body["op"] in ("==", "in") else f" {body['op']}"
    return f"{_expression(body['left'])}{operator} {_expression(body['right'])}"


def _counter(body: Any) -> str:
    return f'counter name "{body}"' if isinstance(body, str) else "counter"


def _limit(body: Mapping[str, Any]) -> str:
    over = "over " if body.get("inv") else ""
    burst = f" burst {body['burst']} packets" if "burst" in body else ""
    return f"limit rate {over}{body['rate']}/{body['per']}{burst}"


def _log(body: Mapping[str, Any]) -> str:
    told = [f'prefix "{body["prefix"]}"'] if "prefix" in body else []
    return " ".join(["log", *told, *(f"{key} {body[key]}" for key in ("group", "snaplen") if key in body)])


def _mangle(body: Mapping[str, Any]) -> str:
    return f"{_expression(body['key'])} set {_expression(body['value'])}"


def _vmap(body: Mapping[str, Any]) -> str:
    return f"{_expression(body['key'])} vmap {_expression(body['data'])}"


def _word(word: str) -> Callable[[Any], str]:
    return lambda body: word


def _leads(word: str) -> Callable[[Any], str]:
    return lambda body: f"{word} {body['target']}"


_STATEMENTS: Mapping[str, Callable[[Any], str]] = {
    "match": _match,
    "counter": _counter,
    "limit": _limit,
    "log": _log,
    "mangle": _mangle,
    "vmap": _vmap,
    **{word: _word(word) for word in ("accept", "drop", "continue", "return", "notrack")},
    **{word: _leads(word) for word in ("jump", "goto")},
}


def _expression(value: Any) -> str:
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, list):
        return ",".join(map(_expression, value))
    if not isinstance(value, dict) or len(value) != 1:
        return _json(value)
    ((kind, body),) = value.items()
    try:
        return _EXPRESSIONS[kind](body)
    except (KeyError, TypeError, ValueError):
        return _json(value)


def _payload(body: Mapping[str, Any]) -> str:
    if "base" in body:
        return f"@{body['base']},{body['offset']},{body['len']}"
    return f"{body['protocol']} {body['field']}"


def _meta(body: Mapping[str, Any]) -> str:
    key = str(body["key"])
    return key if key in _BARE_META else f"meta {key}"


def _ct(body: Mapping[str, Any]) -> str:
    return " ".join(["ct", *([body["dir"]] if "dir" in body else []), body["key"]])


def _prefix(body: Mapping[str, Any]) -> str:
    return f"{_expression(body['addr'])}/{body['len']}"


def _range(body: Any) -> str:
    first, last = body
    return f"{_expression(first)}-{_expression(last)}"


def _set(body: Any) -> str:
    members = body if isinstance(body, list) else [body]
    return f"{{ {', '.join(map(_element, members))} }}"


def _concat(body: Any) -> str:
    return " . ".join(map(_expression, body))


def _fib(body: Mapping[str, Any]) -> str:
    flags = body["flags"]
    return f"fib {flags if isinstance(flags, str) else ' . '.join(flags)} {body['result']}"


def _operation(sign: str) -> Callable[[Any], str]:
    def said(body: Any) -> str:
        return f" {sign} ".join(_flags(part) for part in body)

    return said


def _flags(value: Any) -> str:
    """Bits that are named one by one are in brackets, so that what is done with them is done with all."""
    return f"({' | '.join(map(_expression, value))})" if isinstance(value, list) else _expression(value)


_EXPRESSIONS: Mapping[str, Callable[[Any], str]] = {
    "payload": _payload,
    "meta": _meta,
    "ct": _ct,
    "prefix": _prefix,
    "range": _range,
    "set": _set,
    "concat": _concat,
    "fib": _fib,
    **{sign: _operation(sign) for sign in _OPERATORS},
}
