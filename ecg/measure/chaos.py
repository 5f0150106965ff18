"""Is there any rest between beats? Fibrillation of the ventricles has none, and no shape that returns.

``calm_share`` is the part of time in which all leads stand still; ``leakage`` how badly the strip fits a
single sine (VF filter: Kuo and Dillman 1978); ``repeats`` how well the strip resembles itself a cycle later.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..dsp.ranks import median, quantiles
from ..dsp.spectrum import fast_length, hann, power_of
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
    low, high = quantiles(samples, (0.02, 0.98))
    size = float(median(high - low))
    span = int(0.02 * rate)
    slope = np.sqrt(np.mean((samples[:, span:] - samples[:, :-span]) ** 2, axis=0))
    calm = float(np.mean(slope < 0.10 * quantiles(slope, (0.98,))[0]))
    leaks = []
    large = np.abs(samples)
    steps, sizes = np.abs(np.diff(samples, axis=1)).sum(axis=1), large.sum(axis=1)
    for row, height, step, total in zip(samples, large, steps, sizes):
        half = int(round(np.pi * total / max(step, 1e-9)))
        if 0 < half < len(row) // 2:
            leaks.append(np.abs(row[half:] + row[:-half]).sum() / max(height[half:].sum() + height[:-half].sum(), 1e-9))
    power = power_of(samples * hann(samples.shape[1]), samples.shape[1])
    frequency = np.fft.rfftfreq(samples.shape[1], 1.0 / rate)
    band = (frequency > 1.0) & (frequency < 20.0)
    together = power[:, band].sum(axis=0)
    low, high = int(0.15 * rate), min(int(2.0 * rate), samples.shape[1] - 1)
    room = fast_length(samples.shape[1] + high)
    correlation = np.fft.irfft(power_of(samples, room).sum(axis=0), room)
    correlation = correlation[low:high] / max(correlation[0], 1e-9) * samples.shape[1] / (samples.shape[1] - np.arange(low, high))
    repeats = float(correlation.max()) if len(correlation) else 0.0
    return Chaos(calm, float(median(np.array(leaks))) if leaks else 1.0, repeats, float(frequency[band][together.argmax()]), size)
