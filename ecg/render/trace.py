"""From samples to lines on paper: microvolts and seconds become millimetres, and gaps stay open."""
from __future__ import annotations

import math

import numpy as np

FARTHEST_MM = 2000.0   # beyond any paper: keeps the numbers of an absurd sample finite


def window(samples_uv: np.ndarray, rate_hz: float, start_s: float, duration_s: float) -> tuple[int, np.ndarray]:
    """The samples whose instants lie in [start, start + duration], and the index of the first.

    Sample k stands at k / rate_hz seconds. The result is empty where the recording has ended."""
    first = max(0, math.ceil(start_s * rate_hz - 1e-6))
    last = math.floor((start_s + duration_s) * rate_hz + 1e-6)
    return first, samples_uv[first:last + 1]


def resting_level_uv(samples_uv: np.ndarray) -> float:
    """The level drawn on the baseline: the median of the finite samples, 0 where there are none.

    A surface ECG has no absolute zero; the electrodes' offset would carry the trace off the paper."""
    finite = samples_uv[np.isfinite(samples_uv)]
    return float(np.median(finite)) if finite.size else 0.0


def polylines(samples_uv: np.ndarray, first: int, rate_hz: float, *, start_s: float, level_uv: float,
              x0_mm: float, baseline_mm: float, speed_mm_s: float, gain_mm_mv: float) -> tuple[np.ndarray, ...]:
    """The unbroken runs of a lead as arrays (points, 2) of millimetres, x to the right and y downward.

    A run ends at every sample that is not finite and the next begins after it, so that a gap is never
    bridged. A single sample between two gaps is a run of one point."""
    instants_s = (first + np.arange(samples_uv.size)) / rate_hz
    x_mm = x0_mm + (instants_s - start_s) * speed_mm_s
    rise_mm = (samples_uv - level_uv) / 1000.0 * gain_mm_mv
    finite = np.isfinite(samples_uv)
    y_mm = baseline_mm - np.clip(np.where(finite, rise_mm, 0.0), -FARTHEST_MM, FARTHEST_MM)
    points = np.column_stack((x_mm, y_mm))
    edges = np.flatnonzero(np.diff(np.concatenate(([False], finite, [False])).astype(np.int8)))
    return tuple(points[begin:end] for begin, end in zip(edges[::2], edges[1::2]))
