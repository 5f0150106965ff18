"""The true drawing of an ECG: arrays in, drawings in exact millimetres out.

``compose`` lays a recording out on paper, ``svg`` writes it for a page, ``pdf`` for a printer. Nothing
here filters, measures or guesses: what is drawn is what the recording holds, and what is absent is said.
"""
from ecg.render.beats import beats_svg
from ecg.render.layouts import layout_for
from ecg.render.options import BadSheetOption, SheetHeading, SheetOptions, options_from_query
from ecg.render.pdf import SheetFontMissing, pdf
from ecg.render.sheet import Mark, Rect, Sheet, Strip, compose
from ecg.render.svg import svg

__all__ = [
    "BadSheetOption", "Mark", "Rect", "Sheet", "SheetFontMissing", "SheetHeading", "SheetOptions", "Strip",
    "beats_svg", "compose", "layout_for", "options_from_query", "pdf", "svg",
]
