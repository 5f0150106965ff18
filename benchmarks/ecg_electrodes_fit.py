"""How the leads of a beat usually lie: fits ``ecg/data/electrodes.toml`` and prints what halves of the records say.

    python benchmarks/ecg_electrodes_fit.py          prints the cross-validation
    python benchmarks/ecg_electrodes_fit.py --write  writes the table instead

Fitted on the PTB-XL and CPSC 2018 records under HUB_TEST_DATA, taken as recorded right; LUDB is left for the benchmark.
"""
from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.ecg_labelled import cpsc2018, ptbxl  # noqa: E402
from ecg.analysis import dominant_beat  # noqa: E402
from ecg.measure import electrodes as judged  # noqa: E402

OUT = ROOT / "ecg" / "data" / "electrodes.toml"
SHRINK = 0.2                   # towards equal scatter in all leads: other hospitals differ more than these two
VERSION = "2026.1"


def fit(parts: list[np.ndarray], known: list[np.ndarray]) -> judged.Usual:
    """Mean and shrunk covariance of the unit parts, (8, 8) and (8, 8, 8)."""
    unit, known = judged.unit_parts(np.array(parts)), np.array(known)
    mean = np.array([unit[known[:, part], part].mean(axis=0) for part in range(unit.shape[1])])
    covariance = np.array([np.cov(unit[known[:, part], part].T) for part in range(unit.shape[1])])
    even = np.trace(covariance, axis1=1, axis2=2)[:, None, None] / len(judged.LEADS) * np.eye(len(judged.LEADS))
    return judged.Usual(mean, (1 - SHRINK) * covariance + SHRINK * even)


def crossed(beats, parts, known) -> list[str]:
    """Each half judged by the other: alarms on what is as recorded, and what is found of each exchange."""
    alarms, found = [], {}
    for half in (0, 1):
        usual = fit(parts[1 - half::2], known[1 - half::2])
        for fiducials, leads in beats[half::2]:
            alarms += [(item.code, item.confidence) for item in judged.electrode_findings(fiducials, leads, usual)]
            for code, names, matrix in judged.EXCHANGES:
                template = fiducials.template.copy()
                rows = [leads.index(name) for name in judged.LEADS]
                template[rows] = matrix @ template[rows]
                said = judged.electrode_findings(replace(fiducials, template=template), leads, usual)
                found.setdefault((code, names), []).append((any(item.code == code for item in said), bool(said)))
    lines = [f"alarms on {len(beats)} as recorded: {len(alarms)} {alarms}"]
    return lines + [f"{code} {' '.join(names)}: named {100 * np.mean([a for a, _ in said]):.1f} %, any alarm {100 * np.mean([b for _, b in said]):.1f} %"
                    for (code, names), said in found.items()]


def written(usual: judged.Usual, records: int) -> str:
    """The table as TOML; of each covariance the lower triangle, row by row."""
    lines = ["# How P, six parts of the QRS and T lie over the leads; see ecg/measure/electrodes.py",
             f'version = "{VERSION}"',
             f'source = "mean and covariance (shrunk by {SHRINK}) of {records} records of PTB-XL and CPSC 2018: benchmarks/ecg_electrodes_fit.py"',
             f"leads = {list(judged.LEADS)}".replace("'", '"')]
    lower = np.tril_indices(len(judged.LEADS))
    for mean, covariance in zip(usual.mean, usual.covariance):
        lines += ["", "[[part]]", f"mean = {_numbers(mean)}", f"covariance = {_numbers(covariance[lower])}"]
    return "\n".join(lines) + "\n"


def _numbers(values: np.ndarray) -> str:
    return "[" + ", ".join(f"{value:.5g}" for value in values) + "]"


def main() -> None:
    """Reads the records, then judges half by half or writes the table."""
    beats = []
    for source in (ptbxl, cpsc2018):
        for one in source():
            beat = dominant_beat(one.recording)
            if beat is not None and set(judged.LEADS) <= set(beat[1]):
                beats.append(beat)
    both = [judged.beat_parts(fiducials, [leads.index(name) for name in judged.LEADS]) for fiducials, leads in beats]
    parts, known = [one for one, _ in both], [one for _, one in both]
    if "--write" in sys.argv:
        OUT.write_text(written(fit(parts, known), len(beats)), encoding="utf-8")
    else:
        print("\n".join(crossed(beats, parts, known)))


if __name__ == "__main__":
    main()
