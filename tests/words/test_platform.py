"""The platform's own lines in words."""

from securitygroups.firewall.guests import Guest, Own
from securitygroups.firewall.platform import Target, platform_lines
from securitygroups.firewall.protocols import Direction
from securitygroups.words.platform import platform_condition


def test_every_line_that_a_packet_may_meet_is_said() -> None:
    said = {
        (line.direction, line.what): platform_condition(line)
        for target in Target
        for line in platform_lines(target, Guest(own=Own("52:54:00:12:34:56"), held=True))
        if not line.asked.state
    }

    assert said[Direction.IN, "arp"] == said[Direction.OUT, "arp"] == "the frame is ARP"
    assert said[Direction.IN, "dhcp4"] == "it comes from port 67"
    assert said[Direction.OUT, "dhcp4"] == "it comes from port 68"
    assert len(said) == 14
    assert not [text for text in said.values() if text[0].isupper() or text.endswith(".")]
