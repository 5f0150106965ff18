"""Where the ventricles beat: QRS complexes found on all good leads together, or on one where only one is.

The energy between 5 and 25 Hz of all leads is brought to a 100 Hz grid; its peaks are candidates. A
candidate is a beat when it stands high enough over the level that QRS complexes have in its
neighbourhood; where the rhythm leaves a hole, a lower one is taken (search back); shortly after a beat only
one that is nearly as strong is believed, so that T waves are not counted.
"""
from __future__ import annotations

import numpy as np

from .spectrum import extend, fast_length, fill_gaps

GRID_HZ = 100.0
BAND_HZ = (6.0, 22.0)          # where a QRS stands out most over T waves, wander and tremor
REFRACTORY_S = 0.20            # no ventricle beats twice within this time
T_WAVE_S = 0.36                # a weaker peak within this time after a beat is its T wave
FLOOR_UV = 15.0                # an envelope below this is never a QRS


def qrs_envelope(samples_uv: np.ndarray, rate_hz: float) -> np.ndarray:
    """The envelope of the QRS band of each lead on a 100 Hz grid, microvolts, shape (leads, points).

    Point k lies at k / 100 seconds. No NaN allowed.
    """
    leads, length = samples_uv.shape
    margin = int(rate_hz)
    size = fast_length(length + 2 * margin)
    points = int(np.floor((length - 1) / rate_hz * GRID_HZ)) + 1
    step = rate_hz / size
    # a band-limited analytic signal needs only its own bins: shift them into a short inverse transform
    short = int(round(size * GRID_HZ / rate_hz))
    low, high = BAND_HZ
    first, last = int(low * 0.3 / step), int(np.ceil(min(high * 1.8, 0.49 * rate_hz, 49.0) / step))
    frequency = np.arange(first, last + 1) * step
    gain = _band_gain(frequency, low, high)
    result = np.empty((leads, points))
    at = (margin + np.arange(points) * rate_hz / GRID_HZ) * (short / size)
    for row in range(leads):
        spectrum = np.fft.rfft(extend(samples_uv[row], margin), size)[first:last + 1] * gain
        body = np.zeros(short, dtype=complex)
        body[first:last + 1] = spectrum
        envelope = np.abs(np.fft.ifft(body)) * (2.0 * short / size)
        result[row] = np.interp(at, np.arange(short), envelope)
    return result


def detect_qrs(samples_uv: np.ndarray, rate_hz: float) -> np.ndarray:
    """Sample indices of the QRS complexes, ascending integers; empty where there are none.

    ``samples_uv``: (leads, samples) microvolts, NaN for gaps. Leads that carry no ECG weigh little: a lead
    counts by how far its peaks stand over its ground. The index is the largest deflection of the band.
    """
    filled, _ = fill_gaps(samples_uv)
    if filled.shape[0] == 0 or filled.shape[1] < 0.5 * rate_hz:
        return np.zeros(0, dtype=int)
    envelope = qrs_envelope(filled, rate_hz)
    together = envelope[0] if len(envelope) == 1 else _combine(envelope)
    return _refine(filled, rate_hz, _choose(together))


def _band_gain(frequency: np.ndarray, low: float, high: float) -> np.ndarray:
    rise = 1.0 / (1.0 + (low / np.maximum(frequency, 1e-6)) ** 6)
    return rise / (1.0 + (frequency / high) ** 6)


def _combine(envelope: np.ndarray) -> np.ndarray:
    """Root mean square over leads, each weighted by how clearly its peaks stand over its ground."""
    top = np.percentile(envelope, 97, axis=1, keepdims=True)
    ground = np.percentile(envelope, 40, axis=1, keepdims=True)
    clarity = np.clip(top / np.maximum(ground, 1.0) - 3.0, 0.0, 10.0) * (top > FLOOR_UV)
    if not clarity.any():
        clarity = np.ones_like(clarity)
    weight = clarity / clarity.sum()
    scale = np.maximum(top, FLOOR_UV)
    usual = np.sum(weight * scale)
    return usual * np.sqrt(np.sum(weight * (envelope / scale) ** 2, axis=0))


