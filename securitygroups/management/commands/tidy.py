"""`manage.py tidy`: take away what has ended, once a day."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from securitygroups.operations import tidy


class Command(BaseCommand):
    help = (
        "Take away what has ended: sessions, invitations, confirmations of addresses, counts of limits. Run it once a day, "
        "beside the running panel. Records stay."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count, and take nothing away")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        self.stdout.write("To be taken away:" if dry_run else "Taken away:")
        for what, number in tidy(timezone.now(), dry_run=dry_run):
            self.stdout.write(f"{number:>12,}  {what}")
