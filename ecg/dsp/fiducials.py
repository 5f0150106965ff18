"""The fiducial points of every beat: measured on averaged beats, carried back to each beat of the recording.

Whether there is a P wave at all is asked before its edges are believed: what stands before the QRS must be
the same in every beat, not only in the average (fibrillation averages to small waves, too).
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .boundaries import POINTS, delineate
from .medians import Medians, best_fit, median_beats
from .ranks import median
from .spectrum import low_pass

CHUNK = 240                    # beats grouped together; bounds memory in day-long recordings
P_SEARCH_S = 0.22
P_LONGEST_S = 0.17            # what is longer is no P wave
P_LEAD_IN_S = 0.02              # so much of the line before an early P belongs to it
P_LIKENESS = 0.62              # how alike the stretch before the QRS must be from beat to beat
P_LIKENESS_PER_CHANGE = 1.4    # the more the intervals change (share of the interval), the more is asked
P_LIKENESS_JUMPING = 0.92      # the same where many intervals jump by more than a tenth
JUMPING = 0.45                 # share of intervals that do
JUMPING_FAST = 0.33            # and where the ventricles beat faster than every 0.6 s
FAST_S = 0.60
P_SMALLEST_UV = 40.0           # peak to peak in the lead where P is largest
WAVE_SHIFT_S = 0.03            # how far P or T of one beat may lie from their usual place
WAVE_MARGIN_S = 0.02
WAVE_FIT = 0.8
EDGE_LEADS = 0.0               # share of leads that may reach beyond a global edge: none (IEC 60601-2-25)
P_EDGE_LEADS = 0.06            # but P is small, and the leads where it is smallest scatter most
RANKS = np.array([P_EDGE_LEADS if name == "p_on" else 1.0 - P_EDGE_LEADS if name == "p_off" else EDGE_LEADS if name.endswith("_on")
                  else 1.0 - EDGE_LEADS if name.endswith("_off") else 0.5 for name in POINTS])      # which of the ordered leads


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
    found, own = delineate(medians.templates, rate_hz, medians.before, _intervals(medians, intervals))
    believed, likeness = _p_believed(medians, rate_hz, found, intervals)
    if not believed:
        found[..., :3], own[..., :3] = np.nan, np.nan
    overall = _overall(own)
    back = (medians.at - medians.before)[:, None]
    largest = np.flatnonzero(medians.shape == 0)
    size = np.bincount(medians.member, minlength=len(medians.shape))
    main = largest[size[largest].argmax()]
    moved = _moved(medians, rate_hz, overall)
    points, whole = found[medians.member] + back[..., None] + moved[:, None], overall[medians.member] + back + moved
    inside = (whole >= 0) & (whole < samples.shape[1])
    whole[~inside] = np.nan
    points[(points < 0) | (points >= samples.shape[1])] = np.nan
    return Fiducials(points, whole, medians.shape[medians.member], medians.at, medians.templates[main],
                     found[main], overall[main], medians.before, likeness)


def _moved(medians: Medians, rate_hz: float, overall: np.ndarray) -> np.ndarray:
    """(beats, 9): how far P and T of each beat lie from where its averaged beat has them, in samples.

    The wave of the average is shifted over the beat on all leads; a poor fit leaves it where it is.
    """
    moved = np.zeros((len(medians.member), len(POINTS)))
    reach = int(WAVE_SHIFT_S * rate_hz)
    width = medians.templates.shape[2]
    for columns, first, last in (((0, 1, 2), 0, 2), ((7, 8), 7, 8)):
        for group in range(len(medians.templates)):
            low, high = overall[group, first], overall[group, last]
            mine = np.flatnonzero(medians.member == group)
            if len(mine) < 2 or not np.isfinite(low + high):
                continue
            low, high = int(low - WAVE_MARGIN_S * rate_hz), int(high + WAVE_MARGIN_S * rate_hz)
            if low - reach < 0 or high + reach + 1 > width or high - low < 8:
                continue
            fit, shift = best_fit(medians.beats[..., low - reach:high + reach + 1][mine], medians.templates[group][:, low:high + 1], reach)
            good = (fit > WAVE_FIT) & (np.abs(shift) < reach)
            moved[np.ix_(mine[good], columns)] = shift[good][:, None]
    return moved


def _intervals(medians: Medians, intervals: np.ndarray) -> np.ndarray:
    """Usual time to the previous and the next beat for each group, seconds; one second where unknown."""
    usual = float(median(intervals)) if len(intervals) else 1.0
    previous, following = np.append(usual, intervals), np.append(intervals, usual)
    return np.array([[median(previous[medians.member == k]), median(following[medians.member == k])]
                     for k in range(len(medians.templates))])


def _p_believed(medians: Medians, rate_hz: float, found: np.ndarray, intervals: np.ndarray) -> tuple[bool, float]:
    """Whether the beats have P waves, and the likeness of what precedes the QRS from beat to beat."""
    likeness, height = _before_qrs(medians, rate_hz, found)
    wanted = P_LIKENESS
    if len(intervals) >= 4:
        middle = median(intervals)
        change = np.abs(np.diff(intervals)) / middle
        usual = float(median(change))
        wanted = min(P_LIKENESS + P_LIKENESS_PER_CHANGE * usual, 0.95)
        jumping = np.mean(change > 0.1)
        if jumping > JUMPING or (jumping > JUMPING_FAST and middle < FAST_S):
            wanted = max(wanted, P_LIKENESS_JUMPING)
    return likeness >= wanted and height >= P_SMALLEST_UV, likeness


def _before_qrs(medians: Medians, rate_hz: float, found: np.ndarray) -> tuple[float, float]:
    """Of the stretch before the QRS of the dominant beats, level and slope removed: how alike it is from
    beat to beat (median correlation of each beat with all others), and its height, microvolts."""
    mine = np.flatnonzero(medians.shape[medians.member] == 0)
    edges = found[medians.shape == 0][..., 3]
    on = int(median(edges[np.isfinite(edges)]) - 0.012 * rate_hz)
    begin = min(on - P_SEARCH_S * rate_hz, _early_p(medians, rate_hz, found))
    start = max(int(begin), 0)
    if len(mine) < 2 or on - start < 8:
        return 1.0, np.inf
    stretch = low_pass(medians.beats[..., start:on][mine], rate_hz, 20.0)
    ramp = np.linspace(-1, 1, stretch.shape[-1])
    stretch = stretch - stretch.mean(axis=-1, keepdims=True)
    stretch = stretch - (stretch @ ramp)[..., None] * ramp / (ramp @ ramp)
    flat = stretch.reshape(len(mine), -1)
    rest = flat.sum(axis=0) - flat
    size = np.linalg.norm(flat, axis=1) * np.linalg.norm(rest, axis=1)
    alike = float(median(np.sum(flat * rest, axis=1) / np.maximum(size, 1e-9)))
    return alike, float(np.ptp(stretch.mean(axis=0), axis=-1).max())


def _early_p(medians: Medians, rate_hz: float, found: np.ndarray) -> float:
    """Where in the window the stretch has to begin that holds the P waves of the dominant beats, wherever they lie (first
    degree block); infinity where no wave of the size and length of a P was found: the end of a T wave is none."""
    usual = medians.shape == 0
    edges = found[usual][..., (0, 1, 2)].reshape(-1, 3)
    beats = medians.templates[usual].reshape(len(edges), -1)
    known = np.isfinite(edges).all(axis=1)
    if not known.any():
        return np.inf
    rows, (on, top, off) = beats[known], edges[known].T.astype(int)
    at, share = np.arange(len(rows)), (top - on) / np.maximum(off - on, 1)
    height = np.abs(rows[at, top] - rows[at, on] * (1 - share) - rows[at, off] * share)
    if height.max() < P_SMALLEST_UV or median(off - on) > P_LONGEST_S * rate_hz:
        return np.inf
    return float(median(on)) - P_LEAD_IN_S * rate_hz


def _overall(found: np.ndarray) -> np.ndarray:
    """(groups, 9): onsets near the earliest, offsets near the latest over leads, peaks in the middle."""
    ordered = np.sort(found, axis=1)                       # NaN come last
    last = np.sum(np.isfinite(found), axis=1) - 1
    rank = np.maximum(last, 0) * RANKS
    low = rank.astype(int)
    high = np.minimum(low + 1, np.maximum(last, 0))
    value = [np.take_along_axis(ordered, place[:, None], axis=1)[:, 0] for place in (low, high)]
    return np.where(last >= 0, value[0] + (value[1] - value[0]) * (rank - low), np.nan)
