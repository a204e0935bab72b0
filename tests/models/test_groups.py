"""Table, model, database and form refuse the same rules; names, positions and searches of groups."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import F

from securitygroups.firewall.protocols import COLUMNS, PROTOCOLS, shape_errors
from securitygroups.firewall.values import Network, parse_network
from securitygroups.forms import RuleForm
from securitygroups.models import Project, Rule, SecurityGroup
from tests.factories import make_group
from tests.models.conftest import Cast

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


MORE = ", a range such as 80-90, or a service such as https"


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
        # The form takes more than numbers, and says so; a sign makes a text of a number, which is told first.
        said = {
            name: [str(text).replace(MORE, "").replace("“-1”", "-1") for text in every]
            for name, every in form.errors.items()
        }
        if bool(said) != bool(table) or not said.items() <= table.items():
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
        assert form.errors == {"port_end": [f"“{number}” is not a port: type a number from 0 to 65535{MORE}."]}


@pytest.mark.parametrize("name", ["", "gre", "TCP", "tcp "])
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


@pytest.mark.parametrize("text", ["%", "_", "\\", "'", '"; --', "\U0001f525"])
def test_searching_takes_every_character_for_itself(project: Project, text: str) -> None:
    make_group(project, "plain")
    special = make_group(project, f"has {text} in it")

    assert list(SecurityGroup.objects.live().named_like(text)) == [special]
