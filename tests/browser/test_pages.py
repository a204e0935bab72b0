"""Every page and state, at a desk and on a phone, light and dark: axe finds nothing and nothing sticks out sideways."""

import re
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from playwright.sync_api import expect

from tests.browser.conftest import Browse, Look
from tests.browser.stages import Stage, crowded

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]


def addresses(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, set[str]]]:
    """(name, names of its parameters) of every address of the panel, the admin's apart."""
    for entry in resolver.url_patterns:
        route = before + str(entry.pattern)
        if isinstance(entry, URLResolver):
            if entry.namespace != "admin":
                yield from addresses(entry, route)
        elif isinstance(entry, URLPattern) and entry.name:
            yield entry.name, set(re.findall(r"<(?:\w+:)?(\w+)>", route))


ADDRESSES = dict(addresses(get_resolver()))


def url(stage: Stage, name: str) -> str:
    known = stage.parameters | stage.special.get(name, {})
    assert ADDRESSES[name] <= known.keys(), f"tests/browser/stages.py has nothing that leads to {name}"
    return reverse(name, kwargs={parameter: known[parameter] for parameter in ADDRESSES[name]})


def pages(stage: Stage) -> dict[str, list[tuple[str, str]]]:
    """(name, URL) of every page, by the first of the cast who gets to see it; "" is somebody who is not signed in.

    What answers no GET, or with a file, is no page.
    """
    browsers = {"": Client(), "owner": Client(), "staff": Client()}
    for who, client in browsers.items():
        if who:
            client.force_login(stage.cast[who])
    seen: dict[str, list[tuple[str, str]]] = {who: [] for who in browsers}
    for name in ADDRESSES:
        address = url(stage, name)
        answers = {who: client.get(address) for who, client in browsers.items()}
        first = next((who for who, answer in answers.items() if answer.status_code == 200), None)
        if first is not None and answers[first]["Content-Type"].startswith("text/html"):
            seen[first].append((name, address))
        else:
            assert first is not None or answers["owner"].status_code == 405, f"nobody gets to see {name}"
    return seen


def walk(browse: Browse, look: Look, stage: Stage, seen: dict[str, list[tuple[str, str]]]) -> None:
    for who, named in seen.items():
        page = browse(stage.cast[who] if who else None)
        for name, address in named:
            page.goto(address)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            look(page, f"{name} as {who or 'nobody'}")


def test_every_page_is_sound_with_the_longest_names_there_can_be(browse: Browse, look: Look) -> None:
    stage = crowded()
    walk(browse, look, stage, pages(stage))
