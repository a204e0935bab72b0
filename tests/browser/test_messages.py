"""What has just happened is told where it hides nothing."""

import pytest
from playwright.sync_api import expect

from securitygroups.models import Project, User
from tests.browser.conftest import DESKTOP, PHONE, Browse
from tests.factories import make_group, rule

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]

# Whether the message and the row that has the focus lie over one another.
COVERED = """
() => {
  const row = document.activeElement.closest("tr").getBoundingClientRect();
  const said = document.querySelector("#messages .message").getBoundingClientRect();
  return said.top < row.bottom && said.bottom > row.top && said.left < row.right && said.right > row.left;
}
"""


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_a_message_covers_nothing_that_was_changed(browse: Browse, alice: User, project: Project, width: int) -> None:
    group = make_group(project, "many", [rule(f"accept in tcp {port} from 10.0.0.0/8") for port in range(1, 31)])
    page = browse(alice, width=width)
    page.goto(group.get_absolute_url())
    for name in ("Move rule 30 up", "Move rule 15 up"):
        button = page.get_by_role("button", name=name, exact=True)
        # At the lower end of the window, where messages come up.
        button.evaluate("(button) => button.scrollIntoView({ block: 'end' })")

        button.click()

        expect(page.locator("#messages .message")).to_be_visible()
        expect(page.locator("tr:focus-within")).to_be_visible()
        page.wait_for_function(f"() => !({COVERED})()")
        page.get_by_role("button", name="Dismiss this message").click()
