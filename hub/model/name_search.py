"""The forms under which a person's name is found, and what a person typed as patterns of those forms. Pure.

The promise: case, width, tones, carets, blanks and traditional characters make no difference; a Chinese name is found by its
characters, by its pinyin and by its initials; a name is also found from any of its characters, syllables or words on.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice, product

from hub.model.names import MOST_READINGS, NameRules, is_hanzi, level, plain_letters, reading, surname_length, surname_readings

# Kinds of a form; "later": not from the first character. LATIN: of names known in Latin letters only, syllable by syllable. BESIDE:
# as WRITTEN, those that begin with another character than the name's ``heading``.
WRITTEN, WRITTEN_LATER, SOUNDED, SOUNDED_LATER, INITIALS, LATIN, LATIN_LATER, BESIDE = range(8)
LATINS = (LATIN, LATIN_LATER)
# How a name may fit a pattern: as a whole as written; also as it sounds, or in initials; also, where the pattern has no wildcard,
# from any of its parts on (fuzzy semantic matching, PS3.4 C.2.2.2.1.1); or, of names known in Latin letters only, as a Chinese
# pattern is read.
LITERAL, SOUND, FUZZY, IN_LATIN = "literal", "sound", "fuzzy", "latin"
LONGEST_FORM = 64
MOST_FORMS = 48
LONGEST_NAME = 24        # characters of a name beyond this are not looked for one by one
MOST_SYLLABLES = 4       # of one word in Latin letters
MOST_SPLITS = 4          # of one word into syllables: XIAN is xian and xi'an
MOST_ASKED = 4           # readings of a Chinese text that are looked for

_BLANKS = re.compile(r"[\s^·•,.\u3000]+")
_BESIDE_HAN = re.compile(r"(?<=[\u3400-\u9fff\U00020000-\U0003ffff*?]) | (?=[\u3400-\u9fff\U00020000-\U0003ffff*?])")
_NO_SOUND = re.compile(r"[^0-9a-z*?]+")
_TONED = re.compile(r"([a-z]+)[1-5](?![0-9])")


@dataclass(frozen=True)
class Heading:
    """Under what the studies of all who are called alike stand in order. ``character``: the first one of the name as it is kept
    (a form of the kind WRITTEN). ``sound``: the surname in Latin letters, as it is usually read."""

    character: str = ""
    sound: str = ""


def heading(names: tuple[str, ...], rules: NameRules) -> Heading:
    """Of a person's names, as ``forms`` takes them: that of the first."""
    name = next((part for part in _parts(names, rules) if part), "")
    if name and all(is_hanzi(ch) for ch in name):
        surname = name[:surname_length(name, rules)]
        known = surname_readings(surname, rules) if surname in rules.surnames else ()
        return Heading(name[0], known[0] if known else "".join(reading(ch, rules) for ch in surname))
    return Heading(name[:1], _NO_SOUND.sub("", plain_letters(name.partition(" ")[0])))


def surname_asked(text: str, rules: NameRules) -> Heading | None:
    """The heading of those whom a text may mean by their surname: one Chinese character, or one word in Latin letters (of
    everyone who is called so by sound; then ``character`` is ""); None for any other text."""
    plain = folded(text, rules)
    if len(plain) == 1 and is_hanzi(plain):
        return heading((plain,), rules)
    spoken = sounds(plain, rules) if " " not in plain and not set(plain) & set("*?=") else ()
    return Heading("", spoken[-1]) if spoken else None


def folded(text: str, rules: NameRules) -> str:
    """A name or a pattern with ``*`` and ``?``, as forms of the WRITTEN kinds are kept."""
    plain = level(text, rules).replace("\0", "")
    return _BESIDE_HAN.sub("", _BLANKS.sub(" ", plain).strip())[:LONGEST_FORM]


