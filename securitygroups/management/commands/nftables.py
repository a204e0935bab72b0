"""`manage.py nftables`: effective lists as an nftables ruleset, nft's opinion of it, and how often each rule decided."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from securitygroups.enforcement.check import Answer, check
from securitygroups.firewall.formats.documents import read_group
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.nftables import (
    TAP_PATTERN,
    Loaded,
    NotListed,
    Tap,
    Unenforceable,
    host_ruleset,
    read_loaded,
    remove_loaded,
    swap,
)
from securitygroups.firewall.nftables.counters import BadCounters, Counted, Hits, read_counters
from securitygroups.firewall.platform import Target, platform_lines
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Rule
from securitygroups.management.programs import Failure
from securitygroups.management.programs.files import read_bytes, refusal
from securitygroups.words.rules import rule_sentence

Listed = Sequence[tuple[Tap, Sequence[Rule]]]


def from_document(name: str, tap: str) -> Listed:
    """One VM with the list of a group document; its rules have no identity, so their counters are named by place."""
    try:
        group = read_group(read_bytes(name))
    except BadDocument as error:
        raise refusal(name, error) from None
    return [(Tap("group", tap, group.name), group.rules)]


def from_database(names: Sequence[str]) -> Listed:
    """VMs by ID, or by a name that only one VM has, with their effective lists."""
    # The models are imported here: a document is compiled where no database is configured.
    from securitygroups.enforcement.host import listed_on_host
    from securitygroups.models import VirtualMachine

    listed = []
    for name in dict.fromkeys(names):
        live = VirtualMachine.objects.live().select_related("placement")
        found = list(live.filter(public_id=name)) or list(live.filter(name=name).order_by("public_id"))
        if not found:
            raise CommandError(f"{name}: there is no VM of this ID or name.")
        if len(found) > 1:
            ids = ", ".join(machine.public_id for machine in found[:10])
            raise CommandError(f"{name}: {len(found)} VMs have this name; give an ID: {ids}.")
        listed.append(listed_on_host(found[0]))
    return listed


def hit_lines(listed: Listed, counters: Mapping[Counted, Hits], target: Target) -> Iterator[str]:
    """A table for each VM: packets, bytes, and what counted them. A rule without a counter here shows "–"."""

    def line(counted: Counted, what: str) -> str:
        hits = counters.get(counted)
        packets, size = ("–", "–") if hits is None else (f"{hits.packets:,}", f"{hits.bytes:,}")
        return f"{packets:>14} {size:>18}  {what}"

    for machine, rules in listed:
        yield f"VM {machine.uid} {machine.name}".rstrip()
        yield f"{'packets':>14} {'bytes':>18}"
        # Lines of one kind have one counter: it is shown with the first of them.
        kinds = {(one.direction, one.what): one for one in reversed(platform_lines(target, machine.guest))}
        for platform in reversed(kinds.values()):
            yield line(
                Counted(machine.uid, platform.direction, platform.what),
                f"{platform.direction.label}, platform: {platform.line}",
            )
        for place, rule in enumerate(rules, 1):
            counted = Counted(machine.uid, "rule", rule.uid) if rule.uid else Counted(machine.uid, "place", str(place))
            yield line(counted, f"{place}. {rule_sentence(rule)}")
        for direction in Direction:
            yield line(Counted(machine.uid, direction, "none"), f"{direction.label}, denied: no rule matched")


class Command(BaseCommand):
    """Translate, check, or count."""

    help = (
        "Print the nftables ruleset of VMs, given by ID or name, or of one VM with the rules of a group document. "
        "Load what is printed with `nft -f`. Without a database only --group works. What cannot be said exactly in "
        "the target is refused, with exit status 1."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("machines", metavar="VM", nargs="*", help="a VM's ID, or its name where only one has it")
        parser.add_argument("--group", metavar="GROUP.json", help='a group document, "-" for standard input')
        parser.add_argument(
            "--target",
            type=Target,
            choices=list(Target),
            default=Target.BRIDGE,
            help="; ".join(f"{target}: {target.label}" for target in Target),
        )
        parser.add_argument("--tap", metavar="NAME", default="tap0", help="the VM's interface, with --group")
        parser.add_argument(
            "--taps",
            metavar="PATTERN",
            default=TAP_PATTERN,
            help=f"what the names of all taps of the host begin with, and a *: {TAP_PATTERN} unless given",
        )
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--swap", action="store_true", help="only the VMs' chains, to be loaded over a skeleton that is loaded"
        )
        what.add_argument(
            "--remove",
            metavar="VM",
            nargs="+",
            default=[],
            help="take these VMs off the host, by ID, with all that --loaded has of them",
        )
        what.add_argument(
            "--check", action="store_true", help="ask nft, in a namespace of its own, and print its answer"
        )
        what.add_argument(
            "--hits",
            metavar="FILE",
            help='print what `nft -j list counters` put into this file, "-" for standard input, beside the rules',
        )
        parser.add_argument(
            "--loaded",
            metavar="FILE",
            help="what `nft -j list table` put into this file: the change takes away what it replaces of that",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        named = [options["machines"], options["group"], options["remove"]]
        if sum(map(bool, named)) != 1:
            raise CommandError("Give VMs, or --group and a group document, or --remove and VMs.")
        if [options["group"], options["hits"], options["loaded"]].count("-") > 1:
            raise CommandError("Standard input is one file: give names for the others.")
        if options["remove"] and not options["loaded"]:
            raise CommandError(
                "What is loaded of them is in no list: give --loaded, with what `nft -j list table` prints."
            )
        try:
            self.stdout.write(self.ruleset(options))
        except (Unenforceable, BadCounters, NotListed, Failure) as error:
            raise CommandError(str(error)) from None

    def ruleset(self, options: Mapping[str, Any]) -> str:
        """What is printed. Raises Unenforceable, BadCounters, NotListed, Failure, and CommandError."""
        target, taps = options["target"], options["taps"]
        loaded = read_loaded(_text(options["loaded"])) if options["loaded"] else None
        if options["remove"]:
            return "".join(remove_loaded(uid, loaded or Loaded(), target) for uid in options["remove"])
        if options["group"]:
            listed = from_document(options["group"], options["tap"])
        else:
            listed = from_database(options["machines"])
        if options["hits"]:
            return "\n".join(hit_lines(listed, read_counters(_text(options["hits"])), target))
        if options["swap"]:
            changes = (swap(vm, rules, target, before=loaded or (), tap_pattern=taps) for vm, rules in listed)
            return "".join(changes)
        ruleset = host_ruleset(listed, target, taps, before=loaded)
        return self.checked(ruleset) if options["check"] else ruleset

    def checked(self, ruleset: str) -> str:
        """nft's answer. Raises CommandError: status 1 where it refuses, 2 where it could not be asked."""
        answer = check(ruleset)
        if answer.answer is Answer.REFUSED:
            raise CommandError(f"nft refuses the ruleset:\n{answer.words}")
        if answer.answer is Answer.UNAVAILABLE:
            raise CommandError(f"nft could not be asked: {answer.words}", returncode=2)
        return f"nft takes the ruleset ({ruleset.count(chr(10)):,} lines)."


def _text(name: str) -> str:
    try:
        return read_bytes(name).decode()
    except UnicodeDecodeError:
        raise BadCounters(f"{name}: this is not UTF-8.") from None
