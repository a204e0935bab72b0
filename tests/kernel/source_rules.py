"""Random rules of other systems' Linux firewalls, with chains, sets, states and returns, dense enough to meet each other."""

from collections.abc import Callable, Sequence
from functools import partial
from random import Random

NETWORKS = {
    4: ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "198.51.100.0/25", "198.51.100.7/32"),
    6: ("2001:db8::/32", "2001:db8:1::/48", "2001:db8:1::5/128", "2001:db8:1::/64"),
}
PORTS = ("22", "80", "443", "1000", "2000")
RANGES = ("20:25", "80:90", "1000:3000", "0:1023")
KINDS = ("LOCAL", "MULTICAST", "BROADCAST")
"""The last one is of IPv4 alone."""


def _maybe(random: Random, chance: float, *words: str) -> list[str]:
    return list(words) if random.random() < chance else []


def _not(random: Random) -> list[str]:
    return _maybe(random, 0.15, "!")


def _transport(random: Random, version: int) -> list[str]:
    """A protocol, and something of it."""
    protocol = random.choice(("tcp", "tcp", "udp", "sctp", "icmp" if version == 4 else "ipv6-icmp", "47"))
    words = ["-p", protocol]
    if protocol not in ("tcp", "udp", "sctp"):
        ask = random.random()
        icmp = ["-m", "icmp", "--icmp-type", "8"] if version == 4 else ["-m", "icmp6", "--icmpv6-type", "128"]
        return words + (icmp if ask < 0.2 and protocol != "47" else []) if ask < 0.8 else ["!", *words]
    choice = random.randrange(6)
    if choice == 0:
        some = ",".join(random.sample(PORTS + RANGES[:2], 2))
        return [
            *words,
            "-m",
            "multiport",
            *_not(random),
            random.choice(("--dports", "--dports", "--sports", "--ports")),
            some,
        ]
    if choice == 1 and protocol == "tcp":
        return [
            *words,
            "-m",
            "tcp",
            *random.choice(
                (["--syn"], ["!", "--syn"], ["--tcp-flags", "ALL", "NONE"], ["--tcp-flags", "SYN,RST", "SYN"])
            ),
        ]
    if choice == 2:
        return words
    return [*words, "-m", protocol, *_not(random), "--dport", random.choice(PORTS + RANGES)]


MODULES = (
    "limit --limit 5/s", "recent --set --name x", "hashlimit --hashlimit-upto 5/s --hashlimit-name y", "connlimit --connlimit-above 3",
    "statistic --mode random --probability 0.5", "string --string a --algo bm", "length --length 40:100", "ttl --ttl-eq 64",
    "pkttype --pkt-type host", "u32 --u32 0=1", "mac --mac-source 02:00:00:00:00:01", "connmark --mark 1", "dscp --dscp 0",
    "iprange --dst-range 10.1.2.1-10.1.2.9", "conntrack --ctorigdstport 22", "conntrack --ctdir ORIGINAL",
    "conntrack --ctdir REPLY", "conntrack --ctproto 6", "conntrack --ctstate DNAT", "addrtype --src-type LOCAL", "cpu --cpu 0",
    "conntrack ! --ctstate NEW,DNAT", "state --state NEW",
)  # fmt: skip
_BEYOND = (" -d ", "--icmp", "mark", "--sports", "--ports", "! -p", "addrtype", " 47", "eth1", "eth+", *MODULES)
_NFT_BEYOND = ("nexthdr", "seen", "original", "ct mark", "ct count", "pkttype", "length", "dscp", "numgen", "maxseg", "frag-off", "wg0", "daddr", "icmp type", "icmpv6 type", "mark", "sport", "ttl", "!= icmp", "!= ipv6", "!= udp", "!= gre", "fib", "limit", "gre", "l4proto")  # fmt: skip
"""What no rule of ours can ask for, or not of every protocol."""


def plain(one: Callable[[], str], beyond: Sequence[str]) -> str:
    """A rule that ours can say."""
    rule = one()
    while any(word in f" {rule}" for word in beyond):
        rule = one()
    return rule


CARDS = ("eth0", "lo", "lo", "docker0", "wg0", "eth1", "eth+")


