"""Every door that text comes in by: what deceives is refused in words or kept without it, and what people write is kept.

Whatever the answer was, the tables are read afterwards by SQL: nothing of the kind stands in any column.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from html import unescape
from itertools import islice
from pathlib import Path
from typing import Any

import pgtrigger
import pytest
from allauth.account.adapter import get_adapter
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from securitygroups import operations
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.texts import INSTEAD, clean, clean_lines, visible
from securitygroups.firewall.values import Packet
from securitygroups.models import (
    CaseNote,
    Event,
    GroupRevision,
    GroupTemplate,
    Project,
    Rule,
    SecurityGroup,
    SupportCase,
    SupportVisit,
    User,
    VirtualMachine,
)
from securitygroups.operations import By
from tests.admin.pages import answer, sent, url
from tests.factories import PASSWORD, make_group
from tests.texts import HONEST, HOSTILE, SAME, TURNING
from tests.web.pages import Page, messages

TOLD = re.compile(
    r"Character \d+ (is|turns) .*U\+[0-9A-F]{4,6}\): type|"
    "Type letters from a to z, digits|This field is required|Type a name"
)
BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# No browser can send half of a character, and a request with NUL in a field is answered with 400 before all else; a file
# of JSON can spell both.
SENT = {name: text for name, text in HOSTILE.items() if name not in {"half a character", "NUL"}}
RULE = {"action": "drop", "direction": "in", "protocol": "tcp", "port_start": 22}

# One field in two controls, which are sent beside the others.
JOINED = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
Door = Callable[[str], Any]
# A field reads texts as all others do, which tests/firewall/test_texts.py tries with all of them. Here it is about the doors:
# each gets its share, so that all are tried at some of them.
SHARES = 4


def share(of: Mapping[str, str], door: int) -> Iterator[tuple[str, str]]:
    """Every fourth, from another one on at each door."""
    return islice(of.items(), door % SHARES, None, SHARES)


def kept() -> Iterator[str]:
    """Every text of the app's tables, as it stands there."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
            " AND table_name LIKE 'securitygroups_%' AND data_type IN ('character varying', 'text', 'jsonb')"
        )
        for table, column, kind in cursor.fetchall():
            cursor.execute(f'SELECT "{column}"::text FROM "{table}" WHERE "{column}" IS NOT NULL')
            for (text,) in cursor.fetchall():
                yield from leaves(json.loads(text)) if kind == "jsonb" else (text,)


