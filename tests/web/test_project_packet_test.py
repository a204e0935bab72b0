"""Test a packet without saying where: the VM is found by the packet's addresses. And the VM's address keeps to its end."""

from urllib.parse import parse_qs

import pytest
from django.test import Client

from securitygroups import operations
from securitygroups.models import Project, SecurityGroup, VirtualMachine
from securitygroups.operations import By
from tests.factories import make_group, make_machine
from tests.web.pages import HTMX, Page

URL = "/p/shop/test/"
TCP = {"test": "1", "direction": "in", "protocol": "tcp", "port": "22"}
IN = TCP | {"source": "203.0.113.9", "destination": "10.0.1.11"}
SYN_ACK = "IP 10.0.1.11.22 > 203.0.113.9.51000: Flags [S.], seq 1, ack 2, length 0"


def test_the_menu_leads_to_it(as_bob: Client, project: Project) -> None:
    page = as_bob.get(URL)
    assert 'href="/p/shop/test/" aria-current="page"' in " ".join(page.content.decode().split())
    assert Page(page).form_with("destination").fields["direction"] == ["in"]


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        ({}, "Accepted by rule 3 (web, rule 3)"),
        ({"source": "10.0.1.11", "destination": "192.0.2.1", "direction": "out", "protocol": "udp", "port": "53"}, "(web, rule 5)"),
        ({"source": "2001:db8::9", "destination": "2001:db8:10:1:0:0:0:11", "port": "443"}, "An inbound TCP packet from 2001:db8::9"),
    ],
)  # fmt: skip
def test_the_vm_is_found_by_its_address(
    packet: dict[str, str], words: str, as_bob: Client, machine: VirtualMachine
) -> None:
    for headers in ({}, HTMX):
        text = Page(as_bob.get(URL, IN | packet, headers=headers)).text
        assert words in text
        assert "Tested on web-1" in text


def test_between_two_vms_both_lists_are_asked(as_bob: Client, project: Project) -> None:
    make_machine(project, "app-1", [make_group(project, "app", ["accept out tcp"])], ipv4="10.0.1.11")
    make_machine(project, "db-1", [make_group(project, "db", ["accept in tcp 22"])], ipv4="10.0.1.12")
    for direction in ("in", "out"):
        text = Page(
            as_bob.get(URL, IN | {"source": "10.0.1.11", "destination": "10.0.1.12", "direction": direction})
        ).text
        assert "Between the two VMs: accepted" in text


def test_an_address_of_nobody_says_so_and_a_vm_can_be_named(as_bob: Client, machine: VirtualMachine) -> None:
    strange = IN | {"destination": "198.51.100.1"}
    response = as_bob.get(URL, strange)
    assert response.status_code == 200
    assert "No VM of Shop has the address 198.51.100.1." in Page(response).text
    assert "The packet's way" not in Page(response).text

    for name in ("web-1", machine.public_id, "10.0.1.11"):
        named = Page(as_bob.get(URL, strange | {"vm": name})).text
        assert "198.51.100.1 is not an address of web-1." in named
        assert "by rule 3" in named
    refused = as_bob.get(URL, strange | {"vm": "nobody"})
    assert (refused.status_code, "vm" in Page(refused).errors) == (422, True)


def test_the_wrong_direction_is_turned_with_one_click(as_bob: Client, machine: VirtualMachine) -> None:
    response = as_bob.get(URL, IN | {"direction": "out"})
    assert "web-1 has the other one: seen from it, this packet goes In." in Page(response).text
    turned = as_bob.get(f"{URL}?{response.context['turn']}")
    assert "Accepted by rule 3" in Page(turned).text


def test_a_direction_that_is_not_said_is_found_too(as_bob: Client, machine: VirtualMachine) -> None:
    ends = {"source": "10.0.1.11", "destination": "192.0.2.1"}
    packet = {name: text for name, text in (IN | ends).items() if name != "direction"}
    assert "An outbound TCP packet" in Page(as_bob.get(URL, packet)).text
    form = Page(as_bob.get(URL, {"line": "tcp 10.0.1.11 > 192.0.2.1:25"})).form_with("destination")
    assert (form.fields["direction"], form.fields["port"]) == (["out"], ["25"])


def test_a_frame_without_addresses_needs_the_vm_s_name(as_bob: Client, machine: VirtualMachine) -> None:
    frame = {"test": "1", "direction": "out", "protocol": "non-ip"}
    assert "vm" in Page(as_bob.get(URL, frame)).errors
    assert "Accepted by rule 5" in Page(as_bob.get(URL, frame | {"vm": "web-1"})).text


def test_nothing_is_told_of_other_projects_and_of_deleted_vms(
    as_bob: Client, project: Project, bakery: Project
) -> None:
    make_machine(bakery, "oven", ipv4="10.0.1.11")
    gone = make_machine(project, "gone", ipv4="10.0.1.12")
    operations.delete_machine(machine=gone, by=By())
    for address in ("10.0.1.11", "10.0.1.12"):
        text = Page(as_bob.get(URL, IN | {"destination": address})).text
        assert "No VM of Shop has the address" in text
        assert "oven" not in text
    assert "vm" in Page(as_bob.get(URL, IN | {"vm": "oven"})).errors


