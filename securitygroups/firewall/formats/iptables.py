"""iptables-save and ip6tables-save."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from securitygroups.firewall.formats.chains import Base, Chains, Key, Line, Step, Verdict, read_chains
from securitygroups.firewall.formats.foreign import BOTH, Foreign
from securitygroups.firewall.formats.hosts import MOST_LINES
from securitygroups.firewall.formats.iptables_matches import Asked, read_matches
from securitygroups.firewall.formats.reading import Note, Reading, System, Taken, Upload
from securitygroups.firewall.formats.spans import of_family
from securitygroups.firewall.formats.strict import bad
from securitygroups.firewall.protocols import Action, Direction

MOST_LETTERS = 10_000
NAME = "iptables-save"
_TABLE = re.compile(r"^\*(filter|nat|mangle|raw|security)[ \t]*\r?$", re.MULTILINE)
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_PATHS = {
    Direction.IN: (
        ("raw", "PREROUTING"), ("mangle", "PREROUTING"), ("nat", "PREROUTING"),
        ("mangle", "INPUT"), ("filter", "INPUT"), ("security", "INPUT"),
    ),
    Direction.OUT: (
        ("raw", "OUTPUT"), ("mangle", "OUTPUT"), ("filter", "OUTPUT"), ("security", "OUTPUT"), ("mangle", "POSTROUTING"),
    ),
}  # fmt: skip
_SILENT = frozenset(
    [
        "LOG",
        "NFLOG",
        "ULOG",
        "MARK",
        "CONNMARK",
        "SECMARK",
        "CONNSECMARK",
        "TOS",
        "DSCP",
        "TTL",
        "HL",
        "TCPMSS",
        "TCPOPTSTRIP",
        "CLASSIFY",
        "CHECKSUM",
        "SET",
        "RATEEST",
        "TRACE",
        "AUDIT",
        "IDLETIMER",
        "LED",
        "CT",
        "NOTRACK",
        "HMARK",
        "TEE",
        "ECN",
        "SNAT",
        "MASQUERADE",
    ]
)
_FINAL = {"ACCEPT": Verdict.ACCEPT, "RETURN": Verdict.RETURN} | dict.fromkeys(
    ("DROP", "REJECT", "TARPIT", "DELUDE", "CHAOS", "STEAL"), Verdict.DROP
)
_TRANSLATES = frozenset({"DNAT", "REDIRECT", "TPROXY", "NETMAP", "DNPT", "BALANCE", "SAME"})
_LEFT = {
    "FORWARD": "It is about packets that the machine forwards for others; the rules here are about its own.",
    "PREROUTING": "It changes addresses or marks, and drops nothing: there is nothing to take.",
    "POSTROUTING": "It changes addresses or marks, and drops nothing: there is nothing to take.",
    "INPUT": "It changes addresses or marks, and drops nothing: there is nothing to take.",
    "OUTPUT": "It changes addresses or marks, and drops nothing: there is nothing to take.",
}
_SPELLED = re.compile(r"^-P (INPUT|OUTPUT) (ACCEPT|DROP)", re.MULTILINE)
_LISTED = re.compile(r"^Chain \S+ \((policy \w+|\d+ references)", re.MULTILINE)
_NO_OUTPUT = "No OUTPUT chain of table filter stands in the file, and so all goes out; here it takes a rule to say so."


@dataclass(slots=True)
class _Save:
    """A file as it is being read."""

    rules: dict[Key, list[tuple[Line, list[str], set[int]]]] = field(default_factory=dict)
    policies: dict[Key, tuple[Line, Action]] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def forget(self, family: str, table: str) -> None:
        """A table that begins once more takes the place of the one before."""
        gone = [rule[0] for key in list(self.rules) if key[:2] == (family, table) for rule in self.rules.pop(key)]
        for line in gone:
            self.note(line, "The same table stands below once more, and takes the place of this one.")
        orders = {line.order for line in gone}
        self.lines = [line for line in self.lines if line.order not in orders]

    def note(self, line: Line, how: str) -> None:
        self.notes.append(Note(line.where, line.text, Taken.NOT_TAKEN, how))


def looks(upload: Upload) -> bool:
    return bool(_TABLE.search(upload.text) or _LISTED.search(upload.text[:4000]) or _SPELLED.search(upload.text[:4000]))


def read(upload: Upload) -> Reading:
    """Raises BadDocument."""
    save = _opened(upload.text)
    steps = _steps(save)
    paths = {direction: list(_path(save, direction)) for direction in Direction}
    if not any(base.key[1] == "filter" for path in paths.values() for base in path):
        raise bad(
            "",
            "The file has no INPUT or OUTPUT chain of table filter, which is what is read: run iptables-save without -t.",
        )
    chains = Chains(steps, paths, save.lines, _left(steps, save))
    families = sorted({int(key[0]) for key in steps})
    reading = read_chains(
        " and ".join({4: NAME, 6: "ip6tables-save"}[one] for one in families), chains, _all_out(save, families)
    )
    return Reading(reading.system, reading.groups, (*save.notes, *_other_family(families)))


def _opened(text: str) -> _Save:
    if _TABLE.search(text):
        return _parsed(text, "")
    if _SPELLED.search(text[:4000]):
        return _parsed(_as_saved(text), "filter")
    raise bad("", "This is what iptables -L lists, which leaves things out. Run iptables-save, and bring what it says.")


def _steps(save: _Save) -> dict[Key, list[Step]]:
    named, notrack = _named(save), any("NOTRACK" in words or "--notrack" in words for words in _all_words(save))
    return {
        key: [
            _step(key, line, read_matches(words, quoted, int(key[0]), named, notrack)) for line, words, quoted in rules
        ]
        for key, rules in save.rules.items()
    }


def _parsed(text: str, table: str) -> _Save:
    save, lines = _Save(), text.splitlines()
    family = _family_of(lines, 0)
    if len(lines) > MOST_LINES:
        raise bad("", f"The file has more than {MOST_LINES:,} lines: keep the tables filter, mangle and raw of it.")
    for order, raw in enumerate(lines, 1):
        said = raw.strip()
        if len(said) > MOST_LETTERS:
            raise bad(f"line {order}", f"It is longer than {MOST_LETTERS:,} letters, which no rule of iptables is.")
        line = Line(order, f"line {order}", said)
        if said.startswith("*"):
            table = said[1:].strip()
            family = _family_of(lines, order)
            save.forget(str(family), table)
        elif said.startswith("#") or not said or said == "COMMIT":
            continue
        elif not table:
            save.note(line, "It stands before the first table, such as *filter: it is not understood.")
        else:
            _line(save, line, (str(family), table))
    return save


def _as_saved(text: str) -> str:
    """What iptables -S says, which is of table filter, as iptables-save would; each line stays where it is."""
    text = re.sub(r"^-P (\S+) (\S+).*$", r":\1 \2", text, flags=re.MULTILINE)
    return re.sub(r"^-N (\S+).*$", r":\1 -", text, flags=re.MULTILINE)


def _family_of(lines: list[str], start: int) -> int:
    """The family of the table that begins in this line: as the line before it says, or its addresses."""
    for above in reversed(lines[max(0, start - 4) : start - 1]):
        if above.startswith("# Generated by"):
            return 6 if "ip6tables" in above else 4
        if above.strip() == "COMMIT":
            break
    for below in lines[start : start + 400]:
        if below.startswith("COMMIT"):
            break
        if re.search(r":ufw6-|icmp6|icmpv6|ipv6-icmp|(-s|-d) \S*:\S*/\d", below[:2000]):
            return 6
        if re.search(r"(-s|-d) \d+\.\d+\.", below[:2000]):
            return 4
    return 4


def _line(save: _Save, line: Line, of: Key) -> None:
    """A chain, or a rule of one."""
    if line.text.startswith(":"):
        name, _, rest = line.text[1:].partition(" ")
        key = (*of, name)
        save.rules.setdefault(key, [])
        policy = rest.split(" ")[0]
        if policy in ("ACCEPT", "DROP", "QUEUE", "REJECT"):
            save.policies[key] = line, Action.ACCEPT if policy == "ACCEPT" else Action.DROP
            save.lines.append(line)
        return
    words, quoted = _words(line.text)
    if words and re.fullmatch(r"\[\d+:\d+\]", words[0]):
        words, quoted = words[1:], {place - 1 for place in quoted}
    if len(words) < 2 or words[0] not in ("-A", "--append"):
        # Who inserts, deletes or renames changes what stands before it: read literally, it would be another list.
        raise bad(
            line.where,
            "This is no line of iptables-save, which only has -A lines: run iptables-save, and bring what it says.",
        )
    save.rules.setdefault((*of, words[1]), []).append((line, words[2:], {place - 2 for place in quoted}))
    save.lines.append(line)


def _words(text: str) -> tuple[list[str], set[int]]:
    """(the words of a line, the places of those in quotes, which are never options)."""
    if '"' not in text:
        return text.split(), set()
    words, quoted = list[str](), set[int]()
    for found in _WORD.finditer(text):
        if found[2] is None:
            quoted.add(len(words))
        words.append(re.sub(r"\\(.)", r"\1", found[1]) if found[2] is None else found[2])
    return words, quoted


def _all_words(save: _Save) -> Iterator[list[str]]:
    for rules in save.rules.values():
        for _, words, _ in rules:
            yield words


def _named(save: _Save) -> frozenset[str]:
    """Every interface that the file names."""
    found = set()
    for words in _all_words(save):
        for place, word in enumerate(words[:-1]):
            if word in ("-i", "-o", "--in-interface", "--out-interface"):
                found.add(words[place + 2] if words[place + 1] == "!" and place + 2 < len(words) else words[place + 1])
    return frozenset(found)


def _step(key: Key, line: Line, asked: Asked) -> Step:
    verdict, target, how = _verdict(key, asked)
    return Step(line, tuple(asked.match), verdict, target, " ".join(filter(None, (asked.how, how))), asked.comment)


def _verdict(key: Key, asked: Asked) -> tuple[Verdict, Key, str]:
    target = asked.target
    if not target:
        return Verdict.NONE, (), "" if asked.how else "It decides nothing: it counts, or remembers."
    if asked.goto:
        return Verdict.GOTO, (*key[:2], target), ""
    if target in _FINAL:
        return _FINAL[target], (), ""
    if target in _SILENT:
        # In nat these end the chain; nothing behind them drops there.
        return (
            (Verdict.ACCEPT if key[1] == "nat" else Verdict.NONE),
            (),
            f"{target} decides nothing about a packet here.",
        )
    if target in _TRANSLATES:
        how = f"{target} sends the packet elsewhere, to {asked.options or 'another address'}: if that is to be reached, add an accept."
        return Verdict.ELSEWHERE, (), how
    if target in ("NFQUEUE", "QUEUE", "SYNPROXY"):
        return Verdict.ELSEWHERE, (), f"{target} gives the packet to a program, which may drop it: taken as a drop."
    return Verdict.JUMP, (*key[:2], target), ""


def _path(save: _Save, direction: Direction) -> Iterator[Base]:
    for table, name in _PATHS[direction]:
        for family in (4, 6):
            key = (str(family), table, name)
            if key in save.rules:
                line, policy = save.policies.get(key, (Line(0, "", f":{name}"), Action.ACCEPT))
                yield Base(key, of_family(family), policy, line, f"{name} of table {table}")
    if not any(key[1:] in (("filter", "INPUT"), ("filter", "OUTPUT")) for key in save.rules):
        yield from _of_ufw(save, direction)


def _of_ufw(save: _Save, direction: Direction) -> Iterator[Base]:
    """The chains of ufw's own files, user.rules and user6.rules: what they let fall is for defaults that stand elsewhere."""
    for family, name in ((4, "ufw-user"), (6, "ufw6-user")):
        key = (str(family), "filter", f"{name}-{'input' if direction is Direction.IN else 'output'}")
        if key in save.rules:
            yield Base(key, of_family(family), Action.DROP, Line(0, "", ""), key[2])


