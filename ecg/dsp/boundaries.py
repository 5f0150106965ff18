"""Where P, QRS and T begin and end in an averaged beat, lead by lead.

QRS edges are where the slope leaves, or comes back to, a small share of its steepest. P and T edges are
where the area between the wave and a level line through its edge is largest over a sliding window
(Zhang et al. 2006, the trapezium's one-sided form): it needs no threshold and forgives noise.
"""
from __future__ import annotations

import numpy as np

from .spectrum import low_pass

POINTS = ("p_on", "p_peak", "p_off", "qrs_on", "qrs_peak", "qrs_off", "t_on", "t_peak", "t_off")
QRS_ON_SHARE = 0.10
QRS_OFF_SHARE = 0.12
T_WINDOW_S = 0.128
P_WINDOW_S = 0.060


def delineate(templates: np.ndarray, rate_hz: float, before: int, interval_s: np.ndarray) -> np.ndarray:
    """Wave boundaries of averaged beats.

    ``templates``: (groups, leads, window) microvolts, R near ``before``; ``interval_s``: (groups, 2) usual
    time to the previous and to the next beat. Returns (groups, leads, 9) in samples of the window in the order of
    ``POINTS``, NaN where a wave is not found.
    """
    groups, leads, width = templates.shape
    rows = templates.reshape(groups * leads, width)
    result = np.full((groups * leads, len(POINTS)), np.nan)
    on, peak, off = _qrs(rows, rate_hz, before)
    result[:, 3], result[:, 4], result[:, 5] = on, peak, off
    previous, following = np.repeat(interval_s, leads, axis=0).T
    quiet = low_pass(rows, rate_hz, min(20.0, 0.2 * rate_hz))
    first_on = np.repeat(np.min(on.reshape(groups, leads), axis=1), leads)
    last_off = np.repeat(np.median(off.reshape(groups, leads), axis=1), leads)
    result[:, 6:9] = _t_wave(quiet, rate_hz, before, last_off, first_on, following).T
    t_end = np.repeat(np.nanmedian(result[:, 8].reshape(groups, leads), axis=1), leads)
    result[:, 0:3] = _p_wave(quiet, rate_hz, before, first_on, t_end - previous * rate_hz).T
    return result.reshape(groups, leads, len(POINTS))


def _slope(rows: np.ndarray, rate_hz: float, span_s: float) -> np.ndarray:
    """Microvolts per second over a centred span."""
    half = max(int(round(span_s * rate_hz / 2)), 1)
    padded = np.pad(rows, ((0, 0), (half, half)), mode="edge")
    return (padded[:, 2 * half:] - padded[:, :-2 * half]) * (rate_hz / (2 * half))


def _last_true(condition: np.ndarray) -> np.ndarray:
    return condition.shape[1] - 1 - np.argmax(condition[:, ::-1], axis=1)


