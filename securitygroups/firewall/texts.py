"""What people write – names, descriptions, reasons, notes – and the one rule for it, at every door.

Nobody may be deceived by what stands there: what cannot be seen is refused, and so is what turns the reading direction
of the words around it. Every script that people write in passes, with the joiners and pictures that it needs.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a value is refused, in words that say what to type instead, and values that can be taken with one click.

    Each suggestion is valid in place of what was refused; one for a port range reads "80-443".
    """

    message: str
    suggestions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.message


INSTEAD = "\ufffd"
"""Stands where a character is not shown."""
PASSES = 8
"""One character that is taken out may bare another. Honest text is done after two passes; each looks at all of it."""
MOST_MARKS = 6
"""Marks in a row on one letter. Hebrew with its accents and Tibetan need some; a tower of them covers other lines."""

_SPACE = re.compile("[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_SPACES = re.compile(f"{_SPACE.pattern}+")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
"""Control characters that part no words."""
_NOT_PLAIN = re.compile("[^ -~]")
"""All that may be hidden, or a mark."""
_BREAKS = frozenset("\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Letters, marks and pictures by their kind, and yet nothing is seen of them.
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\ufffc\U0001d159"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
_PICTURE = "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
_JOINS = (
    "[\u0620-\u085f\u0870-\u0dff\u0f00-\u109f\u1780-\u18af\u1a20-\u1aaf\u1b00-\u1bff\ua8e0-\ua8ff\ua980-\uaa7f"
    "\U00011000-\U00011fff]"
)
_BREAKS_UNSEEN = "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"
# What is not seen by itself and says something where it stands: a joiner between letters of a script that joins them
# (Persian, Hindi …), a break between words of one that has no spaces (Khmer, Thai …), the shape of a Mongolian letter,
# the colour of a picture, pictures and flags that are made of several.
_MEANT = re.compile(
    f"(?<={_JOINS})[\u200c\u200d](?={_JOINS})"
    f"|(?<={_BREAKS_UNSEEN})\u200b(?={_BREAKS_UNSEEN})"
    "|(?<=[\u1820-\u18aa])[\u180b-\u180f]"
    f"|(?<={_PICTURE})[\ufe0e\ufe0f](?:\u200d(?={_PICTURE}))?"
    f"|(?<={_PICTURE})\u200d(?={_PICTURE})"
    "|(?<=[0-9#*])\ufe0f(?=\u20e3)"
    "|(?<=\U0001f3f4)(?:\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074"
    "|\U000e0077\U000e006c\U000e0073)\U000e007f)"
)
_ALPHABETS = ("LATIN", "GREEK", "CYRILLIC")
"""Whose letters look alike, and are taken for each other."""


def clean(text: str) -> str:
    """One line as it is kept: composed letters (NFC), one plain space where any spaces are, none at the ends."""
    return _SPACES.sub(" ", unicodedata.normalize("NFC", text)).strip()


def clean_lines(text: str) -> str:
    """Several lines as they are kept: composed letters, one kind of line break, and nothing in them that is not seen.

    What comes along with a pasted mail or log is no reason to refuse a note, and nobody misses it.
    """
    text = "\n".join(unicodedata.normalize("NFC", text).splitlines()).strip()
    for _ in range(PASSES):
        faults = frozenset(_faults(text, "\n\t"))
        if not faults:
            return text
        kept = "".join(sign for at, sign in enumerate(text) if at not in faults)
        text = unicodedata.normalize("NFC", kept).strip()
    return _plain(text, "\n\t")


def text_problem(text: str, longest: int) -> Problem | None:
    """Why a line of text of up to `longest` characters cannot be kept, or None.

    It speaks of the text as it would be kept, so `clean` it first: spaces of other widths are no problem here.
    """
    if len(text) > longest:
        return Problem(f"This is {len(text)} characters long: {longest} is the most.")
    at = next(_faults(text), None)
    if at is None:
        return None
    better = mended(text)
    return Problem(_told(text, at), (better,) if better and len(better) <= longest else ())


def mended(text: str) -> str:
    """A line without what `text_problem` finds; it may be empty."""
    text = clean(text)
    for _ in range(PASSES):
        faults = frozenset(_faults(text))
        if not faults:
            return text
        text = clean("".join(sign if at not in faults else _in_its_place(sign) for at, sign in enumerate(text)))
    return clean(_plain(text))


def _plain(text: str, also: str = "") -> str:
    """Without all that could be a fault: for what was made so that each one taken out bares the next."""
    return "".join(sign for sign in text if sign in also or (sign.isprintable() and sign not in _unsure())).strip()


def _in_its_place(sign: str) -> str:
    """What is kept of a character that is taken out of a line: two words stay two."""
    return " " if sign in _BREAKS or sign == "\t" else ""


def visible(text: str, also: str = "") -> str:
    """The text with a mark (INSTEAD) for each character that is not seen or turns what is around it.

    For what was kept before there was a rule, or past it. `also` are characters that may stand there, such as "\\n".
    """
    if not also and not text.isprintable():
        # At once, for what is nothing else is full of them.
        text = _CONTROLS.sub(INSTEAD, text)
    while faults := frozenset(_faults(text, also)):
        text = "".join(INSTEAD if at in faults else sign for at, sign in enumerate(text))
    return text


def shown(text: object) -> str:
    """What somebody sent, fit to be quoted in a message: short, on one line, and always encodable."""
    start = str(text)[:61]
    line = visible(_SPACE.sub(" ", start))
    return line if len(line) <= 60 else line[:57] + "…"


def mixed_alphabets(text: str) -> Problem | None:
    """Why a name imitates another one, or None: a word with letters of two alphabets that look alike, as “раypal”."""
    for word in re.findall(r"[^\W_]+", text):
        names = {unicodedata.name(sign, "").partition(" ")[0] for sign in word}
        mixed = [alphabet.capitalize() for alphabet in _ALPHABETS if alphabet in names]
        if len(mixed) > 1:
            said = f"“{shown(word)}” has {' and '.join(mixed)} letters in one word, which can imitate another name"
            return Problem(f"{said}: write it in one alphabet.")
    return None


# What is drawn as another sign, or nearly: dashes, quotes, and the letters of other alphabets that Latin has too.
_LOOKS = str.maketrans(
    "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u02d7\u2043\u2018\u2019\u02bc\u2044\u2215\u2236\u0251\u0261\u0131"
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0455\u0458\u0501\u04bb\u051b\u051d\u04cf"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0405\u0408"
    "\u03b1\u03bf\u03c1\u03bd\u03b9\u03ba"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7",
    "---------'''//:agi" + "aeopcyxisjdhqwl" + "ABEKMHOPCTYXISJ" + "aopvik" + "ABEZHIKMNOPTYX",
)


def looks_like(name: str) -> str:
    """The name in the letters and signs that it is easily taken for: “раy” with two Cyrillic letters is “pay”."""
    return name.translate(_LOOKS)


def _faults(text: str, also: str = "") -> Iterator[int]:
    """Where the characters stand that are not seen, turn others, or cover them; those of `also` are let pass."""
    # Nearly every text ends here, and lists of thousands of rules are read by way of it.
    if text.isprintable() and (text.isascii() or _unsure().isdisjoint(text)):
        return
    meant = {at for found in _MEANT.finditer(text) for at in range(*found.span())}
    marks, before, last = 0, " ", -1
    for found in _NOT_PLAIN.finditer(text):
        at, sign = found.start(), found[0]
        if at > last + 1:
            marks, before = 0, text[at - 1]
        last, marks = at, marks + 1 if _is_mark(sign) else 0
        # A mark without a letter goes onto the quotation mark or the name that is shown before it.
        bare = marks and before.isspace()
        if (bare or marks > MOST_MARKS or _is_hidden(sign)) and at not in meant and sign not in also:
            yield at
        before = sign


@cache
def _unsure() -> frozenset[str]:
    """All that has to be looked at one by one. Found when it is first asked for: it takes as long as a command may start."""
    return _BLANK.union(filter(_is_mark, map(chr, range(0x300, 0x20000))))


def _is_mark(sign: str) -> bool:
    """Whether it is drawn over, under or around the letter before it."""
    return "\u0300" <= sign < "\U00020000" and unicodedata.category(sign) in ("Mn", "Me") and sign not in _BLANK


def _is_hidden(sign: str) -> bool:
    """Whether nothing is seen of the character, or not by everybody. Spaces are seen by the words around them."""
    if sign.isprintable() or _SPACE.match(sign):
        return sign in _BLANK
    # Pictures are drawn on telephones years before Python knows of them.
    return not "\U0001f000" <= sign <= "\U0001faff"


def _told(text: str, at: int) -> str:
    """What is wrong with the character there, and what to do."""
    sign = text[at]
    kind, name = unicodedata.category(sign), unicodedata.name(sign, "")
    known = f"{name}, U+{ord(sign):04X}" if name else f"U+{ord(sign):04X}"
    if sign in _BREAKS or kind == "Cc":
        what = "a line break" if sign in _BREAKS else "a tab" if sign == "\t" else "a control character"
        return f"Character {at + 1} is {what} ({known}): type one line of plain text."
    if sign in _TURNS:
        what = "turns the reading direction of what follows"
    elif kind == "Cs":
        what = "is half of one"
    elif kind in ("Cn", "Co"):
        what = "is none that everybody sees the same"
    elif _is_mark(sign):
        what = "is a mark without a letter" if at == 0 or text[at - 1].isspace() else "is one mark too many on a letter"
    else:
        what = "is invisible"
    return f"Character {at + 1} {what} ({known}): type the text without it."
