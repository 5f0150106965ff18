"""SCP-ECG records (EN 1064, ISO 11073-91064), sections 0 to 10, versions 1 and 2.

Reads uncompressed data, the default and stored Huffman tables, first and second differences, reference
beat subtraction and bimodal compression. Check sums are verified and noted (``crc:ok``,
``crc:mismatch:section6``); a record whose check sum is wrong is still read where all else agrees, but a
lead that ends early is then refused. Amplitudes are whole multiples of the least unit that the file
states (AVM, in nanovolts), so nothing is rounded on the way to microvolts.
"""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ecg.readers.byte_view import ByteView
from ecg.readers.limb_leads import with_derived_limb_leads
from ecg.readers.refusals import check_size, refuse
from ecg.readers.scp_header import (
    Header, read_global_measurements, read_header, read_lead_measurements, read_statements,
)
from ecg.readers.scp_record import ScpRecord, looks_like_scp, open_record
from ecg.readers.scp_signal import (
    Beat, Table, add_reference_beats, decode_huffman, expand_bimodal, open_spans, read_tables,
    smooth_open_spans, stored_count, undo_differences, zones,
)
from ecg.recording import Recording, SourceFile

NAME = "SCP-ECG"

#: Samples over all leads that are decoded: a few seconds of work.
_MOST_SAMPLES = 4_000_000
#: Lead code of the Creative PC-80B, a hand-held recorder that stores the words of its converter.
_PC80B_LEAD, _PC80B_ZERO = 101, 2048

#: Lead identification (EN 1064, 5.6.3, table 8).
_LEADS = dict(enumerate(
    "unspecified I II V1 V2 V3 V4 V5 V6 V7 V2R V3R V4R V5R V6R V7R X Y Z CC5 CM5 LA RA LL fI fE fC fA fM fF "
    "fH I-cal II-cal V1-cal V2-cal V3-cal V4-cal V5-cal V6-cal V7-cal V2R-cal V3R-cal V4R-cal V5R-cal V6R-cal "
    "V7R-cal X-cal Y-cal Z-cal CC5-cal CM5-cal LA-cal RA-cal LL-cal fI-cal fE-cal fC-cal fA-cal fM-cal fF-cal "
    "fH-cal III aVR aVL aVF -aVR V8 V9 V8R V9R D A J Defib ExtPace A1 A2 A3 A4".split()
))


