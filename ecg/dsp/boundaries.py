"""Where P, QRS and T begin and end in an averaged beat, lead by lead.

QRS edges are where the slope leaves, or comes back to, a small share of its steepest. P and T edges are
where the area between the wave and a level line through its edge is largest over a sliding window
(Zhang et al. 2006, the trapezium's one-sided form): it needs no threshold and forgives noise.
"""
from __future__ import annotations

import numpy as np

from .ranks import median, quantiles, running_median
from .spectrum import hold, low_pass

POINTS = ("p_on", "p_peak", "p_off", "qrs_on", "qrs_peak", "qrs_off", "t_on", "t_peak", "t_off")
SPIKE_S = 0.014
FAST_CAP_UV_S = 5000.0
ON_CAP_UV_S = 1200.0
GROUND_TIMES = 1.3             # times the slope of the quiet stretches around the QRS
QRS_CORNER_HZ = 40.0
FEW_LEADS = 3                  # too few to outvote one of them
FAST_SHARE = 0.10              # of the largest speed of all leads: surely QRS
LATE_REST_S = 0.05             # so long a QRS may rest before its last part
LATE_S = 0.06                  # which is over after this time
LATE_LONGEST_S = 0.20          # so long the QRS is with it, at most
LATE_SHARE = 0.10              # of the largest speed, and
LATE_UV_S = 9000.0             # faster than T waves are
QRS_SLACK_S = 0.02             # how far a lead's edge may lie outside of that
QRS_SLACK_IN_S = 0.05          # and inside
CALM_S = 0.012
QRS_OWN_SHARE = 0.6
QRS_ON_SHARE = 0.04
QRS_OFF_SHARE = 0.06
PT_CORNER_HZ = 20.0
T_WINDOW_S = 0.148
T_LAST_S = 0.60                # T ends within this time after R at 60 beats a minute (scaled by the root of RR)
T_PEAK_LAST_S = 0.48
T_EDGE_S = 0.03
T_NEAR_S = 0.12
T_OWN_SHARE = 0.3
T_SECOND_S = 0.16              # a second phase of T peaks within this time after the first
T_SECOND_SHARE = 0.5           # and is this share of it at least; a U wave is smaller
T_SECOND_UV = 30.0
P_FIRST_S = 0.46               # P may begin this long before R (first degree block)
P_USUAL_S = 0.30               # before this, a P loses weight against a later one
P_EARLY_LOSS = 0.5
P_ON_WINDOW_S = 0.076
P_OFF_WINDOW_S = 0.055
P_NEAR_S = 0.05
P_EDGE_S = 0.04
P_OWN_SHARE = 0.6


