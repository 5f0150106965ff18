"""DICOM ECG waveforms: 12-lead, General and Ambulatory ECG Waveform Storage (PS3.3 A.34.3 to A.34.5, C.10.9).

A value is count x sensitivity x correction factor + baseline, in the units of the sensitivity (C.10.9.1.4).
The original rhythm group is read; median beats and other derived groups are named in the notes.
"""
from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from ecg.errors import UnreadableRecording
from ecg.leads import is_standard
from ecg.readers.dicom_words import (
    clean, code_values, device_of, filters_of, lead_of, measurements_of, patient_of, start_of, statements_of)
from ecg.readers.given import MAX_LEADS, check_rate, check_values, malformed, no_unit, the_one, truncated
from ecg.recording import Recording, SourceFile
from ecg.units import microvolts_per

NAME = "DICOM ECG"
ECG_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.9.1.1": "12-lead ECG",
    "1.2.840.10008.5.1.4.1.1.9.1.2": "General ECG",
    "1.2.840.10008.5.1.4.1.1.9.1.3": "Ambulatory ECG",
    "1.2.840.10008.5.1.4.1.1.9.1.4": "General 32-bit ECG",
}
_UNCOMPRESSED = {"1.2.840.10008.1.2": "<", "1.2.840.10008.1.2.1": "<", "1.2.840.10008.1.2.2": ">"}
_SAMPLES = {(8, "SB"): "i1", (8, "UB"): "u1", (16, "SS"): "i2", (16, "US"): "u2", (32, "SL"): "i4", (32, "UL"): "u4"}


def sniff(head: bytes, name: str = "") -> bool:
    """True for a DICOM file (PS3.10): the word DICM after the preamble. Whether it is an ECG is found in reading."""
    return head[128:132] == b"DICM"


def read(files: Sequence[SourceFile], declared: Mapping[str, str] | None = None) -> Recording:
    """The rhythm group of one DICOM ECG. Raises UnreadableRecording only."""
    file = the_one(files, sniff, NAME)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _recording_of(file)
    except UnreadableRecording:
        raise
    except Exception:          # the door to a foreign parser: pydicom raises a dozen kinds on broken files
        raise malformed(NAME) from None


def _recording_of(file: SourceFile) -> Recording:
    order = _UNCOMPRESSED.get(_transfer_syntax(file.content))
    if order is None:
        raise UnreadableRecording("unsupported", "不支持压缩的 DICOM 传输语法，请以未压缩（Explicit VR Little Endian）方式发送。",
                                  "Only uncompressed DICOM transfer syntaxes are read for waveforms.")
    dataset = pydicom.dcmread(BytesIO(file.content))
    if "WaveformSequence" not in dataset or str(dataset.get("SOPClassUID", "")) not in ECG_CLASSES:
        raise UnreadableRecording("not_ecg", "该 DICOM 文件不是心电波形（可能是图像或 PDF 报告）。",
                                  "This DICOM file is not an ECG waveform (perhaps an image or a report).")
    groups = list(dataset.WaveformSequence)
    if not groups or len(groups) > MAX_LEADS:
        raise malformed(NAME)
    chosen = max(range(len(groups)), key=lambda index: _preference(groups[index], index))
    leads, samples_uv, lsb_uv, notes = _decoded(groups[chosen], order)
    notes += [f"group_not_used:{index + 1}:{clean(group.get('MultiplexGroupLabel', ''))}"
              for index, group in enumerate(groups) if index != chosen]
    return Recording(
        format=NAME, leads=leads, samples_uv=samples_uv, rate_hz=check_rate(float(groups[chosen].SamplingFrequency)),
        lsb_uv=lsb_uv, start=start_of(dataset), patient=patient_of(dataset), device=device_of(dataset),
        filters_as_written=filters_of(groups[chosen]), accession_number=clean(dataset.get("AccessionNumber", "")),
        study_uid=clean(dataset.get("StudyInstanceUID", "")), device_measurements=measurements_of(dataset),
        device_statements=statements_of(dataset), notes=tuple(notes))


