"""What the API takes and answers, for the schema and for the check of what was sent."""

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from ninja import Schema
from pydantic import ConfigDict, Field

Row = TypeVar("Row")

# What stands in addresses, whose words are in `parameters`, and in bodies alike.
Cursor = Annotated[str, Field(max_length=1000)]
Limit = Annotated[int, Field(ge=1, le=200)]
Words = Annotated[str, Field(max_length=100)]
Reason = Annotated[str, Field(max_length=255, description="Why, for the record")]
Confirm = Annotated[str, Field(max_length=64, description="The token of the preview that was looked at")]
DryRun = bool


class Sent(Schema):
    """What a program sends: an unknown key is refused by name."""

    model_config = ConfigDict(extra="forbid")


class Fault(Schema):
    """One thing that is wrong: where in the document (a JSON pointer) or in which parameter, and what to write instead."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None
    suggestions: list[str] = []


class Problem(Schema):
    """RFC 9457. `type` is urn:karenpanel:problem:NAME; the names stand in the documentation."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    errors: list[Fault] = []
    request_id: str


class Page(Schema, Generic[Row]):
    """Some rows of a list; `next` is the cursor for those behind them, null where there are none."""

    items: list[Row]
    next: str | None


class Change(Sent):
    """What may be said with any change: why it is made, and the token of the preview that is confirmed."""

    reason: Reason = ""
    confirm: Confirm = ""


class Named(Schema):
    id: str
    name: str


class Effect(Schema):
    """What changes on some VMs, in sentences; `more` sentences are left out. `too_fine`: and something besides that
    cannot be told in ranges."""

    newly_allowed: list[str]
    newly_denied: list[str]
    more: int
    too_fine: bool
    machines: list[Named]
    machine_count: int


class Preview(Schema):
    """What a change does, before it is made. Where there are `alarms` it is made only with `confirm`: the `token`."""

    token: str
    changes_traffic: bool
    effects: list[Effect]
    machine_count: int
    unaffected: int
    unseen: int
    newly_dead: list[str]
    alarms: list[str]
    notes: list[str]


class Revision(Schema):
    """One entry of a history."""

    number: int
    at: datetime
    actor: str
    by_staff: bool
    via: str
    summary: str
    reason: str


Document = dict[str, Any]
