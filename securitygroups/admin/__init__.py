"""The platform operators' admin: everything can be found, and whatever is changed goes through operations."""

# Django's autodiscover imports `securitygroups.admin` and nothing below it; each of these registers its models.
from securitygroups.admin import (
    cases,
    find,
    groups,
    hosts,
    machines,
    on_hosts,
    people,
    projects,
    records,
    reviews,
    sections,
    tokens,
)

__all__ = [
    "cases",
    "find",
    "groups",
    "hosts",
    "machines",
    "on_hosts",
    "people",
    "projects",
    "records",
    "reviews",
    "sections",
    "tokens",
]
