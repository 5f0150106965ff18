"""Are two kinds of waves counted as beats? Tall P waves of a slow escape rhythm can stand out like small QRS complexes.

A wave below the size of any usual QRS that is counted between large, rare ones may be a P wave; then the ventricles
beat as slowly as the large waves. It cannot always be told from a ventricular bigeminy of low voltage: the rule that
uses this says so and calls a person.
"""
from __future__ import annotations

import numpy as np

from ..dsp.ranks import median
from .strip import STRIP_RATE_HZ, Strip

HALF_S = 0.07
P_AT_MOST_UV = 700.0           # peak to peak in the lead where it is largest: hardly any P wave is taller
APART = 1.3                    # gap between the largest small and the smallest large wave
LARGER = 1.6                   # the large against the small, in the middle
SLOW_S = 1.15                  # the large ones alone would beat slower than 52 a minute


def rate_of_large_beats(strip: Strip) -> float | None:
    """The rate per minute of the large waves where the beats of a strip fall into rare large and small ones; else None."""
    if len(strip.r) < 5:
        return None
    size = _sizes(strip)
    order = np.sort(size)
    step = order[1:] / np.maximum(order[:-1], 1e-9)
    step[[0, -1]] = 1.0                              # two of each kind at least
    cut = int(step.argmax())
    small, large = size <= order[cut], size > order[cut]
    if step[cut] < APART or median(size[small]) > P_AT_MOST_UV or order[cut] > 1.2 * P_AT_MOST_UV:
        return None
    if median(size[large]) < LARGER * median(size[small]):
        return None
    interval_s = float(median(np.diff(strip.r[large]))) / STRIP_RATE_HZ
    return 60.0 / interval_s if interval_s >= SLOW_S else None


def _sizes(strip: Strip) -> np.ndarray:
    """Peak to peak of each beat in its largest lead, microvolts."""
    half = int(HALF_S * STRIP_RATE_HZ)
    place = np.clip(strip.r[:, None] + np.arange(-half, half + 1), 0, strip.samples.shape[1] - 1)
    return np.ptp(strip.samples[:, place], axis=2).max(axis=0)