def _transfer_syntax(content: bytes) -> str:
    """(0002,0010), found by walking the file meta group (always Explicit VR Little Endian, PS3.10 7.1).

    Looked at before anything is parsed, so that a deflated body is never inflated.
    """
    at = 132
    while content[at:at + 2] == b"\x02\x00":
        element, vr = content[at + 2:at + 4], content[at + 4:at + 6]
        long = vr in (b"OB", b"OW", b"UN", b"SQ", b"UT")
        length = int.from_bytes(content[at + 8:at + 12] if long else content[at + 6:at + 8], "little")
        at += 12 if long else 8
        if element == b"\x10\x00":
            return content[at:at + length].rstrip(b"\x00 ").decode("ascii", "replace")
        at += length
    return ""


def _preference(group: Dataset, index: int) -> tuple:
    """Original before derived, the fuller group before the emptier, the longer before the shorter, then the first."""
    channels = group.ChannelDefinitionSequence
    standard = sum(is_standard(lead_of(channel, 0)) for channel in channels)
    return (group.get("WaveformOriginality", "ORIGINAL") == "ORIGINAL", standard, len(channels),
            int(group.NumberOfWaveformSamples) / float(group.SamplingFrequency), -index)


def _decoded(group: Dataset, order: str) -> tuple[tuple[str, ...], np.ndarray, tuple[float, ...], list[str]]:
    channels, samples = int(group.NumberOfWaveformChannels), int(group.NumberOfWaveformSamples)
    check_values(channels, samples)
    kind = _SAMPLES.get((int(group.WaveformBitsAllocated), str(group.WaveformSampleInterpretation)))
    if kind is None:
        raise UnreadableRecording("unsupported", "不支持该波形采样编码（如 mu-law），请以 16 位有符号整数导出。",
                                  "This sample encoding is not read; please export as 16-bit signed integers.")
    dtype = np.dtype(order + kind)
    content = bytes(group.WaveformData)
    if len(content) < channels * samples * dtype.itemsize or len(group.ChannelDefinitionSequence) != channels:
        raise truncated()
    counts = np.frombuffer(content, dtype, channels * samples).reshape(samples, channels).T
    fill, notes = _fill_of(group, dtype)
    leads, rows, lsb_uv = [], np.empty((channels, samples)), []
    used = 0
    for index, channel in enumerate(group.ChannelDefinitionSequence):
        lead = lead_of(channel, index)
        unit, factor, baseline = _scale_of(channel)
        if unit is None:
            notes.append(f"not_ecg:{lead}")
            continue
        rows[used] = counts[index] * (factor * unit) + baseline * unit
        if fill is not None:
            rows[used][counts[index] == fill] = np.nan
        if float(channel.get("ChannelSampleSkew") or 0):
            notes.append(f"skew_samples:{lead}:{channel.ChannelSampleSkew}")
        leads.append(lead if lead not in leads else f"{lead}#{index + 1}")
        lsb_uv.append(abs(factor * unit))
        used += 1
    check_values(used, samples)
    return tuple(leads), rows[:used], tuple(lsb_uv), notes


def _scale_of(channel: Dataset) -> tuple[float | None, float, float]:
    """Microvolts per unit (None for channels that are not of potential), sensitivity x correction, baseline."""
    if channel.get("ChannelSensitivity") is None:
        raise no_unit()
    units = [microvolts_per(value) for value in code_values(channel, "ChannelSensitivityUnitsSequence")]
    if not units:
        raise no_unit()
    factor = float(channel.ChannelSensitivity) * float(channel.get("ChannelSensitivityCorrectionFactor") or 1)
    baseline = float(channel.get("ChannelBaseline") or 0)
    if not (np.isfinite(factor) and factor != 0 and np.isfinite(baseline)):
        raise malformed(NAME)
    return units[0], factor, baseline


def _fill_of(group: Dataset, dtype: np.dtype) -> tuple[int | None, list[str]]:
    """The padding count (5400,100A). Some exporters write 0 there, which is also the isoelectric line: not used."""
    written = group.get("WaveformPaddingValue")
    if written is None or written == b"":
        return None, []
    value = int(np.frombuffer(written[:dtype.itemsize], dtype)[0]) if isinstance(written, bytes) else int(written)
    return (value, []) if value else (None, ["padding_value_not_used:0"])
