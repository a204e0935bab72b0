"""Support cases: who waits since when, what a case keeps, and how it ends."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import connection

from securitygroups import operations
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet
from securitygroups.models import CaseStanding, SecurityGroup, SupportCase, User, VirtualMachine
from securitygroups.operations import By
from tests.factories import make_machine, make_user, rule

SSH = Packet(Direction.IN, 4, 6, 0xCB007109, 0x0A00010B, 22)
START = datetime(2026, 3, 2, 10, tzinfo=UTC)


@pytest.fixture
def clock(machine: VirtualMachine, staff: User, alice: User) -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as moving:
        yield moving


@pytest.fixture
def case(clock: time_machine.Traveller, machine: VirtualMachine, staff: User) -> SupportCase:
    return operations.open_case(about=machine, packet=SSH, staff=staff, ticket="T-1")


def stands(case: SupportCase) -> tuple[str, int, int | None]:
    """The state, and the minutes after the start at which somebody asked and was answered."""
    now = CaseStanding.objects.get(case=case)

    def minutes(moment: datetime) -> int:
        return int((moment - START) / timedelta(minutes=1))

    return now.state, minutes(now.asked_at), None if now.answered_at is None else minutes(now.answered_at)


def test_a_case_waits_from_its_opening_until_the_first_word_of_support(
    case: SupportCase, clock: time_machine.Traveller, staff: User, alice: User
) -> None:
    assert stands(case) == ("open", 0, None)
    told = []
    for at, who, by_staff in (
        (5, alice, False),
        (20, staff, True),
        (30, staff, True),
        (40, alice, False),
        (50, alice, False),
    ):
        clock.move_to(START + timedelta(minutes=at))
        operations.add_note(case=case, text="Look", by=By(who, staff=by_staff))
        told.append(stands(case))

    assert told == [
        ("open", 0, None), ("answered", 0, 20), ("answered", 0, 20),
        # Who asks twice waits since they first asked.
        ("open", 40, None), ("open", 40, None),
    ]  # fmt: skip


def test_a_case_that_is_opened_with_a_note_is_answered_at_once(
    clock: time_machine.Traveller, machine: VirtualMachine, staff: User
) -> None:
    assert stands(operations.open_case(about=machine, packet=SSH, staff=staff, note="Rule 2")) == ("answered", 0, 0)


def test_closing_says_why_and_answers_who_waited(case: SupportCase, clock: time_machine.Traveller, staff: User) -> None:
    clock.shift(timedelta(minutes=7))
    operations.close_case(case=case, staff=staff, text="Rule 2 was missing the port")
    operations.close_case(case=case, staff=staff, text="Once more")

    assert stands(case) == ("closed", 0, 7)
    assert [(step.kind, step.text) for step in case.steps.all()] == [("closed", "Rule 2 was missing the port")]
    event = case.project.events.get(verb="case.changed")
    assert event.summary == f"Support closed {case.public_id}: Rule 2 was missing the port"
    assert event.by_staff


def test_a_case_is_not_closed_without_a_word_that_can_go_on_record(case: SupportCase, staff: User) -> None:
    with pytest.raises(ValidationError):
        operations.close_case(case=case, staff=staff, text="x" * 256)

    assert stands(case)[0] == "open"
    assert case.steps.count() == case.project.events.filter(verb="case.changed").count() == 0


def test_a_customers_note_opens_a_closed_case_again_and_one_of_staff_does_not(
    case: SupportCase, clock: time_machine.Traveller, staff: User, alice: User
) -> None:
    operations.close_case(case=case, staff=staff, text="Done")
    clock.shift(timedelta(minutes=3))
    operations.add_note(case=case, text="For the record", by=By(staff, staff=True))
    assert stands(case)[0] == "closed"
    operations.add_note(case=case, text="Still blocked", by=By(alice))

    assert stands(case) == ("open", 3, None)
    assert [(step.kind, step.author_name) for step in case.steps.all()] == [("closed", "staff"), ("reopened", "alice")]
    assert case.project.events.latest("pk").summary == f"Opened {case.public_id} again."


def test_support_opens_a_case_again_and_somebody_waits_from_then(
    case: SupportCase, clock: time_machine.Traveller, staff: User
) -> None:
    operations.reopen_case(case=case, staff=staff)
    assert case.steps.count() == 0, "it was open"
    operations.close_case(case=case, staff=staff, text="Done")
    clock.shift(timedelta(minutes=3))
    operations.reopen_case(case=case, staff=staff)

    assert stands(case) == ("open", 3, None)


def test_a_case_is_taken_once_and_can_be_taken_over(case: SupportCase, staff: User) -> None:
    other = make_user("colleague", "support", is_staff=True)
    for who in (staff, staff, other):
        operations.take_case(case=case, staff=who)

    assert CaseStanding.objects.get(case=case).assignee == other
    assert list(case.steps.values_list("kind", "author_name")) == [("taken", "staff"), ("taken", "colleague")]
    assert case.project.events.filter(summary=f"Support takes care of {case.public_id}.").count() == 2


def test_further_packets_keep_a_list_of_their_own_only_where_it_is_another(
    case: SupportCase, machine: VirtualMachine, group: SecurityGroup, staff: User, alice: User
) -> None:
    def add(about: SecurityGroup | VirtualMachine) -> None:
        operations.add_packet(case=SupportCase.objects.get(), about=about, packet=SSH, staff=staff)

    add(machine)
    add(make_machine(machine.project, "bare"))
    operations.commit_rules(group=group, rules=[rule("drop in tcp 22")], base=1, by=By(alice))
    add(machine)

    kept = list(case.packets.all())
    assert [packet.rules is None for packet in kept] == [True, False, False]
    assert [(packet.verdict, packet.rule) for packet in kept] == [("accept", 3), ("drop", None), ("drop", 1)]
    assert case.project.events.filter(summary=f"Support added a packet to {case.public_id}.").count() == 3


def test_a_closed_case_takes_no_packet(case: SupportCase, machine: VirtualMachine, staff: User) -> None:
    operations.close_case(case=case, staff=staff, text="Done")
    with pytest.raises(ValidationError, match="open it again first"):
        operations.add_packet(case=case, about=machine, packet=SSH, staff=staff)

    assert case.packets.count() == 0


def test_a_case_of_before_stands_where_its_notes_say(
    clock: time_machine.Traveller, machine: VirtualMachine, staff: User, alice: User
) -> None:
    """The upgrade says the same of them as if it had been there from the beginning."""
    conversations = ("", "s", "c", "cs", "css", "csc", "cscc", "sc", "scs", "cssccs")
    for notes in conversations:
        clock.move_to(START)
        case = operations.open_case(about=machine, packet=SSH, staff=staff)
        for minute, who in enumerate(notes, 1):
            clock.move_to(START + timedelta(minutes=minute))
            by = By(staff, staff=True) if who == "s" else By(alice)
            operations.add_note(case=case, text="Look", by=by)
    fields = ("case_id", "project_id", "state", "asked_at", "answered_at")
    before = list(CaseStanding.objects.order_by("pk").values(*fields))
    CaseStanding.objects.all().delete()

    with connection.cursor() as cursor:
        cursor.execute(import_module("securitygroups.migrations.0016_desk_standings").STANDINGS)

    assert list(CaseStanding.objects.order_by("pk").values(*fields)) == before


def test_a_case_that_has_no_standing_yet_gets_one_with_the_next_word(case: SupportCase, staff: User) -> None:
    """One that a process of before opened, while the panel was being upgraded."""
    CaseStanding.objects.all().delete()
    operations.take_case(case=case, staff=staff)

    assert stands(case) == ("open", 0, None)
