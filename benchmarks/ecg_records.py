"""Reference records and the arithmetic of comparing with them: loading, matching, intervals of confidence.

Folders are those of PhysioNet (mitdb, nstdb, qtdb, ludb/data); whatever records are there are used.
"""
from __future__ import annotations

import ast
import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import wfdb

from ecg.recording import STANDARD_LEADS, Recording

DATA = Path(os.environ.get("HUB_TEST_DATA", Path(__file__).resolve().parents[1] / ".." / "shared" / "data")) / "ecg"
BEATS = set("NLRBAaJSVrFejnE/fQ?")
TOLERANCE_S = 0.15


@dataclass(frozen=True)
class OneLead:
    """One lead with its beat annotations; ``excluded``: (start, stop) samples of ventricular flutter or fibrillation."""

    name: str
    samples_uv: np.ndarray
    rate_hz: float
    beats: np.ndarray
    excluded: tuple[tuple[int, int], ...]


def names(folder: str) -> list[str]:
    """Record names of a folder, numeric ones in numeric order."""
    found = {path.stem for path in (DATA / folder).glob("*.hea")}
    return sorted(found, key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0, name))


def load_one_lead(folder: str, name: str) -> OneLead:
    """Channel 0 of an annotated record, microvolts."""
    record = wfdb.rdrecord(str(DATA / folder / name), channels=[0], physical=True)
    notes = wfdb.rdann(str(DATA / folder / name), "atr")
    beats = np.array([at for at, code in zip(notes.sample, notes.symbol) if code in BEATS])
    excluded, start = [], None
    for at, code in zip(notes.sample, notes.symbol):
        if code == "[":
            start = int(at)
        elif code == "]" and start is not None:
            excluded.append((start, int(at)))
            start = None
    return OneLead(name, record.p_signal.T * 1000.0, float(record.fs), beats, tuple(excluded))


def load_recording(folder: str, name: str) -> Recording:
    """All leads of a record as a Recording; twelve-lead records in standard order."""
    record = wfdb.rdrecord(str(DATA / folder / name), physical=True)
    spelled = {lead.lower(): lead for lead in STANDARD_LEADS}
    leads = [spelled.get(lead.lower(), lead) for lead in record.sig_name]
    order = [leads.index(lead) for lead in STANDARD_LEADS] if set(STANDARD_LEADS) <= set(leads) else range(len(leads))
    rows = record.p_signal.T[list(order)] * 1000.0
    return Recording("WFDB", tuple(leads[row] for row in order), rows, float(record.fs), (1.0,) * len(rows))


def ptbxl_labels() -> list[tuple[str, dict[str, float]]]:
    """Path and diagnostic codes of every PTB-XL record that is there."""
    with open(DATA / "ptbxl" / "ptbxl_database.csv", encoding="utf-8", newline="") as table:
        rows = [(row["filename_hr"], ast.literal_eval(row["scp_codes"])) for row in csv.DictReader(table)]
    return [(path, codes) for path, codes in rows if (DATA / "ptbxl" / f"{path}.hea").exists()]


def waves(folder: str, name: str, extension: str) -> dict[str, np.ndarray]:
    """Manual waves of one annotation file: "p", "N", "t" -> (waves, 3) onset, peak, end; NaN where not marked."""
    notes = wfdb.rdann(str(DATA / folder / name), extension)
    found: dict[str, list] = {"p": [], "N": [], "t": []}
    for at, code in enumerate(notes.symbol):
        if code in found:
            onset = notes.sample[at - 1] if at and notes.symbol[at - 1] == "(" else np.nan
            end = notes.sample[at + 1] if at + 1 < len(notes.symbol) and notes.symbol[at + 1] == ")" else np.nan
            found[code].append((onset, notes.sample[at], end))
    return {code: np.array(rows, dtype=float).reshape(-1, 3) for code, rows in found.items()}


def outside(samples: np.ndarray, record: OneLead) -> np.ndarray:
    """The samples that lie outside of excluded stretches."""
    slack = TOLERANCE_S * record.rate_hz
    keep = np.ones(len(samples), dtype=bool)
    for start, stop in record.excluded:
        keep &= (samples < start - slack) | (samples > stop + slack)
    return samples[keep]


def count_matches(reference: np.ndarray, found: np.ndarray, tolerance: float) -> int:
    """How many reference beats have a detection of their own within the tolerance (samples), in order."""
    i = j = matched = 0
    while i < len(reference) and j < len(found):
        away = found[j] - reference[i]
        if abs(away) <= tolerance:
            if j + 1 < len(found) and abs(found[j + 1] - reference[i]) < abs(away):
                j += 1
                continue
            matched, i, j = matched + 1, i + 1, j + 1
        elif away < 0:
            j += 1
        else:
            i += 1
    return matched


def f1(matched: int, reference: int, found: int) -> float:
    """The harmonic mean of sensitivity and positive predictive value, percent."""
    return 200.0 * matched / max(reference + found, 1)


def wilson(good: int, total: int) -> str:
    """A rate in percent with its 95 % Wilson interval, as text."""
    if total == 0:
        return "-"
    low, high = wilson_limits(good, total)
    return f"{100 * good / total:.2f} [{100 * low:.2f}, {100 * high:.2f}]"


def wilson_limits(good: int, total: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a rate, 0..1; ``total`` at least 1."""
    z, share = 1.96, good / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return max(centre - half, 0.0), centre + half


def trimmed(errors: np.ndarray, share: float = 0.04) -> np.ndarray:
    """The errors without the ``share`` that lie farthest from their median (IEC 60601-2-25: outliers removed)."""
    errors = np.asarray(errors, dtype=float)
    keep = len(errors) - int(np.ceil(share * len(errors)))
    return errors[np.argsort(np.abs(errors - np.median(errors)))[:keep]] if len(errors) else errors
