"""What the daily work takes: each job by mouse and by keyboard, its steps counted by the browser itself.

A step is a press of the mouse, or at the keyboard Enter or Space on what has the focus, or a shortcut. What is typed into a
field is the job itself, and Tab is the way between fields; neither is counted.
"""

import json
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, Page, expect

from securitygroups.models import Project, SecurityGroup, User
from tests.browser.conftest import Browse, said
from tests.browser.test_hands import tab_to
from tests.factories import make_group, make_machine, ports

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]

COUNT = """
const add = (event) => {
  if (!event.isTrusted) return;
  if (event.type === "keydown" && !["Enter", " "].includes(event.key)) return;
  if (event.key === " " && event.target.matches("input:not([type=checkbox], [type=radio]), textarea")) return;
  sessionStorage.steps = Number(sessionStorage.steps ?? 0) + 1;
};
addEventListener("pointerdown", add, true);
addEventListener("keydown", add, true);
"""


@dataclass
class Hands:
    """A mouse, or a keyboard alone, on a page that counts."""

    page: Page
    keyboard: bool

    def press(self, role: str, name: str) -> None:
        found = self.page.get_by_role(role, name=name, exact=True).last  # type: ignore[arg-type]
        self.on(found)

    def on(self, target: Locator) -> None:
        if not self.keyboard:
            target.click()
            return
        tab_to(self.page, target)
        self.page.keyboard.press("Space" if target.get_attribute("type") == "checkbox" else "Enter")

    def fill(self, label: str, text: str) -> None:
        field = self.page.get_by_label(label).first
        if not self.keyboard:
            field.fill(text)
            return
        if not field.evaluate("(e) => e === document.activeElement"):
            tab_to(self.page, field)
        self.page.keyboard.type(text)

    @property
    def steps(self) -> int:
        return int(self.page.evaluate("Number(sessionStorage.steps ?? 0)"))


@pytest.fixture(params=["mouse", "keyboard"])
def keyboard(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "keyboard")


@pytest.fixture
def five(project: Project) -> SecurityGroup:
    """TCP 1 to 5, on a VM."""
    group = make_group(project, "five", ports(1, 2, 3, 4, 5))
    make_machine(project, "vm", [group], ipv4="10.9.0.1")
    return group


def at(browse: Browse, user: User, url: str, keyboard: bool) -> Hands:
    page = browse(user)
    page.context.add_init_script(COUNT)
    page.goto(url)
    return Hands(page, keyboard)


def started(group: SecurityGroup) -> list[int | None]:
    return list(group.rules.in_order().values_list("port_start", flat=True))


def test_the_source_field_has_the_focus_when_the_form_opens(browse: Browse, alice: User, five: SecurityGroup) -> None:
    hands = at(browse, alice, five.get_absolute_url(), True)
    hands.page.keyboard.press("n")
    expect(hands.page.get_by_label("Source IP Address")).to_be_focused()
    assert hands.steps == 0, "no key beside the shortcut"


def test_each_further_rule_takes_one(browse: Browse, alice: User, five: SecurityGroup, keyboard: bool) -> None:
    hands = at(browse, alice, f"{five.get_absolute_url()}rules/new/", keyboard)
    for nth, port in ((6, "81"), (7, "82")):
        hands.fill("Source IP Address", "198.51.100.0/24")
        hands.fill("Start port", port)
        hands.press("button", "Add another")
        said(hands.page, f"Rule {nth} was added.")
        assert hands.steps == nth - 5
    assert started(five)[5:] == [81, 82]


def test_a_rule_is_switched_off_by_one(browse: Browse, alice: User, five: SecurityGroup, keyboard: bool) -> None:
    hands = at(browse, alice, five.get_absolute_url(), keyboard)
    hands.press("button", "Switch rule 2 off")
    said(hands.page, "Rule 2 is off now.")
    assert hands.steps == 1


