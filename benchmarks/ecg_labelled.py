"""Twelve-lead records with diagnoses: PTB-XL (scp_codes), CPSC 2018 (Dx) and LUDB (header comments), as they lie on disk.

A label is a word of this file's own short list; what a database does not label is not in ``judged``.
"""
from __future__ import annotations

import ast
import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.ecg_records import DATA, load_recording
from ecg.recording import PatientAsWritten, Recording

CPSC = {"AF": "AF", "I-AVB": "1AVB", "LBBB": "LBBB", "RBBB": "RBBB", "PAC": "PAC", "PVC": "PVC", "STD": "STD", "STE": "STE/MI",
        "Normal": "NORM"}
CPSC_JUDGES = frozenset({"AF", "1AVB", "LBBB", "RBBB", "PAC", "PVC", "STD", "STE/MI", "NORM"})
ANTERIOR = frozenset({"AMI", "ASMI", "ALMI"})
INFERIOR = frozenset({"IMI", "ILMI", "IPMI", "IPLMI"})
PTBXL = {"AFIB": "AF", "1AVB": "1AVB", "CLBBB": "LBBB", "CRBBB": "RBBB", "PAC": "PAC", "PVC": "PVC", "LVH": "LVH", "NORM": "NORM",
         "LAFB": "LAFB", "IRBBB": "IRBBB", "SBRAD": "SBRAD", "STACH": "STACH", "SARRH": "SARRH", "LVOLT": "LVOLT", "PACE": "PACE",
         "LNGQT": "LNGQT", "WPW": "WPW", "RVH": "RVH", "AFLT": "AFLT", "LPFB": "LPFB", "SR": "SR", "VCLVH": "VCLVH"}
PTBXL_JUDGES = frozenset({*PTBXL.values(), "anterior MI", "inferior MI", "STE/MI"})


@dataclass(frozen=True)
class Labelled:
    """One record with what its database says about it; ``judged``: the labels the database would have given; ``doubtful``:
    labels of which it is not even half sure (PTB-XL: a likelihood of 15 or 35); ``patient``: one word per patient."""

    source: str
    name: str
    recording: Recording
    labels: frozenset[str]
    judged: frozenset[str]
    words: str
    doubtful: frozenset[str] = frozenset()
    patient: str = ""


def ptbxl() -> Iterator[Labelled]:
    """The PTB-XL records on disk. An infarction counts as acute where its stage is I or II, or an injury is named."""
    with (DATA / "ptbxl" / "ptbxl_database.csv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table):
            path = "ptbxl/" + row["filename_hr"]
            if not (DATA / f"{path}.hea").exists():
                continue
            codes = ast.literal_eval(row["scp_codes"])
            labels = {PTBXL[code] for code in codes if code in PTBXL}
            labels |= {"anterior MI"} if ANTERIOR & set(codes) else set()
            labels |= {"inferior MI"} if INFERIOR & set(codes) else set()
            stage = row["infarction_stadium1"]
            if any(code.startswith("INJ") for code in codes) or stage in ("Stadium I", "Stadium I-II", "Stadium II"):
                labels.add("STE/MI")
            patient = PatientAsWritten(sex="F" if row["sex"] == "1" else "M", age_years=float(row["age"]) if row["age"] else None)
            recording = replace(load_recording("", path), patient=patient)
            doubtful = {label for label, names in (("anterior MI", ANTERIOR), ("inferior MI", INFERIOR), ("LVH", {"LVH"}))
                        if 0 < max((codes.get(name, 0) for name in names), default=0) < 50}
            yield Labelled("ptbxl", row["ecg_id"], recording, frozenset(labels), PTBXL_JUDGES, f"{codes} {stage} {row['report']}",
                           frozenset(doubtful), row["patient_id"])


def cpsc2018() -> Iterator[Labelled]:
    """The CPSC 2018 records on disk."""
    for header in sorted((DATA / "cpsc2018").glob("*.hea")):
        notes = dict(line.lstrip("# ").split(":", 1) for line in header.read_text().splitlines() if line.startswith("#") and ":" in line)
        words = [word.strip() for word in notes["Dx"].split(",")]
        age = notes.get("Age", "").strip()
        patient = PatientAsWritten(sex=notes["Sex"].strip()[:1], age_years=float(age) if age.replace(".", "").isdigit() else None)
        recording = replace(load_recording("cpsc2018", header.stem), patient=patient)
        yield Labelled("cpsc2018", header.stem, recording, frozenset(CPSC[word] for word in words), CPSC_JUDGES, ",".join(words),
                       patient=header.stem)


def ludb() -> Iterator[Labelled]:
    """The LUDB records on disk, for their words only: rhythm and diagnoses are free text there."""
    for header in sorted((DATA / "ludb" / "data").glob("*.hea")):
        lines = [line[1:].strip() for line in header.read_text().splitlines() if line.startswith("#")]
        sex = next((line[-1] for line in lines if line.startswith("<sex>")), "")
        age = next((line.split(":")[1].strip() for line in lines if line.startswith("<age>")), "")
        patient = PatientAsWritten(sex=sex, age_years=float(age) if age.isdigit() else None)
        recording = replace(load_recording("ludb/data", header.stem), patient=patient)
        words = " ".join(line for line in lines if not line.startswith("<"))
        labels = {"AF"} if "Atrial fibrillation" in words else set()
        labels |= {"AFLT"} if "flutter" in words else set()
        labels |= {"LVH"} if "Left ventricular hypertrophy" in words else set()
        labels |= {"1AVB"} if "I degree AV" in words and "II degree" not in words else set()
        labels |= {"RBBB"} if "Complete right" in words else set()
        labels |= {"LBBB"} if "Complete left" in words else set()
        labels |= {"PVC"} if "Ventricular extra" in words or "entricular extrasystole" in words.replace("Supraventricular", "") else set()
        yield Labelled("ludb", header.stem, recording, frozenset(labels), frozenset(), words)
