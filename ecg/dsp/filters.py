"""The three filters a reader may switch on: baseline wander, mains hum, muscle tremor.

Promise: none of them shifts a wave in time, and none moves the ST segment by more than 25 microvolts on a
clean signal (AHA/ACC/HRS 2007, Circulation 115:1306; IEC 60601-2-25). The estimates of what is to be removed are made robust:
before smoothing, whatever sticks out of the estimate (QRS, T) is clipped, so that a complex cannot pull the
baseline or ring at the mains frequency. Gaps (NaN) stay gaps.
"""
from __future__ import annotations

import numpy as np

from .ranks import median
from .spectrum import apply_gain, fill_gaps, low_pass, low_passes

BASELINE_CORNER_HZ = 0.5        # AHA 2007 allows 0.67 Hz for zero-phase filters
BASELINE_CLIP_UV = 150.0        # what is larger than this is heart, not wander
BASELINE_ROUNDS = 3
BASELINE_GRID_HZ = 50.0
MAINS_WIDTH_HZ = 0.5            # standard deviation of the notch
MAINS_HZ = (50.0, 60.0)
MUSCLE_CORNER_HZ = 35.0
QRS_CORNER_HZ = 120.0


def baseline(samples_uv: np.ndarray, rate_hz: float) -> np.ndarray:
    """The slow wander of each lead, microvolts, shape as given; gaps are bridged.

    Found on means over 20 ms, which carry all of it, and drawn back to the samples with straight lines.
    """
    filled, _ = fill_gaps(samples_uv)
    length = filled.shape[1]
    if length < 2:
        return filled
    block = max(int(rate_hz / BASELINE_GRID_HZ), 1)
    count = length // block
    if block == 1 or count < 4:
        return _robust_low_pass(filled, rate_hz)
    coarse = filled[:, :count * block].reshape(len(filled), count, block) @ np.full(block, 1.0 / block)
    wander = _robust_low_pass(coarse, rate_hz / block)
    place = (np.arange(length) - (block - 1) / 2) / block
    left = np.clip(place.astype(int), 0, count - 2)
    share = place - left                          # beyond the last means the lines run on
    return np.take(wander, left, axis=1) + np.take(np.diff(wander, axis=1), left, axis=1) * share


def _robust_low_pass(rows: np.ndarray, rate_hz: float) -> np.ndarray:
    middle = median(rows)[:, None]
    wander = middle + low_pass(rows - middle, rate_hz, BASELINE_CORNER_HZ)
    for _ in range(BASELINE_ROUNDS):
        rest = np.clip(rows - wander, -BASELINE_CLIP_UV, BASELINE_CLIP_UV)
        wander = wander + low_pass(rest, rate_hz, BASELINE_CORNER_HZ)
    return wander


def remove_baseline(samples_uv: np.ndarray, rate_hz: float) -> np.ndarray:
    """The recording without baseline wander (below about 0.5 Hz), zero phase.

    ``samples_uv``: (leads, samples), microvolts, NaN for gaps; the result has the same shape and gaps.
    """
    filled, missing = fill_gaps(samples_uv)
    result = filled - baseline(filled, rate_hz)
    result[missing] = np.nan
    return result


def mains_level(samples_uv: np.ndarray, rate_hz: float) -> tuple[float | None, np.ndarray]:
    """Which mains frequency is in the recording (50.0, 60.0 or None), and the hum of each lead.

    The hum is its amplitude (half of peak to peak) in microvolts. Found where the spectrum has a line: the
    power within 0.7 Hz of the frequency stands at least eight times over its neighbourhood and the
    amplitude of the worst lead exceeds 5 microvolts.
    """
    filled, _ = fill_gaps(samples_uv)
    return mains_of(filled - low_passes(filled, rate_hz, (fast_corner(rate_hz),))[0], rate_hz)


def fast_corner(rate_hz: float) -> tuple[float, int]:
    """Corner and order of the low pass that leaves out what is too fast for waves: hum is looked for in that."""
    return min(33.0, 0.2 * rate_hz), 8


