"""What stands above the traces of a sheet: who, when and what was measured, in the words of a cart.

Values in, words out; the page and the worker draw the same heading from the same facts.
"""
from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from ecg.render import SheetHeading

# label (zh, en), the measurements that stand under it, decimals, unit (zh, en)
SHOWN = (
    (("心率", "HR"), ("heart_rate",), ("次/分", "/min")),
    (("PR", "PR"), ("pr",), ("ms", "ms")),
    (("QRS", "QRS"), ("qrs",), ("ms", "ms")),
    (("QT/QTcB", "QT/QTcB"), ("qt", "qtc_bazett"), ("ms", "ms")),
    (("P/QRS/T 电轴", "P/QRS/T axis"), ("p_axis", "qrs_axis", "t_axis"), ("°", "°")),
)
SEX = {"M": ("男", "M"), "F": ("女", "F"), "O": ("其他", "other")}
AGE_UNITS = {"Y": ("岁", " y"), "M": ("个月", " mo"), "W": ("周", " wk"), "D": ("天", " d")}
UNCONFIRMED = ("机器结论，未经医师确认", "machine statements, unconfirmed")


def measured_pairs(measurements: Mapping[str, Mapping], language: str = "zh") -> tuple[tuple[str, str], ...]:
    """(label, value with unit) in the order of a cart. ``measurements``: as in Analysis.as_json(). What could not be
    measured is "—"; a pair of which nothing could be measured is left out."""
    pairs = []
    for label, names, unit in SHOWN:
        values = [(measurements.get(name) or {}).get("value") for name in names]
        if any(value is not None for value in values):
            written = "/".join("—" if value is None else f"{value:.0f}" for value in values)
            pairs.append((_one_of(label, language), f"{written} {_one_of(unit, language)}"))
    return tuple(pairs)


def statement_lines(statements: list[Mapping], language: str = "zh") -> tuple[str, ...]:
    """The machine's statements, one a line. ``statements``: as in Analysis.as_json()."""
    return tuple(statement["en" if language == "en" else "zh"] for statement in statements)


def heading_of(patient, recorded_at: str, measurements: Mapping[str, Mapping], language: str = "zh") -> SheetHeading:
    """The heading of a sheet that goes out with a report: the patient and the measurements, no machine statement.

    ``patient``: anything with patient_name, sex, age, birth_date (ISO), patient_number, site_name, accession_number and device_model
    (DICOM's codes for sex and age). ``recorded_at``: ISO 8601 local time, or ""."""
    return SheetHeading(name=patient.patient_name, sex=_one_of(SEX[patient.sex], language) if patient.sex in SEX else patient.sex,
                        age=age_in_words(patient.age or _age_on(patient.birth_date, recorded_at), language), patient_id=patient.patient_number, institution=patient.site_name,
                        recorded_at=recorded_at.replace("T", " ")[:19], accession_number=patient.accession_number, device=patient.device_model,
                        measurements=measured_pairs(measurements, language))


def age_in_words(written: str, language: str = "zh") -> str:
    """DICOM's Age String (PS3.5 6.2: nnnD, nnnW, nnnM, nnnY) in words; anything else as written."""
    number, unit = written[:-1], written[-1:]
    return f"{int(number)}{_one_of(AGE_UNITS[unit], language)}" if unit in AGE_UNITS and number.isdecimal() else written


def _age_on(birth_date: str, day: str) -> str:
    """The age in years on a day, as an Age String; "" where one of the two is not told."""
    try:
        born, seen = date.fromisoformat(birth_date), date.fromisoformat(day[:10])
    except ValueError:
        return ""
    years = seen.year - born.year - ((seen.month, seen.day) < (born.month, born.day))
    return f"{years:03d}Y" if years >= 0 else ""


def _one_of(words: tuple[str, str], language: str) -> str:
    return words[1] if language == "en" else words[0]
