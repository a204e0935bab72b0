"""What a write of the admin changes, asked about before it is made: the panel's words and preview, and a reason.

A door makes a plan of what was sent and asks `agreed`, which gives who makes the change and why, or raises Asked; nothing
is written then, and the page shows the plan. Its answer comes back with the plan's token, and is good for this plan alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import cast

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from karenpanel.client_address import address_of
from securitygroups import operations
from securitygroups.answers.order import GroupChange
from securitygroups.answers.preview import Preview
from securitygroups.effective import rules_of_group
from securitygroups.firewall.changes import ListChange, list_change
from securitygroups.firewall.values import RuleList
from securitygroups.models import Project, SecurityGroup, User
from securitygroups.operations import By
from securitygroups.proposals import Asks, Edit, NewRules, Stale, commit, propose_rules, to_ask
from securitygroups.proposals import agreed as said_yes
from securitygroups.said import Said, reason_in, said_in

OWN_FIELDS = frozenset({"sure", "onto", "reason", "form", "redraw", "suggest"})
"""What the question page puts into its form itself."""


@dataclass(frozen=True, slots=True)
class Part:
    """A group or VM that a write changes, and what becomes of it."""

    project: Project
    name: str
    rules: ListChange | None = None
    groups: GroupChange | None = None
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A write that was not made yet. `shown` gives the preview of all its parts together: dear, and only asked for
    where the question is shown; None where no VM can notice.

    `hidden` is what the answer sends besides what was sent before. With `obstacles` there is nothing to say yes to, and
    `overtaken` says that others were quicker. What `deletes` looks dangerous without an alarm too.
    """

    title: str
    button: str
    parts: tuple[Part, ...]
    token: str
    shown: Callable[[], Preview] | None = None
    notes: tuple[str, ...] = ()
    hidden: tuple[tuple[str, str], ...] = ()
    obstacles: tuple[str, ...] = ()
    overtaken: bool = False
    deletes: bool = False
    # What can still be chosen on the question itself, and whose else the question shows.
    form: forms.Form | None = None
    also: tuple[tuple[Project, str], ...] = ()

    @property
    def looks(self) -> list[tuple[Project, str]]:
        """Whose things the question shows: a line on record for each project."""
        found: dict[int, tuple[Project, list[str]]] = {}
        for part in self.parts:
            found.setdefault(part.project.pk, (part.project, []))[1].append(part.name)
        return [(project, ", ".join(names)[:300]) for project, names in found.values() if project.pk]


class Asked(Exception):
    """This has to be looked at and agreed to first. `problem` is what is wrong with the answer that was given."""

    def __init__(self, plan: Plan, problem: str = "") -> None:
        super().__init__(plan.title)
        self.plan, self.problem = plan, problem


class Overtaken(Exception):
    """Somebody else has changed the same rules since the form was opened: theirs and mine, to put mine on top or not."""

    def __init__(self, group: SecurityGroup, base: int, theirs: ListChange, mine: ListChange) -> None:
        super().__init__(f"{group} was changed in the meantime.")
        self.group, self.base, self.theirs, self.mine = group, base, theirs, mine


def token(*about: object) -> str:
    """Stands for a plan: what was looked at is what is done."""
    return sha256(repr(about).encode()).hexdigest()[:32]


def said_of(request: HttpRequest, base: int) -> Said:
    return said_in(request.POST, base=base, address=address_of(request))


def by(request: HttpRequest, reason: str = "") -> By:
    """Who writes. Whatever comes from the admin is on record as done by staff, a member of the project or not."""
    return By(cast(User, request.user), staff=True, reason=reason)


def agreed(request: HttpRequest, plan: Plan, *, yes: bool | None = None) -> By:
    """Who makes the change, and why. Raises Asked unless this very plan was agreed to, with a reason.

    `yes` says so where the plan is one of a list that others have changed since in a way that has nothing to do with it.
    """
    answered = request.POST.get("sure", "") == plan.token if yes is None else yes
    if not answered or plan.obstacles or "redraw" in request.POST:
        raise Asked(plan)
    if not reason_in(request.POST):
        raise Asked(plan, "Type why this is changed: the customer reads it beside the change.")
    made = by(request, reason_in(request.POST))
    try:
        made.check()
    except ValidationError as refusal:
        raise Asked(plan, refusal.messages[0]) from None
    return made


@contextmanager
def blaming_the_reason(plan: Plan) -> Iterator[None]:
    """Shows on the question what an operation has against the reason alone."""
    try:
        yield
    except ValidationError as refusal:
        if set(getattr(refusal, "error_dict", ())) == {"reason"}:
            raise Asked(plan, refusal.messages[0]) from None
        raise


# ── The rules of a group ──────────────────────────────────────────────────────


def group_name(group: SecurityGroup) -> str:
    """What a question and a look say of it; its project stands beside."""
    return f"security group {group} ({group.public_id})"


@dataclass(frozen=True, slots=True)
class RulesEdit:
    """An edit of a group's list as it is `now`, made from revision `base`, and how it is asked about."""

    group: SecurityGroup
    now: RuleList
    edit: Edit
    base: int
    title: str
    button: str


def change_rules(request: HttpRequest, one: RulesEdit) -> ListChange | None:
    """Commit the edit once its question was answered; None where it changes nothing.

    Raises Asked, Overtaken, and as `proposals.commit` does.
    """
    said = said_of(request, one.base)
    try:
        proposal = propose_rules(one.group, one.now, one.edit, said)
        if not list_change(proposal.old, proposal.new):
            return None
        made = agreed(request, _rules_plan(one, proposal, said), yes=_answered(proposal, said))
        return commit(proposal, one.edit, said, made)[0]
    except Asks as asks:
        raise Asked(_rules_plan(one, asks.proposal, said)) from None
    except Stale as stale:
        raise _overtaken(one, stale) from None


def _rules_plan(one: RulesEdit, proposal: NewRules, said: Said) -> Plan:
    part = Part(one.group.project, group_name(one.group), rules=list_change(proposal.old, proposal.new))
    hidden = (("base", str(one.base)), *([("onto", str(said.onto))] if said.onto >= 0 else []))
    shown = partial(proposal.preview, said.address)
    return Plan(one.title, one.button, (part,), proposal.token, shown, notes=proposal.notes, hidden=hidden)


def _answered(proposal: NewRules, said: Said) -> bool:
    """Whether it was agreed to: as it is, or as it was before others changed the group in ways that do not matter to it."""
    if said_yes(proposal, said):
        return True
    made = proposal.made
    return made is not None and said_yes(made, said) and to_ask(proposal, said) is None


def _overtaken(one: RulesEdit, stale: Stale) -> Exception:
    if stale.base is None or stale.mine is None:
        # Of a revision that never was.
        return operations.Conflict(one.group.revision)
    group = SecurityGroup.objects.select_related("project").get(pk=one.group.pk)
    theirs, mine = list_change(stale.base, rules_of_group(group)), list_change(stale.base, stale.mine)
    return Overtaken(group, one.base, theirs, mine)
