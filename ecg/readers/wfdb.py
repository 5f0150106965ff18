"""WFDB records (PhysioNet): a header naming signal files, and those files beside it.

Parsed here from bytes after header(5) and signal(5) of the WFDB documentation, so a header can only ever
mean the files that came with it; no path is opened. The file list may name a record in any order. A value
is (count - baseline) / gain, exactly as the header says.
"""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath

import numpy as np

from ecg.errors import UnreadableRecording
from ecg.leads import standard_name
from ecg.readers.given import check_rate, check_size, check_values, malformed, the_one, truncated
from ecg.readers.wfdb_samples import FORMATS, counts_of
from ecg.recording import PatientAsWritten, Recording, SourceFile
from ecg.units import microvolts_per

NAME = "WFDB"
MAX_SIGNALS = 64
MAX_HEADER_BYTES = 256 * 1024
DEFAULT_GAIN = 200.0       # counts per mV where the header gives none or 0, by header(5)

_RECORD = re.compile(
    r"(?P<name>[\w.-]{1,80})(?P<segments>/\d+)?[ \t]+(?P<signals>\d{1,5})"
    r"(?:[ \t]+(?P<rate>[\d.eE+-]{1,30})(?:/\S{1,40})?(?:[ \t]+(?P<samples>\d{1,18})(?:[ \t]+(?P<when>.{1,60}))?)?)?[ \t]*")
_SIGNAL = re.compile(
    r"(?P<file>\S{1,120})[ \t]+(?P<format>\d{1,4})(?:x(?P<per_frame>\d{1,4}))?(?::(?P<skew>\d{1,9}))?(?:\+(?P<offset>\d{1,12}))?"
    r"(?:[ \t]+(?P<gain>[\d.eE+-]{1,30})(?:\((?P<baseline>-?\d{1,12})\))?(?:/(?P<unit>\S{1,20}))?"
    r"(?:[ \t]+(?P<bits>\d{1,3})(?:[ \t]+(?P<zero>-?\d{1,12})(?:[ \t]+(?P<initial>-?\d{1,12})"
    r"(?:[ \t]+(?P<checksum>-?\d{1,12})(?:[ \t]+(?P<block>-?\d{1,12})(?:[ \t]+(?P<description>.{1,120}))?)?)?)?)?)?)?[ \t]*")


@dataclass(frozen=True)
class _Signal:
    """One signal line of a header."""

    file: str
    format: str
    per_frame: int
    skew: int
    offset: int
    gain: float
    baseline: int
    unit: str
    checksum: int | None
    lead: str


@dataclass(frozen=True)
class _Header:
    rate_hz: float
    samples: int
    when: str
    signals: tuple[_Signal, ...]
    comments: tuple[str, ...]


def sniff(head: bytes, name: str = "") -> bool:
    """True for a header: a record line followed by a signal line (or a segment line) in its first bytes."""
    if b"\x00" in head:
        return False
    lines = _lines(head.decode("latin-1"))
    record = _RECORD.fullmatch(lines[0]) if lines else None
    if record is None or not record["rate"] or len(lines) < 2:
        return False
    if record["segments"]:
        return bool(re.fullmatch(r"\S+ +\d+", lines[1]))
    signal = _SIGNAL.fullmatch(lines[1])
    return signal is not None and "." in signal["file"] + record["name"] + "." and int(signal["format"]) < 1000


def read(files: Sequence[SourceFile], declared: Mapping[str, str] | None = None) -> Recording:
    """One record from its header and signal files. Raises UnreadableRecording only."""
    headers = [file for file in files if sniff(file.content[:4096], file.name)]
    if any(_RECORD.fullmatch(_lines(file.content[:4096].decode("latin-1"))[0])["segments"] for file in headers):
        raise UnreadableRecording("multi_segment", "不支持分段（multi-segment）的 WFDB 记录，请合并成单段后重发。",
                                  "Multi-segment WFDB records are not supported; please send a single-segment record.")
    source = the_one(files, sniff, NAME)
    header = _header_of(source)
    beside = {_file_name(file.name): file for file in files if file is not source}
    rows, notes = _rows_of(header, beside)
    ecg = [row for row in rows if row[0].unit_uv is not None]
    notes += [f"not_ecg:{row[0].lead}" for row in rows if row[0].unit_uv is None]
    if not ecg:
        check_values(0, 0)
    frames = max((row[0].per_frame for row in ecg), key=[row[0].per_frame for row in ecg].count)
    notes += [f"rate_differs:{row[0].lead}" for row in ecg if row[0].per_frame != frames]
    ecg = [row for row in ecg if row[0].per_frame == frames]
    start, when_notes = _start_of(header.when)
    patient, comment_notes = _patient_of(header.comments)
    lsb_uv = tuple(scale.unit_uv / abs(scale.gain) for scale, _ in ecg)
    return Recording(
        format=NAME, leads=tuple(scale.lead for scale, _ in ecg),
        samples_uv=np.stack([_in_microvolts(scale, counts) for scale, counts in ecg]),
        rate_hz=check_rate(header.rate_hz * frames), lsb_uv=lsb_uv, start=start, patient=patient,
        notes=tuple(notes) + when_notes + comment_notes)


@dataclass(frozen=True)
class _Scale:
    lead: str
    gain: float
    baseline: int
    per_frame: int
    unit_uv: float | None


def _in_microvolts(scale: _Scale, counts: np.ndarray) -> np.ndarray:
    return (counts - scale.baseline) * (scale.unit_uv / scale.gain)