def _smooth(values: np.ndarray, width: int) -> np.ndarray:
    return np.convolve(values, np.hanning(width + 2)[1:-1] / np.hanning(width + 2).sum(), mode="same")


def _choose(envelope: np.ndarray) -> np.ndarray:
    """The beats among the peaks of the envelope, as grid points."""
    smooth = _smooth(envelope, 9)
    inside = (smooth[1:-1] >= smooth[:-2]) & (smooth[1:-1] > smooth[2:])
    peaks = np.flatnonzero(inside) + 1
    peaks = peaks[smooth[peaks] > FLOOR_UV * 0.5]
    if len(peaks) == 0:
        return peaks
    level = _level(smooth)[peaks]
    height = smooth[peaks]
    return _walk(peaks, height, level)


def _level(smooth: np.ndarray) -> np.ndarray:
    """The usual QRS height around each grid point: the median of the maxima of 1.5 s over about 13 s."""
    block = int(1.5 * GRID_HZ)
    count = max(len(smooth) // block, 1)
    if count == 1:
        return np.full(len(smooth), smooth.max())
    top = smooth[:count * block].reshape(count, block).max(axis=1)
    half = min(4, (count - 1) // 2)
    padded = np.pad(top, half, mode="reflect")
    usual = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
    usual = np.maximum(usual, 0.1 * np.median(top))
    return np.interp(np.arange(len(smooth)), (np.arange(count) + 0.5) * block, usual)


def _walk(peaks: np.ndarray, height: np.ndarray, level: np.ndarray) -> np.ndarray:
    refractory, t_wave = REFRACTORY_S * GRID_HZ, T_WAVE_S * GRID_HZ
    strength = np.minimum(height, 3 * level) / np.maximum(level, FLOOR_UV)
    keep = height > FLOOR_UV
    place, strong = peaks[keep].tolist(), strength[keep].tolist()
    chosen: list[int] = []
    for index, value in enumerate(strong):
        if value < 0.35:
            continue
        if chosen:
            since = place[index] - place[chosen[-1]]
            before = strong[chosen[-1]]
            if since < refractory:
                if value > before:
                    chosen[-1] = index
                continue
            if since < t_wave and value < 0.5 * before:
                continue
        chosen.append(index)
    return np.array([place[i] for i in _search_back(place, strong, chosen)], dtype=int)


def _search_back(place: list, strong: list, chosen: list) -> list:
    """Fill holes longer than 1.6 usual intervals with the strongest peak in them, if it is no mere ripple."""
    if len(chosen) < 3:
        return chosen
    at = np.array([place[i] for i in chosen])
    gaps = np.diff(at)
    half = min(4, (len(gaps) - 1) // 2)
    usual = np.median(np.lib.stride_tricks.sliding_window_view(np.pad(gaps, half, mode="reflect"), 2 * half + 1), axis=1)
    result = [chosen[0]]
    for k, following in enumerate(chosen[1:]):
        previous = result[-1]
        if gaps[k] > 1.6 * usual[k]:
            best, best_value = -1, 0.18
            for i in range(previous + 1, following):
                since, until = place[i] - place[previous], place[following] - place[i]
                if since > T_WAVE_S * GRID_HZ and until > 0.3 * GRID_HZ and strong[i] > best_value:
                    best, best_value = i, strong[i]
            if best >= 0:
                result.append(best)
        result.append(following)
    return result


def _refine(filled: np.ndarray, rate_hz: float, points: np.ndarray) -> np.ndarray:
    """From the grid to the recording: the largest change of all leads within 60 ms."""
    if len(points) == 0:
        return points.astype(int)
    length = filled.shape[1]
    half = max(int(0.06 * rate_hz), 1)
    centre = np.clip(np.round(points * rate_hz / GRID_HZ).astype(int), 0, length - 1)
    window = np.clip(centre[:, None] + np.arange(-half, half + 1), 0, length - 1)
    total = np.zeros(window.shape)
    for row in filled if len(filled) <= 3 else filled[np.argsort(-filled.std(axis=1))[:6]]:
        piece = row[window]
        total += np.abs(piece - np.median(piece, axis=1, keepdims=True))
    best = window[np.arange(len(window)), total.argmax(axis=1)]
    return np.unique(best)