def _iptables_rule(random: Random, version: int, card: str, targets: Sequence[str]) -> str:
    """`card` is the option that names the network card, "" in chains that both ways lead to."""
    words, incoming = list[str](), card == "-i"
    if card:
        words += _maybe(random, 0.15, *_not(random), card, random.choice(CARDS[:2] if random.random() < 0.7 else CARDS))
    if random.random() < 0.45:
        words += [*_not(random), "-s", random.choice(NETWORKS[version])]
    if random.random() < 0.15:
        words += [*_not(random), "-d", random.choice(NETWORKS[version])]
    if random.random() < 0.6:
        words += _transport(random, version)
    if random.random() < 0.15:
        state = random.choice(("NEW", "RELATED,ESTABLISHED", "INVALID", "NEW,ESTABLISHED", "INVALID,UNTRACKED"))
        words += ["-m", "conntrack", *_not(random), "--ctstate", state]
    if incoming and random.random() < 0.06:
        words += ["-m", "addrtype", *_not(random), "--dst-type", random.choice(KINDS[: 3 if version == 4 else 2])]
    if version == 4 and random.random() < 0.05:
        words += ["-m", "iprange", *_not(random), "--src-range", "10.1.2.2-10.1.2.9"]
    words += _maybe(random, 0.05, "-m", "mark", "--mark", random.choice(("0x0", "0x1")))
    if version == 4:
        words += _maybe(random, 0.06, "-m", random.choice(MODULES))
    words += _maybe(random, 0.1, "-m", "comment", "--comment", '"some -j DROP words"')
    target = random.choice(targets)
    if target:
        words += ["-g" if target.startswith("c") and random.random() < 0.3 else "-j", target]
    return " ".join(words)


def random_iptables(random: Random) -> str:
    """A file of iptables-save and one of ip6tables-save behind it, each with chains that lead to later ones."""
    text, beyond = "", _BEYOND if random.random() < 0.4 else ()
    for version, program in ((4, "iptables"), (6, "ip6tables")):
        head = f"# Generated by {program}-save v1.8.9\n"
        for table in (_raw, _mangle, _nat):
            text += head + table(random, version) if random.random() < 0.2 else ""
        text += head + "*filter\n" + _filter(random, version, beyond) + "COMMIT\n"
    return text


def _raw(random: Random, version: int) -> str:
    text = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
    for _ in range(random.randrange(3)):
        rule = _iptables_rule(random, version, "-i", ("DROP", "ACCEPT", "ACCEPT"))
        while "conntrack" in rule or "addrtype" in rule or "conn" in rule or "state" in rule:
            # Before connections are tracked and ways are found, these say other things.
            rule = _iptables_rule(random, version, "-i", ("DROP", "ACCEPT"))
        text += f"-A PREROUTING {rule}\n"
    return text + "COMMIT\n"


def _mangle(random: Random, version: int) -> str:
    text = "*mangle\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n"
    for chain, card in (("PREROUTING", "-i"), ("INPUT", "-i"), ("OUTPUT", "-o"), ("POSTROUTING", "-o")):
        for _ in range(random.randrange(2)):
            targets = ("DROP", "ACCEPT", "RETURN", "MARK --set-mark 1", "CONNMARK --save-mark", "")
            text += f"-A {chain} {_iptables_rule(random, version, card, targets)}\n"
    return text + "COMMIT\n"


def _nat(random: Random, version: int) -> str:
    text = "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n"
    text += "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n-A DOCKER -i docker0 -j RETURN\n"
    for port in random.sample(PORTS, 2):
        target = random.choice(
            ("REDIRECT --to-ports 8080", f"DNAT --to-destination {('10.9.9.9', '[2001:db8:9::9]')[version == 6]}:80")
        )
        text += f"-A DOCKER ! -i docker0 -p tcp -m tcp --dport {port} -j {target}\n"
    return text + "COMMIT\n"


