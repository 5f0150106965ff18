"""Two median beats over each other, lead by lead, on true paper: 50 mm/s and 10 mm/mV, the earlier one in grey.

One box a lead, four boxes a row in the order of the sheet. Each beat stands on its own level just before the QRS
complex, so that a shift of the ST segment is seen as what it is.
"""
from __future__ import annotations

import numpy as np

from ecg.recording import STANDARD_LEADS
from ecg.render.svg import FONTS, INK, MAJOR, MAJOR_MM, MINOR, MINOR_MM, PAPER, QUIET, path_data, xml_text
from ecg.render.trace import polylines

SPEED_MM_S, GAIN_MM_MV = 50.0, 10.0
BOX_MM = (45.0, 40.0)            # whole 5 mm squares
COLUMNS, GAP_MM = 4, 3.0
BASELINE_MM, ONSET_MM = 25.0, 15.0
LEVEL_S = (0.02, 0.008)          # before the QRS onset: the level on which both beats stand
BEFORE_MM, NOW_MM = 0.5, 0.3
EARLIER = "#8b93a0"
WORDS = {"zh": ("前次", "本次"), "en": ("previous", "this one")}


def beats_svg(leads: tuple[str, ...], before_uv: np.ndarray, now_uv: np.ndarray, rate_hz: float, onset: int,
              remarks: dict[str, str] | None = None, language: str = "zh") -> str:
    """The drawing as an SVG document in millimetres. ``before_uv``, ``now_uv``: (leads, samples) microvolts, NaN for
    gaps; ``onset``: the sample of the QRS onset, 0 <= onset < samples; ``remarks``: lead -> a word for its box."""
    order = sorted(range(len(leads)), key=lambda row: _place(leads[row]))
    columns = min(COLUMNS, max(1, len(order)))
    rows = -(-len(order) // columns)
    width = columns * BOX_MM[0] + (columns - 1) * GAP_MM
    height = rows * (BOX_MM[1] + GAP_MM)
    boxes = []
    for number, row in enumerate(order):
        across, down = (number // rows, number % rows)
        at = (across * (BOX_MM[0] + GAP_MM), down * (BOX_MM[1] + GAP_MM))
        boxes.append(_box(leads[row], at, before_uv[row], now_uv[row], rate_hz, onset, (remarks or {}).get(leads[row], "")))
    earlier, this = WORDS[language]
    return "\n".join((
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}mm" height="{height:g}mm" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'lang="{"zh-CN" if language == "zh" else "en"}" font-family="{FONTS}" data-speed-mm-s="{SPEED_MM_S:g}" data-gain-mm-mv="{GAIN_MM_MV:g}">',
        f"<title>{earlier} / {this}</title>", *boxes, "</svg>\n"))


def _place(lead: str) -> tuple[int, str]:
    return (STANDARD_LEADS.index(lead), "") if lead in STANDARD_LEADS else (len(STANDARD_LEADS), lead)


def _box(lead: str, at: tuple[float, float], before_uv, now_uv, rate_hz: float, onset: int, remark: str) -> str:
    x, y = at
    width, height = BOX_MM
    ruling = "".join(f'<path class="{name}" fill="none" stroke="{colour}" stroke-width="{thick}" d="{_lines(x, y, step)}"/>'
                     for name, colour, thick, step in (("minor", MINOR, MINOR_MM, 1), ("major", MAJOR, MAJOR_MM, 5)))
    traces = "".join(
        f'<path class="{name}" data-lead="{xml_text(lead)}" data-baseline-mm="{y + BASELINE_MM:g}" fill="none" stroke="{colour}" stroke-width="{thick}" '
        f'stroke-linejoin="round" d="{path_data(_runs(samples, rate_hz, onset, x, y))}"/>'
        for name, colour, thick, samples in (("before", EARLIER, BEFORE_MM, before_uv), ("now", INK, NOW_MM, now_uv)))
    words = f'<text class="lead" x="{x + 1.5:g}" y="{y + 5:g}" font-size="4" font-weight="600" fill="{INK}">{xml_text(lead)}</text>'
    if remark:
        words += f'<text class="remark" x="{x + width - 1.5:g}" y="{y + 5:g}" font-size="3.2" text-anchor="end" fill="{QUIET}">{xml_text(remark)}</text>'
    return (f'<svg x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" viewBox="{x:g} {y:g} {width:g} {height:g}">'
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{PAPER}"/>{ruling}{traces}{words}</svg>')


def _lines(x: float, y: float, step: int) -> str:
    width, height = BOX_MM
    upright = "".join(f"M{x + at:g} {y:g}v{height:g}" for at in range(0, int(width) + 1, step))
    return upright + "".join(f"M{x:g} {y + at:g}h{width:g}" for at in range(0, int(height) + 1, step))


def _runs(samples_uv: np.ndarray, rate_hz: float, onset: int, x: float, y: float) -> tuple[np.ndarray, ...]:
    first, last = (max(0, onset - int(round(one * rate_hz))) for one in LEVEL_S)
    level = samples_uv[first:last + 1]
    level = level[np.isfinite(level)]
    return polylines(samples_uv, 0, rate_hz, start_s=onset / rate_hz, level_uv=float(np.median(level)) if level.size else 0.0,
                     x0_mm=x + ONSET_MM, baseline_mm=y + BASELINE_MM, speed_mm_s=SPEED_MM_S, gain_mm_mv=GAIN_MM_MV)
