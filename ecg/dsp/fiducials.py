"""The fiducial points of every beat: measured on averaged beats, carried back to each beat of the recording.

Whether there is a P wave at all is asked before its edges are believed: what stands before the QRS must be
the same in every beat, not only in the average (fibrillation averages to small waves, too).
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .boundaries import POINTS, delineate
from .medians import Medians, median_beats
from .spectrum import low_pass

CHUNK = 240                    # beats grouped together; bounds memory in day-long recordings
P_SEARCH_S = 0.22
P_LIKENESS = 0.80              # how alike the stretch before the QRS must be from beat to beat
P_LIKENESS_IRREGULAR = 0.95    # the same where the ventricles beat irregularly
IRREGULAR = 0.12               # successive intervals differ by more than this share
EDGE_LEADS = 0.15              # share of leads that may reach beyond a global edge


@dataclass(frozen=True)
class Fiducials:
    """``points``: (beats, leads, 9) in samples of the recording, order of ``boundaries.POINTS``, NaN where
    absent; ``overall``: (beats, 9), earliest onset to latest offset over leads; ``shape``: per beat, 0 for
    the dominant; ``template``: (leads, window) the dominant median beat, ``template_points``: (leads, 9)
    and ``template_overall``: (9,) in its samples; ``p_likeness``: of the stretch before the QRS, -1..1."""

    points: np.ndarray
    overall: np.ndarray
    shape: np.ndarray
    at: np.ndarray
    template: np.ndarray
    template_points: np.ndarray
    template_overall: np.ndarray
    before: int
    p_likeness: float


def find_fiducials(samples_uv: np.ndarray, rate_hz: float, r: np.ndarray) -> Fiducials:
    """Delineate the beats at ``r`` (at least one) on cleaned leads, (leads, samples), microvolts, no NaN."""
    pieces = [_chunk(samples_uv, rate_hz, part) for part in np.array_split(r, max(1, -(-len(r) // CHUNK)))]
    if len(pieces) == 1:
        return pieces[0]
    main = max(pieces, key=lambda piece: int(np.sum(piece.shape == 0)))
    return Fiducials(*[np.concatenate([getattr(piece, name) for piece in pieces])
                       for name in ("points", "overall", "shape", "at")],
                     main.template, main.template_points, main.template_overall, main.before,
                     float(np.median([piece.p_likeness for piece in pieces])))


def rescaled(fiducials: Fiducials, factor: float) -> Fiducials:
    """The same beats with ``points``, ``overall`` and ``at`` in samples of a recording ``factor`` times as fast."""
    return replace(fiducials, points=fiducials.points * factor, overall=fiducials.overall * factor,
                   at=np.round(fiducials.at * factor).astype(int))


def _chunk(samples: np.ndarray, rate_hz: float, r: np.ndarray) -> Fiducials:
    medians = median_beats(samples, rate_hz, r)
    intervals = np.diff(medians.at) / rate_hz
    found = delineate(medians.templates, rate_hz, medians.before, _intervals(medians, intervals))
    likeness = _p_likeness(medians, rate_hz, found)
    wanted = P_LIKENESS_IRREGULAR if _irregular(intervals, medians.shape[medians.member]) else P_LIKENESS
    if likeness < wanted:
        found[..., :3] = np.nan
    overall = _overall(found)
    back = (medians.at - medians.before)[:, None]
    largest = np.flatnonzero(medians.shape == 0)
    size = np.bincount(medians.member, minlength=len(medians.shape))
    main = largest[size[largest].argmax()]
    points, whole = found[medians.member] + back[..., None], overall[medians.member] + back
    inside = (whole >= 0) & (whole < samples.shape[1])
    whole[~inside] = np.nan
    points[(points < 0) | (points >= samples.shape[1])] = np.nan
    return Fiducials(points, whole, medians.shape[medians.member], medians.at, medians.templates[main],
                     found[main], overall[main], medians.before, likeness)


def _intervals(medians: Medians, intervals: np.ndarray) -> np.ndarray:
    """Usual time to the previous and the next beat for each group, seconds; one second where unknown."""
    usual = float(np.median(intervals)) if len(intervals) else 1.0
    previous, following = np.append(usual, intervals), np.append(intervals, usual)
    return np.array([[np.median(previous[medians.member == k]), np.median(following[medians.member == k])]
                     for k in range(len(medians.templates))])


def _irregular(intervals: np.ndarray, shape: np.ndarray) -> bool:
    """Whether the dominant beats follow each other at changing intervals."""
    plain = intervals[(shape[:-1] == 0) & (shape[1:] == 0)]
    if len(plain) < 4:
        return False
    return float(np.median(np.abs(np.diff(plain))) / np.median(plain)) > IRREGULAR / 2


def _p_likeness(medians: Medians, rate_hz: float, found: np.ndarray) -> float:
    mine = np.flatnonzero(medians.shape[medians.member] == 0)
    on = int(np.nanmedian(found[medians.shape == 0][..., 3]) - 0.012 * rate_hz)
    start = max(on - int(P_SEARCH_S * rate_hz), 0)
    if len(mine) < 2 or on - start < 8:
        return 1.0
    stretch = low_pass(medians.beats[mine][..., start:on], rate_hz, 20.0)
    ramp = np.linspace(-1, 1, stretch.shape[-1])
    stretch = stretch - stretch.mean(axis=-1, keepdims=True)
    stretch = stretch - (stretch @ ramp)[..., None] * ramp / (ramp @ ramp)
    flat = stretch.reshape(len(mine), -1)
    rest = flat.sum(axis=0) - flat
    size = np.linalg.norm(flat, axis=1) * np.linalg.norm(rest, axis=1)
    return float(np.median(np.sum(flat * rest, axis=1) / np.maximum(size, 1e-9)))


def _overall(found: np.ndarray) -> np.ndarray:
    """(groups, 9): onsets near the earliest, offsets near the latest over leads, peaks in the middle."""
    result = np.full((found.shape[0], len(POINTS)), np.nan)
    for column, name in enumerate(POINTS):
        values = found[..., column]
        share = EDGE_LEADS if name.endswith("_on") else 1 - EDGE_LEADS if name.endswith("_off") else 0.5
        some = np.isfinite(values).any(axis=1)
        if some.any():
            result[some, column] = np.nanquantile(values[some], share, axis=1)
    return result
