"""The three filters a reader may switch on: baseline wander, mains hum, muscle tremor.

Promise: none of them shifts a wave in time, and none moves the ST segment by more than 25 microvolts on a
clean signal (AHA/ACC/HRS 2007, Circulation 115:1306; IEC 60601-2-25). The estimates of what is to be removed are made robust:
before smoothing, whatever sticks out of the estimate (QRS, T) is clipped, so that a complex cannot pull the
baseline or ring at the mains frequency. Gaps (NaN) stay gaps.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .ranks import median
from .spectrum import apply_gain, fill_gaps, hann, low_pass, low_passes

BASELINE_CORNER_HZ = 0.5        # AHA 2007 allows 0.67 Hz for zero-phase filters
BASELINE_CLIP_UV = 150.0        # what is larger than this is heart, not wander
BASELINE_ROUNDS = 3
BASELINE_GRID_HZ = 50.0
MAINS_WIDTH_HZ = 0.5            # standard deviation of the notch
MAINS_HZ = (50.0, 60.0)
LEAST_HUM_UV = 5.0
WINDOW_SQUARE = 0.375          # mean square of the raised cosine
MUSCLE_CORNER_HZ = 35.0
QRS_CORNER_HZ = 120.0


@dataclass(frozen=True)
class Wander:
    """The slow wander of some leads: ``means``, (leads, count) microvolts, over ``block`` samples each, of ``length``
    samples in all. It takes little room; ``drawn`` makes samples of it."""

    means: np.ndarray
    block: int
    length: int

    def __getitem__(self, rows) -> Wander:
        """That of some of the leads."""
        return Wander(self.means[rows], self.block, self.length)

    def drawn(self) -> np.ndarray:
        """At every sample, (leads, length): straight lines between the middles of the blocks, which run on at the ends."""
        means, block = self.means, self.block
        if block == 1:
            return means
        count = means.shape[1]
        climb = np.diff(means, axis=1)
        share = (np.arange(self.length) - (block - 1) / 2) / block
        first, inner = block // 2, (count - 1) * block      # where lines change
        drawn = np.empty((len(means), self.length))
        drawn[:, :first] = means[:, :1] + climb[:, :1] * share[:first]
        drawn[:, first + inner:] = means[:, -2:-1] + climb[:, -1:] * (share[first + inner:] - (count - 2))
        lines = np.stack([means[:, :-1], climb], axis=-1) @ np.stack([np.ones(block), share[first:first + block]])
        drawn[:, first:first + inner] = lines.reshape(len(means), inner)
        return drawn


def wander_of(filled_uv: np.ndarray, rate_hz: float) -> Wander:
    """The wander of leads without gaps, (leads, samples): found on means over 20 ms, which carry all of it."""
    leads, length = filled_uv.shape
    if length < 2:
        return Wander(filled_uv, 1, length)
    block = max(int(rate_hz / BASELINE_GRID_HZ), 1)
    count = length // block
    if block == 1 or count < 4:
        return Wander(_robust_low_pass(filled_uv, rate_hz), 1, length)
    means = filled_uv[:, :count * block].reshape(leads, count, block) @ np.full(block, 1.0 / block)
    return Wander(_robust_low_pass(means, rate_hz / block), block, length)


def baseline(samples_uv: np.ndarray, rate_hz: float) -> np.ndarray:
    """The slow wander of each lead, microvolts, shape as given; gaps are bridged."""
    return wander_of(fill_gaps(samples_uv)[0], rate_hz).drawn()


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

    The hum is its amplitude (half of peak to peak) in microvolts, zero where it is surely below 5. Found where the spectrum has a line: the
    power within 0.7 Hz of the frequency stands at least eight times over its neighbourhood and the
    amplitude of the worst lead exceeds 5 microvolts.
    """
    filled, _ = fill_gaps(samples_uv)
    return mains_of(hums(filled - low_passes(filled, rate_hz, (fast_corner(rate_hz),))[0], rate_hz))


def fast_corner(rate_hz: float) -> tuple[float, int]:
    """Corner and order of the low pass that leaves out what is too fast for waves: hum is looked for in that."""
    return min(33.0, 0.2 * rate_hz), 8


def hums(fast: np.ndarray, rate_hz: float) -> np.ndarray:
    """The hum of each lead at each frequency of ``MAINS_HZ``, (frequencies, leads) microvolts, zero where the spectrum
    has no line there or all that is fast is less than 5 microvolts. ``fast``: the part that is faster than
    ``fast_corner``, (leads, samples)."""
    leads, length = fast.shape
    found = np.zeros((len(MAINS_HZ), leads))
    if length < rate_hz:
        return found
    calm = _calm(fast)
    calm *= hann(length)
    loud = np.einsum("lt,lt->l", calm, calm) * 2 / (WINDOW_SQUARE * length) > LEAST_HUM_UV ** 2      # all of it, were it one line
    if not loud.any():
        return found
    calm = calm[loud]
    frequency = np.fft.rfftfreq(length, 1.0 / rate_hz)
    near = np.searchsorted(frequency, (MAINS_HZ[0] - 6.5, MAINS_HZ[-1] + 6.5))
    frequency = frequency[near[0]:near[1]]
    power = np.abs(np.fft.rfft(calm, axis=1)[:, near[0]:near[1]]) ** 2
    for amplitude, mains in zip(found, MAINS_HZ):
        away = np.abs(frequency - mains)
        near, around = away <= 0.7, (away > 1.5) & (away <= 6.0)
        if mains + 6.0 > rate_hz / 2 or not near.any() or not around.any():
            continue
        floor = power[:, around].mean(axis=1)
        line = np.maximum(power[:, near].sum(axis=1) - floor * near.sum(), 0.0)
        clear = power[:, near].max(axis=1) >= 8 * floor
        amplitude[loud] = np.sqrt(line * 2 / WINDOW_SQUARE) * np.sqrt(2) / length * clear
    return found


def mains_of(hums_uv: np.ndarray) -> tuple[float | None, np.ndarray]:
    """The same from the hums of all leads, (frequencies, leads): the stronger frequency."""
    found, hum = None, np.zeros(hums_uv.shape[1])
    for mains, amplitude in zip(MAINS_HZ, hums_uv):
        if amplitude.max() > max(LEAST_HUM_UV, hum.max()):
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
    if mains_hz is not None:
        filled = filled - hum_of(filled, rate_hz, mains_hz)
    filled[missing] = np.nan
    return filled


def hum_of(filled_uv: np.ndarray, rate_hz: float, mains_hz: float) -> np.ndarray:
    """The mains hum itself of leads without gaps, (leads, samples) microvolts."""
    if filled_uv.shape[1] < 2 or mains_hz >= rate_hz / 2:
        return np.zeros_like(filled_uv)
    return apply_gain(_calm_fast_part(filled_uv, rate_hz), rate_hz, lambda f: np.exp(-0.5 * ((f - mains_hz) / MAINS_WIDTH_HZ) ** 2), 1.0)


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
