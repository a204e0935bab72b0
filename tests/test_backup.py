"""What docs/operations.md says of backups brings everything back, with its rights and its refusals."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from karenpanel import database
from securitygroups.models import SecurityGroup, VirtualMachine
from tests.faults import backup
from tests.faults.postgres import Server, folder

pytestmark = pytest.mark.django_db(transaction=True)
EVENT = (
    "INSERT INTO securitygroups_event (project_id, at, actor_name, by_staff, verb, summary, detail)"
    " SELECT project_id, now(), '', false, verb, '', '{}' FROM securitygroups_event LIMIT 1"
)


@pytest.fixture
def where() -> Iterator[Path]:
    with folder() as made:
        yield made


def here() -> dict[str, str]:
    """The addresses of the tests' database, as an installation has them."""
    owner = database.parameters(connection.settings_dict)
    web = owner | {"user": backup.WEB}
    named = {"DATABASE_URL": web, "DATABASE_OWNER_URL": owner}
    return {
        name: f"postgresql://{to['user']}{':' + to['password'] if to.get('password') else ''}@/{to['dbname']}?"
        + "&".join(f"{key}={value}" for key, value in to.items() if key in {"host", "port"})
        for name, to in named.items()
    }


def test_a_backup_is_restored_whole(group: SecurityGroup, machine: VirtualMachine, where: Path) -> None:
    before = backup.whole(here(), where)
    backup.do(backup.lines("operations.md", "Back up"), where, **here())

    with Server(where / "new").make() as new:
        backup.make_roles(new)
        backup.do(backup.lines("operations.md", "Restore"), where, **backup.urls(new))
        after = backup.whole(backup.urls(new), where)
        refused = backup.refusals(new)
        new.sql(EVENT, backup.NAME, backup.WEB)

        assert int(before["securitygroups_event"].split("|")[0]) > 1
        assert not backup.differences(before, after, refused)
        # And what is not whole is seen.
        new.sql(f"ALTER TABLE {backup.EVENTS} DISABLE TRIGGER USER; DELETE FROM {backup.EVENTS}", backup.NAME)
        wrong = backup.differences(before, backup.whole(backup.urls(new), where), backup.refusals(new))
    assert any(line.startswith(f"{backup.EVENTS}: ") for line in wrong)
    assert "INSTALLED DISABLED" in wrong
    assert "deleted" in wrong
