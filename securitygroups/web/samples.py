"""Packets that hosts told of: who may read them."""

from securitygroups.access import Access
from securitygroups.models import Role


def reads_traffic(access: Access) -> bool:
    """Viewers only where an owner lets them."""
    return access.role != Role.VIEWER or access.project.viewers_see_traffic
