"""Pasted lines on the pages: one table of readers for the packet tests, for Find and for the desk, and the line's direction."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from securitygroups.models import Project, SecurityGroup, VirtualMachine
from tests.factories import make_machine
from tests.web.pages import Page

PROJECT = "/p/shop/test/"
THEM, US, OTHER = "203.0.113.9", "10.0.1.11", "10.9.9.9"
PF = "rule 4/0(match): {} {} on em0: {}.40000 > {}.22: Flags [S], seq 1, win 64240, length 0"
KERNEL = "kernel: [1.0] IN={} OUT={} SRC={} DST={} LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=TCP SPT=4 DPT=22 RES=0x00 SYN URGP=0"
CONNTRACK = "tcp 6 431999 ESTABLISHED src={} dst={} sport=40000 dport=443 src=1.1.1.1 dst=2.2.2.2 sport=443 dport=40000 [ASSURED]"
TCPDUMP = "12:00:00.000000 eth0  {} IP {}.40000 > {}.22: Flags [S], seq 1, win 64240, length 0"
NAMES = "12:00:00.0 IP web.example.com.51515 > db.example.com.postgresql: Flags [S], seq 1, win 1, length 0"
ARP = "12:00:00.000000 ARP, Request who-has 10.0.1.1 tell 10.0.1.11, length 28"


def direction_of(client: Client, url: str, line: str, chosen: str = "in") -> str:
    """What the form has after “Fill in”."""
    response = client.get(url, {"line": line, "read": "1", "direction": chosen})
    assert response.status_code == 200
    (direction,) = Page(response).form_with("destination").fields["direction"]
    return direction


@pytest.mark.parametrize("chosen", ["in", "out"])
@pytest.mark.parametrize(
    ("line", "direction"),
    [
        (KERNEL.format("", "eth0", OTHER, THEM), "out"),
        (KERNEL.format("eth0", "", THEM, OTHER), "in"),
        (PF.format("block", "out", OTHER, THEM), "out"),
        (PF.format("pass", "in", THEM, OTHER), "in"),
        (TCPDUMP.format("Out", OTHER, THEM), "out"),
        (TCPDUMP.format("In ", THEM, OTHER), "in"),
        # Of what says none, the VM of the project at one end tells it; a forwarded packet has two interfaces.
        (CONNTRACK.format(US, THEM), "out"),
        (CONNTRACK.format(THEM, US), "in"),
        (KERNEL.format("eth0", "eth1", US, THEM), "out"),
        (f"tcp {THEM} > {US}:22", "in"),
    ],
)
def test_on_a_groups_page_the_line_says_the_direction_or_the_projects_vm(
    line: str, direction: str, chosen: str, as_bob: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    assert direction_of(as_bob, f"{group.get_absolute_url()}test/", line, chosen) == direction


@pytest.mark.parametrize("chosen", ["in", "out"])
def test_where_nobody_says_it_what_is_chosen_holds(
    chosen: str, as_bob: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    assert direction_of(as_bob, f"{group.get_absolute_url()}test/", CONNTRACK.format(THEM, OTHER), chosen) == chosen


@pytest.mark.parametrize("page", ["machine", "project"])
def test_on_a_vms_page_its_address_says_it_and_the_line_where_the_address_does_not(
    page: str, as_bob: Client, machine: VirtualMachine
) -> None:
    url = PROJECT if page == "project" else f"{machine.get_absolute_url()}test/"
    for line, direction in (
        (KERNEL.format("", "eth0", US, THEM), "out"),
        (KERNEL.format("eth0", "", THEM, US), "in"),
        (PF.format("block", "out", OTHER, THEM), "out"),
        (TCPDUMP.format("In ", THEM, OTHER), "in"),
        (CONNTRACK.format(US, THEM), "out"),
    ):
        assert direction_of(as_bob, url, line) == direction, line

    # The host of the VMs sees it leave towards the VM.
    shown = as_bob.get(url, {"line": TCPDUMP.format("Out", THEM, US), "read": "1"})
    assert Page(shown).form_with("destination").fields["direction"] == ["in"]
    assert "The line says Out, as the machine that logged it sees it." in Page(shown).text
    assert "The line says" not in Page(as_bob.get(url, {"line": TCPDUMP.format("In ", THEM, US), "read": "1"})).text


def test_the_page_says_what_was_read_and_what_the_line_says_of_the_packet(as_bob: Client, group: SecurityGroup) -> None:
    url = f"{group.get_absolute_url()}test/"
    said = {
        PF.format("block", "in", THEM, US): "Read as: pflog. It says that the packet was dropped.",
        PF.format("pass", "in", THEM, US): "Read as: pflog. It says that the packet was accepted.",
        TCPDUMP.format("In ", THEM, US): "Read as: tcpdump.",
    }
    for line, words in said.items():
        text = Page(as_bob.get(url, {"line": line, "read": "1"})).text
        assert words in text
        assert ("It says that" in text) == ("It says that" in words)


def test_a_line_that_is_known_but_has_no_packet_is_named_everywhere(
    as_bob: Client, as_staff: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    for url in (PROJECT, f"{machine.get_absolute_url()}test/", f"{group.get_absolute_url()}test/"):
        text = Page(as_bob.get(url, {"line": NAMES, "read": "1"})).text
        assert "The line has names instead of numbers: have it printed with numbers (tcpdump -n" in text
        assert "No packet was found" not in text
    (section,) = as_bob.get("/p/shop/find/", {"q": NAMES}).context["sections"]
    assert "names instead of numbers" in section.links[0].note
    assert "names instead of numbers" in Page(as_bob.get(section.links[0].url)).text
    assert "names instead of numbers" in Page(as_staff.get("/support/", {"q": NAMES})).text


def test_a_frame_that_is_not_ip_is_tested_as_one(
    as_bob: Client, as_staff: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    for url in (f"{machine.get_absolute_url()}test/", f"{group.get_absolute_url()}test/"):
        form = Page(as_bob.get(url, {"line": ARP, "read": "1"})).form_with("line")
        assert form.fields["protocol"] == ["non-ip"]
    (section,) = as_bob.get("/p/shop/find/", {"q": ARP}).context["sections"]
    assert section.links[0].label == "Test this packet: not IP"
    assert as_bob.get(section.links[0].url).status_code == 200
    assert "has no address that tells its VM" in Page(as_staff.get("/support/", {"q": ARP})).text


def test_from_find_the_line_and_the_vms_tell_the_direction(as_bob: Client, machine: VirtualMachine) -> None:
    for line, words in (
        (PF.format("block", "out", US, THEM), "outbound"),
        (TCPDUMP.format("Out", THEM, US), "inbound"),
    ):
        (section, *_) = as_bob.get("/p/shop/find/", {"q": line}).context["sections"]
        text = Page(as_bob.get(section.links[0].url)).text.lower()
        assert f"{words} tcp packet" in text


@pytest.mark.parametrize(
    "line",
    [
        "filterlog[1]: 82,,,1,igb0,match,block,out,4,0x0,,64,1,0,none,6,tcp,60,10.0.1.11,203.0.113.9,22,51515,0,SA,1,2,64240,,mss",
        "2026-08-13 07:26:52 DROP TCP 10.0.1.11 203.0.113.9 22 51515 52 SA 1 2 8192 - - - SEND",
        "%ASA-6-106015: Deny TCP (no connection) from 10.0.1.11/22 to 203.0.113.9/51515 flags SYN ACK  on interface inside",
        KERNEL.format("", "eth0", US, THEM).replace("SPT=4 DPT=22", "SPT=22 DPT=51515").replace("SYN", "ACK SYN"),
        "Jun 10 12:50:15.556: 203.0.113.9:51515 (world) <- 10.0.1.11:22 (ID:7) to-stack FORWARDED (TCP Flags: SYN, ACK)",
        "3.123456 lan in 10.0.1.11.22 -> 203.0.113.9.51515: syn 1234 ack 1235",
        '{"ip_src":"10.0.1.11","ip_dst":"203.0.113.9","tcp_srcport":"22","tcp_dstport":"51515","tcp_flags":"0x0012"}',
        'action="drop" srcip="10.0.1.11" dstip="203.0.113.9" proto="6" srcport="22" dstport="51515" tcpflags="ACK SYN"',
    ],
)
def test_a_reply_of_any_log_says_so_on_every_page_and_leads_to_its_opener(
    line: str, as_bob: Client, as_staff: Client, machine: VirtualMachine, group: SecurityGroup, project: Project
) -> None:
    make_machine(project, "other", ipv4="10.0.1.77")
    for url in (PROJECT, f"{machine.get_absolute_url()}test/", f"{group.get_absolute_url()}test/"):
        shown = as_bob.get(url, {"line": line, "read": "1"})
        assert "This opens no connection: it is a SYN-ACK" in Page(shown).text
        opener = {name: values[0] for name, values in parse_qs(shown.context["opener"]).items()}
        assert (opener["source"], opener["destination"], opener["port"]) == (THEM, US, "22")
        assert opener.get("direction", "in") == "in"
        judged = Page(as_bob.get(f"{url}?{shown.context['opener']}")).text
        assert "inbound TCP packet" in judged
    content = as_staff.get("/support/", {"q": line}).content.decode()
    # On the desk nothing is asked of a reply: its page says what it is.
    (link,) = [word for word in content.replace("&amp;", "&").split('"') if "/test/?" in word]
    query = parse_qs(urlsplit(link).query)
    assert query["line"] == [" ".join(line.split())]
    assert "test" not in query
