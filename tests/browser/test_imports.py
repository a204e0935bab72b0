"""From a file of another system to its groups: so many clicks, with keys alone, without script, and fit for every eye."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from securitygroups.firewall.formats import systems
from securitygroups.models import Project, SecurityGroup, User
from tests import others
from tests.browser.conftest import Browse, Look, said
from tests.factories import make_group

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]

LONG = "".join(
    f'deny SecurityGroups[{nth}].IpPermissions[{nth}].UserIdGroupPairs[0].GroupId="sg-0a1b2c3d4e5f60718of123456789012"\n'
    for nth in range(8)
)
FILE = f"#otherwall\nstray\ngroup web\nallow 443\ngroup db\nless 3306\n{LONG}group bastion\nallow 22\n"


@pytest.fixture(autouse=True)
def other_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems, "SYSTEMS", (others.SYSTEM,))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "describe-security-groups.json"
    path.write_text(FILE)
    return path


def live(project: Project) -> set[str]:
    return set(project.groups.live().values_list("name", flat=True))


@pytest.mark.parametrize("script", [True, False])
def test_from_the_file_to_three_groups_it_is_three_clicks_and_undo_one(
    script: bool, browse: Browse, erin: User, project: Project, file: Path
) -> None:
    page = browse(erin, script=script)
    page.goto(f"/p/{project.slug}/groups/")
    page.get_by_role("link", name="Import", exact=True).click()
    page.get_by_label("File").set_input_files(file)  # choosing it is the browser's
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_text("This opens SSH (TCP 22) to every address on the internet.").first).to_be_visible()
    page.get_by_role("button", name="Import them all the same").click()

    said(page, "Imported 3 groups from Otherwall rules: web, db and bastion.")
    assert live(project) == {"web", "db", "bastion"}
    page.get_by_role("button", name="Undo").click()
    said(page, "Undone: 3 groups are gone again.")
    assert live(project) == set()


def test_keys_alone_leave_a_group_out_and_name_another(
    browse: Browse, erin: User, project: Project, file: Path
) -> None:
    page = browse(erin)
    page.goto(f"/p/{project.slug}/groups/import/")
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Check the file").press("Enter")
    page.get_by_role("checkbox", name="Import web").press("Space")
    expect(page.get_by_role("button", name="Import them all the same")).to_be_visible()
    page.get_by_role("checkbox", name="Import bastion").press("Space")
    unticked = page.get_by_text("(not ticked)", exact=True)
    expect(unticked).to_have_count(1)
    expect(unticked).to_be_visible()
    expect(page.get_by_role("button", name="Import what is ticked")).to_be_visible()
    page.get_by_role("checkbox", name="Import bastion").press("Space")
    expect(unticked).to_be_hidden()
    name = page.get_by_role("textbox", name="Name of db")
    name.fill("database")
    name.press("Enter")

    said(page, "Imported 2 groups from Otherwall rules: database and bastion.")
    assert live(project) == {"database", "bastion"}


def test_of_many_groups_a_few_are_wanted(browse: Browse, erin: User, project: Project, tmp_path: Path) -> None:
    path = tmp_path / "groups.txt"
    path.write_text("#otherwall\n" + "".join(f"group g{nth}\nallow {nth}\n" for nth in range(18, 26)))
    page = browse(erin)
    page.goto(f"/p/{project.slug}/groups/import/")
    page.get_by_label("File").set_input_files(path)
    page.get_by_role("button", name="Check the file").click()
    every = page.get_by_role("checkbox", name="All of these groups")
    expect(every).to_be_checked()
    every.uncheck()
    expect(page.get_by_text("0 of 8 ticked")).to_be_visible()
    page.get_by_role("checkbox", name="Import g20").check()
    expect(page.get_by_text("1 of 8 ticked")).to_be_visible()
    page.get_by_role("button", name="Import what is ticked").click()

    said(page, "Imported g20 from Otherwall rules.")
    assert live(project) == {"g20"}


def test_the_report_is_fetched_and_the_import_goes_on(browse: Browse, erin: User, project: Project, file: Path) -> None:
    page = browse(erin)
    page.goto(f"/p/{project.slug}/groups/import/")
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Check the file").click()
    with page.expect_download() as coming:
        page.get_by_role("button", name="Whole report").click()
    assert coming.value.suggested_filename == "import-report.csv"
    page.get_by_role("button", name="Import them all the same").click()

    said(page, "Imported 3 groups from Otherwall rules: web, db and bastion.")


def test_what_an_import_asks_is_fit_for_every_eye(
    browse: Browse, look: Look, erin: User, project: Project, group: SecurityGroup, file: Path
) -> None:
    make_group(project, "db")
    page = browse(erin)
    for start, name, seen in (
        (f"/p/{project.slug}/groups/import/", "several", "Lines of no group"),
        (f"{group.get_absolute_url()}import/", "which", "Whose rules"),
    ):
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(start)
        page.get_by_label("File").set_input_files(file)
        page.get_by_role("button", name="Check the file").click()
        expect(page.get_by_text(seen)).to_be_visible()
        look(page, f"import: {name}")
    page.get_by_label("db").check()
    page.get_by_role("button", name="Go on").last.click()
    expect(page.get_by_text("How its lines were taken")).to_be_visible()
    look(page, "import: over a group, with a report")
    page.goto("/help/import/")
    look(page, "help: bring rules from elsewhere")
