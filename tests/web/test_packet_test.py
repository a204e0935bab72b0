"""Test a packet: the verdict and the trace in words, the address as a permalink, bad packets, earlier times."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from securitygroups import operations
from securitygroups.answers.platform import platform_before
from securitygroups.firewall.platform import Target, platform_lines
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import make_packet, parse_address
from securitygroups.models import Project, SecurityGroup, VirtualMachine
from securitygroups.operations import By
from securitygroups.words.drops import LET_A_ROUTER, REASONS
from tests.factories import make_group, make_host, make_machine, place, ports, rule
from tests.web.pages import HTMX, Page, part_and_page

PACKET = {
    "test": "1",
    "direction": "in",
    "protocol": "tcp",
    "source": "203.0.113.9",
    "destination": "10.0.1.11",
    "port": "22",
}


def test_the_rule_that_decides_and_why_the_others_do_not(as_bob: Client, group: SecurityGroup) -> None:
    text = Page(as_bob.get(f"{group.get_absolute_url()}test/", PACKET)).text
    assert "Accepted by rule 3" in text
    assert "An inbound TCP packet from 203.0.113.9 to 10.0.1.11, port 22 (SSH) is accepted by rule 3." in text
    assert "Passed by: 203.0.113.9 is not 192.0.2.66" in text
    assert "Passed by: port 22 is not 443" in text
    assert "Matched : this rule decides" in text
    assert text.count("Not reached") == 2


def test_what_no_rule_matches_is_denied(as_bob: Client, group: SecurityGroup) -> None:
    text = Page(
        as_bob.get(
            f"{group.get_absolute_url()}test/",
            PACKET | {"port": "8080", "source": "2001:db8::9", "destination": "2001:db8::1"},
        )
    ).text
    assert "Denied : no rule matches" in text.replace("Denied:", "Denied :")
    assert "what no rule matches is denied" in text
    assert "Passed by: the rule is switched off" in text


def test_the_address_is_the_permalink_of_page_and_part(as_bob: Client, group: SecurityGroup) -> None:
    url = f"{group.get_absolute_url()}test/?test=1&direction=in&protocol=tcp&source=203.0.113.9&destination=10.0.1.11&port=22"
    part, page = part_and_page(as_bob, url)
    for shown in (part, page):
        assert "Accepted by rule 3" in shown.text
        form = shown.form_with("destination")
        assert {name: form.fields[name] for name in ("direction", "protocol", "source", "port")} == {
            "direction": ["in"],
            "protocol": ["tcp"],
            "source": ["203.0.113.9"],
            "port": ["22"],
        }
    assert part.ids[0] == "test"
    assert f'data-copy="http://testserver{url.replace("&", "&amp;")}"' in as_bob.get(url).content.decode()


def test_on_a_vm_its_own_address_is_filled_in_on_the_right_side(as_bob: Client, machine: VirtualMachine) -> None:
    url = f"{machine.get_absolute_url()}test/"
    assert Page(as_bob.get(url)).form_with("destination").fields["destination"] == ["10.0.1.11"]
    assert Page(as_bob.get(url, {"direction": "out"})).form_with("destination").fields["source"] == ["10.0.1.11"]
    six = Page(as_bob.get(url, {"direction": "in", "source": "2001:db8::9"})).form_with("destination")
    assert six.fields["destination"] == ["2001:db8:10:1::11"]


def test_on_a_vm_the_group_and_its_rule_are_named(as_bob: Client, machine: VirtualMachine) -> None:
    packet = PACKET | {
        "direction": "out",
        "protocol": "udp",
        "source": "10.0.1.11",
        "destination": "192.0.2.1",
        "port": "53",
    }
    text = Page(as_bob.get(f"{machine.get_absolute_url()}test/", packet)).text
    assert "Accepted by rule 5 (web, rule 5)" in text


@pytest.mark.parametrize(
    ("protocol", "shown", "hidden"),
    [
        ("tcp", "port", "number"),
        ("icmp", "source", "port"),
        ("number", "number", "port"),
        ("non-ip", "protocol", "source"),
    ],
)
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "part"])
def test_the_fields_follow_the_protocol(
    protocol: str, shown: str, hidden: str, headers: dict[str, str], as_bob: Client, group: SecurityGroup
) -> None:
    page = Page(as_bob.get(f"{group.get_absolute_url()}test/", {"protocol": protocol}, headers=headers))
    assert f"id_{shown}" in page.ids
    assert f"id_{hidden}" not in page.ids
    assert not page.errors


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"source": ""}, "source"),
        ({"source": "nonsense"}, "source"),
        ({"source": "10.0.0.0/8"}, "source"),
        ({"source": "fe80::1%eth0"}, "source"),
        ({"source": "x" * 10_000}, "source"),
        ({"destination": "2001:db8::1"}, "destination"),
        ({"port": ""}, "port"),
        ({"port": "65536"}, "port"),
        ({"port": "-1"}, "port"),
        ({"port": "9" * 5000}, "port"),
        ({"protocol": "number", "number": ""}, "number"),
        ({"protocol": "number", "number": "256"}, "number"),
        ({"protocol": "number", "number": "9" * 5000}, "number"),
        ({"direction": "sideways"}, "direction"),
    ],
    ids=lambda value: str(value)[:36],
)
def test_a_bad_packet_is_told_at_its_field(
    sent: dict[str, str], field: str, as_bob: Client, machine: VirtualMachine
) -> None:
    group = SecurityGroup.objects.get(name="web")
    for url in (f"{group.get_absolute_url()}test/", f"{machine.get_absolute_url()}test/"):
        for headers in ({}, HTMX):
            response = as_bob.get(url, PACKET | sent, headers=headers)
            page = Page(response)
            assert response.status_code == 422
            assert field in page.errors
            assert "The packet's way" not in page.text


@pytest.mark.parametrize("protocol", ["", "TCP", "<script>", "x" * 5000])
def test_an_unknown_protocol_is_refused(protocol: str, as_bob: Client, group: SecurityGroup) -> None:
    response = as_bob.get(f"{group.get_absolute_url()}test/", PACKET | {"protocol": protocol})
    assert response.status_code == 422
    assert b"<script>" not in response.content


def test_frames_that_are_not_ip_and_other_protocols(as_bob: Client, group: SecurityGroup) -> None:
    url = f"{group.get_absolute_url()}test/"
    text = Page(as_bob.get(url, {"test": "1", "direction": "out", "protocol": "non-ip"})).text
    assert "An outbound frame that is not IP is accepted by rule 5." in text
    gre = {
        "test": "1",
        "direction": "in",
        "protocol": "number",
        "number": "47",
        "source": "192.0.2.66",
        "destination": "10.0.1.11",
    }
    assert "is dropped by rule 1" in Page(as_bob.get(url, gre)).text


def test_a_denied_packet_says_what_an_accept_would_need(as_alice: Client, as_bob: Client, group: SecurityGroup) -> None:
    denied = PACKET | {"source": "198.51.100.1"}
    page = Page(as_alice.get(f"{group.get_absolute_url()}test/", denied))
    assert "What an accept would need" in page.text
    assert "Add a rule that accepts it" in page.text
    assert "Add a rule that accepts it" not in Page(as_bob.get(f"{group.get_absolute_url()}test/", denied)).text


def test_a_pasted_line_fills_the_form(as_bob: Client, machine: VirtualMachine) -> None:
    line = {"read": "1", "line": "tcp 203.0.113.9 > 10.0.1.11:22"}
    form = Page(as_bob.get(f"{machine.get_absolute_url()}test/", line)).form_with("destination")
    assert (form.fields["source"], form.fields["port"]) == (["203.0.113.9"], ["22"])
    none, cut = "No packet was found in this line", "Only the first 2,000 characters are looked at"
    for nonsense, answer in (
        *dict.fromkeys(
            ("nonsense", "<script>alert(1)</script>", "tcp > > >", "SRC=DST= PROTO=", "{" * 1000), none
        ).items(),
        ("x" * 10_000, cut),
    ):
        response = as_bob.get(f"{machine.get_absolute_url()}test/", {"read": "1", "line": nonsense})
        assert answer in Page(response).text
        assert b"<script>alert" not in response.content


def test_as_of_an_earlier_time(as_alice: Client, group: SecurityGroup) -> None:
    url = f"{group.get_absolute_url()}test/"
    before = f"{timezone.now() - timedelta(days=1):%Y-%m-%dT%H:%M}"
    assert "the list has no rules" in Page(as_alice.get(url, PACKET | {"at": before})).text
    after = f"{timezone.now() + timedelta(days=1):%Y-%m-%dT%H:%M}"
    assert "Accepted by rule 3" in Page(as_alice.get(url, PACKET | {"at": after})).text


@pytest.mark.parametrize(
    "at",
    ["x", "2024-13-45T99:99", "9" * 5000, "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2024-01-01", "-1"],
    ids=lambda at: at[:26],
)
def test_a_time_that_is_none_does_no_harm(
    at: str, as_bob: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    for thing in (machine, group):
        response = as_bob.get(f"{thing.get_absolute_url()}test/", PACKET | {"at": at})
        assert response.status_code in (200, 422)


def test_testing_writes_nothing(as_bob: Client, group: SecurityGroup, django_assert_max_num_queries: Any) -> None:
    events = group.project.events.count()
    as_bob.get(f"{group.get_absolute_url()}test/", PACKET)
    assert group.project.events.count() == events
    assert as_bob.post(f"{group.get_absolute_url()}test/", PACKET).status_code == 405


@pytest.mark.parametrize("port", [300, 1500, 2999, 9999])
def test_of_thousands_of_rules_those_that_matter_are_shown_and_none_is_kept_quiet(
    port: int, as_bob: Client, project: Project
) -> None:
    groups = [make_group(project, f"g{first}", ports(*range(first, first + 1000))) for first in (1, 1001, 2001)]
    machine = make_machine(project, "vm", groups, ipv4="10.0.0.5")
    asked = PACKET | {"destination": "10.0.0.5", "port": str(port)}
    response = as_bob.get(f"{machine.get_absolute_url()}test/", asked)
    way = response.context["traces"][0].way
    places = [place for step, _, gap in way for place in ([step.place] if step else range(gap.first, gap.last + 1))]
    assert places == list(range(1, 3001))
    assert len(way) < 420
    for step, line, gap in way:
        if gap:
            assert gap.last < port if gap.passed else port < gap.first
        else:
            assert (line.group.name, line.place) == (
                f"g{(step.place - 1) // 1000 * 1000 + 1}",
                (step.place - 1) % 1000 + 1,
            )
    assert "Rules 101 to " in Page(response).text


def test_the_effective_list_comes_in_pages(as_bob: Client, project: Project) -> None:
    groups = [make_group(project, f"g{first}", ports(*range(first, first + 80))) for first in (1, 41)]
    machine = make_machine(project, "vm", groups)
    first, second = (as_bob.get(machine.get_absolute_url(), {"page": number}) for number in (1, 2))
    assert "Effective rules 160" in Page(first).text
    assert {"place-1", "place-100"} <= set(Page(first).ids)
    assert "place-101" not in Page(first).ids
    assert {"place-101", "place-160"} <= set(Page(second).ids)
    # What makes a rule dead stands on another page.
    assert 'href="?page=1#place-61"' in second.content.decode()


# ── On a VM ───────────────────────────────────────────────────────────────────


def ask(client: Client, machine: VirtualMachine, **packet: str) -> Page:
    return Page(client.get(f"{machine.get_absolute_url()}test/", PACKET | packet))


@pytest.fixture
def pair(project: Project) -> tuple[VirtualMachine, VirtualMachine]:
    """app-1 (10.0.1.11) may send TCP, db-1 (10.0.1.12) takes TCP 5432."""
    app = make_machine(project, "app-1", [make_group(project, "app", ["accept out tcp"])], ipv4="10.0.1.11")
    db = make_machine(project, "db-1", [make_group(project, "db", ["accept in tcp 5432"])], ipv4="10.0.1.12")
    return app, db


def test_between_two_vms_both_lists_are_asked(as_bob: Client, pair: tuple[VirtualMachine, VirtualMachine]) -> None:
    ends = {"source": "10.0.1.11", "destination": "10.0.1.12"}
    # From either end it is the same packet.
    for machine, direction in zip(pair, ("out", "in"), strict=True):
        text = ask(as_bob, machine, **ends, direction=direction, port="5432").text
        assert "Between the two VMs: accepted" in text
        assert "The Out list of app-1 lets it out, and the In list of db-1 lets it in." in text
        assert text.index("Out of app-1: Accepted by rule 1") < text.index("In of db-1: Accepted by rule 1")

        text = ask(as_bob, machine, **ends, direction=direction, port="22").text
        assert "Between the two VMs: denied" in text
        assert "It leaves app-1, but the In list of db-1 denies it." in text

    text = ask(as_bob, pair[0], source="10.0.1.12", destination="10.0.1.11", direction="in").text
    assert "The Out list of db-1 denies it, so it never reaches app-1." in text
    assert "What app-1 would answer is shown for information." in text
    assert "In of app-1: Denied" in text
    response = as_bob.get(f"{pair[0].get_absolute_url()}test/", PACKET | ends | {"direction": "out"})
    assert response.content.decode().split('id="test"')[1].count('role="status"') == 1


def test_the_addresses_of_the_project_s_vms_are_suggested(
    as_bob: Client, pair: tuple[VirtualMachine, VirtualMachine], bakery: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_machine(bakery, "oven", ipv4="10.9.9.9")
    gone = make_machine(pair[0].project, "gone", ipv4="10.8.8.8")
    operations.delete_machine(machine=gone, by=By())
    for headers in ({}, HTMX):
        content = as_bob.get(f"{pair[0].get_absolute_url()}test/", headers=headers).content.decode()
        assert '<option value="10.0.1.12">db-1</option>' in content
        assert content.count('list="vm-addresses"') == 2
        assert "10.9.9.9" not in content
        assert "10.8.8.8" not in content
    monkeypatch.setattr("securitygroups.web.asking.SUGGESTED", 1)
    assert as_bob.get(f"{pair[0].get_absolute_url()}test/").context["known"] == [("10.0.1.11", "app-1")]
    group = pair[0].groups.get()
    assert "vm-addresses" not in as_bob.get(f"{group.get_absolute_url()}test/").content.decode()


@pytest.mark.parametrize(
    ("packet", "stranger"),
    [
        ({"destination": "10.0.1.99"}, "10.0.1.99"),
        ({"destination": "10.0.1.11"}, ""),
        ({"direction": "out", "source": "10.0.1.99"}, "10.0.1.99"),
        ({"direction": "out", "source": "10.0.1.11", "destination": "10.0.1.99"}, ""),
        ({"source": "2001:db8::1", "destination": "2001:db8:10:1:0::11"}, ""),
        ({"source": "2001:db8::1", "destination": "2001:db8::2"}, "2001:db8::2"),
        ({"protocol": "non-ip"}, ""),
    ],
)
def test_an_address_that_is_none_of_the_vm_s_is_told(
    packet: dict[str, str], stranger: str, as_bob: Client, machine: VirtualMachine
) -> None:
    text = ask(as_bob, machine, **packet).text
    assert ("is not an address of web-1." in text) == bool(stranger)
    assert f"{stranger} is not an address of web-1." in text or not stranger


def test_of_a_vm_without_an_address_every_address_may_be_its_own(as_bob: Client, project: Project) -> None:
    assert "is not an address of" not in ask(as_bob, make_machine(project, "bare")).text


def test_on_a_vm_as_of_an_earlier_time_its_groups_and_their_rules_are_those_of_then(
    as_bob: Client, project: Project
) -> None:
    start = datetime(2026, 1, 10, 12, tzinfo=UTC)
    with time_machine.travel(start, tick=True):
        web, ssh = make_group(project, "web", ports(443)), make_group(project, "ssh", ports(22))
        machine = make_machine(project, "vm", [web, ssh], ipv4="10.0.1.11")
    with time_machine.travel(start + timedelta(hours=1), tick=True):
        operations.commit_rules(group=ssh, rules=ports(2222), base=1, by=By())
    with time_machine.travel(start + timedelta(hours=2), tick=True):
        operations.attach_groups(machine=machine, groups=[web], base=1, by=By())
    for hours, port, words in (
        (0.5, "22", "Accepted by rule 2 (ssh, rule 1)"),
        (1.5, "22", "Denied: no rule matches"),
        (1.5, "2222", "Accepted by rule 2 (ssh, rule 1)"),
        (2.5, "2222", "Denied: no rule matches"),
        (-1, "443", "vm was not in this project then"),
    ):
        text = ask(as_bob, machine, port=port, at=f"{start + timedelta(hours=hours):%Y-%m-%dT%H:%M}").text
        assert words in text.replace("Denied : ", "Denied: ")
        assert "What an accept would need" not in text


BEFORE: list[tuple[str, str | int, str, str, int | None, str]] = [
    ("in", "non-ip", "", "", None, "vlan arp"),
    ("out", "non-ip", "", "", None, "vlan arp"),
    ("in", 58, "2001:db8::1", "2001:db8::2", None, "nd"),
    ("out", 58, "fe80::1", "ff02::2", None, "nd mld"),
    ("in", 58, "fe80::1", "ff02::1", None, "nd mld"),
    ("in", 17, "10.0.0.1", "10.0.0.2", 68, "dhcp4"),
    ("out", 17, "0.0.0.0", "255.255.255.255", 67, "dhcp4"),
    ("in", 17, "fe80::1", "fe80::2", 546, "dhcp6"),
    ("out", 17, "fe80::1", "ff02::1:2", 547, "dhcp6"),
    ("out", 17, "10.0.0.1", "10.0.0.2", 67, ""),
    ("out", 17, "10.0.0.1", "255.255.255.255", 68, ""),
    ("in", 17, "10.0.0.1", "10.0.0.2", 67, ""),
    ("in", 6, "10.0.0.1", "10.0.0.2", 68, ""),
    ("in", 17, "2001:db8::1", "fe80::2", 546, ""),
    ("out", 17, "fe80::1", "fe80::2", 547, ""),
    ("in", 58, "10.0.0.1", "10.0.0.2", None, ""),
    ("in", 1, "10.0.0.1", "10.0.0.2", None, ""),
]


def test_the_platform_s_lines_that_may_decide_a_packet_first_are_known() -> None:
    met = set()
    for way, protocol, source, destination, port, names in BEFORE:
        ends = [parse_address(end) if end else None for end in (source, destination)]
        packet = make_packet(Direction(way), protocol, ends[0], ends[1], port)
        found = [line for _, line in platform_before(packet)]
        assert [line.what for line in found] == names.split(), (way, protocol, source, destination, port)
        met |= {(line.direction, line.what) for line in found}
    judged = {(one.direction, one.what) for one in platform_lines(Target.BRIDGE) if not one.asked.state}
    assert met == judged, "every line that asks for no connection is told"


def test_what_no_host_judges_is_denied_whatever_the_rules_say(
    as_bob: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    packet = {"direction": "out", "protocol": "number", "number": "59"}
    text = ask(as_bob, machine, **packet, source="2001:db8:10:1::11", destination="2001:db8::9", port="").text
    assert "Denied by the platform, before any rule" in text
    assert "is dropped before any rule is asked. 59 says that nothing follows the IPv6 header" in text
    assert "What the rules would say" in text
    assert "decide before any rule.</strong>" not in text


def test_on_a_vm_it_is_told_what_the_platform_decides_before_any_rule(
    as_bob: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    arp = {"direction": "in", "protocol": "non-ip"}
    text = ask(as_bob, machine, **arp).text
    assert "On a VM the platform's own lines decide before any rule." in text
    assert "Accept if the frame is ARP." in text
    assert "Drop if the frame has a VLAN tag." in text
    text = ask(as_bob, machine, protocol="icmp", source="fe80::1", destination="2001:db8:10:1::11").text
    assert "Accept if it is a router's advertisement" in text
    assert "platform's own lines" not in ask(as_bob, machine).text
    # A group's list is judged by itself.
    assert "platform's own lines" not in Page(as_bob.get(f"{group.get_absolute_url()}test/", PACKET | arp)).text


def test_my_ip_fills_in_without_script_and_tests_nothing_yet(as_bob: Client, machine: VirtualMachine) -> None:
    test = f"{machine.get_absolute_url()}test/"
    for direction, side in (("in", "source"), ("out", "destination")):
        sent = {"direction": direction, "protocol": "tcp", "port": "22", "source": "", "destination": "", "mine": "1"}
        page = Page(as_bob.get(test, sent, REMOTE_ADDR="198.51.100.7"))
        fields = page.form_with("direction").fields
        assert (fields[side], fields["port"]) == (["198.51.100.7"], ["22"])
        assert "Accepted" not in page.text
        assert "Denied" not in page.text


def test_a_line_without_a_protocol_asks_for_it(as_bob: Client, machine: VirtualMachine) -> None:
    line = "IN=eth0 OUT= SRC=203.0.113.9 DST=10.0.1.11 PROTO=WHAT"
    page = Page(as_bob.get(f"{machine.get_absolute_url()}test/", {"line": line, "read": "1"}))
    assert "The line does not say the protocol: choose it above." in page.text


def test_the_kernels_long_ipv6_is_the_vms_own(as_bob: Client, project: Project) -> None:
    vm = make_machine(project, "six", ipv6="2001:db8:10:1::11")
    line = (
        "OUT=eth0 SRC=2001:0db8:0010:0001:0000:0000:0000:0011 DST=2001:0db8:0000:0000:0000:0000:0000:0009 "
        "PROTO=TCP SPT=1 DPT=22"
    )
    fields = (
        Page(as_bob.get(f"{vm.get_absolute_url()}test/", {"line": line, "read": "1"})).form_with("direction").fields
    )
    assert fields["direction"] == ["out"]


FOREIGN = {"direction": "out", "protocol": "tcp", "source": "203.0.113.7", "destination": "198.51.100.1", "port": "443"}


def test_a_held_vm_s_packet_in_another_s_name_is_denied_whatever_the_rules_say(
    as_bob: Client, project: Project
) -> None:
    vm = make_machine(project, "open", [make_group(project, "all", [rule("accept out all")])], ipv4="10.0.7.8")
    assert "Accepted by rule 1" in ask(as_bob, vm, **FOREIGN).text, "on no host, it is held to nothing"
    placement = place(vm, make_host())
    text = ask(as_bob, vm, **FOREIGN).text
    assert "Denied by the platform, before any rule" in text
    assert (
        "is dropped before any rule is asked. The VM sends it from an address that is none of its own: over IPv4 it may "
        f"send only from 10.0.7.8. {LET_A_ROUTER}"
    ) in text
    assert LET_A_ROUTER in REASONS["spoofed"][1], "as the Dropped packets page says it"
    assert "is not an address of open" not in text, "that is said already"
    assert "What the rules would say" in text
    assert "this rule would decide, if it were asked" in text
    assert "this rule decides" not in text
    six = ask(as_bob, vm, **FOREIGN | {"source": "2001:db8::1", "destination": "2001:db8::2"}).text
    assert "over IPv6 it may send only from fe80::/10" in six
    assert "Accepted by rule 1" in ask(as_bob, vm, **FOREIGN | {"source": "10.0.7.8"}).text
    before = ask(as_bob, vm, **FOREIGN | {"at": "2020-01-01T00:00Z"}).text
    assert "Denied by the platform" not in before
    assert "is not an address of open" in before
    place(vm, placement.host, "tap0", addresses=("203.0.113.7",))
    text = ask(as_bob, vm, **FOREIGN).text
    assert "Accepted by rule 1" in text
    assert "is not an address of open" not in text, "operators have said that it is"
    assert "may send only from 203.0.113.7" in ask(as_bob, vm, **FOREIGN | {"source": "10.0.7.8"}).text
    place(vm, placement.host, "tap0", held=False)
    assert "Accepted by rule 1" in ask(as_bob, vm, **FOREIGN).text


def test_between_two_vms_a_sender_in_another_s_name_gets_nothing_through(as_bob: Client, project: Project) -> None:
    all_open = make_group(project, "all", [rule("accept out all"), rule("accept in all")])
    sender, _ = (
        make_machine(project, name, [all_open], ipv4=end) for name, end in (("a", "10.0.7.8"), ("b", "10.0.7.9"))
    )
    packet = FOREIGN | {"source": "10.0.7.8", "destination": "10.0.7.9"}
    place(sender, make_host(), addresses=("10.0.7.10",))
    text = ask(as_bob, sender, **packet).text
    assert "Between the two VMs: denied" in text
    assert (
        "The platform drops it before any rule is asked. The VM sends it from an address that is none of its own"
        in text
    )
    assert "Denied by the platform, before any rule" in text
