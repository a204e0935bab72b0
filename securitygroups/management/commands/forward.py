"""`manage.py forward`: the records of the whole installation go to a machine that keeps or watches them."""

import signal
from typing import Any

import structlog
from django.core.management.base import BaseCommand, CommandError, CommandParser

from securitygroups.management.forwarding.forwarder import NAME, Forwarder, standing
from securitygroups.management.forwarding.targets import PORT, target
from securitygroups.management.programs import Failure
from securitygroups.stream import NotHere

logger = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = (
        "Send what is on record, of all projects and accounts, to another machine: each line at least once, in the order in "
        "which it was written. Runs until SIGTERM, and goes on from where it was."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--to",
            metavar="TARGET",
            help=f"syslog+tls://host:{PORT}, or JSON lines to a file by its name, or - for standard output",
        )
        parser.add_argument("--name", default="main", help="whose place is kept, where there are several; main")
        parser.add_argument(
            "--from",
            dest="start",
            default="",
            metavar="WHERE",
            help="the first time: start, now, or the ID of the first line (activity, or activity,accounts)",
        )
        parser.add_argument("--once", action="store_true", help="send what there is, and end")
        parser.add_argument("--status", action="store_true", help="say how far it has come, and send nothing")
        parser.add_argument("--ca", default="", metavar="FILE", help="the authorities that may vouch for the receiver")
        parser.add_argument("--cert", default="", metavar="FILE", help="the certificate that is shown to the receiver")
        parser.add_argument("--key", default="", metavar="FILE", help="its key, where that is not in the same file")
        parser.add_argument(
            "--no-goodbye",
            dest="goodbye",
            action="store_false",
            help="for a receiver that does not answer TLS close_notify: it is enough that it ends the connection in order",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.work(options)
        except (Failure, NotHere) as failure:
            raise CommandError(str(failure)) from None

    def work(self, options: dict[str, Any]) -> None:
        """Raises Failure."""
        name = options["name"]
        if not NAME.fullmatch(name):
            raise Failure(f"--name {name}: give up to 40 small letters, digits and hyphens.")
        if options["status"]:
            for line in standing(name):
                self.stdout.write(line)
            return
        if not options["to"]:
            raise Failure(
                f"Say with --to where: syslog+tls://host:{PORT}, the name of a file, or - for standard output."
            )
        to = target(
            options["to"], ca=options["ca"], cert=options["cert"], key=options["key"], goodbye=options["goodbye"]
        )
        forwarder = Forwarder(name, to, lambda words: logger.warning("forward", name=name, problem=words))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: forwarder.stop.set())
        forwarder.run(options["start"], once=options["once"])
