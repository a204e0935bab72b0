"""Files out and in: what is exported comes back as it was, after a look; a bad file changes nothing."""

import csv
import io
import json
import zipfile
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from securitygroups import operations
from securitygroups.firewall.formats.spreadsheet import read_any, write_csv
from securitygroups.firewall.values import RuleList
from securitygroups.models import Project, SecurityGroup, values
from securitygroups.operations import By
from securitygroups.web.brought import File, origin
from securitygroups.web.views.exports import KINDS
from tests.factories import make_group, make_machine, ports, rule
from tests.web.pages import HTMX, Page, messages, say_yes

NASTY = [
    rule("accept in tcp 22 from 203.0.113.0/24", '=HYPERLINK("http://x","y")'),
    rule("accept in udp 53 from 2001:db8::/32", 'quotes "and", commas; tabs', enabled=False),
    rule("drop in ip to 192.0.2.0/24", "日本語 – <script>alert(1)</script>"),
    rule("accept out all", "+1 -1 @x"),
]


@pytest.fixture
def nasty(project: Project) -> SecurityGroup:
    return make_group(project, "nasty", NASTY, description="All of it")


def rules_of(group: SecurityGroup) -> RuleList:
    return values(list(group.rules.in_order()))


def revision(group: SecurityGroup) -> int:
    return SecurityGroup.objects.get(pk=group.pk).revision


def export(client: Client, group: SecurityGroup, kind: str) -> Any:
    return client.get(f"{group.get_absolute_url()}export.{kind}")


def over(group: SecurityGroup) -> str:
    return f"{group.get_absolute_url()}import/"


def new(project: Project) -> str:
    return f"/p/{project.slug}/groups/import/"


def upload(content: bytes, name: str = "rules.json") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


# ── Export ────────────────────────────────────────────────────────────────────


def test_json_is_the_document_that_stays_stable(as_bob: Client, nasty: SecurityGroup) -> None:
    response = export(as_bob, nasty, "json")
    document = json.loads(response.content)
    assert response["Content-Type"] == "application/json"
    assert list(document) == ["format", "name", "description", "rules"]
    assert (document["format"], document["name"], document["description"]) == (
        "karenpanel.group/1",
        "nasty",
        "All of it",
    )
    assert [found["description"] for found in document["rules"]] == [one.description for one in NASTY]
    assert export(as_bob, nasty, "json").content == response.content


def test_csv_is_read_by_others(as_bob: Client, nasty: SecurityGroup) -> None:
    response = export(as_bob, nasty, "csv")
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert response.content.startswith(b"\xef\xbb\xbf"), "or Excel takes é for two letters"
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    # A spreadsheet would run the first and the last one as formulas.
    words = [one.description for one in NASTY]
    assert [row["description"] for row in rows] == [f"'{words[0]}", words[1], words[2], f"'{words[3]}"]
    assert [row["enabled"] for row in rows] == ["true", "false", "true", "true"]


def test_a_workbook_has_the_words_of_the_screen_and_no_formula(as_bob: Client, nasty: SecurityGroup) -> None:
    content = export(as_bob, nasty, "xlsx").content
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml").decode()
        words = parts.read("xl/sharedStrings.xml").decode()
    assert "<f>" not in sheet
    assert 'state="frozen"' in sheet
    for word in ("Source IP Address", "Accept", "In", "TCP", "日本語", "&lt;script&gt;"):
        assert word in words
    assert export(as_bob, nasty, "xlsx").content == content, "equal rules are equal bytes"


def test_markdown_is_for_a_ticket_and_nothing_in_it_is_markup(as_bob: Client, project: Project) -> None:
    rules = [rule("accept in tcp 22 from 203.0.113.0/24", "@bob | `x` [a](http://x)"), *ports(1)]
    group = make_group(project, "*web*", rules)
    response = export(as_bob, group, "md")
    assert response["Content-Type"] == "text/markdown; charset=utf-8"
    assert response.content.decode() == (
        f"### Security Group `*web*`\n\n`{group.public_id}`, revision 1\n\n| # | Rule | Description |\n| --: | --- | --- |\n"
        "| 1 | Accept inbound TCP to port 22 (SSH) from 203.0.113.0/24 | ``@bob \\| `x` [a](http://x)`` |\n"
        "| 2 | Accept inbound TCP to port 1 from anywhere |  |\n\nWhat no rule matches is denied.\n"
    )


