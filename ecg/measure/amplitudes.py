"""Amplitudes and durations of the waves of each lead, and the ST level, in the dominant beat.

Reference is the level at the global QRS onset (IEC 60601-2-25 annex FF); P is measured from the line between
its ends. A deflection of the QRS counts from 20 microvolts and 6 ms (CSE: minimum wave).
"""
from __future__ import annotations

import numpy as np

from ..dsp.fiducials import Fiducials
from ..findings import Measured

SMALLEST_UV = 20.0
SMALLEST_S = 0.006
ST_MS = (0, 20, 40, 60, 80)
VOLTAGES = ("p_amplitude", "q_amplitude", "r_amplitude", "s_amplitude", "r2_amplitude", "s2_amplitude",
            "qrs_peak_to_peak", "t_amplitude", "st_j", "st_j20", "st_j40", "st_j60", "st_j80")
TIMES = ("p_duration", "q_duration", "r_duration", "s_duration", "r2_duration", "r_peak_time", "qrs_duration", "pr_interval")


def lead_measurements(fiducials: Fiducials, leads: tuple[str, ...], rate_hz: float, off: tuple[str, ...]
                      ) -> dict[str, dict[str, Measured]]:
    """Lead -> name -> Measured: voltages in microvolts (Q and S negative), times in milliseconds.

    Names are those of ``VOLTAGES`` and ``TIMES``; leads in ``off`` carry the reason ``lead_off``.
    """
    found = {}
    for row, lead in enumerate(leads):
        if lead in off:
            found[lead] = nothing("lead_off")
        else:
            found[lead] = _one(fiducials.template[row], fiducials.template_points[row],
                               fiducials.template_overall, rate_hz)
    return found


def nothing(reason: str) -> dict[str, Measured]:
    """Every measurement of a lead, absent for one reason."""
    voltage, time = Measured(None, "uV", reason), Measured(None, "ms", reason)
    return {**dict.fromkeys(VOLTAGES, voltage), **dict.fromkeys(TIMES, time)}


def _one(beat: np.ndarray, own: np.ndarray, overall: np.ndarray, rate_hz: float) -> dict[str, Measured]:
    found = nothing("no_qrs")
    on, off = overall[3], overall[5]
    if not (np.isfinite(on) and np.isfinite(off)) or off <= on:
        return found
    on, off = int(on), int(off)
    level = float(np.median(beat[max(on - 2, 0):on + 3]))
    wave = beat - level
    _p(found, beat, own, rate_hz)
    _deflections(found, wave[on:off + 1], rate_hz)
    found["qrs_peak_to_peak"] = _uv(np.ptp(beat[on:off + 1]))
    found["qrs_duration"] = _ms(own[5] - own[3], rate_hz) if np.isfinite(own[3:6]).all() else _ms(off - on, rate_hz)
    for after in ST_MS:
        place = off + int(round(after / 1000.0 * rate_hz))
        name = "st_j" + (str(after) if after else "")
        if place + 2 < len(wave):
            found[name] = _uv(np.mean(wave[place - 1:place + 2]))
        else:
            found[name] = Measured(None, "uV", "beat_cut_off")
    if np.isfinite(own[7]):
        found["t_amplitude"] = _uv(wave[int(own[7])])
    else:
        found["t_amplitude"] = Measured(None, "uV", "no_t_wave")
    return found


def _p(found: dict[str, Measured], beat: np.ndarray, own: np.ndarray, rate_hz: float) -> None:
    if not np.isfinite(own[:3]).all():
        found["p_amplitude"] = Measured(None, "uV", "no_p_wave")
        found["p_duration"] = found["pr_interval"] = Measured(None, "ms", "no_p_wave")
        return
    low, peak, high = own[:3].astype(int)
    line = beat[low] + (beat[high] - beat[low]) * (peak - low) / max(high - low, 1)
    found["p_amplitude"] = _uv(beat[peak] - line)
    found["p_duration"] = _ms(high - low, rate_hz)
    if np.isfinite(own[3]):
        found["pr_interval"] = _ms(own[3] - low, rate_hz)


def _deflections(found: dict[str, Measured], wave: np.ndarray, rate_hz: float) -> None:
    """Name the deflections of a QRS in their order: q before the first r, s after it, then r', s'."""
    runs = []
    change = np.flatnonzero(np.diff(np.sign(wave))) + 1
    for low, high in zip(np.r_[0, change], np.r_[change, len(wave)]):
        top = wave[low:high][np.argmax(np.abs(wave[low:high]))]
        if abs(top) >= SMALLEST_UV and high - low >= SMALLEST_S * rate_hz:
            if runs and np.sign(runs[-1][0]) == np.sign(top):
                if abs(top) > abs(runs[-1][0]):
                    runs[-1] = (top, runs[-1][1], high)
                else:
                    runs[-1] = (runs[-1][0], runs[-1][1], high)
            else:
                runs.append((top, low, high))
    for name in ("q", "r", "s", "r2", "s2"):
        found[name + "_amplitude"] = Measured(None, "uV", "no_such_wave")
        if name != "s2":
            found[name + "_duration"] = Measured(None, "ms", "no_such_wave")
    found["r_peak_time"] = Measured(None, "ms", "no_such_wave")
    names = iter(("r", "s", "r2", "s2") if runs and runs[0][0] > 0 else ("q", "r", "s", "r2", "s2"))
    for name, (top, low, high) in zip(names, runs):
        found[name + "_amplitude"] = _uv(top)
        if name != "s2":
            found[name + "_duration"] = _ms(high - low, rate_hz)
        if name == "r":
            found["r_peak_time"] = _ms(low + int(np.argmax(wave[low:high])), rate_hz)


def _uv(value: float) -> Measured:
    return Measured(round(float(value), 1), "uV")


def _ms(samples: float, rate_hz: float) -> Measured:
    return Measured(round(float(samples) / rate_hz * 1000.0, 1), "ms")
