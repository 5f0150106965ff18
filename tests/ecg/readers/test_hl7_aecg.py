"""HL7 aECG: values and words against what stands in the files, and what hostile XML meets."""
import re

import numpy as np
import pytest
from scipy.signal import find_peaks

from ecg.errors import UnreadableRecording
from ecg.files import open_recording
from ecg.readers import hl7_aecg
from ecg.recording import SourceFile
from tests.ecg.readers.samples import COUNTS
from tests.ecg.readers.samples import hl7_aecg as synthetic


def changed(old: str, new: str) -> list[SourceFile]:
    text = synthetic()[0].content.decode()
    assert old in text
    return [SourceFile("a.xml", text.replace(old, new).encode())]


def refusal(files):
    with pytest.raises(UnreadableRecording) as refused:
        hl7_aecg.read(files)
    return refused.value.code


def test_a_value_is_origin_plus_scale_times_digit_and_the_fill_is_a_gap():
    recording = hl7_aecg.read(synthetic())
    expected = np.where(COUNTS == -32768, np.nan, COUNTS * 2.5)
    np.testing.assert_array_equal(recording.samples_uv, expected)
    assert recording.rate_hz == 500
    assert recording.notes == ()


@pytest.mark.parametrize("unit, factor", [("uV", 1), ("mV", 1e3), ("nV", 1e-3), ("mv", 1e3), ("\u00b5V", 1)])
def test_units_are_read_as_written(unit, factor):
    recording = hl7_aecg.read(changed('<scale value="2.5" unit="uV"/>', f'<scale value="2.5" unit="{unit}"/>'))
    assert recording.samples_uv[0, 1] == pytest.approx(5 * 2.5 * factor)


def test_an_origin_shifts_every_sample():
    assert hl7_aecg.read(changed('<origin value="0"', '<origin value="-40"')).samples_uv[0, 0] == -40


@pytest.mark.parametrize("written, rate_hz", [('value="2" unit="ms"', 500), ('value="0.001" unit="s"', 1000), ('value="4000" unit="us"', 250)])
def test_the_rate_is_one_over_the_increment(written, rate_hz):
    assert hl7_aecg.read(changed('value="0.002" unit="s"', written)).rate_hz == pytest.approx(rate_hz)


@pytest.mark.parametrize("written", ['value="0" unit="s"', 'value="-2" unit="ms"', 'value="2"', 'value="2" unit="parsec"', 'value="1e9" unit="s"'])
def test_an_increment_that_cannot_be_is_refused_not_guessed(written):
    assert refusal(changed('value="0.002" unit="s"', written)) in ("no_rate", "malformed")


@pytest.mark.parametrize("number", [1, 9, 17, 25, 33, 41])
def test_the_chinese_export_has_milliseconds_for_seconds_as_its_own_heart_rate_proves(number, real_data):
    file = real_data / "ecg" / "formats" / "aecg_cn_fda" / str(number) / "1.xml"
    recording = hl7_aecg.read([SourceFile("1.xml", file.read_bytes())])
    assert "increment_read_as_ms:2" in recording.notes
    steep = np.abs(np.diff(recording.lead("II"))) + np.abs(np.diff(recording.lead("V5")))
    steep = np.convolve(steep, np.ones(30), mode="same")
    beats, _ = find_peaks(steep, distance=200, height=0.45 * np.quantile(steep, 0.995))
    bpm = 60 / np.median(np.diff(beats) / recording.rate_hz)
    assert bpm == pytest.approx(recording.device_measurements["heart_rate_bpm"], rel=0.06)


def test_the_chinese_export_keeps_the_carts_words_apart(real_data):
    file = real_data / "ecg" / "formats" / "aecg_cn_fda" / "9" / "1.xml"
    recording = hl7_aecg.read([SourceFile("1.xml", file.read_bytes())])
    assert recording.device_statements == ("1.窦性心律", "2.正常心电图")
    assert recording.device_measurements["qt_ms"] == 337
    assert recording.device_measurements["rv5_mv"] == 2.5
    assert recording.patient.sex == "M" and recording.patient.birth_date == "1950-01-01"
    assert recording.start == "2024-05-18T18:18:14"
    first = re.search(rb"<digits>(-?\d+) (-?\d+)", file.read_bytes())
    np.testing.assert_array_equal(recording.lead("I")[:2], [int(first[1]) * 4.88, int(first[2]) * 4.88])


