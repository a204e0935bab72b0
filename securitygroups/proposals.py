"""A change before it is made: on top of what it stands, what it would mean, and whether somebody has to look first.

One dialect for rules, for the groups of a VM or of many, for a group's end and for a group that is still to be made. A
proposal has a token, which names this change of this revision and nothing else. A preview that was shown brings the token
back as `seen`, a question that was answered with yes as `sure`: neither is good for anything but what was looked at. A
group from a file, the end of a group and what is done to many VMs are always asked about; other changes where there is
something to see. What others did in between stays where the change has nothing to do with it and still means what was
looked at; otherwise it comes back to the person.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from securitygroups.answers.closers import closers
from securitygroups.answers.preview import (
    Planned,
    Preview,
    preview_each,
    preview_groups,
    preview_lists,
    preview_orders,
    preview_rules,
    preview_together,
)
from securitygroups.answers.review import ListsChange, lists_after
from securitygroups.brought import Brought
from securitygroups.effective import rules_at, rules_of_group, rules_of_groups
from securitygroups.firewall.analysis.independent import independent
from securitygroups.firewall.changes import ListChange, rebase
from securitygroups.firewall.deeds import ABOVE, ATTACH, Deed
from securitygroups.firewall.opening import closed_at
from securitygroups.firewall.values import Rule, RuleList
from securitygroups.models import Event, GroupRevision, Project, Review, SecurityGroup, VirtualMachine
from securitygroups.operations import (
    By,
    Lot,
    Regrouping,
    WayBack,
    attached_mark,
    check_rules,
    commit_edit,
    decided_mark,
    groups_mark,
    hold_machines,
    lot_back,
    standing,
)
from securitygroups.said import Said
from securitygroups.tokens import token_of, traffic_of

Edit = Callable[[RuleList], RuleList]
"""From a list to a new one. It names rules by identity, so that it also fits the list that somebody else left behind."""


@dataclass(frozen=True, slots=True)
class Whole:
    """An edit that stands for the whole list that it gives, such as a file or an earlier revision: what somebody else has
    changed in the meantime is not simply kept beside it."""

    edit: Edit

    def __call__(self, rules: RuleList) -> RuleList:
        return self.edit(rules)


class Stale(Exception):
    """The list that the edit was made from is not the newest. `mine` is what the edit made of it, None if unknown."""

    def __init__(self, base: RuleList | None, mine: RuleList | None) -> None:
        super().__init__("The rules have been changed in the meantime.")
        self.base, self.mine = base, mine


@dataclass(frozen=True, slots=True)
class NewRules:
    """A new list for a group; `notes` say what had to be decided to put it on top of somebody else's.

    `made` is the same change as its author saw it, where others have changed the group since and it is independent.
    `mark` stands for the VMs that it is about and what else decides on them: what is shown of it holds for these.
    """

    group: SecurityGroup
    old: tuple[Rule, ...]
    new: tuple[Rule, ...]
    token: str
    mark: str
    notes: tuple[str, ...] = ()
    made: "NewRules | None" = None

    def preview(self, address: str = "") -> Preview:
        return preview_rules(self.group, self.old, self.new, address=address)


@dataclass(frozen=True, slots=True)
class NewGroups:
    """Other groups, or another order, for a VM, which may be still to be created."""

    machine: VirtualMachine
    before: tuple[SecurityGroup, ...]
    after: tuple[SecurityGroup, ...]
    token: str
    notes: tuple[str, ...] = ()

    def preview(self, address: str = "") -> Preview:
        return preview_groups(self.machine, self.before, self.after, address=address)


@dataclass(frozen=True, slots=True)
class NewGroupOn:
    """A group that is still to be made, among the groups of a VM, which may be still to be created too."""

    machine: VirtualMachine
    before: tuple[SecurityGroup, ...]
    after: tuple[SecurityGroup, ...]
    planned: Planned
    token: str
    notes: tuple[str, ...] = ()

    @property
    def at(self) -> int:
        """The new group's place among the VM's, from 0."""
        return self.after.index(self.planned.group)

    def preview(self, address: str = "") -> Preview:
        return preview_groups(self.machine, self.before, self.after, planned=self.planned, address=address)


@dataclass(frozen=True, slots=True)
class NewGroupOnMany:
    """A group that is still to be made and put on VMs, which are asked about if there are any."""

    planned: Planned
    deed: Deed
    lot: Lot
    token: str
    notes: tuple[str, ...] = ()

    def preview(self, address: str = "") -> Preview:
        machines = VirtualMachine.objects.filter(pk__in=[change.machine for change in self.lot.changes]).order_by(
            "name"
        )
        if not self.lot.changes:
            return preview_rules(self.planned.group, (), self.planned.rules, address=address)
        return preview_orders(machines, self.deed.of, (), planned=self.planned, address=address)


@dataclass(frozen=True, slots=True)
class EndOfGroup:
    """A group's deletion; its token stands for the VMs that would lose its rules, "" where it is on none."""

    group: SecurityGroup
    token: str

    def preview(self, address: str = "") -> Preview:
        return preview_rules(self.group, rules_of_group(self.group), (), address=address)


