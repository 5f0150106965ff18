"""Chinese names: compared, looked for and spelt in Latin letters. The one place that applies the tables of readings. Pure.

Names are compared with full-width, case, blanks and traditional forms levelled; never for display. A Chinese name meets one in
Latin letters by its readings; a character may have several. Tones are not written by devices and play no part; ü is v, whatever
way it was written (lü, lyu, lv). A surname is read as a surname (曾 is zeng). Tables: hub/data/readings.toml, simplified.toml,
surnames.toml; hub.model.name_search has the forms under which names are found.
"""
from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, product

MOST_READINGS = 12      # of one name are compared
_SIGNS = {"、": ",", "。": ".", "“": '"', "”": '"', "‘": "'", "’": "'", "《": "<", "》": ">", "【": "[", "】": "]", "—": "-", "…": "..", "·": " "}


@dataclass(frozen=True)
class NameRules:
    """``simplified``: traditional character (as a code point) -> simplified. ``readings``: character -> its usual syllable.
    ``surnames`` and ``given``: readings in names, usual first. ``compound``: surnames of two characters."""

    version: str
    simplified: Mapping[int, str]
    readings: Mapping[str, str]
    surnames: Mapping[str, tuple[str, ...]]
    given: Mapping[str, tuple[str, ...]]
    compound: frozenset[str]

    @cached_property
    def syllables(self) -> frozenset[str]:
        """Every syllable that a character is read as."""
        return frozenset(self.readings.values())


@dataclass(frozen=True)
class NameForms:
    """One name in every form of comparison. ``folded``: characters or letters without anything else. ``spellings``: Latin
    letters, surname first, the likeliest first. ``surname``: characters, or the letters of the first word. ``is_hanzi``: written
    in Chinese characters."""

    folded: str
    spellings: tuple[str, ...]
    surname: str
    is_hanzi: bool

    @property
    def pinyin(self) -> str:
        return self.spellings[0] if self.spellings else ""


def forms(name: str, rules: NameRules) -> NameForms:
    """All forms of a name; empty ones for a name without letters."""
    levelled = level(name, rules)
    folded = "".join(ch for ch in levelled if ch.isalnum())
    if folded and all(is_hanzi(ch) for ch in folded):
        return _of_characters(folded, rules)
    words = [_letters(word) for word in re.split(r"[\W_]+", levelled)]
    words = [word for word in words if word]
    if not words:
        return NameForms(folded, (), folded[:1], False)
    spellings = dict.fromkeys(("".join(words), words[-1] + "".join(words[:-1])))
    return NameForms(folded, tuple(spellings), words[0], False)


def compare(one: NameForms, other: NameForms) -> str:
    """How two names stand to each other: "silent" (one is missing), "same", "pinyin" (characters and their spelling),
    "homophone" (other characters, read alike), "one_character" (one differs, lacks or is too much) or "other"."""
    if not one.folded or not other.folded:
        return "silent"
    if one.folded == other.folded:
        return "same"
    read_alike = bool(set(one.spellings) & set(other.spellings))
    if read_alike:
        return "homophone" if one.is_hanzi and other.is_hanzi else "pinyin" if one.is_hanzi != other.is_hanzi else "same"
    if one.is_hanzi == other.is_hanzi and min(len(one.folded), len(other.folded)) > 1 and _one_apart(one.folded, other.folded):
        return "one_character"
    return "other"


def shares_surname(one: NameForms, other: NameForms) -> bool:
    """Whether both bear one surname, as far as that can be told from characters or spelling."""
    if one.is_hanzi == other.is_hanzi:
        return bool(one.surname) and one.surname == other.surname
    characters, letters = (one, other) if one.is_hanzi else (other, one)
    return bool(letters.surname) and any(spelling.startswith(letters.surname) for spelling in characters.spellings)


def name_parts(name: str, rules: NameRules) -> tuple[str, str]:
    """Surname and given name of a Chinese name; ("", "") for a name that is none (PS3.5 6.2.1 wants them apart)."""
    plain = "".join(name.split())
    if len(plain) < 2 or not all(is_hanzi(ch) for ch in plain):      # 买买提·艾力 has none to set apart
        return "", ""
    length = surname_length(plain, rules)
    return plain[:length], plain[length:]


