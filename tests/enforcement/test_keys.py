"""The panel's key, which agents pin: where it comes from, and that a broken one is found before anybody asks."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from securitygroups.apps import check_agent_key
from securitygroups.enforcement import keys
from securitygroups.signing.keys import verifies
from securitygroups.signing.wire import Malformed, encoded

SEED = "A" * 43


def test_it_is_the_one_of_the_setting(settings: Any) -> None:
    settings.AGENT_KEY = SEED

    assert keys.seed() == SEED
    assert keys.public() == encoded(Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw())


def test_without_one_it_is_drawn_from_the_secret_key_and_can_be_kept(settings: Any) -> None:
    settings.AGENT_KEY = ""
    drawn, public = keys.seed(), keys.public()

    settings.SECRET_KEY = "another-" * 8
    assert keys.public() != public
    settings.AGENT_KEY = drawn

    assert keys.public() == public


def test_a_signature_is_good_for_what_was_signed_alone() -> None:
    signature = keys.signed(b"said")

    assert verifies(keys.public(), b"said", signature)
    for key, said, other in (
        (keys.public(), b"Said", signature),
        (keys.public(), b"said", signature[:-1] + ("A" if signature[-1] != "A" else "Q")),
        (keys.public(), b"said", signature + "="),
        (keys.public(), b"said", ""),
        ("", b"said", signature),
        ("B" * 43, b"said", signature),
        ("é" * 43, b"said", "é" * 86),
    ):
        assert not verifies(key, said, other)


@pytest.mark.parametrize("text", ["", SEED, encoded(bytes(range(32)))])
def test_a_key_or_none_is_no_problem(settings: Any, text: str) -> None:
    settings.AGENT_KEY = text

    assert check_agent_key(None) == []
    assert len(keys.seed()) == 43


@pytest.mark.parametrize("text", ["x", "A" * 42, "A" * 44, "A" * 42 + "B", "A" * 42 + "=", "A" * 42 + "+"])
def test_what_is_no_key_is_found_before_anybody_asks(settings: Any, text: str) -> None:
    settings.AGENT_KEY = text

    [problem] = check_agent_key(None)
    assert problem.id == "karenpanel.E006"
    with pytest.raises(Malformed):
        keys.seed()
