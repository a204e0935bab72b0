"""The preview says what the evaluator does: on each VM, before and after, and asks about what is rarely meant."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from django.db import connection
from django.template.loader import render_to_string
from django.test.utils import CaptureQueriesContext

from securitygroups import operations
from securitygroups.answers.alarms import MANY_MACHINES
from securitygroups.answers.dead import MAX_LINES
from securitygroups.answers.preview import (
    SECONDS,
    Preview,
    preview_groups,
    preview_lists,
    preview_rules,
    preview_together,
)
from securitygroups.effective import Vm, of_machine, rules_of
from securitygroups.firewall.analysis.difference import difference
from securitygroups.firewall.analysis.findings import dead_rules
from securitygroups.firewall.decide import decide
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Packet, Rule, RuleList, parse_address
from securitygroups.models import Project, SecurityGroup, VirtualMachine, values
from securitygroups.operations import By
from securitygroups.words.traffic import change_sentence
from tests.factories import make_group, make_machine, rule
from tests.firewall.strategies import edited, random_list, random_packet

pytestmark = pytest.mark.django_db

Rules = tuple[Rule, ...]
OFFICE = "203.0.113.9"


def said(*texts: str) -> Rules:
    return tuple(rule(text, uid=f"rule{place}") for place, text in enumerate(texts, 1))


def named(rules: RuleList, prefix: str) -> Rules:
    return tuple(replace(one, uid=one.uid or f"{prefix}{place}") for place, one in enumerate(rules))


# ── As the evaluator has it ───────────────────────────────────────────────────


def effective(groups: Sequence[SecurityGroup], of: dict[int, Rules]) -> tuple[Rules, list[str]]:
    """A VM's list, and the name of each of its rules."""
    names = [f"{group.name}, rule {place}" for group in groups for place in range(1, len(of[group.pk]) + 1)]
    return tuple(one for group in groups for one in of[group.pk]), names


