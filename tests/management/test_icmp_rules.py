"""A database of before ICMP rules comes along, and takes them then."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from tests.management.earlier import fill

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE = "0008_at_size"
CHECKS = "SELECT conname, convalidated FROM pg_constraint WHERE conname IN ('rule_protocol', 'rule_icmp_fields')"
RULES = "SELECT id, uid, protocol, source::text, port_start, port_end FROM securitygroups_rule ORDER BY id"


@pytest.fixture
def earlier() -> Iterator[None]:
    """The tables of before with rows; afterwards those of now."""
    call_command("migrate", "securitygroups", "0006_plain_addresses", verbosity=0)
    fill(20)
    call_command("migrate", "securitygroups", BEFORE, verbosity=0)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM securitygroups_rule WHERE protocol = 'icmp'")
    call_command("migrate", verbosity=0)


def asked(statement: str) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def make_icmp(columns: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE securitygroups_rule SET protocol = 'icmp', {columns} WHERE id = 1")


def test_rules_of_before_stay_and_icmp_is_taken_from_then_on(earlier: None) -> None:
    before = asked(RULES)
    with pytest.raises(IntegrityError, match="rule_protocol"):
        make_icmp("port_start = NULL, port_end = NULL")

    call_command("migrate", verbosity=0)

    assert asked(RULES) == before
    assert sorted(asked(CHECKS)) == [("rule_icmp_fields", True), ("rule_protocol", True)]
    make_icmp("port_start = NULL, port_end = NULL")
    assert asked(RULES)[0][2:] == ("icmp", "10.0.0.0/8", None, None)
    for columns in ("port_start = 8", "port_start = NULL, port_end = NULL, destination = '10.0.0.0/8'"):
        with pytest.raises(IntegrityError, match="rule_icmp_fields"):
            make_icmp(columns)


def test_a_migration_that_was_killed_between_its_statements_is_ended_by_the_next(earlier: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE securitygroups_rule ADD CONSTRAINT rule_icmp_fields CHECK (true) NOT VALID")

    call_command("migrate", verbosity=0)

    assert sorted(asked(CHECKS)) == [("rule_icmp_fields", True), ("rule_protocol", True)]
    with pytest.raises(IntegrityError, match="rule_icmp_fields"):
        make_icmp("port_start = 8, port_end = 8")


def test_it_goes_back_as_long_as_there_is_no_icmp_rule(earlier: None) -> None:
    call_command("migrate", verbosity=0)

    call_command("migrate", "securitygroups", BEFORE, verbosity=0)

    assert asked(CHECKS) == [("rule_protocol", True)]
    with pytest.raises(IntegrityError, match="rule_protocol"):
        make_icmp("port_start = NULL, port_end = NULL")
