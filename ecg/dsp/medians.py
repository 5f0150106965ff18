"""Beats of one shape gathered, aligned and averaged, so that small waves stand out of the noise.

Beats are compared by their QRS on all leads; each group gives a median beat. In long recordings the groups
are cut into runs of neighbouring beats, so that a slow change is followed.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .ranks import median_over, middle_half
from .spectrum import hold

BEFORE_S = 0.52                 # room for the longest usual PR interval and the end of the last T wave
AFTER_S = 0.75                  # room for a long QT interval
ALIGN_S = 0.03                  # how far a beat may be moved to fit its group
SAME_SHAPE = 0.90               # correlation of QRS complexes of one group
STILL = 1e-10                   # energy about the mean as a share of all: what rounding leaves of a straight line
RUN = 24                        # beats averaged together at most
COMPARABLE, FEWEST = 0.6, 3     # of the most frequent shape's beats, and how many at least, to be as frequent
NARROWER = 0.8                  # of its width
FAST = 0.2                      # of the greatest speed


@dataclass(frozen=True)
class Medians:
    """``templates``: (groups, leads, window) microvolts; ``member``: group of each beat;
    ``at``: sample of the recording that lies at ``before`` of the window, per beat; ``shape``: per group,
    the number of its shape (0 is the one that is measured: the most frequent, or the conducted one of two); ``beats``: (beats, leads, window) the aligned beats."""

    templates: np.ndarray
    member: np.ndarray
    at: np.ndarray
    shape: np.ndarray
    before: int
    beats: np.ndarray


def median_beats(samples_uv: np.ndarray, rate_hz: float, r: np.ndarray) -> Medians:
    """Group the beats at ``r`` by shape and average each group.

    ``samples_uv``: (leads, samples), no NaN, baseline removed. ``r``: ascending sample indices, at least one.
    """
    before, after = int(round(BEFORE_S * rate_hz)), int(round(AFTER_S * rate_hz))
    reach = int(round(ALIGN_S * rate_hz))
    half = int(round(0.07 * rate_hz))
    r = np.asarray(r, dtype=int)
    cores = _cut(samples_uv, r, half + reach, half + reach)
    label, shift = _group(cores, half, reach)
    at = r + shift
    beats = _cut(samples_uv, at, before, after)
    templates, member, shape = [], np.zeros(len(r), dtype=int), []
    for kind in range(label.max() + 1):
        mine = np.flatnonzero(label == kind)
        for run in np.array_split(mine, max(1, int(np.ceil(len(mine) / RUN)))):
            member[run] = len(templates)
            shape.append(kind)
            templates.append(_average(beats[run]))
    return Medians(np.array(templates), member, at, np.array(shape), before, beats)


def _cut(samples: np.ndarray, centre: np.ndarray, before: int, after: int) -> np.ndarray:
    """Windows around the centres, (beats, leads, before + after + 1); the ends of the recording are held."""
    windows = np.empty((len(centre), len(samples), before + after + 1))
    for window, at in zip(windows, centre.tolist()):
        first, last = at - before, at + after + 1
        low, high = max(first, 0), min(last, samples.shape[1])
        window[:, low - first:high - first] = samples[:, low:high]
        window[:, :low - first] = samples[:, :1]
        window[:, high - first:] = samples[:, -1:]
    return windows


def _average(beats: np.ndarray) -> np.ndarray:
    """The median of few beats; of many, the mean of the middle half, which is quieter."""
    if len(beats) < 5:
        return median_over(beats) if len(beats) > 2 else beats.mean(axis=0)
    return middle_half(beats)


def _group(cores: np.ndarray, half: int, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Shape number (0 = most frequent) and shift of each beat."""
    count = len(cores)
    label, shift = np.full(count, -1), np.zeros(count, dtype=int)
    open_beats = np.arange(count)
    kind = 0
    while len(open_beats) and kind < 8:
        seed = median_over(cores[open_beats]) if kind == 0 else cores[open_beats[0]]
        for _ in range(2):
            fit, move = best_fit(cores[open_beats], seed[:, reach:reach + 2 * half + 1], reach)
            same = fit > SAME_SHAPE
            if not same.any():
                break
            moved = _shifted(cores[open_beats[same]], move[same], reach)
            seed = hold(median_over(moved), reach)
        if not same.any():
            if kind == 0:                       # nothing resembles the median of all: start from a beat
                fit, move = best_fit(cores[open_beats], cores[open_beats[0]][:, reach:reach + 2 * half + 1], reach)
                same = fit > SAME_SHAPE
            same[fit.argmax()] = True
        label[open_beats[same]] = kind
        shift[open_beats[same]] = move[same]
        open_beats = open_beats[~same]
        kind += 1
    label[label < 0] = kind
    sizes = np.bincount(label)
    order = np.argsort(-sizes, kind="stable")
    first = _conducted(cores, label, order[sizes[order] >= max(COMPARABLE * sizes[order[0]], FEWEST)])
    if first is not None:
        order = np.r_[first, order[order != first]]
    rank = np.empty(len(sizes), dtype=int)
    rank[order] = np.arange(len(sizes))
    return rank[label], shift


