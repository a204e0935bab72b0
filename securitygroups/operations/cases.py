"""Support cases: a packet test frozen with the list that it was made against, and what is written to it."""

from django.conf import settings
from django.db import transaction

from securitygroups.effective import Placed, of_group, of_machine, rules_of
from securitygroups.firewall.decide import decide
from securitygroups.firewall.formats.documents import rule_to_json
from securitygroups.firewall.formats.packets import packet_to_json
from securitygroups.firewall.values import Packet
from securitygroups.models import CaseNote, SecurityGroup, SupportCase, User, VirtualMachine
from securitygroups.operations.by import By
from securitygroups.operations.records import Verb, lock_project, one_more, record


def _frozen(one: Placed) -> dict[str, object]:
    group = {"id": one.group.public_id, "name": one.group.name, "place": one.place}
    return {**rule_to_json(one.rule), "group": group}


@transaction.atomic
def open_case(
    *, about: SecurityGroup | VirtualMachine, packet: Packet, staff: User, ticket: str = "", note: str = ""
) -> SupportCase:
    """Freeze what becomes of the packet on the group's or VM's list as it is now. Raises ValidationError of the note,
    and where the project has as many cases as it can.
    """
    machine = about if isinstance(about, VirtualMachine) else None
    group = about if isinstance(about, SecurityGroup) else None
    # Before the lock: a long list waits for its turn.
    listed = of_machine(machine) if machine else of_group(group) if group else []
    project = lock_project(about.project)
    one_more(
        SupportCase.objects.filter(project=project).count(),
        settings.MAX_CASES_PER_PROJECT,
        "case",
        "write to one of them, or ask whoever runs the panel for more",
    )
    by = By(staff, staff=True)
    # Decided here and not taken from the caller: what is on record is what the evaluator says.
    decision = decide(rules_of(listed), packet)
    case = SupportCase.objects.create(
        project=about.project,
        machine=machine,
        group=group,
        packet=packet_to_json(packet),
        rules=[_frozen(one) for one in listed],
        verdict=decision.action.value,
        rule=decision.rule,
        ticket=ticket,
        opened_by=staff,
    )
    if note:
        add_note(case=case, text=note, by=by)
    words, detail = f"Support opened {case.public_id}.", {"case": case.public_id}
    record(about.project, Verb.CASE_OPENED, words, by=by, machine=machine, group=group, detail=detail)
    return case


@transaction.atomic
def add_note(*, case: SupportCase, text: str, by: By) -> CaseNote:
    """Write a note to a case. Raises ValidationError."""
    lock_project(case.project)
    one_more(case.notes.count(), settings.MAX_NOTES_PER_CASE, "note", "go on in another case", of="The case")
    note = CaseNote(case=case, author=by.user, author_name=by.name, by_staff=by.staff, text=text)
    note.full_clean()
    note.save()
    return note
