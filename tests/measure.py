"""How the house is laid out, in numbers, and the limits that it keeps: `python tests/measure.py [ROOT]`.

It reads files and imports none of them, so ROOT may be any checkout. `--table` prints only the measures, as markdown;
`--check` only what breaks a limit. The exit status is 1 when a limit is broken.
"""

import argparse
import ast
import io
import re
import statistics
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from radon.complexity import cc_visit
from radon.visitors import Class, Function

# A function with more ways through it than ten wants to be two with names. A parser or a state machine may be the
# exception, so a share is held and not every single one.
COMPLEX = 10
MOST_COMPLEX = 25  # of 1,000 functions
# Whoever calls with six arguments is carrying something that has no name yet.
MANY_ARGUMENTS = 5
MOST_WITH_MANY_ARGUMENTS = 1.5  # % of functions
# A reviewer sees this much of a line beside another version of it. Short functions on wide lines are no shorter.
WIDE = 140
MOST_WIDE_LINES = 0
# What is longer has more than one subject, and nobody finds the second one.
LONGEST_FILE = 450
# The code says what; where something surprises, a comment says why. Fewer than this, and the surprises go unexplained.
FEWEST_COMMENTS = 2.0  # % of code lines
# A form that is written in a view cannot be asked by the admin, nor tested by itself.
SCREENS = "securitygroups/web/views"

CODE = ("karenpanel", "securitygroups")
LEFT_OUT = {"migrations", "__pycache__"}
PRAGMA = re.compile(r"#\s*(noqa|type:|pragma|ruff:|mypy:|fmt:|djlint:|!|-\*-)", re.IGNORECASE)
NO_DOCSTRING = {"Meta", "Media"}  # classes that Django reads: settings of the one around them


@dataclass(frozen=True)
class Unit:
    """A function or a method, nested ones too."""

    where: str
    lines: int
    arguments: int


@dataclass
class Module:
    """What one Python file holds."""

    path: str
    lines: int
    code: int
    comments: int
    functions: list[Unit]
    complexities: list[tuple[str, int]]
    public: int
    explained: int
    forms: list[str]

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0] or "."


@dataclass
class Sheet:
    """What one style sheet holds."""

    path: str
    lines: int
    ids: int = 0
    important: int = 0
    highest: tuple[int, int, int] = (0, 0, 0)
    highest_selector: str = ""


@dataclass
class Page:
    """What one template, or one script, holds."""

    path: str
    lines: int
    size: int
    wide: int

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0] or "."


@dataclass
class House:
    """Everything that is measured of a checkout."""

    root: Path
    modules: list[Module] = field(default_factory=list)
    tests: list[Module] = field(default_factory=list)

    @cached_property
    def templates(self) -> list[Page]:
        return [page(file, self.root) for file in found(self.root / "templates", "*.html")]

    @cached_property
    def scripts(self) -> list[Page]:
        return [page(file, self.root) for file in found(self.root / "static", "*.js")]

    @cached_property
    def sheets(self) -> list[Sheet]:
        return [sheet(file, self.root) for file in found(self.root / "static", "*.css")]


def read_house(root: Path) -> House:
    code = [file for folder in CODE for file in found(root / folder, "*.py")] + [*root.glob("*.py")]
    return House(
        root, [module(file, root) for file in code], [module(file, root) for file in found(root / "tests", "*.py")]
    )


def found(folder: Path, pattern: str) -> list[Path]:
    """The files below a folder, without what tools and migrations made."""
    return sorted(file for file in folder.rglob(pattern) if not LEFT_OUT & set(file.relative_to(folder).parts))


def module(file: Path, root: Path) -> Module:
    path, text = file.relative_to(root).as_posix(), file.read_text("utf-8")
    tree = ast.parse(text)
    comments, code = lines_of(text, tree)
    public = list(public_things(tree))
    return Module(
        path=path,
        lines=len(text.splitlines()),
        code=code,
        comments=comments,
        functions=list(units(tree, path)),
        complexities=[
            (f"{path}:{block.lineno} {block.fullname}", block.complexity) for block in blocks(cc_visit(text))
        ],
        public=len(public),
        explained=sum(ast.get_docstring(thing) is not None for thing in public),
        forms=list(form_classes(tree)),
    )


