"""A VM as programs send it: its own fields and its groups, with all that is wrong at its place."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Q
from pydantic import Field

from securitygroups.api.problems import Refusal, at
from securitygroups.api.schemas import Confirm, Reason, Sent
from securitygroups.firewall.texts import Problem, clean, mended, shown
from securitygroups.firewall.values import MAX_DESCRIPTION, Refused, machine_address
from securitygroups.models import LONGEST_TAG, MOST_TAGS, Project, SecurityGroup, to_tags
from securitygroups.models.tags import check_tag

Name = Annotated[str, Field(min_length=1, max_length=100)]
Description = Annotated[str, Field(max_length=MAX_DESCRIPTION)]
Address = Annotated[str, Field(max_length=60, description="203.0.113.7, or null for none")]
Tag = Annotated[str, Field(max_length=LONGEST_TAG, description="A word such as web or env=prod")]
Tags = Annotated[list[Tag], Field(max_length=MOST_TAGS)]
# Programs of before send it: to refuse it now would stop all that they do, and it would be gone from v1.
Tap = Annotated[
    str,
    Field(
        max_length=15,
        description="Ignored: hosts and operators say at which interface a VM stands",
        json_schema_extra={"deprecated": True},
    ),
]
ExternalId = Annotated[str, Field(max_length=200, description="The platform's own ID of the VM, kept as it is sent")]
GroupId = Annotated[str, Field(max_length=100, description="The ID of a group: sg-…")]
GroupCalled = Annotated[str, Field(max_length=100, description="The name or the ID of a group")]
GroupIds = Annotated[
    list[GroupId],
    Field(max_length=settings.MAX_GROUPS_PER_MACHINE, description="In order: the first rule that matches decides"),
]


class NewMachine(Sent):
    name: Name
    description: Description = ""
    ipv4: Address | None = None
    ipv6: Address | None = None
    tags: Tags = []
    tap: Tap = ""
    external_id: ExternalId = ""
    groups: GroupIds = []
    reason: Reason = ""
    confirm: Confirm = ""


class MachineDetails(Sent):
    """What is left out stays as it is; null takes an address away."""

    name: Name | None = None
    description: Description | None = None
    ipv4: Address | None = None
    ipv6: Address | None = None
    tags: Tags | None = None
    tap: Tap | None = None
    external_id: ExternalId | None = None
    reason: Reason = ""


class GroupOrder(Sent):
    groups: GroupIds
    reason: Reason = ""
    confirm: Confirm = ""


class _Brought(Sent):
    name: Name | None = None
    description: Description | None = None
    ipv4: Address | None = None
    ipv6: Address | None = None
    tags: Tags | None = None
    tap: Tap | None = None
    groups: list[GroupCalled] | None = Field(None, max_length=settings.MAX_GROUPS_PER_MACHINE)


class MachineEntry(_Brought):
    """A VM in a list. What is left out stays as it is; null takes an address away."""

    external_id: ExternalId


class BroughtMachine(_Brought):
    reason: Reason = ""
    confirm: Confirm = ""


_ADDRESSES = {"ipv4": 4, "ipv6": 6}
_BESIDE = {"groups", "reason", "confirm", "tap"}

Errors = list[dict[str, Any]]


def sent_fields(body: NewMachine | MachineDetails | BroughtMachine) -> dict[str, Any]:
    """The VM's own fields, as they were sent."""
    sent = body.model_dump(exclude_unset=True, exclude=_BESIDE)
    return {name: value for name, value in sent.items() if value is not None or name in _ADDRESSES}


def fields_of(body: NewMachine | MachineDetails, errors: Errors) -> dict[str, Any]:
    """The VM's own fields that were sent, as they are kept; what is wrong goes into `errors`."""
    fields = sent_fields(body)
    for name, version in _ADDRESSES.items():
        if name in fields:
            try:
                fields[name] = machine_address(fields[name], version) if fields[name] else None
            except Refused as refused:
                errors.append(at(f"/{name}", refused.problem))
    if "tags" in fields:
        errors += _bad_tags(fields["tags"])
        fields["tags"] = to_tags(",".join(fields["tags"]))
    external = fields.get("external_id", "")
    if clean(external) != external:
        # By it a program asks again, and has to find what it has sent.
        tidy = clean(external)
        errors.append(at("/external_id", Problem(f"It would be kept as “{shown(tidy)}”: send it so.", (tidy,))))
    return fields


def _bad_tags(tags: Sequence[str]) -> Iterator[dict[str, Any]]:
    for place, text in enumerate(tags):
        try:
            for tag in to_tags(text):
                check_tag(tag)
        except ValidationError as refusal:
            yield at(f"/tags/{place}", Problem(" ".join(refusal.messages)))


def groups_of(project: Project, ids: Sequence[str], errors: Errors) -> list[SecurityGroup]:
    """The project's groups of these IDs, in this order (one query); what is wrong goes into `errors`."""
    if not ids:
        return []
    # No other text can be asked of the database.
    texts = {text for one in ids if (text := mended(one)) == one}
    rows = SecurityGroup.objects.live().filter(Q(public_id__in=texts) | Q(name__in=texts), project=project)
    found = list(rows)
    by_id, by_name = {one.public_id: one for one in found}, {one.name: one for one in found}
    for place, one in enumerate(ids):
        if problem := _bad_group(ids[:place], one, by_id, by_name):
            errors.append(at(f"/groups/{place}", problem))
    return [by_id[one] for one in ids if one in by_id]


def _bad_group(
    before: Sequence[str], one: str, by_id: Mapping[str, SecurityGroup], by_name: Mapping[str, SecurityGroup]
) -> Problem | None:
    if one in before:
        return Problem(f"“{shown(one)}” stands in the list already: send each group once.")
    if one in by_id:
        return None
    if one in by_name:
        return Problem(f"“{shown(one)}” is a name: send the group's ID.", (by_name[one].public_id,))
    return Problem(f"The project has no group with the ID “{shown(one)}”: take one from the list of groups.")


def check(errors: Errors) -> None:
    """Raises Refusal where something is wrong."""
    if errors:
        raise Refusal("invalid", " ".join(dict.fromkeys(one["detail"] for one in errors)), errors)
