"""What is shown of the kernel's ruleset is that ruleset: nft makes the same of the lines again."""

import json
from dataclasses import replace
from random import Random

from securitygroups.agent.lines import line_of
from securitygroups.agent.readback import HOST, MOST_LINES, Part, difference, divided, parted
from securitygroups.firewall.documents import rule_from_json
from securitygroups.firewall.nftables import TABLE, Own, Tap, host_ruleset
from securitygroups.firewall.platform import Target
from securitygroups.firewall.values import Rule
from tests.agent.conftest import KERNEL
from tests.firewall.samples import random_rule
from tests.kernel.host import Host, NotHere, empty_host, skip


def random_rules(seed: int, number: int) -> tuple[Rule, ...]:
    random = Random(seed)
    rules = (rule_from_json(random_rule(random)) for _ in range(number))
    return tuple(replace(rule, uid=f"r{place}") for place, rule in enumerate(rules))


def listed(host: Host, target: Target) -> dict[str, Part]:
    # In numbers: a range of names is written so that nft itself does not read it.
    return divided(json.loads(host.run(f"nft -n -j list table {target.family} {TABLE}"))["nftables"])


@KERNEL
def test_nft_makes_the_same_of_the_lines_again(target: Target) -> None:
    held = Tap("vm-2", "tap1", "", "10.0.0.6", "2001:db8::6", Own("52:54:00:00:00:01", ("10.0.0.6", "2001:db8::6")), 7)
    machines = [(Tap("vm-1", "tap0"), random_rules(1, 40)), (held, random_rules(2, 100))]
    try:
        with empty_host(target) as host:
            host.load(host_ruleset(machines, target))
            before = listed(host, target)

            text = ""
            for uid, part in before.items():
                rules = [piece for piece in part.pieces if "rule" in piece]
                for chain in {piece["rule"]["chain"] for piece in rules}:
                    text += f"flush chain {target.family} {TABLE} {chain}\n"
                for piece in rules:
                    chain, _, said = line_of(piece).partition(": ")
                    text += f"add rule {target.family} {TABLE} {chain} {said}\n"
                assert uid == HOST or rules
            host.load(text)

            assert {uid: part.hash for uid, part in listed(host, target).items()} == {
                uid: part.hash for uid, part in before.items()
            }
    except NotHere as reason:
        skip(f"{target}: {reason}")


RULE = {"rule": {"family": "inet", "table": TABLE, "chain": "vm.vm-1.in", "handle": 7, "expr": [{"accept": None}]}}
COUNTER = {
    "counter": {"family": "inet", "table": TABLE, "name": "hit.vm-1.in.none", "handle": 3, "packets": 9, "bytes": 90}
}


def test_numbers_and_handles_are_no_part_of_what_is_compared() -> None:
    later = [
        {"rule": {**RULE["rule"], "handle": 8}},
        {"counter": {**COUNTER["counter"], "packets": 10, "bytes": 99}},
    ]

    [before], [after] = divided([RULE, COUNTER]).items(), divided(later).items()

    assert before[0] == "vm-1"
    assert before[1].hash == after[1].hash


def test_the_order_of_rules_is_compared() -> None:
    drop = {"rule": {**RULE["rule"], "expr": [{"drop": None}]}}

    one, other = divided([RULE, drop])["vm-1"], divided([drop, RULE])["vm-1"]

    assert one.hash != other.hash
    assert difference(one.lines, other.lines) == ["The lines stand in another order."]


def test_what_is_missing_and_what_is_more_is_told_in_lines_of_a_bearable_number() -> None:
    assert difference(["a", "b", "b"], ["b", "c"]) == ["- a", "- b", "+ c"]
    many = difference([], [f"line {number}" + "x" * 500 for number in range(100)])
    assert len(many) == MOST_LINES + 1
    assert many[-1] == "… and 80 more"
    assert max(map(len, many)) < 210


def test_what_is_not_known_is_shown_as_it_is() -> None:
    strange = {
        "rule": {
            **RULE["rule"],
            "expr": [{"queue": {"num": 1}}, {"match": {"left": {"osf": {}}, "right": 1, "op": "=="}}],
        }
    }

    assert line_of(strange) == 'vm.vm-1.in: {"queue": {"num": 1}} {"osf": {}} 1'


def test_what_nobodys_list_has_made_is_told_from_what_the_host_loads_first() -> None:
    own = [{"chain": {"family": "inet", "table": TABLE, "name": "from_vm", "handle": 1}}]
    verdicts = {"family": "inet", "table": TABLE, "name": "vm_in", "type": "ifname", "map": "verdict", "handle": 1}
    strange = [
        {"chain": {"family": "inet", "table": TABLE, "name": "mine", "handle": 2}},
        {"rule": {**RULE["rule"], "chain": "mine"}},
        {"map": {**verdicts, "elem": [["tap0", {"jump": {"target": "vm.vm-1.in"}}], ["tap7", {"accept": None}]]}},
    ]

    parts = divided([*own, *strange])
    found, others = parted(parts[HOST], frozenset({"from_vm", "vm_in"}))

    assert found.lines == ("chain from_vm", "map vm_in")
    assert [line_of(piece) for piece in others] == ["chain mine", "vm_in: tap7 : accept"]
    assert parts["vm-1"].lines == ("vm_in: tap0 : jump vm.vm-1.in",)
