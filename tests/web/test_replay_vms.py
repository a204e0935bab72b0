"""A flow log replayed on a VM and on a whole project: whose rules judge, where the log says otherwise, where it leads."""

import json
from collections import Counter
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.signals import request_finished
from django.db import close_old_connections, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from karenpanel import turns
from securitygroups.answers import replay as answers
from securitygroups.answers.replay import OnVms, Replay, on_vms
from securitygroups.effective import Limits, of_machine, rules_of
from securitygroups.firewall.decide import decide
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Packet, address_text, make_packet, parse_address
from securitygroups.models import Project, SecurityGroup, User, VirtualMachine
from tests.conftest import SignIn
from tests.factories import make_group, make_machine, rule
from tests.firewall.strategies import random_list
from tests.web.pages import Page

PROJECT = "/p/shop/replay/"
HEAD = "direction,protocol,source,destination,port,action\n"
LOG = f"""{HEAD}in,tcp,198.51.100.7,10.0.1.11,443,ACCEPT
in,tcp,198.51.100.8,10.0.1.11,22,ACCEPT
in,tcp,198.51.100.8,10.0.1.11,22,ACCEPT
in,tcp,198.51.100.9,10.0.1.11,443,REJECT
out,udp,10.0.1.11,198.51.100.9,53,ACCEPT
in,tcp,198.51.100.7,10.0.9.9,443,REJECT
"""
VPC = """version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status
2 1 eni-1 198.51.100.7 10.0.1.11 40000 443 6 9 900 1600000000 1600000060 ACCEPT OK
2 1 eni-1 10.0.1.11 198.51.100.7 443 40000 6 9 900 1600000000 1600000060 ACCEPT OK
"""


def url(machine: VirtualMachine) -> str:
    return f"{machine.get_absolute_url()}replay/"


def send(client: Client, url: str, log: str | bytes = LOG, status: int = 200, **headers: str) -> Any:
    data = log.encode() if isinstance(log, str) else log
    response = client.post(url, {"log": SimpleUploadedFile("flows.log", data)}, headers=headers)
    assert response.status_code == status, response
    return response


