"""The words of an HL7 aECG: who, with which cart, when, and what the cart itself measured and said."""
from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from xml.etree.ElementTree import Element

from ecg.recording import DeviceAsWritten, PatientAsWritten

MEASUREMENTS = {
    "MDC_ECG_HEART_RATE": "heart_rate_bpm",
    "MDC_ECG_TIME_PD_RR": "rr_ms",
    "MDC_ECG_TIME_PD_P": "p_ms",
    "MDC_ECG_TIME_PD_PWD": "p_ms",
    "MDC_ECG_TIME_PD_PR": "pr_ms",
    "MDC_ECG_TIME_PD_QRS": "qrs_ms",
    "MDC_ECG_TIME_PD_QT": "qt_ms",
    "MDC_ECG_TIME_PD_QTc": "qtc_ms",
    "MDC_ECG_ANGLE_P_FRONT": "p_axis_deg",
    "MDC_ECG_ANGLE_QRS_FRONT": "qrs_axis_deg",
    "MDC_ECG_ANGLE_T_FRONT": "t_axis_deg",
    "MDC_ECG_WAVE_R_S": "rv5_plus_sv1_mv",
    "MDC_ECG_WAVE_SV1": "sv1_mv",
    "MDC_ECG_WAVE_RV5": "rv5_mv",
    "MDC_ECG_WAVE_RV6": "rv6_mv",
}
_UNITS = {"bpm": "bpm", "/min": "bpm", "ms": "ms", "deg": "deg", "mv": "mv"}
_SEXES = {"M": "M", "F": "F", "UN": "O", "O": "O"}
_YEARS_PER = {"a": 1.0, "y": 1.0, "year": 1.0, "years": 1.0, "mo": 1 / 12, "wk": 7 / 365.25, "d": 1 / 365.25}


def patient_of(root: Element) -> PatientAsWritten:
    subject = root.find(".//trialSubject")
    if subject is None:
        return PatientAsWritten()
    person = subject.find("subjectDemographicPerson")
    identity = subject.find("id")
    name = sex = birth = ""
    if person is not None:
        written = person.find("name")
        name = " ".join("".join(written.itertext()).split()) if written is not None else ""
        sex = _SEXES.get(_attribute(person, "administrativeGenderCode", "code").upper(), "")
        birth = time_of(_attribute(person, "birthTime", "value"))[:10]
    return PatientAsWritten(
        patient_id=(identity.get("extension") or "").strip() if identity is not None else "",
        name=name, sex=sex, birth_date=birth if len(birth) == 10 else "", age_years=_age(root))


def device_of(series: Element) -> DeviceAsWritten:
    author = series.find("author")
    if author is None:
        return DeviceAsWritten()
    identity = author.find(".//manufacturedSeriesDevice/id")
    return DeviceAsWritten(
        manufacturer=_text(author, ".//manufacturerOrganization/name"),
        model=_text(author, ".//manufacturerModelName"),
        serial=(identity.get("extension") or "").strip() if identity is not None else "",
        software=_text(author, ".//softwareName"))


def filters_of(series: Element) -> str:
    """The filters as written: ``LOW_PASS 150 Hz; NOTCH Adaptive 60 Hz``."""
    said = []
    for variable in series.iter("controlVariable"):
        code = _attribute(variable, "code", "code")
        kind = code.removeprefix("MDC_ECG_CTL_VBL_ATTR_FILTER_")
        if kind in ("LOW_PASS", "HIGH_PASS", "NOTCH"):
            values = [" ".join(filter(None, (value.get("value"), value.get("unit"), (value.text or "").strip())))
                      for value in variable.iter("value")]
            said.append(" ".join([kind, *values]))
    return "; ".join(said)


def measurements_of(root: Element) -> dict[str, float | str]:
    """The cart's own global measurements; a person's annotations are left out.

    Known codes get names with their unit (``qrs_ms``) where the unit is the expected one; others keep
    code and unit as written. The first value counts: later ones are of single beats and leads.
    """
    found: dict[str, float | str] = {}
    for annotation in _by_the_cart(root):
        value = annotation.find("value")
        code = _attribute(annotation, "code", "code")
        if value is None or not code or value.get("value") is None:
            continue
        written, unit = value.get("value", "").strip(), (value.get("unit") or "").strip()
        name = MEASUREMENTS.get(code)
        if name is None or not name.endswith("_" + _UNITS.get(unit.lower(), "?")):
            name = f"{code} {unit}".strip()
        found.setdefault(name, float(written) if re.fullmatch(r"[+-]?\d{1,9}(\.\d{1,9})?", written) else written)
    return found


def statements_of(root: Element) -> tuple[str, ...]:
    """The cart's interpretation, one line each: MDC_ECG_INTERPRETATION, MDC_ECG_RHY and ``analysis/gread``."""
    said: list[str] = []
    for annotation in _by_the_cart(root):
        code = _attribute(annotation, "code", "code")
        if code.startswith(("MDC_ECG_INTERPRETATION", "MDC_ECG_RHY")):
            value = annotation.find("value")
            if value is not None:
                said.append((value.text or "").strip() or value.get("displayName") or value.get("code") or "")
    for read in root.iter("gread"):
        said += (read.text or "").splitlines()
    return tuple(line.strip() for line in said if line.strip())


def time_of(written: str | None) -> str:
    """HL7 ``20240702143457.120+0800`` or ISO 8601, as ISO 8601 without zone; a date alone stays a date; "" if neither."""
    text = (written or "").strip()
    match = re.fullmatch(r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ]?(\d\d):?(\d\d)(?::?(\d\d)(\.\d{1,6})?)?)?(?:Z|[+-]\d\d:?\d\d)?", text)
    if not match:
        return ""
    year, month, day, hour, minute, second, fraction = match.groups()
    try:
        moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
    except ValueError:
        return ""
    if hour is None:
        return moment.date().isoformat()
    return moment.isoformat() + (fraction if fraction and float(fraction) else "")


def _by_the_cart(root: Element) -> Iterator[Element]:
    """Annotations not made by a person: those directly in a set first, nested ones after."""
    sets = [one for one in root.iter("annotationSet") if one.find("author//assignedPerson") is None]
    for annotation_set in sets:
        yield from annotation_set.findall("component/annotation")
    for annotation_set in sets:
        for outer in annotation_set.findall("component/annotation"):
            yield from (inner for inner in outer.iter("annotation") if inner is not outer)


def _age(root: Element) -> float | None:
    for observation in root.iter("relatedObservation"):
        if _attribute(observation, "code", "code") in ("21612-7", "30525-0"):       # LOINC reported age, age
            value = observation.find("value")
            if value is not None and re.fullmatch(r"\d{1,3}(\.\d{1,3})?", value.get("value") or ""):
                factor = _YEARS_PER.get((value.get("unit") or "").strip())
                return float(value.get("value")) * factor if factor else None
    return None


def _text(element: Element, path: str) -> str:
    found = element.find(path)
    return " ".join("".join(found.itertext()).split()) if found is not None else ""


def _attribute(element: Element, path: str, attribute: str) -> str:
    found = element.find(path)
    return (found.get(attribute) or "").strip() if found is not None else ""