@pytest.mark.parametrize(
    "sent", [{"source": "x"}, {"destination": ""}, {"port": "9" * 5000}, {"vm": "\x01"}, {"vm": "x" * 500}]
)
def test_what_is_no_packet_is_told_at_its_field(sent: dict[str, str], as_bob: Client, project: Project) -> None:
    response = as_bob.get(URL, IN | sent)
    assert (response.status_code, set(Page(response).errors)) == (422, set(sent))


# ── The VM's end ──────────────────────────────────────────────────────────────


def form_of(client: Client, machine: VirtualMachine, data: dict[str, str]) -> dict[str, list[str]]:
    return Page(client.get(f"{machine.get_absolute_url()}test/", data)).form_with("destination").fields


def test_the_vm_s_address_goes_to_the_other_end_with_the_direction(as_bob: Client, machine: VirtualMachine) -> None:
    first = form_of(as_bob, machine, {})
    assert (first["destination"], first["filled"]) == (["10.0.1.11"], ["destination=10.0.1.11"])

    # As script asks when the direction has changed, with what stood in the form.
    typed = {name: values[0] for name, values in first.items()} | {"source": "203.0.113.9", "port": "25"}
    out = form_of(as_bob, machine, typed | {"direction": "out"})
    assert (out["source"], out["destination"], out["port"]) == (["10.0.1.11"], ["203.0.113.9"], ["25"])
    back = form_of(as_bob, machine, {name: values[0] for name, values in out.items()} | {"direction": "in"})
    assert (back["source"], back["destination"]) == (["203.0.113.9"], ["10.0.1.11"])


def test_without_script_it_does_when_it_is_sent(as_bob: Client, machine: VirtualMachine) -> None:
    sent = TCP | {
        "direction": "out",
        "filled": "destination=10.0.1.11",
        "source": "192.0.2.1",
        "destination": "10.0.1.11",
    }
    text = Page(as_bob.get(f"{machine.get_absolute_url()}test/", sent)).text
    assert "An outbound TCP packet from 10.0.1.11 to 192.0.2.1, port 22" in text
    empty = as_bob.get(f"{machine.get_absolute_url()}test/", sent | {"source": ""})
    assert set(Page(empty).errors) == {"destination"}


@pytest.mark.parametrize(
    ("filled", "source", "destination"),
    [
        ("destination=10.0.1.11", "192.0.2.1", "198.51.100.7"),
        ("", "192.0.2.1", "10.0.1.11"),
        ("source=192.0.2.1", "192.0.2.1", "10.0.1.11"),
        ("nonsense", "192.0.2.1", "10.0.1.11"),
        ("port=22", "192.0.2.1", "10.0.1.11"),
    ],
)
def test_what_somebody_typed_stays_where_it_is(
    filled: str, source: str, destination: str, as_bob: Client, machine: VirtualMachine
) -> None:
    typed = {"direction": "out", "filled": filled, "source": source, "destination": destination}
    fields = form_of(as_bob, machine, typed)
    assert (fields["source"], fields["destination"]) == ([source], [destination])


def test_a_pasted_line_is_read_when_that_is_asked_for_and_not_again(as_bob: Client, machine: VirtualMachine) -> None:
    line = {"line": "tcp 203.0.113.9 > 10.0.1.11:22"}
    assert form_of(as_bob, machine, line | {"read": "1", "port": "80"})["port"] == ["22"]
    # The protocol was changed afterwards, which draws the form again.
    assert form_of(as_bob, machine, line | {"protocol": "tcp", "port": "80"})["port"] == ["80"]


# ── Packets that open nothing ─────────────────────────────────────────────────


def test_a_reply_says_so_and_leads_to_the_packet_before_it(
    as_bob: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    for url in (URL, f"{machine.get_absolute_url()}test/", f"{group.get_absolute_url()}test/"):
        shown = as_bob.get(url, {"line": SYN_ACK, "read": "1"})
        assert "This opens no connection: it is a SYN-ACK" in Page(shown).text
        opener = parse_qs(shown.context["opener"])
        assert (opener["source"], opener["destination"], opener["port"]) == (["203.0.113.9"], ["10.0.1.11"], ["22"])
        if url != URL:
            assert opener["direction"] == ["in"]
        asked = Page(as_bob.get(f"{url}?{shown.context['opener']}")).text
        assert "The packet's way down the list" in asked
        assert "This opens no connection" not in asked

        sent = {name: values[0] for name, values in Page(shown).form_with("destination").fields.items()}
        judged = Page(
            as_bob.get(url, {name: text for name, text in sent.items() if name != "read"} | {"test": "1"})
        ).text
        assert "This opens no connection: it is a SYN-ACK" in judged
        other = Page(as_bob.get(url, sent | {"test": "1", "port": "99", "source": "203.0.113.9"})).text
        assert "This opens no connection" not in other


def test_an_icmp_error_without_the_packet_it_is_about_offers_no_test(as_bob: Client, machine: VirtualMachine) -> None:
    line = "IP 192.0.2.1 > 10.0.1.11: ICMP time exceeded in-transit, length 36"
    response = as_bob.get(URL, {"line": line})
    assert "it is an ICMP error, which is about another packet" in Page(response).text
    assert response.context["opener"] == ""
