"""What test_concurrency has other processes do, all at the same time.

`python -m tests.writers DATABASE`: for each line of JSON on standard input, do the deed it names and answer with a line.
A deed starts when the test releases the advisory lock GATE, so that all of them start in the same moment.
"""

import json
import random
import sys
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

GATE = 20260


def main() -> None:
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = sys.argv[1]
    import django

    django.setup()
    from django.db import connection

    say("ready")
    for line in sys.stdin:
        order = json.loads(line)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock_shared(%s)", [GATE])
            cursor.execute("SELECT pg_advisory_unlock_shared(%s)", [GATE])
        deed: Callable[..., Any] = globals()[order.pop("do")]
        try:
            say(deed(**order))
        except Exception as error:
            say(told(error))


def say(answer: Any) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201


def told(error: Exception) -> str:
    """A refusal by its name and words, a crash by its class."""
    return f"{type(error).__name__}: {' '.join(getattr(error, 'messages', [str(error)]))}"


def edit(group: Any, tag: str, most: int) -> list[Any]:
    """The group's list with a rule of that tag somewhere in it, others moved about, and the oldest gone when it is full."""
    from securitygroups.firewall import lists
    from securitygroups.models import values
    from tests.factories import rule

    rules = values(list(group.rules.in_order()))
    if len(rules) >= most:
        rules = lists.remove(rules, [random.randint(1, len(rules))])
    rules = lists.insert(rules, random.randint(1, len(rules) + 1), rule("accept in tcp 22", tag))
    return list(lists.move(rules, [random.randint(1, len(rules))], random.randint(1, len(rules))))


def tries(group: int, tag: str, most: int) -> Iterator[int | None]:
    """Commit the edit until it is not overtaken; the revision, or None for each try that was."""
    from securitygroups import operations
    from securitygroups.models import SecurityGroup

    while True:
        newest = SecurityGroup.objects.get(pk=group)
        try:
            operations.commit_rules(
                group=newest, rules=edit(newest, tag, most), base=newest.revision, by=operations.By()
            )
        except operations.Conflict:
            yield None
        else:
            yield newest.revision
            return


def add(group: int, tags: list[str]) -> int:
    """A commit for each tag; the number of conflicts on the way."""
    return sum(number is None for tag in tags for number in tries(group, tag, 1000))


def add_for_ever(group: int, name: str) -> None:
    """Commits without end, each said once it is acknowledged, until the process is killed."""
    for number in count(1):
        tag = f"{name}-{number}"
        for revision in tries(group, tag, 30):
            if revision:
                say([revision, tag])


def remove_first(group: int, base: int) -> str:
    from securitygroups import operations
    from securitygroups.models import SecurityGroup, values

    target = SecurityGroup.objects.get(pk=group)
    rules = values(list(target.rules.in_order()))[1:]
    operations.commit_rules(group=target, rules=rules, base=base, by=operations.By())
    return "done"


def make(kind: str, project: int, fields: dict[str, Any]) -> str:
    from securitygroups import operations
    from securitygroups.models import Project

    if kind == "project":
        operations.create_project(**fields, by=operations.By())
    elif kind == "group":
        operations.create_group(project=Project.objects.get(pk=project), **fields, by=operations.By())
    elif kind in SMALL:
        _make_small(kind, Project.objects.get(pk=project))
    else:
        operations.create_machine(project=Project.objects.get(pk=project), fields=fields, by=operations.By())
    return "done"


SMALL = {
    "template": "MAX_TEMPLATES_PER_PROJECT",
    "case": "MAX_CASES_PER_PROJECT",
    "note": "MAX_NOTES_PER_CASE",
    "member": "MAX_MEMBERS_PER_PROJECT",
}
"""What there can be too many of, and the setting that says so."""


def _make_small(kind: str, project: Any) -> None:
    """One more where there are all but one of those that there can be. The project has a group, and a case."""
    import os

    from django.conf import settings

    from securitygroups import operations
    from securitygroups.firewall.protocols import Direction
    from securitygroups.firewall.values import Packet
    from securitygroups.models import User

    setattr(settings, SMALL[kind], 2)
    group, name = project.groups.get(), f"n{os.getpid()}"
    user = User.objects.create_user(name)
    if kind == "template":
        operations.save_template(group=group, name=name, description="", by=operations.By(user))
    elif kind == "case":
        operations.open_case(about=group, packet=Packet(Direction.IN), staff=user)
    elif kind == "note":
        operations.add_note(case=project.cases.get(), text=name, by=operations.By(user))
    else:
        operations.add_member(project=project, user=user, role="viewer", by=operations.By())


def leave(member: int) -> str:
    from securitygroups import operations
    from securitygroups.models import Membership

    operations.remove_member(member=Membership.objects.get(pk=member), by=operations.By())
    return "done"


def join(project: int, person: int) -> str:
    from securitygroups import operations
    from securitygroups.models import Project, Role, User

    user = User.objects.get(pk=person)
    operations.add_member(project=Project.objects.get(pk=project), user=user, role=Role.OWNER, by=operations.By())
    return "done"


def switch_off(person: int, by: int | None = None) -> str:
    from securitygroups import operations
    from securitygroups.models import User

    who = operations.By(User.objects.get(pk=by), staff=True) if by else operations.By()
    operations.change_person(person=User.objects.get(pk=person), about={"is_active": False}, by=who)
    return "done"


def change_role(member: int, role: str) -> str:
    from securitygroups import operations
    from securitygroups.models import Membership

    operations.change_role(member=Membership.objects.get(pk=member), role=role, by=operations.By())
    return "done"


def attach(machines: list[int], groups: list[int], times: int) -> list[str]:
    """Attach some of the groups in some order to some VM, again and again; what was refused."""
    from django.core.exceptions import ValidationError

    from securitygroups import operations
    from securitygroups.models import SecurityGroup, VirtualMachine

    refused = []
    for turn in range(times):
        machine = VirtualMachine.objects.select_related("project").get(pk=random.choice(machines))
        chosen = list(SecurityGroup.objects.filter(pk__in=random.sample(groups, random.randint(1, 4))))
        random.shuffle(chosen)
        base, fields = machine.revision, {"description": f"turn {turn}"}
        try:
            if turn % 2:
                operations.save_machine(machine=machine, fields=fields, groups=chosen, base=base, by=operations.By())
            else:
                operations.attach_groups(machine=machine, groups=chosen, base=base, by=operations.By())
        except (operations.Conflict, ValidationError) as error:
            refused.append(told(error))
    return refused


def delete(groups: list[int]) -> list[str]:
    """Delete the groups one after the other; what was refused."""
    from securitygroups import operations
    from securitygroups.models import SecurityGroup

    refused = []
    for pk in groups:
        try:
            operations.delete_group(
                group=SecurityGroup.objects.select_related("project").get(pk=pk), base=1, by=operations.By()
            )
        except operations.Conflict as error:
            refused.append(told(error))
    return refused


if __name__ == "__main__":
    main()
