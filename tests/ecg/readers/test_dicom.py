"""DICOM ECG: amplitudes by the standard's formula, the choice among groups, and words in their charset."""
from io import BytesIO

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian

from ecg.errors import UnreadableRecording
from ecg.readers import dicom
from ecg.recording import SourceFile
from tests.ecg.readers.samples import dicom_group_bytes

COUNTS = np.array([[0, 10, -10, 32767], [5, -32768, 7, 1]])


def code(value, scheme="MDC", meaning="x"):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def channel(lead_code, *, unit="uV", sensitivity="2.5", correction="1", baseline="0", scheme="MDC"):
    one = Dataset()
    one.ChannelSourceSequence = [code(lead_code, scheme)]
    one.ChannelSensitivity, one.ChannelSensitivityCorrectionFactor, one.ChannelBaseline = sensitivity, correction, baseline
    one.ChannelSensitivityUnitsSequence = [code(unit, "UCUM")]
    one.ChannelSampleSkew, one.WaveformBitsStored = "0", 16
    return one


def group(counts=COUNTS, channels=None, originality="ORIGINAL", label="RHYTHM"):
    one = Dataset()
    one.WaveformOriginality, one.MultiplexGroupLabel = originality, label
    one.NumberOfWaveformChannels, one.NumberOfWaveformSamples = counts.shape
    one.SamplingFrequency = "500"
    one.ChannelDefinitionSequence = channels or [channel("2:1"), channel("2:62")]
    one.WaveformBitsAllocated, one.WaveformSampleInterpretation = 16, "SS"
    one.add_new("WaveformData", "OW", dicom_group_bytes(counts))
    return one


def files(*groups, syntax=ExplicitVRLittleEndian, sop_class="1.2.840.10008.5.1.4.1.1.9.1.1", **attributes):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID = sop_class, "1.2.3"
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, "1.2.3"
    for name, value in attributes.items():
        setattr(dataset, name, value)
    dataset.WaveformSequence = list(groups)
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return [SourceFile("a.dcm", buffer.getvalue())]


def refusal(given):
    with pytest.raises(UnreadableRecording) as refused:
        dicom.read(given)
    return refused.value.code


def test_a_value_is_count_times_sensitivity_times_correction_plus_baseline_in_its_unit():
    channels = [channel("2:1", unit="mV", sensitivity="0.005", correction="1.1", baseline="0.2"), channel("2:62")]
    recording = dicom.read(files(group(channels=channels)))
    np.testing.assert_allclose(recording.lead("I"), COUNTS[0] * 5.5 + 200)
    np.testing.assert_array_equal(recording.lead("aVR"), COUNTS[1] * 2.5)
    assert recording.lsb_uv == pytest.approx((5.5, 2.5))


@pytest.mark.parametrize("number, lead", [("1", "I"), ("2", "II"), ("61", "III"), ("62", "aVR"), ("63", "aVL"), ("64", "aVF"),
                                          ("3", "V1"), ("4", "V2"), ("5", "V3"), ("6", "V4"), ("7", "V5"), ("8", "V6")])
def test_leads_are_known_by_mdc_and_by_scp_codes(number, lead):
    for value, scheme in ((f"2:{number}", "MDC"), (f"5.6.3-9-{number}", "SCPECG")):
        assert dicom.read(files(group(COUNTS[:1], [channel(value, scheme=scheme)]))).leads == (lead,)


def test_padding_is_a_gap_but_a_padding_of_zero_is_not_believed():
    padded, zero = group(), group()
    padded.add_new("WaveformPaddingValue", "OW", b"\x00\x80")
    zero.add_new("WaveformPaddingValue", "OW", b"\x00\x00")
    np.testing.assert_array_equal(dicom.read(files(padded)).lead("aVR"), [12.5, np.nan, 17.5, 2.5])
    recording = dicom.read(files(zero))
    assert recording.lead("I")[0] == 0 and "padding_value_not_used:0" in recording.notes


def test_the_original_rhythm_is_chosen_before_a_median_beat_wherever_it_stands():
    median = group(COUNTS * 0 + 1, originality="DERIVED", label="MEDIAN BEAT")
    for groups in ((median, group()), (group(), median)):
        recording = dicom.read(files(*groups))
        assert recording.lead("I")[1] == 25
        assert any(note.endswith(":MEDIAN BEAT") for note in recording.notes)


def test_a_chinese_name_is_read_by_its_character_set():
    recording = dicom.read(files(group(), SpecificCharacterSet="GB18030", PatientName="演示患者", PatientAge="061Y", PatientSex="F"))
    assert (recording.patient.name, recording.patient.age_years, recording.patient.sex) == ("演示患者", 61, "F")


def test_a_big_endian_file_gives_the_same_samples():
    swapped = group()
    swapped.add_new("WaveformData", "OW", COUNTS.T.astype(">i2").tobytes())
    np.testing.assert_array_equal(dicom.read(files(swapped, syntax=ExplicitVRBigEndian)).lead("I"), COUNTS[0] * 2.5)


def test_a_deflated_file_is_refused_before_it_is_inflated():
    assert refusal(files(group(), syntax=DeflatedExplicitVRLittleEndian)) == "unsupported"


def test_an_image_is_not_taken_for_an_ecg(real_data):
    image = next((real_data / "dicom").rglob("*.dcm"), None) or next(path for path in (real_data / "dicom").rglob("*") if path.is_file())
    assert refusal([SourceFile("ct", image.read_bytes())]) == "not_ecg"


def test_more_samples_declared_than_sent_is_truncated_or_too_large():
    short, huge = group(), group()
    short.NumberOfWaveformSamples = 5
    huge.NumberOfWaveformSamples = 2**32 - 1
    assert refusal(files(short)) == "truncated"
    assert refusal(files(huge)) == "too_large"


def test_a_channel_without_sensitivity_is_refused_and_one_of_pressure_left_out():
    unscaled = channel("2:62")
    del unscaled.ChannelSensitivity
    assert refusal(files(group(channels=[channel("2:1"), unscaled]))) == "no_unit"
    recording = dicom.read(files(group(channels=[channel("2:1"), channel("2:62", unit="mm[Hg]")])))
    assert recording.leads == ("I",) and "not_ecg:aVR" in recording.notes


def test_the_carts_measurements_and_statements_are_kept_apart(real_data):
    file = real_data / "ecg" / "formats" / "ecgtoolkit" / "Example.dcm"
    recording = dicom.read([SourceFile("x", file.read_bytes())])
    assert recording.device_measurements["qrs_ms"] == 120 and recording.device_measurements["qrs_axis_deg"] == -61
    note = Dataset()
    note.UnformattedTextValue, note.ReferencedWaveformChannels = "窦性心律", [1, 0]
    assert dicom.read(files(group(), SpecificCharacterSet="GB18030", WaveformAnnotationSequence=[note])).device_statements == ("窦性心律",)
