"""`manage.py testpackets GROUP.json PACKETS.jsonl`: what a rule list does with packets, without a database."""

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from securitygroups.firewall.decide import decide
from securitygroups.firewall.formats.documents import read_group
from securitygroups.firewall.formats.packets import read_packets
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.management.programs import Failure, Out
from securitygroups.management.programs.files import read_bytes, refusal

HELP = (
    "Print what the rule list in GROUP.json does with each packet of PACKETS.jsonl, one JSON object a line: "
    '{"verdict": "accept", "rule": 1}. The rule is the place in the list from 1, null where none matched. '
    "A file with a fault is refused whole, with exit status 1."
)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("group", metavar="GROUP.json", help='a group document, "-" for standard input')
    parser.add_argument("packets", metavar="PACKETS.jsonl", help='one packet a line, "-" for standard input')


def handle(options: Mapping[str, Any], out: Out) -> None:
    group_name, packets_name = options["group"], options["packets"]
    if group_name == packets_name == "-":
        raise Failure("Standard input is one file: give a name for the group or for the packets.")
    # Both files are read before the first line is written: a bad one leaves nothing on standard output.
    try:
        rules = read_group(read_bytes(group_name)).rules
    except BadDocument as error:
        raise refusal(group_name, error) from None
    try:
        packets = read_packets(read_bytes(packets_name))
    except BadDocument as error:
        raise refusal(packets_name, error) from None
    try:
        for packet in packets:
            decision = decide(rules, packet)
            out.write(json.dumps({"verdict": decision.action.value, "rule": decision.rule}))
        out.flush()
    except BrokenPipeError:
        # The reader has seen enough, as `head` does; Python must not complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
