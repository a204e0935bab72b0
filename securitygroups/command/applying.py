"""Documents of groups in files, brought in: looked at all together before the first one is written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from securitygroups.command import told
from securitygroups.command.lines import difference
from securitygroups.command.panel import Panel, Refused, Trouble
from securitygroups.firewall.formats.documents import (
    FORMAT,
    RULE_KEYS,
    GroupDocument,
    read_group,
    rule_to_json,
    rules_from_json,
    write_group,
)
from securitygroups.firewall.formats.strict import BadDocument

UNSAFE = '/\\:*?"<>|'


@dataclass
class Change:
    """What a file would do: `group` is what is there, None where it is new; `refused` why it cannot be."""

    file: Path
    document: GroupDocument
    group: dict[str, Any] | None
    preview: dict[str, Any] | None = None
    refused: str = ""

    @property
    def name(self) -> str:
        return self.document.name

    @property
    def rules(self) -> list[dict[str, Any]]:
        return [rule_to_json(rule) for rule in self.document.rules]

    @property
    def lines(self) -> list[str]:
        return difference(self.group["rules"] if self.group else [], self.rules)

    @property
    def renames(self) -> bool:
        return self.group is not None and self.group["description"] != self.document.description

    @property
    def is_one(self) -> bool:
        return self.group is None or self.renames or bool(self.lines)

    @property
    def alarms(self) -> list[str]:
        return self.preview["alarms"] if self.preview else []

    def report(self) -> dict[str, Any]:
        return {
            "file": str(self.file),
            "group": self.name,
            "change": "refused" if self.refused else "none" if not self.is_one else "changed" if self.group else "new",
            "lines": self.lines,
            "preview": self.preview,
            "refused": self.refused,
        }


def read(paths: Sequence[Path]) -> list[tuple[Path, GroupDocument]]:
    """The documents of files and folders, by path. Raises Trouble with the faults of all of them."""
    found, wrong, files = list[tuple[Path, GroupDocument]](), list[str](), dict[str, Path]()
    for file in _files(paths):
        try:
            document = read_group(file.read_bytes())
        except (OSError, BadDocument) as error:
            wrong += [f"{file}: {line}" for line in str(error).splitlines()]
            continue
        if document.name in files:
            wrong.append(f"{file}: the group “{document.name}” also stands in {files[document.name]}.")
        files[document.name] = file
        found.append((file, document))
    if wrong:
        raise Trouble("\n".join(wrong))
    if not found:
        raise Trouble("There is no document (*.json) in what was named.")
    return found


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.rglob("*.json")) if path.is_dir() else [path]


def look(panel: Panel, documents: Sequence[tuple[Path, GroupDocument]]) -> list[Change]:
    """What each document would do; nothing is written."""
    there = {row["name"]: row for row in panel.all("/groups")}
    changes = []
    for file, document in documents:
        row = there.get(document.name)
        change = Change(file, document, panel.ask("GET", f"/groups/{row['id']}") if row else None)
        if change.is_one:
            try:
                change.preview = _send(panel, change, dry_run=True)
            except Refused as refused:
                change.refused = str(refused)
        changes.append(change)
    return changes


def show(changes: Sequence[Change], names: set[str]) -> None:
    """`names` are those of the project's groups."""
    for change in changes:
        if change.refused:
            told.line(f"{change.name} ({change.file}): refused. {change.refused}", "red")
        elif change.is_one:
            told.line(f"{change.name} ({change.file}): {'changed' if change.group else 'new'}", "bright_white")
            told.line("\n".join(change.lines))
            if change.renames:
                told.line("The description is another one.")
            if change.preview:
                told.preview(change.preview)
    same = sum(not change.is_one for change in changes)
    rest = len(names - {change.name for change in changes})
    told.line(
        f"{len(changes) - same} of {len(changes)} documents change something."
        + (f" {rest} groups of the project are in none of them, and stay as they are." if rest else "")
    )


def commit(panel: Panel, changes: Sequence[Change], reason: str) -> None:
    """One after the other, each on the revision that was looked at. Raises Refused at the first that meets a newer one."""
    for done, change in enumerate(change for change in changes if change.is_one):
        try:
            answer = _send(panel, change, reason=reason)
        except Refused as refused:
            said = f" {done} were written before it." if done else ""
            raise Trouble(f"{change.name}: {refused}{said} Run it again: what is written stays as it is.") from None
        told.line(f"{change.name}: {answer.get('summary') or 'made'}, revision {answer['revision']}", "green")


def _send(panel: Panel, change: Change, *, dry_run: bool = False, reason: str = "") -> Any:
    params = {"dry_run": "1"} if dry_run else {}
    said: dict[str, Any] = {"rules": change.rules, "reason": reason}
    if change.group is None:
        whole = {"format": FORMAT, "name": change.name, "description": change.document.description}
        return panel.ask("POST", "/groups", params=params, json=whole | said)
    address = f"/groups/{change.group['id']}"
    if change.preview and not dry_run:
        said["confirm"] = change.preview["token"]
    answer = panel.ask(
        "PUT",
        f"{address}/rules",
        params=params,
        headers={"If-Match": f'"{change.group["revision"]}"'},
        json=said,
    )
    if change.renames and not dry_run:
        panel.ask("PATCH", address, json={"description": change.document.description, "reason": reason})
    return answer


def save(panel: Panel, folder: Path) -> int:
    """Every group of the project as a file of its own; how many there are. Equal groups give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = set[str]()
    for row in (rows := list(panel.all("/groups"))):
        group = panel.ask("GET", f"/groups/{row['id']}")
        rules = rules_from_json([{name: rule[name] for name in RULE_KEYS} for rule in group["rules"]])
        name = "".join("_" if sign in UNSAFE else sign for sign in group["name"]).lstrip(".") or row["id"]
        # Names that differ in letters that files do not tell apart.
        name = f"{name} {row['id']}" if name.casefold() in taken else name
        taken.add(name.casefold())
        (folder / f"{name}.json").write_text(write_group(group["name"], group["description"], rules), "utf-8")
    return len(rows)
