"""Lists that live in a repository: looked at in a job, brought in by the same command."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from securitygroups.models import Project, SecurityGroup, VirtualMachine
from tests.command.conftest import Terminal, commit
from tests.factories import make_group

pytestmark = pytest.mark.django_db(transaction=True)


def change(file: Path, before: str, after: str) -> None:
    text = file.read_text("utf-8")
    assert before in text
    file.write_text(text.replace(before, after), "utf-8")


@pytest.fixture
def folder(signed_in: Terminal, machine: VirtualMachine, home: Path) -> Path:
    """The project's groups, as documents: outbound.json and web.json."""
    signed_in("save", "rules")
    return home / "rules"


def test_what_was_saved_changes_nothing_and_is_saved_the_same(signed_in: Terminal, folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    said = signed_in("apply", "rules", "--dry-run").output
    signed_in("save", "rules")

    assert "0 of 2 documents change something." in said
    assert sorted(before) == ["outbound.json", "web.json"]
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_groups_whose_names_are_one_file_are_two(signed_in: Terminal, project: Project, folder: Path) -> None:
    for name in ("a/b", "A_b", "..", "../up"):
        make_group(project, name)

    signed_in("save", "rules")

    assert "0 of 6 documents change something." in signed_in("apply", "rules", "--dry-run").output
    assert len(list(folder.iterdir())) == 6
    assert not list(folder.parent.glob("*.json"))


def test_a_job_shows_what_would_change_and_then_changes_it(
    signed_in: Terminal, folder: Path, group: SecurityGroup
) -> None:
    change(folder / "web.json", '"port_start": 443, "port_end": 443', '"port_start": 8443, "port_end": 8443')
    change(folder / "web.json", '"Public web servers"', '"The shop"')
    (folder / "more").mkdir()
    (folder / "more" / "db.json").write_text('{"format": "karenpanel.group/1", "name": "db", "rules": []}', "utf-8")

    looked = signed_in("apply", "rules", "--dry-run").output
    assert "-accept in tcp 443  # Public HTTPS\n+accept in tcp 8443  # Public HTTPS" in looked
    assert "The description is another one." in looked
    assert "2 of 3 documents change something." in looked
    assert group.project.groups.count() == 2
    assert group.revisions.count() == 1

    done = signed_in("apply", "rules", "-m", "a1b2c3").output
    group.refresh_from_db()
    assert "web: " in done
    assert (group.revision, group.description) == (2, "The shop")
    assert group.revisions.get(number=2).reason == "a1b2c3"
    assert group.project.groups.filter(name="db").exists()
    assert "0 of 3 documents" in signed_in("apply", "rules", "--dry-run").output


def test_the_order_of_the_rules_is_the_order_in_the_file(
    signed_in: Terminal, folder: Path, group: SecurityGroup
) -> None:
    document = json.loads((folder / "web.json").read_text("utf-8"))
    document["rules"].reverse()
    (folder / "web.json").write_text(json.dumps(document), "utf-8")

    signed_in("apply", "rules/web.json", "--accept-alarms")

    assert [one.description for one in group.rules.in_order()] == [one["description"] for one in document["rules"]]


def test_a_job_fails_on_an_alarm_unless_it_was_told_to_take_it(
    signed_in: Terminal, folder: Path, group: SecurityGroup
) -> None:
    change(folder / "web.json", '"source": "203.0.113.0/24"', '"source": null')

    assert "! " in signed_in("apply", "rules", "--dry-run", status=1).output
    for words in ((), ("--yes",)):
        assert "Nothing was written." in signed_in("apply", "rules", *words, status=1).output
    assert group.revisions.count() == 1
    signed_in("apply", "rules", "--accept-alarms")
    assert group.revisions.count() == 2


def test_documents_with_faults_are_told_all_together_and_nothing_is_written(
    signed_in: Terminal, folder: Path, group: SecurityGroup
) -> None:
    change(folder / "web.json", '"protocol": "tcp", "source": null', '"protocol": "tpc", "source": null')
    (folder / "twice.json").write_text((folder / "outbound.json").read_text("utf-8"), "utf-8")
    (folder / "broken.json").write_text("{", "utf-8")

    said = signed_in("apply", "rules", status=3).output

    assert "web.json: line 6, rules[1].protocol: “tpc” is not a protocol of a rule" in said
    assert "the group “outbound” also stands in" in said
    assert "broken.json: " in said
    assert group.revisions.count() == 1


def test_what_the_panel_refuses_stops_all(signed_in: Terminal, folder: Path, group: SecurityGroup) -> None:
    Project.objects.update(max_groups=2)
    change(folder / "web.json", '"port_start": 443, "port_end": 443', '"port_start": 8443, "port_end": 8443')
    (folder / "db.json").write_text('{"format": "karenpanel.group/1", "name": "db", "rules": []}', "utf-8")

    said = signed_in("apply", "rules", "--yes", status=3).output

    assert "refused" in said
    assert "Nothing was written." in said
    assert group.revisions.count() == 1


def test_the_report_is_data_too(signed_in: Terminal, folder: Path, group: SecurityGroup) -> None:
    change(folder / "web.json", '"port_start": 443, "port_end": 443', '"port_start": 8443, "port_end": 8443')

    report = {one["group"]: one for one in json.loads(signed_in("apply", "rules", "--dry-run", "--json").output)}

    assert report["outbound"]["change"] == "none"
    assert report["web"]["change"] == "changed"
    assert report["web"]["preview"]["changes_traffic"]
    assert "+accept in tcp 8443  # Public HTTPS" in report["web"]["lines"]


def test_a_person_is_asked(signed_in: Terminal, folder: Path, group: SecurityGroup) -> None:
    """At a real terminal, where a job would go on by itself."""
    change(folder / "web.json", '"port_start": 443, "port_end": 443', '"port_start": 8443, "port_end": 8443')

    for answer, revision in (("n", 1), ("y", 2)):
        ours, theirs = pty.openpty()
        os.write(ours, f"{answer}\n".encode())
        done = subprocess.run(
            [sys.executable, "-m", "securitygroups.command", "apply", str(folder)],
            stdin=theirs,
            capture_output=True,
            text=True,
            check=False,
        )
        os.close(ours)
        os.close(theirs)
        assert "Write it?" in done.stdout
        assert done.returncode == (0 if answer == "y" else 1), done.stderr
        group.refresh_from_db()
        assert group.revision == revision


def test_a_list_that_somebody_changed_meanwhile_is_not_overwritten(
    signed_in: Terminal, folder: Path, group: SecurityGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    from securitygroups.command import applying

    show = applying.show

    def shown_slowly(*given: object) -> None:
        show(*given)  # type: ignore[arg-type]
        commit(group, "accept in udp 53")

    change(folder / "web.json", '"port_start": 443, "port_end": 443', '"port_start": 8443, "port_end": 8443')
    monkeypatch.setattr(applying, "show", shown_slowly)

    said = signed_in("apply", "rules", status=3).output

    assert "The newest revision is 2, by alice" in said
    assert group.revisions.count() == 2
