"""What the atria do: are there P waves, is each followed by a QRS, do they march at a rate of their own?

The stretch before each QRS is compared from beat to beat; a P wave is the same every time, fibrillation is
not. For block, the averaged QRS-T is taken out of the strip and the P wave is looked for in what is left.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..dsp.ranks import median, median_over
from ..dsp.spectrum import fast_length, hann, low_pass, power_of
from .strip import STRIP_RATE_HZ, Strip

P_BEFORE_S, P_GAP_S = 0.24, 0.016
STEP = 4                        # the P wave is searched at 62.5 Hz
MATCH = 0.75
LARGE = 0.5
ALIKE = 0.6
FIBRILLATORY_HZ = (4.0, 9.5)
FLUTTER_HZ = (3.7, 5.8)
MARCH_HZ = 15.0                 # what is faster is no P wave
MARCH_ROOM_S = 0.5              # so far the low pass of the autocorrelation reaches


@dataclass(frozen=True)
class Atria:
    """``p_likeness``: median correlation of the stretch before one QRS with that of the others, -1..1;
    ``p_size_uv``: its largest height over leads; ``free_p``: P waves without a QRS of their own,
    ``p_count``: all found; ``p_rate``: P waves a minute where they march by themselves; ``dissociation``:
    how regular that march is (autocorrelation, 0..1); ``flutter``: how much of the strip between QRS-T is
    one wave of 220-350 a minute (0..1), ``flutter_rate``: its rate. None where it cannot be told."""

    p_likeness: float | None
    p_size_uv: float | None
    free_p: int | None
    p_count: int | None
    p_rate: float | None
    dissociation: float | None
    flutter: float | None
    flutter_rate: float | None


def atrial_activity(strip: Strip, qt_ms: float | None, p_known: bool) -> Atria:
    """Atrial activity of a strip. ``p_known``: the median beat has a P wave."""
    likeness, size, stretch = _before_qrs(strip)
    rest = without_ventricles(strip, qt_ms)
    free, count = _free_p(strip, rest, stretch) if p_known and stretch is not None else (None, None)
    rate, march = _march(strip, rest)
    flutter, flutter_rate = _flutter(strip, rest)
    return Atria(likeness, size, free, count, rate, march, flutter, flutter_rate)


def _before_qrs(strip: Strip) -> tuple[float | None, float | None, np.ndarray | None]:
    cut = [strip.window(beat, P_BEFORE_S, -P_GAP_S) for beat in np.flatnonzero(strip.shape == 0)]
    cut = np.array([piece for piece in cut if piece is not None])
    if len(cut) < 3:
        return None, None, None
    ramp = np.linspace(-1, 1, cut.shape[-1])
    cut = cut - cut.mean(axis=-1, keepdims=True)
    cut = cut - (cut @ ramp)[..., None] * ramp / (ramp @ ramp)
    flat = cut.reshape(len(cut), -1)
    rest = flat.sum(axis=0) - flat
    size = np.linalg.norm(flat, axis=1) * np.linalg.norm(rest, axis=1)
    mean = median_over(cut)
    return float(median(np.sum(flat * rest, axis=1) / np.maximum(size, 1e-9))), float(np.ptp(mean, axis=1).max()), mean


def without_ventricles(strip: Strip, qt_ms: float | None) -> np.ndarray:
    """The strip with the average QRS-T of each shape taken out of every beat (QRS and T of single beats stay)."""
    rest = strip.samples.copy()
    length = int(((qt_ms or 400.0) + 60.0) / 1000.0 * STRIP_RATE_HZ)
    lead_in = int(0.02 * STRIP_RATE_HZ)
    for kind in np.unique(strip.shape):
        mine = [at for at in strip.on[strip.shape == kind] if at >= lead_in and at + length <= rest.shape[1]]
        if len(mine) < 2:
            continue
        mean = median_over([strip.samples[:, at - lead_in:at + length] for at in mine])
        mean = mean - np.linspace(0, 1, mean.shape[1]) * (mean[:, -1:] - mean[:, :1]) - mean[:, :1]
        for at in strip.on[strip.shape == kind].tolist():
            low, high = max(at - lead_in, 0), min(at + length, rest.shape[1])
            part, own = mean[:, low - at + lead_in:high - at + lead_in], strip.samples[:, low:high]
            if _product(part, own) > ALIKE * np.sqrt(_product(part, part) * _product(own, own)):      # a P wave taken for a beat stays
                rest[:, low:high] -= part
    return rest


def _product(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.einsum("lt,lt->", one, other))


def _free_p(strip: Strip, rest: np.ndarray, stretch: np.ndarray) -> tuple[int, int]:
    """How often the P wave of the median beat is found without a QRS within its PR interval, and how often at all."""
    whole, stretch = stretch.shape[1], stretch[:, ::STEP]
    thinned = low_pass(rest, STRIP_RATE_HZ, 20.0)[:, ::STEP]
    product, power = _against(thinned, stretch)
    fit = product / np.maximum(np.sqrt(power * np.sum(stretch ** 2)), 1e-9)
    size = product / np.maximum(np.sum(stretch ** 2), 1e-9)
    good = (fit > MATCH) & (size > LARGE) & (size < 2.0)
    top = np.flatnonzero(good[1:-1] & (fit[1:-1] >= fit[:-2]) & (fit[1:-1] > fit[2:])) + 1
    kept: list[int] = []
    for at in top[np.argsort(-fit[top])].tolist():
        if all(abs(at - other) > 0.15 * STRIP_RATE_HZ / STEP for other in kept):
            kept.append(at)
    ends = (np.array(sorted(kept)) * STEP + whole + P_GAP_S * STRIP_RATE_HZ)[:, None]          # where its QRS should begin
    near = np.abs(strip.on - ends) <= 0.10 * STRIP_RATE_HZ
    busy = (ends > strip.on - 0.02 * STRIP_RATE_HZ) & (ends < strip.off + 0.30 * STRIP_RATE_HZ)
    room = ends[:, 0] + 0.1 * STRIP_RATE_HZ < rest.shape[1]
    return int(np.sum(~(near | busy).any(axis=1) & room)), len(ends)


def _against(rows: np.ndarray, pattern: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At each place: the product of the rows there, less their mean, with the pattern, and their power less the mean's."""
    width = pattern.shape[1]
    places = rows.shape[1] - width + 1
    level = pattern - pattern.mean(axis=1, keepdims=True)
    each = level.T @ rows
    product = sum(each[at, at:at + places] for at in range(width))
    total = np.zeros((len(rows), rows.shape[1] + 1))
    np.cumsum(rows, axis=1, out=total[:, 1:])
    square = np.zeros(rows.shape[1] + 1)
    np.cumsum(np.einsum("lt,lt->t", rows, rows), out=square[1:])
    mean = total[:, width:] - total[:, :-width]
    return product, np.maximum(square[width:] - square[:-width] - np.einsum("lt,lt->t", mean, mean) / width, 0.0)