@pytest.mark.parametrize("seed", range(12))
def test_on_every_vm_the_sentences_are_the_evaluator_s_own_difference(
    seed: int, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("securitygroups.answers.dead.MAX_LINES", 1000)
    random = Random(seed)
    old = named(random_list(random), "old")
    new = named(edited(random, old) if seed % 3 else random_list(random), "new")
    lists = {name: named(random_list(random, 5), name) for name in "abc"}
    group = make_group(project, "web", old)
    others = {name: make_group(project, name, some) for name, some in lists.items()}
    a, b, c = others.values()
    sequences = [[group], [group], [a, group], [group, b, c], [b, group, a], [group, b, c], [a, b]]
    machines = {make_machine(project, f"vm-{n}", groups): groups for n, groups in enumerate(sequences)}
    before = {others[name].pk: some for name, some in lists.items()} | {group.pk: old}
    after = before | {group.pk: new}

    preview = preview_rules(group, old, new)

    assert preview.attached
    assert (preview.machine_count, len(machines)) == (6, 7)
    told = {vm.pk: effect for effect in preview.effects for vm in effect.machines}
    assert sum(effect.count for effect in preview.effects) == len(told)
    assert preview.unaffected == 6 - len(told)
    assert preview.changes_traffic == bool(told)
    for machine, groups in machines.items():
        (was, names_before), (now, names_after) = effective(groups, before), effective(groups, after)
        assert was == rules_of(of_machine(machine))
        for packet in [random_packet(random) for _ in range(150)]:
            verdicts = decide(was, packet).action, decide(now, packet).action
            if verdicts[0] is not verdicts[1]:
                lines = told[machine.pk].allowed if verdicts[1] is Action.ACCEPT else told[machine.pk].denied
                assert lines, f"{packet} on {machine}"
        change = difference(was, now)
        assert (machine.pk in told) is not change.decides_same
        if machine.pk in told:
            name_before, name_after = (lambda at, names=names: names[at - 1] for names in (names_before, names_after))
            for lines, changes, allowed in (
                (told[machine.pk].allowed, change.newly_allowed, True),
                (told[machine.pk].denied, change.newly_denied, False),
            ):
                assert lines == tuple(
                    change_sentence(one, allowed, name_before, name_after) for one in changes[:MAX_LINES]
                )
            assert told[machine.pk].more == sum(
                max(0, len(some) - MAX_LINES) for some in (change.newly_allowed, change.newly_denied)
            )
    dead = [place for place in dead_rules(new) if new[place - 1].uid not in {old[at - 1].uid for at in dead_rules(old)}]
    on_vms: dict[str, list[str]] = {}
    for machine, groups in machines.items():
        (was, names_before), (now, names_after) = effective(groups, before), effective(groups, after)
        dead_before = {names_before[at - 1].split(",")[0] + was[at - 1].uid for at in dead_rules(was)}
        for at in dead_rules(now):
            one = names_after[at - 1].split(",")[0] + now[at - 1].uid
            own = [place for place in dead_rules(new) if names_after[at - 1] == f"web, rule {place}"]
            if one not in dead_before and not own and group in groups:
                on_vms.setdefault(names_after[at - 1], []).append(machine.name)
    assert {line.partition(":")[0] for line in preview.newly_dead if line.startswith("Rule")} == {
        f"Rule {place}" for place in dead
    }
    told_on: dict[str, list[str]] = {}
    for line in preview.newly_dead:
        if not line.startswith("Rule"):
            name, _, where = line.partition(":")[0].partition(" on ")
            told_on.setdefault(name, []).extend(where.replace(" and ", ", ").split(", "))
    assert {name: sorted(vms) for name, vms in told_on.items()} == {name: sorted(vms) for name, vms in on_vms.items()}


@pytest.mark.parametrize("seed", range(4))
def test_other_groups_on_a_vm_are_previewed_as_the_evaluator_has_it(seed: int, project: Project) -> None:
    random = Random(seed)
    groups = [make_group(project, name, random_list(random, 6)) for name in "abcd"]
    before, after = random.sample(groups, random.randint(0, 3)), random.sample(groups, random.randint(0, 3))
    machine = make_machine(project, "vm", before)
    preview = preview_groups(machine, before, after)
    was, now = (tuple(one for g in some for one in values(list(g.rules.in_order()))) for some in (before, after))

    differs = any(
        decide(was, packet).action is not decide(now, packet).action
        for packet in [random_packet(random) for _ in range(600)]
    )
    assert preview.changes_traffic is not difference(was, now).decides_same
    assert not differs or preview.changes_traffic
    assert [effect.machines for effect in preview.effects] == ([(Vm.of(machine),)] if preview.changes_traffic else [])
    assert preview.unaffected == (0 if preview.changes_traffic else 1)


def test_what_a_group_behind_it_decides_is_not_left_out(project: Project) -> None:
    """Without its last drop the list by itself decides the same; on a VM, what comes behind is reached now."""
    old = said("accept in tcp 443", "drop in tcp 22")
    group, behind = make_group(project, "web", old), make_group(project, "ssh", ["accept in tcp 22"])
    make_machine(project, "both", [group, behind])
    make_machine(project, "alone", [group])
    preview = preview_rules(group, old, old[:1])

    assert difference(old, old[:1]).decides_same
    (effect,) = preview.effects
    assert [machine.name for machine in effect.machines] == ["both"]
    assert effect.allowed == (
        (
            "Newly allowed: inbound TCP 22 (SSH) from anywhere (IPv4, IPv6) – "
            "decided by ssh, rule 1, was denied by web, rule 2."
        ),
    )
    assert preview.unaffected == 1


def test_a_change_that_a_group_before_it_hides_changes_nothing(project: Project) -> None:
    front = make_group(project, "front", ["drop in all"])
    old = said("accept in tcp 443")
    group = make_group(project, "web", old)
    make_machine(project, "vm", [front, group])
    preview = preview_rules(group, old, (*old, rule("accept in tcp 22")))

    assert not preview.changes_traffic
    assert (preview.effects, preview.machine_count, preview.unaffected, preview.alarms) == ((), 1, 1, ())


def test_vms_on_which_the_same_holds_are_told_together_most_first(project: Project) -> None:
    old = said("accept in tcp 443")
    group, other = make_group(project, "web", old), make_group(project, "other", ["accept in tcp 80"])
    for number in range(3):
        make_machine(project, f"a-{number}", [group, other])
    make_machine(project, "b-1", [group])
    shut = make_group(project, "shut", ["drop in tcp 443 from 10.0.0.0/8"])
    make_machine(project, "c-1", [shut, group])
    preview = preview_rules(group, old, ())

    assert [effect.count for effect in preview.effects] == [4, 1]
    assert [machine.name for machine in preview.effects[0].machines] == ["a-0", "a-1", "a-2", "b-1"]


def test_a_deleted_vm_is_not_counted(project: Project, machine: VirtualMachine, group: SecurityGroup) -> None:
    old = values(list(group.rules.in_order()))
    assert preview_rules(group, old, ()).machine_count == 1
    operations.delete_machine(machine=machine, by=By())
    preview = preview_rules(group, old, ())
    assert (preview.machine_count, preview.attached) == (0, False)


def test_a_group_on_no_vm_is_told_about_as_if_it_were_alone_on_one(project: Project) -> None:
    old = said("accept in tcp 443")
    group = make_group(project, "web", old)
    preview = preview_rules(group, old, (*old, rule("accept in tcp 22")), address=OFFICE)

    assert not preview.attached
    assert preview.changes_traffic
    (effect,) = preview.effects
    assert effect.machines == ()
    assert effect.allowed == (
        "Newly allowed: inbound TCP 22 (SSH) from anywhere (IPv4, IPv6) – decided by rule 2, was denied by default.",
    )
    assert preview.alarms == ("This opens SSH (TCP 22) to every address on the internet.",)
    assert preview.effects == preview_lists(old, (*old, rule("accept in tcp 22"))).effects


def test_words_and_what_is_off_change_no_traffic(
    project: Project, machine: VirtualMachine, group: SecurityGroup
) -> None:
    old = values(list(group.rules.in_order()))
    new = (*(replace(one, description="new words") for one in old), rule("accept in tcp 22", enabled=False))
    preview = preview_rules(group, old, new, address=OFFICE)

    assert not preview.changes_traffic
    assert (preview.effects, preview.alarms, preview.newly_dead, preview.unaffected) == ((), (), (), 1)


def test_more_than_can_be_read_is_counted(project: Project, machine: VirtualMachine, group: SecurityGroup) -> None:
    old = values(list(group.rules.in_order()))
    opened = [rule(f"accept in tcp {1000 + n} from 10.{n}.0.0/16") for n in range(40)]
    (effect,) = preview_rules(group, old, (*opened, *old)).effects

    assert (len(effect.allowed), effect.more, effect.too_fine) == (MAX_LINES, 40 - MAX_LINES, False)


# ── What is asked about once more ─────────────────────────────────────────────

SSH = said("accept in tcp 22", "accept in tcp 3389 from 203.0.113.0/24", "accept in tcp 443")


@pytest.mark.parametrize(
    ("address", "new", "warned"),
    [
        (OFFICE, "accept in tcp 443", "SSH RDP"),
        (OFFICE, "accept in tcp 22 from 203.0.113.9/32", "RDP"),
        (OFFICE, "accept in ip from 203.0.113.0/24", ""),
        (OFFICE, "accept in ip to 10.0.1.11/32", ""),
        (OFFICE, "accept in ip to 10.0.1.12/32", "SSH RDP"),
        (OFFICE, "accept in all", ""),
        ("198.51.100.1", "accept in tcp 443", "SSH"),
        ("198.51.100.1", "accept in tcp 22", ""),
        ("2001:db8::9", "accept in tcp 443", "SSH"),
        ("2001:db8::9", "accept in tcp 22 from 0.0.0.0/0", "SSH"),
        ("2001:db8::9", "accept in tcp 22 from ::/0", ""),
        ("::ffff:203.0.113.9", "accept in tcp 443", "SSH RDP"),
        ("", "accept in tcp 443", ""),
        ("unix:", "accept in tcp 443", ""),
    ],
)
def test_who_would_lock_themselves_out_is_told(address: str, new: str, warned: str, project: Project) -> None:
    group = make_group(project, "web", SSH)
    machine = make_machine(project, "web-1", [group], ipv4="10.0.1.11", ipv6="2001:db8:10:1::11")
    after = said(new)
    alarms = [line for line in preview_rules(group, SSH, after, address=address).alarms if "connected from" in line]

    assert alarms == [
        f"You are connected from {address}. This would cut {name} from there to web-1, which it can reach now."
        for name in warned.split()
    ]
    if address and address != "unix:":
        version, number = parse_address(address.removeprefix("::ffff:"))
        own = parse_address(str(machine.ipv4 if version == 4 else machine.ipv6))[1]
        for name, port in (("SSH", 22), ("RDP", 3389)):
            packet = Packet(Direction.IN, version, 6, number, own, port)
            cut = decide(SSH, packet).action is Action.ACCEPT and decide(after, packet).action is Action.DROP
            assert cut == (name in warned.split())


def test_taking_the_group_off_the_vm_locks_out_as_well(project: Project) -> None:
    group = make_group(project, "web", SSH)
    machine = make_machine(project, "web-1", [group], ipv4="10.0.1.11")

    assert (
        preview_groups(machine, [group], [], address=OFFICE).alarms[0].startswith(f"You are connected from {OFFICE}.")
    )
    assert not preview_groups(machine, [group], [], address="2001:db8::9").alarms


def test_a_vm_without_an_address_of_that_family_cannot_be_what_one_is_connected_to(project: Project) -> None:
    group = make_group(project, "web", SSH)
    make_machine(project, "web-1", [group], ipv6="2001:db8::11")

    assert not preview_rules(group, SSH, (), address=OFFICE).alarms


def test_five_vms_are_named_and_the_others_counted(project: Project) -> None:
    group = make_group(project, "web", SSH)
    for number in range(7):
        make_machine(project, f"vm-{number}", [group], ipv4=f"10.0.0.{number}")
    ssh = preview_rules(group, SSH, SSH[1:], address=OFFICE).alarms[0]

    assert "to vm-0, vm-1, vm-2, vm-3, vm-4 and 2 more, which it can reach now." in ssh


EVERY, MOST, PART = "every address on the internet", "most of the internet", "a large part of the internet"


@pytest.mark.parametrize(
    ("before", "after", "alarm"),
    [
        ("", "accept in tcp 22", f"SSH (TCP 22) to {EVERY}"),
        ("", "accept in tcp 22 from 0.0.0.0/0", f"SSH (TCP 22) to {EVERY}"),
        ("", "accept in tcp 22 from ::/0", f"SSH (TCP 22) to {EVERY}"),
        ("", "accept in tcp 22 from 2000::/3", f"SSH (TCP 22) to {EVERY}"),
        ("", "accept in tcp 22 from 0.0.0.0/1; accept in tcp 22 from 128.0.0.0/1", f"SSH (TCP 22) to {EVERY}"),
        ("", "accept in tcp 3000-3400", f"MySQL (TCP 3306), RDP (TCP 3389) to {EVERY}"),
        ("", "accept in udp 161", f"SNMP (UDP 161) to {EVERY}"),
        # A rule for some stands before it, or was there: the rest of the world is still the world.
        ("drop in ip from 192.0.2.66", "drop in ip from 192.0.2.66; accept in tcp 22 from 0.0.0.0/0", f"SSH (TCP 22) to {EVERY}"),
        ("drop in ip from 8.8.8.8", "drop in ip from 8.8.8.8; accept in tcp 22 from 0.0.0.0/0", f"SSH (TCP 22) to {MOST}"),
        ("accept in tcp 22 from 8.8.0.0/16", "accept in tcp 22 from 0.0.0.0/0", f"SSH (TCP 22) to {MOST}"),
        ("", "accept in tcp 22 from 64.0.0.0/2", f"SSH (TCP 22) to {PART}"),
        ("", "accept in tcp 22 from 64.0.0.0/3; accept in tcp 22 from 80.0.0.0/4", f"SSH (TCP 22) to {PART}"),
        ("", "accept in tcp 22 from 64.0.0.0/6", ""),
        ("accept in tcp 22 from 203.0.113.0/24", "accept in tcp 22", f"SSH (TCP 22) to {EVERY}"),
        ("", "accept in tcp 22 from 0.0.0.0/1; accept in tcp 22 from 192.0.0.0/2", f"SSH (TCP 22) to {MOST}"),
        ("accept in tcp 22", "accept in tcp 22; accept in tcp 443", ""),
        ("accept in tcp 22", "accept in tcp 20-30", f"Telnet (TCP 23) to {EVERY}"),
        ("", "accept in tcp 443", ""),
        ("", "accept in tcp 22 from 203.0.113.0/24", ""),
        ("", "accept in tcp 22 from 10.0.0.0/8", ""),
        ("", "accept in tcp 22 from fc00::/7", ""),
        ("", "accept out tcp 22", ""),
        ("", "drop in tcp 22", ""),
        ("", "accept in udp 22", ""),
        ("accept in tcp 22", "", ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("attached", [True, False])
def test_a_management_port_opened_to_the_world_is_asked_about(
    before: str, after: str, alarm: str, attached: bool, project: Project
) -> None:
    old, new = (said(*filter(None, text.split("; "))) for text in (before, after))
    group = make_group(project, "web", old)
    if attached:
        make_machine(project, "vm", [group])

    assert preview_rules(group, old, new).alarms == ((f"This opens {alarm}.",) if alarm else ())


def test_everything_opened_names_four_services_and_counts_the_others(project: Project) -> None:
    group = make_group(project, "web")
    (alarm,) = preview_rules(group, (), said("accept in all")).alarms

    assert alarm.startswith("This opens SSH (TCP 22), Telnet (TCP 23), SNMP (UDP 161), LDAP (TCP 389) and ")
    assert alarm.endswith(" more to every address on the internet.")


@pytest.mark.parametrize("count", [MANY_MACHINES - 1, MANY_MACHINES])
def test_denying_what_many_vms_accept_is_asked_about(count: int, project: Project) -> None:
    old = said("accept in tcp 443", "accept in tcp 80")
    group = make_group(project, "web", old)
    for number in range(count):
        make_machine(project, f"vm-{number}", [group])
    expected = (f"This denies what {count} virtual machines accept now.",) if count >= MANY_MACHINES else ()

    assert preview_rules(group, old, old[1:]).alarms == expected
    assert preview_rules(group, old, (*old, rule("accept in tcp 8080"))).alarms == ()


def test_rules_that_never_act_any_more_are_named(project: Project) -> None:
    old = said("accept in tcp 443", "accept in tcp 80", "accept in tcp 443")
    group = make_group(project, "web", old)
    new = (rule("drop in tcp"), *old, rule("accept in udp 53"))
    preview = preview_rules(group, old, new)

    assert preview.newly_dead == (
        "Rule 2: No packet reaches this rule: rule 1 takes all of it, and drops it.",
        "Rule 3: No packet reaches this rule: rule 1 takes all of it, and drops it.",
    ), "rule 4 was dead before"
    assert preview_rules(group, new, old).newly_dead == ()
    assert preview_rules(group, old, (*old[:2], replace(old[2], uid=""))).newly_dead == (), "the same list"


def test_rules_of_other_groups_that_never_act_any_more_are_named_with_their_vms(project: Project) -> None:
    old = said("accept in tcp 443")
    group, ssh = make_group(project, "web", old), make_group(project, "ssh", ["accept in tcp 22", "accept out udp"])
    for number in range(5):
        make_machine(project, f"vm-{number}", [group, ssh])
    make_machine(project, "front", [ssh, group])
    make_machine(project, "alone", [group])
    preview = preview_rules(group, old, (*old, rule("drop in all")))

    assert preview.newly_dead == (
        (
            "ssh, rule 1 on vm-0, vm-1, vm-2 and 2 more: "
            "No packet reaches this rule: web, rule 2 takes all of it, and drops it."
        ),
    )
    assert not preview.changes_traffic or preview.effects
    assert preview.worth_a_look


def test_a_rule_that_is_dead_on_arrival_behind_another_group_is_told(project: Project) -> None:
    front = make_group(project, "front", ["drop in all"])
    old = said("accept in tcp 443")
    group = make_group(project, "web", old)
    make_machine(project, "vm", [front, group])
    preview = preview_rules(group, old, (*old, rule("accept in tcp 22")))

    assert not preview.changes_traffic
    assert preview.newly_dead == (
        "web, rule 2 on vm: No packet reaches this rule: front, rule 1 takes all of it, and drops it.",
    ), "rule 1 was dead before"
    assert preview.worth_a_look


def test_a_group_attached_behind_one_that_drops_everything_is_told_to_be_dead(project: Project) -> None:
    shut = make_group(project, "shut", ["drop in all"])
    web = make_group(project, "web", ["accept in tcp 443", "accept in tcp 80", "accept out all"])
    machine = make_machine(project, "vm", [shut])

    preview = preview_groups(machine, [shut], [shut, web])
    assert preview.newly_dead == tuple(
        f"web, rule {place}: No packet reaches this rule: shut, rule 1 takes all of it, and drops it."
        for place in (1, 2)
    )
    assert preview_groups(machine, [shut, web], [shut]).newly_dead == ()
    assert preview_groups(machine, [shut, web], [shut, web]).newly_dead == ()
    assert preview_groups(machine, [shut, web], [web, shut]).newly_dead == ()
    assert len(preview_groups(machine, [web, shut], [shut, web]).newly_dead) == 2


def test_of_many_dead_rules_some_are_named_and_the_others_counted(project: Project) -> None:
    old = tuple(rule(f"accept in tcp {port}", uid=f"u{port}") for port in range(40))
    group = make_group(project, "web", old)
    preview = preview_rules(group, old, (rule("drop in all"), *old))

    assert [line.partition(":")[0] for line in preview.newly_dead[:-1]] == [f"Rule {n + 2}" for n in range(MAX_LINES)]
    assert preview.newly_dead[-1] == f"No packet reaches {40 - MAX_LINES} more rules."


def test_work_on_many_long_lists_is_bounded_and_what_is_left_out_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("securitygroups.answers.dead.DEAD_WORK", 12)
    old = said("accept in tcp 443")
    group = make_group(project, "web", old)
    behind = [make_group(project, f"b{n}", ["accept in tcp 22", "accept in tcp 23"]) for n in range(4)]
    for number, other in enumerate(behind):
        make_machine(project, f"vm-{number}", [group, other])
    preview = preview_rules(group, old, (rule("drop in all"), *old))
    # Two lists of four rules after the change, and the first as it was before.
    assert preview.newly_dead == (
        "Rule 2: No packet reaches this rule: rule 1 takes all of it, and drops it.",
        "b0, rule 1 on vm-0: No packet reaches this rule: web, rule 1 takes all of it, and drops it.",
        "b0, rule 2 on vm-0: No packet reaches this rule: web, rule 1 takes all of it, and drops it.",
        "b1, rule 1 on vm-1: No packet reaches this rule: web, rule 1 takes all of it, and drops it.",
        "b1, rule 2 on vm-1: No packet reaches this rule: web, rule 1 takes all of it, and drops it.",
    )
    assert preview.dead_unseen == 2


def test_of_too_many_different_lists_those_of_most_vms_are_compared_and_the_rest_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("securitygroups.answers.preview.MAX_COMPARED", 4)
    old = said("accept in tcp 443")
    group = make_group(project, "web", old)
    many, few = (make_group(project, name, ["accept in tcp 22", "drop in udp"]) for name in ("many", "few"))
    for number in range(5):
        make_machine(project, f"vm-{number}", [group, few if number == 2 else many])
    for last in ("few more", "and more"):
        make_machine(project, last, [group, make_group(project, last, ["accept in tcp 80", "drop in tcp 81"])])
    preview = preview_rules(group, old, (*old, rule("accept in tcp 8080")))
    assert [effect.count for effect in preview.effects] == [5]
    assert (preview.machine_count, preview.unseen, preview.unaffected) == (7, 2, 0)
    same = preview_rules(group, old, (*old, rule("accept in tcp 443")))
    assert (same.decides_same, same.changes_traffic, same.unaffected) == (True, True, 5)


def test_when_time_runs_out_the_list_of_most_vms_is_compared_and_the_rest_is_told(project: Project) -> None:
    old = said("accept in tcp 443")
    group = make_group(project, "web", old)
    many, few = (make_group(project, name, ["accept in tcp 22"]) for name in ("many", "few"))
    for number in range(5):
        make_machine(project, f"vm-{number}", [group, few if number < 2 else many])
    new = (rule("drop in all"), *old)

    def looked_at_until(look: int, new: Rules = new) -> Preview:
        """The preview by a clock on which time is over at this look; the first is the start."""
        times = iter([0.0] * look + [SECONDS + 1] * 9)
        return preview_rules(group, old, new, clock=lambda: next(times))

    none, one, both = (looked_at_until(look) for look in (1, 2, 9))
    assert [(each.machine_count, each.unseen, each.unaffected) for each in (none, both)] == [(5, 2, 0), (5, 0, 0)]
    assert [effect.count for effect in none.effects] == [3]
    assert none.newly_dead[0].startswith("Rule 2: ")
    assert [each.dead_unseen for each in (none, one, both)] == [3, 5, 0]
    # Nothing changes on what was compared, but that is not known of the rest.
    same = looked_at_until(1, (*old, rule("accept in tcp 443 from 10.0.0.0/8")))
    assert (same.decides_same, same.unseen, same.worth_a_look) == (True, 2, True)


# ── What it costs ─────────────────────────────────────────────────────────────


def test_sixty_vms_are_asked_about_with_as_many_queries_as_two(project: Project) -> None:
    old = said("accept in tcp 443", "accept in tcp 22 from 203.0.113.0/24")
    new = (*old, rule("accept in tcp 80"))
    spent = []
    for count in (2, 60):
        group = make_group(project, f"web {count}", old)
        others = [make_group(project, f"other {count} {n}", ["drop in udp"]) for n in range(1 if count == 2 else 6)]
        for number in range(count):
            after = [] if number % 2 else [others[number % len(others)]]
            make_machine(project, f"vm-{count}-{number}", [group, *after], ipv4=f"10.0.{count}.{number}")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            preview = preview_rules(group, old, new, address=OFFICE)
        assert preview.machine_count == count
        spent.append(len(queries))
    assert spent[0] == spent[1] <= 5


def test_of_many_effects_those_on_most_vms_are_shown(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("securitygroups.answers.preview.MAX_EFFECTS", 1)
    group = make_group(project, "web", ["accept in tcp 443"])
    others = [make_group(project, name, [text]) for name, text in (("a", "drop in tcp 443 from 8.8.8.8"),)]
    for number, groups in enumerate(([group], [others[0], group], [others[0], group])):
        make_machine(project, f"vm-{number}", groups)

    preview = preview_rules(group, values(list(group.rules.in_order())), ())

    assert [effect.count for effect in preview.effects] == [2, 1]
    assert [effect.count for effect in preview.shown] == [2]
    assert (preview.folded, preview.unshown) == ((), 1)


def test_few_effects_are_laid_open_and_the_others_folded(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("securitygroups.answers.preview.LAID_OPEN", 1)
    group = make_group(project, "web", ["accept in tcp 443"])
    other = make_group(project, "a", ["drop in tcp 443 from 8.8.8.8"])
    for number, groups in enumerate(([group], [other, group], [other, group])):
        make_machine(project, f"vm-{number}", groups)

    preview = preview_rules(group, values(list(group.rules.in_order())), ())

    assert [effect.count for effect in preview.shown] == [2]
    assert [effect.count for effect in preview.folded] == [1]
    assert (preview.folded_machines, preview.unshown) == (1, 0)
    text = render_to_string("securitygroups/changes/_preview.html", {"preview": preview})
    assert "Traffic changes in other ways on 1 more virtual machine\n" in text
    assert text.index("vm-1") < text.index("<details>") < text.index("vm-0")


def test_lists_of_several_projects_are_shown_on_the_vms_of_each(project: Project, bakery: Project) -> None:
    web, oven = make_group(project, "web"), make_group(bakery, "oven")
    make_machine(project, "web-1", [web])
    make_machine(bakery, "oven-1", [oven])

    shown = preview_together([(group, (), said("accept in tcp 22")) for group in (web, oven)])

    assert (shown.machine_count, sum(len(vms) for _, vms in shown.differences)) == (2, 2)
