"""Is there any rest between beats? Fibrillation of the ventricles has none, and no shape that returns.

``calm_share`` is the part of time in which all leads stand still; ``leakage`` how badly the strip fits a
single sine (VF filter: Kuo and Dillman 1978); ``repeats`` how well the strip resembles itself a cycle later.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..dsp.spectrum import fast_length
from .strip import STRIP_RATE_HZ, Strip


@dataclass(frozen=True)
class Chaos:
    """``calm_share``, ``leakage``, ``repeats`` 0..1; ``main_hz``: the main frequency; ``size_uv``: median over
    leads of the middle 96 % of amplitudes."""

    calm_share: float
    leakage: float
    repeats: float
    main_hz: float
    size_uv: float


def chaos_of(strip: Strip) -> Chaos:
    """How ordered a strip is, over all its leads."""
    samples = strip.samples[:, ::2]
    rate = STRIP_RATE_HZ / 2
    low, high = np.percentile(samples, (2, 98), axis=1)
    size = float(np.median(high - low))
    span = int(0.02 * rate)
    slope = np.sqrt(np.mean((samples[:, span:] - samples[:, :-span]) ** 2, axis=0))
    calm = float(np.mean(slope < 0.10 * np.percentile(slope, 98)))
    leaks = []
    steps, sizes = np.abs(np.diff(samples, axis=1)).sum(axis=1), np.abs(samples).sum(axis=1)
    for row, step, total in zip(samples, steps, sizes):
        half = int(round(np.pi * total / max(step, 1e-9)))
        if 0 < half < len(row) // 2:
            leaks.append(np.abs(row[half:] + row[:-half]).sum() / max((np.abs(row[half:]) + np.abs(row[:-half])).sum(), 1e-9))
    power = _power(samples * np.hanning(samples.shape[1]), samples.shape[1])
    frequency = np.fft.rfftfreq(samples.shape[1], 1.0 / rate)
    band = (frequency > 1.0) & (frequency < 20.0)
    together = power[:, band].sum(axis=0)
    twice = fast_length(2 * samples.shape[1])
    correlation = np.fft.irfft(_power(samples, twice).sum(axis=0), twice)
    correlation = correlation[:samples.shape[1]] / max(correlation[0], 1e-9)
    low, high = int(0.15 * rate), min(int(2.0 * rate), len(correlation) - 1)
    correlation = correlation[low:high] * samples.shape[1] / (samples.shape[1] - np.arange(low, high))
    repeats = float(correlation.max()) if len(correlation) else 0.0
    return Chaos(calm, float(np.median(leaks)) if leaks else 1.0, repeats, float(frequency[band][together.argmax()]), size)


def _power(rows: np.ndarray, size: int) -> np.ndarray:
    spectrum = np.fft.rfft(rows, size, axis=1)
    return spectrum.real ** 2 + spectrum.imag ** 2
