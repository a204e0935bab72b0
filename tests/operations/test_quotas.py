"""How many of each thing there can be: counted under the project's lock, refused in words that say what to do instead."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from securitygroups import operations
from securitygroups.firewall.formats.documents import rule_to_json
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet
from securitygroups.models import (
    CaseNote,
    CasePacket,
    GroupTemplate,
    Membership,
    Project,
    SecurityGroup,
    SupportCase,
    User,
)
from securitygroups.operations import By
from tests.factories import make_user, ports, rule
from tests.operations.state import nothing_written

Another = Callable[[], object]


def another(kind: str, group: SecurityGroup, staff: User) -> Another:
    """Makes one more of the kind, whenever it is called."""

    numbers = count(1)

    def template() -> object:
        name = f"template {next(numbers)}"
        return operations.save_template(group=group, name=name, description="", by=By(staff))

    def case() -> SupportCase:
        return operations.open_case(about=group, packet=Packet(Direction.IN), staff=staff)

    def note() -> object:
        return operations.add_note(case=SupportCase.objects.first() or case(), text="Look", by=By(staff))

    def packet() -> object:
        known = SupportCase.objects.first() or case()
        return operations.add_packet(case=known, about=group, packet=Packet(Direction.IN), staff=staff)

    def member() -> object:
        user = make_user(f"user{next(numbers)}")
        return operations.add_member(project=group.project, user=user, role="viewer", by=By(staff))

    return {"template": template, "case": case, "note": note, "packet": packet, "member": member}[kind]


KINDS = [
    (
        "template",
        "MAX_TEMPLATES_PER_PROJECT",
        GroupTemplate,
        "The project has its 3 templates already: delete one that",
    ),
    ("case", "MAX_CASES_PER_PROJECT", SupportCase, "The project has its 3 cases already: write to one of them"),
    ("note", "MAX_NOTES_PER_CASE", CaseNote, "The case has its 3 notes already: go on in another case."),
    # The one that the case was opened with counts too.
    ("packet", "MAX_PACKETS_PER_CASE", CasePacket, "The case has its 4 packets already: open another case."),
    ("member", "MAX_MEMBERS_PER_PROJECT", Membership, "The project has its 3 members already: remove one first."),
]


@pytest.mark.parametrize(("kind", "setting", "table", "words"), KINDS)
def test_no_more_than_the_quota_and_the_refusal_says_what_to_do(
    group: SecurityGroup, staff: User, settings: Any, kind: str, setting: str, table: Any, words: str
) -> None:
    setattr(settings, setting, 4 if kind == "packet" else 3)
    one = another(kind, group, staff)
    while table.objects.count() < 3:
        one()
    with pytest.raises(ValidationError) as refusal:
        one()

    assert refusal.value.messages[0].startswith(words)
    assert refusal.value.code == "quota"
    assert table.objects.count() == 3


def test_another_projects_things_do_not_count(
    group: SecurityGroup, bakery: Project, staff: User, settings: Any
) -> None:
    settings.MAX_CASES_PER_PROJECT = settings.MAX_TEMPLATES_PER_PROJECT = 1
    for kind in ("case", "template"):
        another(kind, group, staff)()

    oven = operations.create_group(project=bakery, name="oven", rules=ports(1), by=By(staff))

    for kind in ("case", "template"):
        another(kind, oven, staff)()
    assert (bakery.cases.count(), bakery.templates.count()) == (1, 1)


def test_over_a_quota_that_was_lowered_a_template_can_still_be_changed(
    group: SecurityGroup, staff: User, settings: Any
) -> None:
    more = another("template", group, staff)
    more()
    more()
    settings.MAX_TEMPLATES_PER_PROJECT = 1

    template = GroupTemplate.objects.order_by("pk")[0]
    template.description = "As it is now"
    operations.write_template(template=template, by=By(staff))

    template.refresh_from_db()
    assert template.description == "As it is now"
    with nothing_written(), pytest.raises(ValidationError, match="1 template already"):
        more()


def test_templates_of_the_platform_are_no_projects(group: SecurityGroup, staff: User, settings: Any) -> None:
    settings.MAX_TEMPLATES_PER_PROJECT = 1

    rules = [rule_to_json(rule("accept in tcp 443"))]
    for name in "abc":
        operations.write_template(template=GroupTemplate(name=name, rules=rules), by=By(staff, staff=True))

    assert GroupTemplate.objects.filter(project=None).count() == 3
