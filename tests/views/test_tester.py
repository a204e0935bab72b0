"""Test a packet: the verdict and the trace in words, the address as a permalink, bad packets, earlier times."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from securitygroups.models import Project, SecurityGroup, VirtualMachine
from tests.factories import make_group, make_machine, ports
from tests.views.pages import HTMX, Page, part_and_page

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
    for nonsense in ("nonsense", "x" * 10_000, "<script>alert(1)</script>", "tcp > > >", "SRC=DST= PROTO=", "{" * 1000):
        response = as_bob.get(f"{machine.get_absolute_url()}test/", {"read": "1", "line": nonsense})
        assert "No packet was found in this line" in Page(response).text
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
            assert (line.group, line.place) == (f"g{(step.place - 1) // 1000 * 1000 + 1}", (step.place - 1) % 1000 + 1)
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
