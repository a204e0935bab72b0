"""Packets that hosts told of: who may read them, and what becomes of them by a proposal."""

from securitygroups.access import Access
from securitygroups.answers.seen import fleet_seen
from securitygroups.answers.seen_again import SeenAgain, seen_again
from securitygroups.effective import Fleet, fleet_of
from securitygroups.models import SecurityGroup, Traffic, VirtualMachine
from securitygroups.proposals import NewGroups, NewOrders, NewRules, Proposal


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
    if isinstance(proposal, NewRules):
        now = fleet_seen(live.filter(attachments__group=proposal.group))
        return None if now is None else (now, now.with_rules(proposal.group, proposal.new))
    if isinstance(proposal, NewOrders):
        now = fleet_seen(live.filter(pk__in=[change.machine for change in proposal.lot.changes]))
        brings = list(SecurityGroup.objects.filter(pk=proposal.deed.brings))
        return None if now is None else (now, now.with_orders(map(proposal.deed.of, now.sequences), brings))
    return None
