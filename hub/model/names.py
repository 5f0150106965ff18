"""Names as they are compared: full-width, case, blanks, traditional forms and pinyin levelled. Never for display.

A Chinese name is compared with one in Latin letters by its readings; a character may have several. Tones are not written by
devices and play no part; ü is v, whatever way it was written (lü, lyu, lv). Tables: hub/data/readings.toml, simplified.toml,
surnames.toml.
"""
from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice, product

MOST_READINGS = 12      # of one name are compared


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


@dataclass(frozen=True)
class NameForms:
    """One name in every form of comparison. ``folded``: characters or letters without anything else. ``spellings``: Latin
    letters, surname first, the likeliest first. ``initials``: of the likeliest spelling. ``surname``: characters, or the
    letters of the first word. ``is_hanzi``: written in Chinese characters."""

    folded: str
    spellings: tuple[str, ...]
    initials: str
    surname: str
    is_hanzi: bool

    @property
    def pinyin(self) -> str:
        return self.spellings[0] if self.spellings else ""


def forms(name: str, rules: NameRules) -> NameForms:
    """All forms of a name; empty ones for a name without letters."""
    level = unicodedata.normalize("NFKC", name).casefold().translate(rules.simplified)
    folded = "".join(ch for ch in level if ch.isalnum())
    if folded and all(_is_hanzi(ch) for ch in folded):
        return _of_characters(folded, rules)
    words = [_letters(word) for word in re.split(r"[\W_]+", level)]
    words = [word for word in words if word]
    if not words:
        return NameForms(folded, (), "", folded[:1], False)
    spellings = dict.fromkeys(("".join(words), words[-1] + "".join(words[:-1])))
    return NameForms(folded, tuple(spellings), "".join(word[0] for word in words), words[0], False)


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


def search_words(text: str, rules: NameRules) -> tuple[str, str]:
    """What a person typed into a search, as the start of a folded name and of a spelling ("" where it can be none)."""
    typed = forms(text, rules)
    return typed.folded, "" if typed.is_hanzi else _letters(typed.folded)


def _of_characters(folded: str, rules: NameRules) -> NameForms:
    length = 2 if folded[:2] in rules.compound and len(folded) > 2 else 1
    surname, given = folded[:length], folded[length:]
    heads = rules.surnames.get(surname) or ("".join(_usual(ch, rules) for ch in surname),)
    tails = [rules.given.get(ch) or (_usual(ch, rules),) for ch in given]
    spellings = dict.fromkeys("".join(parts) for parts in islice(product(heads, *tails), MOST_READINGS))
    initials = (heads[0][:1] if length == 1 else "".join(_usual(ch, rules)[:1] for ch in surname)) + "".join(tail[0][:1] for tail in tails)
    return NameForms(folded, tuple(spellings), initials, surname, True)


def _usual(character: str, rules: NameRules) -> str:
    return rules.readings.get(character, "")


def _letters(text: str) -> str:
    plain = text.replace("u:", "v").replace("ü", "v").replace("lyu", "lv").replace("nyu", "nv")
    plain = "".join(ch for ch in unicodedata.normalize("NFD", plain) if ch.isascii() and ch.isalpha())
    return plain


def _is_hanzi(character: str) -> bool:
    return "\u3400" <= character <= "\u9fff" or "\U00020000" <= character <= "\U0003ffff"


def _one_apart(one: str, other: str) -> bool:
    """Whether one changed, missing or additional character makes the two the same."""
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1:
        return False
    start = next((at for at, (a, b) in enumerate(zip(short, long)) if a != b), len(short))
    return short[start + 1:] == long[start + 1:] if len(short) == len(long) else short[start:] == long[start + 1:]
