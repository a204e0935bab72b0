"""Every page and state, at a desk and on a phone: axe finds nothing, in the dark neither, and nothing sticks out sideways."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from playwright.sync_api import expect

from karenpanel import demo_mails
from tests.browser.conftest import Browse, Look
from tests.browser.stages import FULL, LONG_ADDRESS, RULES, Stage, crowded, empty
from tests.factories import make_group, make_machine, make_user, rule, sign_in_at
from tests.test_access import everything_on

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]


def addresses(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, set[str]]]:
    """(name, names of its parameters) of every address of the panel, the admin's and those of programs apart."""
    for entry in resolver.url_patterns:
        route = before + str(entry.pattern)
        if isinstance(entry, URLResolver):
            if entry.namespace not in ("admin", "agent", "api"):
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
            sign_in_at(client, stage.cast[who], strong=True)
    seen: dict[str, list[tuple[str, str]]] = {who: [] for who in browsers}
    for name in ADDRESSES:
        address = url(stage, name)
        answers = {}
        for who, client in browsers.items():
            answers[who] = client.get(address)
            if answers[who].status_code in (200, 410):
                break
        first = next((who for who, answer in answers.items() if answer.status_code in (200, 410)), None)
        if first is not None and answers[first]["Content-Type"].startswith("text/html"):
            seen[first].append((name, address))
        else:
            # 400: one comes back from the provider of single sign-on, or not at all.
            # A passkey takes a device; the one of tests/browser/test_a_life.py has a page to remove it too.
            assert (
                name == "mfa_remove_webauthn" or first is not None or answers["owner"].status_code in (302, 400, 405)
            ), f"nobody gets to see {name}"
    return seen


def walk(browse: Browse, look: Look, stage: Stage, seen: dict[str, list[tuple[str, str]]]) -> None:
    for who, named in seen.items():
        page = browse(stage.cast[who] if who else None)
        for nth, (name, address) in enumerate(named):
            page.goto(address)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            # The colours of one page are those of all others.
            look(page, f"{name} as {who or 'nobody'}", dark=nth % 3 == 0)


def test_every_page_is_sound_with_the_longest_names_there_can_be(
    browse: Browse, look: Look, settings: Any, tmp_path: Path
) -> None:
    everything_on(settings, tmp_path)
    stage = crowded()
    stage.special["demo_mail"] = {"number": demo_mails.numbers()[0]}
    walk(browse, look, stage, pages(stage))


def test_every_page_is_sound_while_there_is_nothing_on_it_yet(browse: Browse, look: Look) -> None:
    stage = empty()
    named = [(name, url(stage, name)) for name in EMPTY]
    walk(browse, look, stage, {"owner": named, "staff": [("support", reverse("support") + "?q=nothing-of-that-name")]})
    stranger = browse(make_user("una"))
    stranger.goto("/")
    expect(stranger.get_by_role("heading", name="You are in no project yet")).to_be_visible()
    look(stranger, "home of somebody without a project")


EMPTY = (
    "machine_dropped",
    "project_dropped",
    "overview",
    "groups",
    "group",
    "group_machines",
    "group_attach",
    "machines",
    "machine",
    "templates",
    "cases",
    "project_rules",
    "project_test",
    "project_replay",
    "machine_replay",
    "project_find",
    "exposure",
    "review",
    "review_records",
    "webhooks",
    "webhook_new",
)


def test_the_longest_lists_are_sound(browse: Browse, look: Look) -> None:
    stage = crowded()
    rules = [rule(f"accept in tcp {port} from {LONG_ADDRESS}", FULL) for port in range(1, RULES + 1)]
    group = make_group(stage.project, "many", rules)
    machine = make_machine(stage.project, "many", [group], ipv6="2001:db8::1")
    page = browse(stage.cast["owner"], width=320)
    packet = "test/?direction=in&protocol=tcp&source=2001:db8::9&destination=2001:db8::1&port=119&test=1"
    for name, address in (
        ("120 rules, the second page", f"{group.get_absolute_url()}?page=2"),
        ("120 rules found", f"{reverse('project_rules', args=[stage.project.slug])}?q=tcp"),
        ("120 rules passed by", f"{group.get_absolute_url()}{packet}"),
    ):
        page.goto(address)
        look(page, name)
    # Too long for axe to be quick, and the same rows again: only that nothing sticks out.
    for address in (group.get_absolute_url(), machine.get_absolute_url()):
        page.set_viewport_size({"width": 320, "height": 900})
        page.goto(address)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 320
