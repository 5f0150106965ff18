"""Which beats come early, which are wide and of another shape, what runs and pauses they make.

A beat is premature when its interval is clearly shorter than the usual one around it; it is called
ventricular when its QRS also has another shape and is wide or changed much. Sources: AHA/ACC/HRS 2009 part
II; ANSI/AAMI EC57 (classes N, S, V).
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..findings import Beat

PREMATURE = 0.85               # of the usual interval
LATE = 1.15
WIDER_MS = 20.0
WIDE_MS = 110.0
DOMINANT_SHARE = 0.5


@dataclass(frozen=True)
class Ectopy:
    """``ventricular``, ``atrial``: indices of premature beats among the beats; ``escape``: late wide ones;
    ``run``: the longest series of ventricular beats, ``run_rate``: its rate per minute (None below two
    beats); ``shapes``: how many shapes the ventricular beats have; ``bigeminy``: every second beat ectopic."""

    ventricular: tuple[int, ...]
    atrial: tuple[int, ...]
    escape: tuple[int, ...]
    run: int
    run_rate: float | None
    shapes: int
    bigeminy: bool


def ectopic_beats(beats: tuple[Beat, ...], rate_hz: float, likeness: np.ndarray | None = None) -> Ectopy:
    """Ectopic beats of a recording. ``likeness``: per beat the correlation with the dominant QRS, if known."""
    count = len(beats)
    if count < 3:
        return Ectopy((), (), (), 0, None, 0, False)
    r = np.array([beat.r for beat in beats]) / rate_hz * 1000.0
    shape = np.array([beat.shape for beat in beats])
    width = np.array([beat.qrs_off - beat.qrs_on if beat.qrs_on is not None and beat.qrs_off is not None else np.nan
                      for beat in beats]) / rate_hz * 1000.0
    interval = np.diff(r)
    usual = usual_intervals(interval, shape)
    before = np.r_[np.nan, interval]
    after = np.r_[interval, np.nan]
    own = np.r_[usual[:1], usual]
    other = shape != 0
    plain_width = np.nanmedian(width[~other]) if np.isfinite(width[~other]).any() else 100.0
    wide = np.nan_to_num(width) >= max(WIDE_MS, plain_width + WIDER_MS)
    early = before < PREMATURE * own
    changed = other & (likeness < 0.75) if likeness is not None else other
    paused = np.nan_to_num(after) > 1.1 * own
    first_early = np.zeros(count, dtype=bool)
    first_early[0] = other[0] and after[0] > 1.1 * own[0]
    early |= first_early
    continued = np.zeros(count, dtype=bool)
    ventricular = other & early & (wide | changed | paused)
    ventricular |= other & wide & changed & (np.nan_to_num(before, nan=1e9) < LATE * own)     # interpolated or late coupled
    for at in range(1, count):                                   # a run goes on in the same or another strange shape
        continued[at] = ventricular[at - 1] and other[at] and before[at] < 1.2 * own[at] and (wide[at] or changed[at])
        ventricular[at] |= continued[at]
    escape = other & wide & (np.nan_to_num(before) > LATE * own)
    atrial = early & ~ventricular & ~first_early & ~np.r_[False, ventricular[:-1]]
    run, rate = _longest_run(ventricular, r)
    alternate = _alternating(ventricular | atrial)
    return Ectopy(tuple(np.flatnonzero(ventricular).tolist()), tuple(np.flatnonzero(atrial).tolist()),
                  tuple(np.flatnonzero(escape).tolist()), run, rate, len(set(shape[ventricular].tolist())), alternate)


def usual_intervals(interval_ms: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """The usual interval around each interval: the running median over nine, of dominant beats where there are enough."""
    plain = (shape[:-1] == 0) & (shape[1:] == 0)
    source = interval_ms[plain] if plain.sum() >= 3 else interval_ms
    if len(interval_ms) <= 24:
        return np.full(len(interval_ms), float(np.median(source)))
    padded = np.pad(interval_ms, 8, mode="reflect")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 17), axis=1)


def _longest_run(ventricular: np.ndarray, r_ms: np.ndarray) -> tuple[int, float | None]:
    best, rate, start = 0, None, None
    for at, is_one in enumerate([*ventricular.tolist(), False]):
        if is_one and start is None:
            start = at
        elif not is_one and start is not None:
            if at - start > best:
                best = at - start
                rate = 60000.0 * (best - 1) / (r_ms[at - 1] - r_ms[start]) if best > 1 else None
            start = None
    return best, rate


def _alternating(ectopic: np.ndarray) -> bool:
    """Three ectopic beats or more, each with exactly one plain beat between it and the next."""
    at = np.flatnonzero(ectopic)
    steps = np.diff(at) == 2
    return bool(len(steps) >= 2 and (steps[:-1] & steps[1:]).any())