def latin_name(name: str, rules: NameRules) -> str:
    """A name in Latin letters as a component group: 曾小明 is ZENG^XIAOMING. Characters without a reading are left out."""
    surname, given = name_parts(name, rules)
    if not surname:
        words = name.replace("·", " ").replace("•", " ").split()
        return "^".join(latin_text(word, rules).replace(" ", "").upper() for word in words).strip("^")
    return f"{surname_readings(surname, rules)[0]}^{''.join(reading(ch, rules) for ch in given)}".upper().strip("^")


def latin_text(text: str, rules: NameRules) -> str:
    """A text of printable ASCII: each Chinese character by its reading, full-width signs as their plain ones."""
    found = []
    for ch in unicodedata.normalize("NFKC", text):
        found.append(f" {rules.readings[ch]} " if ch in rules.readings else ch if ch.isascii() and ch.isprintable() else _SIGNS.get(ch, " "))
    return " ".join("".join(found).split())


def same_letters(one: str, other: str) -> bool:
    """Whether two Latin names are the same, whatever the order, separators, case and spelling of ü (lu counts as lü here)."""
    words, others = _words(one), _words(other)
    return bool(words) and ("".join(words) == "".join(others) or "".join(sorted(words)) == "".join(sorted(others)))


def level(text: str, rules: NameRules) -> str:
    """A text with width, case and traditional characters levelled."""
    return unicodedata.normalize("NFKC", text).casefold().translate(rules.simplified)


def plain_letters(text: str) -> str:
    """A levelled text without tones and with v for ü: an accent is dropped, the dots of ü are not."""
    plain = unicodedata.normalize("NFD", text.replace("u:", "v")).replace("u\u0308", "v")
    return "".join(ch for ch in plain if not unicodedata.combining(ch)).replace("lyu", "lv").replace("nyu", "nv")


def surname_length(name: str, rules: NameRules) -> int:
    """How many characters of a Chinese name are its surname: two where something is left beside a compound one."""
    return 2 if name[:2] in rules.compound and len(name) > 2 else 1


def surname_readings(surname: str, rules: NameRules) -> tuple[str, ...]:
    """How a surname is read, the usual way first."""
    return rules.surnames.get(surname) or ("".join(reading(ch, rules) for ch in surname),)


def reading(character: str, rules: NameRules) -> str:
    """A character's usual reading, "" for none."""
    return rules.readings.get(character, "")


def is_hanzi(character: str) -> bool:
    return "\u3400" <= character <= "\u9fff" or "\U00020000" <= character <= "\U0003ffff"


def _of_characters(folded: str, rules: NameRules) -> NameForms:
    length = surname_length(folded, rules)
    surname, given = folded[:length], folded[length:]
    heads = surname_readings(surname, rules)
    tails = [rules.given.get(ch) or (reading(ch, rules),) for ch in given]
    spellings = dict.fromkeys("".join(parts) for parts in islice(product(heads, *tails), MOST_READINGS))
    return NameForms(folded, tuple(spellings), surname, True)


def _letters(text: str) -> str:
    return "".join(ch for ch in plain_letters(text) if ch.isascii() and ch.isalpha())


def _words(name: str) -> list[str]:
    """The words of a Latin name, with lu for lü."""
    plain = plain_letters(unicodedata.normalize("NFKC", name).casefold())
    kept = "".join(ch if ch.isascii() and ch.isalpha() else " " for ch in plain)
    return [word.replace("lv", "lu").replace("nv", "nu") for word in kept.split()]


def _one_apart(one: str, other: str) -> bool:
    """Whether one changed, missing or additional character makes the two the same."""
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1:
        return False
    start = next((at for at, (a, b) in enumerate(zip(short, long)) if a != b), len(short))
    return short[start + 1:] == long[start + 1:] if len(short) == len(long) else short[start:] == long[start + 1:]