@pytest.mark.parametrize(
    ("description", "cell"),
    [
        ("a|b", r"`a\|b`"),
        ("`a`|", r"`` `a`\| ``"),
        ("a\\|b", r"`a\` `\|b`"),
        ("ends in \\", r"`ends in \`"),
        ("<br>**x**", "`<br>**x**`"),
    ],
)
def test_a_description_stays_in_its_cell_of_a_table(
    description: str, cell: str, as_bob: Client, project: Project
) -> None:
    group = make_group(project, "a|b", [rule("accept in tcp 1", description)])
    lines = export(as_bob, group, "md").content.decode().splitlines()

    assert lines[0] == "### Security Group `a|b`", "outside of a table a bar is a bar"
    assert lines[6] == f"| 1 | Accept inbound TCP to port 1 from anywhere | {cell} |"


def test_every_kind_has_all_of_a_long_list_and_of_an_empty_one(as_bob: Client, project: Project) -> None:
    long, empty = make_group(project, "long", ports(*range(1, 1001))), make_group(project, "empty")
    for kind in KINDS:
        assert export(as_bob, empty, kind).status_code == 200
        assert len(export(as_bob, long, kind).content) > len(export(as_bob, empty, kind).content) + 5_000
    for kind in ("json", "csv", "xlsx"):
        assert read_any(export(as_bob, long, kind).content).rules == tuple(ports(*range(1, 1001)))
    # Each rule once, and the comparisons that lead to its part.
    lines = export(as_bob, long, "nft").content.splitlines()
    assert sum(b"tcp dport" in line and b"counter name" in line for line in lines) == 1000
    assert export(as_bob, long, "md").content.count(b"\n| ") == 1002


def test_the_ruleset_of_a_group_is_what_a_vm_with_it_alone_has(as_bob: Client, nasty: SecurityGroup) -> None:
    text = export(as_bob, nasty, "nft").content.decode()
    assert text.startswith(f"# The rules of {nasty.public_id} alone, revision 1")
    assert "tcp dport 22" in text
    assert "203.0.113.0/24" in text
    assert "evil" not in text


def test_text_is_for_a_ticket(as_bob: Client, nasty: SecurityGroup) -> None:
    response = export(as_bob, nasty, "txt")
    lines = response.content.decode().splitlines()
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert lines[0] == f"nasty ({nasty.public_id}), revision 1"
    assert lines[1] == '   1. Accept inbound TCP to port 22 (SSH) from 203.0.113.0/24  # =HYPERLINK("http://x","y")'
    assert "(switched off)  # quotes" in lines[2]
    assert lines[-1].strip() == "What no rule matches is denied."
    assert len(lines) == 6


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("web", 'filename="web.{}"'),
        ("Web servers (EU)", 'filename="Web-servers--EU-.{}"'),
        ('a"; filename="evil.exe', 'filename="a---filename--evil.exe.{}"'),
        ("../../etc/passwd", 'filename="..-..-etc-passwd.{}"'),
        ("日本", "filename=\"--.{0}\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.{0}"),
        ("<b>é\\", "filename=\"-b---.{0}\"; filename*=UTF-8''-b-%C3%A9-.{0}"),
        ("%00%0d%0aX-Evil: 1", 'filename="-00-0d-0aX-Evil--1.{}"'),
        ("x" * 100, f'filename="{"x" * 60}.{{}}"'),
    ],
)
def test_a_hostile_name_makes_a_harmless_file_name(name: str, file: str, as_bob: Client, project: Project) -> None:
    group = make_group(project, name, ports(1))
    for kind in KINDS:
        response = export(as_bob, group, kind)
        assert response["Content-Disposition"] == f"attachment; {file.format(kind)}"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert "X-Evil" not in response


