"""`manage.py forward`: every line reaches the other machine, whatever happens in between."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from karenpanel import database
from securitygroups import operations, stream
from securitygroups.management.forwarding import forwarder, targets
from securitygroups.management.forwarding.lines import LONGEST, as_json, as_syslog, of_account, of_event
from securitygroups.management.programs import Failure
from securitygroups.models import AccountEvent, Event, Project, SecurityGroup, StreamCursor, User, VirtualMachine
from securitygroups.operations import By
from securitygroups.operations.records import Verb, record
from tests.receiver import Receiver, receiving
from tests.rights import web_settings

KILLS = 4
ROOT = Path(__file__).parents[2]
committed = pytest.mark.django_db(transaction=True)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with receiving(tmp_path) as one:
        yield one


def write(project: Project, alice: User, number: int, word: str = "line") -> None:
    for turn in range(number):
        record(project, Verb.PROJECT_CHANGED, f"{word} {turn}", by=By(alice))


def forward(*arguments: str) -> None:
    call_command("forward", "--once", *arguments)


def ids(messages: list[bytes], of: str = "activity") -> list[int]:
    """The lines of that record, as they came."""
    found = [re.search(rb'record="(\w+)" id="(\d+)"', message) for message in messages]
    return [int(each[2]) for each in found if each and each[1] == of.encode()]


def there() -> list[int]:
    return list(Event.objects.order_by("pk").values_list("pk", flat=True))


# ── A line ──────────────────────────────────────────────────────────────────


def test_a_line_of_activity_says_who_did_what_to_which_group(alice: User, group: SecurityGroup) -> None:
    record(group.project, Verb.RULES_CHANGED, "Added rule 2", by=By(alice, reason="Ticket 7"), group=group)
    event = Event.objects.latest("pk")

    told = json.loads(as_json(of_event(event)))

    assert told == {
        "record": "activity",
        "id": event.pk,
        "at": event.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "verb": "rules.changed",
        "summary": "Added rule 2",
        "project": "shop",
        "actor": "alice",
        "by_staff": False,
        "group_id": group.public_id,
        "group_name": "web",
        "reason": "Ticket 7",
        "detail": {},
    }


def test_a_message_of_syslog_has_the_form_of_rfc_5424(alice: User, machine: VirtualMachine) -> None:
    record(
        machine.project, Verb.MACHINE_CHANGED, "Größer", by=By(alice, reason='a "b" \\ [c]'), machine=machine,
        detail={"from": "é"},
    )  # fmt: skip
    event = Event.objects.latest("pk")

    message = as_syslog(of_event(event), "panel-1").decode()

    at = event.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert message == (
        f"<109>1 {at} panel-1 karenpanel - machine.changed "
        f'[karenpanel@32473 record="activity" id="{event.pk}" project="shop" actor="alice" by_staff="false"'
        f' machine_id="{machine.public_id}" machine_name="web-1" reason="a \\"b\\" \\\\ [c\\]"'
        ' detail="{\\"from\\": \\"é\\"}"] \ufeffGrößer'
    )


@pytest.mark.parametrize(
    ("verb", "staff", "priority"),
    [
        (Verb.RULES_CHANGED, False, 13 * 8 + 5),
        (Verb.RULES_CHANGED, True, 13 * 8 + 4),
        (Verb.TEMPLATE_SAVED, False, 13 * 8 + 6),
        (Verb.MEMBER_ADDED, False, 10 * 8 + 4),
        (Verb.SUPPORT_LOOK, True, 10 * 8 + 4),
    ],
)
def test_access_and_what_staff_do_stand_higher(
    project: Project, alice: User, verb: Event.Verb, staff: bool, priority: int
) -> None:
    event = record(project, verb, "x", by=By(alice, staff=staff))

    assert as_syslog(of_event(event), "-").startswith(f"<{priority}>1 ".encode())


@pytest.mark.parametrize(("verb", "priority"), [("signed.in", 86), ("limited", 84), ("password.changed", 85)])
def test_a_refusal_at_the_door_stands_above_who_came_in(alice: User, verb: str, priority: int) -> None:
    event = AccountEvent.objects.create(verb=verb, user=alice, user_name="alice", address="192.0.2.9", agent="Browser")

    message = as_syslog(of_account(event), "-").decode()

    assert message.startswith(f"<{priority}>1 ")
    assert (
        f'[karenpanel@32473 record="accounts" id="{event.pk}" user="alice" address="192.0.2.9" agent="Browser"]'
        in message
    )


@pytest.mark.parametrize("sign", ["a", '"', "\\", "]", "é", "\u200b", "\n", "👍", "\u0301"])
def test_a_long_line_is_cut_where_it_says_so(group: SecurityGroup, alice: User, sign: str) -> None:
    line = of_event(
        Event(
            pk=2**62, project=group.project, at=timezone.now(), actor_name=sign * 254, verb=Verb.RULES_CHANGED, group=group,
            summary=sign * 400, detail={"reason": sign * 255, "rules": [sign * 500] * 100},
        )
    )  # fmt: skip

    message = as_syslog(line, "h" * 255)

    assert LONGEST - 64 <= len(message) <= LONGEST
    assert b' cut="detail" ' in message
    assert b'"] \xef\xbb\xbf' in message
    assert not re.search(r"[\x00-\x1f\x7f]", message.decode())
    assert json.loads(as_json(line))["detail"]["rules"] == [sign * 500] * 100


# ── On its way ──────────────────────────────────────────────────────────────


@committed
def test_all_that_is_on_record_arrives_once_and_in_order(project: Project, alice: User, receiver: Receiver) -> None:
    write(project, alice, 3)
    operations.note(AccountEvent.Verb.SIGNED_IN, user=alice, client=operations.Client("192.0.2.9", "Browser"))
    forward(*receiver.to, "--from", "start")
    write(project, alice, 2)
    forward(*receiver.to)
    forward(*receiver.to)

    assert ids(receiver.messages) == there()
    assert ids(receiver.messages, "accounts") == list(AccountEvent.objects.values_list("pk", flat=True))
    assert receiver.connections == 2, "where nothing is new nobody is called"


@committed
def test_many_lines_go_in_batches(
    project: Project, alice: User, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarder, "BATCH", 10)
    write(project, alice, 35)

    forward(*receiver.to, "--from", "start")

    assert ids(receiver.messages) == there()
    assert receiver.connections == len(there()) // 10 + 1


@committed
def test_nothing_is_passed_that_a_running_transaction_may_still_bring(
    project: Project, alice: User, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarder, "SETTLE_SECONDS", 0.05)
    with psycopg.connect(**database.parameters(web_settings())) as other:
        other.execute(
            "INSERT INTO securitygroups_event (project_id, at, actor_name, by_staff, verb, summary, detail)"
            " VALUES (%s, now(), 'x', false, 'project.changed', 'late', '{}')",
            [project.pk],
        )
        write(project, alice, 1)
        forward(*receiver.to, "--from", "start")
        assert ids(receiver.messages) == []

    forward(*receiver.to)

    assert ids(receiver.messages) == there()


@committed
def test_the_first_time_it_has_to_be_said_where_to_begin(project: Project, alice: User, tmp_path: Path) -> None:
    write(project, alice, 3)
    to = ["--to", str(tmp_path / "out.jsonl")]
    first, *_, last = there()

    with pytest.raises(CommandError, match="begins for the first time: say with --from"):
        forward(*to)
    for wrong in ("0", "x", "-1", "1,x", "³", "9" * 30):
        with pytest.raises(CommandError, match="give start, now, the ID of a line, or two of them"):
            forward(*to, f"--from={wrong}")
    assert not StreamCursor.objects.exists()

    forward(*to, "--from", str(last))
    forward(*to, "--from", "now", "--name", "other")
    with pytest.raises(CommandError, match=f"main has come to line {last} and goes on from there"):
        forward(*to, "--from", str(first))

    assert [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == [last]
    assert stream.position("forward:other:activity") == last


@committed
@pytest.mark.parametrize(
    "to",
    ["syslog://127.0.0.1", "syslog+tls://", "syslog+tls://a:b@c", "syslog+tls://h:x", "https://a", "syslog+tls://h/x"],
)
def test_a_target_that_is_none_is_refused_in_words(db: None, to: str) -> None:
    with pytest.raises(CommandError, match="give syslog\\+tls://host:6514, the name of a file, or -"):
        forward("--to", to, "--from", "start")


def test_other_arguments_are_refused_in_words(db: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Say with --to where"):
        forward()
    with pytest.raises(CommandError, match="up to 40 small letters"):
        forward("--to", "-", "--name", "A B")
    with pytest.raises(CommandError, match="The certificates cannot be read"):
        forward("--to", "syslog+tls://h", "--ca", str(tmp_path / "none.pem"))


@committed
def test_json_lines_go_to_standard_output_and_to_a_file_that_ends_in_half_a_line(
    project: Project, alice: User, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(project, alice, 2)
    out = tmp_path / "out.jsonl"
    out.write_text('{"half')

    forward("--to", "-", "--from", "start")
    forward("--to", str(out), "--from", "start", "--name", "file")
    write(project, alice, 1)
    forward("--to", str(out), "--name", "file")

    half, *lines = out.read_text().splitlines()
    assert half == '{"half'
    assert [json.loads(line)["id"] for line in lines] == there()
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == there()[:-1]


# ── Who is at the other end ─────────────────────────────────────────────────


@committed
def test_a_receiver_that_nobody_vouches_for_gets_nothing(project: Project, receiver: Receiver) -> None:
    to = receiver.to[:2]

    with pytest.raises(CommandError, match="certificate verify failed"):
        forward(*to, "--from", "start")

    assert receiver.messages == []
    assert stream.position("forward:main:activity") == 0


@committed
def test_a_receiver_of_another_name_gets_nothing(project: Project, tmp_path: Path) -> None:
    with receiving(tmp_path, address="192.0.2.1") as receiver, pytest.raises(CommandError, match="IP address mismatch"):
        forward(*receiver.to, "--from", "start")

    assert receiver.messages == []


@committed
def test_a_receiver_that_asks_for_a_certificate_is_shown_it(project: Project, tmp_path: Path) -> None:
    with receiving(tmp_path, asks_certificate=True) as receiver:
        with pytest.raises(CommandError, match="Not everything was taken"):
            forward(*receiver.to, "--from", "start")
        with pytest.raises(CommandError, match="Not everything was taken"):
            forward(*receiver.to, "--no-goodbye")
        assert receiver.messages == []
        assert stream.position("forward:main:activity") == 0

        forward(*receiver.to, "--cert", str(receiver.authority.certificate("panel")))

    assert ids(receiver.messages) == there()


@pytest.mark.parametrize("goodbye", [True, False])
def test_a_refusal_that_comes_after_all_was_sent_is_never_taken_for_a_goodbye(
    project: Project, tmp_path: Path, goodbye: bool
) -> None:
    """With TLS 1.3 a certificate is refused when the line is on its way already."""
    line = of_event(Event.objects.latest("pk"))
    with receiving(tmp_path, asks_certificate=True) as receiver:
        to = targets.target(receiver.to[1], ca=receiver.to[3], goodbye=goodbye)
        for _ in range(100):
            with pytest.raises((OSError, targets.NotTaken)):
                to.take([line])

    assert receiver.messages == []


@committed
@pytest.mark.parametrize("after", [1, 5_000])
@pytest.mark.parametrize("goodbye", [True, False])
def test_what_a_receiver_did_not_read_to_the_end_is_sent_again(
    project: Project, alice: User, receiver: Receiver, after: int, goodbye: bool
) -> None:
    write(project, alice, 300)
    receiver.breaks_after, receiver.goodbye = after, goodbye
    more = () if goodbye else ("--no-goodbye",)

    with pytest.raises(CommandError, match="Not everything was taken"):
        forward(*receiver.to, *more, "--from", "start")
    assert stream.position("forward:main:activity") == 0
    receiver.breaks_after = None
    forward(*receiver.to, *more)

    assert set(ids(receiver.messages)) == set(there())


@committed
def test_one_that_never_says_goodbye_is_believed_only_where_that_was_said(project: Project, receiver: Receiver) -> None:
    receiver.goodbye = False

    with pytest.raises(CommandError, match="does not answer TLS close_notify needs --no-goodbye"):
        forward(*receiver.to, "--from", "start")
    assert stream.position("forward:main:activity") == 0
    forward(*receiver.to, "--no-goodbye")

    assert stream.position("forward:main:activity") == there()[-1]


# ── As a process ────────────────────────────────────────────────────────────


@contextmanager
def process(*arguments: str) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-m", "tests.forwarded", connection.settings_dict["NAME"], *arguments]
    env = os.environ | {"DJANGO_SETTINGS_MODULE": "karenpanel.settings"}
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "It never came to that."
        time.sleep(0.01)


@committed
def test_killed_at_any_moment_it_loses_nothing(project: Project, alice: User, receiver: Receiver) -> None:
    ended = threading.Event()

    def writes() -> None:
        try:
            while not ended.is_set():
                write(project, alice, 5)
                time.sleep(0.01)
        finally:
            connection.close()

    writer = threading.Thread(target=writes)
    writer.start()
    chance = random.Random(KILLS)
    try:
        for turn in range(KILLS):
            with process(*receiver.to, *(("--from", "start") if not turn else ())) as started:
                before = receiver.connections
                until(lambda before=before: receiver.connections > before)  # type: ignore[misc]
                time.sleep(chance.random() * 0.3)
                started.send_signal(signal.SIGKILL)
                started.wait(10)
    finally:
        ended.set()
        writer.join()
    forward(*receiver.to)

    counted = Counter(ids(receiver.messages))
    assert set(counted) == set(there())
    twice = sum(times - 1 for times in counted.values())
    assert twice <= KILLS * forwarder.BATCH
    firsts = list(dict.fromkeys(ids(receiver.messages)))
    assert firsts == sorted(firsts), "what comes for the first time comes in order"


@committed
def test_it_waits_for_a_receiver_and_ends_with_its_place_kept_when_it_is_told_to(
    project: Project, alice: User, receiver: Receiver
) -> None:
    receiver.breaks_after = 1
    with process(*receiver.to, "--from", "start") as started:
        assert started.stderr
        said = json.loads(started.stderr.readline())
        receiver.breaks_after = None
        until(lambda: stream.position("forward:main:activity") == there()[-1])
        write(project, alice, 1)
        until(lambda: stream.position("forward:main:activity") == there()[-1])
        started.terminate()
        assert started.wait(10) == 0

    assert "Nothing was taken by 127.0.0.1" in said["problem"]
    assert set(ids(receiver.messages)) == set(there())


@committed
def test_a_second_one_of_the_same_name_says_who_the_first_is(project: Project, receiver: Receiver) -> None:
    with process(*receiver.to, "--from", "start") as started:
        until(lambda: receiver.connections > 0)
        with process(*receiver.to) as second:
            refusal = second.communicate(timeout=30)[1]
        with process("--status") as asked:
            status = asked.communicate(timeout=30)[0]

    who = rf"forward main, process {started.pid} on \S+, since 20\d\d-\d\d-\d\d \d\d:\d\d UTC"
    assert second.returncode == 1
    assert re.search(rf"Another one forwards by the name main: {who}\.$", refusal.strip())
    assert re.search(rf"^running: {who}$", status, re.MULTILINE)
    forward(*receiver.to)


@committed
def test_it_goes_on_when_the_database_has_ended_its_sessions(project: Project, alice: User, receiver: Receiver) -> None:
    with process(*receiver.to, "--from", "start") as started:
        until(lambda: stream.position("forward:main:activity") == there()[-1])
        with psycopg.connect(**database.parameters(web_settings()), autocommit=True) as direct:
            ended = direct.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
            ).fetchall()
        write(project, alice, 1)
        until(lambda: stream.position("forward:main:activity") == there()[-1])
        assert started.poll() is None

    assert len(ended) >= 2
    assert set(ids(receiver.messages)) == set(there())


@committed
def test_its_status_says_how_far_behind_it_is(
    project: Project, alice: User, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("forward", "--status")
    newest = there()[-1]
    assert capsys.readouterr().out.splitlines() == [
        f"activity: never begun, newest {newest}", "accounts: never begun, newest 0", "running: nobody",
    ]  # fmt: skip
    forward("--to", str(tmp_path / "out.jsonl"), "--from", "start")
    call_command("forward", "--status")
    assert f"activity: position {newest}, newest {newest}, nothing behind\n" in capsys.readouterr().out

    write(project, alice, 2)
    call_command("forward", "--status")

    said = capsys.readouterr().out
    assert re.match(rf"activity: position {newest}, newest {there()[-1]}, \d+ s behind\n", said)


@committed
def test_one_whose_place_was_moved_by_another_ends(project: Project, alice: User, tmp_path: Path) -> None:
    class Moving(targets.File):
        def take(self, lines: Any) -> None:
            StreamCursor.objects.update(position=7)

    to = Moving(tmp_path / "x")

    with pytest.raises(Failure, match="another one forwards by this name"):
        forwarder.Forwarder("main", to, print).run("start")
