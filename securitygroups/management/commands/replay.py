"""`manage.py replay GROUP.json FLOWS` with options of Django's own."""

from securitygroups.management.commands._program import ProgramCommand
from securitygroups.management.programs import replay


class Command(ProgramCommand):
    program = replay
    help = replay.HELP
