"""Good inputs of each reader to begin with: what the tests already have, and what their builders make."""

import json
from collections.abc import Callable, Iterable
from functools import partial
from random import Random

from securitygroups.firewall.formats.documents import GroupDocument, write_group
from securitygroups.firewall.formats.many import write_groups
from securitygroups.firewall.formats.packets import packet_to_json
from securitygroups.firewall.lines import pasted
from tests.firewall.flows import test_captures, test_formats
from tests.firewall.flows.written import LINKS, Ng, ethernet, pcap
from tests.firewall.formats import host_references, host_samples, test_hosts, test_sheets
from tests.firewall.formats.clouds.proof import written
from tests.firewall.formats.clouds.test_proof import CASES
from tests.firewall.lines import test_lines, test_pasted, test_replies
from tests.firewall.strategies import random_list, random_packet
from tests.fuzz.mutate import packers
from tests.fuzz.targets import FAMILIES, LINK_TYPES

Makers = dict[str, Callable[[], Iterable[bytes | str]]]
EACH = 12
"""Files of each builder."""


def seeds(name: str) -> list[bytes]:
    """Inputs for the target of this name."""
    found = _all()[name]()
    return list(dict.fromkeys(one if isinstance(one, bytes) else one.encode() for one in found))


def _all() -> Makers:
    rules: Makers = {name: partial(_rules, name) for name in _SYSTEMS}
    logs: Makers = {name: partial(_logs, *parts) for name, parts in _LOGS.items()}
    lines: Makers = {f"line {name}": partial(_lines, *names) for name, names in FAMILIES.items()}
    own: Makers = {
        "any line": _lines,
        "pcap": lambda: [one for one in test_captures.whole_captures() if one[0] != 0x0A][:40],
        "pcapng": _pcapng,
        "frames": _frames,
        "packed": _packed,
        "CSV": lambda: [one for one in _tables() if one[:2] != b"PK"],
        "xlsx": lambda: [one for one in _tables() if one[:2] == b"PK" and b"mimetype" not in one[:60]],
        "ods": lambda: [one for one in _tables() if b"mimetype" in one[:60]],
        "packets": _packets,
    }
    doors: Makers = {
        "any rules": lambda: [one for each in (*rules.values(), _tables) for one in list(each())[:4]],
        "any log": lambda: [
            *_logs(""), *_pcapng()[:3], *test_captures.whole_captures()[:3], *_packed()[:4], *_lines()[::10],
        ],
    }  # fmt: skip
    return rules | logs | lines | own | doors


_SYSTEMS = {
    "AWS": "AWS", "OpenStack": "OpenStack", "Azure": "Azure", "Google Cloud": "Google Cloud", "Hetzner": "Hetzner",
    "DigitalOcean": "DigitalOcean", "Scaleway": "Scaleway", "CloudStack": "CloudStack", "OPNsense": "OPNsense",
    "Terraform": "Terraform", "iptables": "", "ufw": "", "nft": "", "Proxmox": "", "firewalld": "", "own document": "",
    "own documents": "",
}  # fmt: skip
"""How the names of the clouds' builders begin."""
_LOGS = {
    "tables": ("our CSV", "semicolons", "tabs", "quotes", "bars", "lines of an old", "Athena"),
    "VPC": ("VPC",),
    "Zeek": ("Zeek",),
    "NetFlow": ("nfdump",),
    "JSON": ("generic", "Elastic", "Zeek as", "Suricata"),
    "Azure log": ("Azure",),
    "GCP log": ("GCP",),
    "log lines": ("kernel", "tcpdump"),
    "Parquet": ("Parquet",),
}


def _rules(name: str) -> Iterable[bytes | str]:
    chance = Random(name)
    if begins := _SYSTEMS[name]:
        cases = [case for case in CASES if case.name.startswith(begins)]
        return [written(case.anything(chance)) for case in cases for _ in range(EACH)]
    return _OWN[name](chance)


def _document(chance: Random) -> GroupDocument:
    return GroupDocument("web", "Public web servers", random_list(chance))


