"""Nobody is deceived by a text, and everybody can write in their own language."""

import re
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from securitygroups.firewall.texts import (
    INSTEAD,
    clean,
    clean_lines,
    mended,
    mixed_alphabets,
    shown,
    text_problem,
    visible,
)
from tests.texts import COVERING, HIDDEN, HONEST, HOSTILE, SAME, TURNING

BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# Crowded with what deceives, so that contexts meet: joiners between letters that need them and letters that do not.
awkward = st.text(
    st.sampled_from("ab 1#\u00e9\u0301\u0323\u200b\u200c\u200d\ufe0f\u20e3\u202e\u2069\u200f\u3164\u2800\u00ad\u180b\u1820\u0645\u06cc"
    "\u0915\u094d\u1780\u17d2\u17b4🔥👩💻🏴\U000e0067\U000e007f\n\t\x00\ud800\ue000\u0378\U0001faff\u3000\u1112\u1161"),
    max_size=14,
)  # fmt: skip
texts = st.one_of(awkward, st.text(max_size=30))


@pytest.mark.parametrize("text", HONEST.values(), ids=HONEST)
def test_what_people_write_is_kept_as_it_is(text: str) -> None:
    kept = unicodedata.normalize("NFC", text)

    assert text_problem(clean(text), 255) is None
    assert clean(text) == mended(text) == clean_lines(text) == visible(kept) == kept


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_deceives_is_refused_with_its_name_its_place_and_what_to_type(text: str) -> None:
    problem = text_problem(clean(text), 255)

    assert problem is not None
    found = re.fullmatch(r"Character (\d+) (.+) \((.*U\+[0-9A-F]{4,6})\): type .+\.", problem.message)
    assert found is not None
    sign = clean(text)[int(found[1]) - 1]
    assert found[3].endswith(f"U+{ord(sign):04X}")
    assert unicodedata.name(sign, "") in found[3]
    assert problem.message.isprintable()
    assert not BIDI.search(problem.message)
    for instead in problem.suggestions:
        assert text_problem(instead, 255) is None
    assert bool(problem.suggestions) == bool(mended(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HIDDEN["a zero width space"], "Character 3 is invisible (ZERO WIDTH SPACE, U+200B): type the text without it."),
        (TURNING["right to left override"], "Character 1 turns the reading direction of what follows (RIGHT-TO-LEFT OVERRIDE"),
        ("a\nb", "Character 2 is a line break (U+000A): type one line of plain text."),
        ("a\tb", "Character 2 is a tab (U+0009): type one line of plain text."),
        ("\x1b[2J", "Character 1 is a control character (U+001B): type one line of plain text."),
        (COVERING["a tower of marks"], "Character 8 is one mark too many on a letter"),
        (COVERING["a mark without a letter"], "Character 1 is a mark without a letter"),
        ("\ue000", "Character 1 is none that everybody sees the same (U+E000)"),
        ("a" * 256, "This is 256 characters long: 255 is the most."),
    ],
)  # fmt: skip
def test_the_words_say_what_is_wrong(text: str, words: str) -> None:
    problem = text_problem(text, 255)

    assert problem is not None
    assert problem.message.startswith(words)


@pytest.mark.parametrize(
    ("text", "better"),
    [
        ("we\u200bb", ("web",)),
        ("web\nhost", ("web host",)),
        ("\u202eweb\u202c", ("web",)),
        ("we\u200b\u0301b", ("wéb",)),
        ("\u3164", ()),
        ("\u200b ", ()),
    ],
)
def test_one_click_takes_the_text_without_it(text: str, better: tuple[str, ...]) -> None:
    problem = text_problem(text, 255)

    assert problem is not None
    assert problem.suggestions == better


@pytest.mark.parametrize(
    ("text", "kept"),
    list(zip(SAME.values(), ["web", "web 2", "web 2", "web 2", "web", "web 2", "Café", "한", "Å"], strict=True)),
    ids=SAME,
)
def test_what_looks_the_same_is_kept_the_same(text: str, kept: str) -> None:
    assert clean(text) == kept


@settings(max_examples=500)
@given(texts)
def test_a_text_is_brought_to_the_rule_once_and_for_all(text: str) -> None:
    for made in (mended(text), visible(clean(text))):
        assert text_problem(clean(made), 10_000) is None
        assert not BIDI.search(made)
    assert clean(clean(text)) == clean(text)
    assert mended(mended(text)) == mended(text)
    assert clean_lines(clean_lines(text)) == clean_lines(text)
    assert visible(visible(text)) == visible(text)
    assert len(visible(text)) == len(text)
    assert visible(text) == text or INSTEAD in visible(text)
    assert (text_problem(clean(text), 10_000) is None) == (mended(text) == clean(text))
    assert all(line == visible(line) for line in clean_lines(text).replace("\t", " ").split("\n"))
    assert unicodedata.is_normalized("NFC", mended(text))
    assert unicodedata.is_normalized("NFC", clean_lines(text))


@settings(max_examples=300)
@given(texts, st.sampled_from(("web", "шлюз", "می", "क", "🔥")))
@example("\u200c", "می")
def test_two_names_that_are_kept_differ_in_what_is_seen(text: str, name: str) -> None:
    """Whatever is put into a name: it is refused, is kept as the same name, or has something more to see. What only
    shapes the signs around it is let pass where it does, and two names that differ by that alone are one when one is
    taken."""
    other = clean(f"{name[:1]}{text}{name[1:]}")
    alike = re.sub("[\u200c\u200d\ufe0e\ufe0f]", "", other)

    if text_problem(other, 255) is None and alike != name:
        seen = [sign for sign in other if sign.isprintable() or unicodedata.category(sign) == "Cn"]
        assert len(seen) != len(name) or seen != list(name)


def test_a_note_keeps_its_lines_and_tabs_and_nothing_hidden() -> None:
    text = "\ufeffHello,\r\n\r\n\tping 10.0.0.5\u2028ok\u200b?\x1b[0m \u202etxt.exe\x00  \n"

    assert clean_lines(text) == "Hello,\n\n\tping 10.0.0.5\nok?[0m txt.exe"


def test_what_was_kept_before_is_shown_with_a_mark_in_its_place() -> None:
    assert visible("we\u200bb \u202eexe") == f"we{INSTEAD}b {INSTEAD}exe"
    assert visible("a\r\n\tb\u202e", "\r\n\t") == f"a\r\n\tb{INSTEAD}"
    assert visible("   web ") == "   web "


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_nothing_that_deceives_is_quoted_in_a_message(text: str) -> None:
    assert shown(text).isprintable()
    assert not BIDI.search(shown(text * 50))
    assert len(shown(text * 50)) <= 60


@pytest.mark.parametrize("name", ["раypal", "Shор", "Αcme", "web вeb", "сервер1web", "p\u0430y"])
def test_a_name_that_imitates_another_one_by_another_alphabet_is_told(name: str) -> None:
    problem = mixed_alphabets(name)

    assert problem is not None
    assert "letters in one word, which can imitate another name: write it in one alphabet." in problem.message


@pytest.mark.parametrize(
    "name", [*HONEST.values(), "µs Büro", "web-сервер", "Отдел IT", "αβ web", "東京web", "10.0.0.5"]
)
def test_a_name_of_several_languages_imitates_nobody(name: str) -> None:
    assert mixed_alphabets(name) is None


def test_a_long_text_takes_no_longer_than_it_is() -> None:
    for text in ("w" + "\u0301\u200b" * 100_000, "\u200d" * 200_000, "क्‍" * 70_000):
        assert text_problem(mended(text), 10**6) is None
