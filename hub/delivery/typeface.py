"""The typeface of the letters, and which characters it can show.

A report is never allowed to lose a character on its way to paper: what the typeface cannot draw is
replaced by the geta mark 〓, as Chinese printers do, and reported with its code point so that the letter
can say so. Characters that draw nothing (controls, direction overrides, zero-width marks) are taken out:
they could only hide or reorder what a physician wrote.

The typeface is Noto Sans CJK (SIL Open Font License 1.1), one variable font with every weight, from the
package manimgx-fonts-cjk.
"""

import importlib.util
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fontTools.ttLib import TTCollection

from hub.errors import Permanent

FAMILY = "Noto Sans CJK SC"
FILE = "NotoSansCJK-VF.otf.ttc"
PACKAGE = "manimgx_fonts_cjk"
GETA = "〓"

_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_LETTERLIKE = ("Co", "Cs", "Cn")


@dataclass(frozen=True)
class Missing:
    """A character that could not be drawn: its place in the text as shown (0 is the first) and itself."""

    position: int
    character: str

    @property
    def code_point(self) -> str:
        """As the Unicode tables write it: U+20BB7."""
        return f"U+{ord(self.character):04X}"


@dataclass(frozen=True)
class Legible:
    """Text that the typeface can show, line ends as \\n, and what it could not show."""

    text: str
    missing: tuple[Missing, ...]


def font_folder() -> Path:
    """The folder that holds the typeface. Permanent ``letter.font_missing`` where it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(place) / FILE).is_file():
            return Path(place)
    raise Permanent(
        "letter.font_missing",
        "未安装报告字体（manimgx-fonts-cjk），无法生成报告文件；请按 requirements.txt 安装后重试。",
        "The report typeface (manimgx-fonts-cjk) is not installed; install requirements.txt and try again.",
    )


def legible(text: str) -> Legible:
    """Every visible character of ``text`` is kept or replaced by 〓 and named in ``missing``."""
    shown, missing = [], []
    for character in _LINE_ENDS.sub("\n", text):
        if character == "\n":
            shown.append(character)
        elif character == "\t":
            shown.extend("    ")
        elif _draws_nothing(character):
            continue
        elif ord(character) in _code_points() and unicodedata.category(character) not in _LETTERLIKE:
            shown.append(character)
        else:
            missing.append(Missing(len(shown), character))
            shown.append(GETA)
    return Legible("".join(shown), tuple(missing))


def _draws_nothing(character: str) -> bool:
    """Controls, format marks, and the variation selectors that only choose among shapes of one character."""
    code = ord(character)
    return (unicodedata.category(character) in ("Cc", "Cf")
            or 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF)


@lru_cache(maxsize=1)
def _code_points() -> frozenset[int]:
    """Every code point with a glyph, read from the font's own character map."""
    collection = TTCollection(font_folder() / FILE, lazy=True)
    for font in collection.fonts:
        if font["name"].getBestFamilyName() == FAMILY:
            return frozenset(font.getBestCmap())
    raise Permanent(
        "letter.font_changed",
        f"字体文件中没有 {FAMILY}，无法生成报告文件；请安装 requirements.txt 指定的版本。",
        f"The font file holds no {FAMILY}; install the version that requirements.txt names.",
    )
