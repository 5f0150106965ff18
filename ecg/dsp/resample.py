"""A recording at another sampling rate, without moving any wave in time."""
from __future__ import annotations

import numpy as np

from .spectrum import extend, fast_length


def resample(samples: np.ndarray, rate_hz: float, new_rate_hz: float) -> np.ndarray:
    """The rows at ``new_rate_hz``: sample k of the result lies at k / new_rate_hz seconds.

    Band-limited below both Nyquist rates; no NaN allowed. Shape (leads, floor((n - 1) * new / old) + 1).
    """
    leads, length = samples.shape
    if rate_hz == new_rate_hz or length < 2:
        return samples.copy()
    points = int(np.floor((length - 1) * new_rate_hz / rate_hz + 1e-9)) + 1
    margin = int(rate_hz)
    size = fast_length(length + 2 * margin)
    short = int(round(size * new_rate_hz / rate_hz))
    spectrum = np.fft.rfft(extend(samples, margin), size, axis=1)
    bins = short // 2 + 1
    body = np.zeros((leads, bins), dtype=complex)
    shared = min(bins, spectrum.shape[1])
    body[:, :shared] = spectrum[:, :shared]
    if short % 2 == 0 and shared == bins:
        body[:, -1] = 0.0
    fine = np.fft.irfft(body, short, axis=1) * (short / size)
    true_rate = rate_hz * short / size
    at = (margin / rate_hz + np.arange(points) / new_rate_hz) * true_rate
    grid = np.arange(short)
    return np.array([np.interp(at, grid, row) for row in fine])
