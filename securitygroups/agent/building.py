"""The agent as one file that a host's own Python runs: `build`."""

import ast
import stat
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

SHEBANG = b"#!/usr/bin/python3 -I\n"
"""-I: of where it is started and of whose environment, nothing is imported."""
PACKAGE, AGENT, UNIT = "securitygroups", "securitygroups.agent", "karenpanel-agent.service"
_MAIN = b"import sys\n\nfrom securitygroups.agent.main import main\n\nsys.exit(main())\n"
# Files of a zip have a time; where all have this one, equal sources make equal bytes.
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def build(to: Path) -> list[str]:
    """Write the program to `to`, executable; the modules that are in it. Raises OSError.

    They are those that the agent's own import, and what these import, and so on: of `firewall` nothing else is needed.
    """
    root = Path(str(files(PACKAGE))).parent
    modules = dict(sorted(_needed(root).items()))
    new = to.with_name(f".{to.name}.new")
    with new.open("wb") as out:
        out.write(SHEBANG)
        with ZipFile(out, "w", ZIP_STORED) as archive:
            _add(archive, "__main__.py", _MAIN)
            for file in (*modules.values(), root / PACKAGE / "agent" / UNIT):
                _add(archive, file.relative_to(root).as_posix(), file.read_bytes())
    new.chmod(new.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    new.replace(to)
    return list(modules)


def _add(archive: ZipFile, name: str, data: bytes) -> None:
    # Stored and not packed: what packs them makes other bytes in other versions.
    archive.writestr(ZipInfo(name, _LONG_AGO), data)


def _needed(root: Path) -> dict[str, Path]:
    """Every module that the program can come to import, with its file."""
    found: dict[str, Path] = {}
    waiting = [f"{AGENT}.main"]
    while waiting:
        module = waiting.pop()
        file = _file(root, module)
        if file is None or module in found:
            continue
        found[module] = file
        # A package is imported before what is in it.
        waiting += [module.rpartition(".")[0], *_imported(file)]
    return found


def _file(root: Path, module: str) -> Path | None:
    """The file of a module of ours; None for what is none, such as a function that was imported from one."""
    path = root.joinpath(*module.split("."))
    if not module.startswith(PACKAGE):
        return None
    if (path / "__init__.py").is_file():
        return path / "__init__.py"
    return path.with_suffix(".py") if path.with_suffix(".py").is_file() else None


def _imported(file: Path) -> Iterator[str]:
    """Names of what the file imports, each of which may be a module or something in one."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