def _rows_of(header: _Header, beside: Mapping[str, SourceFile]) -> tuple[list[tuple[_Scale, np.ndarray]], list[str]]:
    """Each signal with its counts (float64, NaN where the format's invalid value stands)."""
    rows: list[tuple[_Scale, np.ndarray]] = []
    notes: list[str] = []
    names: list[str] = []
    check_values(sum(signal.per_frame for signal in header.signals), max(header.samples, 1))
    groups: dict[str, list[_Signal]] = {}
    for signal in header.signals:
        groups.setdefault(signal.file, []).append(signal)
    for file_name, group in groups.items():
        if len({(signal.format, signal.offset) for signal in group}) != 1:
            raise malformed(NAME)
        if file_name not in beside:
            raise UnreadableRecording("missing_file", "WFDB 头文件所指的信号文件没有一起发送，请将 .hea 与 .dat/.mat 一并打包发送。",
                                      "A signal file named in the WFDB header did not come with it; send header and signals together.")
        check_size(beside[file_name])
        per_frame = [signal.per_frame for signal in group]
        frames, checksums = counts_of(beside[file_name].content[group[0].offset:], group[0].format, per_frame,
                                      header.samples, [signal.skew for signal in group])
        for signal, counts, checksum in zip(group, frames, checksums):
            if signal.checksum is not None and header.samples and checksum != signal.checksum % 65536:
                notes.append(f"checksum:{signal.lead}")
            lead = signal.lead if signal.lead not in names else f"{signal.lead}#{len(names) + 1}"
            names.append(lead)
            rows.append((_Scale(lead, signal.gain, signal.baseline, signal.per_frame, microvolts_per(signal.unit)), counts))
    lengths = {counts.size // scale.per_frame for scale, counts in rows}
    if len(lengths) != 1:
        raise truncated()
    if not lengths.pop():
        check_values(1, 0)
    return rows, notes


def _header_of(source: SourceFile) -> _Header:
    if len(source.content) > MAX_HEADER_BYTES:
        raise malformed(NAME)
    text = _text(source.content)
    lines = _lines(text)
    record = _RECORD.fullmatch(lines[0]) if lines else None
    if record is None:
        raise malformed(NAME)
    count = int(record["signals"])
    if not 1 <= count <= MAX_SIGNALS:
        check_values(count, 1)
    if len(lines) < 1 + count:
        raise truncated()
    try:
        rate_hz = float(record["rate"])
        signals = tuple(_signal_of(line) for line in lines[1:1 + count])
    except (ValueError, OverflowError):
        raise malformed(NAME) from None
    comments = tuple(line.strip()[1:].strip() for line in text.splitlines() if line.strip().startswith("#"))
    return _Header(rate_hz, int(record["samples"] or 0), (record["when"] or "").strip(), signals, comments)


def _signal_of(line: str) -> _Signal:
    match = _SIGNAL.fullmatch(line)
    if match is None:
        raise malformed(NAME)
    if match["format"] not in FORMATS:
        raise UnreadableRecording("unsupported", "不支持该 WFDB 信号存储格式，请转换为格式 16 后重发。",
                                  "This WFDB signal format is not supported; please convert it to format 16.")
    gain = float(match["gain"] or 0) or DEFAULT_GAIN
    per_frame = int(match["per_frame"] or 1)
    if not (np.isfinite(gain) and 1e-9 < abs(gain) < 1e12 and per_frame >= 1):
        raise malformed(NAME)
    baseline = match["baseline"] if match["baseline"] is not None else match["zero"] or 0
    return _Signal(
        file=match["file"], format=match["format"], per_frame=per_frame, skew=int(match["skew"] or 0),
        offset=int(match["offset"] or 0), gain=gain, baseline=int(baseline), unit=match["unit"] or "mV",
        checksum=int(match["checksum"]) if match["checksum"] is not None else None,
        lead=standard_name(match["description"] or match["file"]))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _text(content: bytes) -> str:
    for encoding in ("utf-8", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


def _file_name(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).name


def _start_of(when: str) -> tuple[str, tuple[str, ...]]:
    """``11:39:16 05/02/2020`` as header(5) has it, or the Challenge's ``05-Feb-2020 11:39:16``."""
    if not when:
        return "", ()
    for pattern in ("%H:%M:%S %d/%m/%Y", "%H:%M:%S.%f %d/%m/%Y", "%d-%b-%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S"):
        try:
            return datetime.strptime(when, pattern).isoformat(), ()
        except ValueError:
            continue
    return "", ("start_not_understood",)


def _patient_of(comments: Sequence[str]) -> tuple[PatientAsWritten, tuple[str, ...]]:
    """Age and sex where a comment plainly states them (``Age: 74``, ``<sex>: F``); the rest is kept as notes."""
    patient, notes = PatientAsWritten(), []
    for comment in comments:
        match = re.fullmatch(r"<?(age|sex)>?\s*:\s*(\S{1,12})", comment, re.IGNORECASE)
        if match and match[1].lower() == "age" and re.fullmatch(r"\d{1,3}(\.\d{1,3})?", match[2]):
            patient = replace(patient, age_years=float(match[2]))
        elif match and match[1].lower() == "sex" and match[2][:1].upper() in ("M", "F"):
            patient = replace(patient, sex=match[2][0].upper())
        elif comment:
            notes.append(f"comment:{comment[:200]}")
    return patient, tuple(notes[:50])
