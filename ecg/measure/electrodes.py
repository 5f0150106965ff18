"""Electrodes at the wrong place, recognised in the median beat of twelve leads.

Limb: exchanging two electrodes permutes and negates the limb leads in a known way, and the lead that then
measures against the right leg is almost flat. Chest: neighbouring leads look alike, so an exchange makes
the sequence V1..V6 rough, and undoing it makes it smooth again. Confidence grows with the agreement of
independent signs (P, QRS and the comparison with V6).
"""
from __future__ import annotations

import numpy as np

from ..dsp.fiducials import Fiducials
from ..findings import Finding

FLAT_SHARE = 0.12              # a limb lead against the right leg: this share of the others at most
FLAT_UV = 120.0
SURE = 0.6                     # findings below this confidence are not reported
CHEST = ("V1", "V2", "V3", "V4", "V5", "V6")
SMOOTHER = 0.50                # roughness left after undoing an exchange, to believe in it
SMOOTHER_V1_V2 = 0.33          # the same for V1 and V2, whose order is often not smooth in health
P_CLEAR = 0.25                 # an inverted P must be this share of the largest limb P

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
    "chest_swap": ("胸导联 {leads} 可能接反，请检查后重做",
                   "Chest electrodes {leads} are probably exchanged: check and record again"),
}


def electrode_findings(fiducials: Fiducials, leads: tuple[str, ...]) -> tuple[Finding, ...]:
    """What looks exchanged, most certain first; empty where leads are missing or nothing does.

    ``leads``: names of the rows of the template; only usable leads are to be passed.
    """
    on, off = fiducials.template_overall[[3, 5]]
    if not (np.isfinite(on) and np.isfinite(off)) or off - on < 4:
        return ()
    found = []
    if all(name in leads for name in ("I", "II", "III")):
        found += _limb(fiducials, leads, int(on), int(off))
    if all(name in leads for name in CHEST):
        found += _chest(fiducials, leads, int(on), int(off))
    return tuple(sorted((item for item in found if item.confidence >= SURE), key=lambda item: -item.confidence))


def _limb(fiducials: Fiducials, leads: tuple[str, ...], on: int, off: int) -> list[Finding]:
    beat = fiducials.template
    rows = {name: beat[leads.index(name)] for name in leads}
    span = {name: float(np.ptp(rows[name][on:off + 1])) for name in ("I", "II", "III")}
    for flat, code in (("II", "right_arm_right_leg"), ("III", "left_arm_right_leg"), ("I", "arms_legs")):
        others = [span[name] for name in span if name != flat]
        if span[flat] < FLAT_SHARE * min(others) and span[flat] < FLAT_UV:
            return [_finding(code, (flat,), 0.9)]
    qrs = {name: float(np.sum(rows[name][on:off + 1] - rows[name][on])) for name in ("I", "II", "III")}
    size = sum(abs(value) for value in qrs.values()) + 1e-9
    p = _p_heights(fiducials, leads)
    if p is None:                       # without P (fibrillation, pacing) an odd QRS axis proves nothing
        return []
    scale = max(abs(value) for value in p.values()) + 1e-9
    lowest = {"arm_reversal": -p["I"] / scale, "right_arm_left_leg": -p["II"] / scale}
    signs = {code: [np.clip(1.5 * value, -1, 1)] for code, value in lowest.items()}
    signs["arm_reversal"].append(np.clip(-qrs["I"] / size * 3, -1, 1))
    signs["right_arm_left_leg"].append(np.clip(-qrs["II"] / size * 3, -1, 1))
    if "V6" in rows:
        chest = rows["V6"][on:off + 40] - rows["V6"][on]
        for code, name in (("arm_reversal", "I"), ("right_arm_left_leg", "II")):
            limb = rows[name][on:off + 40] - rows[name][on]
            like = float(limb @ chest / (np.linalg.norm(limb) * np.linalg.norm(chest) + 1e-9))
            signs[code].append(np.clip(-like * 1.3, -1, 1))
    found = []
    for code, lead in (("arm_reversal", "I"), ("right_arm_left_leg", "II")):
        values = np.array(signs[code])
        if lowest[code] > P_CLEAR and values.min() > -0.1:
            found.append(_finding(code, (lead,), float(np.clip(0.35 + 0.6 * values.mean(), 0, 0.97))))
    return found


def _p_heights(fiducials: Fiducials, leads: tuple[str, ...]) -> dict[str, float] | None:
    on, off = fiducials.template_overall[[0, 2]]
    if not (np.isfinite(on) and np.isfinite(off)) or off - on < 8:
        return None
    on, off = int(on), int(off)
    found = {}
    for name in ("I", "II", "III"):
        wave = fiducials.template[leads.index(name), on:off + 1]
        found[name] = float(np.sum(wave - np.linspace(wave[0], wave[-1], len(wave)))) / (off - on)
    return found


def _chest(fiducials: Fiducials, leads: tuple[str, ...], on: int, off: int) -> list[Finding]:
    rows = fiducials.template[[leads.index(name) for name in CHEST], on:off + 1]
    rows = rows - rows[:, :1]
    order = list(range(6))
    rough = _roughness(rows, order)
    best, pair = rough, None
    for first in range(6):
        for second in range(first + 1, 6):
            trial = order.copy()
            trial[first], trial[second] = trial[second], trial[first]
            value = _roughness(rows, trial)
            if value < best:
                best, pair = value, (CHEST[first], CHEST[second])
    limit = SMOOTHER_V1_V2 if pair == ("V1", "V2") else SMOOTHER
    if pair is None or rough <= 0 or best / rough > limit:
        return []
    confidence = float(np.clip(0.62 + (limit - best / rough) * 1.2, 0, 0.95))
    return [_finding("chest_swap", pair, confidence)]


def _roughness(rows: np.ndarray, order: list[int]) -> float:
    """How much neighbouring chest leads differ, relative to their size."""
    placed = rows[order]
    return float(np.sum((placed[1:] - placed[:-1]) ** 2))


def _finding(code: str, leads: tuple[str, ...], confidence: float) -> Finding:
    zh, en = SENTENCES[code]
    return Finding(code, leads, zh.format(leads="、".join(leads)), en.format(leads=", ".join(leads)),
                   round(confidence, 2))
