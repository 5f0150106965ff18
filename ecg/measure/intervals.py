"""Rate and intervals of a recording, from the fiducial points of its beats. Milliseconds and beats a minute.

Sources: IEC 60601-2-25 for global intervals; Bazett 1920, Fridericia 1920, Sagie 1992 (Framingham) and
Hodges 1983 for the corrections of QT; AHA/ACCF/HRS 2009 (Circulation 119:e241) for their use.
"""
from __future__ import annotations

import numpy as np

from ..dsp.fiducials import Fiducials
from ..dsp.ranks import median
from ..findings import Measured

P_ON, P_OFF, QRS_ON, QRS_OFF, T_OFF = 0, 2, 3, 5, 8


def missing(unit: str, reason: str) -> Measured:
    """A measurement that cannot be made, with the reason."""
    return Measured(None, unit, reason)


def rate_and_rr(at: np.ndarray, rate_hz: float) -> dict[str, Measured]:
    """heart_rate (1/min), rr (ms, median), rr_sd (ms), rr_min, rr_max from the samples of successive beats."""
    names = ("rr", "rr_sd", "rr_min", "rr_max")
    if len(at) < 2:
        reason = "no_qrs" if len(at) == 0 else "too_few_beats"
        return {"heart_rate": missing("/min", reason), **{name: missing("ms", reason) for name in names}}
    intervals = np.diff(at) / rate_hz * 1000.0
    values = (median(intervals), np.std(intervals), intervals.min(), intervals.max())
    found = {"heart_rate": Measured(_tidy(60000.0 / intervals.mean()), "/min")}
    found.update({name: Measured(_tidy(value), "ms") for name, value in zip(names, values)})
    return found


def intervals(fiducials: Fiducials, rate_hz: float, rr_ms: float | None) -> dict[str, Measured]:
    """p, pr, qrs, qt and the four qtc, milliseconds, of the dominant beat over all leads."""
    points = fiducials.template_overall / rate_hz * 1000.0
    spans = {"p": (P_ON, P_OFF, "no_p_wave"), "pr": (P_ON, QRS_ON, "no_p_wave"),
             "qrs": (QRS_ON, QRS_OFF, "no_qrs"), "qt": (QRS_ON, T_OFF, "no_t_wave")}
    found = {}
    for name, (first, last, reason) in spans.items():
        span = points[last] - points[first]
        found[name] = Measured(_tidy(span), "ms") if np.isfinite(span) and span > 0 else missing("ms", reason)
    found.update(corrected_qt(found["qt"].value, rr_ms, found["qt"].reason or "too_few_beats"))
    return found


def corrected_qt(qt_ms: float | None, rr_ms: float | None, reason: str) -> dict[str, Measured]:
    """QT corrected for rate, milliseconds; ``reason`` is given where QT or RR is missing."""
    names = ("qtc_bazett", "qtc_fridericia", "qtc_framingham", "qtc_hodges")
    if qt_ms is None or rr_ms is None:
        return {name: missing("ms", reason) for name in names}
    rr_s = rr_ms / 1000.0
    values = (qt_ms / np.sqrt(rr_s), qt_ms / np.cbrt(rr_s), qt_ms + 154.0 * (1.0 - rr_s),
              qt_ms + 1.75 * (60.0 / rr_s - 60.0))
    return {name: Measured(_tidy(value), "ms") for name, value in zip(names, values)}


def _tidy(value: float) -> float:
    return round(float(value), 1)
