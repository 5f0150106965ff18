"""Philips PageWriter and Sierra XML (root restingecgdata), versions 1.03, 1.04, 1.04.01 and 1.04.02.

The waveform is base64, packed with XLI or plain, in UTF-8 or UTF-16, of twelve, fifteen or sixteen leads.
Limb leads are stored as deviations from what I and II foretell and are restored (``restored:III,...``);
where a plain file holds them as they are, which its own numbers show, they are left as they are.
"""
from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

import numpy as np

from ecg.readers.device_text import iso_date, iso_time
from ecg.readers.limb_leads import DERIVED
from ecg.readers.philips_xli import restore_limb_leads, unpack_leads
from ecg.readers.refusals import MOST_LEADS, check_size, refuse
from ecg.readers.xml_document import number, parse_xml, root_name, words
from ecg.recording import STANDARD_LEADS, DeviceAsWritten, PatientAsWritten, Recording, SourceFile

NAME = "Philips XML"

_MOST_SAMPLES = 4_000_000       # twelve leads for five minutes at 1000 a second
_SPELLED = {name.upper(): name for name in STANDARD_LEADS}
_MEASURED = {
    "heartrate": "heart_rate_bpm", "meanventrate": "heart_rate_bpm", "atrialrate": "atrial_rate_bpm",
    "rrint": "rr_ms", "pdur": "p_ms", "print": "pr_ms", "meanprint": "pr_ms",
    "qrsdur": "qrs_ms", "meanqrsdur": "qrs_ms", "qtint": "qt_ms",
    "meanqtint": "qt_ms", "qtcb": "qtc_ms", "meanqtc": "qtc_ms",
    "qtcf": "qtc_fridericia_ms", "pfrontaxis": "p_axis_deg", "qrsfrontaxis": "qrs_axis_deg",
    "tfrontaxis": "t_axis_deg",
}


def sniff(head: bytes, name: str = "") -> bool:
    """True where the root element is restingecgdata."""
    return root_name(head) == "restingecgdata"


def read(files: Sequence[SourceFile], declared: Mapping[str, str] | None = None) -> Recording:
    """The parsed waveforms of ``files[0]``, microvolts; the calibration pulse at the end is cut off.

    Refuses with :class:`~ecg.errors.UnreadableRecording`: ``bad_xml``, ``hostile``, ``not_recognised``,
    ``no_samples``, ``no_rate``, ``no_scale``, ``truncated``, ``damaged``, ``unsupported``.
    """
    root, notes = parse_xml(files[0].content, "restingecgdata")
    wave = root.find(".//parsedwaveforms")
    traits = root.find(".//signalcharacteristics")
    if wave is None:
        raise refuse("no_samples")
    rate = number(wave.get("samplespersecond") or words(traits, "samplingrate"))
    if not rate or not 1 <= rate <= 100_000:
        raise refuse("no_rate")
    lsb = number(wave.get("resolution") or words(traits, "resolution") or words(traits, "signalresolution"))
    if not lsb or lsb <= 0:
        raise refuse("no_scale")
    _check_coding(wave, traits)
    names = _lead_names(wave, traits)
    duration_ms = number(wave.get("durationperchannel"))
    if not duration_ms or not 0 < duration_ms <= 86_400_000:
        raise refuse("no_samples")
    count = int(duration_ms * rate / 1000)
    check_size(len(names), count, _MOST_SAMPLES)

    rows, more = _rows(wave, names, count)
    offset = int(number(wave.get("signaloffset") or words(traits, "signaloffset")) or 0)
    longest = max(row.size for row in rows.values())
    samples = np.full((len(rows), longest), np.nan)
    for row, counts in zip(samples, rows.values()):
        row[:counts.size] = (counts - offset) * lsb
    samples, end = _without_calibration(samples, rate)
    if end:
        more.append(f"calibration_at_end_removed:{end}")
    if longest != count:
        more.append(f"samples_unlike_declared:{longest}/{count}")
    return Recording(
        format=NAME, leads=tuple(rows), samples_uv=samples, rate_hz=rate, lsb_uv=(lsb,) * len(rows),
        start=_start(root), patient=_patient(root), device=_device(root), filters_as_written=_filters(root),
        accession_number=words(root, "orderinfo/ordernumber"), device_measurements=_measurements(root),
        device_statements=_statements(root), notes=(*notes, *more),
    )


def _check_coding(wave: Element, traits: Element | None) -> None:
    bits = wave.get("bitspersample") or wave.get("nbitspersample") or words(traits, "bitspersample") or "16"
    signed = wave.get("signalsigned") or words(traits, "signalsigned") or "True"
    if wave.get("dataencoding", "Base64") != "Base64" or bits != "16" or signed.lower() != "true":
        raise refuse("unsupported")


def _lead_names(wave: Element, traits: Element | None) -> list[str]:
    """Names in the order of the data: as labelled, else the standard twelve and numbered ones after them."""
    labels = (wave.get("leadlabels") or "").split()
    count = number(wave.get("numberofleads") or words(traits, "numberchannelsallocated")) or len(labels)
    if not 1 <= count <= MOST_LEADS:
        raise refuse("no_leads")
    names: list[str] = []
    for i in range(int(count)):
        standard = STANDARD_LEADS[i] if not labels and i < len(STANDARD_LEADS) else f"channel-{i + 1}"
        name = _SPELLED.get(labels[i].upper(), labels[i]) if i < len(labels) else standard
        names.append(name if name not in names else f"{name}-{i + 1}")
    return names