def delineate(templates: np.ndarray, rate_hz: float, before: int, interval_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wave boundaries of averaged beats: agreed between the leads, and each lead's own.

    ``templates``: (groups, leads, window) microvolts, R near ``before``; ``interval_s``: (groups, 2) usual
    time to the previous and to the next beat. Returns twice (groups, leads, 9) in samples of the window in
    the order of ``POINTS``, NaN where a wave is not found: first with the edges of each lead drawn towards
    the common edge (for the lead), then without (for the earliest and latest over leads).
    """
    groups, leads, width = templates.shape
    rows = templates.reshape(groups * leads, width)
    own = np.full((groups, leads, len(POINTS)), np.nan)
    weights = np.ones((groups, leads, len(POINTS)))
    own[..., 3:6], weights[..., 3:6] = _qrs(templates, rate_hz, before)
    first_on = quantiles(own[..., 3], (0.25,))[0]
    last_off = quantiles(own[..., 5], (0.75,))[0]
    rest = bridge(templates, first_on, last_off).reshape(rows.shape)
    slow = low_pass(rest, rate_hz, min(PT_CORNER_HZ, 0.2 * rate_hz)).reshape(templates.shape)
    own[..., 6:9], weights[..., 6:9] = _t_wave(slow, rate_hz, before, first_on, last_off, interval_s[:, 1])
    t_end = median(_known(own[..., 8], before + 0.4 * rate_hz))
    own[..., 0:3], weights[..., 0:3] = _p_wave(slow, rate_hz, before, first_on, t_end - interval_s[:, 0] * rate_hz)
    found = own.copy()
    for column, share in ((0, P_OWN_SHARE), (2, P_OWN_SHARE), (3, QRS_OWN_SHARE), (5, QRS_OWN_SHARE), (8, T_OWN_SHARE)):
        found[..., column] = _agree(own[..., column], weights[..., column], share)
    return found, own


def bridge(beats: np.ndarray, on: np.ndarray, off: np.ndarray) -> np.ndarray:
    """The beats with a straight line in place of each QRS, so that smoothing does not spread it into P or T."""
    place = np.arange(beats.shape[-1])[None, None]
    first, last = np.round(on).astype(int)[:, None, None], np.round(off).astype(int)[:, None, None]
    shape = beats.shape[:2] + (1,)
    head = np.take_along_axis(beats, np.broadcast_to(first, shape), axis=2)
    tail = np.take_along_axis(beats, np.broadcast_to(last, shape), axis=2)
    line = head + (tail - head) * (place - first) / np.maximum(last - first, 1)
    return np.where((place > first) & (place < last), line, beats)


def _slope(rows: np.ndarray, rate_hz: float, span_s: float) -> np.ndarray:
    """Microvolts per second over a centred span."""
    half = max(int(round(span_s * rate_hz / 2)), 1)
    padded = hold(rows, half)
    return (padded[:, 2 * half:] - padded[:, :-2 * half]) * (rate_hz / (2 * half))


def _without_spikes(rows: np.ndarray, rate_hz: float) -> np.ndarray:
    """A running median over about 10 ms: takes pacing spikes away, keeps the edges of a QRS."""
    half = max(int(round(SPIKE_S * rate_hz / 2)), 1)
    return running_median(rows, half)


def _qrs(templates: np.ndarray, rate_hz: float, before: int) -> tuple[np.ndarray, np.ndarray]:
    """(groups, leads, 3) QRS onset, largest deflection, QRS end, and the weight of each lead."""
    groups, leads, width = templates.shape
    reach = int(0.2 * rate_hz)
    cut = slice(max(before - reach, 0), min(before + reach + int(0.06 * rate_hz), width))
    rows = _without_spikes(templates[..., cut].reshape(groups * leads, -1), rate_hz)
    steep = np.abs(_slope(low_pass(rows, rate_hz, min(QRS_CORNER_HZ, 0.3 * rate_hz)), rate_hz, 0.008))
    steep = steep.reshape(groups, leads, -1)
    speed = np.sqrt(np.mean(steep ** 2, axis=1))
    first, last = _extent(speed, rate_hz, before - cut.start)
    place = np.arange(steep.shape[2])
    inside = (place >= first[:, None, None]) & (place <= last[:, None, None])
    top = np.where(inside, steep, 0).max(axis=2, keepdims=True)
    ground = quantiles(np.where(inside, np.inf, steep), (0.3,))[0][..., None]
    slack = int(QRS_SLACK_S * rate_hz)
    on = _leave(steep, np.maximum(np.minimum(QRS_ON_SHARE * top, ON_CAP_UV_S), GROUND_TIMES * ground), first, slack, QRS_SLACK_IN_S * rate_hz, rate_hz)
    back = steep.shape[2] - 1
    off = back - _leave(steep[..., ::-1], np.maximum(QRS_OFF_SHARE * top, GROUND_TIMES * ground)[..., ::-1], back - last, slack,
                        QRS_SLACK_IN_S * rate_hz, rate_hz)
    shaped = rows.reshape(groups, leads, -1)
    level = _value(shaped, on)
    wave = np.where((place >= on[..., None]) & (place <= off[..., None]), np.abs(shaped - level), -1)
    return np.stack([on, wave.argmax(axis=2), off], axis=-1) + cut.start, _weight(top)


def _extent(speed: np.ndarray, rate_hz: float, centre: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last fast point of each group's QRS: fast stretches less than 30 ms apart belong together."""
    place = np.arange(speed.shape[1])
    near = np.abs(place - centre) <= 0.1 * rate_hz
    peak = np.where(near, speed, 0).argmax(axis=1)
    top = speed[np.arange(len(speed)), peak]
    ground = quantiles(speed, (0.3,))[0]
    fast = speed > np.maximum(np.minimum(FAST_SHARE * top, FAST_CAP_UV_S), 2.0 * ground)[:, None]
    bridge_over = int(0.03 * rate_hz)
    first, last = peak.copy(), peak.copy()
    for group in range(len(speed)):
        points = np.flatnonzero(fast[group])
        points = points[np.abs(points - peak[group]) <= 0.16 * rate_hz]
        left, right = points[points <= peak[group]][::-1], points[points >= peak[group]]
        first[group] = _run_end(left, bridge_over, peak[group])
        last[group] = _run_end(right, bridge_over, peak[group])
        late = last[group] + _late_part(speed[group, last[group]:], top[group], rate_hz)
        if late - first[group] <= LATE_LONGEST_S * rate_hz:
            last[group] = late
    return first, last


def _late_part(speed: np.ndarray, top: float, rate_hz: float) -> int:
    """How far the QRS goes on after a short rest (the plateau of a late R'): to the last point as fast as only a QRS is."""
    reach = int((LATE_REST_S + LATE_S) * rate_hz)
    late = np.flatnonzero(speed[:reach] > max(LATE_SHARE * top, LATE_UV_S))
    late = late[late > 0]
    if len(late) == 0 or late[0] > LATE_REST_S * rate_hz:
        return 0
    end = _run_end(late, int(0.03 * rate_hz), 0)
    return end if end < reach - 1 else 0                   # what goes on is a T wave


def _run_end(points: np.ndarray, allowed: int, start: int) -> int:
    """The last point that can be reached from the first without a step larger than ``allowed``."""
    if len(points) == 0:
        return int(start)
    broken = np.flatnonzero(np.abs(np.diff(points)) > allowed)
    return int(points[broken[0]] if len(broken) else points[-1])


def _leave(steep: np.ndarray, limit: np.ndarray, first: np.ndarray, slack: int, inward: float, rate_hz: float) -> np.ndarray:
    """Per lead, walking outwards (to lower indices) from its own first fast point: where it becomes calm."""
    place = np.arange(steep.shape[2])
    window = (place >= first[:, None, None] - slack) & (place <= first[:, None, None] + inward)
    above = (steep > 3 * limit) & window
    start = np.where(above.any(axis=2), above.argmax(axis=2), first[:, None])
    run = max(int(CALM_S * rate_hz), 1)
    padded = np.concatenate([np.repeat(steep[..., :1], run, axis=2), steep], axis=2)
    highest = padded[..., :steep.shape[2]]
    for back in range(1, run + 1):
        highest = np.maximum(highest, padded[..., back:back + steep.shape[2]])
    calm = (highest < limit) & window & (place <= start[..., None])
    return np.where(calm.any(axis=2), back_argmax(calm), first[:, None] - slack * 0.5).astype(float)


def back_argmax(condition: np.ndarray) -> np.ndarray:
    """The last true place of the last axis."""
    return condition.shape[-1] - 1 - np.argmax(condition[..., ::-1], axis=-1)


def _area_before(rows: np.ndarray, count: int) -> np.ndarray:
    """At each point t: the mean over the last ``count`` samples of x - x(t)."""
    padded = np.concatenate([np.repeat(rows[..., :1], count, axis=-1), rows], axis=-1)
    total = np.cumsum(padded, axis=-1)
    return (total[..., count:] - total[..., :-count]) / count - rows


def _area_after(rows: np.ndarray, count: int) -> np.ndarray:
    return _area_before(rows[..., ::-1], count)[..., ::-1]


def _pick(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Where the last axis is largest between its limits; NaN where the limits leave nothing."""
    low, high = np.broadcast_arrays(low, high)
    known = ~(np.isnan(low) | np.isnan(high))
    if not known.any():
        return np.full(values.shape[:-1], np.nan)
    first = max(int(low[known].min()), 0)                # outside of all limits nothing needs to be looked at
    values = values[..., first:max(int(high[known].max()) + 1, first + 1)]
    place = np.arange(first, first + values.shape[-1])
    allowed = (place >= low[..., None]) & (place <= high[..., None])
    best = np.where(allowed, values, -np.inf).argmax(axis=-1) + float(first)
    best[~np.broadcast_to(allowed.any(axis=-1), best.shape)] = np.nan
    return best


def _summits(values: np.ndarray) -> np.ndarray:
    """The values at their local maxima, nearly nothing on slopes: the foot of another wave is no summit."""
    padded = hold(values, 1)
    top = (values >= padded[:, :-2]) & (values >= padded[:, 2:])
    return np.where(top, values, 1e-3 * values)


def _above_line(rows: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """The rows less the straight line between two points of each group: what rises from the level of rest."""
    width = rows.shape[-1]
    first, last = (np.clip(_known(edge), 0, width - 1).astype(int)[:, None, None] for edge in (start, stop))
    shape = rows.shape[:2] + (1,)
    head = np.take_along_axis(rows, np.broadcast_to(first, shape), axis=2)
    tail = np.take_along_axis(rows, np.broadcast_to(last, shape), axis=2)
    share = np.clip((np.arange(width) - first) / np.maximum(last - first, 1), 0, 1)
    return rows - head - (tail - head) * share


def _value(rows: np.ndarray, at: np.ndarray) -> np.ndarray:
    index = np.clip(_known(at), 0, rows.shape[-1] - 1).astype(int)[..., None]
    return np.take_along_axis(rows, index, axis=-1)


def _known(values: np.ndarray, instead: float = 0.0) -> np.ndarray:
    """The values, with another in place of those that are not known."""
    return np.where(np.isnan(values), instead, values)


def _agree(own: np.ndarray, weight: np.ndarray, share: float) -> np.ndarray:
    """Each lead's edge drawn towards the weighted middle of all leads: they watch the same heart.

    Leads with a large wave (``weight`` near one) make the middle; ``share`` is what a lead keeps of its own.
    """
    if own.shape[1] <= FEW_LEADS:
        return own
    middle = np.sum(weight * _known(own), axis=1, keepdims=True) / np.maximum(
        np.sum(weight * np.isfinite(own), axis=1, keepdims=True), 1e-9)
    return middle + (own - middle) * share


def _weight(size: np.ndarray) -> np.ndarray:
    """(groups, leads, 1): the size of a wave as a share of the largest of its group."""
    return size / np.maximum(size.max(axis=1, keepdims=True), 1e-9)


def _t_wave(rows, rate_hz, before, on, off, following) -> tuple[np.ndarray, np.ndarray]:
    """(groups, leads, 3) T onset, peak and end, and the weight of each lead."""
    root = np.sqrt(np.clip(following, 0.25, 1.3))
    start = off + 0.06 * rate_hz
    stop = np.minimum(before + np.minimum(T_LAST_S * root, following - 0.12) * rate_hz, rows.shape[2] - 5)
    stop = np.maximum(stop, start + 0.08 * rate_hz)
    bump = _above_line(rows, on - 0.01 * rate_hz, stop)
    size = np.sqrt(np.mean(bump ** 2, axis=1))
    middle = _pick(size, start, np.minimum(stop - 0.04 * rate_hz, before + T_PEAK_LAST_S * root * rate_hz))
    near = T_NEAR_S * rate_hz
    peak = _pick(np.abs(bump), np.maximum(start, middle - near)[:, None], np.minimum(stop - 10, middle + near)[:, None])
    height = _value(bump, peak)
    sign = np.sign(height)
    rising = np.maximum(sign * _area_after(rows, int(T_WINDOW_S * rate_hz)), 0)
    last, sign = _second_phase(bump, peak, height, stop, rate_hz)
    falling = np.maximum(sign * _area_before(rows, int(T_WINDOW_S * rate_hz)), 0)
    end_all = _pick(falling.sum(axis=1), middle + 0.04 * rate_hz, stop)
    end = _pick(falling, np.maximum(last + 0.03 * rate_hz, end_all[:, None] - T_EDGE_S * rate_hz), (end_all + T_EDGE_S * rate_hz)[:, None])
    begin = _pick(rising, off[:, None], peak - 0.03 * rate_hz)
    return np.stack([begin, peak, end], axis=-1), _weight(np.abs(height))


def _second_phase(bump, peak, height, stop, rate_hz) -> tuple[np.ndarray, np.ndarray]:
    """The peak from which the T wave of each lead falls to rest, (groups, leads), and its sign, (groups, leads, 1):
    where a phase of the other sign follows that is no small part of the first, the peak of that phase."""
    sign = np.sign(height)
    other = _pick(-sign * bump, peak + 0.03 * rate_hz, np.minimum(peak + T_SECOND_S * rate_hz, (stop - 0.02 * rate_hz)[:, None]))
    size = -sign * _value(bump, other)
    two = (size > T_SECOND_SHARE * np.abs(height)) & (size > T_SECOND_UV) & np.isfinite(other)[..., None]
    return np.where(two[..., 0], other, peak), np.where(two, -sign, sign)


def _p_wave(rows, rate_hz, before, on, room) -> tuple[np.ndarray, np.ndarray]:
    """(groups, leads, 3) P onset, peak and end, and the weight of each lead."""
    start = np.maximum(np.maximum(room, before - P_FIRST_S * rate_hz), 0)
    start = np.minimum(start, on - 0.12 * rate_hz)
    stop = on - 0.01 * rate_hz
    bump = _above_line(rows, start, stop)
    size = np.sqrt(np.mean(bump ** 2, axis=1))
    early = np.clip((before - P_USUAL_S * rate_hz - np.arange(rows.shape[2])) / ((P_FIRST_S - P_USUAL_S) * rate_hz), 0, 1)
    middle = _pick(_summits(size) * (1 - P_EARLY_LOSS * early), start + 0.02 * rate_hz, stop - 0.02 * rate_hz)
    near = P_NEAR_S * rate_hz
    peak = _pick(np.abs(bump), (middle - near)[:, None], np.minimum(middle + near, stop)[:, None])
    height = _value(bump, peak)
    sign = np.sign(height)
    rising = np.maximum(sign * _area_after(rows, int(P_ON_WINDOW_S * rate_hz)), 0)
    falling = np.maximum(sign * _area_before(rows, int(P_OFF_WINDOW_S * rate_hz)), 0)
    far, close = 0.10 * rate_hz, 0.02 * rate_hz
    on_all = _pick(rising.sum(axis=1), middle - far, middle - close)
    off_all = _pick(falling.sum(axis=1), middle + close, np.minimum(middle + far, on))
    width = P_EDGE_S * rate_hz
    begin = _pick(rising, (on_all - width)[:, None], np.minimum(peak - close / 2, on_all[:, None] + width))
    end = _pick(falling, np.maximum(peak + close / 2, off_all[:, None] - width), np.minimum(off_all + width, on)[:, None])
    return np.stack([begin, peak, end], axis=-1), _weight(np.abs(height))