def mains_of(fast: np.ndarray, rate_hz: float) -> tuple[float | None, np.ndarray]:
    """The same from the part that is faster than ``fast_corner``, (leads, samples)."""
    leads, length = fast.shape
    found, hum = None, np.zeros(leads)
    if length < rate_hz:
        return found, hum
    calm = _calm(fast)
    calm *= np.hanning(length)
    frequency = np.fft.rfftfreq(length, 1.0 / rate_hz)
    near = np.searchsorted(frequency, (MAINS_HZ[0] - 6.5, MAINS_HZ[-1] + 6.5))
    frequency = frequency[near[0]:near[1]]
    power = np.abs(np.fft.rfft(calm, axis=1)[:, near[0]:near[1]]) ** 2
    for mains in MAINS_HZ:
        away = np.abs(frequency - mains)
        near, around = away <= 0.7, (away > 1.5) & (away <= 6.0)
        if mains + 6.0 > rate_hz / 2 or not near.any() or not around.any():
            continue
        floor = power[:, around].mean(axis=1)
        line = np.maximum(power[:, near].sum(axis=1) - floor * near.sum(), 0.0)
        amplitude = np.sqrt(line * 2 / 0.375) * np.sqrt(2) / length   # 0.375: mean square of the window
        amplitude[power[:, near].max(axis=1) < 8 * floor] = 0.0
        if amplitude.max() > max(5.0, hum.max()):
            found, hum = mains, amplitude
    return found, hum


def remove_mains(samples_uv: np.ndarray, rate_hz: float, mains_hz: float | None = None) -> np.ndarray:
    """The recording without mains hum, zero phase, without ringing after the QRS.

    ``mains_hz``: 50 or 60, or None to detect it; where none is detected the samples come back unchanged.
    Shape, unit and gaps as in ``remove_baseline``.
    """
    filled, missing = fill_gaps(samples_uv)
    if mains_hz is None:
        mains_hz, _ = mains_level(filled, rate_hz)
    if mains_hz is not None and filled.shape[1] > 1 and mains_hz < rate_hz / 2:
        centre = mains_hz
        calm = _calm_fast_part(filled, rate_hz)
        filled = filled - apply_gain(
            calm, rate_hz, lambda f: np.exp(-0.5 * ((f - centre) / MAINS_WIDTH_HZ) ** 2), 1.0)
    filled[missing] = np.nan
    return filled


def remove_muscle(samples_uv: np.ndarray, rate_hz: float) -> np.ndarray:
    """The recording with muscle tremor damped: above 35 Hz between the complexes, above 120 Hz inside them.

    Amplitude and edges of the QRS are kept. Zero phase; shape, unit and gaps as in ``remove_baseline``.
    """
    filled, missing = fill_gaps(samples_uv)
    if filled.shape[1] > 1:
        smooth = low_pass(filled, rate_hz, min(MUSCLE_CORNER_HZ, 0.4 * rate_hz))
        sharp = low_pass(filled, rate_hz, min(QRS_CORNER_HZ, 0.45 * rate_hz), order=3)
        share = _share_of_qrs(filled, rate_hz)
        filled = smooth + share * (sharp - smooth)
    filled[missing] = np.nan
    return filled


def _calm_fast_part(filled: np.ndarray, rate_hz: float) -> np.ndarray:
    """What is faster than 35 Hz, with QRS complexes clipped to three times the typical deviation."""
    return _calm(filled - low_passes(filled, rate_hz, (fast_corner(rate_hz),))[0])


def _calm(fast: np.ndarray) -> np.ndarray:
    limit = 3.0 * median(np.abs(fast))[:, None]
    return np.clip(fast, -limit, limit)


def _share_of_qrs(filled: np.ndarray, rate_hz: float) -> np.ndarray:
    """Between 0 and 1 per sample: how surely it lies in a QRS of any lead, shape (1, samples)."""
    steep = np.abs(np.gradient(low_pass(filled, rate_hz, min(25.0, 0.2 * rate_hz)), axis=1)) * rate_hz
    total = np.sqrt(np.mean(steep ** 2, axis=0))[None]
    total = low_pass(total, rate_hz, min(12.0, 0.2 * rate_hz))
    usual = np.median(total)
    peak = np.percentile(total, 98)
    if peak <= 3 * usual or peak <= 0:
        return np.zeros_like(total)
    low, high = max(2 * usual, 0.15 * peak), 0.35 * peak
    return np.clip((total - low) / max(high - low, 1e-9), 0.0, 1.0)
