"""A preview as data."""

from typing import Any

from securitygroups.answers.preview import MAX_EFFECTS, Effect, Preview
from securitygroups.api.problems import Refusal

MOST_MACHINES = 100
"""VMs of one effect that are named."""


def preview_json(preview: Preview, token: str, notes: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "token": token,
        "changes_traffic": preview.changes_traffic,
        "effects": [_effect(effect) for effect in preview.effects[:MAX_EFFECTS]],
        "machine_count": preview.machine_count,
        "unaffected": preview.unaffected,
        "unseen": preview.unseen,
        "newly_dead": list(preview.newly_dead),
        "alarms": list(preview.alarms),
        "notes": list(notes),
    }


def _effect(effect: Effect) -> dict[str, Any]:
    return {
        "newly_allowed": list(effect.allowed),
        "newly_denied": list(effect.denied),
        "more": effect.more,
        "too_fine": effect.too_fine,
        "machines": [{"id": vm.public_id, "name": vm.name} for vm in effect.machines[:MOST_MACHINES]],
        "machine_count": effect.count,
    }


def to_confirm(preview: Preview, token: str, notes: tuple[str, ...] = ()) -> Refusal:
    """What is answered where the change needs somebody's yes."""
    why = " ".join((*preview.alarms, *notes)) or "It changes what passes."
    return Refusal(
        "confirm",
        f"{why} Send the same again with “confirm”: the token of this preview.",
        preview=preview_json(preview, token, notes),
    )
