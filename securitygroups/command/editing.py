"""A list in somebody's editor: opened, read, shown what it would do, asked, committed."""

import os
import shlex
import subprocess
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any

import typer

from securitygroups.command import told
from securitygroups.command.lines import HELP, NOTE, Faults, difference, rules_of, text_of
from securitygroups.command.panel import Panel, Refused, Trouble

ANSWERS = "[y]es, [e]dit again, [n]o"


def edit(panel: Panel, group: dict[str, Any], reason: str) -> dict[str, Any] | None:
    """What was committed, None where nothing was. What was typed is kept in a file where it was not committed."""
    text, remarks = text_of(group["rules"]), list[str]()
    while True:
        text = _in_editor(_head(group, remarks) + text)
        if not text.strip():
            told.line("Nothing is left in the file, so nothing is changed.")
            return None
        try:
            rules = rules_of(text)
            if not (changes := difference(group["rules"], rules)):
                told.line("Nothing was changed.")
                return None
            preview = _ask(panel, group, rules, dry_run=True)
            told.line("\n".join(changes))
            told.preview(preview)
            answer = _asked(preview)
            if answer == "y":
                return _ask(panel, group, rules, reason=reason, confirm=preview["token"])
            if answer == "n":
                told.line(f"Nothing was changed. What you typed is in {_kept(text)}.")
                return None
            remarks = []
        except Faults as faults:
            remarks = [f"line {number}: {why}" for number, why in faults.by_line.items()]
        except Refused as refused:
            if refused.kind == "stale":
                remarks = _meanwhile(group, refused.problem["theirs"])
                group = panel.ask("GET", f"/groups/{group['id']}")
            else:
                remarks = str(refused).splitlines()
        if remarks:
            told.line("\n".join(remarks), typer.colors.RED, error=True)
            if not typer.confirm("Edit it again?", default=True):
                raise Trouble(f"Nothing was changed. What you typed is in {_kept(text)}.")


def _asked(preview: dict[str, Any]) -> str:
    question = "Commit it, with these alarms?" if preview["alarms"] else "Commit it?"
    while True:
        answer = str(typer.prompt(f"{question} {ANSWERS}", default="n" if preview["alarms"] else "y"))[:1].casefold()
        if answer in "yen" and answer:
            return answer


def _ask(panel: Panel, group: dict[str, Any], rules: list[dict[str, Any]], **said: Any) -> dict[str, Any]:
    dry = {"dry_run": "1"} if said.pop("dry_run", False) else {}
    answer: dict[str, Any] = panel.ask(
        "PUT",
        f"/groups/{group['id']}/rules",
        params=dry,
        headers={"If-Match": f'"{group["revision"]}"'},
        json={"rules": rules} | said,
    )
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
    # The head is written anew each time, with line numbers that count from the first rule.
    while lines and (lines[0].lstrip().startswith(NOTE) or not lines[0].strip()):
        lines.pop(0)
    return "".join(lines)


def _meanwhile(group: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    return [
        f"Meanwhile {theirs['actor']} made revision {theirs['number']}: {theirs['summary']}",
        "Your lines stand below. Against the list that yours began with, theirs has:",
        *difference(group["rules"], theirs["rules"]),
    ]


def _kept(text: str) -> Path:
    with NamedTemporaryFile("w", prefix="karenpanel-", suffix=".rules", delete=False, encoding="utf-8") as out:
        out.write(text)
    return Path(out.name)