def test_a_group_without_rules_is_exported_and_comes_back(as_alice: Client, project: Project) -> None:
    empty = make_group(project, "empty")
    for kind in ("json", "csv", "xlsx"):
        content = export(as_alice, empty, kind).content
        question = as_alice.post(new(project), {"file": upload(content), "name": f"from {kind}"})
        Page(question).form_with("sure").send(as_alice)
        assert rules_of(SecurityGroup.objects.get(name=f"from {kind}")) == ()


@pytest.mark.parametrize("kind", ["xml", "jsonx", "JSON", "json/", "exe"])
def test_other_kinds_are_not_offered(kind: str, as_bob: Client, nasty: SecurityGroup) -> None:
    assert export(as_bob, nasty, kind).status_code == 404


# ── Where it comes from ───────────────────────────────────────────────────────


def test_a_page_says_from_which_file_and_sheet_the_rules_are(
    as_erin: Client, nasty: SecurityGroup, project: Project
) -> None:
    content = export(as_erin, nasty, "xlsx").content
    words = "From rules-2026.xlsx. Read as Excel workbook, sheet Rules, 1 group"
    fresh = {"name": "copy", "file": upload(content, "rules-2026.xlsx")}

    assert words in Page(as_erin.post(new(project), fresh)).text
    other = make_group(project, "other", ports(1))
    assert words in Page(as_erin.post(over(other), {"file": upload(content, "rules-2026.xlsx"), "base": 1})).text
    assert rules_of(other) == tuple(ports(1))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rules.csv", "From rules.csv. "),
        ("a\u202egpj.csv", "From a\ufffdgpj.csv. "),
        (" \n", ""),
        ("", ""),
        ("x" * 70, f"From {'x' * 59}…. "),
    ],
)
def test_a_name_of_a_file_deceives_nobody(name: str, words: str) -> None:
    assert origin(File(b"", name)) == words


# ── Import into a new group ───────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "pasted"), [("json", True), ("json", False), ("csv", True), ("csv", False), ("xlsx", False)]
)
def test_what_was_exported_comes_back_as_a_new_group(
    kind: str, pasted: bool, as_erin: Client, nasty: SecurityGroup, project: Project
) -> None:
    content = export(as_erin, nasty, kind).content
    sent = {"text": content.decode().replace("\n", "\r\n")} if pasted else {"file": upload(content)}
    question = as_erin.post(new(project), sent | {"name": "copy"})
    page = Page(question)
    assert question.status_code == 200
    assert "4 rules for copy" in page.text
    assert "Newly allowed: inbound TCP 22 (SSH) from 203.0.113.0/24" in page.text
    assert not SecurityGroup.objects.filter(name="copy").exists()
    assert page.form_with("sure").send(as_erin).status_code == 302
    made = SecurityGroup.objects.get(name="copy")
    assert rules_of(made) == rules_of(nasty)
    assert made.description == ("All of it" if kind == "json" else "")
    assert made.revisions.get().summary == "Imported with 4 rules."


def test_the_list_of_rules_that_a_search_finds_comes_in_again(
    as_erin: Client, nasty: SecurityGroup, project: Project
) -> None:
    listed = as_erin.get(f"/p/{project.slug}/rules/list.csv").content
    assert listed.startswith(b"\xef\xbb\xbfGroup,ID of group,#,Rule,ID,action,")
    Page(as_erin.post(new(project), {"file": upload(listed, "rules.csv"), "name": "copy"})).form_with("sure").send(
        as_erin
    )
    assert rules_of(SecurityGroup.objects.get(name="copy")) == rules_of(nasty)


