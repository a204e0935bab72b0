"""Tags: short words by which a project's VMs are told apart, plain as “web” or with a value as “env=prod”."""

import re
import unicodedata

from django.core.exceptions import ValidationError

from securitygroups.firewall.texts import clean, shown

MOST_TAGS, LONGEST_TAG = 20, 60
_TAG = re.compile(r"\w[\w.:/@-]*(=[\w.:/@-]+)?")


def to_tags(text: str) -> list[str]:
    """The tags of a list with commas, each once, in order of the alphabet. What is wrong with one is `check_tag`'s matter."""
    # No difference that is hard to see makes two tags of one.
    words = unicodedata.normalize("NFKC", text[: 4 * MOST_TAGS * LONGEST_TAG]).lower().split(",")
    return sorted({re.sub(r"\s*=\s*", "=", clean(word)) for word in words} - {""})


def check_tag(tag: str) -> None:
    """Validator. Raises ValidationError, which says what to type instead."""
    if len(tag) > LONGEST_TAG:
        raise ValidationError(f"The tag {shown(tag)} is {len(tag)} characters long: {LONGEST_TAG} is the most.")
    if not _TAG.fullmatch(tag):
        better = "-".join(re.findall(r"[\w.:/@=-]+", tag)).strip("-=")
        instead = f": type {better}" if better and _TAG.fullmatch(better) else ": type words such as web or env=prod"
        raise ValidationError(f"“{shown(tag)}” is no tag{instead}. Commas stand between tags.".replace("%", "%%"))


def check_tags(tags: list[str]) -> None:
    """Validator of all of them. Raises ValidationError."""
    if len(tags) > MOST_TAGS:
        raise ValidationError(f"These are {len(tags)} tags: {MOST_TAGS} is the most.")
    for tag in tags:
        check_tag(tag)
