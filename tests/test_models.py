"""What the database itself keeps true, and that table, model, database and form refuse the same rules."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, InternalError, ProgrammingError, connection, models, transaction
from django.db.models import F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from securitygroups import operations
from securitygroups.effective import of_machine, rules_of
from securitygroups.fields import NetworkFormField
from securitygroups.firewall.protocols import COLUMNS, PROTOCOLS, shape_errors
from securitygroups.firewall.values import BITS, Network, parse_network
from securitygroups.forms import RuleForm
from securitygroups.models import (
    Attachment,
    Event,
    GroupRevision,
    GroupTemplate,
    MachineRevision,
    Membership,
    Project,
    Rule,
    SecurityGroup,
    SupportVisit,
    User,
    VirtualMachine,
)
from tests.factories import make_group, make_machine, make_project, make_user

EDGES: dict[str, tuple[str, ...]] = {
    "source": ("", "0.0.0.0/0", "10.0.0.0/8", "2001:db8::1/128"),
    "destination": ("", "10.0.0.5/32", "::/0"),
    "port_start": ("", "-1", "0", "80", "65535", "65536"),
    "port_end": ("", "-1", "0", "79", "80", "65535", "65536"),
}
COMBINATIONS = [
    dict(zip(EDGES, texts, strict=True))
    for texts in product(*EDGES.values())
    # What is wrong with addresses does not depend on which ports they stand beside: one pair is enough for them.
    if not (texts[0] or texts[1]) or texts[2:] in (("", ""), ("80", "80"))
]


def stored(texts: dict[str, str]) -> dict[str, Any]:
    """The columns that the texts stand for; a start alone means that one port, as everywhere."""
    columns: dict[str, Any] = {}
    for name, text in texts.items():
        parse: Callable[[str], Any] = parse_network if name in ("source", "destination") else int
        columns[name] = parse(text) if text else None
    if columns["port_end"] is None:
        columns["port_end"] = columns["port_start"]
    return columns


def refused_by_database(row: Rule) -> bool:
    """Whether SQL alone refuses the row, with nothing of ours in between. Leaves no row."""
    names = [str(field.column) for field in Rule._meta.concrete_fields if field.name != "id"]
    given = {name: getattr(row, name) for name in names}
    given |= {name: None if given[name] is None else str(given[name]) for name in ("source", "destination")}
    insert = f"INSERT INTO {Rule._meta.db_table} ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})"
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(insert, [given[name] for name in names])
            transaction.set_rollback(True)
    except (IntegrityError, DataError):
        return True
    return False


def refused_by_model(row: Rule) -> dict[str, list[str]]:
    """What the model says of a row, by field."""
    try:
        row.full_clean(validate_constraints=False)
        row.full_clean()
    except ValidationError as refusal:
        return refusal.message_dict
    return {}


@pytest.fixture
def empty(project: Project) -> SecurityGroup:
    return make_group(project, "empty")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_table_model_and_database_give_the_same_verdict(empty: SecurityGroup, protocol: str) -> None:
    differ = []
    for texts in COMBINATIONS:
        columns = stored(texts)
        table = {name: [problem.message] for name, problem in shape_errors(protocol, columns).items()}
        model = refused_by_model(Rule(group=empty, position=1, protocol=protocol, **columns))
        database = refused_by_database(Rule(group=empty, position=1, protocol=protocol, **columns))
        if table != model or bool(table) is not database:
            differ.append((texts, table, model, database))

    assert len(COMBINATIONS) > 60
    assert differ == []


class BareRuleForm(RuleForm):
    """What the form itself knows, without the database's constraints behind it."""

    def validate_constraints(self) -> None:
        pass


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_form_gives_that_verdict_too_once_it_has_dropped_what_the_protocol_lacks(db: None, protocol: str) -> None:
    has = PROTOCOLS[protocol].columns
    differ = []
    # Where a protocol lacks a field, a value of it is enough: what is left is told already.
    different = {
        tuple(texts[name] if name in has else bool(texts[name]) for name in EDGES): texts for texts in COMBINATIONS
    }
    for texts in different.values():
        own = stored({name: text if name in has else "" for name, text in texts.items()})
        table = {name: [problem.message] for name, problem in shape_errors(protocol, own).items()}
        form = BareRuleForm({"action": "accept", "direction": "in", "protocol": protocol, "enabled": "on", **texts})
        if form.errors != table:
            differ.append((texts, table, form.errors.as_json()))
        elif form.is_valid():
            kept = {name: getattr(form.as_value(), name) for name in COLUMNS}
            assert kept == own == {name: form.cleaned_data[name] for name in COLUMNS}
            assert all(kept[name] is None for name in COLUMNS if name not in has)

    assert differ == []


