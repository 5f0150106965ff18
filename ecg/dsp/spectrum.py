"""Zero-phase linear filtering in the frequency domain, and gaps that a filter must not see.

Every filter of the room is a real, even gain over frequency, so no wave is shifted in time. Ends are
extended by point reflection, which keeps level and slope. Only numpy is imported: the analysis path has to
start in a fraction of a second.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import numpy as np

LARGE = 200_000                # samples of all rows that are looked at together
SHORT = 16_384                 # samples: what is computed for so many is kept


@lru_cache(maxsize=256)
def fast_length(minimum: int) -> int:
    """The smallest product of powers of 2, 3 and 5 that is at least ``minimum`` (transforms are fast there)."""
    best = 1 << max(minimum - 1, 0).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            quotient = -(-minimum // three)
            best = min(best, three << max(quotient - 1, 0).bit_length())
            three *= 3
        five *= 5
    return best


def row_blocks(rows: int, length: int) -> Iterator[slice]:
    """Which rows of so many samples are looked at together: those of a usual ECG all at once, of a long one few, so that
    memory stays bounded."""
    at_once = max(LARGE // max(length, 1), 1)
    return (slice(row, row + at_once) for row in range(0, rows, at_once))


def fill_gaps(samples_uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The samples with every non-finite value bridged by a straight line, and where those values were.

    ``samples_uv``: (leads, samples). Returns float64 of the same shape, not to be written to (where nothing is
    missing it is what was given), and a boolean mask of it. A lead without any finite value becomes zero.
    """
    samples = np.atleast_2d(np.asarray(samples_uv, dtype=float))
    missing = ~np.isfinite(samples)
    if missing.any():
        samples = samples.copy()
        place = np.arange(samples.shape[1])
        for row in np.flatnonzero(missing.any(axis=1)):
            gone = missing[row]
            samples[row, gone] = 0.0 if gone.all() else np.interp(place[gone], place[~gone], samples[row, ~gone])
    return samples, missing


def extend(samples: np.ndarray, count: int, size: int) -> np.ndarray:
    """The rows continued by ``count`` samples at both ends by point reflection; beyond the row, held flat.

    Of ``size`` samples, float64; what is left after the second end is zero.
    """
    length = samples.shape[-1]
    reach = min(count, length - 1)
    body = np.zeros((*samples.shape[:-1], size))
    first, last = count - reach, count + length + reach
    body[..., count:count + length] = samples
    if reach:
        np.subtract(2.0 * samples[..., :1], samples[..., reach:0:-1], out=body[..., first:count])
        np.subtract(2.0 * samples[..., -1:], samples[..., -2:-2 - reach:-1], out=body[..., count + length:last])
    if first:
        body[..., :first] = body[..., first:first + 1]
        body[..., last:last + first] = body[..., last - 1:last]
    return body


def hann(length: int) -> np.ndarray:
    """The raised cosine over ``length`` samples, zero at both ends; not to be written to."""
    return _kept_hann(length) if length <= SHORT else np.hanning(length)


@lru_cache(maxsize=16)
def _kept_hann(length: int) -> np.ndarray:
    window = np.hanning(length)
    window.setflags(write=False)
    return window


def hold(rows: np.ndarray, count: int) -> np.ndarray:
    """The rows continued by ``count`` samples at both ends with their first and last value."""
    return np.concatenate([np.repeat(rows[..., :1], count, -1), rows, np.repeat(rows[..., -1:], count, -1)], axis=-1)


def apply_gain(samples: np.ndarray, rate_hz: float, gain: Callable[[np.ndarray], np.ndarray],
               margin_s: float) -> np.ndarray:
    """Filter the rows with ``gain(frequency_hz)``, extended by ``margin_s`` at the ends. No NaN allowed."""
    return apply_gains(samples, rate_hz, (gain,), margin_s)[0]


def apply_gains(samples: np.ndarray, rate_hz: float, gains: tuple[Callable[[np.ndarray], np.ndarray], ...],
                margin_s: float) -> list[np.ndarray]:
    """The rows filtered with each of the gains; the way to the spectrum is gone once."""
    length = samples.shape[-1]
    if length == 0:
        return [samples.copy() for _ in gains]
    if samples.size > LARGE and samples.ndim > 1 and len(samples) > 1:
        parts = [apply_gains(samples[rows], rate_hz, gains, margin_s) for rows in row_blocks(len(samples), samples[0].size)]
        return [np.concatenate(found) for found in zip(*parts)]
    margin = int(round(margin_s * rate_hz))
    size = fast_length(length + 2 * margin)
    body = extend(samples, margin, size)
    level = body[..., :1].copy()
    body[..., :length + 2 * margin] -= level
    spectrum = np.fft.rfft(body, axis=-1)
    frequency = np.fft.rfftfreq(size, 1.0 / rate_hz)
    found = []
    for gain in gains:
        passed = np.fft.irfft(spectrum * gain(frequency), size, axis=-1)[..., margin:margin + length]
        passed += level * gain(np.zeros(1))
        found.append(passed)
    return found


def low_pass(samples: np.ndarray, rate_hz: float, corner_hz: float, order: int = 2) -> np.ndarray:
    """Zero-phase Butterworth-squared low pass: gain 1 / (1 + (f / corner)^(2 order)), one half at the corner."""
    return low_passes(samples, rate_hz, ((corner_hz, order),))[0]


def low_passes(samples: np.ndarray, rate_hz: float, corners: tuple[tuple[float, int], ...]) -> list[np.ndarray]:
    """The rows behind several such low passes, each (corner_hz, order)."""
    gains = tuple(partial(_low_gain, corner_hz=corner_hz, order=order) for corner_hz, order in corners)
    return apply_gains(samples, rate_hz, gains, 1.5 / min(corner_hz for corner_hz, _ in corners))


def power_of(rows: np.ndarray, size: int) -> np.ndarray:
    """The power of each row over frequency, its transform being of ``size``."""
    spectrum = np.fft.rfft(rows.astype(float, copy=False), size, axis=1)      # of float32 it takes longer
    return spectrum.real ** 2 + spectrum.imag ** 2


def _low_gain(frequency_hz: np.ndarray, corner_hz: float, order: int) -> np.ndarray:
    ratio = frequency_hz / corner_hz
    power = ratio * ratio
    return 1.0 / (1.0 + power ** order)
