"""ISHNE Holter files (Badilini 1998): a header of 522 bytes, then rows of one 16-bit count a lead.

Leads are named by the table of the standard, amplitudes are in nanovolts a count, and -9 means unknown.
The CRC of the header is verified and noted. A file that ends before its declared number of samples is
read up to its last whole row and says so.
"""
from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence

import numpy as np

from ecg.readers.byte_view import ByteView
from ecg.readers.device_text import decode_device_text, iso_date, iso_time
from ecg.readers.refusals import check_size, refuse
from ecg.recording import DeviceAsWritten, PatientAsWritten, Recording, SourceFile

NAME = "ISHNE"

_MAGIC = b"ISHNE1.0"
_HEADER = 522
_MOST_LEADS = 12
_UNKNOWN = -9
_LEADS = dict(enumerate(
    "unknown generic X Y Z I II III aVR aVL aVF V1 V2 V3 V4 V5 V6 ES AS AI".split()))


def sniff(head: bytes, name: str = "") -> bool:
    """True for the signal file; annotation files (ANN  1.0) are not recordings."""
    return head.startswith(_MAGIC)


def read(files: Sequence[SourceFile], declared: Mapping[str, str] | None = None) -> Recording:
    """All leads of ``files[0]``, microvolts.

    Refuses with :class:`~ecg.errors.UnreadableRecording`: ``empty``, ``not_recognised``, ``truncated``
    (within the header), ``no_leads``, ``no_samples``, ``no_rate``, ``no_scale``, ``hostile``.
    """
    content = files[0].content
    if not content:
        raise refuse("empty")
    if not sniff(content):
        raise refuse("not_recognised")
    header = ByteView(content).part(0, _HEADER)
    count = header.i16(156)
    if not 1 <= count <= _MOST_LEADS:
        raise refuse("no_leads")
    rate = header.i16(272)
    if rate <= 0:
        raise refuse("no_rate")
    nanovolts = [header.i16(206 + 2 * i) for i in range(count)]
    if min(nanovolts) <= 0:
        raise refuse("no_scale")
    samples, notes = _samples(content, header, count)
    lsb = tuple(value / 1000 for value in nanovolts)

    words, assumed = {}, set()
    for field, at, size in (("first", 28, 40), ("last", 68, 40), ("id", 108, 20), ("recorder", 232, 40)):
        words[field], charset = decode_device_text(header.take(at, size))
        assumed.add(charset)
    notes += [f"text_charset_assumed:{charset}" for charset in sorted(assumed - {""})]
    return Recording(
        format=NAME, leads=_names([header.i16(158 + 2 * i) for i in range(count)]),
        samples_uv=samples * np.array(lsb)[:, None], rate_hz=float(rate), lsb_uv=lsb, start=_start(header),
        patient=PatientAsWritten(
            patient_id=words["id"], name=" ".join(filter(None, (words["last"], words["first"]))),
            sex={1: "M", 2: "F"}.get(header.i16(128), ""),
            birth_date=iso_date(header.i16(136), header.i16(134), header.i16(132))),
        device=DeviceAsWritten(model=words["recorder"]), notes=tuple(notes),
    )


def _samples(content: bytes, header: ByteView, count: int) -> tuple[np.ndarray, list[str]]:
    """Counts, shape (leads, samples), and notes on check sum and length."""
    declared, variable, at = header.u32(14), header.u32(10), header.u32(22)
    if not _HEADER <= at <= len(content):
        raise refuse("truncated")
    samples = min(declared, (len(content) - at) // (2 * count))
    check_size(count, samples)
    notes = []
    covered = content[10:min(_HEADER + variable, at)]
    written = header.u16(8)
    if binascii.crc_hqx(covered, 0xFFFF) == written:
        notes.append("crc:ok")
    else:
        notes.append("crc:absent:header" if written == 0 else "crc:mismatch:header")
    if samples < declared:
        notes.append(f"fewer_samples_than_declared:{samples}/{declared}")
    rows = np.frombuffer(content, "<i2", samples * count, at).reshape(samples, count)
    return np.ascontiguousarray(rows.T), notes


def _names(codes: list[int]) -> tuple[str, ...]:
    names: list[str] = []
    for i, code in enumerate(codes):
        name = _LEADS.get(code, "unknown")
        plain = name not in ("unknown", "generic") and name not in names
        names.append(name if plain else f"{name}-{i + 1}")
    return tuple(names)


def _start(header: ByteView) -> str:
    day, month, year = (header.i16(at) for at in (138, 140, 142))
    clock = [header.i16(at) for at in (150, 152, 154)]
    if _UNKNOWN in clock:
        return iso_date(year, month, day)
    return iso_time(year, month, day, *clock)
