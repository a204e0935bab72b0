"""The house keeps its one-way arrows, and its pure core is pure."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
APP, SITE = "securitygroups", "karenpanel"

# Every room of the app, floor by floor from the ground, and the rooms that it may import from. A new room is placed here
# by whoever builds it: the floor says how far from HTTP it stands, and arrows go down or stay on the floor as listed.
FLOORS: dict[str, dict[str, set[str]]] = {
    "pure": {
        "firewall": set(),
        "words": {"firewall"},
        "starters": {"firewall"},
        # What hosts and panel sign: both sides have it.
        "signing": set(),
    },
    "stored": {
        "fields": {"firewall"},
        "models": {"firewall", "fields"},
        "paging": set(),
        "migrations": {"fields", "models", SITE},
        "access": {"models"},
        "stream": {"models"},
        "effective": {"firewall", "models", SITE},
        "past": {"firewall", "models", "effective", SITE},
    },
    "inside": {
        "webhooks": {"models"},
        "operations": {"firewall", "words", "models", "effective", "webhooks"},
        "delivering": {"models", "operations", "stream", "webhooks"},
        "answers": {"firewall", "words", "models", "paging", "effective", "past", "enforcement"},
        "enforcement": {"firewall", "words", "signing", "models", "effective"},
        "said": {"firewall"},
        "tokens": {"firewall"},
        "brought": {"firewall", "words", "models", "operations", "answers", "tokens"},
        "inventory": {"firewall", "models", "effective", "operations", "answers", "tokens"},
        "proposals": {"firewall", "models", "effective", "operations", "answers", "said", "tokens", "brought"},
    },
    "doors": {
        "apps": {"accounts"},
        "forms": {"firewall", "words", "fields", "models", "effective"},
        "web": {
            *("firewall", "words", "starters", "fields", "models", "paging", "access", "effective"),
            *("operations", "answers", "enforcement", "said", "brought", "proposals", "forms"),
            "webhooks",
            SITE,
        },
        "api": {
            *(
                "firewall",
                "words",
                "models",
                "access",
                "effective",
                "inventory",
                "operations",
                "answers",
                "enforcement",
                "said",
                "signing",
                "brought",
                "proposals",
            ),
            SITE,
        },
        "templatetags": {"firewall", "words", "models", "effective", "answers", "enforcement", "web", SITE},
        "accounts": {"fields", "models", "access", "operations", SITE},
        "admin": {
            *("firewall", "words", "fields", "models", "paging", "effective"),
            *("operations", "answers", "enforcement", "said", "proposals", "forms"),
            # It says which lists and pages the site of the administration has.
            SITE,
        },
        # On other machines than the panel: it knows the API's addresses and the language of rules.
        "command": {"firewall"},
        # On hosts, and nowhere else: it knows the panel's doors for agents and the compiler.
        "agent": {"firewall", "signing"},
        "demo": {"firewall", "models", "operations"},
        "figures": {"models", "stream"},
        "management": {
            *("firewall", "words", "models", "effective", "operations", "answers", "enforcement", "demo"),
            "delivering",
            "stream",
            # It writes the program that hosts run.
            "agent",
            SITE,
        },
    },
}
ROOMS = {room: seen for floor in FLOORS.values() for room, seen in floor.items()}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
# Two doors never lean on each other; templates are drawn with tags, commands fill in the demo's data and build the agent's
# program, and the app brings the receivers of signals along.
PARTS = {"forms", "demo", "agent"}
# What these rooms may import from outside, beside the standard library.
OUTSIDE = {
    "firewall": {"numpy"},
    "words": set[str](),
    "starters": set[str](),
    "signing": {"cryptography"},
    # A program of its own, that pip brings without the panel.
    "command": {"httpx", "typer"},
    # A program of its own on hosts, where the distribution's Python is.
    "agent": {"cryptography"},
}
# And what single modules of the core may besides: each of these libraries reads one kind of file, for one module.
READERS = {
    "firewall.formats.sheets": {"python_calamine", "charset_normalizer", "xlsxwriter"},
    "firewall.flows.compressed": {"backports", "compression"},
    "firewall.flows.parquet_child": {"pyarrow"},
}
# The core starts no programs and knows no environment, but for a library that may end its own process.
APART = {("firewall.flows.parquet", "subprocess"), ("firewall.flows.parquet", "os")}
# HTTP, pages and their messages are the doors' matter alone.
HTTP = ("django.http", "django.shortcuts", "django.contrib.messages", "django.template", "django_htmx")
# Django's names for "there is no such thing" and "you may not", which every door knows how to say.
REFUSALS = {("access", "django.http.Http404")}
# All that is taken from the site below the doors and on the pages: to say that what follows is dear.
TURNS = {"karenpanel.turns", "karenpanel.turns.weigh", "karenpanel.turns.NoTurn"}
# And on the pages alone: that a form is drawn again as it was typed, and where somebody is connected from.
TYPED = ("karenpanel.sent_again", "karenpanel.marks", "karenpanel.kept", "karenpanel.client_address")


def files(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def name_of(file: Path) -> str:
    """The module's full name; a package is named by its folder."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for file in files(APP, SITE)}


