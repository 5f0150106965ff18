"""Is this recording good enough, while the patient is still lying there?

Each lead is looked at as it arrived (before any filter): no signal, flat, clipped, saturated, mains, wander,
tremor. The verdict is "repeat" when a lead is off, an electrode is probably exchanged or the noise hides
the ST segment; "usable" when something disturbs but can be read; else "good".
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..dsp.filters import Wander, fast_corner, hums, mains_of, wander_of
from ..dsp.ranks import median, quantiles
from ..dsp.spectrum import fill_gaps, low_passes, row_blocks
from ..findings import Finding, Quality

FLAT_UV = 8.0                  # a lead whose middle 98 % spans less carries no heart
LARGEST_UV = 15000.0           # a heart makes at most a few millivolts
WANDER_UV = (1200.0, 3000.0)    # peak to peak of the baseline: remark, repeat
MAINS_UV = (25.0, 150.0)       # amplitude: remark, repeat
MUSCLE_UV = (20.0, 60.0)       # standard deviation above 35 Hz between the complexes: remark, repeat
GAP_SHARE = 0.2
SHORT_S = 5.0
REPEAT = {"no_signal", "leads_off", "saturated", "too_short", "no_qrs"}


@dataclass(frozen=True)
class Observed:
    """What looking at the signal found: the verdict, which leads can be measured, and what disturbs:
    ``filled`` samples without gaps, their ``wander``, the ``mains_hz`` found or None."""

    quality: Quality
    usable: np.ndarray
    filled: np.ndarray
    wander: Wander
    mains_hz: float | None


@dataclass(frozen=True)
class _Look:
    """What is measured on some leads, one value each: ``span`` of the middle 98 % and ``reach`` of the heart's part, share
    ``clipped``, ``tremor`` with the hum in it, ``swing`` of the ``wander``, microvolts; ``hums``: (frequencies, leads)."""

    span: np.ndarray
    reach: np.ndarray
    clipped: np.ndarray
    tremor: np.ndarray
    swing: np.ndarray
    hums: np.ndarray
    wander: Wander


def _look(filled: np.ndarray, missing: np.ndarray, rate_hz: float) -> _Look:
    middle, below_hum = low_passes(filled, rate_hz, ((min(35.0, 0.2 * rate_hz), 2), fast_corner(rate_hz)))
    tremor = median(np.abs(filled - middle)) / 0.6745
    found = hums(np.subtract(filled, below_hum, out=below_hum), rate_hz)
    wander = wander_of(filled, rate_hz)
    drawn = wander.drawn()
    swing = np.ptp(drawn, axis=1)
    lowest, low, high, highest = quantiles(np.subtract(middle, drawn, out=middle), (0.0, 0.01, 0.99, 1.0))
    return _Look(high - low, highest - lowest, _clipped(filled, missing), tremor, swing, found, wander)


def observe(samples_uv: np.ndarray, leads: tuple[str, ...], rate_hz: float) -> Observed:
    """The verdict on the signal alone.

    ``samples_uv``: (leads, samples) as read, microvolts, NaN for gaps.
    """
    count, length = samples_uv.shape
    filled, missing = fill_gaps(samples_uv)
    if count == 0 or length < 2 or missing.all():
        quality = Quality("repeat", leads, (_remark("no_signal", (), 1.0),))
        return Observed(quality, np.zeros(count, dtype=bool), filled, Wander(np.zeros_like(filled), 1, length), None)
    findings: list[Finding] = []
    repeat = False
    looks = [_look(filled[rows], missing[rows], rate_hz) for rows in row_blocks(count, length)]
    span, reach, clipped, tremor, swing, hum = (np.concatenate([getattr(look, part) for look in looks], axis=-1)
                                                for part in ("span", "reach", "clipped", "tremor", "swing", "hums"))
    wander = Wander(np.concatenate([look.wander.means for look in looks]), looks[0].wander.block, length)
    gap = missing.mean(axis=1)
    flat = span < FLAT_UV
    saturated = ~flat & ((reach > 2 * LARGEST_UV) | (clipped > 0.05))
    off = flat | (gap > 0.5) | saturated
    mains, hum = mains_of(hum)
    tremor = np.sqrt(np.maximum(tremor ** 2 - hum ** 2 / 2, 0.0))
    usable = ~off

    def note(code: str, mask: np.ndarray, confidence: float = 1.0, **detail) -> bool:
        if mask.any():
            findings.append(_remark(code, tuple(np.array(leads, dtype=object)[mask]), confidence, **detail))
        return bool(mask.any())

    if length / rate_hz < SHORT_S:
        findings.append(_remark("too_short", (), 1.0, seconds=round(length / rate_hz, 1)))
        repeat = True
    repeat |= note("leads_off", flat | (gap > 0.5), 0.95)
    repeat |= note("saturated", saturated & ~(gap > 0.5), 0.9)
    note("clipped", usable & (clipped > 0.001), 0.8)
    repeat |= _two_steps(note, "wander", swing, WANDER_UV, usable)
    repeat |= _two_steps(note, "mains", hum, MAINS_UV, usable, hz=int(mains or 50))
    repeat |= _two_steps(note, "muscle", tremor, MUSCLE_UV, usable)
    note("gaps", usable & (gap > 0) & (gap <= GAP_SHARE))
    repeat |= note("gaps", usable & (gap > GAP_SHARE))
    if usable.any() and np.median(span[usable]) > LARGEST_UV:
        findings.append(_remark("calibration", (), 0.7))
        repeat = True
    verdict = "repeat" if repeat else "usable" if findings else "good"
    quality = Quality(verdict, tuple(np.array(leads, dtype=object)[off]), tuple(findings))
    return Observed(quality, usable, filled, wander, mains)


def _two_steps(note, code: str, values: np.ndarray, limits: tuple[float, float], usable: np.ndarray, **detail) -> bool:
    """Remark from the first limit; repeat when a third of the usable leads pass the second."""
    note(code, usable & (values > limits[0]), 0.9, **detail)
    return bool(np.sum(usable & (values > limits[1])) > max(usable.sum() / 3.0, 0.5))


def _clipped(filled: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Share of samples that stay at the largest or smallest value for three samples or more, off the baseline."""
    low, high = filled.min(axis=1), filled.max(axis=1)
    held = np.zeros(len(filled))
    for limit in (low, high):
        at = filled == limit[:, None]
        at &= ~missing
        runs = at[:, 2:] & at[:, 1:-1] & at[:, :-2]
        for row in np.flatnonzero(runs.any(axis=1)):
            if abs(limit[row] - median(filled[row])) > 0.25 * (high[row] - low[row]):
                held[row] += np.count_nonzero(runs[row])
    return np.where(high - low < FLAT_UV, 0.0, held / filled.shape[1])


