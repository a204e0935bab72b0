"""The group document in the schema, from the table of protocols: one shape of a rule for each."""

from typing import Any, NamedTuple

from django.conf import settings
from django.http import HttpRequest
from ninja.parser import Parser

from securitygroups.api.problems import Refusal
from securitygroups.firewall.formats.documents import FORMAT, MAX_NAME, RULE_KEYS
from securitygroups.firewall.formats.strict import bad, decode, load_json
from securitygroups.firewall.protocols import COLUMNS, MAX_PORT, PROTOCOLS, Action, Direction
from securitygroups.firewall.values import MAX_DESCRIPTION

_NETWORK = {"type": "string", "maxLength": 60, "description": "An address or a network: 203.0.113.0/24"}
_PORT = {"type": "integer", "minimum": 0, "maximum": MAX_PORT}


def read_body(request: HttpRequest, most: int) -> dict[str, Any]:
    """The JSON object that was sent, duplicate keys refused. Raises BadDocument, Refusal."""
    if (request.content_type or "application/json") != "application/json":
        raise Refusal("media-type", f"Send application/json, not {(request.content_type or '')[:60]}.")
    if len(request.body) > most:
        raise Refusal("too-large", f"Send {most // 2**20} MiB at most.")
    text = decode(request.body)
    value = load_json(text)
    if not isinstance(value, dict):
        raise bad("", "Write an object in braces: {…}.")
    if r"\u0000" in text:
        _refuse_nul(value)
    return value


def _refuse_nul(document: dict[str, Any]) -> None:
    """The one character that no text of a database has, wherever it stands. Raises BadDocument."""
    left: list[tuple[str, Any]] = [("", document)]
    while left:
        where, value = left.pop()
        if isinstance(value, str) and "\0" in value:
            raise bad(where, "Leave the character U+0000 out: no text has it.")
        if isinstance(value, dict):
            if any("\0" in name for name in value):
                raise bad(where, "Leave the character U+0000 out of names.")
            left += [(f"{where}.{name}" if where else name, one) for name, one in value.items()]
        elif isinstance(value, list):
            left += [(f"{where}[{at}]", one) for at, one in enumerate(value)]


class StrictParser(Parser):
    """Reads what operations take by a schema as strictly as what they read by themselves."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        return read_body(request, settings.DOCUMENT_MAX_MB * 2**20)


class Change(NamedTuple):
    """What was sent to change something: why, the token of the preview that is confirmed, and the document without these."""

    reason: str
    confirm: str
    document: dict[str, Any]


def read_change(request: HttpRequest) -> Change:
    """Raises BadDocument, Refusal."""
    sent = read_body(request, settings.DOCUMENT_MAX_MB * 2**20)
    return Change(_taken(sent, "reason", 255), _taken(sent, "confirm", 64), sent)


def _taken(document: dict[str, Any], name: str, longest: int) -> str:
    """A text that stands beside the document's own keys, taken out of it. Raises BadDocument."""
    text = document.pop(name, "")
    if not isinstance(text, str) or len(text) > longest:
        raise bad(name, f"Write a text in quotes of {longest} characters at most.")
    return text


def rule_schema() -> dict[str, Any]:
    return {"oneOf": [_rule(name) for name in PROTOCOLS]}


def _rule(protocol: str) -> dict[str, Any]:
    columns = PROTOCOLS[protocol].columns
    optional = {"source": _NETWORK, "destination": _NETWORK, "port_start": _PORT, "port_end": _PORT}
    fields: dict[str, Any] = {
        "action": {"enum": [action.value for action in Action]},
        "direction": {"enum": [direction.value for direction in Direction]},
        "protocol": {"const": protocol},
        **{name: _or_null(optional[name]) if name in columns else {"type": "null"} for name in COLUMNS},
        "description": {"type": "string", "maxLength": MAX_DESCRIPTION},
        "enabled": {"type": "boolean"},
    }
    return {
        "title": f"{PROTOCOLS[protocol].label} rule",
        "type": "object",
        "properties": {name: fields[name] for name in RULE_KEYS},
        "required": ["action", "direction", "protocol"],
        "additionalProperties": False,
    }


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return schema | {"type": [schema["type"], "null"]}


def group_schema(*, needs: tuple[str, ...]) -> dict[str, Any]:
    """The document; `needs` are its keys that have to be there."""
    fields = {
        "format": {"const": FORMAT},
        "name": {"type": "string", "minLength": 1, "maxLength": MAX_NAME},
        "description": {"type": "string", "maxLength": MAX_DESCRIPTION},
        "rules": {"type": "array", "items": {"$ref": "#/components/schemas/Rule"}},
        "reason": {"type": "string", "maxLength": 255},
        "confirm": {"type": "string", "maxLength": 64},
    }
    return {"type": "object", "properties": fields, "required": list(needs), "additionalProperties": False}


def body(schema: dict[str, Any]) -> dict[str, Any]:
    """For an operation that reads what was sent by itself, so that each fault is told by its place."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def answers(content_type: str) -> dict[str, Any]:
    """For an operation that answers something else than JSON."""
    return {"responses": {200: {"description": "OK", "content": {content_type: {"schema": {"type": "string"}}}}}}


def binary_body(what: str) -> dict[str, Any]:
    """For an operation that is sent a file as it is."""
    schema = {"type": "string", "format": "binary", "description": what}
    return {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": schema}}}}
