"""A select of a thousand groups is drawn as Django draws it, without a template for each of them."""

from typing import Any

import pytest
from django import forms
from django.test.signals import template_rendered

from securitygroups.forms.parts import LongSelect

CHOICES = [("", "Choose a group"), ("sg-1", 'the "old" & <new>'), ("sg-2", "value='sg-1'"), ("sg-3", 'value="sg-1">')]


@pytest.mark.parametrize("value", ["", None, "sg-1", "sg-2", "sg-9", '"'])
def test_it_says_what_djangos_says(value: str | None) -> None:
    drawn, plain = (
        "".join(kind(attrs={"class": "wide", "required": True}, choices=CHOICES).render("group", value).split())
        for kind in (LongSelect, forms.Select)
    )
    assert drawn == plain


def test_no_option_has_a_template_of_its_own() -> None:
    rendered: list[Any] = []

    def noted(template: Any, **more: Any) -> None:
        rendered.append(template.name)

    template_rendered.connect(noted)
    try:
        LongSelect(choices=[(f"sg-{n}", f"group {n}") for n in range(1_000)]).render("group", "sg-7")
    finally:
        template_rendered.disconnect(noted)

    assert rendered == ["ui/long_select.html", "django/forms/widgets/attrs.html"]
