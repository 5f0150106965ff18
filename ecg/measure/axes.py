"""The frontal axes of P, QRS and T: the direction of the net area over the limb leads, degrees -179..180.

The vector is fitted to all limb leads that are there (at least two, not parallel), with the lead
directions of Einthoven and Goldberger; the Goldberger leads are 0.866 as long as the bipolar ones.
"""
from __future__ import annotations

from functools import cache

import numpy as np

from ..findings import Measured

DIRECTIONS = {"I": (0.0, 1.0), "II": (60.0, 1.0), "III": (120.0, 1.0), "aVR": (-150.0, 0.866),
              "aVL": (-30.0, 0.866), "aVF": (90.0, 0.866)}
SMALLEST_UV_S = {"p_axis": 0.25, "qrs_axis": 1.0, "t_axis": 1.0}


def frontal_axes(template: np.ndarray, leads: tuple[str, ...], overall: np.ndarray, rate_hz: float
                 ) -> dict[str, Measured]:
    """p_axis, qrs_axis, t_axis in degrees.

    ``template``: (leads, window) microvolts; ``leads``: names of its rows, only usable ones; ``overall``: (9,)
    boundaries in its samples.
    """
    limb = [name for name in DIRECTIONS if name in leads]
    spans = {"p_axis": (0, 2, "no_p_wave"), "qrs_axis": (3, 5, "no_qrs"), "t_axis": (5, 8, "no_t_wave")}
    rows = template[[leads.index(lead) for lead in limb]]
    found = {}
    for name, (first, last, reason) in spans.items():
        if len(limb) < 2:
            found[name] = Measured(None, "deg", "limb_leads_missing")
            continue
        ends = overall[[first, last]]
        if not np.isfinite(ends).all() or ends[1] - ends[0] < 2:
            found[name] = Measured(None, "deg", reason)
            continue
        low, high = int(ends[0]), int(ends[1])
        level = _level(rows, low, high, overall, name)
        area = np.sum(rows[:, low:high + 1] - level, axis=1) / rate_hz
        x, y = _vector(limb, area)
        if np.hypot(x, y) < SMALLEST_UV_S[name]:
            found[name] = Measured(None, "deg", "too_small")
        else:
            degrees = int(round(float(np.degrees(np.arctan2(y, x)))))
            found[name] = Measured(180.0 if degrees == -180 else float(degrees), "deg")
    return found


def _level(rows: np.ndarray, low: int, high: int, overall: np.ndarray, name: str) -> np.ndarray:
    """Rest level: under P the line between its ends, under QRS and T the level at QRS onset."""
    if name == "p_axis":
        share = np.linspace(0, 1, high - low + 1)
        return rows[:, [low]] * (1 - share) + rows[:, [high]] * share
    return rows[:, [int(overall[3])]]


def _vector(limb: list[str], area: np.ndarray) -> tuple[float, float]:
    x, y = _fit(tuple(limb)) @ area
    return float(x), float(y)


@cache
def _fit(limb: tuple[str, ...]) -> np.ndarray:
    """(2, leads): makes the vector that fits best of the areas in these leads."""
    turned = np.radians([DIRECTIONS[name][0] for name in limb])
    length = np.array([DIRECTIONS[name][1] for name in limb])
    return np.linalg.pinv(np.stack([np.cos(turned), np.sin(turned)], axis=1) * length[:, None])