def lines_of(text: str, tree: ast.Module) -> tuple[int, int]:
    """How many lines are nothing but a comment, and how many hold code (no comment, no docstring, not blank)."""
    comments, pragmas, code = set[int](), set[int](), set[int]()
    nothing = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            (pragmas if PRAGMA.match(token.string) else comments).add(token.start[0])
        elif token.type not in nothing:
            code.update(range(token.start[0], token.end[0] + 1))
    code -= docstring_lines(tree)
    return len(comments - code), len(code)


def docstring_lines(tree: ast.Module) -> set[int]:
    lines = set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and ast.get_docstring(node, clean=False) is not None:
                lines.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return lines


def units(tree: ast.AST, path: str, method: bool = False) -> Iterator[Unit]:
    """Every function, with its length from `def` to its last line. self and cls, *args and **kwargs are none to count."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            arguments = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)
            static = any(isinstance(mark, ast.Name) and mark.id == "staticmethod" for mark in node.decorator_list)
            if method and not static:
                arguments -= 1
            last = node.end_lineno or node.lineno
            yield Unit(f"{path}:{node.lineno} {node.name}", last - node.lineno + 1, arguments)
        yield from units(node, path, isinstance(tree, ast.Module | ast.ClassDef) and isinstance(node, ast.ClassDef))


def blocks(seen: Iterable[Function | Class]) -> Iterator[Function]:
    """radon's functions: those of classes and those inside others too. A class is only the sum of its methods."""
    for block in seen:
        if isinstance(block, Class):
            # cc_visit lists methods beside their class, but not those of a class inside it.
            yield from (method for inner in block.inner_classes for method in blocks([inner, *inner.methods]))
        else:
            yield block
            yield from blocks(block.closures)


def public_things(
    tree: ast.Module | ast.ClassDef,
) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """The module (if it holds anything), its functions and classes, and their methods, but what begins with `_`."""
    if tree.body and isinstance(tree, ast.Module):
        yield tree
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("_") or node.name in NO_DOCSTRING:
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            yield from public_things(node)


def form_classes(tree: ast.Module) -> Iterator[str]:
    """Classes that are forms: of `forms.Form`, `ModelForm`, `RuleForm`, or of one that the same file defined before."""
    known = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            bases = {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases}
            if bases & known or any(base.endswith(("Form", "FormSet")) for base in bases):
                known.add(node.name)
                yield node.name


def page(file: Path, root: Path) -> Page:
    lines = file.read_text("utf-8").splitlines()
    wide = sum(len(line) > WIDE for line in lines)
    return Page(file.relative_to(root).as_posix(), len(lines), file.stat().st_size, wide)


def sheet(file: Path, root: Path) -> Sheet:
    text = file.read_text("utf-8")
    found_here = Sheet(file.relative_to(root).as_posix(), len(text.splitlines()))
    bare = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
    bare = re.sub(r"\"[^\"\n]*\"|'[^'\n]*'", '""', bare)
    found_here.important = len(re.findall(r"!\s*important", bare))
    for selector, weight in selectors(bare):
        found_here.ids += weight[0] > 0
        if weight > found_here.highest:
            found_here.highest, found_here.highest_selector = weight, selector
    return found_here


def selectors(text: str) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """Every selector with its specificity. One inside another rule stands behind that rule's own."""
    around: list[tuple[int, int, int] | None] = []  # None: an at-rule, which selects nothing
    prelude = ""
    for part in re.split(r"([{};])", text):
        if part == "{":
            head = " ".join(prelude.split())
            before = next((weight for weight in reversed(around) if weight is not None), (0, 0, 0))
            if head.startswith("@") or re.fullmatch(r"(from|to|[\d.]+%)(\s*,\s*(from|to|[\d.]+%))*", head):
                around.append(None)
            else:
                each = [(one, plus(before, specificity(one))) for one in split_list(head)]
                yield from each
                around.append(max((weight for _, weight in each), default=before))
        elif part == "}" and around:
            around.pop()
        prelude = "" if part in {"{", "}", ";"} else part