def _filter(random: Random, version: int, beyond: Sequence[str]) -> str:
    chains = ["c1", "c2", "c3"]
    text = f":INPUT {random.choice(('DROP', 'ACCEPT'))} [12:720]\n:FORWARD DROP [0:0]\n"
    text += f":OUTPUT {random.choice(('DROP', 'ACCEPT'))} [0:0]\n" + "".join(f":{name} - [0:0]\n" for name in chains)
    # A card that alone is named is taken for the machine's own, and that is this one.
    text += "-A FORWARD -i eth0 -o docker0 -j ACCEPT\n"
    before, after = random.choice(PROGRAMS) if random.random() < 0.4 else ("", "")
    text += "".join(f"{line}\n" for line in before.splitlines())
    for place, name in enumerate(("INPUT", "OUTPUT", *chains)):
        later = chains[max(0, place - 1) :]
        targets = ["ACCEPT"] * 4 + ["DROP"] * 3 + ["REJECT", ""] + later + ["RETURN"] * (3 if place > 1 else 1)
        if place > 1 and random.random() < 0.25:
            # Those on a list go on, and nobody else does.
            text += "".join(f"-A {name} -s {one} -j RETURN\n" for one in random.sample(NETWORKS[version], 3))
            text += f"-A {name} -j {random.choice(('DROP', 'REJECT', 'ACCEPT'))}\n"
            continue
        for _ in range(random.randrange(1, 7)):
            card = {0: "-i", 1: "-o"}.get(place, "")
            rule = plain(partial(_iptables_rule, random, version, card, targets), beyond)
            text += f"{random.choice(('', '', '[5:300] '))}-A {name} {rule}\n"
    return text + "".join(f"{line}\n" for line in after.splitlines())


_F2B = """\
:f2b-sshd - [0:0]
-A INPUT -p tcp -m multiport --dports 22,2000 -j f2b-sshd
-A f2b-sshd -j c1

-A f2b-sshd -j RETURN"""
_DOCKER = """\
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -j DOCKER
-A DOCKER-USER -j RETURN

-A INPUT -i docker0 -j ACCEPT
-A INPUT ! -i docker0 -j c3"""
_KUBERNETES = """\
:KUBE-FIREWALL - [0:0]
:KUBE-NODEPORTS - [0:0]
-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j c2
-A INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS
-A INPUT -j KUBE-FIREWALL

-A KUBE-FIREWALL -m comment --comment "block" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j c3
-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP
-A OUTPUT -j KUBE-FIREWALL"""
_UFW = """\
:u-before - [0:0]
:u-user - [0:0]
:u-skip - [0:0]
:u-not-local - [0:0]
:u-log - [0:0]
-A INPUT -j u-before
-A u-before -i lo -j ACCEPT
-A u-before -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A u-before -m conntrack --ctstate INVALID -j u-log
-A u-before -m conntrack --ctstate INVALID -j DROP
-A u-log -m limit --limit 3/min --limit-burst 10 -j RETURN
-A u-log -j LOG
-A u-skip -j DROP

-A u-before -j u-not-local
-A u-before -j u-user
-A u-not-local -m addrtype --dst-type LOCAL -j RETURN
-A u-not-local -m addrtype --dst-type MULTICAST -j RETURN
-A u-not-local -j DROP
-A u-user -j c1
-A u-user -p udp -m udp --dport 1000:3000 -j u-skip"""
_FIREWALLD = """\
:IN_public - [0:0]
:IN_zones - [0:0]
:IN_public_allow - [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -j IN_zones
-A IN_zones -i eth0 -g IN_public
-A IN_zones -g IN_public
-A IN_public -j c2

-A IN_public -j IN_public_allow
-A IN_public_allow -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -j REJECT"""
PROGRAMS = tuple(tuple(each.split("\n\n")) for each in (_F2B, _DOCKER, _KUBERNETES, _UFW, _FIREWALLD))
"""What fail2ban, Docker, Kubernetes, ufw and firewalld put around the rules of people: lines before those and behind them."""


def _values(random: Random, some: Sequence[str]) -> str:
    """One value, or an anonymous set."""
    return random.choice(some) if random.random() < 0.6 else "{ " + ", ".join(random.sample(list(some), 2)) + " }"


def _op(random: Random) -> str:
    return "!= " if random.random() < 0.15 else ""


