"""What a platform's program says of a VM, read into what is kept: the same for one VM and for a list of thousands."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from securitygroups.firewall.texts import clean, shown, text_problem
from securitygroups.firewall.values import Refused, machine_address
from securitygroups.models import LONGEST_TAG, MOST_TAGS, Project, SecurityGroup, VirtualMachine, to_tags
from securitygroups.models.names import SameName, same_names
from securitygroups.models.tags import check_tag, check_tags

OWN = ("name", "description", "ipv4", "ipv6", "tags")
"""A VM's own fields that a program may give; what it does not give stays as it is."""
KEYS = ("external_id", *OWN, "groups")
IGNORED = frozenset({"tap"})
"""What programs have sent before operators and hosts said it: it is taken, and nothing is done with it."""
NAMELESS = "Send a name: there is no VM with this external ID yet."
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """A VM as it shall be. `fields` are those of its own that were given; `groups` are names or IDs in order, None where
    its groups stay as they are."""

    external_id: str
    fields: Mapping[str, Any]
    groups: tuple[str, ...] | None


def read_entry(sent: Mapping[str, Any], known: Mapping[str, Any] | None = None) -> Entry:
    """Raises ValidationError with all that is wrong, each at its field. `known` are the values that the VM has: what is one
    of them was looked at when it came in, and most of a list that is brought every minute is."""
    if not isinstance(sent, Mapping):
        raise ValidationError(f"This is no VM: send an object with {', '.join(KEYS)}.")
    problems: dict[str, list[str]] = {
        shown(key): [f"A VM has no field of this name here: they are {', '.join(KEYS)}."]
        for key in sent
        if key not in KEYS and key not in IGNORED
    }
    values: dict[str, Any] = {}
    for name in ("external_id", *(key for key in KEYS if key in sent and key != "external_id")):
        try:
            value = sent.get(name)
            same = known is not None and name in known and known[name] == value
            values[name] = value if same else _READ[name](name, value)
        except ValidationError as refusal:
            problems[name] = refusal.messages
    if problems:
        raise ValidationError(problems)
    return Entry(values.pop("external_id"), values, values.pop("groups", None))


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValidationError("Send a text.")
    if name == "name" and not clean(value[:1000]):
        raise ValidationError("Type a name for the VM.")
    field: Any = VirtualMachine._meta.get_field(name)
    found: str = field.clean(value, None)
    return found


def _external_id(name: str, value: Any) -> str:
    if value is None or value == "":
        raise ValidationError("Send the platform's own ID of the VM.")
    found = _text(name, value)
    # Other texts are tidied. By this one a program asks again, and has to find what it has sent.
    if found != value:
        raise ValidationError(f"It would be kept as “{shown(found)}”: send it as it is kept, with no blanks around.")
    return found


def _address(name: str, value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValidationError("Send an address as a text, or null where the VM has none.")
    try:
        return machine_address(value, 4 if name == "ipv4" else 6)
    except Refused as error:
        raise ValidationError(error.problem.message) from None


def _tags(name: str, value: Any) -> list[str]:
    texts = _texts(value, "Send the tags as a list of texts.")
    if len(texts) > MOST_TAGS:
        raise ValidationError(f"These are {len(texts)} tags: {MOST_TAGS} is the most.")
    for text in texts:
        if len(text) > LONGEST_TAG:
            check_tag(text)
    found = sorted({tag for text in texts for tag in to_tags(text)})
    check_tags(found)
    return found


def _groups(name: str, value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    texts = _texts(value, "Send the groups as a list of names or IDs, or null where they stay as they are.")
    most = settings.MAX_GROUPS_PER_MACHINE
    if len(texts) > most:
        raise ValidationError(f"A VM can have {most} groups, these are {len(texts)}: choose fewer.", code="quota")
    return tuple(texts)


def _texts(value: Any, otherwise: str) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise ValidationError(otherwise)
    return list(value)


_READ: Mapping[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(OWN, _text),
    "external_id": _external_id,
    "ipv4": _address,
    "ipv6": _address,
    "tags": _tags,
    "groups": _groups,
}


def groups_called(project: Project, words: Collection[str]) -> dict[str, SecurityGroup]:
    """The project's groups of these IDs or names; words that mean none are left out (two queries)."""
    # No other text can be a name, and not every one can be asked of the database.
    tidy = {word: clean(word) for word in words if len(word) <= LONGEST_NAME and not text_problem(clean(word), 999)}
    if not tidy:
        return {}
    same = same_names({*tidy.values()})
    groups = SecurityGroup.objects.live().filter(project=project).annotate(same=SameName("name")).order_by("pk")
    by_name, by_id = {}, {}
    for group in groups:
        group.project = project
        by_name[group.same], by_id[group.public_id] = group, group
    found = {word: by_id.get(name.lower()) or by_name.get(same[name]) for word, name in tidy.items()}
    return {word: group for word, group in found.items() if group}


def ordered(words: Sequence[str], found: Mapping[str, SecurityGroup]) -> list[SecurityGroup]:
    """The groups that these words mean, in their order. Raises ValidationError."""
    unknown = [word for word in words if word not in found]
    if unknown:
        raise ValidationError(f"The project has no group “{shown(unknown[0])}”: make it first, or leave it out.")
    groups = [found[word] for word in words]
    twice = [group.name for at, group in enumerate(groups) if group in groups[:at]]
    if twice:
        raise ValidationError(f"{twice[0]} stands twice in the list: send each group once.")
    return groups