def test_a_workbook_that_is_refused_leaves_no_bytes_in_the_box(as_erin: Client, project: Project) -> None:
    response = as_erin.post(new(project), {"file": upload(b"PK\x03\x04" + b"\0" * 90, "rules.xlsx"), "name": "x"})
    page = Page(response)
    assert response.status_code == 422
    assert "The file is a workbook, but it is damaged" in page.text
    assert page.form_with("file").fields["text"][0].strip() == ""


def test_the_name_in_the_document_is_taken_where_none_is_typed(
    as_erin: Client, nasty: SecurityGroup, project: Project
) -> None:
    content = export(as_erin, nasty, "json").content.replace(b'"nasty"', b'"from the file"')
    Page(as_erin.post(new(project), {"file": upload(content)})).form_with("sure").send(as_erin)
    assert SecurityGroup.objects.filter(name="from the file").exists()


def test_a_name_that_is_taken_is_told_and_nothing_typed_is_lost(
    as_erin: Client, nasty: SecurityGroup, project: Project
) -> None:
    page = Page(as_erin.post(new(project), {"text": export(as_erin, nasty, "json").content.decode()}))
    response = page.form_with("sure").send(as_erin)
    again = Page(response)
    assert response.status_code == 422
    assert "already has a group of this name" in again.errors["name"]
    Page(again.form_with("text").send(as_erin, name="free")).form_with("sure").send(as_erin)
    assert rules_of(SecurityGroup.objects.get(name="free")) == rules_of(nasty)


def test_a_group_needs_a_name_in_the_end(as_erin: Client, nasty: SecurityGroup, project: Project) -> None:
    page = Page(as_erin.post(new(project), {"text": write_csv(NASTY)}))
    assert "a group without a name" in page.text
    response = page.form_with("sure").send(as_erin)
    assert response.status_code == 422
    assert "name" in Page(response).errors
    assert project.groups.count() == 1


def test_sending_the_import_twice_makes_one_group(as_erin: Client, project: Project) -> None:
    form = Page(as_erin.post(new(project), {"text": write_csv(NASTY), "name": "once"})).form_with("sure")
    answers = [form.send(as_erin, *tab).status_code for tab in ([], [], ["once"])]
    assert answers == [302, 302, 422], "the second click is the first; another tab is not"
    assert project.groups.count() == 1


def test_over_the_quota_of_groups_nothing_is_imported(as_erin: Client, nasty: SecurityGroup, project: Project) -> None:
    project.max_groups = 1
    operations.update_project(project=project, by=By())
    form = Page(as_erin.post(new(project), {"text": write_csv(NASTY), "name": "more"})).form_with("sure")
    response = form.send(as_erin)
    assert response.status_code == 422
    assert "has its 1 group already" in Page(response).text
    assert project.groups.count() == 1


BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "There is nothing in it"),
    "not JSON": (b'{"format": ', "This is not JSON"),
    "not CSV": (b"action;direction", "There is no column for the protocol"),
    "a bad rule": (write_csv([rule("accept in tcp 90-80")]).encode(), "line 2, port_end"),
    "Latin-1": (b"\xe9", "No row names the columns"),
    "UTF-16": ("{}".encode("utf-16"), "of no kind that is read here"),
    "deep": (b"[" * 100_000, "nested too deeply"),
    "NUL": (b'{"a": "\0"}', "This is not JSON"),
    "markup": (b"<script>alert(1)</script>", "No row names the columns"),
    "markup in a key": (b'{"<script>alert(1)</script>": 1}', "of no kind that is read here"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_refused_whole_with_its_place(
    what: str, as_erin: Client, nasty: SecurityGroup, project: Project
) -> None:
    content, words = BAD[what]
    for address in (new(project), over(nasty)):
        response = as_erin.post(address, {"file": upload(content or b" "), "name": "bad", "base": 1, "sure": "1"})
        assert response.status_code == 422
        assert words in Page(response).text
        assert b"<script>alert" not in response.content
    assert (project.groups.count(), revision(nasty)) == (1, 1)


def test_many_faults_are_counted_and_the_first_shown(as_erin: Client, project: Project) -> None:
    text = write_csv([rule("accept in tcp 90-80")] * 30)
    page = Page(as_erin.post(new(project), {"text": text, "name": "x"}))
    assert "Nothing was imported: the file has 30 faults" in page.text
    assert "line 21, port_end" in page.text
    assert "line 22, port_end" not in page.text
    assert "and 10 faults more" in page.text
    assert page.text.count("Did you mean 80–90?") == 1, "the same is said once, of all its places"


def test_a_cell_with_two_ports_has_one_fault(as_erin: Client, project: Project) -> None:
    text = "Direction;Action;Protocol;Source IP Address;Destination Port Range\nIn;Accept;ICMP;10.0.0.0/8;53\n"

    page = Page(as_erin.post(new(project), {"text": text, "name": "x"}))

    assert "Nothing was imported: the file has 1 fault" in page.text
    assert "line 2, Destination Port Range : ICMP rules have no Destination Port Range" in page.text


def test_nothing_at_all_is_no_file_with_a_fault(as_erin: Client, project: Project) -> None:
    page = Page(as_erin.post(new(project), {"text": "", "name": "x"}))

    assert "Nothing was imported There is nothing in it: choose a file, or paste a document." in page.text


@pytest.mark.parametrize("as_file", [True, False])
def test_more_rules_than_the_quota_are_refused(
    as_file: bool, as_erin: Client, nasty: SecurityGroup, project: Project
) -> None:
    text = write_csv(ports(*range(1, 1002)))
    for address in (new(project), over(nasty)):
        sent: dict[str, Any] = {"file": upload(text.encode())} if as_file else {"text": text}
        response = as_erin.post(address, sent | {"name": "much", "base": 1})
        assert response.status_code == 422
        page = Page(response)
        assert "A group of this project can have 1000 rules, this would be 1001" in page.text
        assert page.form_with("file").fields["text"][0].split() == text.split(), "to be mended here"
    assert (project.groups.count(), revision(nasty)) == (1, 1)


def test_eighty_thousand_rules_are_refused_in_words(as_erin: Client, project: Project) -> None:
    text = write_csv(ports(*range(1, 1001)))
    header, _, rows = text.partition("\n")
    response = as_erin.post(new(project), {"file": upload(f"{header}\n{rows * 80}".encode()), "name": "much"})
    assert response.status_code == 422
    assert "more than 20,000 rules" in Page(response).text


def test_a_file_over_the_limit_is_refused_in_words(as_erin: Client, project: Project) -> None:
    response = as_erin.post(new(project), {"file": upload(b" " * (8 * 2**20 + 1)), "name": "much"})
    assert response.status_code == 422
    assert "larger than 8 MiB" in Page(response).text


def test_a_management_port_that_a_file_opens_is_asked_about_in_red(as_erin: Client, project: Project) -> None:
    page = Page(as_erin.post(new(project), {"text": write_csv([rule("accept in tcp 22")]), "name": "door"}))
    assert "This opens SSH (TCP 22) to every address on the internet." in page.text
    assert "Import it all the same" in page.text
    assert page.form_with("sure").send(as_erin).status_code == 302


def test_a_document_is_previewed_while_it_is_pasted(as_erin: Client, nasty: SecurityGroup, project: Project) -> None:
    def peek(address: str, text: str) -> str:
        response = as_erin.post(address, {"text": text, "base": "1", "preview": "1"}, headers=HTMX)
        page = Page(response)
        assert (response.status_code, page.ids) == (200, ["preview"])
        assert 'name="seen"' not in response.content.decode(), "the rules themselves come on the next page"
        return page.text

    ssh = write_csv([rule("accept in tcp 22")])
    for address in (new(project), over(nasty)):
        assert "as soon as the form is filled in" in peek(address, " ")
        assert "line 1" in peek(address, "nonsense")
        assert "This opens SSH" in peek(address, ssh)
        assert "can have 1000 rules" in peek(address, write_csv(ports(*range(1, 1002))))
    assert "No traffic changes" in peek(over(nasty), export(as_erin, nasty, "csv").content.decode("utf-8-sig"))
    assert (project.groups.count(), revision(nasty)) == (1, 1)


# ── Import over a group ───────────────────────────────────────────────────────


def test_the_file_s_rules_take_the_place_of_the_group_s_after_a_look(
    as_erin: Client, nasty: SecurityGroup, project: Project
) -> None:
    make_machine(project, "vm", [nasty])
    document = export(as_erin, make_group(project, "other", [*NASTY[:2], *ports(7)]), "json").content
    question = as_erin.post(over(nasty), {"file": upload(document), "base": 1, "reason": "Ticket 9"})
    page = Page(question)
    assert page.title.startswith("Change nasty?")
    for words in ("Rule 3: Accept inbound TCP to port 7", "Rule 3: Drop inbound IP", "Newly allowed: inbound TCP 7"):
        assert words in page.text
    assert "Rule 1:" not in page.text, "what is in both is no difference"
    assert revision(nasty) == 1
    kept = list(nasty.rules.in_order().values_list("uid", flat=True))[:2]
    assert say_yes(as_erin, question).status_code == 302
    assert "Imported 3 rules." in messages(as_erin)
    assert rules_of(nasty) == (*NASTY[:2], *ports(7))
    assert list(nasty.rules.in_order().values_list("uid", flat=True))[:2] == kept
    assert nasty.revisions.latest("number").reason == "Ticket 9"
    assert SecurityGroup.objects.get(pk=nasty.pk).name == "nasty"


@pytest.mark.parametrize("kind", ["json", "csv", "xlsx"])
def test_a_group_s_own_export_changes_nothing(kind: str, as_erin: Client, nasty: SecurityGroup) -> None:
    content = export(as_erin, nasty, kind).content
    assert as_erin.post(over(nasty), {"file": upload(content), "base": 1}).status_code == 302
    assert "Nothing was changed." in messages(as_erin)
    assert revision(nasty) == 1


def test_the_file_wins_over_the_text(as_erin: Client, nasty: SecurityGroup) -> None:
    sent = {"file": upload(write_csv(ports(1)).encode()), "text": write_csv(ports(2)), "base": 1}
    say_yes(as_erin, as_erin.post(over(nasty), sent))
    assert rules_of(nasty) == ports(1)


def test_another_file_than_the_one_looked_at_is_asked_about_again(as_erin: Client, nasty: SecurityGroup) -> None:
    form = Page(as_erin.post(over(nasty), {"text": write_csv(ports(1)), "base": 1})).form_with("sure")
    other = form.send(as_erin, text=write_csv(ports(22)))
    assert Page(other).title.startswith("Change nasty?")
    assert revision(nasty) == 1


def test_who_may_only_look_exports_and_does_not_import(
    as_bob: Client, as_charlie: Client, nasty: SecurityGroup, project: Project
) -> None:
    for address in (new(project), over(nasty)):
        assert as_bob.get(address).status_code == 403
        assert as_bob.post(address, {"text": write_csv(NASTY), "name": "x", "base": 1, "sure": "1"}).status_code == 403
        assert as_charlie.post(address, {"text": write_csv(NASTY), "name": "x", "base": 1}).status_code == 404
    for kind in KINDS:
        assert export(as_charlie, nasty, kind).status_code == 404
    assert (project.groups.count(), revision(nasty)) == (1, 1)


def test_of_two_ways_to_say_the_same_none_is_called_optional(
    as_erin: Client, nasty: SecurityGroup, project: Project
) -> None:
    for page in (nasty.get_absolute_url() + "import/", f"/p/{project.slug}/groups/import/"):
        text = Page(as_erin.get(page)).text
        assert "File As exported here" in text
        assert "Or paste it optional" not in text
    replay = Page(as_erin.get(nasty.get_absolute_url() + "replay/")).text
    assert replay.count("optional") == 2, "the VMs' own addresses, and to compare at all"
