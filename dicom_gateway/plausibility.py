"""How likely a decoded text is what a person typed: scores from surnames and common characters.

The promise: pure functions of the text; the evidence is data (surnames by frequency, the 3755 common
characters of GB 2312 level 1, the 5401 of Big5 level 1), not a list of special cases. Higher is likelier; the unit is arbitrary,
a difference of 2 counts as clear. Sources: data/surnames.toml; GB/T 2312-1980 (rows 16-55 are level 1).
"""
import re
import tomllib
from functools import cache
from importlib.resources import files

_WORDS = re.compile(r"[\^=\\\s,.;:()\[\]/_-]+")
_EXTENSIONS = ((0x3400, 0x4DBF), (0x20000, 0x2EE5D), (0x30000, 0x323AF))      # A; B to F and I; G and H
FOUR_BYTES = 1.5       # weight of an ideograph that is written in four bytes, which no text of another encoding looks like
FORBIDDEN = -10.0      # of a control character C1 (PS3.5 6.1.1: not used), which the bytes of Chinese are full of
_NAME_LETTERS = frozenset("àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿßÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝœšžŒŠŽ")


@cache
def surnames() -> dict[str, float]:
    """Weight of each surname: 3 for the most frequent hundred and the compound ones, 2 for the others."""
    table = tomllib.loads(files("dicom_gateway").joinpath("data/surnames.toml").read_text("utf-8"))
    weights = {name: 2.0 for group in ("further", "traditional") for name in table[group] if not name.isspace()}
    weights.update({name: 3.0 for name in table["common"] if not name.isspace()})
    weights.update({name: 3.5 for name in table["compound"].split()})
    return weights


@cache
def character_weight(character: str) -> float:
    """Weight of one Chinese character: common 1, else common in Big5 0.6, GB 2312 level two 0.4, rarer < 0."""
    if not "\u4e00" <= character <= "\u9fff":
        return -0.7 if is_ideograph(character) else -2.0
    lead = _lead_byte(character, "gb2312")
    if 0xB0 <= lead <= 0xD7:
        return 1.0
    if 0xA4 <= _lead_byte(character, "big5") <= 0xC6:
        return 0.6
    return 0.4 if lead else -0.7


def _lead_byte(character: str, encoding: str) -> int:
    try:
        return character.encode(encoding)[0]
    except UnicodeEncodeError:
        return 0


def score_cjk(text: str, encoding: str) -> float:
    """Likelihood of a text decoded from ``encoding``, "utf_8" or "gb18030" (Chinese, or accented Latin from UTF-8)."""
    score = 0.0
    for word in filter(None, _WORDS.split(text)):
        high = [c for c in word if ord(c) > 0x7F]
        if not high:
            continue
        ideographs = any(map(is_ideograph, word))
        if not ideographs and all(c.isalpha() and ord(c) < 0x250 for c in high):
            score += score_single_byte(word, specific=False)
            continue
        score += sum(_weight_as_written(c, encoding) if c not in "·•" else 0.5 for c in high)
        letters = sum(c.isascii() and c.isalpha() for c in word)
        score -= 3.0 * min(letters, 2) if letters else 0.0
    head, length = _surname(text)
    return score + (head if length >= 2 else head / 3)


def is_gb2312(text: str) -> bool:
    """Whether all characters of a text are among those that simplified Chinese is written with (GB/T 2312-1980)."""
    return all(c.isascii() or _lead_byte(c, "gb2312") for c in text)


def is_ideograph(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff" or any(first <= ord(character) <= last for first, last in _EXTENSIONS)


def _surname(text: str) -> tuple[float, int]:
    """The weight of the surname with which the ideographs of a text begin, 0 for none, and how many ideographs there are."""
    ideographs = "".join(c for c in text if ord(c) > 0x7F and is_ideograph(c))
    return max((surnames().get(ideographs[:length], 0.0) for length in (1, 2)), default=0.0), len(ideographs)


def _weight_as_written(character: str, encoding: str) -> float:
    if is_ideograph(character) and len(character.encode(encoding)) == 4:
        return FOUR_BYTES
    return character_weight(character)


def score_single_byte(text: str, specific: bool) -> float:
    """Likelihood of a text decoded by an eight-bit table; ``specific``: the sender declared its script.

    A true Latin name has single accented letters among plain ones; bytes of Chinese read as Latin have
    runs of them, mixed with signs.
    """
    score = 0.0
    for word in filter(None, _WORDS.split(text)):
        for place, letter in enumerate(word):
            if ord(letter) <= 0x7F:
                continue
            score += _weight_in_word(word, place, letter, specific)
    return score


def _weight_in_word(word: str, place: int, letter: str, specific: bool) -> float:
    if "\x80" <= letter <= "\x9f":
        return FORBIDDEN
    if not letter.isalpha():
        return -3.0
    if specific:
        return 2.0
    before = word[place - 1] if place else ""
    after = word[place + 1 : place + 2]
    beside_plain = (before.isascii() and before.isalpha()) or (after.isascii() and after.isalpha())
    if not beside_plain:
        return -1.0
    if letter.isupper() and before.islower():
        return -2.0
    if letter.islower() and before.isupper() and place > 1:
        return -1.0
    in_a_run = any(c > "\x7f" for c in before + after)
    return 0.0 if letter not in _NAME_LETTERS else 0.5 if in_a_run else 2.0
