"""What is on record can be read, and nothing else."""

import pytest
from django.db.models import Model
from django.test import Client

from tests.admin.pages import READ_ONLY, label, url


@pytest.mark.parametrize("model", READ_ONLY, ids=label)
def test_what_is_a_record_can_be_read_only(
    everything: dict[type[Model], Model], as_admin: Client, model: type[Model]
) -> None:
    before = list(model._default_manager.order_by("pk").values())
    row = everything[model]

    assert as_admin.post(url(model, "add"), {}).status_code == 403
    assert as_admin.post(url(model, "change", row.pk), {}).status_code == 403
    assert as_admin.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    as_admin.post(url(model), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert list(model._default_manager.order_by("pk").values()) == before
