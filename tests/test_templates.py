"""The files under templates/: lines and files that a person can read, and none that is missing or that nobody names."""

import ast
import re

import pytest
from django.template import engines
from django.template.loader import get_template
from django.utils.safestring import mark_safe

from tests.test_settings import ROOT

TEMPLATES = ROOT / "templates"
LONGEST, WIDEST = 150, 140
OVERRIDES = {
    # The pages of allauth that the panel has, and the frame of all others.
    *(f"account/{name}.html" for name in ("login", "logout", "signup", "signup_closed", "reauthenticate")),
    *(f"account/password_{name}.html" for name in ("change", "reset", "reset_done", "reset_from_key")),
    *(f"account/email_{name}.html" for name in ("change", "confirm")),
    *(f"mfa/{name}.html" for name in ("authenticate", "index", "reauthenticate", "recovery_codes/generate")),
    *(f"mfa/{name}.html" for name in ("recovery_codes/index", "totp/activate_form", "totp/deactivate_form")),
    *(f"mfa/webauthn/{name}.html" for name in ("add_form", "authenticator_confirm_delete", "reauthenticate")),
    "allauth/layouts/base.html",
    "socialaccount/connections.html",
    # Django's, by the names that it asks for.
    *(f"admin/{name}.html" for name in ("base_site", "index", "change_form", "change_list", "change_list_results")),
    *(f"admin/{name}.html" for name in ("filter", "pagination", "search_form", "delete_confirmation")),
    *(f"admin/{name}.html" for name in ("delete_selected_confirmation", "object_history")),
    "django/forms/field.html",
}
NAMED_IN_TEMPLATE = re.compile(r"{%\s*(?:extends|include|drawn_once)\s+(\S+)")

NAMES = sorted(str(file.relative_to(TEMPLATES)) for file in TEMPLATES.rglob("*.html"))
TEXTS = {name: (TEMPLATES / name).read_text() for name in NAMES}


def named_by_code() -> set[str]:
    """Every string of the code that ends like a template's name, and each status, for which there may be a page."""
    files = [file for folder in ("karenpanel", "securitygroups") for file in (ROOT / folder).rglob("*.py")]
    constants = [
        node.value for file in files for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)
    ]
    words = {text for text in constants if isinstance(text, str) and re.fullmatch(r"[\w/-]+\.html", text)}
    return words | {f"{number}.html" for number in constants if type(number) is int} & set(NAMES)


def named_by_template(name: str) -> set[str]:
    return {found.strip("\"'") for found in NAMED_IN_TEMPLATE.findall(TEXTS.get(name, ""))}


def test_no_line_is_wider_than_a_reviewer_sees() -> None:
    wide = [
        f"{name}:{number}"
        for name, text in TEXTS.items()
        for number, line in enumerate(text.splitlines(), 1)
        if len(line) > WIDEST
    ]

    assert not wide


def test_no_file_has_two_subjects() -> None:
    assert not [name for name, text in TEXTS.items() if text.count("\n") > LONGEST]


@pytest.mark.parametrize(
    "name", sorted(named_by_code() | {found for name in NAMES for found in named_by_template(name)})
)
def test_every_template_that_is_named_is_there(name: str) -> None:
    assert get_template(name)


def test_every_template_is_reached_by_the_code_or_overrides_another() -> None:
    reached, left = set(), named_by_code() | OVERRIDES
    while left:
        name = left.pop()
        if name not in reached:
            reached.add(name)
            left |= named_by_template(name)

    assert not set(NAMES) - reached


def test_what_overrides_another_is_named_by_none_of_us() -> None:
    assert set(NAMES) >= OVERRIDES
    assert not OVERRIDES & named_by_code()


def test_a_template_names_others_in_words() -> None:
    """Not by a variable, which nobody could follow."""
    odd = [
        (name, found)
        for name, text in TEXTS.items()
        for found in NAMED_IN_TEMPLATE.findall(text)
        if found[0] not in "\"'"
    ]

    assert not odd


DRAWN_ONCE = {found.strip("\"'") for text in TEXTS.values() for found in re.findall(r"{%\s*drawn_once\s+(\S+)", text)}


def test_what_is_drawn_once_says_nothing_of_who_asks() -> None:
    reached, left = set(), set(DRAWN_ONCE)
    while left:
        reached.add(name := left.pop())
        left |= named_by_template(name) - reached
    personal = re.compile(r"\b(csrf_token|request|user|messages|access|perms)\b")

    assert {"ui/nav.html", "ui/nav_item.html", "ui/user_links.html"} <= reached
    for name in reached:
        said = [re.sub(r"([\"']).*?\1", "", tag) for tag in re.findall(r"{[{%].*?[}%]}", TEXTS[name])]
        assert not [tag for tag in said if personal.search(tag)], name


def test_what_is_drawn_once_knows_only_what_is_named() -> None:
    page = engines["django"].from_string('{% drawn_once "ui/nav_item.html" route="help" label=label %}')

    drawn = page.render({"label": "Help", "nav": "help", "slug": "shop"})

    assert 'href="/help/"' in drawn
    assert "aria-current" not in drawn


def test_what_is_drawn_once_is_drawn_for_each_value_and_each_kind_of_it() -> None:
    page = engines["django"].from_string('{% drawn_once "ui/copy_id.html" id=id %}')
    texts = ["<b>", mark_safe("<b>"), "<b>", "<i>"]

    drawn = [re.findall('data-copy="(.*?)"', page.render({"id": text}))[0] for text in texts]

    assert drawn == ["&lt;b&gt;", "<b>", "&lt;b&gt;", "&lt;i&gt;"]
