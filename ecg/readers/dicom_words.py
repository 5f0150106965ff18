"""The words of a DICOM ECG: leads by their codes, patient, cart, filters and the cart's own measurements."""
from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from pydicom.dataset import Dataset

from ecg.leads import standard_name
from ecg.recording import DeviceAsWritten, PatientAsWritten

# The lead number is the same in ISO/IEEE 11073-10101 (as 2:n, PS3.16 CID 3001) and SCP-ECG (as 5.6.3-9-n).
LEAD_NUMBERS = {1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF",
                3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6"}
# Global measurements, SCP-ECG codes and the MDC codes of PS3.16 CID 3227 to 3229.
MEASUREMENTS = {
    "5.13.5-7": "pr_ms", "5.13.5-9": "qrs_ms", "5.13.5-11": "qt_ms", "5.10.2.5-5": "qtc_ms", "5.10.2.1-3": "rr_ms",
    "5.10.3-11": "p_axis_deg", "5.10.3-13": "qrs_axis_deg", "5.10.3-15": "t_axis_deg",
    "2:15872": "pr_ms", "2:16156": "qrs_ms", "2:16160": "qt_ms", "2:15876": "qtc_ms", "2:16168": "rr_ms",
    "2:15880": "qtc_ms", "2:15892": "qtc_ms", "2:16184": "p_ms", "2:16770": "heart_rate_bpm", "8867-4": "heart_rate_bpm",
    "2:16128": "p_axis_deg", "2:16132": "qrs_axis_deg", "2:16136": "t_axis_deg",
}
_SEXES = {"M", "F", "O"}
_YEARS_PER = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}


def clean(value: object) -> str:
    """One line of text without padding; an absent value is an empty string."""
    return " ".join(str(value if value is not None else "").replace("\x00", " ").split())


def code_values(dataset: Dataset, keyword: str) -> list[str]:
    return [clean(item.get("CodeValue", "")) for item in dataset.get(keyword) or []]


def lead_of(channel: Dataset, index: int) -> str:
    """The lead of a channel: by code (MDC or SCP-ECG), else by the code's meaning, else by its label."""
    for item in channel.get("ChannelSourceSequence") or []:
        match = re.fullmatch(r"(?:2:|5\.6\.3-9-)(\d{1,5})", clean(item.get("CodeValue", "")))
        if match and int(match[1]) in LEAD_NUMBERS:
            return LEAD_NUMBERS[int(match[1])]
        meaning = re.sub(r"\s*\(.*\)$", "", clean(item.get("CodeMeaning", "")))
        if meaning:
            return standard_name(meaning)
    return standard_name(clean(channel.get("ChannelLabel", "")) or f"channel {index + 1}")


def patient_of(dataset: Dataset) -> PatientAsWritten:
    sex = clean(dataset.get("PatientSex", "")).upper()
    age = re.fullmatch(r"(\d{3})([YMWD])", clean(dataset.get("PatientAge", "")))
    return PatientAsWritten(
        patient_id=clean(dataset.get("PatientID", "")), name=clean(dataset.get("PatientName", "")),
        sex=sex if sex in _SEXES else "", birth_date=_date(clean(dataset.get("PatientBirthDate", ""))),
        age_years=int(age[1]) * _YEARS_PER[age[2]] if age else None)


def device_of(dataset: Dataset) -> DeviceAsWritten:
    software = dataset.get("SoftwareVersions") or ""
    return DeviceAsWritten(
        manufacturer=clean(dataset.get("Manufacturer", "")), model=clean(dataset.get("ManufacturerModelName", "")),
        serial=clean(dataset.get("DeviceSerialNumber", "")),
        software=clean(software if isinstance(software, str) else " ".join(map(str, software))))


def filters_of(group: Dataset) -> str:
    """The pass band as written on the first channel: ``0.05-150 Hz; notch 50 Hz``."""
    channel: Sequence[Dataset] = group.ChannelDefinitionSequence
    low, high, notch = (clean(channel[0].get(keyword, "")) for keyword in
                        ("FilterLowFrequency", "FilterHighFrequency", "NotchFilterFrequency"))
    band = f"{low}-{high} Hz" if low or high else ""
    return "; ".join(filter(None, (band, f"notch {notch} Hz" if notch not in ("", "0", "0.0") else "")))


def measurements_of(dataset: Dataset) -> dict[str, float | str]:
    """Numeric annotations: known codes by name, others under code and meaning as written; the first counts."""
    found: dict[str, float | str] = {}
    for annotation in dataset.get("WaveformAnnotationSequence") or []:
        concepts = annotation.get("ConceptNameCodeSequence") or []
        value = annotation.get("NumericValue")
        if not concepts or value is None or value == "" or annotation.get("TemporalRangeType"):
            continue
        value = value if not hasattr(value, "__len__") or isinstance(value, str) else value[0]
        code, meaning = clean(concepts[0].get("CodeValue", "")), clean(concepts[0].get("CodeMeaning", ""))
        found.setdefault(MEASUREMENTS.get(code, f"{code} {meaning}".strip()), float(value))
    return found


def statements_of(dataset: Dataset) -> tuple[str, ...]:
    said = [clean(annotation.get("UnformattedTextValue", "")) for annotation in dataset.get("WaveformAnnotationSequence") or []]
    return tuple(line for line in said if line)


def start_of(dataset: Dataset) -> str:
    """Acquisition date and time, else content, else study; local, without zone; "" where none is valid."""
    whole = clean(dataset.get("AcquisitionDateTime", ""))
    written = [re.sub(r"[+-]\d{4}$", "", whole)]
    for kind in ("Acquisition", "Content", "Study"):
        day, time = clean(dataset.get(kind + "Date", "")), clean(dataset.get(kind + "Time", ""))
        if day and time:
            written.append(day + time)
    for text in written:
        match = re.fullmatch(r"(\d{8})(\d{4})(\d\d)?(\.\d{1,6})?", text)
        if match:
            try:
                moment = datetime.strptime(match[1] + match[2] + (match[3] or "00"), "%Y%m%d%H%M%S")
            except ValueError:
                continue
            return moment.isoformat() + (match[4] if match[4] and float(match[4]) else "")
    return ""


def _date(written: str) -> str:
    try:
        return datetime.strptime(written, "%Y%m%d").date().isoformat() if written else ""
    except ValueError:
        return ""
