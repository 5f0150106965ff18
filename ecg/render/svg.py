"""The sheet as SVG: one user unit is one millimetre, every lead is a path that knows where it stands.

No script, no style: presentation attributes only, so that the strictest page policy shows it. Text is
escaped and free of characters that XML forbids or that reverse the reading direction. The ruling is drawn
as lines and not as a repeated tile: tiles blur on screens and leave seams in print.
"""
from __future__ import annotations

from html import escape

import numpy as np

from ecg.render.sheet import Mark, Sheet, Strip

FONTS = ("Noto Sans SC, Noto Sans CJK SC, Source Han Sans SC, PingFang SC, Microsoft YaHei, "
         "WenQuanYi Micro Hei, Noto Sans, Arial, sans-serif")
PAPER, MINOR, MAJOR = "#fffdf8", "#f5cdc9", "#e7a09b"
INK, QUIET, WARNING = "#15171a", "#5c6066", "#a4161a"
TRACE_MM, PULSE_MM, MINOR_MM, MAJOR_MM = 0.28, 0.28, 0.1, 0.2
_COLOUR = {"remark": WARNING, "status": WARNING, "place": QUIET, "patient": INK, "note": QUIET, "scale": INK,
           "measurement-label": QUIET}
_BIDI = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C])


def svg(sheet: Sheet, id_prefix: str = "ecg") -> str:
    """The sheet as an SVG document, width and height in millimetres, coordinates to 0.01 mm.

    Each lead is ``<path data-lead data-t0 data-x0-mm data-baseline-mm data-top-mm data-height-mm
    data-width-mm data-start-s data-duration-s data-level-uv>``, with an empty path where there is nothing
    to draw; the root carries the scale. ``id_prefix`` keeps two sheets on one page apart (letters, digits
    and hyphens; ValueError otherwise)."""
    if not (id_prefix.replace("-", "a").isalnum() and id_prefix.isascii() and id_prefix[0].isalpha()):
        raise ValueError("id_prefix must be letters, digits and hyphens")
    width_mm, height_mm = map(_mm, sheet.paper_mm)
    options, grid = sheet.options, sheet.grid
    box = f'x="{_mm(grid.x_mm)}" y="{_mm(grid.y_mm)}" width="{_mm(grid.width_mm)}" height="{_mm(grid.height_mm)}"'
    return "\n".join((
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width_mm}mm" height="{height_mm}mm" '
        f'viewBox="0 0 {width_mm} {height_mm}" role="img" lang="{"zh-CN" if options.language == "zh" else "en"}" '
        f'font-family="{FONTS}" data-layout="{options.layout}" data-speed-mm-s="{options.speed_mm_s:g}" '
        f'data-gain-mm-mv="{options.gain_mm_mv:g}" data-start-s="{options.start_s:g}" '
        f'data-seconds="{sheet.seconds:g}" data-recording-s="{sheet.recording_s:g}" '
        f'data-filters="{",".join(options.filters)}">',
        f"<title>{xml_text(sheet.title)}</title>",
        f'<defs><clipPath id="{id_prefix}-paper"><rect {box}/></clipPath></defs>',
        f'<rect width="{width_mm}" height="{height_mm}" fill="{PAPER}"/>',
        _ruling(sheet),
        f'<g class="pulses" fill="none" stroke="{INK}" stroke-width="{PULSE_MM}" stroke-linejoin="miter">',
        *(f'<path class="pulse" d="{path_data((pulse,))}"/>' for pulse in sheet.pulses),
        "</g>",
        f'<path class="separators" fill="none" stroke="{INK}" stroke-width="0.2" '
        f'd="{"".join(f"M{_mm(x)} {_mm(top)}V{_mm(foot)}" for x, top, foot in sheet.separators)}"/>',
        f'<g class="traces" clip-path="url(#{id_prefix}-paper)" fill="none" stroke="{INK}" '
        f'stroke-width="{TRACE_MM}" stroke-linejoin="round" stroke-linecap="round">',
        *map(_strip, sheet.strips),
        "</g>",
        '<g class="words">',
        *map(_mark, sheet.marks),
        "</g>",
        "</svg>\n",
    ))


def path_data(runs: tuple[np.ndarray, ...]) -> str:
    """Runs of points in millimetres as compact path data. Places are rounded to 0.01 mm before the steps
    between them are taken, so errors never add up; equal steps in a row become one, which draws the same."""
    return "".join(_run(np.rint(run * 100).astype(np.int64)) for run in runs)


