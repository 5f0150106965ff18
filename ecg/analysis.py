"""From a recording to what can be said about it: quality, electrodes, beats, intervals, axes, amplitudes.

Pure: a Recording in, an Analysis out. It never raises on a readable recording, however short or damaged:
what cannot be measured is None with the reason.
"""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from .dsp.fiducials import Fiducials, find_fiducials, rescaled
from .dsp.filters import Wander, hum_of, mains_level, wander_of
from .dsp.qrs import detect_qrs
from .dsp.resample import resample
from .dsp.spectrum import fill_gaps, row_blocks
from .findings import Analysis, Beat, Measured, Quality
from .measure.amplitudes import lead_measurements, nothing
from .measure.axes import frontal_axes
from .measure.electrodes import electrode_findings
from .measure.intervals import corrected_qt, intervals, missing, rate_and_rr
from .measure.quality import no_beats, observe
from .recording import Recording
from .rulebook import usual_leads
from .statements import interpret

ENGINE = "ecg-core 1"
WORK_RATE_HZ = 500.0
REPEAT_CONFIDENCE = 0.7


def analyse(recording: Recording) -> Analysis:
    """Measure a recording of any number of leads, rate and length.

    Beats are given in samples of the recording. Leads that are off take no part in the measurements and
    carry the reason ``lead_off``.
    """
    measured = _measure(recording)
    return replace(measured, statements=interpret(recording, measured))


def _measure(recording: Recording) -> Analysis:
    leads, rate = recording.leads, recording.rate_hz
    observed = observe(recording.samples_uv, leads, rate)
    quality, usable = observed.quality, observed.usable
    if not usable.any():
        return _without_beats(quality, leads, "lead_off", "no_signal")
    filled, wander = (observed.filled, observed.wander) if usable.all() else (observed.filled[usable], observed.wander[usable])
    good = tuple(name for name, ok in zip(leads, usable) if ok)
    r = detect_qrs(filled, rate)
    if len(r) == 0:
        quality = replace(quality, verdict="repeat", findings=quality.findings + (no_beats(),))
        return _without_beats(quality, leads, "no_qrs", "no_qrs")
    scale = WORK_RATE_HZ / rate
    clean = _clean(filled, rate, wander, observed.mains_hz)
    fiducials = _fiducials(clean, rate, r)
    measurements = rate_and_rr(fiducials.at, WORK_RATE_HZ)
    measurements.update(intervals(fiducials, WORK_RATE_HZ, measurements["rr"].value))
    measurements.update(frontal_axes(fiducials.template, good, fiducials.template_overall, WORK_RATE_HZ))
    per_lead = lead_measurements(fiducials, good, WORK_RATE_HZ, ())
    per_lead = {name: per_lead.get(name) or nothing("lead_off") for name in leads}
    electrodes = electrode_findings(fiducials, good, usual_leads())
    if electrodes:
        again = electrodes[0].confidence >= REPEAT_CONFIDENCE
        verdict = "repeat" if again or quality.verdict == "repeat" else "usable"
        quality = Quality(verdict, quality.leads_off, electrodes + quality.findings)
    return Analysis(ENGINE, quality, measurements, per_lead, _beats(fiducials, scale, recording.samples_uv.shape[1]))


def dominant_beat(recording: Recording) -> tuple[Fiducials, tuple[str, ...]] | None:
    """The fiducials at 500 Hz and the names of the usable leads that they are of; None where no beat is found."""
    observed = observe(recording.samples_uv, recording.leads, recording.rate_hz)
    filled, rate = observed.filled[observed.usable], recording.rate_hz
    r = detect_qrs(filled, rate)
    if len(r) == 0:
        return None
    clean = _clean(filled, rate, observed.wander[observed.usable], observed.mains_hz)
    return _fiducials(clean, rate, r), tuple(name for name, ok in zip(recording.leads, observed.usable) if ok)


def delineate_leads(samples_uv: np.ndarray, rate_hz: float) -> Fiducials | None:
    """Beats and the wave boundaries of every beat in every lead, in samples of the recording.

    ``samples_uv``: (leads, samples) microvolts, NaN for gaps, only leads that carry an ECG. The template
    parts of the result are at 500 Hz. None where no beat is found.
    """
    filled, _ = fill_gaps(samples_uv)
    r = detect_qrs(filled, rate_hz)
    if len(r) == 0:
        return None
    mains_hz, _ = mains_level(filled, rate_hz)
    clean = _clean(filled, rate_hz, wander_of(filled, rate_hz), mains_hz)
    return rescaled(_fiducials(clean, rate_hz, r), rate_hz / WORK_RATE_HZ)


def _fiducials(clean: np.ndarray, rate_hz: float, r: np.ndarray) -> Fiducials:
    """Brought to the working rate and delineated there."""
    clean = resample(clean, rate_hz, WORK_RATE_HZ)
    at = np.round(r * (WORK_RATE_HZ / rate_hz)).astype(int)
    return find_fiducials(clean, WORK_RATE_HZ, np.minimum(at, clean.shape[1] - 1))


def _clean(filled: np.ndarray, rate_hz: float, wander: Wander, mains_hz: float | None) -> np.ndarray:
    """Without wander, and without mains where it was found."""
    clean = np.empty_like(filled)
    for rows in row_blocks(*filled.shape):
        clean[rows] = filled[rows] - wander[rows].drawn()
        if mains_hz is not None:
            clean[rows] -= hum_of(clean[rows], rate_hz, mains_hz)
    return clean


def _beats(fiducials: Fiducials, scale: float, length: int) -> tuple[Beat, ...]:
    points = np.round(fiducials.overall / scale)
    points[(points < 0) | (points >= length)] = np.nan
    r = np.clip(np.round(fiducials.at / scale), 0, length - 1).astype(int).tolist()
    table = [[None if value != value else int(value) for value in row] for row in points.tolist()]
    return tuple(Beat(at, row[0], row[1], row[2], row[3], row[5], row[7], row[8], int(shape))
                 for at, row, shape in zip(r, table, fiducials.shape))


def _without_beats(quality: Quality, leads: tuple[str, ...], lead_reason: str, reason: str) -> Analysis:
    measurements = rate_and_rr(np.zeros(0), WORK_RATE_HZ)
    measurements = {name: Measured(None, value.unit, reason) for name, value in measurements.items()}
    measurements.update({name: missing("ms", reason) for name in ("p", "pr", "qrs", "qt")})
    measurements.update(corrected_qt(None, None, reason))
    measurements.update({name: missing("deg", reason) for name in ("p_axis", "qrs_axis", "t_axis")})
    return Analysis(ENGINE, quality, measurements, {name: nothing(lead_reason) for name in leads})
