"""Where the ventricles beat: QRS complexes found on all good leads together, or on one where only one is.

The energy between 6 and 22 Hz of all leads is brought to a 100 Hz grid; its peaks are candidates. A
candidate has evidence from its height against the usual QRS height nearby and against the ground between
beats; among all sequences of candidates the one is chosen that has most evidence and departs least from the
usual rhythm. So a lone artefact in a regular rhythm is dropped and a low beat in a hole is taken.
"""
from __future__ import annotations

from math import inf, log, sqrt

import numpy as np

from .ranks import median, quantiles
from .spectrum import extend, fast_length, fill_gaps, hann, row_blocks
from .twins import add_twins

GRID_HZ = 100.0
BAND_HZ = (6.0, 22.0)          # where a QRS stands out most over T waves, wander and tremor
WAVE_HZ = (1.5, 25.0)          # the whole complex without wander and hum
REFRACTORY_S = 0.20            # no ventricle beats twice within this time
FLOOR_UV = 15.0                # an envelope below this is never a QRS
CUT_S = 0.08                   # nearer to the ends a complex is only half recorded
GROUND_FLOOR_UV = 3.0          # what a quiet recorder shows between beats
LEVEL_BLOCK_S = 1.5            # holds at least one beat of a usual rhythm
SLOW_BLOCK_S = 3.2             # holds one of 20 a minute
SLOW_TIMES = 1.7               # where these blocks are so much higher, most of the short ones hold no beat
GROUND_BLOCK_S = 2.0           # most of it lies between beats
SHARE_WEIGHT = 1.6             # log odds per e-fold of height, up to the usual height
TOO_TALL_WEIGHT = 2.0          # and beyond it, where artefacts are
CLEAR_WEIGHT = 4.0             # log odds per e-fold over the ground
PRIOR = -2.0
CLEAR_LIMIT = 8.0              # standing out of a quiet ground alone: so do P waves
SMALL = 0.25                   # of the usual height: below this it is more likely a P wave
SMALL_WEIGHT = 4.0
P_SIZE, P_HEIGHT = 0.40, 0.60  # of the usual size of the wave and height of the envelope: a P wave has at most
T_SIZE, T_HEIGHT = 0.80, 0.35  # the same of a T wave
ST_T_S = 0.42                  # a small wave always this soon after a beat is its T wave
STEADY = 0.08                  # how far an interval of a steady slow rhythm may be from its neighbours
STEADY_BEATS = 4
SIZE_REACH = 6                 # points on each side in which the size of the whole wave is taken
EVIDENCE_LIMIT = 6.0
SURE = 1.5
RHYTHM_WEIGHT = 5.0            # log odds per (log interval ratio)^2
T_WAVE_S = 0.39                # at 60 beats a minute: a low peak this soon after a beat may be its T wave
T_WAVE_PRICE = 4.0
BEFORE_PAUSE_S = 1.0           # beyond the first candidate before a pause, which may be the T wave of the last beat
IRREGULAR = 0.2                # change of successive intervals (log) that halves the weight of the rhythm
RHYTHM_BEATS = 12              # neighbours on each side that make the usual interval


