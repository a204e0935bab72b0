"""What stands in addresses and heads of requests, in words for the schema: one table, for a name means one thing in all of it."""

from typing import Any

ABOUT = {
    "project": "The project's short name, as in its pages' addresses",
    "group": "A group's ID: sg-…",
    "machine": "A VM's ID: vm-…",
    "number": "The number of a revision, from 1",
    "external_id": "The platform's own ID of the VM",
    "template": "A template's id",
    "member": "A member's id",
    "invitation": "An invitation's id",
    "case": "A case's ID",
    "cursor": "“next” of the page before, as it is; left out for the first page",
    "limit": "Rows of a page",
    "q": "Words that names, descriptions, IDs or addresses have",
    "tag": "A tag that the VMs have: web, or env=prod",
    "dry_run": "Tell what it would do, and write nothing",
    "confirm": "The token of the preview that was looked at",
    "reason": "Why, for the record",
    "at": "As it was at this time, with its zone: 2030-01-31T14:00:00Z. Left out: as it is now",
    "kind": "A kind of event, such as rules.changed",
    "actor": "The name of who did it",
    "since": "What happened after this time: 2030-01-31T14:00:00Z",
    "verdict": "Whether they were dropped or accepted: drop, accept; left out for both",
    "direction": "Which way they went, as the VM sees it: in or out; left out for both",
    "port": "The port that they were sent to",
    "peer": "The other end: an address or a network",
    "state": "Of cases: open, answered or closed; left out for all",
    "target": "Where the ruleset is loaded: how the VM's tap is connected, and what the host's kernel can do",
    "taps": "The VM's taps on the host, by commas, instead of the one that is kept",
    "local": "The VMs' own addresses and networks, by commas, where the log knows them by others than the panel does",
    "with": "A revision of the group to compare with",
}


def _header(name: str, about: str, *, required: bool) -> dict[str, Any]:
    return {"in": "header", "name": name, "required": required, "schema": {"type": "string"}, "description": about}


IF_MATCH = _header("If-Match", 'The revision that the change was made from, as the ETag told it: "12"', required=True)
IDEMPOTENCY_KEY = _header(
    "Idempotency-Key",
    "Any words: the same sent again with them within a day is answered as the first time",
    required=False,
)


def explain(operation: dict[str, Any]) -> None:
    """Give each parameter of an operation of the schema its words."""
    for parameter in operation.get("parameters", ()):
        # What is left out is left out: neither null nor an empty text is a time.
        schema = parameter["schema"]
        if "default" in schema and (schema["default"] is None or schema["default"] == ""):
            del schema["default"]
        if about := ABOUT.get(parameter["name"]):
            parameter["description"] = about
