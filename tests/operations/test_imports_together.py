"""Files are imported at the same time, by people who do not know of each other: of each all its groups, or none."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from securitygroups import operations
from securitygroups.brought import make, propose_import
from securitygroups.firewall.formats.reading import ReadGroup, Reading
from securitygroups.models import Event, GroupRevision, Project, Rule
from securitygroups.operations import By, RefusedGroups
from tests.factories import ports

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("concurrency")]
ROUNDS = 2


def at_once(*works: Callable[[], object]) -> list[object]:
    """What each gave or raised, begun in the same moment and over connections of their own."""
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> object:
        gate.wait()
        try:
            return work()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as people:
        return list(people.map(run, works))


def imports(project: Project, names: Sequence[str]) -> Callable[[], list[str]]:
    """A yes to a file of such groups, all looked at before anybody begins."""
    groups = tuple(ReadGroup(name, "", tuple(ports(80, 443))) for name in names)
    proposal = propose_import(project, Reading("AWS security groups", groups))

    def agree() -> list[str]:
        return make(proposal, dict(enumerate(names)), By())[1]

    return agree


def is_whole(project: Project, names: Sequence[str]) -> None:
    """These groups and no trace of others: no rule, no revision, no line of the record."""
    assert sorted(project.groups.values_list("name", flat=True)) == sorted(names)
    assert Rule.objects.count() == 2 * len(names)
    assert GroupRevision.objects.count() == len(names)
    made = Event.objects.filter(verb=Event.Verb.GROUP_CREATED, group__isnull=False)
    assert made.count() == len(names)
    assert Event.objects.filter(detail__has_key="imported").count() == 1


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_the_same_file_sent_by_three_people_is_imported_once(turn: int, project: Project) -> None:
    names = ["web", "db", "bastion"]

    found = at_once(*(imports(project, names) for _ in range(3)))

    late = [one for one in found if isinstance(one, RefusedGroups)]
    assert [one for one in found if isinstance(one, list)] == [names]
    assert [sorted(one.problems) for one in late] == [[0, 1, 2]] * 2, "each name is told, not the first one alone"
    is_whole(project, names)


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_files_with_one_name_in_common_do_not_mix(turn: int, project: Project) -> None:
    files = [["app", "Web"], ["web", "db", "cache"]]

    found = at_once(*(imports(project, names) for names in files))

    landed = [one for one in found if isinstance(one, list)]
    assert len(landed) == 1
    assert landed[0] in files
    late = next(one for one in found if isinstance(one, RefusedGroups))
    assert sorted(late.problems) == ([0] if landed == [files[0]] else [1])
    is_whole(project, landed[0])


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_the_last_room_is_given_to_one_file(turn: int, project: Project) -> None:
    project.max_groups = 3
    operations.update_project(project=project, by=By())
    files = [["a", "b"], ["c", "d"]]

    found = at_once(*(imports(project, names) for names in files))

    landed = [one for one in found if isinstance(one, list)]
    assert len(landed) == 1
    late = next(one for one in found if isinstance(one, ValidationError))
    assert late.messages == [
        "The project has room for 1 more group, these are 2: leave some out, or delete groups that are not used first."
    ]
    is_whole(project, landed[0])


def test_two_clicks_on_undo_take_an_import_back_once(project: Project) -> None:
    imports(project, ["web", "db"])()
    event = Event.objects.get(detail__has_key="imported").pk

    found = at_once(*(lambda: operations.undo_import(project=project, event=event, by=By()) for _ in range(2)))

    assert {type(one) for one in found} == {operations.Conflict, list}
    assert not project.groups.live().exists()
    assert Event.objects.filter(verb=Event.Verb.GROUP_DELETED).count() == 2
