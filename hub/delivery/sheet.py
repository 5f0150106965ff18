"""An ECG sheet dressed for paper: its size in millimetres, its words in the letter's typeface.

The drawing itself is left as it is. Only the text elements are given the typeface and weight of the letter,
and a character the typeface lacks becomes 〓 there too. A sheet that does not say its size in millimetres is
refused: it could not be printed at true scale.
"""

import re
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError, tostring

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from hub.delivery.typeface import FAMILY, Missing, legible
from hub.errors import Invalid

SHEET_BYTES_LIMIT = 20_000_000
_SVG = "{http://www.w3.org/2000/svg}"
_HEAVY = re.compile(r"bold|bolder|[6-9]00")
_STYLED_WEIGHT = re.compile(r"font-weight\s*:\s*([a-z0-9]+)")


@dataclass(frozen=True)
class Sheet:
    """The drawing ready to be placed, its size in mm, and the characters it cannot show."""

    svg: bytes
    width_mm: float
    height_mm: float
    missing: tuple[Missing, ...]


def prepare_sheet(svg: bytes) -> Sheet:
    """The sheet in the letter's typeface.

    Raises Invalid ``letter.sheet``: no well-formed SVG, document type or entities in it, a root without
    ``width`` and ``height`` in mm (0 < size <= 2000), or larger than 20 MB.
    """
    try:
        root = ElementTree.fromstring(svg, forbid_dtd=True) if len(svg) <= SHEET_BYTES_LIMIT else None
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise _refusal() from error
    if root is None or root.tag != f"{_SVG}svg":
        raise _refusal()
    width_mm, height_mm = _length_mm(root.get("width")), _length_mm(root.get("height"))
    if not (0 < width_mm <= 2000 and 0 < height_mm <= 2000):
        raise _refusal()
    missing: list[Missing] = []
    for element in root.iter():
        _dress(element, is_root=element is root)
        if element.tag in (f"{_SVG}text", f"{_SVG}tspan"):
            element.text = _read(element.text, missing)
            for child in element:
                child.tail = _read(child.tail, missing)
    return Sheet(tostring(root, encoding="utf-8"), width_mm, height_mm, tuple(missing))


def _dress(element: Element, *, is_root: bool) -> None:
    """The typeface is one variable font: its weight is an axis, and SVG renderers want it said in full."""
    if is_root or element.get("font-family") is not None:
        element.set("font-family", FAMILY)
    style = element.get("style", "")
    styled = _STYLED_WEIGHT.search(style)
    weight = styled.group(1) if styled else element.get("font-weight")
    if is_root or weight is not None:
        axis = 700 if weight is not None and _HEAVY.fullmatch(weight) else 400
        element.set("style", f"{style.rstrip('; ')};font-variation-settings:'wght' {axis}".lstrip(";"))


def _read(words: str | None, missing: list[Missing]) -> str | None:
    if words is None:
        return None
    shown = legible(words)
    missing.extend(shown.missing)
    return shown.text


def _length_mm(text: str | None) -> float:
    found = re.fullmatch(r"\s*([0-9]{1,4}(?:\.[0-9]+)?)mm\s*", text or "")
    return float(found.group(1)) if found else 0.0


def _refusal() -> Invalid:
    return Invalid("letter.sheet", "心电图纸不是带毫米尺寸的 SVG，无法按真实比例打印；请重新生成心电图纸。",
                   "The ECG sheet is no SVG with its size in mm; draw it again to print it at true scale.")
