"""The sheets and modules under static/: small, our own, and whole under the names that they are served by."""

import json
import posixpath
import re
from pathlib import Path

import pytest

from karenpanel.storage import JOIN, MODULE, SHEET, PanelStorage
from tests.test_settings import PRODUCTION, ROOT, run

STATIC = ROOT / "static"
LONGEST = 250


def named(*suffixes: str, under: Path = STATIC) -> list[str]:
    """Files of ours by the names that pages know them by."""
    return sorted(str(file.relative_to(STATIC)) for file in under.rglob("*") if file.suffix in suffixes)


def imports(pattern: str, name: str, file: Path) -> list[str]:
    """What a sheet or module imports, in its order. `name` is where it stands, `file` where it is read."""
    return [
        posixpath.normpath(posixpath.join(posixpath.dirname(name), found["url"]))
        for found in re.finditer(pattern, file.read_text())
    ]


SHEETS = named(".css", under=STATIC / "css")
MODULES = named(".js", under=STATIC / "js")


def test_no_file_is_long_or_asks_another_host() -> None:
    texts = {name: (STATIC / name).read_text() for name in named(".css", ".js")}
    assert not [name for name, text in texts.items() if text.count("\n") > LONGEST]
    assert not [name for name, text in texts.items() if re.search(r"https?:|[\"'(]//", text)]


def test_the_entry_imports_every_sheet_once_and_no_other_sheet_imports() -> None:
    entry = "css/app.css"
    assert sorted([entry, *imports(SHEET, entry, STATIC / entry)]) == SHEETS
    for name in SHEETS:
        text = (STATIC / name).read_text()
        # An import that is not written as the storage knows it would be lost, an address would be read from elsewhere.
        assert text.count("@import") == len(re.findall(SHEET, text)) * (name == entry), name
        assert "url(" not in text, name


def test_the_entry_reaches_every_module() -> None:
    reached, left = set(), ["js/app.js"]
    while left:
        name = left.pop()
        if name not in reached:
            reached.add(name)
            found = imports(MODULE, name, STATIC / name)
            every = re.findall(r"(?m)^\s*(?:import|export .* from)\b", (STATIC / name).read_text())
            # None is written in a way that the storage does not know.
            assert len(found) == len(every), name
            left += found
    assert sorted(reached) == MODULES


# Compressing takes ten times as long as all the rest.
COLLECT = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "karenpanel.settings"
import django
from django.conf import settings
from django.core.management import call_command
settings.WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ["css", "js", "json", "md", "svg", "txt"]
django.setup()
call_command("collectstatic", interactive=False, verbosity=0)
"""


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Where an installation's files lie, and the name that each is served by."""
    folder = tmp_path_factory.mktemp("static")
    done = run("-c", COLLECT, **PRODUCTION, STATIC_ROOT=str(folder))
    assert done.returncode == 0, done.stderr
    return folder, json.loads((folder / "staticfiles.json").read_text())["paths"]


def test_collected_the_sheets_are_one_file(collected: tuple[Path, dict[str, str]]) -> None:
    folder, served = collected
    joined = (folder / served["css/app.css"]).read_text()
    assert "@import" not in joined
    parts = [joined.find((STATIC / name).read_text()) for name in imports(SHEET, "css/app.css", STATIC / "css/app.css")]
    assert -1 not in parts
    assert parts == sorted(parts)


def test_collected_modules_import_collected_modules(collected: tuple[Path, dict[str, str]]) -> None:
    folder, served = collected
    for name in MODULES:
        meant = imports(MODULE, name, STATIC / name)
        assert imports(MODULE, name, folder / served[name]) == [served[other] for other in meant], name
        assert all(served[other] != other and (folder / served[other]).exists() for other in meant), name


def test_a_sheet_that_does_not_exist_stops_the_collecting(tmp_path: Path) -> None:
    found = re.search(SHEET, '@import "nothing.css";')
    assert found
    join = PanelStorage(location=tmp_path, base_url="/static/").url_converter("css/app.css", {}, JOIN)
    with pytest.raises(ValueError, match=r"css/app\.css imports nothing\.css, which does not exist"):
        join(found)