def _qrs(rows: np.ndarray, rate_hz: float, before: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    place = np.arange(rows.shape[1])
    steep = np.abs(_slope(low_pass(rows, rate_hz, min(60.0, 0.3 * rate_hz)), rate_hz, 0.008))
    near = np.abs(place - before) <= 0.09 * rate_hz
    top = np.where(near, steep, 0).max(axis=1, keepdims=True)
    fast = near & (steep > 0.3 * top)
    first, last = np.argmax(fast, axis=1), _last_true(fast)
    reach = max(int(0.012 * rate_hz), 1)
    views = np.lib.stride_tricks.sliding_window_view(np.pad(steep, ((0, 0), (reach, reach)), mode="edge"), reach + 1, axis=1)
    runs = views.max(axis=2)
    calm_before, calm_after = runs[:, :len(place)], runs[:, reach:]
    floor = np.percentile(np.where((place > before - 0.2 * rate_hz) & (place < before - 0.06 * rate_hz), steep, np.nan)[
        :, int(before - 0.2 * rate_hz) + 1:int(before - 0.06 * rate_hz)], 50, axis=1, keepdims=True)
    quiet = (calm_before < np.maximum(QRS_ON_SHARE * top, 1.5 * floor)) & (place <= first[:, None])
    on = np.where(quiet.any(axis=1), _last_true(quiet), first)
    quiet = (calm_after < np.maximum(QRS_OFF_SHARE * top, 1.5 * floor)) & (place >= last[:, None])
    off = np.where(quiet.any(axis=1), np.argmax(quiet, axis=1), last)
    level = rows[np.arange(len(rows)), on][:, None]
    inside = (place >= on[:, None]) & (place <= off[:, None])
    peak = np.where(inside, np.abs(rows - level), -1).argmax(axis=1)
    return on.astype(float), peak.astype(float), off.astype(float)


def _area_before(rows: np.ndarray, count: int) -> np.ndarray:
    """At each point t: the sum over the last ``count`` samples of x - x(t)."""
    total = np.cumsum(np.pad(rows, ((0, 0), (count, 0)), mode="edge"), axis=1)
    summed = total[:, count:] - total[:, :-count]
    return summed - count * rows


def _area_after(rows: np.ndarray, count: int) -> np.ndarray:
    return _area_before(rows[:, ::-1], count)[:, ::-1]


def _pick(values: np.ndarray, place: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Where each row is largest between its limits; NaN where the limits leave nothing."""
    allowed = (place >= low[:, None]) & (place <= high[:, None])
    best = np.where(allowed, values, -np.inf).argmax(axis=1).astype(float)
    best[~allowed.any(axis=1)] = np.nan
    return best


def _t_wave(rows, rate_hz, before, off, on, following) -> np.ndarray:
    place = np.arange(rows.shape[1])
    start = off + 0.06 * rate_hz
    stop = np.minimum(before + np.minimum(0.72, following - 0.16) * rate_hz, rows.shape[1] - 0.03 * rate_hz)
    count = int(T_WINDOW_S * rate_hz)
    # the level of rest: a line from just before the QRS to the end of the search
    index = np.arange(len(rows))
    head = rows[index, np.clip(on - 0.01 * rate_hz, 0, None).astype(int)]
    tail = rows[index, np.clip(stop, 0, rows.shape[1] - 1).astype(int)]
    rest = head[:, None] + (tail - head)[:, None] * np.clip((place - on[:, None]) / np.maximum(stop - on, 1)[:, None], 0, 1)
    bump = rows - rest
    peak_stop = np.minimum(stop - 0.06 * rate_hz, before + 0.55 * rate_hz)
    peak = _pick(np.abs(bump), place, start, peak_stop)
    ok = np.isfinite(peak)
    whole = np.where(ok, peak, 0).astype(int)
    sign = np.sign(bump[index, whole])[:, None]
    end = _pick(sign * _area_before(rows, count), place, whole + 0.03 * rate_hz, stop)
    begin = _pick(sign * _area_after(rows, count), place, off, whole - 0.03 * rate_hz)
    end[~ok], begin[~ok] = np.nan, np.nan
    return np.array([begin, peak, end])


def _p_wave(rows, rate_hz, before, on, room) -> np.ndarray:
    place = np.arange(rows.shape[1])
    start = np.maximum(np.nan_to_num(room, nan=0.0), before - 0.40 * rate_hz)
    start = np.minimum(start, on - 0.12 * rate_hz)
    stop = on - 0.02 * rate_hz
    count = int(P_WINDOW_S * rate_hz)
    index = np.arange(len(rows))
    head = rows[index, np.clip(start, 0, None).astype(int)]
    tail = rows[index, np.clip(on - 0.008 * rate_hz, 0, None).astype(int)]
    rest = head[:, None] + (tail - head)[:, None] * np.clip((place - start[:, None]) / np.maximum(on - start, 1)[:, None], 0, 1)
    bump = rows - rest
    peak = _pick(np.abs(bump), place, start + 0.02 * rate_hz, stop - 0.02 * rate_hz)
    ok = np.isfinite(peak)
    whole = np.where(ok, peak, 0).astype(int)
    sign = np.sign(bump[index, whole])[:, None]
    begin = _pick(sign * _area_after(rows, count), place, np.maximum(whole - 0.1 * rate_hz, start - 0.02 * rate_hz), whole - 0.02 * rate_hz)
    end = _pick(sign * _area_before(rows, count), place, whole + 0.02 * rate_hz, np.minimum(whole + 0.1 * rate_hz, on))
    begin[~ok], end[~ok] = np.nan, np.nan
    return np.array([begin, peak, end])
