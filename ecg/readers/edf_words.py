"""The words of an EDF header: EDF+ has subfields for patient and recording, plain EDF has free text."""
from __future__ import annotations

import re
from datetime import datetime

from ecg.recording import DeviceAsWritten, PatientAsWritten


def text_of(field: bytes) -> str:
    """A header field as text; EDF asks for ASCII, Chinese software writes UTF-8 or GBK, others Latin-1."""
    bare = field.replace(b"\x00", b" ").strip()
    for encoding in ("utf-8", "gb18030"):
        if len(field) <= 8 and encoding == "gb18030":      # a unit: the micro sign in Latin-1
            continue
        try:
            return bare.decode(encoding).strip()
        except UnicodeDecodeError:
            continue
    return bare.decode("latin-1").strip()


def patient_of(content: bytes, reserved: str) -> PatientAsWritten:
    """EDF+: code, sex, birth date, name (X is unknown, _ is a space). Plain EDF: the whole field as the identity."""
    text = text_of(content[8:88])
    parts = text.split(" ")
    if reserved[3:4] != "+" or len(parts) < 4:
        return PatientAsWritten(patient_id=" ".join(text.split()))
    code, sex, birth, name = (_known(part) for part in parts[:4])
    return PatientAsWritten(patient_id=code, name=name, sex=sex if sex in ("M", "F") else "", birth_date=_date(birth))


def device_of(content: bytes, reserved: str) -> DeviceAsWritten:
    """EDF+: the equipment subfield of "Startdate date hospital-code technician equipment"."""
    parts = text_of(content[88:168]).split(" ")
    if reserved[3:4] == "+" and parts[0] == "Startdate" and len(parts) >= 5:
        return DeviceAsWritten(model=_known(parts[4]))
    return DeviceAsWritten()


def start_of(content: bytes, reserved: str) -> str:
    """Start as ISO 8601; two-digit years from 85 are of the 20th century unless EDF+ writes four digits."""
    day = re.fullmatch(r"(\d\d)\.(\d\d)\.(\d\d)", text_of(content[168:176]))
    time = re.fullmatch(r"(\d\d)[.:](\d\d)[.:](\d\d)", text_of(content[176:184]))
    if not day or not time:
        return ""
    parts = text_of(content[88:168]).split(" ")
    written = _date(parts[1]) if len(parts) > 1 and parts[0] == "Startdate" else ""
    year = int(written[:4]) if written else int(day[3]) + (1900 if int(day[3]) >= 85 else 2000)
    try:
        return datetime(year, int(day[2]), int(day[1]), int(time[1]), int(time[2]), int(time[3])).isoformat()
    except ValueError:
        return ""


def _known(subfield: str) -> str:
    return "" if subfield == "X" else subfield.replace("_", " ").strip()


def _date(written: str) -> str:
    try:
        return datetime.strptime(written, "%d-%b-%Y").date().isoformat()
    except ValueError:
        return ""
