"""GE MUSE XML (root RestingECG): the rhythm, lead by lead in base64, 16 bits little-endian.

MUSE stores I, II and V1 to V6; III, aVR, aVL and aVF are made from I and II exactly and noted
(``derived:III,aVR,aVL,aVF``). The CRC-32 that stands beside each lead is verified and noted.
"""
from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

import numpy as np

from ecg.readers.device_text import iso_date, iso_time
from ecg.readers.limb_leads import with_derived_limb_leads
from ecg.readers.refusals import check_size, refuse
from ecg.readers.xml_document import number, parse_xml, root_name, words
from ecg.recording import STANDARD_LEADS, DeviceAsWritten, PatientAsWritten, Recording, SourceFile

NAME = "GE MUSE XML"

_SPELLED = {name.upper(): name for name in STANDARD_LEADS}
_MICROVOLTS = {"MICROVOLTS": 1.0, "UV": 1.0, "MILLIVOLTS": 1000.0, "MV": 1000.0}
_MEASURED = {
    "VentricularRate": "heart_rate_bpm", "AtrialRate": "atrial_rate_bpm", "PRInterval": "pr_ms",
    "QRSDuration": "qrs_ms", "QTInterval": "qt_ms", "QTCorrected": "qtc_ms",
    "QTcFrederica": "qtc_fridericia_ms", "PAxis": "p_axis_deg", "RAxis": "qrs_axis_deg", "TAxis": "t_axis_deg",
    "QRSCount": "qrs_count",
}
_FULL_YEARS = {"YEARS": 1.0, "MONTHS": 1 / 12, "WEEKS": 7 / 365.25, "DAYS": 1 / 365.25, "": 1.0}


def sniff(head: bytes, name: str = "") -> bool:
    """True where the root element is RestingECG."""
    return root_name(head) == "RestingECG"


def read(files: Sequence[SourceFile], declared: Mapping[str, str] | None = None) -> Recording:
    """The rhythm waveform of ``files[0]`` (the longest one, never the median beat), microvolts.

    Refuses with :class:`~ecg.errors.UnreadableRecording`: ``bad_xml``, ``hostile``, ``not_recognised``,
    ``no_samples``, ``no_rate``, ``no_scale``, ``truncated``, ``damaged``, ``unsupported``.
    """
    root, notes = parse_xml(files[0].content, "restingecg")
    rhythms = [w for w in root.iter("Waveform") if words(w, "WaveformType").upper() == "RHYTHM"]
    if not rhythms:
        raise refuse("no_samples")
    rhythm = max(rhythms, key=lambda w: len(w.findall("LeadData")))
    base, exponent = number(words(rhythm, "SampleBase")), number(words(rhythm, "SampleExponent") or "0")
    if not base or base <= 0 or exponent is None or not -6 <= exponent <= 6:
        raise refuse("no_rate")

    rows, more = _leads(rhythm)
    if not rows:
        raise refuse("no_leads")
    longest = max(counts.size for counts, _ in rows.values())
    check_size(len(rows), longest)
    samples = np.full((len(rows), longest), np.nan)
    for row, (name, (counts, lsb)) in zip(samples, rows.items()):
        row[:counts.size] = counts * lsb
        if counts.size < longest:
            more.append(f"lead_ends_early:{name}:{longest - counts.size}")
    leads, samples, lsb_uv, derived = with_derived_limb_leads(
        tuple(rows), samples, tuple(lsb for _, lsb in rows.values()))
    return Recording(
        format=NAME, leads=leads, samples_uv=samples, rate_hz=base * 10 ** exponent, lsb_uv=lsb_uv,
        start=_start(root), patient=_patient(root), device=_device(root),
        filters_as_written=_filters(rhythm), accession_number=words(root, "Order/OrderNumber"),
        device_measurements=_measurements(root), device_statements=_statements(root),
        notes=(*notes, *more, *derived),
    )