def imports(module: str) -> Iterator[str]:
    """Full names of the modules and things that this one imports, inside functions too."""
    file = MODULES[module]
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def room_of(name: str) -> str | None:
    """The room of the app that a full name is in, the site's name for all of the site, None for what is not ours."""
    top, _, rest = name.partition(".")
    if top == SITE:
        return SITE
    return rest.partition(".")[0] or None if top == APP else None


def module_of(name: str) -> str | None:
    """The module of ours that an imported name is, or is in."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or None


def test_every_room_has_its_place_in_the_table() -> None:
    there = {room for module in MODULES if (room := room_of(module)) and room != SITE}

    assert not there - ROOMS.keys(), "A new room: say in ROOMS what it may import from."
    assert not ROOMS.keys() - there, "The table names a room that is gone."


def test_the_table_itself_runs_one_way() -> None:
    order = list(TopologicalSorter(ROOMS).static_order())

    floors = list(FLOORS)
    for room, seen in ROOMS.items():
        above = {other for other in seen - {SITE} if floors.index(FLOOR_OF[other]) > floors.index(FLOOR_OF[room])}
        assert not above, f"{room} stands below {above}."
    assert order.index("firewall") < order.index("models") < order.index("effective") < order.index("proposals")


def test_the_doors_do_not_lean_on_each_other() -> None:
    doors = set(FLOORS["doors"]) - PARTS

    assert {room: seen & doors for room, seen in ROOMS.items() if seen & doors} == {
        "templatetags": {"web"},
        "apps": {"accounts"},
    }


def test_below_the_doors_nobody_knows_http() -> None:
    wrong = [
        f"{module} imports {name}"
        for module in MODULES
        for name in imports(module)
        if (room := room_of(module)) and FLOOR_OF.get(room, "doors") != "doors"
        if name.startswith(HTTP) and (room, name) not in REFUSALS
    ]

    assert not wrong


def test_inside_nobody_is_handed_a_request() -> None:
    """What an operation, an answer or a proposal needs is given to it by name."""
    wrong = [
        f"{module}: {node.name} takes {argument.arg}"
        for module, file in MODULES.items()
        if (room := room_of(module)) and FLOOR_OF.get(room, "doors") != "doors"
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        if argument.arg == "request"
    ]

    assert not wrong


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_the_rooms_that_it_may_see(room: str) -> None:
    looked_at = [module for module in MODULES if room_of(module) == room]
    wrong = [
        f"{module} imports {name}"
        for module in looked_at
        for name in imports(module)
        if (seen := room_of(name)) and seen != room and seen not in ROOMS[room]
    ]

    assert looked_at
    assert not wrong


def test_of_the_site_lists_and_pages_know_the_turns_alone() -> None:
    taken = {
        name
        for module in MODULES
        for name in imports(module)
        if room_of(module) in ("effective", "web") and room_of(name) == SITE
        if room_of(module) != "web" or not name.startswith(TYPED)
    }
    turns = [name for name in imports("karenpanel.turns") if name.startswith(HTTP) or room_of(name) == SITE]

    assert taken <= TURNS
    assert not turns


def test_what_is_said_with_a_change_is_read_in_one_place() -> None:
    """Doors beside each other must not differ in what they take for a reason, a revision, or an address."""
    alone = {
        "get_client_ip(": {"karenpanel.client_address", "securitygroups.accounts.adapter"},
        '"onto", "")': {"securitygroups.web.changing"},  # draws it again as it came
        "10**9 - 1": {"securitygroups.said"},
    }
    texts = {module: file.read_text("utf-8") for module, file in MODULES.items()}

    for words, where in alone.items():
        assert {module for module, text in texts.items() if words in text} == where, words


def test_the_site_knows_the_app_by_name_only() -> None:
    wrong = [
        f"{module} imports {name}"
        for module in MODULES
        for name in imports(module)
        if room_of(module) == SITE and name.startswith(APP)
    ]

    assert not wrong


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {
        module: {seen for name in imports(module) if (seen := module_of(name)) and seen != module} for module in MODULES
    }

    # Raises CycleError with the circle in its message.
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


@pytest.mark.parametrize("room", OUTSIDE)
def test_a_pure_room_imports_the_standard_library_and_little_else(room: str) -> None:
    wrong = [
        f"{module} imports {name}"
        for module in MODULES
        for name in imports(module)
        if room_of(module) == room
        and name.partition(".")[0]
        not in sys.stdlib_module_names | OUTSIDE[room] | READERS.get(module.removeprefix(f"{APP}."), set()) | {APP}
    ]

    assert not wrong


def test_the_core_of_the_core_needs_no_numpy() -> None:
    for module in ("protocols", "values", "decide", "lists", "formats.documents"):
        assert not [name for name in imports(f"{APP}.firewall.{module}") if name.startswith("numpy")]


def test_every_module_of_the_core_is_imported_where_django_cannot_be() -> None:
    modules = [module for module in MODULES if FLOOR_OF.get(room_of(module) or "") == "pure"]
    script = f"""
