"""The schema as a page to read: made of the schema itself, so that the two cannot differ."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from http.client import responses
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from securitygroups.api.schema import ROOT, api

DEEPEST = 3
"""Objects within objects that are unfolded; what lies deeper is named."""


class Field(NamedTuple):
    """One key of a document, or a parameter: `name` is its path, such as rules[].source."""

    name: str
    kind: str
    required: bool
    about: str


class Operation(NamedTuple):
    name: str
    method: str
    path: str
    summary: str
    about: tuple[str, ...]
    scope: str
    right: str
    parameters: tuple[Field, ...]
    sent: tuple[Field, ...]
    answers: tuple[tuple[str, str, tuple[Field, ...]], ...]


RIGHTS = {
    "look": "any member, and support with a visit",
    "see traffic": "editors, owners, support with a visit, and viewers where an owner lets them",
    "change": "editors and owners",
    "manage": "owners",
}


def reference(request: HttpRequest) -> HttpResponse:
    """Nothing of it is anybody's: it can be read without a token."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    # Without request context: whoever reads it need not be signed in anywhere.
    return HttpResponse(render_to_string("securitygroups/api/reference.html", {"tags": _tags(), "root": ROOT}))


@lru_cache(maxsize=1)
def _tags() -> dict[str, list[Operation]]:
    schema = api.get_openapi_schema()
    found: dict[str, list[Operation]] = {}
    for path, methods in schema["paths"].items():
        for method, told in methods.items():
            found.setdefault(told["tags"][0], []).append(_operation(schema, method.upper(), path, told))
    return found


def _operation(schema: Mapping[str, Any], method: str, path: str, told: Mapping[str, Any]) -> Operation:
    needs = told["x-right"] if "{project}" in path else ""
    return Operation(
        name=told["operationId"],
        method=method,
        path=path.removeprefix(ROOT.rstrip("/")),
        summary=_quoted(told["summary"]),
        about=_paragraphs(told.get("description", ""), told["summary"]),
        scope=told["x-scope"],
        right=RIGHTS.get(needs, ""),
        parameters=tuple(_parameter(one) for one in told.get("parameters", ())),
        sent=tuple(_body(schema, told.get("requestBody", {}))),
        answers=tuple(_answers(schema, told["responses"])),
    )


def _paragraphs(text: str, summary: str) -> tuple[str, ...]:
    """Each in one line; none where the text is the summary again."""
    found = tuple(" ".join(_quoted(part).split()) for part in text.split("\n\n"))
    return () if found[0].rstrip(".") == _quoted(summary) else found


def _quoted(text: str) -> str:
    """Names of fields as other words in quotes are written."""
    return re.sub(r"`([^`]+)`", r"“\1”", text)


def _parameter(one: Mapping[str, Any]) -> Field:
    schema = one.get("schema", {})
    about = one.get("description") or schema.get("description", "")
    return Field(one["name"], _kind({}, schema), one.get("required", False), about)


def _body(schema: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Field]:
    for kind, content in body.get("content", {}).items():
        if kind == "application/json":
            yield from _fields(schema, content["schema"])
        else:
            yield Field("the body itself", kind, True, content["schema"].get("description", ""))


def _answers(schema: Mapping[str, Any], answers: Mapping[Any, Any]) -> Iterator[tuple[str, str, tuple[Field, ...]]]:
    """What is answered where it is done. Refusals are alike everywhere, and told once."""
    for status, answer in answers.items():
        if int(status) < 400:
            content = answer.get("content", {}).get("application/json", {}).get("schema", {})
            yield str(status), responses[int(status)], tuple(_fields(schema, content))


def _fields(schema: Mapping[str, Any], one: Mapping[str, Any], before: str = "", depth: int = 0) -> Iterator[Field]:
    """The keys of an object, and of those within it."""
    parts, required = _keys(schema, one)
    for name, part in parts.items():
        full, brackets = f"{before}{name}", "[]" if _resolved(schema, part).get("type") == "array" else ""
        yield Field(full, _kind(schema, part), name in required, _resolved(schema, part).get("description", ""))
        inner = _resolved(schema, part).get("items", {}) if brackets else part
        if depth < DEEPEST:
            yield from _fields(schema, inner, f"{full}{brackets}.", depth + 1)


def _keys(schema: Mapping[str, Any], one: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """The keys that an object may have, and those that it must; of one of several, those that any of them may, and all must."""
    one = _resolved(schema, one)
    parts, required = dict(one.get("properties", {})), set(one.get("required", ()))
    choices = [_keys(schema, choice) for choice in (*one.get("anyOf", ()), *one.get("oneOf", ()))]
    objects = [(more, needed) for more, needed in choices if more]
    for name in dict.fromkeys(name for more, _ in objects for name in more):
        # One that reads alike everywhere is one; else it is what it is in any of them.
        kinds = [more[name] for more, _ in objects if name in more]
        parts.setdefault(name, kinds[0] if all(kind == kinds[0] for kind in kinds) else {"anyOf": kinds})
    if objects:
        required |= set.intersection(*(needed for _, needed in objects))
    return parts, required


def _resolved(schema: Mapping[str, Any], one: Mapping[str, Any]) -> Mapping[str, Any]:
    name = one.get("$ref", "").rpartition("/")[2]
    found: Mapping[str, Any] = schema["components"]["schemas"][name] if name and schema else one
    return found


def _kind(schema: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    """In words: what stands there."""
    return " or ".join(dict.fromkeys(_kinds(schema, part)))


def _kinds(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Iterator[str]:
    part = _resolved(schema, part)
    choices = (*part.get("anyOf", ()), *part.get("oneOf", ()))
    values = [part["const"]] if "const" in part else part.get("enum", ())
    kind = part.get("type", "object" if "properties" in part else "any")
    if choices:
        for choice in choices:
            yield from _kinds(schema, choice)
    elif values:
        yield from (f"“{value}”" for value in values)
    elif kind == "array":
        yield f"list of {_kind(schema, part.get('items', {}))}"
    else:
        kinds = kind if isinstance(kind, list) else [kind]
        yield from (_WORDS.get((one, part.get("format", "")), _WORDS.get((one, ""), str(one))) for one in kinds)


_WORDS: Mapping[tuple[str, str], str] = {
    ("string", ""): "text",
    ("string", "date-time"): "time, as 2026-06-28T23:17:41Z",
    ("integer", ""): "whole number",
    ("boolean", ""): "true or false",
    ("null", ""): "null",
}
