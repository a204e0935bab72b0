"""How far a reader of the records has come. It changes nothing of anybody's, and so it is no event itself."""

from collections.abc import Mapping

from django.db import transaction
from django.utils import timezone

from securitygroups.models import StreamCursor


class Moved(Exception):
    """The cursor does not stand where its reader left it: somebody else reads by the same name, or it was put elsewhere."""


@transaction.atomic
def set_cursors(positions: Mapping[str, int]) -> None:
    """Let each reader of these names go on behind its position, wherever it stood before."""
    for name, to in sorted(positions.items()):
        StreamCursor.objects.update_or_create(name=name, defaults={"position": to, "at": timezone.now()})


@transaction.atomic
def move_cursors(moves: Mapping[str, tuple[int, int]]) -> None:
    """Move each from where it was to where it is now, all of them or none. Raises Moved."""
    for name, (was, to) in sorted(moves.items()):
        here = StreamCursor.objects.filter(name=name, position=was)
        if not here.update(position=to, at=timezone.now()):
            raise Moved(f"{name} does not stand at {was} any more.")
