"""What is exported comes back as it was, and a file that is not good is refused whole, with a place, whatever it is."""

import csv
import io
import unicodedata
from dataclasses import replace
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from securitygroups.firewall.formats.documents import MAX_DOCUMENT_BYTES, RULE_KEYS, write_group
from securitygroups.firewall.formats.spreadsheet import guarded, read_any, unguarded, write_csv
from securitygroups.firewall.formats.strict import MAX_COUNTED, BadDocument
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.texts import mended
from securitygroups.firewall.values import Rule
from tests.firewall.strategies import rules, tight

Rules = tuple[Rule, ...]


def read_csv(data: bytes) -> Rules:
    return read_any(data).rules


HEADER = ",".join(RULE_KEYS)
GOOD = "accept,in,tcp,203.0.113.0/24,,22,22,Office,true"

AWKWARD = (
    '"', '""', ",", ";", "'", "=1+1", "+1", "-1", "@SUM(A1)", "\\", '\\"', " both ends ", "日本語", "ﬁn", "é", "e\u0301",
    "\U0001f600", "\ufeff", "\u00a0", "null", "true", "#", "a,b\",c", "=cmd|' /C calc'!A0", "x" * 255,
)  # fmt: skip
descriptions = st.one_of(
    st.sampled_from(AWKWARD),
    # Signs that spreadsheets look for, close together.
    st.text("=+-@＝＋－＠﹦⁺;|,'\"\t =cmd", max_size=12),
    st.text(max_size=40),
).map(mended)


@st.composite
def lists_with_words(draw: st.DrawFn) -> Rules:
    return tuple(replace(rule, description=draw(descriptions)) for rule in draw(st.lists(rules(), max_size=6)))


