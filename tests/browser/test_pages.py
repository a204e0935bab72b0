"""Every page and state, at a desk and on a phone, light and dark: axe finds nothing and nothing sticks out sideways."""

import re
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from playwright.sync_api import expect

from securitygroups import operations
from securitygroups.models import User
from tests.browser.conftest import Browse, Look
from tests.browser.stages import FULL, LONG, LONG_ADDRESS, RULES, Stage, crowded, empty
from tests.factories import make_group, make_machine, make_user, rule

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


def test_every_page_is_sound_while_there_is_nothing_on_it_yet(browse: Browse, look: Look) -> None:
    stage = empty()
    named = [(name, url(stage, name)) for name in EMPTY]
    walk(browse, look, stage, {"owner": named, "staff": [("support", reverse("support") + "?q=nothing-of-that-name")]})
    stranger = browse(make_user("una"))
    stranger.goto("/")
    expect(stranger.get_by_role("heading", name="You are in no project yet")).to_be_visible()
    look(stranger, "home of somebody without a project")


EMPTY = (
    "overview",
    "groups",
    "group",
    "group_machines",
    "machines",
    "machine",
    "templates",
    "cases",
    "project_rules",
    "exposure",
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


def test_every_state_is_sound_too(browse: Browse, look: Look) -> None:
    stage = crowded()
    page = browse(stage.cast["owner"])
    group, machine = stage.group.get_absolute_url(), stage.machine.get_absolute_url()

    def press(name: str) -> None:
        page.get_by_role("button", name=name, exact=True).click()

    # Fields that are wrong.
    page.goto(f"{group}rules/new/")
    page.get_by_label("Source IP Address").fill("10.0.0.5/24")
    page.get_by_label("Start port").fill("90")
    page.get_by_label("End port").fill("80")
    press("Add Rule")
    expect(page.get_by_role("alert")).to_be_focused()
    look(page, "a rule that is refused")
    page.get_by_label("Source IP Address").fill("")
    page.get_by_label("Start port").fill("1")
    page.get_by_label("Place in the list").fill("1")
    expect(page.locator("#preview")).to_contain_text("Newly allowed")
    look(page, "a preview")
    press("Add Rule")
    expect(page.locator("#confirm")).to_be_visible()
    look(page, "a question with alarms")
    page.goto(f"/p/{stage.project.slug}/groups/new/")
    press("Create Security Group")
    expect(page.get_by_role("alert")).to_be_focused()
    look(page, "a group that is refused")
    page.goto(f"/p/{stage.project.slug}/groups/import/")
    page.get_by_label("Or paste it").fill(f'{{"{LONG}": "{FULL}"}}')
    press("Check the file")
    expect(page.get_by_role("alert")).to_be_visible()
    look(page, "a file that is refused")
    page.goto(f"/p/{stage.project.slug}/members/")
    press("Add member")
    expect(page.get_by_role("alert")).to_be_focused()
    look(page, "a member that is refused")

    # Questions that are not on a page of their own, and the things that open.
    page.goto(group)
    page.get_by_label("Select rule 1", exact=True).check()
    look(page, "rules that are chosen")
    press("Change the selected…")
    expect(page.locator("#confirm")).to_be_visible()
    look(page, "what to do with the chosen")
    page.goto(group)
    page.get_by_label("More for rule 2", exact=True).click()
    look(page, "the menu of a rule", within="details.menu[open]")
    page.get_by_role("link", name="Delete…").locator("visible=true").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    look(page, "a question in a dialog")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    look(page, "the shortcuts")
    page.keyboard.press("Escape")
    page.get_by_text("Project:").locator("..").click()
    look(page, "the projects", within=".header")

    # Packets.
    ends = f"source={LONG_ADDRESS}&destination={LONG_ADDRESS}&test=1"
    for name, query in (
        ("accepted", f"direction=in&protocol=tcp&port=443&{ends}"),
        ("denied", f"direction=in&protocol=tcp&port=8080&{ends}"),
        ("refused", f"direction=in&protocol=tcp&port=x&{ends}"),
        ("not read", f"line={LONG}&read=1"),
    ):
        page.goto(f"{machine}test/?{query}")
        look(page, f"a packet that is {name}")

    # Somebody else was faster.
    page.goto(f"{group}rules/{stage.parameters['uid']}/")
    page.get_by_label("Description").fill(LONG)
    operations.commit_rules(
        group=stage.group, rules=operations.rules_at(stage.group, 1)[2:], base=3, actor=stage.cast["owner"]
    )
    press("Save rule")
    expect(page.locator("#confirm")).to_contain_text("Nothing was written.")
    look(page, "a conflict")


def test_every_refusal_is_a_sound_page_in_words(
    browse: Browse, look: Look, trouble: list[str], bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = browse(bob)
    for path, words in (
        ("/p/shop/groups/new/", "Ask an owner for the editor role."),
        ("/p/of-nobody/", "does not exist"),
        ("/help/?q=%00", "NUL"),
    ):
        page.goto(path)
        look(page, path)
        expect(page.locator("main")).to_contain_text(re.compile(f"{words}|.", re.DOTALL))
        assert page.get_by_role("heading", level=1).count() == 1
        expect(page.get_by_role("link", name="Go to your projects")).to_be_visible()

    # The form's token is gone, as after signing in anew in another tab.
    page.goto("/password/")
    page.context.clear_cookies(name="csrftoken")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("button", name="Change password")).to_have_count(0)
    look(page, "a form that is too old")

    # Too many guesses.
    nobody = browse()
    nobody.goto("/sign-in/")
    for guess in range(8):
        if not nobody.get_by_label("Password").count():
            break
        nobody.get_by_label("User name or e-mail address").fill("bob")
        nobody.get_by_label("Password").fill(f"guess {guess}")
        with nobody.expect_navigation():
            nobody.get_by_role("button", name="Sign in").click()
        if guess == 0:
            look(nobody, "a password that is wrong")
    expect(nobody.get_by_label("Password")).to_have_count(0)
    look(nobody, "too many attempts")

    def broken(*arguments: object, **named: object) -> None:
        raise RuntimeError("broken for a test")

    monkeypatch.setattr("securitygroups.views.projects.render", broken)
    page.goto("/help/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert any(problem.startswith("500 GET") for problem in trouble)
    trouble[:] = [problem for problem in trouble if "500" not in problem]
    look(page, "an error of the panel")
