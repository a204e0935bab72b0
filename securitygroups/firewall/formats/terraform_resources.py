"""The resources of what terraform show -json says, of a state or of a plan, in all modules.

In a plan, a value that is known only after apply stands for no address and no group.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from securitygroups.firewall.formats.clouds import Json, as_object, at, objects, text
from securitygroups.firewall.formats.strict import bad

UNKNOWN = "(known after apply)"
MOST_DEEP = 40
INDEX = re.compile(r"\[[^\]]*\]")


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource: its address, its type, its values, and the addresses that its arguments name."""

    address: str
    kind: str
    values: Json
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)


def resources(value: Json) -> list[Resource]:
    key = "planned_values" if "planned_values" in value else "values"
    root = as_object(as_object(value.get(key) or {}, key).get("root_module") or {}, at(key, "root_module"))
    config = as_object(
        as_object(value.get("configuration") or {}, "configuration").get("root_module") or {}, "configuration"
    )
    expressions = dict(_expressions(config, "", 0))
    unknown = {
        text(one, "address", where): as_object(one.get("change") or {}, at(where, "change")).get("after_unknown")
        for where, one in objects(value, "resource_changes", "")
    }
    found = []
    for where, one in _of_module(root, at(key, "root_module"), 0):
        if text(one, "mode", where) == "data":
            continue
        address = text(one, "address", where)
        said = expressions.get(INDEX.sub("", address))
        values = _with_unknown(as_object(one.get("values") or {}, at(where, "values")), unknown.get(address), said)
        found.append(Resource(address, text(one, "type", where), values, _names(said, address)))
    return found


def _of_module(module: Json, where: str, deep: int) -> Iterator[tuple[str, Json]]:
    if deep > MOST_DEEP:
        raise bad(where, "Modules are nested too deeply here.")
    yield from objects(module, "resources", where)
    for place, child in objects(module, "child_modules", where):
        yield from _of_module(child, place, deep + 1)


def _expressions(module: Json, prefix: str, deep: int) -> Iterator[tuple[str, Json]]:
    """(address without index, arguments) of all that the configuration writes."""
    if deep > MOST_DEEP:
        return
    for where, one in objects(module, "resources", "configuration"):
        yield prefix + text(one, "address", where), as_object(one.get("expressions") or {}, where)
    calls = as_object(module.get("module_calls") or {}, "configuration")
    for name, call in calls.items():
        inner = as_object(as_object(call, name).get("module") or {}, name)
        yield from _expressions(inner, f"{prefix}module.{name}.", deep + 1)


def _names(said: Json | None, address: str) -> dict[str, Sequence[str]]:
    """What each argument refers to, as addresses of the same module."""
    module = INDEX.sub("", address).rpartition(".")[0].rpartition(".")[0]
    prefix = f"{module}." if module else ""
    return {
        key: [prefix + str(name) for name in one["references"]]
        for key, one in (said or {}).items()
        if isinstance(one, dict) and isinstance(one.get("references"), list)
    }


def _with_unknown(values: Json, unknown: Any, said: Json | None) -> Json:
    """The values, with UNKNOWN where they are known only after apply. What nobody wrote is the provider's default."""
    if not isinstance(unknown, dict):
        return values
    asked = {key: one for key, one in unknown.items() if said is None or key in said}
    merged = _merged(values, asked, 0)
    return merged if isinstance(merged, dict) else values


def _merged(value: Any, unknown: Any, deep: int) -> Any:
    if unknown is True:
        return UNKNOWN
    if deep > MOST_DEEP:
        return value
    if isinstance(unknown, dict) and isinstance(value, dict | None):
        return _merged_object(value or {}, unknown, deep + 1) or value
    if isinstance(unknown, list) and isinstance(value, list | None):
        return [_merged(*pair, deep + 1) for pair in zip_longest(value or (), unknown)] or value
    return value


def _merged_object(value: Json, unknown: Json, deep: int) -> Json:
    filled = {key: _merged(value.get(key), one, deep) for key, one in unknown.items()}
    return {**value, **{key: one for key, one in filled.items() if one is not None}}
