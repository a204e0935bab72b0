#!/usr/bin/env python
"""Command line of the panel: `manage.py help` lists the commands."""

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from karenpanel.database import Purpose

# Commands that need no database, or see to it themselves; all others find the embedded server running.
NO_DATABASE = {
    "agent",
    "check",
    "collectstatic",
    "database",
    "demo",
    "diffsettings",
    "findstatic",
    "help",
    "replay",
    "testpackets",
    "version",
}
# Commands that make, change or empty tables: they use DATABASE_OWNER_URL where it is set, and no other command does.
SCHEMA = {
    "createcachetable",
    "demo",
    "flush",
    "loaddata",
    "makemigrations",
    "migrate",
    "pgtrigger",
    "remove_stale_contenttypes",
    "sqlflush",
    "sqlmigrate",
    "sqlsequencereset",
    "squashmigrations",
}


def main() -> None:
    """Run one management command; what a person has to put right is said in words, with exit status 1."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "karenpanel.settings")
    try:
        from securitygroups.management import programs

        # Before Django is imported, which would take ten times as long.
        if programs.run(sys.argv[1:]):
            return
        from django.conf import settings
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
        from environs import EnvError

        from karenpanel import database, local
    except ModuleNotFoundError as error:
        sys.exit(f"{error}. Run manage.py with the environment's Python: .venv/bin/python manage.py")
    arguments = sys.argv[1:]
    database.use_for(purpose(arguments))
    try:
        if arguments[:1] == ["demo"]:
            local.prepare()
        chosen = settings.DATABASES["default"]
        if needs_database(arguments):
            if database.is_embedded(chosen):
                database.start()
            database.reach(chosen)
    except (ImproperlyConfigured, EnvError, database.StartError, OSError) as error:
        sys.exit(str(error))
    execute_from_command_line(sys.argv)


def purpose(arguments: list[str]) -> "Purpose":
    """What the command in these arguments (without the program's name) uses the database for."""
    from karenpanel.database import Purpose

    name = "".join(arguments[:1])
    return Purpose.SCHEMA if name in SCHEMA else Purpose.WEB if name == "runserver" else Purpose.ORDINARY


def needs_database(arguments: list[str]) -> bool:
    """Whether the command in these arguments (without the program's name) works on the database."""
    if not arguments or arguments[0].startswith("-") or {"-h", "--help"} & set(arguments):
        return False
    options = {part.split("=")[0] for part in arguments}
    # A document given as a file is translated as it is, and what a host has loaded is in another one.
    from_file = arguments[0] == "nftables" and {"--group", "--remove"} & options
    asks_it = arguments[0] == "check" and "--database" in options
    return asks_it or (arguments[0] not in NO_DATABASE and not from_file)


if __name__ == "__main__":
    main()
