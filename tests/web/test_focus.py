"""A page that is one form begins in its first field: nobody reaches for the mouse before the first word."""

import re

import pytest
from django.test import Client

from securitygroups.models import SecurityGroup

FOCUSED = re.compile(r'<(?:input|textarea|select)[^>]*name="(\w+)"[^>]*\sautofocus')


def focused(page: bytes) -> list[str]:
    return FOCUSED.findall(page.decode())


@pytest.mark.parametrize(("url", "field"), [("/sign-in/", "login"), ("/password/forgotten/", "email")])
def test_before_somebody_has_come_in(client: Client, db: None, url: str, field: str) -> None:
    assert focused(client.get(url).content) == [field]


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("/p/shop/groups/new/", "name"),
        ("{group}edit/", "name"),
        ("{group}duplicate/", "name"),
        ("{group}template/", "name"),
        ("/p/shop/machines/new/", "name"),
        ("/p/shop/views/new/?list=machines&q=web", "name"),
        ("/password/", "oldpassword"),
        ("/account/address/", "email"),
        ("/account/factors/app/", "code"),
    ],
)
def test_in_the_panel(as_alice: Client, group: SecurityGroup, url: str, field: str) -> None:
    assert focused(as_alice.get(url.format(group=group.get_absolute_url())).content) == [field]


def test_where_staff_name_a_reason(as_staff: Client, group: SecurityGroup) -> None:
    assert focused(as_staff.get("/support/shop/").content) == ["reason"]


def test_a_question_that_is_a_page_begins_at_itself_and_one_in_the_dialog_is_the_dialogs(
    as_alice: Client, group: SecurityGroup
) -> None:
    url = f"{group.get_absolute_url()}delete/"

    page, part = as_alice.get(url), as_alice.get(url, headers={"HX-Request": "true"})

    assert 'id="confirm-title" tabindex="-1" autofocus' in page.content.decode()
    assert "autofocus" not in part.content.decode()


def test_what_is_wrong_has_the_focus_instead(as_alice: Client, client: Client, group: SecurityGroup) -> None:
    for answer in (
        as_alice.post(f"{group.get_absolute_url()}edit/", {"name": ""}),
        client.post("/sign-in/", {"login": "alice", "password": ""}),
    ):
        assert "There is a problem" in answer.content.decode()
        assert focused(answer.content) == []
