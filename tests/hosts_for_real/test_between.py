"""Whoever sits between agent and panel, or has overheard all that they said, changes nothing on either side."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from django.db.models import Sum

from securitygroups.enforcement.applied import Kind
from securitygroups.models import (
    Host,
    HostNonce,
    InForce,
    Placement,
    RuleHits,
    SecurityGroup,
    Traffic,
    VirtualMachine,
)
from securitygroups.signing.keys import Key
from tests.agent.stand import until
from tests.hosts_for_real.between import Asked, Changes, Said
from tests.hosts_for_real.real import RealHost, commit, kind_of
from tests.kernel.conftest import KERNEL

pytestmark = [KERNEL, pytest.mark.django_db(transaction=True)]

SIGNATURE, ETAG = "Karenpanel-Signature", "ETag"
OPEN_ALL = {"action": "accept", "direction": "in", "protocol": "udp"}


def opened(body: bytes) -> bytes:
    """The state with everything accepted."""
    state = json.loads(body)
    for group in state.get("groups", ()):
        group["rules"] = [OPEN_ALL | {"id": "0123456789ab"}]
    return json.dumps(state).encode()


def only(path: str, made: Callable[[Said], Said | None]) -> Changes:
    return lambda asked, said: made(said) if asked.path.endswith(path) else said


def with_header(said: Said, **headers: str) -> Said:
    return said._replace(headers=said.headers | {name.replace("_", "-"): value for name, value in headers.items()})


def other_key(said: Said) -> Said:
    """Signed with a key of one's own, which is the best that anybody can do who has not the panel's."""
    body = opened(said.body)
    return with_header(said._replace(body=body), **{SIGNATURE: Key.new().sign(body)})


WAYS: dict[str, Callable[[Said], Said | None]] = {
    "other rules": lambda said: said._replace(body=opened(said.body)),
    "another key": other_key,
    "one byte": lambda said: said._replace(body=said.body[:-1] + b" "),
    "another ETag": lambda said: with_header(said, ETag='"' + "0" * 64 + '"'),
    "no signature": lambda said: with_header(said, **{SIGNATURE: ""}),
    "half of it": lambda said: said._replace(body=said.body[: len(said.body) // 2]),
    "nothing is new": lambda said: said._replace(status=HTTPStatus.NOT_MODIFIED, body=b""),
    "a page of its own": lambda said: Said(200, {"Content-Type": "text/html"}, b"<h1>Sign in to the hotel</h1>"),
    "an empty page": lambda said: Said(200, {}, b""),
    "a refusal": lambda said: Said(401, {}, b'{"code": "revoked", "detail": "Go away"}'),
    "nothing at all": lambda said: None,
}


@pytest.fixture
def standing(real: RealHost, vm: VirtualMachine) -> RealHost:
    """A host on which the VM's list is in force."""
    real.has(tap0=vm)
    real.poll()
    assert kind_of(vm) is Kind.IN_FORCE
    return real


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_state_that_was_changed_on_the_way_is_not_taken(
    standing: RealHost, vm: VirtualMachine, web: SecurityGroup, way: Callable[[Said], Said | None]
) -> None:
    before, kept = standing.ruleset(), standing.places.state.read_bytes()
    commit(web, "accept in udp 54")
    standing.way.changes = only("/state", way)

    standing.poll(status=1)

    assert standing.way.of("/state", 200), "the panel has said it"
    assert standing.ruleset() == before
    assert standing.places.state.read_bytes() == kept
    assert kind_of(vm) is Kind.APPLYING
    standing.way.changes = None
    standing.poll()
    assert (kind_of(vm), standing.opens(53, 54)) == (Kind.IN_FORCE, [False, True])


def test_a_state_of_before_and_answers_to_other_questions_are_not_taken(
    standing: RealHost, vm: VirtualMachine, web: SecurityGroup
) -> None:
    commit(web, "accept in udp 54")
    standing.poll()
    # Each is the panel's own, and signed by it; none is the answer to the question at hand.
    genuine = [said for _, said in standing.way.went]
    assert len(genuine) >= 6
    commit(web, "accept in udp 55")
    before = standing.ruleset()

    for old in genuine:
        standing.way.changes = lambda asked, said, old=old: old
        standing.poll(status=1)
        assert standing.ruleset() == before

    standing.way.changes = None
    standing.poll()
    assert (kind_of(vm), standing.opens(53, 54, 55)) == (Kind.IN_FORCE, [False, False, True])


def test_an_answer_to_another_host_is_not_taken(standing: RealHost, web: SecurityGroup) -> None:
    """Whoever is a host too has the panel's signature on a state of their own, to a nonce that they may choose."""
    from tests.hosts import enrolled

    _, other = enrolled("kvm-2")
    before = standing.ruleset()
    commit(web, "accept in udp 54")

    def swapped(asked: Asked, said: Said) -> Said:
        headers = other.headers("GET", "/agent/v1/state", nonce=asked.headers["Karenpanel-Nonce"])
        return standing.way.ask(Asked("GET", "/agent/v1/state", headers, b""))

    standing.way.changes = swapped
    standing.poll(status=1)

    assert standing.ruleset() == before


