"""The one file of icons has what the pages name, as the icon package draws it, and no more."""

from xml.etree import ElementTree

import pytest
from django.core.management import CommandError
from django.template import engines

from securitygroups.management.commands import icons
from securitygroups.templatetags.ui import icon


def test_the_file_is_what_the_package_draws_now() -> None:
    assert icons.SPRITE.read_text("utf-8") == icons.sprite(), "Run `manage.py icons` and commit static/icons.svg."


def test_icons_are_found_in_templates_and_in_the_tables_of_tags() -> None:
    assert {"pencil", "shield", "check", "arrow-down-left", "circle-alert"} <= icons.used()


def test_an_icon_that_the_package_does_not_have_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(icons, "used", lambda: {"check", "no-such-icon"})
    with pytest.raises(CommandError, match="no-such-icon"):
        icons.sprite()


def test_an_icon_takes_the_colour_of_the_text_around_it() -> None:
    for symbol in ElementTree.parse(icons.SPRITE).getroot():
        assert symbol.get("stroke") == "currentColor"
        assert symbol.get("viewBox") == "0 0 24 24"


def test_an_icon_is_silent_unless_it_is_named() -> None:
    assert icon("check") == '<svg class="icon" aria-hidden="true"><use href="/static/icons.svg#check"/></svg>'
    assert icon("lock", 14, "Fixed <here>") == (
        '<svg class="icon s14" role="img" aria-label="Fixed &lt;here&gt;"><use href="/static/icons.svg#lock"/></svg>'
    )


@pytest.mark.parametrize("size", ["14", "size"])
def test_a_template_shows_the_icon_that_it_names(size: str) -> None:
    """Whether it says all of it by itself, or leaves something to the page."""
    template = engines["django"].from_string(f'{{% icon "lock" size={size} label="Fixed" %}}')

    assert template.render({"size": 14}) == icon("lock", 14, "Fixed")
