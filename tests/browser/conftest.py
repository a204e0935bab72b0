"""Chromium at a live server on PostgreSQL: what people see, hear and press.

Every page that a test opens is listened to. Whatever the browser complains about (the content security policy, errors
of scripts, answers of 500 and more) fails the test, unless the test said that it would come.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Response, Route, ViewportSize, expect
from pytest_django.live_server_helper import LiveServer

from securitygroups.models import User
from tests.browser.sight import SETTLED, UNSOUND, WIDTHS
from tests.factories import PASSWORD, sign_in_at

PATIENCE = 20_000
DESKTOP, PHONE, NARROWEST = 1280, 360, 320
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A window's pages are drawn by a process that has drawn others, and knows the scripts.
    "--renderer-process-limit=1",
]
# The first has no windows of its own, which nobody looks at and which take as long to draw as what is in them.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser")
# Chromium writes every answer of 400 and more to the console; these belong to refusals that the panel explains. htmx
# writes there when it gives up a request for a newer one, as it is told to.
EXPECTED = (
    *(f"the server responded with a status of {status}" for status in (400, 403, 404, 409, 410, 422, 429)),
    "htmx:sendAbort",
    "htmx:afterRequest",
)
# Told through the console, which a page without script has too.
TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) => console.error(
  `CSP ${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`
))
"""


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The system's chromium. Without one the tests are skipped, or fail where BROWSER_TESTS=require."""
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        reason = "no chromium on the PATH: install it (apt install chromium-headless-shell) to run the browser tests"
        if os.environ.get("BROWSER_TESTS") == "require":
            pytest.fail(reason)
        pytest.skip(reason)
    # Playwright's event loop stays in this thread, and Django would take the tests themselves for asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    expect.set_options(timeout=PATIENCE)
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    return {**browser_type_launch_args, "executable_path": chromium, "args": FLAGS + root}


class Browse(Protocol):
    """Opens a new window, with cookies of its own, for somebody who is signed in already, or for nobody."""

    def __call__(
        self, who: User | None = None, *, script: bool = True, width: int = DESKTOP, touch: bool = False
    ) -> Page: ...


@pytest.fixture
def trouble() -> Iterator[list[str]]:
    """What the browsers complained about. A test that provokes it takes it out."""
    found: list[str] = []
    yield found
    assert not found, "\n".join(found)


@pytest.fixture
def browse(browser: Browser, live_server: LiveServer, trouble: list[str]) -> Iterator[Browse]:
    contexts: list[BrowserContext] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(words in message.text for words in EXPECTED):
            where = message.page.url if message.page else ""
            trouble.append(f"{where}: {message.text}")

    def answered(response: Response) -> None:
        if response.status >= 500:
            trouble.append(f"{response.status} {response.request.method} {response.url}")

    def window(who: User | None = None, *, script: bool = True, width: int = DESKTOP, touch: bool = False) -> Page:
        context = browser.new_context(
            base_url=live_server.url,
            viewport=ViewportSize(width=width, height=900),
            java_script_enabled=script,
            has_touch=touch,
            reduced_motion="reduce",
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.add_init_script(TELL_VIOLATIONS)
        context.on("console", heard)
        context.on("weberror", lambda error: trouble.append(f"{error.page and error.page.url}: {error.error}"))
        context.on("response", answered)
        if who is not None:
            client = Client()
            sign_in_at(client, who, strong=True)
            name = settings.SESSION_COOKIE_NAME
            context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": live_server.url}])
        return context.new_page()

    yield window
    for context in contexts:
        context.close()


def sign_in(page: Page, who: User) -> None:
    """As people do it, with name and password."""
    page.goto("/sign-in/")
    page.get_by_label("User name or e-mail address").fill(who.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_label(f"Account of {who.username}")).to_be_visible()


def said(page: Page, words: str) -> None:
    """A message appears, where screen readers hear it."""
    expect(page.get_by_role("status", name="Messages")).to_contain_text(words)


def let_go(page: Page, held: Sequence[Route]) -> None:
    """Send on what a route held back, once it is there: a click comes back before the request that it makes."""
    while not held:
        page.wait_for_timeout(20)
    for route in held:
        route.continue_()


class Look(Protocol):
    """Looks at a page as it is now: nothing sticks out sideways, wide or narrow, no word is broken, nothing is too small to
    press, and axe finds nothing, at a desk in light and on a phone in the dark.

    `within`: a selector of the part that axe looks at, where something lies over the rest. `dark`: whether axe looks at the
    phone too.
    """

    def __call__(self, page: Page, name: str, *, within: str | None = None, dark: bool = True) -> None: ...


AXE = {
    "resultTypes": ["violations"],
    "preload": False,
    "rules": {"target-size": {"enabled": True}},
}
# A theme changes colours and nothing else, and both widths have the same colours: of the four, these two show all of it.
SEEN_BY_AXE: dict[int, Literal["light", "dark"]] = {DESKTOP: "light", PHONE: "dark"}


def violations(page: Page, within: str | None) -> list[dict[str, Any]]:
    """What axe finds on the page as it is. Its script, which is large, is handed to a page once."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    run = "([within, options]) => axe.run(within ?? document, options).then((found) => found.violations)"
    found: list[dict[str, Any]] = page.evaluate(run, [within, AXE])
    return found


@pytest.fixture
def look(trouble: list[str]) -> Look:
    def at(page: Page, name: str, *, within: str | None = None, dark: bool = True) -> None:
        found: set[str] = set()
        before = len(trouble)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            found.update(f"{problem} at {width} px" for problem in page.evaluate(UNSOUND, width))
            if (scheme := SEEN_BY_AXE.get(width)) is None or (scheme == "dark" and not dark):
                continue
            # What sticks to the lower edge of the window covers nothing that cannot be scrolled away from it.
            page.set_viewport_size({"width": width, "height": max(900, page.evaluate("document.body.scrollHeight"))})
            page.emulate_media(color_scheme=scheme)
            page.evaluate(SETTLED)
            for violation in violations(page, within):
                nodes = "; ".join(node["html"][:160] for node in violation["nodes"][:3])
                summary = violation["nodes"][0].get("failureSummary", "").splitlines()[1:2]
                found.add(f"{violation['id']} at {width} px, {scheme}: {nodes} {summary}")
        page.emulate_media(color_scheme="light")
        # What axe itself sets off; the page's own complaints came before.
        del trouble[before:]
        trouble.extend(f"{name} ({page.url}) {problem}" for problem in sorted(found))

    return at
