"""Where a webhook may go, however it is spelled."""

import socket
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from securitygroups.apps import check_webhooks
from securitygroups.webhooks.addresses import NotAllowed, Reach, addresses_of, is_public, reach, read_target
from securitygroups.webhooks.post import post

TO = Reach(frozenset({443, 8443}), hosts=frozenset({"panel.example"}))
PUBLIC = ["9.9.9.9", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "223.255.255.254",
          "2606:4700::1111", "2a00:1450:4001::200e", "2400:cb00::1", "64:ff9b::909:909"]  # fmt: skip
NOT_PUBLIC = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.1"),
    *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1"),
    *("192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.9", "203.0.113.9", "224.0.0.1", "239.255.255.255"),
    *("240.0.0.1", "255.255.255.255"),
    # IPv6 of this machine, this link, this site, groups, examples, and what was never given out.
    *("::", "::1", "fe80::1", "fe80::1%lo", "fec0::1", "fc00::1", "fd12:3456::1", "ff02::1", "ff0e::1", "100::1"),
    *("2001:db8::1", "3fff::1", "2001::1", "2001:10::1", "2001:20::1", "5f00::1", "4000::1"),
    # IPv4 in other clothes: mapped, compatible, translated, NAT64 well known and local, 6to4, Teredo.
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:9.9.9.9", "::127.0.0.1", "::ffff:0:127.0.0.1"),
    *("64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::"),
    *("2002:a00:1::1", "2002:909:909::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
]


@pytest.mark.parametrize("text", PUBLIC)
def test_what_everybody_reaches_is_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_what_only_some_reach_is_not(text: str) -> None:
    assert not is_public(ip_address(text))


def test_nothing_that_the_standard_library_calls_private_is_public() -> None:
    """An independent list, at the edges of every network that either of us knows."""
    edges = {
        address
        for network in ("0.0.0.0/0", "::/0", *NOT_PUBLIC, *PUBLIC)
        for width in (8, 10, 12, 15, 16, 24)
        for address in _edges(network, width)
    }

    assert len(edges) > 300
    assert not [ip for ip in edges if is_public(ip) and not ip.is_global and ip not in ip_network("64:ff9b::/96")]


def _edges(text: str, width: int) -> list[Any]:
    ip = ip_address(text.split("/")[0].split("%")[0])
    network = ip_network((ip, width), strict=False)
    around = (int(network[0]) - 1, int(network[0]), int(network[-1]), int(network[-1]) + 1)
    most = 2**network.max_prefixlen
    return [type(ip)(number) for number in around if 0 <= number < most]


# As the C library, a browser or a careless parser would read them: all of them this machine, or a neighbour.
SPELLINGS = [
    "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://017700000001/", "https://127.1/",
    "https://127.0.1/", "https://0x7f.0.0.1/", "https://0x7f.1/", "https://127.0.0.1./", "https://127.0.0.01/",
    "https://000127.0.0.1/", "https://127.0.0.0x1/", "https://0/", "https://0.0.0.0/", "https://1.2.3.4.5/",
    "https://[::1]/", "https://[::]/", "https://[0:0:0:0:0:0:0:1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/",
    "https://[fe80::1%25lo]/", "https://[fe80::1%lo]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/",
    "https://[::127.0.0.1]/", "https://[fd00:ec2::254]/", "https://169.254.169.254/latest/meta-data/",
    "https://①②⑦.⓪.⓪.①/", "https://127。0。0。1/", "https://127%2e0%2e0%2e1/", "https://%31%32%37.0.0.1/",
    "https://localhost/", "https://LOCALHOST/", "https://a.localhost/", "https://localhost./", "https://panel.example/",
    "https://PANEL.example/", "https://9.9.9.9@127.0.0.1/", "https://127.0.0.1#@9.9.9.9/", "https://9.9.9.9\\@127.0.0.1/",
    "https://user:word@hooks.example/", "https://hooks.example/#part", "http://hooks.example/", "//hooks.example/",
    "ftp://hooks.example/", "file:///etc/passwd", "gopher://hooks.example/", "https:///", "https://", "", "hooks.example",
    "https://hooks.example:22/", "https://hooks.example:0/", "https://hooks.example:65536/", "https://hooks.example:-1/",
    "https://hooks.example:4 43/", "https://hooks.example/a b", "https://hooks.example/\r\nHost: x", "https://hooks\t.example/",
    "https://hooks..example/", "https://.example/", "https://-a.example/", "https://a-.example/", f"https://{'a' * 64}.example/",
    "https://hööks.example/", "https://hooks.example/ö", "https://[::1/", "https://::1/", "https://hooks.example/" + "a" * 500,
    "https://ho*ks.example/", "https://hooks,example/", "https://0xhooks.0x1/",
]  # fmt: skip