def _leads(rhythm: Element) -> tuple[dict[str, tuple[np.ndarray, float]], list[str]]:
    """Counts and microvolts a count by lead, in the order of the file, and notes."""
    rows: dict[str, tuple[np.ndarray, float]] = {}
    notes: list[str] = []
    checked = True
    for lead in rhythm.findall("LeadData"):
        written = words(lead, "LeadID")
        name = _SPELLED.get(written.upper(), written or f"unnamed-{len(rows) + 1}")
        scale = number(words(lead, "LeadAmplitudeUnitsPerBit"))
        unit = _MICROVOLTS.get(words(lead, "LeadAmplitudeUnits").upper())
        if not scale or scale <= 0 or unit is None:
            raise refuse("no_scale")
        if (words(lead, "LeadSampleSize") or "2") != "2" or name in rows:
            raise refuse("unsupported")
        try:
            raw = base64.b64decode(re.sub(r"\s+", "", lead.findtext("WaveFormData") or ""), validate=True)
        except (binascii.Error, ValueError):
            raise refuse("damaged") from None
        written_crc = words(lead, "LeadDataCRC32").lstrip("0")
        if not written_crc:
            checked = False
        elif written_crc != str(binascii.crc32(raw)):
            notes.append(f"crc:mismatch:{name}")
            checked = False
        count = number(words(lead, "LeadSampleCountTotal"))
        if len(raw) % 2 or (count is not None and count * 2 > len(raw)):
            raise refuse("truncated")
        if raw:
            rows[name] = np.frombuffer(raw, "<i2").astype(np.float64), scale * unit
    if checked and rows:
        notes.append("crc:ok")
    return rows, notes


def _date(text: str) -> tuple[int, int, int] | None:
    """Year, month and day of MUSE's MM-DD-YYYY, or of an ISO date."""
    parts = re.findall(r"\d{1,9}", text)
    if len(parts) != 3:
        return None
    if len(parts[0]) == 4:
        return int(parts[0]), int(parts[1]), int(parts[2])
    return (int(parts[2]), int(parts[0]), int(parts[1])) if len(parts[2]) == 4 else None


def _start(root: Element) -> str:
    day = _date(words(root, "TestDemographics/AcquisitionDate"))
    clock = [int(part) for part in re.findall(r"\d{1,9}", words(root, "TestDemographics/AcquisitionTime"))[:3]]
    if day is None:
        return ""
    return iso_time(*day, *clock) if len(clock) == 3 else iso_date(*day)


def _patient(root: Element) -> PatientAsWritten:
    person = root.find("PatientDemographics")
    born = _date(words(person, "DateofBirth"))
    age, unit = number(words(person, "PatientAge")), _FULL_YEARS.get(words(person, "AgeUnits").upper())
    names = [words(person, "PatientLastName"), words(person, "PatientFirstName")]
    return PatientAsWritten(
        patient_id=words(person, "PatientID"), name=" ".join(filter(None, names)),
        sex={"MALE": "M", "FEMALE": "F"}.get(words(person, "Gender").upper(), ""),
        birth_date=iso_date(*born) if born else "",
        age_years=age * unit if age and unit and 0 < age * unit < 150 else None,
    )


def _device(root: Element) -> DeviceAsWritten:
    test = root.find("TestDemographics")
    model, serial = words(test, "AcquisitionDevice"), words(test, "CartNumber")
    return DeviceAsWritten("GE", model, serial or words(root, "PharmaData/PharmaCartID"),
                           words(test, "AcquisitionSoftwareVersion") or words(root, "MuseInfo/MuseVersion"))


def _filters(rhythm: Element) -> str:
    """The three filter fields in MUSE's own numbers (high-pass in hundredths of a hertz)."""
    fields = ("HighPassFilter", "LowPassFilter", "ACFilter")
    return "; ".join(f"{name} {words(rhythm, name)}" for name in fields if words(rhythm, name))


def _measurements(root: Element) -> dict[str, float | str]:
    found = {}
    for element in root.findall("RestingECGMeasurements/*"):
        value = number(element.text)
        if element.tag in _MEASURED and value is not None:
            found[_MEASURED[element.tag]] = value
    return found


def _statements(root: Element) -> tuple[str, ...]:
    """The statements of the diagnosis in force, lines joined until one ends its statement."""
    lines, line = [], []
    for statement in root.findall("Diagnosis/DiagnosisStatement"):
        line.append(words(statement, "StmtText"))
        if any(words(flag) == "ENDSLINE" for flag in statement.findall("StmtFlag")):
            lines.append(" ".join(filter(None, line)))
            line = []
    lines.append(" ".join(filter(None, line)))
    return tuple(filter(None, lines))