SENTENCES = {
    "no_signal": ("没有可用的心电信号，请检查电极和导联线后重做", "No usable ECG signal: check electrodes and cable, then record again"),
    "too_short": ("记录只有 {seconds} 秒，请重做一份 10 秒的记录", "Only {seconds} s recorded: record 10 s again"),
    "leads_off": ("{leads} 导联无信号，电极可能脱落，请检查后重做", "No signal in {leads}: electrode probably off; check and record again"),
    "saturated": ("{leads} 导联信号饱和，请检查电极接触后重做", "{leads} saturated: check electrode contact and record again"),
    "clipped": ("{leads} 导联波形被削顶，幅度可能偏低", "{leads} clipped: amplitudes may be too low"),
    "wander": ("{leads} 导联基线漂移明显，请让患者放松、平静呼吸", "Baseline wander in {leads}: let the patient relax and breathe calmly"),
    "mains": ("{leads} 导联有 {hz} Hz 工频干扰，请检查接地和周围电器", "{hz} Hz mains interference in {leads}: check earth and appliances nearby"),
    "muscle": ("{leads} 导联肌电干扰明显，请让患者放松、注意保暖", "Muscle tremor in {leads}: let the patient relax and keep warm"),
    "gaps": ("{leads} 导联记录有中断", "{leads} recorded with gaps"),
    "calibration": ("幅度异常，可能缺少定标，请检查设备增益", "Implausible amplitude, calibration may be missing: check the gain of the cart"),
    "no_qrs": ("未检出心搏，请立即查看患者并检查电极", "No heart beat found: look at the patient at once and check the electrodes"),
}


def _remark(code: str, leads: tuple[str, ...], confidence: float, **detail) -> Finding:
    zh, en = SENTENCES[code]
    return Finding(code, leads, zh.format(leads="、".join(leads), **detail),
                   en.format(leads=", ".join(leads), **detail), confidence)


def no_beats() -> Finding:
    """The remark for a recording in which no QRS was found."""
    return _remark("no_qrs", (), 0.9)