def test_the_form_of_a_copy_is_opened_by_one(browse: Browse, alice: User, five: SecurityGroup, keyboard: bool) -> None:
    """An exact copy would never act: what is to differ is typed, and Enter makes it."""
    hands = at(browse, alice, five.get_absolute_url(), keyboard)
    hands.press("link", "Duplicate rule 3")
    expect(hands.page.locator("#preview")).to_contain_text("an exact copy would never act")
    assert hands.steps == 1


def test_all_rules_are_deleted_by_three(browse: Browse, alice: User, five: SecurityGroup, keyboard: bool) -> None:
    hands = at(browse, alice, five.get_absolute_url(), keyboard)
    hands.on(hands.page.get_by_label("Select all rules"))
    hands.press("button", "Delete")
    hands.press("button", "Make this change")
    expect(hands.page.get_by_role("heading", name="No rules")).to_be_visible()
    assert (hands.steps, started(five)) == (3, [])


def test_a_group_comes_to_sixty_vms_by_three(
    browse: Browse, alice: User, project: Project, five: SecurityGroup, keyboard: bool
) -> None:
    base = make_group(project, "base", ["accept out all"])
    for n in range(60):
        make_machine(project, f"worker-{n:02}", [base], ipv4=f"10.0.8.{n + 1}")
    new = make_group(project, "new", ["accept in tcp 9100"])
    hands = at(browse, alice, new.get_absolute_url(), keyboard)
    hands.press("link", "Attach to VMs")
    hands.press("button", "Attach to all 61…")
    hands.press("button", "Make this change")
    said(hands.page, "Attached new to 61 VMs")
    assert (hands.steps, new.attachments.count()) == (3, 61)


def test_a_new_customer_takes_two(browse: Browse, admin: User, keyboard: bool) -> None:
    hands = at(browse, admin, "/admin/", keyboard)
    hands.press("link", "New customer")
    hands.fill("Name", "Harbour Works")
    hands.fill("First owner", "new@example.com")
    hands.press("button", "Save")
    expect(hands.page.get_by_role("heading", name="Harbour Works", level=1)).to_be_visible()
    assert hands.steps == 2
    assert Project.objects.filter(slug="harbour-works").exists()


AWS = {
    "SecurityGroups": [
        {
            "GroupName": name,
            "Description": "",
            "GroupId": f"sg-{port}",
            "IpPermissions": [
                {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
            ],
            "IpPermissionsEgress": [],
        }
        for name, port in (("web", 443), ("db", 5432), ("cache", 6379))
    ]
}


def test_three_groups_of_another_cloud_are_brought_by_three(
    browse: Browse, alice: User, project: Project, keyboard: bool
) -> None:
    """Choosing the file is the browser's own."""
    hands = at(browse, alice, f"/p/{project.slug}/groups/", keyboard)
    hands.press("link", "Import")
    hands.page.get_by_label("File").set_input_files(
        {"name": "groups.json", "mimeType": "application/json", "buffer": json.dumps(AWS).encode()}
    )
    hands.press("button", "Check the file")
    hands.press("button", "Import what is ticked")
    said(hands.page, "Imported 3 groups from AWS security groups: web, db and cache.")
    assert hands.steps == 3


def test_from_a_flow_log_to_the_rule_for_a_denied_flow_it_is_three(
    browse: Browse, alice: User, five: SecurityGroup, keyboard: bool
) -> None:
    log = "direction,protocol,source,destination,port\n" + "in,tcp,198.51.100.7,10.9.0.1,8443\n" * 3
    hands = at(browse, alice, f"/p/{five.project.slug}/replay/", keyboard)
    hands.page.get_by_label("Flow log").set_input_files(
        {"name": "flows.csv", "mimeType": "text/csv", "buffer": log.encode()}
    )
    hands.press("button", "Replay")
    hands.on(hands.page.get_by_role("link", name="Add Rule…"))
    hands.press("button", "Add Rule")
    said(hands.page, "Added rule 6.")
    assert hands.steps == 3
    assert started(five)[-1] == 8443
