"""Healforce .SCP files: SCP-ECG in outline only, written by portable recorders such as the Prince 180D.

They differ from EN 1064 so: byte positions count from 0; the record length is 16 bits wide; dates and
counts in sections 1 to 3 stand highest byte first; the interval field of section 6 holds samples a second
where it is below 1000; no Huffman coding, whatever section 2 says; and the samples of all leads follow one
another, ten bits each with two marker bits, four samples in three 16-bit words.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ecg.readers.byte_view import ByteView
from ecg.readers.device_text import decode_device_text, iso_date, iso_time
from ecg.readers.refusals import check_size, refuse
from ecg.recording import DeviceAsWritten, PatientAsWritten, Recording, SourceFile

NAME = "Healforce SCP"

_SECTION_HEADER, _POINTER = 16, 10


def sniff(head: bytes, name: str = "") -> bool:
    """True where section 0 points at itself at byte 6 (SCP-ECG says 7) and is not signed SCPECG."""
    if len(head) < 32:
        return False
    view = ByteView(head)
    return (view.u16(8) == 0 and view.u16(22) == 0 and view.u32(24) == view.u32(10) and view.u32(28) == 6
            and view.take(16, 6) != b"SCPECG")


def read(files: Sequence[SourceFile], declared: Mapping[str, str] | None = None) -> Recording:
    """The rhythm of ``files[0]``, microvolts. Leads are unnamed in the file: ``unspecified-1`` and so on.

    Refuses with :class:`~ecg.errors.UnreadableRecording`: ``empty``, ``not_recognised``, ``truncated``,
    ``no_leads``, ``no_samples``, ``no_rate``, ``no_scale``, ``unsupported``.
    """
    content = files[0].content
    if not content:
        raise refuse("empty")
    if not sniff(content[:4096]):
        raise refuse("not_recognised")
    sections = _sections(ByteView(content))
    if 3 not in sections or not (leads := sections[3].u8(0)):
        raise refuse("no_leads")
    if 6 not in sections:
        raise refuse("no_samples")
    rhythm = sections[6]
    nanovolts, rate = rhythm.u16(0), _rate(rhythm.u16(2))
    if not nanovolts:
        raise refuse("no_scale")
    if rhythm.u8(4) or rhythm.u8(5):
        raise refuse("unsupported")
    packed = rhythm.take(8, rhythm.u16(6))
    counts = _unpack(packed)
    samples_each = counts.size // leads
    check_size(leads, samples_each)
    lsb = nanovolts / 1000
    samples = counts[:samples_each * leads].reshape(samples_each, leads).T * lsb

    patient_id, start = _who_and_when(sections.get(1))
    return Recording(
        format=NAME, leads=tuple(f"unspecified-{i + 1}" for i in range(leads)), samples_uv=samples,
        rate_hz=rate, lsb_uv=(lsb,) * leads, start=start, patient=PatientAsWritten(patient_id=patient_id),
        device=DeviceAsWritten("Healforce"), notes=("leads_unnamed",),
    )


def _sections(record: ByteView) -> dict[int, ByteView]:
    """Bodies by number; a section is as long as its own header says, where it lies within the file."""
    found = {}
    for i in range(min((record.u32(10) - _SECTION_HEADER) // _POINTER, 64)):
        at = 6 + _SECTION_HEADER + i * _POINTER
        number, index = record.u16(at), record.u32(at + 6)
        if number and index and record.u16(index + 2) == number:
            size = record.u32(index + 4)
            if size < _SECTION_HEADER:
                raise refuse("damaged")
            found[number] = record.part(index + _SECTION_HEADER, size - _SECTION_HEADER)
    return found


def _rate(field: int) -> float:
    """Samples a second from the interval field: the recorder writes the rate, SCP-ECG writes microseconds."""
    if not field:
        raise refuse("no_rate")
    return float(field) if field < 1000 else 1e6 / field


def _unpack(packed: bytes) -> np.ndarray:
    """Counts about zero from words of which three carry four samples; beat markers are dropped."""
    words = np.frombuffer(packed[:len(packed) // 6 * 6], "<u2").reshape(-1, 3).astype(np.int64)
    spare = words >> 10 & 0xF
    fourth = spare[:, 0] << 8 | spare[:, 1] << 4 | spare[:, 2]
    counts = (np.column_stack([words, fourth]) & 0x3FF) - 512
    return counts.ravel()


def _who_and_when(body: ByteView | None) -> tuple[str, str]:
    """Patient number (tag 2) and local time (tags 25 and 26, highest byte first)."""
    tags: dict[int, bytes] = {}
    at = 0
    while body is not None and at + 3 <= len(body) and body.u8(at) != 255:
        size = body.u16(at + 1)
        if not size or at + 3 + size > len(body):
            break
        tags.setdefault(body.u8(at), body.take(at + 3, size))
        at += 3 + size
    day, clock = tags.get(25, b""), tags.get(26, b"")
    start = ""
    if len(day) == 4:
        date = int.from_bytes(day[:2], "big"), day[2], day[3]
        start = iso_time(*date, *clock) if len(clock) == 3 else iso_date(*date)
    return decode_device_text(tags.get(2, b""))[0], start
