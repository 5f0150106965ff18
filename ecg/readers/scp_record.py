"""The container of an SCP-ECG record (EN 1064, 5.1 to 5.3): pointers, section headers, check sums.

A record is a CRC, its length, and sections; section 0 points at the others with 1-based byte positions.
Every section handed out lies within the file, whatever the pointers say.
"""
from __future__ import annotations

import binascii
from dataclasses import dataclass

from ecg.readers.byte_view import ByteView
from ecg.readers.refusals import refuse

SECTION_HEADER = 16
_POINTER = 10
_MOST_SECTIONS = 1024


@dataclass(frozen=True)
class ScpRecord:
    """The bodies of the sections by number (headers cut off), the protocol version x 10, and what was noted."""

    sections: dict[int, ByteView]
    protocol: int
    notes: tuple[str, ...]


def looks_like_scp(head: bytes) -> bool:
    """True where section 0 stands at byte 7, names itself SCPECG or begins with a pointer at itself."""
    if len(head) < 32:
        return False
    view = ByteView(head)
    length = view.u32(10)
    if view.u16(8) != 0 or length < SECTION_HEADER + _POINTER or view.u32(2) < 6 + length:
        return False
    points_at_itself = view.u16(22) == 0 and view.u32(28) == 7
    return points_at_itself or (view.take(16, 6) == b"SCPECG" and view.u32(28) != 6)


def open_record(content: bytes) -> ScpRecord:
    """Sections of a record. Refuses ``not_recognised``, ``truncated`` and ``damaged`` (EN 1064, 5.3)."""
    if not content:
        raise refuse("empty")
    if not looks_like_scp(content[:4096]):
        raise refuse("not_recognised")
    whole = ByteView(content)
    declared = whole.u32(2)
    if declared > len(content):
        raise refuse("truncated")
    record = whole.part(0, declared)
    notes = _check_sum(record, 0, declared, "record")
    if declared < len(content):
        notes.append(f"trailing_bytes:{len(content) - declared}")

    length = record.u32(10)
    notes += _check_sum(record, 6, length, "section0")
    count = (length - SECTION_HEADER) // _POINTER
    if count > _MOST_SECTIONS:
        raise refuse("hostile")
    sections = {}
    for i in range(count):
        at = 6 + SECTION_HEADER + i * _POINTER
        number, size, index = record.u16(at), record.u32(at + 2), record.u32(at + 6)
        if number == 0 or size <= SECTION_HEADER or index == 0:
            continue
        if number in sections or record.u16(index + 1) != number:
            raise refuse("damaged")
        notes += _check_sum(record, index - 1, size, f"section{number}")
        sections[number] = record.part(index - 1 + SECTION_HEADER, size - SECTION_HEADER)
    if not any(note.startswith("crc:") for note in notes):
        notes.insert(0, "crc:ok")
    return ScpRecord(sections, record.u8(15), tuple(notes))


def _check_sum(record: ByteView, at: int, size: int, what: str) -> list[str]:
    """Notes on the CRC-CCITT (start 0xFFFF) that stands before the ``size - 2`` bytes it covers."""
    written = record.u16(at)
    if binascii.crc_hqx(record.take(at + 2, max(size - 2, 0)), 0xFFFF) == written:
        return []
    return [f"crc:{'absent' if written == 0 else 'mismatch'}:{what}"]