_V4_DROPS = ("ip saddr @banned", "tcp dport 80", "meta l4proto udp")
_NFT_PORTS = ("22", "80", "443", "1000-3000", "20-25")
_V4 = ("10.1.2.0/24", "10.1.2.3", "198.51.100.0/25", "10.3.0.0/16")
_V6 = ("2001:db8:1::/48", "2001:db8:2::5", "2001:db8:3::/64")
_CONDITIONS: tuple[Callable[[Random], str], ...] = (
    lambda random: f"ip saddr {_op(random)}{_values(random, _V4)}",
    lambda random: f"ip saddr {_op(random)}{_values(random, _V4)}",
    lambda random: f"ip6 saddr {_op(random)}{_values(random, _V6)}",
    lambda random: f"ip daddr {_op(random)}{_values(random, _V4)}",
    lambda random: f"ip saddr {_op(random)}@nets",
    lambda random: "ip saddr . tcp dport @pairs",
    lambda random: f"tcp dport {_op(random)}{_values(random, _NFT_PORTS)}",
    lambda random: f"tcp dport {_op(random)}{_values(random, _NFT_PORTS)}",
    lambda random: f"udp dport {_op(random)}{_values(random, _NFT_PORTS)}",
    lambda random: "sctp dport >= 1000",
    lambda random: f"meta l4proto {{ tcp, udp }} th dport {random.choice(_NFT_PORTS)}",
    lambda random: f"meta l4proto {_op(random)}{random.choice(('icmp', 'ipv6-icmp', 'udp', 'gre'))}",
    lambda random: f"meta nfproto {random.choice(('ipv4', 'ipv6'))}",
    lambda random: f"ct state {random.choice(('new', 'established,related', 'invalid', '{ new, untracked }'))}",
    lambda random: random.choice(("icmp type echo-request", "icmpv6 type echo-request")),
    lambda random: random.choice(("tcp flags & (fin|syn|rst|ack) == syn", "tcp flags & (fin|syn|rst|ack) != syn", "tcp flags syn")),
    lambda random: random.choice(("udp sport 67", "meta mark 1", "meta mark 0", "ip ttl 64")),
    lambda random: "",
)  # fmt: skip
_MORE = (
    "ip saddr @banned", "ip6 saddr @banned6", "ip saddr != @banned", "tcp dport @ports", "tcp dport != @ports", "ip saddr . tcp dport @spans",
    "ip saddr @seen", "meta l4proto tcp th dport 80-443", "th dport 22", "ip protocol { tcp, udp }", "ip6 nexthdr udp", "ct direction original",
    "ct original proto-dst 22", "ct mark 0", "meta pkttype host", "meta length 50", "ip dscp cs0",
    "numgen random mod 2 0", "ct count over 5", "tcp option maxseg size 1400", "ip frag-off & 0x1fff != 0",
    "ip saddr 10.1.2.0/24 ip daddr 10.0.0.0/8", "tcp dport { 22, 80-90, 443 } tcp sport 1000-2000", "meta nfproto ipv4 tcp dport 22",
    "ct state { established, related, new }", "ct state != new", "tcp flags syn / fin,syn,rst,ack", "udp length 8", "meta protocol ip6",
)  # fmt: skip
_IN = ("iifname eth0", "iif lo", "iifname != lo", 'iifname "docker*"', "iifname { eth0, wg0 }", "fib daddr type local", "fib daddr type { multicast, broadcast }")  # fmt: skip
_SETS = """\
	set banned { type ipv4_addr; flags interval; auto-merge; elements = { 10.1.2.0/24, 10.1.2.3, 198.51.100.64/26, 203.0.113.1-203.0.113.9 }; }
	set banned6 { type ipv6_addr; flags interval; elements = { 2001:db8:1::/48 }; }
	set ports { type inet_service; flags interval; elements = { 22, 80-90 }; }
	set spans { type ipv4_addr . inet_service; flags interval; elements = { 10.1.0.0/16 . 20-30, 198.51.100.7 . 80 }; }
	set seen { type ipv4_addr; size 10; flags dynamic,timeout; timeout 1h; elements = { 10.1.2.3 }; }
	map ways { type ipv4_addr . inet_service : verdict; flags interval; elements = { 10.1.0.0/16 . 22 : accept, 198.51.100.0/25 . 80-90 : drop }; }
"""


