"""EDF, EDF+ and BDF (edfplus.info; Kemp 1992, Kemp & Olivan 2003; Biosemi for 24 bits).

A value is physical minimum + (count - digital minimum) x (physical range / digital range). Signals named as
ECG are taken; where none is so named, all signals of potential, with a note. Gaps of EDF+D become NaN.
"""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ecg.leads import is_standard, standard_name
from ecg.readers.edf_words import device_of, patient_of, start_of, text_of
from ecg.readers.given import MAX_VALUES, check_rate, check_values, malformed, the_one, truncated
from ecg.recording import Recording, SourceFile
from ecg.units import microvolts_per

NAME = "EDF"
MAX_SIGNALS = 512
_FIELDS = (("label", 16), ("transducer", 80), ("unit", 8), ("physical_min", 8), ("physical_max", 8),
           ("digital_min", 8), ("digital_max", 8), ("filters", 80), ("samples", 8), ("reserved", 32))


@dataclass(frozen=True)
class _Signal:
    """One signal of the header; ``first`` is where its counts begin within a data record."""

    label: str
    unit: str
    physical_min: float
    physical_max: float
    digital_min: int
    digital_max: int
    filters: str
    samples: int
    first: int

    @property
    def is_annotations(self) -> bool:
        return self.label in ("EDF Annotations", "BDF Annotations")


def sniff(head: bytes, name: str = "") -> bool:
    """True for the version field of EDF or BDF and a header length that agrees with the number of signals."""
    if len(head) < 256 or head[:8] not in (b"0       ", b"\xffBIOSEMI"):
        return False
    length, count = head[184:192].strip(), head[252:256].strip()
    return length.isdigit() and count.isdigit() and int(length) == 256 * (int(count) + 1)


def read(files: Sequence[SourceFile], declared: Mapping[str, str] | None = None) -> Recording:
    """The ECG signals of one rate of one file. Raises UnreadableRecording only."""
    content = the_one(files, sniff, NAME).content
    width = 3 if content[:1] == b"\xff" else 2
    reserved = text_of(content[192:236])
    seconds = _number(content[244:252])
    signals = _signals_of(content)
    table = _records_of(content, signals, width)
    chosen, notes = _ecg_of(signals)
    if seconds <= 0:
        check_rate(float("nan"))
    rate_hz = check_rate(chosen[0].samples / seconds)
    onsets = None
    if reserved[3:5] == "+D":
        onsets = _onsets_of(table, signals, width)
    check_values(len(chosen), _length_of(onsets, len(table), chosen[0].samples, rate_hz))
    rows, lsb_uv = [], []
    for signal in chosen:
        counts = _counts_of(table, signal, width)
        unit = microvolts_per(signal.unit)
        lsb = (signal.physical_max - signal.physical_min) / (signal.digital_max - signal.digital_min) * unit
        values = signal.physical_min * unit + (counts - signal.digital_min) * lsb
        rows.append(values.ravel() if onsets is None else _placed(values, onsets, rate_hz))
        lsb_uv.append(abs(lsb))
    if onsets is not None:
        notes.append("discontinuous")
    return Recording(
        format=NAME, leads=_distinct(standard_name(signal.label) for signal in chosen), samples_uv=np.stack(rows),
        rate_hz=rate_hz, lsb_uv=tuple(lsb_uv), start=start_of(content, reserved), patient=patient_of(content, reserved),
        device=device_of(content, reserved), filters_as_written=chosen[0].filters, notes=tuple(notes))


def _signals_of(content: bytes) -> list[_Signal]:
    count = int(content[252:256])
    if not 1 <= count <= MAX_SIGNALS:
        check_values(0, 0)
    if len(content) < 256 * (count + 1):
        raise truncated()
    columns, at = {}, 256
    for name, size in _FIELDS:
        columns[name] = [content[at + index * size:at + (index + 1) * size] for index in range(count)]
        at += size * count
    signals, first = [], 0
    for index in range(count):
        samples = _number(columns["samples"][index])
        if not (samples == int(samples) and 1 <= samples <= MAX_VALUES):
            raise malformed(NAME)
        label = text_of(columns["label"][index])
        annotations = label in ("EDF Annotations", "BDF Annotations")
        limits = [0.0, 1.0, 0.0, 1.0] if annotations else [_number(columns[name][index]) for name in (
            "physical_min", "physical_max", "digital_min", "digital_max")]
        if limits[2] != int(limits[2]) or limits[3] != int(limits[3]) or limits[2] == limits[3] or limits[0] == limits[1]:
            raise malformed(NAME)
        signals.append(_Signal(label, text_of(columns["unit"][index]), limits[0], limits[1], int(limits[2]), int(limits[3]),
                               text_of(columns["filters"][index]), int(samples), first))
        first += int(samples)
    return signals


