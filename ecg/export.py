"""Any recording as a DICOM ECG waveform, so that a PACS or another hub can keep it.

12-lead ECG where the leads, rate and length allow it (PS3.3 A.34.3: at most 16384 samples, 200 to 1000 Hz),
General ECG for other resting recordings (A.34.4), Ambulatory ECG for long or slow ones (A.34.5). Counts are
written with the recording's own resolution, so ``ecg.readers.dicom`` gets back the same microvolts; NaN
becomes the padding value. Only where a lead exceeds 16 bits is it written more coarsely, over its range.
"""
from __future__ import annotations

from datetime import datetime
from io import BytesIO

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from ecg.recording import STANDARD_LEADS, Recording

TWELVE_LEAD = "1.2.840.10008.5.1.4.1.1.9.1.1"
GENERAL = "1.2.840.10008.5.1.4.1.1.9.1.2"
AMBULATORY = "1.2.840.10008.5.1.4.1.1.9.1.3"
PADDING = -32768

_RESTING_SAMPLES = 16384
_MAX_CHANNELS = {TWELVE_LEAD: 13, GENERAL: 24, AMBULATORY: 12}
_MDC_LEADS = {"I": "2:1", "II": "2:2", "III": "2:61", "aVR": "2:62", "aVL": "2:63", "aVF": "2:64", "V1": "2:3",
              "V2": "2:4", "V3": "2:5", "V4": "2:6", "V5": "2:7", "V6": "2:8", "V7": "2:9", "V8": "2:66", "V9": "2:67",
              "V3R": "2:11", "V4R": "2:12", "V5R": "2:13", "X": "2:16", "Y": "2:17", "Z": "2:18"}
_AUGMENTED = {"aVR": "aVR, augmented voltage, right", "aVL": "aVL, augmented voltage, left", "aVF": "aVF, augmented voltage, foot"}


class NotRepresentable(ValueError):
    """A recording no DICOM ECG class can hold; ``zh`` and ``en`` say why. Trying again cannot help."""

    def __init__(self, zh: str, en: str):
        super().__init__(en)
        self.zh = zh
        self.en = en


def dicom_waveform(recording: Recording, *, study_uid: str, series_uid: str, sop_uid: str, received: datetime,
                   series_number: int = 1, instance_number: int = 1) -> Dataset:
    """The recording as a dataset with file meta, ready for ``save_as`` or C-STORE.

    ``received`` (naive local time) stands in as the acquisition time where the recording has none, because
    DICOM requires one. Raises NotRepresentable for more than 24 leads, or rates outside 50 to 1000 Hz (200 to
    1000 Hz beyond 12 leads).
    """
    sop_class = _class_of(recording)
    dataset = Dataset()
    dataset.file_meta = _meta_of(sop_class, sop_uid)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, sop_uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study_uid, series_uid
    _write_patient(dataset, recording)
    _write_times(dataset, recording, received)
    _write_equipment(dataset, recording)
    dataset.Modality = "ECG"
    dataset.StudyID = ""
    dataset.AccessionNumber = recording.accession_number[:16]
    dataset.ReferringPhysicianName = ""
    dataset.SeriesNumber, dataset.InstanceNumber = series_number, instance_number
    dataset.AcquisitionContextSequence = []
    dataset.WaveformSequence = [_group_of(recording)]
    annotations = _annotations_of(recording)
    if annotations:
        dataset.WaveformAnnotationSequence = annotations
    return dataset


def dicom_bytes(dataset: Dataset) -> bytes:
    """A dataset of ``dicom_waveform`` as the bytes of a DICOM file (PS3.10, Explicit VR Little Endian)."""
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _class_of(recording: Recording) -> str:
    leads, samples = recording.samples_uv.shape
    resting = samples <= _RESTING_SAMPLES and 200 <= recording.rate_hz <= 1000
    if resting and set(STANDARD_LEADS) <= set(recording.leads) and leads <= _MAX_CHANNELS[TWELVE_LEAD]:
        return TWELVE_LEAD
    if resting and leads <= _MAX_CHANNELS[GENERAL]:
        return GENERAL
    if leads <= _MAX_CHANNELS[AMBULATORY] and 50 <= recording.rate_hz <= 1000:
        return AMBULATORY
    raise NotRepresentable("该心电图的采样率或导联数超出 DICOM 心电波形的范围，无法导出为 DICOM。",
                           "The rate or number of leads is outside what DICOM ECG waveforms can hold.")


