"""Two recordings of one patient compared: what changed in ST, T, intervals and QRS, in one sentence.

The median beats are laid over each other at their R waves (best correlation over the shared leads within
40 ms) and compared lead by lead. Limits are those of a change a reader would call: ST 0.1 mV, T 0.2 mV or a
change of sign, rate 20 a minute, QRS 20 ms, QTc 40 ms (AHA/ACCF/HRS 2009; Fourth Universal Definition of MI).
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..findings import Analysis
from ..measure.strip import STRIP_RATE_HZ, strip_of
from ..recording import STANDARD_LEADS, Recording

BEFORE_S, AFTER_S, SHIFT_S = 0.06, 0.44, 0.04
SHOWN_BEFORE_S, SHOWN_AFTER_S = 0.26, 0.54      # around the QRS onset: room for P and T
ST_UV, T_UV = 100.0, 200.0
T_PRESENT_UV = 100.0
INTERVALS = {"heart_rate": (20.0, "心率", "rate", "/min"), "pr": (30.0, "PR", "PR", " ms"), "qrs": (20.0, "QRS", "QRS", " ms"),
             "qtc_fridericia": (40.0, "QTc", "QTc", " ms")}
AXIS_DEG = 45.0


@dataclass(frozen=True)
class SerialComparison:
    """``st_change_uv``, ``t_change_uv``: lead -> now less before, microvolts, shared leads only; ``interval_change``:
    name -> now less before; ``likeness``: lead -> correlation of the QRS-T of the median beats, -1..1;
    ``changed``: whether any limit was passed; ``zh``, ``en``: the difference in one sentence."""

    st_change_uv: dict[str, float]
    t_change_uv: dict[str, float]
    interval_change: dict[str, float]
    likeness: dict[str, float]
    changed: bool
    zh: str
    en: str


def compare(before: tuple[Recording, Analysis], now: tuple[Recording, Analysis]) -> SerialComparison:
    """The change from an earlier recording to this one. Both are the patient's; that is for the caller to know."""
    st = _difference(before[1], now[1], "st_j40")
    t = _difference(before[1], now[1], "t_amplitude")
    spans = {name: now[1].measurements[name].value - before[1].measurements[name].value for name in (*INTERVALS, "qrs_axis")
             if now[1].measurements[name].value is not None and before[1].measurements[name].value is not None}
    if "qrs_axis" in spans:
        spans["qrs_axis"] = (spans["qrs_axis"] + 180.0) % 360.0 - 180.0
    likeness = _likeness(before, now)
    zh, en = _sentences(before[1], now[1], st, t, spans)
    if not st and not spans:
        return SerialComparison(st, t, spans, likeness, False, "与前次心电图无可比导联或心搏，未作比较。",
                                "No leads or beats in common with the previous ECG: not compared.")
    return SerialComparison(
        st, t, spans, likeness, bool(zh),
        f"与前次相比：{'；'.join(zh)}。" if zh else "与前次相比无明显变化。",
        f"Compared with the previous ECG: {'; '.join(en)}." if en else "No significant change from the previous ECG.")


def _difference(before: Analysis, now: Analysis, name: str) -> dict[str, float]:
    found = {}
    for lead, measured in now.lead_measurements.items():
        earlier = before.lead_measurements.get(lead, {}).get(name)
        if earlier is not None and earlier.value is not None and measured[name].value is not None:
            found[lead] = round(measured[name].value - earlier.value, 1)
    return found


def _sentences(before: Analysis, now: Analysis, st: dict, t: dict, spans: dict) -> tuple[list[str], list[str]]:
    zh, en = [], []
    for sign, words_zh, words_en in ((1, "ST 段抬高增加", "ST higher"), (-1, "ST 段下移", "ST lower")):
        leads = [lead for lead in st if sign * st[lead] >= ST_UV]
        if leads:
            values = "、".join(f"{lead} {st[lead] / 1000:+.2f} mV" for lead in leads)
            zh.append(f"{words_zh}（{values}）")
            en.append(f"{words_en} ({values.replace('、', ', ')})")
    flipped = [lead for lead in t if lead != "aVR" and _flipped(before, now, lead)]
    other = [lead for lead in t if abs(t[lead]) >= T_UV and lead not in flipped and lead in STANDARD_LEADS]
    if flipped:
        zh.append(f"T 波方向改变（{'、'.join(flipped)}）")
        en.append(f"T wave reversed ({', '.join(flipped)})")
    if other:
        values = "、".join(f"{lead} {t[lead] / 1000:+.2f} mV" for lead in other)
        zh.append(f"T 波幅度改变（{values}）")
        en.append(f"T amplitude changed ({values.replace('、', ', ')})")
    for name, (limit, label_zh, label_en, unit) in INTERVALS.items():
        if abs(spans.get(name, 0.0)) >= limit:
            was, is_now = before.measurements[name].value, now.measurements[name].value
            zh.append(f"{label_zh} {was:.0f}→{is_now:.0f}{unit}")
            en.append(f"{label_en} {was:.0f} to {is_now:.0f}{unit}")
    if abs(spans.get("qrs_axis", 0.0)) >= AXIS_DEG:
        zh.append(f"QRS 电轴改变 {spans['qrs_axis']:+.0f}°")
        en.append(f"QRS axis changed {spans['qrs_axis']:+.0f} degrees")
    news_zh, news_en = _new_statements(before, now)
    if news_zh:
        zh.append(f"新出现：{'、'.join(news_zh)}")
        en.append(f"new: {', '.join(news_en)}")
    return zh, en