def _hosts(name: str, *samples: str) -> Callable[[Random], Iterable[str]]:
    return lambda chance: (*samples, *(host_references.REFERENCES[name](chance).text for _ in range(EACH)))


_OWN: dict[str, Callable[[Random], Iterable[bytes | str]]] = {
    "iptables": lambda _: (
        host_samples.UFW, host_samples.DOCKER, host_samples.CLOUD, host_samples.KUBERNETES,
        *(test_hosts.save(*lines) for lines, _ in test_hosts.CHAINS.values()),
    ),
    "ufw": _hosts("ufw", host_samples.UFW_VERBOSE, host_samples.UFW_NUMBERED),
    "firewalld": _hosts("firewalld", host_samples.ZONE_XML, host_samples.ZONES),
    "Proxmox": _hosts("proxmox", host_samples.PROXMOX),
    "nft": lambda chance: (
        json.dumps(test_hosts.NFT_JSON), *(json.dumps(test_hosts.strange(chance, test_hosts.NFT_JSON)) for _ in range(EACH)),
        *host_samples.NFT.values(),
    ),
    "own document": lambda chance: [write_group("web", "Public web servers", random_list(chance)) for _ in range(EACH)],
    "own documents": lambda chance: [write_groups([_document(chance) for _ in range(3)]) for _ in range(EACH)],
}  # fmt: skip


def _logs(*begins: str) -> Iterable[bytes | str]:
    every = test_formats.FORMATS | test_formats.LOGS
    found: list[bytes | str] = [log for name, log in every.items() if name.startswith(begins)]
    return [*found, *_lines()[::4]] if "kernel" in begins else found


def _lines(*names: str) -> list[str]:
    """Pasted lines that a reader of these names knows, or all of them."""
    every = [case["line"] for case in test_lines.CASES] + list(test_pasted.LINES)
    every += [json.loads(line)["line"] for line in test_replies.PUBLIC.read_text().splitlines()]
    readers = [read for name, read in pasted.READERS if name in names]
    return [line for line in every if not names or any(read(line.strip()) is not None for read in readers)]


def _pcapng() -> list[bytes]:
    chance = Random(1)
    found = [one for one in test_captures.whole_captures() if one[0] == 0x0A][:2]
    found += [
        one
        for one in (test_captures.random_capture(chance) for _ in range(EACH))
        if len(one) < 50_000 and one[0] == 0x0A
    ]
    return [*found, Ng().section().interface().enhanced(ethernet(test_captures.SYN), 7).data]


def _frames() -> Iterable[bytes]:
    """As targets.captured takes them: for each link type those of the tests, and two types that nobody knows."""
    for name, (link, _) in LINKS.items():
        frames = [frame for frame, _ in test_captures.written(name, tell=True)][:5]
        if link in LINK_TYPES and all(len(frame) < 256 for frame in frames):
            yield bytes([LINK_TYPES.index(link)]) + b"".join(bytes([len(frame)]) + frame for frame in frames)


def _packed() -> list[bytes]:
    plain = [one if isinstance(one, bytes) else one.encode() for one in _logs("our CSV", "kernel", "Azure NSG")][:3]
    plain.append(pcap([(ethernet(test_captures.SYN), 0)]))
    found = [pack(one) for pack in packers() for one in plain]
    return [*found, *(packers()[0](one) for one in found[:5]), found[0] + found[0]]


def _tables() -> Iterable[bytes]:
    yield from test_sheets.ONE.values()
    yield from (data for data, _, _ in test_sheets.REFUSED.values())
    yield from (test_sheets.text(test_sheets.HEADER, *rows) for rows in test_sheets.SEVERAL.values())
    row = test_sheets.ods_row
    repeated = '<table:table-cell table:number-columns-repeated="3"/>'
    yield test_sheets.ods(row(*test_sheets.TABLE[0], tail=repeated) + row(*test_sheets.TABLE[1]) * 3)


def _packets() -> Iterable[str]:
    chance = Random(2)
    for _ in range(EACH):
        yield "".join(json.dumps(packet_to_json(random_packet(chance))) + "\n" for _ in range(3))