def sounds(text: str, rules: NameRules) -> tuple[str, ...]:
    """Latin letters or a pattern with ``*`` and ``?``, as forms of the SOUNDED kinds are kept: as typed, without tones written as
    digits (wang2), and with the last word first (Xiaoming Wang); () for a text with Chinese characters."""
    plain = folded(text, rules)
    if any(is_hanzi(ch) for ch in plain):
        return ()
    words = plain_letters(plain).split(" ")
    toneless = [_toneless(word, rules) for word in words]
    found = ["".join(words), "".join(toneless)]
    if len(words) > 1 and not set(plain) & set("*?"):
        found.append("".join(toneless[-1:] + toneless[:-1]))
    return tuple(dict.fromkeys(sound for one in found if (sound := _NO_SOUND.sub("", one))))


def forms(names: tuple[str, ...], rules: NameRules) -> list[tuple[str, int]]:
    """(form, kind) under which a person is found. ``names``: as read and as sent, with component groups by ``=``."""
    found: dict[tuple[str, int], None] = {}
    parts, first = _parts(names, rules), heading(names, rules).character
    is_latin = not any(is_hanzi(character) for part in parts for character in part)
    for group in parts:
        for form, kind in _written(group) + _sounded(group, rules) + (_latin(group, rules) if is_latin else []):
            if form:
                found[form[:LONGEST_FORM], kind] = None
    told = list(found)[:MOST_FORMS]
    return told + [(form, BESIDE) for form, kind in told if kind == WRITTEN and form[0] != first]


def _parts(names: tuple[str, ...], rules: NameRules) -> list[str]:
    return list(dict.fromkeys(folded(part, rules) for name in names for part in name.split("=")))


def readings(text: str, rules: NameRules) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """How a Chinese text reads, as forms of the kind LATIN are kept where it is a name's beginning, and as those of LATIN_LATER where
    it is not; (), () for any other text."""
    plain = folded(text, rules)
    if not plain or not all(is_hanzi(ch) for ch in plain):
        return (), ()
    whole = [each for syllables in _spoken(plain, rules) for each in _levelled(syllables)]
    tails = [rules.given.get(ch) or (reading(ch, rules),) for ch in plain[:LONGEST_NAME]]
    later = [each for syllables in islice(product(*tails), MOST_READINGS) for each in _levelled(list(syllables))]
    return tuple(dict.fromkeys(whole))[:MOST_ASKED], tuple(dict.fromkeys(later))[:MOST_ASKED]


def groups(value: str) -> list[str]:
    """The component groups of a name or pattern that say something (PS3.5 6.2.1): each must fit."""
    return [part for group in value.split("=") if (part := group.strip().rstrip("^").strip()) and part.strip("*")]


def fits(pattern: str, text: str) -> bool:
    """Whether ``*`` and ``?`` of a pattern fit a text, in steps of the product of their lengths at most."""
    places = {0}
    for sign in pattern:
        if sign == "*":
            places = set(range(min(places, default=len(text) + 1), len(text) + 1))
        else:
            places = {at + 1 for at in places if at < len(text) and sign in ("?", text[at])}
    return len(text) in places


def name_fits(value: str, names: tuple[str, ...], rules: NameRules) -> bool:
    """Whether a name fits a DICOM pattern as a whole: as written, as it sounds or in initials (PS3.4 C.2.2.2)."""
    known = forms(names, rules)
    written = [form for form, kind in known if kind == WRITTEN]
    sounded = [form for form, kind in known if kind in (SOUNDED, INITIALS)]
    return all(any(fits(folded(group, rules), form) for form in written) or any(fits(sound, form) for sound in sounds(group, rules) for form in sounded)
               for group in groups(value))


def _written(name: str) -> list[tuple[str, int]]:
    if not name:
        return []
    starts = [at for at, c in enumerate(name[:LONGEST_NAME]) if at and c != " " and (is_hanzi(c) or name[at - 1] == " ")]
    return [(name, WRITTEN), *((name[at:], WRITTEN_LATER) for at in starts)]