def _records_of(content: bytes, signals: Sequence[_Signal], width: int) -> np.ndarray:
    """The data records as bytes, shape (records, bytes of a record). Fewer than declared is ``truncated``."""
    declared = _number(content[236:244])
    record_bytes = sum(signal.samples for signal in signals) * width
    body = len(content) - 256 * (len(signals) + 1)
    records = body // record_bytes if declared == -1 else int(declared)
    if records < 1:
        check_values(1, 0)
    if body < records * record_bytes:
        raise truncated()
    table = np.frombuffer(content, np.uint8, records * record_bytes, offset=256 * (len(signals) + 1))
    return table.reshape(records, record_bytes)


def _ecg_of(signals: Sequence[_Signal]) -> tuple[list[_Signal], list[str]]:
    potentials = [one for one in signals if not one.is_annotations and microvolts_per(one.unit) is not None]
    notes = [f"not_ecg:{one.label}" for one in signals if not one.is_annotations and one not in potentials]
    named = [one for one in potentials if is_standard(standard_name(one.label)) or re.match(r"E[CK]G\b", one.label, re.IGNORECASE)
             or re.fullmatch(r"ML(I|II|III)|V[1-9]R?|[XYZ]|CM\d", standard_name(one.label))]
    if named:
        notes += [f"not_ecg:{one.label}" for one in potentials if one not in named]
    elif potentials:
        named = potentials
        notes.append("no_signal_named_ecg")
    if not named:
        check_values(0, 0)
    counts = [one.samples for one in named]
    most = max(counts, key=lambda samples: (counts.count(samples), samples))
    notes += [f"rate_differs:{one.label}" for one in named if one.samples != most]
    return [one for one in named if one.samples == most], notes


def _counts_of(table: np.ndarray, signal: _Signal, width: int) -> np.ndarray:
    """The counts of a signal, int64, shape (records, samples of a record)."""
    part = table[:, signal.first * width:(signal.first + signal.samples) * width].reshape(len(table), signal.samples, width)
    counts = part[:, :, 0].astype(np.int64)
    for byte in range(1, width):
        counts |= part[:, :, byte].astype(np.int64) << (8 * byte)
    return counts - ((counts >> (8 * width - 1)) << (8 * width))


def _onsets_of(table: np.ndarray, signals: Sequence[_Signal], width: int) -> np.ndarray:
    """Seconds at which each record began: the first time-keeping annotation of each (EDF+ 2.2.4)."""
    keeper = next((signal for signal in signals if signal.is_annotations), None)
    if keeper is None:
        raise malformed(NAME)
    onsets = []
    for record in table[:, keeper.first * width:(keeper.first + keeper.samples) * width]:
        match = re.match(rb"([+-]\d{1,9}(?:\.\d{1,9})?)[\x14\x15]", record[:40].tobytes())
        if match is None:
            raise malformed(NAME)
        onsets.append(float(match[1]))
    onsets = np.array(onsets)
    if np.any(np.diff(onsets) <= 0):
        raise malformed(NAME)
    return onsets - onsets[0]


def _length_of(onsets: np.ndarray | None, records: int, samples: int, rate_hz: float) -> int:
    return records * samples if onsets is None else int(np.rint(onsets[-1] * rate_hz)) + samples


def _placed(values: np.ndarray, onsets: np.ndarray, rate_hz: float) -> np.ndarray:
    row = np.full(_length_of(onsets, len(values), values.shape[1], rate_hz), np.nan)
    for record, first in zip(values, np.rint(onsets * rate_hz).astype(int)):
        row[first:first + record.size] = record
    return row


def _distinct(names) -> tuple[str, ...]:
    seen: list[str] = []
    for name in names:
        seen.append(name if name not in seen else f"{name}#{len(seen) + 1}")
    return tuple(seen)


def _number(field: bytes) -> float:
    match = re.fullmatch(rb"[\x00 ]*([+-]?\d{1,8}(?:\.\d{0,8})?(?:[eE][+-]?\d{1,2})?|[+-]?\.\d{1,8})[\x00 ]*", field)
    if match is None:
        raise malformed(NAME)
    return float(match[1])
