"""The resources of what terraform show -json says, of a state or of a plan, in all modules, and of a state's own file.

In a plan, a value that is known only after apply stands for no address and no group.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from securitygroups.firewall.formats.clouds import UNKNOWN, Json, as_object, at, number, objects, text
from securitygroups.firewall.formats.strict import bad

MOST_DEEP = 40
MOST_REFERENCES = 100
"""References of an argument that are looked at: of one with as many it is not known what it will be."""
# Blocks that no provider fills by itself. The configuration is silent about those that are made in a loop.
_BLOCKS = ("rule", "allow", "deny", "inbound_rule", "outbound_rule")
INDEX = re.compile(r"\[[^\]]*\]")


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource: its address, its type, its values, the address of its module, and what its arguments refer to there."""

    address: str
    kind: str
    values: Json
    module: str = ""
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def local(self) -> str:
        """Its address in its module."""
        return self.address.removeprefix(f"{self.module}.")


def is_state(value: Json) -> bool:
    """Whether it is the state's own file, which is written in another way than what terraform show -json says of it."""
    inner = value.get("resources")
    first = inner[0] if isinstance(inner, list) and inner else None
    return "lineage" in value or (isinstance(first, dict) and isinstance(first.get("instances"), list))


def resources(value: Json) -> list[Resource]:
    return list(_of_state(value)) if is_state(value) else _of_shown(value)


def _of_state(value: Json) -> Iterator[Resource]:
    """The resources of terraform.tfstate. What an apply left behind to be destroyed is none of them."""
    if "resources" not in value and (number(value, "version", "") or 0) < 4:
        raise bad("", "This is the state of Terraform 0.11 or older, which has no JSON for others to read: bring what "
                      "terraform show -json says with a newer Terraform.")  # fmt: skip
    for where, one in objects(value, "resources", ""):
        if text(one, "mode", where) == "data":
            continue
        kind, module = text(one, "type", where), text(one, "module", where)
        address = f"{module}.{kind}.{text(one, 'name', where)}".lstrip(".")
        for place, instance in objects(one, "instances", where):
            if instance.get("deposed"):
                continue
            if "attributes" not in instance:
                raise bad(
                    place, "This resource is written as Terraform 0.11 did: bring what terraform show -json says."
                )
            yield Resource(
                address + _index(instance.get("index_key")),
                kind,
                _given(instance["attributes"], at(place, "attributes")),
                module,
            )


def _index(key: Any) -> str:
    """[0] or ["web"], as Terraform writes it behind an address."""
    return "" if key is None else f"[{key}]" if isinstance(key, int) else f'["{key}"]'


def _given(value: Any, where: str) -> Json:
    """The object that stands there, an empty one where nothing does."""
    return as_object(value or {}, where)


def _of_shown(value: Json) -> list[Resource]:
    key = "planned_values" if "planned_values" in value else "values"
    root = _given(_given(value.get(key), key).get("root_module"), at(key, "root_module"))
    config = _given(_given(value.get("configuration"), "configuration").get("root_module"), "configuration")
    expressions = dict(_expressions(config, "", 0))
    names = {address: _names(said) for address, said in expressions.items()}
    unknown = {
        text(one, "address", where): _given(one.get("change"), at(where, "change")).get("after_unknown")
        for where, one in objects(value, "resource_changes", "")
    }
    found = []
    for where, one, module in _of_module(root, at(key, "root_module"), 0):
        if text(one, "mode", where) == "data":
            continue
        address = text(one, "address", where)
        plain = INDEX.sub("", address)
        said = expressions.get(plain)
        values = _with_unknown(_given(one.get("values"), at(where, "values")), unknown.get(address), said)
        found.append(Resource(address, text(one, "type", where), values, module, names.get(plain, {})))
    return found


def _of_module(module: Json, where: str, deep: int) -> Iterator[tuple[str, Json, str]]:
    """(place, resource, address of its module) of a module and those in it."""
    if deep > MOST_DEEP:
        raise bad(where, "Modules are nested too deeply here.")
    address = text(module, "address", where)
    yield from ((place, one, address) for place, one in objects(module, "resources", where))
    for place, child in objects(module, "child_modules", where):
        yield from _of_module(child, place, deep + 1)


def _expressions(module: Json, prefix: str, deep: int) -> Iterator[tuple[str, Json]]:
    """(address without index, arguments) of all that the configuration writes."""
    if deep > MOST_DEEP:
        return
    for where, one in objects(module, "resources", "configuration"):
        yield prefix + text(one, "address", where), _given(one.get("expressions"), where)
    calls = _given(module.get("module_calls"), "configuration")
    for name, call in calls.items():
        inner = _given(as_object(call, name).get("module"), name)
        yield from _expressions(inner, f"{prefix}module.{name}.", deep + 1)


def _names(said: Json) -> dict[str, Sequence[str]]:
    """What each argument refers to; of one that refers to very much nobody can tell what it will be."""
    return {
        key: [str(name) for name in one["references"][:MOST_REFERENCES]]
        for key, one in said.items()
        if isinstance(one, dict) and isinstance(one.get("references"), list)
    }


def _with_unknown(values: Json, unknown: Any, said: Json | None) -> Json:
    """The values, with UNKNOWN where they are known only after apply. What nobody wrote is the provider's default."""
    if not isinstance(unknown, dict):
        return values
    asked = {
        key: one
        for key, one in unknown.items()
        if said is None or key in said or key in _BLOCKS or isinstance(one, list | dict)
    }
    merged = _merged(values, asked, 0)
    return merged if isinstance(merged, dict) else values


def _merged(value: Any, unknown: Any, deep: int) -> Any:
    if unknown is True:
        return UNKNOWN
    if deep > MOST_DEEP:
        return value
    if isinstance(unknown, dict) and isinstance(value, dict | None):
        return _merged_object(value, unknown, deep + 1) or value
    if isinstance(unknown, list) and isinstance(value, list | None):
        return _merged_list(value, unknown, deep + 1) or value
    return value


def _merged_list(value: list[Any] | None, unknown: list[Any], deep: int) -> list[Any]:
    return [_merged(*pair, deep) for pair in zip_longest(value or (), unknown)]


def _merged_object(value: Json | None, unknown: Json, deep: int) -> Json:
    known = value or {}
    filled = {key: _merged(known.get(key), one, deep) for key, one in unknown.items()}
    return {**known, **{key: one for key, one in filled.items() if one is not None}}