@dataclass(frozen=True)
class _Lead:
    code: int
    first: int
    last: int

    @property
    def name(self) -> str:
        return _LEADS.get(self.code, f"lead{self.code}")

    @property
    def size(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class _Block:
    """Sections 5 and 6 before decoding (5.8, 5.9): nanovolts a count, microseconds a sample, one piece a lead."""

    nanovolts: int
    interval_us: int
    differences: int
    bimodal: bool
    pieces: tuple[bytes, ...]


def sniff(head: bytes, name: str = "") -> bool:
    """True for an SCP-ECG record; not for the variant of Healforce, which counts its bytes from 0."""
    return looks_like_scp(head)


def read(files: Sequence[SourceFile], declared: Mapping[str, str] | None = None) -> Recording:
    """The rhythm of the record in ``files[0]``, every lead, microvolts.

    Refuses with :class:`~ecg.errors.UnreadableRecording`: ``truncated``, ``not_recognised``, ``damaged``,
    ``hostile``, ``unsupported`` (version 3 without section 6), ``no_leads``, ``no_samples``, ``no_rate``,
    ``no_scale``.
    """
    record = open_record(files[0].content)
    notes = list(record.notes)
    leads, subtracted = _read_leads(record)
    if 6 not in record.sections:
        raise refuse("unsupported" if 12 in record.sections else "no_samples")
    first, last = min(lead.first for lead in leads), max(lead.last for lead in leads)
    check_size(len(leads), last - first + 1, _MOST_SAMPLES)

    signals, nanovolts, interval_us, more = _rhythm(record, leads, subtracted)
    notes += more
    samples = np.full((len(leads), last - first + 1), np.nan)
    for row, lead, signal in zip(samples, leads, signals):
        row[lead.first - first:lead.first - first + signal.size] = signal * nanovolts / 1000.0
    if any((lead.first, lead.last) != (first, last) for lead in leads):
        notes.append("leads_not_simultaneous")
    names, samples, lsb, derived = with_derived_limb_leads(
        _names(leads), samples, (nanovolts / 1000.0,) * len(leads))

    header = read_header(record.sections[1]) if 1 in record.sections else Header()
    measured: dict[str, float | str] = {}
    statements: tuple[str, ...] = ()
    if 7 in record.sections:
        measured.update(read_global_measurements(record.sections[7]))
    if 10 in record.sections:
        measured.update(read_lead_measurements(record.sections[10], _LEADS))
    if 8 in record.sections:
        statements = read_statements(record.sections[8], header.charset)
    return Recording(
        format=NAME, leads=names, samples_uv=samples, rate_hz=1e6 / interval_us, lsb_uv=lsb,
        start=header.start, patient=header.patient, device=header.device, filters_as_written=header.filters,
        device_measurements=measured, device_statements=statements,
        notes=(*notes, *derived, *header.notes),
    )


def _read_leads(record: ScpRecord) -> tuple[tuple[_Lead, ...], bool]:
    """Section 3 (5.6): the leads, and whether reference beats were subtracted."""
    if 3 not in record.sections:
        raise refuse("no_leads")
    body = record.sections[3]
    count = body.u8(0)
    if not count:
        raise refuse("no_leads")
    leads = []
    for i in range(count):
        line = body.part(2 + 9 * i, 9)
        lead = _Lead(line.u8(8), line.u32(0), line.u32(4))
        if lead.last < lead.first:
            raise refuse("damaged")
        leads.append(lead)
    return tuple(leads), bool(body.u8(1) & 1)


def _names(leads: tuple[_Lead, ...]) -> tuple[str, ...]:
    """Lead names, a repeated one with its place (``unspecified-2``)."""
    names: list[str] = []
    for i, lead in enumerate(leads):
        names.append(lead.name if lead.name not in names else f"{lead.name}-{i + 1}")
    return tuple(names)


def _read_beats(body: ByteView) -> tuple[int, int, tuple[Beat, ...]]:
    """Section 4 (5.7): length of the reference beat in ms, its fiducial point, and the beats."""
    count = body.u16(4)
    protected = 6 + 14 * count
    beats = []
    for i in range(count):
        line = body.part(6 + 14 * i, 14)
        zone = (0, -1)
        if protected + 8 * count <= len(body):
            zone = body.u32(protected + 8 * i), body.u32(protected + 8 * i + 4)
        beats.append(Beat(line.u16(0), line.u32(2), line.u32(6), line.u32(10), *zone))
    return body.u16(0), body.u16(2), tuple(beats)


def _read_block(body: ByteView, leads: int) -> _Block:
    sizes = [body.u16(6 + 2 * i) for i in range(leads)]
    at, pieces = 6 + 2 * leads, []
    for size in sizes:
        pieces.append(body.take(at, size))
        at += size
    block = _Block(body.u16(0), body.u16(2), body.u8(4), body.u8(5) != 0, tuple(pieces))
    if not block.nanovolts:
        raise refuse("no_scale")
    if not block.interval_us:
        raise refuse("no_rate")
    return block


def _decode(piece: bytes, most: int, tables: tuple[Table, ...], differences: int) -> np.ndarray:
    """Up to ``most`` amplitudes of one lead, in counts."""
    if tables:
        values = decode_huffman(piece, most, tables)
    else:
        values = np.frombuffer(piece[:2 * min(most, len(piece) // 2)], dtype="<i2").astype(np.int64)
    return undo_differences(values, differences)


def _tables(body: ByteView | None) -> tuple[Table, ...]:
    """Huffman tables; none where there is no section 2, or only one table of one code, as recorders write
    that store 16-bit words."""
    if body is None or (body.u16(0) == 1 and body.u16(2) == 1):
        return ()
    return read_tables(body)


def _rhythm(record: ScpRecord, leads: tuple[_Lead, ...], subtracted: bool,
            ) -> tuple[list[np.ndarray], int, int, list[str]]:
    """Every lead in whole counts, the nanovolts of a count, the microseconds of a sample, and notes."""
    tables = _tables(record.sections.get(2))
    rhythm = _read_block(record.sections[6], len(leads))
    length_ms, fiducial, beats = _read_beats(record.sections[4]) if 4 in record.sections else (0, 0, ())
    reference = _read_block(record.sections[5], len(leads)) if 5 in record.sections else None
    if subtracted and (reference is None or not beats or not length_ms):
        raise refuse("damaged")
    bimodal = rhythm.bimodal and record.protocol < 30      # the flag is reserved from version 3
    factor = 1
    if reference is not None and (bimodal or subtracted):
        factor, rest = divmod(rhythm.interval_us, reference.interval_us)
        if rest or not 1 <= factor <= 8:
            raise refuse("unsupported")

    signals, notes = [], []
    for lead, piece in zip(leads, rhythm.pieces):
        protected = zones(beats, lead.first, lead.last) if bimodal else []
        spans = open_spans(protected, lead.first, lead.last)
        count = stored_count(spans, factor)
        signal = _decode(piece, count, tables, rhythm.differences)
        if lead.code == _PC80B_LEAD and not tables and not rhythm.differences:
            signal = (signal & 0x7FFF) - _PC80B_ZERO          # the highest bit marks a beat
            notes.append("converter_words:zero_at_2048,beat_bit_dropped")
        if signal.size < count:
            short = count - signal.size
            if factor > 1 or short > count // 20 or any(n.startswith("crc:mismatch") for n in record.notes):
                raise refuse("truncated")
            notes.append(f"lead_ends_early:{lead.name}:{short}")
        if factor > 1:
            signal = smooth_open_spans(expand_bimodal(signal, spans, factor), lead.first, protected, beats)
        signals.append(signal)

    nanovolts = rhythm.nanovolts
    if subtracted:
        nanovolts = math.gcd(rhythm.nanovolts, reference.nanovolts)
        most = round(length_ms * 1000 / reference.interval_us)
        for i, lead in enumerate(leads):
            beat = _decode(reference.pieces[i], most, tables, reference.differences)
            signals[i] = add_reference_beats(
                signals[i] * (rhythm.nanovolts // nanovolts), lead.first,
                beat * (reference.nanovolts // nanovolts), fiducial, beats)
        notes.append("reference_beats_added")
    if factor > 1:
        notes.append(f"bimodal_expanded:{factor}")
    return signals, nanovolts, rhythm.interval_us // factor, notes
