"""Contec ECG90A .ECG files: 43 bytes of header, rows of eight 16-bit numbers, 37 bytes of footer.

The eight columns are II, III and V1 to V6 in counts of 5 microvolts about 2048, 800 a second; 0x6800
means that an electrode was off, and becomes NaN. I, aVR, aVL and aVF are made from II and III exactly and
noted. A row of zeros ends the data. Rate and scale are the device's own; the file does not state them.
The case number is the recording's, not the patient's, and stands in the notes.
"""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from ecg.readers.device_text import decode_device_text
from ecg.readers.refusals import check_size, refuse
from ecg.recording import STANDARD_LEADS, DeviceAsWritten, PatientAsWritten, Recording, SourceFile

NAME = "Contec ECG90A"

RATE_HZ = 800.0
LSB_UV = 5.0
_HEADER, _FOOTER, _COLUMNS = 43, 37, 8
_ZERO, _OFF, _MOST_COUNT = 2048, 0x6800, 4095
_TIME = re.compile(rb"(\d{4})-(\d{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2})\0")


def sniff(head: bytes, name: str = "") -> bool:
    """True where a case number of digits, a time of day and rows about 2048 stand where they should."""
    if len(head) < _HEADER + 2 * _COLUMNS or not re.match(rb"\d{1,8}\0", head[:8].ljust(9, b"\0")):
        return False
    if not _TIME.match(head[10:30]) and head[10:30].strip(b"\0"):
        return False
    rows = np.frombuffer(head[_HEADER:_HEADER + (len(head) - _HEADER) // 16 * 16], "<u2")
    return bool(np.all((rows <= _MOST_COUNT) | (rows == _OFF)))


def read(files: Sequence[SourceFile], declared: Mapping[str, str] | None = None) -> Recording:
    """The recording of ``files[0]``: twelve leads, microvolts.

    Refuses with :class:`~ecg.errors.UnreadableRecording`: ``empty``, ``not_recognised``, ``truncated``
    (the rows do not fill the file), ``no_samples``.
    """
    content = files[0].content
    if not content:
        raise refuse("empty")
    if not sniff(content[:4096]):
        raise refuse("not_recognised")
    payload = len(content) - _HEADER - _FOOTER
    if payload < 2 * _COLUMNS or payload % (2 * _COLUMNS):
        raise refuse("truncated")
    rows = payload // (2 * _COLUMNS)
    check_size(len(STANDARD_LEADS), rows)
    words = np.frombuffer(content, "<u2", rows * _COLUMNS, _HEADER).reshape(rows, _COLUMNS)
    ends = np.flatnonzero(~words.any(axis=1))
    notes = ["rate_and_scale_of_device_type"]
    if ends.size:
        notes.append(f"ends_before_declared:{rows - int(ends[0])}")
        words = words[:ends[0]]
    check_size(len(STANDARD_LEADS), len(words))

    counts = np.where(words == _OFF, np.nan, words.astype(np.float64) - _ZERO).T
    two, three, chest = counts[0] * LSB_UV, counts[1] * LSB_UV, counts[2:] * LSB_UV
    samples = np.vstack([two - three, two, three, three / 2 - two, two / 2 - three, (two + three) / 2, chest])
    off = [name for name, row in zip(STANDARD_LEADS, samples) if np.isnan(row).all()]
    if off:
        notes.append("lead_off:" + ",".join(off))
    notes += ["derived:I,aVR,aVL,aVF", f"case_number:{decode_device_text(content[:8])[0]}"]

    name, charset = decode_device_text(content[32:40])
    if charset:
        notes.append(f"text_charset_assumed:{charset}")
    age = content[41]
    return Recording(
        format=NAME, leads=STANDARD_LEADS, samples_uv=samples, rate_hz=RATE_HZ,
        lsb_uv=(LSB_UV, LSB_UV, LSB_UV, LSB_UV / 2, LSB_UV / 2, LSB_UV / 2) + (LSB_UV,) * 6,
        start=_start(content),
        patient=PatientAsWritten(name=name, sex={0: "F", 1: "M"}.get(content[40], ""),
                                 age_years=float(age) if age else None),
        device=DeviceAsWritten("Contec", "ECG90A"), notes=tuple(notes),
    )


def _start(content: bytes) -> str:
    from_file = _TIME.match(content[10:30])
    return decode_device_text(content[10:29])[0].replace(" ", "T") if from_file else ""