def test_a_number_that_no_column_holds_is_refused_at_its_field_by_all_four(empty: SecurityGroup) -> None:
    for number in (2**31, -(2**31) - 1, 2**63, 10**40):
        row = Rule(group=empty, position=1, protocol="tcp", port_start=0, port_end=number)
        form = RuleForm(
            {"action": "accept", "direction": "in", "protocol": "tcp", "port_start": "0", "port_end": str(number)}
        )

        assert set(shape_errors("tcp", {"port_start": 0, "port_end": number})) == {"port_end"}
        assert set(refused_by_model(row)) == {"port_end"}
        assert refused_by_database(row)
        assert form.errors == {"port_end": ["Type a whole number from 0 to 65535."]}


@pytest.mark.parametrize("name", ["", "icmp", "TCP", "tcp "])
def test_an_unknown_protocol_is_refused_by_all_four(empty: SecurityGroup, name: str) -> None:
    row = Rule(group=empty, position=1, protocol=name)
    form = RuleForm({"action": "accept", "direction": "in", "protocol": name})

    assert "protocol" in shape_errors(name, {})
    with pytest.raises(ValidationError) as refusal:
        row.full_clean()
    assert "protocol" in refusal.value.message_dict
    assert refused_by_database(row)
    assert "protocol" in form.errors


def test_a_start_alone_is_that_one_port_to_model_and_form(empty: SecurityGroup) -> None:
    row = Rule(group=empty, position=1, protocol="udp", port_start=53)
    row.full_clean()
    form = RuleForm({"action": "accept", "direction": "in", "protocol": "udp", "port_start": "53", "port_end": ""})

    assert (row.port_start, row.port_end) == (53, 53)
    assert form.is_valid(), form.errors
    assert (form.as_value().port_start, form.as_value().port_end) == (53, 53)


def test_a_rule_row_and_its_value_tell_the_same(group: SecurityGroup) -> None:
    for row in group.rules.in_order():
        copy = Rule(group=group, position=99, uid=row.uid)
        copy.set_value(row.as_value())
        assert copy.as_value() == row.as_value()
        assert copy.as_value().uid == row.uid
        assert row.as_value().problems() == {}


@dataclass
class Cast:
    """What the rows below refer to."""

    project: Project
    machine: VirtualMachine
    group: SecurityGroup
    spare: SecurityGroup
    alice: User
    charlie: User


@pytest.fixture
def cast(machine: VirtualMachine, group: SecurityGroup, alice: User, charlie: User) -> Cast:
    GroupTemplate.objects.create(project=None, name="mine")
    project = machine.project
    return Cast(project, machine, group, make_group(project, "spare"), alice, charlie)


# Every constraint by name: what breaks it, in rows that only SQL sees.
ROWS: dict[str, Callable[[Cast], models.Model]] = {
    "user_email": lambda cast: User(username="alice2", email="ALICE@example.com"),
    "member_once": lambda cast: Membership(project=cast.project, user=cast.alice, role="viewer"),
    "member_role": lambda cast: Membership(project=cast.project, user=cast.charlie, role="king"),
    "group_name": lambda cast: SecurityGroup(project=cast.project, name="WEB"),
    "rule_position": lambda cast: Rule(group=cast.group, position=1),
    "rule_uid": lambda cast: Rule(group=cast.group, position=99, uid=cast.group.rules.in_order()[0].uid),
    "rule_position_from_1": lambda cast: Rule(group=cast.group, position=0),
    "rule_action": lambda cast: Rule(group=cast.group, position=99, action="reject"),
    "rule_direction": lambda cast: Rule(group=cast.group, position=99, direction="up"),
    "rule_protocol": lambda cast: Rule(group=cast.group, position=99, protocol="icmp"),
    "rule_ports": lambda cast: Rule(group=cast.group, position=99, port_start=90, port_end=80),
    "rule_one_family": lambda cast: Rule(
        group=cast.group, position=99, protocol="ip", source="10.0.0.0/8", destination="::/0"
    ),
    "rule_tcp_fields": lambda cast: Rule(group=cast.group, position=99, protocol="tcp", destination="10.0.0.0/8"),
    "rule_udp_fields": lambda cast: Rule(group=cast.group, position=99, protocol="udp", destination="10.0.0.0/8"),
    "rule_sctp_fields": lambda cast: Rule(group=cast.group, position=99, protocol="sctp", destination="::/0"),
    "rule_ip_fields": lambda cast: Rule(group=cast.group, position=99, protocol="ip", port_start=1, port_end=2),
    "rule_all_fields": lambda cast: Rule(group=cast.group, position=99, protocol="all", source="::/0"),
    "template_name": lambda cast: GroupTemplate(project=None, name="MINE"),
    "machine_name": lambda cast: VirtualMachine(project=cast.project, name="Web-1"),
    "machine_ipv4": lambda cast: VirtualMachine(project=cast.project, name="new", ipv4=cast.machine.ipv4),
    "machine_ipv6": lambda cast: VirtualMachine(project=cast.project, name="new", ipv6=cast.machine.ipv6),
    "attachment_position": lambda cast: Attachment(machine=cast.machine, group=cast.spare, position=1),
    "attached_once": lambda cast: Attachment(machine=cast.machine, group=cast.group, position=9),
    "attachment_position_from_1": lambda cast: Attachment(machine=cast.machine, group=cast.spare, position=0),
    "group_revision_number": lambda cast: GroupRevision(group=cast.group, number=1, rules=[], summary="x"),
    "machine_revision_number": lambda cast: MachineRevision(
        project=cast.project, machine=cast.machine, number=1, groups=[], summary="x"
    ),
}