def _march(strip: Strip, rest: np.ndarray) -> tuple[float | None, float | None]:
    """Rate and regularity of waves left when the ventricles are taken out: autocorrelation between 40 and 180 a minute."""
    if rest.shape[1] < 5 * STRIP_RATE_HZ or len(strip.r) < 3:
        return None, None
    length = rest.shape[1]
    low, high = int(STRIP_RATE_HZ * 60 / 180), int(STRIP_RATE_HZ * 60 / 40)
    size = fast_length(length + min(length, high + 1 + int(MARCH_ROOM_S * STRIP_RATE_HZ)))
    power = power_of(rest - rest.mean(axis=1, keepdims=True), size).sum(axis=0)
    ratio = np.square(np.fft.rfftfreq(size, 1.0 / STRIP_RATE_HZ) / MARCH_HZ)
    power /= np.square(1.0 + ratio * ratio)
    together = np.fft.irfft(power, size)[:length]
    together = together / max(together[0], 1e-9) * length / np.arange(length, 0, -1)
    part = together[low:high + 1]
    top = np.flatnonzero((part[1:-1] >= part[:-2]) & (part[1:-1] > part[2:])) + 1
    if len(top) == 0 or part[top].max() <= 0:
        return None, 0.0
    best = top[part[top].argmax()]
    for first in top[part[top] > 0.45 * part[best]]:              # the shortest step of which the best is a multiple
        times = (low + best) / (low + first)
        if abs(times - round(times)) < 0.05:
            break
    return float(60.0 * STRIP_RATE_HZ / (low + first)), float(part[best])


def _flutter(strip: Strip, rest: np.ndarray) -> tuple[float | None, float | None]:
    """Share of the power between 3 and 15 Hz that lies in one line of flutter and its overtone; best of II, III, aVF, V1."""
    rows = [row for row, name in enumerate(strip.leads) if name in ("II", "III", "aVF", "V1")]
    if not rows or rest.shape[1] < 5 * STRIP_RATE_HZ:
        return None, None
    waves = rest[rows] * hann(rest.shape[1])
    power = power_of(waves, rest.shape[1])
    frequency = np.fft.rfftfreq(rest.shape[1], 1.0 / STRIP_RATE_HZ)
    total = power[:, (frequency > 2.5) & (frequency < 15.0)].sum(axis=1)
    inside = np.flatnonzero((frequency >= FLUTTER_HZ[0]) & (frequency <= FLUTTER_HZ[1]))
    best, rate = 0.0, None
    for row in range(len(rows)):
        line = inside[power[row, inside].argmax()]
        near = np.abs(frequency - frequency[line]) < 0.25
        over = np.abs(frequency - 2 * frequency[line]) < 0.35
        share = float(power[row, near | over].sum() / max(total[row], 1e-9))
        if share > best:
            best, rate = share, float(60.0 * frequency[line])
    return best, rate
