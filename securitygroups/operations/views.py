"""Saved views of lists. The project's own are on its record; a person's are nobody else's business."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from securitygroups.models import LONGEST_QUERY, MOST_VIEWS, SavedView
from securitygroups.operations.by import By
from securitygroups.operations.records import Verb, lock_project, one_more, record, save_checked


@transaction.atomic
def write_view(*, view: SavedView, by: By) -> None:
    """Store a new or a changed view. Raises ValidationError."""
    view.project = lock_project(view.project)
    before = _as_it_is(view, by)
    if view.pk and before is None:
        raise ValidationError("Somebody has deleted this view or taken it back: save the filter as a new one.")
    if len(view.query) > LONGEST_QUERY:
        raise ValidationError("This filter is too long to be saved: shorten the search, or filter by less.")
    there = SavedView.objects.filter(project=view.project, owner=view.owner)
    if before is None or before.owner_id != view.owner_id:
        whose = "Your own list" if view.owner_id else "The project"
        one_more(there.count(), MOST_VIEWS, "saved view", "delete one that is not used first", of=whose)
    save_checked(view)
    if not view.owner_id:
        _told("Changed" if before and not before.owner_id else "Shared", view, by)
    elif before and not before.owner_id:
        _told("No longer shares", before, by)


@transaction.atomic
def delete_view(*, view: SavedView, by: By) -> None:
    """The list that it filters stays as it is. Nothing is done where somebody has deleted the view or taken it back."""
    view.project = lock_project(view.project)
    now = _as_it_is(view, by)
    if now is None:
        return
    if not now.owner_id:
        _told("Deleted", view, by)
    now.delete()


def _as_it_is(view: SavedView, by: By) -> SavedView | None:
    """The view under the lock; None where it is no more, or another person's own by now."""
    owners = Q(owner=None) | Q(owner=by.user)
    return SavedView.objects.filter(owners, pk=view.pk).first()


def _told(deed: str, view: SavedView, by: By) -> None:
    words = f"{deed} the saved view {view.name} of the list {view.get_kind_display()}."
    record(view.project, Verb.PROJECT_CHANGED, words, by=by)
