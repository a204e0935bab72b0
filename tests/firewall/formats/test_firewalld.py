"""Zones of firewalld: what their elements become."""

import pytest

from securitygroups.firewall.formats.reading import Taken
from securitygroups.firewall.formats.systems import read_file
from securitygroups.firewall.notation import rule
from tests.firewall.formats.test_hosts import bare

BECAME = {
    '<service name="samba"/>': ["accept in tcp 139", "accept in tcp 445", "accept in udp 137", "accept in udp 138"],
    '<service name="kube-worker"/>': ["accept in tcp 10250", "accept in tcp 30000-32767"],
    '<protocol value="icmp"/>': ["accept in icmp from 0.0.0.0/0"],
    '<protocol value="ipv6-icmp"/>': ["accept in icmp from ::/0"],
    '<rule family="ipv6"><protocol value="ipv6-icmp"/><accept/></rule>': ["accept in icmp from ::/0"],
    # Its definition is not the same in all versions.
    '<service name="radius"/>': [],
}


@pytest.mark.parametrize("element", BECAME)
def test_an_element_of_a_zone_becomes(element: str) -> None:
    (group,) = read_file(f'<zone target="DROP">{element}</zone>'.encode()).groups

    assert bare(group.rules) == [rule(one) for one in BECAME[element]]
    assert {note.taken for note in group.notes} == {Taken.EXACT} or not group.rules


def test_the_ports_of_a_service_that_is_not_known_can_be_asked_for() -> None:
    (group,) = read_file(b'<zone><service name="acme"/></zone>').groups

    assert "firewall-cmd --info-service=acme" in group.notes[0].how
    assert "Add an accept for each port of it." in group.notes[0].how