def _run(places: np.ndarray) -> str:
    start = f"M{_hundredths(places[0, 0])} {_hundredths(places[0, 1])}"
    if len(places) == 1:
        return start + "h0"
    steps = np.diff(places, axis=0)
    ends = np.concatenate((np.flatnonzero(np.any(steps[1:] != steps[:-1], axis=1)) + 1, [len(steps)]))
    merged = np.diff(places[np.concatenate(([0], ends))], axis=0)
    written = []
    for dx, dy in merged.tolist():
        across, down = _hundredths(dx), _hundredths(dy)
        written.append(f"{across}{down}" if down.startswith("-") else f"{across} {down}")
    line = start + "l" + written[0]
    return line + "".join(step if step.startswith("-") else " " + step for step in written[1:])


def _hundredths(count: int) -> str:
    """An integer of 0.01 mm written as millimetres in as few characters as SVG allows."""
    sign, count = ("-", -count) if count < 0 else ("", count)
    whole, part = divmod(int(count), 100)
    tail = f".{part:02d}".rstrip("0") if part else ""
    return f"{sign}{whole or ''}{tail}" if whole or tail else "0"


def _mm(value: float) -> str:
    return _hundredths(round(value * 100))


def _ruling(sheet: Sheet) -> str:
    return (f'<g class="ruling" fill="none"><path class="minor" stroke="{MINOR}" stroke-width="{MINOR_MM}" '
            f'd="{_lines(sheet, minor=True)}"/><path class="major" stroke="{MAJOR}" stroke-width="{MAJOR_MM}" '
            f'stroke-linecap="square" d="{_lines(sheet, minor=False)}"/></g>')


def _lines(sheet: Sheet, minor: bool) -> str:
    grid = sheet.grid
    wanted = [offset for offset in range(round(max(grid.width_mm, grid.height_mm)) + 1) if bool(offset % 5) == minor]
    upright = [f"M{_mm(grid.x_mm + at)} {_mm(grid.y_mm)}v{_mm(grid.height_mm)}" for at in wanted if at <= grid.width_mm]
    level = [f"M{_mm(grid.x_mm)} {_mm(grid.y_mm + at)}h{_mm(grid.width_mm)}" for at in wanted if at <= grid.height_mm]
    return "".join(upright + level)


def _strip(strip: Strip) -> str:
    return (f'<path data-lead="{xml_text(strip.lead)}" data-t0="{strip.start_s:g}" data-start-s="{strip.start_s:g}" '
            f'data-duration-s="{strip.duration_s:g}" data-x0-mm="{_mm(strip.x0_mm)}" '
            f'data-width-mm="{_mm(strip.width_mm)}" data-baseline-mm="{_mm(strip.baseline_mm)}" '
            f'data-top-mm="{_mm(strip.top_mm)}" data-height-mm="{_mm(strip.height_mm)}" '
            f'data-level-uv="{strip.level_uv:g}" data-remark="{strip.remark}" d="{path_data(strip.runs)}"/>')


def _mark(mark: Mark) -> str:
    anchor = ' text-anchor="end"' if mark.anchor == "end" else ""
    weight = ' font-weight="600"' if mark.bold else ""
    halo = ""
    if mark.kind in ("lead", "remark"):
        halo = f' stroke="{PAPER}" stroke-width="0.7" stroke-linejoin="round" paint-order="stroke"'
    return (f'<text class="{mark.kind}" x="{_mm(mark.x_mm)}" y="{_mm(mark.y_mm)}" font-size="{_mm(mark.size_mm)}" '
            f'fill="{_COLOUR.get(mark.kind, INK)}"{anchor}{weight}{halo} xml:space="preserve">{xml_text(mark.text)}</text>')


def xml_text(text: str) -> str:
    """Safe inside an element and inside a quoted attribute of XML 1.0."""
    return escape("".join(char if _xml_allows(char) else "\ufffd" for char in text.translate(_BIDI)), quote=True)


def _xml_allows(char: str) -> bool:
    point = ord(char)
    return (point in (0x9, 0xA, 0xD) or 0x20 <= point <= 0x7E or 0xA0 <= point <= 0xD7FF
            or 0xE000 <= point <= 0xFFFD or 0x10000 <= point <= 0x10FFFF)
