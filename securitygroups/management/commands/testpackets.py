"""`manage.py testpackets GROUP.json PACKETS.jsonl` with options of Django's own."""

from securitygroups.management.commands._program import ProgramCommand
from securitygroups.management.programs import testpackets


class Command(ProgramCommand):
    program = testpackets
    help = testpackets.HELP
