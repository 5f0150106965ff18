"""Electrodes at the wrong place, recognised in the median beat.

Exchanging two electrodes permutes and negates the leads in a known way. Every exchange is undone by
calculation, and it is asked how much more usual the heart looks then: the P wave, six parts of the QRS and the
T wave over I, II and V1..V6 are compared with how these vectors lie in many recordings (``Usual``). It needs no P
wave; fibrillation is judged by QRS and T. An electrode changed with the right leg leaves one limb lead flat,
which is looked for by itself. Confidence grows with the log of the likelihood ratio.
"""
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from ..dsp.fiducials import Fiducials
from ..dsp.ranks import median
from ..findings import Finding

LEADS = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
QRS_PARTS = 6
FREEDOM = 8.0                  # of the t distribution: an odd heart is no proof of anything
FLAT_SHARE = 0.12              # a limb lead against the right leg: this share of the others at most
FLAT_UV = 120.0
SURE = 0.6                     # findings below this confidence are not reported
CERTAIN, PER_UNIT = 0.45, 0.05  # confidence of no difference, and what each unit of log likelihood adds
RARE = {"arm_reversal": 0.0, "right_arm_left_leg": 1.0, "left_arm_left_leg": 4.0, "chest_swap": 1.0}
WITHOUT_CHEST = 6.0            # limb leads alone say less: asked for in addition where a chest lead is missing
POSSIBLE = {"left_arm_left_leg": 0.65}         # hardly to be told from a healthy heart: never more than this

SENTENCES = {
    "arm_reversal": ("左右手电极可能接反，请检查后重做",
                     "Left and right arm electrodes are probably exchanged: check and record again"),
    "right_arm_right_leg": ("右手与右腿电极可能接反，请检查后重做",
                            "Right arm and right leg electrodes are probably exchanged: check and record again"),
    "left_arm_right_leg": ("左手与右腿电极可能接反，请检查后重做",
                           "Left arm and right leg electrodes are probably exchanged: check and record again"),
    "arms_legs": ("双手与双腿电极可能互换，请检查后重做",
                  "Arm and leg electrodes are probably exchanged on both sides: check and record again"),
    "right_arm_left_leg": ("右手与左腿电极可能接反，请检查后重做",
                           "Right arm and left leg electrodes are probably exchanged: check and record again"),
    "left_arm_left_leg": ("左手与左腿电极有接反的可能，请核对电极位置",
                          "Left arm and left leg electrodes may be exchanged: check where they are"),
    "chest_swap": ("胸导联 {leads} 可能接反，请检查后重做",
                   "Chest electrodes {leads} are probably exchanged: check and record again"),
}


@dataclass(frozen=True, eq=False)
class Usual:
    """How the vectors of a beat lie over ``LEADS`` in many recordings: ``mean`` (parts, 8) and ``covariance``
    (parts, 8, 8) of P, the parts of QRS and T; P and T of length one, the parts of QRS together of length one."""

    mean: np.ndarray
    covariance: np.ndarray


def electrode_findings(fiducials: Fiducials, leads: tuple[str, ...], usual: Usual) -> tuple[Finding, ...]:
    """What looks exchanged, most certain first; empty where I or II is missing or nothing does.

    ``leads``: names of the rows of the template; only usable leads are to be passed.
    """
    on, off = fiducials.template_overall[[3, 5]]
    if not (np.isfinite(on) and np.isfinite(off)) or off - on < 4 or "I" not in leads or "II" not in leads:
        return ()
    found = _flat(fiducials.template, leads, int(on), int(off)) or _exchanged(fiducials, leads, usual)
    return tuple(sorted((item for item in found if item.confidence >= SURE), key=lambda item: -item.confidence))


def _flat(beat: np.ndarray, leads: tuple[str, ...], on: int, off: int) -> list[Finding]:
    first, second = (beat[leads.index(name), on:off + 1] for name in ("I", "II"))
    span = {"I": np.ptp(first), "II": np.ptp(second), "III": np.ptp(second - first)}
    for flat, code in (("II", "right_arm_right_leg"), ("III", "left_arm_right_leg"), ("I", "arms_legs")):
        others = [span[name] for name in span if name != flat]
        if span[flat] < FLAT_SHARE * min(others) and span[flat] < FLAT_UV:
            return [_finding(code, (flat,), 0.9)]
    return []


def _exchanged(fiducials: Fiducials, leads: tuple[str, ...], usual: Usual) -> list[Finding]:
    """The exchange that explains the beat best, if it does so better than none."""
    there = [name for name in LEADS if name in leads]
    rows = [LEADS.index(name) for name in there]
    parts, known = beat_parts(fiducials, [leads.index(name) for name in there])
    trials, undoing, rare = _trials(tuple(rows))
    turned = (undoing @ parts.T).transpose(0, 2, 1)
    fit = _log_likelihood(turned, known, usual, tuple(rows))
    gain = fit[1:] - fit[0] - rare - WITHOUT_CHEST * (len(rows) < len(LEADS))
    code, names = trials[int(gain.argmax())]
    confidence = min(CERTAIN + PER_UNIT * float(gain.max()), POSSIBLE.get(code, 0.97))
    return [_finding(code, names, confidence)] if confidence >= SURE else []


