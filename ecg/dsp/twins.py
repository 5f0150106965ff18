"""Beats that were passed over although they look just like a neighbour: runs and tachycardias of broad complexes.

A broad complex has little of the energy by which QRS complexes are found, its rhythm may be twice as fast as
that of the beats around it, and its T wave may be as tall as itself. What gives it away is that it returns: in
all leads, over the whole complex, it is the same wave as the beat before or after it.
"""
from __future__ import annotations

import numpy as np

HALF_S = 0.09                  # holds most of a broad complex
NEAREST_S = 0.22               # 270 beats a minute
FARTHEST_S = 2.0
ALIKE = 0.93                   # correlation over all leads
ALIKE_ONE_LEAD = 0.95          # where there is no second lead to ask
SIZE = 1.45                    # how much larger or smaller a twin may be, of the whole wave and of its fast part
STEP = 0.25                    # logarithm of the ratio of two intervals that are alike
CHUNK = 400                    # beats looked at together; bounds memory in day-long recordings


def add_twins(beats: np.ndarray, waves: np.ndarray, fast: np.ndarray, grid_hz: float) -> np.ndarray:
    """The beats and those between them that are twins of a neighbour, ascending grid points.

    ``waves``: (leads, points) microvolts, the recording without wander; ``fast``: (points,) the QRS envelope.
    """
    if len(beats) < 2:
        return beats
    found = [beats]
    for first in range(0, len(beats) - 1, CHUNK):
        part = beats[first:first + CHUNK + 1]
        found.append(_between(part[:-1], part[1:], waves, fast, grid_hz, 1))
        found.append(_between(part[1:], part[:-1], waves, fast, grid_hz, -1))
    extra = np.concatenate(found[1:])
    if len(extra) == 0:
        return beats
    together = _merged(beats, extra, fast, NEAREST_S * grid_hz)
    return together[np.isin(together, beats) | _in_step(together)]


def _in_step(beats: np.ndarray) -> np.ndarray:
    """Which beats stand in a rhythm: of the intervals around them two that follow each other are alike. A T wave like
    its QRS stands near the beat before it and far from the next one."""
    if len(beats) < 4:
        return np.zeros(len(beats), dtype=bool)
    alike = np.abs(np.diff(np.log(np.diff(beats)))) < STEP            # at beats 1 .. n - 2
    alike = np.concatenate([[False], alike, [False]])
    around = np.pad(alike, 1)
    return around[:-2] | around[1:-1] | around[2:]


def _between(of: np.ndarray, to: np.ndarray, waves: np.ndarray, fast: np.ndarray, grid_hz: float, way: int) -> np.ndarray:
    """Twins of each beat ``of`` on the way to its neighbour ``to``; ``way`` is 1 forwards, -1 backwards."""
    near, half = int(NEAREST_S * grid_hz), int(HALF_S * grid_hz)
    gap = np.abs(to - of)
    wide = gap >= 2 * near
    of, to, gap = of[wide], to[wide], np.minimum(gap[wide], int(FARTHEST_S * grid_hz))
    if len(of) == 0:
        return of
    edges = np.stack([np.minimum(of, to) + near, np.maximum(of, to) - near + 1], axis=1).ravel()
    highest = np.maximum.reduceat(fast, edges)[::2]
    there = highest * SIZE > fast[of]             # in most rhythms nothing as fast lies between two beats
    of, gap = of[there], gap[there]
    if len(of) == 0:
        return of
    lags = np.arange(near - 1, int(gap.max()) - near + 2)
    window = np.arange(-half, half + 1)
    last = waves.shape[1] - 1
    product = np.zeros((len(of), len(lags)))
    own, other = np.zeros((len(of), 1)), np.zeros((len(of), len(lags)))
    place = np.clip(of[:, None] + window, 0, last)
    span = np.clip(of[:, None] + (lags[0] if way > 0 else -lags[-1]) + np.arange(-half, len(lags) + half), 0, last)
    for row in waves:
        pattern = row[place]
        pattern = pattern - pattern.mean(axis=1, keepdims=True)
        there = row[span]
        views = np.lib.stride_tricks.sliding_window_view(there, len(window), axis=1)
        moments = np.cumsum(np.pad(there, ((0, 0), (1, 0))), axis=1)
        squares = np.cumsum(np.pad(there ** 2, ((0, 0), (1, 0))), axis=1)
        summed = moments[:, len(window):] - moments[:, :-len(window)]
        other += squares[:, len(window):] - squares[:, :-len(window)] - summed ** 2 / len(window)
        product += np.matmul(views, pattern[:, :, None])[..., 0]
        own += np.sum(pattern ** 2, axis=1, keepdims=True)
    size = np.sqrt(np.maximum(other, 1e-9) / np.maximum(own, 1e-9))
    fit = product / np.sqrt(np.maximum(other * own, 1e-9))
    at = span[:, half:half + len(lags)]
    height = fast[at] / np.maximum(fast[of], 1e-9)[:, None]
    limit = ALIKE if len(waves) > 1 else ALIKE_ONE_LEAD
    away = np.abs(at - of[:, None])
    good = (fit > limit) & (np.abs(np.log(size)) < np.log(SIZE)) & (np.abs(np.log(np.maximum(height, 1e-9))) < np.log(SIZE))
    good &= (away >= near) & (away <= gap[:, None] - near)
    padded = np.pad(fit, ((0, 0), (1, 1)), constant_values=-1.0)
    good &= (fit >= padded[:, :-2]) & (fit > padded[:, 2:])
    return at[good]


def _merged(beats: np.ndarray, extra: np.ndarray, fast: np.ndarray, nearest: float) -> np.ndarray:
    """Beats and extra ones, of which the higher is kept where two would lie closer than ``nearest``."""
    kept = np.sort(beats).tolist()
    for at in extra[np.argsort(-fast[extra], kind="stable")].tolist():
        place = int(np.searchsorted(kept, at))
        if (place == 0 or at - kept[place - 1] >= nearest) and (place == len(kept) or kept[place] - at >= nearest):
            kept.insert(place, at)
    return np.array(kept, dtype=int)
