"""The command against a server: signing in, reading, editing, packets."""

import json
import os
import re
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from pytest_django.live_server_helper import LiveServer

from securitygroups.command import editing
from securitygroups.command.panel import Trouble
from securitygroups.models import Project, Scope, SecurityGroup, User, VirtualMachine
from tests.api.conftest import secret_of
from tests.command.conftest import Editor, Terminal, commit
from tests.factories import make_group, make_project

pytestmark = pytest.mark.django_db(transaction=True)

WEB = """\
drop in ip from 192.0.2.66/32                   # Abuse
accept in tcp 443                               # Public HTTPS
accept in tcp 22 from 203.0.113.0/24            # Office SSH
off accept in tcp 8000-8010 from 2001:db8::/32  # Not yet
accept out all                                  # Everything out
"""


def list_of(group: SecurityGroup) -> list[str]:
    return [f"{one.action} {one.protocol} {one.port_start or ''}".strip() for one in group.rules.in_order()]


def kept_in(said: str) -> Path:
    """The file of what was typed."""
    found = re.search(r"What you typed is in (\S+\.rules)\.", said)
    assert found, said
    assert "Nothing was changed." in said or "It does not answer." in said
    return Path(found[1])


# ── Signing in ────────────────────────────────────────────────────────────────


def test_a_login_is_kept_for_its_owner_alone_and_forgotten(
    live_server: LiveServer, terminal: Terminal, erin: User, group: SecurityGroup, home: Path
) -> None:
    secret = secret_of(erin)

    said = terminal("login", f"{live_server.url}/", typed=f"{secret}\n").output

    (file,) = (home / "config").rglob("login.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) & 0o077 == 0
    assert secret not in said
    assert "Project: shop." in said
    assert "web" in terminal("groups").output
    terminal("logout")
    assert "Sign in first" in terminal("groups", status=3).output


def test_a_job_says_it_in_its_environment(
    live_server: LiveServer, terminal: Terminal, erin: User, group: SecurityGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KARENPANEL_URL", live_server.url)
    monkeypatch.setenv("KARENPANEL_TOKEN", secret_of(erin))

    (found,) = json.loads(terminal("groups", "--json").output)

    assert (found["name"], found["id"]) == ("web", group.public_id)


def test_a_kept_token_goes_to_no_other_panel(signed_in: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KARENPANEL_URL", "https://panel.example.com")

    assert "Sign in first" in signed_in("groups", status=3).output


def test_where_a_token_opens_several_projects_one_is_named(
    live_server: LiveServer, terminal: Terminal, erin: User, project: Project
) -> None:
    make_project(erin, "Mill")

    said = terminal("login", live_server.url, typed=f"{secret_of(erin)}\n").output

    assert "Projects: mill, shop." in said
    assert "Say which project, with --project: mill, shop." in terminal("groups", status=3).output
    assert "NAME" in terminal("groups", "--project", "shop").output
    assert (
        "does not open sea"
        in terminal("login", live_server.url, "-p", "sea", typed=f"{secret_of(erin)}\n", status=3).output
    )


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://panel.example.com", "over http:// everybody on the way reads the token"),
        ("ftp://panel.example.com", "no address of a panel"),
        ("https://", "no address of a panel"),
        ("http://localhost:9", "does not answer"),
    ],
)
def test_an_address_that_is_none_is_told_and_nothing_kept(url: str, words: str, terminal: Terminal, home: Path) -> None:
    assert words in terminal("login", url, typed="kp_x\n", status=3).output
    assert not list(home.rglob("login.json"))


def test_a_token_that_is_none_is_told_in_the_panels_words(
    live_server: LiveServer, terminal: Terminal, db: None
) -> None:
    assert "neither revoked nor expired" in terminal("login", live_server.url, typed="kp_nobody\n", status=3).output


def test_what_is_no_panel_is_told(live_server: LiveServer, terminal: Terminal, db: None) -> None:
    assert "no panel of this kind" in terminal("login", f"{live_server.url}/sign-in", typed="kp_x\n", status=3).output


# ── Reading ───────────────────────────────────────────────────────────────────


def test_groups_vms_and_rules_are_shown(signed_in: Terminal, group: SecurityGroup, machine: VirtualMachine) -> None:
    assert group.public_id in signed_in("groups").output
    vm = signed_in("vms").output.splitlines()[1]
    assert vm.split()[:2] == ["web-1", machine.public_id]
    assert vm.endswith("web, outbound")
    assert json.loads(signed_in("vms", "--json").output)[0]["groups"][0]["name"] == "web"
    assert signed_in("rules", "show", "web").output == WEB
    assert signed_in("rules", "show", group.public_id).output == WEB
    assert json.loads(signed_in("rules", "show", "WEB", "--json").output)["revision"] == 1


def test_a_name_that_is_none_is_told_with_what_is_near(signed_in: Terminal, group: SecurityGroup) -> None:
    assert "has no group “wbe”. There is “web”." in signed_in("rules", "show", "wbe", status=3).output


def test_what_others_wrote_does_not_steer_the_terminal(signed_in: Terminal, project: Project) -> None:
    group = make_group(project, "plain")
    SecurityGroup.objects.filter(pk=group.pk).update(description="\x1b[31mred")

    assert "\x1b" not in signed_in("groups").output


# ── Editing ───────────────────────────────────────────────────────────────────


def test_a_list_is_edited_looked_at_and_committed(
    signed_in: Terminal, group: SecurityGroup, machine: VirtualMachine, editor: Editor
) -> None:
    editor.will('seen = seen.replace("tcp 443  ", "tcp 8443 ")')

    said = signed_in("rules", "edit", "web", "-m", "CHG-7", typed="y\n").output

    assert editor.seen[0].startswith("# web, revision 1\n")
    assert editor.seen[0].endswith(WEB)
    assert "-accept in tcp 443  # Public HTTPS\n+accept in tcp 8443  # Public HTTPS\n" in said
    assert "On web-1:" in said
    assert "+ Newly allowed: inbound TCP 8443" in said
    assert "Revision 2." in said
    assert list_of(group)[1] == "accept tcp 8443"
    assert group.revisions.get(number=2).reason == "CHG-7"


def test_a_line_that_is_no_rule_is_named_and_edited_again(
    signed_in: Terminal, group: SecurityGroup, editor: Editor
) -> None:
    editor.will('seen = seen.replace("tcp 443  ", "tcp 44x3 ")', 'seen = seen.replace("tcp 44x3 ", "tcp 444  ")')

    said = signed_in("rules", "edit", "web", typed="y\ny\n").output

    assert "line 2: “accept in tcp 44x3" in said
    assert "\n#? “accept in tcp 44x3" in editor.seen[1].partition("accept in tcp 44x3")[2]
    assert list_of(group)[1] == "accept tcp 444"


def test_what_the_panel_refuses_is_edited_again_or_kept(
    signed_in: Terminal, group: SecurityGroup, editor: Editor, home: Path
) -> None:
    Project.objects.update(max_rules=5)
    editor.will('seen += "accept in udp 53\\n"')

    said = signed_in("rules", "edit", "web", typed="n\n", status=1).output

    kept = kept_in(said)
    assert "accept in udp 53" in kept.read_text("utf-8")
    kept.unlink()
    assert group.revisions.count() == 1


def test_an_alarm_is_asked_about_and_no_is_the_answer_of_return(
    signed_in: Terminal, group: SecurityGroup, machine: VirtualMachine, editor: Editor
) -> None:
    editor.will('seen = "accept in tcp 22\\n"', 'seen = "accept in tcp 22\\n"')

    said = signed_in("rules", "edit", "web", typed="\n", status=1).output
    assert "! " in said
    assert "Commit it, with these alarms?" in said
    assert "Nothing was changed" in said
    assert group.revisions.count() == 1

    editor.will('seen = "accept in tcp 22\\n"')
    signed_in("rules", "edit", "web", typed="y\n")
    assert list_of(group) == ["accept tcp 22"]


@pytest.mark.parametrize("typed", ["", "y\n"])
def test_what_was_typed_is_never_lost(
    typed: str, signed_in: Terminal, group: SecurityGroup, editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither where somebody leaves in the middle of a question nor where the panel is away by the answer."""
    editor.will('seen += "accept in udp 53\\n"')
    asked = editing._asked

    def gone(preview: dict[str, Any]) -> str:
        monkeypatch.setattr("securitygroups.command.panel.Panel._once", away)
        return asked(preview)

    def away(*args: object) -> None:
        raise Trouble("It does not answer.")

    monkeypatch.setattr(editing, "_asked", gone)
    said = signed_in("rules", "edit", "web", typed=typed, status=3 if typed else 1).output

    kept = kept_in(said)
    assert kept.read_text("utf-8").endswith("accept in udp 53\n")
    kept.unlink()
    assert group.revisions.count() == 1


def test_where_somebody_was_quicker_both_lists_are_in_the_editor(
    signed_in: Terminal, group: SecurityGroup, editor: Editor, home: Path
) -> None:
    # While the editor is open somebody else commits.
    opened, done = home / "opened", home / "done"
    editor.will(
        f"import time\nseen += 'accept in tcp 25\\n'\nPath({str(opened)!r}).touch()\n"
        f"while not Path({str(done)!r}).exists(): time.sleep(0.01)",
        "pass",
    )

    def somebody() -> None:
        try:
            while not opened.exists():
                time.sleep(0.01)
            commit(group, "accept in udp 53")
        finally:
            connections.close_all()
            done.touch()

    thread = threading.Thread(target=somebody)
    thread.start()
    said = signed_in("rules", "edit", "web", typed="y\ny\n").output
    thread.join()

    assert "Meanwhile alice made revision 2" in said
    assert "# +accept in udp 53" in editor.seen[1]
    assert editor.seen[1].endswith("accept in tcp 25\n")
    assert "Revision 3." in said
    assert list_of(group)[-1] == "accept tcp 25"


def test_nothing_is_changed_by_an_editor_that_changes_nothing(
    signed_in: Terminal, group: SecurityGroup, editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor.will("pass", 'seen = ""', "sys.exit(3)")

    assert "Nothing was changed." in signed_in("rules", "edit", "web").output
    assert "Nothing is left in the file" in signed_in("rules", "edit", "web").output
    assert "ended with status 3" in signed_in("rules", "edit", "web", status=3).output
    monkeypatch.setenv("EDITOR", "/there/is/none")
    assert "cannot be started" in signed_in("rules", "edit", "web", status=3).output
    assert group.revisions.count() == 1


def test_the_newest_revision_is_taken_back(signed_in: Terminal, group: SecurityGroup) -> None:
    commit(group, "accept in udp 53")

    assert "Revision 3." in signed_in("rules", "undo", "web", "-m", "Wrong").output
    assert list_of(group)[1] == "accept tcp 443"


# ── Packets ───────────────────────────────────────────────────────────────────


def test_a_packet_is_tested_on_a_vm_and_on_a_group(signed_in: Terminal, machine: VirtualMachine) -> None:
    passes = signed_in("test", "web-1", "in", "tcp", "443", "from", "198.51.100.7").output
    denied = signed_in("test", "web-1", "in", "tcp", "22", "from", "2001:db8:9::1", status=1).output
    answer = json.loads(
        signed_in("test", "web", "in", "tcp", "22", "from", "203.0.113.9", "to", "10.0.1.11", "--json").output
    )

    assert passes.startswith("ACCEPT on web-1: ")
    assert "web, rule 2   matched" in passes
    assert denied.startswith("DROP on web-1: ")
    assert "To accept it, add to web: accept in tcp 22 from 2001:db8:9::1/128 to 2001:db8:10:1::11/128" in denied or (
        "To accept it, add to web" in denied
    )
    assert answer["traces"][0]["rule"]["text"] == "web, rule 3"


def test_a_packet_is_tested_as_of_a_time(signed_in: Terminal, machine: VirtualMachine) -> None:
    words = ("test", "web-1", "in", "tcp", "443", "from", "198.51.100.7", "--at", "2020-01-31T14:00:00Z")

    assert signed_in(*words, status=1).output.startswith("DROP")


def test_why_a_line_of_a_log_was_blocked(signed_in: Terminal, machine: VirtualMachine) -> None:
    line = "IN=eth0 OUT= SRC=198.51.100.7 DST=10.0.1.11 PROTO=TCP SPT=51515 DPT=22 SYN"

    by_address = signed_in("why", *line.split(), status=1).output
    typed = signed_in("why", "-", typed=f"{line}\n", status=1).output
    on_group = signed_in("why", line, "--on", "web", status=1).output

    assert by_address == typed
    assert by_address.startswith("DROP on web-1: ")
    assert on_group.startswith("DROP: ")
    reply = "IN= OUT=eth0 SRC=10.0.1.11 DST=203.0.113.9 PROTO=TCP SPT=22 DPT=51515 ACK SYN"
    assert "This packet opens no connection" in signed_in("why", reply).output


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["sideways", "tcp"], "A packet is written in|out PROTOCOL"),
        (["in", "tcp", "22", "from"], "with “from” and “to” once each"),
        (["in", "tcp", "22", "from", "1.2.3.4", "from", "1.2.3.4"], "once each"),
        (["in", "tcp", "22", "from", "1.2.3.400"], "source"),
    ],
)
def test_a_packet_that_is_none_is_told(
    words: list[str], why: str, signed_in: Terminal, machine: VirtualMachine
) -> None:
    assert why in signed_in("test", "web-1", *words, status=3).output


def test_a_token_that_may_only_read_is_told_so(
    live_server: LiveServer, terminal: Terminal, erin: User, machine: VirtualMachine
) -> None:
    terminal("login", live_server.url, typed=f"{secret_of(erin, Scope.READ)}\n")

    assert "scope" in terminal("test", "web-1", "in", "tcp", "443", "from", "198.51.100.7", status=3).output


# ── The shell ─────────────────────────────────────────────────────────────────


def test_names_are_completed(live_server: LiveServer, terminal: Terminal, erin: User, machine: VirtualMachine) -> None:
    """As bash asks for it."""
    terminal("login", live_server.url, typed=f"{secret_of(erin)}\n")

    def completed(words: str) -> list[str]:
        asked = {
            "_KARENPANEL_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }
        code = "import sys; sys.argv = ['karenpanel']; from securitygroups.command.main import app; app(prog_name='karenpanel')"
        done = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True, check=False
        )
        return done.stdout.split()

    assert completed("karenpanel rules show w") == ["web"]
    assert completed("karenpanel test web") == ["web-1", "web"]


def test_it_needs_no_django() -> None:
    code = "import sys; sys.modules['django'] = sys.modules['numpy'] = None; import securitygroups.command.main"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr == ""
