"""What the documents point at is there: links, paths, settings, tools."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
# Only for a developer's own machine: docs/production.md speaks of installations, which must not have them.
NOT_FOR_INSTALLATIONS = {"DEBUG", "INSECURE_HTTP", "DEMO_MAILS"}
# What a path in backticks begins with. Other words in backticks are code, addresses or commands.
TOPS = {"karenpanel", "securitygroups", "templates", "static", "tests", "docs", ".ci"}
# Examples of what somebody is about to make.
EXAMPLES = re.compile(r"[<>*…{}]|\bNAME\b|\bSYSTEM\b|\bSCREEN\b")


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def without_code(text: str) -> str:
    """The text without its blocks of code, in which brackets mean something else."""
    return re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(file: Path) -> set[str]:
    """What a link may name after its #, as the usual renderers make it of a heading."""
    headings = re.findall(r"^#+ (.+)$", without_code(file.read_text("utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(file: Path) -> Iterator[str]:
    """Relative links of the document that lead nowhere."""
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(file.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        there = (file.parent / name).resolve() if name else file
        if not there.exists():
            yield f"{file.relative_to(ROOT)}: {link}"
        elif anchor and there.suffix == ".md" and anchor not in anchors(there):
            yield f"{file.relative_to(ROOT)}: {link} (no such heading)"


def missing_paths(file: Path) -> Iterator[str]:
    """Paths in backticks that are not there: `securitygroups/firewall/decide.py`, `firewall/decide.py`, `tests/firewall/`.

    A room of the app may be named without `securitygroups/` before it.
    """
    for name in re.findall(r"`([^`\n]+)`", without_code(file.read_text("utf-8"))):
        path = name.partition("::")[0]
        if not re.fullmatch(r"[\w./-]+", path) or EXAMPLES.search(path) or path.startswith(("/", "http")):
            continue
        in_a_folder = path.partition("/")[0] in TOPS | rooms() and "/" in path
        if (in_a_folder or re.fullmatch(r"[\w-]+\.(py|md|toml|lock|html|css|js)", path)) and not exists(path):
            yield f"{file.relative_to(ROOT)}: {name}"


@cache
def names() -> set[str]:
    """Names of all files, for those that a document names without their folder."""
    files = [file for top in TOPS for file in (ROOT / top).rglob("*") if "__pycache__" not in file.parts]
    return {file.name for file in (*files, *ROOT.iterdir()) if file.is_file()}


def rooms() -> set[str]:
    return {folder.name for folder in (ROOT / "securitygroups").iterdir() if folder.is_dir()}


def exists(path: str) -> bool:
    if "/" not in path and path in names():
        return True
    places = [ROOT / path, ROOT / "securitygroups" / path, ROOT / "tests" / path, ROOT / "karenpanel" / path]
    return any(place.exists() for place in places)


def names_read(file: Path) -> dict[str, str]:
    """The environment's names that a settings file reads by `env.str(…)` and its like, each with its default as written."""
    return {
        str(node.args[0].value): ast.unparse(node.args[1]) if len(node.args) > 1 else ""
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "env"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }


DEFAULTS = names_read(ROOT / "karenpanel" / "settings.py")
SETTINGS = DEFAULTS.keys()
EXAMPLE = (ROOT / ".env.example").read_text("utf-8").splitlines()
OFFERED = dict(line[1:].split("=", 1) for line in EXAMPLE if re.match(r"#[A-Z_]+=", line))


def test_settings_are_found_at_all() -> None:
    assert {"SECRET_KEY", "DATABASE_URL", "LOG_LEVEL"} <= SETTINGS


def test_the_example_of_an_environment_names_every_setting_and_no_other() -> None:
    assert OFFERED.keys() == SETTINGS
    assert not [line for line in EXAMPLE if line and not line.startswith("#")], (
        "Copied as it is, it has to say nothing."
    )


@pytest.mark.parametrize("name", [name for name, default in DEFAULTS.items() if re.fullmatch(r"[\d_.]+", default)])
def test_the_example_of_an_environment_shows_what_holds_without_it(name: str) -> None:
    assert float(OFFERED[name]) == float(DEFAULTS[name])


@pytest.mark.parametrize("name", sorted(SETTINGS - NOT_FOR_INSTALLATIONS))
def test_the_page_about_production_names_every_setting_of_an_installation(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "production.md").read_text("utf-8")


@pytest.mark.parametrize("file", documents(), ids=lambda file: file.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(file: Path) -> None:
    assert not list(broken_links(file))


@pytest.mark.parametrize("file", documents(), ids=lambda file: file.relative_to(ROOT).as_posix())
def test_every_path_in_a_document_is_there(file: Path) -> None:
    assert not list(missing_paths(file))


def test_every_decision_says_what_would_change_it() -> None:
    for file in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        headings = re.findall(r"^## (.+)$", file.read_text("utf-8"), flags=re.MULTILINE)

        assert headings == ["Context", "Decision", "Consequences", "What would change our mind"], file.name


# ── The table of OWASP ASVS ───────────────────────────────────────────────────

# Requirements of level 1 and of level 2 in each chapter of version 5.0.0, counted in the standard.
ASVS_COUNTS = {
    1: (8, 19), 2: (4, 7), 3: (8, 11), 4: (2, 8), 5: (4, 5), 6: (13, 22), 7: (6, 12), 8: (4, 3), 9: (4, 3), 10: (5, 24),
    11: (3, 11), 12: (3, 6), 13: (1, 12), 14: (2, 7), 15: (3, 10), 16: (0, 16), 17: (0, 7),
}  # fmt: skip
VERDICTS = ("met", "not applicable", "not met")


class Row(NamedTuple):
    number: tuple[int, ...]
    level: int
    verdict: str
    where: str


def asvs() -> Iterator[Row]:
    """The rows of docs/asvs.md; whatever else begins with a number in a table is one that cannot be read, and fails."""
    for line in (ROOT / "docs" / "asvs.md").read_text("utf-8").splitlines():
        if re.match(r"\|\s*\d", line):
            number, level, short, verdict, where = (cell.strip() for cell in line.strip("|").split("|"))
            assert short, number
            yield Row(tuple(map(int, number.split("."))), int(level), verdict, where)


ROWS = list(asvs())


def test_the_table_of_asvs_has_every_requirement_of_both_levels() -> None:
    numbers = [row.number for row in ROWS]

    assert numbers == sorted(set(numbers))
    found = Counter((row.number[0], row.level) for row in ROWS)
    assert found == Counter({(c, level): n for c, both in ASVS_COUNTS.items() for level, n in enumerate(both, 1) if n})
    assert all(len(number) == 3 and min(number) >= 1 for number in numbers)


def test_each_requirement_has_a_verdict_and_what_it_stands_on() -> None:
    for row in ROWS:
        assert row.verdict in VERDICTS, row
        assert row.where, row
        if row.verdict == "met" or row.where.startswith("Installation"):
            named = re.findall(r"`([\w.-]+(?:/[\w./-]*)?)`", row.where)
            assert [path for path in named if (ROOT / path).exists()], f"Nothing that a reader could open: {row}"


def test_the_table_of_asvs_says_at_its_top_how_it_stands() -> None:
    text = " ".join((ROOT / "docs" / "asvs.md").read_text("utf-8").split())
    told = Counter(row.verdict for row in ROWS)

    for verdict in VERDICTS:
        assert f"{told[verdict]} {verdict}" in text
    assert f"{len(ROWS)} requirements" in text
    assert f"{sum(row.where.startswith('Installation') for row in ROWS)} of them apply to every installation" in text
