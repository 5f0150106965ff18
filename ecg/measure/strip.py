"""The rhythm strip: cleaned leads at one working rate with the beats in its samples.

What is not bound to one beat (fibrillation, dissociated P waves, chaos) is looked for here. Only the first
minute is taken: a resting ECG fits in, a day-long one is judged by its beats.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..dsp.filters import baseline
from ..dsp.resample import resample
from ..dsp.spectrum import fill_gaps, low_pass
from ..findings import Analysis
from ..recording import Recording

STRIP_RATE_HZ = 250.0
STRIP_S = 60.0
USUAL_ON_S, USUAL_OFF_S = 0.045, 0.055


@dataclass(frozen=True)
class Strip:
    """``samples``: (leads, n) microvolts at 250 Hz, float32, baseline and everything above 40 Hz removed;
    ``r``, ``on``, ``off``: samples of each beat's R, QRS onset and end; ``shape``: its shape number."""

    leads: tuple[str, ...]
    samples: np.ndarray
    r: np.ndarray
    on: np.ndarray
    off: np.ndarray
    shape: np.ndarray

    def window(self, beat: int, before_s: float, after_s: float) -> np.ndarray | None:
        """(leads, samples) from ``before_s`` before to ``after_s`` after the QRS onset of a beat; None at the ends."""
        low = self.on[beat] - int(round(before_s * STRIP_RATE_HZ))
        high = self.on[beat] + int(round(after_s * STRIP_RATE_HZ))
        return self.samples[:, low:high] if low >= 0 and high <= self.samples.shape[1] else None


def strip_of(recording: Recording, analysis: Analysis) -> Strip | None:
    """The strip of the usable leads; None where none is usable or the recording is shorter than a second."""
    rows = [row for row, name in enumerate(recording.leads) if name not in analysis.quality.leads_off]
    length = min(recording.samples_uv.shape[1], int(STRIP_S * recording.rate_hz))
    if not rows or length < recording.rate_hz:
        return None
    usable = slice(None) if len(rows) == len(recording.leads) else rows
    filled, _ = fill_gaps(recording.samples_uv[usable, :length])
    samples = _at_strip_rate(filled, recording.rate_hz)
    samples = low_pass(samples - baseline(samples, STRIP_RATE_HZ), STRIP_RATE_HZ, 40.0).astype(np.float32)
    scale = STRIP_RATE_HZ / recording.rate_hz
    beats = [beat for beat in analysis.beats if beat.r < length]
    place = [(beat.r * scale,
              beat.qrs_on * scale if beat.qrs_on is not None else beat.r * scale - USUAL_ON_S * STRIP_RATE_HZ,
              beat.qrs_off * scale if beat.qrs_off is not None else beat.r * scale + USUAL_OFF_S * STRIP_RATE_HZ)
             for beat in beats]
    points = np.round(np.array(place, dtype=float).reshape(-1, 3)).astype(int)
    return Strip(tuple(recording.leads[row] for row in rows), samples, points[:, 0], points[:, 1], points[:, 2],
                 np.array([beat.shape for beat in beats], dtype=int))


def _at_strip_rate(samples: np.ndarray, rate_hz: float) -> np.ndarray:
    """At the rate of the strip: from twice that rate by weights 1, 2, 1, which silence what would fold onto the lowest waves."""
    if rate_hz != 2 * STRIP_RATE_HZ:
        return resample(samples, rate_hz, STRIP_RATE_HZ)
    thin, between = 0.5 * samples[:, ::2], 0.25 * samples[:, 1::2]
    thin[:, :between.shape[1]] += between
    thin[:, 1:] += between[:, :thin.shape[1] - 1]
    thin[:, 0] += 0.25 * samples[:, 0]                     # the ends are held
    if samples.shape[1] % 2:
        thin[:, -1] += 0.25 * samples[:, -1]
    return thin