def _all_out(save: _Save, families: list[int]) -> list[Foreign]:
    """An accept of everything out, for each family whose OUTPUT chain is not in the file though it has an INPUT chain."""
    return [
        Foreign(
            "the file", "no OUTPUT chain", Action.ACCEPT, Direction.OUT, families=frozenset({one}), rests_on=_NO_OUTPUT
        )
        for one in families
        if (str(one), "filter", "OUTPUT") not in save.rules and (str(one), "filter", "INPUT") in save.rules
    ]


def _left(steps: Mapping[Key, list[Step]], save: _Save) -> dict[int, str]:
    """Why lines are not taken that no packet of the VM's own comes to, by the chain that leads to them."""
    left: dict[int, str] = {}
    for key in steps:
        if key[2] not in _LEFT:
            continue
        seen, todo = {key}, [key]
        while todo:
            for step in steps.get(todo.pop(), ()):
                left.setdefault(step.line.order, _LEFT[key[2]])
                if step.target and step.target not in seen:
                    seen.add(step.target)
                    todo.append(step.target)
    for key, (line, _) in save.policies.items():
        left[line.order] = _LEFT.get(key[2], "It is the chain of no packet that comes in or goes out.")
    return left


def _other_family(families: list[int]) -> Iterator[Note]:
    for one in sorted(BOTH - set(families)):
        command = {4: "iptables-save", 6: "ip6tables-save"}[one]
        how = f"The file is about IPv{families[0]} alone, and IPv{one} is dropped here: put what {command} says behind it to take both."
        yield Note("the file", f"IPv{one}", Taken.NOT_TAKEN, how)


IPTABLES = System(NAME, looks, read)
