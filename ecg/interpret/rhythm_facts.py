"""Facts about the rhythm: regularity, atrial activity, ectopic beats, pauses, pacing, and order or chaos."""
from __future__ import annotations

import numpy as np

from ..dsp.ranks import median, median_over
from ..findings import Analysis
from ..measure.atrial import Atria, atrial_activity
from ..measure.chaos import chaos_of
from ..measure.ectopy import ectopic_beats, usual_intervals
from ..measure.pacing import spikes_before
from ..measure.strip import Strip, strip_of
from ..measure.two_sizes import rate_of_large_beats
from ..recording import Recording

SLUR = (0.10, 0.35)            # speed of the first 30 ms as a share of the fastest
ON_T = 0.9                     # of QT: before this the T wave is surely still there
FEWEST = 5                     # beats, to speak of regularity


def rhythm_facts(recording: Recording, analysis: Analysis, known: dict[str, float | None], kinds: dict[str, tuple[int, ...]]) -> dict[str, float | None]:
    """All rhythm facts by name; ``known``: the measurements by name. Adds to ``kinds`` the numbers of the beats they are about."""
    beats, rate = analysis.beats, recording.rate_hz
    found: dict[str, float | None] = {}
    strip = strip_of(recording, analysis)
    found["signal"] = float(strip is not None)
    found["any_samples"] = float(bool(np.isfinite(recording.samples_uv).any()))
    order = chaos_of(strip) if strip is not None else None
    found.update(calm_share=order.calm_share if order else None, leakage=order.leakage if order else None,
                 repeats=order.repeats if order else None, main_hz=order.main_hz if order else None,
                 strip_size=order.size_uv if order else None)
    found["large_rate"] = rate_of_large_beats(strip) if strip is not None else None
    ectopy = ectopic_beats(beats, rate)
    r_ms = np.array([beat.r for beat in beats], dtype=float) / rate * 1000.0
    interval = np.diff(r_ms)
    odd = set(ectopy.ventricular) | set(ectopy.escape)
    plain = np.array([at for at in range(len(interval)) if at not in odd and at + 1 not in odd], dtype=int)
    atria = (atrial_activity(strip, known["qt"], known["p"] is not None) if strip is not None and len(strip.r) >= 3
             else Atria(*[None] * 8))
    found.update(_regularity(interval[plain], interval))
    found.update(p_likeness=atria.p_likeness, p_size=atria.p_size_uv, free_p=_number(atria.free_p), p_count=_number(atria.p_count),
                 atrial_rate=atria.p_rate, march=atria.dissociation, flutter=atria.flutter, flutter_rate=atria.flutter_rate,
                 has_p=float(known["p"] is not None))
    count = len(beats)
    found.update(ventricular_beats=float(len(ectopy.ventricular)), atrial_beats=float(len(ectopy.atrial)),
                 ventricular_share=len(ectopy.ventricular) / count if count else 0.0,
                 escape_beats=float(len(ectopy.escape)), ventricular_run=float(ectopy.run), ventricular_run_rate=ectopy.run_rate,
                 ventricular_shapes=float(ectopy.shapes), bigeminy=float(ectopy.bigeminy),
                 ventricular_bigeminy=float(ectopy.bigeminy and len(ectopy.ventricular) >= 3),
                 dominant_share=sum(beat.shape == 0 for beat in beats) / count if count else None)
    found["coupling"] = float(np.min(r_ms[list(ectopy.ventricular)] - r_ms[np.array(ectopy.ventricular) - 1])) if \
        ectopy.ventricular and ectopy.ventricular[0] > 0 else None
    on_t = _on_t(beats, ectopy.ventricular, known["qt"], rate)
    found["r_on_t"] = float(bool(on_t))
    found["pause"], before_pause = _longest_pause(recording, analysis.quality.leads_off, r_ms)
    usual = usual_intervals(interval, np.array([beat.shape for beat in beats])) if count >= 3 else np.zeros(0)
    found["doubled_interval"] = float(np.sum((interval > 1.7 * usual) & (interval < 2.3 * usual))) if count >= 4 else None
    before, earlier = spikes_before(recording, analysis)
    found.update(spikes_v=before, spikes_a=earlier)
    found["paced"] = float((before or 0.0) >= 0.6 or (earlier or 0.0) >= 0.6)
    found["free_p_ratio"] = atria.free_p / max(atria.p_count - atria.free_p, 1) if atria.free_p is not None else None
    long = np.flatnonzero(interval > 1.35 * usual).tolist() if count >= 4 else None
    found["long_interval"] = None if long is None else float(bool(long))
    kinds.update(ventricular=ectopy.ventricular, atrial=ectopy.atrial, escape=ectopy.escape, on_t=on_t, pause=before_pause, long=tuple(long or ()))
    found["delta"] = float(_slurred(strip)) if strip is not None and count >= 3 else None
    found["p_waves_apart"] = _apart(atria, 60000.0 / known["rr"] if known["rr"] else None)
    return found


