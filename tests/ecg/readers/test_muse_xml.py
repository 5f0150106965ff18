"""GE MUSE XML: truth from hand-made counts, from the CRC in the real file, and from Einthoven's law."""
import base64
import binascii
import struct

import numpy as np
import pytest

from ecg.readers import muse_xml
from ecg.recording import STANDARD_LEADS, SourceFile
from tests.ecg.readers.mutations import outcome, survives


def lead(name, counts, units="4.88", kind="MICROVOLTS", crc=None, declared=None):
    raw = b"".join(struct.pack("<h", c) for c in counts)
    crc = binascii.crc32(raw) if crc is None else crc
    return (f"<LeadData><LeadSampleCountTotal>{declared or len(counts)}</LeadSampleCountTotal>"
            f"<LeadAmplitudeUnitsPerBit>{units}</LeadAmplitudeUnitsPerBit><LeadAmplitudeUnits>{kind}"
            f"</LeadAmplitudeUnits><LeadID>{name}</LeadID><LeadSampleSize>2</LeadSampleSize>"
            f"<LeadDataCRC32>{crc}</LeadDataCRC32><WaveFormData>\n{base64.encodebytes(raw).decode()}\n"
            f"</WaveFormData></LeadData>")


def document(leads, head="", rate="<SampleBase>500</SampleBase><SampleExponent>0</SampleExponent>"):
    return (f'<?xml version="1.0" encoding="ISO-8859-1"?><!DOCTYPE RestingECG SYSTEM "restecg.dtd"><RestingECG>{head}'
            f"<Waveform><WaveformType>Median</WaveformType>{rate}{lead('I', [9] * 9)}</Waveform>"
            f"<Waveform><WaveformType>Rhythm</WaveformType>{rate}{''.join(leads)}</Waveform></RestingECG>"
            ).encode("latin-1")


def read(content):
    return muse_xml.read([SourceFile("x.xml", content)])


ONE, TWO = [0, 10, -7, 32767, -32768, 5], [1, -3, 11, -32768, 32767, 8]
EIGHT = [lead("I", ONE), lead("II", TWO)] + [lead(f"V{i}", [i * 100] * 6) for i in range(1, 7)]


def test_counts_become_microvolts_and_the_missing_limb_leads_follow_exactly():
    recording = read(document(EIGHT))
    one, two = np.array(ONE, float) * 4.88, np.array(TWO, float) * 4.88
    assert recording.leads == STANDARD_LEADS and recording.rate_hz == 500
    assert np.array_equal(recording.lead("I"), one) and np.array_equal(recording.lead("II"), two)
    assert np.allclose(recording.lead("III"), two - one, rtol=0, atol=1e-9)
    assert np.allclose(recording.lead("aVR"), -(one + two) / 2, rtol=0, atol=1e-9)
    assert np.allclose(recording.lead("aVL"), one - two / 2, rtol=0, atol=1e-9)
    assert np.allclose(recording.lead("aVF"), two - one / 2, rtol=0, atol=1e-9)
    assert np.array_equal(recording.lead("V4"), [400 * 4.88] * 6)
    assert "derived:III,aVR,aVL,aVF" in recording.notes and "crc:ok" in recording.notes


def test_twelve_stored_leads_are_not_derived_again():
    recording = read(document([lead(name.upper(), [i] * 4, units="1") for i, name in enumerate(STANDARD_LEADS)]))
    assert recording.leads == STANDARD_LEADS
    assert recording.samples_uv[:, 0].tolist() == list(range(12))
    assert not any(note.startswith("derived") for note in recording.notes)


