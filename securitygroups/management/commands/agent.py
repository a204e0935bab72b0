"""`manage.py agent`: the program that hosts run, as one file, and its unit of systemd."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from securitygroups.agent import VERSION
from securitygroups.agent.building import UNIT, build

NAME = "karenpanel-agent"


class Command(BaseCommand):
    help = "The agent that holds the rules on hosts: `build` writes it as one file, `unit` prints its unit of systemd."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=("build", "unit"))
        parser.add_argument("file", nargs="?", default=NAME, help=f"where build writes it: {NAME}")

    def handle(self, *args: Any, what: str, file: str, **options: Any) -> None:
        if what == "unit":
            self.stdout.write(files("securitygroups.agent").joinpath(UNIT).read_text("utf-8").rstrip("\n"))
            return
        to = Path(file)
        if to.is_dir():
            to /= NAME
        try:
            modules = build(to)
        except OSError as error:
            raise CommandError(f"{to} cannot be written: {error.strerror}.") from None
        size = to.stat().st_size
        self.stdout.write(f"{to}: version {VERSION}, {len(modules)} modules, {size // 1024} KiB")
