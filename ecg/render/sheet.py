"""A recording laid out on paper, in exact millimetres.

The promise: one second is ``speed_mm_s`` millimetres and one millivolt is ``gain_mm_mv`` millimetres,
everywhere on the sheet, whatever the layout; a lead that is absent or off is named as such in its place.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ecg.recording import Recording
from ecg.render.heading import Mark, marks_of
from ecg.render.layouts import rows_of
from ecg.render.options import SheetHeading, SheetOptions
from ecg.render.trace import polylines, resting_level_uv, window
from ecg.render.words import WORDS

PAGE_S = 10.0                # what a resting sheet shows
MARGIN_MM = 13.5             # printers leave it blank; on A4 it leaves 270 mm of grid
HEAD_MM, FOOT_MM = 36.0, 12.0
BEFORE_TRACE_MM, AFTER_TRACE_MM = 15.0, 5.0
PULSE_MV, PULSE_S = 1.0, 0.2
LEAST_ROW_MM = 5.0
HEADROOM_MM = 6.0            # more room above the first row where rows are narrow: R waves point up


@dataclass(frozen=True)
class Rect:
    x_mm: float
    y_mm: float
    width_mm: float
    height_mm: float


@dataclass(frozen=True)
class Strip:
    """One lead in one place. ``x0_mm`` is where ``start_s`` of the recording stands, ``baseline_mm`` where
    ``level_uv`` stands; ``runs`` are arrays (points, 2) of millimetres. ``remark`` is "", "missing" (the
    file has no such lead), "no_data" (nothing was recorded in these seconds), "lead_off" or "off_paper" (part
    of the trace lies above or below the ruling and is cut off there)."""

    lead: str
    x0_mm: float
    baseline_mm: float
    width_mm: float
    top_mm: float
    height_mm: float
    start_s: float
    duration_s: float
    level_uv: float
    runs: tuple[np.ndarray, ...]
    remark: str = ""


@dataclass(frozen=True)
class Sheet:
    """Everything that is drawn, in millimetres from the upper left corner of the paper.

    ``pulses``: the calibration pulses, arrays (points, 2). ``separators``: short upright lines
    between columns as (x, top, bottom). ``seconds``: how much of the recording the sheet covers."""

    options: SheetOptions
    title: str
    grid: Rect
    strips: tuple[Strip, ...]
    pulses: tuple[np.ndarray, ...]
    separators: tuple[tuple[float, float, float], ...]
    marks: tuple[Mark, ...]
    seconds: float
    recording_s: float

    @property
    def paper_mm(self) -> tuple[float, float]:
        return self.options.paper_mm


def compose(recording: Recording, options: SheetOptions = SheetOptions(), heading: SheetHeading = SheetHeading(),
            leads_off: tuple[str, ...] = ()) -> Sheet:
    """Lay a recording out on paper.

    ``recording`` is drawn as it is: whoever names ``options.filters`` has applied them before. On A4 a row
    is 250 mm: 10 s at 25 mm/s and 5 s at 50 mm/s (the columns shrink with it, and ``start_s`` turns the
    page); at 12.5 mm/s a recording of 20 s or more fills the row. ``leads_off`` are marked and still drawn.
    Each strip's baseline is its own median (``level_uv``), since a surface ECG has no absolute zero.
    """
    grid = _grid(options)
    width_mm = grid.width_mm - BEFORE_TRACE_MM - AFTER_TRACE_MM
    seconds = _seconds(options, width_mm, recording.duration_s)
    simultaneous = options.columns == "simultaneous" or (
        options.columns == "auto" and recording.duration_s < seconds - 1.0 / recording.rate_hz)
    rows = rows_of(options.layout, options.rhythm_lead, recording.leads)
    headroom_mm = HEADROOM_MM if len(rows) > 6 else 0.0
    row_mm = max(LEAST_ROW_MM, (grid.height_mm - headroom_mm) / max(1, len(rows)))
    x0_mm = grid.x_mm + BEFORE_TRACE_MM
    strips, pulses, separators = [], [], []
    for number, leads in enumerate(rows):
        top_mm = grid.y_mm + headroom_mm + number * row_mm
        baseline_mm = grid.y_mm + round(headroom_mm + (number + 0.5) * row_mm)
        if _pulse_has_room(options, grid, baseline_mm, len(rows) - 1 - number, row_mm):
            pulses.append(_pulse(options, x0_mm, baseline_mm))
        column_s = seconds / len(leads)
        for column, lead in enumerate(leads):
            left_mm = x0_mm + column * column_s * options.speed_mm_s
            start_s = options.start_s + (0.0 if simultaneous else column * column_s)
            strips.append(_strip(recording, options, grid, lead, left_mm, baseline_mm, top_mm, row_mm,
                                 start_s, column_s, leads_off))
            if column:
                separators.append((left_mm, baseline_mm - 4.0, baseline_mm + 4.0))
    words = WORDS[options.language]
    title = " ".join(part for part in (words["title"], heading.name, heading.patient_id) if part)
    shown = {lead for row in rows for lead in row}
    further = tuple(lead for lead in recording.leads if lead not in shown)
    together = simultaneous and any(len(row) > 1 for row in rows)
    marks = marks_of(options, heading, grid, strips, recording.filters_as_written, further, together)
    return Sheet(options, title, grid, tuple(strips), tuple(pulses), tuple(separators), marks, seconds,
                 recording.duration_s)


def _grid(options: SheetOptions) -> Rect:
    """The ruled part: whole 5 mm squares between the margins, centred."""
    width_mm, height_mm = options.paper_mm
    ruled_mm = 5.0 * math.floor((width_mm - 2 * MARGIN_MM) / 5.0)
    return Rect((width_mm - ruled_mm) / 2, HEAD_MM, ruled_mm,
                5.0 * math.floor((height_mm - HEAD_MM - FOOT_MM) / 5.0))


def _seconds(options: SheetOptions, width_mm: float, recording_s: float) -> float:
    """Seconds of one row: ten, more when a slow paper has room for whole tens that were recorded, less
    when a fast paper has no room for ten."""
    whole_tens = max(1, math.floor((recording_s - options.start_s) / PAGE_S + 1e-9))
    return min(width_mm / options.speed_mm_s, PAGE_S * whole_tens)


def _pulse_has_room(options: SheetOptions, grid: Rect, baseline_mm: float, rows_below: int, row_mm: float) -> bool:
    """Where rows are lower than the pulse it stands in every second or third row, and always on the grid."""
    high_mm = PULSE_MV * options.gain_mm_mv
    every = math.ceil((high_mm + 1.0) / row_mm)
    return rows_below % every == 0 and baseline_mm - high_mm >= grid.y_mm


def _pulse(options: SheetOptions, x0_mm: float, baseline_mm: float) -> np.ndarray:
    """One millivolt for 200 ms, with a foot on each side, ending before the trace begins."""
    long_mm, high_mm = PULSE_S * options.speed_mm_s, PULSE_MV * options.gain_mm_mv
    foot_mm = 1.5
    left = x0_mm - 1.5 - long_mm - foot_mm
    up, down = left, left + long_mm
    return np.array([(up - foot_mm, baseline_mm), (up, baseline_mm), (up, baseline_mm - high_mm),
                     (down, baseline_mm - high_mm), (down, baseline_mm), (down + foot_mm, baseline_mm)])


def _strip(recording, options, grid, lead, x0_mm, baseline_mm, top_mm, row_mm, start_s, duration_s,
           leads_off) -> Strip:
    runs, level_uv, remark = (), 0.0, "missing"
    if lead in recording.leads:
        first, samples_uv = window(recording.lead(lead), recording.rate_hz, start_s, duration_s)
        level_uv = resting_level_uv(samples_uv)
        runs = polylines(samples_uv, first, recording.rate_hz, start_s=start_s, level_uv=level_uv, x0_mm=x0_mm,
                         baseline_mm=baseline_mm, speed_mm_s=options.speed_mm_s, gain_mm_mv=options.gain_mm_mv)
        remark = "lead_off" if lead in leads_off else "no_data" if not runs else _beyond(grid, runs)
    return Strip(lead, x0_mm, baseline_mm, duration_s * options.speed_mm_s, top_mm, row_mm, start_s, duration_s,
                 level_uv, runs, remark)


def _beyond(grid: Rect, runs: tuple[np.ndarray, ...]) -> str:
    highest, lowest = min(run[:, 1].min() for run in runs), max(run[:, 1].max() for run in runs)
    return "off_paper" if highest < grid.y_mm or lowest > grid.y_mm + grid.height_mm else ""
