"""What `tests/measure.py` counts is what stands there."""

from pathlib import Path

import pytest

from tests import measure

CODE = '''"""A module."""

# Why this is so.
LIMIT = 3  # behind code: not a line of its own


class Thing:
    """A thing."""

    def asked(self, one, two, three, four, five, *, six):  # noqa: E501
        # noqa: E501
        def inside(a):
            return a if a else None

        return inside(one)

    @staticmethod
    def plain(one, two, three, four, five, *rest, **more):
        return one

    class Meta:
        ordering = ["name"]


def _hidden():
    return "# no comment"
'''


def checkout(tmp_path: Path, **files: str) -> measure.House:
    for name, text in {"securitygroups/thing.py": CODE, **files}.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return measure.read_house(tmp_path)


def test_comments_code_and_docstrings_are_told_apart(tmp_path: Path) -> None:
    [module] = checkout(tmp_path).modules

    assert (module.comments, module.code) == (1, 13)
    # The module, Thing, asked and plain; not Meta, not what is inside a function.
    assert (module.explained, module.public) == (2, 4)


def test_self_and_the_open_ends_are_no_arguments(tmp_path: Path) -> None:
    [module] = checkout(tmp_path).modules

    assert {unit.where.split()[1]: unit.arguments for unit in module.functions} == {
        "asked": 6,
        "inside": 1,
        "plain": 5,
        "_hidden": 0,
    }


def test_functions_inside_others_have_a_complexity_of_their_own(tmp_path: Path) -> None:
    [module] = checkout(tmp_path).modules

    assert sorted(complexity for _, complexity in module.complexities) == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("selector", "weight"),
    [
        ("a", (0, 0, 1)),
        (".button:hover", (0, 2, 0)),
        ("#site-name .icon", (1, 1, 0)),
        ("a[href^='#x']::before", (0, 1, 2)),
        (":where(#a, .b) li", (0, 0, 1)),
        (":is(.a, #b) > p", (1, 0, 1)),
        ("tr:not(.off):has(> td.why)", (0, 2, 2)),
        ("li:nth-child(2n + 1)", (0, 1, 1)),
        ("*", (0, 0, 0)),
    ],
)
def test_selectors_weigh_what_browsers_say(selector: str, weight: tuple[int, int, int]) -> None:
    assert measure.specificity(selector) == weight


def test_a_sheet_with_nested_rules_and_at_rules(tmp_path: Path) -> None:
    text = """
    /* #none { } */
    @layer base { .card { color: red !important; &:hover, & > #x { margin: 0 } content: "}" } }
    @keyframes in { from { opacity: 0 } 50%, to { opacity: 1 } }
    """
    [sheet] = checkout(tmp_path, **{"static/app.css": text}).sheets

    assert (sheet.ids, sheet.important, sheet.highest) == (1, 1, (1, 1, 0))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("securitygroups/web/views/rules.py", "class Ask(forms.Form):\n    pass\n", "defines Ask"),
        ("securitygroups/long.py", "# why\n" * 451, "has 451 lines"),
        ("static/app.css", "a { margin: 0 }\n" * 451, "has 451 lines"),
        ("templates/page.html", "x" * 141, "1 template lines are over 140"),
        ("securitygroups/many.py", "def much(a, b, c, d, e, f): ...\n", "more than 5 arguments"),
        ("securitygroups/deep.py", f"def deep(a):\n    return {'a and ' * 11}a\n", "complexity over 10"),
        ("securitygroups/bare.py", "A = 1\n" * 400, "at least 2.0 should say why"),
    ],
)
def test_what_breaks_a_limit_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    fine = {"securitygroups/thing.py": "# why\nA = 1\n"}

    assert not list(measure.broken(checkout(tmp_path, **fine)))
    assert [line for line in measure.broken(checkout(tmp_path, **fine, **{name: text})) if message in line]


def test_tests_and_migrations_are_not_held_to_them(tmp_path: Path) -> None:
    long = "A = 1\n" * 900
    quiet = {
        "securitygroups/thing.py": "# why\nA = 1\n",
        "tests/test_x.py": long,
        "securitygroups/migrations/0001.py": long,
    }

    assert not list(measure.broken(checkout(tmp_path, **quiet)))
