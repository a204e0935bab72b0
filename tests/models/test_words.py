"""Rows from before there was one rule for texts are brought to it, and names that are the same by it are told apart."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader

import securitygroups.migrations as migrations
from securitygroups.models import AccountEvent, GroupTemplate, Project, SecurityGroup, User, VirtualMachine
from tests.factories import make_group, make_machine, make_user

CONSTRAINTS = {
    "group_name": SecurityGroup,
    "machine_name": VirtualMachine,
    "template_name": GroupTemplate,
    "user_name": User,
}
(NAME,) = (file.stem for file in Path(migrations.__path__[0]).glob("*_words.py"))


@pytest.fixture
def migrate(db: None) -> Any:
    """Runs the migration's functions where its constraints do not hold yet, and puts the constraints on again."""
    module = import_module(f"{migrations.__name__}.{NAME}")
    apps = MigrationLoader(connection).project_state([("securitygroups", NAME)]).apps

    def run() -> None:
        with connection.schema_editor(atomic=False) as editor:
            module.clean(apps, editor)
            module.tell_apart(apps, editor)
            for name, model in CONSTRAINTS.items():
                editor.add_constraint(model, next(one for one in model._meta.constraints if one.name == name))

    return run


def say(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def loosen() -> None:
    say("SET CONSTRAINTS ALL IMMEDIATE")
    for name in CONSTRAINTS:
        say(f"DROP INDEX {name}")


def names(model: Any) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT name FROM {model._meta.db_table} ORDER BY id")
        return [name for (name,) in cursor.fetchall()]


def test_names_are_kept_in_one_form_and_told_apart(project: Project, bakery: Project, migrate: Any) -> None:
    old = ("Café", "Cafe\u0301", "web", "we\u200bb", "ｗｅｂ", " web  2 ", "\u3000", "deleted", "\u0958" * 100)
    groups = [make_group(project, f"g{number}", description="x") for number in range(len(old))]
    machine, other = make_machine(project, "vm"), make_machine(bakery, "vm")
    there = make_group(bakery, "Café")
    loosen()
    for group, name in zip(groups, old, strict=True):
        say("UPDATE securitygroups_securitygroup SET name = %s, description = %s WHERE id = %s", name, name, group.pk)
    say("UPDATE securitygroups_securitygroup SET deleted_at = now(), name = ' web' WHERE id = %s", groups[7].pk)
    say("UPDATE securitygroups_virtualmachine SET name = E'\\u00a0v\\u2003m' WHERE id = %s", machine.pk)
    for name in ("mine", "MINE", " mine"):
        say(
            "INSERT INTO securitygroups_grouptemplate (name, description, rules, created_at) VALUES (%s, '', '[]', now())",
            name,
        )
    events = list(project.events.order_by("pk").values())

    migrate()

    ids = [group.public_id for group in groups]
    assert names(SecurityGroup)[: len(old)] == [
        "Café", f"Café ({ids[1]})", "web", f"we\u200bb ({ids[3]})", f"ｗｅｂ ({ids[4]})", "web 2", ids[6], "web",
        "\u0915\u093c" * 50,
    ]  # fmt: skip
    assert SecurityGroup.objects.get(pk=groups[6].pk).description == ""
    assert SecurityGroup.objects.get(pk=groups[3].pk).name == f"we\ufffdb ({ids[3]})"
    assert names(VirtualMachine) == ["v m", "vm"]
    assert other.name == "vm"
    assert there.name in names(SecurityGroup)
    keys = list(GroupTemplate.objects.order_by("pk").values_list("pk", flat=True))
    assert names(GroupTemplate) == ["mine", f"MINE ({keys[1]})", f"mine ({keys[2]})"]
    assert list(project.events.order_by("pk").values()) == events


def test_of_user_names_that_differ_in_case_the_one_in_use_stays(
    migrate: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    people = [make_user(name) for name in ("dora", "doris", "dorothy", "emil")]
    loosen()
    for user, name in zip(people, ("dora", "Dora", "DORA", "Emil"), strict=True):
        say("UPDATE securitygroups_user SET username = %s WHERE id = %s", name, user.pk)
    say("UPDATE securitygroups_user SET last_login = now() WHERE id = %s", people[1].pk)

    migrate()

    found = {user.pk: user.username for user in User.objects.all()}
    assert [found[user.pk] for user in people] == [f"dora-{people[0].pk}", "Dora", f"DORA-{people[2].pk}", "Emil"]
    assert set(AccountEvent.objects.values_list("verb", "user", "user_name", "actor_name", "detail__was")) == {
        ("account.changed", people[0].pk, f"dora-{people[0].pk}", "karenpanel", "dora"),
        ("account.changed", people[2].pk, f"DORA-{people[2].pk}", "karenpanel", "DORA"),
    }
    assert f"The user name dora is dora-{people[0].pk} now" in capsys.readouterr().out