def _number(value: int | None) -> float | None:
    return None if value is None else float(value)


def _regularity(plain: np.ndarray, every: np.ndarray) -> dict[str, float | None]:
    """irregularity: median change between successive intervals over their median; spread: longest less shortest."""
    if len(plain) < FEWEST - 1:
        return {"irregularity": None, "rr_spread": None, "rr_cv": None}
    middle = float(median(plain))
    return {"irregularity": float(median(np.abs(np.diff(plain))) / middle), "rr_spread": float(np.ptp(plain)),
            "rr_cv": float(np.std(every) / np.mean(every))}


def _slurred(strip: Strip) -> bool:
    """Whether the QRS begins slowly: the speed of its first 30 ms is well below that of its fastest part."""
    pieces = [strip.window(beat, 0.0, 0.12) for beat in np.flatnonzero(strip.shape == 0)]
    pieces = [piece for piece in pieces if piece is not None]
    if len(pieces) < 2:
        return False
    speed = np.sqrt(np.mean(np.diff(median_over(pieces), axis=1) ** 2, axis=0))
    begin = speed[2:9].mean()
    return bool(SLUR[0] * speed.max() < begin < SLUR[1] * speed.max())


def _on_t(beats, ventricular: tuple[int, ...], qt_ms: float | None, rate_hz: float) -> tuple[int, ...]:
    """The ventricular beats whose QRS begins before the end of the T wave of the plain beat before them."""
    found = []
    for at in ventricular:
        before, now = beats[at - 1] if at else None, beats[at]
        if before is None or before.qrs_on is None or before.shape != 0 or qt_ms is None:
            continue
        begin = now.qrs_on if now.qrs_on is not None else now.r - int(0.05 * rate_hz)
        if (begin - before.qrs_on) / rate_hz * 1000.0 < ON_T * qt_ms:
            found.append(at)
    return tuple(found)


def _longest_pause(recording: Recording, leads_off: tuple[str, ...], r_ms: np.ndarray) -> tuple[float | None, tuple[int, ...]]:
    """The longest recorded time without a beat, milliseconds, and the beat before it, if any. The ends of the recording count as beats that were missed;
    what no usable lead recorded is no pause."""
    if len(r_ms) == 0:
        return None, ()
    rows = [row for row, lead in enumerate(recording.leads) if lead not in leads_off]
    gone = np.isnan(recording.samples_uv[rows]).all(axis=0)
    ends = np.flatnonzero(np.diff(gone, prepend=False, append=False)) / recording.rate_hz * 1000.0
    edges = np.sort(np.r_[0.0, r_ms, ends, recording.duration_s * 1000.0])
    middle = np.minimum((edges[:-1] + edges[1:]) / 2000.0 * recording.rate_hz, len(gone) - 1).astype(int)
    length = np.where(gone[middle], 0.0, np.diff(edges))
    longest = int(np.argmax(length))
    before = int(np.searchsorted(r_ms, edges[longest], side="right")) - 1
    return float(length[longest]), (before,) if before >= 0 else ()


def _apart(atria: Atria, heart_rate: float | None) -> float | None:
    """Whether P waves march regularly at a rate that is not the ventricles' nor a multiple of it."""
    if atria.p_rate is None or atria.dissociation is None or heart_rate is None:
        return None
    ratio = atria.p_rate / heart_rate
    return float(atria.dissociation >= 0.45 and ratio >= 1.15 and abs(ratio - round(ratio)) > 0.06)