def test_nobody_else_can_stand_in_for_the_panel_when_a_host_is_enrolled(real: RealHost, vm: VirtualMachine) -> None:
    """A proxy that answers by itself, and one whose key somebody was talked into."""
    real.way.changes = lambda asked, said: said._replace(body=said.body.replace(b"kvm-1", b"kvm-9"))
    kept = real.places.host.read_bytes()

    from securitygroups import operations
    from securitygroups.operations import By

    real.secret = operations.offer_enrolment(host=real.row, by=By())
    done = real.agent("enrol", *real.offer(), status=1)
    assert "did not sign it" in done.words
    assert real.places.host.read_bytes() == kept

    real.way.changes = None
    real.secret = operations.offer_enrolment(host=real.row, by=By())
    assert "did not sign it" in real.agent("enrol", *real.offer(Key.new().public), status=1).words
    assert real.places.host.read_bytes() == kept


def test_hits_are_added_up_once_when_the_answer_is_lost_and_the_agent_starts_again(
    standing: RealHost, vm: VirtualMachine
) -> None:
    standing.opens(53, 53, 53)
    standing.way.changes = only("/report", lambda said: None)
    standing.poll(status=1)
    standing.opens(53)
    standing.way.changes = None

    # The first tells again what was not answered, the second what came since.
    standing.poll()
    standing.poll()

    numbers = [json.loads(asked.body)["number"] for asked, _ in standing.way.of("/report")]
    assert len(set(filter(None, numbers))) < len([*filter(None, numbers)]), "one was told again"
    assert RuleHits.objects.filter(machine=vm, kind="rule").aggregate(Sum("packets"))["packets__sum"] == 4


def test_packets_are_added_up_once_when_the_answer_is_lost(standing: RealHost, vm: VirtualMachine) -> None:
    standing.start()
    until(lambda: " 7 " in standing.host.run("cat /proc/net/netfilter/nfnetlink_log"))
    lost = []

    def lose(said: Said) -> Said | None:
        lost.append(said)
        return None if len(lost) <= 2 else said

    standing.way.changes = only("/report", lose)
    assert standing.opens(77, 77, 77) == [False] * 3
    until(lambda: len(lost) > 2, 40)

    assert standing.opens(77) == [False]
    seen = Traffic.objects.filter(machine=vm, port=77)
    until(lambda: (seen.aggregate(Sum("packets"))["packets__sum"] or 0) >= 4, 20)
    assert seen.aggregate(Sum("packets"))["packets__sum"] == 4


def test_a_running_agent_outlives_all_of_it(standing: RealHost, vm: VirtualMachine, web: SecurityGroup) -> None:
    agent = standing.start()
    before = standing.ruleset()
    standing.way.changes = only("", lambda said: Said(200, {}, b"{}"))
    until(lambda: "did not sign it" in standing.log)
    assert standing.ruleset() == before

    commit(web, "accept in udp 54")
    standing.way.changes = None

    until(lambda: kind_of(vm) is Kind.IN_FORCE, 30)
    assert agent.poll() is None


def untouched() -> tuple[Any, ...]:
    """What a request that is not accepted may not change."""
    tables = (Host, HostNonce, InForce, Placement)
    return tuple(list(table.objects.order_by("pk").values()) for table in tables)


def test_nothing_that_was_overheard_is_accepted_again_as_it_was_or_otherwise(
    standing: RealHost, vm: VirtualMachine, web: SecurityGroup
) -> None:
    from tests.hosts import enrolled

    commit(web, "accept in udp 54")
    standing.poll()
    overheard = [asked for asked, _ in standing.way.went]
    assert {asked.path.rpartition("/")[2] for asked in overheard} == {"enrol", "state", "report"}
    other, _ = enrolled("kvm-2")
    before, tried = untouched(), 0

    for asked in overheard:
        forged = [
            asked,
            asked._replace(headers=asked.headers | {"Karenpanel-Host": other.public_id}),
            asked._replace(headers=asked.headers | {"Karenpanel-Nonce": "A" * 22}),
            asked._replace(headers=asked.headers | {"Karenpanel-Time": str(int(asked.headers["Karenpanel-Time"]) + 1)}),
            asked._replace(headers=asked.headers | {SIGNATURE: Key.new().sign(asked.body)}),
            asked._replace(body=asked.body.replace(b'"error":""', b'"error":"x"') + b" "),
            asked._replace(path="/agent/v1/report" if asked.path.endswith("state") else "/agent/v1/state"),
            asked._replace(method="POST" if asked.method == "GET" else "GET"),
            asked._replace(path=asked.path + "?again=1"),
            asked._replace(path="/agent/v1/./" + asked.path.rpartition("/")[2]),
        ]
        for one in forged:
            said = standing.way.ask(one)
            assert said.status in (400, 401, 403, 404, 405, 422), (one, said)
            tried += 1

    assert tried >= 60
    assert untouched() == before
    standing.poll()
    assert kind_of(vm) is Kind.IN_FORCE