def lines_of(response: Any) -> list[dict[str, Any]]:
    """What a script is told, line by line."""
    assert response["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]


# ── Whose rules judge ─────────────────────────────────────────────────────────


def as_flow(packet: Packet) -> str:
    ends = [address_text(packet.version or 4, end or 0) for end in (packet.source, packet.destination)]
    return f"{packet.direction.value},{packet.protocol},{','.join(ends)},{packet.port}\n"


@pytest.mark.parametrize("seed", range(3))
def test_each_flow_is_decided_as_its_vms_effective_list_decides_it(seed: int, project: Project) -> None:
    random = Random(seed)
    groups = [make_group(project, f"g{n}", random_list(random)) for n in range(4)]
    machines = [
        make_machine(project, f"vm{n}", random.sample(groups, n % 4), ipv4=f"10.0.0.{n}", ipv6=f"2001:db8::{n}")
        for n in range(5)
    ]
    texts = {4: ["10.0.0.5", "192.0.2.128", *(f"10.0.0.{n}" for n in range(5))]}
    texts[6] = ["fe80::1", "2001:db8:8000::", *(f"2001:db8::{n}" for n in range(5))]
    packets = []
    for _ in range(400):
        source, destination = (parse_address(text) for text in random.choices(texts[random.choice((4, 6))], k=2))
        direction, port = random.choice(list(Direction)), random.choice((22, 80, 443, 8080))
        packets.append(make_packet(direction, random.choice(("tcp", "udp")), source, destination, port))
    log = "direction,protocol,source,destination,port\n" + "".join(map(as_flow, packets))
    rules = {machine.name: rules_of(of_machine(machine)) for machine in machines}

    accepted, denied = Counter[str](), Counter[str]()
    for packet in packets:
        own = packet.destination if packet.direction is Direction.IN else packet.source
        text = address_text(packet.version or 4, own or 0)
        for machine in machines:
            if text in machine.addresses:
                passes = decide(rules[machine.name], packet).action is Action.ACCEPT
                (accepted if passes else denied)[machine.name] += 1

    whole, report = replayed(VirtualMachine.objects.filter(project=project), log)
    assert (report.rows, report.accepted_before) == (accepted.total() + denied.total(), accepted.total())
    names = [vm.name for vm in whole.vms.machines]
    assert dict(zip(names, whole.by_vm.denied_of.tolist(), strict=True)) == {name: denied[name] for name in names}
    for machine in machines:
        _, alone = replayed(VirtualMachine.objects.filter(pk=machine.pk), log)
        assert (alone.rows - alone.accepted_before, alone.accepted_before) == (
            denied[machine.name],
            accepted[machine.name],
        )


def replayed(rows: Any, log: str) -> tuple[OnVms, Any]:
    target = on_vms(rows)
    replay = Replay(target, SimpleUploadedFile("flows.csv", log.encode()), 10)
    for _ in replay:
        pass
    return target, replay.report()


def test_a_vms_own_flows_are_judged_by_its_effective_list(as_bob: Client, machine: VirtualMachine) -> None:
    page = Page(send(as_bob, url(machine))).text

    assert "5 flows judged of 6 records (CSV)" in page
    assert "Flow of another" in page
    assert "web, rule 2" in page, "rules are named by their group"
    assert "6 flows judged" not in page


STRANGE = HEAD + "in,tcp,198.51.100.7,192.0.2.9,443,ACCEPT\n" * 2


def test_a_log_of_other_machines_says_so_and_what_to_do(
    as_bob: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    on_vm, on_project = (Page(send(as_bob, at, STRANGE)) for at in (url(machine), PROJECT))

    said = "No flow of the log could be judged. 2 of its 2 records came to"
    assert f"{said} others than 10.0.1.11 or 2001:db8:10:1::11 and went from others." in on_vm.text
    assert f"{said} no VM of this project, and went from none." in on_project.text
    assert "Replay it on a group, and type them there as “The VMs' own addresses”: outbound , web" in on_vm.text
    assert group.name in on_vm.text
    assert "0 accepted" not in on_vm.text, "numbers of nothing stand at no head"


def test_on_a_group_a_log_of_unknown_addresses_asks_for_them(as_bob: Client, group: SecurityGroup) -> None:
    log = SimpleUploadedFile("flows.log", VPC.encode())
    page = Page(as_bob.post(f"{group.get_absolute_url()}replay/", {"log": log, "local": "192.0.2.0/24"})).text

    assert "came to none of the VMs' own addresses, and went from none." in page
    assert "Type the addresses by which the log knows the group's VMs below" in page


def test_a_logs_own_words_are_held_against_the_rules(as_bob: Client, machine: VirtualMachine) -> None:
    page = Page(send(as_bob, url(machine))).text

    assert "it says accepted of 4, denied of 1" in page
    assert "The log says accepted, the rules deny 2" in page
    assert "The log says denied, the rules accept 1" in page
    assert "Denied flows 2" in page


def test_where_a_log_says_nothing_of_verdicts_nothing_is_said_of_them(as_bob: Client, machine: VirtualMachine) -> None:
    log = "".join(f"{line.rpartition(',')[0]}\n" for line in LOG.splitlines())
    page = Page(send(as_bob, url(machine), log)).text

    assert "5 flows judged" in page
    assert "log says" not in page


def test_a_project_judges_each_flow_by_its_vm_and_counts_others_apart(
    as_bob: Client, machine: VirtualMachine, project: Project
) -> None:
    make_machine(project, "lonely", ipv4="10.0.9.9")
    log = LOG + "in,tcp,198.51.100.7,10.77.0.1,443,ACCEPT\n"
    page = Page(send(as_bob, PROJECT, log)).text

    assert "6 flows judged of 7 records (CSV), 1 of no VM" in page
    assert "Flow of none of the project's VMs" in page
    assert "VMs with most denied flows" in page
    assert "lonely" in page


def test_where_nothing_tells_who_began_it_is_said(as_bob: Client, machine: VirtualMachine) -> None:
    page = Page(send(as_bob, PROJECT, VPC)).text

    assert "Of 1 flow nothing in the log tells which side began: the side with the lower port was taken" in page


def test_a_vm_without_an_address_says_so_instead_of_asking(
    as_alice: Client, as_bob: Client, project: Project, group: SecurityGroup
) -> None:
    bare = make_machine(project, "bare", [group])
    for client, hint in ((as_alice, True), (as_bob, False)):
        page = Page(client.get(url(bare)))
        assert "bare has no address" in page.text
        assert ("Type one in Instance settings" in page.text) is hint
    assert "No VM of this project has an address" in Page(as_bob.get(PROJECT)).text


# ── From a flow to its packet test, and to Add Rule ───────────────────────────


def links(response: Any, words: str) -> list[str]:
    """Where the links lead whose address has these words."""
    parts = response.content.decode().split('href="')[1:]
    found = [part.split('"')[0].replace("&amp;", "&") for part in parts]
    return [link for link in found if words in link]


def test_a_denied_flow_leads_to_its_test_and_to_add_rule_filled_in(
    as_erin: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    for at in (PROJECT, url(machine), f"{group.get_absolute_url()}replay/"):
        response = send(as_erin, at)
        test = next(link for link in links(response, "?test=1") if "198.51.100.8" in link)
        answer = as_erin.get(test)
        assert answer.status_code == 200
        assert "Denied" in Page(answer).text
        add = next(link for link in links(response, "rules/new/?action") if "198.51.100.8" in link)
        assert add in links(answer, "rules/new/?action"), "the packet test leads there too"
        assert parse_qs(urlsplit(add).query) == {
            "action": ["accept"],
            "direction": ["in"],
            "protocol": ["tcp"],
            "source": ["198.51.100.8/32"],
            "port_start": ["22"],
            "port_end": ["22"],
        }
        form = Page(as_erin.get(add)).form_with("port_start")
        assert form.fields["port_start"] == ["22"]


def test_a_rule_is_added_above_the_one_that_drops(as_erin: Client, machine: VirtualMachine) -> None:
    response = send(as_erin, PROJECT, HEAD + "in,tcp,192.0.2.66,10.0.1.11,443,\n")

    [add] = links(response, "rules/new/?action")
    assert parse_qs(urlsplit(add).query)["place"] == ["1"]


def test_who_may_only_look_is_led_to_the_test_alone(as_bob: Client, machine: VirtualMachine) -> None:
    response = send(as_bob, PROJECT)

    assert links(response, "?test=1")
    assert not links(response, "rules/new/")


def test_a_vm_without_groups_has_nowhere_to_add_a_rule(as_erin: Client, project: Project) -> None:
    lonely = make_machine(project, "lonely", ipv4="10.0.1.11")
    response = send(as_erin, url(lonely))

    assert "Denied flows 5" in Page(response).text
    assert not links(response, "rules/new/?action")


# ── With a script: lines that say how far it has come ─────────────────────────


def test_a_script_is_told_how_far_it_has_come_and_then_the_page(
    as_bob: Client, machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("securitygroups.web.replaying.EVERY", 0)
    log = LOG + "in,tcp,198.51.100.7,10.0.1.11,443,ACCEPT\n" * 200_000
    first, *steps, last = lines_of(send(as_bob, url(machine), log, accept="application/x-ndjson"))

    assert first == {"records": 0, "taken": 0, "size": 0}
    assert [step["records"] for step in steps] == sorted({step["records"] for step in steps})
    assert len(steps) > 1
    assert {step["size"] for step in steps} == {len(log)}
    assert 0 < steps[0]["taken"] < len(log)
    assert last["status"] == 200
    assert 'id="replay"' in last["part"]
    assert "200,005" in last["part"]


@pytest.mark.parametrize(("log", "words"), [("", "The file is empty."), (LOG + "in,tcp\n", "line 8")])
def test_to_a_script_errors_stand_in_the_form_too(
    log: str, words: str, as_bob: Client, machine: VirtualMachine
) -> None:
    *_, last = lines_of(send(as_bob, url(machine), log, accept="application/x-ndjson"))

    assert last["status"] == 422
    assert words in last["part"]
    assert "error-summary" in last["part"]


def test_a_script_that_goes_away_gives_its_turn_back(
    as_bob: Client, machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("securitygroups.web.replaying.EVERY", 0)
    response = send(as_bob, url(machine), accept="application/x-ndjson")
    lines = iter(response.streaming_content)
    next(lines), next(lines)
    assert turns._work.locked()

    # As the server does it; the test's connection stays.
    request_finished.disconnect(close_old_connections)
    try:
        response.close()
    finally:
        request_finished.connect(close_old_connections)
    assert not turns._work.locked()


def test_a_stranger_and_support_are_asked_as_everywhere(
    as_charlie: Client, sign_in: SignIn, staff: User, machine: VirtualMachine
) -> None:
    for at in (PROJECT, url(machine)):
        assert as_charlie.get(at).status_code == 404
        send(as_charlie, at, status=404, accept="application/x-ndjson")
        assert sign_in(staff).get(at)["Location"].startswith("/support/shop/")


# ── Bounds ────────────────────────────────────────────────────────────────────


def test_lists_that_are_too_much_are_said_to_be(
    as_bob: Client, machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "LIMITS", Limits(6, 100))
    assert "rules together, which are too many" in Page(send(as_bob, PROJECT, status=422)).text


def test_more_vms_and_lists_need_no_more_queries(as_bob: Client, project: Project) -> None:
    counts = []
    for first, last in ((1, 3), (4, 40)):
        for number in range(first, last + 1):
            own = make_group(project, f"g{number}", [rule("accept in tcp 22")])
            make_machine(project, f"vm-{number}", [own], ipv4=f"10.0.1.{number}")
        with CaptureQueriesContext(connection) as queries:
            send(as_bob, PROJECT)
        counts.append(len(queries))
        assert not [q["sql"] for q in queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert counts[0] == counts[1]


def test_a_report_of_many_kinds_of_flows_stays_light(as_alice: Client, machine: VirtualMachine) -> None:
    random = Random(1)
    flows = (
        f"in,tcp,2001:db8:{random.getrandbits(16):x}:1111:2222:3333:4444:5555,2001:db8:10:1::11,{port},{said}\n"
        for port in range(1, 2_000)
        for said in ("ACCEPT", "REJECT")
    )
    response = send(as_alice, PROJECT, HEAD + "".join(flows))

    assert "smaller groups of flows" in Page(response).text
    assert len(response.content) < 100_000
