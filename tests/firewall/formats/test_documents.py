"""Files: what is written reads back, and everything else is refused whole, with line, field and what to write instead."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from securitygroups.firewall.formats.documents import (
    MAX_DOCUMENT_BYTES,
    GroupDocument,
    read_group,
    rule_from_json,
    rule_to_json,
    rules_from_json,
    rules_from_stored,
    stored_rules,
    write_group,
)
from securitygroups.firewall.formats.packets import packet_from_json, packet_to_json, read_packets
from securitygroups.firewall.formats.strict import MAX_PROBLEMS, MAX_WHERE, BadDocument, Fault, load_json
from securitygroups.firewall.protocols import Action, Direction, Problem
from securitygroups.firewall.texts import clean, mended
from securitygroups.firewall.values import MAX_DESCRIPTION, Packet, Rule, parse_network
from tests.effort import at_most
from tests.firewall.samples import random_packet, random_rule
from tests.firewall.strategies import packets

REFUSED = [
    json.loads(line) for line in (Path(__file__).parents[2] / "cases" / "refused.jsonl").read_text("utf-8").splitlines()
]
RULE = {"action": "accept", "direction": "in", "protocol": "tcp"}
SSH = Rule(Action.ACCEPT, Direction.IN, "tcp", parse_network("203.0.113.0/24"), None, 22, 22, "Office SSH", True, "a1")
PACKET = {"direction": "in", "protocol": "tcp", "source": "203.0.113.9", "destination": "10.0.0.5", "port": 22}
HEAD = '{"format": "karenpanel.group/1", "name": "web", "rules": '

GROUP = """{"format": "karenpanel.group/1", "name": "web", "description": "Public web servers",
 "rules": [{"action": "accept", "direction": "in", "protocol": "tcp", "source": "203.0.113.0/24", "destination": null,
            "port_start": 22, "port_end": 22, "description": "Office SSH", "enabled": true}]}
