"""Chinese in Latin letters, for devices that show nothing else: a name as DICOM writes it, a text word by word.

Readings come without tone and with v for ü, as keyboards of devices type them. A surname is read as a surname (曾 is ZENG).
"""
from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Readings:
    """``characters``: reading of each character. ``surnames``: those that read otherwise as a surname, of one or two
    characters. ``compound``: surnames of two characters."""

    characters: Mapping[str, str]
    surnames: Mapping[str, str]
    compound: frozenset[str]


def name_parts(name: str, readings: Readings) -> tuple[str, str]:
    """Surname and given name of a Chinese name; ("", "") for a name that is none (PS3.5 6.2.1 wants them apart)."""
    plain = "".join(name.split())
    if len(plain) < 2 or not all(_is_han(ch) for ch in plain):      # 买买提·艾力 has none to set apart
        return "", ""
    length = 2 if len(plain) > 2 and plain[:2] in readings.compound else 1
    return plain[:length], plain[length:]


def latin_name(name: str, readings: Readings) -> str:
    """A name in Latin letters as a component group: 曾小明 is ZENG^XIAOMING. Characters without a reading are left out."""
    surname, given = name_parts(name, readings)
    if not surname:
        words = name.replace("·", " ").replace("•", " ").split()
        return "^".join(latin_text(word, readings).replace(" ", "").upper() for word in words).strip("^")
    first = readings.surnames.get(surname) or "".join(readings.characters.get(ch, "") for ch in surname)
    return f"{first}^{''.join(readings.characters.get(ch, '') for ch in given)}".upper().strip("^")


def latin_text(text: str, readings: Readings) -> str:
    """A text of printable ASCII: each Chinese character by its reading, full-width signs as their plain ones."""
    found = []
    for ch in unicodedata.normalize("NFKC", text):
        found.append(f" {readings.characters[ch]} " if ch in readings.characters else ch if ch.isascii() and ch.isprintable() else _SIGNS.get(ch, " "))
    return " ".join("".join(found).split())


def same_letters(one: str, other: str) -> bool:
    """Whether two Latin names are the same, whatever the order, separators, case and spelling of ü."""
    return bool(_letters(one)) and (_letters(one) == _letters(other) or "".join(sorted(_words(one))) == "".join(sorted(_words(other))))


def _words(name: str) -> list[str]:
    folded = unicodedata.normalize("NFKD", name).casefold()
    kept = "".join(ch if ch.isascii() and ch.isalpha() else " " if not unicodedata.combining(ch) else "" for ch in folded)
    return [word.replace("lyu", "lu").replace("nyu", "nu").replace("lv", "lu").replace("nv", "nu") for word in kept.split()]


def _letters(name: str) -> str:
    return "".join(_words(name))


def _is_han(ch: str) -> bool:
    return "\u3400" <= ch <= "\u9fff" or "\U00020000" <= ch <= "\U0003ffff"


_SIGNS = {"、": ",", "。": ".", "“": '"', "”": '"', "‘": "'", "’": "'", "《": "<", "》": ">", "【": "[", "】": "]", "—": "-", "…": "..", "·": " "}
