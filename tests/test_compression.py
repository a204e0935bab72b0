"""Answers are compressed, and what compression could tell a listener is not in them (docs/decisions/0008)."""

import re

import brotli
import pytest
from django.test import Client

from securitygroups.models import Project

pytestmark = pytest.mark.django_db
BROTLI = {"Accept-Encoding": "br"}


def test_a_page_is_compressed_for_a_browser_that_takes_it(as_alice: Client, project: Project) -> None:
    plain = as_alice.get(project.get_absolute_url())
    packed = as_alice.get(project.get_absolute_url(), headers=BROTLI)

    assert "Content-Encoding" not in plain
    assert packed["Content-Encoding"] == "br"
    assert "accept-encoding" in packed["Vary"].lower()
    assert len(packed.content) < len(plain.content) / 2
    assert "<h1>" in brotli.decompress(packed.content).decode()


def test_a_refusal_is_compressed_too(as_alice: Client, project: Project) -> None:
    refused = as_alice.get(f"{project.get_absolute_url()}nowhere/", headers=BROTLI)

    assert (refused.status_code, refused["Content-Encoding"]) == (404, "br")


def test_the_form_s_token_is_another_text_in_each_answer(as_alice: Client, project: Project) -> None:
    answers = [as_alice.get(f"{project.get_absolute_url()}groups/new/").content.decode() for _ in range(3)]
    tokens = [re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', answer) for answer in answers]

    assert len({found[1] for found in tokens if found}) == 3


def test_the_length_of_an_answer_is_blurred(as_alice: Client, project: Project) -> None:
    sizes = {len(as_alice.get(project.get_absolute_url(), headers=BROTLI)["x-noise"]) for _ in range(12)}

    assert len(sizes) > 3