import importlib, sys
sys.path.insert(0, {str(ROOT)!r})
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {{"django", "psycopg", "environs", "karenpanel"}}:
            raise ModuleNotFoundError(f"{{name}} is not to be had here")
sys.meta_path.insert(0, Absent())
for module in {modules!r}:
    importlib.import_module(module)
print(len([name for name in sys.modules if name in {modules!r}]))
"""

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)

    assert done.stderr == ""
    assert int(done.stdout) == len(modules) >= 6


@pytest.mark.parametrize("room", ["firewall"])
def test_the_core_asks_no_clock_and_opens_no_file(room: str) -> None:
    """What it needs, it is given."""
    closed = {"time", "datetime", "os", "pathlib", "socket", "subprocess", "random", "secrets", "logging"}
    wrong = [
        f"{module} imports {name}"
        for module in MODULES
        for name in imports(module)
        if room_of(module) == room
        and name.partition(".")[0] in closed
        and (module.removeprefix(f"{APP}."), name) not in APART
    ]

    assert not wrong


def test_no_note_to_oneself_is_left_over() -> None:
    # Spelled in halves, or this file would find itself.
    words = re.compile(
        "|".join(a + b for a, b in (("TO", "DO"), ("FIX", "ME"), ("XX", "X"), ("HA", "CK"), ("break", r"point\(")))
    )
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in files(APP, SITE, "tests")
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if words.search(line)
    ]

    assert not found