def _nft_rule(random: Random, incoming: bool, targets: Sequence[str]) -> str:
    words = [condition(random) for condition in random.sample(_CONDITIONS, random.choice((0, 1, 1, 1, 2)))]
    if random.random() < 0.2:
        words = [random.choice(_MORE)]
    if incoming and random.random() < 0.1:
        words.append(random.choice(_IN))
    if random.random() < 0.1:
        words.append(random.choice(("counter", 'log prefix "x"', "limit rate 1000000/second")))
    later = [target for target in targets if target.startswith(("jump", "goto"))] or ["drop"]
    if random.random() < 0.12:
        words.append(
            random.choice(
                (
                    f"tcp dport vmap {{ 22 : accept, 80-90 : drop, 443 : {random.choice(later)} }}",
                    f"ip saddr vmap {{ 10.1.0.0/16 : {random.choice(later)}, 10.3.0.0/16 : accept }}",
                    "ct state vmap { established : accept, related : accept, invalid : drop }",
                    "meta l4proto vmap { tcp : accept, udp : drop }",
                    "ip saddr . tcp dport vmap @ways",
                    f"meta l4proto . th dport vmap {{ tcp . 22 : accept, udp . 80 : drop, tcp . 443 : {random.choice(later)} }}",
                )
            )
        )
    else:
        words.append(random.choice(targets))
    return " ".join(filter(None, words))


def random_nft(random: Random) -> str:
    """A ruleset with one or more chains on its hooks, and others behind them."""
    text, beyond = "", _NFT_BEYOND if random.random() < 0.4 else ()
    for number in range(random.choice((1, 1, 2, 3))):
        family = "inet" if number == 0 else random.choice(("inet", "ip", "ip6"))
        chains = ["c1", "c2", "c3"]
        text += f"table {family} t{number} {{\n\tset nets {{ type ipv4_addr; flags interval; elements = {{ 10.1.0.0/16, 198.51.100.3-198.51.100.70 }}; }}\n"
        text += "\tset pairs { type ipv4_addr . inet_service; elements = { 10.1.2.3 . 22, 198.51.100.7 . 80 }; }\n"
        text += _SETS
        bodies = {}
        for place, name in enumerate(("in", "out", *chains)):
            later = chains[max(0, place - 1) :]
            targets = ["accept"] * 4 + ["drop"] * 3 + ["reject", "counter"] + [f"jump {one}" for one in later]
            targets += [f"goto {one}" for one in later[:1]] + ["return"] * (2 if place > 1 else 1)
            one = partial(_nft_rule, random, place == 0, targets)
            rules = [plain(one, beyond) for _ in range(random.randrange(1, 7))]
            bodies[name] = "".join(f"\t\t{_of_family(rule, family)}\n" for rule in rules)
        for name, hook in (("in", "input"), ("out", "output")):
            prio = random.choice((-10, 0, 10))
            policy = random.choice(("accept", "drop"))
            bodies[name] = f"\t\ttype filter hook {hook} priority {prio}; policy {policy};\n" + bodies[name]
        if random.random() < 0.15:
            drop = _of_family(f"{random.choice(_V4_DROPS)} drop", family)
            bodies["pre"] = f"\t\ttype filter hook prerouting priority -300; policy accept;\n\t\t{drop}\n"
        for name in (*reversed(chains), "in", "out", *(["pre"] if "pre" in bodies else [])):
            text += f"\tchain {name} {{\n{bodies[name]}\t}}\n"
        text += "}\n"
    return text


def _of_family(rule: str, family: str) -> str:
    """A rule that a table of this family takes: nft refuses what contradicts itself."""
    other = {"ip": ("ip6", "icmpv6", "ipv6"), "ip6": ("ip ", "icmp ", "ipv4"), "inet": ()}[family]
    inet = {"ip6", "ip ", "ipv4", "ipv6", "icmp"}
    if any(word in rule for word in other) or (family != "inet" and "nfproto" in rule):
        return "counter"
    two = ("ip saddr" in rule or "ip daddr" in rule or "ip ttl" in rule or "icmp type" in rule or "ipv4" in rule) and (
        "ip6 " in rule or "icmpv6" in rule or "nfproto ipv6" in rule
    )
    protocols = [word for word in ("tcp ", "udp ", "sctp ", "l4proto", "icmp type", "icmpv6 type") if word in rule]
    return "counter" if inet and (two or len(protocols) > 1) else rule