@lru_cache(maxsize=8)
def _trials(rows: tuple[int, ...]) -> tuple[tuple[tuple[str, tuple[str, ...]], ...], np.ndarray, np.ndarray]:
    """Code and leads of the exchanges that these leads show, the matrices that undo nothing and each of them, how rare they are."""
    there = {*(LEADS[row] for row in rows), "III"}
    shown = [one for one in EXCHANGES if set(one[1]) <= there]
    undoing = np.array([np.eye(len(rows))] + [undo[np.ix_(rows, rows)] for _, _, undo in shown])
    return tuple((code, names) for code, names, _ in shown), undoing, np.array([RARE[code] for code, _, _ in shown])


def beat_parts(fiducials: Fiducials, rows: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """(8, rows) mean microvolts of P, six parts of the QRS and T of the dominant beat, and which of them are known."""
    beat, overall = fiducials.template[rows], fiducials.template_overall
    on, off = int(overall[3]), int(overall[5])
    level = median(beat[:, max(on - 6, 0):on + 1])[:, None]
    parts = np.zeros((QRS_PARTS + 2, len(rows)))
    known = np.ones(QRS_PARTS + 2, dtype=bool)
    edges = np.linspace(on, off, QRS_PARTS + 1).astype(int)
    for part in range(QRS_PARTS):
        parts[1 + part] = np.mean(beat[:, edges[part]:edges[part + 1] + 1] - level, axis=1)
    first, last = overall[0], overall[2]
    known[0] = np.isfinite(first + last) and last - first >= 8
    if known[0]:
        wave = beat[:, int(first):int(last) + 1]
        parts[0] = np.mean(wave - np.linspace(wave[:, 0], wave[:, -1], wave.shape[1], axis=1), axis=1)
    end = overall[8]
    known[-1] = np.isfinite(end) and end - off > 20
    if known[-1]:
        parts[-1] = np.mean(beat[:, off + int(0.25 * (end - off)):int(end)] - level, axis=1)
    return parts, known


def unit_parts(parts: np.ndarray) -> np.ndarray:
    """The same (..., 8, leads) with P and T of length one, and the QRS parts of length one together."""
    size = np.linalg.norm(parts, axis=-1)
    size[..., 1:-1] = np.linalg.norm(size[..., 1:-1], axis=-1, keepdims=True)
    return parts / np.maximum(size, 1e-9)[..., None]


@lru_cache(maxsize=8)
def _expected(usual: Usual, rows: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """In these leads: the mean, the length that is expected there, (parts, 1), and the inverse of the covariance."""
    mean, covariance = usual.mean[:, rows], usual.covariance[:, rows][:, :, rows]
    share = np.sum(mean ** 2, axis=1) + np.trace(covariance, axis1=1, axis2=2)     # of the length in these leads
    share[1:-1] = share[1:-1].sum()
    return mean, np.sqrt(share)[:, None], np.linalg.inv(covariance)


def _log_likelihood(turned: np.ndarray, known: np.ndarray, usual: Usual, rows: tuple[int, ...]) -> np.ndarray:
    """Of each (exchanges, 8, rows) beat, up to a constant: t distributions over the leads that are there."""
    mean, size, inverse = _expected(usual, rows)
    away = (unit_parts(turned) * size - mean).transpose(1, 0, 2)
    square = np.einsum("pes,pes->ep", away @ inverse, away)
    return -0.5 * (FREEDOM + len(rows)) * np.sum(np.log1p(square / FREEDOM) * known, axis=1)


def _exchanges() -> tuple[tuple[str, tuple[str, ...], np.ndarray], ...]:
    """Code, leads and matrix over ``LEADS`` of each exchange. Each is its own inverse."""
    limb = {("arm_reversal", ("I",)): ((-1, 0), (-1, 1)), ("right_arm_left_leg", ("II",)): ((1, -1), (0, -1)),
            ("left_arm_left_leg", ("III",)): ((0, 1), (1, 0))}
    found = []
    for (code, names), block in limb.items():
        matrix = np.eye(len(LEADS))
        matrix[:2, :2] = block
        found.append((code, names, matrix))
    orders = {pair: pair[::-1] for pair in combinations(range(2, 8), 2)}
    orders[tuple(range(2, 8))] = tuple(range(7, 1, -1))
    for places, instead in orders.items():
        matrix = np.eye(len(LEADS))
        matrix[list(places)] = np.eye(len(LEADS))[list(instead)]
        found.append(("chest_swap", tuple(LEADS[place] for place in places), matrix))
    return tuple(found)


EXCHANGES = _exchanges()


def _finding(code: str, leads: tuple[str, ...], confidence: float) -> Finding:
    zh, en = SENTENCES[code]
    return Finding(code, leads, zh.format(leads="、".join(leads)), en.format(leads=", ".join(leads)),
                   round(confidence, 2))
