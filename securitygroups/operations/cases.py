"""Support cases: packet tests frozen with the list that they were made against, what is written to them, who has them."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from securitygroups.effective import Placed, of_group, of_machine, rules_of
from securitygroups.firewall.decide import decide
from securitygroups.firewall.formats.documents import rule_to_json
from securitygroups.firewall.formats.packets import packet_to_json
from securitygroups.firewall.guests import Guest
from securitygroups.firewall.platform import barred
from securitygroups.firewall.protocols import Action
from securitygroups.firewall.values import Packet
from securitygroups.models import (
    CaseNote,
    CasePacket,
    CaseStanding,
    CaseStep,
    SecurityGroup,
    SupportCase,
    User,
    VirtualMachine,
    guest_of,
)
from securitygroups.operations.by import By
from securitygroups.operations.records import Conflict, Verb, lock_project, one_more, record

State = CaseStanding.State
Kind = CaseStep.Kind
About = SecurityGroup | VirtualMachine


def _frozen(one: Placed) -> dict[str, object]:
    group = {"id": one.group.public_id, "name": one.group.name, "place": one.place}
    return {**rule_to_json(one.rule), "group": group}


def _asked(about: About, packet: Packet) -> dict[str, Any]:
    """The columns of a packet that is kept: what it was tested on, the list, and the answer. Before the lock: a long list
    waits for its turn."""
    machine = about if isinstance(about, VirtualMachine) else None
    group = about if isinstance(about, SecurityGroup) else None
    listed = of_machine(machine) if machine else of_group(group) if group else []
    # Decided here and not taken from the caller: what is on record is what the evaluator says.
    decision = decide(rules_of(listed), packet)
    stopped = barred(packet, guest_of(machine) if machine else Guest())
    return {
        "machine": machine,
        "group": group,
        "packet": packet_to_json(packet),
        "rules": [_frozen(one) for one in listed],
        # What no host passes, no rule decides.
        "verdict": (Action.DROP if stopped else decision.action).value,
        "rule": None if stopped else decision.rule,
    }


@transaction.atomic
def open_case(*, about: About, packet: Packet, staff: User, ticket: str = "", note: str = "") -> SupportCase:
    """Freeze what becomes of the packet on the group's or VM's list as it is now. Raises ValidationError of the note,
    and where the project has as many cases as it can.
    """
    asked = _asked(about, packet)
    project = lock_project(about.project)
    one_more(
        SupportCase.objects.filter(project=project).count(),
        settings.MAX_CASES_PER_PROJECT,
        "case",
        "write to one of them, or ask whoever runs the panel for more",
    )
    by = By(staff, staff=True)
    case = SupportCase.objects.create(project=about.project, ticket=ticket, opened_by=staff, **asked)
    CaseStanding.objects.create(case=case, project=project, asked_at=case.at)
    if note:
        add_note(case=case, text=note, by=by)
    _tell(case, f"Support opened {case.public_id}.", by, Verb.CASE_OPENED)
    return case


def _tell(case: SupportCase, words: str, by: By, verb: Verb = Verb.CASE_CHANGED) -> None:
    # A VM that is another customer's by now is not named in this one's record.
    machine = case.machine if case.machine and case.machine.project_id == case.project_id else None
    record(case.project, verb, words, by=by, machine=machine, group=case.group, detail={"case": case.public_id})


@transaction.atomic
def add_packet(*, case: SupportCase, about: About, packet: Packet, staff: User, note: str = "") -> CasePacket:
    """Keep another packet in the case, with its answer now. Raises ValidationError of the note, and where the case is
    closed or full."""
    asked = _asked(about, packet)
    lock_project(case.project)
    if _standing(case).state == State.CLOSED:
        raise ValidationError(f"{case.public_id} is closed: open it again first, or open another case.", code="closed")
    otherwise = "open another case"
    one_more(1 + case.packets.count(), settings.MAX_PACKETS_PER_CASE, "packet", otherwise, of="The case")
    # The list is kept once where it is the same.
    if (asked["machine"], asked["group"], asked["rules"]) == (case.machine, case.group, case.rules):
        asked["rules"] = None
    by = By(staff, staff=True)
    kept = CasePacket.objects.create(case=case, added_by=staff, **asked)
    if note:
        add_note(case=case, text=note, by=by)
    _tell(case, f"Support added a packet to {case.public_id}.", by)
    return kept


@transaction.atomic
def add_note(*, case: SupportCase, text: str, by: By) -> CaseNote:
    """Write a note to a case; a customer's to a closed one opens it again. Raises ValidationError."""
    lock_project(case.project)
    one_more(case.notes.count(), settings.MAX_NOTES_PER_CASE, "note", "go on in another case", of="The case")
    note = CaseNote(case=case, author=by.user, author_name=by.name, by_staff=by.staff, text=text)
    note.full_clean()
    note.save()
    standing = _standing(case)
    if by.staff:
        _answer(standing, note.at)
    else:
        if standing.state == State.CLOSED:
            _step(case, Kind.REOPENED, by)
        _ask(standing, note.at)
    standing.save()
    return note