def test_the_real_file_agrees_with_its_own_check_sums_and_measurements(real_data):
    recording = read((real_data / "ecg/formats/muse_braveheart/example1.xml").read_bytes())
    assert recording.leads == STANDARD_LEADS and recording.samples_uv.shape == (12, 5000)
    assert "crc:ok" in recording.notes
    assert recording.device_measurements["heart_rate_bpm"] == 48 and recording.device_measurements["qt_ms"] == 452
    fiducials_ms = [614, 1914, 3132, 4384, 5600, 6802, 8046, 9312]      # QRSTimesTypes of the file
    steep = np.abs(np.diff(recording.lead("V2")))
    for time_ms in fiducials_ms:
        assert steep[time_ms // 2 - 60:time_ms // 2 + 60].max() > 0.5 * steep.max()


def test_people_times_and_statements_are_taken_as_written():
    head = """<PatientDemographics><PatientID>A-7</PatientID><PatientAge>61</PatientAge><AgeUnits>YEARS</AgeUnits>
      <DateofBirth>07-04-1962</DateofBirth><Gender>FEMALE</Gender><PatientLastName>DOE</PatientLastName>
      <PatientFirstName>JANE</PatientFirstName></PatientDemographics><TestDemographics><AcquisitionDevice>MAC55
      </AcquisitionDevice><AcquisitionTime>08:09:10</AcquisitionTime><AcquisitionDate>12-31-2023</AcquisitionDate>
      <AcquisitionSoftwareVersion>009A</AcquisitionSoftwareVersion></TestDemographics><Diagnosis><DiagnosisStatement>
      <StmtFlag>ENDSLINE</StmtFlag><StmtText>Sinus bradycardia</StmtText></DiagnosisStatement><DiagnosisStatement>
      <StmtText>Inferior infarct</StmtText></DiagnosisStatement><DiagnosisStatement><StmtFlag>ENDSLINE</StmtFlag>
      <StmtText>, old</StmtText></DiagnosisStatement></Diagnosis>"""
    recording = read(document(EIGHT, head))
    assert recording.patient.patient_id == "A-7" and recording.patient.name == "DOE JANE"
    assert recording.patient.sex == "F" and recording.patient.birth_date == "1962-07-04"
    assert recording.patient.age_years == 61 and recording.start == "2023-12-31T08:09:10"
    assert recording.device.model == "MAC55" and recording.device.software == "009A"
    assert recording.device_statements == ("Sinus bradycardia", "Inferior infarct , old")


def test_of_two_rhythms_the_one_with_more_leads_is_read():
    text = document(EIGHT).decode("latin-1")
    strip = f"<Waveform><WaveformType>Rhythm</WaveformType><SampleBase>250</SampleBase>{lead('V1', ONE)}</Waveform>"
    recording = read(text.replace("<RestingECG>", "<RestingECG>" + strip).encode("latin-1"))
    assert recording.leads == STANDARD_LEADS and recording.rate_hz == 500


def test_a_rate_with_an_exponent_is_a_power_of_ten():
    rate = "<SampleBase>5</SampleBase><SampleExponent>2</SampleExponent>"
    assert read(document(EIGHT, rate=rate)).rate_hz == 500


def test_a_wrong_check_sum_is_noted():
    notes = read(document([lead("I", ONE, crc=1), lead("II", TWO)])).notes
    assert "crc:mismatch:I" in notes and "crc:ok" not in notes


@pytest.mark.parametrize("strange", ["12\u00b33", "9" * 5000, "x"])
def test_numbers_that_are_none_are_taken_for_no_more_than_they_are(strange):
    head = (f"<TestDemographics><AcquisitionDate>{strange}-01-2020</AcquisitionDate></TestDemographics>"
            f"<PatientDemographics><PatientAge>{strange}</PatientAge></PatientDemographics>")
    recording = read(document([lead("I", ONE, crc=strange)], head))
    assert "crc:mismatch:I" in recording.notes and recording.patient.age_years is None


@pytest.mark.parametrize("content,code", [
    (document([]), "no_leads"), (document(EIGHT, rate=""), "no_rate"),
    (document([lead("I", ONE, units="")]), "no_scale"), (document([lead("I", ONE, kind="FURLONGS")]), "no_scale"),
    (document([lead("I", ONE, declared=5000)]), "truncated"),
    (document([lead("I", ONE), lead("I", ONE)]), "unsupported"),
    (document([lead("I", ONE).replace("</WaveFormData>", "?</WaveFormData>")]), "damaged"),
    (b"<RestingECG/>", "no_samples"),
])
def test_what_cannot_be_read_is_refused_by_name(content, code):
    assert outcome(muse_xml, content).code == code


def test_mutations_are_refused_or_read_and_nothing_else_happens(real_data):
    assert survives(muse_xml, document(EIGHT), flips=300) > 11
    real = (real_data / "ecg/formats/muse_braveheart/example1.xml").read_bytes()
    assert survives(muse_xml, real, flips=25) > 9
