"""The embedded server, which is raced, killed and besieged."""

import os
from pathlib import Path

import psutil
import pytest

from karenpanel import database
from tests.embedded.deeds import STRANGER, Deed


def test_eight_processes_racing_share_one_server_and_the_last_one_stops_it(deed: Deed) -> None:
    racers = [deed.begin("join") for _ in range(8)]
    pids = {racer.stdout.readline().strip() for racer in racers if racer.stdout}
    assert len(pids) == 1, [racer.communicate()[1] for racer in racers]
    pid = int(pids.pop())
    for racer in racers[:-1]:
        deed.finish(racer)
    assert psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    deed.finish(racers[-1])
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_killed_server_starts_again_with_all_that_was_committed(deed: Deed) -> None:
    deed.do("crash")


def test_what_a_crash_leaves_behind_is_told_from_a_server(deed: Deed) -> None:
    deed.do("stale")


def test_a_folder_of_a_version_with_one_role_gets_the_second_one(deed: Deed) -> None:
    deed.do("earlier")


def test_nobody_else_reads_or_connects(deed: Deed) -> None:
    waiting = deed.begin("closed")
    socket = waiting.stdout.readline().strip() if waiting.stdout else ""
    if socket and os.geteuid() == 0:
        deed.do("intrude", STRANGER, Path(socket))
    deed.finish(waiting)


def test_a_user_without_a_name_is_told_to_set_the_url(tmp_path: Path) -> None:
    here = database.Place(tmp_path, tmp_path / "state", tmp_path / "socket", None, None)
    with pytest.raises(database.StartError, match="has no name on this machine"):
        database.start(here)
    assert not here.state.exists()