def test_every_constraint_is_broken_below() -> None:
    names = {
        constraint.name
        for model in apps.get_app_config("securitygroups").get_models()
        for constraint in model._meta.constraints
    }

    assert names == ROWS.keys()


@pytest.mark.parametrize("name", ROWS)
def test_the_database_refuses_by_the_constraint_of_that_name(cast: Cast, name: str) -> None:
    row = ROWS[name](cast)

    def insert() -> None:
        with transaction.atomic():
            row.save(force_insert=True)
            connection.check_constraints()

    with pytest.raises(IntegrityError) as refusal:
        insert()

    assert refusal.value.__cause__.diag.constraint_name == name  # type: ignore[union-attr]


def test_ports_are_both_set_or_neither_and_in_range(empty: SecurityGroup) -> None:
    for start, end in ((80, None), (None, 80), (-1, 80), (0, 65536)):
        assert refused_by_database(Rule(group=empty, position=1, protocol="tcp", port_start=start, port_end=end))


def test_names_of_what_was_deleted_are_free_in_the_database_too(cast: Cast) -> None:
    SecurityGroup.objects.filter(pk=cast.spare.pk).update(deleted_at=cast.group.created_at)

    again = SecurityGroup.objects.create(project=cast.project, name="SPARE")

    assert list(SecurityGroup.objects.live().named_like("spare")) == [again]


def test_positions_may_be_exchanged_within_a_transaction(group: SecurityGroup) -> None:
    before = [row.uid for row in group.rules.in_order()]
    with transaction.atomic():
        group.rules.update(position=len(before) + 1 - F("position"))

    assert [row.uid for row in group.rules.in_order()] == before[::-1]


APPEND_ONLY: list[type[models.Model]] = [GroupRevision, MachineRevision, Event, SupportVisit]


