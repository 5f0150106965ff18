"""Which beats come early, which are wide and of another shape, what runs and pauses they make.

A beat is premature when its interval is clearly shorter than the usual one around it; it is called
ventricular when its QRS also has another shape and is wide. Sources: AHA/ACC/HRS 2009 part
II; ANSI/AAMI EC57 (classes N, S, V).
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..dsp.ranks import median
from ..findings import Beat

EARLY_WIDE = 0.88              # of the usual interval, for a beat of another shape that is wide
MUCH_PREMATURE = 0.80          # an atrial beat is known by its time alone
LATE = 1.15
WIDER_MS = 12.0
WIDE_MS = 110.0
BLOCKED_MS = 130.0             # plain beats as wide as this: ectopic ones need not be wider
SHARE_OF_WIDE = 0.85
NARROWER_MS = 40.0
SPIKE_MS = 60.0                # a single beat narrower than any QRS is an artefact


@dataclass(frozen=True)
class Ectopy:
    """``ventricular``, ``atrial``: indices of premature beats among the beats; ``escape``: late wide ones;
    ``run``: the longest series of ventricular beats, ``run_rate``: its rate per minute (None below two
    beats); ``shapes``: how many shapes the ventricular beats have; ``bigeminy``: every second beat ectopic."""

    ventricular: tuple[int, ...]
    atrial: tuple[int, ...]
    escape: tuple[int, ...]
    run: int
    run_rate: float | None
    shapes: int
    bigeminy: bool


def ectopic_beats(beats: tuple[Beat, ...], rate_hz: float, likeness: np.ndarray | None = None) -> Ectopy:
    """Ectopic beats of a recording. ``likeness``: per beat the correlation with the dominant QRS, if known."""
    count = len(beats)
    if count < 3:
        return Ectopy((), (), (), 0, None, 0, False)
    r = np.array([beat.r for beat in beats]) / rate_hz * 1000.0
    shape = np.array([beat.shape for beat in beats])
    width = np.array([beat.qrs_off - beat.qrs_on if beat.qrs_on is not None and beat.qrs_off is not None else np.nan
                      for beat in beats]) / rate_hz * 1000.0
    spike = (width < SPIKE_MS) & (np.bincount(shape)[shape] == 1)
    if spike.any() and count - spike.sum() >= 3:
        real = np.flatnonzero(~spike)
        found = ectopic_beats(tuple(beats[at] for at in real), rate_hz, None if likeness is None else likeness[real])
        return replace(found, **{name: tuple(int(real[at]) for at in getattr(found, name)) for name in ("ventricular", "atrial", "escape")})
    interval = np.diff(r)
    plain = _plain_shape(shape, width)
    other = shape != plain
    usual = usual_intervals(interval, np.where(other, 1, 0))
    before = np.append(np.nan, interval)
    after = np.append(interval, np.nan)
    own = np.append(usual[:1], usual)
    plain_width = _middle(width[~other], 100.0)
    least = SHARE_OF_WIDE * plain_width if plain_width >= BLOCKED_MS else max(WIDE_MS, plain_width + WIDER_MS)
    wide = width >= least
    changed = likeness < 0.75 if likeness is not None else np.ones(count, dtype=bool)
    early = before < EARLY_WIDE * own
    first_early = np.zeros(count, dtype=bool)
    first_early[0] = other[0] and wide[0] and changed[0] and after[0] > LATE * own[0] and plain_width < BLOCKED_MS and after[0] < 2 * own[0]
    ventricular = other & wide & changed & (early | first_early)
    goes_on = other & wide & changed & (before < 1.2 * own)
    for at in np.flatnonzero(goes_on).tolist():                  # a run goes on, late or not
        ventricular[at] |= at > 0 and ventricular[at - 1]
    escape = other & wide & (before > LATE * own)
    sudden = (before < MUCH_PREMATURE * own) & (before < MUCH_PREMATURE * np.append([np.nan, np.nan], interval[:-1]))
    atrial = sudden & ~other & ~np.append(False, ventricular[:-1])
    run, rate = _longest_run(ventricular, r)
    alternate = _alternating(ventricular | atrial)
    return Ectopy(tuple(np.flatnonzero(ventricular).tolist()), tuple(np.flatnonzero(atrial).tolist()),
                  tuple(np.flatnonzero(escape).tolist()), run, rate, len(set(shape[ventricular].tolist())), alternate)


def _plain_shape(shape: np.ndarray, width: np.ndarray) -> int:
    """The shape of conducted beats: the most frequent, or one of a quarter of the beats that is much narrower."""
    often = np.flatnonzero(np.bincount(shape) >= 0.25 * len(shape)).tolist()
    middle = {kind: _middle(width[shape == kind], np.nan) for kind in often}
    middle = {kind: value for kind, value in middle.items() if np.isfinite(value)}
    if 0 not in middle:
        return 0
    narrow = min(middle, key=middle.get)
    return narrow if middle[narrow] + NARROWER_MS <= middle[0] else 0


def _middle(width: np.ndarray, instead: float) -> float:
    """The median of the widths that are known."""
    known = width[np.isfinite(width)]
    return float(median(known)) if len(known) else instead


def usual_intervals(interval_ms: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """The usual interval around each interval: the running median over seventeen, of dominant beats where there are
    enough. A long run of other beats does not make its own rhythm the usual one."""
    plain = (shape[:-1] == 0) & (shape[1:] == 0)
    source = interval_ms[plain] if plain.sum() >= 3 else interval_ms
    if len(interval_ms) <= 24:
        return np.full(len(interval_ms), float(median(source)))
    place = np.flatnonzero(plain) if len(source) < len(interval_ms) else np.arange(len(interval_ms))
    if len(place) < 9:
        return np.full(len(interval_ms), float(median(source)))
    padded = np.pad(source, 8, mode="reflect")
    return np.interp(np.arange(len(interval_ms)), place, median(np.lib.stride_tricks.sliding_window_view(padded, 17)))


def _longest_run(ventricular: np.ndarray, r_ms: np.ndarray) -> tuple[int, float | None]:
    best, rate, start = 0, None, None
    for at, is_one in enumerate([*ventricular.tolist(), False]):
        if is_one and start is None:
            start = at
        elif not is_one and start is not None:
            if at - start > best:
                best = at - start
                rate = 60000.0 * (best - 1) / (r_ms[at - 1] - r_ms[start]) if best > 1 else None
            start = None
    return best, rate


def _alternating(ectopic: np.ndarray) -> bool:
    """Three ectopic beats or more, each with exactly one plain beat between it and the next."""
    at = np.flatnonzero(ectopic)
    steps = np.diff(at) == 2
    return bool(len(steps) >= 2 and (steps[:-1] & steps[1:]).any())