def leaves(value: Any) -> Iterator[str]:
    """Every text in a value of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.items() if isinstance(value, dict) else value:
            yield from leaves(list(one) if isinstance(one, tuple) else one)


def nothing_deceives() -> None:
    for text in kept():
        assert visible(text, "\n\t") == text
        assert unicodedata.is_normalized("NFC", text)


def told(response: Any) -> str:
    """What the answer says, and where it leads on, the message there."""
    text = unescape(response.content.decode()) if response.status_code != 302 else ""
    return text + unescape(messages(response.client))


@pytest.fixture
def case(machine: VirtualMachine, staff: User) -> SupportCase:
    return operations.open_case(about=machine, packet=Packet(Direction.IN), staff=staff, ticket="T-1")


@pytest.fixture
def panel(as_alice: Client, machine: VirtualMachine, group: SecurityGroup, project: Project) -> dict[str, Door]:
    at, p = group.get_absolute_url(), project.get_absolute_url()
    uid = group.rules.in_order()[1].uid

    forms: dict[str, Any] = {}

    def post(address: str, **fields: object) -> Any:
        # What stands in the form already is sent with it. What was refused has changed nothing of that.
        form = forms.get(address) or Page(as_alice.get(address)).form_with(next(iter(fields)))
        response = form.send(as_alice, **fields)
        forms[address] = None if response.status_code == 302 else form
        return response

    return {
        "a group's name": lambda text: post(f"{p}groups/new/", name=text),
        "a group's description": lambda text: post(f"{at}edit/", description=text),
        "a group's new name": lambda text: post(f"{at}edit/", name=text),
        "the reason of a new name": lambda text: post(f"{at}edit/", name=f"n {id(text)}", reason=text),
        "a copy's name": lambda text: post(f"{at}duplicate/", name=text),
        "a VM's name": lambda text: post(f"{p}machines/new/", name=text),
        "a VM's description": lambda text: post(f"{machine.get_absolute_url()}settings/", description=text),
        "a template's name": lambda text: post(f"{at}template/", name=text),
        "a template's description": lambda text: post(f"{at}template/", name=f"t {id(text)}", description=text),
        "a rule's description": lambda text: post(f"{at}rules/{uid}/", description=text),
        "the reason of a change": lambda text: post(f"{at}rules/{uid}/", description=f"{id(text)}", reason=text),
    }


PANEL = (
    "a group's name", "a group's description", "a group's new name", "the reason of a new name", "a copy's name",
    "a VM's name", "a VM's description", "a template's name", "a template's description", "a rule's description",
    "the reason of a change",
)  # fmt: skip


@pytest.mark.parametrize("door", PANEL)
def test_a_form_of_the_panel_refuses_what_deceives_and_takes_every_language(door: str, panel: dict[str, Door]) -> None:
    send, at = panel[door], PANEL.index(door)

    for name, text in share(SENT, at):
        response = send(text)
        # A reason is one line of words, and as that it is read: breaks between them are spaces.
        harmless = door.startswith("the reason") and response.status_code == 302
        assert harmless or (response.status_code == 422 and TOLD.search(told(response))), name
    nothing_deceives()
    for name, text in share(HONEST, at):
        assert send(text).status_code == 302, name
        assert unicodedata.normalize("NFC", text) in set(kept()), name
    nothing_deceives()


def test_support_s_forms_refuse_what_deceives(as_staff: Client, project: Project) -> None:
    for name, text in SENT.items():
        for fields in ({"reason": text, "ticket": "T-1"}, {"reason": "Asked", "ticket": text}):
            response = as_staff.post(f"/support/{project.slug}/", fields)
            assert response.status_code == 422, name
            assert TOLD.search(told(response)), name
    assert not SupportVisit.objects.exists()
    for text in HONEST.values():
        response = as_staff.post(f"/support/{project.slug}/", {"reason": text, "ticket": text})
        assert response.status_code == 302
    assert set(SupportVisit.objects.values_list("reason", flat=True)) == {
        unicodedata.normalize("NFC", text) for text in HONEST.values()
    }
    nothing_deceives()


def test_a_note_is_kept_without_what_deceives(as_erin: Client, case: SupportCase) -> None:
    for text in SENT.values():
        as_erin.post(f"{case.get_absolute_url()}note/", {"text": f"Seen: {text}!\n\n\tping"})
    for text in HONEST.values():
        as_erin.post(f"{case.get_absolute_url()}note/", {"text": f"{text}\n{text}"})

    assert CaseNote.objects.count() == len(SENT) + len(HONEST)
    nothing_deceives()
    notes = set(CaseNote.objects.values_list("text", flat=True))
    assert {clean_lines(f"{text}\n{text}") for text in HONEST.values()} <= notes


@pytest.fixture
def admin_doors(
    as_admin: Client, machine: VirtualMachine, group: SecurityGroup, project: Project, alice: User
) -> dict[str, Door]:
    one = group.rules.in_order()[1]
    rules = [{"action": "drop", "direction": "in", "protocol": "all"}]

    forms: dict[str, Any] = {}

    def post(address: str, fields: dict[str, object]) -> Any:
        data = forms.get(address) or sent(as_admin, address)
        response = as_admin.post(address, data | fields)
        if response.status_code == 200 and "plan" in response.context:
            response = as_admin.post(address, answer(response))
        forms[address] = None if response.status_code == 302 else data
        return response

    def add(model: Any, **fields: object) -> Any:
        return post(url(model, "add"), fields)

    def change(row: Any, **fields: object) -> Any:
        return post(url(type(row), "change", row.pk), fields)

    return {
        "a group": lambda text: add(SecurityGroup, project=project.pk, name=text),
        "a VM": lambda text: add(VirtualMachine, project=project.pk, name=text, description=text),
        "a template": lambda text: add(GroupTemplate, name=text, rules=json.dumps(rules)),
        "a template's rules": lambda text: add(
            GroupTemplate, name=f"t {id(text)}", rules=json.dumps([rules[0] | {"description": text}])
        ),
        "a rule": lambda text: change(one, description=text),
        "a project": lambda text: change(project, name=text),
        "a person": lambda text: change(alice, **JOINED, first_name=text, last_name=text),
        "a user name": lambda text: add(User, username=text, password1=PASSWORD, password2=PASSWORD),
    }


ADMIN = ("a group", "a VM", "a template", "a template's rules", "a rule", "a project", "a person", "a user name")


@pytest.mark.parametrize("door", ADMIN)
def test_a_form_of_the_admin_refuses_what_deceives_and_takes_every_language(
    door: str, admin_doors: dict[str, Door]
) -> None:
    send, at = admin_doors[door], ADMIN.index(door)

    for name, text in share(SENT, at):
        response = send(text)
        assert response.status_code == 200, name
        assert TOLD.search(told(response)), name
    nothing_deceives()
    for name, text in share(HONEST, at):
        # Who signs in is typed by others too, and letters that look alike would be somebody else.
        assert send(text).status_code == (200 if door == "a user name" else 302), name
    nothing_deceives()


def documents(text: str) -> Iterator[bytes]:
    head = {"format": "karenpanel.group/1", "name": "web", "description": "", "rules": []}
    for changed in ({"name": text}, {"description": text}, {"rules": [RULE | {"description": text}]}):
        yield json.dumps(head | changed).encode()
        yield json.dumps(head | changed, ensure_ascii=False).encode(errors="surrogatepass")


@pytest.mark.parametrize("how", ["file", "text"])
def test_a_document_with_what_deceives_is_refused_whole(how: str, as_erin: Client, project: Project) -> None:
    for at, (name, text) in enumerate(HOSTILE.items(), how == "text"):
        # In one place of the document or another, spelled one way or another: the command below gets all of them.
        for data in islice(documents(text), at % 3, None, 3):
            if how == "text":
                sent_as: Any = data.decode(errors="replace")
            else:
                sent_as = SimpleUploadedFile("group.json", data)
            response = as_erin.post(f"/p/{project.slug}/groups/import/", {how: sent_as})
            page = unescape(response.content.decode())
            if response.status_code == 200:  # half a character, read as the mark for one that cannot be read
                assert INSTEAD in page, name
                continue
            assert response.status_code == 422, name
            assert TOLD.search(page) or "not UTF-8" in page or "is not JSON" in page, name


def test_a_spreadsheet_with_what_deceives_is_refused_whole(as_erin: Client, project: Project) -> None:
    header = "action,direction,protocol,source,destination,port_start,port_end,description,enabled"
    for name, text in SENT.items():
        data = f'{header}\ndrop,in,tcp,,,22,22,"{text}",true\n'
        response = as_erin.post(f"/p/{project.slug}/groups/import/", {"name": "x", "text": data})

        assert response.status_code == 422, name
        assert TOLD.search(unescape(response.content.decode())), name


def test_documents_in_every_language_are_taken_and_come_back(as_erin: Client, project: Project) -> None:
    for name, text in HONEST.items():
        rules = [RULE | {"description": text}]
        data = {"format": "karenpanel.group/1", "name": text, "description": text, "rules": rules}
        question = as_erin.post(f"/p/{project.slug}/groups/import/", {"text": json.dumps(data)})
        assert Page(question).form_with("sure").send(as_erin).status_code == 302, name
        made = SecurityGroup.objects.get(name=unicodedata.normalize("NFC", text))
        for kind in ("json", "csv"):
            taken = as_erin.get(f"{made.get_absolute_url()}export.{kind}").content
            again = as_erin.post(
                f"/p/{project.slug}/groups/import/", {"text": taken.decode(), "name": f"{name} {kind}"}
            )
            assert Page(again).form_with("sure").send(as_erin).status_code == 302
            back = SecurityGroup.objects.get(name=f"{name} {kind}")
            assert back.rules.get().description == made.rules.get().description == made.name
    nothing_deceives()


def test_the_command_line_refuses_what_deceives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    group, packets = tmp_path / "group.json", tmp_path / "packets.jsonl"
    packets.write_text('{"direction": "in", "protocol": "non-ip"}\n', "utf-8")
    for name, text in HOSTILE.items():
        for data in documents(text):
            group.write_bytes(data)
            with pytest.raises(CommandError) as refusal:
                call_command("testpackets", str(group), str(packets))
            said = str(refusal.value)
            assert TOLD.search(said) or "not UTF-8" in said, name
            assert not BIDI.search(said)
    for text in HONEST.values():
        for data in documents(text):
            group.write_bytes(data)
            call_command("testpackets", str(group), str(packets))
    assert capsys.readouterr().err == ""


def test_a_search_is_shown_again_without_what_deceives(
    as_alice: Client, as_staff: Client, group: SecurityGroup, project: Project
) -> None:
    p = project.get_absolute_url()
    addresses = (f"{p}groups/", f"{p}machines/", f"{p}rules/", f"{p}exposure/", group.get_absolute_url())
    for text in TURNING.values():
        for address in addresses:
            response = as_alice.get(address, {"q": text})
            assert response.status_code == 200
            assert not BIDI.search(unescape(response.content.decode())), address
        assert not BIDI.search(unescape(as_alice.get(f"{p}activity/", {"who": text}).content.decode()))
        assert not BIDI.search(unescape(as_staff.get("/support/", {"q": text}).content.decode()))


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_a_name_that_looks_the_same_is_the_same(text: str, project: Project) -> None:
    name = " ".join(unicodedata.normalize("NFC", text).split())
    first = make_group(project, name)

    with pytest.raises(ValidationError, match="already has a group of this name"):
        make_group(project, text)
    operations.update_group(group=first, name=text, description="", by=By())
    assert Event.objects.filter(verb="group.changed").count() == 0
    assert SecurityGroup.objects.get(name=text) == SecurityGroup.objects.named_like(text).get() == first


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("web", "ｗｅｂ"),
        ("web", "WEB"),
        ("fine", "ﬁne"),
        ("É", "e\u0301"),
        ("🔥️", "🔥"),
        ("می‌خواهم", "میخواهم"),
        ("m²", "M2"),
    ],
)
def test_a_name_in_another_shape_is_taken(one: str, other: str, project: Project, as_alice: Client) -> None:
    make_group(project, one)

    response = as_alice.post(f"/p/{project.slug}/groups/new/", {"name": other})

    assert Page(response).errors["name"] == "The project already has a group of this name: type another."


def test_a_suggestion_takes_a_name_with_one_click(as_alice: Client, project: Project) -> None:
    response = as_alice.post(f"/p/{project.slug}/groups/new/", {"name": "we\u200bb"})

    page = unescape(response.content.decode())
    assert "Character 3 is invisible (ZERO WIDTH SPACE, U+200B): type the text without it." in page
    assert 'data-value="web"' in page


@pytest.mark.parametrize("name", ["раypal", "Αcme Shop"])
def test_a_project_imitates_no_other(name: str, as_admin: Client, project: Project) -> None:
    data = sent(as_admin, url(Project, "change", project.pk)) | {"name": name}

    response = as_admin.post(url(Project, "change", project.pk), data)

    assert "can imitate another name: write it in one alphabet" in unescape(response.content.decode())
    project.refresh_from_db()
    assert project.name == "Shop"


def test_a_person_s_name_is_taken_whatever_its_case_and_stays_good_if_it_is_old(as_admin: Client, alice: User) -> None:
    add = url(User, "add")
    taken = as_admin.post(add, {"username": "ALICE", "password1": PASSWORD, "password2": PASSWORD})
    User.objects.filter(pk=alice.pk).update(username="älice")
    address = url(User, "change", alice.pk)
    data = sent(as_admin, address) | JOINED | {"first_name": "Alice"}

    same, other = as_admin.post(address, data), as_admin.post(address, data | {"username": "ölice"})

    assert "Somebody already has this user name" in unescape(taken.content.decode())
    assert (same.status_code, other.status_code) == (302, 200)
    assert "Type letters from a to z, digits and @ . + - _ only" in unescape(other.content.decode())
    alice.refresh_from_db()
    assert (alice.username, alice.first_name) == ("älice", "Alice")


@pytest.mark.parametrize("name", ["\u0430lice", "ａｌｉｃｅ", "ali\u200bce", "älice", "alice\u3164", "ALICE", "alice "])
def test_no_account_is_made_under_a_name_that_passes_for_another(name: str, alice: User) -> None:
    with pytest.raises(ValidationError):
        get_adapter().clean_username(clean(name))


@pytest.fixture
def stored(machine: VirtualMachine, group: SecurityGroup, case: SupportCase, alice: User, staff: User) -> Project:
    """A project in which, by SQL, everything that people write has a text in it that turns what follows."""
    project = machine.project
    evil = "evil\u202e\u2066\u200btxt.exe"
    operations.open_visit(project=project, staff=staff, reason="Asked", ticket="T-1")
    operations.add_note(case=case, text="Hello", by=By(alice))
    operations.save_template(group=group, name="tpl", description="", by=By(alice))
    names = [("securitygroup", "name"), ("securitygroup", "description"), ("virtualmachine", "description")]
    names += [("virtualmachine", "name"), ("project", "name"), ("rule", "description"), ("grouptemplate", "name")]
    names += [("grouptemplate", "description"), ("user", "first_name")]
    records = [
        (model, column)
        for model in ("event", "grouprevision", "machinerevision")
        for column in ("summary", "actor_name")
    ]
    records += [("grouprevision", "reason"), ("machinerevision", "reason"), ("supportcase", "ticket")]
    records += [
        ("supportvisit", "reason"),
        ("supportvisit", "ticket"),
        ("casenote", "text"),
        ("casenote", "author_name"),
    ]
    lists = [("grouprevision", "rules"), ("machinerevision", "groups"), ("event", "detail"), ("supportcase", "rules")]
    lists += [("grouptemplate", "rules")]
    with pgtrigger.ignore(), connection.cursor() as cursor:
        for model, column in (*names, *records):
            cursor.execute(
                f'UPDATE securitygroups_{model} SET "{column}" = left("{column}", 20) || %s || id',
                [evil],
            )
        for model, column in lists:
            cursor.execute(
                f"UPDATE securitygroups_{model} SET {column} = regexp_replace({column}::text,"
                """ '("(description|name|reason)": ")', '\\1' || %s, 'g')::jsonb""",
                [evil],
            )
    return Project.objects.get(pk=project.pk)


def test_what_was_kept_past_the_rule_is_shown_harmless_on_every_page(
    stored: Project, as_alice: Client, as_staff: Client, as_admin: Client, group: SecurityGroup, machine: VirtualMachine
) -> None:
    p, g, m = stored.get_absolute_url(), group.get_absolute_url(), machine.get_absolute_url()
    case, rule = SupportCase.objects.get(), group.rules.in_order()[0]
    packet = "?test=1&direction=in&protocol=tcp&source=203.0.113.9&destination=10.0.1.11&port=22"
    pages = [p, f"{p}activity/", f"{p}members/", f"{p}groups/", f"{p}templates/", f"{p}cases/", f"{p}rules/?q=tcp"]
    pages += [f"{p}review/", f"{p}review/signed/"]
    pages += [f"{p}exposure/", f"{p}machines/", case.get_absolute_url(), f"{p}groups/new/", f"{p}machines/new/"]
    pages += [
        f"{g}{end}"
        for end in ("", "edit/", "history/", "history/1/", "delete/", "test/" + packet, "replay/", "machines/")
    ]
    pages += [f"{g}rules/{rule.uid}/", *(f"{g}export.{kind}" for kind in ("json", "csv", "txt"))]
    pages += [
        f"{m}{end}" for end in ("", "settings/", "history/", "history/1/", "test/" + packet, "ruleset/", "delete/")
    ]

    for address in pages:
        response = as_alice.get(address)
        text = unescape(response.content.decode())
        assert response.status_code == 200, address
        assert not BIDI.search(text), address
        assert "\u200b" not in text, address
    marked = as_alice.get(f"{g}history/1/").content.decode()
    assert f"evil{INSTEAD * 3}txt.exe" in marked
    for model in (
        Event,
        GroupRevision,
        SupportCase,
        SupportVisit,
        CaseNote,
        SecurityGroup,
        Rule,
        Project,
        GroupTemplate,
    ):
        row = model._default_manager.order_by("pk")[0]
        for address in (url(model), url(model, "change", row.pk)):
            assert not BIDI.search(unescape(as_admin.get(address).content.decode())), address
    assert not BIDI.search(unescape(as_staff.get("/support/", {"q": "web"}).content.decode()))


def test_what_was_kept_past_the_rule_can_still_be_changed(
    stored: Project, as_alice: Client, group: SecurityGroup, machine: VirtualMachine
) -> None:
    now = SecurityGroup.objects.get(pk=group.pk)
    uid = group.rules.in_order()[1].uid

    renamed = Page(as_alice.get(f"{group.get_absolute_url()}edit/")).form_with("name").send(as_alice)
    edited = Page(as_alice.get(f"{group.get_absolute_url()}rules/{uid}/")).form_with("description")
    template = GroupTemplate.objects.get()
    started = as_alice.post(f"/p/{stored.slug}/groups/new/", {"name": "new", "template": f"own-{template.pk}"})

    assert edited.send(as_alice, description="Plain words").status_code == 302
    assert (renamed.status_code, started.status_code) == (302, 302)
    assert group.rules.get(uid=uid).description == "Plain words"
    newest = GroupRevision.objects.get(group=group, number=2)
    assert "Changed rule 2." in newest.summary
    assert now.name == f"webevil{INSTEAD * 3}txt.exe{group.pk}"