@pytest.mark.parametrize("model", APPEND_ONLY)
@pytest.mark.parametrize("statement", ["UPDATE {} SET at = now()", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_records_can_only_be_added_to(
    machine: VirtualMachine, staff: User, model: type[models.Model], statement: str
) -> None:
    operations.open_visit(project=machine.project, staff=staff, reason="Asked", ticket="T-1")
    before = list(model._default_manager.order_by("pk").values())
    connection.check_constraints()

    with pytest.raises((InternalError, ProgrammingError), match="Cannot"), transaction.atomic():
        connection.cursor().execute(statement.format(model._meta.db_table))

    assert before
    assert list(model._default_manager.order_by("pk").values()) == before


def test_what_a_record_tells_of_cannot_be_deleted_under_it(machine: VirtualMachine, alice: User) -> None:
    for thing in (alice, machine, machine.project, machine.attachments.all()[0].group):
        with pytest.raises(models.ProtectedError), transaction.atomic():
            thing.delete()


# The CIDR column.

NETWORKS = ["10.0.0.0/8", "10.0.0.0/24", "10.0.0.5/32", "0.0.0.0/0", "2001:db8::/32", "2001:db8::5/128", "::/0"]


@pytest.fixture
def sources(project: Project) -> SecurityGroup:
    """A rule from each of NETWORKS, and one from anywhere."""
    return make_group(project, "sources", [*(f"accept in tcp from {network}" for network in NETWORKS), "drop in all"])


def found(**lookup: str) -> list[str]:
    return [str(row.source) for row in Rule.objects.filter(**{f"source__{k}": v for k, v in lookup.items()}).in_order()]


@pytest.mark.parametrize(
    ("value", "covers", "within", "overlaps"),
    [
        ("10.0.0.5", "10.0.0.0/8 10.0.0.0/24 10.0.0.5/32 0.0.0.0/0", "10.0.0.5/32", "covers"),
        ("10.0.0.0/24", "10.0.0.0/8 10.0.0.0/24 0.0.0.0/0", "10.0.0.0/24 10.0.0.5/32", "either"),
        ("10.0.0.6", "10.0.0.0/8 10.0.0.0/24 0.0.0.0/0", "", "covers"),
        ("192.0.2.0/24", "0.0.0.0/0", "", "covers"),
        ("0.0.0.0/0", "0.0.0.0/0", "10.0.0.0/8 10.0.0.0/24 10.0.0.5/32 0.0.0.0/0", "either"),
        ("2001:db8::5", "2001:db8::/32 2001:db8::5/128 ::/0", "2001:db8::5/128", "covers"),
        ("::/0", "::/0", "2001:db8::/32 2001:db8::5/128 ::/0", "either"),
        # ::10.0.0.5 has the number of 10.0.0.5, and is not covered by 10.0.0.0/8.
        ("::a00:5", "::/0", "", "covers"),
    ],
)
def test_networks_are_found_by_what_they_contain_and_never_across_families(
    sources: SecurityGroup, value: str, covers: str, within: str, overlaps: str
) -> None:
    assert found(covers=value) == covers.split()
    assert found(within=value) == within.split()
    both = covers.split() if overlaps == "covers" else [n for n in NETWORKS if n in covers.split() + within.split()]
    assert found(overlaps=value) == both


def test_a_lookup_takes_a_network_value_and_another_column(project: Project) -> None:
    make_group(
        project, "two", ["accept out ip from 10.0.0.0/8 to 10.1.0.0/16", "drop out ip from 10.0.0.0/8 to 9.9.9.9/32"]
    )

    assert Rule.objects.filter(source__covers=Network(4, 10 << 24, 32)).count() == 2
    assert [r.position for r in Rule.objects.filter(source__covers=F("destination"))] == [1]


@pytest.mark.parametrize("lookup", ["covers", "within", "overlaps", "exact"])
@pytest.mark.parametrize("garbage", ["garbage", "10.0.0.0/33", "fe80::1%eth0", "10.0.0.1; DROP TABLE", "\x00"])
def test_a_lookup_of_no_address_is_refused_before_the_database_is_asked(db: None, lookup: str, garbage: str) -> None:
    with pytest.raises(ValidationError):
        Rule.objects.filter(**{f"source__{lookup}": garbage})


def test_rules_covering_an_address_are_found_on_both_sides(project: Project) -> None:
    make_group(
        project,
        "both",
        ["drop in ip from 10.0.0.0/8", "accept out ip to 10.0.0.0/30", "accept in ip", "drop in tcp from ::/0"],
    )

    assert [row.position for row in Rule.objects.covering("10.0.0.2").in_order()] == [1, 2]
    assert [row.position for row in Rule.objects.covering("2001:db8::1").in_order()] == [4]


@pytest.mark.parametrize(
    ("lookup", "index"),
    [
        (f"{column}__{lookup}", f"rule_{column}")
        for column in ("source", "destination")
        for lookup in ("covers", "within", "overlaps")
    ],
)
def test_the_index_of_networks_is_used(sources: SecurityGroup, lookup: str, index: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = Rule.objects.filter(**{lookup: "10.0.0.5"}).order_by().explain()

    assert f"Index Scan on {index}" in plan or f"Index Scan using {index}" in plan
    assert "Filter:" not in plan


@st.composite
def networks(draw: st.DrawFn) -> Network:
    version = draw(st.sampled_from((4, 6)))
    prefix = draw(st.integers(0, BITS[version]))
    number = draw(st.integers(0, (1 << BITS[version]) - 1))
    return Network(version, number >> (BITS[version] - prefix) << (BITS[version] - prefix), prefix)


@pytest.mark.django_db
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(network=networks())
def test_every_network_comes_back_as_it_went_in(empty: SecurityGroup, network: Network) -> None:
    row = Rule.objects.create(group=empty, position=1, protocol="ip", source=network)
    try:
        again = Rule.objects.get(pk=row.pk)
        assert again.source == network
        assert isinstance(again.source, Network)
        assert Rule.objects.get(source=network) == row
        assert Rule.objects.get(source__overlaps=network) == row
    finally:
        row.delete()


def test_text_becomes_a_network_when_the_row_is_cleaned(empty: SecurityGroup) -> None:
    row = Rule(group=empty, position=1, protocol="ip", source=" 203.0.113.7 ", destination="")
    row.full_clean()
    row.save()
    row.refresh_from_db()

    assert row.source == Network(4, 0xCB007107, 32)
    assert str(row.source) == "203.0.113.7/32"
    assert row.destination is None


def test_a_row_with_no_network_in_it_is_refused_at_that_field(empty: SecurityGroup) -> None:
    row = Rule(group=empty, position=1, protocol="ip", source="garbage", destination="10.0.0.0/8")

    assert list(refused_by_model(row)) == ["source"]


@pytest.mark.parametrize(
    ("text", "words", "suggestions"),
    [
        ("10.0.0.5/24", "Type 10.0.0.5/32 for that one address, or 10.0.0.0/24", ("10.0.0.5/32", "10.0.0.0/24")),
        ("010.0.0.1", "leading zero", ("10.0.0.1",)),
        ("fe80::1%eth0", "zone id (%…)", ("fe80::1",)),
        ("10.0.0.0/33", "/33 is too long for IPv4", ("10.0.0.0/32",)),
        ("::ffff:10.0.0.1", "IPv4 address written as IPv6", ("10.0.0.1",)),
        ("example.com", "is not an IP address or network", ()),
        ("100%", "“100” is not an IP address or network", ()),
    ],
)
def test_what_is_no_network_is_refused_in_words_with_what_to_type_instead(
    text: str, words: str, suggestions: tuple[str, ...]
) -> None:
    with pytest.raises(ValidationError) as refusal:
        NetworkFormField().clean(text)

    assert words in refusal.value.messages[0]
    assert refusal.value.params["suggestions"] == suggestions  # type: ignore[index]


def test_an_empty_field_means_any_address() -> None:
    assert NetworkFormField().clean("") is None
    assert NetworkFormField().clean("  ") is None
    assert NetworkFormField().prepare_value(None) == ""
    assert NetworkFormField().prepare_value(parse_network("::/0")) == "::/0"
    assert not NetworkFormField().has_changed(parse_network("::/0"), "::/0")
    assert NetworkFormField().has_changed(None, "::/0")


# Reading.


def test_a_machines_effective_list_is_its_groups_lists_in_the_order_of_attachment(project: Project) -> None:
    first = make_group(project, "z first", ["drop in tcp 1", "drop in tcp 2"])
    second = make_group(project, "a second", ["drop in tcp 3"])
    other = make_group(project, "other", ["drop in tcp 4"])
    vm = make_machine(project, "vm", [first, second])
    make_machine(project, "other vm", [other, first])
    bare = make_machine(project, "bare")

    assert [one.rule.port_start for one in of_machine(vm)] == [1, 2, 3]
    assert [r.port_start for r in rules_of(of_machine(vm))] == [1, 2, 3]
    assert of_machine(bare) == []


def test_a_person_sees_the_live_things_of_their_own_projects(cast: Cast, bob: User, charlie: User) -> None:
    gone = make_group(cast.project, "gone")
    SecurityGroup.objects.filter(pk=gone.pk).update(deleted_at=gone.created_at)

    assert set(SecurityGroup.objects.visible_to(bob)) == set(cast.project.groups.exclude(pk=gone.pk))
    assert list(VirtualMachine.objects.visible_to(bob)) == [cast.machine]
    assert list(Project.objects.visible_to(bob)) == [cast.project]
    assert not SecurityGroup.objects.visible_to(charlie).exists()


@pytest.mark.parametrize("text", ["%", "_", "\\", "'", '"; --', "\U0001f525"])
def test_searching_takes_every_character_for_itself(project: Project, text: str) -> None:
    make_group(project, "plain")
    special = make_group(project, f"has {text} in it")

    assert list(SecurityGroup.objects.live().named_like(text)) == [special]


def test_a_project_has_the_installations_quota_unless_it_has_its_own(settings: Any) -> None:
    settings.MAX_RULES_PER_GROUP = settings.MAX_GROUPS_PER_PROJECT = settings.MAX_MACHINES_PER_PROJECT = 7
    usual, own = Project(), Project(max_rules=1, max_groups=2, max_machines=0)

    assert (usual.rule_quota, usual.group_quota, usual.machine_quota) == (7, 7, 7)
    assert (own.rule_quota, own.group_quota, own.machine_quota) == (1, 2, 0)


def test_two_people_cannot_share_an_address_however_it_is_spelled(alice: User) -> None:
    with pytest.raises(ValidationError, match="Somebody already has this e-mail address"):
        User(username="other", email="Alice@Example.COM", password="x").full_clean()
    make_user("x").email = ""
    assert make_project(None, "No owner").memberships.count() == 0
