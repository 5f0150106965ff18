"""The sheet as a PDF of the paper's exact size: vectors, with embedded fonts.

The SVG is placed on the page by typst, which the hub's letters use as well: one drawing then serves screen
and print, and Chinese names need an embedded, subset font, which a writer of our own would have to redo.
"""
from __future__ import annotations

from collections.abc import Sequence

import typst

from ecg.render.sheet import Sheet
from ecg.render.svg import svg

_PAGE = b"""
#set document(title: sys.inputs.title, date: none)
#set page(width: float(sys.inputs.width) * 1mm, height: float(sys.inputs.height) * 1mm, margin: 0mm)
#image(bytes(sys.inputs.svg), format: "svg", width: 100%, height: 100%)
"""


class SheetFontMissing(ValueError):
    """A PDF was asked for without any font to write Chinese with."""

    zh = "未提供中文字体，无法生成心电图 PDF"
    en = "no font was given, the ECG cannot be written as PDF"

    def __init__(self):
        super().__init__(self.en)


def pdf(sheet: Sheet, font_paths: Sequence[str]) -> bytes:
    """One page of PDF, the paper's size in millimetres, the same bytes for the same sheet and fonts.

    ``font_paths``: folders with a font that covers Chinese (Noto Sans SC); the system's own fonts are not
    looked at, so that every machine writes the same page. Raises SheetFontMissing when there are none."""
    if not font_paths:
        raise SheetFontMissing()
    width_mm, height_mm = sheet.paper_mm
    return typst.compile(
        _PAGE, format="pdf", font_paths=list(font_paths), ignore_system_fonts=True, timestamp=0, pdf_tags=False,
        sys_inputs={"svg": svg(sheet), "width": f"{width_mm:g}", "height": f"{height_mm:g}", "title": sheet.title})
