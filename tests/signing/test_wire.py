"""What is signed is exactly what both sides have written down, and a signature fits nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securitygroups.signing.keys import Key, verifies
from securitygroups.signing.wire import Malformed, answer_bytes, decoded, encoded, request_bytes

NONCE = encoded(bytes(16))
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_request_signs_method_path_body_time_nonce_and_host() -> None:
    said = request_bytes("GET", "/agent/v1/state?x=1", b"", (1_700_000_000, NONCE), "host-1")

    assert said.decode() == (
        f"karenpanel-agent-1\nGET\n/agent/v1/state?x=1\n{EMPTY}\n1700000000\nAAAAAAAAAAAAAAAAAAAAAA\nhost-1\n"
    )


def test_an_answer_signs_status_body_etag_nonce_and_host() -> None:
    assert answer_bytes(304, b"", '"e"', NONCE, "host-1").decode() == (
        f'karenpanel-panel-1\n304\n{EMPTY}\n"e"\nAAAAAAAAAAAAAAAAAAAAAA\nhost-1\n'
    )


@given(st.binary(max_size=80))
def test_bytes_come_back_from_base64url(data: bytes) -> None:
    assert decoded(encoded(data), len(data)) == data


@pytest.mark.parametrize("text", ["", "AA==", "A", "AAA", "AB", "A A", "ÄÄ", "AA\n", "+/"])
def test_of_one_byte_there_is_one_spelling(text: str) -> None:
    with pytest.raises(Malformed):
        decoded(text, 1)


def test_a_signature_fits_one_key_and_one_text() -> None:
    key, other = Key.new(), Key.new()

    signature = key.sign(b"text")

    assert verifies(key.public, b"text", signature)
    assert not verifies(key.public, b"texT", signature)
    assert not verifies(other.public, b"text", signature)
    assert not verifies(key.public, b"text", ("B" if signature[0] == "A" else "A") + signature[1:])
    assert not verifies(key.public, b"text", "")
    assert not verifies("none", b"text", signature)


def test_a_key_comes_back_from_its_seed_and_is_never_shown() -> None:
    key = Key.new()

    again = Key.read(key.seed)

    assert again.public == key.public
    assert key.seed not in repr(key)
    with pytest.raises(Malformed):
        Key.read(key.seed[:-1])