"""


def faults(read: Callable[[bytes], Any], data: bytes) -> list[str]:
    """What the file is refused for, each checked for what every fault has to be."""
    with pytest.raises(BadDocument) as caught:
        read(data)
    assert 1 <= len(caught.value.faults) <= MAX_PROBLEMS
    assert caught.value.total >= len(caught.value.faults)
    for fault in caught.value.faults:
        assert str(fault).encode(), "It can be shown."
        assert "\n" not in str(fault)
        assert len(str(fault)) < 500
    assert str(caught.value) == "\n".join(str(fault) for fault in caught.value.faults)
    return [str(fault) for fault in caught.value.faults]


def group(**changes: Any) -> bytes:
    value = {"format": "karenpanel.group/1", "name": "web", "description": "", "rules": [], **changes}
    return json.dumps({key: part for key, part in value.items() if part is not ...}).encode()


def with_rule(**changes: Any) -> bytes:
    return group(rules=[{key: part for key, part in {**RULE, **changes}.items() if part is not ...}])


def packet(**changes: Any) -> bytes:
    return json.dumps({key: part for key, part in {**PACKET, **changes}.items() if part is not ...}).encode()


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["why"])
def test_each_rule_that_must_be_refused_is_refused_at_a_field_of_it(case: dict[str, Any]) -> None:
    for found in faults(read_group, group(rules=[case["rule"]])):
        assert re.match(r"line 1, rules\[0\]\.(source|destination|port_start|port_end): ", found)
        assert re.search(r"[Tt]ype|leave it empty|Did you mean", found)


def test_the_guides_document_reads_as_it_says() -> None:
    assert read_group(GROUP.encode()) == GroupDocument("web", "Public web servers", (SSH,))


def test_a_document_is_written_one_rule_a_line() -> None:
    written = write_group("wéb", 'a "b"', [SSH, Rule(Action.DROP, Direction.OUT, "all", enabled=False)])

    assert written == (
        '{"format": "karenpanel.group/1",\n "name": "wéb",\n "description": "a \\"b\\"",\n "rules": [\n'
        '  {"action": "accept", "direction": "in", "protocol": "tcp", "source": "203.0.113.0/24", "destination": null, '
        '"port_start": 22, "port_end": 22, "description": "Office SSH", "enabled": true},\n'
        '  {"action": "drop", "direction": "out", "protocol": "all", "source": null, "destination": null, '
        '"port_start": null, "port_end": null, "description": "", "enabled": false}\n ]}\n'
    )
    assert write_group("", "", []).endswith('"rules": []}\n')


@settings(max_examples=200, deadline=None, database=None)
@given(
    st.randoms(use_true_random=False),
    st.integers(0, 8),
    st.text(max_size=MAX_DESCRIPTION // 3).map(mended),
)
def test_what_is_written_reads_back_and_is_written_the_same_again(random: Random, length: int, text: str) -> None:
    rules = rules_from_json([{**random_rule(random), "description": text} for _ in range(length)])

    written = write_group("web", text, rules)
    read = read_group(written.encode())

    assert read == GroupDocument("web", text, rules)
    assert write_group(read.name, read.description, read.rules) == written
    assert rules_from_json(json.loads(written)["rules"]) == rules


def test_a_revision_keeps_each_rules_identity() -> None:
    rules = (SSH, Rule(Action.DROP, Direction.OUT, "ip", destination=parse_network("::ffff:0:0/96"), uid="b2"))

    stored = json.loads(json.dumps(stored_rules(rules)))

    assert rules_from_stored(stored) == rules
    assert [rule.uid for rule in rules_from_stored(stored)] == ["a1", "b2"]
    assert list(stored[0]) == [*rule_to_json(SSH), "uid"]


@pytest.mark.parametrize(("end", "kept"), [(..., 22), (None, 22), (22, 22), (80, 80)])
def test_a_start_alone_means_that_one_port(end: Any, kept: int) -> None:
    (rule,) = read_group(with_rule(port_start=22, port_end=end)).rules

    assert (rule.port_start, rule.port_end) == (22, kept)


def test_a_start_alone_where_there_are_no_ports_is_one_fault() -> None:
    (found,) = faults(read_group, with_rule(protocol="all", port_start=22))

    assert found.startswith("line 1, rules[0].port_start: All rules have no Destination Port Range")


def test_what_may_be_left_out_is_empty_and_on() -> None:
    assert read_group(group(description=..., rules=[RULE])).rules == (Rule(Action.ACCEPT, Direction.IN, "tcp"),)


@pytest.mark.parametrize("name", ["action", "direction", "protocol"])
def test_a_key_that_is_missing_is_named(name: str) -> None:
    assert faults(read_group, with_rule(**{name: ...})) == [f"line 1, rules[0]: “{name}” is missing: add it."]


@pytest.mark.parametrize("name", ["format", "name", "rules"])
def test_a_key_of_the_document_that_is_missing_is_named(name: str) -> None:
    assert faults(read_group, group(**{name: ...})) == [f"line 1, document: “{name}” is missing: add it."]


@pytest.mark.parametrize("key", ["ports", "Action", "uid", "", " source", "\ud800", "\x1b[2J", "k" * 9999], ids=ascii)
def test_an_unknown_key_is_refused_by_name(key: str) -> None:
    (in_rule,) = faults(read_group, with_rule(**{key: None}))
    (in_group,) = faults(read_group, group(**{key: None}))
    (in_packet,) = faults(read_packets, packet(**{key: None}))

    for found, where in ((in_rule, "line 1, rules[0]: “"), (in_group, "line 1, document: “"), (in_packet, "line 1: “")):
        assert found.startswith(where)
        assert "is not a key here: write only " in found
        assert key in found or len(key) > 60 or not key.isprintable()


WRONG = [
    True,
    False,
    0,
    1,
    -1,
    1.5,
    22.0,
    1e3,
    [],
    {},
    [22],
    {"a": 1},
    "",
    " ",
    "x",
    "22",
    "\x00",
    "\ud800",
    "٢٢",
    10**4000,
]


@pytest.mark.parametrize("value", WRONG, ids=lambda value: ascii(value)[:20])
@pytest.mark.parametrize("name", [*RULE, "source", "destination", "port_start", "port_end", "description", "enabled"])
def test_a_value_of_the_wrong_kind_is_refused_at_its_field_or_is_what_it_says(name: str, value: Any) -> None:
    data = with_rule(**({"protocol": "ip"} if name == "destination" else {}), **{name: value})
    # A port_end alone is a range without a start.
    fine = (
        (name == "port_start" and type(value) is int and 0 <= value <= 65535)
        or (name == "description" and isinstance(value, str) and value not in {"\x00", "\ud800"})
        or (name == "enabled" and isinstance(value, bool))
    )
    if fine:
        (rule,) = read_group(data).rules
        assert getattr(rule, name) == (clean(value) if name == "description" else value)
        return
    (found,) = faults(read_group, data)
    assert found.startswith("line 1, rules[0].")
    assert re.search(r"[Tt]ype|[Ww]rite", found)


@pytest.mark.parametrize("value", [*WRONG, None], ids=lambda value: ascii(value)[:20])
@pytest.mark.parametrize("name", PACKET)
def test_a_packets_value_of_the_wrong_kind_is_refused_at_its_field(name: str, value: Any) -> None:
    if name == "port" and value in (0, 1) and type(value) is int:
        assert read_packets(packet(port=value))[0].port == value
        return
    found = faults(read_packets, packet(**{name: value}))
    if name == "protocol" and value in (0, 1) and type(value) is int:
        assert found == ["line 1, port: Only TCP, UDP and SCTP packets have a port: leave this empty."]
        return
    assert [line.partition(":")[0] for line in found] == [f"line 1, {name}"]
    assert re.search(r"[Tt]ype|[Ww]rite", found[0])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Packet(Direction.IN, 4, 6, 0xCB007109, 0x0A000005, 22)),
        ({"protocol": 17, "port": 65535}, Packet(Direction.IN, 4, 17, 0xCB007109, 0x0A000005, 65535)),
        ({"protocol": "icmp", "port": ...}, Packet(Direction.IN, 4, 1, 0xCB007109, 0x0A000005)),
        ({"protocol": "icmp", "port": None, "source": "::1", "destination": "::"}, Packet(Direction.IN, 6, 58, 1, 0)),
        ({"protocol": 255, "port": ...}, Packet(Direction.IN, 4, 255, 0xCB007109, 0x0A000005)),
        (
            {"direction": "out", "source": "::ffff:10.0.0.1", "destination": "::"},
            Packet(Direction.OUT, 6, 6, 0xFFFF0A000001, 0, 22),
        ),
        ({"protocol": "non-ip", "source": ..., "destination": None, "port": None}, Packet(Direction.IN)),
    ],
)
def test_a_packet_reads_as_it_says(changes: dict[str, Any], expected: Packet) -> None:
    assert read_packets(packet(**changes)) == [expected]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"source": ...}, "source"),
        ({"port": ...}, "port"),
        ({"protocol": 6, "port": None}, "port"),
        ({"protocol": "non-ip", "port": None, "destination": None}, "source"),
        ({"destination": "::1"}, "destination"),
        ({"source": "10.0.0.0/8"}, "source"),
        ({"source": "fe80::1%1"}, "source"),
        ({"source": "010.0.0.1"}, "source"),
    ],
)
def test_a_packet_with_too_little_or_too_much_is_refused_with_line_and_field(
    changes: dict[str, Any], field: str
) -> None:
    data = b"\r\n".join([packet(), b"", packet(**changes)]) + b"\r\n"

    (found,) = faults(read_packets, data)

    assert found.startswith(f"line 3, {field}: ")


def test_empty_lines_and_a_mark_at_the_start_are_passed_over() -> None:
    assert read_packets(b"\xef\xbb\xbf\n" + packet() + b"\r\n\r\n  \n" + packet()) == [packet_from_json(PACKET)] * 2
    assert read_packets(b"") == []
    assert read_group(b"\xef\xbb\xbf" + GROUP.encode()).name == "web"


def test_every_fault_of_every_rule_is_told_with_its_line() -> None:
    rules = [
        {**RULE, "source": "10.0.0.5/24", "port_start": 70000},
        RULE,
        {**RULE, "protocol": "TCP", "action": "allow"},
    ]
    data = HEAD + "[\n" + ",\n".join(json.dumps(rule) for rule in rules) + '\n], "description": "a\\nb"}'

    found = faults(read_group, data.encode())

    assert [line.partition(": ")[0] for line in found] == [
        "line 5, description",
        "line 2, rules[0].source",
        "line 4, rules[2].action",
    ]
    assert found[1].endswith("Type 10.0.0.5/32 for that one address, or 10.0.0.0/24 for the whole network.")
    assert found[2].endswith('Write "accept" or "drop".')


BROKEN = {
    "empty": (b"", "line 1, column 1: "),
    "spaces": (b" \n ", "line 2, column 2: "),
    "cut off": (GROUP.encode()[:200], "line 2, column "),
    "more behind": (GROUP.encode() + b"{}", "line 4, column 1: "),
    "two documents": (GROUP.encode() * 2, "line 4, column 1: "),
    "single quotes": (GROUP.replace('"', "'").encode(), "line 1, column 2: "),
    "a comment": (b"// rules\n" + GROUP.encode(), "line 1, column 1: "),
    "a line break in a text": (GROUP.replace("web", "w\neb").encode(), "line 1, column "),
    "UTF-16": (GROUP.encode("utf-16"), "The file is UTF-16: save it as UTF-8."),
    "UTF-16 without a mark": (GROUP.encode("utf-16-le"), "line 1, column 2: "),
    "Latin-1": (GROUP.replace("Office", "Büro").encode("latin-1"), "line 3: Byte 64 of this line is not UTF-8"),
    "two marks": (b"\xef\xbb\xbf" * 2 + GROUP.encode(), "line 1, column 1: "),
    "NUL": (b"\x00" + GROUP.encode(), "line 1, column 1: "),
    "a surrogate as UTF-8": (GROUP.encode().replace(b"web", b"\xed\xa0\x80"), "line 1: Byte "),
    "overlong UTF-8": (GROUP.encode().replace(b"web", b"\xc0\xaf"), "line 1: Byte "),
    "a list": (b"[]", "line 1, document: Write an object"),
    "a number": (b"22", "line 1, document: Write an object"),
    "null": (b"null", "line 1, document: Write an object"),
    "NaN": ((HEAD + "\n[NaN]}").encode(), "line 2, rules[0]: NaN is not a JSON number"),
    "infinity": ((HEAD + "[0,\n-Infinity]}").encode(), "line 2, rules[1]: -Infinity is not a JSON number"),
    "a key twice": (
        GROUP.replace('"port_end"', '"port_start"').encode(),
        "line 2, rules[0]: The key “port_start” stands twice",
    ),
    "rules twice": (
        (HEAD + '[],\n"rules": [],\n"description": ""}').encode(),
        "line 2, rules: The key “rules” stands twice",
    ),
    "a key twice in a list": (b'[{"a": 1, "a": 2}]', "The key “a” stands twice"),
    "deep lists": ((HEAD + "\n" + "[" * 200_000).encode(), "line 2, rules[0]: This is nested too deeply"),
    "deep objects": (b'{"a":' * 200_000, "a: This is nested too deeply"),
    "5,000 digits": (
        (HEAD + "[{},\n" + "9" * 5000 + "]}").encode(),
        "line 2, rules[1]: A number here has too many digits",
    ),
    "another format": (group(format="karenpanel.group/2"), "line 1, format: Write “karenpanel.group/1”."),
    "a format that is no text": (group(format=[1]), "line 1, format: Write “karenpanel.group/1”."),
    "no name": (group(name="  "), "line 1, name: Write a name."),
    "a name of 101": (group(name="x" * 101), "line 1, name: This is 101 characters long: 100 is the most."),
    "a name with a line break": (group(name="a\nb"), "line 1, name: Character 2 is a line break"),
    "a name that is null": (group(name=None), "line 1, name: Write a text in quotes."),
    "rules that are none": (group(rules={}), "line 1, rules: Write a list in brackets"),
    "a rule that is none": (group(rules=[None]), "line 1, rules[0]: Write an object in braces"),
    "too large": (b" " * (MAX_DOCUMENT_BYTES + 1), "The file is larger than 8 MiB"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_refused_with_the_place_and_what_is_wrong(kind: str) -> None:
    data, told = BROKEN[kind]

    found = faults(read_group, data)

    assert len(found) == 1
    assert told in found[0]


@pytest.mark.parametrize("kind", sorted(BROKEN.keys() - {"empty", "spaces", "UTF-16", "too large"}))
def test_a_broken_file_is_no_packets_either(kind: str) -> None:
    found = faults(read_packets, b"\n" + BROKEN[kind][0])

    assert re.match("line [2-9]", found[0])


def test_a_document_that_is_cut_anywhere_is_refused() -> None:
    data = GROUP.rstrip().encode()

    for length in range(len(data)):
        assert faults(read_group, data[:length])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*PACKET, "rules", "name", "x"]), inner, max_size=5)
    ),
    max_leaves=12,
)
fields = st.sampled_from([*rule_to_json(SSH), "uid", "\ud800"])


@settings(max_examples=250, deadline=None, database=None)
@given(st.binary(max_size=300))
@example(b"\xef\xbb\xbf\xef\xbb\xbf")
@example(b"\xff\xfe")
def test_any_bytes_are_refused_as_a_group_and_read_or_refused_as_packets(data: bytes) -> None:
    assert faults(read_group, data)
    try:
        assert read_packets(data) == [], "Only empty lines are no packets."
    except BadDocument:
        assert faults(read_packets, data)


@settings(max_examples=250, deadline=None, database=None)
@given(json_values)
def test_any_json_is_read_or_refused_and_nothing_else(value: Any) -> None:
    data = json.dumps(value).encode()
    whole = json.dumps({"format": "karenpanel.group/1", "name": "x", "rules": value}).encode()

    assert faults(read_packets, data) if data.strip() else True
    try:
        assert read_group(whole).rules == (), "Only an empty list is one by chance."
    except BadDocument:
        assert faults(read_group, whole)


@settings(max_examples=250, deadline=None, database=None)
@given(st.dictionaries(fields, json_values, max_size=4))
def test_any_value_at_any_field_is_read_as_it_stands_or_refused(changes: dict[str, Any]) -> None:
    try:
        rule = rule_from_json({**RULE, **changes})
    except BadDocument:
        assert faults(lambda data: rule_from_json(json.loads(data)), json.dumps({**RULE, **changes}).encode())
        return
    assert rule_from_json(rule_to_json(rule)) == rule
    assert rule.problems() == {}


@settings(max_examples=150, deadline=None, database=None)
@given(st.randoms(use_true_random=False), st.integers(0, 4000), st.binary(min_size=1, max_size=3))
def test_a_file_with_a_few_bytes_overwritten_is_read_or_refused(random: Random, at: int, noise: bytes) -> None:
    rules = [random_rule(random) for _ in range(4)]
    files = [
        (read_group, write_group("web", "", rules_from_json(rules)).encode()),
        (read_packets, "\n".join(json.dumps(random_packet(random, rules)) for _ in range(9)).encode()),
    ]
    for read, data in files:
        place = at % len(data)
        spoilt = data[:place] + noise + data[place + len(noise) :]
        try:
            assert read(spoilt) is not None
        except BadDocument:
            assert faults(read, spoilt)


def test_80_000_rules_are_read_or_refused_with_the_last_line_in_seconds() -> None:
    line = json.dumps({"action": "drop", "direction": "in", "protocol": "tcp", "port_start": 1})
    lines = HEAD + "[\n" + ",\n".join([line] * 80_000)

    with at_most(10):
        good = read_group((lines + "]}").encode())
        bad = faults(read_group, (lines + ',\n{"a": 1, "a": 1}]}').encode())

    assert len(good.rules) == 80_000
    assert bad[0].startswith("line 80002, rules[80000]: The key “a” stands twice")


@pytest.mark.parametrize("inside", ["0", "{}", '{"a":0}', "[]"])
def test_a_file_of_nothing_but_faults_is_refused_as_fast_as_a_good_one(inside: str) -> None:
    data = (HEAD + "[" + ",".join([inside] * 300_000) + "]}").encode()[:MAX_DOCUMENT_BYTES]

    with at_most(10), pytest.raises(BadDocument) as caught:
        read_group(data)

    assert len(caught.value.faults) <= MAX_PROBLEMS


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("[" + ",".join(["{}"] * 500_000) + "]", "more than 400,000 objects and lists"),
        ('{"a":[' + ",".join(["[]"] * 500_000) + "]}", "more than 400,000 objects and lists"),
        ("[" + ",".join(['"a"'] * 500_000) + "]", "lists in it have more than 150,000 elements"),
        ('"' + "," * 500_000 + '"', "lists in it have more than 150,000 elements"),
    ],
    ids=["objects", "lists", "texts", "commas"],
)
def test_json_that_holds_more_than_any_rules_do_is_refused_before_it_costs(name: str, said: str) -> None:
    data = f'{{"format": "karenpanel.group/1", "name": {name}, "rules": []}}'.encode()

    with at_most(2), pytest.raises(BadDocument, match=f"line 1, document: .*{said}"):
        read_group(data)


def test_json_within_json_is_no_list() -> None:
    policies = [{"policy": json.dumps(dict.fromkeys(map(str, range(500))))}] * 500

    assert load_json(json.dumps(policies)) == policies


def test_the_place_of_a_fault_is_no_longer_than_a_line() -> None:
    fault = Fault("a" * 1_000_000, Problem("Write a name."))

    assert str(fault) == f"{'a' * MAX_WHERE} …: Write a name."


def test_json_as_a_fragment_keeps_its_place() -> None:
    with pytest.raises(BadDocument, match=re.escape("line 7, column 2: This is not JSON")):
        load_json("{", "line 7")


def test_more_faults_than_are_told_are_counted() -> None:
    with pytest.raises(BadDocument) as caught:
        read_group(group(rules=[{}] * 30, name=""))

    assert (len(caught.value.faults), caught.value.total) == (MAX_PROBLEMS, 91)


@settings(max_examples=100)
@given(packets())
def test_a_packet_written_down_is_read_as_the_same_packet(packet: Packet) -> None:
    if packet.protocol in (6, 17, 132) and packet.port is None:
        return  # a later fragment, which files of packets do not have
    assert packet_from_json(packet_to_json(packet)) == packet