def test_the_representative_beat_is_not_mistaken_for_the_rhythm(real_data):
    file = real_data / "ecg" / "formats" / "ecgtoolkit" / "Example.xml"
    recording = hl7_aecg.read([SourceFile("Example.xml", file.read_bytes())])
    assert recording.duration_s == 10
    assert recording.device.model == "ELI250" and recording.device.manufacturer == "Mortara Instrument, Inc."
    assert recording.filters_as_written == "LOW_PASS 150 Hz; HIGH_PASS FIR; NOTCH Adaptive 60 Hz"
    assert recording.device_measurements["qtc_ms"] == 443
    assert recording.patient.age_years == 46


def test_the_same_ecg_in_xml_and_in_dicom_is_the_same(real_data):
    toolkit = real_data / "ecg" / "formats" / "ecgtoolkit"
    xml, dicom = (open_recording([SourceFile(name, (toolkit / name).read_bytes())]) for name in ("Example.xml", "Example.dcm"))
    for lead in xml.leads:
        np.testing.assert_array_equal(xml.lead(lead), dicom.lead(lead))
    assert xml.start == dicom.start and xml.patient.name == dicom.patient.name


def test_leads_recorded_in_turn_leave_gaps_where_they_were_silent():
    text = synthetic()[0].content.decode()
    one = re.search("<component><sequenceSet>.*</sequenceSet></component>", text)[0]
    two = one.replace('<head value="0" unit="s"/>', '<head value="0.02" unit="s"/>').replace("LEAD_I", "LEAD_V1").replace("LEAD_AVR", "LEAD_V2")
    recording = hl7_aecg.read([SourceFile("a.xml", text.replace(one, one + two).encode())])
    assert recording.leads == ("I", "aVR", "V1", "V2") and recording.samples_uv.shape == (4, 16)
    assert np.isnan(recording.lead("V1")[:10]).all() and recording.lead("V1")[11] == 12.5
    assert np.isnan(recording.lead("I")[6:]).all()


def test_a_lead_recorded_twice_at_once_is_refused():
    assert refusal(changed("LEAD_AVR", "LEAD_I")) == "malformed"


def test_the_rhythm_series_is_taken_wherever_it_stands():
    text = synthetic()[0].content.decode()
    series = re.search("<component><series>.*</series></component>", text)[0]
    beat = series.replace('code="RHYTHM"', 'code="REPRESENTATIVE_BEAT"').replace("900", "901")
    for both in (beat + series, series + beat):
        assert hl7_aecg.read([SourceFile("a.xml", text.replace(series, both).encode())]).samples_uv[0, 3] == 2250


def test_chinese_text_is_read_in_gbk_declared_or_not():
    text = synthetic()[0].content.decode().replace("<component><series>", '<componentOf><trialSubject><subjectDemographicPerson><name>'
                                                   "演示患者</name></subjectDemographicPerson></trialSubject></componentOf><component><series>", 1)
    declared = hl7_aecg.read([SourceFile("a.xml", text.replace("UTF-8", "GB2312").encode("gbk"))])
    assert declared.patient.name == "演示患者" and declared.notes == ()
    silent = hl7_aecg.read([SourceFile("a.xml", text.encode("gbk"))])
    assert silent.patient.name == "演示患者" and silent.notes == ("charset:gb18030",)
    utf16 = hl7_aecg.read([SourceFile("a.xml", text.replace("UTF-8", "UTF-16").encode("utf-16"))])
    assert utf16.patient.name == "演示患者"


@pytest.mark.parametrize("declaration", [
    '<!DOCTYPE AnnotatedECG [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
    '<!DOCTYPE AnnotatedECG SYSTEM "file:///etc/passwd">',
    '<!DOCTYPE AnnotatedECG [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
])
def test_entities_and_document_types_are_refused_as_hostile(declaration):
    start, body = synthetic()[0].content.decode().split("?>", 1)
    with pytest.raises(UnreadableRecording) as refused:
        open_recording([SourceFile("a.xml", (start + "?>" + declaration + body).encode())])
    assert refused.value.code == "hostile"


def test_endless_nesting_is_refused_as_hostile():
    assert refusal([SourceFile("a.xml", b"<AnnotatedECG>" + b"<a>" * 100_000)]) == "hostile"
    assert refusal([SourceFile("a.xml", b"<AnnotatedECG>" + b"<a/>" * 400_000 + b"</AnnotatedECG>")]) == "hostile"


@pytest.mark.parametrize("digits", ["nan nan", "1 2 three", "inf", "1e308 9e999", "0x10"])
def test_digits_that_are_no_counts_are_refused(digits):
    text = re.sub("<digits>[^<]*</digits>", f"<digits>{digits}</digits>", synthetic()[0].content.decode())
    assert refusal([SourceFile("a.xml", text.encode())]) == "malformed"


def test_leads_without_a_unit_are_refused():
    assert refusal(changed('<scale value="2.5" unit="uV"/>', '<scale value="2.5"/>')) == "no_unit"