@pytest.mark.parametrize("url", SPELLINGS)
def test_an_address_of_another_kind_is_refused_however_it_is_spelled(url: str) -> None:
    with pytest.raises(NotAllowed) as refusal:
        addresses_of(read_target(url, TO), TO, lambda *_: pytest.fail("nothing is looked up"))

    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://hooks.example", "hooks.example", 443, "/"),
        ("HTTPS://Hooks.Example/Path?a=1&b", "hooks.example", 443, "/Path?a=1&b"),
        ("https://hooks.example:8443/a", "hooks.example", 8443, "/a"),
        ("https://xn--hks-snaa.example/", "xn--hks-snaa.example", 443, "/"),
        ("https://a_b.hooks.example/", "a_b.hooks.example", 443, "/"),
        ("https://9.9.9.9/", "9.9.9.9", 443, "/"),
        ("https://[2606:4700:0::1111]:8443/", "2606:4700::1111", 8443, "/"),
        ("https://0x7f.example/", "0x7f.example", 443, "/"),
    ],
)
def test_an_address_that_may_be_sent_to_is_taken_apart(url: str, host: str, port: int, path: str) -> None:
    target = read_target(url, TO)

    assert (target.host, target.port, target.path) == (host, port, path)


@pytest.mark.parametrize("text", [text for text in NOT_PUBLIC if "%" not in text])
def test_a_name_that_stands_for_what_is_not_public_is_sent_nothing(text: str) -> None:
    target = read_target("https://hooks.example/", TO)

    for answers in ([text], ["9.9.9.9", text], [text, "9.9.9.9"]):
        with pytest.raises(NotAllowed, match=r"hooks\.example stands for no public address"):
            addresses_of(target, TO, lambda *_, found=answers: found)


def test_a_name_that_is_not_there_is_told_in_the_same_words_as_one_that_is_private() -> None:
    """Or anybody could find out which names the panel's own network has."""

    def nowhere(host: str, port: int) -> list[str]:
        raise socket.gaierror("not known")

    target, said = read_target("https://hooks.example/", TO), set()
    for resolver in (nowhere, lambda *_: [], lambda *_: ["10.0.0.1"], lambda *_: ["nonsense"]):
        with pytest.raises(NotAllowed) as refusal:
            addresses_of(target, TO, resolver)
        said.add(str(refusal.value))

    assert said == {"hooks.example stands for no public address."}


def test_a_name_is_looked_up_once_and_what_was_looked_at_is_connected_to() -> None:
    """What the name stands for a moment later is asked of nobody."""
    asked = []

    def changes(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["9.9.9.9"] if len(asked) == 1 else ["127.0.0.1"]

    assert addresses_of(read_target("https://hooks.example/", TO), TO, changes) == ["9.9.9.9"]
    assert asked == ["hooks.example"]


def test_a_second_answer_of_the_resolver_never_reaches_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    went: list[Any] = []

    def connect(address: Any, timeout: float) -> socket.socket:
        went.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("securitygroups.webhooks.post.create_connection", connect)
    answers = iter([["9.9.9.9", "2606:4700::1111"], ["127.0.0.1"]])

    answer = post("https://hooks.example/", {}, b"", TO, lambda *_: next(answers))

    assert went == [("9.9.9.9", 443), ("2606:4700::1111", 443)]
    assert answer.error == "It refuses connections at this port."


def test_the_panels_own_addresses_are_sent_nothing(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["panel.example", ".cloud.example", "*"]
    to = reach(lambda host, port: {"panel.example": ["9.9.9.9"], "cloud.example": ["9.9.9.10"]}[host])

    for own in ("9.9.9.9", "9.9.9.10"):
        with pytest.raises(NotAllowed):
            addresses_of(read_target("https://hooks.example/", to), to, lambda *_, at=own: [at])
    assert addresses_of(read_target("https://hooks.example/", to), to, lambda *_: ["9.9.9.11"]) == ["9.9.9.11"]
    for name in ("panel.example", "cloud.example"):
        with pytest.raises(NotAllowed, match="the panel itself"):
            read_target(f"https://{name}/", to)


def test_an_address_of_this_machine_is_its_own_even_where_it_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("securitygroups.webhooks.addresses.is_public", lambda ip: True)

    assert not TO.may_meet(ip_address("127.0.0.1"))
    assert TO.may_meet(ip_address("9.9.9.9"))


def test_an_installation_says_which_networks_of_its_own_may_be_sent_to(settings: Any) -> None:
    settings.WEBHOOK_NETWORKS_ALLOWED, settings.WEBHOOK_PORTS = ["10.20.0.0/16", "fd00:20::/32"], [443, 9443]
    to = reach(look_up=False)

    assert addresses_of(read_target("https://10.20.1.2:9443/", to), to) == ["10.20.1.2"]
    for inside in ("10.20.255.255", "fd00:20::1"):
        assert addresses_of(read_target("https://intranet/", to), to, lambda *_, at=inside: [at]) == [inside]
    for outside in ("10.21.0.1", "fd00:21::1", "::ffff:10.20.0.1", "127.0.0.1"):
        with pytest.raises(NotAllowed):
            addresses_of(read_target("https://intranet/", to), to, lambda *_, at=outside: [at])


def test_networks_and_ports_that_there_are_not_are_told_before_anything_starts(settings: Any) -> None:
    assert check_webhooks(None) == []
    settings.WEBHOOK_NETWORKS_ALLOWED, settings.WEBHOOK_PORTS = ["10.20.0.0/16", "10.20.0.1/16", "intranet"], [443, 0]

    assert [problem.id for problem in check_webhooks(None)] == ["karenpanel.E004", "karenpanel.E004", "karenpanel.E005"]