def _sounded(name: str, rules: NameRules) -> list[tuple[str, int]]:
    told = []
    for syllables in _spoken(name, rules):
        whole = ["".join(syllables[at:]) for at in range(len(syllables))]
        told += [(whole[0], SOUNDED), *((later, SOUNDED_LATER) for later in whole[1:])] if whole else []
        if len(syllables) > 1:
            told.append(("".join(syllable[0] for syllable in syllables), INITIALS))
    # Old devices write lü as lu.
    return told + [(form.replace("lv", "lu").replace("nv", "nu"), kind) for form, kind in told if "lv" in form or "nv" in form]


def _latin(name: str, rules: NameRules) -> list[tuple[str, int]]:
    """Of a name in Latin letters its syllables, each closed by a mark: LI is not the beginning of LIU. Also with the last word first."""
    words = [one for word in plain_letters(name[:LONGEST_FORM]).split(" ") if (one := _NO_SOUND.sub("", _toneless(word, rules)))]
    told = []
    for ordered in dict.fromkeys((tuple(words), tuple(words[-1:] + words[:-1]))):
        for parts in islice(product(*(_splits(word, rules.syllables) or [[word]] for word in ordered)), MOST_SPLITS):
            syllables = [syllable for part in parts for syllable in part]
            told += [(_marked(syllables[at:]), LATIN if at == 0 else LATIN_LATER) for at in range(len(syllables))]
    return told


def _marked(syllables: list[str]) -> str:
    return "".join(f"{syllable}'" for syllable in syllables)


def _levelled(syllables: list[str]) -> list[str]:
    """Syllables as they are kept, and as old devices write them: lu for lü."""
    form = _marked(syllables)
    old = form.replace("lv'", "lu'").replace("nv'", "nu'")
    return [form] if old == form else [form, old]


def _toneless(word: str, rules: NameRules) -> str:
    return _TONED.sub(lambda found: found[1] if found[1] in rules.syllables else found[0], word)


def _splits(word: str, known: frozenset[str], most: int = MOST_SYLLABLES) -> list[list[str]]:
    """The ways in which a word of pinyin parts into syllables, those with long ones first; [] for a word that is none."""
    if not word:
        return [[]]
    if not most:
        return []
    told = []
    for length in range(min(6, len(word)), 0, -1):
        if word[:length] in known:
            told += [[word[:length], *rest] for rest in _splits(word[length:], known, most - 1)]
    return told[:MOST_SPLITS]


def _spoken(name: str, rules: NameRules) -> list[list[str]]:
    """The syllables of a name, once for each usual reading."""
    if name and all(is_hanzi(ch) for ch in name):
        length = surname_length(name, rules)
        known = surname_readings(name[:length], rules) if name[:length] in rules.surnames else ()
        heads = [_syllables(first, rules.syllables) or [first] for first in known] or [[reading(ch, rules) for ch in name[:length]]]
        tails = [rules.given.get(ch) or (reading(ch, rules),) for ch in name[length:LONGEST_NAME]]
        told = [[*head, *rest] for head, *rest in islice(product(heads, *tails), MOST_READINGS)]
        return [[syllable for syllable in one if syllable] for one in told if any(one)]
    words, pieces, word = [], [], ""
    for character in f"{name[:LONGEST_FORM]} ":
        if is_hanzi(character) or character == " ":
            words += [_NO_SOUND.sub("", plain_letters(word))]
            word = ""
            words += [reading(character, rules)]
        else:
            word += character
    words = [one for one in words if one]
    for one in words:
        pieces += _syllables(one, rules.syllables) or [one]
    return [one for one in ([words, pieces] if pieces != words else [words]) if one]


def _syllables(word: str, known: frozenset[str], most: int = MOST_SYLLABLES) -> list[str]:
    """A word of pinyin as its syllables, long ones first; [] for a word that is none."""
    if not word or not most:
        return []
    for length in range(min(6, len(word)), 0, -1):
        first, rest = word[:length], word[length:]
        if first in known and (not rest or (others := _syllables(rest, known, most - 1))):
            return [first, *(others if rest else ())]
    return []
