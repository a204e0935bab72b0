"""`manage.py forward` as a process that a test starts and kills: `python -m tests.forwarded DATABASE ARGUMENTS`."""

import sys

from karenpanel import database


def main() -> None:
    # No more than the rights of the web.
    database.use_for(database.Purpose.WEB)
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = sys.argv[1]
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", "forward", *sys.argv[2:]])


if __name__ == "__main__":
    main()
