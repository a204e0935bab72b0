"""Hosts as operators make them and agents enrol them: what is written, what is on record, and what is refused."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.utils import timezone

from securitygroups import operations
from securitygroups.models import AccountEvent, Host, InForce, User, VirtualMachine
from securitygroups.operations import By, NotEnrolled
from tests.factories import make_host, of_hosts, place

KEY, OTHER_KEY = "k" * 43, "o" * 43


def told() -> list[tuple[str, str, str]]:
    """What is on record of hosts, the oldest first."""
    rows = AccountEvent.objects.filter(verb__startswith="host.").order_by("pk")
    return [(row.verb, row.actor_name, row.detail["host_name"]) for row in rows]


def enrol(host: Host, secret: str, key: str = KEY) -> Host:
    return operations.enrol_host(public_id=host.public_id, secret=secret, key=key, agent="0.1")


def test_one_is_made_with_a_secret_of_which_the_digest_is_kept(admin: User) -> None:
    fields = {"name": "kvm-1", "target": "inet", "taps": "vnet*", "drift": "report", "cut": True, "log": None}

    _, secret = operations.make_host(fields=fields, by=By(admin, staff=True))

    stored = Host.objects.get()
    assert {name: getattr(stored, name) for name in fields} == fields
    assert len(secret) >= 43
    assert secret not in repr(vars(stored))
    assert stored.public_id.startswith("host-")
    assert not stored.listens
    assert told() == [("host.made", "admin", "kvm-1"), ("host.offered", "admin", "kvm-1")]
    assert secret not in repr(list(AccountEvent.objects.values("detail")))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("name", value) for value in ("", "KVM-1", "kvm-\u200b1", "x" * 61)),
        *(("taps", value) for value in ("", "tap", "*", "ta p*", "tap0123456789ab*", "-tap*", 'tap"*')),
        *(("target", "cloud"), ("drift", "laugh"), ("log", 65536), ("log", -1)),
    ],
)
def test_what_no_host_can_have_is_refused_and_nothing_is_written(db: None, field: str, value: Any) -> None:
    make_host("kvm-1")
    before = told()

    with pytest.raises(ValidationError):
        operations.make_host(fields={"name": "new", field: value}, by=By())

    assert Host.objects.count() == 1
    assert told() == before


def test_other_settings_are_on_record_with_what_they_were(admin: User) -> None:
    host = make_host("kvm-1")
    by = By(admin, staff=True, reason="Ticket 7")

    changed = operations.change_host(host=host, fields={"name": "kvm-2", "cut": True, "drift": "repair"}, by=by)

    assert changed == ["name", "cut"]
    line = AccountEvent.objects.latest("pk")
    assert (line.verb, str(line), line.actor_name) == ("host.changed", "Host changed: kvm-2", "admin")
    assert line.detail == {
        "host": host.public_id,
        "host_name": "kvm-2",
        "before": {"name": "kvm-1", "cut": False},
        "after": {"name": "kvm-2", "cut": True},
        "reason": "Ticket 7",
    }
    assert operations.change_host(host=host, fields={"cut": True}, by=by) == []
    assert AccountEvent.objects.latest("pk") == line


def test_interfaces_that_vms_have_stay_those_of_vms(machine: VirtualMachine) -> None:
    host = make_host()
    place(machine, host, "tap7")

    with pytest.raises(ValidationError, match="take them off first"):
        operations.change_host(host=host, fields={"taps": "vnet*"}, by=By())

    assert operations.change_host(host=host, fields={"taps": "ta*"}, by=By()) == ["taps"]


# ── Enrolment ─────────────────────────────────────────────────────────────────


def test_the_secret_enrols_its_host_once(db: None) -> None:
    host, secret = operations.make_host(fields={"name": "kvm-1"}, by=By())

    enrolled = enrol(host, secret)

    assert (enrolled.key, enrolled.agent, enrolled.listens) == (KEY, "0.1", True)
    assert told()[-1] == ("host.enrolled", "", "kvm-1")
    for again in (KEY, OTHER_KEY):
        with pytest.raises(NotEnrolled):
            enrol(host, secret, again)
    assert Host.objects.get().key == KEY


def test_a_secret_is_good_for_an_hour_for_its_host_alone_and_until_there_is_another(db: None) -> None:
    host, secret = operations.make_host(fields={"name": "kvm-1"}, by=By())
    other = make_host("kvm-2")

    for where, which in ((other, secret), (host, secret[:-1]), (host, ""), (host, secret + "x")):
        with pytest.raises(NotEnrolled):
            enrol(where, which)
    with time_machine.travel(timezone.now() + timedelta(hours=1)), pytest.raises(NotEnrolled):
        enrol(host, secret)
    newer = operations.offer_enrolment(host=host, by=By())
    with pytest.raises(NotEnrolled):
        enrol(host, secret)

    assert not Host.objects.exclude(key="").exists()
    assert enrol(host, newer).listens


def test_a_host_that_nobody_made_is_not_enrolled(db: None) -> None:
    with pytest.raises(NotEnrolled):
        operations.enrol_host(public_id="host-0000000000", secret="", key=KEY, agent="")


def test_no_two_hosts_have_one_key(db: None) -> None:
    (one, secret), (two, second) = (operations.make_host(fields={"name": name}, by=By()) for name in "ab")
    enrol(one, secret)

    with pytest.raises(ValidationError, match="copied along"):
        enrol(two, second)

    two.refresh_from_db()
    assert not two.key
    assert enrol(two, second, OTHER_KEY).listens, "the secret was not used up"


def test_a_revoked_host_is_told_nothing_until_it_is_enrolled_anew(machine: VirtualMachine, admin: User) -> None:
    host, secret = operations.make_host(fields={"name": "kvm-1"}, by=By())
    enrol(host, secret)
    waiting = operations.offer_enrolment(host=host, by=By())

    operations.revoke_host(host=host, by=By(admin, staff=True, reason="Sold"))

    host.refresh_from_db()
    assert (host.listens, host.key) == (False, KEY), "who has the key is told that it was revoked"
    line = AccountEvent.objects.latest("pk")
    assert (line.verb, line.actor_name, line.detail["reason"]) == ("host.revoked", "admin", "Sold")
    with pytest.raises(NotEnrolled):
        enrol(host, waiting)
    operations.revoke_host(host=host, by=By(admin))
    assert AccountEvent.objects.latest("pk") == line
    assert enrol(host, operations.offer_enrolment(host=host, by=By()), OTHER_KEY).listens


def test_a_host_that_is_enrolled_anew_has_nothing_in_force(machine: VirtualMachine) -> None:
    host = of_hosts(machine)
    assert InForce.objects.filter(host=host).exists()

    enrol(host, operations.offer_enrolment(host=host, by=By()))

    host.refresh_from_db()
    assert not InForce.objects.filter(host=host).exists()
    assert (host.inventory, host.state, host.placements.count()) == (None, "", 1)
