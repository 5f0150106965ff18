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
        return -2.0
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


def score_cjk(text: str) -> float:
    """Likelihood of a text decoded from UTF-8 or GB18030 (Chinese, or accented Latin from UTF-8)."""
    score = 0.0
    chinese_so_far = ""
    for word in filter(None, _WORDS.split(text)):
        high = [c for c in word if ord(c) > 0x7F]
        if not high:
            continue
        ideographs = [c for c in word if _is_ideograph(c)]
        if not ideographs and all(c.isalpha() and ord(c) < 0x250 for c in high):
            score += score_single_byte(word, specific=False)
            continue
        score += sum(character_weight(c) if c not in "·•" else 0.5 for c in high)
        letters = sum(c.isascii() and c.isalpha() for c in word)
        score -= 3.0 * min(letters, 2) if letters else 0.0
        chinese_so_far += "".join(ideographs)
    weights = surnames()
    head = max((weights.get(chinese_so_far[:length], 0.0) for length in (1, 2)), default=0.0)
    score += head if len(chinese_so_far) >= 2 else head / 3
    return score


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


def _is_ideograph(character: str) -> bool:
    return "\u3400" <= character <= "\u9fff" or "\U00020000" <= character <= "\U0003ffff"
