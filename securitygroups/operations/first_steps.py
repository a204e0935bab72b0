"""What a person has done or skipped of the first steps in a project: kept for them alone, so it is no event."""

from collections.abc import Iterable

from django.db import transaction

from securitygroups.models import Membership, Project, User


@transaction.atomic
def mark_steps(*, project: Project, user: User, steps: Iterable[str]) -> None:
    """Keep these steps beside those that are kept already. One who is no member keeps nothing."""
    rows = Membership.objects.select_for_update(no_key=True).filter(project=project, user=user)
    for member in rows:
        member.first_steps = list(dict.fromkeys([*member.first_steps, *steps]))
        member.save(update_fields=["first_steps"])
