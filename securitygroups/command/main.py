"""The commands, and what a shell is told of how they ended."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from securitygroups.command import applying, editing, kept, told
from securitygroups.command.lines import text_of
from securitygroups.command.packets import FORM, packet_of
from securitygroups.command.panel import Absent, Declined, Panel, Trouble, address_of

DENIED, FAILED = 1, 3
"""Exit statuses, beside 0: 1 where the answer is no (a packet denied, an alarm that nobody confirmed), 2 where the
command was typed wrongly, 3 where it could not be done."""

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False, rich_markup_mode=None,
                  help="Security groups of a karenpanel, at a terminal.")  # fmt: skip
rules_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The rules of a group: show, edit, undo.")
app.add_typer(rules_app, name="rules")


@contextmanager
def _told() -> Iterator[None]:
    """Trouble is written in words, and ends the command with its status."""
    try:
        yield
    except Trouble as trouble:
        told.line(str(trouble), typer.colors.RED, error=True)
        raise typer.Exit(DENIED if isinstance(trouble, Declined) else FAILED) from None


@contextmanager
def _opened(project: str) -> Iterator[Panel]:
    """The project that is meant, and trouble with it told."""
    with _told(), _panel(project) as panel:
        if not panel.project:
            slugs = [one["slug"] for one in panel.all("//projects")]
            if len(slugs) != 1:
                raise Trouble(f"Say which project, with --project: {', '.join(slugs) or 'this token opens none'}.")
            panel.project = slugs[0]
        yield panel


def _panel(project: str) -> Panel:
    login = kept.login()
    return Panel(login.url, login.token, project or login.project)


def _names(kind: str) -> list[str]:
    try:
        with _panel("") as panel:
            return [row["name"] for row in panel.all(f"/{kind}")]
    except Trouble:
        # Whoever presses Tab waits for names, not for words.
        return []


def _groups(incomplete: str) -> list[str]:
    return [name for name in _names("groups") if name.startswith(incomplete)]


def _targets(incomplete: str) -> list[str]:
    return [name for name in _names("machines") + _names("groups") if name.startswith(incomplete)]


Project = Annotated[str, typer.Option("--project", "-p", help="The project's short name; else the one kept at login.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write the panel's answer as JSON.")]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why, for the record.")]
GroupName = Annotated[str, typer.Argument(metavar="GROUP", help="A name or an ID.", autocompletion=_groups)]
Moment = Annotated[str, typer.Option("--at", help="As of a time with its zone: 2026-01-31T14:00:00Z.")]


@app.command()
def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="https://panel.example.com")], project: Project = ""
) -> None:
    """Keep a panel's address and a token. The token is asked for, or read from standard input."""
    with _told():
        token = str(typer.prompt("Token", hide_input=True)) if sys.stdin.isatty() else sys.stdin.readline()
        with Panel(address_of(url), token.strip(), project) as panel:
            slugs = [row["slug"] for row in panel.all("//projects")]
        if project and project not in slugs:
            raise Trouble(f"This token does not open {project}, but: {', '.join(slugs) or 'nothing'}.")
        only = project or (slugs[0] if len(slugs) == 1 else "")
        file = kept.keep(kept.Login(panel.url, token.strip(), only))
        told.line(f"Signed in at {panel.url}; kept in {file}.")
        told.line(f"Project: {only}." if only else f"Projects: {', '.join(slugs) or 'none'}. Name one with --project.")


@app.command()
def logout() -> None:
    """Forget the address and the token. The token itself is revoked in the panel."""
    told.line("Forgotten." if kept.forget() else "Nothing was kept.")


@app.command()
def groups(project: Project = "", as_json: AsJson = False) -> None:
    """The project's groups."""
    with _opened(project) as panel:
        rows = list(panel.all("/groups"))
        if as_json:
            told.as_json(rows)
        else:
            told.table(("NAME", "ID", "REVISION", "DESCRIPTION"),
                       ((one["name"], one["id"], one["revision"], one["description"]) for one in rows))  # fmt: skip


@app.command()
def vms(project: Project = "", as_json: AsJson = False) -> None:
    """The project's VMs, with their groups in order."""
    with _opened(project) as panel:
        rows = list(panel.all("/machines"))
        if as_json:
            told.as_json(rows)
        else:
            told.table(("NAME", "ID", "ADDRESSES", "GROUPS"), map(_vm, rows))


def _vm(one: dict[str, Any]) -> tuple[str, ...]:
    addresses = " ".join(filter(None, (one["ipv4"], one["ipv6"])))
    return one["name"], one["id"], addresses, ", ".join(group["name"] for group in one["groups"])


@rules_app.command("show")
def show_rules(group: GroupName, project: Project = "", as_json: AsJson = False) -> None:
    """A group's rules in the order in which they decide."""
    with _opened(project) as panel:
        found = panel.group(group)
        if as_json:
            told.as_json(found)
        else:
            told.line(text_of(found["rules"]).rstrip("\n"))