# ── Where it stands ─────────────────────────────────────────────────────────


def _standing(case: SupportCase) -> CaseStanding:
    """Under the project's lock. A case that a process of before this table opened meanwhile has none yet."""
    found = CaseStanding.objects.filter(case=case).first()
    return found or CaseStanding(case=case, project=case.project, asked_at=case.at)


def _ask(standing: CaseStanding, at: datetime) -> None:
    """Who asks again before they were answered waits since they first asked."""
    if standing.state != State.OPEN:
        standing.state, standing.asked_at, standing.answered_at = State.OPEN, at, None


def _answer(standing: CaseStanding, at: datetime) -> None:
    if standing.state == State.OPEN:
        standing.state, standing.answered_at = State.ANSWERED, at


def _step(case: SupportCase, kind: CaseStep.Kind, by: By, text: str = "") -> CaseStep:
    step = CaseStep(case=case, kind=kind, author=by.user, author_name=by.name, by_staff=by.staff, text=text)
    step.full_clean()
    step.save()
    said = {
        Kind.TAKEN: "takes care of {}.",
        Kind.CLOSED: "closed {}" + (f": {step.text}" if step.text else "."),
        Kind.REOPENED: "opened {} again.",
    }[kind]
    who = "Support " if by.staff else ""
    words = who + said.replace("{}", case.public_id)
    _tell(case, words[:1].upper() + words[1:], by)
    return step


def _unless_overtaken(case: SupportCase, seen: int | None) -> None:
    """Under the project's lock: whether all that was written and done is what the person has `seen`, so many entries.
    None is who did not look. Raises Conflict."""
    if seen is not None and seen != case.notes.count() + case.steps.count():
        raise Conflict(None)


@transaction.atomic
def take_case(*, case: SupportCase, staff: User, seen: int | None = None) -> None:
    """Say that somebody of support takes care of the case; twice is the same. Raises Conflict."""
    lock_project(case.project)
    standing = _standing(case)
    if standing.assignee_id == staff.pk:
        return
    _unless_overtaken(case, seen)
    standing.assignee = staff
    standing.save()
    _step(case, Kind.TAKEN, By(staff, staff=True))


@transaction.atomic
def close_case(*, case: SupportCase, staff: User, text: str, seen: int | None = None) -> None:
    """Close the case with a word on why, which is an answer too; twice is the same. Raises ValidationError of the word, and
    Conflict where somebody has written something that the answer cannot be about."""
    lock_project(case.project)
    _unless_overtaken(case, seen)
    standing = _standing(case)
    if standing.state == State.CLOSED:
        return
    step = _step(case, Kind.CLOSED, By(staff, staff=True), text)
    _answer(standing, step.at)
    standing.state = State.CLOSED
    standing.save()


@transaction.atomic
def reopen_case(*, case: SupportCase, staff: User, seen: int | None = None) -> None:
    """Open a closed case again: from now on somebody waits. Raises Conflict."""
    lock_project(case.project)
    _unless_overtaken(case, seen)
    standing = _standing(case)
    if standing.state != State.CLOSED:
        return
    _step(case, Kind.REOPENED, By(staff, staff=True))
    _ask(standing, timezone.now())
    standing.save()
