"""Packets that hosts told of: who may read them, and what becomes of them by a proposal."""

from collections.abc import Sequence
from functools import reduce

from securitygroups.access import Access
from securitygroups.answers.seen import fleet_seen
from securitygroups.answers.seen_again import SeenAgain, seen_again
from securitygroups.effective import Fleet, fleet_of
from securitygroups.firewall.values import Rule
from securitygroups.models import Attachment, SecurityGroup, Traffic, VirtualMachine
from securitygroups.proposals import EndOfGroup, NewGroups, NewOrders, NewReview, NewRules, Proposal


def seen_by(access: Access, proposal: Proposal) -> SeenAgain | None:
    """The packets that were seen in the last 30 days, through the lists of now and of the proposal; None where there are none,
    too many lists to go through beside a preview, or where the person may not read them (a few queries)."""
    if not access.sees_traffic or not Traffic.objects.filter(project=access.project).exists():
        return None
    both = _both(proposal)
    return both and seen_again(access.project.pk, *both)


def _both(proposal: Proposal) -> tuple[Fleet, Fleet] | None:
    """The VMs with their lists, now and then."""
    if isinstance(proposal, NewGroups):
        machine = proposal.machine
        return None if machine.pk is None else (fleet_of(machine, proposal.before), fleet_of(machine, proposal.after))
    live = VirtualMachine.objects.live().order_by("name", "pk")
    if isinstance(proposal, NewRules | EndOfGroup | NewReview):
        lists = _lists(proposal)
        having = Attachment.objects.filter(group__in=[group for group, _ in lists])
        now = fleet_seen(live.filter(pk__in=having.values("machine")))
        return None if now is None else (now, reduce(lambda fleet, one: fleet.with_rules(*one), lists, now))
    if isinstance(proposal, NewOrders):
        now = fleet_seen(live.filter(pk__in=[change.machine for change in proposal.lot.changes]))
        brings = list(SecurityGroup.objects.filter(pk=proposal.deed.brings))
        return None if now is None else (now, now.with_orders(map(proposal.deed.of, now.sequences), brings))
    return None


def _lists(proposal: NewRules | EndOfGroup | NewReview) -> list[tuple[SecurityGroup, Sequence[Rule]]]:
    """Each group with the list that it would have."""
    if isinstance(proposal, NewReview):
        return [(group, new) for group, _, new in proposal.changes]
    return [(proposal.group, () if isinstance(proposal, EndOfGroup) else proposal.new)]
