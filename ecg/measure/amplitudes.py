"""Amplitudes and durations of the waves of each lead, and the ST level, in the dominant beat.

Reference is the level at the global QRS onset (IEC 60601-2-25 annex FF); P is measured from the line between
its ends. A deflection of the QRS counts from 20 microvolts and 6 ms (CSE: minimum wave).
"""
from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from math import isfinite
from statistics import median

import numpy as np

from ..dsp.fiducials import Fiducials
from ..findings import Measured

SMALLEST_UV = 20.0
SMALLEST_S = 0.006
ST_MS = (0, 20, 40, 60, 80)
VOLTAGES = ("p_amplitude", "q_amplitude", "r_amplitude", "s_amplitude", "r2_amplitude", "s2_amplitude",
            "qrs_peak_to_peak", "t_amplitude", "st_j", "st_j20", "st_j40", "st_j60", "st_j80")
TIMES = ("p_duration", "q_duration", "r_duration", "s_duration", "r2_duration", "r_peak_time", "qrs_duration", "pr_interval")
NO_WAVE_UV, NO_WAVE_MS = Measured(None, "uV", "no_such_wave"), Measured(None, "ms", "no_such_wave")


def lead_measurements(fiducials: Fiducials, leads: tuple[str, ...], rate_hz: float, off: tuple[str, ...]
                      ) -> dict[str, dict[str, Measured]]:
    """Lead -> name -> Measured: voltages in microvolts (Q and S negative), times in milliseconds.

    Names are those of ``VOLTAGES`` and ``TIMES``; leads in ``off`` carry the reason ``lead_off``.
    """
    beats, points, overall = fiducials.template, fiducials.template_points.tolist(), fiducials.template_overall.tolist()
    found = {}
    for row, lead in enumerate(leads):
        if lead in off:
            found[lead] = nothing("lead_off")
        else:
            found[lead] = _one(beats[row], points[row], overall, rate_hz)
    return found


def nothing(reason: str) -> dict[str, Measured]:
    """Every measurement of a lead, absent for one reason."""
    voltage, time = Measured(None, "uV", reason), Measured(None, "ms", reason)
    return {**dict.fromkeys(VOLTAGES, voltage), **dict.fromkeys(TIMES, time)}


def _one(beat: np.ndarray, own: list[float], overall: list[float], rate_hz: float) -> dict[str, Measured]:
    found = nothing("no_qrs")
    on, off = overall[3], overall[5]
    if not (isfinite(on) and isfinite(off)) or off <= on:
        return found
    on, off = int(on), int(off)
    level = median(beat[max(on - 2, 0):on + 3].tolist())
    qrs, after_j = beat[on:off + 1].tolist(), beat[off - 1:off + int(round(ST_MS[-1] / 1000.0 * rate_hz)) + 2].tolist()
    _p(found, beat, own, rate_hz)
    _deflections(found, [value - level for value in qrs], rate_hz)
    found["qrs_peak_to_peak"] = _uv(max(qrs) - min(qrs))
    found["qrs_duration"] = _ms(own[5] - own[3] if all(map(isfinite, own[3:6])) else off - on, rate_hz)
    for after in ST_MS:
        place = int(round(after / 1000.0 * rate_hz))
        name = "st_j" + (str(after) if after else "")
        if off + place + 2 < len(beat):
            found[name] = _uv(sum(after_j[place:place + 3]) / 3 - level)
        else:
            found[name] = Measured(None, "uV", "beat_cut_off")
    found["t_amplitude"] = _uv(float(beat[int(own[7])]) - level) if isfinite(own[7]) else Measured(None, "uV", "no_t_wave")
    return found


def _p(found: dict[str, Measured], beat: np.ndarray, own: list[float], rate_hz: float) -> None:
    if not all(map(isfinite, own[:3])):
        found["p_amplitude"] = Measured(None, "uV", "no_p_wave")
        found["p_duration"] = found["pr_interval"] = Measured(None, "ms", "no_p_wave")
        return
    low, peak, high = (int(place) for place in own[:3])
    first, top, last = float(beat[low]), float(beat[peak]), float(beat[high])
    line = first + (last - first) * (peak - low) / max(high - low, 1)
    found["p_amplitude"] = _uv(top - line)
    found["p_duration"] = _ms(high - low, rate_hz)
    if isfinite(own[3]):
        found["pr_interval"] = _ms(own[3] - low, rate_hz)


def _deflections(found: dict[str, Measured], wave: list[float], rate_hz: float) -> None:
    """Name the deflections of a QRS in their order: q before the first r, s after it, then r', s'."""
    runs: list[tuple[float, int, int]] = []
    for top, low, high in _one_signed(wave):
        if abs(top) >= SMALLEST_UV and high - low >= SMALLEST_S * rate_hz:
            if runs and (runs[-1][0] > 0) == (top > 0):
                runs[-1] = (max(runs[-1][0], top, key=abs), runs[-1][1], high)
            else:
                runs.append((top, low, high))
    for name in ("q", "r", "s", "r2", "s2"):
        found[name + "_amplitude"] = NO_WAVE_UV
        if name != "s2":
            found[name + "_duration"] = NO_WAVE_MS
    found["r_peak_time"] = NO_WAVE_MS
    names = iter(("r", "s", "r2", "s2") if runs and runs[0][0] > 0 else ("q", "r", "s", "r2", "s2"))
    for name, (top, low, high) in zip(names, runs):
        found[name + "_amplitude"] = _uv(top)
        if name != "s2":
            found[name + "_duration"] = _ms(high - low, rate_hz)
        if name == "r":
            found["r_peak_time"] = _ms(wave.index(max(wave[low:high]), low), rate_hz)


def _one_signed(wave: list[float]) -> Iterator[tuple[float, int, int]]:
    """The stretches of one sign: the value farthest from zero, first sample, and the one after the last."""
    low = 0
    for _, run in groupby(wave, _sign):
        stretch = list(run)
        lowest, highest = min(stretch), max(stretch)
        yield highest if highest > 0 else lowest, low, low + len(stretch)
        low += len(stretch)


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _uv(value: float) -> Measured:
    return Measured(round(value, 1), "uV")


def _ms(samples: float, rate_hz: float) -> Measured:
    return Measured(round(samples / rate_hz * 1000.0, 1), "ms")
