"""A recording at another sampling rate, without moving any wave in time."""
from __future__ import annotations

import numpy as np

from .spectrum import extend, fast_length, row_blocks


def resample(samples: np.ndarray, rate_hz: float, new_rate_hz: float) -> np.ndarray:
    """The rows at ``new_rate_hz``: sample k of the result lies at k / new_rate_hz seconds.

    Band-limited below both Nyquist rates; no NaN allowed; at the same rate what was given, not to be written to. Shape (leads, floor((n - 1) * new / old) + 1).
    """
    leads, length = samples.shape
    if rate_hz == new_rate_hz or length < 2:
        return samples
    points = int(np.floor((length - 1) * new_rate_hz / rate_hz + 1e-9)) + 1
    margin = int(rate_hz)
    size = fast_length(length + 2 * margin)
    short = int(round(size * new_rate_hz / rate_hz))
    bins, shared = short // 2 + 1, min(short, size) // 2 + 1
    true_rate = rate_hz * short / size
    at = (margin / rate_hz + np.arange(points) / new_rate_hz) * true_rate
    grid = np.arange(short)
    found = np.empty((leads, points))
    for rows in row_blocks(leads, max(size, short)):
        spectrum = np.fft.rfft(extend(samples[rows], margin, size), axis=1)
        body = np.zeros((len(spectrum), bins), dtype=complex)
        body[:, :shared] = spectrum[:, :shared]
        if short % 2 == 0 and shared == bins:
            body[:, -1] = 0.0
        fine = np.fft.irfft(body, short, axis=1) * (short / size)
        for row, values in zip(found[rows], fine):
            row[:] = np.interp(at, grid, values)
    return found
