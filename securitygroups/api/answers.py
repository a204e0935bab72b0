"""What there is to say of a VM's rules: the effective list, findings, the ruleset, and the difference of two lists."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Router, Schema

from karenpanel.turns import weigh
from securitygroups.access import find_group, find_machine
from securitygroups.answers.findings import Note, Shown, findings_of
from securitygroups.answers.on_machine import findings_on, noted
from securitygroups.answers.preview import preview_lists
from securitygroups.api import documents, listed
from securitygroups.api.doors import access_of, operation
from securitygroups.api.moments import LEFT_OUT, At, moment_of
from securitygroups.api.problems import Refusal
from securitygroups.api.schemas import Document, Words
from securitygroups.api.shown import rule_json
from securitygroups.api.traces import RuleAt, rule_at
from securitygroups.effective import Listed, Placed, of_group, of_machine, revision_at
from securitygroups.enforcement.host import compiled, tap_pattern
from securitygroups.firewall.nftables import Target, Unenforceable
from securitygroups.models import Scope

router = Router(tags=["Answers"])
MOST_NOTED = 1_000
"""Rules whose notes are told, and rules that are named as covering one."""
MOST_COVERS = 50


class EffectiveRule(RuleAt):
    """A rule of the effective list, with the rule itself as the document has it."""

    rule: Document


class Effective(Schema):
    """The effective list of a VM: its groups' lists, one after the other. What no rule matches is denied. `absent`: the VM
    was not in this project at the time asked about, and the list is empty for that reason."""

    id: str
    name: str
    revision: int
    at: datetime | None
    absent: bool
    rules: list[EffectiveRule]


class NoteShown(Schema):
    """One thing to say about a rule. `covers` are the first of the rules that cover it, by number; `fix` is what mends it
    and decides every packet as before: “remove” or “up”."""

    level: str
    kind: str
    text: str
    covers: list[int]
    fix: str


class NotedRule(RuleAt):
    notes: list[NoteShown]


class Findings(Schema):
    """What is remarkable about a list. `dead` rules are reached by no packet, `loud` ones open a management or database port
    to the world; `more` rules with notes are left out."""

    summary: str
    dead: int
    loud: int
    rules: list[NotedRule]
    more: int


class Differs(Schema):
    """What passes by one list and not by the other, in sentences; `more` sentences are left out. `too_fine`: and something
    besides that cannot be told in ranges."""

    same: bool
    newly_allowed: list[str]
    newly_denied: list[str]
    more: int
    too_fine: bool


@operation(router, "GET", "/{project}/machines/{machine}/rules", Scope.READ, gives=Effective)
def read_effective_rules(request: HttpRequest, project: str, machine: str, at: At = LEFT_OUT) -> HttpResponse:
    """The effective list of a VM: every rule that decides its packets, in order; as it is, or as it was at a time."""
    vm, moment = find_machine(access_of(request), machine), moment_of(at)
    absent = moment is not None and revision_at(vm, moment) is None
    rules = [
        rule_at(number, one) | {"rule": rule_json(one.rule)} for number, one in enumerate(of_machine(vm, moment), 1)
    ]
    said = {"id": vm.public_id, "name": vm.name, "revision": vm.revision, "at": moment, "absent": absent}
    return JsonResponse(said | {"rules": rules})


@operation(router, "GET", "/{project}/groups/{group}/findings", Scope.READ, gives=Findings)
def read_group_findings(request: HttpRequest, project: str, group: str) -> HttpResponse:
    """What is remarkable about the list of a group: rules that never act, doors that stand open, and what mends them."""
    found = find_group(access_of(request), group)
    its = of_group(found)
    shown = findings_of(found.project_id, [one.rule for one in its])
    rows = [(number, one, shown.notes.get(number)) for number, one in _remarkable(its, shown)]
    return _findings(shown, rows)


@operation(router, "GET", "/{project}/machines/{machine}/findings", Scope.READ, gives=Findings)
def read_machine_findings(request: HttpRequest, project: str, machine: str) -> HttpResponse:
    """What is remarkable about the effective list of a VM: groups that hide what stands in others, too."""
    vm = find_machine(access_of(request), machine)
    its = of_machine(vm)
    shown = findings_on(vm.project_id, its)
    return _findings(shown, noted(vm.project_id, _remarkable(its, shown), its, shown))


@operation(router, "POST", "/{project}/difference", Scope.READ, gives=Differs, extra=documents.body(listed.TWO))
def compare_lists(request: HttpRequest, project: str) -> HttpResponse:
    """What passes by the list “after” and not by the list “before”, and the other way round.

    A list is said as rules, or as a group of the project, as it is or as a revision left it. Nothing is stored.
    """
    sent = documents.read_body(request, settings.DOCUMENT_MAX_MB * 2**20)
    before, after = listed.read_two(access_of(request), sent)
    # Each changed rule is looked at against all others.
    weigh((len(before) + len(after)) * listed.DEARER)
    preview = preview_lists(before, after)
    effect = preview.effects[0] if preview.effects else None
    return JsonResponse(
        {
            "same": not preview.changes_traffic,
            "newly_allowed": list(effect.allowed) if effect else [],
            "newly_denied": list(effect.denied) if effect else [],
            "more": effect.more if effect else 0,
            "too_fine": effect.too_fine if effect else False,
        }
    )


@operation(router, "GET", "/{project}/machines/{machine}/ruleset", Scope.READ, extra=documents.answers("text/plain"))
def read_ruleset(
    request: HttpRequest, project: str, machine: str, target: Target = Target.BRIDGE, taps: Words = ""
) -> HttpResponse:
    """What the VM's effective list becomes on its host: a ruleset for nftables, as text.

    `target` says how the VM is connected, `taps` what the names of all taps of the host begin with. Where
    the VM's own interface is not known, tap0 stands for it.
    """
    vm = find_machine(access_of(request), machine)
    try:
        text = compiled(vm, target, taps.strip() or tap_pattern(vm))
    except Unenforceable as error:
        raise Refusal("invalid", str(error), [{"parameter": "taps", "detail": str(error)}] if taps else []) from None
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


def _remarkable(its: Listed, shown: Shown) -> list[tuple[int, Placed]]:
    return [(number, one) for number, one in enumerate(its, 1) if shown.notes.has(number)]


def _findings(shown: Shown, rows: Sequence[tuple[int, Placed, tuple[Note, ...]]]) -> HttpResponse:
    told = [
        rule_at(number, one) | {"notes": [_note(note) for note in notes]} for number, one, notes in rows[:MOST_NOTED]
    ]
    said: dict[str, Any] = {"summary": shown.summary, "dead": shown.dead, "loud": shown.loud}
    return JsonResponse(said | {"rules": told, "more": len(rows) - len(told)})


def _note(note: Note) -> dict[str, Any]:
    return {
        "level": note.level,
        "kind": note.kind,
        "text": note.text or note.fix_text,
        "covers": list(note.covers[:MOST_COVERS]),
        "fix": note.fix,
    }