def split_list(text: str) -> list[str]:
    """The parts between commas that stand in no bracket."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def specificity(selector: str) -> tuple[int, int, int]:
    """(ids, classes and attributes, elements), as browsers count them."""
    weight = (0, 0, 0)
    rest = re.sub(r"\[[^\]]*\]", ".attribute", selector)
    while inner := re.search(r":(is|not|has|where|nth-child|nth-last-child)\(", rest):
        start, end = inner.start(), closing(rest, inner.end())
        name, inside = inner[1], rest[inner.end() : end]
        if name.startswith("nth"):
            inside = inside.partition(" of ")[2]
            weight = plus(weight, (0, 1, 0))
        if name != "where":
            weight = plus(weight, max((specificity(one) for one in split_list(inside)), default=(0, 0, 0)))
        rest = rest[:start] + rest[end + 1 :]
    rest = re.sub(r"(?<!:)(:[\w-]+)\([^)]*\)", r"\1", rest)
    elements = len(re.findall(r"::[\w-]+", rest))
    rest = re.sub(r"::[\w-]+(\([^)]*\))?", "", rest)
    ids, classes = len(re.findall(r"#[\w-]+", rest)), len(re.findall(r"[.:][\w-]+", rest))
    rest = re.sub(r"[#.:][\w-]+", "", rest)
    return plus(weight, (ids, classes, elements + len(re.findall(r"[a-zA-Z][\w-]*", rest))))


def closing(text: str, start: int) -> int:
    """Where the bracket ends that was opened just before."""
    depth = 1
    for place in range(start, len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if depth == 0:
            return place
    return len(text)


def plus(one: tuple[int, int, int], other: tuple[int, int, int]) -> tuple[int, int, int]:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def table(house: House) -> str:
    return "\n\n".join([python_table(house), template_table(house), static_table(house), tests_line(house)])


def markdown(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def python_table(house: House) -> str:
    head = ["Room", "files", "lines", "longest file", "functions", "their lines: median / p99 / max"]
    head += [f"over {MANY_ARGUMENTS} arguments", f"complexity over {COMPLEX}, of 1,000", "docstrings", "comments"]
    rows = [python_row(f"`{room}`", inside) for room, inside in by_folder(house.modules)]
    return markdown(head, [*rows, python_row("**all code**", house.modules)])


def python_row(name: str, modules: list[Module]) -> list[str]:
    functions = [unit for one in modules for unit in one.functions]
    lengths = sorted(unit.lines for unit in functions)
    longest = max(modules, key=lambda one: one.lines)
    return [
        name,
        f"{len(modules)}",
        f"{sum(one.lines for one in modules):,}",
        f"{longest.lines} {longest.path.rpartition('/')[2]}",
        f"{len(functions):,}",
        f"{statistics.median(lengths):.0f} / {percentile(lengths, 99)} / {lengths[-1]}" if lengths else "–",
        counted(len(many_arguments(modules)), len(functions)),
        f"{len(complex_functions(modules))} ({per_thousand(modules):.0f})",
        percent(sum(one.explained for one in modules), sum(one.public for one in modules), digits=0),
        percent(sum(one.comments for one in modules), sum(one.code for one in modules)),
    ]


def template_table(house: House) -> str:
    head = ["Templates", "files", "lines", "bytes", "longest file", f"lines over {WIDE} characters"]
    rows = [page_row(f"`{room}`", inside) for room, inside in by_folder(house.templates)]
    return markdown(head, [*rows, page_row("**all templates**", house.templates)]) if rows else "No templates."


def page_row(name: str, pages: list[Page]) -> list[str]:
    lines, longest = sum(one.lines for one in pages), max(pages, key=lambda one: one.lines)
    return [
        name,
        f"{len(pages)}",
        f"{lines:,}",
        f"{sum(one.size for one in pages):,}",
        f"{longest.lines} {longest.path.rpartition('/')[2]}",
        counted(sum(one.wide for one in pages), lines),
    ]


def static_table(house: House) -> str:
    head = ["Styles and scripts", "files", "lines", "longest file", "selectors with an id", "highest", "`!important`"]
    rows = []
    if house.sheets:
        longest = max(house.sheets, key=lambda one: one.lines)
        top = max(house.sheets, key=lambda one: one.highest)
        rows.append(["CSS", f"{len(house.sheets)}", f"{sum(one.lines for one in house.sheets):,}"])
        rows[-1] += [f"{longest.lines} {longest.path.rpartition('/')[2]}", f"{sum(one.ids for one in house.sheets)}"]
        rows[-1] += [f"{','.join(map(str, top.highest))} `{top.highest_selector}`"]
        rows[-1] += [f"{sum(one.important for one in house.sheets)}"]
    if house.scripts:
        longest_script = max(house.scripts, key=lambda one: one.lines)
        rows.append(["JavaScript", f"{len(house.scripts)}", f"{sum(one.lines for one in house.scripts):,}"])
        rows[-1] += [f"{longest_script.lines} {longest_script.path.rpartition('/')[2]}", "", "", ""]
    return markdown(head, rows)


def tests_line(house: House) -> str:
    tests, code = (sum(one.lines for one in some) for some in (house.tests, house.modules))
    return f"Lines of tests to lines of code: {tests:,} : {code:,} = {tests / max(code, 1):.2f}."


Thing = TypeVar("Thing", Module, Page)


def by_folder(things: list[Thing]) -> list[tuple[str, list[Thing]]]:
    folders: dict[str, list[Thing]] = {}
    for thing in things:
        folders.setdefault(thing.folder, []).append(thing)
    return sorted(folders.items())


def percentile(ordered: list[int], share: int) -> int:
    """The smallest length that this share of all is not above."""
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def percent(part: int, whole: int, digits: int = 1) -> str:
    return f"{100 * part / whole:.{digits}f} %" if whole else "–"


def counted(part: int, whole: int) -> str:
    return f"{part} ({percent(part, whole)})" if part else "0"


def many_arguments(modules: list[Module]) -> list[Unit]:
    return [unit for one in modules for unit in one.functions if unit.arguments > MANY_ARGUMENTS]


def complex_functions(modules: list[Module]) -> list[tuple[str, int]]:
    return [block for one in modules for block in one.complexities if block[1] > COMPLEX]


def per_thousand(modules: list[Module]) -> float:
    return 1000 * len(complex_functions(modules)) / max(1, sum(len(one.functions) for one in modules))


def broken(house: House) -> Iterator[str]:
    """What breaks a limit, and where to begin."""
    yield from too_complex(house.modules)
    yield from too_many_arguments(house.modules)
    yield from too_wide(house.templates)
    yield from too_long([*house.modules, *house.templates, *house.sheets, *house.scripts])
    yield from forms_in_screens(house.modules)
    yield from too_few_comments(house.modules)


def too_complex(code: list[Module]) -> Iterator[str]:
    if (much := per_thousand(code)) > MOST_COMPLEX:
        worst = sorted(complex_functions(code), key=lambda block: -block[1])
        yield f"{much:.0f} of 1,000 functions have a complexity over {COMPLEX}, at most {MOST_COMPLEX} may:"
        yield from (f"  {block} {complexity}" for block, complexity in worst)


def too_many_arguments(code: list[Module]) -> Iterator[str]:
    units = many_arguments(code)
    share = 100 * len(units) / max(1, sum(len(one.functions) for one in code))
    if share >= MOST_WITH_MANY_ARGUMENTS:
        yield f"{share:.1f} % of the functions take more than {MANY_ARGUMENTS} arguments, under {MOST_WITH_MANY_ARGUMENTS} % may:"
        yield from (f"  {unit.where} {unit.arguments}" for unit in units)


def too_wide(templates: list[Page]) -> Iterator[str]:
    wide = [one for one in templates if one.wide]
    if (lines := sum(one.wide for one in wide)) > MOST_WIDE_LINES:
        yield f"{lines} template lines are over {WIDE} characters, none may be:"
        yield from (f"  {one.path} {one.wide}" for one in wide)


def too_long(some: Iterable[Module | Page | Sheet]) -> Iterator[str]:
    for one in some:
        if one.lines > LONGEST_FILE:
            yield f"{one.path} has {one.lines} lines, at most {LONGEST_FILE} may be."


def forms_in_screens(code: list[Module]) -> Iterator[str]:
    for one in code:
        if one.forms and f"{one.folder}/".startswith(f"{SCREENS}/"):
            yield f"{one.path} defines {', '.join(one.forms)}: forms stand in securitygroups/forms."


def too_few_comments(code: list[Module]) -> Iterator[str]:
    comments, lines = sum(one.comments for one in code), sum(one.code for one in code)
    if (share := 100 * comments / max(1, lines)) < FEWEST_COMMENTS:
        yield f"{share:.1f} comment lines to 100 lines of code, at least {FEWEST_COMMENTS} should say why."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).parents[1], help="default: this checkout")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--table", action="store_true", help="print the measures only; limits are not looked at")
    only.add_argument("--check", action="store_true", help="print only what breaks a limit")
    chosen = parser.parse_args()
    house = read_house(chosen.root.resolve())
    if not house.modules:
        parser.error(f"{chosen.root} holds no panel: there is no code in {' or '.join(CODE)}.")
    if not chosen.check:
        print(table(house))
    if chosen.table:
        return 0
    wrong = list(broken(house))
    if wrong:
        print("\n".join(wrong if chosen.check else ["", *wrong]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
