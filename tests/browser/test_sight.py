"""What the tests of pages look for is seen by them: each of these faults is told."""

import pytest

from tests.browser.conftest import Browse, Look

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]

FAULTS = {
    "px wide:": '<p style="width: 2000px">wide</p>',
    "“abcdefghij” is broken": '<p style="width: 3em; word-break: break-all">abcdefghij</p>',
    "sticks out": '<details open><div class="menu-items" style="position: absolute; left: -20px">a</div></details>',
    "is a small target": '<button style="width: 12px; height: 12px; padding: 0" aria-label="Go"></button>',
    "color-contrast at 360 px, dark": "<style>@media (prefers-color-scheme: dark) { p { color: #eee } }</style><p>pale</p>",
    "color-contrast at 1280 px, light": '<p style="color: #eee">pale</p>',
    "image-alt": '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">',
}
PAGE = '<!doctype html><html lang="en"><title>A page</title><meta name="viewport" content="width=device-width"><main><h1>It</h1>{}</main>'


@pytest.mark.parametrize("told", FAULTS)
def test_a_fault_is_seen(told: str, browse: Browse, look: Look, trouble: list[str]) -> None:
    page = browse()
    page.set_content(PAGE.format(FAULTS[told]))

    look(page, "a page")

    assert [one for one in trouble if told in one], trouble
    trouble.clear()


def test_of_a_sound_page_nothing_is_told(browse: Browse, look: Look, trouble: list[str]) -> None:
    page = browse()
    page.set_content(PAGE.format("<p>Sound</p>"))

    look(page, "a page")

    assert trouble == []
