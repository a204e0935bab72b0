"""A new customer: the project and whoever owns it first, as staff make both in one go."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Lower

from securitygroups.models import Invitation, Project, Role, User
from securitygroups.operations.by import By
from securitygroups.operations.invitations import invite
from securitygroups.operations.projects import create_project, require_second_factor


@transaction.atomic
def create_customer(*, project: Project, email: str, by: By) -> tuple[Project, Invitation | None, str]:
    """Make what `project` says, not yet stored; the person of that address owns it, and who is not known is invited.

    Returns the stored project, and an invitation with the secret for its link where one has to be sent. Raises
    ValidationError; nothing is written then.
    """
    quotas = {name: getattr(project, name) for name in ("max_groups", "max_rules", "max_machines")}
    owner = User.objects.alias(address=Lower("email")).filter(address=email.lower()).first()
    if owner is not None and not owner.is_active:
        raise ValidationError(
            {"email": f"The account {owner} has this address and is switched off: switch it on first, or type another."}
        )
    made = create_project(name=project.name, slug=project.slug, quotas=quotas, owner=owner, by=by)
    require_second_factor(project=made, required=project.second_factor, by=by)
    if owner is not None:
        return made, None, ""
    return made, *invite(project=made, email=email, role=Role.OWNER, by=by)
