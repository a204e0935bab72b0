"""What is written to the terminal: a preview, a packet's way, tables."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import typer

from securitygroups.command.lines import line_of
from securitygroups.firewall.texts import visible

MOST_NAMES = 5


def line(text: str = "", colour: str = "", *, error: bool = False) -> None:
    """One line, or several; what others wrote cannot steer the terminal."""
    shown = visible(text, also="\n")
    typer.echo(typer.style(shown, fg=colour) if colour else shown, err=error)


def as_json(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=2)
    # What would steer a terminal is written by its number, and the rest as people read it.
    typer.echo(text if visible(text, also="\n") == text else json.dumps(value, indent=2))


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    cells = [[str(cell) for cell in row] for row in rows]
    wide = [max(len(row[at]) for row in [head, *cells]) for at in range(len(head))]
    for row in [head, *cells]:
        line("  ".join(f"{cell:{width}}" for cell, width in zip(row, wide, strict=True)).rstrip())


def preview(one: dict[str, Any]) -> None:
    """What a change does, as the panel shows it before it is made."""
    for effect in one["effects"]:
        line(f"On {_machines(effect)}:" if effect["machine_count"] else "Where it is put on a VM:")
        for text in effect["newly_allowed"]:
            line(f"  + {text}", typer.colors.GREEN)
        for text in effect["newly_denied"]:
            line(f"  - {text}", typer.colors.RED)
        if effect["more"]:
            line(f"  and {effect['more']} more")
        if effect["too_fine"]:
            line("  and something besides that cannot be told in ranges")
    if not one["changes_traffic"]:
        line("No traffic changes.")
    if one["unseen"]:
        line(f"{one['unseen']} VMs more were not looked at.")
    for text in one["newly_dead"]:
        line(f"  no longer decides anything: {text}")
    for text in one["notes"]:
        line(text)
    for text in one["alarms"]:
        line(f"! {text}", typer.colors.BRIGHT_RED)


def _machines(effect: dict[str, Any]) -> str:
    names = [vm["name"] for vm in effect["machines"][:MOST_NAMES]]
    more = effect["machine_count"] - len(names)
    return f"{', '.join(names)} and {more} more" if more else ", ".join(names)


def packet_test(one: dict[str, Any]) -> None:
    """The verdict, the way down each list, and what an accept would need."""
    passes = one["verdict"] == "accept"
    where = f" on {one['machine']['name']}" if one["machine"] else ""
    line(f"{one['verdict'].upper()}{where}: {one['text']}", typer.colors.GREEN if passes else typer.colors.RED)
    read = one["read"]
    if read and read["opens_no_connection"]:
        line(f"This packet opens no connection: it is {read['opens_no_connection']['what']}.")
    for note in one["notes"]:
        line(note)
    for trace in one["traces"]:
        _trace(trace, titled=len(one["traces"]) > 1)


def _trace(trace: dict[str, Any], *, titled: bool) -> None:
    if titled:
        line(f"{trace['of']}: {trace['text']}")
    for before in trace["platform"]:
        line(f"  platform   {before['action']} {before['condition']}: {before['why']}")
    for step in trace["steps"]:
        if "rule" not in step:
            line(f"  rules {step['first']} to {step['last']}   {step['outcome']}")
        elif step["rule"]:
            why = f": {step['why']}" if step["why"] else ""
            line(f"  {step['rule']['text']}   {step['outcome']}{why}")
    needed = trace["needed"]
    if needed is None:
        return
    for text in needed["in_the_way"]:
        line(f"  In the way: {text}")
    if needed["add"]:
        add = needed["add"]
        place = f", as rule {add['place']}" if add["place"] else ""
        line(f"  To accept it, add to {add['group']['name']}{place}: {line_of(add['rule'])}")
