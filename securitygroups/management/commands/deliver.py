"""`manage.py deliver`: send webhooks what happens in their projects."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from securitygroups import operations
from securitygroups.delivering import Deliverer


class Command(BaseCommand):
    help = (
        "Send webhooks what happens in their projects, until it is stopped. Any number of them may run beside each other; one "
        "that is killed loses nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="send what is due now, and end")

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        resealed = operations.reseal()
        if resealed:
            self.stdout.write(f"Secrets that were sealed with today's SECRET_KEY: {resealed}.")
        deliverer, stop = Deliverer(), threading.Event()
        if once:
            sent = deliverer.once()
            deliverer.finish()
            self.stdout.write(f"Sent: {sent}.")
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        deliverer.run(stop)
