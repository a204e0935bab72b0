"""The PostgreSQL programs of the wheel, where there is one for this platform."""

import pytest

from karenpanel import database
from karenpanel.embedded import programs


def test_a_platform_without_the_server_is_told_to_set_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find_spec", lambda name: None)
    assert database.settings("")["NAME"] == "karenpanel"
    with pytest.raises(database.StartError, match="Set DATABASE_URL"):
        database.start()