@settings(max_examples=60, deadline=None)
@given(lists_with_words(), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_csv_comes_back_as_it_was(some: Rules, line_end: str, bom: bool) -> None:
    data = (b"\xef\xbb\xbf" if bom else b"") + write_csv(some).replace("\n", line_end).encode()

    assert read_any(data).rules == some
    assert read_csv(data) == some


@settings(max_examples=60, deadline=None)
@given(lists_with_words(), descriptions, descriptions, st.booleans())
def test_json_comes_back_as_it_was(some: Rules, name: str, about: str, bom: bool) -> None:
    name = name[:90].strip() or "web"
    data = (b"\xef\xbb\xbf" if bom else b"") + write_group(name, about, some).encode()
    document = read_any(data)

    assert (document.name, document.description, document.rules) == (name, about.strip(), some)


@given(lists_with_words())
def test_one_form_turned_into_the_other_and_back_is_the_same_text(some: Rules) -> None:
    text = write_csv(some)
    document = write_group("web", "", read_csv(text.encode()))

    assert write_csv(read_any(document.encode()).rules) == text


def test_a_csv_file_has_no_name() -> None:
    document = read_any(f"{HEADER}\n{GOOD}\n".encode())

    assert (document.name, document.description, len(document.rules)) == ("", "", 1)


def test_a_spreadsheet_s_own_spelling_is_understood() -> None:
    """Capital truth values, spaces round a field, a start port alone, an empty line at the end, everything quoted."""
    (rule,) = read_csv(f"{HEADER}\r\naccept,in,tcp, 203.0.113.7 ,,22,,, TRUE \r\n\r\n".encode())
    assert (str(rule.source), rule.port_start, rule.port_end, rule.enabled) == ("203.0.113.7/32", 22, 22, True)
    quoted = "\n".join(",".join(f'"{field}"' for field in line.split(",")) for line in (HEADER, GOOD))
    assert read_csv(quoted.encode()) == read_csv(f"{HEADER}\n{GOOD}".encode())


def refusal(data: bytes) -> BadDocument:
    with pytest.raises(BadDocument) as caught:
        read_any(data)
    assert caught.value.faults
    assert caught.value.total >= len(caught.value.faults)
    return caught.value


def starts_a_formula(cell: str) -> bool:
    """Whether some spreadsheet takes the cell for one: it passes over blanks, quotation marks, and widths of signs."""
    plain = unicodedata.normalize("NFKC", cell).lstrip().lstrip('\ufeff\u200b\u2060\u00ad \t"')
    return plain[:1] in {"=", "+", "-", "@"}


STARTS = (
    "=", "+", "-", "@", "'=", "''@", "'", "＝", "＋", "－", "＠", "﹦", "﹢", "﹣", "﹫", "⁼", "₊", '"=', '""+', '" =', "ok;=",
    "ok; =", "ok;'=", 'ok;"=', "ok;;@", "a|=", "ok;＝", "'ok;-", "=a;=",
)  # fmt: skip


@pytest.mark.parametrize("start", STARTS)
def test_no_description_is_a_formula_to_a_spreadsheet(start: str) -> None:
    some = (Rule(Action.ACCEPT, Direction.IN, "all", description=f'{start}cmd|" /C calc"!A0'),)
    text = write_csv(some)
    line = text.splitlines()[1]

    assert not starts_a_formula(next(csv.DictReader(io.StringIO(text)))["description"])
    # A spreadsheet that is set to other signs than commas knows nothing of our quotation marks.
    assert not any(starts_a_formula(cell) for sign in ";|\t" for cell in line.split(sign))
    assert read_csv(text.encode()) == some


@pytest.mark.parametrize(
    "blank", ["", " ", "\t", "\n", "\r", "\u00a0", "\u3000", "\ufeff", "\u200b", "\u00ad"], ids=ascii
)
@pytest.mark.parametrize("sign", "=+-@＝＋－＠﹦﹢﹣﹫")
def test_a_cell_is_guarded_whatever_blanks_come_first(blank: str, sign: str) -> None:
    for text in (f"{blank}{sign}1", f"a;{blank}{sign}1", f"{blank}{blank}'{sign}1"):
        assert not starts_a_formula(guarded(text).partition(";")[2] or guarded(text))
        assert unguarded(guarded(text)) == text


@given(st.one_of(st.text(), st.text("=+-@＝＋－＠;|,'\"\t\n\r \ufeff\u00a0a")))
def test_what_is_guarded_is_what_comes_back(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert guarded(text).replace("'", "") == text.replace("'", "")


@pytest.mark.parametrize("text", ["", "Office", "a = b", "1+1", "a-b@c", "ssh, -v", "it's -1", "10;20", "日本語－東京"])
def test_what_no_spreadsheet_runs_is_written_as_it_is(text: str) -> None:
    assert guarded(text) == text


PLAIN = write_group("web", "", read_csv(f"{HEADER}\n{GOOD}\n".encode()))

REFUSED: dict[str, tuple[bytes, str, str]] = {
    "nothing": (b"", "", "choose a file"),
    "only spaces": (b" \r\n\t\n", "", "choose a file"),
    "only a byte order mark": (b"\xef\xbb\xbf", "", "choose a file"),
    "UTF-16": (PLAIN.encode("utf-16"), "", "UTF-16: save it as UTF-8"),
    "Latin-1 JSON": (PLAIN.replace("Office", "Büro").encode("latin-1"), "line 5", "not UTF-8"),
    "gzip": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "", "unpack it"),
    "an image": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "", "a picture"),
    "HTML": (b"<!doctype html><title>Sign in</title>", "line 1", "No row names the columns"),
    "cut in the middle": (PLAIN[:-30].encode(), "line", "not JSON"),
    "two documents": ((PLAIN + PLAIN).encode(), "line", "not JSON"),
    "a trailing comma": (PLAIN.replace("]}", ",]}").encode(), "line", "not JSON"),
    "a list alone": (b"[]", "", "Write an object in braces"),
    "another format": (PLAIN.replace("group/1", "group/2").encode(), "format", "Write “karenpanel.group/1”"),
    "a key twice": (PLAIN.replace('"name"', '"name": "a", "name"').encode(), "name", "stands twice"),
    "a key twice in a rule": (PLAIN.replace('"action"', '"action": "drop", "action"').encode(), "rules[0]", "stands twice"),
    "an unknown key": (PLAIN.replace('"action"', '"priority": 1, "action"').encode(), "rules[0]", "“priority” is not a key"),
    "a key missing": (b'{"format": "karenpanel.group/1", "name": "web"}', "line 1", "“rules” is missing"),
    "deep nesting": (b'{"rules": ' + b"[" * 100_000, "", "nested too deeply"),
    "deep nesting of objects": (b'{"a":' * 100_000, "", "nested too deeply"),
    "NaN": (PLAIN.replace('"port_start": 22', '"port_start": NaN').encode(), "rules[0]", "not a JSON number"),
    "endless digits": (PLAIN.replace('"port_start": 22', '"port_start": ' + "9" * 10_000).encode(), "", "too many digits"),
    "a half character": (PLAIN.replace("Office", "\\ud800").encode(), "rules[0].description", "half of one"),
    "NUL in a description": (PLAIN.replace("Office", "\\u0000").encode(), "rules[0].description", "control character"),
    "NUL in JSON": (PLAIN.replace("Office", "\0").encode(), "line", "not JSON"),
    "NUL in CSV": (f"{HEADER}\n{GOOD}".replace("Office", "a\0b").encode(), "line 2, description", "control character"),
    "NUL in a field": (f"{HEADER}\n{GOOD}".replace(",tcp,", ",t\0p,").encode(), "line 2, protocol", ""),
    "a description over two lines": (f"{HEADER}\n{GOOD}".replace("Office", '"a\nb"').encode(), "line 2, description", "line break"),
    "an endless description": (f"{HEADER}\n{GOOD}".replace("Office", "x" * 256).encode(), "line 2, description", "255"),
    "an endless field": (f"{HEADER}\n{GOOD}".replace("Office", "x" * 20_000).encode(), "line 2", "20000 characters long"),
    "a stray quote": (f'{HEADER}\n{GOOD}\n"{GOOD}\n{GOOD}\n'.encode(), "line", "not CSV"),
    "a quote in a field": (f"{HEADER}\n{GOOD}".replace("Office", '"Of"fice').encode(), "line 2", "not CSV"),
    "no header": (f"{GOOD}\n".encode(), "line 1", "No row names the columns"),
    "a field too few": (f"{HEADER}\n{GOOD}\naccept,in,tcp\n".encode(), "line 3", "3 fields instead of 9"),
    "a field too many": (f"{HEADER}\n{GOOD},x\n".encode(), "line 2", "10 fields instead of 9"),
    "a negative port": (f"{HEADER}\n{GOOD}".replace("22,22", "-1,22").encode(), "line 2, port_start", "0"),
    "a huge port": (f"{HEADER}\n{GOOD}".replace("22,22", "22," + "9" * 5000).encode(), "line 2, port_end", "5,000 characters"),
    "no such truth": (f"{HEADER}\n{GOOD}".replace("true", "perhaps").encode(), "line 2, enabled", "true or false"),
    "no action": (f"{HEADER}\n{GOOD}".replace("accept,", ",").encode(), "line 2, action", '"accept" or "drop"'),
    "host bits": (f"{HEADER}\n{GOOD}".replace(".0/24", ".7/24").encode(), "line 2, source", "203.0.113.7/32"),
    "a column of another protocol": (f"{HEADER}\n{GOOD}".replace(",tcp,", ",ip,").encode(), "line 2, port_start", ""),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_bad_file_is_refused_at_its_place(what: str) -> None:
    data, where, words = REFUSED[what]
    error = refusal(data)

    assert any(where in fault.where and words in str(fault.problem) for fault in error.faults), str(error)


def test_every_fault_of_a_file_is_told_and_nothing_of_it_taken() -> None:
    error = refusal(f"{HEADER}\n{GOOD}\naccept,in,tcp,,,99999,,,true\nlet,in,tcp,,,1,1,,true\n{GOOD}\n".encode())

    assert [fault.where for fault in error.faults] == ["line 3, port_start", "line 4, action"]


def test_the_line_is_counted_behind_descriptions_with_line_breaks() -> None:
    error = refusal(f'{HEADER}\naccept,in,tcp,,,1,1,"a\nb\nc",true\n{GOOD}\naccept,in,tcp,,,x,1,,true\n'.encode())

    assert [fault.where for fault in error.faults] == ["line 2, description", "line 6, port_start"]


def test_a_file_of_nothing_but_faults_costs_no_more_than_a_good_one() -> None:
    error = refusal((HEADER + "\n" + "x\n" * 1_000_000).encode())

    assert error.total <= MAX_COUNTED + len(RULE_KEYS)


def test_twenty_thousand_rules_are_read_and_more_refused_for_their_number_or_size() -> None:
    many = tight(Random(1), 80) * 1000
    assert len(read_any(write_csv(many[:20_000]).encode()).rules) == 20_000
    assert "more than 20,000 rules: split it" in str(refusal(write_csv(many[:20_001]).encode()))
    text = write_group("web", "", many).encode()
    assert len(text) > MAX_DOCUMENT_BYTES
    assert "larger than 8 MiB" in str(refusal(text))
    assert "larger than 8 MiB" in str(refusal(b"x" * (MAX_DOCUMENT_BYTES + 1)))


def check(data: bytes) -> None:
    """Good rules, or a refusal: never anything else."""
    try:
        document = read_any(data)
    except BadDocument as error:
        assert error.faults
        assert all(str(fault.problem) for fault in error.faults)
    else:
        assert not any(rule.problems() for rule in document.rules)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda text: text.encode(errors="surrogatepass"))))
