"""`manage.py createcachetable`: Django's, and then the web's role may use the table. It comes after `migrate`."""

from typing import Any

from django.core.management.commands import createcachetable

from karenpanel import roles


class Command(createcachetable.Command):
    def handle(self, *tablenames: Any, **options: Any) -> None:
        super().handle(*tablenames, **options)
        if not options["dry_run"]:
            roles.grant(options["database"])