@dataclass(frozen=True, slots=True)
class NewOrders:
    """Something that is done to the groups of many VMs. It is always asked about.

    `already` and `full` count the VMs that stay as they are: nothing is to be done there, or there is no room. `hidden` has
    the groups, by key, below which the one that it is about would never act, each with on how many VMs.
    """

    deed: Deed
    lot: Lot
    token: str
    already: int = 0
    full: int = 0
    hidden: Mapping[int, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many VMs are changed."""
        return len(self.lot.changes)

    def preview(self, address: str = "") -> Preview:
        machines = VirtualMachine.objects.filter(pk__in=[change.machine for change in self.lot.changes])
        brings = SecurityGroup.objects.filter(pk=self.deed.brings)
        return preview_orders(machines.order_by("name"), self.deed.of, list(brings), address=address)


@dataclass(frozen=True, slots=True)
class LotBack:
    """What was done to the groups of many VMs, taken back."""

    way: WayBack
    token: str

    def preview(self, address: str = "") -> Preview:
        after = {change.machine: change.after for change in self.way.lot.changes}
        machines = VirtualMachine.objects.filter(pk__in=after).order_by("name")
        brings = SecurityGroup.objects.filter(pk__in=self.way.lot.groups)
        return preview_each(machines, after, list(brings), address=address)


MOST_LISTS = 200
"""Groups that one yes changes: they are all locked for it."""


@dataclass(frozen=True, slots=True)
class NewReview:
    """The new lists that a review leads to, all at once; `decided` stands for what was decided, and `mark` for the groups,
    for their VMs and for all else that decides there."""

    review: Review
    changes: tuple[ListsChange, ...]
    token: str
    decided: str
    mark: str

    def preview(self, address: str = "") -> Preview:
        return preview_together(self.changes, address=address) if self.changes else preview_lists((), ())


Proposal = NewRules | NewReview | NewGroups | Brought | NewGroupOn | NewGroupOnMany | EndOfGroup | NewOrders | LotBack


def agreed(proposal: Proposal, said: Said) -> bool:
    """Whether the question about this very change was answered with yes. An empty token is nobody's yes."""
    return bool(said.sure) and said.sure == proposal.token


def to_ask(proposal: NewRules | NewGroups | NewGroupOn | NewGroupOnMany, said: Said) -> Preview | None:
    """What has to be looked at before the change is made; None where it has been, or nothing is to be seen.

    An alarm and a note are asked about in any case: the preview beside a form may have been overlooked.
    """
    if agreed(proposal, said):
        return None
    preview = proposal.preview(said.address)
    seen, sure = said.seen == proposal.token, False
    made = proposal.made if isinstance(proposal, NewRules) else None
    if made and made.token in (said.seen, said.sure) and preview.says_nothing_new(made.preview(said.address)):
        seen, sure = True, agreed(made, said)
    new_to_them = preview.worth_a_look and not seen
    return preview if (preview.alarms and not sure) or proposal.notes or (new_to_them and not sure) else None


class Asks(Exception):
    """Under the lock the change turned out to be another one than was looked at: it has to be asked about, again."""

    def __init__(self, proposal: NewRules, preview: Preview) -> None:
        super().__init__("The rules have been changed in the meantime, and the change means something else now.")
        self.proposal, self.preview = proposal, preview


def commit(proposal: NewRules, edit: Edit, said: Said, by: By, *, summary: str = "") -> tuple[ListChange, NewRules]:
    """Make the change that nothing has to be asked about any more: what was changed, and the proposal that was made. The
    record says the `summary`, or else the change in words.

    Where somebody was quicker, the edit is proposed once more, now that nobody can be. Raises Stale where it is not
    independent of what they did, Asks where it means something else than was looked at; Conflict, lists.NoSuchPlace and
    ValidationError as before. Then nothing is written.
    """
    final = proposal

    def under_lock(locked: SecurityGroup, now: RuleList) -> RuleList:
        nonlocal final
        hold_machines([locked])
        if locked.revision != proposal.group.revision or attached_mark(locked) != proposal.mark:
            final = propose_rules(locked, now, edit, said)
            if preview := to_ask(final, said):
                raise Asks(final, preview)
        return final.new

    return commit_edit(group=proposal.group, edit=under_lock, by=by, summary=summary), final


def propose_rules(group: SecurityGroup, now: RuleList, edit: Edit, said: Said) -> NewRules:
    """The list that the edit leads to; `now` is the group's list, as it is at the group's revision.

    Raises Stale, lists.NoSuchPlace, and ValidationError where it cannot be stored.
    """
    mark = attached_mark(group)
    if said.base == group.revision:
        proposal = _new_rules(group, group.revision, now, edit(now), mark)
    else:
        proposal = _rebased(group, now, edit, said, mark)
    check_rules(group.project, proposal.new, had=len(now))
    return proposal


def _new_rules(group: SecurityGroup, revision: int, old: RuleList, new: RuleList, mark: str) -> NewRules:
    # New rules have no identity yet, so the token speaks of content; the revision makes it good for one time only, and the
    # mark for what was looked at: the same list can let something else through where a VM or another group has changed.
    token = token_of(group.public_id, revision, traffic_of(new), mark)
    return NewRules(group, tuple(old), tuple(new), token, mark)


def _rebased(group: SecurityGroup, now: RuleList, edit: Edit, said: Said, mark: str) -> NewRules:
    try:
        start = rules_at(group, said.base)
    except GroupRevision.DoesNotExist:
        raise Stale(None, None) from None
    mine = tuple(edit(start))
    made = None
    if said.onto != group.revision:
        if isinstance(edit, Whole) or not independent(start, mine, now):
            raise Stale(start, mine)
        made = _new_rules(group, said.base, start, mine, mark)
    rebased = rebase(start, mine, now)
    proposal = _new_rules(group, group.revision, now, rebased.rules, mark)
    return replace(proposal, notes=rebased.notes, made=made)


def propose_groups(
    machine: VirtualMachine, before: Sequence[SecurityGroup], after: Sequence[SecurityGroup]
) -> NewGroups:
    """These groups, in this order, instead of those that the VM has."""
    # A VM that is still to be created has no identity that lasts from one request to the next.
    whose = machine.public_id if machine.pk else machine.project.slug
    known = [[(group.public_id, group.revision) for group in groups] for groups in (before, after)]
    token = token_of(whose, machine.revision, known)
    return NewGroups(machine, tuple(before), tuple(after), token)


def propose_review(review: Review) -> NewReview:
    """What was decided, as new lists. Raises ValidationError where one of them cannot be stored."""
    decided = decided_mark(review)
    changes = lists_after(review)
    if len(changes) > MOST_LISTS:
        raise ValidationError(
            f"{len(changes):,} groups would change at once, and {MOST_LISTS} can: decide “Later” in some, and go on with them "
            "in the next review.",
            code="quota",
        )
    for group, old, new in changes:
        check_rules(group.project, new, had=len(old))
    mark = groups_mark([group for group, _, _ in changes])
    known = [(group.public_id, group.revision, traffic_of(new)) for group, _, new in changes]
    return NewReview(review, tuple(changes), token_of(known, mark, [decided]), decided, mark)


def planned_group(project: Project, name: str, rules: RuleList) -> Planned:
    """A group of this name and these rules that is still to be made. Raises ValidationError where they cannot be stored."""
    check_rules(project, rules)
    return Planned(SecurityGroup(pk=0, public_id="", project=project, name=name), tuple(rules))


def propose_group_on(machine: VirtualMachine, before: Sequence[SecurityGroup], planned: Planned) -> NewGroupOn:
    """The planned group on the VM beside its groups: above the first that denies all of what it lets in, else as the last."""
    lists = rules_of_groups(group.pk for group in before)
    at = next(
        (at for at, group in enumerate(before) if closed_at(lists[group.pk], planned.rules) < len(lists[group.pk])),
        len(before),
    )
    after = (*before[:at], planned.group, *before[at:])
    whose = machine.public_id if machine.pk else machine.project.slug
    known = [(group.public_id, group.revision) for group in before]
    token = token_of(whose, machine.revision, known, at, traffic_of(planned.rules))
    stands = before if machine.pk else ()
    return NewGroupOn(machine, tuple(stands), after, planned, token)


def propose_group_on_many(machines: QuerySet[VirtualMachine], planned: Planned) -> NewGroupOnMany:
    """The planned group on each of these VMs that has room, above the groups that deny all."""
    found = standing(machines)
    among = {pk for one in found for pk in one.order}
    deed = Deed(ATTACH, 0, settings.MAX_GROUPS_PER_MACHINE, place=ABOVE, closers=closers(among, 0))
    made = [(one, deed.of(one.order)) for one in found]
    changes = tuple(Regrouping(one.pk, one.revision, one.order, after) for one, after in made if after != one.order)
    held = {pk for change in changes for pk in change.before}
    groups = dict(SecurityGroup.objects.filter(pk__in=held).order_by("pk").values_list("pk", "revision"))
    project = planned.group.project
    lot = Lot(project, changes, groups, f"Attached {planned.group.name} to", group=0)
    token = token_of(project.slug, traffic_of(planned.rules), _looked_at(lot))
    full = [one.name for one in found if deed.is_full(one.order)]
    notes = [f"Not put on {', '.join(full[:5])}: no room for one more group."] if full else []
    return NewGroupOnMany(planned, deed, lot, token, tuple(notes))


def propose_end(group: SecurityGroup) -> EndOfGroup:
    """The group's deletion. Its token is taken before its preview, so that a VM that comes between is asked about."""
    return EndOfGroup(group, attached_mark(group))


def propose_orders(
    project: Project, machines: QuerySet[VirtualMachine], deed: Deed, words: tuple[str, str]
) -> NewOrders:
    """The deed done to the VMs; `words` are what the record says before them and behind (five queries)."""
    found = standing(machines)
    among = {pk for one in found for pk in one.order}
    deed = replace(deed, closers=closers(among, deed.brings or deed.group))
    made = [(one, deed.of(one.order)) for one in found]
    changes = tuple(Regrouping(one.pk, one.revision, one.order, after) for one, after in made if after != one.order)
    full = sum(deed.is_full(one.order) for one in found)
    held = {pk for change in changes for pk in (*change.before, *change.after)}
    groups = dict(SecurityGroup.objects.filter(pk__in=held).order_by("pk").values_list("pk", "revision"))
    lot = Lot(project, changes, groups, *words, group=deed.group)
    token = token_of(project.slug, deed.do, *words, _looked_at(lot)) if changes else ""
    hidden = Counter(pk for change in changes if (pk := deed.hides(change.after)))
    return NewOrders(deed, lot, token, len(found) - len(changes) - full, full, hidden)


def propose_back(project: Project, event: Event) -> LotBack:
    """The change of many VMs taken back that stands in this line of the record. Nothing to agree to where none can be."""
    way = lot_back(project=project, event=event)
    return LotBack(way, token_of(project.slug, event.pk, _looked_at(way.lot), way.left) if way.lot.changes else "")


def _looked_at(lot: Lot) -> list[Any]:
    return [sorted(lot.groups.items()), [(one.machine, one.base, one.before, one.after) for one in lot.changes]]
