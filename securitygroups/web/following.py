"""The message after a change follows it until it is in force: what it begins with, and where it asks how far it is."""

from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from securitygroups.enforcement import applied
from securitygroups.enforcement.applied import Followed
from securitygroups.models import SecurityGroup, VirtualMachine


def follows_group(group: SecurityGroup, *, attached: bool = False) -> str:
    """Tags for the message that the group's rules were changed, or that it was `attached`; none where no host waits for it."""
    now = timezone.now()
    since = {"at": int(now.timestamp())} if attached else {"since": group.revision}
    at = reverse("group_in_force", args=[group.project.slug, group.public_id])
    return _tag(applied.follow_group(group, now), f"{at}?{urlencode(since)}")


def follows_machine(machine: VirtualMachine) -> str:
    """The same for other groups of a VM."""
    at = reverse("machine_in_force", args=[machine.project.slug, machine.public_id])
    return _tag(applied.follow_machine(machine, timezone.now()), f"{at}?since={machine.revision}")


def _tag(followed: Followed, url: str) -> str:
    return f" follow:{followed.pending}:{followed.total}:{url}" if followed.pending else ""


def moment_in(text: str) -> datetime | None:
    """A moment in whole seconds, which is some of the last minutes; None for anything else."""
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        return None
    age = timezone.now().timestamp() - int(text)
    return datetime.fromtimestamp(int(text), tz=timezone.get_current_timezone()) if -5 < age < 3600 else None
