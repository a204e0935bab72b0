"""A management command for a program that needs no Django: listed by `manage.py help`, and with Django's own options."""

from types import ModuleType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from securitygroups.management.programs import Failure


class ProgramCommand(BaseCommand):
    program: ModuleType
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        self.program.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.program.handle(options, self.stdout)
        except Failure as failure:
            raise CommandError(str(failure)) from None
