"""Long lists of addresses in the files of hosts: read to their end, or refused with the line that has them."""

import json

import pytest

from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.formats.systems import read_file
from securitygroups.firewall.notation import rule
from tests.effort import at_most
from tests.firewall.formats.test_hosts import bare


def address(number: int) -> str:
    """Two of them never are one network."""
    return f"10.{number >> 15}.{number >> 7 & 255}.{number % 128 * 2}"


def zones(many: int) -> str:
    sources = " ".join(address(number) for number in range(many))
    own = f"trusted (active)\n  target: ACCEPT\n  interfaces: \n  sources: {sources}\n  services: \n\n"
    return own + "public (active)\n  target: DROP\n  interfaces: eth0\n  sources: \n  services: ssh\n"


def cluster(many: int) -> str:
    members = "\n".join(address(number) for number in range(many))
    return f"[OPTIONS]\nenable: 1\n\n[IPSET office]\n{members}\n\n[RULES]\nIN SSH(ACCEPT) -source +office\n"


def whitelist(many: int) -> str:
    own = "".join(f"-A own -s {address(number)}/32 -j RETURN\n" for number in range(many))
    return f"*filter\n:INPUT DROP\n:own - [0:0]\n-A INPUT -j own\n{own}-A own -j DROP\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n"


def ruleset(many: int) -> str:
    source = {"payload": {"protocol": "ip", "field": "saddr"}}
    chain = {
        "family": "inet",
        "table": "t",
        "name": "in",
        "type": "filter",
        "hook": "input",
        "prio": 0,
        "policy": "drop",
    }
    banned = {
        "family": "inet",
        "table": "t",
        "name": "office",
        "type": "ipv4_addr",
        "elem": [address(number) for number in range(many)],
    }
    accept = [{"match": {"op": "==", "left": source, "right": "@office"}}, {"accept": None}]
    return json.dumps(
        {
            "nftables": [
                {"chain": chain},
                {"set": banned},
                {"rule": {"family": "inet", "table": "t", "chain": "in", "expr": accept}},
            ]
        }
    )


def test_a_long_line_of_sources_is_read_to_its_end() -> None:
    trusted, public = read_file(zones(900).encode()).groups

    assert len(trusted.rules) == 1_800
    assert bare(public.rules)[899:] == [rule(f"drop in ip from {address(899)}"), rule("accept in tcp 22")]


def test_a_long_set_before_the_rules_is_no_matter() -> None:
    (group,) = read_file(cluster(19_000).encode()).groups

    assert len(group.rules) == 19_001


TOO_LONG = {
    "a zone": (zones(25_000), "trusted"),
    "a line of ports": ("public (active)\n  target: default\n  ports: " + "80/tcp " * 25_000, "ports: 80/tcp"),
    "a set of Proxmox": (cluster(25_000), "IN SSH"),
    "a set of nftables": (ruleset(25_000), "@office"),
    "many lists of one group": ("[RULES]\n" + "GROUP web\n" * 5_000 + "[group web]\n" + "IN SSH(ACCEPT)\n" * 5_000, "GROUP web"),
    "inverted sources": ("<zone>" + '<rule family="ipv6"><source invert="yes" address="2001:db8::1"/><accept/></rule>' * 5_000 + "</zone>", "2001:db8::1"),
}  # fmt: skip


def test_more_lines_than_a_file_may_have_are_refused() -> None:
    with pytest.raises(
        BadDocument, match=r"more than 20,000 lines: .* leave long lists of addresses to the machine's own"
    ):
        read_file(whitelist(25_000).encode())


def test_zones_are_taken_as_long_as_all_of_them_are_no_longer_than_a_file_may_be() -> None:
    zone = "{}z{} (active)\n  target: default\n  interfaces: eth{}\n  sources: {}\n\n"
    sources = [" ".join(address(number) for number in range(at * 300, at * 300 + 300)) for at in range(20)]
    text = "".join(zone.format("", at, at, some) for at, some in enumerate(sources))

    # Each drops what comes to the others by its source: 19 times 300 rules, 20 times.
    with at_most(10), pytest.raises(BadDocument, match="more than 20,000 rules: bring some zones at a time"):
        read_file(text.encode())


@pytest.mark.parametrize("line", ["source-ports: ", "services: "])
def test_lists_of_one_zone_count_together(line: str) -> None:
    text = "z (active)\n  target: default\n  interfaces: eth0\n" + f"  {line}" + "80/tcp ssh " * 5_000 + "\n"

    with pytest.raises(BadDocument, match="Leave such a list to the machine's own firewall"):
        read_file((text + f"  {line}" + "80/tcp ssh " * 6_000 + "\n").encode())


@pytest.mark.parametrize("name", TOO_LONG)
def test_a_list_that_is_too_long_is_named(name: str) -> None:
    text, words = TOO_LONG[name]

    with at_most(10), pytest.raises(BadDocument, match="Leave such a list to the machine's own firewall") as refusal:
        read_file(text.encode())

    assert words in str(refusal.value)
