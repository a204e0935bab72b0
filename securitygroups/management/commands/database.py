"""`manage.py database status|start|stop`: the embedded PostgreSQL server by hand."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from karenpanel import database


class Command(BaseCommand):
    help = "Show, start or stop the PostgreSQL server that the panel runs itself where DATABASE_URL names none."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["status", "start", "stop"])

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        if not database.is_embedded(settings.DATABASES["default"]):
            raise CommandError("DATABASE_URL names a PostgreSQL server that is not the panel's to start or stop.")
        try:
            if action == "start":
                database.start(report=self.stdout.write)
            elif action == "stop" and not database.stop():
                raise CommandError(
                    "The database is in use, by the demo, a test run or another command. End that first."
                )
            self.show()
        except (database.StartError, OSError) as error:
            raise CommandError(str(error)) from error

    def show(self) -> None:
        """Say what runs, and where."""
        here, status = database.place(), database.status()
        runs = "is not running" if status.pid is None else f"is running, process {status.pid}"
        self.stdout.write(f"The database server {runs}.\nData: {here.data}\nLog: {here.log}\nSocket: {here.socket}")
