"""A list in somebody's editor: opened, read, shown what it would do, asked, committed."""

import os
import shlex
import subprocess
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any

import typer

from securitygroups.command import told
from securitygroups.command.lines import HELP, MARK, NOTE, Faults, difference, marked, rules_of, text_of
from securitygroups.command.panel import Declined, Panel, Refused, Trouble

ANSWERS = "[y]es, [e]dit again, [n]o"


class _Session:
    """What somebody has typed so far, and the group that it is an edit of."""

    def __init__(self, panel: Panel, group: dict[str, Any], reason: str) -> None:
        self.panel, self.group, self.reason = panel, group, reason
        self.text, self.remarks = text_of(group["rules"]), list[str]()

    def turn(self) -> tuple[bool, dict[str, Any] | None]:
        """Once into the editor and on from there: whether that is all, and what was committed. Raises Faults, Refused."""
        self.text = _in_editor(_head(self.group, self.remarks) + self.text)
        self.remarks = []
        if not self.text.strip():
            told.line("Nothing is left in the file, so nothing is changed.")
            return True, None
        rules = rules_of(self.text)
        if not (changes := difference(self.group["rules"], rules)):
            told.line("Nothing was changed.")
            return True, None
        preview = self.put(rules, dry_run=True)
        told.line("\n".join(changes))
        told.preview(preview)
        answer = _asked(preview)
        if answer == "n":
            raise Declined("Nothing was changed.")
        return answer == "y", self.put(rules, confirm=preview["token"]) if answer == "y" else None

    def put(self, rules: list[dict[str, Any]], confirm: str = "", *, dry_run: bool = False) -> dict[str, Any]:
        answer: dict[str, Any] = self.panel.ask(
            "PUT",
            f"/groups/{self.group['id']}/rules",
            params={"dry_run": "1"} if dry_run else {},
            headers={"If-Match": f'"{self.group["revision"]}"'},
            json={"rules": rules, "reason": self.reason, "confirm": confirm},
        )
        return answer

    def overtaken(self, theirs: dict[str, Any]) -> None:
        """Somebody else's list is the newest: what was typed stands on top of it now, with what they changed above."""
        self.remarks = [
            f"Meanwhile {theirs['actor']} made revision {theirs['number']}: {theirs['summary']}",
            "Your lines stand below. Against the list that yours began with, theirs has:",
            *difference(self.group["rules"], theirs["rules"]),
        ]
        self.group = self.panel.ask("GET", f"/groups/{self.group['id']}")


def edit(panel: Panel, group: dict[str, Any], reason: str) -> dict[str, Any] | None:
    """What was committed, None where there was nothing to commit. Raises Trouble, with the place of what was typed."""
    session = _Session(panel, group, reason)
    begun = session.text
    try:
        while True:
            try:
                ended, answer = session.turn()
                if ended:
                    return answer
            except Faults as faults:
                session.text = marked(session.text, faults.by_line)
                _ask_again(str(faults).splitlines())
            except Refused as refused:
                if refused.kind == "stale":
                    session.overtaken(refused.problem["theirs"])
                else:
                    session.remarks = str(refused).splitlines()
                _ask_again(session.remarks)
    except (Trouble, typer.Abort) as trouble:
        if session.text == begun:
            raise
        kind = Declined if isinstance(trouble, Declined | typer.Abort) else Trouble
        raise kind(f"{str(trouble) or 'Nothing was changed.'} What you typed is in {_kept(session.text)}.") from None


def _ask_again(why: list[str]) -> None:
    told.line("\n".join(why), typer.colors.RED, error=True)
    if not typer.confirm("Edit it again?", default=True):
        raise Declined("Nothing was changed.")


def _asked(preview: dict[str, Any]) -> str:
    question = "Commit it, with these alarms?" if preview["alarms"] else "Commit it?"
    while True:
        answer = str(typer.prompt(f"{question} {ANSWERS}", default="n" if preview["alarms"] else "y"))[:1].casefold()
        if answer in "yen" and answer:
            return answer


def _head(group: dict[str, Any], remarks: list[str]) -> str:
    lines = [f"{group['name']}, revision {group['revision']}", *HELP, *([""] if remarks else []), *remarks]
    return "".join(f"{NOTE} {line}".rstrip() + "\n" for line in lines) + "\n"


def _in_editor(text: str) -> str:
    """What is in the file afterwards, without the head. The words of $VISUAL or $EDITOR are a command."""
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with TemporaryDirectory(prefix="karenpanel-") as folder:
        file = Path(folder) / "rules"
        file.write_text(text, "utf-8")
        try:
            done = subprocess.run([*command, str(file)], check=False)
        except OSError as error:
            raise Trouble(f"The editor {command[0]} cannot be started ({error.strerror}): set EDITOR.") from None
        if done.returncode:
            raise Trouble(f"The editor ended with status {done.returncode}: nothing was changed.")
        lines = file.read_text("utf-8").splitlines(keepends=True)
    # The head is written anew each time, and so is what is wrong with a line.
    while lines and (lines[0].lstrip().startswith(NOTE) or not lines[0].strip()):
        lines.pop(0)
    return "".join(line for line in lines if not line.startswith(MARK))


def _kept(text: str) -> Path:
    with NamedTemporaryFile("w", prefix="karenpanel-", suffix=".rules", delete=False, encoding="utf-8") as out:
        out.write(text)
    return Path(out.name)