def _rows(wave: Element, names: list[str], count: int) -> tuple[dict[str, np.ndarray], list[str]]:
    """Counts by lead, limb leads restored, and notes."""
    try:
        raw = base64.b64decode(re.sub(r"\s+", "", "".join(wave.itertext())), validate=True)
    except (binascii.Error, ValueError):
        raise refuse("damaged") from None
    packing = wave.get("compressmethod") or wave.get("compression") or "Uncompressed"
    if wave.get("compressflag", "True").lower() == "false":
        packing = "Uncompressed"
    if packing == "XLI":
        unpacked = unpack_leads(raw, len(names), count + 4096)
        if len(unpacked) < len(names):
            raise refuse("truncated")
    elif packing in ("Uncompressed", "None", ""):
        if len(raw) < 2 * count * len(names):
            raise refuse("truncated")
        unpacked = list(np.frombuffer(raw, "<i2", count * len(names)).astype(np.int64).reshape(len(names), count))
    else:
        raise refuse("unsupported")
    rows = dict(zip(names, unpacked))
    if any(row.size == 0 for row in rows.values()):
        raise refuse("damaged")
    if packing != "XLI" and _limb_leads_are_plain(rows):
        return rows, []
    restored = [name for name in DERIVED if name in rows and {"I", "II"} <= rows.keys()]
    return restore_limb_leads(rows), [f"restored:{','.join(restored)}"] if restored else []


def _without_calibration(samples: np.ndarray, rate: float) -> tuple[np.ndarray, int]:
    """Samples without the end at which three or more leads are all equal for 40 ms or longer, and how many.

    The cart puts a calibration pulse and zeros behind the recording; no body gives every lead one voltage.
    """
    unequal = np.flatnonzero((samples != samples[0]).any(axis=0))
    end = samples.shape[1] - (unequal[-1] + 1 if unequal.size else samples.shape[1])
    if len(samples) < 3 or end < 0.04 * rate:
        return samples, 0
    return samples[:, :samples.shape[1] - end], int(end)


def _limb_leads_are_plain(rows: dict[str, np.ndarray]) -> bool:
    """True where III as stored is II - I, closer than it is to zero (a deviation would be near zero)."""
    if not {"I", "II", "III"} <= rows.keys():
        return True
    foretold = rows["II"] - rows["I"]
    return bool(np.abs(rows["III"] - foretold).sum() <= np.abs(rows["III"]).sum())


def _moment(day: str, clock: str) -> str:
    numbers = [int(part) for part in re.findall(r"\d{1,9}", f"{day} {clock}")]
    if len(numbers) >= 6:
        return iso_time(*numbers[:6])
    return iso_date(*numbers[:3]) if len(numbers) >= 3 else ""


def _start(root: Element) -> str:
    taken = root.find("dataacquisition")
    return _moment(taken.get("date", ""), taken.get("time", "")) if taken is not None else ""


def _patient(root: Element) -> PatientAsWritten:
    person = root.find(".//generalpatientdata")
    names = [words(person, f"name/{part}name") for part in ("last", "first", "middle")]
    age = number(words(person, "age/years"))
    return PatientAsWritten(
        patient_id=words(person, "patientid"), name=" ".join(filter(None, names)),
        sex={"MALE": "M", "FEMALE": "F"}.get(words(person, "sex").upper(), ""),
        birth_date=_moment(words(person, "age/dateofbirth"), ""),
        age_years=age if age is not None and 0 <= age < 150 else None,
    )


def _device(root: Element) -> DeviceAsWritten:
    machine = root.find("dataacquisition/machine")
    if machine is None:
        return DeviceAsWritten("Philips")
    detail = machine.get("detaildescription", "").split(":")
    return DeviceAsWritten("Philips", words(machine), machine.get("machineid", ""),
                           detail[-1] if len(detail) > 1 else "")


def _filters(root: Element) -> str:
    band = root.find(".//reportbandwidth")
    parts = [f"{kind} {words(band, kind.replace('-', '') + 'filtersetting')} Hz"
             for kind in ("high-pass", "low-pass", "notch")
             if number(words(band, kind.replace("-", "") + "filtersetting"))]
    return "; ".join(parts)


def _measurements(root: Element) -> dict[str, float | str]:
    """Of the interpretation where it has them, else of the measurements over all leads."""
    found: dict[str, float | str] = {}
    for path in (".//interpretation/globalmeasurements", ".//interpretation/interpretationmeasurements",
                 ".//crossleadmeasurements", "measurements/globalmeasurements"):
        for element in root.findall(f"{path}/*"):
            value = number(element.text)
            if element.tag in _MEASURED and value is not None:
                found.setdefault(_MEASURED[element.tag], value)
    return found


def _statements(root: Element) -> tuple[str, ...]:
    """Statements of the last interpretation, finished ones before coded ones; deleted ones are left out."""
    for interpretation in root.findall(".//interpretation")[-1:]:
        for kinds in (("statement",), ("codedstatement", "qualitystatement")):
            statements = [s for s in interpretation.iter() if s.tag in kinds
                          and s.get("deleted", "False").lower() != "true"]
            texts = [": ".join(filter(None, (words(h) for h in s.iter() if h.tag.endswith("statement") and h is not s
                                             and h.tag[:3] in ("lhs", "rhs", "lef", "rig")))) for s in statements]
            if any(texts):
                return tuple(filter(None, texts))
    return ()