def _conducted(cores: np.ndarray, label: np.ndarray, comparable: np.ndarray) -> int | None:
    """Of shapes that are about as frequent, the one with clearly the narrowest QRS: in bigeminy every second beat is ventricular,
    and the heart is measured on the others. None where the most frequent is it."""
    if len(comparable) < 2:
        return None
    widths = [_width(median_over(cores[label == kind])) for kind in comparable]
    narrowest = int(np.argmin(widths))
    return int(comparable[narrowest]) if widths[narrowest] < NARROWER * widths[0] else None


def _width(core: np.ndarray) -> float:
    """From the first to the last sample at which a QRS moves fast, over all leads together."""
    speed = np.abs(np.diff(core, axis=1)).sum(axis=0)
    fast = np.flatnonzero(speed > FAST * speed.max())
    return float(fast[-1] - fast[0] + 1) if len(fast) else 0.0


def _shifted(cores: np.ndarray, move: np.ndarray, reach: int) -> np.ndarray:
    width = cores.shape[2] - 2 * reach
    if not move.any():
        return cores[..., reach:reach + width]
    index = (reach + move)[:, None] + np.arange(width)
    return np.take_along_axis(cores, np.broadcast_to(index[:, None, :], cores.shape[:2] + (width,)), axis=2)


def best_fit(cores: np.ndarray, template: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Best correlation of each beat with the template over shifts, and that shift.

    ``cores``: (beats, leads, width + 2 reach); ``template``: (leads, width). Level does not matter.
    """
    pattern = template - template.mean(axis=1, keepdims=True)
    power = np.sqrt(np.sum(pattern ** 2)) + 1e-9
    width = template.shape[1]
    taps = 2.0 * pattern[:, ::2]                  # every second sample of the window is enough to compare
    moved = np.zeros((reach + 1, len(taps), taps.shape[1] + reach))
    for shift in range(reach + 1):
        moved[shift, :, shift:shift + taps.shape[1]] = taps
    product = np.empty((len(cores), 2 * reach + 1))
    for odd in (0, 1):                            # even shifts meet the even samples of a beat, odd ones the odd
        part = cores[..., odd::2]
        shifted = moved[:reach + 1 - odd, :, :part.shape[2]]
        product[:, odd::2] = part.reshape(len(cores), -1) @ shifted.reshape(len(shifted), -1).T
    total = _running_sum(cores, width)
    square = _running_sum(np.einsum("blw,blw->bw", cores, cores), width)
    energy = square - np.einsum("bls,bls->bs", total, total) / width
    fit = product / (power * np.sqrt(np.maximum(energy, 1e-9)))
    still = energy <= STILL * square              # beyond the ends of the recording: only the level says whether the wave lies there
    fit[still] = 2.0 * np.sign(product[still])
    best = fit.argmax(axis=1)
    return fit[np.arange(len(fit)), best], best - reach


def _running_sum(rows: np.ndarray, width: int) -> np.ndarray:
    """The sum of each ``width`` neighbours along the last axis."""
    total = np.cumsum(rows, axis=-1)
    found = total[..., width - 1:].copy()
    found[..., 1:] -= total[..., :-width]
    return found