def qrs_envelope(samples_uv: np.ndarray, rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """The envelope of the QRS band and the whole wave without wander of each lead, twice (leads, points), microvolts.

    Both on a 100 Hz grid: point k lies at k / 100 seconds. No NaN allowed.
    """
    leads, length = samples_uv.shape
    margin = int(rate_hz)
    size = fast_length(length + 2 * margin)
    points = int(np.floor((length - 1) / rate_hz * GRID_HZ)) + 1
    step = rate_hz / size
    # a band-limited analytic signal needs only its own bins: shift them into a short inverse transform
    short = fast_length(int(round(size * GRID_HZ / rate_hz)))
    low, high = BAND_HZ
    first, last = int(low * 0.3 / step), int(np.ceil(min(high * 1.8, 0.49 * rate_hz, 49.0) / step))
    frequency = np.arange(last + 1) * step
    gain = _band_gain(frequency[first:], low, high)
    whole = _band_gain(frequency, *WAVE_HZ)
    result, waves = np.empty((leads, points)), np.empty((leads, points))
    at = (margin + np.arange(points) * rate_hz / GRID_HZ) * (short / size)
    for rows in row_blocks(leads, size):
        spectrum = np.fft.rfft(extend(samples_uv[rows], margin, size))[:, :last + 1]
        body = np.zeros((len(spectrum), short), dtype=complex)
        body[:, first:last + 1] = spectrum[:, first:] * gain
        result[rows] = _read_off(np.abs(np.fft.ifft(body)) * (2.0 * short / size), at)
        waves[rows] = _read_off(np.fft.irfft(spectrum * whole, short) * (short / size), at)
    return result, waves


def _read_off(rows: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The values of the rows at evenly spaced points, between two samples on the straight line."""
    first = int(at[0])
    if at[0] == first and at[-1] == first + len(at) - 1:
        return rows[:, first:first + len(at)]
    grid = np.arange(rows.shape[1])
    return np.array([np.interp(at, grid, row) for row in rows])


def detect_qrs(samples_uv: np.ndarray, rate_hz: float) -> np.ndarray:
    """Sample indices of the QRS complexes, ascending integers; empty where there are none.

    ``samples_uv``: (leads, samples) microvolts, NaN for gaps. Leads that carry no ECG weigh little: a lead
    counts by how far its peaks stand over its ground. The index is the largest deflection of the band.
    """
    filled, _ = fill_gaps(samples_uv)
    if filled.shape[0] == 0 or filled.shape[1] < 0.5 * rate_hz:
        return np.zeros(0, dtype=int)
    envelope, waves = qrs_envelope(filled, rate_hz)
    together = envelope[0] if len(envelope) == 1 else _combine(envelope)
    whole, smooth = np.sqrt(np.mean(waves ** 2, axis=0)), _smooth(together, 9)
    levels = _Level(smooth), _Level(whole)
    chosen = _choose(smooth, whole, levels)
    chosen = chosen[~_between_steady(chosen, smooth, whole, levels)]
    beats = add_twins(chosen, waves, smooth, GRID_HZ)
    return _refine(filled, rate_hz, beats)


def _band_gain(frequency: np.ndarray, low: float, high: float) -> np.ndarray:
    rise = 1.0 / (1.0 + (low / np.maximum(frequency, 1e-6)) ** 6)
    return rise / (1.0 + (frequency / high) ** 6)


def _combine(envelope: np.ndarray) -> np.ndarray:
    """Root mean square over leads, each weighted by how clearly its peaks stand over its ground."""
    top, ground = (level[:, None] for level in quantiles(envelope, (0.97, 0.40)))
    clarity = np.clip(top / np.maximum(ground, 1.0) - 3.0, 0.0, 10.0) * (top > FLOOR_UV)
    if not clarity.any():
        clarity = np.ones_like(clarity)
    weight = clarity / clarity.sum()
    scale = np.maximum(top, FLOOR_UV)
    usual = np.sum(weight * scale)
    return usual * np.sqrt(np.sum(weight * (envelope / scale) ** 2, axis=0))


def _smooth(values: np.ndarray, width: int) -> np.ndarray:
    window = hann(width + 2)
    return np.convolve(values, window[1:-1] / window.sum(), mode="same")


def _choose(smooth: np.ndarray, whole: np.ndarray, levels: tuple[_Level, _Level]) -> np.ndarray:
    """The beats among the peaks of the envelope, as grid points; ``whole``: how large the wave is over all leads."""
    inside = (smooth[1:-1] >= smooth[:-2]) & (smooth[1:-1] > smooth[2:])
    peaks = np.flatnonzero(inside) + 1
    height = smooth[peaks]
    level, usual = (one(peaks) for one in levels)
    size = _size(whole, peaks) / np.maximum(usual, 1e-9)
    tall = (height > FLOOR_UV) & (height > 0.08 * level)
    peaks, height, level, size = peaks[tall], height[tall], level[tall], size[tall]
    if len(peaks) == 0:
        return peaks
    ground = np.interp(peaks, *_blocks(smooth, GROUND_BLOCK_S, median, 1))
    evidence = _evidence(height / level, height / np.maximum(ground, GROUND_FLOOR_UV), size)
    likely = evidence > -EVIDENCE_LIMIT
    peaks, evidence, height = peaks[likely], evidence[likely], height[likely]
    if len(peaks) == 0:
        return peaks
    sure = peaks[evidence > SURE]
    sure = sure[np.diff(sure, prepend=-1000) > 0.25 * GRID_HZ]
    even = np.full(len(peaks), RHYTHM_WEIGHT)
    chosen = peaks[_best_sequence(peaks, evidence, height, _usual_interval(sure, peaks), even)]
    return peaks[_best_sequence(peaks, evidence, height, _usual_interval(chosen, peaks), _rhythm_weight(chosen, peaks))]


def _size(whole: np.ndarray, at: np.ndarray) -> np.ndarray:
    """How large the whole wave becomes near each point."""
    around = np.clip(at[:, None] + np.arange(-SIZE_REACH, SIZE_REACH + 1), 0, len(whole) - 1)
    return whole[around].max(axis=1)


def _between_steady(beats: np.ndarray, smooth: np.ndarray, whole: np.ndarray, levels: tuple[_Level, _Level]) -> np.ndarray:
    """Which beats are P waves that march through a slow rhythm: small, and the large beats around them keep time
    as if they were not there. One small beat in each interval at the same place is left (bigeminy)."""
    size, height = _size(whole, beats) / np.maximum(levels[1](beats), 1e-9), smooth[beats] / np.maximum(levels[0](beats), 1e-9)
    soon = np.diff(beats, prepend=-1000) < ST_T_S * GRID_HZ
    small = ((size < P_SIZE) & (height < P_HEIGHT)) | ((size < T_SIZE) & (height < T_HEIGHT) & soon)
    large = beats[~small]
    if not small.any() or len(large) < 3:
        return np.zeros(len(beats), dtype=bool)
    gap = np.diff(large)
    usual = running_median(gap.astype(float), STEADY_BEATS) if len(gap) > 2 * STEADY_BEATS else median(gap)
    steady = np.abs(gap / usual - 1.0) < STEADY
    held = np.bincount(np.clip(np.searchsorted(large, beats[small]) - 1, -1, len(gap)) + 1, minlength=len(gap) + 2)[1:-1]
    if np.mean(held == 1) > 0.7:
        at = beats[small]
        into = np.searchsorted(large, at) - 1
        inner = (into >= 0) & (into < len(gap))
        phase = (at[inner] - large[into[inner]]) / gap[into[inner]]
        after_s = np.median(at[inner] - large[into[inner]]) / GRID_HZ if len(phase) else 0.0
        if after_s > ST_T_S and np.mean(np.abs(phase - np.median(phase)) < 0.08) > 0.8:
            return np.zeros(len(beats), dtype=bool)
    place = np.clip(np.searchsorted(large, beats) - 1, 0, len(gap) - 1)
    return small & steady[place]


class _Level:
    """The usual height of beats around each point; where most short blocks hold no beat, from longer ones."""

    def __init__(self, values: np.ndarray):
        self._short, self._long = _blocks(values, LEVEL_BLOCK_S, _highest, 4), _blocks(values, SLOW_BLOCK_S, _highest, 2)

    def __call__(self, at: np.ndarray) -> np.ndarray:
        level, slow = np.interp(at, *self._short), np.interp(at, *self._long)
        return np.where(slow > SLOW_TIMES * level, slow, level)


def _highest(values: np.ndarray) -> np.ndarray:
    return values.max(axis=-1)


def _blocks(smooth: np.ndarray, block_s: float, summary, half: int) -> tuple[np.ndarray, np.ndarray]:
    """Block centres and the running median, over 2 half + 1 blocks, of a summary of each block."""
    block = int(block_s * GRID_HZ)
    count = len(smooth) // block
    if count < 2:
        return np.array([0.0]), np.array([float(summary(smooth))])
    values = summary(smooth[:count * block].reshape(count, block))
    return (np.arange(count) + 0.5) * block, running_median(values, half)


def running_median(values: np.ndarray, half: int) -> np.ndarray:
    """The median of each value and its ``half`` neighbours on both sides; the ends are reflected."""
    half = min(half, (len(values) - 1) // 2)
    if half < 1:
        return np.full(len(values), median(values)) if len(values) else values
    padded = np.concatenate([values[half:0:-1], values, values[-2:-2 - half:-1]])
    return median(padded[np.arange(len(values))[:, None] + np.arange(2 * half + 1)])


def _evidence(of_level: np.ndarray, over_ground: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Log odds that a peak is a QRS: from its share of the usual height, its height over the ground, and the share
    of the usual size that its whole wave has (a P wave is small in both, a broad complex only in the first)."""
    share = np.log(of_level)
    clear = np.minimum(np.log(over_ground), 3.5)
    odds = np.minimum(CLEAR_WEIGHT * clear + PRIOR, CLEAR_LIMIT) + SHARE_WEIGHT * np.minimum(share, 0)
    odds -= TOO_TALL_WEIGHT * np.maximum(share, 0) + SMALL_WEIGHT * np.maximum(np.log(SMALL) - 0.5 * (share + np.log(np.maximum(size, 1e-3))), 0)
    return np.clip(odds, -EVIDENCE_LIMIT, EVIDENCE_LIMIT)


def _usual_interval(beats: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The usual interval around each point, seconds, from the beats believed so far."""
    if len(beats) < 4:
        return np.full(len(at), 0.8)
    return np.interp(at, beats[1:], np.maximum(running_median(np.diff(beats) / GRID_HZ, RHYTHM_BEATS), 0.25))


def _rhythm_weight(beats: np.ndarray, at: np.ndarray) -> np.ndarray:
    """How much the rhythm may say around each point: less where it is irregular (fibrillation)."""
    if len(beats) < 8:
        return np.full(len(at), RHYTHM_WEIGHT)
    change = np.abs(np.diff(np.log(np.diff(beats))))
    irregular = np.interp(at, beats[2:], running_median(change, RHYTHM_BEATS))
    return RHYTHM_WEIGHT / (1.0 + (irregular / IRREGULAR) ** 2)


def _best_sequence(peaks: np.ndarray, evidence: np.ndarray, height: np.ndarray, usual_s: np.ndarray,
                   weight: np.ndarray) -> np.ndarray:
    """The subset of peaks with the most evidence, less what its intervals depart from the usual ones.

    Dynamic programming over pairs of successive beats; the price of an interval is the logarithm of its
    ratio to the usual one, squared below one, linear and gentle beyond a factor of e. A peak less than half
    as high shortly after a beat pays for being its T wave.
    """
    time, gain, usual, tall = (peaks / GRID_HZ).tolist(), evidence.tolist(), usual_s.tolist(), height.tolist()
    firmness = weight.tolist()
    best, back = [0.0] * len(time), [-1] * len(time)
    for j, now in enumerate(time):
        scale, firm, top, chosen, furthest = usual[j], firmness[j], None, -1, inf
        t_wave = T_WAVE_S * sqrt(scale)
        i = j - 1
        while i >= 0:
            interval = now - time[i]
            if interval > furthest:
                break
            if interval > REFRACTORY_S:
                depart = abs(log(interval / scale))
                price = depart * depart if depart < 1.0 else 0.7 + 0.3 * depart
                total = best[i] - firm * price
                if interval < t_wave and tall[j] < 0.5 * tall[i]:
                    total -= T_WAVE_PRICE
                if top is None or total > top:
                    top, chosen = total, i
                if interval > 3.0 * scale + 0.5:
                    furthest = min(furthest, interval + BEFORE_PAUSE_S)
            i -= 1
        best[j] = gain[j] + (top or 0.0)
        back[j] = chosen
    j = max(range(max(0, len(best) - 12), len(best)), key=best.__getitem__)
    sequence = []
    while j >= 0:
        sequence.append(j)
        j = back[j]
    return np.array(sequence[::-1], dtype=int)


def _spread(rows: np.ndarray) -> np.ndarray:
    """The standard deviation of each row."""
    found = np.empty(len(rows))
    for block in row_blocks(*rows.shape):
        away = rows[block] - rows[block].mean(axis=1, keepdims=True)
        found[block] = np.sqrt(np.einsum("lt,lt->l", away, away) / rows.shape[1])
    return found


def _refine(filled: np.ndarray, rate_hz: float, points: np.ndarray) -> np.ndarray:
    """From the grid to the recording: the largest change of all leads within 60 ms."""
    if len(points) == 0:
        return points.astype(int)
    length = filled.shape[1]
    half = max(int(0.06 * rate_hz), 1)
    centre = np.clip(np.round(points * rate_hz / GRID_HZ).astype(int), 0, length - 1)
    window = np.clip(centre[:, None] + np.arange(-half, half + 1), 0, length - 1)
    total = np.zeros(window.shape)
    for row in filled if len(filled) <= 3 else filled[np.argsort(-_spread(filled))[:6]]:
        piece = row[window]
        total += np.abs(piece - median(piece)[:, None])
    best = window[np.arange(len(window)), total.argmax(axis=1)]
    best = np.unique(best)
    return best[(best >= CUT_S * rate_hz) & (best < length - CUT_S * rate_hz)]