@example(b"\xef\xbb\xbf{")
@example(b'"')
@example(b"\r")
@example(b"[" * 3000)
def test_no_bytes_bring_the_reader_down(data: bytes) -> None:
    check(data)
    check(HEADER.encode() + b"\n" + data)


@settings(max_examples=150, deadline=None)
@given(lists_with_words(), st.booleans(), st.data())
def test_no_damage_to_a_good_file_brings_the_reader_down(some: Rules, as_csv: bool, data: st.DataObject) -> None:
    good = (write_csv(some) if as_csv else write_group("web", "", some)).encode()
    at = data.draw(st.integers(0, len(good)))
    until = data.draw(st.integers(at, min(len(good), at + 5)))
    check(good[:at] + data.draw(st.binary(max_size=4)) + good[until:])
    check(good[:at])


def test_a_cut_file_never_gives_fewer_rules_without_saying_so() -> None:
    """In JSON every cut is seen; a CSV file can end behind any complete line, and only there."""
    some = (Rule(Action.DROP, Direction.IN, "all", description="everything"),) * 3
    whole = write_group("web", "", some).rstrip().encode()
    for end in range(len(whole)):
        refusal(whole[:end])
    table = write_csv(some)
    ends = {at for at in range(len(table) + 1) if table[:at].endswith("\n") or table[at:].startswith("\n")}
    for end in set(range(len(table))) - ends:
        refusal(table[:end].encode())
