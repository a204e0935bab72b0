#!/usr/bin/env python
"""Command line of the panel: `manage.py help` lists the commands."""

import os
import sys

# Commands that need no database, or see to it themselves; all others find the embedded server running.
NO_DATABASE = {
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


def main() -> None:
    """Run one management command; what a person has to put right is said in words, with exit status 1."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "karenpanel.settings")
    try:
        from django.conf import settings
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
        from environs import EnvError

        from karenpanel import database, local
    except ModuleNotFoundError as error:
        sys.exit(f"{error}. Run manage.py with the environment's Python: .venv/bin/python manage.py")
    arguments = sys.argv[1:]
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


def needs_database(arguments: list[str]) -> bool:
    """Whether the command in these arguments (without the program's name) works on the database."""
    if not arguments or arguments[0].startswith("-") or {"-h", "--help"} & set(arguments):
        return False
    # A document given as a file is translated as it is.
    from_file = arguments[0] == "nftables" and any(part.split("=")[0] == "--group" for part in arguments)
    return arguments[0] not in NO_DATABASE and not from_file


if __name__ == "__main__":
    main()