def _meta_of(sop_class: str, sop_uid: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, sop_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta


def _write_patient(dataset: Dataset, recording: Recording) -> None:
    patient = recording.patient
    dataset.PatientName = _line(patient.name.replace("=", " "), 64)
    dataset.PatientID = _line(patient.patient_id, 64)
    dataset.PatientBirthDate = patient.birth_date.replace("-", "")
    dataset.PatientSex = patient.sex
    if patient.age_years is not None and 1 <= patient.age_years < 1000:
        dataset.PatientAge = f"{int(patient.age_years):03d}Y"


def _write_times(dataset: Dataset, recording: Recording, received: datetime) -> None:
    start = datetime.fromisoformat(recording.start) if "T" in recording.start else received
    day, time = start.strftime("%Y%m%d"), start.strftime("%H%M%S")
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = day
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = time
    dataset.AcquisitionDateTime = start.strftime("%Y%m%d%H%M%S") + (f".{start.microsecond:06d}" if start.microsecond else "")


def _write_equipment(dataset: Dataset, recording: Recording) -> None:
    device = recording.device
    dataset.Manufacturer = _line(device.manufacturer, 64)
    if device.model:
        dataset.ManufacturerModelName = _line(device.model, 64)
    if device.serial:
        dataset.DeviceSerialNumber = _line(device.serial, 64)
    if device.software:
        dataset.SoftwareVersions = _line(device.software, 64)


def _group_of(recording: Recording) -> Dataset:
    counts, scales = _counted(recording)
    group = Dataset()
    group.WaveformOriginality = "ORIGINAL"
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = counts.shape
    group.SamplingFrequency = format_number_as_ds(recording.rate_hz)
    group.MultiplexGroupLabel = "RHYTHM"
    group.ChannelDefinitionSequence = [_channel_of(lead, scale) for lead, scale in zip(recording.leads, scales)]
    group.WaveformBitsAllocated = 16
    group.WaveformSampleInterpretation = "SS"
    group.add_new("WaveformPaddingValue", "OW", np.int16(PADDING).astype("<i2").tobytes())
    group.add_new("WaveformData", "OW", counts.T.astype("<i2").tobytes())
    return group


def _counted(recording: Recording) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Counts (leads, samples) int16, and (microvolts per count, microvolts of count 0) per lead."""
    counts = np.empty(recording.samples_uv.shape, np.int16)
    scales = []
    for index, (samples_uv, lsb_uv) in enumerate(zip(recording.samples_uv, recording.lsb_uv)):
        known = np.isfinite(samples_uv)
        values = samples_uv[known]
        baseline_uv, lsb_uv = _fitting(values, lsb_uv)
        counts[index] = PADDING
        counts[index][known] = np.rint((values - baseline_uv) / lsb_uv).astype(np.int16)
        scales.append((lsb_uv, baseline_uv))
    return counts, scales


def _fitting(values: np.ndarray, lsb_uv: float) -> tuple[float, float]:
    """Baseline and resolution, as DICOM decimal strings can say them, with which every value fits 16 bits."""
    if not values.size:
        return 0.0, lsb_uv
    offset = float(values[0] - np.rint(values[0] / lsb_uv) * lsb_uv)       # what is left beside whole counts
    low, high = float(values.min()), float(values.max())
    baseline = 0.0 if abs(offset) < 1e-6 * lsb_uv else offset
    if max(abs(low - baseline), abs(high - baseline)) / lsb_uv > 32766:
        baseline += float(np.rint(((low + high) / 2 - baseline) / lsb_uv)) * lsb_uv
    if (high - low) / lsb_uv > 65500:
        lsb_uv = (high - low) / 65500
    return float(format_number_as_ds(baseline)), float(format_number_as_ds(lsb_uv))


def _channel_of(lead: str, scale: tuple[float, float]) -> Dataset:
    channel = Dataset()
    channel.ChannelLabel = _line(lead, 16)
    if lead in _MDC_LEADS:
        meaning = f"Lead {_AUGMENTED.get(lead, lead)}"
        channel.ChannelSourceSequence = [_code(_MDC_LEADS[lead], "MDC", meaning)]
    else:
        channel.ChannelSourceSequence = [_code(_line(lead, 16), "99ECGLEAD", _line(lead, 64))]
    channel.ChannelSensitivity = format_number_as_ds(scale[0])
    channel.ChannelSensitivityUnitsSequence = [_code("uV", "UCUM", "microvolt")]
    channel.ChannelSensitivityCorrectionFactor = "1"
    channel.ChannelBaseline = format_number_as_ds(scale[1])
    channel.ChannelSampleSkew = "0"
    channel.WaveformBitsStored = 16
    return channel


def _annotations_of(recording: Recording) -> list[Dataset]:
    """The cart's statements as written, as text annotations of the whole group; ours never travel here."""
    annotations = []
    for statement in recording.device_statements:
        annotation = Dataset()
        annotation.ReferencedWaveformChannels = [1, 0]
        annotation.UnformattedTextValue = statement[:1024]
        annotation.AnnotationGroupNumber = 1
        annotations.append(annotation)
    return annotations


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _line(text: str, length: int) -> str:
    """One value of a DICOM string: no backslash (it separates values), no control characters, bounded."""
    return "".join(mark if mark.isprintable() and mark != "\\" else " " for mark in text).strip()[:length]