@rules_app.command("edit")
def edit_rules(group: GroupName, project: Project = "", reason: Reason = "", as_json: AsJson = False) -> None:
    """Edit a group's rules in $EDITOR: shown what it would do, asked, committed."""
    with _opened(project) as panel:
        answer = editing.edit(panel, panel.group(group), reason)
        if as_json:
            told.as_json(answer)
        elif answer:
            told.line(f"{answer['summary']} Revision {answer['revision']}.", typer.colors.GREEN)


@rules_app.command("undo")
def undo_rules(group: GroupName, project: Project = "", reason: Reason = "", as_json: AsJson = False) -> None:
    """Take the newest revision of a group back."""
    with _opened(project) as panel:
        found = panel.group(group)
        answer = panel.ask("POST", f"/groups/{found['id']}/undo", json={"reason": reason},
                           headers={"If-Match": f'"{found["revision"]}"'})  # fmt: skip
        if as_json:
            told.as_json(answer)
        else:
            told.line(f"{answer['summary']} Revision {answer['revision']}.", typer.colors.GREEN)


@app.command()
def save(folder: Path, project: Project = "") -> None:
    """Write every group of the project into a folder, each as a document of its own."""
    with _opened(project) as panel:
        told.line(f"{applying.save(panel, folder)} groups are in {folder}.")


@app.command()
def apply(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE|FOLDER…", exists=True, help="Documents of groups.")],
    project: Project = "",
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what it would do, and write nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, unless there are alarms.")] = False,
    accept_alarms: Annotated[bool, typer.Option("--accept-alarms", help="Nor where there are.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Make groups what their documents say; a group is known by its name. All is looked at before anything is written.

    Ends with status 1 where there are alarms that nobody confirmed: a job in CI fails on them.
    """
    with _opened(project) as panel:
        changes = applying.look(panel, applying.read(paths))
        if as_json:
            told.as_json([change.report() for change in changes])
        else:
            applying.show(changes, {row["name"] for row in panel.all("/groups")})
        if any(change.refused for change in changes):
            raise Trouble("Nothing was written.")
        alarms = any(change.alarms for change in changes)
        if dry_run:
            raise typer.Exit(DENIED if alarms else 0)
        if any(change.is_one for change in changes):
            if not _agreed(alarms=alarms, yes=yes, accept_alarms=accept_alarms):
                told.line("Nothing was written.", error=True)
                raise typer.Exit(DENIED)
            applying.commit(panel, changes, reason)


def _agreed(*, alarms: bool, yes: bool, accept_alarms: bool) -> bool:
    """Whether it may be written: a person is asked; a job has said so, and never by that to what alarms."""
    if accept_alarms:
        return True
    if not sys.stdin.isatty():
        return not alarms
    if yes and not alarms:
        return True
    return typer.confirm("Write it, with these alarms?" if alarms else "Write it?", default=False)


@app.command("test")
def ask_packet(
    target: Annotated[str, typer.Argument(metavar="VM|GROUP", help="A name or an ID.", autocompletion=_targets)],
    packet: Annotated[list[str], typer.Argument(metavar="PACKET…", help=FORM)],
    project: Project = "",
    at: Moment = "",
    as_json: AsJson = False,
) -> None:
    """Would this packet pass, and which rule decides? Status 0: it passes, 1: it is denied.

    karenpanel test web-1 in tcp 22 from 203.0.113.9
    """
    with _opened(project) as panel:
        address, own = _target(panel, target)
        _answered(panel, f"{address}/test", packet_of(packet, own), at, as_json=as_json)


@app.command("why")
def ask_line(
    line: Annotated[list[str], typer.Argument(metavar="LINE…", help="A line of a log, or - for standard input.")],
    on: Annotated[str, typer.Option("--on", metavar="VM|GROUP", autocompletion=_targets,
                                    help="Whose rules; else those of the VM that has the packet's address.")] = "",
    project: Project = "",
    at: Moment = "",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Why was this blocked? Paste a line of a log. Status 0: it passes, 1: it is denied."""
    with _opened(project) as panel:
        address = _target(panel, on)[0] if on else ""
        text = sys.stdin.readline().strip() if line == ["-"] else " ".join(line)
        _answered(panel, f"{address}/test", {"line": text}, at, as_json=as_json)


def _target(panel: Panel, name: str) -> tuple[str, list[str]]:
    """Where a VM or a group of this name is asked, and the VM's own addresses."""
    try:
        vm = panel.machine(name)
    except Absent as none:
        try:
            return f"/groups/{panel.group(name)['id']}", []
        except Absent as neither:
            raise Absent(f"{none}\n{neither}") from None
    return f"/machines/{vm['id']}", [one for one in (vm["ipv4"], vm["ipv6"]) if one]


def _answered(panel: Panel, address: str, document: dict[str, Any], at: str, *, as_json: bool) -> None:
    answer = panel.ask("POST", address, params={"at": at} if at else {}, json=document)
    if as_json:
        told.as_json(answer)
    else:
        told.packet_test(answer)
    if answer["verdict"] != "accept":
        raise typer.Exit(DENIED)


def main() -> None:
    try:
        app()
    except BrokenPipeError:
        # `karenpanel … | head`: the rest is wanted by nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
