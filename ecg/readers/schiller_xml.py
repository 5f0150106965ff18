"""Schiller SEMA XML (root ...SchillerEDI): rhythm channels as numbers separated by commas.

The averaged beats in the same file are not a recording and are left out. Milliseconds and degrees of the
cart's own measurements are taken as written.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

import numpy as np

from ecg.readers.device_text import iso_date, iso_time
from ecg.readers.refusals import check_size, refuse
from ecg.readers.xml_document import number, parse_xml, root_name, words
from ecg.recording import STANDARD_LEADS, DeviceAsWritten, PatientAsWritten, Recording, SourceFile

NAME = "Schiller XML"

_MOST_SAMPLES_OF_A_LEAD = 2_000_000
_SPELLED = {name.upper(): name for name in STANDARD_LEADS}
_MICROVOLTS = {"UV": 1.0, "MV": 1000.0, "NV": 0.001}
_MEASURED = {
    "HR": "heart_rate_bpm", "RR": "rr_ms", "P": "p_ms", "PQ": "pr_ms",
    "QRS": "qrs_ms", "QT": "qt_ms", "QTC": "qtc_ms", "AXIS_P": "p_axis_deg",
    "AXIS_QRS": "qrs_axis_deg", "AXIS_T": "t_axis_deg",
}


def sniff(head: bytes, name: str = "") -> bool:
    """True where the root element is SchillerEDI, with or without its package name."""
    return root_name(head).lower().endswith("schilleredi")


def read(files: Sequence[SourceFile], declared: Mapping[str, str] | None = None) -> Recording:
    """The rhythm channels of ``files[0]``, microvolts.

    Refuses with :class:`~ecg.errors.UnreadableRecording`: ``bad_xml``, ``hostile``, ``not_recognised``,
    ``no_samples``, ``no_leads``, ``no_rate``, ``no_scale``, ``truncated``, ``damaged``, ``unsupported``.
    """
    root, notes = parse_xml(files[0].content, "schilleredi")
    waves = [w for w in root.iter("wavedata") if words(w, "type").upper() == "ECG_RHYTHMS"]
    if not waves:
        raise refuse("no_samples")
    wave = waves[0]
    more = [f"further_waveforms:{len(waves) - 1}"] if len(waves) > 1 else []
    rate = number(words(wave, "resolution/samplerate/value"))
    if not rate or not 1 <= rate <= 100_000:
        raise refuse("no_rate")
    unit = _MICROVOLTS.get(words(wave, "resolution/yres/units").upper())
    scale = number(words(wave, "resolution/yres/unitperbit"))
    if unit is None or not scale or scale <= 0:
        raise refuse("no_scale")
    lsb = unit * scale

    rows: dict[str, np.ndarray] = {}
    for channel in wave.findall("channel"):
        written = words(channel, "name")
        name = _SPELLED.get(written.upper(), written or f"unnamed-{len(rows) + 1}")
        if name in rows:
            raise refuse("damaged")
        rows[name] = _counts(channel)
    if not rows:
        raise refuse("no_leads")
    longest = max(counts.size for counts in rows.values())
    check_size(len(rows), longest)
    samples = np.full((len(rows), longest), np.nan)
    for row, (name, counts) in zip(samples, rows.items()):
        row[:counts.size] = counts * lsb
        if counts.size < longest:
            more.append(f"lead_ends_early:{name}:{longest - counts.size}")
    return Recording(
        format=NAME, leads=tuple(rows), samples_uv=samples, rate_hz=rate, lsb_uv=(lsb,) * len(rows),
        start=_start(root), patient=_patient(root), device=_device(root), filters_as_written=_filters(root),
        accession_number=words(root, "examdescript/order_id"), device_measurements=_measurements(root),
        device_statements=_statements(root), notes=(*notes, *more),
    )


def _counts(channel: Element) -> np.ndarray:
    if (words(channel, "datastype") or "COMMASEPARATE").upper() != "COMMASEPARATE":
        raise refuse("unsupported")
    text = (channel.findtext("data") or "").strip().rstrip(",")
    check_size(1, text.count(",") + 1, _MOST_SAMPLES_OF_A_LEAD)
    try:
        counts = np.array(text.split(",") if text else [], dtype=np.float64)
    except ValueError:
        raise refuse("damaged") from None
    if not np.isfinite(counts).all():
        raise refuse("damaged")
    declared = number(words(channel, "samplecount"))
    if declared is not None and declared > counts.size:
        raise refuse("truncated")
    return counts


def _date(text: str) -> tuple[int, int, int] | None:
    return (int(text[:4]), int(text[4:6]), int(text[6:8])) if len(text) == 8 and text.isdecimal() else None


def _start(root: Element) -> str:
    """Date as YYYYMMDD and time as HHMMSS with milliseconds that are not kept."""
    day = _date(words(root, "examdescript/startdatetime/date"))
    clock = words(root, "examdescript/startdatetime/time")
    if day is None:
        return ""
    if len(clock) >= 6 and clock.isdecimal():
        return iso_time(*day, int(clock[:2]), int(clock[2:4]), int(clock[4:6]))
    return iso_date(*day)


def _patient(root: Element) -> PatientAsWritten:
    person = root.find("patdata")
    born = _date(words(person, "birthdate"))
    return PatientAsWritten(
        patient_id=words(person, "id"),
        name=" ".join(filter(None, (words(person, "lastname"), words(person, "firstname")))),
        sex={"MALE": "M", "FEMALE": "F"}.get(words(person, "gender").upper(), ""),
        birth_date=iso_date(*born) if born else "",
    )


def _device(root: Element) -> DeviceAsWritten:
    device = root.find("examdescript/aquiringdevice")
    return DeviceAsWritten(words(device, "hardware/vendor"), words(device, "hardware/model"),
                           words(device, "hardware/serialnumber"), words(device, "software/version"))


def _filters(root: Element) -> str:
    return "; ".join(f"{words(f, 'name')} {words(f, 'value')}" for f in root.iter("filter")
                     if words(f, "value") not in ("", "-", "OFF"))


def _measurements(root: Element) -> dict[str, float | str]:
    found: dict[str, float | str] = {}
    for element in root.iter("annotation_global"):
        name, value = _MEASURED.get(words(element, "name").upper()), number(words(element, "value"))
        if name and value is not None:
            found.setdefault(name, value)
    return found


def _statements(root: Element) -> tuple[str, ...]:
    lines = []
    for block in root.iter("textdata"):
        if words(block, "type").upper() == "INTERPRETATION":
            for text in block.findall("textdata"):
                lines += [" ".join(line.split()) for line in (text.text or "").splitlines()]
    return tuple(filter(None, lines))
