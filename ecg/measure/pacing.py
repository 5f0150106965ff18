"""Pacing spikes: deflections of two or three milliseconds that stand before the QRS or the P wave of many beats.

Seen only where the cart sampled fast enough (at least 400 Hz) and did not filter them away.
"""
from __future__ import annotations

import numpy as np

from ..dsp.ranks import quantiles
from ..dsp.spectrum import fill_gaps
from ..findings import Analysis
from ..recording import Recording

SLOWEST_HZ = 400.0
HALF_S = 0.005
SPIKE_UV = 150.0


def spikes_before(recording: Recording, analysis: Analysis) -> tuple[float | None, float | None]:
    """Share of beats with a spike in the 70 ms around and before the QRS onset, and 90-280 ms before it."""
    rate = recording.rate_hz
    beats = [beat for beat in analysis.beats if beat.qrs_on is not None][:120]
    if rate < SLOWEST_HZ or len(beats) < 3:
        return None, None
    rows = [row for row, name in enumerate(recording.leads) if name not in analysis.quality.leads_off]
    last = min(recording.samples_uv.shape[1], beats[-1].r + int(rate))
    usable = slice(None) if len(rows) == len(recording.leads) else rows
    filled, _ = fill_gaps(recording.samples_uv[usable, :last])
    filled = filled.astype(np.float32)
    half = max(int(round(HALF_S * rate)), 2)
    sharp = np.zeros_like(filled)
    sharp[:, half:-half] = filled[:, half:-half] - 0.5 * (filled[:, :-2 * half] + filled[:, 2 * half:])
    aside = np.abs(filled[:, 2 * half:] - filled[:, :-2 * half])
    sharp = np.abs(sharp)
    sharp[:, half:-half] -= 0.8 * aside                             # a QRS edge climbs; a spike comes back
    top = _second(sharp) if len(rows) >= 3 else sharp.max(axis=0)
    ground = quantiles(top, (0.90,))[0]
    is_spike = top > max(SPIKE_UV, 6.0 * ground)
    before = np.concatenate([[0], np.cumsum(is_spike)])             # spikes before each sample
    return (_share(before, beats, rate, 0.050, -0.020), _share(before, beats, rate, 0.280, 0.090))


def _second(rows: np.ndarray) -> np.ndarray:
    """The second largest over rows, at each sample."""
    first, second = np.maximum(rows[0], rows[1]), np.minimum(rows[0], rows[1])
    for row in rows[2:]:
        second = np.maximum(second, np.minimum(first, row))
        first = np.maximum(first, row)
    return second


def _share(spikes_before: np.ndarray, beats, rate: float, before_s: float, until_s: float) -> float:
    on = np.array([beat.qrs_on for beat in beats])
    first, last = (np.clip(on - int(ahead_s * rate), 0, len(spikes_before) - 1) for ahead_s in (before_s, until_s))
    return float(np.mean(spikes_before[last] > spikes_before[first]))