def _new_statements(before: Analysis, now: Analysis) -> tuple[list[str], list[str]]:
    quiet = {"NORM", "SR", "LIMITED", "SARRH", "STACH", "SBRAD"}
    known = {statement.code for statement in before.statements} | quiet
    new = [statement for statement in now.statements if statement.code not in known]
    return [statement.zh for statement in new], [statement.en for statement in new]


def _flipped(before: Analysis, now: Analysis, lead: str) -> bool:
    was, is_now = before.lead_measurements[lead]["t_amplitude"].value, now.lead_measurements[lead]["t_amplitude"].value
    return was * is_now < 0 and min(abs(was), abs(is_now)) >= T_PRESENT_UV


@dataclass(frozen=True)
class Aligned:
    """The median beats of two recordings laid over each other, shared leads only. ``before_uv``, ``now_uv``: (leads,
    samples) microvolts at ``rate_hz``; sample ``onset`` is the QRS onset of the newer one. ``likeness``: correlation
    of the QRS-T of each lead, -1..1. NaN where one of the recordings ends too early."""

    leads: tuple[str, ...]
    rate_hz: float
    onset: int
    before_uv: np.ndarray
    now_uv: np.ndarray
    likeness: np.ndarray


def aligned_beats(before: tuple[Recording, Analysis], now: tuple[Recording, Analysis]) -> Aligned | None:
    """Both median beats, moved by at most 40 ms to where their QRS-T agree best; None without a beat or lead in common."""
    beats = [_median_beat(*one) for one in (before, now)]
    if beats[0] is None or beats[1] is None:
        return None
    shared = tuple(lead for lead in beats[1][0] if lead in beats[0][0])
    if not shared:
        return None
    first, second = (uv[[leads.index(lead) for lead in shared]] for leads, uv in beats)
    reach, onset = int(SHIFT_S * STRIP_RATE_HZ), int(SHOWN_BEFORE_S * STRIP_RATE_HZ)
    low, high = onset - int(BEFORE_S * STRIP_RATE_HZ), onset + int(AFTER_S * STRIP_RATE_HZ)
    now_part = second[:, low:high]
    fits = {shift: _correlations(first[:, low + shift:high + shift], now_part) for shift in range(-reach, reach + 1)}
    shift, likeness = max(fits.items(), key=lambda one: float(np.mean(one[1])))
    return Aligned(shared, STRIP_RATE_HZ, onset, _moved(first, -shift), second, likeness)


def _moved(samples: np.ndarray, by: int) -> np.ndarray:
    """``samples`` ``by`` columns later; NaN where nothing comes in."""
    moved = np.full_like(samples, np.nan)
    if by >= 0:
        moved[:, by:] = samples[:, :samples.shape[1] - by]
    else:
        moved[:, :by] = samples[:, -by:]
    return moved


def _likeness(before: tuple[Recording, Analysis], now: tuple[Recording, Analysis]) -> dict[str, float]:
    aligned = aligned_beats(before, now)
    return {} if aligned is None else {lead: round(float(value), 3) for lead, value in zip(aligned.leads, aligned.likeness)}


def _median_beat(recording: Recording, analysis: Analysis) -> tuple[tuple[str, ...], np.ndarray] | None:
    strip = strip_of(recording, analysis)
    if strip is None:
        return None
    pieces = [strip.window(beat, SHOWN_BEFORE_S, SHOWN_AFTER_S) for beat in np.flatnonzero(strip.shape == 0)]
    pieces = [piece for piece in pieces if piece is not None]
    return (strip.leads, np.median(pieces, axis=0)) if pieces else None


def _correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    a, b = first - first.mean(axis=1, keepdims=True), second - second.mean(axis=1, keepdims=True)
    return np.sum(a * b, axis=1) / np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-9)
